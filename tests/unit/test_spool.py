"""The spool: each method is one step, with its ledger line and its tally, or nothing at all."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from daemon import ledger, schema
from daemon.document import (
    DeliveryEvent,
    DeliveryState,
    Digest,
    Document,
    Event,
    Role,
    State,
    new_id,
    utc_text,
)
from daemon.errors import CorruptionError, PersonNeeded, StaleWrite
from daemon.lifecycle import IllegalStep, advance, advance_delivery
from daemon.records.journal import compare, verify_files
from daemon.records.reader import open_reader
from daemon.spool import Spool, open_spool
from tests.values import NAME, NOW, arrival, frozen, part, places, receipts, sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LATER = NOW + timedelta(minutes=5)
BOOT = "boot one"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return places(tmp_path)


@pytest.fixture
def spool(state: Path) -> Iterator[Spool]:
    found = Spool(state, new=True)
    yield found
    found.close()


def claimed(spool: Spool, number: int = 0, *, size: int = 1000) -> Document:
    return spool.claim(arrival(number, size=size), NOW)


def refused(spool: Spool, number: int = 0) -> Document:
    return spool.refuse(claimed(spool, number), "pdf-damaged", "no page tree", NOW)


def events(spool: Spool) -> list[str]:
    return [json.loads(line)["event"] for line in spool.chain()]


def last(spool: Spool) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(list(spool.chain())[-1])
    return found


def check(spool: Spool) -> None:
    """Everything that has to be true after every method (I5, I7)."""
    db = spool._db
    assert not db.in_transaction
    head = ledger.verify(spool.chain())
    assert head == spool.head()
    documents = dict(db.execute("SELECT state, count(*) FROM document GROUP BY state"))
    unsealed = db.execute(
        "SELECT coalesce(sum(size), 0) FROM document WHERE state IN ('claimed', 'waiting')"
    ).fetchone()[0]
    deliveries: dict[str, Counter[str]] = {}
    for target, delivery_state in db.execute("SELECT target, state FROM delivery"):
        deliveries.setdefault(f"delivery:{target}", Counter())[delivery_state] += 1
    counts = spool.counts()
    assert counts.pop("document", {}) == documents
    assert counts.pop("bytes", {}).get("unsealed", 0) == unsealed == spool.unsealed_bytes()
    assert counts == deliveries
    told = told_by_the_ledger(spool)
    rows = {(d.id, ""): d.state for d in spool.newest(1000)}
    for document_id, _ in list(rows):
        for delivery in spool.deliveries(document_id):
            rows[document_id, delivery.target] = State(delivery.state) if False else delivery.state  # type: ignore[assignment]
    assert told == rows


def told_by_the_ledger(spool: Spool) -> dict[tuple[str, str], Any]:
    """Return every state as a rebuild would find it: from the lines alone, through the machines."""
    told: dict[tuple[str, str], Any] = {}
    held: dict[str, State] = {}
    for text in spool.chain():
        line = json.loads(text)
        document, event, detail = line["document"], line["event"], line["detail"]
        if not document:
            continue
        if event == "claim":
            assert (document, "") not in told
            told[document, ""] = State.CLAIMED
        elif event.startswith("delivery-"):
            where = (document, detail["target"])
            told[where] = advance_delivery(
                told[where], DeliveryEvent(event.removeprefix("delivery-"))
            )
        else:
            before = told[document, ""]
            after = advance(before, Event(event), held.get(document))
            if after is State.HELD:
                held[document] = before
            told[document, ""] = after
        if event == Event.FREEZE:
            for made in detail["deliveries"]:
                told[document, made["target"]] = DeliveryState.PENDING
    return told


# -- each method ---------------------------------------------------------------------------


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
    assert spool.copies_due(5) == [twice]
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
    assert spool.copies_due(5) == [document]
    assert last(spool)["event"] == "refuse"
    assert last(spool)["detail"] == {"code": "pdf-damaged", "reason": "no page tree"}
    assert spool.unsealed_bytes() == 0
    spool.copied_back(document, NOW)
    assert spool.copies_due(5) == []
    check(spool)


def test_a_seal_is_committed_with_all_that_a_rebuild_needs(spool: Spool) -> None:
    """And is left in the step `freeze`, which follows at once."""
    document = claimed(spool)
    before = spool.head()

    done = sealed(spool, document, LATER)

    assert (done.state, done.step, done.tries) == (State.SEALED, "freeze", 0)
    assert done.sealed == part("sealed", "sealed.pdf", document.id).digest
    assert done.findings == ("operator-unknown",)
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
    with pytest.raises(IllegalStep):
        spool.seal(done, part("s", "s"), part("n", "n"), {}, NOW, NOW, NOW)

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
    """Tries from zero, and no copy is due any more."""
    document = refused(spool)

    assert spool.release(document.id, "uid 1000 (anna)", LATER) == ("document",)

    found = spool.document(document.id)
    assert (found.state, found.code, found.tries, found.changed_at) == (
        State.CLAIMED,
        "",
        0,
        LATER,
    )
    assert spool.copies_due(5) == []
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
    assert spool.copies_due(5) == []
    assert "ller" not in json.dumps(last(spool), ensure_ascii=False)
    assert last(spool)["personal_hash"]
    check(spool)


def test_the_intent_to_send_is_committed_first(spool: Spool) -> None:
    """I3: PENDING becomes SENDING before a byte leaves; what is in doubt stays SENDING."""
    document = frozen(spool, claimed(spool))

    begun = spool.begin_delivery(spool.delivery(document.id, "dms"), NOW)

    assert (begun.state, begun.step) == (DeliveryState.SENDING, "deliver")
    assert last(spool)["event"] == "delivery-send"
    assert last(spool)["detail"] == {"target": "dms"}
    assert not spool.sendable(begun)
    lines = len(events(spool))
    spool.postpone(begun, LATER, "target-unreachable", "no route", NOW)
    again = spool.begin_delivery(spool.delivery(document.id, "dms"), LATER)
    assert (again.state, again.step, again.attempts) == (DeliveryState.SENDING, "deliver", 1)
    assert len(events(spool)) == lines  # trouble of a target is no state, and no line
    check(spool)


def test_a_postponed_delivery_waits_for_its_time(spool: Spool) -> None:
    """Its code and reason are for the page; the next one is looked at meanwhile."""
    document = frozen(spool, claimed(spool))
    begun = spool.begin_delivery(spool.delivery(document.id, "dms"), NOW)

    spool.postpone(begun, LATER, "target-unreachable", "no route", NOW)

    found = spool.delivery(document.id, "dms")
    assert (found.state, found.due_at, found.code, found.reason, found.step) == (
        DeliveryState.SENDING,
        LATER,
        "target-unreachable",
        "no route",
        "",
    )
    assert spool.due("dms", LATER - timedelta(seconds=1), 5) == []
    assert spool.due("dms", LATER, 5) == [found]
    assert spool.next_due("dms") == LATER
    assert spool.next_due("nowhere") is None
    check(spool)


def test_the_last_proof_files_the_document(spool: Spool) -> None:
    """In the same transaction: there is no moment in which all is proven and nothing filed."""
    document = frozen(spool, claimed(spool))
    begun = {
        target: spool.begin_delivery(spool.delivery(document.id, target), NOW)
        for target in ("dms", "archive")
    }

    first = spool.acknowledge(begun["dms"], receipts(spool, document.id, "dms"), LATER)
    assert first.state is State.FROZEN
    second = spool.acknowledge(begun["archive"], receipts(spool, document.id, "archive"), LATER)

    assert second.state is State.FILED
    assert events(spool)[-3:] == ["delivery-acknowledge", "delivery-acknowledge", "file"]
    assert spool.last_success("dms") == LATER
    assert [r["key"] for r in json.loads(spool.receipts(document.id)["archive"])] == [
        f"{document.id}/sealed.pdf",
        f"{document.id}/manifest.json",
    ]
    assert spool.open_targets() == set()
    check(spool)


def test_an_acknowledged_delivery_is_acknowledged_once(spool: Spool) -> None:
    """An answer that came twice, or to an old copy of the delivery."""
    document = frozen(spool, claimed(spool))
    begun = spool.begin_delivery(spool.delivery(document.id, "dms"), NOW)
    spool.acknowledge(begun, receipts(spool, document.id, "dms"), NOW)
    before = spool.head()

    for stale in (begun, replace(begun, state=DeliveryState.PENDING)):
        with pytest.raises((StaleWrite, IllegalStep)):
            spool.acknowledge(stale, [], NOW)
        with pytest.raises((StaleWrite, IllegalStep)):
            spool.reject(stale, "x", "y", NOW)
        with pytest.raises((StaleWrite, IllegalStep)):
            spool.postpone(stale, NOW, "x", "y", NOW)
        with pytest.raises((StaleWrite, IllegalStep)):
            spool.begin_delivery(stale, NOW)

    assert spool.head() == before
    assert spool.delivery(document.id, "dms").state is DeliveryState.DELIVERED
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

    with pytest.raises(sqlite3.OperationalError, match="full") as caught:
        for number in range(500):
            spool.note("test", {"padding": "x" * 500, "n": number}, None, NOW)

    assert caught.value.sqlite_errorcode == sqlite3.SQLITE_FULL
    spool._db.execute("PRAGMA max_page_count = 1000000")
    spool.refuse(document, "pdf-damaged", "", NOW)
    check(spool)


def test_a_line_about_the_box_names_no_document(spool: Spool) -> None:
    """A log-in, a start, a setting."""
    spool.note("test", {"a": 1}, {"person": "uid 0"}, NOW)

    assert (last(spool)["document"], last(spool)["detail"]) == ("", {"a": 1})
    assert spool.newest_line_at() == NOW
    check(spool)


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


# -- log-ins (I6) ----------------------------------------------------------------------------


def test_an_attempt_to_log_in_is_counted_before_it_is_made(spool: Spool) -> None:
    """Killed in between, the next start finds an attempt without an answer."""
    assert spool.login_record("4711").unresolved == 0

    spool.login_attempted("4711", NOW)

    assert spool.login_record("4711").unresolved == 1
    assert last(spool)["detail"] == {"token": "4711"}
    assert events(spool) == ["login-attempt"]


@pytest.mark.parametrize(("outcome", "rejected"), [("accepted", 0), ("rejected", 1), ("failed", 0)])
def test_an_answer_says_what_became_of_it(
    spool: Spool, outcome: Any, rejected: int
) -> None:
    """A rejection stays until a person says otherwise, over every restart."""
    spool.login_attempted("4711", NOW)

    spool.login_answered("4711", outcome, "code", NOW)

    record = spool.login_record("4711")
    assert (record.unresolved, record.rejected) == (0, bool(rejected))
    assert last(spool)["event"] == f"login-{outcome}"
    assert spool.login_record("0815").rejected is False


def test_a_permission_is_used_up_by_the_next_attempt(spool: Spool) -> None:
    """One more try, not any number of them."""
    spool.login_attempted("4711", NOW)
    spool.login_answered("4711", "rejected", "pin-rejected", NOW)

    spool.permit_login("4711", "uid 0 (root)", NOW)
    assert spool.login_record("4711").permitted
    assert "root" not in json.dumps(last(spool))
    spool.login_attempted("4711", NOW)

    record = spool.login_record("4711")
    assert (record.permitted, record.rejected, record.unresolved) == (False, True, 1)


def test_an_answer_without_an_attempt_is_our_bug(spool: Spool) -> None:
    """Nobody asked: the record would say something that never happened."""
    with pytest.raises(StaleWrite):
        spool.login_answered("4711", "accepted", "", NOW)
    check(spool)


# -- poison ---------------------------------------------------------------------------------


def reopened(spool: Spool, state: Path, boot: str | None = BOOT) -> Spool:
    """Kill the service, so to say, and start it again; with a boot id it also says so."""
    spool.close()
    found = Spool(state)
    if boot is not None:
        found.started(boot, LATER)
    return found


def test_the_second_unclean_end_refuses_an_unsealed_document(spool: Spool, state: Path) -> None:
    """Both times the daemon ended while it had it, in one and the same boot (I8)."""
    assert spool.started(BOOT, NOW) == ()
    document, other = claimed(spool, 1), claimed(spool, 2)
    spool.begin(document, "seal", NOW)
    spool.close()
    spool = Spool(state)
    assert spool.started(BOOT, NOW) == (document.id,)
    assert (spool.document(document.id).tries, spool.document(document.id).step) == (1, "")
    assert last(spool)["detail"] == {"unclean": True, "same_boot": True}
    spool.begin(spool.document(document.id), "seal", NOW)

    spool = reopened(spool, state)

    found = spool.document(document.id)
    assert (found.state, found.code, found.step) == (State.REFUSED, "crashed-here", "")
    assert spool.copies_due(5) == [found]
    assert spool.document(other.id) == other
    check(spool)
    spool.close()


def test_the_second_unclean_end_holds_a_sealed_document(spool: Spool, state: Path) -> None:
    """It has its seal and is wanted as it is: a person looks, nothing of it is sent."""
    spool.started(BOOT, NOW)
    document = sealed(spool, claimed(spool))
    assert document.step == "freeze"
    spool = reopened(spool, state)
    again = spool.document(document.id)
    assert (again.state, again.step, again.tries) == (State.SEALED, "", 1)
    spool.begin(again, "freeze", NOW)

    spool = reopened(spool, state)

    found = spool.document(document.id)
    assert (found.state, found.code, found.came_from) == (
        State.HELD,
        "crashed-here",
        State.SEALED,
    )
    check(spool)
    spool.close()


def test_the_second_unclean_end_refuses_a_delivery_and_not_its_document(
    spool: Spool, state: Path
) -> None:
    """What an adapter does to us is no fault of the scan's; the other target goes on."""
    spool.started(BOOT, NOW)
    document = frozen(spool, claimed(spool))
    spool.begin_delivery(spool.delivery(document.id, "dms"), NOW)
    spool = reopened(spool, state)
    delivery = spool.delivery(document.id, "dms")
    assert (delivery.state, delivery.tries, delivery.step) == (DeliveryState.SENDING, 1, "")
    spool.begin_delivery(delivery, NOW)

    spool = reopened(spool, state)

    delivery = spool.delivery(document.id, "dms")
    assert (delivery.state, delivery.code) == (DeliveryState.REFUSED, "crashed-here")
    assert spool.document(document.id).state is State.FROZEN
    assert len(spool.due("archive", LATER, 5)) == 1
    check(spool)
    spool.close()


