"""Runs the fuzzer: damaged files through intake, sealer and page workers, then the judges.

    python -m tests.fuzz --count 20000                     all of a run, as `make torture`
    python -m tests.fuzz --seed 7 --first 412 --count 1    the one file 7-412 again
    python -m tests.fuzz --seed 7 --first 412 --count 1 --write .    only write it
    python -m tests.fuzz --again build/torture --keep still          what was kept, again

Ends with 1 if anything was violated; such files are kept with their story beside them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contrib.demo import nss, token
from tests.fuzz.course import MORE, Course, Staff, kept_in
from tests.fuzz.court import Court
from tests.fuzz.tally import Tally
from tests.sealing import sealing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.workers import Worker


async def fuzz(
    root: Path,
    files: token.TokenFiles,
    database: Path,
    *,
    seed: int,
    numbers: range,
    keep: Path | None = None,
    show: Callable[[Tally], None] = lambda _: None,
    abreast: int = 0,
    again: Sequence[Path] = (),
) -> Tally:
    """Send the files of *seed* and *numbers* through a sealer in *root*; return what it came to."""
    made: list[Staff] = []

    def staff(workers: list[Worker]) -> Staff:
        made.append(Staff(workers))
        return made[0]

    folder = root / "damaged"
    folder.mkdir(parents=True)
    async with sealing(root, files, staff=staff, more=MORE) as here:
        course = Course(
            here=here,
            staff=made[0],
            folder=folder,
            keep=keep,
            ca=files.ca,
            database=database,
            seed=seed,
            tally=Tally(len(numbers)),
            show=show,
            again=list(again),
        )
        await course.run(iter(numbers), abreast or (os.cpu_count() or 1) + 1)
        return course.tally


async def _write(place: Path, seed: int, numbers: range) -> None:
    court = Court()
    for number in numbers:
        made = await court.ask(task="make", folder=str(place), seed=seed, number=number)
        print(made["path"], made["sample"], "+".join(made["steps"]))
    await court.stop()


async def _samples() -> dict[str, Any]:
    court = Court()
    try:
        found: dict[str, Any] = await court.ask(task="count")
        return found
    finally:
        await court.stop()


def _progress(begun: float) -> Callable[[Tally], None]:
    def show(tally: Tally) -> None:
        rate = tally.files / (time.monotonic() - begun)
        sys.stderr.write(
            f"\r{tally.files} of {tally.wanted}, {rate:.0f} a second: {sum(tally.sealed.values())} sealed,"
            f" {len(tally.deaths)} deaths, {len(tally.violations)} violations "
        )
        sys.stderr.flush()

    return show if sys.stderr.isatty() else lambda _: None


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--unharmed", action="store_true", help="the samples as they are")
    parser.add_argument("--again", type=Path, metavar="FOLDER", help="files that a run has kept")
    parser.add_argument("--keep", type=Path, default=Path("build/torture"), metavar="FOLDER")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="only write the files there")
    options = parser.parse_args()
    known = asyncio.run(_samples())
    print(f"seed {options.seed}, {known['samples']} samples, {known['fingerprint']}", flush=True)
    numbers = range(options.first, options.first + options.count)
    if options.unharmed:
        numbers = range(-known["samples"], 0)
    again = kept_in(options.again) if options.again else []
    if again:
        numbers = range(len(again))
    if options.write:
        asyncio.run(_write(options.write.absolute(), options.seed, numbers))
        return 0
    memory = Path("/dev/shm")  # noqa: S108 (a folder of our own is made in it)
    place = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="scanseal-fuzz-", dir=place) as name:
        root = Path(name)
        files = token.make_token(root / "token", pin=token.random_pin())
        database = nss.trust(files.ca, root / "nss")
        begun = time.monotonic()
        tally = asyncio.run(
            fuzz(
                root / "box",
                files,
                database,
                seed=options.seed,
                numbers=numbers,
                keep=options.keep.absolute(),
                show=_progress(begun),
                again=again,
            )
        )
        with contextlib.suppress(OSError):
            sys.stderr.write("\n" if sys.stderr.isatty() else "")
        print("\n".join(tally.lines(time.monotonic() - begun)))
    return 1 if tally.violations else 0


if __name__ == "__main__":
    sys.exit(main())
