"""Which sidecar belongs to which scan: by name, by time, and never by guessing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.intake.pairing import Awaiting, Beside, Seen, given_up, kind_of, promised, verdict

SECOND = 10**9
WITHIN = 60.0
ONE = Awaiting(id="one", place=b"scan.pdf", began=1000.0, began_ns=5_000_000 * SECOND, until=1060.0)
FRESH = Seen(
    name=b"scan.json", inode=7, ctime_ns=0, since=1010.0, from_before=False, doubtful=False
)
BEFORE = replace(FRESH, from_before=True, ctime_ns=ONE.began_ns)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (b"a.json", "json"),
        (b"a.XML", "xml"),
        (b"d.json/a.pdf", ""),
        (b"a.pdf", ""),
        (b"json", ""),
        (b"a.json.pdf", ""),
        (b"a.jsonx", ""),
        (b"a.pdf.xMl", "xml"),
    ],
)
def test_a_sidecar_is_known_by_its_name(name: bytes, kind: str) -> None:
    """Never by what is in it: nobody opens it for that."""
    assert kind_of(name) == kind


@pytest.mark.parametrize(
    ("scans", "sidecars", "found"),
    [
        ([b"scan.pdf"], [b"scan.pdf.json"], {b"scan.pdf": b"scan.pdf.json"}),
        ([b"scan.pdf"], [b"scan.json"], {b"scan.pdf": b"scan.json"}),
        ([b"scan.pdf"], [b"SCAN.json"], {b"scan.pdf": None}),
        ([b"scan"], [b"scan.json"], {b"scan": b"scan.json"}),
        ([b"scan.pdf"], [b"scan.xml", b"scan.json"], {b"scan.pdf": b"scan.json"}),
        ([b"scan.pdf"], [b"scan.json", b"scan.pdf.xml"], {b"scan.pdf": b"scan.pdf.xml"}),
        ([b"scan.pdf", b"scan.tif"], [b"scan.json"], {b"scan.pdf": None, b"scan.tif": None}),
        (
            [b"scan.pdf", b"scan.tif"],
            [b"scan.json", b"scan.tif.json"],
            {b"scan.pdf": None, b"scan.tif": b"scan.tif.json"},
        ),
        # scan.pdf.json is scan.pdf's long name before it is scan.pdf.tif's short one.
        (
            [b"scan.pdf", b"scan.pdf.tif"],
            [b"scan.pdf.json"],
            {b"scan.pdf": b"scan.pdf.json", b"scan.pdf.tif": None},
        ),
        ([b"a/scan.pdf", b"b/scan.pdf"], [b"a/scan.json"], {b"a/scan.pdf": b"a/scan.json", b"b/scan.pdf": None}),
        ([b"a.b/scan"], [b"a.json"], {b"a.b/scan": None}),
        ([b"a.b/.scan"], [b"a.b/.json"], {b"a.b/.scan": None}),
    ],
)  # fmt: skip
def test_a_sidecar_lies_beside_one_scan_or_none(
    scans: list[bytes], sidecars: list[bytes], found: dict[bytes, bytes | None]
) -> None:
    """In the same folder, under a name that can mean nobody else."""
    beside = Beside(scans, sidecars)

    assert {scan: beside.of(scan) for scan in scans} == found


def test_what_several_could_have_is_doubtful() -> None:
    """And stays so: the survey remembers it."""
    beside = Beside([b"a.pdf", b"a.tif", b"b.pdf"], [b"a.json", b"b.json", b"a.tif.xml", b"c.json"])

    assert beside.doubtful == {b"a.json"}


STEMS = st.sampled_from([b"a", b"b", b"a.pdf", b"d/a"])
ENDINGS = st.sampled_from([b"", b".pdf", b".tif"])
SIDECARS = st.sampled_from([b".json", b".xml", b".pdf.json", b".JSON"])


@given(
    st.sets(st.tuples(STEMS, ENDINGS).map(b"".join)),
    st.sets(st.tuples(STEMS, SIDECARS).map(b"".join)),
)
def test_no_sidecar_is_two_scans(scans: set[bytes], sidecars: set[bytes]) -> None:
    """Whatever lies together: one slip is never read for two papers."""
    beside = Beside(scans, sidecars)
    found = [name for scan in scans if (name := beside.of(scan))]

    assert len(found) == len(set(found))
    assert not beside.doubtful & set(found)
    assert set(found) <= sidecars


@pytest.mark.parametrize(
    ("seen", "newer", "now", "what"),
    [
        (None, None, 1059.9, "wait"),
        (None, None, 1060.0, "end"),
        (None, 1005.0, 1006.0, "end"),
        (FRESH, None, 1011.0, "take"),
        # It is there, and only has to settle: late is not too late.
        (FRESH, None, 2000.0, "take"),
        (replace(FRESH, doubtful=True), None, 1011.0, "wait"),
        (replace(FRESH, doubtful=True), None, 1060.0, "end"),
        # Seen by us, and long before this document's wait began.
        (replace(FRESH, since=1000.0 - WITHIN - 0.1), None, 1011.0, "wait"),
        (replace(FRESH, since=1000.0 - WITHIN), None, 1011.0, "take"),
        # From before our start: its own times say how old it is.
        (replace(BEFORE, ctime_ns=ONE.began_ns - 61 * SECOND), None, 1011.0, "wait"),
        (replace(BEFORE, ctime_ns=ONE.began_ns - 60 * SECOND), None, 1011.0, "take"),
        # A newer scan of the same name: whatever came before it is the older one's.
        (FRESH, 1010.1, 1011.0, "take"),
        (FRESH, 1010.0, 1011.0, "end"),
        (FRESH, 1005.0, 1011.0, "end"),
    ],
)
def test_a_document_that_waits_takes_what_is_its_own(
    seen: Seen | None, newer: float | None, now: float, what: str
) -> None:
    """What may be another's is not taken, and nobody waits for longer than was said."""
    assert verdict(ONE, seen, newer, within=WITHIN, now=now) == what


