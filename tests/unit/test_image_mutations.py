"""Damaged images of every kind: sealed and found again, or refused with a code; never anything else.

Run as `python -m tests.unit.test_image_mutations COUNT SEED` for as many as one likes.
"""

from __future__ import annotations

import random
import struct
import sys
import tempfile
import zlib
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from daemon import codes
from daemon.errors import PermanentError
from tests.unit import pages_samples as samples
from tests.unit.pages_samples import drawn, encoded, jpeg, png, tiff
from tests.unit.tiff_samples import Directory, plain, tiff_file

if TYPE_CHECKING:
    from collections.abc import Callable

SEEDS: Final[dict[str, bytes]] = {
    "jpeg": jpeg(),
    "jpeg, progressive": jpeg("L", progressive=True, exif=samples.exif(6)),
    "jpeg, inks": jpeg("CMYK"),
    "png": png("RGB"),
    "png, palette": png("P"),
    "png, transparent": png("RGBA"),
    "png, one colour": png("L", transparency=255),
    "fax": tiff(drawn("1"), drawn("1"), compression="group4"),
    "fax, strips": tiff(drawn("1"), compression="group3", tags={278: 16, 292: 5}),
    "fax, anew": tiff(drawn("1"), compression="group4", tags={278: 16, 266: 2}),
    "lzw": tiff(drawn("RGB"), drawn("P"), compression="tiff_lzw"),
    "deflate": tiff(drawn("L"), compression="tiff_adobe_deflate", tags={317: 2}),
    "packbits": tiff(drawn("CMYK"), compression="packbits", tags={278: 20}),
    "jpeg strips": tiff(drawn("RGB", (60, 96)), compression="jpeg", tags={278: 32}),
    "16 bits": tiff_file(
        plain(drawn("RGB"), 2, bits=16, data=random.Random(5).randbytes(60 * 84 * 6)),  # noqa: S311
        order=">",
    ),
    "bigtiff, thumbnail": tiff_file(
        Directory(
            {**plain(drawn("L"), 1).tags, 259: 8},
            [zlib.compress(drawn("L").tobytes())],
            children=[Directory({**plain(drawn("L", (8, 8)), 1).tags, 254: 1}, [bytes(64)])],
        ),
        big=True,
    ),
    "jpeg, older way": tiff_file(
        Directory({256: 60, 257: 84, 258: (8, 8, 8), 259: 6, 262: 6, 277: 3, 278: 84,
                   282: Fraction(72), 283: Fraction(72), 513: 8, 514: len(jpeg())}, [jpeg()]),
    ).replace(struct.pack("<HHII", 513, 3, 1, 8), struct.pack("<HHII", 513, 3, 1, 8)),
    "jp2": encoded(drawn("RGB"), "JPEG2000"),
    "jp2, grey": encoded(drawn("L"), "JPEG2000", irreversible=True),
}  # fmt: skip
"""Each of them is sealed as it is."""
WIDE: Final = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def overwritten(data: bytearray, chance: random.Random) -> None:
    place, length = chance.randrange(len(data)), chance.choice((1, 1, 1, 2, 4, 16))
    data[place : place + length] = chance.randbytes(length)


def flipped(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def another_number(data: bytearray, chance: random.Random) -> None:
    layout = chance.choice(("<H", ">H", "<I", ">I"))
    size = struct.calcsize(layout)
    place = chance.randrange(max(1, len(data) - size))
    struct.pack_into(layout, data, place, chance.choice(WIDE) & ((1 << 8 * size) - 1))


def cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(1, len(data)) :]


def dropped(data: bytearray, chance: random.Random) -> None:
    place = chance.randrange(len(data))
    del data[place : place + chance.choice((1, 2, 16, 200))]


def doubled(data: bytearray, chance: random.Random) -> None:
    place, length = chance.randrange(len(data)), chance.choice((1, 12, 64, 500))
    data[place:place] = data[place : place + length]


