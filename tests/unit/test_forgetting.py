"""What is forgotten and when: never before the proofs were read again (I2)."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daemon.alarms import Alarms
from daemon.clock import Reading
from daemon.delivering import deliver
from daemon.document import DeliveryState, Document, State, folder_of
from daemon.forgetting import Forgetting, unlink_local
from daemon.lifecycle import DOCUMENT, may_forget
from daemon.records.reader import open_reader
from daemon.sections import Profile
from daemon.spool import Spool, SpoolThread, open_spool
from daemon.targets.folder import FolderTarget
from tests.agreement import check
from tests.frozen import NOW, TARGETS, frozen, make_state
from tests.values import refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.document import Delivery

LOCAL = {"original.pdf", "sealed.pdf"}
STAYS = {
    "note.xml",
    "manifest.json",
    "manifest.p7s",
    "receipt-dms.json",
    "receipt-archive.json",
}


class Bench:
    """A spool, two targets and a stage that forgets; time goes by when a test says so."""

    def __init__(self, root: Path, spool: SpoolThread) -> None:
        self.root = root
        self.spool = spool
        self.now = NOW
        self.clock_problem = ""
        self.batch = 64
        self.alarms = Alarms(lambda: self.now)
        self.profiles = {"post": Profile(procedure="test")}
        self.targets = {
            name: FolderTarget(name, role, root / name, lambda: self.now)
            for name, role in TARGETS.items()
        }

    async def filed(self) -> Document:
        """Return a document that both targets have proven."""
        document = await self.spool(frozen, self.root / "state", now=self.now)
        for name, target in self.targets.items():
            for delivery in await self.spool(Spool.due, name, self.now, 10):
                await deliver(self.spool, self.documents, delivery, target, lambda: self.now)
        return await self.again(document)

    async def turn(self, *, days: float = 0) -> None:
        """Let so many days go by, and look."""
        self.now += timedelta(days=days)

        async def problem() -> str:
            return self.clock_problem

        stage = Forgetting(
            self.profiles,
            self.documents,
            *(self.spool, self.targets, self.alarms, lambda: self.now, problem),
        )
        stage.batch = self.batch
        await stage.turn()

    @property
    def documents(self) -> Path:
        return self.root / "state" / "documents"

    async def again(self, document: Document) -> Document:
        return await self.spool(Spool.document, document.id)

    def names(self, document: Document) -> set[str]:
        return {path.name for path in folder_of(self.documents, document.id).iterdir()}

    def raised(self) -> dict[str, str]:
        return {f"{one.code} {one.instance}".strip(): one.detail for one in self.alarms.now()}

    async def kept(self, document: Document) -> bool:
        """Return whether nothing of it was forgotten, in rows, ledger and files."""
        found = await self.again(document)
        lines = [json.loads(line) for line in await self.spool(Spool.lines, document.id)]
        return (
            found.state is document.state
            and self.names(document) >= (LOCAL if document.sealed else {"original.pdf"})
            and all(line["event"] != "forget" for line in lines)
        )


def run(root: Path, work: Callable[[Bench], Awaitable[None]]) -> None:
    """Do *work* at a bench, and see afterwards that rows, ledger and counts agree."""
    state = make_state(root / "state")
    for name in TARGETS:
        (root / name).mkdir()

    async def main() -> None:
        spool = await open_spool(state, new=True)
        try:
            await work(Bench(root, spool))
            await spool(check)
        finally:
            await spool.close()

    asyncio.run(main())


def test_i2_a_filed_document_goes_when_its_time_is_over_and_its_proofs_hold(
    tmp_path: Path,
) -> None:
    """Original and sealed file, and nothing else; who was asked stands in the ledger."""

    async def work(bench: Bench) -> None:
        document = await bench.filed()
        assert document.state is State.FILED

        await bench.turn(days=6.99)
        assert await bench.kept(document)
        await bench.turn(days=0.02)

        found = await bench.again(document)
        assert (found.state, found.came_from) == (State.FORGOTTEN, State.FILED)
        assert bench.names(document) == STAYS
        line = json.loads((await bench.spool(Spool.lines, document.id))[-1])
        assert line["event"] == "forget"
        assert line["detail"] == {"came_from": "filed", "asked": ["archive", "dms"]}
        assert await bench.spool(Spool.leaving, 10) == []
        assert bench.raised() == {}
        await bench.turn(days=100)
        assert await bench.again(document) == found

    run(tmp_path, work)


def test_nothing_days_means_at_once(tmp_path: Path) -> None:
    """`keep_local_days = 0`."""

    async def work(bench: Bench) -> None:
        bench.profiles["post"] = replace(bench.profiles["post"], keep_local_days=0)
        document = await bench.filed()
        await bench.turn()

        assert bench.names(document) == STAYS

    run(tmp_path, work)


@pytest.mark.parametrize("target", ["dms", "archive"])
@pytest.mark.parametrize("what", ["gone", "changed"])
def test_i2_what_a_target_holds_no_longer_stays_here_and_can_be_delivered_again(
    tmp_path: Path, target: str, what: str
) -> None:
    """The receipt of last week says nothing about today; the delivery is GONE until a person looks."""

    async def work(bench: Bench) -> None:
        document = await bench.filed()
        held = tmp_path / target / document.id / "sealed.pdf"
        data = held.read_bytes()
        held.unlink()
        if what == "changed":
            held.write_bytes(data[:-1] + b"?")

        await bench.turn(days=8)
        assert await bench.kept(document)
        gone = await bench.spool(Spool.delivery, document.id, target)
        assert gone.state is DeliveryState.GONE
        assert gone.code == ("gone-from-target" if what == "gone" else "target-disagrees")
        await bench.turn(days=100)
        assert await bench.kept(document)

        held.unlink(missing_ok=True)
        released = await bench.spool(Spool.release, document.id, "uid 0", bench.now)
        assert released == (target,)
        (again,) = await bench.spool(Spool.due, target, bench.now, 10)
        folders = bench.targets[target]
        await deliver(bench.spool, bench.documents, again, folders, lambda: bench.now)
        assert held.read_bytes() == data
        await bench.turn()
        assert bench.names(document) == STAYS

    run(tmp_path, work)


def test_a_target_that_does_not_answer_delays_it_and_says_so(tmp_path: Path) -> None:
    """The share is not mounted: an alarm, and the next pass asks again."""

    async def work(bench: Bench) -> None:
        first, second = await bench.filed(), await bench.filed()
        (tmp_path / "archive").rename(tmp_path / "away")
        await bench.turn(days=8)

        assert await bench.kept(first)
        assert await bench.kept(second)
        assert bench.raised() == {"proof-not-asked archive": "target-unreachable"}
        (tmp_path / "away").rename(tmp_path / "archive")
        await bench.turn()
        assert bench.names(first) == bench.names(second) == STAYS

    run(tmp_path, work)


def test_an_alarm_of_a_pass_ends_with_a_better_one(tmp_path: Path) -> None:
    """One stage over two passes: what no longer is so is cleared."""

    async def work(bench: Bench) -> None:
        await bench.filed()
        (tmp_path / "archive").rename(tmp_path / "away")
        bench.now += timedelta(days=8)

        async def fine() -> str:
            return ""

        stage = Forgetting(
            bench.profiles,
            bench.documents,
            *(bench.spool, bench.targets, bench.alarms, lambda: bench.now, fine),
        )
        await stage.turn()
        assert bench.raised()
        (tmp_path / "away").rename(tmp_path / "archive")
        await stage.turn()
        assert bench.raised() == {}

    run(tmp_path, work)


@pytest.mark.parametrize("role", ["dms", "archive"])
def test_without_an_answer_of_a_dms_and_of_an_archive_nothing_goes(
    tmp_path: Path, role: str
) -> None:
    """A target that is configured no longer cannot be asked; a receipt alone is not enough."""

    async def work(bench: Bench) -> None:
        document = await bench.filed()
        del bench.targets[role]
        await bench.turn(days=8)

        assert await bench.kept(document)
        assert list(bench.raised()) == [f"proof-not-asked {role}"]

    run(tmp_path, work)


@pytest.mark.parametrize("how", ["changed", "garbage", "a folder", "other parts"])
def test_i2_a_receipt_that_is_not_what_was_committed_keeps_the_document(
    tmp_path: Path, how: str
) -> None:
    """Read at that moment, from the disk and from the row."""

    async def work(bench: Bench) -> None:
        document = await bench.filed()
        path = folder_of(bench.documents, document.id) / "receipt-archive.json"
        told = json.loads(path.read_bytes())
        match how:
            case "changed":
                told["receipts"][0]["sha256"] = "0" * 64
                path.write_text(json.dumps(told) + "\n")
            case "garbage":
                path.write_bytes(b"\xff{}\n")
            case "a folder":
                path.unlink()
                path.mkdir()
            case "other parts":  # in both places alike, and yet no proof of every part
                told["receipts"].pop()
                path.write_text(json.dumps(told) + "\n")

                def shorten(spool: Spool) -> None:
                    statement = "UPDATE delivery SET receipts = ? WHERE target = 'archive'"
                    spool._db.execute(statement, [json.dumps(told["receipts"])])

                await bench.spool(shorten)
        await bench.turn(days=8)

        assert await bench.kept(document)
        assert bench.raised() == {"proof-damaged": f"1: {document.id}/receipt-archive.json"}

    run(tmp_path, work)


@pytest.mark.parametrize("how", ["missing", "empty", "cut off", "zeros", "end", "whole"])
def test_a_receipt_that_a_power_cut_took_is_durable_before_the_document_goes(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for its fsync when it is delivered; afterwards it is what stays."""

    async def work(bench: Bench) -> None:
        document = await bench.filed()
        path = folder_of(bench.documents, document.id) / "receipt-archive.json"
        before = path.read_bytes()
        path.with_name(f".{path.name}.{'0' * 16}").write_bytes(before)  # its rename was lost
        left = {"empty": b"", "cut off": before[:100], "zeros": bytes(len(before))}
        left["end"] = bytes(100) + before[100:]  # blocks reach the disk in any order
        if how == "missing":
            path.unlink()
        elif how in left:
            path.write_bytes(left[how])
        synced: list[str] = []
        fsync = os.fsync

        def seen(fd: int) -> None:
            synced.append(Path(f"/proc/self/fd/{fd}").readlink().name.split(".json")[0].strip("."))
            fsync(fd)

        monkeypatch.setattr(os, "fsync", seen)
        await bench.turn(days=8)

        assert bench.raised() == {}
        assert bench.names(document) == STAYS
        assert path.read_bytes() == before
        names = {"receipt-archive", "receipt-dms"}
        assert [one for one in synced if one in names] == ["receipt-archive", "receipt-dms"]

    run(tmp_path, work)


