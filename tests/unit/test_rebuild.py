"""spool.db made again from the ledger's files: the same tables, and nothing taken for unsent."""

from __future__ import annotations

import ast
import json
import signal
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.clock import Reading
from daemon.document import (
    DeliveryEvent,
    DeliveryState,
    Described,
    Digest,
    Event,
    Kin,
    Role,
    State,
    folder_of,
)
from daemon.errors import CorruptionError, PersonNeeded
from daemon.rebuild import rebuild
from daemon.records import moves, replay
from daemon.records.journal import PERSONAL, compare, files, verify_files
from daemon.spool import Spool
from tests.agreement import check
from tests.rebuilt import again, throw_away
from tests.values import (
    LATER,
    NOW,
    arrival,
    claimed,
    events,
    frozen,
    part,
    receipts,
    refused,
    sealed,
)


def test_documents_in_every_state_are_as_they_were(spool: Spool, state: Path) -> None:
    """The database is thrown away in the middle of a run: the lines know every state."""
    claimed(spool, 1)
    spool.let_wait(claimed(spool, 2), "seal-quality", NOW)
    refused(spool, 3)
    spool.release(refused(spool, 4).id, "uid 0", LATER)
    spool.discard(refused(spool, 5).id, "uid 0", "because", LATER)
    old = refused(spool, 6)
    spool.claim(arrival(7), LATER, Kin(supersedes=(old.id,), how="digest"))
    other = refused(spool, 8)
    spool.claim(arrival(9), LATER, Kin(resembles=other.id))
    sealed(spool, claimed(spool, 10), NOW)
    spool.set_aside(sealed(spool, claimed(spool, 11), NOW), "own-copy-damaged", "x", LATER)
    held = spool.set_aside(frozen(spool, claimed(spool, 12), NOW), "own-copy-damaged", "x", NOW)
    spool.release(held.id, "uid 0", LATER)
    frozen(spool, claimed(spool, 13), NOW)
    filed = frozen(spool, claimed(spool, 14), NOW)
    half = frozen(spool, claimed(spool, 15), NOW)
    for document, targets in ((filed, ("dms", "archive")), (half, ("dms",))):
        for target in targets:
            sending = spool.begin_delivery(spool.delivery(document.id, target), NOW)
            spool.acknowledge(sending, receipts(spool, document.id, target), LATER)
    sending = spool.begin_delivery(spool.delivery(half.id, "archive"), NOW)
    spool.reject(sending, "target-refused", "no", LATER)
    spool.copied_back(spool.document(other.id), LATER + timedelta(days=30), LATER)
    states = {one.state for one in spool.newest(100)}

    made = again(spool, state)

    assert states == set(State) - {State.STAMPED, State.WITHDRAWN, State.FORGOTTEN}
    made.close()


def test_what_was_not_sent_for_certain_is_asked_for_first(spool: Spool, state: Path) -> None:
    """The files may lack the newest lines: PENDING could have been SENDING (I3)."""
    document = frozen(spool, claimed(spool, 1), NOW)
    (state / "spool.db.rebuilding").write_bytes(b"what a kill left of the first try")

    made = again(spool, state)

    assert {one.state for one in made.deliveries(document.id)} == {DeliveryState.SENDING}
    assert not list(state.glob("spool.db.rebuilding*"))
    made.close()


@pytest.mark.parametrize("given_up", [False, True])
def test_time_stamps_given_up_or_there(spool: Spool, state: Path, given_up: bool) -> None:
    """A stamped file is found by the digest that its line says."""
    document = sealed(spool, claimed(spool, 1), NOW)
    spool.give_back(document, NOW)
    document = spool.document(document.id)
    if given_up:
        document = replace(document, stamp="given-up", findings=("level-not-reached",))
        one = part("sealed", "sealed.pdf", document.id)
        spool.freeze(document, [("dms", Role.DMS, (one,))], LATER)
    else:
        document = replace(document, findings=("level-not-reached",))
        spool.stamp(document, part("sealed", "sealed.pdf", "stamped"), "B-T", LATER, LATER)

    again(spool, state).close()


def test_what_came_with_a_scan_and_the_counters(spool: Spool, state: Path) -> None:
    """Numbers that are missing, one that was explained, names, an operator who was named."""
    for number, counter in ((1, 1), (2, 2), (3, 6), (4, 7)):
        came = replace(arrival(number), awaits="sidecar", subfolder=b"a/b")
        described = Described(
            operator="Erika", source="name", batch="7", counter=counter, digits=4, subfolder="a/b"
        )
        sidecar = part("sidecar", "sidecar.json", str(number))
        described = replace(described, sidecar=str(sidecar.digest))
        refusal = ("sidecar-damaged", "") if number == 4 else None
        spool.describe(spool.claim(came, NOW), described, sidecar, refusal, 60.0, LATER)
    spool.explain("post", 4, None, "uid 0", "eaten", LATER)
    waiting = spool.claim(arrival(5), NOW)
    spool.await_operator(waiting, NOW)
    spool.name_operator(waiting, "Max", "uid 0", LATER)
    spool.begin_shift("post", "Erika", "uid 0", NOW)
    spool.begin_shift("post", "", "uid 0", LATER)

    again(spool, state).close()


