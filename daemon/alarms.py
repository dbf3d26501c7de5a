"""What is wrong right now: raised and cleared by the stages, shown by everyone.

An alarm is a code with instances (`target-unreachable` of `dms` and of
`archive`). Nothing here is true for good: after a restart the stages find out
again and raise again. What must outlive a restart is in the spool. Instances and
values hold no personal data: they go out over MQTT as they are (I9).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

log = logging.getLogger("alarms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One thing that is wrong."""

    code: str
    instance: str
    """Which one: a hot folder's, a target's or a token's name; "" where there is one only."""
    since: datetime
    detail: str
    """Numbers and codes that the sentence of the code does not have."""


class Alarms:
    """The alarms that are raised now."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """Start with none; *clock* gives the time of raising."""
        self._clock = clock
        self._raised: dict[tuple[str, str], Alarm] = {}
        self.changed: Callable[[], None] = lambda: None
        """Called after each change; the service points it at the publisher."""

    def raise_(self, code: str, instance: str = "", detail: str = "") -> None:
        """Raise it, or keep it raised since when it was, with the newest detail."""
        before = self._raised.get((code, instance))
        if before is not None and before.detail == detail:
            return
        since = before.since if before else self._clock()
        if before is None:
            log.warning("alarm raised code=%s instance=%s", code, instance or "-")
        self._raised[code, instance] = Alarm(
            code=code, instance=instance, since=since, detail=detail
        )
        self.changed()

    def clear(self, code: str, instance: str = "") -> None:
        """Clear it if it is raised."""
        if self._raised.pop((code, instance), None) is not None:
            log.info("alarm cleared code=%s instance=%s", code, instance or "-")
            self.changed()

    def clear_all(self, codes: frozenset[str], instance: str = "") -> None:
        """Clear each of *codes* for this instance."""
        for code in codes:
            self.clear(code, instance)

    def now(self) -> tuple[Alarm, ...]:
        """Return all that are raised, the oldest first."""
        return tuple(sorted(self._raised.values(), key=lambda alarm: (alarm.since, alarm.code)))