def test_refused_documents_are_told_and_never_go_by_themselves(tmp_path: Path) -> None:
    """After `keep_refused_days`: an alarm that counts them, however long it takes."""

    async def work(bench: Bench) -> None:
        document = await bench.spool(refused)
        folder = folder_of(bench.documents, document.id)
        folder.mkdir(parents=True)
        (folder / "original.pdf").touch()
        await bench.turn(days=29.9)
        assert bench.raised() == {}
        await bench.turn(days=0.2)
        assert bench.raised() == {"refused-kept-long post": "1"}
        await bench.turn(days=3000)
        assert await bench.kept(document)

    run(tmp_path, work)


def test_what_a_person_gave_up_goes_after_a_while(tmp_path: Path) -> None:
    """`keep_refused_days` from that word on, and not before its copy in `rejected` has gone."""

    async def work(bench: Bench) -> None:
        document = await bench.spool(refused)
        folder = folder_of(bench.documents, document.id)
        folder.mkdir(parents=True)
        for name in ("original.pdf", "document.json"):
            (folder / name).touch()
        bench.now += timedelta(days=100)
        await bench.spool(Spool.discard, document.id, "uid 0", "blank", bench.now)
        discarded = await bench.again(document)
        await bench.turn(days=29.9)
        assert await bench.kept(discarded)
        await bench.turn(days=0.2)
        assert await bench.kept(discarded)  # the copy is there still

        def copy_gone(spool: Spool) -> None:
            spool.copy_removed(spool.document(document.id), bench.now)

        await bench.spool(copy_gone)
        await bench.turn()
        assert bench.names(document) == {"document.json"}
        assert (await bench.again(document)).given_up

    run(tmp_path, work)


