"""Strips against their original: one that is dropped, swapped, moved, doubled or mirrored is seen."""

from __future__ import annotations

import re
import zlib
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import pytest
from PIL import Image, ImageOps

from daemon.errors import DaemonError
from daemon.pages import fax, jp2, packet, placeholder, png, tiff
from daemon.pages.picture import Density, Picture, Turn
from daemon.pages.writer import Writer
from tests.unit import pages_samples as samples
from tests.unit.pages_samples import drawn, encoded, read_back
from tests.unit.tiff_samples import directory_of, lzw, plain, repacked, run_lengths, tiff_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Change = Callable[[Picture], Picture]

MANY: Final = 1_000_000
WIDTH, HEIGHT = samples.SIZE


def wrapped(path: Path, kind: str) -> list[Picture]:
    """Return the pages that a scan becomes, with their bytes at hand."""
    size = path.stat().st_size
    found: list[Picture] = []
    with path.open("rb") as file:
        if kind == "tiff":
            frames, _ = tiff.frames_of(file, size, 20, MANY)
            found += [
                with_data(picture, data_of(picture))
                for picture in tiff.pictures(str(path), size, frames)
            ]
        else:
            picture = (
                png.picture(file, str(path), size, MANY)
                if kind == "png"
                else jp2.picture(file, size, MANY)
            )
            found.append(with_data(picture, data_of(picture)))
    return found


def with_data(picture: Picture, data: bytes) -> Picture:
    if picture.mask is not None:
        held = b"".join(picture.mask.chunks())
        picture = replace(picture, mask=replace(picture.mask, chunks=lambda: iter([held])))
    return replace(picture, chunks=lambda: iter([data]))


def data_of(picture: Picture) -> bytes:
    return b"".join(picture.chunks())


def sealed(tmp_path: Path, pictures: list[Picture]) -> Path:
    """Write a file around these pages, as if the code that wraps them were wrong."""
    target = tmp_path / "candidate"
    signature = samples.empty()
    with target.open("w+b") as file:
        writer = Writer(file)
        for picture in pictures:
            writer.page(picture)
        writer.finish(signature, "Seal", packet.fresh(samples.NOTE))
        placeholder.settle(file.fileno(), signature)
    return target


def outcome(tmp_path: Path, scan: bytes, change: Change, kind: str = "tiff") -> str:
    """Return the code that a page with this change ends with; without it the page is as it was."""
    path = tmp_path / "scan"
    path.write_bytes(scan)
    pictures = wrapped(path, kind)
    read_back(path, sealed(tmp_path, pictures), kind)

    wrong = sealed(tmp_path, [change(pictures[0]), *pictures[1:]])
    with pytest.raises(DaemonError) as caught:
        read_back(path, wrong, kind)
    return caught.value.code


def others(old: bytes, new: bytes) -> Change:
    """Change what the dictionary says."""

    def change(picture: Picture) -> Picture:
        assert picture.entries.count(old) == 1
        return replace(picture, entries=picture.entries.replace(old, new))

    return change


def more(entry: bytes) -> Change:
    return lambda picture: replace(picture, entries=picture.entries + entry)


def in_data(change: Callable[[bytes], bytes]) -> Change:
    return lambda picture: with_data(picture, change(data_of(picture)))


def instead(data: bytes) -> Change:
    return lambda picture: with_data(picture, data)


def turned(picture: Picture) -> Picture:
    return replace(picture, turn=Turn(180))


def mirrored(picture: Picture) -> Picture:
    return replace(picture, turn=Turn(0, mirrored=True))


DISORDER: Final[dict[str, Callable[[list[bytes]], list[bytes]]]] = {
    "dropped": lambda parts: parts[:-1],
    "one in the middle dropped": lambda parts: [*parts[:1], *parts[2:]],
    "swapped": lambda parts: [parts[1], parts[0], *parts[2:]],
    "moved to the end": lambda parts: [*parts[1:], parts[0]],
    "doubled": lambda parts: [parts[0], *parts],
    "one more at the end": lambda parts: [*parts, parts[-1]],
    "one in another's place": lambda parts: [parts[0], parts[0], *parts[2:]],
    "one bit changed": lambda parts: [bytes([*parts[0][:9], parts[0][9] ^ 1, *parts[0][10:]]), *parts[1:]],
}  # fmt: skip
"""What can become of the parts of a page."""

