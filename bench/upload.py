"""Puts one file into a bucket and says what it took: `python -m bench.upload`, a process of its own.

Its arguments are one JSON object; it prints one: the memory before (after a first, small
document), the most in between, and the seconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon import durable
from daemon.document import new_id
from daemon.targets import About, Sending
from daemon.targets.s3 import S3Target
from daemon.targetsections import S3Section

if TYPE_CHECKING:
    from daemon.document import Receipt


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def status(name: str) -> int:
    """Return a figure of this process in bytes, as /proc/self/status has it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(name)


def forget_peak() -> None:
    """Let the peak of this process's memory count from now on (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


async def uploaded(values: dict[str, Any]) -> dict[str, Any]:
    """Do it."""
    target = S3Target(S3Section(**values["section"]), None, now)
    first, large = (Path(values[name]) for name in ("first", "large"))
    await _put(target, first)
    forget_peak()
    before, begun = status("VmRSS"), time.perf_counter()
    receipt = await _put(target, large)
    seconds = time.perf_counter() - begun
    await target.close()
    return {
        "before": before,
        "most": status("VmHWM"),
        "seconds": seconds,
        "grade": receipt.grade,
        "lock": receipt.detail["lock_mode"],
    }


async def _put(target: S3Target, file: Path) -> Receipt:
    digest, size = durable.digest_of(file)
    about = About(retain_until=now() + timedelta(days=1))
    return await target.put(Sending(f"{new_id(now())}/original.pdf", file, digest, size, about))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(uploaded(json.loads(sys.argv[1])))))
