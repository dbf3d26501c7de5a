"""What a PDF holds beside its pages is found wherever it hides, and the profile decides (I11, I12)."""

from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING, Any

import pikepdf
import pytest

from daemon.errors import Refused
from daemon.pages import policy
from daemon.sections import POLICIES
from tests.unit import jbig2_samples as jbig2
from tests.unit.jbig2_samples import PAGE_INFORMATION, segment
from tests.unit.pages_samples import PAGE, differs, handmade, pdf, prepared, read_back, sealed
from tests.unit.pdf_sources import (
    FLATE,
    held,
    object_stream,
    stream,
    with_catalog,
    with_page,
    with_resources,
    with_table_in_a_stream,
    zeros,
)

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = b"<< /S /JavaScript /JS (app.alert(1)) >>"
LINK = b"<< /Type /Annot /Subtype /Link /Rect [ 0 0 9 9 ] /A << /S /URI /URI (%b) >> >>"
ELSEWHERE = b"<< /Type /Filespec /F (other.pdf) /UF (other.pdf) >>"
ATTACHED = b"<< /Type /Filespec /F (a.xml) /EF << /F 5 0 R >> >>"
CONTENT = stream(b"/Type /EmbeddedFile", b"<a/>")
SYMBOLS = PAGE_INFORMATION + segment(6, b"x" * 30)
DICTIONARY = segment(0, b"x" * 30, number=0)
IMAGE = b"/Type /XObject /Subtype /Image /Width 60 /Height 84 /BitsPerComponent 1 "
JBIG2 = IMAGE + b"/ColorSpace /DeviceGray /Filter /JBIG2Decode "
LETTERS = stream(JBIG2, SYMBOLS)


def annotated(entries: bytes) -> bytes:
    return with_page(b"/Annots [ << /Type /Annot /Rect [ 0 0 9 9 ] %b >> ]" % entries)


def acting(action: bytes) -> bytes:
    return annotated(b"/Subtype /Link /A %b" % action)


