"""One step of a delivery, and the stage that takes those steps: against targets in memory."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from daemon.alarms import Alarms
from daemon.delivering import Outcome, deliver
from daemon.document import Delivery, DeliveryState, Digest, Document, Part, Receipt, Role, State
from daemon.document import folder_of as folder_under
from daemon.errors import PermanentError, TargetDisagrees, TargetUnreachable, TransientError
from daemon.lane import Lane
from daemon.records.journal import entries
from daemon.records.reader import open_reader
from daemon.spool import Spool, SpoolThread, open_spool
from daemon.sync import Sync
from tests.frozen import NOW, TARGETS, frozen, make_state

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
    from pathlib import Path

    from daemon.targets import Sending

SOON = 4.0
"""Less than the five seconds after which every lane looks by itself."""
PATIENCE = 30.0
"""For what will happen, on a machine that is busy with other things."""


class Shelf:
    """A target in memory that keeps the contract, and can be told to be away."""

    def __init__(self, name: str, role: Role) -> None:
        self.name = name
        self.role = role
        self.create_once = True
        self.stored: dict[str, tuple[Digest, int]] = {}
        self.calls: list[tuple[str, str]] = []
        self.trouble: Exception | None = None
        self.open = asyncio.Event()
        """Closed: whoever calls gets no answer."""
        self.open.set()
        self.inside: list[str] = []
        """Whose calls are waiting for an answer right now."""
        self.together: list[set[str]] = []
        """Which documents were waiting for an answer, at each call."""
        self.on_put: Callable[[], None] = lambda: None

    async def find(self, part: Sending) -> Receipt | None:
        await self._called("find", part.key)
        if part.key not in self.stored:
            return None
        if self.stored[part.key] != (part.digest, part.size):
            raise TargetDisagrees("other bytes")
        return self._receipt(part.key)

    async def put(self, part: Sending) -> Receipt:
        key = part.key
        await self._called("put", key)
        if self.stored.setdefault(key, (part.digest, part.size)) != (part.digest, part.size):
            raise TargetDisagrees("other bytes")
        data = await asyncio.to_thread(part.file.read_bytes)
        if Digest.of(data) != part.digest:
            del self.stored[key]
            raise PermanentError("own-copy-damaged", "not as it was sealed")
        return self._receipt(key)

    async def prove(self, _: Receipt, part: Sending) -> Receipt | None:
        return await self.find(part)

    async def close(self) -> None:
        pass

    async def _called(self, what: str, key: str) -> None:
        self.calls.append((what, key))
        self.inside.append(key)
        self.together.append(self.waiting())
        try:
            if what == "put":
                self.on_put()
            await asyncio.sleep(0.002)  # a round trip, so that calls can overlap
            await self.open.wait()
            if self.trouble is not None:
                raise self.trouble
        finally:
            self.inside.remove(key)

    def _receipt(self, key: str) -> Receipt:
        digest, size = self.stored[key]
        return Receipt(
            target=self.name,
            key=key,
            size=size,
            digest=digest,
            reference=f"shelf:{key}",
            grade="bytes",
            proved_at=NOW,
        )

    def waiting(self) -> set[str]:
        """Return the documents whose calls have no answer yet."""
        return {key.partition("/")[0] for key in self.inside}

    def documents(self) -> list[str]:
        """Return the documents that were asked for or put, in the order they came first."""
        return list(dict.fromkeys(key.partition("/")[0] for _, key in self.calls))


class World:
    """A spool with its folder, two shelves, and a clock that stands until it is told."""

    def __init__(self, state_dir: Path, spool: SpoolThread) -> None:
        self.state_dir = state_dir
        self.documents = state_dir / "documents"
        self.spool = spool
        self.time = NOW + timedelta(seconds=10)
        self.shelves = {name: Shelf(name, role) for name, role in TARGETS.items()}
        self.dms, self.archive = self.shelves["dms"], self.shelves["archive"]
        self.alarms = Alarms(self.clock)
        self.beats = 0
        self.sync = self.new_sync()

    def new_sync(self, clock: Callable[[], datetime] | None = None, jitter: float = 1.0) -> Sync:
        sync = Sync(
            self.spool,
            self.documents,
            self.shelves,
            self.alarms,
            clock or self.clock,
            lambda: jitter,
        )
        sync.beat = self._beat
        return sync

    def clock(self) -> datetime:
        return self.time

    def _beat(self) -> None:
        self.beats += 1

    async def later(self, seconds: float) -> None:
        """Let time pass, and let the stage have a look."""
        self.time += timedelta(seconds=seconds)
        await self.settled()

    async def settled(self) -> None:
        """Wait until every lane has begun what it begins now, and all of it waits for an answer."""
        await self.looked_around()
        while not all(self._all_waiting(lane, shelf) for lane, shelf in self._pairs()):
            await self.looked_around()

    def _all_waiting(self, lane: Lane, shelf: Shelf) -> bool:
        """Return whether all that is on its way waits for the target, or for a place there."""
        waiting, begun = shelf.waiting(), set(lane.flying)
        return waiting <= begun and len(waiting) == min(len(begun), lane.terms.concurrency)

    async def looked_around(self) -> None:
        """Wait until every lane has looked around three times."""
        for _ in range(3):
            seen = self.beats
            self.sync.wake()
            async with asyncio.timeout(PATIENCE):
                while self.beats == seen:
                    await asyncio.sleep(0.002)

    def _pairs(self) -> list[tuple[Lane, Shelf]]:
        return [(self.sync._lanes[name], shelf) for name, shelf in self.shelves.items()]

    async def frozen(self, count: int = 1, **more: Any) -> list[Document]:
        """Freeze documents one millisecond after the other, the oldest first."""
        return [
            await self.spool(
                frozen, self.state_dir, now=NOW + timedelta(milliseconds=number), **more
            )
            for number in range(count)
        ]

    async def delivery(self, document: Document, target: str = "archive") -> Delivery:
        return await self.spool(Spool.delivery, document.id, target)

    async def state(self, document: Document) -> State:
        return (await self.spool(Spool.document, document.id)).state

    async def deliver(self, delivery: Delivery) -> Outcome:
        target = self.shelves[delivery.target]
        return await deliver(self.spool, self.documents, delivery, target, self.clock)

    async def archived(self, count: int) -> None:
        """Wait until the archive has proven so many documents, and nothing is on its way there."""
        async with asyncio.timeout(PATIENCE):
            while await self.count("delivered", "delivery:archive") < count:
                await asyncio.sleep(0.005)
        await self.settled()

    async def filed(self, count: int, seconds: float = PATIENCE) -> None:
        """Wait until so many documents are filed."""
        async with asyncio.timeout(seconds):
            while await self.count(State.FILED) < count:
                await asyncio.sleep(0.005)

    async def count(self, state: str, kind: str = "document") -> int:
        return (await self.spool(Spool.counts))[kind].get(state, 0)

    def raised(self) -> set[tuple[str, str, str]]:
        return {(alarm.code, alarm.instance, alarm.detail) for alarm in self.alarms.now()}


async def until(happened: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait until *happened*, or fail."""
    async with asyncio.timeout(seconds):
        while not happened():
            await asyncio.sleep(0.002)