def test_never_more_tries_than_before(spool: Spool, state: Path) -> None:
    """I6: attempts without a result, a rejection and a permission outlive the database."""
    spool.login_attempted("open", NOW)
    spool.login_attempted("open", NOW)
    spool.login_answered("open", "failed", "token-away", NOW)
    spool.login_attempted("wrong", NOW)
    spool.login_answered("wrong", "rejected", "pin-incorrect", NOW)
    spool.login_attempted("again", NOW)
    spool.login_answered("again", "rejected", "pin-incorrect", NOW)
    spool.permit_login("again", "uid 0", NOW)
    told = [spool.login_record(serial) for serial in ("open", "wrong", "again")]

    made = again(spool, state)

    assert [made.login_record(serial) for serial in ("open", "wrong", "again")] == told
    assert told[0].unresolved == 1
    made.close()


def test_a_clock_that_jumped_and_days_that_ended(spool: Spool, state: Path) -> None:
    """The gate stays closed; what was accepted stays accepted; the box stays who it is."""
    spool.clock_jumped(7200, Reading("boot", 1.5), NOW)
    spool.clock_accepted("person", "uid 0", Reading("boot", 1.5), LATER)
    spool.clock_accepted("ntp", "", Reading("boot", 1.5), LATER, seconds=86_400)
    spool.export_ledger()
    spool.end_day(NOW + timedelta(days=1))
    spool.clock_jumped(7200, Reading("boot", 1.5), NOW + timedelta(days=1))
    box = spool.box_id()

    made = again(spool, state)

    assert made.box_id() == box
    assert made.clock_record().jumped
    made.close()


def test_what_was_erased_stays_erased(spool: Spool, state: Path) -> None:
    """Also where the files still have it: the erasure was committed."""
    document = refused(spool, 1)
    spool.export_ledger()
    spool.erase_personal(document.id, LATER)

    made = again(spool, state)

    assert not made._db.execute("SELECT count(*) FROM personal").fetchone()[0]
    made.close()


@pytest.mark.parametrize("ending", ["", "-wal"])
def test_nothing_is_overwritten(spool: Spool, state: Path, ending: str) -> None:
    """A damaged database is a person's to move; an old log would be read into the new one."""
    spool.export_ledger()
    spool.close()
    throw_away(state)
    there = state / f"spool.db{ending}"
    there.write_bytes(b"damaged")

    with pytest.raises(PersonNeeded) as caught:
        rebuild(state, [], lambda _: None)

    assert caught.value.code == "database-there"
    assert there.read_bytes() == b"damaged"


def test_a_ledger_that_is_not_whole_makes_no_database(spool: Spool, state: Path) -> None:
    """A changed line ends it: half a truth is worse than none."""
    claimed(spool, 1)
    claimed(spool, 2)
    spool.export_ledger()
    spool.close()
    throw_away(state)
    (path,) = files(state / "ledger")
    path.write_bytes(path.read_bytes().replace(b'"size":1000', b'"size":1001', 1))

    with pytest.raises(CorruptionError) as caught:
        rebuild(state, [], lambda _: None)

    assert caught.value.code == "ledger-damaged"
    assert not (state / "spool.db").exists()


def test_folders_without_a_line_and_lines_without_files_are_named(
    spool: Spool, state: Path
) -> None:
    """What could not be made again is said; what a kill left is the next start's."""
    lost = claimed(spool, 1)
    whole = claimed(spool, 2)
    for document_id in (whole.id, arrival(3).id):
        folder = folder_of(spool.documents, document_id)
        folder.mkdir(parents=True)
        (folder / "original.pdf").write_bytes(b"original")
        unclaimed = document_id
    spool.export_ledger()
    spool.close()
    throw_away(state)

    found = rebuild(state, [], lambda _: None)

    assert (found.documents, found.unclaimed, found.missing) == (2, (unclaimed,), (lost.id,))


