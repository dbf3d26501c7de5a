"""TIFFs become pages: strips carried, joined or coded anew, and what of it is refused."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import pikepdf
import pytest
from PIL import Image, ImageChops

from daemon.errors import PermanentError, Refused
from daemon.pages import frames
from tests.unit.pages_samples import SIZE, drawn, encoded, jpeg, prepared, read_back, tiff
from tests.unit.pages_seen import Held, held_by, poppler_sees, same_pixels, seen, shown
from tests.unit.tiff_samples import (
    Directory,
    Value,
    directory_of,
    lzw,
    plain,
    repacked,
    rows_of,
    run_lengths,
    tiff_file,
    tiles_of,
)

if TYPE_CHECKING:
    from pathlib import Path

WIDTH, HEIGHT = SIZE
PHOTOMETRIC: Final = {"1": 1, "L": 1, "RGB": 2, "P": 3, "CMYK": 5, "YCbCr": 6, "LAB": 8}


def wrapped(tmp_path: Path, scan: bytes, compared: str) -> tuple[Held, dict[str, Any]]:
    """Prepare a TIFF and read it back; return the first page's image, and the reply."""
    source, target, reply = prepared(tmp_path, scan)

    assert read_back(source, target, "tiff")["compared"] == compared
    assert reply["transcoded"] == (compared == "pixels")
    assert ("transcoded" in reply["findings"]) == reply["transcoded"]
    return held_by(target), reply


def refusal(tmp_path: Path, scan: bytes, **changes: Any) -> str:
    with pytest.raises(Refused) as caught:
        prepared(tmp_path, scan, **changes)
    return caught.value.code


def of(mode: str, **tags: Value) -> Directory:
    """Return an uncompressed image; *tags* are named `t317` and so on."""
    image = drawn(mode)
    more = {int(name[1:]): value for name, value in tags.items()}
    if mode == "P":
        palette = (image.getpalette("RGB") or [])[: 3 * 256]
        palette += [0] * (3 * 256 - len(palette))
        colours = tuple(palette[at] * 257 for band in range(3) for at in range(band, 768, 3))
        more.setdefault(320, colours)
    bits = 1 if mode == "1" else 8
    made = plain(image, PHOTOMETRIC[mode], bits=bits)
    return replace(made, tags={**made.tags, **more})


def strips(scan: bytes) -> list[bytes]:
    return list(directory_of(scan).parts)


