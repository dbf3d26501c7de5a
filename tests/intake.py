"""A hot folder with everything behind it, and a scanner that is a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daemon import config as configs
from daemon.alarms import Alarm, Alarms
from daemon.document import Document, State, folder_of
from daemon.hotfolder import PATIENCE_SECONDS, HotFolderStage
from daemon.intake.origin import Origin, origin_of, stored
from daemon.spool import Spool, SpoolThread, open_spool
from daemon.workers import Limits, Worker, Workers

SETTLE = 0.15
DEADLINE = 15.0


def now() -> datetime:
    """Return the time, as exact as it is stored."""
    exact = datetime.now(UTC)
    return exact.replace(microsecond=exact.microsecond // 1000 * 1000)


def pdf(text: bytes = b"x") -> bytes:
    """Return the fewest bytes that pass for a complete PDF; nobody here parses it."""
    body = b"%PDF-1.7\n1 0 obj <</Note (" + text + b")>> endobj\n"
    table = b"xref\n0 1\n0000000000 65535 f \ntrailer <</Size 1>>\n"
    return body + table + b"startxref\n%d\n%%%%EOF\n" % len(body)


def section_of(root: Path, **changes: Any) -> configs.HotFolder:
    """Return a hot folder with short times."""
    section = configs.HotFolder(
        name="post",
        path=str(root / "hot"),
        rejected=str(root / "hot" / "rejected"),
        profile="post",
        settle_seconds=SETTLE,
        give_up_seconds=0.6,
        rescan_seconds=0.3,
    )
    return replace(section, **changes)


def config_of(root: Path, *sections: configs.HotFolder, min_free_mb: int = 1) -> configs.Config:
    """Return a configuration of nothing but an intake."""
    return configs.Config(
        path=root / "scanseal.toml",
        box=configs.Box(
            name="amt-01",
            organisation="Amt",
            state_dir=str(root / "state"),
            min_free_mb=min_free_mb,
            clock="host",
        ),
        hotfolders=sections,
        profiles={"post": configs.Profile(procedure="Scankonzept 1")},
        hsm=configs.HsmSection(module="/m", token="t", key="k", chain="/c", pin="file:/p"),
        seal=configs.Seal(),
        targets=(),
        mqtt=None,
        web=None,
    )


def make_places(config: configs.Config) -> None:
    """Make what the service and an administrator make before the start."""
    for path in (config.documents, config.state_dir / "ledger", config.work_in, config.work_out):
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    for section in config.hotfolders:
        for folder in (section.path, section.rejected):
            Path(folder).mkdir(parents=True, exist_ok=True)


@dataclass
class Here:
    """One hot folder that is being watched."""

    config: configs.Config
    section: configs.HotFolder
    spool: SpoolThread
    alarms: Alarms
    stage: HotFolderStage
    hot: Path
    back: Path
    """The folder for rejected copies."""

    async def documents(self) -> list[Document]:
        return sorted(await self.spool(Spool.newest, 10_000), key=lambda found: found.id)

    async def claimed(self, count: int = 1) -> list[Document]:
        """Wait until there are *count* documents."""
        await until(self.documents, lambda found: len(found) >= count)
        return await self.documents()

    async def refused(self, count: int = 1) -> list[Document]:
        """Wait until *count* documents are refused."""

        def enough(found: list[Document]) -> bool:
            return sum(one.state is State.REFUSED for one in found) >= count

        await until(self.documents, enough)
        return await self.documents()

    async def described(self, count: int = 1) -> list[Document]:
        """Wait until *count* documents are there and none waits to be described."""

        def enough(found: list[Document]) -> bool:
            return len(found) >= count and all(one.state is not State.WAITING for one in found)

        await until(self.documents, enough)
        return await self.documents()

    async def alarm(self, code: str) -> Alarm:
        """Wait until *code* is raised."""
        await until(lambda: raised(self.alarms, code), bool)
        return (await raised(self.alarms, code))[0]

    async def no_alarm(self, code: str) -> None:
        """Wait until *code* is raised no longer."""
        await until(lambda: raised(self.alarms, code), lambda found: not found)

    async def looks(self, count: int = 2) -> None:
        """Wait until the folder has been looked at *count* times more."""
        for _ in range(count):
            before = self.stage.facts().last_scan_at
            await until(lambda: later(self.stage, before), bool)  # noqa: B023 (awaited at once)

    def original(self, document: Document) -> bytes:
        folder = folder_of(self.config.documents, document.id)
        found = stored(folder)
        assert found is not None
        return found.read_bytes()

    def origin(self, document: Document) -> Origin:
        found = origin_of(folder_of(self.config.documents, document.id))
        assert found is not None
        return found

    def private(self) -> list[Path]:
        folder = self.hot / ".scanseal"
        return sorted(folder.iterdir()) if folder.exists() else []


async def raised(alarms: Alarms, code: str) -> list[Alarm]:
    return [alarm for alarm in alarms.now() if alarm.code == code]


async def later(stage: HotFolderStage, before: datetime | None) -> bool:
    at = stage.facts().last_scan_at
    return at is not None and at != before


async def until(ask: Callable[[], Any], enough: Callable[[Any], bool]) -> Any:
    """Ask again and again until it is enough."""
    deadline = time.monotonic() + DEADLINE
    while not enough(found := await ask()):
        assert time.monotonic() < deadline, f"still {found!r} after {DEADLINE:g} s"
        await asyncio.sleep(0.01)
    return found


@contextlib.asynccontextmanager
async def watching(
    root: Path,
    *,
    running: bool = True,
    min_free_mb: int = 1,
    clock: Callable[[], datetime] = now,
    patience_seconds: float = PATIENCE_SECONDS,
    **changes: Any,
) -> AsyncIterator[Here]:
    """Watch a hot folder under *root* for as long as the block lasts."""
    section = section_of(root, **changes)
    config = config_of(root, section, min_free_mb=min_free_mb)
    make_places(config)
    spool = await open_spool(config.state_dir, new=True)
    alarms = Alarms(clock)
    pages = describers(config)
    stage = HotFolderStage(section, config, spool, alarms, clock, patience_seconds, pages)
    here = Here(config, section, spool, alarms, stage, Path(section.path), Path(section.rejected))
    task = asyncio.create_task(stage.run()) if running else None
    try:
        yield here
    finally:
        if task is not None:
            failed = task.done()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if failed:
                task.result()
        await pages.stop()
        await spool.close()


def describers(config: configs.Config, count: int = 2) -> Workers:
    """Return page workers that describe and do nothing else; none runs before it is asked."""
    module = Path(__file__).with_name("describing_worker.py")
    limits = Limits(memory_mb=512)
    return Workers([Worker(module, place=config.work_out, limits=limits) for _ in range(count)])


BECOME = """
import os, sys
def become(uid):
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
"""
"""For scripts that are somebody else: what they import may lie where only root can read."""

SCANNER = """
import os, sys
files = {}
for line in sys.stdin:
    word, *rest = line.split()
    if word == "open":
        files[rest[0]] = os.open(bytes.fromhex(rest[0]), os.O_WRONLY | os.O_CREAT | int(rest[1]), 0o666)
    elif word == "write":
        os.write(files[rest[0]], bytes.fromhex(rest[1]))
    elif word == "close":
        os.close(files.pop(rest[0]))
    print("done", flush=True)
