"""May the time be written into a seal? A rule, and the kernel's answers."""

from __future__ import annotations

import ctypes
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from daemon.clock import (
    STA_UNSYNC,
    STATUS_OFFSET,
    TIMEX_BYTES,
    ClockFacts,
    ClockRecord,
    Reading,
    agrees,
    gate,
    has_jumped,
    look,
    read,
)

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NOBODY = ClockFacts(ntp=False, rtc=False)
BATTERY = ClockFacts(ntp=False, rtc=True)
NTP = ClockFacts(ntp=True, rtc=False)
HERE = Reading("this boot", 1000.0)
HOUR = 3600.0


def at(seconds: float, boot: str = "this boot") -> Reading:
    """A reading after the time was set by so many seconds."""
    return Reading(boot, 1000.0 + seconds)


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
    assert gate(policy, facts, NOW, ClockRecord(), HERE) == wanted
    known = ClockRecord(newest=NOW - timedelta(days=1), reading=HERE)
    assert gate(policy, facts, NOW, known, HERE) == wanted


@pytest.mark.parametrize("policy", ["ntp-or-rtc", "host"])
@pytest.mark.parametrize(("behind", "wanted"), [(0, ""), (5, ""), (5.001, "backwards")])
def test_time_does_not_run_backwards(policy: str, behind: float, wanted: str) -> None:
    """Five seconds are a correction by NTP; more would put a seal before its own claim."""
    facts = ClockFacts(ntp=True, rtc=True)

    known = ClockRecord(newest=NOW + timedelta(seconds=behind), reading=HERE)
    assert gate(policy, facts, NOW, known, HERE) == wanted


def test_backwards_is_said_before_no_source() -> None:
    """The worse of the two: a wrong time is there, not only an unknown one."""
    known = ClockRecord(newest=NOW + timedelta(hours=1))
    assert gate("ntp-or-rtc", NOBODY, NOW, known, HERE) == "backwards"


@pytest.mark.parametrize(
    ("policy", "by", "wanted"),
    [
        ("ntp-or-rtc", 0.0, ""),
        ("ntp-or-rtc", HOUR - 1, ""),
        ("ntp-or-rtc", HOUR + 1, "jumped"),
        ("ntp-or-rtc", -HOUR + 1, ""),
        ("ntp-or-rtc", -HOUR - 1, "jumped"),
        ("host", HOUR + 1, ""),
        ("host", -HOUR - 1, "jumped"),
    ],
)
def test_a_jump_of_more_than_an_hour_closes_the_gate(policy: str, by: float, wanted: str) -> None:
    """Either way; a host that wakes its machine up may set it forward."""
    assert gate(policy, BATTERY, NOW, ClockRecord(reading=HERE), at(by)) == wanted


def test_a_jump_that_is_known_keeps_the_gate_closed() -> None:
    """The next reading is compared with the one after the jump: the record has to remember."""
    assert (
        gate("host", NTP, NOW, ClockRecord(jumped=True, reading=at(HOUR * 9)), at(HOUR * 9))
        == "jumped"
    )


def test_across_a_boot_nothing_is_known_of_a_jump() -> None:
    """The seconds since boot begin anew; the newest line is what is left to compare with."""
    assert not has_jumped("ntp-or-rtc", at(0.0, "before"), at(9 * HOUR))
    assert not has_jumped("ntp-or-rtc", None, HERE)


@pytest.mark.parametrize(
    ("problem", "ahead", "facts", "wanted"),
    [
        ("jumped", 0.0, NTP, True),
        ("jumped", 0.0, BATTERY, False),
        ("backwards", HOUR + 1, NTP, True),
        ("backwards", HOUR + 1, BATTERY, False),
        ("backwards", HOUR - 1, NTP, False),
        ("no-source", 0.0, NTP, False),
        ("", 0.0, NTP, False),
    ],
)
def test_ntp_opens_what_a_jump_has_closed(
    problem: str, ahead: float, facts: ClockFacts, *, wanted: bool
) -> None:
    """What is less than an hour backwards is waited for: no seal is older than its claim."""
    known = ClockRecord(newest=NOW + timedelta(seconds=ahead))
    assert agrees(facts, NOW, known, problem) is wanted


def test_a_reading_moves_with_the_time_and_not_by_itself() -> None:
    """Two readings of one boot differ by what the time was set by, and by nothing else."""
    first = read(datetime.now(UTC))
    second = read(datetime.now(UTC) + timedelta(hours=2))

    assert first.boot == second.boot
    assert second.offset - first.offset == pytest.approx(2 * HOUR, abs=5)


def test_the_kernel_is_asked_where_the_kernel_answers() -> None:
    """A wrong offset would read some other word as "synchronised": asked again by field name."""
    facts = Timex()
    answer = ctypes.CDLL(None).ntp_adjtime(ctypes.byref(facts))

    assert ctypes.sizeof(Timex) == TIMEX_BYTES
    assert Timex.status.offset == STATUS_OFFSET
    assert look().ntp == (answer >= 0 and not facts.status & STA_UNSYNC)
    assert look().rtc == Path("/sys/class/rtc/rtc0").is_symlink()
