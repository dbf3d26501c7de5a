"""Draws scans of German letters: what `make demo` and the tests feed to the hot folder.

A page is drawn as a clean sheet, laid on the glass a little askew and put on
paper with tint, uneven light and sensor noise. Everything comes from a seed, so
the same call gives the same bytes with the same Pillow and pikepdf; other
versions of them may draw other bytes.

It will not draw personal data (people, authority and file numbers are made up),
reads no file and needs no font but the one that Pillow brings. That one has no
umlauts: their dots are drawn here; texts avoid the sharp s.
"""

from __future__ import annotations

import io
import math
import random
import struct
from pathlib import Path
from typing import Final

import pikepdf
from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageFont, TiffImagePlugin

A4_MM: Final = (210, 297)
JPEG_QUALITY: Final = 75

BLACK: Final = "#24242a"
BLUE: Final = "#1f3f9c"
RED: Final = "#b3242c"
GREEN: Final = "#2f6b46"
GREY: Final = "#8d8a86"

MARGIN_MM: Final = 25
TEXT_WIDTH_MM: Final = 165
MAKER: Final = "Scanseal demo scanner"
TITLE: Final = "Zulassung zum Wochenmarkt"

UMLAUTS: Final = str.maketrans("äöüÄÖÜ", "aouAOU")
SENTENCES: Final = (
    "Ihr Antrag auf Zuweisung eines Standplatzes ist bei uns eingegangen und wurde geprüft.",
    "Der Standplatz darf nur während der festgesetzten Marktzeiten genutzt werden.",
    "Über die Höhe der Gebühr erhalten Sie einen gesonderten Bescheid.",
    "Bitte reichen Sie die fehlenden Unterlagen innerhalb von vier Wochen nach.",
    "Die Gewerbeanmeldung lag dem Schreiben in beglaubigter Kopie bei.",
    "Für den Anschluss an die Stromversorgung ist das städtische Tiefbauamt zuständig.",
    "Änderungen des Sortiments sind vor Beginn der nächsten Marktsaison anzuzeigen.",
    "Gegen diesen Bescheid kann innerhalb eines Monats Widerspruch erhoben werden.",
    "Die Fläche ist nach Marktende sauber und ohne Abfälle zu übergeben.",
    "Öffentliche Belange stehen der beantragten Nutzung nicht entgegen.",
    "Wir bitten um Überweisung des Betrages unter Angabe des Aktenzeichens.",
    "Der Zugang zu Rettungswegen und Hydranten ist jederzeit freizuhalten.",
    "Strom und Wasser werden nach dem Zählerstand am Markttag abgerechnet.",
    "Fahrzeuge sind bis sieben Uhr vom Marktplatz zu entfernen.",
)
STALLS: Final = ("Gemüse und Obst", "Käse", "Backwaren", "Blumen", "Fischräucherei", "Töpferei")


