"""The tables made again from the ledger's lines: each line's step is taken once more.

The same methods, and so the same rules and the same SQL, as when it was written, at the
time that the line says. The lines themselves are taken over byte for byte. A line that
changed no table then (`NO_TABLE`) changes none now; one that nobody knows ends it.

Names stand in personal detail. Where that was erased they stay unknown: nobody is on a
shift then, rather than whoever was there before.

Not in the lines, so not made again: the step that a document was in and how often it was
tried, until when a delivery was postponed and why, how far the nightly sample got, how
the clock stood to the boot.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from daemon import ledger
from daemon.clock import Reading
from daemon.document import (
    Arrival,
    Copy,
    DeliveryEvent,
    Described,
    Digest,
    Document,
    Event,
    Kin,
    Part,
    Role,
    State,
    utc_time,
)
from daemon.errors import CorruptionError, PersonNeeded, StaleWrite
from daemon.ledger import Head, Segment
from daemon.lifecycle import IllegalStep
from daemon.records import counters, moves, rows
from daemon.records.clocks import READING, Clocks
from daemon.records.copies import Copies
from daemon.records.deliveries import Deliveries
from daemon.records.documents import Documents
from daemon.records.logbook import Logbook
from daemon.records.operators import Operators
from daemon.records.rechecks import Rechecks
from daemon.records.segments import Segments
from daemon.records.stamps import Stamps
from daemon.records.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

SAID: Final = ("operator", "source", "batch", "number")
COPIES: Final = {
    "copy-made": Copy.THERE,
    "copy-removed": Copy.NONE,
    "copy-abandoned": Copy.NONE,
}
DAY_ENDED: Final = "day_ended"
NO_TABLE: Final = frozenset(
    {
        "start",
        "stop",
        "rebuild",
        "restore",
        "csr",
        "certificate-import",
        "key-changed",
        "key-destroyed",
        "decommission",
    }
)
"""Events of the box that are in the ledger and nowhere else."""


class Repeated(Transaction):
    """A transaction whose lines are there already."""

    def line(
        self,
        document: str,
        event: str,
        detail: Mapping[str, Any],
        personal: Mapping[str, Any] | None = None,
    ) -> ledger.Line:
        """Write nothing: the line of this step is taken over as it is."""
        del document, event, detail, personal
        return ledger.Line(0, "", "")


class Replay(Documents, Deliveries, Copies, Logbook, Clocks, Operators, Rechecks, Segments, Stamps):
    """A new database that is being made from lines. The caller begins and commits."""

    @contextmanager
    def _step(self, now: datetime) -> Iterator[Transaction]:
        yield Repeated(self._db, self._box_id, now)

    def take(self, text: str, head: Head, personal: tuple[bytes, str] | None) -> Head:
        """Take over the line *text*, which follows *head*, and its step; return the new head.

        Raise CorruptionError if no step of ours could have written it at this place.
        """
        after = ledger.follow(head, text)
        line = json.loads(text)
        said: dict[str, Any] = {}
        if personal is not None:
            if ledger.personal_hash(*personal) != line["personal_hash"]:
                raise CorruptionError("ledger-damaged", f"the personal detail of line {after.seq}")
            said = json.loads(personal[1])
        try:
            self._repeat(line, said, utc_time(line["at"]))
        except (KeyError, ValueError, TypeError, IllegalStep, StaleWrite, PersonNeeded) as exc:
            raise CorruptionError(
                "ledger-damaged",
                f"line {after.seq}, {line['event']}: does not fit what went before"
                f" ({type(exc).__name__})",
            ) from exc
        self._db.execute(
            "INSERT INTO ledger(seq, at, document, event, line, hash) VALUES (?,?,?,?,?,?)",
            [after.seq, line["at"], line["document"], line["event"], text, after.hash],
        )
        if personal is not None:
            self._db.execute("INSERT INTO personal VALUES (?,?,?)", [after.seq, *personal])
        return after

    def _repeat(self, line: dict[str, Any], said: dict[str, Any], at: datetime) -> None:
        event, detail, document_id = line["event"], line["detail"], line["document"]
        if event == "personal-erase":
            self._db.executemany(
                "DELETE FROM personal WHERE seq = ?", [[seq] for seq in detail["lines"]]
            )
            # The files may still have them: the first start takes them out.
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('erasing', '1')")
        elif not document_id:
            self._of_the_box(event, detail, said, at)
        elif event == "claim":
            self._claimed(document_id, detail, said, at)
        elif event.startswith("delivery-"):
            self._delivered(document_id, event.removeprefix("delivery-"), detail, at)
        else:
            self._of_a_document(self.document(document_id), event, detail, said, at)

    # -- documents ----------------------------------------------------------------------

    def _claimed(
        self, document_id: str, detail: dict[str, Any], said: dict[str, Any], at: datetime
    ) -> None:
        captured = utc_time(detail["captured_at"])
        arrival = Arrival(
            id=document_id,
            hotfolder=detail["hotfolder"],
            profile=detail["profile"],
            name=b"",
            subfolder=bytes.fromhex(said.get("subfolder_hex", "")),
            size=detail["size"],
            mtime_ns=round(captured.timestamp() * 1000) * 10**6,
            inode=0,
            digest=Digest(detail["sha256"]),
            kind=detail["kind"],
            claimed_at=utc_time(detail["claimed_at"]),
            clock=detail["clock"],
            awaits=detail.get("awaits", ""),
        )
        self.claim(arrival, at, Kin(resembles=detail.get("resembles", "")))

    def _of_a_document(
        self,
        document: Document,
        event: str,
        detail: dict[str, Any],
        said: dict[str, Any],
        at: datetime,
    ) -> None:
        if event == "supersedes" or (
            # A claim that awaits something has let it wait already.
            event == Event.WAIT and document.state is State.WAITING
        ):
            return
        if event in COPIES:
            until = utc_time(detail["until"]) if "until" in detail else None
            self._copy(document, COPIES[event], event, until, at)
        elif event in {"recheck-bad", "recheck-good"}:
            before = self.recheck_progress()
            others = tuple(one for one in before.bad if one != document.id)
            bad = (*others, document.id) if event == "recheck-bad" else others
            with self._step(at) as step:
                self._keep(step, replace(before, bad=bad))
        elif event == "describe":
            self._described(document, detail, said, at)
        elif event == Event.SUPERSEDE:
            with self._step(at) as step:
                moves.supersede(step, document, detail["by"], detail["how"])
        elif event == Event.SEAL:
            self._sealed(document, detail, at)
        elif event == Event.STAMP:
            document = replace(document, findings=tuple(detail["findings"]))
            sealed = _part("sealed", "sealed.pdf", detail["sha256"], detail["size"])
            self.stamp(document, sealed, detail["level"], utc_time(detail["stamped_at"]), at)
        elif event == Event.FREEZE:
            if detail["level"] == "given-up":
                findings = tuple(detail["findings"])
                document = replace(document, stamp="given-up", findings=findings)
            made = [
                (one["target"], Role(one["role"]), rows.parts_from(one["parts"]))
                for one in detail["deliveries"]
            ]
            self.freeze(document, made, at)
        else:
            self._moved(document, Event(event), detail, said, at)

    def _moved(
        self,
        document: Document,
        event: Event,
        detail: dict[str, Any],
        said: dict[str, Any],
        at: datetime,
    ) -> None:
        columns: dict[str, Any] = {}
        if event in {Event.WAIT, Event.REFUSE, Event.SET_ASIDE}:
            columns["code"] = detail["code"]
        elif event in {Event.RESUME, Event.RELEASE}:
            columns["code"] = ""
        elif event == Event.FORGET:  # the first start removes again what may lie here still
            columns["local"] = "leaving"
        if detail.get("named"):
            named = replace(document.described, operator=said.get("operator", ""), source="person")
            columns["described"] = json.dumps(rows.described_json(named))
        with self._step(at) as step:
            moves.move_document(step, document, event, {}, **columns)

    def _described(
        self, document: Document, detail: dict[str, Any], said: dict[str, Any], at: datetime
    ) -> None:
        described = Described(
            subfolder=document.described.subfolder,
            pages=detail.get("pages", 0),
            counter=detail.get("counter", -1),
            digits=detail.get("digits", 0),
            sidecar=detail["sidecar"]["sha256"] if "sidecar" in detail else "",
            remarks=tuple(detail.get("remarks", ())),
            known=detail["known"],
            **{key: said.get(key, "") for key in SAID},
        )
        with self._step(at) as step:
            if detail["counted"]:
                counters.count(
                    step,
                    document.hotfolder,
                    described.subfolder,
                    described.counter,
                    described.digits,
                    detail["due_at"],
                )
            step.change(
                "UPDATE document SET described = ? WHERE id = ?",
                [json.dumps(rows.described_json(described)), document.id],
            )

    def _sealed(self, document: Document, detail: dict[str, Any], at: datetime) -> None:
        self.seal(
            document,
            _part("sealed", "sealed.pdf", detail["sha256"], detail["size"]),
            _part("note", "note.xml", detail["note_sha256"], detail["note_size"]),
            detail,
            utc_time(detail["checked_at"]) if detail["checked_at"] else None,
            utc_time(detail["sealed_at"]),
            at,
        )

    def _delivered(
        self, document_id: str, event: str, detail: dict[str, Any], at: datetime
    ) -> None:
        if event == "postponed":
            with self._step(at) as step:
                step.change(
                    "UPDATE delivery SET attempts = ?, code = ? WHERE document = ? AND target = ?",
                    [detail["attempt"], detail["code"], document_id, detail["target"]],
                )
            return
        if event == "lengthen":
            with self._step(at) as step:
                step.change(
                    "UPDATE delivery SET receipts = ? WHERE document = ? AND target = ?",
                    [json.dumps(detail["receipts"]), document_id, detail["target"]],
                )
            return
        columns: dict[str, Any] = {}
        if event in {DeliveryEvent.REJECT, DeliveryEvent.MISS}:
            columns = {"code": detail["code"], "reason": detail["reason"]}
        elif event == DeliveryEvent.RELEASE:
            columns = {"code": "", "reason": "", "attempts": 0}
        elif event == DeliveryEvent.ACKNOWLEDGE:
            columns = {"code": "", "reason": "", "receipts": json.dumps(detail["receipts"])}
        with self._step(at) as step:
            found = self.delivery(document_id, detail["target"])
            moves.move_delivery(step, found, DeliveryEvent(event), {}, **columns)

    # -- the box ------------------------------------------------------------------------

    def _of_the_box(
        self, event: str, detail: dict[str, Any], said: dict[str, Any], at: datetime
    ) -> None:
        if event.startswith("login-"):
            self._logged_in(event, detail, at)
        elif event == "shift":
            self.begin_shift(detail["hotfolder"], said.get("operator", ""), "", at)
        elif event == "explain":
            self._explained(detail, said)
        elif event == "clock-jumped":
            self.clock_jumped(detail["seconds"], Reading("", 0.0), at)
        elif event == "clock-accepted":
            self.clock_accepted(
                detail["by"], "", Reading("", 0.0), at, seconds=detail.get("seconds", 0)
            )
        elif event == "day-end":
            with self._step(at) as step:
                step.set_meta(DAY_ENDED, step.at[:10])
        elif event.startswith("segment-"):
            self._of_a_segment(event, detail, at)
        elif event not in NO_TABLE:
            raise ValueError(event)

    def _logged_in(self, event: str, detail: dict[str, Any], at: datetime) -> None:
        if event == "login-attempt":
            self.login_attempted(detail["token"], at)
        elif event in {"login-accepted", "login-rejected", "login-failed"}:
            outcome = cast(
                "Literal['accepted', 'rejected', 'failed']", event.removeprefix("login-")
            )
            self.login_answered(detail["token"], outcome, detail["code"], at)
        elif event == "login-permitted":
            self.permit_login(detail["token"], "", at)
        else:
            raise ValueError(event)

    def _explained(self, detail: dict[str, Any], said: dict[str, Any]) -> None:
        # Whose subfolder was erased closes that number in all of them: a person has seen it.
        self._db.execute(
            "DELETE FROM missing WHERE hotfolder = ? AND number = ? AND run = ?"
            " AND series = coalesce(?, series)",
            [detail["hotfolder"], detail["number"], detail["run"], said.get("subfolder")],
        )

    def _of_a_segment(self, event: str, detail: dict[str, Any], at: datetime) -> None:
        if event == "segment-seal":
            segment = Segment(
                day=detail["day"],
                first=detail["first"],
                head=Head(detail["last"], detail["hash"]),
                digest=Digest(detail["sha256"]),
                size=detail["size"],
                seal=Digest(detail["seal_sha256"]),
                seal_size=detail["seal_size"],
            )
            self.seal_segment(segment, Digest(detail["certificate_sha256"]), at)
        elif event == "segment-send":
            self.begin_segment(detail["day"], detail["target"], at)
        elif event == "segment-acknowledge":
            receipts = rows.receipts_from(detail["receipts"])
            self.acknowledge_segment(detail["day"], detail["target"], receipts, at)
        else:
            raise ValueError(event)

    def forget_reading(self) -> None:
        """Drop how the clock stood to the boot: no line says it."""
        self._db.execute("DELETE FROM meta WHERE key = ?", [READING])


def _part(role: str, file: str, digest: str, size: int) -> Part:
    return Part(role=role, file=file, digest=Digest(digest), size=size)
