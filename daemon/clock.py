"""Whether the time on this box may be written into a seal.

Pure rules over facts that `look` and `read` collect. A box without a battery clock
wakes up in the past, and a seal from before its own certificate is worth nothing.

Open while the time is kept by somebody (NTP since boot, a real-time clock, or
the host of a virtual machine when the configuration says so), not earlier than the
newest ledger line, less five seconds, and has not jumped by more than an hour. After a
jump NTP has to agree, or a person: one wrong time must not stop the box for years.
"""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

TOLERANCE = timedelta(seconds=5)
JUMP = timedelta(hours=1)
"""Less than this is a correction; more is somebody's mistake, on one side or the other."""
STA_UNSYNC = 0x0040
TIMEX_BYTES = 208
STATUS_OFFSET = 40
"""Where `status` lies in `struct timex` on 64-bit Linux, after `modes`, three longs' worth."""


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """What keeps the time here."""

    ntp: bool
    """Synchronised now. The kernel takes it back when somebody sets the time by hand."""
    rtc: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """How the time stands to what nobody can set: the seconds since this boot."""

    boot: str
    """The kernel's id of this boot."""
    offset: float
    """The time of the box in seconds, less those since the boot."""


@dataclass(frozen=True, slots=True)
class ClockRecord:
    """What the spool knows of the time."""

    newest: datetime | None = None
    """The latest time in the ledger since the time was last accepted."""
    jumped: bool = False
    """It has jumped, and nobody has agreed yet."""
    reading: Reading | None = None
    """The last one that was written down."""


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def look() -> ClockFacts:
    """Ask the kernel: adjtimex(2) for NTP, sysfs for a battery clock (/dev is private to us)."""
    buffer = ctypes.create_string_buffer(TIMEX_BYTES)
    failed = _libc().adjtimex(buffer) < 0
    status = int.from_bytes(buffer.raw[STATUS_OFFSET : STATUS_OFFSET + 4], "little")
    return ClockFacts(
        ntp=not failed and not status & STA_UNSYNC,
        rtc=Path("/sys/class/rtc/rtc0").exists(),
    )


def read(now: datetime) -> Reading:
    """Return how *now* stands to the seconds since boot, those asleep included."""
    return Reading(boot_id(), now.timestamp() - time.clock_gettime(time.CLOCK_BOOTTIME))


@cache
def boot_id() -> str:
    """Return the kernel's id of this boot, which no process outlives."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def gate(
    policy: str, facts: ClockFacts, now: datetime, record: ClockRecord, reading: Reading
) -> str:
    """Return "" when the clock may be trusted, else why not.

    `backwards` and `jumped` go when NTP (`agrees`) or a person says that the time is
    right, a small `backwards` also by waiting; `no-source` when somebody keeps the time.
    """
    if record.newest is not None and now < record.newest - TOLERANCE:
        return "backwards"
    if record.jumped or has_jumped(policy, record.reading, reading):
        return "jumped"
    if policy == "ntp-or-rtc" and not (facts.ntp or facts.rtc):
        return "no-source"
    return ""


def moved(before: Reading | None, after: Reading) -> timedelta:
    """Return by how much the time was set between two readings; across a boot nobody knows."""
    if before is None or before.boot != after.boot:
        return timedelta()
    return timedelta(seconds=after.offset - before.offset)


def has_jumped(policy: str, before: Reading | None, after: Reading) -> bool:
    """Return whether the time has jumped. The host of a virtual machine may set it forward."""
    by = moved(before, after)
    return by < -JUMP or (by > JUMP and policy != "host")


def agrees(facts: ClockFacts, now: datetime, record: ClockRecord, problem: str) -> bool:
    """Return whether NTP opens a gate that is closed because of *problem*.

    What is less than an hour backwards is waited for: then no line is older than the one
    before it.
    """
    if problem == "backwards" and record.newest is not None:
        return facts.ntp and now < record.newest - JUMP
    return facts.ntp and problem == "jumped"
