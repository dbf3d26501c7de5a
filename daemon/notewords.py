"""The transfer note in words: under the headings of BSI TR-03138 (RESISCAN), A.NB.4 a) to f).

    fields of a note (XMP, note.xml) ──▶ headings ──▶ report of `verify`, `scanseal note`, page

A note may come from somebody else's file, so a value is shown as it is and never
believed: an unknown field stands at the end under its own name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from daemon import findings, transfernote
from daemon.codes import CODES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PERSONAL: Final = frozenset({"creator", "creator_source", "batch", "number"})
"""Never shown without a log-in (I9); what a batch or a number holds is the organisation's choice."""

HEADINGS: Final = {
    "a": (
        ("a) Ersteller des Scanprodukts", "a) Creator of the scan product"),
        ("creator", "creator_source", "organisation"),
    ),
    "b": (
        (
            "b) Technisches und organisatorisches Umfeld",
            "b) Technical and organisational environment",
        ),
        (
            "procedure",
            "box",
            "box_id",
            "device",
            "scanner",
            "daemon",
            "hsm",
            "certificate",
            "seal_quality",
        ),
    ),
    "c": (("c) Auffälligkeiten", "c) Anomalies"), ("findings",)),
    "d": (
        ("d) Zeitpunkt der Erfassung", "d) Time of capture"),
        (
            *("captured_at", "captured_source", "claimed_at", "checked_at", "sealed_at"),
            *("clock", "level"),
        ),
    ),
    "e": (
        (
            "e) Ergebnis der Qualitätssicherung, Vollständigkeit",
            "e) Result of the quality check, completeness",
        ),
        ("quality", "completeness", "images", "images_expected"),
    ),
    "f": (
        (
            "f) Vermerk der bildlichen und inhaltlichen Übereinstimmung",
            "f) Statement of match in image and content",
        ),
        ("match",),
    ),
    "": (
        ("Zuordnung und Nachweise", "Assignment and evidence"),
        (
            *("document", "batch", "number", "original_kind", "original_size"),
            *("original_sha256", "ledger_hash", "pdfa"),
        ),
    ),
}
"""Each letter of A.NB.4 with its title and fields; under "" what else a note says."""

LABELS: Final = {
    "creator": ("Person oder Kennung", "person or pseudonym"),
    "creator_source": ("benannt durch", "named by"),
    "organisation": ("Organisation", "organisation"),
    "procedure": ("Verfahrensdokumentation", "procedure"),
    "box": ("Gerät", "box"),
    "box_id": ("Kennung des Geräts", "id of the box"),
    "device": ("Eingang", "intake"),
    "scanner": ("Scanner", "scanner"),
    "daemon": ("Programm", "program"),
    "hsm": ("HSM", "HSM"),
    "certificate": ("Siegelzertifikat", "seal certificate"),
    "seal_quality": ("Fortgeschrittenes Siegel, weil", "advanced seal, because"),
    "findings": ("Bemerkungen", "findings"),
    "captured_at": ("erfasst", "captured"),
    "captured_source": ("Quelle dieser Zeit", "source of that time"),
    "claimed_at": ("übernommen", "taken over"),
    "checked_at": ("geprüft", "checked"),
    "sealed_at": ("gesiegelt", "sealed"),
    "clock": ("Uhr", "clock"),
    "level": ("Niveau des Siegels (angestrebt)", "level of the seal (wanted)"),
    "quality": ("Qualitätssicherung", "quality check"),
    "completeness": ("Vollständigkeit", "completeness"),
    "images": ("Abbilder", "images"),
    "images_expected": ("angekündigte Abbilder", "images announced"),
    "match": ("Übereinstimmung", "match"),
    "document": ("Kennung des Dokuments", "document id"),
    "batch": ("Stapel", "batch"),
    "number": ("Nummer", "number"),
    "original_kind": ("Format des Originals", "format of the original"),
    "original_size": ("Größe des Originals in Byte", "size of the original in bytes"),
    "original_sha256": ("SHA-256 des Originals", "SHA-256 of the original"),
    "pdfa": ("PDF/A", "PDF/A"),
    "ledger_hash": ("Stand der Beweiskette (Hash)", "state of the ledger (hash)"),
}

