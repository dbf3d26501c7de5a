"""JPEG in a TIFF: carried with its tables, or its strips joined into one stream.

A strip is a JPEG that may lack its tables: they go in front. Several strips become
one JPEG whose restart interval is one strip. A restart is what the beginning of a
strip is, so the coded data stays what it is, byte for byte; only the height in the
header and the marks between the strips are new. (Where colour has fewer rows than
brightness, decoders smooth it across what was a border.)

The older way (TIFF 6.0, section 22) is carried where the file holds a whole JPEG.
Tiles are neither: their rows are not the image's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final

from daemon.errors import Refused
from daemon.pages import jpeg
from daemon.pages.layout import (
    BLACK_IS_ZERO,
    JPEG_LENGTH,
    JPEG_START,
    RGB,
    SEPARATED,
    TABLES,
    YCBCR,
    Frame,
    Strip,
)
from daemon.pages.picture import Chunks, Picture, device_space, part_of_file

SOI, EOI, SOS, DQT, DHT, DRI = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD
SEQUENTIAL: Final = frozenset({0xC0, 0xC1})
MOST_TABLES: Final = 1 << 16
MOST_INTERVAL: Final = 0xFFFF
BLOCK: Final = 8
"""Samples of a block's side."""
MOST_CODED: Final = 64 << 20

_RESTART: Final = re.compile(rb"\xff[\xd0-\xd7]")


@dataclass(frozen=True, slots=True)
class _Coded:
    """One strip, taken apart."""

    tables: tuple[bytes, ...]
    """DQT and DHT segments, with their markers."""
    frame: bytes
    """The frame's segment without its height."""
    height: int
    scan: bytes
    """The scan's header."""
    data: Strip
    """Where its coded data lies, from behind the scan's header to EOI."""


def carried(frame: Frame) -> Picture | None:
    """Return the page whose stream is the file's own, or None where PDF cannot hold it."""
    strips, photometric = frame.strips(), frame.photometric
    meanings = {1: {BLACK_IS_ZERO}, 3: {YCBCR, RGB}, 4: {SEPARATED}}
    if not strips or frame.bits != 8 or photometric not in meanings.get(frame.samples, set()):
        return None
    (start, length), file = strips[0], frame.directory.file
    try:
        scan = jpeg.scanned(file, start, start + length)
    except Refused:
        return None  # the decoder may still know it; if not, it says so
    height = frame.height if len(strips) == 1 else frame.rows
    fits = (scan.width, scan.height, len(scan.components)) == (frame.width, height, frame.samples)
    if not fits or not _agrees(scan, photometric):
        return None
    tables = _tables(frame)
    if tables is None:
        return None
    if len(strips) == 1:
        chunks = _with_tables(file, strips[0], tables)
    else:
        joined = _joined(frame, strips, tables)
        if joined is None:
            return None
        chunks = joined
    plain = photometric == RGB and scan.adobe is None
    return Picture(
        width=frame.width,
        height=frame.height,
        entries=b"/BitsPerComponent 8 /Filter /DCTDecode" + (jpeg.PLAIN_RGB if plain else b""),
        colours=device_space(frame.samples),
        chunks=chunks,
        density=frame.density,
        turn=frame.turn,
        icc=frame.icc,
    )


def old(frame: Frame, size: int) -> Picture:
    """Return the page for JPEG in its older way, or refuse what is no whole JPEG."""
    directory = frame.directory
    start, length = directory.number(JPEG_START, 0), directory.number(JPEG_LENGTH, 0)
    if not 0 < start < size or not 0 < length <= size - start or directory.count(JPEG_START) != 1:
        raise Refused("image-unsupported", "JPEG of the older way, in parts")
    scan = jpeg.scanned(directory.file, start, start + length)
    if (
        (scan.width, scan.height) != (frame.width, frame.height)
        or len(scan.components) not in {1, 3}
        or not _agrees(scan, YCBCR if len(scan.components) == 3 else BLACK_IS_ZERO)
    ):
        raise Refused("image-unsupported", "JPEG of the older way, of another size or colours")
    return Picture(
        width=frame.width,
        height=frame.height,
        entries=b"/BitsPerComponent 8 /Filter /DCTDecode",
        colours=device_space(len(scan.components)),
        chunks=part_of_file(directory.file, start, length),
        density=frame.density,
        turn=frame.turn,
    )


def _agrees(scan: jpeg.Scan, photometric: int) -> bool:
    """Return whether the stream's own markers say of its colours what the directory says.

    A reader of the PDF has only the stream.
    """
    if photometric == YCBCR:
        return scan.adobe in {None, 1} and (
            not scan.says_nothing or scan.components != tuple(b"RGB")
        )
    if photometric == RGB:
        return not scan.jfif and scan.adobe in {None, 0}
    return scan.adobe is None  # Adobe's four inks are inverted, a TIFF's are not


