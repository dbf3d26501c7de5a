"""The three machines against tables written from the design's "Lives", not from the code."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from daemon import lifecycle
from daemon.document import (
    DeliveryEvent,
    DeliveryState,
    Event,
    PaperEvent,
    PaperState,
    Role,
    State,
)
from daemon.lifecycle import IllegalStep, advance, advance_delivery, advance_paper

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from enum import StrEnum

DOCUMENT = """
    claimed    wait         waiting
    waiting    resume       claimed
    claimed    refuse       refused
    waiting    refuse       refused
    refused    release      claimed
    refused    discard      discarded
    refused    supersede    discarded
    claimed    seal         sealed
    sealed     stamp        stamped
    sealed     freeze       frozen
    stamped    freeze       frozen
    sealed     set-aside    held
    stamped    set-aside    held
    frozen     set-aside    held
    sealed     withdraw     withdrawn
    stamped    withdraw     withdrawn
    held       withdraw     withdrawn
    frozen     file         filed
    filed      forget       forgotten
    discarded  forget       forgotten
    withdrawn  forget       forgotten
"""
"""All but the release of HELD, which depends on where the document came from."""

DELIVERY = """
    pending    send         sending
    sending    acknowledge  delivered
    sending    reject       refused
    refused    release      sending
    pending    waive        waived
    sending    waive        waived
    refused    waive        waived
    waived     release      sending
    delivered  miss         gone
    gone       release      sending
    gone       accept       waived
"""

PAPER = """
    kept         request    requested
    requested    hand-over  handed-over
    requested    withdraw   kept
    handed-over  return     kept
    kept         not-found  missing
    requested    not-found  missing
    missing      found      kept
    kept         leave      left
    handed-over  leave      left
    kept         pass       passed
    kept         destroy    destroyed
"""

SEALED = frozenset({State.SEALED, State.STAMPED, State.FROZEN, State.HELD, State.FILED})
"""The states of a document that has its one seal and may still be delivered."""


def table(text: str) -> dict[tuple[str, str], str]:
    return {(before, event): after for before, event, after in map(str.split, _lines(text))}


def _lines(text: str) -> Iterable[str]:
    return text.strip().splitlines()


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_a_document_steps_as_the_design_says(state: State, event: Event) -> None:
    """Every pair is decided: it is in the design's table, or it is refused."""
    if (state, event) == (State.HELD, Event.RELEASE):
        return  # decided by the tests below
    wanted = table(DOCUMENT).get((state, event))

    if wanted is None:
        with pytest.raises(IllegalStep):
            advance(state, event)
    else:
        assert advance(state, event) is State(wanted)


@pytest.mark.parametrize("state", DeliveryState)
@pytest.mark.parametrize("event", DeliveryEvent)
def test_a_delivery_steps_as_the_design_says(state: DeliveryState, event: DeliveryEvent) -> None:
    """Every pair is decided: it is in the design's table, or it is refused."""
    wanted = table(DELIVERY).get((state, event))

    if wanted is None:
        with pytest.raises(IllegalStep):
            advance_delivery(state, event)
    else:
        assert advance_delivery(state, event) is DeliveryState(wanted)


@pytest.mark.parametrize("state", PaperState)
@pytest.mark.parametrize("event", PaperEvent)
def test_the_paper_steps_as_the_design_says(state: PaperState, event: PaperEvent) -> None:
    """Every pair is decided: it is in the design's table, or it is refused."""
    wanted = table(PAPER).get((state, event))

    if wanted is None:
        with pytest.raises(IllegalStep):
            advance_paper(state, event)
    else:
        assert advance_paper(state, event) is PaperState(wanted)


def test_every_state_and_event_is_used() -> None:
    """A word that no table has was forgotten, here or in the design."""
    for text, states, events in (
        (DOCUMENT, State, Event),
        (DELIVERY, DeliveryState, DeliveryEvent),
        (PAPER, PaperState, PaperEvent),
    ):
        steps = table(text)
        assert {before for before, _ in steps} | set(steps.values()) == set(states)
        assert {event for _, event in steps} == set(events)


