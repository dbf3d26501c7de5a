"""How much memory all processes together take: at rest, and with a large document.

PSS of every process in the service's group, from smaps_rollup: what several share
is counted once. This bench, and whatever else runs the same interpreter, shares pages
with them: what those are charged for files is added, so that they make nothing smaller.

The service has its page and an MQTT broker, as a box has.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import time
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bench import machine
from bench.draw import draw
from bench.table import Row, Section
from daemon.document import State
from tests.system.box import Box

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from contrib.demo.token import TokenFiles

PAGES: Final = 1000
IDLE_LIMIT: Final = 160.0
PEAK_LIMIT: Final = 220.0
INTERVAL: Final = 0.1
IDLE_SECONDS: Final = 10.0
"""So long after the first document is filed the rest is looked at, for as long again."""
PATIENCE: Final = 1800.0
MORE: Final = """
[mqtt]
host = "127.0.0.1"
port = {mqtt}

[web]
listen = "127.0.0.1:{web}"
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """All processes at one moment, in MB."""

    total: float
    processes: tuple[tuple[str, float], ...]
    """Role and PSS of each, the largest first."""


@dataclass(slots=True)
class Samples:
    """What was seen while something happened."""

    all: list[Sample] = field(default_factory=list)
    longest_gap: float = 0.0

    @property
    def peak(self) -> Sample:
        """The moment at which all together had the most."""
        return max(self.all, key=lambda sample: sample.total)


def measure(folder: Path, token: TokenFiles) -> Section:
    """Measure the figure group `memory`."""
    large = folder / "large.pdf"
    draw("large", large, PAGES)
    size = large.stat().st_size
    draw("one", folder / "one.pdf")
    os.sync()
    mqtt, web = _free_port(), _free_port()
    with _broker(folder, mqtt):
        box = Box(folder, token, more=MORE.format(mqtt=mqtt, web=web))
        try:
            box.start()
            (folder / "one.pdf").rename(folder / "hot" / "one.pdf")
            _watched(box, 1)
            with urllib.request.urlopen(f"http://127.0.0.1:{web}/", timeout=30) as page:
                page.read()
            time.sleep(IDLE_SECONDS)
            idle = _watched(box, 1, seconds=IDLE_SECONDS)
            begun = time.monotonic()
            large.rename(folder / "hot" / "large.pdf")
            busy = _watched(box, 2)
            seconds = time.monotonic() - begun
            assert box.process is not None
            highest = [
                (process.role, machine.high_water(process.pid))
                for process in machine.group(box.process.pid)
            ]
            if box.stop() != 0:
                raise RuntimeError(f"the service did not stop cleanly\n{box.log()}")
        finally:
            box.close()
    shutil.rmtree(folder)
    return section(idle, busy, size, seconds, highest)


def section(
    idle: Samples, busy: Samples, size: int, seconds: float, highest: list[tuple[str, float]]
) -> Section:
    """Draw the conclusions."""
    totals = [sample.total for sample in idle.all]
    rows = [
        Row(
            name="memory.idle",
            words="all processes, idle",
            value=statistics.median(totals),
            unit="MB",
            spread=(min(totals), max(totals)),
            limit=IDLE_LIMIT,
        ),
        Row(
            name="memory.peak",
            words="all processes, the most while the large document went through",
            value=busy.peak.total,
            unit="MB",
            limit=PEAK_LIMIT,
        ),
        Row(
            name="memory.seconds",
            words="from the hot folder to both targets, the large document",
            value=seconds,
            unit="s",
        ),
    ]
    notes = [
        (
            "PSS of all processes of the service (MB of 1,000,000 bytes), every"
            f" {1000 * INTERVAL:.0f} ms; the longest gap between two looks was"
            f" {1000 * busy.longest_gap:.0f} ms. Idle is from {IDLE_SECONDS:.0f} to"
            f" {2 * IDLE_SECONDS:.0f} s after the first document was filed and the page was looked"
            " at once; its spread is from the least to the most. The large document has"
            f" {PAGES:,} pages and {size:,} bytes."
        ),
        "Idle: " + _listed(idle.all[-1].processes),
        "At the peak: " + _listed(busy.peak.processes),
        "Each process at its own highest (RSS, shared pages counted in each), at the end: "
        + _listed(tuple(highest)),
    ]
    return Section(name="memory", title="all processes together", rows=rows, notes=notes)


def sample(leader: int) -> Sample:
    """Look at all processes of a group, once."""
    found = [
        (process.role, memory["Pss"] * 1024 / 1e6)
        for process in machine.group(leader)
        if (memory := process.memory())
    ]
    found.sort(key=lambda pair: -pair[1])
    # Of a page that k of them and one other process map, they are charged k of k + 1 shares.
    others = [process.memory() for process in machine.sharers(leader)]
    charged = sum(memory["Pss_File"] for memory in others if memory)
    found.append((f"charged to {len(others)} others", charged * 1024 / 1e6))
    return Sample(sum(megabytes for _, megabytes in found), tuple(found))


def _watched(box: Box, filed: int, seconds: float = 0.0) -> Samples:
    """Look every INTERVAL until *filed* documents are filed, and for *seconds* at least."""
    assert box.process is not None
    samples = Samples()
    reader = box.reader()
    begun = last = time.monotonic()
    done = False
    try:
        while not done or time.monotonic() < begun + seconds:
            states = reader.counts().get("document", {})
            done = states.get(State.FILED, 0) >= filed
            if set(states) & {State.REFUSED, State.HELD} or time.monotonic() > begun + PATIENCE:
                raise RuntimeError(f"not filed: {states}\n{box.log()}")
            samples.all.append(sample(box.process.pid))
            now = time.monotonic()
            samples.longest_gap = max(samples.longest_gap, now - last)
            last = now
            time.sleep(INTERVAL)
    finally:
        reader.close()
    return samples


@contextlib.contextmanager
def _broker(folder: Path, port: int) -> Iterator[None]:
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
    found = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        raise RuntimeError("mosquitto is missing: run `sh contrib/setup.sh mosquitto`")
    with (folder / "mosquitto.log").open("wb") as log:
        process = subprocess.Popen([found, "-c", str(config)], stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listed(processes: tuple[tuple[str, float], ...]) -> str:
    return ", ".join(f"{role} {megabytes:.1f} MB" for role, megabytes in processes) + "."
