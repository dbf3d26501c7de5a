"""A wrapped image against its original: whatever a page shows otherwise is seen."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from daemon.errors import DaemonError
from daemon.pages import packet, placeholder
from daemon.pages.picture import Picture, Turn
from daemon.pages.writer import Writer
from tests.unit import pages_samples as samples
from tests.unit.pages_samples import (
    changed,
    differs,
    drawn,
    empty,
    jpeg,
    png,
    read_back,
    sealed,
    tiff,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def other_alpha() -> bytes:
    image = drawn("RGBA")
    image.putalpha(image.getchannel("A").point([min(255, value + 1) for value in range(256)]))
    return samples.encoded(image, "PNG", dpi=(72, 72))


def other_palette() -> bytes:
    image = drawn("P")
    palette = image.getpalette() or []
    image.putpalette([palette[0] ^ 1, *palette[1:]])
    return samples.encoded(image, "PNG", dpi=(72, 72))


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

IMAGES = {
    "jpeg": (jpeg(text="one"), jpeg(text="two")),
    "jpeg, turned": (jpeg(), jpeg(exif=samples.exif(6))),
    "jpeg, mirrored": (jpeg(), jpeg(exif=samples.exif(2))),
    "jpeg, other colours": (jpeg("RGB"), jpeg("L")),
    "png": (png("RGB"), png("L")),
    "png, turned": (png("RGB"), png("RGB", exif=samples.exif(3))),
    "png, other palette": (
        samples.encoded(drawn("P"), "PNG"),
        samples.encoded(drawn("P").convert("RGB").quantize(7), "PNG"),
    ),
    "png, one colour of the palette": (png("P"), other_palette()),
    "png, transparent": (png("RGBA"), png("RGB")),
    "png, more transparent": (png("RGBA"), other_alpha()),
    "png, transparent and turned": (png("RGBA"), png("RGBA", exif=samples.exif(6))),
    "png, other profile": (
        png(icc_profile=SRGB),
        png(icc_profile=SRGB[:-1] + bytes([SRGB[-1] ^ 1])),
    ),
    "fax": (
        tiff(drawn("1", text="one"), compression="group4"),
        tiff(drawn("1", text="two"), compression="group4"),
    ),
    "fax, black for white": (
        tiff(drawn("1"), compression="group4", tags={262: 0}),
        # The same code words; Pillow would invert them when it is told to write the other tag.
        tiff(drawn("1"), compression="group4", tags={262: 0}).replace(
            struct.pack("<HHIH", 262, 3, 1, 0), struct.pack("<HHIH", 262, 3, 1, 1)
        ),
    ),
    "fax, turned": (
        tiff(drawn("1"), compression="group4"),
        tiff(drawn("1"), compression="group4", tags={274: 8}),
    ),
    "fax, a page less": (
        tiff(drawn("1"), drawn("1"), compression="group4"),
        tiff(drawn("1"), compression="group4"),
    ),
    "pixels": (
        tiff(drawn("L", text="one"), compression="tiff_lzw"),
        tiff(drawn("L", text="two"), compression="tiff_lzw"),
    ),
    "pixels, other mode": (
        tiff(drawn("L"), compression="tiff_lzw"),
        tiff(drawn("RGB"), compression="tiff_lzw"),
    ),
    "pixels, turned": (
        tiff(drawn("L"), compression="tiff_lzw"),
        tiff(drawn("L"), compression="tiff_lzw", tags={274: 3}),
    ),
    "pixels, swapped": (
        tiff(drawn("L", text="a"), drawn("L", text="b"), compression="tiff_lzw"),
        tiff(drawn("L", text="b"), drawn("L", text="a"), compression="tiff_lzw"),
    ),
    "carried or not": (
        tiff(drawn("1"), compression="group4"),
        tiff(drawn("1"), compression="tiff_lzw"),
    ),
    "jpeg in a tiff": (
        tiff(drawn("RGB", text="one"), compression="jpeg"),
        tiff(drawn("RGB", text="two"), compression="jpeg"),
    ),
}


@pytest.mark.parametrize("what", [what for what in IMAGES if what != "carried or not"])
def test_i4_i11_a_wrapped_image_that_is_not_the_original_is_seen(tmp_path: Path, what: str) -> None:
    """Streams, samples, colours, order, number, and which way is up."""
    one, two = (sealed(tmp_path, scan) for scan in IMAGES[what])

    assert read_back(one[0], one[1], one[2]["kind"])["permissions"] == 1
    assert differs(one[0], two[1], one[2]["kind"]) == "pages-differ"
    assert differs(two[0], one[1], two[2]["kind"]) == "pages-differ"


@pytest.mark.parametrize(
    ("scan", "old", "new"),
    [
        (jpeg("CMYK"), b"/Decode [ 1 0 1 0 1 0 1 0 ]", b"/Decodf [ 1 0 1 0 1 0 1 0 ]"),
        (jpeg("CMYK"), b"/Decode [ 1 0 1 0 1 0 1 0 ]", b"/Decode [ 0 1 0 1 0 1 0 1 ]"),
        (jpeg(), b"/DeviceRGB", b"/CalRGB111"),
        (jpeg(), b"q\n60 0 0 84 0 0 cm", b"q\n60 0 0 84 9 0 cm"),
        (jpeg(), b"q\n60 0 0 84 0 0 cm", b"q\n-0 0 0 84 0 0 cm"),
        (jpeg(), b"/Im Do\nQ", b"/Im Do\nB"),
        (jpeg(), b"/MediaBox [ 0 0 60 84 ]", b"/MediaBox [ 0 0 60 42 ]"),
        (jpeg(exif=samples.exif(6)), b"/Rotate 90", b"/Rotatf 90"),
        (jpeg(exif=samples.exif(6)), b"/Rotate 90", b"/Rotate 00"),
        (jpeg(), b"/Metadata ", b"/MetadatX "),
        (jpeg(), b"/Subtype /Image", b"/ImageMask true"),
        (png(), b"/Predictor 15", b"/Predictor 10"),
        (png(), b"/Columns 60", b"/Columns 61"),
        (png(), b"/BitsPerComponent 8", b"/BitsPerComponent 4"),
        (png("RGBA"), b"/SMask 5 0 R", b"/SMasl 5 0 R"),
        (tiff(drawn("1"), **samples.G4), b"/K -1", b"/K  0"),
        (tiff(drawn("1"), **samples.G4), b"/BlackIs1 true ", b"/BlackIs1 false"),
        (tiff(drawn("1"), **samples.G4), b"/Columns 60", b"/Columns 59"),
        (tiff(drawn("L"), compression="raw"), b"/BitsPerComponent 8", b"/BitsPerComponent 1"),
        (tiff(drawn("L"), compression="raw"), b"/Height 84", b"/Height 83"),
        (tiff(drawn("L"), compression="raw"), b"/DeviceGray", b"/DeviceCMYK"),
    ],
)
def test_i11_a_page_that_describes_its_image_otherwise_is_seen(
    tmp_path: Path, scan: bytes, old: bytes, new: bytes
) -> None:
    """The stream is the same; what is said about it makes other pixels, or another place."""
    source, target, reply = sealed(tmp_path, scan)
    if old == b"/BlackIs1 true ":
        changed(target, b"/BlackIs1 true", b"/BlackIs1 null")
    else:
        changed(target, old, new)

    with pytest.raises(DaemonError) as caught:
        read_back(source, target, reply["kind"])
    assert caught.value.code in {"pages-differ", "image-damaged"}


def candidate(folder: Path, picture: Picture) -> Path:
    """Write a file around any picture, as if the code that wraps them were wrong."""
    target = folder / "candidate"
    signature = empty()
    with target.open("w+b") as file:
        writer = Writer(file)
        writer.page(picture)
        writer.finish(signature, "Seal", packet.fresh(samples.NOTE))
        placeholder.settle(file.fileno(), signature)
    return target


def as_pixels(scan: Path, change: Callable[[bytes], bytes] = bytes, **more: Any) -> Picture:
    with Image.open(scan) as image:
        image.load()
        width, height, data = *image.size, change(image.tobytes())
    return Picture(
        width=width,
        height=height,
        entries=b"/BitsPerComponent 8 /Filter /FlateDecode",
        colours=b"/DeviceGray",
        chunks=lambda: iter([zlib.compress(data)]),
        **more,
    )


def test_i11_pixels_that_were_turned_once_are_not_turned_again(tmp_path: Path) -> None:
    """What is coded anew comes upright out of the decoder."""
    scan = tmp_path / "scan"
    scan.write_bytes(tiff(drawn("L"), compression="tiff_lzw"))

    assert read_back(scan, candidate(tmp_path, as_pixels(scan)), "tiff")["compared"] == "pixels"
    turned = candidate(tmp_path, as_pixels(scan, turn=Turn(180)))
    assert differs(scan, turned, "tiff") == "pages-differ"


@pytest.mark.parametrize(
    "change", [lambda data: data[:-60], lambda data: data + bytes(60), lambda data: data[:-1]]
)
def test_i11_pixels_that_are_too_few_or_too_many_are_seen(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    """Readers would show the missing rows as black, white, or not at all."""
    scan = tmp_path / "scan"
    scan.write_bytes(tiff(drawn("L"), compression="tiff_lzw"))

    made = candidate(tmp_path, as_pixels(scan, change))

    assert differs(scan, made, "tiff") == "pages-differ"


@pytest.mark.parametrize("extra", [b"", b"\0"])
def test_i11_a_carried_stream_ends_where_the_original_ends(tmp_path: Path, extra: bytes) -> None:
    """One byte more is not the scanner's stream."""
    scan = tmp_path / "scan"
    scan.write_bytes(jpeg())
    picture = Picture(
        width=samples.SIZE[0],
        height=samples.SIZE[1],
        entries=b"/BitsPerComponent 8 /Filter /DCTDecode",
        colours=b"/DeviceRGB",
        chunks=lambda: iter([scan.read_bytes() + extra]),
    )

    made = candidate(tmp_path, picture)

    if extra:
        assert differs(scan, made, "jpeg") == "pages-differ"
    else:
        assert read_back(scan, made, "jpeg")["compared"] == "streams"


def test_i11_an_empty_page_has_its_size(tmp_path: Path) -> None:
    """White is white in any shape: equal bytes of rows are no equal image."""
    scan = tiff(Image.new("1", (16, 32), 1), compression="group4")
    source, target, _ = sealed(tmp_path, scan)
    changed(target, b"/Width 16 /Height 32", b"/Width 32 /Height 16")
    changed(target, b"/Columns 16 /Rows 32", b"/Columns 32 /Rows 16")

    assert differs(source, target, "tiff") == "pages-differ"


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_i4_i11_no_bit_outside_the_gap_changes_unseen_where_pages_are(
    tmp_path: Path, place: float, bit: int
) -> None:
    """Every bit of every page's stream and dictionary counts; the digest covers the rest."""
    source, target, reply = sealed(tmp_path, tiff(drawn("1"), **samples.G4))
    data = bytearray(target.read_bytes())
    start, end = data.index(b"stream\n") + 7, data.index(b"\nendstream")
    data[start + int(place * (end - start))] ^= 1 << bit
    target.write_bytes(data)

    assert differs(source, target, reply["kind"]) == "pages-differ"
