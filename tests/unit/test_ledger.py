"""The chain: every change to any line is found, and what is written is RFC 8785."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon import ledger
from daemon.errors import CorruptionError
from daemon.ledger import EMPTY, Head, append, canonical, follow, verify

AT = "2026-11-22T12:00:00.000Z"


def chain(length: int) -> list[str]:
    """Return a chain as the spool writes it."""
    head, texts = EMPTY, []
    for number in range(length):
        line = append(
            head,
            box_id="0123456789abcdef" * 2,
            at=AT,
            document=f"document {number}",
            event="claim",
            detail={"size": number, "findings": ["a", "b"], "sha256": "0" * 64},
            personal_hash="f" * 64,
        )
        texts.append(line.text)
        head = Head(line.seq, line.hash)
    return texts


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-ledger.SAFE_INTEGER, ledger.SAFE_INTEGER)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def test_the_canonical_form_is_that_of_rfc_8785() -> None:
    """The RFC's own sample (3.2.2 to 3.2.4), without the numbers that we refuse."""
    sample = {
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\\\u0022/",
        "literals": [None, True, False],
    }

    assert canonical(sample) == (
        '{"literals":[null,true,false],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\\\\\"/"}'
    )


def test_every_control_character_is_written_as_the_rfc_says() -> None:
    """RFC 8785, 3.2.2.2: the five short escapes, the rest as four lower-case digits."""
    short = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r"}
    for code in range(0x20):
        wanted = short.get(code, f"\\u{code:04x}")
        assert canonical(chr(code)) == f'"{wanted}"'
    # Nothing else is escaped, also not what JavaScript once could not read.
    assert canonical("/\x7f\u2028\u2029\U0001f600é") == '"/\x7f\u2028\u2029\U0001f600é"'


def test_members_are_sorted_and_nothing_is_between_them() -> None:
    """RFC 8785, 3.2.3: by code unit, at every depth; upper case comes first."""
    assert canonical({"b": {"z": 1, "a": 2}, "a": [], "B": {}, "": 0, "10": 1, "9": 2}) == (
        '{"":0,"10":1,"9":2,"B":{},"a":[],"b":{"a":2,"z":1}}'
    )


@pytest.mark.parametrize(
    "value",
    [1.5, 1.0, float("nan"), float("inf"), 2**53, -(2**53), b"bytes", {"ä": 1}, {1: 1}, {1, 2}],
)
def test_what_has_no_simple_canonical_form_is_refused(value: object) -> None:
    """Numbers that ECMAScript would change, and names that sort differently there."""
    with pytest.raises(TypeError):
        canonical({"value": value})


def test_a_lone_surrogate_is_refused() -> None:
    """It is no Unicode text: its UTF-8 does not exist, so it has no hash."""
    with pytest.raises(UnicodeEncodeError):
        canonical("\ud800")


@given(plain)
def test_the_canonical_form_reads_back_and_stays_as_it_is(value: Any) -> None:
    """One value, one text: what a rebuild reads and writes again has the same hash."""
    text = canonical(value)

    assert json.loads(text) == value
    assert canonical(json.loads(text)) == text
    assert "\n" not in text  # one line per line


def test_a_chain_verifies_and_gives_its_head() -> None:
    """The head is the last line's number and hash; an empty chain has neither."""
    texts = chain(5)

    assert verify(texts) == Head(5, ledger.hash_of(texts[-1]))
    assert verify([]) == EMPTY
    assert verify(texts[2:], verify(texts[:2])) == verify(texts)
    assert json.loads(texts[0])["prev"] == "0" * 64


@pytest.mark.parametrize("member", sorted(ledger.MEMBERS))
@pytest.mark.parametrize("where", [0, 1, 2])
def test_each_changed_member_of_each_line_is_found(member: str, where: int) -> None:
    """Of the last line only by its hash: the head says so, or the next line does."""
    texts = chain(4)
    line = json.loads(texts[where])
    line[member] = {"v": 2, "seq": 9, "detail": {"size": 9}}.get(member, "f00")
    texts[where] = canonical(line)

    with pytest.raises(CorruptionError) as caught:
        verify(texts)
    assert caught.value.code == "ledger-damaged"


