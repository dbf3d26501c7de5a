"""Writes what was measured: `results.json` for machines, `RESULTS.md` for people.

A figure group is a section; running one group replaces its section and its rows
and leaves the others as they are. Values are cut to three digits, always away from
what would please us; whether a limit holds is decided before that.
"""

from __future__ import annotations

import json
import re
import statistics
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

DIGITS: Final = 3
HEAD: Final = """\
# Figures

Written by `make bench`, which runs every group on the machine that is named in its
section; `make bench ONLY=name` runs one. Values have three digits, cut away from
what would please us; the spread is from the first to the third quartile, or what
stands beside the table. The same rows are in `results.json`.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure."""

    name: str
    """`<group>.<figure>`: what `results.json` knows it by."""
    words: str
    """What it is, for people."""
    value: float
    unit: str
    spread: tuple[float, float] | None = None
    limit: float | None = None
    more_is_better: bool = False
    """For us: of what a rival or a floor takes, more is better too, so it is cut downwards."""

    @property
    def group(self) -> str:
        """The figure group."""
        return self.name.partition(".")[0]

    @property
    def holds(self) -> bool | None:
        """Whether the value is within its limit; None where there is no limit."""
        if self.limit is None:
            return None
        return self.value >= self.limit if self.more_is_better else self.value <= self.limit

    def as_json(self) -> dict[str, Any]:
        """Return the row as it stands in `results.json`."""
        cut = [against_us(v, down=self.more_is_better) for v in self.spread or ()]
        return {
            "name": self.name,
            "value": against_us(self.value, down=self.more_is_better),
            "unit": self.unit,
            "spread": cut or None,
            "limit": self.limit,
            "holds": self.holds,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One figure group, measured."""

    name: str
    title: str
    rows: Sequence[Row]
    notes: Sequence[str]
    """Paragraphs of Markdown: how it was measured, and what has to be known of it."""


def against_us(value: float, *, down: bool) -> float:
    """Return *value* with three digits, the lower of the two next numbers if *down*."""
    exact = Decimal(repr(value))
    if not exact:
        return 0.0
    step = Decimal(1).scaleb(exact.adjusted() - DIGITS + 1)
    rounding = ROUND_FLOOR if down else ROUND_CEILING
    return float(
        exact.quantize(step, rounding) if step < 1 else exact.quantize(Decimal(1), rounding)
    )


def middle(values: Iterable[float]) -> tuple[float, tuple[float, float]]:
    """Return the median and the quartiles."""
    ordered = sorted(values)
    low, median, high = statistics.quantiles(ordered, n=4, method="inclusive")
    return median, (low, high)


def write(folder: Path, sections: Sequence[Section], machine: Sequence[tuple[str, str]]) -> None:
    """Put *sections* into both files in *folder*, in place of what they said of these groups."""
    names = {section.name for section in sections}
    results = folder / "results.json"
    kept = json.loads(results.read_text(encoding="utf-8")) if results.exists() else []
    rows = [row for row in kept if row["name"].partition(".")[0] not in names]
    rows += [row.as_json() for section in sections for row in section.rows]
    lines = ",\n".join(" " + json.dumps(row, ensure_ascii=False) for row in rows)
    results.write_text(f"[\n{lines}\n]\n", encoding="utf-8")

    page = folder / "RESULTS.md"
    texts = _sections(page.read_text(encoding="utf-8")) if page.exists() else {}
    texts |= {section.name: markdown(section, machine) for section in sections}
    page.write_text("\n".join([HEAD, *texts.values()]), encoding="utf-8")


def markdown(section: Section, machine: Sequence[tuple[str, str]]) -> str:
    """Return a section as it stands in `RESULTS.md`."""
    lines = [f"## {section.name}: {section.title}", ""]
    lines += ["| figure | value | spread | limit | holds |", "| --- | ---: | ---: | ---: | --- |"]
    for row in section.rows:
        found = row.as_json()
        spread = " to ".join(_text(v) for v in found["spread"]) if found["spread"] else ""
        limit = "" if row.limit is None else f"{_text(row.limit)} {row.unit}"
        holds = {None: "", True: "yes", False: "**no**"}[row.holds]
        value = f"{_text(found['value'])} {row.unit}".rstrip()
        lines.append(
            f"| {row.words} (`{row.name}`) | {value} | {spread} | {limit.strip()} | {holds} |"
        )
    for note in section.notes:
        lines += ["", note]
    lines += ["", "Measured on:", ""]
    lines += [f"- {name}: {value}" for name, value in machine]
    return "\n".join(lines) + "\n"


def _text(value: float) -> str:
    return f"{value:.0f}" if value >= 10 ** (DIGITS - 1) else f"{value:.{DIGITS}g}"


def _sections(page: str) -> dict[str, str]:
    """Return the sections of an earlier page, by group."""
    parts = re.split(r"^(?=## )", page, flags=re.MULTILINE)[1:]
    return {part[3:].partition(":")[0]: part.rstrip("\n") + "\n" for part in parts}
