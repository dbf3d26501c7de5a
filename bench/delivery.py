"""After an outage: how fast a queue leaves for a distant target, and what a week of it looks like.

The target here is made up: it keeps what it is given and answers after a round trip, once for
the put and once for the proof. What it allows is known exactly, so what the engine (spool,
ledger, receipts, lanes) takes off it can be seen.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.table import Row, Section
from daemon.alarms import Alarms
from daemon.document import Receipt, Role
from daemon.errors import TargetUnreachable
from daemon.spool import Spool, open_spool
from daemon.sync import Sync
from daemon.terms import Terms
from tests.frozen import frozen, make_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from contrib.demo.token import TokenFiles
    from daemon.spool import SpoolThread
    from daemon.targets import Sending

DOCUMENTS: Final = 10_000
LATENCY: Final = 0.05
CONCURRENCY: Final = 8
SHARE: Final = 0.9
WEEK: Final = timedelta(days=7)
QUEUE: Final = 500


@dataclass(slots=True)
class Distant:
    """A DMS so many seconds of a round trip away, which can be told to be away altogether."""

    name: str
    role: Role
    latency: float
    create_once: bool = True
    away: bool = False
    stored: dict[str, Sending] = field(default_factory=dict)
    tries: Counter[str] = field(default_factory=Counter)
    order: list[str] = field(default_factory=list)

    async def find(self, part: Sending) -> Receipt | None:
        """See Target.find."""
        await self._trip(part)
        return self._receipt(part) if part.key in self.stored else None

    async def put(self, part: Sending) -> Receipt:
        """See Target.put."""
        await self._trip(part)
        assert part.key not in self.stored
        self.stored[part.key] = part
        self.order.append(part.key)
        await self._trip(part)
        return self._receipt(part)

    async def prove(self, _: Receipt, part: Sending) -> Receipt | None:
        """See Target.prove."""
        return await self.find(part)

    async def close(self) -> None:
        """Nothing is open."""

    async def _trip(self, part: Sending) -> None:
        self.tries[part.key] += 1
        await asyncio.sleep(self.latency)
        if self.away:
            raise TargetUnreachable("the line is cut")

    def _receipt(self, part: Sending) -> Receipt:
        return Receipt(
            target=self.name,
            key=part.key,
            size=part.size,
            digest=part.digest,
            reference=part.key,
            grade="bytes",
            proved_at=datetime.now(UTC),
        )


@dataclass(frozen=True, slots=True)
class Week:
    """How a simulated outage went."""

    tries: int
    minutes: float
    every: timedelta
    alarms: str
    in_order: int


def measure(
    folder: Path, _: TokenFiles, documents: int = DOCUMENTS, week: timedelta = WEEK
) -> Section:
    """Measure the figure group `delivery`; everything here is sealed already, in a manner of speaking."""
    folder.mkdir(exist_ok=True)
    seconds, memory = asyncio.run(_drained(folder / "queue", documents))
    allowed = CONCURRENCY / (2 * LATENCY)
    told = asyncio.run(_simulated(folder / "week", week))
    rows = (
        Row(
            name="delivery.documents",
            words=f"documents per second, of {allowed:g} that latency and concurrency allow",
            value=documents / seconds,
            unit="/s",
            limit=SHARE * allowed,
            more_is_better=True,
        ),
        Row(
            name="delivery.memory",
            words="memory of the process at the end, more than after a tenth of them",
            value=memory,
            unit="MB",
            limit=16.0,
        ),
        Row(
            name="delivery.week_tries", words="tries in a week's outage", value=told.tries, unit=""
        ),
        Row(
            name="delivery.week_back",
            words="from its end until all was delivered",
            value=told.minutes,
            unit="min",
        ),
    )
    waiting = (
        f"{documents:,} documents waiting for a target {LATENCY * 1000:g} ms away, {CONCURRENCY} on"
        " their way at once, two round trips each (put, then proof); one part of 2 kB, one lane."
    )
    simulated = (
        f"The week is simulated: {QUEUE} documents, one every {told.every}. Alarms: {told.alarms}."
        f" Each was put once, {told.in_order} of {QUEUE - 1} behind the one before it."
    )
    notes = (waiting, simulated)
    return Section(name="delivery", title="after an outage", rows=rows, notes=notes)


# -- a queue that leaves -------------------------------------------------------------------


async def _drained(folder: Path, documents: int) -> tuple[float, float]:
    """Return how many seconds a queue takes, and by how many MB the process grew meanwhile."""
    spool = await _spool(folder)
    now = datetime.now(UTC)
    for number in range(documents):
        await spool(_frozen, folder, now + timedelta(milliseconds=number - documents))
    target = Distant("dms", Role.DMS, LATENCY)
    sync = _sync(spool, folder, target, lambda: datetime.now(UTC), Terms(concurrency=CONCURRENCY))
    stage = asyncio.create_task(sync.run())
    begun, early = time.monotonic(), 0.0
    while (done := len(target.stored)) < documents:
        assert not stage.done()
        if not early and done >= documents // 10:
            early = _megabytes()
        await asyncio.sleep(0.02)
    while await _open(spool):  # noqa: ASYNC110 (the spool tells nobody)
        await asyncio.sleep(0.005)
    seconds, late = time.monotonic() - begun, _megabytes()
    await _stopped(stage)
    await spool.close()
    return seconds, late - early


# -- a week in a minute ----------------------------------------------------------------------


class Alarmed(Alarms):
    """Remembers what was raised and cleared."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__(clock)
        self.said: list[str] = []

    def raise_(self, code: str, instance: str = "", detail: str = "") -> None:
        """See Alarms.raise_."""
        if code not in {alarm.code for alarm in self.now()}:
            self.said.append(f"{code} raised")
        super().raise_(code, instance, detail)

    def clear(self, code: str, instance: str = "") -> None:
        """See Alarms.clear."""
        if code in {alarm.code for alarm in self.now()}:
            self.said.append(f"{code} cleared")
        super().clear(code, instance)


