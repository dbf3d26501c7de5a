"""The walls of a page worker: code inside one tries everything, and gets nowhere (I10).

Each try is made three times: without walls, where it has to succeed (else it would prove
nothing), with those of this kernel, and with those of Debian 12's (Landlock 2).
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import platform
import re
import socket
import struct
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pikepdf
import pytest

from daemon import sandbox, syscalls
from daemon.errors import TransientError, WorkerDied
from daemon.prepare import Prepared, ReadBack
from daemon.sandbox import NEWEST, Confinement, Sandbox
from daemon.workers import Limits, Worker, Workers, typed
from tests import hostile_worker
from tests.unit.pages_samples import G4, add_form, drawn, exif, jpeg, pdf, png, request, tiff

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

HOSTILE = Path(hostile_worker.__file__)
OLD_KERNEL = HOSTILE.with_name("old_kernel.py")
LIMITS = Limits(memory_mb=1024)
SOON = 60.0
DEBIAN_12 = 2
VERSIONS = pytest.mark.parametrize("abi", [NEWEST, DEBIAN_12], ids=["this-kernel", "abi-2"])
REFUSALS = {errno.EPERM, errno.EACCES, errno.EXDEV, errno.ENOSYS, errno.EAGAIN}
"""EXDEV: a name in another folder; EAGAIN: a thread; ENOSYS: a call whose arguments are unseen."""
HEADERS = Path("/usr/include")


@dataclass(frozen=True)
class Box:
    """A box with everything in it that a page worker must not reach."""

    root: Path
    victim: int
    """A process of the same user."""

    @property
    def out(self) -> Path:
        return self.root / "state/work/out"

    def file(self, name: str) -> str:
        """Make a file and return its path."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"secret")
        return str(path)

    def sandbox(self, abi: int) -> Sandbox:
        return Sandbox(
            read=(str(self.root / "state/work/in"),),
            write=(str(self.out),),
            apart=(str(self.root / "state"),),
            abi=abi,
        )

    def worker(self, walls: Sandbox | None, module: str | Path = HOSTILE) -> Worker:
        return Worker(module, place=self.out, limits=LIMITS, sandbox=walls)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    for name in ("state/work/in", "state/work/out", "dms"):
        (tmp_path / name).mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as victim:
        yield Box(tmp_path, victim.pid)
        assert victim.poll() is None, "it was to survive every try"
        victim.kill()


@contextmanager
def listening() -> Iterator[tuple[int, str]]:
    """Yield a port and the name of an abstract socket on which somebody listens."""
    name = f"scanseal-test-{os.getpid()}"
    with socket.socket() as network, socket.socket(socket.AF_UNIX) as local:
        network.bind(("127.0.0.1", 0))
        network.listen()
        local.bind("\0" + name)
        local.listen()
        yield network.getsockname()[1], name


@contextmanager
def box_socket(box: Box) -> Iterator[str]:
    """Yield the path of a socket that listens where the service's does."""
    path = str(box.root / "state/control.sock")
    with socket.socket(socket.AF_UNIX) as control:
        control.bind(path)
        control.listen()
        yield path


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def wrapped() -> None:
        await main()

    asyncio.run(wrapped())


# -- what is refused -----------------------------------------------------------------------------

Try = tuple[str, list[Any]]


