"""What a full spool costs: each public method, a start, the page; and how large it is.

A million documents, a hundred thousand of them waiting, against two thousand of the
same kinds. Both lie on the same disk and are asked in turn, so that both see the same
machine. Of methods that commit, the disk's fsync is part of the time on both sides.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import time
import urllib.error
import urllib.request
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from bench.crowd import fill
from bench.life import Life
from bench.rows import ms
from bench.table import Row, Section
from daemon.intake.recovery import explain
from daemon.spool import Spool, open_spool
from tests.system.box import Box
from tests.system.share import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from contrib.demo.token import TokenFiles

MANY: Final = 1_000_000
FEW: Final = 2_000
ROUNDS: Final = 60
RATIO: Final = 1.3
MORE_MS: Final = 0.2
START_SECONDS: Final = 3.0
STARTS: Final = 5
PAGE_MS: Final = 50.0
PAGES: Final = 400
WORST: Final = 8
WEB: Final = '\n[web]\nlisten = "127.0.0.1:{port}"\n'


def measure(folder: Path, token: TokenFiles, many: int = MANY, few: int = FEW) -> Section:
    """Measure the figure group `spool`."""
    now = datetime.now(UTC)
    begun = time.perf_counter()
    port = free_port()
    # No token, no targets: all that waits goes on waiting.
    box = Box(folder, token, label="another token", more=WEB.format(port=port))
    fill(folder / "state", many, now)
    fill(folder / "few", few, now)
    _ran(folder / "state")
    filling = time.perf_counter() - begun
    for name in ("dms", "archive"):
        (folder / name).rmdir()
    size = (folder / "state" / "spool.db").stat().st_size
    try:
        starts, home, status = _served(box, port)
    finally:
        box.close()
    lives = _lived(folder, now + timedelta(days=1))
    shutil.rmtree(folder)
    return section(lives, starts, home, status, size / many, filling)


def _ran(state_dir: Path) -> None:
    """Leave behind what a service does that ran while all of them came: it looks once an hour."""

    async def explained() -> None:
        spool = await open_spool(state_dir)
        await explain(state_dir / "documents", spool, datetime.now(UTC))
        await spool.close()

    asyncio.run(explained())


def _lived(folder: Path, now: datetime) -> tuple[Life, Life]:
    """Go through lives at both, in turn."""
    with closing(Spool(folder / "state")) as full, closing(Spool(folder / "few")) as small:
        lives = Life(full, now), Life(small, now)
        for number in range(ROUNDS):
            for life in lives if number % 2 else reversed(lives):
                life.round()
    return lives


def _served(box: Box, port: int) -> tuple[list[float], list[float], list[float]]:
    """Start the service some times; ask it for its page and its status. In milliseconds."""
    starts = []
    for _ in range(STARTS):
        begun = time.perf_counter()
        box.start_only()
        while not _answers(port):
            time.sleep(0.01)
        starts.append(1000 * (time.perf_counter() - begun))
        if len(starts) < STARTS:
            box.stop()
    asked: dict[str, list[float]] = {"/": [], "/api/status": []}
    for _ in range(PAGES):
        for path, took in asked.items():
            begun = time.perf_counter()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
                answer.read()
            took.append(1000 * (time.perf_counter() - begun))
    box.stop()
    return starts, asked["/"], asked["/api/status"]


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
            return True
    except urllib.error.HTTPError:
        return True  # it runs, and says that it is not ready: without its token
    except OSError:
        return False


def section(
    lives: tuple[Life, Life],
    starts: list[float],
    home: list[float],
    status: list[float],
    bytes_each: float,
    filling: float,
) -> Section:
    """Draw the conclusions."""
    full, small = (
        {name: 1000 * statistics.median(took) for name, took in life.seconds.items()}
        for life in lives
    )
    # The most by which one is over what it may be.
    over = {
        name: min(took / small[name] / RATIO, (took - small[name]) / MORE_MS)
        for name, took in full.items()
    }
    worst = sorted(over, key=lambda name: -over[name])[:WORST]
    rows = [
        Row(
            name="spool.slower",
            words=(
                f"methods of {len(full)} that take more than {RATIO} times as long and more than"
                f" {MORE_MS} ms longer"
            ),
            value=sum(value > 1 for value in over.values()),
            unit="methods",
            limit=0,
        ),
        Row(
            name="spool.start",
            words="from the start of the process to its first answer, the slowest of five",
            value=max(starts) / 1000,
            unit="s",
            spread=(min(starts) / 1000, max(starts) / 1000),
            limit=START_SECONDS,
        ),
        *(
            Row(
                name=f"spool.{name}",
                words=f"`{path}`, 99th percentile of {len(took)}",
                value=statistics.quantiles(took, n=100)[98],
                unit="ms",
                limit=PAGE_MS,
            )
            for name, path, took in (("page", "/", home), ("status", "/api/status", status))
        ),
        ms("spool.page.median", "`/`, median", home),
        Row(
            name="spool.bytes",
            words="of the database for each document, indexes and ledger lines included",
            value=bytes_each,
            unit="bytes",
        ),
    ]
    notes = [
        (
            f"{MANY:,} documents, 98,000 of them waiting (claimed or frozen, the token and both"
            f" targets away), {FEW:,} on the other side; {ROUNDS} rounds. The rows were made from"
            f" a few real ones in {filling:.0f} s (`bench/crowd.py`); their deliveries have one"
            " and two parts, a real one's archive has five."
        ),
        "The nearest to their limit, in ms with many and with few: "
        + ", ".join(f"`{name}` {full[name]:.2f} and {small[name]:.2f}" for name in worst)
        + ".",
    ]
    return Section(name="spool", title="a full spool", rows=rows, notes=notes)