def test_the_states_at_rest_have_no_way_out() -> None:
    """FORGOTTEN, LEFT, PASSED and DESTROYED are for good; no other state is."""
    found = (
        {state for state, steps in lifecycle.DOCUMENT.items() if not steps}
        | {state for state, steps in lifecycle.DELIVERY.items() if not steps}
        | {state for state, steps in lifecycle.PAPER.items() if not steps}
    )

    assert found == {
        State.FORGOTTEN,
        PaperState.LEFT,
        PaperState.PASSED,
        PaperState.DESTROYED,
    }


@pytest.mark.parametrize("came_from", [*State, None])
def test_a_held_document_goes_back_only_to_where_it_came_from(came_from: State | None) -> None:
    """It has its seal: anything but SEALED, STAMPED and FROZEN would be a guess."""
    if came_from in {State.SEALED, State.STAMPED, State.FROZEN}:
        assert advance(State.HELD, Event.RELEASE, came_from) is came_from
    else:
        with pytest.raises(IllegalStep):
            advance(State.HELD, Event.RELEASE, came_from)


@pytest.mark.parametrize("came_from", State)
def test_where_it_came_from_matters_to_the_release_of_held_alone(came_from: State) -> None:
    """A column that was left over from an earlier hold must not bend another step."""
    for (before, event), after in table(DOCUMENT).items():
        assert advance(State(before), Event(event), came_from) is State(after)


@given(st.data())
def test_no_walk_leads_from_a_seal_back_to_claimed(data: st.DataObject) -> None:
    """One document, one seal (I5): whatever happens to it, in whatever order."""
    state, came_from, seals = State.CLAIMED, None, 0
    for _ in range(data.draw(st.integers(0, 40))):
        allowed = sorted(lifecycle.DOCUMENT[state])
        if not allowed:
            break
        event = data.draw(st.sampled_from(allowed))
        after = advance(state, event, came_from)
        if after is State.HELD:
            came_from = state
        seals += event is Event.SEAL
        state = after

        assert seals <= 1
        if seals:
            assert state not in {State.CLAIMED, State.WAITING, State.REFUSED, State.DISCARDED}
        else:
            assert state not in SEALED


@given(st.data())
def test_every_walk_to_forgotten_passes_a_reason(data: st.DataObject) -> None:
    """I2: bytes go only after everything was proven, or after a person gave them up."""
    state, came_from, path = State.CLAIMED, None, [State.CLAIMED]
    while state is not State.FORGOTTEN and len(path) < 60:
        event = data.draw(st.sampled_from(sorted(lifecycle.DOCUMENT[state])))
        before, state = state, advance(state, event, came_from)
        came_from = before if state is State.HELD else came_from
        path.append(state)

    if state is State.FORGOTTEN:
        assert path[-2] in {State.FILED, State.DISCARDED, State.WITHDRAWN}


@given(st.lists(st.sampled_from(DeliveryEvent), max_size=60))
def test_nothing_is_delivered_that_was_not_committed_to_be_sent(
    events: list[DeliveryEvent],
) -> None:
    """I3: DELIVERED and REFUSED follow SENDING and nothing else; PENDING never comes back."""
    state = DeliveryState.PENDING
    for event in events:
        try:
            after = advance_delivery(state, event)
        except IllegalStep:
            continue
        assert after is not DeliveryState.PENDING
        if after in {DeliveryState.DELIVERED, DeliveryState.REFUSED}:
            assert state is DeliveryState.SENDING
        state = after


deliveries = st.lists(st.tuples(st.sampled_from(Role), st.sampled_from(DeliveryState)), max_size=6)