def on_files(box: Box) -> dict[str, Try]:
    """Return tries at files, each at one of its own."""
    secrets = {
        "the PIN": "pin",
        "the token": "token/1/private.object",
        "the database": "state/spool.db",
        "the ledger's personal details": "state/ledger/2026-11-22.personal.jsonl",
        "another document": "state/documents/2026/11/22/x/original.pdf",
        "a scan in the hot folder": "hot/brief.pdf",
        "what the DMS has": "dms/x.pdf",
        "the configuration": "scanseal.toml",
    }
    found: dict[str, Try] = {
        f"{what} {where}": (what, [box.file(path)])
        for where, path in secrets.items()
        for what in (
            "read",
            "write",
            "cut_by_path",
            "cut_while_opening_to_read",
            "cut_while_opening_for_nothing",
            "open_for_nothing",
            "change_mode",
            "change_owner",
            "change_time",
        )
    }
    state, work, out = (str(box.root / name) for name in ("state", "state/work", "state/work/out"))
    lent = [box.file(f"state/work/in/{number}.original") for number in range(12)]
    own = [box.file(f"state/work/out/{number}.prepared") for number in range(6)]
    return found | {
        # The original itself: what is lent is another name of it.
        "write to what is lent": ("write", [lent[0]]),
        "cut off what is lent": ("cut_by_path", [lent[1]]),
        "cut off what is lent, reading": ("cut_while_opening_to_read", [lent[2]]),
        "cut off what is lent, opening": ("cut_while_opening_for_nothing", [lent[3]]),
        "chmod what is lent": ("change_mode", [lent[4]]),
        "fchmod what is lent": ("change_mode_of_what_may_be_read", [lent[5]]),
        "lease what is lent": ("lease", [lent[7]]),
        "ask the file system about what is lent": ("ask_file_system", [lent[7]]),
        "make a file in work/in": ("make", [f"{work}/in/new"]),
        "make a file in work": ("make", [f"{work}/new"]),
        "make a file in state_dir": ("make", [f"{state}/new"]),
        "rename what is lent": ("rename", [lent[8], f"{work}/in/renamed"]),
        "move what is lent to work/out": ("rename", [lent[9], f"{out}/moved"]),
        "link what is lent into work/out": ("link", [lent[10], f"{out}/linked"]),
        "link the database into work/out": ("link", [f"{state}/spool.db", f"{out}/db"]),
        "move the database into work/out": ("rename", [box.file("state/db2"), f"{out}/db2"]),
        "link its own out of work/out": ("link", [own[0], f"{state}/linked"]),
        "move its own out of work/out": ("rename", [own[1], f"{state}/moved"]),
        "move its own over what is lent": ("rename", [own[2], lent[11]]),
        "a pipe in work/out": ("pipe_with_a_name", [f"{out}/pipe"]),
        "a socket in work/out": ("local_socket_with_a_name", [f"{out}/socket"]),
        "remove what is lent": ("remove", [lent[0]]),
        "a symbolic link in work/out": ("symbolic_link", ["/etc/passwd", f"{out}/symbolic"]),
        "a folder in work/out": ("make_folder", [f"{out}/folder"]),
        "list work/in": ("list_folder", [f"{work}/in"]),
        "list work/out": ("list_folder", [out]),
        "list the documents": ("list_folder", [f"{state}/documents"]),
        "watch the documents": ("watch", [f"{state}/documents"]),
        "read the users": ("read", ["/etc/passwd"]),
        "read a home": ("read", [box.file("home/.ssh/id")]),
        "read a process's environment": ("read", [f"/proc/{box.victim}/environ"]),
        "read its own status anew": ("read", ["/proc/self/status"]),
    }


def on_processes(box: Box) -> dict[str, Try]:
    """Return tries at other processes, its parent and one of the same user, and at new ones."""
    found: dict[str, Try] = {
        f"{what} {who}": (what, [pid])
        for who, pid in (("the parent", os.getpid()), ("another", box.victim))
        for what in (
            "signal_to_thread_of",
            "queue_signal_to",
            "signal_by_descriptor_to",
            "signal_by_way_of_the_kernel_to",
            "limit",
            "slow_down",
        )
    }
    return found | {
        "ask whether the parent lives": ("signal_to", [os.getpid(), 0]),
        "signal everybody": ("signal_to", [0, 0]),
        "fork": ("fork", []),
        "run a program": ("run_program", []),
        "start a thread": ("start_thread", []),
        "outlive its parent": ("outlive", []),
        "be dumpable": ("be_dumpable", []),
    }


