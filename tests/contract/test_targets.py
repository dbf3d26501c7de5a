"""A folder as a target: what every target promises, and what only a folder can get wrong."""

from __future__ import annotations

import asyncio
import os
import re
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daemon import durable
from daemon.document import Digest, Role
from daemon.errors import PermanentError, TargetDisagrees, TargetUnreachable, TransientError
from daemon.targets import OWN_COPY_DAMAGED, Sending, split
from daemon.targets.folder import FolderTarget
from daemon.targets.pace import Pace
from tests.contract.targets import TargetContract, facts, put, sending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from daemon.targets import Target

PROJECT = Path(__file__).resolve().parents[2]


class TestFolder(TargetContract):
    """A folder, in both roles."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        root = tmp_path / "target"
        root.mkdir()
        return root

    @pytest.fixture(params=list(Role))
    def target(self, request: pytest.FixtureRequest, root: Path) -> Target:
        return FolderTarget("there", request.param, root)

    def held(self, target: Target, key: str) -> bytes | None:
        path = stored(target, key)
        return path.read_bytes() if path.exists() else None

    def remove(self, target: Target, key: str) -> None:
        stored(target, key).unlink()

    def replace(self, target: Target, key: str, data: bytes) -> None:
        path = stored(target, key)
        path.chmod(0o600)
        path.write_bytes(data)


class TestFolderWithoutLinks(TestFolder):
    """A disk without hard links and modes: the name is given by a rename that replaces nothing."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Iterator[Path]:
        backing, root = tmp_path / "backing", tmp_path / "root"
        for folder in (backing, root):
            folder.mkdir()
        disk = subprocess.Popen(
            [sys.executable, "-m", "tests.contract.likefat", backing, root],
            cwd=PROJECT,
            # Its predecessor knows no flags of a rename, and the kernel refuses them.
            env={**os.environ, "FUSE_LIBRARY_PATH": "libfuse3.so.3"},
        )
        try:
            asyncio.run(until(root.is_mount))
            yield root
        finally:
            subprocess.run(["umount", "-l", root], check=True)
            disk.wait(20)

    def replace(self, target: Target, key: str, data: bytes) -> None:
        (stored(target, "../backing") / key).write_bytes(data)


def stored(target: Target, key: str) -> Path:
    """Return where a folder has *key*."""
    assert isinstance(target, FolderTarget)
    return target._root / key


# -- only a folder ----------------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make an empty folder that documents are delivered to."""
    root = tmp_path / "archive"
    root.mkdir()
    return root


@pytest.fixture
def archive(root: Path) -> FolderTarget:
    """Return a target on it."""
    return FolderTarget("archive", Role.ARCHIVE, root)


def everything(root: Path) -> set[str]:
    """Return all names below *root*, with those that begin with a dot."""
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def test_what_is_stored_is_read_only_and_nothing_else_lies_beside_it(
    archive: FolderTarget, root: Path, key: str, sealed: Path
) -> None:
    """0440 under our umask of 0077 too: the group of the DMS has to be able to read it."""
    before = os.umask(0o077)
    try:
        put(archive, key, sealed)
    finally:
        os.umask(before)

    assert stat.S_IMODE((root / key).stat().st_mode) == 0o440
    assert stat.S_IMODE((root / key).parent.stat().st_mode) == 0o750
    assert (root / key).stat().st_nlink == 1
    assert everything(root) == {split(key)[0], key}


def test_a_group_that_the_folder_hands_down_stays(
    archive: FolderTarget, root: Path, key: str, sealed: Path
) -> None:
    """Setgid is how a share gives its files to the group of the DMS: our chmod must keep it."""
    root.chmod(0o2770)
    before = os.umask(0o077)
    try:
        put(archive, key, sealed)
    finally:
        os.umask(before)

    assert stat.S_IMODE((root / key).parent.stat().st_mode) == 0o2750


