"""What became of scans, in the words of those who scanned them: "did my scan arrive?".

The same for `scanseal arrived` and for the report on the share. A scan's name comes
from its document.json, and it is for whoever may ask: it never reaches the journal,
MQTT or the page (I9).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final

from daemon.document import Copy, DeliveryState, Role, State, folder_of, printable
from daemon.formats import Formats
from daemon.intake.origin import origin_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from daemon.config import Config
    from daemon.document import Document
    from daemon.intake.survey import Lying
    from daemon.records.reader import Reader

LYING: Final = "lying"
"""The state of a scan that nobody has claimed yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One scan, as people ask for it. Its name is personal."""

    id: str
    """"" as long as it was not claimed."""
    at: datetime
    hotfolder: str
    name: str
    state: str
    code: str
    where: str
    """Where it is, in words."""
    resembles: str = ""
    """The id of a refused document that it may stand for."""


class Arrivals:
    """Tells of scans in one language, as they are at one moment."""

    def __init__(self, config: Config, now: datetime, language: str = "") -> None:
        """Tell in the box's language unless another is named."""
        self._documents = config.documents
        self._rejected = {s.name: PurePath(s.rejected).name for s in config.hotfolders}
        self._now = now
        self.formats = Formats(language or config.box.language, config.box.timezone, now)

    def told(self, reader: Reader, found: Iterable[Document]) -> list[Seen]:
        """Return what became of documents, in their order."""
        return [
            Seen(
                id=document.id,
                at=document.claimed_at,
                hotfolder=document.hotfolder,
                name=self.name(document.id),
                state=document.state,
                code=document.code,
                where=self.where(reader, document),
                resembles=reader.resembled(document),
            )
            for document in found
        ]

    def lying(self, hotfolder: str, found: Iterable[Lying]) -> list[Seen]:
        """Return why files in a hot folder were not taken yet, in their order."""
        monotonic = time.monotonic()
        return [
            Seen(
                id=one.document,
                at=self._now - timedelta(seconds=max(0.0, monotonic - one.first)),
                hotfolder=hotfolder,
                name=printable(one.place) if one.place else self.name(one.document),
                state=LYING,
                code=one.reason,
                where=self.formats.word("scan_taken")
                if one.document
                else self.formats.word("scan_lying", why=self._why(one.reason)),
            )
            for one in found
        ]

    def name(self, document_id: str) -> str:
        """Return where a scan lay in its hot folder, as it can be shown."""
        return name_of(self._documents, document_id) or self.formats.word("scan_nameless")

    def where(self, reader: Reader, document: Document) -> str:
        """Say in plain words where a document is."""
        word = self.formats.word
        match document.state:
            case State.WAITING if document.code == "sidecar":
                return word("scan_sidecar")
            case State.WAITING | State.HELD:
                return word(f"scan_{document.state}", why=self._why(document.code))
            case State.REFUSED:
                said = word("scan_refused", why=self._why(document.code))
                if document.copy is Copy.THERE and document.hotfolder in self._rejected:
                    said += " " + word("scan_copy", folder=self._rejected[document.hotfolder])
                return said
            case State.DISCARDED if document.superseded_by:
                return word("scan_superseded", id8=document.superseded_by[-8:])
            case State.SEALED | State.STAMPED | State.FROZEN | State.FILED:
                return self._on_its_way(reader, document)
        # Whether it still lies on this box is nothing to the people who scanned it.
        forgotten = document.state is State.FORGOTTEN and document.came_from
        return word(f"scan_{forgotten or document.state}")

    def _on_its_way(self, reader: Reader, document: Document) -> str:
        deliveries = reader.deliveries(document.id)
        there = {d.role for d in deliveries if d.state is DeliveryState.DELIVERED}
        said = self.formats.word(
            {
                frozenset({Role.DMS}): "scan_in_dms",
                frozenset({Role.ARCHIVE}): "scan_in_archive",
                frozenset(Role): "scan_filed",
            }.get(frozenset(there), "scan_sealed")
        )
        refused = [d for d in deliveries if d.state in {DeliveryState.REFUSED, DeliveryState.GONE}]
        reasons = [
            self.formats.word("scan_at_target", target=d.target, why=self._why(d.code))
            for d in refused
        ]
        return "; ".join([said, *reasons])

    def _why(self, code: str) -> str:
        return self.formats.code(code).sentence or code


@lru_cache(maxsize=4096)
def name_of(documents: Path, document_id: str) -> str:
    """Return where a scan lay in its hot folder, as it can be shown; "" if nobody can read it."""
    origin = origin_of(folder_of(documents, document_id))
    return printable(origin.place) if origin else ""