def test_a_power_cut_is_not_counted(spool: Spool, state: Path) -> None:
    """Another boot id: the plug was pulled, and the document was only there."""
    spool.started(BOOT, NOW)
    document = claimed(spool)
    for boot in ("boot two", "boot three", "boot four"):
        spool.begin(spool.document(document.id), "seal", NOW)
        spool.close()
        spool = Spool(state)
        assert spool.started(boot, NOW) == ()
        assert last(spool)["detail"] == {"unclean": True, "same_boot": False}

    found = spool.document(document.id)
    assert (found.state, found.tries, found.step) == (State.CLAIMED, 0, "")
    check(spool)
    spool.close()


def test_a_clean_stop_is_not_counted(spool: Spool, state: Path) -> None:
    """systemctl restart in the middle of a seal, as often as anybody likes."""
    document = frozen(spool, claimed(spool, 1))
    other = claimed(spool, 2)
    for _ in range(3):
        spool.started(BOOT, NOW)
        spool.begin(spool.document(other.id), "seal", NOW)
        spool.begin_delivery(spool.delivery(document.id, "dms"), NOW)
        spool.stopped(NOW)
        assert events(spool)[-1] == "stop"
        assert verify_files(state / "ledger") == spool.head()  # nothing is left to catch up
        spool.close()
        spool = Spool(state)

    assert spool.started(BOOT, NOW) == ()
    found, delivery = spool.document(other.id), spool.delivery(document.id, "dms")
    assert (found.step, found.tries, delivery.step, delivery.tries) == ("", 0, "", 0)
    assert last(spool)["detail"] == {"unclean": False, "same_boot": False}
    check(spool)
    spool.close()


