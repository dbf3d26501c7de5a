"""`scanseal restore`: a box again on new hardware, from a backup or from its archive.

    empty state_dir ─▶ state_dir/restoring: ledger ─▶ database ─▶ documents' files
                    ─▶ what is in doubt made safe ─▶ `whole` ─▶ everything moved to its place

The ledger is the archive's days, every seal checked, and behind them what a backup has.
Where both are there the longer one counts: a chain that began anew before its archived
end would have two ends. The database is made from it as by `scanseal rebuild`.

What came after the end of that ledger nobody here knows. So: every delivery that is not
proven is asked for at its target first (I3); a try of the PIN is taken to have been made
(I6); what was not sealed by then and lies in a target is not sealed again (I5); an
original that is gone is said to be, by a code.

Until `whole` is there a second try begins anew; from then on it goes on. The service
does not start beside `restoring`.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from daemon import archived, durable, ledger, receipts
from daemon.backup import FULL, SUMS, sums
from daemon.document import Copy, DeliveryState, Part, Role, State, folder_of, utc_text, utc_time
from daemon.errors import CorruptionError, PersonNeeded
from daemon.forgetting import LOCAL
from daemon.magic import extension
from daemon.manifest import sealed_parts
from daemon.rebuild import UNSEALED, lacks, rebuild
from daemon.records import journal
from daemon.spool import RESTORING, Spool

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from daemon.audit import Caller
    from daemon.config import Config
    from daemon.document import Digest, Document
    from daemon.progress import Step

WHOLE: Final = "whole"
NAMES: Final = ("documents", "ledger", "spool.db")
"""What is moved to its place, in this order: without spool.db nothing begins."""
ALLOWED: Final = frozenset({"lock", "lost+found", RESTORING})
BATCH: Final = 1000
CLOCKS_DIFFER: Final = timedelta(days=1)
UNFROZEN: Final = frozenset({State.SEALED, State.STAMPED})
LOST: Final = "original-lost"
SEALED_AFTER: Final = "sealed-after-end"


@dataclass(slots=True, kw_only=True)
class Restored:
    """What came back, and what did not."""

    head: ledger.Head = ledger.EMPTY
    until: datetime | None = None
    """The time of the last line that is there; all that came after is not known."""
    documents: int = 0
    in_doubt: int = 0
    damaged: list[str] = field(default_factory=list)
    """Files that are not as the backup says."""
    lost: list[str] = field(default_factory=list)
    """Documents that were not sealed and whose originals are gone: REFUSED."""
    sealed_after: list[str] = field(default_factory=list)
    """Documents that went on after the end of the ledger: a target has them, a person looks."""
    missing: list[str] = field(default_factory=list)
    """Sealed documents of which neither backup nor archive has what should lie here."""
    strangers: list[str] = field(default_factory=list)
    """Documents in the archive that came after the end of the ledger."""

    def written(self) -> bytes:
        """Return it as a file: whoever finishes an interrupted run has to know it, too."""
        facts = asdict(self)
        facts["until"] = utc_text(self.until) if self.until else None
        return json.dumps(facts).encode()

    @classmethod
    def read(cls, data: bytes) -> Restored:
        """Read what `written` wrote."""
        facts = json.loads(data)
        until = utc_time(facts["until"]) if facts["until"] else None
        return cls(**{**facts, "head": ledger.Head(**facts["head"]), "until": until})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where everything comes from."""

    backup: Path | None
    archives: Sequence[Path]
    """Roots of folder archives."""
    targets: Sequence[Path]
    """Roots of all folder targets: what lies there was sent."""


def sources(config: Config, place: Path) -> Sources:
    """Return what *place* is, a backup or an archive, and which targets are to be looked at."""
    roots = [Path(share.path) for share in config.shares]
    archives = [Path(share.path) for share in config.shares if share.role == Role.ARCHIVE]
    if (place / SUMS).is_file():
        return Sources(backup=place, archives=archives, targets=roots)
    if not place.is_dir():
        raise PersonNeeded("restore-nothing", f"{place} is no folder")
    return Sources(backup=None, archives=[place], targets=list(dict.fromkeys([place, *roots])))


