"""The values that everything here is about.

Frozen, without behaviour that touches anything: no file, no clock, no table.

    Document   one scan, from the claim to the day it is forgotten
    Delivery   one document on its way to one target, in ordered parts
    Part       one file of a delivery
    Receipt    what a target said it holds, as read back from it
"""

from __future__ import annotations

import hashlib
import secrets
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from daemon.findings import ENVELOPE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CHUNK = 1 << 18
"""Files are read in pieces of this size: nothing here holds a whole document."""
LATEST_SECONDS = 253_402_300_799
"""The last second of the year 9999: no later time can be written as RFC 3339 does."""


class State(StrEnum):
    """Where a document is in its life."""

    CLAIMED = "claimed"
    WAITING = "waiting"
    REFUSED = "refused"
    DISCARDED = "discarded"
    SEALED = "sealed"
    STAMPED = "stamped"
    FROZEN = "frozen"
    HELD = "held"
    WITHDRAWN = "withdrawn"
    FILED = "filed"
    FORGOTTEN = "forgotten"


class Event(StrEnum):
    """What can happen to a document."""

    WAIT = "wait"
    RESUME = "resume"
    REFUSE = "refuse"
    RELEASE = "release"
    DISCARD = "discard"
    SUPERSEDE = "supersede"
    SEAL = "seal"
    STAMP = "stamp"
    FREEZE = "freeze"
    SET_ASIDE = "set-aside"
    WITHDRAW = "withdraw"
    FILE = "file"
    FORGET = "forget"


