"""Frozen documents for tests of what comes after: real files, real digests, no real seal."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.document import Arrival, Digest, Document, Part, Role, folder_of, new_id, utc_text
from daemon.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TARGETS = {"dms": Role.DMS, "archive": Role.ARCHIVE}
FACTS: dict[str, Any] = {"images": 1, "findings": [], "ledger_hash": "0" * 64}


def make_state(state_dir: Path) -> Path:
    """Make what the service makes before it opens its spool; return *state_dir*."""
    for name in ("documents", "ledger", "work/in", "work/out"):
        (state_dir / name).mkdir(parents=True, exist_ok=True)
    return state_dir


def make_frozen(
    state_dir: Path, *, targets: Mapping[str, Role] | None = None, **more: Any
) -> Document:
    """Open the spool, put a frozen document into it, and close it again."""
    spool = Spool(make_state(state_dir), new=True)
    try:
        return frozen(spool, state_dir, targets=targets, **more)
    finally:
        spool.close()


def frozen(
    spool: Spool,
    state_dir: Path,
    *,
    targets: Mapping[str, Role] | None = None,
    now: datetime = NOW,
    scan_bytes: int = 2000,
) -> Document:
    """Claim, seal and freeze a document that is made up, with its files and its deliveries.

    On a SpoolThread: `await spool(frozen, state_dir)`.
    """
    document_id = new_id(now)
    folder = folder_of(state_dir / "documents", document_id)
    folder.mkdir(parents=True)
    # Different in each document and in each piece, so that nothing can be mixed up.
    scan = b"".join(b"%s %d\n" % (document_id.encode(), n) for n in range(scan_bytes // 38))
    original = _part(folder, "original", "original.pdf", b"%PDF-1.7\n" + scan)
    arrival = Arrival(
        id=document_id,
        hotfolder="post",
        profile="post",
        name=b"scan.pdf",
        size=original.size,
        mtime_ns=int(now.timestamp()) * 10**9,
        inode=1,
        digest=original.digest,
        kind="pdf",
        claimed_at=now,
        clock="sure",
    )
    document = spool.claim(arrival, now)
    spool.begin(document, "seal", now)
    sealed = _part(folder, "sealed", "sealed.pdf", b"%PDF-1.7 sealed\n" + scan)
    note = _part(folder, "note", "note.xml", b"<note>%s</note>\n" % document_id.encode())
    document = spool.seal(document, sealed, note, FACTS, now, now, now)
    manifest = json.dumps({"document": document_id, "sealed_at": utc_text(now)}).encode()
    archive = (
        original,
        sealed,
        note,
        _part(folder, "manifest", "manifest.json", manifest),
        _part(folder, "manifest-seal", "manifest.p7s", Digest.of(manifest).hex.encode()),
    )
    deliveries = [
        (name, role, (sealed,) if role is Role.DMS else archive)
        for name, role in (TARGETS if targets is None else targets).items()
    ]
    return spool.freeze(document, deliveries, now)


def _part(folder: Path, role: str, file: str, data: bytes) -> Part:
    (folder / file).write_bytes(data)
    return Part(role=role, file=file, digest=Digest.of(data), size=len(data))