def another_tag(data: bytearray, chance: random.Random) -> None:
    """Change an entry of a TIFF's first directory, where there is one."""
    if bytes(data[:2]) not in {b"II", b"MM"} or len(data) < 32:
        return overwritten(data, chance)
    order = "<" if data[:2] == b"II" else ">"
    big = 43 in data[2:4]
    (place,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    count, step = (8, 20) if big else (2, 12)
    if place + 2 > len(data):
        return None
    (entries,) = struct.unpack_from(order + "H", data, place + (6 if big and order == ">" else 0))
    at = place + count + step * chance.randrange(max(1, entries))
    if at + step <= len(data):
        where = chance.choice((0, 2, 4, step - 4 if not big else 12))
        value = chance.choice((*WIDE, *range(254, 280), chance.randrange(len(data))))
        layout = order + ("H" if where < 4 else "I")
        struct.pack_into(layout, data, at + where, value & (0xFFFF if where < 4 else 0xFFFFFFFF))
    return None


def mended(data: bytearray) -> None:
    """Make a PNG's checksums right: without this nothing but they is ever tested."""
    place = 8
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        if place + 12 + length > len(data):
            return
        check = zlib.crc32(data[place + 4 : place + 8 + length])
        struct.pack_into(">I", data, place + 8 + length, check)
        place += 12 + length


CHANGES: Final[tuple[Callable[[bytearray, random.Random], None], ...]] = (
    overwritten, flipped, another_number, another_tag, another_tag, cut, dropped, doubled,
)  # fmt: skip


def mutated(seed: int) -> tuple[str, bytes]:
    """Return the name of a sample and what has become of it: the same for the same number."""
    chance = random.Random(seed)  # noqa: S311
    name = chance.choice(list(SEEDS))
    data = bytearray(SEEDS[name])
    for _ in range(chance.choice((1, 1, 2, 4))):
        if len(data) > 8:
            chance.choice(CHANGES)(data, chance)
    if data.startswith(b"\x89PNG") and chance.random() < 0.8:
        mended(data)
    return name, bytes(data)


def outcome(folder: Path, scan: bytes) -> str:
    """Prepare a scan and read it back; return the code that it ends with, or how it was compared.

    Anything but a permanent error comes out of here as it is: nothing else may happen.
    """
    try:
        source, target, reply = samples.sealed(folder, scan)
    except PermanentError as exc:
        return exc.code
    return str(samples.read_back(source, target, reply["kind"])["compared"])


@pytest.mark.parametrize("name", SEEDS)
def test_each_sample_is_sealed_before_it_is_damaged(tmp_path: Path, name: str) -> None:
    """Damage to what is refused anyway would find nothing."""
    assert outcome(tmp_path, SEEDS[name]) in {"streams", "pixels"}


@pytest.mark.parametrize("start", range(0, 1200, 200))
def test_i8_i10_a_damaged_image_is_sealed_as_it_is_or_refused_with_a_code(
    tmp_path: Path, start: int
) -> None:
    """What is prepared is also found again: nothing is left to be set aside after its seal."""
    ended: Counter[str] = Counter()
    for seed in range(start, start + 200):
        name, scan = mutated(seed)
        try:
            ended[outcome(tmp_path, scan)] += 1
        except Exception as exc:
            raise AssertionError(f"mutation {seed} of {name!r} ends as {exc!r}") from exc
        for file in tmp_path.iterdir():
            file.unlink()

    assert set(ended) <= {"streams", "pixels"} | set(codes.CODES)
    assert sum(ended.values()) == 200
    assert len(ended) > 3


if __name__ == "__main__":
    many, first = int(sys.argv[1]), int(sys.argv[2])
    tally: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        for number in range(first, first + many):
            kind, held = mutated(number)
            try:
                tally[outcome(Path(place), held)] += 1
            except Exception as exc:  # noqa: BLE001 (the next ones, too)
                tally[type(exc).__name__] += 1
                print(number, kind, repr(exc), flush=True)
            for each in Path(place).iterdir():
                each.unlink()
    print(dict(tally))
