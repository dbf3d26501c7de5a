"""Events are lost, shares go away, disks fill up: the scan is the truth and goes on by itself."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from daemon.checkup import checkup
from daemon.hotfolder import HotFolderStage
from daemon.intake import NotNow, Reason
from daemon.intake.claim import Desk
from daemon.intake.recovery import recover
from daemon.intake.settle import BLIND_FACTOR, Look
from tests.intake import (
    SETTLE,
    mounted,
    now,
    pdf,
    scanning,
    section_of,
    served,
    until,
    watching,
)

NEVER = 3600.0
"""A rescan that no test lives to see: only events can be the cause then."""
MANY = 50_000
QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")
IN_ALL, IN_Q_OVERFLOW = 0xFFF, 0x4000


def run(work: Callable[[], Awaitable[None]]) -> None:
    """Run a test's own coroutine."""

    async def main() -> None:
        await work()

    asyncio.run(main())


def mount(what: Path, where: Path) -> None:
    """Let *where* be what *what* is."""
    subprocess.run(["mount", "--bind", what, where], check=True)


def unmount(where: Path) -> None:
    """Take a share away, whoever still has something open on it."""
    subprocess.run(["umount", "-l", where], check=True)


async def value(of: object) -> object:
    return of


# -- events that are lost --------------------------------------------------------------------

FLOOD = """
import os, sys
hot, count, scan = sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3])
for number in range(count):
    os.close(os.open(f"{hot}/.{number % 2}", os.O_WRONLY | os.O_CREAT))
with open(f"{hot}/lost.pdf", "wb") as file:
    file.write(scan)
"""


@contextlib.contextmanager
def overheard(folder: Path) -> Iterator[Callable[[], bool]]:
    """Listen to *folder* and read nothing; yield the question whether the kernel drops events."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init()
    assert libc.inotify_add_watch(fd, os.fsencode(folder), IN_ALL) >= 0

    def overflowed() -> bool:
        marks = set()
        os.set_blocking(fd, False)
        with contextlib.suppress(BlockingIOError):
            while data := os.read(fd, 1 << 16):
                place = 0
                while place < len(data):
                    marks.add(int.from_bytes(data[place + 4 : place + 8], sys.byteorder))
                    length = int.from_bytes(data[place + 12 : place + 16], sys.byteorder)
                    place += 16 + length
        return IN_Q_OVERFLOW in marks

    try:
        yield overflowed
    finally:
        os.close(fd)


def test_a_scan_whose_event_the_kernel_dropped_is_found(tmp_path: Path) -> None:
    """The queue is full when it comes: what is known then is that something was lost.

    No thread of ours gets a turn until the flood is over: the interpreter's lock is
    kept, as a call into a bad library would keep it.
    """

    async def work() -> None:
        async with watching(tmp_path, rescan_seconds=NEVER) as here:
            await until(lambda: value(here.stage.facts().last_scan_at), bool)
            count = int(QUEUE.read_text())
            words = [str(here.hot), str(count), pdf(b"lost").hex()]
            with overheard(here.hot) as overflowed:
                command = [sys.executable, "-IS", "-c", FLOOD, *words]
                flood = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: ASYNC220
                assert flood.stdout is not None
                buffer = ctypes.create_string_buffer(1)
                ended = ctypes.PyDLL(None).read(flood.stdout.fileno(), buffer, 1)
                flood.stdout.close()

                assert (ended, flood.wait()) == (0, 0)
                assert overflowed()
            (lost,) = await here.claimed()
            (here.hot / "later.pdf").write_bytes(pdf(b"later"))
            _, later = await here.claimed(2)

            assert here.original(lost) == pdf(b"lost")
            assert here.original(later) == pdf(b"later")

    run(work)


def test_an_overflow_alone_is_worth_a_look(tmp_path: Path) -> None:
    """Nothing but the kernel's word that it dropped something: it rings."""

    async def work() -> None:
        async with watching(tmp_path, rescan_seconds=NEVER) as here:
            await until(lambda: value(here.stage.facts().last_scan_at), bool)
            before = here.stage.facts().last_scan_at
            here.stage._door._bell.on_queue_overflow()
            await until(lambda: value(here.stage.facts().last_scan_at), lambda at: at != before)

    run(work)


