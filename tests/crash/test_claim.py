"""A kill at each system call of a claim, and what the next start makes of it (I1, I2, I5).

One process claims one file and is killed by strace on entry of its n-th mkdir,
openat, rename, fsync, ... Then this process recovers, as the service does at
start. Whatever the point was, the scan is whole and once: in the hot folder as if
nothing had been, or in a document's folder with its row.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon import ledger
from daemon.alarms import Alarms
from daemon.document import Digest, Document, State, folder_of
from daemon.intake.claim import Desk
from daemon.intake.recovery import judged, recover
from daemon.intake.settle import Look
from daemon.records.reader import open_reader
from daemon.spool import Spool, open_spool
from tests.intake import config_of, make_places, mounted, now, pdf, section_of

SCAN = pdf(b"scan")
NAME = "Bescheid.pdf"
CALLS = "openat,mkdir,rename,fsync,fdatasync,unlink,rmdir,chmod,fchmod,pwrite64,write,ftruncate"
SCANNER = 65534
"""Another user than the service's (root, here)."""
WAYS = pytest.mark.parametrize(
    ("across", "owner"),
    [(False, 0), (True, 0), (False, SCANNER)],
    ids=["one-mount", "two-mounts", "another-users"],
)
Dry = dict[tuple[bool, int], tuple[list[tuple[str, int]], list[str]]]
POINTS = 18
"""So many of the points are tried, evenly spread; the first and the last are among them."""

