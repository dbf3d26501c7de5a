"""What a file is, and whether it is all there, from bytes at fixed places.

This runs in the main process on bytes from outside, so it parses nothing: it
looks at the first and last kilobyte, at the one place that a PDF's last line
names, and at the few places where a JPEG 2000 file says that its next part
begins. What only a parser can see is found after the claim, in a page worker.

A TIFF cannot tell that it is complete: its pages may lie anywhere in the file.
Quiet time and the open-writer check have to do for it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD: Final = 1024
"""So many bytes from the start are looked at."""
TAIL: Final = 1024
"""So many bytes from the end are looked at."""

EXTENSIONS: Final = {"pdf": "pdf", "tiff": "tif", "jpeg": "jpg", "png": "png", "jp2": "jp2"}
TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""Little and big endian, then the same of BigTIFF."""
PNG: Final = b"\x89PNG\r\n\x1a\n"
PNG_END: Final = b"\0\0\0\0IEND\xaeB`\x82"
JPEG: Final = b"\xff\xd8\xff"
JPEG_END: Final = b"\xff\xd9"
JP2: Final = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
"""The file of boxes, then the bare code stream, which a page worker refuses by its name."""
MOST_BOXES: Final = 64
BOX_HEAD: Final = 16
PADDING: Final = b"\0\xff"
"""Some scanners fill the last sector after the image's end."""

_LAST_LINES: Final = re.compile(rb"startxref\s+(\d{1,19})\s+%%EOF")
_NEXT_REVISION: Final = re.compile(rb"\s*(?:\d|xref)|.*startxref", re.DOTALL)
_TABLE: Final = re.compile(rb"\s*(?:xref\b|\d+\s+\d+\s+obj\b)")


def identify(head: bytes) -> str:
    """Return pdf, tiff, jpeg, png or jp2 from a file's first bytes, or '' for anything else.

    A PDF may begin a little later: some scanners write a header of their own first.
    """
    if head.startswith(TIFF):
        return "tiff"
    if head.startswith(JPEG):
        return "jpeg"
    if head.startswith(PNG):
        return "png"
    if head.startswith(JP2):
        return "jp2"
    return "pdf" if b"%PDF-" in head[:HEAD] else ""


def extension(kind: str) -> str:
    """Return how an original of this kind ends: pdf, tif, jpg, png, jp2, or bin for the unknown."""
    return EXTENSIONS.get(kind, "bin")


def complete(kind: str, head: bytes, tail: bytes, read_at: Callable[[int, int], bytes]) -> bool:
    """Return whether the file is complete, as far as bytes at fixed places can tell.

    *head* and *tail* are its first and last kilobyte, *read_at(offset, n)* gives
    up to n bytes from anywhere, and none beyond the end.
    """
    match kind:
        case "pdf":
            return _pdf_complete(head, tail, read_at)
        case "jpeg":
            return tail.rstrip(PADDING).endswith(JPEG_END)
        case "png":
            return tail.rstrip(PADDING).endswith(PNG_END)
        case "tiff":
            return _tiff_complete(head, read_at)
        case "jp2":
            return _jp2_complete(head, tail, read_at)
    return False


def _pdf_complete(head: bytes, tail: bytes, read_at: Callable[[int, int], bytes]) -> bool:
    last = None
    for last in _LAST_LINES.finditer(tail):  # noqa: B007 (the last one counts)
        pass
    # One more object, or these lines without their end: the next revision is still being written.
    if last is None or _NEXT_REVISION.match(tail, last.end()):
        return False
    offset = int(last[1])
    # Offsets count from %PDF- where something stands before it, or from the file's start.
    return any(
        _TABLE.match(read_at(offset + shift, 64)) is not None
        for shift in {0, max(0, head[:HEAD].find(b"%PDF-"))}
    )


def _tiff_complete(head: bytes, read_at: Callable[[int, int], bytes]) -> bool:
    big = head[2:4] in {b"+\0", b"\0+"}
    place = head[8:16] if big else head[4:8]
    if len(place) != (8 if big else 4):
        return False
    offset = int.from_bytes(place, "little" if head.startswith(b"II") else "big")
    # Zero or the header itself: some scanners fill this offset in at the very end.
    return offset >= (16 if big else 8) and len(read_at(offset, 2)) == 2


def _jp2_complete(head: bytes, tail: bytes, read_at: Callable[[int, int], bytes]) -> bool:
    """Return whether the boxes lie one behind the other up to the end, one of them an image.

    The image's box says its length, and ends with the code stream's end; or it has no
    length and goes on to the end of the file, as it does while it is being written.
    """
    place, whole = 0, False
    if head.startswith(JP2[1]):
        return tail.rstrip(PADDING).endswith(JPEG_END)
    for _ in range(MOST_BOXES):
        box = read_at(place, BOX_HEAD)
        if not box.strip(PADDING):
            return whole
        length, name = int.from_bytes(box[:4], "big"), box[4:8]
        if length == 1:
            length = int.from_bytes(box[8:16], "big")
        if length == 0:
            return name == b"jp2c" and tail.rstrip(PADDING).endswith(JPEG_END)
        if length < 8 or len(last := read_at(place + length - 2, 2)) < 2:
            return False
        whole = whole or (name == b"jp2c" and last == JPEG_END)
        place += length
    return False
