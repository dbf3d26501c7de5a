"""Reading spool.db: for the stages (on the spool's own thread) and for the views.

A view opens its own read-only connection with `open_reader`, so a page never
waits for a stage. Counts come from the tallies that the transactions keep.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from daemon import ledger, lifecycle, schema
from daemon.counting import Missing
from daemon.document import Delivery, Document, State, is_id, utc_text, utc_time
from daemon.errors import PersonNeeded
from daemon.records import rows
from daemon.records.transaction import together

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from daemon.document import Digest

SENDABLE: Final = (
    "step = '' AND EXISTS (SELECT 1 FROM document WHERE id = delivery.document"
    " AND document.state IN ('frozen','filed'))"
)
"""Nothing is sent of a document that is held or was withdrawn; addenda follow a filed one."""

AWAITED: Final = (
    "EXISTS (SELECT 1 FROM document WHERE id = delivery.document"
    " AND document.state NOT IN ('withdrawn','forgotten'))"
)
"""Of what was withdrawn nothing is ever sent."""


FEWEST_DIGITS: Final = 8
"""So many of an id's last digits say which document is meant: the first ones are a time."""
GROUP_DIGITS: Final = 12
"""The last group of an id has so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedOne:
    """One document as `scanseal sealed-since` tells it."""

    id: str
    sealed_at: str
    state: str
    certificate: str
    """SHA-256 of the certificate that sealed it."""
    targets: dict[str, str]
    """The state of each delivery, by target."""


class Reader:
    """What can be asked of the database without changing it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        """Read through *db*."""
        self._db = db

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def document(self, document_id: str) -> Document:
        """Return a document that exists."""
        (found,) = self._select("id = ?", [document_id])
        return found

    def sealed_after(self, document_id: str, limit: int) -> list[Document]:
        """Return the next documents by id that have sealed bytes here."""
        return self._select(f"id > ? AND {schema.KEPT} ORDER BY id LIMIT ?", [document_id, limit])

    def sealed_with(self, document_id: str) -> str:
        """Return the SHA-256 of the certificate that a document was sealed with, or ""."""
        statement = "SELECT line FROM ledger WHERE document = ? AND event = 'seal'"
        for (line,) in self._db.execute(statement, [document_id]):
            return str(json.loads(line)["detail"].get("certificate_sha256", ""))
        return ""

    def known(self, document_id: str) -> Document:
        """Return a document that a person named, or raise PersonNeeded."""
        found = self._select("id = ?", [document_id]) if is_id(document_id) else []
        if not found:
            raise PersonNeeded("unknown-document", f"no document {document_id!r}")
        return found[0]

    def named(self, text: str) -> Document:
        """Return the one document that a person means: its id, or the last digits of it.

        Raise PersonNeeded if there is none, or more than one.
        """
        digits = text.strip().lower().replace("-", "").lstrip("~")
        found: list[Document] = []
        if set(digits) - set("0123456789abcdef"):
            pass
        elif len(digits) == 32:
            groups = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
            found = self._select("id = ?", ["-".join(groups)])
        elif FEWEST_DIGITS <= len(digits) <= GROUP_DIGITS:
            # Over the ids' own index; only people ask, and seldom.
            ending = "SELECT id FROM document WHERE substr(id, ?) = ? LIMIT 2"
            found = self._select(f"id IN ({ending})", [-len(digits), digits])
        if not found:
            raise PersonNeeded("unknown-document", repr(text))
        if len(found) > 1:
            raise PersonNeeded("ambiguous-id", repr(text))
        return found[0]

    def superseded(self, document_id: str) -> list[Document]:
        """Return the refused documents that this one stands for."""
        return self._select(f"{schema.SUPERSEDED} AND superseded_by = ? ORDER BY id", [document_id])

    def resembled(self, document: Document) -> str:
        """Return the id of a refused document that *document* may stand for; "" if there is none.

        None any more once either of them was decided about.
        """
        if not document.resembles or document.given_up:
            return ""
        refused = self.document(document.resembles).state is State.REFUSED
        return document.resembles if refused else ""

    def exists(self, document_id: str) -> bool:
        """Return whether there is a row of that id."""
        return bool(self._select("id = ?", [document_id]))

    def remembered(self, document_id: str) -> bool:
        """Return whether the ledger has a line about that id."""
        statement = "SELECT 1 FROM ledger WHERE document = ? LIMIT 1"
        return self._db.execute(statement, [document_id]).fetchone() is not None

    @together
    def in_state(self, state: State, limit: int) -> list[Document]:
        """Return the next documents in *state* that are in no step: suspects first, then oldest.

        Those that want a time stamp are not among them: see `Stamps.to_stamp`.
        """
        # A scan is not sealed yet: it has no stamp to wait for. The suspects are few.
        claimed = state is State.CLAIMED
        which, index = (
            (f"state = '{state.value}'", "document_state")
            if claimed
            else (f"{schema.READY} AND state = '{state.value}'", "document_ready")
        )
        suspects = self._select(
            f"{schema.SUSPECT} AND {which} AND step = '' ORDER BY tries DESC, id LIMIT ?",
            [limit],
            index="document_suspect",
        )
        return suspects + self._select(
            f"{which} AND tries = 0 AND step = '' ORDER BY id LIMIT ?",
            [limit - len(suspects)],
            index=index,
        )

    def waiting(self, hotfolder: str) -> list[str]:
        """Return the ids of a hot folder's documents that wait to be described, the oldest first."""
        statement = (
            f"SELECT id FROM document INDEXED BY document_waiting WHERE {schema.WAITING}"  # noqa: S608
            " AND code IN ('sidecar','describing') AND hotfolder = ? ORDER BY id"
        )
        return [found for (found,) in self._db.execute(statement, [hotfolder])]

    def waiting_for(self, code: str, hotfolder: str = "") -> list[str]:
        """Return the ids of the documents that wait for *code*, the oldest first."""
        which = " AND hotfolder = ?" if hotfolder else ""
        statement = f"SELECT id FROM document INDEXED BY document_waiting WHERE {schema.WAITING} AND code = ?{which} ORDER BY id"  # noqa: S608
        values = [code, hotfolder] if hotfolder else [code]
        return [found for (found,) in self._db.execute(statement, values)]

    @together
    def waiting_count(self, code: str) -> int:
        """Return how many documents wait for *code*."""
        statement = f"SELECT count(*) FROM document INDEXED BY document_waiting WHERE {schema.WAITING} AND code = ?"  # noqa: S608
        return int(self._db.execute(statement, [code]).fetchone()[0])

    @together
    def waiting_profiles(self, code: str) -> dict[str, int]:
        """Return how many documents of each profile wait for *code*."""
        statement = (
            f"SELECT profile, count(*) FROM document INDEXED BY document_waiting WHERE {schema.WAITING}"  # noqa: S608
            " AND code = ? GROUP BY profile"
        )
        return dict(self._db.execute(statement, [code]).fetchall())

    def sealed_since(self, since: datetime, after: tuple[str, str], limit: int) -> list[SealedOne]:
        """Return what was sealed at *since* or later, by time and id, from behind *after* on."""
        statement = (
            "SELECT id, sealed_at, state, certificate FROM document"  # noqa: S608
            f" WHERE {schema.SEALED} AND sealed_at >= ? AND (sealed_at, id) > (?, ?)"
            " ORDER BY sealed_at, id LIMIT ?"
        )
        return [
            SealedOne(
                **row,
                targets={one.target: one.state.value for one in self.deliveries(row["id"])},
            )
            for row in map(dict, self._db.execute(statement, [utc_text(since), *after, limit]))
        ]

    def count_sealed_since(self, since: datetime, certificate: Digest) -> int:
        """Return how many documents one certificate has sealed since then."""
        statement = (
            f"SELECT count(*) FROM document WHERE {schema.SEALED} AND sealed_at >= ?"  # noqa: S608
            " AND certificate = ?"
        )
        values = [utc_text(since), str(certificate)]
        return int(self._db.execute(statement, values).fetchone()[0])

    def waiting_hotfolders(self) -> set[str]:
        """Return the hot folders of documents that wait to be described: they are still needed."""
        statement = (
            f"SELECT DISTINCT hotfolder FROM document INDEXED BY document_waiting WHERE {schema.WAITING}"  # noqa: S608
            " AND code IN ('sidecar','describing')"
        )
        return {found for (found,) in self._db.execute(statement)}

    def of_batch(self, batch: str, hotfolder: str = "") -> list[Document]:
        """Return the documents of one batch, the oldest first; of one hot folder if it is named."""
        which = " AND hotfolder = ?" if hotfolder else ""
        return self._select(
            f"{schema.BATCH} = ? AND {schema.BATCH} IS NOT NULL{which} ORDER BY id",
            [batch, hotfolder] if hotfolder else [batch],
        )

    def missing(self, now: datetime, hotfolder: str = "", limit: int = 1000) -> list[Missing]:
        """Return what people have to be told of the scanners' counters by *now*."""
        which = " AND hotfolder = ?" if hotfolder else ""
        statement = (
            "SELECT hotfolder, series, number, digits, jumped_from, noticed_at FROM missing"  # noqa: S608
            f" WHERE due_at <= ?{which} ORDER BY hotfolder, series, run, number LIMIT ?"
        )
        values = [utc_text(now), *([hotfolder] if hotfolder else []), limit]
        return [
            Missing(**{**row, "noticed_at": utc_time(row["noticed_at"])})
            for row in map(dict, self._db.execute(statement, values))
        ]

    def missing_counts(self, now: datetime) -> dict[str, int]:
        """Return how many lines `missing` has of each hot folder that has any."""
        statement = (
            "SELECT hotfolder, count(*) FROM missing WHERE due_at <= ?"
            " GROUP BY hotfolder ORDER BY hotfolder"
        )
        return dict(self._db.execute(statement, [utc_text(now)]).fetchall())

    def missing_count(self, hotfolder: str, now: datetime) -> int:
        """Return how many lines `missing` has of one hot folder."""
        statement = "SELECT count(*) FROM missing WHERE hotfolder = ? AND due_at <= ?"
        return int(self._db.execute(statement, [hotfolder, utc_text(now)]).fetchone()[0])

    def ids_between(self, first: str, before: str) -> set[str]:
        """Return the ids of all rows from *first* on, up to and without *before*."""
        statement = "SELECT id FROM document WHERE id >= ? AND id < ?"
        return {found for (found,) in self._db.execute(statement, [first, before])}

    @together
    def due(self, target: str, now: datetime, limit: int) -> list[Delivery]:
        """Return deliveries to *target* that may be tried now: suspects first, then oldest.

        Only those that nobody has in a step, of documents that may be sent (`SENDABLE`).
        """
        suspects = self._select_deliveries(
            f"target = ? AND {schema.SUSPECT} AND {schema.UNDERWAY} AND (due_at <= ? OR due_at > ?)"
            f" AND {SENDABLE} ORDER BY tries DESC, document LIMIT ?",
            [target, utc_text(now), utc_text(now + lifecycle.LONGEST_BACKOFF), limit],
            index="delivery_suspect",
        )
        # One state and one side at a time, so that the index is followed for as long as it is due
        # and no further.
        calm = [
            delivery
            for state in ("pending", "sending")
            for side, until in (
                ("due_at <= ?", now),
                # Later than any pause is long: written by a clock that was set back since.
                ("due_at > ?", now + lifecycle.LONGEST_BACKOFF),
            )
            for delivery in self._select_deliveries(
                f"target = ? AND {schema.UNDERWAY} AND state = '{state}' AND tries = 0 AND {side}"
                f" AND {SENDABLE} ORDER BY due_at LIMIT ?",
                [target, utc_text(until), limit],
                index="delivery_due",
            )
        ]
        calm.sort(key=lambda delivery: delivery.document)
        return [*suspects, *calm][:limit]

    @together
    def next_due(self, target: str) -> datetime | None:
        """Return when the next delivery that `due` would return is due, or None."""
        # One state at a time, so that the index is followed to the first row and no further.
        found = [
            row[0]
            for state in ("pending", "sending")
            for row in self._db.execute(
                f"SELECT due_at FROM delivery WHERE target = ? AND {schema.UNDERWAY}"  # noqa: S608
                f" AND state = '{state}' AND due_at IS NOT NULL AND {SENDABLE}"
                " ORDER BY due_at LIMIT 1",
                [target],
            )
        ]
        return utc_time(min(found)) if found else None

    def sendable(self, delivery: Delivery) -> bool:
        """Return whether *delivery* is still as it was read, and may be sent."""
        return bool(
            self._select_deliveries(
                f"document = ? AND target = ? AND state = ? AND attempts = ? AND {SENDABLE}",
                [delivery.document, delivery.target, delivery.state, delivery.attempts],
            )
        )

    def delivery(self, document_id: str, target: str) -> Delivery:
        """Return a delivery that exists."""
        (found,) = self._select_deliveries("document = ? AND target = ?", [document_id, target])
        return found

    def delivered_near(self, target: str, place: float) -> Delivery | None:
        """Return a delivery that *target* proved at about *place* of all times; None without one.

        *place* goes from 0, the first that it proved, to 1, the last.
        """
        where = "target = ? AND state = 'delivered'"
        ends = [
            self._db.execute(
                f"SELECT changed_at FROM delivery WHERE {where} ORDER BY changed_at {way} LIMIT 1",  # noqa: S608
                [target],
            ).fetchone()
            for way in ("", "DESC")
        ]
        if None in ends:
            return None
        first, last = (utc_time(one[0]) for one in ends)
        (found,) = self._select_deliveries(
            f"{where} AND changed_at >= ? ORDER BY changed_at LIMIT 1",
            [target, utc_text(first + (last - first) * place)],
        )
        return found

    def reference(self, document_id: str, target: str) -> str:
        """Return how *target* names the sealed file that it holds; "" if it holds none."""
        said = self.receipts(document_id).get(target, "[]")
        found = {receipt["key"]: receipt["reference"] for receipt in json.loads(said)}
        return str(found.get(f"{document_id}/sealed.pdf", ""))

    def deliveries_refused(self, target: str, code: str) -> int:
        """Return how many deliveries a target refuses with *code*."""
        (n,) = self._db.execute(
            "SELECT count(*) FROM delivery WHERE state = 'refused' AND target = ? AND code = ?",
            [target, code],
        ).fetchone()
        return int(n)

    def deliveries(self, document_id: str) -> list[Delivery]:
        """Return the deliveries of a document."""
        return self._select_deliveries("document = ? ORDER BY target", [document_id])

    def open_targets(self) -> set[str]:
        """Return the targets that open deliveries name: the configuration has to have them.

        What was withdrawn before it was sent stays PENDING for ever, and needs no target.
        """
        open_ = self._db.execute(
            "SELECT kind, state FROM tally WHERE kind LIKE 'delivery:%' AND n > 0"
            " AND state IN ('pending','sending','refused','gone')"
        ).fetchall()
        named = [(kind.removeprefix("delivery:"), state) for kind, state in open_]
        return {target for target, state in named if state != "pending" or self._pending(target)}

    def _pending(self, target: str) -> bool:
        """Return whether something is to be sent to *target* that was not withdrawn."""
        statement = (
            f"SELECT 1 FROM delivery WHERE target = ? AND {schema.UNDERWAY}"  # noqa: S608
            f" AND state = 'pending' AND {AWAITED} LIMIT 1"
        )
        return self._db.execute(statement, [target]).fetchone() is not None

    def open_profiles(self) -> set[str]:
        """Return the profiles that documents before their manifest name: they are still needed."""
        return {profile for profile, n in self.counts().get("profile", {}).items() if n}

    @together
    def unsealed_bytes(self) -> int:
        """Return the size of all originals that have no seal yet."""
        row = self._db.execute(
            "SELECT n FROM tally WHERE kind = 'bytes' AND state = 'unsealed'"
        ).fetchone()
        return int(row[0]) if row else 0

    @together
    def head(self) -> ledger.Head:
        """Return where the ledger stands."""
        row = self._db.execute("SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1").fetchone()
        return ledger.Head(*row) if row else ledger.EMPTY

    def last_segment(self) -> ledger.Segment | None:
        """Return the newest day of the ledger that is sealed."""
        row = self._db.execute("SELECT * FROM segment ORDER BY day DESC LIMIT 1").fetchone()
        return rows.segment(row) if row else None

    @together
    def counts(self) -> dict[str, dict[str, int]]:
        """Return how many there are: `document` and `delivery:<target>`, by state."""
        found: dict[str, dict[str, int]] = {}
        for kind, state, n in self._db.execute("SELECT kind, state, n FROM tally WHERE n != 0"):
            found.setdefault(kind, {})[state] = n
        return found

    def oldest(self, state: State) -> Document | None:
        """Return the oldest document in *state*."""
        found = self._select("state = ? ORDER BY id LIMIT 1", [state])
        return found[0] if found else None

    def unstamped(self) -> int:
        """Return how many sealed documents want a time stamp."""
        index = "document_unstamped"
        statement = f"SELECT count(*) FROM document INDEXED BY {index} WHERE {schema.UNSTAMPED}"  # noqa: S608
        return int(self._db.execute(statement).fetchone()[0])

    def oldest_unstamped(self) -> Document | None:
        """Return the one of them that was sealed first."""
        oldest = f"{schema.UNSTAMPED} ORDER BY sealed_at, id LIMIT 1"
        found = self._select(oldest, [], index="document_unstamped")
        return found[0] if found else None

    def newest(self, limit: int, before: str = "", state: State | None = None) -> list[Document]:
        """Return the newest documents, those before the id *before* and in *state* if given."""
        newest = "id < ? ORDER BY id DESC LIMIT ?"
        if state is None:
            return self._select(newest, [before or "~", limit])
        values = [state, before or "~", limit]
        return self._select(f"state = ? AND {newest}", values, index="document_state")

    def newest_of(self, hotfolder: str, limit: int) -> list[Document]:
        """Return the newest documents of a hot folder."""
        return self._select("hotfolder = ? ORDER BY id DESC LIMIT ?", [hotfolder, limit])

    def last_success(self, target: str) -> datetime | None:
        """Return when *target* last proved a document."""
        row = self._db.execute(
            "SELECT max(changed_at) FROM delivery WHERE target = ? AND state = 'delivered'",
            [target],
        ).fetchone()
        return utc_time(row[0]) if row and row[0] else None

    def receipts(self, document_id: str) -> dict[str, str]:
        """Return the receipts of a document as JSON texts, by target."""
        return dict(
            self._db.execute(
                "SELECT target, receipts FROM delivery WHERE document = ? AND receipts != '[]'",
                [document_id],
            ).fetchall()
        )

    def lines(self, document_id: str) -> list[str]:
        """Return the ledger lines of a document, in order."""
        statement = "SELECT line FROM ledger WHERE document = ? ORDER BY seq"
        return [line for (line,) in self._db.execute(statement, [document_id])]

    def after(self, seq: int) -> list[str]:
        """Return the ledger lines after number *seq*, in order."""
        statement = "SELECT line FROM ledger WHERE seq > ? ORDER BY seq"
        return [line for (line,) in self._db.execute(statement, [seq])]

    def chain(self) -> Iterable[str]:
        """Yield every ledger line, in order."""
        for (line,) in self._db.execute("SELECT line FROM ledger ORDER BY seq"):
            yield line

    def fault(self) -> str:
        """Return the first thing that SQLite finds wrong in the whole file; "" if it is sound.

        Reads all of it; `interrupt` ends it with an OperationalError.
        """
        (said,) = self._db.execute("PRAGMA integrity_check(1)").fetchone()
        return "" if said == "ok" else str(said)

    def interrupt(self) -> None:
        """End what another thread is asking for on this connection."""
        self._db.interrupt()

    def version(self) -> int:
        """Return the version of the tables; 0 where there are none of ours."""
        (found,) = self._db.execute("PRAGMA user_version").fetchone()
        return int(found)

    def box_id(self) -> str:
        """Return the random id of this box."""
        return self.meta("box_id")

    def _select(self, where: str, values: Iterable[Any], *, index: str = "") -> list[Document]:
        """*index* has to be used: SQLite, which knows no numbers of rows, may guess another."""
        by = f" INDEXED BY {index}" if index else ""
        statement = f"SELECT {rows.DOCUMENT} FROM document{by} WHERE {where}"  # noqa: S608
        return [rows.document(row) for row in self._db.execute(statement, list(values))]

    def _select_deliveries(
        self, where: str, values: Iterable[Any], *, index: str = ""
    ) -> list[Delivery]:
        by = f" INDEXED BY {index}" if index else ""
        statement = f"SELECT {rows.DELIVERY} FROM delivery{by} WHERE {where}"  # noqa: S608
        return [rows.delivery(row) for row in self._db.execute(statement, list(values))]

    def meta(self, key: str) -> str:
        """Return a fact about the box, or "" if it is not known."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", [key]).fetchone()
        return row[0] if row else ""


def open_reader(path: Path) -> Reader:
    """Open spool.db read-only, on a connection of its own."""
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro",
        uri=True,
        isolation_level=None,
        timeout=30.0,
        check_same_thread=False,
    )
    db.row_factory = sqlite3.Row
    return Reader(db)
