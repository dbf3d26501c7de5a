"""A PNG as a page: its compressed data is carried over, because PDF knows PNG's filters.

That holds for whatever is not interlaced, and has no transparency but one colour
that stands for it. The data is unpacked once, to see that it is whole, and thrown
away piece by piece. Any other PNG is decoded to its exact samples, and its
transparency becomes a mask.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import IO, Final

from daemon.document import CHUNK
from daemon.errors import Refused
from daemon.pages import frames
from daemon.pages.jpeg import MOST_PADDING, MOST_PROFILE, PADDING, exif_directory
from daemon.pages.picture import (
    TURNS,
    Chunks,
    Density,
    Picture,
    Turn,
    density,
    device_space,
    fitting_profile,
    indexed,
)

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
SAMPLES: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples per pixel, by colour type."""
DEPTHS: Final = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
INDEXED: Final = 3
READ: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"pHYs", b"iCCP", b"eXIf"})
MOST_READ: Final = 8 << 20
MOST_CHUNKS: Final = 1 << 17
MOST_FILTER: Final = 4
"""The highest number of a row's filter (PNG 1.2, 6.1); readers do anything with others."""


@dataclass(slots=True)
class Scan:
    """What the chunks of one PNG say."""

    width: int = 0
    height: int = 0
    depth: int = 0
    colour: int = 0
    interlaced: bool = False
    transparent: bool = False
    """Whether some of its colours let through what is behind them."""
    animated: bool = False
    held: dict[bytes, bytes] = field(default_factory=dict)
    """The contents of the chunks that are read."""
    data: list[tuple[int, int]] = field(default_factory=list)
    """Offset and length of each piece of image data."""

    @property
    def carried(self) -> bool:
        """Whether PDF can hold the compressed data as it is."""
        through_palette = self.transparent and self.colour == INDEXED
        return not (self.interlaced or through_palette or self.colour in {4, 6})

    @property
    def row(self) -> int:
        """Bytes of one row, without its filter's number."""
        return (self.width * SAMPLES[self.colour] * self.depth + 7) // 8


def picture(file: IO[bytes], path: str, size: int, max_pixels: int) -> Picture:
    """Return the page for the PNG in *file*, at *path*, or refuse it."""
    scan = scanned(file, size, max_pixels)
    if not scan.carried and scan.transparent and scan.colour != INDEXED:
        # Pillow compares the one transparent colour with what it made of the samples.
        raise Refused("image-unsupported", "an interlaced PNG with a transparent colour")
    found, turned = resolution(scan), turn(scan)
    # What the comparison could not open later is refused now. Its pixels outlive its file.
    with frames.opened(path, "png") as image:
        if not scan.carried:
            made = frames.exactly(image, density=found, turn=turned, path=path)
            frames.turns(image, turned)
            return replace(made, findings=(*made.findings, *found.findings))
        palette = scan.held.get(b"PLTE", b"")
        short = scan.colour == INDEXED and len(palette) < 3 << scan.depth
        if short or b"eXIf" in scan.held:
            with frames.decoding():
                image.load()
            frames.turns(image, turned)
        highest: object = image.getextrema()[1] if short else 0
    if short and not (isinstance(highest, int) and 3 * highest < len(palette)):
        raise Refused("image-damaged", "the PNG's pixels have colours that it lacks")
    return carried(file, scan)


