"""Fonts of text that nobody sees: the layer of recognised text under, or over, a scan.

Text of rendering mode 3 renders nothing, so its font need not be embedded
(ISO 19005-2, 6.2.11.4.1); everything else that is said of fonts holds for it, too.
Glyphs and widths of an embedded font are not looked into here, so none is taken but
that of the usual recognisers, which has no glyph of which that could be asked.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

from pikepdf import Array, Dictionary, Name, PikepdfError, Stream, String

STANDARD: Final = frozenset({
    "/Courier", "/Courier-Bold", "/Courier-Oblique", "/Courier-BoldOblique",
    "/Helvetica", "/Helvetica-Bold", "/Helvetica-Oblique", "/Helvetica-BoldOblique",
    "/Times-Roman", "/Times-Bold", "/Times-Italic", "/Times-BoldItalic",
    "/Symbol", "/ZapfDingbats",
})  # fmt: skip
"""Whose widths everybody knows (ISO 32000-1, 9.6.2.2)."""
ENCODINGS: Final = frozenset({"/WinAnsiEncoding", "/MacRomanEncoding"})
_PROGRAMS: Final = ("/FontFile", "/FontFile2", "/FontFile3")
_SYMBOLIC, _NONSYMBOLIC = 4, 32
_MAP: Final = 2 * 65536
"""Bytes of a table from every code to its glyph."""


def fits(font: Any) -> bool:
    """Return whether invisible text may use *font*, for all that is known of it."""
    if not isinstance(font, Dictionary) or not _name(font.get(Name.BaseFont)):
        return False
    if _name(font.get(Name.Type)) != "/Font":
        return False
    kind = _name(font.get(Name.Subtype))
    if kind == "/Type0":
        return _composite(font)
    descriptor = font.get(Name.FontDescriptor)
    if kind == "/Type1" and (descriptor is None or _not_embedded(descriptor)):
        standard = _name(font.BaseFont) in STANDARD
        return _type1_encoding(font.get(Name.Encoding)) and (standard or _has_widths(font))
    if kind == "/TrueType" and isinstance(descriptor, Dictionary) and _not_embedded(descriptor):
        flags = descriptor.get_int(Name.Flags) or 0
        letters = bool(flags & _NONSYMBOLIC) and not flags & _SYMBOLIC
        return letters and _name(font.get(Name.Encoding)) in ENCODINGS and _has_widths(font)
    return False


def _not_embedded(descriptor: Any) -> bool:
    return isinstance(descriptor, Dictionary) and not any(
        descriptor.get(key) is not None for key in _PROGRAMS
    )


def _has_widths(font: Dictionary) -> bool:
    first, last = font.get_int("/FirstChar"), font.get_int("/LastChar")
    widths = font.get("/Widths")
    return (
        first is not None
        and last is not None
        and isinstance(widths, Array)
        and 0 < len(widths) == last - first + 1
    )


def _type1_encoding(encoding: Any) -> bool:
    if encoding is None:
        return True
    if isinstance(encoding, Dictionary):
        # No text may use the glyph that stands for a missing one (6.2.11.8).
        return b".notdef" not in encoding.unparse(resolved=True)
    return _name(encoding) in ENCODINGS | {"/StandardEncoding"}


def _composite(font: Dictionary) -> bool:
    """Return whether a font of codes is one without glyphs, or not embedded (6.2.11.3)."""
    below = font.get("/DescendantFonts")
    if _name(font.get(Name.Encoding)) not in {"/Identity-H", "/Identity-V"}:
        return False
    if not isinstance(below, Array) or len(below) != 1 or not isinstance(below[0], Dictionary):
        return False
    only = below[0]
    system, descriptor = only.get("/CIDSystemInfo"), only.get(Name.FontDescriptor)
    if (
        _name(only.get(Name.Type)) != "/Font"
        or _name(only.get(Name.Subtype)) != "/CIDFontType2"
        or not _name(only.get(Name.BaseFont))
        or not isinstance(system, Dictionary)
        or not all(isinstance(system.get(key), String) for key in ("/Registry", "/Ordering"))
        or system.get_int("/Supplement") is None
        or not isinstance(descriptor, Dictionary)
    ):
        return False
    glyphs = only.get("/CIDToGIDMap")
    if isinstance(glyphs, Stream):
        return _never_the_missing_one(glyphs)
    return (glyphs is None or _name(glyphs) == "/Identity") and _not_embedded(descriptor)


def _never_the_missing_one(glyphs: Stream) -> bool:
    """Return whether each code has a glyph that is not glyph 0, .notdef (6.2.11.8)."""
    how = glyphs.get(Name.Filter)
    if glyphs.get(Name.DecodeParms) is not None:
        return False
    if isinstance(how, Array) and len(how) == 1:
        how = how[0]
    try:
        held = glyphs.read_raw_bytes()
        if how == Name.FlateDecode:
            held = zlib.decompressobj().decompress(held, _MAP + 1)
        elif how is not None:
            return False
    except (PikepdfError, zlib.error):
        return False
    return len(held) == _MAP and all(map(int.__or__, held[::2], held[1::2]))


def _name(value: Any) -> str:
    return value.unparse().decode("ascii", "replace") if isinstance(value, Name) else ""
