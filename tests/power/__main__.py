"""Power cuts at random points of a recorded run: python -m tests.power --seed N --count N."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from contrib.demo import token
from tests.power.cuts import Replay, draw, record


def main() -> int:
    """Make the cuts, print what is wrong after which, and how many there were."""
    parser = argparse.ArgumentParser(prog="python -m tests.power")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=10_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="power") as name:
        root = Path(name)
        files = token.make_token(root / "t" / "t", pin=token.random_pin())
        drawn = draw(root)
        violations = 0
        for apart in (False, True):
            place = root / ("apart" if apart else "one")
            place.mkdir()
            replay = Replay(record(place, files, drawn, apart=apart), place / "replay")
            for seed in range(asked.seed + apart, asked.seed + asked.count, 2):
                for wrong in replay.cut(seed):
                    violations += 1
                    print(wrong, flush=True)
    print(f"power: {asked.count} cuts, {violations} violations, seed {asked.seed}")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
