"""What a page of a PDF draws: images and where they lie, text, and anything else.

Read only as far as a scanner's page goes: images placed by `cm`, a clip, a layer
of recognised text that shows nothing. Whatever is more than that is `other`, and so
is all that cannot be read for sure: then nothing is said about the page.

Nothing is decoded here, and nothing is refused: other readers decide what a page
looks like, these words only decide what a person is told.
"""

from __future__ import annotations

import math
import re
import zlib
from dataclasses import dataclass
from typing import Any, Final

from pikepdf import Array, Dictionary, Name, Object, PikepdfError, Stream

MOST: Final = 1 << 20
"""Bytes of drawing that are read of one page: a layer of recognised text has some 100,000."""
DEEPEST: Final = 64
"""Of graphics states saved in each other, and of parents that a page inherits from."""

_STRING: Final = rb"\((?:[^()\\]|\\.|\((?:[^()\\]|\\.)*+\))*+\)"
_HEX: Final = rb"<[0-9A-Fa-f\s]*+>"
_NUMBER: Final = rb"[+-]?+(?:[0-9]++\.?+[0-9]*+|\.[0-9]++)"
_NAME: Final = rb"/[^\s()<>\[\]{}/%]*+"
_ARRAY: Final = rb"\[(?:[^\[\]()<>%]|" + _STRING + rb"|" + _HEX + rb")*+\]"
_DICTIONARY: Final = rb"<<(?:[^()<>%]|" + _STRING + rb"|" + _HEX + rb")*+>>"
_OPERAND: Final = rb"(?:" + b"|".join([_NUMBER, _NAME, _STRING, _DICTIONARY, _HEX, _ARRAY]) + rb")"
STATEMENT: Final = re.compile(
    rb"\s*+((?:" + _OPERAND + rb"\s*+)*+)([A-Za-z'\"][A-Za-z0-9*]*+)(?![^\s()<>\[\]{}/%])",
    re.DOTALL,
)
_ONE_NUMBER: Final = re.compile(_NUMBER)
BLANKS: Final = re.compile(rb"\s*+\Z")

_HARMLESS: Final = frozenset(
    b"w J j M d ri i gs m l c v y h re n W W* CS cs SC SCN sc scn G g RG rg K k"
    b" BT ET Tc Tw Tz TL Tf Ts Td TD Tm T* MP DP BMC BDC EMC BX EX".split()
)
"""Leave no mark by themselves (ISO 32000-1, table 51)."""
SHOW_TEXT: Final = frozenset(b"Tj TJ ' \"".split())
INVISIBLE: Final = 3
"""The text rendering mode of recognised text that lies over, or under, its image."""

Matrix = tuple[float, float, float, float, float, float]
_IDENTITY: Final[Matrix] = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Placed:
    """One image on the page."""

    image: Stream
    width: float
    """Of the side that its rows run along, in points; the page's own unit is counted in."""
    height: float


@dataclass(frozen=True, slots=True)
class Drawn:
    """What one page draws."""

    images: tuple[Placed, ...] = ()
    """In the order in which they are drawn."""
    text: bool = False
    """Whether there is text, also such as nobody sees."""
    other: bool = False
    """Whether there is, or could be, anything else that shows."""


OTHER: Final = Drawn(other=True)


def drawn_by(page: Object) -> Drawn:
    """Return what *page* draws."""
    notes = page.get(Name.Annots)
    if notes is not None and not (isinstance(notes, Array) and len(notes) == 0):
        return OTHER
    content = content_of(page.get(Name.Contents))
    unit = page.get(Name.UserUnit)
    if content is None or not (unit is None or _positive(unit)):
        return OTHER
    return _read(content, _images(page), 1.0 if unit is None else float(unit))


