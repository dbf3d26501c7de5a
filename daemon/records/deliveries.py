"""The deliveries of the spool: each method is one step of one delivery, with its ledger line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from daemon.document import Delivery, DeliveryEvent, DeliveryState, Document, Receipt, utc_text
from daemon.records import moves, rows
from daemon.records.transaction import together
from daemon.records.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class Deliveries(Writer):
    """What happens to deliveries."""

    @together
    def begin_delivery(self, delivery: Delivery, now: datetime) -> Delivery:
        """Commit the intent to send, before the first byte leaves (I3).

        A delivery that is SENDING already is in doubt: only its step is marked.
        """
        with self._step(now) as step:
            if delivery.state is DeliveryState.PENDING:
                moves.move_delivery(step, delivery, DeliveryEvent.SEND, {}, step="deliver")
            else:
                step.change(
                    "UPDATE delivery SET step = 'deliver' WHERE document = ? AND target = ?"
                    " AND state = ?",
                    [delivery.document, delivery.target, delivery.state],
                )
        return self.delivery(delivery.document, delivery.target)

    @together
    def acknowledge(
        self, delivery: Delivery, receipts: Sequence[Receipt], now: datetime
    ) -> Document:
        """Commit that a target proved every part; file the document if it was the last."""
        proofs = rows.receipts_json(receipts)
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
            moves.file_if_proven(step, self, delivery.document)
        return self.document(delivery.document)

    def reject(self, delivery: Delivery, code: str, reason: str, now: datetime) -> None:
        """Commit that the target will never take it as it is: a person decides."""
        with self._step(now) as step:
            detail: dict[str, Any] = {"code": code, "reason": reason}
            moves.move_delivery(step, delivery, DeliveryEvent.REJECT, detail, **detail)

    @together
    def postpone(
        self, delivery: Delivery, due_at: datetime, code: str, reason: str, now: datetime
    ) -> None:
        """Commit when to try again, and why it did not work. Trouble of a target is no state."""
        with self._step(now) as step:
            step.change(
                "UPDATE delivery SET attempts = attempts + 1, due_at = ?, code = ?, reason = ?,"
                " step = '' WHERE document = ? AND target = ? AND state = ?",
                [
                    utc_text(due_at),
                    code,
                    reason,
                    delivery.document,
                    delivery.target,
                    delivery.state,
                ],
            )
