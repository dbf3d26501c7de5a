"""The spool: each method is one step, with its ledger line and its tally, or nothing at all."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daemon.document import Copy, DeliveryState, Digest, Document, Role, State, new_id, utc_text
from daemon.errors import CorruptionError, PersonNeeded, StaleWrite
from daemon.lifecycle import IllegalStep
from daemon.records.reader import open_reader
from tests.agreement import check
from tests.values import (
    LATER,
    NAME,
    NOW,
    arrival,
    claimed,
    events,
    frozen,
    last,
    part,
    receipts,
    refused,
    sealed,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.spool import Spool


def test_a_claim_is_a_row_a_line_and_a_count(spool: Spool) -> None:
    """From here on the scan is ours to keep; its name stands apart from the line."""
    scan = arrival(1, size=77)

    document = spool.claim(scan, NOW)

    assert document.state is State.CLAIMED
    assert (document.size, document.digest, document.kind) == (77, scan.digest, "pdf")
    assert document.captured_at == scan.captured_at.replace(microsecond=0)
    assert spool.unsealed_bytes() == 77
    line = last(spool)
    assert (line["event"], line["document"]) == ("claim", scan.id)
    assert line["detail"] == {
        "hotfolder": "post",
        "profile": "post",
        "kind": "pdf",
        "size": 77,
        "sha256": str(scan.digest),
        "captured_at": utc_text(scan.captured_at),
        "claimed_at": utc_text(scan.claimed_at),
        "clock": "sure",
    }
    assert line["personal_hash"]
    (personal,) = spool._db.execute("SELECT content FROM personal").fetchone()
    assert json.loads(personal) == {"name": "Müller Kündigung.pdf", "name_hex": NAME.hex()}
    check(spool)


def test_a_document_is_claimed_once(spool: Spool) -> None:
    """The same id again: an adoption at start that has its row already."""
    claimed(spool)
    scan = arrival(0)
    scan = replace(scan, id=spool.newest(1)[0].id)

    with pytest.raises(sqlite3.IntegrityError):
        spool.claim(scan, NOW)

    assert events(spool) == ["claim"]
    check(spool)


def test_a_step_is_committed_before_it_is_done(spool: Spool) -> None:
    """No state and no line: only the row says what was begun, and the head is given."""
    document = claimed(spool)

    head = spool.begin(document, "seal", NOW)

    assert head == spool.head()
    assert spool.document(document.id).step == "seal"
    assert spool.in_state(State.CLAIMED, 5) == []
    assert events(spool) == ["claim"]
    check(spool)


def test_a_step_is_begun_once(spool: Spool) -> None:
    """Two stages that take the same document: the second one finds out."""
    document = claimed(spool)
    spool.begin(document, "seal", NOW)

    with pytest.raises(StaleWrite):
        spool.begin(document, "seal", NOW)

    check(spool)


def test_a_document_that_was_given_back_is_as_it_was(spool: Spool) -> None:
    """The token was away: nothing is counted against the document."""
    document = claimed(spool)
    spool.begin(document, "seal", NOW)

    spool.give_back(document, NOW)

    assert spool.document(document.id) == document
    assert spool.in_state(State.CLAIMED, 5) == [document]
    check(spool)


def test_a_worker_that_dies_twice_refuses_the_document(spool: Spool) -> None:
    """Once can be anything; twice in the same document is the document (I8)."""
    document = claimed(spool)
    spool.begin(document, "seal", NOW)
    once = spool.crashed(document, NOW)
    assert (once.state, once.step, once.tries) == (State.CLAIMED, "", 1)
    spool.begin(once, "seal", NOW)

    twice = spool.crashed(once, NOW)

    assert (twice.state, twice.code, twice.step) == (State.REFUSED, "crashed-here", "")
    assert spool.copies_due("post", 5) == [twice]
    assert last(spool)["detail"] == {"code": "crashed-here", "reason": "twice in step seal"}
    check(spool)


def test_a_suspect_comes_first(spool: Spool) -> None:
    """It runs alone, so its second end is its own."""
    first, second = claimed(spool, 1), claimed(spool, 2)
    spool.begin(second, "seal", NOW)
    spool.crashed(second, NOW)

    assert [d.id for d in spool.in_state(State.CLAIMED, 5)] == [second.id, first.id]


def test_a_refused_document_has_its_code_and_a_copy_due(spool: Spool) -> None:
    """The line says why; the bytes no longer count as waiting for a seal."""
    document = refused(spool)

    assert (document.state, document.code) == (State.REFUSED, "pdf-damaged")
    assert spool.copies_due("post", 5) == [document]
    assert last(spool)["event"] == "refuse"
    assert last(spool)["detail"] == {"code": "pdf-damaged", "reason": "no page tree"}
    assert spool.unsealed_bytes() == 0
    spool.copied_back(document, LATER, NOW)
    assert spool.copies_due("post", 5) == []
    check(spool)


def test_a_seal_is_committed_with_all_that_a_rebuild_needs(spool: Spool) -> None:
    """And is left in the step `freeze`, which follows at once."""
    document = claimed(spool)
    before = spool.head()

    done = sealed(spool, document, LATER)

    assert (done.state, done.step, done.tries) == (State.SEALED, "freeze", 0)
    assert done.sealed == part("sealed", "sealed.pdf", document.id).digest
    assert done.findings == ()
    assert done.sealed_at == done.checked_at == LATER
    assert done.ledger_hash == before.hash
    line = last(spool)
    assert line["event"] == "seal"
    assert line["detail"]["sha256"] == str(done.sealed)
    assert line["detail"]["note_sha256"] == str(done.note)
    check(spool)


def test_there_is_one_seal(spool: Spool) -> None:
    """The second writer has an old copy of the document: it changes nothing (I5)."""
    document = claimed(spool)
    done = sealed(spool, document)
    line = last(spool)

    for stale in (document, replace(document, step="seal")):
        with pytest.raises(StaleWrite):
            spool.seal(
                stale,
                part("sealed", "sealed.pdf", "other"),
                part("note", "note.xml"),
                {"images": 9, "findings": [], "ledger_hash": "f" * 64},
                NOW,
                NOW,
                NOW,
            )
    facts = {"images": 9, "findings": [], "ledger_hash": "f" * 64}
    with pytest.raises(IllegalStep):
        spool.seal(done, part("s", "s"), part("n", "n"), facts, NOW, NOW, NOW)

    assert spool.document(document.id) == done
    assert last(spool) == line
    check(spool)


def test_freezing_makes_the_deliveries(spool: Spool) -> None:
    """In one step with the line that names each part: nothing of it changes any more."""
    document = frozen(spool, claimed(spool))

    assert (document.state, document.step) == (State.FROZEN, "")
    dms, archive = spool.delivery(document.id, "dms"), spool.delivery(document.id, "archive")
    assert [d.target for d in spool.deliveries(document.id)] == ["archive", "dms"]
    assert (dms.state, dms.role) == (DeliveryState.PENDING, Role.DMS)
    assert [p.file for p in archive.parts] == ["sealed.pdf", "manifest.json"]
    assert last(spool)["event"] == "freeze"
    assert [d["target"] for d in last(spool)["detail"]["deliveries"]] == ["dms", "archive"]
    assert spool.due("dms", NOW, 5) == [dms]
    assert spool.open_targets() == {"dms", "archive"}
    check(spool)


def test_a_held_document_sends_nothing_and_goes_back_to_where_it_was(spool: Spool) -> None:
    """Sealed, so never to CLAIMED again."""
    document = frozen(spool, claimed(spool))

    held = spool.set_aside(document, "own-copy-damaged", "sealed.pdf", NOW)

    assert (held.state, held.came_from, held.code) == (
        State.HELD,
        State.FROZEN,
        "own-copy-damaged",
    )
    assert spool.due("dms", LATER, 5) == []
    assert spool.next_due("dms") is None
    assert not spool.sendable(spool.delivery(document.id, "dms"))
    assert spool.release(document.id, "uid 0", LATER) == ("document",)
    back = spool.document(document.id)
    assert (back.state, back.code) == (State.FROZEN, "")
    assert len(spool.due("dms", LATER, 5)) == 1
    assert "person" not in json.dumps(last(spool)["detail"])
    check(spool)


def test_what_was_proven_while_it_was_held_files_it_on_release(spool: Spool) -> None:
    """The last acknowledgement came in between: nobody else would ever look again."""
    document = frozen(spool, claimed(spool))
    begun = [spool.begin_delivery(d, NOW) for d in spool.deliveries(document.id)]
    spool.set_aside(document, "own-copy-damaged", "", NOW)
    for delivery in begun:
        spool.acknowledge(delivery, receipts(spool, document.id, delivery.target), NOW)
    assert spool.document(document.id).state is State.HELD

    spool.release(document.id, "uid 0", LATER)

    assert spool.document(document.id).state is State.FILED
    check(spool)


def test_a_refused_document_is_released_to_the_same_rules_again(spool: Spool) -> None:
    """Tries from zero, and its copy has to go."""
    document = refused(spool)

    assert spool.release(document.id, "uid 1000 (anna)", LATER) == ("document",)

    found = spool.document(document.id)
    assert (found.state, found.code, found.tries, found.changed_at) == (
        State.CLAIMED,
        "",
        0,
        LATER,
    )
    assert found.copy is Copy.LEAVING
    assert spool.copies_due("post", 5) == [found]
    assert "anna" not in json.dumps(last(spool))
    assert spool.unsealed_bytes() == document.size
    check(spool)


def test_a_refused_delivery_is_released_into_doubt(spool: Spool) -> None:
    """It was in SENDING once: the target is asked first, and the old reason is gone."""
    document = frozen(spool, claimed(spool))
    delivery = spool.begin_delivery(spool.delivery(document.id, "dms"), NOW)
    spool.reject(delivery, "target-refused", "unknown type 'INV'", NOW)
    rejected = spool.delivery(document.id, "dms")
    assert (rejected.state, rejected.code, rejected.reason) == (
        DeliveryState.REFUSED,
        "target-refused",
        "unknown type 'INV'",
    )
    assert spool.due("dms", LATER, 5) == []

    assert spool.release(document.id, "uid 0", LATER) == ("dms",)

    found = spool.delivery(document.id, "dms")
    assert (found.state, found.code, found.reason, found.step) == (
        DeliveryState.SENDING,
        "",
        "",
        "",
    )
    assert spool.due("dms", LATER, 5) == [found]
    check(spool)


def test_one_word_releases_a_held_document_and_its_refused_delivery(spool: Spool) -> None:
    """Damage of our own copy does both; nobody should have to ask twice."""
    document = frozen(spool, claimed(spool))
    delivery = spool.begin_delivery(spool.delivery(document.id, "dms"), NOW)
    held = spool.set_aside(document, "own-copy-damaged", "", NOW)
    spool.reject(delivery, "own-copy-damaged", "", NOW)

    assert spool.release(held.id, "uid 0", LATER) == ("document", "dms")

    assert spool.document(document.id).state is State.FROZEN
    assert spool.delivery(document.id, "dms").state is DeliveryState.SENDING
    check(spool)


@pytest.mark.parametrize("make", [claimed, frozen])
def test_what_waits_for_nobody_cannot_be_released(
    spool: Spool, make: Callable[..., Document]
) -> None:
    """The caller is told the state; no line is written for nothing."""
    document = claimed(spool) if make is claimed else frozen(spool, claimed(spool))
    before = spool.head()

    with pytest.raises(PersonNeeded) as caught:
        spool.release(document.id, "uid 0", NOW)

    assert caught.value.code == "nothing-to-release"
    assert spool.head() == before
    check(spool)


@pytest.mark.parametrize("named", ["", "../x", "019b0000-0000-7000-8000-000000000000"])
def test_a_document_that_nobody_knows_is_said_so(spool: Spool, named: str) -> None:
    """People type ids."""
    for ask in (
        lambda: spool.known(named),
        lambda: spool.release(named, "uid 0", NOW),
        lambda: spool.discard(named, "uid 0", "because", NOW),
    ):
        with pytest.raises(PersonNeeded) as caught:
            ask()
        assert caught.value.code == "unknown-document"
    assert events(spool) == []


def test_discarding_needs_a_refused_document(spool: Spool) -> None:
    """The reason is a person's words: personal detail, never in the line."""
    document = claimed(spool, 1)
    with pytest.raises(PersonNeeded) as caught:
        spool.discard(document.id, "uid 0", "because", NOW)
    assert caught.value.code == "not-refused"
    other = refused(spool, 2)

    found = spool.discard(other.id, "uid 0", "Herr Müller war nicht da", NOW)

    assert found.state is State.DISCARDED
    assert spool.copies_due("post", 5) == [found]
    spool.copy_removed(found, LATER)
    assert last(spool)["event"] == "copy-removed"
    assert spool.copies_due("post", 5) == []
    spool.discard(refused(spool, 3).id, "uid 0", "Herr Müller war nicht da", NOW)
    assert "ller" not in json.dumps(last(spool), ensure_ascii=False)
    assert last(spool)["personal_hash"]
    check(spool)


