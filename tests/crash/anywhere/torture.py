"""Tries points: a box for each, its harm, and the invariants; keeps what violates one."""

from __future__ import annotations

import random
import re
import shutil
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.crash.anywhere.harm import HARMS, Point, points_of, unharmed
from tests.crash.anywhere.scene import Course, Scene
from tests.crash.anywhere.starter import Preloaded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from contrib.demo.token import TokenFiles

LAST: Final = 40
"""So many of the last calls are told in a story."""


@dataclass
class Tally:
    """What a run came to."""

    seed: int
    tried: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    """Points that did not come up in their run: it was a little different."""
    names: dict[str, set[str]] = field(default_factory=dict)
    kills: int = 0
    starts: int = 0
    persons: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def lines(self, seconds: float) -> list[str]:
        """Return it as text."""
        tried = sum(self.tried.values())
        found = [f"seed {self.seed}: {tried} points tried in {seconds:.0f} s, {self.kills} kills,"]
        found[0] += f" {self.starts} starts, {len(self.violations)} violations"
        found += [
            f"  {harm}: {number} points, {len(self.names[harm])} kinds of call,"
            f" {self.missed[harm]} did not come up"
            for harm, number in sorted(self.tried.items())
        ]
        for what, counted in (("persons", self.persons), ("told", self.told)):
            told = ", ".join(f"{name} {n}" for name, n in sorted(counted.items()))
            found.append(f"  {what}: {told or 'none'}")
        return [*found, *(f"VIOLATED {text}" for text in self.violations)]


class Torture:
    """One run over points."""

    def __init__(self, root: Path, token: TokenFiles, *, seed: int, keep: Path) -> None:
        self._root = root
        self._token = token
        self._seed = seed
        self._keep = keep
        self._points: list[Point] = []
        self._lock = threading.Lock()
        self._local = threading.local()
        self._starters: list[Preloaded] = []
        self._tally = Tally(seed)
        self._scenes = 0

    def points(self) -> list[Point]:
        """Return the points of an unharmed run."""
        scene = Scene(self._root / "unharmed", self._token, self._starter())
        try:
            scene.run(unharmed)
            scene.all_is_well()
        finally:
            scene.abandon()
        self._points = points_of(scene.course.made)
        return self._points

    def chosen(
        self, harms: Sequence[str], count: int = 0, only: Sequence[str] = ()
    ) -> list[tuple[str, Point]]:
        """Return what is to be tried: all, or *count* of them drawn by the seed, or only those.

        Each kind of call once before any of them again: half of all are pages of the database's log.
        """
        if only:
            split = (text.partition(":") for text in only)
            return [(harm, Point.of(point)) for harm, _, point in split]
        every = [
            (harm, point)
            for harm in harms
            for point in self._points
            if not HARMS[harm][1] or point.call in HARMS[harm][1]
        ]
        random.Random(self._seed).shuffle(every)  # noqa: S311
        drawn: Counter[tuple[str, str]] = Counter()
        order: list[tuple[int, int]] = []
        for harm, point in every:
            order.append((drawn[harm, point.name], len(order)))
            drawn[harm, point.name] += 1
        every = [every[number] for _, number in sorted(order)]
        return every[:count] if count else every

    def run(self, chosen: Sequence[tuple[str, Point]], abreast: int, *, show: bool) -> Tally:
        """Try them all, a few at once."""
        begun = time.monotonic()
        self._tally = Tally(self._seed)
        with ThreadPoolExecutor(abreast) as threads:
            for done, _ in enumerate(threads.map(self._try, chosen), start=1):
                if show:
                    rate = done / (time.monotonic() - begun)
                    sys.stderr.write(
                        f"\r{done} of {len(chosen)}, {rate:.2f} a second,"
                        f" {len(self._tally.violations)} violations "
                    )
                    sys.stderr.flush()
        if show:
            sys.stderr.write("\n")
        self.close()
        return self._tally

    def close(self) -> None:
        """End what starts services."""
        for starter in self._starters:
            starter.close()
        self._starters.clear()

    def _starter(self) -> Preloaded:
        found: Preloaded | None = getattr(self._local, "starter", None)
        if found is None:
            found = self._local.starter = Preloaded(self._token)
            with self._lock:
                self._starters.append(found)
        return found

    def _try(self, chosen: tuple[str, Point]) -> None:
        harm, point = chosen
        with self._lock:
            self._scenes += 1
            place = self._root / f"{harm}-{self._scenes}"
        scene = Scene(place, self._token, self._starter())
        rng = random.Random(f"{self._seed} {harm} {point}")  # noqa: S311
        wrong, reached = "", False
        try:
            reached = HARMS[harm][0](scene, point, rng)
            scene.all_is_well()
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is a finding
            wrong = f"{type(exc).__name__}: {exc}"
            reached = True
        finally:
            scene.abandon()
        if wrong:
            self._keep_story(harm, point, scene, wrong)
        shutil.rmtree(scene.root)
        with self._lock:
            self._count(harm, point, scene.course, wrong, reached=reached)

    def _count(self, harm: str, point: Point, course: Course, wrong: str, *, reached: bool) -> None:
        tally = self._tally
        tally.tried[harm] += 1
        tally.missed[harm] += not reached
        tally.names.setdefault(harm, set()).update([point.name] if reached else [])
        tally.kills += len(course.killed)
        tally.starts += course.starts
        tally.persons += course.persons
        tally.told.update(course.told)
        if wrong:
            tally.violations.append(
                f"{wrong}\n  again: --seed {self._seed} --only '{harm}:{point}'"
            )

    def _keep_story(self, harm: str, point: Point, scene: Scene, wrong: str) -> None:
        place = self._keep / f"{harm}-{re.sub('[^A-Za-z0-9.]+', '-', str(point))}-{self._seed}"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(
            scene.root, place, ignore=lambda _, names: [n for n in names if n.endswith(".sock")]
        )
        course = scene.course
        story = [
            wrong,
            f"{harm} at {point}, seed {self._seed}",
            *(f"killed at {call.name}" for call in course.killed),
            *(f"failed: {call.name}" for call in course.failed),
            f"{course.starts} starts, ends {course.ends}, persons {dict(course.persons)}, told {course.told}",
            *(f"  {call.tid} {call.name}" for call in course.made[-LAST:]),
        ]
        (place / "story.txt").write_text("\n".join(story) + "\n")
