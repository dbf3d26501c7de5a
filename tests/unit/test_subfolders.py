"""Folders in a hot folder: looked through step by step, whatever happens to them meanwhile."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.intake import NotNow, Reason
from daemon.intake.claim import Desk
from daemon.intake.moving import opened_folder, renamed_out
from daemon.intake.settle import Look
from daemon.intake.survey import DEEPEST, Pass, Survey
from tests.intake import BECOME, config_of, make_places, now, open_folder, pdf, section_of

REPOSITORY = Path(__file__).parents[2]


def survey_of(root: Path, **changes: object) -> Survey:
    section = section_of(root, subfolders=True, **changes)
    make_places(config_of(root, section))
    return Survey(section)


def drop(root: Path, place: str, data: bytes = b"x") -> Path:
    path = root / "hot" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_files_are_known_by_their_path_and_folders_by_theirs(tmp_path: Path) -> None:
    """As bytes, whatever they are; the folders are those whose events are worth hearing."""
    survey = survey_of(tmp_path)
    odd = os.fsdecode(b"\xff\n")
    for place in ("a", "b/c", f"b/{odd}/d", "e/f/g"):
        drop(tmp_path, place)
    (tmp_path / "hot" / "empty").mkdir()
    found = survey.look(rung=False)

    assert set(survey.files) == {b"a", b"b/c", b"b/\xff\n/d", b"e/f/g"}
    assert sorted(survey.folders) == [b"b", b"b/\xff\n", b"e", b"e/f", b"empty"]
    assert (found.waiting, found.closed) == (4, [])


@pytest.mark.parametrize("rejected", ["rejected", "x/y/rejected"])
def test_what_is_ours_or_ignored_is_not_there(rejected: str, tmp_path: Path) -> None:
    """Wherever it lies; what lies beside it is."""
    survey = survey_of(
        tmp_path,
        rejected=str(tmp_path / "hot" / rejected),
        report=str(tmp_path / "hot" / "x" / "letzte.txt"),
        ignore=("*.tmp", "Papierkorb"),
    )
    for place in (
        f"{rejected}/no.pdf",
        "x/letzte.txt",
        "x/letzte.txt.tmp",
        "x/Papierkorb/no.pdf",
        ".scanseal/no.pdf",
        "x/.scanseal/no.pdf",
        "x/.scanseal-temporary",
        "x/yes.pdf",
        ".hidden/yes.pdf",
        "letzte.txt",
    ):
        drop(tmp_path, place)
    survey.look(rung=False)

    assert set(survey.files) == {b"x/yes.pdf", b".hidden/yes.pdf", b"letzte.txt"}


def test_without_subfolders_a_report_in_one_hides_that_folder_only(tmp_path: Path) -> None:
    """A folder is no scan, and would be told after a while: not one of our own."""
    section = section_of(tmp_path, report=str(tmp_path / "hot" / "x" / "letzte.txt"))
    make_places(config_of(tmp_path, section))
    survey = Survey(section)
    drop(tmp_path, "x/letzte.txt")
    drop(tmp_path, "y/a.pdf")
    survey.look(rung=False)

    assert set(survey._odd) == {b"y"}
    assert survey.files == {}


def test_folders_are_looked_through_so_deep_and_no_deeper(tmp_path: Path) -> None:
    """Deeper ones are told, so that nothing waits there unseen."""
    survey = survey_of(tmp_path)
    deep = "/".join("d" * (DEEPEST + 1))
    drop(tmp_path, f"{deep[: 2 * DEEPEST - 1]}/in")
    drop(tmp_path, f"{deep}/out")
    survey.look(rung=False)

    assert [place.count(b"/") for place in survey.files] == [DEEPEST]
    assert {reason for reason, _ in survey._odd.values()} == {Reason.DEEP}


def test_a_link_is_no_folder_wherever_it_leads(tmp_path: Path) -> None:
    """Into our own documents, out of the share, or round in a circle."""
    survey = survey_of(tmp_path)
    drop(tmp_path, "a/x")
    (tmp_path / "hot" / "a" / "circle").symlink_to(tmp_path / "hot")
    (tmp_path / "hot" / "out").symlink_to(tmp_path)
    survey.look(rung=False)

    assert set(survey.files) == {b"a/x"}
    assert {place: reason for place, (reason, _) in survey._odd.items()} == {
        b"a/circle": Reason.NOT_A_FILE,
        b"out": Reason.NOT_A_FILE,
    }


def test_a_folder_that_became_a_link_since_it_was_listed_is_not_opened(tmp_path: Path) -> None:
    """Nor is one that is gone: nothing is said of either."""
    survey = survey_of(tmp_path)
    (tmp_path / "hot" / "link").symlink_to(tmp_path)
    found = Pass(at=0.0)
    with opened_folder(tmp_path / "hot", b"") as fd:
        inside = list(survey._inside(found, fd, [b"link", b"gone"]))

    assert (inside, found.closed) == ([], [])


def test_a_folder_that_becomes_a_link_takes_nothing_of_ours(tmp_path: Path) -> None:
    """Between the look and the claim: the scan's place leads somewhere else, and nothing moves."""
    section = section_of(tmp_path, subfolders=True)
    config = config_of(tmp_path, section)
    make_places(config)
    ours = drop(tmp_path, "../state/documents/2026/original.pdf", pdf())
    look = Look.of(ours.stat())
    (tmp_path / "hot" / "sub").symlink_to(ours.parent)
    desk = Desk(section, config.documents)
    with pytest.raises(NotNow) as caught:
        desk.take(b"sub/original.pdf", look, now(), "sure")

    assert caught.value.reason in {Reason.NOT_A_FILE, Reason.GONE, Reason.UNREADABLE}
    assert ours.read_bytes() == pdf()
    assert [p.name for p in (tmp_path / "hot" / ".scanseal").iterdir()] == []
    assert list(config.documents.rglob("document.json")) == []