def test_a_root_that_is_missing_is_unreachable_and_is_not_made(
    archive: FolderTarget, root: Path, key: str, sealed: Path
) -> None:
    """A share that is not mounted must not be filled on the disk below."""
    root.rmdir()

    with pytest.raises(TargetUnreachable):
        put(archive, key, sealed)
    with pytest.raises(TargetUnreachable):
        asyncio.run(archive.find(sending(key, sealed)))
    assert not root.exists()


def test_a_root_that_is_no_folder_is_unreachable(
    archive: FolderTarget, root: Path, key: str, sealed: Path
) -> None:
    """Somebody's file has that name."""
    root.rmdir()
    root.touch()

    with pytest.raises(TargetUnreachable):
        put(archive, key, sealed)


def test_damage_on_our_side_leaves_nothing_at_all(
    archive: FolderTarget, root: Path, key: str, sealed: Path
) -> None:
    """Not even an empty folder, which people would look into."""
    with pytest.raises(PermanentError):
        asyncio.run(archive.put(Sending(key, sealed, Digest.of(b"another"), sealed.stat().st_size)))

    assert everything(root) == set()


def test_what_a_crash_left_of_a_part_is_cleared_away(
    archive: FolderTarget, root: Path, key: str, sealed: Path
) -> None:
    """Whoever is in doubt asks for that part first; nothing else is touched."""
    folder = root / split(key)[0]
    folder.mkdir()
    leftovers = [folder / f".sealed.pdf.{random}.part" for random in ("0123456789abcdef", "f" * 16)]
    others = [folder / ".sealed.pdf.swp", folder / f".note.xml.{'0' * 16}.part", folder / "x.part"]
    for path in (*leftovers, *others):
        path.write_bytes(b"%PDF")

    assert asyncio.run(archive.find(sending(key, sealed))) is None
    assert not any(path.exists() for path in leftovers)
    assert all(path.exists() for path in others)


def test_what_is_no_regular_file_under_our_key_is_a_disagreement(
    archive: FolderTarget, root: Path, key: str, sealed: Path, tmp_path: Path
) -> None:
    """Also a link to a file that has the right bytes: it can be changed from elsewhere."""
    place = root / key
    place.parent.mkdir()
    for make in (Path.mkdir, os.mkfifo, lambda path: path.symlink_to(sealed)):
        make(place)
        with pytest.raises(TargetDisagrees):
            asyncio.run(archive.find(sending(key, sealed)))
        with pytest.raises(TargetDisagrees):
            put(archive, key, sealed)
        place.rename(tmp_path / f"away{os.urandom(4).hex()}")


