"""JBIG2 for tests: segments by hand, and a page whose pixels Pillow has coded as MMR."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tests.unit.pages_samples import G4, SIZE, drawn, tiff

if TYPE_CHECKING:
    from PIL import Image


def segment(
    kind: int,
    data: bytes,
    *,
    number: int = 1,
    referred: int = 0,
    wide_page: bool = False,
    length: int | None = None,
) -> bytes:
    """Return a segment that refers to so many others; *length* may be a lie."""
    head = struct.pack(">IB", number, kind | (0x40 if wide_page else 0))
    if referred <= 4:
        head += bytes([referred << 5])
    else:
        head += struct.pack(">I", 7 << 29 | referred) + bytes((referred + 8) // 8)
    head += bytes(referred * (1 if number <= 256 else 2 if number <= 65536 else 4))
    head += struct.pack(">I", 1) if wide_page else b"\1"
    return head + struct.pack(">I", len(data) if length is None else length) + data


def generic(pixels: bytes, *, flags: int = 1, size: tuple[int, int] = SIZE) -> bytes:
    """Return the data of a generic region; by default its pixels are MMR."""
    adaptive = b"" if flags & 1 else b"\3\xff\xfd\xff\2\xfe\xfe\xfe"
    return struct.pack(">IIIIBB", *size, 0, 0, 0, flags) + adaptive + pixels


PAGE_INFORMATION = segment(48, struct.pack(">IIIIBH", *SIZE, 0, 0, 0, 0), number=0)


def page(image: Image.Image | None = None, *, kind: int = 38) -> bytes:
    """Return a page as JBIG2 in a PDF: its information, and one region with all pixels."""
    image = drawn("1") if image is None else image
    # Black is 1 in JBIG2.
    file = tiff(image, tags={262: 0}, **G4)
    pixels = strip(file)
    return PAGE_INFORMATION + segment(kind, generic(pixels, size=image.size), number=1)


def strip(file: bytes) -> bytes:
    """Return the one strip of a TIFF in little endian."""
    at = int.from_bytes(file[4:8], "little")
    entries = {}
    for place in range(at + 2, at + 2 + 12 * int.from_bytes(file[at : at + 2], "little"), 12):
        tag, kind = struct.unpack_from("<HH", file, place)
        entries[tag] = struct.unpack_from("<H" if kind == 3 else "<I", file, place + 8)[0]
    return file[entries[273] : entries[273] + entries[279]]
