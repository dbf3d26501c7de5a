"""The read-back sees what a sealed file says, and every page that is not the original's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name

from daemon.document import Digest
from daemon.prepare import ReadBack
from daemon.workers import typed
from tests.unit import pages_samples as samples
from tests.unit.pages_samples import (
    PAGE,
    changed,
    differs,
    handmade,
    pdf,
    read_back,
    sealed,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[[pikepdf.Pdf], object]


def test_it_tells_what_the_file_says_of_its_seal(tmp_path: Path) -> None:
    """The main process compares this with what it knows, and believes neither alone."""
    source, target, reply = sealed(tmp_path, pdf(2))

    found = typed(ReadBack, read_back(source, target, "pdf") | {"byte_range": [1], "evidence": []})
    exact = read_back(source, target, "pdf")

    assert exact["byte_range"] == (
        0,
        reply["gap_start"],
        reply["gap_end"],
        reply["size"] - reply["gap_end"],
    )
    assert found.contents == Digest.of(samples.CMS.ljust(1024, b"\0"))
    assert (found.images, found.compared, found.permissions) == (2, "streams", 1)


def first_image(made: pikepdf.Pdf) -> pikepdf.Object:
    return made.pages[0].obj.Resources.XObject.Im0


def one_bit(made: pikepdf.Pdf) -> None:
    image = first_image(made)
    assert isinstance(image, pikepdf.Stream)
    raw = bytearray(image.read_raw_bytes())
    raw[-40] ^= 1
    image.write(bytes(raw), filter=Name.DCTDecode)


def swap_pages(made: pikepdf.Pdf) -> None:
    made.pages.reverse()


def swap_images(made: pikepdf.Pdf) -> None:
    one, two = (page.obj.Resources.XObject for page in made.pages[:2])
    one.Im0, two.Im0 = two.Im0, one.Im0


def turn(made: pikepdf.Pdf) -> None:
    made.pages[1].obj.Rotate = 180


def turn_all(made: pikepdf.Pdf) -> None:
    made.Root.Pages.Rotate = 90


def hide(made: pikepdf.Pdf) -> None:
    made.pages[0].obj.Contents = Array([made.pages[0].obj.Contents, made.make_stream(b"0 g")])


CHANGES: dict[str, Change] = {
    "a bit of a stream": one_bit,
    "the last page": lambda made: made.pages.__delitem__(-1),
    "a page more": lambda made: made.pages.append(made.pages[0]),
    "the order of pages": swap_pages,
    "two pages' images": swap_images,
    "the rotation of a page": turn,
    "an inherited rotation": turn_all,
    "the size of a page": lambda made: made.pages[0].obj.__setattr__("MediaBox", [0, 0, 61, 84]),
    "a crop box": lambda made: made.pages[0].obj.__setattr__("CropBox", [0, 0, 30, 40]),
    "a picture's smoothness": lambda made: first_image(made).__setattr__("Interpolate", True),
    "a picture's decoding": lambda made: first_image(made).__setattr__("Decode", [1, 0] * 3),
    "a picture's colours": lambda made: first_image(made).__setattr__(
        "ColorSpace", Name.DeviceGray
    ),
    "something drawn on top": hide,
    "a note on the page": lambda made: made.pages[0].obj.__setattr__(
        "Annots", [Dictionary(Subtype=Name.Square, Rect=[0, 0, 60, 84])]
    ),
    "a layer": lambda made: made.Root.__setattr__("OCProperties", Dictionary(OCGs=Array())),
    "an action": lambda made: made.Root.__setattr__(
        "OpenAction", Array([made.pages[0].obj, Name.Fit])
    ),
    "a form": lambda made: made.Root.__setattr__("AcroForm", Dictionary(Fields=Array(), Q=1)),
    "what the file says of itself": lambda made: made.docinfo.__setitem__("/Title", "Other"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_i4_i11_a_pdf_that_is_not_the_original_is_seen(tmp_path: Path, what: str) -> None:
    """The candidate is sealed as it should be; only its pages are of another file."""
    source, _, _ = sealed(tmp_path, pdf(3))
    _, other, _ = sealed(tmp_path, pdf(3, change=CHANGES[what]))

    assert differs(source, other, "pdf") == "pages-differ"


@pytest.mark.parametrize("what", CHANGES)
def test_i4_i11_it_is_seen_from_the_other_side_as_well(tmp_path: Path, what: str) -> None:
    """What is missing counts as much as what is too much."""
    _, target, _ = sealed(tmp_path, pdf(3))
    other, _, _ = sealed(tmp_path, pdf(3, change=CHANGES[what]))

    assert differs(other, target, "pdf") == "pages-differ"


def test_a_form_may_only_grow_by_our_field(tmp_path: Path) -> None:
    """A field more, a value changed, and no annotation lost from the page."""

    def filled(made: pikepdf.Pdf) -> None:
        samples.add_form(made)
        made.Root.AcroForm.Fields[0].V = pikepdf.String("43")

    source, target, _ = sealed(tmp_path, pdf(2, change=samples.add_form))
    _, other, _ = sealed(tmp_path, pdf(2, change=filled))

    assert read_back(source, target, "pdf")["images"] == 2
    assert differs(source, other, "pdf") == "pages-differ"


@pytest.mark.parametrize(
    "change",
    [
        lambda link, pages: link.Dest.__setitem__(0, pages[0].obj),
        lambda link, _: link.Dest.append(9),
        lambda link, _: link.Dest.__delitem__(1),
        lambda link, _: link.Dest.__setitem__(1, Name.XYZ),
    ],
)
def test_links_that_lead_elsewhere_are_seen(tmp_path: Path, change: Any) -> None:
    """References count by what they lead to, not by their numbers."""

    def elsewhere(made: pikepdf.Pdf) -> None:
        samples.add_form(made)
        change(made.pages[0].obj.Annots[1], made.pages)

    source, target, _ = sealed(tmp_path, pdf(2, change=samples.add_form))
    _, other, _ = sealed(tmp_path, pdf(2, change=elsewhere))

    assert read_back(source, target, "pdf")["images"] == 2
    assert differs(source, other, "pdf") == "pages-differ"


def test_pages_that_refer_to_each_other_and_to_the_catalog_are_walked_once(
    tmp_path: Path,
) -> None:
    """Graphs have circles, and a page's resources may lead anywhere."""
    objects = {
        **PAGE,
        1: b"<< /Type /Catalog /Pages 2 0 R /X [ 4 0 R 4 0 R 1 0 R ] >>",
        3: PAGE[3].replace(b"<< >>", b"<< /C 1 0 R /P 3 0 R /X 4 0 R >>"),
        4: b"<< /Back 4 0 R /Page 3 0 R /Nothing 9 0 R /Null null >>",
    }
    source, target, _ = sealed(tmp_path, handmade(objects))

    assert read_back(source, target, "pdf")["images"] == 1


