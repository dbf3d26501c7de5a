"""May this file be taken? A pure rule, and the look that gives it its facts.

    take      unchanged for the quiet time, nobody has it open for writing, it is
              something we take, and it is complete as far as fixed bytes can tell
    wait      not yet; the reason says why, and when another look is worth it
    give-up   closed and unchanged for so long, and still empty, unknown or
              incomplete: it is claimed all the same, and refused

Unchanged is what our own looks saw, by our own monotonic clock: a file's times are
the scanner's word, and a file that lies there at start waits like any other.
Nothing here parses (I10) and nothing blocks: no FIFO, no link, no oplock.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from daemon import magic
from daemon.intake import NotNow, Reason, not_now

if TYPE_CHECKING:
    from daemon.config import HotFolder

BLIND_FACTOR: Final = 3.0
"""Where it cannot be known whether somebody is writing, the quiet time is so much longer."""

NETWORK: Final = frozenset(
    {
        "9p", "afs", "ceph", "cifs", "coda", "fuse", "gfs2", "lustre", "ncpfs", "nfs", "nfs4",
        "ocfs2", "prl_fs", "smb3", "smbfs", "vboxsf", "virtiofs",
    }
)  # fmt: skip
"""File systems whose writers may be on another machine, where a lease says nothing."""


@dataclass(frozen=True, slots=True)
class Look:
    """What stat(2) says about a file; two equal looks: nothing was written in between."""

    size: int
    mtime_ns: int
    inode: int
    ctime_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> Look:
        """Return what of *found* matters."""
        return cls(found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns)

    def is_still(self, size: int, mtime_ns: int, inode: int) -> bool:
        """Compare what a rename leaves alone (the time of status change is not part of it)."""
        return (self.size, self.mtime_ns, self.inode) == (size, mtime_ns, inode)


@dataclass(frozen=True, slots=True)
class Content:
    """What bytes at fixed places say."""

    kind: str
    """pdf, tiff, jpeg, png or jp2; "" for anything else."""
    complete: bool


@dataclass(frozen=True, slots=True)
class Probe:
    """What is seen only with the file open."""

    writer: bool | None
    """Whether a process has it open for writing; None: that cannot be known here."""
    content: Content


@dataclass(frozen=True, slots=True)
class Rule:
    """How long is long enough."""

    settle_seconds: float
    give_up_seconds: float

    @classmethod
    def of(cls, section: HotFolder) -> Rule:
        """Return the rule of one hot folder."""
        return cls(section.settle_seconds, section.give_up_seconds)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rule says."""

    action: Literal["take", "wait", "give-up"]
    reason: Reason | None = None
    """Why it waits or is given up; the value of the latter is the code of the refusal."""
    again: float | None = None
    """In how many seconds another look can say something else; None: whenever it is closed."""


TAKE: Final = Verdict("take")


def settled(rule: Rule, *, size: int, quiet: float, closed: float, probe: Probe | None) -> Verdict:
    """Return what to do with a file.

    *quiet* is for how many seconds it has not changed, *closed* for how many no
    writer was seen either. *probe* may be None while the quiet time is not over.
    """
    if quiet < rule.settle_seconds or probe is None:
        return Verdict("wait", Reason.QUIET, max(0.0, rule.settle_seconds - quiet))
    if probe.writer:
        return Verdict("wait", Reason.WRITER)
    if probe.writer is None and quiet < rule.settle_seconds * BLIND_FACTOR:
        return Verdict("wait", Reason.QUIET, rule.settle_seconds * BLIND_FACTOR - quiet)
    reason = flaw(size, probe.content)
    if reason is None:
        return TAKE
    if closed < rule.give_up_seconds:
        return Verdict("wait", reason, rule.give_up_seconds - closed)
    return Verdict("give-up", reason)


def flaw(size: int, content: Content) -> Reason | None:
    """Return why a file of this content cannot be sealed, or None; the value is a code."""
    if size == 0:
        return Reason.EMPTY
    if not content.kind:
        return Reason.UNKNOWN
    return None if content.complete else Reason.INCOMPLETE


def open_scan(path: Path, dir_fd: int | None = None) -> int:
    """Open a regular file to read it, at once or not at all; raise NotNow with the reason.

    With *dir_fd* it is the file of that name in the folder that is open there.
    EAGAIN of the open itself is somebody's lease or oplock: without O_NONBLOCK a
    Samba with kernel oplocks would hold us for 45 seconds.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(path if dir_fd is None else path.name, flags, dir_fd=dir_fd)
    except OSError as exc:
        raise not_now(exc, "read", path) from exc
    try:
        regular = stat.S_ISREG(facts_of(fd).st_mode)
    except NotNow:
        os.close(fd)
        raise
    if not regular:
        os.close(fd)
        raise NotNow(Reason.NOT_A_FILE)
    return fd


def facts_of(fd: int) -> os.stat_result:
    """Ask for the facts of an open file; even that can fail when a share goes away."""
    try:
        return os.fstat(fd)
    except OSError as exc:
        raise NotNow(Reason.UNREADABLE, f"stat: {errno.errorcode.get(exc.errno or 0)}") from exc


def writer_open(fd: int) -> bool | None:
    """Return whether any process has the file of *fd* open for writing; None if nobody tells.

    A read lease is refused with EAGAIN while a writer is there. It is given back
    at once: whoever opens the file for writing in between waits microseconds.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as exc:
        # EACCES: another's file and no CAP_LEASE; EINVAL: a file system without leases.
        return True if exc.errno == errno.EAGAIN else None
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def ignore_sigio() -> None:
    """Let the kernel's word that a lease is wanted back not end this process.

    Call it on the main thread before the first look.
    """
    signal.signal(signal.SIGIO, signal.SIG_IGN)


def probe(fd: int, size: int, *, leases: bool) -> Probe:
    """Look at an open file; without *leases* nobody is asked whether it is being written."""
    return Probe(writer_open(fd) if leases else None, examine(fd, size))


def examine(fd: int, size: int) -> Content:
    """Say what the open file is and whether it is complete, from bytes at fixed places."""

    def read_at(offset: int, count: int) -> bytes:
        # An offset in a hostile file may be larger than any file can be.
        return os.pread(fd, count, offset) if offset < size else b""

    try:
        head = read_at(0, magic.HEAD)
        kind = magic.identify(head)
        tail = read_at(max(0, size - magic.TAIL), magic.TAIL)
        return Content(kind, bool(kind) and magic.complete(kind, head, tail, read_at))
    except OSError as exc:
        raise NotNow(Reason.UNREADABLE, f"read: {errno.errorcode.get(exc.errno or 0)}") from exc


def leases_here(folder: Path) -> bool:
    """Return whether all writers of *folder* are on this machine, where a lease knows them.

    A network mount answers EAGAIN to everything, or knows nothing of the others.
    """
    return not over_network(file_system_of(folder))


def over_network(kind: str) -> bool:
    """Return whether files may be written there that this kernel hears nothing of.

    What serves a FUSE mount may have it from anywhere, whatever it calls itself.
    """
    return kind in NETWORK or kind.startswith("fuse.")


def file_system_of(folder: Path) -> str:
    """Return the type of the file system that *folder* is on."""
    mounts = Path("/proc/self/mountinfo").read_bytes().decode("utf-8", "replace")
    return file_system(mounts, folder.stat().st_dev)


def file_system(mountinfo: str, device: int) -> str:
    """Return the type of the file system *device*, from what proc(5) calls mountinfo."""
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        if fields[2] == number:
            return fields[fields.index("-") + 1]
    return ""
