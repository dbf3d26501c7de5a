"""Every code has its sentence and its remedy, in both languages, in the table and in the manual."""

from __future__ import annotations

import ast
import dataclasses
import re
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon import codes
from daemon.codes import CODES, TABLE
from daemon.sections import POLICIES, Profile

DAEMON = Path(codes.__file__).parent
PAGE = DAEMON.parent / "docs" / "codes.md"
ERRORS = {
    "CorruptionError",
    "DaemonError",
    "PermanentError",
    "PersonNeeded",
    "Refused",
    "TransientError",
}
KEBAB = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Yield every call with the last name of what is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node.func.id, node
            elif isinstance(node.func, ast.Attribute):
                yield node.func.attr, node


def text(node: ast.expr | None) -> str:
    """Return a string literal's value, "" for anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def classes_of_errors(trees: list[ast.Module]) -> set[str]:
    """Return the names of all our error classes, also of those made in other modules."""
    found = set(ERRORS)
    while True:
        more = {
            node.name
            for tree in trees
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
            and any(isinstance(base, ast.Name) and base.id in found for base in node.bases)
        }
        if more <= found:
            return found
        found |= more


def literal_codes() -> Iterator[tuple[str, str]]:
    """Yield each code that stands as a literal where it is raised, with the way it is raised."""
    trees = [ast.parse(path.read_text("utf-8")) for path in sorted(DAEMON.rglob("*.py"))]
    errors = classes_of_errors(trees)
    for tree in trees:
        for name, call in calls(tree):
            first = text(call.args[0]) if call.args else ""
            if name in errors and KEBAB.fullmatch(first):
                yield first, "error"
            elif name == "__init__" and KEBAB.fullmatch(first):
                yield first, "error"  # super().__init__("worker-died", message)
            elif name == "raise_" and first:
                yield first, "alarm"
            for keyword in call.keywords:
                if keyword.arg == "code" and text(keyword.value):
                    yield text(keyword.value), "error"


def test_every_code_that_is_raised_has_its_texts() -> None:
    """A code without a sentence leaves somebody alone with it at 3 a.m."""
    raised = {code for code, _ in literal_codes()}

    assert {"stale-write", "worker-died", "database-missing"} <= raised  # the search finds any
    assert sorted(raised - CODES.keys()) == []


def test_what_is_raised_as_an_alarm_is_one_in_the_table() -> None:
    """After a reconnect MQTT clears the alarms that it knows: another kind would stay for ever."""
    raised = {code for code, way in literal_codes() if way == "alarm"}

    assert sorted(code for code in raised if code in CODES and CODES[code].kind != "alarm") == []


def test_no_code_stands_in_the_table_twice() -> None:
    """The second entry would win without anybody noticing."""
    assert len(CODES) == len(TABLE)


@pytest.mark.parametrize("code", TABLE, ids=lambda code: code.code)
def test_a_code_is_kebab_and_says_what_to_do_in_both_languages(code: codes.Code) -> None:
    """A sentence ends, a remedy is there, and nothing is left in the other language's place."""
    assert KEBAB.fullmatch(code.code)
    for words in (code.en.sentence, code.en.remedy, code.de.sentence, code.de.remedy):
        assert words == words.strip()
        assert words.endswith((".", "!", "?", "`"))
        assert words.count("`") % 2 == 0
    assert code.en.sentence != code.de.sentence
    assert code.en.remedy != code.de.remedy


def test_what_a_profile_can_accept_is_a_finding_as_well() -> None:
    """The same code then stands in the transfer note, where nobody was sent back to the scanner."""
    choices = {
        field.name: field.metadata.get("choices", ()) for field in dataclasses.fields(Profile)
    }
    accepted = {code for key, code in POLICIES.items() if "accept" in choices[key]}

    assert len(accepted) > 3
    assert {code.code for code in TABLE if code.also == "finding"} == accepted
    assert all(f"`{code}`" in codes.markdown().partition("\n## Alarms")[0] for code in accepted)


def test_every_kind_has_its_heading() -> None:
    """A kind without one would be missing in the manual."""
    assert set(codes.HEADINGS) == set(typing.get_args(codes.Kind))


def test_the_manual_is_what_the_table_says() -> None:
    """To write it: python -c 'from daemon import codes; print(codes.markdown(), end="")'."""
    assert PAGE.read_text("utf-8") == codes.markdown()
