"""A TIFF as pages, one for each of its images, in the order of its directories.

Carried byte for byte: fax coding (G4, and G3 where PDF can name its form) and
JPEG, each in one strip. Bits that are stored low end first are turned around,
which PDF has no word for. Everything else is decoded to its exact pixels.

A directory that calls itself a reduced version of another image, and is smaller
than one that does not, is a thumbnail: no page, but a finding. Every other one
is a page, whatever it calls itself: no page is dropped (I11).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Final

from daemon.errors import Refused
from daemon.pages import frames, jpeg
from daemon.pages.ifd import Directory, directories
from daemon.pages.picture import (
    RESOLUTION_UNKNOWN,
    TURNS,
    Chunks,
    Picture,
    Turn,
    device_space,
    fitting_profile,
    part_of_file,
)

if TYPE_CHECKING:
    from PIL import Image

THUMBNAIL: Final = "thumbnail-left-out"

SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
FILL_ORDER, STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS, STRIP_COUNTS = 266, 273, 274, 277, 278, 279
PLANAR, T4_OPTIONS, T6_OPTIONS, TILES, EXTRA, FORMAT, TABLES, PROFILE = (
    284, 292, 293, 324, 338, 339, 347, 34675,
)  # fmt: skip
G3, G4, JPEG = 3, 4, 7
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, YCBCR = 0, 1, 2, 6
ASSOCIATED_ALPHA = 1
MOST_TABLES: Final = 1 << 16
MOST_PROFILE: Final = 4 << 20

_BACKWARDS: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True, slots=True)
class Frame:
    """One image of the file that is to be a page."""

    index: int
    """Its place among all directories."""
    directory: Directory
    width: int
    height: int

    @property
    def dpi(self) -> tuple[float, float] | None:
        """The dots per inch that the file names, if it does."""
        return jpeg.resolution(self.directory)

    @property
    def turn(self) -> Turn:
        """How the image wants to be shown."""
        return TURNS.get(self.directory.number(ORIENTATION, 1), Turn())


def frames_of(
    file: IO[bytes], size: int, max_pages: int, max_pixels: int
) -> tuple[tuple[Frame, ...], tuple[str, ...]]:
    """Return the images that are pages, and the findings about the rest; refuse too many."""
    found: list[Frame] = []
    # Thumbnails come on top, so a few more directories than pages are looked at.
    for index, directory in enumerate(directories(file, 2 * max_pages + 1)):
        width, height = directory.number(WIDTH, 0), directory.number(HEIGHT, 0)
        if width <= 0 or height <= 0:
            raise Refused("image-damaged", f"image {index + 1} of the TIFF has no size")
        if width * height > max_pixels:
            raise Refused("too-many-pixels", f"image {index + 1} has {width} x {height} pixels")
        _inside(directory, size, index)
        found.append(Frame(index, directory, width, height))
    pages = tuple(frame for frame in found if not _is_thumbnail(frame, found))
    if not pages:
        raise Refused("no-pages", "the TIFF has no images")
    if len(pages) > max_pages:
        raise Refused("too-many-pages", f"the TIFF has more than {max_pages} images")
    return pages, (THUMBNAIL,) if len(pages) < len(found) else ()


def pictures(file: IO[bytes], path: str, pages: tuple[Frame, ...]) -> Iterator[Picture]:
    """Yield a page for each image; each has to be written before the next is asked for."""
    with frames.opened(path, "tiff") as image:
        for frame in pages:
            picture = _carried(file, frame)
            if picture is None:
                _exact(frame)
            with frames.decoding():
                image.seek(frame.index)
                # Also for what is carried: a page that nobody can decode is refused now.
                image.load()
            if picture is None:
                picture = _decoded(image, frame)
            yield (
                picture
                if frame.dpi
                else replace(picture, findings=(*picture.findings, RESOLUTION_UNKNOWN))
            )


def _inside(directory: Directory, size: int, index: int) -> None:
    """Raise Refused if a strip, a tile or an entry lies beyond the end: the file was cut off."""
    if directory.reach > size:
        raise Refused("file-incomplete", f"the TIFF ends before what its image {index + 1} names")
    for offsets, counts in ((STRIP_OFFSETS, STRIP_COUNTS), (TILES, TILES + 1)):
        most = directory.count(offsets)
        if most > 1 << 20:
            raise Refused("image-damaged", f"image {index + 1} of the TIFF has {most} strips")
        for offset, count in zip(
            directory.numbers(offsets, most), directory.numbers(counts, most), strict=False
        ):
            if offset + count > size:
                raise Refused("file-incomplete", f"the TIFF ends within its image {index + 1}")


def _is_thumbnail(frame: Frame, among: list[Frame]) -> bool:
    return frame.directory.number(SUBFILE, 0) & 1 == 1 and any(
        other.directory.number(SUBFILE, 0) & 1 == 0
        and other.width > frame.width
        and other.height > frame.height
        for other in among
    )


def _carried(file: IO[bytes], frame: Frame) -> Picture | None:
    """Return the page whose stream is the file's own, or None where PDF cannot hold it."""
    directory = frame.directory
    if directory.count(STRIP_OFFSETS) != 1 or directory.count(TILES):
        return None
    if directory.number(STRIP_COUNTS, 0) <= 0:
        return None  # old writers left the length out where there was only one strip
    if directory.number(ROWS, frame.height) < frame.height or directory.number(PLANAR, 1) != 1:
        return None
    bits, samples = directory.numbers(BITS) or (1,), directory.number(SAMPLES, 1)
    photometric = directory.number(PHOTOMETRIC, -1)
    if (bits, samples) == ((1,), 1) and photometric in {WHITE_IS_ZERO, BLACK_IS_ZERO}:
        return _fax(file, frame, photometric)
    if directory.number(COMPRESSION, 1) == JPEG and set(bits) == {8}:
        return _jpeg(file, frame, photometric, samples)
    return None


