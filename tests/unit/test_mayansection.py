"""What the configuration of a Mayan may say."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.targetsections import MayanSection

GOOD: dict[str, Any] = {
    "name": "dms",
    "kind": "mayan",
    "role": "dms",
    "url": "https://mayan.example.org/api/v4",
    "user": "scanseal",
    "password": "credential:mayan",
    "document_type": "Posteingang",
    "metadata": {"scanseal_id": "id", "nummer": "number"},
}


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, ""),
        ({"user": ""}, ""),
        ({"password": ""}, "password: must say where the password lies"),
        ({"document_type": ""}, "document_type: must be the label"),
        ({"key_type": ""}, "key_type: must be a metadata type of its own"),
        ({"key_type": "nummer"}, "key_type: must be a metadata type of its own"),
        ({"metadata": {"nummer": "nr"}}, "metadata: nummer: must be one of id, box, "),
    ],
)
def test_what_cannot_work_is_named(changes: dict[str, Any], wanted: str) -> None:
    """Before anything is delivered with it."""
    found = list(MayanSection(**{**GOOD, **changes}).problems())

    assert len(found) == bool(wanted)
    assert all(text.startswith(wanted) for text in found)