def test_what_was_superseded_stays(tmp_path: Path) -> None:
    """No person gave it up; it is the only trace of what the first scan looked like."""

    async def work(bench: Bench) -> None:
        old = await bench.spool(refused)
        new = await bench.filed()
        folder = folder_of(bench.documents, old.id)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "original.pdf").touch()
        await bench.spool(Spool.supersede, old.id, new.id, "uid 0", bench.now)

        def copy_gone(spool: Spool) -> None:
            spool.copy_removed(spool.document(old.id), bench.now)

        await bench.spool(copy_gone)
        superseded = await bench.again(old)
        await bench.turn(days=3000)

        assert await bench.kept(superseded)
        assert not await bench.spool(Spool.forget, superseded, [], [], bench.now)
        assert (await bench.again(new)).state is State.FORGOTTEN

    run(tmp_path, work)


def test_held_waiting_and_unproven_documents_stay(tmp_path: Path) -> None:
    """By the table: only three states can be forgotten, and FILED only with its proofs."""

    async def work(bench: Bench) -> None:
        document = await bench.spool(frozen, tmp_path / "state", now=NOW)
        await bench.turn(days=3000)
        assert await bench.kept(document)
        held = await bench.spool(Spool.set_aside, document, "own-copy-damaged", "x", bench.now)
        await bench.turn(days=3000)
        assert await bench.kept(held)

    run(tmp_path, work)
    forgettable = {state for state in DOCUMENT if may_forget(state, [])}
    assert forgettable == {State.DISCARDED, State.WITHDRAWN}
    roles = list(TARGETS.values())
    for state in DeliveryState:
        states = [(role, DeliveryState.DELIVERED) for role in roles] + [(roles[0], state)]
        proven = state in {DeliveryState.DELIVERED, DeliveryState.WAIVED}
        assert may_forget(State.FILED, states) is proven
        waived = [(roles[0], DeliveryState.DELIVERED), (roles[1], DeliveryState.WAIVED)]
        assert not may_forget(State.FILED, waived)


