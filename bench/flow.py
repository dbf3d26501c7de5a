"""How many documents per second go through the whole box.

A thousand small letters appear in the hot folder of a running service at once, by
rename; it is over when the spool says of every one that it is filed in both targets.
Then everything is counted: a figure of a run that lost or doubled one is none.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import statistics
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench import machine
from bench.bare import Bare
from bench.draw import draw
from bench.table import Row, Section
from daemon.document import State
from tests.system.box import Box

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from contrib.demo.token import TokenFiles
    from daemon.document import Document

DOCUMENTS: Final = 1000
RUNS: Final = 3
PATIENCE: Final = 600.0
SIGNATURES: Final = 2
"""For each document: its seal, and the manifest's."""
EVENTS: Final = {
    "claim": 1,
    "seal": 1,
    "freeze": 1,
    "delivery-send": 2,
    "delivery-acknowledge": 2,
    "file": 1,
}
"""The ledger lines of a document that is filed exactly once in two targets."""
ARCHIVED: Final = 5
"""Files of one document in the archive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run."""

    seconds: float
    fsyncs_per_second: float
    c_sign: float
    """Median of one, in seconds."""
    cpu: dict[str, float]
    """Seconds of processor time, by process."""
    mean_bytes: int


def measure(folder: Path, token: TokenFiles) -> Section:
    """Measure the figure group `flow`."""
    runs: list[Run] = []
    two: list[Run] = []
    for number in range(2 * RUNS):
        place = folder / f"{number}"
        place.mkdir()
        sessions = 1 + number % 2
        (runs if sessions == 1 else two).append(run(place, token, sessions=sessions))
        shutil.rmtree(place)
    return section(runs, two)


def run(root: Path, token: TokenFiles, documents: int = DOCUMENTS, *, sessions: int = 1) -> Run:
    """Let *documents* letters go through a box of their own."""
    letters = root / "letters"
    letters.mkdir()
    draw("letters", letters, documents + 1)
    first, *rest = sorted(letters.iterdir())
    digests = Counter(hashlib.sha256(path.read_bytes()).hexdigest() for path in (first, *rest))
    mean_bytes = sum(path.stat().st_size for path in rest) // len(rest)
    os.sync()
    fsyncs, _ = machine.fsyncs_per_second(root)
    bare = Bare(token)
    c_sign = statistics.median(bare.sign() for _ in range(200))
    bare.close()
    box = Box(root, token)
    text = box.config.read_text()
    box.config.write_text(text.replace("\n[hsm]\n", f"\n[hsm]\nsessions = {sessions}\n"))
    try:
        box.start()
        # The first one: the token is logged in, the workers run, all is as it stays.
        first.rename(root / "hot" / first.name)
        until_filed(box, 1)
        before = _cpu(box)
        begun = time.perf_counter()
        for path in rest:
            path.rename(root / "hot" / path.name)
        until_filed(box, documents + 1)
        seconds = time.perf_counter() - begun
        after = _cpu(box)
        _verify(box, digests)
    finally:
        box.close()
    cpu = {role: used - before.get(role, 0.0) for role, used in after.items()}
    return Run(
        seconds=seconds,
        fsyncs_per_second=fsyncs,
        c_sign=c_sign,
        cpu=cpu,
        mean_bytes=mean_bytes,
    )


