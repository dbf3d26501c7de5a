"""TIFFs, JPEGs, PNGs and JPEG 2000 files of the kinds that scanners write, small and valid."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any, Final

from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

from contrib.demo import scans
from tests.fuzz.segments import joined, split
from tests.unit.pages_samples import SIZE, drawn, encoded, exif, jpeg, png, tiff

WIDTH, HEIGHT = SIZE
TILE: Final = 16
LONG, SHORT = 4, 3
PASSES: Final = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
"""Adam7: first column and row, steps to the right and down."""
BACKWARDS: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def named_components() -> bytes:
    """Return a JPEG that says by nothing but its components' names that it is RGB."""
    segments = split(jpeg(keep_rgb=True))
    return joined([segment for segment in segments if segment.marker not in {0xE0, 0xEE}])


def srgb() -> bytes:
    """Return a colour profile; its date is the only thing that changes from day to day."""
    made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    made[24:36] = struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
    return bytes(made)


def g4_strip(compression: str = "group4") -> bytes:
    """Return a page as fax data, ink as ones."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[278] = HEIGHT
    inverted = drawn("1").point(lambda value: 255 - value)
    data = encoded(inverted, "TIFF", compression=compression, tiffinfo=tags)
    with Image.open(io.BytesIO(data)) as image:
        held = image.tag_v2  # type: ignore[attr-defined]
        start, length = held[273][0], held[279][0]
    return data[start : start + length]


def directory(entries: dict[int, tuple[int, list[int]]], pieces: list[bytes], **how: Any) -> bytes:
    """Return a TIFF of one image, written by hand: *pieces* are its strips or tiles.

    Tag 273 or 324 among the *entries* says which; offsets and lengths are filled in.
    """
    order, big = how.get("order", "<"), how.get("big", False)
    place = 273 if 273 in entries else 324
    data, offsets = b"", []
    start = 16 if big else 8
    for piece in pieces:
        offsets.append(start + len(data))
        data += piece + b"\0" * (len(piece) % 2)
    count = 279 if place == 273 else 325
    filled = entries | {place: (LONG, offsets), count: (LONG, [len(piece) for piece in pieces])}
    table = start + len(data)
    step, inline = (20, 8) if big else (12, 4)
    after = table + (8 if big else 2) + step * len(filled) + inline
    lines, more = b"", b""
    for tag, (kind, values) in sorted(filled.items()):
        held = struct.pack(order + {SHORT: "H", LONG: "I"}[kind] * len(values), *values)
        if len(held) > inline:
            at = struct.pack(order + ("Q" if big else "I"), after + len(more))
            more += held + b"\0" * (len(held) % 2)
            held = at
        lines += struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, len(values))
        lines += held.ljust(inline, b"\0")
    mark = b"II" if order == "<" else b"MM"
    if big:
        head = mark + struct.pack(order + "HHHQ", 43, 8, 0, table)
        return head + data + struct.pack(order + "Q", len(filled)) + lines + bytes(8) + more
    head = mark + struct.pack(order + "HI", 42, table)
    return head + data + struct.pack(order + "H", len(filled)) + lines + bytes(4) + more


def described(
    bits: int, samples: int, photometric: int, **more: int
) -> dict[int, tuple[int, list[int]]]:
    """Return the entries that every image has."""
    return {
        256: (SHORT, [WIDTH]),
        257: (SHORT, [HEIGHT]),
        258: (SHORT, [bits] * samples),
        259: (SHORT, [more.get("compression", 1)]),
        262: (SHORT, [photometric]),
        277: (SHORT, [samples]),
    }


def tiled(*, big: bool = False, order: str = "<") -> bytes:
    """Return a grey page in tiles."""
    page = Image.new("L", (-(-WIDTH // TILE) * TILE, -(-HEIGHT // TILE) * TILE))
    page.paste(drawn("L"))
    tiles = [
        page.crop((x, y, x + TILE, y + TILE)).tobytes()
        for y in range(0, page.height, TILE)
        for x in range(0, page.width, TILE)
    ]
    entries = described(8, 1, 1) | {322: (SHORT, [TILE]), 323: (SHORT, [TILE]), 324: (LONG, [])}
    return directory(entries, tiles, big=big, order=order)


def strips(*, big: bool = False, order: str = "<", rows: int = 20) -> bytes:
    """Return a colour page in strips that are not coded."""
    data, step = drawn().tobytes(), 3 * WIDTH * rows
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    entries = described(8, 3, 2) | {278: (SHORT, [rows]), 273: (LONG, [])}
    return directory(entries, pieces, big=big, order=order)


def planes() -> bytes:
    """Return a colour page whose colours lie in planes of their own."""
    pieces = [band.tobytes() for band in drawn().split()]
    entries = described(8, 3, 2) | {278: (SHORT, [HEIGHT]), 273: (LONG, []), 284: (SHORT, [2])}
    return directory(entries, pieces)


def fax(*, backwards: bool = False, photometric: int = 0, options: int | None = None) -> bytes:
    """Return a page of G4 in one strip."""
    data = g4_strip()
    entries = described(1, 1, photometric, compression=4) | {
        278: (SHORT, [HEIGHT]),
        273: (LONG, []),
    }
    if options is not None:
        entries[293] = (LONG, [options])
    if backwards:
        entries[266] = (SHORT, [2])
        data = data.translate(BACKWARDS)
    return directory(entries, [data])


def sixteen() -> bytes:
    """Return a grey page of 16 bits."""
    data = drawn("I;16").tobytes()
    return directory(described(16, 1, 1) | {278: (SHORT, [HEIGHT]), 273: (LONG, [])}, [data])


def thumbnailed() -> bytes:
    """Return a page and its thumbnail."""
    small = drawn("L").resize((15, 21))
    data = tiff(drawn("L"), small)
    (second,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, second)
    (second,) = struct.unpack_from("<I", data, second + 2 + 12 * entries)
    (entries,) = struct.unpack_from("<H", data, second)
    out = bytearray(data)
    for entry in range(second + 2, second + 2 + 12 * entries, 12):
        # Its software tag becomes the one that calls it a thumbnail, and sorts first no longer.
        if struct.unpack_from("<H", out, entry) == (296,):
            struct.pack_into("<HHIHH", out, entry, 254, 4, 1, 1, 0)
    return bytes(out)


def office() -> bytes:
    """Return a small fax as office scanners write it."""
    with io.BytesIO() as out:
        page = scans.draw_page(3, title="Blatt", colour=False, dpi=60)
        page = page.point([255] * 150 + [0] * 106, "1")
        page.save(
            out, "TIFF", compression="group4", dpi=(60, 60), save_all=True, append_images=[page]
        )
        return out.getvalue()


def interlaced(colour: int = 0) -> bytes:
    """Return a page as interlaced PNG."""
    image = drawn("L" if colour == 0 else "RGB")
    wide = len(image.getbands())
    data, rows = image.tobytes(), b""
    for x0, y0, dx, dy in PASSES:
        for y in range(y0, HEIGHT, dy):
            line = b"".join(
                data[wide * (y * WIDTH + x) : wide * (y * WIDTH + x + 1)]
                for x in range(x0, WIDTH, dx)
            )
            rows += b"\0" + line
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, colour, 0, 0, 1)
    return chunked([(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")])


def chunked(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """Return a PNG of these chunks."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def in_pieces() -> bytes:
    """Return a PNG whose image data lies in many chunks, with a text among them."""
    packed = zlib.compress(
        b"".join(b"\0" + drawn().tobytes()[at : at + 180] for at in range(0, 15120, 180))
    )
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    pieces = [(b"IDAT", packed[at : at + 400]) for at in range(0, len(packed), 400)]
    return chunked([
        (b"IHDR", header),
        (b"tEXt", b"Title\0Scan"),
        (b"pHYs", struct.pack(">IIB", 2835, 2835, 1)),
        *pieces,
        (b"IEND", b""),
    ])  # fmt: skip