@pytest.mark.parametrize(
    "write",
    [
        lambda s, d: s.refuse(d, "x", "y", NOW),
        lambda s, d: s.set_aside(replace(d, state=State.SEALED), "x", "y", NOW),
        lambda s, d: s.freeze(replace(d, state=State.SEALED), [], NOW),
        lambda s, d: s.begin(d, "seal", NOW),
    ],
)
def test_a_stale_write_raises_and_changes_nothing(
    spool: Spool, write: Callable[[Spool, Document], object]
) -> None:
    """The row was not in the state that its writer believed: our bug, and the process ends."""
    stale = claimed(spool)
    now_refused = spool.refuse(stale, "pdf-damaged", "", NOW)
    before = (spool.head(), spool.counts())

    with pytest.raises(StaleWrite):
        write(spool, stale)

    assert (spool.head(), spool.counts()) == before
    assert spool.document(stale.id) == now_refused
    check(spool)


def test_a_step_that_fails_half_way_leaves_nothing(spool: Spool) -> None:
    """The row was changed already when the line could not be written: both or neither."""
    document = claimed(spool)
    before = (spool.head(), spool.counts())

    with pytest.raises(UnicodeEncodeError):
        spool.refuse(document, "pdf-damaged", "\ud800", NOW)

    assert spool.document(document.id) == document
    assert (spool.head(), spool.counts()) == before
    check(spool)


