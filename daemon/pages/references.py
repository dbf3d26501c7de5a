"""References of a PDF to objects that its table leaves out, and tables that its end leaves out.

They stand for null (ISO 32000-1, 7.3.10), and qpdf reads them so. But where the file
still holds an object of that number, readers that search for it find it, and show
what others leave out. What a later revision deleted is another matter, and a finding.

The end says where the newest table is (ISO 32000-1, 7.5.5). Where it is damaged, qpdf takes
the end of an earlier revision, and others search: one shows the older page, one the newer.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from daemon.document import CHUNK
from daemon.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pikepdf import Pdf

_BEGINS: Final = re.compile(rb"(?<!\d)0*([1-9]\d{0,9})[\s\0]+\d{1,5}[\s\0]+\Z")
_LONGEST: Final = 64
"""A reference or an object's beginning is no longer, but for white space that nobody writes."""


_START: Final = re.compile(rb"startxref[\s\0]+\d+(?:[\s\0%]|\Z)")
_TAIL: Final = 4096
"""Somewhere in so many bytes qpdf looks for the end."""


def ended(path: str) -> None:
    """Raise Refused if the last end of the file at *path* does not say where its table is."""
    with Path(path).open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        tail = file.read()
    last = tail.rfind(b"startxref")
    if last >= 0 and _START.match(tail, last) is None:
        raise Refused("pdf-damaged", "the end of the PDF does not say where its newest table is")


def settled(pdf: Pdf, path: str) -> None:
    """Raise Refused if the file at *path* names and holds an object that its table leaves out."""
    if "/Prev" in pdf.trailer:
        return
    listed = {b"%d" % number for number, _ in pdf.get_xref_table()}
    lacking = {
        found[1]
        for before in _before(path, b"obj")
        if (found := _BEGINS.search(before)) and found[1] not in listed
    }
    if lacking and any(
        (found := _BEGINS.search(before)) and found[1] in lacking for before in _before(path, b"R")
    ):
        raise Refused("pdf-damaged", "the PDF names an object that its table leaves out")


def _before(path: str, word: bytes) -> Iterator[bytes]:
    """Yield what stands before each *word* of the file that white space precedes."""
    kept = b""
    with Path(path).open("rb") as file:
        while piece := file.read(CHUNK):
            window = kept + piece
            place = window.find(word)
            while place >= 0:
                if window[place - 1 : place].isspace() or window[place - 1 : place] == b"\0":
                    yield window[max(0, place - _LONGEST) : place]
                place = window.find(word, place + 1)
            kept = window[-_LONGEST:]