JAVASCRIPT: dict[str, bytes] = {
    "when opened": with_catalog(b"/OpenAction " + SCRIPT),
    "after what is harmless": with_catalog(
        b"/OpenAction << /S /GoTo /D [ 3 0 R /Fit ] /Next [ << /S /Named /N /NextPage /Next 4 0 R >> ] >>",
        {4: SCRIPT},
    ),
    "when the document is closed": with_catalog(b"/AA << /WC %b >>" % SCRIPT),
    "when the page is opened": with_page(b"/AA << /O %b >>" % SCRIPT),
    "in a link": acting(SCRIPT),
    "under the mouse": annotated(b"/Subtype /Widget /AA << /E %b >>" % SCRIPT),
    "in a form field": with_catalog(
        b"/AcroForm << /Fields [ << /FT /Tx /T (a) /AA << /K %b >> >> ] >>" % SCRIPT
    ),
    "under a name": with_catalog(b"/Names << /JavaScript << /Names [ (a) %b ] >> >>" % SCRIPT),
    "under a name, not as an action": with_catalog(
        b"/Names << /JavaScript << /Kids [ 4 0 R ] >> >>", {4: b"<< /Names [ (a) (app) ] >>"}
    ),
    "in a bookmark": with_catalog(
        b"/Outlines << /First 4 0 R /Last 4 0 R /Count 1 >>",
        {4: b"<< /Title (x) /A %b >>" % SCRIPT},
    ),
    "in what is played": acting(b"<< /S /Rendition /OP 0 /JS (app.alert(1)) >>"),
    "in a model": with_resources(
        b"/X 4 0 R",
        {4: stream(b"/Subtype /U3D /OnInstantiate 5 0 R", b"u3d"), 5: stream(b"", b"app")},
    ),
    "with its kind elsewhere": with_catalog(
        b"/OpenAction << /S 4 0 R /JS (app.alert(1)) >>", {4: b"/JavaScript"}
    ),
    "with its kind spelled in another way": with_catalog(
        b"/OpenAction << /S /J#61vaScrip#74 /JS (app.alert(1)) >>"
    ),
    "where nobody looks": handmade({**PAGE, 4: b"[ [ [ %b ] ] ]" % SCRIPT}, b"/Foo 4 0 R"),
    "directly in the trailer": handmade(PAGE, b"/Foo << /A %b >>" % SCRIPT),
    "in an object stream": with_table_in_a_stream(
        {
            **PAGE,
            1: b"<< /Type /Catalog /Pages 2 0 R /OpenAction 5 0 R >>",
            4: object_stream({5: SCRIPT}),
        },
        {5: (4, 0)},
    ),
}
ACTIONS: dict[str, bytes] = {
    "a program": acting(b"<< /S /Launch /F (calc.exe) >>"),
    "another document": acting(b"<< /S /GoToR /F (other.pdf) /D (x) >>"),
    "a document within": acting(b"<< /S /GoToE /T << /R /C /N (x) >> >>"),
    "a form that is sent": acting(b"<< /S /SubmitForm /F (http://example.org) >>"),
    "a form that is filled": acting(b"<< /S /ImportData /F (a.fdf) >>"),
    "a film": acting(b"<< /S /Movie /T (x) >>"),
    "a noise": acting(b"<< /S /Sound /Sound 3 0 R >>"),
    "what is played": acting(b"<< /S /Rendition /OP 0 >>"),
    "a command to what is played": acting(b"<< /S /RichMediaExecute /CMD << >> >>"),
    "a thread elsewhere": acting(b"<< /S /Thread /F (other.pdf) /D 0 >>"),
    "a link to a file": acting(b"<< /S /URI /URI (file:///etc/passwd) >>"),
    "a link to a share": acting(rb"<< /S /URI /URI (\\\\server\\share) >>"),
    "a link to a program": acting(b"<< /S /URI /URI (JavaScript:alert(1)) >>"),
    "a link that nobody can read": acting(b"<< /S /URI /URI <feff0066> >>"),
    "a link that is none": acting(b"<< /S /URI >>"),
    "a link that opens itself": with_catalog(b"/OpenAction << /S /URI /URI (https://a.example) >>"),
    "a link that opens with the page": with_page(
        b"/AA << /O << /S /GoTo /D (x) /Next << /S /URI /URI (https://a.example) >> >> >>"
    ),
    "where links begin": with_catalog(b"/URI << /Base (file:///) >>"),
    "a film on the page": annotated(b"/Subtype /Movie /Movie << /F (a.avi) >>"),
    "a noise on the page": annotated(b"/Subtype /Sound /Sound 3 0 R"),
}
FILES: dict[str, bytes] = {
    "under a name": with_catalog(
        b"/Names << /EmbeddedFiles << /Names [ (a) 4 0 R ] >> >>", {4: ATTACHED, 5: CONTENT}
    ),
    "on a page": annotated(b"/Subtype /FileAttachment /FS (a.xml)"),
    "beside the catalog": with_catalog(b"/AF [ 4 0 R ]", {4: ATTACHED, 5: CONTENT}),
    "without saying so": with_resources(
        b"/X << /F (a) /EF << /F 4 0 R >> >>", {4: stream(b"", b"x")}
    ),
    "under another system's name": with_resources(
        b"/X << /UF (a) /EF << /Unix 4 0 R >> >>", {4: stream(b"", b"x")}
    ),
    "as a stream that says so": with_resources(b"/X 4 0 R", {4: CONTENT}),
    "as a portfolio": with_catalog(b"/Collection << /View /D >>"),
    "as what is played": annotated(b"/Subtype /RichMedia /RichMediaContent << >>"),
    "as a model": annotated(b"/Subtype /3D /3DD 3 0 R"),
}
OUTSIDE: dict[str, bytes] = {
    "a page's description": with_page(b"/Contents 4 0 R", {4: stream(b"/F (other)", b"")}),
    "an image": with_resources(
        b"/XObject << /Im0 4 0 R >>", {4: stream(IMAGE + b"/F << /FS /URL /F (http://a) >>", b"")}
    ),
    "a page of another file": with_resources(
        b"/XObject << /Fm0 4 0 R >>",
        {4: stream(b"/Subtype /Form /BBox [ 0 0 9 9 ] /Ref << /F (b.pdf) /Page 0 >>", b"")},
    ),
    "a page of another file, by reference": with_resources(
        b"/XObject << /Fm0 4 0 R >>",
        {
            4: stream(b"/Subtype /Form /BBox [ 0 0 9 9 ] /Ref 5 0 R", b""),
            5: b"<< /F (b.pdf) /Page 0 >>",
        },
    ),
    "what a printer puts in": with_resources(
        b"/XObject << /Fm0 4 0 R >>",
        {4: stream(b"/Subtype /Form /BBox [ 0 0 9 9 ] /OPI << /1.3 << >> >>", b"")},
    ),
    "a file": with_catalog(b"/AF [ 4 0 R ]", {4: ELSEWHERE}),
    "a file that only says where": with_resources(b"/X << /UF (other.pdf) >>"),
    "a file by one name": with_resources(b"/X << /Type /Filespec /F (other.pdf) >>"),
    "a file in an old way": with_resources(b"/X << /Type /F /F (other.pdf) >>"),
    "a file whose kind stands elsewhere": with_resources(
        b"/X << /Type 4 0 R /F (other.pdf) >>", {4: b"/Filespec"}
    ),
    "colours": with_catalog(
        b"/OutputIntents [ << /S /GTS_PDFX /DestOutputProfileRef << /URLs [ ] >> >> ]"
    ),
}
FORMS: dict[str, bytes] = {
    "a form": with_catalog(
        b"/AcroForm << /Fields [ ] /XFA [ (t) 4 0 R ] >>", {4: stream(b"", b"<x/>")}
    ),
    "a form that is drawn": with_catalog(b"/NeedsRendering true"),
}
CODED: dict[str, bytes] = {
    "of a page": with_resources(b"/XObject << /Im0 4 0 R >>", {4: LETTERS}),
    "of a form in a form": with_resources(
        b"/XObject << /Fm0 4 0 R >>",
        {
            4: stream(
                b"/Subtype /Form /BBox [ 0 0 9 9 ] /Resources << /XObject << /Fm1 5 0 R >> >>",
                b"/Fm1 Do",
            ),
            5: stream(
                b"/Subtype /Form /BBox [ 0 0 9 9 ] /Resources << /XObject << /Im0 6 0 R >> >>",
                b"/Im0 Do",
            ),
            6: LETTERS,
        },
    ),
    "of a pattern": with_resources(
        b"/Pattern << /P0 4 0 R >>",
        {
            4: stream(b"/PatternType 1 /Resources << /XObject << /Im0 5 0 R >> >>", b"/Im0 Do"),
            5: LETTERS,
        },
    ),
    "of a mask": with_resources(
        b"/XObject << /Im0 4 0 R >>",
        {
            4: stream(IMAGE + b"/ColorSpace /DeviceGray /SMask 5 0 R", b"\0" * 672),
            5: LETTERS,
        },
    ),
    "of an annotation": with_page(
        b"/Annots [ << /Subtype /Stamp /Rect [ 0 0 9 9 ] /AP << /N 4 0 R >> >> ]", {4: LETTERS}
    ),
    "of a glyph": with_resources(
        b"/Font << /F0 << /Type /Font /Subtype /Type3 /CharProcs << /a 4 0 R >> "
        b"/Resources << /XObject << /Im0 5 0 R >> >> >> >>",
        {4: stream(b"", b"/Im0 Do"), 5: LETTERS},
    ),
    "with what they share": with_resources(
        b"/XObject << /Im0 4 0 R >>",
        {
            4: stream(JBIG2 + b"/DecodeParms << /JBIG2Globals 5 0 R >>", jbig2.page()),
            5: stream(FLATE, zlib.compress(DICTIONARY)),
        },
    ),
    "with what they share, in a list": with_resources(
        b"/XObject << /Im0 4 0 R >>",
        {
            4: stream(
                IMAGE + b"/Filter [ /JBIG2Decode ] /DecodeParms [ << /JBIG2Globals 5 0 R >> ]",
                jbig2.page(),
            ),
            5: stream(b"", DICTIONARY),
        },
    ),
    "packed once more": with_resources(
        b"/XObject << /Im0 4 0 R >>",
        {4: stream(IMAGE + b"/Filter [ /FlateDecode /JBIG2Decode ]", zlib.compress(SYMBOLS))},
    ),
    "packed twice more": with_resources(
        b"/XObject << /Im0 4 0 R >>",
        {
            4: stream(
                IMAGE + b"/Filter [ /AHx 5 0 R /JBIG2Decode ] /DecodeParms [ null null null ]",
                zlib.compress(SYMBOLS).hex().encode() + b">",
            ),
            5: b"/Fl",
        },
    ),
    "with the filter elsewhere": with_resources(
        b"/XObject << /Im0 4 0 R >>",
        {4: stream(IMAGE + b"/Filter 5 0 R", SYMBOLS), 5: b"/JBIG2Decode"},
    ),
    "spelled in another way": with_resources(
        b"/XObject << /Im0 4 0 R >>", {4: stream(IMAGE + b"/Filter /JBIG#32Decode", SYMBOLS)}
    ),
    "of a halftone": with_resources(
        b"/XObject << /Im0 4 0 R >>",
        {4: stream(JBIG2, PAGE_INFORMATION + segment(16, b"x") + segment(23, b"x", number=2))},
    ),
}
HELD = {
    "pdf-javascript": JAVASCRIPT,
    "pdf-launch-action": ACTIONS,
    "pdf-embedded-file": FILES,
    "pdf-external-stream": OUTSIDE,
    "pdf-xfa": FORMS,
    "jbig2-symbols": CODED,
}
CASES = [
    pytest.param(code, scan, id=f"{code} {where}")
    for code, scans in HELD.items()
    for where, scan in scans.items()
]


