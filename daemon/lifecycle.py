"""The lives of a document, of a delivery and of the paper.

This module decides and never acts. It opens no file, reads no clock and knows
no table, so each rule below is tested by calling it.

Three small machines, not one with the product of their states: a document has
one delivery per target and one sheet of paper, and they go on side by side.

    document   CLAIMED -> SEALED -> FROZEN -> FILED -> FORGOTTEN
                  |          |         |
               REFUSED     HELD <------+        a person looks; nothing of it is sent
    delivery   PENDING -> SENDING -> DELIVERED
                             |
                          REFUSED               it was in SENDING once: it goes back there
    paper      KEPT -> REQUESTED -> HANDED_OVER -> KEPT ... DESTROYED

SENDING is committed before the first byte leaves the machine. A delivery found
in SENDING may have arrived: the target is asked before anything is sent again.
There is no way from a sealed state back to CLAIMED: one document, one seal.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from daemon.document import (
    DeliveryEvent,
    DeliveryState,
    Event,
    PaperEvent,
    PaperState,
    Role,
    State,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DOCUMENT: Final[Mapping[State, Mapping[Event, State]]] = {
    State.CLAIMED: {
        Event.WAIT: State.WAITING,
        Event.REFUSE: State.REFUSED,
        Event.SEAL: State.SEALED,
    },
    State.WAITING: {Event.RESUME: State.CLAIMED, Event.REFUSE: State.REFUSED},
    State.REFUSED: {
        Event.RELEASE: State.CLAIMED,
        Event.DISCARD: State.DISCARDED,
        Event.SUPERSEDE: State.DISCARDED,
    },
    State.SEALED: {
        Event.STAMP: State.STAMPED,
        Event.FREEZE: State.FROZEN,
        Event.SET_ASIDE: State.HELD,
        Event.WITHDRAW: State.WITHDRAWN,
    },
    State.STAMPED: {
        Event.FREEZE: State.FROZEN,
        Event.SET_ASIDE: State.HELD,
        Event.WITHDRAW: State.WITHDRAWN,
    },
    State.FROZEN: {Event.FILE: State.FILED, Event.SET_ASIDE: State.HELD},
    # release goes back to the state it came from: see `advance`.
    State.HELD: {Event.RELEASE: State.HELD, Event.WITHDRAW: State.WITHDRAWN},
    State.FILED: {Event.FORGET: State.FORGOTTEN},
    State.DISCARDED: {Event.FORGET: State.FORGOTTEN},
    State.WITHDRAWN: {Event.FORGET: State.FORGOTTEN},
    State.FORGOTTEN: {},
}

HELD_FROM: Final = frozenset({State.SEALED, State.STAMPED, State.FROZEN})
"""The states that a held document may go back to: never CLAIMED, it has its seal."""

DELIVERY: Final[Mapping[DeliveryState, Mapping[DeliveryEvent, DeliveryState]]] = {
    DeliveryState.PENDING: {
        DeliveryEvent.SEND: DeliveryState.SENDING,
        DeliveryEvent.WAIVE: DeliveryState.WAIVED,
    },
    DeliveryState.SENDING: {
        DeliveryEvent.ACKNOWLEDGE: DeliveryState.DELIVERED,
        DeliveryEvent.REJECT: DeliveryState.REFUSED,
        DeliveryEvent.WAIVE: DeliveryState.WAIVED,
    },
    DeliveryState.REFUSED: {
        DeliveryEvent.RELEASE: DeliveryState.SENDING,
        DeliveryEvent.WAIVE: DeliveryState.WAIVED,
    },
    DeliveryState.WAIVED: {DeliveryEvent.RELEASE: DeliveryState.SENDING},
    DeliveryState.DELIVERED: {DeliveryEvent.MISS: DeliveryState.GONE},
    DeliveryState.GONE: {
        DeliveryEvent.RELEASE: DeliveryState.SENDING,
        DeliveryEvent.ACCEPT: DeliveryState.WAIVED,
    },
}

PAPER: Final[Mapping[PaperState, Mapping[PaperEvent, PaperState]]] = {
    PaperState.KEPT: {
        PaperEvent.REQUEST: PaperState.REQUESTED,
        PaperEvent.NOT_FOUND: PaperState.MISSING,
        PaperEvent.LEAVE: PaperState.LEFT,
        PaperEvent.PASS: PaperState.PASSED,
        PaperEvent.DESTROY: PaperState.DESTROYED,
    },
    PaperState.REQUESTED: {
        PaperEvent.HAND_OVER: PaperState.HANDED_OVER,
        PaperEvent.WITHDRAW: PaperState.KEPT,
        PaperEvent.NOT_FOUND: PaperState.MISSING,
    },
    PaperState.HANDED_OVER: {
        PaperEvent.RETURN: PaperState.KEPT,
        PaperEvent.LEAVE: PaperState.LEFT,
    },
    PaperState.MISSING: {PaperEvent.FOUND: PaperState.KEPT},
    PaperState.LEFT: {},
    PaperState.PASSED: {},
    PaperState.DESTROYED: {},
}

COUNTED_ENDS = 2
"""So many ends of the daemon or its worker in one step set a document aside (`crashed-here`)."""


LONGEST_BACKOFF: Final = timedelta(minutes=10)
"""No delivery waits longer for its next try."""


class IllegalStep(Exception):
    """A step that the tables do not have: our bug, never the document's fault."""