@pytest.mark.parametrize("member", sorted(ledger.MEMBERS))
def test_a_changed_last_line_has_another_hash_or_is_found(member: str) -> None:
    """Nothing follows it, so its hash has to be compared: with the other copy, or an anchor."""
    texts = chain(3)
    line = json.loads(texts[-1])
    line[member] = {"v": 2, "seq": 9, "detail": {"size": 9}}.get(member, "f00")

    try:
        head = verify([*texts[:-1], canonical(line)])
    except CorruptionError:
        return
    assert head.hash != verify(texts).hash


@given(st.integers(2, 6), st.data())
def test_a_line_that_is_missing_doubled_or_out_of_order_is_found(
    length: int, data: st.DataObject
) -> None:
    """Only a shorter chain is a chain: its end is missed by whoever knows the head."""
    texts = chain(length)
    whole = verify(texts)
    where = data.draw(st.integers(0, length - 2))
    other = data.draw(st.integers(0, length - 1).filter(lambda n: n != where))
    swapped = list(texts)
    swapped[where], swapped[other] = swapped[other], swapped[where]
    for broken in (
        texts[:where] + texts[where + 1 :],
        [*texts[: where + 1], texts[where], *texts[where + 1 :]],
        [*texts[:where], texts[other], *texts[where:]],
        swapped,
    ):
        with pytest.raises(CorruptionError):
            verify(broken)
    assert verify(texts[:-1]) != whole


@given(st.integers(1, 4), st.data())
def test_no_single_character_can_change_unnoticed(length: int, data: st.DataObject) -> None:
    """Whatever stands there afterwards: damage is named, or the head is another."""
    texts = chain(length)
    whole = verify(texts)
    where = data.draw(st.integers(0, length - 1))
    at = data.draw(st.integers(0, len(texts[where]) - 1))
    new = data.draw(st.characters().filter(lambda c: c != texts[where][at]))
    texts[where] = texts[where][:at] + new + texts[where][at + 1 :]

    try:
        head = verify(texts)
    except CorruptionError:
        return
    assert where == length - 1
    assert head != whole


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not JSON",
        "[]",
        "null",
        "{}",
        "9" * 5000,
        "[" * 100_000,
    ],
)
def test_a_line_that_is_no_line_is_damage(text: str) -> None:
    """Whatever a broken disk left there, the answer is one sentence and never a crash."""
    with pytest.raises(CorruptionError):
        follow(EMPTY, text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"seq":1', '"seq":1.0'),
        ('"seq":1', '"seq":true'),
        ('"seq":1', '"seq":[1]'),
        ('"v":1', '"v":true'),
        ('"v":1', '"v":1.0'),
        ('"size":0', '"size":0.5'),
        ('"size":0', '"size":NaN'),
        ('"size":0', '"size":9007199254740993'),
        ('"size":0', '"sïze":0'),
        ('"claim"', '"\\ud800"'),
        ('"claim"', '"cl\\u0061im"'),
        ('"v":1', '"v":1,"v":1'),
        ('"v":1', '"w":1'),
        ('"v":1', '"v":1,"w":1'),
        ("{", "{ "),
        ('"claim"', '"\ud800"'),
    ],
)
def test_a_line_in_another_form_is_damage(old: str, new: str) -> None:
    """JSON has many spellings of one value; the ledger has one."""
    (text,) = chain(1)
    assert old in text

    with pytest.raises(CorruptionError):
        follow(EMPTY, text.replace(old, new, 1))


def test_a_personal_detail_is_tied_to_its_line_by_a_salted_hash() -> None:
    """Without the salt a short name could be guessed from the hash; erased, the chain stands."""
    salt = bytes(range(ledger.SALT_BYTES))
    hashed = ledger.personal_hash(salt, '{"name":"a"}')

    assert hashed == hashlib.sha256(salt + b'{"name":"a"}').hexdigest()
    assert hashed != ledger.personal_hash(bytes(16), '{"name":"a"}')
    assert hashed != ledger.personal_hash(salt, '{"name":"b"}')
