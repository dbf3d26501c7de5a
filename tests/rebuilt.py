"""A database that is thrown away and made again from the ledger's files, and compared."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from daemon.rebuild import rebuild
from daemon.records.journal import compare
from daemon.spool import Spool
from tests.agreement import check
from tests.values import LATER

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

FORGOTTEN_COLUMNS = {
    # Unlinking is repeated; of a try no line is written (design, "Poison").
    "document": ("step", "tries", "local"),
    "delivery": (
        *("step", "tries", "attempts", "due_at", "code", "reason", "changed_at"),
        *("sent_at", "absent_at", "sure"),  # lost, they count as the longest doubt
    ),
}
"""What may differ: row values of a try, and when and why a target was out of reach."""
FORGOTTEN_META = {"running", "recheck", "clock_reading", "erasing"}
"""What may differ: the boot it ran in, the nightly sample's place, the clock's offset."""


def dump(state: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return every table, without what no line says."""
    with closing(sqlite3.connect(state / "spool.db")) as db:
        db.row_factory = sqlite3.Row
        tables = [
            row[0]
            for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if not row[0].startswith("sqlite_")
        ]
        found = {}
        for table in tables:
            kept = []
            for row in db.execute(f"SELECT * FROM {table}"):  # noqa: S608
                facts = {key: row[key] for key in row.keys()}  # noqa: SIM118
                for column in FORGOTTEN_COLUMNS.get(table, ()):
                    del facts[column]
                if "receipts" in facts:  # the ledger's canonical order of members
                    facts["receipts"] = json.loads(facts["receipts"])
                if table == "meta" and facts["key"] in FORGOTTEN_META:
                    continue
                if table == "tally" and facts["n"] == 0:
                    continue
                kept.append(tuple(sorted(facts.items())))
            found[table] = sorted(kept, key=repr)
        return found


def without_the_rebuild(tables: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the tables as they were before what is in doubt was made safe: compare these."""
    first = max(dict(row)["seq"] for row in tables["ledger"] if dict(row)["event"] == "rebuild")
    tables["ledger"] = [row for row in tables["ledger"] if dict(row)["seq"] < first]
    return tables


def throw_away(state: Path) -> None:
    """Lose the database, and all that SQLite keeps beside it."""
    for path in state.glob("spool.db*"):
        path.unlink()


def again(spool: Spool, state: Path, now: datetime = LATER) -> Spool:
    """Export, lose the database and make it again; compare the tables."""
    spool.export_ledger()
    spool.close()
    before = dump(state)
    throw_away(state)

    rebuild(state, ["archive"], lambda _: None, now)

    after = dump(state)
    for table, rows in without_the_rebuild(after).items():
        if table in {"delivery", "tally"}:
            continue
        assert rows == before[table], table
    told = {(dict(r)["document"], dict(r)["target"]): dict(r) for r in before["delivery"]}
    for row in map(dict, after["delivery"]):
        was = told.pop((row["document"], row["target"]))
        if was["state"] == "pending":
            was["state"] = "sending"
        assert row == was
    assert not told
    made = Spool(state)
    check(made)
    made.export_ledger()
    compare(state)
    return made
