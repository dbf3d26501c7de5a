"""A kill at each system call of taking a sidecar along, and what the next start makes of it.

One process takes one sidecar into the folder of the document that waits for it, commits
what it says, and is killed by strace on the way. Then the service's own parts start:
whatever the point was, the sidecar is whole and once, in that folder, and what it says
stands in the row once (I1, I5).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from daemon import ledger
from daemon.alarms import Alarms
from daemon.document import Digest, Document, State, folder_of
from daemon.intake.claim import Desk, commit
from daemon.intake.recovery import recover
from daemon.intake.settle import Look
from daemon.records.reader import open_reader
from daemon.spool import Spool, open_spool
from tests.crash.test_claim import HELPER, Helper, order_of, points_of
from tests.intake import config_of, make_places, mounted, now, pdf, section_of, watching

SCAN = pdf(b"scan")
SAYS = json.dumps({"version": 1, "operator": "m.muster", "counter": "0042"}).encode()
CHANGES: Final[dict[str, Any]] = {"sidecar": "required", "sidecar_wait_seconds": 600.0}
POINTS = 14
"""So many of the points are tried, evenly spread; the first and the last are among them."""

TAKING = HELPER.replace(
    "def start(root, config):",
    """
def enclose(root, config):
    from daemon.document import Described
    from daemon.intake.sidecar import Tray
    spool = Spool(config.state_dir)
    (document,) = spool.newest(2)
    tray = Tray(root / "hot", config.documents, lambda: None)
    look = Look.of((root / "hot" / "Bescheid.json").stat())
    os.kill(os.getpid(), signal.SIGSTOP)
    spool.begin(document, "describe", now())
    taken = tray.take(document.id, b"Bescheid.json", look)
    digest = str(taken.part.digest)
    said = Described(operator="m.muster", source="sidecar", counter=42, digits=4, sidecar=digest)
    spool.describe(document, said, taken.part, None, 60.0, now())
    tray.let_go(document.id)