def test_folders_in_the_folder_are_heard_as_well(tmp_path: Path) -> None:
    """One that is new, one that is renamed, one that is removed and made again."""

    async def work() -> None:
        async with watching(tmp_path, rescan_seconds=NEVER, subfolders=True) as here:
            await until(lambda: value(here.stage.facts().last_scan_at), bool)
            scans: list[bytes] = []

            async def drop(folder: Path) -> None:
                await asyncio.sleep(0.2)  # nothing is left that would wake the stage anyway
                scans.append(pdf(b"%d" % len(scans)))
                (folder / "a.pdf").write_bytes(scans[-1])
                await here.claimed(len(scans))

            folder = here.hot / "Akte"
            folder.mkdir()
            await drop(folder)
            await drop(folder)
            folder = folder.rename(here.hot / "Andere")
            await drop(folder)
            folder.rmdir()
            folder.mkdir()
            await drop(folder)

            assert [here.original(one) for one in await here.documents()] == scans
            assert here.alarms.now() == ()

    run(work)


# -- shares that go away ---------------------------------------------------------------------


def test_a_share_that_is_unmounted_comes_back_with_what_was_on_it(tmp_path: Path) -> None:
    """What waits on it, what was claimed and not moved, what came meanwhile: each once."""

    async def work() -> None:
        store = tmp_path / "store"
        hot = tmp_path / "hot"
        hot.mkdir()
        with mounted(store):
            mount(store, hot)
            async with watching(tmp_path, give_up_seconds=60.0) as here:
                (hot / "waits.pdf").write_bytes(pdf(b"waits")[:-9])
                await until(lambda: value(here.stage.facts().waiting), lambda n: n == 1)
                unmount(hot)
                await until(lambda: value(here.stage.facts().waiting), lambda n: n == 0)
                private = store / ".scanseal"
                private.mkdir(mode=0o700)
                own = "01999999-9999-7999-8999-999999999999"
                (private / own).write_bytes(pdf(b"claimed"))
                (store / "came.pdf").write_bytes(pdf(b"came"))
                with (store / "waits.pdf").open("ab") as file:
                    file.write(pdf(b"waits")[-9:])
                await here.looks(2)
                nothing = await here.documents()
                mount(store, hot)
                documents = await here.claimed(3)
                await until(lambda: value(list(private.iterdir())), lambda left: not left)
                (hot / "heard.pdf").write_bytes(pdf(b"heard"))
                await here.claimed(4)
                heard = here.stage._door._bell._heard

                assert nothing == []
                assert heard is not None
                assert heard.place == (store.stat().st_dev, store.stat().st_ino)
                assert {here.original(one) for one in documents} == {
                    pdf(b"waits"), pdf(b"claimed"), pdf(b"came")
                }  # fmt: skip
                # Nothing of ours says whose it was, so it may be anybody's: its id is not believed.
                assert own not in {one.id for one in documents}
                assert len(await here.documents()) == 4
                unmount(hot)

    run(work)


def test_where_others_write_the_scan_alone_finds_it_and_waits_longer(tmp_path: Path) -> None:
    """Behind the server's back no event comes, and nobody can tell that a file is open."""

    async def work() -> None:
        behind = tmp_path / "behind"
        with served(tmp_path / "hot", behind):
            async with watching(tmp_path, give_up_seconds=60.0) as here:
                await until(lambda: value(here.stage.facts().last_scan_at), bool)
                known = here.stage.facts().writer_known
                started = time.monotonic()
                (behind / "a.pdf").write_bytes(pdf())
                (document,) = await here.claimed()
                took = time.monotonic() - started

                assert known is False
                assert here.original(document) == pdf()
                assert took >= BLIND_FACTOR * SETTLE
                found = {one.what: one for one in checkup(here.config, None)}
                events = found["[[hotfolder]] post events"]
                assert events.good
                assert events.text.startswith("none come from fuse.sshfs")
                assert f"every {here.section.rescan_seconds:g} s" in events.text
                assert f"quiet for {BLIND_FACTOR * SETTLE:g} s" in events.text

    run(work)


def test_where_a_lease_says_nothing_its_word_is_not_waited_for(tmp_path: Path) -> None:
    """NFS and SMB mounts say "somebody has it open" of every file: here somebody really has.

    Neither the stage nor the start after a kill waits for that, or nothing would be taken, ever.
    """

    async def work() -> None:
        with served(tmp_path / "hot", tmp_path / "behind"), scanning() as scanner:
            async with watching(tmp_path, running=False) as here:
                for name in ("a.pdf", "b.pdf"):
                    await asyncio.to_thread(scanner.open, here.hot / name)
                    await asyncio.to_thread(scanner.write, here.hot / name, pdf(name.encode()))
                desk = Desk(here.section, here.config.documents)
                look = Look.of((here.hot / "a.pdf").stat())
                with pytest.raises(NotNow) as caught:
                    await asyncio.to_thread(desk.take, b"a.pdf", look, now(), "sure")
                left = len(here.private())
                await recover(here.config, here.spool, here.alarms, now)
                (first,) = await here.documents()
                task = asyncio.create_task(here.stage.run())
                *_, second = await here.claimed(2)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

                assert (caught.value.reason, left) == (Reason.WRITER, 1)
                assert here.original(first) == pdf(b"a.pdf")
                assert here.original(second) == pdf(b"b.pdf")

    run(work)


