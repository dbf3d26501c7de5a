"""Damage to bytes, whatever they are: what disks, cables and broken writers do, and worse."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final, Literal

INTERESTING: Final = (0, 1, 2, 7, 8, 9, 15, 16, 31, 32, 63, 64, 127, 128, 254, 255)
WIDE: Final = (
    0,
    1,
    2,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x10000,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFE,
    0xFFFFFFFF,
)
ORDERS: Final[tuple[Literal["little", "big"], ...]] = ("little", "big")
MOST_GROWN: Final = 1 << 16
"""So many bytes a file may gain at a time: what eats memory is mutated on purpose elsewhere."""

Damage = Callable[[bytearray, Random], None]


def _place(data: bytearray, rng: Random) -> int:
    """Return a place in the file; near its ends, where tables and headers are, more often."""
    if not data:
        return 0
    last = len(data) - 1
    where = rng.random()
    if where < 0.2:
        return min(last, int(rng.expovariate(1 / 60)))
    if where < 0.35:
        return max(0, last - int(rng.expovariate(1 / 150)))
    return rng.randint(0, last)


def _span(data: bytearray, rng: Random) -> tuple[int, int]:
    start = _place(data, rng)
    length = min(len(data) - start, 1 + int(rng.expovariate(1 / rng.choice((4, 60, 1000)))))
    return start, start + length


def flip_bits(data: bytearray, rng: Random) -> None:
    """Turn a few bits over."""
    for _ in range(rng.choice((1, 1, 1, 2, 8)) if data else 0):
        data[_place(data, rng)] ^= 1 << rng.randrange(8)


def set_bytes(data: bytearray, rng: Random) -> None:
    """Put other bytes in a few places."""
    for _ in range(rng.choice((1, 1, 2, 5)) if data else 0):
        data[_place(data, rng)] = (
            rng.choice(INTERESTING) if rng.random() < 0.7 else rng.randrange(256)
        )


def set_number(data: bytearray, rng: Random) -> None:
    """Put a binary number of two, four or eight bytes somewhere."""
    size = rng.choice((2, 4, 8))
    value = rng.choice(WIDE) % (1 << 8 * size)
    at = _place(data, rng)
    data[at : at + size] = value.to_bytes(size, rng.choice(ORDERS))


def add_to_number(data: bytearray, rng: Random) -> None:
    """Make a binary number a little larger or smaller."""
    size = rng.choice((1, 2, 4))
    at, order = _place(data, rng), rng.choice(ORDERS)
    held = data[at : at + size]
    value = int.from_bytes(held, order) + rng.choice((-2, -1, 1, 2, 16))
    data[at : at + size] = (value % (1 << 8 * len(held))).to_bytes(len(held), order)


def delete_block(data: bytearray, rng: Random) -> None:
    """Leave a block out."""
    start, end = _span(data, rng)
    del data[start:end]


def duplicate_block(data: bytearray, rng: Random) -> None:
    """Write a block twice, or many times."""
    start, end = _span(data, rng)
    block = data[start:end]
    times = rng.choice((1, 1, 2, 100))
    data[end:end] = (block * times)[:MOST_GROWN]


def swap_blocks(data: bytearray, rng: Random) -> None:
    """Write two blocks in each other's place."""
    (a, b), (c, d) = sorted((_span(data, rng), _span(data, rng)))
    if b <= c:
        data[a:d] = data[c:d] + data[b:c] + data[a:b]


def blank_block(data: bytearray, rng: Random) -> None:
    """Fill a block with zeros, ones or noise: a sector that was never written."""
    start, end = _span(data, rng)
    fill = rng.choice((b"\0", b"\xff", b" ", b""))
    data[start:end] = fill * (end - start) if fill else rng.randbytes(end - start)


def blank_sector(data: bytearray, rng: Random) -> None:
    """Fill 512 bytes that begin on such a border with zeros."""
    start = _place(data, rng) // 512 * 512
    data[start : start + 512] = bytes(len(data[start : start + 512]))


def insert_noise(data: bytearray, rng: Random) -> None:
    """Put bytes in between."""
    at = _place(data, rng)
    data[at:at] = rng.randbytes(rng.choice((1, 2, 8, 300)))


def truncate(data: bytearray, rng: Random) -> None:
    """Cut the file off."""
    del data[_place(data, rng) :]


def truncate_start(data: bytearray, rng: Random) -> None:
    """Cut the file's start off."""
    del data[: 1 + _place(data, rng)]


def append_noise(data: bytearray, rng: Random) -> None:
    """Put something behind the end."""
    data += rng.choice((b"\0", b"\xff", b"\n", b"\x1a", b"%%EOF\n")) * rng.choice((1, 3, 700, 3000))
    if rng.random() < 0.3:
        data += rng.randbytes(20)


def put_before(data: bytearray, rng: Random) -> None:
    """Put something before the start."""
    data[:0] = rng.choice(
        (b"\0", b"\n", b"\xef\xbb\xbf", b"\x1b%-12345X", b"HTTP/1.1 200 OK\r\n\r\n")
    )


def line_ends(data: bytearray, rng: Random) -> None:
    """Turn line ends over, as a transfer in text mode does."""
    old, new = rng.choice(((b"\n", b"\r\n"), (b"\r\n", b"\n"), (b"\n", b"\r"), (b"\r", b"")))
    data[:] = data.replace(old, new)


def seven_bits(data: bytearray, rng: Random) -> None:
    """Lose the eighth bit from somewhere on."""
    at = _place(data, rng)
    data[at:] = bytes(byte & 0x7F for byte in data[at:])


DAMAGES: Final[tuple[Damage, ...]] = (
    flip_bits, flip_bits, flip_bits, set_bytes, set_bytes, set_number, set_number, add_to_number,
    delete_block, delete_block, duplicate_block, swap_blocks, blank_block, blank_sector,
    insert_noise, truncate, truncate_start, append_noise, put_before, line_ends, seven_bits,
)  # fmt: skip


def splice(data: bytearray, other: bytes, rng: Random) -> None:
    """Go on with another file from somewhere on, or take a piece of it in."""
    donor = bytearray(other)
    at, (start, end) = _place(data, rng), _span(donor, rng)
    if rng.random() < 0.5:
        data[at:] = donor[start:]
    else:
        data[at : at + rng.choice((0, end - start))] = donor[start:end]
