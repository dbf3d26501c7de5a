"""What PDF/A-2 (ISO 19005-2) asks of every object, whatever it is there for."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from pikepdf import Array, Dictionary, Name, Object, Stream, String

from daemon.pages.entries import entries_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MOST_INTEGER: Final = 2**31 - 1
MOST_REAL: Final = Decimal("3.403e38")
LONGEST_STRING: Final = 32767
LONGEST_NAME: Final = 127
SMALLEST_PAGE, LARGEST_PAGE = 3, 14400
"""ISO 19005-2, 6.1.13."""
FILTERS: Final = frozenset({
    "/ASCIIHexDecode", "/ASCII85Decode", "/FlateDecode", "/RunLengthDecode", "/CCITTFaxDecode",
    "/JBIG2Decode", "/DCTDecode", "/JPXDecode",
})  # fmt: skip
"""All but LZW and Crypt (6.1.7.2)."""
BOXES: Final = ("/MediaBox", "/CropBox", "/BleedBox", "/TrimBox", "/ArtBox")
_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
_REGULAR: Final = bytes(
    value if value in b"\0\t\n\f\r ()<>[]{}/%" else ord("a") for value in range(256)
)
"""What a name may consist of (ISO 32000-1, 7.2.2), each as the same letter."""
_MANY_DIGITS: Final = b"0" * 10
_LONG_NAME: Final = b"/" + b"a" * (LONGEST_NAME + 1)
_SPELLED: Final = re.compile(rb"#([0-9a-fA-F]{2})")


def limits_broken_by(item: Object) -> set[str]:
    """Return `limits` if a number, a string or a name in *item* is larger than any may be."""
    source = (item.stream_dict if isinstance(item, Stream) else item).unparse(resolved=True)
    # Not by an expression: these take a tenth of its time, and almost nothing is suspect.
    suspect = (
        len(source) > LONGEST_STRING
        or b"#" in source
        or _MANY_DIGITS in source.translate(_DIGITS)
        or _LONG_NAME in source.translate(_REGULAR)
    )
    return {"limits"} if suspect and not all(map(_within, _values(item))) else set()


def _values(item: Any) -> Iterator[Any]:
    """Yield all that stands in *item* itself, and its keys."""
    waiting = [item]
    while waiting:
        held = waiting.pop()
        if isinstance(held, Array):
            inside: Iterable[Any] = held
        elif isinstance(held, Dictionary | Stream):
            entries = entries_of(held.stream_dict if isinstance(held, Stream) else held)
            yield from (key.encode("utf-8", "surrogateescape") for key in entries)
            inside = entries.values()
        else:
            yield held
            continue
        waiting.extend(
            value for value in inside if not (isinstance(value, Object) and value.is_indirect)
        )


def _within(value: Any) -> bool:
    if isinstance(value, int):
        return -MOST_INTEGER - 1 <= value <= MOST_INTEGER
    if isinstance(value, Decimal):
        return abs(value) <= MOST_REAL
    if isinstance(value, String):
        return len(bytes(value)) <= LONGEST_STRING
    if isinstance(value, Name):
        value = _SPELLED.sub(lambda match: bytes([int(match[1], 16)]), value.unparse())
    return not isinstance(value, bytes) or (len(value) <= LONGEST_NAME + 1 and _is_text(value))


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def broken_by(entries: Mapping[str, Any], *, stream: bool) -> set[str]:
    """Return the rules that a dictionary breaks, whatever it is."""
    return set(_of_any(entries)) | (set(_of_stream(entries)) if stream else set())


def _of_any(entries: Mapping[str, Any]) -> Iterator[str]:
    if "/AA" in entries:
        yield "additional-actions"
    if "/Metadata" in entries:
        # Would have to be looked into as the document's own is.
        yield "metadata"
    if "/EF" in entries or "/AF" in entries or name(entries.get("/Type")) == "/EmbeddedFile":
        yield "embedded-files"
    if any(key in entries and not _is_page(entries[key]) for key in BOXES):
        yield "page-size"


def _of_stream(entries: Mapping[str, Any]) -> Iterator[str]:
    if {"/F", "/FFilter", "/FDecodeParms"} & entries.keys():
        yield "external-stream"
    if not FILTERS.issuperset(filters(entries)):
        yield "filter"


def catalog_broken_by(entries: Mapping[str, Any]) -> set[str]:
    """Return the rules that the catalog breaks, by what hangs there."""
    return set(_of_catalog(entries))


def _of_catalog(entries: Mapping[str, Any]) -> Iterator[str]:
    if "/Requirements" in entries:
        yield "requirements"
    if entries.get("/NeedsRendering", False) is not False:
        yield "xfa"
    if "/Collection" in entries:
        yield "embedded-files"
    if "/OCProperties" in entries and not _layers_fit(entries["/OCProperties"]):
        yield "optional-content"
    names = entries.get("/Names")
    if isinstance(names, Dictionary):
        for key, rule in (
            ("/JavaScript", "action"),
            ("/EmbeddedFiles", "embedded-files"),
            ("/AlternatePresentations", "presentation"),
        ):
            if key in names:
                yield rule


def _layers_fit(layers: Any) -> bool:
    """Return whether layers are of one named setting that changes nothing by itself (6.9)."""
    if not isinstance(layers, Dictionary) or "/Configs" in layers:
        return False
    setting = layers.get("/D")
    # An order has to name all layers; none at all is the same.
    return (
        isinstance(setting, Dictionary)
        and isinstance(setting.get("/Name"), String)
        and len(bytes(setting.Name)) > 0
        and not {"/AS", "/Order"} & set(setting.keys())
    )


def filters(entries: Mapping[str, Any]) -> list[str]:
    """Return the names of a stream's filters."""
    found = entries.get("/Filter")
    named = list(found) if isinstance(found, Array) else [] if found is None else [found]
    return [name(item) for item in named]


def name(value: Any, without: str = "") -> str:
    """Return a name as a file spells it; *without* one, what stands for none."""
    if value is None:
        return without
    # Not str: a name need not be UTF-8.
    return value.unparse().decode("ascii", "replace") if isinstance(value, Name) else ""


def is_nothing(rectangle: Any) -> bool:
    """Return whether a rectangle has no extent, as that of a seal that shows nothing (6.3.3)."""
    found = _numbers(rectangle)
    return found is not None and found[0] == found[2] and found[1] == found[3]


def _is_page(box: Any) -> bool:
    found = _numbers(box)
    if found is None:
        return False
    sides = abs(found[2] - found[0]), abs(found[3] - found[1])
    return all(SMALLEST_PAGE <= side <= LARGEST_PAGE for side in sides)


def _numbers(rectangle: Any) -> list[float] | None:
    if not isinstance(rectangle, Array) or len(rectangle) != 4:
        return None
    try:
        return [float(edge) for edge in rectangle]
    except (TypeError, ValueError):
        return None
