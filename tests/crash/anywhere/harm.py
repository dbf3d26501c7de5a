"""What is done to a service at a point: killed there, or the disk answers with an error.

    kill         SIGKILL to all of it, as the call is about to be made
    kill-twice   and the start after it is killed as well, somewhere
    broken       EIO, this once: a write or a sync that failed
    full         ENOSPC from here on, on the disk of this path, until an alarm was seen
    read-only    EROFS likewise, for everything that changes something

After each of them the service has to be where an unharmed one is, in the end.
"""

from __future__ import annotations

import errno
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.crash.anywhere.scene import STARTS, Scene, Violated

if TYPE_CHECKING:
    from tests.crash.anywhere.calls import Call, Judge

WRITES: Final = frozenset({"write", "pwrite64", "writev", "pwritev"})
SYNCS: Final = frozenset({"fsync", "fdatasync"})
TAKES_ROOM: Final = WRITES | {
    *("open", "openat", "creat", "mkdir", "mkdirat", "rename", "renameat", "renameat2"),
    *("link", "linkat", "ftruncate", "fallocate"),
}
CHANGES: Final = TAKES_ROOM | {
    *("unlink", "unlinkat", "rmdir", "chmod", "fchmod", "fchmodat", "truncate")
}
"""Not the syncs: they have nothing to do on such a disk, and those that fail are `broken`."""
SECOND_CALLS: Final = 700
"""The second kill comes at one of so many calls of the start after the first one."""
BEFORE_ALL: Final = frozenset({"state", "state/lock"})
"""Without them there is no service yet that could wait: whoever sets the box up is told."""
ALARM_SECONDS: Final = 30.0
"""So long after the first error there has to be an alarm."""


@dataclass(frozen=True, slots=True)
class Point:
    """One call of an unharmed run, named so that another run finds it, too."""

    name: str
    occurrence: int
    """Among those of its name."""

    @classmethod
    def of(cls, text: str) -> Point:
        """Return the point that *text* stands for."""
        name, _, occurrence = text.rpartition("#")
        return cls(name, int(occurrence))

    def __str__(self) -> str:
        return f"{self.name}#{self.occurrence}"

    @property
    def call(self) -> str:
        """The system call."""
        return self.name.partition(" ")[0]

    def is_at(self, call: Call, occurrence: int) -> bool:
        """Return whether *call* is that call."""
        return (self.name, self.occurrence) == (call.name, occurrence)


def points_of(made: Sequence[Call]) -> list[Point]:
    """Return the points of an unharmed run, in order."""
    seen: Counter[str] = Counter()
    found = []
    for call in made:
        seen[call.name] += 1
        found.append(Point(call.name, seen[call.name]))
    return found


def unharmed(_call: Call, _occurrence: int) -> int:
    """Let every call be made."""
    return 0


def _killed_at(point: Point) -> Judge:
    return lambda call, occurrence: None if point.is_at(call, occurrence) else 0


def _killed_after(calls: int) -> Judge:
    left = [calls]

    def judge(_call: Call, _occurrence: int) -> int | None:
        left[0] -= 1
        return 0 if left[0] else None

    return judge


def kill(scene: Scene, point: Point, _rng: random.Random) -> bool:
    """Kill it there."""
    scene.run(_killed_at(point))
    return bool(scene.course.killed)


def kill_twice(scene: Scene, point: Point, rng: random.Random) -> bool:
    """Kill it there, and again while the next start makes it good."""
    scene.run(_killed_at(point), _killed_after(rng.randint(1, SECOND_CALLS)))
    return bool(scene.course.killed)


def broken(scene: Scene, point: Point, _rng: random.Random) -> bool:
    """Let this one call fail; what could not be synced is not synced again."""
    failed: list[Call] = []
    again: list[str] = []

    def judge(call: Call, occurrence: int) -> int:
        if not failed and point.is_at(call, occurrence):
            failed.append(call)
            return errno.EIO
        # With a journal (only while there is no log yet) SQLite itself takes a change back, and
        # writes those pages anew before it syncs them.
        taken_back = os.path.lexists(f"{call.root}/state/spool.db-journal")
        ours = call.call in SYNCS and call.path.startswith("state/") and not taken_back
        if failed and ours and (call.call, call.path) == (failed[0].call, failed[0].path):
            again.append(call.name)
        return 0

    scene.run(judge)
    if again:
        raise Violated(f"synced again by the same process: {again[0]}")
    return bool(failed)


class _Disk:
    """A disk that has no room left, or cannot be written to, from a point on until it is mended."""

    def __init__(self, point: Point, error: int, calls: frozenset[str]) -> None:
        self._point = point
        self._error = error
        self._calls = calls
        self._folder = point.name.split(" ")[1].split("/")[0]
        self.since = 0.0
        self.mended = False

    def judge(self, call: Call, occurrence: int) -> int:
        """Answer as such a disk does."""
        if self.mended or not (self.since or self._point.is_at(call, occurrence)):
            return 0
        there = any(path.split("/")[0] == self._folder for path in call.path.split(" "))
        if not there or call.call not in self._calls or self._is_there(call):
            return 0
        if call.path in BEFORE_ALL:
            return 0
        self.since = self.since or time.monotonic()
        return self._error

    def _is_there(self, call: Call) -> bool:
        """Return whether nothing new would be made, and nothing changed: that goes on all disks."""
        there = os.path.lexists(call.root + "/" + call.path)
        if call.call in {"mkdir", "mkdirat"}:
            return there
        changes = self._error == errno.EROFS and call.flags & (os.O_ACCMODE | os.O_TRUNC)
        return call.call in {"open", "openat"} and there and not changes

    def look(self, scene: Scene) -> None:
        """Mend it once somebody was told."""
        if not self.since or self.mended:
            return
        self.mended = bool(scene.course.told)
        if not self.mended and time.monotonic() > self.since + ALARM_SECONDS:
            raise Violated("nobody was told")


def _on_a_disk(scene: Scene, point: Point, error: int, calls: frozenset[str]) -> bool:
    disk = _Disk(point, error, calls)
    scene.run(*([disk.judge] * STARTS), meanwhile=disk.look)
    if scene.course.ends:
        raise Violated(f"it ended with {scene.course.ends[0]} instead of waiting")
    return bool(disk.since)


def full(scene: Scene, point: Point, _rng: random.Random) -> bool:
    """Let no byte and no name more onto that disk, until it was said."""
    return _on_a_disk(scene, point, errno.ENOSPC, TAKES_ROOM)


def read_only(scene: Scene, point: Point, _rng: random.Random) -> bool:
    """Let nothing change on that disk, until it was said."""
    return _on_a_disk(scene, point, errno.EROFS, CHANGES)


Harm = Callable[[Scene, Point, random.Random], bool]
HARMS: Final[dict[str, tuple[Harm, frozenset[str]]]] = {
    "kill": (kill, frozenset()),
    "kill-twice": (kill_twice, frozenset()),
    "broken": (broken, WRITES | SYNCS),
    "full": (full, TAKES_ROOM),
    "read-only": (read_only, CHANGES),
}
"""Each with the calls that it is about; none: all."""
