"""Own checks of PDF/A-2b: each rule that a scan's PDF can break, and what breaks none.

The passes and fails that veraPDF was seen to report (a widget's flags, extent and
appearance, NeedAppearances, attachments, no metadata, no intent) are among them.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Any

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name, Stream, String
from PIL import ImageCms

from daemon.pages import intent, pdfa
from daemon.pages.inspect import original
from tests.unit import pages_samples as samples
from tests.unit.pages_samples import pdf, prepared, read_back, sealed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Change = Callable[[pikepdf.Pdf], object]

LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def image(made: pikepdf.Pdf) -> pikepdf.Object:
    return made.pages[0].obj.Resources.XObject.Im0


def says(**entries: Any) -> Change:
    """Give the first image these entries."""
    return lambda made: [image(made).__setitem__(f"/{key}", item) for key, item in entries.items()]


def page_has(**entries: Any) -> Change:
    return lambda made: [
        made.pages[0].obj.__setitem__(f"/{key}", item) for key, item in entries.items()
    ]


def root_has(**entries: Any) -> Change:
    return lambda made: [made.Root.__setitem__(f"/{key}", item) for key, item in entries.items()]


def draws(content: bytes, **resources: Any) -> Change:
    """Let the first page draw *content* besides, with these *resources*."""

    def change(made: pikepdf.Pdf) -> None:
        page = made.pages[0].obj
        page.Contents = Array([page.Contents, made.make_stream(content)])
        for key, item in resources.items():
            page.Resources[f"/{key}"] = item

    return change


def profiled(data: bytes, components: int = 3, *, packed: bool = False) -> Change:
    def change(made: pikepdf.Pdf) -> None:
        stream = made.make_stream(data, N=components)
        if packed:
            stream.write(zlib.compress(data), filter=Name.FlateDecode)
        image(made).ColorSpace = Array([Name.ICCBased, stream])

    return change


def note(**entries: Any) -> Change:
    """Put an annotation on the first page: one that shows something, is printed, and has a look."""

    def change(made: pikepdf.Pdf) -> None:
        look = made.make_stream(
            b"0 0 5 5 re f", Type=Name.XObject, Subtype=Name.Form, BBox=[0, 0, 5, 5]
        )
        held: dict[str, Any] = {
            "Subtype": Name.Square,
            "Rect": [1, 1, 9, 9],
            "F": 4,
            "AP": Dictionary(N=look),
        }
        held |= entries
        present = {f"/{key}": item for key, item in held.items() if item is not None}
        made.pages[0].obj.Annots = Array([Dictionary(present)])

    return change


def widget(**entries: Any) -> Change:
    """Put a widget with a field on the first page."""

    def change(made: pikepdf.Pdf) -> None:
        note(**({"Subtype": Name.Widget, "FT": Name.Tx, "T": String("a")} | entries))(made)
        field = made.make_indirect(made.pages[0].obj.Annots[0])
        made.pages[0].obj.Annots = Array([field])
        made.Root.AcroForm = Dictionary(Fields=Array([field]))

    return change


def action(**entries: Any) -> Change:
    return note(Subtype=Name.Link, AP=None, A=Dictionary(**entries))


def form(content: bytes = b"0 0 5 5 re f", **entries: Any) -> Change:
    def change(made: pikepdf.Pdf) -> None:
        held = made.make_stream(
            content, Type=Name.XObject, Subtype=Name.Form, BBox=[0, 0, 5, 5], **entries
        )
        made.pages[0].obj.Resources.XObject.Fm = held

    return change


def outlined(**entries: Any) -> Change:
    return lambda made: made.Root.__setattr__(
        "OutputIntents",
        Array(
            [
                Dictionary(
                    Type=Name.OutputIntent,
                    **{
                        "S": Name.GTS_PDFA1,
                        "OutputConditionIdentifier": String("sRGB"),
                        "DestOutputProfile": made.make_stream(intent.PROFILE, N=3),
                    }
                    | entries,
                )
            ]
        ),
    )


def attachment(made: pikepdf.Pdf) -> None:
    made.attachments["a.txt"] = b"text"


def layers(**entries: Any) -> Change:
    def change(made: pikepdf.Pdf) -> None:
        layer = made.make_indirect(Dictionary(Type=Name.OCG, Name=String("scan")))
        setting = {"Name": String("all"), "ON": Array([layer])} | entries
        made.Root.OCProperties = Dictionary(OCGs=Array([layer]), D=Dictionary(**setting))

    return change


def state(**entries: Any) -> Change:
    return draws(b"/G0 gs", ExtGState=Dictionary(G0=Dictionary(**entries)))


HELVETICA = Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica)
HIDDEN = b"BT 3 Tr /F1 8 Tf 1 1 Td (Bescheid) Tj ET"


def font(**entries: Any) -> Change:
    held = Dictionary(Type=Name.Font, **entries)
    return draws(HIDDEN, Font=Dictionary(F1=held))


def glyphless(glyphs: bytes, *, embedded: bool = True) -> Change:
    """Use the font of the usual recognisers: no glyph but one, which shows nothing."""

    def change(made: pikepdf.Pdf) -> None:
        described = Dictionary(Type=Name.FontDescriptor, FontName=Name.GlyphLessFont, Flags=5)
        if embedded:
            described.FontFile2 = made.make_stream(b"a program")
        below = Dictionary(
            Type=Name.Font,
            Subtype=Name.CIDFontType2,
            BaseFont=Name.GlyphLessFont,
            CIDToGIDMap=made.make_stream(zlib.compress(glyphs), Filter=Name.FlateDecode),
            CIDSystemInfo=Dictionary(Registry=String("Adobe"), Ordering=String("Id"), Supplement=0),
            FontDescriptor=described,
        )
        font(
            Subtype=Name.Type0,
            BaseFont=Name.GlyphLessFont,
            Encoding=Name("/Identity-H"),
            DescendantFonts=Array([below]),
        )(made)

    return change


def cmyk(made: pikepdf.Pdf) -> None:
    outlined(
        DestOutputProfile=made.make_stream(b"".join([intent.PROFILE[:16], b"CMYK", bytes(300)]))
    )(made)


def inherited(made: pikepdf.Pdf) -> None:
    made.Root.Pages.Resources = made.pages[0].obj.Resources
    del made.pages[0].obj.Resources


def lzw(made: pikepdf.Pdf) -> None:
    made.pages[0].obj.Contents = made.make_stream(b"\x80\x0b`P", Filter=Name.LZWDecode)


def thumb(made: pikepdf.Pdf) -> None:
    made.Root.PieceInfo = Dictionary(
        A=Dictionary(Private=made.make_stream(b"x", Filter=Name.LZWDecode))
    )


FITS: dict[str, Change] = {
    "a scan": lambda _: None,
    "a link to a page": action(S=Name.GoTo, D=String("x")),
    "a link to the web": action(S=Name.URI, URI=String("https://example.org")),
    "the next page": action(S=Name.Named, N=Name.NextPage),
    "a comment with a look": note(),
    "a popup": note(Subtype=Name.Popup, F=None, AP=None),
    "a widget with a look": widget(),
    "a widget that shows nothing": widget(AP=None, Rect=[0, 0, 0, 0], F=132),
    "a button": widget(FT=Name.Btn, AP=Dictionary(N=Dictionary())),
    "hidden text, standard font": draws(HIDDEN, Font=Dictionary(F1=HELVETICA)),
    "hidden text, a font without glyphs": glyphless(b"\0\1" * 65536),
    "its own intent": outlined(),
    "a profile": profiled(intent.PROFILE),
    "a packed profile": profiled(intent.PROFILE, packed=True),
    "a palette": says(ColorSpace=Array([Name.Indexed, Name.DeviceRGB, 0, String("abc")])),
    "grey": says(ColorSpace=Name.DeviceGray),
    "a soft mask": lambda made: image(made).__setattr__(
        "SMask",
        made.make_stream(
            zlib.compress(bytes(60 * 84)),
            Filter=Name.FlateDecode,
            Type=Name.XObject,
            Subtype=Name.Image,
            Width=60,
            Height=84,
            ColorSpace=Name.DeviceGray,
            BitsPerComponent=8,
        ),
    ),
    "jpeg 2000": lambda made: image(made).write(
        samples.encoded(samples.drawn(), "JPEG2000"), filter=Name.JPXDecode
    ),
    "layers": layers(),
    "a group": page_has(Group=Dictionary(S=Name.Transparency, CS=Name.DeviceRGB)),
    "a blend mode": state(BM=Name.Multiply),
    "an overprint mode without overprint": state(OPM=1),
    "a form with a form": form(),
    "marked content": draws(b"/Span << /ActualText (A) >> BDC EMC"),
    "colours": draws(b"1 0 0 rg 0 0 1 RG 0.5 g 0 0 9 9 re f"),
    "28 saved states": draws(b"q " * 28 + b"Q " * 28),
    "a long real number": draws(b"0.12345678901 0 0 1 0 0 cm"),
    "a long text, in hexadecimal": draws(
        b"BT 3 Tr /F1 8 Tf <%b> Tj ET" % (b"12345678" * 900), Font=Dictionary(F1=HELVETICA)
    ),
    "private data": root_has(PieceInfo=Dictionary(Scanner=Dictionary(Private=Dictionary(A=1)))),
}

BREAKS: dict[str, tuple[Change, str]] = {
    "javascript": (action(S=Name.JavaScript, JS=String("1")), "action"),
    "launch": (action(S=Name.Launch), "action"),
    "a sound": (action(S=Name.Sound), "action"),
    "a movie": (action(S=Name.Movie), "action"),
    "reset": (action(S=Name.ResetForm), "action"),
    "import": (action(S=Name.ImportData), "action"),
    "hide": (action(S=Name.Hide), "action"),
    "layers by action": (action(S=Name.SetOCGState), "action"),
    "a rendition": (action(S=Name.Rendition), "action"),
    "a transition": (action(S=Name.Trans), "action"),
    "3d": (action(S=Name.GoTo3DView), "action"),
    "print by name": (action(S=Name.Named, N=Name.Print), "action"),
    "an action after another": (
        action(S=Name.GoTo, D=String("x"), Next=Dictionary(S=Name.Launch)),
        "action",
    ),
    "an action at the start": (root_has(OpenAction=Dictionary(S=Name.Launch)), "action"),
    "scripts by name": (root_has(Names=Dictionary(JavaScript=Dictionary())), "action"),
    "what happens on a page": (page_has(AA=Dictionary()), "additional-actions"),
    "what happens with the document": (root_has(AA=Dictionary()), "additional-actions"),
    "what happens in a field": (widget(AA=Dictionary()), "additional-actions"),
    "a widget that does something": (widget(A=Dictionary(S=Name.GoTo)), "form"),
    "a widget without flags (6.3.2-2)": (widget(F=0), "annotation-flags"),
    "a hidden widget (6.3.2-2)": (widget(F=6), "annotation-flags"),
    "a comment that says no flags": (note(F=None), "annotation-flags"),
    "a comment that is not seen": (note(F=4 | 32), "annotation-flags"),
    "a widget without a look (6.3.3-1)": (widget(AP=None), "annotation-appearance"),
    "a comment without a look": (note(AP=None), "annotation-appearance"),
    "a look when it is pressed": (
        note(AP=Dictionary(N=Dictionary(), D=Dictionary())),
        "annotation-appearance",
    ),
    "states of what is no button": (
        note(AP=Dictionary(N=Dictionary())),
        "annotation-appearance",
    ),
    "a film": (note(Subtype=Name.Screen), "annotation-type"),
    "an unknown comment": (note(Subtype=Name.Hologram), "annotation-type"),
    "appearances to be made (6.4.1-3)": (
        root_has(AcroForm=Dictionary(Fields=Array(), NeedAppearances=True)),
        "form",
    ),
    "a drawn form": (root_has(AcroForm=Dictionary(Fields=Array(), XFA=Array())), "xfa"),
    "an attachment (6.8-5)": (attachment, "embedded-files"),
    "a font that is not embedded": (
        draws(b"BT /F1 8 Tf (A) Tj ET", Font=Dictionary(F1=HELVETICA)),
        "text-visible",
    ),
    "text that is hidden and then is not": (
        draws(HIDDEN + b" BT 0 Tr (A) Tj ET", Font=Dictionary(F1=HELVETICA)),
        "text-visible",
    ),
    "hidden only while a state was saved": (
        draws(b"q " + HIDDEN + b" Q BT (A) Tj ET", Font=Dictionary(F1=HELVETICA)),
        "text-visible",
    ),
    "a font without widths": (
        font(Subtype=Name.Type1, BaseFont=Name.Arial),
        "font",
    ),
    "a font of drawings": (font(Subtype=Name.Type3, BaseFont=Name.A), "font"),
    "a font that uses the missing glyph": (glyphless(b"\0\0" + b"\0\1" * 65535), "font"),
    "an embedded font that nobody looked into": (
        font(
            Subtype=Name.Type1,
            BaseFont=Name.Helvetica,
            FontDescriptor=Dictionary(FontFile=Dictionary()),
        ),
        "font",
    ),
    "an image for printers": (says(ColorSpace=Name.DeviceCMYK), "device-cmyk"),
    "a printer's colour": (draws(b"0 0 0 1 k"), "device-cmyk"),
    "a palette of printers' colours": (
        says(ColorSpace=Array([Name.Indexed, Name.DeviceCMYK, 0, String("abcd")])),
        "device-cmyk",
    ),
    "a spot colour": (
        says(ColorSpace=Array([Name.Separation, Name.Gold, Name.DeviceRGB, Dictionary()])),
        "colour-space",
    ),
    "a shading": (draws(b"/S sh", Shading=Dictionary(S=Dictionary())), "content-stream"),
    "a pattern": (draws(b"", Pattern=Dictionary(P=Dictionary())), "colour-space"),
    "a profile for other colours": (profiled(intent.PROFILE, 1), "icc-profile"),
    "a profile of version 5": (
        profiled(intent.PROFILE[:8] + b"\5" + intent.PROFILE[9:]),
        "icc-profile",
    ),
    "no profile": (profiled(b"nothing"), "icc-profile"),
    "an abstract profile": (profiled(LAB[:12] + b"abst" + LAB[16:]), "icc-profile"),
    "an intent of a printer": (outlined(S=Name.GTS_PDFX), "output-intent"),
    "an intent without a profile": (outlined(DestOutputProfile=None), "output-intent"),
    "an intent that is nothing": (root_has(OutputIntents=Array()), "output-intent"),
    "an intent of no kind": (cmyk, "output-intent"),
    "smoothed": (says(Interpolate=True), "image"),
    "another image beside": (says(Alternates=Array()), "image"),
    "a print server's image": (says(OPI=Dictionary()), "image"),
    "an image's intent": (says(Intent=Name.Vivid), "rendering-intent"),
    "an image without colours": (lambda made: image(made).__delitem__("/ColorSpace"), "image"),
    "bits of a kind": (says(BitsPerComponent=3), "image"),
    "an image that is a PostScript program": (
        lambda made: made.pages[0].obj.Resources.XObject.__setitem__(
            "/Ps", made.make_stream(b"x", Subtype=Name.PS)
        ),
        "postscript",
    ),
    "no JPEG 2000": (says(Filter=Name.JPXDecode), "jpeg-2000"),
    "LZW": (lzw, "filter"),
    "a filter in what nobody looks at": (thumb, "filter"),
    "a stream elsewhere": (says(F=String("x")), "external-stream"),
    "a page in another file": (form(Ref=Dictionary()), "form-xobject"),
    "a form with text": (form(b"BT (A) Tj ET"), "text-visible"),
    "a transfer function": (state(TR=Name.Identity), "graphics-state"),
    "a halftone": (state(HT=Dictionary(HalftoneType=1)), "graphics-state"),
    "overprint in its mode": (state(OPM=1, OP=True), "graphics-state"),
    "an unknown blend mode": (state(BM=Name.Glow), "transparency"),
    "a group of printers' colours": (
        page_has(Group=Dictionary(S=Name.Transparency, CS=Name.DeviceCMYK)),
        "device-cmyk",
    ),
    "an unknown operator": (draws(b"1 2 glow"), "content-stream"),
    "an image in the drawing": (draws(b"BI /W 1 /H 1 ID x EI"), "content-stream"),
    "a drawing that breaks off": (draws(b"(abc"), "content-stream"),
    "a rendering intent": (draws(b"/Vivid ri"), "rendering-intent"),
    "29 saved states": (draws(b"q " * 29 + b"Q " * 29), "limits"),
    "a number in the drawing": (draws(b"99999999999 0 m"), "limits"),
    "a name in the drawing": (draws(b"/%b gs" % (b"a" * 128)), "limits"),
    "a text in the drawing": (
        draws(b"BT 3 Tr /F1 8 Tf (%b) Tj ET" % (b"a" * 32768), Font=Dictionary(F1=HELVETICA)),
        "limits",
    ),
    "a number": (root_has(PieceInfo=Dictionary(A=2**31)), "limits"),
    "a name": (root_has(PieceInfo=Dictionary(A=Name("/" + "a" * 128))), "limits"),
    "a name that is no text": (
        lambda made: made.Root.__setattr__("PieceInfo", pikepdf.Object.parse(b"<< /A /B#fcro >>")),
        "limits",
    ),
    "a string": (root_has(PieceInfo=Dictionary(A=String("a" * 32768))), "limits"),
    "resources of the parent": (inherited, "resources"),
    "a font that is not there": (draws(b"BT 3 Tr /F9 8 Tf (A) Tj ET"), "resources"),
    "metadata of an image": (says(Metadata=Dictionary()), "metadata"),
    "a page too small": (page_has(MediaBox=[0, 0, 2, 9]), "page-size"),
    "a page too large": (page_has(CropBox=[0, 0, 9, 14401]), "page-size"),
    "layers by events": (layers(AS=Array()), "optional-content"),
    "layers without a name": (layers(Name=String("")), "optional-content"),
    "a slide show": (page_has(PresSteps=Dictionary()), "presentation"),
    "what a reader must have": (root_has(Requirements=Array()), "requirements"),
    "a newer version": (root_has(Version=Name("/2.0")), "header"),
}


def broken(tmp_path: Path, scan: bytes) -> set[str]:
    path = tmp_path / "scan.pdf"
    path.write_bytes(scan)
    with original(str(path)) as opened:
        return pdfa.broken_by(opened)


@pytest.mark.parametrize("what", FITS)
def test_what_scans_hold_breaks_no_rule(tmp_path: Path, what: str) -> None:
    """A check that is stricter than it has to be takes the claim from everything."""
    assert broken(tmp_path, pdf(2, change=FITS[what])) == set()


@pytest.mark.parametrize("what", BREAKS)
def test_what_breaks_a_rule_is_named(tmp_path: Path, what: str) -> None:
    """A false claim is worse than none; the note says which rule it was."""
    change, rule = BREAKS[what]

    assert rule in broken(tmp_path, pdf(2, change=change))
    assert rule in pdfa.RULES


def test_every_rule_has_a_scan_that_breaks_it() -> None:
    """Each has a name in the decision's list; those about time and files are tested elsewhere."""
    tested = {rule for _, rule in BREAKS.values()}

    assert set(pdfa.RULES) - tested == {"too-large", "device-rgb"}


