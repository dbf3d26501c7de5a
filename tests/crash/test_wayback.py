"""A kill at each system call of the way back: placing a copy, taking it back, standing for another.

One process does the work and is killed by strace on entry of its n-th openat, rename,
unlink, fsync, ... Then this process does what the next start does. Whatever the point
was: the copy is there or gone as the spool says, another's file is as it was, and a
refused scan is stood for by exactly one other or still waits for somebody (I5).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from daemon import ledger
from daemon.alarms import Alarms
from daemon.document import Copy, Document, State
from daemon.intake.claim import Desk, commit
from daemon.intake.recovery import recover
from daemon.intake.settle import Look
from daemon.intake.wayback import WayBack
from daemon.records.reader import open_reader
from daemon.spool import Spool, open_spool
from tests.crash.test_claim import Helper
from tests.intake import config_of, make_places, now, pdf, section_of

NAME = b"Bescheid.pdf"
CUT = pdf(b"scan")[:-12]
OTHER = b"somebody's own"
POINTS = 14
"""So many of the points of each work are tried, evenly spread; the first and the last are among them."""

SCRIPT = """
import asyncio, os, signal, sys
from datetime import timedelta
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from daemon.alarms import Alarms
from daemon.intake.claim import Desk, commit
from daemon.intake.settle import Look
from daemon.intake.wayback import WayBack
from daemon.spool import Spool, open_spool
from tests.intake import config_of, now, section_of

def look(root, config, days):
    async def main():
        spool = await open_spool(config.state_dir)
        later = lambda: now() + timedelta(days=days)
        await WayBack(config.hotfolders[0], config, spool, Alarms(now), later).copy_back()
        await spool.close()
    os.kill(os.getpid(), signal.SIGSTOP)
    asyncio.run(main())

def drop(root, config):
    spool = Spool(config.state_dir)
    desk = Desk(config.hotfolders[0], config.documents)
    (path,) = (p for p in (root / "hot").iterdir() if p.is_file())
    found = Look.of(path.stat())
    os.kill(os.getpid(), signal.SIGSTOP)
    commit(spool, desk.take(os.fsencode(path.name), found, now(), "sure"), now())

for line in sys.stdin:
    work, root = line.split()
    root = Path(root)
    child = os.fork()
    if child == 0:
        config = config_of(root, section_of(root))
        if work == "drop":
            drop(root, config)
        else:
            look(root, config, 20 if work == "over" else 0)
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""


@pytest.fixture(scope="module")
def helper() -> Iterator[Helper]:
    made = Helper(SCRIPT)
    yield made
    made.end()


def prepared(root: Path, work: str) -> Document:
    """Make a box with one refused scan, as *work* finds it; return its document."""
    config = config_of(root, section_of(root))
    make_places(config)
    spool = Spool(config.state_dir, new=True)
    try:
        document = dropped(root, spool, NAME, CUT)
        if work != "make":
            spool.close()
            look(root)
            spool = Spool(config.state_dir)
        if work == "take":
            spool.discard(document.id, "uid 0", "test page", now())
        if work == "drop":
            copy = f"Bescheid~{document.id[-8:]}.pdf"
            (root / "hot" / copy).write_bytes(pdf(b"right"))
        (root / "hot" / "rejected" / "other.txt").write_bytes(OTHER)
        return spool.document(document.id)
    finally:
        spool.close()


def dropped(root: Path, spool: Spool, name: bytes, data: bytes) -> Document:
    config = config_of(root, section_of(root))
    path = root / "hot" / name.decode()
    path.write_bytes(data)
    desk = Desk(config.hotfolders[0], config.documents)
    return commit(spool, desk.take(name, Look.of(path.stat()), now(), "sure"), now())


def look(root: Path, days: int = 0) -> None:
    """Do what the way back does at each of its looks."""

    async def main() -> None:
        config = config_of(root, section_of(root))
        thread = await open_spool(config.state_dir)
        later = lambda: now() + timedelta(days=days)  # noqa: E731
        await WayBack(config.hotfolders[0], config, thread, Alarms(now), later).copy_back()
        await thread.close()

    asyncio.run(main())


def points_of(lines: list[str]) -> list[tuple[str, int]]:
    """Return the system calls that strace saw, each with its number in its thread."""
    seen: Counter[tuple[str, str]] = Counter()
    found: dict[tuple[str, int], None] = {}
    for line in lines:
        if call := re.match(r"(\d+)\s+(\w+)\(", line):
            seen[call[1], call[2]] += 1
            found.setdefault((call[2], seen[call[1], call[2]]))
    return list(found)


WORKS = ("make", "take", "over", "drop")


@pytest.fixture(scope="module")
def dry(
    helper: Helper, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[tuple[str, int]]]:
    """The points of each work, from a run that is not killed."""
    found = {}
    for work in WORKS:
        root = tmp_path_factory.mktemp("dry") / "box"
        prepared(root, work)
        found[work] = points_of(helper.run(work, root, None))
        check(root, work)
    return found


def check(root: Path, work: str) -> None:
    """Go on as the next start does, and assert that all is as it has to be."""
    config = config_of(root, section_of(root))
    if work == "drop":

        async def start() -> None:
            spool = await open_spool(config.state_dir)
            await recover(config, spool, Alarms(now), now)
            await spool.close()

        asyncio.run(start())
    look(root, days=20 if work == "over" else 0)
    with contextlib.closing(open_reader(root / "state" / "spool.db")) as reader:
        ledger.verify(reader.chain())
        found = sorted(reader.newest(10), key=lambda document: document.id)
        lines = [json.loads(line) for line in reader.chain()]
    old, *new = found
    in_rejected = {path.name: path for path in (root / "hot" / "rejected").iterdir()}
    assert in_rejected.pop("other.txt").read_bytes() == OTHER
    if work == "make" or (work == "drop" and not new):
        copy = f"Bescheid~{old.id[-8:]}.pdf"
        assert in_rejected.keys() == {copy, f"Bescheid~{old.id[-8:]}.txt"}
        assert in_rejected[copy].read_bytes() == CUT
        assert (old.state, old.copy) == (State.REFUSED, Copy.THERE)
    else:
        assert in_rejected == {}
        assert old.copy is Copy.NONE
    if work == "drop":
        lying = [path for path in (root / "hot").iterdir() if path.is_file()]
        assert len(lying) + len(new) == 1
        told = [(line["event"], line["document"]) for line in lines if "supersede" in line["event"]]
        assert told == ([("supersede", old.id), ("supersedes", new[0].id)] if new else [])
        assert old.superseded_by == (new[0].id if new else "")
        assert [d.state for d in new] == [State.CLAIMED] * len(new)
    removed = [line for line in lines if line["event"] == "copy-removed"]
    assert len(removed) == (0 if in_rejected else 1)


@pytest.mark.parametrize("work", WORKS)
@pytest.mark.parametrize("number", range(POINTS))
def test_a_kill_anywhere_in_the_way_back_is_made_good(
    number: int,
    work: str,
    helper: Helper,
    dry: dict[str, list[tuple[str, int]]],
    tmp_path: Path,
) -> None:
    """The next look finishes what was begun, and touches nothing that is another's."""
    every = dry[work]
    point = every[number * (len(every) - 1) // (POINTS - 1)]
    root = tmp_path / "box"
    prepared(root, work)
    lines = helper.run(work, root, point)

    assert any("killed by SIGKILL" in line for line in lines), point
    check(root, work)
