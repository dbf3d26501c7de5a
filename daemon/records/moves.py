"""How rows change state: the table's rule, a compare-and-set, the tally and the ledger line.

Each function works inside of one transaction that the spool has begun.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from daemon import lifecycle
from daemon.document import Delivery, DeliveryEvent, Document, Event, State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.records.reader import Reader
    from daemon.records.transaction import Transaction

CRASHED: Final = "crashed-here"
UNSEALED: Final = frozenset({State.CLAIMED, State.WAITING})
"""Claimed and without a seal: their bytes count against the free space."""


def move_document(
    tx: Transaction,
    document: Document,
    event: Event,
    detail: Mapping[str, Any],
    personal: Mapping[str, Any] | None = None,
    **columns: Any,
) -> None:
    """Take one step of a document; *columns* are written with it."""
    after = lifecycle.advance(document.state, event, document.came_from)
    columns = {"step": "", "tries": 0, **columns}
    if after is State.HELD:
        columns["came_from"] = document.state
    if after is State.REFUSED:
        columns["copy_due"] = 1
    assignments = "".join(f", {name} = ?" for name in columns)
    tx.change(
        f"UPDATE document SET state = ?, changed_at = ?{assignments}"  # noqa: S608
        " WHERE id = ? AND state = ?",
        [after, tx.at, *columns.values(), document.id, document.state],
    )
    tx.count("document", document.state, after)
    if (document.state in UNSEALED) != (after in UNSEALED):
        leaves = document.state in UNSEALED
        tx.count("bytes", *(("unsealed", "") if leaves else ("", "unsealed")), document.size)
    tx.line(document.id, event, detail, personal)


def move_delivery(
    tx: Transaction,
    delivery: Delivery,
    event: DeliveryEvent,
    detail: Mapping[str, Any],
    personal: Mapping[str, Any] | None = None,
    **columns: Any,
) -> None:
    """Take one step of a delivery; *columns* are written with it."""
    after = lifecycle.advance_delivery(delivery.state, event)
    columns = {"step": "", "tries": 0, "due_at": tx.at, **columns}
    assignments = "".join(f", {name} = ?" for name in columns)
    tx.change(
        f"UPDATE delivery SET state = ?, changed_at = ?{assignments}"  # noqa: S608
        " WHERE document = ? AND target = ? AND state = ?",
        [
            after,
            tx.at,
            *columns.values(),
            delivery.document,
            delivery.target,
            delivery.state,
        ],
    )
    tx.count(f"delivery:{delivery.target}", delivery.state, after)
    tx.line(delivery.document, f"delivery-{event}", {"target": delivery.target, **detail}, personal)


def file_if_proven(tx: Transaction, reader: Reader, document_id: str) -> None:
    """File a frozen document whose deliveries are all proven or waived."""
    document = reader.document(document_id)
    states = [(d.role, d.state) for d in reader.deliveries(document_id)]
    if document.state is State.FROZEN and lifecycle.is_filed(states):
        move_document(tx, document, Event.FILE, {})


def end_uncleanly(tx: Transaction, document: Document, *, count: bool) -> None:
    """End the step a document was found in; its second counted end sets it aside."""
    tries = document.tries + count
    if tries >= lifecycle.COUNTED_ENDS:
        event, _ = lifecycle.poisoned(document.state)
        detail: dict[str, Any] = {"code": CRASHED, "reason": f"twice in step {document.step}"}
        move_document(tx, document, event, detail, code=CRASHED)
    else:
        tx.change("UPDATE document SET step = '', tries = ? WHERE id = ?", [tries, document.id])


def end_delivery_uncleanly(tx: Transaction, delivery: Delivery, *, count: bool) -> None:
    """End the step a delivery was found in: a crash there is never the document's fault."""
    tries = delivery.tries + count
    if tries >= lifecycle.COUNTED_ENDS:
        detail: dict[str, Any] = {"code": CRASHED, "reason": "twice while it was delivered"}
        move_delivery(tx, delivery, DeliveryEvent.REJECT, detail, **detail)
    else:
        tx.change(
            "UPDATE delivery SET step = '', tries = ? WHERE document = ? AND target = ?",
            [tries, delivery.document, delivery.target],
        )
