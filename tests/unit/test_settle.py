"""May this file be taken: the rule as a table, and the look at real files of real processes."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import pwd
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.intake import NotNow, Reason, not_now
from daemon.intake.settle import (
    BLIND_FACTOR,
    Content,
    Look,
    Probe,
    Rule,
    Verdict,
    examine,
    file_system,
    flaw,
    ignore_sigio,
    leases_here,
    open_scan,
    over_network,
    probe,
    settled,
    writer_open,
)
from tests.intake import BECOME, open_folder, pdf, scanning

RULE = Rule(settle_seconds=10.0, give_up_seconds=600.0)
WHOLE = Content("pdf", complete=True)
HALF = Content("pdf", complete=False)
STRANGE = Content("", complete=False)


def verdict(
    quiet: float,
    closed: float | None = None,
    *,
    size: int = 100,
    writer: bool | None = False,
    content: Content = WHOLE,
) -> Verdict:
    closed = quiet if closed is None else closed
    return settled(RULE, size=size, quiet=quiet, closed=closed, probe=Probe(writer, content))


def test_a_quiet_closed_complete_file_is_taken() -> None:
    """All conditions together, at the very moment the quiet time is over."""
    assert verdict(10.0) == Verdict("take")


@pytest.mark.parametrize(
    ("found", "reason", "again"),
    [
        (verdict(9.75), Reason.QUIET, 0.25),
        (verdict(9.75, writer=True), Reason.QUIET, 0.25),
        (verdict(5000.0, writer=True), Reason.WRITER, None),
        (verdict(5000.0, writer=True, size=0), Reason.WRITER, None),
        (verdict(10.0, writer=None), Reason.QUIET, 20.0),
        (verdict(10.0, size=0), Reason.EMPTY, 590.0),
        (verdict(10.0, content=STRANGE), Reason.UNKNOWN, 590.0),
        (verdict(10.0, content=HALF), Reason.INCOMPLETE, 590.0),
        # It was open until 100 seconds ago: the time to give up counts from there.
        (verdict(5000.0, 100.0, content=HALF), Reason.INCOMPLETE, 500.0),
    ],
)
def test_each_missing_condition_makes_it_wait_with_its_reason(
    found: Verdict, reason: Reason, again: float | None
) -> None:
    """The reason is what people are told, the time is when it is worth looking again."""
    assert found == Verdict("wait", reason, again)


@pytest.mark.parametrize(
    ("size", "content", "reason"),
    [(0, STRANGE, Reason.EMPTY), (9, STRANGE, Reason.UNKNOWN), (9, HALF, Reason.INCOMPLETE)],
)
def test_what_stays_empty_unknown_or_incomplete_is_given_up(
    size: int, content: Content, reason: Reason
) -> None:
    """Closed and unchanged for give_up_seconds: claimed, and refused with the reason as code."""
    assert verdict(600.0, size=size, content=content) == Verdict("give-up", reason)


def test_where_nobody_tells_of_writers_the_quiet_time_is_longer() -> None:
    """Three times as long, and then it is taken: never is no answer either."""
    assert verdict(RULE.settle_seconds * BLIND_FACTOR, writer=None) == Verdict("take")


@given(
    quiet=st.floats(0, 2000),
    closed=st.floats(0, 2000),
    size=st.integers(0, 3),
    writer=st.sampled_from([True, False, None]),
    content=st.sampled_from([WHOLE, HALF, STRANGE]),
)
def test_nothing_is_taken_that_somebody_may_still_be_writing(
    *, quiet: float, closed: float, size: int, writer: bool | None, content: Content
) -> None:
    """Whatever the facts are: taken means quiet, closed, not empty, known and complete."""
    found = verdict(quiet, closed, size=size, writer=writer, content=content)

    if found.action != "wait":
        assert quiet >= RULE.settle_seconds
        assert writer is not True
    if found.action == "take":
        assert flaw(size, content) is None
    if found.action == "give-up":
        assert closed >= RULE.give_up_seconds
        assert found.reason is flaw(size, content)


def test_a_process_that_writes_is_seen(tmp_path: Path) -> None:
    """From its open to its close, also while it does nothing for long."""
    file = tmp_path / "scan.pdf"
    file.write_bytes(b"")
    fd = open_scan(file)
    with scanning() as scanner:
        before = writer_open(fd)
        scanner.open(file)
        while_open = writer_open(fd)
        scanner.write(file, b"%PDF-")
        scanner.close(file)
        after = writer_open(fd)
    os.close(fd)

    assert (before, while_open, after) == (False, True, False)


def test_a_writable_mapping_is_a_writer_after_its_file_is_closed(tmp_path: Path) -> None:
    """A mapping writes without any write(2); the descriptor it was made from may be gone."""
    file = tmp_path / "scan.pdf"
    file.write_bytes(b"x" * 4096)
    with file.open("r+b") as out:
        mapping = mmap.mmap(out.fileno(), 4096)
    fd = open_scan(file)
    mapped = writer_open(fd)
    mapping.close()
    unmapped = writer_open(fd)
    os.close(fd)

    assert (mapped, unmapped) == (True, False)


def test_readers_are_no_writers(tmp_path: Path) -> None:
    """Somebody who looks at the scan on the share must not keep it there."""
    file = tmp_path / "scan.pdf"
    file.write_bytes(b"x")
    with file.open("rb"):
        fd = open_scan(file)
        found = writer_open(fd)
        os.close(fd)

    assert found is False


def test_anothers_file_without_the_capability_cannot_be_known(tmp_path: Path) -> None:
    """EACCES says nothing: it is neither a writer nor none."""
    file = tmp_path / "scan.pdf"
    file.write_bytes(b"x")
    fd = os.open(file, os.O_RDONLY)
    code = BECOME + (
        "from daemon.intake.settle import writer_open\n"
        "become(65534)\n"
        "print(writer_open(int(sys.argv[1])))\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, str(fd)],
        pass_fds=[fd],
        capture_output=True,
        text=True,
        check=True,
    )
    os.close(fd)

    assert said.stdout == "None\n"


def test_a_writer_that_comes_during_the_look_does_not_kill_us(tmp_path: Path) -> None:
    """It breaks our lease with SIGIO, whose default is to end the process."""
    file = tmp_path / "scan.pdf"
    file.write_bytes(b"x")
    ignore_sigio()
    fd = open_scan(file)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    with pytest.raises(BlockingIOError):
        os.open(file, os.O_WRONLY | os.O_NONBLOCK)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    with scanning() as scanner:
        scanner.open(file)
        seen = writer_open(fd)
    os.close(fd)

    assert seen is True


def test_a_file_under_anothers_lease_is_still_open_at_once(tmp_path: Path) -> None:
    """Samba with kernel oplocks: a plain open would wait until the lease is given back."""
    file = tmp_path / "scan.pdf"
    file.write_bytes(b"x")
    code = (
        "import fcntl, os, signal, sys\n"
        "signal.signal(signal.SIGIO, signal.SIG_IGN)\n"
        "fd = os.open(sys.argv[1], os.O_RDWR)\n"
        "fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-IS", "-c", code, file],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(NotNow) as caught:
            open_scan(file)
        holder.kill()

    assert caught.value.reason is Reason.WRITER


def test_what_is_no_regular_file_is_never_opened_for_good(tmp_path: Path) -> None:
    """A FIFO would block, a link leads elsewhere."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "scan.pdf").write_bytes(pdf())
    (tmp_path / "link").symlink_to(tmp_path / "scan.pdf")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for name in ("fifo", "folder", "link", "socket"):
            with pytest.raises(NotNow) as caught:
                open_scan(tmp_path / name)

            assert caught.value.reason is Reason.NOT_A_FILE, name
    with pytest.raises(NotNow) as caught:
        open_scan(tmp_path / "missing")

    assert caught.value.reason is Reason.GONE


