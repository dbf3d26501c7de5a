"""The scanners' counters in the spool: what counting.py decides, inside of one transaction.

The state of a counter, and what is missing of it, change together with the
document that said the number: a kill leaves both or neither (I5).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from daemon import counting
from daemon.counting import How, Run, Series

if TYPE_CHECKING:
    from daemon.counting import Counted
    from daemon.records.transaction import Transaction


MOST_LINES: Final = 10_000
"""Of one counter. Who has so many has something else as a counter: a time, perhaps."""


def count(
    tx: Transaction, hotfolder: str, series: str, number: int, digits: int, due_at: str
) -> Counted:
    """Add *number*; what turns out to be missing is told to people from *due_at* on."""
    key = [hotfolder, series]
    row = tx.db.execute(
        "SELECT state FROM counter WHERE hotfolder = ? AND series = ?", key
    ).fetchone()
    found = counting.count(_series_from(row[0]) if row else Series(), number, digits)
    tx.db.execute(
        "INSERT OR REPLACE INTO counter(hotfolder, series, state) VALUES (?,?,?)",
        [*key, json.dumps(_series_json(found.series))],
    )
    tx.db.execute(
        "DELETE FROM missing WHERE hotfolder = ? AND series = ? AND run = ? AND number = ?"
        " AND jumped_from < 0",
        [*key, found.run, number],
    )
    lines = [(run, absent, -1) for run, absent in found.missing]
    if found.how is How.JUMPED:
        lines.append((found.run, number, found.jumped_from))
    if lines:
        told = "SELECT count(*) FROM missing WHERE hotfolder = ? AND series = ?"
        (there,) = tx.db.execute(told, key).fetchone()
        lines = lines[: max(0, MOST_LINES - there)]
    tx.db.executemany(
        "INSERT INTO missing(hotfolder, series, run, number, digits, jumped_from, noticed_at, due_at)"
        " VALUES (?,?,?,?,?,?,?,?)",
        [
            [*key, run, absent, digits, jumped_from, tx.at, due_at]
            for run, absent, jumped_from in lines
        ],
    )
    return found


def _series_json(series: Series) -> dict[str, Any]:
    return {
        "begun": series.begun,
        "age": series.age,
        "echo": series.echo,
        "echoes": series.echoes,
        "runs": [
            {
                "run": run.run,
                "lowest": run.lowest,
                "highest": run.highest,
                "missing": sorted(run.missing),
            }
            for run in series.runs
        ],
    }


def _series_from(text: str) -> Series:
    raw = json.loads(text)
    runs = tuple(Run(**{**run, "missing": frozenset(run["missing"])}) for run in raw.pop("runs"))
    return Series(runs=runs, **raw)