@given(deliveries)
def test_filed_means_that_both_roles_have_proven_and_nothing_is_open(
    known: list[tuple[Role, DeliveryState]],
) -> None:
    """A waiver ends the waiting and is never a proof (I2)."""
    proofs = [role for role, state in known if state is DeliveryState.DELIVERED]
    open_ones = [state for _, state in known if state not in {"delivered", "waived"}]

    wanted = Role.DMS in proofs and Role.ARCHIVE in proofs and not open_ones

    assert lifecycle.is_filed(iter(known)) == wanted


def test_a_waived_archive_files_nothing() -> None:
    """The one case that would cost an original, spelled out."""
    assert not lifecycle.is_filed(
        [(Role.DMS, DeliveryState.DELIVERED), (Role.ARCHIVE, DeliveryState.WAIVED)]
    )
    assert not lifecycle.is_filed([])


@given(st.lists(st.sampled_from(DeliveryState), max_size=5))
def test_withdrawing_needs_that_nothing_ever_left(states: list[DeliveryState]) -> None:
    """Only PENDING is certain to have left nothing anywhere; SENDING may have."""
    assert lifecycle.may_withdraw(states) == (set(states) <= {DeliveryState.PENDING})


def test_poison_refuses_before_the_seal_and_holds_after_it() -> None:
    """A refused document is scanned again; one that is sealed waits for a person."""
    for state in (State.CLAIMED, State.WAITING):
        assert lifecycle.poisoned(state) == (Event.REFUSE, State.REFUSED)
    for state in (State.SEALED, State.STAMPED, State.FROZEN):
        assert lifecycle.poisoned(state) == (Event.SET_ASIDE, State.HELD)
    for state in (State.FILED, State.FORGOTTEN, State.REFUSED, State.HELD):
        with pytest.raises(IllegalStep):
            lifecycle.poisoned(state)


@given(st.integers(0, 10**6), st.floats(0, 1))
def test_backoff_stays_between_a_second_and_ten_minutes(attempts: int, jitter: float) -> None:
    """Never at once, never forgotten, and never the same moment for all."""
    wait = lifecycle.backoff(attempts, jitter)
    ceiling = lifecycle.backoff(attempts, 1.0)

    assert timedelta(seconds=1) <= wait <= ceiling <= timedelta(minutes=10)
    assert ceiling <= lifecycle.backoff(attempts + 1, 1.0)


def test_backoff_reaches_its_ceiling() -> None:
    """1, 2, 4 ... seconds, then ten minutes for as long as it takes."""
    ceilings = [lifecycle.backoff(n, 1.0).total_seconds() for n in range(12)]

    assert ceilings == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]
    assert lifecycle.backoff(3, 0.0) == timedelta(seconds=1)
    assert lifecycle.backoff(3, 0.25) == timedelta(seconds=2)  # full jitter


@pytest.mark.parametrize(
    ("table_", "first", "at_rest"),
    [
        (lifecycle.DOCUMENT, State.CLAIMED, {State.FORGOTTEN}),
        (
            lifecycle.DELIVERY,
            DeliveryState.PENDING,
            {DeliveryState.DELIVERED, DeliveryState.WAIVED},
        ),
        (
            lifecycle.PAPER,
            PaperState.KEPT,
            {PaperState.LEFT, PaperState.PASSED, PaperState.DESTROYED},
        ),
    ],
    ids=["document", "delivery", "paper"],
)
def test_every_state_is_reached_and_from_each_there_is_a_way_to_rest(
    table_: Mapping[StrEnum, Mapping[StrEnum, StrEnum]], first: StrEnum, at_rest: set[StrEnum]
) -> None:
    """The whole of each graph, not a walk in it."""

    def reached(state: StrEnum) -> set[StrEnum]:
        found, new = {state}, [state]
        while new:
            following = set(table_[new.pop()].values()) - found
            found |= following
            new += following
        return found

    assert set(table_) == set(type(first)) == reached(first)
    assert all(reached(state) & at_rest for state in table_)


