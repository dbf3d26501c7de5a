"""Pixels, for images whose streams PDF cannot carry: exact, and coded without loss.

A frame is decoded by Pillow into the very samples that the file holds. Where
Pillow would have to round (colour models that it converts), the image is
refused: nearly the same is not the same (I11).

Of 16 bits of a colour Pillow keeps the higher eight; told that the bytes come in
the other order, it keeps the lower ones. So such an image is decoded twice.

Transparency becomes a mask, unless it is opaque everywhere: then there is
nothing to mask.
"""

from __future__ import annotations

import os
import struct
import sys
import warnings
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from PIL import Image, ImageFile, UnidentifiedImageError

from daemon.errors import DaemonError, Refused
from daemon.pages.picture import (
    TRANSCODED,
    TURNS,
    Chunks,
    Density,
    Picture,
    Turn,
    device_space,
    fitting_profile,
    indexed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

# Sizes are checked before anything is decoded, against the limit that the caller gave.
Image.MAX_IMAGE_PIXELS = None
ImageFile.LOAD_TRUNCATED_IMAGES = False

FORMATS: Final = {"jpeg": "JPEG", "png": "PNG", "tiff": "TIFF", "jp2": "JPEG2000"}
BLOCK: Final = 1 << 20
"""About so many bytes of pixels are coded at a time."""
LEVEL: Final = 3
"""A scan is noise: level 6 takes more than twice as long and saves a twentieth."""

ORIENTATION: Final = 0x0112
STDERR: Final = 2
MOST_SAID: Final = 1 << 16

_BITS: Final = {"1": 1, "L": 8, "P": 8, "I;16": 16, "I;16B": 16, "RGB": 8, "CMYK": 8}
_COMPONENTS: Final = {"1": 1, "L": 1, "I;16": 1, "I;16B": 1, "RGB": 3, "P": 3, "CMYK": 4}
"""Of the colours that a pixel stands for."""
_BYTES: Final = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "RGB": 3, "CMYK": 4}
HIGH_FIRST: Final = "I;16B"
_GREYS: Final = frozenset({"I;16", HIGH_FIRST})
"""The only modes in which Pillow keeps 16 bits."""
_WIDE: Final = frozenset({"RGB", "RGBA", "CMYK"})
OTHER_ORDER: Final = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
"""By the last letter of Pillow's name for how 16 bits are stored."""


