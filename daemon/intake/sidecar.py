"""A sidecar's way into the folder of its document: the two moves of a claim once more.

    1  document.json says which file it is, durable
    2  rename to <hot folder>/.scanseal/<id>.json (or .xml)
    3  a second look at that very inode
    4  rename into the document's folder as sidecar.json; across mounts a copy
    5  fsync, and the folders; then its digest and what it says, in `Spool.describe`
    6  only then the private name goes, if there was a copy

A kill between any two of these leaves it in exactly one of the places that
`where` looks at. A sidecar of which the document was refused before stays beside the
new one as sidecar-1.json. Nothing here reads what is in it (I10).
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Literal

from daemon import durable
from daemon.document import Part, folder_of
from daemon.intake import PRIVATE, NotNow, Reason, at_share, at_state
from daemon.intake.moving import (
    Arriving,
    bring,
    digest_of,
    give_back,
    is_ours,
    renamed_out,
    sync_place,
    use_private,
)
from daemon.intake.origin import Origin, Sidecar, clear_temporaries, origin_of
from daemon.intake.pairing import ENDINGS, kind_of
from daemon.intake.settle import Look, facts_of, open_scan, writer_open

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST: Final = 64 << 10
"""No sidecar is larger than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A sidecar that lies in its document's folder, durable, and is not committed."""

    part: Part
    kind: str
    content: bytes | None
    """None: it is larger than a sidecar can be."""
    copied: bool
    """The private name is still there, and goes after the commit."""


