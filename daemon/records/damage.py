"""What SQLite says when the disk or the file is wrong, and what that means for us."""

from __future__ import annotations

import logging
import os
import sqlite3
from typing import Final

from daemon.errors import CorruptionError

log = logging.getLogger("spool")

DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
"""What SQLite says where the file itself is wrong; anything else may be only of the moment."""

NO_TEXT: Final = "Could not decode to UTF-8"
"""What Python's module says of a text whose bytes are none; we write no such text."""

UNSYNCED: Final = frozenset({sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC})
"""Extended codes; the first eight bits are those of any error of the disk."""


def name_damage(exc: sqlite3.DatabaseError) -> None:
    """Raise CorruptionError if *exc* says that; a disk that is full, or fails, is no damage yet."""
    # Errors of Python's own module have no such code: one of them is about a text that is none.
    if getattr(exc, "sqlite_errorcode", 0) & 0xFF in DAMAGE or NO_TEXT in str(exc):
        raise CorruptionError("database-damaged", f"spool.db: {exc}") from exc


def end_if_unsynced(exc: BaseException) -> None:
    """End the process here and now after a failed fsync.

    Whoever goes on with the database, or closes it, has SQLite sync the same descriptor
    again, and the second time the kernel knows of no error.
    """
    if getattr(exc, "sqlite_errorcode", 0) in UNSYNCED:
        log.critical("database-unsynced", exc_info=exc)
        os._exit(1)
