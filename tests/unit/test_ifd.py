"""Directories of a TIFF: how far what they name reaches."""

from __future__ import annotations

import io
import struct

import pytest

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