def _fax(file: IO[bytes], frame: Frame, photometric: int) -> Picture | None:
    directory = frame.directory
    coding = directory.number(COMPRESSION, 1)
    options = directory.number(T4_OPTIONS if coding == G3 else T6_OPTIONS, 0)
    # Bit 1 allows uncompressed runs, which PDF has no word for.
    if coding not in {G3, G4} or options & 2:
        return None
    form = -1 if coding == G4 else options & 1
    start, length = directory.number(STRIP_OFFSETS, 0), directory.number(STRIP_COUNTS, 0)
    backwards = directory.number(FILL_ORDER, 1) == 2
    chunks = part_of_file(file, start, length)
    if backwards:
        chunks = _turned_around(chunks)
    file.seek(start + max(0, length - 8))
    end = file.read(min(8, length))
    if backwards:
        end = end.translate(_BACKWARDS)
    return Picture(
        width=frame.width,
        height=frame.height,
        entries=(
            b"/BitsPerComponent 1 /Filter /CCITTFaxDecode /DecodeParms << /K %d /Columns %d"
            b" /Rows %d /BlackIs1 %b%b >>"
            % (
                form,
                frame.width,
                frame.height,
                b"true" if photometric == BLACK_IS_ZERO else b"false",
                b"" if coding == G4 and _ends_its_block(end) else b" /EndOfBlock false",
            )
        ),
        colours=b"/DeviceGray",
        chunks=chunks,
        dpi=frame.dpi,
        turn=frame.turn,
    )


def _ends_its_block(end: bytes) -> bool:
    """Return whether the coded data ends with EOFB, at whatever bit."""
    bits = "".join(f"{byte:08b}" for byte in end).rstrip("0") if end else ""
    return bits.endswith("000000000001000000000001")


def _turned_around(chunks: Chunks) -> Chunks:
    def turned() -> Iterator[bytes]:
        for chunk in chunks():
            yield chunk.translate(_BACKWARDS)

    return turned


def _jpeg(file: IO[bytes], frame: Frame, photometric: int, samples: int) -> Picture | None:
    directory = frame.directory
    if (samples, photometric) not in {(1, BLACK_IS_ZERO), (3, YCBCR), (3, RGB)}:
        return None
    start, length = directory.number(STRIP_OFFSETS, 0), directory.number(STRIP_COUNTS, 0)
    try:
        scan = jpeg.scanned(file, start, start + length)
    except Refused:
        return None  # the decoder may still know it; if not, it says so
    fits = (scan.width, scan.height, len(scan.components)) == (frame.width, frame.height, samples)
    # The directory says how the colours are coded; a marker in the stream might say otherwise.
    if not fits or not scan.says_nothing:
        return None
    tables = directory.data(TABLES, MOST_TABLES)
    between = tables[2:-2] if tables[:2] == b"\xff\xd8" and tables[-2:] == b"\xff\xd9" else b""
    rest = part_of_file(file, start + 2, length - 2)

    def chunks() -> Iterator[bytes]:
        yield b"\xff\xd8" + between
        yield from rest()

    return Picture(
        width=frame.width,
        height=frame.height,
        entries=(
            b"/BitsPerComponent 8 /Filter /DCTDecode"
            + (jpeg.PLAIN_RGB if photometric == RGB else b"")
        ),
        colours=device_space(samples),
        chunks=chunks,
        dpi=frame.dpi,
        turn=frame.turn,
        icc=fitting_profile(directory.data(PROFILE, MOST_PROFILE), samples),
    )


def _exact(frame: Frame) -> None:
    """Raise Refused if Pillow would decode the image to other samples than it has."""
    directory = frame.directory
    bits = set(directory.numbers(BITS) or (1,))
    samples = directory.number(SAMPLES, 1)
    white_is_zero = directory.number(PHOTOMETRIC, -1) == WHITE_IS_ZERO
    if (
        bits - {1, 2, 4, 8, 16}
        or (16 in bits and (samples > 1 or white_is_zero))
        or set(directory.numbers(FORMAT)) - {1}
        or ASSOCIATED_ALPHA in directory.numbers(EXTRA)
    ):
        raise Refused(
            "image-unsupported",
            f"image {frame.index + 1} of the TIFF: {samples} samples of {max(bits)} bits",
        )


def _decoded(image: Image.Image, frame: Frame) -> Picture:
    # Pillow turns a TIFF's pixels upright while it decodes: nothing is left to turn.
    return frames.exactly(image, dpi=_upright(frame), turn=Turn())


def _upright(frame: Frame) -> tuple[float, float] | None:
    if frame.dpi is None or frame.turn.degrees in {0, 180}:
        return frame.dpi
    return frame.dpi[1], frame.dpi[0]
