"""What comes with a scan, at the hot folder's stage: sidecars, names, subfolders, counters."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon import status
from daemon.config import Profile
from daemon.document import Described, Document, State, folder_of
from daemon.hotfolder import HotFolderStage
from daemon.intake import not_now
from daemon.intake.claim import Desk, commit
from daemon.intake.describer import Describer
from daemon.intake.doorkeeper import Ready
from daemon.intake.settle import Look, open_scan
from daemon.intake.sidecar import LARGEST
from daemon.intake.survey import Survey
from daemon.records.reader import open_reader
from daemon.spool import Spool
from daemon.web import metrics
from tests.intake import (
    SETTLE,
    Here,
    describers,
    make_places,
    mounted,
    now,
    pdf,
    raised,
    scanning,
    section_of,
    until,
    watching,
)
from tests.watched import LIVE

LONG = 60.0
"""A wait that no test lives to see the end of."""
SHORT = 1.0
NAMES = r"(?P<operator>[a-z]+)_(?P<counter>[0-9]+)"


def run(work: Callable[[], Awaitable[None]]) -> None:
    """Run a test's own coroutine."""

    async def main() -> None:
        await work()

    asyncio.run(main())


def sidecar(**said: Any) -> bytes:
    return json.dumps({"version": 1, **said}).encode()


def drop(here: Here, name: str, data: bytes) -> Path:
    """Put a file into the hot folder at once."""
    path = here.hot / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def kept(here: Here, document: Document) -> dict[str, bytes]:
    """Return what lies in a document's folder beside document.json."""
    folder = folder_of(here.config.documents, document.id)
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "document.json"}


async def waiting(here: Here, count: int = 1) -> list[Document]:
    """Wait until *count* documents wait."""

    def enough(found: list[Document]) -> bool:
        return sum(one.state is State.WAITING for one in found) >= count

    await until(here.documents, enough)
    return await here.documents()


async def lines(here: Here, document: Document) -> list[dict[str, Any]]:
    return [json.loads(line) for line in await here.spool(Spool.lines, document.id)]


# -- sidecars -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "file"),
    [
        ("scan.pdf.json", sidecar(operator="muster", pages=3), "sidecar.json"),
        ("scan.json", sidecar(operator="muster", pages=3), "sidecar.json"),
        ("scan.JSON", sidecar(operator="muster", pages=3), "sidecar.json"),
        (
            "scan.pdf.xml",
            b'<sidecar version="1"><operator>muster</operator><pages>3</pages></sidecar>',
            "sidecar.xml",
        ),
    ],
)
def test_a_sidecar_beside_a_scan_is_taken_along(
    name: str, content: bytes, file: str, tmp_path: Path
) -> None:
    """Into the document's folder as it is, with its digest in the ledger."""

    async def work() -> None:
        async with watching(tmp_path, sidecar="required", sidecar_wait_seconds=LONG) as here:
            drop(here, name, content)
            drop(here, "scan.pdf", pdf())
            (document,) = await here.described()
            described = document.described

            assert document.state is State.CLAIMED
            assert (described.operator, described.source, described.pages) == (
                "muster",
                "sidecar",
                3,
            )
            assert described.known
            assert kept(here, document) == {"original.pdf": pdf(), file: content}
            assert sorted(p.name for p in here.hot.iterdir()) == [".scanseal", "rejected"]
            assert here.private() == []
            origin = here.origin(document)
            assert origin.sidecar is not None
            assert origin.sidecar.name == name.encode()
            said = {line["event"]: line["detail"] for line in await lines(here, document)}
            assert list(said) == ["claim", "wait", "describe", "resume"]
            assert said["describe"]["sidecar"]["sha256"] == described.sidecar
            assert said["describe"]["sidecar"]["file"] == file
            assert said["describe"]["pages"] == 3

    run(work)


def test_a_scan_waits_for_the_sidecar_that_comes_later(tmp_path: Path) -> None:
    """Claimed at once, so that its name is free and nobody can change it; sealed when it is known."""

    async def work() -> None:
        async with watching(tmp_path, sidecar="required", sidecar_wait_seconds=LONG) as here:
            woken: list[bool] = []
            here.stage.claimed = lambda: woken.append(True)
            drop(here, "scan.pdf", pdf())
            (document,) = await waiting(here)
            await here.looks(3)

            assert document.code == "sidecar"
            assert not document.described.known
            assert woken == []
            drop(here, "scan.pdf.json", sidecar(batch="7"))
            (document,) = await here.described()

            assert (document.state, document.described.batch) == (State.CLAIMED, "7")
            assert woken == [True]

    run(work)


def test_an_optional_sidecar_that_does_not_come_is_done_without(tmp_path: Path) -> None:
    """With a remark, after its time and not before."""

    async def work() -> None:
        async with watching(tmp_path, sidecar="optional", sidecar_wait_seconds=SHORT) as here:
            drop(here, "scan.pdf", pdf())
            (document,) = await waiting(here)
            started = time.monotonic()
            (document,) = await here.described()

            assert time.monotonic() - started >= SHORT / 2
            assert document.state is State.CLAIMED
            assert document.described == Described(remarks=("sidecar-missing",))

    run(work)


