"""PDFs that would hang a reader, or eat its machine, cost a worker nothing but a refusal (I8, I10)."""

from __future__ import annotations

import asyncio
import os
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from daemon.errors import Refused
from daemon.workers import Limits, Worker
from tests.unit import jbig2_samples as jbig2
from tests.unit.pages_samples import PAGE, handmade, pdf, prepared, read_back, request, sealed
from tests.unit.pdf_sources import (
    FLATE,
    last_table,
    object_stream,
    page_tree,
    stream,
    updated,
    with_catalog,
    with_page,
    with_resources,
    with_table_in_a_stream,
    zeros,
)
from tests.unit.test_prepare_worker import status

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 30.0
"""Each takes milliseconds; this is for a machine that has much else to do."""

HEAD = b"/Type /Catalog /Pages 2 0 R"
LEAF = b"<< /Type /Page /Parent 2 0 R /MediaBox [ 0 0 9 9 ] /Resources << >> >>"


def pages(tree: bytes, more: dict[int, bytes] | None = None, leaf: bytes = LEAF) -> bytes:
    return handmade({1: PAGE[1], 2: b"<< /Type /Pages %b >>" % tree, 3: leaf, **(more or {})})


def nested(depth: int) -> bytes:
    return b"[ " * depth + b"] " * depth


def fields(*sources: bytes) -> bytes:
    more = dict(enumerate(sources, 4))
    return with_catalog(b"/AcroForm << /Fields [ 4 0 R ] >>", more)


def bookmarks(*sources: bytes) -> bytes:
    return with_catalog(b"/Outlines 4 0 R", dict(enumerate(sources, 4)))


def chain(length: int) -> bytes:
    """Return bookmarks, each below the one before it."""
    below = [b"<< /First %d 0 R >>" % number for number in range(5, 5 + length)]
    return bookmarks(*below, b"<< /Title (last) >>")


def table_that_leads_to_itself() -> bytes:
    data = handmade(PAGE)
    return handmade(PAGE, b"/Prev %d" % last_table(data))


def tables_in_a_circle() -> bytes:
    first = with_table_in_a_stream(PAGE)
    second = updated(first, {3: PAGE[3]})
    prev = b"/Prev %d" % last_table(second)
    # The same length, so that nothing moves.
    return second.replace(b"/Root 1 0 R ", prev.ljust(12), 1)


def length_within_itself() -> bytes:
    """An object stream whose length is one of its objects."""
    data = zlib.compress(b"5 0 40 ")
    source = stream(b"/Type /ObjStm /N 1 /First 4 " + FLATE, data)
    return with_table_in_a_stream(
        {**PAGE, 4: source.replace(b"/Length %d" % len(data), b"/Length 5 0 R")}, {5: (4, 0)}
    )


def broken(number: int) -> dict[int, bytes]:
    """Return objects of which each seems to go on to the end of the file."""
    return dict.fromkeys(range(4, 4 + number), b"<< /A (x")


