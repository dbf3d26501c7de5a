"""How far a long command is, for whoever sits before it: one line that is rewritten.

    1,234 of 10,000 documents

Only on a terminal; where the output goes into a file or to a mail nothing is written.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final, Protocol, Self, TextIO

if TYPE_CHECKING:
    from daemon.formats import Formats

PAUSE_SECONDS: Final = 0.1
"""A terminal is written to no more often: it may be at the end of a slow line."""
REST: Final = "\x1b[K"
"""ECMA-48, 8.3.41 (EL): clears from here to the end of the line."""


class Step(Protocol):
    """Whoever wants to hear how far something is."""

    def __call__(self, what: str, done: int, total: int = 0) -> None:
        """Hear how many `lines`, `documents` or `days` are done, and of how many (0: nobody knows)."""


class Progress:
    """The line; leave it as a context, and it is gone."""

    def __init__(self, formats: Formats, stream: TextIO | None = None) -> None:
        """Write to *stream*, or to stderr: what is printed stays clean."""
        self._stream = sys.stderr if stream is None else stream
        self._shows = self._stream.isatty()
        self._formats = formats
        self._next = 0.0
        self._written = False

    def __call__(self, what: str, done: int, total: int = 0) -> None:
        """Show that so many are *done*."""
        now = time.monotonic()
        if not self._shows or now < self._next:
            return
        self._next = now + PAUSE_SECONDS
        key = f"progress_{what}_of" if total else f"progress_{what}"
        number = self._formats.number
        line = self._formats.word(key, n=number(done), total=number(total))
        print(f"\r{line}{REST}", end="", file=self._stream, flush=True)
        self._written = True

    def clear(self) -> None:
        """Take the line away: something else is to be printed."""
        if self._written:
            print(f"\r{REST}", end="", file=self._stream, flush=True)
            self._written = False
            self._next = 0.0

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave no half line behind, however it ended."""
        self.clear()
