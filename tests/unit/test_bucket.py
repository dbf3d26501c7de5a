"""Locks of S3 are compared and lengthened, never shortened; checksums are read as S3 writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from daemon.document import Digest
from daemon.targets.bucket import checksum, digest_in
from daemon.targets.retention import COMPLIANCE, GOVERNANCE, MODE, UNTIL, Lock, lengthened, lock_in

THEN = datetime(2026, 11, 23, tzinfo=UTC)
LOCKS = st.builds(
    Lock,
    st.sampled_from([COMPLIANCE, GOVERNANCE]),
    st.timedeltas(timedelta(), timedelta(days=4000)).map(lambda lasts: THEN + lasts),
)


@given(held=st.none() | LOCKS, wanted=LOCKS)
def test_what_is_asked_for_covers_what_is_held_and_what_is_wanted(
    held: Lock | None, wanted: Lock
) -> None:
    """No lock is ever made shorter or laxer by us."""
    found = lengthened(held, wanted)

    assert found.covers(wanted)
    assert held is None or (found.covers(held) and found.until >= held.until)
    assert found.mode in {wanted.mode, held.mode if held else ""}
    assert found.until in {wanted.until, held.until if held else None}


@given(lock=LOCKS)
def test_a_lock_is_written_in_whole_seconds_and_never_shorter(lock: Lock) -> None:
    """S3 keeps no fractions; a lock that ends a moment too early would be put on again for ever."""
    text = lock.headers()["x-amz-object-lock-retain-until-date"]
    read = datetime.fromisoformat(text)

    assert timedelta() <= read - lock.until < timedelta(seconds=1)
    assert Lock(lock.mode, read).covers(lock)


def test_a_lock_is_read_from_headers_in_any_time_zone() -> None:
    """What is none, or no time that anything else here could hold, is no lock."""
    for text in ("2026-11-23T00:00:00Z", "2026-11-23T01:00:00+01:00", "2026-11-23T00:00:00.9"):
        assert lock_in({MODE: "compliance", UNTIL: text}) == Lock(COMPLIANCE, THEN)
    for mode, text in (
        ("", "2026-11-23T00:00:00Z"),
        ("LEGAL", "2026-11-23T00:00:00Z"),
        (COMPLIANCE, ""),
        (COMPLIANCE, "soon"),
        (COMPLIANCE, "9999-12-31T23:59:59-14:00"),
    ):
        assert lock_in({MODE: mode, UNTIL: text}) is None


def test_a_laxer_or_shorter_lock_does_not_do() -> None:
    """Governance is no compliance, and a second is a second."""
    wanted = Lock(COMPLIANCE, THEN)

    assert Lock(COMPLIANCE, THEN).covers(Lock(GOVERNANCE, THEN))
    assert not Lock(GOVERNANCE, THEN + timedelta(days=9)).covers(wanted)
    assert not Lock(COMPLIANCE, THEN - timedelta(seconds=1)).covers(wanted)


def test_checksums_are_written_and_read_as_s3_does() -> None:
    """One of parts is no digest of the file, and garbage is none either."""
    digest = Digest.of(b"abc")

    assert checksum(digest) == "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
    assert digest_in(checksum(digest)) == digest
    for text in ("", checksum(digest) + "-3", "x", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0="):
        assert digest_in(text) is None