HELPER = """
import asyncio, os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from daemon.alarms import Alarms
from daemon.intake.claim import Desk, commit
from daemon.intake.recovery import recover
from daemon.intake.settle import Look
from daemon.records.reader import open_reader
from daemon.spool import Spool, open_spool
from tests.intake import config_of, now, section_of

def claim(root, config):
    spool = Spool(config.state_dir)
    desk = Desk(config.hotfolders[0], config.documents)
    path = root / "hot" / "Bescheid.pdf"
    look = Look.of(path.stat())
    os.kill(os.getpid(), signal.SIGSTOP)
    claimed = desk.take(path.name.encode(), look, now(), "sure")
    commit(spool, claimed, now())
    if claimed.copied:
        desk.let_go(claimed)

def start(root, config):
    os.kill(os.getpid(), signal.SIGSTOP)
    async def main():
        spool = await open_spool(config.state_dir)
        await recover(config, spool, Alarms(now), now)
        await spool.close()
    asyncio.run(main())

for line in sys.stdin:
    work, root = line.split()
    root = Path(root)
    child = os.fork()
    if child == 0:
        config = config_of(root, section_of(root))
        {"claim": claim, "start": start}[work](root, config)
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""


class Helper:
    """Forks processes that do one thing, stopped until strace has them."""

    def __init__(self, script: str = HELPER) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", script, str(Path(__file__).parents[2])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, work: str, root: Path, kill: tuple[str, int] | None) -> list[str]:
        """Do *work* under strace, killed at *kill*; return what strace wrote."""
        assert self._process.stdin is not None
        print(work, root, file=self._process.stdin, flush=True)
        pid = int(self._line())
        log = root / "strace.log"
        inject = [] if kill is None else ["-e", f"inject={kill[0]}:signal=KILL:when={kill[1]}"]
        wait_for(pid, "State", "T")
        with subprocess.Popen(
            [
                "strace",
                "-f",
                "-y",
                "-qq",
                "-o",
                log,
                "-e",
                f"trace={CALLS}",
                *inject,
                "-p",
                str(pid),
            ]
        ) as strace:
            try:
                wait_for(pid, "TracerPid", str(strace.pid))
                os.kill(pid, signal.SIGCONT)
                status = int(self._line())
            except BaseException:
                strace.kill()
                os.kill(pid, signal.SIGKILL)
                raise
        lines = log.read_text().splitlines()
        killed = any("killed by SIGKILL" in line for line in lines)
        assert killed == (os.waitstatus_to_exitcode(status) == -signal.SIGKILL)
        assert killed or os.waitstatus_to_exitcode(status) == 0
        return lines

    def end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=10)

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def wait_for(pid: int, field: str, value: str) -> None:
    """Wait until /proc says *value* about a process."""
    deadline = time.monotonic() + 15
    while not re.search(
        rf"^{field}:\s+{value}\b", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE
    ):
        assert time.monotonic() < deadline, f"{field} is not {value}"
        time.sleep(0.001)


@pytest.fixture(scope="module")
def helper() -> Iterator[Helper]:
    made = Helper()
    yield made
    made.end()


@contextlib.contextmanager
def places(root: Path, *, across: bool, owner: int = 0) -> Iterator[Path]:
    """Make a box with one scan of *owner* in its hot folder, on a mount of its own if *across*."""
    root.mkdir(exist_ok=True)
    with mounted(root / "hot") if across else contextlib.nullcontext():
        make_places(config_of(root, section_of(root)))
        Spool(root / "state", new=True).close()
        (root / "hot" / NAME).write_bytes(SCAN)
        os.chown(root / "hot" / NAME, owner, owner)
        yield root


def order_of(lines: list[str], root: Path) -> list[str]:
    """Return what a claim did to names and to the disk, in order, in the words of the design."""
    found: list[str] = []
    for line in lines:
        call = re.match(r"\d+\s+(mkdir|rename|fsync|fdatasync|unlink)\((.*)\)\s+= (\S+)", line)
        if call is None:
            continue
        if call[1] == "fdatasync" or "spool.db" in call[2]:  # SQLite
            if "spool.db-wal" in call[2] and found[-1:] != ["commit"]:
                found.append("commit")
            continue
        places = re.findall(r'[<"](/[^>"]*)[>"]', call[2])
        words = [call[1], *(place.removeprefix(f"{root}/") for place in places)]
        text = " ".join(words) + (" failed" if call[3] == "-1" else "")
        text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text)
        text = re.sub(r"\.[0-9a-f]{16}\b", ".TEMP", text)
        found.append(re.sub(r"state/documents/\d{4}/\d\d/\d\d", "DAY", text))
    return found


def points_of(lines: list[str]) -> list[tuple[str, int]]:
    """Return every system call that strace saw, with its number among those of its name."""
    seen: Counter[str] = Counter()
    found = []
    for line in lines:
        if call := re.match(r"\d+\s+(\w+)\(", line):
            seen[call[1]] += 1
            found.append((call[1], seen[call[1]]))
    return found


@pytest.fixture(scope="module")
def dry(helper: Helper, tmp_path_factory: pytest.TempPathFactory) -> Dry:
    """A claim that is not killed: its points and its order, by where and whose the scan is."""
    found = {}
    for across, owner in ((False, 0), (True, 0), (False, SCANNER)):
        with places(tmp_path_factory.mktemp("dry") / "run", across=across, owner=owner) as root:
            lines = helper.run("claim", root, None)
            found[across, owner] = points_of(lines), order_of(lines, root)
    return found


def recovered(root: Path) -> tuple[list[Document], Alarms]:
    """Start as the service does, and return what is there then."""

    async def main() -> tuple[list[Document], Alarms]:
        config = config_of(root, section_of(root))
        spool = await open_spool(config.state_dir)
        alarms = Alarms(now)
        await recover(config, spool, alarms, now)
        documents = await spool(Spool.newest, 10)
        await spool.close()
        return documents, alarms

    return asyncio.run(main())


def check(root: Path) -> list[Document]:
    """Recover, and assert that the scan is whole and exactly once."""
    documents, alarms = recovered(root)
    config = config_of(root, section_of(root))
    in_hot = [path for path in (root / "hot").rglob("*") if path.is_file()]
    in_documents = sorted(path for path in config.documents.rglob("*") if path.is_file())

    if documents:
        (document,) = documents
        folder = folder_of(config.documents, document.id)
        assert in_hot == []
        assert in_documents == [folder / "document.json", folder / "original.pdf"]
        assert (folder / "original.pdf").read_bytes() == SCAN
        assert (document.state, document.digest) == (State.CLAIMED, Digest.of(SCAN))
        with contextlib.closing(open_reader(root / "state" / "spool.db")) as reader:
            assert len(reader.lines(document.id)) == 1
            ledger.verify(reader.chain())
    else:
        assert in_hot == [root / "hot" / NAME]
        assert in_hot[0].read_bytes() == SCAN
        assert in_documents == []
    assert alarms.now() == ()
    return documents


@WAYS
@pytest.mark.parametrize("number", range(POINTS))
def test_a_kill_anywhere_in_a_claim_leaves_the_scan_whole_and_once(
    number: int, across: bool, owner: int, helper: Helper, dry: Dry, tmp_path: Path
) -> None:
    """The next start finishes it, or it is as if it had not been begun."""
    every, _ = dry[across, owner]
    point = every[number * (len(every) - 1) // (POINTS - 1)]
    with places(tmp_path / "box", across=across, owner=owner) as root:
        lines = helper.run("claim", root, point)

        assert any("killed by SIGKILL" in line for line in lines), point
        check(root)


def test_the_order_of_a_claim_is_the_designs(dry: Dry) -> None:
    """Each name is made durable before the next step counts on it; what was copied goes last."""
    begin = [
        "mkdir DAY/ID",
        "fsync DAY",
        "fsync DAY/ID/.document.json.TEMP",
        "rename DAY/ID/.document.json.TEMP DAY/ID/document.json",
        "fsync DAY/ID",
        f"rename hot/{NAME} hot/.scanseal/ID",
    ]
    one, two, another = dry[False, 0][1], dry[True, 0][1], dry[False, SCANNER][1]

    assert one[one.index("mkdir DAY/ID") :] == [
        *begin,
        "rename hot/.scanseal/ID DAY/ID/original.pdf",
        "fsync DAY/ID/original.pdf",
        "fsync DAY/ID",
        "fsync hot",
        "commit",
    ]
    copy = [
        "fsync DAY/ID/.original.pdf.TEMP",
        "rename DAY/ID/.original.pdf.TEMP DAY/ID/original.pdf",
        "unlink DAY/ID/.original.pdf.TEMP failed",
        "fsync DAY/ID",
        "fsync hot",
        "commit",
        "unlink hot/.scanseal/ID",
    ]
    failed = "rename hot/.scanseal/ID DAY/ID/original.pdf failed"
    assert two[two.index("mkdir DAY/ID") :] == [*begin, failed, *copy]
    assert another[another.index("mkdir DAY/ID") :] == [*begin, *copy]


@WAYS
@pytest.mark.parametrize("kill", [("rename", 1), ("fsync", 1), ("fsync", 3), ("fdatasync", 2)])
@pytest.mark.parametrize("first", [("rename", 3), ("fdatasync", 1)])
def test_a_kill_in_the_start_that_finishes_a_claim_does_no_harm(
    first: tuple[str, int],
    kill: tuple[str, int],
    across: bool,
    owner: int,
    helper: Helper,
    tmp_path: Path,
) -> None:
    """Recovery can be killed as well, and the start after it finishes what that one began."""
    with places(tmp_path / "box", across=across, owner=owner) as root:
        helper.run("claim", root, first)
        helper.run("start", root, kill)

        assert len(check(root)) == 1


# -- what else a start can find ---------------------------------------------------------------


def claimed_without_row(root: Path) -> tuple[Path, str]:
    """Leave what a kill before the commit leaves; return the document's folder and its id."""
    config = config_of(root, section_of(root))
    desk = Desk(config.hotfolders[0], config.documents)
    look = Look.of((root / "hot" / NAME).stat())
    own_id = desk.take(NAME.encode(), look, now(), "sure").arrival.id
    return folder_of(config.documents, own_id), own_id


