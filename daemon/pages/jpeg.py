"""A JPEG as a page: the file's bytes, from the first to the last, are the stream.

The segments are read as far as PDF has to know what they say; the coded data is
only searched for the marker that ends it. `frames.decodes` sees whether a
decoder gets through.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import IO, Final

from daemon.document import CHUNK
from daemon.errors import Refused
from daemon.pages.ifd import Directory, directories
from daemon.pages.picture import (
    TURNS,
    Density,
    Picture,
    Turn,
    density,
    device_space,
    fitting_profile,
    part_of_file,
)

SOI, EOI, SOS = 0xD8, 0xD9, 0xDA
CARRIED: Final = (0xC0, 0xC1, 0xC2)
"""Baseline, extended and progressive Huffman coding: what DCTDecode takes (ISO 32000-1, 7.4.8)."""
FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
MOST_PROFILE: Final = 4 << 20
PLAIN_RGB: Final = b" /DecodeParms << /ColorTransform 0 >>"
PADDING: Final = b"\0\xff"
MOST_PADDING: Final = 1024
MOST_SEGMENTS: Final = 4096
"""A profile in 255 parts, ten scans with their tables: a tenth of this is much."""
NEAR: Final = 64
"""A segment follows the one before it; only coded data is long."""

_MARKER: Final = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
"""In coded data a marker is anything behind FF but a stuffed zero and the restarts."""


@dataclass(slots=True)
class Scan:
    """What the segments of one JPEG say."""

    frame: int = 0
    bits: int = 0
    width: int = 0
    height: int = 0
    components: tuple[int, ...] = ()
    jfif_density: tuple[int, int, int] = (0, 1, 1)
    jfif: bool = False
    adobe: int | None = None
    """The transform of Adobe's marker, where there is one."""
    exif: bytes = b""
    profile: bytes = b""
    end: int = 0
    """The offset after EOI."""

    @property
    def says_nothing(self) -> bool:
        """Whether no marker says how the colours are coded."""
        return not self.jfif and self.adobe is None

    @property
    def contradicts(self) -> bool:
        """Whether the markers disagree about it: JFIF is always YCbCr, Adobe's 0 is always RGB."""
        return len(self.components) == 3 and self.jfif and self.adobe == 0


def picture(file: IO[bytes], size: int, max_pixels: int) -> Picture:
    """Return the page for the JPEG in *file*, or refuse it."""
    scan = scanned(file, 0, size)
    if scan.width * scan.height > max_pixels:
        raise Refused("too-many-pixels", f"the image has {scan.width} x {scan.height} pixels")
    left = size - scan.end
    file.seek(scan.end)
    if left > MOST_PADDING or file.read(left).strip(PADDING):
        raise Refused("image-unsupported", f"{left} bytes follow the end of the image")
    count = len(scan.components)
    entries = b"/BitsPerComponent 8 /Filter /DCTDecode"
    if count == 4 and scan.adobe is not None:
        # Adobe's own CMYK is stored inverted, and its marker is how everybody knows.
        entries += b" /Decode [ 1 0 1 0 1 0 1 0 ]"
    if count == 4 and scan.adobe is None:
        raise Refused("image-unsupported", "the JPEG does not say which way its inks are meant")
    if count == 3 and scan.says_nothing and scan.components == tuple(b"RGB"):
        # Decoders go by these names; a PDF's reader takes it for YCbCr unless it is told.
        entries += PLAIN_RGB
    turn, found = _exif(scan)
    return Picture(
        width=scan.width,
        height=scan.height,
        entries=entries,
        colours=device_space(count),
        chunks=part_of_file(file, 0, size),
        density=found,
        turn=turn,
        icc=fitting_profile(scan.profile, count),
        findings=found.findings,
    )


def scanned(file: IO[bytes], start: int, end: int) -> Scan:
    """Read the segments of the JPEG between two offsets of *file*; refuse what PDF cannot hold."""
    scan = Scan()
    profile: list[bytes] = []
    place = start + 2
    file.seek(start)
    if file.read(2) != bytes((0xFF, SOI)):
        raise Refused("image-damaged", "the JPEG does not begin as one")
    for _ in range(MOST_SEGMENTS):
        marker, place = next_marker(file, place, end)
        if marker == EOI:
            break
        if marker == SOI or 0x01 <= marker < 0xC0:
            raise Refused("image-damaged", f"the JPEG has a marker {marker:02x} where none can be")
        file.seek(place)
        length = int.from_bytes(file.read(2), "big")
        if length < 2 or place + length > end:
            raise Refused("file-incomplete", "the JPEG ends within a segment")
        if marker in FRAMES or marker in {0xE0, 0xE1, 0xE2, 0xEE}:
            _segment(scan, marker, file.read(length - 2), profile)
        if marker == SOS and not scan.frame:
            raise Refused("image-damaged", "the JPEG has coded data before its frame")
        place += length
    else:
        raise Refused("image-damaged", "the JPEG has more segments than any needs")
    scan.end = place
    scan.profile = _whole(profile)
    _supported(scan)
    return scan


