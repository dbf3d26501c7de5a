"""The signature's gap is found in what was written, or nothing is sealed."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path

import pytest

from daemon.document import CHUNK
from daemon.pages import placeholder
from daemon.pages.signature import EmptySignature
from tests.unit import pages_samples as samples
from tests.unit.pages_samples import (
    PAGE,
    empty,
    handmade,
)


def test_the_signing_time_is_written_in_utc() -> None:
    """A validator in another zone has to read the same moment."""
    local = samples.SEALED_AT.astimezone(timezone(timedelta(hours=5)))

    assert b"/M (D:20261122100021Z)" in replace(empty(), sealed_at=local).rest


def settled(folder: Path, data: bytes, signature: EmptySignature) -> placeholder.Gap:
    path = folder / "written"
    path.write_bytes(data)
    with path.open("r+b", buffering=0) as file:
        return placeholder.settle(file.fileno(), signature)


def test_a_placeholder_that_occurs_twice_is_not_chosen_between(tmp_path: Path) -> None:
    """128 random bits do not repeat by chance: something copied them."""
    signature = empty()
    twice = {**PAGE, 4: signature.source, 5: signature.source}

    with pytest.raises(placeholder.NotFoundInOutput, match="2 times"):
        settled(tmp_path, handmade(twice), signature)


@pytest.mark.parametrize(
    "source",
    [
        b"<< /A %b >>",
        b"<< /Length 3000 >>\nstream\n4 0 obj\n%b\nendstream",
        b"(\n4 0 obj\n%b)",
        b" %b",
    ],
)
def test_a_placeholder_that_is_no_object_of_its_own_is_refused(
    tmp_path: Path, source: bytes
) -> None:
    """It has to begin where the table says that an object begins."""
    signature = empty()

    with pytest.raises(placeholder.NotFoundInOutput):
        settled(tmp_path, handmade({**PAGE, 4: source % signature.source}), signature)


def test_a_placeholder_is_found_across_the_pieces_that_a_file_is_read_in(tmp_path: Path) -> None:
    """Files are read a megabyte at a time, and the mark may lie on the border."""
    signature = empty()
    for shift in range(0, 64, 7):
        before = b"<< /Length %d >>\nstream\n%b\nendstream"
        fill = CHUNK - 350 - shift
        objects = {**PAGE, 4: before % (fill, b"x" * fill), 5: signature.source}
        data = handmade(objects)

        gap = settled(tmp_path, data, signature)

        assert data[gap.start : gap.start + 33] == b"<" + signature.mark.hex().encode()
        assert gap.end - gap.start == 2 * 64 + 2
        assert gap.size == len(data)


@pytest.mark.parametrize("ending", [b"", b"\n", b"startxref\n9\n%%EOF\n"])
def test_an_end_that_nobody_wrote_is_refused(tmp_path: Path, ending: bytes) -> None:
    """The table is found by the last lines; if these are not ours, neither is the rest."""
    signature = empty()
    data = handmade({**PAGE, 4: signature.source})
    data = data + ending if ending else data[:-1]

    with pytest.raises(placeholder.NotFoundInOutput):
        settled(tmp_path, data, signature)


def test_the_byte_range_takes_the_room_that_was_kept_for_it(tmp_path: Path) -> None:
    """Nothing moves: the offsets in the table stay true."""
    signature = empty()
    data = handmade({**PAGE, 4: signature.source})

    gap = settled(tmp_path, data, signature)

    written = (tmp_path / "written").read_bytes()
    assert len(written) == len(data)
    (numbers,) = re.findall(rb"/ByteRange \[ ([\d ]+?) +\] /Contents", written)
    assert [int(number) for number in numbers.split()] == [
        0,
        gap.start,
        gap.end,
        gap.size - gap.end,
    ]
