"""The tables: made once, step by step, and never touched by a program that is too old."""

from __future__ import annotations

import sqlite3

import pytest

from daemon import schema
from daemon.document import Digest
from daemon.errors import CorruptionError
from daemon.records.copies import Copies
from daemon.records.reader import Reader
from tests.values import NOW


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

    assert tables(db) == {
        "meta", "document", "delivery", "ledger", "personal", "login", "tally", "counter", "missing",
        "shift", "segment", "segment_delivery",
    }  # fmt: skip
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


def test_a_migration_that_fails_leaves_nothing_behind(db: sqlite3.Connection) -> None:
    """All of a step or nothing of it: the next start tries the same step again."""
    db.execute("CREATE TABLE tally (in_the_way)")

    with pytest.raises(sqlite3.OperationalError, match="tally"):
        schema.migrate(db)

    assert tables(db) == {"tally"}
    assert version(db) == 0
    assert not db.in_transaction


SMALL = ("document_step", "document_copy", "delivery_step", "tally", "meta")
"""What may be read from end to end: it holds what is in work, and counts."""


def test_no_question_reads_a_whole_table(db: sqlite3.Connection) -> None:
    """A million documents at rest must cost the next one nothing: each question has its index."""
    schema.migrate(db)
    db.row_factory = sqlite3.Row
    reader = Reader(db)
    asked: list[str] = []
    db.set_trace_callback(asked.append)
    for state in schema.OPEN_STATES:
        reader.in_state(state, 5)
        reader.oldest(state)
        reader.newest(5, state=state)
    reader.newest(5, before="f")
    reader.newest_of("post", 5)
    copies = Copies(db, "box")
    copies.copies_due("post", 5)
    copies.copies_over("post", NOW, 5)
    copies.copies_elsewhere(["post"])
    copies.abandon_copies(["post"], NOW)
    copies.refused_with("post", Digest.of(b""))
    copies.refused_ids("post", 5)
    copies.refused_ending("post", "0123abcd", 5)
    reader.superseded("a")
    reader.due("dms", NOW, 5)
    reader.next_due("dms")
    reader.deliveries("a")
    reader.open_targets()
    reader.unsealed_bytes()
    reader.head()
    reader.counts()
    reader.last_success("dms")
    reader.receipts("a")
    reader.lines("a")
    reader.remembered("a")
    db.set_trace_callback(None)

    slow = [
        (step["detail"], statement)
        for statement in asked
        for step in db.execute(f"EXPLAIN QUERY PLAN {statement}")
        if step["detail"].startswith(("SCAN ", "SEARCH "))
        and not any(name in step["detail"] for name in SMALL)
        and (step["detail"].startswith("SCAN ") or " USING " not in step["detail"])
    ]

    assert len(asked) > 20
    assert [found for found in slow if not _stops_at_the_first_row(*found)] == []


def _stops_at_the_first_row(detail: str, statement: str) -> bool:
    """Return whether a scan goes along an order and ends by its LIMIT, with nothing to skip."""
    return detail == "SCAN ledger" and "WHERE" not in statement and "LIMIT 1" in statement


def test_the_last_success_is_found_by_its_index(db: sqlite3.Connection) -> None:
    """Asked for every snapshot, of every target: one look at the end of an index."""
    schema.migrate(db)
    plan = db.execute(
        "EXPLAIN QUERY PLAN SELECT max(changed_at) FROM delivery"
        " WHERE target = 'dms' AND state = 'delivered'"
    ).fetchall()

    assert "delivery_done" in str(plan)
