"""Is anything on the page? Pencil on every kind of image, dust, shadows and noise.

The pages are drawn: a tinted, unevenly lit, noisy sheet, and marks of the smallest
kind that a person makes on an otherwise empty page.
"""

from __future__ import annotations

import io
import random
import zlib
from functools import cache
from typing import TYPE_CHECKING

import pytest
from pikepdf import Dictionary, Object
from PIL import Image, ImageChops, ImageDraw

from contrib.demo import scans
from daemon.pages import ink
from daemon.pages.sample import Description
from tests.unit.pages_samples import encoded

if TYPE_CHECKING:
    from collections.abc import Callable

    Coder = Callable[[Image.Image], tuple[bytes, bytes]]

DPI = 150
MOST = 250_000_000


@cache
def paper(seed: int = 1, *, colour: bool = True, dpi: int = DPI) -> Image.Image:
    """Return an empty sheet as a scanner sees it."""
    size = (round(210 / 25.4 * dpi), round(297 / 25.4 * dpi))
    return scans._paper(size, random.Random(seed), colour=colour)  # noqa: S311


def marked(
    sheet: Image.Image, *, mm: float = 4, level: int = 45, at: tuple[float, float] = (150, 220)
) -> Image.Image:
    """Return the *sheet* with initials in pencil, *level* darker than paper, *mm* high."""
    unit = sheet.width / 210
    mask = Image.new("L", sheet.size, 0)
    x, y = at
    strokes = [(0, 0), (0.2, 1), (0.4, 0.1), (0.6, 1), (0.8, 0), (0.9, 0.8), (1.1, 0.2)]
    points = [((x + mm * a) * unit, (y + mm * b) * unit) for a, b in strokes]
    ImageDraw.Draw(mask).line(points, fill=level, width=max(1, round(0.4 * unit)))
    if sheet.mode == "RGB":
        mask = Image.merge("RGB", [mask] * 3)
    return ImageChops.subtract(sheet, mask)


def as_jpeg(image: Image.Image) -> tuple[bytes, bytes]:
    spaces = {"L": b"/DeviceGray", "RGB": b"/DeviceRGB", "CMYK": b"/DeviceCMYK"}
    entries = b"/Filter /DCTDecode /BitsPerComponent 8 /ColorSpace %b" % spaces[image.mode]
    return entries, encoded(image, "JPEG", quality=50)


def as_progressive(image: Image.Image) -> tuple[bytes, bytes]:
    return as_jpeg(image)[0], encoded(image, "JPEG", quality=50, progressive=True)


def as_cmyk(image: Image.Image) -> tuple[bytes, bytes]:
    image = image.convert("CMYK")
    return as_jpeg(image)[0], encoded(image, "JPEG", quality=30)


def bits(image: Image.Image) -> Image.Image:
    # 20 darker than the paper counts as black: what a scanner leaves of a pencil.
    return image.convert("L").point([0] * 215 + [255] * 41, "1")


def as_fax(image: Image.Image) -> tuple[bytes, bytes]:
    return fax(image, "group4", -1)


def as_fax_3(image: Image.Image) -> tuple[bytes, bytes]:
    return fax(image, "group3", 0)


def fax(image: Image.Image, compression: str, form: int) -> tuple[bytes, bytes]:
    file = io.BytesIO()
    bits(image).save(file, "TIFF", compression=compression, tiffinfo={278: image.height})
    with Image.open(file) as read:
        tags = read.tag_v2  # type: ignore[attr-defined]
        start, length = tags[273][0], tags[279][0]
    data = file.getvalue()[start : start + length]
    parameters = b"<< /K %d /Columns %d /Rows %d >>" % (form, *image.size)
    return b"/Filter /CCITTFaxDecode /BitsPerComponent 1 /DecodeParms %b" % parameters, data


def as_flate(image: Image.Image) -> tuple[bytes, bytes]:
    entries, _ = as_jpeg(image)
    return entries.replace(b"DCT", b"Flate"), zlib.compress(image.tobytes(), 1)


def as_bits(image: Image.Image) -> tuple[bytes, bytes]:
    entries = b"/Filter /FlateDecode /BitsPerComponent 1 /ColorSpace /DeviceGray"
    return entries, zlib.compress(bits(image).tobytes(), 1)


def as_png(image: Image.Image) -> tuple[bytes, bytes]:
    return png(image, b"/DeviceRGB" if image.mode == "RGB" else b"/DeviceGray")


