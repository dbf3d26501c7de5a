"""The pages of a wrapped TIFF against its images: streams where they were carried, and pixels.

Pillow says which images there are, where their strips lie and how they want to be
turned. A carried stream has to be those strips, byte for byte, with nothing between
them but what joins them; and it has to decode to the pixels that the TIFF decodes
to, because its bytes alone do not say which of them are black. What was not carried
has to have every sample; and in Group 4 it has to be what its encoder makes of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final

from pikepdf import Name, Stream
from PIL import Image

from daemon.pages import decoded, fax, pixels
from daemon.pages.frames import blank, decoding
from daemon.pages.graphs import Differ
from daemon.pages.page import Shown, carries, has_only, pieces_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TURNED: Final = {
    1: (0, False),
    2: (0, True),
    3: (180, False),
    4: (180, True),
    5: (270, True),
    6: (90, False),
    7: (90, True),
    8: (270, False),
}
"""By TIFF's and Exif's orientation: clockwise degrees, after mirroring or not."""
UPRIGHT: Final = (0, False)
BACKWARDS: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
RLE, G3, G4, OLD_JPEG, DEFLATES, YCBCR = 2, 3, 4, 6, (8, 32946), 6
FAX, DCT, FLATE = "/CCITTFaxDecode", "/DCTDecode", "/FlateDecode"
PACKED: Final = frozenset({"/LZWDecode", "/RunLengthDecode", FLATE})
GROUND: Final = 1
"""Of pixels that are not decoded: not the one that the wrapping code has."""
FORMS: Final = {RLE: (0,), G3: (0, 1), G4: (-1,)}
"""What K can be, by the TIFF's compression."""


@dataclass(frozen=True, slots=True)
class _Tags:
    """What one image's tags say of its strips."""

    tags: Mapping[int, Any]

    def number(self, tag: int, default: int) -> int:
        value = self.tags.get(tag, default)
        value = value[0] if isinstance(value, tuple) and value else value
        return value if isinstance(value, int) else default

    @property
    def turned(self) -> tuple[int, bool]:
        """How the image wants to be shown."""
        return TURNED.get(self.number(274, 1), UPRIGHT)

    @property
    def strips(self) -> tuple[tuple[int, int], ...]:
        """Place and length of each strip; none where there are tiles, or no lengths."""
        offsets, lengths = self.tags.get(273, ()), self.tags.get(279, ())
        if 324 in self.tags or len(offsets) != len(lengths) or min(lengths, default=0) <= 0:
            return ()
        if not all(isinstance(number, int) for number in (*offsets, *lengths)):
            raise Differ("strips of the original lie at no whole numbers")
        return tuple(zip(offsets, lengths, strict=True))

    @property
    def seams(self) -> frozenset[int]:
        """The rows at which strips meet."""
        rows, height = self.number(278, 0), self.number(257, 0)
        meet = range(rows, height, rows) if 0 < rows < height else ()
        return frozenset(row for at in meet for row in (at - 1, at))


def same(
    image: Image.Image, path: str, file: IO[bytes], pages: list[Shown], max_pixels: int
) -> tuple[int, str]:
    """Return how many pages there are, and whether all of them are `streams`, or some `pixels`.

    Raise Differ unless each image of the TIFF is one page, in its place.
    """
    compared = "streams"
    wanted = iter(pages)
    for index in _page_indexes(image):
        shown = next(wanted, None)
        if shown is None:
            raise Differ("the original has more images than the sealed file has pages")
        with decoding():
            image.seek(index)
            image.info.pop("xmp", None)  # no other reader is turned by it
            held = image.tag_v2  # type: ignore[attr-defined]
            tags = _Tags({tag: held[tag] for tag in held if held.get(tag) is not None})
        size = tags.number(256, 0), tags.number(257, 0)
        if size[0] * size[1] > max_pixels:
            raise Differ("the original has more pixels than may be decoded")
        # Pillow leaves the pixels that were there where libtiff cannot read a directory.
        image.im = blank(image.mode, size, GROUND).im
        if _is_carried(shown, tags, file):
            _carried(image, path, file, shown, tags)
        else:
            _coded_anew(image, path, shown)
            compared = "pixels"
    if next(wanted, None) is not None:
        raise Differ("the sealed file has more pages than the original has images")
    return len(pages), compared


