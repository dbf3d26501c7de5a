"""docs/intake.md names for each habit the test that plays it: each is there, and none is left out."""

from __future__ import annotations

import re
from pathlib import Path

from tests.system.habits import HABITS

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs" / "intake.md").read_text(encoding="utf-8")
TESTS = {
    name
    for path in (PROJECT / "tests").rglob("test_*.py")
    for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
}


def test_every_test_and_file_that_the_page_names_is_there() -> None:
    """A test that is renamed takes its line with it."""
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    files = set(re.findall(r"`((?:tests|daemon|contrib|config)/[\w./]+\.\w+)`", PAGE))

    assert len(named) > 20
    assert named - TESTS == set()
    assert [path for path in files if not (PROJECT / path).exists()] == []


def test_every_habit_stands_on_the_page() -> None:
    """Whoever plays another one says here what we do about it."""
    lines = [line for line in PAGE.splitlines() if "`habits.py`" in line]
    named = {word for line in lines for word in re.findall(r"`(\w+)`", line)}

    assert HABITS.keys() - named == set()
