"""Damage to the source of a PDF: its numbers, names, references and words.

A change that keeps its length leaves the tables right, so a reader gets far; after
one that does not, the table is often made anew (`with_table`), for the same reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import Final

NUMBER: Final = re.compile(rb"(?<![\w.#/<+-])\d{1,12}(?![\w.])")
AFTER_KEY: Final = re.compile(
    rb"/(?:Length|Count|Size|Prev|XRefStm|N|First|Extends|Index|W|Columns|Rows|K|Predictor|Colors|Width"
    rb"|Height|BitsPerComponent|Rotate|UserUnit|StructParents|SigFlags|F|V|R|P|L|H|O|E|T)\s*\[?\s*(-?\d+)"
)
REFERENCE: Final = re.compile(rb"\b(\d+) (\d+) R\b")
OBJECT: Final = re.compile(rb"(?:^|(?<=[\r\n]))(\d+) (\d+) obj\b")
LINE: Final = re.compile(rb"\d{10} \d{5} [nf]")
NAME: Final = re.compile(rb"/[A-Za-z][A-Za-z0-9]*")
SIZE: Final = re.compile(rb"/Size (\d+)")
LAST: Final = re.compile(rb"startxref\s+(\d+)")
NAMES: Final = (
    b"/Type", b"/Subtype", b"/Filter", b"/DecodeParms", b"/Length", b"/Kids", b"/Count", b"/Parent",
    b"/Pages", b"/Page", b"/Catalog", b"/XObject", b"/Image", b"/Form", b"/Contents", b"/Resources",
    b"/MediaBox", b"/Annots", b"/AcroForm", b"/Fields", b"/Metadata", b"/Perms", b"/FlateDecode",
    b"/DCTDecode", b"/LZWDecode", b"/ASCII85Decode", b"/ASCIIHexDecode", b"/RunLengthDecode", b"/Crypt",
    b"/CCITTFaxDecode", b"/JBIG2Decode", b"/JPXDecode", b"/ObjStm", b"/XRef", b"/Root", b"/Size",
    b"/Prev", b"/ID", b"/Encrypt", b"/Linearized", b"/Sig", b"/Widget", b"/DocMDP", b"/JavaScript",
    b"/S", b"/F", b"/V", b"/Rotate", b"/DeviceGray", b"/DeviceRGB", b"/DeviceCMYK", b"/Indexed", b"/A#42",
    b"/#00", b"/",
)  # fmt: skip
VALUES: Final = (
    b"0", b"1", b"-1", b"2", b"3", b"255", b"65535", b"65536", b"2147483647", b"2147483648", b"-2147483648",
    b"4294967295", b"9223372036854775807", b"9223372036854775808", b"99999999999999999999999", b"1.5",
    b"-0", b"+7", b".", b"1e5", b"0x10", b"null", b"true", b"(x)", b"[]", b"<<>>", b"/X", b"5 0 R",
)  # fmt: skip
WORDS: Final = (
    b"endobj\n", b"\nendstream", b"%%EOF\n", b"% a remark\n", b"<<", b">>", b"[", b"]", b"(", b")", b"<",
    b">", b"stream\n", b"obj", b"R", b" null ", b"\0", b"startxref\n0\n%%EOF\n", b"xref\n0 0\n",
    b"trailer << /Size 3 /Root 1 0 R >>\n", b"\n9 0 obj\n<< /Type /Page >>\nendobj\n", b"1 0 obj\nnull\nendobj\n",
    b"\nendobj\n3 0 obj\n<< /Type /Page /MediaBox [0 0 1 1] >>\nendobj\n", b"%PDF-1.3\n", b"{", b"}",
)  # fmt: skip

Damage = Callable[[bytearray, Random], None]


def _one(pattern: re.Pattern[bytes], data: bytearray, rng: Random) -> re.Match[bytes] | None:
    found = list(pattern.finditer(data))
    return rng.choice(found) if found else None


def _put(data: bytearray, span: tuple[int, int], new: bytes, rng: Random) -> None:
    """Replace what is at *span*, keeping the length if it can be kept, mostly."""
    start, end = span
    if len(new) <= end - start and rng.random() < 0.8:
        new = new.ljust(end - start)
    data[start:end] = new


def _another(held: bytes, rng: Random) -> bytes:
    """Return something else that might stand where a number stands."""
    if rng.random() < 0.5:
        return rng.choice(VALUES)
    near = int(held) + rng.choice((-10, -2, -1, 1, 2, 10, 100))
    return b"%d" % near


def any_number(data: bytearray, rng: Random) -> None:
    """Change a number anywhere."""
    found = _one(NUMBER, data, rng)
    if found:
        _put(data, found.span(), _another(found[0], rng), rng)


def number_of_key(data: bytearray, rng: Random) -> None:
    """Change the number that belongs to a key readers rely on."""
    found = _one(AFTER_KEY, data, rng)
    if found:
        _put(data, found.span(1), _another(found[1], rng), rng)


def reference(data: bytearray, rng: Random) -> None:
    """Let a reference lead elsewhere."""
    found = _one(REFERENCE, data, rng)
    if found:
        other = _one(REFERENCE, data, rng)
        new = (
            other[0]
            if other and rng.random() < 0.5
            else b"%d %d R" % (rng.randrange(12), rng.choice((0, 0, 0, 1, 65535)))
        )
        _put(data, found.span(), new, rng)


def object_number(data: bytearray, rng: Random) -> None:
    """Give an object another number, perhaps one that is taken."""
    found = _one(OBJECT, data, rng)
    if found:
        _put(data, found.span(rng.choice((1, 1, 2))), b"%d" % rng.randrange(12), rng)


def table_line(data: bytearray, rng: Random) -> None:
    """Change a line of a cross-reference table, or put it in another's place."""
    found, other = _one(LINE, data, rng), _one(LINE, data, rng)
    if not found or not other:
        return
    start, end = found.span()
    held = bytes(data[start:end])
    if rng.random() < 0.4:
        data[start:end] = other[0]
    elif rng.random() < 0.5:
        data[start:end] = held[:-1] + (b"f" if held.endswith(b"n") else b"n")
    else:
        near = max(0, int(held[:10]) + rng.choice((-9, -1, 1, 9, 500)))
        data[start : start + 10] = b"%010d" % (near % 10**10)


