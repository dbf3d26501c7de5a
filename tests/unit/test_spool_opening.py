"""Opening the spool: what is there is used or left alone, and never replaced by an empty one."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from daemon import schema
from daemon.document import State
from daemon.errors import CorruptionError
from daemon.records.journal import compare
from daemon.spool import Spool, open_spool
from tests.agreement import check
from tests.values import NOW, arrival, claimed, places


def bytes_of(state: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(state)): p.read_bytes()
        for p in state.rglob("*")
        if p.is_file() and not p.name.endswith(("-wal", "-shm"))
    }


def refused_to_open(state: Path, *, new: bool = True) -> str:
    """Expect that opening is refused and nothing was changed; return the code."""
    before = bytes_of(state)
    with pytest.raises(CorruptionError) as caught:
        Spool(state, new=new)
    assert bytes_of(state) == before
    return caught.value.code


def test_a_new_database_is_private_and_has_a_name_of_its_own(tmp_path: Path) -> None:
    """0600, and a random box_id that stays."""
    ids = []
    for name in ("one", "two", "one"):
        spool = Spool(places(tmp_path / name), new=True)
        ids.append(spool.box_id())
        assert (tmp_path / name / "spool.db").stat().st_mode & 0o777 == 0o600
        spool.close()

    assert ids[0] == ids[2] != ids[1]
    assert len(ids[0]) == 32


def test_every_commit_is_on_the_disk(spool: Spool) -> None:
    """WAL and synchronous=FULL, as they are at run time: NORMAL loses the last commits."""
    assert spool._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert spool._db.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert spool._db.execute("PRAGMA foreign_keys").fetchone()[0] == 1
    assert spool._db.isolation_level is None


def test_without_being_told_so_no_database_is_made(state: Path) -> None:
    """Only the service's own start may begin a box's life."""
    assert refused_to_open(state, new=False) == "database-missing"
    assert not (state / "spool.db").exists()


@pytest.mark.parametrize("where", ["documents", "ledger"])
@pytest.mark.parametrize("content", [None, b""])
def test_a_lost_database_is_not_replaced_by_an_empty_one(
    state: Path, where: str, content: bytes | None
) -> None:
    """Missing, or there with no bytes in it, beside documents or ledger: a person is needed."""
    (state / where / "2026").mkdir()
    if content is not None:
        (state / "spool.db").write_bytes(content)

    assert refused_to_open(state) == "database-missing"


def test_a_database_without_tables_beside_documents_is_not_filled(state: Path) -> None:
    """Another program's file, or one that was begun and never finished."""
    other = sqlite3.connect(state / "spool.db")
    other.execute("CREATE TABLE theirs (x)")
    other.commit()
    other.close()
    (state / "documents" / "2026").mkdir()

    assert refused_to_open(state) == "database-missing"


def test_a_first_start_that_was_cut_off_begins_again(state: Path) -> None:
    """Nothing was ever here: an empty file is no evidence of anything."""
    (state / "spool.db").touch()

    spool = Spool(state, new=True)

    assert spool.box_id()
    spool.close()


@pytest.mark.parametrize(
    "content",
    [b"\0" * 4096, b"garbage" * 1000, b"x", b"SQLite format 3\0" + b"\xff" * 5000],
)
def test_garbage_is_refused_and_left_as_it_is(state: Path, content: bytes) -> None:
    """There may be something in it that can be saved."""
    (state / "documents" / "2026").mkdir()
    (state / "spool.db").write_bytes(content)

    assert refused_to_open(state) in {"database-damaged", "database-missing"}


@pytest.mark.parametrize("table", ["ledger", "meta"])
def test_damage_inside_is_found_at_the_start_where_it_is_read(state: Path, table: str) -> None:
    """Also in the ledger's table, which the journal reads: a sentence, not a crash loop."""
    spool = Spool(state, new=True)
    for number in range(50):
        spool.note("test", {"n": number}, None, NOW)
    (root,) = spool._db.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = ?", [table]
    ).fetchone()
    spool._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    spool.close()
    with (state / "spool.db").open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xee" * 4096)

    assert refused_to_open(state, new=False) == "database-damaged"


