"""The ledger's days: each is a segment that is sealed, and sent to every archive.

    over ──seal──▶ sealed ──send──▶ sending ──acknowledge──▶ delivered   (per archive)

The lines about a day stand in a later one. A day is over once a later line stands in
the files: then its file never changes again, whatever the clock does. Sending is
committed before the first byte leaves, so whoever finds it begun asks the archive
first (I3). A day that no archive has been told of has no row; so an archive that is
added later gets the earlier days, too.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

from daemon import durable, ledger
from daemon.document import Digest, utc_time
from daemon.errors import CorruptionError
from daemon.records import rows
from daemon.records.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from daemon.document import Receipt
    from daemon.ledger import Segment

LOOKED_AT: Final = 1000
"""So many lines are looked at for the oldest that is in no archive: the clock may have jumped."""


class Segments(Writer):
    """What happens to the ledger's days."""

    def seal_segment(self, segment: Segment, certificate: Digest, now: datetime) -> None:
        """Commit that a day is sealed: its file and its seal lie there, durable."""
        with self._step(now) as step:
            step.db.execute(
                "INSERT INTO segment(day, first, last, hash, digest, size, seal, seal_size, sealed_at)"
                " VALUES (?,?,?,?,?,?,?,?,?)",
                [
                    segment.day,
                    segment.first,
                    segment.head.seq,
                    segment.head.hash,
                    str(segment.digest),
                    segment.size,
                    str(segment.seal),
                    segment.seal_size,
                    step.at,
                ],
            )
            detail = {
                "day": segment.day,
                "first": segment.first,
                "last": segment.head.seq,
                "hash": segment.head.hash,
                "sha256": str(segment.digest),
                "size": segment.size,
                "seal_sha256": str(segment.seal),
                "seal_size": segment.seal_size,
                "certificate_sha256": str(certificate),
            }
            step.line("", "segment-seal", detail)

    def begin_segment(self, day: str, target: str, now: datetime) -> bool:
        """Commit that a day is about to be sent; return whether that was committed before.

        Then nobody here knows whether it has arrived: the archive is asked.
        """
        found = self._db.execute(
            "SELECT 1 FROM segment_delivery WHERE day = ? AND target = ?", [day, target]
        ).fetchone()
        if found is None:
            with self._step(now) as step:
                step.db.execute(
                    "INSERT INTO segment_delivery(day, target, state, receipts, changed_at)"
                    " VALUES (?,?,'sending','[]',?)",
                    [day, target, step.at],
                )
                step.line("", "segment-send", {"day": day, "target": target})
        return found is not None

    def acknowledge_segment(
        self, day: str, target: str, receipts: Sequence[Receipt], now: datetime
    ) -> None:
        """Commit that an archive proved what it holds of a day."""
        proofs = rows.receipts_json(receipts)
        with self._step(now) as step:
            step.change(
                "UPDATE segment_delivery SET state = 'delivered', receipts = ?, changed_at = ?"
                " WHERE day = ? AND target = ? AND state = 'sending'",
                [json.dumps(proofs), step.at, day, target],
            )
            detail = {"day": day, "target": target, "receipts": proofs}
            step.line("", "segment-acknowledge", detail)

    def undelivered(self, target: str) -> list[Segment]:
        """Return the sealed days that an archive has not proven, the oldest first."""
        found = self._db.execute(
            "SELECT * FROM segment WHERE NOT EXISTS (SELECT 1 FROM segment_delivery AS sent"
            " WHERE sent.day = segment.day AND target = ? AND state = 'delivered') ORDER BY day",
            [target],
        )
        return [rows.segment(row) for row in found]

    def unarchived_since(self, target: str) -> datetime | None:
        """Return the time of the oldest line that an archive has not proven; None without one."""
        waiting = self.undelivered(target)
        newest = self.last_segment()
        first = waiting[0].first if waiting else newest.head.seq + 1 if newest else 1
        (found,) = self._db.execute(
            "SELECT min(at) FROM (SELECT at FROM ledger WHERE seq >= ? ORDER BY seq LIMIT ?)",
            [first, LOOKED_AT],
        ).fetchone()
        return utc_time(found) if found else None

    def holds(self, head: ledger.Head) -> bool:
        """Return whether the database's line of that number has that hash."""
        statement = "SELECT 1 FROM ledger WHERE seq = ? AND hash = ?"
        return self._db.execute(statement, [head.seq, head.hash]).fetchone() is not None


def measured(path: Path, after: ledger.Head) -> tuple[ledger.Head, Digest, int]:
    """Follow the chain through one day's file; return its end, and the file's digest and size.

    Raise CorruptionError if it does not go on from *after*, to its last byte.
    """
    head = after
    hashed = hashlib.sha256()
    size = 0
    try:
        with path.open("rb") as file:
            for raw in file:
                hashed.update(raw)
                size += len(raw)
                if not raw.endswith(b"\n"):
                    raise CorruptionError("ledger-damaged", f"{path.name} breaks off")
                head = ledger.follow(head, raw[:-1].decode())
    except (OSError, UnicodeDecodeError) as exc:
        raise CorruptionError("ledger-damaged", f"{path.name}: {type(exc).__name__}") from None
    durable.sync_file(path)
    return head, Digest(hashed.hexdigest()), size
