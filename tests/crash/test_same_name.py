"""The name of a scan is used again, or its file is touched, at every moment of its claim (I1).

A claim is run line by line; before one line of ours the scanner acts, as another
process would between two system calls. Every line is tried. Whatever the moment is,
each file that the scanner has closed comes out whole and once.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO, Final

import pytest

from daemon.document import folder_of
from daemon.intake import NotNow
from daemon.intake.claim import Claimed, Desk, commit
from daemon.intake.origin import origin_of, stored
from daemon.intake.settle import Look
from daemon.spool import Spool
from tests.intake import config_of, make_places, mounted, now, pdf, section_of

OURS: Final = str(Path(__file__).parents[2] / "daemon" / "intake") + "/"
NAME: Final = "SCAN0001.pdf"
FIRST, SECOND, MORE = pdf(b"first"), pdf(b"the second one"), pdf(b"more")


@dataclass
class Place:
    """A box with one scan in its hot folder, and what came out of it so far."""

    spool: Spool
    desk: Desk
    documents: Path
    writer: BinaryIO | None = None
    """The scanner's own, if it has the file open."""
    ids: list[str] = field(default_factory=list)

    @property
    def scan(self) -> Path:
        """Where scanners put their file."""
        return self.desk.folder / NAME

    def take(self, path: Path) -> None:
        """Claim a file of the hot folder, as it is now."""
        look = Look.of(path.stat())
        self._commit(partial(self.desk.take, path.name.encode(), look, now(), "sure"))

    def finish(self) -> None:
        """Do what the stage does once everything has settled: all that is left is claimed."""
        for _ in range(3):
            for path in list(self.desk.private.iterdir()):
                if self.spool.exists(path.name):
                    with contextlib.suppress(NotNow):
                        self.desk.sort_out(path.name, now())
                else:
                    look = Look.of(path.stat())
                    self._commit(partial(self.desk.resume, path.name, look, now(), "sure"))
            for path in self.desk.folder.iterdir():
                if path.is_file():
                    self.take(path)

    def contents(self) -> list[bytes]:
        """Return what the documents are, each compared with its row; nothing else is left."""
        left = [path for path in self.desk.folder.rglob("*") if path.is_file()]
        found = []
        for own in self.ids:
            original = stored(folder_of(self.documents, own))
            assert original is not None
            found.append(original.read_bytes())
            document = self.spool.document(own)
            assert document.digest.of(found[-1]) == document.digest
            assert (origin := origin_of(folder_of(self.documents, own)))
            assert (origin.size, origin.name) == (len(found[-1]), NAME.encode())
        folders = [path.name for path in self.documents.glob("*/*/*/*")]
        assert (left, sorted(folders)) == ([], sorted(self.ids))
        return found

    def _commit(self, work: Callable[[], Claimed]) -> None:
        try:
            claimed = work()
        except NotNow:
            return
        commit(self.spool, claimed, now())
        self.ids.append(claimed.arrival.id)
        if claimed.copied:
            with contextlib.suppress(NotNow):
                self.desk.let_go(claimed)


@contextlib.contextmanager
def box(root: Path, *, across: bool, owner: int) -> Iterator[Callable[[int], Place]]:
    """Have a box in memory, with as many hot folders as are asked for, each with one scan."""
    with mounted(root), mounted(root / "hot") if across else contextlib.nullcontext():
        config = config_of(root)
        make_places(config)
        with closing(Spool(config.state_dir, new=True)) as spool:

            def place(number: int) -> Place:
                hot = root / "hot" / str(number)
                hot.mkdir(parents=True)
                documents = config.documents / str(number)
                documents.mkdir()
                desk = Desk(section_of(root, path=str(hot)), documents)
                found = Place(spool, desk, documents)
                found.scan.write_bytes(FIRST)
                os.chown(found.scan, owner, owner)
                return found

            yield place


# -- what scanners do with a name -----------------------------------------------------------


def replaced(here: Place) -> None:
    """Write another file beside it, and give that the name."""
    beside = here.desk.folder / ".beside"
    beside.write_bytes(SECOND)
    beside.rename(here.scan)


def rewritten(here: Place) -> None:
    """Open the name, empty what is there, write another scan, close it."""
    here.scan.write_bytes(SECOND)


def held_open(here: Place) -> None:
    """Open what is there to add to it, and keep it open."""
    with contextlib.suppress(FileNotFoundError):
        here.writer = here.scan.open("r+b")
        here.writer.seek(0, 2)


def removed(here: Place) -> None:
    """Take it away: a scan that was called off."""
    here.scan.unlink(missing_ok=True)


Scanner = Callable[[Place], None]


def at_line(number: int, here: Place, act: Scanner) -> int:
    """Claim the scan, *act* before the line of that number; return how many there were."""
    seen = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal seen
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        if event == "line":
            seen += 1
            if seen == number:
                act(here)
        return trace

    look = here.scan
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        here.take(look)
    finally:
        sys.settrace(before)
    return seen


@pytest.mark.parametrize(
    ("across", "owner"),
    [(False, 0), (True, 0), (False, 65534)],
    ids=["one-mount", "two-mounts", "another-users"],
)
@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (replaced, {(SECOND,), (FIRST, SECOND)}),
        (rewritten, {(SECOND,), (FIRST, SECOND)}),
        (held_open, {(FIRST,), (FIRST + MORE,)}),
        (removed, {(FIRST,), ()}),
    ],
    ids=["replaced", "rewritten", "held-open", "removed"],
)
def test_a_name_that_is_used_again_in_the_middle_of_its_claim(
    act: Scanner, expected: set[tuple[bytes, ...]], across: bool, owner: int, tmp_path: Path
) -> None:
    """What was there is whole or was overwritten by its own scanner; what came is whole, once."""
    outcomes: Counter[tuple[bytes, ...]] = Counter()
    with box(tmp_path, across=across, owner=owner) as place:
        count = at_line(0, place(0), act)
        for number in range(1, count + 1):
            here = place(number)
            at_line(number, here, act)
            if here.writer:
                here.writer.write(MORE)
                here.writer.close()
                here.writer = None
            here.finish()
            outcomes[tuple(sorted(here.contents()))] += 1

    assert count > 100
    assert outcomes.keys() == expected, outcomes
