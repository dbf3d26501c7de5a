"""The transfer note: the same value as JSON, as XMP and as XML."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from daemon import transfernote
from tests.schema_of_notes import XSD, problem
from tests.unit.pages_samples import NOTE

SPACE = f"{{{transfernote.NAMESPACE}}}"


@pytest.mark.parametrize("nobody", ["", "  ", NOTE.organisation, f" {NOTE.organisation.upper()}"])
def test_there_is_no_note_without_a_person(nobody: str) -> None:
    """A.NB.4 a: naming only the organisation is forbidden, so such a note cannot be made."""
    with pytest.raises(ValueError, match="names nobody"):
        replace(NOTE, creator=nobody)


def test_a_person_has_a_source() -> None:
    """Who said that it was this one: without that a name is hearsay."""
    with pytest.raises(ValueError, match="names nobody"):
        replace(NOTE, creator_source="")


@pytest.mark.parametrize(
    ("announced", "wanted"),
    [
        (0, "no number announced"),
        (3, "complete: 3 announced, 3 found"),
        (4, "not complete: 4 announced, 3 found"),
    ],
)
def test_the_note_says_what_counting_came_to(announced: int, wanted: str) -> None:
    """A.NB.3: images found, images announced; never an empty field."""
    note = transfernote.completed(replace(NOTE, images_expected=announced), 3, [], "")

    assert note.completeness.startswith(wanted)
    with pytest.raises(ValueError, match="quality"):
        replace(NOTE, completeness="")


def test_the_quality_result_is_never_empty() -> None:
    """A.NB.4 e: an empty field would look like a check that found nothing."""
    assert NOTE.quality == "quality check outstanding, addendum follows"
    with pytest.raises(ValueError, match="quality"):
        replace(NOTE, quality="")


def test_completing_keeps_what_was_found_and_names_nothing_twice() -> None:
    """Main process and worker complete the same note: both have to come to the same."""
    note = transfernote.completed(NOTE, 3, ["transcoded", "transcoded"], "2026-11-22T10:00Z")

    assert note.images == 3
    assert note.findings == ("transcoded",)
    assert note.checked_at == "2026-11-22T10:00Z"
    assert transfernote.completed(note, 3, note.findings, note.checked_at) == note


def test_it_survives_the_pipe() -> None:
    """JSON has no tuples."""
    note = transfernote.completed(NOTE, 3, ["transcoded"], "")

    assert transfernote.from_json(transfernote.as_json(note)) == note


def test_a_field_that_is_not_known_is_no_note() -> None:
    """A typo must not become a default."""
    with pytest.raises(TypeError):
        transfernote.from_json({**transfernote.as_json(NOTE), "creatr": "x"})


def test_xml_holds_every_field_under_its_own_name() -> None:
    """The archive's readers have no XMP parser, and get the same note."""
    root = ET.fromstring(transfernote.as_xml(NOTE))  # noqa: S314 (our own)

    assert root.tag == f"{SPACE}TransferNote"
    assert [element.tag for element in root] == [SPACE + name for name in transfernote.names()]
    assert root.findtext(f"{SPACE}organisation") == "Stadt Musterstadt, Marktamt"
    assert [element.text for element in root.find(f"{SPACE}findings") or []] == []


def test_the_same_note_is_the_same_xml() -> None:
    """Its digest stands in the manifest, and is made again after a crash."""
    assert transfernote.as_xml(NOTE) == transfernote.as_xml(replace(NOTE))
    assert transfernote.as_xml(NOTE).startswith(b"<?xml version='1.0' encoding='UTF-8'?>\n")


def test_what_xml_cannot_hold_does_not_break_it() -> None:
    """A token's label comes from its vendor, and may be padded with anything."""
    note = replace(NOTE, hsm="a\0b\x1bc\rd\ud800e <&>", organisation="Bürgerbüro Süd")

    read = ET.fromstring(transfernote.as_xml(note))  # noqa: S314 (our own)

    assert read.findtext(f"{SPACE}hsm") == "a\ufffdb\ufffdc\ufffdd\ufffde <&>"
    assert read.findtext(f"{SPACE}organisation") == "Bürgerbüro Süd"


def test_xmp_has_a_text_for_each_field() -> None:
    """XMP properties of the simplest kind, which every tool shows."""
    texts = transfernote.as_xmp(replace(NOTE, findings=("page-blank", "transcoded")))

    assert tuple(texts) == transfernote.names()
    assert texts["findings"] == "page-blank transcoded"
    assert texts["original_size"] == "1234"


