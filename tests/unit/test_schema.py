"""The tables: made once, step by step, and never touched by a program that is too old."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from daemon import schema
from daemon.errors import CorruptionError
from daemon.records.journal import compare
from daemon.spool import Spool, connect
from tests.agreement import check
from tests.released import restore
from tests.values import places

if TYPE_CHECKING:
    from pathlib import Path

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


# -- from one version to the next ---------------------------------------------------------------


def shape(path: Path) -> dict[str, object]:
    """Return what a database is made of: its tables' columns, its indexes, its version."""
    with closing(sqlite3.connect(path)) as db:
        columns = 'SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?)'
        found: dict[str, object] = {
            table: sorted(db.execute(columns, [table]).fetchall()) for table in tables(db)
        }
        indexes = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        return found | dict(db.execute(indexes)) | {"version": version(db)}


def rows_of(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as db:
        names = sorted(tables(db))
        return {n: len(db.execute(f"SELECT 1 FROM {n}").fetchall()) for n in names}  # noqa: S608


@pytest.mark.parametrize("number", range(1, schema.VERSION + 1))
def test_every_released_version_is_opened_and_goes_on(tmp_path: Path, number: int) -> None:
    """A box that was switched off for years: what it knew is there, in the tables of today.

    Where this fails for a version that was not released yet: `python -m tests.released`.
    """
    old, new = places(tmp_path / "old"), places(tmp_path / "new")
    restore(number, old / "spool.db")
    before = rows_of(old / "spool.db")
    Spool(new, new=True).close()

    spool = Spool(old)
    check(spool)
    assert len(spool.newest(10)) == 4
    spool.close()
    assert shape(old / "spool.db") == shape(new / "spool.db")
    after = rows_of(old / "spool.db")
    assert {name: after[name] for name in before if name in after} == before
    assert compare(old).seq == before["ledger"]
    backup = old / f"spool.db.version-{number}"
    assert backup.exists() is (number < schema.VERSION)


def _second(db: sqlite_utils.Database) -> None:
    db.execute("ALTER TABLE document ADD COLUMN colour TEXT NOT NULL DEFAULT ''")


def _third(db: sqlite_utils.Database) -> None:
    db.table("paper").create({"id": str}, pk="id")


def _fails(db: sqlite_utils.Database) -> None:
    db.execute("CREATE TABLE meta (in_the_way)")


MORE = (*schema.MIGRATIONS, _second, _third)


def test_an_older_database_is_copied_before_it_is_migrated(tmp_path: Path) -> None:
    """The copy is whole, private, and of the old version: an older program goes on with it."""
    restore(1, tmp_path / "spool.db")
    before = shape(tmp_path / "spool.db"), rows_of(tmp_path / "spool.db")
    with closing(connect(tmp_path / "spool.db")) as db:
        schema.migrate(db, tmp_path / "spool.db", MORE)
        assert version(db) == 3
        assert "paper" in tables(db)
        assert not db.in_transaction
        db.execute("SELECT colour FROM document")

    copy = tmp_path / "spool.db.version-1"
    assert (shape(copy), rows_of(copy)) == before
    assert copy.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"spool.db", copy.name}


def test_a_migration_that_fails_takes_back_those_before_it(tmp_path: Path) -> None:
    """All steps are one transaction: never a database of a version that nobody released."""
    restore(1, tmp_path / "spool.db")
    before = shape(tmp_path / "spool.db")
    with closing(connect(tmp_path / "spool.db")) as db:
        with pytest.raises(sqlite3.OperationalError, match="meta"):
            schema.migrate(db, tmp_path / "spool.db", (*MORE, _fails))
        assert not db.in_transaction

    assert shape(tmp_path / "spool.db") == before
    assert shape(tmp_path / "spool.db.version-1") == before


def test_without_a_copy_nothing_is_migrated(tmp_path: Path) -> None:
    """No room, or a folder that may not be written: it stays of its version, and whole."""
    restore(1, tmp_path / "spool.db")
    before = shape(tmp_path / "spool.db")
    (tmp_path / "spool.db.version-1").mkdir()
    with closing(connect(tmp_path / "spool.db")) as db, pytest.raises(OSError, match="directory"):
        schema.migrate(db, tmp_path / "spool.db", MORE)

    assert shape(tmp_path / "spool.db") == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_kill_between_the_copy_and_the_commit_begins_again(tmp_path: Path) -> None:
    """The copy of the first try is replaced by one of the same version."""
    restore(1, tmp_path / "spool.db")
    (tmp_path / "spool.db.version-1").write_bytes(b"half")
    with closing(connect(tmp_path / "spool.db")) as db:
        schema.migrate(db, tmp_path / "spool.db", MORE)

    assert shape(tmp_path / "spool.db.version-1")["version"] == 1


def test_the_last_success_is_found_by_its_index(db: sqlite3.Connection) -> None:
    """Asked for every snapshot, of every target: one look at the end of an index."""
    schema.migrate(db)
    plan = db.execute(
        "EXPLAIN QUERY PLAN SELECT max(changed_at) FROM delivery"
        " WHERE target = 'dms' AND state = 'delivered'"
    ).fetchall()

    assert "delivery_done" in str(plan)
