"""Damage to the directories of a TIFF: tags, types, counts, values, and where they lead."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

TAGS: Final = (
    254, 255, 256, 257, 258, 259, 262, 263, 266, 269, 273, 274, 277, 278, 279, 280, 282, 283, 284, 285, 292,
    293, 296, 297, 317, 318, 320, 322, 323, 324, 325, 330, 332, 338, 339, 347, 512, 513, 514, 529, 530, 531,
    532, 700, 33432, 34377, 34665, 34675, 65000,
)  # fmt: skip
PLAUSIBLE: Final[dict[int, tuple[int, ...]]] = {
    254: (0, 1, 2, 4), 256: (1, 8, 59, 61, 120, 65535), 257: (1, 8, 83, 85, 200, 65535), 258: (1, 2, 4, 8, 12, 16, 32),
    259: (1, 2, 3, 4, 5, 6, 7, 8, 34712, 32773, 32946, 32809, 50000), 262: (0, 1, 2, 3, 4, 5, 6, 8, 32844),
    266: (1, 2, 3), 274: (0, 1, 2, 3, 4, 5, 6, 7, 8, 9), 277: (0, 1, 2, 3, 4, 5, 100), 278: (0, 1, 7, 84, 1000),
    284: (1, 2, 3), 292: (0, 1, 2, 3, 4, 5), 293: (0, 2, 3), 296: (1, 2, 3, 9), 317: (1, 2, 3), 322: (16, 32, 17, 0),
    323: (16, 32, 17, 0), 338: (0, 1, 2), 339: (1, 2, 3, 4), 530: (1, 2, 4),
}  # fmt: skip
"""What may stand there, and is often wrong for this image."""
WIDE: Final = (0, 1, 2, 8, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF)
MOST_DIRECTORIES: Final = 20
SIZES: Final = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
}


@dataclass(frozen=True)
class Entry:
    """One line of a directory: where it stands and what it says."""

    at: int
    tag: int
    kind: int
    count: int
    value: int
    """Where its value field is."""


@dataclass(frozen=True)
class Directory:
    """One directory."""

    at: int
    entries: list[Entry]
    after: int
    """Where the place of the next one stands."""


@dataclass(frozen=True)
class Layout:
    """How a file writes its numbers, and its directories."""

    order: str
    big: bool
    directories: list[Directory]

    @property
    def place(self) -> str:
        """The struct format of an offset."""
        return self.order + ("Q" if self.big else "I")


def layout_of(data: bytearray) -> Layout:
    """Read the directories as far as they can be read."""
    order = ">" if data[:2] == b"MM" else "<"
    found: list[Directory] = []
    try:
        big = struct.unpack_from(order + "H", data, 2) == (43,)
        layout = Layout(order, big, found)
        (at,) = struct.unpack_from(layout.place, data, 8 if big else 4)
        while at and len(found) < MOST_DIRECTORIES:
            (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
            start, step, line = (
                at + (8 if big else 2),
                20 if big else 12,
                order + ("HHQ" if big else "HHI"),
            )
            entries = []
            for number in range(min(count, 200)):
                where = start + number * step
                tag_, kind_, values = struct.unpack_from(line, data, where)
                value_ = where + step - (8 if big else 4)
                entries.append(Entry(where, tag_, kind_, values, value_))
            found.append(Directory(at, entries, start + count * step))
            (at,) = struct.unpack_from(layout.place, data, start + count * step)
    except (struct.error, OverflowError):
        return Layout(order, False, found)
    return layout


def _entry(data: bytearray, rng: Random) -> tuple[Layout, Entry] | None:
    layout = layout_of(data)
    entries = [entry for directory in layout.directories for entry in directory.entries]
    return (layout, rng.choice(entries)) if entries else None


def _pack(data: bytearray, form: str, at: int, value: int) -> None:
    size = struct.calcsize(form)
    if 0 <= at <= len(data) - size:
        struct.pack_into(form, data, at, value % (1 << 8 * size))


def tag(data: bytearray, rng: Random) -> None:
    """Make an entry another tag's."""
    if found := _entry(data, rng):
        _pack(data, found[0].order + "H", found[1].at, rng.choice(TAGS))


def kind(data: bytearray, rng: Random) -> None:
    """Give an entry another type."""
    if found := _entry(data, rng):
        _pack(data, found[0].order + "H", found[1].at + 2, rng.choice((*range(19), 65535)))


def count(data: bytearray, rng: Random) -> None:
    """Give an entry more values, or none."""
    if found := _entry(data, rng):
        layout, entry = found
        value = rng.choice((*WIDE, entry.count + 1, max(0, entry.count - 1), entry.count * 2))
        _pack(data, layout.place, entry.at + 4, value)


