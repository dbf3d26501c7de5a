"""The page for the auditor: every row is there, says who does it, and names tests that exist."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "resiscan.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| requirement", "| ---"))
]
NOT_OURS = "organisational, not ours"
OPEN = "open: "
WANTED = (
    *("A.NB.4 a)", "A.NB.4 b)", "A.NB.4 c)", "A.NB.4 d)", "A.NB.4 e)", "A.NB.4 f)"),
    *("A.SC.12", "A.IS.1", "A.AM.IN.H.1", "A.AM.IN.SH.2"),
    *(f"A.AM.IN.H.2 to H.5, {what}" for what in ("key", "algo", "exchangeable", "evaluation")),
    *("A.NB.1", "A.NB.3", "A.SC.6", "A.SC.8", "A.SC.9", "A.SC.10", "A.SC.11", "A.AM.IN.H.6"),
    *("A.AM.IN.H.7", "A.AM.IN.SH.1", "A.AM.VF.H.1", "A.T.4", "A.O.3", "A.AM.VT.H.3"),
)


@cache
def source(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


def named_in(cell: str) -> list[tuple[str, str]]:
    return [(found[0], found[1]) for found in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", cell)]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_each_row_names_tests_that_exist_or_says_who_does_it(row: list[str]) -> None:
    """A row that nobody shows is a claim; a test that was renamed is none any more."""
    assert len(row) == 4, row
    name, wanted, does, shown = row
    assert wanted
    assert does
    for file, test in named_in(shown):
        assert re.search(rf"def {test}\(", source(file)), f"{name}: {file}::{test} is not there"
    words = [one for one in shown.split(", ") if one]
    assert len(words) == len(named_in(shown)), f"{name}: something else than a test is named"
    assert bool(words) or does.startswith((NOT_OURS, OPEN)), f"{name}: nobody shows it"
    assert not (words and does.startswith(NOT_OURS)), name


def test_what_is_not_ours_says_what_the_authority_has_to_do() -> None:
    for name, _, does, _ in ROWS:
        if does.startswith(NOT_OURS):
            assert len(does.partition(":")[2].strip()) > 10, name


@pytest.mark.parametrize("wanted", WANTED)
def test_every_requirement_that_touches_the_box_has_a_row(wanted: str) -> None:
    assert any(
        re.search(re.escape(wanted) + r"(?![\w.])|" + re.escape(wanted) + r"\w", row[0])
        for row in ROWS
    )


def test_each_name_stands_once() -> None:
    names = [row[0] for row in ROWS]
    assert len(names) == len(set(names))


def test_the_list_of_what_is_open_is_that_of_the_rows() -> None:
    """Whoever builds one takes it off the list, and writes its row."""
    _, _, end = PAGE.partition("## Still open")
    listed = [line[2:].partition(": ")[0] for line in end.splitlines() if line.startswith("- ")]
    assert listed == [row[0] for row in ROWS if row[2].startswith(OPEN)]
