"""When something may be sent again to a target that cannot refuse a second copy."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from daemon.document import Delivery, DeliveryState, Role
from daemon.doubt import APART, Doubt
from tests.values import NOW

SETTLE = timedelta(seconds=300)
STARTED = NOW - timedelta(days=1)
SECOND = timedelta(seconds=1)


def doubt(now_after: timedelta, started: Any = STARTED, **columns: Any) -> Doubt:
    """Return the doubt so long after NOW, when something was sent."""
    delivery = Delivery(
        document="d",
        target="dms",
        role=Role.DMS,
        state=DeliveryState.SENDING,
        parts=(),
        **{"sent_at": NOW, **columns},
    )
    return Doubt.of(delivery, started, NOW + now_after, SETTLE)


def test_before_it_has_settled_its_absence_says_nothing() -> None:
    """An insert can end after we gave up: so early it may simply not be there yet."""
    early = SETTLE - SECOND

    assert not doubt(early).counts(NOW + early)
    assert not doubt(early).may_put(NOW + early)
    assert doubt(SETTLE).counts(NOW + SETTLE)
    assert not doubt(SETTLE).may_put(NOW + SETTLE)


@pytest.mark.parametrize(("seconds", "may"), [(0, False), (59, False), (60, True), (3600, True)])
def test_it_has_to_be_absent_twice_a_minute_apart(seconds: int, may: bool) -> None:
    """One answer may come from an index that lags."""
    first = NOW + SETTLE
    later = SETTLE + timedelta(seconds=seconds)

    assert doubt(later, absent_at=first).may_put(NOW + later) is may


def test_an_absence_from_before_it_has_settled_does_not_count() -> None:
    """Whatever wrote it: the rule looks at the times themselves."""
    later = SETTLE + APART
    found = doubt(later, absent_at=NOW + SETTLE - SECOND)

    assert found.absent is None
    assert not found.may_put(NOW + later)
    assert found.counts(NOW + later)


def test_what_an_earlier_process_had_on_its_way_counts_from_our_start() -> None:
    """It may have sent until it ended; when it began to is no help."""
    started = NOW + timedelta(hours=1)
    now = timedelta(hours=1) + SETTLE

    assert not doubt(now - SECOND, started).counts(NOW + now - SECOND)
    assert doubt(now, started).counts(NOW + now)


def test_what_nobody_has_noted_counts_from_our_start() -> None:
    """A database made again from the files does not know when it was sent."""
    assert doubt(timedelta(), sent_at=None).since == STARTED


def test_a_clock_that_was_set_back_lets_the_wait_begin_anew() -> None:
    """Not for ever, if it was a year; and never shorter."""
    found = doubt(-timedelta(days=300), absent_at=NOW + SETTLE)

    assert found.since == NOW - timedelta(days=300)
    assert found.absent is None


@pytest.mark.parametrize(
    ("after", "absent", "wanted"),
    [
        (1, None, 11),  # as for any other trouble: it may be found at once
        (295, None, 300),  # not later than when it begins to count
        (300, None, 360),
        (310, 300, 360),
        (500, 300, 500),
    ],
)
def test_it_is_asked_again_when_that_says_something(
    after: int, absent: int | None, wanted: int
) -> None:
    """Neither too late, when it has settled, nor all the time."""
    at = {"absent_at": NOW + timedelta(seconds=absent)} if absent else {}
    now = timedelta(seconds=after)

    asked = doubt(now, **at).ask_at(NOW + now, timedelta(seconds=10))

    assert asked == NOW + timedelta(seconds=wanted)
