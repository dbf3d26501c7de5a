"""Losslessly packed samples of a TIFF, carried: LZW, Deflate, PackBits.

PDF unpacks the same: LZW as TIFF 6.0 has it, Deflate, and PackBits under the name
of run lengths; rows of samples lie alike, and the difference to the pixel before
is a predictor of both. Not so: LZW as TIFF 5.0 had it by mistake, bits that are
stored low end first, 16 bits that are stored low byte first.

Only one strip is one stream, but for PackBits, whose runs can follow each other.
A stream that unpacks to more or less than the image is not carried.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

import pikepdf
from pikepdf import Name

from daemon.document import CHUNK
from daemon.pages.layout import (
    BLACK_IS_ZERO,
    COMPONENTS,
    DEFLATE,
    LZW,
    OLD_DEFLATE,
    PACKBITS,
    PALETTE,
    PREDICTOR,
    RGB,
    SEPARATED,
    WHITE_IS_ZERO,
    Frame,
)
from daemon.pages.picture import Chunks, Picture, device_space, indexed, part_of_file

FILTERS: Final = {
    LZW: b"/LZWDecode",
    DEFLATE: b"/FlateDecode",
    OLD_DEFLATE: b"/FlateDecode",
    PACKBITS: b"/RunLengthDecode",
}
DIFFERENCES: Final = 2
"""TIFF's number for the horizontal predictor, and PDF's."""
END_OF_RUNS: Final = 128
"""A run of this length is none in TIFF, and the end of the data in PDF."""
MEANINGS: Final = frozenset({WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, SEPARATED})


def carried(frame: Frame) -> Picture | None:
    """Return the page whose stream is the file's own, or None where PDF cannot hold it."""
    strips = frame.strips()
    if not _fits(frame) or not strips or (len(strips) > 1 and frame.compression != PACKBITS):
        return None
    predictor = frame.directory.number(PREDICTOR, 1)
    if frame.compression == PACKBITS:
        predictor = 1  # TIFF has it for the other two only
    if predictor != 1 and (predictor != DIFFERENCES or frame.bits not in {8, 16}):
        return None
    chunks = _chunks(frame)
    if not _unpacks(frame, chunks):
        return None
    entries = b"/BitsPerComponent %d /Filter %b" % (frame.bits, FILTERS[frame.compression])
    if predictor == DIFFERENCES:
        entries += (
            b" /DecodeParms << /Predictor 2 /Colors %d /BitsPerComponent %d /Columns %d >>"
            % (
                frame.samples,
                frame.bits,
                frame.width,
            )
        )
    if frame.photometric == WHITE_IS_ZERO:
        entries += b" /Decode [ 1 0 ]"
    colours = base = device_space(3 if frame.photometric == PALETTE else frame.samples)
    if frame.photometric == PALETTE:
        colours = indexed(frame.palette())
    return Picture(
        width=frame.width,
        height=frame.height,
        entries=entries,
        colours=colours,
        base=base if frame.photometric == PALETTE else b"",
        chunks=chunks,
        density=frame.density,
        turn=frame.turn,
        icc=frame.icc,
    )


def _fits(frame: Frame) -> bool:
    """Return whether PDF has words for samples that lie like these."""
    deep = frame.bits == 16
    return (
        frame.compression in FILTERS
        and frame.photometric in MEANINGS
        and frame.samples == COMPONENTS[frame.photometric]
        and frame.bits in {1, 2, 4, 8, 16}
        and not (deep and (frame.directory.order == "<" or frame.photometric == WHITE_IS_ZERO))
        and not frame.backwards
    )


def _chunks(frame: Frame) -> Chunks:
    def chunks() -> Iterator[bytes]:
        for start, length in frame.strips():
            yield from part_of_file(frame.directory.file, start, length)()
        if frame.compression == PACKBITS:
            yield bytes([END_OF_RUNS])

    return chunks


def _unpacks(frame: Frame, chunks: Chunks) -> bool:
    """Return whether the strips unpack to exactly the image's bytes."""
    wanted = (frame.width * frame.samples * frame.bits + 7) // 8 * frame.height
    if frame.compression == PACKBITS:
        return _runs(chunks) == wanted
    if frame.compression == LZW:
        return _codes(b"".join(chunks()), wanted)
    return _deflated(chunks, wanted)


def _runs(chunks: Chunks) -> int:
    """Return how many bytes the runs stand for up to their end; -1 if that is not at the end."""
    data = b"".join(chunks())
    place = found = 0
    while place < len(data):
        length = data[place]
        if length == END_OF_RUNS:
            return found if place == len(data) - 1 else -1
        if length < END_OF_RUNS:
            found += length + 1
            place += length + 2
        else:
            found += 257 - length
            place += 2
    return -1


def _codes(data: bytes, wanted: int) -> bool:
    # What is much longer than its pixels is none that an encoder made.
    if len(data) > 2 * wanted + CHUNK:
        return False
    with pikepdf.new() as scratch:
        stream = scratch.make_stream(data, Filter=Name.LZWDecode)
        try:
            return len(stream.read_bytes()) == wanted and not scratch.get_warnings()
        except pikepdf.PikepdfError:
            return False


def _deflated(chunks: Chunks, wanted: int) -> bool:
    unpacked, left = zlib.decompressobj(), wanted
    try:
        for chunk in chunks():
            rest = chunk
            while rest and left >= 0 and not unpacked.eof:
                left -= len(unpacked.decompress(rest, CHUNK))
                rest = unpacked.unconsumed_tail
    except zlib.error:
        return False
    return unpacked.eof and not left and not unpacked.unused_data
