"""The slip that comes with a scan: what its sidecar, or its file's name, says about it.

Pure. The words come from a scanner or from whoever named the file: texts are short
and printable, numbers are small, and everything may be left out. Page workers make
slips of what they read; the main process asks `fits` before it believes one (I10).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from daemon.document import Described

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LONGEST: Final = 200
"""Letters of one text."""
MOST_PAGES: Final = 100_000
MOST_DIGITS: Final = 12
"""Of a counter."""
TEXTS: Final = ("operator", "batch", "number")
NUMBERS: Final = ("pages", "counter")
KEYS: Final = (*TEXTS, *NUMBERS)
DIFFERS: Final = "sidecar-differs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slip:
    """What was said; everything that was not is at its default."""

    operator: str = ""
    batch: str = ""
    number: str = ""
    """The document's number in whatever the authority counts by."""
    pages: int = 0
    """How many pages are announced; 0: nothing is."""
    counter: int = -1
    """The scanner's own counter; -1: it has said none."""
    digits: int = 0
    """With how many digits the counter is written, zeros in front included."""


NOTHING: Final = Slip()


class NoSlip(ValueError):
    """A value is not what its key allows; the argument is the key, never the value (I9)."""


def slip_of(said: Mapping[str, str]) -> Slip:
    """Return the slip of texts by KEYS; "" says nothing. Raise NoSlip with the key that is wrong."""
    texts = {key: _text(key, said.get(key, "")) for key in TEXTS}
    pages, _ = _digits("pages", said.get("pages", ""))
    counter, digits = _digits("counter", said.get("counter", ""))
    if digits > MOST_DIGITS:
        raise NoSlip("counter")
    if pages > MOST_PAGES or pages == 0:
        raise NoSlip("pages")
    return Slip(**texts, pages=max(pages, 0), counter=counter, digits=digits)


def fits(slip: Slip) -> bool:
    """Return whether *slip* can have come out of `slip_of`: a worker's word is not believed."""
    try:
        texts = all(_text(key, getattr(slip, key)) == getattr(slip, key) for key in TEXTS)
    except NoSlip:
        return False
    if slip.counter < 0:
        counted = (slip.counter, slip.digits) == (-1, 0)
    else:
        counted = len(str(slip.counter)) <= slip.digits <= MOST_DIGITS
    return texts and counted and 0 <= slip.pages <= MOST_PAGES


def described(
    subfolder: str, sidecar: Slip | None, name: Slip | None, remarks: Iterable[str]
) -> Described:
    """Return what is known of a scan: what the sidecar says counts before what the name says.

    Where they contradict each other, a remark says so.
    """
    first, second = sidecar or NOTHING, name or NOTHING
    found = {
        key: getattr(first, key) if _said(first, key) else getattr(second, key) for key in KEYS
    }
    contradicts = any(
        _said(first, key) and _said(second, key) and getattr(first, key) != getattr(second, key)
        for key in KEYS
    )
    source = "sidecar" if first.operator else "name" if second.operator else ""
    return Described(
        **found,
        digits=first.digits if _said(first, "counter") else second.digits,
        source=source,
        subfolder=subfolder,
        remarks=(*remarks, *([DIFFERS] if contradicts else [])),
    )


def _said(slip: Slip, key: str) -> bool:
    return bool(getattr(slip, key) != getattr(NOTHING, key))


def _text(key: str, value: str) -> str:
    text = unicodedata.normalize("NFC", value).strip()
    if len(text) > LONGEST or not text.isprintable():
        raise NoSlip(key)
    return text


def _digits(key: str, value: str) -> tuple[int, int]:
    """Return the number and how many digits it is written with; -1 and 0 if there is none."""
    text = value.strip()
    if not text:
        return -1, 0
    # Not str.isdigit: that knows more digits than these, and a million of them are a number too.
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise NoSlip(key)
    return int(text), len(text)
