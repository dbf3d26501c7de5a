"""Files that are wholly there or not there. What survives a power cut is tried in tests/crash."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daemon import durable
from daemon.document import CHUNK, Digest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def open_mask() -> Iterator[None]:
    """Let modes be as asked for: the service's own umask hides what a mode argument does."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_mask")
def test_a_written_file_is_there_whole_and_private(tmp_path: Path) -> None:
    """0600 from the first moment: it never was readable for others, not even empty."""
    path = tmp_path / "document.json"

    durable.write(path, b"one")
    durable.write(path, b"two")
    durable.write(tmp_path / "shown", b"", 0o440)

    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "shown").stat().st_mode) == 0o440
    assert sorted(p.name for p in tmp_path.iterdir()) == ["document.json", "shown"]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    """The name is taken by a folder: the rename fails, and nothing of ours is left over."""
    path = tmp_path / "name"
    (path / "inside").mkdir(parents=True)

    with pytest.raises(OSError, match="directory"):
        durable.write(path, b"data")

    assert [p.name for p in tmp_path.iterdir()] == ["name"]
    assert (path / "inside").is_dir()


def test_a_link_is_replaced_and_never_written_through(tmp_path: Path) -> None:
    """Whoever can put a link there must not choose what we write to."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "note.xml").symlink_to(victim)

    durable.write(tmp_path / "note.xml", b"<note/>")

    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "note.xml").is_symlink()


@pytest.mark.usefixtures("open_mask")
def test_folders_are_made_down_to_the_last_and_private(tmp_path: Path) -> None:
    """documents/2026/11/22/<id>, each 0700; a second time is no error."""
    below = tmp_path / "documents"
    below.mkdir(mode=0o755)
    folder = below / "2026" / "11" / "22" / "id"

    durable.make_folders(folder, below)
    durable.make_folders(folder, below)

    assert folder.is_dir()
    for made in (folder, *folder.parents[:3]):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert stat.S_IMODE(below.stat().st_mode) == 0o755


def test_a_folder_that_a_kill_left_is_made_durable_the_first_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the page cache only, perhaps. Afterwards a document costs one fsync, its own."""
    day = tmp_path / "2026" / "11"
    day.mkdir(parents=True)
    synced: list[Path] = []
    monkeypatch.setattr(durable, "sync_folder", synced.append)

    durable.make_folders(day / "one", tmp_path)
    durable.make_folders(day / "two", tmp_path)

    assert synced == [tmp_path, tmp_path / "2026", day, day]


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_a_digest_is_of_every_byte(tmp_path: Path, size: int) -> None:
    """Also of the last piece, and of a file that is exactly as long as some pieces."""
    data = os.urandom(size)
    path = tmp_path / "file"
    path.write_bytes(data)

    assert durable.digest_of(path) == (Digest.of(data), size)
    assert durable.copy(path, tmp_path / "copy") == (Digest.of(data), size)
    assert (tmp_path / "copy").read_bytes() == data


def test_links_and_pipes_are_not_opened(tmp_path: Path) -> None:
    """A link leads somewhere else; a pipe without a writer would stop us for ever."""
    target = tmp_path / "target"
    target.write_bytes(b"x")
    (tmp_path / "link").symlink_to(target)
    os.mkfifo(tmp_path / "pipe")
    before = set(Path("/proc/self/fd").iterdir())

    for name in ("link", "pipe", ".", "missing"):
        with pytest.raises(OSError):  # noqa: PT011 (each another errno)
            durable.opened(tmp_path / name)

    assert set(Path("/proc/self/fd").iterdir()) == before  # nothing is left open


def test_a_copy_never_overwrites(tmp_path: Path) -> None:
    """O_EXCL: what lies under that name is somebody's."""
    (tmp_path / "a").write_bytes(b"new")
    (tmp_path / "b").write_bytes(b"old")

    with pytest.raises(FileExistsError):
        durable.copy(tmp_path / "a", tmp_path / "b")

    assert (tmp_path / "b").read_bytes() == b"old"


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Half a file under a final name would be taken for the whole, and would block the next try."""
    with pytest.raises(FileNotFoundError):
        durable.copy(tmp_path / "missing", tmp_path / "copy")

    assert list(tmp_path.iterdir()) == []


def test_a_worker_gets_a_link_where_one_can_be_made(tmp_path: Path) -> None:
    """Microseconds and no room; across file systems a copy."""
    source = tmp_path / "original.pdf"
    source.write_bytes(b"scan")

    durable.link_or_copy(source, tmp_path / "link")

    assert (tmp_path / "link").samefile(source)


def test_a_worker_gets_a_copy_where_no_link_can_be_made(tmp_path: Path) -> None:
    """A tmpfs that every Linux has is another mount than the temporary folder of the tests."""
    source = tmp_path / "original.pdf"
    source.write_bytes(b"scan")
    target = Path("/dev/shm") / f"scanseal-test-{os.getpid()}"  # noqa: S108 (another mount)
    try:
        durable.link_or_copy(source, target)
        assert target.read_bytes() == b"scan"
        assert target.stat().st_nlink == 1
        with pytest.raises(FileExistsError):
            durable.link_or_copy(source, target)
    finally:
        target.unlink()


def test_free_bytes_are_those_that_we_may_use(tmp_path: Path) -> None:
    """As statvfs counts for who is not root."""
    facts = os.statvfs(tmp_path)

    found = durable.free_bytes(tmp_path)

    assert found % facts.f_frsize == 0
    assert 0 < found <= facts.f_blocks * facts.f_frsize


def test_forgetting_pages_changes_nothing(tmp_path: Path) -> None:
    """What is read next comes from the disk, and is the same."""
    path = tmp_path / "file"
    durable.write(path, b"x" * 10000)

    durable.sync_file(path)
    durable.forget_pages(path)

    assert path.read_bytes() == b"x" * 10000
