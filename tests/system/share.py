"""A folder that scanners reach over the network, and an intake that is another user than they are.

The people live in a mount namespace of their own: servers find `scanner` and `scans` in
their passwd and group, this machine's files are not touched. The intake is the real
stage in a process with the service's user and, if wanted, its one capability.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from daemon import config as configs
from daemon.alarms import Alarms
from daemon.document import Digest, Document, State, folder_of
from daemon.hotfolder import HotFolderStage
from daemon.intake.origin import origin_of, stored
from daemon.intake.recovery import recover
from daemon.records.reader import open_reader
from daemon.spool import open_spool
from tests.intake import config_of, make_places, now

if TYPE_CHECKING:
    from collections.abc import Callable

PROJECT: Final = Path(__file__).parents[2]
PATIENCE: Final = 30.0
"""How long a test waits for something that normally takes a second or two."""
USER: Final = "scanner"
PASSWORD: Final = "only-in-this-test"
SCANNER: Final = 64_010
"""Who uploads."""
SCANS: Final = 64_020
"""The group of the share."""
SERVICE: Final = 64_030
"""Whom the intake runs as: in the group, and owner of no scan."""
CAP_LEASE: Final = 28

INSIDE: Final = """\
for name in passwd group shadow; do
    mount --bind "$1/$name" "/etc/$name" || exit 1
done
shift
exec "$@"
"""
"""Run in a namespace of its own; what is mounted outside later is seen inside, too."""


class Share:
    """A folder with a hot folder for each habit, and the people that use it."""

    def __init__(self, root: Path) -> None:
        """Make both below *root*, which other users must be able to reach."""
        self.root = root
        self.folder = root / "scans"
        _make(self.folder)
        etc = root / "etc"
        etc.mkdir()
        for name, lines in {
            "passwd": [f"{USER}:x:{SCANNER}:{SCANS}::/:/bin/sh"],
            "group": [f"scans:x:{SCANS}:"],
            "shadow": [f"{USER}:{_crypted(PASSWORD)}:19000:0:99999:7:::"],
        }.items():
            before = Path("/etc", name).read_text(encoding="utf-8")
            (etc / name).write_text(before + "\n".join(lines) + "\n", encoding="utf-8")
            (etc / name).chmod(0o600 if name == "shadow" else 0o644)
        self._inside = root / "inside.sh"
        self._inside.write_text(INSIDE, encoding="utf-8")

    def hot(self, name: str) -> Path:
        """Make a hot folder as the administrator does: the group's, and it stays so."""
        folder = self.folder / name
        _make(folder)
        _make(folder / "rejected")
        return folder

    def inside(self, *command: str | Path) -> list[str]:
        """Return the command that runs *command* where the people are known."""
        words = ["unshare", "--mount", "--propagation", "slave", "sh", self._inside]
        return [str(word) for word in (*words, self.root / "etc", *command)]


class Server:
    """A real server in a session of its own."""

    def __init__(self, share: Share, command: list[str | Path], port: int) -> None:
        """Start it; return once something listens on *port*."""
        self.port = port
        self.log = share.root / f"{Path(command[0]).name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                # Not longer than whoever has started it, whatever becomes of that.
                ["setpriv", "--pdeathsig", "KILL", *share.inside(*command)],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(self._listens, f"{command[0]} listens", lambda: self.log.read_text("utf-8"))

    def _listens(self) -> bool:
        assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def end(self) -> None:
        """End it with every process that it has started."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)


class Intake:
    """The intake of some hot folders, as a process of the service's user."""

    def __init__(
        self,
        share: Share,
        *names: str,
        settle_seconds: float = 0.5,
        give_up_seconds: float = 2.0,
        lease: bool = True,
    ) -> None:
        """Start it; return once it has looked at every folder."""
        self.share = share
        self.names = names
        self._asking = threading.Lock()
        self.state = share.root / f"service-{names[0]}" / "state"
        self.state.parent.mkdir(mode=0o700)
        os.chown(self.state.parent, SERVICE, SERVICE)
        told = {
            "root": str(self.state.parent),
            "folders": {name: str(share.folder / name) for name in names},
            "settle_seconds": settle_seconds,
            "give_up_seconds": give_up_seconds,
            "lease": lease,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.system.share", json.dumps(told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=PROJECT,
            text=True,
        )
        wait_for(lambda: all(f["looked"] for f in self.facts().values()), "it has looked")

    def ask(self) -> dict[str, Any]:
        """Return its alarms, and the facts of its folders."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._asking:
            print("?", file=self._process.stdin, flush=True)
            found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def facts(self) -> dict[str, Any]:
        """Return what the page would show of each folder."""
        found: dict[str, Any] = self.ask()["facts"]
        return found

    def alarms(self, name: str) -> dict[str, str]:
        """Return what is wrong with a folder: code and detail."""
        return {code: detail for code, instance, detail in self.ask()["alarms"] if instance == name}

    def documents(self, name: str) -> list[Document]:
        """Return what came out of a folder, the oldest first."""
        with closing(open_reader(self.state / "spool.db")) as reader:
            found = reader.newest(10_000)
        return sorted((one for one in found if one.hotfolder == name), key=lambda one: one.id)

    def original(self, document: Document) -> bytes:
        """Return the bytes that were kept of a document: those that were claimed."""
        found = stored(folder_of(self.state / "documents", document.id))
        assert found is not None
        data = found.read_bytes()
        # Whoever had it open at the claim would have written on into what is ours now.
        assert Digest.of(data) == document.digest
        return data

    def name(self, document: Document) -> bytes:
        """Return the name that a document had in its hot folder."""
        found = origin_of(folder_of(self.state / "documents", document.id))
        assert found is not None
        return found.name

    def claimed(self, name: str, count: int = 1) -> list[bytes]:
        """Wait until *count* scans of a folder were taken and none is left; return their bytes."""
        folder = self.share.folder / name

        def enough() -> bool:
            return len(self.documents(name)) >= count and not files(folder)

        wait_for(enough, f"{count} out of {name}", lambda: f"{files(folder)} {self.ask()}")
        found = self.documents(name)
        assert len(found) == count
        assert all(one.state is State.CLAIMED for one in found), [one.code for one in found]
        return [self.original(one) for one in found]

    def end(self) -> None:
        """Stop it cleanly."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        assert self._process.wait(PATIENCE) == 0
        self._process.stdout.close()