def jp2(mode: str = "RGB", **options: Any) -> bytes:
    """Return a page as JPEG 2000."""
    return encoded(drawn(mode), "JPEG2000", **options)


def _tags(orientation: int) -> dict[int, Any]:
    return {274: orientation}


IMAGES: Final[dict[str, Callable[[], bytes]]] = {
    "tiff-raw": lambda: tiff(drawn()),
    "tiff-pages": lambda: tiff(drawn("1"), drawn("1", text="Zwei"), drawn("L"), compression="tiff_lzw"),
    "tiff-g4": fax,
    "tiff-g4-backwards": lambda: fax(backwards=True, photometric=1),
    "tiff-g4-options": lambda: fax(options=0),
    "tiff-g4-strips": lambda: tiff(drawn("1"), one_strip=False, tags={278: 10}, compression="group4"),
    "tiff-g4-pages": lambda: tiff(*[drawn("1", text=str(n)) for n in range(4)], compression="group4"),
    "tiff-office": office,
    "tiff-g3": lambda: tiff(drawn("1"), compression="group3"),
    "tiff-ccitt": lambda: tiff(drawn("1"), compression="tiff_ccitt"),
    "tiff-lzw": lambda: tiff(drawn(), compression="tiff_lzw"),
    "tiff-packbits": lambda: tiff(drawn("L"), compression="packbits"),
    "tiff-deflate": lambda: tiff(drawn(), compression="tiff_adobe_deflate"),
    "tiff-jpeg": lambda: tiff(drawn(), compression="jpeg"),
    "tiff-jpeg-grey": lambda: tiff(drawn("L"), compression="jpeg"),
    "tiff-jpeg-strips": lambda: tiff(drawn(), one_strip=False, tags={278: 16}, compression="jpeg"),
    "tiff-tiled": tiled,
    "tiff-strips": strips,
    "tiff-strips-big-endian": lambda: strips(order=">"),
    "tiff-planes": planes,
    "tiff-sixteen": sixteen,
    "tiff-big": lambda: strips(big=True),
    "tiff-big-tiled": lambda: tiled(big=True, order=">"),
    "tiff-palette": lambda: tiff(drawn("P")),
    "tiff-cmyk": lambda: tiff(drawn("CMYK")),
    "tiff-alpha": lambda: tiff(drawn("RGBA")),
    "tiff-turned": lambda: tiff(drawn("1"), tags=_tags(6), compression="group4"),
    "tiff-mirrored": lambda: tiff(drawn(), tags=_tags(2), compression="tiff_lzw"),
    "tiff-icc": lambda: tiff(drawn(), icc_profile=srgb(), compression="tiff_lzw"),
    "tiff-thumbnail": thumbnailed,
    "jpeg-rgb": jpeg,
    "jpeg-grey": lambda: jpeg("L"),
    "jpeg-cmyk": lambda: jpeg("CMYK"),
    "jpeg-progressive": lambda: jpeg(progressive=True),
    "jpeg-444": lambda: jpeg(subsampling=0),
    "jpeg-restarts": lambda: jpeg(restart_marker_blocks=2),
    "jpeg-components": named_components,
    "jpeg-turned": lambda: jpeg(exif=exif(6)),
    "jpeg-mirrored": lambda: jpeg("L", exif=exif(7)),
    "jpeg-icc": lambda: jpeg(icc_profile=srgb(), comment=b"Scanner"),
    "jpeg-letter": lambda: scans.jpeg_page(5, dpi=60),
    "png-rgb": png,
    "png-grey": lambda: png("L"),
    "png-bits": lambda: png("1"),
    "png-palette": lambda: png("P"),
    "png-palette-clear": lambda: png("P", transparency=3),
    "png-alpha": lambda: png("RGBA"),
    "png-grey-alpha": lambda: png("LA"),
    "png-sixteen": lambda: png("I;16"),
    "png-clear": lambda: png(transparency=(200, 30, 30)),
    "png-icc": lambda: png(icc_profile=srgb()),
    "png-turned": lambda: png("L", exif=exif(8)),
    "png-text": lambda: png(pnginfo=_text()),
    "png-pieces": in_pieces,
    "png-interlaced": interlaced,
    "png-interlaced-rgb": lambda: interlaced(2),
    "jp2-rgb": jp2,
    "jp2-grey": lambda: jp2("L", irreversible=True, quality_layers=[20, 5]),
    "jp2-bare": lambda: jp2(no_jp2=True),
    "jp2-tiles": lambda: jp2(tile_size=(32, 32)),
}  # fmt: skip


def _text() -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", "Scanner")
    info.add_itxt("Title", "Bescheid", zip=True)
    return info
