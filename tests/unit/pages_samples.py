"""Small scans for the tests of the page worker, and the worker's tasks as one calls them."""

from __future__ import annotations

import io
import itertools
import warnings
from typing import TYPE_CHECKING, Any

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name
from PIL import Image, ImageDraw, TiffImagePlugin

from daemon import prepare, transfernote
from daemon.document import utc_time
from daemon.errors import PermanentError
from daemon.pages.signature import EmptySignature

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIZE = (60, 84)
NOTE = transfernote.TransferNote(
    document="019aa9b4-0000-7000-8000-000000000001",
    box="marktamt-01",
    box_id="5b1d",
    organisation="Stadt Musterstadt, Marktamt",
    creator="K 17",
    creator_source="hotfolder",
    procedure="Scankonzept 1.4",
    daemon="Scanseal 0.1.0",
    device="hot folder post",
    hsm="SoftHSM v2, 2.6, 0123",
    certificate="O=Stadt Musterstadt, serial 5",
    captured_at="2026-11-22T10:00:00.000Z",
    claimed_at="2026-11-22T10:00:20.000Z",
    sealed_at="2026-11-22T10:00:21.500Z",
    clock="host",
    original_sha256="ab" * 32,
    original_size=1234,
    original_kind="pdf",
    ledger_hash="cd" * 32,
)
SEALED_AT = utc_time(NOTE.sealed_at)
G4: dict[str, Any] = {"compression": "group4"}
CMS = b"\x30\x82" + bytes(range(200))
_names = itertools.count()


def drawn(mode: str = "RGB", size: tuple[int, int] = SIZE, text: str = "Scan") -> Image.Image:
    """Draw a page that looks different from every side."""
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((4, 4, 24, 14), fill=(200, 30, 30))
    draw.ellipse((24, 50, 55, 80), fill=(20, 60, 200))
    draw.line((0, 0, 30, 83), fill=(0, 150, 0), width=3)
    draw.text((8, 28), text, fill="black")
    if mode == "1":
        return image.convert("L").point([0] * 128 + [255] * 128, "1")
    if mode == "P":
        return image.quantize(9)
    if mode in {"RGBA", "LA"}:
        image = image.convert(mode[:-1])
        image.putalpha(Image.linear_gradient("L").resize(size))
        return image
    if mode == "I;16":
        wide = Image.new("I", size)
        wide.putdata([value * 200 + 7 for value in image.convert("L").tobytes()])
        return wide.convert("I;16")
    return image.convert(mode)


def jpeg(mode: str = "RGB", text: str = "Scan", **options: Any) -> bytes:
    """Return a page as JPEG."""
    return encoded(drawn(mode, text=text), "JPEG", **{"dpi": (72, 72), "quality": 90, **options})


def png(mode: str = "RGB", **options: Any) -> bytes:
    """Return a page as PNG."""
    return encoded(drawn(mode), "PNG", **{"dpi": (72, 72), **options})


def tiff(
    *images: Image.Image, tags: dict[int, Any] | None = None, one_strip: bool = True, **options: Any
) -> bytes:
    """Return pages as TIFF, each in one strip unless told otherwise."""
    info = TiffImagePlugin.ImageFileDirectory_v2()
    if one_strip:
        info[278] = images[0].height
    for tag, value in (tags or {}).items():
        info[tag] = value
    more = {"save_all": True, "append_images": images[1:]} if len(images) > 1 else {}
    return encoded(images[0], "TIFF", **{"dpi": (72, 72), "tiffinfo": info, **more, **options})


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return *image* as a file of this kind."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def exif(orientation: int) -> Image.Exif:
    """Return an Exif block that says nothing but the orientation."""
    block = Image.Exif()
    block[0x0112] = orientation
    return block


def pdf(
    pages: int = 1, *, change: Callable[[pikepdf.Pdf], object] | None = None, **options: Any
) -> bytes:
    """Return a PDF as scanners write it, one JPEG to a page, after *change* was made to it."""
    with pikepdf.new() as made:
        for number in range(pages):
            page = made.add_blank_page(page_size=SIZE)
            image = made.make_stream(
                jpeg(text=f"P{number}"),
                Type=Name.XObject,
                Subtype=Name.Image,
                Width=SIZE[0],
                Height=SIZE[1],
                ColorSpace=Name.DeviceRGB,
                BitsPerComponent=8,
                Filter=Name.DCTDecode,
            )
            page.obj.Resources = Dictionary(XObject=Dictionary(Im0=image))
            page.obj.Contents = made.make_stream(b"q %d 0 0 %d 0 0 cm /Im0 Do Q" % SIZE)
        if change is not None:
            change(made)
        out = io.BytesIO()
        keep: dict[str, Any] = {
            "compress_streams": False,
            "static_id": True,
            "preserve_pdfa": False,
            "fix_metadata_version": False,
        }
        with warnings.catch_warnings():
            # pikepdf warns of what a scan can bring as well: a widget that is in no form.
            warnings.simplefilter("ignore", pikepdf.PageCopyWarning)
            made.save(out, **(keep | options))
    return out.getvalue()


