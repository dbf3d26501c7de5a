"""Samples of a sealed image against those of the original, as Pillow decodes them.

Lossless streams are unpacked and compared a few rows at a time. What the PDF
says of its samples (colour space, bits) decides how they are read: a wrong word
there makes other pixels.
"""

from __future__ import annotations

import sys
import zlib
from typing import TYPE_CHECKING, Final

from pikepdf import Array, Name, Stream, String
from PIL import Image, ImageChops

from daemon.pages.decoded import size_of
from daemon.pages.frames import decoding, opened
from daemon.pages.graphs import Differ
from daemon.pages.page import has_only

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS_BYTES: Final = 1 << 20
_SPACES: Final = {"/DeviceGray": "L", "/DeviceRGB": "RGB", "/DeviceCMYK": "CMYK"}
_BY_COMPONENTS: Final = {1: "L", 3: "RGB", 4: "CMYK"}
_BYTES: Final = {"L": 1, "RGB": 3, "CMYK": 4}
_KINDS: Final = {"TIFF": "tiff", "PNG": "png"}

Frame = tuple[Image.Image, Image.Image | None]
"""A decoded image; and its lower bytes, where each sample has two."""


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
        size_of(image) != original.size
        or image.get_int(Name.BitsPerComponent) != bits
        or space_of(image, original) != (original.mode, b"")
    ):
        raise Differ("a sealed image has another size or other colours")


def frame_of(original: Image.Image, path: str) -> Frame:
    """Decode the frame that *original*, opened at *path*, is on.

    Where its samples have two bytes, this is done twice: Pillow drops the second one.
    """
    with decoding():
        lower = None
        if original.mode not in {"I;16", "I;16B"} and ";16" in _stored(original):
            lower = _lower_bytes(original, path)
        original.load()
    return original, lower


def _stored(image: Image.Image) -> str:
    """Return Pillow's name for how the samples lie in the file."""
    if not getattr(image, "tile", None):
        return ""  # from no file, or decoded before
    arguments = image.tile[0].args  # type: ignore[attr-defined]
    return arguments if isinstance(arguments, str) else str(arguments[0])


def _lower_bytes(image: Image.Image, path: str) -> Image.Image:
    """Decode the frame with each sample's bytes exchanged."""
    number = image.tell()
    with opened(path, _KINDS[str(image.format)]) as again:
        if number:
            again.seek(number)
        again.info.pop("xmp", None)
        (tile,) = again.tile  # type: ignore[attr-defined]
        name = _stored(again)
        native = "L" if sys.byteorder == "little" else "B"
        order = name[-1].replace("N", native)
        name = name[:-1] + ("B" if order == "L" else "L")
        args = name if isinstance(tile.args, str) else (name, *tile.args[1:])
        again.tile = [tile._replace(args=args)]  # type: ignore[attr-defined]
        again.load()
    return again


def equal(image: Stream, original: Image.Image, path: str = "") -> None:
    """Raise Differ unless the losslessly packed *image* has exactly the samples of *original*.

    That was opened at *path*, if it comes from a file.
    """
    frame, lower = frame_of(original, path)
    with decoding():
        colours, alpha = _opaque(frame)
        below, alpha_below = _opaque(lower) if lower else (None, None)
    mask = image.get(Name.SMask)
    opaque = [band is None or band.getextrema() == (255, 255) for band in (alpha, alpha_below)]
    if (mask is None) != all(opaque):
        raise Differ("a sealed image has another transparency")
    has_only(image, "/ColorSpace", "/BitsPerComponent", "/SMask")
    _samples_equal(image, colours, below)
    if alpha is not None and mask is not None:
        if not isinstance(mask, Stream):
            raise Differ("a sealed image has another transparency")
        has_only(mask, "/ColorSpace", "/BitsPerComponent")
        _samples_equal(mask, alpha, alpha_below)


