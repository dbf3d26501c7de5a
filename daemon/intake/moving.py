"""The second move: a file from its private name into the document's folder, whole.

By rename where that can be done; across mounts by a copy that is read back from the
disk before it gets the name. Whatever is written to the file meanwhile is seen, and
then it stays where it is (I12).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from daemon import durable
from daemon.document import Digest
from daemon.intake import NotNow, Reason, at_share, at_state, not_now, sync_if_possible
from daemon.intake.settle import Look, facts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Arriving:
    """A file under its private name, and what it has to be still."""

    file: BinaryIO
    private: Path
    size: int
    mtime_ns: int
    inode: int
    tick: Callable[[], None]
    """Called as its bytes go by."""

    def check(self) -> None:
        """Raise NotNow if anybody has written to it, or another file has the name."""
        look = Look.of(facts_of(self.file.fileno()))
        if not look.is_still(self.size, self.mtime_ns, self.inode):
            raise NotNow(Reason.QUIET)

    def digest(self) -> Digest:
        """Return the digest of its bytes as they are."""
        self.file.seek(0)
        hashed = hashlib.sha256()
        for piece in self.pieces():
            hashed.update(piece)
        return Digest(hashed.hexdigest())

    def pieces(self) -> Iterator[bytes]:
        """Yield its bytes; NotNow if the share does not give them."""
        with at_share("read", self.private.parent):
            for piece in durable.chunks(self.file):
                self.tick()
                yield piece


def bring(arriving: Arriving, target: Path) -> tuple[Digest, bool]:
    """Move it to *target*; return its digest, and whether it was copied.

    What was copied has its private name still, which goes after the commit. Either
    way the bytes are durable; the caller fsyncs the folders.
    """
    if not _renamed(arriving, target):
        return _copied(arriving, target), True
    fd = arriving.file.fileno()
    try:
        digest = arriving.digest()
        arriving.check()
    except NotNow:
        # It cannot be read, or is being written (where no lease tells): it waits again.
        target.rename(arriving.private)
        raise
    with contextlib.suppress(PermissionError):  # another's file, but its folder is closed
        os.fchmod(fd, 0o600)
    os.fsync(fd)
    return digest, False


@contextlib.contextmanager
def opened_folder(folder: Path, below: bytes) -> Iterator[int]:
    """Open *folder*, or the one *below* it: no link on the way there is followed.

    Whoever may write into a hot folder could put one there that leads to our own files.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for step in below.split(b"/") if below else ():
            inner = os.open(
                step, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd
            )
            os.close(fd)
            fd = inner
        yield fd
    finally:
        os.close(fd)


def rename_out(folder: Path, place: bytes, private: Path) -> None:
    """Give the file at *place* in the hot folder its private name; OSError if that cannot be done."""
    below, _, name = place.rpartition(b"/")
    if not below:
        (folder / os.fsdecode(name)).rename(private)
        return
    with opened_folder(folder, below) as fd:
        os.rename(name, os.fsencode(private), src_dir_fd=fd)


def sync_place(folder: Path, place: bytes) -> None:
    """Make it durable that a name has left the hot folder, or a folder in it that is still there."""
    sync_if_possible(folder)
    below = place.rpartition(b"/")[0]
    if below:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            sync_if_possible(folder / os.fsdecode(below))


def _renamed(arriving: Arriving, target: Path) -> bool:
    """Move it by rename if that can be done; if not, nothing has happened."""
    if facts_of(arriving.file.fileno()).st_nlink > 1:
        return False  # somebody could still write to it through its other name
    try:
        arriving.private.rename(target)
    except OSError as exc:
        if exc.errno == errno.EXDEV:
            return False
        raise not_now(exc, "move", arriving.private) from exc
    return True


def _copied(arriving: Arriving, target: Path) -> Digest:
    """Copy it beside *target*, read the copy back from the disk, then give it the name."""
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    hashed = hashlib.sha256()
    try:
        with at_state():
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as out:
                arriving.file.seek(0)
                for piece in arriving.pieces():
                    hashed.update(piece)
                    out.write(piece)
                out.flush()
                os.fsync(out.fileno())
        arriving.check()
        durable.forget_pages(temporary)
        with durable.opened(temporary) as copy:
            if _digest(copy, arriving.tick).hex != hashed.hexdigest():
                raise NotNow(Reason.COPY)
        temporary.rename(target)
    finally:
        temporary.unlink(missing_ok=True)
    return Digest(hashed.hexdigest())


def _digest(file: BinaryIO, tick: Callable[[], None]) -> Digest:
    hashed = hashlib.sha256()
    for piece in durable.chunks(file):
        tick()
        hashed.update(piece)
    return Digest(hashed.hexdigest())


def digest_of(path: Path, tick: Callable[[], None]) -> Digest:
    """Return the digest of a file of ours."""
    with durable.opened(path) as file:
        return _digest(file, tick)
