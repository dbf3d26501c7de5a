"""PDFs of every version and build are sealed as all readers see them, or not at all (I12)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pikepdf
import pytest

from daemon.errors import Refused
from tests.unit.pages_samples import PAGE, add_form, handmade, pdf, prepared, read_back, sealed
from tests.unit.pdf_sources import (
    FLATE,
    held,
    hybrid,
    last_table,
    object_stream,
    stream,
    updated,
    with_table_in_a_stream,
)

if TYPE_CHECKING:
    from pathlib import Path

GENERATE = pikepdf.ObjectStreamMode.generate
CATALOG = b"<< /Type /Catalog /Pages 2 0 R /X 4 0 R >>"
VISIBLE = {**PAGE, 1: CATALOG}
ONE, TWO, HIDDEN = b"(one)", b"(two)", b"(hidden)"


def findings(tmp_path: Path, scan: bytes) -> tuple[str, ...]:
    """Seal *scan*, and return the findings about what it holds."""
    source, target, reply = sealed(tmp_path, scan)
    assert read_back(source, target, "pdf")["compared"] == "streams"
    return held(reply["findings"])


def shown(tmp_path: Path, scan: bytes) -> str:
    """Seal *scan*, and return what the catalog's /X reads in the sealed file, for every reader."""
    source, target, _ = sealed(tmp_path, scan)
    assert read_back(source, target, "pdf")["compared"] == "streams"
    found = set()
    for ignore_xref_streams in (False, True):
        with pikepdf.open(target, ignore_xref_streams=ignore_xref_streams) as made:
            found.add(str(made.Root.get("/X")))
    (one,) = found
    return one


def code(tmp_path: Path, scan: bytes) -> str:
    with pytest.raises(Refused) as caught:
        prepared(tmp_path, scan)
    return caught.value.code


@pytest.mark.parametrize("version", [*(f"1.{minor}" for minor in range(8)), "2.0"])
def test_every_version_is_sealed(tmp_path: Path, version: str) -> None:
    """What is older than the signature's own version says that from now on; 2.0 stays 2.0."""
    scan = handmade(PAGE).replace(b"%PDF-1.5", b"%PDF-" + version.encode())

    assert findings(tmp_path, scan) == ()
    (target,) = tmp_path.glob("*.prepared")
    with pikepdf.open(target) as made:
        assert made.pdf_version == max(version, "1.7")


BUILDS = {
    "objects in streams": pdf(2, change=add_form, object_stream_mode=GENERATE),
    "linearised": pdf(3, change=add_form, linearize=True),
    "linearised, objects in streams": pdf(3, linearize=True, object_stream_mode=GENERATE),
    "a table in a stream": with_table_in_a_stream(PAGE),
    "a table in a packed stream": with_table_in_a_stream(
        {**PAGE, 4: object_stream({5: b"7", 6: b"(x)"})}, {5: (4, 0), 6: (4, 1)}
    ),
    "an object stream that extends another": with_table_in_a_stream(
        {**PAGE, 4: object_stream({5: b"7"}, FLATE + b" /Extends 4 0 R")}, {5: (4, 0)}
    ),
    "something before the header": b"\x1b%-12345X@PJL\n" + handmade(PAGE),
    "an odd entry in the trailer": handmade(PAGE, b"/DocChecksum /0123"),
}


@pytest.mark.parametrize("build", BUILDS)
def test_every_build_of_one_revision_is_sealed_without_a_word(tmp_path: Path, build: str) -> None:
    """Two tables are no two revisions: a linearised file has them, and so has a hybrid."""
    assert findings(tmp_path, BUILDS[build]) == ()


@pytest.mark.parametrize(
    "scan",
    [
        with_table_in_a_stream(PAGE, lists_itself=False),
        handmade(PAGE).replace(b"/Size 4", b"/Size 9"),
    ],
)
def test_what_no_reader_has_to_guess_at_is_no_damage(tmp_path: Path, scan: bytes) -> None:
    """Widespread libraries leave their table out of itself; a larger size announces nothing."""
    assert findings(tmp_path, scan) == ()


def test_a_table_that_announces_too_few_objects_is_damage(tmp_path: Path) -> None:
    """Readers may leave the others out (ISO 32000-1, table 15)."""
    assert code(tmp_path, handmade(PAGE).replace(b"/Size 4", b"/Size 3")) == "pdf-damaged"


def test_a_warning_cannot_be_imitated(tmp_path: Path) -> None:
    """In some of its warnings qpdf quotes the document."""
    text = (
        b"xref entry for the xref stream itself is missing - a common error handled correctly by"
        b" qpdf and most other applications"
    )
    name = text.replace(b" ", b"#20")

    scan = handmade({**PAGE, 4: b"<< /%b 1 /%b 2 >>" % (name, name)})

    assert code(tmp_path, scan) == "pdf-damaged"


def test_the_newest_revision_is_sealed_with_a_finding(tmp_path: Path) -> None:
    """The older ones are only in the original: it is not the scanner that appends to a file."""
    scan = updated(handmade({**VISIBLE, 4: ONE}), {4: TWO})

    assert shown(tmp_path, scan) == "two"
    assert findings(tmp_path, scan) == ("earlier-revisions",)
    (*_, target) = sorted(tmp_path.glob("*.prepared"))
    assert b"(one)" not in target.read_bytes()


