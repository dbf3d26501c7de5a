"""Between the comparison and the commit: whatever is on the disk then is what was compared (I4)."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest

from daemon.document import State
from daemon.errors import Refused, TransientError
from daemon.sealer import _both
from daemon.spool import Spool
from daemon.workers import Workers
from tests.contract.test_sealer import CrookedKey
from tests.sealing import Sealing, sealing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from contrib.demo.token import TokenFiles
    from daemon.cms import Template
    from daemon.workers import Worker


class ToldWorkers(Workers):
    """Page workers that say when they have compared."""

    def __init__(self, workers: list[Worker], compared: asyncio.Event) -> None:
        super().__init__(workers)
        self._compared = compared

    async def call(self, task: str, *arguments: Any, **more: Any) -> Any:
        answer = await super().call(task, *arguments, **more)
        if task == "readback":
            self._compared.set()
        return answer


class SlowKey(CrookedKey):
    """A token that takes longer than the comparison: what happens then is seen at the end only."""

    def __init__(
        self, real: Sealing, spoil: Callable[[bytes], bytes], compared: asyncio.Event
    ) -> None:
        super().__init__(real, spoil)
        self._compared = compared

    async def sign(self, attributes: bytes, template: Template) -> bytes:
        await self._compared.wait()
        return await super().sign(attributes, template)


class LyingWorkers(Workers):
    """Page workers that tell something else of the file than is in it."""

    def __init__(self, workers: list[Worker], lie: dict[str, Any]) -> None:
        super().__init__(workers)
        self._lie = lie

    async def call(self, task: str, *arguments: Any, **more: Any) -> Any:
        answer = await super().call(task, *arguments, **more)
        return answer | self._lie if task == "readback" else answer


async def refused_by_us(here: Sealing, scan: Path, key: Any) -> None:
    """Seal, which has to come to nothing, and show that nothing was committed."""
    document = await here.claim(scan)
    with pytest.raises(TransientError) as caught:
        await here.sealer.seal(document, key)
    assert caught.value.code == "seal-invalid"
    document = await here.spool(Spool.document, document.id)
    assert (document.state, document.sealed, document.step) == (State.CLAIMED, None, "")
    assert not list(here.config.work_out.iterdir())


@pytest.mark.parametrize("where", ["before the gap", "behind the gap", "at the end"])
def test_a_file_that_changes_while_it_is_signed_is_never_committed(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path], where: str
) -> None:
    """By a disk, or by a worker that kept a descriptor: what is read back was not compared."""

    async def main() -> None:
        compared = asyncio.Event()
        async with sealing(
            tmp_path, seal_token, staff=lambda workers: ToldWorkers(workers, compared)
        ) as here:
            assert await here.key.usable()

            def meddle(signature: bytes) -> bytes:
                (output,) = here.config.work_out.iterdir()
                data = bytearray(output.read_bytes())
                if where == "at the end":
                    data += b"\n"
                else:
                    data[100 if where == "before the gap" else -100] ^= 1
                output.write_bytes(data)
                return signature

            await refused_by_us(here, drawn["brief.pdf"], SlowKey(here, meddle, compared))
            document = await here.claim(drawn["foto.jpg"])
            assert (await here.sealer.seal(document, here.key)).state is State.FROZEN

    asyncio.run(main())


@pytest.mark.parametrize(
    "lie", [{"byte_range": [0, 10, 20, 30]}, {"contents": "ab" * 32}, {"images": 99}]
)
def test_a_worker_that_found_something_else_in_the_file_is_not_believed(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path], lie: dict[str, Any]
) -> None:
    """Its ByteRange, its contents and its pages have to be the ones that were hashed here (I10)."""

    def staff(workers: list[Worker]) -> Workers:
        return LyingWorkers(workers, lie)

    async def main() -> None:
        async with sealing(tmp_path, seal_token, staff=staff) as here:
            assert await here.key.usable()
            await refused_by_us(here, drawn["brief.pdf"], here.key)

    asyncio.run(main())


def fails(exc: Exception, after: float = 0.0) -> Callable[[], Any]:
    async def work() -> None:
        await asyncio.sleep(after)
        raise exc

    return work


def test_of_two_failures_the_documents_own_counts_and_the_other_is_no_riddle(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The token fails first, and yet the pages that differ are what the document is refused for."""

    async def main() -> None:
        refused, token = Refused("pages-differ", "x"), TransientError("hsm-died", "y")
        with pytest.raises(Refused):
            await _both(fails(refused, 0.01)(), fails(token)())

    asyncio.run(main())
    gc.collect()

    assert caplog.messages == []


def test_who_stops_in_between_leaves_nothing_running() -> None:
    """A stop of the service: both are cancelled, and waited for."""
    ended = []

    async def long(name: str) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(name)

    async def main() -> None:
        task = asyncio.create_task(_both(long("one"), long("other")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sorted(ended) == ["one", "other"]

    asyncio.run(main())
