"""What is in a prepared file, and what a reader sees: for the tests of wrapped images."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pikepdf
from PIL import Image, ImageChops

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Held:
    """The image of a page, out of its file."""

    words: dict[str, str]
    """Each entry of its dictionary but the streams, as PDF writes it."""
    raw: bytes
    data: bytes
    """What is left when qpdf has unpacked what it can."""


def held_by(path: Path, page: int = 0) -> Held:
    """Return the image of a page."""
    with pikepdf.open(path) as made:
        image = made.pages[page].obj.Resources.XObject["/Im"]
        assert isinstance(image, pikepdf.Stream)
        words = {
            key: value.unparse(resolved=True).decode("latin-1")
            if isinstance(value, pikepdf.Object)
            else str(value)
            for key, value in image.stream_dict.items()
            if not isinstance(value, pikepdf.Stream)
        }
        raw = image.read_raw_bytes()
        lossy = words.get("/Filter") in {"/CCITTFaxDecode", "/DCTDecode", "/JPXDecode"}
        data = raw if lossy else image.read_bytes(pikepdf.StreamDecodeLevel.specialized)
    return Held(words, raw, data)


def seen(path: Path, frame: int = 0) -> Image.Image:
    """Decode an image of the original; Pillow turns those of a TIFF upright."""
    with Image.open(path) as image:
        image.seek(frame)
        image.load()
        return image.copy()


def decoded(image: pikepdf.Object) -> Image.Image:
    """Decode an image of a prepared file."""
    assert isinstance(image, pikepdf.Stream)
    return pikepdf.PdfImage(image).as_pil_image()


def shown(path: Path, page: int = 0) -> Image.Image:
    """Show a page as a reader of PDF has to: mirrored by its matrix, then turned by /Rotate."""
    with pikepdf.open(path) as made:
        return upright(made.pages[page].obj, decoded(made.pages[page].obj.Resources.XObject["/Im"]))


def upright(page: pikepdf.Object, image: Image.Image) -> Image.Image:
    """Turn an image as its page wants it."""
    if page.Contents.read_bytes().startswith(b"q\n-"):
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return image.rotate(-int(page.get("/Rotate", 0)), expand=True)


def poppler_sees(path: Path) -> Image.Image:
    """Return the image of the first page as poppler decodes it."""
    prefix = path.with_suffix("")
    done = subprocess.run(
        ["pdfimages", "-png", path, prefix], check=True, capture_output=True, text=True
    )
    assert not done.stderr, done.stderr
    with Image.open(f"{prefix}-000.png") as image:
        image.load()
        return image.copy()


def same_pixels(one: Image.Image, other: Image.Image) -> bool:
    """Return whether two images look the same, in every pixel."""
    return one.size == other.size and not any(
        ImageChops.difference(one.convert("RGB"), other.convert("RGB")).tobytes()
    )
