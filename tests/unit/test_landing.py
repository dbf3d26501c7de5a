"""Claims whose rows are on the way, with a spool that takes its time."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from daemon.document import Document, State
from daemon.intake.claim import Claimed
from daemon.intake.landing import AT_ONCE, Landing
from daemon.spool import Spool, SpoolThread, open_spool
from tests.values import NOW, arrival

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


class Bench:
    """A landing, and a spool that can be held up."""

    def __init__(self, spool: SpoolThread) -> None:
        self.spool = spool
        self.begun: list[str] = []
        self.landed: list[Document] = []
        self.landing = Landing(spool, lambda: NOW, self._landed)
        self.go_on = threading.Event()

    def begin(self, number: int, *, again: bool = False) -> int:
        """Begin to commit a claim, or the one before once more; return its size."""
        one = replace(arrival(number), id=self.begun[-1]) if again else arrival(number)
        self.begun.append(one.id)
        self.landing.begin(Claimed(arrival=one, flaw=None, copied=False))
        return one.size

    async def hold(self) -> None:
        """Let the spool do nothing before `go_on`."""
        asyncio.ensure_future(self.spool(lambda _: self.go_on.wait(20)))  # noqa: RUF006
        await asyncio.sleep(0)

    async def _landed(self, claimed: Claimed, document: Document) -> None:
        assert claimed.arrival.id == document.id
        self.landed.append(document)


def run(tmp_path: Path, work: Callable[[Bench], Awaitable[None]]) -> None:
    """Run a test with a spool of its own."""

    async def main() -> None:
        for name in ("documents", "ledger"):
            (tmp_path / name).mkdir()
        spool = await open_spool(tmp_path, new=True)
        bench = Bench(spool)
        try:
            await work(bench)
        finally:
            bench.go_on.set()
            await spool.close()

    asyncio.run(main())


def test_what_is_on_its_way_counts_as_not_sealed(tmp_path: Path) -> None:
    """Else two large scans would be given the same room."""

    async def work(bench: Bench) -> None:
        await bench.hold()
        sizes = [bench.begin(1), bench.begin(2)]
        assert await bench.landing.unsealed() == sum(sizes)
        bench.go_on.set()
        await bench.landing.end()
        assert await bench.landing.unsealed() == sum(sizes)
        # What another folder has claimed counts too.
        sizes.append((await bench.spool(Spool.claim, arrival(3), NOW)).size)
        assert await bench.landing.unsealed() == sum(sizes)
        sizes.append(bench.begin(4))
        await bench.landing.end()
        assert await bench.landing.unsealed() == sum(sizes)

    run(tmp_path, work)


def test_they_land_in_order_and_few_at_once(tmp_path: Path) -> None:
    """One more than may be on the way waits until the first has landed."""

    async def work(bench: Bench) -> None:
        await bench.hold()
        for number in range(AT_ONCE):
            bench.begin(number)
        waiting = asyncio.ensure_future(bench.landing.unsealed())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
        assert bench.landed == []
        bench.go_on.set()
        await waiting
        assert bench.landed
        bench.begin(AT_ONCE)
        await bench.landing.end()
        assert [document.id for document in bench.landed] == bench.begun
        assert {document.state for document in bench.landed} == {State.CLAIMED}

    run(tmp_path, work)


def test_a_commit_that_fails_goes_up(tmp_path: Path) -> None:
    """It ends the stage, and with it the process: the next start adopts what lies there."""

    async def work(bench: Bench) -> None:
        bench.begin(1)
        bench.begin(1, again=True)
        with pytest.raises(sqlite3.IntegrityError):
            await bench.landing.end()
        assert len(bench.landed) == 1

    run(tmp_path, work)
