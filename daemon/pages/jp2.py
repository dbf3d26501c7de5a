"""A JPEG 2000 file as a page: the file, from the first to the last byte, is the stream.

PDF's JPXDecode takes a file of boxes (ISO 15444-1, annex I), which says its colours
itself. A bare code stream does not say them and is refused, as is what a reader of
PDF may show otherwise: palettes, transparency, several code streams, components of
different sizes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Final

from daemon.errors import Refused
from daemon.pages.picture import Density, Picture, density, part_of_file

SIGNATURE: Final = b"\0\0\0\x0cjP  \r\n\x87\n"
BARE: Final = b"\xff\x4f\xff\x51"
"""SOC and SIZ: how a code stream begins."""
END: Final = b"\xff\xd9"
PADDING: Final = b"\0\xff"
MOST_PADDING: Final = 1024

MOST_BOXES: Final = 256
MOST_HEADER: Final = 16 << 20
MOST_BITS: Final = 16
MOST_NAMED: Final = 16
AROUND: Final = frozenset({b"jP  ", b"ftyp", b"rreq", b"jp2h", b"jp2c", b"xml ", b"uuid", b"uinf",
                           b"jp2i", b"free"})  # fmt: skip
"""What a file around one image has; anything else may put several of them together."""
IN_HEADER: Final = frozenset({b"ihdr", b"bpcc", b"colr", b"res "})
ENUMERATED: Final = {12: 4, 16: 3, 17: 1, 18: 3}
"""Components by the number of a colour space: CMYK, sRGB, grey, sYCC."""
PROFILED: Final = {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4}


@dataclass(slots=True)
class _Found:
    """What the boxes of one file say."""

    boxes: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    """Place and length of the first of each kind in the header."""
    stream: tuple[int, int] = (0, 0)
    brand: bytes = b""


def picture(file: IO[bytes], size: int, max_pixels: int) -> Picture:
    """Return the page for the JPEG 2000 file in *file*, or refuse it."""
    file.seek(0)
    head = file.read(len(SIGNATURE))
    if head.startswith(BARE):
        raise Refused("image-unsupported", "a bare JPEG 2000 code stream does not say its colours")
    if head != SIGNATURE:
        raise Refused("image-damaged", "the JPEG 2000 file does not begin as one")
    found = _found(file, size)
    width, height = _header(file, found, max_pixels)
    _stream(file, found, (width, height))
    resolution = _resolution(file, found)
    return Picture(
        width=width,
        height=height,
        entries=b"/Filter /JPXDecode",
        colours=b"",
        chunks=part_of_file(file, 0, size),
        density=resolution,
        findings=resolution.findings,
    )


def _found(file: IO[bytes], size: int) -> _Found:
    found = _Found()
    streams = 0
    for name, place, length in _boxes(file, 0, size):
        if name not in AROUND:
            raise Refused("image-unsupported", "the JPEG 2000 file holds more than one image")
        if name == b"ftyp":
            file.seek(place)
            found.brand = file.read(min(length, 4 + 4 + 4 * MOST_NAMED))
        elif name == b"jp2h":
            for inner, at, long in _boxes(file, place, place + length):
                if inner not in IN_HEADER:
                    raise Refused("image-unsupported", "JPEG 2000 with a palette or transparency")
                found.boxes.setdefault(inner, (at, long))
        elif name == b"jp2c":
            found.stream = (place, length)
            streams += 1
    named = {found.brand[at : at + 4] for at in (0, *range(8, len(found.brand), 4))}
    if streams > 1 or not named & {b"jp2 ", b"jpx ", b"jpxb"} or b"jpm " in found.brand[:4]:
        raise Refused("image-unsupported", "the JPEG 2000 file holds more than one image")
    if not streams or b"ihdr" not in found.boxes or b"colr" not in found.boxes:
        raise Refused("image-damaged", "the JPEG 2000 file lacks its header or its image")
    return found


def _boxes(file: IO[bytes], place: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, place and length of each box between two places of the file."""
    for _ in range(MOST_BOXES):
        file.seek(place)
        head = file.read(min(16, end - place))
        if not head.strip(PADDING):
            _filled_up(file, place, end)
            return
        if len(head) < 8:
            raise Refused("file-incomplete", "the JPEG 2000 file ends within a box")
        length, name = struct.unpack_from(">I4s", head)
        begin = 8
        if length == 0:
            length = end - place  # to the end
        elif length == 1:
            if len(head) < 16:
                raise Refused("file-incomplete", "the JPEG 2000 file ends within a box")
            begin = 16
            (length,) = struct.unpack_from(">Q", head, 8)
        if length < begin:
            raise Refused("image-damaged", "a box of the JPEG 2000 file has no length")
        if place + length > end:
            raise Refused("file-incomplete", "the JPEG 2000 file ends within a box")
        yield name, place + begin, length - begin
        place += length
    raise Refused("image-damaged", "the JPEG 2000 file has more boxes than any needs")


