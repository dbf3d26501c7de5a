"""The tables of spool.db, as numbered migrations.

All that are missing run in one transaction together with the number that says they ran
(`PRAGMA user_version`), after the database was copied as it was. A database newer than
this code is refused: an older program would damage what it does not understand.

Each version that was released has a fixture in tests/unit/released/ that migrates.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

import sqlite_utils

from daemon import durable
from daemon.errors import CorruptionError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from pathlib import Path

UNDERWAY: Final = "state IN ('pending','sending')"
"""Deliveries that a target has not answered. SQLite uses a partial index only where a query repeats
its condition word for word."""
READY: Final = "state IN ('sealed','stamped') AND stamp != 'wanted' AND step = ''"
WAITING: Final = "state = 'waiting'"
SUSPECT: Final = "tries > 0"
REFUSED: Final = "state = 'refused'"
TAIL: Final = "substr(id, -8)"
COPY_WORK: Final = "copy IN ('due','leaving')"
COPY_THERE: Final = "copy = 'there'"
SUPERSEDED: Final = "superseded_by != ''"
SEALED: Final = "sealed_at IS NOT NULL"
PAGED: Final = "pages_digest != ''"
UNSTAMPED: Final = "stamp = 'wanted' AND state = 'sealed'"
AGING: Final = "state IN ('refused','filed','discarded','withdrawn') AND superseded_by = ''"
KEPT: Final = "sealed != '' AND state != 'forgotten'"
UNLINKING: Final = "local = 'leaving'"
BATCH: Final = "json_extract(described, '$.batch')"
"""Likewise, for what goes on after its seal, what waits, in whose
step the process has ended, what is refused, its copies, what others stand for, batches, what waits
for a time stamp, what time goes by for, what lies here sealed, and what is being removed here."""


def _first(db: sqlite_utils.Database) -> None:
    db.table("meta").create({"key": str, "value": str}, pk="key", not_null={"key", "value"})
    db.table("document").create(
        {
            "id": str,
            "state": str,
            "hotfolder": str,
            "profile": str,
            "kind": str,
            "size": int,
            "digest": str,
            "captured_at": str,
            "claimed_at": str,
            "changed_at": str,
            "clock": str,
            "code": str,
            "came_from": str,
            "step": str,
            "tries": int,
            "images": int,
            "findings": str,
            "sealed": str,
            "sealed_size": int,
            "note": str,
            "note_size": int,
            "checked_at": str,
            "sealed_at": str,
            "ledger_hash": str,
            "copy": str,
            "copy_until": str,
            "superseded_by": str,
            "resembles": str,
            "described": str,
            "finding_pages": str,
            "pages_digest": str,
            "duplicate_of": str,
            "level": str,
            "stamp": str,
            "stamped_at": str,
            "gap": str,
            "evidence": str,
            "evidence_until": str,
            "certificate": str,
            "local": str,
        },
        pk="id",
        not_null={"id", "state", "digest", "size", "step", "tries", "code"},
        defaults={
            "copy": "",
            "superseded_by": "",
            "resembles": "",
            "described": "{}",
            "finding_pages": "[]",
            "pages_digest": "",
            "duplicate_of": "",
            "level": "",
            "stamp": "",
            "gap": "",
            "evidence": "[]",
            "evidence_until": "",
            "certificate": "",
            "local": "",
        },
    )
    db.table("delivery").create(
        {
            "document": str,
            "target": str,
            "role": str,
            "state": str,
            "parts": str,
            "attempts": int,
            "due_at": str,
            "code": str,
            "reason": str,
            "step": str,
            "tries": int,
            "receipts": str,
            "changed_at": str,
            "sent_at": str,
            "absent_at": str,
            "sure": int,
        },
        pk=("document", "target"),
        not_null={"state", "parts", "step", "tries", "sent_at", "absent_at", "sure"},
        defaults={"sent_at": "", "absent_at": "", "sure": 0},
        foreign_keys=[("document", "document", "id")],
    )
    db.table("ledger").create(
        {"seq": int, "at": str, "document": str, "event": str, "line": str, "hash": str},
        pk="seq",
        not_null={"line", "hash"},
    )
    db.table("personal").create({"seq": int, "salt": bytes, "content": str}, pk="seq")
    # The ledger's days that were sealed, and where each was sent.
    db.table("segment").create(
        {
            "day": str,
            "first": int,
            "last": int,
            "hash": str,
            "digest": str,
            "size": int,
            "seal": str,
            "seal_size": int,
            "sealed_at": str,
        },
        pk="day",
        not_null={"first", "last", "hash", "digest", "size", "seal", "seal_size"},
    )
    db.table("segment_delivery").create(
        {"day": str, "target": str, "state": str, "receipts": str, "changed_at": str},
        pk=("day", "target"),
        not_null={"state", "receipts"},
        foreign_keys=[("day", "segment", "day")],
    )
    db.table("login").create(
        {"serial": str, "unresolved": int, "rejected": int, "permitted": int}, pk="serial"
    )
    # Who scans into a hot folder from a moment on.
    db.table("shift").create(
        {"hotfolder": str, "since": str, "operator": str},
        pk=("hotfolder", "since"),
        not_null={"operator"},
    )
    # A scanner's counter, by hot folder and subfolder: counting.py says what it means.
    db.table("counter").create(
        {"hotfolder": str, "series": str, "state": str},
        pk=("hotfolder", "series"),
        not_null={"state"},
    )
    db.table("missing").create(
        {
            "hotfolder": str,
            "series": str,
            "run": int,
            "number": int,
            "digits": int,
            "jumped_from": int,
            "noticed_at": str,
            "due_at": str,
        },
        pk=("hotfolder", "series", "run", "number"),
        not_null={"digits", "jumped_from", "noticed_at", "due_at"},
    )
    # Counts are kept in the transactions that change them: a million rows are never counted.
    db.table("tally").create({"kind": str, "state": str, "n": int}, pk=("kind", "state"))
    for statement in (
        "CREATE INDEX document_state ON document(state, id)",
        f"CREATE INDEX document_ready ON document(state, id) WHERE {READY}",
        f"CREATE INDEX document_waiting ON document(code, profile, hotfolder, id) WHERE {WAITING}",
        f"CREATE INDEX document_suspect ON document(state, tries, id) WHERE {SUSPECT}",
        f"CREATE INDEX document_unstamped ON document(sealed_at, id) WHERE {UNSTAMPED}",
        f"CREATE INDEX document_aging ON document(profile, state, changed_at, id) WHERE {AGING}",
        f"CREATE INDEX document_kept ON document(id) WHERE {KEPT}",
        f"CREATE INDEX document_unlinking ON document(id) WHERE {UNLINKING}",
        "CREATE INDEX document_step ON document(step) WHERE step != ''",
        f"CREATE INDEX document_copy ON document(hotfolder, id) WHERE {COPY_WORK}",
        f"CREATE INDEX document_copy_until ON document(hotfolder, copy_until) WHERE {COPY_THERE}",
        "CREATE INDEX document_hotfolder ON document(hotfolder, id)",
        f"CREATE INDEX document_refused ON document(hotfolder, id) WHERE {REFUSED}",
        f"CREATE INDEX document_refused_tail ON document(hotfolder, {TAIL}) WHERE {REFUSED}",
        f"CREATE INDEX document_refused_digest ON document(hotfolder, digest) WHERE {REFUSED}",
        f"CREATE INDEX document_superseded ON document(superseded_by) WHERE {SUPERSEDED}",
        "CREATE INDEX document_digest ON document(digest, id)",
        f"CREATE INDEX document_pages ON document(pages_digest, id) WHERE {PAGED}",
        f"CREATE INDEX document_sealed ON document(sealed_at, id) WHERE {SEALED}",
        f"CREATE INDEX document_batch ON document({BATCH}) WHERE {BATCH} IS NOT NULL",
        f"CREATE INDEX delivery_due ON delivery(target, state, due_at) WHERE {UNDERWAY}",
        "CREATE INDEX delivery_refused ON delivery(target, code) WHERE state = 'refused'",
        f"CREATE INDEX delivery_suspect ON delivery(target, tries) WHERE {SUSPECT}",
        "CREATE INDEX delivery_done ON delivery(target, changed_at) WHERE state = 'delivered'",
        "CREATE INDEX delivery_step ON delivery(step) WHERE step != ''",
        "CREATE INDEX ledger_document ON ledger(document, seq)",
        "CREATE INDEX ledger_at ON ledger(at)",
    ):
        db.execute(statement)


MIGRATIONS: Final[tuple[Callable[[sqlite_utils.Database], None], ...]] = (_first,)
VERSION: Final = len(MIGRATIONS)


def migrate(
    connection: sqlite3.Connection,
    path: Path | None = None,
    migrations: Sequence[Callable[[sqlite_utils.Database], None]] = MIGRATIONS,
) -> None:
    """Bring the database in *path* to the newest version, in one transaction; refuse a newer one.

    An older one is copied before, beside it and with its version behind the name: a program
    of that version can go on with the copy. *connection* is in autocommit mode; sqlite-utils
    commits on every call unless a transaction is open.
    """
    version = len(migrations)
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > version:
        raise CorruptionError(
            "database-newer", f"spool.db is of version {found}, this program knows {version}"
        )
    if found == version:
        return
    if found and path is not None:
        copy(connection, path.with_name(f"{path.name}.version-{found}"))
    db = sqlite_utils.Database(connection)
    connection.execute("BEGIN IMMEDIATE")
    try:
        for migration in migrations[found:]:
            migration(db)
        connection.execute(f"PRAGMA user_version = {version}")
    except BaseException:
        if connection.in_transaction:  # a full disk, for one, has ended it already
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def copy(connection: sqlite3.Connection, path: Path) -> None:
    """Write the database as it is to *path*, replacing what is there; return once it is durable."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        temporary.touch(mode=0o600, exist_ok=False)
        connection.execute("VACUUM INTO ?", [str(temporary)])
        durable.sync_file(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    durable.sync_folder(path.parent)