def refusal(tmp_path: Path, scan: bytes, **policies: str) -> str:
    named = {code.replace("_", "-"): policy for code, policy in policies.items()}
    before = set(tmp_path.glob("*.prepared"))
    with pytest.raises(Refused) as caught:
        prepared(tmp_path, scan, policies=named)
    assert set(tmp_path.glob("*.prepared")) == before, "a refused scan leaves nothing in work/out"
    return caught.value.code


@pytest.mark.parametrize(("code", "scan"), CASES)
def test_it_is_found_wherever_it_hides(tmp_path: Path, code: str, scan: bytes) -> None:
    """A reader finds it there, so we have to."""
    assert refusal(tmp_path, scan) == code


ACCEPTABLE = [case for case in CASES if case.values[0] != "jbig2-symbols"]


@pytest.mark.parametrize(("code", "scan"), ACCEPTABLE)
def test_accepted_it_is_sealed_as_it_is_and_a_finding(
    tmp_path: Path, code: str, scan: bytes
) -> None:
    """A flag, never a change (I11): the read-back finds every object as it was."""
    everything = dict.fromkeys(POLICIES.values(), "refuse") | {
        other: "accept" for other in policy.SENTENCES if other not in policy.NEVER_ACCEPTED
    }

    source, target, reply = sealed(tmp_path, scan, policies=everything)

    assert code in reply["findings"]
    assert read_back(source, target, "pdf")["compared"] == "streams"


