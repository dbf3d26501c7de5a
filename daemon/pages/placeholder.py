"""Finds the signature's gap in the finished file, and fills in the ByteRange.

A page can contain any text one searches for. So three things have to hold
together: the mark, 128 bits drawn after the page was read, occurs exactly once
in the file; the object it stands in begins where the file's own cross-reference
table says that an object begins; and from there to the gap it reads exactly as
`signature` wrote it.
"""

from __future__ import annotations

import bisect
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from daemon.document import CHUNK

if TYPE_CHECKING:
    from daemon.pages.signature import EmptySignature

_LAST_LINES: Final = re.compile(rb"startxref\n(\d+)\n%%EOF\n\Z")
_SECTION: Final = re.compile(rb"xref\n0 (\d+)\n")
_HEADER: Final = re.compile(rb"\d+ 0 obj\n")
LINE: Final = 20
"""Bytes of a line of the table: offset, generation, in use or free (ISO 32000-2, 7.5.4)."""


class NotFoundInOutput(Exception):
    """What was written is not what was meant to be written: our bug, or the disk's."""


@dataclass(frozen=True, slots=True)
class Gap:
    """`start` is the offset of `<`, `end` the one after `>`; the ByteRange leaves out [start, end)."""

    start: int
    end: int
    size: int
    """Of the whole file."""


def settle(fd: int, empty: EmptySignature) -> Gap:
    """Find the gap in the file behind *fd*, write the ByteRange into it, and return the gap."""
    size = os.fstat(fd).st_size
    mark = empty.mark.hex().encode()
    start = _only_place(fd, size, mark) - 1
    beginning = _object_around(fd, size, start)
    lead = os.pread(fd, start - beginning, beginning)
    header = _HEADER.match(lead)
    if header is None or lead[header.end() :] != empty.start:
        raise NotFoundInOutput("the placeholder does not stand in the signature object")
    end = start + 2 * empty.reserve + 2
    gap = os.pread(fd, end - start, start)
    if gap != b"<%b>" % empty.contents.hex().encode():
        raise NotFoundInOutput("the placeholder is not as it was written")
    room = len(empty.start) - len(b"<< /ByteRange ") - len(b" /Contents ")
    numbers = (b"[ 0 %d %d %d" % (start, end, size - end)).ljust(room - 2) + b" ]"
    if len(numbers) != room:
        raise NotFoundInOutput("the ByteRange does not fit")
    place = beginning + header.end() + len(b"<< /ByteRange ")
    if os.pwrite(fd, numbers, place) != room:
        raise OSError("the ByteRange was not written whole")
    return Gap(start, end, size)


def _only_place(fd: int, size: int, mark: bytes) -> int:
    """Return where *mark* is in the file, reading it piece by piece."""
    places: list[int] = []
    position, held = 0, b""
    while position < size:
        piece = os.pread(fd, CHUNK, position)
        if not piece:
            break
        window = held + piece
        base = position - len(held)
        found = window.find(mark)
        while found >= 0:
            places.append(base + found)
            found = window.find(mark, found + 1)
        position += len(piece)
        held = window[1 - len(mark) :]
    if len(places) != 1:
        raise NotFoundInOutput(f"the placeholder occurs {len(places)} times")
    return places[0]


def _object_around(fd: int, size: int, place: int) -> int:
    """Return where the object that holds *place* begins, by the cross-reference table."""
    tail = os.pread(fd, 64, max(0, size - 64))
    last = _LAST_LINES.search(tail)
    if last is None:
        raise NotFoundInOutput("the file does not end as qpdf ends it")
    table = int(last[1])
    section = _SECTION.match(os.pread(fd, 32, table))
    if section is None or place >= table:
        raise NotFoundInOutput("there is no cross-reference table where the file says")
    lines = os.pread(fd, LINE * int(section[1]), table + section.end())
    offsets = sorted(
        int(lines[at : at + 10])
        for at in range(0, len(lines), LINE)
        if lines[at + 17 : at + 18] == b"n"
    )
    before = bisect.bisect_right(offsets, place)
    if before == 0:
        raise NotFoundInOutput("no object begins before the placeholder")
    return offsets[before - 1]
