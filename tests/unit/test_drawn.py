"""What a page of a PDF draws, as far as a scanner's page goes, and nothing guessed beyond that."""

from __future__ import annotations

import signal
import zlib
from typing import Any

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name

from daemon.pages import drawn

IMAGE = b"q 595 0 0 842 0 0 cm /Im Do Q"
OCR = b"BT 3 Tr /F1 8 Tf 1 0 0 1 72 700 Tm [(Stadt \\(Amt\\)) -250 <00ff>] TJ (x (y) z) ' ET"


def read(content: bytes | list[bytes] | None, **entries: Any) -> tuple[list[float], bool, bool]:
    """Return what a page with this content draws: images' widths, any text, anything else."""
    with pikepdf.new() as pdf:
        page = pdf.add_blank_page(page_size=(595, 842)).obj
        image = pdf.make_stream(b"x", Type=Name.XObject, Subtype=Name.Image, Width=1, Height=1)
        form = pdf.make_stream(b"0 0 9 9 re f", Type=Name.XObject, Subtype=Name.Form)
        page.Resources = Dictionary(XObject=Dictionary(Im=image, Fm=form))
        if content is None:
            del page.Contents
        elif isinstance(content, bytes):
            page.Contents = pdf.make_stream(content)
        else:
            page.Contents = Array([pdf.make_stream(piece) for piece in content])
        for key, value in entries.items():
            page[f"/{key}"] = value
        found = drawn.drawn_by(page)
        return [round(placed.width, 3) for placed in found.images], found.text, found.other


@pytest.mark.parametrize(
    ("content", "widths"),
    [
        (IMAGE, [595]),
        (b"q\r595.0 0 0 842.0 0 -.0000053 cm\r/Im Do\rQ", [595]),
        (b"q 0.1 0 0 0.1 0 0 cm q 6120 0 0 7920 0 0 cm /Im Do Q Q", [612]),
        (b"q 0 -612 792 0 0 612 cm /Im Do Q", [612]),
        (b"Q q 0 0 384 470 re W n /Perceptual ri /GS0 gs q 384 0 0 470 0 0 cm /Im Do Q Q", None),
        (b"q 0 0 384 470 re W n /Perceptual ri /GS0 gs q 384 0 0 470 0 0 cm /Im Do Q Q", [384]),
        (b"/OC /MC0 BDC " + IMAGE + b" EMC", [595]),
        (b"/P << /MCID 0 /T (a>>b) >> BDC " + IMAGE + b" EMC", [595]),
        (b"q 9 0 0 9 0 0 cm /Im Do Q\n" * 3, [9, 9, 9]),
    ],
)
def test_images_are_found_where_scanners_put_them(
    content: bytes, widths: list[float] | None
) -> None:
    """Every program writes it another way; more ends than beginnings is no way of writing it."""
    assert read(content) == ((widths, False, False) if widths else ([], False, True))


def test_recognised_text_is_text_and_shows_nothing() -> None:
    """A searchable PDF is a scan with a layer that nobody sees."""
    assert read(IMAGE + b" " + OCR) == ([595], True, False)
    assert read(IMAGE + OCR.replace(b"3 Tr", b"0 Tr")) == ([], False, True)
    assert read(b"q " + OCR + b" Q BT (x) Tj ET") == ([], False, True)  # the mode ended with Q


@pytest.mark.parametrize(
    "more",
    [
        b"0 0 9 9 re f",
        b"0 0 m 9 9 l S",
        b"/Sh sh",
        b"/Fm Do",
        b"/Gone Do",
        b"BI /W 1 /H 1 /BPC 8 /CS /G ID x EI",
        b"BT (visible) Tj ET",
        b"BT 7 Tr (clips) Tj ET",
        b"1 0 0 cm",
        b"1 0 0 x 0 0 cm",
        b"frobnicate",
        b"(",
        b"<< /A",
        b"% a comment",
    ],
)
def test_whatever_else_there_is_makes_it_another_page(more: bytes) -> None:
    """Of such a page nothing is said: not that it is blank, nor that it was here before."""
    assert read(IMAGE) == ([595], False, False)

    assert read(IMAGE + b" " + more)[2]


