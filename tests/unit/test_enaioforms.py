"""What enaio is asked, and what its answers say: the forms alone, without a server."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from daemon.document import FACTS, Digest
from daemon.errors import TransientError
from daemon.targets import About, Sending
from daemon.targets import enaioforms as forms
from daemon.targetsections import EnaioSection

KEY = "01a207ec-da7c-7157-ab3a-6d902467b301/sealed.pdf"


def section(**changes: Any) -> EnaioSection:
    values = {
        "name": "dms",
        "kind": "enaio",
        "role": "dms",
        "url": "https://enaio.example.org",
        "user": "scanseal",
        "password": "file:/etc/password",
        "object_type": "Posteingang",
        "parent": "4711",
        "id_field": "ScanId",
        **changes,
    }
    return EnaioSection(**values)


def sending(key: str = KEY, until: datetime | None = None, **facts: Any) -> Sending:
    about = About(retain_until=until, facts=facts)
    return Sending(key, Path("/nonexistent"), Digest.of(b""), 0, about)


def told(part: Sending, **changes: Any) -> dict[str, str]:
    """Return the properties of an insert."""
    (one,) = forms.inserting(section(**changes), part)["objects"]
    return {name: entry["value"] for name, entry in one["properties"].items()}


def test_a_section_as_in_the_manual_has_no_problem() -> None:
    """The rest of these tests change one thing of it."""
    fields = {f"Feld{number}": fact for number, fact in enumerate((*FACTS, "retain_until"))}

    assert list(section(fields=fields, superseded_field="Ersetzt").problems()) == []
    assert list(section(parent="system:tray").problems()) == []
    assert (
        list(section(fields={"system:OBJECT_RETENTION_PLANNED": "retain_until"}).problems()) == []
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"user": ""}, "user, password: are needed"),
        ({"password": ""}, "user, password: are needed"),
        ({"parent": ""}, "parent: must be an object's number"),
        ({"parent": "../4711"}, "parent: must be an object's number"),
        ({"object_type": "Post Eingang"}, "object_type: must be an internal name"),
        ({"object_type": "a; DELETE"}, "object_type: must be an internal name"),
        ({"id_field": ""}, "id_field: must be an index field's internal name"),
        ({"id_field": "a=@b OR c"}, "id_field: must be an index field's internal name"),
        ({"id_field": "system:objectId"}, "id_field: must be an index field's internal name"),
        ({"superseded_field": "a b"}, "superseded_field: must be an index field's internal name"),
        ({"fields": {"a b": "id"}}, "fields.a b: must be an index field's internal name"),
        ({"fields": {"system:parentId": "id"}}, "fields.system:parentId: must be an index"),
        ({"fields": {"Betreff": "name"}}, "fields.Betreff: must be one of id, box, "),
        ({"fields": {"ScanId": "id"}}, "fields.ScanId: has another use already"),
    ],
)
def test_what_would_fail_at_the_first_document_is_said_by_check(
    changes: dict[str, Any], problem: str
) -> None:
    """Names become parts of a statement: nothing but a name may."""
    (found,) = section(**changes).problems()
    assert found.startswith(problem)


def test_what_is_not_known_is_left_out() -> None:
    """An empty text would count as filled in."""
    until = datetime(2036, 11, 22, tzinfo=UTC)
    fields = {"Nummer": "number", "Stapel": "batch", "Bis": "retain_until"}

    assert told(sending(number="0815", batch=""), fields=fields) == {
        "system:objectTypeId": "Posteingang",
        "system:parentId": "4711",
        "ScanId": KEY,
        "Nummer": "0815",
    }
    assert told(sending(until=until), fields=fields)["Bis"] == "2036-11-22T00:00:00.000Z"


@pytest.mark.parametrize(
    ("file", "facts", "name"),
    [
        ("sealed.pdf", {}, "scan-2467b301.pdf"),
        ("sealed.pdf", {"profile": "post"}, "post-2467b301.pdf"),
        ("original.tiff", {"profile": "post"}, "post-2467b301-original.tiff"),
        ("sealed.pdf", {"profile": "../a b/ü"}, ".._a_b__-2467b301.pdf"),
        ("sealed.pdf", {"captured_at": "2026-11-22T08:00:00.000Z"}, "scan-2026-11-22-2467b301.pdf"),
        ("sealed.pdf", {"number": "0815", "operator": "K 17", "batch": "B"}, "scan-2467b301.pdf"),
    ],
)
def test_the_documents_name_is_no_path_and_names_nobody(
    file: str, facts: dict[str, Any], name: str
) -> None:
    """It is shown to everybody who may see the object."""
    assert forms.file_name(sending(KEY.replace("sealed.pdf", file), **facts)) == name


def listed(*numbers: object, key: object = KEY) -> dict[str, Any]:
    found = [{"system:objectId": {"value": one}, "ScanId": {"value": key}} for one in numbers]
    return {"objects": [{"properties": properties} for properties in found]}


def test_one_object_in_several_places_is_one() -> None:
    """A document can be shown in more than one folder; its number is the same."""
    assert forms.hits(section(), KEY, listed("5", 5, "6")) == ["5", "6"]
    assert forms.hits(section(), KEY, listed()) == []


def test_upper_and_lower_case_are_one() -> None:
    """A form may turn what is typed into capitals; no two keys differ in nothing else."""
    assert forms.hits(section(), KEY, listed("5", key=KEY.upper())) == ["5"]


@pytest.mark.parametrize("key", ["", None, 1, KEY + " ", KEY[:-1], [KEY]])
def test_a_hit_that_does_not_carry_the_key_is_no_hit_and_no_absence(key: object) -> None:
    """A server that leaves the condition out would give us strangers' documents."""
    with pytest.raises(TransientError) as caught:
        forms.hits(section(), KEY, listed("5", key=key))
    assert caught.value.code == "target-answer-unreadable"


@pytest.mark.parametrize(
    "said", [listed(), listed("5", "6"), {**listed("5"), "failed": [1]}, {}, [], None, 5, "x"]
)
def test_an_insert_makes_one_object_or_nobody_knows(said: object) -> None:
    """One was sent."""
    with pytest.raises(TransientError):
        forms.made(section(), said)