def test_while_the_clock_is_not_trusted_nobodys_time_is_over(tmp_path: Path) -> None:
    """A clock that jumped ten years ahead would empty the box."""

    async def work(bench: Bench) -> None:
        document = await bench.filed()
        bench.clock_problem = "jumped"
        await bench.turn(days=3650)
        assert await bench.kept(document)
        bench.clock_problem = ""
        await bench.turn()
        assert bench.names(document) == STAYS

    run(tmp_path, work)


@pytest.mark.parametrize("written", ["jumped", "accepted"])
def test_i2_no_time_goes_by_because_the_clock_was_set_forward(tmp_path: Path, written: str) -> None:
    """It had stood behind when the document was filed: keeping it has only begun."""

    async def work(bench: Bench) -> None:
        document = await bench.filed()
        bench.now += timedelta(days=30)
        reading, seconds = Reading("boot", 0.0), 30 * 86_400
        if written == "jumped":
            await bench.spool(Spool.clock_jumped, seconds, reading, bench.now)
            await bench.spool(Spool.clock_accepted, "person", "uid 0", reading, bench.now)
        else:
            await bench.spool(Spool.clock_accepted, "ntp", "", reading, bench.now, seconds)
        after = await bench.filed()
        await bench.turn(days=6.99)
        assert await bench.kept(document)
        assert await bench.kept(after)
        await bench.turn(days=0.02)
        assert bench.names(document) == bench.names(after) == STAYS

    run(tmp_path, work)


def test_a_clock_that_went_ahead_and_came_back_costs_no_time(tmp_path: Path) -> None:
    """All in all it was not set."""

    async def work(bench: Bench) -> None:
        document = await bench.filed()
        for seconds in (3650 * 86_400, -3650 * 86_400):
            await bench.spool(Spool.clock_jumped, seconds, Reading("boot", 0.0), bench.now)
        await bench.turn(days=7.01)
        assert bench.names(document) == STAYS

    run(tmp_path, work)


def test_i2_a_jump_right_after_the_clock_was_asked_about_ends_no_time(tmp_path: Path) -> None:
    """What is judged by is the time that was asked about."""

    async def work(bench: Bench) -> None:
        document = await bench.filed()

        async def trusted() -> str:
            bench.now += timedelta(days=3650)
            return ""

        stage = Forgetting(
            bench.profiles,
            bench.documents,
            *(bench.spool, bench.targets, bench.alarms, lambda: bench.now, trusted),
        )
        await stage.turn()

        assert await bench.kept(document)

    run(tmp_path, work)


