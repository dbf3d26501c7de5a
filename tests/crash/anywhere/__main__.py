"""Kills the whole service at every call that touches the disk, and lets each of them fail.

    python -m tests.crash.anywhere                         all points, each harm once
    python -m tests.crash.anywhere --seed 7 --count 200    200 of them, drawn by the seed
    python -m tests.crash.anywhere --only 'kill:fsync hot#2'    one of them again

Ends with 1 if anything was violated; such boxes are kept with their story.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from contrib.demo import token
from tests.crash.anywhere.harm import HARMS
from tests.crash.anywhere.torture import Torture


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.crash.anywhere",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=0, help="of all points; 0: all (default)")
    parser.add_argument("--harm", action="append", choices=sorted(HARMS), help="default: all")
    parser.add_argument("--only", action="append", default=[], metavar="HARM:CALL#N")
    parser.add_argument("--abreast", type=int, default=2 * (os.cpu_count() or 1))
    parser.add_argument("--keep", type=Path, default=Path("build/torture"), metavar="FOLDER")
    options = parser.parse_args()
    memory = Path("/dev/shm")  # noqa: S108 (a folder of our own is made in it)
    place = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="scanseal-kill-", dir=place) as name:
        root = Path(name)
        files = token.make_token(root / "token", pin=token.random_pin())
        begun = time.monotonic()
        torture = Torture(root, files, seed=options.seed, keep=options.keep.absolute())
        known = torture.points()
        print(f"seed {options.seed}, {len(known)} points in an unharmed run", flush=True)
        chosen = torture.chosen(options.harm or sorted(HARMS), options.count, options.only)
        tally = torture.run(chosen, options.abreast, show=sys.stderr.isatty())
        print("\n".join(tally.lines(time.monotonic() - begun)))
    return 1 if tally.violations else 0


if __name__ == "__main__":
    sys.exit(main())