def plausible(data: bytearray, rng: Random) -> None:
    """Give a tag another value that it can have."""
    layout = layout_of(data)
    entries = [
        entry
        for directory in layout.directories
        for entry in directory.entries
        if entry.tag in PLAUSIBLE
    ]
    if entries:
        entry = rng.choice(entries)
        form = layout.order + ("H" if entry.kind == 3 else "I")
        at = entry.value
        if entry.count > (4 if layout.big else 2) and entry.kind == 3:
            at = struct.unpack_from(layout.place, data, entry.value)[0]
        _pack(data, form, at, rng.choice(PLAUSIBLE[entry.tag]))


def value(data: bytearray, rng: Random) -> None:
    """Change a value, or where it lies."""
    if found := _entry(data, rng):
        layout, entry = found
        (held,) = (
            struct.unpack_from(layout.place, data, entry.value)
            if entry.value + 8 <= len(data)
            else (0,)
        )
        _pack(
            data,
            layout.place,
            entry.value,
            rng.choice((*WIDE, held + 1, held - 1, held + 8, len(data), len(data) - 1)),
        )


def strip(data: bytearray, rng: Random) -> None:
    """Change where strips or tiles lie, or how long they are."""
    layout = layout_of(data)
    entries = [
        e
        for directory in layout.directories
        for e in directory.entries
        if e.tag in {273, 279, 324, 325}
    ]
    if not entries:
        return
    entry = rng.choice(entries)
    size = SIZES.get(entry.kind, 4)
    inside = entry.count * size <= (8 if layout.big else 4)
    at = entry.value
    if not inside and entry.value + 8 <= len(data):
        (at,) = struct.unpack_from(layout.place, data, entry.value)
        at += size * rng.randrange(max(1, min(entry.count, 500)))
    form = layout.order + {2: "H", 8: "Q"}.get(size, "I")
    if 0 <= at <= len(data) - size:
        (held,) = struct.unpack_from(form, data, at)
        near = held + rng.choice((-100, -1, 1, 2, 100))
        _pack(data, form, at, rng.choice((near, near, near, rng.randrange(len(data)), *WIDE)))


def chain(data: bytearray, rng: Random) -> None:
    """Let the directories lead elsewhere: in a circle, into nothing, past one."""
    layout = layout_of(data)
    if layout.directories:
        places = [8 if layout.big else 4, *(directory.after for directory in layout.directories)]
        targets = [
            0,
            8,
            len(data),
            rng.randrange(len(data)),
            *(directory.at for directory in layout.directories),
        ]
        _pack(data, layout.place, rng.choice(places), rng.choice(targets))


def entries(data: bytearray, rng: Random) -> None:
    """Say that a directory has another number of entries."""
    layout = layout_of(data)
    if layout.directories:
        directory = rng.choice(layout.directories)
        near = len(directory.entries) + rng.choice((-3, -1, 1, 5, 4000, 65000))
        _pack(data, layout.order + ("Q" if layout.big else "H"), directory.at, near)


def swap(data: bytearray, rng: Random) -> None:
    """Exchange two entries, or write one over the other: a tag twice, or out of order."""
    one, other = _entry(data, rng), _entry(data, rng)
    if one and other:
        step = 20 if one[0].big else 12
        a, b = one[1].at, other[1].at
        held, its = bytes(data[a : a + step]), bytes(data[b : b + step])
        data[a : a + step] = its
        if rng.random() < 0.5:
            data[b : b + step] = held


def another_page(data: bytearray, rng: Random) -> None:
    """Append directories: copies of the first one, chained behind the last, up to very many."""
    layout = layout_of(data)
    if not layout.directories:
        return
    first, last = layout.directories[0], layout.directories[-1]
    block = bytes(data[first.at : first.after])
    for _ in range(rng.choice((1, 1, 3, 4200))):
        data += b"\0" * (len(data) % 2)
        _pack(data, layout.place, last.after, len(data))
        last = Directory(len(data), [], len(data) + len(block))
        data += block + bytes(8 if layout.big else 4)


def header(data: bytearray, rng: Random) -> None:
    """Change the byte order, or the kind of TIFF."""
    if rng.random() < 0.5:
        data[:2] = b"MM" if data[:2] == b"II" else b"II"
    else:
        data[2:4] = rng.choice((b"*\0", b"\0*", b"+\0", b"\0+"))


DAMAGES: Final[tuple[Callable[[bytearray, Random], None], ...]] = (
    tag, tag, kind, kind, count, count, plausible, plausible, plausible, plausible, plausible, plausible,
    value, value, strip, strip, strip, chain, entries, swap, swap, another_page, header,
)  # fmt: skip
