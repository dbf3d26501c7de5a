"""The spool: everything that is true about every document, in one SQLite file.

The only place that writes SQL about documents and deliveries. Each public method
is one transaction: a compare-and-set of the state and its ledger line, both or
neither. Stages meet here and nowhere else; each can be killed between any two
calls and the next start continues.

    claim -> begin/seal -> freeze -> send/acknowledge -> (filed)
                 |
              refuse, crashed, set_aside, release, discard

`begin` and `begin_delivery` commit the step before it is done, so that a document
that kills us is known by name at the next start (the poison rule, I8).
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, Final, Literal, ParamSpec, TypeVar

from daemon import schema
from daemon.document import (
    Arrival,
    Delivery,
    DeliveryEvent,
    DeliveryState,
    Document,
    Event,
    Part,
    Receipt,
    Role,
    State,
    printable,
    utc_text,
)
from daemon.errors import CorruptionError, PersonNeeded
from daemon.records import moves, rows
from daemon.records.journal import Journal
from daemon.records.logins import LoginRecord
from daemon.records.reader import Reader, open_reader
from daemon.records.transaction import Transaction, transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from daemon import ledger

DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
"""What SQLite says where the file itself is wrong; anything else may be only of the moment."""

P = ParamSpec("P")
T = TypeVar("T")


class Spool(Reader):
    """spool.db and the ledger's files. Lives on one thread: see `SpoolThread`."""

    def __init__(self, state_dir: Path, *, new: bool = False) -> None:
        """Open the database; make one only if *new* and nothing was ever here.

        A missing or damaged database beside documents or ledger files is never
        replaced by an empty one: CorruptionError.
        """
        path = state_dir / "spool.db"
        try:
            if _is_empty(path):
                places = (state_dir / "documents", state_dir / "ledger")
                if not new or any(True for place in places for _ in place.iterdir()):
                    raise CorruptionError(
                        "database-missing", "spool.db is missing, or there is nothing in it"
                    )
                path.touch(mode=0o600)
            self._db = connect(path)
        except sqlite3.DatabaseError as exc:
            raise CorruptionError("database-damaged", f"spool.db: {exc}") from exc
        try:
            schema.migrate(self._db)
            self._box_id = self.meta("box_id")
            if not self._box_id:
                self._box_id = secrets.token_hex(16)
                self._db.execute("INSERT INTO meta VALUES ('box_id', ?)", [self._box_id])
            self._journal = Journal(state_dir / "ledger", self._db)
        except BaseException as exc:
            self._db.close()
            if isinstance(exc, sqlite3.DatabaseError):
                raise CorruptionError("database-damaged", f"spool.db: {exc}") from exc
            raise

    # -- start and end of the process ------------------------------------------

    def started(self, boot_id: str, now: datetime) -> tuple[str, ...]:
        """Commit that the service runs; return the ids that an unclean end is counted against.

        Counted is an unclean end in the same boot; after a power cut (another boot
        id) nothing is. The second counted end sets a document aside.
        """
        before = self.meta("running")
        counted: list[str] = []
        with self._step(now) as step:
            documents = self._select("step != ''", [])
            deliveries = self._select_deliveries("step != ''", [])
            for found in documents:
                moves.end_uncleanly(step, found, count=before == boot_id)
            for sending in deliveries:
                moves.end_delivery_uncleanly(step, sending, count=before == boot_id)
            if before == boot_id:
                counted = [d.id for d in documents] + [d.document for d in deliveries]
            step.db.execute("INSERT OR REPLACE INTO meta VALUES ('running', ?)", [boot_id])
            step.line("", "start", {"unclean": bool(before), "same_boot": before == boot_id})
        return tuple(counted)

    def stopped(self, now: datetime) -> None:
        """Commit a clean stop: whatever was in a step goes on as if nothing had been tried."""
        with self._step(now) as step:
            step.db.execute("UPDATE document SET step = '' WHERE step != ''")
            step.db.execute("UPDATE delivery SET step = '' WHERE step != ''")
            step.db.execute("DELETE FROM meta WHERE key = 'running'")
            step.line("", "stop", {})
        self.export_ledger()

    # -- documents ---------------------------------------------------------------

    def claim(self, arrival: Arrival, now: datetime) -> Document:
        """Commit a claimed scan: from now on it is ours to keep (I2)."""
        with self._step(now) as step:
            step.db.execute(
                "INSERT INTO document(id, state, hotfolder, profile, kind, size, digest,"
                " captured_at, claimed_at, changed_at, clock, code, step, tries, images, findings, sealed_size, note_size,"
                " ledger_hash, copy_due) VALUES (?,?,?,?,?,?,?,?,?,?,?,'','',0,0,'[]',0,0,'',0)",
                [
                    arrival.id,
                    State.CLAIMED,
                    arrival.hotfolder,
                    arrival.profile,
                    arrival.kind,
                    arrival.size,
                    str(arrival.digest),
                    utc_text(arrival.captured_at),
                    utc_text(arrival.claimed_at),
                    step.at,
                    arrival.clock,
                ],
            )
            step.count("document", "", State.CLAIMED)
            step.count("bytes", "", "unsealed", arrival.size)
            step.line(
                arrival.id,
                "claim",
                {
                    "hotfolder": arrival.hotfolder,
                    "profile": arrival.profile,
                    "kind": arrival.kind,
                    "size": arrival.size,
                    "sha256": str(arrival.digest),
                    "captured_at": utc_text(arrival.captured_at),
                    "claimed_at": utc_text(arrival.claimed_at),
                    "clock": arrival.clock,
                },
                {"name": printable(arrival.name), "name_hex": arrival.name.hex()},
            )
        return self.document(arrival.id)

    def begin(self, document: Document, step_name: str, now: datetime) -> ledger.Head:
        """Commit the step that is about to be tried; return the newest ledger hash."""
        with self._step(now) as step:
            step.change(
                "UPDATE document SET step = ? WHERE id = ? AND state = ? AND step = ''",
                [step_name, document.id, document.state],
            )
            return step.head()

    def give_back(self, document: Document, now: datetime) -> None:
        """End a step that could not be done for a reason that is not the document's."""
        with self._step(now) as step:
            step.change("UPDATE document SET step = '' WHERE id = ?", [document.id])

    def crashed(self, document: Document, now: datetime) -> Document:
        """Count the death of the worker that had it; the second one sets it aside."""
        with self._step(now) as step:
            moves.end_uncleanly(step, self.document(document.id), count=True)
        return self.document(document.id)

    def refuse(self, document: Document, code: str, reason: str, now: datetime) -> Document:
        """Set a document aside that cannot be sealed as it is; a copy goes back to its people."""
        with self._step(now) as step:
            moves.move_document(
                step, document, Event.REFUSE, {"code": code, "reason": reason}, code=code
            )
        return self.document(document.id)

    def seal(
        self,
        document: Document,
        sealed: Part,
        note: Part,
        facts: Mapping[str, Any],
        checked_at: datetime,
        sealed_at: datetime,
        now: datetime,
    ) -> Document:
        """Commit the only seal there will ever be, after it was read back from disk (I4).

        The document is left in the step `freeze`, which follows at once.
        """
        with self._step(now) as step:
            detail = {
                "sha256": str(sealed.digest),
                "size": sealed.size,
                "note_sha256": str(note.digest),
                "note_size": note.size,
                "checked_at": utc_text(checked_at),
                "sealed_at": utc_text(sealed_at),
                **facts,
            }
            moves.move_document(
                step,
                document,
                Event.SEAL,
                detail,
                step="freeze",
                sealed=str(sealed.digest),
                sealed_size=sealed.size,
                note=str(note.digest),
                note_size=note.size,
                images=facts["images"],
                findings=json.dumps(facts["findings"]),
                checked_at=utc_text(checked_at),
                sealed_at=utc_text(sealed_at),
                ledger_hash=facts["ledger_hash"],
            )
        return self.document(document.id)

    def freeze(
        self,
        document: Document,
        deliveries: Sequence[tuple[str, Role, tuple[Part, ...]]],
        now: datetime,
    ) -> Document:
        """Commit the manifest and make the deliveries: nothing of it changes any more."""
        with self._step(now) as step:
            detail = {
                "level": "reached",
                "deliveries": [
                    {"target": target, "role": role, "parts": rows.parts_json(parts)}
                    for target, role, parts in deliveries
                ],
            }
            moves.move_document(step, document, Event.FREEZE, detail)
            for target, role, parts in deliveries:
                step.db.execute(
                    "INSERT INTO delivery(document, target, role, state, parts, attempts, due_at,"
                    " code, reason, step, tries, receipts, changed_at)"
                    " VALUES (?,?,?,?,?,0,?,'','','',0,'[]',?)",
                    [
                        document.id,
                        target,
                        role,
                        DeliveryState.PENDING,
                        json.dumps(rows.parts_json(parts)),
                        step.at,
                        step.at,
                    ],
                )
                step.count(f"delivery:{target}", "", DeliveryState.PENDING)
        return self.document(document.id)

    def set_aside(self, document: Document, code: str, reason: str, now: datetime) -> Document:
        """Hold a sealed document: a person looks at it, nothing of it is sent."""
        with self._step(now) as step:
            moves.move_document(
                step, document, Event.SET_ASIDE, {"code": code, "reason": reason}, code=code
            )
        return self.document(document.id)

    def release(self, document_id: str, person: str, now: datetime) -> tuple[str, ...]:
        """Let a person's word set things going again; return what was released.

        The document if it is REFUSED or HELD, and each of its deliveries that is
        REFUSED. Never overrides a policy: the same rules are applied again.
        """
        document = self.known(document_id)
        personal = {"person": person}
        released: list[str] = []
        with self._step(now) as step:
            if document.state in {State.REFUSED, State.HELD}:
                moves.move_document(
                    step, document, Event.RELEASE, {}, personal, code="", tries=0, copy_due=0
                )
                released.append("document")
            for delivery in self.deliveries(document_id):
                if delivery.state is DeliveryState.REFUSED:
                    moves.move_delivery(
                        step,
                        delivery,
                        DeliveryEvent.RELEASE,
                        {},
                        personal,
                        code="",
                        reason="",
                        attempts=0,
                    )
                    released.append(delivery.target)
            # The last proof may have come while it was held: nobody looks at it again.
            moves.file_if_proven(step, self, document_id)
        if not released:
            raise PersonNeeded("nothing-to-release", f"{document_id} is {document.state}")
        return tuple(released)

    def discard(self, document_id: str, person: str, reason: str, now: datetime) -> Document:
        """Let a person give up a refused document, with a reason; the bytes stay for now (I2)."""
        document = self.known(document_id)
        if document.state is not State.REFUSED:
            raise PersonNeeded("not-refused", f"{document_id} is {document.state}")
        with self._step(now) as step:
            personal = {"person": person, "reason": reason}
            moves.move_document(step, document, Event.DISCARD, {}, personal, copy_due=0)
        return self.document(document_id)

    def copied_back(self, document: Document, now: datetime) -> None:
        """Commit that the copy and its text lie in `rejected`."""
        with self._step(now) as step:
            # Not if it was released and refused again meanwhile: that copy says another reason.
            step.db.execute(
                "UPDATE document SET copy_due = 0 WHERE id = ? AND changed_at = ?",
                [document.id, utc_text(document.changed_at)],
            )

    # -- deliveries --------------------------------------------------------------

    def begin_delivery(self, delivery: Delivery, now: datetime) -> Delivery:
        """Commit the intent to send, before the first byte leaves (I3).

        A delivery that is SENDING already is in doubt: only its step is marked.
        """
        with self._step(now) as step:
            if delivery.state is DeliveryState.PENDING:
                moves.move_delivery(step, delivery, DeliveryEvent.SEND, {}, step="deliver")
            else:
                step.change(
                    "UPDATE delivery SET step = 'deliver' WHERE document = ? AND target = ?"
                    " AND state = ?",
                    [delivery.document, delivery.target, delivery.state],
                )
        return self.delivery(delivery.document, delivery.target)

    def acknowledge(
        self, delivery: Delivery, receipts: Sequence[Receipt], now: datetime
    ) -> Document:
        """Commit that a target proved every part; file the document if it was the last."""
        proofs = rows.receipts_json(receipts)
        with self._step(now) as step:
            moves.move_delivery(
                step,
                delivery,
                DeliveryEvent.ACKNOWLEDGE,
                {"receipts": proofs},
                receipts=json.dumps(proofs),
                code="",
                reason="",
            )
            moves.file_if_proven(step, self, delivery.document)
        return self.document(delivery.document)

    def reject(self, delivery: Delivery, code: str, reason: str, now: datetime) -> None:
        """Commit that the target will never take it as it is: a person decides."""
        with self._step(now) as step:
            detail: dict[str, Any] = {"code": code, "reason": reason}
            moves.move_delivery(step, delivery, DeliveryEvent.REJECT, detail, **detail)

    def postpone(
        self, delivery: Delivery, due_at: datetime, code: str, reason: str, now: datetime
    ) -> None:
        """Commit when to try again, and why it did not work. Trouble of a target is no state."""
        with self._step(now) as step:
            step.change(
                "UPDATE delivery SET attempts = attempts + 1, due_at = ?, code = ?, reason = ?,"
                " step = '' WHERE document = ? AND target = ? AND state = ?",
                [
                    utc_text(due_at),
                    code,
                    reason,
                    delivery.document,
                    delivery.target,
                    delivery.state,
                ],
            )

    # -- the ledger ---------------------------------------------------------------

    def export_ledger(self) -> int:
        """Bring the ledger's files up to the database, fsynced; return how many lines that were."""
        return self._journal.export()

    def note(
        self,
        event: str,
        detail: Mapping[str, Any],
        personal: Mapping[str, Any] | None,
        now: datetime,
    ) -> None:
        """Commit a ledger line about the box itself."""
        with self._step(now) as step:
            step.line("", event, detail, personal)

    # -- tries to log in (I6) ------------------------------------------------------

    def login_record(self, serial: str) -> LoginRecord:
        """Return what is known of the tries to log in to a token."""
        row = self._db.execute(
            "SELECT unresolved, rejected, permitted FROM login WHERE serial = ?", [serial]
        ).fetchone()
        return (
            LoginRecord(serial, row[0], bool(row[1]), bool(row[2])) if row else LoginRecord(serial)
        )

    def login_attempted(self, serial: str, now: datetime) -> None:
        """Commit that the PIN is about to be tried; a person's permission is used up by it."""
        with self._step(now) as step:
            step.db.execute(
                "INSERT INTO login(serial, unresolved, rejected, permitted) VALUES (?, 1, 0, 0)"
                " ON CONFLICT(serial) DO UPDATE SET unresolved = unresolved + 1, permitted = 0",
                [serial],
            )
            step.line("", "login-attempt", {"token": serial})

    def login_answered(
        self,
        serial: str,
        outcome: Literal["accepted", "rejected", "failed"],
        code: str,
        now: datetime,
    ) -> None:
        """Commit what became of the attempt.

        `failed` says that the PIN was not looked at: this one attempt is closed, and
        what is known of earlier ones stays as it was.
        """
        with self._step(now) as step:
            if outcome == "failed":
                step.change(
                    "UPDATE login SET unresolved = max(unresolved - 1, 0) WHERE serial = ?",
                    [serial],
                )
            else:
                step.change(
                    "UPDATE login SET unresolved = 0, rejected = ? WHERE serial = ?",
                    [outcome == "rejected", serial],
                )
            step.line("", f"login-{outcome}", {"token": serial, "code": code})

    def permit_login(self, serial: str, person: str, now: datetime) -> None:
        """Commit that a person asks for one more try."""
        with self._step(now) as step:
            step.db.execute(
                "INSERT INTO login(serial, unresolved, rejected, permitted) VALUES (?, 0, 0, 1)"
                " ON CONFLICT(serial) DO UPDATE SET permitted = 1",
                [serial],
            )
            step.line("", "login-permitted", {"token": serial}, {"person": person})

    # -- inside of a transaction -----------------------------------------------------

    def _step(self, now: datetime) -> AbstractContextManager[Transaction]:
        return transaction(self._db, self._box_id, now)


