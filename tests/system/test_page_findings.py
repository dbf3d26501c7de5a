"""What the page says of a document's findings: on which pages, and what it is the same as."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from daemon.codes import CODES
from daemon.document import Digest, Document, Part
from tests.system.test_page import Site
from tests.watched import NOW, Watched

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    started = Site(tmp_path / "state")
    yield started
    started.close()


def sealed(box: Watched, seconds: int, **facts: Any) -> Document:
    """Seal a document with these facts; there are no files of it."""
    at = NOW + timedelta(seconds=seconds)
    document = box.claimed(at)
    box.spool.begin(document, "seal", at)
    part = Part(role="sealed", file="sealed.pdf", digest=Digest.of(b"%d" % seconds), size=9)
    known = {"images": 9, "findings": [], "ledger_hash": "0" * 64, **facts}
    return box.spool.seal(document, part, part, known, at, at, at)


def test_findings_name_their_pages_in_both_languages(site: Site) -> None:
    """Whoever looks for a blank page wants to know which one it is."""
    facts = {
        "findings": ["page-blank", "resolution-low", "transcoded"],
        "finding_pages": ["page-blank:2,4-6", "resolution-low:7"],
    }
    document = site.do(lambda box: sealed(box, 0, **facts))
    for language, blank, low in (
        ("en", "Pages 2, 4–6:", "Page 7:"),
        ("de", "Seiten 2, 4–6:", "Seite 7:"),
    ):
        html = site.ask(f"/documents/{document.id}?lang={language}").text

        sentences = {code: CODES[code].text(language).sentence for code in facts["findings"]}
        assert f"{blank} {sentences['page-blank']}" in html
        assert f"{low} {sentences['resolution-low']}" in html
        assert f'<span class="finding">{sentences["transcoded"]}' in html


def test_a_duplicate_leads_to_what_it_is_the_same_as(site: Site) -> None:
    """To look at both is all that a person has to do."""
    first = site.do(lambda box: sealed(box, 0))
    again = site.do(lambda box: sealed(box, 1, findings=["duplicate-pages"], duplicate_of=first.id))

    html = site.ask(f"/documents/{again.id}?lang=en").text
    assert f'href="/documents/{first.id}?lang=en"' in html
    assert "The same as" in html
    assert "The same as" not in site.ask(f"/documents/{first.id}?lang=en").text


def test_an_envelope_says_that_nobody_counted_its_pages(site: Site) -> None:
    """A zero would read as a document without pages."""
    document = site.do(
        lambda box: sealed(box, 0, images=0, findings=["envelope", "already-signed"])
    )

    html = site.ask(f"/documents/{document.id}?lang=en").text
    assert "not counted" in html
    assert CODES["envelope"].en.sentence in html
    assert CODES["already-signed"].en.sentence in html
