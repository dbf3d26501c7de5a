"""How fast scans leave the hot folder, and how soon: the intake by itself, nothing is sealed.

The stage runs as in the service, with the spool on its thread and a disk that has to
write. The same waiting is measured with a hundred files and with ten thousand, in
turn in one run, because a busy machine changes from one minute to the next.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bench.table import Row, Section, middle
from daemon.spool import Spool
from tests.intake import Here, pdf, scanning, watching

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from contrib.demo.token import TokenFiles
    from daemon.intake.survey import Pass

MANY: Final = 10_000
FEW: Final = 100
FEW_ROUNDS: Final = 5
"""Drops of FEW before MANY are dropped, and as many after it."""
FIRST: Final = 1_000
"""With MANY waiting: while so many of them are claimed."""
RUNS: Final = 3
BYTES: Final = 20_000
SETTLE: Final = 0.5
DROPS: Final = 300
DROP_SETTLE: Final = 0.3
RATIO: Final = 1.3
MORE_MS: Final = 0.2
"""The time per claim may be RATIO times as long with MANY waiting, or so much longer."""
LATE_MS: Final = 50.0
PATIENCE: Final = 600.0


@dataclass(slots=True)
class Run:
    """One run: seconds per claim."""

    few: list[float] = field(default_factory=list)
    many: float = 0.0
    rate: float = 0.0
    """Claims per second over all of MANY."""


def measure(folder: Path, token: TokenFiles) -> Section:  # noqa: ARG001 (nothing is sealed)
    """Measure the figure group `intake`."""
    runs = []
    for number in range(RUNS):
        place = folder / f"{number}"
        place.mkdir()
        runs.append(asyncio.run(_run(place)))
    late = folder / "late"
    late.mkdir()
    return section(runs, asyncio.run(_lateness(late)))


def section(runs: Sequence[Run], late: Sequence[float]) -> Section:
    """Draw the conclusions."""
    few = [1000 * statistics.median(run.few) for run in runs]
    many = [1000 * run.many for run in runs]
    ratios = [b / a for a, b in zip(few, many, strict=True)]
    rates = [run.rate for run in runs]
    late_ms = sorted(1000 * value for value in late)
    usual, quartiles = middle(late_ms)

    def row(name: str, words: str, values: list[float], unit: str) -> Row:
        value, spread = statistics.median(values), (min(values), max(values))
        return Row(name=f"intake.{name}", words=words, value=value, unit=unit, spread=spread)

    rows = [
        Row(
            name="intake.claims",
            words=f"claims per second, {MANY:,} files dropped at once",
            value=statistics.median(rates),
            unit="/s",
            spread=(min(rates), max(rates)),
            more_is_better=True,
        ),
        row("few", f"time per claim with {FEW} waiting", few, "ms"),
        row("many", f"time per claim with {MANY:,} waiting", many, "ms"),
        Row(
            name="intake.ratio",
            words=f"{MANY:,} waiting against {FEW}",
            value=statistics.median(ratios),
            unit="times",
            spread=(min(ratios), max(ratios)),
            limit=max(RATIO, 1 + MORE_MS / statistics.median(few)),
        ),
        Row(
            name="intake.late",
            words="from the last close to claimed, beyond the quiet time, median",
            value=usual,
            unit="ms",
            spread=quartiles,
        ),
        Row(
            name="intake.late_p99",
            words="the same, 99th percentile",
            value=late_ms[-(-len(late_ms) * 99 // 100) - 1],
            unit="ms",
            spread=(late_ms[0], late_ms[-1]),
            limit=LATE_MS,
        ),
    ]
    notes = [
        (
            f"The stage of one hot folder and the spool on its thread; the files ({BYTES // 1000} kB"
            f" each, each distinct, written out to the disk before) are renamed into the folder at"
            f" once. {RUNS} runs with a fresh box each: {FEW_ROUNDS} drops of {FEW}, one of {MANY:,},"
            f" {FEW_ROUNDS} of {FEW} again. A claim's time is from one commit to the next: the median"
            f" of the drops of {FEW}, and with {MANY:,} waiting that of the first {FIRST:,} claims,"
            f" {FEW} at a time, and their share of the looks at the folder in between. The spread is"
            " from the lowest run to the highest. After each run every original was compared with"
            " what had been dropped, and the folder was empty."
        ),
        (
            f"Of {DROPS} files, one after the other, each written and closed by another process while"
            f" nothing else was to be done here: from the moment before the close until the commit,"
            f" less the {DROP_SETTLE} s of quiet time. The ratio's limit is {RATIO}, or {MORE_MS} ms"
            " more; the last row's spread is from the soonest to the latest."
        ),
    ]
    return Section(name="intake", title="scans into the box, by itself", rows=rows, notes=notes)


async def _run(root: Path) -> Run:
    run = Run()
    digests: Counter[str] = Counter()
    async with watching(root, settle_seconds=SETTLE, rescan_seconds=5.0) as here:
        times: list[float] = []
        here.stage.claimed = lambda: times.append(time.perf_counter())
        looks = _looks(here)
        drops = [FEW] * FEW_ROUNDS + [MANY] + [FEW] * FEW_ROUNDS
        for number, count in enumerate(drops):
            source = root / f"source{number}"
            digests.update(await asyncio.to_thread(_write, source, count))
            del times[:], looks[:]
            await asyncio.to_thread(_drop, source, here.hot)
            until = time.monotonic() + PATIENCE
            while len(times) < count:
                if time.monotonic() > until:
                    raise RuntimeError(f"{len(times)} of {count} were claimed in time")
                await asyncio.sleep(0.05)
            if count == MANY:
                edges = times[: FIRST + 1 : FEW]
                windows = [(b - a) / FEW for a, b in itertools.pairwise(edges)]
                between = [took for at, took in looks if times[0] < at <= times[FIRST]]
                run.many = statistics.median(windows) + sum(between) / FIRST
                run.rate = (count - 1) / (times[-1] - times[0])
            else:
                run.few.append((times[-1] - times[0]) / (count - 1))
        await _verify(here, digests)
    return run


def _looks(here: Here) -> list[tuple[float, float]]:
    """Return a list that every look at the folder is written into: its end, and how long it took."""
    door = here.stage._door  # noqa: SLF001 (nothing else knows how long a look takes)
    look = door.look
    looks: list[tuple[float, float]] = []

    def timed(*, rung: bool) -> tuple[Pass, str]:
        begun = time.perf_counter()
        found = look(rung=rung)
        looks.append((time.perf_counter(), time.perf_counter() - begun))
        return found

    door.look = timed  # type: ignore[method-assign]
    return looks


async def _lateness(root: Path) -> list[float]:
    """Return for each of DROPS files how much longer than the quiet time it took to be claimed."""
    late = []
    async with watching(root, settle_seconds=DROP_SETTLE, rescan_seconds=5.0) as here:
        claimed = asyncio.Event()
        at = 0.0

        def note() -> None:
            nonlocal at
            at = time.monotonic()
            claimed.set()

        here.stage.claimed = note
        with scanning() as scanner:
            for number in range(DROPS):
                await asyncio.sleep(number * 0.37 % 0.8)
                path = here.hot / f"{number}.pdf"
                await asyncio.to_thread(scanner.open, path)
                await asyncio.to_thread(scanner.write, path, _content(f"{number}"))
                claimed.clear()
                closed = time.monotonic()
                await asyncio.to_thread(scanner.close, path)
                async with asyncio.timeout(PATIENCE):
                    await claimed.wait()
                late.append(at - closed - DROP_SETTLE)
    return late


def _content(seed: str) -> bytes:
    return pdf(hashlib.shake_128(seed.encode()).hexdigest(BYTES // 2).encode())


def _write(source: Path, count: int) -> list[str]:
    source.mkdir()
    digests = []
    for number in range(count):
        data = _content(f"{source.name} {number}")
        (source / f"{source.name}-{number:06}.pdf").write_bytes(data)
        digests.append(hashlib.sha256(data).hexdigest())
    os.sync()
    return digests


def _drop(source: Path, hot: Path) -> None:
    for path in sorted(source.iterdir()):
        path.rename(hot / path.name)


async def _verify(here: Here, digests: Counter[str]) -> None:
    """Raise unless every file was claimed exactly once, and none is left."""
    found = await here.spool(Spool.newest, digests.total() + 1)
    if Counter(document.digest.hex for document in found) != digests:
        raise RuntimeError("the documents are not the files that were dropped")
    if left := [path for path in here.hot.iterdir() if path.is_file()] + here.private():
        raise RuntimeError(f"{len(left)} files are left")
    for document in found:
        if hashlib.sha256(here.original(document)).hexdigest() != document.digest.hex:
            raise RuntimeError(f"{document.id} is not what was claimed")
