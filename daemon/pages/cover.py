"""The page that stands for a scan which could not be sealed itself: drawn, and written as a PDF.

It says for which file it stands (by its SHA-256, never by its name, which is personal),
why, and that the seal covers the file by that digest alone. German and English.

Drawn as an image of black and white, so that there is no question of fonts; the same
note gives the same pixels with the same Pillow, which `covered` relies on. Pillow's
own font has no umlauts: their dots are drawn here.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageDraw, ImageFont

from daemon.codes import CODES
from daemon.document import utc_time
from daemon.magic import extension
from daemon.pages import frames
from daemon.pages.dss import NO_STORE
from daemon.pages.packet import fresh
from daemon.pages.picture import Density, Turn
from daemon.pages.placeholder import Gap, settle
from daemon.pages.rewrite import TITLE
from daemon.pages.writer import Writer
from daemon.transfernote import CLAIMS, WITH_ATTACHMENT, as_xml

if TYPE_CHECKING:
    from daemon.pages.dss import Store
    from daemon.pages.signature import EmptySignature
    from daemon.transfernote import TransferNote

DPI: Final = 300
SIZE: Final = (2480, 3508)
"""A4."""
MARGIN: Final = 300
RIGHT: Final = SIZE[0] - MARGIN
COLUMN: Final = 760
"""Where the facts begin, beside their names."""
LINE: Final = 1.45
"""From one line to the next, in sizes of the font."""

DOTTED: Final = {"ä": "a", "ö": "o", "ü": "u", "Ä": "A", "Ö": "O", "Ü": "U"}
PLAIN: Final = str.maketrans({"ß": "ss", "„": '"', "‚": "'", "–": "-", "—": "-", "…": "..."})
"""What else the font does not have, and what is written for it."""

HEAD: Final = "Deckblatt · Cover sheet"
STANDS_DE: Final = (
    "Dieses Blatt steht für eine Datei, die nicht selbst gesiegelt werden konnte. Gesiegelt ist "
    "dieses Blatt; die Datei liegt unverändert dabei."
)
STANDS_EN: Final = (
    "This sheet stands for a file that could not be sealed itself. The seal is on this sheet; the "
    "file lies beside it, unchanged."
)
CHECK_DE: Final = (
    "Das Siegel deckt die Datei allein durch ihren SHA-256-Wert. Die Datei ist die richtige, wenn "
    "ihr SHA-256-Wert dieser ist. Was sie zeigt, wurde nicht geprüft."
)
CHECK_EN: Final = (
    "The seal covers the file by its SHA-256 value alone. A file is the right one if its SHA-256 "
    "value is this one. What it shows was not checked."
)


def drawn(note: TransferNote, code: str) -> Image.Image:
    """Return the page for the scan that *note* is about, which was not sealed because of *code*."""
    why = CODES[code]
    digits = note.original_sha256
    groups = [digits[at : at + 8] for at in range(0, len(digits), 8)]
    claimed = utc_time(note.claimed_at).strftime("%Y-%m-%d %H:%M:%S UTC")
    pen = _Pen()
    pen.paragraph(HEAD, 84)
    pen.rule()
    pen.paragraph(STANDS_DE, 50)
    pen.paragraph(f"Warum: {why.de.sentence}", 50)
    pen.space(40)
    pen.paragraph(STANDS_EN, 50)
    pen.paragraph(f"Why: {why.en.sentence}", 50)
    pen.rule()
    pen.fact("Datei · File", f"original.{extension(note.original_kind)}")
    pen.fact("Bytes", f"{note.original_size:,}".replace(",", " "))
    pen.fact("SHA-256", " ".join(groups[:4]), " ".join(groups[4:]))
    pen.fact("Übernommen · Claimed", claimed)
    pen.fact("Dokument · Document", note.document)
    pen.fact("Gerät · Box", note.box)
    pen.fact("Grund · Reason", code)
    pen.rule()
    pen.paragraph(CHECK_DE, 42)
    pen.space(30)
    pen.paragraph(CHECK_EN, 42)
    return pen.sheet


def written(
    fd: int, empty: EmptySignature, note: TransferNote, code: str, store: Store = NO_STORE
) -> Gap:
    """Write the page with *empty*, *note* and *store* to the empty file behind *fd*."""
    page = frames.exactly(drawn(note, code), density=Density((DPI, DPI)), turn=Turn())
    with os.fdopen(fd, "w+b", closefd=False) as target:
        writer = Writer(target)
        writer.page(page)
        writer.finish(
            empty,
            TITLE,
            fresh(note),
            claims=note.pdfa in CLAIMS,
            attachment=as_xml(note) if note.pdfa == WITH_ATTACHMENT else b"",
            store=store,
        )
    return settle(fd, empty)


class _Pen:
    """Writes lines on a white sheet, from its top down."""

    def __init__(self) -> None:
        self.sheet = Image.new("1", SIZE, 1)
        self._draw = ImageDraw.Draw(self.sheet)
        self._draw.fontmode = "1"
        self._y = float(MARGIN)

    def paragraph(self, text: str, size: int) -> None:
        """Write *text* in lines that are no longer than the sheet is wide."""
        font, line = _font(size), ""
        for word in text.split():
            longer = f"{line} {word}".strip()
            if font.getlength(_letters(longer), mode="1") > RIGHT - MARGIN:
                self._line(MARGIN, line, font)
                line = word
            else:
                line = longer
        self._line(MARGIN, line, font)

    def fact(self, name: str, *lines: str) -> None:
        """Write the name of a fact, and beside it the fact."""
        font = _font(44)
        self._write(MARGIN, name, font)
        for line in lines:
            self._line(COLUMN + MARGIN, line, font)

    def rule(self) -> None:
        """Draw a line across the sheet."""
        self.space(50)
        self._draw.line((MARGIN, self._y, RIGHT, self._y), fill=0, width=4)
        self.space(50)

    def space(self, pixels: int) -> None:
        """Leave some room."""
        self._y += pixels

    def _line(self, x: float, text: str, font: ImageFont.FreeTypeFont) -> None:
        self._write(x, text, font)
        self._y += font.size * LINE

    def _write(self, x: float, text: str, font: ImageFont.FreeTypeFont) -> None:
        """Write one line below where the pen is, with the dots that the font does not have."""
        text = text.translate(PLAIN)
        letters, base = _letters(text), self._y + font.size
        self._draw.text((x, base), letters, fill=0, font=font, anchor="ls")
        radius = font.size * 0.06
        for place, wanted in enumerate(text):
            if wanted not in DOTTED:
                continue
            left, top, right, _ = font.getbbox(letters[place], mode="1", anchor="ls")
            until = font.getlength(letters[: place + 1], mode="1")
            middle = x + until - font.getlength(letters[place], mode="1") + (left + right) / 2
            high = base + top - 2 * radius
            for dot in (middle - 2 * radius, middle + 2 * radius):
                box = (dot - radius, high - radius, dot + radius, high + radius)
                self._draw.ellipse(box, fill=0)


def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size=size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("this Pillow was built without FreeType and cannot scale its font")
    return font


def _letters(text: str) -> str:
    """Return *text* in letters that the font has."""
    return "".join(DOTTED.get(letter, letter) for letter in text.translate(PLAIN))
