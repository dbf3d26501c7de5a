"""The claim, in two moves: how a scan leaves the hot folder, whole or not at all (I1).

    1  the document's folder and document.json, durable
    2  rename to <hot folder>/.scanseal/<id>: the same mount, always; the name is free again
    3  a second look at that very inode: whoever wrote late, or put another file under
       the name, opens the wait again; the file then settles where it is
    4  rename into the document's folder; across mounts a copy that is read back
    5  fsync the original, digest it from the claimed inode, fsync the folders;
       then row and ledger line, in `commit`
    6  only then the private name goes, if there was a copy

A kill between any two of these leaves the file in exactly one of the places that
`recovery` looks at (I5). Whatever fails leaves it where it is (I12); a failed fsync
of ours goes up and ends the process.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from daemon import durable
from daemon.document import Digest, Document, folder_of, new_id
from daemon.intake import PRIVATE, NotNow, Reason, at_share, at_state, not_now, sync_if_possible
from daemon.intake.origin import Origin, clear_temporaries, origin_of, remove_unused, stored
from daemon.intake.settle import Look, examine, facts_of, flaw, open_scan, writer_open
from daemon.magic import extension

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from daemon.config import HotFolder
    from daemon.document import Arrival
    from daemon.spool import Spool

MEGABYTE: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A scan that lies in its folder, durable, and has no row yet."""

    arrival: Arrival
    flaw: Reason | None
    """Why it is to be refused at once; the value is the code."""
    copied: bool
    """The private name is still there, and goes after the commit."""


def has_room(free: int, min_free_mb: int, size: int, unsealed: int) -> bool:
    """Return whether a scan of *size* may be claimed.

    Kept free are the configured rest, its original and its sealed file, and the
    sealed files of every original that has none yet.
    """
    return free >= min_free_mb * MEGABYTE + 2 * size + unsealed * 11 // 10


def commit(spool: Spool, claimed: Claimed, now: datetime) -> Document:
    """Commit the claim, and its refusal if it has a flaw.

    Run it as one call on the spool's thread: no other stage sees the document
    in between and begins something with it.
    """
    document = spool.claim(claimed.arrival, now)
    if claimed.flaw is None:
        return document
    reason = f"{document.size} bytes, taken for {document.kind}"
    return spool.refuse(document, claimed.flaw.value, reason, now)


