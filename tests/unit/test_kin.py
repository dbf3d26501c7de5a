"""A refused scan that is dropped again: what it stands for, and what only a person can say."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.document import Copy, Document, State, new_id
from daemon.errors import PersonNeeded
from daemon.intake.claim import Claimed, Desk, commit
from daemon.intake.copies import stems
from daemon.intake.settle import Look
from daemon.spool import Spool
from tests.agreement import check
from tests.intake import config_of, make_places, now, pdf, section_of
from tests.values import arrival, frozen, refused

HALF = pdf()[:-12]
LARGE = HALF * 100
"""Broken off, and long enough to say which paper it is of."""


class Folder:
    """One hot folder, and the spool behind it."""

    def __init__(self, root: Path) -> None:
        self.section = section_of(root)
        self.config = config_of(root, self.section)
        make_places(self.config)
        self.spool = Spool(self.config.state_dir, new=True)
        self.desk = Desk(self.section, self.config.documents)

    def claim(self, name: bytes, data: bytes) -> Claimed:
        path = Path(self.section.path) / os.fsdecode(name)
        path.write_bytes(data)
        return self.desk.take(name, Look.of(path.stat()), now(), "sure")

    def drop(self, name: bytes, data: bytes) -> Document:
        """Let a scan be claimed, and refused if it is not whole."""
        return commit(self.spool, self.claim(name, data), now())

    def now(self, document: Document) -> Document:
        return self.spool.document(document.id)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    made = Folder(tmp_path)
    yield made
    check(made.spool)
    made.spool.close()


def copy_of(document: Document, name: bytes, ending: str = ".pdf") -> bytes:
    return os.fsencode(next(stems(name, document.id)) + ending)


def lines(folder: Folder, document: Document) -> list[tuple[str, dict[str, str]]]:
    found = [json.loads(line) for line in folder.spool.lines(document.id)]
    return [(line["event"], line["detail"]) for line in found]


def test_the_same_bytes_stand_for_the_refused_ones(folder: Folder) -> None:
    """The copy dragged back into the hot folder: in the ledger and in the rows of both."""
    old = folder.drop(b"scan.pdf", LARGE)
    new = folder.drop(b"again.pdf", LARGE)
    found = folder.now(old)

    assert (found.state, found.superseded_by, found.copy) == (
        State.DISCARDED,
        new.id,
        Copy.LEAVING,
    )
    assert new.state is State.REFUSED
    assert [d.id for d in folder.spool.superseded(new.id)] == [old.id]
    assert lines(folder, old)[-1] == ("supersede", {"by": new.id, "how": "digest"})
    assert lines(folder, new)[1] == ("supersedes", {"document": old.id, "how": "digest"})


def test_refused_again_and_again_there_is_one(folder: Folder) -> None:
    """The newest stands for all that came before it: nothing piles up."""
    name = b"scan.pdf"
    for _ in range(5):
        newest = folder.drop(name, LARGE)
        name = copy_of(newest, name)

    assert folder.spool.counts()["document"] == {"refused": 1, "discarded": 4}
    due = [d.id for d in folder.spool.copies_due("post", 10) if d.copy is Copy.DUE]
    assert due == [newest.id]


def test_a_corrected_file_under_the_copys_name_stands_for_it(folder: Folder) -> None:
    """Other bytes, another format: the name says which paper it is of."""
    old = folder.drop(b"Akte.tif", b"II*\0" + bytes(4))
    new = folder.drop(copy_of(old, b"Akte.tif", ".pdf"), pdf())

    assert new.state is State.CLAIMED
    assert folder.now(old).superseded_by == new.id
    assert lines(folder, old)[-1] == ("supersede", {"by": new.id, "how": "copy-name"})


def test_bytes_and_name_of_two_stand_for_both(folder: Folder) -> None:
    """Two refused copies of one scan, of which one is dropped under the other's name."""
    one = folder.drop(b"a.pdf", HALF)
    other = folder.drop(b"b.pdf", pdf())
    folder.spool.refuse(other, "too-many-pages", "", now())
    new = folder.drop(copy_of(one, b"a.pdf"), pdf())

    assert {d.id for d in folder.spool.superseded(new.id)} == {one.id, other.id}