def on_the_network(port: int, abstract: str) -> dict[str, Try]:
    return {
        "a network socket": ("socket_of", [socket.AF_INET, socket.SOCK_STREAM]),
        "a datagram socket": ("socket_of", [socket.AF_INET, socket.SOCK_DGRAM]),
        "a network socket (6)": ("socket_of", [socket.AF_INET6, socket.SOCK_STREAM]),
        "a local socket": ("socket_of", [socket.AF_UNIX, socket.SOCK_STREAM]),
        "a netlink socket": ("socket_of", [socket.AF_NETLINK, socket.SOCK_RAW]),
        "a pair of sockets": ("pair_of_sockets", []),
        "connect to somebody's port": ("connect_network", [port]),
        "connect to an abstract socket": ("connect_abstract", [abstract]),
    }


def unprovable(box: Box) -> dict[str, Try]:
    """Return tries that need privileges, settings or a kernel that not every machine has."""
    found: dict[str, Try] = {
        f"{what} {who}": (what, [pid])
        for who, pid in (("the parent", os.getpid()), ("another", box.victim))
        for what in ("trace", "read_memory_of")
    }
    return found | {
        "read another's memory as a file": ("read", [f"/proc/{box.victim}/mem"]),
        "mark what is lent": ("change_attribute", [box.file("state/work/in/marked")]),
        "end another": ("signal_to", [box.victim, 15]),
        "kill another": ("signal_to", [box.victim, 9]),
        "become a program": ("become_program", []),
        "become a program in memory": ("become_program_in_memory", []),
        "become what a descriptor names": ("become_program_by_descriptor", []),
        "a ring of calls": ("ring", []),
        "a file in memory": ("file_in_memory", []),
        "catch page faults": ("call", ["userfaultfd", 0]),
        "a namespace for users": ("call", ["unshare", 0x10000000]),
        "a process with a network": ("clone3", [0x10000000 | 0x40000000]),
        "a process by clone3": ("clone3", [0]),
        "a process by clone": ("call", ["clone", 17, 0, 0, 0, 0]),
        "a program for the kernel": ("call", ["bpf", 5, 0, 0]),
        "events of the machine": ("call", ["perf_event_open", 0, 0, -1, -1, 0]),
        "another filter": ("call", ["seccomp", 0, 0, 0]),
        "x32": ("x32", []),
    }


async def answers(worker: Worker, tries: dict[str, Try]) -> dict[str, int]:
    """Make each try in *worker* and return the kernel's answers."""
    found = {}
    for name, (what, arguments) in tries.items():
        reply = await worker.call("attempt", {"what": what, "arguments": arguments}, seconds=SOON)
        found[name] = reply["errno"]
    assert worker.replaced == 0
    return found


def test_without_walls_each_try_succeeds(box: Box) -> None:
    """What fails by itself would prove nothing about the walls."""

    async def main() -> None:
        worker = box.worker(None)
        try:
            with listening() as (port, name), box_socket(box) as path:
                tries = on_files(box) | on_processes(box) | on_the_network(port, name)
                tries["connect to the control socket"] = ("connect_local", [path])
                found = await answers(worker, tries)
            assert {name: errno.errorcode[n] for name, n in found.items() if n} == {}
            assert worker.confinement is None
        finally:
            await worker.stop()

    run(main)


@VERSIONS
def test_i10_code_inside_a_worker_gets_nowhere(box: Box, abi: int) -> None:
    """PIN, token, database, documents, network, processes, programs: all refused."""

    async def main() -> None:
        worker = box.worker(box.sandbox(abi))
        try:
            with listening() as (port, name), box_socket(box) as path:
                tries = on_files(box) | on_processes(box) | on_the_network(port, name)
                tries["connect to the control socket"] = ("connect_local", [path])
                found = await answers(worker, tries | unprovable(box))
            other = {k: errno.errorcode.get(n, n) for k, n in found.items() if n not in REFUSALS}
            assert other == {}
            assert worker.confinement is not None
            assert worker.confinement.missing == ()
            assert worker.confinement.landlock == min(abi, sandbox.landlock_version())
        finally:
            await worker.stop()

    run(main)


