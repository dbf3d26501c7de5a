"""Which days' folders hold nothing that has no row: a start need not list those again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from daemon.records.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

EXPLAINED: Final = "explained_days"
"""The fact by that name; no line tells it."""


class Days(Writer):
    """What `intake.recovery` has found out about the days' folders."""

    def explained_days(self) -> dict[str, str]:
        """Return by date what the file system said of a folder whose names all had rows."""
        found: dict[str, str] = json.loads(self.meta(EXPLAINED) or "{}")
        return found

    def days_explained(self, stamps: Mapping[str, str], now: datetime) -> None:
        """Commit that it is these, and no others."""
        with self._step(now) as step:
            step.set_meta(EXPLAINED, json.dumps(dict(stamps)))
