"""Power cuts at random points of a recorded run of the whole service (I2, I3, I5, I7)."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.crash.anywhere.starter import Preloaded
from tests.power.cuts import Replay, draw, record
from tests.power.whole import restart
from tests.system.fixtures import seal_token

if TYPE_CHECKING:
    from pathlib import Path

    from contrib.demo.token import TokenFiles

__all__ = ["seal_token"]
SEED = 100
COUNT = 60
WHOLE = 2
"""So many of the cuts the whole service goes on after."""


@pytest.mark.parametrize("apart", [False, True], ids=["one disk", "a disk for each folder"])
def test_no_cut_loses_or_doubles_anything_and_a_missing_fsync_shows(
    tmp_path: Path, seal_token: TokenFiles, *, apart: bool
) -> None:
    """Cuts are harmless as the code is; without the fsync of a seal's bytes they are not."""
    recorded = record(tmp_path, seal_token, draw(tmp_path), apart=apart)
    replay = Replay(recorded, tmp_path / "replay")
    seeds = range(SEED, SEED + COUNT)

    assert [wrong for seed in seeds for wrong in replay.cut(seed)] == []
    assert any(replay.cut(seed, {"gap._fill"}) for seed in seeds)

    with closing(Preloaded(seal_token)) as starter:
        wrong = [restart(replay, seed, seal_token, starter) for seed in seeds[:WHOLE]]
    assert wrong == [[]] * WHOLE
