"""`scanseal status` on a terminal: what it says first, and what to do about each thing."""

from __future__ import annotations

from typing import Any

import pytest

from daemon import summary
from daemon.codes import CODES


def snapshot(**other: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "box": "demo",
        "all_well": False,
        "records_readable": True,
        "safe_to_unplug": False,
        "unproven": 4,
        "alarms": [],
        "attention": ["documents-refused"],
        "documents": {"refused": 4, "filed": 0},
        "targets": [],
        "token": {"label": "scanseal", "state": "ready", "code": ""},
        "certificate": None,
        "ledger": {"seq": 7, "hash": "a" * 64},
    }
    return {**found, **other}


@pytest.mark.parametrize("language", ["de", "en"])
def test_whatever_needs_a_person_has_its_remedy(language: str) -> None:
    """Refused documents raise no alarm, and still somebody has to do something."""
    text = summary.render(snapshot(), language)

    assert CODES["documents-refused"].text(language).remedy in text
    assert "refused 4" in text
    assert "filed" not in text


def test_one_document_is_one_document() -> None:
    """A 1 in a plural reads like a program."""
    text = summary.render(snapshot(unproven=1), "de")

    assert "1 Dokument ist" in text


def test_records_that_cannot_be_read_are_said_before_any_number() -> None:
    """The numbers are zeros then, and would say that the box may go."""
    text = summary.render(snapshot(records_readable=False, unproven=0), "en")

    assert "cannot be read" in text
    assert "0 documents" not in text
