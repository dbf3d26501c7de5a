"""Findings about pages, as a whole document gets them: flags that change nothing."""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
import zlib
from typing import TYPE_CHECKING, Any

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name
from PIL import Image, ImageDraw

from daemon.document import Digest
from daemon.errors import Refused
from daemon.prepare import Prepared
from daemon.workers import Limits, Worker, typed
from tests.unit.pages_samples import drawn, encoded, prepared, read_back, request, sealed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SIZE = (420, 594)
"""A4 at 50.8 dots per inch."""
DPI = 50.8
BLANK = Image.new("L", SIZE, 244)
LETTER = drawn("L", SIZE)
ONE_BIT: dict[str, Any] = {"compression": "group4", "dpi": (300, 300)}


def initialled() -> Image.Image:
    """Return an empty sheet with one small mark."""
    sheet = BLANK.copy()
    ImageDraw.Draw(sheet).line((200, 500, 208, 490, 212, 502), fill=190)
    return sheet


def jpeg(image: Image.Image) -> bytes:
    return encoded(image, "JPEG", quality=60)


class Page:
    """One page of a PDF: images with their places, and whatever else is drawn."""

    def __init__(self, *images: Image.Image, more: bytes = b"", boxes: Iterable[str] = ()) -> None:
        self.images = images
        self.more = more or b" "
        self.boxes = [box.encode() for box in boxes] or [b"595 0 0 842 0 0"] * len(images)


def pdf(*pages: Page, title: str = "") -> bytes:
    """Return a PDF of these pages; another *title* is another file with the same pages."""
    with pikepdf.new() as made:
        for each in pages:
            page = made.add_blank_page(page_size=(595, 842))
            names = {}
            for number, image in enumerate(each.images):
                names[f"/I{number}"] = made.make_stream(
                    jpeg(image),
                    Type=Name.XObject,
                    Subtype=Name.Image,
                    Width=image.width,
                    Height=image.height,
                    ColorSpace=Name.DeviceRGB if image.mode == "RGB" else Name.DeviceGray,
                    BitsPerComponent=8,
                    Filter=Name.DCTDecode,
                )
            page.obj.Resources = Dictionary(XObject=Dictionary(names))
            page.obj.Contents = made.make_stream(
                b"".join(
                    b"q %b cm /I%d Do Q\n" % (box, number) for number, box in enumerate(each.boxes)
                )
                + each.more
            )
        if title:
            made.docinfo["/Title"] = title
        out = io.BytesIO()
        made.save(out)
        return out.getvalue()


def tiff(*images: Image.Image, **options: Any) -> bytes:
    return encoded(
        images[0], "TIFF", save_all=True, append_images=images[1:], **(ONE_BIT | options)
    )


def bits(image: Image.Image) -> Image.Image:
    return image.point([0] * 200 + [255] * 56, "1")


def found(folder: Path, scan: bytes, **changes: Any) -> tuple[str, ...]:
    """Prepare *scan*; return what was found on its pages."""
    _, _, reply = prepared(folder, scan, **changes)
    pages: tuple[str, ...] = reply["finding_pages"]
    assert {text.partition(":")[0] for text in pages} <= set(reply["findings"])
    return pages


def digest(folder: Path, scan: bytes, **changes: Any) -> str | None:
    """Return the digest of the page images of *scan*."""
    _, _, reply = prepared(folder, scan, **changes)
    made: str | None = reply["pages_digest"]
    return made


# -- blank ----------------------------------------------------------------------------------------

TEXT = b"BT 3 Tr (recognised) Tj ET"


def test_blank_pages_of_a_pdf_are_named_and_kept(tmp_path: Path) -> None:
    """Flags, never changes: the sealed file has every page, and each as it was (I11)."""
    scan = pdf(
        Page(LETTER),
        Page(BLANK),
        Page(initialled()),
        Page(BLANK, more=TEXT),
        Page(BLANK, more=b"0 0 9 9 re f"),
        Page(),
        Page(BLANK),
    )
    source, target, reply = sealed(tmp_path, scan)

    assert reply["finding_pages"] == ("page-blank:2,6-7",)
    assert reply["findings"] == ("page-blank",)
    assert read_back(source, target, "pdf")["images"] == 7