def test_names_that_are_no_text_are_compared_as_well(tmp_path: Path) -> None:
    """A scanner that calls an image /Büro in Latin-1 is within its rights (ISO 32000-1, 7.3.5)."""

    def called(name: bytes, more: bytes = b"") -> bytes:
        odd = b"<< /B\xfcro 4 0 R /%b /A\xff /Null null /N\xff 9 0 R %b >>" % (name, more)
        page = PAGE[3].replace(b"/Resources << >>", b"/Resources %b" % odd)
        # With a link, so that everything is looked into.
        entries = b"/Names << /X\xff << >> >> /AA << /Y\xff << /S /GoTo /N\xff 1 >> >>"
        link = b"/Z << /S /URI /URI (https://a.example) >>"
        catalog = b"<< /Type /Catalog /Pages 2 0 R %b %b >>" % (entries, link)
        return handmade(
            {**PAGE, 1: catalog, 3: page, 4: b"<< /Type /Sig\xff /S /\xff /Subtype /\xff >>"}
        )

    source, target, _ = sealed(tmp_path, called(b"A\xe4"))

    assert read_back(source, target, "pdf")["images"] == 1
    for other in (called(b"A\xf6"), called(b"A\xe4", b"/\xff 1"), called(b"A\xe4", b"/Z 1")):
        _, changed_file, _ = sealed(tmp_path, other)
        assert differs(source, changed_file, "pdf") == "pages-differ"


def test_a_stream_without_a_byte_needs_no_filter(tmp_path: Path) -> None:
    """Qpdf leaves the filter out: empty pages of office programs have such contents."""
    empty = tmp_path / "empty.pdf"
    with pikepdf.new() as pdf:
        pdf.add_blank_page()
        pdf.save(empty)
    assert b"/FlateDecode" in empty.read_bytes()

    source, target, _ = sealed(tmp_path, empty.read_bytes())

    assert read_back(source, target, "pdf")["images"] == 1


