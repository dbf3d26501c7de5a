"""A PDF made ready for its signature: one pass of qpdf over the whole file.

What is added hangs on these places, and nothing else of the document is touched:

    catalog     /AcroForm   the form, with one more field
                /Perms      the certification
                /Metadata   the packet, with the note in it, and the claim of PDF/A
                /OutputIntents   if it claims PDF/A, and brought none
                /AF, /Names   for PDF/A-3: the note as a file, unless the scan brought files
                /DSS        evidence for the level B-LT, where there is any
    first page  /Annots     one more widget, which shows nothing
    the file    one revision, with a plain cross-reference table

Streams are copied as they are, compressed or not. `graphs` says the same of the
finished file, without asking this module.
"""

from __future__ import annotations

import codecs
import os
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pikepdf import (
    Array,
    Dictionary,
    Name,
    Object,
    ObjectStreamMode,
    PageCopyWarning,
    Stream,
    StreamDecodeLevel,
    String,
)

from daemon.errors import Refused
from daemon.pages import attached, intent, pdfa
from daemon.pages.packet import METADATA_REPLACED, MOST, Packet, fresh
from daemon.pages.signature import EXISTS_AND_APPEND_ONLY, UNSET, WIDGET_FLAGS, EmptySignature
from daemon.transfernote import as_xml

if TYPE_CHECKING:
    from pikepdf import Pdf

    from daemon.pages.dss import Store
    from daemon.transfernote import TransferNote

LARGEST: Final = (1 << 31) - (1 << 26)
"""Bytes of an original: the numbers of the ByteRange must not be larger than 31 bits hold."""
TITLE: Final = "Seal"
"""The field's name, unless the form has one of that name."""


def add_signature(pdf: Pdf, empty: EmptySignature) -> None:
    """Add the empty signature, its field on the first page, and the certification."""
    dictionary = Object.parse(b"<< %b >>" % empty.rest)
    dictionary.ByteRange = Array([0, UNSET, UNSET, UNSET])
    dictionary.Contents = String(empty.contents)
    signature = pdf.make_indirect(dictionary)
    page = pdf.pages[0].obj
    form = pdf.Root.get(Name.AcroForm, Dictionary())
    fields = form.get(Name.Fields, Array())
    assert isinstance(fields, Array)  # see inspect.is_signed
    field = pdf.make_indirect(
        Dictionary(
            Type=Name.Annot,
            Subtype=Name.Widget,
            FT=Name.Sig,
            T=String(_title(fields)),
            F=WIDGET_FLAGS,
            Rect=[0, 0, 0, 0],
            P=page,
            V=signature,
        )
    )
    notes = page.get(Name.Annots, Array())
    if not isinstance(notes, Array):
        raise Refused("pdf-damaged", "the first page's annotations are not an array")
    # New arrays: the old ones may be shared with other pages, where nothing is to appear.
    page.Annots = Array([*notes, field])
    form.Fields = Array([*fields, field])
    form.SigFlags = EXISTS_AND_APPEND_ONLY
    pdf.Root.AcroForm = form
    if empty.permissions:
        pdf.Root.Perms = Dictionary(DocMDP=signature)


def packet_of(pdf: Pdf) -> tuple[Packet | None, tuple[str, ...]]:
    """Return what the document says about itself, if it does, and the findings about that."""
    held = _metadata(pdf)
    if held == b"":
        return None, ()
    found = Packet.read(held) if held else None
    return (found.cleared(), ()) if found else (None, (METADATA_REPLACED,))


def add_note(pdf: Pdf, note: TransferNote, packet: Packet | None) -> None:
    """Put the note into the document's metadata, beside what *packet* says."""
    text = packet.with_note(note) if packet else fresh(note)
    pdf.Root.Metadata = pdf.make_stream(text, Type=Name.Metadata, Subtype=Name.XML)


def add_store(pdf: Pdf, store: Store) -> None:
    """Put the evidence into the catalog; nothing is added where there is none."""
    if store:
        lists = {
            f"/{key}": Array([pdf.make_stream(one) for one in streams])
            for key, streams in store.lists
        }
        pdf.Root.DSS = pdf.make_indirect(Dictionary({"/Type": Name.DSS, **lists}))


def broken_by(pdf: Pdf, packet: Packet | None, source: str) -> frozenset[str]:
    """Return the rules of PDF/A-2b that the document at *source* breaks."""
    broken = pdfa.broken_by(pdf) | (packet.broken if packet else frozenset())
    large = Path(source).stat().st_size > LARGEST
    return frozenset(broken | {"limits"} if large else broken)


def add_intent(pdf: Pdf) -> None:
    """Add the output intent, unless the document brought one; see `pdfa` for that."""
    if Name.OutputIntents not in pdf.Root:
        intent.add(pdf)


def attach(pdf: Pdf, note: TransferNote, empty: EmptySignature) -> None:
    """Attach the note as XML, unless the document brought files."""
    if attached.can_be_added(pdf):
        attached.add(pdf, as_xml(note), empty.moment)


def write(pdf: Pdf, fd: int) -> None:
    """Write the PDF to the empty file behind *fd*."""
    with (
        os.fdopen(fd, "w+b", buffering=0, closefd=False) as file,
        warnings.catch_warnings(action="ignore", category=PageCopyWarning),
    ):
        # The warning is about widgets that are in no form: the scan brought them, and keeps them.
        pdf.save(
            file,
            compress_streams=False,
            stream_decode_level=StreamDecodeLevel.none,
            object_stream_mode=ObjectStreamMode.disable,
            fix_metadata_version=False,
            # Signature and certification are of 1.7; an older reader would be misled by the header.
            min_version="1.7",
        )


def _title(fields: Array) -> str:
    names = (field.get(Name.T) for field in fields if isinstance(field, Dictionary))
    # Not str: not all of them have to be text.
    taken = {bytes(name) for name in names if isinstance(name, String)}
    number = 1
    while not taken.isdisjoint(_spellings(title := f"{TITLE} {number}" if number > 1 else TITLE)):
        number += 1
    return title


def _spellings(title: str) -> set[bytes]:
    return {
        title.encode(),
        codecs.BOM_UTF8 + title.encode(),
        codecs.BOM_UTF16_BE + title.encode("utf-16-be"),
    }


def _metadata(pdf: Pdf) -> bytes | None:
    """Return the metadata's bytes, empty where there are none, None where they cannot be read."""
    stream = pdf.Root.get(Name.Metadata)
    if stream is None:
        return b""
    if not isinstance(stream, Stream):
        return None
    said = stream.get(Name.Filter)
    named = list(said) if isinstance(said, Array) else [said]
    # What an encrypted file leaves readable says so by a filter, with its parameters.
    how = [name for name in named if name not in {None, Name.Crypt}]
    plain = stream.get(Name.DecodeParms) is None or Name.Crypt in named
    if how not in ([], [Name.FlateDecode]) or not plain:
        return None
    raw = stream.read_raw_bytes()
    if not how:
        return raw if len(raw) <= MOST else None
    # Not by qpdf: a few bytes can hold more than the whole memory.
    unpacked = zlib.decompressobj()
    try:
        held = unpacked.decompress(raw, MOST)
    except zlib.error:
        return None
    return held if unpacked.eof else None
