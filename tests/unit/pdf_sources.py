"""PDFs written by hand, byte by byte: what no library would write for us, or no longer."""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING

from daemon.pages.policy import SENTENCES
from daemon.pages.revisions import EARLIER_REVISIONS
from tests.unit.pages_samples import PAGE, handmade

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FLATE = b"/Filter /FlateDecode"


def held(findings: Iterable[str]) -> tuple[str, ...]:
    """Return the findings about what a PDF holds; those about its pages are tested elsewhere."""
    return tuple(code for code in findings if code in {*SENTENCES, EARLIER_REVISIONS})


def stream(entries: bytes, data: bytes) -> bytes:
    """Return the source of a stream."""
    return b"<< %b /Length %d >>\nstream\n%b\nendstream" % (entries, len(data), data)


def with_catalog(entries: bytes, more: Mapping[int, bytes] | None = None) -> bytes:
    """Return a PDF of one page, with these entries in its catalog; *more* begins at object 4."""
    catalog = b"<< /Type /Catalog /Pages 2 0 R %b >>" % entries
    return handmade({**PAGE, 1: catalog, **(more or {})})


def with_page(entries: bytes, more: Mapping[int, bytes] | None = None) -> bytes:
    """Return a PDF of one page, with these entries; *more* begins at object 4."""
    return handmade({**PAGE, 3: PAGE[3].replace(b"/Parent", entries + b" /Parent"), **(more or {})})


def with_resources(entries: bytes, more: Mapping[int, bytes] | None = None) -> bytes:
    """Return a PDF of one page, with these resources; *more* begins at object 4."""
    page = PAGE[3].replace(b"/Resources << >>", b"/Resources << %b >>" % entries)
    return handmade({**PAGE, 3: page, **(more or {})})


def object_stream(
    objects: Mapping[int, bytes], entries: bytes = FLATE, packed: bytes | None = None
) -> bytes:
    """Return the source of an object stream of these objects, or of *packed* in its place."""
    heads = body = b""
    for number, source in objects.items():
        heads += b"%d %d " % (number, len(body))
        body += source + b" "
    data = zlib.compress(heads + body) if packed is None else packed
    named = b"/Type /ObjStm /N %d /First %d %b" % (len(objects), len(heads), entries)
    return stream(named, data)


def with_table_in_a_stream(
    objects: Mapping[int, bytes],
    inside: Mapping[int, tuple[int, int]] | None = None,
    entries: bytes = b"",
    *,
    data: bytes | None = None,
    lists_itself: bool = True,
) -> bytes:
    """Return a PDF whose table is a stream; *inside* maps objects to object stream and place."""
    inside = inside or {}
    out, offsets = b"%PDF-1.5\n", {}
    for number, source in objects.items():
        offsets[number] = len(out)
        out += b"%d 0 obj\n%b\nendobj\n" % (number, source)
    own = max(*objects, *inside, 0) + 1
    offsets[own] = len(out)
    rows = _rows(range(own + lists_itself), offsets, inside) if data is None else data
    head = b"/Type /XRef /Size %d /W [ 1 4 2 ] /Root 1 0 R %b" % (own + lists_itself, entries)
    out += b"%d 0 obj\n%b\nendobj\n" % (own, stream(head, rows))
    return out + b"startxref\n%d\n%%%%EOF\n" % offsets[own]


def _rows(
    numbers: range, offsets: Mapping[int, int], inside: Mapping[int, tuple[int, int]]
) -> bytes:
    rows = b""
    for number in numbers:
        kind, first, second = 0, 0, 0
        if number in inside:
            kind, (first, second) = 2, inside[number]
        elif number in offsets:
            kind, first = 1, offsets[number]
        rows += bytes([kind]) + first.to_bytes(4, "big") + second.to_bytes(2, "big")
    return rows


def last_table(data: bytes) -> int:
    """Return where the newest table of a PDF begins."""
    return int(re.findall(rb"startxref\n(\d+)", data)[-1])


def updated(data: bytes, objects: Mapping[int, bytes], trailer: bytes = b"/Root 1 0 R") -> bytes:
    """Return *data* with a revision appended that has these objects."""
    out, offsets = data, {}
    for number, source in objects.items():
        offsets[number] = len(out)
        out += b"%d 0 obj\n%b\nendobj\n" % (number, source)
    sizes = [int(size) for size in re.findall(rb"/Size (\d+)", data)]
    size = max([*sizes, *(number + 1 for number in objects)])
    table = b"xref\n" + b"".join(
        b"%d 1\n%010d 00000 n \n" % (number, offset) for number, offset in offsets.items()
    )
    end = b"trailer << /Size %d /Prev %d %b >>\nstartxref\n%d\n%%%%EOF\n"
    return out + table + end % (size, last_table(data), trailer, len(out))


def hybrid(
    visible: Mapping[int, bytes],
    hidden: Mapping[int, bytes],
    *,
    free_in_same_section: bool = False,
    root_in_stream: bytes = b"/Root 1 0 R",
) -> bytes:
    """Return a PDF as office programs write it: *hidden* objects are known to the stream only.

    An object that is in both has an entry in the table as well, which is another.
    """
    out, offsets = b"%PDF-1.5\n", {}
    for number, source in visible.items():
        offsets[number] = len(out)
        out += b"%d 0 obj\n%b\nendobj\n" % (number, source)
    holder = max(*visible, *hidden) + 1
    table_stream, size = holder + 1, holder + 2
    offsets[holder] = len(out)
    out += b"%d 0 obj\n%b\nendobj\n" % (holder, object_stream(hidden))
    offsets[table_stream] = len(out)
    inside = {number: (holder, place) for place, number in enumerate(hidden)}
    head = b"/Type /XRef /Size %d /W [ 1 4 2 ] %b" % (size, root_in_stream)
    rows = _rows(range(size), offsets, inside)
    out += b"%d 0 obj\n%b\nendobj\n" % (table_stream, stream(head, rows))
    first = len(out)
    out += b"xref\n0 %d\n" % size
    for number in range(size):
        seen = number in offsets and number != holder
        out += b"%010d 00000 n \n" % offsets[number] if seen else b"0000000000 65535 f \n"
    trailer = b"trailer << /Size %d /Root 1 0 R %b >>\nstartxref\n%d\n%%%%EOF\n"
    also = b"/XRefStm %d" % offsets[table_stream]
    if free_in_same_section:
        return out + trailer % (size, also, first)
    out += trailer % (size, b"", first)
    second = len(out)
    return out + b"xref\n0 0\n" + trailer % (size, also + b" /Prev %d" % first, second)


def zeros(megabytes: int) -> bytes:
    """Return so many megabytes of zeros, packed by zlib; a kilobyte for each, and made at once."""
    packer = zlib.compressobj(9)
    first = packer.compress(b"") + packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    # From a full flush on everything repeats itself, so it need not be packed again.
    again = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    end = b"\3\0" + struct.pack(">I", (megabytes << 20) % 65521 << 16 | 1)
    return first + again * (megabytes - 1) + end


def page_tree(depth: int) -> bytes:
    """Return a PDF whose one page lies so deep: 0 is below the root of the page tree."""
    objects = {1: PAGE[1], 2: b"<< /Type /Pages /Count 1 /Kids [ 3 0 R ] >>"}
    for number in range(3, 3 + depth):
        objects[number] = b"<< /Type /Pages /Count 1 /Kids [ %d 0 R ] /Parent %d 0 R >>" % (
            number + 1,
            number - 1,
        )
    objects[3 + depth] = PAGE[3].replace(b"/Parent 2", b"/Parent %d" % (2 + depth))
    return handmade(objects)
