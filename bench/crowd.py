"""A spool with very many documents, made in minutes: a few real ones, and their rows again and again.

Of each kind one document is brought to its state by the spool's own methods. Its rows
are then copied by SQL with other ids, digests and times, its ledger lines with them;
the tallies grow by what the real one added. The hash chain of the copies does not
verify: whoever measures does not ask.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from daemon.document import folder_of, new_id, utc_text
from daemon.records.journal import LINES
from daemon.records.transaction import transaction
from daemon.spool import Spool, connect
from tests.values import arrival, frozen, receipts, sealed

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from daemon.document import Document

KEPT: Final = timedelta(days=365)
"""Over so long the documents are spread."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Documents of one state."""

    name: str
    share: float
    make: Callable[[Spool, datetime], Document]


def _claimed(spool: Spool, at: datetime) -> Document:
    # Their pages and their digests are all different, as scans are.
    return spool.claim(replace(arrival(), id=new_id(at), claimed_at=at), at)


def _filed(spool: Spool, at: datetime) -> Document:
    document = frozen(spool, _claimed(spool, at), at)
    for target in ("dms", "archive"):
        sending = spool.begin_delivery(spool.delivery(document.id, target), at)
        spool.acknowledge(sending, receipts(spool, document.id, target, at), at)
    return spool.document(document.id)


def _forgotten(spool: Spool, at: datetime) -> Document:
    document = _filed(spool, at)
    spool.forget(document, spool.deliveries(document.id), ["dms", "archive"], at)
    spool.unlinked([document.id], at)
    return document


def _refused(spool: Spool, at: datetime) -> Document:
    document = spool.refuse(_claimed(spool, at), "pdf-damaged", "no page tree", at)
    spool.copied_back(document, at + timedelta(days=30), at)
    return document


def _discarded(spool: Spool, at: datetime) -> Document:
    document = spool.refuse(_claimed(spool, at), "pdf-damaged", "no page tree", at)
    spool.discard(document.id, "uid 0", "scanned again", at)
    return document


# The oldest first: what is open is new.
KINDS: Final = (
    Kind("forgotten", 0.185, _forgotten),
    Kind("discarded", 0.010, _discarded),
    Kind("filed", 0.700, _filed),
    Kind("refused", 0.005, _refused),
    Kind("frozen", 0.048, lambda spool, at: frozen(spool, _claimed(spool, at), at)),
    Kind("sealed", 0.001, lambda spool, at: sealed(spool, _claimed(spool, at), at)),
    Kind("waiting", 0.001, lambda s, at: s.let_wait(_claimed(s, at), "seal-quality", at)),
    Kind("claimed", 0.050, _claimed),
)


