"""A folder as a target: a mounted share of the DMS, or of the archive.

    <root>/<document id>/<file>                   0440, never overwritten
    <root>/<document id>/.<file>.<16 hex>.part    being written; gone afterwards

The root has to exist and is never made by us: where a share is not mounted, its
documents must not land on the disk below. (Where the mount point itself remains, it
should belong to root and to nobody else, so that nothing can be written into it.)

A part is written beside its place, fsynced, read back from the disk and linked to
its name: link(2) never overwrites, so the name appears once, with all its bytes.
The document's folder is durable before anything is put into it, and a name before
it is vouched for. All is done relative to an open descriptor of the root, so it
stays on one file system even if the share is unmounted meanwhile.

Nobody may take parts away from there: one that is gone counts as not delivered.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import secrets
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from daemon import durable
from daemon.document import CHUNK, Digest, Receipt, Role
from daemon.errors import PermanentError, TargetDisagrees, TargetUnreachable, TransientError
from daemon.targets import AT_ONCE, OWN_COPY_DAMAGED, Sending, split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

T = TypeVar("T")

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
DENIED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
"""What link(2) answers where the file system has no hard links."""
OUR_OWN: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""This process has run out of something: no target's fault; it goes up and ends the process."""
FOLDER_MODE: Final = 0o750
FILE_MODE: Final = 0o440
FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
STORED: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def utc_now() -> datetime:
    """Return the time of the box."""
    return datetime.now(UTC)


class _Stopped(Exception):
    """Nobody waits for this any more; ends the thread's work, and nobody sees it."""


class _Part(NamedTuple):
    """One part, as the target sees it."""

    document_id: str
    file: str
    digest: Digest
    size: int

    @property
    def key(self) -> str:
        return f"{self.document_id}/{self.file}"