@pytest.mark.parametrize("code", ["already-signed", "jbig2-symbols"])
def test_some_things_are_never_accepted(tmp_path: Path, code: str) -> None:
    """Whatever the main process says: a worker is asked by others some day."""
    scan = CODED["of a page"]
    if code == "already-signed":
        scan = with_catalog(b"/Perms << /DocMDP 3 0 R >>")

    assert refusal(tmp_path, scan, **{code: "accept"}) == code


def test_the_strictest_policy_counts(tmp_path: Path) -> None:
    """What is refused must not get out in an envelope because something else is in it, too."""
    both = with_catalog(b"/OpenAction %b /Collection << >>" % SCRIPT)

    assert refusal(tmp_path, both) == "pdf-javascript"
    assert refusal(tmp_path, both, pdf_javascript="envelope") == "pdf-embedded-file"
    assert refusal(tmp_path, both, pdf_javascript="accept") == "pdf-embedded-file"
    assert (
        refusal(tmp_path, both, pdf_javascript="accept", pdf_embedded_file="envelope")
        == "pdf-embedded-file"
    )
    assert refusal(tmp_path, both, pdf_javascript="envelope", pdf_embedded_file="accept") == (
        "pdf-javascript"
    )
    assert refusal(tmp_path, both, pdf_javascript="a typo", pdf_embedded_file="accept") == (
        "pdf-javascript"
    )


