"""The transfer note as XMP, in the document's one metadata stream.

What a packet says already stays in it. Our properties are put beside it under
our own namespace, with the extension schema by which PDF/A wants each namespace
that it does not know to be described (ISO 19005-2, 6.6.2.3). A file that brings
properties under our namespace did not get them from us: they go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from xml.sax.saxutils import escape

from daemon.pages import properties
from daemon.transfernote import CLAIMS, NAMESPACE, as_xmp, names

if TYPE_CHECKING:
    from daemon.transfernote import TransferNote

METADATA_REPLACED: Final = "metadata-replaced"
"""The finding for a packet that no XML parser reads: its properties are only in the original."""

XMP_NAMESPACE: Final = f"{NAMESPACE}#"
"""A property's full name is namespace and name in one, so XMP wants the first to end in a sign."""
RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
EXTENSION: Final = "http://www.aiim.org/pdfa/ns/extension/"
SCHEMA: Final = "http://www.aiim.org/pdfa/ns/schema#"
CLAIM: Final = "http://www.aiim.org/pdfa/ns/id/"
MOST: Final = 1 << 20
"""A packet larger than this is not read."""

_BEGIN: Final = b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
_END: Final = b'\n<?xpacket end="r"?>'


def _schema() -> str:
    properties = "".join(
        f'<rdf:li rdf:parseType="Resource"><pdfaProperty:name>{name}</pdfaProperty:name>'
        "<pdfaProperty:valueType>Text</pdfaProperty:valueType>"
        "<pdfaProperty:category>internal</pdfaProperty:category>"
        f"<pdfaProperty:description>Transfer note: {name}</pdfaProperty:description></rdf:li>\n"
        for name in names()
    )
    return (
        '<rdf:li rdf:parseType="Resource">'
        "<pdfaSchema:schema>Scanseal transfer note</pdfaSchema:schema>"
        f"<pdfaSchema:namespaceURI>{XMP_NAMESPACE}</pdfaSchema:namespaceURI>"
        "<pdfaSchema:prefix>scanseal</pdfaSchema:prefix>"
        f"<pdfaSchema:property><rdf:Seq>\n{properties}</rdf:Seq></pdfaSchema:property></rdf:li>"
    )


_SCHEMAS: Final = (
    '<rdf:Description rdf:about=""'
    f' xmlns:pdfaExtension="{EXTENSION}"'
    f' xmlns:pdfaSchema="{SCHEMA}"'
    ' xmlns:pdfaProperty="http://www.aiim.org/pdfa/ns/property#">'
    f"<pdfaExtension:schemas><rdf:Bag>{_schema()}</rdf:Bag></pdfaExtension:schemas>"
    "</rdf:Description>\n"
)


def fresh(note: TransferNote) -> bytes:
    """Return a packet that says nothing but the note."""
    body = (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">\n'
        f"{_claim(note)}{_description(note)}{_SCHEMAS}</rdf:RDF></x:xmpmeta>"
    )
    return _BEGIN + body.encode() + _END


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet that a document brought."""

    root: Any
    rdf: Any

    @classmethod
    def read(cls, data: bytes) -> Packet | None:
        """Return the packet in *data*, or None if it is none that can be read."""
        # Only here, because many scans bring no packet, and a worker is to stay small.
        from lxml import etree  # type: ignore[import-untyped]  # noqa: PLC0415

        # No entities, no DTD, nothing from the network, and lxml's limits on size and depth.
        parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            remove_pis=True,
            huge_tree=False,
        )
        try:
            root = etree.fromstring(data.strip(b"\0 \t\r\n"), parser)
        except (etree.XMLSyntaxError, ValueError):
            return None
        rdf = root if root.tag == f"{{{RDF}}}RDF" else root.find(f"{{{RDF}}}RDF")
        if rdf is None or root.getroottree().docinfo.doctype:
            return None
        return cls(root, rdf)

    @property
    def claim(self) -> str:
        """What it claims of PDF/A: `2b`; "" if it claims nothing."""
        said = [
            "".join(element.text or "" for element in self.rdf.iter(f"{{{CLAIM}}}{name}"))
            for name in ("part", "conformance")
        ]
        return "".join(said).lower()

    def cleared(self) -> Packet:
        """Remove our properties and the claim of PDF/A, which are ours to make; return the rest."""
        _remove_ours(self.rdf)
        return self

    @property
    def broken(self) -> frozenset[str]:
        """The rule of PDF/A that a cleared packet breaks by what it brought, if it does."""
        # The claim is made with one prefix and no other (6.6.4), also where the packet has its own.
        prefixes = {
            prefix
            for element in self.rdf.iter("*")
            for prefix, space in element.nsmap.items()
            if space == CLAIM or prefix in {"pdfaid", "scanseal"}
        }
        fits = prefixes <= {"pdfaid", "scanseal"} and properties.fit(self.rdf)
        return frozenset() if fits else frozenset({"metadata"})

    def with_note(self, note: TransferNote) -> bytes:
        """Return the packet with the note in it, and what it said before."""
        from lxml import etree  # noqa: PLC0415

        schemas = etree.fromstring(f'<r xmlns:rdf="{RDF}">{_SCHEMAS}</r>')
        known = self.rdf.find(f".//{{{EXTENSION}}}schemas/{{{RDF}}}Bag")
        # PDF/A allows one list of schemas in the whole packet: ours joins the one that is there.
        if known is None:
            self.rdf.append(schemas[0])
        else:
            known.append(schemas.find(f".//{{{RDF}}}li"))
        added = f"{_claim(note)}{_description(note)}"
        self.rdf.extend(list(etree.fromstring(f'<r xmlns:rdf="{RDF}">{added}</r>')))
        written: bytes = etree.tostring(self.root, encoding="UTF-8", xml_declaration=False)
        return _BEGIN + written + _END


def _remove_ours(rdf: Any) -> None:
    """Remove our properties, and what the packet claims of PDF/A: both are ours to say."""
    spaces = (f"{{{XMP_NAMESPACE}}}", f"{{{CLAIM}}}")
    for element in list(rdf.iter()):
        for name in [name for name in element.attrib if name.startswith(spaces)]:
            del element.attrib[name]
        ours = isinstance(element.tag, str) and element.tag.startswith(spaces)
        if ours and element.getparent() is not None:
            element.getparent().remove(element)
    for name in list(rdf.iter(f"{{{SCHEMA}}}namespaceURI")):
        item = name.getparent()
        if (name.text or "").strip() == XMP_NAMESPACE and item.getparent() is not None:
            item.getparent().remove(item)


def _claim(note: TransferNote) -> str:
    """Return what the file claims to be (ISO 19005-2, 6.6.4)."""
    if note.pdfa not in CLAIMS:
        return ""
    said = source_of(note.pdfa).decode()
    return f'<rdf:Description rdf:about="" xmlns:pdfaid="{CLAIM}">{said}</rdf:Description>\n'


def source_of(claim: str) -> bytes:
    """Return the properties of a claim as they are written: `2b` is part 2, level B."""
    return (
        f"<pdfaid:part>{claim[0]}</pdfaid:part>"
        f"<pdfaid:conformance>{claim[1:].upper()}</pdfaid:conformance>"
    ).encode()


def _description(note: TransferNote) -> str:
    properties = "".join(
        f"<scanseal:{name}>{escape(value)}</scanseal:{name}>\n"
        for name, value in as_xmp(note).items()
    )
    return (
        f'<rdf:Description rdf:about="" xmlns:scanseal="{XMP_NAMESPACE}">\n'
        f"{properties}</rdf:Description>\n"
    )