@VERSIONS
def test_i10_every_call_of_the_lists_is_refused_by_the_kernel(box: Box, abi: int) -> None:
    """Made past libc, with arguments that mean nothing: the filter asks for none."""

    async def main() -> None:
        worker = box.worker(box.sandbox(abi))
        try:
            found = await worker.call("answers", {}, seconds=SOON)
        finally:
            await worker.stop()
        assert len(found) > 100
        unseen = syscalls.numbers(syscalls.UNSEEN, 0)
        expected = {name: errno.ENOSYS if name in unseen else errno.EPERM for name in found}
        assert found == expected

    run(main)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="amd64 alone can make i386's calls")
def test_i10_calls_of_another_machine_end_the_worker(box: Box) -> None:
    """Its numbers mean something else, so nothing is known about them."""

    async def main() -> None:
        worker = box.worker(box.sandbox(NEWEST))
        try:
            # SIGSEGV where the kernel has no such calls at all.
            with pytest.raises(WorkerDied, match=r"SIGSYS|SIGSEGV"):
                await worker.call("other_machine", {}, seconds=SOON)
        finally:
            await worker.stop()

    run(main)


@VERSIONS
def test_a_confined_process_looks_so_from_outside(box: Box, abi: int) -> None:
    """No privilege can be gained, none is held but reading others' scans, one thread."""

    async def main() -> None:
        worker = box.worker(box.sandbox(abi))
        try:
            await worker.call("imports", {"names": []}, seconds=SOON)
            text = Path(f"/proc/{worker.pid}/status").read_text(encoding="ascii")
            said = dict(re.findall(r"^(\w+):\s+(.*)$", text, re.MULTILINE))
        finally:
            await worker.stop()
        assert (said["NoNewPrivs"], said["Seccomp"], said["Threads"]) == ("1", "2", "1")
        for name in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            assert int(said[name], 16) & ~sandbox.DAC_OVERRIDE == 0, name

    run(main)


# -- what goes on --------------------------------------------------------------------------------


@VERSIONS
def test_its_own_work_is_not_disturbed(box: Box, abi: int) -> None:
    """Read what is lent, also what is lent later; make, change, cut off and remove its own."""

    async def main() -> None:
        worker = box.worker(box.sandbox(abi))
        try:
            for number in range(2):
                original = Path(box.file(f"state/documents/{number}/original.pdf"))
                lent = box.root / f"state/work/in/{number}.original"
                lent.hardlink_to(original)
                argument = {"source": str(lent), "target": str(box.out / f"{number}.prepared")}
                found = await worker.call("own_work", argument, seconds=SOON)
                assert found == {"same": True, "again": True, "kept": 7, "random": 8}
                lent.unlink()
            assert worker.replaced == 0
        finally:
            await worker.stop()

    run(main)


@VERSIONS
def test_what_is_imported_late_can_still_be_read(box: Box, abi: int) -> None:
    """Pillow loads a format when it meets one; libraries bring libraries of their own."""
    names = [
        *(f"PIL.{name}ImagePlugin" for name in ("Tiff", "Jpeg", "Jpeg2K", "Png", "WebP", "Avif")),
        *("PIL.ImageCms", "PIL.ImageFilter", "PIL.ImageChops", "lxml.etree", "lxml.html"),
        *("pikepdf", "pikepdf.models.metadata", "daemon.pages.shown", "daemon.pages.graphs"),
        *("ssl", "sqlite3", "decimal", "unicodedata", "xml.dom.minidom", "encodings.cp1252"),
    ]

    async def main() -> None:
        worker = box.worker(box.sandbox(abi))
        try:
            assert await worker.call("imports", {"names": names}, seconds=SOON) == {}
        finally:
            await worker.stop()

    run(main)


