"""How long one seal takes, against the least that anybody could take for it.

    A  our sealer: from the start of preparing to SEALED committed
    B  the floor: only what the seal order cannot do without
    C  pyHanko, in process, with the same key
    D  pyHanko, a process for each file, as a command line has it; fewer times, and afterwards
    E  podofosign, a process for each file, with a key file; as often as D

One after the other, round by round, on the same file and disk: A B C A B C ...
Then A and B once more with larger files (`larger.py`).
"""

from __future__ import annotations

import asyncio
import shutil
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bench.bare import Bare
from bench.draw import draw
from bench.floor import DEMANDED, Floor
from bench.larger import larger
from bench.ours import STEPS, ours
from bench.podofo import Podofo
from bench.rows import ms, ratio
from bench.table import Section

if TYPE_CHECKING:
    from pathlib import Path

    from contrib.demo.token import TokenFiles

ROUNDS: Final = 300
WARM_UP: Final = 30
FILES: Final = 15
"""So often a whole process is started for one file."""
LIMIT: Final = 2.0
LIMIT_PYHANKO: Final = 1 / 3


def measure(folder: Path, token: TokenFiles) -> Section:
    """Measure the figure group `seal`."""
    source = folder / "scan.pdf"
    draw("one", source)
    with_us, floor, pyhanko = asyncio.run(_rounds(folder, token, source))
    alone = _alone(folder, token, source)
    podofo = _podofo(folder, source)
    size = source.stat().st_size
    shutil.rmtree(folder)
    found = section(with_us, floor, pyhanko, alone, podofo, size)
    rows, notes = larger(folder, token)
    return replace(found, rows=[*found.rows, *rows], notes=[*found.notes, *notes])


def _alone(folder: Path, token: TokenFiles, source: Path) -> list[float]:
    """Return what a process takes that starts, logs in, signs one file and ends."""
    taken = []
    for number in range(FILES):
        begun = time.perf_counter()
        bare = Bare(token)
        bare.pyhanko(source, folder / f"alone-{number}.pdf")
        bare.close()
        taken.append(time.perf_counter() - begun)
    return taken


def _podofo(folder: Path, source: Path) -> list[float]:
    """Return what podofosign takes for one file."""
    podofo = Podofo(folder / "podofo")
    return [podofo.sign(source, folder / f"podofo-{number}.pdf") for number in range(FILES)]


async def _rounds(
    folder: Path, token: TokenFiles, source: Path
) -> tuple[list[dict[str, float]], list[dict[str, float]], list[float]]:
    bare = Bare(token)
    floor = Floor(folder / "floor", source, bare)
    signed = folder / "pyhanko"
    signed.mkdir()
    found: tuple[list[dict[str, float]], list[dict[str, float]], list[float]] = ([], [], [])
    try:
        async with ours(folder / "ours", token, source) as sealer:
            for number in range(-WARM_UP, ROUNDS):
                taken = (
                    await sealer.seal(),
                    floor.run(number),
                    bare.pyhanko(source, signed / f"{number}.pdf"),
                )
                if number >= 0:
                    for those, this in zip(found, taken, strict=True):
                        those.append(this)  # type: ignore[attr-defined]
    finally:
        floor.close()
        bare.close()
    return found


def section(
    with_us: list[dict[str, float]],
    floor: list[dict[str, float]],
    pyhanko: list[float],
    alone: list[float],
    podofo: list[float],
    size: int,
) -> Section:
    """Draw the conclusions."""
    ours_ms, floor_ms = ([1000 * one["all"] for one in those] for those in (with_us, floor))
    cached_ms = [1000 * (one["all"] - one["read"] + one["read_cached"]) for one in floor]
    digest_ms = [1000 * one["from_digest"] for one in with_us]
    pyhanko_ms = [1000 * one for one in pyhanko]
    alone_ms = [1000 * one for one in alone]
    podofo_ms = [1000 * one for one in podofo]
    rows = [
        ratio("seal.ratio", "a seal against the floor", ours_ms, floor_ms, LIMIT),
        ms("seal.ours", "from the start of preparing to SEALED committed", ours_ms),
        ms("seal.floor", "the floor", floor_ms, rival=True),
        ratio(
            "seal.ratio_cached",
            "a seal against a floor that reads from the page cache",
            ours_ms,
            cached_ms,
        ),
        ms("seal.from_digest", "from the digest to SEALED committed", digest_ms),
        ratio("seal.ratio_from_digest", "from the digest, against the floor", digest_ms, floor_ms),
        ms("seal.pyhanko", "pyHanko, one fsync, nothing verified", pyhanko_ms, rival=True),
        ratio("seal.ratio_pyhanko", "a seal against pyHanko", ours_ms, pyhanko_ms, LIMIT_PYHANKO),
        ms("seal.pyhanko_alone", "pyHanko, a process for each file", alone_ms, rival=True),
        ratio(
            "seal.ratio_pyhanko_alone",
            "a seal against a process with pyHanko for each file",
            ours_ms,
            alone_ms,
        ),
        ms("seal.podofosign", "podofosign, a process for each file", podofo_ms, rival=True),
        ratio(
            "seal.ratio_podofosign",
            "a seal against podofosign for each file",
            ours_ms,
            podofo_ms,
        ),
    ]
    rows += [
        ms(f"seal.our_{name}", f"ours: {words}", [1000 * one[name] for one in with_us])
        for name, words, _, _ in STEPS
    ]
    rows += [
        ms(f"seal.floor_{name}", f"floor: {words}", [1000 * one[name] for one in floor], rival=True)
        for name, words in DEMANDED.items()
    ]
    notes = [
        (
            f"One page, a JPEG in a PDF of {size:,} bytes, sealed {len(with_us)} times after"
            f" {WARM_UP} that do not count; the three ways take turns round by round. The ratio is"
            " that of the medians; its spread is that of the rounds' own ratios."
        ),
        NOTES,
    ]
    return Section(name="seal", title="one seal, one page", rows=rows, notes=notes)


NOTES: Final = """\
Ours is `daemon.sealer.Sealer.seal` with the real spool, page workers and HSM process, up to the
moment at which the commit of SEALED has answered. The floor is the sum of one C_Sign (measured
in a process of its own, by itself, without the way to it), two times SHA-256, one write, one read
and what the order demands of the disk: three fsyncs and two commits, each named below; a commit
is one INSERT of one small row, in WAL with synchronous=FULL like the spool. pyHanko makes an
incremental update (PAdES B-B, certified, RSA-PSS) with PyKCS11 in its own process, knows how
large the CMS will be, does one fsync and verifies nothing. A process for each file is what a
command line costs: interpreter, imports, login, and the same signing. It stands for `pyhanko sign`,
whose package (pyhanko-cli) is not among ours. `podofosign` signs with a key in a file, RSA-3072,
made for this: it saves the token, the login and the way there, makes PKCS #1 v1.5 with SHA-256 and
no fsync; its whole process is counted, after the rounds and not in turn with them. From the digest
means ours from there on against the whole floor, its write and its first commit included."""
