"""What a run came to: counted while it runs, told as one table at its end."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE: Final = os.sysconf("SC_PAGE_SIZE")
GROWTH_MB: Final = 16.0
"""So much the process that seals may have more at the end than after its first files."""
SHOWN: Final = 8


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    name: str
    """Its seed and number."""
    sample: str
    steps: tuple[str, ...]
    family: str
    seconds: float
    """From the claim to its last state."""
    allowed: float
    """The seconds that one call of a page worker might have taken."""
    sealed: bool = False
    enveloped: bool = False
    """Sealed was a cover page in its place."""
    code: str = ""
    """Why it was refused."""
    flaw: str = ""
    """Why the intake would have refused it already; it was released, and went on."""
    deaths: tuple[str, ...] = ()
    """What each page worker died of that had it."""
    incomparable: str = ""
    violations: tuple[str, ...] = ()


def resident_mb() -> float:
    """Return the memory of this process."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE / 1e6


@dataclass
class Tally:
    """The counts."""

    wanted: int
    files: int = 0
    sealed: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    families: Counter[str] = field(default_factory=Counter)
    at_intake: Counter[str] = field(default_factory=Counter)
    enveloped: int = 0
    beyond: int = 0
    """Sealed, although the intake would have refused them."""
    incomparable: Counter[str] = field(default_factory=Counter)
    deaths: list[tuple[str, str]] = field(default_factory=list)
    """What a page worker died of, and over which file."""
    slow: list[tuple[float, float, str]] = field(default_factory=list)
    violations: list[tuple[str, str]] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    workers_mb: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Count one file."""
        self.files += 1
        self.families[outcome.family] += 1
        if outcome.sealed:
            self.sealed[outcome.family] += 1
            self.enveloped += outcome.enveloped
            self.beyond += bool(outcome.flaw)
        elif outcome.code:
            self.refused[outcome.code] += 1
        if outcome.flaw:
            self.at_intake[outcome.flaw] += 1
        if outcome.incomparable:
            self.incomparable[outcome.incomparable] += 1
        what = f"{outcome.name} {outcome.sample} {'+'.join(outcome.steps)}"
        self.deaths += [(death, what) for death in outcome.deaths]
        self.violations += [(violation, what) for violation in outcome.violations]
        self.slow = sorted([*self.slow, (outcome.seconds, outcome.allowed, what)], reverse=True)[
            :SHOWN
        ]
        if self.files % max(1, self.wanted // 100) == 0:
            self.memory.append(resident_mb())

    @property
    def growth(self) -> float:
        """How many MB the process that seals has gained since the first tenth."""
        return self.memory[-1] - self.memory[len(self.memory) // 10] if self.memory else 0.0

    def close(self, replaced: int) -> None:
        """Judge the run as a whole; *replaced* is how many page workers had to be."""
        unseen = replaced - len(self.deaths)
        if unseen > 0:
            self.violations.append((f"{unseen} page workers died and no document was told", "all"))
        if self.growth > GROWTH_MB:
            self.violations.append((f"the process that seals grew by {self.growth:.1f} MB", "all"))
        if self.files != self.wanted:
            self.violations.append((f"{self.files} files instead of {self.wanted}", "all"))

    def lines(self, seconds: float) -> Iterator[str]:
        """Yield the table."""
        sealed = sum(self.sealed.values())
        yield f"{self.files} files in {seconds:.0f} s, {self.files / max(seconds, 1e-9):.1f} a second"
        yield ""
        yield f"{'sealed':32}{sealed:7}"
        for family in sorted(self.families):
            yield f"  {family:30}{self.sealed[family]:7}  of {self.families[family]}"
        yield f"  {'in an envelope':30}{self.enveloped:7}  a cover page is sealed in its place"
        yield f"  {'refused by the intake first':30}{self.beyond:7}  released, and sealed then"
        for reason, count in self.incomparable.most_common():
            yield f"  pages not comparable: {count}, {reason}"
        yield f"{'refused':32}{sum(self.refused.values()):7}"
        for code, count in self.refused.most_common():
            yield f"  {code:30}{count:7}"
        yield f"{'refused by the intake':32}{sum(self.at_intake.values()):7}"
        for code, count in self.at_intake.most_common():
            yield f"  {code:30}{count:7}"
        yield f"{'deaths of page workers':32}{len(self.deaths):7}"
        for death, count in Counter(death for death, _ in self.deaths).most_common():
            example = next(what for other, what in self.deaths if other == death)
            yield f"  {count} x {death}: {example}"
        yield "slowest, in seconds of those allowed"
        for took, allowed, what in self.slow:
            yield f"  {took:6.2f} of {allowed:.0f}: {what}"
        if self.memory:
            quarters = [self.memory[(len(self.memory) - 1) * part // 4] for part in range(5)]
            yield (
                f"memory of the process that seals, at each quarter:"
                f" {', '.join(f'{quarter:.1f}' for quarter in quarters)} MB, most"
                f" {max(self.memory):.1f} MB; of a page worker: most {self.workers_mb:.0f} MB"
            )
        yield f"{'violations':32}{len(self.violations):7}"
        for violation, what in self.violations:
            yield f"  {violation}: {what}"
