"""The hot folder: takes every scan out of it that has settled, and touches no other file.

    bell (events) ─┐
    every rescan ──┴─▶ survey ─▶ settled? ─▶ claim ─▶ commit ─▶ the sealer's turn
                                    └─ give-up ─▶ claim, commit, refuse ─▶ wayback

Events only wake the survey; the survey is the truth. One claim after the other,
the oldest file first; what cannot be taken now stays where it is and stops no
other (I8), and what lies too long is an alarm that says why. Nothing is ever
deleted here (I1).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from daemon import clock as clocks
from daemon import durable
from daemon.document import State
from daemon.intake import TROUBLES, NotNow, Reason
from daemon.intake.bell import ECHO_SECONDS, Bell
from daemon.intake.claim import Claimed, Desk, commit, has_room
from daemon.intake.settle import (
    Look,
    Rule,
    Verdict,
    ignore_sigio,
    leases_here,
    open_scan,
    probe,
    settled,
)
from daemon.intake.survey import Pass, Survey, Watched
from daemon.intake.wayback import WayBack
from daemon.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import datetime

    from daemon.alarms import Alarms
    from daemon.config import Config, HotFolder
    from daemon.document import Document
    from daemon.spool import SpoolThread

T = TypeVar("T")

SLICE_SECONDS: Final = 2.0
"""So long claims go on before the folder is looked at again, however many files wait."""
PATIENCE_SECONDS: Final = 15.0
"""A folder that has not answered for so long is an alarm; we go on waiting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HotFolderFacts:
    """What the page shows of a hot folder."""

    name: str
    waiting: int
    """Files that were seen and not claimed yet."""
    oldest_seconds: float | None
    """How long the oldest of them has been waiting."""
    writer_known: bool
    """Whether it can be known here that somebody is still writing a file."""
    last_scan_at: datetime | None


class HotFolderStage:
    """One hot folder's intake."""

    def __init__(
        self,
        section: HotFolder,
        config: Config,
        spool: SpoolThread,
        alarms: Alarms,
        clock: Callable[[], datetime],
    ) -> None:
        """Touch nothing yet; `intake.recovery.recover` comes before `run`."""
        self._section = section
        self._config = config
        self._spool = spool
        self._alarms = alarms
        self._clock = clock
        self._rule = Rule.of(section)
        self._survey = Survey(section)
        self._desk = Desk(section, config.documents, self._tick)
        self._wayback = WayBack(section, config, spool, alarms, clock)
        self._wake = asyncio.Event()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"intake-{section.name}")
        self._ticks = 0
        self._leases = True
        self._writer_known = True
        self._last: tuple[Pass, datetime] | None = None
        self._echo_until = 0.0
        self.claimed: Callable[[], None] = lambda: None
        """Called when there is a document to be sealed."""
        self.beat: Callable[[], None] = lambda: None
        """Called on progress, and while there is nothing to do."""

    def facts(self) -> HotFolderFacts:
        """Return what the newest look found."""
        found, at = self._last or (None, None)
        oldest = found.oldest if found else None
        return HotFolderFacts(
            name=self._section.name,
            waiting=found.waiting if found else 0,
            oldest_seconds=None if oldest is None else time.monotonic() - oldest,
            writer_known=self._writer_known,
            last_scan_at=at,
        )

    def copies_due(self) -> None:
        """Make the copies for `rejected` now: a document was refused."""
        self._wayback.wake()

    async def run(self) -> None:
        """Take scans in until cancelled; a claim that was begun is brought to its end."""
        ignore_sigio()
        loop = asyncio.get_running_loop()
        bell = Bell(self._survey.folder, partial(loop.call_soon_threadsafe, self._wake.set))
        copies = asyncio.create_task(self._wayback.run(), name=f"wayback {self._section.name}")
        try:
            while True:
                if copies.done():
                    copies.result()
                self.beat()
                rung = self._wake.is_set()
                self._wake.clear()
                bell.heard()
                await self._rest(await self._round(bell, rung=rung))
        finally:
            copies.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await copies
            self._executor.submit(bell.stop)
            self._executor.shutdown(wait=False)

    # -- one round: look, then claim what has settled --------------------------------

    async def _round(self, bell: Bell, *, rung: bool) -> float:
        """Look and claim; return in how many seconds the next round is worth it."""
        name = self._section.name
        try:
            found = await self._patiently(partial(self._look, bell, rung=rung))
        except NotNow as exc:
            code = (
                exc.reason if exc.reason is Reason.PERMISSION else Reason.FOLDER_UNREADABLE
            )
            self._alarms.raise_(code, name, exc.detail)
            return self._section.rescan_seconds
        self._alarms.clear(Reason.FOLDER_UNREADABLE, name)
        self._last = found, self._clock()
        self._tell(found)
        started = time.monotonic()
        until = started + max(SLICE_SECONDS, 20 * found.seconds)
        clock = await self._clock_word()
        for document_id in found.claimed:
            await self._to_the_end(self._go_on(document_id, clock))
        for file in found.ripe:
            if time.monotonic() > until:
                return 0.0
            await self._to_the_end(self._take(file, clock))
            self.beat()
        now = time.monotonic()
        wait = min(found.next_due - now, self._section.rescan_seconds)
        if now < self._echo_until:
            wait = min(wait, max(0.025, 10 * found.seconds))
        return max(0.0, wait)

    def _look(self, bell: Bell, *, rung: bool) -> Pass:
        found = self._survey.look(rung=rung)
        try:
            if not bell.answers():
                ...
        return found
