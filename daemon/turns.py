"""Whose turn it is to be sealed: oldest first, a few at once, suspects alone.

A suspect is a document in whose step the daemon, or its page worker, has ended
before. It runs first and by itself, so that a second end is counted against the
one that causes it and against no other (I8).

While the key cannot be used, or the clock cannot be trusted, nothing is begun;
intake and delivery go on, and an alarm says why.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.cms import WRONG
from daemon.document import Document, State
from daemon.errors import StaleWrite, TransientError
from daemon.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.alarms import Alarms
    from daemon.clockgate import ClockGate
    from daemon.key import Key
    from daemon.sealer import Sealer
    from daemon.spool import SpoolThread
    from daemon.stamping import Stamper

AT_ONCE = 4
"""Documents in work: one in a page worker, one at the token, one at the disk, one to spare."""
AGAIN_SECONDS = 1.0
"""The key is looked at again after so long, in the middle of a turn; the clock for each document."""
STAMPS = 2
"""So many more wait for a time-stamp authority."""
BATCH = 64
"""So many are asked of the spool at once."""
NAMELESS = "documents-without-operator"
IDLE_SECONDS = 5.0
"""The stage looks at least this often, whatever it was or was not told."""


@dataclass(frozen=True, slots=True)
class _Running:
    task: asyncio.Task[None]
    until: float
    """By our monotonic clock: later than that the stage is silent."""
    stamps: bool
    """It waits for a time-stamp authority."""


class Turns:
    """The sealing stage."""

    def __init__(
        self,
        spool: SpoolThread,
        sealer: Sealer,
        key: Key,
        alarms: Alarms,
        gate: ClockGate,
        stamper: Stamper,
    ) -> None:
        """Nothing runs yet."""
        self._spool = spool
        self._sealer = sealer
        self._key = key
        self._alarms = alarms
        self._gate = gate
        self._stamper = stamper
        self._wake = asyncio.Event()
        self._running: dict[str, _Running] = {}
        self._paused_until = 0.0
        self._asked_at = 0.0
        self.frozen: Callable[[], None] = lambda: None
        """Called when a document is ready to be delivered."""
        self.refused: Callable[[], None] = lambda: None
        """Called when a document was refused: a copy of it is due."""
        self.beat: Callable[[], None] = lambda: None
        """Called as long as everything that runs is within its time."""

    def wake(self) -> None:
        """Look now: something was claimed or released."""
        self._wake.set()

    def busy(self) -> bool:
        """Return whether documents are in work."""
        return bool(self._running)

    async def run(self) -> None:
        """Seal until cancelled; what is in work then is finished by the next start."""
        try:
            while True:
                self._wake.clear()
                busy = await self._turn()
                if self._in_time():
                    self.beat()
                await self._something(idle=not busy)
        finally:
            for running in self._running.values():
                running.task.cancel()
            tasks = [running.task for running in self._running.values()]
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _turn(self) -> bool:
        """Begin what can be begun; return whether there may be more to do at once."""
        self._reap()
        if time.monotonic() < self._paused_until or not await self.may_seal():
            return bool(self._running)
        await self._tell_what_waits()
        waiting = [document for document in await self._next() if document.id not in self._running]
        if not any(document.tries for document in waiting):
            await self._begin_stamps()
        if not waiting and not self._running:
            self._alarms.clear("sealing-paused")
            self._alarms.clear(WRONG)
        suspects = [document for document in waiting if document.tries]
        if suspects:
            if not self._running:
                self._begin(suspects[0])
            return True
        return await self._begin_all(waiting)

    async def _begin_all(self, waiting: list[Document]) -> bool:
        """Begin them one after the other, a few at once, for as long as that may be."""
        for document in waiting:
            while len(self._running) - self._stamps() >= AT_ONCE:
                await self._something(idle=False)
                self._reap()
                if self._in_time():
                    self.beat()  # four large documents can take longer than a silent stage may
                if time.monotonic() < self._paused_until:
                    return True
            if not await self._may_still_seal():
                return True
            self._begin(document)
            self.beat()
            if self._stamper.asks:
                await self._begin_stamps()
        return bool(waiting)

    async def _next(self) -> list[Document]:
        """Return what could be begun, in the order in which it should be."""
        found: list[Document] = []
        for state in (State.STAMPED, State.SEALED, State.CLAIMED):
            found += await self._spool(Spool.in_state, state, BATCH)
        return found

    async def _begin_stamps(self) -> None:
        """Begin what is due of those that want a time stamp: few at once, beside the seals.

        An authority that takes its time holds up no seal, and no intake holds up a time stamp.
        """
        busy = {key for key, running in self._running.items() if running.stamps}
        for document in await self._stamper.due(STAMPS, busy):
            if document.tries and self._running:
                return  # a suspect runs alone, and first
            self._begin(document)

    async def _tell_what_waits(self) -> None:
        """Let go on what waited for a better seal; say what waits still: nothing else would."""
        waiting = {
            NAMELESS: await self._spool(Spool.waiting_count, "operator"),
            "seal-quality": await self._sealer.resume(self._key),
        }
        for code, count in waiting.items():
            if count:
                self._alarms.raise_(code, detail=str(count))
            else:
                self._alarms.clear(code)

    def _begin(self, document: Document) -> None:
        # Three page-worker calls, and what the token and the disk take beside them.
        allowed = 3 * self._sealer.seconds(document) + 600.0
        task = asyncio.create_task(self._one(document), name=f"seal {document.id}")
        task.add_done_callback(lambda _: self._wake.set())
        self._running[document.id] = _Running(
            task, time.monotonic() + allowed, stamps=document.stamp == "wanted"
        )

    async def _one(self, document: Document) -> None:
        try:
            after = await self._work_of(document)(document, self._key)
        except TransientError as exc:
            # The token, not the document: the key finds out what it is before the next.
            self._alarms.raise_("sealing-paused", detail=exc.code)
            if exc.code == WRONG:
                self._alarms.raise_(WRONG)
            self._paused_until = time.monotonic() + IDLE_SECONDS
            return
        except StaleWrite:
            # Set aside since the turn began, by whoever found its file damaged.
            if (await self._spool(Spool.document, document.id)).state is not State.HELD:
                raise
            return
        self._alarms.clear("sealing-paused")
        if after.state is State.FROZEN:
            self._alarms.clear(WRONG)
            self.frozen()
        elif after.state is State.REFUSED:
            self.refused()

    def _work_of(self, document: Document) -> Callable[[Document, Key], Awaitable[Document]]:
        if document.state is State.CLAIMED:
            return self._sealer.seal
        if document.stamp != "wanted":
            return self._sealer.freeze
        gives_up = self._stamper.gives_up(document)
        return self._sealer.give_up if gives_up else self._sealer.stamp

    def _stamps(self) -> int:
        return sum(running.stamps for running in self._running.values())

    def _reap(self) -> None:
        """Let go of what has ended; what was not foreseen goes up and ends the process."""
        for document_id, running in list(self._running.items()):
            if running.task.done():
                del self._running[document_id]
                running.task.result()

    def _in_time(self) -> bool:
        now = time.monotonic()
        return all(now < running.until for running in self._running.values())

    async def may_seal(self) -> bool:
        """Return whether clock and key allow a seal now; raise or clear the alarms that say why."""
        if await self._gate.check():
            await self._key.keep_alive()
            return False
        self._asked_at = time.monotonic()
        return await self._key.usable()

    async def _may_still_seal(self) -> bool:
        """Return whether it is still allowed: a turn is long, with large scans.

        The time may have jumped since its beginning, or the certificate have been revoked.
        """
        if time.monotonic() - self._asked_at > AGAIN_SECONDS:
            return await self.may_seal()
        return not await self._gate.check()

    async def _something(self, *, idle: bool) -> None:
        """Wait until told, until something has ended, or until it is time to look again."""
        waits: set[asyncio.Task[object]] = {asyncio.create_task(self._wake.wait())}
        try:
            await asyncio.wait(waits, timeout=IDLE_SECONDS if idle or self._running else 0.05)
        finally:
            for wait in waits:
                wait.cancel()
        self._wake.clear()
