"""What the drawing of a page does, as far as PDF/A-2 has rules about it.

Read is what scans draw: images, clips, lines and areas of plain colour, text that
shows nothing. Text that shows, inline images, shadings, and whatever is not known or
cannot be read for sure, break a rule: nobody here can say that they keep them all.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pikepdf import Dictionary, Name

from daemon.pages.drawn import BLANKS, INVISIBLE, SHOW_TEXT, STATEMENT
from daemon.pages.entries import entries_of

if TYPE_CHECKING:
    from collections.abc import Iterator

DEEPEST: Final = 28
"""Of graphics states saved in each other (ISO 19005-2, 6.1.13)."""
LONGEST_NAME: Final = 127
LONGEST_STRING: Final = 32767
INTENTS: Final = frozenset(
    b"/RelativeColorimetric /AbsoluteColorimetric /Perceptual /Saturation".split()
)
"""ISO 19005-2, 6.2.6."""

_PLAIN: Final = frozenset(
    b"cm w J j M d i m l c v y h re n W W* S s f F f* B B* b b* SC SCN sc scn g G"
    b" BT ET Tc Tw Tz TL Ts Td TD Tm T* MP BMC EMC BX EX".split()
)
_RESOURCES: Final = {
    b"Do": "/XObject", b"Tf": "/Font", b"gs": "/ExtGState", b"cs": "/ColorSpace",
    b"CS": "/ColorSpace", b"BDC": "/Properties", b"DP": "/Properties",
}  # fmt: skip
_RULES: Final = {
    b"rg": "device-rgb", b"RG": "device-rgb", b"k": "device-cmyk", b"K": "device-cmyk",
    **dict.fromkeys(SHOW_TEXT, "text-visible"),
}  # fmt: skip
_SPACES: Final = {
    b"/DeviceGray": (),
    b"/DeviceRGB": ("device-rgb",),
    b"/DeviceCMYK": ("device-cmyk",),
}
_QUOTED: Final = re.compile(
    rb"\((?:[^()\\]|\\.|\((?:[^()\\]|\\.)*+\))*+\)|<[0-9A-Fa-f\s]*+>", re.DOTALL
)
_LONG_NAME: Final = re.compile(rb"/[^\s()<>\[\]{}/%%]{%d}" % (LONGEST_NAME + 1))
_LARGE: Final = re.compile(rb"(?<![.0-9])[0-9]{10}")
"""More digits than every whole number may have (6.1.13)."""


def broken_by(content: bytes, resources: Dictionary | None) -> set[str]:
    """Return the rules that *content* breaks; `device-…` only without an intent of that kind."""
    if len(content) > LONGEST_STRING and max(map(len, _QUOTED.findall(content)), default=0) > (
        LONGEST_STRING
    ):
        return {"limits"}
    return set(_broken(content, _Names(resources)))


def _broken(content: bytes, names: _Names) -> Iterator[str]:
    at, mode = 0, 0
    saved: list[int] = []
    while statement := STATEMENT.match(content, at):
        at = statement.end()
        operands, operator = statement.groups()
        if len(operands) > 9 and _beyond(operands):
            yield "limits"
        if operator in SHOW_TEXT and mode == INVISIBLE:
            continue
        if operator == b"q":
            saved.append(mode)
            if len(saved) > DEEPEST:
                yield "limits"
        elif operator == b"Q" and saved:
            mode = saved.pop()
        elif operator == b"Tr":
            mode = INVISIBLE if operands.strip() == b"3" else 0
        elif operator not in _PLAIN:
            yield from _of_one(operator, operands.split(), names)
    if BLANKS.match(content, at) is None:
        yield "content-stream"


def _of_one(operator: bytes, operands: list[bytes], names: _Names) -> Iterator[str]:
    if operator in _RESOURCES:
        yield from _of_name(_RESOURCES[operator], operands or [b""], names)
    elif operator == b"ri":
        if not INTENTS.issuperset(operands):
            yield "rendering-intent"
    else:
        yield _RULES.get(operator, "content-stream")


def _of_name(kind: str, operands: list[bytes], names: _Names) -> Iterator[str]:
    name = operands[-1] if kind == "/Properties" else operands[0]
    if kind == "/ColorSpace" and name in _SPACES:
        yield from _SPACES[name]
    elif kind == "/Properties" and not name.startswith(b"/"):
        return  # said in place
    elif not names.has(kind, name):
        yield "resources"


class _Names:
    """The names of the stream's own resources; those of a parent do not count (6.2.2)."""

    def __init__(self, resources: Dictionary | None) -> None:
        self._resources = resources
        self._known: dict[str, Any] = {}

    def has(self, kind: str, name: bytes) -> bool:
        """Return whether there is something of this *kind* and *name*."""
        if kind not in self._known:
            found = None if self._resources is None else self._resources.get(Name(kind))
            self._known[kind] = entries_of(found) if isinstance(found, Dictionary) else {}
        # A name that is spelled in another way would have to be compared in another.
        return name.decode("utf-8", "replace") in self._known[kind]


def _beyond(operands: bytes) -> bool:
    """Return whether a number or a name is larger than any may be."""
    if len(operands) <= LONGEST_NAME and _LARGE.search(operands) is None:
        return False
    bare = _QUOTED.sub(b" ", operands)
    return _LARGE.search(bare) is not None or _LONG_NAME.search(bare) is not None
