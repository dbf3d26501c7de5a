"""Samba with the smb.conf of contrib/: whose files they are, what is hidden, what a kill leaves."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from daemon.document import State
from tests.intake import open_folder, pdf
from tests.system.habits import MEGABYTE, NEXT, PAGE, revision, tiff
from tests.system.share import SCANNER, SCANS, SERVICE, Intake, Share, files, wait_for
from tests.system.smb import CONFIG, Samba, SmbClient, tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.system.box import Box

SETTLE = 0.5
"""The intake's quiet time here."""


@pytest.fixture(scope="module")
def share() -> Iterator[Share]:
    with open_folder() as root:
        yield Share(root)


@pytest.fixture(scope="module")
def samba(share: Share) -> Iterator[Samba]:
    server = Samba(share)
    yield server
    server.end()


@pytest.fixture
def client(samba: Samba) -> Iterator[SmbClient]:
    found = SmbClient(samba.port)
    yield found
    found.end()


@pytest.fixture
def intake(share: Share, request: pytest.FixtureRequest) -> Iterator[Callable[..., Intake]]:
    """Watch one new hot folder, or more, by the name of the test."""
    running: list[Intake] = []

    def start(*names: str, **options: float) -> Intake:
        found = [f"{request.node.originalname}-{name}"[-60:] for name in names or ("hot",)]
        for name in found:
            share.hot(name)
        running.append(Intake(share, *found, **options))  # type: ignore[arg-type]
        return running[-1]

    yield start
    for one in running:
        one.end()


def test_the_configuration_has_no_mistake() -> None:
    """Samba takes an unknown word for a comment; testparm says so."""
    said = subprocess.run(["testparm", "-s", CONFIG], capture_output=True, text=True, check=True)

    assert "Loaded services file OK" in said.stderr
    for word in ("Unknown", "Ignoring", "WARNING", "ERROR", "deprecated"):
        assert word not in said.stderr


def test_scans_are_the_groups_and_nobody_elses(
    client: SmbClient, intake: Callable[..., Intake]
) -> None:
    """The scanner owns what it wrote, the group may take it, and others see nothing of it."""
    running = intake()
    (name,) = running.names
    upload = client.open(name, "a.pdf")
    upload.write(pdf())
    (path,) = files(running.share.folder / name)
    found = path.stat()
    upload.close()

    assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (SCANNER, SCANS, 0o660)
    assert running.claimed(name) == [pdf()]
    assert running.facts()[name]["writer_known"] is True


def test_the_services_own_folder_is_not_there_for_scanners(
    client: SmbClient, intake: Callable[..., Intake]
) -> None:
    """They neither see it, nor get into it, nor can they take it away; `rejected` they see."""
    running = intake()
    (name,) = running.names
    client.put(name, "a.pdf", pdf())
    running.claimed(name)
    private = running.share.folder / name / ".scanseal"

    assert private.stat().st_uid == SERVICE
    assert sorted(client.names(name)) == ["rejected"]
    with pytest.raises(OSError, match=r"STATUS_|NtStatus"):
        client.put(name, ".scanseal\\b.pdf", pdf())
    with pytest.raises(OSError, match=r"STATUS_|NtStatus"):
        client.rename(name, ".scanseal", "mine")
    assert private.is_dir()


def test_a_client_that_is_killed_leaves_a_file_that_waits_for_the_next_try(
    samba: Samba, intake: Callable[..., Intake]
) -> None:
    """Debian's smbclient is killed in the middle, and the whole upload is done again."""
    running = intake(give_up_seconds=30.0)
    (name,) = running.names
    scan = revision(b"", 18 * MEGABYTE)
    path = running.share.folder / name / "again.pdf"
    with tool(samba.port, f"cd {name}", "put - again.pdf", stdin=subprocess.PIPE) as first:
        assert first.stdin is not None
        first.stdin.write(scan[:PAGE])
        first.stdin.flush()
        wait_for(lambda: path.exists() and path.stat().st_size == PAGE, "the first piece")
        first.kill()
    time.sleep(3 * SETTLE)
    waiting = running.facts()[name]["waiting"]
    with tool(samba.port, f"cd {name}", "put - again.pdf", stdin=subprocess.PIPE) as second:
        second.communicate(scan, timeout=30)

    assert waiting == 1
    assert second.returncode == 0
    assert running.claimed(name) == [scan]