def files(folder: Path) -> list[Path]:
    """Return the files of a hot folder, those under `.scanseal` included."""
    found = (*folder.iterdir(), *(folder / ".scanseal").glob("*"))
    return sorted(path for path in found if path.is_file())


def wait_for(
    question: Callable[[], bool], what: str, why: Callable[[], object] = lambda: ""
) -> None:
    """Ask again and again until the answer is yes; fail with *why* otherwise."""
    until = time.monotonic() + PATIENCE
    while not question():
        assert time.monotonic() < until, f"not in {PATIENCE:g} s: {what}; {why()}"
        time.sleep(0.02)


def free_port() -> int:
    """Return a port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _make(folder: Path) -> None:
    folder.mkdir()
    os.chown(folder, 0, SCANS)
    folder.chmod(0o2770)


def _crypted(password: str) -> str:
    said = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"],
        input=password,
        capture_output=True,
        text=True,
        check=True,
    )
    return said.stdout.strip()


# -- the process -------------------------------------------------------------------------


def become(uid: int, groups: list[int], capabilities: int) -> None:
    """Be another user from now on, with these capabilities and no others."""
    libc = ctypes.CDLL(None, use_errno=True)
    keep_capabilities = 8
    assert libc.prctl(keep_capabilities, 1, 0, 0, 0) == 0
    os.setgroups(groups)
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    wanted = (ctypes.c_uint32 * 6)(capabilities, capabilities, 0, 0, 0, 0)
    assert libc.capset(header, wanted) == 0, os.strerror(ctypes.get_errno())


async def _serve(told: dict[str, Any]) -> None:
    root = Path(told["root"])
    sections = tuple(
        configs.HotFolder(
            name=name,
            path=path,
            rejected=f"{path}/rejected",
            profile="post",
            settle_seconds=told["settle_seconds"],
            give_up_seconds=told["give_up_seconds"],
            rescan_seconds=0.3,
        )
        for name, path in told["folders"].items()
    )
    config = config_of(root, *sections)
    make_places(config)
    spool = await open_spool(config.state_dir, new=True)
    alarms = Alarms(now)
    await recover(config, spool, alarms, now)
    stages = {
        section.name: HotFolderStage(section, config, spool, alarms, now) for section in sections
    }
    tasks = [asyncio.create_task(stage.run()) for stage in stages.values()]
    asked = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
    while True:
        await asyncio.wait({asked, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        if not asked.done() or not asked.result():
            break
        facts = {name: stage.facts() for name, stage in stages.items()}
        answer = {
            "alarms": [(one.code, one.instance, one.detail) for one in alarms.now()],
            "facts": {
                name: {
                    "waiting": found.waiting,
                    "writer_known": found.writer_known,
                    "looked": found.last_scan_at is not None,
                }
                for name, found in facts.items()
            },
        }
        print(json.dumps(answer), flush=True)
        asked = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    await spool.close()
    for one in ended:
        if isinstance(one, Exception):
            raise one


if __name__ == "__main__":
    orders = json.loads(sys.argv[1])
    become(SERVICE, [SCANS], 1 << CAP_LEASE if orders["lease"] else 0)
    os.umask(0o077)
    asyncio.run(_serve(orders))