def test_a_share_that_is_not_there_keeps_the_name_of_its_scan(tmp_path: Path) -> None:
    """Its `.scanseal` may hold the scan: the folder with document.json waits for it."""
    with places(tmp_path / "box", across=False) as root:
        folder, own_id = claimed_without_row(root)
        (folder / "original.pdf").rename(root / "hot" / ".scanseal" / own_id)
        (root / "hot").rename(root / "unmounted")
        nothing, _ = recovered(root)
        kept = (folder / "document.json").exists()
        (root / "unmounted").rename(root / "hot")
        documents = check(root)

    assert nothing == []
    assert kept
    assert [document.id for document in documents] == [own_id]


def test_a_private_file_that_waits_keeps_its_document_json(tmp_path: Path) -> None:
    """It has changed since it was claimed: the stage lets it settle, and needs its name then."""
    with places(tmp_path / "box", across=False) as root:
        folder, own_id = claimed_without_row(root)
        private = root / "hot" / ".scanseal" / own_id
        (folder / "original.pdf").rename(private)
        with private.open("ab") as file:
            file.write(b"more")
        documents, alarms = recovered(root)

        assert (documents, alarms.now()) == ([], ())
        assert private.read_bytes() == SCAN + b"more"
        assert [path.name for path in folder.iterdir()] == ["document.json"]


