"""PDF/A of files that are made around images, and what the read-back lets pass as an addition."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name, String
from PIL import Image, ImageCms

from daemon import prepare, transfernote
from daemon.pages import colours, intent, pdfa
from tests.unit import pages_samples as samples
from tests.unit.pages_samples import (
    NOTE,
    changed,
    differs,
    drawn,
    encoded,
    jpeg,
    pdf,
    png,
    prepared,
    read_back,
    request,
    sealed,
    tiff,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

CLAIMED: dict[str, tuple[str, bytes]] = {
    "colour": ("jpeg", jpeg()),
    "grey": ("jpeg", jpeg("L")),
    "with a profile": ("jpeg", jpeg(icc_profile=SRGB)),
    "turned": ("jpeg", jpeg(exif=samples.exif(6))),
    "png": ("png", png()),
    "transparent": ("png", png("RGBA")),
    "with a palette": ("png", png("P")),
    "16 bits": ("png", png("I;16")),
    "one bit": ("png", png("1")),
    "fax": ("tiff", tiff(drawn("1"), compression="group4")),
    "not packed": ("tiff", tiff(drawn(), drawn("L"), compression="raw")),
    "jpeg 2000": ("jp2", encoded(drawn(), "JPEG2000")),
    "grey jpeg 2000": ("jp2", encoded(drawn("L"), "JPEG2000")),
}
UNCLAIMED: dict[str, tuple[str, bytes, str]] = {
    "printers' colours": ("jpeg", jpeg("CMYK"), "device-cmyk"),
    "printers' colours in a tiff": ("tiff", tiff(drawn("CMYK"), compression="raw"), "device-cmyk"),
    "printers' colours in jpeg 2000": ("jp2", encoded(drawn("CMYK"), "JPEG2000"), "jpeg-2000"),
    "a profile of version 5": (
        "jpeg",
        jpeg(icc_profile=SRGB[:8] + b"\5" + SRGB[9:]),
        "icc-profile",
    ),
    "a line of one pixel": (
        "png",
        encoded(Image.new("L", (100, 1), 255), "PNG", dpi=(300, 300)),
        "page-size",
    ),
}


def own_check(target: Path) -> set[str]:
    with pikepdf.open(target) as made:
        return pdfa.broken_by(made)


@pytest.mark.parametrize("what", CLAIMED)
def test_an_image_becomes_pdfa(tmp_path: Path, what: str) -> None:
    """Intent, packet and seal: what is written passes the same checks as what comes."""
    kind, scan = CLAIMED[what]

    source, target, reply = sealed(tmp_path, scan)

    assert (reply["pdfa"], "pdfa-not-claimed" in reply["findings"]) == ("2b", False)
    assert own_check(target) == set()
    text = target.read_bytes()
    assert text.count(b"<pdfaid:part>2</pdfaid:part>") == 1
    assert text.count(b"<pdfaid:conformance>B</pdfaid:conformance>") == 1
    assert text.count(b"/GTS_PDFA1") == 1
    assert read_back(source, target, kind)["pdfa"] == "2b"


@pytest.mark.parametrize("what", UNCLAIMED)
def test_an_image_that_breaks_a_rule_is_sealed_without_the_claim(tmp_path: Path, what: str) -> None:
    """And the check for PDFs finds the same rule in what was written, or the size of the page."""
    kind, scan, rule = UNCLAIMED[what]

    source, target, reply = sealed(tmp_path, scan)

    assert reply["pdfa"] == f"not claimed: {rule}"
    assert "pdfa-not-claimed" in reply["findings"]
    assert own_check(target) == {rule}
    assert b"pdfaid" not in target.read_bytes()
    assert b"OutputIntents" not in target.read_bytes()
    assert read_back(source, target, kind)["pdfa"] == ""


@pytest.mark.parametrize("scan", [jpeg(), pdf(), tiff(drawn("1"), compression="group4")])
def test_pdfa_3_holds_the_note_as_a_file(tmp_path: Path, scan: bytes) -> None:
    """The attached XML is the note, complete: what was found out and what is claimed are in it."""
    source, target, reply = sealed(tmp_path, scan, pdfa="3b")

    with pikepdf.open(target) as made:
        (file,) = made.Root.AF
        held = made.attachments["transfernote.xml"].get_file()
        assert file.AFRelationship == Name.Data
        assert bytes(file.F) == bytes(file.UF) == b"transfernote.xml"
        assert held.obj.Params.Size == len(held.read_bytes())
        assert str(held.obj.Params.ModDate) == "D:20261122100021Z"
        note = transfernote.completed(
            NOTE, 1, reply["findings"], reply["checked_at"], reply["finding_pages"], "3b"
        )
        assert held.read_bytes() == transfernote.as_xml(note)
    assert own_check(target) == {"embedded-files"}
    assert b"<pdfaid:part>3</pdfaid:part>" in target.read_bytes()
    assert read_back(source, target, reply["kind"])["pdfa"] == "3b"


@pytest.mark.parametrize("wanted", ["2b", "3b", "none"])
def test_a_cover_page_is_pdfa(tmp_path: Path, wanted: str) -> None:
    """It is drawn here, so nothing in it can break a rule."""
    note = transfernote.judged(transfernote.enveloped(NOTE, "already-signed"), wanted)
    target = tmp_path / "cover"
    argument = request(tmp_path / "none", target) | {
        "note": transfernote.as_json(note),
        "code": "already-signed",
    }

    reply = prepare.cover(argument)

    assert reply["pdfa"] == (wanted if wanted != "none" else "not wanted")
    expected: dict[str, set[str]] = {"2b": set(), "3b": {"embedded-files"}, "none": set()}
    assert own_check(target) == expected[wanted]
    assert (b"GTS_PDFA1" in target.read_bytes()) == (wanted != "none")


# -- the read-back: exactly our additions ---------------------------------------------------

WRONG: dict[str, tuple[bytes, bytes]] = {
    "another profile": (intent.PROFILE, intent.PROFILE[:-1] + b"?"),
    "another condition": (b"(sRGB IEC61966-2.1)", b"(sRGB IEC61966-2.2)"),
    "another kind of intent": (b"/GTS_PDFA1", b"/GTS_PDFX9"),
    "another part": (b"<pdfaid:part>2<", b"<pdfaid:part>1<"),
    "another level": (b"conformance>B<", b"conformance>A<"),
    "another claim in the note": (b"<scanseal:pdfa>2b<", b"<scanseal:pdfa>3b<"),
}


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize(("kind", "scan"), [("pdf", pdf()), ("jpeg", jpeg())])
def test_what_claims_otherwise_is_seen(tmp_path: Path, what: str, kind: str, scan: bytes) -> None:
    """A byte of the profile, a word of the claim: each is an addition that is not ours."""
    source, target, _ = sealed(tmp_path, scan)
    assert read_back(source, target, kind)["pdfa"] == "2b"

    changed(target, *WRONG[what])

    assert differs(source, target, kind) == "pages-differ"


@pytest.mark.parametrize(("kind", "scan"), [("pdf", pdf()), ("jpeg", jpeg())])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"/AFRelationship /Data", b"/AFRelationship /Date"),
        (b"(transfernote.xml)", b"(transfernote.exe)"),
        (b"<box>marktamt-01</box>", b"<box>marktamt-02</box>"),
        (b"<images>1</images>", b"<images>2</images>"),
        (b"<number />", b"<numbar />"),
        (b"/Desc ", b"/Desk "),
        (b"/AF ", b"/AG "),
    ],
)
def test_another_attached_note_is_seen(
    tmp_path: Path, kind: str, scan: bytes, old: bytes, new: bytes
) -> None:
    """It says what the packet says, field by field, and hangs where it has to."""
    source, target, _ = sealed(tmp_path, scan, pdfa="3b")
    assert read_back(source, target, kind)["pdfa"] == "3b"

    changed(target, old, new)

    assert differs(source, target, kind) == "pages-differ"


def intents_more(made: pikepdf.Pdf) -> None:
    intent.add(made)
    made.Root.OutputIntents.append(Dictionary(S=Name.GTS_PDFX))


CHANGES: dict[str, Callable[[pikepdf.Pdf], object]] = {
    "an intent more": intents_more,
    "a name more": lambda made: made.Root.__setattr__(
        "Names", Dictionary(Dests=Dictionary(Names=Array()))
    ),
    "a file more": lambda made: made.attachments.__setitem__("a.txt", b"text"),
    "a file of the whole": lambda made: made.Root.__setattr__(
        "AF", Array([Dictionary(F=String("transfernote.xml"))])
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_i4_what_looks_like_an_addition_is_seen(tmp_path: Path, what: str) -> None:
    """The candidate is of another original, which brought it."""
    policies = {"pdf-embedded-file": "accept", "pdf-external-stream": "accept"}
    source, _, _ = sealed(tmp_path, pdf())
    _, other, _ = sealed(tmp_path, pdf(change=CHANGES[what]), policies=policies)

    assert differs(source, other, "pdf") == "pages-differ"


def test_an_intent_that_the_original_had_is_not_exchanged(tmp_path: Path) -> None:
    """It is compared as everything else, also where ours would do."""

    def own(made: pikepdf.Pdf) -> None:
        intent.add(made)
        made.Root.OutputIntents[0].Info = String("scanner")

    source, target, reply = sealed(tmp_path, pdf(change=own))
    _, other, _ = sealed(tmp_path, pdf())

    assert reply["pdfa"] == read_back(source, target, "pdf")["pdfa"] == "2b"
    assert differs(source, other, "pdf") == "pages-differ"


@pytest.mark.parametrize(("kind", "scan"), [("pdf", pdf()), ("jpeg", jpeg())])
def test_a_claim_without_an_intent_is_seen(tmp_path: Path, kind: str, scan: bytes) -> None:
    """Nothing would say what the colours mean."""
    source, target, _ = sealed(tmp_path, scan)
    (entry,) = re.findall(rb"/OutputIntents \[ <<.*?>> \]", target.read_bytes(), re.DOTALL)

    changed(target, entry, b" " * len(entry))

    assert differs(source, target, kind) == "pages-differ"


def test_an_attached_file_of_another_size_is_seen(tmp_path: Path) -> None:
    """What is said of it has to be true, also to readers that believe it."""
    source, target, _ = sealed(tmp_path, jpeg(), pdfa="3b")
    with pikepdf.open(target) as made:
        size = made.attachments["transfernote.xml"].get_file().size

    changed(target, b"<< /Size %d" % size, b"<< /Size %d" % (size + 1))

    assert differs(source, target, "jpeg") == "pages-differ"


# -- profiles and JPEG 2000 ------------------------------------------------------------------


def test_the_profile_is_srgb() -> None:
    """Of version 4.2, for displays, and the same colours as LittleCMS has for sRGB."""
    profile = intent.PROFILE
    opened = ImageCms.getOpenProfile(io.BytesIO(profile))

    assert colours.profile_fits(profile, 3, colours.OUTPUT_CLASSES)
    assert profile[8:12] == bytes([4, 0x20, 0, 0])
    assert int.from_bytes(profile[:4], "big") == len(profile)
    assert "No copyright, use freely" in str(opened.profile.copyright)
    same = ImageCms.profileToProfile(drawn(), opened, ImageCms.createProfile("sRGB"))
    assert samples_equal(same, drawn())


def samples_equal(one: Any, other: Any) -> bool:
    """Return whether no colour differs by more than rounding."""
    return all(abs(a - b) <= 1 for a, b in zip(one.tobytes(), other.tobytes(), strict=True))


HEAD = b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 \0\0\0\0jp2 "


def jpeg_2000(*boxes: tuple[bytes, bytes]) -> bytes:
    inner = b"".join((8 + len(held)).to_bytes(4, "big") + name + held for name, held in boxes)
    return HEAD + (8 + len(inner)).to_bytes(4, "big") + b"jp2h" + inner


def ihdr(channels: int = 3, depth: int = 7) -> tuple[bytes, bytes]:
    return b"ihdr", bytes(8) + channels.to_bytes(2, "big") + bytes([depth, 7, 0, 0])


def colr(method: int = 1, rest: bytes = b"\0\0\0\x10") -> tuple[bytes, bytes]:
    return b"colr", bytes([method, 0, 0]) + rest


@pytest.mark.parametrize(
    ("boxes", "fits"),
    [
        ([ihdr(), colr()], True),
        ([ihdr(1), colr(rest=b"\0\0\0\x11")], True),
        ([ihdr(), colr(rest=b"\0\0\0\x12")], True),
        ([ihdr(), colr(2, SRGB)], True),
        ([ihdr(depth=255), (b"bpcc", b"\7\7\7"), colr()], True),
        ([ihdr(depth=255), (b"bpcc", b"\7\7\3"), colr()], False),
        ([ihdr(depth=38), colr()], False),
        ([ihdr(4), colr(rest=b"\0\0\0\x0c")], False),
        ([ihdr(2), colr(rest=b"\0\0\0\x11")], False),
        ([ihdr(), colr(rest=b"\0\0\0\x13")], False),
        ([ihdr(), colr(), colr()], False),
        ([ihdr(), colr(4)], False),
        ([ihdr(), colr(2, b"nothing")], False),
        ([ihdr(), colr(), (b"pclr", b"")], False),
        ([ihdr(), colr(), (b"cdef", b"")], False),
        ([ihdr()], False),
        ([colr()], False),
    ],
)
def test_which_jpeg_2000_may_be_in_pdfa(boxes: list[tuple[bytes, bytes]], *, fits: bool) -> None:
    """ISO 19005-2, 6.2.8.3: channels, depths, and one description of colours that is known."""
    assert colours.jpeg_2000_fits(jpeg_2000(*boxes)) is fits
    assert not colours.jpeg_2000_fits(jpeg_2000(*boxes)[:-1])


def test_every_claim_has_its_words_in_the_packet(tmp_path: Path) -> None:
    """The extension schema describes each field of the note, the claim's own among them."""
    _, target, _ = prepared(tmp_path, jpeg())
    text = target.read_bytes().decode("latin-1")

    for name in transfernote.names():
        assert f"<pdfaProperty:name>{name}</pdfaProperty:name>" in text
        assert len(re.findall(f"<scanseal:{name}>", text)) == 1


