"""A TIFF as pages, one for each of its images, in the order of its directories.

Each page shows one image: strips that PDF could hold only as images of their own
are not carried as such, because readers show lines where these meet. Carried are
fax coding (`fax`), JPEG (`tiffjpeg`) and lossless packing (`packed`), in one strip
or wherever strips can be joined. Everything else is decoded to its exact pixels,
and what Pillow would not decode exactly is refused.

A directory that calls itself a reduced version of another image, and is smaller
than one that does not, is a thumbnail: no page, but a finding. Every other one
is a page, whatever it calls itself: no page is dropped (I11).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Final

from daemon.errors import Refused
from daemon.pages import fax, frames, packed, tiffjpeg
from daemon.pages.ifd import Directory, directories
from daemon.pages.layout import (
    BITS,
    BLACK_IS_ZERO,
    CHILDREN,
    COLOURS,
    COMPONENTS,
    COMPRESSION,
    DEFLATE,
    DOT_RANGE,
    EXTRA,
    FILL_ORDER,
    FORMAT,
    G3,
    G4,
    HEIGHT,
    INKS,
    JPEG,
    JPEG_LENGTH,
    JPEG_START,
    LZW,
    MOST_STRIPS,
    OLD_DEFLATE,
    OLD_JPEG,
    OLD_SUBFILE,
    ORIENTATION,
    PACKBITS,
    PALETTE,
    PHOTOMETRIC,
    PLAIN,
    PLANAR,
    PREDICTOR,
    RLE,
    ROWS,
    SAMPLES,
    SEPARATED,
    STRIP_COUNTS,
    STRIP_OFFSETS,
    SUBFILE,
    T4_OPTIONS,
    T6_OPTIONS,
    TILE_COUNTS,
    TILE_HEIGHT,
    TILE_WIDTH,
    TILES,
    WHITE_IS_ZERO,
    WIDTH,
    YCBCR,
    Frame,
)
from daemon.pages.picture import Picture, Turn

if TYPE_CHECKING:
    from PIL import Image

THUMBNAIL: Final = "thumbnail-left-out"

DECODED: Final = frozenset({
    PLAIN, RLE, G3, G4, LZW, OLD_JPEG, JPEG, DEFLATE, OLD_DEFLATE, PACKBITS,
})  # fmt: skip
ASSOCIATED, UNASSOCIATED = 1, 2
"""Alpha that is multiplied into the colours already, and alpha that is not."""
ONE_NUMBER: Final = (
    WIDTH, HEIGHT, COMPRESSION, PHOTOMETRIC, FILL_ORDER, SAMPLES, ROWS, PLANAR, PREDICTOR,
    T4_OPTIONS, T6_OPTIONS, JPEG_START, JPEG_LENGTH, ORIENTATION, SUBFILE, OLD_SUBFILE,
)  # fmt: skip
NUMBERS: Final = (BITS, EXTRA, FORMAT, COLOURS, STRIP_OFFSETS, STRIP_COUNTS, TILES, TILE_COUNTS)
REDUCED, PAGE = 1, 2
"""Bits of the subfile's type; others make it a layer or a mask of something else."""
OLD_REDUCED: Final = 2
CMYK_INKS: Final = 1


def frames_of(
    file: IO[bytes], size: int, max_pages: int, max_pixels: int
) -> tuple[tuple[Frame, ...], tuple[str, ...]]:
    """Return the images that are pages, and the findings about the rest; refuse too many."""
    found: list[Frame] = []
    hidden = parts = 0
    # Thumbnails come on top, so more directories than pages are looked at.
    for index, directory in enumerate(directories(file, 2 * max_pages + 2)):
        if index > 2 * max_pages:
            raise Refused("too-many-pages", f"the TIFF has more than {2 * max_pages} directories")
        if directory.big and directory.order == ">":
            # Pillow cannot read it, and no scanner is known to write it.
            raise Refused("image-unsupported", "a BigTIFF that stores the high byte first")
        if directory.number(SUBFILE, 0) & ~(REDUCED | PAGE):
            raise Refused("image-unsupported", f"image {index + 1} of the TIFF is a layer")
        frame = _frame(directory, index, max_pixels)
        parts += _inside(directory, size, index)
        if parts > size:
            raise Refused("image-damaged", f"the TIFF names {parts} strips in {size} bytes")
        for child in directory.children(CHILDREN):
            if not (_is_reduced(child) and _is_smaller(_frame(child, index, max_pixels), frame)):
                raise Refused("image-unsupported", f"image {index + 1} of the TIFF hides another")
            hidden += 1
        found.append(frame)
    reduced = {frame.index for frame in found if _is_reduced(frame.directory)}
    full = [frame for frame in found if frame.index not in reduced]
    pages = tuple(
        frame
        for frame in found
        if frame.index not in reduced or not any(_is_smaller(frame, other) for other in full)
    )
    if not pages:
        raise Refused("no-pages", "the TIFF has no images")
    if len(pages) > max_pages:
        raise Refused("too-many-pages", f"the TIFF has more than {max_pages} images")
    return pages, (THUMBNAIL,) if hidden or len(pages) < len(found) else ()