def test_one_counted_end_is_forgotten_once_the_step_is_done(spool: Spool, state: Path) -> None:
    """An end long ago, in another step, must not make the next one the second."""
    spool.started(BOOT, NOW)
    document = claimed(spool)
    spool.begin(document, "seal", NOW)
    spool = reopened(spool, state)
    assert spool.document(document.id).tries == 1

    done = frozen(spool, spool.document(document.id))

    assert done.tries == 0
    spool.close()


# -- opening ---------------------------------------------------------------------------------


def bytes_of(state: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(state)): p.read_bytes()
        for p in state.rglob("*")
        if p.is_file() and not p.name.endswith(("-wal", "-shm"))
    }


def refused_to_open(state: Path, *, new: bool = True) -> str:
    """Expect that opening is refused and nothing was changed; return the code."""
    before = bytes_of(state)
    with pytest.raises(CorruptionError) as caught:
        Spool(state, new=new)
    assert bytes_of(state) == before
    return caught.value.code


def test_a_new_database_is_private_and_has_a_name_of_its_own(tmp_path: Path) -> None:
    """0600, and a random box_id that stays."""
    ids = []
    for name in ("one", "two", "one"):
        spool = Spool(places(tmp_path / name), new=True)
        ids.append(spool.box_id())
        assert (tmp_path / name / "spool.db").stat().st_mode & 0o777 == 0o600
        spool.close()

    assert ids[0] == ids[2] != ids[1]
    assert len(ids[0]) == 32


