"""Findings as texts: codes, the pages that they are about, and which of them can be believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon import findings
from daemon.codes import CODES

PAGES = st.lists(st.integers(1, 60))


def spread(runs: str) -> list[int]:
    """Return the page numbers in a text, read as a person does."""
    found: list[int] = []
    for run in runs.split(","):
        first, _, last = run.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


@pytest.mark.parametrize(
    ("pages", "text"), [([1], "1"), ([7, 2, 4, 5, 6, 2], "2,4-7"), ([1, 2], "1-2"), ([], "")]
)
def test_pages_are_listed_as_people_list_them(pages: list[int], text: str) -> None:
    """A duplex stack has an empty back on every sheet: the list has to stay short."""
    assert findings.listed(pages) == text


@given(PAGES.filter(bool))
def test_whatever_is_listed_can_be_believed_and_read(pages: list[int]) -> None:
    """Each list of pages is written in one way, and that one is plausible."""
    (text,) = findings.places({"page-blank": pages})

    assert findings.plausible(("page-blank",), (text,), max(pages))
    assert not findings.plausible(("page-blank",), (text,), max(pages) - 1)
    assert spread(findings.by_code((text,))["page-blank"]) == sorted(set(pages))


def test_a_finding_on_no_page_has_no_text() -> None:
    """An empty list would read as a list that is missing."""
    assert findings.places({"page-blank": []}) == ()


@pytest.mark.parametrize(
    "text",
    [
        "page-blank",
        "page-blank:",
        "page-blank:x",
        "Müller:1",
        "page-blank:1,",
        "page-blank:01",
        "page-blank:0",
        "page-blank:2,1",
        "page-blank:2-1",
        "page-blank:2-2",
        "page-blank:1,2",
        "page-blank:1-3,3",
        "page-blank:1-99",
        "page-blank:99999999999999999999",
        "page-blank:1\n",
        "resolution-low:1",
    ],
)
def test_a_text_that_no_worker_of_ours_writes_is_not_believed(text: str) -> None:
    """It would stand in the transfer note for ever, with whatever a hostile scan put there."""
    assert findings.plausible(("page-blank",), ("page-blank:1",), 9)
    assert not findings.plausible(("page-blank",), (text,), 9)


def test_a_code_has_its_pages_once() -> None:
    """Of two lists for one code nobody would know which one counts."""
    texts = ("page-blank:1", "page-blank:2")

    assert not findings.plausible(("page-blank",), texts, 9)


def test_every_finding_has_its_sentence() -> None:
    """The table of codes is what a person reads."""
    codes = {
        findings.PAGE_BLANK,
        findings.RESOLUTION_LOW,
        findings.BLACK_AND_WHITE,
        findings.PAGES_DIFFER,
        *findings.NEVER_BY_A_WORKER,
    }

    assert {CODES[code].kind for code in codes} == {"finding"}


def test_the_sentence_about_blank_pages_warns_of_initials() -> None:
    """RESISCAN (A.SC.8): initials look like blank pages to a machine."""
    assert "initials or a pencil note" in CODES["page-blank"].en.sentence
    assert "Paraphe oder Bleistiftnotiz" in CODES["page-blank"].de.sentence
