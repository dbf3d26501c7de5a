"""The histogram of signatures, as Prometheus reads it: each bucket counts the ones below it, too."""

from __future__ import annotations

import pytest

from daemon.latency import BOUNDS, Histogram


def test_a_new_one_has_counted_nothing() -> None:
    """Zero in each bucket, not none."""
    found = Histogram().now()

    assert (found.count, found.seconds, found.at_most) == (0, 0.0, (0,) * len(BOUNDS))


@pytest.mark.parametrize(
    ("seconds", "buckets"),
    [(0.0, len(BOUNDS)), (0.005, len(BOUNDS)), (0.0051, len(BOUNDS) - 1), (30.0, 1), (31.0, 0)],
)
def test_a_duration_is_in_each_bucket_that_it_fits(seconds: float, buckets: int) -> None:
    """`le` means at most; what is longer than all of them is in the count alone."""
    made = Histogram()
    made.observe(seconds)

    assert sum(made.now().at_most) == buckets
    assert made.now().count == 1


def test_they_add_up() -> None:
    """Count and sum give the mean; buckets never go down."""
    made = Histogram()
    for seconds in (0.003, 0.3, 0.3, 4.0, 50.0):
        made.observe(seconds)

    found = made.now()
    assert found.count == 5
    assert found.seconds == pytest.approx(54.603)
    assert list(found.at_most) == sorted(found.at_most)
    assert found.at_most[BOUNDS.index(0.5)] == 3
