"""The transfer note in words: under the letters of A.NB.4, in both languages, with and without names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemon import notewords, transfernote
from daemon.notewords import headed
from daemon.transfernote import TransferNote, as_xml, as_xmp, completed
from tests.unit.pages_samples import NOTE

FULL = completed(
    replace(NOTE, batch="S-1", number="4711", images_expected=7, scanner="fi-8170 1.2"),
    7,
    ("page-blank",),
    "2026-11-22T10:00:21.000Z",
    ("page-blank:2,4-6",),
)


def said(note: TransferNote, language: str, *, anonymous: bool = False) -> str:
    parts = headed(as_xmp(note), language, anonymous=anonymous)
    return "\n".join(f"{p.title}\n" + "\n".join(f"{a}: {b}" for a, b in p.rows) for p in parts)


def test_every_field_of_the_note_has_its_words() -> None:
    """A field that was added later would stand at the end, under a name for programs."""
    placed = {name for _, names in notewords.HEADINGS.values() for name in names}
    known = placed | {"finding_pages", "match_de", "match_en"}

    assert set(transfernote.names()) <= known
    assert placed == set(notewords.LABELS)


@pytest.mark.parametrize("language", ["de", "en"])
def test_every_letter_of_a_nb_4_is_there_in_order(language: str) -> None:
    """A lawyer looks for the letters of the rule, and for each of their contents."""
    parts = headed(as_xmp(FULL), language)

    assert [part.letter for part in parts][:6] == list("abcdef")
    assert [part.title[:2] for part in parts][:6] == ["a)", "b)", "c)", "d)", "e)", "f)"]
    text = said(FULL, language)
    for value in (NOTE.creator, NOTE.organisation, NOTE.procedure, NOTE.hsm, "fi-8170", "2,4-6"):
        assert value in text
    assert (transfernote.MATCH_DE if language == "de" else transfernote.MATCH_EN) in text


def test_values_are_in_the_language_of_the_reader() -> None:
    """The note is written once, for programs of every country; who reads it has a language."""
    german = said(FULL, "de")

    assert "steht noch aus, Nachtrag folgt" in german
    assert "vollständig: 7 angekündigt, 7 gefunden" in german
    assert "die Einstellung des Scan-Ordners" in german
    assert "sieht leer aus" in german
    assert "outstanding" not in german
    short = completed(replace(NOTE, images_expected=8), 7, (), "")
    assert "NICHT vollständig: 8 angekündigt, 7 gefunden" in said(short, "de")
    assert "keine Anzahl angekündigt" in said(NOTE, "de")


def test_a_letter_without_a_word_is_told() -> None:
    """A note of somebody else may lack what A.NB.4 asks for: nothing there would look like done."""
    parts = {part.letter: part for part in headed({"creator": "K 17"}, "en")}

    assert parts["a"].rows == (("person or pseudonym", "K 17"),)
    assert parts["f"].rows == (("statement", "MISSING"),)


@pytest.mark.parametrize("language", ["de", "en"])
def test_an_anonymous_note_says_that_a_creator_is_named_and_no_more(language: str) -> None:
    """I9: the page has no log-in."""
    text = said(replace(FULL, creator="Erika Beispiel"), language, anonymous=True)

    assert ("person or pseudonym: named" if language == "en" else "Kennung: benannt") in text
    for personal in ("Erika", "S-1", "4711"):
        assert personal not in text
    unknown = headed({"creator": "", "strange": "Erika"}, language, anonymous=True)
    assert unknown[0].rows[0][1] in {"nicht benannt", "not named"}
    assert "Erika" not in str(unknown)


def test_note_xml_says_what_the_note_says() -> None:
    """What the page reads is the file, not the value it was made from."""
    assert headed(notewords.from_xml(as_xml(FULL)), "en") == headed(as_xmp(FULL), "en")


@pytest.mark.parametrize("xml", [b"", b"<a/>", b"<TransferNote/>"])
def test_anything_else_is_no_note(xml: bytes) -> None:
    """Our own file, after its digest was compared; still nothing is guessed."""
    with pytest.raises(ValueError, match="no "):
        notewords.from_xml(xml)


def test_pages_that_are_none_are_left_out() -> None:
    """Somebody else's note can say anything there."""
    note = {"findings": "page-blank never-heard", "finding_pages": "page-blank:x page-blank:x"}

    rows = next(part for part in headed(note, "en") if part.letter == "c").rows

    assert [value[-20:] for _, value in rows][1] == "[never-heard]"
    assert rows[0][1].endswith("[page-blank]")