DAMAGED: dict[str, bytes] = {
    "a tree below itself": pages(b"/Count 1 /Kids [ 2 0 R ]"),
    "a tree below itself, further down": pages(
        b"/Count 1 /Kids [ 4 0 R ]",
        {4: b"<< /Type /Pages /Parent 2 0 R /Count 1 /Kids [ 2 0 R ] >>"},
    ),
    "a page twice": pages(b"/Count 2 /Kids [ 3 0 R 3 0 R ]"),
    "branches that share": pages(
        b"/Count 2 /Kids [ 4 0 R 5 0 R ]",
        {
            4: b"<< /Type /Pages /Parent 2 0 R /Count 1 /Kids [ 6 0 R ] >>",
            5: b"<< /Type /Pages /Parent 2 0 R /Count 1 /Kids [ 6 0 R ] >>",
            6: LEAF.replace(b"2 0 R", b"4 0 R"),
        },
    ),
    "2^90 pages": handmade(
        {1: PAGE[1], 2: b"<< /Type /Pages /Count 2 /Kids [ 3 0 R 3 0 R ] >>"}
        | {
            number: b"<< /Type /Pages /Parent %d 0 R /Count 2 /Kids [ %d 0 R %d 0 R ] >>"
            % (number - 1, number + 1, number + 1)
            for number in range(3, 93)
        }
        | {93: LEAF.replace(b"2 0 R", b"92 0 R")}
    ),
    "a page that is its own parent": pages(
        b"/Count 1 /Kids [ 3 0 R ]", leaf=LEAF.replace(b"2 0 R", b"3 0 R")
    ),
    "a page with the catalog as parent": pages(
        b"/Count 1 /Kids [ 3 0 R ]", leaf=LEAF.replace(b"2 0 R", b"1 0 R")
    ),
    "a page with no parent to inherit from": pages(
        b"/Count 1 /Kids [ 3 0 R ] /Rotate 90", leaf=LEAF.replace(b"/Parent 2 0 R", b"")
    ),
    "a page further down with no parent to inherit from": pages(
        b"/Count 1 /Kids [ 4 0 R ] /Rotate 90",
        {4: b"<< /Type /Pages /Parent 2 0 R /Count 1 /Kids [ 3 0 R ] >>"},
        leaf=LEAF.replace(b"/Parent 2 0 R", b""),
    ),
    "a page that is not an object of its own": pages(b"/Count 1 /Kids [ %b ]" % LEAF),
    "a page that is none": pages(b"/Count 1 /Kids [ 7 ]"),
    "a page that is nowhere": pages(b"/Count 1 /Kids [ 9 0 R ]"),
    "no children": pages(b"/Count 1"),
    "more pages announced": pages(b"/Count 2 /Kids [ 3 0 R ]"),
    "pages announced by a word": pages(b"/Count true /Kids [ 3 0 R ]"),
    "a million pages announced": pages(b"/Count 1000000 /Kids [ 3 0 R ]"),
    "a branch that lies about its pages": pages(
        b"/Count 1 /Kids [ 4 0 R ]",
        {
            3: LEAF.replace(b"2 0 R", b"4 0 R"),
            4: b"<< /Type /Pages /Parent 2 0 R /Count 7 /Kids [ 3 0 R ] >>",
        },
    ),
    "a field below itself": fields(b"<< /FT /Tx /T (a) /Kids [ 4 0 R ] >>"),
    "a field that is its own parent": fields(b"<< /FT /Tx /T (a) /Parent 4 0 R >>"),
    "fields that are each other's parents": fields(
        b"<< /T (a) /Parent 5 0 R >>", b"<< /T (b) /Parent 4 0 R >>"
    ),
    "a field that names another parent": fields(
        b"<< /T (a) /Kids [ 5 0 R ] >>", b"<< /FT /Tx /Parent 6 0 R >>", b"<< /T (b) >>"
    ),
    "a widget that is its own parent": with_page(
        b"/Annots [ 4 0 R ]", {4: b"<< /Subtype /Widget /Rect [ 0 0 9 9 ] /Parent 4 0 R >>"}
    ),
    "a bookmark after itself": bookmarks(
        b"<< /First 5 0 R >>", b"<< /Title (a) /Parent 4 0 R /Next 5 0 R >>"
    ),
    "bookmarks in a circle": bookmarks(
        b"<< /First 5 0 R >>", b"<< /Title (a) /Next 6 0 R >>", b"<< /Title (b) /Next 5 0 R >>"
    ),
    "a bookmark below itself": bookmarks(b"<< /First 5 0 R >>", b"<< /Title (a) /First 5 0 R >>"),
    "names below themselves": with_catalog(
        b"/Names << /Dests 4 0 R >>", {4: b"<< /Kids [ 4 0 R ] >>"}
    ),
    "a stream as long as itself": with_resources(
        b"/X 4 0 R", {4: b"<< /Length 4 0 R >>\nstream\nx\nendstream"}
    ),
    "a stream of 2 GB": with_resources(
        b"/X 4 0 R", {4: b"<< /Length 2147483648 >>\nstream\nx\nendstream"}
    ),
    "a stream of 2^64 bytes": with_resources(
        b"/X 4 0 R", {4: b"<< /Length 18446744073709551616 >>\nstream\nx\nendstream"}
    ),
    "a stream of less than nothing": with_resources(
        b"/X 4 0 R", {4: b"<< /Length -1 >>\nstream\nx\nendstream"}
    ),
    "an object stream in itself": with_table_in_a_stream(PAGE, {4: (4, 0)}),
    "object streams in each other": with_table_in_a_stream(PAGE, {4: (5, 0), 5: (4, 0)}),
    "an object stream that has its own length in it": length_within_itself(),
    "an object stream in an object stream": with_table_in_a_stream(
        {**PAGE, 4: object_stream({5: b"<< /Type /ObjStm >>"})}, {5: (4, 0), 6: (5, 0)}
    ),
    "two billion objects in a stream": with_table_in_a_stream(
        {**PAGE, 4: object_stream({5: b"7"}).replace(b"/N 1", b"/N 2000000000")}, {5: (4, 0)}
    ),
    "two billion objects in the table": with_table_in_a_stream(
        PAGE, entries=b"/Index [ 0 2000000000 ]"
    ),
    "a table in which rows are gigabytes wide": with_table_in_a_stream(
        PAGE,
        entries=FLATE + b" /DecodeParms << /Predictor 12 /Columns 2000000000 >>",
        data=zlib.compress(b"\0" * 99),
    ),
    "an object stream in which rows are megabytes wide": with_table_in_a_stream(
        {
            **PAGE,
            4: object_stream(
                {5: b"7"},
                FLATE + b" /DecodeParms << /Predictor 12 /Columns 150000000 >>",
                zlib.compress(b"\0" * 99),
            ),
        },
        {5: (4, 0)},
    ),
    "an object stream in which rows of TIFF are megabytes wide": with_table_in_a_stream(
        {
            **PAGE,
            4: object_stream(
                {5: b"7"},
                FLATE + b" /DecodeParms << /Predictor 2 /Columns 300000000 >>",
                zlib.compress(b"\0" * 99),
            ),
        },
        {5: (4, 0)},
    ),
    "a table that leads to itself": table_that_leads_to_itself(),
    "tables in a circle": tables_in_a_circle(),
    "a table that unpacks to gigabytes": with_table_in_a_stream(
        PAGE, entries=FLATE, data=zeros(10_240)
    ),
    "twenty thousand objects that do not end": handmade({**PAGE, **broken(20_000)}),
    "ten thousand annotations that do not end": with_page(
        b"/Annots [ %b ]" % b"".join(b"%d 0 R " % number for number in range(4, 10_004)),
        broken(10_000),
    ),
    "ten thousand fields that do not end": with_catalog(
        b"/AcroForm << /Fields [ %b ] >>"
        % b"".join(b"%d 0 R " % number for number in range(4, 10_004)),
        broken(10_000),
    ),
}
TOO_NESTED: dict[str, bytes] = {
    "lists in lists": with_resources(b"/X 4 0 R", {4: nested(100_000)}),
    "lists that do not end": with_resources(b"/X 4 0 R", {4: b"[ " * 100_000}),
    "dictionaries in dictionaries": with_resources(
        b"/X 4 0 R", {4: b"<< /A " * 50_000 + b"1 " + b">> " * 50_000}
    ),
    "in the trailer": handmade(PAGE, b"/X " + nested(100_000)),
    "in an object stream": with_table_in_a_stream(
        {**PAGE, 4: object_stream({5: nested(100_000)})}, {5: (4, 0)}
    ),
    "in the dictionary of a table": with_table_in_a_stream(PAGE, entries=b"/X " + nested(100_000)),
    "pages": page_tree(50_000),
    "pages that do not end": pages(
        b"/Count 1 /Kids [ 4 0 R ]",
        {
            number: b"<< /Type /Pages /Parent %d 0 R /Count 1 /Kids [ %d 0 R ] >>"
            % (number - 1 if number > 4 else 2, number + 1)
            for number in range(4, 1000)
        },
    ),
    "bookmarks": chain(50_000),
}
TOO_LARGE: dict[str, bytes] = {
    "an object stream that unpacks to gigabytes": with_table_in_a_stream(
        {**PAGE, 4: object_stream({5: b"7"}, packed=zeros(10_240))}, {5: (4, 0)}
    ),
    "one that repeats itself": with_table_in_a_stream(
        {
            **PAGE,
            4: object_stream({5: b"7"}, b"/Filter /RunLengthDecode", b"\x81 " * 600_000 + b"\x80"),
        },
        {5: (4, 0)},
    ),
    "one that is packed twice": with_table_in_a_stream(
        {
            **PAGE,
            4: object_stream(
                {5: b"7"},
                b"/Filter [ /FlateDecode /FlateDecode ]",
                zlib.compress(zeros(10_240)),
            ),
        },
        {5: (4, 0)},
    ),
    "a description that is packed twice": with_page(
        b"/Contents 4 0 R",
        {4: stream(b"/Filter [ /FlateDecode /FlateDecode ]", zlib.compress(zeros(100)))},
    ),
    "a page's description": with_page(b"/Contents 4 0 R", {4: stream(FLATE, zeros(1025))}),
    "what JBIG2 images share": with_resources(
        b"/XObject << /Im0 4 0 R >>",
        {
            4: stream(b"/Filter /JBIG2Decode /DecodeParms << /JBIG2Globals 5 0 R >>", jbig2.page()),
            5: stream(FLATE, zeros(1025)),
        },
    ),
}
EXPECTED = {
    **dict.fromkeys(DAMAGED, "pdf-damaged"),
    **dict.fromkeys(TOO_NESTED, "pdf-too-nested"),
    **dict.fromkeys(TOO_LARGE, "too-large"),
}


