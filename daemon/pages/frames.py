"""Pixels, for images whose streams PDF cannot carry: exact, and coded without loss.

A frame is decoded by Pillow into the very samples that the file holds. Where
Pillow would have to round (more than 8 bits of a colour, other colour models),
the image is refused: nearly the same is not the same (I11).
"""

from __future__ import annotations

import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from PIL import Image, ImageFile, UnidentifiedImageError

from daemon.errors import DaemonError, Refused
from daemon.pages.picture import TRANSCODED, Chunks, Picture, Turn, fitting_profile

if TYPE_CHECKING:
    from collections.abc import Iterator

# Sizes are checked before anything is decoded, against the limit that the caller gave.
Image.MAX_IMAGE_PIXELS = None
ImageFile.LOAD_TRUNCATED_IMAGES = False

BLOCK: Final = 1 << 20
"""About so many bytes of pixels are coded at a time."""
LEVEL: Final = 3
"""A scan is noise: level 6 takes more than twice as long and saves a twentieth."""

_SPACES: Final = {
    "1": (b"/DeviceGray", 1, 1),
    "L": (b"/DeviceGray", 8, 1),
    "I;16": (b"/DeviceGray", 16, 2),
    "RGB": (b"/DeviceRGB", 8, 3),
    "CMYK": (b"/DeviceCMYK", 8, 4),
    "P": (b"", 8, 1),
}
"""Colour space, bits per component and bytes per pixel of what is written."""
_COMPONENTS: Final = {"1": 1, "L": 1, "I;16": 1, "RGB": 3, "P": 3, "CMYK": 4}


@contextmanager
def decoding() -> Iterator[None]:
    """Turn whatever Pillow raises over a broken image into a refusal."""
    try:
        yield
    except (DaemonError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise Refused("image-unsupported", "Pillow does not know this kind of image") from None
    except OSError as exc:
        if exc.errno is not None:
            raise  # the disk's, not the image's
        raise _broken(exc) from None
    # A library over hostile bytes: its plugins raise KeyError, struct.error, SyntaxError and more.
    except Exception as exc:  # noqa: BLE001
        raise _broken(exc) from None


def _broken(exc: Exception) -> Refused:
    # What it says may quote the image: only its kind is passed on.
    code = "file-incomplete" if "truncated" in str(exc) else "image-damaged"
    return Refused(code, f"Pillow raises {type(exc).__name__} over the image")


def opened(path: str, kind: str) -> Image.Image:
    """Open the image at *path* as *kind* (jpeg, png, tiff) and nothing else."""
    with decoding():
        return Image.open(path, formats=(kind.upper(),))


def decodes(path: str) -> None:
    """Refuse the JPEG at *path* unless a decoder gets through it; an eighth of the pixels will do."""
    with decoding(), Image.open(path, formats=("JPEG",)) as image:
        image.draft(image.mode, (image.width // 8, image.height // 8))
        image.load()


def exactly(image: Image.Image, *, dpi: tuple[float, float] | None, turn: Turn) -> Picture:
    """Return the page for a frame whose samples Pillow holds exactly, coded anew.

    The image has to stay open, on this frame, until the picture is written.
    """
    with decoding():
        image.load()
        shown, alpha = _split(image)
    if shown.mode not in _SPACES:
        raise Refused("image-unsupported", f"pixels of mode {shown.mode} cannot be carried exactly")
    colours, bits, _ = _SPACES[shown.mode]
    base = b""
    if shown.mode == "P":
        palette = (shown.getpalette("RGB") or [0, 0, 0])[: 3 * 256]
        base = b"/DeviceRGB"
        colours = b"[ /Indexed %%b %d <%b> ]" % (
            len(palette) // 3 - 1,
            bytes(palette).hex().encode(),
        )
    mask = None
    if alpha is not None:
        mask = _picture(alpha, b"/DeviceGray", 8)
    icc = image.info.get("icc_profile") or b""
    return _picture(
        shown,
        colours,
        bits,
        base=base,
        dpi=dpi,
        turn=turn,
        mask=mask,
        icc=fitting_profile(icc, _COMPONENTS[shown.mode]) if isinstance(icc, bytes) else b"",
        findings=(TRANSCODED,),
    )


def _picture(image: Image.Image, colours: bytes, bits: int, **more: Any) -> Picture:
    return Picture(
        width=image.width,
        height=image.height,
        entries=b"/BitsPerComponent %d /Filter /FlateDecode" % bits,
        colours=colours,
        chunks=_packed(image),
        **more,
    )


def _split(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return the colours and the transparency, neither of them rounded."""
    if "transparency" in image.info and image.mode in {"1", "L", "P", "RGB"}:
        image = image.convert("RGBA" if image.mode in {"P", "RGB"} else "LA")
    if image.mode == "PA":
        image = image.convert("RGBA")
    if image.mode in {"LA", "RGBA"}:
        return image.convert(image.mode[:-1]), image.getchannel("A")
    if image.mode == "RGBX":
        return image.convert("RGB"), None
    return image, None


def _packed(image: Image.Image) -> Chunks:
    def chunks() -> Iterator[bytes]:
        packer = zlib.compressobj(LEVEL)
        width, height = image.size
        rows = max(1, BLOCK // max(1, width * _SPACES[image.mode][2]))
        for top in range(0, height, rows):
            block = image.crop((0, top, width, min(height, top + rows)))
            # PDF stores the high byte first, Pillow as the machine does.
            raw = ("raw", "I;16B") if image.mode == "I;16" else ("raw", image.mode)
            yield packer.compress(block.tobytes(*raw))
        yield packer.flush()

    return chunks
