"""The spool about deliveries and about tries to log in: each method is one step, or nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from daemon.document import DeliveryState, Digest, Event, State, new_id
from daemon.errors import StaleWrite
from daemon.lifecycle import IllegalStep
from daemon.records import moves
from tests.agreement import check
from tests.values import LATER, NOW, claimed, events, frozen, last, receipts

if TYPE_CHECKING:
    from daemon.spool import Spool


def test_the_intent_to_send_is_committed_first(spool: Spool) -> None:
    """I3: PENDING becomes SENDING before a byte leaves; what is in doubt stays SENDING."""
    document = frozen(spool, claimed(spool))

    begun = spool.begin_delivery(spool.delivery(document.id, "dms"), NOW)

    assert (begun.state, begun.step) == (DeliveryState.SENDING, "deliver")
    assert last(spool)["event"] == "delivery-send"
    assert last(spool)["detail"] == {"target": "dms"}
    assert not spool.sendable(begun)
    spool.postpone(begun, LATER, "target-unreachable", "no route to Ms Miller's desk", NOW)
    assert last(spool)["event"] == "delivery-postponed"
    detail = {"attempt": 1, "code": "target-unreachable", "target": "dms"}
    assert last(spool)["detail"] == detail  # what a target says may name somebody
    lines = len(events(spool))
    again = spool.begin_delivery(spool.delivery(document.id, "dms"), LATER)
    assert (again.state, again.step, again.attempts) == (DeliveryState.SENDING, "deliver", 1)
    assert len(events(spool)) == lines  # trouble of a target is no state
    check(spool)


def test_a_postponed_delivery_waits_for_its_time(spool: Spool) -> None:
    """Its code and reason are for the page; the next one is looked at meanwhile."""
    document = frozen(spool, claimed(spool))
    begun = spool.begin_delivery(spool.delivery(document.id, "dms"), NOW)

    spool.postpone(begun, LATER, "target-unreachable", "no route", NOW)

    found = spool.delivery(document.id, "dms")
    assert (found.state, found.due_at, found.code, found.reason, found.step) == (
        DeliveryState.SENDING,
        LATER,
        "target-unreachable",
        "no route",
        "",
    )
    assert spool.due("dms", LATER - timedelta(seconds=1), 5) == []
    assert spool.due("dms", LATER, 5) == [found]
    assert spool.next_due("dms") == LATER
    assert spool.next_due("nowhere") is None
    check(spool)


def test_the_last_proof_files_the_document(spool: Spool) -> None:
    """In the same transaction: there is no moment in which all is proven and nothing filed."""
    document = frozen(spool, claimed(spool))
    begun = {
        target: spool.begin_delivery(spool.delivery(document.id, target), NOW)
        for target in ("dms", "archive")
    }

    first = spool.acknowledge(begun["dms"], receipts(spool, document.id, "dms"), LATER)
    assert first.state is State.FROZEN
    second = spool.acknowledge(begun["archive"], receipts(spool, document.id, "archive"), LATER)

    assert second.state is State.FILED
    assert events(spool)[-3:] == ["delivery-acknowledge", "delivery-acknowledge", "file"]
    assert spool.last_success("dms") == LATER
    assert [r["key"] for r in json.loads(spool.receipts(document.id)["archive"])] == [
        f"{document.id}/sealed.pdf",
        f"{document.id}/manifest.json",
    ]
    assert spool.open_targets() == set()
    check(spool)


@pytest.mark.parametrize("how", ["none", "one less", "twice", "digest", "size", "key", "target"])
def test_i2_nothing_is_delivered_without_a_receipt_for_every_part(spool: Spool, how: str) -> None:
    """On its word the original goes: whoever says it, the spool looks itself."""
    document = frozen(spool, claimed(spool))
    begun = spool.begin_delivery(spool.delivery(document.id, "dms"), NOW)
    good = receipts(spool, document.id, "dms")
    said = {
        "none": [],
        "one less": good[1:],
        "twice": [*good, good[0]],
        "digest": [replace(good[0], digest=Digest.of(b"another")), *good[1:]],
        "size": [replace(good[0], size=good[0].size + 1), *good[1:]],
        "key": [replace(good[0], key=f"{new_id(NOW)}/sealed.pdf"), *good[1:]],
        "target": [replace(good[0], target="archive"), *good[1:]],
    }
    before, head = spool.counts(), spool.head()

    with pytest.raises(ValueError, match="no proof"):
        spool.acknowledge(begun, said[how], LATER)

    assert (spool.counts(), spool.head()) == (before, head)
    assert spool.delivery(document.id, "dms") == begun
    spool.acknowledge(begun, good, LATER)
    check(spool)


def test_an_acknowledged_delivery_is_acknowledged_once(spool: Spool) -> None:
    """An answer that came twice, or to an old copy of the delivery."""
    document = frozen(spool, claimed(spool))
    begun = spool.begin_delivery(spool.delivery(document.id, "dms"), NOW)
    spool.acknowledge(begun, receipts(spool, document.id, "dms"), NOW)
    before = spool.head()

    for stale in (begun, replace(begun, state=DeliveryState.PENDING)):
        with pytest.raises((StaleWrite, IllegalStep)):
            spool.acknowledge(stale, [], NOW)
        with pytest.raises((StaleWrite, IllegalStep)):
            spool.reject(stale, "x", "y", NOW)
        with pytest.raises((StaleWrite, IllegalStep)):
            spool.postpone(stale, NOW, "x", "y", NOW)
        with pytest.raises((StaleWrite, IllegalStep)):
            spool.begin_delivery(stale, NOW)

    assert spool.head() == before
    assert spool.delivery(document.id, "dms").state is DeliveryState.DELIVERED
    check(spool)


# -- log-ins (I6) ----------------------------------------------------------------------------


def test_an_attempt_to_log_in_is_counted_before_it_is_made(spool: Spool) -> None:
    """Killed in between, the next start finds an attempt without an answer."""
    assert spool.login_record("4711").unresolved == 0

    spool.login_attempted("4711", NOW)

    assert spool.login_record("4711").unresolved == 1
    assert last(spool)["detail"] == {"token": "4711"}
    assert events(spool) == ["login-attempt"]


@pytest.mark.parametrize(("outcome", "rejected"), [("accepted", 0), ("rejected", 1), ("failed", 0)])
def test_an_answer_says_what_became_of_it(spool: Spool, outcome: Any, rejected: int) -> None:
    """A rejection stays until a person says otherwise, over every restart."""
    spool.login_attempted("4711", NOW)

    spool.login_answered("4711", outcome, "code", NOW)

    record = spool.login_record("4711")
    assert (record.unresolved, record.rejected) == (0, bool(rejected))
    assert last(spool)["event"] == f"login-{outcome}"
    assert spool.login_record("0815").rejected is False


def test_a_permission_is_used_up_by_the_next_attempt(spool: Spool) -> None:
    """One more try, not any number of them."""
    spool.login_attempted("4711", NOW)
    spool.login_answered("4711", "rejected", "pin-rejected", NOW)

    spool.permit_login("4711", "uid 0 (root)", NOW)
    assert spool.login_record("4711").permitted
    assert "root" not in json.dumps(last(spool))
    spool.login_attempted("4711", NOW)

    record = spool.login_record("4711")
    assert (record.permitted, record.rejected, record.unresolved) == (False, True, 1)


def test_an_answer_without_an_attempt_is_our_bug(spool: Spool) -> None:
    """Nobody asked: the record would say something that never happened."""
    with pytest.raises(StaleWrite):
        spool.login_answered("4711", "accepted", "", NOW)
    check(spool)


def test_what_was_withdrawn_needs_no_target(spool: Spool) -> None:
    """Its deliveries never begin; a target may be configured no longer."""
    document = frozen(spool, claimed(spool))
    assert spool.open_targets() == {"dms", "archive"}
    held = spool.set_aside(document, "own-copy-damaged", "x", NOW)
    assert spool.open_targets() == {"dms", "archive"}

    with spool._step(NOW) as step:
        moves.move_document(step, held, Event.WITHDRAW, {})

    assert spool.open_targets() == set()
    other = frozen(spool, claimed(spool, 1))
    assert spool.open_targets() == {"dms", "archive"}
    spool.begin_delivery(spool.delivery(other.id, "dms"), NOW)
    assert spool.open_targets() == {"dms", "archive"}
    check(spool)