def _supported(scan: Scan) -> None:
    if not scan.frame:
        raise Refused("image-damaged", "the JPEG has no frame")
    if scan.frame not in CARRIED or scan.bits != 8 or not scan.height:
        raise Refused("image-unsupported", f"JPEG of process {scan.frame:02x}, {scan.bits} bits")
    if scan.contradicts:
        raise Refused("image-unsupported", "the JPEG says two things about its colours")
    if len(scan.components) not in {1, 3, 4} or not scan.width:
        raise Refused("image-unsupported", f"JPEG of {len(scan.components)} components")


def next_marker(file: IO[bytes], place: int, end: int) -> tuple[int, int]:
    """Return the next marker from *place* on, past coded data, and where it ends."""
    held = b""
    length = NEAR
    while place < end:
        file.seek(place)
        piece = file.read(min(length, end - place))
        if not piece:
            break
        window = held + piece
        found = _MARKER.search(window)
        if found is not None:
            return found[1][0], place - len(held) + found.end()
        place += len(piece)
        held = b"\xff" if window.endswith(b"\xff") else b""
        length = CHUNK
    raise Refused("file-incomplete", "the JPEG has no end")


def _segment(scan: Scan, marker: int, data: bytes, profile: list[bytes]) -> None:
    if marker in FRAMES:
        if scan.frame or len(data) < 6 or len(data) < 6 + 3 * data[5]:
            raise Refused("image-damaged", "the JPEG's frame cannot be read")
        scan.frame, scan.bits = marker, data[0]
        scan.height, scan.width = int.from_bytes(data[1:3], "big"), int.from_bytes(data[3:5], "big")
        scan.components = tuple(data[6 : 6 + 3 * data[5] : 3])
    elif marker == 0xE0 and data.startswith(b"JFIF\0") and len(data) >= 12:
        scan.jfif = True
        scan.jfif_density = (
            data[7],
            int.from_bytes(data[8:10], "big"),
            int.from_bytes(data[10:12], "big"),
        )
    elif marker == 0xE1 and data.startswith(b"Exif\0\0") and not scan.exif:
        scan.exif = data[6:]
    elif marker == 0xE2 and data.startswith(b"ICC_PROFILE\0") and len(data) > 14:
        if sum(map(len, profile)) + len(data) <= MOST_PROFILE:
            profile.append(data[12:])
    elif marker == 0xEE and data.startswith(b"Adobe") and len(data) >= 12:
        scan.adobe = data[11]


def _whole(parts: list[bytes]) -> bytes:
    """Return the profile of these parts, each behind its number and their count; none if one lacks."""
    found = sorted(parts)[:256]
    if len(found) > 255 or [part[:2] for part in found] != [
        bytes((n, len(found))) for n in range(1, len(found) + 1)
    ]:
        return b""
    return b"".join(part[2:] for part in found)


def _exif(scan: Scan) -> tuple[Turn, Density]:
    unit, x, y = scan.jfif_density
    turn, found = Turn(), density(x, y, {1: 1.0, 2: 1 / 2.54}.get(unit, 0.0))
    directory = exif_directory(scan.exif)
    if directory is not None:
        turn = TURNS.get(directory.number(0x0112, 1), Turn())
        if found.dpi is None and resolution(directory).dpi:
            found = resolution(directory)
    return turn, found


def exif_directory(exif: bytes) -> Directory | None:
    """Return the first directory of an Exif block, or None: a broken one says nothing."""
    try:
        # Some writers leave out where the next directory is, which nobody asks for.
        return next(directories(io.BytesIO(exif + bytes(4)), 1), None)
    except Refused:
        return None


def resolution(directory: Directory) -> Density:
    """Return how large a directory says its pixels are; the unit is an inch unless it says so."""
    inches = {2: 1.0, 3: 1 / 2.54}.get(directory.number(0x0128, 2), 0.0)
    return density(directory.ratio(0x011A), directory.ratio(0x011B), inches)
