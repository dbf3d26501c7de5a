"""The forgetting disk loses what it says it loses, and nothing else."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.power.disk import Image, Loss, Name, Operation, Sync, image_of, loosened, survivors
from tests.power.power import Power

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def power(tmp_path: Path) -> Iterator[Power]:
    found = Power(tmp_path)
    yield found
    found.close()


def sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def test_content_without_fsync_is_lost_and_with_fsync_stays(power: Power) -> None:
    """The names are durable in both cases."""
    for name in ("kept", "lost"):
        (power.disk / name).write_bytes(b"content")
    sync(power.disk / "kept")
    sync(power.disk)
    power.cut(1, Loss.ALL)

    assert (power.disk / "kept").read_bytes() == b"content"
    assert (power.disk / "lost").read_bytes() == b""


def test_names_need_the_fsync_of_their_folder(power: Power) -> None:
    """The fsync of a file keeps no name: create, mkdir and link without the folder's are gone."""
    (power.disk / "file").write_bytes(b"content")
    sync(power.disk / "file")
    (power.disk / "folder").mkdir()
    os.link(power.disk / "file", power.disk / "link")
    power.cut(1, Loss.ALL)

    assert os.listdir(power.disk) == []  # noqa: PTH208


def test_rename_and_unlink_are_undone_without_the_fsync_of_the_folder(power: Power) -> None:
    """What was there before is there again, content and all."""
    for name in ("old", "gone"):
        (power.disk / name).write_bytes(b"content")
        sync(power.disk / name)
    sync(power.disk)
    (power.disk / "old").rename(power.disk / "new")
    (power.disk / "gone").unlink()
    power.cut(1, Loss.ALL)

    assert sorted(path.name for path in power.disk.iterdir()) == ["gone", "old"]
    assert (power.disk / "old").read_bytes() == b"content"


def test_a_write_may_be_torn(power: Power) -> None:
    """Some seed leaves a beginning of what was written."""
    sizes = set()
    for seed in range(30):
        path = power.disk / str(seed)
        path.write_bytes(b"")
        sync(path)
        sync(power.disk)
        path.write_bytes(b"x" * 4096)
        power.cut(seed, Loss.TORN)
        sizes.add(path.stat().st_size)

    assert sizes - {0, 4096}


def test_sqlite_keeps_what_it_committed_in_full(power: Power) -> None:
    """WAL with its mapped index runs here, and FULL keeps each commit."""
    with closing(sqlite3.connect(power.disk / "a.db", isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE t (x)")
        db.execute("INSERT INTO t VALUES (1)")
    power.cut(1, Loss.ALL)

    with closing(sqlite3.connect(power.disk / "a.db")) as db:
        assert db.execute("SELECT x FROM t").fetchall() == [(1,)]


def test_apart_nothing_is_renamed_from_one_folder_of_the_root_to_another(tmp_path: Path) -> None:
    """Each is a file system of its own."""
    power = Power(tmp_path, apart=True)
    try:
        for name in ("one", "two", "one/inner"):
            (power.disk / name).mkdir()
        (power.disk / "one" / "file").touch()
        (power.disk / "one" / "file").rename(power.disk / "one" / "inner" / "file")
        for move in (os.rename, os.link):
            with pytest.raises(OSError, match="cross-device"):
                move(power.disk / "one" / "inner" / "file", power.disk / "two" / "file")
    finally:
        power.close()


def test_on_a_loose_disk_a_rename_may_leave_both_names_and_never_none_by_chance() -> None:
    """Only the fsync of the old folder before that of the new one can leave none."""
    old, new, file = 2, 3, 4
    done: list[Operation] = [Name(old, "a", file), Sync(old), Name(new, "b", file, (old, "a"))]
    chance = Random(1)  # noqa: S311 (repeatable)
    left = {
        _names(image_of(survivors(loosened(done), chance, Loss.SOME), {old, new}), old, new)
        for _ in range(50)
    }
    wrong = survivors(loosened([*done, Sync(old)]), chance, Loss.ALL)
    right = survivors(loosened([*done, Sync(new)]), chance, Loss.ALL)

    assert left == {"a", "ab", "b"}
    assert _names(image_of(wrong, {old, new}), old, new) == ""
    assert _names(image_of(right, {old, new}), old, new) == "ab"


def _names(image: Image, *folders: int) -> str:
    return "".join(name for folder in folders for name in image.folders.get(folder, {}))
