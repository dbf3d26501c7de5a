"""What a worker says, decoded: it fits exactly, or it is a lie."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon import ledger
from daemon.document import Digest
from daemon.errors import WorkerDied
from daemon.workers import typed

GOOD = "0123456789abcdef" * 4


@dataclass(frozen=True, slots=True)
class Inner:
    name: str
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    text: str
    number: int
    ratio: float
    flag: bool
    digest: Digest
    inner: Inner
    many: tuple[Inner, ...]
    words: tuple[str, ...]
    maybe: int | None
    default: str = "default"


REPLY: dict[str, Any] = {
    "text": "Grüße",
    "number": 7,
    "ratio": 0.5,
    "flag": True,
    "digest": GOOD,
    "inner": {"name": "a", "size": 1},
    "many": [{"name": "b"}, {"name": "c", "size": 3}],
    "words": ["x", "y"],
    "maybe": None,
}


def test_a_reply_that_fits_becomes_the_value() -> None:
    """Nested, with defaults filled in and lists as tuples."""
    assert typed(Outer, REPLY) == Outer(
        text="Grüße",
        number=7,
        ratio=0.5,
        flag=True,
        digest=Digest(GOOD),
        inner=Inner("a", 1),
        many=(Inner("b", 0), Inner("c", 3)),
        words=("x", "y"),
        maybe=None,
    )
    assert typed(Outer, {**REPLY, "ratio": 2, "maybe": 3}).ratio == 2.0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("text", 1),
        ("text", None),
        ("text", ["a"]),
        ("text", "\ud800"),
        ("number", "7"),
        ("number", 7.0),
        ("number", True),
        ("number", 2**53),
        ("number", -(2**63)),
        ("number", None),
        ("ratio", "0.5"),
        ("ratio", True),
        ("ratio", math.nan),
        ("ratio", math.inf),
        ("ratio", 10**400),
        ("flag", 1),
        ("flag", "true"),
        ("digest", GOOD[:-1]),
        ("digest", GOOD.upper()),
        ("digest", 5),
        ("inner", None),
        ("inner", ["a", 1]),
        ("inner", {"size": 1}),
        ("inner", {"name": "a", "size": 1, "more": 2}),
        ("many", {"name": "b"}),
        ("many", [["b"]]),
        ("many", "bc"),
        ("words", ["x", 1]),
        ("words", "xy"),
        ("maybe", "3"),
        ("maybe", 3.0),
        ("more", 1),
        ("__class__", "Outer"),
    ],
)
def test_a_reply_that_does_not_fit_is_a_death(key: str, value: object) -> None:
    """Unknown fields, other types, and values that no ledger line could hold."""
    with pytest.raises(WorkerDied) as caught:
        typed(Outer, {**REPLY, key: value})

    assert GOOD not in str(caught.value)  # of the content nothing is told


@pytest.mark.parametrize("key", list(REPLY))
def test_a_missing_field_is_a_death(key: str) -> None:
    """What has no default has to be said."""
    with pytest.raises(WorkerDied):
        typed(Outer, {name: value for name, value in REPLY.items() if name != key})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(json_values)
def test_nothing_that_json_can_say_breaks_the_decoder(value: Any) -> None:
    """A value, or WorkerDied: never another exception, which would end the service (I10)."""
    try:
        found = typed(Inner, json.loads(json.dumps(value)))
    except WorkerDied:
        return
    assert isinstance(found, Inner)


@given(st.dictionaries(st.sampled_from(sorted({*REPLY, "more"})), json_values), st.data())
def test_what_was_decoded_can_be_written_into_the_ledger(
    changes: dict[str, Any], data: st.DataObject
) -> None:
    """Whatever was changed of a good reply: refused, or fit for every later use."""
    keep = data.draw(st.integers(0, len(changes)))
    changed = {**REPLY, **dict(list(changes.items())[:keep])}
    try:
        found = typed(Outer, changed)
    except WorkerDied:
        return
    facts = asdict(found)
    ratio = facts.pop("ratio")
    assert math.isfinite(ratio)
    ledger.canonical(facts)
