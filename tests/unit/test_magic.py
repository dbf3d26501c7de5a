"""What a file is and whether it is all there: bytes at fixed places, nothing else."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pikepdf
import pytest

from daemon import magic
from tests.unit import pages_samples as samples

if TYPE_CHECKING:
    from collections.abc import Callable

FILES = {
    "pdf": samples.pdf(),
    "jpeg": samples.jpeg(),
    "png": samples.png(),
    "tiff": samples.tiff(samples.drawn("1"), compression="group4"),
}


def reader(data: bytes) -> Callable[[int, int], bytes]:
    return lambda offset, length: data[offset : offset + length]


def complete(kind: str, data: bytes) -> bool:
    return magic.complete(kind, data[: magic.HEAD], data[-magic.TAIL :], reader(data))


@pytest.mark.parametrize(("kind", "data"), FILES.items())
def test_each_kind_is_known_by_its_first_bytes(kind: str, data: bytes) -> None:
    """The name of a file says nothing: scanners call everything scan.pdf."""
    assert magic.identify(data[: magic.HEAD]) == kind


@pytest.mark.parametrize("head", [b"II+\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"MM\0+\0\x08\0\0"])
def test_both_byte_orders_and_bigtiff_are_tiffs(head: bytes) -> None:
    """A scanner writes in the order its processor likes."""
    assert magic.identify(head) == "tiff"


@pytest.mark.parametrize("head", [b"", b"GIF89a", b"PK\x03\x04", b" " * 1020 + b"%PDF-1.4"])
def test_anything_else_is_unknown(head: bytes) -> None:
    """What we do not take is refused by what it is, also a PDF that begins too late."""
    assert magic.identify(head) == ""


def test_a_pdf_may_begin_after_a_printer_header() -> None:
    """Some devices put their own lines first; offsets then count from the PDF's start."""
    data = b"\x1b%-12345X@PJL JOB\r\n" + FILES["pdf"]

    assert magic.identify(data[: magic.HEAD]) == "pdf"
    assert complete("pdf", data)


@pytest.mark.parametrize(
    ("kind", "ending"),
    [("pdf", "pdf"), ("tiff", "tif"), ("jpeg", "jpg"), ("png", "png"), ("", "bin"), ("x", "bin")],
)
def test_the_extension_follows_the_kind(kind: str, ending: str) -> None:
    """An original is stored under what it is, or as `bin`."""
    assert magic.extension(kind) == ending


@pytest.mark.parametrize(("kind", "data"), FILES.items())
def test_a_whole_file_is_complete(kind: str, data: bytes) -> None:
    """The other half of the tests below."""
    assert complete(kind, data)


@pytest.mark.parametrize("kind", ["pdf", "jpeg", "png"])
def test_no_cut_off_file_is_complete(kind: str) -> None:
    """A scanner that pauses in the middle of a file leaves a prefix of it."""
    data = FILES[kind]
    last = len(data.rstrip())

    cuts = random.Random(7).sample(range(1, last), 300)  # noqa: S311
    assert [cut for cut in [*cuts, last - 1] if complete(kind, data[:cut])] == []


def test_a_pdf_whose_table_was_never_written_is_incomplete() -> None:
    """The last lines can be there before the rest: a network drive fills files as it likes."""
    data = bytearray(FILES["pdf"])
    table = data.rindex(b"xref\n0 ")

    data[table : table + 4] = b"\0\0\0\0"

    assert not complete("pdf", bytes(data))


def test_a_pdf_whose_table_is_a_stream_is_complete() -> None:
    """PDF 1.5 puts the table into an object; `n g obj` stands where startxref points."""
    data = samples.pdf(object_stream_mode=pikepdf.ObjectStreamMode.generate)

    assert b"\nxref\n" not in data
    assert complete("pdf", data)


def test_a_pdf_with_a_second_revision_just_begun_is_incomplete() -> None:
    """Its first revision ended well; what is being appended has not."""
    assert not complete("pdf", FILES["pdf"] + b"9 0 obj\n<< >>\nendobj\nstartxref\n")


@pytest.mark.parametrize("kind", ["jpeg", "png"])
@pytest.mark.parametrize("padding", [b"\0" * 512, b"\xff" * 300])
def test_a_filled_up_last_sector_does_not_matter(kind: str, padding: bytes) -> None:
    """Some devices write whole sectors."""
    assert complete(kind, FILES[kind] + padding)


@pytest.mark.parametrize("place", [0, 4, 1 << 31])
def test_a_tiff_whose_first_directory_is_missing_is_incomplete(place: int) -> None:
    """A TIFF cannot tell more: its directory is inside the file, or it is not."""
    data = bytearray(FILES["tiff"])

    data[4:8] = place.to_bytes(4, "little")

    assert not complete("tiff", bytes(data))


def test_what_is_no_known_kind_is_never_complete() -> None:
    """It waits until `give_up_seconds`, and is refused then."""
    assert not complete("", b"hello")
