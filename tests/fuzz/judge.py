"""What others say of a sealed file: poppler, NSS, pyHanko and Pillow, none of which is ours.

A seal is valid if pdfsig (poppler with NSS, trusting the test's CA and nothing else)
and pyHanko both call it valid, trusted, and over the whole file.

Source and sealed file have the same pages if

    of a PDF      poppler counts as many pages, and reads the same size, turn and boxes
                  for each; the first 25, drawn by poppler 400 pixels high or wide, are
                  the same bytes; and so are all images on them, as pdfimages takes them out
    of an image   poppler counts as many pages as Pillow counts images (but for smaller
                  versions that call themselves so); and each page, drawn by poppler (with
                  cairo) at one dot for each pixel, shows the very pixels that Pillow
                  decodes, turned as the image wants to be shown
    of an envelope   a cover page is sealed in the source's place: poppler counts one

with the second held as exactly as two programs can agree: see `pixels`.

An image of which Pillow says that its data is broken should not have been sealed: that
is a violation as well. Where poppler cannot read the *source* PDF, or draws it otherwise
the second time, where an image is too large to be drawn, or Pillow stumbles over
something beside the pixels, nothing can be compared: that is counted and told, and is
no success.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from asn1crypto import pem, x509
from PIL import Image
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from contrib.demo import nss
from tests.fuzz import pixels

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS: Final = 30.0
"""So long poppler may take for one file."""
MOST_PAGES: Final = 25
SIDE: Final = 400
MOST_PIXELS: Final = 30_000_000
LONGEST: Final = 30_000
"""Larger images are not drawn at one dot for each pixel; cairo ends at 32767, and draws nothing shortly before."""


@dataclass
class Verdict:
    """What there is to say against a sealed file."""

    complaints: list[str] = field(default_factory=list)
    """Each of them is a violation."""
    incomparable: str = ""
    """Why pages could not be compared, in one of a few phrases; "" if they were."""


class _Incomparable(Exception):
    """The source cannot be read by those who are asked, or not in time."""


class _Unreadable(_Incomparable):
    """One of poppler's programs cannot read a file, or not in time."""


def judged(source: Path, sealed: Path, kind: str, ca: Path, database: Path) -> Verdict:
    """Return what there is to say against *sealed*, which came from *source* of this *kind*."""
    verdict = Verdict()
    verdict.complaints += _pdfsig(sealed, database)
    verdict.complaints += _pyhanko(sealed, ca)
    try:
        compare = {"pdf": _same_pdf, "envelope": _one_page}.get(kind, _same_images)
        verdict.complaints += compare(source, sealed)
    except _Incomparable as exc:
        verdict.incomparable = str(exc)
    return verdict


def _pdfsig(sealed: Path, database: Path) -> Iterator[str]:
    try:
        said = nss.pdfsig(sealed, database)
    except (RuntimeError, subprocess.TimeoutExpired) as exc:
        yield f"pdfsig: {type(exc).__name__}: {str(exc)[-200:]}"
        return
    for wanted in ("Signature is Valid.", "Total document signed", "Certificate is Trusted."):
        if said.count(wanted) != 1:
            yield f"pdfsig does not say: {wanted}"


def _pyhanko(sealed: Path, ca: Path) -> Iterator[str]:
    _, _, der = pem.unarmor(ca.read_bytes())
    context = ValidationContext(trust_roots=[x509.Certificate.load(der)], allow_fetching=False)
    try:
        with sealed.open("rb") as stream:
            signatures = PdfFileReader(stream).embedded_signatures
            if len(signatures) != 1:
                yield f"pyHanko finds {len(signatures)} signatures"
                return
            status = validate_pdf_signature(signatures[0], context)
    except Exception as exc:  # noqa: BLE001 (whatever it raises is its verdict)
        yield f"pyHanko raises {type(exc).__name__}: {str(exc)[:200]}"
        return
    coverage = status.coverage.name if status.coverage else "nothing"
    if not status.bottom_line:
        yield f"pyHanko does not trust it: {status.summary()}"
    if coverage != "ENTIRE_FILE" or not status.docmdp_ok:
        yield f"pyHanko sees {coverage} covered, changes allowed: {status.docmdp_ok}"