def test_a_required_sidecar_that_does_not_come_refuses_its_scan(tmp_path: Path) -> None:
    """The copy goes back with the reason; the scan is kept."""

    async def work() -> None:
        async with watching(tmp_path, sidecar="required", sidecar_wait_seconds=SHORT) as here:
            drop(here, "scan.pdf", pdf())
            (document,) = await here.refused()

            assert document.code == "sidecar-missing"
            assert not document.described.known
            assert here.original(document) == pdf()
            await until(lambda: _files(here.back), lambda found: len(found) == 2)

    run(work)


async def _files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_sidecar_is_never_a_scan(tmp_path: Path) -> None:
    """Not even one that holds a PDF, or lies there for long: then an alarm names it."""

    async def work() -> None:
        times: dict[str, Any] = {
            "sidecar_wait_seconds": 0.2,
            "give_up_seconds": 0.2,
            "rescan_seconds": 0.1,
        }
        async with watching(tmp_path, sidecar="optional", **times) as here:
            lone = drop(here, "scan.json", pdf())
            alarm = await here.alarm("left-lying")

            assert alarm.detail == "sidecar-alone 1"
            assert await here.documents() == []
            assert lone.read_bytes() == pdf()
            assert here.stage.facts().waiting == 0
            lone.unlink()
            await here.no_alarm("left-lying")

    run(work)


def test_without_sidecars_such_a_file_is_like_any_other(tmp_path: Path) -> None:
    """No silent exception: what does not belong here is given back."""

    async def work() -> None:
        async with watching(tmp_path) as here:
            drop(here, "scan.json", b"{}")
            (document,) = await here.refused()

            assert document.code == "format-unknown"

    run(work)


def test_a_sidecar_that_is_still_open_is_waited_for(tmp_path: Path) -> None:
    """Whole and unchanged for long is not enough: somebody may write more."""

    async def work() -> None:
        async with watching(tmp_path, sidecar="required", sidecar_wait_seconds=LONG) as here:
            with scanning() as scanner:
                path = here.hot / "scan.json"
                await asyncio.to_thread(scanner.open, path)
                await asyncio.to_thread(scanner.write, path, sidecar(number="1"))
                drop(here, "scan.pdf", pdf())
                await waiting(here)
                await asyncio.sleep(3 * SETTLE)
                await here.looks(2)

                assert path.exists()
                await asyncio.to_thread(scanner.close, path)
            (document,) = await here.described()

            assert document.described.number == "1"

    run(work)


def test_half_a_sidecar_is_waited_for_until_the_time_is_over(tmp_path: Path) -> None:
    """Closed and quiet, and no JSON yet: its writer may come back."""

    async def work() -> None:
        async with watching(tmp_path, sidecar="required", sidecar_wait_seconds=LONG) as here:
            whole = sidecar(number="1")
            path = drop(here, "scan.json", whole[:9])
            drop(here, "scan.pdf", pdf())
            await waiting(here)
            await asyncio.sleep(3 * SETTLE)
            await here.looks(2)

            assert path.read_bytes() == whole[:9]
            with path.open("ab") as file:
                file.write(whole[9:])
            (document,) = await here.described()

            assert document.described.number == "1"

    run(work)


@pytest.mark.parametrize("policy", ["optional", "required"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "line 1, column 2: no JSON"),
        (b" " * (LARGEST + 1), "more than 64 KB"),
        (b"DIE now", "twice a page worker did not survive it"),
        (b"LIE now", "what it said cannot have been read"),
        (b"PERMANENT x", "not its business"),
    ],
    ids=["half", "large", "deadly", "lying", "permanent"],
)
def test_a_damaged_sidecar_refuses_its_scan_and_both_are_kept(
    content: bytes, reason: str, policy: str, tmp_path: Path
) -> None:
    """Also an optional one: somebody wanted to say something, and nobody knows what."""

    async def work() -> None:
        async with watching(tmp_path, sidecar=policy, sidecar_wait_seconds=SHORT) as here:
            drop(here, "scan.json", content)
            drop(here, "scan.pdf", pdf())
            (document,) = await here.refused()
            refusal = {one["event"]: one["detail"] for one in await lines(here, document)}["refuse"]

            assert document.code == "sidecar-damaged"
            assert reason in refusal["reason"]
            assert kept(here, document) == {"original.pdf": pdf(), "sidecar.json": content}
            assert list(here.private()) == []

    run(work)


def test_a_worker_that_dies_once_costs_nothing_but_time(tmp_path: Path) -> None:
    """It may have been anybody's fault."""

    async def work() -> None:
        async with watching(tmp_path, sidecar="required", sidecar_wait_seconds=LONG) as here:
            drop(here, "scan.json", b"DIE-ONCE " + os.fsencode(tmp_path / "once"))
            drop(here, "scan.pdf", pdf())
            (document,) = await here.described()

            assert document.described.operator == "second"

    run(work)


def test_without_page_workers_scans_wait_and_are_claimed_all_the_same(tmp_path: Path) -> None:
    """Nothing is refused for what is nobody's fault; an alarm says so, until it works again."""

    async def work() -> None:
        async with watching(tmp_path, sidecar="required", sidecar_wait_seconds=LONG) as here:
            (tmp_path / "broken").touch()
            drop(here, "other.pdf", pdf(b"other"))
            (other,) = await waiting(here)
            drop(here, "scan.json", b"AWAY " + os.fsencode(tmp_path / "broken"))
            drop(here, "scan.pdf", pdf())
            alarm = await here.alarm("describing-paused")

            assert alarm.detail == "work-failed"
            assert [one.step for one in await waiting(here, 2)] == ["", ""]
            (tmp_path / "broken").unlink()
            await until(here.documents, lambda found: found[1].state is State.CLAIMED)
            await here.no_alarm("describing-paused")

            assert (await here.spool(Spool.document, other.id)).state is State.WAITING

    run(work)


