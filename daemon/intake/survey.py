"""What lies in one hot folder, and since when it has not changed: the truth behind the events.

A pass lists the folder, compares each file with how it looked before, and says
which are worth opening. It opens none itself, so ten thousand waiting files cost
one stat(2) each, and a file that was judged is left alone until its time comes.

Directories, links and the like are nobody's scan; `.scanseal` and the folder for
rejected copies are ours. What matches an ignore pattern is not there at all.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from daemon.document import is_id
from daemon.intake import PRIVATE, NotNow, Reason, at_share
from daemon.intake.settle import Look

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.config import HotFolder

NEVER: Final = float("inf")


@dataclass(slots=True)
class Watched:
    """One file and what our looks at it saw; times are our monotonic ones."""

    look: Look
    first: float
    """When this file was first seen."""
    since: float
    """When it was first seen as it is now."""
    due: float
    """When another look can say something new."""
    reason: Reason = Reason.QUIET
    busy: float = -NEVER
    """When a writer was last seen."""

    def quiet(self, now: float) -> float:
        """Return for how long it has not changed."""
        return now - self.since

    def closed(self, now: float) -> float:
        """Return for how long it has not changed, nor was a writer seen."""
        return now - max(self.since, self.busy)

    def put_off(self, cause: NotNow, now: float, otherwise: float) -> None:
        """Note why it was not taken, and when to look again: in *otherwise* seconds if unknown."""
        self.reason = cause.reason
        self.due = now + (otherwise if cause.again is None else cause.again)
        if cause.reason is Reason.WRITER:
            self.busy = now


@dataclass(slots=True)
class Pass:
    """What one pass found."""

    at: float
    seconds: float = 0.0
    """How long it took."""
    claimed: list[str] = field(default_factory=list)
    """Ids under `.scanseal` that are worth a try."""
    ripe: list[bytes] = field(default_factory=list)
    """Names of files that are worth opening, the oldest first."""
    next_due: float = NEVER
    waiting: int = 0
    oldest: float | None = None
    """When the file that waits longest was first seen."""
    lying: Counter[Reason] = field(default_factory=Counter)
    """What has been lying here for too long, by reason."""
    reasons: set[Reason] = field(default_factory=set)


class Survey:
    """The memory of one hot folder. It blocks: call `look` in a thread, one at a time."""

    def __init__(self, section: HotFolder) -> None:
        """Know nothing yet: whatever is there waits like anything that comes."""
        self._section = section
        self.folder = Path(section.path)
        self._private = self.folder / PRIVATE
        self._ignored = re.compile("|".join(map(fnmatch.translate, section.ignore)) or r"(?!)")
        self._ours = {PRIVATE.encode(), _below(section.path, section.rejected)}
        self.files: dict[bytes, Watched] = {}
        """By name: what may become a claim."""
        self.private: dict[str, Watched] = {}
        """By id: what was claimed and not yet moved."""
        self._odd: dict[bytes, float] = {}

    @property
    def too_long(self) -> float:
        """After so many seconds somebody has to be told why a file still lies here."""
        section = self._section
        return section.give_up_seconds + 3 * (section.settle_seconds + section.rescan_seconds)

    def look(self, *, rung: bool) -> Pass:
        """List the folder and return what is worth doing; NotNow if it cannot be read.

        *rung*: an event came, so what was open for writing may be closed now.
        """
        started = time.monotonic()
        found = Pass(at=started)
        files: dict[bytes, Watched] = {}
        odd: dict[bytes, float] = {}
        for name, facts in self._entries():
            if facts is None:
                odd[name] = self._odd.get(name, started)
                continue
            files[name] = watched = self._seen(self.files.get(name), Look.of(facts), started)
            if self._worth(watched, found, rung=rung):
                found.ripe.append(name)
        self.files, self._odd = files, odd
        self._look_private(found, odd, started, rung=rung)
        found.ripe.sort(key=lambda name: files[name].look.mtime_ns)
        found.lying[Reason.NOT_A_FILE] = sum(
            started - first > self.too_long for first in odd.values()
        )
        found.waiting = len(self.files) + len(self.private)
        watches = (*self.files.values(), *self.private.values())
        found.oldest = min((watched.first for watched in watches), default=None)
        found.seconds = time.monotonic() - started
        return found

    def _look_private(
        self, found: Pass, odd: dict[bytes, float], now: float, *, rung: bool
    ) -> None:
        private: dict[str, Watched] = {}
        for name, facts in self._private_entries():
            text = os.fsdecode(name)
            if facts is None or not is_id(text):
                odd[b"/" + name] = self._odd.get(b"/" + name, now)
                continue
            before = self.private.get(text)
            private[text] = watched = self._seen(before, Look.of(facts), now)
            if before is None:
                watched.due = now  # it had settled before it was renamed: try at once
            if self._worth(watched, found, rung=rung):
                found.claimed.append(text)
        self.private = private

    def _seen(self, before: Watched | None, look: Look, now: float) -> Watched:
        due = now + self._section.settle_seconds
        if before is None or before.look.inode != look.inode:
            return Watched(look=look, first=now, since=now, due=due)
        if before.look != look:
            before.look, before.since, before.due, before.reason = look, now, due, Reason.QUIET
        return before

    def _worth(self, watched: Watched, found: Pass, *, rung: bool) -> bool:
        """Return whether another look at the file itself can say something new by now."""
        ripe = watched.due <= found.at or (rung and watched.reason is Reason.WRITER)
        if ripe and watched.reason is Reason.QUIET:
            watched.reason = Reason.TURN
        if found.at - watched.first > self.too_long and watched.reason is not Reason.TURN:
            found.lying[watched.reason] += 1
        found.reasons.add(watched.reason)
        if not ripe:
            found.next_due = min(found.next_due, watched.due)
        return ripe

    def _entries(self) -> Iterator[tuple[bytes, os.stat_result | None]]:
        """Yield each name that concerns us; None instead of its facts if it is no regular file."""
        with at_share("list", self.folder), os.scandir(os.fsencode(self.folder)) as entries:
            for entry in entries:
                if entry.name in self._ours or self._ignored.match(os.fsdecode(entry.name)):
                    continue
                yield from _facts(entry)

    def _private_entries(self) -> Iterator[tuple[bytes, os.stat_result | None]]:
        try:
            with at_share("list", self._private), os.scandir(os.fsencode(self._private)) as entries:
                for entry in entries:
                    yield from _facts(entry)
        except NotNow as exc:
            if exc.reason is not Reason.GONE:  # nothing was ever claimed here
                raise


def _facts(entry: os.DirEntry[bytes]) -> Iterator[tuple[bytes, os.stat_result | None]]:
    try:
        facts = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return  # taken away since it was listed
    except PermissionError:
        raise  # the folder's mode, not this file's
    except OSError:
        yield entry.name, None  # one bad file stops no other
        return
    yield entry.name, facts if stat.S_ISREG(facts.st_mode) else None


def _below(folder: str, place: str) -> bytes:
    """Return the name in *folder* under which *place* lies; "" if it lies elsewhere."""
    above, below = (Path(os.path.normpath(path)) for path in (folder, place))
    return os.fsencode(below.relative_to(above).parts[0]) if above in below.parents else b""
