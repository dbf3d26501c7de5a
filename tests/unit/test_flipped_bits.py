"""One flipped bit, wherever it is: found, named by its code, never replaced by an empty database."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from daemon.agreement import KEYS, SCRATCH, agree
from daemon.document import Described, Kin
from daemon.errors import CorruptionError, DaemonError
from daemon.records import journal
from daemon.soundness import look_through
from daemon.spool import Spool
from tests.values import LATER, NOW, arrival, claimed, frozen, part, receipts, refused

if TYPE_CHECKING:
    from pathlib import Path


def silent(what: str, done: int, total: int = 0) -> None:
    del what, done, total


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def fill(spool: Spool) -> None:
    """Have rows in every table."""
    old = refused(spool, 1)
    spool.claim(arrival(2), LATER, Kin(supersedes=(old.id,), how="digest"))
    done = frozen(spool, claimed(spool, 3), NOW)
    for target in ("dms", "archive"):
        sending = spool.begin_delivery(spool.delivery(done.id, target), NOW)
        spool.acknowledge(sending, receipts(spool, done.id, target), LATER)
    for number, counter in ((4, 1), (5, 4)):
        described = Described(operator="Erika", source="name", counter=counter, digits=4)
        came = spool.claim(replace(arrival(number), awaits="sidecar"), NOW)
        sidecar = part("sidecar", "sidecar.json", str(number))
        described = replace(described, sidecar=str(sidecar.digest))
        spool.describe(came, described, sidecar, None, 60.0, LATER)
    spool.begin_shift("post", "Max", "uid 0", NOW)
    spool.login_attempted("serial", NOW)
    spool.export_ledger()
    spool.end_day(NOW + timedelta(days=1))


def found(state: Path) -> str:
    """Return the code that `scanseal ledger verify` ends with."""
    try:
        journal.compare(state)
        agree(state, silent)
    except DaemonError as exc:
        return exc.code
    return ""


def test_a_database_as_it_was_written_agrees(spool: Spool, state: Path) -> None:
    """While the service runs, after an erasure, and leaving nothing behind."""
    fill(spool)
    assert found(state) == ""

    (document,) = [one for one in spool.newest(10) if one.described.counter == 1]
    spool.erase_personal(document.id, LATER)
    assert found(state) == ""

    spool.erase_personal(range(1, 1000), LATER)
    assert found(state) == ""
    assert not (state / SCRATCH).exists()


def test_a_database_of_another_version_is_not_compared(spool: Spool, state: Path) -> None:
    """It has other columns; the service brings it up to date when it starts."""
    fill(spool)
    spool._db.execute("PRAGMA user_version = 99")

    assert found(state) == "database-not-compared"


def values(state: Path) -> list[tuple[str, str, int]]:
    """Return every column of every table that the lines tell, with a row that has it."""
    with closing(sqlite3.connect(state / "spool.db")) as db:
        seen = []
        for table in KEYS:
            for column in [row[1] for row in db.execute(f"PRAGMA table_info({table})")]:
                sql = f"SELECT rowid FROM {table} WHERE {column} IS NOT NULL LIMIT 1"  # noqa: S608
                seen += [(table, column, rowid) for (rowid,) in db.execute(sql)]
        return seen


UNTOLD = {
    ("document", column) for column in ("step", "tries", "local")
} | {
    ("delivery", column)
    for column in (
        *("step", "tries", "attempts", "due_at", "code", "reason", "changed_at"),
        *("sent_at", "absent_at", "sure"),
    )
}  # fmt: skip
"""What the page about recovery says of what is not found."""


def test_a_value_that_changed_in_any_row_is_found(spool: Spool, state: Path) -> None:
    """No page is damaged and no index disagrees: only the lines know what it was."""
    fill(spool)
    spool.close()
    whole = (state / "spool.db").read_bytes()
    missed = []
    for table, column, rowid in values(state):
        with closing(sqlite3.connect(state / "spool.db", isolation_level=None)) as db:
            sql = f"SELECT {column} FROM {table} WHERE rowid = ?"  # noqa: S608
            (value,) = db.execute(sql, [rowid]).fetchone()
            other = value ^ 64 if isinstance(value, int) else f"{value}x"
            if column == "described":  # an index reads it
                other = '{"pages": 7}'
            update = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"  # noqa: S608
            db.execute(update, [other, rowid])
        if not found(state):
            missed.append((table, column))
        (state / "spool.db").write_bytes(whole)

    assert set(missed) == UNTOLD
    assert found(state) == ""


def test_the_row_is_named(spool: Spool, state: Path) -> None:
    """One bit in the bytes of the file itself, in a value that no index has."""
    fill(spool)
    (document,) = [one for one in spool.newest(10) if one.sealed is not None]
    spool.close()
    data = (state / "spool.db").read_bytes()
    note = str(document.note).encode()
    assert data.count(note) >= 1
    at = max(i for i in range(len(data)) if data.startswith(note, i) and not _in_a_line(data, i))
    flip(state / "spool.db", at)
    asyncio.run(look_through(state / "spool.db"))  # SQLite finds nothing

    with pytest.raises(CorruptionError) as caught:
        agree(state, silent)

    assert str(caught.value) == (
        f"database-differs: spool.db: document {document.id}: its note is not what the ledger says"
    )


def _in_a_line(data: bytes, at: int) -> bool:
    return data[at - 1 : at] == b'"'


def test_a_page_or_an_index_is_found(spool: Spool, state: Path) -> None:
    """In the kind of each page, in a digest that an index has; the file is never replaced."""
    fill(spool)
    (document,) = [one for one in spool.newest(10) if one.sealed is not None]
    spool.close()
    database = state / "spool.db"
    whole = database.read_bytes()
    with closing(sqlite3.connect(database)) as db:
        (size,) = db.execute("PRAGMA page_size").fetchone()
        (root,) = db.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'document_digest'"
        ).fetchone()
    page = (root - 1) * size
    places = [place for place in range(size, len(whole), size) if whole[place] in {2, 5, 10, 13}]
    places.append(whole.index(str(document.digest).encode(), page, page + size))
    assert len(places) > 10
    for place in places:
        flip(database, place)
        changed = database.read_bytes()
        with pytest.raises(CorruptionError) as caught:
            asyncio.run(look_through(database))
        assert caught.value.code == "database-damaged"
        assert database.read_bytes() == changed
        database.write_bytes(whole)


def test_a_frame_of_the_log_is_found_at_the_start(spool: Spool, state: Path) -> None:
    """SQLite drops it and all behind it; the ledger's files are ahead then."""
    fill(spool)
    spool._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for number in range(10, 14):
        claimed(spool, number)
    spool.export_ledger()
    copy = state.with_name("copy")
    shutil.copytree(state, copy)  # as a power cut leaves it
    wal = copy / "spool.db-wal"
    flip(wal, wal.stat().st_size // 2)

    with pytest.raises(CorruptionError) as caught:
        Spool(copy)

    assert caught.value.code == "ledger-ahead"


@pytest.mark.parametrize("which", [".jsonl", ".personal.jsonl"])
def test_a_line_of_the_ledger_is_found(spool: Spool, state: Path, which: str) -> None:
    """Anywhere in any file."""
    fill(spool)
    spool.note("start", {}, {"who": "Erika"}, NOW + timedelta(days=1))
    spool.export_ledger()
    spool.close()
    for path in journal.files(state / "ledger", which):
        size = path.stat().st_size
        for at in (1, size // 3, size // 2, size - 3):
            flip(path, at)
            code = found(state)
            flip(path, at)
            assert code == "ledger-damaged", (path.name, at)
    assert len(journal.files(state / "ledger", which)) == 2


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("document", "state", "frozfn"),
        ("document", "sealed", "0" * 63),
        ("document", "findings", "[["),
        ("document", "claimed_at", "2O26"),
        ("delivery", "parts", "{"),
        ("delivery", "state", b"\xff\xfe"),
    ],
)
def test_a_value_that_is_none_of_ours_is_damage(
    spool: Spool, state: Path, table: str, column: str, value: str | bytes
) -> None:
    """Not a mistake in the program, which would end and start again for ever."""
    document = frozen(spool, claimed(spool), NOW)
    typed = "CAST(? AS TEXT)" if isinstance(value, bytes) else "?"
    spool._db.execute(f"UPDATE {table} SET {column} = {typed}", [value])  # noqa: S608

    async def asked() -> None:
        from daemon.spool import open_spool  # noqa: PLC0415

        thread = await open_spool(state)
        try:
            await thread(Spool.document, document.id)
            await thread(Spool.deliveries, document.id)
        finally:
            await thread.close()

    with pytest.raises(CorruptionError) as caught:
        asyncio.run(asked())

    assert caught.value.code == "database-damaged"