def test_days_of_the_ledger_are_asked_for_first(spool: Spool, state: Path) -> None:
    """A sealed day may have been sent by a line that is lost."""
    from daemon.ledger import Head, Segment  # noqa: PLC0415

    claimed(spool, 1)
    head = spool.head()
    digest = Digest.of(b"day")
    for day in ("2026-11-20", "2026-11-21"):
        segment = Segment(
            day=day, first=1, head=Head(head.seq, head.hash), digest=digest, size=3,
            seal=digest, seal_size=3,
        )  # fmt: skip
        spool.seal_segment(segment, digest, NOW)
        spool.begin_segment(day, "archive", NOW)
    spool.acknowledge_segment("2026-11-20", "archive", (), LATER)
    spool.export_ledger()
    spool.close()
    throw_away(state)

    rebuild(state, ["archive", "second"], lambda _: None)

    with closing(Spool(state)) as made:
        sent = [one.day for one in made.undelivered("archive")]
        lines = [json.loads(one) for one in made.chain()]
        assert sent == ["2026-11-21"]
        assert made.begin_segment("2026-11-20", "second", LATER)
    assert [one["event"] for one in lines][-3:] == ["rebuild", "segment-send", "segment-send"]


def test_it_is_known_whether_the_files_have_a_manifest(spool: Spool, state: Path) -> None:
    """Before anything of it is sent they have to; and no fsync that is not needed."""
    document = frozen(spool, claimed(spool, 1), NOW)
    assert spool.manifest_is_ahead(document.id)
    spool.export_ledger()
    assert verify_files(state / "ledger") == spool.head()
    claimed(spool, 2)
    assert not spool.manifest_is_ahead(document.id)


@pytest.mark.parametrize("lost", [1, 3])
def test_personal_details_of_lines_that_are_lost_keep_nobody_out(
    spool: Spool, state: Path, lost: int
) -> None:
    """They are written first: a power cut in between leaves them without their lines."""
    refused(spool, 1)
    spool.export_ledger()
    (path,) = files(state / "ledger")
    whole = path.read_bytes()
    for _ in range(lost):
        spool.note("key-destroyed", {}, {"person": "uid 0"}, NOW)
    spool.export_ledger()
    spool.close()
    throw_away(state)
    path.write_bytes(whole + b'{"at":"torn')

    rebuild(state, [], lambda _: None)

    with closing(Spool(state)) as made:
        made.export_ledger()
        assert compare(state) == made.head()
        assert events(made)[-1] == "rebuild"
    throw_away(state)
    rebuild(state, [], lambda _: None)


@pytest.mark.parametrize("at", ["behind a line", "in a line", "new day", "personal", "details"])
def test_zeros_at_the_end_of_the_newest_files_keep_nobody_out(
    spool: Spool, state: Path, at: str
) -> None:
    """A power cut left the length of the last append and not its bytes, and took the database."""
    refused(spool, 1)
    spool.note("key-destroyed", {}, {"person": "uid 0"}, NOW)
    spool.export_ledger()
    (path,) = files(state / "ledger")
    (details,) = files(state / "ledger", PERSONAL)
    spool.close()
    throw_away(state)
    if at in {"behind a line", "in a line"}:
        path.write_bytes(path.read_bytes() + b'{"at":"torn' * (at == "in a line") + bytes(5000))
    elif at == "details":
        details.write_bytes(details.read_bytes() + bytes(5000))
    else:
        name = "2026-11-30" + (PERSONAL if at == "personal" else ".jsonl")
        (state / "ledger" / name).write_bytes(bytes(5000))

    rebuild(state, [], lambda _: None)

    with closing(Spool(state)) as made:
        made.note("start", {}, {"person": "uid 0"}, LATER)
        made.export_ledger()
        assert compare(state) == made.head()
        assert events(made)[-2:] == ["rebuild", "start"]
        check(made)
    assert not [path for path in (state / "ledger").iterdir() if b"\0" in path.read_bytes()]
    throw_away(state)
    rebuild(state, [], lambda _: None)


@pytest.mark.parametrize("document", ["", "document"])
def test_a_line_of_an_event_that_nobody_knows_is_refused(
    spool: Spool, state: Path, document: str
) -> None:
    """Of the box or of a document: what it changed could not be made again."""
    one = claimed(spool, 1)
    with spool._step(NOW) as step:
        step.line(one.id if document else "", "teleported", {})
    spool.export_ledger()
    spool.close()
    throw_away(state)

    with pytest.raises(CorruptionError, match="teleported"):
        rebuild(state, [], lambda _: None)


def test_every_event_of_the_program_is_repeated_or_changes_no_table() -> None:
    """Whoever writes a new kind of line says here what a rebuild does with it."""
    root = Path(replay.__file__).parents[1]
    written = set()
    for path in root.rglob("*.py"):
        written |= _events_written(ast.parse(path.read_text()))
    known = _strings(ast.parse(Path(replay.__file__).read_text())) | set(replay.NO_TABLE)
    known |= {*Event, *(f"delivery-{event}" for event in DeliveryEvent)}

    assert len(written) > 20
    assert written - known == set()