@contextmanager
def quietly() -> Iterator[None]:
    """Keep Pillow's warnings to ourselves: they quote the image, and nobody waits for them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def decoding() -> Iterator[None]:
    """Turn whatever Pillow raises over a broken image into a refusal."""
    try:
        with quietly():
            yield
    except (DaemonError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise Refused("image-unsupported", "Pillow does not know this kind of image") from None
    except OSError as exc:
        if exc.errno is not None:
            raise  # the disk's, not the image's
        if str(exc).endswith(" -9"):  # how Pillow's decoders in C say it
            raise MemoryError from None
        raise _broken(exc) from None
    # A library over hostile bytes: its plugins raise KeyError, struct.error, SyntaxError and more.
    except Exception as exc:  # noqa: BLE001
        raise _broken(exc) from None


def _broken(exc: Exception) -> Refused:
    # What it says may quote the image: only its kind is passed on.
    code = "file-incomplete" if "truncated" in str(exc) else "image-damaged"
    if isinstance(exc, SyntaxError):
        code = "image-unsupported"  # a TIFF whose samples Pillow has no name for
    return Refused(code, f"Pillow raises {type(exc).__name__} over the image")


def opened(path: str, kind: str) -> Image.Image:
    """Open the image at *path* as *kind* (jpeg, png, tiff, jp2) and nothing else."""
    # Asked for a format that it has not loaded, Pillow would load all of them.
    if kind == "tiff":
        from PIL import TiffImagePlugin  # noqa: PLC0415 (most documents do not need it)

        # Uncompressed strips, too: then one decoder says what a TIFF holds, planes included.
        TiffImagePlugin.READ_LIBTIFF = True
    elif kind == "jp2":
        from PIL import Jpeg2KImagePlugin  # noqa: F401, PLC0415 (it registers itself)
    with decoding():
        return Image.open(path, formats=(FORMATS[kind],))


def decodes(path: str, kind: str, turn: Turn) -> None:
    """Refuse the image at *path* unless a decoder gets through it, and would *turn* it as we do."""
    with decoding(), opened(path, kind) as image:
        if kind == "jpeg":
            # All of its data is read also for an eighth of the pixels.
            image.draft(image.mode, (image.width // 8, image.height // 8))
        image.load()
        turns(image, turn)


def turns(image: Image.Image, turn: Turn) -> None:
    """Refuse an image whose Exif block Pillow reads in another way than we do: it is damaged."""
    block = image.info.get("exif")
    exif = Image.Exif()
    try:
        with quietly():
            exif.load(block if isinstance(block, bytes) else b"")
        wanted = TURNS.get(int(exif.get(ORIENTATION, 1)), Turn())
    except (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error):
        wanted = Turn()
    if wanted != turn:
        raise Refused("image-damaged", "the Exif block can be read in two ways")


def seek(image: Image.Image, index: int) -> None:
    """Go to one frame of a TIFF, whose own tag is all that says how it is turned."""
    with decoding():
        image.seek(index)
        # Pillow would take a missing orientation from here, and no other reader does.
        image.info.pop("xmp", None)


def loaded(image: Image.Image, path: str) -> bytes:
    """Decode the frame of a TIFF, and return what libtiff said meanwhile: Pillow passes none of it on.

    Nor does Pillow say so where libtiff cannot read a directory: the frame keeps the
    pixels of the one before it, or black ones. So each frame gets new black ones, and
    those that are still black are decoded again, on another ground.
    """
    number = image.tell()
    said = _heard(image, ground=0)
    if not any(map(any, _extremes(image))):
        with opened(path, "tiff") as again:
            if number:
                seek(again, number)
            _heard(again, ground=1)
            if any(map(any, _extremes(again))):
                raise Refused("image-damaged", "nothing of the image was decoded")
    return said


def _heard(image: Image.Image, ground: int) -> bytes:
    _, _, width, height = image.tile[0].extents  # type: ignore[attr-defined]
    image.im = blank(image.mode, (width, height), ground).im
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    kept = os.dup(STDERR)
    try:
        os.dup2(writing, STDERR)
        with decoding():
            image.load()
    finally:
        os.dup2(kept, STDERR)
        for fd in (kept, writing):
            os.close(fd)
        with os.fdopen(reading, "rb", buffering=0) as pipe:
            said = pipe.read(MOST_SAID)
    return said or b""


def blank(mode: str, size: tuple[int, int], ground: int) -> Image.Image:
    """Return an image of one value everywhere, also in the one mode that Pillow does not fill."""
    if mode == HIGH_FIRST:
        return Image.frombytes(mode, size, ground.to_bytes(2, "big") * (size[0] * size[1]))
    return Image.new(mode, size, ground)


def _extremes(image: Image.Image) -> tuple[tuple[Any, Any], ...]:
    """Return the lowest and the highest value of each band."""
    found: Any = (image.convert("I") if image.mode == HIGH_FIRST else image).getextrema()
    return found if isinstance(found[0], tuple) else (found,)


def exactly(
    image: Image.Image, *, density: Density, turn: Turn, path: str = "", opaque: bool = False
) -> Picture:
    """Return the page for a frame whose samples Pillow holds exactly, coded anew.

    The *image*, opened at *path* if it comes from a file, has to stay as it is until the
    picture is written. Where it has to be *opaque*, any transparency is a refusal.
    """
    with decoding():
        wide = _is_wide(image)
        lower = _lower(image, path) if wide else None
        if image.format == "TIFF":
            loaded(image, path)
        image.load()
        shown, mask = _split(image)
        below, mask_below = _split(lower) if lower else (None, None)
        if mask is None and mask_below is not None:
            # Only now, and only in the lower byte, does it turn out to let anything through.
            mask = Image.new("L", shown.size, 255)
        elif mask is not None and lower is not None and mask_below is None:
            mask_below = Image.new("L", shown.size, 255)
    if shown.mode not in _BITS:
        raise Refused("image-unsupported", f"pixels of mode {shown.mode} cannot be carried exactly")
    if opaque and mask is not None:
        raise Refused("image-unsupported", "the colours are mixed with their transparency")
    colours = base = device_space(_COMPONENTS[shown.mode])
    if shown.mode == "P":
        colours = indexed(bytes((shown.getpalette("RGB") or [0, 0, 0])[: 3 * 256]))
    icc = image.info.get("icc_profile") or b""
    return _picture(
        shown,
        below,
        colours,
        base=base if shown.mode == "P" else b"",
        density=density,
        turn=turn,
        mask=_picture(mask, mask_below, b"/DeviceGray") if mask else None,
        icc=fitting_profile(icc, _COMPONENTS[shown.mode]) if isinstance(icc, bytes) else b"",
        findings=(TRANSCODED,),
    )


def _picture(image: Image.Image, lower: Image.Image | None, colours: bytes, **more: Any) -> Picture:
    bits = 16 if lower else _BITS[image.mode]
    return Picture(
        width=image.width,
        height=image.height,
        entries=b"/BitsPerComponent %d /Filter /FlateDecode" % bits,
        colours=colours,
        chunks=_packed(image, lower),
        **more,
    )


def _is_wide(image: Image.Image) -> bool:
    """Return whether the frame, not yet loaded, has 16 bits of several samples."""
    raw = _raw(image)
    if image.mode in _GREYS or not raw[:-1].endswith(";16"):
        return False
    if raw.partition(";")[0].upper() not in _WIDE:
        raise Refused("image-unsupported", f"16 bits of {raw} would be rounded")
    return True


def _raw(image: Image.Image) -> str:
    """Return Pillow's name for how the samples lie in the file; "" for what comes from none."""
    tiles = getattr(image, "tile", None)
    if not tiles:
        return ""
    return tiles[0].args if isinstance(tiles[0].args, str) else str(tiles[0].args[0])