async def restore(
    state_dir: Path,
    found: Sources,
    box: str,
    trusted: Sequence[bytes],
    targets: Sequence[str],
    examiner: Caller,
    progress: Step,
    now: datetime,
) -> Restored:
    """Make everything in *state_dir*, whose lock the caller holds, and which has to be empty.

    *box* is the id of the box, or "" where the source tells; *trusted* are certificates that
    the days' seals have to lead to; *targets* the names of the archives that get the days.
    """
    making = state_dir / RESTORING
    with _translated():
        result = _finished(making)
        if result is None:
            _begin(making, found)
            try:
                result = await _make(making, found, box, trusted, targets, examiner, progress, now)
            except BaseException:
                shutil.rmtree(making, ignore_errors=True)
                raise
        _move(making, state_dir)
    return result


def _finished(making: Path) -> Restored | None:
    """Return what an interrupted run has made and not yet moved to its place."""
    try:
        return Restored.read((making / WHOLE).read_bytes())
    except FileNotFoundError:
        return None


def _begin(making: Path, found: Sources) -> None:
    """Refuse, or make the folder that everything is made in."""
    if any(path.name not in ALLOWED for path in making.parent.iterdir()):
        raise PersonNeeded("restore-not-empty", str(making.parent))
    for root in {*found.archives, *found.targets}:
        if not root.is_dir():
            raise PersonNeeded("restore-target-away", str(root))
    if making.exists():
        shutil.rmtree(making)  # what an interrupted try had begun
    for name in ("", "documents", "ledger"):
        (making / name).mkdir(mode=0o700)
    durable.sync_folder(making.parent)


async def _make(
    making: Path,
    found: Sources,
    box: str,
    trusted: Sequence[bytes],
    targets: Sequence[str],
    examiner: Caller,
    progress: Step,
    now: datetime,
) -> Restored:
    result = Restored()
    box = box or _only_box(found)
    days = await _longest(found, box, trusted, examiner)
    _bring_ledger(making / "ledger", days, found.backup, result)
    _leave_name(making / "ledger", found.archives, box)
    if found.backup:
        _bring_documents(making, found.backup, progress, result)
    newest = journal.files(making / "ledger")[-1:]
    if not newest:
        raise PersonNeeded("restore-nothing", "there is no day of a ledger")
    closed = bool(days) and newest[0].name.removesuffix(journal.LINES) == days[-1].segment.day
    made = rebuild(making, targets, lambda n: progress("lines", n), now, closed=closed)
    result.documents, result.in_doubt = made.documents, made.in_doubt
    with closing(Spool(making)) as spool:
        _know_days(spool, days, targets, now)
        _end_of(spool, made.lines, result)
        _same_chain(spool, found.backup)
        _bring_parts(spool, found.archives, progress, result)
        _settle(spool, found.targets, result, now)
        for serial in spool.login_serials():
            known = spool.login_record(serial)
            if known.permitted or not (known.rejected or known.unresolved):
                spool.login_attempted(serial, now)
        since = (result.until or now) - CLOCKS_DIFFER
        for root in found.archives:
            there = await archived.strangers(root, box, since, spool.exists, examiner)
            result.strangers += [one for one in there if one not in result.strangers]
        detail = {
            "from": "backup" if found.backup else "archive",
            "lines": result.head.seq,
            "hash": result.head.hash,
        }
        spool.note("restore", detail, None, now)
        spool.export_ledger()
    if (making / "spool.db-wal").exists():
        raise CorruptionError("database-damaged", f"{making}: the log was not taken over")
    durable.sync_file(making / "spool.db")
    durable.sync_folder(making)
    durable.write(making / WHOLE, result.written())
    return result


def _move(making: Path, state_dir: Path) -> None:
    """Put everything in its place. May be cut off anywhere and repeated."""
    for name in NAMES:
        if (making / name).exists():
            (making / name).rename(state_dir / name)
    durable.sync_folder(state_dir)
    # In one move, to where every start removes what it finds: half of it would stop a start.
    left = state_dir / "work" / RESTORING
    left.parent.mkdir(mode=0o700, exist_ok=True)
    making.rename(left)
    durable.sync_folder(state_dir)
    shutil.rmtree(left)