def test_a_page_of_strips_is_blank_if_all_of_them_are(tmp_path: Path) -> None:
    """Scanners write a page in pieces; initials are on one of them, or across two."""
    boxes = ["595 0 0 281 0 561", "595 0 0 281 0 280", "595 0 0 280 0 0"]

    def strips(sheet: Image.Image) -> Page:
        cuts = [sheet.crop((0, top, 420, top + 198)) for top in (0, 198, 396)]
        return Page(*cuts, boxes=boxes)

    black = BLANK.copy()
    black.paste(10, (0, 396, 420, 594))
    scan = pdf(strips(BLANK), strips(initialled()), strips(black))

    assert found(tmp_path, scan) == ("page-blank:1",)


def test_blank_pages_of_wrapped_images_are_named(tmp_path: Path) -> None:
    """Each kind, with the page that it is on."""
    fax = tiff(bits(LETTER), bits(BLANK), bits(initialled()), bits(BLANK))
    assert found(tmp_path, fax) == ("page-blank:2,4",)
    for code in ("JPEG", "PNG"):
        assert found(tmp_path, encoded(BLANK, code, dpi=(51, 51))) == ("page-blank:1",)
        assert found(tmp_path, encoded(initialled(), code, dpi=(51, 51))) == ()
    lzw = tiff(LETTER.copy(), BLANK.copy(), compression="tiff_lzw", dpi=(51, 51))
    pages = found(tmp_path, lzw)
    assert "page-blank:2" in pages


def test_a_transparent_page_is_not_called_blank(tmp_path: Path) -> None:
    """One tone, and a mask that lets through what it likes."""
    sheet = BLANK.copy()
    sheet.putalpha(Image.linear_gradient("L").resize(SIZE))

    assert found(tmp_path, encoded(sheet, "PNG", dpi=(300, 300))) == ("transcoded:1",)


# -- resolution -----------------------------------------------------------------------------------


def test_pages_below_the_profiles_resolution_are_named(tmp_path: Path) -> None:
    """By the size of the image and the place that it fills."""
    half = "297.5 0 0 421 0 0"
    scan = pdf(Page(LETTER), Page(LETTER, boxes=[half]), Page(LETTER, more=b"0 0 9 9 re f"))

    assert found(tmp_path, scan, min_dpi=100) == ("resolution-low:1",)
    assert found(tmp_path, scan, min_dpi=102) == ("resolution-low:1",)  # 101.6: rounding
    assert found(tmp_path, scan, min_dpi=105) == ("resolution-low:1-2",)
    assert found(tmp_path, scan, min_dpi=0) == ()


def test_the_coarser_side_counts_and_a_turned_page_has_the_same(tmp_path: Path) -> None:
    """A fax has 204 dots across and 98 lines down."""
    for box in ("297.5 0 0 842 0 0", "0 297.5 842 0 0 0"):
        assert found(tmp_path, pdf(Page(LETTER, boxes=[box])), min_dpi=60) == ("resolution-low:1",)


def test_of_a_scan_in_layers_the_finest_one_counts(tmp_path: Path) -> None:
    """A coarse background under sharp letters is no coarse page; a sharp logo on a coarse one is."""
    coarse = LETTER.resize((105, 148))
    layers = Page(coarse, LETTER)
    logo = Page(coarse, LETTER.resize((100, 100)), boxes=["595 0 0 842 0 0", "60 0 0 60 10 10"])

    assert found(tmp_path, pdf(layers, logo), min_dpi=50) == ("resolution-low:2",)


def test_the_resolution_of_an_image_is_what_it_says(tmp_path: Path) -> None:
    """One that says nothing has none that anybody could know."""
    assert found(tmp_path, tiff(bits(LETTER), dpi=(200, 200)), min_dpi=300) == ("resolution-low:1",)
    assert found(tmp_path, tiff(bits(LETTER), dpi=(300, 200)), min_dpi=300) == ("resolution-low:1",)
    assert found(tmp_path, tiff(bits(LETTER)), min_dpi=300) == ()
    assert found(tmp_path, jpeg(LETTER), min_dpi=300) == ("resolution-unknown:1",)


