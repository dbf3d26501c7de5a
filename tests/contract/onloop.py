"""A target that keeps its connections on an event loop of its own.

The contract asks each question by `asyncio.run`, on a new loop each time; a connection belongs to
the loop on which it was made.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import datetime

    from daemon.document import Receipt
    from daemon.targets import Sending, Target


class OnLoop:
    """*target*, as any loop may ask it; `end` has to be called."""

    def __init__(self, target: Any) -> None:
        self.inner = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def find(self, part: Sending) -> Any:
        return await self._there(lambda: self.inner.find(part))

    async def put(self, part: Sending) -> Any:
        return await self._there(lambda: self.inner.put(part))

    async def prove(self, receipt: Receipt, part: Sending) -> Any:
        return await self._there(lambda: self.inner.prove(receipt, part))

    async def extend(self, receipt: Receipt, until: datetime) -> Any:
        return await self._there(lambda: self.inner.extend(receipt, until))

    async def close(self) -> None:
        await self._there(self.inner.close)

    def end(self) -> None:
        """Close the target and end its loop."""
        asyncio.run(self.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _there(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(), self._loop))


if TYPE_CHECKING:
    _: type[Target] = OnLoop