def pictures(path: str, size: int, pages: tuple[Frame, ...]) -> Iterator[Picture]:
    """Yield a page for each image; each has to be written before the next is asked for."""
    with frames.opened(path, "tiff") as image:
        for frame in pages:
            picture = _carried(frame, size)
            if picture is None:
                _exact(frame)
            frames.seek(image, frame.index)
            _agree(image, frame)
            if fax.is_fax(frame):
                fax.load(image, path, frame)
                joined = picture is not None and len(frame.strips()) > 1
                if (
                    picture is None
                    or (joined and not fax.is_same(picture, frame, image))
                    or not fax.is_usual(picture, frame)
                ):
                    picture = fax.recoded(image, frame.density.turned(frame.turn.degrees))
            elif picture is None:
                picture = _decoded(image, path, frame)
            else:
                frames.loaded(image, path)  # what nobody can decode is refused now
            yield replace(picture, findings=(*picture.findings, *frame.density.findings))


def _frame(directory: Directory, index: int, max_pixels: int) -> Frame:
    if not (
        all(map(directory.single, ONE_NUMBER))
        and all(map(directory.whole, NUMBERS))
        and directory.number(PLANAR, 1) in {1, 2}
        and directory.number(FILL_ORDER, 1) in {1, 2}
        and directory.number(ROWS, 1) > 0
        and directory.count(BITS) in {0, 1, directory.number(SAMPLES, 1)}
    ):
        raise Refused("image-damaged", f"image {index + 1} of the TIFF says what cannot be")
    width, height = directory.number(WIDTH, 0), directory.number(HEIGHT, 0)
    if width <= 0 or height <= 0:
        raise Refused("image-damaged", f"image {index + 1} of the TIFF has no size")
    if width * height > max_pixels:
        raise Refused("too-many-pixels", f"image {index + 1} has {width} x {height} pixels")
    frame = Frame(index, directory, width, height)
    if frame.compression != OLD_JPEG:
        _fits(directory, frame)
    return frame


