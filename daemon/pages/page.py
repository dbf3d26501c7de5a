"""What one page of a sealed file shows: one image that fills it, and nothing else.

Read from the file alone: this does not know how the page came to be.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

from pikepdf import Array, Dictionary, Name, Page, Stream

from daemon.document import CHUNK
from daemon.pages.graphs import Differ

if TYPE_CHECKING:
    from collections.abc import Iterator

_NUMBER: Final = rb"(-?[0-9]+(?:\.[0-9]+)?)"
_CONTENT: Final = re.compile(
    rb"q\s+" + rb" ".join([_NUMBER] * 6) + rb" cm\s+/Im Do\s+Q\s*", re.DOTALL
)
_ENTRIES: Final = frozenset({
    "/Type", "/Parent", "/MediaBox", "/Annots", "/Rotate", "/UserUnit", "/Contents", "/Resources",
})  # fmt: skip
_IMAGE_ENTRIES: Final = frozenset({
    "/Type", "/Subtype", "/Width", "/Height", "/ColorSpace", "/BitsPerComponent", "/Filter",
    "/DecodeParms", "/Decode", "/SMask", "/Mask", "/Length",
})  # fmt: skip
_ALWAYS: Final = frozenset({"/Type", "/Subtype", "/Width", "/Height", "/Filter", "/Length"})


@dataclass(frozen=True, slots=True)
class Shown:
    """What one page of the sealed file shows."""

    image: Stream
    turned: tuple[int, bool]
    """Clockwise degrees, after mirroring or not."""

    @property
    def filter(self) -> str:
        """The image's filter; there is always exactly one."""
        return str(self.image.get(Name.Filter))


def shown_by(page: Page, field: Dictionary | None) -> Shown:
    """Return what *page* shows; raise Differ if it shows anything else than one whole image."""
    entries = page.obj
    notes = entries.get(Name.Annots)
    if field is None:
        expected = notes is None
    else:
        expected = (
            isinstance(notes, Array)
            and len(notes) == 1
            and isinstance(notes[0], Dictionary)
            and notes[0].objgen == field.objgen
        )
    box = entries.get(Name.MediaBox)
    content = entries.get(Name.Contents)
    resources = entries.get(Name.Resources)
    images = resources.get(Name.XObject) if isinstance(resources, Dictionary) else None
    if (
        not expected
        or set(entries.keys()) - _ENTRIES
        or not isinstance(box, Array)
        or not isinstance(content, Stream)
        or not isinstance(images, Dictionary)
        or set(images.keys()) != {"/Im"}
    ):
        raise Differ("a page of the sealed file is not a page around an image")
    matrix = _CONTENT.fullmatch(content.read_raw_bytes())
    image = images.get("/Im")
    if matrix is None or not isinstance(image, Stream) or set(image.keys()) - _IMAGE_ENTRIES:
        raise Differ("a page of the sealed file draws something else")
    left, bottom, width, height = (float(edge) for edge in box)
    a, b, c, d, e, f = (float(number) for number in matrix.groups())
    mirrored = a < 0
    if (left, bottom, b, c, f) != (0, 0, 0, 0, 0) or (abs(a), d) != (width, height):
        raise Differ("an image of the sealed file does not fill its page")
    if e != (width if mirrored else 0):
        raise Differ("an image of the sealed file does not fill its page")
    return Shown(image, (entries.get_int(Name.Rotate) or 0, mirrored))


def has_only(image: Stream, *names: str) -> None:
    """Raise Differ if more is said about the image than its size, its filter and these entries."""
    if set(image.keys()) - _ALWAYS - set(names):
        raise Differ("the sealed file says more about an image")


def carries(image: Stream, pieces: Iterator[bytes]) -> None:
    """Raise Differ unless the stream's raw bytes are these *pieces*, to the end."""
    held = memoryview(image.get_raw_stream_buffer())
    place = 0
    for piece in pieces:
        if bytes(held[place : place + len(piece)]) != piece:
            raise Differ("an image of the sealed file has other bytes")
        place += len(piece)
    if place != len(held):
        raise Differ("an image of the sealed file has other bytes")


def pieces_of(file: IO[bytes], start: int, length: int | None) -> Iterator[bytes]:
    """Yield the bytes of a file between two places, or to its end."""
    file.seek(start)
    while length is None or length > 0:
        piece = file.read(CHUNK if length is None else min(CHUNK, length))
        if not piece:
            return
        length = None if length is None else length - len(piece)
        yield piece