def asked(folder: Path, scan: bytes | Path) -> dict[str, Any]:
    source, target = folder / "a.original", folder / "a.prepared"
    for path in (source, target):
        path.unlink(missing_ok=True)
    if isinstance(scan, bytes):
        source.write_bytes(scan)
    else:
        scan.rename(source)
    return request(source, target)


async def codes(
    folder: Path, scans: dict[str, bytes] | dict[str, Path], **limits: int
) -> tuple[dict[str, str], int, int]:
    """Let one worker prepare all of *scans*; return each code, replacements, most kB it held."""
    worker = Worker(
        "daemon.prepare",
        place=folder,
        limits=Limits(**({"memory_mb": 512, "recycle_mb": 512} | limits)),
    )
    found = {}
    try:
        for name, scan in scans.items():
            try:
                await worker.call("prepare", asked(folder, scan), seconds=SECONDS)
                found[name] = "sealed"
            except Refused as exc:
                found[name] = exc.code
            except Exception as exc:  # noqa: BLE001 (the test wants to know which)
                found[name] = f"{type(exc).__name__}: {exc}"
        assert worker.pid is not None
        most = status(worker.pid, "VmHWM")
        return found, worker.replaced, most
    finally:
        await worker.stop()


@pytest.mark.parametrize("scans", [DAMAGED, TOO_NESTED], ids=["circles", "nesting"])
def test_i8_circles_and_depths_cost_one_worker_nothing_but_a_refusal(
    tmp_path: Path, scans: dict[str, bytes]
) -> None:
    """Neither a crash, nor a hang, nor a stack that overflows in C++: the same process goes on."""
    found, replaced, most = asyncio.run(codes(tmp_path, {**scans, "a scan": pdf()}))

    assert found == {name: EXPECTED[name] for name in scans} | {"a scan": "sealed"}
    assert replaced == 0
    assert most < 250 << 10


