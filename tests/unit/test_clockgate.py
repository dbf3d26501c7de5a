"""The clock gate over a real spool: what a jump closes stays closed until somebody agrees."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from daemon.alarms import Alarms
from daemon.clock import ClockFacts, Reading
from daemon.clockgate import ClockGate
from daemon.errors import PersonNeeded
from daemon.spool import Spool, SpoolThread, open_spool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

BEGIN = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NTP = ClockFacts(ntp=True, rtc=True)
BATTERY = ClockFacts(ntp=False, rtc=True)


class World:
    """A box whose time anybody can set."""

    def __init__(self, spool: SpoolThread, policy: str = "ntp-or-rtc") -> None:
        self.spool = spool
        self.policy = policy
        self.set_by = timedelta()
        self.passed = timedelta()
        self.boot = "first boot"
        self.facts = BATTERY
        self.restart()

    def now(self) -> datetime:
        return BEGIN + self.passed + self.set_by

    def restart(self) -> None:
        self.alarms = Alarms(self.now)
        self.gate = ClockGate(
            self.spool,
            self.alarms,
            self.now,
            self.policy,
            look=lambda: self.facts,
            read=lambda now: Reading(self.boot, now.timestamp() - self.passed.total_seconds()),
        )

    async def line(self) -> None:
        """Something happens, and is written down with the time of the box."""
        await self.spool(Spool.note, "test", {}, None, self.now())

    async def events(self) -> list[tuple[str, dict[str, Any]]]:
        lines = [json.loads(text) for text in await self.spool(Spool.after, 0)]
        return [(line["event"], line["detail"]) for line in lines if line["event"] != "test"]


def played(tmp_path: Path, play: Callable[[World], Awaitable[None]], policy: str = "") -> None:
    async def main() -> None:
        spool = await open_spool(tmp_path, new=True)
        try:
            await play(World(spool, policy or "ntp-or-rtc"))
        finally:
            await spool.close()

    (tmp_path / "ledger").mkdir()
    (tmp_path / "documents").mkdir()
    asyncio.run(main())


def test_one_wrong_future_time_does_not_stop_the_box_for_years(tmp_path: Path) -> None:
    """It started in 2031, wrote that down, and was set right: NTP agrees, and it goes on."""

    async def play(world: World) -> None:
        world.set_by = timedelta(days=5 * 365)
        assert await world.gate.check() == ""
        await world.line()

        world.set_by = timedelta()
        assert await world.gate.check() == "backwards"
        assert [alarm.detail for alarm in world.alarms.now()] == ["backwards"]

        world.facts = NTP
        assert await world.gate.check() == ""
        assert world.alarms.now() == ()
        assert ("clock-accepted", {"by": "ntp"}) in await world.events()
        await world.line()
        assert await world.gate.check() == ""

    played(tmp_path, play)


def test_a_person_accepts_where_there_is_no_ntp(tmp_path: Path) -> None:
    """Once, and the ledger says so; the person's name is personal detail."""

    async def play(world: World) -> None:
        world.set_by = timedelta(days=400)
        await world.line()
        await world.gate.check()
        world.set_by = timedelta()
        assert await world.gate.check() == "backwards"

        said = await world.gate.accept("uid 7")

        assert (said["was"], said["problem"]) == ("backwards", "")
        assert await world.gate.check() == ""
        assert await world.events() == [
            ("clock-jumped", {"seconds": -400 * 86400}),
            ("clock-accepted", {"by": "person"}),
        ]
        with pytest.raises(PersonNeeded) as caught:
            await world.gate.accept("uid 7")
        assert caught.value.code == "clock-not-waiting"
        world.restart()
        assert await world.gate.check() == ""

    played(tmp_path, play)


@pytest.mark.parametrize("hours", [2, -2])
def test_a_jump_while_it_runs_stays_closed_over_a_restart(tmp_path: Path, hours: int) -> None:
    """Also once so much time has passed that no line is newer: the time is still the wrong one."""

    async def play(world: World) -> None:
        assert await world.gate.check() == ""
        world.set_by = timedelta(hours=hours)
        assert await world.gate.check() == "jumped"
        world.restart()
        world.passed = timedelta(days=2)
        assert await world.gate.check() == "jumped"
        world.boot = "second boot"
        assert await world.gate.check() == "jumped"
        jumps = [detail for event, detail in await world.events() if event == "clock-jumped"]
        assert jumps == [{"seconds": hours * 3600}]

        world.facts = NTP
        assert await world.gate.check() == ""

    played(tmp_path, play)