def _page_indexes(image: Image.Image) -> list[int]:
    """Return which images of the TIFF are pages: all but reduced versions of larger ones."""
    found: list[tuple[bool, int, int]] = []
    with decoding():
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            tags = image.tag_v2  # type: ignore[attr-defined]
            reduced = tags[254] & 1 == 1 if 254 in tags else tags.get(255) == 2
            found.append((reduced, tags[256], tags[257]))
    full = [(width, height) for reduced, width, height in found if not reduced]
    return [
        index
        for index, (reduced, width, height) in enumerate(found)
        if not (reduced and any(w > width and h > height for w, h in full))
    ]


def _is_carried(shown: Shown, tags: _Tags, file: IO[bytes]) -> bool:
    """Return whether the page has to hold the TIFF's own strips, for what it says it is."""
    compression, height = tags.number(259, 1), tags.number(257, 0)
    alone = len(tags.strips) == 1 and tags.number(278, height) >= height
    if shown.filter == FAX:
        form = decoded.words_of(shown.image, decoded.FAX_WORDS).get_int("/K") or 0
        if form not in FORMS.get(compression, ()):
            return False
        # What could be carried as Group 4 may also be coded once more, in Group 4.
        return compression != G4 or (alone and _holds(shown, file, tags))
    if shown.filter == FLATE:
        return compression in DEFLATES and alone and _holds(shown, file, tags)
    return True


def _holds(shown: Shown, file: IO[bytes], tags: _Tags) -> bool:
    """Return whether the stream is the only strip's bytes."""
    try:
        _holds_strips(shown.image, file, shown.filter, tags)
    except Differ:
        return False
    return True


def _carried(image: Image.Image, path: str, file: IO[bytes], shown: Shown, tags: _Tags) -> None:
    if shown.turned != tags.turned:
        raise Differ("a page of the sealed file is turned otherwise")
    held = shown.image
    if tags.number(259, 1) == OLD_JPEG:
        carries(held, pieces_of(file, tags.number(513, 0), tags.number(514, 0)))
        return _whole_jpeg(image, held)
    _holds_strips(held, file, shown.filter, tags)
    seams: frozenset[int] = frozenset()
    if shown.filter == FAX:
        has_only(held, "/ColorSpace", "/BitsPerComponent", "/DecodeParms")
        _need(pixels.space_of(held, image) == ("L", b""), held, 1)
        found: tuple[Image.Image, ...] = (decoded.fax(held),)
    elif shown.filter == DCT:
        has_only(held, "/ColorSpace", "/BitsPerComponent", "/DecodeParms")
        decoded.words_of(held, frozenset({"/ColorTransform"}))
        _need(pixels.space_of(held, image) == (image.mode, b""), held, 8)
        found = (decoded.jpeg(held),)
        if len(tags.strips) > 1 and tags.number(262, 0) == YCBCR:
            # Colour that has fewer rows is smoothed across seams; the bytes are compared.
            seams = tags.seams
    elif shown.filter in PACKED:
        has_only(held, "/ColorSpace", "/BitsPerComponent", "/DecodeParms", "/Decode")
        _need(decoded.size_of(held) == (tags.number(256, 0), tags.number(257, 0)), held, 0)
        found = decoded.packed(held, *pixels.space_of(held, image))
    else:
        raise Differ("the sealed file describes a strip otherwise")
    for one, other in zip(found, _originals(image, path, len(found)), strict=True):
        pixels.same(one, pixels.as_stored(other, tags.turned), seams)
    return None


def _need(holds: object, held: Stream, bits: int) -> None:
    if not holds or (bits and held.get_int(Name.BitsPerComponent) != bits):
        raise Differ("the sealed file describes a strip otherwise")


