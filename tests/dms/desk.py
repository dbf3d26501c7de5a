"""A running Mayan as the tests see it: targets on it, and what it really holds."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from contrib.mayan import office
from daemon.targets.mayan import MayanTarget
from daemon.targetsections import MayanSection
from tests.contract.onloop import OnLoop

if TYPE_CHECKING:
    from pathlib import Path

    from contrib.mayan.server import Server

MAPPING = {
    "scanseal_id": "id",
    "stapel": "batch",
    "nummer": "number",
    "gescannt_von": "operator",
    "gescannt_am": "captured_at",
    "gesiegelt_am": "sealed_at",
    "digest": "sealed_sha256",
}


@dataclass
class Desk:
    """One Mayan, and the password of Scanseal's user in a file."""

    server: Server
    office: office.Office
    secret: Path
    opened: list[OnLoop] = field(default_factory=list)

    def section(self, **changes: Any) -> MayanSection:
        """Return the configuration of a target on it."""
        values = {
            "name": "dms",
            "kind": "mayan",
            "role": "dms",
            "url": f"{self.server.url}/api/v4",
            "user": office.USER,
            "password": f"file:{self.secret}",
            "document_type": office.TYPE,
            "metadata": MAPPING,
            "cabinets": (office.CABINET,),
            **changes,
        }
        return MayanSection(**values)

    def target(self, *, seen_seconds: float = 60.0, **changes: Any) -> OnLoop:
        """Open a target on it, which the fixture closes."""
        inner = MayanTarget(
            self.section(**changes), None, lambda: datetime.now(UTC), seen_seconds=seen_seconds
        )
        self.opened.append(OnLoop(inner))
        return self.opened[-1]

    # -- what Mayan really holds: its database and its files -----------------------------------

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return what its database says."""
        place = f"file:{self.server.media}/db.sqlite3?mode=ro"
        with closing(sqlite3.connect(place, uri=True, timeout=30)) as database:
            return database.execute(query, values).fetchall()

    def numbers(self, key: str) -> list[int]:
        """Return the documents with *key* that are not in the trash."""
        query = "select id from documents_document where description = ? and not in_trash"
        return [number for (number,) in self.rows(query, key)]

    def stored(self, key: str) -> list[Path]:
        """Return the files of the documents with *key*."""
        query = (
            "select f.file from documents_documentfile f join documents_document d"
            " on f.document_id = d.id where d.description = ? and not d.in_trash"
        )
        return [self.server.media / "document_storage" / file for (file,) in self.rows(query, key)]

    def metadata(self, number: int) -> dict[str, str]:
        """Return the metadata of a document, by the names of their types."""
        query = (
            "select t.name, m.value from metadata_documentmetadata m"
            " join metadata_metadatatype t on m.metadata_type_id = t.id where m.document_id = ?"
        )
        return dict(self.rows(query, number))

    def cabinets(self, number: int) -> list[int]:
        """Return the cabinets that a document is in."""
        query = "select cabinet_id from cabinets_cabinet_documents where document_id = ?"
        return [cabinet for (cabinet,) in self.rows(query, number)]

    def trash(self, number: int) -> None:
        """Do what a clerk does who deletes a document."""
        self.server.admin().data("DELETE", f"/documents/{number}/")

    def add_file(self, number: int, data: bytes) -> None:
        """Do what a clerk does who adds another file to a document."""
        self.server.admin().form(
            f"/documents/{number}/files/", {"action_name": "replace"}, "file_new", data
        )