class FolderTarget:
    """One root folder, in either role."""

    create_once = True

    def __init__(
        self,
        name: str,
        role: Role | str,
        root: Path,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Deliver into *root*, which has to be there whenever something is delivered."""
        self.name = name
        self.role = Role(role)
        self._root = root
        self._clock = clock
        # Threads of its own: a dead NFS server keeps them for ever and must keep nobody else's (I8).
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix=f"target-{name}")

    async def find(self, part: Sending) -> Receipt | None:
        """See Target.find. Also clears away what a crashed run of ours left of this part."""
        asked = _Part(*split(part.key), part.digest, part.size)
        return await self._in_thread(partial(self._find, asked))

    async def put(self, part: Sending) -> Receipt:
        """See Target.put."""
        (receipt,) = await self.put_all([part])
        return receipt

    async def prove(self, receipt: Receipt, part: Sending) -> Receipt | None:  # noqa: ARG002
        """See Target.prove: a name is all that a folder has, so it is looked for again."""
        return await self.find(part)

    async def remove(self, receipt: Receipt, part: Sending) -> None:
        """See Removes."""
        if await self.prove(receipt, part) is not None:
            await self._in_thread(partial(self._remove, part.key))

    async def close(self) -> None:
        """See Target.close: a thread that hangs in a dead mount is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def put_all(self, parts: Sequence[Sending]) -> list[Receipt]:
        """See TakesAll.put_all."""
        return await self._in_thread(partial(self._put, parts))

    async def _in_thread(self, work: Callable[[threading.Event], T]) -> T:
        stop = threading.Event()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, work, stop)
        except asyncio.CancelledError:
            stop.set()
            raise

    # -- on a thread -----------------------------------------------------------------

    def _remove(self, key: str, _stop: threading.Event) -> None:
        with self._translated():
            place = self._root / key
            place.unlink()
            place.parent.rmdir()

    def _find(self, part: _Part, stop: threading.Event) -> Receipt | None:
        with self._translated(), _opened(self._root, FOLDER) as root:
            try:
                folder = os.open(part.document_id, FOLDER | os.O_NOFOLLOW, dir_fd=root)
            except FileNotFoundError:
                return None
            except NotADirectoryError:
                raise self._disagrees(part, "no folder") from None
            with _closing(folder):
                _sweep(folder, part.file)
                return self._held(folder, part, stop)

    def _put(self, sendings: Sequence[Sending], stop: threading.Event) -> list[Receipt]:
        parts = [_Part(*split(one.key), one.digest, one.size) for one in sendings]
        receipts = []
        with self._translated(), _opened(self._root, FOLDER) as root:
            try:
                with _closing(self._made_folder(root, parts[0])) as folder:
                    for part, sending in zip(parts, sendings, strict=True):
                        if part is parts[-1] and len(parts) > 1:
                            os.fsync(folder)  # once the last one is there, so are the others
                        receipts.append(self._store(folder, part, sending.file, stop))
                    os.fsync(folder)
            except BaseException:
                with suppress(OSError):  # only an empty folder goes
                    os.rmdir(parts[0].document_id, dir_fd=root)
                raise
        return receipts

    def _made_folder(self, root: int, part: _Part) -> int:
        """Open the document's folder, made and durable."""
        with suppress(FileExistsError):
            os.mkdir(part.document_id, FOLDER_MODE, dir_fd=root)
        try:
            folder = os.open(part.document_id, FOLDER | os.O_NOFOLLOW, dir_fd=root)
        except NotADirectoryError:
            raise self._disagrees(part, "no folder") from None
        try:
            mode = stat.S_IMODE(os.fstat(folder).st_mode)
            if mode & FOLDER_MODE != FOLDER_MODE:  # our umask is 0077
                os.fchmod(folder, mode | FOLDER_MODE)
            if not os.listdir(folder):  # noqa: PTH208 (a descriptor)
                # New, or made by a run that ended here: nothing is put into it before it is durable.
                os.fsync(root)
        except BaseException:
            os.close(folder)
            raise
        return folder

    def _held(self, folder: int, part: _Part, stop: threading.Event) -> Receipt | None:
        """Return the receipt for what lies under the part's name, or None if nothing does."""
        try:
            fd = os.open(part.file, STORED, dir_fd=folder)
        except FileNotFoundError:
            return None
        except OSError as exc:
            if exc.errno == errno.ELOOP:
                raise self._disagrees(part, "a symbolic link") from exc
            raise
        with _closing(fd):
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise self._disagrees(part, "no regular file")
            # It may lie there since a moment before a crash: durable first, then vouched for.
            os.fsync(fd)
            os.fsync(folder)
            held, size = _read_back(fd, stop)
        if (held, size) != (part.digest, part.size):
            raise self._disagrees(part, f"{size} bytes with {held}")
        return self._receipt(part, held, size)

    def _store(self, folder: int, part: _Part, source: Path, stop: threading.Event) -> Receipt:
        """Store one part; its name is durable once *folder* is."""
        temporary = f".{part.file}.{secrets.token_hex(8)}.part"
        with _closing(os.open(temporary, NEW, 0o600, dir_fd=folder)) as fd:
            try:
                sent = _copy(source, fd, stop)
                if sent != (part.digest, part.size):
                    raise PermanentError(
                        OWN_COPY_DAMAGED,
                        f"{part.key}: {sent[1]} bytes with {sent[0]} lie here,"
                        f" {part.size} with {part.digest} were sealed",
                    )
                os.fchmod(fd, FILE_MODE)
                os.fsync(fd)
                held, size = _read_back(fd, stop)
                if (held, size) != sent:
                    raise TransientError(
                        "target-miswrote",
                        f"{self.name}: wrote {part.size} bytes with {part.digest},"
                        f" read back {size} with {held}",
                    )
                self._link(folder, temporary, part.file)
            except FileExistsError:
                # It is there already: that counts if it is the same.
                if receipt := self._held(folder, part, stop):
                    return receipt
                raise
            finally:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)
        return self._receipt(part, held, size)

    def _link(self, folder: int, temporary: str, file: str) -> None:
        try:
            os.link(temporary, file, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except OSError as exc:
            if exc.errno in NO_LINKS:
                raise TransientError(
                    "target-without-links", f"{self.name} {self._root}: {exc.strerror}"
                ) from exc
            raise

    def _receipt(self, part: _Part, held: Digest, size: int) -> Receipt:
        return Receipt(
            target=self.name,
            key=part.key,
            size=size,
            digest=held,
            reference=str(self._root / part.key),
            grade="bytes",
            proved_at=self._clock(),
        )

    # -- what goes wrong ---------------------------------------------------------------

    def _disagrees(self, part: _Part, what: str) -> TargetDisagrees:
        return TargetDisagrees(
            f"{self.name} holds {what} under {part.key}, we have {part.size} bytes with {part.digest}"
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what the file system says into what the loop has to do now."""
        try:
            yield
        except OSError as exc:
            if exc.errno in OUR_OWN:
                raise
            what = f"{self.name} {self._root}: {exc.strerror}"
            if exc.errno in FULL:
                raise TransientError("target-full", what) from exc
            if exc.errno in DENIED:
                raise TransientError("target-not-writable", what + _rights(self._root)) from exc
            raise TargetUnreachable(what) from exc


def _copy(source: Path, fd: int, stop: threading.Event) -> tuple[Digest, int]:
    """Copy our file to *fd*; return what was read of it."""
    hashed = sha256()
    size = 0
    for piece in _own_pieces(source):
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


def _read_back(fd: int, stop: threading.Event) -> tuple[Digest, int]:
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
        raise _Stopped


def _sweep(folder: int, file: str) -> None:
    """Remove what a crashed run left of *file*; where that is not possible it does no harm."""
    leftover = re.compile(rf"\.{re.escape(file)}\.[0-9a-f]{{16}}\.part")
    with suppress(OSError):
        for name in os.listdir(folder):
            if leftover.fullmatch(name):
                os.unlink(name, dir_fd=folder)


def _rights(root: Path) -> str:
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
def _opened(path: Path, flags: int) -> Iterator[int]:
    with _closing(os.open(path, flags)) as fd:
        yield fd


@contextmanager
def _closing(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)