def test_what_we_may_not_read_is_named_with_users_and_modes() -> None:
    """Permission trouble is never taken for a file that is still being written."""
    code = BECOME + (
        "from pathlib import Path; from daemon.intake import NotNow\n"
        "from daemon.intake.settle import open_scan\n"
        "become(65534)\n"
        "try: open_scan(Path(sys.argv[1]))\n"
        "except NotNow as exc: print(exc.reason.value); print(exc.detail)\n"
    )
    with open_folder() as folder:
        file = folder / "Mahnung_Mustermann.pdf"
        file.write_bytes(b"x")
        file.chmod(0o600)
        said = subprocess.run(
            [sys.executable, "-c", code, file],
            capture_output=True,
            text=True,
            check=True,
        )
    reason, detail = said.stdout.splitlines()

    assert reason == "hotfolder-permission"
    assert "uid 65534" in detail
    assert "-rw------- of root (uid 0)" in detail
    assert "Mustermann" not in detail


@pytest.mark.parametrize(
    ("uid", "gid", "said"),
    [
        (1, 1, "it is -rw------- of another user, a group of others"),
        (65534, 0, "it is -rw------- of another user, a group of ours"),
        (0, 0, "it is -rw------- of root (uid 0), a group of ours"),
    ],
)
def test_whose_a_file_is_is_said_of_nobody_but_us(
    uid: int, gid: int, said: str, tmp_path: Path
) -> None:
    """The owner of a scan is the person who scanned it, and alarms leave the box (I9)."""
    file = tmp_path / "scan.pdf"
    file.write_bytes(b"x")
    file.chmod(0o600)
    os.chown(file, uid, gid)
    detail = not_now(PermissionError(errno.EACCES, "no"), "read", file).detail

    assert detail.startswith(f"root (uid 0) may not read; {said}; its folder is drwx")
    assert detail.endswith("; `ls -l` there shows whose")
    if uid:
        assert pwd.getpwuid(uid).pw_name not in detail
        assert str(uid) not in detail.replace("(uid 0)", "")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", STRANGE),
        (b"GIF89a and so on", STRANGE),
        (pdf(), WHOLE),
        (pdf()[:-20], HALF),
        (pdf() + b"\0" * 2000, HALF),
        # Places beyond any end, which pread(2) itself would not take.
        (b"%PDF-1.4\nstartxref\n9999999999999999999\n%%EOF", HALF),
        (b"II+\0\x08\0\0\0" + b"\xff" * 8, Content("tiff", complete=False)),
        (b"\xff\xd8\xff\xe0 \xff\xd9", Content("jpeg", complete=True)),
    ],
)
def test_content_is_told_by_bytes_at_fixed_places(
    data: bytes, expected: Content, tmp_path: Path
) -> None:
    """No parser runs here, and no offset in a file leads outside of it."""
    file = tmp_path / "scan"
    file.write_bytes(data)
    fd = open_scan(file)
    found = probe(fd, len(data), leases=True)
    os.close(fd)

    assert found == Probe(writer=False, content=expected)


