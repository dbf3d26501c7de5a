"""The manifest: what the archive holds of one document, every part by its digest, sealed as a whole.

    original.<ext>  sealed.pdf  note.xml     the parts
    manifest.json                            their digests, times, findings, the newest ledger hash
    manifest.p7s                             a detached CMS over manifest.json

The DMS gets the sealed file; with a cover page it gets the original as well.
Made once, when a document is frozen, before any delivery exists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon import durable, ledger
from daemon.document import Digest, Document, Part, utc_text
from daemon.errors import CorruptionError
from daemon.magic import extension
from daemon.records.rows import parts_json

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.config import Config


def manifest(
    config: Config, box_id: str, document: Document, parts: tuple[Part, ...], head: ledger.Head
) -> bytes:
    """Return what the archive's manifest says: the digest of every part, sealed as a whole."""
    text = ledger.canonical(
        {
            "v": 1,
            "document": document.id,
            "box": config.box.name,
            "box_id": box_id,
            "organisation": config.box.organisation,
            "profile": document.profile,
            "procedure": config.profiles[document.profile].procedure,
            "captured_at": utc_text(document.captured_at),
            "claimed_at": utc_text(document.claimed_at),
            "checked_at": utc_text(document.checked_at) if document.checked_at else None,
            "sealed_at": utc_text(document.sealed_at) if document.sealed_at else None,
            "level": document.level,
            "stamped_at": utc_text(document.stamped_at) if document.stamped_at else None,
            "clock": document.clock,
            "images": document.images,
            "findings": list(document.findings),
            "finding_pages": list(document.finding_pages),
            "duplicate_of": document.duplicate_of or None,
            "parts": parts_json(parts),
            "ledger": {"seq": head.seq, "hash": head.hash},
        }
    )
    return text.encode() + b"\n"


def sealed_parts(document: Document) -> tuple[Part, ...]:
    """Return the parts of a sealed document that exist before its manifest."""
    if document.sealed is None or document.note is None:
        raise CorruptionError("database-damaged", f"{document.id} is sealed and has no seal")
    name = f"original.{extension(document.kind)}"
    return (
        Part(role="original", file=name, digest=document.digest, size=document.size),
        Part(role="sealed", file="sealed.pdf", digest=document.sealed, size=document.sealed_size),
        Part(role="note", file="note.xml", digest=document.note, size=document.note_size),
    )


def for_dms(document: Document, parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Return which of the *parts* the DMS gets: the sealed file, and what that only stands for.

    The original comes first: once the sealed file is there, so is all that it names (I4).
    """
    roles = {"original", "sealed"} if document.enveloped else {"sealed"}
    return tuple(part for part in parts if part.role in roles)


def part(role: str, file: str, data: bytes) -> Part:
    """Return *data*, which is to be the file of that name, as a part."""
    return Part(role=role, file=file, digest=Digest.of(data), size=len(data))


def write(folder: Path, manifest: bytes, seal: bytes) -> None:
    """Put both beside the document's other files, durably."""
    durable.write_unsynced(folder / "manifest.json", manifest)
    durable.write(folder / "manifest.p7s", seal)
