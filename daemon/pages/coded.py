"""Whether the coded data of a PDF's images is all there.

qpdf takes a stream for whole when its bytes are; what they mean it does not ask. A
page whose image breaks off is a page whose paper must stay. Looked at is what can be
seen without decoding every pixel; descriptions of pages are unpacked in `symbols`.

    JPEG     it begins as one, has the size that the page is told, and comes to its end
    Flate    it unpacks, to as many rows as the page is told; what is not packed has them, too
    Group 4  no zeros stand in place of rows
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Final

from pikepdf import Name

from daemon.errors import Refused
from daemon.pages.sample import Description

if TYPE_CHECKING:
    from pikepdf import Object

_IMAGE: Final = re.compile(rb"/Subtype /Image")
_SEGMENT: Final = re.compile(rb"\xff+([^\x00\xff])(..)", re.DOTALL)
_PADDING: Final = b"\0\xff\r\n "
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN: Final = 0xDA
_END: Final = b"\xff\xd9"
_LAST: Final = 2048
"""In so many bytes the end has to come; scanners fill up sectors."""
_NOTHING: Final = bytes(64)
"""No code words of Group 4 have so many zeros between them."""
_CHUNK: Final = 1 << 20
_PIECE: Final = 1 << 16
_MOST: Final = 256 << 20
"""Bytes of rows that are counted; and looked at where nobody here knows how many there should be."""


def whole(stream: Object, source: bytes) -> None:
    """Raise Refused if *stream*, whose dictionary reads *source*, is an image that breaks off."""
    if not _IMAGE.search(source):
        return
    image = Description(stream)  # type: ignore[arg-type]
    if image.filter == "/DCTDecode":
        _jpeg(memoryview(stream.get_raw_stream_buffer()), image.size)
    elif image.filter == "/CCITTFaxDecode":
        _fax(memoryview(stream.get_raw_stream_buffer()), image)
    elif image.filter == "/FlateDecode":
        _flate(memoryview(stream.get_raw_stream_buffer()), _least(image))
    elif stream.get(Name.Filter) is None:
        _has_rows(memoryview(stream.get_raw_stream_buffer()).nbytes, _least(image))


def _damaged(what: str) -> Refused:
    return Refused("pdf-damaged", what)


def _jpeg(data: memoryview, size: tuple[int, int]) -> None:
    place, found = 2, None
    if bytes(data[:2]) != b"\xff\xd8":
        raise _damaged("an image of the PDF is no JPEG, as it says it is")
    while True:
        segment = _SEGMENT.match(data, place)
        if segment is None:
            raise _damaged("a JPEG in the PDF breaks off before its coded data")
        length = int.from_bytes(segment[2], "big")
        if segment[1][0] in _FRAMES:
            frame = bytes(data[segment.end() : segment.end() + 5])
            found = int.from_bytes(frame[3:5], "big"), int.from_bytes(frame[1:3], "big")
        if segment[1][0] == _SCAN:
            break
        place = segment.end() - 2 + length
    if found != size:
        raise _damaged("a JPEG in the PDF has another size than its page says")
    if not bytes(data[-_LAST:]).rstrip(_PADDING).endswith(_END):
        raise _damaged("a JPEG in the PDF breaks off")


def _fax(data: memoryview, image: Description) -> None:
    said = image.parameters
    form = (said.get_int("/K") or 0) if said is not None else 0
    held = bytes(data)
    if form < 0 and _NOTHING in held.rstrip(b"\0"):
        raise _damaged("a fax in the PDF has zeros in place of rows")
    if form < 0 and not held.strip(b"\0"):
        raise _damaged("a fax in the PDF is empty")


def _flate(data: memoryview, least: int) -> None:
    unpacker, size = zlib.decompressobj(), 0
    wanted = min(least or _MOST, _MOST)
    try:
        # Taken in small pieces: what is not yet used of one is copied again and again.
        for place in range(0, len(data), _PIECE):
            left: bytes | memoryview = data[place : place + _PIECE]
            while size < wanted and (unpacked := unpacker.decompress(left, _CHUNK)):
                size += len(unpacked)
                left = unpacker.unconsumed_tail
    except zlib.error:
        raise _damaged("an image in the PDF does not unpack") from None
    _has_rows(size, min(least, _MOST))


def _has_rows(size: int, least: int) -> None:
    if size < least:
        raise _damaged("an image in the PDF has fewer rows than its page says")


def _least(image: Description) -> int:
    """Return how many bytes the image unpacks to; 0 where nobody here knows."""
    (width, height), (colours, _) = image.size, image.colours
    said = image.parameters
    predictor = (said.get_int("/Predictor") or 1) if said is not None else 1
    if image.bits not in {1, 2, 4, 8, 16} or width <= 0 or height <= 0:
        return 0
    row = (width * (1 if image.stencil else colours) * image.bits + 7) // 8
    return (row + (predictor >= 10)) * height
