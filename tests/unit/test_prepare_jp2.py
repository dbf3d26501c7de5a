"""JPEG 2000 files become pages as they are, or are refused for what a reader might not show."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

import pikepdf
import pytest
from PIL import Image, ImageCms

from daemon.errors import Refused
from tests.unit.pages_samples import SIZE, drawn, encoded, prepared, read_back
from tests.unit.pages_seen import held_by, poppler_sees, same_pixels

if TYPE_CHECKING:
    from pathlib import Path

WIDTH, HEIGHT = SIZE
RGB: Final = encoded(drawn("RGB"), "JPEG2000")
SRGB: Final = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def box(name: bytes, body: bytes, *, long: bool = False) -> bytes:
    if long:
        return struct.pack(">I4sQ", 1, name, len(body) + 16) + body
    return struct.pack(">I4s", len(body) + 8, name) + body


def boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    found, place = [], 0
    while place < len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        found.append((name, data[place + 8 : place + length]))
        place += length
    return found


def jp2(
    *,
    scan: bytes = RGB,
    header: tuple[tuple[bytes, bytes], ...] = (),
    drop: bytes = b"",
    more: bytes = b"",
    last: bytes = b"",
) -> bytes:
    """Return a file whose header has other boxes, with *more* before the image and *last* behind it."""
    out = b""
    for name, body in boxes(scan):
        if name == b"jp2h":
            inner = [(kind, held) for kind, held in boxes(body) if kind != drop]
            inside = b"".join(box(kind, held) for kind, held in (*inner, *header))
            out += box(name, inside) + more
        else:
            out += box(name, body)
    return out + last


def colours(method: int, rest: bytes) -> bytes:
    return bytes([method, 0, 0]) + rest


def refusal(tmp_path: Path, scan: bytes, **changes: Any) -> str:
    with pytest.raises(Refused) as caught:
        prepared(tmp_path, scan, **changes)
    return caught.value.code


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_i11_the_file_is_the_stream(tmp_path: Path, mode: str) -> None:
    """From the first to the last byte; it says its colours itself, so nothing else does."""
    scan = encoded(drawn(mode), "JPEG2000")
    source, target, reply = prepared(tmp_path, scan)

    held = held_by(target)
    assert held.raw == scan
    assert set(held.words) == {"/Type", "/Subtype", "/Width", "/Height", "/Filter", "/Length"}
    assert (reply["kind"], reply["transcoded"]) == ("jp2", False)
    unclaimed = ("pdfa-not-claimed",) if mode == "CMYK" else ()
    assert reply["findings"] == ("resolution-unknown", *unclaimed)
    assert read_back(source, target, "jp2")["compared"] == "streams"
    if mode != "CMYK":
        assert same_pixels(poppler_sees(target), drawn(mode))


@pytest.mark.parametrize(
    "scan",
    [
        encoded(drawn("L"), "JPEG2000", irreversible=True),
        encoded(drawn("RGB"), "JPEG2000", tile_size=(32, 32)),
        encoded(drawn("I;16"), "JPEG2000"),
        jp2(drop=b"colr", header=((b"colr", colours(2, SRGB)),)),
        jp2(more=box(b"xml ", b"<a/>", long=True)),
        jp2(last=box(b"uuid", bytes(16))),
        RGB + bytes(300),
    ],
)
def test_i11_other_files_around_one_image_are_carried(tmp_path: Path, scan: bytes) -> None:
    """Lossy, in tiles, with 16 bits, with a profile, with words about it, in whole sectors."""
    source, target, reply = prepared(tmp_path, scan)

    assert held_by(target).raw == scan
    assert read_back(source, target, reply["kind"])["compared"] == "streams"


@pytest.mark.parametrize(
    ("name", "dots", "expected"),
    [(b"resc", (11811, 1, 7874, 1, 0, 0), (200, 300)), (b"resd", (7874, 100, 11811, 100, 2, 2), (300, 200))],
)  # fmt: skip
def test_a_page_is_as_large_as_the_resolution_says(
    tmp_path: Path, name: bytes, dots: tuple[int, ...], expected: tuple[int, int]
) -> None:
    """Per metre, down first; as it was scanned, or as it is to be shown."""
    resolution = box(name, struct.pack(">4H2b", *dots))

    _, target, reply = prepared(tmp_path, jp2(header=((b"res ", resolution),)))

    with pikepdf.open(target) as made:
        found = [float(edge) for edge in made.pages[0].obj.MediaBox[2:]]
    across, down = expected
    assert found == pytest.approx([WIDTH * 72 / across, HEIGHT * 72 / down], rel=1e-3)
    assert "resolution-unknown" not in reply["findings"]


def changed(scan: bytes, old: bytes, new: bytes) -> bytes:
    assert scan.count(old) == 1
    return scan.replace(old, new)


SIZES: Final = RGB[(at := RGB.index(b"\xff\x51")) : at + 6] + struct.pack(">II", WIDTH, HEIGHT)
"""As the code stream says them; the header has the height first."""
HEADER: Final = struct.pack(">IIHBBBB", HEIGHT, WIDTH, 3, 7, 7, 0, 0)
PARTS: Final = b"\x00\x03" + b"\x07\x01\x01" * 3
"""Three components of eight bits, none of them smaller than the image."""


@pytest.mark.parametrize(
    ("scan", "code"),
    [
        (encoded(drawn("RGB"), "JPEG2000", no_jp2=True), "image-unsupported"),
        (encoded(drawn("RGBA"), "JPEG2000"), "image-unsupported"),
        (encoded(drawn("LA"), "JPEG2000"), "image-unsupported"),
        (jp2(header=((b"pclr", b"\0\1\3\7\7\7\0\0\0"),)), "image-unsupported"),
        (jp2(drop=b"colr", header=((b"colr", colours(1, b"\0\0\0\x0e")),)), "image-unsupported"),
        (jp2(drop=b"colr", header=((b"colr", colours(1, b"\0\0\0\x11")),)), "image-unsupported"),
        (jp2(more=boxes(RGB)[-1][1] and box(*boxes(RGB)[-1])), "image-unsupported"),
        (jp2(more=box(b"mdat", b"")), "image-unsupported"),
        (changed(RGB, b"ftypjp2 \0\0\0\0jp2 ", b"ftypjpm \0\0\0\0jpm "), "image-unsupported"),
        (changed(RGB, PARTS, b"\x00\x03" + b"\x07\x02\x02" * 3), "image-unsupported"),
        (changed(RGB, PARTS, b"\x00\x03" + b"\x87\x01\x01" * 3), "image-unsupported"),
        (changed(RGB, PARTS, b"\x00\x03" + b"\x1f\x01\x01" * 3), "image-unsupported"),
        (RGB + b"more", "file-incomplete"),
        (RGB + bytes(2000), "image-unsupported"),
        (RGB + bytes(20) + b"more", "image-unsupported"),
        (jp2(drop=b"colr"), "image-damaged"),
        (jp2(drop=b"ihdr"), "image-damaged"),
        (changed(RGB, HEADER, HEADER[:4] + bytes(4) + HEADER[8:]), "image-damaged"),
        (changed(RGB, SIZES, SIZES[:6] + struct.pack(">II", WIDTH + 1, HEIGHT)), "image-damaged"),
        (changed(RGB, b"\xff\x4f\xff\x51", b"\xff\x4f\xff\x52"), "image-damaged"),
        (RGB.replace(b"\x00\x00\x00\x14ftyp", b"\x00\x00\x00\x07ftyp"), "image-damaged"),
        (RGB[:-2], "file-incomplete"),
        (RGB[:-2] + b"\0\0", "file-incomplete"),
        (RGB[: len(RGB) // 2], "file-incomplete"),
        (RGB[:40], "file-incomplete"),
        (RGB[:12] + box(b"free", b"") * 300 + RGB[12:], "image-damaged"),
    ],
)
def test_what_a_reader_might_show_otherwise_is_refused(
    tmp_path: Path, scan: bytes, code: str
) -> None:
    """Not one image, not its own colours, or not all of it."""
    assert refusal(tmp_path, scan) == code


def test_i10_too_many_pixels_are_never_decoded(tmp_path: Path) -> None:
    """The header decides, before any decoder is asked."""
    assert refusal(tmp_path, RGB, max_pixels=WIDTH * HEIGHT - 1) == "too-many-pixels"
    large = changed(RGB, HEADER, b"\x7f\xff\xff\xff" + HEADER[4:])
    assert refusal(tmp_path, large) == "too-many-pixels"


def test_i10_two_sizes_are_seen_before_a_decoder_believes_one(tmp_path: Path) -> None:
    """The header is small and the code stream is not."""
    scan = changed(RGB, SIZES, SIZES[:6] + b"\0\1\0\0\0\1\0\0")

    with pytest.raises(Refused, match="two sizes"):
        prepared(tmp_path, scan)


def test_a_box_without_a_length_goes_on_to_the_end(tmp_path: Path) -> None:
    """As some write the image's."""
    place = RGB.index(b"jp2c") - 4
    scan = RGB[:place] + bytes(4) + RGB[place + 4 :]

    source, target, _ = prepared(tmp_path, scan)

    assert read_back(source, target, "jp2")["images"] == 1
    with Image.open(source) as image:
        assert image.size == SIZE