# -- the ledger -------------------------------------------------------------------------


def _only_box(found: Sources) -> str:
    """Return whose ledger it is."""
    if found.backup:
        return journal.box_id(found.backup / "ledger")
    there = archived.boxes(found.archives[0])
    if len(there) != 1:
        code = "restore-which-box" if there else "restore-nothing"
        raise PersonNeeded(code, ", ".join(there) or f"{found.archives[0]}: no day of a ledger")
    return there[0]


async def _longest(
    found: Sources, box: str, trusted: Sequence[bytes], examiner: Caller
) -> list[archived.SealedDay]:
    """Return the days of the archive that has most of them."""
    each = [await archived.days(root, box, trusted, examiner) for root in found.archives]
    return max(each, key=len, default=[])


def _bring_ledger(
    folder: Path, days: Sequence[archived.SealedDay], backup: Path | None, result: Restored
) -> None:
    for day in days:
        archived.bring(day, folder)
    archived_days = {day.segment.day for day in days}
    for name, digest in sums(backup) if backup else ():
        if backup is None or digest is None or not name.startswith("ledger/"):
            continue
        lines_of = name.removeprefix("ledger/")
        if lines_of[:10] in archived_days and not lines_of.endswith(journal.PERSONAL):
            continue
        if not _copied(backup / name, folder / lines_of, digest):
            if not lines_of.endswith(journal.PERSONAL):
                raise CorruptionError("ledger-damaged", f"{backup / name} has changed")
            result.damaged.append(name)  # names of people: the ledger is whole without them
    durable.sync_folder(folder)


def _leave_name(folder: Path, archives: Sequence[Path], box: str) -> None:
    """Give the newest day the next name where an archive can never hold its lines under its own.

    It was archived by the lost box, with lines that came after the backup, and without its
    seal: nothing there is overwritten, and without a seal nothing proves it.
    """
    for path in journal.files(folder)[-1:]:
        day = path.name.removesuffix(journal.LINES)
        if any(archived.is_taken(root, box, day, path) for root in archives):
            for ending in (journal.PERSONAL, journal.LINES):
                if (folder / (day + ending)).exists():
                    (folder / (day + ending)).rename(folder / (journal.next_day(day) + ending))
    durable.sync_folder(folder)


def _know_days(
    spool: Spool, days: Sequence[archived.SealedDay], targets: Sequence[str], now: datetime
) -> None:
    """Write down that the newest days are sealed: the lines that said so came after them."""
    last = spool.last_segment()
    for day in days:
        if last is None or day.segment.day > last.day:
            spool.seal_segment(day.segment, day.certificate, now)
            for target in targets:
                spool.begin_segment(day.segment.day, target, now)


def _end_of(spool: Spool, lines: int, result: Restored) -> None:
    """Find the last line that was brought back, behind which those of this command stand."""
    for text in spool.after(lines - 1)[:1]:
        result.head = ledger.Head(lines, ledger.hash_of(text))
        result.until = utc_time(json.loads(text)["at"])


def _same_chain(spool: Spool, backup: Path | None) -> None:
    """Raise CorruptionError if the backup's last line is not in what was brought back."""
    if backup is None:
        return
    head = journal.verify_files(backup / "ledger")
    if not spool.holds(head):
        raise CorruptionError(
            "ledger-damaged", f"the archive has another line {head.seq} than the backup"
        )


# -- documents --------------------------------------------------------------------------


def _bring_documents(making: Path, backup: Path, progress: Step, result: Restored) -> None:
    """Copy what the backup has of documents, if it is still as it says."""
    last = making
    for done, (name, digest) in enumerate(sums(backup), 1):
        progress("files", done)
        if digest is None:
            result.damaged.append(name)
            continue
        if not name.startswith("documents/"):
            continue
        target = making / name
        if target.parent != last:
            durable.sync_folder(last)
            durable.make_folders(target.parent, making)
            last = target.parent
        if not _copied(backup / name, target, digest):
            result.damaged.append(name)
    durable.sync_folder(last)


