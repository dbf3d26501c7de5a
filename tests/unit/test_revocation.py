"""When a certificate has to be asked for, and what an answer is worth later."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from daemon.document import Digest
from daemon.evidence import Revocation
from daemon.revocation import Record, due, judged

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DIGEST = Digest.of(b"a certificate")
HOUR = timedelta(hours=1)


def record(*, lasts: timedelta = 10 * HOUR, revoked_at: datetime | None = None) -> Record:
    said = Revocation(
        revoked_at=revoked_at,
        reason="superseded" if revoked_at else "",
        this_update=NOW - HOUR,
        next_update=NOW + lasts,
    )
    return Record(asked_since=NOW - HOUR, kind="ocsp", answer=b"x", said=said, fetched_at=NOW)


@pytest.mark.parametrize(
    ("lasts", "after", "expected"),
    [
        (10 * HOUR, timedelta(0), False),
        (10 * HOUR, 5 * HOUR - timedelta(seconds=1), False),
        (10 * HOUR, 5 * HOUR, True),  # half of its life is over
        (1000 * HOUR, 23 * HOUR, False),
        (1000 * HOUR, 24 * HOUR, True),  # at least daily
        (10 * HOUR, -HOUR, True),  # fetched by a clock that was wrong
    ],
)
def test_an_answer_is_asked_for_anew_long_before_it_ends(
    lasts: timedelta, after: timedelta, expected: bool
) -> None:
    """So that a line that is down for a while finds us with one that still holds."""
    assert due(record(lasts=lasts), None, NOW + after) is expected


def test_who_has_not_answered_is_not_asked_again_at_once() -> None:
    """And never answered is due; a time to come is a clock's that was wrong."""
    assert due(None, None, NOW)
    assert due(Record(asked_since=NOW), None, NOW)
    assert not due(None, NOW - timedelta(seconds=119), NOW)
    assert due(None, NOW - timedelta(seconds=120), NOW)
    assert due(None, NOW + HOUR, NOW)


def test_a_revocation_is_for_good() -> None:
    """Nobody is asked again, and it does not end with the answer that told it."""
    gone = record(revoked_at=NOW - 5 * HOUR)

    assert not due(gone, None, NOW + 9999 * HOUR)
    status = judged(DIGEST, gone, NOW + 9999 * HOUR)
    assert (status.state, status.since, status.reason) == (
        "revoked",
        NOW - 5 * HOUR,
        "superseded",
    )


def test_what_is_not_known_says_since_when_and_why() -> None:
    """An answer holds until its next update, to the second; one that never came does not."""
    held = record()

    assert judged(DIGEST, held, NOW + 10 * HOUR, "host: silent").state == "good"
    late = judged(DIGEST, held, NOW + 10 * HOUR + timedelta(seconds=1), "host: silent")
    never = judged(DIGEST, replace(held, said=None), NOW, "host: silent")

    assert (late.state, late.since, late.reason) == ("unknown", NOW + 10 * HOUR, "host: silent")
    assert (never.state, never.since) == ("unknown", NOW - HOUR)
