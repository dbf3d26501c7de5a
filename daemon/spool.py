"""The spool: everything that is true about every document, in one SQLite file.

The face of `records/`, the only place with SQL about documents and deliveries. Each
public method is one transaction: a compare-and-set of the state and its ledger line, both or
neither. Stages meet here and nowhere else; each can be killed between any two
calls and the next start continues.

    claim -> begin/seal -> freeze -> send/acknowledge -> (filed)
                 |
              refuse, crashed, set_aside, release, discard, supersede

`begin` and `begin_delivery` commit the step before it is done, so that a document
that kills us is known by name at the next start (the poison rule, I8).
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from daemon import ledger, schema
from daemon.document import Event, utc_text
from daemon.errors import CorruptionError
from daemon.records import moves
from daemon.records.clocks import Clocks
from daemon.records.copies import Copies
from daemon.records.damage import end_if_unsynced, name_damage
from daemon.records.days import Days
from daemon.records.deliveries import Deliveries
from daemon.records.descriptions import Descriptions
from daemon.records.documents import Documents
from daemon.records.forgetting import Forgetting
from daemon.records.journal import DAY_END, LINES, Journal, files
from daemon.records.logbook import Logbook
from daemon.records.operators import Operators
from daemon.records.reader import open_reader
from daemon.records.rechecks import Rechecks
from daemon.records.segments import Segments
from daemon.records.stamps import Stamps
from daemon.records.thread import Call, OneThread
from daemon.records.transaction import Group
from daemon.records.twins import Twins

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

DAY_ENDED: Final = "day_ended"
"""The fact by that name: on which day a file of the ledger was closed last."""

CACHE_KIB: Final = 16_000
"""What a large database is worked with often stays in memory; SQLite's own 2,000 are not enough."""

RESTORING: Final = "restoring"
"""Where `scanseal restore` makes what is to lie in state_dir: nothing begins beside half of it."""