# -- black and white ------------------------------------------------------------------------------


def test_pages_of_black_and_white_are_named_where_colour_is_wanted(tmp_path: Path) -> None:
    """One bit per pixel; grey keeps a stamp's strength, and is not meant."""
    fax = tiff(bits(LETTER), bits(LETTER))

    assert found(tmp_path, fax, colour="wanted") == ("black-and-white:1-2",)
    assert found(tmp_path, fax, colour="any") == ()
    assert found(tmp_path, pdf(Page(LETTER)), colour="wanted") == ()
    png = encoded(bits(LETTER), "PNG", dpi=(300, 300))
    assert found(tmp_path, png, colour="wanted") == ("black-and-white:1",)


def test_two_colours_are_not_black_and_white(tmp_path: Path) -> None:
    """A palette of one bit may hold any two."""
    two = LETTER.quantize(2)
    for palette, pages in ((bytes(3) + b"\xff" * 3, 1), (b"\xff\0\0\xff\xff\xff", 0)):
        two.putpalette(palette)
        png = encoded(two, "PNG", dpi=(300, 300), bits=1)
        assert len(found(tmp_path, png, colour="wanted")) == pages


# -- the number of pages -----------------------------------------------------------------------------


@pytest.mark.parametrize(("announced", "differs"), [(0, False), (2, False), (3, True), (1, True)])
def test_another_number_of_pages_than_announced_is_a_finding(
    tmp_path: Path, announced: int, differs: bool
) -> None:
    """Whoever counted the sheets beforehand finds out that one is missing."""
    for scan in (pdf(Page(LETTER), Page(LETTER)), tiff(bits(LETTER), bits(LETTER))):
        _, _, reply = prepared(tmp_path, scan, announced=announced)
        assert ("pages-differ-from-announced" in reply["findings"]) is differs


# -- the same pages again ----------------------------------------------------------------------------


def test_the_same_page_images_in_another_file_have_the_same_digest(tmp_path: Path) -> None:
    """The scanner sends its job again: another date in the file, and nothing else."""
    one = digest(tmp_path, pdf(Page(LETTER), Page(initialled())))

    assert one is not None
    Digest(one)
    assert digest(tmp_path, pdf(Page(LETTER), Page(initialled()), title="again")) == one
    layer = pdf(Page(LETTER, more=TEXT), Page(initialled()))
    assert digest(tmp_path, layer) == one
    others = (
        pdf(Page(initialled()), Page(LETTER)),
        pdf(Page(LETTER)),
        pdf(Page(LETTER, initialled())),
        pdf(Page(LETTER), Page(initialled()), Page()),
    )
    assert one not in {digest(tmp_path, other) for other in others}


def test_a_carried_image_has_the_same_digest_in_any_container(tmp_path: Path) -> None:
    """The JPEG itself, and a PDF around it."""
    assert digest(tmp_path, jpeg(LETTER)) == digest(tmp_path, pdf(Page(LETTER)))


def test_samples_that_are_coded_anew_count_by_themselves(tmp_path: Path) -> None:
    """How well they were packed says nothing about the page; their mask belongs to them."""
    sheet = drawn("RGBA")
    files = [encoded(sheet, "PNG", compress_level=level) for level in (1, 9)]
    assert files[0] != files[1]
    once, again = (digest(tmp_path, file) for file in files)
    other = sheet.copy()
    other.putalpha(77)

    assert once == again is not None
    samples = hashlib.sha256(sheet.convert("RGB").tobytes()).hexdigest()
    mask = hashlib.sha256(sheet.getchannel("A").tobytes()).hexdigest()
    lines = f"page\n{sheet.width} {sheet.height} {samples} {mask}\n"
    assert once == hashlib.sha256(lines.encode()).hexdigest()
    assert digest(tmp_path, encoded(other, "PNG")) != once