def test_a_better_sidecar_and_a_release_let_a_scan_go_on(tmp_path: Path) -> None:
    """The same rules again: released, it waits for one that comes from now on."""

    async def work() -> None:
        async with watching(tmp_path, sidecar="required", sidecar_wait_seconds=SHORT) as here:
            drop(here, "scan.json", b"{")
            drop(here, "scan.pdf", pdf())
            (document,) = await here.refused()
            await here.spool(Spool.release, document.id, "uid 0", now())
            (again,) = await here.refused()

            assert again.code == "sidecar-missing"
            drop(here, "scan.json", sidecar(operator="better"))
            await here.spool(Spool.release, document.id, "uid 0", now())
            (document,) = await here.described()

            assert (document.state, document.described.operator) == (State.CLAIMED, "better")
            assert document.described.known
            assert kept(here, document) == {
                "original.pdf": pdf(),
                "sidecar.json": sidecar(operator="better"),
                "sidecar-1.json": b"{",
            }

    run(work)


# -- whose sidecar is it? -------------------------------------------------------------------


def test_what_lay_together_while_nobody_looked_belongs_together(tmp_path: Path) -> None:
    """The service was away for longer than a sidecar is waited for; their own times are alike."""

    async def work() -> None:
        (tmp_path / "hot").mkdir()
        (tmp_path / "hot" / "scan.pdf").write_bytes(pdf())
        (tmp_path / "hot" / "scan.json").write_bytes(sidecar(operator="both"))
        await asyncio.sleep(2.0)
        async with watching(tmp_path, sidecar="required", sidecar_wait_seconds=1.0) as here:
            (document,) = await here.described()

            assert (document.state, document.described.operator) == (State.CLAIMED, "both")

    run(work)


@pytest.mark.parametrize("seen", [True, False], ids=["seen-before", "from-before-the-start"])
def test_an_old_sidecar_is_not_a_new_scans(seen: bool, tmp_path: Path) -> None:
    """Scanners use their names again: yesterday's operator must not stand in today's seal."""

    async def work() -> None:
        (tmp_path / "hot").mkdir()
        old = tmp_path / "hot" / "scan.json"
        old.write_bytes(sidecar(operator="yesterday"))
        if not seen:
            await asyncio.sleep(1.0)
            (tmp_path / "hot" / "scan.pdf").write_bytes(pdf())
        times: dict[str, Any] = {"sidecar_wait_seconds": 0.4, "rescan_seconds": 0.1}
        async with watching(tmp_path, sidecar="optional", **times) as here:
            if seen:
                await here.looks(2)
                await asyncio.sleep(1.0)
                drop(here, "scan.pdf", pdf())
            (document,) = await here.described()

            assert document.described == Described(remarks=("sidecar-missing",))
            assert old.read_bytes() == sidecar(operator="yesterday")

    run(work)


def test_a_short_name_that_two_scans_could_mean_is_nobodys(tmp_path: Path) -> None:
    """Also after one of the two is gone; a long name is clear all the same."""

    async def work() -> None:
        async with watching(tmp_path, sidecar="optional", sidecar_wait_seconds=SHORT) as here:
            lone = drop(here, "scan.json", sidecar(operator="whose"))
            drop(here, "scan.tif.json", sidecar(operator="tif"))
            drop(here, "scan.pdf", pdf())
            drop(here, "scan.tif", b"II*\0" + bytes(400))
            documents = await here.described(2)
            operators = {here.origin(one).name: one.described.operator for one in documents}

            assert operators == {b"scan.pdf": "", b"scan.tif": "tif"}
            assert lone.exists()

    run(work)


def test_what_was_doubtful_once_is_so_for_good(tmp_path: Path) -> None:
    """The other scan was taken away before it had settled: whose it was nobody knows now."""

    async def work() -> None:
        times: dict[str, Any] = {"settle_seconds": 0.6, "give_up_seconds": 60.0}
        wait: dict[str, Any] = {"sidecar": "optional", "sidecar_wait_seconds": SHORT}
        async with watching(tmp_path, rescan_seconds=0.05, **wait, **times) as here:
            lone = drop(here, "scan.json", sidecar(operator="whose"))
            other = drop(here, "scan.tif", b"%PDF-1.7 half of one, so it stays")
            drop(here, "scan.pdf", pdf())
            await here.looks(2)
            other.unlink()
            (document,) = await here.described()

            assert document.described == Described(remarks=("sidecar-missing",))
            assert lone.exists()

    run(work)


def test_the_name_of_a_scan_that_waits_may_come_again(tmp_path: Path) -> None:
    """A sidecar that came before the newer scan is the older one's, which then has it first."""

    async def work() -> None:
        times: dict[str, Any] = {
            "settle_seconds": 0.5,
            "give_up_seconds": 5.0,
            "rescan_seconds": 0.05,
        }
        async with watching(
            tmp_path, sidecar="required", sidecar_wait_seconds=LONG, **times
        ) as here:
            drop(here, "SCAN0001.pdf", pdf(b"1"))
            await waiting(here)
            drop(here, "SCAN0001.json", sidecar(number="1"))
            await here.looks(2)
            drop(here, "SCAN0001.pdf", pdf(b"2"))
            (first,) = await here.described()
            drop(here, "SCAN0001.json", sidecar(number="2"))
            first, second = await here.described(2)

            assert (here.original(first), first.described.number) == (pdf(b"1"), "1")
            assert (here.original(second), second.described.number) == (pdf(b"2"), "2")

    run(work)