def test_damage_counts_more_than_what_it_may_hold(tmp_path: Path) -> None:
    """What cannot be read for sure may hold anything."""
    scan = with_catalog(b"/OpenAction %b /X 4 0 R" % SCRIPT, {4: b"<< /A (x"})

    assert refusal(tmp_path, scan, pdf_javascript="envelope") == "pdf-damaged"


def test_every_policy_has_its_sentence_and_the_order_of_a_profile_is_known() -> None:
    """A code without a policy would be refused for ever; a policy without a code does nothing."""
    decided_elsewhere = {"pdf-damaged", "pdf-encrypted"}

    assert set(policy.SENTENCES) == set(POLICIES.values()) - decided_elsewhere


FORM = b"/Subtype /Form /BBox [ 0 0 9 9 ]"
HARMLESS: dict[str, bytes] = {
    "a link that somebody clicks": with_page(
        b"/Annots [ %b ]"
        % b" ".join(
            LINK % link
            for link in (
                b"https://a.example",
                b"HTTP://a",
                b"mailto:a@b",
                b"tel:+49",
                b"a.html#b",
                b"",
            )
        )
    ),
    "words in a title": handmade(
        PAGE | {4: b"<< /Title (/S /JavaScript /JS /Launch /EF /F 1 /URI) >>"}, b"/Info 4 0 R"
    ),
    "words on a page": with_page(
        b"/Contents 4 0 R", {4: stream(b"", b"BT (/JBIG2Decode) Tj /JBIG#32Decod ET")}
    ),
    "jumps in the document": with_catalog(
        b"/OpenAction << /S /GoTo /D [ 3 0 R /Fit ] >> /AA << /WS << /S /GoTo /D [ 3 0 R /Fit ] >> >>"
    ),
    "what a resource is called": with_resources(
        b"/XObject << /JS 4 0 R /JavaScript 4 0 R /EF 4 0 R /F 4 0 R /Ref 4 0 R >> "
        b"/Font << /EF << /Type /Font /Subtype /Type1 /BaseFont /Courier >> >>",
        {4: stream(FORM, b"")},
    ),
    "flags of an annotation": annotated(b"/Subtype /Square /F 4"),
    "a screen on which nothing plays": annotated(b"/Subtype /Screen"),
    "no attachment, but a place for them": with_catalog(
        b"/Names << /EmbeddedFiles << /Names [ ] >> /JavaScript << >> >>"
    ),
    "a transition": with_page(b"/Trans << /S /Fly /F null >> /Group << /S /Transparency >>"),
    "a script that nothing refers to": handmade({**PAGE, 4: SCRIPT, 5: LETTERS}),
    "an unused signature field": with_catalog(b"/AcroForm << /Fields [ << /FT /Sig /T (a) >> ] >>"),
    "a description of 100 MB": with_page(b"/Contents 4 0 R", {4: stream(FLATE, zeros(100))}),
    "fax": with_resources(
        b"/XObject << /Im0 4 0 R >>",
        {4: stream(IMAGE + b"/Filter /CCITTFaxDecode /DecodeParms << /K -1 >>", b"\0\1")},
    ),
    "pixels as JBIG2": with_resources(
        b"/XObject << /Im0 4 0 R >>", {4: stream(JBIG2, jbig2.page())}
    ),
    "pixels as JBIG2, with code tables that they share": with_resources(
        b"/XObject << /Im0 4 0 R >>",
        {
            4: stream(JBIG2 + b"/DecodeParms << /JBIG2Globals 5 0 R >>", jbig2.page()),
            5: stream(FLATE, zlib.compress(segment(53, b"x"))),
        },
    ),
    "pixels as JBIG2, corrected": with_resources(
        b"/XObject << /Im0 4 0 R >>",
        {4: stream(JBIG2, jbig2.page() + segment(42, b"x" * 30, number=2))},
    ),
}