def test_a_document_folder_that_leads_elsewhere_is_a_disagreement(
    archive: FolderTarget, root: Path, key: str, sealed: Path, tmp_path: Path
) -> None:
    """Nothing is written through a link that somebody put there."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (root / split(key)[0]).symlink_to(elsewhere)

    with pytest.raises(TargetDisagrees):
        put(archive, key, sealed)
    with pytest.raises(TargetDisagrees):
        asyncio.run(archive.find(sending(key, sealed)))
    assert everything(elsewhere) == set()


def test_a_folder_of_ours_instead_of_a_file_is_damage_on_our_side(
    archive: FolderTarget, root: Path, key: str, sealed: Path
) -> None:
    """Nothing is opened there that could block us or lead elsewhere."""
    before = facts(sealed)
    sealed.unlink()
    os.mkfifo(sealed)

    with pytest.raises(PermanentError) as caught:
        asyncio.run(archive.put(Sending(key, sealed, *before)))
    assert caught.value.code == OWN_COPY_DAMAGED
    assert everything(root) == set()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 1 MiB. The tests run as root."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_full_disk_is_tried_again_later_and_leaves_no_half_file(
    small_disk: Path, key: str, sealed: Path
) -> None:
    """Somebody will make room; until then nothing that looks like a document lies there."""
    target = FolderTarget("archive", Role.ARCHIVE, small_disk)

    with pytest.raises(TransientError) as caught:
        put(target, key, sealed)
    assert caught.value.code == "target-full"
    assert everything(small_disk) == set()

    subprocess.run(["mount", "-o", "remount,size=4m", small_disk], check=True)
    put(target, key, sealed)
    assert (small_disk / key).read_bytes() == sealed.read_bytes()


def test_a_disk_mounted_read_only_is_not_writable_and_still_readable(
    small_disk: Path, key: str, tmp_path: Path
) -> None:
    """What is there already is found; the rest waits, and the error says whose the folder is."""
    note = tmp_path / "note.xml"
    note.write_bytes(b"<note/>")
    target = FolderTarget("archive", Role.ARCHIVE, small_disk)
    put(target, key, note)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)

    with pytest.raises(TransientError) as caught:
        put(target, f"{split(key)[0]}/note.xml", note)
    assert caught.value.code == "target-not-writable"
    assert f"we are user {os.geteuid()}; it belongs to 0:0, mode 1777" in str(caught.value)
    assert asyncio.run(target.find(sending(key, note))) is not None


# -- a disk that lies: strace makes system calls fail, or says that they were done -----------

CALL = """
import asyncio, os, sys
from pathlib import Path
from daemon.document import Digest, Role
from daemon.errors import DaemonError
from daemon.targets import Sending
from daemon.targets.folder import FolderTarget
from daemon.targets.pace import Pace
what, root, key, file = sys.argv[1:]
data = Path(file).read_bytes()
target = FolderTarget("archive", Role.ARCHIVE, Path(root), immutable=what == "immutable")
try:
    if what in ("put", "immutable"):
        receipt = asyncio.run(target.put(Sending(key, Path(file), Digest.of(data), len(data))))
    elif what == "all":
        keys = [f"{key}.{number}" for number in (1, 2, 3)]
        parts = [Sending(one, Path(file), Digest.of(data), len(data)) for one in keys]
        receipt = asyncio.run(target.put_all(parts))[0]
    else:
        receipt = asyncio.run(target.find(Sending(key, Path(file), Digest.of(data), len(data))))
except DaemonError as exc:
    answer = f"{type(exc).__name__} {exc.code}"
else:
    answer = f"receipt {receipt.digest}"
os.writev(1, [answer.encode()])  # not write(2), which may be made to fail
"""


def traced(strace: Sequence[str], what: str, root: Path, key: str, file: Path) -> tuple[str, str]:
    """Put or find in a process of its own; return what it said, and what strace wrote."""
    log = root.parent / "strace.log"
    call = (sys.executable, "-c", CALL, what, root, key, file)
    done = subprocess.run(
        ["strace", "-f", "-qq", "-o", log, *strace, *call],
        check=True,
        capture_output=True,
        text=True,
        cwd=PROJECT,
        umask=0o077,
    )
    return done.stdout, log.read_text()


def put_while(injected: str, root: Path, key: str, file: Path, what: str = "put") -> str:
    """Put *file* while *injected* happens to the system calls; return what it said."""
    calls = injected.partition(":")[0]
    strace = ("-e", f"trace={calls}", "-e", f"inject={injected}")
    answer, log = traced(strace, what, root, key, file)
    assert "(INJECTED)" in log
    return answer


def calls_of(what: str, root: Path, key: str, file: Path, injected: str = "") -> list[str]:
    """Put or find, and return the system calls that matter, in order."""
    calls = "mkdirat,fchmod,fsync,fadvise64,linkat,renameat2,unlinkat"
    inject = ("-e", f"inject={injected}") if injected else ()
    _, log = traced(("-e", f"trace={calls}", *inject), what, root, key, file)
    return re.findall(r"^\d+ +(\w+)\(.* = 0$", log, re.MULTILINE)


@pytest.mark.parametrize(
    ("injected", "answer"),
    [
        # The disk says that the first piece was written, and it was not.
        ("write:retval=1048576:when=1", "TransientError target-miswrote"),
        ("fsync:error=EIO:when=1", "TargetUnreachable target-unreachable"),
        ("fsync:error=EIO:when=2", "TargetUnreachable target-unreachable"),
        ("fsync:error=EDQUOT:when=2", "TransientError target-full"),
        ("write:error=ESTALE:when=1", "TargetUnreachable target-unreachable"),
        ("mkdirat:error=EACCES", "TransientError target-not-writable"),
        ("linkat:error=EIO", "TargetUnreachable target-unreachable"),
    ],
)
def test_a_disk_that_fails_gets_another_try_and_keeps_nothing(
    root: Path, key: str, sealed: Path, injected: str, answer: str
) -> None:
    """No receipt for what the disk does not have, and no name without all its bytes."""
    assert put_while(injected, root, key, sealed) == answer
    assert everything(root) == set()


@pytest.mark.parametrize("error", ["EPERM", "EOPNOTSUPP", "ENOSYS", "EMLINK"])
def test_where_links_are_missing_a_rename_that_replaces_nothing_takes_their_place(
    root: Path, archive: FolderTarget, key: str, sealed: Path, error: str
) -> None:
    """So such shares work: the bytes come first, one name, and it never takes another's place."""
    calls = calls_of("put", root, key, sealed, f"linkat:error={error}")

    assert [one for one in calls if one != "fchmod"] == [
        *("mkdirat", "fsync", "fsync", "fadvise64"),
        *("renameat2", "fsync"),
    ]
    assert everything(root) == {split(key)[0], key}
    assert asyncio.run(archive.find(sending(key, sealed))) is not None
    (root / key).write_bytes(b"another")
    assert (
        put_while(f"linkat:error={error}", root, key, sealed) == "TargetDisagrees target-disagrees"
    )
    assert (root / key).read_bytes() == b"another"
    assert everything(root) == {split(key)[0], key}


