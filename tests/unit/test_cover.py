"""The page that stands for a scan: what it says, and that nothing else passes for it."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pikepdf
import pytest
from PIL import Image, ImageFont

from daemon import prepare, transfernote
from daemon.codes import CODES
from daemon.errors import PermanentError
from daemon.pages import cover
from daemon.sections import POLICIES
from tests.unit.pages_samples import CMS, NOTE, changed, request

if TYPE_CHECKING:
    from pathlib import Path

CODE = "already-signed"
ENVELOPED = transfernote.enveloped(NOTE, CODE)


def covered(folder: Path, **changes: Any) -> tuple[Path, dict[str, Any]]:
    """Write a cover page into *folder*, with something in its gap; return it and the reply."""
    target = folder / "cover"
    argument = request(folder / "there is no original", target)
    argument |= {"note": transfernote.as_json(ENVELOPED), "code": CODE}
    reply = prepare.cover(argument | changes)
    room = reply["gap_end"] - reply["gap_start"] - 2
    with target.open("r+b") as file:
        file.seek(reply["gap_start"] + 1)
        file.write(CMS.hex().encode().ljust(room, b"0"))
    return target, reply


def checked(
    sealed: Path, note: transfernote.TransferNote = ENVELOPED, code: str = CODE
) -> dict[str, Any]:
    """Run the task `readback` as for a cover page."""
    return prepare.readback(
        {
            "sealed": str(sealed),
            "original": "/there/is/no/original",
            "kind": "pdf",
            "max_pixels": 1_000_000,
            "code": code,
            "note": transfernote.as_json(note),
        }
    )


def refused(sealed: Path, note: transfernote.TransferNote = ENVELOPED, code: str = CODE) -> str:
    with pytest.raises(PermanentError) as caught:
        checked(sealed, note, code)
    return caught.value.code


def test_a_cover_page_is_written_and_passes_for_itself(tmp_path: Path) -> None:
    """The original is not opened, neither to write it nor to compare."""
    target, reply = covered(tmp_path)

    assert (reply["kind"], reply["images"], reply["checked_at"]) == ("pdf", 1, "")
    assert reply["findings"] == ("envelope", CODE)
    assert reply["pages_digest"] is None
    found = checked(target)
    assert (found["images"], found["compared"], found["permissions"]) == (1, "pixels", 1)
    with pikepdf.open(target) as pdf:
        box = [float(edge) for edge in pdf.pages[0].mediabox]
        packet = pdf.Root.Metadata.read_bytes().decode()
    assert box == [0, 0, 595.2, 841.92]
    assert NOTE.original_sha256 in packet
    assert transfernote.ENVELOPE_DE in packet
    assert "gibt die gescannte Vorlage" not in packet


@pytest.mark.parametrize(
    "change",
    [
        {"original_sha256": "ac" * 32},
        {"original_size": 1235},
        {"original_kind": "tiff"},
        {"claimed_at": "2026-11-22T10:00:21.000Z"},
        {"document": "019aa9b4-0000-7000-8000-000000000002"},
        {"box": "marktamt-02"},
        {"findings": ("envelope",)},
        {"match_en": transfernote.MATCH_EN},
    ],
    ids=str,
)
def test_a_cover_page_for_another_scan_does_not_pass(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    """What the page shows, or what its note says, is not what we know of the original (I4)."""
    target, _ = covered(tmp_path)
    assert checked(target)

    assert refused(target, replace(ENVELOPED, **change)) == "pages-differ"


def test_a_cover_page_that_says_another_reason_does_not_pass(tmp_path: Path) -> None:
    """The code stands on it, with its sentence."""
    target, _ = covered(tmp_path)

    assert refused(target, code="pdf-damaged") == "pages-differ"


def test_one_pixel_is_enough(tmp_path: Path) -> None:
    """A six for an eight is a few of them."""
    other = cover.drawn(ENVELOPED, CODE)
    other.putpixel((1200, 1700), 0)
    target, _ = covered(tmp_path)
    with pikepdf.open(target, allow_overwriting_input=True) as pdf:
        image = pdf.pages[0].obj.Resources.XObject["/Im"]
        held = image.read_raw_bytes()
    data = target.read_bytes()
    packed = zlib.compress(other.tobytes(), 9)
    assert len(packed) <= len(held)
    # Behind the packed samples there may be anything: the length stays, and so does the table.
    target.write_bytes(data.replace(held, packed.ljust(len(held), b"\0")))

    assert refused(target) == "pages-differ"


def test_a_note_that_names_another_digest_does_not_pass(tmp_path: Path) -> None:
    """The page may be right and the note wrong."""
    target, _ = covered(tmp_path)
    changed(target, NOTE.original_sha256.encode(), b"ac" * 32)

    assert refused(target) == "pages-differ"


def test_a_page_of_another_size_does_not_pass(tmp_path: Path) -> None:
    """The right image on a page that is a little wider."""
    target, _ = covered(tmp_path)
    assert checked(target)
    changed(target, b"595.2 ", b"595.3 ")

    assert refused(target) == "pages-differ"


def test_a_sealed_scan_does_not_pass_for_a_cover_page(tmp_path: Path) -> None:
    """Nor does a cover page pass for a scan: each is compared with what it has to be."""
    target, _ = covered(tmp_path)
    blank = Image.new("1", cover.SIZE, 1)
    blank.save(tmp_path / "original", "TIFF", compression="group4", dpi=(300, 300))
    argument = {
        "sealed": str(target),
        "original": str(tmp_path / "original"),
        "kind": "tiff",
        "max_pixels": 100_000_000,
    }

    with pytest.raises(PermanentError) as caught:
        prepare.readback(argument)
    assert caught.value.code == "pages-differ"


def test_the_same_note_is_drawn_as_the_same_pixels() -> None:
    """Otherwise nothing could be compared."""
    one, other = cover.drawn(ENVELOPED, CODE), cover.drawn(ENVELOPED, CODE)

    assert one.tobytes() == other.tobytes()
    assert (one.mode, one.size) == ("1", cover.SIZE)


@pytest.mark.parametrize("code", POLICIES.values())
def test_every_reason_for_an_envelope_can_be_drawn(code: str) -> None:
    """Pillow's own font has few letters: for each one in our sentences there is something."""
    font = ImageFont.load_default(size=40)
    assert isinstance(font, ImageFont.FreeTypeFont)
    missing = bytes(font.getmask("\ue123"))
    texts = [cover.STANDS_DE, cover.STANDS_EN, cover.CHECK_DE, cover.CHECK_EN, cover.HEAD]
    texts += [CODES[code].de.sentence, CODES[code].en.sentence, "Größe „x“ – ‚y‘ …"]
    letters = set(cover._letters("".join(texts))) - {" "}

    assert [letter for letter in letters if bytes(font.getmask(letter)) == missing] == []
    note = replace(transfernote.enveloped(NOTE, code), original_size=10**12)
    low = cover.drawn(note, code).crop((0, cover.SIZE[1] - 600, *cover.SIZE))
    assert 0 not in low.getextrema()  # all of it found its place on the sheet