class Tray:
    """Where the sidecars of one hot folder are taken in. Every method blocks."""

    def __init__(self, folder: Path, documents: Path, tick: Callable[[], None]) -> None:
        """Touch nothing yet; *tick* is called as the bytes of a file go by."""
        self._folder = folder
        self._private = folder / PRIVATE
        self._documents = documents
        self._tick = tick
        self.leases = True
        """As a desk's: whether it can be known who writes there."""

    def peek(self, place: bytes, look: Look) -> bytes | None:
        """Return the bytes of a sidecar that has settled as *look*; None if it is too large."""
        fd = open_scan(self._folder / os.fsdecode(place))
        with os.fdopen(fd, "rb") as file:
            if Look.of(facts_of(fd)) != look:
                raise NotNow(Reason.QUIET)
            if look.size > LARGEST:
                return None
            with at_share("read", self._folder):
                content = file.read(LARGEST + 1)
            if Look.of(facts_of(fd)) != look:
                raise NotNow(Reason.QUIET)
        return content

    def take(self, document_id: str, place: bytes, look: Look) -> Taken:
        """Take a sidecar that has settled as *look* along with its document: steps 1 to 5."""
        use_private(self._private)
        clear_temporaries(folder_of(self._documents, document_id))
        sidecar = _sidecar(place, look)
        self._promise(document_id, sidecar)
        private = self._private / f"{document_id}.{kind_of(place)}"
        with renamed_out(self._folder, place, private) as held:
            return self._finish(document_id, sidecar, private, held)

    def go_on(self, document_id: str, name: bytes, look: Look) -> Taken:
        """Go on with one that lies under its private *name* and has settled there as *look*."""
        use_private(self._private)
        folder = folder_of(self._documents, document_id)
        clear_temporaries(folder)
        before = _known(folder).sidecar
        sidecar = _sidecar(before.name if before else name, look)
        self._promise(document_id, sidecar)
        return self._finish(document_id, sidecar, self._private / os.fsdecode(name))

    def stored(self, document_id: str) -> Taken | None:
        """Return the sidecar that lies in a document's folder, made durable once more."""
        folder = folder_of(self._documents, document_id)
        path = _in(folder)
        if path is None:
            return None
        if not is_ours(path.lstat()):
            raise NotNow(Reason.UNREADABLE, "the sidecar in the document's folder is not ours")
        clear_temporaries(folder)
        durable.sync_file(path)
        durable.sync_folder(folder)
        return self._taken(path, copied=False)

    def where(self, document_id: str) -> Literal["folder", "private", ""]:
        """Return where a kill has left a sidecar that was being taken; "" for nowhere of ours."""
        with contextlib.suppress(NotNow):
            use_private(self._private)
            if any(self._private_path(document_id, kind) for kind in ENDINGS.values()):
                return "private"
        return "folder" if _in(folder_of(self._documents, document_id)) else ""

    def let_go(self, document_id: str) -> None:
        """Remove the private name of what was copied and committed: step 6.

        Only if it is that still: what was written to it since stays, and is told.
        """
        use_private(self._private)
        stored = _in(folder_of(self._documents, document_id))
        for kind in ENDINGS.values():
            private = self._private_path(document_id, kind)
            if private is None or stored is None:
                continue
            with os.fdopen(open_scan(private), "rb", buffering=0) as file:
                arriving = self._arriving(file, private)
                same = arriving.digest() == digest_of(stored, self._tick)
                arriving.check()
            if same:
                with at_share("remove", private):
                    private.unlink()

    # -- steps 3 to 5 --------------------------------------------------------------

    def _finish(
        self, document_id: str, sidecar: Sidecar, private: Path, held: int | None = None
    ) -> Taken:
        """*held* is the folder that it lay in, if it was taken out of it just now."""
        folder = folder_of(self._documents, document_id)
        target = folder / f"sidecar{private.suffix}"
        try:
            fd = open_scan(private)
        except NotNow as exc:
            if exc.reason is Reason.NOT_A_FILE:
                give_back(self._folder, sidecar.name, private, held)
            raise
        with os.fdopen(fd, "rb", buffering=0) as file:
            arriving = self._arriving(file, private)
            if not Look.of(facts_of(fd)).is_still(sidecar.size, sidecar.mtime_ns, sidecar.inode):
                raise NotNow(Reason.QUIET)
            arriving.shut()
            if self.leases and writer_open(fd):
                raise NotNow(Reason.WRITER)
            there = _in(folder)
            if there == target and digest_of(there, self._tick) == arriving.digest():
                copied = True  # a copy was made, and then came a kill
            else:
                _keep(there)
                _, copied = bring(arriving, target)
        durable.sync_folder(folder)
        with at_share("sync", self._folder) if copied else contextlib.nullcontext():
            sync_place(self._folder, sidecar.name, held)
        return self._taken(target, copied=copied)

    def _taken(self, path: Path, *, copied: bool) -> Taken:
        digest, size = durable.digest_of(path)
        content = path.read_bytes() if size <= LARGEST else None
        part = Part(role="sidecar", file=path.name, digest=digest, size=size)
        return Taken(part=part, kind=path.suffix[1:], content=content, copied=copied)

    def _arriving(self, file: BinaryIO, private: Path) -> Arriving:
        look = Look.of(facts_of(file.fileno()))
        return Arriving(
            file=file,
            private=private,
            size=look.size,
            mtime_ns=look.mtime_ns,
            inode=look.inode,
            tick=self._tick,
        )

    def _promise(self, document_id: str, sidecar: Sidecar) -> None:
        """Say in document.json which file it is that is about to be moved."""
        origin = _known(folder_of(self._documents, document_id))
        if origin.sidecar != sidecar:
            with at_state():
                replace(origin, sidecar=sidecar).write(self._documents)

    def _private_path(self, document_id: str, kind: str) -> Path | None:
        path = self._private / f"{document_id}.{kind}"
        return path if os.path.lexists(path) else None


def _sidecar(place: bytes, look: Look) -> Sidecar:
    return Sidecar(name=place, size=look.size, mtime_ns=look.mtime_ns, inode=look.inode)


def _known(folder: Path) -> Origin:
    origin = origin_of(folder)
    if origin is None:
        raise NotNow(Reason.UNREADABLE, "document.json is missing or cannot be read")
    return origin


def _in(folder: Path) -> Path | None:
    """Return the sidecar in a document's folder."""
    return next(
        (p for kind in ENDINGS.values() if (p := folder / f"sidecar.{kind}").exists()), None
    )


def _keep(old: Path | None) -> None:
    """Let a sidecar that was not good enough stay, under a name of its own."""
    if old is None:
        return
    number = 1
    while os.path.lexists(kept := old.with_name(f"sidecar-{number}{old.suffix}")):
        number += 1
    old.rename(kept)
