"""The log: one line `key=value` with the journal's priority prefix; ids and codes, never names."""

from __future__ import annotations

import logging
import sys

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
        text = record.getMessage().replace("\n", " ")
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
    """Send all logging to standard error, where the journal reads it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
