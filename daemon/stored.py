"""Whether what is stored of a document is still what was committed: read again, from disk.

    digests    of original, sealed.pdf, note.xml, manifest.json and manifest.p7s against the rows
    sealed.pdf the CMS in its gap is a good seal over everything else in it
    manifest   its detached CMS is a good seal over it

Only reads, and parses nothing but our own CMS. That the ByteRange says so, too, a
parser saw before the digest was committed.
"""

from __future__ import annotations

import errno
import os
import platform
import threading
from ctypes import CDLL
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from daemon import cms, durable, gap, timestamped
from daemon.document import Digest, Part, State, folder_of
from daemon.errors import PermanentError
from daemon.manifest import sealed_parts
from daemon.stamping import STAMPED
from daemon.workplace import OUR_OWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from daemon.document import Delivery, Document
    from daemon.records.reader import Reader

SEALED: Final = "sealed.pdf"
BATCH: Final = 100
IOPRIO_SET: Final = {"x86_64": 251, "aarch64": 30}
IDLE: Final = 3 << 13


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with a document's stored bytes."""

    file: str
    what: str
    """missing, unreadable, changed or seal-invalid."""

    def __str__(self) -> str:
        """Return it as it stands in the ledger and in an alarm."""
        return f"{self.file}: {self.what}"


def kept(document: Document) -> bool:
    """Return whether there should be sealed bytes of it on this box."""
    return document.sealed is not None and document.state is not State.FORGOTTEN


def fault(
    documents: Path, document: Document, deliveries: Iterable[Delivery], certificate: str
) -> Fault | None:
    """Return the first thing that is wrong with a sealed document, or None.

    *certificate* is the SHA-256 of the certificate it was sealed with, as its ledger line says.
    Raise OSError where the box has run out of something, which says nothing of the document.
    """
    folder = folder_of(documents, document.id)
    files = {SEALED: folder / SEALED}
    parts = {part.file: part for part in sealed_parts(document)}
    parts |= {part.file: part for one in deliveries for part in one.parts}
    for part in parts.values():
        what = _differs(folder / part.file, part)
        if what and part.file == SEALED and not _differs(folder / STAMPED, part):
            # Killed between the commit and the rename: the next start puts it in its place.
            files[SEALED], what = folder / STAMPED, ""
        if what:
            return Fault(file=part.file, what=what)
    if not _sealed(files[SEALED], document, certificate):
        return Fault(file=SEALED, what="seal-invalid")
    if "manifest.p7s" in parts and not _manifest_sealed(folder, parts["manifest.json"]):
        return Fault(file="manifest.p7s", what="seal-invalid")
    return None


def note(documents: Path, document: Document) -> bytes:
    """Return note.xml of a sealed document, the bytes that were committed.

    Raise PermanentError: `own-copy-damaged` for others or none, `no-note` before it is sealed.
    """
    if document.note is None:
        raise PermanentError("no-note", f"{document.id} is {document.state}")
    try:
        with durable.opened(folder_of(documents, document.id) / "note.xml") as file:
            held = file.read(document.note_size + 1)
    except OSError as exc:
        raise PermanentError(
            "own-copy-damaged", f"note.xml: {os.strerror(exc.errno or 0)}"
        ) from exc
    if Digest.of(held) != document.note:
        raise PermanentError("own-copy-damaged", "note.xml is not what was committed")
    return held


def through(reader: Reader, documents: Path) -> Iterator[tuple[Document, Fault | None]]:
    """Yield every document that lies here sealed, and what is wrong with it.

    The service may be running: what changes while it is looked at is looked at again.
    """
    cursor = ""
    while batch := reader.sealed_after(cursor, BATCH):
        for document in batch:
            cursor = document.id
            yield document, _steadily(reader, documents, document)


def _steadily(reader: Reader, documents: Path, document: Document) -> Fault | None:
    found = None
    for _ in range(3):
        if not kept(document):
            return None
        deliveries = reader.deliveries(document.id)
        found = fault(documents, document, deliveries, reader.sealed_with(document.id))
        before, document = document, reader.document(document.id)
        if found is None or before == document:
            break
    return found


def _differs(path: Path, part: Part) -> str:
    """Return what is wrong with the file of a part, or ""."""
    try:
        found = durable.digest_of(path)
    except OSError as exc:
        if exc.errno in OUR_OWN:
            raise
        return "missing" if exc.errno == errno.ENOENT else "unreadable"
    return "" if found == (part.digest, part.size) else "changed"


def _sealed(path: Path, document: Document, certificate: str) -> bool:
    """Return whether the gap of *path* holds a good seal over everything else in it.

    Its time-stamp token, if it has one, was verified when it came; the digest covers it since.
    """
    if document.gap is None:
        return False
    try:
        seen = gap.look(path, gap.Gap(*document.gap, document.sealed_size), whole=False)
        bare, _ = timestamped.split(timestamped.unpadded(gap.contents_of(seen)))
    except PermanentError:
        return False
    framed = seen.gap[:1] + seen.gap[-1:] == b"<>"
    return framed and _checks(bare, seen.signed, certificate)


def _checks(held: bytes, digest: bytes, certificate: str) -> bool:
    try:
        certificates = cms.certificates(held)
        (seal,) = (one for one in certificates if cms.sha256(one) == certificate)
        cms.check(held, digest, seal, tuple(one for one in certificates if one != seal))
    except (PermanentError, ValueError):
        return False
    return True


def _manifest_sealed(folder: Path, manifest: Part) -> bool:
    """Return whether manifest.p7s, whose bytes are those that were committed, is a good seal."""
    with durable.opened(folder / "manifest.p7s") as file:
        held = file.read(gap.MOST)
    digest = bytes.fromhex(str(manifest.digest))
    certificates = cms.certificates(held)
    for seal in certificates:
        # Which one it was made with: after a change of keys it need not be the document's.
        try:
            others = tuple(one for one in certificates if one != seal)
            cms.check(held, digest, seal, others, detached=True)
        except PermanentError:
            continue
        return True
    return False


def give_way() -> None:
    """Let this thread have what nobody else wants: of the processor, and of the disk.

    There is no way back; call it in a thread, or a process, for such work alone.
    """
    thread = threading.get_native_id()
    os.setpriority(os.PRIO_PROCESS, thread, 19)
    if number := IOPRIO_SET.get(platform.machine()):
        # ioprio_set(2): IOPRIO_WHO_PROCESS, and the idle class. Where it fails nothing is lost.
        CDLL(None).syscall(number, 1, thread, IDLE)
