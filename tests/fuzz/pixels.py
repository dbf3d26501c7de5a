"""The pixels of an image as Pillow decodes them, against a page as poppler draws it.

Exactly the same: black and white, greys, colours, palettes. As good as the same:

    JPEG          undamaged it is exactly the same; where its coding is damaged, each
                  decoder goes on in its own way, for a few blocks at most
    transparency  laid over white by each of the two
    16 bits       poppler shows the upper eight
    CMYK          each of the two has its own way to show ink on a screen, which is
                  compared for its turn; the inks themselves have to be exactly the same
    profiles      poppler would show what they mean: they are taken out of a copy first

`TOLERANCES` holds what the mean and the largest difference of a sample may be.
"""

from __future__ import annotations

import re
import struct
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import (
    Image,
    ImageChops,
    ImageFile,
    ImageOps,
    ImageStat,
    PngImagePlugin,
    UnidentifiedImageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

BROKEN: Final = (
    OSError, ValueError, SyntaxError, KeyError, TypeError, IndexError, struct.error, UnidentifiedImageError,
    OverflowError, EOFError, RuntimeError, MemoryError, ZeroDivisionError, AttributeError,
)  # fmt: skip
"""What Pillow raises over an image that it cannot read."""
KINDS: Final = ("TIFF", "JPEG", "PNG", "JPEG2000")
EXACT: Final = (0.0, 0)
TOLERANCES: Final = {
    "jpeg": (0.5, 255),
    "alpha": (1.0, 2),
    "deep": (1.0, 1),
    "cmyk": (100.0, 255),
}
_PROFILE: Final = re.compile(rb"\[ ?/ICCBased (\d+) \d+ R ?\]")
_SPACES: Final = {1: b"/DeviceGray", 3: b"/DeviceRGB", 4: b"/DeviceCMYK"}
_COMPONENTS: Final = re.compile(rb"/N (\d)")
SUBFILE, WIDTH, HEIGHT = 254, 256, 257

Image.MAX_IMAGE_PIXELS = None
ImageFile.LOAD_TRUNCATED_IMAGES = False
# Texts in a PNG are no pixels, however long.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 1 << 30


@contextmanager
def opened(source: Path) -> Iterator[Image.Image]:
    """Open an image with the four decoders whose kinds are taken, and no other."""
    with Image.open(source, formats=KINDS) as image:
        yield image


def pages_of(image: Image.Image) -> list[int]:
    """Return which frames are pages: all but smaller versions of others, in a TIFF."""
    if image.format != "TIFF":
        return [0]
    found = []
    for index in range(getattr(image, "n_frames", 1)):
        image.seek(index)
        tags = image.tag_v2  # type: ignore[attr-defined]
        found.append((int(tags.get(SUBFILE, 0)) & 1, tags[WIDTH], tags[HEIGHT]))
    return [
        index
        for index, (reduced, width, height) in enumerate(found)
        if not reduced or not any(not r and w > width and h > height for r, w, h in found)
    ]


def upright(image: Image.Image) -> Image.Image:
    """Return the present frame as it wants to be shown."""
    image.load()
    image.info["coded"] = _coded(image)
    if image.format == "TIFF":
        return image
    try:
        return ImageOps.exif_transpose(image)
    except (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error):
        return image  # a broken Exif block says nothing


def _coded(image: Image.Image) -> bool:
    """Return whether a decoder had to round: JPEG in whatever it is wrapped."""
    held = getattr(image, "tag_v2", {}).get(259)
    return image.format in {"JPEG", "JPEG2000"} or held in {6, 7}


def differences(frame: Image.Image, page: Image.Image, number: int) -> Iterator[str]:
    """Yield what is wrong with a *page* that has to show *frame*."""
    kind = _kind(frame)
    mean, most = TOLERANCES.get(kind, EXACT)
    wanted = _on_paper(frame)
    if page.size != wanted.size:
        yield f"page {number} is drawn at {page.size}, not at {wanted.size}"
        return
    difference = ImageChops.difference(wanted, page)
    if difference.getbbox() is None:
        return
    found = _spread(difference)
    if found[0] > mean or found[1] > most:
        yield f"page {number} shows other pixels ({frame.mode}, {kind or 'exact'}: {found[0]:.2f}, {found[1]})"


def inks_differ(image: Image.Image, taken: Image.Image, number: int) -> Iterator[str]:
    """Yield what is wrong with the inks that were *taken* out of a page, unturned."""
    if taken.mode != "CMYK" or taken.size != image.size:
        yield f"page {number} holds a {taken.mode} image of {taken.size}"
        return
    mean, most = TOLERANCES.get("jpeg", EXACT) if _coded(image) else EXACT
    difference = ImageChops.difference(image, taken)
    found = _spread(difference)
    if found[0] > mean or found[1] > most:
        yield f"page {number} holds other inks ({found[0]:.2f}, {found[1]})"


def _spread(difference: Image.Image) -> tuple[float, int]:
    """Return the mean and the largest of the differences."""
    most = max((at % 256 for at, count in enumerate(difference.histogram()) if count), default=0)
    return max(ImageStat.Stat(difference).mean), most


def _kind(frame: Image.Image) -> str:
    if frame.mode == "CMYK":
        return "cmyk"
    if frame.info.get("coded"):
        return "jpeg"
    if frame.mode in {"LA", "RGBA", "PA"} or "transparency" in frame.info:
        return "alpha"
    return "deep" if frame.mode.startswith("I") else ""


def _on_paper(frame: Image.Image) -> Image.Image:
    """Return what one sees of a frame on white paper."""
    if frame.mode.startswith("I"):
        return frame.point(lambda value: value / 256).convert("L").convert("RGB")
    if _kind(frame) == "alpha":
        seen = frame.convert("RGBA")
        paper = Image.new("RGBA", seen.size, "white")
        return Image.alpha_composite(paper, seen).convert("RGB")
    return frame.convert("RGB")


def without_profile(sealed: Path) -> Path:
    """Return a copy of the file that has device colours in place of profiles, or the file itself."""
    data = sealed.read_bytes()
    if not _PROFILE.search(data):
        return sealed

    def device(found: re.Match[bytes]) -> bytes:
        number = found[1]
        at = data.find(b"\n" + number + b" 0 obj")
        count = _COMPONENTS.search(data, at)
        return _SPACES[int(count[1]) if count else 3].ljust(len(found[0]))

    copy = sealed.with_name("without-profile.pdf")
    copy.write_bytes(_PROFILE.sub(device, data))
    return copy
