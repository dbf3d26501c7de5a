"""The claim in two moves, step by step, on real files: what it leaves where when something is off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daemon.document import Digest, State, folder_of, is_id
from daemon.intake import NotNow, Reason
from daemon.intake.claim import MEGABYTE, Desk, commit, has_room
from daemon.intake.origin import origin_of, remove_unused, stored
from daemon.intake.settle import Look
from daemon.spool import Spool
from tests.intake import (
    BECOME,
    config_of,
    facts,
    make_places,
    mounted,
    now,
    open_folder,
    pdf,
    scanning,
    section_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.config import Config

NAME = b"Bescheid M\xfcller.pdf"
"""As a scanner with an old code page writes it: no UTF-8."""
SCAN = pdf(b"scan")


class Folder:
    """A hot folder with its desk and its spool; nothing runs."""

    def __init__(self, root: Path) -> None:
        self.config: Config = config_of(root, section_of(root))
        make_places(self.config)
        self.hot = Path(self.config.hotfolders[0].path)
        self.desk = Desk(self.config.hotfolders[0], self.config.documents)
        self.spool = Spool(self.config.state_dir, new=True)

    def drop(self, data: bytes = SCAN, name: bytes = NAME) -> Look:
        """Write a file; return how it looks."""
        path = self.path(name)
        path.write_bytes(data)
        return Look.of(path.stat())

    def path(self, name: bytes = NAME) -> Path:
        return self.hot / os.fsdecode(name)

    def private(self) -> list[str]:
        folder = self.hot / ".scanseal"
        return [path.name for path in folder.iterdir()] if folder.exists() else []

    def documents(self) -> list[Path]:
        return [path.parent for path in self.config.documents.rglob("document.json")]

    def folder(self, document_id: str) -> Path:
        return folder_of(self.config.documents, document_id)

    def look(self, document_id: str) -> Look:
        return Look.of(self.desk.private_path(document_id).stat())


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Folder]:
    folder = Folder(tmp_path)
    yield folder
    folder.spool.close()


def refuses(reason: Reason, work: object) -> NotNow:
    """Assert that *work* raises NotNow with *reason*."""
    assert callable(work)
    with pytest.raises(NotNow) as caught:
        work()
    assert caught.value.reason is reason, caught.value
    return caught.value


def test_a_claimed_scan_lies_whole_in_its_folder_and_nowhere_else(here: Folder) -> None:
    """I1: the same inode, the same bytes; its name, size and times are in document.json."""
    look = here.drop()
    at = now()
    claimed = here.desk.take(NAME, look, at, "sure")
    folder = here.folder(claimed.arrival.id)
    original = folder / "original.pdf"

    assert sorted(path.name for path in folder.iterdir()) == ["document.json", "original.pdf"]
    assert original.read_bytes() == SCAN
    assert (original.stat().st_ino, original.stat().st_mode & 0o777) == (look.inode, 0o600)
    assert sorted(here.hot.iterdir()) == [here.hot / ".scanseal", here.hot / "rejected"]
    assert here.private() == []
    assert (here.hot / ".scanseal").stat().st_mode & 0o777 == 0o700
    assert facts(folder) == {
        "version": 1,
        "id": claimed.arrival.id,
        "name_hex": NAME.hex(),
        "hotfolder": "post",
        "profile": "post",
        "size": look.size,
        "mtime_ns": look.mtime_ns,
        "inode": look.inode,
        "claimed_at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "clock": "sure",
    }
    assert claimed.arrival.name == NAME
    assert claimed.arrival.digest == Digest.of(SCAN)
    assert (claimed.flaw, claimed.copied) == (None, False)


@pytest.mark.parametrize(
    ("data", "file", "flaw"),
    [
        (b"", "original.bin", Reason.EMPTY),
        (b"hello", "original.bin", Reason.UNKNOWN),
        (SCAN[:-10], "original.pdf", Reason.INCOMPLETE),
    ],
)
def test_a_file_that_was_given_up_is_claimed_and_refused_in_one_call(
    here: Folder, data: bytes, file: str, flaw: Reason
) -> None:
    """No stage can see it between the two; its bytes are kept like any other's (I2)."""
    claimed = here.desk.take(NAME, here.drop(data), now(), "sure")
    document = commit(here.spool, claimed, now())

    assert claimed.flaw is flaw
    assert (document.state, document.code) == (State.REFUSED, flaw.value)
    assert (here.folder(document.id) / file).read_bytes() == data
    assert here.spool.copies_due("post", 10) == [document]
    assert [json.loads(line)["event"] for line in here.spool.lines(document.id)] == [
        "claim",
        "refuse",
    ]