def test_a_share_that_does_not_answer_is_told_and_holds_up_nothing_else(tmp_path: Path) -> None:
    """Its server is stopped, as one is that hangs: another folder goes on, and it does, later."""

    async def work() -> None:
        behind = tmp_path / "behind"
        other = section_of(tmp_path, name="other", path=str(tmp_path / "other"))
        (tmp_path / "other").mkdir()
        with served(tmp_path / "hot", behind) as server:
            async with watching(tmp_path, patience_seconds=0.4) as here:
                beats: list[float] = []
                here.stage.beat = lambda: beats.append(time.monotonic())
                (here.hot / "first.pdf").write_bytes(pdf(b"first"))
                await here.claimed()
                server.send_signal(signal.SIGSTOP)
                stopped = time.monotonic()
                (behind / "hung.pdf").write_bytes(pdf(b"hung"))
                alarm = await here.alarm("hotfolder-unreadable")
                second = HotFolderStage(other, here.config, here.spool, here.alarms, now)
                task = asyncio.create_task(second.run())
                (tmp_path / "other" / "other.pdf").write_bytes(pdf(b"other"))
                *_, document = await here.claimed(2)
                before = len(beats)
                await until(lambda: value(len(beats)), lambda n: n > before + 1)
                still = [one.code for one in here.alarms.now()]
                await asyncio.sleep(max(0.0, 2.0 - (time.monotonic() - stopped)))
                hung = time.monotonic() - stopped
                server.send_signal(signal.SIGCONT)
                answered = time.monotonic()
                *_, late = await here.claimed(3)
                took = time.monotonic() - answered
                await here.no_alarm("hotfolder-unreadable")
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

                assert (alarm.instance, alarm.detail) == ("post", "it does not answer")
                assert here.original(document) == pdf(b"other")
                assert still == ["hotfolder-unreadable"]
                assert here.original(late) == pdf(b"hung")
                assert took < 3 * hung  # and not a multiple of the time that the look took

    run(work)


def test_a_stop_does_not_wait_for_a_share_that_hangs(tmp_path: Path) -> None:
    """The look that is under way cannot be called back; the service can be stopped all the same."""

    async def work() -> None:
        with served(tmp_path / "hot", tmp_path / "behind") as server:
            async with watching(tmp_path, running=False, patience_seconds=0.4) as here:
                task = asyncio.create_task(here.stage.run())
                await here.looks(1)
                server.send_signal(signal.SIGSTOP)
                await here.alarm("hotfolder-unreadable")
                started = time.monotonic()
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                took = time.monotonic() - started
                server.send_signal(signal.SIGCONT)

            assert took < 5.0

    run(work)


# -- more than anybody expects -----------------------------------------------------------------


def test_fifty_thousand_files_wait_and_the_oldest_are_first(tmp_path: Path) -> None:
    """Each is seen at once; two hundred that can be taken are, in their order, before all others."""

    async def work(hot: Path) -> None:
        half = hot / "half0"
        half.write_bytes(pdf()[:-9])
        for number in range(1, MANY):
            os.link(half, hot / f"half{number}")
        scans = {b"scan%d" % number: pdf(b"%d" % number) for number in range(200)}
        for number, (name, data) in enumerate(scans.items()):
            path = hot / os.fsdecode(name)
            path.write_bytes(data)
            os.utime(path, (1_000_000_000 + number,) * 2)
        async with watching(tmp_path, give_up_seconds=600.0) as here:
            await until(lambda: value(here.stage.facts().waiting), bool)
            waiting = here.stage.facts().waiting
            names = {name for name in here.stage._door.survey.files if name.startswith(b"half")}
            documents = await here.claimed(len(scans))
            found = {here.origin(one).name: here.original(one) for one in documents}

            assert waiting == MANY + len(scans)
            assert names == {b"half%d" % number for number in range(MANY)}
            assert list(found.items()) == list(scans.items())

    with mounted(tmp_path / "hot", "64m") as hot:
        run(partial(work, hot))
