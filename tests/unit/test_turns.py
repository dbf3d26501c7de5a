"""Whose turn it is: how many at once, suspects alone, and the watchdog's food."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from daemon import turns
from daemon.alarms import Alarms
from daemon.document import State
from daemon.errors import StaleWrite, TransientError
from daemon.spool import Spool


def now() -> datetime:
    return datetime.now(UTC)


class Shelf:
    """In the spool's place: documents that lie there in a state, and nothing else."""

    def __init__(self, documents: list[Any]) -> None:
        self.documents = documents

    async def __call__(self, method: Any, *arguments: Any) -> Any:
        if method.__name__ == "in_state":
            return [one for one in self.documents if one.state is arguments[0]]
        return None


class SlowSealer:
    """In the sealer's place: takes as long as it is not told to end."""

    def __init__(self) -> None:
        self.end = asyncio.Event()
        self.begun: list[str] = []

    def seconds(self, _: object) -> float:
        return 900.0

    async def resume(self, _key: object) -> int:
        return 0

    async def seal(self, document: Any, _key: object) -> Any:
        self.begun.append(document.id)
        await self.end.wait()
        document.state = State.FROZEN
        return document


class GoodKey:
    """In the key's place: always usable."""

    async def usable(self) -> bool:
        return True

    async def keep_alive(self) -> None:
        """The token is awake anyway."""


class Unstamped:
    """In the stamper's place: nothing wants a time stamp."""

    asks = False

    async def due(self, _most: int, _busy: Any) -> list[Any]:
        return []


class AwakeKey(GoodKey):
    """A key that counts how often it was kept awake."""

    awake = 0

    async def keep_alive(self) -> None:
        self.awake += 1


class OpenGate:
    """In the clock gate's place: always open."""

    async def check(self) -> str:
        return ""


def claimed(number: int, tries: int = 0) -> Any:
    return SimpleNamespace(id=str(number), state=State.CLAIMED, tries=tries, stamp="")


def stage(documents: list[Any]) -> tuple[turns.Turns, SlowSealer]:
    sealer = SlowSealer()
    made = turns.Turns(
        cast("Any", Shelf(documents)),
        cast("Any", sealer),
        cast("Any", GoodKey()),
        Alarms(now),
        cast("Any", OpenGate()),
        cast("Any", Unstamped()),
    )
    return made, sealer


async def until(question: Any, seconds: float = 30.0) -> None:
    """Wait for a yes, or fail."""
    async with asyncio.timeout(seconds):
        while not question():
            await asyncio.sleep(0.01)


def test_large_documents_and_one_more_that_waits_do_not_silence_the_stage() -> None:
    """Each is within its time, so the watchdog is fed, also while there is no room for another."""

    async def main() -> None:
        made, sealer = stage([claimed(number) for number in range(6)])
        beats: list[float] = []
        made.beat = lambda: beats.append(0.0)
        task = asyncio.create_task(made.run())
        await until(lambda: len(sealer.begun) == turns.AT_ONCE)
        before = len(beats)
        await until(lambda: len(beats) >= before + 2)
        assert len(sealer.begun) == turns.AT_ONCE
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


def test_a_suspect_goes_first_and_alone() -> None:
    """A second end is counted against the one that causes it, and against no other (I8)."""

    async def main() -> None:
        documents = [claimed(1), claimed(2), claimed(3, tries=1)]
        made, sealer = stage(documents)
        task = asyncio.create_task(made.run())
        await until(lambda: sealer.begun == ["3"])
        await asyncio.sleep(0.2)
        assert sealer.begun == ["3"]
        sealer.end.set()
        await until(lambda: sorted(sealer.begun) == ["1", "2", "3"])
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


class RefusingSealer(SlowSealer):
    """Its token fails once, and by then the document was set aside."""

    async def seal(self, document: Any, _key: object) -> Any:
        self.begun.append(document.id)
        document.state = State.REFUSED
        raise TransientError("seal-invalid", "for the second time")


def test_a_pause_ends_when_nothing_waits_any_more() -> None:
    """The document that raised the alarm is gone: nobody else would ever clear it."""

    async def main() -> None:
        alarms = Alarms(now)
        sealer = RefusingSealer()
        shelf, key = cast("Any", Shelf([claimed(1)])), cast("Any", GoodKey())
        made = turns.Turns(
            shelf,
            cast("Any", sealer),
            key,
            alarms,
            cast("Any", OpenGate()),
            cast("Any", Unstamped()),
        )
        task = asyncio.create_task(made.run())
        await until(lambda: [alarm.code for alarm in alarms.now()] == ["sealing-paused"])
        await until(lambda: alarms.now() == ())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


class CrookedSealer(SlowSealer):
    """Its token signs wrongly once, then well."""

    async def seal(self, document: Any, _key: object) -> Any:
        self.begun.append(document.id)
        if len(self.begun) == 1:
            raise TransientError("signature-invalid", "it does not verify")
        document.state = State.FROZEN
        return document


