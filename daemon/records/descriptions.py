"""What came with a scan, in the spool: a document that waited for it is described, and goes on.

    claim ─▶ WAITING (sidecar, describing) ─▶ describe ─▶ CLAIMED, or REFUSED

The names of people and of their things stand in the line's personal detail, which can
be erased; its detail has what a rebuild needs and what names nobody (I9).
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from daemon.counting import REMARKS
from daemon.document import Described, Document, Event, utc_text
from daemon.errors import PersonNeeded
from daemon.records import counters, moves, rows
from daemon.records.writer import Writer

if TYPE_CHECKING:
    from datetime import datetime

    from daemon.document import Part
    from daemon.records.transaction import Transaction


class Descriptions(Writer):
    """What is known of documents before they are sealed, and what their counters lack."""

    def describe(
        self,
        document: Document,
        described: Described,
        sidecar: Part | None,
        refusal: tuple[str, str] | None,
        grace_seconds: float,
        now: datetime,
    ) -> Document:
        """Commit what came with a WAITING document, count its number, and let it go on.

        *sidecar* is the file of it that lies in its folder now. With a *refusal*, a code
        and a reason, it is refused. A number that turns out to be missing is told to
        people after *grace_seconds*: it may still be on its way.
        """
        with self._step(now) as step:
            due_at = utc_text(now + timedelta(seconds=grace_seconds))
            counted = self._counts(document, described)
            if counted:
                remark = self._counted(step, document, described, due_at)
                described = replace(described, remarks=(*described.remarks, *remark))
            detail: dict[str, Any] = {"known": described.known, "counted": counted}
            detail |= {"due_at": due_at} if counted else {}
            detail |= {"remarks": list(described.remarks)} if described.remarks else {}
            detail |= {"pages": described.pages} if described.pages else {}
            if described.counter >= 0:
                detail |= {"counter": described.counter, "digits": described.digits}
            if sidecar is not None:
                detail["sidecar"] = rows.parts_json([sidecar])[0]
            step.line(document.id, "describe", detail, _personal(described))
            column = json.dumps(rows.described_json(described))
            if refusal is None:
                moves.move_document(step, document, Event.RESUME, {}, code="", described=column)
            else:
                code, reason = refusal
                moves.move_document(
                    step,
                    document,
                    Event.REFUSE,
                    {"code": code, "reason": reason},
                    code=code,
                    described=column,
                )
        return self.document(document.id)

    def explain(
        self,
        hotfolder: str,
        number: int,
        subfolder: str | None,
        person: str,
        reason: str,
        now: datetime,
    ) -> int:
        """Let a person say why a number never arrived; return how many lines that closes.

        Raise PersonNeeded if it is not missing, or missing in several subfolders.
        """
        lines = [
            (row["series"], row["run"])
            for row in self._db.execute(
                "SELECT series, run FROM missing WHERE hotfolder = ? AND number = ?",
                [hotfolder, number],
            )
            if subfolder in {None, row["series"]}
        ]
        if not lines:
            raise PersonNeeded("not-missing", f"{number} is not missing in {hotfolder}")
        if len({series for series, _ in lines}) > 1:
            raise PersonNeeded(
                "missing-in-several", f"{number} is missing in several subfolders of {hotfolder}"
            )
        with self._step(now) as step:
            for series, run in lines:
                step.change(
                    "DELETE FROM missing WHERE hotfolder = ? AND series = ? AND run = ?"
                    " AND number = ?",
                    [hotfolder, series, run, number],
                )
                step.line(
                    "",
                    "explain",
                    {"hotfolder": hotfolder, "number": number, "run": run},
                    {"person": person, "reason": reason, "subfolder": series},
                )
        return len(lines)

    def _counts(self, document: Document, described: Described) -> bool:
        """Return whether its number is a new one: not one that it, or what it stands for, had."""
        before = (document, *self.superseded(document.id))
        return described.counter >= 0 and all(
            one.described.counter != described.counter for one in before
        )

    @staticmethod
    def _counted(
        step: Transaction, document: Document, described: Described, due_at: str
    ) -> tuple[str, ...]:
        """Count its number; return what there is to remark."""
        found = counters.count(
            step,
            document.hotfolder,
            described.subfolder,
            described.counter,
            described.digits,
            due_at,
        )
        return (found.how.value,) if found.how in REMARKS else ()


def _personal(described: Described) -> dict[str, str] | None:
    said = {
        key: text
        for key in ("operator", "source", "batch", "number")
        if (text := getattr(described, key))
    }
    return said or None
