"""The hot folder: takes out of it every scan that has settled, and touches no other file.

    bell (events) ─┐
    every rescan ──┴─▶ survey ─▶ settled? ─▶ claim ─▶ commit ─▶ the sealer's turn
                                    └─ given up ─▶ claim, commit, refuse ─▶ wayback

Events only wake the survey; the survey is the truth. One claim after the other,
the oldest file first; while one is committed the next is taken. What cannot be
taken now stays where it is and stops no other (I8); what lies too long is an alarm
that says why. Nothing is ever deleted here (I1).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from daemon.clockgate import problem
from daemon.document import State
from daemon.intake import TROUBLES, NotNow, Reason
from daemon.intake.describer import Describer
from daemon.intake.doorkeeper import Doorkeeper
from daemon.intake.landing import Landing
from daemon.intake.report import Report
from daemon.intake.settle import ignore_sigio
from daemon.intake.survey import Pass, Watched
from daemon.intake.wayback import WayBack
from daemon.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import datetime

    from daemon.alarms import Alarms
    from daemon.config import Config, HotFolder
    from daemon.document import Document
    from daemon.intake.claim import Claimed
    from daemon.intake.survey import Lying
    from daemon.spool import SpoolThread
    from daemon.workers import Workers

T = TypeVar("T")

log = logging.getLogger("intake")

UNREADABLE: Final = "hotfolder-unreadable"
NO_EVENTS: Final = "hotfolder-events"
LEFT_LYING: Final = "left-lying"
SLICE_SECONDS: Final = 2.0
"""So long claims go on before the folder is looked at again, however many files wait."""
LEAST_SECONDS: Final = 0.005
"""Between two looks lies at least this, and four times what a look takes."""
PATIENCE_SECONDS: Final = 15.0
"""A folder that has not answered for so long is an alarm; an idle stage beats this often."""
FINISH_SECONDS: Final = 10.0
"""So long a stop waits for a claim that was begun; later, the next start finishes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HotFolderFacts:
    """What the page shows of a hot folder, as its newest look found it."""

    name: str
    waiting: int
    """Files that were seen and not claimed yet."""
    oldest_seconds: float | None
    """How long the oldest of them has been waiting."""
    writer_known: bool
    """Whether it can be known here that somebody is still writing a file."""
    last_scan_at: datetime | None


