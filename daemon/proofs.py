"""What proves that our certificates hold: fetched ahead, for the check before each turn and for B-LT.

    every minute   the chains of the seal and of the time stamps ──▶ Revocations.refresh
    a B-LT seal    store(): all of it at hand? then it goes into the file, else the file is B-T

Which certificates a time-stamp authority has is seen in its tokens; where a profile wants
B-LT one is asked for at the start, about nothing.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from daemon.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from daemon.alarms import Alarms
    from daemon.config import Config
    from daemon.key import Key
    from daemon.pages.dss import Store
    from daemon.revocation import Revocations, Status
    from daemon.timestamp import TimeStamps

UNKNOWN: Final = "revocation-unknown"
SECONDS: Final = 60.0
PATIENCE: Final = timedelta(days=7)
"""After so long without a word about a certificate somebody is told, where nothing needs it before."""
IMPRINT_BYTES: Final = 32


class Proofs:
    """The stage that keeps the evidence up."""

    def __init__(
        self,
        config: Config,
        key: Key,
        stamps: TimeStamps | None,
        revocations: Revocations,
        alarms: Alarms,
        clock: Callable[[], datetime],
    ) -> None:
        """Ask nobody yet."""
        self._key = key
        self._stamps = stamps
        self._revocations = revocations
        self._alarms = alarms
        self._clock = clock
        self._wanted = any(profile.level == "B-LT" for profile in config.profiles.values())
        self._label = config.hsm.token
        self.beat: Callable[[], None] = lambda: None
        """Called after each round."""

    async def run(self) -> None:
        """Keep it up until cancelled."""
        while True:
            await self.refresh()
            self.beat()
            await asyncio.sleep(SECONDS)

    async def refresh(self) -> None:
        """Ask for what is due, and say what nobody could say for too long."""
        if self._wanted and self._stamps is not None and not self._stamps.chain:
            with suppress(TransientError):  # the stamper says so when it matters
                await self._stamps.token(secrets.token_bytes(IMPRINT_BYTES))
        chains = self._chains()
        await self._revocations.refresh(chains)
        unknown = [one for one in self._revocations.statuses(chains) if self._is_told(one)]
        if unknown:
            said = "; ".join(dict.fromkeys(one.reason for one in unknown if one.reason))
            self._alarms.raise_(UNKNOWN, self._label, f"{len(unknown)}: {said}")
        else:
            self._alarms.clear(UNKNOWN, self._label)

    def store(self) -> Store | None:
        """Return the evidence for a file of level B-LT, or None if not all of it is at hand."""
        if self._stamps is None or not self._stamps.chain or not self._key.chain:
            return None
        return self._revocations.store(self._chains())

    def _chains(self) -> list[tuple[bytes, ...]]:
        stamps = self._stamps.chain if self._stamps is not None else ()
        return [chain for chain in (self._key.chain, stamps) if chain]

    def _is_told(self, status: Status) -> bool:
        if status.state != "unknown":
            return False
        waited = self._clock() - status.since if status.since else timedelta()
        return self._wanted or waited > PATIENCE
