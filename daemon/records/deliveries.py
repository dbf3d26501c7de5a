"""The deliveries of the spool: each method is one step of one delivery, with its ledger line."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from daemon.document import Delivery, DeliveryEvent, DeliveryState, Document, Receipt, utc_text
from daemon.errors import PersonNeeded
from daemon.records import moves, rows
from daemon.records.transaction import together
from daemon.records.writer import Writer
from daemon.schema import UNDERWAY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

POSTPONED: Final = "delivery-postponed"
"""The event of a try that came to nothing."""
LENGTHENED: Final = "delivery-lengthen"
"""The event of a lock at a target that holds for longer now."""


class Deliveries(Writer):
    """What happens to deliveries."""

    @together
    def begin_delivery(self, delivery: Delivery, now: datetime) -> Delivery:
        """Commit the intent to send, before the first byte leaves (I3).

        A delivery that is SENDING already is in doubt: only its step is marked.
        """
        with self._step(now) as step:
            if delivery.state is DeliveryState.PENDING:
                moves.move_delivery(
                    step, delivery, DeliveryEvent.SEND, {}, step="deliver", sent_at=step.at
                )
            else:
                step.change(
                    "UPDATE delivery SET step = 'deliver' WHERE document = ? AND target = ?"
                    " AND state = ?",
                    [delivery.document, delivery.target, delivery.state],
                )
        return self.delivery(delivery.document, delivery.target)

    @together
    def send_again(self, delivery: Delivery, now: datetime) -> None:
        """Commit that something of a delivery that was in doubt is on its way once more."""
        with self._step(now) as step:
            step.change(
                "UPDATE delivery SET sent_at = ?, absent_at = '', sure = 0"
                " WHERE document = ? AND target = ? AND state = ?",
                [step.at, delivery.document, delivery.target, delivery.state],
            )

    @together
    def await_predecessor(self, delivery: Delivery, now: datetime) -> None:
        """Let a delivery wait until another target has the document: till then it is never due."""
        with self._step(now) as step:
            step.change(
                "UPDATE delivery SET due_at = NULL WHERE document = ? AND target = ? AND state = ?",
                [delivery.document, delivery.target, delivery.state],
            )

    def reorder(self, orders: Mapping[str, str], now: datetime) -> None:
        """Let everything be due that waits for a target that has it by now, or is not waited for.

        *orders* names for each target the one that goes first, or "".
        """
        with self._step(now) as step:
            for target, first in orders.items():
                done = (
                    " AND EXISTS (SELECT 1 FROM delivery AS other WHERE other.target = ?"
                    " AND other.document = delivery.document"
                    " AND other.state IN ('delivered','waived'))"
                )
                step.db.execute(
                    f"UPDATE delivery SET due_at = ? WHERE target = ? AND {UNDERWAY}"  # noqa: S608
                    f" AND state = 'pending' AND due_at IS NULL{done if first else ''}",
                    [step.at, target, *([first] if first else [])],
                )

    @together
    def acknowledge(
        self,
        delivery: Delivery,
        receipts: Sequence[Receipt],
        now: datetime,
        followers: Sequence[str] = (),
    ) -> Document:
        """Commit that a target proved every part; file the document if it was the last.

        *followers* are the targets that wait for this one. Raise ValueError, and commit
        nothing, unless *receipts* has one for each part, in order, with its size and digest:
        on what stands here the original goes (I2).
        """
        proofs = rows.receipts_json(receipts)
        proven = [(one.target, one.key, one.size, one.digest) for one in receipts]
        with self._step(now) as step:
            moves.move_delivery(
                step,
                delivery,
                DeliveryEvent.ACKNOWLEDGE,
                {"receipts": proofs},
                receipts=json.dumps(proofs),
                code="",
                reason="",
            )
            # As the row has them, whatever the caller believes.
            parts = self.delivery(delivery.document, delivery.target).parts
            wanted = [
                (delivery.target, f"{delivery.document}/{part.file}", part.size, part.digest)
                for part in parts
            ]
            if not wanted or proven != wanted:
                raise ValueError(f"no proof of {delivery.document} at {delivery.target}")
            moves.file_if_proven(step, self, delivery.document)
            moves.let_follow(step, delivery.document, followers)
        return self.document(delivery.document)

    def lengthened(self, delivery: Delivery, receipts: Sequence[Receipt], now: datetime) -> bool:
        """Commit that what a target has proven is locked for longer there, as read back.

        False, and nothing, if it has been found gone meanwhile.
        """
        proofs = rows.receipts_json(receipts)
        with self._step(now) as step:
            if self.delivery(delivery.document, delivery.target).state is not delivery.state:
                return False
            step.change(
                "UPDATE delivery SET receipts = ? WHERE document = ? AND target = ? AND state = ?",
                [json.dumps(proofs), delivery.document, delivery.target, DeliveryState.DELIVERED],
            )
            detail = {"target": delivery.target, "receipts": proofs}
            step.line(delivery.document, LENGTHENED, detail)
        return True

    def waive(
        self,
        document_id: str,
        target: str,
        person: str,
        reason: str,
        now: datetime,
        followers: Sequence[str] = (),
    ) -> Document:
        """Let a person do without one target for one document, with a reason; never a proof (I2).

        The document is filed if all that is left is proven; *followers* are the targets that
        wait for this one.
        """
        found = {one.target: one for one in self.deliveries(self.known(document_id).id)}
        delivery = found.get(target)
        if delivery is None or delivery.state in {DeliveryState.DELIVERED, DeliveryState.WAIVED}:
            state = delivery.state if delivery else "-"
            raise PersonNeeded("not-waivable", f"{document_id}: {target}: {state}")
        if delivery.step:
            raise PersonNeeded("delivery-under-way", f"{document_id}: {target}")
        gone = delivery.state is DeliveryState.GONE
        event = DeliveryEvent.ACCEPT if gone else DeliveryEvent.WAIVE
        personal = {"person": person, "reason": reason}
        with self._step(now) as step:
            moves.move_delivery(step, delivery, event, {}, personal)
            moves.file_if_proven(step, self, document_id)
            moves.let_follow(step, document_id, followers)
        return self.document(document_id)

    def reject(self, delivery: Delivery, code: str, reason: str, now: datetime) -> None:
        """Commit that the target will never take it as it is: a person decides."""
        with self._step(now) as step:
            detail: dict[str, Any] = {"code": code, "reason": reason}
            moves.move_delivery(step, delivery, DeliveryEvent.REJECT, detail, **detail)

    @together
    def postpone(
        self,
        delivery: Delivery,
        due_at: datetime,
        code: str,
        reason: str,
        now: datetime,
        doubt: Mapping[str, Any] | None = None,
    ) -> None:
        """Commit when to try again, and why it did not work. Trouble of a target is no state.

        *doubt* has those of `sent_at`, `absent_at` and `sure` that this try has changed.
        """
        columns = {
            name: utc_text(value) if isinstance(value, datetime) else value
            for name, value in (doubt or {}).items()
        }
        more = "".join(f", {name} = ?" for name in columns)
        with self._step(now) as step:
            step.change(
                "UPDATE delivery SET attempts = attempts + 1, due_at = ?, code = ?, reason = ?,"  # noqa: S608
                f" step = ''{more} WHERE document = ? AND target = ? AND state = ?",
                [
                    utc_text(due_at),
                    code,
                    reason,
                    *columns.values(),
                    delivery.document,
                    delivery.target,
                    delivery.state,
                ],
            )
            # The reason stays here: a target's own words may name somebody.
            detail = {"target": delivery.target, "code": code, "attempt": delivery.attempts + 1}
            step.line(delivery.document, POSTPONED, detail)