def test_what_hangs_on_the_trailer_counts_as_well(tmp_path: Path) -> None:
    """Nothing shows it, but it is in the scan; only what a table needs belongs to the file."""
    one, two = (handmade({**PAGE, 4: b"(%b)" % text}, b"/Odd [ 4 0 R ]") for text in (b"1", b"2"))
    source, target, _ = sealed(tmp_path, one)
    _, other, _ = sealed(tmp_path, two)
    _, without, _ = sealed(tmp_path, handmade(PAGE))

    assert read_back(source, target, "pdf")["images"] == 1
    assert differs(source, other, "pdf") == "pages-differ"
    assert differs(source, without, "pdf") == "pages-differ"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"/SubFilter /ETSI.CAdES.detached", b"/SubFilter /adbe.pkcs7.detached"),
        (b"/Filter /Adobe.PPKLite", b"/Filter /Adobf.PPKLite"),
        (b"/FT /Sig", b"/FT /Txt"),
        (b"/SigFlags 3", b"/SigFlags 1"),
        (b"/TransformMethod /DocMDP", b"/TransformMethod /DocMDQ"),
        (b"/Perms << /DocMDP", b"/Pexms << /DocMDP"),
        (b"/P 1 /Type", b"/P 7 /Type"),
        (b"/V /1.2", b"/V /1.3"),
        (b"/Reference [", b"/Referenca ["),
        (b"/ByteRange [ 0", b"/ByteRange [ 1"),
        (b"/ByteRange [ 0", b"/ByteRangf [ 0"),
        (b"startxref\n", b"startxreg\n"),
        (b"trailer << /Info", b"trailer << /Prev"),
    ],
)
def test_i4_a_file_that_says_something_else_of_its_seal_is_not_one(
    tmp_path: Path, old: bytes, new: bytes
) -> None:
    """A validator would see another signature, or none."""
    source, target, _ = sealed(tmp_path, pdf(change=lambda made: made.docinfo.update({"/X": "y"})))
    changed(target, old, new)

    assert differs(source, target, "pdf") == "seal-invalid"


def test_i4_nothing_may_follow_what_was_sealed(tmp_path: Path) -> None:
    """Appended bytes are the oldest trick with PDF signatures, and the ByteRange shows them."""
    source, target, _ = sealed(tmp_path, pdf())
    with target.open("ab") as file:
        file.write(b"\n")

    assert differs(source, target, "pdf") == "seal-invalid"


def test_i4_a_second_revision_is_seen_even_if_the_byte_range_covers_it(tmp_path: Path) -> None:
    """One revision is one table: an update that hides within the signed bytes is still one."""
    source, target, reply = sealed(tmp_path, pdf())
    data = target.read_bytes()
    table = int(re.findall(rb"startxref\n(\d+)", data)[-1])
    more = b"%% startxref\n"
    data = data[:table] + data[table:].replace(b"trailer", more + b"trailer")
    numbers = b"%d %d %d" % (reply["gap_start"], reply["gap_end"], reply["size"] - reply["gap_end"])
    wider = b"%d %d %d" % (reply["gap_start"], reply["gap_end"], len(data) - reply["gap_end"])
    target.write_bytes(data.replace(numbers, wider))

    assert differs(source, target, "pdf") == "seal-invalid"


def test_i4_a_gap_that_is_larger_than_the_contents_is_seen(tmp_path: Path) -> None:
    """Between `<` and `>` there is the CMS and nothing else: unsigned bytes could be anything."""
    source, target, reply = sealed(tmp_path, pdf())
    data = bytearray(target.read_bytes())
    data[reply["gap_end"] - 3 : reply["gap_end"]] = b"> >"
    target.write_bytes(data)

    assert differs(source, target, "pdf") == "seal-invalid"


def test_i4_a_byte_range_that_stops_short_is_seen(tmp_path: Path) -> None:
    """The last byte would be free to be any."""
    source, target, reply = sealed(tmp_path, pdf())
    rest = reply["size"] - reply["gap_end"]
    changed(
        target, b" %d %d " % (reply["gap_end"], rest), b" %d %d " % (reply["gap_end"], rest - 1)
    )

    assert differs(source, target, "pdf") == "seal-invalid"


