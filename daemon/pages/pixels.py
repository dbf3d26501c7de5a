"""Samples of a sealed image against those of the original, as Pillow decodes them.

Lossless streams are unpacked and compared a few rows at a time. What the PDF
says of its samples (colour space, bits) decides how they are read: a wrong word
there makes other pixels.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from pikepdf import Array, Name, PdfImage, Stream, String
from PIL import Image, ImageChops

from daemon.pages.frames import decoding
from daemon.pages.graphs import Differ

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS_BYTES: Final = 1 << 20
_SPACES: Final = {"/DeviceGray": "L", "/DeviceRGB": "RGB", "/DeviceCMYK": "CMYK"}
_BY_COMPONENTS: Final = {1: "L", 3: "RGB", 4: "CMYK"}
_BYTES: Final = {"L": 1, "RGB": 3, "CMYK": 4}


def space_of(image: Stream, original: Image.Image) -> tuple[str, bytes]:
    """Return the colour space of a sealed image as Pillow's mode, and its palette if it has one.

    A profile in it has to be the original's.
    """
    space = image.get(Name.ColorSpace)
    if isinstance(space, Array) and len(space) == 4 and space[0] == Name.Indexed:
        lookup = space[3]
        held = bytes(lookup) if isinstance(lookup, String) else b""
        if len(held) != 3 * (int(space[2]) + 1):
            raise Differ("the palette of a sealed image has another length")
        return _base(space[1], original), held
    return _base(space, original), b""


def _base(space: object, original: Image.Image) -> str:
    if isinstance(space, Name) and str(space) in _SPACES:
        return _SPACES[str(space)]
    if isinstance(space, Array) and len(space) == 2 and space[0] == Name.ICCBased:
        profile = space[1]
        components = profile.get_int(Name.N) if isinstance(profile, Stream) else None
        if (
            isinstance(profile, Stream)
            and components in _BY_COMPONENTS
            and profile.read_raw_bytes() == original.info.get("icc_profile")
        ):
            return _BY_COMPONENTS[components]
    raise Differ("a sealed image has another colour space")


def described(image: Stream, original: Image.Image, *, bits: int) -> None:
    """Raise Differ unless the sealed image has the original's size and colours."""
    if (
        (image.get_int(Name.Width), image.get_int(Name.Height)) != original.size
        or image.get_int(Name.BitsPerComponent) != bits
        or space_of(image, original) != (original.mode, b"")
    ):
        raise Differ("a sealed image has another size or other colours")


def equal(image: Stream, original: Image.Image) -> None:
    """Raise Differ unless the losslessly packed *image* has exactly the samples of *original*."""
    with decoding():
        original.load()
        colours, alpha = _opaque(original)
    mask = image.get(Name.SMask)
    if (mask is None) != (alpha is None):
        raise Differ("a sealed image has another transparency")
    _samples_equal(image, colours)
    if alpha is not None:
        if not isinstance(mask, Stream):
            raise Differ("a sealed image has another transparency")
        _samples_equal(mask, alpha)


def equal_upright(image: Stream, turned: tuple[int, bool], original: Image.Image) -> None:
    """Raise Differ unless the carried *image*, decoded and turned, shows what *original* shows."""
    with decoding():
        shown = PdfImage(image).as_pil_image()
        if turned[1]:
            shown = shown.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        # Pillow turns the other way round.
        back = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180}
        back[270] = Image.Transpose.ROTATE_90
        if turned[0]:
            shown = shown.transpose(back[turned[0]])
        # A name for a size: rows of zeros would decode to the right bytes of another image.
        if shown.size != original.size or shown.mode != original.mode:
            raise Differ("a carried image decodes to another size or other colours")
        if not _same(shown, original):
            raise Differ("a carried image decodes to other pixels")


def _opaque(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return colours and transparency in the modes that a sealed image can have."""
    if image.mode in {"P", "PA"} and ("transparency" in image.info or image.mode == "PA"):
        image = image.convert("RGBA")
    elif "transparency" in image.info and image.mode in {"1", "L", "RGB"}:
        image = image.convert("RGBA" if image.mode == "RGB" else "LA")
    if image.mode in {"RGBA", "LA"}:
        *colours, alpha = image.split()
        return Image.merge(image.mode[:-1], colours), alpha
    return image, None


def _samples_equal(image: Stream, original: Image.Image) -> None:
    space, palette = space_of(image, original)
    bits = image.get_int(Name.BitsPerComponent) or 0
    width, height = image.get_int(Name.Width) or 0, image.get_int(Name.Height) or 0
    if (
        (width, height) != original.size
        or image.get(Name.Filter) != Name.FlateDecode
        or "/DecodeParms" in image
        or "/Decode" in image
        or bits not in {1, 8, 16}
        or (bits != 8 and (space, palette) != ("L", b""))
    ):
        raise Differ("a sealed image has another size or other colours")
    row = (width * bits * _BYTES["L" if palette else space] + 7) // 8
    rows = max(1, ROWS_BYTES // row)
    top = 0
    for data in _unpacked(image, row * rows):
        if len(data) % row or top * row + len(data) > row * height:
            raise Differ("a sealed image has another size")
        part = len(data) // row
        block = original.crop((0, top, width, top + part))
        if _as_stored(block, space, bits, palette) != (
            _looked_up(data, palette) if palette else data
        ):
            raise Differ("a sealed image has other pixels")
        top += part
    if top != height:
        raise Differ("a sealed image has another size")


def _as_stored(block: Image.Image, space: str, bits: int, palette: bytes) -> bytes:
    """Return the original's rows as the PDF would have to store them."""
    if bits == 1:
        return block.tobytes() if block.mode == "1" else b""
    if bits == 16:
        return block.tobytes("raw", "I;16B") if block.mode.startswith("I;16") else b""
    if palette:
        return block.convert("RGB").tobytes() if block.mode == "P" else b""
    return block.tobytes() if block.mode == space else b""


def _looked_up(data: bytes, palette: bytes) -> bytes:
    """Return the colours that the palette's numbers stand for."""
    size = len(data)
    image = Image.frombytes("P", (size, 1), data)
    image.putpalette(palette)
    return image.convert("RGB").tobytes()


def _same(one: Image.Image, other: Image.Image) -> bool:
    if one.mode == "1":
        # Ten times as fast as packing the bits, to compare them.
        return ImageChops.logical_xor(one, other).getbbox() is None
    return all(mine == its for mine, its in zip(_rows(one), _rows(other), strict=True))


def _rows(image: Image.Image) -> Iterator[bytes]:
    rows = max(1, ROWS_BYTES // max(1, image.width * len(image.getbands())))
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(image.height, top + rows))).tobytes()


def _unpacked(image: Stream, size: int) -> Iterator[bytes]:
    """Yield the unpacked stream in pieces of *size*, the last one smaller."""
    unpacker = zlib.decompressobj()
    left = bytes(image.get_raw_stream_buffer())
    held = b""
    try:
        while not unpacker.eof:
            piece = unpacker.decompress(left, size - len(held))
            left = unpacker.unconsumed_tail
            held += piece
            if len(held) == size:
                yield held
                held = b""
            elif not piece and not left:
                raise Differ("a sealed image does not unpack")
    except zlib.error:
        raise Differ("a sealed image does not unpack") from None
    if held:
        yield held
