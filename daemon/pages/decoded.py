"""Carried streams, decoded as the sealed file describes them.

What the PDF says (filter, colour space, bits, which of them are black) decides
what comes out: a wrong word there makes other pixels. Fax coding is decoded by
libtiff, JPEG by libjpeg, the rest by qpdf.
"""

from __future__ import annotations

import io
from typing import Final

from pikepdf import Dictionary, Name, PdfImage, PikepdfError, Stream, StreamDecodeLevel
from PIL import Image, ImageChops

from daemon.pages.frames import decoding
from daemon.pages.graphs import Differ
from daemon.pages.ifd import one_strip
from daemon.pages.inspect import unpacking

FAX_WORDS: Final = frozenset({
    "/K", "/BlackIs1", "/EndOfBlock", "/EncodedByteAlign", "/Columns", "/Rows",
})  # fmt: skip
PACKED_WORDS: Final = frozenset({"/Predictor", "/Colors", "/BitsPerComponent", "/Columns"})
GREYS: Final = {1: ("1", "1"), 2: ("L", "L;2"), 4: ("L", "L;4"), 8: ("L", "L")}
"""Pillow's modes, and its names for how such samples lie in a row, by their bits."""
NUMBERS: Final = {1: "P;1", 2: "P;2", 4: "P;4", 8: "P"}
_SAMPLES: Final = {"L": 1, "RGB": 3, "CMYK": 4}


def size_of(image: Stream) -> tuple[int, int]:
    """Return width and height as the sealed file has them."""
    return image.get_int(Name.Width) or 0, image.get_int(Name.Height) or 0


def words_of(image: Stream, known: frozenset[str]) -> Dictionary:
    """Return the filter's parameters; raise Differ where there are others than the known."""
    words = image.get(Name.DecodeParms, Dictionary())
    if not isinstance(words, Dictionary) or set(words.keys()) - known:
        raise Differ("the sealed file decodes an image otherwise")
    return words


def fax(image: Stream) -> Image.Image:
    """Return the black and white pixels of a fax."""
    words = words_of(image, FAX_WORDS)
    width, height = size_of(image)
    if (words.get_int("/Columns"), words.get_int("/Rows")) != (width, height):
        raise Differ("the sealed file has another size for a fax and its image")
    form = words.get_int("/K") or 0
    data = image.read_raw_bytes()
    tags = {
        256: width,
        257: height,
        258: 1,
        259: 4 if form < 0 else 2 if _said(words, "/EncodedByteAlign") else 3,
        262: 1 if _said(words, "/BlackIs1") else 0,
        277: 1,
        278: height,
        292: 1 if form > 0 else 0,
    }
    with decoding(), Image.open(io.BytesIO(one_strip(tags, data)), formats=("TIFF",)) as decoded:
        decoded.load()
        return decoded.copy()


def jpeg(image: Stream) -> Image.Image:
    """Return the pixels of a JPEG."""
    with decoding():
        found = PdfImage(image).as_pil_image()
        if found.mode == "CMYK" and "adobe" not in found.info:
            # Pillow takes every four inks of a JPEG for Adobe's, which are inverted.
            return ImageChops.invert(found)
        return found


def packed(image: Stream, space: str, palette: bytes) -> tuple[Image.Image, ...]:
    """Return the pixels of losslessly packed samples; of 16 bits of colour, both halves.

    Colours that are numbers in a palette come as the colours themselves.
    """
    words_of(image, PACKED_WORDS)
    size, bits = size_of(image), image.get_int(Name.BitsPerComponent) or 0
    decode = [float(value) for value in image.get(Name.Decode, [])]
    samples = 1 if palette else _SAMPLES[space]
    wanted = (size[0] * samples * bits + 7) // 8 * size[1]
    try:
        # A predictor has a byte more for each row.
        with unpacking(wanted + size[1]):
            data = image.read_bytes(StreamDecodeLevel.specialized)
    except PikepdfError:
        raise Differ("a sealed image does not unpack") from None
    if len(data) != wanted:
        raise Differ("a sealed image unpacks to another size")
    inverted = decode == [1, 0] and space == "L" and not palette and bits in GREYS
    if decode and not inverted:
        raise Differ("the sealed file decodes an image otherwise")
    if palette:
        if bits not in NUMBERS:
            raise Differ("a sealed image has other colours")
        image_of = Image.frombytes("P", size, data, "raw", NUMBERS[bits])
        image_of.putpalette(palette)
        return (image_of.convert("RGB"),)
    if space == "L" and bits in GREYS:
        mode, raw = GREYS[bits]
        turned = (raw if ";" in raw else raw + ";") + "I" if inverted else raw
        return (Image.frombytes(mode, size, data, "raw", turned),)
    if space == "L" and bits == 16:
        return (Image.frombytes("I;16", size, data, "raw", "I;16B"),)
    if bits == 8:
        return (Image.frombytes(space, size, data),)
    if bits != 16:
        raise Differ("a sealed image has other colours")
    return tuple(Image.frombytes(space, size, data, "raw", f"{space};16{end}") for end in "BL")


def _said(words: Dictionary, name: str) -> bool:
    return bool(words.get(name, False))