def test_where_neither_can_be_had_nothing_is_stored(tmp_path: Path, key: str, sealed: Path) -> None:
    """Here bindfs knows no such rename: an overwriting one is never used instead."""
    backing, root = tmp_path / "backing", tmp_path / "root"
    for folder in (backing, root):
        folder.mkdir()
    subprocess.run(["bindfs", backing, root], check=True)
    try:
        answer = put_while("linkat:error=EPERM", root, key, sealed)
        assert everything(root) == set()
    finally:
        subprocess.run(["umount", root], check=True)
    assert answer == "TransientError target-without-links"


def test_our_files_may_lie_on_another_disk_than_the_target(
    small_disk: Path, key: str, tmp_path: Path
) -> None:
    """No link and no rename leads from one mount to another: it is copied."""
    note = tmp_path / "note.xml"
    note.write_bytes(b"<note/>")
    assert small_disk.stat().st_dev != note.stat().st_dev
    put(FolderTarget("archive", Role.ARCHIVE, small_disk), key, note)

    assert (small_disk / key).read_bytes() == b"<note/>"
    assert note.stat().st_nlink == (small_disk / key).stat().st_nlink == 1


# -- immutable files ---------------------------------------------------------------------


@pytest.fixture
def locking(root: Path) -> Iterator[FolderTarget]:
    """Return a target whose files nobody may change; afterwards pytest may remove them."""
    yield FolderTarget("archive", Role.ARCHIVE, root, immutable=True)
    subprocess.run(["chattr", "-R", "-i", root], check=True)


def immutable(path: Path) -> bool:
    """Return whether it is, as lsattr says."""
    said = subprocess.run(["lsattr", path], check=True, capture_output=True, text=True)
    return "i" in said.stdout.split()[0]


def test_a_stored_file_is_immutable_and_the_receipt_says_so(
    locking: FolderTarget, root: Path, key: str, sealed: Path
) -> None:
    """Not even root changes or removes it by mistake; read back, not assumed."""
    part = sending(key, sealed)
    receipt = asyncio.run(locking.put(part))

    assert receipt.detail == {"immutable": "yes"}
    assert immutable(root / key)
    with pytest.raises(PermissionError):
        (root / key).unlink()
    with pytest.raises(PermissionError):
        (root / key).open("ab")
    for again in (locking.put(part), locking.find(part), locking.prove(receipt, part)):
        said = asyncio.run(again)
        assert said is not None
        assert replace(said, proved_at=receipt.proved_at) == receipt
    assert everything(root) == {split(key)[0], key}


def test_a_test_document_is_taken_away_again_though_it_is_immutable(
    locking: FolderTarget, root: Path, key: str, sealed: Path
) -> None:
    """What `scanseal selftest` has put there is no document."""
    part = sending(key, sealed)
    asyncio.run(locking.remove(asyncio.run(locking.put(part)), part))

    assert everything(root) == set()


def test_without_it_the_receipt_says_nothing_of_it(
    archive: FolderTarget, root: Path, key: str, sealed: Path
) -> None:
    """What was not asked for is not promised."""
    assert asyncio.run(archive.put(sending(key, sealed))).detail == {}
    assert not immutable(root / key)


def test_a_file_that_a_crash_left_without_the_flag_gets_it_when_it_is_found(
    archive: FolderTarget, locking: FolderTarget, root: Path, key: str, sealed: Path
) -> None:
    """It died between the name and the flag: whoever is in doubt asks, and finishes it."""
    put(archive, key, sealed)
    found = asyncio.run(locking.find(sending(key, sealed)))

    assert found is not None
    assert found.detail == {"immutable": "yes"}
    assert immutable(root / key)


def test_a_flag_that_somebody_took_away_is_no_proof_and_is_not_given_back_unseen(
    locking: FolderTarget, root: Path, key: str, sealed: Path
) -> None:
    """The question changes nothing, and its answer is not as good as the receipt."""
    part = sending(key, sealed)
    receipt = asyncio.run(locking.put(part))
    subprocess.run(["chattr", "-i", root / key], check=True)

    with pytest.raises(TransientError) as caught:
        asyncio.run(locking.prove(receipt, part))
    assert caught.value.code == "target-not-immutable"
    assert not immutable(root / key)


def test_other_bytes_are_not_made_immutable(
    locking: FolderTarget, root: Path, key: str, sealed: Path
) -> None:
    """Somebody has to be able to clear them away."""
    (root / key).parent.mkdir()
    (root / key).write_bytes(b"another")

    with pytest.raises(TargetDisagrees):
        put(locking, key, sealed)
    assert not immutable(root / key)


def test_a_file_system_without_the_flag_gets_nothing(root: Path, key: str, sealed: Path) -> None:
    """It was wanted and cannot be had (here: ramfs): said before the first document is stored."""
    target = FolderTarget("archive", Role.ARCHIVE, root, immutable=True)
    subprocess.run(["mount", "-t", "ramfs", "ramfs", root], check=True)
    try:
        with pytest.raises(TransientError) as caught:
            put(target, key, sealed)
        assert everything(root) == set()
        put(FolderTarget("archive", Role.ARCHIVE, root), key, sealed)
        with pytest.raises(TransientError) as found:
            asyncio.run(target.find(sending(key, sealed)))
    finally:
        subprocess.run(["umount", root], check=True)
    assert caught.value.code == found.value.code == "target-not-immutable"
    assert "Inappropriate ioctl" in str(caught.value)


def test_without_the_right_to_set_it_nothing_is_stored(root: Path, key: str, sealed: Path) -> None:
    """A service without CAP_LINUX_IMMUTABLE: it is said, and it is not delivered without."""
    call = (sys.executable, "-c", CALL, "immutable", root, key, sealed)
    done = subprocess.run(
        ["setpriv", "--bounding-set=-linux_immutable", *call],
        check=True,
        capture_output=True,
        text=True,
        cwd=PROJECT,
    )

    assert done.stdout == "TransientError target-not-immutable"
    assert everything(root) == set()


@pytest.mark.parametrize(
    ("call", "names"),
    [
        ("fsync:when=3", 1),  # the flag is on the file that it is tried on
        ("linkat:when=1", 1),
        ("unlinkat:when=1", 2),  # it has its name, and no flag yet
        ("fsync:when=4", 1),
    ],
)
def test_a_crash_around_the_flag_leaves_what_the_next_run_can_finish(
    locking: FolderTarget, root: Path, key: str, sealed: Path, call: str, names: int
) -> None:
    """Also while it is tried on a file without a name, which nobody could remove then."""
    name, _, when = call.partition(":")
    strace = ("-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:{when}")
    with pytest.raises(subprocess.CalledProcessError):
        traced(strace, "immutable", root, key, sealed)
    assert len(everything(root) - {split(key)[0]}) == names

    asyncio.run(locking.find(sending(key, sealed)))
    put(locking, key, sealed)
    assert everything(root) == {split(key)[0], key}
    assert immutable(root / key)


