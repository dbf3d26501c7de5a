"""Damage to PNGs, whose checksums are made right again, and to the boxes of JPEG 2000."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from random import Random
from typing import Final

from tests.fuzz import raw

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
NAMES: Final = (
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"pHYs", b"iCCP", b"eXIf", b"acTL", b"fcTL", b"fdAT", b"gAMA",
    b"sRGB", b"tEXt", b"zTXt", b"iTXt", b"cHRM", b"bKGD", b"sBIT", b"CgBI", b"XXXX", b"xxxx",
)  # fmt: skip
MOST_UNPACKED: Final = 1 << 22
BOXES: Final = (
    b"jP  ",
    b"ftyp",
    b"jp2h",
    b"ihdr",
    b"colr",
    b"pclr",
    b"cmap",
    b"cdef",
    b"res ",
    b"bpcc",
    b"jp2c",
    b"xml ",
    b"uuid",
)
IN_CODESTREAM: Final = (
    0xFF4F,
    0xFF51,
    0xFF52,
    0xFF53,
    0xFF5C,
    0xFF5D,
    0xFF64,
    0xFF90,
    0xFF93,
    0xFFD9,
)

Chunks = list[tuple[bytes, bytes]]


def split(data: bytes) -> Chunks:
    """Take a PNG apart as far as it can be."""
    found: Chunks = []
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def joined(chunks: Chunks) -> bytes:
    """Put a PNG together, its checksums right."""
    return SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def lose(chunks: Chunks, rng: Random) -> None:
    """Leave a chunk out."""
    del chunks[rng.randrange(len(chunks))]


def repeat(chunks: Chunks, rng: Random) -> None:
    """Write a chunk again, elsewhere."""
    one = rng.choice(chunks)
    for _ in range(rng.choice((1, 1, 500))):
        chunks.insert(rng.randint(0, len(chunks)), one)


def swap(chunks: Chunks, rng: Random) -> None:
    """Write two chunks in each other's place."""
    a, b = rng.randrange(len(chunks)), rng.randrange(len(chunks))
    chunks[a], chunks[b] = chunks[b], chunks[a]


def rename(chunks: Chunks, rng: Random) -> None:
    """Call a chunk something else."""
    at = rng.randrange(len(chunks))
    chunks[at] = (rng.choice(NAMES), chunks[at][1])


def contents(chunks: Chunks, rng: Random) -> None:
    """Damage what is in a chunk."""
    at = rng.randrange(len(chunks))
    body = bytearray(chunks[at][1])
    rng.choice(raw.DAMAGES)(body, rng)
    chunks[at] = (chunks[at][0], bytes(body))


def header(chunks: Chunks, rng: Random) -> None:
    """Change the header: size, depth, colours, coding."""
    for at, (name, body) in enumerate(chunks):
        if name == b"IHDR" and len(body) == 13:
            fields = list(struct.unpack(">IIBBBBB", body))
            place = rng.randrange(7)
            fields[place] = rng.choice(
                (
                    (fields[place] + 1, fields[place] - 1, 0, 1, 30000, 0x7FFFFFFF, 0xFFFFFFFF),
                    (fields[place] + 1, fields[place] - 1, 0, 1, 30000, 0x7FFFFFFF, 0xFFFFFFFF),
                    (1, 2, 4, 8, 16, 3, 32),
                    (0, 2, 3, 4, 6, 1, 5, 7),
                    (0, 1),
                    (0, 1, 64),
                    (0, 1, 2),
                )[place]
            )
            chunks[at] = (
                name,
                struct.pack(">IIBBBBB", *(fields[0] % 2**32, fields[1] % 2**32, *fields[2:])),
            )


def insert(chunks: Chunks, rng: Random) -> None:
    """Put in a chunk that says something about the image."""
    profile = b"p\0\0" + zlib.compress(bytes(36) + b"acsp" + bytes(100))
    turn = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + struct.pack(
        "<HHI", rng.choice((0, 2, 3, 6, 8, 9)), 0, 0
    )
    bodies = (
        (b"tRNS", bytes(rng.choice((1, 2, 6, 9, 300)))),
        (b"PLTE", bytes(range(3 * rng.choice((1, 9, 50))))),
        (
            b"pHYs",
            struct.pack(
                ">IIB", rng.choice((0, 1, 2835, 11811, 2**32 - 1)), 2835, rng.choice((0, 1, 2))
            ),
        ),
        (b"acTL", struct.pack(">II", rng.choice((1, 2)), 0)),
        (b"eXIf", turn),
        (b"iCCP", profile),
        (b"gAMA", struct.pack(">I", rng.choice((0, 45455, 100000)))),
        (b"sRGB", b"\0"),
        (b"zTXt", b"a\0\0" + zlib.compress(bytes(3_000_000))),
        (b"IDAT", b""),
        (b"IEND", b""),
    )
    chunks.insert(rng.randint(0, len(chunks)), rng.choice(bodies))