def _fits(directory: Directory, frame: Frame) -> None:
    """Raise Refused unless there are as many strips, or tiles, as the rows need.

    Of others readers take what they are, or what the rows need, and leave out the rest.
    """
    planes = 1 if directory.number(PLANAR, 1) == 1 else frame.samples
    across = -(-frame.width // (directory.number(TILE_WIDTH, 0) or frame.width))
    down = -(-frame.height // (directory.number(TILE_HEIGHT, 0) or frame.height))
    for offsets, lengths, wanted in (
        (STRIP_OFFSETS, STRIP_COUNTS, -(-frame.height // frame.rows)),
        (TILES, TILE_COUNTS, across * down),
    ):
        found = directory.count(offsets)
        if found and not (found == wanted * planes and directory.count(lengths) in {0, found}):
            raise Refused(
                "image-damaged", f"image {frame.index + 1} of the TIFF has {found} strips"
            )


def _inside(directory: Directory, size: int, index: int) -> int:
    """Return how many strips and tiles there are; refuse any that lies beyond the file's end."""
    if directory.reach > size:
        raise Refused("file-incomplete", f"the TIFF ends before what its image {index + 1} names")
    parts = 0
    for offsets, counts in ((STRIP_OFFSETS, STRIP_COUNTS), (TILES, TILE_COUNTS)):
        most = directory.count(offsets)
        parts += most
        if most > MOST_STRIPS:
            raise Refused("image-damaged", f"image {index + 1} of the TIFF has {most} strips")
        places, lengths = directory.numbers(offsets, most), directory.numbers(counts, most)
        if len(places) != most or len(lengths) != directory.count(counts):
            raise Refused("image-damaged", f"image {index + 1} of the TIFF lies nowhere")
        for offset, count in zip(places, lengths, strict=False):
            if offset < 0 or count < 0:
                raise Refused("image-damaged", f"image {index + 1} of the TIFF lies nowhere")
            if offset + count > size:
                raise Refused("file-incomplete", f"the TIFF ends within its image {index + 1}")
    return parts


def _is_reduced(directory: Directory) -> bool:
    if directory.count(SUBFILE):
        return directory.number(SUBFILE, 0) & REDUCED == REDUCED
    return directory.number(OLD_SUBFILE, 0) == OLD_REDUCED


def _is_smaller(one: Frame, other: Frame) -> bool:
    return one.width < other.width and one.height < other.height


def _carried(frame: Frame, size: int) -> Picture | None:
    """Return the page whose stream is the file's own, or None where PDF cannot hold it."""
    if frame.compression == OLD_JPEG:
        return tiffjpeg.old(frame, size)
    if set(frame.directory.numbers(FORMAT)) - {1} or not _plain_inks(frame):
        return None
    if fax.is_fax(frame):
        return fax.carried(frame)
    if frame.compression == JPEG:
        return tiffjpeg.carried(frame)
    return packed.carried(frame)


def _plain_inks(frame: Frame) -> bool:
    """Return whether four samples are the four inks, and more of them is more ink."""
    directory = frame.directory
    return frame.photometric != SEPARATED or (
        directory.number(INKS, CMYK_INKS) == CMYK_INKS
        and set(directory.numbers(DOT_RANGE)[0::2]) <= {0}
    )


def _exact(frame: Frame) -> None:
    """Raise Refused if Pillow would decode the image to other samples than it has."""
    directory, photometric = frame.directory, frame.photometric
    if photometric < 0 and fax.CODINGS & {frame.compression}:
        photometric = WHITE_IS_ZERO  # as every reader takes a fax that says nothing
    extra = frame.samples - COMPONENTS.get(photometric, 0)
    deep, planes = frame.bits == 16, directory.number(PLANAR, 1)
    if (
        photometric not in COMPONENTS
        or frame.compression not in DECODED
        or frame.bits not in {1, 2, 4, 8, 16}
        or set(directory.numbers(FORMAT)) - {1}
        or not _plain_inks(frame)
        # What an extra sample is has to be said: taken for alpha, it can make a page vanish.
        or directory.numbers(EXTRA) not in ([()] if not extra else [(ASSOCIATED,), (UNASSOCIATED,)])
        # Converted to RGB on the way: rounded, except by JPEG's own decoder, as everywhere.
        or (photometric == YCBCR and (frame.compression, planes) != (JPEG, 1))
        or (deep and (photometric in {WHITE_IS_ZERO, PALETTE} or frame.backwards))
        or (deep and photometric != BLACK_IS_ZERO and planes != 1)
    ):
        raise Refused(
            "image-unsupported",
            f"image {frame.index + 1} of the TIFF: {frame.samples} samples of {frame.bits} bits,"
            f" kind {photometric}, packed as {directory.number(COMPRESSION, PLAIN)}",
        )
    if photometric == PALETTE:
        frame.palette()


def _agree(image: Image.Image, frame: Frame) -> None:
    """Raise Refused if Pillow takes another of two contradicting tags for the size."""
    tags = image.tag_v2  # type: ignore[attr-defined]
    if (tags.get(WIDTH), tags.get(HEIGHT)) != (frame.width, frame.height):
        raise Refused("image-damaged", f"image {frame.index + 1} of the TIFF has two sizes")


def _decoded(image: Image.Image, path: str, frame: Frame) -> Picture:
    # Pillow turns a TIFF's pixels upright while it decodes: nothing is left to turn.
    density = frame.density.turned(frame.turn.degrees)
    associated = ASSOCIATED in frame.directory.numbers(EXTRA)
    return frames.exactly(image, density=density, turn=Turn(), path=path, opaque=associated)