G3: Final = samples.tiff(drawn("1"), compression="group3", tags={278: 28, 262: 0, 292: 4})
RLE: Final = samples.tiff(drawn("1"), compression="tiff_ccitt", tags={278: 28, 262: 0})
ROWS: Final = [drawn("L").crop((0, top, WIDTH, top + 28)).tobytes() for top in (0, 28, 56)]
PACKBITS: Final = tiff_file(
    repacked(plain(drawn("L"), 1), 32773, [run_lengths(rows) for rows in ROWS], t278=28)
)
JPEG: Final = samples.tiff(drawn("L", (60, 96)), compression="jpeg", tags={278: 32})
YCBCR: Final = samples.tiff(
    drawn("RGB", (60, 96)).convert("YCbCr"), compression="jpeg", tags={278: 32}
)


@pytest.mark.parametrize("how", DISORDER)
@pytest.mark.parametrize("scan", [G3, RLE, PACKBITS], ids=["G3", "RLE", "PackBits"])
def test_i4_i11_joined_strips_that_are_not_the_originals_are_seen(
    tmp_path: Path, scan: bytes, how: str
) -> None:
    """Each of them is a good stream, and some show a page that looks right at a glance."""
    parts = list(directory_of(scan).parts)
    end = b"\x80" if scan is PACKBITS else b""

    def change(data: bytes) -> bytes:
        assert data == b"".join(parts) + end
        return b"".join(DISORDER[how](parts)) + end

    assert outcome(tmp_path, scan, in_data(change)) == "pages-differ"


@pytest.mark.parametrize("how", DISORDER)
@pytest.mark.parametrize("scan", [JPEG, YCBCR], ids=["grey", "colour"])
def test_i4_i11_joined_jpegs_that_are_not_the_originals_are_seen(
    tmp_path: Path, scan: bytes, how: str
) -> None:
    """Also where the marks between them are right, and where a decoder repairs what is missing."""

    def change(data: bytes) -> bytes:
        begin = data.index(b"\xff\xda") + 2
        begin += int.from_bytes(data[begin : begin + 2], "big")
        parts = re.split(rb"\xff[\xd0-\xd7]", data[begin:-2])
        assert len(parts) == 3
        joined = b""
        for number, part in enumerate(DISORDER[how](parts)):
            joined += (bytes([0xFF, 0xCF + number]) if number else b"") + part
        return data[:begin] + joined + b"\xff\xd9"

    assert outcome(tmp_path, scan, in_data(change)) == "pages-differ"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\xff\xd0", b"\xff\xd1"),
        (b"\xff\xdb\0\x43\0", b"\xff\xdb\0\x43\0\xff"),
        (b"\xff\xdd\0\4\0\x20", b"\xff\xdd\0\4\0\x10"),
        (b"\x08\0\x60\0\x3c", b"\x08\0\x40\0\x3c"),
    ],
    ids=["mark", "quantisation", "interval", "height"],
)
@pytest.mark.parametrize("scan", [JPEG, YCBCR], ids=["grey", "colour"])
def test_i11_a_joined_jpeg_with_another_header_is_seen(
    tmp_path: Path, scan: bytes, old: bytes, new: bytes
) -> None:
    """The coded data is the same, and decodes to something else."""

    def change(data: bytes) -> bytes:
        place = data.index(old)
        return data[:place] + new + data[place + len(new) :]

    assert outcome(tmp_path, scan, in_data(change)) in {"pages-differ", "image-damaged"}


def recoded(change: Callable[[Image.Image], Image.Image]) -> Change:
    def made(picture: Picture) -> Picture:
        assert picture.findings[0] == "transcoded"
        return with_data(picture, data_of(fax.recoded(change(drawn("1")), Density())))

    return made


@pytest.mark.parametrize(
    "change",
    [
        ImageOps.mirror,
        ImageOps.flip,
        ImageOps.invert,
        lambda page: page.transform(page.size, Image.Transform.AFFINE, (1, 0, 0, 0, 1, 1)),
        lambda page: ImageOps.expand(page.crop((0, 0, 60, 80)), (0, 2), 1),
        lambda _: drawn("1", text="Skan"),
    ],
    ids=["mirrored", "upside down", "inverted", "moved", "cropped", "another"],
)
def test_i11_a_fax_that_was_coded_anew_has_every_pixel(
    tmp_path: Path, change: Callable[[Image.Image], Image.Image]
) -> None:
    """Its bytes are new, so its pixels have to prove it."""
    scan = samples.tiff(drawn("1"), compression="group4", tags={278: 28, 262: 0})

    assert outcome(tmp_path, scan, recoded(change)) == "pages-differ"


