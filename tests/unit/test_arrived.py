"""Did my scan arrive? Which scans are told, for whatever way people ask."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon import arrived
from daemon.arrived import Arrived, since
from daemon.document import Described, Document, new_id
from daemon.errors import PersonNeeded
from daemon.intake.claim import Desk, commit
from daemon.intake.settle import Look
from daemon.parts import Parts
from daemon.spool import Spool
from tests.intake import Here, now, pdf, watching

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 7, 22, 10, 0, tzinfo=UTC)
"""Twelve o'clock in Berlin, in summer."""


def run(root: Path, work: Callable[[Here], Awaitable[None]], **changes: Any) -> None:
    """Run *work* with a hot folder whose stage does not run."""

    async def main() -> None:
        async with watching(root, running=False, **changes) as here:
            await work(here)

    asyncio.run(main())


async def drop(here: Here, name: bytes) -> Document:
    """Claim a scan."""
    path = here.hot / os.fsdecode(name)
    path.write_bytes(pdf(name))
    desk = Desk(here.section, here.config.documents)
    return await here.spool(commit, desk.take(name, Look.of(path.stat()), now(), "sure"), now())


async def ask(here: Here, **arguments: Any) -> dict[str, Any]:
    parts = Parts(here.config, intakes=(here.stage,))
    return await Arrived(here.config, parts, now).answer(arguments, "uid 0")


async def names(here: Here, **arguments: Any) -> list[str]:
    return [scan["name"] for scan in (await ask(here, **arguments))["scans"]]


def test_the_last_scans_come_first(tmp_path: Path) -> None:
    """Twenty of them, or as many as are asked for."""

    async def work(here: Here) -> None:
        for number in range(25):
            await drop(here, b"%02d.pdf" % number)
        found = await ask(here)

        assert [scan["name"] for scan in found["scans"]] == [
            f"{n:02d}.pdf" for n in range(24, 4, -1)
        ]
        assert await names(here, last=2) == ["24.pdf", "23.pdf"]
        assert len(await names(here, last=1000)) == 25

    run(tmp_path, work)


def test_a_scan_is_found_by_a_part_of_its_name_or_its_digits(tmp_path: Path) -> None:
    """However it is written; names that are no UTF-8 as they are shown."""

    async def work(here: Here) -> None:
        first = await drop(here, "Kündigung Müller.pdf".encode())
        await drop(here, b"B\xfccher.pdf")
        await drop(here, b"other.pdf")

        assert await names(here, name="müller") == ["Kündigung Müller.pdf"]
        assert await names(here, name="KÜNDIGUNG") == ["Kündigung Müller.pdf"]
        assert await names(here, name="B\\xfc") == ["B\\xfccher.pdf"]
        assert await names(here, name="nobody's") == []
        for digits in (first.id, first.id[-8:], f"~{first.id[-8:]}"):
            assert await names(here, name=digits) == ["Kündigung Müller.pdf"]
        assert await names(here, name=first.id[-7:]) == []

    run(tmp_path, work)


def test_scans_that_nobody_has_taken_yet_are_found_as_well(tmp_path: Path) -> None:
    """They are the ones that people ask about; with the reason why."""

    async def work(here: Here) -> None:
        await drop(here, b"there.pdf")
        (here.hot / "wartet.pdf").write_bytes(pdf())
        (here.hot / "link.pdf").symlink_to("nowhere")
        here.stage._door.survey.look(rung=False)
        found = await ask(here)

        assert {scan["name"]: scan["code"] for scan in found["waiting"]} == {
            "wartet.pdf": "still-changing",
            "link.pdf": "not-a-file",
        }
        (waiting,) = (await ask(here, name="WARTET"))["waiting"]
        assert waiting["where"] == "noch nicht abgeholt: Die Datei ändert sich noch."
        assert (waiting["id"], waiting["hotfolder"], waiting["state"]) == ("", "post", "lying")
        assert (await ask(here, name="there"))["waiting"] == []
        assert (await ask(here, batch="B1"))["waiting"] == []

    run(tmp_path, work)


