"""Reads the directories of a TIFF file, and of the Exif block, which is one.

Only numbers are read, and only those that are asked for: a file can name
gigabytes and hold none. Both byte orders, classic and BigTIFF.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Final

from daemon.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FORMATS: Final = {1: "B", 3: "H", 4: "I", 5: "II", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I"}
_FORMATS.update({16: "Q", 17: "q", 18: "Q"})
"""How the types of TIFF 6.0 are stored; texts and floating-point numbers are of no use here."""
_TEXT_AND_FLOATS: Final = {2: 1, 11: 4, 12: 8}
"""How many bytes one value of those has: they have to lie inside the file as well."""
_WHOLE: Final = frozenset({3, 4, 16})
MOST_ENTRIES: Final = 4096
MOST_CHILDREN: Final = 64


@dataclass(frozen=True, slots=True)
class _Entry:
    kind: int
    count: int
    place: int


@dataclass(frozen=True, slots=True)
class Directory:
    """One directory: one image, its thumbnail, or the Exif block."""

    file: IO[bytes]
    order: str
    entries: dict[int, _Entry] = field(repr=False)
    reach: int
    """The end of whatever its entries point at: beyond the file's end, if that was cut off."""
    big: bool

    def count(self, tag: int) -> int:
        """Return how many values *tag* has; 0 where it is missing."""
        return self.entries[tag].count if tag in self.entries else 0

    def numbers(self, tag: int, most: int = 8) -> tuple[int, ...]:
        """Return the values of *tag*, at most so many; a fraction is two of them."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in _FORMATS:
            return ()
        letter = _FORMATS[entry.kind]
        layout = f"={min(entry.count, most) * len(letter)}{letter[0]}"
        data = self._read(entry, struct.calcsize(layout))
        return struct.unpack(self.order + layout[1:], data)

    def number(self, tag: int, default: int) -> int:
        """Return the first value of *tag*, or *default*."""
        return next(iter(self.numbers(tag, 1)), default)

    def data(self, tag: int, most: int) -> bytes:
        """Return the bytes of *tag*; nothing if there are more than *most*."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in {1, 7} or entry.count > most:
            return b""
        return self._read(entry, entry.count)

    def whole(self, tag: int) -> bool:
        """Return whether *tag* is missing, or whole numbers: readers guess about anything else."""
        entry = self.entries.get(tag)
        return entry is None or entry.kind in _WHOLE

    def single(self, tag: int) -> bool:
        """Return whether *tag* is missing, or one whole number."""
        return self.whole(tag) and self.count(tag) in {0, 1}

    def ratio(self, tag: int) -> float:
        """Return the fraction that *tag* holds, which may be written as a whole number; or 0."""
        values = self.numbers(tag, 1)
        if len(values) == 1:
            return float(values[0])
        return values[0] / values[1] if len(values) == 2 and values[1] else 0.0

    def children(self, tag: int) -> Iterator[Directory]:
        """Yield the directories that *tag* points at; refuse more than any file needs."""
        if self.count(tag) > MOST_CHILDREN:
            raise Refused("image-damaged", f"an image of the TIFF has {self.count(tag)} others")
        for place in self.numbers(tag, MOST_CHILDREN):
            yield _directory(self.file, self.order, place, big=self.big)[0]

    def _read(self, entry: _Entry, length: int) -> bytes:
        return _read(self.file, entry.place, length)


def directories(file: IO[bytes], most: int) -> Iterator[Directory]:
    """Yield the directories of a TIFF file in their order, at most so many.

    Raise Refused for a file that has none, ends within one, or leads in circles.
    """
    head = _read(file, 0, 16, partly=True)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        raise Refused("image-damaged", "the TIFF has no header")
    (version,) = struct.unpack(order + "H", head[2:4])
    big = version == 43
    if big and len(head) < 16:
        raise Refused("file-incomplete", "the TIFF ends within its header")
    (place,) = (
        struct.unpack(order + "Q", head[8:16]) if big else struct.unpack(order + "I", head[4:8])
    )
    seen: set[int] = set()
    while place and len(seen) < most:
        if place in seen:
            raise Refused("image-damaged", "the directories of the TIFF lead in a circle")
        seen.add(place)
        directory, place = _directory(file, order, place, big=big)
        yield directory


def one_strip(tags: Mapping[int, int], data: bytes) -> bytes:
    """Return a TIFF of these tags around one strip, which begins at its eighth byte."""
    held = data + b"\0" * (len(data) % 2)
    entries = b"".join(
        struct.pack("<HHII", tag, 4, 1, value)
        for tag, value in sorted({**tags, 273: 8, 279: len(data)}.items())
    )
    head = b"II*\0" + struct.pack("<I", 8 + len(held))
    return head + held + struct.pack("<H", len(entries) // 12) + entries + bytes(4)


def _directory(file: IO[bytes], order: str, place: int, *, big: bool) -> tuple[Directory, int]:
    counting, layout, inline = ("Q", "HHQ", 8) if big else ("H", "HHI", 4)
    number = struct.calcsize("=" + counting)
    (count,) = struct.unpack(order + counting, _read(file, place, number))
    if count > MOST_ENTRIES:
        raise Refused("image-damaged", f"a directory of the TIFF has {count} entries")
    step = struct.calcsize("=" + layout) + inline
    table = _read(file, place + number, count * step + inline)
    entries: dict[int, _Entry] = {}
    reach = 0
    for at in range(0, count * step, step):
        tag, kind, values = struct.unpack_from(order + layout, table, at)
        one = _TEXT_AND_FLOATS.get(kind, struct.calcsize("=" + _FORMATS.get(kind, "")))
        size = one * values  # of a type that TIFF 6.0 does not know: nothing, readers skip it
        value = at + step - inline
        where = place + number + value
        if size > inline:
            (where,) = struct.unpack_from(order + ("Q" if big else "I"), table, value)
            reach = max(reach, where + size)
        if tag in entries:
            # Some readers take the first, others the last.
            raise Refused("image-damaged", "a directory of the TIFF says the same thing twice")
        entries[tag] = _Entry(kind, values, where)
    (after,) = struct.unpack_from(order + ("Q" if big else "I"), table, count * step)
    return Directory(file, order, entries, reach, big), after


def _read(file: IO[bytes], place: int, length: int, *, partly: bool = False) -> bytes:
    try:
        file.seek(place)
    except (OverflowError, ValueError, OSError):
        raise Refused("image-damaged", "the TIFF names a place that cannot be") from None
    data = file.read(length)
    if len(data) < length and not partly:
        raise Refused("file-incomplete", "the TIFF names a place beyond its end")
    return data