def test_a_full_disk_is_named_and_leaves_nothing(spool: Spool) -> None:
    """SQLite has rolled back by itself then: the error must not be "no transaction is active"."""
    document = claimed(spool)
    (pages,) = spool._db.execute("PRAGMA page_count").fetchone()
    spool._db.execute(f"PRAGMA max_page_count = {pages}")

    def fill() -> None:
        for number in range(500):
            spool.note("test", {"padding": "x" * 500, "n": number}, None, NOW)

    with pytest.raises(sqlite3.OperationalError, match="full") as caught:
        fill()

    assert caught.value.sqlite_errorcode == sqlite3.SQLITE_FULL
    spool._db.execute("PRAGMA max_page_count = 1000000")
    spool.refuse(document, "pdf-damaged", "", NOW)
    check(spool)


def test_a_line_about_the_box_names_no_document(spool: Spool) -> None:
    """A log-in, a start, a setting."""
    spool.note("test", {"a": 1}, {"person": "uid 0"}, NOW)

    assert (last(spool)["document"], last(spool)["detail"]) == ("", {"a": 1})
    assert spool.clock_record().newest == NOW
    check(spool)


def test_a_clock_that_went_back_stays_caught(spool: Spool) -> None:
    """Each start and each claim writes a line: by the last one's time the gate would open again."""
    spool.started("boot", LATER)
    spool.stopped(LATER)

    spool.started("boot", NOW)
    claimed(spool)

    assert spool.clock_record().newest == LATER


