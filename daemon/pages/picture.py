"""One page's image as a value, and the page that shows it.

A picture says how the PDF describes the image and where its bytes come from;
the bytes themselves are read only when they are written, piece by piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Final

from daemon.document import CHUNK

TRANSCODED: Final = "transcoded"
"""The finding for pixels that no stream of the scan could carry: coded anew, without loss."""
RESOLUTION_UNKNOWN: Final = "resolution-unknown"
"""The finding for an image that does not say how large its pixels are."""

USUAL_DPI: Final = 300.0
MOST_ASPECT: Final = 4.0
"""A fax's pixels are up to twice as high as wide; what says more than this says nothing."""
MOST_POINTS: Final = 14400.0
"""A page's longest side in units of its own (ISO 32000-1, annex C); larger ones get a UserUnit."""

Chunks = Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Turn:
    """How a reader has to show the image: mirrored left to right first, then turned clockwise."""

    degrees: int = 0
    mirrored: bool = False


TURNS: Final = {
    1: Turn(),
    2: Turn(0, mirrored=True),
    3: Turn(180),
    4: Turn(180, mirrored=True),
    5: Turn(270, mirrored=True),
    6: Turn(90),
    7: Turn(90, mirrored=True),
    8: Turn(270),
}
"""By the orientation tag of TIFF 6.0 and Exif 2.3; anything else means upright."""


@dataclass(frozen=True, slots=True)
class Density:
    """How large a pixel is, as far as the file says so."""

    dpi: tuple[float, float] | None = None
    """The dots per inch that the file names, if a scanner can have meant them."""
    aspect: float = 1.0
    """Dots per inch down the image, to those across it: known also without a unit."""

    @property
    def findings(self) -> tuple[str, ...]:
        """What a person has to know about it."""
        return () if self.dpi else (RESOLUTION_UNKNOWN,)

    @property
    def assumed(self) -> tuple[float, float]:
        """The dots per inch that the page is laid out with."""
        return self.dpi or (USUAL_DPI / max(1.0, self.aspect), USUAL_DPI * min(1.0, self.aspect))

    def turned(self, degrees: int) -> Density:
        """Return the same for the image as it is after it was turned."""
        if degrees in {0, 180}:
            return self
        return Density((self.dpi[1], self.dpi[0]) if self.dpi else None, 1 / self.aspect)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An image, ready to be written as one page."""

    width: int
    height: int
    entries: bytes
    """The image dictionary's source: filter, bits, decoding; no colour space where icc says it."""
    colours: bytes
    """The colour space's source; `%b` stands for the base space where it is indexed.

    Nothing where the stream says it itself, as JPEG 2000 does.
    """
    base: bytes = b""
    """The base of an indexed colour space."""
    chunks: Chunks
    """The stream's bytes."""
    density: Density = Density()
    turn: Turn = Turn()
    icc: bytes = b""
    """The colour profile that the image brings, if it fits."""
    mask: Picture | None = None
    """Its transparency."""
    findings: tuple[str, ...] = ()

    @property
    def dpi(self) -> tuple[float, float] | None:
        """The dots per inch that the file names, if it does."""
        return self.density.dpi

    @property
    def points(self) -> tuple[float, float, float]:
        """Width and height of the page in its own units, and the size of these in points."""
        x, y = self.density.assumed
        width, height = self.width * 72 / x, self.height * 72 / y
        unit = max(1.0, width / MOST_POINTS, height / MOST_POINTS)
        return width / unit, height / unit, unit


def density(x: float, y: float, inches: float) -> Density:
    """Return what *x* and *y* dots to so many inches say; 0 inches are no unit at all.

    Cameras and converters write 1 or 72 when they do not know; 72 can be true.
    """
    aspect = y / x if x > 0 and y > 0 else 1.0
    if not 1 / MOST_ASPECT <= aspect <= MOST_ASPECT:
        aspect = 1.0
    if inches > 0 and all(30 <= dots / inches <= 9600 for dots in (x, y)):
        return Density((x / inches, y / inches), aspect)
    return Density(None, aspect)


def fitting_profile(icc: bytes, components: int) -> bytes:
    """Return *icc* if it is a profile for so many components, else nothing."""
    spaces = {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4}
    if len(icc) < 128 or icc[36:40] != b"acsp" or spaces.get(icc[16:20]) != components:
        return b""
    return icc


def device_space(components: int) -> bytes:
    """Return the colour space of so many components, where no profile says it better."""
    return {1: b"/DeviceGray", 3: b"/DeviceRGB", 4: b"/DeviceCMYK"}[components]


def indexed(palette: bytes) -> bytes:
    """Return the colour space of numbers that stand for these colours, three bytes each."""
    return b"[ /Indexed %%b %d <%b> ]" % (len(palette) // 3 - 1, palette.hex().encode())


def part_of_file(file: IO[bytes], start: int, length: int) -> Chunks:
    """Return the bytes of *file* from *start* on; the file has to stay open until they are read."""

    def chunks() -> Iterator[bytes]:
        file.seek(start)
        left = length
        while left and (piece := file.read(min(CHUNK, left))):
            left -= len(piece)
            yield piece

    return chunks


def number(value: float) -> bytes:
    """Write a number as PDF does: no exponent, no needless digits."""
    return (f"{value:.4f}".rstrip("0").rstrip(".") or "0").encode()