def leading_to(state: State) -> set[Event]:
    """Return the events that bring a document into *state*."""
    return {
        event for table in DOCUMENT.values() for event, after in table.items() if after is state
    }


def advance(state: State, event: Event, came_from: State | None = None) -> State:
    """Return the state after *event*, or raise: an illegal step is our bug.

    *came_from* is needed for the release of a HELD document and for nothing else.
    """
    try:
        after = DOCUMENT[state][event]
    except KeyError:
        raise IllegalStep(f"document: {event} is not allowed in state {state}") from None
    if state is State.HELD and event is Event.RELEASE:
        if came_from not in HELD_FROM:
            raise IllegalStep(f"document: held, but it came from {came_from}")
        return came_from
    return after


def advance_delivery(state: DeliveryState, event: DeliveryEvent) -> DeliveryState:
    """Return the state of a delivery after *event*, or raise."""
    try:
        return DELIVERY[state][event]
    except KeyError:
        raise IllegalStep(f"delivery: {event} is not allowed in state {state}") from None


def advance_paper(state: PaperState, event: PaperEvent) -> PaperState:
    """Return the state of the paper after *event*, or raise."""
    try:
        return PAPER[state][event]
    except KeyError:
        raise IllegalStep(f"paper: {event} is not allowed in state {state}") from None


def may_withdraw(deliveries: Iterable[DeliveryState]) -> bool:
    """Return whether a sealed document can still be withdrawn: nothing of it ever left."""
    return all(state is DeliveryState.PENDING for state in deliveries)


def is_filed(deliveries: Iterable[tuple[Role, DeliveryState]]) -> bool:
    """Return whether a FROZEN document is filed.

    At least one DMS and one archive hold it, and the rest hold it or were waived
    by a person. A waiver is never a proof (I2).
    """
    known = list(deliveries)
    delivered = {role for role, state in known if state is DeliveryState.DELIVERED}
    at_rest = {DeliveryState.DELIVERED, DeliveryState.WAIVED}
    return delivered == set(Role) and all(state in at_rest for _, state in known)


def may_forget(state: State, deliveries: Iterable[tuple[Role, DeliveryState]]) -> bool:
    """Return whether a document's bytes may leave this box once its time is over (I2).

    A filed one only as long as everything that filed it still holds: what is on its way, or was
    missed since, keeps it here. What a person gave up is nowhere else, and may go all the same.
    """
    if state is State.FILED:
        return is_filed(deliveries)
    return Event.FORGET in DOCUMENT[state]


def poisoned(state: State) -> tuple[Event, State]:
    """Return what happens to a document after its second counted end: refused, or held if sealed."""
    event = Event.REFUSE if state in {State.CLAIMED, State.WAITING} else Event.SET_ASIDE
    return event, advance(state, event)


def backoff(attempts: int, jitter: float) -> timedelta:
    """Return how long to wait before the next try: a second at least, LONGEST_BACKOFF at most.

    *attempts* counts the tries that failed; *jitter* is a number from 0 to 1 that
    the caller draws (full jitter), so that many do not come back at the same moment.
    """
    ceiling = min(LONGEST_BACKOFF.total_seconds(), 2.0 ** min(attempts, 10))
    return timedelta(seconds=max(ceiling * jitter, 1.0))
