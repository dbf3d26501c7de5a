"""What a PDF holds beside its pages: scripts, actions, files, and what lies outside of it.

Nothing is looked for in the places where it should be, because readers find it in
others as well: every object is looked at. That is done in two steps, since almost
no scan holds any of it:

    1. each object's source is searched for the names without which nothing of it works
    2. only if there is one: all that can be reached is walked, and judged by its meaning

What nothing refers to is not sealed, so it is no reason either.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pikepdf import Array, Dictionary, Name, Object, String
from pikepdf import ObjectType as Kind

from daemon.pages import coded, references
from daemon.pages.inspect import is_signed
from daemon.pages.symbols import Symbols

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pikepdf import Pdf

ENCRYPTED: Final = "pdf-encrypted-empty"
SIGNED: Final = "already-signed"
JAVASCRIPT: Final = "pdf-javascript"
ACTION: Final = "pdf-launch-action"
FILE: Final = "pdf-embedded-file"
EXTERNAL: Final = "pdf-external-stream"
XFA: Final = "pdf-xfa"
SYMBOLS: Final = "jbig2-symbols"
CHANGING: Final = "pdf-changing-view"

OUTWARD: Final = frozenset({
    "/Launch", "/GoToR", "/GoToE", "/SubmitForm", "/ImportData",
    # Played, not opened; but nothing that paper can have.
    "/Movie", "/Sound", "/Rendition", "/RichMediaExecute",
})  # fmt: skip
FILE_NAMES: Final = ("/F", "/UF", "/DOS", "/Mac", "/Unix")
FILESPECS: Final = frozenset({"/Filespec", "/FileSpec", "/F"})

_SUSPECT: Final = re.compile(
    rb"/(?:JavaScript|Launch|GoTo[RE]|SubmitForm|ImportData|Movie|Sound|Rendition|Thread|URI|"
    rb"RichMedia(?:Execute)?|OnInstantiate|FileAttachment|3D|EF|EmbeddedFiles?|File[sS]pec|UF|"
    rb"SetOCGState|Hide|ResetForm|Named|GoTo3DView|Trans|Alternates|"
    rb"Type /F|OPI|Ref|DestOutputProfileRef|Sig|DocTimeStamp|ByteRange)(?=[\s/<>()\[\]]|$)"
)
"""qpdf writes every name in one way, however the file spells it."""
_STREAM_ELSEWHERE: Final = re.compile(rb"/F ")
_HARMLESS_LINK: Final = re.compile(
    rb"\s*(?:(?:https?|mailto|tel):|(?!\s*(?:[a-z][a-z0-9+.-]*:|[/\\]{2}|\xfe\xff)))", re.IGNORECASE
)
"""Followed only when somebody clicks, and to where a browser goes."""
_CONTAINERS: Final = frozenset({Kind.array, Kind.dictionary, Kind.stream})


def found_in(pdf: Pdf, path: str) -> set[str]:
    """Return the code of each kind of content of the *pdf* at *path* that a profile decides about.

    Raise Refused for images and references that no two readers need to take alike.
    """
    references.ended(path)
    references.settled(pdf, path)
    symbols = Symbols()
    suspect = _is_suspect(pdf, symbols)
    found = set(_of_catalog(pdf.Root))
    if pdf.is_encrypted:
        found.add(ENCRYPTED)
    if is_signed(pdf):
        found.add(SIGNED)
    if suspect:
        found |= _Walk(pdf, symbols.found).found
    return found


def _is_suspect(pdf: Pdf, symbols: Symbols) -> bool:
    """Return whether any object has a name that has to be looked into."""
    suspect = _SUSPECT.search(pdf.trailer.unparse()) is not None
    for number in pdf.get_xref_table():
        item = pdf.get_object(number)
        # isinstance asks the same as _type_code, but takes longer.
        kind = item._type_code if isinstance(item, Object) else None  # noqa: SLF001
        if kind == Kind.stream:
            source = item.stream_dict.unparse()
            suspect = suspect or _STREAM_ELSEWHERE.search(source) is not None
            coded.whole(item, source)
            symbols.look(item, source)
        elif kind in _CONTAINERS:
            source = item.unparse(resolved=True)
        else:
            # A name of its own object may stand for any key's value.
            suspect = suspect or kind == Kind.name_
            continue
        suspect = suspect or _SUSPECT.search(source) is not None
    return suspect or bool(symbols.found)


def _of_catalog(catalog: Object) -> Iterator[str]:
    """Yield what stands in places of its own."""
    form = catalog.get("/AcroForm")
    if (isinstance(form, Dictionary) and "/XFA" in form) or catalog.get("/NeedsRendering"):
        yield XFA
    if "/Collection" in catalog:
        yield FILE
    layers = catalog.get("/OCProperties")
    if isinstance(layers, Dictionary) and _changes(layers.get("/D")):
        yield CHANGING
    names = catalog.get("/Names")
    if isinstance(names, Dictionary):
        for key, code in (("/JavaScript", JAVASCRIPT), ("/EmbeddedFiles", FILE)):
            tree = names.get(key)
            if isinstance(tree, Dictionary) and (tree.get("/Names") or tree.get("/Kids")):
                yield code


def _changes(layers: Any) -> bool:
    """Return whether a layer may be hidden, or is by some: on the screen, in print, in a zoom."""
    if not isinstance(layers, Dictionary):
        return True
    hidden, automatic = layers.get("/OFF"), layers.get("/AS")
    return (
        _name(layers, "/BaseState") not in {"", "/ON"}
        or (hidden is not None and not (isinstance(hidden, Array) and len(hidden) == 0))
        or (automatic is not None and not (isinstance(automatic, Array) and len(automatic) == 0))
    )


class _Walk:
    """All that can be reached from the trailer, each object once."""

    def __init__(self, pdf: Pdf, symbols: set[tuple[int, int]]) -> None:
        self.found: set[str] = set()
        seen: set[tuple[int, int]] = set()
        waiting: list[Any] = [pdf.trailer]
        while waiting:
            item = waiting.pop()
            kind = item._type_code if isinstance(item, Object) else None  # noqa: SLF001
            if kind not in _CONTAINERS:
                continue
            if item.is_indirect:
                if item.objgen in seen:
                    continue
                seen.add(item.objgen)
                if item.objgen in symbols:
                    self.found.add(SYMBOLS)
            if kind == Kind.array:
                waiting.extend(item)
                continue
            entries = item.stream_dict if kind == Kind.stream else item
            if kind == Kind.stream:
                self.found |= set(_of_stream(entries))
            self.found |= set(_of_dictionary(entries))
            waiting.extend(entries.values())


def _of_stream(entries: Object) -> Iterator[str]:
    # Its data is in another file; a reference XObject's page is, and what OPI stands for.
    if any(entries.get(key) is not None for key in ("/F", "/Ref", "/OPI")):
        yield EXTERNAL
    if _name(entries, "/Type") == "/EmbeddedFile":
        yield FILE
    if "/OnInstantiate" in entries:
        yield JAVASCRIPT


def _of_dictionary(entries: Object) -> Iterator[str]:
    yield from _of_action(entries)
    if "/ByteRange" in entries or _name(entries, "/Type") in {"/Sig", "/DocTimeStamp"}:
        yield SIGNED
    if "/DestOutputProfileRef" in entries:
        yield EXTERNAL
    if "/Alternates" in entries:
        yield CHANGING
    subtype = _name(entries, "/Subtype")
    if subtype in {"/FileAttachment", "/RichMedia", "/3D"}:
        yield FILE
    elif (subtype == "/Movie" and "/Movie" in entries) or (
        subtype == "/Sound" and "/Sound" in entries
    ):
        yield ACTION
    files = entries.get("/EF")
    if isinstance(files, Dictionary) and any(key in files for key in FILE_NAMES):
        yield FILE
    elif _name(entries, "/Type") in FILESPECS or isinstance(entries.get("/UF"), String):
        yield EXTERNAL


def _of_action(entries: Object) -> Iterator[str]:
    what = _name(entries, "/S")
    if what == "/JavaScript" or (what == "/Rendition" and "/JS" in entries):
        yield JAVASCRIPT
    if what in OUTWARD or (what == "/Thread" and "/F" in entries):
        yield ACTION
    link = entries.get("/URI")
    if isinstance(link, Dictionary):  # of the catalog: where relative links begin
        link = link.get("/Base")
    if (what == "/URI" or link is not None) and not _is_harmless(link):
        yield ACTION
    # What happens without a click is to show a place of the document, and nothing else.
    triggers = entries.get("/AA")
    started = [entries.get("/OpenAction")]
    if isinstance(triggers, Dictionary):
        started.extend(triggers.values())
    if any(_name(action, "/S") not in {"/GoTo", "/JavaScript", ""} for action in _chains(started)):
        yield ACTION


def _chains(actions: list[Any]) -> Iterator[Dictionary]:
    """Yield these actions, and each that follows one of them, once."""
    seen: set[tuple[int, int]] = set()
    while actions:
        action = actions.pop()
        if isinstance(action, Array):
            actions.extend(action)
        elif isinstance(action, Dictionary) and action.objgen not in seen:
            if action.is_indirect:
                seen.add(action.objgen)
            yield action
            actions.append(action.get("/Next"))


def _is_harmless(link: Any) -> bool:
    return isinstance(link, String) and _HARMLESS_LINK.match(bytes(link)) is not None


def _name(entries: Object, key: str) -> str:
    value = entries.get(key)
    # Not str: a name need not be UTF-8. qpdf writes what is no ASCII in hexadecimal.
    return (
        value.unparse(resolved=True).decode("ascii", "replace") if isinstance(value, Name) else ""
    )
