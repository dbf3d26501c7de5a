"""PDFs of the kinds that scanners, their software and other people's tools write.

Each is small and valid, unless its name says what is forbidden about it. The same
call gives the same bytes with the same pikepdf and Pillow.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any, Final, Literal

import pikepdf
from pikepdf import Array, Dictionary, Name, String

from contrib.demo import scans
from tests.fuzz.images import g4_strip, srgb
from tests.unit.pages_samples import PAGE, SIZE, add_form, drawn, encoded, handmade, jpeg, pdf

WIDTH, HEIGHT = SIZE
SHOWN: Final = b"q %d 0 0 %d 0 0 cm /Im0 Do Q" % SIZE
INLINE: Final = (
    b"q 60 0 0 84 0 0 cm\nBI /W 8 /H 8 /BPC 1 /CS /G ID \xaa\x55\xaa\x55\xaa\x55\xaa\x55 EI\nQ"
)
TEXT: Final = b"BT /F1 9 Tf 5 40 Td (Stadt Musterstadt) Tj ET"


def stream(entries: bytes, data: bytes) -> bytes:
    """Return the source of a stream."""
    return b"<< %b /Length %d >>\nstream\n%b\nendstream" % (entries, len(data), data)


def around(entries: bytes, data: bytes, **more: bytes) -> bytes:
    """Return a PDF of one page that shows one image, with *more* in its places."""
    page = (
        b"<< /Type /Page /Parent 2 0 R /MediaBox [ 0 0 %d %d ] /Contents 4 0 R"
        b" /Resources << /XObject << /Im0 5 0 R >> >> %b >>" % (*SIZE, more.get("page", b""))
    )
    image = b"/Type /XObject /Subtype /Image /Width %d /Height %d %b" % (*SIZE, entries)
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R %b >>" % more.get("catalog", b""),
        2: b"<< /Type /Pages /Count 1 /Kids [ 3 0 R ] >>",
        3: page,
        4: stream(b"", more.get("content", SHOWN)),
        5: stream(image, data),
    }
    if "also" in more:
        objects[6] = more["also"]
    return handmade(objects)


def rgb() -> bytes:
    """Return the samples of a colour page."""
    return drawn("RGB").tobytes()


def jbig2(*, symbols: bool = False) -> bytes:
    """Return the segments of a page of JBIG2: one generic region coded as fax (MMR)."""

    def segment(number: int, kind: int, data: bytes) -> bytes:
        return struct.pack(">IBBBI", number, kind, 0, 1, len(data)) + data

    page = struct.pack(">IIIIBH", *SIZE, 0, 0, 0, 0)
    region = struct.pack(">IIIIB", *SIZE, 0, 0, 0) + b"\x01" + g4_strip()
    dictionary = b"\0\0" + bytes((3, 255, 253, 255, 2, 254, 254, 254)) + bytes(8) + b"\xff\xac"
    return b"".join((
        segment(0, 48, page),
        segment(1, 0, dictionary) if symbols else b"",
        segment(2, 38, region),
    ))  # fmt: skip


def wrapped(filters: bytes, data: bytes, space: bytes = b"/DeviceRGB", bits: int = 8) -> bytes:
    """Return a PDF around image *data* that is coded by *filters*."""
    return around(b"/ColorSpace %b /BitsPerComponent %d /Filter %b" % (space, bits, filters), data)


def flate(*, predictor: bool = False) -> bytes:
    """Return a colour page packed by Flate, with PNG's predictors or without."""
    if not predictor:
        return wrapped(b"/FlateDecode", zlib.compress(rgb()))
    rows = [rgb()[at : at + 3 * WIDTH] for at in range(0, 3 * WIDTH * HEIGHT, 3 * WIDTH)]
    packed = zlib.compress(b"".join(b"\1" + _left(row) for row in rows))
    parameters = b"<< /Predictor 15 /Colors 3 /BitsPerComponent 8 /Columns %d >>" % WIDTH
    return wrapped(b"/FlateDecode /DecodeParms " + parameters, packed)


