"""What a document costs the disk of the box: fsyncs and bytes, targets excluded.

strace counts the fsyncs of the service while documents go through, alone and a hundred
at once; until it is quiet again, so what the ledger's files get afterwards is counted
too. Bytes are what the kernel charges all its processes with; the targets lie in memory
for that, which is charged to nobody, and the claim is a rename.
"""

from __future__ import annotations

import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench import machine
from bench.draw import draw
from bench.flow import until_filed
from bench.table import Row, Section
from tests.system.box import Box

if TYPE_CHECKING:
    from contrib.demo.token import TokenFiles

MEMORY: Final = "/dev/shm"  # noqa: S108 (it is meant to be memory)
ALONE: Final = 5
TOGETHER: Final = 100
LARGE: Final = 5
PAGES: Final = 5
"""A page is about a megabyte."""
QUIET_SECONDS: Final = 2.5
"""Longer than the pause of whatever follows in groups."""
ALONE_LIMIT: Final = 18
TOGETHER_LIMIT: Final = 9
BYTES_LIMIT: Final = 1.1
CALL: Final = re.compile(r"\b(?:fsync|fdatasync|syncfs|msync)\((?:\d+<([^>]*)>)?|\bsync\(")


def measure(folder: Path, token: TokenFiles) -> Section:
    """Measure the figure group `disk`."""
    letters = folder / "letters"
    letters.mkdir()
    draw("letters", letters, 1 + ALONE + TOGETHER)
    scans = sorted(letters.iterdir())
    large = []
    for number in range(LARGE):
        large.append(folder / f"large{number}.pdf")
        draw("large", large[-1], PAGES)
    fsyncs_per_second, _ = machine.fsyncs_per_second(folder)
    with tempfile.TemporaryDirectory(dir=MEMORY) as memory:
        for name in ("dms", "archive"):
            (Path(memory) / name).mkdir()
            (folder / name).symlink_to(Path(memory) / name)
        box = Box(folder, token)
        try:
            box.start()
            _through(box, scans[:1], 1)
            alone = [
                _fsyncs(box, [scan], filed)
                for filed, scan in enumerate(scans[1 : 1 + ALONE], start=2)
            ]
            together = _fsyncs(box, scans[1 + ALONE :], len(scans)) / TOGETHER
            sizes = sum(path.stat().st_size for path in large)
            before = _written(box)
            _through(box, large, len(scans) + LARGE)
            ratio = (_written(box) - before) / sizes
        finally:
            box.close()
    shutil.rmtree(folder)
    return section(alone, together, ratio, sizes / LARGE, fsyncs_per_second)


def _through(box: Box, scans: list[Path], filed: int) -> None:
    for scan in scans:
        scan.rename(box.root / "hot" / scan.name)
    until_filed(box, filed)
    time.sleep(QUIET_SECONDS)


def _fsyncs(box: Box, scans: list[Path], filed: int) -> int:
    """Let *scans* go through; return how many fsyncs were not of a target."""
    assert box.process is not None
    log = box.root / "strace.log"
    calls = "trace=fsync,fdatasync,syncfs,sync,msync"
    strace = subprocess.Popen(
        ["strace", "-f", "-qq", "-y", "-o", log, "-e", calls, "-p", str(box.process.pid)],
        stderr=subprocess.DEVNULL,
    )
    try:
        while (
            not Path(f"/proc/{box.process.pid}/status")
            .read_text()
            .count(f"TracerPid:\t{strace.pid}\n")
        ):
            time.sleep(0.01)
        time.sleep(QUIET_SECONDS)  # its other threads, too
        log.write_bytes(b"")
        _through(box, scans, filed)
    finally:
        strace.send_signal(signal.SIGINT)
        strace.wait()
    paths = [found[1] or "" for found in map(CALL.search, log.read_text().splitlines()) if found]
    return sum(not path.startswith(MEMORY) for path in paths)


def _written(box: Box) -> int:
    """Return the bytes that the kernel has charged the service's processes with."""
    assert box.process is not None
    total = 0
    for process in machine.group(box.process.pid):
        facts = dict(
            line.split(": ") for line in Path(f"/proc/{process.pid}/io").read_text().splitlines()
        )
        total += int(facts["write_bytes"]) - int(facts["cancelled_write_bytes"])
    return total


def section(
    alone: list[int], together: float, ratio: float, size: float, fsyncs_per_second: float
) -> Section:
    """Draw the conclusions."""
    rows = [
        Row(
            name="disk.alone",
            words="fsyncs of one document alone, from the hot folder until all is quiet",
            value=statistics.median(alone),
            unit="fsyncs",
            spread=(min(alone), max(alone)),
            limit=ALONE_LIMIT,
        ),
        Row(
            name="disk.together",
            words=f"fsyncs of a document when {TOGETHER} come at once",
            value=together,
            unit="fsyncs",
            limit=TOGETHER_LIMIT,
        ),
        Row(
            name="disk.bytes",
            words=f"bytes written for each byte scanned, documents of {size:,.0f} bytes",
            value=ratio,
            unit="times",
            limit=BYTES_LIMIT,
        ),
        Row(
            name="disk.fsyncs",
            words="of this disk, one after the other",
            value=fsyncs_per_second,
            unit="fsyncs/s",
            more_is_better=True,
        ),
    ]
    notes = [
        (
            "Not counted: what happens in the targets. Counted by strace, which makes the service slow"
            " and so lets fewer documents share a commit than there would be otherwise."
        ),
    ]
    return Section(name="disk", title="what a document costs the disk", rows=rows, notes=notes)