class TestFax:
    """G3, G4 and modified Huffman."""

    @pytest.mark.parametrize("order", [1, 2])
    @pytest.mark.parametrize(
        ("compression", "options"),
        [("tiff_ccitt", None), ("group3", 0), ("group3", 1), ("group3", 4), ("group3", 5)],
    )
    def test_i11_strips_whose_rows_stand_alone_are_joined(
        self, tmp_path: Path, compression: str, options: int | None, order: int
    ) -> None:
        """One behind the other, byte for byte; poppler, too, makes the one page of them."""
        tags = {278: 16, 262: 0, 266: order} | ({} if options is None else {292: options})
        scan = tiff(drawn("1"), compression=compression, tags=tags)
        assert len(strips(scan)) == 6

        held, _ = wrapped(tmp_path, scan, "streams")

        joined = b"".join(strips(scan))
        turned = bytes(int(f"{byte:08b}"[::-1], 2) for byte in joined)
        assert held.raw == (joined if order == 1 else turned)
        assert ("/EncodedByteAlign true" in held.words["/DecodeParms"]) == (options is None)
        assert same_pixels(poppler_sees(next(tmp_path.glob("*.prepared"))), drawn("1"))

    @pytest.mark.parametrize("photometric", [0, 1])
    @pytest.mark.parametrize("orientation", [1, 6, 7])
    def test_i11_strips_of_group_4_are_coded_once_more_in_one(
        self, tmp_path: Path, photometric: int, orientation: int
    ) -> None:
        """Each began below a white row of its own. As fax coding again: a third of Flate's size."""
        scan = tiff(
            drawn("1"),
            compression="group4",
            tags={278: 16, 262: photometric, 274: orientation},
        )

        held, _ = wrapped(tmp_path, scan, "pixels")

        assert held.words["/Filter"] == "/CCITTFaxDecode"
        assert "/K -1" in held.words["/DecodeParms"]
        assert len(held.raw) < sum(map(len, strips(scan)))
        target, source = (next(tmp_path.glob(f"*.{kind}")) for kind in ("prepared", "original"))
        assert same_pixels(shown(target), seen(source))

    def test_tiles_of_a_fax_are_coded_once_more_in_one_strip(self, tmp_path: Path) -> None:
        """Scanners of plans write them."""
        corners = [(x, y) for y in range(0, 96, 32) for x in range(0, 64, 32)]
        parts = [
            strips(
                tiff(drawn("1").crop((x, y, x + 32, y + 32)), compression="group4", tags={262: 0})
            )[0]
            for x, y in corners
        ]
        made = of("1", t262=0, t322=32, t323=32)
        tags = {tag: value for tag, value in made.tags.items() if tag != 278}
        scan = tiff_file(Directory({**tags, 259: 4}, parts, tiled=True))

        held, _ = wrapped(tmp_path, scan, "pixels")

        assert held.words["/Filter"] == "/CCITTFaxDecode"
        target, source = (next(tmp_path.glob(f"*.{kind}")) for kind in ("prepared", "original"))
        assert same_pixels(shown(target), seen(source))

    @pytest.mark.parametrize("ending", [b"\x00\x10", b"\x00\x10\x01\x00\x10\x01\x00\x10\x01"])
    def test_a_strip_that_ends_a_page_is_not_joined(self, tmp_path: Path, ending: bytes) -> None:
        """A row's mark at its end can mean the end of all: readers differ about what follows."""
        scan = tiff(drawn("1"), compression="group3", tags={278: 42, 262: 0, 292: 0})
        made = directory_of(scan)
        first, second = made.parts

        held, _ = wrapped(
            tmp_path, tiff_file(replace(made, parts=[first + ending, second])), "pixels"
        )

        assert "/K -1" in held.words["/DecodeParms"]

    @pytest.mark.parametrize(
        ("coding", "junk"), [("group3", b"\x00\x03" * 4), ("group4", b"\x01" * 4)]
    )
    def test_a_fax_with_words_that_mean_nothing_is_damaged(
        self, tmp_path: Path, coding: str, junk: bytes
    ) -> None:
        """Readers guess at the rest of the row: libtiff makes it white, and Pillow says nothing."""
        scan = bytearray(tiff(drawn("1"), compression=coding, tags={262: 0}))
        place = scan.index(strips(bytes(scan))[0]) + 40
        scan[place : place + len(junk)] = junk

        with Image.open(write(tmp_path, bytes(scan))) as image:
            image.load()  # so much for that
        assert refusal(tmp_path, bytes(scan)) == "image-damaged"

    @pytest.mark.parametrize(("coding", "first"), [("group3", 12), ("group4", 12), ("group4", 75)])
    def test_a_fax_that_was_never_filled_is_incomplete(
        self, tmp_path: Path, coding: str, first: int
    ) -> None:
        """A drive made the file as long as it would be: its rest is zeros, and decodes as white."""
        scan = bytearray(tiff(drawn("1"), compression=coding, tags={262: 0}))
        (strip,) = strips(bytes(scan))
        place = scan.index(strip)
        scan[place + first : place + len(strip)] = bytes(len(strip) - first)

        with Image.open(write(tmp_path, bytes(scan))) as image:
            image.load()
        assert refusal(tmp_path, bytes(scan)) == "file-incomplete"

    @pytest.mark.parametrize("coding", ["group3", "group4"])
    def test_zeros_behind_a_whole_fax_are_none_of_it(self, tmp_path: Path, coding: str) -> None:
        """Some devices fill up to a sector."""
        made = directory_of(tiff(drawn("1"), compression=coding, tags={262: 0}))

        wrapped(tmp_path, tiff_file(replace(made, parts=[made.parts[0] + bytes(99)])), "streams")


def write(tmp_path: Path, scan: bytes) -> Path:
    path = tmp_path / "scan"
    path.write_bytes(scan)
    return path


