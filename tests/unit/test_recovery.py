"""A start lists the days' folders that can hold something new, and only those."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.alarms import Alarms
from daemon.document import Document, State, folder_of, new_id
from daemon.intake import recovery
from daemon.intake.claim import Desk, commit
from daemon.intake.recovery import UNEXPLAINED, explain, recover
from daemon.intake.settle import Look
from daemon.spool import Spool
from tests.intake import Here, now, pdf, raised, watching

DAYS = timedelta(days=3)


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders YYYY/MM/DD that are listed; each counts as quiet at once."""
    found: list[str] = []
    real = os.listdir

    def noted(path: Path) -> list[str]:
        if path.parents[2].name == "documents":
            found.append("-".join(path.parts[-3:]))
        return real(path)

    monkeypatch.setattr(os, "listdir", noted)
    monkeypatch.setattr(recovery, "QUIET_SECONDS", -1.0)
    return found


def run(root: Path, work: Callable[[Here], Awaitable[None]]) -> None:
    async def main() -> None:
        async with watching(root, running=False) as here:
            await work(here)

    asyncio.run(main())


def taken(here: Here, name: bytes = b"scan.pdf") -> tuple[Path, Callable[[], Awaitable[Document]]]:
    """Claim a scan up to its row; return its folder, and what commits the row."""
    path = here.hot / os.fsdecode(name)
    path.write_bytes(pdf())
    claimed = Desk(here.section, here.config.documents).take(
        name, Look.of(path.stat()), now(), "sure"
    )
    folder = folder_of(here.config.documents, claimed.arrival.id)
    return folder, lambda: here.spool(commit, claimed, now())


async def started(here: Here) -> Alarms:
    alarms = Alarms(now)
    await recover(here.config, here.spool, alarms, now)
    return alarms


def test_a_day_that_is_explained_is_not_listed_again(tmp_path: Path, listed: list[str]) -> None:
    """A million folders are looked at once, not at every start."""

    async def work(here: Here) -> None:
        folder, row = taken(here)
        await row()
        day = "-".join(folder.parts[-4:-1])
        await started(here)
        assert listed == [day]
        await started(here)
        assert listed == [day]

        await taken(here, b"second.pdf")[1]()
        await explain(here.config.documents, here.spool, now())
        assert listed == [day, day]
        await started(here)
        assert listed == [day, day]
        await here.spool(Spool.days_explained, {}, now())
        await started(here)
        assert listed == [day, day, day]

    run(tmp_path, work)


def test_i2_what_comes_to_an_explained_day_is_adopted(tmp_path: Path, listed: list[str]) -> None:
    """A claim that was killed before its row, on a day that had nothing of the kind before."""

    async def work(here: Here) -> None:
        await taken(here)[1]()
        await started(here)
        taken(here, b"second.pdf")
        assert len(await here.documents()) == 1

        # Not by whoever looks beside the stages: the claim may still be on its way.
        await explain(here.config.documents, here.spool, now())
        assert len(await here.documents()) == 1
        await started(here)

        assert [one.state for one in await here.documents()] == [State.CLAIMED] * 2
        before = len(listed)
        await started(here)
        await started(here)
        assert len(listed) == before + 1  # all have rows now

    run(tmp_path, work)


def test_i12_what_nobody_can_explain_is_said_at_every_start(
    tmp_path: Path, listed: list[str]
) -> None:
    """Its day is never explained."""

    async def work(here: Here) -> None:
        folder = folder_of(here.config.documents, new_id(now() - DAYS))
        folder.mkdir(parents=True)
        (folder / "sealed.pdf").write_bytes(b"%PDF")
        for _ in range(3):
            alarms = await started(here)
            assert len(await raised(alarms, UNEXPLAINED)) == 1
            await explain(here.config.documents, here.spool, now())
        assert len(listed) == 6

    run(tmp_path, work)


def test_a_folder_that_changed_just_now_is_listed_again(
    tmp_path: Path, listed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes within the same tick of the clock would not show."""
    monkeypatch.setattr(recovery, "QUIET_SECONDS", 3600.0)

    async def work(here: Here) -> None:
        await taken(here)[1]()
        await started(here)
        await explain(here.config.documents, here.spool, now())
        await started(here)
        assert len(listed) == 2
        assert await here.spool(Spool.explained_days) == {}

    run(tmp_path, work)
