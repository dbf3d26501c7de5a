"""Images become pages: their streams carried over, or exactly the same pixels coded anew."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from pikepdf import Name
from PIL import Image, ImageCms, ImageOps

from daemon.errors import Refused
from tests.unit.pages_samples import (
    G4,
    SIZE,
    drawn,
    encoded,
    exif,
    jpeg,
    png,
    prepared,
    read_back,
    tiff,
)
from tests.unit.pages_seen import decoded, same_pixels, seen, shown

WIDTH, HEIGHT = SIZE


Images = Callable[[Path], pikepdf.Stream]


@pytest.fixture
def image_of() -> Iterator[Images]:
    """Give the image of a file's first page; the files stay open until the test is over."""
    with ExitStack() as files:

        def image(path: Path) -> pikepdf.Stream:
            made = files.enter_context(pikepdf.open(path))
            found = made.pages[0].obj.Resources.XObject["/Im"]
            assert isinstance(found, pikepdf.Stream)
            return found

        yield image


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, place = [], 8
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        found.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    return found


def png_of(*parts: tuple[bytes, bytes]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    )


def header(width: int, height: int, **changes: int) -> bytes:
    fields = {"depth": 8, "colour": 2, "a": 0, "b": 0, "interlaced": 0} | changes
    return struct.pack(">IIBBBBB", width, height, *fields.values())


def a_png(head: bytes, data: bytes = b"", *more: tuple[bytes, bytes]) -> bytes:
    return png_of((b"IHDR", head), *more, (b"IDAT", zlib.compress(data)), (b"IEND", b""))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_i11_a_jpeg_is_carried_byte_for_byte(
    tmp_path: Path, image_of: Images, mode: str, *, progressive: bool
) -> None:
    """Also its metadata: the stream is the file, from the first to the last byte."""
    scan = jpeg(mode, progressive=progressive)
    source, target, reply = prepared(tmp_path, scan)

    assert image_of(target).read_raw_bytes() == scan
    # Nothing says which printer's colours those of CMYK are, as PDF/A would want it.
    unclaimed = ("pdfa-not-claimed",) if mode == "CMYK" else ()
    assert (reply["transcoded"], reply["findings"]) == (False, unclaimed)
    assert read_back(source, target, "jpeg")["compared"] == "streams"


def test_adobes_inverted_cmyk_is_decoded_as_such(tmp_path: Path, image_of: Images) -> None:
    """Their marker says that ink is stored as its opposite; without the entry it prints black."""
    _, target, _ = prepared(tmp_path, jpeg("CMYK"))

    assert b"Adobe" in image_of(target).read_raw_bytes()[:64]
    assert [int(number) for number in image_of(target).Decode] == [1, 0] * 4


def test_i11_inks_that_may_be_inverted_or_not_are_refused(tmp_path: Path) -> None:
    """Without Adobe's marker Pillow takes them for inverted, and a PDF's reader does not."""
    scan = jpeg("CMYK")
    assert scan.count(b"Adobe") == 1

    assert refusal(tmp_path, scan.replace(b"Adobe", b"Other")) == "image-unsupported"


