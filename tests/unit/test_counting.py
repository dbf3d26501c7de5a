"""The rule of the scanner's counter: what is missing is said, and what is not is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.counting import ECHOES, JUMP, MOST, NEAR, Counted, How, Series, count

DIGITS = 4


def counted(*numbers: int, digits: int = DIGITS) -> list[Counted]:
    """Count one number after the other."""
    series, found = Series(), []
    for number in numbers:
        found.append(count(series, number, digits))
        series = found[-1].series
    return found


def open_after(found: list[Counted]) -> set[tuple[int, int]]:
    """Return what is still missing, told from what each number said, as the spool does."""
    still: set[tuple[int, int]] = set()
    for one in found:
        still |= set(one.missing)
        live = {run.run: run.missing for run in one.series.runs}
        still = {(run, n) for run, n in still if run not in live or n in live[run]}
    return still


def hows(found: list[Counted]) -> list[How]:
    return [one.how for one in found]


def test_numbers_in_order_lack_nothing() -> None:
    """The first one begins wherever the scanner was when the box came."""
    found = counted(41, 42, 43)

    assert hows(found) == [How.BEGINS, How.FOLLOWS, How.FOLLOWS]
    assert open_after(found) == set()


def test_a_gap_is_said_and_a_late_arrival_closes_it() -> None:
    """41, 43: 42 never arrived, until it does."""
    found = counted(41, 43)

    assert found[-1].missing == ((1, 42),)
    assert hows(counted(41, 43, 42))[-1] is How.LATE
    assert open_after(counted(41, 43, 42)) == set()


def test_the_same_number_again_is_said_and_changes_nothing() -> None:
    """A file that was dropped twice, or two scanners with one name."""
    found = counted(41, 43, 41, 44)

    assert hows(found) == [How.BEGINS, How.GAP, How.AGAIN, How.FOLLOWS]
    assert open_after(found) == {(1, 42)}


def test_a_late_number_that_comes_twice_is_there_again() -> None:
    """It is missed once, and so it is found once."""
    assert hows(counted(41, 43, 42, 42))[-1] is How.AGAIN


def test_scans_that_are_overtaken_by_the_first_one_are_no_repetition() -> None:
    """And what lies between them and it was scanned meanwhile: that is missing."""
    found = counted(45, 42, 43, 46)

    assert hows(found) == [How.BEGINS, How.LATE, How.LATE, How.FOLLOWS]
    assert found[1].missing == ((1, 43), (1, 44))
    assert open_after(found) == {(1, 44)}


@pytest.mark.parametrize("first", [0, 1])
def test_a_counter_that_runs_over_goes_on(first: int) -> None:
    """9999, 0001: nothing is missing, and nothing is to be remarked."""
    found = counted(9998, 9999, first, first + 1)

    assert set(hows(found)[1:]) == {How.FOLLOWS}
    assert open_after(found) == set()


def test_a_gap_across_the_end_is_said_on_both_sides() -> None:
    """9998, 0002: 9999 and 0001 are missing, each of its own run; a late one is found there."""
    found = counted(9997, 9998, 2)

    assert set(found[-1].missing) == {(1, 9999), (2, 1)}
    assert open_after(counted(9997, 9998, 2, 9999, 3, 1)) == set()


def test_a_short_counter_runs_over_at_its_end_only() -> None:
    """With one digit, 5 and 1 are near everything: that is no end."""
    assert hows(counted(3, 4, 5, 4, digits=1))[-1] is How.AGAIN
    assert hows(counted(8, 9, 1, digits=1))[-1] is How.FOLLOWS


def test_a_new_scanner_is_a_new_beginning() -> None:
    """5321, then 1: not 9,998 missing, and what was missing before stays missing."""
    found = counted(5319, 5321, 1, 2, 4)

    assert hows(found) == [How.BEGINS, How.GAP, How.ANEW, How.FOLLOWS, How.GAP]
    assert open_after(found) == {(1, 5320), (2, 3)}


def test_a_scanner_that_was_reset_begins_at_1_though_that_was_there_before() -> None:
    """From its first number on, so that a gap right behind it is seen."""
    found = counted(*range(1, 501), 1, 2, 4)

    assert hows(found)[500:] == [How.ANEW, How.FOLLOWS, How.GAP]
    assert open_after(found) == {(2, 3)}


def test_the_first_scans_of_a_counter_may_come_again() -> None:
    """A 1 right after the 1 is no new scanner."""
    assert hows(counted(1, 2, 3, 1))[-1] is How.AGAIN


def test_what_the_newest_run_expects_next_is_not_what_the_run_before_misses() -> None:
    """The old scanner's 3 never arrived; this one is the new scanner's."""
    found = counted(1, 2, *range(4, 31), 1, 2, 3)

    assert found[-1].run == 2
    assert open_after(found) == {(1, 3)}


def test_a_new_scanner_does_not_find_what_the_old_one_lost() -> None:
    """Its own 0042 is another scan than the 0042 that never arrived."""
    found = counted(41, 43, 500, *range(501, 540), *range(1, 44))

    assert (1, 42) in open_after(found)


def test_a_jump_is_one_line() -> None:
    """Nobody lost that many scans at once."""
    found = counted(12, 12 + JUMP + 1, 12 + JUMP + 2)

    assert found[1].how is How.JUMPED
    assert (found[1].jumped_from, found[1].missing) == (12, ())
    assert found[2].how is How.FOLLOWS
    assert len(counted(12, 12 + JUMP)[1].missing) == JUMP - 1


def test_one_wrong_number_does_not_lead_astray() -> None:
    """A misread 9000 between 41 and 42: the right ones go on where they were."""
    found = counted(40, 41, 9000, 42, 44, 43)

    assert hows(found)[3:] == [How.FOLLOWS, How.GAP, How.LATE]
    assert open_after(found) == set()


def test_an_old_scan_that_is_dropped_again_does_not_lead_astray() -> None:
    """Not even the very first one, which looks like a counter that was reset."""
    found = counted(*range(1, 151), 1, 151, 152)

    assert hows(found)[-2:] == [How.FOLLOWS, How.FOLLOWS]
    assert open_after(found) == set()


def test_a_counter_that_was_reset_to_a_later_number_is_believed_after_a_few() -> None:
    """The first look like scans that came again; then they are a run of their own."""
    found = counted(*range(400, 501), *range(420, 420 + ECHOES), 420 + ECHOES)

    assert hows(found)[101:] == [How.AGAIN] * (ECHOES - 1) + [How.ANEW, How.FOLLOWS]


def test_the_run_before_is_forgotten_after_a_while() -> None:
    """Else it would take numbers from the new one as that comes by."""
    found = counted(*range(100, 151), *range(1, NEAR + 2))

    assert len(found[-1].series.runs) == 1
    assert found[-1].series.runs[0].highest == NEAR + 1


# -- whatever comes -------------------------------------------------------------------------


@given(st.integers(0, 9000), st.lists(st.booleans(), max_size=80))
def test_in_order_exactly_what_was_left_out_is_missing(first: int, kept: list[bool]) -> None:
    """Wherever the counter stands and whatever is lost."""
    numbers = [first, *(first + 1 + n for n, keep in enumerate(kept) if keep)]
    found = counted(*numbers)
    lost = set(range(first, max(numbers) + 1)) - set(numbers)

    assert open_after(found) == {(1, number) for number in lost}
    assert not {How.AGAIN, How.JUMPED, How.ANEW} & set(hows(found))


@given(st.data())
def test_scans_that_overtake_each_other_are_all_found(data: st.DataObject) -> None:
    """A few are on their way at once: in the end nothing is missing, nothing came again."""
    first = data.draw(st.integers(0, 9900))
    waiting, numbers = list(range(first, first + 40)), []
    while waiting:
        numbers.append(waiting.pop(data.draw(st.integers(0, min(6, len(waiting) - 1)))))
    found = counted(*numbers)

    assert open_after(found) == set()
    assert not {How.AGAIN, How.JUMPED} & set(hows(found))


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 7)), max_size=60))
def test_whatever_a_scanner_says_the_answer_is_bounded(said: list[tuple[int, int]]) -> None:
    """Nonsense costs a line or two; nothing is missing that arrived in that run."""
    series = Series()
    for number, digits in said:
        found = count(series, number, digits)
        series = found.series

        assert len(found.missing) <= JUMP + 2 * NEAR
        assert len(series.runs) <= 2
        for run in series.runs:
            assert run.lowest <= run.highest
            assert number not in run.missing or run.run != found.run
            assert all(run.lowest <= absent <= run.highest for absent in run.missing)


@given(st.lists(st.integers(0, 3000), max_size=60))
def test_no_number_is_said_to_be_missing_twice(numbers: list[int]) -> None:
    """Each is one line of one run: a second one of the same name would be another's."""
    told: set[tuple[int, int]] = set()
    runs = 0
    for one in counted(*numbers):
        assert len(set(one.missing)) == len(one.missing)
        assert not told & set(one.missing)
        told |= set(one.missing)
        assert one.run <= runs + 1
        runs = max(runs, one.run)


def test_a_scanner_that_counts_in_steps_does_not_grow_for_ever() -> None:
    """What is remembered is bounded, however much is missing."""
    found = counted(*range(0, 20_000, 7), digits=6)

    assert len(found[-1].series.runs[0].missing) == MOST
    assert max(found[-1].series.runs[0].missing) == 19_998


@given(st.lists(st.integers(0, 60), max_size=60))
def test_what_came_is_never_missing_in_the_run_that_it_came_in(numbers: list[int]) -> None:
    """Also when a small range is drawn again and again."""
    found = counted(*numbers)
    for one, number in zip(found, numbers, strict=True):
        assert (one.run, number) not in one.missing
        live = {run.run: run for run in one.series.runs}
        assert one.run in live
