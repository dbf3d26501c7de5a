"""Seals and archives what is due, once, as the service would, and ends: for tests that kill it.

python -m tests.crash.archive_once ROOT
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.crash.one_thread import one_thread
from tests.exported import DAY, FIRST, Here, run


async def work(here: Here) -> None:
    one_thread([here.archive])
    here.now = FIRST + 2 * DAY
    await here.turn()


def main(root: Path) -> None:
    run(root, work)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
