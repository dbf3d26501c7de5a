"""The transfer note as a file in the file: `transfernote.xml`, for PDF/A-3 (ISO 19005-3, 6.8).

It hangs on two places of the catalog, and is the only file there: the tree of
embedded files, where readers list it, and /AF, which says what it is to the document.
A scan that brings files of its own gets none of ours beside them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pikepdf import Array, Dictionary, Name, Object, Stream, String

from daemon.pages.entries import entries_of

if TYPE_CHECKING:
    from pikepdf import Pdf

FILE: Final = b"transfernote.xml"
_SPECIFICATION: Final = (
    b"<< /Type /Filespec /F (%b) /UF (%b) /Desc (Transfer note) /AFRelationship /Data"
    % (FILE, FILE)
)
_KEYS: Final = frozenset({"/Type", "/F", "/UF", "/Desc", "/AFRelationship", "/EF"})
_STREAM_KEYS: Final = frozenset({"/Type", "/Subtype", "/Params", "/Length"})


def stream(xml: bytes, modified: bytes) -> bytes:
    """Return the entries of the stream that holds *xml*; *modified* is a date as PDF writes it."""
    return b" /Type /EmbeddedFile /Subtype /text#2fxml /Params << /Size %d /ModDate (%b) >>" % (
        len(xml),
        modified,
    )


def specification(file: int) -> bytes:
    """Return the source of the file specification for the stream that is this object."""
    return b"%b /EF << /F %d 0 R /UF %d 0 R >> >>" % (_SPECIFICATION, file, file)


def catalog(file: int) -> bytes:
    """Return the entries of the catalog for the file specification that is this object."""
    return b" /AF [ %d 0 R ] /Names << /EmbeddedFiles << /Names [ (%b) %d 0 R ] >> >>" % (
        file,
        FILE,
        file,
    )


def can_be_added(pdf: Pdf) -> bool:
    """Return whether *pdf* brings no files of its own, in whatever form."""
    names = pdf.Root.get(Name.Names)
    if names is not None and (not isinstance(names, Dictionary) or "/EmbeddedFiles" in names):
        return False
    return Name.AF not in pdf.Root


def add(pdf: Pdf, xml: bytes, modified: bytes) -> None:
    """Attach *xml* to *pdf*, see `can_be_added`."""
    held = pdf.make_stream(xml, Object.parse(b"<<%b >>" % stream(xml, modified)))
    named = Object.parse(_SPECIFICATION + b" >>")
    named.EF = Dictionary(F=held, UF=held)
    file = pdf.make_indirect(named)
    # A new dictionary: the old one may be an object that something else refers to.
    names = Dictionary()
    for key, value in entries_of(pdf.Root.get(Name.Names, names)).items():
        names[key] = value
    names.EmbeddedFiles = Dictionary(Names=[String(FILE.decode()), file])
    pdf.Root.Names = names
    pdf.Root.AF = Array([file])


def found_in(catalog: Object) -> bytes | None:
    """Return the XML that `add` attached; None if that is not exactly what hangs there."""
    files, names = catalog.get(Name.AF), catalog.get(Name.Names)
    tree = names.get(Name.EmbeddedFiles) if isinstance(names, Dictionary) else None
    if not isinstance(tree, Dictionary) or set(tree.keys()) != {"/Names"}:
        return None
    if not isinstance(files, Array) or len(files) != 1 or not isinstance(files[0], Dictionary):
        return None
    file, entry = files[0], tree.get(Name.Names)
    if not isinstance(entry, Array) or len(entry) != 2 or not _is_name(entry[0]):
        return None
    return _content(file) if _same(file, entry[1]) else None


def _content(file: Dictionary) -> bytes | None:
    """Return the XML that a file specification is for, if it is as it is written."""
    held = file.get("/EF")
    if set(file.keys()) != _KEYS or not isinstance(held, Dictionary):
        return None
    if set(held.keys()) != {"/F", "/UF"}:
        return None
    xml = held.F
    described = [
        file.Type == Name.Filespec,
        _is_name(file.F),
        _is_name(file.UF),
        isinstance(file.Desc, String),
        file.AFRelationship == Name.Data,
        isinstance(xml, Stream) and _same(xml, held.UF),
    ]
    if not all(described) or not isinstance(xml, Stream) or set(xml.keys()) != _STREAM_KEYS:
        return None
    content = xml.read_raw_bytes()
    said = xml.get(Name.Params)
    right = (
        xml.get(Name.Type) == Name.EmbeddedFile
        and xml.get(Name.Subtype) == Name("/text/xml")
        and isinstance(said, Dictionary)
        and set(said.keys()) == {"/Size", "/ModDate"}
        and said.get_int(Name.Size) == len(content)
    )
    return content if right else None


def _is_name(value: object) -> bool:
    return isinstance(value, String) and bytes(value) == FILE


def _same(one: Object, other: object) -> bool:
    return isinstance(other, Object) and one.is_indirect and one.objgen == other.objgen
