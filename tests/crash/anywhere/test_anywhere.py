"""The whole path, killed and refused by the disk: a fraction of all points (I1, I2, I3, I5, I7).

All of them is `make torture`. Here are those that a seed draws, and those that once showed
something wrong.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from daemon.errors import CorruptionError
from tests.crash.anywhere.calls import Call
from tests.crash.anywhere.harm import unharmed
from tests.crash.anywhere.scene import Scene, Violated
from tests.crash.anywhere.starter import Preloaded
from tests.crash.anywhere.torture import Torture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from contrib.demo.token import TokenFiles

SEED = 20261123
FRACTION = {"kill": 6, "kill-twice": 3, "broken": 3, "full": 1, "read-only": 1}
ONCE_WRONG = (
    # A first start that did not get as far as the log: the next one called it damage.
    "kill:unlink state/spool.db-journal#1",
    # Likewise an error while the tables are made; and a disk that is full at a start.
    "broken:pwrite64 state/spool.db-wal#4",
    "full:pwrite64 state/spool.db-wal#57",
    "full:openat state/spool.db-shm#1",
    # A disk that became read-only: the service ended again and again.
    "read-only:pwrite64 state/spool.db-wal#178",
    # The database was closed after a failed sync, and that synced it again.
    "broken:fdatasync state/spool.db-wal#3",
    # What was being written beside a document stayed there for ever.
    (
        "kill:rename state/documents/DAY/ID/.receipt-dms.json.TEMP"
        " state/documents/DAY/ID/receipt-dms.json#1"
    ),
    "kill:fsync state/documents/DAY/ID/.manifest.json.TEMP#2",
)


@pytest.fixture(scope="module")
def torture(tmp_path_factory: pytest.TempPathFactory, seal_token: TokenFiles) -> Iterator[Torture]:
    root = tmp_path_factory.mktemp("anywhere")
    made = Torture(root, seal_token, seed=SEED, keep=root / "kept")
    made.points()
    yield made
    made.close()


@pytest.fixture
def scene(tmp_path: Path, seal_token: TokenFiles) -> Iterator[Scene]:
    starter = Preloaded(seal_token)
    made = Scene(tmp_path / "box", seal_token, starter)
    yield made
    made.abandon()
    starter.close()


def test_points_drawn_by_a_seed_violate_nothing(torture: Torture) -> None:
    """Killed, killed twice, an error once, a disk that is full or read-only: all ends well."""
    chosen = [one for harm, n in FRACTION.items() for one in torture.chosen([harm], n)]
    tally = torture.run(chosen, abreast=3, show=False)

    assert not tally.violations, "\n".join(tally.lines(0))
    assert tally.tried == FRACTION
    assert tally.kills >= FRACTION["kill"]


def test_points_that_once_showed_something_wrong_violate_nothing(torture: Torture) -> None:
    """Each of them has been a violation, and was mended."""
    chosen = torture.chosen([], only=ONCE_WRONG)
    tally = torture.run(chosen, abreast=3, show=False)

    assert not tally.violations, "\n".join(tally.lines(0))
    assert sum(tally.tried.values()) == len(ONCE_WRONG)
    assert not any(tally.missed.values()), "\n".join(tally.lines(0))


def test_an_unharmed_run_makes_each_kind_of_call_where_it_should(scene: Scene) -> None:
    """What is not seen is never killed: all threads, the page workers, all four places."""
    scene.run(unharmed)
    scene.all_is_well()
    names = {call.name for call in scene.course.made}

    assert names >= {
        "mkdir state/documents/DAY/ID",
        "rename hot/Bescheid.pdf hot/.scanseal/ID",
        "fsync state/documents/DAY/ID/original.pdf",
        "pwrite64 state/spool.db-wal",
        "fdatasync state/spool.db-wal",
        "write state/work/out/ID.0.TEMP.prepared",  # a page worker's
        "rename state/work/out/ID.0.TEMP.prepared state/documents/DAY/ID/sealed.pdf",
        "fsync state/ledger/DATE.jsonl",
        "linkat dms/ID/.sealed.pdf.TEMP.part dms/ID/sealed.pdf",
        "unlinkat archive/ID/.manifest.p7s.TEMP.part",
        "openat hot/rejected/kaputt~ID.pdf",
    }
    assert len({call.tid for call in scene.course.made}) > 5
    assert len(scene.course.made) > 500


def test_a_kill_comes_before_its_call_is_made(scene: Scene) -> None:
    """Else a point would be the one after it."""
    name = "rename hot/Bescheid.pdf hot/.scanseal/ID"
    scan = scene.root / "hot" / "Bescheid.pdf"
    there: list[bool] = []

    def start_again(_call: Call, _occurrence: int) -> int:
        there.append(scan.exists())
        return 0

    scene.run(
        lambda call, _: None if call.name == name else 0,
        start_again,
    )
    scene.all_is_well()

    assert there[0]
    assert not there[-1]
    assert [call.name for call in scene.course.killed] == [name]
    assert scene.course.starts == 2


def test_two_logins_without_an_answer_need_a_person(scene: Scene) -> None:
    """I6: the harness plays that person, and counts it."""

    def in_the_login(call: Call, _occurrence: int) -> int | None:
        if call.name != "fsync state/ledger/DATE.jsonl":
            return 0
        # The line of this start's attempt: only once it is synced the PIN is presented.
        attempts = (scene.root / call.path).read_text().count('"event":"login-attempt"')
        return None if attempts == scene.course.starts else 0

    scene.run(in_the_login, in_the_login)
    scene.all_is_well()

    assert len(scene.course.killed) == 2
    assert scene.course.persons == {"retry-login": 1}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, seal_token: TokenFiles) -> Iterator[Scene]:
    starter = Preloaded(seal_token)
    made = Scene(tmp_path_factory.mktemp("finished") / "box", seal_token, starter)
    made.run()
    yield made
    starter.close()


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda s: next((s.root / "state/documents").rglob("original.jpg")).unlink(), "original"),
        (lambda s: (s.root / "hot" / "again.pdf").write_bytes(s.dropped["Bescheid.pdf"]), "hot"),
        (lambda s: (s.root / "dms" / "another").mkdir(), "dms has other documents"),
        (lambda s: next((s.root / "archive").rglob("sealed.pdf")).unlink(), "archive has not"),
        (lambda s: next((s.root / "archive").rglob("note.xml")).rename(
            s.root / "archive" / "note.xml"), "archive has"),
        (lambda s: next((s.root / "state/documents").rglob("receipt-dms.json")).write_text(
            '{"receipts": []}'), "receipt of dms"),
        (lambda s: next((s.root / "state/ledger").glob("*[0-9].jsonl")).write_text(""), "line"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_seen(
    finished: Scene, spoil: Callable[[Scene], object], what: str, tmp_path: Path
) -> None:
    """An invariant that cannot be violated says nothing."""
    finished.all_is_well()
    shutil.copytree(finished.root, tmp_path / "kept")
    spoil(finished)

    with pytest.raises((Violated, CorruptionError), match=what):
        finished.all_is_well()
    shutil.rmtree(finished.root)
    shutil.copytree(tmp_path / "kept", finished.root)
