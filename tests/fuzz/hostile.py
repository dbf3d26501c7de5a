"""Damage to PDFs that somebody thought up: deep, large, circular, or more than it shows."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from random import Random
from typing import Any, Final

from pikepdf import Array, Dictionary, Name, Object, Pdf, Stream, String

from tests.fuzz.objects import KEYS, NUMBERS, TYPES, Damage, any_stream, value

DEPTHS: Final = (3, 30, 150, 210, 600, 3000)
"""How deep trees and chains are made."""
PDFA: Final = (
    b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>"
    b"<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
    b"<rdf:Description xmlns:pdfaid='http://www.aiim.org/pdfa/ns/id/' pdfaid:part='2'"
    b" pdfaid:conformance='B'/></rdf:RDF></x:xmpmeta>"
)
DIRECT_DEPTHS: Final = (10, 90, 190, 400)
"""The same for brackets in brackets, which the library reads no deeper."""
OPERATORS: Final = (
    b"q ",
    b"Q ",
    b"/Im0 Do ",
    b"0 0 m 9 9 l S ",
    b"BT ET ",
    b"1 0 0 1 5 5 cm ",
    b"EMC ",
    b"[ ",
    b"<< ",
    b"\xff",
)


def deep_chain(pdf: Pdf, rng: Random) -> None:
    """Hang a long chain of objects somewhere, each inside the one before."""
    held: Any = pdf.make_indirect(Dictionary())
    for _ in range(rng.choice(DEPTHS)):
        held = pdf.make_indirect(Array([held]) if rng.random() < 0.5 else Dictionary(Kids=held))
    rng.choice((pdf.Root, pdf.pages[0].obj))[
        rng.choice(("/Chain", "/Outlines", "/Annots", "/AcroForm", "/A"))
    ] = held


def deep_brackets(pdf: Pdf, rng: Random) -> None:
    """Hang brackets in brackets somewhere."""
    depth = rng.choice(DIRECT_DEPTHS)
    source = (
        b"[" * depth + b"]" * depth
        if rng.random() < 0.5
        else b"<< /A " * depth + b"0" + b">>" * depth
    )
    rng.choice((pdf.Root, pdf.pages[0].obj))[rng.choice(("/Deep", "/Annots", "/Extra"))] = (
        Object.parse(source)
    )


def deep_tree(pdf: Pdf, rng: Random) -> None:
    """Put the page tree's root below many others."""
    node = pdf.Root.Pages
    for _ in range(rng.choice(DEPTHS)):
        above = pdf.make_indirect(Dictionary(Type=Name.Pages, Count=node.Count, Kids=Array([node])))
        node.Parent = above
        node = above
    pdf.Root.Pages = node


def deep_fields(pdf: Pdf, rng: Random) -> None:
    """Give the form a deep tree of fields, some of which lead in a circle."""
    bottom = pdf.make_indirect(
        Dictionary(FT=Name.Sig if rng.random() < 0.3 else Name.Tx, T=String("x"))
    )
    node = bottom
    for level in range(rng.choice(DEPTHS)):
        above = pdf.make_indirect(Dictionary(T=String(f"f{level}"), Kids=Array([node])))
        node.Parent = above
        node = above
    if rng.random() < 0.3:
        bottom.Kids = Array([node])
    pdf.Root.AcroForm = Dictionary(Fields=Array([node]))


def large_array(pdf: Pdf, rng: Random) -> None:
    """Put a very long array somewhere."""
    source = b"[" + b"0 " * rng.choice((1000, 100_000)) + b"]"
    rng.choice((pdf.Root, pdf.pages[0].obj))[
        rng.choice(("/Long", "/Annots", "/MediaBox", "/Kids"))
    ] = Object.parse(source)


def more_pages(pdf: Pdf, rng: Random) -> None:
    """Have many pages, or the same one again and again."""
    tree, page = pdf.Root.Pages, pdf.pages[-1].obj
    kids = tree.Kids
    for _ in range(rng.choice((1, 2, 50, 2100))):
        kids.append(
            page if rng.random() < 0.1 else pdf.make_indirect(Dictionary(dict(page.items())))
        )
    tree.Count = len(kids) if rng.random() < 0.8 else rng.choice(NUMBERS)


