"""Files of a folder target, by open descriptors: copied, read back, named once, made immutable.

copy        our file into a new one over there, hashed on the way
read_back   what the disk has of it, hashed
name_once   gives it its name, which nothing may have yet
immutable   FS_IOC_SETFLAGS, as chattr +i does: then not even its owner changes or removes it
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import stat
import struct
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from daemon import durable
from daemon.document import CHUNK, Digest
from daemon.errors import PermanentError
from daemon.targets import OWN_COPY_DAMAGED

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path

    from daemon.targets.pace import Pace

NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
"""What link(2) answers where the file system has no hard links."""
NO_SUCH_RENAME: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
NO_MODES: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP})
"""What a file system without modes answers to the owner of a file: FAT."""
OUR_OWN: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""This process has run out of something: no target's fault; it goes up and ends the process."""
RENAME_NOREPLACE: Final = 1
"""renameat2(2)."""
GET_FLAGS: Final = 0x80086601
SET_FLAGS: Final = 0x40086602
IMMUTABLE: Final = 0x10
"""ioctl_iflags(2), on amd64 and arm64."""
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class Stopped(Exception):
    """Nobody waits for this any more; ends the thread's work, and nobody sees it."""


class WithoutLinks(OSError):
    """The file system can give no name in a way that never overwrites."""


def name_once(folder: int, temporary: str, file: str) -> None:
    """Give *temporary* the name *file*; FileExistsError if something has it. *temporary* may stay.

    By a hard link, and where there are none (FAT, exFAT, some SMB and FUSE mounts) by a rename
    that does not replace.
    """
    try:
        os.link(temporary, file, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as exc:
        if exc.errno not in NO_LINKS:
            raise
        _renamed(folder, temporary, file)


def _renamed(folder: int, temporary: str, file: str) -> None:
    names = (folder, os.fsencode(temporary), folder, os.fsencode(file))
    if _LIBC.renameat2(*names, RENAME_NOREPLACE) == 0:
        return
    code = ctypes.get_errno()
    if code in NO_SUCH_RENAME:
        raise WithoutLinks(code, os.strerror(code))
    raise OSError(code, os.strerror(code))


def is_immutable(fd: int) -> bool:
    """Return whether nobody may change or remove the file, not even its owner."""
    return bool(_flags(fd) & IMMUTABLE)


def set_immutable(fd: int, *, to: bool) -> bool:
    """Set or clear that; return what the file system says of it then. Durable only once fsynced."""
    flags = _flags(fd)
    wanted = flags | IMMUTABLE if to else flags & ~IMMUTABLE
    if wanted != flags:
        fcntl.ioctl(fd, SET_FLAGS, struct.pack("=Q", wanted))
    return is_immutable(fd)


def _flags(fd: int) -> int:
    # The kernel reads and writes an int; its name says long.
    told = fcntl.ioctl(fd, GET_FLAGS, bytes(8))
    flags: int = struct.unpack_from("=I", told)[0]
    return flags


def set_mode(fd: int, mode: int) -> None:
    """Set the mode of a file or folder of ours, where the file system has modes."""
    try:
        os.fchmod(fd, mode)
    except OSError as exc:
        if exc.errno not in NO_MODES:
            raise


def copy(source: Path, fd: int, stop: threading.Event, pace: Pace) -> tuple[Digest, int]:
    """Copy our file to *fd*; return what was read of it."""
    hashed = sha256()
    size = 0
    for piece in _own_pieces(source):
        stop.wait(pace.owed(len(piece)))
        _go_on(stop)
        hashed.update(piece)
        size += len(piece)
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(fd, rest) :]
    return Digest(hashed.hexdigest()), size


def _own_pieces(source: Path) -> Iterator[bytes]:
    """Read our file: what goes wrong here is never the target's fault."""
    try:
        with durable.opened(source) as file:
            yield from durable.chunks(file)
    except OSError as exc:
        if exc.errno in OUR_OWN:
            raise
        raise PermanentError(
            OWN_COPY_DAMAGED, f"{source.name} cannot be read: {exc.strerror or 'no regular file'}"
        ) from exc


def read_back(fd: int, stop: threading.Event) -> tuple[Digest, int]:
    """Hash what the disk has, not what the page cache remembers; *fd* was fsynced."""
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.lseek(fd, 0, os.SEEK_SET)
    hashed = sha256()
    size = 0
    while piece := os.read(fd, CHUNK):
        _go_on(stop)
        hashed.update(piece)
        size += len(piece)
    return Digest(hashed.hexdigest()), size


def _go_on(stop: threading.Event) -> None:
    if stop.is_set():
        raise Stopped


def sweep(folder: int, file: str) -> None:
    """Remove what a crashed run left of *file*; where that is not possible it does no harm."""
    leftover = re.compile(rf"\.{re.escape(file)}\.[0-9a-f]{{16}}\.part")
    with suppress(OSError):
        for name in os.listdir(folder):
            if leftover.fullmatch(name):
                unlink(folder, name)  # it may have died while it tried the flag on it


def unlink(folder: int, name: str) -> None:
    """Remove a file of ours, also an immutable one."""
    try:
        os.unlink(name, dir_fd=folder)
    except PermissionError:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        with closing(fd), suppress(OSError):
            set_immutable(fd, to=False)
        os.unlink(name, dir_fd=folder)


def rights(root: Path) -> str:
    """Say who we are and whose the folder is: the two things that person has to compare."""
    try:
        facts = root.stat()
    except OSError:
        return f" (we are user {os.geteuid()})"
    return (
        f" (we are user {os.geteuid()}; it belongs to {facts.st_uid}:{facts.st_gid},"
        f" mode {stat.S_IMODE(facts.st_mode):04o})"
    )


@contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    """Open *path* for as long as the block lasts."""
    with closing(os.open(path, flags)) as fd:
        yield fd


@contextmanager
def closing(fd: int) -> Iterator[int]:
    """Close *fd* when the block ends."""
    try:
        yield fd
    finally:
        os.close(fd)