VALUES: Final = {
    ("creator_source", "sidecar"): ("die Begleitdatei", "the sidecar"),
    ("creator_source", "name"): ("den Dateinamen", "the file name"),
    ("creator_source", "shift"): ("die Anmeldung zur Schicht", "the shift's log-in"),
    ("creator_source", "hotfolder"): (
        "die Einstellung des Scan-Ordners",
        "the configuration of the scan folder",
    ),
    ("creator_source", "person"): ("nachträgliche Angabe", "a person, afterwards"),
    ("captured_source", "file-mtime"): (
        "letzte Änderung der Datei laut Scanner",
        "last change of the file, as the scanner says",
    ),
    ("clock", "sure"): ("vertrauenswürdig", "trusted"),
    ("clock", "unsure"): (
        "NICHT vertrauenswürdig: Die Zeiten sind Angaben ohne Gewähr",
        "NOT trusted: the times are claims",
    ),
    ("clock", "host"): ("vom Wirtssystem geführt", "kept by the host system"),
    ("quality", transfernote.OUTSTANDING): (
        "steht noch aus, Nachtrag folgt",
        "outstanding, an addendum follows",
    ),
    ("completeness", transfernote.NOT_COUNTED): (
        "keine Anzahl angekündigt; gezählt wird mit der Qualitätssicherung",
        "no number was announced; counted with the quality check",
    ),
    ("images", "0"): ("nicht gezählt", "not counted"),
    ("images_expected", "0"): ("keine Angabe", "not announced"),
    ("checked_at", ""): ("nicht prüfbar", "could not be checked"),
    ("findings", ""): ("keine", "none"),
}
COUNTED: Final = re.compile(
    r"(complete|not complete): (\d+) announced, (\d+) found; checked again with the quality check"
)
COMPLETE: Final = {
    (
        "complete",
        0,
    ): "vollständig: {} angekündigt, {} gefunden; die Qualitätssicherung prüft es noch einmal",
    (
        "not complete",
        0,
    ): "NICHT vollständig: {} angekündigt, {} gefunden; die Qualitätssicherung prüft es noch einmal",
    ("complete", 1): "complete: {} announced, {} found; checked again with the quality check",
    (
        "not complete",
        1,
    ): "NOT complete: {} announced, {} found; checked again with the quality check",
}
NAMED: Final = {True: ("benannt", "named"), False: ("nicht benannt", "not named")}
STATEMENT: Final = ("Angabe", "statement")
ABSENT: Final = ("FEHLT", "MISSING")
OTHER: Final = ("Weitere Angaben", "Further statements")
PAGES: Final = (" (Seiten {pages})", " (pages {pages})")
OPTIONAL: Final = frozenset({"scanner", "batch", "number", "findings", "checked_at"})
"""Fields that a note may leave empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """One part of the note."""

    letter: str
    """Of A.NB.4; "" for what it does not ask for."""
    title: str
    rows: tuple[tuple[str, str], ...]
    """Label and value; nothing is escaped."""


def headed(
    fields: Mapping[str, str],
    language: str,
    when: Callable[[str], str] = str,
    *,
    anonymous: bool = False,
) -> tuple[Heading, ...]:
    """Return a note's *fields* under their headings; *when* writes a time for people.

    A letter of A.NB.4 whose fields are all missing says so. An *anonymous* note only
    says whether a creator is named (I9).
    """
    column = 0 if language == "de" else 1
    note = dict(fields)
    note["match"] = note.get(f"match_{language}", "")
    parts = []
    for letter, (titles, names) in HEADINGS.items():
        rows = tuple(_rows(note, names, column, when, anonymous=anonymous))
        if letter and not rows:
            rows = ((STATEMENT[column], ABSENT[column]),)
        parts.append(Heading(letter=letter, title=titles[column], rows=rows))
    known = {*LABELS, "match_de", "match_en", "finding_pages"}
    further = tuple((name, value) for name, value in note.items() if name not in known and value)
    if further and not anonymous:
        parts.append(Heading(letter="", title=OTHER[column], rows=further))
    return tuple(part for part in parts if part.rows)


def _rows(
    note: Mapping[str, str],
    names: tuple[str, ...],
    column: int,
    when: Callable[[str], str],
    *,
    anonymous: bool,
) -> Iterator[tuple[str, str]]:
    for name in names:
        label, value = LABELS[name][column], note.get(name)
        if anonymous and name in PERSONAL:
            if name == "creator":
                yield label, NAMED[bool((value or "").strip())][column]
        elif value is None or (not value and name not in OPTIONAL):
            continue
        elif name == "findings" and value:
            yield from ((label, sentence) for sentence in _findings(note, column))
        elif said := _value(name, value, column, when):
            yield label, said


def _value(name: str, value: str, column: int, when: Callable[[str], str]) -> str:
    if (name, value) in VALUES:
        return VALUES[name, value][column]
    if name == "completeness" and (counted := COUNTED.fullmatch(value)):
        return COMPLETE[counted[1], column].format(counted[2], counted[3])
    return when(value) if name.endswith("_at") else value


def _findings(note: Mapping[str, str], column: int) -> Iterator[str]:
    """Yield each finding's sentence, with the pages that it is about."""
    language = ("de", "en")[column]
    try:
        places = findings.by_code(note.get("finding_pages", "").split())
    except ValueError:  # somebody else's note: shown without
        places = {}
    for code in note["findings"].split():
        sentence = f"{CODES[code].text(language).sentence} " if code in CODES else ""
        where = PAGES[column].format(pages=places[code]) if places.get(code) else ""
        yield f"{sentence}[{code}]{where}"


def from_xml(note: bytes) -> dict[str, str]:
    """Return the fields of our own note.xml, whose digest the caller has compared.

    Raise ValueError for anything else.
    """
    try:
        root = ET.fromstring(note)  # noqa: S314 (our own bytes, compared with their digest)
    except ET.ParseError as exc:
        raise ValueError("no XML") from exc
    if root.tag != f"{{{transfernote.NAMESPACE}}}TransferNote":
        raise ValueError("no transfer note")
    return {
        child.tag.rpartition("}")[2]: " ".join(item.text or "" for item in child)
        if len(child)
        else (child.text or "").strip()
        for child in root
    }
