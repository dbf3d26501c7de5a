"""The transfer note (Transfervermerk) of one scan, as a value, as XMP and as XML.

What BSI TR-03138 (RESISCAN) asks for in A.NB.4, letter by letter:

    a  creator                                creator, organisation
    b  technical, organisational environment  box, daemon, device, hsm, certificate, procedure
    c  anomalies                              findings, finding_pages
    d  time of capture                        captured_at; beside it the other times (footnote 33)
    e  result of the quality check            quality, images, images_expected
    f  statement of being a scan product      match_de, match_en

It goes into the sealed file as XMP and beside it as `note.xml`; both come from
the same value. Nothing here reads a clock, opens a file, or knows the name that
the file had: that is personal, and the note goes to the archive for ever.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

from daemon.findings import ENVELOPE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NAMESPACE: Final = "urn:scanseal:transfernote:1"
NOT_COUNTED: Final = "no number announced; counted with the quality check"
OUTSTANDING: Final = "quality check outstanding, addendum follows"
MATCH_DE: Final = (
    "Dieses Dokument ist ein Scanprodukt. Es gibt die gescannte Vorlage bildlich und inhaltlich "
    "wieder; daran wurde nach dem Scannen nichts verändert."
)
MATCH_EN: Final = (
    "This document is a scan product. It matches the scanned paper in image and content; "
    "nothing of it was changed after scanning."
)
ENVELOPE_DE: Final = (
    "Dieses Dokument ist ein Deckblatt. Das Scanprodukt ist die Datei mit dem SHA-256-Wert "
    "original_sha256; sie wurde nach der Übernahme nicht verändert und wird zusammen mit dem "
    "Deckblatt abgelegt. Ob sie mit der gescannten Vorlage übereinstimmt, wurde nicht geprüft."
)
ENVELOPE_EN: Final = (
    "This document is a cover sheet. The scan product is the file whose SHA-256 is "
    "original_sha256; it was not changed after it was claimed, and is filed together with the "
    "cover sheet. Whether it matches the scanned paper was not checked."
)
"""What is true instead where the scan could not be sealed itself: nobody has looked at it."""

NOT_WANTED: Final = "not wanted"
NOT_CLAIMED: Final = "not claimed: "
CLAIMS: Final = ("2b", "3b")
WITH_ATTACHMENT: Final = "3b"
"""The part of PDF/A that lets any file be embedded: the note is, as XML."""
PDFA_NOT_CLAIMED: Final = "pdfa-not-claimed"
"""The finding for a file that was to be PDF/A, and is not known to be."""
_PDFA: Final = re.compile(
    rf"{NOT_WANTED}|{'|'.join(CLAIMS)}|{NOT_CLAIMED}[a-z0-9-]{{1,40}}(?:, [a-z0-9-]{{1,40}}){{0,63}}"
)

_ITEMS: Final = {"findings": "finding", "finding_pages": "pages"}
"""Fields that hold several texts, and what each of these is called in XML."""

_NOT_XML: Final = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 (2.2) cannot hold; a token's label may hold anything. Nor a carriage return, which
would come back as a line feed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferNote:
    """One transfer note; each time is RFC 3339 in UTC, as `document.utc_text` writes it."""

    document: str
    """The document's id."""
    box: str
    """The box's name."""
    box_id: str
    organisation: str
    creator: str
    """Who scanned: a person, or a name that leads to one without delay; never the organisation."""
    creator_source: str
    """What named the creator: `sidecar`, `name`, `shift` (a log-in at the hot folder), `hotfolder`
    (its configuration), or `person` (somebody said so afterwards)."""
    batch: str = ""
    """The batch that the scan says it belongs to."""
    number: str = ""
    """The document's number in whatever the organisation counts by."""
    procedure: str
    """The procedure's documentation, with its version."""
    daemon: str
    """Name and version of this program."""
    device: str
    """Where the scan came in: `hot folder <name>`."""
    scanner: str = ""
    """The scanner with its software and their versions, as the configuration has them."""
    hsm: str
    """The token in words: model, firmware, serial number."""
    certificate: str
    """The seal certificate's subject and serial number, and whether it is qualified."""
    seal_quality: str = ""
    """Why an advanced seal was accepted where the profile asks for a qualified certificate."""
    images: int = 0
    """How many images (Abbilder) the document has; 0 where nobody could count them."""
    images_expected: int = 0
    """How many were announced; 0: nobody said."""
    findings: tuple[str, ...] = ()
    """Codes of whatever a person should know."""
    finding_pages: tuple[str, ...] = ()
    """Which pages a finding is about, where it is about pages: `page-blank:2,4-6`."""
    captured_at: str
    captured_source: str = "file-mtime"
    """Where captured_at comes from."""
    claimed_at: str
    checked_at: str = ""
    """When a worker had looked at every page; empty where none could."""
    sealed_at: str
    """The sealing time that the signature claims, too."""
    level: str = "B-B"
    """The level (PAdES) that the seal is to reach; `manifest.json` says which it did."""
    clock: str
    """How far the times can be trusted: sure, unsure, or host (a virtual machine's)."""
    quality: str = OUTSTANDING
    """The result of the quality check."""
    completeness: str = NOT_COUNTED
    """What counting the images came to: as many as were announced, or not, or nobody announced any."""
    match_de: str = MATCH_DE
    match_en: str = MATCH_EN
    original_sha256: str
    original_size: int
    original_kind: str
    ledger_hash: str
    """The newest hash of the custody ledger: the seal anchors the chain."""
    pdfa: str = NOT_WANTED
    """What the file claims of PDF/A: `2b`, `3b`, or that it claims nothing, and because of what."""

    def __post_init__(self) -> None:
        """Refuse a note that A.NB.4 forbids: without a person, or a result of the quality check."""
        if not names_a_person(self.creator, self.organisation) or not self.creator_source:
            raise ValueError("a transfer note that names nobody")
        if not self.quality or not self.completeness:
            raise ValueError("a transfer note without a result of the quality check")


