"""What copies in `rejected` are called, and what of it comes back when people drop them again."""

from __future__ import annotations

import os
import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daemon.document import new_id
from daemon.intake.copies import NAME_BYTES, copied_name, every_stem, is_copy_of, stems

NAMES = st.one_of(
    st.binary(min_size=1, max_size=255),
    st.text(min_size=1, max_size=80).map(lambda text: text.encode("utf-8", "replace")[:255]),
    st.text("a~0f.- ü(", min_size=1, max_size=40).map(str.encode),
).filter(lambda name: not set(name) & {0, 47} and name not in {b".", b".."})
"""What a file can be called, and names that look like those of copies."""
IDS = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1)).map(
    lambda at: new_id(at.replace(tzinfo=UTC))
)
ENDINGS = st.sampled_from([".pdf", ".tif", ".jpg", ".bin", ".jpeg"])
ID = "019ab2c3-d4e5-7f60-8a1b-2c3d4e5f6071"


def copy_of(name: bytes, document_id: str, ending: str = ".pdf", number: int = 0) -> bytes:
    return os.fsencode(list(stems(name, document_id))[number] + ending)


@given(NAMES, IDS, ENDINGS, st.integers(0, 2))
@example(b"x" * 255, ID, ".jpeg", 2)
@example(b"M\xfcller~0123abcd.pdf", ID, ".pdf", 0)
@example(b".pdf", ID, ".pdf", 0)
@example(b"a.", ID, ".pdf", 0)
def test_the_name_of_a_copy_is_known_again(
    name: bytes, document_id: str, ending: str, number: int
) -> None:
    """Whatever the scan was called: bytes that are no UTF-8, very long, with a ~ in it."""
    copy = copy_of(name, document_id, ending, number)
    found = copied_name(copy)

    assert len(copy) <= NAME_BYTES
    assert found is not None
    assert document_id.replace("-", "").endswith(found[1])
    assert is_copy_of(copy, name, document_id)


@given(NAMES, NAMES, IDS)
def test_the_digits_alone_are_not_the_name(name: bytes, other: bytes, document_id: str) -> None:
    """A scanner's own digits may end like an id: the rest of the name has to fit as well."""
    copy = copy_of(name, document_id)

    seen = {
        unicodedata.normalize("NFC", os.fsdecode(copy_of(own, document_id)).casefold())
        for own in (name, other)
    }
    assert is_copy_of(copy, other, document_id) == (len(seen) == 1)


@given(NAMES, st.lists(IDS, min_size=2, max_size=5, unique=True))
def test_a_copy_that_comes_back_again_and_again_keeps_its_length(
    name: bytes, ids: list[str]
) -> None:
    """Each time it is refused its new copy has the digits of one document, not of all."""
    first = copy_of(name, ids[0])
    before, dropped = ids[0], first
    for document_id in ids[1:]:
        copy = os.fsencode(next(stems(dropped, document_id, [before])) + ".pdf")

        assert len(copy) == len(first)
        assert copy[: -len("~01234567.pdf")] == first[: -len("~01234567.pdf")]
        assert is_copy_of(copy, dropped, document_id, [before])
        before, dropped = document_id, copy


@given(NAMES, IDS, IDS)
def test_every_name_that_a_copy_was_given_is_known_however_much_changed_since(
    name: bytes, document_id: str, old_id: str
) -> None:
    """It was made before its document stood for another, or after, or without a name."""
    dropped = copy_of(name, old_id)
    every = set(every_stem(dropped, document_id))

    assert every >= set(stems(dropped, document_id))
    assert every >= set(stems(dropped, document_id, [old_id]))
    assert every >= set(stems(b"", document_id))


def test_a_copy_that_was_made_before_its_document_stood_for_another_is_known_again() -> None:
    """People have that file, whatever its name would be today."""
    old = "019ab2c3-d4e5-7f60-8a1b-2c3d00000001"
    dropped = copy_of(b"Akte.pdf", old)
    before, after = copy_of(dropped, ID), os.fsencode(next(stems(dropped, ID, [old])) + ".pdf")

    assert before == b"Akte~00000001~4e5f6071.pdf"
    assert after == b"Akte~4e5f6071.pdf"
    assert is_copy_of(before, dropped, ID, [old])
    assert is_copy_of(after, dropped, ID, [old])
    assert is_copy_of(before, dropped, ID)
    assert not is_copy_of(after, dropped, ID)


@pytest.mark.parametrize(
    "name",
    [
        b"Akte~4e5f6071.pdf",
        b"Akte~4e5f6071.tif",
        b"Akte~4e5f6071 - Kopie.pdf",
        b"Akte~4e5f6071 (2).pdf",
        b"Akte~4e5f6071_berichtigt.pdf",
        b"AKTE~4E5F6071.PDF",
        b"Akte~2c3d4e5f6071.pdf",
    ],
)
def test_what_desktops_make_of_a_name_is_known_again(name: bytes) -> None:
    """A copy of the copy, another case, another ending: still nobody else's name."""
    assert is_copy_of(name, b"Akte.pdf", ID)


@pytest.mark.parametrize(
    "name",
    [
        b"Akte.pdf",
        b"4e5f6071.pdf",
        b"Akte-4e5f6071.pdf",
        b"Akte~4e5f607.pdf",
        b"Akte~4e5f60712.pdf",
        b"Akte~4e5f6071x.pdf",
        b"Akte~4e5f6071~x.pdf",
        b"Akte2~4e5f6071.pdf",
        b"~4e5f6071.pdf",
        b"Akte~4e5f6072.pdf",
    ],
)
def test_what_only_looks_like_it_is_another_name(name: bytes) -> None:
    """I12: nothing is replaced because a name is similar."""
    assert not is_copy_of(name, b"Akte.pdf", ID)


def test_composed_and_decomposed_umlauts_are_the_same_name() -> None:
    """What is copied by way of a Mac may come back with its dots apart."""
    name = "Kündigung.pdf".encode()
    back = unicodedata.normalize("NFD", os.fsdecode(copy_of(name, ID))).encode()

    assert back != copy_of(name, ID)
    assert is_copy_of(back, name, ID)
