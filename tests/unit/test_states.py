"""docs/states.md: what the tables of the lives give, and nothing that is not so."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

import pytest

import daemon
from contrib import states
from daemon.document import DeliveryEvent, Event
from daemon.lifecycle import DELIVERY, DOCUMENT, PAPER

DAEMON = Path(daemon.__file__).parent
PAGE = DAEMON.parent / "docs" / "states.md"


def test_the_page_is_what_the_tables_give() -> None:
    """To write it: `make docs`."""
    assert PAGE.read_text("utf-8") == states.markdown()


@pytest.mark.parametrize("life", states.LIVES, ids=lambda life: life.heading)
def test_each_step_is_explained_and_none_that_there_is_not(life: states._Life) -> None:
    """A step that went would leave its sentence, a new one would have none."""
    taken = {(state, event) for state, events in life.table.items() for event in events}

    assert taken == set(life.steps)


def test_the_diagrams_have_every_arrow() -> None:
    """From the text of the page back to the tables; a held document goes where it came from."""
    drawn = {
        (life, before, event.removesuffix(states.NOT_YET), after)
        for life, block in enumerate(
            re.findall(r"```mermaid\n(.*?)```", PAGE.read_text(), re.DOTALL)
        )
        for before, after, events in re.findall(r"(\w+) --> (\w+): (.*)", block)
        for event in events.split(", ")
    }
    wanted = {
        (life, before.name, str(event), after.name)
        for life, table in enumerate((DOCUMENT, DELIVERY, PAPER))
        for before, events in table.items()  # type: ignore[attr-defined]
        for event, after in events.items()
    }
    wanted.remove((0, "HELD", "release", "HELD"))
    wanted |= {(0, "HELD", "release", after) for after in ("SEALED", "STAMPED", "FROZEN")}

    assert drawn == wanted


@pytest.mark.parametrize("event", [*Event, *DeliveryEvent], ids=lambda e: f"{type(e).__name__}-{e}")
def test_what_nothing_takes_yet_is_marked(event: StrEnum) -> None:
    """Whoever builds a step takes its mark away."""
    table = states.DOCUMENT_STEPS if isinstance(event, Event) else states.DELIVERY_STEPS
    marked = [by.endswith(states.NOT_YET) for (_, one), (by, _) in table.items() if one == event]
    name = rf"\b{type(event).__name__}\.{event.name}\b"
    named = any(
        re.search(name, path.read_text("utf-8"))
        for path in DAEMON.rglob("*.py")
        if path.name not in {"lifecycle.py", "document.py"}
    )

    assert named != all(marked)
