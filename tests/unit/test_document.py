"""Ids, times and names: the small values that everything else is named by."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.document import (
    Arrival,
    Digest,
    born,
    folder_of,
    is_id,
    new_id,
    printable,
    utc_text,
    utc_time,
)

moments = st.datetimes(
    min_value=datetime(1970, 1, 1),
    max_value=datetime(2300, 1, 1),
    timezones=st.just(UTC),
)


@given(moments)
def test_an_id_is_a_uuid7_that_tells_when_it_was_born(moment: datetime) -> None:
    """RFC 9562, 5.7: version 7, variant 10, 48 bits of milliseconds."""
    made = new_id(moment)
    read = uuid.UUID(made)

    assert str(read) == made
    assert read.version == 7
    assert read.variant == uuid.RFC_4122
    assert is_id(made)
    assert timedelta() <= moment - born(made) < timedelta(milliseconds=1.1)


@given(st.lists(moments, min_size=2, max_size=5, unique_by=lambda m: int(m.timestamp() * 1000)))
def test_ids_are_in_the_order_of_time(times: list[datetime]) -> None:
    """The oldest document first: the spool sorts by id, as text."""
    ids = [new_id(moment) for moment in sorted(times)]

    assert ids == sorted(ids)


def test_two_ids_of_one_millisecond_differ() -> None:
    """74 random bits: two hot folders may claim at the same moment."""
    moment = datetime(2026, 11, 22, tzinfo=UTC)

    assert len({new_id(moment) for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        "../../etc/passwd",
        "01935000-0000-7000-8000-00000000000",  # one digit short
        "01935000-0000-7000-8000-0000000000000",
        "01935000-0000-4000-8000-000000000000",  # version 4
        "01935000-0000-7000-c000-000000000000",  # another variant
        "01935000-0000-7000-8000-00000000000G",
        "01935000-0000-7000-8000-00000000000A",  # upper case is another file name
        "01935000/0000-7000-8000-000000000000",
        "01935000-0000-7000-8000-00000000000\n",
        "01935000-0000-7000-8000-0000000000/.",
        "0193500-00000-7000-8000-000000000000",
        "०1935000-0000-7000-8000-000000000000",  # a digit, but not of ours
        "ffffffff-ffff-7000-8000-000000000000",  # born after the year 9999: no folder
    ],
)
def test_what_is_no_id_becomes_no_path(text: str) -> None:
    """People type ids, and folders are named by them."""
    assert not is_id(text)


@given(st.text())
def test_whatever_is_an_id_has_a_folder_below_documents(text: str) -> None:
    """`is_id` is all that stands between a person's word and a path."""
    if is_id(text):
        assert folder_of(Path("/d"), text).is_relative_to("/d")


@given(
    st.from_regex(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", fullmatch=True)
)
def test_whatever_looks_like_an_id_has_a_folder_or_is_none(text: str) -> None:
    """An id from a folder's name at start must not end the process."""
    if is_id(text):
        folder = folder_of(Path("/d"), text)
        assert folder.name == text
        assert len(folder.parts) == 6


def test_the_folder_is_named_by_the_date_in_utc() -> None:
    """One second before midnight in Greenwich, and long after it in Berlin."""
    berlin = timezone(timedelta(hours=1))
    made = new_id(datetime(2026, 11, 23, 0, 59, 59, tzinfo=berlin))

    assert folder_of(Path("/d"), made) == Path("/d/2026/11/22") / made


@given(
    st.datetimes(
        min_value=datetime(1, 1, 2),
        max_value=datetime(9999, 12, 30),
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
    )
)
def test_a_time_comes_back_in_utc_to_the_millisecond(moment: datetime) -> None:
    """RFC 3339 with milliseconds and Z: the only form that is stored."""
    text = utc_text(moment)

    assert len(text) == len("2026-11-22T12:00:00.000Z")
    assert text.endswith("Z")
    assert timedelta() <= moment - utc_time(text) < timedelta(milliseconds=1)
    assert utc_text(utc_time(text)) == text


@given(moments, moments)
def test_times_sort_as_their_texts_do(one: datetime, other: datetime) -> None:
    """The spool compares due times as text."""
    assert (utc_text(one) <= utc_text(other)) or one > other


def test_a_digest_is_64_lower_case_digits() -> None:
    """Two spellings of one digest would compare unequal for ever."""
    good = "0123456789abcdef" * 4

    assert str(Digest(good)) == good
    assert Digest.of(b"") == Digest(
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
    for bad in ("", good[:-1], good + "0", good.upper(), good[:-1] + " ", good[:-1] + "g"):
        with pytest.raises(ValueError, match="SHA-256"):
            Digest(bad)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"Rechnung 4711.pdf", "Rechnung 4711.pdf"),
        ("Mu\u0308ller.pdf".encode(), "M\u00fcller.pdf"),  # NFD from a Mac, shown as NFC
        (b"a\nb\x1b[31m.pdf", "a\\x0ab\\x1b[31m.pdf"),
        (b"caf\xe9.pdf", "caf\\xe9.pdf"),  # Latin-1 from an old scanner
        ("\u202efdp.exe".encode(), "\\xe2\\x80\\xaefdp.exe"),  # right-to-left override
        (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),  # a lone surrogate, which is no UTF-8
        (b"", ""),
    ],
)
def test_names_are_shown_without_what_cannot_be_printed(name: bytes, shown: str) -> None:
    """A name reaches a page and a text beside the rejected copy: it must not write there."""
    assert printable(name) == shown


@given(st.binary(max_size=60))
def test_every_name_can_be_shown_and_stored(name: bytes) -> None:
    """Whatever bytes a scanner chose: one line, printable, and valid UTF-8."""
    shown = printable(name)

    assert shown.isprintable()
    shown.encode()


@pytest.mark.parametrize(
    "mtime_ns",
    [0, -1, 1_795_000_000_123_456_789, -62_135_596_800_000_000_001, 10**21, -(10**21)],
)
def test_a_scan_may_claim_any_time_of_change(mtime_ns: int) -> None:
    """A scanner without a clock, or a hostile client: some file systems store any number."""
    scan = Arrival(
        id=new_id(datetime(2026, 1, 1, tzinfo=UTC)),
        hotfolder="post",
        profile="post",
        name=b"a.pdf",
        size=1,
        mtime_ns=mtime_ns,
        inode=1,
        digest=Digest.of(b""),
        kind="pdf",
        claimed_at=datetime(2026, 1, 1, tzinfo=UTC),
        clock="sure",
    )

    text = utc_text(scan.captured_at)

    assert utc_text(utc_time(text)) == text
    assert datetime(1970, 1, 1, tzinfo=UTC) <= scan.captured_at