class HotFolderStage:
    """The intake of one hot folder."""

    def __init__(
        self,
        section: HotFolder,
        config: Config,
        spool: SpoolThread,
        alarms: Alarms,
        clock: Callable[[], datetime],
        patience_seconds: float = PATIENCE_SECONDS,
        pages: Workers | None = None,
    ) -> None:
        """Touch nothing yet; `intake.recovery.recover` comes before `run`.

        *pages* is needed where sidecars or names say something about scans.
        """
        self._section = section
        self._patience = patience_seconds
        self._config = config
        self._spool = spool
        self._alarms = alarms
        self._clock = clock
        self._door = Doorkeeper(section, config, clock, ring=self._ring, tick=self._tick)
        self._wayback = WayBack(section, config, spool, alarms, clock)
        self._report = Report(section, config, alarms, clock, self.lying)
        self._describer = Describer(
            section,
            config,
            spool,
            alarms,
            clock,
            door=self._door,
            patiently=self._patiently,
            pages=pages,
        )
        self._describer.done = self._goes_on
        self._landing = Landing(spool, clock, self._landed)
        self._wake = asyncio.Event()
        # One thread of its own: a share that hangs holds up no other hot folder.
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"intake-{section.name}")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ticks = 0
        self._last: tuple[Pass, datetime] | None = None
        self._told: set[Reason] = set()
        self._looking = 0.0
        """How long the newest look took, with the way to the thread and back."""
        self._due = 0.0
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
            writer_known=self._door.writer_known,
            last_scan_at=at,
        )

    @property
    def name(self) -> str:
        """The hot folder's name."""
        return self._section.name

    def lying(self, most: int) -> tuple[int, list[Lying]]:
        """Return how many files nobody has taken yet, and the newest of them; from any thread.

        They are named: nothing of it goes into a snapshot (I9).
        """
        return self._door.survey.lying(most)

    def copies_due(self) -> None:
        """Look for copies to make or to remove: a document was refused, or decided about."""
        self._wayback.wake()
        self._wake.set()  # what was released may wait for its sidecar again

    async def run(self) -> None:
        """Take scans in until cancelled; a claim that was begun is brought to its end."""
        ignore_sigio()
        self._loop = asyncio.get_running_loop()
        beside = [
            asyncio.create_task(self._wayback.run(), name=f"wayback {self._section.name}"),
            asyncio.create_task(self._report.run(), name=f"report {self._section.name}"),
            asyncio.create_task(self._describer.run(), name=f"describer {self._section.name}"),
        ]
        try:
            while True:
                for task in beside:
                    if task.done():
                        task.result()
                self.beat()
                rung = self._wake.is_set()
                self._wake.clear()
                self._door.heard()
                await self._rest(await self._round(rung=rung))
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            self._executor.submit(self._door.stop)
            self._executor.shutdown(wait=False)

    # -- a round: look, then claim what has settled ------------------------------------

    async def _round(self, *, rung: bool) -> float:
        """Look and claim; return after how many seconds the next round is worth it."""
        await self._describer.refresh()
        started = time.monotonic()
        try:
            found, deaf = await self._patiently(partial(self._door.look, rung=rung))
        except NotNow as exc:
            permission = exc.reason is Reason.PERMISSION
            self._alarms.raise_(
                Reason.PERMISSION if permission else UNREADABLE, self._section.name, exc.detail
            )
            return self._section.rescan_seconds
        self._looking = time.monotonic() - started
        self._last = found, self._clock()
        self._due = found.next_due
        self._tell(found, deaf)
        self._describer.looked()
        until = time.monotonic() + max(SLICE_SECONDS, 20 * found.seconds)
        clock = await self._clock_word() if found.claimed or found.ripe else ""
        try:
            for document_id in found.claimed:
                await _to_the_end(self._go_on(document_id, clock))
            for name in found.ripe:
                if time.monotonic() > until:
                    return 0.0
                await _to_the_end(self._take(name, clock))
        finally:
            await _to_the_end(self._landing.end())
        return min(self._due - time.monotonic(), self._section.rescan_seconds)

    async def _take(self, name: bytes, clock: str) -> None:
        """Claim a file of the hot folder, if it has settled."""
        files = self._door.survey.files
        unsealed = await self._landing.unsealed()
        if await self._attempt(files[name], partial(self._door.take, name, unsealed, clock)):
            del files[name]

    async def _go_on(self, document_id: str, clock: str) -> None:
        """Bring a claim to its end that was begun, and has waited under its private name."""
        watched = self._door.survey.private[document_id]
        if await self._spool(Spool.exists, document_id):
            await self._attempt(watched, partial(self._door.sort_out, document_id))
        else:
            unsealed = await self._landing.unsealed()
            await self._attempt(watched, partial(self._door.resume, document_id, unsealed, clock))

    async def _attempt(self, watched: Watched, work: Callable[[], Claimed | None]) -> bool:
        try:
            claimed = await self._patiently(work)
        except NotNow as exc:
            rescan = self._section.rescan_seconds
            otherwise = rescan if exc.reason is Reason.WRITER else 2 * rescan
            watched.put_off(exc, time.monotonic(), otherwise)
            self._due = min(self._due, watched.due)
            if exc.reason in TROUBLES and exc.reason not in self._told:
                self._told.add(exc.reason)
                self._alarms.raise_(exc.reason, self._section.name, exc.detail)
            return False
        finally:
            self.beat()
        if claimed is not None:
            self._landing.begin(claimed)
        return True

    async def _landed(self, claimed: Claimed, document: Document) -> None:
        log.info("claimed document=%s hotfolder=%s", document.id, document.hotfolder)
        self._goes_on(document)
        if claimed.copied:
            with contextlib.suppress(NotNow):  # the next look finds it, and sorts it out
                await self._patiently(partial(self._door.let_go, claimed))

    def _goes_on(self, document: Document) -> None:
        """Wake whoever is next; one that waits to be described is the describer's own."""
        if document.state is State.CLAIMED:
            self.claimed()
        elif document.state is State.REFUSED:
            self._wayback.wake()

    def _tell(self, found: Pass, deaf: str) -> None:
        name = self._section.name
        self._told.clear()
        self._alarms.clear(UNREADABLE, name)
        for closed in found.closed:
            found.reasons.add(closed.reason)
            code = closed.reason if closed.reason in TROUBLES else UNREADABLE
            self._alarms.raise_(code, name, closed.detail)
        for reason in TROUBLES - found.reasons:
            self._alarms.clear(reason, name)
        lying = [f"{reason} {n}" for reason, n in sorted(found.lying.items()) if n]
        for code, detail in ((LEFT_LYING, ", ".join(lying)), (NO_EVENTS, deaf)):
            if detail:
                self._alarms.raise_(code, name, detail)
            else:
                self._alarms.clear(code, name)

    async def _clock_word(self) -> str:
        closed = await problem(self._spool, self._config.box.clock, self._clock())
        return "unsure" if closed else "sure"

    def _tick(self) -> None:
        self._ticks += 1

    # -- waiting ------------------------------------------------------------------------------

    def _ring(self) -> None:
        """Wake the stage: called on watchdog's thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._wake.set)

    async def _rest(self, seconds: float) -> None:
        """Wait for *seconds* or until something happens; events come in bursts."""
        until = time.monotonic() + seconds
        # A look may have taken for as long as a share did not answer.
        await asyncio.sleep(max(LEAST_SECONDS, min(4 * self._looking, self._patience)))
        while not self._wake.is_set() and (left := until - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, self._patience)):
                    await self._wake.wait()
            self.beat()

    async def _patiently(self, work: Callable[[], T]) -> T:
        """Run *work* in the stage's thread, for as long as it takes.

        A share that does not answer, while it is looked through or in the middle of a
        claim, is an alarm and no reason to end the process: nobody else would get on
        then either. A disk of ours that hangs does not answer the spool, and nothing beats.
        """
        future = asyncio.get_running_loop().run_in_executor(self._executor, work)
        ticks = self._ticks
        while not (await asyncio.wait({future}, timeout=self._patience))[0]:
            if self._ticks == ticks:
                self._alarms.raise_(UNREADABLE, self._section.name, "it does not answer")
            self.beat()
            ticks = self._ticks
        return future.result()


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Await *work*; a cancellation reaches the caller once it is done, or has had its time."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        done, _ = await asyncio.wait({task}, timeout=FINISH_SECONDS)
        if done and not task.cancelled():
            task.result()
        task.cancel()
        raise
