"""Values that tests of the spool and of the ledger's files share."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from daemon.document import Arrival, Digest, Document, Part, Receipt, Role, new_id

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.spool import Spool

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
NAME = b"M\xc3\xbcller K\xc3\xbcndigung.pdf"


def places(state_dir: Path) -> Path:
    """Make what the service makes before it opens the spool, and return *state_dir*."""
    for name in ("documents", "ledger"):
        (state_dir / name).mkdir(parents=True, exist_ok=True)
    return state_dir


def arrival(number: int = 0, *, size: int = 1000, name: bytes = NAME) -> Arrival:
    """Return the *number*th scan of a day."""
    claimed_at = NOW + timedelta(seconds=number)
    return Arrival(
        id=new_id(claimed_at),
        hotfolder="post",
        profile="post",
        name=name,
        size=size,
        mtime_ns=int(claimed_at.timestamp() * 1e9) - 10**10,
        inode=number,
        digest=Digest.of(b"original %d" % number),
        kind="pdf",
        claimed_at=claimed_at,
        clock="sure",
    )


def claimed(spool: Spool, number: int = 0, *, size: int = 1000) -> Document:
    """Claim a scan."""
    return spool.claim(arrival(number, size=size), NOW)


def refused(spool: Spool, number: int = 0) -> Document:
    """Claim a scan and refuse it."""
    return spool.refuse(claimed(spool, number), "pdf-damaged", "no page tree", NOW)


def events(spool: Spool) -> list[str]:
    """Return the events of all ledger lines."""
    return [json.loads(line)["event"] for line in spool.chain()]


def last(spool: Spool) -> dict[str, Any]:
    """Return the newest ledger line."""
    found: dict[str, Any] = json.loads(list(spool.chain())[-1])
    return found


def part(role: str, file: str, document_id: str = "") -> Part:
    """Return one part; its digest is made from its name."""
    return Part(role=role, file=file, digest=Digest.of(f"{document_id}/{file}".encode()), size=10)


def sealed(
    spool: Spool, document: Document, now: datetime = NOW, certificate: str = "", stamp: str = ""
) -> Document:
    """Take a claimed document to SEALED, as the sealer does; `stamp` as its facts say it."""
    head = spool.begin(document, "seal", now)
    facts: dict[str, Any] = {
        "kind": document.kind,
        "images": 1,
        "findings": [],
        "ledger_hash": head.hash,
        "certificate_sha256": certificate,
        **({"stamp": stamp} if stamp else {}),
    }
    return spool.seal(
        document,
        part("sealed", "sealed.pdf", document.id),
        part("note", "note.xml", document.id),
        facts,
        now,
        now,
        now,
    )


def frozen(spool: Spool, document: Document, now: datetime = NOW) -> Document:
    """Take a claimed document to FROZEN, with a delivery to `dms` and one to `archive`."""
    done = sealed(spool, document, now)
    files = (
        part("sealed", "sealed.pdf", document.id),
        part("manifest", "manifest.json", document.id),
    )
    return spool.freeze(done, [("dms", Role.DMS, files[:1]), ("archive", Role.ARCHIVE, files)], now)


def receipts(spool: Spool, document_id: str, target: str, now: datetime = NOW) -> list[Receipt]:
    """Return a receipt for each part of a delivery."""
    return [
        Receipt(
            target=target,
            key=f"{document_id}/{p.file}",
            size=p.size,
            digest=p.digest,
            reference=f"/srv/{target}/{document_id}/{p.file}",
            grade="bytes",
            proved_at=now,
        )
        for p in spool.delivery(document_id, target).parts
    ]