@pytest.mark.parametrize("what", HARMLESS)
def test_what_only_looks_like_it_is_sealed_without_a_word(tmp_path: Path, what: str) -> None:
    """Each refusal sends somebody back to the scanner."""
    source, target, reply = sealed(tmp_path, HARMLESS[what])

    assert held(reply["findings"]) == ()
    assert read_back(source, target, "pdf")["compared"] == "streams"


def test_what_nothing_refers_to_is_not_sealed(tmp_path: Path) -> None:
    """It was no reason to refuse the scan, so it must not be in the sealed file."""
    _, target, _ = sealed(tmp_path, HARMLESS["a script that nothing refers to"])

    assert b"JavaScript" not in target.read_bytes()
    assert b"JBIG2" not in target.read_bytes()


def inline(filters: bytes) -> bytes:
    return b"q BI /W 8 /H 8 /BPC 1 /CS /G %b ID \0abc\nEI Q" % filters


@pytest.mark.parametrize(
    "scan",
    [
        with_page(b"/Contents 4 0 R", {4: stream(b"", inline(b"/F /JBIG2Decode"))}),
        with_page(b"/Contents 4 0 R", {4: stream(b"", inline(b"/Filter [ /A85 /JBIG#32Decode ]"))}),
        with_page(
            b"/Contents 4 0 R", {4: stream(FLATE, zlib.compress(inline(b"/F /JBIG2Decode")))}
        ),
        with_page(
            b"/Contents 4 0 R",
            {
                4: stream(
                    b"/Filter /ASCIIHexDecode", inline(b"/F /JBIG2Decode").hex().encode() + b">"
                )
            },
        ),
        with_page(
            b"/Contents [ 4 0 R 5 0 R ]",
            {
                4: stream(b"", b"q BI /W 8 /H 8 /BPC 1"),
                5: stream(b"", b"/F /JBIG2Decode ID \0abc\nEI Q"),
            },
        ),
        with_page(
            b"/Contents 4 0 R",
            {4: stream(b"", b"% " + b"x" * (1 << 20) + b"\n" + inline(b"/F /JBIG2Decode"))},
        ),
        with_resources(b"/XObject << /Fm0 4 0 R >>", {4: stream(FORM, inline(b"/F /JBIG2Decode"))}),
        with_resources(
            b"/XObject << /Im0 4 0 R >>",
            {4: stream(IMAGE + b"/Filter [ /JBIG2Decode /FlateDecode ]", jbig2.page())},
        ),
        with_resources(
            b"/XObject << /Im0 4 0 R >>",
            {4: stream(JBIG2 + b"/DecodeParms << /JBIG2Globals 7 >>", jbig2.page())},
        ),
        with_resources(
            b"/XObject << /Im0 4 0 R >>",
            {4: stream(IMAGE + b"/Filter [ /FlateDecode /JBIG2Decode ]", b"not packed")},
        ),
        with_resources(b"/XObject << /Im0 4 0 R >>", {4: stream(JBIG2, b"no segments at all")}),
        with_resources(b"/XObject << /Im0 4 0 R >>", {4: stream(JBIG2, jbig2.page()[:-9])}),
        with_resources(
            b"/XObject << /Im0 4 0 R >>",
            {
                4: stream(JBIG2 + b"/DecodeParms << /JBIG2Globals 5 0 R >>", jbig2.page()),
                5: stream(b"", b"no segments at all"),
            },
        ),
    ],
)
def test_jbig2_that_readers_need_not_understand_alike_is_damage(
    tmp_path: Path, scan: bytes
) -> None:
    """Some show it, others leave a white place (I12)."""
    assert refusal(tmp_path, scan) == "pdf-damaged"