def add_form(made: pikepdf.Pdf) -> None:
    """Give the first page a text field that has our field's name, and a link to the last page."""
    page = made.pages[0].obj
    box = made.make_indirect(
        Dictionary(
            Type=Name.Annot,
            Subtype=Name.Widget,
            FT=Name.Tx,
            T=pikepdf.String("Seal"),
            V=pikepdf.String("42"),
            Rect=[1, 1, 9, 9],
            P=page,
        )
    )
    link = Dictionary(
        Type=Name.Annot,
        Subtype=Name.Link,
        Rect=[2, 2, 3, 3],
        Dest=Array([made.pages[-1].obj, Name.Fit]),
    )
    # One array for all pages: what is added to the first must not appear on the others.
    shared = made.make_indirect(Array([box, link]))
    for each in made.pages:
        each.obj.Annots = shared
    made.Root.AcroForm = Dictionary(Fields=Array([box]), NeedAppearances=True)


def handmade(objects: dict[int, bytes], trailer: bytes = b"") -> bytes:
    """Return a PDF of exactly these objects, with a right table; object 1 is the catalog."""
    out, offsets = b"%PDF-1.5\n", {}
    for number, source in objects.items():
        offsets[number] = len(out)
        out += b"%d 0 obj\n%b\nendobj\n" % (number, source)
    last = max(objects) + 1
    lines = b"".join(b"%010d 00000 n \n" % offsets[number] for number in range(1, last))
    return out + (
        b"xref\n0 %d\n0000000000 65535 f \n%btrailer << /Size %d /Root 1 0 R %b >>\n"
        b"startxref\n%d\n%%%%EOF\n" % (last, lines, last, trailer, len(out))
    )


PAGE = {
    1: b"<< /Type /Catalog /Pages 2 0 R >>",
    2: b"<< /Type /Pages /Count 1 /Kids [ 3 0 R ] >>",
    3: b"<< /Type /Page /Parent 2 0 R /MediaBox [ 0 0 9 9 ] /Resources << >> >>",
}


def prepared(folder: Path, scan: bytes, **changes: Any) -> tuple[Path, Path, dict[str, Any]]:
    """Write *scan* to a file and prepare it; return original, prepared file, and the reply."""
    number = next(_names)
    source, target = folder / f"{number}.original", folder / f"{number}.prepared"
    source.write_bytes(scan)
    reply = prepare.prepare(request(source, target, **changes))
    return source, target, reply


def request(source: Path, target: Path, **changes: Any) -> dict[str, Any]:
    """Return the argument of the task `prepare`."""
    return {
        "source": str(source),
        "target": str(target),
        "max_pages": 20,
        "max_pixels": 1_000_000,
        "max_nesting": 200,
        "policies": {},
        "min_dpi": 0,
        "colour": "any",
        "announced": 0,
        "pdfa": "2b",
        "reserve": 1024,
        "permissions": 1,
        "note": transfernote.as_json(NOTE),
        "name": "Stadt Musterstadt, Bürgeramt",
        "reason": "Scankonzept 1.4",
    } | changes


def read_back(
    original: Path, sealed: Path, kind: str, max_pixels: int = 1_000_000
) -> dict[str, Any]:
    """Run the task `readback`."""
    return prepare.readback(
        {
            "sealed": str(sealed),
            "original": str(original),
            "kind": kind,
            "max_pixels": max_pixels,
        }
    )


def sealed(folder: Path, scan: bytes, **changes: Any) -> tuple[Path, Path, dict[str, Any]]:
    """Prepare *scan* and put something into the gap, as the main process does."""
    source, target, reply = prepared(folder, scan, **changes)
    room = reply["gap_end"] - reply["gap_start"] - 2
    with target.open("r+b") as file:
        file.seek(reply["gap_start"] + 1)
        file.write(CMS.hex().encode().ljust(room, b"0"))
    return source, target, reply


def differs(original: Path, candidate: Path, kind: str) -> str:
    """Return the code by which the read-back refuses the *candidate*, which it has to."""
    with pytest.raises(PermanentError) as caught:
        read_back(original, candidate, kind)
    return caught.value.code


def changed(target: Path, old: bytes, new: bytes) -> None:
    """Change the sealed file in place; its length stays, so its table stays right."""
    data = target.read_bytes()
    assert len(old) == len(new)
    assert data.count(old) >= 1
    target.write_bytes(data.replace(old, new))


def empty() -> EmptySignature:
    """Return a small empty signature."""
    return EmptySignature(reserve=64, permissions=1, sealed_at=SEALED_AT, name="n", reason="r")