def _left(row: bytes) -> bytes:
    """Return a row as differences to the pixel at its left: PNG's filter 1."""
    return row[:3] + bytes((row[at] - row[at - 3]) % 256 for at in range(3, len(row)))


def run_lengths(data: bytes) -> bytes:
    """Return *data* as the simplest RunLengthDecode there is."""
    pieces = [data[at : at + 128] for at in range(0, len(data), 128)]
    return b"".join(bytes((len(piece) - 1,)) + piece for piece in pieces) + b"\x80"


def masked() -> bytes:
    """Return a page whose image has a soft mask."""
    mask = stream(
        b"/Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray"
        b" /BitsPerComponent 8 /Filter /FlateDecode" % SIZE,
        zlib.compress(bytes(range(WIDTH)) * HEIGHT),
    )
    return around(
        b"/ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /FlateDecode /SMask 6 0 R",
        zlib.compress(rgb()),
        also=mask,
    )


def with_profile() -> bytes:
    """Return a page whose image has a colour profile."""
    return around(
        b"/ColorSpace [ /ICCBased 6 0 R ] /BitsPerComponent 8 /Filter /DCTDecode",
        jpeg(),
        also=stream(b"/N 3", srgb()),
    )


def revised(base: bytes, objects: dict[int, bytes], highest: int) -> bytes:
    """Return *base* with one more revision that brings *objects*."""
    out, lines = base, b""
    for number, source in sorted(objects.items()):
        lines += b"%d 1\n%010d 00000 n \n" % (number, len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, source)
    before = int(base.rpartition(b"startxref\n")[2].split()[0])
    return out + (
        b"xref\n%btrailer << /Size %d /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n"
        % (lines, highest + 1, before, len(out))
    )


def updated() -> bytes:
    """Return a page whose content was changed by two later revisions."""
    once = revised(
        around(b"/ColorSpace /DeviceRGB /BitsPerComponent 8", rgb()), {4: stream(b"", b"")}, 5
    )
    return revised(once, {4: stream(b"", SHOWN), 6: b"<< /Note (again) >>"}, 6)


def hybrid() -> bytes:
    """Return a PDF with a table for old readers and a stream that holds more, hidden from them."""
    plain = around(b"/ColorSpace /DeviceGray /BitsPerComponent 8", drawn("L").tobytes())
    out = plain[: plain.rindex(b"xref\n0 ")]
    held = b"6 0 << /Hidden (object) >>"
    inner = len(out)
    out += b"7 0 obj\n%b\nendobj\n" % stream(b"/Type /ObjStm /N 1 /First 4", held)
    table = len(out)
    entries = b"".join(
        struct.pack(">BHB", *line) for line in ((2, 7, 0), (1, inner, 0), (1, table, 0))
    )
    out += b"8 0 obj\n%b\nendobj\n" % stream(
        b"/Type /XRef /Size 9 /W [ 1 2 1 ] /Index [ 6 3 ] /Root 1 0 R", entries
    )
    offsets = [out.index(b"\n%d 0 obj" % number) + 1 for number in range(1, 6)]
    last = len(out)
    lines = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + (
        b"xref\n0 6\n0000000000 65535 f \n%btrailer << /Size 9 /Root 1 0 R /XRefStm %d"
        b" /Info 6 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (lines, table, last)
    )


def tree() -> bytes:
    """Return four pages in a tree of three levels, whose box and resources are inherited."""
    leaf = b"<< /Type /Page /Parent %d 0 R /Contents 9 0 R >>"
    branch = b"<< /Type /Pages /Parent %d 0 R /Count %d /Kids [ %b ] %b >>"
    font = b"<< /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
    return handmade({
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: b"<< /Type /Pages /Count 4 /Kids [ 3 0 R 4 0 R ] /MediaBox [ 0 0 90 90 ] >>",
        3: branch % (2, 2, b"5 0 R 6 0 R", b"/Resources " + font),
        4: branch % (2, 2, b"7 0 R 8 0 R", b"/Rotate 90 /CropBox [ 5 5 85 85 ] /Resources " + font),
        5: leaf % 3,
        6: leaf % 3,
        7: leaf % 4,
        8: leaf % 4,
        9: stream(b"", TEXT),
    })  # fmt: skip