def names_a_person(creator: str, organisation: str) -> bool:
    """Return whether *creator* may stand in a note: the organisation alone may not."""
    said = creator.strip().casefold()
    return bool(said) and said != organisation.strip().casefold()


def completed(
    note: TransferNote,
    images: int,
    findings: Iterable[str],
    checked_at: str,
    finding_pages: Iterable[str] = (),
    pdfa: str = NOT_WANTED,
) -> TransferNote:
    """Return *note* with what only looking at the pages could tell; each finding stands once."""
    return replace(
        note,
        images=images,
        completeness=_counted(images, note.images_expected),
        findings=tuple(dict.fromkeys((*note.findings, *findings))),
        checked_at=checked_at,
        finding_pages=tuple(finding_pages),
        pdfa=pdfa,
    )


def _counted(images: int, expected: int) -> str:
    if not expected:
        return NOT_COUNTED
    how = "complete" if images == expected else "not complete"
    return f"{how}: {expected} announced, {images} found; checked again with the quality check"


def found(note: TransferNote, code: str) -> TransferNote:
    """Return *note* with one finding more, if it has not got it already."""
    return replace(note, findings=tuple(dict.fromkeys((*note.findings, code))))


def judged(note: TransferNote, wanted: str, broken: Iterable[str] = ()) -> TransferNote:
    """Return *note* with what its file claims: *wanted*, unless rules of PDF/A are *broken*."""
    if wanted not in CLAIMS:
        return replace(note, pdfa=NOT_WANTED)
    rules = ", ".join(sorted(broken))
    if not rules:
        return replace(note, pdfa=wanted)
    return found(replace(note, pdfa=NOT_CLAIMED + rules), PDFA_NOT_CLAIMED)


def plausible_claim(pdfa: str, wanted: str, findings: Iterable[str]) -> bool:
    """Return whether a worker can have come to *pdfa*, with these findings, where *wanted* is."""
    if not _PDFA.fullmatch(pdfa):
        return False
    if wanted not in CLAIMS:
        return pdfa == NOT_WANTED
    if PDFA_NOT_CLAIMED in set(findings):
        return pdfa.startswith(NOT_CLAIMED)
    return pdfa == wanted


def enveloped(note: TransferNote, code: str) -> TransferNote:
    """Return the *note* of a cover page, for a scan that could not be sealed because of *code*."""
    note = found(found(note, ENVELOPE), code)
    return replace(note, match_de=ENVELOPE_DE, match_en=ENVELOPE_EN)


def as_json(note: TransferNote) -> dict[str, Any]:
    """Return the note as JSON can hold it, for a worker's pipe."""
    return asdict(note) | {name: list(getattr(note, name)) for name in _ITEMS}


def from_json(value: Mapping[str, Any]) -> TransferNote:
    """Return the note that `as_json` wrote; raise TypeError for anything else."""
    return TransferNote(**{**value, **{name: tuple(value.get(name, ())) for name in _ITEMS}})


def names() -> tuple[str, ...]:
    """Return every field's name, as it stands in XMP and XML, in the order of the note."""
    return tuple(field.name for field in fields(TransferNote))


def as_xmp(note: TransferNote) -> dict[str, str]:
    """Return the note as simple XMP properties: a text under each field's name.

    The texts hold nothing that XML cannot, but are not escaped.
    """
    return {name: _text(getattr(note, name)) for name in names()}


def as_xml(note: TransferNote) -> bytes:
    """Return the note as an XML document, the same bytes for the same note."""
    root = ET.Element("TransferNote", {"xmlns": NAMESPACE, "version": "1"})
    for name in names():
        value = getattr(note, name)
        if isinstance(value, tuple):
            element = ET.SubElement(root, name)
            for item in value:
                ET.SubElement(element, _ITEMS[name]).text = _text(item)
        else:
            ET.SubElement(root, name).text = _text(value)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return text + b"\n"


def _text(value: object) -> str:
    text = " ".join(value) if isinstance(value, tuple) else str(value)
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