def _originals(image: Image.Image, path: str, count: int) -> tuple[Image.Image, ...]:
    """Return what the TIFF decodes to, in modes that a sealed image can decode to."""
    frame, lower = pixels.frame_of(image, path)
    if (lower is not None) != (count == 2):
        raise Differ("a carried image has samples of another size")
    if lower is not None:
        return frame, lower
    if frame.mode == "P":
        return (frame.convert("RGB"),)
    if frame.mode == "I;16B":
        high_first = frame.tobytes("raw", "I;16B")
        return (Image.frombytes("I;16", frame.size, high_first, "raw", "I;16B"),)
    return (frame,)


def _whole_jpeg(image: Image.Image, held: Stream) -> None:
    """Compare what the page says about the only JPEG of an image in the older way."""
    has_only(held, "/ColorSpace", "/BitsPerComponent")
    found = decoded.jpeg(held)
    _need(
        decoded.size_of(held) == found.size
        and found.size in {image.size, image.size[::-1]}
        and pixels.space_of(held, image) == (found.mode, b""),
        held,
        8,
    )


def _coded_anew(image: Image.Image, path: str, shown: Shown) -> None:
    if shown.turned != UPRIGHT:
        raise Differ("a page of the sealed file is turned")
    if shown.filter == FLATE:
        pixels.equal(shown.image, image, path)  # which comes upright out of the decoder
        return
    if shown.filter != FAX:
        raise Differ("a page of the sealed file has pixels of no known coding")
    has_only(shown.image, "/ColorSpace", "/BitsPerComponent", "/DecodeParms")
    _need(pixels.space_of(shown.image, image) == ("L", b""), shown.image, 1)
    (original,) = _originals(image, path, 1)
    pixels.same(decoded.fax(shown.image), original)
    # Words that mean these pixels to one reader need not mean them to the next.
    carries(shown.image, iter([fax.group4(original)]))


def _holds_strips(held: Stream, file: IO[bytes], filtered: str, tags: _Tags) -> None:
    """Raise Differ unless the stream is the strips, one behind the other."""
    if not tags.strips:
        raise Differ("the sealed file carries strips that there are not")
    if filtered == DCT and len(tags.strips) > 1:
        _holds_scans(held, file, tags)
    elif filtered in {FAX, DCT, "/RunLengthDecode"} or len(tags.strips) == 1:
        carries(held, _pieces(file, filtered, tags))
    else:
        raise Differ("the sealed file carries one of several strips")


def _pieces(file: IO[bytes], filtered: str, tags: _Tags) -> Iterator[bytes]:
    for start, length in tags.strips:
        begin, long = start, length
        if filtered == DCT:
            tables = tags.tags.get(347, b"")
            yield b"\xff\xd8" + tables[2:-2]
            begin, long = start + 2, length - 2
        for piece in pieces_of(file, begin, long):
            turned = filtered == FAX and tags.number(266, 1) == 2
            yield piece.translate(BACKWARDS) if turned else piece
    if filtered == "/RunLengthDecode":
        yield b"\x80"


def _holds_scans(held: Stream, file: IO[bytes], tags: _Tags) -> None:
    """Raise Differ unless a JPEG's coded data is that of the strips, with restarts between."""
    rest = _coded_data(held.read_raw_bytes())
    place = 0
    for number, (start, length) in enumerate(tags.strips):
        file.seek(start)
        mine = _coded_data(file.read(length))
        if number:
            mine = bytes((0xFF, 0xD0 + (number - 1) % 8)) + mine
        if rest[place : place + len(mine)] != mine:
            raise Differ("an image of the sealed file has other bytes")
        place += len(mine)
    if place != len(rest):
        raise Differ("an image of the sealed file has other bytes")


def _coded_data(data: bytes) -> bytes:
    """Return what lies between a JPEG's first scan header and its end."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        if data[place + 1] == 0xDA:
            return data[place + 2 + length : data.rfind(b"\xff\xd9")]
        place += 2 + length
    raise Differ("a strip of the original is no JPEG")