@pytest.mark.parametrize(
    ("seen", "what"),
    [
        (replace(FRESH, since=0.0), "take"),
        (replace(BEFORE, ctime_ns=0, doubtful=True), "take"),
        (replace(BEFORE, ctime_ns=0, inode=8), "end"),
        (replace(BEFORE, ctime_ns=0, name=b"scan.xml"), "end"),
    ],
)
def test_what_lay_beside_it_at_the_claim_is_its_own_whatever_came_since(
    seen: Seen, what: str
) -> None:
    """That very file, and no other that has its name now."""
    one = replace(ONE, promised=(b"scan.json", 7))

    assert verdict(one, seen, 1001.0, within=WITHIN, now=1002.0) == what


@pytest.mark.parametrize(
    ("failing", "now", "over"),
    [
        (None, 9999.0, False),
        # It has failed for long enough, and its time is not over.
        (1001.0, 1059.9, False),
        (1001.0, 1060.0, True),
        # The first try came late: it is given as long as any other.
        (5000.0, 5029.9, False),
        (5000.0, 5030.0, True),
    ],
)
def test_what_cannot_be_taken_is_not_waited_for_without_end(
    failing: float | None, now: float, over: bool
) -> None:
    """Nor is it given up at the first try that fails."""
    assert given_up(ONE, failing, patience=30.0, now=now) is over


@pytest.mark.parametrize(
    ("apart", "together"), [(0, True), (60, True), (-60, True), (61, False), (-61, False)]
)
def test_two_that_lie_together_came_together(apart: int, together: bool) -> None:
    """Either may be first; yesterday's is not today's."""
    assert promised(1000 * SECOND, (1000 + apart) * SECOND, WITHIN) is together