def scanned(file: IO[bytes], size: int, max_pixels: int) -> Scan:
    """Read the chunks of the PNG in *file*; refuse what is broken or too large."""
    scan = Scan()
    place = len(SIGNATURE)
    for _ in range(MOST_CHUNKS):
        file.seek(place)
        head = file.read(8)
        length, name = int.from_bytes(head[:4], "big"), head[4:]
        if len(head) < 8 or place + 12 + length > size:
            raise Refused("file-incomplete", "the PNG ends within a chunk")
        _checked(file, name, length)
        if (place == len(SIGNATURE)) != (name == b"IHDR"):
            raise Refused("image-damaged", "the PNG does not begin with its header")
        if name == b"IDAT" and scan.data and place != sum(scan.data[-1]) + 4:
            # PNG 1.2, 4.1.3: one behind the other; some readers stop at what is between them.
            raise Refused("image-damaged", "the PNG's image data is interrupted")
        if name in READ and (name in scan.held or (scan.data and name != b"eXIf")):
            # PNG 1.2, 4.3: once, and in front; some readers take the first, others the last.
            raise Refused("image-damaged", "a part of the PNG stands where it cannot be")
        _chunk(scan, file, name, place + 8, length)
        if name == b"IHDR":
            _header(scan, max_pixels)
        place += 12 + length
        if name == b"IEND":
            break
    else:
        raise Refused("image-damaged", "the PNG has more chunks than any needs")
    file.seek(place)
    if scan.animated or size - place > MOST_PADDING or file.read().strip(PADDING):
        raise Refused("image-unsupported", "the PNG holds more than one image")
    return scan


def carried(file: IO[bytes], scan: Scan) -> Picture:
    """Return the page whose stream is the PNG's own; refuse data that does not unpack."""
    chunks = _data(file, scan)
    _unpacks(scan, chunks)
    count = SAMPLES[scan.colour]
    colours, base = device_space(count), b""
    palette = scan.held.get(b"PLTE", b"")
    if scan.colour == INDEXED:
        if not 3 <= len(palette) <= 3 << scan.depth or len(palette) % 3:
            raise Refused("image-damaged", "the PNG's palette does not fit")
        base, colours = device_space(3), indexed(palette)
    found = resolution(scan)
    entries = (
        b"/BitsPerComponent %d /Filter /FlateDecode /DecodeParms << /Predictor 15 /Colors %d"
        b" /BitsPerComponent %d /Columns %d >>" % (scan.depth, count, scan.depth, scan.width)
    )
    if scan.transparent:
        entries += b" /Mask [ %b]" % _transparent(scan, count)
    return Picture(
        width=scan.width,
        height=scan.height,
        entries=entries,
        colours=colours,
        base=base,
        chunks=chunks,
        density=found,
        turn=turn(scan),
        icc=profile(scan, 3 if base else count),
        findings=found.findings,
    )


def _transparent(scan: Scan, count: int) -> bytes:
    """Return the one transparent colour as PDF has it: from and to, for each sample."""
    held = scan.held.get(b"tRNS", b"")
    values = [int.from_bytes(held[at : at + 2], "big") for at in range(0, len(held), 2)]
    if len(held) != 2 * count or max(values) >= 1 << scan.depth:
        raise Refused("image-damaged", "the PNG's transparent colour is none of its colours")
    return b"".join(b"%d %d " % (value, value) for value in values)


def resolution(scan: Scan) -> Density:
    """Return how large the PNG says its pixels are."""
    data = scan.held.get(b"pHYs", b"")
    if len(data) != 9:
        return Density()
    x, y = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big")
    return density(x, y, 1 / 0.0254 if data[8] == 1 else 0.0)


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
        scan.held[name] = file.read(length)
    if name == b"IDAT":
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
    if (
        scan.depth not in DEPTHS.get(scan.colour, ())
        or not scan.width
        or not scan.height
        or data[10:12] != b"\0\0"  # the only compression and the only filters that there are
        or data[12] > 1
    ):
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
    filters = 0
    try:
        for chunk in chunks():
            left = chunk
            while left and wanted >= 0 and not unpacked.eof:
                piece = unpacked.decompress(left, CHUNK)
                of_rows = piece[wanted % (scan.row + 1) :: scan.row + 1]
                filters = max(filters, max(of_rows, default=0))
                wanted -= len(piece)
                left = unpacked.unconsumed_tail
        wanted -= len(unpacked.flush(CHUNK))
    except zlib.error:
        raise Refused("image-damaged", "the PNG's data does not unpack") from None
    if wanted or not unpacked.eof or filters > MOST_FILTER:
        raise Refused("image-damaged", "the PNG's data is not as long as its header says")
