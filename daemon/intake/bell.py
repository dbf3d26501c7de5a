"""Rings when something happens in a hot folder: events wake the survey and do nothing else.

Events are lost when a queue overflows, never come from a network mount, and stop
when the folder is replaced by another of the same name. So nothing is learned from
one but that it is worth looking now; and `answers` says whether any can still come.

Not listened to: opening and reading, for our own looks would wake us for ever; what
leaves the folder, as every claim does; and each single write, of which the close
tells. Of watchdog only the thread that reads from the kernel is used: its observers
hold events back for half a second, and drop what waits when the queue overflows.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchDescriptor,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

# What it has to say may hold file names (I9).
logging.getLogger("watchdog").setLevel(logging.CRITICAL)

HEARD: Final = Mask(
    InotifyConstants.IN_CREATE
    | InotifyConstants.IN_CLOSE_WRITE
    | InotifyConstants.IN_MOVED_TO
    | InotifyConstants.IN_ATTRIB
    | InotifyConstants.IN_ONLYDIR
)
DEEPER: Final = Mask(HEARD | InotifyConstants.IN_DONT_FOLLOW)
GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM})
"""A folder below may be taken away, or closed to us, between two of our looks."""

Place = tuple[int, int]
"""Device and inode: which folder it is that has a name."""


@dataclass(frozen=True, slots=True)
class _Heard:
    """A folder that is listened to."""

    place: Place
    watch: WatchDescriptor
    id: CallbackId


class Bell:
    """The events of one folder, and of those below it. Its methods block: call them in a thread."""

    def __init__(self, folder: Path, ring: Callable[[], None]) -> None:
        """Do nothing yet; *ring* is called on watchdog's thread, at most once until `heard`."""
        self._folder = folder
        self._ring = ring
        self._rung = threading.Event()
        self._ears: InotifyFD | None = None
        self._heard: _Heard | None = None
        self._below: dict[Path, _Heard] = {}
        """The folders in it that are listened to."""
        self._ids = itertools.count(1)
        self._lost: set[WatchDescriptor] = set()
        """What the kernel has taken back: the folder was removed, or its mount."""

    def answers(self) -> bool:
        """Return whether the thread lives, and listens to the folder that has the name now."""
        ears, heard = self._ears, self._heard
        return (
            ears is not None
            and heard is not None
            and ears.is_alive()
            and heard.watch not in self._lost
            and heard.place == _place(self._folder)
        )

    def hang(self) -> None:
        """Listen to the folder that has the name now; OSError if that cannot be done."""
        self.stop()
        place = _place(self._folder)
        ears = InotifyFD()
        # Before anything else: what was never started does not close what it has opened.
        ears.start()
        self._lost.clear()
        try:
            self._heard = self._listen(ears, self._folder, place, HEARD)
        except OSError:
            _end(ears)
            raise
        self._ears = ears

    def follow(self, folders: Iterable[Path]) -> bool:
        """Listen to these folders below as well, and to no others; return whether one is new.

        OSError if the kernel has no more watches: what was listened to before still is.
        """
        ears = self._ears
        if ears is None:
            return False
        heard: dict[Path, _Heard] = {}
        new = False
        for folder in folders:
            known = self._below.get(folder)
            try:
                place = _place(folder)
                if known is None or known.place != place or known.watch in self._lost:
                    known = self._listen(ears, folder, place, DEEPER)
                    new = True
            except OSError as exc:
                if exc.errno in GONE:
                    continue
                self._below = {**self._below, **heard}
                raise
            heard[folder] = known
        left, self._below = set(self._below.values()) - set(heard.values()), heard
        ears.remove_callbacks([(one.watch, one.id) for one in left if one.watch not in self._lost])
        return new

    def stop(self) -> None:
        """Listen no longer."""
        ears, self._ears, self._below = self._ears, None, {}
        if ears is not None:
            _end(ears)

    def heard(self) -> None:
        """Let the next event ring again: call it before looking, not after."""
        self._rung.clear()

    # -- what watchdog calls, on the thread that reads ---------------------------------

    def on_event(self, event: InotifyEvent) -> None:  # noqa: ARG002 (the scan is the truth)
        """Ring, once until somebody has heard it."""
        if not self._rung.is_set():
            self._rung.set()
            self._ring()

    def on_queue_overflow(self) -> None:
        """Ring: nobody knows what was lost, so it is worth looking."""
        self._rung.set()
        self._ring()

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        """Ring: the next look finds that nothing can be heard from there any more."""
        self._lost.add(wd)
        self._rung.set()
        self._ring()

    def _listen(self, ears: InotifyFD, folder: Path, place: Place, mask: Mask) -> _Heard:
        own = CallbackId(next(self._ids))
        watch = ears.add_callback(os.fsencode(folder), mask, self, own)
        if watch < 0:  # the one error that watchdog keeps to itself
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return _Heard(place, watch, own)


def _end(ears: InotifyFD) -> None:
    with contextlib.suppress(OSError, RuntimeError):
        ears.stop()
        ears.join()


def _place(folder: Path) -> Place:
    found = folder.stat()
    return found.st_dev, found.st_ino
