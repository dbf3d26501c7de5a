"""Power cuts at random points of a recorded run of the whole service (I2, I3, I5, I7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contrib.demo import scans
from tests.power.cuts import Replay, record
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
    drawn = []
    for number in range(3):
        drawn.append(tmp_path / f"scan{number}.pdf")
        drawn[-1].write_bytes(scans.pdf_of([scans.jpeg_page(number + 1, title="a", dpi=40)]))
    replay = Replay(record(tmp_path, seal_token, drawn), tmp_path / "replay")
    seeds = range(SEED, SEED + COUNT)

    assert [wrong for seed in seeds for wrong in replay.cut(seed)] == []
    assert any(replay.cut(seed, {"gap._fill"}) for seed in seeds)