def book(made: pikepdf.Pdf) -> None:
    """Give a document what capture software adds: outlines, labels, a language, metadata."""
    with made.open_outline() as outline:
        for number in range(len(made.pages)):
            outline.root.append(pikepdf.OutlineItem(f"Blatt {number + 1}", number))
    made.Root.PageLabels = Dictionary(Nums=Array([0, Dictionary(S=Name.r)]))
    made.Root.Lang = String("de-DE")
    made.Root.Metadata = made.make_stream(
        b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description'
        b' rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:format>application/pdf'
        b"</dc:format></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end='w'?>",
        Type=Name.Metadata,
        Subtype=Name.XML,
    )
    made.docinfo["/Title"] = "Bescheid"


def layered(made: pikepdf.Pdf) -> None:
    """Give each page a form object, optional content, a crop box and its own unit."""
    group = made.make_indirect(Dictionary(Type=Name.OCG, Name=String("Stempel")))
    made.Root.OCProperties = Dictionary(
        OCGs=Array([group]), D=Dictionary(Order=Array([group]), ON=Array([group]))
    )
    for page in made.pages:
        stamp = made.make_stream(
            b"1 0 0 RG 5 5 20 10 re S",
            Type=Name.XObject,
            Subtype=Name.Form,
            BBox=[0, 0, 60, 84],
            Resources=Dictionary(),
            OC=group,
        )
        page.obj.Resources.XObject.Stamp = stamp
        page.obj.Contents = Array([page.obj.Contents, made.make_stream(b"\n/Stamp Do")])
        page.obj.CropBox = Array([2, 2, 58, 80])
        page.obj.UserUnit = 2


def turned(made: pikepdf.Pdf) -> None:
    """Turn the pages, each otherwise."""
    for number, page in enumerate(made.pages):
        page.obj.Rotate = (90, 180, -90, 450)[number % 4]


def _dangerous(change: Callable[[pikepdf.Pdf], object]) -> Callable[[], bytes]:
    return lambda: pdf(change=change)


def _set(key: str, value: Any) -> Callable[[pikepdf.Pdf], object]:
    def change(made: pikepdf.Pdf) -> None:
        made.Root[key] = value

    return change


def _external(made: pikepdf.Pdf) -> None:
    made.Root.Extra = made.make_stream(b"", F=Dictionary(F=String("other.bin"), Type=Name.Filespec))


def _attached(made: pikepdf.Pdf) -> None:
    made.attachments["a.txt"] = b"attached"


def _signed(made: pikepdf.Pdf) -> None:
    signature = Dictionary(Type=Name.Sig, Filter=Name("/Adobe.PPKLite"), Contents=b"\0" * 8)
    field = made.make_indirect(Dictionary(FT=Name.Sig, T=String("Old"), V=signature))
    made.Root.AcroForm = Dictionary(Fields=Array([field]), SigFlags=3)


def encrypted(password: str, revision: Literal[3, 4] = 3) -> bytes:
    """Return a page that is encrypted by RC4, whose bytes are the same each time."""
    how = pikepdf.Encryption(owner="o", user=password, R=revision, aes=False, metadata=False)
    return pdf(encryption=how)


def letters() -> bytes:
    """Return two small letters as `make demo` draws them."""
    return scans.pdf_of([scans.jpeg_page(number, dpi=60) for number in (1, 2)])


def fax(compression: str, parameters: bytes) -> bytes:
    """Return a page of fax data."""
    columns = b"/Columns %d /Rows %d" % SIZE
    return wrapped(
        b"/CCITTFaxDecode /DecodeParms << %b %b >>" % (parameters, columns),
        g4_strip(compression),
        b"/DeviceGray",
        1,
    )


OBJECT_STREAMS: Final = {"object_stream_mode": pikepdf.ObjectStreamMode.generate}