class DeliveryState(StrEnum):
    """Where a delivery is on its way to one target."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    REFUSED = "refused"
    WAIVED = "waived"
    GONE = "gone"


class DeliveryEvent(StrEnum):
    """What can happen to a delivery."""

    SEND = "send"
    ACKNOWLEDGE = "acknowledge"
    REJECT = "reject"
    RELEASE = "release"
    WAIVE = "waive"
    MISS = "miss"
    ACCEPT = "accept"


class PaperState(StrEnum):
    """Where the sheet of paper is."""

    KEPT = "kept"
    REQUESTED = "requested"
    HANDED_OVER = "handed-over"
    MISSING = "missing"
    LEFT = "left"
    PASSED = "passed"
    DESTROYED = "destroyed"


class PaperEvent(StrEnum):
    """What can happen to the paper."""

    REQUEST = "request"
    HAND_OVER = "hand-over"
    WITHDRAW = "withdraw"
    RETURN = "return"
    NOT_FOUND = "not-found"
    FOUND = "found"
    LEAVE = "leave"
    PASS = "pass"  # noqa: S105 (an event's name, no secret)
    DESTROY = "destroy"


class Copy(StrEnum):
    """Where the copy of a refused document is, for the person at the scanner."""

    NONE = ""
    DUE = "due"
    THERE = "there"
    LEAVING = "leaving"
    """It has to go: its document is refused no longer."""


class Role(StrEnum):
    """What a target is for: the DMS gets the sealed file, the archive everything."""

    DMS = "dms"
    ARCHIVE = "archive"


@dataclass(frozen=True, slots=True)
class Digest:
    """A SHA-256 digest, as 64 lower-case hexadecimal digits."""

    hex: str

    def __post_init__(self) -> None:
        """Refuse anything that is not a SHA-256 digest: a typo must not compare unequal later."""
        if len(self.hex) != 64 or set(self.hex) - set("0123456789abcdef"):
            msg = f"not a SHA-256 digest: {self.hex!r}"
            raise ValueError(msg)

    def __str__(self) -> str:
        return self.hex

    @classmethod
    def of(cls, data: bytes) -> Digest:
        """Return the digest of *data*."""
        return cls(hashlib.sha256(data).hexdigest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A file as it was claimed: what `document.json` says before anything else does."""

    id: str
    hotfolder: str
    profile: str
    name: bytes
    """The file name, as bytes. Personal: it never reaches MQTT, the journal or the metrics."""
    size: int
    mtime_ns: int
    inode: int
    digest: Digest
    kind: str
    """pdf, tiff, jpeg, png, jp2, or bin for what we could not identify."""
    claimed_at: datetime
    clock: str
    """`sure` or `unsure`: what the clock gate said at the claim."""
    subfolder: bytes = b""
    """Where in the hot folder it lay, as a relative path; b"": in the hot folder itself. Personal."""
    awaits: str = ""
    """What has to be known of it before it is sealed: `sidecar` or `describing`; "": nothing."""

    @property
    def captured_at(self) -> datetime:
        """The file's own time of last change; a client may set any, we can write some."""
        return datetime.fromtimestamp(min(max(self.mtime_ns / 1e9, 0.0), LATEST_SECONDS), UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kin:
    """What a new scan has to do with refused ones of its hot folder."""

    supersedes: tuple[str, ...] = ()
    """Ids of those that it stands for."""
    how: str = ""
    """What says so: `digest` or `copy-name`."""
    resembles: str = ""
    """The id of one that it may stand for: a person decides."""


STRANGER: Final = Kin()


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What came with a scan beside its bytes: from its sidecar, its name and its folder.

    Operator, batch, number and subfolder are personal: they never reach MQTT, the
    journal, the metrics, an alarm or the page.
    """

    operator: str = ""
    source: str = ""
    """What named the operator: `sidecar` or `name`."""
    batch: str = ""
    number: str = ""
    pages: int = 0
    """How many pages were announced; 0: nothing was."""
    counter: int = -1
    """The scanner's own counter; -1: it has said none."""
    digits: int = 0
    """With how many digits it is written."""
    subfolder: str = ""
    sidecar: str = ""
    """The SHA-256 of the sidecar that was taken along."""
    remarks: tuple[str, ...] = ()
    """Codes of findings from before it was sealed."""
    known: bool = True
    """False as long as the sidecar is owed, or nobody could read it or the name."""


UNDESCRIBED: Final = Described()


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One scan as the spool knows it."""

    id: str
    state: State
    hotfolder: str
    profile: str
    kind: str
    size: int
    digest: Digest
    captured_at: datetime
    """The file's own time of last change: the scanner's word, not ours."""
    claimed_at: datetime
    changed_at: datetime
    clock: str = "sure"
    code: str = ""
    """Why it is REFUSED, HELD or WAITING; empty otherwise."""
    came_from: State | None = None
    """The state that HELD goes back to, and the last one before FORGOTTEN."""
    step: str = ""
    """The step that was begun and not ended; empty at rest."""
    tries: int = 0
    """Ends of the daemon or of its worker in that step that count against the document."""
    images: int = 0
    findings: tuple[str, ...] = ()
    sealed: Digest | None = None
    sealed_size: int = 0
    note: Digest | None = None
    """The digest of note.xml, the transfer note beside the sealed file."""
    note_size: int = 0
    checked_at: datetime | None = None
    sealed_at: datetime | None = None
    ledger_hash: str = ""
    """The newest ledger hash at the time of sealing, as the transfer note carries it."""
    copy: Copy = Copy.NONE
    copy_until: datetime | None = None
    """Until when the copy stays in `rejected`, as its text says."""
    superseded_by: str = ""
    """The id of the document that stands for this one."""
    resembles: str = ""
    """The id of a refused document that this one may stand for: a person decides."""
    described: Described = UNDESCRIBED
    finding_pages: tuple[str, ...] = ()
    """Which pages a finding is about, as `findings.places` writes it."""
    pages_digest: Digest | None = None
    """Of all page images in their order; None where pages are more than images."""
    duplicate_of: str = ""
    """The id of an earlier document of the same bytes, or the same page images."""
    level: str = ""
    """The level of its seal (PAdES: B-B, B-T or B-LT); empty before it has one."""
    stamp: str = ""
    """`wanted` while a time stamp is waited for, `given-up` if there was none in time."""
    stamped_at: datetime | None = None
    """What the time-stamp token says."""
    evidence: frozenset[Digest] = frozenset()
    """The certificates about which there is evidence in its file (DSS), roots aside."""
    evidence_until: datetime | None = None
    """All of it is in force until then: a later time stamp is not covered."""
    gap: tuple[int, int] | None = None
    """Where the CMS stands in the sealed file: from its `<` to behind its `>`."""

    @property
    def enveloped(self) -> bool:
        """Whether a cover page was sealed in its place."""
        return ENVELOPE in self.findings

    @property
    def given_up(self) -> bool:
        """Whether a person, or a successor, ended its life before it was filed."""
        last = self.came_from if self.state is State.FORGOTTEN else self.state
        return last in {State.DISCARDED, State.WITHDRAWN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One file of a delivery, found under the document's folder as `file`."""

    role: str
    """original, sealed, note, manifest or manifest-seal."""
    file: str
    digest: Digest
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One document on its way to one target."""

    document: str
    target: str
    role: Role
    state: DeliveryState
    parts: tuple[Part, ...]
    """In the order they are sent; the manifest and its seal come last."""
    attempts: int = 0
    due_at: datetime | None = None
    code: str = ""
    reason: str = ""
    step: str = ""
    tries: int = 0
    sent_at: datetime | None = None
    """When something of it was on its way for the last time; None: nobody knows."""
    absent_at: datetime | None = None
    """When the target did not have it, for the first time since then that counts."""
    sure: bool = False
    """The target has said that it stored nothing of the last try: there is no doubt."""


GRADES: Final = ("metadata", "checksum", "bytes")
"""How well a target has proven what it holds, the weakest first: it is listed there with our
digest; it computed the digest itself; the stored bytes were read back and hashed by us."""

FACTS: Final = (
    "id",
    "box",
    "organisation",
    "profile",
    "hotfolder",
    "batch",
    "number",
    "operator",
    "captured_at",
    "claimed_at",
    "sealed_at",
    "original_sha256",
    "sealed_sha256",
    "level",
    "archive_id",
    "supersedes",
)
"""What a target may be told of a document, by name: for index fields and metadata."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a target holds of one part, as it was read back from the target."""

    target: str
    key: str
    """`<document id>/<file>`."""
    size: int
    digest: Digest
    reference: str
    """How the target names it: a path, an object id, a version id."""
    grade: str
    """One of GRADES."""
    proved_at: datetime
    detail: Mapping[str, str] = field(default_factory=dict)
    """What else the target said of it: version_id, lock_mode, retain_until, object_id."""


def new_id(now: datetime) -> str:
    """Return a UUIDv7 (RFC 9562, 5.7) for *now*: 48 bits of milliseconds, then random bits."""
    milliseconds = int(now.timestamp() * 1000)
    random = secrets.randbits(74)
    value = (milliseconds & (1 << 48) - 1) << 80
    value |= 7 << 76 | (random >> 62) << 64 | 2 << 62 | random & (1 << 62) - 1
    text = f"{value:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def is_id(text: str) -> bool:
    """Return whether *text* is an id as `new_id` makes them: nothing else becomes a path."""
    groups = text.split("-")
    return (
        [len(group) for group in groups] == [8, 4, 4, 4, 12]
        and not set("".join(groups)) - set("0123456789abcdef")
        and groups[2][0] == "7"
        and groups[3][0] in "89ab"
        and int(groups[0] + groups[1], 16) <= LATEST_SECONDS * 1000
    )


def born(document_id: str) -> datetime:
    """Return the time that is in an id: the date of the document's folder comes from it."""
    milliseconds = int(document_id.replace("-", "")[:12], 16)
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


@lru_cache(1024)
def folder_of(documents: Path, document_id: str) -> Path:
    """Return where a document lives: `<documents>/2026/11/22/<id>`, the date in UTC."""
    return documents / born(document_id).strftime("%Y/%m/%d") / document_id


def utc_text(moment: datetime) -> str:
    """Write a time as RFC 3339 in UTC with milliseconds and Z: the only form we store."""
    # Not strftime: it writes the years before 1000 with fewer digits, which nothing reads.
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def utc_time(text: str) -> datetime:
    """Read what `utc_text` wrote."""
    return datetime.fromisoformat(text)


def printable(name: bytes) -> str:
    """Show a file name: UTF-8 in NFC, with whatever cannot be printed escaped."""
    text = unicodedata.normalize("NFC", name.decode("utf-8", "surrogateescape"))
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))