class _Sheet:
    """A clean page before it is scanned; places are millimetres from the top left."""

    def __init__(self, *, colour: bool, dpi: int) -> None:
        self._unit = dpi / 25.4
        size = (round(A4_MM[0] * self._unit), round(A4_MM[1] * self._unit))
        self.image = Image.new("RGB" if colour else "L", size, self._ink("#ffffff", colour=colour))
        self._draw = ImageDraw.Draw(self.image)
        self._fonts: dict[float, ImageFont.FreeTypeFont] = {}

    @staticmethod
    def _ink(name: str, *, colour: bool) -> int | tuple[int, ...]:
        return ImageColor.getcolor(name, "RGB" if colour else "L")

    def ink(self, name: str) -> int | tuple[int, ...]:
        """Return the named ink in the colours this sheet knows."""
        return self._ink(name, colour=self.image.mode == "RGB")

    def font(self, points: float) -> ImageFont.FreeTypeFont:
        """Return Pillow's own font in this size."""
        if points not in self._fonts:
            font = ImageFont.load_default(size=points * self._unit * 25.4 / 72)
            if not isinstance(font, ImageFont.FreeTypeFont):
                raise TypeError("this Pillow was built without FreeType and cannot scale its font")
            self._fonts[points] = font
        return self._fonts[points]

    def text(self, x: float, y: float, text: str, *, points: float = 11, ink: str = BLACK) -> None:
        """Write one line with its baseline at *y*."""
        place = (x * self._unit, y * self._unit)
        write(self._draw, place, text, self.font(points), self.ink(ink))

    def paragraph(self, x: float, y: float, text: str, *, points: float = 11) -> float:
        """Write *text* in lines no longer than the page takes; return the next baseline."""
        font = self.font(points)
        line = ""
        for word in text.split():
            longer = f"{line} {word}".strip()
            if font.getlength(longer.translate(UMLAUTS)) > TEXT_WIDTH_MM * self._unit:
                self.text(x, y, line, points=points)
                y += points * 0.5
                line = word
            else:
                line = longer
        self.text(x, y, line, points=points)
        return y + points * 0.5

    def line(self, *places: tuple[float, float], ink: str = BLACK, width_mm: float = 0.3) -> None:
        """Draw a line through all *places*."""
        points = [(x * self._unit, y * self._unit) for x, y in places]
        width = max(1, round(width_mm * self._unit))
        self._draw.line(points, fill=self.ink(ink), width=width, joint="curve")

    def area(self, *places: tuple[float, float], ink: str) -> None:
        """Fill the polygon between *places*."""
        points = [(x * self._unit, y * self._unit) for x, y in places]
        self._draw.polygon(points, fill=self.ink(ink))

    def dot(self, x: float, y: float, radius_mm: float, ink: str = GREY) -> None:
        """Draw a filled circle: a punch hole, a speck of dust."""
        box = (x - radius_mm, y - radius_mm, x + radius_mm, y + radius_mm)
        self._draw.ellipse([edge * self._unit for edge in box], fill=self.ink(ink))

    def stamp(self, x: float, y: float, lines: tuple[str, ...], *, angle: float, ink: str) -> None:
        """Press a framed rubber stamp onto the sheet, turned by *angle* degrees."""
        unit = self._unit
        mask = Image.new("L", (round(62 * unit), round((8 + 8 * len(lines)) * unit)), 0)
        draw = ImageDraw.Draw(mask)
        frame = (0, 0, mask.width - 1, mask.height - 1)
        draw.rounded_rectangle(frame, radius=2 * unit, outline=215, width=round(0.8 * unit))
        for number, line in enumerate(lines):
            font = self.font(15 if number == 0 else 12)
            left = (mask.width - font.getlength(line.translate(UMLAUTS))) / 2
            write(draw, (left, (9 + 8 * number) * unit), line, font, 215)
        mask = mask.rotate(angle, Image.Resampling.BILINEAR, expand=True)
        self.image.paste(self.ink(ink), (round(x * unit), round(y * unit)), mask)


def write(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    font: ImageFont.FreeTypeFont,
    fill: int | tuple[int, ...],
) -> None:
    """Write *text* on the baseline at *place*, with the dots the font does not have."""
    plain = text.translate(UMLAUTS)
    draw.text(place, plain, fill=fill, font=font, anchor="ls")
    radius = font.size * 0.06
    for index, (wanted, letter) in enumerate(zip(text, plain, strict=True)):
        if wanted == letter:
            continue
        left, top, right, _ = font.getbbox(letter, anchor="ls")
        middle = place[0] + font.getlength(plain[:index]) + (left + right) / 2
        high = place[1] + top - 2 * radius
        for x in (middle - 2 * radius, middle + 2 * radius):
            draw.ellipse((x - radius, high - radius, x + radius, high + radius), fill=fill)


def draw_page(seed: int, *, title: str, colour: bool = True, dpi: int = 300) -> Image.Image:
    """Draw one scanned A4 page; the same arguments always give the same pixels.

    The image is RGB, or L without *colour*.
    """
    rng = random.Random(seed)  # noqa: S311 - it draws, it guards nothing
    sheet = _Sheet(colour=colour, dpi=dpi)
    _letter(sheet, rng, title)
    askew = sheet.image.rotate(
        rng.choice((-1, 1)) * rng.uniform(0.2, 0.7),
        Image.Resampling.BILINEAR,
        fillcolor=sheet.ink("#ffffff"),
    )
    page = ImageChops.multiply(_paper(askew.size, rng, colour=colour), askew)
    page.info["dpi"] = (dpi, dpi)
    return page


