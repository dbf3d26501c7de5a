"""What a JBIG2 image is coded with, from the headers of its segments alone (ITU-T T.88, 7.2).

BSI TR-03138 (A.SC.12) forbids codings that draw what was seen once in other places
as well: a 6 can become an 8. In JBIG2 these are the dictionaries, and the regions
drawn from them: of symbols, which are letters, and of patterns, which are
halftones. Generic regions code each pixel where it stands, and refinements
correct pixels where they stand: both are fine.

Nothing is decoded here. A PDF holds the segments without JBIG2's file header, those
that several images share in a stream of their own.
"""

from __future__ import annotations

import struct
from typing import Final

FROM_DICTIONARIES: Final = frozenset({
    0,  # symbol dictionary
    4, 6, 7,  # text region: intermediate, immediate, immediate and lossless
    16,  # pattern dictionary
    20, 22, 23,  # halftone region
})  # fmt: skip
PIXEL_BY_PIXEL: Final = frozenset({
    36, 38, 39,  # generic region
    40, 42, 43,  # generic refinement region
})  # fmt: skip
AROUND: Final = frozenset({
    48, 49, 50, 51,  # page information, end of page, of stripe, of file
    52, 53,  # profiles, code tables
    62,  # extension: comments
})  # fmt: skip

IMMEDIATE_GENERIC: Final = 38
UNKNOWN_LENGTH: Final = 0xFFFFFFFF
_REGION: Final = 17
_PADDING: Final = b"\0\r\n"


class MalformedError(ValueError):
    """These are not segments as T.88 has them; the message holds no content."""


def has_dictionaries(data: bytes) -> bool:
    """Return whether a segment is a dictionary of shapes, or drawn from one.

    Raise MalformedError for headers that lead nowhere, or that T.88 does not know.
    """
    return not FROM_DICTIONARIES.isdisjoint(segments(data))


def segments(data: bytes) -> list[int]:
    """Return the type of each segment, in their order."""
    found: list[int] = []
    at = 0
    # Some encoders pad to an even length. No header is as short as that.
    while data[at : at + 11].strip(_PADDING):
        kind, start, length = _header(data, at)
        if kind not in FROM_DICTIONARIES | PIXEL_BY_PIXEL | AROUND:
            raise MalformedError(f"a segment of type {kind}")
        if length == UNKNOWN_LENGTH:
            if kind != IMMEDIATE_GENERIC:
                raise MalformedError(f"a segment of type {kind} without a length")
            length = _length_of_generic(data, start)
        at = start + length
        if at > len(data):
            raise MalformedError("a segment that is longer than the stream")
        found.append(kind)
    if not found:
        raise MalformedError("no segment")
    return found


def _header(data: bytes, at: int) -> tuple[int, int, int]:
    """Return type, start and length of the data of the segment whose header begins at *at*."""
    try:
        number, flags, referred = struct.unpack_from(">IBB", data, at)
        at += 5
        count = referred >> 5
        if count <= 4:
            at += 1
        elif count == 7:
            count = struct.unpack_from(">I", data, at)[0] & 0x1FFFFFFF
            at += 4 + (count + 8) // 8
        else:
            raise MalformedError("a header with an impossible count")
        at += count * (1 if number <= 256 else 2 if number <= 65536 else 4)
        at += 4 if flags & 0x40 else 1
        (length,) = struct.unpack_from(">I", data, at)
    except struct.error:
        raise MalformedError("a header that breaks off") from None
    return flags & 0x3F, at + 4, length


def _length_of_generic(data: bytes, start: int) -> int:
    """Return the length of a generic region that was begun before it was known (7.2.7)."""
    try:
        (flags,) = struct.unpack_from(">B", data, start + _REGION)
    except struct.error:
        raise MalformedError("a region that breaks off") from None
    # Neither pair of bytes occurs in the coded pixels; the number of rows follows it.
    end = data.find(b"\0\0" if flags & 1 else b"\xff\xac", start + _REGION + 1)
    if end < 0:
        raise MalformedError("a region without an end")
    return end + 2 + 4 - start