def test_a_sidecar_that_comes_after_a_newer_scan_is_not_the_older_ones(tmp_path: Path) -> None:
    """The older one's wait ends as the newer one is seen: nobody could tell them apart."""

    async def work() -> None:
        async with watching(tmp_path, sidecar="optional", sidecar_wait_seconds=LONG) as here:
            drop(here, "SCAN0001.pdf", pdf(b"1"))
            await waiting(here)
            drop(here, "SCAN0001.pdf", pdf(b"2"))
            await waiting(here)
            await until(here.documents, lambda found: len(found) == 2)
            drop(here, "SCAN0001.json", sidecar(number="2"))
            first, second = await here.described(2)

            assert (here.original(first), first.described.remarks) == (
                pdf(b"1"),
                ("sidecar-missing",),
            )
            assert (here.original(second), second.described.number) == (pdf(b"2"), "2")

    run(work)


# -- restarts -------------------------------------------------------------------------------


def test_a_wait_goes_on_after_a_restart_and_ends_in_time(tmp_path: Path) -> None:
    """What has passed of it is not given again."""

    async def work() -> None:
        wait: dict[str, Any] = {"sidecar": "optional", "sidecar_wait_seconds": 6.0}
        async with watching(tmp_path, **wait) as here:
            drop(here, "a.pdf", pdf(b"a"))
            drop(here, "b.pdf", pdf(b"b"))
            await waiting(here, 2)
        await asyncio.sleep(4.0)
        started = time.monotonic()
        (tmp_path / "hot" / "a.json").write_bytes(sidecar(number="a"))
        async with watching(tmp_path, **wait) as here:
            a, b = await here.described(2)

            assert time.monotonic() - started < 5.5
            numbers = {here.origin(one).name: one.described.number for one in (a, b)}
            assert numbers == {b"a.pdf": "a", b"b.pdf": ""}

    run(work)


def test_a_sidecar_that_is_no_longer_asked_for_is_not_waited_for(tmp_path: Path) -> None:
    """The configuration that holds now counts: nothing waits for ever."""

    async def work() -> None:
        async with watching(tmp_path, sidecar="required", sidecar_wait_seconds=LONG) as here:
            drop(here, "a.pdf", pdf())
            await waiting(here)
        async with watching(tmp_path) as here:
            (document,) = await here.described()

            assert (document.state, document.described) == (State.CLAIMED, Described())

    run(work)


def refusing(monkeypatch: pytest.MonkeyPatch, module: str, below: str, exc: OSError) -> list[Path]:
    """Let *module* open no sidecar in a folder called *below*, until the list is emptied."""
    real, refused = open_scan, [Path(below)]

    def opened(path: Path, **rest: Any) -> int:
        if refused and path.suffix == ".json" and path.parent.name == below:
            raise not_now(exc, "read", path)
        return real(path, **rest)

    monkeypatch.setattr(f"daemon.intake.{module}.open_scan", opened)
    return refused


