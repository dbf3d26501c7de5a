"""Every system call of a service that changes something on the disk, seen before it is made.

The kernel stops the thread and asks (seccomp user notification); `Calls` answers: go on,
fail with this errno, or never, because the whole service is killed at that moment. That is
what strace's `inject=` does, with three differences that count here: calls are counted over
all threads and processes and not in each, so that every one of them can be hit; a call is
named by what it does (`rename state/documents/DAY/ID/.note.xml.TEMP …`), so that the same
one is hit in the next run, whatever the threads did; and it is not four times slower.

Seen are calls below the box's own folders. What does not change the disk (reading, a pipe)
is no point: a kill there leaves what a kill at the call before or after it leaves.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import re
import select
import struct
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from daemon.syscalls import ARCH, CALL, EQUAL, FIRST_ARGUMENT, LOAD, MACHINES, RETURN, numbers

PATHS: Final = """
creat=85,- truncate=76,45 rename=82,- link=86,- unlink=87,- mkdir=83,- rmdir=84,- chmod=90,-
"""
AT: Final = (
    "renameat=264,38 renameat2=316,276 linkat=265,37 unlinkat=263,35 mkdirat=258,34 fchmodat=268,53"
)
OPENS: Final = "open=2,- openat=257,56"
FILES: Final = """
write=1,64 pwrite64=18,68 writev=20,66 pwritev=296,70 ftruncate=77,46 fallocate=285,47
fsync=74,82 fdatasync=75,83 fchmod=91,52
"""
TWO_NAMES: Final = frozenset({"rename", "renameat", "renameat2", "link", "linkat"})
CHANGING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
JUMP_IF_SET: Final = 0x45
ALLOW: Final = 0x7FFF0000
ASK: Final = 0x7FC00000
SET_MODE_FILTER: Final = 1
NEW_LISTENER: Final = 8
WAIT_KILLABLE: Final = 32
"""A call that is being asked about is not begun again because of some signal."""
NO_NEW_PRIVILEGES: Final = 38
ASKED = struct.Struct("=QIIiIQ6Q")
ANSWER = struct.Struct("=QqiI")
RECEIVE: Final = 0xC0502100
SEND: Final = 0xC0182101
GO_ON: Final = 1
AT_FDCWD: Final = -100

_COLUMN: Final = MACHINES[platform.machine()].column
_NAMES: Final = {
    number: name
    for table in (PATHS, AT, OPENS, FILES)
    for name, number in numbers(table, _COLUMN).items()
}
_PATHS, _AT, _OPENS = (frozenset(numbers(t, _COLUMN)) for t in (PATHS, AT, OPENS))

# What is another in each run: ids, random parts, days.
_SHORT: Final = (
    (re.compile(r"\d{4}/\d\d/\d\d"), "DAY"),
    (re.compile(r"\d{4}-\d\d-\d\d"), "DATE"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "ID"),
    (re.compile(r"~[0-9a-f]{8}\b"), "~ID"),
    (re.compile(r"\.[0-9a-f]{16}\b"), ".TEMP"),
    (re.compile(r"\.\d+\.[0-9a-f]{8,}\b"), ".TEMP"),
)


@dataclass(frozen=True, slots=True)
class Call:
    """One call that was about to be made."""

    call: str
    path: str
    """Relative to the box; of a rename or link both names."""
    root: str
    tid: int
    flags: int = 0
    """Of an open."""

    @property
    def name(self) -> str:
        """What it does, the same in each run."""
        text = f"{self.call} {self.path}"
        for pattern, word in _SHORT:
            text = pattern.sub(word, text)
        return text


Judge = Callable[[Call, int], int | None]
"""Gets a call, and how many of its name there were, itself included; returns an errno, 0 for
"go on", or None: kill."""


def ask_from_now_on() -> int:
    """Have the kernel ask about each such call of this process and its children; return where."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = (ctypes.c_char * len(_PROGRAM)).from_buffer_copy(_PROGRAM)

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

    program = Program(len(_PROGRAM) // 8, ctypes.addressof(code))
    if libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    number = numbers("seccomp=317,277", _COLUMN)["seccomp"]
    fd: int = libc.syscall(
        number, SET_MODE_FILTER, NEW_LISTENER | WAIT_KILLABLE, ctypes.byref(program)
    )
    if fd < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return fd


def _program() -> bytes:
    def op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
        return struct.pack("=HBBI", code, if_true, if_false, value)

    code = [op(LOAD, ARCH), op(EQUAL, MACHINES[platform.machine()].audit, 1), op(RETURN, ALLOW)]
    code.append(op(LOAD, CALL))
    for name, number in numbers(OPENS, _COLUMN).items():
        flags = FIRST_ARGUMENT + 8 * (2 if name == "openat" else 1)
        code += [op(EQUAL, number, 0, 4), op(LOAD, flags), op(JUMP_IF_SET, CHANGING, 0, 1)]
        code += [op(RETURN, ASK), op(RETURN, ALLOW)]
    for number, name in _NAMES.items():
        if name not in _OPENS:
            code += [op(EQUAL, number, 0, 1), op(RETURN, ASK)]
    return b"".join([*code, op(RETURN, ALLOW)])


_PROGRAM: Final = _program()


class Calls:
    """The calls of one service, from its start to its end, on a thread that answers the kernel."""

    def __init__(self, listener: int, root: Path, folders: tuple[str, ...], judge: Judge) -> None:
        """Answer what comes from *listener* until there is nobody left who could ask."""
        self.made: list[Call] = []
        """All that were judged, in order."""
        self.killed: Call | None = None
        self.failed: list[Call] = []
        self._listener = listener
        self._root = os.fspath(root)
        self._inside = tuple(f"{self._root}/{folder}/" for folder in folders)
        self._judge = judge
        self._seen: Counter[str] = Counter()
        self._kill: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._answer_all, daemon=True)

    def start(self, kill: Callable[[], None]) -> None:
        """Begin to answer; *kill* ends the whole service at once."""
        self._kill = kill
        self._thread.start()

    def end(self) -> None:
        """Wait until all processes of the service have ended."""
        self._thread.join(30)
        assert not self._thread.is_alive(), "processes of the service are left"

    def _answer_all(self) -> None:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        try:
            while True:
                ((_, events),) = poll.poll()
                if not events & select.POLLIN:
                    return  # all have ended
                asked = bytearray(ASKED.size)
                try:
                    fcntl.ioctl(self._listener, RECEIVE, asked)
                except OSError:  # it was killed meanwhile
                    continue
                self._answer(asked)
        finally:
            os.close(self._listener)

    def _answer(self, asked: bytearray) -> None:
        cookie, tid, _, number, _, _, *arguments = ASKED.unpack(asked)
        error = 0
        if (call := self._call(tid, _NAMES[number], arguments)) is not None:
            self.made.append(call)
            name = call.name
            self._seen[name] += 1
            judged = self._judge(call, self._seen[name])
            if judged is None:
                self.killed = call
                self._kill()
                return
            if judged:
                self.failed.append(call)
            error = judged
        answer = ANSWER.pack(cookie, 0, -error, 0 if error else GO_ON)
        try:
            fcntl.ioctl(self._listener, SEND, answer)
        except OSError:  # it was killed meanwhile
            return

    def _call(self, tid: int, name: str, arguments: list[int]) -> Call | None:
        try:
            if name in _PATHS or name == "open":
                paths = [self._path(tid, AT_FDCWD, arguments[0])]
                if name in TWO_NAMES:
                    paths.append(self._path(tid, AT_FDCWD, arguments[1]))
            elif name in _AT or name == "openat":
                paths = [self._path(tid, arguments[0], arguments[1])]
                if name in TWO_NAMES:
                    paths.append(self._path(tid, arguments[2], arguments[3]))
            else:
                paths = [str(Path(f"/proc/{tid}/fd/{arguments[0]}").readlink())]
        except OSError:  # it has ended, or the descriptor is none: the call will say so
            return None
        if not any(f"{path}/".startswith(self._inside) for path in paths):
            return None
        flags = {"open": arguments[1], "openat": arguments[2]}.get(name, 0)
        path = " ".join(path.removeprefix(f"{self._root}/") for path in paths)
        return Call(name, path, self._root, tid, flags)

    def _path(self, tid: int, fd: int, address: int) -> str:
        with Path(f"/proc/{tid}/mem").open("rb", buffering=0) as memory:
            text = os.pread(memory.fileno(), 4096, address).partition(b"\0")[0]
        path = os.fsdecode(text)
        if path.startswith("/"):
            return path
        fd = ctypes.c_int(fd).value
        base = Path(f"/proc/{tid}/cwd" if fd == AT_FDCWD else f"/proc/{tid}/fd/{fd}").readlink()
        return os.path.normpath(f"{base}/{path}")
