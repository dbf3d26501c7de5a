"""The table of figures: what is written, and that nothing in it is cut in our favour."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.table import Row, Section, against_us, markdown, middle, write

if TYPE_CHECKING:
    from pathlib import Path

MACHINE = [("kernel", "Linux 6.1")]


def row(name: str = "seal.ratio", value: float = 2.0, **more: object) -> Row:
    found = {"words": "a seal", "unit": "times", **more}
    return Row(name=name, value=value, **found)  # type: ignore[arg-type]


def section(name: str, *rows: Row) -> Section:
    return Section(name=name, title=f"what {name} is", rows=rows, notes=["How it was done."])


@given(value=st.floats(1e-6, 1e9), down=st.booleans())
def test_a_value_is_cut_to_three_digits_away_from_what_would_please_us(
    value: float, down: bool
) -> None:
    """A cost is never shown smaller than it was, a rate never larger; both nearly as they were."""
    cut = against_us(value, down=down)

    assert cut <= value if down else cut >= value
    assert abs(cut - value) <= max(value * 0.01, 0 if value < 100 else 1)
    digits = len(Decimal(repr(cut)).normalize().as_tuple().digits)
    assert digits <= 3 or (value >= 100 and cut == int(cut))


def test_a_limit_is_judged_by_the_value_before_it_is_cut() -> None:
    """2.4996 is within 2.5 although 2.50 is shown; 2.5004 is not, and 2.51 is shown."""
    within, beyond = row(value=2.4996, limit=2.5), row(value=2.5004, limit=2.5)

    assert (within.holds, within.as_json()["value"]) == (True, 2.5)
    assert (beyond.holds, beyond.as_json()["value"]) == (False, 2.51)


def test_where_more_is_better_the_limit_is_the_least() -> None:
    """A rate has to reach its limit, and is cut downwards."""
    rate = row(value=9.999, limit=10.0, more_is_better=True)

    assert (rate.holds, rate.as_json()["value"]) == (False, 9.99)


def test_a_row_without_a_limit_neither_holds_nor_fails() -> None:
    """What is measured for the record says nothing about a promise."""
    assert row().as_json() == {
        "name": "seal.ratio",
        "value": 2.0,
        "unit": "times",
        "spread": None,
        "limit": None,
        "holds": None,
    }


def test_the_middle_is_the_median_between_its_quartiles() -> None:
    """One slow round changes none of the three."""
    assert middle([3.0, 1.0, 2.0, 4.0, 900.0]) == (3.0, (2.0, 4.0))


def test_both_files_say_the_same(tmp_path: Path) -> None:
    """Every row of results.json stands in RESULTS.md, with machine, spread, limit and verdict."""
    rows = (row(value=2.61, spread=(2.2, 2.75), limit=2.5), row("seal.ours", 12.345, unit="ms"))

    write(tmp_path, [section("seal", *rows)], MACHINE)

    found = json.loads((tmp_path / "results.json").read_text())
    assert found == [one.as_json() for one in rows]
    page = (tmp_path / "RESULTS.md").read_text()
    assert "| a seal (`seal.ratio`) | 2.61 times | 2.2 to 2.75 | 2.5 times | **no** |" in page
    assert "| a seal (`seal.ours`) | 12.4 ms |  |  |  |" in page
    assert "- kernel: Linux 6.1" in page
    assert "How it was done." in page


def test_running_one_group_leaves_the_others_as_they_were(tmp_path: Path) -> None:
    """`make bench ONLY=name` replaces the rows and the section of that group and nothing else."""
    write(tmp_path, [section("seal", row()), section("flow", row("flow.rate", 20.0))], MACHINE)

    write(tmp_path, [section("seal", row(value=1.5))], [("kernel", "Linux 6.12")])

    rows = json.loads((tmp_path / "results.json").read_text())
    assert [(one["name"], one["value"]) for one in rows] == [
        ("flow.rate", 20.0),
        ("seal.ratio", 1.5),
    ]
    page = (tmp_path / "RESULTS.md").read_text()
    assert page.count("## seal:") == page.count("## flow:") == 1
    assert page.index("## seal:") < page.index("## flow:")
    assert markdown(section("flow", row("flow.rate", 20.0)), MACHINE) in page
    assert page.count("Linux 6.12") == 1


def test_figures_of_later_groups_join_the_same_list(tmp_path: Path) -> None:
    """A group that this program does not know yet is kept."""
    (tmp_path / "results.json").write_text('[{"name": "paper.search", "value": 1}]')

    write(tmp_path, [section("seal", row())], MACHINE)

    names = [one["name"] for one in json.loads((tmp_path / "results.json").read_text())]
    assert names == ["paper.search", "seal.ratio"]


@pytest.mark.parametrize(
    ("value", "up", "down"), [(0.0, 0.0, 0.0), (1000.0, 1000.0, 1000.0), (1234.5, 1235.0, 1234.0)]
)
def test_whole_numbers_keep_their_digits(value: float, up: float, down: float) -> None:
    """A count of a thousand documents is not made rounder than it is."""
    assert (against_us(value, down=False), against_us(value, down=True)) == (up, down)
