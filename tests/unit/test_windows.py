"""When a target may be used."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from daemon.windows import Window, seconds_until

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    """Return a time of the wall in Leipzig; 2026-11-23 is a Monday."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("window", "time", "open_"),
    [
        ("08:00-18:00", "2026-11-23T08:00", True),
        ("08:00-18:00", "2026-11-23T17:59", True),
        ("08:00-18:00", "2026-11-23T18:00", False),
        ("Mo-Fr 18:00-06:00", "2026-11-23T18:00", True),
        ("Mo-Fr 18:00-06:00", "2026-11-24T05:59", True),
        ("Mo-Fr 18:00-06:00", "2026-11-23T05:59", False),  # Sunday's night is not among them
        ("Mo-Fr 18:00-06:00", "2026-11-28T05:59", True),  # Friday's night ends on Saturday
        ("Mo-Fr 18:00-06:00", "2026-11-28T18:00", False),
        ("Sa,So 00:00-24:00", "2026-11-28T12:00", True),
        ("Fr-Mo 10:00-11:00", "2026-11-29T10:30", True),  # over the end of the week
        ("Di 00:00-00:00", "2026-11-24T23:59", True),  # the whole day
        ("Di 00:00-00:00", "2026-11-25T00:00", False),
    ],
)
def test_a_window_holds_what_it_says(window: str, time: str, open_: bool) -> None:
    """An end at or before the beginning lies on the next day."""
    assert Window.parse(window).holds(at(time)) is open_


@pytest.mark.parametrize("text", ["", "8-18", "25:00-26:00", "Xx 08:00-09:00", "Mo 08:00-09:60"])
def test_what_is_no_window_is_said(text: str) -> None:
    """Whoever writes it reads what it has to look like."""
    with pytest.raises(ValueError, match="must"):
        Window.parse(text)


def test_it_is_told_for_how_long_the_target_stays_closed() -> None:
    """To the minute within the next hour; before that it is asked again after one."""
    windows = [Window.parse("18:00-20:00")]

    assert seconds_until(windows, at("2026-11-23T18:30"), BERLIN) == 0.0
    assert seconds_until(windows, at("2026-11-23T17:59:30"), BERLIN) == 30.0
    assert seconds_until(windows, at("2026-11-23T12:00"), BERLIN) == 3600.0
    assert seconds_until([], at("2026-11-23T12:00"), BERLIN) == 0.0