def test_an_intent_for_printers_makes_their_colours_known_and_no_others(tmp_path: Path) -> None:
    """Device colours mean what the output intent says, and nothing without one (6.2.4.3)."""
    inks = intent.PROFILE[:12] + b"prtrCMYK" + intent.PROFILE[20:]

    def printed(made: pikepdf.Pdf) -> None:
        outlined(DestOutputProfile=made.make_stream(inks, N=4))(made)

    assert broken(tmp_path, pdf(change=printed)) == {"device-rgb"}


def test_a_version_2_file_is_no_pdfa(tmp_path: Path) -> None:
    """PDF/A-2 is of PDF 1.7, and qpdf keeps a newer version (6.1.2)."""
    assert broken(tmp_path, pdf(force_version="2.0")) == {"header"}


def test_a_document_of_too_many_objects_makes_no_claim(tmp_path: Path) -> None:
    """It is sealed in any case, and others wait."""
    many = pdf(change=root_has(PieceInfo=Array([Dictionary()] * (pdfa.MOST_OBJECTS + 1))))

    assert broken(tmp_path, many) == {"too-large"}


def test_too_much_drawing_makes_no_claim(tmp_path: Path) -> None:
    """The same page again and again: packed, it is a few bytes."""

    def change(made: pikepdf.Pdf) -> None:
        content = zlib.compress(b" " * ((1 << 20) - 9))
        stream = made.make_stream(content, Filter=Name.FlateDecode)
        for _ in range(33):
            made.add_blank_page().obj.Contents = stream

    assert broken(tmp_path, pdf(change=change)) == {"too-large"}


