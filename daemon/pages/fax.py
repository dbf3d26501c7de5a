"""Fax coding in a TIFF: carried, joined, or coded once more.

One strip is carried byte for byte. So are several, one behind the other, where
each row can be read without the strip's beginning: in Group 3, whose rows begin
with a mark, and in its simplest form, whose rows begin at a byte. Bits that are
stored low end first are turned around, which PDF has no word for; the code words
stay what they are.

Each strip of Group 4 begins below a white row of its own, so several of them are
no one stream. Their pixels are coded once more, in Group 4 again.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Final

from PIL import Image, ImageChops, TiffImagePlugin

from daemon.document import CHUNK
from daemon.errors import Refused
from daemon.pages import frames
from daemon.pages.ifd import directories, one_strip
from daemon.pages.layout import (
    BITS,
    BLACK_IS_ZERO,
    COMPRESSION,
    G3,
    G4,
    HEIGHT,
    ORIENTATION,
    PHOTOMETRIC,
    RLE,
    ROWS,
    SAMPLES,
    STRIP_COUNTS,
    STRIP_OFFSETS,
    T4_OPTIONS,
    T6_OPTIONS,
    WHITE_IS_ZERO,
    WIDTH,
    Frame,
    Strip,
)
from daemon.pages.picture import TRANSCODED, Chunks, Density, Picture

CODINGS: Final = frozenset({RLE, G3, G4})
UNCOMPRESSED_RUNS: Final = 2
"""The option's bit; PDF has no word for them."""
NOTHING: Final = bytes(8)
LOOKED_AT: Final = 32
"""So many bytes of a strip's end tell how it ends."""

_BACKWARDS: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_COMPLAINT: Final = re.compile(rb"^Fax\w+: (?:Bad code word|Uncompressed data)", re.MULTILINE)
_ENCODERS: Final = {RLE: "tiff_ccitt", G3: "group3", G4: "group4"}
_FILL: Final = re.compile("0{11,}1")
_MARKS: Final = re.compile("0{11}1")
_ROW_MARK: Final = "000000000001"
_BLOCK_MARK: Final = 2 * _ROW_MARK


def is_fax(frame: Frame) -> bool:
    """Return whether the image is coded as a fax, and is black and white."""
    return (
        frame.compression in CODINGS
        and (frame.bits, frame.samples) == (1, 1)
        and frame.photometric in {WHITE_IS_ZERO, BLACK_IS_ZERO}
    )


def load(image: Image.Image, path: str, frame: Frame) -> None:
    """Decode a fax; refuse one that breaks off, or has words that mean nothing.

    libtiff makes what is left of the row, or of the page, white, and Pillow does not
    pass on that it complains; other readers guess in other ways.
    """
    for number, strip in enumerate(frame.strips()):
        rows = min(frame.rows, frame.height - number * frame.rows)
        if _breaks_off(frame.compression, _read(frame, strip), rows):
            raise Refused("file-incomplete", "the fax coding breaks off")
    if _COMPLAINT.search(frames.loaded(image, path)):
        raise Refused("image-damaged", "the fax coding has words that mean nothing")


def _breaks_off(coding: int, data: bytes, rows: int) -> bool:
    """Return whether there are zeros in place of rows, as in a file that was never filled."""
    end = data.find(NOTHING)
    if end < 0:
        return False
    if coding == G4:  # no code words have so many zeros between them
        before = _in_bits(data[max(0, end - LOOKED_AT) : end + 2]).rstrip("0")
        return not before.endswith(_BLOCK_MARK) or bool(data[end:].strip(b"\0"))
    # In Group 3 they can stand before a row's mark, to give a slow machine time.
    return coding == G3 and len(_MARKS.findall(_in_bits(data))) < rows


def carried(frame: Frame) -> Picture | None:
    """Return the page whose stream is the file's own strips, or None where PDF cannot hold them."""
    coding, strips = frame.compression, frame.strips()
    options = frame.directory.number(T6_OPTIONS if coding == G4 else T4_OPTIONS, 0)
    if not strips or (coding != RLE and options & UNCOMPRESSED_RUNS):
        return None
    if len(strips) > 1 and coding == G4:
        return None
    form = {RLE: 0, G3: options & 1, G4: -1}[coding]
    ends = coding == G4 and _bits(frame, _end_of(strips[-1])).rstrip("0").endswith(_BLOCK_MARK)
    return Picture(
        width=frame.width,
        height=frame.height,
        entries=_entries(
            frame.width,
            frame.height,
            form,
            (b" /EncodedByteAlign true" if coding == RLE else b"")
            + (b"" if ends else b" /EndOfBlock false"),
            black_is_1=frame.photometric == BLACK_IS_ZERO,
        ),
        colours=b"/DeviceGray",
        chunks=_joined(frame, strips),
        density=frame.density,
        turn=frame.turn,
    )


def is_same(picture: Picture, frame: Frame, image: Image.Image) -> bool:
    """Return whether joined strips decode to the *image* that they decode to one by one.

    They do, unless one of them breaks off within a row, or ends as a whole page does.
    """
    tags = {
        WIDTH: frame.width,
        HEIGHT: frame.height,
        BITS: 1,
        COMPRESSION: frame.compression,
        PHOTOMETRIC: frame.photometric,
        ORIENTATION: frame.directory.number(ORIENTATION, 1),
        SAMPLES: 1,
        ROWS: frame.height,
        T4_OPTIONS: frame.directory.number(T4_OPTIONS, 0),
    }
    held = io.BytesIO(one_strip(tags, b"".join(picture.chunks())))
    with frames.decoding(), Image.open(held, formats=("TIFF",)) as joined:
        joined.load()
        return not ImageChops.logical_xor(joined, image).getbbox()


