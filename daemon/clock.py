"""Whether the time on this box may be written into a seal.

A pure rule over facts that `look` collects. A box without a battery clock wakes
up in the past, and a seal from before its own certificate is worth nothing.

Open while the time is kept by somebody (NTP since boot, a real-time clock, or
the host of a virtual machine when the configuration says so) and not earlier
than the newest ledger line, less five seconds.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

TOLERANCE = timedelta(seconds=5)
STA_UNSYNC = 0x0040
TIMEX_BYTES = 208
STATUS_OFFSET = 40
"""Where `status` lies in `struct timex` on 64-bit Linux, after `modes`, three longs' worth."""


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """What keeps the time here."""

    ntp: bool
    rtc: bool


def look() -> ClockFacts:
    """Ask the kernel: adjtimex(2) for NTP, sysfs for a battery clock (/dev is private to us)."""
    buffer = ctypes.create_string_buffer(TIMEX_BYTES)
    failed = ctypes.CDLL(None).adjtimex(buffer) < 0
    status = int.from_bytes(buffer.raw[STATUS_OFFSET : STATUS_OFFSET + 4], "little")
    return ClockFacts(
        ntp=not failed and not status & STA_UNSYNC,
        rtc=Path("/sys/class/rtc/rtc0").exists(),
    )


def gate(policy: str, facts: ClockFacts, now: datetime, newest: datetime | None) -> str:
    """Return "" when the clock may be trusted, else why not: `no-source` or `backwards`."""
    if newest is not None and now < newest - TOLERANCE:
        return "backwards"
    if policy == "ntp-or-rtc" and not (facts.ntp or facts.rtc):
        return "no-source"
    return ""
