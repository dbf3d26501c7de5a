"""Who scans: shifts of the hot folders, and the names that people give to scans that wait for one.

    shift: a person logs in at a hot folder ──▶ every scan claimed there from then on is theirs
    CLAIMED ─wait(operator)─▶ WAITING ─a person names who scanned─▶ CLAIMED

Names are personal: they stand in rows and in the ledger's personal detail, never in its
detail. A transfer note has to name a person, or what leads to one (RESISCAN A.NB.4 a).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from daemon.document import Event, State, utc_text
from daemon.errors import PersonNeeded
from daemon.records import moves, rows
from daemon.records.writer import Writer

if TYPE_CHECKING:
    from datetime import datetime

    from daemon.document import Document

WAITS: Final = "operator"
MISSING: Final = "operator-missing"


class Operators(Writer):
    """The people at the scanners."""

    def begin_shift(self, hotfolder: str, operator: str, person: str, now: datetime) -> None:
        """Commit who scans into *hotfolder* from now on; "" is nobody."""
        with self._step(now) as step:
            step.db.execute(
                "INSERT OR REPLACE INTO shift(hotfolder, since, operator) VALUES (?,?,?)",
                [hotfolder, step.at, operator],
            )
            personal = {"operator": operator, "person": person}
            step.line("", "shift", {"hotfolder": hotfolder, "named": bool(operator)}, personal)

    def on_shift(self, hotfolder: str, at: datetime) -> str:
        """Return who scanned into *hotfolder* at that time; "" if nobody had logged in."""
        row = self._db.execute(
            "SELECT operator FROM shift WHERE hotfolder = ? AND since <= ?"
            " ORDER BY since DESC LIMIT 1",
            [hotfolder, utc_text(at)],
        ).fetchone()
        return str(row[0]) if row else ""

    def await_operator(self, document: Document, now: datetime) -> Document:
        """Let a claimed document wait until somebody says who scanned it."""
        with self._step(now) as step:
            moves.let_wait(step, document, WAITS)
        return self.document(document.id)

    def name_operator(
        self, document: Document, operator: str, person: str, now: datetime
    ) -> Document:
        """Commit who scanned *document*, as *person* says; it goes on.

        Raise PersonNeeded if that is not what it waits for, or was refused for: as it is now,
        somebody else may have been quicker.
        """
        document = self.document(document.id)
        events = {(State.WAITING, WAITS): Event.RESUME, (State.REFUSED, MISSING): Event.RELEASE}
        event = events.get((document.state, document.code))
        if event is None:
            raise PersonNeeded("operator-not-asked", f"{document.id} is {document.state}")
        described = replace(document.described, operator=operator, source="person")
        with self._step(now) as step:
            moves.move_document(
                step,
                document,
                event,
                {"named": True},
                {"operator": operator, "source": "person", "person": person},
                code="",
                described=json.dumps(rows.described_json(described)),
            )
        return self.document(document.id)
