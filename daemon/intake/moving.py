"""The second move: a file from its private name into the document's folder, whole.

By rename where the file is ours and nobody else's way to it is left; else, and across
mounts, by a copy that is read back from the disk before it gets the name (decision
0013). Whatever is written to the file meanwhile is seen, and then it stays where it is
(I12). Whoever may write into a hot folder may rename and replace what is in it at any
moment, folders and `.scanseal` among it: that is NotNow here, and never an end.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import secrets
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from daemon import durable
from daemon.document import Digest
from daemon.intake import NotNow, Reason, at_share, at_state, not_now, sync_names
from daemon.intake.settle import Look, facts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from daemon.intake.origin import Origin

RENAME_NOREPLACE: Final = 1
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class Stranded(NotNow):
    """It lies in its document's folder, and its private name cannot be had back."""


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

    def must_be_at(self, path: Path) -> None:
        """Raise NotNow if a file of ours, *path*, is another one."""
        if not os.path.samestat(path.lstat(), facts_of(self.file.fileno())):
            raise NotNow(Reason.QUIET)

    def shut(self) -> None:
        """Let nobody but us open it from now on, if it is ours.

        A descriptor to read it is a way to open it once more, for writing: so this
        comes before the question who writes.
        """
        fd = self.file.fileno()
        facts = facts_of(fd)
        if facts.st_uid == os.geteuid() and stat.S_IMODE(facts.st_mode) != 0o600:
            with contextlib.suppress(OSError):  # some mounts change no mode: then it is copied
                os.fchmod(fd, 0o600)

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

    It was `shut`, and then nobody wrote to it. What was copied has its private name still,
    which goes after the commit. Either way the bytes are durable; the caller fsyncs the folders.
    """
    if not _renamed(arriving, target):
        return _copied(arriving, target), True
    fd = arriving.file.fileno()
    try:
        arriving.must_be_at(target)  # `.scanseal` may have been another one for a moment
        digest = arriving.digest()
        arriving.check()
    except NotNow:
        # It cannot be read, or is being written (where no lease tells): it waits again.
        _put_back(arriving, target)
        raise
    os.fsync(fd)
    return digest, False


def is_ours(facts: os.stat_result) -> bool:
    """Return whether nobody but us can come to write to a file of ours, by whatever way."""
    return (
        stat.S_ISREG(facts.st_mode)
        and facts.st_uid == os.geteuid()
        and not facts.st_mode & OTHERS
        and facts.st_nlink == 1  # else it has another name somewhere
    )


def use_private(private: Path) -> None:
    """Raise NotNow unless the private folder is ours: nobody else may change what lies there."""
    with at_share("use", private):
        found = private.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "not ours")
        if found.st_mode & OTHERS:
            # Some mounts show one mode for everything and change none.
            with contextlib.suppress(PermissionError):
                private.chmod(0o700)


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


@contextlib.contextmanager
def renamed_out(folder: Path, place: bytes, private: Path) -> Iterator[int]:
    """Give what is at *place* in the hot folder its private name; NotNow if that cannot be done.

    Yield the folder that it lay in, open: whatever others rename, it is that one.
    """
    below, _, name = place.rpartition(b"/")
    with contextlib.ExitStack() as stack:
        try:
            fd = stack.enter_context(opened_folder(folder, below))
            if below:
                os.rename(name, os.fsencode(private), src_dir_fd=fd)
            else:
                (folder / os.fsdecode(name)).rename(private)
        except OSError as exc:
            raise not_now(exc, "take", folder / os.fsdecode(place)) from exc
        yield fd


def give_back(folder: Path, place: bytes, private: Path, held: int | None) -> None:
    """Let a private name that is no scan have its *place* again, if that is free.

    A folder was put under the name of a scan, perhaps, and others' scans lie in it.
    """
    below, _, name = place.rpartition(b"/")
    libc = ctypes.CDLL(None, use_errno=True)
    with contextlib.ExitStack() as stack:
        try:
            fd = stack.enter_context(opened_folder(folder, below)) if held is None else held
            old = os.open(private.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as exc:
            raise not_now(exc, "give back", private) from exc
        stack.callback(os.close, old)
        if libc.renameat2(old, os.fsencode(private.name), fd, name, RENAME_NOREPLACE):
            raise not_now(OSError(ctypes.get_errno(), "renameat2"), "give back", private)


def drop_old_name(folder: Path, origin: Origin, own: Path) -> None:
    """Remove the name that *origin* had in the hot folder if that is the file that we have as *own*.

    A power cut may undo the rename that took it, wholly (then *own* is the copy) or half,
    as POSIX allows: it would be claimed as another scan. After this the name is gone durably; NotNow if the share cannot do that.
    """
    below, _, name = origin.place.rpartition(b"/")
    was = origin.size, origin.mtime_ns, origin.inode
    with contextlib.ExitStack() as stack:
        try:
            facts = own.lstat()
            fd = stack.enter_context(opened_folder(folder, below))
            with contextlib.suppress(FileNotFoundError):
                found = os.stat(name, dir_fd=fd, follow_symlinks=False)
                if os.path.samestat(found, facts) or Look.of(found).is_still(*was):
                    os.unlink(name, dir_fd=fd)
            apart = os.fstat(fd).st_dev != facts.st_dev
        except OSError:
            return
        # On our own disk a failed fsync ends the process.
        with at_share("sync", folder) if apart else contextlib.nullcontext():
            sync_names(fd)


def sync_place(folder: Path, place: bytes, held: int | None) -> None:
    """Make it durable that a name has left the hot folder, and the folder in it that it lay in.

    *held* is that folder if it is open still. One that cannot be opened is not there
    any more, or not that one: only an fsync can fail here.
    """
    below = place.rpartition(b"/")[0]
    for step in dict.fromkeys((b"", below)):
        with contextlib.ExitStack() as stack:
            if held is not None and step == below:
                fd = held
            else:
                try:
                    fd = stack.enter_context(opened_folder(folder, step))
                except OSError:
                    continue
            sync_names(fd)


def _put_back(arriving: Arriving, target: Path) -> None:
    """Let it have its private name again; else it stays, and is adopted later."""
    try:
        use_private(arriving.private.parent)
        target.rename(arriving.private)
    except (NotNow, OSError) as exc:
        raise Stranded(Reason.QUIET, "its private name is lost") from exc


def _renamed(arriving: Arriving, target: Path) -> bool:
    """Move it by rename if that can be done; if not, nothing has happened."""
    if not is_ours(facts_of(arriving.file.fileno())):
        return False  # its owner can open it again, whatever its mode
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
