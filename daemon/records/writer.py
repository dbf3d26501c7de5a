"""What the spool's tables are written through: one connection, one transaction per call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.records.reader import Reader
from daemon.records.transaction import Group, Transaction, transaction

if TYPE_CHECKING:
    import sqlite3
    from contextlib import AbstractContextManager
    from datetime import datetime


class Writer(Reader):
    """Reads, and writes in transactions that carry their ledger lines (I7)."""

    def __init__(self, db: sqlite3.Connection, box_id: str) -> None:
        """Write through *db*, which is in autocommit mode, in the name of *box_id*."""
        super().__init__(db)
        self._box_id = box_id
        self._group: Group | None = None
        """While several steps share one commit."""

    def _step(self, now: datetime) -> AbstractContextManager[Transaction]:
        return transaction(self._db, self._box_id, now, self._group)
