"""The ledger's days: sealed when they are over, archived once, and nothing personal with them."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from daemon import cms, ledger
from daemon.document import Digest
from daemon.errors import TargetUnreachable
from daemon.records.journal import compare
from daemon.records.reader import open_reader
from daemon.spool import Spool
from tests.exported import DAY, FIRST, Here, run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from daemon.document import Receipt
    from daemon.targets import Sending


def archived(root: Path) -> dict[str, bytes]:
    """Return all that lies in the archive."""
    folder = root / "archive"
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def lines(root: Path) -> list[dict[str, Any]]:
    reader = open_reader(root / "state" / "spool.db")
    try:
        return [json.loads(line) for line in reader.chain()]
    finally:
        reader.close()


def events(root: Path, event: str) -> list[dict[str, Any]]:
    return [line["detail"] for line in lines(root) if line["event"] == event]


def test_a_day_is_sealed_when_it_is_over_and_archived_as_it_is(tmp_path: Path) -> None:
    """The seal is over the file's exact bytes; what the steps were stands in the next day."""

    async def work(here: Here) -> None:
        await here.note(3, personal=True)
        await here.turn()
        assert archived(tmp_path) == {}
        here.now += DAY
        await here.turn()

        box_id = await here.spool(Spool.box_id)
        name = f"ledger-{box_id}-2026-11-23"
        segment = (here.ledger / "2026-11-23.jsonl").read_bytes()
        seal = (here.ledger / "2026-11-23.p7s").read_bytes()
        assert archived(tmp_path) == {
            f"{name}/segment.jsonl": segment,
            f"{name}/segment.p7s": seal,
        }
        template = here.key.template
        digest = bytes.fromhex(Digest.of(segment).hex)
        cms.check(seal, digest, template.certificate, template.chain, detached=True)
        assert [json.loads(line)["seq"] for line in segment.splitlines()] == [1, 2, 3]
        found = await here.spool(Spool.last_segment)
        assert found is not None
        assert (found.day, found.first, found.head.seq) == ("2026-11-23", 1, 3)
        assert found.head.hash == ledger.hash_of(segment.splitlines()[-1].decode())
        proof = json.loads((here.ledger / "2026-11-23.receipt-archive.json").read_bytes())
        assert [r["key"] for r in proof["receipts"]] == sorted(archived(tmp_path))

    run(tmp_path, work)

    assert [line["event"] for line in lines(tmp_path)[3:]] == [
        *("day-end", "segment-seal", "segment-send", "segment-acknowledge")
    ]
    (sealed,) = events(tmp_path, "segment-seal")
    assert (sealed["day"], sealed["first"], sealed["last"]) == ("2026-11-23", 1, 3)


def test_no_personal_line_is_archived(tmp_path: Path) -> None:
    """They can be erased here; in the archive they never could."""

    async def work(here: Here) -> None:
        await here.note(3, personal=True)
        here.now += DAY
        await here.turn()
        assert b"Erika" in (here.ledger / "2026-11-23.personal.jsonl").read_bytes()

    run(tmp_path, work)

    assert len(archived(tmp_path)) == 2
    assert not any(b"Erika" in data for data in archived(tmp_path).values())


def test_days_without_lines_have_no_segment_and_the_chain_goes_on(tmp_path: Path) -> None:
    """A box that was off for days: the next segment follows the one before."""

    async def work(here: Here) -> None:
        await here.note(2)
        here.now += 5 * DAY
        await here.note(2)
        here.now += DAY
        await here.turn()

    run(tmp_path, work)

    days = [detail["day"] for detail in events(tmp_path, "segment-seal")]
    assert days == ["2026-11-23", "2026-11-28"]
    parts = [data for key, data in sorted(archived(tmp_path).items()) if key.endswith(".jsonl")]
    ledger.verify(line.decode() for data in parts for line in data.splitlines())


def test_the_day_that_still_runs_is_not_sealed(tmp_path: Path) -> None:
    """Only what never changes again is sealed, whatever the other days are."""

    async def work(here: Here) -> None:
        for _ in range(2):
            await here.note(2)
            here.now += timedelta(hours=14)  # 23:00, then 13:00 of the next day
            await here.turn()

    run(tmp_path, work)

    assert [detail["day"] for detail in events(tmp_path, "segment-seal")] == ["2026-11-23"]


def test_a_clock_that_goes_back_over_midnight_adds_nothing_to_a_sealed_day(tmp_path: Path) -> None:
    """Also not after a restart, when all that is known is on the disk."""

    async def first(here: Here) -> None:
        await here.note(2)
        here.now += DAY
        await here.stage.seal_next()

    async def second(here: Here) -> None:
        here.now = FIRST
        await here.note(2)
        here.now += DAY
        await here.turn()

    run(tmp_path, first)
    sealed = (tmp_path / "state/ledger/2026-11-23.jsonl").read_bytes()
    run(tmp_path, second)

    assert (tmp_path / "state/ledger/2026-11-23.jsonl").read_bytes() == sealed
    assert [key for key in archived(tmp_path) if "11-23" in key]