def rows(chunks: Chunks, rng: Random) -> None:
    """Damage the rows before they are packed: filters that do not exist, rows too many."""
    packed = b"".join(body for name, body in chunks if name == b"IDAT")
    try:
        unpacked = bytearray(zlib.decompressobj().decompress(packed, MOST_UNPACKED))
    except zlib.error:
        return
    if rng.random() < 0.5:
        rng.choice(raw.DAMAGES)(unpacked, rng)
    elif unpacked:
        unpacked[rng.randrange(len(unpacked))] = rng.choice((1, 2, 3, 4, 5, 255))
    again = zlib.compress(bytes(unpacked), rng.choice((0, 1, 9)))
    at = next((at for at, (name, _) in enumerate(chunks) if name == b"IDAT"), len(chunks))
    chunks[:] = [one for one in chunks if one[0] != b"IDAT"]
    cut = rng.randint(0, len(again))
    chunks[at:at] = (
        [(b"IDAT", again)]
        if rng.random() < 0.5
        else [(b"IDAT", again[:cut]), (b"IDAT", again[cut:])]
    )


def more_data(chunks: Chunks, rng: Random) -> None:
    """Put something behind the packed rows, or a second stream of them."""
    places = [at for at, (name, _) in enumerate(chunks) if name == b"IDAT"]
    if places:
        at = places[-1]
        extra = rng.choice((b"\0", b"junk", zlib.compress(b"\0" * 900), chunks[at][1]))
        chunks[at] = (b"IDAT", chunks[at][1] + extra)


CHANGES: Final[tuple[Callable[[Chunks, Random], None], ...]] = (
    lose, repeat, swap, rename, contents, contents, contents, header, header, header, insert, insert, insert,
    rows, rows, rows, more_data,
)  # fmt: skip


def _on(change: Callable[[Chunks, Random], None]) -> Callable[[bytearray, Random], None]:
    def damage(data: bytearray, rng: Random) -> None:
        chunks = split(bytes(data))
        if chunks:
            change(chunks, rng)
            data[:] = joined(chunks)

    damage.__name__ = change.__name__
    return damage


DAMAGES: Final = tuple(_on(change) for change in CHANGES)


def box(data: bytearray, rng: Random) -> None:
    """Change the length or the name of a box."""
    places = [at for name in BOXES for at in [data.find(name)] if at >= 4]
    if places:
        at = rng.choice(places)
        if rng.random() < 0.4:
            data[at : at + 4] = rng.choice(BOXES)
        else:
            (held,) = struct.unpack_from(">I", data, at - 4)
            near = rng.choice((held + 1, held - 1, 0, 1, 7, 8, 2**31, 2**32 - 1))
            struct.pack_into(">I", data, at - 4, near % 2**32)


def inside_box(data: bytearray, rng: Random) -> None:
    """Change a byte right behind the name of a box: sizes, depths, colour spaces."""
    places = [at for name in BOXES for at in [data.find(name)] if at >= 4]
    if places:
        at = rng.choice(places) + 4 + rng.randrange(16)
        if at < len(data):
            data[at] = rng.choice(raw.INTERESTING)


def codestream(data: bytearray, rng: Random) -> None:
    """Change a byte right behind a marker of the codestream."""
    places = [
        at for marker in IN_CODESTREAM for at in [data.find(struct.pack(">H", marker))] if at >= 0
    ]
    if places:
        at = rng.choice(places) + rng.randrange(40)
        if at < len(data):
            data[at] = rng.choice(raw.INTERESTING) if rng.random() < 0.6 else rng.randrange(256)


JP2_DAMAGES: Final[tuple[Callable[[bytearray, Random], None], ...]] = (
    box,
    inside_box,
    inside_box,
    codestream,
    codestream,
)