@pytest.mark.parametrize(
    "scan",
    [
        pytest.param(pdf(Page(LETTER, more=b"BT (x) Tj ET")), id="text"),
        pytest.param(pdf(Page(LETTER), Page(LETTER, more=b"0 0 9 9 re f")), id="drawing"),
        pytest.param(pdf(Page(BLANK), Page(BLANK)), id="blank pages"),
        pytest.param(pdf(Page()), id="nothing"),
        pytest.param(pdf(Page(more=TEXT)), id="no images"),
    ],
)
def test_what_cannot_be_compared_has_no_digest(tmp_path: Path, scan: bytes) -> None:
    """A form letter has the same images each time, and an empty sheet is like any other."""
    assert digest(tmp_path, scan) is None


# -- where they stand, and what they cost -----------------------------------------------------------


def test_the_note_in_the_file_names_the_pages(tmp_path: Path) -> None:
    """XMP, as every reader of the file sees it."""
    _, target, _ = prepared(tmp_path, pdf(Page(BLANK), Page(LETTER), Page(BLANK)), min_dpi=300)

    with pikepdf.open(target) as file:
        packet = file.Root.Metadata.read_bytes().decode()
    said = re.search(r"<scanseal:finding_pages>(.*)</scanseal:finding_pages>", packet)
    assert said is not None
    assert said[1] == "page-blank:1,3 resolution-low:1-3"


def test_looking_takes_no_more_than_half_of_the_time_that_there_is(tmp_path: Path) -> None:
    """Kilobytes that become a hundred large pages: they are sealed, the last ones unjudged."""
    size = (4000, 4000)
    packed = zlib.compress(bytes(size[0] * size[1]), 1)
    with pikepdf.new() as made:
        for _ in range(100):
            page = made.add_blank_page(page_size=(595, 842))
            image = made.make_stream(
                packed,
                Type=Name.XObject,
                Subtype=Name.Image,
                Width=size[0],
                Height=size[1],
                ColorSpace=Name.DeviceGray,
                BitsPerComponent=8,
                Filter=Name.FlateDecode,
            )
            page.obj.Resources = Dictionary(XObject=Dictionary(I=image))
            page.obj.Contents = made.make_stream(b"595 0 0 842 0 0 cm /I Do")
        made.save(tmp_path / "scan.original")

    async def scenario() -> Prepared:
        worker = Worker("daemon.prepare", place=tmp_path, limits=Limits(memory_mb=1024))
        argument = request(tmp_path / "scan.original", tmp_path / "out") | {
            "max_pages": 100,
            "max_pixels": 250_000_000,
        }
        try:
            reply = await worker.call("prepare", argument, seconds=100, cpu_seconds=1)
        finally:
            await worker.stop()
        return typed(Prepared, reply)

    found = asyncio.run(scenario())

    assert found.images == 100
    assert found.pages_digest is None
    (pages,) = found.finding_pages
    last = int(pages.removeprefix("page-blank:1-"))
    assert 1 < last < 100


def test_odd_objects_on_a_page_refuse_nothing(tmp_path: Path) -> None:
    """What nobody can make sense of is not judged, and sealed as before."""

    def oddly(key: str, value: Any) -> bytes:
        with pikepdf.open(io.BytesIO(pdf(Page(LETTER)))) as made:
            image = made.pages[0].obj.Resources.XObject["/I0"]
            image[key] = value
            out = io.BytesIO()
            made.save(out)
            return out.getvalue()

    odd = [Name.Odd, Array([]), Array([Name.A, Name.B]), Dictionary(A=1), -5, 0, True, 10**12]
    keys = ["/BitsPerComponent", "/ColorSpace", "/DecodeParms", "/ImageMask"]
    for key in [*keys, "/SMask", "/Mask", "/Decode", "/Filter"]:
        for value in [*odd, pikepdf.String("x"), 0.5]:
            if key == "/Filter" and (not isinstance(value, Name | Array) or value == Array([])):
                continue  # without one its bytes are too few rows
            source, target, reply = sealed(tmp_path, oddly(key, value), min_dpi=300)
            assert reply["images"] == 1
            assert read_back(source, target, "pdf")["images"] == 1
    for key in ("/Width", "/Height"):
        for value in odd:
            # The JPEG itself says how large it is; it is not shown as anything else.
            with pytest.raises(Refused, match="another size"):
                prepared(tmp_path, oddly(key, value))