COLOUR: Final = plain(drawn("RGB"), 2)
SAMPLES: Final = COLOUR.parts[0]
DIFFERENCES: Final = samples.tiff(drawn("RGB"), compression="tiff_adobe_deflate", tags={317: 2})
NEGATIVE: Final = tiff_file(
    repacked(plain(drawn("L"), 0), 8, [zlib.compress(drawn("L").tobytes())])
)
LZW: Final = tiff_file(repacked(COLOUR, 5, [lzw(SAMPLES)]))
DEFLATE: Final = tiff_file(repacked(COLOUR, 8, [zlib.compress(SAMPLES)]))
PALETTE: Final = samples.tiff(drawn("P"), compression="tiff_lzw")
DEEP_DATA: Final = bytes((at * at) % 253 for at in range(6 * WIDTH * HEIGHT))
DEEP: Final = tiff_file(plain(drawn("RGB"), 2, bits=16, data=DEEP_DATA))
DEEP_CARRIED: Final = tiff_file(
    repacked(plain(drawn("RGB"), 2, bits=16, data=DEEP_DATA), 8, [zlib.compress(DEEP_DATA)]),
    order=">",
)
OLD_JPEG: Final = tiff_file(
    replace(
        plain(drawn("RGB"), 6),
        tags={**plain(drawn("RGB"), 6).tags, 259: 6, 513: 8, 514: len(samples.jpeg())},
        parts=[samples.jpeg()],
    )
)


def shallow(picture: Picture) -> Picture:
    """Keep the higher byte of each sample, as Pillow does."""
    data = zlib.decompress(data_of(picture))
    return with_data(
        replace(picture, entries=picture.entries.replace(b"16", b"8")), zlib.compress(data[0::2])
    )


def lower_bit(data: bytes) -> bytes:
    held = bytearray(zlib.decompress(data))
    held[1] ^= 1
    return zlib.compress(bytes(held))


@pytest.mark.parametrize(
    ("scan", "change"),
    [
        (DIFFERENCES, others(b"/Predictor 2", b"/Predictor 1")),
        (DIFFERENCES, others(b"/Colors 3", b"/Colors 1")),
        (NEGATIVE, others(b" /Decode [ 1 0 ]", b"")),
        (NEGATIVE, others(b"[ 1 0 ]", b"[ 0 1 ]")),
        (NEGATIVE, others(b"[ 1 0 ]", b"[ 1 0.1 ]")),
        (LZW, more(b" /Decode [ 1 0 1 0 1 0 ]")),
        (LZW, more(b" /DecodeParms << /EarlyChange 0 >>")),
        (LZW, lambda picture: replace(picture, colours=b"/DeviceCMYK")),
        (LZW, lambda picture: replace(picture, width=HEIGHT, height=WIDTH)),
        (LZW, in_data(lambda data: data + b"\0")),
        (LZW, instead(lzw(SAMPLES[60:] + SAMPLES[:60]))),
        (LZW, more(b" /ImageMask false")),
        (LZW, turned),
        (LZW, mirrored),
        (DEFLATE, instead(zlib.compress(SAMPLES[::-1]))),
        (DEFLATE, turned),
        (
            PALETTE,
            lambda picture: replace(picture, colours=re.sub(b"<.{6}", b"<010203", picture.colours)),
        ),
        (PALETTE, lambda picture: replace(picture, colours=b"/DeviceGray", base=b"")),
        (PACKBITS, in_data(lambda data: data[:-1])),
        (G3, turned),
        (G3, others(b"/K 0", b"/K 1")),
        (RLE, others(b" /EncodedByteAlign true", b"")),
        (JPEG, mirrored),
        (JPEG, more(b" /Decode [ 1 0 ]")),
        (DEEP, in_data(lower_bit)),
        (DEEP, shallow),
        (DEEP, turned),
        (DEEP_CARRIED, in_data(lower_bit)),
        (OLD_JPEG, instead(samples.jpeg(text="Skan"))),
        (OLD_JPEG, more(b" /DecodeParms << /ColorTransform 0 >>")),
        (OLD_JPEG, turned),
        (OLD_JPEG, lambda picture: replace(picture, width=HEIGHT, height=WIDTH)),
    ],
)
def test_i11_a_strip_that_is_described_otherwise_is_seen(
    tmp_path: Path, scan: bytes, change: Change
) -> None:
    """The bytes may be right, and what a reader makes of them is not."""
    assert outcome(tmp_path, scan, change) in {"pages-differ", "image-damaged"}


KEYED: Final = samples.png("RGB", transparency=(255, 0, 7))
FADED: Final = samples.png("RGBA")
FILE: Final = encoded(drawn("RGB"), "JPEG2000")


def without_mask(picture: Picture) -> Picture:
    return replace(picture, mask=None)


def with_opaque_mask(picture: Picture) -> Picture:
    opaque = replace(
        picture,
        entries=b"/BitsPerComponent 8 /Filter /FlateDecode",
        colours=b"/DeviceGray",
        chunks=lambda: iter([zlib.compress(b"\xff" * WIDTH * HEIGHT)]),
    )
    return replace(picture, mask=opaque)