def test_one_wrong_future_time_does_not_stop_it_for_years(tmp_path: Path) -> None:
    """The file is named after a day to come; it is closed all the same, once a day."""
    wrong = FIRST.replace(year=2036)

    async def work(here: Here) -> None:
        await here.note(1)
        here.now = wrong
        await here.note(1)
        for number in range(3):
            here.now = FIRST + (number + 1) * DAY
            await here.note(1)
            await here.turn()
            await here.turn()
        here.now += DAY
        await here.turn()
        assert here.alarms.now() == ()

    run(tmp_path, work)

    days = [detail["day"] for detail in events(tmp_path, "segment-seal")]
    assert days == ["2026-11-23", *(f"2036-11-{n}" for n in (23, 24, 25, 26))]
    parts = [data for key, data in sorted(archived(tmp_path).items()) if key.endswith(".jsonl")]
    ledger.verify(line.decode() for data in parts for line in data.splitlines())
    compare(tmp_path / "state")


@pytest.mark.parametrize("what", ["token", "clock", "archive"])
def test_what_is_away_delays_it_and_after_three_days_an_alarm_says_so(
    tmp_path: Path, what: str
) -> None:
    """Nothing is lost by it: as soon as it is back, every day is sealed and archived."""

    def away(here: Here, *, gone: bool) -> None:
        here.key.away = gone and what == "token"
        here.clock_good = not gone or what != "clock"
        if what == "archive":
            places = (tmp_path / "archive", tmp_path / "away")
            places[not gone].rename(places[gone])

    async def work(here: Here) -> None:
        away(here, gone=True)
        for _ in range(3):
            await here.note(1)
            here.now += DAY
            await here.turn()
        assert here.alarms.now() == ()
        here.now += timedelta(days=1, hours=1)
        await here.turn()
        (alarm,) = here.alarms.now()
        assert (alarm.code, alarm.instance) == ("ledger-not-archived", "archive")
        assert alarm.detail == "2026-11-23"
        away(here, gone=False)
        await here.turn()
        assert here.alarms.now() == ()

    run(tmp_path, work)

    assert sum(key.endswith(".p7s") for key in archived(tmp_path)) >= 3


def test_a_line_that_was_changed_is_not_sealed_and_nothing_after_it(tmp_path: Path) -> None:
    """A seal says that these are the lines that were written: then it must be so."""

    async def work(here: Here) -> None:
        await here.note(3)
        here.now += DAY
        await here.note(1)
        path = here.ledger / "2026-11-23.jsonl"
        good = path.read_bytes()
        path.write_bytes(good.replace(b'"n":2', b'"n":3'))
        here.now += DAY
        await here.turn()
        assert [(a.code, a.instance) for a in here.alarms.now()] == [
            ("ledger-damaged", "2026-11-23")
        ]
        assert here.key.signatures == []
        path.write_bytes(good)
        await here.turn()
        assert here.alarms.now() == ()

    run(tmp_path, work)

    assert len(events(tmp_path, "segment-seal")) == 2


def test_other_bytes_in_the_archive_are_never_overwritten_and_the_other_days_go_on(
    tmp_path: Path,
) -> None:
    """The alarm is there at once: only a person can say who is right."""

    async def work(here: Here) -> None:
        await here.note(1)
        here.now += DAY
        name = f"ledger-{await here.spool(Spool.box_id)}-2026-11-23"
        (tmp_path / "archive" / name).mkdir()
        other = tmp_path / "archive" / name / "segment.jsonl"
        other.write_bytes(b"something else\n")
        await here.note(1)
        here.now += DAY
        await here.turn()
        (alarm,) = here.alarms.now()
        assert (alarm.code, alarm.detail) == (
            "ledger-not-archived",
            "2026-11-23 target-disagrees",
        )
        assert other.read_bytes() == b"something else\n"
        assert [s.day for s in await here.spool(Spool.undelivered, "archive")] == ["2026-11-23"]
        other.unlink()
        await here.turn()
        assert here.alarms.now() == ()

    run(tmp_path, work)


def test_what_was_begun_is_asked_for_before_it_is_sent_again(tmp_path: Path) -> None:
    """I3: the archive has it, we never heard; the object there stays the one it was."""

    async def work(here: Here) -> None:
        await here.note(1)
        here.now += DAY
        await here.turn()
        (kept,) = (tmp_path / "archive").glob("*/segment.jsonl")
        before = kept.stat().st_ino
        await here.spool(_forget_answer)
        here.archive.puts.clear()
        await here.turn()
        assert here.archive.puts == []
        assert kept.stat().st_ino == before
        assert await here.spool(Spool.undelivered, "archive") == []

    run(tmp_path, work)

    assert len(events(tmp_path, "segment-send")) == 1


def _forget_answer(spool: Spool) -> None:
    spool._db.execute("UPDATE segment_delivery SET state = 'sending', receipts = '[]'")