def metadata(body: str, about: str = "") -> Change:
    """Give the document a packet, with the claim that a scanner makes."""
    spaces = (
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
        ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
        ' xmlns:pdf="http://ns.adobe.com/pdf/1.3/"'
    )
    text = (
        f'<rdf:RDF {spaces}><rdf:Description rdf:about="{about}">{body}</rdf:Description></rdf:RDF>'
    )
    return lambda made: made.Root.__setattr__(
        "Metadata", made.make_stream(text.encode(), Type=Name.Metadata, Subtype=Name.XML)
    )


def claim(part: int = 1, prefix: str = "pdfaid") -> str:
    return (
        f'<{prefix}:part xmlns:{prefix}="http://www.aiim.org/pdfa/ns/id/">{part}</{prefix}:part>'
        f'<{prefix}:conformance xmlns:{prefix}="http://www.aiim.org/pdfa/ns/id/">B'
        f"</{prefix}:conformance>"
    )


GOOD = "<xmp:CreateDate>2026-11-22T10:00:00+01:00</xmp:CreateDate><pdf:Producer>Scan</pdf:Producer>"
TITLE = (
    '<dc:title><rdf:Alt><rdf:li xml:lang="x-default">A</rdf:li></rdf:Alt></dc:title>'
    "<dc:creator><rdf:Seq><rdf:li>B</rdf:li></rdf:Seq></dc:creator>"
)


