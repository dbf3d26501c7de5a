"""What a sealed file claims of PDF/A, read from the file alone, and what has to be there for it.

the packet     pdfaid and the note in it say the same
/OutputIntents there, if it claims anything
/AF, /Names    the note as XML, if it claims part 3; the same note as in the packet
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pikepdf import Name, Stream

from daemon.pages import attached, intent
from daemon.pages.graphs import Differ
from daemon.pages.packet import CLAIM, XMP_NAMESPACE, Packet, source_of
from daemon.transfernote import CLAIMS, NAMESPACE, WITH_ATTACHMENT, names

if TYPE_CHECKING:
    from pikepdf import Object, Pdf

CATALOG: Final = frozenset({"/Type", "/Pages", "/Metadata", "/AcroForm", "/Perms", "/DSS"})
"""What the catalog of a file that was not a PDF may have; evidence is named by `sealed.store_of`."""


def claim_of(sealed: Pdf) -> str:
    """Return `2b` or `3b`, or "" for none; raise Differ if the file is not made that way."""
    held = sealed.Root.get(Name.Metadata)
    text = held.read_raw_bytes() if isinstance(held, Stream) else b""
    claim = _claim(text)
    if claim and Name.OutputIntents not in sealed.Root:
        raise Differ("the sealed file claims PDF/A without an output intent")
    xml = attached.found_in(sealed.Root)
    if claim == WITH_ATTACHMENT and xml is None:
        raise Differ("the sealed file claims PDF/A-3 without the note as a file")
    if xml is not None and not _same_note(text, xml):
        raise Differ("the note that is attached is not the one in the packet")
    return claim


def only_pages(sealed: Pdf) -> None:
    """Raise Differ if a file that was made around images holds more than they need."""
    catalog = sealed.Root
    more = set(catalog.keys()) - CATALOG
    if "/OutputIntents" in more and intent.is_ours(catalog.OutputIntents):
        more.remove("/OutputIntents")
    if {"/AF", "/Names"} <= more and _is_our_file(catalog):
        more -= {"/AF", "/Names"}
    if more or set(catalog.Pages.keys()) != {"/Type", "/Count", "/Kids"}:
        raise Differ("the sealed file holds more than its pages")


def _is_our_file(catalog: Object) -> bool:
    return attached.found_in(catalog) is not None and set(catalog.Names.keys()) == {
        "/EmbeddedFiles"
    }


def _claim(text: bytes) -> str:
    # As it is written; any other spelling of a claim is looked at by a parser.
    for claim in CLAIMS:
        told = b"<scanseal:pdfa>%b</scanseal:pdfa>" % claim.encode()
        if text.count(source_of(claim)) == text.count(told) == text.count(CLAIM.encode()) == 1:
            return claim
    if CLAIM.encode() not in text:
        return ""
    packet = Packet.read(text)
    if packet is None or packet.claim:
        raise Differ("the sealed file claims another PDF/A than its note says")
    return ""


def _same_note(text: bytes, xml: bytes) -> bool:
    from lxml import etree  # type: ignore[import-untyped]  # noqa: PLC0415 (only for part 3)

    packet = Packet.read(text)
    try:
        root = etree.fromstring(xml, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        return False
    if packet is None or root.tag != f"{{{NAMESPACE}}}TransferNote":
        return False
    told = {
        name: [_text(item) for item in packet.rdf.iter(f"{{{XMP_NAMESPACE}}}{name}")]
        for name in names()
    }
    held = [(element.tag, _text(element)) for element in root]
    return held == [
        (f"{{{NAMESPACE}}}{name}", " ".join(texts)) for name, texts in told.items()
    ] and all(len(texts) == 1 for texts in told.values())


def _text(element: Any) -> str:
    if len(element):
        return " ".join(item.text or "" for item in element)
    return element.text or ""