def test_every_commit_is_on_the_disk(spool: Spool) -> None:
    """WAL and synchronous=FULL, as they are at run time: NORMAL loses the last commits."""
    assert spool._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert spool._db.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert spool._db.execute("PRAGMA foreign_keys").fetchone()[0] == 1
    assert spool._db.isolation_level is None


def test_without_being_told_so_no_database_is_made(state: Path) -> None:
    """Only the service's own start may begin a box's life."""
    assert refused_to_open(state, new=False) == "database-missing"
    assert not (state / "spool.db").exists()


@pytest.mark.parametrize("where", ["documents", "ledger"])
@pytest.mark.parametrize("content", [None, b""])
def test_a_lost_database_is_not_replaced_by_an_empty_one(
    state: Path, where: str, content: bytes | None
) -> None:
    """Missing, or there with no bytes in it, beside documents or ledger: a person is needed."""
    (state / where / "2026").mkdir()
    if content is not None:
        (state / "spool.db").write_bytes(content)

    assert refused_to_open(state) == "database-missing"


def test_a_database_without_tables_beside_documents_is_not_filled(state: Path) -> None:
    """Another program's file, or one that was begun and never finished."""
    other = sqlite3.connect(state / "spool.db")
    other.execute("CREATE TABLE theirs (x)")
    other.commit()
    other.close()
    (state / "documents" / "2026").mkdir()

    assert refused_to_open(state) == "database-missing"