def test_an_original_that_grew_is_adopted_as_it_is(tmp_path: Path) -> None:
    """A writer that no lease told of: the second look counts, and document.json is put right."""
    with places(tmp_path / "box", across=False) as root:
        folder, _ = claimed_without_row(root)
        with (folder / "original.pdf").open("ab") as file:
            file.write(b"more\n" * 300)
        ((document,), _) = recovered(root)
        size = (folder / "original.pdf").stat().st_size

        assert document.size == size
        assert (document.state, document.code) == (State.REFUSED, "file-incomplete")
        assert f'"size": {size}' in (folder / "document.json").read_text()


def test_what_nobody_can_explain_is_left_for_a_person(tmp_path: Path) -> None:
    """I12: a sealed file without a row, a strange name, an original without its document.json."""
    with places(tmp_path / "box", across=False) as root:
        folder, _ = claimed_without_row(root)
        (folder / "document.json").unlink()
        strange = folder.parent / "strange"
        strange.mkdir()
        sealed = folder.parent / (folder.name[:-1] + ("0" if folder.name[-1] != "0" else "1"))
        sealed.mkdir()
        (sealed / "sealed.pdf").write_bytes(b"sealed")
        documents, alarms = recovered(root)

        assert documents == []
        assert [(alarm.code, alarm.detail) for alarm in alarms.now()] == [
            ("folder-unexplained", "3")
        ]
        assert (folder / "original.pdf").exists()
        assert (sealed / "sealed.pdf").exists()
        assert strange.exists()


@pytest.mark.parametrize(
    ("names", "remembered", "expected"),
    [
        ([], False, "remove"),
        (["document.json", ".document.json.01"], False, "remove"),
        (["document.json"], True, "leave"),
        (["document.json", "receipt-dms.json"], False, "leave"),
        (["document.json", "original.pdf", ".original.pdf.01"], False, "adopt"),
        (["document.json", "original.pdf"], True, "unexplained"),
        (["document.json", "original.pdf", "original.bin"], False, "unexplained"),
        (["document.json", "original.pdf", "sealed.pdf"], False, "unexplained"),
        (["document.json", "manifest.json"], False, "unexplained"),
    ],
)
def test_a_folder_without_a_row_is_judged_by_what_is_in_it(
    names: list[str], remembered: bool, expected: str
) -> None:
    """Removed is only what holds no scan, no receipt, and has no line in the ledger."""
    assert judged(names, remembered=remembered) == expected


def test_the_time_of_a_copy_is_not_the_scans(tmp_path: Path) -> None:
    """A copy that is adopted while its share is away has the scanner's time all the same."""
    with places(tmp_path / "box", across=True) as root:
        os.utime(root / "hot" / NAME, (1_000_000_000, 1_000_000_000))
        _, own_id = claimed_without_row(root)
        private = root / "hot" / ".scanseal"
        private.rename(root / "hot" / "away")
        ((document,), _) = recovered(root)
        (root / "hot" / "away").rename(private)
        again, _ = recovered(root)

        assert document.id == own_id
        assert document.captured_at.year == 2001
        assert again == [document]
        assert list(private.iterdir()) == []


def test_the_work_folder_is_emptied(tmp_path: Path) -> None:
    """Links and outputs of workers that are no more; the folders themselves stay."""
    with places(tmp_path / "box", across=False) as root:
        work = root / "state" / "work"
        (work / "in" / "a.original").write_bytes(b"x")
        (work / "out" / "folder").mkdir()
        (work / "out" / "folder" / "b").write_bytes(b"x")
        (work / "out" / "link").symlink_to(root / "hot")
        (work / "core").write_bytes(b"x")
        recovered(root)

        assert sorted(path.name for path in work.rglob("*")) == ["in", "out"]
        assert (root / "hot" / NAME).exists()
