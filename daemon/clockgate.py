"""The clock gate: asked before each turn of sealing, closed by a jump, opened by NTP or a person.

What is true about it is in the spool: a gate that a jump has closed is closed after a
restart too, and stays so until the time was accepted, which is a line in the ledger.
Intake goes on meanwhile; what comes in is marked `clock: unsure`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from daemon import clock as clocks
from daemon.document import utc_text
from daemon.errors import PersonNeeded
from daemon.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from daemon.alarms import Alarms
    from daemon.spool import SpoolThread

log = logging.getLogger("clock")

UNSURE: Final = "clock-unsure"
KNOWN_SECONDS: Final = 1.0
"""So long the record counts as it was read: its newest time lags so much behind, a jump does not."""
DRIFT: Final = timedelta(minutes=1)
"""A correction larger than this is written down, so that many small ones are no jump together."""


async def problem(spool: SpoolThread, policy: str, now: datetime) -> str:
    """Return why the time is not to be trusted, or "": for a stage that only marks what it does."""
    record = await spool(Spool.clock_record)
    return clocks.gate(policy, clocks.look(), now, record, clocks.read(now))


class ClockGate:
    """The gate of one box."""

    def __init__(
        self,
        spool: SpoolThread,
        alarms: Alarms,
        clock: Callable[[], datetime],
        policy: str,
        look: Callable[[], clocks.ClockFacts] = clocks.look,
        read: Callable[[datetime], clocks.Reading] = clocks.read,
    ) -> None:
        """Ask nobody yet; *policy* is `[box] clock`."""
        self._spool = spool
        self._alarms = alarms
        self._clock = clock
        self._policy = policy
        self._look = look
        self._read = read
        self._asking = asyncio.Lock()
        """Several stages ask: what one has read must not be written down after another's word."""
        self._known: tuple[float, clocks.ClockRecord] | None = None
        self.problem = ""
        """Why it was closed when it was asked last, or ""."""

    async def check(self) -> str:
        """Return "" if the time may be written into a seal now, else why not; show it as an alarm."""
        async with self._asking:
            return await self._check()

    async def _check(self) -> str:
        now, facts = self._clock(), self._look()
        record, reading = await self._record(), self._read(now)
        found = clocks.gate(self._policy, facts, now, record, reading)
        if found and clocks.agrees(facts, now, record, found):
            await self._spool(
                Spool.clock_accepted, "ntp", "", reading, now, _seconds(record, reading)
            )
            log.warning("clock-accepted by=ntp was=%s", found)
            self._known = None
            record = await self._record()
            found = clocks.gate(self._policy, facts, now, record, reading)
        await self._remember(record, reading, now)
        self.problem = found
        if found:
            self._alarms.raise_(UNSURE, detail=found)
        else:
            self._alarms.clear(UNSURE)
        return found

    async def accept(self, person: str) -> dict[str, str]:
        """Let *person* say that the time is right now; return it. The ledger keeps who said so.

        Raise PersonNeeded if that is not what the gate waits for.
        """
        async with self._asking:
            now = self._clock()
            record, reading = await self._spool(Spool.clock_record), self._read(now)
            found = clocks.gate(self._policy, self._look(), now, record, reading)
            if found not in {"backwards", "jumped"}:
                raise PersonNeeded("clock-not-waiting", found or "open")
            await self._spool(
                Spool.clock_accepted, "person", person, reading, now, _seconds(record, reading)
            )
            log.warning("clock-accepted by=person was=%s", found)
            self._known = None
            await self._check()
        return {"now": utc_text(now), "was": found, "problem": self.problem}

    async def _record(self) -> clocks.ClockRecord:
        """Return what the spool knows, asked for not long ago."""
        if self._known is None or time.monotonic() > self._known[0] + KNOWN_SECONDS:
            self._known = time.monotonic(), await self._spool(Spool.clock_record)
        return self._known[1]

    async def _remember(
        self, record: clocks.ClockRecord, reading: clocks.Reading, now: datetime
    ) -> None:
        by = clocks.moved(record.reading, reading)
        if clocks.has_jumped(self._policy, record.reading, reading):
            await self._spool(Spool.clock_jumped, round(by.total_seconds()), reading, now)
            log.warning("clock-jumped seconds=%d", by.total_seconds())
            self._known = None
        elif record.reading is None or record.reading.boot != reading.boot or abs(by) > DRIFT:
            await self._spool(Spool.clock_read, reading, now)
            self._known = None


def _seconds(record: clocks.ClockRecord, reading: clocks.Reading) -> int:
    """Return by how much the time was set since what is known was written down."""
    return round(clocks.moved(record.reading, reading).total_seconds())
