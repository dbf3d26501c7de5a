"""A full disk, real ones of a few megabytes: the intake waits, says so, and goes on by itself.

There are two ways to be full: no block for another byte, and no inode for another
file. Of the second nothing can be seen beforehand, so a claim runs into it, at each
of its steps.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

from daemon import durable
from tests.intake import Here, mounted, pdf, until, watching

SCAN = pdf(b"scan")


def run(work: Callable[[], Awaitable[None]]) -> None:
    """Run a test's own coroutine."""

    async def main() -> None:
        await work()

    asyncio.run(main())


def allow(folder: Path, more: int) -> None:
    """Let the file system of *folder* have so many more files than it has now."""
    facts = os.statvfs(folder)
    limit = f"nr_inodes={facts.f_files - facts.f_ffree + more}"
    subprocess.run(["mount", "-o", f"remount,{limit}", folder], check=True)


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


async def left(here: Here) -> list[Path]:
    """Return what lies in the hot folder, `.scanseal` included."""
    return sorted(path for path in here.hot.rglob("*") if path.is_file())


def test_a_share_without_a_byte_left_is_emptied(tmp_path: Path) -> None:
    """What fills it are the scans themselves: they have to be taken all the same."""

    async def work() -> None:
        with mounted(tmp_path / "hot", "2m") as hot:
            async with watching(tmp_path) as here:
                await until(here.documents, lambda found: not found)
                fill(hot / "filler.tmp")
                used = (hot / "filler.tmp").stat().st_size
                os.truncate(hot / "filler.tmp", used - 4096)
                (hot / "a.pdf").write_bytes(SCAN)
                free = os.statvfs(hot).f_bfree
                (document,) = await here.claimed()
                await until(lambda: left(here), lambda found: found == [hot / "filler.tmp"])

                assert free == 0
                assert here.original(document) == SCAN
                assert here.alarms.now() == ()

    run(work)


def test_a_share_that_can_have_no_more_folders_is_told(tmp_path: Path) -> None:
    """`.scanseal` cannot be made: it is the hot folder's disk, and the alarm says that."""

    async def work() -> None:
        with mounted(tmp_path / "hot") as hot:
            async with watching(tmp_path) as here:
                (hot / "a.pdf").write_bytes(SCAN)
                allow(hot, 0)
                alarm = await here.alarm("disk-full")

                assert (alarm.instance, alarm.detail) == (
                    "post",
                    "use: the hot folder's own disk has no room left",
                )
                assert await left(here) == [hot / "a.pdf"]
                allow(hot, 10)
                (document,) = await here.claimed()
                await here.no_alarm("disk-full")

                assert here.original(document) == SCAN

    run(work)


def test_a_disk_says_itself_why_it_takes_nothing(tmp_path: Path) -> None:
    """No inode, no block, read-only: what SQLite makes of them is all the same to it."""
    with mounted(tmp_path / "state") as state:
        assert durable.refusal(state) == 0
        allow(state, 0)
        assert durable.refusal(state) == errno.ENOSPC
        allow(state, 2)
        fill(state / "filler")
        assert durable.refusal(state) == errno.ENOSPC
        (state / "filler").unlink()
        subprocess.run(["mount", "-o", "remount,ro", state], check=True)
        assert durable.refusal(state) == errno.EROFS
        subprocess.run(["mount", "-o", "remount,rw", state], check=True)
        assert durable.refusal(state) == 0
        assert list(state.iterdir()) == []


def test_a_disk_of_ours_that_can_have_no_more_files_stops_a_claim_at_each_step(
    tmp_path: Path,
) -> None:
    """The folder, its document.json, the copy: whichever could not be made, nothing is lost."""

    async def work() -> None:
        with mounted(tmp_path / "state") as state, mounted(tmp_path / "hot") as hot:
            async with watching(tmp_path, running=False, rescan_seconds=0.1) as here:
                task = asyncio.create_task(here.stage.run())
                (hot / "a.pdf").write_bytes(SCAN)
                places = set()
                # No folder; year, month and day, which stay; the document's; and no copy.
                for more in (0, 1, 1, 1, 1, 2):
                    allow(state, more)
                    alarm = await here.alarm("disk-full")
                    await here.looks(4)  # a try at least
                    (place,) = await left(here)
                    places.add(place.parent.name)

                    assert alarm.detail == "state_dir has no room left"
                    assert place.read_bytes() == SCAN
                    assert await here.documents() == []
                    assert list(here.config.documents.rglob("original.*")) == []
                allow(state, 20)
                (document,) = await here.claimed()
                await here.no_alarm("disk-full")
                await until(lambda: left(here), lambda found: not found)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

                assert places == {"hot", ".scanseal"}
                assert here.original(document) == SCAN
                assert here.origin(document).name == b"a.pdf"
                files = [path.name for path in here.config.documents.rglob("*") if path.is_file()]
                assert sorted(files) == ["document.json", "original.pdf"]

    run(work)
