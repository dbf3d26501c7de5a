"""Power cuts at random points of a recorded run: python -m tests.power --seed N --count N."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from contrib.demo import scans, token
from tests.power.cuts import Replay, record


def main() -> int:
    """Make the cuts, print what is wrong after which, and how many there were."""
    parser = argparse.ArgumentParser(prog="python -m tests.power")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=10_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="power") as name:
        root = Path(name)
        files = token.make_token(root / "t" / "t", pin=token.random_pin())
        drawn = []
        for number in range(3):
            drawn.append(root / f"scan{number}.pdf")
            drawn[-1].write_bytes(
                scans.pdf_of([scans.jpeg_page(number + 1, title="Bescheid", dpi=40)])
            )
        replay = Replay(record(root, files, drawn), root / "replay")
        violations = 0
        for seed in range(asked.seed, asked.seed + asked.count):
            for wrong in replay.cut(seed):
                violations += 1
                print(wrong)
    print(f"power: {asked.count} cuts, {violations} violations, seed {asked.seed}")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
