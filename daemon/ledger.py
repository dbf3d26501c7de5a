"""The custody ledger: a chain of lines, each carrying the hash of the one before.

Pure functions: they append to and verify a chain that someone else stores.

A line is JSON in canonical form (RFC 8785) with exactly these members:

    v              1
    box_id         of the box that wrote it
    seq            1, 2, 3 ... without gaps
    at             RFC 3339, UTC, milliseconds
    document       the document's id, or "" where it concerns the box
    event          what happened: refuse, seal, delivery-send, login-attempt ...
    detail         all that a rebuild needs; never personal data
    personal_hash  SHA-256(salt || personal), or "" where there is none
    prev           the hash of the line before; 64 zeros before the first

Its hash is SHA-256 of those bytes. Personal detail is kept apart with its salt,
so it can be erased while the chain stays valid. The lines of a day are a segment,
which is sealed and archived once the day is over.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from daemon.errors import CorruptionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from daemon.document import Digest

VERSION: Final = 1
START: Final = "0" * 64
"""What stands for the hash before the first line."""
MEMBERS: Final = frozenset(
    {"v", "box_id", "seq", "at", "document", "event", "detail", "personal_hash", "prev"}
)
SALT_BYTES: Final = 16
SAFE_INTEGER: Final = 2**53 - 1
"""RFC 8785 writes numbers as ECMAScript does: larger integers would not survive it."""
SEGMENT_ID: Final = re.compile(r"ledger-[0-9a-f]{32}-[0-9]{4}-[0-9]{2}-[0-9]{2}")
"""What an archive keeps a segment under: the box and the day."""
SEGMENT_LINES: Final = "segment.jsonl"
SEGMENT_SEAL: Final = "segment.p7s"


@dataclass(frozen=True, slots=True)
class Head:
    """Where the chain stands: the last line's number and hash."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it is stored: its number, its canonical bytes as text, and its hash."""

    seq: int
    text: str
    hash: str


EMPTY: Final = Head(0, START)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """The lines of one day, as they were sealed."""

    day: str
    """`2026-11-22`, in UTC: the name of its files."""
    first: int
    """Its first line's number."""
    head: Head
    """Its last line."""
    digest: Digest
    size: int
    seal: Digest
    """Of the detached CMS over the file's bytes."""
    seal_size: int


def segment_id(box_id: str, day: str) -> str:
    """Return what a target keeps the segment of *day* under."""
    return f"ledger-{box_id}-{day}"


def is_segment_id(text: str) -> bool:
    """Return whether *text* is one that `segment_id` makes."""
    return SEGMENT_ID.fullmatch(text) is not None


def canonical(value: object) -> str:
    """Write *value* in the canonical form of RFC 8785.

    Floats, and integers beyond 2**53 - 1, are refused: nothing here needs them,
    and their canonical form is the one difficult part of the standard.
    """
    _only_plain(value)
    return json.dumps(
        value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    )


def append(
    head: Head,
    *,
    box_id: str,
    at: str,
    document: str,
    event: str,
    detail: Mapping[str, Any],
    personal_hash: str = "",
) -> Line:
    """Return the line that follows *head*."""
    text = canonical(
        {
            "v": VERSION,
            "box_id": box_id,
            "seq": head.seq + 1,
            "at": at,
            "document": document,
            "event": event,
            "detail": dict(detail),
            "personal_hash": personal_hash,
            "prev": head.hash,
        }
    )
    return Line(head.seq + 1, text, hash_of(text))


def hash_of(text: str) -> str:
    """Return the hash of a line's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def personal_hash(salt: bytes, personal: str) -> str:
    """Return what the line says of a personal detail: SHA-256(salt || personal)."""
    return hashlib.sha256(salt + personal.encode()).hexdigest()


def follow(head: Head, text: str) -> Head:
    """Return the head after *text*, or raise CorruptionError if it does not follow *head*."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        raise CorruptionError("ledger-damaged", f"line after {head.seq} is not JSON") from None
    if not isinstance(line, dict) or line.keys() != MEMBERS:
        raise CorruptionError("ledger-damaged", f"line after {head.seq} has other members")
    # A float or `true` would be equal to the number it stands for.
    if (type(line["v"]), type(line["seq"]), line["v"], line["seq"]) != (
        int,
        int,
        VERSION,
        head.seq + 1,
    ):
        found = f"v={line['v']} seq={line['seq']}"
        raise CorruptionError("ledger-damaged", f"line {head.seq + 1} expected, found {found}")
    if line["prev"] != head.hash:
        raise CorruptionError(
            "ledger-damaged", f"line {line['seq']} does not follow the one before"
        )
    try:
        as_written = canonical(line) == text
    except (TypeError, ValueError):  # something that was never written by `append`
        as_written = False
    if not as_written:
        raise CorruptionError("ledger-damaged", f"line {line['seq']} is not in canonical form")
    return Head(line["seq"], hash_of(text))


def verify(lines: Iterable[str], head: Head = EMPTY) -> Head:
    """Follow a chain from *head* and return its end, or raise CorruptionError at the first break."""
    for text in lines:
        head = follow(head, text)
    return head


def _only_plain(value: object) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                # RFC 8785 sorts by UTF-16 units, Python by code points: the same for ASCII.
                raise TypeError(f"a ledger member must be named in ASCII: {key!r}")
            _only_plain(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _only_plain(item)
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int):
        if abs(value) > SAFE_INTEGER:
            raise TypeError("an integer that RFC 8785 cannot write")
    elif isinstance(value, str):
        value.encode()  # raises for lone surrogates, which no JSON text may hold
    else:
        raise TypeError(f"not in a ledger line: {type(value).__name__}")
