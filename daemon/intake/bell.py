"""Rings when something happens in a hot folder: events wake the survey and do nothing else.

Events are lost when a queue overflows, never come from a network mount, and stop
when the folder is replaced by another of the same name. So nothing is learned from
one but that it is worth looking now; and `answers` says whether any can still come.

Opening and reading are not listened to: our own looks would wake us for ever.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING, Final

from watchdog.events import (
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.inotify import InotifyObserver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# It complains when it is stopped, and what it has to say may hold file names (I9).
logging.getLogger("watchdog").setLevel(logging.CRITICAL)

HEARD: Final[list[type[FileSystemEvent]]] = [
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
]

ECHO_SECONDS: Final = 0.6
"""watchdog holds events back for half a second after a name has left the folder, as ours do
with each claim: for so long the survey cannot wait for events."""


class Bell(FileSystemEventHandler):
    """The events of one folder. Its methods block: call them in a thread."""

    def __init__(self, folder: Path, ring: Callable[[], None]) -> None:
        """Do nothing yet; *ring* is called on watchdog's thread, at most once until `heard`."""
        self._folder = folder
        self._ring = ring
        self._rung = threading.Event()
        self._observer: InotifyObserver | None = None
        self._place: tuple[int, int] | None = None

    def answers(self) -> bool:
        """Return whether all threads live, and listen to the folder that has the name now."""
        observer = self._observer
        return (
            observer is not None
            and observer.is_alive()
            # The thread that reads from the kernel: nothing public tells of its end.
            and observer._inotify_fd.is_alive()  # noqa: SLF001
            and bool(observer.emitters)
            and all(emitter.is_alive() for emitter in observer.emitters)
            and self._place == _place(self._folder)
        )

    def hang(self) -> None:
        """Listen to the folder that has the name now; OSError if that cannot be done."""
        self.stop()
        place = _place(self._folder)
        observer = InotifyObserver()
        # A link is not followed by watchdog, and then nothing is ever heard.
        observer.schedule(self, self._folder.resolve(), event_filter=HEARD)
        try:
            observer.start()
        except OSError:
            observer.stop()
            raise
        self._observer, self._place = observer, place

    def stop(self) -> None:
        """Listen no longer."""
        observer, self._observer = self._observer, None
        if observer is not None:
            with contextlib.suppress(OSError, RuntimeError):
                observer.stop()
                observer.join()

    def on_any_event(self, event: FileSystemEvent) -> None:  # noqa: ARG002 (the scan is the truth)
        """Ring, once until somebody has heard it."""
        if not self._rung.is_set():
            self._rung.set()
            self._ring()

    def heard(self) -> None:
        """Let the next event ring again: call it before looking, not after."""
        self._rung.clear()


def _place(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino
