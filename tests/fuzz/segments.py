"""Damage to JPEGs: markers, the lengths and contents of segments, what stands between them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.fuzz import raw

SOI, EOI, SOS, DHT, DQT, DRI, COM, EXIF, ADOBE = (
    0xD8,
    0xD9,
    0xDA,
    0xC4,
    0xDB,
    0xDD,
    0xFE,
    0xE1,
    0xEE,
)
FRAMES: Final = (0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCC, 0xCD)
MARKERS: Final = (
    *FRAMES,
    DHT,
    DQT,
    DRI,
    COM,
    SOS,
    EOI,
    SOI,
    0xD0,
    0xE0,
    EXIF,
    0xE2,
    0xED,
    ADOBE,
    0x01,
    0x02,
    0xDC,
)


@dataclass
class Segment:
    """A marker with its contents; coded data belongs to the marker in front of it."""

    marker: int
    body: bytearray
    """With the two bytes of its length, where it has them."""
    coded: bytearray


def split(data: bytes) -> list[Segment]:
    """Take a JPEG apart as far as it can be."""
    found: list[Segment] = []
    at = 0
    while at + 2 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        start, at = at + 2, at + 2
        if marker not in {SOI, EOI, 0x01, *range(0xD0, 0xD8)} and start + 2 <= len(data):
            at = start + max(2, int.from_bytes(data[start : start + 2], "big"))
        body, coded = data[start:at], at
        if marker == SOS:
            while at + 1 < len(data) and not (
                data[at] == 0xFF and data[at + 1] not in {0, *range(0xD0, 0xD8)}
            ):
                at += 1
        found.append(Segment(marker, bytearray(body), bytearray(data[coded:at])))
        if marker == EOI:
            break
    if at < len(data):
        found.append(Segment(-1, bytearray(), bytearray(data[at:])))
    return found


def joined(segments: list[Segment]) -> bytes:
    """Put a JPEG together again."""
    return b"".join(
        (b"" if one.marker < 0 else bytes((0xFF, one.marker))) + one.body + one.coded
        for one in segments
    )


def _any(segments: list[Segment], rng: Random, *markers: int) -> Segment | None:
    found = [one for one in segments if not markers or one.marker in markers]
    return rng.choice(found) if found else None


def marker(segments: list[Segment], rng: Random) -> None:
    """Call a segment something else."""
    if one := _any(segments, rng):
        one.marker = rng.choice(MARKERS)


def length(segments: list[Segment], rng: Random) -> None:
    """Give a segment another length than it has."""
    one = _any([one for one in segments if len(one.body) >= 2], rng)
    if one:
        near = len(one.body) + rng.choice((-2, -1, 1, 2, 500))
        struct.pack_into(">H", one.body, 0, rng.choice((near, near, 0, 1, 2, 65535)) % 65536)


def lose(segments: list[Segment], rng: Random) -> None:
    """Leave a segment out."""
    if segments:
        del segments[rng.randrange(len(segments))]


def repeat(segments: list[Segment], rng: Random) -> None:
    """Write a segment again, elsewhere."""
    if one := _any(segments, rng):
        copy = Segment(one.marker, bytearray(one.body), bytearray(one.coded))
        for _ in range(rng.choice((1, 1, 1, 200))):
            segments.insert(rng.randint(0, len(segments)), copy)


def swap(segments: list[Segment], rng: Random) -> None:
    """Write two segments in each other's place."""
    if len(segments) > 1:
        a, b = rng.randrange(len(segments)), rng.randrange(len(segments))
        segments[a], segments[b] = segments[b], segments[a]


def frame(segments: list[Segment], rng: Random) -> None:
    """Change the frame: size, depth, components, their sampling and tables."""
    one = _any(segments, rng, *FRAMES)
    if one and len(one.body) >= 11:
        at = rng.randrange(2, len(one.body))
        if at in {3, 4, 5, 6}:
            place = 3 if at < 5 else 5
            (held,) = struct.unpack_from(">H", one.body, place)
            size = rng.choice((held + 1, held - 1, held * 2, 0, 1, 65535, 65500, 16000))
            struct.pack_into(">H", one.body, place, size % 65536)
        else:
            one.body[at] = rng.choice(
                (0, 1, 2, 3, 4, 8, 12, 0x11, 0x12, 0x21, 0x22, 0x41, 0x44, 0x55, ord("R"), 255)
            )


def contents(segments: list[Segment], rng: Random) -> None:
    """Damage what is in a segment; its length stays right."""
    if one := _any([one for one in segments if len(one.body) > 2], rng):
        inside = bytearray(one.body[2:])
        rng.choice(raw.DAMAGES)(inside, rng)
        inside = inside[:65533]
        one.body[:] = struct.pack(">H", len(inside) + 2) + inside


def coded(segments: list[Segment], rng: Random) -> None:
    """Damage coded data, and nothing around it."""
    if one := _any(segments, rng, SOS):
        rng.choice(raw.DAMAGES)(one.coded, rng)


def in_coded(segments: list[Segment], rng: Random) -> None:
    """Put a marker into coded data: a restart, an end, a second image."""
    if one := _any(segments, rng, SOS):
        at = rng.randint(0, len(one.coded))
        one.coded[at:at] = bytes(
            (0xFF, rng.choice((0, 0xD0, 0xD5, EOI, SOI, SOS, DHT, 0x01, 0xC0, 0xFF)))
        )


def insert(segments: list[Segment], rng: Random) -> None:
    """Put in a segment that says something: Adobe's, JFIF's, Exif's, restarts, a profile."""
    turn = rng.choice((0, 1, 2, 3, 5, 6, 8, 9))
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + struct.pack(
        "<HHI", turn, 0, rng.choice((0, 0, 8))
    )
    bodies = (
        (ADOBE, b"Adobe\0\x64\0\0\0\0" + bytes((rng.choice((0, 1, 2, 3)),))),
        (
            0xE0,
            b"JFIF\0\x01\x02"
            + bytes((rng.choice((0, 1, 2, 7)),))
            + struct.pack(">HH", rng.choice((0, 1, 72, 300, 65535)), 300)
            + b"\0\0",
        ),
        (EXIF, exif),
        (DRI, struct.pack(">H", rng.choice((0, 1, 3, 1000)))),
        (
            0xE2,
            b"ICC_PROFILE\0" + bytes((rng.choice((0, 1, 2)), rng.choice((0, 1, 9)))) + bytes(150),
        ),
        (COM, b"remark"),
        (0xE2, b"MPF\0II*\0\x08\0\0\0\0\0\0\0\0\0"),
    )
    name, body = rng.choice(bodies)
    segments.insert(
        rng.randint(0, len(segments)),
        Segment(name, bytearray(struct.pack(">H", len(body) + 2) + body), bytearray()),
    )


def second(segments: list[Segment], rng: Random) -> None:
    """Have a second image behind the first, or inside of it as thumbnails are."""
    whole = joined(segments)
    if rng.random() < 0.5:
        segments.append(Segment(-1, bytearray(), bytearray(whole)))
    else:
        inside = b"JFXX\0\x10" + whole[:60000]
        segments.insert(
            1, Segment(0xE0, bytearray(struct.pack(">H", len(inside) + 2) + inside), bytearray())
        )


def fill(segments: list[Segment], rng: Random) -> None:
    """Put fill bytes in front of a marker, or lose them behind one."""
    if one := _any(segments, rng):
        one.coded += b"\xff" * rng.choice((1, 3, 70000))


CHANGES: Final[tuple[Callable[[list[Segment], Random], None], ...]] = (
    marker, length, length, lose, repeat, swap, frame, frame, frame, contents, contents, contents, coded, coded,
    coded, in_coded, insert, insert, second, fill,
)  # fmt: skip


def _on(change: Callable[[list[Segment], Random], None]) -> Callable[[bytearray, Random], None]:
    def damage(data: bytearray, rng: Random) -> None:
        segments = split(bytes(data))
        change(segments, rng)
        data[:] = joined(segments)

    damage.__name__ = change.__name__
    return damage


DAMAGES: Final = tuple(_on(change) for change in CHANGES)