def test_the_note_has_no_place_for_the_name_of_the_file() -> None:
    """The name is personal, and the note is archived for as long as the document (I9)."""
    assert not [name for name in transfernote.names() if "name" in name or "path" in name]


def test_the_pages_of_findings_stand_beside_them() -> None:
    """In XML one element each, in XMP one text: which pages a code is about."""
    pages = ("page-blank:2,4-6", "transcoded:1")
    note = transfernote.completed(NOTE, 9, ["page-blank", "transcoded"], "", pages)

    assert note.finding_pages == pages
    assert transfernote.from_json(transfernote.as_json(note)) == note
    assert transfernote.as_xmp(note)["finding_pages"] == "page-blank:2,4-6 transcoded:1"
    root = ET.fromstring(transfernote.as_xml(note))  # noqa: S314 (our own)
    texts = [(part.tag, part.text) for part in root.find(f"{SPACE}finding_pages") or []]
    assert texts == [(f"{SPACE}pages", text) for text in pages]


def test_the_note_of_a_cover_page_does_not_claim_to_match_the_paper() -> None:
    """A.NB.4 f: nobody has looked at the scan, so nobody can say that it matches."""
    note = transfernote.enveloped(NOTE, "already-signed")

    assert note.findings == ("envelope", "already-signed")
    assert "Deckblatt" in note.match_de
    assert "cover sheet" in note.match_en
    assert "nicht geprüft" in note.match_de
    assert "was not checked" in note.match_en
    assert (note.images, note.checked_at) == (0, "")
    assert transfernote.enveloped(note, "already-signed") == note


def test_what_only_the_main_process_can_find_is_added_once() -> None:
    """The worker sends the note's findings back with its own."""
    note = transfernote.found(NOTE, "duplicate-content")

    assert note.findings == ("duplicate-content",)
    assert transfernote.found(note, "duplicate-content") == note


# -- the schema ------------------------------------------------------------------------------


def changed(old: str, new: str, xml: bytes = b"") -> bytes:
    text = (xml or transfernote.as_xml(NOTE)).decode()
    assert text.count(old) == 1
    return text.replace(old, new).encode()


def test_the_schema_has_every_field_in_its_place() -> None:
    """Whoever adds a field adds a line to docs/transfernote.xsd."""
    space = "{http://www.w3.org/2001/XMLSchema}"
    root = ET.parse(XSD).getroot()  # noqa: S314 (our own)
    sequence = root.find(f"{space}element/{space}complexType/{space}sequence")

    assert sequence is not None
    assert tuple(element.get("name") for element in sequence) == transfernote.names()


@pytest.mark.parametrize(
    "note",
    [
        NOTE,
        replace(NOTE, creator="K 17", creator_source="sidecar", batch="3", seal_quality="so said"),
        transfernote.enveloped(NOTE, "already-signed"),
        transfernote.completed(
            NOTE, 9, ["page-blank"], NOTE.sealed_at, ["page-blank:2,4-6", "transcoded:1"], "3b"
        ),
        transfernote.judged(NOTE, "2b", {"text-visible", "font"}),
        replace(NOTE, hsm="a\0b\x1bc\rd\ud800e <&>"),
    ],
)
def test_every_note_is_as_the_schema_says(note: transfernote.TransferNote) -> None:
    """The archive can check it without us."""
    assert not problem(transfernote.as_xml(note))


@pytest.mark.parametrize("name", transfernote.names())
def test_a_note_without_a_field_is_none(name: str) -> None:
    """RESISCAN A.NB.4: nothing of it may be missing."""
    xml = transfernote.as_xml(NOTE)
    root = ET.fromstring(xml)  # noqa: S314 (our own)
    element = root.find(SPACE + name)
    assert element is not None
    root.remove(element)

    assert problem(ET.tostring(root))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<batch />", "<batch /><file>a.pdf</file>"),
        ("<batch />", "<batch /><batch />"),
        ("<box>marktamt-01</box>", "<box></box>"),
        ("2026-11-22T10:00:00.000Z", "22.11.2026"),
        ("2026-11-22T10:00:00.000Z", "2026-11-22T10:00:00.000+01:00"),
        ("<findings />", "<findings><finding>Frau M</finding></findings>"),
        ("<pdfa>not wanted</pdfa>", "<pdfa>yes</pdfa>"),
        ('version="1"', 'version="2"'),
        (transfernote.NAMESPACE, "urn:other"),
        ("cd" * 32, "cd" * 31),
    ],
)
def test_what_is_no_note_is_refused(old: str, new: str) -> None:
    """An unknown field, a missing text, another namespace."""
    assert problem(changed(old, new))