def test_the_ledger_remembers_each_document(spool: Spool) -> None:
    """At start: a folder without a row whose id has a line is no new scan."""
    document = claimed(spool)

    assert spool.remembered(document.id)
    assert spool.exists(document.id)
    assert not spool.remembered(new_id(NOW))
    assert not spool.exists(new_id(NOW))
    assert [json.loads(line)["event"] for line in spool.lines(document.id)] == ["claim"]


def test_views_see_the_newest_and_the_oldest(spool: Spool) -> None:
    """Through a connection of their own, which cannot write."""
    ids = [claimed(spool, number).id for number in range(5)]
    spool.refuse(spool.document(ids[1]), "x", "", NOW)
    path = Path(spool._db.execute("PRAGMA database_list").fetchone()["file"])
    reader = open_reader(path)

    assert [d.id for d in reader.newest(2)] == [ids[4], ids[3]]
    assert [d.id for d in reader.newest(2, before=ids[3])] == [ids[2], ids[1]]
    assert [d.id for d in reader.newest(9, state=State.REFUSED)] == [ids[1]]
    assert reader.newest(9, state=State.FILED) == []
    found = reader.oldest(State.CLAIMED)
    assert found is not None
    assert found.id == ids[0]
    assert reader.oldest(State.FILED) is None
    assert reader.counts()["document"] == {"claimed": 4, "refused": 1}
    assert reader.box_id() == spool.box_id()
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._db.execute("DELETE FROM document")
    reader.close()


