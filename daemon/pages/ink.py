"""Whether an image shows anything: for the finding `page-blank`, and for nothing else.

An image is looked at about as sharply as one sees it from across the room (37 dots
per inch), and compared with its own surroundings: paper has a tint, and no lamp is
even. What is left is counted in squares of one centimetre, because an initial or a
pencil note is small; one such square is enough. The figures and where they come from
are in docs/decisions/0009-findings.md. In doubt an image is not blank.

Looked at are JPEG, fax (G3, G4) and losslessly packed images. Most pages show that
they are written on in their first lines, so these are unpacked first.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Final

from pikepdf import Dictionary
from PIL import Image, ImageChops, ImageFilter

from daemon.errors import Refused
from daemon.pages.frames import decoding
from daemon.pages.sample import SMALLEST, yes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.pages.sample import Description

SEEN_DPI: Final = 37.5
SQUARE_MM: Final = 10.0
FLOOR: Final = 8
"""Of 255: what a scanner's noise and a JPEG's blocks can make of clean paper, seen so small."""
SHARE: Final = 0.0005
"""Of a square, in full black: less than that is dust. A dot of 0.25 mm."""
SHARE_OF_BITS: Final = 0.001
"""The same where there is only black and white: no noise, but a speck is black at once."""
CLEARLY: Final = 20
"""So many times as much in the first lines, and nobody has to look any further."""
FIRST: Final = 6
"""A sixth of a page holds the head of a letter."""
EDGE: Final = 0.015
"""Of each side: there the scanner shows its own shadows."""

FIRST_JPEG: Final = 1 << 16
MOST_UNPACKED: Final = 128 << 20


def tone(image: Description, data: bytes, dpi: float) -> float | None:
    """Return the one tone that an image shows, from 0 to 255; None where it shows more, or may.

    Black can be at either end. *dpi* is how large it is shown.
    """
    found: float | None = None
    try:
        for view, whole in _views(image, data, dpi):
            floor, share = (0, SHARE_OF_BITS) if view.mode == "1" else (FLOOR, SHARE)
            with decoding():
                seen, seen_dpi = _seen(view, dpi * view.width / image.size[0])
                inked, found = _ink(seen, seen_dpi, floor), _middle(seen)
            if inked > (share if whole else CLEARLY * share):
                return None
    except (Refused, MemoryError):
        return None  # whoever has to decode it says so; here it is only not blank
    return found


def _views(image: Description, data: bytes, dpi: float) -> Iterator[tuple[Image.Image, bool]]:
    """Yield the first lines, then the image, each with whether it is the whole."""
    match image.filter:
        case "/DCTDecode":
            if len(data) > 2 * FIRST_JPEG:
                first = _decoded_part(_jpeg(image, data[:FIRST_JPEG] + b"\xff\xd9", dpi))
                if first.height >= SMALLEST:
                    yield first, False
            yield _jpeg(image, data, dpi), True
        case "/CCITTFaxDecode":
            height = image.size[1]
            for rows in (height // FIRST, height):
                yield _fax(image, data, rows), rows == height
        case "/FlateDecode":
            yield from _flate(image, data)
        case _:
            raise Refused("image-unsupported", "an image of another kind")


def _jpeg(image: Description, data: bytes, dpi: float) -> Image.Image:
    with decoding():
        view = Image.open(io.BytesIO(data), formats=("JPEG",))
        if view.size != image.size:
            raise Refused("image-damaged", "a JPEG of another size than its page says")
        smaller = max(1, int(dpi / SEEN_DPI))
        view.draft(view.mode, (view.width // smaller, view.height // smaller))
        view.load()
    return view


def _decoded_part(image: Image.Image) -> Image.Image:
    """Return the lines of a JPEG that was cut off: below them the decoder repeats one colour."""
    last = image.getpixel((image.width - 1, image.height - 1))
    box = ImageChops.difference(image, Image.new(image.mode, image.size, last)).getbbox()
    # Nor the row of blocks in which it was cut.
    return image.crop((0, 0, image.width, max(0, box[3] - 16) if box else 0))


def _fax(image: Description, data: bytes, rows: int) -> Image.Image:
    """Return the first rows of a fax, with a TIFF's directory around it."""
    said, width = image.parameters or Dictionary(), image.size[0]
    form = said.get_int("/K") or 0
    if said.get_int("/Columns") != width or yes(said.get("/EncodedByteAlign")):
        raise Refused("image-unsupported", "a fax of another kind")
    tags = {256: width, 257: rows, 258: 1, 259: 4 if form < 0 else 3, 262: 0, 273: 0, 277: 1}
    tags |= {278: rows, 279: len(data)}
    if form > 0:
        tags[292] = 1
    tags[273] = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return _opened(b"II*\0\x08\0\0\0" + directory + data, "TIFF")


