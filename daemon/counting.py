"""Reading a scanner's counter: which numbers never arrived. A pure rule, one number at a time.

    follows    41, 42          as it should be
    gap        41, 43          42 is missing
    late       ... 42          it was missing, and is not any more
    again      ... 42          it was there before
    jumped     43, 5000        nobody lost 4,956 scans at once: numbers begin anew there
    anew       5000, 1         a new scanner, or one that was reset

Numbers that follow each other are a run. Where numbers begin anew, the run before
is remembered for a while: a single wrong or old number makes a short run of its own,
and the next right one goes on where the others were. A number that both could have
next goes to the nearer one. What a counter says is the scanner's word: the worst
that a wrong one does here is a line that a person closes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

JUMP: Final = 1000
"""A larger gap is none: numbers begin anew behind it."""
NEAR: Final = 20
"""So far scans may overtake each other, and so long the run before is remembered."""
MOST: Final = 2 * JUMP
"""So many missing numbers of a run are looked out for: the newest."""
ECHOES: Final = 3
"""So many numbers in order that were there before are the beginning of a new run."""


class How(StrEnum):
    """What a number is to those before it."""

    BEGINS = "begins"
    FOLLOWS = "follows"
    GAP = "gap"
    LATE = "late"
    AGAIN = "counter-again"
    JUMPED = "counter-jumped"
    ANEW = "counter-anew"


REMARKS: Final = frozenset({How.AGAIN, How.JUMPED, How.ANEW})
"""What is a remark of its document; the value is the code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Numbers that follow each other."""

    run: int
    """Which one of its series, from 1."""
    lowest: int
    highest: int
    missing: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The counter of one scanner; its state is all that is needed to go on."""

    runs: tuple[Run, ...] = ()
    """The one that was added to last first; at most two."""
    begun: int = 0
    """How many runs there were so far: none is called like one before it."""
    age: int = 0
    """So many numbers were counted since the second one was added to."""
    echo: int = -1
    """The newest number, if it was there before; -1 otherwise."""
    echoes: int = 0
    """How many such numbers came in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What one number came to."""

    series: Series
    how: How
    run: int
    """The run that it was added to."""
    missing: tuple[tuple[int, int], ...] = ()
    """Runs and numbers of theirs that have turned out to be missing."""
    jumped_from: int = -1
    """The highest number before a jump."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A number that never arrived, or a jump, until a person explains it."""

    hotfolder: str
    series: str
    """The subfolder whose counter it is. Personal."""
    number: int
    digits: int
    jumped_from: int
    """The highest number before a jump to this one; -1: this number is missing."""
    noticed_at: datetime

    @property
    def text(self) -> str:
        """The number as the scanner writes it; of a jump both."""
        written = f"{self.number:0{self.digits}d}"
        return (
            written if self.jumped_from < 0 else f"{self.jumped_from:0{self.digits}d} > {written}"
        )


def count(series: Series, number: int, digits: int) -> Counted:
    """Add *number*, which the scanner wrote with *digits* digits."""
    choices = [
        (*found, place)
        for place, run in enumerate(series.runs)
        if (found := _fits(run, number, first=place == 0))
    ]
    if choices:
        _, how, place = min(choices, key=lambda choice: (choice[0], choice[2]))
        return _added(series, place, number, how)
    if not series.runs:
        return _begun(series, How.BEGINS, number)
    top = 10**digits - 1
    near = min(NEAR, top // 10)
    if digits and 0 <= top - series.runs[0].highest <= near and number <= max(near, 1):
        return _wrapped(series, number, top)
    return _strange(series, number)


def _strange(series: Series, number: int) -> Counted:
    """Count a number that none of the runs can have next."""
    newest = series.runs[0]
    if any(run.lowest <= number <= run.highest for run in series.runs):
        young = newest.lowest <= number <= newest.highest < number + NEAR
        # A counter that begins anew begins at 0 or 1.
        return _again(series, number) if number > 1 or young else _begun(series, How.ANEW, number)
    if number > newest.highest:
        return replace(_begun(series, How.JUMPED, number), jumped_from=newest.highest)
    return _begun(series, How.ANEW, number)


def _fits(run: Run, number: int, *, first: bool) -> tuple[int, How] | None:
    """Return how far *number* is from what *run* expects, and what it would be to it."""
    if number in run.missing:
        # Of the run before only if the newest does not expect this very number next.
        return 0 if first else 2, How.LATE
    ahead = number - run.highest
    if 1 <= ahead <= JUMP:
        return ahead, How.FOLLOWS if ahead == 1 else How.GAP
    behind = run.lowest - number
    if 1 <= behind <= NEAR and (number > 1 or run.lowest <= 2):
        return behind, How.LATE
    return None


def _added(series: Series, place: int, number: int, how: How) -> Counted:
    run = series.runs[place]
    # Ahead of its highest, or before the first that came, which it has been overtaken by.
    missing = (*range(run.highest + 1, number), *range(number + 1, run.lowest))
    run = replace(
        run,
        highest=max(run.highest, number),
        lowest=min(run.lowest, number),
        missing=_newest((run.missing | set(missing)) - {number}),
    )
    others = tuple(other for other in series.runs if other.run != run.run)
    age = series.age + 1 if place == 0 else 0
    if age >= NEAR:
        others = ()
    made = Series(runs=(run, *others), begun=series.begun, age=age if others else 0)
    lost = tuple((run.run, absent) for absent in missing)
    return Counted(series=made, how=how, run=run.run, missing=lost)


def _newest(missing: frozenset[int]) -> frozenset[int]:
    return missing if len(missing) <= MOST else frozenset(sorted(missing)[-MOST:])


def _begun(series: Series, how: How, number: int, lowest: int | None = None) -> Counted:
    """Begin a run with *number*; only the newest of those before is remembered."""
    first = number if lowest is None else lowest
    run = Run(run=series.begun + 1, lowest=first, highest=number)
    made = Series(runs=(run, *series.runs[:1]), begun=run.run)
    return Counted(series=made, how=how, run=run.run)


def _wrapped(series: Series, number: int, top: int) -> Counted:
    """Go on behind the highest number that the counter has digits for."""
    before = series.runs[0]
    tail = range(before.highest + 1, top + 1)
    before = replace(before, highest=top, missing=before.missing | set(tail))
    made = _begun(replace(series, runs=(before,)), How.FOLLOWS, number, lowest=min(number, 1))
    head = range(1, number)
    newest = replace(made.series.runs[0], missing=frozenset(head))
    lost = [(before.run, absent) for absent in tail] + [(newest.run, absent) for absent in head]
    return Counted(
        series=replace(made.series, runs=(newest, before)),
        how=How.GAP if lost else How.FOLLOWS,
        run=newest.run,
        missing=tuple(lost),
    )


def _again(series: Series, number: int) -> Counted:
    """Count a number that was there before; a few of them in order are a new run."""
    echoes = series.echoes + 1 if series.echo == number - 1 else 1
    if echoes >= ECHOES:
        return _begun(series, How.ANEW, number, lowest=number - ECHOES + 1)
    made = replace(series, echo=number, echoes=echoes)
    return Counted(series=made, how=How.AGAIN, run=series.runs[0].run)
