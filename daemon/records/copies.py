"""The copies of refused documents, and the documents that may be stood for.

    REFUSED ─▶ due ─▶ there ─▶ (none)      its time is over
                │       │
                └───────┴─▶ leaving ─▶ (none)      released, discarded or superseded

What lies in `rejected` is known here before it is touched and after it was, so
that a kill in between is made good by doing it again. That it came and went are
lines of the ledger: a copy of a scan is personal data on a share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon import schema
from daemon.document import Copy, Document, utc_text
from daemon.records.reader import FEWEST_DIGITS, GROUP_DIGITS
from daemon.records.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from daemon.document import Digest


class Copies(Writer):
    """What has to be done in `rejected`, and what was done."""

    # -- to do ------------------------------------------------------------------------

    def copies_due(self, hotfolder: str, limit: int, after: str = "") -> list[Document]:
        """Return documents whose copy has to be made or has to go, behind the id *after*."""
        return self._select(
            f"{schema.COPY_WORK} AND hotfolder = ? AND id > ? ORDER BY id LIMIT ?",
            [hotfolder, after, limit],
            index="document_copy",
        )

    def copies_over(
        self, hotfolder: str, now: datetime, limit: int, after: Document | None = None
    ) -> list[Document]:
        """Return documents whose copy has lain in `rejected` for as long as its text says.

        Behind *after*, one of these: what cannot be removed keeps no other one there.
        """
        until = utc_text(after.copy_until) if after and after.copy_until else ""
        return self._select(
            f"{schema.COPY_THERE} AND hotfolder = ? AND copy_until <= ?"
            " AND (copy_until, id) > (?, ?) ORDER BY copy_until, id LIMIT ?",
            [hotfolder, utc_text(now), until, after.id if after else "", limit],
        )

    def copies_elsewhere(self, hotfolders: Collection[str]) -> dict[str, int]:
        """Return how many copies are due in hot folders that are none of these, by their name."""
        found = self._db.execute(
            f"SELECT hotfolder, count(*) FROM document WHERE {schema.COPY_WORK}"  # noqa: S608
            " AND copy = 'due' GROUP BY hotfolder"
        )
        return {name: count for name, count in found if name not in hotfolders}

    # -- done -------------------------------------------------------------------------

    def copied_back(self, document: Document, until: datetime, now: datetime) -> None:
        """Commit that the copy and its text lie in `rejected`, and until when."""
        # Not if it was released and refused again meanwhile: that copy says another reason.
        self._copy(document, Copy.THERE, "copy-made", until, now)

    def copy_removed(self, document: Document, now: datetime) -> None:
        """Commit that nothing of the copy lies in `rejected` that is still ours."""
        self._copy(document, Copy.NONE, "copy-removed", None, now)

    def abandon_copies(self, hotfolders: Collection[str], now: datetime) -> int:
        """Commit that copies stay where they are: nobody knows the way to them any more.

        Those whose time is over, or that have to go, of hot folders that are none of these.
        """
        known = list(hotfolders)
        marks = ",".join("?" * len(known))
        due = utc_text(now)
        found = self._select(
            f"{schema.COPY_WORK} AND copy = 'leaving' AND hotfolder NOT IN ({marks})", known
        ) + self._select(
            f"{schema.COPY_THERE} AND copy_until <= ? AND hotfolder NOT IN ({marks})", [due, *known]
        )
        for document in found:
            self._copy(document, Copy.NONE, "copy-abandoned", None, now)
        return len(found)

    def _copy(
        self, document: Document, after: Copy, event: str, until: datetime | None, now: datetime
    ) -> None:
        text = utc_text(until) if until else None
        with self._step(now) as step:
            changed = step.db.execute(
                "UPDATE document SET copy = ?, copy_until = ?"
                " WHERE id = ? AND copy = ? AND changed_at = ?",
                [after, text, document.id, document.copy, utc_text(document.changed_at)],
            ).rowcount
            if changed:
                step.line(document.id, event, {"until": text} if text else {})

    # -- which refused document a new scan may stand for ---------------------------------

    def refused_with(self, hotfolder: str, digest: Digest) -> list[Document]:
        """Return the refused documents of a hot folder that have these bytes."""
        return self._select(
            f"{schema.REFUSED} AND hotfolder = ? AND digest = ? ORDER BY id",
            [hotfolder, str(digest)],
        )

    def refused_ids(self, hotfolder: str, limit: int) -> list[str]:
        """Return the ids of the newest refused documents of a hot folder, the newest first."""
        found = self._db.execute(
            f"SELECT id FROM document WHERE {schema.REFUSED} AND hotfolder = ?"  # noqa: S608
            " ORDER BY id DESC LIMIT ?",
            [hotfolder, limit],
        )
        return [document_id for (document_id,) in found]

    def refused_ending(self, hotfolder: str, tail: str, limit: int) -> list[str]:
        """Return ids of refused documents of a hot folder that end with the digits *tail*, 8 or more."""
        last = tail[-GROUP_DIGITS:]
        found = self._db.execute(
            "SELECT id FROM document INDEXED BY document_refused_tail"  # noqa: S608
            f" WHERE {schema.REFUSED} AND hotfolder = ? AND {schema.TAIL} = ?"
            " AND substr(id, ?) = ? LIMIT ?",
            [hotfolder, last[-FEWEST_DIGITS:], -len(last), last, limit],
        )
        return [document_id for (document_id,) in found]