class TestPacked:
    """LZW, Deflate and PackBits."""

    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK"])
    @pytest.mark.parametrize(
        ("compression", "pack", "name"),
        [
            (5, lzw, "/LZWDecode"),
            (8, zlib.compress, "/FlateDecode"),
            (32946, zlib.compress, "/FlateDecode"),
            (32773, run_lengths, "/RunLengthDecode"),
        ],
    )
    def test_i11_one_strip_is_carried(
        self, tmp_path: Path, compression: int, pack: Any, name: str, mode: str, order: str
    ) -> None:
        """PDF has the same codings under other names."""
        image = of(mode)
        packed = pack(image.parts[0])
        scan = tiff_file(repacked(image, compression, [packed]), order=order)

        held, _ = wrapped(tmp_path, scan, "streams")

        assert held.words["/Filter"] == name
        assert held.raw == packed + (b"\x80" if compression == 32773 else b"")
        assert held.data == image.parts[0]
        if mode != "CMYK":
            assert same_pixels(poppler_sees(next(tmp_path.glob("*.prepared"))), drawn(mode))

    def test_i11_what_libtiff_packs_is_carried_too(self, tmp_path: Path) -> None:
        """With codes of up to twelve bits, which the ones of these tests do not have."""
        for compression in ("tiff_lzw", "packbits", "tiff_adobe_deflate"):
            noise = Image.effect_noise(SIZE, 60).convert("RGB")
            scan = tiff(noise, compression=compression)

            held, _ = wrapped(tmp_path, scan, "streams")

            assert held.data == noise.tobytes()

    @pytest.mark.parametrize("mode", ["1", "L"])
    def test_i11_white_may_be_zero(self, tmp_path: Path, mode: str) -> None:
        """The samples stay what they are; PDF is told what they mean."""
        image = of(mode, t262=0)
        scan = tiff_file(repacked(image, 8, [zlib.compress(image.parts[0])]))

        held, _ = wrapped(tmp_path, scan, "streams")

        assert held.words["/Decode"] == "[ 1 0 ]"
        negative = ImageChops.invert(drawn(mode))
        assert same_pixels(poppler_sees(next(tmp_path.glob("*.prepared"))), negative)

    @pytest.mark.parametrize(("mode", "bits"), [("L", 2), ("L", 4), ("P", 1), ("P", 2), ("P", 4)])
    def test_i11_few_bits_stay_few(self, tmp_path: Path, mode: str, bits: int) -> None:
        """Office scanners write 16 greys; a form can have four colours."""
        data = bytes((7 * at) % 256 for at in range((WIDTH * bits + 7) // 8 * HEIGHT))
        tags: dict[str, Value] = {"t258": bits}
        if mode == "P":
            tags["t320"] = tuple(257 * ((37 * at) % 256) for at in range(3 << bits))
        image = replace(plain(drawn("L"), PHOTOMETRIC[mode], bits=bits, data=data))
        image = repacked(image, 8, [zlib.compress(data)], **tags)

        held, _ = wrapped(tmp_path, tiff_file(image), "streams")

        assert (held.words["/BitsPerComponent"], held.data) == (str(bits), data)
        target, source = (next(tmp_path.glob(f"*.{kind}")) for kind in ("prepared", "original"))
        if (mode, bits) != ("P", 1):  # pdfimages writes its numbers, not its colours
            assert same_pixels(poppler_sees(target), seen(source))

    @pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
    def test_i11_differences_to_the_pixel_before_are_pdfs_too(
        self, tmp_path: Path, mode: str
    ) -> None:
        """Predictor 2 is the same in both."""
        image = drawn(mode)
        scan = tiff(image, compression="tiff_adobe_deflate", tags={317: 2})

        held, _ = wrapped(tmp_path, scan, "streams")

        assert "/Predictor 2" in held.words["/DecodeParms"]
        assert held.raw == strips(scan)[0]
        assert held.data == image.tobytes()

    def test_i11_packbits_may_come_in_strips(self, tmp_path: Path) -> None:
        """Its runs can follow each other; only the end has to be marked for PDF."""
        image = of("RGB")
        parts = [run_lengths(rows) for rows in rows_of(image, 10)]

        held, _ = wrapped(tmp_path, tiff_file(repacked(image, 32773, parts, t278=10)), "streams")

        assert held.raw == b"".join(parts) + b"\x80"
        assert held.data == image.parts[0]

    @pytest.mark.parametrize(("compression", "pack"), [(5, lzw), (8, zlib.compress)])
    def test_i11_other_strips_are_no_one_stream(
        self, tmp_path: Path, compression: int, pack: Any
    ) -> None:
        """Each ends for itself: what follows would never be read."""
        image = of("RGB")
        parts = [pack(rows) for rows in rows_of(image, 10)]

        held, _ = wrapped(
            tmp_path, tiff_file(repacked(image, compression, parts, t278=10)), "pixels"
        )

        assert (held.words["/Filter"], held.data) == ("/FlateDecode", image.parts[0])

    def test_i11_the_lzw_of_tiff_5_is_not_carried(self, tmp_path: Path) -> None:
        """Its bits lie the other way round: libtiff knows, a reader of PDF does not."""
        image = of("L")
        packed = lzw(image.parts[0], high_first=False)

        held, _ = wrapped(tmp_path, tiff_file(repacked(image, 5, [packed])), "pixels")

        assert (held.words["/Filter"], held.data) == ("/FlateDecode", image.parts[0])

    def test_a_run_of_no_length_is_not_carried(self, tmp_path: Path) -> None:
        """In TIFF it is nothing, in PDF the end of the data."""
        image = of("L")
        packed = b"\x80" + run_lengths(image.parts[0])

        held, _ = wrapped(tmp_path, tiff_file(repacked(image, 32773, [packed])), "pixels")

        assert held.data == image.parts[0]

    def test_what_stands_behind_the_runs_is_not_carried(self, tmp_path: Path) -> None:
        """PDF has an end of the data, and nothing behind it."""
        image = of("L")
        packed = run_lengths(image.parts[0]) + b"\x80rest"

        held, _ = wrapped(tmp_path, tiff_file(repacked(image, 32773, [packed])), "pixels")

        assert held.data == image.parts[0]

    @pytest.mark.parametrize("more", [b"", b"\0" * WIDTH])
    def test_a_strip_with_more_or_less_than_its_rows_is_not_carried(
        self, tmp_path: Path, more: bytes
    ) -> None:
        """Readers of PDF may show it, or not."""
        image = of("L")
        packed = zlib.compress(image.parts[0] + more) + (b"" if more else b"rest")

        held, _ = wrapped(tmp_path, tiff_file(repacked(image, 8, [packed])), "pixels")

        assert held.data == image.parts[0]

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_i11_a_carried_strip_is_turned_by_its_page(
        self, tmp_path: Path, orientation: int
    ) -> None:
        """All eight ways."""
        image = of("RGB", t274=orientation)
        scan = tiff_file(repacked(image, 8, [zlib.compress(image.parts[0])]))

        wrapped(tmp_path, scan, "streams")

        target, source = (next(tmp_path.glob(f"*.{kind}")) for kind in ("prepared", "original"))
        assert same_pixels(shown(target), seen(source))


class TestPixels:
    """What is coded anew keeps every sample."""

    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK"])
    def test_i11_uncompressed_samples(self, tmp_path: Path, mode: str, order: str) -> None:
        """In one strip or in many."""
        image = of(mode)
        parts = rows_of(image, 10)
        for each in (image, replace(image, tags={**image.tags, 278: 10}, parts=parts)):
            held, _ = wrapped(tmp_path, tiff_file(each, order=order), "pixels")

            assert held.data == image.parts[0]

    def test_i11_tiles(self, tmp_path: Path) -> None:
        """Those at the edges hold more than the image."""
        image = of("RGB", t322=16, t323=16)
        tags = {tag: value for tag, value in image.tags.items() if tag != 278}
        parts = [zlib.compress(tile) for tile in tiles_of(drawn("RGB"), 16)]

        held, _ = wrapped(
            tmp_path, tiff_file(Directory({**tags, 259: 8}, parts, tiled=True)), "pixels"
        )

        assert held.data == drawn("RGB").tobytes()

    @pytest.mark.parametrize("mode", ["RGB", "CMYK"])
    def test_i11_planes(self, tmp_path: Path, mode: str) -> None:
        """Each colour in a strip of its own."""
        image = of(mode, t284=2)
        parts = [band.tobytes() for band in drawn(mode).split()]

        held, _ = wrapped(tmp_path, tiff_file(replace(image, parts=parts)), "pixels")

        assert held.data == drawn(mode).tobytes()

    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize(("mode", "samples"), [("L", 1), ("RGB", 3), ("CMYK", 4)])
    @pytest.mark.parametrize("compression", [1, 8])
    def test_i11_all_16_bits(
        self, tmp_path: Path, mode: str, samples: int, order: str, compression: int
    ) -> None:
        """Pillow would keep eight of them without a word. PDF stores the high byte first."""
        values = [(at * 7919) % 65536 for at in range(WIDTH * HEIGHT * samples)]
        data = struct.pack(f"{order}{len(values)}H", *values)
        image = plain(drawn(mode), PHOTOMETRIC[mode], bits=16, data=data)
        scan = repacked(image, compression, [zlib.compress(data) if compression == 8 else data])
        carried = order == ">" and compression == 8

        held, _ = wrapped(
            tmp_path, tiff_file(scan, order=order), "streams" if carried else "pixels"
        )

        assert held.words["/BitsPerComponent"] == "16"
        assert held.data == struct.pack(f">{len(values)}H", *values)

    @pytest.mark.parametrize("page", [0, 1])
    def test_i11_all_16_bits_of_any_page_turned_upright(self, tmp_path: Path, page: int) -> None:
        """Decoding twice has to find the same page twice."""
        data = [bytes((at * 31 + number) % 251 for at in range(8 * 3 * 6)) for number in (0, 7)]
        images = [
            replace(plain(drawn("RGB", (8, 3)), 2, bits=16, data=each), children=())
            for each in data
        ]
        turned = [replace(image, tags={**image.tags, 274: 3}) for image in images]
        source, target, _ = prepared(tmp_path, tiff_file(*turned))

        assert read_back(source, target, "tiff")["compared"] == "pixels"
        little = struct.unpack("<72H", data[page])
        upright = [value for at in range(69, -1, -3) for value in little[at : at + 3]]
        assert held_by(target, page).data == struct.pack(">72H", *upright)

    @pytest.mark.parametrize(("kind", "alpha"), [(2, 77), (2, 255), (1, 255)])
    def test_i11_alpha_is_a_mask_if_it_hides_anything(
        self, tmp_path: Path, kind: int, alpha: int
    ) -> None:
        """Multiplied into the colours or not: opaque is opaque."""
        image = drawn("RGB")
        image.putalpha(alpha)
        made = plain(image, 2)

        held, _ = wrapped(
            tmp_path, tiff_file(replace(made, tags={**made.tags, 338: kind})), "pixels"
        )

        assert held.data == drawn("RGB").tobytes()
        with pikepdf.open(next(tmp_path.glob("*.prepared"))) as pdf:
            masked = pdf.pages[0].obj.Resources.XObject["/Im"].get("/SMask")
            assert (masked is None) == (alpha == 255)
            if masked is not None:
                assert masked.read_bytes() == bytes([alpha]) * WIDTH * HEIGHT


class TestJpeg:
    """JPEG inside of a TIFF."""

    @pytest.mark.parametrize("mode", ["L", "RGB", "YCbCr", "CMYK"])
    @pytest.mark.parametrize("rows", [16, 32, 96])
    def test_i11_strips_become_one_jpeg_with_restarts(
        self, tmp_path: Path, mode: str, rows: int
    ) -> None:
        """The coded data stays; what begins a strip is what a restart is."""
        image = drawn("RGB", (60, 96)).convert(mode)
        scan = tiff(image, compression="jpeg", tags={278: rows})
        parts = strips(scan)
        assert len(parts) == 96 // rows

        held, _ = wrapped(tmp_path, scan, "streams")

        coded = [part[part.index(b"\xff\xda") + 2 :] for part in parts]
        coded = [part[int.from_bytes(part[:2], "big") : -2] for part in coded]
        places = [held.raw.index(part) for part in coded]
        for number, (one, other) in enumerate(pairwise(places)):
            between = held.raw[one + len(coded[number]) : other]
            assert between == bytes([0xFF, 0xD0 + number % 8])
        assert held.raw.endswith(coded[-1] + b"\xff\xd9")
        if mode not in {"CMYK", "YCbCr"}:  # which poppler smooths across seams
            target, source = (next(tmp_path.glob(f"*.{kind}")) for kind in ("prepared", "original"))
            assert same_pixels(poppler_sees(target), seen(source))

    def test_strips_that_end_within_a_row_of_blocks_are_not_joined(self, tmp_path: Path) -> None:
        """Each fills up its own last blocks; joined, these would be rows of the image."""
        tops = range(0, 80, 20)
        parts = [encoded(drawn("L").crop((0, top, 60, top + 20)), "JPEG") for top in tops]
        image = replace(of("L", t257=80, t259=7, t278=20), parts=parts)

        wrapped(tmp_path, tiff_file(image), "pixels")

    @pytest.mark.parametrize(
        "what",
        ["more behind the end", "restarts", "a last strip filled up", "an interval in front"],
    )
    def test_strips_that_are_not_what_they_have_to_be_are_not_joined(
        self, tmp_path: Path, what: str
    ) -> None:
        """Then the pixels are carried that libtiff makes of them one by one."""
        options: dict[str, Any] = {"restart_marker_blocks": 2} if what == "restarts" else {}
        tops = (0, 32, 64)
        parts = [
            encoded(drawn("L", (60, 96)).crop((0, top, 60, top + 32)), "JPEG", **options)
            for top in tops
        ]
        tags: dict[str, Value] = {"t257": 96, "t259": 7, "t278": 32}
        if what == "more behind the end":
            parts[1] += b"more\xff\xd9"
        elif what == "restarts":
            interval = b"\xff\xdd\0\4\0\2"
            assert all(part.count(interval) == 1 for part in parts)
            parts = [part.replace(interval, b"") for part in parts]
        elif what == "a last strip filled up":
            tags["t257"] = 80
        else:
            tags["t347"] = b"\xff\xd8\xff\xdd\0\4\0\2\xff\xd9"

        wrapped(tmp_path, tiff_file(replace(of("L", **tags), parts=parts)), "pixels")

    @pytest.mark.parametrize("kind", ["jfif", "adobe", "ycc named as rgb", "rgb with jfif"])
    def test_markers_have_to_say_what_the_directory_says(self, tmp_path: Path, kind: str) -> None:
        """A reader of the PDF has only the markers. Where they disagree, pixels are carried."""
        made = jpeg("RGB", keep_rgb=kind == "rgb with jfif")
        app0 = made[2:20]
        bare = made[:2] + made[20:]
        assert app0.startswith(b"\xff\xe0")
        adobe = b"\xff\xee\0\x0eAdobe\0d\0\0\0\0\1"
        if kind == "rgb with jfif":
            bare = made[:2] + made[20 + 16 :]
        if kind == "ycc named as rgb":
            for old, new in ((b"\1\x22\0\2\x11\1\3\x11\1", b"R\x22\0G\x11\1B\x11\1"),
                             (b"\1\0\2\x11\3\x11", b"R\0G\x11B\x11")):  # fmt: skip
                assert bare.count(old) == 1
                bare = bare.replace(old, new)
        part = {
            "jfif": made,
            "adobe": bare[:2] + adobe + bare[2:],
            "ycc named as rgb": bare,
            "rgb with jfif": bare[:2] + app0 + bare[2:],
        }[kind]
        photometric = 2 if kind == "rgb with jfif" else 6
        image = replace(of("RGB", t262=photometric, t259=7, t530=(2, 2)), parts=[part])
        trusted = kind in {"jfif", "adobe"}

        held, _ = wrapped(tmp_path, tiff_file(image), "streams" if trusted else "pixels")

        assert (held.raw == part) == trusted

    def test_i11_the_older_way_is_carried_where_the_file_holds_a_whole_jpeg(
        self, tmp_path: Path
    ) -> None:
        """What Windows wrote for years."""
        part = jpeg("RGB")
        image = replace(of("RGB", t259=6, t262=6, t513=8, t514=len(part)), parts=[part])

        held, _ = wrapped(tmp_path, tiff_file(image), "streams")

        assert held.raw == part

    def test_the_older_way_in_parts_is_refused(self, tmp_path: Path) -> None:
        """Tables here, data there: libtiff rounds what it makes of it."""
        image = replace(of("RGB", t259=6, t262=6), parts=[jpeg("RGB")])

        assert refusal(tmp_path, tiff_file(image)) == "image-unsupported"

    def test_tiles_of_jpeg_are_coded_anew(self, tmp_path: Path) -> None:
        """Their rows are not the image's: no one JPEG has them."""
        tiles = [
            encoded(drawn("L").crop((x, y, x + 32, y + 32)), "JPEG")
            for y in range(0, 96, 32)
            for x in range(0, 64, 32)
        ]
        tags = dict(of("L", t259=7, t322=32, t323=32).tags)
        del tags[278]

        held, _ = wrapped(tmp_path, tiff_file(Directory(tags, tiles, tiled=True)), "pixels")

        assert held.words["/Filter"] == "/FlateDecode"


def test_a_mention_of_the_orientation_in_xmp_turns_nothing(tmp_path: Path) -> None:
    """Only Pillow listens to it, and only where the tag is missing."""
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'
    image = of("RGB", t700=packet)
    scan = tiff_file(image)
    with Image.open(write(tmp_path, scan)) as turned:
        turned.load()
        assert turned.size == (HEIGHT, WIDTH)

    held, _ = wrapped(tmp_path, scan, "pixels")

    assert (held.words["/Width"], held.data) == (str(WIDTH), image.parts[0])


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_and_bigtiff(tmp_path: Path, order: str, *, big: bool) -> None:
    """One of the four is refused: Pillow cannot read it, and no scanner is known to write it."""
    images = [repacked(of("L"), 8, [zlib.compress(of("L").parts[0])]), of("RGB")]
    scan = tiff_file(*images, order=order, big=big)

    if big and order == ">":
        with pytest.raises(Refused, match="BigTIFF"):
            prepared(tmp_path, scan)
    else:
        wrapped(tmp_path, scan, "pixels")
        target = next(tmp_path.glob("*.prepared"))
        assert held_by(target, 0).raw == images[0].parts[0]
        assert held_by(target, 1).data == images[1].parts[0]


class TestSize:
    """How large a page is."""

    def box(self, tmp_path: Path, **tags: Value) -> tuple[list[float], tuple[str, ...]]:
        source, target, reply = prepared(tmp_path, tiff_file(of("L", **tags)))
        read_back(source, target, "tiff")
        with pikepdf.open(target) as made:
            found = [round(float(edge), 2) for edge in made.pages[0].obj.MediaBox[2:]]
        return found, reply["findings"]

    def test_a_fax_is_finer_across_than_down(self, tmp_path: Path) -> None:
        """204 to 98: the page is a page, not half of one."""
        found, findings = self.box(tmp_path, t282=Fraction(204), t283=Fraction(98))

        assert found == [round(WIDTH * 72 / 204, 2), round(HEIGHT * 72 / 98, 2)]
        assert "resolution-unknown" not in findings

    def test_turned_pixels_have_turned_resolutions(self, tmp_path: Path) -> None:
        """What was down is across."""
        found, _ = self.box(tmp_path, t282=Fraction(204), t283=Fraction(98), t274=6)

        assert found == [round(HEIGHT * 72 / 98, 2), round(WIDTH * 72 / 204, 2)]

    def test_centimetres(self, tmp_path: Path) -> None:
        """As in the rest of the world."""
        found, _ = self.box(tmp_path, t282=Fraction(100), t283=Fraction(50), t296=3)

        assert found == [round(WIDTH * 72 / 254, 2), round(HEIGHT * 72 / 127, 2)]

    def test_whole_numbers_are_numbers(self, tmp_path: Path) -> None:
        """Some writers do not know about fractions."""
        assert self.box(tmp_path, t282=72, t283=72)[0] == [WIDTH, HEIGHT]

    @pytest.mark.parametrize(("x", "y"), [(204, 98), (2, 1)])
    def test_without_a_unit_the_proportion_is_kept(self, tmp_path: Path, x: int, y: int) -> None:
        """Nobody says how large it is, but how wide a pixel is to its height."""
        found, findings = self.box(tmp_path, t282=Fraction(x), t283=Fraction(y), t296=1)

        assert found == [round(WIDTH * 72 / 300, 2), round(HEIGHT * 72 / (300 * y / x), 2)]
        assert "resolution-unknown" in findings

    def test_a_proportion_that_no_scanner_has_says_nothing(self, tmp_path: Path) -> None:
        """A strip of a hundred to one is a mistake."""
        found, _ = self.box(tmp_path, t282=Fraction(300), t283=Fraction(3), t296=1)

        assert found == [round(WIDTH * 72 / 300, 2), round(HEIGHT * 72 / 300, 2)]


class TestOthers:
    """Directories that are no pages, and some that may not be dropped."""

    small = plain(drawn("L", (8, 8)), 1)

    def test_a_thumbnail_below_its_image_is_a_finding(self, tmp_path: Path) -> None:
        """A reduced version, by its own word and by its size."""
        child = replace(self.small, tags={**self.small.tags, 254: 1})

        _, reply = wrapped(tmp_path, tiff_file(replace(of("L"), children=[child])), "pixels")

        assert (reply["images"], "thumbnail-left-out" in reply["findings"]) == (1, True)

    def test_an_older_word_for_a_thumbnail_counts(self, tmp_path: Path) -> None:
        """SubfileType, before NewSubfileType."""
        old = replace(self.small, tags={**self.small.tags, 255: 2})

        _, reply = wrapped(tmp_path, tiff_file(old, of("L")), "pixels")

        assert (reply["images"], "thumbnail-left-out" in reply["findings"]) == (1, True)

    @pytest.mark.parametrize("kind", [0, 1])
    def test_i11_a_full_image_below_another_is_refused(self, tmp_path: Path, kind: int) -> None:
        """Cameras hide the picture below its thumbnail: neither a page, nor to be dropped."""
        child = replace(of("L"), tags={**of("L").tags, 254: kind})

        assert refusal(tmp_path, tiff_file(replace(self.small, children=[child]))) == (
            "image-unsupported"
        )

    @pytest.mark.parametrize("kind", [4, 5, 8, 16])
    def test_a_layer_is_no_page(self, tmp_path: Path, kind: int) -> None:
        """Masks and the layers of mixed raster content make a page together."""
        assert refusal(tmp_path, tiff_file(of("L"), of("L", t254=kind))) == "image-unsupported"

    def test_i11_thumbnails_do_not_hide_how_many_pages_there_are(self, tmp_path: Path) -> None:
        """What is beyond the directories that are looked at is not dropped, but refused."""
        child = replace(self.small, tags={**self.small.tags, 254: 1})
        scan = tiff_file(of("L"), child, child, child, child, of("L"))

        assert refusal(tmp_path, scan, max_pages=2) == "too-many-pages"
        assert prepared(tmp_path, scan, max_pages=3)[2]["images"] == 2


UNSUPPORTED: Final = {
    "YCbCr": of("YCbCr"),
    "Lab": of("LAB"),
    "floating point": of("L", t339=3),
    "signed": of("L", t339=2),
    "12 bits": plain(drawn("L"), 1, bits=12, data=bytes(WIDTH * HEIGHT * 3 // 2)),
    "16 bits, white is zero": plain(drawn("L"), 0, bits=16, data=bytes(2 * WIDTH * HEIGHT)),
    "16 bits in planes": plain(drawn("RGB"), 2, bits=16, data=bytes(6 * WIDTH * HEIGHT)),
    "extra sample of no kind": replace(
        plain(drawn("RGBA"), 2), tags={**plain(drawn("RGBA"), 2).tags, 338: 0}
    ),
    "extra sample without a word": plain(drawn("RGBA"), 2),
    "premultiplied alpha": replace(
        plain(drawn("RGBA"), 2), tags={**plain(drawn("RGBA"), 2).tags, 338: 1}
    ),
    "other inks": of("CMYK", t332=2),
    "reversed inks": of("CMYK", t336=(255, 0)),
    "more than four inks": plain(drawn("CMYK"), 5, data=bytes(5 * WIDTH * HEIGHT)),
    "16 bits of a palette": of("P", t320=tuple(range(768))),
    "unknown compression": of("L", t259=34712),
    "mask": of("1", t262=4),
    "no photometric": Directory(
        {tag: value for tag, value in of("L").tags.items() if tag != 262}, of("L").parts
    ),
}
UNSUPPORTED["16 bits in planes"] = replace(
    UNSUPPORTED["16 bits in planes"],
    tags={**UNSUPPORTED["16 bits in planes"].tags, 284: 2},
    parts=[bytes(2 * WIDTH * HEIGHT)] * 3,
)
UNSUPPORTED["more than four inks"] = replace(
    UNSUPPORTED["more than four inks"],
    tags={**UNSUPPORTED["more than four inks"].tags, 277: 5, 258: (8,) * 5, 338: 0},
)


@pytest.mark.parametrize("kind", UNSUPPORTED)
def test_i11_what_would_be_nearly_the_same_is_refused(tmp_path: Path, kind: str) -> None:
    """Nearly the same is not the same: docs/decisions/0007 says why for each."""
    assert refusal(tmp_path, tiff_file(UNSUPPORTED[kind])) == "image-unsupported"


DAMAGED: Final = {
    "no rows to a strip": (of("L", t278=0), "image-damaged"),
    "two compressions": (of("L", t259=(1, 5)), "image-damaged"),
    "a third plane order": (
        repacked(of("RGB", t284=3), 5, [lzw(of("RGB").parts[0])]),
        "image-damaged",
    ),
    "no rows to a fax's strip": (
        directory_of(tiff(drawn("1"), compression="group4"), 278),
        "image-damaged",
    ),
    "a fraction for bits": (of("L", t258=Fraction(8)), "image-damaged"),
    "bits of other samples": (of("RGB", t258=(8, 8)), "image-damaged"),
    "a fraction for a size": (of("L", t256=Fraction(60)), "image-damaged"),
    "no size": (of("L", t256=0), "image-damaged"),
    "a palette that is too short": (of("P", t320=tuple([257] * 6)), "image-damaged"),
    "a strip beyond the end": (replace(of("L"), offsets=[1 << 20]), "file-incomplete"),
    "a length beyond the end": (replace(of("L"), counts=[1 << 20]), "file-incomplete"),
    "a strip that is too short": (
        replace(of("L", t278=42), parts=[bytes(WIDTH * 42), bytes(WIDTH)]),
        "image-damaged",
    ),
    "no strip": (Directory(of("L").tags), "image-damaged"),
    "half of the strips": (of("L", t278=42), "image-damaged"),
}


zero_rows, _ = DAMAGED["no rows to a fax's strip"]
DAMAGED["no rows to a fax's strip"] = (
    replace(zero_rows, tags={**zero_rows.tags, 278: 0}), "image-damaged",
)  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGED)
def test_i10_a_directory_that_lies_is_refused(tmp_path: Path, kind: str) -> None:
    """With a code, whatever it says."""
    image, code = DAMAGED[kind]

    assert refusal(tmp_path, tiff_file(image)) == code


def test_i10_strips_that_overlap_are_never_put_together(tmp_path: Path) -> None:
    """84 times one strip: joined, a file of megabytes would have no end."""
    rows = run_lengths(bytes(WIDTH))
    image = replace(
        of("L", t259=32773, t278=1), parts=[rows] * 84, offsets=[8] * 84, counts=[len(rows)] * 84
    )

    held, _ = wrapped(tmp_path, tiff_file(image), "pixels")

    assert held.data == bytes(WIDTH * HEIGHT)


@pytest.mark.parametrize("rows", [1, 1000])
def test_i11_more_or_fewer_strips_than_there_are_rows_for_are_refused(
    tmp_path: Path, rows: int
) -> None:
    """Pillow takes all four of them, libtiff as many as the rows need."""
    rest = [bytes(WIDTH * 21)] * 4
    assert refusal(tmp_path, tiff_file(replace(of("L", t278=rows), parts=rest))) == "image-damaged"
    prepared(tmp_path, tiff_file(replace(of("L", t278=21), parts=rest)))


@pytest.mark.parametrize("tag", ["t254", "t255", "t274"])
def test_i11_an_orientation_in_two_numbers_is_damage(tmp_path: Path, tag: str) -> None:
    """And so is a kind of image: each reader takes another of them."""
    assert refusal(tmp_path, tiff_file(of("L", **{tag: (1, 1)}))) == "image-damaged"


def test_i11_more_tiles_than_the_rows_need_are_refused(tmp_path: Path) -> None:
    """Libtiff takes the first ones, Pillow goes on with the rest where they have no lengths."""
    tags = {tag: value for tag, value in of("L", t322=16, t323=16).tags.items() if tag != 278}
    tiles = tiles_of(drawn("L"), 16)
    prepared(tmp_path, tiff_file(Directory(tags, tiles, tiled=True)))

    for parts in (tiles[:-1], [*tiles, tiles[0]]):
        scan = tiff_file(Directory(tags, parts, tiled=True))
        assert refusal(tmp_path, scan) == "image-damaged"


def test_i10_directories_that_share_their_strips_are_refused_early(tmp_path: Path) -> None:
    """A table of a thousand strips, and a hundred directories that all name it."""
    many = replace(of("L", t257=1000, t278=1), parts=[b""], offsets=[8] * 1000, counts=[8] * 1000)
    one = tiff_file(many)
    (place,) = struct.unpack_from("<I", one, 4)
    directory = one[place:-4]
    chain = b"".join(
        directory + struct.pack("<I", len(one) + (number + 1) * (len(directory) + 4))
        for number in range(100)
    )
    scan = one[:-4] + struct.pack("<I", len(one)) + chain[:-4] + bytes(4)

    assert len(scan) < 50 * 1000
    with pytest.raises(Refused, match="20000 strips"):
        prepared(tmp_path, scan, max_pages=200)


def test_i11_a_page_that_pillow_silently_does_not_decode_is_not_the_one_before(
    tmp_path: Path,
) -> None:
    """Where libtiff cannot read a directory, Pillow keeps the pixels of the one before."""
    one, two = drawn("L", text="one"), drawn("L", text="two")
    second = plain(two, 1)
    tags = {tag: value for tag, value in second.tags.items() if tag != 278}
    broken = replace(second, tags={**tags, 323: 84})  # half of a tile
    scan = tiff_file(plain(one, 1), broken)
    with frames.opened(str(write(tmp_path, scan)), "tiff") as image:
        image.load()
        first = image.tobytes()
        image.seek(1)
        image.load()
        assert image.tobytes() == first

    assert refusal(tmp_path, scan) == "image-damaged"


def test_a_black_page_is_a_page(tmp_path: Path) -> None:
    """It is what a page looks like that was not decoded, so it is decoded twice."""
    black = Image.new("L", SIZE, 0)

    held, _ = wrapped(tmp_path, tiff_file(plain(drawn("L"), 1), plain(black, 1)), "pixels")

    assert held.data == drawn("L").tobytes()


def test_every_refusal_is_one(tmp_path: Path) -> None:
    """A permanent error: the document is set aside, the next one is not."""
    with pytest.raises(PermanentError):
        prepared(tmp_path, tiff_file(UNSUPPORTED["Lab"]))