def test_statements_may_be_cut_between_streams() -> None:
    """ISO 32000-1, 7.8.2: the array is one content, split at words."""
    assert read([b"q 595 0 0", b"842 0 0 cm /Im Do", b"Q"]) == ([595], False, False)


def test_a_page_without_content_draws_nothing() -> None:
    """Some scanners leave the image of an empty page out."""
    assert read(None) == ([], False, False)
    assert read(b" \n") == ([], False, False)


def test_a_widget_or_a_note_on_the_page_is_something_else() -> None:
    """It may show anything."""
    assert read(IMAGE, Annots=Array([])) == ([595], False, False)
    assert read(IMAGE, Annots=Array([Dictionary(Subtype=Name.Text)])) == ([], False, True)
    assert read(IMAGE, Annots=Name.Odd) == ([], False, True)


def test_the_pages_own_unit_is_counted_in() -> None:
    """A plan of 20 metres has a page of 14,400 units."""
    assert read(IMAGE, UserUnit=2) == ([1190], False, False)
    assert read(IMAGE, UserUnit=Name.Two) == ([], False, True)
    assert read(IMAGE, UserUnit=0) == ([], False, True)


def test_names_are_inherited_from_the_page_tree() -> None:
    """Resources may stand above the page (ISO 32000-1, 7.7.3.4)."""
    with pikepdf.new() as pdf:
        page = pdf.add_blank_page(page_size=(9, 9)).obj
        image = pdf.make_stream(b"x", Type=Name.XObject, Subtype=Name.Image, Width=1, Height=1)
        del page.Resources
        pdf.Root.Pages.Resources = Dictionary(XObject=Dictionary(Im=image))
        page.Contents = pdf.make_stream(IMAGE)

        assert len(drawn.drawn_by(page).images) == 1
        pdf.Root.Pages.Parent = page  # a circle has no resources, and no end
        del pdf.Root.Pages.Resources
        assert drawn.drawn_by(page).other


def test_packed_content_is_unpacked_and_not_beyond_its_limit() -> None:
    """A few bytes can hold more than the whole memory (I10)."""
    with pikepdf.new() as pdf:
        page = pdf.add_blank_page(page_size=(9, 9)).obj
        for length, other in ((1000, False), (drawn.MOST + 1, True), (1 << 26, True)):
            packed = zlib.compress(b" " * length, 9)
            page.Contents = pdf.make_stream(packed, Filter=Name.FlateDecode)
            assert drawn.drawn_by(page) == drawn.Drawn(other=other)
        page.Contents = pdf.make_stream(b"", Filter=Name.FlateDecode)
        assert not drawn.drawn_by(page).other  # as qpdf packs nothing
        page.Contents = pdf.make_stream(packed[:-9], Filter=Name.FlateDecode)
        assert drawn.drawn_by(page).other
        page.Contents = pdf.make_stream(b"q Q", Filter=Name.LZWDecode)
        assert drawn.drawn_by(page).other


@pytest.mark.parametrize(
    "piece",
    [b"(", b"(a", b"[((", b"<<", b"1 ", b"1", b"/a", b"q ", b"0 0 m ", b"<< (", b"\\", b"[[", b"<"],
)
def test_a_hostile_content_costs_no_more_than_reading_it(piece: bytes) -> None:
    """A pattern that tries again and again would take hours: here it is a moment."""

    def too_long(*_: object) -> None:
        raise AssertionError(piece)

    before = signal.signal(signal.SIGVTALRM, too_long)
    signal.setitimer(signal.ITIMER_VIRTUAL, 5)
    try:
        read(piece * (1_000_000 // len(piece)))
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
