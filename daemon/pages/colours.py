"""Which colours PDF/A-2 lets a file mean, by what their spaces and profiles say.

Level B wants each colour to be known (ISO 19005-2, 6.2.4): by a profile, or by the
output intent for the device spaces. Nothing is converted. What is not known here
breaks a rule, because nobody here knows that it keeps it.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any, Final

from pikepdf import Array, Dictionary, Name, PikepdfError, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD: Final = 128
"""Bytes of a profile's header (ICC.1:2004-10, 7.2)."""
COMPONENTS: Final = {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4, b"Lab ": 3}
INPUT_CLASSES: Final = frozenset({b"scnr", b"mntr", b"prtr", b"spac"})
OUTPUT_CLASSES: Final = frozenset({b"mntr", b"prtr"})
NEWEST: Final = 4
"""The newest version of ICC profiles that PDF/A-2 knows (ISO 19005-2, 6.2.3 and 6.2.4.2)."""
DEVICES: Final = {"/DeviceGray": "", "/DeviceRGB": "device-rgb", "/DeviceCMYK": "device-cmyk"}
"""Device spaces, and the rule that each breaks if the output intent is of another kind."""
MATCHING: Final = {b"GRAY": "", b"RGB ": "device-rgb", b"CMYK": "device-cmyk"}
"""What an output intent of this space allows."""
ENUMERATED: Final = {16: 3, 17: 1, 18: 3}
"""Components of the colour spaces of JPEG 2000 that are taken: sRGB, grey, sYCC."""
DEEPEST: Final = 4


def profile_fits(head: bytes, components: int, classes: frozenset[bytes] = INPUT_CLASSES) -> bool:
    """Return whether a profile that begins with *head* may stand for so many components."""
    return (
        len(head) >= HEAD
        and head[36:40] == b"acsp"
        and head[8] <= NEWEST
        and head[12:16] in classes
        and COMPONENTS.get(head[16:20]) == components
    )


def head_of(stream: Stream) -> bytes:
    """Return the first bytes of a profile; nothing where it is coded in an unusual way."""
    how = stream.get(Name.Filter)
    if isinstance(how, Array) and len(how) == 1:
        how = how[0]
    if stream.get(Name.DecodeParms) is not None:
        return b""
    try:
        raw = stream.read_raw_bytes()
        if how is None:
            return raw[:HEAD]
        # Not by qpdf: a few bytes can hold more than the whole memory.
        return zlib.decompressobj().decompress(raw, HEAD) if how == Name.FlateDecode else b""
    except (PikepdfError, zlib.error):
        return b""


def broken_by(space: Any, deep: int = 0) -> set[str]:
    """Return the rules that a colour space breaks; `device-…` only without such an intent."""
    if isinstance(space, Array) and len(space) == 1:
        space = space[0]
    if isinstance(space, Name):
        rule = DEVICES.get(_text(space), "colour-space")
        return {rule} if rule else set()
    if not isinstance(space, Array) or not len(space) or deep > DEEPEST:
        return {"colour-space"}
    family = _text(space[0])
    if family in {"/CalGray", "/CalRGB", "/Lab"} and len(space) == 2:
        return set() if isinstance(space[1], Dictionary) else {"colour-space"}
    if family == "/ICCBased" and len(space) == 2 and isinstance(space[1], Stream):
        components = space[1].get_int(Name.N) or 0
        return set() if profile_fits(head_of(space[1]), components) else {"icc-profile"}
    base = family == "/Indexed" and len(space) == 4
    return broken_by(space[1], deep + 1) if base else {"colour-space"}


def jpeg_2000_fits(head: bytes) -> bool:
    """Return whether a JPEG 2000 file that begins with *head* keeps ISO 19005-2, 6.2.8.3.

    Stricter than that: one description of the colours, no palette, no transparency, no CMYK.
    """
    for name, held in _boxes(head):
        if name == b"jp2h":
            return _header_fits(list(_boxes(held)))
    return False


def _header_fits(boxes: list[tuple[bytes, bytes]]) -> bool:
    named = [name for name, _ in boxes]
    if named.count(b"ihdr") != 1 or named.count(b"colr") != 1:
        return False
    if set(named) - {b"ihdr", b"colr", b"bpcc", b"res "}:
        return False
    held = dict(boxes)
    if len(held[b"ihdr"]) != 14:
        return False
    channels, depth = struct.unpack_from(">HB", held[b"ihdr"], 8)
    depths = set(held.get(b"bpcc", b"")) if depth == 0xFF else {depth}
    if channels not in {1, 3} or len(depths) != 1 or (depths.pop() & 0x7F) + 1 > 38:
        return False
    colours = held[b"colr"]
    method = colours[:1]
    if method == b"\1" and len(colours) >= 7:
        return bool(ENUMERATED.get(int.from_bytes(colours[3:7], "big")) == channels)
    return method in {b"\2", b"\3"} and profile_fits(colours[3:], channels)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of each box that is there whole (ISO 15444-1, I.4)."""
    place = 0
    while len(data) - place >= 8:
        length, name = struct.unpack_from(">I4s", data, place)
        if length < 8 or place + length > len(data):
            return
        yield name, data[place + 8 : place + length]
        place += length


def _text(name: Any) -> str:
    return name.unparse().decode("ascii", "replace") if isinstance(name, Name) else ""
