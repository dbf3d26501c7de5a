"""One transaction of the spool: BEGIN IMMEDIATE, the change, its ledger line, COMMIT.

A transition is a compare-and-set in the same transaction as its ledger line; no
row changes state in any other way (I7). The newest hash is read inside the
transaction, so the chain cannot fork.

    BEGIN   SAVEPOINT step … RELEASE   SAVEPOINT step … RELEASE   COMMIT

Several steps that wait at the same time can share one commit, and its fsync: a Group.
Each is still whole or not at all, and nobody hears of one before all of them are durable.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from daemon import ledger
from daemon.document import utc_text
from daemon.errors import StaleWrite

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

F = TypeVar("F", bound="Callable[..., Any]")


def together(method: F) -> F:
    """Mark what may share its commit with others: all that it does, it does to the database."""
    method.together = True  # type: ignore[attr-defined]
    return method


class Transaction:
    """What can be done inside of one."""

    def __init__(self, db: sqlite3.Connection, box_id: str, now: datetime) -> None:
        """Use `transaction`: it begins, commits and rolls back."""
        self.db = db
        self.at = utc_text(now)
        self._box_id = box_id

    def head(self) -> ledger.Head:
        """Return where the chain stands."""
        row = self.db.execute("SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1").fetchone()
        return ledger.Head(*row) if row else ledger.EMPTY

    def line(
        self,
        document: str,
        event: str,
        detail: Mapping[str, Any],
        personal: Mapping[str, Any] | None = None,
    ) -> ledger.Line:
        """Append a ledger line; *personal* goes into a row of its own that can be erased."""
        salt, content, hashed = b"", "", ""
        if personal is not None:
            salt = secrets.token_bytes(ledger.SALT_BYTES)
            content = ledger.canonical(dict(personal))
            hashed = ledger.personal_hash(salt, content)
        line = ledger.append(
            self.head(),
            box_id=self._box_id,
            at=self.at,
            document=document,
            event=event,
            detail=detail,
            personal_hash=hashed,
        )
        self.db.execute(
            "INSERT INTO ledger(seq, at, document, event, line, hash) VALUES (?,?,?,?,?,?)",
            [line.seq, self.at, document, event, line.text, line.hash],
        )
        if personal is not None:
            self.db.execute(
                "INSERT INTO personal(seq, salt, content) VALUES (?,?,?)",
                [line.seq, salt, content],
            )
        return line

    def change(self, statement: str, values: list[Any]) -> None:
        """Run an UPDATE that has to hit exactly one row: the compare-and-set."""
        changed = self.db.execute(statement, values).rowcount
        if changed != 1:
            raise StaleWrite(
                f"{changed} rows were as expected: {statement.split(' WHERE', maxsplit=1)[0]}"
            )

    def set_meta(self, key: str, value: str) -> None:
        """Write a fact about the box."""
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [key, value])

    def count(self, kind: str, before: str, after: str, amount: int = 1) -> None:
        """Move *amount* from one tally to another; "" is outside."""
        for state, change in ((before, -amount), (after, amount)):
            if state:
                self.db.execute(
                    "INSERT INTO tally(kind, state, n) VALUES (?,?,?)"
                    " ON CONFLICT(kind, state) DO UPDATE SET n = n + excluded.n",
                    [kind, state, change],
                )


class Group:
    """Steps that are committed together; the first one that writes begins it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        """Begin nothing yet."""
        self._db = db
        self._begun = False
        self.lost: BaseException | None = None
        """What has ended the whole transaction, as a full disk does, or left half a step in it."""

    @contextmanager
    def step(self) -> Iterator[None]:
        """One step: all of it, or nothing."""
        if not self._begun:
            self._db.execute("BEGIN IMMEDIATE")
            self._begun = True
        self._db.execute("SAVEPOINT step")
        try:
            yield
            self._db.execute("RELEASE step")
        except BaseException as exc:
            self.lost = exc  # unless nothing of this step is left
            if self._db.in_transaction:
                self._db.execute("ROLLBACK TO step")
                self._db.execute("RELEASE step")
                self.lost = None
            raise

    def ended(self, error: BaseException | None) -> bool:
        """Return whether what a call came to, *error*, has ended the transaction.

        Also between two steps: SQLite rolls back by itself when a read fails, and a savepoint
        without a transaction around it would be a commit of its own.
        """
        if self.lost is None and self._begun and not self._db.in_transaction:
            self.lost = error or RuntimeError("a call has ended the transaction of all")
        return self.lost is not None

    def commit(self) -> None:
        """Make all of them durable, or none."""
        if self.lost is not None:
            self._undo()
            raise self.lost
        try:
            if self._begun:
                self._db.execute("COMMIT")
        except BaseException:
            self._undo()
            raise

    def _undo(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")


@contextmanager
def transaction(
    db: sqlite3.Connection, box_id: str, now: datetime, group: Group | None = None
) -> Iterator[Transaction]:
    """Begin, and commit at the end or roll back: both the step and its line, or neither.

    In a *group* the commit is the group's.
    """
    if group is not None:
        with group.step():
            yield Transaction(db, box_id, now)
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        yield Transaction(db, box_id, now)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # a full disk, for one, has ended it already
            db.execute("ROLLBACK")
        raise