def test_a_database_newer_than_the_code_is_refused(state: Path) -> None:
    """After a downgrade: an older program would damage what it does not understand."""
    Spool(state, new=True).close()
    db = sqlite3.connect(state / "spool.db")
    db.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    db.close()

    assert refused_to_open(state) == "database-newer"


def test_a_folder_in_its_place_is_refused(state: Path) -> None:
    """Whatever is there instead of a file."""
    (state / "spool.db").mkdir()
    (state / "spool.db" / "x").touch()

    assert refused_to_open(state) == "database-damaged"


def test_a_spool_that_could_not_be_opened_holds_nothing_open(state: Path) -> None:
    """The service stays up and shows it, for days: a person mends the file meanwhile."""
    Spool(state, new=True).close()
    db = sqlite3.connect(state / "spool.db")
    db.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    db.close()
    with pytest.raises(CorruptionError):
        Spool(state)

    held = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
    assert not [path for path in held if path.startswith(str(state))]


# -- the thread ------------------------------------------------------------------------------


def test_the_spool_lives_on_one_thread(state: Path) -> None:
    """One writer, and the event loop waits for no disk."""

    async def main() -> None:
        spool = await open_spool(state, new=True)
        threads = {await spool(lambda _: threading.get_ident()) for _ in range(3)}
        scans = [arrival(number) for number in range(5)]
        found = await asyncio.gather(*(spool(Spool.claim, scan, NOW) for scan in scans))
        assert [d.id for d in found] == [scan.id for scan in scans]
        assert threads.isdisjoint({threading.get_ident()})
        assert len(threads) == 1
        await spool.close()

    asyncio.run(main())


def test_a_spool_that_cannot_be_opened_leaves_no_thread(state: Path) -> None:
    """The service stays up with damaged records."""
    (state / "spool.db").write_bytes(b"garbage" * 100)

    async def main() -> None:
        with pytest.raises(CorruptionError):
            await open_spool(state)

    asyncio.run(main())
    assert not [t for t in threading.enumerate() if t.name.startswith("spool")]


def test_damage_that_is_found_later_is_named_as_such(state: Path) -> None:
    """Not an error among others: whoever counts it as an unclean end would refuse documents."""
    spool = Spool(state, new=True)
    for number in range(30):
        claimed(spool, number)
    (root,) = spool._db.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'document'"
    ).fetchone()
    spool._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    spool.close()
    with (state / "spool.db").open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xee" * 4096)

    async def main() -> None:
        damaged = await open_spool(state)
        with pytest.raises(CorruptionError) as caught:
            await damaged(Spool.claim, arrival(99), NOW)
        assert caught.value.code == "database-damaged"
        await damaged.close()

    asyncio.run(main())


# -- killed ----------------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from daemon.spool import Spool
from tests.values import NOW, arrival, frozen
spool = Spool(Path(sys.argv[1]))
for number in range(100000):
    document = frozen(spool, spool.claim(arrival(number), NOW))
    print(document.id, flush=True)
    if number % 7 == 0:
        spool.export_ledger()
"""


def test_a_kill_leaves_only_whole_steps(state: Path) -> None:
    """SIGKILL at some moment: what was acknowledged is there, and everything agrees (I5, I7)."""
    Spool(state, new=True).close()
    chance = random.Random(4711)  # noqa: S311 (a moment, no secret)
    told: list[str] = []
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(state)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            text=True,
        )
        assert writer.stdout is not None
        told += [writer.stdout.readline().strip() for _ in range(chance.randrange(1, 30))]
        writer.kill()
        told += writer.stdout.read().splitlines()
        writer.wait(timeout=10)
        writer.stdout.close()

        spool = Spool(state)
        check(spool)
        assert compare(state) == spool.head()
        for document_id in told:
            if len(document_id) == 36:  # the last line may have been cut by the kill
                assert spool.document(document_id).state is State.FROZEN
        spool.close()
