"""The nightly sample: documents that lie here sealed are read again and verified.

    due? ── nobody is sealing? ──▶ one document ──▶ commit what it came to ──▶ pause

Every document has its turn: the sample goes on by id where the last one ended, so
the one that was not looked at for longest comes next. How far it got is committed
with each document: a restart neither repeats nor skips. Bad ones are looked at
again each day and at each start, until they are good.

A bad one is a ledger line and an alarm; as long as something of it is still to be
sent, it is held.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from daemon import stored
from daemon.document import State, utc_time
from daemon.records.rechecks import Progress
from daemon.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from daemon.alarms import Alarms
    from daemon.config import Config
    from daemon.spool import SpoolThread

log = logging.getLogger("recheck")

DAMAGED: Final = "stored-damaged"
FROM_HOUR: Final = 1
"""A day's sample begins from this hour on, or when the box is switched on later."""
SPREAD_SECONDS: Final = 4 * 3600.0
"""It is spread over this much time."""
LOOK_SECONDS: Final = 30.0
"""So often is looked whether it is time, and whether nobody is sealing."""
SEALED: Final = (
    State.SEALED,
    State.STAMPED,
    State.FROZEN,
    State.HELD,
    State.WITHDRAWN,
    State.FILED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the page is told."""

    at: datetime | None
    checked: int
    bad: int


class Recheck:
    """The stage that looks through the store again."""

    def __init__(
        self, config: Config, spool: SpoolThread, alarms: Alarms, clock: Callable[[], datetime]
    ) -> None:
        """Nothing runs yet."""
        self._documents = config.documents
        self._per_day = config.box.recheck_per_day
        self._zone = ZoneInfo(config.box.timezone)
        self._spool = spool
        self._alarms = alarms
        self._clock = clock
        self._progress = Progress()
        self._again: list[str] = []
        """Those that were bad, and are looked at before the sample."""
        # Not the common pool: its one thread gives way to everybody for good.
        self._thread = ThreadPoolExecutor(
            max_workers=1, thread_name_prefix="recheck", initializer=stored.give_way
        )
        self.busy: Callable[[], bool] = lambda: False
        """Whether documents are being sealed."""

    def facts(self) -> Facts:
        """Return what the newest sample came to."""
        progress = self._progress
        return Facts(
            at=utc_time(progress.at) if progress.at else None,
            checked=progress.checked,
            bad=len(progress.bad),
        )

    async def run(self) -> None:
        """Look until cancelled."""
        pause = SPREAD_SECONDS / max(self._per_day, 1)
        try:
            await self.resume()
            while True:
                looked = await self.turn()
                await asyncio.sleep(pause if looked else LOOK_SECONDS)
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def resume(self) -> None:
        """Go on where an earlier process ended."""
        self._progress = await self._spool(Spool.recheck_progress)
        self._again = list(self._progress.bad)
        for document_id in self._progress.bad:
            self._alarms.raise_(DAMAGED, document_id)

    async def turn(self) -> bool:
        """Look at one document if it is time; return whether one was looked at."""
        if not self._per_day or self.busy():
            return False
        now = self._clock()
        local = now.astimezone(self._zone)
        day = local.date().isoformat()
        # Not the other way round after the clock went back: that day had its sample.
        if day > self._progress.day and local.hour >= FROM_HOUR:
            self._progress = await self._spool(Spool.recheck_begun, day, now)
            self._again = list(self._progress.bad)
        if self._again:
            return await self._look(self._again.pop(0), sampled=False)
        counts = (await self._spool(Spool.counts)).get("document", {})
        total = min(self._per_day, sum(counts.get(state, 0) for state in SEALED))
        if day > self._progress.day or self._progress.checked >= total:
            return False
        found = await self._spool(Spool.sealed_after, self._progress.cursor, 1)
        found = found or await self._spool(Spool.sealed_after, "", 1)
        return bool(found) and await self._look(found[0].id, sampled=True)

    async def _look(self, document_id: str, *, sampled: bool) -> bool:
        before = await self._spool(Spool.document, document_id)
        if before.step:
            return False  # its files may be changing just now
        fault: stored.Fault | None = None
        if stored.kept(before):
            deliveries = await self._spool(Spool.deliveries, document_id)
            certificate = await self._spool(Spool.sealed_with, document_id)
            work = (self._documents, before, deliveries, certificate)
            loop = asyncio.get_running_loop()
            try:
                fault = await loop.run_in_executor(self._thread, stored.fault, *work)
            except OSError as exc:  # the box has run out of something: no document's fault
                log.warning("not-looked document=%s", document_id, exc_info=exc)
                return False
            if fault and await self._spool(Spool.document, document_id) != before:
                return False  # it went on meanwhile, and its files with it
        said = str(fault) if fault else ""
        self._progress = await self._spool(
            Spool.rechecked, document_id, said, self._clock(), sampled=sampled
        )
        if fault:
            log.error("stored-damaged document=%s what=%s", document_id, fault.what)
            self._alarms.raise_(DAMAGED, document_id, said)
        else:
            self._alarms.clear(DAMAGED, document_id)
        return True