def test_i4_a_table_that_leads_to_an_older_one_is_seen(tmp_path: Path) -> None:
    """The older table may hide anywhere, here in a page; readers would merge the two."""
    older = b"xref\n0 1\n0000000000 65535 f \ntrailer << /Size 1 >>\n"

    def hidden(made: pikepdf.Pdf) -> None:
        made.docinfo["/Title"] = "x"
        made.pages[0].obj.Contents = made.make_stream(older)

    source, target, _ = sealed(tmp_path, pdf(change=hidden))
    data = target.read_bytes()
    (info,) = re.findall(rb"trailer << (/Info \d+ 0 R)", data)
    changed(target, info, (b"/Prev %d" % data.index(older)).ljust(len(info)))

    assert differs(source, target, "pdf") == "seal-invalid"


def test_i4_a_certification_of_something_else_is_seen(tmp_path: Path) -> None:
    """Catalog and signature have to name each other."""
    source, target, _ = sealed(tmp_path, pdf())
    (number,) = re.findall(rb"/Perms << /DocMDP (\d) 0 R", target.read_bytes())
    changed(target, b"/DocMDP %b 0 R" % number, b"/DocMDP %d 0 R" % (int(number) % 9 + 1))

    assert differs(source, target, "pdf") == "seal-invalid"


@pytest.mark.parametrize(
    "place",
    [rb"/Annots \[ (\d+ 0 R).*? (\d+ 0 R) \] /Contents", rb"/Fields \[ (\d+ 0 R) (\d+ 0 R) \]"],
)
@pytest.mark.parametrize("twice", [0, 1])
def test_what_was_there_and_our_field_are_each_in_their_place(
    tmp_path: Path, place: bytes, twice: int
) -> None:
    """A page, or a form, that has the one twice has not the other."""
    source, target, _ = sealed(tmp_path, pdf(change=samples.add_form))
    data = target.read_bytes()
    found = re.search(place, data, re.DOTALL)
    assert found is not None
    old, new = found[2 - twice], found[1 + twice]
    at = found.start(2 - twice)
    assert len(old) == len(new)
    target.write_bytes(data[:at] + new + data[at + len(old) :])

    assert differs(source, target, "pdf") in {"pages-differ", "seal-invalid"}


def test_values_count_wherever_they_stand(tmp_path: Path) -> None:
    """A text of its own object is compared as text, not by its object's number."""

    def with_text(text: bytes) -> bytes:
        entries = b"<< /X [ 4 0 R 5 0 R 6 0 R ] >>"
        return handmade(
            {**PAGE, 3: PAGE[3].replace(b"<< >>", entries), 4: b"(%b)" % text, 5: b"7", 6: b"/N"}
        )

    source, target, _ = sealed(tmp_path, with_text(b"one"))
    _, other, _ = sealed(tmp_path, with_text(b"two"))

    assert read_back(source, target, "pdf")["images"] == 1
    assert differs(source, other, "pdf") == "pages-differ"


def test_i4_two_signatures_are_one_too_many(tmp_path: Path) -> None:
    """Which of them would count is for a validator to guess."""

    def unused(made: pikepdf.Pdf) -> None:
        field = made.make_indirect(Dictionary(FT=Name.Sig, T=pikepdf.String("x"), W=1))
        made.Root.AcroForm = Dictionary(Fields=Array([field]))

    source, target, _ = sealed(tmp_path, pdf(change=unused))
    changed(target, b"/W 1", b"/V 1")

    assert differs(source, target, "pdf") == "seal-invalid"


def test_a_sealed_file_that_was_damaged_on_disk_is_seen(tmp_path: Path) -> None:
    """Whatever qpdf would have to repair is no seal of ours."""
    source, target, _ = sealed(tmp_path, pdf())
    changed(target, b"\nendobj\nxref", b"\nendxxj\nxref")

    assert differs(source, target, "pdf") == "seal-invalid"


def test_a_sealed_file_whose_table_leads_to_other_objects_is_seen(tmp_path: Path) -> None:
    """And seen first: qpdf lets what it finds replace what it reads, and may die of that."""
    source, target, _ = sealed(tmp_path, pdf(2))
    data = target.read_bytes()
    table = data.index(b"f \n", data.rindex(b"\nxref\n")) + 3
    end = data.index(b"trailer", table)
    rows = [data[at : at + 20] for at in range(table, end, 20)]
    assert len(rows) > 9

    for one in range(len(rows)):
        for other in set(range(len(rows))) - {one}:
            wrong = b"".join([*rows[:one], rows[other], *rows[one + 1 :]])
            target.write_bytes(data[:table] + wrong + data[end:])
            assert differs(source, target, "pdf") == "seal-invalid"