def test_a_tiff_whose_directories_are_linked_at_the_end_of_each_page(
    client: SmbClient, intake: Callable[..., Intake]
) -> None:
    """It opens as a whole file after each page: the next one is linked by a write in its middle."""
    running = intake()
    (name,) = running.names
    pages = tiff(3, PAGE)
    whole = bytearray()
    upload = client.open(name, "pages.tif")
    for number, page in enumerate(pages):
        upload.write(page)
        whole += page
        if number:
            place = (number - 1) * PAGE + NEXT
            link = (number * PAGE + 8).to_bytes(4, "little")
            upload.write_at(place, link)
            whole[place : place + 4] = link
        if number == 1:
            time.sleep(4 * SETTLE)
    upload.close()

    assert running.claimed(name) == [bytes(whole)]


def test_without_the_capability_the_quiet_time_alone_decides_and_is_longer(
    client: SmbClient, intake: Callable[..., Intake]
) -> None:
    """Files of another user, and no CAP_LEASE: the page says so, and it takes three times as long."""
    running = intake(lease=False)
    (name,) = running.names
    client.put(name, "a.pdf", pdf())
    closed = time.monotonic()
    found = running.claimed(name)
    took = time.monotonic() - closed

    assert found == [pdf()]
    assert took >= 3 * SETTLE
    assert running.facts()[name]["writer_known"] is False


def _closed_to_us(hot: Path) -> None:
    hot.chmod(0o2750)


def _sticky(hot: Path) -> None:
    hot.chmod(0o3770)


def _closed_file(hot: Path) -> None:
    (hot / "a.pdf").chmod(0o600)


TROUBLES = {
    "folder": (_closed_to_us, "use", "drwxr-s---"),
    "sticky": (_sticky, "take", "drwxrws--T"),
    "file": (_closed_file, "read", "-rw-------"),
}


def test_a_right_that_is_missing_is_named_and_nothing_is_taken_for_busy(
    client: SmbClient, intake: Callable[..., Intake]
) -> None:
    """Who may not do what, and which mode stands in the way; put right, it goes on by itself."""
    running = intake(*TROUBLES)
    names = dict(zip(TROUBLES, running.names, strict=True))
    for kind, name in names.items():
        hot = running.share.folder / name
        upload = client.open(name, "a.pdf")
        upload.write(pdf())
        TROUBLES[kind][0](hot)
        upload.close()
    for kind, name in names.items():
        _, what, mode = TROUBLES[kind]

        def told(name: str = name) -> bool:
            return "hotfolder-permission" in running.alarms(name)

        wait_for(told, f"the alarm about {kind}", running.ask)
        detail = running.alarms(name)["hotfolder-permission"]
        assert f"uid {SERVICE} may not {what};" in detail, kind
        assert mode in detail, kind
        assert "a.pdf" not in detail, kind
        assert running.documents(name) == []
        assert [path.name for path in files(running.share.folder / name)] == ["a.pdf"]
    time.sleep(SETTLE)
    for name in names.values():
        assert "left-lying" not in running.alarms(name)
        hot = running.share.folder / name
        hot.chmod(0o2770)
        (hot / "a.pdf").chmod(0o660)
        assert running.claimed(name) == [pdf()]
        wait_for(lambda name=name: not running.alarms(name), "the alarm goes", running.ask)  # type: ignore[misc]


def test_the_whole_box_behind_a_share(make_box: Callable[..., Box], drawn: dict[str, Path]) -> None:
    """The real service: one name again and again while it works, and one scan page by page."""
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
        samba = Samba(share)
        client = SmbClient(samba.port)
        box.start()
        sources = [drawn["brief.pdf"].read_bytes(), drawn["foto.jpg"].read_bytes()]
        try:
            slow = client.open("post", "slow.pdf")
            slow.write(sources[0][: len(sources[0]) // 2])
            for number, scan in enumerate(sources * 2):
                wait_for(lambda: not (hot / "SCAN0001").exists(), "the one before is taken")
                if number == 2:
                    slow.write(sources[0][len(sources[0]) // 2 :])
                    slow.close()
                client.put("post", "SCAN0001", scan)
            box.wait(box.at_rest(5), "all five are at rest")
        finally:
            client.end()
            samba.end()
            subprocess.run(["umount", "-l", bound], check=True)
    originals = [next(box.folder(one).glob("original.*")).read_bytes() for one in box.documents()]

    assert [one.state for one in box.documents()] == [State.FILED] * 5
    assert sorted(originals) == sorted([sources[0]] * 3 + [sources[1]] * 2)
    assert files(hot) == []
    assert box.stop() == 0
