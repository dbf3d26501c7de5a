"""Documents that were here before: the same bytes, or the same page images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from daemon.document import Digest, Document
from daemon.spool import Spool
from tests.agreement import check
from tests.values import NOW, arrival, part, places

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BYTES = Digest.of(b"the same bytes")
PAGES = Digest.of(b"the same pages")


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    found = Spool(places(tmp_path), new=True)
    yield found
    check(found)
    found.close()


def claimed(spool: Spool, number: int, digest: Digest = BYTES) -> Document:
    return spool.claim(replace(arrival(number), digest=digest), NOW)


def sealed(spool: Spool, document: Document, **facts: Any) -> Document:
    spool.begin(document, "seal", NOW)
    known = {"images": 1, "findings": [], "ledger_hash": "0" * 64, **facts}
    return spool.seal(document, part("sealed", "s"), part("note", "n"), known, NOW, NOW, NOW)


def test_the_first_of_several_with_the_same_bytes_is_named(spool: Spool) -> None:
    """Whatever became of it so far: claimed is enough."""
    first, other, second, third = (
        claimed(spool, 1),
        claimed(spool, 2, Digest.of(b"others")),
        claimed(spool, 3),
        claimed(spool, 4),
    )

    assert spool.same_bytes(first) == ""
    assert spool.same_bytes(other) == ""
    assert spool.same_bytes(second) == spool.same_bytes(third) == first.id


def test_what_was_given_up_or_stood_for_is_nobodys_twin(spool: Spool) -> None:
    """A scan that was refused and is scanned again is the document, and no duplicate."""
    discarded, superseded, last = claimed(spool, 1), claimed(spool, 2), claimed(spool, 3)
    assert spool.same_bytes(last) == discarded.id
    spool.discard(spool.refuse(discarded, "pdf-damaged", "x", NOW).id, "me", "no", NOW)
    assert spool.same_bytes(last) == superseded.id
    spool.supersede(spool.refuse(superseded, "pdf-damaged", "x", NOW).id, last.id, "me", NOW)

    assert spool.same_bytes(last) == ""


def test_a_sealed_document_that_has_a_successor_is_nobodys_twin(spool: Spool) -> None:
    """It keeps its state: only the link says that another stands for it."""
    first, second = claimed(spool, 1), claimed(spool, 2)
    assert spool.same_bytes(second) == first.id
    link = "UPDATE document SET superseded_by = ? WHERE id = ?"
    spool._db.execute(link, ["another", first.id])

    assert spool.same_bytes(second) == ""
    spool._db.execute(link, ["", first.id])


def test_the_same_pages_are_found_once_they_are_sealed(spool: Spool) -> None:
    """Their digest is known only when they were prepared; later or earlier does not matter."""
    first, second, third = (claimed(spool, n, Digest.of(b"%d" % n)) for n in (1, 2, 3))
    assert spool.same_pages(second, PAGES) == ""
    done = sealed(spool, second, pages_sha256=str(PAGES))

    assert done.pages_digest == PAGES
    assert spool.same_pages(first, PAGES) == spool.same_pages(third, PAGES) == second.id
    assert spool.same_pages(first, Digest.of(b"other pages")) == ""


def test_a_document_is_not_its_own_twin(spool: Spool) -> None:
    """Released after a refusal, or begun again after an unclean end."""
    document = sealed(spool, claimed(spool, 1), pages_sha256=str(PAGES))

    assert spool.same_bytes(document) == ""
    assert spool.same_pages(document, PAGES) == ""


def test_the_link_and_the_pages_of_findings_are_kept(spool: Spool) -> None:
    """In the row for the page, and in the ledger's line for a rebuild."""
    first = claimed(spool, 1)
    facts = {"findings": ["page-blank"], "finding_pages": ["page-blank:2"]}
    done = sealed(spool, claimed(spool, 2), duplicate_of=first.id, **facts)

    assert (done.duplicate_of, done.finding_pages) == (first.id, ("page-blank:2",))
    assert spool.document(first.id).duplicate_of == ""
    line = list(spool.chain())[-1]
    assert first.id in line
    assert "page-blank:2" in line


def test_a_million_documents_are_not_searched(spool: Spool) -> None:
    """Both questions are answered by an index, in its order."""
    document = claimed(spool, 1)
    asked: list[str] = []
    spool._db.set_trace_callback(asked.append)
    spool.same_bytes(document)
    spool.same_pages(document, PAGES)
    spool._db.set_trace_callback(None)

    assert len(asked) == 2
    for question, index in zip(asked, ("document_digest", "document_pages"), strict=True):
        plan = " ".join(row[3] for row in spool._db.execute(f"EXPLAIN QUERY PLAN {question}"))
        assert f"SEARCH document USING INDEX {index}" in plan
        assert "SCAN" not in plan
        assert "TEMP B-TREE" not in plan
