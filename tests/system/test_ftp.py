"""vsftpd with the vsftpd.conf of contrib/: what is hidden, what stays as it is, what breaks off."""

from __future__ import annotations

import ftplib
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from daemon.document import State
from tests.intake import open_folder, pdf
from tests.system.ftp import FtpClient, Vsftpd
from tests.system.habits import PAGE, revision
from tests.system.share import SCANNER, SCANS, SERVICE, Intake, Share, files, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.system.box import Box


@pytest.fixture(scope="module")
def share() -> Iterator[Share]:
    with open_folder() as root:
        yield Share(root)


@pytest.fixture(scope="module")
def client(share: Share) -> Iterator[FtpClient]:
    server = Vsftpd(share)
    found = FtpClient(server.port)
    yield found
    found.end()
    server.end()


@pytest.fixture(scope="module")
def intake(share: Share) -> Iterator[Intake]:
    """Watch a hot folder for each of the tests."""
    for name in ("whose", "hidden", "text", "late"):
        share.hot(name)
    running = Intake(share, "whose", "hidden", "text", "late", give_up_seconds=1.5)
    yield running
    running.end()


def test_scans_are_the_groups_and_nobody_elses(client: FtpClient, intake: Intake) -> None:
    """The scanner owns what it wrote, the group may take it, and it is seen to be open."""
    upload = client.open("whose", "a.pdf")
    upload.write(pdf())
    wait_for(lambda: bool(files(intake.share.folder / "whose")), "it arrives")
    found = (intake.share.folder / "whose" / "a.pdf").stat()
    upload.close()

    assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (SCANNER, SCANS, 0o660)
    assert intake.claimed("whose") == [pdf()]
    assert intake.facts()["whose"]["writer_known"] is True


def test_the_services_own_folder_is_not_there_for_scanners(
    client: FtpClient, intake: Intake
) -> None:
    """They neither see it, nor get into it, nor can they take it away; `rejected` they see."""
    client.put("hidden", "a.pdf", pdf())
    intake.claimed("hidden")
    private = intake.share.folder / "hidden" / ".scanseal"

    assert private.stat().st_uid == SERVICE
    assert sorted(client.names("hidden")) == [".", "..", "rejected"]
    with pytest.raises(ftplib.error_perm):
        client.put("hidden", ".scanseal/b.pdf", pdf())
    with pytest.raises(ftplib.error_perm):
        client.rename("hidden", ".scanseal", "mine")
    assert private.is_dir()


def test_a_scanner_that_sends_text_sends_its_bytes(client: FtpClient, intake: Intake) -> None:
    """Some never leave ASCII mode, which would change every line end of a scan."""
    scan = pdf(b"\r\n and \n alone")
    client.put_as_text("text", "a.pdf", scan)

    assert intake.claimed("text") == [scan]


def test_what_comes_after_it_was_given_up_is_not_taken_for_a_scan(
    client: FtpClient, intake: Intake
) -> None:
    """The first half was refused; of the second the server makes a file with a hole in front.

    Both are kept and both come back to the scanner's people, who scan once more.
    """
    scan = revision(b"", 2 * PAGE)
    upload = client.open("late", "a.pdf")
    upload.write(scan[:PAGE])
    wait_for(lambda: _size(intake.share.folder / "late" / "a.pdf") == PAGE, "the first half")
    upload.break_off()
    wait_for(lambda: _refused(intake, "late") == 1, "it is given up")
    client.append("late", "a.pdf", PAGE, scan[PAGE:])
    wait_for(lambda: _refused(intake, "late") == 2, "the rest is given up")
    first, second = intake.documents("late")

    assert (first.state, first.code) == (State.REFUSED, "file-incomplete")
    assert intake.original(first) == scan[:PAGE]
    assert (second.state, second.code) == (State.REFUSED, "format-unknown")
    assert intake.original(second) == bytes(PAGE) + scan[PAGE:]


def test_the_whole_box_behind_a_server(
    make_box: Callable[..., Box], drawn: dict[str, Path]
) -> None:
    """The real service: one name again and again while it works, and one slow upload."""
    box = make_box()
    with open_folder() as root:
        share = Share(root)
        hot = box.root / "hot"
        for folder in (hot, hot / "rejected"):
            os.chown(folder, 0, SCANS)
            folder.chmod(0o2770)
        bound = share.folder / "post"
        bound.mkdir()
        subprocess.run(["mount", "--bind", hot, bound], check=True)
        server = Vsftpd(share)
        box.start()
        one, other = FtpClient(server.port), FtpClient(server.port)
        brief, foto = drawn["brief.pdf"].read_bytes(), drawn["foto.jpg"].read_bytes()
        half = len(brief) // 2
        try:
            slow = one.open("post", "slow.pdf")
            slow.write(brief[:half])
            for scan in (foto, brief, foto):
                wait_for(lambda: not (hot / "SCAN0001").exists(), "the one before is taken")
                other.put("post", "SCAN0001", scan)
            slow.write(brief[half:])
            slow.close()
            box.wait(box.at_rest(4), "all four are at rest")
        finally:
            one.end()
            other.end()
            server.end()
            subprocess.run(["umount", "-l", bound], check=True)
    originals = [next(box.folder(one).glob("original.*")).read_bytes() for one in box.documents()]

    assert [one.state for one in box.documents()] == [State.FILED] * 4
    assert sorted(originals) == sorted([brief, brief, foto, foto])
    assert files(hot) == []
    assert box.stop() == 0


def _refused(intake: Intake, name: str) -> int:
    return sum(one.state is State.REFUSED for one in intake.documents(name))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else -1
