"""How soon it goes on after an outage: of the token, and of the time-stamp authority."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Final

from bench.crooked import CrookedBox, filed, states, until
from bench.draw import draw
from bench.table import Row
from daemon import stamping
from daemon import token as keeper
from daemon.document import State
from tests import certomancer
from tests.system.box import Box

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from contrib.demo.token import TokenFiles

AWAY: Final = (2.0, 9.0, 16.0, 23.0)
"""Seconds for which the token stays away after it was missed: spread over one pause."""
WAITING: Final = 5
STAMPED: Final = 20
STAMP_RUNS: Final = 3
SEALED: Final = frozenset(
    {State.SEALED, State.STAMPED, State.FROZEN, State.HELD, State.FILED, State.WITHDRAWN}
)


def outages(folder: Path, token: TokenFiles) -> tuple[list[Row], list[str]]:
    """Measure; return the rows and a note for each kind."""
    (folder / "token").mkdir(parents=True)
    (folder / "tsa").mkdir()
    plugged = _plugged(folder / "token", token)
    stamped = _stamped(folder / "tsa")
    rows = [
        _row("plug_in", "from the token's return to the first SEALED committed", plugged),
        _row("tsa_back", f"from the TSA's return until {STAMPED} tokens are in", stamped),
    ]
    return rows, [
        (
            f"The token disappears, {WAITING} documents arrive, and it comes back"
            f" {', '.join(f'{one:g}' for one in AWAY)} s after the alarm; the spread is from the"
            " quickest to the slowest. What bounds it is `PAUSE_SECONDS` in `daemon/token.py`"
            f" ({keeper.PAUSE_SECONDS:g} s): so long after one try to get ready the next may begin."
        ),
        (
            f"{STAMPED} documents (B-T) are sealed while certomancer is not running and wait;"
            f" {STAMP_RUNS} times, from the moment it answers again until the last of them has left"
            " the state SEALED. What bounds it is the pause of `daemon/stamping.py`, which grows"
            f" from {stamping.FIRST_PAUSE:g} to {stamping.LONGEST_PAUSE:g} s with the outage; this"
            " outage lasts as long as the sealing. The authority and the service share the"
            " processors."
        ),
    ]


def _plugged(folder: Path, token: TokenFiles) -> list[float]:
    letters = _letters(folder, 1 + WAITING * len(AWAY))
    box = CrookedBox(folder / "box", token)
    taken = []
    try:
        box.start()
        _drop(box, letters[:1])
        filed(box, 1)
        for number, away in enumerate(AWAY):
            before = 1 + WAITING * number
            box.crooked.does("token gone")
            _drop(box, letters[before : before + WAITING])
            until(box, lambda: "token-missing" in box.alarms())
            time.sleep(away)
            if _sealed(box) != before:
                raise RuntimeError("something was sealed without a token")
            box.crooked.does()
            begun = time.perf_counter()
            until(box, lambda before=before: _sealed(box) > before, 0.005)  # type: ignore[misc]
            taken.append(time.perf_counter() - begun)
            filed(box, before + WAITING)
    finally:
        box.close()
    return taken


def _stamped(folder: Path) -> list[float]:
    files, authority = certomancer.token_and_authority(folder / "pki")
    letters = _letters(folder, STAMPED * STAMP_RUNS)
    box = Box(folder / "box", files, profile='level = "B-T"\n')
    seal = f'timestamp_urls = ["{authority.tsa_url}"]\ntimestamp_chain = "{authority.chain}"\n'
    box.config.write_text(box.config.read_text().replace("[seal]\n", f"[seal]\n{seal}"))
    taken = []
    try:
        box.start()
        for number in range(STAMP_RUNS):
            _drop(box, letters[number * STAMPED : (number + 1) * STAMPED])
            until(box, lambda: states(box).get(State.SEALED, 0) == STAMPED)
            until(box, lambda: "timestamp-unavailable" in box.alarms())
            authority.start()
            begun = time.perf_counter()
            until(box, lambda: not states(box).get(State.SEALED, 0), 0.005)
            taken.append(time.perf_counter() - begun)
            filed(box, (number + 1) * STAMPED)
            authority.stop()
    finally:
        box.close()
        authority.stop()
    return taken


def _letters(folder: Path, count: int) -> list[Path]:
    place = folder / "letters"
    place.mkdir()
    draw("letters", place, count)
    return sorted(place.iterdir())


def _drop(box: Box, letters: Sequence[Path]) -> None:
    for path in letters:
        path.rename(box.root / "hot" / path.name)


def _sealed(box: Box) -> int:
    return sum(number for state, number in states(box).items() if state in SEALED)


def _row(name: str, words: str, values: list[float]) -> Row:
    return Row(
        name=f"token.{name}",
        words=words,
        value=statistics.median(values),
        unit="s",
        spread=(min(values), max(values)),
    )