def _copied(source: Path, target: Path, digest: Digest) -> bool:
    """Copy one file of a backup; return whether it is there now, as it was written down.

    One that cannot be read, or is no file, is no reason to do without all others (I8).
    """
    try:
        held, _ = durable.copy(source, target)
    except OSError:
        if archived.is_readable(source):
            raise  # it is our own disk
        return False
    if held != digest:
        target.unlink()
    return held == digest


def _bring_parts(spool: Spool, archives: Sequence[Path], progress: Step, result: Restored) -> None:
    """Bring what is not here, or not as committed, from the archive, and write the receipts."""
    total = sum(spool.counts().get("document", {}).values())
    for done, document in enumerate(_all(spool), 1):
        progress("documents", done, total)
        folder = folder_of(spool.documents, document.id)
        durable.make_folders(folder, spool.documents)
        for part in _wanted(spool, document):
            if not _is_here(folder, part):
                (folder / part.file).unlink(missing_ok=True)
                any(archived.fetch(root, document.id, part, folder) for root in archives)
        committed = spool.receipts(document.id)
        for delivery in spool.deliveries(document.id):
            if delivery.state is DeliveryState.DELIVERED:
                proof = receipts.text(delivery, json.loads(committed[delivery.target]))
                durable.write_unsynced(receipts.path_in(folder, delivery.target), proof)
        durable.sync_folder(folder)
        if document.state not in UNSEALED and lacks(spool.documents, document):
            result.missing.append(document.id)


def _wanted(spool: Spool, document: Document) -> list[Part]:
    """Return the files that should lie here (I2)."""
    name = f"original.{extension(document.kind)}"
    parts = {name: Part(role="original", file=name, digest=document.digest, size=document.size)}
    if document.sealed is not None:
        parts |= {part.file: part for part in sealed_parts(document)}
    for delivery in spool.deliveries(document.id):
        parts |= {part.file: part for part in delivery.parts}
    gone = document.state is State.FORGOTTEN
    return [part for part in parts.values() if not (gone and LOCAL.fullmatch(part.file))]


def _is_here(folder: Path, part: Part) -> bool:
    try:
        return durable.digest_of(folder / part.file) == (part.digest, part.size)
    except OSError:
        return False


def _settle(spool: Spool, targets: Sequence[Path], result: Restored, now: datetime) -> None:
    """Decide about what was on its way: nobody seals it again, or waits for an original for ever."""
    for document in _all(spool):
        if document.state not in {*UNSEALED, *UNFROZEN}:
            continue
        code = ""
        if any((root / document.id).is_dir() for root in targets):
            code = SEALED_AFTER
            result.sealed_after.append(document.id)
            if document.state in UNFROZEN:
                spool.set_aside(document, code, "", now)
        elif document.state in UNFROZEN:
            continue
        elif lacks(spool.documents, document):
            code = LOST
            result.lost.append(document.id)
        if code and document.state in {State.CLAIMED, State.WAITING}:
            document = spool.refuse(document, code, "", now)  # noqa: PLW2901
        if code and document.copy is Copy.DUE:
            # Its text would say that nothing of it is in the DMS, and there is nothing to copy.
            spool.copy_removed(document, now)


def _all(spool: Spool) -> Iterator[Document]:
    before = ""
    while batch := spool.newest(BATCH, before):
        yield from batch
        before = batch[-1].id


@contextmanager
def _translated() -> Iterator[None]:
    """Say what the disk has said as something that a person understands."""
    try:
        yield
    except OSError as exc:
        code = "restore-full" if exc.errno in FULL else "restore-failed"
        raise PersonNeeded(code, f"{exc.filename or ''}: {exc.strerror}") from exc
    except sqlite3.Error as exc:
        full = getattr(exc, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
        raise PersonNeeded("restore-full" if full else "restore-failed", str(exc)) from exc
