"""Files that are wholly there or not there, also after the plug was pulled.

Temporary name (O_EXCL, beside the final one), write, fsync, rename, fsync the
directory. A failed fsync is never tried again on the same descriptor: the kernel
has already forgotten the pages, so the error goes up and the process ends (I5).
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from daemon.document import CHUNK, Digest

if TYPE_CHECKING:
    from collections.abc import Iterator

SYNC_FILE_RANGE_WRITE: Final = 2
"""sync_file_range(2)."""
_LIBC: Final = ctypes.CDLL(None)
_durable_folders: Final[set[Path]] = set()
"""Those with others in them that `make_folders` has seen to in this process: one each day."""


def write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put *data* at *path*, replacing what is there; return only once it is durable."""
    write_unsynced(path, data, mode)
    sync_folder(path.parent)


def write_unsynced(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Do as `write`, but leave the folder's fsync to a later call in the same folder."""
    _write(path, data, mode, sync=True)


def write_eventually(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Do as `write`, but leave it to the kernel when it is durable: for what is true elsewhere.

    Whoever reads it finds all of it, or what was there before; after a power cut anything.
    """
    _write(path, data, mode, sync=False)


def _write(path: Path, data: bytes, mode: int, *, sync: bool) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make the names in *folder* durable: a rename without this can be gone after a power cut."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file(path: Path) -> None:
    """Make the content of *path* durable."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folders(folder: Path, below: Path) -> None:
    """Create *folder* and what is missing between it and *below*, durably, mode 0700.

    A folder that this process finds may have been made by one that was killed before its
    fsync: its name is made durable the first time. Two threads may do that twice.
    """
    missing = []
    here = folder
    while here != below and not (here in _durable_folders and here.is_dir()):
        missing.append(here)
        here = here.parent
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
        sync_folder(path.parent)
    _durable_folders.update(missing[1:])  # below the last one is nothing: it is not asked for again


def chunks(file: BinaryIO) -> Iterator[bytes]:
    """Yield the rest of *file* in pieces of at most CHUNK bytes."""
    while piece := file.read(CHUNK):
        yield piece


def digest_of(path: Path) -> tuple[Digest, int]:
    """Read *path* and return its digest and size. Follows no link."""
    with opened(path) as file:
        return digest_and_size(file)


def digest_and_size(file: BinaryIO) -> tuple[Digest, int]:
    """Read *file* from where it stands and return digest and number of bytes."""
    hashed = hashlib.sha256()
    size = 0
    for piece in chunks(file):
        hashed.update(piece)
        size += len(piece)
    return Digest(hashed.hexdigest()), size


def opened(path: Path) -> BinaryIO:
    """Open a regular file for reading: no link is followed, no FIFO can block us."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(f"not a regular file: {path}")
    return os.fdopen(fd, "rb", buffering=0)


def start_writing(path: Path) -> None:
    """Let the kernel begin to write the file to the disk, and do not wait for it.

    It promises nothing: the fsync that follows has less to wait for, that is all.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _LIBC.sync_file_range(fd, ctypes.c_int64(0), ctypes.c_int64(0), SYNC_FILE_RANGE_WRITE)
    finally:
        os.close(fd)


def forget_pages(path: Path) -> None:
    """Drop *path* from the page cache, so that what is read next comes from the disk.

    Only clean pages can go: call it after an fsync.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def copy(source: Path, target: Path, mode: int = 0o600) -> tuple[Digest, int]:
    """Copy *source* to the new file *target*, fsync it, and return what was read.

    *target* must not exist: it is opened O_EXCL. The caller fsyncs its folder.
    """
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    hashed = hashlib.sha256()
    size = 0
    try:
        with os.fdopen(fd, "wb") as out, opened(source) as file:
            for piece in chunks(file):
                hashed.update(piece)
                out.write(piece)
                size += len(piece)
            out.flush()
            os.fsync(out.fileno())
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return Digest(hashed.hexdigest()), size


def link_or_copy(source: Path, target: Path) -> None:
    """Let *target* be *source*'s content: a hard link, or a copy where none can be made.

    The kernel refuses links to files of others (fs.protected_hardlinks); nothing
    here needs to be durable, *target* is in `work/`.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        with opened(source) as file, target.open("xb") as out:
            for piece in chunks(file):
                out.write(piece)


def refusal(folder: Path) -> int:
    """Return the errno with which the disk refuses another file in *folder*, 0 if it takes one.

    How many bytes are free says nothing of inodes, nor of a disk that is read-only now.
    """
    path = folder / "probe"
    try:
        path.write_bytes(bytes(4096))
    except OSError as exc:
        return exc.errno or 0
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    return 0


def free_bytes(folder: Path) -> int:
    """Return how much may still be written to the file system of *folder*."""
    facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize


def stamp(path: str) -> object:
    """Return what changes whenever the file at *path* is written or replaced; None without one."""
    try:
        facts = os.stat(path)  # noqa: PTH116 (a text that may be empty)
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns, facts.st_size