def test_the_scans_of_a_batch_and_of_a_time(tmp_path: Path) -> None:
    """What belongs together, and what came since somebody began."""

    async def work(here: Here) -> None:
        early = await drop(here, b"early.pdf")
        arrival = here.origin(early).arrival(early.digest, "pdf")
        long_ago = now() - timedelta(days=3)
        old = replace(arrival, id=new_id(long_ago), claimed_at=long_ago)
        await here.spool(Spool.claim, old, now())
        waiting = await here.spool(
            Spool.claim, replace(arrival, id=new_id(now()), awaits="describing"), now()
        )
        await here.spool(
            Spool.describe, waiting, Described(batch="Akte 7"), None, None, 60.0, now()
        )
        yesterday = (now() - timedelta(days=1)).astimezone(BERLIN)

        assert [s["id"] for s in (await ask(here, batch="Akte 7"))["scans"]] == [waiting.id]
        assert [s["id"] for s in (await ask(here, since=f"{yesterday:%d.%m.%Y}"))["scans"]] == [
            waiting.id,
            early.id,
        ]
        assert len((await ask(here, since=f"{long_ago:%Y-%m-%d}"))["scans"]) == 3
        with pytest.raises(PersonNeeded) as caught:
            await ask(here, since="last week")
        assert caught.value.code == "bad-time"

    run(tmp_path, work)


def test_a_search_ends_and_says_how_far_it_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a box of ten years a question may not read every document.json that there is."""
    monkeypatch.setattr(arrived, "PAGE", 2)
    monkeypatch.setattr(arrived, "LOOKED_THROUGH", 4)

    async def work(here: Here) -> None:
        for number in range(7):
            await drop(here, b"%d.pdf" % number)
        found = await ask(here, name="0.pdf")

        assert (found["scans"], found["searched"], found["complete"]) == ([], 4, False)
        found = await ask(here, name="6.pdf")
        assert (found["scans"][0]["name"], found["complete"]) == ("6.pdf", False)
        monkeypatch.setattr(arrived, "LOOKED_THROUGH", 10)
        found = await ask(here, name="0.pdf")
        assert (found["scans"][0]["name"], found["complete"]) == ("0.pdf", True)

    run(tmp_path, work)


@pytest.mark.parametrize("last", [0, -1, 1001, "5", 5.0, True])
def test_what_is_no_number_of_scans_is_named(last: object, tmp_path: Path) -> None:
    """Whatever comes over the socket."""

    async def work(here: Here) -> None:
        with pytest.raises(PersonNeeded) as caught:
            await ask(here, last=last)
        assert caught.value.code == "bad-request"

    run(tmp_path, work)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("14:30", datetime(2026, 7, 22, 12, 30, tzinfo=UTC)),
        ("2026-07-22", datetime(2026, 7, 21, 22, 0, tzinfo=UTC)),
        ("2026-01-22", datetime(2026, 1, 21, 23, 0, tzinfo=UTC)),
        ("22.07.2026", datetime(2026, 7, 21, 22, 0, tzinfo=UTC)),
        ("22.07.2026 08:05", datetime(2026, 7, 22, 6, 5, tzinfo=UTC)),
        ("2026-07-22 08:05", datetime(2026, 7, 22, 6, 5, tzinfo=UTC)),
        ("2026-07-22T08:05", datetime(2026, 7, 22, 6, 5, tzinfo=UTC)),
        (" 2026-07-22 08:05:09 ", datetime(2026, 7, 22, 6, 5, 9, tzinfo=UTC)),
    ],
)
def test_times_are_those_of_the_wall(text: str, meant: datetime) -> None:
    """Nobody at a scanner thinks in UTC."""
    assert since(text, NOON, BERLIN) == meant


def test_today_is_the_day_of_the_wall() -> None:
    """Half an hour after midnight in Berlin it is still yesterday in UTC."""
    late = datetime(2026, 7, 22, 22, 30, tzinfo=UTC)

    assert since("00:10", late, BERLIN) == datetime(2026, 7, 22, 22, 10, tzinfo=UTC)


@given(st.text(max_size=20))
def test_whatever_is_typed_is_a_time_or_named(text: str) -> None:
    """Never a traceback on a terminal."""
    try:
        found = since(text, NOON, BERLIN)
    except PersonNeeded as exc:
        code = exc.code
    else:
        code = "bad-time" if found.tzinfo is UTC else "no time"
    assert code == "bad-time"
