"""A wrapped image against its original: what each page shows, and how it shows it.

Nothing here comes from the code that wrapped the image. Pillow says what the
original holds, where its strips lie and how it wants to be turned; qpdf says
what the sealed file holds. Where the stream was carried it has to be the same
bytes; where it was not, every sample has to be the same. A fax or a JPEG out of
a TIFF is decoded besides: its bytes alone do not say which of them are black.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from pikepdf import Array, Dictionary, Name
from PIL import Image

from daemon.pages import pixels
from daemon.pages.frames import decoding, opened
from daemon.pages.graphs import Differ
from daemon.pages.page import Shown, carries, pieces_of, shown_by

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pikepdf import Pdf

_CATALOG: Final = frozenset({"/Type", "/Pages", "/Metadata", "/AcroForm", "/Perms"})
_TREE: Final = frozenset({"/Type", "/Count", "/Kids"})
ORIENTATION: Final = 0x0112
TURNED: Final = {
    1: (0, False),
    2: (0, True),
    3: (180, False),
    4: (180, True),
    5: (270, True),
    6: (90, False),
    7: (90, True),
    8: (270, False),
}
BACKWARDS: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def same(
    original: str, kind: str, sealed: Pdf, field: Dictionary, max_pixels: int
) -> tuple[int, str]:
    """Return how many pages the sealed file has, and whether `streams` or `pixels` were compared.

    Raise Differ for any page that does not show its image of the *original*, as it wants to be.
    """
    # Whatever else hangs there could turn pages, hide them, or do something when one looks.
    if set(sealed.Root.keys()) - _CATALOG or set(sealed.Root.Pages.keys()) != _TREE:
        raise Differ("the sealed file holds more than its pages")
    pages = [
        shown_by(page, field if number == 0 else None) for number, page in enumerate(sealed.pages)
    ]
    with opened(original, kind) as image, Path(original).open("rb") as file:
        if kind == "tiff":
            return _tiff(image, file, pages, max_pixels)
        if len(pages) != 1:
            raise Differ(f"one image became {len(pages)} pages")
        _bounded(image, max_pixels)
        if kind == "jpeg":
            return 1, _jpeg(image, file, pages[0])
        return 1, _png(image, file, pages[0])


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
    carries(shown.image, pieces_of(file, 0, None))
    return "streams"


def _png(image: Image.Image, file: IO[bytes], shown: Shown) -> str:
    file.seek(8)
    chunks = list(_chunks(file))
    file.seek(chunks[0][1])
    width, height, bits, colour, _, _, interlaced = struct.unpack(">IIBBBBB", file.read(13))
    if "/DecodeParms" not in shown.image:
        pixels.equal(shown.image, image)
        _turned(image, shown)
        return "pixels"
    parameters = shown.image.DecodeParms
    colours = {0: 1, 2: 3, 3: 1}.get(colour, 0)
    described = [
        shown.filter == "/FlateDecode",
        parameters.get_int("/Predictor") == 15,
        parameters.get_int("/Colors") == colours,
        parameters.get_int("/BitsPerComponent") == bits == shown.image.get_int("/BitsPerComponent"),
        parameters.get_int("/Columns") == width == shown.image.get_int("/Width"),
        shown.image.get_int("/Height") == height,
        not interlaced,
        not any(name == b"tRNS" for name, _, _ in chunks),
        "/SMask" not in shown.image,
        "/Decode" not in shown.image,
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


def _tiff(
    image: Image.Image, file: IO[bytes], pages: list[Shown], max_pixels: int
) -> tuple[int, str]:
    compared = "streams"
    wanted = iter(pages)
    for index in _page_indexes(image):
        shown = next(wanted, None)
        if shown is None:
            raise Differ("the original has more images than the sealed file has pages")
        with decoding():
            image.seek(index)
        _bounded(image, max_pixels)
        if shown.filter == "/FlateDecode":
            if shown.turned != (0, False):
                raise Differ("a page of the sealed file is turned")
            with decoding():
                image.load()  # turns it upright
            pixels.equal(shown.image, image)
            compared = "pixels"
        else:
            _carried(image, shown)
            carries(shown.image, _strip(image, file, shown))
            with decoding():
                image.load()
            pixels.equal_upright(shown.image, shown.turned, image)
    if next(wanted, None) is not None:
        raise Differ("the sealed file has more pages than the original has images")
    return len(pages), compared


def _carried(image: Image.Image, shown: Shown) -> None:
    """Raise Differ unless the page describes a carried strip by nothing but what it is.

    What is left then (K, BlackIs1, ColorTransform) shows when it is decoded.
    """
    held = shown.image
    size = held.get_int(Name.Width), held.get_int(Name.Height)
    parameters = held.get(Name.DecodeParms, Dictionary())
    fax = shown.filter == "/CCITTFaxDecode"
    if fax:
        known = {"/K", "/BlackIs1", "/EndOfBlock", "/Columns", "/Rows"}
        expected = (parameters.get_int("/Columns"), parameters.get_int("/Rows")) == size
    else:
        known = {"/ColorTransform"}
        expected = shown.filter == "/DCTDecode"
    if (
        not expected
        or set(parameters.keys()) - known
        or "/Decode" in held
        or "/SMask" in held
        or held.get_int(Name.BitsPerComponent) != (1 if fax else 8)
        or pixels.space_of(held, image) != ("L" if image.mode == "1" else image.mode, b"")
    ):
        raise Differ("the sealed file describes a strip otherwise")


def _page_indexes(image: Image.Image) -> list[int]:
    """Return which images of the TIFF are pages: all but reduced versions of larger ones."""
    found: list[tuple[bool, int, int]] = []
    with decoding():
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            tags = image.tag_v2  # type: ignore[attr-defined]
            found.append((bool(tags.get(254, 0) & 1), tags[256], tags[257]))
    full = [(width, height) for reduced, width, height in found if not reduced]
    return [
        index
        for index, (reduced, width, height) in enumerate(found)
        if not (reduced and any(w > width and h > height for w, h in full))
    ]


def _strip(image: Image.Image, file: IO[bytes], shown: Shown) -> Iterator[bytes]:
    """Yield the one strip of the frame, with its tables in front where it has some."""
    tags = image.tag_v2  # type: ignore[attr-defined]
    offsets, counts = tags.get(273, ()), tags.get(279, ())
    if len(offsets) != 1 or len(counts) != 1:
        raise Differ("the sealed file carries one of several strips")
    start, length = offsets[0], counts[0]
    if shown.filter == "/DCTDecode":
        tables = tags.get(347, b"")
        yield b"\xff\xd8" + tables[2:-2]
        start, length = start + 2, length - 2
    for piece in pieces_of(file, start, length):
        yield piece.translate(BACKWARDS) if tags.get(266, 1) == 2 else piece


def _turned(image: Image.Image, shown: Shown) -> None:
    """Raise Differ unless the page is turned as the original's Exif block wants it."""
    block = image.info.get("exif")
    wanted = 1
    if isinstance(block, bytes):
        exif = Image.Exif()
        try:
            exif.load(block)
            wanted = int(exif.get(ORIENTATION, 1))
        except (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error):
            wanted = 1
    if shown.turned != TURNED.get(wanted, (0, False)):
        raise Differ(f"the original wants to be shown as orientation {wanted}")


def _chunks(file: IO[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, place and length of each chunk of a PNG."""
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        yield name, file.tell(), length
        if name == b"IEND":
            return
        file.seek(length + 4, 1)