@pytest.mark.parametrize("where", ["at the start", "across two pieces"])
def test_page_descriptions_are_searched_to_the_end(tmp_path: Path, where: str) -> None:
    """They are unpacked piece by piece, and a name may lie across two of them."""
    before = 100 if where == "at the start" else (1 << 20) - 40
    content = b"%" + b"x" * before + b"\n" + inline(b"/F /JBIG2Decode")
    scan = with_page(b"/Contents 4 0 R", {4: stream(FLATE, zlib.compress(content))})

    assert refusal(tmp_path, scan) == "pdf-damaged"


@pytest.mark.parametrize(
    "value",
    [
        b"<< /Type /Sig /Filter /X >>",
        b"<< /Type /DocTimeStamp /Filter /X >>",
        b"<< /Filter /X /ByteRange [ 0 1 2 3 ] /Contents <00> >>",
    ],
)
def test_a_signature_that_hangs_elsewhere_is_one(tmp_path: Path, value: bytes) -> None:
    """A time stamp for archives is in no field that a form has to list."""
    assert refusal(tmp_path, with_catalog(b"/DSS << /X 4 0 R >>", {4: value})) == "already-signed"


ENCRYPTIONS = {
    "RC4 of 40 bits": {"R": 2, "aes": False, "metadata": False},
    "RC4": {"R": 3, "aes": False, "metadata": False},
    "AES-128": {"R": 4, "aes": True},
    "AES-128, not the metadata": {"R": 4, "aes": True, "metadata": False},
    "AES-256": {"R": 6, "aes": True},
}


def encrypted(user: str, **options: Any) -> bytes:
    def change(made: pikepdf.Pdf) -> None:
        made.docinfo["/Title"] = "Bescheid"

    return pdf(change=change, encryption=pikepdf.Encryption(user=user, owner="geheim", **options))


@pytest.mark.parametrize("how", ENCRYPTIONS)
def test_a_pdf_that_opens_with_an_empty_password_is_sealed_decrypted_if_that_is_accepted(
    tmp_path: Path, how: str
) -> None:
    """Some scanners encrypt everything and give nobody a password."""
    scan = encrypted("", **ENCRYPTIONS[how])

    source, target, reply = sealed(tmp_path, scan, policies={"pdf-encrypted-empty": "accept"})

    assert held(reply["findings"]) == ("pdf-encrypted-empty",)
    assert read_back(source, target, "pdf")["compared"] == "streams"
    with pikepdf.open(target) as made:
        assert not made.is_encrypted
        assert str(made.docinfo["/Title"]) == "Bescheid"
    assert refusal(tmp_path, scan) == "pdf-encrypted-empty"
    assert refusal(tmp_path, scan, pdf_encrypted_empty="envelope") == "pdf-encrypted-empty"


def test_the_read_back_sees_what_an_encrypted_original_does_not_hold(tmp_path: Path) -> None:
    """Both are compared as they read, and a changed bit is seen."""
    source, _, _ = sealed(tmp_path, encrypted(""), policies={"pdf-encrypted-empty": "accept"})
    with pikepdf.open(source) as made:
        made.docinfo["/Title"] = "Anderes"
        out = io.BytesIO()
        made.save(out)
    _, other, _ = sealed(tmp_path, out.getvalue())

    assert differs(source, other, "pdf") == "pages-differ"


