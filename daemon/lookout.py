"""Looks around: collects what the parts of the service know and makes the snapshot of it.

Everybody who shows something (page, MQTT, `scanseal status`) gets the same
snapshot; it is made at most every half second, in a thread, over a read-only
connection of its own, so that looking never holds up working.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

from daemon import __version__, durable, status
from daemon.records.reader import Reader, open_reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from daemon.alarms import Alarms
    from daemon.config import Config

FRESH_SECONDS = 0.5


class Parts(Protocol):
    """What the service can say about its own parts."""

    def token(self) -> status.TokenState:
        """The token."""

    def certificate(self) -> status.CertificateState | None:
        """The seal certificate, once it was found."""

    def hotfolders(self) -> tuple[status.HotFolderState, ...]:
        """Each hot folder."""

    def targets(self) -> tuple[status.TargetState, ...]:
        """Each target."""

    def clock(self) -> str:
        """Why the clock is not trusted, or ""."""

    def recheck(self) -> status.RecheckState | None:
        """What reading the store again came to."""

    def mqtt(self) -> bool | None:
        """Whether the broker is there; None without MQTT."""

    def replaced(self) -> int:
        """How many worker processes were replaced."""


class Lookout:
    """Makes snapshots."""

    def __init__(
        self,
        config: Config,
        alarms: Alarms,
        parts: Parts,
        clock: Callable[[], datetime],
        *,
        readable: bool,
    ) -> None:
        """Without *readable* the records are damaged: nothing is opened, and that is shown."""
        self._config = config
        self._alarms = alarms
        self._parts = parts
        self._clock = clock
        self._started_at = clock()
        self._reader: Reader | None = None
        if readable:
            self._reader = open_reader(config.state_dir / "spool.db")
        self._lock = asyncio.Lock()
        self._newest: status.Snapshot | None = None
        self._made_at = 0.0

    async def snapshot(self) -> status.Snapshot:
        """Return a snapshot that is at most half a second old."""
        async with self._lock:
            if self._newest is None or time.monotonic() - self._made_at > FRESH_SECONDS:
                live = self._live()
                alarms = self._alarms.now()
                self._newest = await asyncio.to_thread(status.make, self._reader, alarms, live)
                self._made_at = time.monotonic()
            return self._newest

    def close(self) -> None:
        """Close the connection."""
        if self._reader is not None:
            self._reader.close()

    def _live(self) -> status.Live:
        return status.Live(
            started_at=self._started_at,
            now=self._clock(),
            version=__version__,
            box=self._config.box.name,
            token=self._parts.token(),
            certificate=self._parts.certificate(),
            hotfolders=self._parts.hotfolders(),
            targets=self._parts.targets(),
            clock=self._parts.clock(),
            disk_free_bytes=durable.free_bytes(self._config.state_dir),
            mqtt_connected=self._parts.mqtt(),
            workers_replaced=self._parts.replaced(),
            recheck=self._parts.recheck(),
        )
