"""Larger files than one page: a seal against the floor, and what of it depends on the size."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.bare import Bare
from bench.draw import draw
from bench.floor import Floor
from bench.ours import ours
from bench.rows import ms, ratio

if TYPE_CHECKING:
    from pathlib import Path

    from bench.table import Row
    from contrib.demo.token import TokenFiles

LIMIT: Final = 2.0
LIMIT_FROM_DIGEST: Final = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """One file, and how often it is sealed."""

    name: str
    words: str
    drawn: tuple[str | int, ...]
    """What `bench.draw` is told after the path."""
    rounds: int
    warm_up: int


SIZES: Final = (
    Size(name="five", words="5 colour pages", drawn=(5,), rounds=40, warm_up=5),
    Size(name="large", words="100 MB", drawn=(103,), rounds=5, warm_up=1),
)
"""A page of `bench.draw large` has 0.98 MB."""


def larger(folder: Path, token: TokenFiles) -> tuple[list[Row], list[str]]:
    """Measure each of SIZES; return its rows, and a note for each."""
    rows, notes = [], []
    for size in SIZES:
        place = folder / size.name
        place.mkdir(parents=True)
        source = place / "scan.pdf"
        draw("large", source, *size.drawn)
        with_us, floor = asyncio.run(_rounds(place, token, source, size))
        notes.append(
            f"{size.words}: {source.stat().st_size:,} bytes, a JPEG on each page, sealed"
            f" {size.rounds} times after {size.warm_up} that do not count, in turn with the floor."
        )
        shutil.rmtree(place)
        rows += _rows(size, with_us, floor)
    return rows, notes


async def _rounds(
    folder: Path, token: TokenFiles, source: Path, size: Size
) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    bare = Bare(token)
    floor = Floor(folder / "floor", source, bare)
    with_us, the_least = [], []
    try:
        async with ours(folder / "ours", token, source) as sealer:
            for number in range(-size.warm_up, size.rounds):
                taken = await sealer.seal(), floor.run(number)
                if number >= 0:
                    with_us.append(taken[0])
                    the_least.append(taken[1])
    finally:
        floor.close()
        bare.close()
    return with_us, the_least


def _rows(size: Size, with_us: list[dict[str, float]], floor: list[dict[str, float]]) -> list[Row]:
    name, words = f"seal.{size.name}", size.words
    ours_ms, floor_ms = ([1000 * one["all"] for one in those] for those in (with_us, floor))
    digest_ms = [1000 * one["from_digest"] for one in with_us]
    return [
        ratio(f"{name}_ratio", f"{words}: a seal against the floor", ours_ms, floor_ms, LIMIT),
        ratio(
            f"{name}_ratio_from_digest",
            f"{words}: from the digest, against the floor",
            digest_ms,
            floor_ms,
            LIMIT_FROM_DIGEST,
        ),
        ms(f"{name}_ours", f"{words}: from the start of preparing to SEALED committed", ours_ms),
        ms(f"{name}_from_digest", f"{words}: from the digest to SEALED committed", digest_ms),
        ms(f"{name}_floor", f"{words}: the floor", floor_ms, rival=True),
    ]