async def _simulated(folder: Path, week: timedelta) -> Week:
    spool = await _spool(folder)
    clock = [datetime.now(UTC)]
    target = Distant("dms", Role.DMS, 0.0, away=True)
    alarms = Alarmed(lambda: clock[0])
    drawn = random.Random(1)  # noqa: S311 (so that it is the same week each time)
    sync = _sync(spool, folder, target, lambda: clock[0], Terms(), alarms, drawn.random)
    beats = [0]
    sync.beat = lambda: beats.__setitem__(0, beats[0] + 1)
    stage = asyncio.create_task(sync.run())
    begun, every, made = clock[0], week / QUEUE, 0

    async def looked_around() -> None:
        for _ in range(2):
            seen = beats[0]
            sync.wake()
            while beats[0] == seen:
                assert not stage.done()
                await asyncio.sleep(0.0005)

    lane = sync._lanes["dms"]  # noqa: SLF001 (when it is probed next decides how far time jumps)
    while clock[0] - begun < week:
        while made < QUEUE and begun + every * made <= clock[0]:
            await spool(_frozen, folder, clock[0])
            made += 1
        await looked_around()
        clock[0] += timedelta(seconds=max(lane.pause(clock[0]), 1.0))
    tries, target.away = sum(target.tries.values()), False
    back = clock[0]
    while await _open(spool):
        await looked_around()
        clock[0] += timedelta(seconds=1)
    minutes = (clock[0] - back).total_seconds() / 60
    await looked_around()
    await _stopped(stage)
    await spool.close()
    in_order = sum(one < other for one, other in pairwise(target.order))
    return Week(tries, minutes, every, ", ".join(alarms.said), in_order)


# -- both ------------------------------------------------------------------------------------


async def _spool(folder: Path) -> SpoolThread:
    folder.mkdir()  # noqa: ASYNC240 (nothing else runs yet)
    return await open_spool(make_state(folder), new=True)


def _frozen(spool: Spool, folder: Path, now: datetime) -> None:
    frozen(spool, folder, targets={"dms": Role.DMS}, now=now)


def _sync(
    spool: SpoolThread,
    folder: Path,
    target: Distant,
    clock: Callable[[], datetime],
    terms: Terms,
    alarms: Alarms | None = None,
    jitter: Callable[[], float] = random.random,
) -> Sync:
    return Sync(
        spool,
        folder / "documents",
        {"dms": target},
        alarms or Alarms(clock),
        clock,
        jitter,
        {"dms": terms},
    )


async def _open(spool: SpoolThread) -> int:
    counts = (await spool(Spool.counts)).get("delivery:dms", {})
    return sum(counts.get(state, 0) for state in ("pending", "sending"))


async def _stopped(stage: asyncio.Task[None]) -> None:
    stage.cancel()
    await asyncio.wait({stage})


def _megabytes() -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError
