"""A process that forgets what is due, and ends: `python -m tests.crash.forget_once STATE_DIR`.

What the service does at its start and at its stop, and one pass between. A year has gone by.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from daemon.alarms import Alarms
from daemon.forgetting import Forgetting
from daemon.sections import Profile
from daemon.spool import Spool, open_spool
from daemon.targets.folder import FolderTarget
from tests.crash.one_thread import one_thread
from tests.frozen import TARGETS


def clock() -> datetime:
    """Return the time of the box, a year on."""
    return datetime.now(UTC) + timedelta(days=366)


async def trusted() -> str:
    """Say that nothing is wrong with the clock."""
    return ""


async def main(state_dir: Path) -> None:
    """Forget everything, once."""
    spool = await open_spool(state_dir)
    await spool(Spool.started, "this boot", clock())
    targets = {
        name: FolderTarget(name, role, state_dir.parent / name) for name, role in TARGETS.items()
    }
    one_thread(targets.values())
    stage = Forgetting(
        {"post": Profile(procedure="test")},
        state_dir / "documents",
        spool,
        targets,
        Alarms(clock),
        clock,
        trusted,
    )
    await stage.turn()
    await spool(Spool.stopped, clock())
    await spool.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
