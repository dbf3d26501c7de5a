"""Several calls of the spool that wait at the same time: one commit, and each still by itself."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest

from daemon.document import State
from daemon.errors import StaleWrite
from daemon.records.transaction import together
from daemon.spool import Spool, SpoolThread, open_spool
from tests.agreement import check
from tests.values import NOW, arrival

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


class Held:
    """The spool with its thread held up, so that calls pile up; and what SQLite was told."""

    def __init__(self, spool: SpoolThread) -> None:
        self.spool = spool
        self.statements: list[str] = []
        self._go_on = threading.Event()
        self._reached = asyncio.Event()

    async def hold(self) -> asyncio.Task[None]:
        """Keep the thread busy until `let_go`."""
        loop = asyncio.get_running_loop()

        def busy(spool: Spool) -> None:
            spool._db.set_trace_callback(self.statements.append)
            loop.call_soon_threadsafe(self._reached.set)
            assert self._go_on.wait(20)

        task = asyncio.create_task(self.spool(busy))
        await self._reached.wait()
        return task

    async def answers(self, *calls: Awaitable[object]) -> list[object]:
        """Let all *calls* wait at once, let the thread go, and return what they came to."""
        holding = await self.hold()
        tasks = [asyncio.ensure_future(call) for call in calls]
        await asyncio.sleep(0)  # each has put itself in
        self._go_on.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        await holding
        return found

    def said(self, word: str) -> int:
        """How often SQLite was told that."""
        return sum(statement.startswith(word) for statement in self.statements)


def run(tmp_path: Path, work: Callable[[Held], Awaitable[None]]) -> None:
    """Open a spool, and look in the end whether everything in it agrees."""

    async def main() -> None:
        for name in ("documents", "ledger"):
            (tmp_path / name).mkdir()
        spool = await open_spool(tmp_path, new=True)
        try:
            await work(Held(spool))
            await spool(check)
        finally:
            await spool.close()

    asyncio.run(main())


def test_what_waits_at_the_same_time_has_one_commit(tmp_path: Path) -> None:
    """Each is a step with its line; the disk is asked once."""

    async def work(held: Held) -> None:
        calls = [held.spool(Spool.claim, arrival(n), NOW) for n in range(5)]
        *documents, counts = await held.answers(*calls, held.spool(Spool.counts))
        assert len({one.id for one in documents}) == 5  # type: ignore[attr-defined]
        assert counts["document"] == {State.CLAIMED: 5}  # type: ignore[index]
        assert (held.said("BEGIN"), held.said("COMMIT")) == (1, 1)
        assert held.said("SAVEPOINT") == held.said("RELEASE") == 5

    run(tmp_path, work)


def test_what_only_reads_begins_nothing(tmp_path: Path) -> None:
    """Then there is nothing to commit."""

    async def work(held: Held) -> None:
        await held.answers(held.spool(Spool.head), held.spool(Spool.counts))
        assert (held.said("BEGIN"), held.said("COMMIT")) == (0, 0)

    run(tmp_path, work)


def test_one_that_fails_by_itself_takes_no_other_along(tmp_path: Path) -> None:
    """A compare-and-set that came too late, in the middle: its line is in no chain."""

    async def work(held: Held) -> None:
        first = await held.spool(Spool.claim, arrival(0), NOW)
        await held.spool(Spool.refuse, first, "too-large", "", NOW)
        twice = arrival(1)
        found = await held.answers(
            held.spool(Spool.claim, twice, NOW),
            held.spool(Spool.begin, first, "seal", NOW),
            held.spool(Spool.claim, twice, NOW),
            held.spool(Spool.claim, arrival(2), NOW),
        )
        assert [type(one) for one in found[1:3]] == [StaleWrite, sqlite3.IntegrityError]
        assert held.said("ROLLBACK TO") == 2
        assert held.said("COMMIT") == 1
        assert len(await held.spool(Spool.newest, 9)) == 3

    run(tmp_path, work)


def test_nobody_hears_of_a_step_that_is_not_durable(tmp_path: Path) -> None:
    """The disk is full at the end: none of them has happened, and each caller is told so."""

    async def work(held: Held) -> None:
        @together
        def fills(spool: Spool) -> None:
            (pages,) = spool._db.execute("PRAGMA page_count").fetchone()
            spool._db.execute(f"PRAGMA max_page_count = {pages}")
            with spool._step(NOW) as step:
                step.line("", "filled", {"long": "x" * 100_000})

        found = await held.answers(
            held.spool(Spool.claim, arrival(1), NOW),
            held.spool(fills),
            held.spool(Spool.claim, arrival(2), NOW),
        )
        assert [str(one) for one in found] == ["database or disk is full"] * 3
        await held.spool(lambda spool: spool._db.execute("PRAGMA max_page_count = 1000000"))
        assert await held.spool(Spool.newest, 9) == []
        await held.spool(Spool.claim, arrival(1), NOW)

    run(tmp_path, work)


def test_a_read_that_ends_the_transaction_ends_it_for_all(tmp_path: Path) -> None:
    """As SQLite does by itself where the disk fails: what follows commits nothing alone."""

    async def work(held: Held) -> None:
        @together
        def reads(spool: Spool) -> None:
            spool._db.execute("ROLLBACK")
            raise sqlite3.OperationalError("disk I/O error")

        found = await held.answers(
            held.spool(Spool.claim, arrival(1), NOW),
            held.spool(reads),
            held.spool(Spool.claim, arrival(2), NOW),
        )
        assert [str(one) for one in found] == ["disk I/O error"] * 3
        assert await held.spool(Spool.newest, 9) == []
        await held.spool(Spool.claim, arrival(1), NOW)

    run(tmp_path, work)


def test_a_step_that_cannot_be_undone_is_not_committed_with_the_others(tmp_path: Path) -> None:
    """Its line is in the transaction still: none of it happens."""

    async def work(held: Held) -> None:
        def refuses(action: int, operation: str | None, *_: object) -> int:
            undoes = action == sqlite3.SQLITE_SAVEPOINT and operation == "ROLLBACK"
            return sqlite3.SQLITE_DENY if undoes else sqlite3.SQLITE_OK

        @together
        def half(spool: Spool) -> None:
            with spool._step(NOW) as step:
                step.line("", "stop", {})
                spool._db.set_authorizer(refuses)
                raise StaleWrite("too late")

        found = await held.answers(
            held.spool(Spool.claim, arrival(1), NOW),
            held.spool(half),
            held.spool(Spool.claim, arrival(2), NOW),
        )
        await held.spool(lambda spool: spool._db.set_authorizer(None))
        assert all(isinstance(one, BaseException) for one in found)
        assert await held.spool(Spool.newest, 9) == []
        assert (await held.spool(Spool.head)).seq == 0
        await held.spool(Spool.claim, arrival(1), NOW)

    run(tmp_path, work)


def test_an_error_of_the_commit_is_everybodys(tmp_path: Path) -> None:
    """It cannot be said whose step it was about."""

    async def work(held: Held) -> None:
        @together
        def breaks_the_commit(spool: Spool) -> None:
            with spool._step(NOW) as step:
                step.db.execute("PRAGMA defer_foreign_keys = ON")
                step.db.execute("INSERT INTO child VALUES (7)")

        def with_children(spool: Spool) -> None:
            spool._db.execute("PRAGMA foreign_keys = ON")
            spool._db.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
            spool._db.execute("CREATE TABLE child (id REFERENCES parent(id))")

        await held.spool(with_children)
        found = await held.answers(
            held.spool(Spool.claim, arrival(1), NOW), held.spool(breaks_the_commit)
        )
        assert [type(one) for one in found] == [sqlite3.IntegrityError] * 2
        assert await held.spool(Spool.newest, 9) == []

    run(tmp_path, work)


def test_what_is_not_only_about_the_database_has_its_own_turn(tmp_path: Path) -> None:
    """The ledger's files get what is committed, and in the order in which it was asked."""

    async def work(held: Held) -> None:
        found = await held.answers(
            held.spool(Spool.claim, arrival(1), NOW),
            held.spool(Spool.claim, arrival(2), NOW),
            held.spool(Spool.export_ledger),
            held.spool(Spool.claim, arrival(3), NOW),
        )
        assert found[2] == 2
        assert held.said("SAVEPOINT") == 2

    run(tmp_path, work)


def test_and_takes_nothing_that_follows_into_it(tmp_path: Path) -> None:
    """Alone means alone."""

    async def work(held: Held) -> None:
        await held.answers(
            held.spool(Spool.export_ledger), held.spool(Spool.claim, arrival(1), NOW)
        )
        assert held.said("SAVEPOINT") == 0
        assert held.said("COMMIT") == 1

    run(tmp_path, work)


def test_a_call_that_nobody_waits_for_any_more_is_not_begun(tmp_path: Path) -> None:
    """As where a stage was cancelled while its call waited."""

    async def work(held: Held) -> None:
        holding = await held.hold()
        call = asyncio.create_task(held.spool(Spool.claim, arrival(1), NOW))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        held._go_on.set()
        await holding
        assert await held.spool(Spool.newest, 9) == []

    run(tmp_path, work)


def test_a_spool_that_cannot_be_opened_leaves_no_thread(tmp_path: Path) -> None:
    """Whoever asked hears why."""

    async def main() -> None:
        with pytest.raises(FileNotFoundError):
            await open_spool(tmp_path / "nowhere", new=True)
        assert "spool" not in {one.name for one in threading.enumerate()}

    asyncio.run(main())