@pytest.mark.parametrize("said", ["", GOOD, TITLE, claim(), claim(3) + GOOD, claim(2, "id")])
def test_the_claim_is_ours_whatever_the_scan_claimed(tmp_path: Path, said: str) -> None:
    """1b, 2b, 3b: replaced by what was checked; the other properties stay."""
    source, target, reply = sealed(tmp_path, pdf(change=metadata(said)))
    text = held_metadata(target)

    assert reply["pdfa"] == "2b"
    assert re.findall("part>(.)<", text) == ["2"]
    assert re.findall("pdfaid:conformance>(.)<", text) == ["B"]
    assert ("Producer" in text) == ("Producer" in said)
    assert read_back(source, target, "pdf")["pdfa"] == "2b"


@pytest.mark.parametrize("said", [claim(), claim(2), claim(3)])
def test_a_claim_that_is_not_known_to_be_true_is_taken_out(tmp_path: Path, said: str) -> None:
    """What the scanner claimed is not ours to repeat."""

    def change(made: pikepdf.Pdf) -> None:
        metadata(said)(made)
        says(Interpolate=True)(made)

    source, target, reply = sealed(tmp_path, pdf(change=change))

    assert reply["pdfa"] == "not claimed: image"
    assert reply["findings"] == ("pdfa-not-claimed",)
    assert "part>" not in held_metadata(target)
    assert "conformance>" not in held_metadata(target)
    assert read_back(source, target, "pdf")["pdfa"] == ""