def test_a_first_start_that_was_cut_off_begins_again(state: Path) -> None:
    """Nothing was ever here: an empty file is no evidence of anything."""
    (state / "spool.db").touch()

    spool = Spool(state, new=True)

    assert spool.box_id()
    spool.close()


@pytest.mark.parametrize(
    "content",
    [b"\0" * 4096, b"garbage" * 1000, b"x", b"SQLite format 3\0" + b"\xff" * 5000],
)
def test_garbage_is_refused_and_left_as_it_is(state: Path, content: bytes) -> None:
    """There may be something in it that can be saved."""
    (state / "documents" / "2026").mkdir()
    (state / "spool.db").write_bytes(content)

    assert refused_to_open(state) in {"database-damaged", "database-missing"}


@pytest.mark.parametrize("table", ["ledger", "meta"])
def test_damage_inside_is_found_at_the_start_where_it_is_read(state: Path, table: str) -> None:
    """Also in the ledger's table, which the journal reads: a sentence, not a crash loop."""
    spool = Spool(state, new=True)
    for number in range(50):
        spool.note("test", {"n": number}, None, NOW)
    (root,) = spool._db.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = ?", [table]
    ).fetchone()
    spool._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    spool.close()
    with (state / "spool.db").open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xee" * 4096)

    assert refused_to_open(state, new=False) == "database-damaged"


