"""A folder as a target: a mounted share of the DMS, or of the archive.

    <root>/<document id>/<file>                   0440, never overwritten
    <root>/<document id>/.<file>.<16 hex>.part    being written; gone afterwards

The root has to exist and is never made by us: where a share is not mounted, its
documents must not land on the disk below. (Where the mount point itself remains, it
should belong to root and to nobody else, so that nothing can be written into it.)

A part is written beside its place, fsynced, read back from the disk and linked to
its name: link(2) never overwrites, so the name appears once, with all its bytes. Where
there are no hard links a rename that does not replace does the same (files.py).
The document's folder is durable before anything is put into it, and a name before
it is vouched for. All is done relative to an open descriptor of the root, so it
stays on one file system even if the share is unmounted meanwhile.

Nobody may take parts away from there: one that is gone counts as not delivered.
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from daemon.document import Receipt, Role
from daemon.errors import PermanentError, TargetDisagrees, TargetUnreachable, TransientError
from daemon.targets import AT_ONCE, OWN_COPY_DAMAGED, Sending, files, split
from daemon.targets.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from daemon.document import Digest

T = TypeVar("T")

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
DENIED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
FOLDER_MODE: Final = 0o750
FILE_MODE: Final = 0o440
FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
STORED: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


CANNOT_LOCK: Final = frozenset(
    {errno.EPERM, errno.EACCES, errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}
)
"""We may not make files immutable here (CAP_LINUX_IMMUTABLE), or the file system has no such thing."""


def utc_now() -> datetime:
    """Return the time of the box."""
    return datetime.now(UTC)


class _Part(NamedTuple):
    """One part, as the target sees it."""

    document_id: str
    file: str
    digest: Digest
    size: int

    @property
    def key(self) -> str:
        return f"{self.document_id}/{self.file}"


def _asked(part: Sending) -> _Part:
    return _Part(*split(part.key), part.digest, part.size)


class FolderTarget:
    """One root folder, in either role."""

    create_once = True

    def __init__(
        self,
        name: str,
        role: Role | str,
        root: Path,
        clock: Callable[[], datetime] = utc_now,
        *,
        immutable: bool = False,
        concurrency: int = AT_ONCE,
        pace: Pace | None = None,
    ) -> None:
        """Deliver into *root*, which has to be there whenever something is delivered.

        With *immutable* nothing is stored that cannot be made so (chattr +i). *concurrency*
        documents are worked on at once; bytes leave for it as fast as *pace* allows.
        """
        self.name = name
        self.role = Role(role)
        self._root = root
        self._clock = clock
        self._immutable = immutable
        self._pace = pace or Pace(0)
        self._tried = False
        """It was tried on a file that files can be made immutable here."""
        # Threads of its own: a dead NFS server keeps them for ever and must keep nobody else's (I8).
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix=f"target-{name}")

    async def find(self, part: Sending) -> Receipt | None:
        """See Target.find. Also clears away what a crashed run of ours left of this part."""
        return await self._in_thread(partial(self._find, _asked(part), ours=True))

    async def put(self, part: Sending) -> Receipt:
        """See Target.put."""
        (receipt,) = await self.put_all([part])
        return receipt

    async def prove(self, receipt: Receipt, part: Sending) -> Receipt | None:  # noqa: ARG002
        """See Target.prove: a name is all that a folder has. Changes nothing over there."""
        return await self._in_thread(partial(self._find, _asked(part), ours=False))

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
        document_id, file = split(key)
        with self._translated(), files.opened(self._root, FOLDER) as root:
            folder = os.open(document_id, FOLDER | os.O_NOFOLLOW, dir_fd=root)
            with files.closing(folder):
                files.unlink(folder, file)
            os.rmdir(document_id, dir_fd=root)

    def _find(self, part: _Part, stop: threading.Event, *, ours: bool) -> Receipt | None:
        """Look under the part's name; *ours* also finishes what a crashed run has begun."""
        with self._translated(), files.opened(self._root, FOLDER) as root:
            try:
                folder = os.open(part.document_id, FOLDER | os.O_NOFOLLOW, dir_fd=root)
            except FileNotFoundError:
                return None
            except NotADirectoryError:
                raise self._disagrees(part, "no folder") from None
            with files.closing(folder):
                if ours:
                    files.sweep(folder, part.file)
                return self._held(folder, part, stop, ours=ours)

    def _put(self, sendings: Sequence[Sending], stop: threading.Event) -> list[Receipt]:
        parts = [_asked(one) for one in sendings]
        receipts = []
        with self._translated(), files.opened(self._root, FOLDER) as root:
            try:
                with files.closing(self._made_folder(root, parts[0])) as folder:
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
                files.set_mode(folder, mode | FOLDER_MODE)
            if not os.listdir(folder):  # noqa: PTH208 (a descriptor)
                # New, or made by a run that ended here: nothing is put into it before it is durable.
                os.fsync(root)
        except BaseException:
            os.close(folder)
            raise
        return folder

    def _held(
        self, folder: int, part: _Part, stop: threading.Event, *, ours: bool = True
    ) -> Receipt | None:
        """Return the receipt for what lies under the part's name, or None if nothing does."""
        try:
            fd = os.open(part.file, STORED, dir_fd=folder)
        except FileNotFoundError:
            return None
        except OSError as exc:
            if exc.errno == errno.ELOOP:
                raise self._disagrees(part, "a symbolic link") from exc
            raise
        with files.closing(fd):
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise self._disagrees(part, "no regular file")
            # It may lie there since a moment before a crash: durable first, then vouched for.
            os.fsync(fd)
            os.fsync(folder)
            held, size = files.read_back(fd, stop)
            if (held, size) != (part.digest, part.size):
                raise self._disagrees(part, f"{size} bytes with {held}")
            detail = self._locked(fd, change=ours)
        return self._receipt(part, held, size, detail)

    def _store(self, folder: int, part: _Part, source: Path, stop: threading.Event) -> Receipt:
        """Store one part; its name is durable once *folder* is."""
        temporary = f".{part.file}.{secrets.token_hex(8)}.part"
        with files.closing(os.open(temporary, NEW, 0o600, dir_fd=folder)) as fd:
            try:
                sent = files.copy(source, fd, stop, self._pace)
                if sent != (part.digest, part.size):
                    raise PermanentError(
                        OWN_COPY_DAMAGED,
                        f"{part.key}: {sent[1]} bytes with {sent[0]} lie here,"
                        f" {part.size} with {part.digest} were sealed",
                    )
                files.set_mode(fd, FILE_MODE)
                os.fsync(fd)
                held, size = files.read_back(fd, stop)
                if (held, size) != sent:
                    raise TransientError(
                        "target-miswrote",
                        f"{self.name}: wrote {part.size} bytes with {part.digest},"
                        f" read back {size} with {held}",
                    )
                self._try_lock(fd)
                self._name(folder, temporary, part.file)
            except FileExistsError:
                # It is there already: that counts if it is the same.
                if receipt := self._held(folder, part, stop):
                    return receipt
                raise
            finally:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)
            detail = self._locked(fd, change=True)
        return self._receipt(part, held, size, detail)

    def _name(self, folder: int, temporary: str, file: str) -> None:
        try:
            files.name_once(folder, temporary, file)
        except files.WithoutLinks as exc:
            raise TransientError(
                "target-without-links", f"{self.name} {self._root}: {exc.strerror}"
            ) from exc

    def _try_lock(self, fd: int) -> None:
        """Once in each run, find out on a file without a name whether it can be made immutable."""
        if self._immutable and not self._tried:
            self._locked(fd, change=True)
            files.set_immutable(fd, to=False)
            self._tried = True

    def _locked(self, fd: int, *, change: bool) -> dict[str, str]:
        """Have the file immutable if that is wanted, and return what is to be said of it."""
        if not self._immutable:
            return {}
        try:
            locked = files.is_immutable(fd)
            if not locked and change:
                locked = files.set_immutable(fd, to=True)
                os.fsync(fd)
        except OSError as exc:
            if exc.errno not in CANNOT_LOCK:
                raise
            raise self._unlocked(exc.strerror or "") from exc
        if not locked:
            raise self._unlocked("it is not set")
        return {"immutable": "yes"}

    def _unlocked(self, why: str) -> TransientError:
        return TransientError("target-not-immutable", f"{self.name} {self._root}: {why}")

    def _receipt(self, part: _Part, held: Digest, size: int, detail: dict[str, str]) -> Receipt:
        return Receipt(
            target=self.name,
            key=part.key,
            size=size,
            digest=held,
            reference=str(self._root / part.key),
            grade="bytes",
            proved_at=self._clock(),
            detail=detail,
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
            if exc.errno in files.OUR_OWN:
                raise
            what = f"{self.name} {self._root}: {exc.strerror}"
            if exc.errno in FULL:
                raise TransientError("target-full", what) from exc
            if exc.errno in DENIED:
                raise TransientError(
                    "target-not-writable", what + files.rights(self._root)
                ) from exc
            raise TargetUnreachable(what) from exc
