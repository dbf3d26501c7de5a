"""Power cuts at random points of a recorded run: python -m tests.power --seed N --count N."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from contrib.demo import token
from tests.crash.anywhere.starter import Preloaded
from tests.power.cuts import Replay, draw, record
from tests.power.whole import restart

WHOLE = 50
"""After one cut in so many the whole service goes on: that takes seconds."""


def main() -> int:
    """Make the cuts, print what is wrong after which, and how many there were."""
    parser = argparse.ArgumentParser(prog="python -m tests.power")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=10_000)
    asked = parser.parse_args()
    memory = Path("/dev/shm")  # noqa: S108 (a folder of our own is made in it)
    here = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="power", dir=here) as name:
        root = Path(name)
        files = token.make_token(root / "t" / "t", pin=token.random_pin())
        drawn = draw(root)
        starter = Preloaded(files)
        violations = whole = 0
        for apart in (False, True):
            place = root / ("apart" if apart else "one")
            place.mkdir()
            replay = Replay(record(place, files, drawn, apart=apart), place / "replay")
            for seed in range(asked.seed + apart, asked.seed + asked.count, 2):
                found = replay.cut(seed)
                if seed // 2 % WHOLE == 0:
                    whole += 1
                    found += restart(replay, seed, files, starter)
                violations += len(found)
                for wrong in found:
                    print(wrong, flush=True)
        starter.close()
    print(
        f"power: {asked.count} cuts, after {whole} the whole service ran on,"
        f" {violations} violations, seed {asked.seed}"
    )
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