@pytest.mark.parametrize(
    "damaged", [b"\1\2", b"\2\2", b"\0\1"], ids=["a part lacks", "no first", "none"]
)
def test_a_profile_that_is_not_whole_is_none(
    tmp_path: Path, image_of: Images, damaged: bytes
) -> None:
    """As every reader of the JPEG has it; nor is the scan refused after it was prepared."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    scan = jpeg(icc_profile=profile)
    mark = b"ICC_PROFILE\0"
    assert mark + b"\1\1" in scan

    source, target, reply = prepared(tmp_path, scan.replace(mark + b"\1\1", mark + damaged))

    assert image_of(target).ColorSpace == Name.DeviceRGB
    assert read_back(source, target, reply["kind"])["compared"] == "streams"


def test_i10_a_profile_in_more_parts_than_can_be_numbered_is_none(
    tmp_path: Path, image_of: Images
) -> None:
    """Their number is one byte."""
    part = b"\xff\xe2\0\x12ICC_PROFILE\0\1\1xx"
    scan = jpeg()
    _, target, _ = prepared(tmp_path, scan[:2] + 300 * part + scan[2:])

    assert image_of(target).ColorSpace == Name.DeviceRGB


@pytest.mark.parametrize(
    ("name", "body"),
    [
        (b"PLTE", bytes(range(27))),
        (b"tRNS", bytes(6)),
        (b"pHYs", b"\0\0\x0b\x13\0\0\x0b\x13\1"),
        (b"iCCP", b"p\0\0"),
    ],
)
def test_a_part_of_a_png_that_stands_twice_or_too_late_is_refused(
    tmp_path: Path, name: bytes, body: bytes
) -> None:
    """Of two palettes some readers take the first, others the last (PNG 1.2, 4.3)."""
    found = [part for part in chunks(png()) if part[0] != name]
    head, data, end = found[:1], found[1:-1], found[-1:]

    twice = png_of(*head, (name, body), (name, body), *data, *end)
    late = png_of(*head, *data, (name, body), *end)

    assert refusal(tmp_path, twice) == "image-damaged"
    assert refusal(tmp_path, late) == "image-damaged"


def test_image_data_that_is_interrupted_is_refused(tmp_path: Path) -> None:
    """Some readers stop at what lies between (PNG 1.2, 4.1.3), and show half a page."""
    found = chunks(png())
    at = next(place for place, (name, _) in enumerate(found) if name == b"IDAT")
    data = found[at][1]
    halves = [(b"IDAT", data[:20]), (b"IDAT", data[20:])]

    def refused(*between: tuple[bytes, bytes]) -> str:
        parts = [*found[:at], halves[0], *between, halves[1], *found[at + 1 :]]
        return refusal(tmp_path, png_of(*parts))

    assert refused((b"tEXt", b"Title\0page")) == "image-damaged"
    prepared(tmp_path, png_of(*found[:at], *halves, *found[at + 1 :]))


def test_rgb_without_a_word_about_it_is_told_to_the_reader(
    tmp_path: Path, image_of: Images
) -> None:
    """Decoders go by the component's names; PDF says YCbCr unless it is told otherwise."""
    scan = jpeg("RGB", keep_rgb=True, dpi=(0, 0))
    assert scan[2:4] == b"\xff\xee"
    bare = scan[:2] + scan[18:]

    source, target, _ = prepared(tmp_path, bare)

    assert image_of(target).DecodeParms.ColorTransform == 0
    assert read_back(source, target, "jpeg")["compared"] == "streams"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("make", [jpeg, png])
def test_i11_an_image_is_turned_by_its_page_not_in_its_pixels(
    tmp_path: Path, orientation: int, make: Any
) -> None:
    """A scanner that knows which side is up says so in Exif; all eight ways are shown right."""
    source, target, reply = prepared(tmp_path, make(exif=exif(orientation)))
    upright = seen(source)
    block = Image.Exif()
    block.load(upright.info["exif"])
    assert block[0x0112] == orientation

    assert same_pixels(shown(target), ImageOps.exif_transpose(upright))
    assert not reply["transcoded"]
    assert read_back(source, target, reply["kind"])["compared"] == "streams"


def exif_of(*entries: bytes, after: bytes = bytes(4)) -> bytes:
    """Return an Exif block of these lines."""
    head = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries))
    return head + b"".join(entries) + after


ON_ITS_SIDE = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)


@pytest.mark.parametrize("make", [jpeg, png])
def test_an_exif_block_without_its_last_word_still_turns(tmp_path: Path, make: Any) -> None:
    """Where the next directory is: some leave that out, and nobody asks for it."""
    source, target, reply = prepared(tmp_path, make(exif=exif_of(ON_ITS_SIDE, after=b"")))

    with pikepdf.open(target) as made:
        assert made.pages[0].obj.Rotate == 90
    assert read_back(source, target, reply["kind"])["compared"] == "streams"


