"""The claim, in two moves: how a scan leaves the hot folder, whole or not at all (I1).

    1  the document's folder and document.json, durable
    2  rename to <hot folder>/.scanseal/<id>: the same mount, always; the name is free again
    3  a second look at that very inode: whoever wrote late, or put another file under
       the name, opens the wait again; the file then settles where it is
    4  rename into the document's folder; of what is not ours, and across mounts, a copy
       that is read back
    5  fsync the original, digest it from the claimed inode, fsync the folders;
       then row and ledger line, in `commit`
    6  only then the private name goes, if there was a copy

A kill between any two of these leaves the file in exactly one of the places that
`recovery` looks at (I5). Whatever fails leaves it where it is (I12); a failed fsync
of ours goes up and ends the process.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from daemon import durable
from daemon.document import Digest, Document, folder_of, new_id
from daemon.intake import PRIVATE, NotNow, Reason, at_share, at_state, sync_if_possible
from daemon.intake.kin import kin_of
from daemon.intake.moving import (
    Arriving,
    Stranded,
    bring,
    digest_of,
    drop_old_name,
    give_back,
    renamed_out,
    sync_place,
    use_private,
)
from daemon.intake.origin import Origin, clear_temporaries, origin_of, remove_unused, stored
from daemon.intake.settle import Look, examine, facts_of, flaw, open_scan, writer_open
from daemon.magic import extension
from daemon.records.transaction import together

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from daemon.config import HotFolder
    from daemon.document import Arrival
    from daemon.intake.origin import Sidecar
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


@together
def commit(spool: Spool, claimed: Claimed, now: datetime) -> Document:
    """Commit the claim, which refused scans it stands for, and its refusal if it has a flaw.

    Run it as one call on the spool's thread: no other stage sees the document
    in between and begins something with it. What is to be described first is not
    refused yet: its name and its sidecar may say a number that would be missed.
    """
    kin = kin_of(spool, claimed.arrival, whole=claimed.flaw is None)
    document = spool.claim(claimed.arrival, now, kin)
    if claimed.flaw is None or claimed.arrival.awaits:
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
        self.leases = True
        """Whether it can be known who writes there: on a network mount it is no good to ask."""
        self.stranded: set[str] = set()
        """By id: what lies in its folder without a row, and could not be put back."""

    # -- the ways in -------------------------------------------------------------

    def take(
        self, place: bytes, look: Look, now: datetime, clock: str, sidecar: Sidecar | None = None
    ) -> Claimed:
        """Claim a file that has settled as *look*: steps 1 to 5, up to the commit.

        *place* is its path below the hot folder, *sidecar* what lies beside it. Raise
        NotNow; the file is then in the hot folder, or under its private name.
        """
        self._make_private()
        origin = self._origin(new_id(now), place, look, now, clock)
        origin = replace(origin, sidecar=sidecar)
        self._begin(origin)
        with contextlib.ExitStack() as stack:
            try:
                held = stack.enter_context(
                    renamed_out(self.folder, place, self.private_path(origin.id))
                )
            except NotNow:
                remove_unused(self._documents, origin.id)
                raise
            return self._finish(origin, held)

    def resume(self, document_id: str, look: Look | None, now: datetime, clock: str) -> Claimed:
        """Go on with a file that lies under its private name: steps 3 to 5.

        Without *look* it has to be as document.json says; with it, it has settled
        there as *look*, and document.json is written anew.
        """
        use_private(self.private)
        folder = folder_of(self._documents, document_id)
        origin = origin_of(folder)
        if origin is None or origin.id != document_id:
            if look is None:
                raise NotNow(Reason.QUIET)
            # Its name is lost, the scan is not; but an id that we did not give means nothing.
            origin = self._origin(new_id(now), document_id.encode(), look, now, clock)
            self._begin(origin)
            self._rename(document_id, origin.id)
            return self._finish(origin)
        clear_temporaries(folder)
        drop_old_name(self.folder, origin, self.private_path(document_id))
        if look is not None:
            origin = replace(origin, size=look.size, mtime_ns=look.mtime_ns, inode=look.inode)
            self._write(origin)
        return self._finish(origin)

    def let_go(self, claimed: Claimed) -> None:
        """Remove the private name of what was copied and committed: step 6.

        What has changed since it was copied stays: `sort_out` looks at it.
        """
        arrival = claimed.arrival
        use_private(self.private)
        self._remove(arrival.id, arrival.size, arrival.mtime_ns, arrival.inode)

    def sort_out(self, document_id: str, now: datetime) -> None:
        """Decide about a private name whose document has a row.

        The same bytes as the original's: it is what step 6 would have removed.
        Anything else is another scan, and gets an id of its own (I12).
        """
        use_private(self.private)
        path = self.private_path(document_id)
        with os.fdopen(open_scan(path), "rb", buffering=0) as file:
            look = Look.of(facts_of(file.fileno()))
            arriving = Arriving(
                file=file,
                private=path,
                size=look.size,
                mtime_ns=look.mtime_ns,
                inode=look.inode,
                tick=self._tick,
            )
            self._same(arriving, document_id, now)
        self._remove(document_id, look.size, look.mtime_ns, look.inode)

    def private_path(self, document_id: str) -> Path:
        """Return where a claimed file lies until it is moved."""
        return self.private / document_id

    # -- steps 3 to 5 --------------------------------------------------------------

    def _finish(self, origin: Origin, held: int | None = None) -> Claimed:
        """*held* is the folder that it lay in, if it was taken out of it just now."""
        private = self.private_path(origin.id)
        try:
            fd = open_scan(private)
        except NotNow as exc:
            use_private(self.private)  # else it lies in ours, wherever that is now
            if exc.reason is Reason.NOT_A_FILE:
                give_back(self.folder, origin.place, private, held)
            if exc.reason in {Reason.GONE, Reason.NOT_A_FILE}:
                remove_unused(self._documents, origin.id)
            raise
        with os.fdopen(fd, "rb", buffering=0) as file:
            arriving = self._arriving(file, origin)
            arriving.check()
            arriving.shut()
            if self.leases and writer_open(fd):
                raise NotNow(Reason.WRITER)
            content = examine(fd, origin.size)
            folder = folder_of(self._documents, origin.id)
            if stored(folder):
                # A copy was made, and then came a kill: the copy is as good as a new one.
                digest, copied = self._same(arriving, origin.id, origin.claimed_at), True
            else:
                try:
                    digest, copied = bring(arriving, folder / f"original.{extension(content.kind)}")
                except Stranded:
                    self.stranded.add(origin.id)
                    raise
        # The new place first: a power cut may leave two names, but never none.
        durable.sync_folder(folder)
        self._sync_share(origin.place, held, copied=copied)
        return Claimed(
            arrival=origin.arrival(digest, content.kind, self._section.awaits),
            flaw=flaw(origin.size, content),
            copied=copied,
        )

    def _arriving(self, file: BinaryIO, origin: Origin) -> Arriving:
        return Arriving(
            file=file,
            private=self.private_path(origin.id),
            size=origin.size,
            mtime_ns=origin.mtime_ns,
            inode=origin.inode,
            tick=self._tick,
        )

    def _same(self, arriving: Arriving, document_id: str, now: datetime) -> Digest:
        """Return the digest of *arriving* if it is the original's; else give the file a new id."""
        folder = folder_of(self._documents, document_id)
        digest = arriving.digest()
        original = stored(folder)
        if original is not None and digest_of(original, self._tick) == digest:
            return digest
        own_id = new_id(now)
        if origin := origin_of(folder):
            self._begin(replace(origin, id=own_id))
        self._rename(document_id, own_id)
        raise NotNow(Reason.QUIET)

    def _rename(self, old_id: str, own_id: str) -> None:
        path = self.private_path(old_id)
        with at_share("rename", path):
            path.rename(self.private_path(own_id))

    def _remove(self, document_id: str, size: int, mtime_ns: int, inode: int) -> None:
        """Remove a private name of which there is a copy, if it is that file still."""
        path = self.private_path(document_id)
        with at_share("remove", path):
            if Look.of(path.lstat()).is_still(size, mtime_ns, inode):
                path.unlink()

    # -- folders ------------------------------------------------------------------------

    def _origin(self, own_id: str, place: bytes, look: Look, now: datetime, clock: str) -> Origin:
        subfolder, _, name = place.rpartition(b"/")
        return Origin(
            id=own_id,
            name=name,
            subfolder=subfolder,
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
            if not os.path.lexists(self.private):
                self.private.mkdir(mode=0o700)
                sync_if_possible(self.folder)
        use_private(self.private)

    def _sync_share(self, place: bytes, held: int | None, *, copied: bool) -> None:
        """Make it durable that the name has left the hot folder: else it comes back, and again.

        After a rename that is our own disk, and a failure ends the process; after a
        copy the private file is still there, and all of it is done again.
        """
        with at_share("sync", self.folder) if copied else contextlib.nullcontext():
            sync_place(self.folder, place, held)
