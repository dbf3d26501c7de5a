"""What a person should know of a document's pages, gathered page by page while it is prepared.

    blank            no text, nothing drawn, and every image of one tone (`ink`)
    resolution       of the images, where a page is nothing but images
    black and white  every image of the page has one bit, and the profile wants colour
    the digest       of all page images in their order: did the same ones come before?

Nothing here changes or refuses anything (I11). A page that draws more than images is
not judged, nor is any page once half of the processor time is used up: no finding
says that there is nothing to be found.
"""

from __future__ import annotations

import hashlib
import math
import resource
import time
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from pikepdf import Dictionary, Object, PikepdfError

from daemon.document import Digest
from daemon.findings import BLACK_AND_WHITE, PAGE_BLANK, PAGES_DIFFER, RESOLUTION_LOW, places
from daemon.pages.drawn import drawn_by
from daemon.pages.picture import TRANSCODED, USUAL_DPI
from daemon.pages.sample import Description
from daemon.transfernote import completed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pikepdf import Pdf

    from daemon.pages.drawn import Drawn, Placed
    from daemon.pages.picture import Chunks, Picture
    from daemon.transfernote import TransferNote

ROUNDING: Final = 0.98
"""Sizes of pages are rounded by whoever writes them: 300 dpi can come out as 299.4."""
MOST_OF_IT: Final = 0.5
"""An image that covers less than so much of what the largest one covers says nothing of the page."""
SAME_TONE: Final = 16.0
"""Of 255: the strips of one scan differ by less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the profile, and whoever scanned, expect."""

    min_dpi: int
    """0: any resolution will do."""
    colour: bool
    announced: int
    """Pages; 0: nobody said."""
    max_pixels: int
    """Of one image that is decoded."""


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is known of one image."""

    digest: bytes
    bits_only: bool
    tone: float | None


class Remarks:
    """The remarks on one document."""

    def __init__(self, wanted: Wanted) -> None:
        """Nothing was seen yet."""
        self._wanted = wanted
        self._found: dict[str, list[int]] = {}
        self._pages = 0
        self._images = 0
        self._all = hashlib.sha256()
        self._comparable = True
        self._known: dict[tuple[tuple[int, int], int], _Facts] = {}
        self._until = _half_of_the_time()

    def completed(
        self, note: TransferNote, images: int, findings: Iterable[str], checked_at: str
    ) -> TransferNote:
        """Return *note* with *findings* about the whole, and with all that was found on pages."""
        codes = [*findings, *self._found]
        if self._wanted.announced not in {0, images}:
            codes.append(PAGES_DIFFER)
        return completed(note, images, codes, checked_at, places(self._found))

    @property
    def digest(self) -> Digest | None:
        """What the same page images would have again; None where a page shows more than images.

        SHA-256 over a line for each page and one for each image on it: width, height and the
        SHA-256 of its bytes as they stand in the PDF, then those of its masks. Of samples that
        were coded anew it is that of the unpacked samples. So an image that is carried over has
        the same digest in any container, and one that was coded otherwise has another. Nothing
        but blank pages are no reason to think of a copy.
        """
        blank = len(self._found.get(PAGE_BLANK, ()))
        if not self._comparable or not self._images or blank == self._pages:
            return None
        return Digest(self._all.hexdigest())

    # -- a PDF ----------------------------------------------------------------------

    def read(self, pdf: Pdf) -> None:
        """Look at every page of *pdf*."""
        for page in pdf.pages:
            self._pages += 1
            if time.process_time() > self._until:
                self._comparable = False
                return
            self._drawn(drawn_by(page.obj))

    def _drawn(self, drawn: Drawn) -> None:
        facts: list[_Facts] = []
        look = not drawn.text
        for placed in drawn.images:
            found = self._facts(placed, look=look)
            if found is None:
                break
            facts.append(found)
            look = look and found.tone is not None
        if drawn.other or len(facts) < len(drawn.images):
            self._comparable = False
            return
        self._page(facts, _resolution(drawn.images), blank=look)

    def _facts(self, placed: Placed, *, look: bool) -> _Facts | None:
        """Return what is known of an image of a PDF; None where its bytes cannot be had."""
        image, dpi = placed.image, _dpi(placed) or USUAL_DPI
        known = self._known.get((image.objgen, round(dpi)))
        if known is not None:
            return known
        described = Description(image)
        try:
            held = image.get_raw_stream_buffer()
            masks = [mask.get_raw_stream_buffer() for mask in described.masks]
        except PikepdfError:
            return None
        lines = [_line(described, hashlib.sha256(held).hexdigest())]
        lines += [hashlib.sha256(mask).hexdigest().encode() for mask in masks]
        tone = self._tone(described, held, dpi) if look else None
        found = _Facts(b" ".join(lines), described.bits_only, tone)
        if look:  # else its tone is still to be seen, on another page
            self._known[image.objgen, round(dpi)] = found
        return found

    # -- images that are wrapped ----------------------------------------------------

    @contextmanager
    def watching(self, picture: Picture) -> Iterator[Picture]:
        """Yield the *picture* to write as the next page; its bytes are looked at as they pass."""
        self._pages += 1
        for code in picture.findings:
            self._found.setdefault(code, []).append(self._pages)
        coded_anew = TRANSCODED in picture.findings and b"/FlateDecode" in picture.entries
        described = _described(picture)
        keep = 0 if picture.mask else described.worth_decoding(self._wanted.max_pixels)
        passing = _Passing(unpack=coded_anew, keep=keep)
        watched, mask = replace(picture, chunks=passing.of(picture)), None
        if picture.mask is not None:
            mask = _Passing(unpack=coded_anew, keep=0)
            watched = replace(watched, mask=replace(picture.mask, chunks=mask.of(picture.mask)))
        yield watched
        line = _line(described, passing.sha256.hexdigest())
        if mask is not None:
            line += b" " + mask.sha256.hexdigest().encode()
        tone = self._tone(described, b"".join(passing.kept), min(picture.dpi or (USUAL_DPI,)))
        facts = _Facts(line, described.bits_only, tone)
        self._page([facts], min(picture.dpi) if picture.dpi else None, blank=True)

    # -- both -----------------------------------------------------------------------

    def _page(self, images: list[_Facts], dpi: float | None, *, blank: bool) -> None:
        """Take one page that shows *images* and nothing else, at *dpi* if that is known."""
        self._images += len(images)
        self._all.update(b"page\n" + b"".join(image.digest + b"\n" for image in images))
        tones = sorted(image.tone for image in images if image.tone is not None)
        if blank and len(tones) == len(images) and (not tones or tones[-1] - tones[0] < SAME_TONE):
            self._note(PAGE_BLANK)
        if dpi is not None and dpi < self._wanted.min_dpi * ROUNDING:
            self._note(RESOLUTION_LOW)
        if self._wanted.colour and images and all(image.bits_only for image in images):
            self._note(BLACK_AND_WHITE)

    def _note(self, code: str) -> None:
        self._found.setdefault(code, []).append(self._pages)

    def _tone(self, image: Description, held: object, dpi: float) -> float | None:
        data = memoryview(held)  # type: ignore[arg-type]
        most = image.worth_decoding(self._wanted.max_pixels)
        if not 0 < data.nbytes <= most or time.process_time() > self._until:
            return None
        from daemon.pages import ink  # noqa: PLC0415 (Pillow, which most PDFs do not need)

        return ink.tone(image, bytes(data), dpi)


class _Passing:
    """The bytes of an image on their way into the file."""

    def __init__(self, *, unpack: bool, keep: int) -> None:
        self.sha256 = hashlib.sha256()
        self.kept: list[bytes] = []
        """All of them, or none if there are more than *keep*."""
        self._unpacker = zlib.decompressobj() if unpack else None
        self._keep = keep

    def of(self, picture: Picture) -> Chunks:
        """Return the picture's own bytes, which are seen as they pass."""

        def chunks() -> Iterator[bytes]:
            for chunk in picture.chunks():
                self._see(chunk)
                yield chunk

        return chunks

    def _see(self, chunk: bytes) -> None:
        self.sha256.update(self._unpacker.decompress(chunk) if self._unpacker else chunk)
        self._keep -= len(chunk)
        if self._keep >= 0:
            self.kept.append(chunk)
        else:
            self.kept.clear()