@pytest.mark.parametrize("by", ["ntp", "person"])
def test_how_far_the_time_was_set_is_known_however_it_was_accepted(tmp_path: Path, by: str) -> None:
    """At once by NTP, which has set it itself: what was filed before has not aged by that (I2)."""

    async def play(world: World) -> None:
        await world.gate.check()
        await world.line()
        filed = (await world.spool(Spool.head)).seq
        world.set_by = timedelta(days=30)
        if by == "ntp":
            world.facts = NTP
            assert await world.gate.check() == ""
        else:
            await world.gate.accept("uid 0")
        assert await world.spool(Spool.set_forward_since, filed) == timedelta(days=30)
        seconds = 30 * 86_400
        assert ("clock-accepted", {"by": by, "seconds": seconds}) in await world.events()
        head = await world.spool(Spool.head)
        assert await world.spool(Spool.set_forward_since, head.seq) == timedelta()

    played(tmp_path, play)


def test_back_by_more_than_an_hour_is_not_waited_away(tmp_path: Path) -> None:
    """Two hours later no line is newer than the time, and it is two hours wrong all the same."""

    async def play(world: World) -> None:
        await world.line()
        await world.gate.check()
        world.set_by = timedelta(hours=-2)
        assert await world.gate.check() == "backwards"
        world.passed = timedelta(hours=3)
        assert await world.gate.check() == "jumped"

    played(tmp_path, play)


def test_a_jump_while_the_service_stood_still_is_seen(tmp_path: Path) -> None:
    """In the same boot the seconds since it tell."""

    async def play(world: World) -> None:
        assert await world.gate.check() == ""
        world.set_by = timedelta(days=900)
        world.restart()
        assert await world.gate.check() == "jumped"

    played(tmp_path, play)


def test_small_corrections_are_no_jump_however_many_there_are(tmp_path: Path) -> None:
    """NTP takes them every day."""

    async def play(world: World) -> None:
        for minutes in range(0, 600, 20):
            world.set_by = timedelta(minutes=minutes)
            world.passed += timedelta(hours=1)
            assert await world.gate.check() == ""
        assert await world.events() == []

    played(tmp_path, play)


def test_a_host_may_wake_its_machine_up(tmp_path: Path) -> None:
    """It stood still for a day, and is set to the right time; back it may not be set."""

    async def play(world: World) -> None:
        world.facts = ClockFacts(ntp=False, rtc=False)
        assert await world.gate.check() == ""
        world.set_by = timedelta(days=1)
        assert await world.gate.check() == ""
        world.set_by = timedelta(hours=20)
        assert await world.gate.check() == "jumped"

    played(tmp_path, play, "host")


def test_a_time_that_nobody_keeps_is_nothing_to_accept(tmp_path: Path) -> None:
    """A person cannot be the clock."""

    async def play(world: World) -> None:
        world.facts = ClockFacts(ntp=False, rtc=False)
        assert await world.gate.check() == "no-source"
        with pytest.raises(PersonNeeded) as caught:
            await world.gate.accept("uid 7")
        assert caught.value.code == "clock-not-waiting"

    played(tmp_path, play)


def test_the_spool_is_not_asked_each_time_and_a_jump_is_seen_at_once(tmp_path: Path) -> None:
    """It is asked before each document; what has to be fresh is how the time stands."""

    async def play(world: World) -> None:
        asked: list[object] = []

        async def ask(method: Any, *values: Any) -> Any:
            asked.append(method)
            return await world.spool(method, *values)

        world.gate._spool = ask  # type: ignore[assignment]
        await world.gate.check()
        await world.gate.check()
        before = asked.count(Spool.clock_record)
        for _ in range(20):
            assert await world.gate.check() == ""
        world.set_by = timedelta(hours=-2)
        assert await world.gate.check() == "jumped"
        world.set_by = timedelta()
        assert await world.gate.check() == "jumped"  # until somebody agrees

        assert asked.count(Spool.clock_record) <= before + 3

    played(tmp_path, play)