def test_a_database_newer_than_the_code_is_refused(state: Path) -> None:
    """After a downgrade: an older program would damage what it does not understand."""
    Spool(state, new=True).close()
    db = sqlite3.connect(state / "spool.db")
    db.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    db.close()

    assert refused_to_open(state) == "database-newer"


def test_a_folder_in_its_place_is_refused(state: Path) -> None:
    """Whatever is there instead of a file."""
    (state / "spool.db").mkdir()
    (state / "spool.db" / "x").touch()

    assert refused_to_open(state) == "database-damaged"


def test_a_spool_that_could_not_be_opened_holds_nothing_open(state: Path) -> None:
    """The service stays up and shows it, for days: a person mends the file meanwhile."""
    Spool(state, new=True).close()
    db = sqlite3.connect(state / "spool.db")
    db.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    db.close()
    with pytest.raises(CorruptionError):
        Spool(state)

    held = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
    assert not [path for path in held if path.startswith(str(state))]


# -- the thread ------------------------------------------------------------------------------


def test_the_spool_lives_on_one_thread(state: Path) -> None:
    """One writer, and the event loop waits for no disk."""

    async def main() -> None:
        spool = await open_spool(state, new=True)
        threads = {await spool(lambda _: threading.get_ident()) for _ in range(3)}
        scans = [arrival(number) for number in range(5)]
        found = await asyncio.gather(*(spool(Spool.claim, scan, NOW) for scan in scans))
        assert [d.id for d in found] == [scan.id for scan in scans]
        assert threads.isdisjoint({threading.get_ident()})
        assert len(threads) == 1
        await spool.close()

    asyncio.run(main())


def test_a_spool_that_cannot_be_opened_leaves_no_thread(state: Path) -> None:
    """The service stays up with damaged records."""
    (state / "spool.db").write_bytes(b"garbage" * 100)

    async def main() -> None:
        with pytest.raises(CorruptionError):
            await open_spool(state)

    asyncio.run(main())
    assert not [t for t in threading.enumerate() if t.name.startswith("spool")]


def test_damage_that_is_found_later_is_named_as_such(state: Path) -> None:
    """Not an error among others: whoever counts it as an unclean end would refuse documents."""
    spool = Spool(state, new=True)
    for number in range(30):
        claimed(spool, number)
    (root,) = spool._db.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'document'"
    ).fetchone()
    spool._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    spool.close()
    with (state / "spool.db").open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xee" * 4096)

    async def main() -> None:
        damaged = await open_spool(state)
        with pytest.raises(CorruptionError) as caught:
            await damaged(Spool.claim, arrival(99), NOW)
        assert caught.value.code == "database-damaged"
        await damaged.close()

    asyncio.run(main())