def _described(picture: Picture) -> Description:
    """Return a picture's description, read from the source that is written."""
    colours = picture.colours % picture.base if picture.base else picture.colours
    space = b"/ColorSpace " + colours if colours else b""
    entries = Object.parse(
        b"<< /Width %d /Height %d %b %b >>"
        % (picture.width, picture.height, space, picture.entries)
    )
    assert isinstance(entries, Dictionary)  # our own source
    return Description(entries)


def _line(image: Description, digest: str) -> bytes:
    return b"%d %d %b" % (*image.size, digest.encode())


def _dpi(placed: Placed) -> float | None:
    """Return the coarser of the two resolutions at which an image is shown."""
    width, height = Description(placed.image).size
    if not (0 < placed.width < math.inf and 0 < placed.height < math.inf and width and height):
        return None
    return min(width * 72 / placed.width, height * 72 / placed.height)


def _resolution(images: tuple[Placed, ...]) -> float | None:
    """Return the resolution of a page: that of the finest image among those that cover most of it.

    Of a scan in layers that is the one with the letters; strips have the same.
    """
    largest = max((placed.width * placed.height for placed in images), default=0.0)
    found = [
        _dpi(placed) for placed in images if placed.width * placed.height >= MOST_OF_IT * largest
    ]
    return max((dpi for dpi in found if dpi is not None), default=None)


def _half_of_the_time() -> float:
    """Return the processor time at which half of what this process may still use is gone."""
    most, _ = resource.getrlimit(resource.RLIMIT_CPU)
    if most == resource.RLIM_INFINITY:
        return math.inf
    used = time.process_time()
    return used + (most - used) / 2