def _lower(image: Image.Image, path: str) -> Image.Image:
    """Return the frame as it is decoded with the lower byte of each sample in place of the higher."""
    if "transparency" in image.info:
        raise Refused("image-unsupported", "one colour of 16 bits stands for transparency")
    with opened(path, {name: kind for kind, name in FORMATS.items()}[str(image.format)]) as other:
        if image.tell():
            seek(other, image.tell())
        other.info.pop("xmp", None)
        (tile,) = other.tile  # type: ignore[attr-defined]
        raw = _raw(image)
        swapped = raw[:-1] + OTHER_ORDER[raw[-1]]
        arguments = swapped if isinstance(tile.args, str) else (swapped, *tile.args[1:])
        other.tile = [tile._replace(args=arguments)]  # type: ignore[attr-defined]
        other.load()
    return other  # its pixels stay, its file is closed


def _split(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return the colours, and the transparency where there is some, neither of them rounded."""
    if "transparency" in image.info and image.mode in {"1", "L", "P", "RGB"}:
        image = image.convert("RGBA" if image.mode in {"P", "RGB"} else "LA")
    if image.mode == "PA":
        image = image.convert("RGBA")
    elif image.mode == "La":
        image = image.convert("LA")
    if image.mode not in {"LA", "RGBA"}:
        return image, None
    alpha = image.getchannel("A")
    opaque = alpha.getextrema() == (255, 255)
    return image.convert(image.mode[:-1]), None if opaque else alpha


def _packed(image: Image.Image, lower: Image.Image | None) -> Chunks:
    def chunks() -> Iterator[bytes]:
        packer = zlib.compressobj(LEVEL)
        width, height = image.size
        rows = max(1, BLOCK // max(1, width * _BYTES[image.mode]))
        for top in range(0, height, rows):
            place = (0, top, width, min(height, top + rows))
            # PDF stores the high byte first, Pillow as the machine does.
            raw = ("raw", "I;16B") if image.mode in _GREYS else ("raw", image.mode)
            block = image.crop(place).tobytes(*raw)
            if lower is not None:
                both = bytearray(2 * len(block))
                both[0::2], both[1::2] = block, lower.crop(place).tobytes(*raw)
                block = bytes(both)
            yield packer.compress(block)
        yield packer.flush()

    return chunks
