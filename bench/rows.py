"""Rows of the two kinds that comparisons are made of: how long something took, and a ratio."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.table import Row, middle

if TYPE_CHECKING:
    from collections.abc import Sequence


def ms(name: str, words: str, values: Sequence[float], *, rival: bool = False) -> Row:
    """Return the median of *values*, which are milliseconds."""
    value, spread = middle(values)
    return Row(name=name, words=words, value=value, unit="ms", spread=spread, more_is_better=rival)


def ratio(
    name: str,
    words: str,
    those: Sequence[float],
    others: Sequence[float],
    limit: float | None = None,
) -> Row:
    """Return the ratio of the medians, with the spread of the rounds' own ratios."""
    # Whoever is measured less often is compared with as many of ours.
    _, spread = middle(a / b for a, b in zip(those, others, strict=False))
    value = middle(those)[0] / middle(others)[0]
    return Row(name=name, words=words, value=value, unit="times", spread=spread, limit=limit)
