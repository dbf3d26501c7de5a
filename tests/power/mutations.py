"""Leaves out the fsyncs of one place at a time and makes cuts until one is caught.

python -m tests.power.mutations         prints the table of docs/durability.md
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from contrib.demo import token
from tests.power.cuts import Replay, draw, record

MOST = 300
"""Cuts in each of the two runs."""


def main() -> int:
    """Print a row for each place."""
    with tempfile.TemporaryDirectory(prefix="power") as name:
        root = Path(name)
        files = token.make_token(root / "t" / "t", pin=token.random_pin())
        drawn = draw(root)
        replays = []
        for apart in (False, True):
            place = root / ("apart" if apart else "one")
            place.mkdir()
            replays.append(Replay(record(place, files, drawn, apart=apart), place / "replay"))
        print("| fsync left out (function < its caller) | in the runs | what breaks |")
        print("| --- | --- | --- |")
        for site in sorted({site for one in replays for site in one.recorded.sites}):
            often = " and ".join(str(one.recorded.sites[site]) for one in replays)
            print(f"| `{site}` | {often} | {_caught(replays, site)} |", flush=True)
    return 0


def _caught(replays: list[Replay], site: str) -> str:
    for seed in range(2 * MOST):
        if found := replays[seed % 2].cut(seed, {site}):
            return f"after {seed + 1} cuts: {found[0].partition(': ')[2][:80]}"
    return f"not caught in {2 * MOST} cuts"


if __name__ == "__main__":
    sys.exit(main())
