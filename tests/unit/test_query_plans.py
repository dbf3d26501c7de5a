"""Every statement of the spool follows an index: a million rows at rest cost nothing."""

from __future__ import annotations

import inspect
import re
from contextlib import closing
from datetime import timedelta

import pytest

from bench.crowd import fill
from bench.life import NOT_TIMED, Life
from daemon.spool import Spool
from tests.values import NOW

LARGE = ("document", "delivery", "ledger", "personal")
"""What grows with every document."""
FEW = frozenset(
    {
        "document_step",
        "delivery_step",
        "document_suspect",
        "delivery_suspect",
        "document_copy",
        "document_copy_until",
        "document_waiting",
        "document_unlinking",
        "document_superseded",
        "document_batch",
    }
)
"""Partial indexes of what is few: those may be read from end to end."""
COUNTED = "document_unstamped"
"""Nobody keeps a tally of it; a hundred thousand are counted in a millisecond or two."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Return the statements of a life, each with its plan."""
    state = tmp_path_factory.mktemp("crowd") / "state"
    fill(state, 400, NOW)
    with closing(Spool(state)) as spool:
        statements: list[str] = []
        spool._db.set_trace_callback(statements.append)
        life = Life(spool, NOW + timedelta(days=1))
        life.round()
        life.round()
        spool._db.set_trace_callback(None)
        plans: dict[str, set[str]] = {}
        for one in statements:
            if one.startswith(("SELECT", "UPDATE", "DELETE", "INSERT")):
                rows = spool._db.execute(f"EXPLAIN QUERY PLAN {one}")
                plans[one] = {row["detail"] for row in rows}
    return plans


def test_every_public_method_is_called_or_named() -> None:
    """A new method is not forgotten."""
    names = {name for name, _ in inspect.getmembers(Spool, inspect.isfunction) if name[0] != "_"}
    source = inspect.getsource(Life)
    called = set(re.findall(r"spool\.(\w+)", source))

    assert names - called == set(NOT_TIMED)


def test_nothing_large_is_read_from_end_to_end(told: dict[str, set[str]]) -> None:
    """Neither a table nor an index of all its rows."""
    bad = {
        (statement[:200], step)
        for statement, plan in told.items()
        for step in plan
        if (found := re.match(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?", step))
        and found[1] in LARGE
        and found[2] not in {*FEW, COUNTED}
        and not (found[1] == "ledger" and "LIMIT 1" in statement)
    }
    assert not bad


def test_nothing_is_sorted_that_could_be_many(told: dict[str, set[str]]) -> None:
    """What is asked for in an order comes out of an index in that order."""
    bad = {
        statement[:300]
        for statement, plan in told.items()
        if any(step.startswith("USE TEMP B-TREE") for step in plan)
        and not any(f"INDEX {index}" in step for step in plan for index in FEW)
        and any(re.search(rf"(SEARCH|SCAN) {table}\b", step) for step in plan for table in LARGE)
    }
    assert not bad