@pytest.mark.parametrize(
    ("scan", "kind", "change"),
    [
        (KEYED, "png", others(b" /Mask [ 255 255 0 0 7 7 ]", b"")),
        (KEYED, "png", others(b"[ 255 255 0 0 7 7 ]", b"[ 0 255 0 0 7 7 ]")),
        (samples.png("RGB"), "png", more(b" /Mask [ 255 255 0 0 7 7 ]")),
        (samples.png("RGB"), "png", with_opaque_mask),
        (FADED, "png", without_mask),
        (FADED, "png", with_opaque_mask),
        (FADED, "png", more(b" /Mask [ 0 0 0 0 0 0 ]")),
        (FILE, "jp2", more(b" /Decode [ 1 0 1 0 1 0 ]")),
        (FILE, "jp2", more(b" /SMaskInData 1")),
        (FILE, "jp2", lambda picture: replace(picture, colours=b"/DeviceRGB")),
        (FILE, "jp2", lambda picture: replace(picture, width=WIDTH + 1)),
        (FILE, "jp2", in_data(lambda data: data + b"\0")),
        (FILE, "jp2", instead(encoded(drawn(text="Skan"), "JPEG2000"))),
        (FILE, "jp2", others(b"/JPXDecode", b"/DCTDecode")),
        (FILE, "jp2", turned),
    ],
)
def test_i11_what_covers_or_colours_an_image_is_seen(
    tmp_path: Path, scan: bytes, kind: str, change: Change
) -> None:
    """Masks, keys and colour spaces that the original does not have, or has otherwise."""
    assert outcome(tmp_path, scan, change, kind) == "pages-differ"


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 1), (0, 1, 2, 2), (0, 0, 2)])
def test_i11_pages_of_strips_are_in_their_places(tmp_path: Path, order: tuple[int, ...]) -> None:
    """Swapped, dropped, doubled: as for any other page."""
    path = tmp_path / "scan"
    texts = [
        plain(drawn("L", text=text), 1, data=drawn("L", text=text).tobytes()) for text in "abc"
    ]
    path.write_bytes(
        tiff_file(*[repacked(text, 8, [zlib.compress(text.parts[0])]) for text in texts])
    )
    pictures = wrapped(path, "tiff")

    assert read_back(path, sealed(tmp_path, pictures), "tiff")["compared"] == "streams"
    made = sealed(tmp_path, [pictures[number] for number in order])
    assert samples.differs(path, made, "tiff") == "pages-differ"


def test_i11_a_page_that_was_not_decoded_is_no_copy_of_the_one_before(tmp_path: Path) -> None:
    """Pillow keeps that one's pixels where libtiff cannot read a directory, and says nothing."""
    one, two = (plain(drawn("L", text=text), 1) for text in ("one", "two"))
    tags = {tag: value for tag, value in two.tags.items() if tag != 278}
    path = tmp_path / "scan"
    path.write_bytes(tiff_file(one, one))
    pictures = wrapped(path, "tiff")

    path.write_bytes(tiff_file(one, replace(two, tags={**tags, 323: 84})))

    assert samples.differs(path, sealed(tmp_path, pictures), "tiff") == "pages-differ"


def test_i11_rows_at_a_seam_are_the_only_ones_that_may_differ(tmp_path: Path) -> None:
    """Colour with fewer rows is smoothed across them; what is not at a seam has to be the same."""
    image = drawn("RGB", (64, 96)).rotate(3)
    parts = [
        encoded(image.crop((0, top, 64, top + 32)), "JPEG", subsampling="4:2:0", quality=60)
        for top in (0, 32, 64)
    ]
    made = plain(image, 6, data=b"-")
    tags: dict[int, Any] = {**made.tags, 259: 7, 278: 32, 530: (2, 2), 282: Fraction(72)}
    scan = tiff_file(replace(made, tags=tags, parts=parts))
    path = tmp_path / "scan"
    path.write_bytes(scan)

    (picture,) = wrapped(path, "tiff")
    target = sealed(tmp_path, [picture])

    assert read_back(path, target, "tiff")["compared"] == "streams"
    (tmp_path / "joined").write_bytes(data_of(picture))
    with Image.open(path) as one, Image.open(tmp_path / "joined") as other:
        differing = [
            row
            for row in range(96)
            if one.crop((0, row, 64, row + 1)).tobytes()
            != other.crop((0, row, 64, row + 1)).tobytes()
        ]
    assert differing
    assert set(differing) <= {31, 32, 63, 64}
