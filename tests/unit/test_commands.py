"""What people ask of the running service: by which digits, and in whose words it answers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from daemon.commands import Commands
from daemon.document import Copy, Document, State, new_id
from daemon.errors import PersonNeeded
from daemon.intake.claim import Desk, commit
from daemon.intake.settle import Look
from daemon.lookout import Lookout
from daemon.parts import Parts
from daemon.spool import Spool
from tests.intake import Here, now, pdf, watching

ME = "uid 1000 (anna)"
HALF = pdf()[:-12]


def run(root: Path, work: Callable[[Here], Awaitable[None]], **changes: Any) -> None:
    """Run *work* with a hot folder whose stage does not run."""

    async def main() -> None:
        async with watching(root, running=False, **changes) as here:
            await work(here)

    asyncio.run(main())


async def drop(here: Here, name: bytes = b"scan.pdf", data: bytes = HALF) -> Document:
    """Claim a scan, which is refused unless it is whole."""
    path = here.hot / os.fsdecode(name)
    path.write_bytes(data)
    desk = Desk(here.section, here.config.documents)
    return await here.spool(commit, desk.take(name, Look.of(path.stat()), now(), "sure"), now())


async def ask(here: Here, command: str, language: str = "de", **arguments: str) -> Any:
    config = replace(here.config, box=replace(here.config.box, language=language))
    parts = Parts(config, intakes=(here.stage,))
    lookout = cast("Lookout", None)  # for `status` alone
    return await Commands(config, here.spool, parts, lookout, now).table()[command](arguments, ME)


async def refusal(here: Here, command: str, language: str = "de", **arguments: str) -> PersonNeeded:
    with pytest.raises(PersonNeeded) as caught:
        await ask(here, command, language, **arguments)
    return caught.value


@pytest.mark.parametrize("digits", [8, 12, 36])
def test_the_last_digits_of_an_id_are_enough(digits: int, tmp_path: Path) -> None:
    """They are what stands in the name of the copy."""

    async def work(here: Here) -> None:
        one, two, three = [await drop(here, b"%d.pdf" % n, HALF + b"%d" % n) for n in range(3)]

        assert await ask(here, "release", id=one.id[-digits:]) == ["document"]
        assert await ask(here, "discard", id=two.id[-digits:], reason="test") == {"id": two.id}
        assert await ask(here, "supersede", old=three.id[-digits:], new=one.id[-digits:]) == {
            "old": three.id,
            "new": one.id,
        }
        states = [(await here.spool(Spool.document, d.id)).state for d in (one, two, three)]
        assert states == [State.CLAIMED, State.DISCARDED, State.DISCARDED]

    run(tmp_path, work)


@pytest.mark.parametrize("command", ["release", "discard", "supersede"])
def test_digits_of_two_documents_change_neither(command: str, tmp_path: Path) -> None:
    """I12: ask, never guess."""

    async def work(here: Here) -> None:
        document = await drop(here)
        arrival = here.origin(document).arrival(document.digest, "pdf")
        await here.spool(
            Spool.claim, replace(arrival, id=new_id(now())[:-8] + document.id[-8:]), now()
        )
        id8 = document.id[-8:]
        arguments = {"id": id8, "reason": "test", "old": id8, "new": document.id}

        assert (await refusal(here, command, **arguments)).code == "ambiguous-id"
        assert (
            await refusal(here, command, **{**arguments, "id": "nobody", "old": "nobody"})
        ).code == ("unknown-document")
        assert await here.spool(Spool.document, document.id) == document

    run(tmp_path, work)


@pytest.mark.parametrize(("language", "state"), [("de", "aufgegeben"), ("en", "given up")])
def test_the_state_of_a_refusal_is_told_in_the_boxs_language(
    language: str, state: str, tmp_path: Path
) -> None:
    """Neither `discarded` for people who read German, nor the other way round."""

    async def work(here: Here) -> None:
        document = await drop(here)
        other = await drop(here, b"other.pdf", HALF + b"2")
        await ask(here, "discard", id=document.id, reason="test")
        said = f"{document.id} ({state})"
        for command, arguments, code in (
            ("release", {"id": document.id}, "nothing-to-release"),
            ("discard", {"id": document.id, "reason": "again"}, "not-refused"),
            ("supersede", {"old": document.id, "new": other.id}, "not-refused"),
            ("supersede", {"old": other.id, "new": document.id}, "not-a-successor"),
        ):
            refused = await refusal(here, command, language, **arguments)
            assert refused.code == code
            assert said in refused.args[0]

    run(tmp_path, work)


@pytest.mark.parametrize("command", ["release", "discard", "supersede"])
def test_what_lies_in_rejected_follows_a_persons_word_at_once(command: str, tmp_path: Path) -> None:
    """Not at the next look, which may be an hour away: its text is a lie by now."""

    async def main() -> None:
        async with watching(tmp_path, rescan_seconds=3600.0) as here:
            document = await drop(here)
            other = await drop(here, b"other.pdf", HALF + b"2")
            here.stage.copies_due()
            await settled(here, document, Copy.THERE)
            await ask(here, command, id=document.id, reason="test", old=document.id, new=other.id)
            await settled(here, document, Copy.NONE)
            assert not list(here.back.glob(f"*~{document.id[-8:]}.*"))

    asyncio.run(main())


async def settled(here: Here, document: Document, copy: Copy) -> None:
    """Wait until the copy is where it has to be."""
    async with asyncio.timeout(15):
        while (await here.spool(Spool.document, document.id)).copy is not copy:
            await asyncio.sleep(0.01)


def test_a_reason_is_needed_and_stays_with_us(tmp_path: Path) -> None:
    """A person's words are personal detail: never in a line that leaves the box."""

    async def work(here: Here) -> None:
        document = await drop(here)
        for reason in ("", "   ", "x" * 1001):
            assert (await refusal(here, "discard", id=document.id, reason=reason)).code == (
                "reason-missing"
            )
        await ask(here, "discard", id=document.id, reason="Frau Müller rief an")
        assert "ller" not in "".join(await here.spool(Spool.lines, document.id))

    run(tmp_path, work)
