"""JBIG2 is judged by the headers of its segments, and only if they make sense."""

from __future__ import annotations

import struct

import pytest

from daemon.pages.jbig2 import MalformedError, has_dictionaries, segments
from tests.unit.jbig2_samples import PAGE_INFORMATION, generic, segment


@pytest.mark.parametrize("kind", [0, 4, 6, 7, 16, 20, 22, 23])
def test_a_dictionary_or_what_is_drawn_from_it_is_symbol_coding(kind: int) -> None:
    """BSI TR-03138, A.SC.12: a 6 that stands where an 8 was looks as sharp as any other."""
    assert has_dictionaries(PAGE_INFORMATION + segment(kind, b"x" * 30, number=1))


@pytest.mark.parametrize("kind", [36, 38, 39, 40, 42, 43])
def test_pixels_coded_where_they_stand_are_none(kind: int) -> None:
    """Generic regions, and refinements of them: what G4 does, only smaller."""
    assert not has_dictionaries(PAGE_INFORMATION + segment(kind, b"x" * 30, number=1))


@pytest.mark.parametrize("kind", [48, 49, 50, 51, 52, 53, 62])
def test_segments_around_the_regions_say_nothing(kind: int) -> None:
    """Ends of pages do not belong into a PDF, but encoders leave them there."""
    assert segments(segment(kind, b"")) == [kind]


def test_a_dictionary_far_behind_is_found() -> None:
    """Stripes: many regions of one page."""
    stripes = b"".join(segment(38, generic(b"\0\0"), number=number) for number in range(1, 300))

    assert not has_dictionaries(PAGE_INFORMATION + stripes)
    assert has_dictionaries(PAGE_INFORMATION + stripes + segment(0, b"", number=300))


@pytest.mark.parametrize("number", [1, 256, 257, 65536, 65537])
@pytest.mark.parametrize("referred", [0, 1, 4, 5, 7, 8, 300])
@pytest.mark.parametrize("wide_page", [False, True])
def test_headers_are_as_long_as_they_say(number: int, referred: int, *, wide_page: bool) -> None:
    """Four ways to write a header; a byte off, and the next segment would be read from pixels."""
    first = segment(40, b"abc", number=number, referred=referred, wide_page=wide_page)

    assert segments(first + segment(7, b"")) == [40, 7]


@pytest.mark.parametrize(("flags", "end"), [(0, b"\xff\xac"), (1, b"\0\0")])
def test_a_region_of_unknown_length_ends_at_its_mark(flags: int, end: bytes) -> None:
    """Scanners begin to write before they know how long the page is (T.88, 7.2.7)."""
    pixels = generic(b"\xfe\xfe" * 9 + end, flags=flags) + b"\0\0\0\x54"

    assert segments(segment(38, pixels, length=0xFFFFFFFF) + segment(6, b"")) == [38, 6]


@pytest.mark.parametrize("padding", [b"\n", b"\r\n", b"\0" * 10])
def test_a_padded_end_is_no_segment(padding: bytes) -> None:
    """Some encoders fill up the last word, or count the line's end as theirs."""
    assert segments(segment(38, b"") + padding) == [38]


FILE_HEADER = b"\x97JB2\r\n\x1a\n\x01\0\0\0\x01"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 40,
        FILE_HEADER + PAGE_INFORMATION,
        segment(1, b""),
        segment(54, b""),
        segment(63, b""),
        segment(38, b"abc")[:-1],
        segment(38, b"abc", length=4),
        segment(38, b"abc", length=0xFFFFFFFE),
        segment(38, generic(b"no end"), length=0xFFFFFFFF),
        segment(38, b"short", length=0xFFFFFFFF),
        segment(39, generic(b"\xff\xac\0\0\0\1", flags=0), length=0xFFFFFFFF),
        segment(38, generic(b"\xff\xac"), length=0xFFFFFFFF),
        struct.pack(">IBB", 1, 38, 5 << 5),
        struct.pack(">IBB", 1, 38, 6 << 5) + bytes(20),
        struct.pack(">IBI", 1, 38, 0xFFFFFFFF) + bytes(20),
        segment(38, b"") + b"trailing bytes",
        *(PAGE_INFORMATION[:cut] for cut in range(1, len(PAGE_INFORMATION))),
    ],
)
def test_headers_that_lead_nowhere_are_damage(data: bytes) -> None:
    """What one reader skips, another takes for an image (I12)."""
    with pytest.raises(MalformedError):
        segments(data)