def fill(state_dir: Path, documents: int, until: datetime) -> list[str]:
    """Fill a new spool in *state_dir* with about so many; return one id of each kind.

    The newest were claimed at *until*. In place of its folder each has an empty file: a start
    lists their names and no more, and a million folders take minutes to remove.
    """
    for name in ("documents", "ledger", "work/in", "work/out"):
        (state_dir / name).mkdir(parents=True)
    at, step = until - KEPT, KEPT / documents
    plans = []
    with closing(Spool(state_dir, new=True)) as spool:
        for kind in KINDS:
            plan = _plan(spool, kind, at, max(round(documents * kind.share), 1))
            plans.append(plan)
            at += step * plan.count
        spool.export_ledger()
        box_id = spool.box_id()
    with closing(connect(state_dir / "spool.db")) as db:
        _multiply(db, plans, step)
        with transaction(db, box_id, until) as ending:
            last = ending.line("", "crowd", {"documents": documents})
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ids = [found for (found,) in db.execute("SELECT id FROM document")]
    # All that a start reads of the files is their newest line.
    (state_dir / "ledger" / f"{ending.at[:10]}{LINES}").write_text(last.text + "\n")
    for document_id in ids:
        place = folder_of(state_dir / "documents", document_id)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    return [plan.made for plan in plans]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What was made once, and how often its rows are wanted."""

    made: str
    at: datetime
    count: int
    lines: range
    grown: list[tuple[str, str, int]]
    """By how much each tally grew."""


def _plan(spool: Spool, kind: Kind, at: datetime, count: int) -> _Plan:
    before, seq = spool.counts(), spool.head().seq
    made = kind.make(spool, at)
    grown = [
        (name, state, n - before.get(name, {}).get(state, 0))
        for name, states in spool.counts().items()
        for state, n in states.items()
    ]
    return _Plan(made.id, at, count, range(seq + 1, spool.head().seq + 1), grown)


def _multiply(db: sqlite3.Connection, plans: Sequence[_Plan], step: timedelta) -> None:
    """Copy the rows; without indexes, which are quicker made in one go."""
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA foreign_keys = OFF")
    db.execute("PRAGMA temp_store = MEMORY")
    indexes = db.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    ).fetchall()
    for name, _ in indexes:
        db.execute(f"DROP INDEX {name}")
    db.execute("CREATE TEMP TABLE crowd (n INTEGER PRIMARY KEY, id TEXT, at TEXT)")
    number = 0
    for plan in plans:
        copies = range(number, number + plan.count - 1)
        number = copies.stop
        db.execute("BEGIN")
        db.execute("DELETE FROM crowd")
        db.executemany("INSERT INTO crowd VALUES (?,?,?)", _named(plan, copies, step))
        for table in ("document", "delivery", "ledger", "personal"):
            _copy(db, table, plan, copies.start)
        for name, state, grown in plan.grown:
            db.execute(
                "UPDATE tally SET n = n + ? WHERE kind = ? AND state = ?",
                [grown * len(copies), name, state],
            )
        db.execute("COMMIT")
    for _, statement in indexes:
        db.execute(statement)


def _named(plan: _Plan, copies: range, step: timedelta) -> Iterator[tuple[int, str, str]]:
    for place, number in enumerate(copies, start=1):
        at = plan.at + step * place
        yield number, new_id(at), utc_text(at)


def _copy(db: sqlite3.Connection, table: str, plan: _Plan, first: int) -> None:
    """Copy the rows of one table that belong to what was made, once for each name in `crowd`."""
    (newest,) = db.execute("SELECT max(seq) FROM ledger").fetchone()
    base = newest if table == "ledger" else newest - len(plan.lines) * _count(db)
    seq = f"{base} + (n - {first}) * {len(plan.lines)} + made.seq - {plan.lines.start - 1}"
    whose = {
        "document": "made.id = :made",
        "delivery": "made.document = :made",
        "ledger": "made.seq BETWEEN :first AND :last",
        "personal": "made.seq BETWEEN :first AND :last",
    }[table]
    columns = [row["name"] for row in db.execute(f"PRAGMA table_info({table})")]
    values = ", ".join(_value(table, column, seq) for column in columns)
    facts = {"made": plan.made, "first": plan.lines.start, "last": plan.lines.stop - 1}
    # A table that is read while it is written to would be held in memory.
    db.execute("DROP TABLE IF EXISTS temp.made")
    db.execute(f"CREATE TEMP TABLE made AS SELECT * FROM {table} AS made WHERE {whose}", facts)  # noqa: S608
    db.execute(
        # `crowd` is the outer loop: the rows come in their order.
        f"INSERT INTO {table} ({', '.join(columns)})"  # noqa: S608
        f" SELECT {values} FROM crowd CROSS JOIN temp.made AS made",
        facts,
    )


def _count(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM crowd").fetchone()[0])


def _value(table: str, column: str, seq: str) -> str:
    """Return what a copy has in that column."""
    made = f"made.{column}"
    match table, column:
        case _, "seq":
            return seq
        case ("document", "id") | ("delivery" | "ledger", "document"):
            return "crowd.id"
        case "document", "digest":
            return f"substr({made}, 1, length({made}) - 12) || printf('%012x', n)"
        case "ledger", "hash":
            return f"printf('%064x', {seq})"
        case _, "line" | "parts" | "receipts":
            return f"replace({made}, :made, crowd.id)"
        case _ if column == "at" or column.endswith("_at"):
            made = f"CASE WHEN coalesce({made}, '') = '' THEN {made} ELSE crowd.at END"
    return made