def section(runs: list[Run], two: list[Run]) -> Section:
    """Draw the conclusions."""
    rates = [DOCUMENTS / one.seconds for one in runs]
    shares = [100 * SIGNATURES * DOCUMENTS * one.c_sign / one.seconds for one in runs]
    signs = [1000 * one.c_sign for one in runs]
    fsyncs = [one.fsyncs_per_second for one in runs]

    def row(name: str, words: str, values: list[float], unit: str) -> Row:
        value = statistics.median(values)
        return Row(
            name=f"flow.{name}",
            words=words,
            value=value,
            unit=unit,
            spread=(min(values), max(values)),
            more_is_better=True,
        )

    rows = [
        row("documents", "documents per second, until filed in both targets", rates, "/s"),
        row(
            "documents_two_sessions",
            "documents per second, with two sessions of the token",
            [DOCUMENTS / one.seconds for one in two],
            "/s",
        ),
        row("fsyncs", "the disk's fsyncs per second, 4 KiB each, nothing else", fsyncs, "/s"),
        row("c_sign", "one C_Sign, by itself", signs, "ms"),
        row("c_sign_share", "share of C_Sign in the time", shares, "%"),
    ]
    roles = sorted({role for one in runs for role in one.cpu})
    for role in roles:
        used = [1000 * one.cpu.get(role, 0.0) / DOCUMENTS for one in runs]
        value, spread = statistics.median(used), (min(used), max(used))
        name = role.replace(" ", "_").lower()
        rows.append(
            Row(
                name=f"flow.cpu_{name}",
                words=f"processor time of one document, {role}",
                value=value,
                unit="ms",
                spread=spread,
            )
        )
    kilobytes = statistics.mean(one.mean_bytes for one in runs) / 1000
    seconds = ", ".join(f"{one.seconds:.1f}" for one in runs)
    notes = [
        (
            f"{DOCUMENTS:,} letters of one page and about {kilobytes:.0f} kB, each distinct, renamed"
            f" into the hot folder of the running service; {len(runs)} runs with a fresh box each,"
            f" which took {seconds} s from the first rename on, the settling (0.3 s) included. The"
            " spread is from the slowest run to the fastest."
        ),
        (
            f"After each run all was counted: {DOCUMENTS:,} originals with their own bytes, each with"
            f" one seal, one folder in the DMS and one in the archive with {ARCHIVED} files, the"
            " ledger lines of one life each, a chain that verifies, and an empty hot folder. A"
            f" document is signed {SIGNATURES} times (its seal, and the manifest's)."
        ),
    ]
    return Section(name="flow", title="a thousand letters at once", rows=rows, notes=notes)


def until_filed(box: Box, number: int) -> None:
    """Wait until so many documents are filed; RuntimeError if one is refused or held."""
    reader = box.reader()
    until = time.monotonic() + PATIENCE
    try:
        while (states := reader.counts().get("document", {})).get(State.FILED, 0) < number:
            if time.monotonic() > until:
                raise RuntimeError(f"not filed in time: {states}\n{box.log()}")
            if set(states) & {State.REFUSED, State.HELD}:
                raise RuntimeError(f"not all are filed: {states}\n{box.log()}")
            time.sleep(0.02)
    finally:
        reader.close()


def _cpu(box: Box) -> dict[str, float]:
    assert box.process is not None
    found: dict[str, float] = {}
    for process in machine.group(box.process.pid):
        found[process.role] = found.get(process.role, 0.0) + process.cpu_seconds()
    return found


def _verify(box: Box, digests: Counter[str]) -> None:
    """Raise unless every letter was filed exactly once, in both targets."""
    documents = box.documents()
    reader = box.reader()
    wrong = [
        f"{document.id}: {problem}"
        for document in documents
        for problem in _problems(box, document, reader.lines(document.id))
    ]
    reader.close()
    wrong += [
        f"{target} holds other documents, too"
        for target in ("dms", "archive")
        if len(list((box.root / target).iterdir())) != len(documents)
    ]
    if Counter(str(document.digest) for document in documents) != digests:
        wrong.append("the originals are not the letters")
    if [path for path in (box.root / "hot").iterdir() if path.is_file()]:
        wrong.append("something is left in the hot folder")
    if box.command("ledger", "verify").returncode != 0:
        wrong.append("the ledger does not verify")
    if box.stop() != 0:
        wrong.append("the service did not stop cleanly")
    if wrong:
        raise RuntimeError("\n".join(wrong[:20]))


def _problems(box: Box, document: Document, lines: list[str]) -> Iterator[str]:
    """Yield what speaks against one document having been filed exactly once."""
    events = Counter(json.loads(line)["event"] for line in lines)
    if document.state is not State.FILED or events != EVENTS:
        yield f"{document.state}, {dict(events)}"
    sealed = [box.root / target / document.id / "sealed.pdf" for target in ("dms", "archive")]
    if {hashlib.sha256(path.read_bytes()).hexdigest() for path in sealed} != {str(document.sealed)}:
        yield "the targets hold other bytes"
    if len(list((box.root / "archive" / document.id).iterdir())) != ARCHIVED:
        yield f"the archive does not hold {ARCHIVED} files"