def as_palette(image: Image.Image) -> tuple[bytes, bytes]:
    greys = image.convert("L").point([value // 16 for value in range(256)])
    colours = bytes(17 * number for number in range(16) for _ in "rgb")
    few = Image.frombytes("P", greys.size, greys.tobytes())
    few.putpalette(colours)
    return png(few, b"[ /Indexed /DeviceRGB 15 <%b> ]" % colours.hex().encode())


def png(image: Image.Image, space: bytes) -> tuple[bytes, bytes]:
    file = encoded(image, "PNG")
    place, data = 8, b""
    depth, colours = file[24], 3 if image.mode == "RGB" else 1
    while place < len(file):
        length = int.from_bytes(file[place : place + 4], "big")
        if file[place + 4 : place + 8] == b"IDAT":
            data += file[place + 8 : place + 8 + length]
        place += 12 + length
    return (
        b"/Filter /FlateDecode /BitsPerComponent %d /ColorSpace %b /DecodeParms"
        b" << /Predictor 15 /Colors %d /BitsPerComponent %d /Columns %d >>"
        % (depth, space, colours, depth, image.width)
    ), data


def described(image: Image.Image, entries: bytes) -> Description:
    source = b"<< /Width %d /Height %d %b >>" % (*image.size, entries)
    found = Object.parse(source)
    assert isinstance(found, Dictionary)
    return Description(found)


def looks_blank(image: Image.Image, code: Coder, dpi: float = DPI) -> bool:
    """Return what a person would be told of a page that shows this image."""
    entries, data = code(image)
    found = described(image, entries)
    return len(data) <= found.worth_decoding(MOST) and ink.tone(found, data, dpi) is not None


CODERS = (as_jpeg, as_progressive, as_cmyk, as_fax, as_fax_3, as_flate, as_bits, as_png, as_palette)


@pytest.mark.parametrize("code", CODERS, ids=lambda code: code.__name__)
def test_an_empty_sheet_is_blank_and_initials_on_it_are_not(code: Coder) -> None:
    """In every coding that is looked at: initials of 4 mm, in pencil, low on the page."""
    assert looks_blank(paper(), code)

    assert not looks_blank(marked(paper()), code)


@pytest.mark.parametrize("dpi", [100, 200, 300])
@pytest.mark.parametrize("at", [(8, 8), (20, 285), (105, 148), (199, 150)])
def test_small_initials_are_seen_wherever_they_stand(dpi: int, at: tuple[float, float]) -> None:
    """3 mm high and faint: 35 of 255 darker than the paper. Squares must not cut them away."""
    sheet = paper(2, dpi=dpi)

    assert looks_blank(sheet, as_jpeg, dpi)
    assert not looks_blank(marked(sheet, mm=3, level=35, at=at), as_jpeg, dpi)


def test_a_few_broken_dots_are_seen_where_there_is_only_black_and_white() -> None:
    """What a threshold leaves of a pencil: no line, some dots close to each other."""
    sheet = Image.new("L", paper(dpi=300).size, 255)
    rng = random.Random(5)  # noqa: S311
    for _ in range(40):
        sheet.putpixel((1500 + rng.randrange(80), 2000 + rng.randrange(80)), 0)

    assert not looks_blank(sheet, as_fax, 300)


@pytest.mark.parametrize("code", [as_jpeg, as_fax])
def test_specks_of_dust_are_no_ink(code: Coder) -> None:
    """Thirty of a fifth of a millimetre, all over the page."""
    sheet = paper(3, dpi=300).copy()
    draw, rng = ImageDraw.Draw(sheet), random.Random(3)  # noqa: S311
    for _ in range(30):
        x, y = rng.randrange(sheet.width), rng.randrange(sheet.height)
        draw.ellipse((x, y, x + 2, y + 2), fill=(40, 40, 40))

    assert looks_blank(sheet, code, 300)


def test_the_scanners_shadow_at_the_edge_is_no_ink() -> None:
    """Two millimetres on each side: nobody writes there."""
    sheet = paper(4).copy()
    ImageDraw.Draw(sheet).rectangle((0, 0, 10, sheet.height), fill=(30, 30, 30))

    assert looks_blank(sheet, as_jpeg)
    ImageDraw.Draw(sheet).rectangle((0, 0, 60, sheet.height), fill=(30, 30, 30))
    assert not looks_blank(sheet, as_jpeg)


def test_a_yellow_marker_is_ink() -> None:
    """It is as bright as paper: only its colour tells."""
    sheet = paper(5).copy()
    ImageDraw.Draw(sheet).line((300, 900, 420, 900), fill=(250, 245, 150), width=14)

    assert not looks_blank(sheet, as_jpeg)


def test_a_sheet_of_colour_is_blank() -> None:
    """Separators are red or green, and as empty as white ones."""
    red = Image.new("RGB", paper().size, (200, 40, 40))

    assert looks_blank(ImageChops.multiply(paper(), red), as_jpeg)


def test_a_letter_is_not_blank_and_its_first_lines_show_it() -> None:
    """A page with text is not unpacked to its end: cut in the middle, it is no other."""
    letter = scans.draw_page(5, title="Bescheid", dpi=DPI)
    for code in (as_jpeg, as_fax, as_flate, as_png):
        entries, data = code(letter)
        image = described(letter, entries)
        assert ink.tone(image, data, DPI) is None
        views = ink._views(image, data, DPI)
        first, whole = next(views)
        assert (first.height < letter.height // 2, whole) == (True, False)


@pytest.mark.parametrize("code", CODERS, ids=lambda code: code.__name__)
def test_a_damaged_image_is_not_called_blank(code: Coder) -> None:
    """Whoever has to decode it says what is wrong; here it is only not known."""
    entries, data = code(paper())
    image = described(paper(), entries)
    for broken in (data[: len(data) // 2], b"", random.Random(6).randbytes(999)):  # noqa: S311
        assert ink.tone(image, broken, DPI) is None


@pytest.mark.parametrize(
    "entries",
    [
        b"/Filter /JBIG2Decode",
        b"/Filter /JPXDecode",
        b"/Filter [ /FlateDecode /DCTDecode ]",
        b"/ColorSpace /DeviceGray /BitsPerComponent 8",
        b"/Filter /FlateDecode /ColorSpace /DeviceGray /BitsPerComponent 8 /SMask << >>",
        b"/Filter /FlateDecode /ColorSpace /DeviceGray /BitsPerComponent 8 /Mask [ 0 1 ]",
    ],
)
def test_what_is_not_looked_at_is_not_called_blank(entries: bytes) -> None:
    """JBIG2 and JPEG 2000 are not decoded for this; a mask may hide or show anything."""
    image = described(Image.new("L", (100, 100)), entries)

    assert image.worth_decoding(MOST) == 0


@pytest.mark.parametrize(
    "entries",
    [
        b"/ColorSpace /DeviceGray /BitsPerComponent 16",
        b"/ColorSpace /Pattern /BitsPerComponent 8",
        b"/ColorSpace [ /Pattern /DeviceGray ] /BitsPerComponent 8",
        b"/ColorSpace [ /Separation /Red /DeviceRGB 5 ] /BitsPerComponent 8",
        b"/ColorSpace /DeviceGray /BitsPerComponent 8 /DecodeParms << /Predictor 2 >>",
        b"/ColorSpace /DeviceGray /BitsPerComponent 8 /DecodeParms << /Predictor 15 /Columns 7 >>",
        b"/ColorSpace [ /Indexed /DeviceCMYK 1 <0011> ] /BitsPerComponent 8",
    ],
)
def test_samples_that_nobody_here_can_read_are_not_called_blank(entries: bytes) -> None:
    """The same samples, described as grey, are blank."""
    data = zlib.compress(b"\xf0" * 40_000)
    grey = described(
        Image.new("L", (100, 100)),
        b"/Filter /FlateDecode /ColorSpace /DeviceGray /BitsPerComponent 8",
    )
    assert ink.tone(grey, data, DPI) == 240

    assert (
        ink.tone(
            described(Image.new("L", (100, 100)), b"/Filter /FlateDecode " + entries), data, DPI
        )
        is None
    )


def test_a_bomb_is_not_unpacked() -> None:
    """Kilobytes that become gigabytes: more than anybody looks at is left packed (I10)."""
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(bytes(1 << 20)) for _ in range(200)) + packer.flush()
    entries = b"/Filter /FlateDecode /ColorSpace /DeviceRGB /BitsPerComponent 8"
    huge = described(Image.new("1", (8000, 8000)), entries)

    assert ink.tone(huge, data, DPI) is None
    assert huge.worth_decoding(63_999_999) == 0


def test_a_rough_sheet_in_a_large_jpeg_is_not_even_decoded() -> None:
    """Most pages are written on, and decoding one costs as much as preparing it."""
    sheet = paper()
    entries, _ = as_jpeg(sheet)

    assert described(sheet, entries).worth_decoding(MOST) == int(0.1 * sheet.width * sheet.height)
    packed, _ = as_png(sheet)
    assert described(sheet, packed).worth_decoding(MOST) == 32 << 20