PDFS: Final[dict[str, Callable[[], bytes]]] = {
    "pdf-plain": pdf,
    "pdf-pages": lambda: pdf(5),
    "pdf-letters": letters,
    "pdf-linearised": lambda: pdf(3, linearize=True),
    "pdf-object-streams": lambda: pdf(3, **OBJECT_STREAMS),
    "pdf-packed": lambda: pdf(2, change=book, compress_streams=True, **OBJECT_STREAMS),
    "pdf-both": lambda: pdf(3, linearize=True, **OBJECT_STREAMS),
    "pdf-hybrid": hybrid,
    "pdf-updated": updated,
    "pdf-2.0": lambda: pdf(force_version="2.0"),
    "pdf-1.0": lambda: pdf(force_version="1.0"),
    "pdf-qdf": lambda: pdf(2, change=add_form, qdf=True),
    "pdf-late-header": lambda: b"\x1b%-12345X@PJL\r\n" + handmade(PAGE),
    "pdf-form": lambda: pdf(3, change=add_form),
    "pdf-book": lambda: pdf(4, change=book),
    "pdf-layers": lambda: pdf(2, change=layered),
    "pdf-turned": lambda: pdf(4, change=turned),
    "pdf-tree": tree,
    "pdf-empty-page": lambda: handmade(PAGE),
    "pdf-flate": flate,
    "pdf-predictor": lambda: flate(predictor=True),
    "pdf-run-length": lambda: wrapped(b"/RunLengthDecode", run_lengths(rgb())),
    "pdf-hex": lambda: wrapped(b"/ASCIIHexDecode", rgb().hex().encode() + b">"),
    "pdf-two-filters": lambda: wrapped(
        b"[ /ASCIIHexDecode /FlateDecode ]", zlib.compress(rgb()).hex().encode() + b">"
    ),
    "pdf-raw": lambda: around(b"/ColorSpace /DeviceRGB /BitsPerComponent 8", rgb()),
    "pdf-indexed": lambda: wrapped(
        b"/FlateDecode",
        zlib.compress(drawn("P").tobytes()),
        b"[ /Indexed /DeviceRGB 8 <%b> ]" % (bytes(range(27)).hex().encode()),
    ),
    "pdf-mask": masked,
    "pdf-stencil": lambda: around(b"/ImageMask true /BitsPerComponent 1", drawn("1").tobytes()),
    "pdf-inline": lambda: around(b"/ColorSpace /DeviceRGB /BitsPerComponent 8", rgb(), content=INLINE),
    "pdf-icc": with_profile,
    "pdf-cmyk": lambda: wrapped(b"/DCTDecode /Decode [1 0 1 0 1 0 1 0]", jpeg("CMYK"), b"/DeviceCMYK"),
    "pdf-g4": lambda: fax("group4", b"/K -1"),
    "pdf-g3": lambda: fax("group3", b"/K 0 /EndOfBlock false"),
    "pdf-jbig2": lambda: wrapped(b"/JBIG2Decode", jbig2(), b"/DeviceGray", 1),
    "pdf-jbig2-symbols": lambda: wrapped(b"/JBIG2Decode", jbig2(symbols=True), b"/DeviceGray", 1),
    "pdf-jpx": lambda: around(
        b"/Filter /JPXDecode", encoded(drawn(), "JPEG2000", no_jp2=False, irreversible=False)
    ),
    "pdf-javascript": _dangerous(
        _set("/OpenAction", Dictionary(S=Name.JavaScript, JS=String("app.alert(1)")))
    ),
    "pdf-launch": _dangerous(_set("/OpenAction", Dictionary(S=Name.Launch, F=String("a.exe")))),
    "pdf-xfa": _dangerous(_set("/AcroForm", Dictionary(Fields=Array(), XFA=String("<x/>")))),
    "pdf-external": _dangerous(_external),
    "pdf-attached": _dangerous(_attached),
    "pdf-signed": _dangerous(_signed),
    "pdf-locked": lambda: encrypted("secret"),
    "pdf-unlocked": lambda: encrypted(""),
    "pdf-unlocked-filters": lambda: encrypted("", 4),
}  # fmt: skip
