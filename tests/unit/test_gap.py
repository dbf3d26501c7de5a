"""The gap of a signature: digest around it, put into it, read back from the disk."""

from __future__ import annotations

import hashlib
import os
import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon import gap
from daemon.document import CHUNK, Digest
from daemon.errors import PermanentError
from daemon.gap import Gap

if TYPE_CHECKING:
    from pathlib import Path

RANDOM = b"0123456789abcdef" * 2
"""The 128 random bits with which a placeholder begins."""


def prepare(path: Path, before: bytes, room: int, after: bytes) -> Gap:
    """Write a prepared file with an empty gap of *room* digits and return where that is."""
    contents = b"<" + RANDOM.ljust(room, b"0") + b">"
    path.write_bytes(before + contents + after)
    return Gap(
        start=len(before),
        end=len(before) + len(contents),
        size=len(before) + len(contents) + len(after),
    )


@pytest.mark.parametrize("before", [1, CHUNK - 1, CHUNK, CHUNK + 1])
@pytest.mark.parametrize("after", [1, CHUNK, CHUNK + 1])
def test_all_bytes_but_the_gap_are_digested(tmp_path: Path, before: int, after: int) -> None:
    """Whatever the pieces are in which the file is read."""
    head, tail = os.urandom(before), os.urandom(after)
    place = prepare(tmp_path / "prepared", head, 1000, tail)

    digest = gap.look_around(tmp_path / "prepared", place).signed

    assert digest == hashlib.sha256(head + tail).digest()
    assert place.byte_range == (0, before, before + 1002, after)


@given(
    before=st.binary(min_size=1, max_size=50),
    after=st.binary(min_size=1, max_size=50),
    cms=st.binary(min_size=1, max_size=100),
)
@settings(deadline=None, max_examples=50)
def test_what_was_put_in_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, before: bytes, after: bytes, cms: bytes
) -> None:
    """The whole way of one file, and what the two digests are of."""
    folder = tmp_path_factory.mktemp("gap")
    place = prepare(folder / "prepared", before, 200, after)
    signed = gap.look_around(folder / "prepared", place).signed

    gap.splice(folder / "prepared", place, cms, folder / "sealed.pdf")

    sealed = (folder / "sealed.pdf").read_bytes()
    padded = cms.ljust(100, b"\0")
    seen = gap.read_back(folder / "sealed.pdf", place, place.byte_range, Digest.of(padded))
    assert sealed == before + b"<" + padded.hex().encode() + b">" + after
    assert seen.signed == signed == hashlib.sha256(before + after).digest()
    assert seen.whole == Digest.of(sealed)
    assert gap.contents_of(seen) == padded
    assert gap.part_of(seen).size == len(sealed)
    assert not (folder / "prepared").exists()


def test_a_cms_that_does_not_fit_is_not_put_in(tmp_path: Path) -> None:
    """One byte too many would overwrite what was signed."""
    place = prepare(tmp_path / "prepared", b"before", 200, b"after")
    before = (tmp_path / "prepared").read_bytes()

    with pytest.raises(PermanentError) as caught:
        gap.splice(tmp_path / "prepared", place, bytes(101), tmp_path / "sealed.pdf")

    assert caught.value.code == "seal-invalid"
    assert (tmp_path / "prepared").read_bytes() == before
    assert not (tmp_path / "sealed.pdf").exists()


def test_a_gap_that_is_not_empty_is_not_signed(tmp_path: Path) -> None:
    """Something stands there already: the worker lies, or this is another file."""
    place = prepare(tmp_path / "prepared", b"before", 200, b"after")
    data = bytearray((tmp_path / "prepared").read_bytes())
    for at, byte in (
        (place.start, ord("(")),
        (place.end - 1, ord(")")),
        (place.start + 33, ord("1")),
        (place.end - 2, ord("f")),
    ):
        broken = bytearray(data)
        broken[at] = byte
        (tmp_path / "prepared").write_bytes(broken)
        with pytest.raises(PermanentError) as caught:
            gap.look_around(tmp_path / "prepared", place)
        assert caught.value.code == "seal-invalid"


@pytest.mark.parametrize(
    ("start", "end", "size"),
    [
        (-1, 208, 213),
        (0, 0, 0),
        (6, 6, 213),
        (6, 7, 213),
        (208, 6, 213),  # turned round
        (6, 213, 213),  # nothing behind it
        (0, 208, 213),  # nothing before it
        (6, 214, 213),
        (6, 208, 212),
        (6, 208, 10**15),
        (300, 400, 500),
        (6, 10**15, 10**15 + 1),
    ],
)
def test_numbers_that_cannot_be_true_are_refused(
    tmp_path: Path, start: int, end: int, size: int
) -> None:
    """They come from a worker that parsed foreign bytes: it may lie, it must not break us (I10)."""
    prepare(tmp_path / "prepared", b"before", 200, b"after")
    lie = Gap(start, end, size)

    with pytest.raises(PermanentError, match="seal-invalid"):
        gap.look_around(tmp_path / "prepared", lie)
    with pytest.raises(PermanentError, match="seal-invalid"):
        gap.read_back(tmp_path / "prepared", lie, lie.byte_range, Digest.of(b""))


