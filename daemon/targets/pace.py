"""How fast bytes may leave for a target. Decides and never sleeps; may be asked by several threads."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

SAVED_SECONDS: Final = 1.0
"""What was not sent for longer than this is not made up for: a pause must not end in a burst."""


class Pace:
    """One limit in bytes per second, shared by everything that is on the way to a target."""

    def __init__(
        self, bytes_per_second: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """No limit with 0."""
        self._rate = bytes_per_second
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._next = 0.0

    def owed(self, count: int) -> float:
        """Take *count* bytes; return after how many seconds they may leave."""
        if not self._rate:
            return 0.0
        with self._lock:
            now = self._monotonic()
            begin = max(self._next, now - SAVED_SECONDS)
            self._next = begin + count / self._rate
            return max(begin - now, 0.0)