def _read(content: bytes, images: Dictionary | None, unit: float) -> Drawn:
    placed: list[Placed] = []
    matrix, mode, text = _IDENTITY, 0, False
    saved: list[tuple[Matrix, int]] = []
    at = 0
    while statement := STATEMENT.match(content, at):
        at = statement.end()
        operands, operator = statement.groups()
        if operator in _HARMLESS:
            continue
        if operator in SHOW_TEXT and mode == INVISIBLE:
            text = True
        elif operator == b"q" and len(saved) < DEEPEST:
            saved.append((matrix, mode))
        elif operator == b"Q" and saved:
            matrix, mode = saved.pop()
        elif operator == b"cm" and (found := _matrix(operands)) is not None:
            matrix = _times(found, matrix)
        elif operator == b"Tr":
            mode = INVISIBLE if operands.strip() == b"3" else 0
        elif operator == b"Do" and (image := _named(images, operands)) is not None:
            width, height = math.hypot(*matrix[:2]), math.hypot(*matrix[2:4])
            placed.append(Placed(image, width * unit, height * unit))
        else:
            return OTHER
    if BLANKS.match(content, at) is None:
        return OTHER
    return Drawn(tuple(placed), text)


def content_of(held: Any) -> bytes | None:
    """Return the page's drawing, unpacked; None where it is too much, or packed otherwise."""
    pieces: list[bytes] = []
    left = MOST
    for stream in held if isinstance(held, Array) else () if held is None else (held,):
        piece = _unpacked(stream, left)
        if piece is None:
            return None
        pieces.append(piece)
        left -= len(piece)
    # A statement may go on in the next stream, but no word does (ISO 32000-1, 7.8.2).
    return b"\n".join(pieces)


def _unpacked(stream: Any, most: int) -> bytes | None:
    if not isinstance(stream, Stream) or stream.get(Name.DecodeParms) is not None:
        return None
    how = stream.get(Name.Filter)
    if isinstance(how, Array) and len(how) <= 1:
        how = how[0] if len(how) else None
    try:
        raw = stream.read_raw_bytes()
    except PikepdfError:
        return None
    if how is None or not raw:
        return raw if len(raw) <= most else None
    if not isinstance(how, Name) or how != Name.FlateDecode:
        return None
    # Not by qpdf: a few bytes can hold more than the whole memory.
    unpacker = zlib.decompressobj()
    try:
        piece = unpacker.decompress(raw, most + 1)
    except zlib.error:
        return None
    return piece if unpacker.eof and len(piece) <= most else None


def _images(page: Object) -> Dictionary | None:
    """Return the page's named objects, its own or those that it inherits."""
    node: Any = page
    for _ in range(DEEPEST):
        if not isinstance(node, Dictionary):
            return None
        resources = node.get(Name.Resources)
        if resources is not None:
            found = resources.get(Name.XObject) if isinstance(resources, Dictionary) else None
            return found if isinstance(found, Dictionary) else None
        node = node.get(Name.Parent)
    return None


def _named(images: Dictionary | None, operands: bytes) -> Stream | None:
    name = operands.strip()
    if images is None or name[:1] != b"/" or b"#" in name:
        return None
    try:
        found = images.get(name.decode())
    except (UnicodeDecodeError, ValueError):
        return None
    return found if isinstance(found, Stream) and found.get(Name.Subtype) == Name.Image else None


def _matrix(operands: bytes) -> Matrix | None:
    numbers = operands.split()
    if len(numbers) != 6 or not all(_ONE_NUMBER.fullmatch(number) for number in numbers):
        return None
    a, b, c, d, e, f = map(float, numbers)
    return a, b, c, d, e, f


def _times(one: Matrix, other: Matrix) -> Matrix:
    a, b, c, d, e, f = one
    g, h, i, j, k, m = other
    return (
        a * g + b * i,
        a * h + b * j,
        c * g + d * i,
        c * h + d * j,
        e * g + f * i + k,
        e * h + f * j + m,
    )


def _positive(value: Any) -> bool:
    try:
        return 0 < float(value) < math.inf
    except (TypeError, ValueError):
        return False
