"""Claims on their last step: durable in their folders, their rows on the way.

While one is committed the next file is taken already, and what waits at the spool
together shares its commit. In order, and few at once: a kill leaves no more than
these for `recovery` to adopt.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from daemon.intake.claim import commit
from daemon.records.transaction import together
from daemon.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from daemon.document import Document
    from daemon.intake.claim import Claimed
    from daemon.spool import SpoolThread

AT_ONCE: Final = 8


class Landing:
    """The claims of one hot folder that have no row yet."""

    def __init__(
        self,
        spool: SpoolThread,
        clock: Callable[[], datetime],
        landed: Callable[[Claimed, Document], Awaitable[None]],
    ) -> None:
        """*landed* is called for each one once it is committed."""
        self._spool = spool
        self._clock = clock
        self._landed = landed
        self._running: deque[tuple[int, asyncio.Task[None]]] = deque()
        self._committed = 0

    async def unsealed(self) -> int:
        """Return the bytes of all originals without a seal, of those on the way too; make room."""
        while len(self._running) >= AT_ONCE:
            await asyncio.wait({self._running[0][1]})
            self._reap()
        self._reap()
        if not self._running:
            self._committed = await self._spool(Spool.unsealed_bytes)
        return self._committed + sum(size for size, _ in self._running)

    def begin(self, claimed: Claimed) -> None:
        """Begin to commit *claimed*."""
        task = asyncio.create_task(self._commit(claimed))
        self._running.append((claimed.arrival.size, task))

    async def end(self) -> None:
        """Wait for all of them; what was not foreseen goes up."""
        if self._running:
            await asyncio.wait({task for _, task in self._running})
            self._reap()

    def _reap(self) -> None:
        while self._running and self._running[0][1].done():
            self._running.popleft()[1].result()

    async def _commit(self, claimed: Claimed) -> None:
        document, self._committed = await self._spool(_committed, claimed, self._clock())
        await self._landed(claimed, document)


@together
def _committed(spool: Spool, claimed: Claimed, now: datetime) -> tuple[Document, int]:
    return commit(spool, claimed, now), spool.unsealed_bytes()