def _tables(frame: Frame) -> bytes | None:
    """Return the segments that belong in front of each strip; None if they do more than that."""
    held = frame.directory.data(TABLES, MOST_TABLES)
    if not held:
        return b"" if not frame.directory.count(TABLES) else None
    place, end = 2, len(held) - 2
    while place + 4 <= end:
        if held[place] != 0xFF or held[place + 1] not in {DQT, DHT}:
            return None
        place += 2 + int.from_bytes(held[place + 2 : place + 4], "big")
    ends = held[:2] == bytes((0xFF, SOI)) and held[-2:] == bytes((0xFF, EOI))
    return held[2:-2] if ends and place == end else None


def _with_tables(file: IO[bytes], strip: Strip, tables: bytes) -> Chunks:
    rest = part_of_file(file, strip[0] + 2, strip[1] - 2)

    def chunks() -> Iterator[bytes]:
        yield b"\xff\xd8" + tables
        yield from rest()

    return chunks


def _joined(frame: Frame, strips: tuple[Strip, ...], tables: bytes) -> Chunks | None:
    """Return one JPEG of all the strips, or None where they do not follow each other."""
    file = frame.directory.file
    parts: list[_Coded] = []
    try:
        for number, (start, length) in enumerate(strips):
            part = _taken_apart(file, start, start + length)
            rows = min(frame.rows, frame.height - number * frame.rows)
            if part is None or part.height != rows:
                return None
            parts.append(part)
    except Refused:
        return None
    first = parts[0]
    interval = _interval(frame, first)
    if (
        not 0 < interval <= MOST_INTERVAL
        or any(
            (part.tables, part.frame, part.scan) != (first.tables, first.frame, first.scan)
            for part in parts
        )
        or frame.height > 0xFFFF
    ):
        return None
    head = b"\xff\xd8" + tables + b"".join(first.tables)
    head += b"\xff\xdd\0\4" + interval.to_bytes(2, "big")
    head += first.frame[:5] + frame.height.to_bytes(2, "big") + first.frame[5:] + first.scan

    def chunks() -> Iterator[bytes]:
        yield head
        for number, part in enumerate(parts):
            if number:
                yield bytes((0xFF, 0xD0 + (number - 1) % 8))
            yield from part_of_file(file, *part.data)()
        yield bytes((0xFF, EOI))

    return chunks


def _taken_apart(file: IO[bytes], start: int, end: int) -> _Coded | None:
    """Return the parts of one strip; None unless it is one sequential scan without restarts."""
    tables: list[bytes] = []
    frame = scan = b""
    place = start + 2
    while not scan:
        marker, place = jpeg.next_marker(file, place, end)
        file.seek(place)
        length = int.from_bytes(file.read(2), "big")
        if length < 2 or place + length > end:
            return None
        segment = bytes((0xFF, marker)) + length.to_bytes(2, "big") + file.read(length - 2)
        place += length
        if marker in {DQT, DHT}:
            tables.append(segment)
        elif marker in SEQUENTIAL:
            frame = segment
        elif marker == SOS:
            scan = segment
        elif marker in {DRI, EOI} or marker in jpeg.FRAMES:
            return None
    marker, after = jpeg.next_marker(file, place, end)
    length = after - 2 - place
    ends = end - after <= jpeg.MOST_PADDING and not _behind(file, after, end).strip(jpeg.PADDING)
    if marker != EOI or not ends or len(frame) < 13 or not 0 < length <= MOST_CODED:
        return None
    file.seek(place)
    if _RESTART.search(file.read(length)):
        return None
    height = int.from_bytes(frame[5:7], "big")
    return _Coded(tuple(tables), frame[:5] + frame[7:], height, scan, (place, length))


def _behind(file: IO[bytes], place: int, end: int) -> bytes:
    file.seek(place)
    return file.read(end - place)


def _interval(frame: Frame, part: _Coded) -> int:
    """Return how many units of the scan one strip is; 0 where it ends within one."""
    # Sampling factors: high four bits across, low four down (ITU-T T.81, B.2.2).
    factors = [part.frame[at] for at in range(9, len(part.frame), 3)]
    across, down = max(each >> 4 for each in factors), max(each & 15 for each in factors)
    if len(factors) == 1:
        across = down = 1  # a scan of one component has its blocks as they come
    if not across or not down or frame.rows % (BLOCK * down):
        return 0
    return -(-frame.width // (BLOCK * across)) * (frame.rows // (BLOCK * down))
