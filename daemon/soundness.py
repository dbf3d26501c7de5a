"""Whether the database came through an unclean end whole: looked at in the background.

SQLite finds a damaged page only once somebody reads it. After a kill or a power cut all
of it is read once, while the service works; nothing is held up unless it fails. The ledger
lines that a damaged log has lost are found by the start itself: the files are ahead then.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from daemon.errors import CorruptionError
from daemon.records.damage import DAMAGE
from daemon.records.reader import open_reader

if TYPE_CHECKING:
    from pathlib import Path


async def look_through(database: Path) -> None:
    """Read the whole database; raise CorruptionError if it is damaged. May be cancelled."""
    with closing(open_reader(database)) as reader:
        looking = asyncio.create_task(asyncio.to_thread(reader.fault))
        try:
            said = await asyncio.shield(looking)
        except asyncio.CancelledError:
            reader.interrupt()
            await asyncio.gather(looking, return_exceptions=True)
            raise
        except sqlite3.DatabaseError as exc:
            if getattr(exc, "sqlite_errorcode", 0) & 0xFF not in DAMAGE:
                raise
            said = str(exc)
    if said:
        raise CorruptionError("database-damaged", f"spool.db: {said.splitlines()[0]}")
