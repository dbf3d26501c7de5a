"""On what terms a target is used: how much at once, how fast, when, and by what rules. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from daemon.delivering import Rules
from daemon.document import Role
from daemon.outgoing import about
from daemon.targets import AT_ONCE
from daemon.windows import Window, seconds_until

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from daemon.config import Config
    from daemon.document import Document
    from daemon.targets import About
    from daemon.targetsections import TargetSection

BYTES_PER_SECOND: Final = 1_000_000
"""A target that is slower than this has stalled, unless we are that slow on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is configured for one target, and what goes without saying."""

    concurrency: int = AT_ONCE
    """So many documents are on their way at once."""
    per_second: float = 0.0
    """So many are begun each second at the most; 0: no limit."""
    rate: int = 0
    """So many bytes leave each second at the most; 0: no limit."""
    windows: tuple[Window, ...] = ()
    """When it may be used; none: always."""
    zone: tzinfo = UTC
    rules: Rules = field(default_factory=Rules)

    def closed(self, now: datetime) -> float:
        """Return for how many seconds it must not be used."""
        return seconds_until(self.windows, now, self.zone)

    def bytes_per_second(self) -> float:
        """Return how fast it has to be so that it does not count as stalled."""
        # All that are on the way share the rate; half of what they should get is still no stall.
        ours = self.rate / self.concurrency / 2 if self.rate else BYTES_PER_SECOND
        return min(ours, BYTES_PER_SECOND)


def agreed(config: Config, started: datetime) -> dict[str, Terms]:
    """Return the terms of each target of *config*, by name; the process began at *started*."""
    zone = ZoneInfo(config.box.timezone)
    return {section.name: _of(config, section, zone, started) for section in config.targets}


def _of(config: Config, section: TargetSection, zone: tzinfo, started: datetime) -> Terms:
    role = Role(section.role)

    def told(document: Document, more: dict[str, str]) -> About:
        return about(config, document, role, more)

    return Terms(
        concurrency=section.concurrency,
        per_second=section.per_second,
        rate=section.kb_per_second * 1000,
        windows=tuple(map(Window.parse, section.windows)),
        zone=zone,
        rules=Rules(
            settle=timedelta(seconds=section.in_doubt_seconds),
            after=section.after,
            followers=tuple(one.name for one in config.targets if one.after == section.name),
            proof=section.proof,
            # A folder has nowhere to keep what it is told.
            about=None if section.kind == "folder" else told,
            started=started,
        ),
    )
