"""PDFs whose parts are all there, and whose pages nobody can read: their paper must stay."""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from pikepdf import Dictionary, Name
from PIL import Image

from daemon.errors import Refused
from tests.unit.pages_samples import SIZE, drawn, jpeg, pdf, prepared, tiff
from tests.unit.pdf_sources import FLATE, stream, with_catalog, with_page, with_resources

if TYPE_CHECKING:
    from pathlib import Path

WIDTH, HEIGHT = SIZE
IMAGE = b"/Type /XObject /Subtype /Image /Width %d /Height %d " % SIZE
GREY = IMAGE + b"/ColorSpace /DeviceGray /BitsPerComponent 8 "
DCT = IMAGE + b"/ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /DCTDecode "
G4 = (
    IMAGE + b"/ColorSpace /DeviceGray /BitsPerComponent 1 /Filter /CCITTFaxDecode "
    b"/DecodeParms << /K -1 /Columns %d /Rows %d >> " % (WIDTH, HEIGHT)
)
PNG_ROWS = b"/DecodeParms << /Predictor 15 /Colors 1 /BitsPerComponent 8 /Columns %d >> " % WIDTH
PHOTO = jpeg()
ROWS = bytes(range(WIDTH)) * HEIGHT


def group4() -> bytes:
    scan = tiff(drawn("1"), compression="group4")
    with Image.open(io.BytesIO(scan), formats=("TIFF",)) as held:
        tags = held.tag_v2  # type: ignore[attr-defined]
        return scan[tags[273][0] :][: tags[279][0]]


FAX = group4()


def image(entries: bytes, data: bytes) -> bytes:
    return with_resources(b"/XObject << /Im0 4 0 R >>", {4: stream(entries, data)})


def description(entries: bytes, data: bytes) -> bytes:
    return with_page(b"/Contents 4 0 R", {4: stream(entries, data)})