def start(root, config):""",
).replace('"claim": claim,', '"claim": claim, "enclose": enclose,')


@pytest.fixture(scope="module")
def helper() -> Iterator[Helper]:
    made = Helper(TAKING)
    yield made
    made.end()


@contextlib.contextmanager
def places(root: Path, *, across: bool) -> Iterator[Path]:
    """Make a box with one document that waits, and its sidecar in the hot folder."""
    root.mkdir(exist_ok=True)
    with mounted(root / "hot") if across else contextlib.nullcontext():
        config = config_of(root, section_of(root, **CHANGES))
        make_places(config)
        spool = Spool(root / "state", new=True)
        scan = root / "hot" / "Bescheid.pdf"
        scan.write_bytes(SCAN)
        desk = Desk(config.hotfolders[0], config.documents)
        claimed = desk.take(b"Bescheid.pdf", Look.of(scan.stat()), now(), "sure")
        assert commit(spool, claimed, now()).state is State.WAITING
        if claimed.copied:
            desk.let_go(claimed)
        spool.close()
        (root / "hot" / "Bescheid.json").write_bytes(SAYS)
        yield root


def started(root: Path) -> Document:
    """Start as the service does, and return the document once it is described."""

    async def main() -> Document:
        config = config_of(root, section_of(root, **CHANGES))
        spool = await open_spool(config.state_dir)
        alarms = Alarms(now)
        await spool(Spool.started, "a boot", now())
        await recover(config, spool, alarms, now)
        assert alarms.now() == ()
        await spool.close()
        async with watching(root, **CHANGES) as here:
            (document,) = await here.described()
            await here.looks(2)
            assert here.alarms.now() == ()
            return document

    return asyncio.run(main())


def check(root: Path) -> None:
    """Start, and assert that scan and sidecar are whole and exactly once, and said once."""
    document = started(root)
    folder = folder_of(root / "state" / "documents", document.id)
    in_documents = {path.name: path.read_bytes() for path in folder.iterdir()}
    facts = json.loads(in_documents.pop("document.json"))

    assert [path for path in (root / "hot").rglob("*") if path.is_file()] == []
    assert in_documents == {"original.pdf": SCAN, "sidecar.json": SAYS}
    assert facts["sidecar"]["name_hex"] == b"Bescheid.json".hex()
    assert document.state is State.CLAIMED
    assert document.described.known
    assert (document.described.operator, document.described.counter) == ("m.muster", 42)
    assert document.described.sidecar == str(Digest.of(SAYS))
    with contextlib.closing(open_reader(root / "state" / "spool.db")) as reader:
        events = [json.loads(line)["event"] for line in reader.lines(document.id)]
        assert events == ["claim", "wait", "describe", "resume"]
        ledger.verify(reader.chain())


@pytest.fixture(scope="module")
def dry(
    helper: Helper, tmp_path_factory: pytest.TempPathFactory
) -> dict[bool, tuple[list[tuple[str, int]], list[str]]]:
    """One that is not killed, within one mount and across two: its points and its order."""
    found = {}
    for across in (False, True):
        with places(tmp_path_factory.mktemp("dry") / "run", across=across) as root:
            lines = helper.run("enclose", root, None)
            found[across] = points_of(lines), order_of(lines, root)
    return found


@pytest.mark.parametrize("across", [False, True], ids=["one-mount", "two-mounts"])
@pytest.mark.parametrize("number", range(POINTS))
def test_a_kill_anywhere_leaves_the_sidecar_whole_and_once(
    number: int,
    across: bool,
    helper: Helper,
    dry: dict[bool, tuple[list[tuple[str, int]], list[str]]],
    tmp_path: Path,
) -> None:
    """The next start finishes it, from wherever it was."""
    every, _ = dry[across]
    point = every[number * (len(every) - 1) // (POINTS - 1)]
    with places(tmp_path / "box", across=across) as root:
        lines = helper.run("enclose", root, point)

        assert any("killed by SIGKILL" in line for line in lines), point
        check(root)


def test_a_sidecar_is_moved_in_the_order_of_a_claim(
    dry: dict[bool, tuple[list[tuple[str, int]], list[str]]],
) -> None:
    """What it is, its private name, its place, and only then what it says; a copy goes last."""
    begin = [
        "fsync DAY/ID/.document.json.TEMP",
        "rename DAY/ID/.document.json.TEMP DAY/ID/document.json",
        "fsync DAY/ID",
        "rename hot/Bescheid.json hot/.scanseal/ID.json",
    ]
    one, two = (_after_claim(dry[across][1]) for across in (False, True))

    assert one == [
        *begin,
        "rename hot/.scanseal/ID.json DAY/ID/sidecar.json",
        "fsync DAY/ID/sidecar.json",
        "fsync DAY/ID",
        "fsync hot",
        "commit",
    ]
    assert two == [
        *begin,
        "rename hot/.scanseal/ID.json DAY/ID/sidecar.json failed",
        "fsync DAY/ID/.sidecar.json.TEMP",
        "rename DAY/ID/.sidecar.json.TEMP DAY/ID/sidecar.json",
        "unlink DAY/ID/.sidecar.json.TEMP failed",
        "fsync DAY/ID",
        "fsync hot",
        "commit",
        "unlink hot/.scanseal/ID.json",
    ]


def _after_claim(order: list[str]) -> list[str]:
    """Return what follows the claim; first its folders, found, are made durable by a new process."""
    rest = order[order.index("commit") + 1 :]
    begin = rest.index("fsync DAY/ID/.document.json.TEMP")
    found = rest[:begin]
    assert all(one.startswith("mkdir ") and one.endswith(" failed") for one in found[::2])
    assert all(one.startswith("fsync ") for one in found[1::2])
    return rest[begin:]


def test_what_was_written_to_a_private_sidecar_since_is_not_thrown_away(tmp_path: Path) -> None:
    """A copy was committed, and somebody had the file open all the time: it stays, and is told."""
    with places(tmp_path / "box", across=True) as root:
        document = started(root)
        private = root / "hot" / ".scanseal" / f"{document.id}.json"
        private.write_bytes(SAYS + b" ")

        async def main() -> str:
            times: dict[str, Any] = {"give_up_seconds": 0.2, "rescan_seconds": 0.1}
            wait: dict[str, Any] = {"sidecar": "required", "sidecar_wait_seconds": 0.2}
            async with watching(root, **wait, **times) as here:
                return (await here.alarm("left-lying")).detail

        assert asyncio.run(main()) == "sidecar-alone 1"
        assert private.read_bytes() == SAYS + b" "


@pytest.mark.parametrize("place", ["folder", "private"])
def test_a_scan_that_is_finished_at_the_start_waits_for_its_sidecar_too(
    place: str, tmp_path: Path
) -> None:
    """A kill between the moves and the commit must not be a way around what is required."""
    config = config_of(tmp_path, section_of(tmp_path, **CHANGES))
    make_places(config)
    Spool(tmp_path / "state", new=True).close()
    scan = tmp_path / "hot" / "Bescheid.pdf"
    scan.write_bytes(SCAN)
    desk = Desk(config.hotfolders[0], config.documents)
    own_id = desk.take(b"Bescheid.pdf", Look.of(scan.stat()), now(), "sure").arrival.id
    if place == "private":
        folder = folder_of(config.documents, own_id)
        (folder / "original.pdf").rename(tmp_path / "hot" / ".scanseal" / own_id)

    async def main() -> Document:
        spool = await open_spool(config.state_dir)
        await recover(config, spool, Alarms(now), now)
        (document,) = await spool(Spool.newest, 2)
        await spool.close()
        return document

    document = asyncio.run(main())

    assert (document.id, document.state, document.code) == (own_id, State.WAITING, "sidecar")
    assert not document.described.known