def test_an_exif_block_behind_the_coded_data_is_damage(tmp_path: Path) -> None:
    """Some readers look for it there, and turn the page."""
    scan = jpeg(exif=exif_of(ON_ITS_SIDE))
    at = scan.index(b"\xff\xe1")
    end = at + 2 + int.from_bytes(scan[at + 2 : at + 4], "big")

    assert refusal(tmp_path, scan[:at] + scan[end:-2] + scan[at:end] + scan[-2:]) == "image-damaged"


@pytest.mark.parametrize("make", [jpeg, png])
def test_an_exif_block_that_can_be_read_in_two_ways_is_damaged(tmp_path: Path, make: Any) -> None:
    """One reader gives up over so many entries, another turns the page: nobody knows what is up."""
    many = [struct.pack("<HHII", 40000 + number, 3, 1, 0) for number in range(4200)]

    assert refusal(tmp_path, make(exif=exif_of(ON_ITS_SIDE, *many))) == "image-damaged"


def test_a_page_is_as_large_as_the_resolution_says(tmp_path: Path) -> None:
    """JFIF counts per inch or per centimetre, PNG per metre."""
    sizes = []
    inches = jpeg(dpi=(59, 59))
    assert inches[13] == 1
    centimetres = inches[:13] + b"\2" + inches[14:]
    for scan in (centimetres, png(dpi=(150, 150)), tiff(drawn("1"), dpi=(150, 150))):
        _, target, _ = prepared(tmp_path, scan)
        with pikepdf.open(target) as made:
            sizes.append([round(float(edge), 1) for edge in made.pages[0].obj.MediaBox])

    assert sizes == [[0, 0, 28.8, 40.4], [0, 0, 28.8, 40.3], [0, 0, 28.8, 40.3]]


@pytest.mark.parametrize(
    "scan", [jpeg(dpi=(1, 1)), png(dpi=None), tiff(drawn("1"), dpi=None, **G4)]
)
def test_a_missing_resolution_is_a_finding(tmp_path: Path, scan: bytes) -> None:
    """Then the page has 300 dots per inch, and a person knows that nobody said so."""
    source, target, reply = prepared(tmp_path, scan)

    with pikepdf.open(target) as made:
        assert float(made.pages[0].obj.MediaBox[2]) == pytest.approx(WIDTH * 72 / 300)
    assert reply["findings"] == ("resolution-unknown",)
    assert read_back(source, target, reply["kind"])["images"] == 1


def test_a_profile_is_carried_if_it_fits(tmp_path: Path, image_of: Images) -> None:
    """Colours are what the scanner measured only together with its profile."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for make in (jpeg, png):
        source, target, reply = prepared(tmp_path, make(icc_profile=profile))
        space = image_of(target).ColorSpace
        assert (space[0], int(space[1].N)) == (Name.ICCBased, 3)
        assert space[1].read_raw_bytes() == profile
        read_back(source, target, reply["kind"])

    # Three components in the profile, one in the image: a reader would show anything.
    _, target, _ = prepared(tmp_path, jpeg("L", icc_profile=profile))
    assert image_of(target).ColorSpace == Name.DeviceGray


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "I;16"])
def test_i11_a_plain_png_is_carried_as_it_is(tmp_path: Path, image_of: Images, mode: str) -> None:
    """PDF knows PNG's filters, so its packed data need not be touched; 16 bits stay 16."""
    scan = png(mode)
    source, target, reply = prepared(tmp_path, scan)
    image = image_of(target)

    packed = b"".join(body for name, body in chunks(scan) if name == b"IDAT")
    assert image.read_raw_bytes() == packed
    assert image.DecodeParms.Predictor == 15
    assert not reply["transcoded"]
    assert read_back(source, target, "png")["compared"] == "streams"
    if mode != "I;16":
        assert same_pixels(shown(target), seen(source))
    else:
        assert image.BitsPerComponent == 16