def _same_pdf(source: Path, sealed: Path) -> Iterator[str]:
    for what, look in (("pages", _facts), ("drawing", _drawn), ("images", _taken_out)):
        wanted = look(source)
        try:
            found = look(sealed)
        except _Unreadable as exc:
            found = str(exc).encode()
        if found != wanted:
            if look(source) != wanted:
                raise _Incomparable("poppler draws the source otherwise each time")
            yield f"poppler sees other {what}"


def _one_page(_source: Path, sealed: Path) -> Iterator[str]:
    try:
        count = _pages(sealed)
    except _Unreadable as exc:
        yield f"of the sealed file, {exc}"
        return
    if count != 1:
        yield f"the envelope has {count} pages"


def _facts(file: Path) -> bytes:
    said = _poppler("pdfinfo", "-box", "-f", "1", "-l", "100000", file)
    lines = [
        line
        for line in said.splitlines()
        if line.startswith((b"Page", b"UserProperties", b"Custom"))
    ]
    return b"\n".join(line for line in lines if b"Producer" not in line)


def _drawn(file: Path) -> bytes:
    said = _poppler("pdftoppm", "-scale-to", str(SIDE), "-l", str(MOST_PAGES), file)
    return hashlib.sha256(said).digest()


def _taken_out(file: Path) -> bytes:
    whole = hashlib.sha256()
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        _poppler("pdfimages", "-all", "-l", str(MOST_PAGES), file, f"{folder}/i")
        for path in sorted(Path(folder).iterdir()):
            whole.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return whole.digest()


def _same_images(source: Path, sealed: Path) -> Iterator[str]:
    shown = pixels.without_profile(sealed)
    try:
        count = _pages(sealed)
        with pixels.opened(source) as image:
            wanted = pixels.pages_of(image)
            if len(wanted) != count:
                yield f"Pillow counts {len(wanted)} images, poppler {count} pages"
                return
            for page, index in enumerate(wanted[:MOST_PAGES], 1):
                image.seek(index)
                if image.width * image.height > MOST_PIXELS or max(image.size) > LONGEST:
                    raise _Incomparable("the image is too large to draw")
                frame = pixels.upright(image)
                yield from pixels.differences(frame, _page(shown, page, frame.size), page)
                if image.mode == "CMYK":
                    yield from pixels.inks_differ(image, _inks(shown, page), page)
    except _Unreadable as exc:
        yield f"of the sealed file, {exc}"
    except OSError as exc:
        yield f"Pillow cannot decode the source: {str(exc)[:100]}"
    except pixels.BROKEN as exc:
        raise _Incomparable(f"Pillow raises {type(exc).__name__} over the source") from exc
    finally:
        if shown != sealed:
            shown.unlink()


def _pages(file: Path) -> int:
    for line in _poppler("pdfinfo", file).splitlines():
        if line.startswith(b"Pages:"):
            return int(line.split()[1])
    raise _Unreadable("pdfinfo counts no pages")


def _page(file: Path, page: int, size: tuple[int, int]) -> Image.Image:
    """Return a page with one dot for each pixel: cairo does not interpolate there, splash does."""
    scale = ("-scale-to-x", str(size[0]), "-scale-to-y", str(size[1]))
    drawn = _poppler("pdftocairo", "-png", "-singlefile", "-f", str(page), *scale, file, "-")
    image = Image.open(io.BytesIO(drawn), formats=("PNG",)).convert("RGB")
    # A page of 83.99 points is made 84.0000001 dots high, and then rounded up.
    return image.crop((0, 0, min(image.width, size[0]), min(image.height, size[1])))


def _inks(file: Path, page: int) -> Image.Image:
    """Return the one image of a page with its four inks, which no drawing shows."""
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        _poppler("pdfimages", "-tiff", "-f", str(page), "-l", str(page), file, f"{folder}/i")
        (taken,) = Path(folder).iterdir()
        with Image.open(taken, formats=("TIFF",)) as image:
            image.load()
        return image


def _poppler(*command: str | Path) -> bytes:
    """Return what one of poppler's programs writes; raise _Unreadable if it cannot."""
    try:
        done = subprocess.run(
            command,
            env=os.environ | {"LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _Unreadable(f"{command[0]} does not end") from None
    if done.returncode:
        raise _Unreadable(f"{command[0]} ends with {done.returncode}")
    return done.stdout
