"""What a token does to the box: a slow one, one that comes back, and two sessions of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.answering import answering
from bench.outage import outages
from bench.sessions import sessions
from bench.table import Section

if TYPE_CHECKING:
    from pathlib import Path

    from contrib.demo.token import TokenFiles


def measure(folder: Path, token: TokenFiles) -> Section:
    """Measure the figure group `token`."""
    measured = (
        sessions(folder / "sessions", token),
        answering(folder / "answering", token),
        outages(folder / "outages", token),
    )
    return Section(
        name="token",
        title="slow tokens, outages, two sessions",
        rows=[row for rows, _ in measured for row in rows],
        notes=[note for _, notes in measured for note in notes],
    )
