"""One image of a TIFF: what its directory says of its samples, and where they lie.

Read from the directory alone and believed by nobody: what is carried because of
it is decoded, and what is decoded is compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from daemon.errors import Refused
from daemon.pages.ifd import Directory
from daemon.pages.jpeg import resolution
from daemon.pages.picture import TURNS, Density, Turn, fitting_profile

SUBFILE, OLD_SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = (
    254, 255, 256, 257, 258, 259, 262,
)  # fmt: skip
FILL_ORDER, STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS, STRIP_COUNTS = 266, 273, 274, 277, 278, 279
PLANAR, T4_OPTIONS, T6_OPTIONS, PREDICTOR, COLOURS = 284, 292, 293, 317, 320
TILE_WIDTH, TILE_HEIGHT = 322, 323
TILES, TILE_COUNTS, CHILDREN, INKS, DOT_RANGE, EXTRA, FORMAT, TABLES = (
    324, 325, 330, 332, 336, 338, 339, 347,
)  # fmt: skip
JPEG_START, JPEG_LENGTH, PROFILE = 513, 514, 34675

PLAIN, RLE, G3, G4, LZW, OLD_JPEG, JPEG, DEFLATE, OLD_DEFLATE, PACKBITS = (
    1, 2, 3, 4, 5, 6, 7, 8, 32946, 32773,
)  # fmt: skip
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, SEPARATED, YCBCR = 0, 1, 2, 3, 5, 6
COMPONENTS: Final = {
    WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, SEPARATED: 4, YCBCR: 3,
}  # fmt: skip
"""Samples of a pixel's colour; what a pixel has besides is an extra sample."""
MOST_STRIPS: Final = 1 << 20
MOST_PROFILE: Final = 4 << 20

Strip = tuple[int, int]
"""Offset and length."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One image of the file that is to be a page."""

    index: int
    """Its place among all directories."""
    directory: Directory
    width: int
    height: int

    @property
    def density(self) -> Density:
        """How large its pixels are."""
        return resolution(self.directory)

    @property
    def turn(self) -> Turn:
        """How the image wants to be shown."""
        return TURNS.get(self.directory.number(ORIENTATION, 1), Turn())

    @property
    def bits(self) -> int:
        """The bits of each sample; 0 where they differ."""
        bits = set(self.directory.numbers(BITS)) or {1}
        return bits.pop() if len(bits) == 1 else 0

    @property
    def samples(self) -> int:
        """The samples of each pixel."""
        return self.directory.number(SAMPLES, 1)

    @property
    def photometric(self) -> int:
        """What the samples mean; -1 where nothing says so."""
        return self.directory.number(PHOTOMETRIC, -1)

    @property
    def compression(self) -> int:
        """How the strips are packed."""
        return self.directory.number(COMPRESSION, PLAIN)

    @property
    def backwards(self) -> bool:
        """Whether the first bit of a byte is its lowest."""
        return self.directory.number(FILL_ORDER, 1) == 2

    @property
    def rows(self) -> int:
        """The rows of each strip but the last."""
        return min(self.directory.number(ROWS, self.height), self.height) or self.height

    @property
    def icc(self) -> bytes:
        """The colour profile, if it fits."""
        components = 3 if self.photometric == PALETTE else self.samples
        return fitting_profile(self.directory.data(PROFILE, MOST_PROFILE), components)

    def strips(self) -> tuple[Strip, ...]:
        """Return the strips from top to bottom; none where they are tiles, planes, or not in order."""
        directory = self.directory
        count = -(-self.height // self.rows)
        if (
            directory.count(TILES)
            or (directory.number(PLANAR, 1) != 1 and self.samples > 1)
            or count > MOST_STRIPS
            or directory.count(STRIP_OFFSETS) != count
            or directory.count(STRIP_COUNTS) != count
        ):
            return ()
        offsets = directory.numbers(STRIP_OFFSETS, count)
        lengths = directory.numbers(STRIP_COUNTS, count)
        if len(offsets) != count or len(lengths) != count or min(lengths) <= 0 or min(offsets) < 0:
            return ()  # also of old writers, who left the length of an only strip out
        strips = tuple(zip(offsets, lengths, strict=True))
        # More than there can be without overlapping: put together they would have no end.
        return strips if sum(lengths) <= max(start + length for start, length in strips) else ()

    def palette(self) -> bytes:
        """Return the palette's colours, three bytes each; refuse one that has more than eight bits."""
        size = 1 << self.bits
        held = self.directory.numbers(COLOURS, 3 * size)
        if len(held) != 3 * size or self.directory.count(COLOURS) != 3 * size:
            raise Refused("image-damaged", "a palette of the TIFF does not fit its samples")
        # Eight bits are stored as their upper half, with zeros or with themselves below.
        if any(value & 255 not in {0, value >> 8} for value in held):
            raise Refused("image-unsupported", "a palette of the TIFF has 16 bits of a colour")
        reds, greens, blues = (held[at : at + size] for at in range(0, 3 * size, size))
        return bytes(
            value >> 8 for colour in zip(reds, greens, blues, strict=True) for value in colour
        )