def last_offset(data: bytearray, rng: Random) -> None:
    """Let `startxref` name another place."""
    found = _one(LAST, data, rng)
    if found:
        _put(data, found.span(1), _another(found[1], rng), rng)


def name(data: bytearray, rng: Random) -> None:
    """Put another name in a name's place."""
    found = _one(NAME, data, rng)
    if found:
        other = _one(NAME, data, rng)
        new = other[0] if other and rng.random() < 0.4 else rng.choice(NAMES)
        _put(data, found.span(), new, rng)


def swap_names(data: bytearray, rng: Random) -> None:
    """Exchange two names."""
    found = sorted(
        (m for m in (_one(NAME, data, rng), _one(NAME, data, rng)) if m), key=lambda m: m.start()
    )
    if len(found) == 2 and found[0].end() <= found[1].start():
        (a, b), (c, d) = found[0].span(), found[1].span()
        data[a:d] = found[1][0] + data[b:c] + found[0][0]


def word(data: bytearray, rng: Random) -> None:
    """Put a word of the format where none belongs, between lines mostly."""
    breaks = [at for at, byte in enumerate(data) if byte in b"\n\r"]
    at = rng.choice(breaks) + 1 if breaks and rng.random() < 0.7 else rng.randint(0, len(data))
    data[at:at] = rng.choice(WORDS)


def lose_word(data: bytearray, rng: Random) -> None:
    """Take a word of the format away."""
    lost = rng.choice(
        (
            b"endobj",
            b"endstream",
            b"stream",
            b"xref",
            b"trailer",
            b"%%EOF",
            b">>",
            b"<<",
            b"]",
            b"[",
        )
    )
    places = [found.start() for found in re.finditer(re.escape(lost), data)]
    if places:
        at = rng.choice(places)
        data[at : at + len(lost)] = rng.choice((b"", b" " * len(lost)))


def duplicate_object(data: bytearray, rng: Random) -> None:
    """Write an object a second time, as it is or damaged, at the end or in front."""
    found = _one(OBJECT, data, rng)
    if found is None:
        return
    end = data.find(b"endobj", found.end())
    copy = (
        bytearray(data[found.start() : end + 7])
        if end > 0
        else bytearray(b"4 0 obj\nnull\nendobj\n")
    )
    rng.choice((any_number, name, reference, lambda *_: None))(copy, rng)
    at = rng.choice([found.start() for found in OBJECT.finditer(data)])
    data[at:at] = copy + b"\n"


def revise(data: bytearray, rng: Random) -> None:
    """Append a revision that changes one object, or deletes it, or says nothing."""
    last, found = LAST.findall(data), _one(OBJECT, data, rng)
    if not last or found is None:
        return
    number, at = int(found[1]), len(data)
    source = rng.choice(
        (
            b"null",
            b"<< >>",
            b"[ ]",
            b"<< /Type /Page >>",
            b"<< /Type /Catalog >>",
            b"%d 0 R" % number,
        )
    )
    entry, kind = at, b"n"
    if rng.random() < 0.2:
        entry, kind = 0, b"f"
    data += b"%d 0 obj\n%b\nendobj\n" % (number, source)
    table = len(data)
    root = rng.choice((b"1 0 R", b"1 0 R", b"%d 0 R" % number))
    sizes = SIZE.findall(data)
    size = max((int(found) for found in sizes), default=50) % 10**9
    data += b"xref\n%d 1\n%010d 00000 %b \ntrailer << /Size %d /Root %b /Prev %b >>\nstartxref\n%d\n%%%%EOF\n" % (
        number, entry, kind, size, root, last[-1], table,
    )  # fmt: skip


DAMAGES: Final[tuple[Damage, ...]] = (
    any_number, any_number, number_of_key, number_of_key, number_of_key, reference, reference,
    object_number, table_line, last_offset, name, name, name, swap_names, word, word, lose_word,
    duplicate_object, revise,
)  # fmt: skip


def with_table(data: bytearray) -> None:
    """Make the table anew from where the objects are, in a file that has plain tables only."""
    last = data.rfind(b"trailer")
    if last < 0 or b"/XRefStm" in data[last:]:
        return
    end = data.find(b"startxref", last)
    trailer = bytes(data[last : end if end > 0 else len(data)])
    start = data.rfind(b"\nxref", 0, last)
    if start < 0:
        return
    trailer = re.sub(rb"/Prev\s+\d+", b"", trailer)
    offsets = {int(found[1]) % 10**6: found.start() for found in OBJECT.finditer(data, 0, start)}
    del data[start + 1 :]
    table = len(data)
    data += b"xref\n0 1\n0000000000 65535 f \n"
    for number, offset in sorted(offsets.items()):
        data += b"%d 1\n%010d 00000 n \n" % (number, offset)
    data += trailer + b"startxref\n%d\n%%%%EOF\n" % table