"""


class Scanner:
    """Another process that writes files; each call returns once it is done."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-IS", "-c", SCANNER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def open(self, path: Path, flags: int = 0) -> None:
        self._say("open", os.fsencode(path).hex(), str(flags))

    def write(self, path: Path, data: bytes) -> None:
        self._say("write", os.fsencode(path).hex(), data.hex())

    def close(self, path: Path) -> None:
        self._say("close", os.fsencode(path).hex())

    def end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=10)

    def _say(self, *words: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(*words, file=self._process.stdin, flush=True)
        assert self._process.stdout.readline() == "done\n"


@contextlib.contextmanager
def scanning() -> Iterator[Scanner]:
    """Have a scanner."""
    scanner = Scanner()
    try:
        yield scanner
    finally:
        scanner.end()


@contextlib.contextmanager
def mounted(folder: Path, size: str = "16m") -> Iterator[Path]:
    """Mount a small file system of its own at *folder*: a rename out of it fails."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@contextlib.contextmanager
def served(folder: Path, behind: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Mount at *folder* what a server has in *behind*: no event tells what is done there.

    It is a FUSE server and not one of SMB or NFS, which have no kernel of ours to be mounted
    by; the process that is yielded can be stopped, and then nothing answers.
    """
    for path in (folder, behind):
        path.mkdir(parents=True, exist_ok=True)
    server = subprocess.Popen(["bindfs", "-f", "-o", "subtype=sshfs", behind, folder])
    try:
        deadline = time.monotonic() + DEADLINE
        while not os.path.ismount(folder):
            assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield server
    finally:
        # First the end of the server: what waits for its answer would wait for the umount, too.
        server.kill()
        server.wait()
        subprocess.run(["umount", "-l", folder], check=True)


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """Have a folder that other users reach, too: pytest's own are closed to them."""
    with tempfile.TemporaryDirectory(prefix="scanseal-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def facts(folder: Path) -> dict[str, Any]:
    """Return a document.json as it is."""
    found: dict[str, Any] = json.loads((folder / "document.json").read_bytes())
    return found
