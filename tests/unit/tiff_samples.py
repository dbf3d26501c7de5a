"""TIFFs of any shape, which no library writes: tags and strips as a test wants them."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 3, 4, 5, 7, 16
LETTERS: Final = {SHORT: "H", LONG: "I", LONG8: "Q"}
STRIPS, TILES = (273, 279), (324, 325)

Value = int | Fraction | bytes | tuple[int, ...]


@dataclass(frozen=True)
class Directory:
    """One image: its tags, and its strips or tiles."""

    tags: Mapping[int, Value]
    parts: Sequence[bytes] = ()
    children: Sequence[Directory] = ()
    tiled: bool = False
    counts: Sequence[int] | None = None
    """What the file says of the parts' lengths, where that is not true."""
    offsets: Sequence[int] | None = None
    """The same of their places."""


@dataclass
class _Writer:
    order: str
    big: bool
    out: bytearray = field(default_factory=bytearray)

    def put(self, data: bytes) -> int:
        place = len(self.out)
        self.out += data + b"\0" * (len(data) % 2)
        return place

    def number(self, value: int) -> bytes:
        return struct.pack(self.order + ("Q" if self.big else "I"), value)

    def entry(self, tag: int, value: Value) -> bytes:
        kind, count, data = self._stored(value)
        inline = 8 if self.big else 4
        held = data.ljust(inline, b"\0") if len(data) <= inline else self.number(self.put(data))
        return struct.pack(self.order + "HH", tag, kind) + self.number(count) + held

    def _stored(self, value: Value) -> tuple[int, int, bytes]:
        if isinstance(value, bytes):
            return UNDEFINED, len(value), value
        if isinstance(value, Fraction):
            data = struct.pack(self.order + "II", value.numerator, value.denominator)
            return RATIONAL, 1, data
        values = (value,) if isinstance(value, int) else value
        kind = SHORT if max(values) < 1 << 16 else LONG if max(values) < 1 << 32 else LONG8
        return kind, len(values), struct.pack(f"{self.order}{len(values)}{LETTERS[kind]}", *values)

    def directory(self, image: Directory, after: int) -> int:
        places = [self.put(part) for part in image.parts]
        tags: dict[int, Value] = dict(image.tags)
        if places:
            offsets, counts = TILES if image.tiled else STRIPS
            tags[offsets] = tuple(image.offsets or places)
            tags[counts] = tuple(image.counts or map(len, image.parts))
        if image.children:
            tags[330] = tuple(self.directory(child, 0) for child in image.children)
        entries = [self.entry(tag, value) for tag, value in sorted(tags.items())]
        count = struct.pack(self.order + ("Q" if self.big else "H"), len(entries))
        return self.put(count + b"".join(entries) + self.number(after))


def tiff_file(*images: Directory, order: str = "<", big: bool = False) -> bytes:
    """Return a TIFF of these images, in this order."""
    writer = _Writer(order, big)
    mark = b"II" if order == "<" else b"MM"
    head = mark + struct.pack(order + "H", 43 if big else 42)
    head += struct.pack(order + "HH", 8, 0) if big else b""
    writer.put(head + writer.number(0))
    after = 0
    for image in reversed(images):
        after = writer.directory(image, after)
    writer.out[len(head) : len(head) + (8 if big else 4)] = writer.number(after)
    return bytes(writer.out)


def directory_of(scan: bytes, *drop: int, **more: Any) -> Directory:
    """Return the first image of a TIFF that Pillow wrote, to be written otherwise."""
    with Image.open(io.BytesIO(scan)) as image:
        held = image.tag_v2  # type: ignore[attr-defined]
        tags: dict[int, Value] = {}
        for tag in held:
            value = held[tag]
            if tag in {*STRIPS, *TILES, *drop}:
                continue
            whole = isinstance(value, tuple) and all(isinstance(each, int) for each in value)
            if isinstance(value, int | bytes) or whole:
                tags[tag] = value
            elif not isinstance(value, str | tuple):
                tags[tag] = Fraction(value).limit_denominator(1000)
        places = zip(held[STRIPS[0]], held[STRIPS[1]], strict=True)
        parts = [scan[start : start + length] for start, length in places]
    return Directory(tags, parts, **more)


def plain(
    image: Image.Image, photometric: int, *, bits: int = 8, data: bytes = b"", **more: Any
) -> Directory:
    """Return one uncompressed strip of the image's samples, or of other *data* in their place."""
    samples = len(image.getbands())
    tags: dict[int, Value] = {
        256: image.width,
        257: image.height,
        258: (bits,) * samples,
        259: 1,
        262: photometric,
        277: samples,
        278: image.height,
        282: Fraction(72),
        283: Fraction(72),
        296: 2,
    }
    return Directory(tags, [data or image.tobytes()], **more)


def repacked(
    image: Directory, compression: int, parts: Sequence[bytes], **tags: Value
) -> Directory:
    """Return the same image, its samples packed otherwise; *tags* are named `t317` and so on."""
    more = {int(name[1:]): value for name, value in tags.items()}
    return replace(image, tags={**image.tags, 259: compression, **more}, parts=parts)


def rows_of(image: Directory, rows: int) -> list[bytes]:
    """Return the samples of an uncompressed image in strips of so many rows."""
    (data,) = image.parts
    height = image.tags[257]
    assert isinstance(height, int)
    step = len(data) // height * rows
    return [data[at : at + step] for at in range(0, len(data), step)]


def tiles_of(image: Image.Image, side: int) -> list[bytes]:
    """Return the samples of square tiles, those at the edges filled up."""
    return [
        image.crop((x, y, x + side, y + side)).tobytes()
        for y in range(0, image.height, side)
        for x in range(0, image.width, side)
    ]


def run_lengths(data: bytes) -> bytes:
    """Pack as PackBits does: nothing but runs of what is not repeated."""
    return b"".join(
        bytes([len(run) - 1]) + run
        for run in (data[at : at + 99] for at in range(0, len(data), 99))
    )


def lzw(data: bytes, *, high_first: bool = True) -> bytes:
    """Pack as LZW does, forgetting everything before a code would need a tenth bit.

    Low bits first is what TIFF 5.0 had by mistake.
    """
    codes = [256]
    for at in range(0, len(data), 200):
        codes += [*data[at : at + 200], 256]
    codes[-1] = 257
    if high_first:
        bits = "".join(f"{code:09b}" for code in codes)
        return bytes(int(bits[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(bits), 8))
    held = sum(code << 9 * number for number, code in enumerate(codes))
    return held.to_bytes(-(-9 * len(codes) // 8), "little")