def _flate(image: Description, data: bytes) -> Iterator[tuple[Image.Image, bool]]:
    """Yield the views of samples that are packed by nothing else."""
    said = image.parameters or Dictionary()
    (width, height), bits, (colours, palette) = image.size, image.bits, image.colours
    predictor = said.get_int("/Predictor") or 1
    by_row = predictor >= 10
    described = (said.get_int("/Colors") or 1, said.get_int("/BitsPerComponent") or 8)
    fits = predictor == 1 or (
        by_row and described == (colours, bits) and said.get_int("/Columns") == width
    )
    if not fits or not colours or bits not in {1, 2, 4, 8} or (colours > 1 and bits != 8):
        raise Refused("image-unsupported", "samples of another kind")
    row = (width * colours * bits + 7) // 8 + by_row
    if row * height > MOST_UNPACKED:
        raise Refused("too-many-pixels", "more samples than anybody looks at")
    for rows in (height // FIRST, height):
        try:
            samples = zlib.decompressobj().decompress(data, row * rows)
        except zlib.error:
            raise Refused("image-damaged", "samples that do not unpack") from None
        unpack = _png if by_row else _raw
        yield unpack(samples, (width, rows), bits, colours, palette), rows == height


def _png(
    data: bytes, size: tuple[int, int], bits: int, colours: int, palette: bytes
) -> Image.Image:
    """Return rows that are packed as PNG packs them."""
    if colours == 4:
        raise Refused("image-unsupported", "colours that PNG does not have")
    kind = 3 if palette else 2 if colours == 3 else 0
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", *size, bits, kind, 0, 0, 0))]
    if palette:
        chunks.append((b"PLTE", palette[: 3 << bits]))
    chunks += [(b"IDAT", zlib.compress(data, 0)), (b"IEND", b"")]
    file = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    return _opened(file, "PNG")


def _raw(
    data: bytes, size: tuple[int, int], bits: int, colours: int, palette: bytes
) -> Image.Image:
    """Return rows that are not packed any further."""
    mode = "P" if palette else {1: "L", 3: "RGB", 4: "CMYK"}[colours]
    with decoding():
        if bits == 1 and mode == "L":
            return Image.frombytes("1", size, data)
        image = Image.frombytes(mode, size, data, "raw", mode if bits == 8 else f"{mode};{bits}")
        if palette:
            image.putpalette(palette)
    return image


def _opened(file: bytes, kind: str) -> Image.Image:
    with decoding():
        image = Image.open(io.BytesIO(file), formats=(kind,))
        image.load()
    return image


def _seen(image: Image.Image, dpi: float) -> tuple[Image.Image, float]:
    """Return the image in greys, small, without its edges; and how small."""
    if image.mode in {"P", "CMYK", "RGBA"}:
        image = image.convert("RGB")
    if image.mode == "RGB":
        red, green, blue = image.split()
        # Not the brightness: a yellow marker is as bright as paper.
        image = ImageChops.darker(red, ImageChops.darker(green, blue))
    if image.mode != "L":
        image = image.convert("L")
    smaller = max(1, round(dpi / SEEN_DPI))
    if smaller > 1:
        image, dpi = image.reduce(smaller), dpi / smaller
    x, y = round(image.width * EDGE), round(image.height * EDGE)
    return image.crop((x, y, image.width - x, image.height - y)), dpi


def _ink(image: Image.Image, dpi: float, floor: int) -> float:
    """Return how much of its inkiest square is not like its surroundings."""
    side = max(4, round(SQUARE_MM * dpi / 25.4))
    around = image.filter(ImageFilter.BoxBlur(side))
    above = ImageChops.difference(image, around).point([max(0, v - floor) for v in range(256)])
    squares = (max(1, round(image.width / side)), max(1, round(image.height / side)))
    inked = above.convert("F").resize(squares, Image.Resampling.BOX)
    _, most = inked.getextrema()
    assert isinstance(most, float)
    return most / 255


def _middle(image: Image.Image) -> float:
    _, middle = image.resize((1, 1), Image.Resampling.BOX).getextrema()
    assert isinstance(middle, int | float)
    return float(middle)
