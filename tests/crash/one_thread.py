"""Makes what is killed run its blocking work in one thread: strace counts the calls of each by itself."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.targets.folder import FolderTarget


def one_thread(targets: Iterable[FolderTarget]) -> None:
    """Give the running loop one thread, and each target one."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    for target in targets:
        target._threads = ThreadPoolExecutor(1)