def _events_written(tree: ast.AST) -> set[str]:
    """Return the constant second arguments of `line`, and those of `note`, in a module."""
    found = set()
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        name = getattr(call.func, "attr", "")
        named = [getattr(one, "attr", "") for one in call.args[:1]]
        if name in {"line", "_copy"} or named == ["note"]:
            found |= {
                one.value
                for one in call.args[1:3]
                if isinstance(one, ast.Constant) and isinstance(one.value, str)
            }
    return found


def _strings(tree: ast.AST) -> set[str]:
    return {
        one.value
        for one in ast.walk(tree)
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
    }


def test_what_was_withdrawn_is_in_no_doubt(spool: Spool, state: Path) -> None:
    """Nothing of it had begun when that was committed, and nothing of it begins."""
    document = spool.set_aside(frozen(spool, claimed(spool, 1), NOW), "x", "x", NOW)
    with spool._step(NOW) as step:
        moves.move_document(step, document, Event.WITHDRAW, {})
    spool.export_ledger()
    spool.close()
    throw_away(state)

    assert rebuild(state, [], lambda _: None).in_doubt == 0

    with closing(Spool(state)) as made:
        assert {one.state for one in made.deliveries(document.id)} == {DeliveryState.PENDING}
        check(made)


KILLED = """
import os, signal, sys
from pathlib import Path
from daemon import durable, rebuild
from daemon.records import journal
point, state = sys.argv[1], Path(sys.argv[2])
def end(*_):
    os.kill(os.getpid(), signal.SIGKILL)
if point == "between lines":
    rebuild.GROUP = 3
    rebuild.rebuild(state, [], end)
elif point == "rename":
    Path.rename = end
elif point == "after the rename":
    durable.sync_folder = end
else:
    setattr(rebuild, point, end)
rebuild.rebuild(state, [], print)
"""


@pytest.mark.parametrize(
    "point",
    ["between lines", "_make_safe", "_compared", "drop_behind", "rename", "after the rename"],
)
def test_i5_killed_anywhere_it_is_begun_anew(spool: Spool, state: Path, point: str) -> None:
    """Until the last moment there is no database, and no service begins an empty one."""
    for number in range(4):
        frozen(spool, claimed(spool, number), NOW)
    spool.export_ledger()
    head = spool.head()
    spool.close()
    throw_away(state)

    killed = subprocess.run([sys.executable, "-c", KILLED, point, state], check=False)

    assert killed.returncode == -signal.SIGKILL
    if point == "after the rename":
        with closing(Spool(state)) as made:
            check(made)
            assert made.head().seq > head.seq
        return
    with pytest.raises(CorruptionError) as caught:
        Spool(state, new=True)
    assert caught.value.code == "database-missing"
    assert rebuild(state, [], lambda _: None).lines == head.seq
    assert not list(state.glob("spool.db.rebuilding*"))
    with closing(Spool(state)) as made:
        check(made)
        made.export_ledger()
    assert compare(state).seq > head.seq


def test_what_was_forgotten_missed_or_found_bad_is_as_it_was(spool: Spool, state: Path) -> None:
    """The ends of a life: nothing comes back that is gone, and nothing is proven that was missed."""

    def filed(number: int) -> str:
        document = frozen(spool, claimed(spool, number), NOW)
        for target in ("dms", "archive"):
            sending = spool.begin_delivery(spool.delivery(document.id, target), NOW)
            spool.acknowledge(sending, receipts(spool, document.id, target), NOW)
        return document.id

    forgotten, gone, again_sent, bad, discarded, longer = (filed(number) for number in range(6))
    locked = [
        replace(receipt, detail={"retain_until": "2036-01-01T00:00:00.000Z"})
        for receipt in receipts(spool, longer, "archive")
    ]
    spool.lengthened(spool.delivery(longer, "archive"), locked, LATER)
    waived = frozen(spool, claimed(spool, 6), NOW).id
    tried = spool.begin_delivery(spool.delivery(waived, "dms"), NOW)
    spool.postpone(tried, LATER, "target-full", "no room", NOW)
    spool.waive(waived, "dms", "uid 0", "moved", LATER)
    assert spool.forget(spool.document(forgotten), spool.deliveries(forgotten), [], LATER)
    spool.unlinked([forgotten], LATER)
    for document_id in (gone, again_sent):
        assert spool.miss(spool.delivery(document_id, "dms"), "gone-from-target", "x", LATER)
    spool.release(again_sent, "uid 0", LATER)
    spool.rechecked(bad, "own-copy-damaged", LATER)
    other = refused(spool, 9)
    spool.discard(other.id, "uid 0", "blank", NOW)
    spool.copy_removed(spool.document(other.id), NOW)
    assert spool.forget(spool.document(other.id), [], [], LATER)
    progress = spool.recheck_progress().bad

    made = again(spool, state)

    assert made.leaving(10) == [forgotten, other.id]
    assert made.recheck_progress().bad == progress == (bad,)
    assert made.document(discarded).state is State.FILED
    made.close()
