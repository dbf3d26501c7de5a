"""The log: one line `key=value` with the journal's priority prefix; ids and codes, never names."""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

PRIORITY = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}
"""What sd-daemon(3) calls SD_DEBUG to SD_CRIT."""


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Write one line, whatever is in the message; tracebacks by type and place only."""
        text = record.getMessage()
        if record.name == "asyncio":
            # What follows its first line is the repr of a task, with its error's message.
            text = text.partition("\n")[0]
        text = "".join(char if char.isprintable() else " " for char in text)
        line = f"<{PRIORITY.get(record.levelno, 6)}>at={record.name} {text}"
        if record.exc_info and record.exc_info[1] is not None:
            # Never the message: it may hold a file name (I9).
            frame = record.exc_info[2]
            while frame is not None and frame.tb_next is not None:
                frame = frame.tb_next
            where = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else "?"
            line += f" error={type(record.exc_info[1]).__name__} where={where}"
        return line


def to_journal() -> None:
    """Send all logging to standard error, where the journal reads it; errors nobody caught too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # Python's own hooks would write the message of the error beside it; so would logging.
    logging.raiseExceptions = False
    sys.excepthook = _uncaught
    sys.unraisablehook = lambda found: _uncaught(
        found.exc_type, found.exc_value, found.exc_traceback
    )
    threading.excepthook = lambda found: _uncaught(
        found.exc_type, found.exc_value, found.exc_traceback
    )


def _uncaught(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    if issubclass(kind, Exception):
        facts = (kind, error or kind(), trace)
        logging.getLogger("python").critical("nobody caught this", exc_info=facts)
