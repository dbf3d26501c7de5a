"""When something may be sent again to a target that cannot refuse a second copy (I3). Pure.

    put ── answer lost ──▶ in doubt ── `settle` later ──▶ not found ── a minute ──▶ not found: may be put
                              │                              │
                              └──────── found at any time ───┴──▶ delivered

What was not found may yet be stored: an insert can end after we gave up, and an index can
lag behind it. Before `settle` is over a find that finds nothing says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from daemon.document import Delivery

APART: Final = timedelta(minutes=1)
"""So far apart are the two times that it has to be absent."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """What is known of a delivery that may have arrived, at a moment when it was not found."""

    since: datetime
    """When something of it may have been on its way for the last time."""
    absent: datetime | None
    """When it was not found for the first time that counts."""
    settle: timedelta

    @classmethod
    def of(cls, delivery: Delivery, started: datetime, now: datetime, settle: timedelta) -> Doubt:
        """Return the doubt about *delivery* of a process that runs since *started*.

        What a process before had on its way may have left until it ended. A time that lies
        ahead was written by a clock that was set back since: the wait begins anew.
        """
        since = max(delivery.sent_at or started, started)
        if since > now:
            return cls(now, None, settle)
        absent = delivery.absent_at
        return cls(since, absent if absent and since + settle <= absent <= now else None, settle)

    def may_put(self, now: datetime) -> bool:
        """Return whether it may be put now, having been found absent just now."""
        return self.absent is not None and now - self.absent >= APART

    def counts(self, now: datetime) -> bool:
        """Return whether that it is absent now is the first time that counts."""
        return self.absent is None and now >= self.since + self.settle

    def ask_at(self, now: datetime, backoff: timedelta) -> datetime:
        """Return when to ask again, after it was found absent now and may not be put."""
        if self.absent is not None:
            return max(self.absent + APART, now)
        if self.counts(now):
            return now + APART
        return min(now + backoff, self.since + self.settle)