class Lives(RuleBasedStateMachine):
    """A document and its deliveries: any event at any time, by the rules alone."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State.CLAIMED
        self.came_from: State | None = None
        self.deliveries: list[tuple[Role, DeliveryState]] = []
        self.seals = 0
        self.left = False
        """Whether a byte of it may have left."""
        self.proven: list[bool] = []
        """Of each delivery: its last word was a proof."""

    @rule(data=st.data(), more=st.lists(st.sampled_from(Role), max_size=2))
    def document(self, data: st.DataObject, more: list[Role]) -> None:
        event = data.draw(st.sampled_from([*lifecycle.DOCUMENT[self.state]] * 5 + [*Event]))
        self.step(event, more)

    @precondition(lambda self: self.state is State.CLAIMED)
    @rule(more=st.lists(st.sampled_from(Role), max_size=2))
    def seal_and_freeze(self, more: list[Role]) -> None:
        self.step(Event.SEAL, more)
        self.step(Event.FREEZE, more)

    @precondition(lambda self: self.state is State.FROZEN)
    @rule()
    def prove_what_is_open(self) -> None:
        for number, (_, state) in enumerate(self.deliveries):
            if state is DeliveryState.PENDING:
                self.move(number, DeliveryEvent.SEND)
                self.move(number, DeliveryEvent.ACKNOWLEDGE)
        self.step(Event.FILE, [])

    def step(self, event: Event, more: list[Role]) -> None:
        if event is Event.WITHDRAW and not lifecycle.may_withdraw(s for _, s in self.deliveries):
            return
        if event is Event.FILE and not lifecycle.is_filed(self.deliveries):
            return
        if event is Event.FORGET and not lifecycle.may_forget(self.state, self.deliveries):
            return
        try:
            after = advance(self.state, event, self.came_from)
        except IllegalStep:
            assert table(DOCUMENT).get((self.state, event)) is None
            return
        if event is Event.WITHDRAW:
            assert not self.left
        if event is Event.FREEZE:
            assert not self.deliveries
            roles = [Role.DMS, Role.ARCHIVE, *more]
            self.deliveries = [(role, DeliveryState.PENDING) for role in roles]
            self.proven = [False] * len(roles)
        if event is Event.FORGET and self.state is State.FILED:
            assert self.both_proven()
        if after is State.HELD:
            self.came_from = self.state
        self.seals += event is Event.SEAL
        self.state = after

    @rule(data=st.data())
    def delivery(self, data: st.DataObject) -> None:
        if self.state not in {State.FROZEN, State.FILED}:
            return
        number = data.draw(st.integers(0, len(self.deliveries) - 1))
        known = [*lifecycle.DELIVERY[self.deliveries[number][1]]]
        self.move(number, data.draw(st.sampled_from(known * 5 + [*DeliveryEvent])))

    def move(self, number: int, event: DeliveryEvent) -> None:
        role, state = self.deliveries[number]
        try:
            after = advance_delivery(state, event)
        except IllegalStep:
            assert table(DELIVERY).get((state, event)) is None
            return
        self.deliveries[number] = (role, after)
        self.proven[number] = event is DeliveryEvent.ACKNOWLEDGE
        self.left |= after is DeliveryState.SENDING

    def both_proven(self) -> bool:
        found = zip(self.deliveries, self.proven, strict=True)
        return {role for (role, _), proven in found if proven} == set(Role)

    @invariant()
    def holds(self) -> None:
        assert self.seals <= 1
        assert (self.seals == 1) or not self.deliveries
        if self.state in SEALED | {State.STAMPED, State.WITHDRAWN}:
            assert self.seals == 1
        if self.state is State.WITHDRAWN:
            assert not self.left
        for (_, state), proven in zip(self.deliveries, self.proven, strict=True):
            assert proven is (state is DeliveryState.DELIVERED)


def test_lives_side_by_side() -> None:
    """A document with its deliveries, by the rules alone: nothing unproven is filed or forgotten."""
    Lives.TestCase.settings = settings(
        max_examples=150, stateful_step_count=40, deadline=None, derandomize=True, database=None
    )
    Lives.TestCase("runTest").runTest()