def same(one: Image.Image, other: Image.Image, but: frozenset[int] = frozenset()) -> None:
    """Raise Differ unless both have the same pixels, except in some rows."""
    # A name for a size: rows of zeros would decode to the right bytes of another image.
    if one.size != other.size or one.mode != other.mode:
        raise Differ("a carried image decodes to another size or other colours")
    if one.mode == "1":
        # Ten times as fast as packing the bits, to compare them.
        if ImageChops.logical_xor(one, other).getbbox() is not None:
            raise Differ("a carried image decodes to other pixels")
        return
    for (top, mine), (_, its) in zip(_rows(one, but), _rows(other, but), strict=True):
        if mine != its:
            raise Differ(f"a carried image decodes to other pixels, from row {top} on")


def as_stored(image: Image.Image, turned: tuple[int, bool]) -> Image.Image:
    """Return an upright image as it was before it was mirrored and then turned clockwise."""
    degrees, mirrored = turned
    # Pillow turns the other way round, which is back.
    back = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180}
    back[270] = Image.Transpose.ROTATE_270
    if degrees:
        image = image.transpose(back[degrees])
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else image


def _opaque(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return colours and transparency in the modes that a sealed image can have."""
    if image.mode in {"P", "PA"} and ("transparency" in image.info or image.mode == "PA"):
        image = image.convert("RGBA")
    elif "transparency" in image.info and image.mode in {"1", "L", "RGB"}:
        image = image.convert("RGBA" if image.mode == "RGB" else "LA")
    elif image.mode == "La":
        image = image.convert("LA")
    if image.mode in {"RGBA", "LA"}:
        *colours, alpha = image.split()
        return Image.merge(image.mode[:-1], colours), alpha
    return image, None


def _samples_equal(image: Stream, original: Image.Image, lower: Image.Image | None) -> None:
    space, palette = space_of(image, original)
    bits = image.get_int(Name.BitsPerComponent) or 0
    width, height = size_of(image)
    wide = bits == 16 and lower is not None
    if (
        (width, height) != original.size
        or image.get(Name.Filter) != Name.FlateDecode
        or bits not in {1, 8, 16}
        or (bits != 8 and not wide and (space, palette) != ("L", b""))
        or wide != (lower is not None)
    ):
        raise Differ("a sealed image has another size or other colours")
    row = (width * bits * _BYTES["L" if palette else space] + 7) // 8
    rows = max(1, ROWS_BYTES // row)
    top = 0
    for data in _unpacked(image, row * rows):
        if len(data) % row or top * row + len(data) > row * height:
            raise Differ("a sealed image has another size")
        part = len(data) // row
        box = (0, top, width, top + part)
        if wide and lower is not None:
            halves = (original.crop(box).tobytes(), lower.crop(box).tobytes())
            differ = original.mode != space or halves != (data[0::2], data[1::2])
        else:
            as_wanted = _as_packed(original.crop(box), space, bits, palette)
            differ = as_wanted != (_looked_up(data, palette) if palette else data)
        if differ:
            raise Differ("a sealed image has other pixels")
        top += part
    if top != height:
        raise Differ("a sealed image has another size")


def _as_packed(block: Image.Image, space: str, bits: int, palette: bytes) -> bytes:
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


def _rows(image: Image.Image, but: frozenset[int]) -> Iterator[tuple[int, bytes]]:
    """Yield the pixels in pieces, each with the number of its first row."""
    most = max(1, ROWS_BYTES // max(1, image.width * len(image.getbands())))
    top = 0
    while top < image.height:
        bottom = min(image.height, top + most)
        bottom = min((row for row in but if top <= row < bottom), default=bottom)
        if bottom > top:
            yield top, image.crop((0, top, image.width, bottom)).tobytes()
        top = bottom + 1 if bottom in but else bottom


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
            elif not piece and not left and not unpacker.eof:
                raise Differ("a sealed image does not unpack")
    except zlib.error:
        raise Differ("a sealed image does not unpack") from None
    if held:
        yield held