def test_a_day_in_doubt_is_absent_twice_before_it_is_sent_to_who_cannot_refuse_it(
    tmp_path: Path,
) -> None:
    """As for a document: an archive may store it after we gave up."""

    async def work(here: Here) -> None:
        here.archive.create_once = False
        real = here.archive.put_all

        async def lost(parts: Sequence[Sending]) -> list[Receipt]:
            raise TargetUnreachable(f"the answer for {parts[0].key} was lost", in_doubt=True)

        await here.note(1)
        here.now += DAY
        assert await here.stage.seal_next()
        here.archive.put_all = lost  # type: ignore[method-assign]
        assert not await here.stage.deliver(here.archive)
        here.archive.put_all = real  # type: ignore[method-assign]
        for seconds in (10, 289):
            here.now += timedelta(seconds=seconds)
            assert not await here.stage.deliver(here.archive)
        for seconds in (1, 59):
            here.now += timedelta(seconds=seconds)
            assert not await here.stage.deliver(here.archive)
        assert list((here.root / "archive").iterdir()) == []
        here.now += timedelta(seconds=1)
        assert await here.stage.deliver(here.archive)
        assert len(list((here.root / "archive").rglob("segment.*"))) == 2

    run(tmp_path, work)


def test_an_archive_that_is_new_gets_the_earlier_days_too(tmp_path: Path) -> None:
    """Whatever was sealed is due in every archive that the configuration names."""

    async def work(here: Here) -> None:
        await here.note(1)
        here.now += DAY
        await here.turn()
        assert [s.day for s in await here.spool(Spool.undelivered, "second")] == ["2026-11-23"]

    run(tmp_path, work)


def test_the_running_stage_seals_and_archives(tmp_path: Path) -> None:
    """The loops around the steps: woken by a seal, and ended by a cancel."""

    async def work(here: Here) -> None:
        await here.note(1)
        here.now += DAY
        beats = []
        here.stage.beat = lambda: beats.append(1)
        running = asyncio.create_task(here.stage.run())
        async with asyncio.timeout(30):
            while not list((tmp_path / "state/ledger").glob("*.receipt-archive.json")):
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert beats

    run(tmp_path, work)

    assert len(archived(tmp_path)) == 2


@pytest.mark.parametrize("how", ["document", "range"])
def test_erasing_a_persons_details_leaves_the_chain_valid(tmp_path: Path, how: str) -> None:
    """The line keeps a salted hash; the details are gone from every file, also from SQLite's."""

    async def work(here: Here) -> None:
        await here.note(3, personal=True)
        which = range(2, 4) if how == "range" else ""
        erased = await here.spool(Spool.erase_personal, which, here.now)
        assert erased == (2 if how == "range" else 3)
        assert await here.spool(Spool.erase_personal, which, here.now) == 0
        # While the spool is open: at its end SQLite would clear its log away by itself.
        for path in state.rglob("*"):
            if path.is_file():
                assert not any(name in path.read_bytes() for name in gone), path
        await here.spool(Spool.export_ledger)

    state = tmp_path / "state"
    gone = [b"Erika Muster 1", b"Erika Muster 2"]
    run(tmp_path, work)

    assert compare(state).seq == 5
    kept = (state / "ledger/2026-11-23.personal.jsonl").read_bytes()
    assert (b"Erika Muster 0" in kept) == (how == "range")
    assert events(tmp_path, "personal-erase")[0] == {
        "lines": [2, 3] if how == "range" else [1, 2, 3]
    }


def test_an_erasure_that_was_cut_off_is_finished_by_the_next_start(tmp_path: Path) -> None:
    """Committed first: a kill before the file was written anew must not keep the person in it."""

    async def first(here: Here) -> None:
        await here.note(2, personal=True)
        path = here.ledger / "2026-11-23.personal.jsonl"
        before = path.read_bytes()
        await here.spool(Spool.erase_personal, "", here.now)
        path.write_bytes(before)  # as a kill after the commit would have left it
        await here.spool(_begin_again)

    async def second(here: Here) -> None:
        await here.note(1)

    run(tmp_path, first)
    run(tmp_path, second)

    assert (tmp_path / "state/ledger/2026-11-23.personal.jsonl").read_bytes() == b""


def _begin_again(spool: Spool) -> None:
    spool._db.execute("INSERT INTO meta VALUES ('erasing', '1')")


@pytest.mark.parametrize("scheme", ["rsa-pss-sha512", "ecdsa-sha384"])
def test_a_day_is_sealed_with_the_digest_that_the_configuration_names(
    tmp_path: Path, scheme: str
) -> None:
    """The seal's digest follows `[seal] digest`; the segment is named by SHA-256."""

    async def work(here: Here) -> None:
        await here.note(3)
        here.now += DAY
        await here.turn()
        segment = (here.ledger / "2026-11-23.jsonl").read_bytes()
        seal = (here.ledger / "2026-11-23.p7s").read_bytes()
        template = here.key.template
        digest = hashlib.new(scheme[-6:], segment).digest()
        cms.check(seal, digest, template.certificate, template.chain, detached=True)
        found = await here.spool(Spool.last_segment)
        assert found is not None
        assert found.digest == Digest.of(segment)

    run(tmp_path, work, scheme)
