"""Directories of a TIFF: how far what they name reaches."""

from __future__ import annotations

import io
import struct

import pytest

from daemon.errors import Refused
from daemon.pages import ifd


def tiff(kind: int, count: int, value: int) -> bytes:
    """Return a little-endian TIFF whose one entry is of that type, and points at *value*."""
    entry = struct.pack("<HHII", 305, kind, count, value)
    return b"II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)


@pytest.mark.parametrize(
    ("kind", "size"),
    [(1, 1), (2, 1), (3, 2), (4, 4), (5, 8), (6, 1), (7, 1), (8, 2), (9, 4), (11, 4), (12, 8)],
)
def test_what_an_entry_names_reaches_as_far_as_its_type_says(kind: int, size: int) -> None:
    """A text of 22 letters at the end of a file was taken for 176 bytes, and the scan refused."""
    (directory,) = ifd.directories(io.BytesIO(tiff(kind, 22, 1000)), 10)

    assert directory.reach == 1000 + 22 * size


def test_a_type_that_nobody_knows_reaches_nowhere() -> None:
    """Readers skip it (TIFF 6.0, section 2): that is no sign of a file that was cut off."""
    (directory,) = ifd.directories(io.BytesIO(tiff(99, 22, 1000)), 10)

    assert directory.reach == 0


def directory(*entries: bytes) -> ifd.Directory:
    """Return a directory of these lines."""
    data = b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + bytes(4 + 64)
    (found,) = ifd.directories(io.BytesIO(data), 1)
    return found


def test_a_fraction_may_be_written_as_a_whole_number() -> None:
    """A resolution of 300, without a denominator."""
    found = directory(struct.pack("<HHII", 282, 3, 1, 300))

    assert found.ratio(282) == 300
    assert found.ratio(283) == 0


@pytest.mark.parametrize(
    ("kind", "count", "whole", "single"),
    [(3, 1, True, True), (4, 1, True, True), (3, 2, True, False), (5, 1, False, False),
     (2, 1, False, False), (99, 1, False, False), (3, 0, True, True)],
)  # fmt: skip
def test_readers_guess_about_what_is_no_whole_number(
    kind: int, count: int, *, whole: bool, single: bool
) -> None:
    """One library skips what another reads: then they see other images."""
    found = directory(struct.pack("<HHII", 259, kind, count, 7))

    assert (found.whole(259), found.single(259)) == (whole, single)
    assert found.whole(258)
    assert found.single(258)


def test_many_numbers_are_read_at_once() -> None:
    """A strip to a row is a thousand strips."""
    values = range(5000)
    data = b"II*\0" + struct.pack("<IH", 8, 1) + struct.pack("<HHIII", 273, 4, 5000, 26, 0)
    (found,) = ifd.directories(io.BytesIO(data + struct.pack("<5000I", *values)), 1)

    assert found.numbers(273, 5000) == tuple(values)
    assert found.numbers(273, 10) == tuple(range(10))


def test_i10_children_lead_nowhere_else() -> None:
    """Their own next directory is nobody's, so there is no circle; and there are few of them."""
    child = struct.pack("<HHHIII", 1, 256, 3, 1, 5, 8)
    parent = struct.pack("<H", 1) + struct.pack("<HHII", 330, 4, 1, 26) + bytes(4)
    data = b"II*\0" + struct.pack("<I", 8) + parent + child
    (found,) = ifd.directories(io.BytesIO(data), 5)

    assert [each.number(256, 0) for each in found.children(330)] == [5]
    many = directory(struct.pack("<HHII", 330, 4, 65, 0))
    with pytest.raises(Refused):
        list(many.children(330))


def test_a_strip_gets_a_directory_around_it() -> None:
    """And is found again by its offset and its length."""
    held = ifd.one_strip({256: 9, 257: 2}, b"abc")
    (found,) = ifd.directories(io.BytesIO(held), 5)

    start, length = found.number(273, 0), found.number(279, 0)
    assert (found.number(256, 0), found.number(257, 0)) == (9, 2)
    assert held[start : start + length] == b"abc"


def test_a_tag_that_stands_twice_is_refused() -> None:
    """Some readers take the first, others the last: another rotation, or another picture."""
    entry = struct.pack("<HHII", 274, 3, 1, 1), struct.pack("<HHII", 274, 3, 1, 3)
    scan = b"II*\0" + struct.pack("<IH", 8, 2) + b"".join(entry) + struct.pack("<I", 0)

    with pytest.raises(Refused, match="twice"):
        list(ifd.directories(io.BytesIO(scan), 10))