def test_a_file_that_somebody_took_away_leaves_nothing_behind(here: Folder) -> None:
    """Between the look and the rename: that is fine, and no folder remains of it."""
    look = here.drop()
    here.path().unlink()
    refuses(Reason.GONE, lambda: here.desk.take(NAME, look, now(), "sure"))

    assert here.documents() == []


def test_another_file_under_the_name_opens_the_wait_again(here: Folder) -> None:
    """Replaced between look and rename: the second look sees another inode, and takes nothing."""
    look = here.drop(pdf(b"first"))
    here.drop(pdf(b"second, longer"), b"new")
    here.path(b"new").rename(here.path())
    refuses(Reason.QUIET, lambda: here.desk.take(NAME, look, now(), "sure"))
    (waiting,) = here.private()
    refuses(Reason.QUIET, lambda: here.desk.resume(waiting, None, now(), "sure"))
    bytes_while_waiting = here.desk.private_path(waiting).read_bytes()
    settled_look = here.look(waiting)
    claimed = here.desk.resume(waiting, settled_look, now(), "sure")

    assert bytes_while_waiting == pdf(b"second, longer")
    assert claimed.arrival.id == waiting
    assert claimed.arrival.name == NAME
    assert facts(here.folder(waiting))["inode"] == settled_look.inode
    assert (here.folder(waiting) / "original.pdf").read_bytes() == pdf(b"second, longer")


def test_a_late_writer_opens_the_wait_again(here: Folder) -> None:
    """It had the file open when we renamed it, and goes on writing to what is now private."""
    with scanning() as scanner:
        look = here.drop(b"%PDF-1.7 first page ")
        scanner.open(here.path(), os.O_APPEND)
        refuses(Reason.WRITER, lambda: here.desk.take(NAME, look, now(), "sure"))
        (waiting,) = here.private()
        scanner.write(here.path(), pdf())
        refuses(Reason.QUIET, lambda: here.desk.resume(waiting, None, now(), "sure"))
        refuses(Reason.WRITER, lambda: here.desk.resume(waiting, here.look(waiting), now(), "sure"))
        scanner.close(here.path())
    claimed = here.desk.resume(waiting, here.look(waiting), now(), "sure")

    assert (here.folder(waiting) / "original.pdf").read_bytes() == b"%PDF-1.7 first page " + pdf()
    assert claimed.arrival.name == NAME


def test_the_same_name_is_free_at_once(here: Folder) -> None:
    """The next scan of the same name comes while the first is being claimed: both are kept."""
    first = here.desk.take(NAME, here.drop(pdf(b"1")), now(), "sure")
    second = here.desk.take(NAME, here.drop(pdf(b"2")), now(), "sure")

    assert first.arrival.id != second.arrival.id
    assert [
        (here.folder(one.arrival.id) / "original.pdf").read_bytes() for one in (first, second)
    ] == [pdf(b"1"), pdf(b"2")]


def test_across_mounts_the_private_file_stays_until_the_commit(tmp_path: Path) -> None:
    """EXDEV: a copy that was read back; the scanner's own file goes last of all."""
    with mounted(tmp_path / "hot"):
        here = Folder(tmp_path)
        look = here.drop()
        claimed = here.desk.take(NAME, look, now(), "sure")
        before = here.private()
        document = commit(here.spool, claimed, now())
        here.desk.let_go(claimed)
        after = here.private()
        here.spool.close()

    assert claimed.copied
    assert (before, after) == ([document.id], [])
    folder = here.folder(document.id)
    assert (folder / "original.pdf").read_bytes() == SCAN
    assert sorted(path.name for path in folder.iterdir()) == ["document.json", "original.pdf"]


def test_a_private_file_that_changed_after_its_copy_is_not_removed(tmp_path: Path) -> None:
    """Step 6 removes what was copied; anything else under that name becomes a document too."""
    with mounted(tmp_path / "hot"):
        here = Folder(tmp_path)
        claimed = here.desk.take(NAME, here.drop(), now(), "sure")
        document = commit(here.spool, claimed, now())
        here.desk.private_path(document.id).write_bytes(pdf(b"other"))
        here.desk.let_go(claimed)
        kept = here.private()
        refuses(Reason.QUIET, lambda: here.desk.sort_out(document.id, now()))
        (other,) = here.private()
        origin = origin_of(here.folder(other))
        private = here.desk.private_path(other).read_bytes()
        here.spool.close()

    assert kept == [document.id]
    assert other != document.id
    assert is_id(other)
    assert origin is not None
    assert origin.name == NAME
    assert private == pdf(b"other")
    assert (here.folder(document.id) / "original.pdf").read_bytes() == SCAN