def interlaced() -> bytes:
    """Return an interlaced PNG of 1 x 1 pixels: its first pass is the whole image."""
    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 1)
    return png_of((b"IHDR", header), (b"IDAT", zlib.compress(b"\0\x11\x22\x33")), (b"IEND", b""))


@pytest.mark.parametrize(
    "scan",
    [
        png("RGBA"),
        png("LA"),
        png("P", transparency=3),
        interlaced(),
    ],
)
def test_i11_any_other_png_keeps_every_sample_and_says_so(
    tmp_path: Path, image_of: Images, scan: bytes
) -> None:
    """Transparency becomes a mask: what is seen through it depends on nobody's background."""
    source, target, reply = prepared(tmp_path, scan)

    original = seen(source)
    alpha = original.convert("RGBA").getchannel("A")
    assert same_pixels(shown(target).convert("RGB"), original.convert("RGBA").convert("RGB"))
    if alpha.getextrema() != (255, 255):
        mask = decoded(image_of(target).SMask)
        assert mask.tobytes() == alpha.tobytes()
    assert reply["transcoded"]
    assert "transcoded" in reply["findings"]
    assert read_back(source, target, "png")["compared"] == "pixels"


@pytest.mark.parametrize(
    ("scan", "mask"),
    [
        (png("L", transparency=255), [255, 255]),
        (png("RGB", transparency=(255, 0, 7)), [255, 255, 0, 0, 7, 7]),
    ],
)
def test_i11_one_transparent_colour_is_carried_as_pdf_has_it(
    tmp_path: Path, image_of: Images, scan: bytes, mask: list[int]
) -> None:
    """A mask by colour: the packed data need not be touched for it."""
    source, target, reply = prepared(tmp_path, scan)

    packed = b"".join(body for name, body in chunks(scan) if name == b"IDAT")
    assert image_of(target).read_raw_bytes() == packed
    assert [int(value) for value in image_of(target).Mask] == mask
    assert not reply["transcoded"]
    assert read_back(source, target, "png")["compared"] == "streams"


def test_i11_an_opaque_mask_is_left_out(tmp_path: Path, image_of: Images) -> None:
    """Programs save every picture with one; printers take long over it, and it hides nothing."""
    image = drawn("RGB")
    image.putalpha(255)
    source, target, reply = prepared(tmp_path, encoded(image, "PNG", dpi=(72, 72)))

    assert "/SMask" not in image_of(target)
    assert same_pixels(shown(target), seen(source))
    assert reply["transcoded"]
    assert read_back(source, target, "png")["compared"] == "pixels"


NOISE = random.Random(16).randbytes(2 * 3 * 8)  # noqa: S311
ALMOST = b"".join(NOISE[at : at + 6] + b"\xff\xfe" for at in range(0, 48, 8))
"""Six pixels of 16 bits, opaque as far as eight bits can tell."""


@pytest.mark.parametrize("samples", [NOISE, ALMOST])
def test_i11_16_bits_with_transparency_keep_all_of_them(
    tmp_path: Path, image_of: Images, samples: bytes
) -> None:
    """Pillow keeps eight of them; decoded twice, both halves are there."""
    rows = b"".join(b"\0" + samples[at : at + 16] for at in (0, 16, 32))
    source, target, _ = prepared(tmp_path, a_png(header(2, 3, depth=16, colour=6), rows))

    image = image_of(target)
    pixels = [samples[at : at + 8] for at in range(0, 48, 8)]
    assert image.BitsPerComponent == image.SMask.BitsPerComponent == 16
    assert image.read_bytes() == b"".join(pixel[:6] for pixel in pixels)
    assert image.SMask.read_bytes() == b"".join(pixel[6:] for pixel in pixels)
    assert read_back(source, target, "png")["compared"] == "pixels"


