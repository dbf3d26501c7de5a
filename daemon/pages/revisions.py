"""Which object a number stands for, where a PDF says so more than once.

A file can be appended to, and a hybrid one (ISO 32000-1, 7.5.8.4) has a table for old
readers and a stream for newer ones. Sealed is what the newest revision shows, in
one plain table that all readers understand alike. So all have to agree about the
original as well: an old reader may see fewer objects, but none that is another.
"""

from __future__ import annotations

import io
import os
import re
from typing import TYPE_CHECKING, Any, Final

import pikepdf
from pikepdf import Object

from daemon.errors import Refused

if TYPE_CHECKING:
    from pikepdf import Pdf

    Table = dict[tuple[int, int], tuple[Any, ...]]

EARLIER_REVISIONS: Final = "earlier-revisions"
"""The finding for a file that was changed after it was written; the original keeps all of it."""
_TAIL: Final = 2048
_START: Final = re.compile(rb"startxref\s+(\d+)")


def findings(pdf: Pdf, path: str) -> tuple[str, ...]:
    """Return whether the file at *path*, opened as *pdf*, held something else once.

    Raise Refused where readers differ about what it holds now.
    """
    previous = pdf.trailer.get("/Prev")
    hybrid = "/XRefStm" in pdf.trailer
    # A linearised file has two tables, and is one revision.
    if not hybrid and (previous is None or pdf.is_linearized):
        return ()
    shown = _table(pdf)
    with open(path, "rb") as file:  # noqa: PTH123
        _agreed(shown, _read(file, ignore_xref_streams=True))
        if hybrid:
            # Is the stream asked before the table or after it? The standard has been read both ways.
            _agreed(shown, _read(_Continued(file, _stream_first(pdf, file))))
        if not isinstance(previous, int):
            return ()
        before = _read(_Continued(file, b"\nstartxref\n%d\n%%%%EOF\n" % previous))
    changed = any(shown.get(number) != entry for number, entry in before.items())
    return (EARLIER_REVISIONS,) if changed else ()


def _agreed(shown: Table, other: Table) -> None:
    if any(shown.get(number) != entry for number, entry in other.items()):
        raise Refused("pdf-damaged", "old and newer readers see different objects")


def _read(file: Any, *, ignore_xref_streams: bool = False) -> Table:
    """Return what a reader finds in *file*; nothing if it can find nothing."""
    try:
        with pikepdf.open(
            file,
            attempt_recovery=False,
            inherit_page_attributes=False,
            ignore_xref_streams=ignore_xref_streams,
        ) as pdf:
            return _table(pdf)
    except (pikepdf.PikepdfError, ValueError):  # the latter for numbers that do not fit
        return {}


def _table(pdf: Pdf) -> Table:
    return {
        number: (entry.type, entry.offset, entry.obj_stream_number, entry.obj_stream_index)
        for number, entry in pdf.get_xref_table().items()
    }


def _stream_first(pdf: Pdf, file: io.BufferedReader) -> bytes:
    """Return a section to append, after which the newest stream counts more than its table."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL))
    tail = file.read()
    start = _START.match(tail, max(0, tail.rfind(b"startxref")))
    file.seek(0)
    # Offsets count from the header, and something may stand before it.
    header = file.read(_TAIL).find(b"%PDF-")
    if start is None or header < 0:
        raise Refused("pdf-damaged", "the PDF does not begin or end as one")
    entries = [b"/Prev %b" % start[1]]
    for key in ("/Size", "/Root", "/XRefStm", "/Encrypt", "/ID"):
        value = pdf.trailer.get(key)
        if isinstance(value, Object):
            entries.append(key.encode() + b" " + value.unparse())
        elif isinstance(value, int):
            entries.append(b"%b %d" % (key.encode(), value))
    trailer = b" ".join(entries)
    table = size + 1 - header
    return b"\nxref\n0 0\ntrailer << %b >>\nstartxref\n%d\n%%%%EOF\n" % (trailer, table)


class _Continued(io.RawIOBase):
    """A file as it would be with *tail* at its end; nothing is written, nor held."""

    def __init__(self, file: io.BufferedReader, tail: bytes) -> None:
        self._file = file
        self._tail = tail
        self._end = file.seek(0, os.SEEK_END)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = (0, self._at, self._end + len(self._tail))[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._at < self._end:
            self._file.seek(self._at)
            piece = self._file.read(min(len(buffer), self._end - self._at))
        else:
            start = self._at - self._end
            piece = self._tail[start : start + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)