def test_a_gap_as_large_as_a_document_is_not_held_in_memory(tmp_path: Path) -> None:
    """The file is as large as the worker says, and all of it but the ends is called the gap."""
    with (tmp_path / "prepared").open("wb") as file:
        file.truncate(30_000_000)
    lie = Gap(6, 29_999_999, 30_000_000)

    tracemalloc.start()
    try:
        with pytest.raises(PermanentError) as caught:
            gap.look(tmp_path / "prepared", lie)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert caught.value.code == "seal-invalid"
    assert most < 4 * CHUNK


def test_what_a_parser_found_has_to_be_what_is_there(tmp_path: Path) -> None:
    """A ByteRange that leaves anything out is how signed files are forged."""
    place = prepare(tmp_path / "prepared", b"before", 200, b"after")
    gap.splice(tmp_path / "prepared", place, b"cms", tmp_path / "sealed.pdf")
    contents = Digest.of(b"cms".ljust(100, b"\0"))
    path = tmp_path / "sealed.pdf"
    good = place.byte_range

    gap.read_back(path, place, good, contents)

    for byte_range, digest in (
        ((0, good[1], good[2], good[3] - 1), contents),
        ((1, good[1], good[2], good[3]), contents),
        ((0, good[1] - 1, good[2], good[3]), contents),
        ((0, good[1], good[2] + 1, good[3]), contents),
        (good[:3], contents),
        ((), contents),
        (good, Digest.of(b"cms")),
    ):
        with pytest.raises(PermanentError) as caught:
            gap.read_back(path, place, byte_range, digest)
        assert caught.value.code == "seal-invalid"


def test_bytes_behind_the_end_are_found(tmp_path: Path) -> None:
    """Appended bytes leave every digest as it was; the size does not stay."""
    place = prepare(tmp_path / "prepared", b"before", 200, b"after")
    gap.splice(tmp_path / "prepared", place, b"cms", tmp_path / "sealed.pdf")
    with (tmp_path / "sealed.pdf").open("ab") as file:
        file.write(b"%%EOF")

    longer = replace(place, size=place.size + 5)
    contents = Digest.of(b"cms".ljust(100, b"\0"))
    with pytest.raises(PermanentError):
        gap.read_back(tmp_path / "sealed.pdf", place, place.byte_range, contents)
    with pytest.raises(PermanentError):
        gap.read_back(tmp_path / "sealed.pdf", place, longer.byte_range, contents)


def test_contents_that_are_no_hex_are_refused(tmp_path: Path) -> None:
    """Also spaces, which a hex string of a PDF may hold, and ours never does."""
    place = prepare(tmp_path / "prepared", b"before", 200, b"after")
    path = tmp_path / "prepared"
    for digits in (b"zz", b"  ", b"\xff\xff"):
        data = bytearray(path.read_bytes())
        data[place.start + 1 : place.start + 3] = digits
        path.write_bytes(data)
        with pytest.raises(PermanentError) as caught:
            gap.contents_of(gap.look(path, place))
        assert caught.value.code == "seal-invalid"


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    """`work/out` is written by page workers: what lies there may be anything."""
    place = prepare(tmp_path / "victim", b"before", 200, b"after")
    before = (tmp_path / "victim").read_bytes()
    (tmp_path / "prepared").symlink_to(tmp_path / "victim")

    with pytest.raises(OSError, match="symbolic"):
        gap.look_around(tmp_path / "prepared", place)
    with pytest.raises(OSError, match="symbolic"):
        gap.splice(tmp_path / "prepared", place, b"cms", tmp_path / "sealed.pdf")

    assert (tmp_path / "victim").read_bytes() == before


@pytest.mark.parametrize("where", ["start", "end"])
def test_a_gap_that_is_not_one_hexadecimal_string_is_refused(tmp_path: Path, where: str) -> None:
    """A literal string would leave room for objects in the gap that nobody signed."""
    place = prepare(tmp_path / "prepared", b"before", 200, b"after")
    gap.splice(tmp_path / "prepared", place, b"cms", tmp_path / "sealed.pdf")
    path = tmp_path / "sealed.pdf"
    data = bytearray(path.read_bytes())
    data[place.start if where == "start" else place.end - 1] = ord("(")
    path.write_bytes(data)

    with pytest.raises(PermanentError, match="hexadecimal"):
        gap.read_back(path, place, place.byte_range, Digest.of(b"cms".ljust(100, b"\0")))


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_what_is_signed_has_its_own_digest_and_the_file_keeps_sha256(
    tmp_path: Path, algorithm: str
) -> None:
    """`[seal] digest` is the CMS's; documents are named by SHA-256, whatever it is."""
    place = prepare(tmp_path / "prepared", b"before", 200, b"after")
    around = gap.look_around(tmp_path / "prepared", place, algorithm).signed

    gap.splice(tmp_path / "prepared", place, b"cms", tmp_path / "sealed.pdf")

    seen = gap.look(tmp_path / "sealed.pdf", place, algorithm)
    assert seen.signed == around == hashlib.new(algorithm, b"beforeafter").digest()
    assert seen.whole == Digest.of((tmp_path / "sealed.pdf").read_bytes())
