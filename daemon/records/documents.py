"""The documents of the spool: each method is one step of one document, with its ledger line.

claim -> begin/seal -> freeze
   |         |
   |      crashed, give_back
 refuse, release, discard, supersede, set_aside
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from daemon.document import (
    STRANGER,
    Arrival,
    DeliveryEvent,
    DeliveryState,
    Described,
    Document,
    Event,
    Kin,
    Part,
    Role,
    State,
    printable,
    utc_text,
)
from daemon.errors import PersonNeeded
from daemon.records import moves, rows
from daemon.records.transaction import together
from daemon.records.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from daemon import ledger


class Documents(Writer):
    """What happens to documents, up to their deliveries."""

    @together
    def claim(self, arrival: Arrival, now: datetime, kin: Kin = STRANGER) -> Document:
        """Commit a claimed scan, and which refused ones it stands for: it is ours to keep (I2).

        What it awaits is committed with it: no other stage sees it in between.
        """
        subfolder = printable(arrival.subfolder)
        described = Described(subfolder=subfolder, known=not arrival.awaits)
        with self._step(now) as step:
            step.db.execute(
                "INSERT INTO document(id, state, hotfolder, profile, kind, size, digest,"
                " captured_at, claimed_at, changed_at, clock, code, step, tries, images, findings, sealed_size, note_size,"
                " ledger_hash, resembles, described) VALUES (?,?,?,?,?,?,?,?,?,?,?,'','',0,0,'[]',0,0,'',?,?)",
                [
                    arrival.id,
                    State.CLAIMED,
                    arrival.hotfolder,
                    arrival.profile,
                    arrival.kind,
                    arrival.size,
                    str(arrival.digest),
                    utc_text(arrival.captured_at),
                    utc_text(arrival.claimed_at),
                    step.at,
                    arrival.clock,
                    kin.resembles,
                    json.dumps(rows.described_json(described)),
                ],
            )
            step.count("document", "", State.CLAIMED)
            step.count("bytes", "", "unsealed", arrival.size)
            step.count("profile", "", arrival.profile)
            step.line(
                arrival.id,
                "claim",
                {
                    "hotfolder": arrival.hotfolder,
                    "profile": arrival.profile,
                    "kind": arrival.kind,
                    "size": arrival.size,
                    "sha256": str(arrival.digest),
                    "captured_at": utc_text(arrival.captured_at),
                    "claimed_at": utc_text(arrival.claimed_at),
                    "clock": arrival.clock,
                }
                | ({"awaits": arrival.awaits} if arrival.awaits else {})
                | ({"resembles": kin.resembles} if kin.resembles else {}),
                _named(arrival),
            )
            for old in kin.supersedes:
                moves.supersede(step, self.document(old), arrival.id, kin.how)
            if arrival.awaits:
                moves.let_wait(step, self.document(arrival.id), arrival.awaits)
        return self.document(arrival.id)

    @together
    def begin(self, document: Document, step_name: str, now: datetime) -> ledger.Head:
        """Commit the step that is about to be tried; return the newest ledger hash."""
        with self._step(now) as step:
            step.change(
                "UPDATE document SET step = ? WHERE id = ? AND state = ? AND step = ''",
                [step_name, document.id, document.state],
            )
            return step.head()

    def give_back(self, document: Document, now: datetime) -> None:
        """End a step that could not be done for a reason that is not the document's."""
        with self._step(now) as step:
            step.change("UPDATE document SET step = '' WHERE id = ?", [document.id])

    def crashed(self, document: Document, now: datetime, why: str = "") -> Document:
        """Count the death of the worker that had it; the second one sets it aside, saying *why*."""
        with self._step(now) as step:
            moves.end_uncleanly(step, self.document(document.id), count=True, why=why)
        return self.document(document.id)

    def let_wait(self, document: Document, code: str, now: datetime) -> Document:
        """Let a CLAIMED document wait for what *code* says; `resume` ends it."""
        with self._step(now) as step:
            moves.let_wait(step, document, code)
        return self.document(document.id)

    def resume(self, document: Document, now: datetime) -> Document:
        """Let a WAITING document go on: what it waited for is there."""
        with self._step(now) as step:
            moves.move_document(step, document, Event.RESUME, {}, code="")
        return self.document(document.id)

    def refuse(self, document: Document, code: str, reason: str, now: datetime) -> Document:
        """Set a document aside that cannot be sealed as it is; a copy goes back to its people."""
        with self._step(now) as step:
            moves.move_document(
                step, document, Event.REFUSE, {"code": code, "reason": reason}, code=code
            )
        return self.document(document.id)

    def seal(
        self,
        document: Document,
        sealed: Part,
        note: Part,
        facts: Mapping[str, Any],
        checked_at: datetime | None,
        sealed_at: datetime,
        now: datetime,
    ) -> Document:
        """Commit the only seal there will ever be, after it was read back from disk (I4).

        The document is left in the step `freeze`, which follows at once; if the *facts* say
        that a time stamp is wanted (`stamp`), at rest. *checked_at* is None where nobody could
        look at its pages.
        """
        stamp = facts.get("stamp", "")
        checked = utc_text(checked_at) if checked_at else None
        with self._step(now) as step:
            detail = {
                "sha256": str(sealed.digest),
                "size": sealed.size,
                "note_sha256": str(note.digest),
                "note_size": note.size,
                "checked_at": checked,
                "sealed_at": utc_text(sealed_at),
                **facts,
            }
            moves.move_document(
                step,
                document,
                Event.SEAL,
                detail,
                step="" if stamp else "freeze",
                sealed=str(sealed.digest),
                sealed_size=sealed.size,
                note=str(note.digest),
                note_size=note.size,
                images=facts["images"],
                findings=json.dumps(facts["findings"]),
                finding_pages=json.dumps(facts.get("finding_pages", [])),
                pages_digest=facts.get("pages_sha256", ""),
                certificate=facts.get("certificate_sha256", ""),
                duplicate_of=facts.get("duplicate_of", ""),
                checked_at=checked,
                sealed_at=utc_text(sealed_at),
                ledger_hash=facts["ledger_hash"],
                level=facts.get("level", ""),
                stamp=stamp,
                gap=json.dumps(facts["gap"]) if "gap" in facts else "",
                evidence=json.dumps(facts.get("evidence", [])),
                evidence_until=facts.get("evidence_until", ""),
            )
        return self.document(document.id)

    @together
    def freeze(
        self,
        document: Document,
        deliveries: Sequence[tuple[str, Role, tuple[Part, ...]]],
        now: datetime,
        waiting: Collection[str] = (),
    ) -> Document:
        """Commit the manifest and make the deliveries: nothing of it changes any more.

        Those to *waiting* are due only after another target has the document.

        A *document* whose time stamp was `given-up` says so, with the finding that goes with it.
        """
        given_up = document.stamp == "given-up"
        with self._step(now) as step:
            detail = {
                **({"findings": list(document.findings)} if given_up else {}),
                "level": "given-up" if given_up else "reached",
                "deliveries": [
                    {"target": target, "role": role, "parts": rows.parts_json(parts)}
                    for target, role, parts in deliveries
                ],
            }
            moves.move_document(
                step,
                document,
                Event.FREEZE,
                detail,
                stamp=document.stamp,
                findings=json.dumps(document.findings),
            )
            for target, role, parts in deliveries:
                step.db.execute(
                    "INSERT INTO delivery(document, target, role, state, parts, attempts, due_at,"
                    " code, reason, step, tries, receipts, changed_at)"
                    " VALUES (?,?,?,?,?,0,?,'','','',0,'[]',?)",
                    [
                        document.id,
                        target,
                        role,
                        DeliveryState.PENDING,
                        json.dumps(rows.parts_json(parts)),
                        None if target in waiting else step.at,
                        step.at,
                    ],
                )
                step.count(f"delivery:{target}", "", DeliveryState.PENDING)
        return self.document(document.id)

    def set_aside(self, document: Document, code: str, reason: str, now: datetime) -> Document:
        """Hold a sealed document: a person looks at it, nothing of it is sent."""
        with self._step(now) as step:
            moves.move_document(
                step, document, Event.SET_ASIDE, {"code": code, "reason": reason}, code=code
            )
        return self.document(document.id)

    def release(self, document_id: str, person: str, now: datetime) -> tuple[str, ...]:
        """Let a person's word set things going again; return what was released.

        The document if it is REFUSED or HELD, and each of its deliveries that is
        REFUSED or GONE: the target is asked before anything is sent again. Never overrides a policy: the same rules are applied again.
        """
        document = self.known(document_id)
        personal = {"person": person}
        released: list[str] = []
        with self._step(now) as step:
            if document.state in {State.REFUSED, State.HELD}:
                moves.move_document(step, document, Event.RELEASE, {}, personal, code="", tries=0)
                released.append("document")
                if not document.described.known:  # what it lacked it lacks still
                    awaits = "sidecar" if document.code.startswith("sidecar-") else "describing"
                    moves.let_wait(step, self.document(document_id), awaits)
            for delivery in self.deliveries(document_id):
                if delivery.state in {DeliveryState.REFUSED, DeliveryState.GONE}:
                    moves.move_delivery(
                        step,
                        delivery,
                        DeliveryEvent.RELEASE,
                        {},
                        personal,
                        code="",
                        reason="",
                        attempts=0,
                    )
                    released.append(delivery.target)
            # The last proof may have come while it was held: nobody looks at it again.
            moves.file_if_proven(step, self, document_id)
        if not released:
            raise PersonNeeded("nothing-to-release", f"{document_id} is {document.state}")
        return tuple(released)

    def discard(self, document_id: str, person: str, reason: str, now: datetime) -> Document:
        """Let a person give up a refused document, with a reason; the bytes stay for now (I2)."""
        document = self.known(document_id)
        if document.state is not State.REFUSED:
            raise PersonNeeded("not-refused", f"{document_id} is {document.state}")
        with self._step(now) as step:
            personal = {"person": person, "reason": reason}
            moves.move_document(step, document, Event.DISCARD, {}, personal)
        return self.document(document_id)

    def supersede(self, old_id: str, new_id: str, person: str, now: datetime) -> Document:
        """Let a person say that one document stands for a refused one; return the refused one."""
        old, new = self.known(old_id), self.known(new_id)
        if old.state is not State.REFUSED:
            raise PersonNeeded("not-refused", f"{old_id} is {old.state}")
        if old_id == new_id or new.given_up:
            raise PersonNeeded("not-a-successor", f"{new_id} is {new.state}")
        with self._step(now) as step:
            moves.supersede(step, old, new_id, "person", {"person": person})
        return self.document(old_id)


def _named(arrival: Arrival) -> dict[str, str]:
    """Return the names that a scan came with: personal detail."""
    names = {"name": arrival.name} | ({"subfolder": arrival.subfolder} if arrival.subfolder else {})
    shown = {key: printable(name) for key, name in names.items()}
    return shown | {f"{key}_hex": name.hex() for key, name in names.items()}