CRYPT = b"/Filter [ /Crypt /FlateDecode ] /DecodeParms [ << /Name /Identity >> null ]"


@pytest.mark.parametrize(
    "entries",
    [
        b"/Filter /Crypt",
        b"/Filter /Crypt /DecodeParms << /Name /Identity >>",
        b"/Filter [ /Crypt ] /DecodeParms [ << /Name /Identity >> ]",
        CRYPT,
        b"/Filter [ /FlateDecode /Crypt ] /DecodeParms [ null << /Name /Identity >> ]",
        b"/Filter [ /Crypt /FlateDecode ] /DecodeParms [ << /Name /Identity >> << /Predictor 1 >> ]",
    ],
)
def test_what_an_encrypted_pdf_left_readable_is_sealed_as_well(
    tmp_path: Path, entries: bytes
) -> None:
    """Acrobat marks it with a filter of its own, for which a decrypted file has no use."""
    data = zlib.compress(b"x") if b"Flate" in entries else b"x"
    source, target, _ = sealed(tmp_path, with_resources(b"/X 4 0 R", {4: stream(entries, data)}))

    assert read_back(source, target, "pdf")["compared"] == "streams"
    assert b"/Crypt" not in target.read_bytes()


def test_the_read_back_sees_other_filters_than_that_one(tmp_path: Path) -> None:
    """Only what says how a stream was encrypted may be gone."""
    packed = zlib.compress(b"x")
    one = with_resources(b"/X 4 0 R", {4: stream(CRYPT, packed)})
    source, _, _ = sealed(tmp_path, one)
    for entries in (b"", b"/Filter [ /FlateDecode /FlateDecode ] /DecodeParms [ null null ]"):
        _, other, _ = sealed(tmp_path, with_resources(b"/X 4 0 R", {4: stream(entries, packed)}))
        assert differs(source, other, "pdf") == "pages-differ"


def test_metadata_that_an_encrypted_pdf_left_readable_stays(tmp_path: Path) -> None:
    """So that archives can find the file; it is no reason for a finding."""
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<r:Description r:about="" xmlns:d="http://purl.org/dc/elements/1.1/"><d:title>Bescheid</d:title>'
        b"</r:Description></r:RDF></x:xmpmeta>"
    )
    metadata = stream(b"/Type /Metadata " + CRYPT, zlib.compress(packet))

    source, target, reply = sealed(tmp_path, with_catalog(b"/Metadata 4 0 R", {4: metadata}))

    assert "metadata-replaced" not in reply["findings"]
    assert b"Bescheid" in target.read_bytes()
    assert read_back(source, target, "pdf")["compared"] == "streams"


def test_what_an_encrypted_pdf_holds_is_found(tmp_path: Path) -> None:
    """It has to be decrypted to be looked into, and it is."""

    def change(made: pikepdf.Pdf) -> None:
        made.Root.OpenAction = pikepdf.Object.parse(SCRIPT)

    scan = pdf(change=change, encryption=pikepdf.Encryption(user="", owner="x"))

    assert refusal(tmp_path, scan, pdf_encrypted_empty="accept") == "pdf-javascript"


PUBLIC_KEY = (
    b"/Encrypt << /Filter /Adobe.PubSec /V 4 /SubFilter /adbe.pkcs7.s5 >> /ID [ <00> <00> ]"
)
UNKNOWN = b"/Encrypt << /Filter /Standard /V 9 /R 9 /O (x) /U (x) /P -1 >> /ID [ <00> <00> ]"


@pytest.mark.parametrize(
    "scan", [encrypted("geheim"), handmade(PAGE, PUBLIC_KEY), handmade(PAGE, UNKNOWN)]
)
def test_a_pdf_that_needs_a_password_or_more_is_encrypted(tmp_path: Path, scan: bytes) -> None:
    """There is nothing to accept: what cannot be read cannot be sealed."""
    assert refusal(tmp_path, scan, pdf_encrypted="accept") == "pdf-encrypted"
