"""docs/states.md: the lives of a document, a delivery and the paper, from lifecycle's tables.

Who takes a step and what it means to a person stands here; which steps there are does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from daemon.document import (
    DeliveryEvent,
    DeliveryState,
    Event,
    PaperEvent,
    PaperState,
    State,
)
from daemon.lifecycle import DELIVERY, DOCUMENT, HELD_FROM, PAPER
from daemon.words import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from enum import StrEnum

INTRODUCTION: Final = """\
# States

Written from the tables in `daemon/lifecycle.py` by `make docs`; a test compares them. A document has one
delivery for each target and one sheet of paper; their lives go on side by side. What is not in a table
cannot happen: the step is refused, and nothing is written. In German: the word as the page shows it.
A step with a ° is decided, and nothing takes it yet: among them the whole life of the paper.
"""

PERSON: Final = "a person"
NOT_YET: Final = "°"
"""Behind who takes a step that is decided, and that nothing takes so far."""
PERSON_LATER: Final = PERSON + NOT_YET
# Who takes a step, and what it means.
DOCUMENT_STEPS: Final[Mapping[tuple[State, Event], tuple[str, str]]] = {
    (State.CLAIMED, Event.WAIT): (
        "intake, sealer",
        "Something it needs is not there yet: its sidecar, its operator, or a qualified certificate.",
    ),
    (State.CLAIMED, Event.REFUSE): (
        "sealer, start",
        "It cannot be sealed as it is; a copy with the reason goes back to the scanner's `rejected`.",
    ),
    (State.CLAIMED, Event.SEAL): (
        "sealer",
        "It has its seal, read back from the disk and verified. There is never a second one.",
    ),
    (State.WAITING, Event.RESUME): ("intake, sealer, a person", "What it waited for is there."),
    (State.WAITING, Event.REFUSE): (
        "intake, start",
        "What it waited for shows that it cannot be sealed; a copy goes back to `rejected`.",
    ),
    (State.REFUSED, Event.RELEASE): (
        PERSON,
        "It is tried once more under today's configuration. No rule is set aside for it.",
    ),
    (State.REFUSED, Event.DISCARD): (PERSON, "Somebody gives it up and says why."),
    (State.REFUSED, Event.SUPERSEDE): ("a new scan, a person", "A new scan stands for it."),
    (State.SEALED, Event.STAMP): ("time stamping", "A time stamp was added to its seal."),
    (State.SEALED, Event.FREEZE): (
        "sealer, time stamping",
        "Its manifest is sealed and its deliveries are made. Nothing of it changes any more.",
    ),
    (State.SEALED, Event.SET_ASIDE): (
        "sealer, start",
        "Something is wrong with our own copy, or it ended the service twice. Nothing of it is sent.",
    ),
    (State.SEALED, Event.WITHDRAW): (
        PERSON_LATER,
        "Somebody takes it back before anything of it was sent.",
    ),
    (State.STAMPED, Event.FREEZE): (
        "time stamping",
        "Its manifest is sealed and its deliveries are made. Nothing of it changes any more.",
    ),
    (State.STAMPED, Event.SET_ASIDE): (
        "sealer, start",
        "Something is wrong with our own copy, or it ended the service twice. Nothing of it is sent.",
    ),
    (State.STAMPED, Event.WITHDRAW): (
        PERSON_LATER,
        "Somebody takes it back before anything of it was sent.",
    ),
    (State.FROZEN, Event.FILE): (
        "the last proof",
        "The DMS and the archive have proven what they hold, and no other delivery is open.",
    ),
    (State.FROZEN, Event.SET_ASIDE): (
        "sending",
        "What lies here is not what was sealed. Nothing more of it is sent.",
    ),
    (State.HELD, Event.RELEASE): (
        PERSON,
        "Somebody has looked; it goes on where it was held. It keeps the seal that it has.",
    ),
    (State.HELD, Event.WITHDRAW): (
        PERSON_LATER,
        "Somebody takes it back before anything of it was sent.",
    ),
    (State.FILED, Event.FORGET): (
        "forgetting",
        "Its time here is over and the proofs were read again: our copies go.",
    ),
    (State.DISCARDED, Event.FORGET): ("forgetting", "Its time here is over: our copies go."),
    (State.WITHDRAWN, Event.FORGET): ("forgetting", "Its time here is over: our copies go."),
}
DELIVERY_STEPS: Final[Mapping[tuple[DeliveryState, DeliveryEvent], tuple[str, str]]] = {
    (DeliveryState.PENDING, DeliveryEvent.SEND): (
        "sending, rebuild",
        "Committed before the first byte leaves. From here on it may have arrived.",
    ),
    (DeliveryState.PENDING, DeliveryEvent.WAIVE): (
        PERSON,
        "Somebody does without it. That proves nothing.",
    ),
    (DeliveryState.SENDING, DeliveryEvent.ACKNOWLEDGE): (
        "sending",
        "The target holds every part: each was read back from it.",
    ),
    (DeliveryState.SENDING, DeliveryEvent.REJECT): (
        "sending, start",
        "The target will never take it as it is, or sending it ended the service twice.",
    ),
    (DeliveryState.SENDING, DeliveryEvent.WAIVE): (
        PERSON,
        "Somebody does without it. It may have arrived all the same.",
    ),
    (DeliveryState.REFUSED, DeliveryEvent.RELEASE): (
        PERSON,
        "It is tried again; the target is asked first what it holds.",
    ),
    (DeliveryState.REFUSED, DeliveryEvent.WAIVE): (
        PERSON,
        "Somebody does without it. That proves nothing.",
    ),
    (DeliveryState.WAIVED, DeliveryEvent.RELEASE): (
        PERSON_LATER,
        "It is wanted after all; the target is asked first what it holds.",
    ),
    (DeliveryState.DELIVERED, DeliveryEvent.MISS): (
        "forgetting",
        "Asked again, the target no longer holds what it had proven. Our copies stay.",
    ),
    (DeliveryState.GONE, DeliveryEvent.RELEASE): (
        PERSON,
        "It is sent again; the target is asked first what it holds.",
    ),
    (DeliveryState.GONE, DeliveryEvent.ACCEPT): (
        PERSON,
        "Somebody lives with the loss. That proves nothing.",
    ),
}
PAPER_STEPS: Final[Mapping[tuple[PaperState, PaperEvent], tuple[str, str]]] = {
    (PaperState.KEPT, PaperEvent.REQUEST): (PERSON_LATER, "Somebody asks for the sheet."),
    (PaperState.KEPT, PaperEvent.NOT_FOUND): (PERSON_LATER, "It is not where it should be."),
    (PaperState.KEPT, PaperEvent.LEAVE): (
        PERSON_LATER,
        "It leaves the house for good; somebody says why.",
    ),
    (PaperState.KEPT, PaperEvent.PASS): (
        PERSON_LATER,
        "It was scanned again: it belongs to the new document.",
    ),
    (PaperState.KEPT, PaperEvent.DESTROY): (
        PERSON_LATER,
        "It was destroyed, after all that has to be proven was.",
    ),
    (PaperState.REQUESTED, PaperEvent.HAND_OVER): (PERSON_LATER, "Whoever asked for it has it."),
    (PaperState.REQUESTED, PaperEvent.WITHDRAW): (PERSON_LATER, "It is not needed after all."),
    (PaperState.REQUESTED, PaperEvent.NOT_FOUND): (PERSON_LATER, "It is not where it should be."),
    (PaperState.HANDED_OVER, PaperEvent.RETURN): (PERSON_LATER, "It is back in its place."),
    (PaperState.HANDED_OVER, PaperEvent.LEAVE): (
        PERSON_LATER,
        "It does not come back; somebody says why.",
    ),
    (PaperState.MISSING, PaperEvent.FOUND): (
        PERSON_LATER,
        "It turned up and is back in its place.",
    ),
}


@dataclass(frozen=True, slots=True)
class _Life:
    heading: str
    begins: str
    table: Mapping[StrEnum, Mapping[StrEnum, StrEnum]]
    steps: Mapping[tuple[StrEnum, StrEnum], tuple[str, str]]
    words: str
    """Where the page's words for its states stand; "": the page does not show it."""


