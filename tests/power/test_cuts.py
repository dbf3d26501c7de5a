"""Power cuts at random points of a recorded run of the whole service (I2, I3, I5, I7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.power.cuts import Replay, draw, record
from tests.system.fixtures import seal_token

if TYPE_CHECKING:
    from pathlib import Path

    from contrib.demo.token import TokenFiles

__all__ = ["seal_token"]
SEED = 100
COUNT = 200


def test_no_cut_loses_or_doubles_anything_and_a_missing_fsync_shows(
    tmp_path: Path, seal_token: TokenFiles
) -> None:
    """Cuts are harmless as the code is; without the fsync of a seal's bytes they are not."""
    replay = Replay(record(tmp_path, seal_token, draw(tmp_path)), tmp_path / "replay")
    seeds = range(SEED, SEED + COUNT)

    assert [wrong for seed in seeds for wrong in replay.cut(seed)] == []
    assert any(replay.cut(seed, {"gap._fill"}) for seed in seeds)
