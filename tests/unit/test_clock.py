"""May the time be written into a seal? A rule, and the kernel's answers."""

from __future__ import annotations

import ctypes
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from daemon.clock import STA_UNSYNC, STATUS_OFFSET, TIMEX_BYTES, ClockFacts, gate, look

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NOBODY = ClockFacts(ntp=False, rtc=False)


class Timex(ctypes.Structure):
    """`struct timex` of adjtimex(2), field by field."""

    _fields_: ClassVar = [
        ("modes", ctypes.c_uint),
        *((name, ctypes.c_long) for name in ("offset", "freq", "maxerror", "esterror")),
        ("status", ctypes.c_int),
        *((name, ctypes.c_long) for name in ("constant", "precision", "tolerance")),
        ("time", ctypes.c_long * 2),
        *((name, ctypes.c_long) for name in ("tick", "ppsfreq", "jitter")),
        ("shift", ctypes.c_int),
        *((name, ctypes.c_long) for name in ("stabil", "jitcnt", "calcnt", "errcnt", "stbcnt")),
        ("tai", ctypes.c_int),
        ("padding", ctypes.c_int * 11),
    ]


@pytest.mark.parametrize(
    ("policy", "facts", "wanted"),
    [
        ("ntp-or-rtc", NOBODY, "no-source"),
        ("ntp-or-rtc", ClockFacts(ntp=True, rtc=False), ""),
        ("ntp-or-rtc", ClockFacts(ntp=False, rtc=True), ""),
        ("ntp-or-rtc", ClockFacts(ntp=True, rtc=True), ""),
        ("host", NOBODY, ""),
    ],
)
def test_somebody_has_to_keep_the_time(policy: str, facts: ClockFacts, wanted: str) -> None:
    """NTP, a battery clock, or the host where the configuration says so."""
    assert gate(policy, facts, NOW, None) == wanted
    assert gate(policy, facts, NOW, NOW - timedelta(days=1)) == wanted


@pytest.mark.parametrize("policy", ["ntp-or-rtc", "host"])
@pytest.mark.parametrize(("behind", "wanted"), [(0, ""), (5, ""), (5.001, "backwards")])
def test_time_does_not_run_backwards(policy: str, behind: float, wanted: str) -> None:
    """Five seconds are a correction by NTP; more would put a seal before its own claim."""
    facts = ClockFacts(ntp=True, rtc=True)

    assert gate(policy, facts, NOW, NOW + timedelta(seconds=behind)) == wanted


def test_backwards_is_said_before_no_source() -> None:
    """The worse of the two: a wrong time is there, not only an unknown one."""
    assert gate("ntp-or-rtc", NOBODY, NOW, NOW + timedelta(hours=1)) == "backwards"


def test_the_kernel_is_asked_where_the_kernel_answers() -> None:
    """A wrong offset would read some other word as "synchronised": asked again by field name."""
    facts = Timex()
    answer = ctypes.CDLL(None).ntp_adjtime(ctypes.byref(facts))

    assert ctypes.sizeof(Timex) == TIMEX_BYTES
    assert Timex.status.offset == STATUS_OFFSET
    assert look().ntp == (answer >= 0 and not facts.status & STA_UNSYNC)
    assert look().rtc == Path("/sys/class/rtc/rtc0").is_symlink()