def test_a_name_that_may_not_be_durable_is_not_vouched_for(
    root: Path, archive: FolderTarget, key: str, sealed: Path
) -> None:
    """The file is there, but its folder could not be fsynced: the next try says so, not this one."""
    answer = put_while("fsync:error=EIO:when=3", root, key, sealed)

    assert answer == "TargetUnreachable target-unreachable"
    assert everything(root) == {split(key)[0], key}
    assert asyncio.run(archive.find(sending(key, sealed))) is not None


def test_each_step_is_durable_before_the_next(root: Path, key: str, sealed: Path) -> None:
    """Folder before file, bytes before name; read from the disk and not from the page cache."""
    assert calls_of("put", root, key, sealed) == [
        *("mkdirat", "fchmod", "fsync"),  # the document's folder, and the root that names it
        *("fchmod", "fsync", "fadvise64"),  # the file, then read back
        *("linkat", "unlinkat", "fsync"),  # its name
    ]


def test_several_parts_are_durable_before_the_last_has_its_name(
    root: Path, key: str, sealed: Path
) -> None:
    """Whoever sees the manifest over there knows that the rest is there, after a power cut too."""
    one = ["fchmod", "fsync", "fadvise64", "linkat", "unlinkat"]

    assert calls_of("all", root, key, sealed) == [
        *("mkdirat", "fchmod", "fsync"),
        *(*one, *one, "fsync"),
        *(*one, "fsync"),
    ]


def test_what_is_found_is_made_durable_before_it_is_vouched_for(
    root: Path, archive: FolderTarget, key: str, sealed: Path
) -> None:
    """It may lie there since a moment before a crash, by a name that only memory has."""
    put(archive, key, sealed)

    assert calls_of("find", root, key, sealed) == ["fsync", "fsync", "fadvise64"]
    for number in (1, 2):
        answer = put_while(f"fsync:error=EIO:when={number}", root, key, sealed, "find")
        assert answer == "TargetUnreachable target-unreachable"


def test_a_put_that_nobody_waits_for_any_more_stops_and_keeps_nothing(
    archive: FolderTarget, root: Path, key: str, tmp_path: Path
) -> None:
    """The service can be stopped while a large file goes to a slow share."""
    large = tmp_path / "large.pdf"
    with large.open("wb") as file:
        file.truncate(1 << 28)
    digest, size = durable.digest_of(large)
    folder = root / split(key)[0]

    async def cancelled() -> None:
        task = asyncio.create_task(archive.put(Sending(key, large, digest, size)))
        await until(lambda: folder.is_dir() and any(folder.iterdir()))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not folder.exists())

    asyncio.run(cancelled())

    assert everything(root) == set()


async def until(happened: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until *happened*, or fail."""
    async with asyncio.timeout(seconds):
        while not happened():
            await asyncio.sleep(0.001)


def test_running_out_of_descriptors_is_not_the_targets_fault(
    root: Path, key: str, sealed: Path
) -> None:
    """A leak of ours ends the process, which cures it; no target is blamed."""
    with pytest.raises(subprocess.CalledProcessError) as caught:
        put_while("mkdirat:error=EMFILE", root, key, sealed)
    assert "OSError: [Errno 24]" in caught.value.stderr


def test_what_is_copied_keeps_to_its_rate(root: Path, key: str, sealed: Path) -> None:
    """A share over a thin line: bytes leave when they may."""
    target = FolderTarget("archive", Role.ARCHIVE, root, pace=Pace(1_000_000))
    begun = time.monotonic()

    put(target, key, sealed)
    put(target, f"{split(key)[0]}/other.pdf", sealed)

    # Twice a little more than 1 MB; what was saved while nothing was sent is for one second.
    assert time.monotonic() - begun >= 0.75