SCANS: dict[str, Callable[[], bytes]] = {
    "pdf": lambda: pdf(2),
    "pdf with a form": lambda: pdf(2, change=add_form),
    "pdf of object streams": lambda: pdf(2, object_stream_mode=pikepdf.ObjectStreamMode.generate),
    "jpeg": jpeg,
    "jpeg, grey": lambda: jpeg("L"),
    "jpeg, cmyk": lambda: jpeg("CMYK"),
    "jpeg, turned": lambda: jpeg(exif=exif(6)),
    "png": png,
    "png, transparent": lambda: png("RGBA"),
    "png, palette": lambda: png("P"),
    "png, 16 bits": lambda: png("I;16"),
    "tiff, fax": lambda: tiff(drawn("1"), drawn("1"), **G4),
    "tiff, lzw": lambda: tiff(drawn(), compression="tiff_lzw", one_strip=False),
    "tiff, jpeg": lambda: tiff(drawn(), compression="jpeg"),
    "tiff, deflate": lambda: tiff(drawn("L"), compression="tiff_adobe_deflate"),
    "tiff, plain": lambda: tiff(drawn()),
}


@VERSIONS
def test_every_kind_of_scan_goes_through(box: Box, abi: int) -> None:
    """Prepared and compared, by one worker that meets all formats behind its walls."""

    async def main() -> None:
        worker = box.worker(box.sandbox(abi), "daemon.prepare")
        try:
            for name, made in SCANS.items():
                source = Path(box.file("state/work/in/scan.original"))
                source.write_bytes(made())
                target = box.out / "scan.prepared"
                reply = await worker.call("prepare", request(source, target), seconds=SOON)
                prepared = typed(Prepared, reply)
                lent = box.root / "state/work/in/scan.sealed"
                lent.hardlink_to(target)
                argument = {
                    "sealed": str(lent),
                    "original": str(source),
                    "kind": prepared.kind,
                    "max_pixels": 1_000_000,
                }
                reply = await worker.call("readback", argument, seconds=SOON)
                assert typed(ReadBack, reply).images == prepared.images, name
                for path in (source, target, lent):
                    path.unlink()
            assert worker.replaced == 0
            assert worker.confinement is not None
            assert worker.confinement.missing == ()
        finally:
            await worker.stop()

    run(main)


# -- where the walls stand -----------------------------------------------------------------------


def reachable(places: list[str], path: Path) -> bool:
    """Return whether *path* lies in one of the places, as the kernel looks at it."""
    return any(Path(place).resolve() in (path, *path.parents) for place in places)


