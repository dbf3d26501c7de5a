"""A PNG as a page: its compressed data is carried over, because PDF knows PNG's filters.

That holds for whatever is neither interlaced nor transparent. The data is
unpacked once, to see that it is whole, and thrown away piece by piece.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Final

from daemon.document import CHUNK
from daemon.errors import Refused
from daemon.pages.jpeg import MOST_PADDING, MOST_PROFILE, PADDING, exif_directory
from daemon.pages.picture import (
    RESOLUTION_UNKNOWN,
    TURNS,
    Chunks,
    Picture,
    Turn,
    fitting_profile,
    usable_dpi,
)

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
SAMPLES: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples per pixel, by colour type."""
DEPTHS: Final = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
INDEXED: Final = 3
READ: Final = frozenset({b"IHDR", b"PLTE", b"pHYs", b"iCCP", b"eXIf"})
MOST_READ: Final = 8 << 20


@dataclass(slots=True)
class Scan:
    """What the chunks of one PNG say."""

    width: int = 0
    height: int = 0
    depth: int = 0
    colour: int = 0
    interlaced: bool = False
    transparent: bool = False
    animated: bool = False
    held: dict[bytes, bytes] = field(default_factory=dict)
    """The contents of the chunks that are read."""
    data: list[tuple[int, int]] = field(default_factory=list)
    """Offset and length of each piece of image data."""

    @property
    def carried(self) -> bool:
        """Whether PDF can hold the compressed data as it is."""
        return not (self.interlaced or self.transparent or self.colour in {4, 6})

    @property
    def row(self) -> int:
        """Bytes of one row, without its filter's number."""
        return (self.width * SAMPLES[self.colour] * self.depth + 7) // 8


def scanned(file: IO[bytes], size: int, max_pixels: int) -> Scan:
    """Read the chunks of the PNG in *file*; refuse what is broken or too large."""
    scan = Scan()
    place = len(SIGNATURE)
    while True:
        file.seek(place)
        head = file.read(8)
        length, name = int.from_bytes(head[:4], "big"), head[4:]
        if len(head) < 8 or place + 12 + length > size:
            raise Refused("file-incomplete", "the PNG ends within a chunk")
        _checked(file, name, length)
        if (place == len(SIGNATURE)) != (name == b"IHDR"):
            raise Refused("image-damaged", "the PNG does not begin with its header")
        _chunk(scan, file, name, place + 8, length)
        if name == b"IHDR":
            _header(scan, max_pixels)
        place += 12 + length
        if name == b"IEND":
            break
    file.seek(place)
    if scan.animated or size - place > MOST_PADDING or file.read().strip(PADDING):
        raise Refused("image-unsupported", "the PNG holds more than one image")
    return scan


def carried(file: IO[bytes], scan: Scan) -> Picture:
    """Return the page whose stream is the PNG's own; refuse data that does not unpack."""
    chunks = _data(file, scan)
    _unpacks(scan, chunks)
    count = SAMPLES[scan.colour]
    colours, base = (b"/DeviceGray" if count == 1 else b"/DeviceRGB"), b""
    palette = scan.held.get(b"PLTE", b"")
    if scan.colour == INDEXED:
        if not 3 <= len(palette) <= 3 << scan.depth or len(palette) % 3:
            raise Refused("image-damaged", "the PNG's palette does not fit")
        base = b"/DeviceRGB"
        colours = b"[ /Indexed %%b %d <%b> ]" % (len(palette) // 3 - 1, palette.hex().encode())
    dpi = resolution(scan)
    return Picture(
        width=scan.width,
        height=scan.height,
        entries=(
            b"/BitsPerComponent %d /Filter /FlateDecode /DecodeParms << /Predictor 15 /Colors %d"
            b" /BitsPerComponent %d /Columns %d >>" % (scan.depth, count, scan.depth, scan.width)
        ),
        colours=colours,
        base=base,
        chunks=chunks,
        dpi=dpi,
        turn=turn(scan),
        icc=profile(scan, 3 if base else count),
        findings=() if dpi else (RESOLUTION_UNKNOWN,),
    )


def resolution(scan: Scan) -> tuple[float, float] | None:
    """Return the dots per inch that the PNG names, if it does."""
    data = scan.held.get(b"pHYs", b"")
    if len(data) != 9 or data[8] != 1:
        return None
    x, y = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big")
    return usable_dpi(x * 0.0254, y * 0.0254)


def turn(scan: Scan) -> Turn:
    """Return how the PNG wants to be shown, by its Exif block."""
    directory = exif_directory(scan.held.get(b"eXIf", b""))
    return TURNS.get(directory.number(0x0112, 1), Turn()) if directory else Turn()


def profile(scan: Scan, components: int) -> bytes:
    """Return the PNG's colour profile, if it fits so many components."""
    _, _, packed = scan.held.get(b"iCCP", b"").partition(b"\0")
    unpacked = zlib.decompressobj()
    try:
        icc = unpacked.decompress(packed[1:], MOST_PROFILE)
    except zlib.error:
        return b""
    return fitting_profile(icc, components) if unpacked.eof else b""


def _chunk(scan: Scan, file: IO[bytes], name: bytes, place: int, length: int) -> None:
    if name in READ and length <= MOST_READ:
        file.seek(place)
        scan.held.setdefault(name, file.read(length))
    elif name == b"IDAT":
        scan.data.append((place, length))
    elif name == b"tRNS":
        scan.transparent = True
    elif name == b"acTL":
        scan.animated = True


def _header(scan: Scan, max_pixels: int) -> None:
    data = scan.held.get(b"IHDR", b"")
    if len(data) != 13:
        raise Refused("image-damaged", "the PNG's header cannot be read")
    scan.width, scan.height = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big")
    scan.depth, scan.colour, scan.interlaced = data[8], data[9], data[12] == 1
    if scan.depth not in DEPTHS.get(scan.colour, ()) or not scan.width or not scan.height:
        raise Refused("image-damaged", "the PNG's header names a kind that there is not")
    if scan.width * scan.height > max_pixels:
        raise Refused("too-many-pixels", f"the image has {scan.width} x {scan.height} pixels")


def _checked(file: IO[bytes], name: bytes, length: int) -> None:
    check = zlib.crc32(name)
    left = length
    while left:
        piece = file.read(min(CHUNK, left))
        check = zlib.crc32(piece, check)
        left -= len(piece)
    if int.from_bytes(file.read(4), "big") != check:
        raise Refused("image-damaged", "a checksum of the PNG is wrong")


def _data(file: IO[bytes], scan: Scan) -> Chunks:
    def chunks() -> Iterator[bytes]:
        for place, length in scan.data:
            file.seek(place)
            left = length
            while left and (piece := file.read(min(CHUNK, left))):
                left -= len(piece)
                yield piece

    return chunks


def _unpacks(scan: Scan, chunks: Chunks) -> None:
    """Raise Refused unless the data unpacks to exactly the rows that the header names."""
    unpacked, wanted = zlib.decompressobj(), (scan.row + 1) * scan.height
    try:
        for chunk in chunks():
            left = chunk
            while left and wanted >= 0 and not unpacked.eof:
                wanted -= len(unpacked.decompress(left, CHUNK))
                left = unpacked.unconsumed_tail
        wanted -= len(unpacked.flush(CHUNK))
    except zlib.error:
        raise Refused("image-damaged", "the PNG's data does not unpack") from None
    if wanted or not unpacked.eof:
        raise Refused("image-damaged", "the PNG's data is not as long as its header says")