def _filled_up(file: IO[bytes], place: int, end: int) -> None:
    """Raise Refused if what is left is more than a last sector that was filled up."""
    file.seek(place)
    if end - place > MOST_PADDING or file.read(end - place).strip(PADDING):
        raise Refused("image-unsupported", f"{end - place} bytes follow the end of the image")


def _held(file: IO[bytes], found: _Found, name: bytes, most: int) -> bytes:
    place, length = found.boxes.get(name, (0, 0))
    if not place:
        return b""
    file.seek(place)
    return file.read(min(length, most))


def _header(file: IO[bytes], found: _Found, max_pixels: int) -> tuple[int, int]:
    """Return the image's width and height; refuse colours that its components do not make."""
    header = _held(file, found, b"ihdr", 14)
    if len(header) != 14:
        raise Refused("image-damaged", "the JPEG 2000 file's header cannot be read")
    height, width, components, _, kind, _, _ = struct.unpack(">IIHBBBB", header)
    if not width or not height or kind != 7:
        raise Refused("image-damaged", "the JPEG 2000 file's header names an image of no kind")
    if width * height > max_pixels:
        raise Refused("too-many-pixels", f"the image has {width} x {height} pixels")
    colours = _held(file, found, b"colr", 3 + 128)
    wanted = 0
    if colours[:1] == b"\1" and len(colours) >= 7:
        wanted = ENUMERATED.get(int.from_bytes(colours[3:7], "big"), 0)
    elif colours[:1] in {b"\2", b"\3"}:
        wanted = PROFILED.get(colours[3 + 16 : 3 + 20], 0)
    if wanted != components:
        raise Refused("image-unsupported", f"JPEG 2000 of {components} components, named otherwise")
    return width, height


def _stream(file: IO[bytes], found: _Found, size: tuple[int, int]) -> None:
    """Refuse a code stream that is another image than the header says, or breaks off."""
    place, length = found.stream
    file.seek(place)
    head = file.read(min(length, 42 + 3 * 4))
    if len(head) < 42 or not head.startswith(BARE):
        raise Refused("image-damaged", "the JPEG 2000 code stream does not begin as one")
    x1, y1, x0, y0, *_ = struct.unpack_from(">8I", head, 8)
    (count,) = struct.unpack_from(">H", head, 40)
    parts = [tuple(head[at : at + 3]) for at in range(42, 42 + 3 * min(count, 4), 3)]
    if (x1 - x0, y1 - y0) != size:
        raise Refused("image-damaged", "the JPEG 2000 file has two sizes")
    components = int.from_bytes(_held(file, found, b"ihdr", 14)[8:10], "big")
    depths = {part[:1] for part in parts}
    if (
        count != components
        or len(depths) != 1
        or any(part[0] >= MOST_BITS for part in parts)  # also of numbers with a sign
        or any(part[1:] != (1, 1) for part in parts)
    ):
        raise Refused("image-unsupported", f"JPEG 2000 of {count} components that differ")
    file.seek(place + max(0, length - MOST_PADDING))
    if not file.read(min(length, MOST_PADDING)).rstrip(PADDING).endswith(END):
        raise Refused("file-incomplete", "the JPEG 2000 code stream has no end")


def _resolution(file: IO[bytes], found: _Found) -> Density:
    """Return how large the file says that the scanner's pixels were, or how it is to be shown."""
    place, length = found.boxes.get(b"res ", (0, 0))
    said: dict[bytes, Density] = {}
    if place:
        for name, at, long in _boxes(file, place, place + length):
            file.seek(at)
            held = file.read(min(long, 10))
            if name in {b"resc", b"resd"} and len(held) == 10:
                down, below, across, under, ten_down, ten_across = struct.unpack(">4H2b", held)
                if below and under:
                    x = across / under * 10.0**ten_across
                    y = down / below * 10.0**ten_down
                    said[name] = density(x, y, 1 / 0.0254)
    return said.get(b"resc", said.get(b"resd", Density()))