@pytest.mark.parametrize(
    "said",
    [
        "<dc:title>A</dc:title>",
        "<xmp:CreateDate>22.11.2026</xmp:CreateDate>",
        "<xmp:CreateDate>2026-11-22T10:00:00</xmp:CreateDate>",
        "<pdf:Wonder>1</pdf:Wonder>",
        GOOD + GOOD,
        "<pdf:Producer><rdf:Bag/></pdf:Producer>",
        "<dc:creator><rdf:Bag><rdf:li>B</rdf:li></rdf:Bag></dc:creator>",
        GOOD + "text",
        (
            '<e:schemas xmlns:e="http://www.aiim.org/pdfa/ns/extension/"><rdf:Bag><rdf:li/></rdf:Bag>'
            "</e:schemas>"
        ),
        '<pdfaid:x xmlns:pdfaid="urn:other"/>',
    ],
)
def test_a_property_that_nobody_knows_is_kept_without_a_claim(tmp_path: Path, said: str) -> None:
    """6.6.2.3.1: of a known schema and of its type, or there is no claim."""
    _, target, reply = sealed(tmp_path, pdf(change=metadata(claim() + said)))

    assert reply["pdfa"] == "not claimed: metadata"
    assert "part>" not in held_metadata(target)


def held_metadata(path: Path) -> str:
    with pikepdf.open(path) as made:
        held = made.Root.Metadata
        assert isinstance(held, Stream)
        assert "/Filter" not in held
        return held.read_raw_bytes().decode()


