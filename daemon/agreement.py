"""Whether the database's rows say what its ledger says: every line's step, taken once more.

    one moment of spool.db ─▶ its lines, repeated into an empty database ─▶ row by row compared

A bit that was flipped inside a value is on no damaged page and in no broken chain: SQLite
finds nothing wrong with it. The lines know better, so the first row that differs is named.

Not compared is what no line says: steps and tries, until when and why a target was left
alone, how far the nightly sample got, how the clock stood to the boot. Where a person's
details were erased, names are not compared either.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final, NoReturn

from daemon import ledger, schema
from daemon.errors import CorruptionError, PersonNeeded
from daemon.records.damage import DAMAGE
from daemon.records.replay import SAID, Replay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from daemon.progress import Step

SCRATCH: Final = "spool.db.comparing"
UNTOLD: Final = {
    "document": frozenset({"step", "tries", "local"}),
    "delivery": frozenset(
        {"step", "tries", "attempts", "due_at", "code", "reason", "changed_at"}
        | {"sent_at", "absent_at", "sure"}
    ),
}
"""Columns that no line tells."""
UNTOLD_META: Final = ("running", "recheck", "clock_reading", "erasing", "explained_days")
KEYS: Final = {
    "meta": ("key",),
    "document": ("id",),
    "delivery": ("document", "target"),
    "segment": ("day",),
    "segment_delivery": ("day", "target"),
    "login": ("serial",),
    "shift": ("hotfolder", "since"),
    "counter": ("hotfolder", "series"),
    "missing": ("hotfolder", "series", "run", "number"),
    "tally": ("kind", "state"),
    "ledger": ("seq",),
}
"""Every table but `personal`, whose rows are held against their lines' hashes."""
NAMED: Final = frozenset({"shift", "counter", "missing"})
"""Tables whose keys or values are names, or subfolders that may be."""
PERSONAL: Final = frozenset({*SAID, "subfolder"})
JSON: Final = frozenset({"described", "receipts"})
"""Columns whose members the ledger has in another order."""
OFTEN: Final = 1000
DIFFERS: Final = "database-differs"
ONE_ONLY: Final = "a row of this key is in the database or in what the ledger says, not in both"


def agree(state_dir: Path, progress: Step) -> None:
    """Raise CorruptionError at the first row that is not what the lines say.

    The service may be running. The scratch database has no name any more while it is filled.
    """
    with closing(_reading(state_dir / "spool.db")) as db, closing(_scratch(state_dir)) as made:
        try:
            (found,) = db.execute("PRAGMA user_version").fetchone()
            if found != schema.VERSION:
                raise PersonNeeded(
                    "database-not-compared",
                    f"spool.db is of version {found}, this program compares {schema.VERSION}",
                )
            db.execute("BEGIN")  # all that follows sees one moment
            schema.migrate(made)
            made.execute("BEGIN")
            erased = _repeat(db, made, progress)
            for table in KEYS:
                if not (erased and table in NAMED):
                    _compare(table, db, made, erased)
        except sqlite3.DatabaseError as exc:
            if getattr(exc, "sqlite_errorcode", 0) & 0xFF in DAMAGE:
                raise CorruptionError("database-damaged", f"spool.db: {exc}") from exc
            raise PersonNeeded("database-not-compared", str(exc)) from exc


def _reading(path: Path) -> sqlite3.Connection:
    return _opened(f"{path.absolute().as_uri()}?mode=ro")


def _opened(uri: str) -> sqlite3.Connection:
    db = sqlite3.connect(uri, uri=True, isolation_level=None)
    db.row_factory = sqlite3.Row
    # A flipped bit need not leave UTF-8: then it is another text.
    db.text_factory = _text
    return db


def _text(value: bytes) -> str:
    return value.decode(errors="surrogateescape")


def _scratch(state_dir: Path) -> sqlite3.Connection:
    """Open an empty database that is gone when it is closed, on the volume that may hold it."""
    path = state_dir / SCRATCH
    try:
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
    except OSError:  # read-only, or somebody else's: as far as memory goes
        return _opened("file::memory:")
    db = _opened(path.absolute().as_uri())
    # With a journal SQLite would look for the file's name again.
    db.execute("PRAGMA journal_mode = OFF")
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA user_version").fetchone()
    path.unlink()
    return db


def _repeat(db: sqlite3.Connection, made: sqlite3.Connection, progress: Step) -> frozenset[str]:
    """Repeat every line; return the documents of erased details, "" for the box."""
    (box,) = db.execute("SELECT value FROM meta WHERE key = 'box_id'").fetchone() or ("",)
    (total,) = db.execute("SELECT max(seq) FROM ledger").fetchone()
    made.execute("INSERT INTO meta VALUES ('box_id', ?)", [box])
    replay = Replay(made, box)
    head = ledger.EMPTY
    erased = set()
    progress("lines", 0, total or 0)
    for row in db.execute(
        "SELECT line, salt, content FROM ledger LEFT JOIN personal USING (seq) ORDER BY seq"
    ):
        if head == ledger.EMPTY and json.loads(row["line"])["box_id"] != box:
            raise CorruptionError(DIFFERS, "spool.db: meta box_id: it is not what the ledger says")
        personal = (row["salt"], row["content"]) if row["content"] is not None else None
        head = replay.take(row["line"], head, personal)
        if personal is None:
            line = json.loads(row["line"])
            if line["personal_hash"]:
                erased.add(line["document"])
        if head.seq % OFTEN == 0:
            progress("lines", head.seq, total)
    replay.forget_reading()
    return frozenset(erased)


def _compare(
    table: str, db: sqlite3.Connection, made: sqlite3.Connection, erased: frozenset[str]
) -> None:
    """Walk through both tables in the order of their keys."""
    for here, told in zip_longest(_rows(table, db), _rows(table, made)):
        if here is None or told is None:
            _differs(table, told if here is None else here, ONE_ONLY)
        for column in here:
            if column in UNTOLD.get(table, ()):
                continue
            if _plain(column, here, erased) != _plain(column, told, erased):
                if column in KEYS[table]:
                    _differs(table, min((here, told), key=partial(_key, table)), ONE_ONLY)
                _differs(table, here, f"its {column} is not what the ledger says")


def _key(table: str, row: dict[str, Any]) -> list[str]:
    return [str(row[column]) for column in KEYS[table]]


def _rows(table: str, db: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    where = {
        "meta": f"WHERE key NOT IN {UNTOLD_META!r}",
        "tally": "WHERE n != 0",
    }.get(table, "")
    keys = ", ".join(KEYS[table])
    for row in db.execute(f"SELECT * FROM {table} {where} ORDER BY {keys}"):  # noqa: S608
        yield dict(row)


def _plain(column: str, row: dict[str, Any], erased: frozenset[str]) -> Any:
    value = row[column]
    if column not in JSON:
        return value
    try:
        facts = json.loads(value)
    except (ValueError, TypeError, RecursionError):
        return value
    if column == "described" and row["id"] in erased and isinstance(facts, dict):
        return {key: said for key, said in facts.items() if key not in PERSONAL}
    return facts


def _differs(table: str, row: dict[str, Any], what: str) -> NoReturn:
    # Of a counter the key holds a subfolder's name.
    key = " ".join(str(row[column]) for column in KEYS[table][: 1 if table in NAMED else None])
    raise CorruptionError(DIFFERS, f"spool.db: {table} {key}: {what}")
