"""How the whole box is doing: one `Snapshot`, the same for the page, MQTT and `scanseal status`.

    spool (counts, oldest, last success) ─┐
    alarms                               ─┼─▶ make ─▶ Snapshot ─▶ page, /metrics, as_json ─▶ MQTT
    Live (what only processes know)      ─┘

Two questions come first, and each has its reasons as codes:

    all_well         nobody has to do anything (`attention` says what is to be done)
    safe_to_unplug   whatever was scanned here is proven in DMS and archive (`stay` says what is not)

Every step survives a power cut (I5), so to unplug never loses anything. What people
mean by the question is whether the box may be carried away, exchanged or lost: that
is only so when nothing is on it that is not elsewhere. A document that was refused
is only here; so is a file that still lies in a hot folder.

A snapshot holds no personal data: no file name, no operator, no content (I9). It
is made of what is here, so nothing that names people may be added to it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from daemon import ledger
from daemon.document import DeliveryState, Role, State, utc_text
from daemon.latency import NOTHING_YET, Latency

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from daemon.alarms import Alarm
    from daemon.document import Document
    from daemon.records.reader import Reader

SHOWN: Final = 20
"""So many missing numbers of a hot folder are shown."""
UNSEALED: Final = (State.CLAIMED, State.WAITING)
UNFILED: Final = (*UNSEALED, State.SEALED, State.STAMPED, State.FROZEN, State.HELD)
"""On their way. REFUSED is not: it goes nowhere until a person says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenState:
    """The HSM, as the process that speaks to it was last heard of."""

    state: Literal["starting", "ready", "needs-person", "unavailable"]
    code: str = ""
    """Why it is not ready."""
    serial: str = ""
    label: str = ""
    opened: int = 0
    """How often it was opened since the start: once, and again after each trouble."""
    latency: Latency = NOTHING_YET
    """How long its good signatures took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateState:
    """The certificate that seals."""

    subject: str
    not_after: datetime
    days_left: int
    problems: tuple[str, ...] = ()
    """Codes of what speaks against sealing with it."""
    qualified: str = "not-qualified"
    """What it says of itself, and what was found in a list: a word of qualified.py."""
    algorithm: str = ""
    """How it seals: `rsa-pss-sha256`; "" while that is not known."""
    recommended_until: str = ""
    """The last day on which BSI TR-02102-1 recommends that; "" where it does not."""
    remarks: tuple[str, ...] = ()
    """Codes of what an administrator should know of the algorithm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HotFolderState:
    """One hot folder, as its newest scan found it."""

    name: str
    waiting: int
    """Files that were seen and not claimed yet."""
    oldest_seconds: float | None
    """How long the oldest of them has been waiting."""
    writer_known: bool
    """Whether it can be known here that somebody is still writing a file."""
    last_scan_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScansMissing:
    """What never arrived in one hot folder, as its scanners count."""

    hotfolder: str
    count: int
    numbers: tuple[str, ...]
    """The first of them, as the scanner writes them; `0012 > 5000` is a jump."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecheckState:
    """What reading stored documents again came to."""

    at: datetime | None
    """When the last one was looked at."""
    checked: int
    """So many of the newest day's sample."""
    bad: int
    """So many are not what was committed, of all that were ever looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetState:
    """One target, as it was last heard of."""

    name: str
    role: Role
    unreachable_since: datetime | None = None
    last_code: str = ""
    """What it said to the last try; "" after a success."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What only the running processes know; the service gives it."""

    started_at: datetime
    now: datetime
    version: str
    box: str
    token: TokenState
    certificate: CertificateState | None
    hotfolders: tuple[HotFolderState, ...]
    targets: tuple[TargetState, ...]
    clock: str
    """Why the clock is not trusted; "" while it is."""
    disk_free_bytes: int
    mqtt_connected: bool | None
    """None where no MQTT is configured."""
    workers_replaced: int
    recheck: RecheckState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Oldest:
    """The document that has waited longest for something."""

    id: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetStatus:
    """One target with what the spool knows about it."""

    name: str
    role: Role
    deliveries: Mapping[str, int]
    """By state, every state."""
    last_success: datetime | None
    unreachable_since: datetime | None
    last_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedDay:
    """The newest day of the ledger that is sealed, and its last line."""

    date: str
    seq: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The whole at one moment."""

    at: datetime
    started_at: datetime
    version: str
    box: str
    all_well: bool
    attention: tuple[str, ...]
    safe_to_unplug: bool
    stay: tuple[str, ...]
    unproven: int
    """Documents that are not proven in DMS and archive."""
    refused: int
    records_readable: bool
    """Whether the spool could be read; if not, every count here is zero and says nothing."""
    documents: Mapping[str, int]
    """By state, every state."""
    oldest_unsealed: Oldest | None
    oldest_unfiled: Oldest | None
    oldest_refused: Oldest | None
    unstamped: int
    """Sealed documents that still want a time stamp."""
    oldest_unstamped: Oldest | None
    """The one of them that was sealed first, since then."""
    targets: tuple[TargetStatus, ...]
    token: TokenState
    certificate: CertificateState | None
    hotfolders: tuple[HotFolderState, ...]
    missing: tuple[ScansMissing, ...]
    clock: str
    disk_free_bytes: int
    mqtt_connected: bool | None
    workers_replaced: int
    alarms: tuple[Alarm, ...]
    ledger: ledger.Head
    ledger_sealed: SealedDay | None
    recheck: RecheckState | None = None
    """None before the service has looked up how far it got."""


def make(reader: Reader | None, alarms: tuple[Alarm, ...], live: Live) -> Snapshot:
    """Put together what is known now; it reads the spool, so call it in a thread.

    *reader* is None where the spool cannot be opened. One that cannot be read is no
    error here: then the page and MQTT are needed most.
    """
    readable = reader is not None
    found = _Records(
        documents={}, targets=tuple(_target(target, {}, None) for target in live.targets)
    )
    if reader is not None:
        try:
            found = _read(reader, live.targets, live.now)
        except (sqlite3.Error, ValueError):  # ValueError: a state or a time that is none
            readable = False
    attention = tuple(_attention(found, alarms, live, readable=readable))
    stay = tuple(_stay(found, live.hotfolders, readable=readable))
    counts = found.documents
    return Snapshot(
        at=live.now,
        started_at=live.started_at,
        version=live.version,
        box=live.box,
        all_well=not attention,
        attention=attention,
        safe_to_unplug=not stay,
        stay=stay,
        unproven=sum(counts.get(state, 0) for state in (*UNFILED, State.REFUSED)),
        refused=counts.get(State.REFUSED, 0),
        records_readable=readable,
        documents={state.value: counts.get(state, 0) for state in State},
        oldest_unsealed=found.oldest_unsealed,
        oldest_unfiled=found.oldest_unfiled,
        oldest_refused=found.oldest_refused,
        unstamped=found.unstamped,
        oldest_unstamped=found.oldest_unstamped,
        targets=found.targets,
        token=live.token,
        certificate=live.certificate,
        hotfolders=live.hotfolders,
        missing=found.missing,
        clock=live.clock,
        disk_free_bytes=live.disk_free_bytes,
        mqtt_connected=live.mqtt_connected,
        workers_replaced=live.workers_replaced,
        alarms=alarms,
        ledger=found.head,
        ledger_sealed=found.sealed,
        recheck=live.recheck,
    )


def as_json(snapshot: Snapshot) -> dict[str, Any]:
    """Return the snapshot as JSON has it: snake_case, times in UTC with milliseconds and Z."""
    plain: dict[str, Any] = _plain(snapshot)
    return plain


@dataclass(frozen=True, slots=True, kw_only=True)
class _Records:
    """What the spool says."""

    documents: Mapping[str, int]
    targets: tuple[TargetStatus, ...]
    oldest_unsealed: Oldest | None = None
    oldest_unfiled: Oldest | None = None
    oldest_refused: Oldest | None = None
    unstamped: int = 0
    oldest_unstamped: Oldest | None = None
    missing: tuple[ScansMissing, ...] = ()
    head: ledger.Head = ledger.EMPTY
    sealed: SealedDay | None = None

    def delivered(self, state: DeliveryState) -> int:
        return sum(target.deliveries[state] for target in self.targets)


def _read(reader: Reader, targets: Iterable[TargetState], now: datetime) -> _Records:
    counts = reader.counts()
    return _Records(
        documents=counts.get("document", {}),
        oldest_unsealed=_oldest(reader, UNSEALED),
        oldest_unfiled=_oldest(reader, UNFILED),
        oldest_refused=_oldest(reader, (State.REFUSED,)),
        unstamped=reader.unstamped(),
        oldest_unstamped=_oldest_unstamped(reader),
        missing=tuple(
            ScansMissing(
                hotfolder=name,
                count=count,
                numbers=tuple(one.text for one in reader.missing(now, name, SHOWN)),
            )
            for name, count in reader.missing_counts(now).items()
        ),
        targets=tuple(
            _target(target, counts.get(f"delivery:{target.name}", {}), reader) for target in targets
        ),
        head=reader.head(),
        sealed=_sealed(reader.last_segment()),
    )


def _sealed(found: ledger.Segment | None) -> SealedDay | None:
    if found is None:
        return None
    return SealedDay(date=found.day, seq=found.head.seq, hash=found.head.hash)


def _target(target: TargetState, counts: Mapping[str, int], reader: Reader | None) -> TargetStatus:
    return TargetStatus(
        name=target.name,
        role=target.role,
        deliveries={state.value: counts.get(state, 0) for state in DeliveryState},
        last_success=reader.last_success(target.name) if reader else None,
        unreachable_since=target.unreachable_since,
        last_code=target.last_code,
    )


def _oldest(reader: Reader, states: Iterable[State]) -> Oldest | None:
    found: list[Document] = [d for d in map(reader.oldest, states) if d is not None]
    if not found:
        return None
    # Ids are in the order of claiming: UUIDv7.
    first = min(found, key=lambda document: document.id)
    return Oldest(id=first.id, since=first.claimed_at)


def _oldest_unstamped(reader: Reader) -> Oldest | None:
    found = reader.oldest_unstamped()
    if found is None:
        return None
    return Oldest(id=found.id, since=found.sealed_at or found.claimed_at)


def _attention(
    found: _Records, alarms: tuple[Alarm, ...], live: Live, *, readable: bool
) -> Iterator[str]:
    """Yield why a person is needed."""
    if not readable:
        yield "records-unreadable"
    if alarms:
        yield "alarms-raised"
    if live.token.state != "ready":
        yield "token-starting" if live.token.state == "starting" else "token-not-ready"
    if live.certificate is not None and live.certificate.problems:
        yield "certificate-problem"
    if live.clock:
        yield "clock-not-trusted"
    if found.documents.get(State.REFUSED, 0):
        yield "documents-refused"
    if found.documents.get(State.HELD, 0):
        yield "documents-held"
    if found.delivered(DeliveryState.REFUSED):
        yield "deliveries-refused"
    if found.delivered(DeliveryState.GONE):
        yield "deliveries-gone"


def _stay(
    found: _Records, hotfolders: tuple[HotFolderState, ...], *, readable: bool
) -> Iterator[str]:
    """Yield what is on this box and is not proven to be elsewhere."""
    if not readable:
        yield "records-unreadable"
    if any(folder.last_scan_at is None for folder in hotfolders):
        yield "hotfolder-not-seen"
    if any(folder.waiting for folder in hotfolders):
        yield "files-waiting"
    counts = found.documents
    if any(counts.get(state, 0) for state in UNSEALED):
        yield "not-sealed"
    if any(counts.get(state, 0) for state in UNFILED if state not in UNSEALED):
        yield "not-filed"
    if counts.get(State.REFUSED, 0):
        yield "documents-refused"
    if found.delivered(DeliveryState.GONE):
        yield "deliveries-gone"


def _plain(value: object) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return round(value, 3)
    return value