def test_what_is_granted_never_holds_what_has_to_stay_apart(tmp_path: Path) -> None:
    """A state_dir between libraries, or libraries in the state_dir: every other part is granted."""
    root = tmp_path.resolve()
    for name in (
        "lib/python3/site/pikepdf/__init__.py",
        "lib/python3/site/x.py",
        "lib/scanseal/share/y.so",
        "lib/scanseal/state/spool.db",
        "lib/scanseal/state/documents/original.pdf",
        "lib/scanseal/state/venv/lib/z.py",
        "lib/scanseal/state/work/in/a",
        "lib/scanseal/state/work/out/b",
        "lib/libz.so",
        "lib/pin",
        "secret/scan.pdf",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    state = root / "lib/scanseal/state"
    (root / "lib/shortcut").symlink_to(root / "secret")
    (root / "state").symlink_to(state)
    made = Sandbox(
        read=(str(state / "work/in"),),
        write=(str(state / "work/out"),),
        apart=(str(root / "state"), str(root / "lib/pin"), str(root / "secret")),
    )
    libraries = [
        str(root / "lib"),
        str(state / "venv"),
        str(root / "nothing"),
        str(root / "secret"),
    ]

    places = dict(sandbox.granted(made, libraries))
    code = [
        place for place, rights in places.items() if rights == sandbox.READ_FILE | sandbox.READ_DIR
    ]

    for hidden in ("spool.db", "documents/original.pdf", "work/in/a", "work/out/b"):
        assert not reachable(code, state / hidden)
    assert not reachable(code, root / "lib/pin")
    assert not reachable(code, root / "secret/scan.pdf")
    for seen in ("python3/site/pikepdf/__init__.py", "scanseal/share/y.so", "libz.so"):
        assert reachable(code, root / "lib" / seen)
    assert reachable(code, state / "venv/lib/z.py")
    assert places[str(state / "work/in")] == sandbox.READ_FILE
    assert not any(
        rights & (sandbox.WRITE_FILE | sandbox.TRUNCATE | sandbox.MAKE_REG)
        for place, rights in places.items()
        if place not in {str(state / "work/out"), "/dev/null"}
    )
    assert not any(rights & sandbox.EXECUTE for rights in places.values())


def test_this_checkout_is_granted_without_the_demo_that_lies_in_it() -> None:
    """`make demo` keeps its PIN, its token and its state_dir beside our own modules."""
    checkout = Path(sandbox.PACKAGE).parent
    places = [place for place, _ in sandbox.granted(Sandbox(read=()), sandbox.code())]

    assert reachable(places, checkout / "daemon/prepare.py")
    assert not reachable(places, checkout / "demo/state/spool.db")
    assert not reachable(places, checkout / "demo/scanseal.toml")
    assert not reachable(places, Path("/etc/scanseal/hsm-pin"))
    assert not reachable(places, Path("/var/lib/scanseal/spool.db"))
    assert not reachable(places, Path("/var/lib/softhsm/tokens"))
    assert not reachable(places, Path("/proc/1/mem"))


def test_a_folder_that_a_pth_file_adds_is_not_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editable install of the other kind would grant a whole checkout, the demo included."""
    monkeypatch.syspath_prepend(tmp_path)

    assert str(tmp_path) in sys.path
    assert str(tmp_path) not in sandbox.code()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert str(tmp_path) not in sandbox.code()


def understood(asked: bytes) -> bool:
    """Return whether this kernel takes such a ruleset."""
    try:
        os.close(sandbox._call(sandbox.CREATE_RULESET, asked, len(asked), 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("abi", "size", "rights"),
    [(1, 8, 13), (2, 8, 14), (3, 8, 15), (4, 16, 15), (5, 16, 16), (6, 24, 16), (7, 24, 16)],
)
def test_each_kernel_is_asked_for_what_it_knows(abi: int, size: int, rights: int) -> None:
    """A bit that a kernel does not know is an error to it, and then nothing would hold."""
    asked = sandbox.attributes(abi)

    assert len(asked) == size
    words = struct.unpack(f"={size // 8}Q", asked)
    assert words[0] == (1 << rights) - 1
    assert all(words[1:])
    assert sandbox.landlock_version() < abi or understood(asked)


# -- the rules of the calls ----------------------------------------------------------------------


def judged(code: bytes, audit: int, number: int, *arguments: int) -> int:
    """Run a filter as the kernel would, and return its answer."""
    steps = [struct.unpack_from("=HBBI", code, at) for at in range(0, len(code), 8)]
    padded = [word & (1 << 64) - 1 for word in (*arguments, 0, 0, 0, 0, 0, 0)][:6]
    data = struct.pack("<IIQ6Q", number, audit, 0, *padded)
    at = accumulator = 0
    while True:
        operation, if_true, if_false, value = steps[at]
        at += 1
        if operation == syscalls.LOAD:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif operation == syscalls.AND:
            accumulator &= value
        elif operation == syscalls.EQUAL:
            at += if_true if accumulator == value else if_false
        elif operation == syscalls.AT_LEAST:
            at += if_true if accumulator >= value else if_false
        else:
            assert operation == syscalls.RETURN
            return int(value)


@pytest.mark.parametrize("name", syscalls.MACHINES)
def test_the_filter_of_each_machine_says_what_the_tables_say(name: str) -> None:
    """Also that of the machine that this test does not run on."""
    machine = syscalls.MACHINES[name]
    pid = 4711
    code = syscalls.program(name, pid)
    refused = {
        number
        for table in syscalls.REFUSED
        for number in syscalls.numbers(table, machine.column).values()
    }
    unseen = set(syscalls.numbers(syscalls.UNSEEN, machine.column).values())
    by_argument = {
        number: rule
        for rule in syscalls.ARGUMENTS
        for number in syscalls.numbers(rule.call, machine.column).values()
    }
    assert len(refused) + len(unseen) + len(by_argument) > 100
    assert not (refused | unseen) & by_argument.keys()

    for number in range(1024):
        answer = judged(code, machine.audit, number)
        if number in refused:
            assert answer == syscalls.NOT_PERMITTED
        elif number in unseen:
            assert answer == syscalls.NOT_BUILT_IN
        elif number not in by_argument:
            assert answer == syscalls.ALLOW
        assert judged(code, machine.audit ^ 1, number) == syscalls.KILL
        if machine.x32:
            assert judged(code, machine.audit, number | syscalls.X32) == syscalls.NOT_PERMITTED
    high = 1 << 32  # the kernel looks at 32 bits of these arguments, and so has the filter to
    for number, rule in by_argument.items():
        before = [0] * rule.position
        values = [pid if value == syscalls.SELF else value for value in rule.values]
        listed = syscalls.ALLOW if rule.allowed else syscalls.NOT_PERMITTED
        other = syscalls.NOT_PERMITTED if rule.allowed else syscalls.ALLOW
        for value in values:
            assert judged(code, machine.audit, number, *before, value) == listed
            assert judged(code, machine.audit, number, *before, value | high) == listed
        assert judged(code, machine.audit, number, *before, 0o101102 & rule.mask) == other
        assert judged(code, machine.audit, number, *before, pid - 1) == other


def test_a_machine_that_is_not_known_has_no_filter() -> None:
    """Numbers of another machine would refuse what is needed and allow what is not."""
    assert syscalls.program("riscv64", 1) == b""
    assert syscalls.program("", 1) == b""


@pytest.mark.parametrize(
    ("column", "header"),
    [(0, "x86_64-linux-gnu/asm/unistd_64.h"), (1, "asm-generic/unistd.h")],
)
def test_the_numbers_are_the_kernels(column: int, header: str) -> None:
    """A wrong digit would leave one call open and close another; the headers know."""
    path = next(p for p in (HEADERS / header, HEADERS / header.partition("/")[2]) if p.exists())
    text = path.read_text(encoding="ascii")
    known = {
        name: int(number)
        for name, number in re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)$", text, re.MULTILINE)
    }
    ours = {
        name: number
        for table in (
            *syscalls.REFUSED,
            syscalls.UNSEEN,
            *(rule.call for rule in syscalls.ARGUMENTS),
        )
        for name, number in syscalls.numbers(table, column).items()
    }
    newer = {name for name, number in ours.items() if number > max(known.values())}

    assert {n: ours[n] for n in ours.keys() - newer} == {
        n: known.get(n) for n in ours.keys() - newer
    }
    assert len(newer) < 10


# -- where the kernel has none -------------------------------------------------------------------

ON_OLD_KERNEL = """
import asyncio, json, sys
from dataclasses import asdict
from pathlib import Path
from daemon import sandbox
from daemon.workers import Limits, Worker
async def main():
    walls = sandbox.from_json(json.loads(sys.argv[2]))
    made = Worker(Path(sys.argv[1]), place=walls.write[0], limits=Limits(memory_mb=512), sandbox=walls)
    await made.call("imports", {"names": []}, seconds=60)
    print(json.dumps([asdict(made.confinement), asdict(sandbox.offered())]))
    await made.stop()
asyncio.run(main())
"""


@pytest.mark.parametrize("lacks", ["landlock", "seccomp", "landlock,seccomp"])
def test_what_the_kernel_lacks_is_said_and_the_worker_works(box: Box, lacks: str) -> None:
    """An alarm, not silence, and not a box that seals nothing."""
    command = [sys.executable, "-I", str(OLD_KERNEL), lacks]
    command += [sys.executable, "-I", "-c", ON_OLD_KERNEL]
    walls = asdict(box.sandbox(NEWEST))

    done = subprocess.run(
        [*command, str(HOSTILE), json.dumps(walls)], capture_output=True, check=True, timeout=SOON
    )
    held, offered = (Confinement(**found) for found in json.loads(done.stdout))

    assert set(held.missing) == set(offered.missing) == set(lacks.split(","))
    assert (held.landlock > 0) is ("landlock" not in lacks)


def test_what_this_kernel_offers_is_what_a_worker_gets(box: Box) -> None:
    """`scanseal check` asks the kernel; the service asks the worker."""

    async def main() -> None:
        workers = Workers([box.worker(box.sandbox(NEWEST)) for _ in range(2)])
        try:
            assert workers.missing is None
            await workers.call("imports", {"names": []}, seconds=SOON)
            assert workers.missing == frozenset()
        finally:
            await workers.stop()

    run(main)
    assert sandbox.offered().missing == ()


def test_a_thread_from_before_the_walls_is_said(box: Box) -> None:
    """The kernel confines one thread: what a library has started is free, so nothing holds."""
    (box.out / "threaded").touch()

    async def main() -> None:
        worker = box.worker(box.sandbox(NEWEST))
        try:
            await worker.call("imports", {"names": []}, seconds=SOON)
            assert worker.confinement is not None
            assert set(worker.confinement.missing) == {"landlock", "seccomp", "capabilities"}
            (box.out / "threaded").unlink()
            await worker.stop()
            await worker.call("imports", {"names": []}, seconds=SOON)
            assert worker.confinement.missing == ()
        finally:
            await worker.stop()

    run(main)


def test_only_the_first_word_of_a_process_is_believed(box: Box) -> None:
    """Later it may be the word of a document."""
    worker = box.worker(box.sandbox(NEWEST))

    worker._meet({"landlock": 0, "seccomp": False, "capabilities": True})
    worker._meet({"landlock": 9, "seccomp": True, "capabilities": True})

    assert worker.confinement is not None
    assert worker.confinement.missing == ("landlock", "seccomp")
    with pytest.raises(WorkerDied):
        box.worker(box.sandbox(NEWEST))._meet({"landlock": "yes"})


def test_a_worker_without_its_places_is_nobodys_fault(box: Box) -> None:
    """Confined to nothing, it would fail every document: it does not start, and that passes."""
    walls = box.sandbox(NEWEST)
    (box.root / "state/work/in").rename(box.root / "state/work/elsewhere")

    async def main() -> None:
        worker = box.worker(walls)
        try:
            with pytest.raises(TransientError) as caught:
                await worker.call("imports", {"names": []}, seconds=SOON)
            assert caught.value.code == "worker-unavailable"
            (box.root / "state/work/elsewhere").rename(box.root / "state/work/in")
            assert await worker.call("imports", {"names": []}, seconds=SOON) == {}
        finally:
            await worker.stop()

    run(main)


def calls_of(name: str) -> set[str]:
    """Return the calls that systemd means by *name*, which is a call or a set of them."""
    if not name.startswith("@"):
        return {name}
    listed = subprocess.run(
        ["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True
    ).stdout
    words = (line.strip() for line in listed.splitlines()[1:])
    return {call for word in words if word and word[0] != "#" for call in calls_of(word)}


def test_the_units_own_filter_lets_workers_confine_themselves() -> None:
    """@system-service of systemd 252 lacks Landlock: under the unit nothing would have held."""
    allowed = calls_of("@default")
    unit = Path(sandbox.PACKAGE).parent / "systemd/scanseal.service"
    for rule in re.findall(r"^SystemCallFilter=(~?)(.*)$", unit.read_text("utf-8"), re.MULTILINE):
        named = {call for word in rule[1].split() for call in calls_of(word)}
        allowed = allowed - named if rule[0] else allowed | named

    needed = {"prctl", "capget", "capset", "prlimit64", "setrlimit"}
    needed |= {f"landlock_{what}" for what in ("create_ruleset", "add_rule", "restrict_self")}

    assert needed <= allowed
    assert "mount" not in allowed