def content(pdf: Pdf, rng: Random) -> None:
    """Draw something else."""
    page = pdf.pages[rng.randrange(len(pdf.pages))].obj
    drawn = b"".join(rng.choice(OPERATORS) for _ in range(rng.choice((1, 5, 2000))))
    new = pdf.make_stream(drawn)
    old = page.get("/Contents")
    page.Contents = Array([old, new]) if isinstance(old, Stream) and rng.random() < 0.7 else new


def bomb(pdf: Pdf, rng: Random) -> None:
    """Put in something small that is very large once it is unpacked."""
    size = 1 << rng.choice((20, 25, 27))
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()
    held = pdf.make_stream(packed)
    held.Filter = Name.FlateDecode
    if rng.random() < 0.3:
        held.Filter = Array([Name.FlateDecode] * 9)
    place = rng.choice(("/Contents", "/Metadata", "/Im0"))
    if place == "/Contents":
        pdf.pages[0].obj.Contents = held
    elif place == "/Metadata":
        pdf.Root.Metadata = held
    else:
        held.stream_dict.update(
            Dictionary(Type=Name.XObject, Subtype=Name.Image, Width=30000, Height=size // 30000,
                       ColorSpace=Name.DeviceGray, BitsPerComponent=8)
        )  # fmt: skip
        pdf.pages[0].obj.Resources = Dictionary(XObject=Dictionary(Im0=held))


def metadata(pdf: Pdf, rng: Random) -> None:
    """Say something odd of the document."""
    texts = (
        b"", b"<", b"<a/>", b"\xff\xfe<\0a\0/\0>\0", b"<?xml version='1.0' encoding='UTF-16'?><a/>",
        b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
        b"<!DOCTYPE a [<!ENTITY b 'bbbb'><!ENTITY c '&b;&b;&b;&b;'>]><a>&c;</a>",
        b"<a>" * 3000 + b"</a>" * 3000, b"<a " + b"b='c' " * 5 + b"/>", b"<?xpacket begin=''?>" * 9,
        b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>", b"\0" * 900, b"<rdf:RDF/>",
        PDFA,
    )  # fmt: skip
    held = pdf.make_stream(rng.choice(texts), Type=Name.Metadata, Subtype=Name.XML)
    pdf.Root.Metadata = held if rng.random() < 0.9 else value(pdf, rng)
    if rng.random() < 0.2:
        held.Filter = Name(rng.choice(TYPES[16:23]))


def boxes(pdf: Pdf, rng: Random) -> None:
    """Give a page other borders, which turn it over, or make it nothing, or a whole country."""
    edges = [rng.choice((0, 0, 10, 60, 84, -50, 1, 1e-3, 14400, 200000, 1e9)) for _ in range(4)]
    page = pdf.pages[rng.randrange(len(pdf.pages))].obj
    page[rng.choice(("/MediaBox", "/MediaBox", "/CropBox", "/TrimBox"))] = Array(edges)