@pytest.mark.parametrize("broken", [b"", HALF, LARGE, b"II*\0"])
def test_what_is_not_whole_never_stands_for_what_may_be_the_only_good_one(
    broken: bytes, folder: Folder
) -> None:
    """The copy breaks off on its way back: a person decides which of the two is the scan."""
    good = folder.drop(b"scan.pdf", pdf())
    good = folder.spool.refuse(good, "sidecar-missing", "none came", now())
    new = folder.drop(copy_of(good, b"scan.pdf"), broken)
    found = folder.now(good)

    assert (new.state, new.resembles) == (State.REFUSED, good.id)
    assert (found.state, found.superseded_by, found.copy) == (State.REFUSED, "", Copy.DUE)
    # Whichever it is: both can be released, and one can be said to stand for the other.
    folder.spool.supersede(new.id, good.id, "uid 0", now())
    folder.spool.release(good.id, "uid 0", now())
    assert folder.now(good).state is State.CLAIMED


def test_a_broken_file_stands_for_its_own_bytes_and_may_for_its_name(folder: Folder) -> None:
    """Of two refused ones: the same bytes are given up with nothing lost, the name is asked about."""
    named = folder.drop(b"a.pdf", pdf())
    named = folder.spool.refuse(named, "sidecar-missing", "none came", now())
    same = folder.drop(b"b.pdf", LARGE)
    new = folder.drop(copy_of(named, b"a.pdf"), LARGE)

    assert folder.now(same).superseded_by == new.id
    assert lines(folder, same)[-1] == ("supersede", {"by": new.id, "how": "digest"})
    assert (folder.now(named).state, new.resembles) == (State.REFUSED, named.id)


@pytest.mark.parametrize("state", ["claimed", "discarded", "frozen", "elsewhere"])
def test_only_what_is_refused_in_this_hot_folder_is_stood_for(state: str, folder: Folder) -> None:
    """On its way, given up, sealed, or another folder's: never touched by what comes later."""
    claimed = folder.claim(b"scan.pdf", LARGE)
    if state == "elsewhere":
        claimed = replace(claimed, arrival=replace(claimed.arrival, hotfolder="other"))
    old = commit(folder.spool, replace(claimed, flaw=claimed.flaw if state != "claimed" else None),
                 now())  # fmt: skip
    if state == "discarded":
        folder.spool.discard(old.id, "uid 0", "test page", now())
    elif state == "frozen":
        folder.spool.release(old.id, "uid 0", now())
        frozen(folder.spool, folder.now(old))
    before = folder.now(old)
    by_bytes = folder.drop(b"other.pdf", LARGE)
    by_name = folder.drop(copy_of(old, b"scan.pdf"), pdf())

    assert folder.now(old) == before
    assert old.id not in {by_bytes.resembles, by_name.resembles}


def test_an_equal_name_alone_is_a_suggestion(folder: Folder) -> None:
    """Scanners use names again: only a person knows whether it is the same paper."""
    first = folder.drop(b"scan.pdf", LARGE)
    second = folder.drop(b"scan.pdf", HALF)
    new = folder.drop(b"scan.pdf", pdf())
    other = folder.drop(b"Scan.pdf", pdf(b"2"))

    assert (second.resembles, new.resembles, other.resembles) == (first.id, second.id, "")
    assert folder.now(first).state is State.REFUSED
    folder.spool.supersede(second.id, new.id, "uid 1000 (anna)", now())
    assert folder.now(new).resembles == ""
    assert folder.now(second).superseded_by == new.id
    assert lines(folder, new)[-1] == ("supersedes", {"document": second.id, "how": "person"})
    assert "anna" not in "".join(folder.spool.lines(new.id) + folder.spool.lines(second.id))


def test_the_digits_of_a_copy_under_another_name_are_a_suggestion(folder: Folder) -> None:
    """A scanner's own digits may happen to be those of an id."""
    old = folder.drop(b"Akte.pdf", HALF)
    new = folder.drop(b"Brief~" + old.id[-8:].encode() + b".pdf", pdf())

    assert (new.resembles, folder.now(old).state) == (old.id, State.REFUSED)


def test_two_papers_of_which_nothing_came_are_two(folder: Folder) -> None:
    """Empty files, and the same few first bytes, are alike without being the same scan."""
    empty = folder.drop(b"1.pdf", b"")
    other = folder.drop(b"2.pdf", b"")
    stub = folder.drop(b"3.tif", b"II*\0")
    third = folder.drop(b"4.tif", b"II*\0")

    assert {folder.now(d).state for d in (empty, other, stub, third)} == {State.REFUSED}
    # Under its own name, or that of the copy, the paper is the same.
    again = folder.drop(b"4.tif", b"II*\0")
    assert folder.now(third).superseded_by == again.id
    named = folder.drop(copy_of(empty, b"1.pdf", ".bin"), b"")
    assert folder.now(empty).superseded_by == named.id
    assert folder.now(other).state is State.REFUSED
    # Nothing at all is not even that: a person has to say.
    assert folder.drop(b"2.pdf", b"").resembles == other.id
    assert folder.now(other).state is State.REFUSED


