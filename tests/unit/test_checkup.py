"""What `scanseal check` sees of the PIN file from outside, and of a hot folder's mount."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daemon import config
from daemon.checkup import Finding, checkup
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


def test_missing_places_are_all_named(look: Callable[[], dict[str, Finding]]) -> None:
    """Module and certificates: each by its key, at once."""
    bad = {what for what, finding in look().items() if not finding.good}

    assert {"[hsm] module", "[hsm] chain", "[hsm] certificate", "[hsm] pin"} <= bad
