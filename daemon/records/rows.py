"""Rows of spool.db as the values of document.py, and back. No SQL is run here."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from daemon.document import (
    UNDESCRIBED,
    Copy,
    Delivery,
    DeliveryState,
    Described,
    Digest,
    Document,
    Part,
    Receipt,
    Role,
    State,
    utc_text,
    utc_time,
)
from daemon.errors import CorruptionError
from daemon.ledger import Head, Segment

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

NONE_OF_OURS: Final = (ValueError, TypeError, KeyError, RecursionError)
"""What a value raises that we never wrote: a bit of it has changed."""
DOCUMENT = (
    "id, state, hotfolder, profile, kind, size, digest, captured_at, claimed_at, changed_at, clock, code,"
    " came_from, step, tries, images, findings, sealed, sealed_size, note, note_size, checked_at, sealed_at,"
    " ledger_hash, copy, copy_until, superseded_by, resembles,"
    " described, finding_pages, pages_digest, duplicate_of, level, stamp, stamped_at, gap, evidence,"
    " evidence_until"
)
DELIVERY = (
    "document, target, role, state, parts, attempts, due_at, code, reason, step, tries, receipts,"
    " sent_at, absent_at, sure"
)


def document(row: sqlite3.Row) -> Document:
    """Return the document in *row*, selected with the columns DOCUMENT."""
    try:
        return _document(row)
    except NONE_OF_OURS as exc:
        raise _damaged("document", row["id"], exc) from exc


def _document(row: sqlite3.Row) -> Document:
    return Document(
        id=row["id"],
        state=State(row["state"]),
        hotfolder=row["hotfolder"],
        profile=row["profile"],
        kind=row["kind"],
        size=row["size"],
        digest=Digest(row["digest"]),
        captured_at=utc_time(row["captured_at"]),
        claimed_at=utc_time(row["claimed_at"]),
        changed_at=utc_time(row["changed_at"]),
        clock=row["clock"],
        code=row["code"],
        came_from=State(row["came_from"]) if row["came_from"] else None,
        step=row["step"],
        tries=row["tries"],
        images=row["images"],
        findings=tuple(json.loads(row["findings"])),
        sealed=Digest(row["sealed"]) if row["sealed"] else None,
        sealed_size=row["sealed_size"],
        note=Digest(row["note"]) if row["note"] else None,
        note_size=row["note_size"],
        checked_at=utc_time(row["checked_at"]) if row["checked_at"] else None,
        sealed_at=utc_time(row["sealed_at"]) if row["sealed_at"] else None,
        ledger_hash=row["ledger_hash"],
        copy=Copy(row["copy"]),
        copy_until=utc_time(row["copy_until"]) if row["copy_until"] else None,
        superseded_by=row["superseded_by"],
        resembles=row["resembles"],
        described=described_from(row["described"]),
        finding_pages=tuple(json.loads(row["finding_pages"])),
        pages_digest=Digest(row["pages_digest"]) if row["pages_digest"] else None,
        duplicate_of=row["duplicate_of"],
        level=row["level"],
        stamp=row["stamp"],
        stamped_at=utc_time(row["stamped_at"]) if row["stamped_at"] else None,
        gap=_gap(row["gap"]),
        evidence=frozenset(map(Digest, json.loads(row["evidence"]))),
        evidence_until=utc_time(row["evidence_until"]) if row["evidence_until"] else None,
    )


def _damaged(table: str, key: object, exc: Exception) -> CorruptionError:
    what = f"spool.db: {table} {key!r}: {type(exc).__name__}"
    return CorruptionError("database-damaged", what)


def _gap(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    start, end = json.loads(text)
    return start, end


def described_json(described: Described) -> dict[str, Any]:
    """Write what came with a scan as its row has it: only what was said."""
    facts = {field.name: getattr(described, field.name) for field in fields(Described)}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in facts.items()
        if value != getattr(UNDESCRIBED, name)
    }


def described_from(text: str) -> Described:
    """Read the text of what `described_json` wrote."""
    if text == "{}":
        return UNDESCRIBED
    raw = json.loads(text)
    return Described(**{**raw, "remarks": tuple(raw.get("remarks", ()))})


def delivery(row: sqlite3.Row) -> Delivery:
    """Return the delivery in *row*, selected with the columns DELIVERY."""
    try:
        return _delivery(row)
    except NONE_OF_OURS as exc:
        raise _damaged("delivery", row["document"], exc) from exc


def _delivery(row: sqlite3.Row) -> Delivery:
    return Delivery(
        document=row["document"],
        target=row["target"],
        role=Role(row["role"]),
        state=DeliveryState(row["state"]),
        parts=parts_from(json.loads(row["parts"])),
        attempts=row["attempts"],
        due_at=utc_time(row["due_at"]) if row["due_at"] else None,
        code=row["code"],
        reason=row["reason"],
        step=row["step"],
        tries=row["tries"],
        sent_at=utc_time(row["sent_at"]) if row["sent_at"] else None,
        absent_at=utc_time(row["absent_at"]) if row["absent_at"] else None,
        sure=bool(row["sure"]),
    )


def segment(row: sqlite3.Row) -> Segment:
    """Return the segment in *row*."""
    return Segment(
        day=row["day"],
        first=row["first"],
        head=Head(row["last"], row["hash"]),
        digest=Digest(row["digest"]),
        size=row["size"],
        seal=Digest(row["seal"]),
        seal_size=row["seal_size"],
    )


def parts_json(parts: Iterable[Part]) -> list[dict[str, Any]]:
    """Write parts as they stand in the ledger and in the manifest."""
    return [
        {"role": p.role, "file": p.file, "sha256": str(p.digest), "size": p.size} for p in parts
    ]


def parts_from(raw: list[dict[str, Any]]) -> tuple[Part, ...]:
    """Read what `parts_json` wrote."""
    return tuple(
        Part(role=p["role"], file=p["file"], digest=Digest(p["sha256"]), size=p["size"])
        for p in raw
    )


def receipts_from(raw: list[dict[str, Any]]) -> tuple[Receipt, ...]:
    """Read what `receipts_json` wrote."""
    return tuple(
        Receipt(
            target=r["target"],
            key=r["key"],
            size=r["size"],
            digest=Digest(r["sha256"]),
            reference=r["reference"],
            grade=r["grade"],
            proved_at=utc_time(r["proved_at"]),
            detail=dict(r.get("detail", {})),
        )
        for r in raw
    )


def receipts_json(receipts: Iterable[Receipt]) -> list[dict[str, Any]]:
    """Write receipts as they stand in the ledger and in `receipt-<target>.json`."""
    return [
        {
            "target": r.target,
            "key": r.key,
            "size": r.size,
            "sha256": str(r.digest),
            "reference": r.reference,
            "grade": r.grade,
            "proved_at": utc_text(r.proved_at),
            **({"detail": dict(r.detail)} if r.detail else {}),
        }
        for r in receipts
    ]
