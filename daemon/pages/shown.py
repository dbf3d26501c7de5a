"""A wrapped image against its original: what each page shows, and how it shows it.

Nothing here comes from the code that wrapped the image. Pillow says what the
original holds, where its parts lie and how it wants to be turned; qpdf says
what the sealed file holds. Where the stream was carried it has to be the same
bytes; where it was not, every sample has to be the same. TIFFs: see `strips`.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from pikepdf import Array, Dictionary, Name
from PIL import Image

from daemon.pages import claimed, decoded, pixels, strips
from daemon.pages.frames import decoding, opened, quietly
from daemon.pages.graphs import Differ
from daemon.pages.page import Shown, carries, has_only, pieces_of, shown_by

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pikepdf import Pdf

ORIENTATION: Final = 0x0112


def same(
    original: str, kind: str, sealed: Pdf, field: Dictionary, max_pixels: int
) -> tuple[int, str]:
    """Return how many pages the sealed file has, and whether `streams` or `pixels` were compared.

    Raise Differ for any page that does not show its image of the *original*, as it wants to be.
    """
    # Whatever else hangs there could turn pages, hide them, or do something when one looks.
    claimed.only_pages(sealed)
    pages = [
        shown_by(page, field if number == 0 else None) for number, page in enumerate(sealed.pages)
    ]
    with opened(original, kind) as image, Path(original).open("rb") as file:
        if kind == "tiff":
            return strips.same(image, original, file, pages, max_pixels)
        if len(pages) != 1:
            raise Differ(f"one image became {len(pages)} pages")
        _bounded(image, max_pixels)
        if kind == "png":
            return 1, _png(image, original, file, pages[0])
        return 1, (_jp2 if kind == "jp2" else _jpeg)(image, file, pages[0])


def _bounded(image: Image.Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise Differ("the original has more pixels than may be decoded")


def _jpeg(image: Image.Image, file: IO[bytes], shown: Shown) -> str:
    _turned(image, shown)
    pixels.described(shown.image, image, bits=8)
    inverted = image.mode == "CMYK" and "adobe" in image.info
    decode = [float(value) for value in shown.image.get(Name.Decode, Array())]
    if decode != ([1, 0] * 4 if inverted else []) or shown.filter != "/DCTDecode":
        raise Differ("the sealed file decodes the JPEG otherwise")
    has_only(shown.image, "/ColorSpace", "/BitsPerComponent", "/Decode", "/DecodeParms")
    decoded.words_of(shown.image, frozenset({"/ColorTransform"}))
    carries(shown.image, pieces_of(file, 0, None))
    return "streams"


def _png(image: Image.Image, path: str, file: IO[bytes], shown: Shown) -> str:
    file.seek(8)
    chunks = list(_chunks(file))
    file.seek(chunks[0][1])
    width, height, bits, colour, _, _, interlaced = struct.unpack(">IIBBBBB", file.read(13))
    if "/DecodeParms" not in shown.image:
        pixels.equal(shown.image, image, path)
        _turned(image, shown)
        return "pixels"
    has_only(shown.image, "/ColorSpace", "/BitsPerComponent", "/DecodeParms", "/Mask")
    parameters = decoded.words_of(shown.image, decoded.PACKED_WORDS)
    colours = {0: 1, 2: 3, 3: 1}.get(colour, 0)
    described = [
        shown.filter == "/FlateDecode",
        parameters.get_int("/Predictor") == 15,
        parameters.get_int("/Colors") == colours,
        parameters.get_int("/BitsPerComponent") == bits == shown.image.get_int("/BitsPerComponent"),
        parameters.get_int("/Columns") == width == shown.image.get_int("/Width"),
        shown.image.get_int("/Height") == height,
        not interlaced,
        _mask_of(shown) == _transparent(file, chunks, colours),
    ]
    palette = [(place, length) for name, place, length in chunks if name == b"PLTE"]
    expected = b""
    if colour == 3:
        file.seek(palette[0][0])
        expected = file.read(palette[0][1])
    space, lookup = pixels.space_of(shown.image, image)
    if (
        not all(described)
        or lookup != expected
        or space != {1: "L", 3: "RGB"}[3 if lookup else colours]
    ):
        raise Differ("the sealed file describes the PNG otherwise")
    carries(
        shown.image,
        (
            piece
            for name, place, length in chunks
            if name == b"IDAT"
            for piece in pieces_of(file, place, length)
        ),
    )
    if any(name == b"eXIf" for name, _, _ in chunks):
        with decoding():
            image.load()  # the block may stand behind the image data
    _turned(image, shown)
    return "streams"


def _mask_of(shown: Shown) -> list[int]:
    mask = shown.image.get(Name.Mask, Array())
    return [int(value) for value in mask] if isinstance(mask, Array) else [-1]


def _transparent(file: IO[bytes], chunks: list[tuple[bytes, int, int]], colours: int) -> list[int]:
    """Return the one colour that stands for transparency, twice each sample; none without one."""
    for name, place, length in chunks:
        if name == b"tRNS":
            file.seek(place)
            values = struct.unpack(f">{colours}H", file.read(length)) if colours else ()
            return [value for value in values for _ in range(2)]
    return []


def _jp2(image: Image.Image, file: IO[bytes], shown: Shown) -> str:
    has_only(shown.image)  # the stream says its colours itself, and nobody else
    if shown.filter != "/JPXDecode" or decoded.size_of(shown.image) != image.size:
        raise Differ("the sealed file describes the JPEG 2000 file otherwise")
    if shown.turned != strips.UPRIGHT:
        raise Differ("a page of the sealed file is turned")
    carries(shown.image, pieces_of(file, 0, None))
    return "streams"


def _turned(image: Image.Image, shown: Shown) -> None:
    """Raise Differ unless the page is turned as the original's Exif block wants it."""
    block = image.info.get("exif")
    wanted = 1
    if isinstance(block, bytes):
        exif = Image.Exif()
        try:
            with quietly():
                exif.load(block)
            wanted = int(exif.get(ORIENTATION, 1))
        except (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error):
            wanted = 1
    if shown.turned != strips.TURNED.get(wanted, strips.UPRIGHT):
        raise Differ(f"the original wants to be shown as orientation {wanted}")


def _chunks(file: IO[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, place and length of each chunk of a PNG."""
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        yield name, file.tell(), length
        if name == b"IEND":
            return
        file.seek(length + 4, 1)
