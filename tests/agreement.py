"""What has to be true of the spool after everything that is done to it."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from daemon import ledger
from daemon.document import Copy, DeliveryEvent, DeliveryState, Event, State
from daemon.lifecycle import advance, advance_delivery

if TYPE_CHECKING:
    from daemon.spool import Spool


NO_STEPS = frozenset(
    {
        "supersedes",
        "describe",
        "personal-erase",
        "recheck-bad",
        "recheck-good",
        "delivery-postponed",
        "delivery-lengthen",
    }
)


def check(spool: Spool) -> None:
    """Everything that has to be true after every method (I5, I7)."""
    db = spool._db
    assert not db.in_transaction
    head = ledger.verify(spool.chain())
    assert head == spool.head()
    documents = dict(db.execute("SELECT state, count(*) FROM document GROUP BY state"))
    unsealed = db.execute(
        "SELECT coalesce(sum(size), 0) FROM document WHERE state IN ('claimed', 'waiting')"
    ).fetchone()[0]
    deliveries: dict[str, Counter[str]] = {}
    for target, delivery_state in db.execute("SELECT target, state FROM delivery"):
        deliveries.setdefault(f"delivery:{target}", Counter())[delivery_state] += 1
    counts = spool.counts()
    assert counts.pop("document", {}) == documents
    assert counts.pop("bytes", {}).get("unsealed", 0) == unsealed == spool.unsealed_bytes()
    profiles = Counter(
        profile
        for (profile,) in db.execute(
            "SELECT profile FROM document WHERE state NOT IN"
            " ('frozen','filed','discarded','withdrawn','forgotten')"
        )
    )
    assert +Counter(counts.pop("profile", {})) == profiles
    assert set(profiles) == spool.open_profiles()
    assert counts == deliveries
    told = told_by_the_ledger(spool)
    rows: dict[tuple[str, str], Any] = {(d.id, ""): d.state for d in spool.newest(1000)}
    for document_id, _ in list(rows):
        for delivery in spool.deliveries(document_id):
            rows[document_id, delivery.target] = delivery.state
    assert told == rows
    stood_for = {
        line["document"]: line["detail"]["by"]
        for line in map(json.loads, spool.chain())
        if line["event"] == Event.SUPERSEDE
    }
    for found in spool.newest(1000):
        assert found.superseded_by == stood_for.get(found.id, "")
        # A copy lies in `rejected` only of what is refused, or has to go.
        if found.copy in {Copy.DUE, Copy.THERE}:
            assert found.state is State.REFUSED
        assert (found.copy_until is not None) == (found.copy is Copy.THERE)


def told_by_the_ledger(spool: Spool) -> dict[tuple[str, str], Any]:
    """Return every state as a rebuild would find it: from the lines alone, through the machines."""
    told: dict[tuple[str, str], Any] = {}
    held: dict[str, State] = {}
    for text in spool.chain():
        line = json.loads(text)
        document, event, detail = line["document"], line["event"], line["detail"]
        if not document or event in NO_STEPS or event.startswith("copy-"):
            continue
        if event == "claim":
            assert (document, "") not in told
            told[document, ""] = State.CLAIMED
        elif event.startswith("delivery-"):
            where = (document, detail["target"])
            told[where] = advance_delivery(
                told[where], DeliveryEvent(event.removeprefix("delivery-"))
            )
        else:
            before = told[document, ""]
            after = advance(before, Event(event), held.get(document))
            if after is State.HELD:
                held[document] = before
            told[document, ""] = after
        if event == Event.FREEZE:
            for made in detail["deliveries"]:
                told[document, made["target"]] = DeliveryState.PENDING
    return told