def _letter(sheet: _Sheet, rng: random.Random, title: str) -> None:
    """Draw the clean letter: head, address, text, a table, signature, stamp."""
    sheet.area((25, 14), (41, 14), (41, 26), (33, 34), (25, 26), ink=RED)
    sheet.area((25, 20), (41, 16), (41, 20), (25, 24), ink=GREEN)
    sheet.text(46, 22, "Stadt Musterstadt", points=24)
    sheet.text(46, 31, "Marktamt", points=16, ink=RED)
    sheet.line((25, 38), (190, 38), ink=RED, width_mm=0.6)

    sheet.text(25, 50, "Stadt Musterstadt, Marktamt, Am Markt 1, 01234 Musterstadt", points=7)
    address = ("Feinkost Brömmelkamp", f"Lindenallee {rng.randint(1, 199)}", "01234 Musterstadt")
    for number, line in enumerate(address):
        sheet.text(25, 58 + 6 * number, line)
    reference = f"MA-{rng.randint(1000, 9999)}/{rng.randint(20, 26)}"
    sheet.text(135, 58, f"Aktenzeichen: {reference}", points=10)
    sheet.text(135, 64, f"Datum: {rng.randint(1, 28)}.{rng.randint(1, 12)}.2026", points=10)

    y = sheet.paragraph(MARGIN_MM, 96, title, points=15) + 3
    y = sheet.paragraph(MARGIN_MM, y, "Sehr geehrte Damen und Herren,") + 3
    said = rng.sample(SENTENCES, 14)
    for first in (0, 4, 8):
        y = sheet.paragraph(MARGIN_MM, y, " ".join(said[first : first + 4])) + 3
    y = _table(sheet, rng, y)
    y = sheet.paragraph(MARGIN_MM, y + 4, " ".join(said[12:])) + 6
    sheet.text(MARGIN_MM, y, "Mit freundlichen Grüssen")
    _signature(sheet, rng, y + 12)

    day = f"{rng.randint(1, 28)}. Nov. 2026"
    stamped = ("EINGEGANGEN", day, "Marktamt Musterstadt")
    sheet.stamp(118, 66, stamped, angle=rng.uniform(-9, 9), ink=rng.choice((BLUE, RED)))

    for y in (108.5, 188.5):
        sheet.dot(12, y, 2.9)
    for _ in range(rng.randint(8, 20)):
        sheet.dot(rng.uniform(2, 208), rng.uniform(2, 295), rng.uniform(0.05, 0.2), BLACK)


def _signature(sheet: _Sheet, rng: random.Random, y: float) -> None:
    """Scrawl a name: a loop that grows smaller as the pen moves on."""
    height, speed = rng.uniform(3, 6), rng.uniform(0.5, 0.8)
    strokes = []
    for step in range(120):
        turn, fade = step * 0.35, 1 - step / 150
        x = 30 + step * speed * 0.6 + 2.5 * math.sin(turn)
        strokes.append((x, y - height * fade * math.cos(turn * 1.1)))
    sheet.line(*strokes, ink=BLUE, width_mm=0.5)


def _table(sheet: _Sheet, rng: random.Random, y: float) -> float:
    """Draw a ruled table of stalls and fees; return where it ends."""
    rows = [("Stand", "Angebot", "Gebühr")]
    for stall in rng.sample(STALLS, 4):
        fee = f"{rng.randint(12, 240)},{rng.choice(('00', '50'))} EUR"
        rows.append((str(rng.randint(1, 99)), stall, fee))
    for number, row in enumerate(rows):
        for x, cell in zip((27, 52, 150), row, strict=True):
            sheet.text(x, y + 8 * number + 5.4, cell, points=10)
    bottom = y + 8 * len(rows)
    for number in range(len(rows) + 1):
        sheet.line((25, y + 8 * number), (190, y + 8 * number))
    for x in (25, 50, 148, 190):
        sheet.line((x, y), (x, bottom))
    return bottom + 5


