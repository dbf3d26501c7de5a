"""What `scanseal check` sees of the PIN file from outside, and of a hot folder's mount."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daemon import config
from daemon.checkup import Finding, _target, checkup
from daemon.targetsections import HttpSection
from tests.system.box import CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def look(tmp_path: Path) -> Callable[[], dict[str, Finding]]:
    """Return what a check of a box in *tmp_path* finds, by name."""
    for name in ("hot", "dms", "archive", "state"):
        (tmp_path / name).mkdir()
    text = CONFIG.format(
        root=tmp_path,
        module="/nonexistent.so",
        label="t",
        key="k",
        certificate=tmp_path / "none.pem",
        chain=tmp_path / "none.pem",
        pin=tmp_path / "pin",
        max_pages=1,
        more="",
    )
    (tmp_path / "c.toml").write_text(text)

    def again() -> dict[str, Finding]:
        loaded = config.load(tmp_path / "c.toml")
        return {finding.what: finding for finding in checkup(loaded, None)}

    return again


@pytest.mark.parametrize(("mode", "good"), [(0o400, True), (0o600, True), (0o644, False)])
def test_a_pin_file_that_others_can_read_is_named(
    tmp_path: Path, look: Callable[[], dict[str, Finding]], mode: int, *, good: bool
) -> None:
    """The service would refuse it at 3 a.m.: the check says so before, and never shows the PIN."""
    (tmp_path / "pin").write_text("123456")
    (tmp_path / "pin").chmod(mode)

    found = look()["[hsm] pin"]

    assert found.good is good
    assert "123456" not in found.text


def test_a_pin_that_is_a_folder_or_missing_is_named(
    tmp_path: Path, look: Callable[[], dict[str, Finding]]
) -> None:
    """Neither can be opened by the service."""
    assert not look()["[hsm] pin"].good
    (tmp_path / "pin").mkdir()
    assert not look()["[hsm] pin"].good


def test_the_claim_is_tried_and_nothing_is_left_behind(
    tmp_path: Path, look: Callable[[], dict[str, Finding]]
) -> None:
    """On one mount it is a rename; across two, as with /dev/shm, a copy."""
    assert look()["[[hotfolder]] post claim"].text == "rename"
    assert not list((tmp_path / "hot").iterdir())
    assert not list((tmp_path / "state").iterdir())


def test_a_folder_for_copies_is_never_made_and_so_has_to_be_there(
    tmp_path: Path, look: Callable[[], dict[str, Finding]]
) -> None:
    """Not even inside the hot folder: the way back would make it on a share that is not mounted."""
    assert not look()["[[hotfolder]] post rejected"].good
    (tmp_path / "hot" / "rejected").mkdir()
    assert look()["[[hotfolder]] post rejected"].good


def test_a_folder_for_copies_that_is_a_link_is_named(
    tmp_path: Path, look: Callable[[], dict[str, Finding]]
) -> None:
    """The service follows none: somebody on the share may have put it there."""
    (tmp_path / "hot" / "rejected").symlink_to(tmp_path / "hot", target_is_directory=True)

    found = look()["[[hotfolder]] post rejected"]

    assert not found.good
    assert "a link lies in its place" in found.text


def test_a_report_that_cannot_be_written_is_named_before(
    tmp_path: Path, look: Callable[[], dict[str, Finding]]
) -> None:
    """Its folder has to be there, and no other file may have its name."""
    assert "[[hotfolder]] post report" not in look()
    report = tmp_path / "share" / "last.txt"
    toml = tmp_path / "c.toml"
    toml.write_text(
        toml.read_text().replace("[[hotfolder]]\n", f'[[hotfolder]]\nreport = "{report}"\n')
    )

    def good() -> bool:
        return look()["[[hotfolder]] post report"].good

    assert not good()
    report.parent.mkdir()
    assert good()
    report.write_text("our telephone numbers")
    assert not good()
    report.write_text("")
    assert good()


def test_each_finding_is_said_in_both_languages(look: Callable[[], dict[str, Finding]]) -> None:
    """What somebody in an office is to put right, they have to be able to read."""
    for finding in look().values():
        assert finding.said("en") == finding.text
        assert "{" not in finding.said("de") + finding.text
    assert "der Dienst legt ihn nie selbst an" in look()["[[hotfolder]] post rejected"].said("de")
    assert "never makes it itself" in look()["[[hotfolder]] post rejected"].text


def test_it_is_said_whether_events_are_heard(look: Callable[[], dict[str, Finding]]) -> None:
    """Here they are; of a network mount the tests of the whole intake tell the other half."""
    found = look()["[[hotfolder]] post events"]

    assert found.good
    assert re.fullmatch(r"heard on \w+, and looked through every 0\.3 s", found.text)


def test_a_disk_in_clear_is_a_warning_and_no_error(look: Callable[[], dict[str, Finding]]) -> None:
    """Whether it can be told here or not: the service may start, and a person is told."""
    for what in ("[box] state_dir volume", "swap"):
        found = look()[what]
        assert found.good
        assert found.warns is ("not encrypted" in found.text or "not lie on" in found.text)


def test_missing_places_are_all_named(look: Callable[[], dict[str, Finding]]) -> None:
    """Module and certificates: each by its key, at once."""
    bad = {what for what, finding in look().items() if not finding.good}

    assert {"[hsm] module", "[hsm] chain", "[hsm] certificate", "[hsm] pin"} <= bad


def test_what_a_target_by_http_needs_here_is_looked_at(tmp_path: Path) -> None:
    """Its login, its CA, its client certificate: each by its key; nobody is asked over the network."""
    (tmp_path / "password").write_text("secret")
    (tmp_path / "password").chmod(0o644)
    section = HttpSection(
        name="dms",
        kind="webdav",
        role="dms",
        url="https://nobody.invalid",
        ca=str(tmp_path / "none.pem"),
        password=f"file:{tmp_path}/password",
        client_certificate=str(tmp_path / "none.pem"),
        client_key="credential:key",
    )

    found = {one.what: one for one in _target("[[target]] dms", section, str(tmp_path))}

    assert {what: one.good for what, one in found.items()} == {
        "[[target]] dms ca": False,
        "[[target]] dms client_certificate": False,
        "[[target]] dms password": False,
        "[[target]] dms client_key": False,
    }
    (tmp_path / "password").chmod(0o600)
    (tmp_path / "key").write_text("key")
    (tmp_path / "key").chmod(0o400)
    found = {one.what: one for one in _target("[[target]] dms", section, str(tmp_path))}
    assert found["[[target]] dms password"].good
    assert found["[[target]] dms client_key"].good
    assert "secret" not in "".join(one.text for one in found.values())
