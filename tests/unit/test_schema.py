"""The tables: made once, step by step, and never touched by a program that is too old."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from daemon import schema
from daemon.document import DeliveryState, State
from daemon.errors import CorruptionError

if TYPE_CHECKING:
    from collections.abc import Callable

    import sqlite_utils


@pytest.fixture
def db() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None)


def tables(db: sqlite3.Connection) -> set[str]:
    return {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def version(db: sqlite3.Connection) -> int:
    (found,) = db.execute("PRAGMA user_version").fetchone()
    return int(found)


def test_an_empty_database_gets_every_table_and_the_number(db: sqlite3.Connection) -> None:
    """And no transaction stays open that would hold the next writer up."""
    schema.migrate(db)

    assert tables(db) == {"meta", "document", "delivery", "ledger", "personal", "login", "tally"}
    assert version(db) == schema.VERSION == len(schema.MIGRATIONS)
    assert not db.in_transaction


def test_migrating_twice_changes_nothing(db: sqlite3.Connection) -> None:
    """Each start migrates: what is there stays."""
    schema.migrate(db)
    db.execute("INSERT INTO meta VALUES ('box_id', 'x')")
    before = db.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()

    schema.migrate(db)

    after = db.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()
    assert after == before
    assert db.execute("SELECT count(*) FROM meta").fetchone() == (1,)


def test_a_database_newer_than_the_code_is_refused_untouched(db: sqlite3.Connection) -> None:
    """An older program would damage what it does not understand."""
    db.execute(f"PRAGMA user_version = {schema.VERSION + 1}")

    with pytest.raises(CorruptionError) as caught:
        schema.migrate(db)

    assert caught.value.code == "database-newer"
    assert tables(db) == set()
    assert version(db) == schema.VERSION + 1


def test_a_migration_that_fails_leaves_the_version_before(
    db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of a step or nothing of it: the next start tries the same step again."""

    def fails(database: sqlite_utils.Database) -> None:
        database.table("half").create({"id": int})
        raise sqlite3.OperationalError("disk I/O error")

    steps: tuple[Callable[[sqlite_utils.Database], None], ...] = (*schema.MIGRATIONS, fails)
    monkeypatch.setattr(schema, "MIGRATIONS", steps)
    monkeypatch.setattr(schema, "VERSION", len(steps))

    with pytest.raises(sqlite3.OperationalError):
        schema.migrate(db)

    assert version(db) == len(steps) - 1
    assert "half" not in tables(db)
    assert not db.in_transaction


@pytest.mark.parametrize("state", [s for s in State if s.value not in {"filed", "discarded", "withdrawn", "forgotten"}])
def test_open_documents_are_found_by_an_index(db: sqlite3.Connection, state: State) -> None:
    """However many are at rest: a scan of a million rows takes as long as 500 seals."""
    schema.migrate(db)
    plan = db.execute(
        f"EXPLAIN QUERY PLAN SELECT * FROM document WHERE state = '{state.value}' AND step = ''"  # noqa: S608
        " ORDER BY tries DESC, id LIMIT 1"
    ).fetchall()

    assert "document_open" in str(plan[0][-1])


@pytest.mark.parametrize("state", [DeliveryState.PENDING, DeliveryState.SENDING])
def test_due_deliveries_are_found_by_an_index(
    db: sqlite3.Connection, state: DeliveryState
) -> None:
    """Per target, in the order of their due times."""
    schema.migrate(db)
    plan = db.execute(
        f"EXPLAIN QUERY PLAN SELECT * FROM delivery WHERE target = ? AND state = '{state.value}'"  # noqa: S608
        " AND due_at <= ? ORDER BY due_at LIMIT 1",
        ["dms", "2026"],
    ).fetchall()

    assert "delivery_due" in str(plan[0][-1])
    assert len(plan) == 1  # no sorting