def _paper(size: tuple[int, int], rng: random.Random, *, colour: bool) -> Image.Image:
    """Return empty paper as the sensor sees it: tinted, unevenly lit, noisy.

    The noise is one small tile, laid out with a new offset each time. (Pillow's
    effect_noise cannot be seeded, so it would not draw the same page twice.)
    """
    lamp = bytes(rng.randint(243, 255) for _ in range(3 * 4))
    light = Image.frombytes("L", (3, 4), lamp).resize(size, Image.Resampling.BICUBIC)
    side = 512
    raw = Image.frombytes("L", (side, side), rng.randbytes(side * side))
    calm = raw.resize((side // 2, side // 2), Image.Resampling.BOX).resize((side, side))
    tile = Image.blend(raw, calm, 0.6).point([128 + (value - 128) // 9 for value in range(256)])
    bands = []
    for tint in (0.97, 0.96, 0.92) if colour else (0.96,):
        noise = Image.new("L", size)
        for y in range(0, size[1], side):
            for x in range(0, size[0], side):
                shift = (rng.randrange(side), rng.randrange(side))
                noise.paste(ImageChops.offset(tile, *shift), (x, y))
        tinted = light.point([round(value * tint) for value in range(256)])
        bands.append(ImageChops.add(tinted, noise, offset=-128))
    return Image.merge("RGB", bands) if colour else bands[0]


def jpeg_page(seed: int, *, title: str = TITLE, colour: bool = True, dpi: int = 300) -> bytes:
    """Return one page as a scanner's JPEG."""
    page = io.BytesIO()
    image = draw_page(seed, title=title, colour=colour, dpi=dpi)
    image.save(page, "JPEG", quality=JPEG_QUALITY, dpi=(dpi, dpi))
    return page.getvalue()


def pdf_of(jpegs: list[bytes]) -> bytes:
    """Return a PDF as scanners make it: each page is one colour JPEG, carried over as it is.

    (img2pdf gives its images random names, so it would not write the same file twice.)
    """
    file = io.BytesIO()
    with pikepdf.new() as pdf:
        pdf.docinfo["/Producer"] = MAKER
        for jpeg in jpegs:
            with Image.open(io.BytesIO(jpeg)) as image:
                width, height = image.size
                dpi = image.info["dpi"]
            picture = pdf.make_stream(
                jpeg,
                Type=pikepdf.Name.XObject,
                Subtype=pikepdf.Name.Image,
                Width=width,
                Height=height,
                ColorSpace=pikepdf.Name.DeviceRGB,
                BitsPerComponent=8,
                Filter=pikepdf.Name.DCTDecode,
            )
            size = (round(width * 72 / dpi[0], 2), round(height * 72 / dpi[1], 2))
            page = pdf.add_blank_page(page_size=size)
            page.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(Im0=picture))
            page.Contents = pdf.make_stream(b"q %.2f 0 0 %.2f 0 0 cm /Im0 Do Q" % size)
        pdf.save(file, min_version="1.4", deterministic_id=True)
    return file.getvalue()


def one_page_pdf(path: Path, *, seed: int = 1) -> Path:
    """Write a PDF of one colour page."""
    path.write_bytes(pdf_of([jpeg_page(seed)]))
    return path


def colour_pdf(path: Path, pages: int = 5, *, seed: int = 100) -> Path:
    """Write a PDF of several colour pages."""
    titles = [f"{TITLE}, Blatt {number} von {pages}" for number in range(1, pages + 1)]
    jpegs = [jpeg_page(seed + number, title=title) for number, title in enumerate(titles)]
    path.write_bytes(pdf_of(jpegs))
    return path


def g4_tiff(path: Path, pages: int = 3, *, seed: int = 200) -> Path:
    """Write a black-and-white TIFF as office scanners do: G4, one strip per page."""
    ink_below_150 = [255] * 150 + [0] * 106
    sheets = []
    for number in range(pages):
        title = f"{TITLE}, Blatt {number + 1} von {pages}"
        page = draw_page(seed + number, title=title, colour=False)
        sheets.append(page.point(ink_below_150, "1"))
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[TiffImagePlugin.ROWSPERSTRIP] = sheets[0].height
    tags[TiffImagePlugin.SOFTWARE] = MAKER
    tiff = io.BytesIO()
    sheets[0].save(
        tiff,
        "TIFF",
        save_all=True,
        append_images=sheets[1:],
        compression="group4",
        dpi=(300, 300),
        tiffinfo=tags,
    )
    path.write_bytes(_white_is_zero(tiff.getvalue()))
    return path


def _white_is_zero(tiff: bytes) -> bytes:
    """Say in each page's directory that its ink is one and its paper zero.

    Pillow can do it, but then inverts the page in Python, a second for each.
    """
    data = bytearray(tiff)
    (place,) = struct.unpack_from("<I", data, 4)
    while place:
        (entries,) = struct.unpack_from("<H", data, place)
        end = place + 2 + 12 * entries
        for entry in range(place + 2, end, 12):
            (tag,) = struct.unpack_from("<H", data, entry)
            if tag == TiffImagePlugin.PHOTOMETRIC_INTERPRETATION:
                struct.pack_into("<H", data, entry + 8, 0)
        (place,) = struct.unpack_from("<I", data, end)
    return bytes(data)


def jpeg(path: Path, *, seed: int = 300) -> Path:
    """Write one colour page as JPEG."""
    path.write_bytes(jpeg_page(seed))
    return path


def png(path: Path, *, seed: int = 400) -> Path:
    """Write one grey page as PNG: background cleared, 16 greys left, as office scanners do."""
    page = draw_page(seed, title=TITLE, colour=False)
    greys = [255 if value > 200 else value // 16 * 17 for value in range(256)]
    page.point(greys).save(path, "PNG", dpi=(300, 300))
    return path


def draw_all(folder: Path) -> list[Path]:
    """Write one scan of each kind into *folder*, which must exist."""
    return [
        one_page_pdf(folder / "brief.pdf"),
        colour_pdf(folder / "akte.pdf"),
        g4_tiff(folder / "fax.tif"),
        jpeg(folder / "foto.jpg"),
        png(folder / "antrag.png"),
    ]