def test_without_leases_nobody_is_asked(tmp_path: Path) -> None:
    """On a network mount the kernel's answer is about this machine only."""
    file = tmp_path / "scan.pdf"
    file.write_bytes(pdf())
    fd = open_scan(file)
    found = probe(fd, file.stat().st_size, leases=False)
    os.close(fd)

    assert found == Probe(writer=None, content=WHOLE)


def test_network_mounts_are_told_from_local_ones(tmp_path: Path) -> None:
    """By what the kernel says about the mount that has the folder's device number."""
    mounts = (
        "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
        "40 22 0:44 / /srv/scans rw - cifs //server/scans rw,vers=3.1.1\n"
    )

    assert file_system(mounts, os.makedev(0, 44)) == "cifs"
    assert file_system(mounts, os.makedev(254, 0)) == "ext4"
    assert file_system(mounts, os.makedev(9, 9)) == ""
    assert leases_here(tmp_path)


@pytest.mark.parametrize(
    ("kind", "network"),
    [("ext4", False), ("tmpfs", False), ("fuseblk", False), ("", False)]
    + [(kind, True) for kind in ("cifs", "smb3", "nfs4", "fuse", "fuse.sshfs", "fuse.anything")],
)
def test_what_may_be_written_elsewhere_is_known_by_its_type(kind: str, *, network: bool) -> None:
    """A FUSE mount may have its files from anywhere; a disk that FUSE reads is one of ours."""
    assert over_network(kind) is network


def test_a_changed_time_of_status_is_a_change(tmp_path: Path) -> None:
    """FTP and SMB clients set the old time again after they wrote: the kernel's own time tells."""
    file = tmp_path / "scan.pdf"
    file.write_bytes(b"one")
    found = file.stat()
    before = Look.of(found)
    file.write_bytes(b"two")
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
    after = Look.of(file.stat())

    assert after.is_still(before.size, before.mtime_ns, before.inode)
    assert after != before


def test_an_unreadable_place_is_said_and_not_raised(tmp_path: Path) -> None:
    """One bad sector stops one file: what read(2) raises ends in a reason."""
    fd = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(NotNow) as caught:
        examine(fd, 100)
    os.close(fd)

    assert caught.value.reason is Reason.UNREADABLE
    assert caught.value.detail == "read: EISDIR"