def test_a_private_file_equal_to_its_original_is_removed_at_the_next_look(tmp_path: Path) -> None:
    """A kill between commit and step 6: the bytes are compared, then the name goes."""
    with mounted(tmp_path / "hot"):
        here = Folder(tmp_path)
        claimed = here.desk.take(NAME, here.drop(), now(), "sure")
        document = commit(here.spool, claimed, now())
        here.desk.sort_out(document.id, now())
        left = here.private()
        here.spool.close()

    assert left == []
    assert (here.folder(document.id) / "original.pdf").read_bytes() == SCAN


def test_a_copy_that_a_kill_left_is_used_again(tmp_path: Path) -> None:
    """Across mounts, after the copy and before the commit: one original, not two."""
    with mounted(tmp_path / "hot"):
        here = Folder(tmp_path)
        first = here.desk.take(NAME, here.drop(), now(), "sure")
        inode = (here.folder(first.arrival.id) / "original.pdf").stat().st_ino
        again = here.desk.resume(first.arrival.id, None, now(), "sure")
        here.spool.close()

    assert again == first
    assert (here.folder(first.arrival.id) / "original.pdf").stat().st_ino == inode


def test_a_scan_with_a_second_name_is_copied(here: Folder) -> None:
    """A rename would leave the other name's owner a way to change the original."""
    look = here.drop()
    other = here.hot.parent / "other name"
    other.hardlink_to(here.path())
    claimed = here.desk.take(NAME, look, now(), "sure")
    with other.open("ab") as file:
        file.write(b"changed later")
    original = stored(here.folder(claimed.arrival.id))

    assert claimed.copied
    assert original is not None
    assert original.read_bytes() == SCAN


def test_a_full_disk_leaves_the_scan_where_it_is(tmp_path: Path) -> None:
    """Step 1 finds no room: nothing was moved, and nothing half-written remains."""
    with mounted(tmp_path / "state", "2m") as state:
        here = Folder(tmp_path)
        look = here.drop()
        filler = state / "filler"
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(b"\0" * 4_000_000)
        refuses(Reason.DISK_FULL, lambda: here.desk.take(NAME, look, now(), "sure"))
        left = here.documents(), here.private(), here.path().read_bytes()
        filler.unlink()
        claimed = here.desk.take(NAME, look, now(), "sure")
        here.spool.close()

    assert left == ([], [], SCAN)
    assert claimed.arrival.digest == Digest.of(SCAN)


def test_a_disk_that_fills_during_the_copy_leaves_the_private_file(tmp_path: Path) -> None:
    """Step 4 finds no room: the half copy goes, document.json with the name stays."""
    data = pdf(b"\0" * 1_500_000)
    with mounted(tmp_path / "state", "1m") as state:
        here = Folder(tmp_path)
        look = here.drop(data)
        refuses(Reason.DISK_FULL, lambda: here.desk.take(NAME, look, now(), "sure"))
        (waiting,) = here.private()
        names = [path.name for path in here.folder(waiting).iterdir()]
        kept = here.desk.private_path(waiting).read_bytes()
        subprocess.run(["mount", "-o", "remount,size=8m", state], check=True)
        claimed = here.desk.resume(waiting, None, now(), "sure")
        original = stored(here.folder(waiting))
        stored_bytes = original.read_bytes() if original else b""
        here.spool.close()

    assert names == ["document.json"]
    assert kept == data
    assert stored_bytes == data
    assert claimed.arrival.name == NAME


def test_a_private_folder_of_somebody_else_is_never_used(here: Folder) -> None:
    """Whoever owns it could change a scan after it was claimed."""
    look = here.drop()
    (here.hot / ".scanseal").mkdir()
    os.chown(here.hot / ".scanseal", 65534, 65534)
    trouble = refuses(Reason.PERMISSION, lambda: here.desk.take(NAME, look, now(), "sure"))
    (here.hot / ".scanseal").rmdir()
    (here.hot / ".scanseal").symlink_to(here.hot.parent)
    refuses(Reason.PERMISSION, lambda: here.desk.take(NAME, look, now(), "sure"))

    assert "root (uid 0) may not use; it is drwxr-xr-x of another user" in trouble.detail
    assert here.path().read_bytes() == SCAN
    assert here.documents() == []