class Desk:
    """Where the scans of one hot folder are taken in. Every method blocks: call it in a thread."""

    def __init__(
        self, section: HotFolder, documents: Path, tick: Callable[[], None] = lambda: None
    ) -> None:
        """Touch nothing yet; *tick* is called as the bytes of a file go by."""
        self._section = section
        self._documents = documents
        self._tick = tick
        self.folder = Path(section.path)
        self.private = self.folder / PRIVATE

    # -- the ways in -------------------------------------------------------------

    def take(self, name: bytes, look: Look, now: datetime, clock: str) -> Claimed:
        """Claim a file that has settled as *look*: steps 1 to 5, up to the commit.

        Raise NotNow; the file is then in the hot folder, or under its private name.
        """
        self._make_private()
        origin = self._origin(new_id(now), name, look, now, clock)
        self._begin(origin)
        path = self.folder / os.fsdecode(name)
        try:
            path.rename(self.private_path(origin.id))
        except OSError as exc:
            remove_unused(self._documents, origin.id)
            raise not_now(exc, "take", path) from exc
        return self._finish(origin)

    def resume(self, document_id: str, look: Look | None, now: datetime, clock: str) -> Claimed:
        """Go on with a file that lies under its private name: steps 3 to 5.

        Without *look* it has to be as document.json says; with it, it has settled
        there as *look*, and document.json is written anew.
        """
        folder = folder_of(self._documents, document_id)
        clear_temporaries(folder)
        origin = origin_of(folder)
        if look is None:
            if origin is None:
                raise NotNow(Reason.QUIET)
            return self._finish(origin)
        # Without a document.json its name is lost: the scan is not.
        before = origin or self._origin(document_id, document_id.encode(), look, now, clock)
        origin = replace(before, size=look.size, mtime_ns=look.mtime_ns, inode=look.inode)
        self._write(origin)
        return self._finish(origin)

    def let_go(self, claimed: Claimed) -> None:
        """Remove the private name of what was copied and committed: step 6.

        What has changed since it was copied stays: `sort_out` looks at it.
        """
        arrival = claimed.arrival
        path = self.private_path(arrival.id)
        with at_share("remove", path):
            found = Look.of(path.lstat())
            if found.is_still(arrival.size, arrival.mtime_ns, arrival.inode):
                path.unlink()

    def sort_out(self, document_id: str, now: datetime) -> None:
        """Decide about a private name whose document has a row.

        The same bytes as the original's: it is what step 6 would have removed.
        Anything else is another scan, and gets an id of its own (I12).
        """
        path = self.private_path(document_id)
        with os.fdopen(open_scan(path), "rb", buffering=0) as file:
            self._same(file, document_id, now)
        with at_share("remove", path):
            path.unlink()

    def private_path(self, document_id: str) -> Path:
        """Return where a claimed file lies until it is moved."""
        return self.private / document_id

    # -- steps 3 to 5 --------------------------------------------------------------

    def _finish(self, origin: Origin) -> Claimed:
        try:
            fd = open_scan(self.private_path(origin.id))
        except NotNow as exc:
            if exc.reason is Reason.GONE:
                remove_unused(self._documents, origin.id)
            raise
        with os.fdopen(fd, "rb", buffering=0) as file:
            _same_look(fd, origin)
            if writer_open(fd):
                raise NotNow(Reason.WRITER)
            content = examine(fd, origin.size)
            folder = folder_of(self._documents, origin.id)
            target = folder / f"original.{extension(content.kind)}"
            copied = True
            if stored(folder):
                # A copy was made, and then came a kill: the copy is as good as a new one.
                digest = self._same(file, origin.id, origin.claimed_at)
            elif self._renamed(fd, self.private_path(origin.id), target):
                copied = False
                digest = self._digest_moved(file, origin, target)
            else:
                digest = self._copy(file, origin, target)
        # The new place first: a power cut may leave two names, but never none.
        durable.sync_folder(folder)
        self._sync_share(copied=copied)
        return Claimed(
            arrival=origin.arrival(digest, content.kind),
            flaw=flaw(origin.size, content),
            copied=copied,
        )

    def _renamed(self, fd: int, path: Path, target: Path) -> bool:
        """Move it by rename if that can be done; if not, nothing has happened."""
        if facts_of(fd).st_nlink > 1:
            return False  # somebody could still write to it through its other name
        try:
            path.rename(target)
        except OSError as exc:
            if exc.errno == errno.EXDEV:
                return False
            raise not_now(exc, "move", path) from exc
        return True

    def _digest_moved(self, file: BinaryIO, origin: Origin, target: Path) -> Digest:
        fd = file.fileno()
        try:
            digest = self._digest(file)
            _same_look(fd, origin)
        except NotNow:
            # It cannot be read, or is being written (where no lease tells): it waits again.
            target.rename(self.private_path(origin.id))
            raise
        with contextlib.suppress(PermissionError):  # another's file, but its folder is closed
            os.fchmod(fd, 0o600)
        os.fsync(fd)
        return digest

    def _copy(self, file: BinaryIO, origin: Origin, target: Path) -> Digest:
        """Copy it beside *target*, read the copy back from the disk, then give it the name."""
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
        hashed = hashlib.sha256()
        try:
            with at_state():
                fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with os.fdopen(fd, "wb") as out:
                    for piece in self._pieces(file):
                        hashed.update(piece)
                        out.write(piece)
                    out.flush()
                    os.fsync(out.fileno())
            _same_look(file.fileno(), origin)
            durable.forget_pages(temporary)
            with durable.opened(temporary) as copy:
                if self._digest(copy).hex != hashed.hexdigest():
                    raise NotNow(Reason.COPY)
            temporary.rename(target)
        finally:
            temporary.unlink(missing_ok=True)
        return Digest(hashed.hexdigest())

    def _same(self, file: BinaryIO, document_id: str, now: datetime) -> Digest:
        """Return the digest of *file* if it is the original's; else give the file a new id."""
        folder = folder_of(self._documents, document_id)
        digest = self._digest(file)
        original = stored(folder)
        if original is not None:
            with durable.opened(original) as other:
                if self._digest(other) == digest:
                    return digest
        own_id = new_id(now)
        if origin := origin_of(folder):
            self._begin(replace(origin, id=own_id))
        path = self.private_path(document_id)
        with at_share("rename", path):
            path.rename(self.private_path(own_id))
        raise NotNow(Reason.QUIET)

    def _digest(self, file: BinaryIO) -> Digest:
        file.seek(0)
        hashed = hashlib.sha256()
        for piece in self._pieces(file):
            hashed.update(piece)
        return Digest(hashed.hexdigest())

    def _pieces(self, file: BinaryIO) -> Iterator[bytes]:
        with at_share("read", self.private):
            for piece in durable.chunks(file):
                self._tick()
                yield piece

    # -- folders ------------------------------------------------------------------------

    def _origin(self, own_id: str, name: bytes, look: Look, now: datetime, clock: str) -> Origin:
        return Origin(
            id=own_id,
            name=name,
            hotfolder=self._section.name,
            profile=self._section.profile,
            size=look.size,
            mtime_ns=look.mtime_ns,
            inode=look.inode,
            claimed_at=now,
            clock=clock,
        )

    def _begin(self, origin: Origin) -> None:
        try:
            self._write(origin)
        except NotNow:
            remove_unused(self._documents, origin.id)
            raise

    def _write(self, origin: Origin) -> None:
        with at_state():
            origin.write(self._documents)

    def _make_private(self) -> None:
        """Make sure that the private folder is ours: nobody else may change what lies there."""
        with at_share("use", self.private):
            try:
                found = self.private.lstat()
            except FileNotFoundError:
                self.private.mkdir(mode=0o700)
                sync_if_possible(self.folder)
                found = self.private.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                raise PermissionError(errno.EPERM, "not ours")
            if stat.S_IMODE(found.st_mode) & 0o077:
                # Some mounts show one mode for everything and change none.
                with contextlib.suppress(PermissionError):
                    self.private.chmod(0o700)

    def _sync_share(self, *, copied: bool) -> None:
        """Make it durable that the name has left the hot folder: else it comes back, and again.

        After a rename that is our own disk, and a failure ends the process; after a
        copy the private file is still there, and all of it is done again.
        """
        with at_share("sync", self.folder) if copied else contextlib.nullcontext():
            sync_if_possible(self.folder)


def _same_look(fd: int, origin: Origin) -> None:
    if not Look.of(facts_of(fd)).is_still(origin.size, origin.mtime_ns, origin.inode):
        raise NotNow(Reason.QUIET)
