"""`scanseal rebuild`: spool.db again, from the ledger's files and the documents' folders.

    lock ─▶ nothing named spool.db lies there ─▶ every line repeated into spool.db.rebuilding
         ─▶ what is in doubt is made safe, a line `rebuild` ─▶ fsync
     ─▶ personal details without their lines dropped ─▶ rename

A kill leaves at most `spool.db.rebuilding`, which the next try begins anew. Personal
details are written before their lines: those that a power cut left without one would be
taken for those of other lines. Nothing else is written or removed; a damaged database is
moved aside by a person, never by us.

The files may lack the lines that were committed last. So no delivery is taken for one
that never began: each PENDING one becomes SENDING, and its target is asked first (I3).
The same goes for sealed days of the ledger. What has an original and no line is claimed
by the next start, as after a kill.
"""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from daemon import durable, ledger, schema
from daemon.document import DeliveryEvent, State, folder_of
from daemon.errors import CorruptionError, PersonNeeded
from daemon.records import moves
from daemon.records.journal import DAY_END, LINES, box_id, drop_behind, entries, files
from daemon.records.reader import AWAITED
from daemon.records.replay import DAY_ENDED, Replay
from daemon.records.transaction import transaction
from daemon.spool import connect
from daemon.stored import kept

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from daemon.document import Document

DATABASE: Final = "spool.db"
MAKING: Final = "spool.db.rebuilding"
BESIDE: Final = ("", "-wal", "-shm", "-journal")
"""What SQLite keeps beside a database: an old log would be read into a new one."""
GROUP: Final = 10_000
"""So many lines share one commit."""
UNSEALED: Final = frozenset({State.CLAIMED, State.WAITING, State.REFUSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What was made again, and what could not be."""

    lines: int
    documents: int
    in_doubt: int
    """Deliveries that may have begun: their targets are asked before anything is sent."""
    unclaimed: tuple[str, ...]
    """Ids of folders that no line speaks of: the next start claims what lies in them."""
    missing: tuple[str, ...]
    """Ids of documents whose files should be there and are not."""


def rebuild(
    state_dir: Path,
    archives: Collection[str],
    progress: Callable[[int], None],
    now: datetime | None = None,
    *,
    closed: bool = False,
) -> Rebuilt:
    """Make spool.db again; the caller holds the lock of *state_dir*.

    *archives* are the targets that get the ledger's days; *progress* hears of how many
    lines are done. *closed*: the files end with a day that is sealed, and nothing may be
    added to it. Raise PersonNeeded while a database is there, CorruptionError where the
    ledger's files are not whole: nothing is made then.
    """
    now = now or datetime.now(UTC)
    for ending in BESIDE:
        if (state_dir / (DATABASE + ending)).exists():
            raise PersonNeeded("database-there", f"{state_dir / DATABASE}{ending}")
    folder = state_dir / "ledger"
    box = box_id(folder)
    if not box:
        raise CorruptionError("ledger-missing", f"{folder} holds no ledger")
    making = state_dir / MAKING
    for ending in BESIDE:
        (state_dir / (MAKING + ending)).unlink(missing_ok=True)
    making.touch(mode=0o600)
    with closing(connect(making)) as db:
        # Durable in the end, by one fsync; until then it is nobody's.
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA secure_delete = ON")
        schema.migrate(db)
        db.execute("INSERT INTO meta VALUES ('box_id', ?)", [box])
        replay = Replay(db, box)
        head = _repeat(replay, db, folder, box, progress)
        if closed:
            newest = files(folder)[-1].name.removesuffix(LINES)
            with transaction(db, box, now) as step:
                step.set_meta(DAY_ENDED, step.at[:10])
                step.line("", DAY_END, {"day": newest})
        in_doubt = _make_safe(replay, db, box, archives, head, now)
        found = _compared(replay, db, state_dir / "documents")
        (documents,) = db.execute("SELECT count(*) FROM document").fetchone()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (mode,) = db.execute("PRAGMA journal_mode = DELETE").fetchone()
        if mode != "delete":
            raise CorruptionError("database-damaged", f"{MAKING}: {mode}")
    durable.sync_file(making)
    drop_behind(folder, head)
    making.rename(state_dir / DATABASE)
    durable.sync_folder(state_dir)
    return Rebuilt(
        lines=head.seq,
        documents=documents,
        in_doubt=in_doubt,
        unclaimed=found[0],
        missing=found[1],
    )


def _repeat(
    replay: Replay, db: sqlite3.Connection, folder: Path, box: str, progress: Callable[[int], None]
) -> ledger.Head:
    head = ledger.EMPTY
    db.execute("BEGIN IMMEDIATE")
    for text, personal in entries(folder):
        before = head
        head = replay.take(text, head, personal)
        if json.loads(text)["box_id"] != box:
            raise CorruptionError("ledger-damaged", f"line {before.seq + 1} is of another box")
        if head.seq % GROUP == 0:
            db.execute("COMMIT")
            db.execute("BEGIN IMMEDIATE")
            progress(head.seq)
    replay.forget_reading()
    db.execute("COMMIT")
    progress(head.seq)
    return head


def _make_safe(
    replay: Replay,
    db: sqlite3.Connection,
    box: str,
    archives: Collection[str],
    head: ledger.Head,
    now: datetime,
) -> int:
    """Take nothing for unsent that may have been sent; say in the ledger what was done."""
    pending = [
        (row["document"], row["target"])
        for row in db.execute(
            f"SELECT document, target FROM delivery WHERE state = 'pending' AND {AWAITED}"  # noqa: S608
        )
    ]
    unsent = [
        (row["day"], archive)
        for archive in sorted(archives)
        for row in db.execute(
            "SELECT day FROM segment WHERE day NOT IN"
            " (SELECT day FROM segment_delivery WHERE target = ?) ORDER BY day",
            [archive],
        )
    ]
    with transaction(db, box, now) as step:
        step.line("", "rebuild", {"lines": head.seq, "hash": head.hash})
        for document_id, target in pending:
            delivery = replay.delivery(document_id, target)
            moves.move_delivery(step, delivery, DeliveryEvent.SEND, {"rebuilt": True})
        for day, archive in unsent:
            step.db.execute(
                "INSERT INTO segment_delivery(day, target, state, receipts, changed_at)"
                " VALUES (?,?,'sending','[]',?)",
                [day, archive, step.at],
            )
            step.line("", "segment-send", {"day": day, "target": archive})
    return len(pending)


def _compared(
    replay: Replay, db: sqlite3.Connection, documents: Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the ids of folders without a row, and of documents whose files are not there."""
    folders = (folder.name for folder in documents.glob("*/*/*/*") if folder.is_dir())
    unclaimed = tuple(sorted(name for name in folders if not replay.exists(name)))
    missing = tuple(document.id for document in _all(replay, db) if lacks(documents, document))
    return unclaimed, missing


def _all(replay: Replay, db: sqlite3.Connection) -> Iterator[Document]:
    for row in db.execute("SELECT id FROM document ORDER BY id").fetchall():
        yield replay.document(row["id"])


def lacks(documents: Path, document: Document) -> bool:
    """Return whether bytes of it should lie here and do not."""
    folder = folder_of(documents, document.id)
    if kept(document):
        # Stamped and killed before the rename: the next start puts it in its place.
        return not any((folder / name).exists() for name in ("sealed.pdf", "stamped.pdf"))
    return document.state in UNSEALED and not any(folder.glob("original.*"))