class Spool(
    Documents,
    Descriptions,
    Deliveries,
    Copies,
    Forgetting,
    Logbook,
    Clocks,
    Days,
    Operators,
    Rechecks,
    Segments,
    Stamps,
    Twins,
):
    """spool.db and the ledger's files. Lives on one thread: see `SpoolThread`."""

    def __init__(self, state_dir: Path, *, new: bool = False) -> None:
        """Open the database; make one only if *new* and nothing was ever here.

        A missing or damaged database beside documents or ledger files is never
        replaced by an empty one: CorruptionError.
        """
        path = state_dir / "spool.db"
        if (state_dir / RESTORING).exists():
            raise CorruptionError("restore-unfinished", f"{state_dir / RESTORING} is there")
        self.documents = state_dir / "documents"
        """Where each document has its folder."""
        try:
            if _is_empty(path):
                places = (self.documents, state_dir / "ledger")
                if not new or any(True for place in places for _ in place.iterdir()):
                    raise CorruptionError(
                        "database-missing", "spool.db is missing, or there is nothing in it"
                    )
                path.touch(mode=0o600)
            db = connect(path)
        except sqlite3.DatabaseError as exc:
            name_damage(exc)
            raise
        try:
            schema.migrate(db, path)
            super().__init__(db, _box_id(db))
            self._ledger = state_dir / "ledger"
            self._journal = Journal(self._ledger, db)
            self._finish_erasing()
        except BaseException as exc:
            end_if_unsynced(exc)
            db.close()
            if isinstance(exc, sqlite3.DatabaseError):
                name_damage(exc)
            raise

    # -- start and end of the process ------------------------------------------

    def in_step(self) -> set[str]:
        """Return the ids of documents that an end has left in a step, or a delivery of theirs."""
        documents = self._select("step != ''", [])
        deliveries = self._select_deliveries("step != ''", [])
        return {found.id for found in documents} | {found.document for found in deliveries}

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
            step.set_meta("running", boot_id)
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

    # -- the ledger ---------------------------------------------------------------

    def export_ledger(self) -> int:
        """Bring the ledger's files up to the database, fsynced; return how many lines that were."""
        exported = self._journal.export()
        self._finish_erasing()
        return exported

    def manifest_is_ahead(self, document_id: str) -> bool:
        """Return whether the files lack lines of a document up to its manifest's."""
        row = self._db.execute(
            "SELECT max(seq) FROM ledger WHERE document = ? AND event = ?",
            [document_id, Event.FREEZE],
        ).fetchone()
        return (row[0] or 0) > self._journal.seq

    def day_is_over(self, now: datetime) -> bool:
        """Return whether the newest file is to be closed, if *now* can be trusted.

        A clock that was wrong once may have named it after a day to come, perhaps years
        away: then it is closed once a day as well, and the names run ahead of the days.
        """
        newest, today = self._journal.day, utc_text(now)[:10]
        ahead = newest > today and self.meta(DAY_ENDED) < today
        return "" < newest < today or ahead

    def end_day(self, now: datetime) -> None:
        """Close the newest file if its day is over: it never changes again."""
        self.export_ledger()
        if self.day_is_over(now):
            with self._step(now) as step:
                step.set_meta(DAY_ENDED, step.at[:10])
                step.line("", DAY_END, {"day": self._journal.day})
            self.export_ledger()

    def next_segment(self) -> tuple[Path, ledger.Head] | None:
        """Return the file of the oldest day that is over and not sealed, and what it follows."""
        before = self.last_segment()
        for path in files(self._ledger):
            day = path.name.removesuffix(LINES)
            if day < self._journal.day and (before is None or day > before.day):
                return path, before.head if before else ledger.EMPTY
        return None

    def erase_personal(self, which: str | range, now: datetime) -> int:
        """Erase the personal details of a document's lines, or of a range of lines.

        Return of how many lines. The chain stays valid: each line holds only a salted
        hash. What was erased is gone from the database's file and from the ledger's.
        """
        condition, values = (
            ("seq IN (SELECT seq FROM ledger WHERE document = ?)", [which])
            if isinstance(which, str)
            else ("seq >= ? AND seq < ?", [which.start, which.stop])
        )
        self.export_ledger()
        # Else SQLite leaves the bytes of deleted rows where they were.
        self._db.execute("PRAGMA secure_delete = ON")
        with self._step(now) as step:
            erased = [
                seq
                for (seq,) in step.db.execute(
                    f"SELECT seq FROM personal WHERE {condition} ORDER BY seq",  # noqa: S608
                    values,
                )
            ]
            step.db.execute(f"DELETE FROM personal WHERE {condition}", values)  # noqa: S608
            step.db.execute("INSERT OR REPLACE INTO meta VALUES ('erasing', '1')")
            document = which if isinstance(which, str) else ""
            step.line(document, "personal-erase", {"lines": erased})
        self._finish_erasing()
        return len(erased)

    def _finish_erasing(self) -> None:
        """Take what was erased out of the files as well; a start goes on with it."""
        if self.meta("erasing"):
            self._journal.drop_erased()
            # The database's log still holds the rows as they were.
            busy, *_ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:  # else a reader holds it up: the next export goes on with it
                self._db.execute("DELETE FROM meta WHERE key = 'erasing'")

    # -- several steps, one commit ---------------------------------------------------

    def share_commit(self, calls: Sequence[Call]) -> None:
        """Run *calls*, and make what they did durable together: all of it, or nothing.

        One that fails by itself, as a compare-and-set that came too late, takes no other along.
        """
        group = self._group = Group(self._db)
        try:
            for call in calls:
                call.run()
                if group.ended(call.error):
                    break
            group.commit()
        except BaseException as exc:  # noqa: BLE001 (it is told to everybody)
            end_if_unsynced(exc)
            for call in calls:
                call.error = exc
        finally:
            self._group = None

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


def _box_id(db: sqlite3.Connection) -> str:
    """Return the random id of this box, which is made with its database."""
    found = db.execute("SELECT value FROM meta WHERE key = 'box_id'").fetchone()
    if found:
        return str(found[0])
    made = secrets.token_hex(16)
    db.execute("INSERT INTO meta VALUES ('box_id', ?)", [made])
    return made


def _is_empty(path: Path) -> bool:
    """Return whether there is no spool in *path*, without changing it.

    SQLite takes a file that was cut to nothing for a new database.
    """
    if not path.exists():
        return True
    if not path.is_file():
        raise CorruptionError("database-damaged", "spool.db is no file")
    if path.with_name(f"{path.name}-journal").exists():
        # There is one only until the log is switched on: the first start ended before that.
        # What only reads may not take it back.
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA user_version").fetchone()
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
        db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        (synchronous,) = db.execute("PRAGMA synchronous").fetchone()
    except BaseException:
        db.close()
        raise
    if mode != "wal" or synchronous != 2:
        db.close()
        raise CorruptionError("database-damaged", f"spool.db: {mode}, synchronous {synchronous}")
    return db


class SpoolThread(OneThread[Spool]):
    """The spool, as everybody else has it: `await spool(Spool.claim, arrival, now)`."""


async def open_spool(state_dir: Path, *, new: bool = False) -> SpoolThread:
    """Open the spool on a thread of its own; see `Spool`."""
    ready: asyncio.Future[Spool] = asyncio.get_running_loop().create_future()
    thread = SpoolThread(partial(Spool, state_dir, new=new), ready)
    try:
        await ready
    except BaseException:
        thread.end()
        raise
    return thread