def test_a_profile_that_is_not_configured_keeps_its_documents(tmp_path: Path) -> None:
    """Nobody says for how long: that is told, and not guessed."""

    async def work(bench: Bench) -> None:
        document = await bench.filed()
        bench.profiles.clear()
        await bench.turn(days=3000)

        assert await bench.kept(document)
        assert bench.raised() == {"keeping-unknown post": ""}

    run(tmp_path, work)


def test_what_changed_while_the_targets_were_asked_is_not_forgotten(tmp_path: Path) -> None:
    """The commit looks again: a proof that was lost meanwhile keeps it here."""

    async def work(bench: Bench) -> None:
        document = await bench.filed()
        deliveries: list[Delivery] = await bench.spool(Spool.deliveries, document.id)
        bench.now += timedelta(days=8)
        await bench.spool(Spool.miss, deliveries[0], "gone-from-target", "x", bench.now)
        assert not await bench.spool(Spool.forget, document, deliveries, [], bench.now)
        fresh = await bench.spool(Spool.deliveries, document.id)
        assert not await bench.spool(Spool.forget, document, fresh, [], bench.now)
        # What was read before is old news by now.
        assert not await bench.spool(Spool.miss, deliveries[0], "x", "x", bench.now)
        assert await bench.kept(document)

    run(tmp_path, work)


def test_one_that_cannot_go_keeps_no_other_one(tmp_path: Path) -> None:
    """More than a batch: the pass goes on behind what it could not forget (I8)."""

    async def work(bench: Bench) -> None:
        bench.batch = 1
        found = [await bench.filed() for _ in range(3)]
        (folder_of(bench.documents, found[0].id) / "receipt-dms.json").write_text("{}\n")
        await bench.turn(days=8)

        assert await bench.kept(found[0])
        assert all(bench.names(one) == STAYS for one in found[1:])

    run(tmp_path, work)


def test_a_file_that_cannot_be_unlinked_is_tried_again(tmp_path: Path) -> None:
    """Something of ours with that name that is no file; the others go on, an alarm says which."""

    async def work(bench: Bench) -> None:
        first, second = await bench.filed(), await bench.filed()
        path = folder_of(bench.documents, first.id) / "sealed.pdf"
        path.unlink()
        path.mkdir()
        await bench.turn(days=8)

        assert bench.raised() == {"not-unlinked": f"1: {first.id}"}
        assert bench.names(second) == STAYS
        assert await bench.spool(Spool.leaving, 10) == [first.id]
        path.rmdir()
        await bench.turn()
        assert bench.names(first) == STAYS

    run(tmp_path, work)


def test_a_folder_that_is_gone_has_nothing_to_unlink(tmp_path: Path) -> None:
    """Repeating it is harmless, also when nothing at all is left."""
    unlink_local(tmp_path / "none")


def test_the_ledgers_file_knows_it_before_a_byte_goes(tmp_path: Path) -> None:
    """A rebuild reads the files: without the line the missing original would be damage."""

    async def work(bench: Bench) -> None:
        document = await bench.filed()
        (folder_of(bench.documents, document.id) / "sealed.pdf").unlink()
        (folder_of(bench.documents, document.id) / "sealed.pdf").mkdir()  # so it cannot be done
        await bench.turn(days=8)

        lines = "".join(
            path.read_text() for path in (tmp_path / "state" / "ledger").glob("*.jsonl")
        )
        assert f'"document":"{document.id}","event":"forget"' in lines

    run(tmp_path, work)


def test_a_million_rows_are_never_walked_through(tmp_path: Path) -> None:
    """Each question of a pass has its index."""
    make_state(tmp_path)
    spool = Spool(tmp_path, new=True)
    asked: list[str] = []
    spool._db.set_trace_callback(asked.append)
    spool.aging_profiles()
    spool.aged("post", State.FILED, NOW, 10)
    spool.aged_count("post", State.REFUSED, NOW)
    spool.leaving(10)
    spool._db.set_trace_callback(None)
    plans = [
        step["detail"]
        for statement in asked
        for step in spool._db.execute(f"EXPLAIN QUERY PLAN {statement}")
    ]
    spool.close()
    reader = open_reader(tmp_path / "spool.db")
    plans += [
        row["detail"]
        for row in reader._db.execute(
            "EXPLAIN QUERY PLAN SELECT id FROM document WHERE id > 'a' AND sealed != ''"
            " AND state != 'forgotten' ORDER BY id LIMIT 1"
        )
    ]
    reader.close()

    assert all("INDEX document_" in plan for plan in plans), plans
