"""Finds the images of a PDF that are coded with symbols, in whatever place they hang.

Every stream is looked at, not every page: an image can be a form's, a pattern's, a
mask's, a glyph's or an annotation's. In the description of a page an image can also
stand itself, but JBIG2 is forbidden there (ISO 32000-1, 8.9.7), and where it is
there all the same some readers show it and others do not.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Any, Final

import pikepdf
from pikepdf import Array, Dictionary, Name, Object, Stream

from daemon.errors import Refused
from daemon.pages import jbig2
from daemon.pages.inspect import damage

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_UNPACKED: Final = 1 << 30
"""Of all page descriptions of a document together; nothing of it is kept."""
_CHUNK: Final = 1 << 20

_FILTERED: Final = re.compile(rb"/JBIG2Decode|/Filter (?:\[[^\]]*)?\d")
"""In the dictionary of a stream: it says JBIG2, or something that stands elsewhere."""
_DATA: Final = re.compile(
    rb"/Subtype /Image|/Type /(?:Metadata|ObjStm|XRef|EmbeddedFile|CMap)|/Length1 |/FunctionType |"
    rb"/ShadingType |/N \d|/Subtype /(?:Type1C|CIDFontType0C|OpenType|XML)"
)
"""In the dictionary of a stream: this is no description of a page, form, pattern or glyph."""
_NAME: Final = re.compile(
    b"/" + b"".join(b"(?:%c|#%02x|#%02X)" % (char, char, char) for char in b"JBIG2Decode")
)


class Symbols:
    """One search through all streams of a document."""

    def __init__(self) -> None:
        """Nothing is found so far."""
        self.found: set[tuple[int, int]] = set()
        """The streams that are coded with symbols."""
        self._left = MOST_UNPACKED

    def look(self, stream: Object, source: bytes) -> None:
        """Look at *stream*, whose dictionary reads *source*.

        Raise Refused for JBIG2 that no two readers need to understand alike.
        """
        if _FILTERED.search(source) and _is_coded_with_symbols(stream):
            self.found.add(stream.objgen)
        if not _DATA.search(source) and self._names_jbig2(stream):
            _refuse_inline(stream)

    def _names_jbig2(self, stream: Object) -> bool:
        kept = b""
        for chunk in _unpacked(stream):
            self._left -= len(chunk)
            if self._left < 0:
                raise Refused("too-large", "the descriptions of the pages unpack to gigabytes")
            if _NAME.search(kept + chunk):
                return True
            kept = chunk[-40:]
        return False


def _is_coded_with_symbols(stream: Object) -> bool:
    filters = _listed(stream.get(Name.Filter))
    if Name.JBIG2Decode not in filters:
        return False
    position = filters.index(Name.JBIG2Decode)
    if position != len(filters) - 1:
        raise Refused("pdf-damaged", "a filter is applied to what JBIG2 decodes")
    parameters = _listed(stream.get(Name.DecodeParms))
    own = parameters[position] if len(parameters) > position else None
    shared = own.get("/JBIG2Globals") if isinstance(own, Dictionary) else None
    if shared is not None and not isinstance(shared, Stream):
        raise Refused("pdf-damaged", "what JBIG2 images share is not a stream")
    raw = stream.read_raw_bytes()
    if position:
        raw = _decoded(raw, filters[:position], parameters[:position])
    try:
        coded = jbig2.has_dictionaries(raw)
        if isinstance(shared, Stream):
            filters, parameters = (
                _listed(shared.get(key)) for key in (Name.Filter, Name.DecodeParms)
            )
            raw = shared.read_raw_bytes()
            raw = _decoded(raw, filters, parameters) if filters else raw
            coded = jbig2.has_dictionaries(raw) or coded
    except jbig2.MalformedError as exc:
        raise Refused("pdf-damaged", f"JBIG2 with {exc}") from None
    return coded


def _refuse_inline(stream: Object) -> None:
    """Raise Refused if the name is that of a filter, or there is no telling; a text may hold it."""
    try:
        instructions = list(pikepdf.parse_content_stream(stream))
    except pikepdf.PikepdfError:
        raise Refused("pdf-damaged", "the description of a page cannot be read") from None
    for instruction in instructions:
        inline = getattr(instruction, "iimage", None)
        filters = [] if inline is None else _listed(inline.obj.get(Name.Filter))
        # An image that begins in one part of a description can go on in the next.
        if Name.JBIG2Decode in filters or (
            inline is None and any(value == Name.JBIG2Decode for value in instruction.operands)
        ):
            raise Refused("pdf-damaged", "JBIG2 in the description of a page")


def _unpacked(stream: Object) -> Iterator[bytes]:
    """Yield what *stream* holds, in pieces; raise Refused where it cannot be unpacked to its end."""
    filters, parameters = (_listed(stream.get(key)) for key in (Name.Filter, Name.DecodeParms))
    raw = stream.read_raw_bytes()
    held = len(raw)
    if not filters:
        yield raw
    elif filters == [Name.FlateDecode] and not any(parameters):
        # Not by qpdf: a few bytes can hold more than the whole memory.
        unpacker = zlib.decompressobj()
        try:
            while not unpacker.eof and (piece := unpacker.decompress(raw, _CHUNK)):
                yield piece
                raw = unpacker.unconsumed_tail
        except zlib.error:
            raise Refused("pdf-damaged", "the description of a page does not unpack") from None
        if held and not unpacker.eof:
            raise Refused("pdf-damaged", "the description of a page breaks off")
    else:
        yield _decoded(raw, filters, parameters)


def _decoded(raw: bytes, filters: list[Any], parameters: list[Any]) -> bytes:
    """Decode *raw*; raise Refused where qpdf cannot."""
    # In a document of its own: what is wrong with some stream is no damage of the scan.
    with pikepdf.new() as scratch:
        stream = scratch.make_stream(raw)
        stream.Filter = Array([Object.parse(_source(name)) for name in filters])
        stream.DecodeParms = Array([Object.parse(_source(entry)) for entry in parameters])
        try:
            return stream.read_bytes()
        except pikepdf.PikepdfError as exc:
            raise damage(" ".join(map(str, [exc, *scratch.get_warnings()]))) from None


def _source(value: Any) -> bytes:
    return value.unparse(resolved=True) if isinstance(value, Object) else b"null"


def _listed(value: Any) -> list[Any]:
    """Return the values of an array, or the value alone, or nothing."""
    if isinstance(value, Array):
        return list(value)
    return [] if value is None else [value]
