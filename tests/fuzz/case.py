"""One damaged file out of two numbers: the same seed and number, the same file, for ever.

Numbers below zero are the samples as they are: -1 is the first one, whatever the seed.
For as long as the samples are the same, which other versions of Pillow or pikepdf
can change: `samples.fingerprint` tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Final

from tests.fuzz import chunks, graph, raw, samples, segments, text, tiffs

if TYPE_CHECKING:
    from collections.abc import Callable

UNHARMED: Final = 0.01
"""So many are left as they are: what is refused of those is no success."""
PARTS: Final[dict[str, tuple[Callable[[bytearray, Random], None], ...]]] = {
    "pdf": text.DAMAGES,
    "tiff": tiffs.DAMAGES,
    "jpeg": segments.DAMAGES,
    "png": chunks.DAMAGES,
    "jp2": chunks.JP2_DAMAGES,
}


@dataclass(frozen=True)
class Case:
    """One file, and how it came to be."""

    sample: str
    steps: tuple[str, ...]
    data: bytes


def case(seed: int, number: int) -> Case:
    """Return the file that *seed* and *number* stand for."""
    if number < 0:
        name = samples.names()[(-1 - number) % len(samples.names())]
        return Case(name, (), samples.sample(name))
    rng = Random(f"{seed}/{number}")  # noqa: S311 (it guards nothing)
    name = rng.choice(samples.names())
    whole, family = samples.sample(name), samples.family(name)
    if rng.random() < UNHARMED:
        return Case(name, (), whole)
    way = rng.random()
    steps: list[str] = []
    data = bytearray(whole)
    if family == "pdf" and way < 0.45:
        changed, steps = graph.damaged(whole, rng)
        data = bytearray(changed)
        if steps and rng.random() < 0.85:
            return Case(name, tuple(steps), changed)
    if way < 0.75:
        _some(data, PARTS[family], rng, steps)
        if family == "pdf" and rng.random() < 0.6:
            text.with_table(data)
            steps.append("with_table")
    elif way < 0.95:
        _some(data, raw.DAMAGES, rng, steps)
    else:
        other = rng.choice(samples.names())
        raw.splice(data, samples.sample(other), rng)
        steps.append(f"splice {other}")
    if rng.random() < 0.1:
        _some(data, raw.DAMAGES, rng, steps)
    return Case(name, tuple(steps), bytes(data))


def _some(
    data: bytearray,
    damages: tuple[Callable[[bytearray, Random], None], ...],
    rng: Random,
    steps: list[str],
) -> None:
    for _ in range(rng.choice((1, 1, 1, 1, 2, 2, 3, 8))):
        damage = rng.choice(damages)
        damage(data, rng)
        steps.append(damage.__name__)