@asynccontextmanager
async def running(sync: Sync) -> AsyncIterator[None]:
    """Run the stage, and stop it as the service does."""
    task = asyncio.create_task(sync.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def in_world(tmp_path: Path, story: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    """Make a world, and tell the story in it."""

    async def told() -> None:
        spool = await open_spool(make_state(tmp_path), new=True)
        try:
            await story(World(tmp_path, spool))
        finally:
            await spool.close()

    asyncio.run(told())


# -- one step ------------------------------------------------------------------------------


def test_every_part_is_put_in_order_and_proven(tmp_path: Path) -> None:
    """The manifest comes last: whoever sees it at the target knows that the rest is there."""

    async def story(world: World) -> None:
        (document,) = await world.frozen()
        pending = await world.delivery(document)

        outcome = await world.deliver(pending)

        assert outcome == Outcome(DeliveryState.DELIVERED)
        assert world.archive.calls == [("put", f"{document.id}/{p.file}") for p in pending.parts]
        assert (await world.delivery(document)).state is DeliveryState.DELIVERED
        proof = json.loads((folder(world, document) / "receipt-archive.json").read_bytes())
        assert (proof["v"], proof["document"], proof["target"]) == (1, document.id, "archive")
        assert [(r["key"], r["sha256"], r["size"]) for r in proof["receipts"]] == [
            (f"{document.id}/{p.file}", str(p.digest), p.size) for p in pending.parts
        ]
        receipts = await world.spool(Spool.receipts, document.id)
        assert json.loads(receipts["archive"]) == proof["receipts"]

    in_world(tmp_path, story)


def test_the_intent_to_send_is_committed_before_the_first_byte(tmp_path: Path) -> None:
    """I3: seen from inside of put(), the database already says SENDING."""

    async def story(world: World) -> None:
        (document,) = await world.frozen()
        seen: list[Delivery] = []
        reader = open_reader(world.state_dir / "spool.db")
        world.dms.on_put = lambda: seen.append(reader.delivery(document.id, "dms"))
        await world.deliver(await world.delivery(document, "dms"))
        reader.close()

        assert [(d.state, d.step) for d in seen] == [(DeliveryState.SENDING, "deliver")]

    in_world(tmp_path, story)


def test_the_ledgers_files_know_the_manifest_before_the_first_byte(tmp_path: Path) -> None:
    """I3: a database made again from the files alone must know what a target may hold."""

    async def story(world: World) -> None:
        (document,) = await world.frozen()
        seen: list[str] = []
        ledger = world.state_dir / "ledger"
        world.dms.on_put = lambda: seen.extend(text for text, _ in entries(ledger))
        await world.deliver(await world.delivery(document, "dms"))

        assert any(f'"{document.id}","event":"freeze"' in text for text in seen)

    in_world(tmp_path, story)


def test_who_is_in_doubt_asks_first_and_puts_only_what_is_missing(tmp_path: Path) -> None:
    """A crash, or an answer that never came: nothing is sent twice (I3)."""

    async def story(world: World) -> None:
        (document,) = await world.frozen()
        pending = await world.delivery(document)
        keys = [f"{document.id}/{part.file}" for part in pending.parts]
        for key, part in list(zip(keys, pending.parts, strict=True))[:2]:
            world.archive.stored[key] = (part.digest, part.size)
        begun = await world.spool(Spool.begin_delivery, pending, world.time)
        await world.spool(Spool.stopped, world.time)
        in_doubt = replace(begun, step="")

        assert await world.deliver(in_doubt) == Outcome(DeliveryState.DELIVERED)
        asked = [key for what, key in world.archive.calls if what == "find"]
        put = [key for what, key in world.archive.calls if what == "put"]
        assert (asked, put) == (keys, keys[2:])

    in_world(tmp_path, story)


def test_who_is_not_in_doubt_does_not_ask(tmp_path: Path) -> None:
    """It costs the target a search for each part."""

    async def story(world: World) -> None:
        (document,) = await world.frozen()
        await world.deliver(await world.delivery(document))
        assert {what for what, _ in world.archive.calls} == {"put"}

    in_world(tmp_path, story)


def test_a_target_that_takes_all_at_once_is_asked_in_doubt_as_any_other(tmp_path: Path) -> None:
    """I3: whoever is in doubt asks, part by part; only a first try goes there as a whole."""

    class TakingAll(Shelf):
        async def put_all(self, parts: Sequence[Sending]) -> list[Receipt]:
            self.calls.append(("all", parts[0].key))
            return [await self.put(one) for one in parts]

    async def story(world: World) -> None:
        world.shelves["archive"] = world.archive = TakingAll("archive", Role.ARCHIVE)
        first, second = await world.frozen(2)
        await world.deliver(await world.delivery(first))
        begun = await world.spool(Spool.begin_delivery, await world.delivery(second), world.time)
        await world.spool(Spool.stopped, world.time)
        await world.deliver(await world.spool(Spool.delivery, begun.document, "archive"))

        calls: dict[str, list[str]] = {document.id: [] for document in (first, second)}
        for what, key in world.archive.calls:
            calls[key.partition("/")[0]].append(what)
        parts = len(begun.parts)
        assert calls == {
            first.id: ["all"] + ["put"] * parts,
            second.id: ["find"] * parts + ["put"] * parts,
        }

    in_world(tmp_path, story)


def test_trouble_of_the_target_postpones_and_changes_no_state(tmp_path: Path) -> None:
    """It is a due time and a reason; the time grows with the number of tries."""

    async def story(world: World) -> None:
        (document,) = await world.frozen()
        world.archive.trouble = TargetUnreachable("archive: no route")
        waits = []
        for _ in range(3):
            outcome = await world.deliver(await world.delivery(document))
            after = await world.delivery(document)
            assert outcome == Outcome(DeliveryState.SENDING, "target-unreachable")
            assert (after.state, after.step) == (DeliveryState.SENDING, "")
            assert (after.code, after.reason) == ("target-unreachable", "archive: no route")
            assert after.due_at is not None
            waits.append((after.due_at - world.time).total_seconds())

        assert waits == [2.0, 4.0, 8.0]
        assert after.attempts == 3
        assert await world.state(document) is State.FROZEN

    in_world(tmp_path, story)


def test_what_the_target_will_never_take_goes_to_a_person(tmp_path: Path) -> None:
    """Only the delivery: the document stays as it is, and other targets get it."""

    async def story(world: World) -> None:
        (document,) = await world.frozen()
        world.archive.trouble = TargetDisagrees("other bytes")

        outcome = await world.deliver(await world.delivery(document))

        after = await world.delivery(document)
        assert outcome == Outcome(DeliveryState.REFUSED, "target-disagrees")
        assert (after.state, after.code) == (DeliveryState.REFUSED, "target-disagrees")
        assert await world.state(document) is State.FROZEN
        other = await world.deliver(await world.delivery(document, "dms"))
        assert other == Outcome(DeliveryState.DELIVERED)

    in_world(tmp_path, story)


@pytest.mark.parametrize("damage", ["changed", "missing", "folder missing"])
@pytest.mark.parametrize("in_doubt", [False, True])
def test_damage_to_our_own_copy_holds_the_whole_document(
    tmp_path: Path, damage: str, *, in_doubt: bool
) -> None:
    """The one file that everything depends on is not what was sealed: nothing of it is sent."""

    async def story(world: World) -> None:
        (document,) = await world.frozen()
        if in_doubt:
            world.archive.trouble = TargetUnreachable("archive: no route")
            await world.deliver(await world.delivery(document))
            world.archive.trouble = None
        if damage == "changed":
            (folder(world, document) / "sealed.pdf").write_bytes(b"%PDF-1.7 changed")
        elif damage == "missing":
            (folder(world, document) / "original.pdf").unlink()
        else:
            folder(world, document).rename(world.state_dir / "away")

        outcome = await world.deliver(await world.delivery(document))

        held = await world.spool(Spool.document, document.id)
        assert outcome == Outcome(DeliveryState.REFUSED, "own-copy-damaged")
        assert (held.state, held.code, held.came_from) == (
            State.HELD,
            "own-copy-damaged",
            State.FROZEN,
        )
        assert (await world.delivery(document)).state is DeliveryState.REFUSED
        assert await world.deliver(await world.delivery(document, "dms")) == Outcome(None)
        assert world.dms.calls == []

    in_world(tmp_path, story)


def test_two_targets_that_find_the_same_damage_hold_the_document_once(tmp_path: Path) -> None:
    """Both were on their way when it was found; neither trips over the other."""

    async def story(world: World) -> None:
        (document,) = await world.frozen()
        for shelf in world.shelves.values():
            shelf.open.clear()
        on_the_way = [
            asyncio.create_task(world.deliver(await world.delivery(document, name)))
            for name in TARGETS
        ]
        await until(lambda: bool(world.dms.inside and world.archive.inside))
        (folder(world, document) / "sealed.pdf").write_bytes(b"changed")
        for shelf in world.shelves.values():
            shelf.open.set()

        outcomes = await asyncio.gather(*on_the_way)

        assert set(outcomes) == {Outcome(DeliveryState.REFUSED, "own-copy-damaged")}
        assert await world.state(document) is State.HELD
        lines = await world.spool(Spool.lines, document.id)
        assert len([line for line in lines if '"event":"set-aside"' in line]) == 1

    in_world(tmp_path, story)


def test_a_delivery_that_somebody_else_has_moved_is_left_alone(tmp_path: Path) -> None:
    """It was read from the spool a moment ago, and much can happen in a moment."""

    async def story(world: World) -> None:
        first, second, third = await world.frozen(3)
        stale = [await world.delivery(document) for document in (first, second, third)]
        await world.deliver(stale[0])  # delivered meanwhile
        await world.spool(Spool.begin_delivery, stale[1], world.time)  # in a step
        await world.spool(Spool.set_aside, third, "test", "", world.time)
        world.archive.calls.clear()

        assert [await world.deliver(delivery) for delivery in stale] == [Outcome(None)] * 3
        assert world.archive.calls == []

    in_world(tmp_path, story)


def test_a_receipt_for_other_bytes_is_no_receipt(tmp_path: Path) -> None:
    """The digest is compared here too: an adapter with a bug must not file a document."""

    async def story(world: World) -> None:
        (document,) = await world.frozen()

        class Liar(Shelf):
            def _receipt(self, key: str) -> Receipt:
                return replace(super()._receipt(key), digest=Digest.of(b"something else"))

        world.shelves["archive"] = Liar("archive", Role.ARCHIVE)
        outcome = await world.deliver(await world.delivery(document))

        assert outcome == Outcome(DeliveryState.REFUSED, "target-disagrees")

    in_world(tmp_path, story)


def test_what_was_not_foreseen_goes_up_and_leaves_the_doubt(tmp_path: Path) -> None:
    """The process ends; the step that was committed counts it (I8)."""

    async def story(world: World) -> None:
        (document,) = await world.frozen()
        world.archive.trouble = RuntimeError("a bug")

        with pytest.raises(RuntimeError):
            await world.deliver(await world.delivery(document))
        after = await world.delivery(document)
        assert (after.state, after.step) == (DeliveryState.SENDING, "deliver")

    in_world(tmp_path, story)


# -- what is due -----------------------------------------------------------------------------


def test_what_may_not_be_sent_is_never_due(tmp_path: Path) -> None:
    """Neither asked for nor waited for: a lane that waited for it would turn without end."""

    async def story(world: World) -> None:
        held, begun, postponed = await world.frozen(3)
        await world.spool(Spool.set_aside, held, "test", "", world.time)
        await world.spool(Spool.begin_delivery, await world.delivery(begun), world.time)
        world.archive.trouble = TargetUnreachable("archive: no route")
        await world.deliver(await world.delivery(postponed))
        due_at = (await world.delivery(postponed)).due_at

        assert await world.spool(Spool.due, "archive", world.time, 10) == []
        assert await world.spool(Spool.next_due, "archive") == due_at
        later = world.time + timedelta(hours=1)
        (due,) = await world.spool(Spool.due, "archive", later, 10)
        assert due.document == postponed.id

    in_world(tmp_path, story)


# -- the stage ---------------------------------------------------------------------------------


def test_everything_that_is_due_is_filed(tmp_path: Path) -> None:
    """More than one batch of it, at start."""

    async def story(world: World) -> None:
        await world.frozen(70)
        async with running(world.sync):
            await world.filed(70)
        assert len(world.dms.stored) == 70
        assert len(world.archive.stored) == 350
        assert len(world.dms.calls) == 70

    in_world(tmp_path, story)


def test_a_document_that_is_frozen_now_is_delivered_now(tmp_path: Path) -> None:
    """wake() is enough: nobody waits for the next look."""

    async def story(world: World) -> None:
        async with running(world.sync):
            await world.settled()
            await world.frozen()
            world.sync.wake()
            await world.filed(1, seconds=SOON)

    in_world(tmp_path, story)


def test_the_oldest_goes_first_and_a_few_go_together(tmp_path: Path) -> None:
    """Four at a time, in the order in which they were scanned."""

    async def story(world: World) -> None:
        documents = await world.frozen(10)
        world.dms.open.clear()
        async with running(world.sync):
            await until(lambda: len(world.dms.inside) == 4)
            await world.settled()
            assert sorted(world.dms.documents()) == [d.id for d in documents[:4]]
            world.dms.open.set()
            await world.filed(10)
        assert max(map(len, world.dms.together)) == 4
        first_six = world.dms.documents()[:6]
        assert set(first_six) <= {document.id for document in documents[:9]}

    in_world(tmp_path, story)


@pytest.mark.parametrize("dead", ["refuses", "hangs"])
def test_a_dead_target_stops_no_other(tmp_path: Path, dead: str) -> None:
    """I8: also one that never answers."""

    async def story(world: World) -> None:
        documents = await world.frozen(10)
        if dead == "hangs":
            world.dms.open.clear()
        else:
            world.dms.trouble = TargetUnreachable("dms: no route")
        async with running(world.sync):
            await until(lambda: len(world.archive.stored) == 50)
            await world.settled()
        for document in documents:
            assert (await world.delivery(document)).state is DeliveryState.DELIVERED
        assert await world.count(State.FROZEN) == 10

    in_world(tmp_path, story)


def test_a_document_that_is_refused_stops_no_other(tmp_path: Path) -> None:
    """The next one is begun at once."""

    async def story(world: World) -> None:
        documents = await world.frozen(6)
        world.dms.stored[f"{documents[0].id}/sealed.pdf"] = (Digest.of(b"?"), 1)
        async with running(world.sync):
            await world.filed(5)
            await until(lambda: bool(world.raised()))
            assert world.raised() == {("delivery-refused", "dms", "1")}

            del world.dms.stored[f"{documents[0].id}/sealed.pdf"]
            await world.spool(Spool.release, documents[0].id, "technician", world.time)
            world.sync.wake()
            await world.filed(6)
            world.sync.wake()
            await until(lambda: not world.raised())
        assert ("find", f"{documents[0].id}/sealed.pdf") in world.dms.calls

    in_world(tmp_path, story)


def test_what_a_target_has_lost_is_told_until_it_was_delivered_again(tmp_path: Path) -> None:
    """GONE: the box has it still; a person lets it go on, and the target is asked first."""

    async def story(world: World) -> None:
        (document,) = await world.frozen(1)
        async with running(world.sync):
            await world.filed(1)
            del world.dms.stored[f"{document.id}/sealed.pdf"]
            delivery = await world.spool(Spool.delivery, document.id, "dms")
            await world.spool(Spool.miss, delivery, "gone-from-target", "", world.time)
            world.sync.wake()
            await until(lambda: world.raised() == {("delivery-gone", "dms", "1")})

            await world.spool(Spool.release, document.id, "technician", world.time)
            world.sync.wake()
            await until(lambda: f"{document.id}/sealed.pdf" in world.dms.stored)
            world.sync.wake()
            await until(lambda: not world.raised())
        assert await world.count(State.FILED) == 1

    in_world(tmp_path, story)


def test_a_target_that_fails_is_probed_with_one_document_after_growing_pauses(
    tmp_path: Path,
) -> None:
    """Ten thousand documents that wait must not be ten thousand tries."""

    async def story(world: World) -> None:
        await world.frozen(10)
        world.dms.trouble = TargetUnreachable("dms: no route")
        async with running(world.sync):
            await until(lambda: len(world.dms.calls) == 4)
            await world.settled()
            assert len(world.dms.calls) == 6  # were begun already when it began

            for pause in (2, 4, 8, 16, 30, 30):
                tries = len(world.dms.calls)
                await world.later(pause - 0.5)
                assert len(world.dms.calls) == tries
                await world.later(1)
                await until(lambda: len(world.dms.calls) > tries)  # noqa: B023 (awaited here)
                await world.settled()
                assert len(world.dms.calls) == tries + 1

            world.dms.trouble = None
            world.dms.open.clear()
            await world.later(3600)
            await until(lambda: bool(world.dms.inside))
            await world.settled()
            assert len(world.dms.inside) == 1
            world.dms.open.set()
            await world.filed(10)

    in_world(tmp_path, story)


def test_a_target_is_reported_after_a_minute_and_until_it_answers(tmp_path: Path) -> None:
    """Short trouble is no alarm; the page knows it from the first moment."""

    async def story(world: World) -> None:
        await world.frozen(2)
        world.dms.trouble = TransientError("target-full", "dms: No space left on device")
        async with running(world.sync):
            await until(lambda: bool(world.dms.calls))
            await world.archived(2)
            since = world.time
            facts = {fact.name: fact for fact in world.sync.facts()}
            assert facts["dms"].unreachable_since == since
            assert (facts["dms"].role, facts["dms"].last_code) == (Role.DMS, "target-full")
            assert (facts["archive"].unreachable_since, facts["archive"].last_code) == (None, "")

            await world.later(60)
            assert world.raised() == set()
            await world.later(1)
            assert world.raised() == {("target-unreachable", "dms", "target-full")}

            world.dms.trouble = None
            await world.later(600)
            await world.filed(2)
            await until(lambda: not world.raised())
            assert world.sync.facts()[0].unreachable_since is None

    in_world(tmp_path, story)


def test_damage_on_our_side_says_nothing_about_the_target(tmp_path: Path) -> None:
    """A target that is away is not there again because a file of ours is broken."""

    async def story(world: World) -> None:
        await world.frozen()
        world.dms.trouble = TargetUnreachable("dms: no route")
        async with running(world.sync):
            await until(lambda: bool(world.dms.calls))
            await world.archived(1)
            since = world.time
            world.dms.trouble = PermanentError("own-copy-damaged", "not as it was sealed")
            await world.later(61)
            await until(lambda: len(world.dms.calls) > 1)
            await world.settled()
            assert world.sync.facts()[0].unreachable_since == since
            assert await world.count(State.HELD) == 1

    in_world(tmp_path, story)


def test_a_target_that_never_answers_is_reported_too(tmp_path: Path) -> None:
    """A dead NFS server says nothing, not even that it is dead."""

    async def story(world: World) -> None:
        await world.frozen()
        world.dms.open.clear()
        async with running(world.sync):
            await until(lambda: bool(world.dms.inside))
            await world.archived(1)
            await world.later(59)
            assert world.raised() == set()
            await world.later(2)
            assert world.raised() == {("target-unreachable", "dms", "target-stalled")}
            (facts, _) = world.sync.facts()
            assert facts.last_code == "target-stalled"

            world.dms.open.set()
            await world.filed(1)
            world.sync.wake()
            await until(lambda: not world.raised())

    in_world(tmp_path, story)


def test_what_was_postponed_comes_when_it_is_due_without_being_told(tmp_path: Path) -> None:
    """On a clock that really runs: after a second, not at the next look."""

    async def story(world: World) -> None:
        await world.frozen()
        world.dms.trouble = TargetUnreachable("dms: no route")
        sync = world.new_sync(clock=lambda: datetime.now(UTC), jitter=0.0)
        async with running(sync):
            await until(lambda: bool(world.dms.calls))
            world.dms.trouble = None
            await world.filed(1, seconds=SOON)

    in_world(tmp_path, story)


def test_what_is_due_later_comes_then_without_being_told(tmp_path: Path) -> None:
    """Also after a restart, when no lane knows of any trouble."""

    async def story(world: World) -> None:
        (document,) = await world.frozen()
        due_at = datetime.now(UTC) + timedelta(seconds=1)
        for name in TARGETS:
            delivery = await world.delivery(document, name)
            begun = await world.spool(Spool.begin_delivery, delivery, world.time)
            await world.spool(Spool.postpone, begun, due_at, "test", "", world.time)
        sync = world.new_sync(clock=lambda: datetime.now(UTC))
        async with running(sync):
            await world.filed(1, seconds=SOON)
        assert datetime.now(UTC) > due_at

    in_world(tmp_path, story)


# -- after an unclean end ------------------------------------------------------------------------


async def suspects(world: World, documents: list[Document], *targets: str) -> None:
    """Make the deliveries look as if the daemon had ended in their step."""
    await world.spool(Spool.started, "boot", world.time)
    for document in documents:
        for target in targets:
            delivery = await world.delivery(document, target)
            await world.spool(Spool.begin_delivery, delivery, world.time)
    await world.spool(Spool.started, "boot", world.time)


def test_suspects_go_first_and_alone(tmp_path: Path) -> None:
    """A second end is then counted against the one that causes it."""

    async def story(world: World) -> None:
        documents = await world.frozen(6)
        await suspects(world, documents[3:5], "dms")
        world.dms.open.clear()
        async with running(world.sync):
            await until(lambda: bool(world.dms.inside))
            await world.settled()
            assert world.dms.waiting() == {documents[3].id}
            world.dms.open.set()
            await world.filed(6)
        begun = [found for found in world.dms.together if found & {d.id for d in documents[3:5]}]
        assert begun == [{documents[3].id}] * 2 + [{documents[4].id}] * 2  # find, then put
        assert world.dms.documents()[:2] == [document.id for document in documents[3:5]]

    in_world(tmp_path, story)


def test_a_suspect_that_is_due_later_waits_until_nothing_else_is_on_the_way(
    tmp_path: Path,
) -> None:
    """It was postponed, and others were begun meanwhile."""

    async def story(world: World) -> None:
        documents = await world.frozen(3)
        await suspects(world, documents[:1], "dms")
        delivery = await world.delivery(documents[0], "dms")
        later = world.time + timedelta(seconds=30)
        await world.spool(Spool.postpone, delivery, later, "test", "", world.time)
        world.dms.open.clear()
        async with running(world.sync):
            await until(lambda: len(world.dms.inside) == 2)
            await world.later(31)
            assert world.dms.waiting() == {document.id for document in documents[1:]}
            world.dms.open.set()
            await world.filed(3)

    in_world(tmp_path, story)


def test_suspects_of_two_targets_do_not_go_together(tmp_path: Path) -> None:
    """Or an innocent one would be counted for the second time."""

    async def story(world: World) -> None:
        documents = await world.frozen(1)
        await suspects(world, documents, "dms", "archive")
        for shelf in world.shelves.values():
            shelf.open.clear()
        async with running(world.sync):
            await until(lambda: bool(world.dms.inside or world.archive.inside))
            await world.looked_around()
            begun = [name for name, shelf in world.shelves.items() if shelf.inside]
            assert len(begun) == 1
            steps = [(await world.delivery(documents[0], name)).step for name in TARGETS]
            assert sorted(steps) == ["", "deliver"]
            for shelf in world.shelves.values():
                shelf.open.set()
            await world.filed(1)

    in_world(tmp_path, story)


def test_a_suspect_does_not_wait_for_ever_for_that_of_a_dead_target(tmp_path: Path) -> None:
    """I8 comes first: one dead target stops no other."""

    async def story(world: World) -> None:
        documents = await world.frozen(2)
        await suspects(world, documents, "dms", "archive")
        world.dms.open.clear()
        world.sync.suspect_seconds = 0.05
        async with running(world.sync):
            await until(lambda: len(world.archive.stored) == 10)

    in_world(tmp_path, story)


# -- stopping, ending, and the watchdog ------------------------------------------------------------


def test_a_stop_leaves_the_doubt_and_the_next_start_asks(tmp_path: Path) -> None:
    """What was on the way may have arrived."""

    async def story(world: World) -> None:
        (document,) = await world.frozen()
        world.dms.open.clear()
        async with running(world.sync):
            await until(lambda: bool(world.dms.inside))
        assert (await world.delivery(document, "dms")).state is DeliveryState.SENDING
        await world.spool(Spool.stopped, world.time)
        await world.spool(Spool.started, "boot", world.time)
        world.dms.calls.clear()
        world.dms.open.set()

        async with running(world.new_sync()):
            await world.filed(1)
        assert [what for what, _ in world.dms.calls] == ["find", "put"]

    in_world(tmp_path, story)


def test_what_was_not_foreseen_ends_the_stage(tmp_path: Path) -> None:
    """As it is, not wrapped: the service has to see what it was."""

    async def story(world: World) -> None:
        await world.frozen()
        world.dms.trouble = RuntimeError("a bug")
        with pytest.raises(RuntimeError, match="a bug"):
            await asyncio.wait_for(world.sync.run(), PATIENCE)

    in_world(tmp_path, story)


def test_a_stage_that_is_stuck_does_not_beat(tmp_path: Path) -> None:
    """The watchdog is fed by getting on, and a spool that does not answer stops every lane."""

    async def story(world: World) -> None:
        free = threading.Event()
        async with running(world.sync):
            await world.settled()

            def wait(_: Spool) -> None:
                free.wait(PATIENCE)

            stuck = asyncio.create_task(world.spool(wait))
            try:
                await turns(world.sync)
                before = world.beats
                await turns(world.sync)
                assert world.beats == before
            finally:
                free.set()
            await stuck
            await world.settled()
            assert world.beats > before

    async def turns(sync: Sync) -> None:
        for _ in range(1000):
            sync.wake()
            await asyncio.sleep(0)

    in_world(tmp_path, story)


def test_one_lane_that_turns_does_not_beat_for_the_others(tmp_path: Path) -> None:
    """A beat says that every one of them gets on."""

    async def story(world: World) -> None:
        for who in ("dms", "", "dms", ""):
            world.sync._show(who)
        assert world.beats == 0
        world.sync._show("archive")
        assert world.beats == 1
        world.sync._show("archive")
        assert world.beats == 1

    in_world(tmp_path, story)


# -- a lane by itself ------------------------------------------------------------------------------


def test_a_clock_that_is_set_back_does_not_make_the_pause_longer() -> None:
    """A box without a battery wakes up in the past, or is corrected by a day."""
    lane = Lane(Shelf("dms", Role.DMS))
    assert lane.failed("target-unreachable", NOW, 1.0)
    assert lane.pause(NOW) == 2.0

    assert lane.pause(NOW - timedelta(days=1)) == 0.0


def test_a_large_document_may_take_longer_before_its_target_has_stalled() -> None:
    """A second for each megabyte, on top of the minute."""

    async def story() -> None:
        lane = Lane(Shelf("dms", Role.DMS))
        task = asyncio.create_task(asyncio.sleep(0))
        lane.begun(large_delivery(100_000_000), task, NOW)
        assert lane.stalled_since(NOW + timedelta(seconds=160)) is None
        assert lane.stalled_since(NOW + timedelta(seconds=161)) == NOW + timedelta(seconds=160)
        await task

    asyncio.run(story())


def large_delivery(size: int) -> Delivery:
    """Return a delivery of one part."""
    part = Part(role="sealed", file="sealed.pdf", digest=Digest.of(b""), size=size)
    return Delivery(
        document="x", target="dms", role=Role.DMS, state=DeliveryState.PENDING, parts=(part,)
    )


def folder(world: World, document: Document) -> Path:
    """Return where a document lies."""
    return folder_under(world.documents, document.id)