def test_a_digest_in_a_row_is_checked_when_it_is_read(spool: Spool) -> None:
    """A row that holds anything else is damage, not a document."""
    document = claimed(spool)
    spool._db.execute("UPDATE document SET digest = 'x'")

    with pytest.raises(CorruptionError) as caught:
        spool.document(document.id)
    assert caught.value.code == "database-damaged"
    assert document.digest == Digest.of(b"original 0")


def test_a_clock_that_was_set_back_does_not_hold_up_what_was_frozen_before(spool: Spool) -> None:
    """No pause is longer than ten minutes: a later time is that of a clock that was wrong."""
    document = frozen(spool, claimed(spool))
    delivery = spool.delivery(document.id, "dms")
    assert delivery.due_at is not None

    assert spool.due("dms", delivery.due_at - timedelta(hours=2), 5) == [delivery]
    assert spool.due("dms", delivery.due_at - timedelta(seconds=1), 5) == []


def test_a_copy_of_an_earlier_refusal_does_not_stand_for_a_later_one(spool: Spool) -> None:
    """Released and refused again while the copy was being made: the next copy is still due."""
    first = spool.refuse(claimed(spool), "pdf-encrypted", "", NOW)
    spool.release(first.id, "uid 0", LATER)
    again = spool.refuse(
        spool.document(first.id), "too-many-pages", "", LATER + timedelta(seconds=1)
    )
    spool.copied_back(first, LATER, LATER + timedelta(seconds=2))

    assert spool.copies_due("post", 5) == [again]
    spool.copied_back(again, LATER, LATER + timedelta(seconds=3))
    assert spool.copies_due("post", 5) == []


def test_a_document_waits_for_a_reason_and_goes_on(spool: Spool) -> None:
    """Each way is one step with its line; the reason is on the row, and only while it waits."""
    document = claimed(spool)
    other = claimed(spool, 1)

    waiting = spool.let_wait(document, "seal-quality", NOW)
    assert (waiting.state, waiting.code) == (State.WAITING, "seal-quality")
    assert last(spool)["detail"] == {"code": "seal-quality"}
    assert spool.waiting_for("seal-quality") == [waiting.id]
    assert spool.waiting_profiles("seal-quality") == {waiting.profile: 1}
    assert spool.waiting_profiles("operator") == {}
    assert spool.waiting("post") == []
    assert spool.in_state(State.CLAIMED, 5) == [other]
    check(spool)

    resumed = spool.resume(waiting, LATER)
    assert (resumed.state, resumed.code) == (State.CLAIMED, "")
    assert events(spool)[-2:] == ["wait", "resume"]
    check(spool)
    with pytest.raises((StaleWrite, IllegalStep)):
        spool.resume(resumed, LATER)


def test_what_was_sealed_since_a_time_is_listed_page_by_page(spool: Spool) -> None:
    """After a revocation: which documents, where they are now, and with which certificate."""
    ours, other = str(Digest.of(b"ours")), str(Digest.of(b"other"))
    before = sealed(spool, claimed(spool), NOW, ours)
    at = NOW + timedelta(hours=1)
    late = [
        sealed(spool, claimed(spool, number), at + timedelta(minutes=number // 2), certificate)
        for number, certificate in enumerate((ours, ours, other, ours), 1)
    ]
    claimed(spool, 9)

    found, after = [], ("", "")
    while page := spool.sealed_since(at, after, 3):
        found += page
        after = (page[-1].sealed_at, page[-1].id)
    assert [one.id for one in found] == [one.id for one in late]
    assert {one.sealed_at for one in found} <= {
        utc_text(one.sealed_at) for one in late if one.sealed_at
    }
    assert [one.certificate for one in found] == [ours, ours, other, ours]
    assert {one.state for one in found} == {"sealed"}
    assert spool.count_sealed_since(at, Digest.of(b"ours")) == 3
    assert spool.count_sealed_since(NOW, Digest.of(b"ours")) == 4
    assert spool.sealed_since(NOW, ("", ""), 1)[0].id == before.id

    frozen(spool, claimed(spool, 10), at)
    newest = max(spool.sealed_since(at, ("", ""), 9), key=lambda one: one.id)
    assert newest.targets == {"archive": "pending", "dms": "pending"}
