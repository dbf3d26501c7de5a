"""Earlier documents that are the same as one: its bytes, or the images on its pages.

Both are found by an index, however many documents there are. What was given up, or
has a successor, is nobody's twin; neither is a document its own, so one that is
tried again, or was released, is no duplicate of what it was before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from daemon import schema
from daemon.records.reader import Reader
from daemon.records.transaction import together

if TYPE_CHECKING:
    from daemon.document import Digest, Document

STANDS: Final = (
    "state NOT IN ('discarded','withdrawn') AND superseded_by = ''"
    " AND NOT (state = 'forgotten' AND came_from != 'filed')"
)


class Twins(Reader):
    """What was here before."""

    def same_bytes(self, document: Document) -> str:
        """Return the id of the first document before this one that has its bytes, or ""."""
        return self._twin("digest = ? AND id < ?", [str(document.digest), document.id])

    @together
    def same_pages(self, document: Document, digest: Digest) -> str:
        """Return the id of the first other sealed document with these page images, or ""."""
        # The other may have been claimed later: several are sealed at once.
        return self._twin(
            f"{schema.PAGED} AND pages_digest = ? AND id != ?", [str(digest), document.id]
        )

    def _twin(self, where: str, values: list[str]) -> str:
        statement = f"SELECT id FROM document WHERE {where} AND {STANDS} ORDER BY id LIMIT 1"  # noqa: S608
        row = self._db.execute(statement, values).fetchone()
        return str(row[0]) if row else ""