WHOLE = {
    "a JPEG": image(DCT, PHOTO),
    "a JPEG in a filled-up sector": image(DCT, PHOTO + bytes(500)),
    "packed rows": image(GREY + FLATE, zlib.compress(ROWS)),
    "more rows than are shown": image(GREY + FLATE, zlib.compress(ROWS + bytes(WIDTH))),
    "rows that are not packed": image(GREY, ROWS),
    "rows with PNG's filters": image(
        GREY + FLATE + PNG_ROWS, zlib.compress((b"\0" + bytes(WIDTH)) * HEIGHT)
    ),
    "a fax": image(G4, FAX),
    "a fax that is filled up": image(G4, FAX + bytes(500)),
    "a description": description(FLATE, zlib.compress(b"q Q " * 99)),
    "an empty description": description(FLATE, b""),
}
BROKEN = {
    "half a JPEG": image(DCT, PHOTO[: len(PHOTO) // 2]),
    "a JPEG's head": image(DCT, PHOTO[:30]),
    "no JPEG": image(DCT, b"\xff\xd8not a jpeg"),
    "zeros for a JPEG": image(DCT, bytes(5000)),
    "a JPEG of another size": image(DCT.replace(b"/Width %d" % WIDTH, b"/Width 59"), PHOTO),
    "no zlib": image(GREY + FLATE, b"not packed at all"),
    "half of the packed rows": image(GREY + FLATE, zlib.compress(ROWS)[:40]),
    "a row less": image(GREY + FLATE, zlib.compress(ROWS[WIDTH:])),
    "a row less, not packed": image(GREY, ROWS[WIDTH:]),
    "a row less with PNG's filters": image(
        GREY + FLATE + PNG_ROWS, zlib.compress((b"\0" + bytes(WIDTH)) * (HEIGHT - 1))
    ),
    "a fax of zeros": image(G4, bytes(500)),
    "a fax with a hole": image(G4, FAX[:40] + bytes(200) + FAX[40:]),
    "a description that is not packed": description(FLATE, b"xxxxx"),
    "a description that breaks off": description(FLATE, zlib.compress(b"q Q " * 99)[:-5]),
}


@pytest.mark.parametrize("what", WHOLE)
def test_what_is_whole_is_sealed(tmp_path: Path, what: str) -> None:
    """Damage to what is refused anyway would show nothing."""
    prepared(tmp_path, WHOLE[what])


@pytest.mark.parametrize("what", BROKEN)
def test_i11_what_breaks_off_or_means_nothing_is_refused(tmp_path: Path, what: str) -> None:
    """The read-back compares bytes: it would call the ruin the same ruin, and the paper goes."""
    with pytest.raises(Refused) as caught:
        prepared(tmp_path, BROKEN[what])
    assert caught.value.code == "pdf-damaged"


SHAPES: dict[str, dict[str, Any]] = {
    "turned askew": {"Rotate": 45},
    "turned by a name": {"Rotate": Name.Left},
    "a unit below zero": {"UserUnit": -3},
    "no unit": {"UserUnit": 0},
    "two corners": {"CropBox": [1, 2]},
    "no area": {"CropBox": [0, 0, 0, 9]},
    "corners of no numbers": {"MediaBox": [0, 0, Name.Right, 9]},
}


@pytest.mark.parametrize("what", SHAPES)
@pytest.mark.parametrize("where", ["page", "tree"])
def test_a_page_of_no_certain_size_or_rotation_is_refused(
    tmp_path: Path, what: str, where: str
) -> None:
    """Each reader makes something else of it."""

    def change(made: Any) -> None:
        node = made.pages[0].obj if where == "page" else made.Root.Pages
        for key, value in SHAPES[what].items():
            node[Name(f"/{key}")] = value

    with pytest.raises(Refused, match="pdf-damaged: the size or the rotation"):
        prepared(tmp_path, pdf(change=change))


OFF = b"/OCProperties << /OCGs [ 4 0 R ] /D << %b >> >>"
LAYER = {4: b"<< /Type /OCG /Name (x) >>"}
OTHER = {
    4: stream(GREY + b"/Alternates [ << /Image 5 0 R /DefaultForPrinting true >> ] ", ROWS),
    5: stream(GREY, ROWS[::-1]),
}


@pytest.mark.parametrize(
    "scan",
    [
        with_catalog(OFF % b"/OFF [ 4 0 R ]", LAYER),
        with_catalog(OFF % b"/BaseState /OFF", LAYER),
        with_catalog(OFF % b"/AS [ << /Event /Print >> ]", LAYER),
        with_resources(b"/XObject << /Im0 4 0 R >>", OTHER),
    ],
    ids=["hidden", "all hidden", "by itself", "another image in print"],
)
def test_a_page_that_can_be_shown_in_two_ways_is_a_finding(tmp_path: Path, scan: bytes) -> None:
    """Which of them was on the paper, a person has to say."""
    _, _, reply = prepared(tmp_path, scan)

    assert "pdf-changing-view" in reply["findings"]


def test_layers_that_are_all_shown_are_no_finding(tmp_path: Path) -> None:
    """As programs for drawings write them."""
    _, _, reply = prepared(tmp_path, with_catalog(OFF % b"/OFF [ ] /BaseState /ON", LAYER))

    assert "pdf-changing-view" not in reply["findings"]


@pytest.mark.parametrize(
    "action",
    ["SetOCGState", "ResetForm", "Hide", "Named", "GoTo3DView", "Trans"],
)
@pytest.mark.parametrize("where", ["/OpenAction %b", "/AA << /WP %b >>"])
def test_what_happens_without_a_click_only_leads_to_a_page(
    tmp_path: Path, action: str, where: str
) -> None:
    """Layers that go on and fields that vanish: then the screen is not what was sealed."""
    scan = with_catalog(where.encode() % (b"<< /S /%b >>" % action.encode()))

    with pytest.raises(Refused) as caught:
        prepared(tmp_path, scan)
    assert caught.value.code == "pdf-launch-action"
    prepared(tmp_path, with_page(b"/Annots [ %b ]" % _link(action)))


def _link(action: str) -> bytes:
    link = Dictionary(Type=Name.Annot, Subtype=Name.Link, Rect=[0, 0, 9, 9])
    link.A = Dictionary(S=Name(f"/{action}"))
    return link.unparse()