LIVES: Final[Sequence[_Life]] = (
    _Life("Document", "claim", DOCUMENT, DOCUMENT_STEPS, "document_"),  # type: ignore[arg-type]
    _Life("Delivery", "freeze", DELIVERY, DELIVERY_STEPS, "delivery_"),  # type: ignore[arg-type]
    _Life("Paper", "scan", PAPER, PAPER_STEPS, ""),  # type: ignore[arg-type]
)


def markdown() -> str:
    """Return docs/states.md: for each life a diagram, and a table of its steps."""
    return INTRODUCTION + "".join(
        f"\n## {life.heading}\n\n```mermaid\n{_diagram(life)}```\n\n{_table(life)}"
        for life in LIVES
    )


def steps(
    table: Mapping[StrEnum, Mapping[StrEnum, StrEnum]],
) -> Iterator[tuple[StrEnum, StrEnum, list[StrEnum]]]:
    """Yield state, event and the states that may follow: several only where it was held."""
    for state, events in table.items():
        for event, after in events.items():
            held = (state, event) == (State.HELD, Event.RELEASE)
            yield state, event, [one for one in table if one in HELD_FROM] if held else [after]


def _diagram(life: _Life) -> str:
    arrows: dict[tuple[StrEnum, StrEnum], list[str]] = {}
    for state, event, following in steps(life.table):
        for after in following:
            arrows.setdefault((state, after), []).append(_shown(life, state, event))
    lines = ["stateDiagram-v2"]
    lines.append(f"    [*] --> {_name(next(iter(life.table)))}: {life.begins}")
    lines += [
        f"    {_name(state)} --> {_name(after)}: {', '.join(events)}"
        for (state, after), events in arrows.items()
    ]
    lines += [f"    {_name(state)} --> [*]" for state, events in life.table.items() if not events]
    return "".join(f"{line}\n" for line in lines)


def _table(life: _Life) -> str:
    german = ["German"] if life.words else []
    head = ["State", *german, "Event", "By", "Next state", "Meaning"]
    rows = [head, ["---"] * len(head)]
    before: StrEnum | None = None
    for state, event, following in steps(life.table):
        by, meaning = life.steps[state, event]
        named = [f"`{_name(state)}`", *_german(life, state)]
        if state is before:
            named = [""] * len(named)
        after = ", ".join(f"`{_name(one)}`" for one in following)
        rows.append([*named, _shown(life, state, event), by.rstrip(NOT_YET), after, meaning])
        before = state
    for state, events in life.table.items():
        if not events:
            rows.append([f"`{_name(state)}`", *_german(life, state), "", "", "", "The end."])
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def _german(life: _Life, state: StrEnum) -> list[str]:
    return [WORDS[life.words + state][0]] if life.words else []


def _name(state: StrEnum) -> str:
    return state.name


def _shown(life: _Life, state: StrEnum, event: StrEnum) -> str:
    by, _ = life.steps[state, event]
    return f"{event}{NOT_YET}" if by.endswith(NOT_YET) else str(event)