@pytest.mark.parametrize("link", ["a", "a/b"])
def test_no_step_of_the_way_may_be_a_link(link: str, tmp_path: Path) -> None:
    """Not the last one alone."""
    (tmp_path / "real" / "b").mkdir(parents=True)
    path = tmp_path / "hot" / link
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / "real" if link == "a" else tmp_path / "real" / "b")
    with (
        pytest.raises(OSError, match=r"Not a directory|Too many") as caught,
        opened_folder(tmp_path / "hot", b"a/b"),
    ):
        raise AssertionError

    assert caught.value.errno in {errno.ENOTDIR, errno.ELOOP}


def test_a_sidecar_is_not_taken_through_a_link_either(tmp_path: Path) -> None:
    """Its place comes from the same listing."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "hot").mkdir()
    there = tmp_path / "elsewhere" / "scan.json"
    there.write_bytes(b"{}")
    (tmp_path / "hot" / "sub").symlink_to(there.parent)
    with (
        pytest.raises(NotNow, match="take: ENOTDIR"),
        renamed_out(tmp_path / "hot", b"sub/scan.json", tmp_path / "taken"),
    ):
        raise AssertionError

    assert there.exists()


CLOSED = (
    """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from daemon.intake.survey import Survey
from tests.intake import section_of
"""
    + BECOME
    + """
become(65534)
survey = Survey(section_of(Path(sys.argv[1]), subfolders=True))
found = survey.look(rung=False)
print(json.dumps({
    "files": sorted(map(bytes.decode, survey.files)),
    "closed": [(one.reason, one.detail) for one in found.closed],
    "waiting": found.waiting,
}))
"""
)


def test_a_folder_that_we_may_not_look_into_is_told_and_stops_no_other() -> None:
    """With who and which mode; the box is not said to be empty meanwhile."""
    with open_folder() as root:
        drop(root, "closed/a.pdf")
        drop(root, "open/b.pdf")
        (root / "hot").chmod(0o755)
        (root / "hot" / "open").chmod(0o755)
        (root / "hot" / "closed").chmod(0o700)
        done = subprocess.run(
            [sys.executable, "-c", CLOSED, root, REPOSITORY],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )

    assert '"files": ["open/b.pdf"]' in done.stdout
    assert '"waiting": 2' in done.stdout
    assert "hotfolder-permission" in done.stdout
    assert "nobody (uid 65534) may not list; it is drwx------ of root (uid 0)" in done.stdout


SHUT = (
    """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.intake import pdf, watching
"""
    + BECOME
    + """
become(65534)

async def main():
    async with watching(Path(sys.argv[1]), subfolders=True) as here:
        shut = here.hot / "shut"
        shut.mkdir()
        shut.chmod(0)
        alarm = await here.alarm("hotfolder-permission")
        waiting = here.stage.facts().waiting
        (here.hot / "b.pdf").write_bytes(pdf(b"b"))
        await here.claimed(1)
        print(alarm.instance, alarm.detail, waiting)
        shut.chmod(0o700)
        (shut / "a.pdf").write_bytes(pdf(b"a"))
        await here.claimed(2)
        await here.no_alarm("hotfolder-permission")
        print("open")

asyncio.run(main())
"""
)


def test_a_folder_that_is_shut_is_an_alarm_until_it_is_open() -> None:
    """Named as what it is, and the others are taken meanwhile."""
    with open_folder() as root:
        root.chmod(0o777)
        done = subprocess.run(
            [sys.executable, "-c", SHUT, root, REPOSITORY],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )

    told, opened = done.stdout.splitlines()
    assert told.startswith("post nobody (uid 65534) may not list; it is d--------- of nobody")
    assert told.endswith(" 1")
    assert opened == "open"