def test_i10_bombs_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    """Ten gigabytes of zeros in ten megabytes: qpdf unpacks such streams as it opens the file."""
    found, replaced, most = asyncio.run(codes(tmp_path, {**TOO_LARGE, "a scan": pdf()}))

    assert found == dict.fromkeys(TOO_LARGE, "too-large") | {"a scan": "sealed"}
    assert replaced == 0
    assert most < 250 << 10


def test_i8_tables_that_lead_to_the_wrong_object_cost_no_worker(tmp_path: Path) -> None:
    """Qpdf puts what it finds in the place of what it was reading, and dies of that in some places."""
    kids = b"/FT /Tx /T (a) /Subtype /Widget /Rect [ 0 0 9 9 ] /P 3 0 R"
    page = PAGE[3].replace(b"/Parent", b"/Annots [ 6 0 R ] /Contents 4 0 R /Parent")
    scan = handmade(
        {
            1: b"<< %b /AcroForm << /Fields [ 6 0 R ] >> /Outlines 7 0 R >>" % HEAD,
            2: PAGE[2],
            3: page.replace(b"<< >>", b"<< /XObject << /A 5 0 R /B 4 0 R /C 6 0 R >> >>"),
            4: stream(b"/Subtype /Form /Resources << /XObject << /D 5 0 R >> >>", b"q Q"),
            5: stream(b"/Subtype /Image /SMask 4 0 R", b"x"),
            6: b"<< %b /AP << /N 4 0 R >> >>" % kids,
            7: b"<< /First 8 0 R /Last 8 0 R /Count 1 >>",
            8: b"<< /Title (a) /Parent 7 0 R /Dest [ 3 0 R /Fit ] >>",
        }
    )
    start = last_table(scan) + len(b"xref\n0 9\n") + 20
    rows = [scan[start + 20 * place : start + 20 * place + 20] for place in range(8)]
    wrong = {}
    for one in range(8):
        for other in set(range(8)) - {one}:
            table = b"".join([*rows[:one], rows[other], *rows[one + 1 :]])
            wrong[f"{one + 1} at {other + 1}"] = scan[:start] + table + scan[start + 160 :]

    found, replaced, _ = asyncio.run(codes(tmp_path, {"a scan": scan, **wrong}))

    assert found == {"a scan": "sealed", **dict.fromkeys(wrong, "pdf-damaged")}
    assert replaced == 0


