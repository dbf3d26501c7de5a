"""How rows change state: the table's rule, a compare-and-set, the tally and the ledger line.

Each function works inside of one transaction that the spool has begun.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from daemon import lifecycle
from daemon.document import Copy, Delivery, DeliveryEvent, Document, Event, State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.records.reader import Reader
    from daemon.records.transaction import Transaction

CRASHED: Final = "crashed-here"
UNSEALED: Final = frozenset({State.CLAIMED, State.WAITING})
"""Claimed and without a seal: their bytes count against the free space."""
PROFILED: Final = frozenset(
    {State.CLAIMED, State.WAITING, State.REFUSED, State.SEALED, State.STAMPED, State.HELD}
)
"""Before their manifest: what becomes of them their profile says."""


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
    if after in {State.HELD, State.FORGOTTEN}:
        columns["came_from"] = document.state
    if after is State.REFUSED:
        columns |= {"copy": Copy.DUE, "copy_until": None}
    elif document.state is State.REFUSED:  # also if none was made: half of one may lie there
        columns |= {"copy": Copy.LEAVING, "copy_until": None}
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
    if (document.state in PROFILED) != (after in PROFILED):
        leaves = document.state in PROFILED
        tx.count("profile", *((document.profile, "") if leaves else ("", document.profile)))
    tx.line(document.id, event, detail, personal)


def let_wait(tx: Transaction, document: Document, code: str) -> None:
    """Let a claimed document wait for what *code* says."""
    move_document(tx, document, Event.WAIT, {"code": code}, code=code)


def supersede(
    tx: Transaction,
    old: Document,
    new_id: str,
    how: str,
    personal: Mapping[str, Any] | None = None,
) -> None:
    """Let the document *new_id* stand for the refused one *old*; a line for each of them."""
    detail = {"by": new_id, "how": how}
    move_document(tx, old, Event.SUPERSEDE, detail, personal, superseded_by=new_id)
    tx.line(new_id, "supersedes", {"document": old.id, "how": how}, personal)
    tx.db.execute(
        "UPDATE document SET resembles = '' WHERE id = ? AND resembles = ?", [new_id, old.id]
    )


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


def let_follow(tx: Transaction, document_id: str, targets: Sequence[str]) -> None:
    """Let the deliveries of a document to *targets* be due that have waited for another one."""
    for target in targets:
        tx.db.execute(
            "UPDATE delivery SET due_at = ? WHERE document = ? AND target = ? AND due_at IS NULL"
            " AND state = 'pending'",
            [tx.at, document_id, target],
        )


def end_uncleanly(tx: Transaction, document: Document, *, count: bool, why: str = "") -> None:
    """End the step a document was found in; its second counted end sets it aside.

    *why* is how this end came about, where somebody saw it.
    """
    tries = document.tries + count
    if tries >= lifecycle.COUNTED_ENDS:
        event, _ = lifecycle.poisoned(document.state)
        reason = f"twice in step {document.step}" + (f"; the last time: {why}" if why else "")
        detail: dict[str, Any] = {"code": CRASHED, "reason": reason}
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
