"""When a target may be used: `Mo-Fr 18:00-06:00`, in the box's own time. Pure.

Days are Mo Tu We Th Fr Sa Su (or their German names Mo Di Mi Do Fr Sa So), a range or a list;
left out: every day. An end at or before the beginning lies on the next day.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

DAYS: Final = {
    name: number
    for names in (
        ("mo", "tu", "we", "th", "fr", "sa", "su"),
        ("mo", "di", "mi", "do", "fr", "sa", "so"),
    )
    for number, name in enumerate(names)
}
FORM: Final = re.compile(
    r"(?:([A-Za-z]{2}(?:[-,][A-Za-z]{2})*) )?([0-9]{2}):([0-9]{2})-([0-9]{2}):([0-9]{2})"
)
WEEK: Final = 7


@dataclass(frozen=True, slots=True)
class Window:
    """One span of time that comes back each week."""

    days: frozenset[int]
    """On which it begins; 0 is Monday."""
    begins: time
    ends: time

    @classmethod
    def parse(cls, text: str) -> Window:
        """Return what *text* says; raise ValueError with a sentence."""
        found = FORM.fullmatch(text)
        if found is None:
            raise ValueError("must be like 'Mo-Fr 18:00-06:00' or '18:00-06:00'")
        begins, ends = _time(found[2], found[3]), _time(found[4], found[5])
        return cls(_days(found[1]), begins, ends)

    def holds(self, local: datetime) -> bool:
        """Return whether *local*, a time of the box's wall, lies in it."""
        now = local.time()
        if self.begins < self.ends:
            return local.weekday() in self.days and self.begins <= now < self.ends
        today = local.weekday() in self.days and now >= self.begins
        return today or ((local.weekday() - 1) % WEEK in self.days and now < self.ends)


def _time(hour: str, minute: str) -> time:
    if (hour, minute) == ("24", "00"):
        return time()
    try:
        return time(int(hour), int(minute))
    except ValueError:
        raise ValueError("must have hours from 00 to 24 and minutes from 00 to 59") from None


def _days(text: str | None) -> frozenset[int]:
    if text is None:
        return frozenset(range(WEEK))
    found: set[int] = set()
    for piece in text.lower().split(","):
        first, _, last = piece.partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            raise ValueError("must have days like Mo, Tu, We, Th, Fr, Sa, Su")
        begin, end = DAYS[first], DAYS[last or first]
        found |= {day % WEEK for day in range(begin, end + (WEEK if end < begin else 0) + 1)}
    return frozenset(found)


def seconds_until(windows: Sequence[Window], now: datetime, zone: tzinfo) -> float:
    """Return for how many seconds the target must not be used; 0.0 if it may be used now.

    At most an hour is said at once: then it is asked again, whatever clocks and daylight saving do.
    """
    if not windows or any(window.holds(now.astimezone(zone)) for window in windows):
        return 0.0
    for minutes in range(1, 61):
        later = now.replace(second=0, microsecond=0) + timedelta(minutes=minutes)
        if any(window.holds(later.astimezone(zone)) for window in windows):
            return (later - now).total_seconds()
    return 3600.0
