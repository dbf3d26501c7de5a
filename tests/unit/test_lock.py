"""One process for each state_dir. Two at once are tried in tests/system."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon import durable
from daemon.lock import alone

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_folder_is_durable_before_anything_lies_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all that had to be made above it; found there, it may be the work of one that was killed."""
    synced: list[Path] = []
    monkeypatch.setattr(durable, "sync_folder", synced.append)
    state_dir = tmp_path / "a" / "b" / "state"

    for expected in ([tmp_path, tmp_path / "a", tmp_path / "a" / "b"], [tmp_path / "a" / "b"]):
        with alone(state_dir):
            assert synced == expected
        synced.clear()


def test_a_folder_above_that_may_not_be_listed_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/var/lib/private is root's: whoever made the state_dir in it was not us."""

    def refused(_folder: Path) -> None:
        raise PermissionError

    (tmp_path / "state").mkdir()
    monkeypatch.setattr(durable, "sync_folder", refused)
    with alone(tmp_path / "state"):
        assert (tmp_path / "state" / "lock").exists()