def _is_empty(path: Path) -> bool:
    """Return whether there is no spool in *path*, without changing it.

    SQLite takes a file that was cut to nothing for a new database.
    """
    if not path.exists():
        return True
    with closing(open_reader(path)) as reader:
        return reader.version() == 0


def connect(path: Path) -> sqlite3.Connection:
    """Open spool.db for writing: WAL and synchronous=FULL, checked and not assumed."""
    db = sqlite3.connect(path, isolation_level=None, timeout=30.0)
    try:
        db.row_factory = sqlite3.Row
        (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        (synchronous,) = db.execute("PRAGMA synchronous").fetchone()
    except BaseException:
        db.close()
        raise
    if mode != "wal" or synchronous != 2:
        db.close()
        raise CorruptionError("database-damaged", f"spool.db: {mode}, synchronous {synchronous}")
    return db


class SpoolThread:
    """The spool on its own thread: `await spool(Spool.claim, arrival, now)`.

    One thread, so one writer; the event loop never waits for the disk. The
    ledger's files follow in groups: `export_ledger` is due once nothing else is.
    """

    def __init__(self, executor: ThreadPoolExecutor, spool: Spool) -> None:
        """Use `open_spool`: the spool has to be made on the thread it lives on."""
        self._executor = executor
        self._spool = spool

    async def __call__(
        self, method: Callable[Concatenate[Spool, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run one method of the spool on its thread and return what it returns."""
        work = partial(method, self._spool, *args, **kwargs)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except sqlite3.DatabaseError as exc:
            # Errors of Python's own module have no such code.
            if getattr(exc, "sqlite_errorcode", 0) & 0xFF not in DAMAGE:
                raise
            raise CorruptionError("database-damaged", f"spool.db: {exc}") from exc

    async def close(self) -> None:
        """Close the database and end the thread."""
        await self(Spool.close)
        self._executor.shutdown()


async def open_spool(state_dir: Path, *, new: bool = False) -> SpoolThread:
    """Open the spool on a thread of its own; see `Spool`."""
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spool")
    loop = asyncio.get_running_loop()
    try:
        spool = await loop.run_in_executor(executor, partial(Spool, state_dir, new=new))
    except BaseException:
        executor.shutdown()
        raise
    return SpoolThread(executor, spool)