def test_a_wrong_signature_is_an_alarm_until_a_document_was_sealed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By its own name: a paused stage alone would not send a person to the token."""
    monkeypatch.setattr(turns, "IDLE_SECONDS", 0.1)

    async def main() -> None:
        alarms = Alarms(now)
        shelf, key = cast("Any", Shelf([claimed(1)])), cast("Any", GoodKey())
        gate, stamper = cast("Any", OpenGate()), cast("Any", Unstamped())
        made = turns.Turns(shelf, cast("Any", CrookedSealer()), key, alarms, gate, stamper)
        raised: list[str] = []
        raise_ = alarms.raise_

        def noted(code: str, instance: str = "", detail: str = "") -> None:
            raised.append(code)
            raise_(code, instance, detail)

        monkeypatch.setattr(alarms, "raise_", noted)
        task = asyncio.create_task(made.run())
        await until(lambda: raised == ["sealing-paused", "signature-invalid"])
        await until(lambda: alarms.now() == ())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


class WaitingSealer(SlowSealer):
    """Documents of its wait for a better certificate, for as long as it says."""

    waiting = 2

    async def resume(self, _key: object) -> int:
        return self.waiting


def test_documents_that_wait_for_a_better_seal_are_an_alarm() -> None:
    """Nobody stands still without saying so; it is cleared when they go on."""

    async def main() -> None:
        alarms = Alarms(now)
        sealer = WaitingSealer()
        shelf, key = cast("Any", Shelf([])), cast("Any", GoodKey())
        made = turns.Turns(
            shelf,
            cast("Any", sealer),
            key,
            alarms,
            cast("Any", OpenGate()),
            cast("Any", Unstamped()),
        )
        task = asyncio.create_task(made.run())
        await until(lambda: [(a.code, a.detail) for a in alarms.now()] == [("seal-quality", "2")])
        sealer.waiting = 0
        made.wake()
        await until(lambda: alarms.now() == ())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


class ClosingGate(OpenGate):
    """A clock gate that shuts in the middle of a turn: the time has jumped."""

    def __init__(self, opens: int) -> None:
        self._left = opens

    async def check(self) -> str:
        self._left -= 1
        return "" if self._left >= 0 else "jumped"


def test_a_turn_ends_when_the_clock_can_no_longer_be_trusted() -> None:
    """With large scans it lasts for hours, and a wrong time is in a seal for ever."""

    async def main() -> None:
        sealer = SlowSealer()
        sealer.end.set()
        made = turns.Turns(
            cast("Any", Shelf([claimed(number) for number in range(20)])),
            cast("Any", sealer),
            cast("Any", GoodKey()),
            Alarms(now),
            cast("Any", ClosingGate(4)),
            cast("Any", Unstamped()),
        )
        task = asyncio.create_task(made.run())
        await until(lambda: len(sealer.begun) == 3)
        await asyncio.sleep(0.3)
        assert len(sealer.begun) == 3
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


class LateSealer(SlowSealer):
    """It finds that somebody has set its document aside since the turn began, or something worse."""

    async def seal(self, document: Any, _key: object) -> Any:
        self.begun.append(document.id)
        raise StaleWrite("0 rows were as expected")


@pytest.mark.parametrize("state", [State.HELD, State.CLAIMED])
def test_a_document_that_was_set_aside_meanwhile_ends_nothing(state: State) -> None:
    """The nightly sample found its file damaged. Any other surprise is our bug, and ends us."""

    async def main() -> None:
        sealer = LateSealer()
        document = claimed(1)

        class Changed(Shelf):
            async def __call__(self, method: Any, *arguments: Any) -> Any:
                if method is Spool.document:
                    return SimpleNamespace(id="1", state=state)
                return await super().__call__(method, *arguments)

        made = turns.Turns(
            cast("Any", Changed([document])),
            cast("Any", sealer),
            cast("Any", GoodKey()),
            Alarms(now),
            cast("Any", OpenGate()),
            cast("Any", Unstamped()),
        )
        task = asyncio.create_task(made.run())
        await until(lambda: len(sealer.begun) >= 2 or task.done())
        assert task.done() == (state is not State.HELD)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


def test_a_closed_clock_gate_does_not_let_the_token_fall_asleep() -> None:
    """It may stay closed for days; some tokens end a session after half a minute."""

    async def main() -> None:
        key = AwakeKey()
        made = turns.Turns(
            cast("Any", Shelf([])),
            cast("Any", SlowSealer()),
            cast("Any", key),
            Alarms(now),
            cast("Any", ClosingGate(0)),
            cast("Any", Unstamped()),
        )
        assert not await made.may_seal()
        assert key.awake == 1

    asyncio.run(main())
