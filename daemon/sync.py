"""Carries due deliveries to their targets, and knows how the targets are.

Each target has a lane of its own, so a dead one stops no other (I8). A lane goes
oldest first, a few at a time, past what is not due yet. While its target does not
answer it probes with one document and waits longer each time. A delivery in whose
step the daemon has ended goes first and alone, so that a second end is counted
against the one that causes it.

Not decided here: what one step of a delivery is (delivering), what a target is (targets/),
and when a document is filed (spool).
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import TYPE_CHECKING, Final

from daemon.delivering import deliver
from daemon.document import Delivery, DeliveryState
from daemon.lane import Lane
from daemon.spool import Spool
from daemon.targets import DOUBT, OWN_COPY_DAMAGED
from daemon.terms import Terms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

    from daemon.alarms import Alarms
    from daemon.delivering import Outcome
    from daemon.lane import TargetFacts
    from daemon.spool import SpoolThread
    from daemon.targets import Target

log = logging.getLogger("sync")

BATCH: Final = 64
"""So many due deliveries are asked of the spool at once."""
IDLE_SECONDS: Final = 5.0
"""Each lane looks at least this often, whatever it was or was not told."""
BUSY_SECONDS: Final = 1.0
"""While something is on the way, what has become due in the meantime waits for so long."""
STUCK: Final = {
    "delivery-refused": DeliveryState.REFUSED,
    "delivery-gone": DeliveryState.GONE,
}
"""Alarms of a target, and the deliveries they count: a person has to decide about each."""
TWICE: Final = "target-duplicate"
ITS_OWN: Final = frozenset({OWN_COPY_DAMAGED, TWICE, "target-disagrees"})
"""Why a target refuses that are about the one document, whatever happens to the next ones."""
PACE_SECONDS: Final = 0.02
"""A lane that has something to do asks for more no more often than this."""
SHORTEST_SECONDS: Final = 0.05
"""A delivery that was begun a moment ago can still look due: no lane turns faster than this."""


class Sync:
    """The delivering stage."""

    def __init__(
        self,
        spool: SpoolThread,
        documents: Path,
        targets: Mapping[str, Target],
        alarms: Alarms,
        clock: Callable[[], datetime],
        jitter: Callable[[], float] = random.random,
        terms: Mapping[str, Terms] | None = None,
    ) -> None:
        """Nothing runs yet; *jitter* draws from 0 to 1; *terms* are those of targets, by name."""
        terms = terms or {}
        self._spool = spool
        self._documents = documents
        self._lanes = {
            name: Lane(target, terms.get(name, Terms())) for name, target in targets.items()
        }
        self._alarms = alarms
        self._clock = clock
        self._jitter = jitter
        self._look = asyncio.Event()
        self._suspects = asyncio.Lock()
        self._shown: set[str] = set()
        self.filed: Callable[[str], None] = lambda _: None
        """Called with each document that was filed just now."""
        self.beat: Callable[[], None] = lambda: None
        """Called when every lane has shown since the last time that it gets on."""
        self.suspect_seconds = 30.0
        """So long a suspect waits for the suspects of other targets, which may hang."""

    def wake(self) -> None:
        """Look now: a person has changed something."""
        self.frozen()
        self._look.set()

    def frozen(self) -> None:
        """Look now: a document is ready."""
        for lane in self._lanes.values():
            lane.news = True
            lane.woken.set()

    def facts(self) -> tuple[TargetFacts, ...]:
        """Return how the targets are."""
        now = self._clock()
        return tuple(lane.facts(now) for lane in self._lanes.values())

    async def run(self) -> None:
        """Deliver until cancelled; what is on the way then is asked for by the next start."""
        tasks = [asyncio.create_task(self._serve(lane)) for lane in self._lanes.values()]
        tasks.append(asyncio.create_task(self._watch()))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await _cancelled(tasks)

    async def _serve(self, lane: Lane) -> None:
        try:
            while True:
                lane.woken.clear()
                lane.reap()
                seconds = await self._begin_due(lane)
                self._show(lane.target.name)
                await _told(lane.woken, seconds)
        finally:
            await _cancelled(lane.flying.values())

    async def _begin_due(self, lane: Lane) -> float:
        """Begin what may be begun now; return for how many seconds there is nothing more to do."""
        if pause := lane.pause(self._clock()) or lane.terms.closed(self._clock()):
            return min(pause, IDLE_SECONDS)
        while lane.room():
            if wait := lane.wait(time.monotonic()):
                return wait
            if not lane.queue:
                left = lane.ask_at - time.monotonic()
                if left > 0 and not lane.news:
                    return left
                pace = lane.asked_at + PACE_SECONDS - time.monotonic()
                if lane.flying and pace > 0:
                    return pace
                lane.news, lane.asked_at = False, time.monotonic()
                found = await self._spool(Spool.due, lane.target.name, self._clock(), BATCH)
                lane.queue.extend(d for d in found if d.document not in lane.flying)
            if not lane.queue:
                seconds = await self._seconds_until_due(lane)
                lane.ask_at = time.monotonic() + seconds
                return seconds
            if lane.queue[0].tries and lane.flying:
                break  # a suspect: when nothing else is on the way
            self._begin(lane, lane.queue.popleft())
        return IDLE_SECONDS

    async def _seconds_until_due(self, lane: Lane) -> float:
        if lane.flying:
            return BUSY_SECONDS
        due_at = await self._spool(Spool.next_due, lane.target.name)
        if due_at is None:
            return IDLE_SECONDS
        left = (due_at - self._clock()).total_seconds()
        return min(max(left, SHORTEST_SECONDS), IDLE_SECONDS)

    def _begin(self, lane: Lane, delivery: Delivery) -> None:
        task = asyncio.create_task(self._one(lane, delivery))
        task.add_done_callback(lambda _: lane.woken.set())
        lane.begun(delivery, task, self._clock())

    async def _one(self, lane: Lane, delivery: Delivery) -> None:
        turn = bool(delivery.tries) and await self._turn_of_suspect()
        try:
            outcome = await deliver(
                self._spool,
                self._documents,
                delivery,
                lane.target,
                self._clock,
                self._jitter(),
                lane.terms.rules,
                lane.slots,
            )
        finally:
            if turn:
                self._suspects.release()
        self._learn(lane, delivery, outcome)

    async def _turn_of_suspect(self) -> bool:
        """Wait until no suspect of another target is on the way; return whether that is so."""
        try:
            async with asyncio.timeout(self.suspect_seconds):
                return await self._suspects.acquire()
        except TimeoutError:
            return False  # the other target hangs; it must not stop this one (I8)

    # -- how the targets are --------------------------------------------------------------

    def _learn(self, lane: Lane, delivery: Delivery, outcome: Outcome) -> None:
        """Draw conclusions about the target from how one delivery ended."""
        name = lane.target.name
        if outcome.state is not DeliveryState.DELIVERED:
            lane.news = True
        else:
            for follower in lane.terms.rules.followers:
                self._lanes[follower].news = True
                self._lanes[follower].woken.set()
        if outcome.filed:
            self.filed(delivery.document)
        if outcome.state is DeliveryState.SENDING and outcome.code != DOUBT:
            if lane.failed(outcome.code, self._clock(), self._jitter(), outcome.retry_after):
                log.warning("target-fails target=%s code=%s", name, outcome.code)
            return
        if outcome.state is DeliveryState.REFUSED:
            log.warning(
                "delivery-refused target=%s document=%s code=%s",
                name,
                delivery.document,
                outcome.code,
            )
            self._look.set()
            if outcome.code not in ITS_OWN and lane.refused(
                outcome.code, self._clock(), self._jitter()
            ):
                return
        if outcome.state is None or outcome.code == OWN_COPY_DAMAGED:
            return  # the target was not asked, or it is not the target's fault
        if lane.answered(delivered=outcome.state is DeliveryState.DELIVERED):
            log.info("target-answers target=%s", name)
            self._look.set()

    async def _watch(self) -> None:
        """Keep the alarms as the targets are."""
        while True:
            self._look.clear()
            counts = await self._spool(Spool.counts)
            now = self._clock()
            for name, lane in self._lanes.items():
                states = counts.get(f"delivery:{name}", {})
                for code, state in STUCK.items():
                    self._alarm(code, name, str(states.get(state, "") or ""))
                self._alarm("target-unreachable", name, lane.unreachable(now))
                twice = states.get(DeliveryState.REFUSED) and await self._spool(
                    Spool.deliveries_refused, name, TWICE
                )
                self._alarm(TWICE, name, str(twice or ""))
            self._show("")
            await _told(self._look, IDLE_SECONDS)

    def _alarm(self, code: str, instance: str, detail: str) -> None:
        if detail:
            self._alarms.raise_(code, instance, detail)
        else:
            self._alarms.clear(code, instance)

    def _show(self, who: str) -> None:
        """Beat once everybody has shown: one lane that turns says nothing about the others."""
        self._shown.add(who)
        if len(self._shown) > len(self._lanes):
            self._shown.clear()
            self.beat()


async def _told(event: asyncio.Event, seconds: float) -> None:
    """Wait for *event*, at most so long."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


async def _cancelled(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel *tasks* and wait until they have ended."""
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)
