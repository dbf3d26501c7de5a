"""What a sealed file says about its own signature, read from the file alone.

There has to be one revision, one signature, and a ByteRange that leaves out the
gap and nothing else. Whether the signature verifies is not decided here: that
needs no parsed page, and is done where the certificate is.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pikepdf
from pikepdf import Array, Dictionary, Name, Object, Pdf, Stream, String, as_int

from daemon.document import Digest
from daemon.errors import PermanentError, Refused
from daemon.pages.inspect import OVERFLOW, limited, signed_fields, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

_TABLE_LINE: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The one signature of a file."""

    byte_range: tuple[int, ...]
    contents: Digest
    """Of the CMS with its padding, as a parser finds it."""
    permissions: int
    """DocMDP: what the certification allows; 0 if there is none."""
    field: Dictionary
    """The form's field, which is also the widget on the first page."""


@contextmanager
def opened(path: str) -> Iterator[Pdf]:
    """Open a sealed file afresh; raise PermanentError where qpdf would have to guess."""
    limited()
    try:
        with pikepdf.open(
            path,
            access_mode=pikepdf.AccessMode.stream,
            attempt_recovery=False,
            inherit_page_attributes=False,
        ) as pdf:
            try:
                whole(pdf)
            except Refused:
                need(False, "qpdf warns about the sealed file")
            yield pdf
            need(not pdf.get_warnings(), "qpdf warns about the sealed file")
    except pikepdf.PikepdfError:
        raise PermanentError("seal-invalid", "qpdf cannot read the sealed file") from None
    except ValueError as exc:
        need(OVERFLOW not in str(exc), "a number of the sealed file is larger than any can be")
        raise


def need(holds: object, message: str) -> None:
    """Raise PermanentError with *message* unless *holds*."""
    if not holds:
        raise PermanentError("seal-invalid", message)


def signature_of(pdf: Pdf, path: str) -> Signature:
    """Return the signature of the sealed file at *path*, opened as *pdf*, or raise PermanentError."""
    need(not pdf.is_encrypted, "the sealed file is encrypted")
    need(
        Name.Prev not in pdf.trailer and "/XRefStm" not in pdf.trailer,
        "the sealed file has more than one revision",
    )
    form = pdf.Root.get(Name.AcroForm)
    fields = form.get(Name.Fields) if isinstance(form, Dictionary) else None
    need(isinstance(fields, Array), "the sealed file has no form")
    assert isinstance(fields, Array)
    assert isinstance(form, Dictionary)
    signed = list(signed_fields(fields))
    need(len(signed) == 1, f"the sealed file has {len(signed)} signatures")
    value = signed[0].get(Name.V)
    need(isinstance(value, Dictionary) and value.is_indirect, "the signature is no dictionary")
    assert isinstance(value, Dictionary)
    need(
        (value.get(Name.Type), value.get(Name.Filter), value.get(Name.SubFilter))
        == (Name.Sig, Name("/Adobe.PPKLite"), Name("/ETSI.CAdES.detached")),
        "the signature is of another kind",
    )
    need(form.get_int(Name.SigFlags) == 3, "the form does not say that there is a signature")
    numbers = value.get(Name.ByteRange)
    need(isinstance(numbers, Array) and len(numbers) == 4, "the ByteRange is not four numbers")
    assert isinstance(numbers, Array)
    byte_range = tuple(as_int(number, -1) for number in numbers)
    contents = value.get(Name.Contents)
    need(isinstance(contents, String), "the signature has no contents")
    assert isinstance(contents, String)
    held = bytes(contents)
    _check_file(path, byte_range, held)
    return Signature(
        byte_range=byte_range,
        contents=Digest.of(held),
        permissions=_permissions(pdf, value),
        field=signed[0],
    )


def store_of(pdf: Pdf) -> tuple[str, ...]:
    """Return the SHA-256 of each stream of evidence (DSS), by kind; nothing else may be in it."""
    store = pdf.Root.get(Name.DSS)
    if store is None:
        return ()
    need(isinstance(store, Dictionary), "the evidence is no dictionary")
    assert isinstance(store, Dictionary)
    kinds = set(store.keys()) - {"/Type"}
    need(kinds <= {"/Certs", "/CRLs", "/OCSPs"}, "there is more than evidence in the DSS")
    found: list[str] = []
    for kind in sorted(kinds):
        streams = store[kind]
        need(isinstance(streams, Array), "the evidence is not in lists")
        for stream in list(streams):
            plain = isinstance(stream, Stream) and "/Filter" not in stream.stream_dict
            need(plain, "the evidence is not as it was written")
            found.append(Digest.of(stream.read_raw_bytes()).hex)
    return tuple(found)


def _permissions(pdf: Pdf, value: Dictionary) -> int:
    """Return what DocMDP allows, if signature and catalog agree about it; 0 without either."""
    certified = pdf.Root.get(Name.Perms)
    references = value.get(Name.Reference)
    if certified is None and references is None:
        return 0
    need(
        isinstance(certified, Dictionary)
        and set(certified.keys()) == {"/DocMDP"}
        and _same(certified.get(Name.DocMDP), value),
        "the certification names another signature",
    )
    need(isinstance(references, Array) and len(references) == 1, "there is no one reference")
    assert isinstance(references, Array)
    reference = references[0]
    need(
        isinstance(reference, Dictionary) and reference.get(Name.TransformMethod) == Name.DocMDP,
        "the reference is not DocMDP",
    )
    parameters = reference.get(Name.TransformParams)
    need(
        isinstance(parameters, Dictionary)
        and parameters.get(Name.V) == Name("/1.2")
        and parameters.get_int(Name.P) in {1, 2, 3},
        "DocMDP allows nothing that is known",
    )
    assert isinstance(parameters, Dictionary)
    return parameters.get_int(Name.P) or 0


def _same(one: object, other: Object) -> bool:
    return isinstance(one, Object) and one.is_indirect and one.objgen == other.objgen


def _check_file(path: str, byte_range: tuple[int, ...], contents: bytes) -> None:
    """Compare the ByteRange, the contents and the last revision with the file's own bytes."""
    zero, start, end, rest = byte_range
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        need(
            zero == 0 and 0 < start < end and end + rest == size and rest > 0,
            f"the ByteRange {list(byte_range)} does not cover {size} bytes",
        )
        need(
            end - start == 2 * len(contents) + 2
            and os.pread(fd, end - start, start).lower() == b"<%b>" % contents.hex().encode(),
            "the contents do not stand in the gap",
        )
        tail = os.pread(fd, 64, max(0, size - 64))
        _, _, last = tail.rpartition(b"startxref\n")
        digits, _, ending = last.partition(b"\n")
        need(digits.isdigit() and ending == b"%%EOF\n", "the sealed file does not end as a PDF")
        table = int(digits)
        need(end < table < size and os.pread(fd, 5, table) == b"xref\n", "there is no table")
        need(_is_last(os.pread(fd, size - table, table)), "something follows the first revision")
    finally:
        os.close(fd)


def _is_last(table: bytes) -> bool:
    """Return whether nothing but one table and one trailer is in the end of the file."""
    return table.count(b"startxref") == 1 and table.count(b"%%EOF") == 1


__all__ = ["Signature", "need", "opened", "signature_of", "store_of"]