@pytest.mark.parametrize("mode", ["required", "optional"])
def test_a_sidecar_that_cannot_be_taken_is_one_alarm_and_ends_in_a_refusal(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named as what it is while it is tried; then a person decides, and mends it for a release."""
    refused = refusing(monkeypatch, "doorkeeper", "hot", PermissionError(errno.EACCES, "no"))

    async def work() -> None:
        times: dict[str, Any] = {"sidecar_wait_seconds": SHORT, "give_up_seconds": 2.0}
        async with watching(tmp_path, sidecar=mode, **times) as here:
            told: list[str] = []
            alarms, up = here.alarms, set[str]()
            raise_, clear = alarms.raise_, alarms.clear

            def told_on(code: str, instance: str = "", detail: str = "") -> None:
                if code == "hotfolder-permission" and code not in up:
                    told.append("on")
                up.add(code)
                raise_(code, instance, detail)

            def told_off(code: str, instance: str = "") -> None:
                if code == "hotfolder-permission" and code in up:
                    told.append("off")
                up.discard(code)
                clear(code, instance)

            monkeypatch.setattr(alarms, "raise_", told_on)
            monkeypatch.setattr(alarms, "clear", told_off)
            drop(here, "a.pdf.json", sidecar(operator="muster"))
            drop(here, "a.pdf", pdf())
            alarm = await here.alarm("hotfolder-permission")
            began = time.monotonic()
            (document,) = await here.refused()
            said = {one["event"]: one["detail"] for one in await lines(here, document)}
            lasted = time.monotonic() - began
            await here.no_alarm("hotfolder-permission")

            assert "a.pdf" not in alarm.detail
            assert lasted > 1.5
            assert document.code == "sidecar-missing"
            assert said["refuse"]["reason"].endswith("cannot be taken: hotfolder-permission")
            assert told == ["on", "off"]
            assert here.original(document) == pdf()
            refused.clear()
            await here.spool(Spool.release, document.id, "uid 0", now())
            here.stage.copies_due()
            (document,) = await here.described()
            assert (document.state, document.described.operator) == (State.CLAIMED, "muster")

    run(work)


def test_what_cannot_be_taken_lies_there_under_the_right_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sidecar-alone` would send people to look for a scan that is there."""
    refusing(monkeypatch, "doorkeeper", "hot", OSError(errno.EBUSY, "no"))

    async def work() -> None:
        times: dict[str, Any] = {"sidecar_wait_seconds": 0.2, "give_up_seconds": 1.5}
        async with watching(tmp_path, sidecar="required", **times) as here:
            monkeypatch.setattr(Survey, "too_long", 0.3)
            drop(here, "a.json", sidecar())
            drop(here, "a.pdf", pdf())
            first = await here.alarm("left-lying")
            await here.refused()
            await until(
                lambda: raised(here.alarms, "left-lying"),
                lambda found: [one.detail for one in found] == ["sidecar-alone 1"],
            )

            assert first.detail == "still-open 1"

    run(work)


def test_a_sidecar_that_was_claimed_and_cannot_be_read_ends_the_wait_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner keeps the right to take ours away; the file stays where it is, and can go on."""
    refused = refusing(monkeypatch, "sidecar", ".scanseal", PermissionError(errno.EACCES, "no"))

    async def work() -> None:
        wait: dict[str, Any] = {"sidecar": "required", "sidecar_wait_seconds": 0.5}
        async with watching(tmp_path, **wait) as here:
            drop(here, "a.json", sidecar(operator="muster"))
            drop(here, "a.pdf", pdf())
            (document,) = await here.refused()

            assert document.code == "sidecar-missing"
            assert [path.name for path in here.private()] == [f"{document.id}.json"]
            refused.clear()
            await here.spool(Spool.release, document.id, "uid 0", now())
            here.stage.copies_due()
            (document,) = await here.described()
            assert (document.state, document.described.operator) == (State.CLAIMED, "muster")
            assert here.private() == []

    run(work)


def test_a_full_disk_of_ours_is_no_scans_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for without end: nothing is wrong with the sidecar."""
    refused = refusing(monkeypatch, "doorkeeper", "hot", OSError(errno.ENOSPC, "no"))

    async def work() -> None:
        wait: dict[str, Any] = {"sidecar": "required", "sidecar_wait_seconds": 0.3}
        async with watching(tmp_path, **wait) as here:
            drop(here, "a.json", sidecar(operator="muster"))
            drop(here, "a.pdf", pdf())
            await here.alarm("disk-full")
            await asyncio.sleep(2.0)
            (document,) = await here.documents()

            assert document.state is State.WAITING
            refused.clear()
            (document,) = await here.described()
            assert (document.state, document.described.operator) == (State.CLAIMED, "muster")

    run(work)


def recorded(monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[tuple[str, int]]:
    """Let each description take *seconds*; return which began, and how many were in work then."""
    seen: list[tuple[str, int]] = []
    real = Describer._one

    async def slow(self: Describer, ready: Ready) -> None:
        seen.append((ready.id, len(self._running)))
        await asyncio.sleep(seconds)
        await real(self, ready)

    monkeypatch.setattr(Describer, "_one", slow)
    return seen


async def with_suspects(here: Here, count: int, suspects: int, before: timedelta) -> list[str]:
    """Claim *count* scans as of *before*, then *suspects* in whose step the daemon ended."""
    desk, ids = Desk(here.section, here.config.documents), []
    for number in range(count + suspects):
        path = drop(here, f"{number}.pdf", pdf(b"%d" % number))
        claimed = desk.take(path.name.encode(), Look.of(path.stat()), now(), "sure")
        at = now() - before if number < count else now()
        ids.append((await here.spool(commit, claimed, at)).id)
    await here.spool(Spool.started, "boot", now())
    for document_id in ids[count:]:
        document = await here.spool(Spool.document, document_id)
        await here.spool(Spool.begin, document, "describe", now())
    await here.spool(Spool.started, "boot", now())
    return ids


@contextlib.asynccontextmanager
async def started(here: Here) -> AsyncIterator[None]:
    """Run the stage for as long as the block lasts."""
    stage = asyncio.create_task(here.stage.run())
    try:
        yield
    finally:
        stage.cancel()
        await asyncio.gather(stage, return_exceptions=True)


def test_suspects_are_described_alone_and_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second end is counted against the one that causes it, and against no other (I8)."""
    seen = recorded(monkeypatch, 0.1)

    async def work() -> None:
        wait: dict[str, Any] = {"sidecar": "optional", "sidecar_wait_seconds": 0.0}
        async with watching(tmp_path, running=False, **wait) as here:
            ids = await with_suspects(here, 4, 4, timedelta(0))
            async with started(here):
                documents = await here.described(8)

            assert {one.state for one in documents} == {State.CLAIMED}
            assert seen[:4] == [(document_id, 1) for document_id in ids[4:]]
            assert {document_id for document_id, _ in seen[4:]} == set(ids[:4])
            assert max(count for _, count in seen[4:]) == 4

    run(work)


def test_a_suspect_begins_when_nothing_else_is_in_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its wait ends while others are described: they come to their end first."""
    seen = recorded(monkeypatch, 2.0)

    async def work() -> None:
        wait: dict[str, Any] = {"sidecar": "optional", "sidecar_wait_seconds": SHORT}
        async with watching(tmp_path, running=False, **wait) as here:
            ids = await with_suspects(here, 2, 1, timedelta(seconds=SHORT))
            async with started(here):
                await here.described(3)

            assert [document_id for document_id, _ in seen] == ids
            assert seen[2] == (ids[2], 1)

    run(work)


def test_a_promised_sidecar_that_is_gone_is_a_persons_to_explain(tmp_path: Path) -> None:
    """It lay beside the scan at the claim: going on without it would be a guess (I12)."""

    async def work() -> None:
        wait: dict[str, Any] = {"sidecar": "optional", "sidecar_wait_seconds": SHORT}
        async with watching(tmp_path, **wait) as here:
            # Half of one: it is left there for now.
            drop(here, "a.json", b"{")
            drop(here, "a.pdf", pdf())
            await waiting(here)
            (here.hot / "a.json").unlink()
            (document,) = await here.refused()
            said = {one["event"]: one["detail"] for one in await lines(here, document)}

            assert document.code == "sidecar-missing"
            assert said["refuse"]["reason"] == "it lay beside the scan, and is gone"

    run(work)


# -- names ----------------------------------------------------------------------------------


def test_a_name_says_who_and_which_number(tmp_path: Path) -> None:
    """One that does not fit says nothing, which is remarked and no alarm."""

    async def work() -> None:
        async with watching(tmp_path, name_pattern=NAMES) as here:
            drop(here, "muster_0041.pdf", pdf(b"1"))
            drop(here, "Scan.pdf", pdf(b"2"))
            documents = await here.described(2)
            said = {here.origin(one).name: one.described for one in documents}

            assert all(one.state is State.CLAIMED for one in documents)
            assert said == {
                b"muster_0041.pdf": Described(
                    operator="muster", source="name", counter=41, digits=4
                ),
                b"Scan.pdf": Described(remarks=("name-unmatched",)),
            }
            assert here.alarms.now() == ()

    run(work)


def test_a_pattern_that_takes_for_ever_stops_nothing_else(tmp_path: Path) -> None:
    """The one name that it explodes on is refused; the loop, the claims and the others go on."""

    async def work() -> None:
        async with watching(
            tmp_path, name_pattern=r"(?P<operator>(a|a?)+)b|x(?P<batch>.*)"
        ) as here:
            drop(here, "a" * 60 + ".pdf", pdf(b"evil"))
            await waiting(here)
            started, late = time.monotonic(), 0.0
            for number in range(4):
                drop(here, f"x{number}.pdf", pdf(b"%d" % number))
            while time.monotonic() - started < 1.0:
                before = time.monotonic()
                await asyncio.sleep(0.01)
                late = max(late, time.monotonic() - before)
            await until(
                here.documents, lambda found: sum(one.state is State.CLAIMED for one in found) == 4
            )
            await here.described(5)
            (evil,) = [one for one in await here.refused() if one.state is State.REFUSED]

            assert late < 3.0
            assert evil.code == "name-unreadable"
            assert not evil.described.known
        async with watching(tmp_path, name_pattern="(?P<operator>a+)") as here:
            await here.spool(Spool.release, evil.id, "uid 0", now())
            await until(
                lambda: here.spool(Spool.document, evil.id), lambda one: one.state is State.CLAIMED
            )

            assert (await here.spool(Spool.document, evil.id)).described.operator == "a" * 60

    run(work)


def test_a_scan_that_is_refused_at_once_has_its_number_counted(tmp_path: Path) -> None:
    """Else it would be missed, and lies in the rejected folder."""

    async def work() -> None:
        async with watching(tmp_path, name_pattern=NAMES) as here:
            drop(here, "a_41.pdf", pdf())
            await here.described()
            drop(here, "a_42.pdf", b"no PDF")
            await here.refused()
            drop(here, "a_43.pdf", pdf(b"43"))
            _, bad, _ = await here.described(3)

            assert (bad.code, bad.described.counter, bad.described.known) == (
                "format-unknown",
                42,
                True,
            )
            assert await here.spool(Spool.missing_count, "post", LATER) == 0

    run(work)


# -- counters -------------------------------------------------------------------------------

LATER = now() + timedelta(hours=1)


def test_a_number_that_never_arrived_is_told_after_a_while_and_forgotten_when_it_comes(
    tmp_path: Path,
) -> None:
    """Not at once: it may be on its way. The alarm has a count and no more (I9)."""

    async def work() -> None:
        ahead = [timedelta()]
        async with watching(
            tmp_path, clock=lambda: now() + ahead[0], name_pattern=NAMES, subfolders=True
        ) as here:
            for number in (41, 43, 44, 46):
                drop(here, f"rathaus/muster_{number:04}.pdf", pdf(b"%d" % number))
            await here.described(4)
            await here.looks(2)

            assert here.alarms.now() == ()
            ahead[0] = timedelta(seconds=61)
            alarm = await here.alarm("scans-missing")
            told = await here.spool(Spool.missing, now() + ahead[0], "post")

            assert (alarm.instance, alarm.detail) == ("post", "2")
            assert [(one.series, one.text) for one in told] == [
                ("rathaus", "0042"),
                ("rathaus", "0045"),
            ]
            drop(here, "rathaus/muster_0042.pdf", pdf(b"42"))
            await until(lambda: here.alarm("scans-missing"), lambda alarm: alarm.detail == "1")
            closed = await here.spool(
                Spool.explain, "post", 45, None, "uid 0", "paper jam", now() + ahead[0]
            )
            await here.no_alarm("scans-missing")

            assert closed == 1

    run(work)


def test_each_subfolder_counts_for_itself(tmp_path: Path) -> None:
    """Two scanners with a folder each: 41 here and 43 there is no gap."""

    async def work() -> None:
        async with watching(tmp_path, name_pattern=NAMES, subfolders=True) as here:
            for place in ("a/x_41.pdf", "b/x_43.pdf", "b/x_41.pdf", "a/x_43.pdf"):
                drop(here, place, pdf(place.encode()))
            await here.described(4)
            told = await here.spool(Spool.missing, LATER, "post")

            assert [(one.series, one.number) for one in told] == [("a", 42), ("b", 42)]

    run(work)


# -- subfolders -----------------------------------------------------------------------------


def test_scans_in_subfolders_are_taken_with_their_place(tmp_path: Path) -> None:
    """Whatever the folders are called; they stay, empty, and what is ours is not looked into."""

    async def work() -> None:
        async with watching(
            tmp_path, subfolders=True, rejected=str(tmp_path / "hot" / "x" / "rejected")
        ) as here:
            odd = os.fsdecode(b"B\xfcro \n1")
            for place in ("a.pdf", "Stadt/Amt 3/b.pdf", f"{odd}/c.pdf", "x/d.pdf"):
                drop(here, place, pdf(place.encode("utf-8", "surrogateescape")))
            for place in ("x/rejected/no.pdf", ".hidden/no.pdf", "Stadt/.scanseal/no.pdf"):
                drop(here, place, pdf(b"no"))
            documents = await here.claimed(4)
            await here.looks(3)
            places = {here.origin(one).place: one for one in documents}

            assert len(await here.documents()) == 4
            assert sorted(places) == sorted(
                [b"a.pdf", b"Stadt/Amt 3/b.pdf", os.fsencode(odd) + b"/c.pdf", b"x/d.pdf"]
            )
            assert {p: d.described.subfolder for p, d in places.items()} == {
                b"a.pdf": "",
                b"Stadt/Amt 3/b.pdf": "Stadt/Amt 3",
                os.fsencode(odd) + b"/c.pdf": "B\\xfcro \\x0a1",
                b"x/d.pdf": "x",
            }
            assert (here.hot / "Stadt" / "Amt 3").is_dir()
            assert all(here.original(d) == pdf(p) for p, d in places.items())

    run(work)


def test_without_subfolders_a_folder_is_no_scan(tmp_path: Path) -> None:
    """What lies in it stays there."""

    async def work() -> None:
        async with watching(tmp_path) as here:
            drop(here, "folder/a.pdf", pdf())
            drop(here, "b.pdf", pdf(b"b"))
            await here.claimed()
            await here.looks(3)

            assert len(await here.documents()) == 1
            assert (here.hot / "folder" / "a.pdf").exists()

    run(work)


def test_a_link_is_not_followed_into_another_folder(tmp_path: Path) -> None:
    """Whoever may write here could point anywhere, also at what we keep ourselves."""

    async def work() -> None:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "a.pdf").write_bytes(pdf())
        times: dict[str, Any] = {"give_up_seconds": 0.2, "rescan_seconds": 0.1}
        async with watching(tmp_path, subfolders=True, **times) as here:
            (here.hot / "link").symlink_to(tmp_path / "elsewhere")
            alarm = await here.alarm("left-lying")

            assert alarm.detail == "not-a-file 1"
            assert (tmp_path / "elsewhere" / "a.pdf").exists()
            assert await here.documents() == []

    run(work)


def test_folders_that_lie_too_deep_are_told(tmp_path: Path) -> None:
    """A scan down there would wait for ever otherwise, and nobody would know why."""

    async def work() -> None:
        times: dict[str, Any] = {"give_up_seconds": 0.2, "rescan_seconds": 0.1}
        async with watching(tmp_path, subfolders=True, **times) as here:
            drop(here, "1/2/3/4/5/6/7/8/in.pdf", pdf(b"in"))
            deep = drop(here, "1/2/3/4/5/6/7/8/9/out.pdf", pdf(b"out"))
            await here.claimed()
            alarm = await here.alarm("left-lying")

            assert alarm.detail == "folder-too-deep 1"
            assert deep.exists()

    run(work)


def test_a_subfolder_that_is_a_mount_is_named_as_such(tmp_path: Path) -> None:
    """A rename cannot leave it: nothing is taken, nothing is lost, and the others go on."""

    async def work() -> None:
        async with watching(tmp_path, subfolders=True) as here:
            with mounted(here.hot / "usb"):
                there = drop(here, "usb/a.pdf", pdf())
                drop(here, "b.pdf", pdf(b"b"))
                await here.alarm("subfolder-mount")
                (document,) = await here.claimed()

                assert here.origin(document).name == b"b.pdf"
                assert there.read_bytes() == pdf()
                assert [
                    p.name for p in folder_of(here.config.documents, document.id).parent.iterdir()
                ] == [document.id]
            await here.no_alarm("subfolder-mount")

    run(work)


def test_a_folder_that_goes_and_comes_takes_nothing_along(tmp_path: Path) -> None:
    """It is renamed and removed under our eyes; what lies in it in the end is taken."""

    async def work() -> None:
        async with watching(tmp_path, subfolders=True, rescan_seconds=0.02) as here:
            drop(here, "a/scan.pdf", pdf())
            for number in range(40):
                await asyncio.sleep(0.01)
                with contextlib.suppress(OSError):
                    (here.hot / ("a" if number % 2 == 0 else "b")).rename(
                        here.hot / ("b" if number % 2 == 0 else "a")
                    )
            (document,) = await here.claimed()

            assert here.original(document) == pdf()
            assert here.alarms.now() == ()

    run(work)


def test_a_sidecar_in_a_subfolder_belongs_to_the_scan_beside_it(tmp_path: Path) -> None:
    """Not to one of the same name elsewhere."""

    async def work() -> None:
        wait: dict[str, Any] = {"sidecar": "optional", "sidecar_wait_seconds": SHORT}
        async with watching(tmp_path, subfolders=True, **wait) as here:
            drop(here, "a/scan.json", sidecar(operator="a"))
            drop(here, "a/scan.pdf", pdf(b"a"))
            drop(here, "b/scan.pdf", pdf(b"b"))
            documents = await here.described(2)

            assert {d.described.subfolder: d.described.operator for d in documents} == {
                "a": "a",
                "b": "",
            }

    run(work)


# -- several hot folders ----------------------------------------------------------------------


def test_a_hot_folder_that_hangs_holds_up_no_other(tmp_path: Path) -> None:
    """Each has its own thread, its own profile and its own alarms."""

    async def work() -> None:
        other = section_of(
            tmp_path,
            name="bau",
            path=str(tmp_path / "bau"),
            rejected=str(tmp_path / "bau" / "rejected"),
            profile="bau",
            sidecar="required",
            sidecar_wait_seconds=LONG,
        )
        async with watching(tmp_path) as here:
            config = replace(
                here.config,
                hotfolders=(here.section, other),
                profiles={"post": Profile(procedure="P 1"), "bau": Profile(procedure="B 2")},
            )
            make_places(config)
            hangs = threading.Event()
            here.stage._patience = 0.2
            here.stage._executor.submit(hangs.wait)
            pages = describers(config)
            stage = HotFolderStage(other, config, here.spool, here.alarms, now, pages=pages)
            task = asyncio.create_task(stage.run())
            try:
                drop(here, "late.pdf", pdf(b"late"))
                drop(here, "../bau/a.pdf", pdf(b"bau"))
                drop(here, "../bau/a.json", sidecar(operator="b"))
                (document,) = await here.described()
                alarm = await here.alarm("hotfolder-unreadable")

                assert (document.hotfolder, document.profile) == ("bau", "bau")
                assert document.described.operator == "b"
                assert (alarm.instance, alarm.detail) == ("post", "it does not answer")
                hangs.set()
                _, late = await here.described(2)

                assert (late.hotfolder, late.profile) == ("post", "post")
                await here.no_alarm("hotfolder-unreadable")
            finally:
                hangs.set()
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await pages.stop()

    run(work)


# -- I9 ---------------------------------------------------------------------------------------

SECRETS = ("erika", "mustermann", "stapel", "aktenzeichen", "sozialamt", "bescheid")


def test_no_name_reaches_status_alarms_log_or_the_ledgers_detail(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """I9: operator, batch, number and subfolder stay in the row, and in what can be erased."""

    async def work() -> None:
        ahead = [timedelta()]
        caplog.set_level(logging.DEBUG)
        pattern = r"(?P<batch>Bescheid[a-z]*)_(?P<counter>[0-9]+)"
        async with watching(
            tmp_path,
            clock=lambda: now() + ahead[0],
            subfolders=True,
            sidecar="optional",
            sidecar_wait_seconds=SHORT,
            name_pattern=pattern,
        ) as here:
            said = sidecar(operator="Erika Mustermann", batch="Stapel", number="Aktenzeichen")
            for number in (41, 43):
                drop(here, f"Sozialamt/Bescheid_{number}.pdf", pdf(b"%d" % number))
            drop(here, "Sozialamt/Bescheid_41.json", said)
            drop(here, "Sozialamt/Bescheid_43.json", b'{"Erika": 1}')
            await here.described(2)
            ahead[0] = timedelta(seconds=90)
            await here.alarm("scans-missing")
            (good, bad) = sorted(await here.documents(), key=lambda one: one.code)
            with contextlib.closing(open_reader(here.config.state_dir / "spool.db")) as reader:
                snapshot = status.make(reader, here.alarms.now(), LIVE)
                chain = "".join(reader.chain())
            await here.spool(Spool.export_ledger)
            everywhere = [
                json.dumps(status.as_json(snapshot)),
                metrics.text(snapshot),
                repr(here.alarms.now()),
                caplog.text,
                chain,
                *(
                    p.read_text()
                    for p in (here.config.state_dir / "ledger").glob("*-[0-9][0-9].jsonl")
                ),
            ]

            assert good.described.operator == "Erika Mustermann"
            assert good.described.batch == "Stapel"
            assert good.described.subfolder == "Sozialamt"
            assert "sidecar-differs" in good.described.remarks
            assert bad.code == "sidecar-damaged"
            assert len(everywhere) == 6
            for text in everywhere:
                assert not [secret for secret in SECRETS if secret in text.lower()], text

    run(work)
