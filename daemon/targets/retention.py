"""Locks of S3 (Object Lock): until when a version can neither be changed nor removed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

COMPLIANCE: Final = "COMPLIANCE"
GOVERNANCE: Final = "GOVERNANCE"
STRICTNESS: Final = (GOVERNANCE, COMPLIANCE)
MODE: Final = "x-amz-object-lock-mode"
UNTIL: Final = "x-amz-object-lock-retain-until-date"


@dataclass(frozen=True, slots=True)
class Lock:
    """Until when a version can neither be changed nor removed, and by whom not."""

    mode: str
    """COMPLIANCE: by nobody; GOVERNANCE: by nobody without a right of its own."""
    until: datetime

    def covers(self, wanted: Lock) -> bool:
        """Return whether this is at least as strict and as long as *wanted*."""
        strict = STRICTNESS.index(self.mode) >= STRICTNESS.index(wanted.mode)
        return strict and self.until >= wanted.until.replace(microsecond=0)

    def headers(self) -> dict[str, str]:
        """Return it as the headers of a storing request."""
        return {
            MODE: self.mode,
            UNTIL: time_text(self.until),
        }


def lengthened(held: Lock | None, wanted: Lock) -> Lock:
    """Return the lock to ask for: never a shorter or laxer one than is held."""
    if held is None:
        return wanted
    return Lock(max(held.mode, wanted.mode, key=STRICTNESS.index), max(held.until, wanted.until))


def lock_in(headers: Mapping[str, str]) -> Lock | None:
    """Return the lock that an answer tells of; None if there is none."""
    mode = headers.get(MODE, "").upper()
    try:
        until = datetime.fromisoformat(headers.get(UNTIL, ""))
        until = until.astimezone(UTC) if until.tzinfo else until.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return Lock(mode, until.replace(microsecond=0)) if mode in STRICTNESS else None


def time_text(moment: datetime) -> str:
    """Write a time in whole seconds, never an earlier one."""
    whole = moment.astimezone(UTC) + timedelta(microseconds=-moment.microsecond % 1_000_000)
    return whole.strftime("%Y-%m-%dT%H:%M:%SZ")