@pytest.mark.parametrize(("wanted", "allowed"), [("2b", set()), ("3b", {"embedded-files"})])
def test_what_is_written_breaks_no_rule_itself(
    tmp_path: Path, wanted: str, allowed: set[str]
) -> None:
    """Seal, field, intent and note: checked as if the file had come in (an attachment is A-3's)."""
    for change in (FITS["a scan"], FITS["its own intent"], FITS["a widget with a look"]):
        _, target, reply = prepared(tmp_path, pdf(2, change=change), pdfa=wanted)
        with pikepdf.open(target) as made:
            assert pdfa.broken_by(made) == allowed
            assert len(made.Root.OutputIntents) == 1
            assert (intent.is_ours(made.Root.OutputIntents)) == (
                change is not FITS["its own intent"]
            )
        assert reply["pdfa"] == wanted


def test_a_profile_that_wants_none_gets_none(tmp_path: Path) -> None:
    """No claim, no intent, no finding; the claim that a scan brought is gone, too."""
    source, target, reply = sealed(tmp_path, pdf(change=metadata(claim())), pdfa="none")

    assert (reply["pdfa"], reply["findings"]) == ("not wanted", ())
    assert "part>" not in held_metadata(target)
    assert b"OutputIntents" not in target.read_bytes()
    assert read_back(source, target, "pdf")["pdfa"] == ""