@pytest.mark.parametrize("entries", [b"", b"/Type /XObject /Subtype /Image"])
def test_i10_a_stream_of_2_gb_is_too_large_for_its_worker(tmp_path: Path, entries: bytes) -> None:
    """It is really there, if only as a hole in the file; the worker may have half a gigabyte."""
    size = 2 << 30
    place = tmp_path / "hole"
    objects = {**PAGE, 3: PAGE[3].replace(b"<< >>", b"<< /X 4 0 R >>")}
    start = handmade(objects)
    start = start[: last_table(start)]
    offsets = [start.index(b"%d 0 obj" % number) for number in objects]
    with place.open("wb") as file:
        file.write(start)
        offsets.append(len(start))
        file.write(b"4 0 obj\n<< %b /Length %d >>\nstream\n" % (entries, size))
        file.seek(size, os.SEEK_CUR)
        file.write(b"\nendstream\nendobj\n")
        table = file.tell()
        file.write(b"xref\n0 5\n0000000000 65535 f \n")
        file.write(b"".join(b"%010d 00000 n \n" % offset for offset in offsets))
        file.write(b"trailer << /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % table)

    found, replaced, _ = asyncio.run(codes(tmp_path, {"2 GB": place}))

    assert (found, replaced) == ({"2 GB": "too-large"}, 0)


@pytest.mark.parametrize("most", [10, 60])
def test_nesting_is_allowed_as_deep_as_configured(tmp_path: Path, most: int) -> None:
    """Objects, pages and bookmarks alike: one more is one too many."""
    within = [
        with_resources(b"/X 4 0 R", {4: nested(most + 1)}),
        page_tree(most),
        chain(most - 1),
    ]
    beyond = [
        with_resources(b"/X 4 0 R", {4: nested(most + 2)}),
        page_tree(most + 1),
        chain(most + 1),
    ]

    for scan in within:
        source, target, _ = sealed(tmp_path, scan, max_nesting=most)
        assert read_back(source, target, "pdf")["images"] == 1
    for scan in beyond:
        with pytest.raises(Refused) as caught:
            prepared(tmp_path, scan, max_nesting=most)
        assert caught.value.code == "pdf-too-nested"


def test_the_deepest_that_can_be_configured_can_be_read(tmp_path: Path) -> None:
    """500 objects in each other, 100 nodes above a page: more qpdf itself does not read."""
    for scan in (with_resources(b"/X 4 0 R", {4: nested(501)}), page_tree(99), chain(499)):
        source, target, _ = sealed(tmp_path, scan, max_nesting=500)
        assert read_back(source, target, "pdf")["images"] == 1
    with pytest.raises(Refused) as caught:
        prepared(tmp_path, page_tree(100), max_nesting=500)
    assert caught.value.code == "pdf-too-nested"


def test_what_was_sealed_is_read_back_whatever_the_worker_did_before(tmp_path: Path) -> None:
    """The limit belongs to the process, and other profiles' documents may have come between."""
    source, target, _ = sealed(
        tmp_path, with_resources(b"/X 4 0 R", {4: nested(400)}), max_nesting=400
    )
    prepared(tmp_path, pdf(), max_nesting=10)

    assert read_back(source, target, "pdf")["images"] == 1


def test_a_page_tree_of_many_branches_is_one(tmp_path: Path) -> None:
    """What is checked of every node holds for those that real software writes."""
    branches = {
        number: b"<< /Type /Pages /Parent 2 0 R /Count 2 /Kids [ %d 0 R %d 0 R ] >>"
        % (number + 4, number + 8)
        for number in range(4, 8)
    }
    leaves = {
        number: LEAF.replace(b"2 0 R", b"%d 0 R" % (4 + number % 4)) for number in range(8, 16)
    }
    scan = pages(
        b"/Count 8 /Kids [ 4 0 R 5 0 R 6 0 R 7 0 R ] /Rotate 90 /MediaBox [ 0 0 9 9 ]",
        branches | leaves,
    )

    source, target, reply = sealed(tmp_path, scan)

    assert reply["images"] == 8
    assert read_back(source, target, "pdf")["images"] == 8


def test_a_page_that_inherits_nothing_may_have_forgotten_its_parent(tmp_path: Path) -> None:
    """No reader can show it in another way."""
    scan = pages(b"/Count 1 /Kids [ 3 0 R ]", leaf=LEAF.replace(b"/Parent 2 0 R", b""))

    source, target, _ = sealed(tmp_path, scan)

    assert read_back(source, target, "pdf")["images"] == 1


def test_pages_are_not_counted_for_ever(tmp_path: Path) -> None:
    """More than the profile allows are not looked at."""
    with pytest.raises(Refused, match="more than 3 pages") as caught:
        prepared(tmp_path, pdf(5), max_pages=3)

    assert caught.value.code == "too-many-pages"
