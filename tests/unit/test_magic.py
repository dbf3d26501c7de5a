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
    "jp2": samples.encoded(samples.drawn("RGB"), "JPEG2000"),
}
BARE = samples.encoded(samples.drawn("RGB"), "JPEG2000", no_jp2=True)
"""A code stream without the file around it."""


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
    [
        ("pdf", "pdf"),
        ("tiff", "tif"),
        ("jpeg", "jpg"),
        ("png", "png"),
        ("jp2", "jp2"),
        ("", "bin"),
        ("x", "bin"),
    ],
)
def test_the_extension_follows_the_kind(kind: str, ending: str) -> None:
    """An original is stored under what it is, or as `bin`."""
    assert magic.extension(kind) == ending


@pytest.mark.parametrize(("kind", "data"), FILES.items())
def test_a_whole_file_is_complete(kind: str, data: bytes) -> None:
    """The other half of the tests below."""
    assert complete(kind, data)


@pytest.mark.parametrize("kind", ["pdf", "jpeg", "png", "jp2"])
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


def test_a_changed_pdf_that_is_cut_is_complete_only_where_a_revision_ends() -> None:
    """There it is the PDF that it was before the change: nothing in it says that more would come."""
    first = FILES["pdf"].rstrip() + b"\n"
    changed = (
        first + b"9 0 obj\n<< /Length 1500 >>\nstream\n" + b"x" * 1500 + b"\nendstream\nendobj\n"
    )
    whole = changed + b"xref\n0 1\n0000000000 65535 f \ntrailer\n<< /Size 10 >>\nstartxref\n"
    whole += b"%d\n%%%%EOF\n" % len(changed)

    ends = [len(first) - 1, len(first), len(whole) - 1, len(whole)]
    near = range(len(first) - 20, len(whole) + 1)
    assert [cut for cut in near if complete("pdf", whole[:cut])] == ends


@pytest.mark.parametrize("kind", ["jpeg", "png", "jp2"])
@pytest.mark.parametrize("padding", [b"\0" * 512, b"\xff" * 300])
def test_a_filled_up_last_sector_does_not_matter(kind: str, padding: bytes) -> None:
    """Some devices write whole sectors."""
    assert complete(kind, FILES[kind] + padding)


def test_a_bare_code_stream_is_jpeg_2000_too() -> None:
    """It cannot be sealed, and the person hears that at once and not after a wait."""
    assert magic.identify(BARE[: magic.HEAD]) == "jp2"
    assert complete("jp2", BARE)
    assert not complete("jp2", BARE[:-1])


def jp2(length: int, *, last: bytes = b"") -> bytes:
    """Return a JPEG 2000 file whose image's box says that it has this length."""
    data = FILES["jp2"]
    place = data.index(b"jp2c") - 4
    head = length.to_bytes(4, "big") + b"jp2c"
    if length == 1:
        head += (len(data) - place + 8).to_bytes(8, "big")
    return data[:place] + head + data[place + 8 :] + last


def test_a_jpeg_2000_image_may_go_on_to_the_end_of_the_file() -> None:
    """Then only its last marker says that this is the end."""
    assert complete("jp2", jp2(0))
    assert not complete("jp2", jp2(0)[:-2])
    assert complete("jp2", jp2(1))
    assert not complete("jp2", jp2(1)[:-1])


def test_words_behind_a_jpeg_2000_image_have_to_be_whole() -> None:
    """Some programs append what they know of the picture."""
    more = (24).to_bytes(4, "big") + b"uuid" + bytes(16)

    assert complete("jp2", FILES["jp2"] + more)
    assert not complete("jp2", FILES["jp2"] + more[:-1])


@pytest.mark.parametrize("length", [2, 7, 8, (1 << 32) - 1])
def test_i10_a_length_that_cannot_be_ends_the_look(length: int) -> None:
    """Nor is anything asked for before the file's beginning: that would stop the service."""

    def read_at(offset: int, count: int) -> bytes:
        assert offset >= 0
        return data[offset : offset + count]

    long = jp2(1)
    at = long.index(b"jp2c") + 4
    # Of eight bytes it can be, but then it is no image's.
    behind = FILES["jp2"] + length.to_bytes(4, "big") + b"abcd"[: 4 if length == 8 else 3]
    behind += b"x" if length == 8 else bytes(20)
    for data in (jp2(length), long[:at] + length.to_bytes(8, "big") + long[at + 8 :], behind):
        assert not magic.complete("jp2", data[: magic.HEAD], data[-magic.TAIL :], read_at)


def test_i10_boxes_without_end_are_not_followed_for_ever() -> None:
    """The main process looks at no more than a few of them."""
    many = FILES["jp2"][:12] + ((8).to_bytes(4, "big") + b"free") * 100_000
    places: list[int] = []

    def read_at(offset: int, count: int) -> bytes:
        places.append(offset)
        return many[offset : offset + count]

    assert not magic.complete("jp2", many[: magic.HEAD], many[-magic.TAIL :], read_at)
    assert len(places) < 200


@pytest.mark.parametrize("place", [0, 4, 1 << 31])
def test_a_tiff_whose_first_directory_is_missing_is_incomplete(place: int) -> None:
    """A TIFF cannot tell more: its directory is inside the file, or it is not."""
    data = bytearray(FILES["tiff"])

    data[4:8] = place.to_bytes(4, "little")

    assert not complete("tiff", bytes(data))


def test_what_is_no_known_kind_is_never_complete() -> None:
    """It waits until `give_up_seconds`, and is refused then."""
    assert not complete("", b"hello")