# -- killed ----------------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from daemon.spool import Spool
from tests.values import NOW, arrival, frozen
spool = Spool(Path(sys.argv[1]))
for number in range(100000):
    document = frozen(spool, spool.claim(arrival(number), NOW))
    print(document.id, flush=True)
    if number % 7 == 0:
        spool.export_ledger()
"""


def test_a_kill_leaves_only_whole_steps(state: Path) -> None:
    """SIGKILL at some moment: what was acknowledged is there, and everything agrees (I5, I7)."""
    Spool(state, new=True).close()
    chance = random.Random(4711)  # noqa: S311 (a moment, no secret)
    told: list[str] = []
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(state)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            text=True,
        )
        assert writer.stdout is not None
        for _ in range(chance.randrange(1, 30)):
            told.append(writer.stdout.readline().strip())
        writer.kill()
        told += writer.stdout.read().splitlines()
        writer.wait(timeout=10)
        writer.stdout.close()

        spool = Spool(state)
        check(spool)
        assert compare(state) == spool.head()
        for document_id in told:
            if len(document_id) == 36:  # the last line may have been cut by the kill
                assert spool.document(document_id).state is State.FROZEN
        spool.close()


# -- all methods, in any order ------------------------------------------------------------------


class Machine(RuleBasedStateMachine):
    """Whatever is called, and wherever it is cut off: rows, tallies, ledger and files agree."""

    folder: Path

    @initialize()
    def begin(self) -> None:
        self.number = 0
        self.now = NOW
        self.boot = 1
        self.state = places(Path(self.folder) / os.urandom(8).hex())
        self.spool = Spool(self.state, new=True)
        self.spool.started("boot 1", self.now)

    def teardown(self) -> None:
        if hasattr(self, "spool"):
            self.spool.close()
            shutil.rmtree(self.state)

    def some(self, data: st.DataObject, *states: State, step: bool = False) -> Document | None:
        found = [
            d for d in self.spool.newest(50) if d.state in states and bool(d.step) == step
        ]
        return data.draw(st.sampled_from(sorted(found, key=lambda d: d.id))) if found else None

    @rule()
    def time_passes(self) -> None:
        self.now += timedelta(hours=7)

    @rule()
    def clock_goes_back(self) -> None:
        self.now -= timedelta(hours=3)

    @rule(size=st.integers(1, 10**9))
    def claim(self, size: int) -> None:
        self.number += 1
        self.spool.claim(arrival(self.number, size=size), self.now)

    @rule(data=st.data())
    def begin_seal(self, data: st.DataObject) -> None:
        if document := self.some(data, State.CLAIMED):
            self.spool.begin(document, "seal", self.now)

    @rule(data=st.data(), how=st.sampled_from(["give back", "crash", "refuse"]))
    def end_a_step(self, data: st.DataObject, how: str) -> None:
        if document := self.some(data, State.CLAIMED, State.SEALED, step=True):
            if how == "give back":
                self.spool.give_back(document, self.now)
            elif how == "crash":
                self.spool.crashed(document, self.now)
            elif document.state is State.CLAIMED:
                self.spool.refuse(document, "pdf-damaged", "", self.now)

    @rule(data=st.data())
    def seal_and_freeze(self, data: st.DataObject) -> None:
        if document := self.some(data, State.CLAIMED):
            frozen(self.spool, document, self.now)

    @rule(data=st.data())
    def seal(self, data: st.DataObject) -> None:
        if document := self.some(data, State.CLAIMED):
            sealed(self.spool, document, self.now)

    @rule(data=st.data())
    def freeze(self, data: st.DataObject) -> None:
        if document := self.some(data, State.SEALED):
            one = part("sealed", "sealed.pdf", document.id)
            deliveries = [("dms", Role.DMS, (one,)), ("archive", Role.ARCHIVE, (one,))]
            self.spool.freeze(document, deliveries, self.now)

    @rule(data=st.data())
    def set_aside(self, data: st.DataObject) -> None:
        if document := self.some(data, State.SEALED, State.FROZEN):
            self.spool.set_aside(document, "own-copy-damaged", "", self.now)

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        if document := self.some(data, *State):
            try:
                self.spool.release(document.id, "uid 0", self.now)
            except PersonNeeded:
                return

    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        if document := self.some(data, State.REFUSED):
            self.spool.copied_back(document, self.now)
            self.spool.discard(document.id, "uid 0", "because", self.now)

    @rule(
        data=st.data(),
        target=st.sampled_from(["dms", "archive"]),
        how=st.sampled_from(["acknowledge", "acknowledge", "reject", "postpone", "nothing"]),
    )
    def deliver(self, data: st.DataObject, target: str, how: str) -> None:
        due = self.spool.due(target, self.now, 10)
        if not due:
            return
        begun = self.spool.begin_delivery(data.draw(st.sampled_from(due)), self.now)
        if how == "acknowledge":
            proofs = receipts(self.spool, begun.document, target, self.now)
            self.spool.acknowledge(begun, proofs, self.now)
        elif how == "reject":
            self.spool.reject(begun, "target-refused", "no", self.now)
        elif how == "postpone":
            self.spool.postpone(begun, self.now + timedelta(hours=1), "x", "y", self.now)

    @rule(data=st.data(), state=st.sampled_from(State))
    def stale_write(self, data: st.DataObject, state: State) -> None:
        document = self.some(data, *State)
        if document is None or document.state is state:
            return
        stale = replace(document, state=state, came_from=State.SEALED)
        for write in (
            lambda: self.spool.refuse(stale, "x", "", self.now),
            lambda: self.spool.set_aside(stale, "x", "", self.now),
            lambda: self.spool.begin(stale, "seal", self.now),
        ):
            with pytest.raises((StaleWrite, IllegalStep)):
                write()

    @rule()
    def export(self) -> None:
        self.spool.export_ledger()
        assert verify_files(self.state / "ledger") == self.spool.head()

    @rule(how=st.sampled_from(["stop", "kill", "power cut"]))
    def start_again(self, how: str) -> None:
        before = {d.id: d for d in self.spool.newest(1000)}
        if how == "stop":
            self.spool.stopped(self.now)
        self.spool.close()
        self.spool = Spool(self.state)
        if how == "power cut":
            self.boot += 1
        counted = self.spool.started(f"boot {self.boot}", self.now)
        assert how == "kill" or not counted
        for document in self.spool.newest(1000):
            assert not document.step
            if how != "kill":
                assert document.state is before[document.id].state
                assert document.tries == before[document.id].tries
        self.spool.export_ledger()
        assert compare(self.state) == self.spool.head()

    @invariant()
    def everything_agrees(self) -> None:
        if hasattr(self, "spool"):
            check(self.spool)
            for document in self.spool.newest(1000):
                assert document.tries < 2
                if document.state is State.FILED:
                    assert {d.state for d in self.spool.deliveries(document.id)} == {"delivered"}


def test_whatever_is_called_in_whatever_order_everything_agrees(tmp_path: Path) -> None:
    """Rows, tallies, ledger and files, over stops, kills and power cuts."""

    class Here(Machine):
        folder = tmp_path

    Here.TestCase.settings = settings(
        max_examples=25,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    Here.TestCase("runTest").runTest()


def test_a_digest_in_a_row_is_checked_when_it_is_read(spool: Spool) -> None:
    """A row that holds anything else is damage, not a document."""
    document = claimed(spool)
    spool._db.execute("UPDATE document SET digest = 'x'")

    with pytest.raises(ValueError, match="SHA-256"):
        spool.document(document.id)
    assert document.digest == Digest.of(b"original 0")
