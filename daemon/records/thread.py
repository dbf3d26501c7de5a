"""The spool's thread: one writer, which takes what waits in order and commits together what may be.

Several calls that wait at the same time share one commit, and its fsync, where each of them does
nothing but read and write the database (`transaction.together`).
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Concatenate, Final, Generic, ParamSpec, Protocol, TypeVar

from daemon.records.damage import end_if_unsynced, name_damage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

AT_ONCE: Final = 64
"""So many calls share one commit at most."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Call:
    """One call of a method, and who waits for its answer."""

    work: Callable[[], Any]
    together: bool
    answer: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None

    def run(self) -> None:
        """Do it, on the spool's thread, and keep what it came to."""
        try:
            self.result = self.work()
        except BaseException as exc:  # noqa: BLE001 (it is the caller's)
            end_if_unsynced(exc)
            self.error = exc

    def tell(self) -> None:
        """Answer whoever waits, on the event loop."""
        if self.answer.done():
            return  # nobody waits any more
        if self.error is not None:
            self.answer.set_exception(self.error)
        else:
            self.answer.set_result(self.result)


class Shares(Protocol):
    """What lives on the thread."""

    def share_commit(self, calls: Sequence[Call]) -> None:
        """Run *calls* and make what they did durable together: all of it, or nothing."""

    def close(self) -> None:
        """End; nothing is called afterwards."""


S = TypeVar("S", bound=Shares)


class OneThread(Generic[S]):
    """A spool on its own thread: `await spool(Spool.claim, arrival, now)`.

    One thread, so one writer; the event loop never waits for the disk. What has to wait
    for its turn is done in order, and where it may be (`together`) with one commit: under
    load the disk is asked once for several steps. The ledger's files follow in groups:
    `export_ledger` is due once nothing else is.
    """

    def __init__(self, spool: Callable[[], S], ready: asyncio.Future[S]) -> None:
        """Use `open_spool`: the spool has to be made on the thread it lives on."""
        self._loop = asyncio.get_running_loop()
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._spool: S
        self._thread = threading.Thread(
            target=self._serve, args=(spool, ready), name="spool", daemon=True
        )
        self._thread.start()

    async def __call__(
        self, method: Callable[Concatenate[S, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run one method of the spool on its thread and return what it returns."""
        answer: asyncio.Future[T] = self._loop.create_future()

        def work() -> T:
            return method(self._spool, *args, **kwargs)

        self._calls.put(Call(work, getattr(method, "together", False), answer))
        try:
            return await answer
        except sqlite3.DatabaseError as exc:
            name_damage(exc)
            raise

    async def close(self) -> None:
        """Close the database and end the thread."""
        await self(_close)
        self.end()

    def end(self) -> None:
        """End the thread, and wait for it."""
        self._calls.put(None)
        self._thread.join()

    # -- on the thread --------------------------------------------------------------

    def _serve(self, spool: Callable[[], S], ready: asyncio.Future[S]) -> None:
        opening = Call(spool, together=False, answer=ready)
        opening.run()
        if opening.error is None:
            self._spool = opening.result
        self._loop.call_soon_threadsafe(opening.tell)
        waiting: deque[Call | None] = deque()
        while True:
            waiting.append(self._calls.get())
            while not self._calls.empty():
                waiting.append(self._calls.get())
            while waiting:
                call = waiting.popleft()
                if call is None:
                    return
                calls = [call]
                while call.together and waiting and len(calls) < AT_ONCE:
                    if waiting[0] is None or not waiting[0].together:
                        break
                    calls.append(waiting.popleft())  # type: ignore[arg-type]
                self._do([one for one in calls if not one.answer.cancelled()])

    def _do(self, calls: list[Call]) -> None:
        if len(calls) == 1:
            calls[0].run()
        elif calls:
            self._spool.share_commit(calls)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(_tell, calls)


def _tell(calls: list[Call]) -> None:
    for call in calls:
        call.tell()


def _close(spool: Shares) -> None:
    spool.close()