def dangerous(pdf: Pdf, rng: Random) -> None:
    """Have something that does more than show itself."""
    script = Dictionary(S=Name.JavaScript, JS=String("app.alert(1)"))
    launch = Dictionary(S=Name.Launch, F=String("a.exe"))
    page = pdf.pages[0].obj
    outer = Dictionary(
        Type=Name.Annot, Subtype=Name.Link, Rect=[0, 0, 9, 9], A=rng.choice((script, launch))
    )
    spec = Dictionary(
        Type=Name.Filespec,
        F=String("a"),
        EF=Dictionary(F=pdf.make_stream(b"a", Type=Name.EmbeddedFile)),
    )
    changes: tuple[Callable[[], Any], ...] = (
        lambda: pdf.Root.__setitem__("/OpenAction", rng.choice((script, launch))),
        lambda: pdf.Root.__setitem__("/AA", Dictionary(WC=script)),
        lambda: page.__setitem__(
            "/AA", Dictionary(O=Dictionary(S=Name.URI, URI=String("x"), Next=Array([script])))
        ),
        lambda: page.__setitem__("/Annots", Array([outer])),
        lambda: pdf.Root.__setitem__(
            "/Names", Dictionary(JavaScript=Dictionary(Names=Array([String("a"), script])))
        ),
        lambda: pdf.Root.__setitem__(
            "/Names", Dictionary(EmbeddedFiles=Dictionary(Names=Array([String("a"), spec])))
        ),
        lambda: pdf.Root.__setitem__("/AF", Array([spec])),
        lambda: page.__setitem__(
            "/Annots", Array([Dictionary(Subtype=Name.FileAttachment, FS=spec, Rect=[0, 0, 9, 9])])
        ),
        lambda: pdf.Root.__setitem__(
            "/AcroForm", Dictionary(Fields=Array(), XFA=pdf.make_stream(b"<x/>"))
        ),
        lambda: any_stream(pdf, rng).__setitem__("/F", String("/etc/passwd")),
        lambda: pdf.Root.__setitem__("/Collection", Dictionary()),
        lambda: page.__setitem__(
            "/Annots", Array([Dictionary(Subtype=Name.Movie, Rect=[0, 0, 9, 9])])
        ),
        lambda: pdf.Root.__setitem__(
            "/Outlines", Dictionary(First=Dictionary(Title=String("x"), A=launch), Count=1)
        ),
    )
    rng.choice(changes)()


def form(pdf: Pdf, rng: Random) -> None:
    """Have an odd form, or odd annotations."""
    field = pdf.make_indirect(
        Dictionary(FT=Name.Tx, T=String(rng.choice(("Seal", "Seal 2", "x"))), Rect=[1, 1, 9, 9])
    )
    if rng.random() < 0.3:
        field.Kids = Array([field, value(pdf, rng)])
    if rng.random() < 0.3:
        field[rng.choice(KEYS)] = value(pdf, rng)
    fields = rng.choice((Array([field]), Array([value(pdf, rng), field]), value(pdf, rng)))
    held = Dictionary(Fields=fields, SigFlags=rng.choice(NUMBERS))
    pdf.Root.AcroForm = held if rng.random() < 0.5 else pdf.make_indirect(held)
    if rng.random() < 0.6:
        annotations = Array([field, value(pdf, rng)]) if rng.random() < 0.7 else value(pdf, rng)
        pdf.pages[0].obj.Annots = annotations


def signature(pdf: Pdf, rng: Random) -> None:
    """Have something that looks like a signature, in one of the places it can be."""
    value = Dictionary(
        Type=Name.Sig, Filter=Name("/Adobe.PPKLite"), Contents=String("x"), ByteRange=[0, 1, 2, 3]
    )
    field = pdf.make_indirect(
        Dictionary(FT=Name.Sig, T=String("Old"), Subtype=Name.Widget, Rect=[0, 0, 0, 0])
    )
    if rng.random() < 0.7:
        field.V = rng.choice((value, pdf.make_indirect(value), Dictionary(), String("x")))
    changes: tuple[Callable[[], Any], ...] = (
        lambda: pdf.Root.__setitem__("/AcroForm", Dictionary(Fields=Array([field]), SigFlags=3)),
        lambda: pdf.Root.__setitem__("/Perms", Dictionary(DocMDP=value)),
        lambda: pdf.Root.__setitem__("/Perms", Dictionary(UR3=pdf.make_indirect(value))),
        lambda: pdf.Root.__setitem__("/DSS", Dictionary(Certs=Array())),
        lambda: pdf.pages[-1].obj.__setitem__("/Annots", Array([field])),
    )
    rng.choice(changes)()


CHANGES: Final[tuple[Damage, ...]] = (
    deep_chain, deep_brackets, deep_tree, deep_fields, large_array, more_pages, content, bomb,
    metadata, boxes, boxes, dangerous, form, form, signature,
)  # fmt: skip
