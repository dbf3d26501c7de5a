"""Telling systemd: ready, stopping, and that the stages really get on (sd_notify(3)).

The watchdog is fed only while every stage has shown progress, or that it has
nothing to do, within its time: a loop that merely turns proves nothing.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BEAT_SECONDS = 60.0
"""A stage that was silent for longer has stopped: idle ones beat every few seconds."""


class Systemd:
    """The notification socket, if there is one."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Read NOTIFY_SOCKET and WATCHDOG_USEC; without them nothing is sent."""
        self._address = environment.get("NOTIFY_SOCKET", "")
        usec = environment.get("WATCHDOG_USEC", "")
        self.watchdog_seconds = int(usec) / 1e6 if usec.isdecimal() else None

    def send(self, *lines: str) -> None:
        """Send the lines; a missing or deaf systemd is no error."""
        if not self._address:
            return
        address = self._address
        if address.startswith("@"):
            address = "\0" + address[1:]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            # One that is deaf has a full queue, and we have a loop to turn.
            sender.setblocking(False)
            try:
                sender.connect(address)
                sender.sendall("\n".join(lines).encode())
            except OSError:
                return


class Beats:
    """When each stage last showed that it gets on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start without stages; *clock* is monotonic."""
        self._clock = clock
        self._last: dict[str, float] = {}

    def of(self, stage: str) -> Callable[[], None]:
        """Return the function that *stage* calls."""
        self._last[stage] = self._clock()

        def beat() -> None:
            self._last[stage] = self._clock()

        return beat

    def silent(self) -> tuple[str, ...]:
        """Return the stages that have not shown anything for too long."""
        limit = self._clock() - BEAT_SECONDS
        return tuple(stage for stage, last in self._last.items() if last < limit)
