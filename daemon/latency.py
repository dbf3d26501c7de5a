"""How long signatures took, as a histogram: what a token that is about to fail shows first.

Pure counting, in memory: it begins anew with each start, as Prometheus expects it.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds. A software token needs 3 ms, a network HSM 5 to 50, a card up to a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """What was counted so far."""

    count: int = 0
    seconds: float = 0.0
    """All of them together."""
    at_most: tuple[int, ...] = (0,) * len(BOUNDS)
    """How many took at most so long as each of BOUNDS."""


NOTHING_YET: Final = Latency()


@dataclass(slots=True)
class Histogram:
    """Counts durations."""

    _count: int = 0
    _seconds: float = 0.0
    _within: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))

    def observe(self, seconds: float) -> None:
        """Count one."""
        self._count += 1
        self._seconds += seconds
        self._within[bisect_left(BOUNDS, seconds)] += 1

    def now(self) -> Latency:
        """Return what was counted so far."""
        at_most, total = [], 0
        for number in self._within[:-1]:
            total += number
            at_most.append(total)
        return Latency(count=self._count, seconds=self._seconds, at_most=tuple(at_most))
