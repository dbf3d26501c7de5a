"""A process that delivers whatever is due, and ends: `python -m tests.crash.deliver_once STATE_DIR`.

What the service does at its start and at its stop, and nothing between but `deliver`.
The targets are the folders `dms` and `archive` beside the state_dir.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from daemon.delivering import deliver
from daemon.spool import Spool, open_spool
from daemon.targets.folder import FolderTarget
from tests.crash.one_thread import one_thread
from tests.frozen import TARGETS


def clock() -> datetime:
    """Return the time of the box."""
    return datetime.now(UTC)


async def main(state_dir: Path) -> None:
    """Deliver each document to each target once, to the archive with its many parts first."""
    spool = await open_spool(state_dir)
    await spool(Spool.started, "this boot", clock())
    for name, role in sorted(TARGETS.items()):
        target = FolderTarget(name, role, state_dir.parent / name)
        one_thread([target])
        for delivery in await spool(Spool.due, name, clock(), 100):
            await deliver(spool, state_dir / "documents", delivery, target, clock)
    await spool(Spool.stopped, clock())
    await spool.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
