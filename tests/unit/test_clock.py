"""May the time be written into a seal? A rule, and the kernel's answers."""

from __future__ import annotations

import ctypes
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from daemon.clock import STA_UNSYNC, STATUS_OFFSET, TIMEX_BYTES, ClockFacts, gate, look

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NOBODY = ClockFacts(ntp=False, rtc=False)

OFFSETS = r"""
#include <stddef.h>
#include <stdio.h>
#include <sys/timex.h>
int main(void) {
    printf("%zu %zu %d", offsetof(struct timex, status), sizeof(struct timex), STA_UNSYNC);
}
"""


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
    """The status word of adjtimex(2), read again here through another function of libc."""
    buffer = (ctypes.c_long * (TIMEX_BYTES // 8 + 1))()
    state = ctypes.CDLL(None).ntp_adjtime(buffer)
    status = bytes(buffer)[STATUS_OFFSET : STATUS_OFFSET + 4]

    assert look().ntp == (state >= 0 and not int.from_bytes(status, "little") & STA_UNSYNC)