@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize(
    ("compression", "options"), [("group4", None), ("group3", 0), ("group3", 1), ("group3", 5)]
)
def test_i11_fax_coding_in_one_strip_is_carried(
    tmp_path: Path, image_of: Images, compression: str, options: int | None, photometric: int
) -> None:
    """Byte for byte, with the words that make its ones black or white, in one or two dimensions."""
    tags = {262: photometric} | ({} if options is None else {292: options})
    scan = tiff(drawn("1"), compression=compression, tags=tags)
    source, target, reply = prepared(tmp_path, scan)

    image = image_of(target)
    assert image.read_raw_bytes() in scan
    assert image.Filter == Name.CCITTFaxDecode
    assert not reply["transcoded"]
    assert same_pixels(shown(target), seen(source))
    assert read_back(source, target, "tiff")["compared"] == "streams"


def test_fax_coding_stored_low_bit_first_is_turned_around(tmp_path: Path, image_of: Images) -> None:
    """PDF has no FillOrder: each byte's bits change their order, and nothing else."""
    scan = tiff(drawn("1"), compression="group4", tags={266: 2})
    source, target, reply = prepared(tmp_path, scan)

    raw = image_of(target).read_raw_bytes()
    assert bytes(int(f"{byte:08b}"[::-1], 2) for byte in raw) in scan
    assert same_pixels(shown(target), seen(source))
    assert not reply["transcoded"]
    assert read_back(source, target, "tiff")["compared"] == "streams"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("mode", "compression"), [("1", "group4"), ("RGB", "tiff_lzw")])
def test_i11_a_tiff_is_shown_as_it_wants_to_be(
    tmp_path: Path, orientation: int, mode: str, compression: str
) -> None:
    """A carried stream is turned by its page; pixels that are coded anew come upright."""
    scan = tiff(drawn(mode), compression=compression, tags={274: orientation})
    source, target, _ = prepared(tmp_path, scan)

    assert same_pixels(shown(target), seen(source))
    assert read_back(source, target, "tiff")["images"] == 1


@pytest.mark.parametrize("mode", ["L", "RGB", "YCbCr"])
def test_i11_a_jpeg_out_of_a_tiff_is_carried_with_its_tables(
    tmp_path: Path, image_of: Images, mode: str
) -> None:
    """A strip is a JPEG without its tables: they go in front, the coded data stays."""
    scan = tiff(drawn("RGB").convert(mode), compression="jpeg")
    source, target, reply = prepared(tmp_path, scan)

    image = image_of(target)
    raw = image.read_raw_bytes()
    assert raw[raw.index(b"\xff\xda") :] in scan
    assert ("/DecodeParms" in image) == (mode == "RGB")
    assert not reply["transcoded"]
    assert read_back(source, target, "tiff")["compared"] == "streams"


def test_every_image_of_a_tiff_is_a_page_in_its_place(tmp_path: Path) -> None:
    """I11: mixed kinds in one file, as a scanner with automatic colour writes them."""
    images = [drawn("1", text="a"), drawn("RGB", text="b"), drawn("L", text="c")]
    source, target, reply = prepared(tmp_path, tiff(*images, compression="raw"))

    assert reply["images"] == 3
    for number in range(3):
        assert same_pixels(shown(target, number), seen(source, number))
    assert read_back(source, target, "tiff") | {"contents": ""} == {
        "byte_range": (0, reply["gap_start"], reply["gap_end"], reply["size"] - reply["gap_end"]),
        "contents": "",
        "images": 3,
        "compared": "pixels",
        "permissions": 1,
        "pdfa": "2b",
        "evidence": (),
    }


def reduced(scan: bytes, page: int) -> bytes:
    """Let an image of the TIFF call itself a reduced version: Pillow does not write that tag."""
    data = bytearray(scan)
    (place,) = struct.unpack_from("<I", data, 4)
    for _ in range(page):
        (count,) = struct.unpack_from("<H", data, place)
        (place,) = struct.unpack_from("<I", data, place + 2 + 12 * count)
    (count,) = struct.unpack_from("<H", data, place)
    for entry in range(place + 2, place + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, entry)[0] == 254:
            struct.pack_into("<I", data, entry + 8, 1)
            return bytes(data)
    raise AssertionError("no NewSubfileType to change")


