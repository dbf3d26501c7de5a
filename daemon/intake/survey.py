"""What lies in one hot folder, and since when it has not changed: the truth behind the events.

A pass lists the folder, compares each file with how it looked before, and says
which are worth opening. It opens none itself, so ten thousand waiting files cost
one stat(2) each, and a file that was judged is left alone until its time comes.

Links and the like are nobody's scan, and neither are folders, unless `subfolders` says
that they are looked through. `.scanseal`, the folder for rejected copies and the report
are ours. What matches an ignore pattern is not there at all. Where sidecars come, what
is called like one is never a scan: it belongs to one, and `pairing` says to which.
"""

from __future__ import annotations

import fnmatch
import heapq
import os
import re
import stat
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from daemon.document import is_id
from daemon.intake import LASTING, PRIVATE, NotNow, Reason, at_share, not_now
from daemon.intake.moving import opened_folder
from daemon.intake.pairing import Beside, kind_of
from daemon.intake.settle import Look

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Iterator

    from daemon.config import HotFolder

NEVER: Final = float("inf")
FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
DEEPEST: Final = 8
"""So many folders in each other are looked through."""
OURS: Final = PRIVATE.encode()
"""What begins like this is ours, wherever it lies and whatever `ignore` says."""


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
    from_before: bool = False
    """It lay there like this at our first look."""
    doubtful: bool = False
    """Of a sidecar: there was more than one scan that it could have belonged to."""
    failing: float | None = None
    """Of a sidecar: since when it could not be taken, for a reason that lasts."""

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
        if cause.reason not in LASTING:
            self.failing = None
        elif self.failing is None:
            self.failing = now


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
    closed: list[NotNow] = field(default_factory=list)
    """Why folders in it could not be looked through; the others were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lying:
    """One file that was seen and not taken yet."""

    place: bytes
    """Where in the hot folder it lies: personal. b"" if it is claimed already and not moved."""
    document: str = ""
    """The id that it was claimed under."""
    reason: Reason
    first: float
    """When it was first seen."""


class Survey:
    """The memory of one hot folder. It blocks: call `look` in a thread, one at a time."""

    def __init__(self, section: HotFolder) -> None:
        """Know nothing yet: whatever is there waits like anything that comes."""
        self._section = section
        self.folder = Path(section.path)
        self._private = self.folder / PRIVATE
        self._ignored = re.compile("|".join(map(fnmatch.translate, section.ignore)) or r"(?!)")
        ours = [_below(section.path, place) for place in (section.rejected, section.report)]
        # Where folders are not looked through, ours may still lie in one of them.
        whole = section.subfolders
        self._ours = {place if whole else place.partition(b"/")[0] for place in ours}
        self._sidecars = section.sidecar != "none"
        self._first = True
        self.files: dict[bytes, Watched] = {}
        """By path below the hot folder: what may become a claim."""
        self.sidecars: dict[bytes, Watched] = {}
        """Likewise: what may belong to one."""
        self.beside = Beside((), ())
        self.private: dict[str, Watched] = {}
        """By id: what was claimed and not yet moved."""
        self.private_sidecars: dict[str, tuple[bytes, Watched]] = {}
        """Likewise sidecars, with their names there."""
        self.folders: list[bytes] = []
        """The folders that were looked through, without the hot folder itself."""
        self._odd: dict[bytes, tuple[Reason, float]] = {}

    @property
    def too_long(self) -> float:
        """After so many seconds somebody has to be told why a file still lies here."""
        section = self._section
        return section.give_up_seconds + 3 * (section.settle_seconds + section.rescan_seconds)

    def look(self, *, rung: bool, waiting: Collection[bytes] = ()) -> Pass:
        """List the folder and return what is worth doing; NotNow if it cannot be read.

        *rung*: an event came, so what was open for writing may be closed now.
        *waiting*: where the scans of documents lay that wait for their sidecars.
        """
        started = time.monotonic()
        found = Pass(at=started)
        files: dict[bytes, Watched] = {}
        sidecars: dict[bytes, Watched] = {}
        odd: dict[bytes, tuple[Reason, float]] = {}
        self.folders = []
        for name, facts in self._entries(found):
            if not isinstance(facts, os.stat_result):
                odd[name] = (facts, self._since(name, facts, started))
            elif self._sidecars and kind_of(name):
                sidecars[name] = self._seen(self.sidecars.get(name), Look.of(facts), started)
            else:
                files[name] = watched = self._seen(self.files.get(name), Look.of(facts), started)
                if self._worth(watched, found, rung=rung):
                    found.ripe.append(name)
        self.files, self.sidecars = files, sidecars
        self._look_private(found, odd, started, rung=rung)
        self._odd = odd
        self._pair(waiting)
        awaited = {self.beside.of(place) for place in waiting}
        for name, watched in sidecars.items():
            self._lie(watched, found, awaited=name in awaited)
        found.ripe.sort(key=lambda name: (files[name].look.mtime_ns, name))
        for reason, first in odd.values():
            found.lying[reason] += started - first > self.too_long
        found.waiting = len(self.files) + len(self.private) + len(found.closed)
        watches = (*self.files.values(), *self.private.values())
        found.oldest = min((watched.first for watched in watches), default=None)
        self._first = False
        found.seconds = time.monotonic() - started
        return found

    def lying(self, most: int) -> tuple[int, list[Lying]]:
        """Return how many files nobody has taken yet, and the newest of them, at most so many.

        From any thread: whole tables are copied at once.
        """
        found = [
            *(
                (watched.first, place, "", watched.reason)
                for place, watched in list(self.files.items())
            ),
            *(
                (watched.first, b"", name, watched.reason)
                for name, watched in list(self.private.items())
            ),
            *((first, place, "", reason) for place, (reason, first) in list(self._odd.items())),
        ]
        return len(found), [
            Lying(place=place, document=document, reason=reason, first=first)
            for first, place, document, reason in heapq.nlargest(most, found)
        ]

    def _pair(self, waiting: Iterable[bytes]) -> None:
        """Say whose sidecar each of them is by its name; what was once doubtful stays it."""
        self.beside = Beside((*self.files, *waiting) if self.sidecars else (), self.sidecars)
        for name in self.beside.doubtful:
            self.sidecars[name].doubtful = True

    def _look_private(
        self, found: Pass, odd: dict[bytes, tuple[Reason, float]], now: float, *, rung: bool
    ) -> None:
        private: dict[str, Watched] = {}
        sidecars: dict[str, tuple[bytes, Watched]] = {}
        for name, facts in self._private_entries():
            text = os.fsdecode(name)
            stem, dot, _ = text.partition(".")
            if not isinstance(facts, os.stat_result) or not is_id(stem):
                place = b"/" + name
                odd[place] = (Reason.NOT_A_FILE, self._since(place, Reason.NOT_A_FILE, now))
            elif dot:
                _, before = self.private_sidecars.get(stem, (b"", None))
                sidecars[stem] = (name, self._seen(before, Look.of(facts), now))
                self._lie(sidecars[stem][1], found, awaited=True)
            else:
                before = self.private.get(text)
                private[text] = watched = self._seen(before, Look.of(facts), now)
                if before is None:
                    watched.due = now  # it had settled before it was renamed: try at once
                if self._worth(watched, found, rung=rung):
                    found.claimed.append(text)
        self.private, self.private_sidecars = private, sidecars

    def _since(self, place: bytes, reason: Reason, now: float) -> float:
        """Return when something that is no scan was first seen to be that."""
        before = self._odd.get(place)
        return before[1] if before and before[0] is reason else now

    def _seen(self, before: Watched | None, look: Look, now: float) -> Watched:
        due = now + self._section.settle_seconds
        if before is None or before.look.inode != look.inode:
            return Watched(look=look, first=now, since=now, due=due, from_before=self._first)
        if before.look != look:
            before.look, before.since, before.due, before.reason = look, now, due, Reason.QUIET
            before.from_before, before.failing = False, None
        return before

    def _lie(self, watched: Watched, found: Pass, *, awaited: bool) -> None:
        """Count a sidecar that nobody takes; the next look is worth it once it has settled.

        Why it cannot be taken is said as long as somebody tries to; else it lies there alone.
        """
        wait = self._section.sidecar_wait_seconds
        reason = Reason.ALONE
        if awaited and watched.failing is not None:
            reason = watched.reason
            found.reasons.add(reason)
        if found.at - watched.first > max(self.too_long, 2 * wait):
            found.lying[reason] += 1
        if watched.due > found.at:
            found.next_due = min(found.next_due, watched.due)

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

    def _entries(self, found: Pass) -> Iterator[tuple[bytes, os.stat_result | Reason]]:
        """Yield each path that concerns us; why it is no scan instead of its facts if it is none."""
        with at_share("list", self.folder), os.scandir(os.fsencode(self.folder)) as entries:
            folders = yield from self._listed(entries, b"")
        if folders:
            with at_share("list", self.folder), opened_folder(self.folder, b"") as fd:
                yield from self._inside(found, fd, folders)

    def _listed(
        self, entries: Iterable[os.DirEntry[bytes]] | Iterable[os.DirEntry[str]], below: bytes
    ) -> Generator[tuple[bytes, os.stat_result | Reason], None, list[bytes]]:
        """Yield what lies in one folder; return the folders in it that are looked through."""
        folders = []
        for entry in entries:
            name = os.fsencode(entry.name)
            place = below + name
            if (
                name.startswith(OURS)
                or place in self._ours
                or self._ignored.match(os.fsdecode(name))
            ):
                continue
            if self._section.subfolders and entry.is_dir(follow_symlinks=False):
                folders.append(place)
            else:
                yield from _facts(entry, place)
        return folders

    def _inside(
        self, found: Pass, above: int, folders: list[bytes]
    ) -> Iterator[tuple[bytes, os.stat_result | Reason]]:
        """Yield what lies in *folders*, which lie in the open folder *above*, and below them.

        Opened step by step, no link is followed. One that is gone is nobody's trouble;
        one that cannot be read is told, and the others are looked through.
        """
        for place in folders:
            if place.count(b"/") >= DEEPEST:
                yield place, Reason.DEEP
                continue
            try:
                fd = os.open(place.rpartition(b"/")[2], FOLDER, dir_fd=above)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as exc:
                found.closed.append(not_now(exc, "list", self.folder / os.fsdecode(place)))
                continue
            try:
                self.folders.append(place)
                inner: list[bytes] = []
                try:
                    with os.scandir(fd) as entries:
                        inner = yield from self._listed(entries, place + b"/")
                except OSError as exc:
                    found.closed.append(not_now(exc, "list", self.folder / os.fsdecode(place)))
                yield from self._inside(found, fd, inner)
            finally:
                os.close(fd)

    def _private_entries(self) -> Iterator[tuple[bytes, os.stat_result | Reason]]:
        try:
            with at_share("list", self._private), os.scandir(os.fsencode(self._private)) as entries:
                for entry in entries:
                    yield from _facts(entry, entry.name)
        except NotNow as exc:
            if exc.reason is not Reason.GONE:  # nothing was ever claimed here
                raise


def _facts(
    entry: os.DirEntry[bytes] | os.DirEntry[str], place: bytes
) -> Iterator[tuple[bytes, os.stat_result | Reason]]:
    try:
        facts = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return  # taken away since it was listed
    except PermissionError:
        raise  # the folder's mode, not this file's
    except OSError:
        yield place, Reason.NOT_A_FILE  # one bad file stops no other
        return
    yield place, facts if stat.S_ISREG(facts.st_mode) else Reason.NOT_A_FILE


def _below(folder: str, place: str) -> bytes:
    """Return the path below *folder* under which *place* lies; b"" if it lies elsewhere."""
    above, below = (Path(os.path.normpath(path)) for path in (folder, place))
    return os.fsencode(below.relative_to(above)) if above in below.parents else b""
