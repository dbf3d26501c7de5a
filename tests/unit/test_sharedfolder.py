"""A folder on the share that is written into: no link is followed, whatever its name leads to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from daemon.intake import NotNow, Reason
from daemon.intake.sharedfolder import opened


@pytest.fixture
def hot(tmp_path: Path) -> Path:
    folder = tmp_path / "hot"
    (folder / "sub" / "rejected").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    return folder


def fds() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


@pytest.mark.parametrize(
    "place", [".", "sub", "sub/rejected", "../outside", "sub/../sub/rejected/"]
)
def test_what_is_done_in_it_is_done_there(place: str, hot: Path) -> None:
    """Inside the hot folder, in itself, and outside of it."""
    before = fds()
    with opened("write", hot / place, hot) as folder:
        folder.fill("half", [b"a", b"b"])
        assert folder.name("half", "whole")
        folder.sync()
        assert "whole" in folder.names()
        assert folder.facts("whole").st_size == 2

    assert (hot / place / "whole").read_bytes() == b"ab"
    assert fds() == before


@pytest.mark.parametrize(
    ("place", "link", "to"),
    [
        ("sub/rejected", "sub/rejected", "."),
        ("sub/rejected", "sub/rejected", "../../outside"),
        ("sub/rejected", "sub", "../outside"),
        ("sub/rejected", "sub/rejected", "nowhere"),
        ("../outside", "../outside", "hot"),
    ],
)
def test_a_link_on_the_way_is_named_and_not_followed(
    place: str, link: str, to: str, hot: Path
) -> None:
    """Whoever may rename a folder of the share could let us write wherever we may."""
    (hot / link).rename(hot / "away")
    (hot / link).symlink_to(to)
    (hot.parent / "outside" / "rejected").mkdir(parents=True, exist_ok=True)
    before = fds()
    with pytest.raises(NotNow) as caught, opened("write", hot / place, hot):
        raise AssertionError

    assert caught.value.reason is Reason.NOT_A_FILE
    assert caught.value.detail == "write: a link lies in its place"
    assert fds() == before


def test_the_hot_folder_itself_and_what_leads_there_are_the_administrators(hot: Path) -> None:
    """Who has mounted the share elsewhere and linked to it knows what it is."""
    linked = hot.with_name("linked")
    linked.symlink_to(hot)
    above = hot.with_name("above")
    above.symlink_to(hot.parent)
    for path, top in ((linked / "sub", linked), (linked, linked), (above / "outside", hot)):
        with opened("write", path, top) as folder:
            folder.fill("file", [b"x"])
        assert (path / "file").read_bytes() == b"x"


def test_a_folder_that_is_missing_or_a_file_is_no_link(hot: Path) -> None:
    """It is said as it is: most of the time the share is not mounted."""
    (hot / "sub" / "file").touch()
    for place, error in (("sub/none", "ENOENT"), ("sub/file", "ENOTDIR"), ("../none", "ENOENT")):
        with pytest.raises(NotNow) as caught, opened("write", hot / place, hot):
            raise AssertionError
        assert caught.value.detail == f"write: {error}"


def test_it_stays_the_folder_that_was_opened(hot: Path) -> None:
    """Exchanged for a link while a copy is being written: that goes where it was begun."""
    path = hot / "sub" / "rejected"
    with opened("write", path, hot) as folder:
        folder.fill("half", [b"x"])
        path.rename(hot / "away")
        path.symlink_to(hot)
        assert folder.name("half", "whole")
        os.close(folder.open_scan("whole"))
        folder.fill("more", [b"y"])
        folder.replace("more", "whole")
        folder.sync()

    assert sorted(found.name for found in hot.iterdir()) == ["away", "sub"]
    assert (hot / "away" / "whole").read_bytes() == b"y"


def test_a_file_of_theirs_keeps_its_name(hot: Path) -> None:
    """Also a link, wherever it leads: nothing is written through it or over it."""
    other = hot / "other"
    other.write_bytes(b"")
    with opened("write", hot / "sub", hot) as folder:
        (hot / "sub" / "theirs").write_bytes(b"theirs")
        (hot / "sub" / "link").symlink_to(other)
        (hot / "sub" / "half").symlink_to(other)
        for name in ("theirs", "link"):
            folder.fill("half", [b"ours"])
            assert not folder.name("half", name)

    assert other.read_bytes() == b""
    assert sorted(found.name for found in (hot / "sub").iterdir()) == ["link", "rejected", "theirs"]
    assert (hot / "sub" / "theirs").read_bytes() == b"theirs"


def test_what_goes_wrong_there_is_trouble_of_the_share(hot: Path) -> None:
    """A folder under the name of the temporary file: NotNow, and no error of ours."""
    (hot / "sub" / "half").mkdir()
    with pytest.raises(NotNow) as caught, opened("write", hot / "sub", hot) as folder:
        folder.fill("half", [b"x"])
    assert caught.value.detail.startswith("write: ")