@pytest.mark.parametrize(
    ("pdfa_text", "wanted", "findings", "possible"),
    [
        ("2b", "2b", (), True),
        ("3b", "3b", (), True),
        ("not wanted", "none", (), True),
        ("not claimed: image, font", "2b", ("pdfa-not-claimed",), True),
        ("3b", "2b", (), False),
        ("2b", "none", (), False),
        ("not wanted", "2b", (), False),
        ("2b", "2b", ("pdfa-not-claimed",), False),
        ("not claimed: image", "2b", (), False),
        ("not claimed: ", "2b", ("pdfa-not-claimed",), False),
        ("not claimed: Frau M", "2b", ("pdfa-not-claimed",), False),
    ],
)
def test_a_worker_can_only_say_what_can_be(
    pdfa_text: str, wanted: str, findings: tuple[str, ...], *, possible: bool
) -> None:
    """I10: its words go into the note for ever."""
    assert transfernote.plausible_claim(pdfa_text, wanted, findings) is possible


def test_judging_adds_the_finding_once() -> None:
    """The rules stand in the note in their order."""
    note = transfernote.judged(NOTE, "2b", {"image", "font"})

    assert note.pdfa == "not claimed: font, image"
    assert note.findings == ("pdfa-not-claimed",)
    assert transfernote.judged(note, "2b", {"image", "font"}) == note
    assert replace(note, pdfa="2b", findings=NOTE.findings) == transfernote.judged(NOTE, "2b")