def test_whole_files_that_are_equal_are_one_however_small(folder: Folder) -> None:
    """A blank page is a few bytes: nothing is lost if one of two equal ones is left."""
    old = folder.drop(b"1.pdf", pdf())
    folder.spool.refuse(old, "too-many-pages", "", now())
    new = folder.drop(b"2.pdf", pdf())

    assert folder.now(old).superseded_by == new.id


def test_only_the_newest_refused_ones_are_asked_for_their_names(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day on which everything is refused does not make each claim slower than the one before."""
    monkeypatch.setattr("daemon.intake.kin.NEWEST", 2)
    names = [b"a.pdf", b"b.pdf", b"c.pdf"]
    old = [folder.drop(name, HALF + name) for name in names]

    assert folder.drop(b"a.pdf", pdf()).resembles == ""
    assert folder.drop(b"b.pdf", pdf(b"2")).resembles == old[1].id


# -- a person's word --------------------------------------------------------------------


def code_of(folder: Folder, old: str, new: str) -> str:
    with pytest.raises(PersonNeeded) as caught:
        folder.spool.supersede(old, new, "uid 0", now())
    return caught.value.code


def test_what_cannot_be_stood_for_is_named(folder: Folder) -> None:
    """Only a refused one, by another one that is not given up itself."""
    old = folder.drop(b"a.pdf", HALF)
    other = folder.drop(b"b.pdf", HALF + b"b")
    good = folder.drop(b"c.pdf", pdf())

    assert code_of(folder, good.id, old.id) == "not-refused"
    assert code_of(folder, old.id, old.id) == "not-a-successor"
    assert code_of(folder, old.id, new_id(now())) == "unknown-document"
    folder.spool.discard(other.id, "uid 0", "test page", now())
    assert code_of(folder, old.id, other.id) == "not-a-successor"
    assert folder.now(old).state is State.REFUSED
    # One that was refused as well may stand for it: then there is one to decide about.
    third = folder.drop(b"d.pdf", HALF + b"d")
    assert folder.spool.supersede(old.id, third.id, "uid 0", now()).superseded_by == third.id


# -- which document a person means --------------------------------------------------------


def test_the_last_digits_say_which_document_is_meant(folder: Folder) -> None:
    """As they stand behind the ~ of a copy's name, as the whole id, and as people type it."""
    document = refused(folder.spool)
    digits = document.id.replace("-", "")

    for text in (
        document.id,
        digits[-8:],
        f"~{digits[-8:]}",
        digits[-12:],
        digits,
        f" {document.id.upper()} ",
    ):
        assert folder.spool.named(text).id == document.id
    for text in ("", digits[-7:], digits[:8], "nonsense", "%", "________", digits[-8:] + "%", "~"):
        with pytest.raises(PersonNeeded) as caught:
            folder.spool.named(text)
        assert caught.value.code == "unknown-document", text


TAILS = st.tuples(
    st.text("01", min_size=4, max_size=4), st.sampled_from(["0" * 8, "0000000a", "abcdef01"])
).map("".join)


@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(
    tails=st.lists(TAILS, min_size=1, max_size=8, unique=True),
    asked=TAILS,
    count=st.integers(8, 12),
)
def test_digits_that_mean_two_documents_mean_none(
    tmp_path: Path, tails: list[str], asked: str, count: int
) -> None:
    """Never the first that is found: a release of the wrong one could not be taken back."""
    folder = Folder(tmp_path / os.urandom(8).hex())
    try:
        for number, tail in enumerate(tails):
            arrived = arrival(number)
            folder.spool.claim(replace(arrived, id=arrived.id[:-12] + tail), now())
        asked = asked[-count:]
        meant = [tail for tail in tails if tail.endswith(asked)]
        if len(meant) == 1:
            assert folder.spool.named(asked).id.endswith(meant[0])
        else:
            with pytest.raises(PersonNeeded) as caught:
                folder.spool.named(asked)
            assert caught.value.code == ("ambiguous-id" if meant else "unknown-document")
    finally:
        folder.spool.close()
