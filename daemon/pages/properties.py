"""Whether what a document says about itself may stay in a PDF/A-2 (ISO 19005-2, 6.6.2.3).

Known are the properties that scanners and their software write, with their types, out
of the XMP specification of 2005. A property that is not among them, or an extension
schema of somebody else, may well be right: nobody here knows.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RDF: Final = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
LANGUAGE: Final = "{http://www.w3.org/XML/1998/namespace}lang"
EXTENSION: Final = "{http://www.aiim.org/pdfa/ns/extension/}schemas"
_DC: Final = "{http://purl.org/dc/elements/1.1/}"
_XMP: Final = "{http://ns.adobe.com/xap/1.0/}"
_MM: Final = "{http://ns.adobe.com/xap/1.0/mm/}"
_PDF: Final = "{http://ns.adobe.com/pdf/1.3/}"
_DATE: Final = re.compile(
    r"[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?"
    r"(?:Z|[+-][0-9]{2}:[0-9]{2}))?)?)?"
)


def fit(rdf: Any) -> bool:
    """Return whether everything in the packet *rdf* is a property that is known, of its type."""
    about: set[str] = set()
    seen: set[str] = set()
    for description in rdf:
        if description.tag != f"{RDF}Description" or (description.text or "").strip():
            return False
        for key, value in description.attrib.items():
            if key in {f"{RDF}about", "about"}:
                about.add(value)
            elif (
                key in seen or KNOWN.get(key) not in {_is_text, _is_date} or not _right(key, value)
            ):
                return False
            seen.add(key)
        for element in description:
            # Each property once, in the whole packet.
            if element.tag in seen or (element.tail or "").strip() or not _fits(element):
                return False
            seen.add(element.tag)
    # All is said of the one document.
    return len(about) <= 1


def _fits(element: Any) -> bool:
    if element.tag == EXTENSION:
        return len(element) == 1 and element[0].tag == f"{RDF}Bag" and not len(element[0])
    known = KNOWN.get(element.tag)
    return known is not None and known(element)


def _right(key: str, value: str) -> bool:
    return KNOWN.get(key) is not _is_date or _DATE.fullmatch(value) is not None


def _is_text(element: Any) -> bool:
    return not len(element) and not element.attrib


def _is_date(element: Any) -> bool:
    return _is_text(element) and _DATE.fullmatch((element.text or "").strip()) is not None


def _list_of(kind: str, item: Callable[[Any], bool]) -> Callable[[Any], bool]:
    def is_list(element: Any) -> bool:
        return (
            not element.attrib
            and len(element) == 1
            and element[0].tag == RDF + kind
            and not element[0].attrib
            and all(child.tag == f"{RDF}li" and item(child) for child in element[0])
        )

    return is_list


def _is_translation(element: Any) -> bool:
    return not len(element) and set(element.attrib) == {LANGUAGE}


_TEXTS: Final = _list_of("Bag", _is_text)
_IN_LANGUAGES: Final = _list_of("Alt", _is_translation)

KNOWN: Final[Mapping[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(
        (f"{_DC}{name}" for name in ("format", "identifier", "source", "coverage")), _is_text
    ),
    **dict.fromkeys((f"{_DC}{name}" for name in ("title", "description", "rights")), _IN_LANGUAGES),
    **dict.fromkeys(
        (
            f"{_DC}{name}"
            for name in ("contributor", "language", "publisher", "relation", "subject", "type")
        ),
        _TEXTS,
    ),
    f"{_DC}creator": _list_of("Seq", _is_text),
    f"{_DC}date": _list_of("Seq", _is_date),
    **dict.fromkeys(
        (f"{_XMP}{name}" for name in ("CreateDate", "ModifyDate", "MetadataDate")), _is_date
    ),
    **dict.fromkeys((f"{_XMP}{name}" for name in ("CreatorTool", "Label", "Nickname")), _is_text),
    **dict.fromkeys(
        (f"{_MM}{name}" for name in ("DocumentID", "InstanceID", "VersionID", "RenditionClass")),
        _is_text,
    ),
    **dict.fromkeys((f"{_PDF}{name}" for name in ("Keywords", "PDFVersion", "Producer")), _is_text),
}
"""Each known property, and what its element has to be."""