def test_a_share_that_may_only_be_read_is_permission_trouble(tmp_path: Path) -> None:
    """A mount that is read-only for us: named as such, and the file stays."""
    with mounted(tmp_path / "hot"):
        here = Folder(tmp_path)
        look = here.drop()
        subprocess.run(["mount", "-o", "remount,ro", here.hot], check=True)
        trouble = refuses(Reason.PERMISSION, lambda: here.desk.take(NAME, look, now(), "sure"))
        kept = here.path().read_bytes()
        here.spool.close()

    assert "root (uid 0) may not use" in trouble.detail
    assert os.fsdecode(NAME) not in trouble.detail
    assert kept == SCAN


def test_a_private_file_without_document_json_gets_an_id_of_ours(here: Folder) -> None:
    """The name is lost, the scan is not: it settles; whoever gave it its id, we did not."""
    claimed = here.desk.take(NAME, here.drop(), now(), "sure")
    own_id = claimed.arrival.id
    original = here.folder(own_id) / "original.pdf"
    original.rename(here.desk.private_path(own_id))
    (here.folder(own_id) / "document.json").unlink()
    refuses(Reason.QUIET, lambda: here.desk.resume(own_id, None, now(), "sure"))
    again = here.desk.resume(own_id, here.look(own_id), now(), "sure")

    assert again.arrival.id != own_id
    assert is_id(again.arrival.id)
    assert again.arrival.name == own_id.encode()
    assert (here.folder(again.arrival.id) / "original.pdf").read_bytes() == SCAN
    assert facts(here.folder(again.arrival.id))["name_hex"] == own_id.encode().hex()
    assert here.private() == []


def test_a_file_may_claim_any_time(tmp_path: Path) -> None:
    """The year 33658: a date has to come out of it that the ledger can write."""
    with mounted(tmp_path / "hot"):
        here = Folder(tmp_path)
        here.drop()
        os.utime(here.path(), (0, 1_000_000_000_000))
        look = Look.of(here.path().stat())
        document = commit(here.spool, here.desk.take(NAME, look, now(), "sure"), now())
        here.spool.close()

    assert look.mtime_ns == 10**21
    assert document.captured_at.year == 9999


def test_free_space_counts_what_is_still_to_be_written() -> None:
    """What is configured, twice the scan, and a tenth more than each original without a seal."""
    free = 100 * MEGABYTE + 2 * 1000 + 5500

    assert has_room(free, 100, 1000, 5000)
    assert not has_room(free - 1, 100, 1000, 5000)
    assert not has_room(free, 100, 1001, 5000)


def test_only_a_claim_that_came_to_nothing_is_removed(here: Folder) -> None:
    """document.json and temporary names go; a folder that holds anything else stays whole."""
    look = here.drop()
    claimed = here.desk.take(NAME, look, now(), "sure")
    kept = remove_unused(here.config.documents, claimed.arrival.id)
    (here.folder(claimed.arrival.id) / "original.pdf").unlink()
    (here.folder(claimed.arrival.id) / ".original.pdf.0123456789abcdef").touch()
    removed = remove_unused(here.config.documents, claimed.arrival.id)

    assert (kept, removed) == (False, True)
    assert not here.folder(claimed.arrival.id).exists()


def test_another_user_without_rights_is_told_who_and_what() -> None:
    """The service as its own user on a share that gives it no right to rename."""
    code = BECOME + (
        "from pathlib import Path; from datetime import UTC, datetime\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from tests.intake import config_of, section_of\n"
        "from daemon.intake import NotNow; from daemon.intake.claim import Desk\n"
        "from daemon.intake.settle import Look\n"
        "become(65534)\n"
        "root = Path(sys.argv[1]); config = config_of(root, section_of(root))\n"
        "desk = Desk(config.hotfolders[0], config.documents)\n"
        "look = Look.of((root / 'hot/Bescheid.pdf').stat())\n"
        "try: desk.take(b'Bescheid.pdf', look, datetime.now(UTC), 'sure')\n"
        "except NotNow as exc: print(exc.reason.value); print(exc.detail)\n"
    )
    with open_folder() as root:
        (root / "hot").mkdir(mode=0o755)
        (root / "hot" / "Bescheid.pdf").write_bytes(SCAN)
        said = subprocess.run(
            [sys.executable, "-c", code, root, Path(__file__).parents[2]],
            capture_output=True,
            text=True,
            check=True,
        )
        kept = (root / "hot" / "Bescheid.pdf").read_bytes()
    reason, detail = said.stdout.splitlines()

    assert reason == "hotfolder-permission"
    assert "nobody (uid 65534) may not use" in detail
    assert "drwxr-xr-x of root (uid 0)" in detail
    assert "Bescheid" not in detail
    assert kept == SCAN