def is_usual(picture: Picture, frame: Frame) -> bool:
    """Return whether an encoder makes the same code words of the pixels as stand in the file.

    For each row there is one way to code it (T.4, 4.2; T.6, 2.2.5). Words that are damaged and
    still mean something decode to other pixels in each reader; what is coded in a way of its
    own is taken for that, too.
    """
    data = b"".join(picture.chunks())
    options = frame.directory.number(T4_OPTIONS, 0) & 1 if frame.compression == G3 else 0
    tags = {
        WIDTH: frame.width,
        HEIGHT: frame.height,
        BITS: 1,
        COMPRESSION: frame.compression,
        PHOTOMETRIC: BLACK_IS_ZERO,
        SAMPLES: 1,
        ROWS: frame.height,
        T4_OPTIONS: frame.directory.number(T4_OPTIONS, 0),
    }
    with (
        frames.decoding(),
        Image.open(io.BytesIO(one_strip(tags, data)), formats=("TIFF",)) as image,
    ):
        image.load()
        strips = [
            image.crop((0, top, frame.width, min(frame.height, top + frame.rows)))
            for top in range(0, frame.height, max(1, frame.rows))
        ]
        # In Group 3 every second or every fourth row is coded by itself, by the resolution.
        again = [
            [_encoded(strip, _ENCODERS[frame.compression], options, dpi) for strip in strips]
            for dpi in ((100, 200) if options else (100,))
        ]
    if frame.compression == G4:
        return _without_end(again[0][0]) == _without_end(data)
    if frame.compression == RLE:
        return b"".join(again[0]).rstrip(b"\0") == data.rstrip(b"\0")
    return _rows(data) in [[row for strip in one for row in _rows(strip)] for one in again]


def _without_end(data: bytes) -> str:
    """Return the bits of a Group 4 strip without its end mark and what fills the last byte."""
    bits = _in_bits(data).rstrip("0")
    return bits.removesuffix(_BLOCK_MARK).rstrip("0")


def _rows(data: bytes) -> list[str]:
    """Return the bits of each row of Group 3, without marks and what fills up to them.

    What stands between two marks and is no more than the tag of a row belongs to an end mark.
    """
    marked = _FILL.sub("|", _in_bits(data).rstrip("0"))
    return [row for row in marked.split("|") if row.strip("0") not in {"", "1"}]


def recoded(image: Image.Image, density: Density) -> Picture:
    """Return the page for black and white pixels, coded in one strip of Group 4."""
    data = group4(image)
    return Picture(
        width=image.width,
        height=image.height,
        entries=_entries(image.width, image.height, -1, b"", black_is_1=False),
        colours=b"/DeviceGray",
        chunks=lambda: iter([data]),
        density=density,
        findings=(TRANSCODED,),
    )


def group4(image: Image.Image) -> bytes:
    """Return black and white pixels, 0 for black, in one strip of Group 4."""
    # White is what fax coding is short about; Pillow's own way to invert takes a second.
    return _encoded(ImageChops.invert(image), "group4")


def _encoded(image: Image.Image, coding: str, options: int = 0, dpi: int = 100) -> bytes:
    """Return the pixels in one strip of fax coding, 0 for white."""
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[ROWS] = image.height
    if coding == "group3":
        info[T4_OPTIONS] = options
    held = io.BytesIO()
    with frames.decoding():
        image.save(held, "TIFF", compression=coding, tiffinfo=info, dpi=(dpi, dpi))
    (directory,) = directories(held, 1)
    start, length = directory.number(STRIP_OFFSETS, 0), directory.number(STRIP_COUNTS, 0)
    return held.getvalue()[start : start + length]


def _entries(width: int, height: int, form: int, more: bytes, *, black_is_1: bool) -> bytes:
    return (
        b"/BitsPerComponent 1 /Filter /CCITTFaxDecode /DecodeParms << /K %d /Columns %d /Rows %d"
        b" /BlackIs1 %b%b >>" % (form, width, height, b"true" if black_is_1 else b"false", more)
    )


def _joined(frame: Frame, strips: tuple[Strip, ...]) -> Chunks:
    def chunks() -> Iterator[bytes]:
        for start, length in strips:
            for place in range(start, start + length, CHUNK):
                yield _read(frame, (place, min(CHUNK, start + length - place)))

    return chunks


def _end_of(strip: Strip) -> Strip:
    start, length = strip
    return start + max(0, length - LOOKED_AT), min(length, LOOKED_AT)


def _bits(frame: Frame, strip: Strip) -> str:
    return _in_bits(_read(frame, strip))


def _in_bits(data: bytes) -> str:
    return f"{int.from_bytes(data, 'big'):0{8 * len(data)}b}" if data else ""


def _read(frame: Frame, strip: Strip) -> bytes:
    """Return a part of the file, its bits in PDF's order."""
    frame.directory.file.seek(strip[0])
    data = frame.directory.file.read(strip[1])
    return data.translate(_BACKWARDS) if frame.backwards else data
