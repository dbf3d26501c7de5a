"""The table of words: nothing that is asked for is missing, and both languages say the same."""

from __future__ import annotations

import ast
import re
import string
from pathlib import Path

import pytest

from daemon import words
from daemon.document import DeliveryEvent, DeliveryState, Event, State
from daemon.words import LANGUAGES, TONES, WORDS

DAEMON = Path(words.__file__).parent


def places(text: str) -> set[str]:
    """Return what is put into a word."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("key", WORDS)
def test_both_languages_say_the_same_with_the_same_numbers(key: str) -> None:
    """A number that one language leaves out would be missing for half of the people."""
    german, english = WORDS[key]

    assert len(WORDS[key]) == len(LANGUAGES)
    assert german.strip()
    assert english.strip()
    assert places(german) == places(english)


WHERE = {"word": (0, ""), "many": (0, ""), "_word": (1, ""), "_found": (2, "check_")}
"""Which argument of these functions is a key, and what the function puts before it."""


def asked() -> set[str]:
    """Return the words that are asked for by a literal, in code and templates."""
    found = set()
    for path in DAEMON.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                place, before = WHERE.get(name, (99, ""))
                for argument in node.args[place : place + 1]:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        found.add(before + argument.value)
    for path in DAEMON.rglob("*.html"):
        calls = r'f\.(?:word|many)\(\s*"(\w+)"\s*[,)]'
        found |= set(re.findall(calls, path.read_text("utf-8")))
    return found


def test_every_word_that_is_asked_for_is_there() -> None:
    """A word that is missing ends the page, or a command, with a traceback."""
    found = asked()

    assert {"scan_refused", "discarded", "check_rename", "claimed_at", "unproven_n"} <= found
    assert sorted(found - WORDS.keys()) == []


def test_every_state_and_event_has_its_words() -> None:
    """Each is told on the page, on a terminal, and to the people at the scanner."""
    wanted = {f"document_{state}" for state in State} | {f"event_{event}" for event in Event}
    wanted |= {f"delivery_{state}" for state in DeliveryState}
    wanted |= {f"event_delivery-{event}" for event in DeliveryEvent}
    wanted |= {f"event_copy-{what}" for what in ("made", "removed", "abandoned")}
    wanted.add("event_supersedes")

    assert sorted(wanted - WORDS.keys()) == []
    assert {*State, *DeliveryState} <= TONES.keys()
