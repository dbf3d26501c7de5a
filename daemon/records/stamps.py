"""Time stamps of sealed documents, in the spool: which want one, and what became of it.

    SEALED, stamp wanted ──stamp──▶ STAMPED ──freeze──▶ FROZEN
                         └─ in time there was none: freeze as it is, given up

A document that waits for its token is at rest: nothing is tried for it while no
authority answers, and others are not held up.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from daemon import schema
from daemon.document import Event, utc_text
from daemon.records import moves
from daemon.records.transaction import together
from daemon.records.writer import Writer

if TYPE_CHECKING:
    from datetime import datetime

    from daemon.document import Document, Part

WANTED: Final = "wanted"
GIVEN_UP: Final = "given-up"


class Stamps(Writer):
    """What happens to documents between their seal and their manifest."""

    @together
    def to_stamp(self, limit: int) -> list[Document]:
        """Return the next documents that want a time stamp: suspects first, then the oldest."""
        which = f"{schema.UNSTAMPED} AND step = ''"
        suspects = self._select(
            f"{schema.SUSPECT} AND {which} ORDER BY tries DESC, id LIMIT ?",
            [limit],
            index="document_suspect",
        )
        return suspects + self._select(
            f"{which} AND tries = 0 ORDER BY sealed_at, id LIMIT ?",
            [limit - len(suspects)],
            index="document_unstamped",
        )

    @together
    def unstamped_since(self, profile: str, before: datetime, limit: int) -> list[Document]:
        """Return documents of *profile* that have wanted a time stamp since before that time."""
        return self._select(
            f"{schema.UNSTAMPED} AND step = '' AND profile = ? AND sealed_at < ?"
            " ORDER BY sealed_at, id LIMIT ?",
            [profile, utc_text(before), limit],
            index="document_unstamped",
        )

    def stamp(
        self,
        document: Document,
        sealed: Part,
        level: str,
        stamped_at: datetime,
        now: datetime,
        authority: str = "",
    ) -> Document:
        """Commit the sealed file that carries its token; it is found again under this digest.

        *authority* is who stamped it, by its certificate. The document is left in the step `freeze`, which follows at once.
        """
        with self._step(now) as step:
            detail = {
                "sha256": str(sealed.digest),
                "size": sealed.size,
                "level": level,
                "stamped_at": utc_text(stamped_at),
                "stamped_by": authority,
                "findings": list(document.findings),
            }
            moves.move_document(
                step,
                document,
                Event.STAMP,
                detail,
                step="freeze",
                sealed=str(sealed.digest),
                sealed_size=sealed.size,
                level=level,
                stamp="",
                stamped_at=utc_text(stamped_at),
                findings=json.dumps(document.findings),
            )
        return self.document(document.id)