def two(second: tuple[int, int]) -> bytes:
    images = [drawn("L"), drawn("L", second)]
    return reduced(tiff(*images, compression="raw", tags={254: 0}), 1)


def test_a_thumbnail_is_no_page_but_a_finding(tmp_path: Path) -> None:
    """It calls itself a reduced version of a larger image in the file, and there is one."""
    source, target, reply = prepared(tmp_path, two((30, 42)))

    assert reply["images"] == 1
    assert reply["findings"] == ("thumbnail-left-out", "transcoded")
    assert read_back(source, target, "tiff")["images"] == 1


def test_i11_a_page_that_only_calls_itself_reduced_is_a_page(tmp_path: Path) -> None:
    """As large as the other one: whatever the scanner meant, no page is dropped."""
    source, target, reply = prepared(tmp_path, two(SIZE))

    assert reply["images"] == 2
    assert read_back(source, target, "tiff")["images"] == 2


def test_bigtiff_is_read_too(tmp_path: Path) -> None:
    """Scans of plans pass 4 GB sooner than one thinks."""
    scan = tiff(drawn("1"), compression="raw", big_tiff=True)
    assert scan[:4] == b"II+\0"

    source, target, _ = prepared(tmp_path, scan)

    assert same_pixels(shown(target), seen(source))
    assert read_back(source, target, "tiff")["compared"] == "pixels"


def refusal(tmp_path: Path, scan: bytes, **changes: Any) -> str:
    with pytest.raises(Refused) as caught:
        prepared(tmp_path, scan, **changes)
    assert not list(tmp_path.glob("*.prepared")), "a refused scan leaves nothing in work/out"
    return caught.value.code


def damaged(data: bytes, share: float = 0.5) -> bytes:
    """Overwrite a few bytes somewhere in the data."""
    place = int(len(data) * share)
    return data[:place] + b"\0" * 16 + data[place + 16 :]


G4_PAGE = tiff(drawn("1"), compression="group4")
LOOP = G4_PAGE.replace(
    struct.pack("<HHIII", 296, 3, 1, 2, 0), struct.pack("<HHII", 296, 3, 1, 2) + G4_PAGE[4:8]
)
"""A page whose directory names itself as the next one."""
assert LOOP != G4_PAGE


@pytest.mark.parametrize(
    ("scan", "code"),
    [
        (jpeg()[:-2], "file-incomplete"),
        (jpeg()[:400], "file-incomplete"),
        (jpeg()[:2] + b"\xff\x51\0\4\0\0" + jpeg()[2:], "image-damaged"),
        (jpeg() + jpeg(), "image-unsupported"),
        (jpeg(keep_rgb=True), "image-unsupported"),
        (jpeg().replace(b"\xff\xc0", b"\xff\xc9", 1), "image-unsupported"),
        (jpeg().replace(b"\xff\xc4\0\x1f\0", b"\xff\xc4\0\x1f\xff"), "image-damaged"),
        (png()[:-20], "file-incomplete"),
        (damaged(png()), "image-damaged"),
        (png().replace(b"pHYs\0", b"pHYs\1"), "image-damaged"),
        (a_png(header(2, 2), b"\0" * 13), "image-damaged"),
        (a_png(header(2, 2), b"\0" * 15), "image-damaged"),
        (a_png(header(2, 2, depth=3), b"\0" * 14), "image-damaged"),
        (a_png(header(2, 2, colour=3), b"\0" * 6), "image-damaged"),
        (a_png(header(2, 2), b"\0" * 14, (b"acTL", b"\0" * 8)), "image-unsupported"),
        (a_png(header(2, 2, depth=16, colour=4), b"\0" * 18), "image-unsupported"),
        (a_png(header(2, 2), b"\0" * 7 + b"\5" + b"\0" * 6), "image-damaged"),
        (a_png(header(2, 2, a=1), b"\0" * 14), "image-damaged"),
        (a_png(header(2, 2, interlaced=2), b"\0" * 14), "image-damaged"),
        (a_png(header(2, 1, colour=3), b"\0\0\2", (b"PLTE", b"\0" * 6)), "image-damaged"),
        (a_png(header(2, 1, depth=1, colour=0), b"\0\0", (b"tRNS", b"\0\2")), "image-damaged"),
        (png() + jpeg(), "image-unsupported"),
        (G4_PAGE[:-8], "file-incomplete"),
        (b"II*\0" + b"\xff" * 20, "file-incomplete"),
        (b"II*\0\0\0\0\0", "no-pages"),
        (LOOP, "image-damaged"),
    ],
)
def test_a_broken_or_unknown_image_is_refused_by_its_code(
    tmp_path: Path, scan: bytes, code: str
) -> None:
    """Cut off, damaged or of a kind that PDF cannot hold exactly: nobody improves it (I11, I12)."""
    assert refusal(tmp_path, scan) == code