def test_a_file_of_the_scan_stays_and_leaves_no_room_for_ours(tmp_path: Path) -> None:
    """PDF/A-2 allows none; of A-3 nobody has looked at what this one is."""
    policies = {"pdf-embedded-file": "accept"}
    scan = pdf(change=attachment)

    source, target, reply = sealed(tmp_path, scan, policies=policies, pdfa="3b")

    assert reply["pdfa"] == "not claimed: embedded-files"
    assert b"transfernote.xml" not in target.read_bytes()
    assert read_back(source, target, "pdf")["pdfa"] == ""


def test_names_that_a_scan_brought_stay_beside_the_attached_note(tmp_path: Path) -> None:
    """The tree of files is one of many names of a document."""

    def change(made: pikepdf.Pdf) -> None:
        made.Root.Names = made.make_indirect(
            Dictionary(Dests=Dictionary(Names=Array([String("a"), made.pages[0].obj])))
        )

    source, target, reply = sealed(tmp_path, pdf(change=change), pdfa="3b")
    other, _, _ = sealed(tmp_path, pdf(), pdfa="3b")

    with pikepdf.open(target) as made:
        assert set(made.Root.Names.keys()) == {"/Dests", "/EmbeddedFiles"}
    assert (reply["pdfa"], read_back(source, target, "pdf")["pdfa"]) == ("3b", "3b")
    assert samples.differs(other, target, "pdf") == "pages-differ"