@pytest.mark.parametrize(
    "first",
    [
        pdf(2),
        pdf(2, linearize=True),
        pdf(2, object_stream_mode=GENERATE),
        pdf(2, linearize=True, object_stream_mode=GENERATE),
    ],
)
def test_a_revision_is_seen_after_whatever_was_first(tmp_path: Path, first: bytes) -> None:
    """A page was turned afterwards; every build has its own way to say where it began."""
    with pikepdf.open(io.BytesIO(first)) as made:
        page = made.pages[0].obj
        page.Rotate = 180
        number, source, root = page.objgen[0], page.unparse(resolved=True), made.Root.objgen[0]

    scan = updated(first, {number: source}, b"/Root %d 0 R" % root)

    assert findings(tmp_path, scan) == ("earlier-revisions",)


def test_a_hundred_revisions_are_one_finding(tmp_path: Path) -> None:
    """There are scanners that append each page."""
    scan = handmade({**VISIBLE, 4: ONE})
    for number in range(100):
        scan = updated(scan, {4: b"(%d)" % number})

    assert shown(tmp_path, scan) == "99"
    assert findings(tmp_path, scan) == ("earlier-revisions",)


def test_what_was_added_only_is_no_earlier_revision(tmp_path: Path) -> None:
    """Nothing that the first one showed is changed or gone."""
    assert findings(tmp_path, updated(handmade(PAGE), {4: b"(more)"})) == ()


def test_a_hybrid_is_sealed_as_readers_of_this_century_see_it(tmp_path: Path) -> None:
    """Office programs write them; in the sealed file nothing is hidden from anybody."""
    scan = hybrid(VISIBLE, {4: HIDDEN})

    assert shown(tmp_path, scan) == "hidden"
    assert findings(tmp_path, scan) == ()
    assert findings(tmp_path, hybrid(VISIBLE, {4: HIDDEN}, root_in_stream=b"")) == ()


def test_a_hybrid_that_was_changed_has_earlier_revisions(tmp_path: Path) -> None:
    """The finding looks behind the two tables of one revision."""
    scan = updated(hybrid({**VISIBLE, 5: b"(x)"}, {4: HIDDEN}), {5: b"(y)"})

    assert findings(tmp_path, scan) == ("earlier-revisions",)


def shadow(catalog: bytes = CATALOG) -> bytes:
    """Return a file in which only a stream knows of the newest object 4."""
    out = handmade({**PAGE, 1: catalog, 4: ONE})
    previous, place = last_table(out), len(out)
    out += b"4 0 obj\n%b\nendobj\n" % TWO
    rows = b"\1" + place.to_bytes(4, "big") + b"\0\0\1" + len(out).to_bytes(4, "big") + b"\0\0"
    table = len(out)
    head = b"/Type /XRef /Size 6 /W [ 1 4 2 ] /Index [ 4 2 ] /Root 1 0 R"
    out += b"5 0 obj\n%b\nendobj\n" % stream(head, rows)
    trailer = b"xref\n0 0\ntrailer << /Size 6 /Root 1 0 R /Prev %d /XRefStm %d >>\n"
    return out + trailer % (previous, table) + b"startxref\n%d\n%%%%EOF\n" % len(out)


def two_truths() -> bytes:
    """Return a file whose one section has another object 4 in its table than in its stream."""
    # The table says where (one) is, the stream says that (hidden) is meant.
    return hybrid({**VISIBLE, 4: ONE}, {4: HIDDEN}, free_in_same_section=True)


@pytest.mark.parametrize(
    "scan",
    [
        shadow(),
        two_truths(),
        hybrid({**VISIBLE, 4: ONE}, {4: HIDDEN}),
        hybrid(VISIBLE, {4: HIDDEN}, free_in_same_section=True),
        b"\x1b%-12345X@PJL\n" + hybrid(VISIBLE, {4: HIDDEN}, free_in_same_section=True),
    ],
    ids=["shadow", "two truths", "older truth", "free and not", "behind another header"],
)
def test_a_hybrid_that_shows_readers_different_objects_is_damage(
    tmp_path: Path, scan: bytes
) -> None:
    """A seal on it would stand on two documents, and a court would see one of them."""
    assert code(tmp_path, scan) == "pdf-damaged"


def test_readers_that_differ_count_more_than_what_they_would_find(tmp_path: Path) -> None:
    """An envelope is for what is known to be in a file."""
    scan = shadow(CATALOG.replace(b"/X 4 0 R", b"/X 4 0 R /Collection << >>"))

    with pytest.raises(Refused) as caught:
        prepared(tmp_path, scan, policies={"pdf-embedded-file": "envelope"})

    assert caught.value.code == "pdf-damaged"


def test_a_hybrid_whose_end_only_qpdf_understands_is_damage(tmp_path: Path) -> None:
    """A comment in the middle of the last lines: nothing that writes scans does that."""
    scan = hybrid(VISIBLE, {4: HIDDEN})
    cut = scan.rindex(b"startxref\n")
    scan = scan[:cut] + scan[cut:].replace(b"startxref\n", b"startxref%\n")

    assert code(tmp_path, scan) == "pdf-damaged"


def test_a_new_table_before_an_old_one_in_a_stream_is_read(tmp_path: Path) -> None:
    """Two kinds of table in one file: the older one is found, and read."""
    first = with_table_in_a_stream({**VISIBLE, 4: ONE})

    assert shown(tmp_path, updated(first, {4: TWO})) == "two"