@pytest.mark.parametrize(
    "scan",
    [
        jpeg(),
        png(),
        png("RGBA"),
        tiff(drawn("1"), compression="group4"),
        a_png(header(1 << 30, 1 << 30), b"\0" * 99),
    ],
)
def test_i10_an_image_of_too_many_pixels_is_never_decoded(tmp_path: Path, scan: bytes) -> None:
    """A few bytes can unpack to more than the machine has: the header decides, before anything."""
    assert refusal(tmp_path, scan, max_pixels=WIDTH * HEIGHT - 1) == "too-many-pixels"


def test_a_png_that_unpacks_to_more_than_it_says_is_refused_early(tmp_path: Path) -> None:
    """A small header in front of gigabytes: unpacking stops where the image should end."""
    assert refusal(tmp_path, a_png(header(2, 2), b"\0" * (64 << 20))) == "image-damaged"


def test_i10_parts_without_end_are_not_read_for_ever(tmp_path: Path) -> None:
    """Segments and chunks of nothing, a file full of them."""
    head, mark, rest = jpeg().partition(b"\xff\xda")
    comments = b"\xff\xfe\0\2" * 5000
    assert refusal(tmp_path, head + comments + mark + rest) == "image-damaged"

    whole = png()
    nothing = struct.pack(">I4sI", 0, b"teSt", zlib.crc32(b"teSt")) * (1 << 17)
    assert refusal(tmp_path, whole[:33] + nothing + whole[33:]) == "image-damaged"


def test_pages_with_one_profile_share_it(tmp_path: Path) -> None:
    """A scanner's profile has up to some megabytes, and its document a thousand pages."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pages = [drawn("RGB", text=text) for text in "abc"]
    source, target, _ = prepared(tmp_path, tiff(*pages, compression="jpeg", icc_profile=profile))

    with pikepdf.open(target) as made:
        spaces = [page.obj.Resources.XObject["/Im"].ColorSpace for page in made.pages]
        assert len({space[1].objgen for space in spaces}) == 1
        assert spaces[0][1].read_raw_bytes() == profile
    assert read_back(source, target, "tiff")["images"] == 3


def test_a_tiff_of_too_many_images_is_refused(tmp_path: Path) -> None:
    """Counted by its directories, before any of them is decoded."""
    scan = tiff(*[drawn("1")] * 6, compression="group4")

    assert refusal(tmp_path, scan, max_pages=5) == "too-many-pages"


def test_images_are_written_without_being_held(tmp_path: Path) -> None:
    """What qpdf reads afterwards is a good file, though no library wrote it."""
    _, target, _ = prepared(tmp_path, tiff(*[drawn("1")] * 5, compression="group4"))

    with pikepdf.open(io.BytesIO(target.read_bytes()), attempt_recovery=False) as made:
        assert made.check_pdf_syntax() == []
        assert len(made.pages) == 5
