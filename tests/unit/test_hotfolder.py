"""The hot folder's stage, with scanners that behave as scanners do, and shares that behave worse."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from daemon.codes import CODES
from daemon.document import State
from daemon.intake import NotNow, Reason
from daemon.spool import Spool
from tests.intake import (
    BECOME,
    SETTLE,
    Here,
    mounted,
    now,
    open_folder,
    pdf,
    scanning,
    until,
    watching,
)

NEVER = 3600.0
"""A rescan that no test lives to see: only events can be the cause then."""


def run(work: Callable[[], Awaitable[None]]) -> None:
    """Run a test's own coroutine."""

    async def main() -> None:
        await work()

    asyncio.run(main())


def drop(here: Here, name: str, data: bytes, seconds_old: float = 0.0) -> Path:
    """Put a file into the hot folder at once, as a copy over the network does."""
    path = here.hot / name
    path.write_bytes(data)
    if seconds_old:
        os.utime(path, (time.time() - seconds_old,) * 2)
    return path


async def rejected(here: Here, count: int) -> list[Path]:
    """Wait until *count* files lie in `rejected`."""

    async def files() -> list[Path]:
        return sorted(p for p in here.back.iterdir() if p.name[0] != ".")

    found: list[Path] = await until(files, lambda found: len(found) >= count)
    return found


# -- what scanners do -----------------------------------------------------------------------


def test_a_scan_is_taken_once_it_was_quiet_for_long_enough(tmp_path: Path) -> None:
    """Events alone wake the stage here: the quiet time and not a rescan decides when."""

    async def work() -> None:
        async with watching(tmp_path, rescan_seconds=NEVER) as here:
            woken: list[bool] = []
            here.stage.claimed = lambda: woken.append(True)
            await until(lambda: _done(here.stage.facts().last_scan_at), bool)
            started = time.monotonic()
            drop(here, "a.pdf", pdf())
            (document,) = await here.claimed()

            assert time.monotonic() - started >= SETTLE
            assert document.state is State.CLAIMED
            assert here.original(document) == pdf()
            assert here.origin(document).name == b"a.pdf"
            assert woken == [True]

    run(work)


def test_what_lies_there_at_start_waits_like_anything_that_comes(tmp_path: Path) -> None:
    """However old its own times are: they are the scanner's word."""

    async def work() -> None:
        (tmp_path / "hot").mkdir()
        old = tmp_path / "hot" / "old.pdf"
        old.write_bytes(pdf())
        os.utime(old, (1, 1))
        started = time.monotonic()
        async with watching(tmp_path) as here:
            await here.claimed()

            assert time.monotonic() - started >= SETTLE

    run(work)


def test_pauses_between_pieces_are_not_the_end(tmp_path: Path) -> None:
    """The file is closed after each piece, and each pause is nearly as long as the quiet time."""

    async def work() -> None:
        async with watching(tmp_path, settle_seconds=0.5, give_up_seconds=5.0) as here:
            data = pdf(b"page" * 30)
            with scanning() as scanner:
                path = here.hot / "long.pdf"
                for place in range(0, len(data), 40):
                    await asyncio.to_thread(scanner.open, path, os.O_APPEND)
                    await asyncio.to_thread(scanner.write, path, data[place : place + 40])
                    await asyncio.to_thread(scanner.close, path)
                    await asyncio.sleep(0.3)

                assert await here.documents() == []
            (document,) = await here.claimed()

            assert here.original(document) == data

    run(work)


def test_a_complete_file_that_is_open_waits_for_its_close(tmp_path: Path) -> None:
    """Complete and unchanged for long is not enough; the close alone wakes the stage."""

    async def work() -> None:
        async with watching(tmp_path, rescan_seconds=NEVER) as here:
            path = here.hot / "open.pdf"
            with scanning() as scanner:
                await asyncio.to_thread(scanner.open, path)
                await asyncio.to_thread(scanner.write, path, pdf())
                drop(here, "other.pdf", pdf(b"other"))
                (other,) = await here.claimed()
                for word in ("one", "two"):
                    drop(here, f"{word}.tmp", b"")  # no scan, and yet an event
                    await here.looks(1)

                assert here.origin(other).name == b"other.pdf"
                assert path.exists()
                await asyncio.to_thread(scanner.close, path)
                documents = await here.claimed(2)

            assert here.original(documents[1]) == pdf()

    run(work)


def test_a_part_that_is_renamed_is_taken_under_its_last_name(tmp_path: Path) -> None:
    """What matches an ignore pattern is not there, whatever it holds and however long."""

    async def work() -> None:
        async with watching(tmp_path, give_up_seconds=SETTLE) as here:
            part = drop(here, "scan.pdf.part", b"half")
            await here.looks(4)

            assert part.exists()
            assert here.stage.facts().waiting == 0
            part.write_bytes(pdf())
            part.rename(here.hot / "scan.pdf")
            (document,) = await here.claimed()

            assert here.origin(document).name == b"scan.pdf"

    run(work)


def test_an_empty_placeholder_is_waited_for(tmp_path: Path) -> None:
    """Scanners make the name first and warm up then: empty is no scan, and no error yet."""

    async def work() -> None:
        async with watching(tmp_path, give_up_seconds=60.0) as here:
            path = drop(here, "warm.pdf", b"")
            await here.looks(4)

            assert await here.documents() == []
            path.write_bytes(pdf())
            (document,) = await here.claimed()

            assert (document.state, here.original(document)) == (State.CLAIMED, pdf())

    run(work)


def test_a_name_that_is_used_again_is_a_scan_of_its_own(tmp_path: Path) -> None:
    """SCAN0001.pdf every time: each is kept, none is mixed with the one before."""

    async def work() -> None:
        async with watching(tmp_path) as here:
            for number in range(4):
                drop(here, "SCAN0001.pdf", pdf(b"%d" % number))
                await here.claimed(number + 1)
            documents = await here.documents()

            assert [here.original(one) for one in documents] == [pdf(b"%d" % n) for n in range(4)]

    run(work)


def test_a_late_writer_settles_under_the_private_name(tmp_path: Path) -> None:
    """Where no lease tells, it is taken after the longer quiet time, and looked at again."""

    async def work() -> None:
        async with watching(tmp_path, running=False) as here:
            path = drop(here, "late.pdf", b"%PDF-1.7 ")
            private = _private(here)
            with scanning() as scanner:
                await asyncio.to_thread(scanner.open, path, os.O_APPEND)
                # What a claim leaves that was stopped at its second look.
                own = "01999999-9999-7999-8999-999999999999"
                path.rename(private / own)
                task = asyncio.create_task(here.stage.run())
                await here.looks(3)
                await asyncio.to_thread(scanner.write, path, pdf())
                await here.looks(3)

                assert await here.documents() == []
                await asyncio.to_thread(scanner.close, path)
            (document,) = await here.claimed()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

            assert document.id != own
            assert here.original(document) == b"%PDF-1.7 " + pdf()
            assert here.private() == []

    run(work)


def test_scans_cross_from_one_mount_to_another(tmp_path: Path) -> None:
    """As under systemd, where each folder is a mount of its own: copied, and nothing left behind."""

    async def work() -> None:
        with mounted(tmp_path / "hot"):
            async with watching(tmp_path) as here:
                for number in range(5):
                    drop(here, f"{number}.pdf", pdf(b"%d" % number))
                documents = await here.claimed(5)
                await until(lambda: _done(here.private()), lambda left: not left)

                assert {here.original(one) for one in documents} == {
                    pdf(b"%d" % number) for number in range(5)
                }
                assert len(await here.documents()) == 5

    run(work)


def test_a_file_that_changed_since_it_was_listed_stays_in_the_hot_folder(tmp_path: Path) -> None:
    """The look at the open file has to be the one that has settled: else it is not even moved."""

    async def work() -> None:
        async with watching(tmp_path, running=False) as here:
            path = drop(here, "a.pdf", pdf())
            door = here.stage._door
            await asyncio.to_thread(door.look, rung=False)
            await asyncio.sleep(SETTLE)
            path.write_bytes(pdf(b"longer than before"))
            with pytest.raises(NotNow) as caught:
                await asyncio.to_thread(door.take, b"a.pdf", 0, "sure")
            await asyncio.to_thread(door.stop)

            assert caught.value.reason is Reason.QUIET
            assert path.read_bytes() == pdf(b"longer than before")
            assert here.private() == []

    run(work)


def test_a_private_file_nobody_knows_waits_like_a_new_one(tmp_path: Path) -> None:
    """Without a document.json nothing tells how it looked: our own looks have to."""

    async def work() -> None:
        async with watching(tmp_path, running=False) as here:
            own = "01999999-9999-7999-8999-999999999999"
            drop(here, "a.pdf", pdf()).rename(_private(here) / own)
            door = here.stage._door
            await asyncio.to_thread(door.look, rung=False)
            with pytest.raises(NotNow) as caught:
                await asyncio.to_thread(door.resume, own, 0, "sure")
            still_there = here.private()
            await asyncio.sleep(SETTLE)
            claimed = await asyncio.to_thread(door.resume, own, 0, "sure")
            await asyncio.to_thread(door.stop)

            assert caught.value.reason is Reason.QUIET
            assert still_there == [here.hot / ".scanseal" / own]
            assert claimed.arrival.id != own  # it was not given by us
            assert claimed.arrival.name == own.encode()

    run(work)


def test_the_oldest_file_is_first(tmp_path: Path) -> None:
    """By the file's own time: who scanned first is sealed first."""

    async def work() -> None:
        async with watching(tmp_path, running=False) as here:
            for number in (3, 1, 2):
                drop(here, f"{number}.pdf", pdf(b"%d" % number), seconds_old=100 - number)
            task = asyncio.create_task(here.stage.run())
            documents = await here.claimed(3)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

            assert [here.origin(one).name for one in documents] == [b"1.pdf", b"2.pdf", b"3.pdf"]

    run(work)


def test_many_files_are_taken_while_the_loop_stays_free(tmp_path: Path) -> None:
    """Each exactly once; whoever else needs the loop gets it between and during the claims."""

    async def work() -> None:
        async with watching(tmp_path) as here:
            names = {f"{number}.pdf".encode() for number in range(60)}
            for name in names:
                drop(here, name.decode(), pdf(name))
            free = 0
            while len(await here.documents()) < len(names):
                await asyncio.sleep(0)
                free += 1
            documents = await here.documents()

            assert free > len(names)
            assert {here.origin(one).name for one in documents} == names
            assert all(here.original(one) == pdf(here.origin(one).name) for one in documents)
            assert (await here.spool(Spool.counts))["document"] == {"claimed": len(names)}

    run(work)


# -- what is given up, and the way back ---------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "code", "extension"),
    [
        (b"", "file-empty", "bin"),
        (b"PK\3\4 a letter", "format-unknown", "bin"),
        (pdf()[:-12], "file-incomplete", "pdf"),
    ],
)
def test_what_stays_bad_is_refused_and_comes_back_with_a_text(
    data: bytes, code: str, extension: str, tmp_path: Path
) -> None:
    """I8, I2: the next file is not held up; the copy tells why, the original is kept."""

    async def work() -> None:
        async with watching(tmp_path) as here:
            drop(here, "Müller.alt.xyz", data)
            good = drop(here, "good.pdf", pdf())
            (bad,) = [one for one in await here.refused() if one.state is State.REFUSED]
            await here.claimed(2)
            copy, text = await rejected(here, 2)
            await until(lambda: here.spool(Spool.copies_due, "post", 10), lambda due: not due)

            assert bad.code == code
            assert here.original(bad) == data
            assert not good.exists()
            assert copy.name == f"Müller.alt~{bad.id[-8:]}.{extension}"
            assert text.name == f"Müller.alt~{bad.id[-8:]}.txt"
            assert copy.read_bytes() == data
            assert copy.stat().st_mode & 0o777 == text.stat().st_mode & 0o777 == 0o660
            words = text.read_bytes().decode("utf-8-sig")
            german, english = words.split("-" * 60)
            assert "Dieser Scan wurde nicht angenommen." in german
            assert "This scan was not accepted." in english
            assert "Müller.alt.xyz" in german
            assert bad.id in german
            for block, language in ((german, "de"), (english, "en")):
                assert code in block
                if code in CODES:
                    assert CODES[code].text(language).sentence in block
                    assert CODES[code].text(language).remedy in block

    run(work)


# -- what is no scan ------------------------------------------------------------------------------


def test_what_is_no_file_is_left_alone_and_told(tmp_path: Path) -> None:
    """Folders, links and FIFOs: never opened, never moved; a person has to look, by number only."""

    async def work() -> None:
        async with watching(tmp_path, give_up_seconds=SETTLE) as here:
            (here.hot / "Akte Mustermann").mkdir()
            (here.hot / "Akte Mustermann" / "a.pdf").write_bytes(pdf())
            (here.hot / "link.pdf").symlink_to(here.hot / "Akte Mustermann" / "a.pdf")
            os.mkfifo(here.hot / "fifo.pdf")
            alarm = await here.alarm("left-lying")

            assert (alarm.instance, alarm.detail) == ("post", "not-a-file 3")
            assert await here.documents() == []
            assert len(list(here.hot.iterdir())) == 4
            assert here.stage.facts().waiting == 0
            for name in ("link.pdf", "fifo.pdf"):
                (here.hot / name).unlink()
            (here.hot / "Akte Mustermann").rename(tmp_path / "moved")
            await here.no_alarm("left-lying")

    run(work)


def test_the_folders_of_our_own_are_not_scanned(tmp_path: Path) -> None:
    """`.scanseal`, and `rejected` however deep it lies: no file in them, no alarm about them."""

    async def work() -> None:
        deep = str(tmp_path / "hot" / "back" / "rejected")
        async with watching(tmp_path, give_up_seconds=SETTLE, rejected=deep) as here:
            drop(here, "a.pdf", pdf())
            await here.claimed()
            (here.back / "b.pdf").write_bytes(pdf())
            await asyncio.sleep(here.stage._door.survey.too_long)
            await here.looks()

            assert len(await here.documents()) == 1
            assert here.alarms.now() == ()

    run(work)


def test_a_file_that_stays_open_for_ever_is_told_with_its_reason(tmp_path: Path) -> None:
    """It is never taken while it is open; somebody has to find out who has it."""

    async def work() -> None:
        async with watching(tmp_path, give_up_seconds=SETTLE) as here:
            path = here.hot / "open.pdf"
            with scanning() as scanner:
                await asyncio.to_thread(scanner.open, path)
                await asyncio.to_thread(scanner.write, path, pdf())
                alarm = await here.alarm("left-lying")

                assert alarm.detail == "still-open 1"
                assert await here.documents() == []
                await asyncio.to_thread(scanner.close, path)
            await here.claimed()
            await here.no_alarm("left-lying")

    run(work)


# -- when the share or the disk is not well ------------------------------------------------------


def test_a_folder_that_goes_away_is_an_alarm_until_it_is_back(tmp_path: Path) -> None:
    """And what comes then is heard of again: the folder of that name is another one now."""

    async def work() -> None:
        async with watching(tmp_path) as here:
            await here.looks(1)
            here.hot.rename(tmp_path / "away")
            alarm = await here.alarm("hotfolder-unreadable")

            assert (alarm.instance, alarm.detail) == ("post", "list: ENOENT")
            here.hot.mkdir()
            await here.no_alarm("hotfolder-unreadable")
            drop(here, "a.pdf", pdf())
            await here.claimed()

            assert here.stage._door._bell.answers()

    run(work)


def test_a_new_folder_of_the_same_name_is_listened_to(tmp_path: Path) -> None:
    """Nothing tells that the old one was moved away: each look compares."""

    async def work() -> None:
        async with watching(tmp_path) as here:
            await here.looks(1)
            (tmp_path / "new").mkdir()
            here.hot.rename(tmp_path / "old")
            (tmp_path / "new").rename(here.hot)
            bell = here.stage._door._bell
            await until(lambda: _done(bell._heard), lambda h: h and h.place == _at(here.hot))
            drop(here, "a.pdf", pdf())
            (document,) = await here.claimed()

            assert here.original(document) == pdf()

    run(work)


def test_without_its_observer_the_scan_finds_everything(tmp_path: Path) -> None:
    """Watchdog's thread ends, one way or another: the scan goes on, and it is made anew."""

    async def work() -> None:
        async with watching(tmp_path) as here:
            await here.looks(1)
            ears = here.stage._door._bell._ears
            assert ears is not None
            await asyncio.to_thread(ears.stop)
            drop(here, "a.pdf", pdf())
            await here.claimed()
            await here.looks()
            again = here.stage._door._bell._ears

            assert again is not ears
            assert here.stage._door._bell.answers()
            assert here.alarms.now() == ()

    run(work)


DEAF = (
    BECOME
    + """
import asyncio, ctypes
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.intake import pdf, watching

libc = ctypes.CDLL(None)
taken = []

def take_instances():
    # A user of its own: nobody else's listeners count, and none of theirs is taken.
    become(64_999)
    while (fd := libc.inotify_init()) >= 0:
        taken.append(fd)

def give_instances():
    for fd in taken:
        os.close(fd)

def limit_watches(count):
    Path("/proc/sys/user/max_inotify_watches").write_text(str(count))

def take_watches():
    # A namespace of its own, whose limit is nobody else's.
    assert libc.unshare(0x10000000) == 0
    Path("/proc/self/setgroups").write_text("deny")
    for name in ("uid_map", "gid_map"):
        Path("/proc/self", name).write_text("0 0 1")
    limit_watches(0)

async def main(give):
    async with watching(Path(sys.argv[1])) as here:
        alarm = await here.alarm("hotfolder-events")
        (here.hot / "a.pdf").write_bytes(pdf())
        await here.claimed()
        print(alarm.instance, alarm.detail)
        give()
        await here.no_alarm("hotfolder-events")
        print("heard again")

if sys.argv[3] == "instances":
    take_instances()
    asyncio.run(main(give_instances))
else:
    take_watches()
    asyncio.run(main(lambda: limit_watches(100)))
"""
)


@pytest.mark.parametrize(("limit", "error"), [("instances", "EMFILE"), ("watches", "ENOSPC")])
def test_a_folder_that_cannot_be_listened_to_is_told_and_scanned(limit: str, error: str) -> None:
    """The kernel has limits of listeners per user: without events the scan alone does it."""
    with open_folder() as root:
        root.chmod(0o777)
        said = subprocess.run(
            [sys.executable, "-c", DEAF, root, Path(__file__).parents[2], limit],
            capture_output=True,
            text=True,
            check=True,
        )

    assert said.stdout == f"post {error}\nheard again\n"


def test_no_room_is_an_alarm_and_claims_go_on_by_themselves(tmp_path: Path) -> None:
    """What is there for the sealed files of earlier scans is not given to new originals."""

    async def work() -> None:
        with mounted(tmp_path / "state", "8m") as state:
            filler = state / "filler"
            filler.write_bytes(b"\0" * 6_500_000)
            async with watching(tmp_path) as here:
                path = drop(here, "a.pdf", pdf(b"\0" * 600_000))
                small = drop(here, "small.pdf", pdf())
                alarm = await here.alarm("disk-full")
                (document,) = await here.claimed()

                assert alarm.instance == "post"
                assert (path.exists(), small.exists()) == (True, False)
                filler.unlink()
                (_, document) = await here.claimed(2)
                await here.no_alarm("disk-full")

                assert document.size > 600_000

    run(work)


def test_a_private_folder_of_another_is_a_permission_alarm_at_once(tmp_path: Path) -> None:
    """Named with user and mode, gone when it is put right; the scan waits unharmed."""

    async def work() -> None:
        async with watching(tmp_path) as here:
            (here.hot / ".scanseal").mkdir()
            os.chown(here.hot / ".scanseal", 65534, 65534)
            path = drop(here, "Mustermann.pdf", pdf())
            alarm = await here.alarm("hotfolder-permission")

            assert "it is drwxr-xr-x of another user" in alarm.detail
            assert "nobody" not in alarm.detail
            assert "Mustermann" not in alarm.detail
            assert path.read_bytes() == pdf()
            (here.hot / ".scanseal").rmdir()
            await here.claimed()
            await here.no_alarm("hotfolder-permission")

    run(work)


def test_names_leave_only_by_the_way_they_came(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """I9: neither the log nor an alarm has the name of a file, whatever happens to it."""

    async def work() -> None:
        async with watching(tmp_path) as here:
            here.back.rmdir()
            drop(here, "Mustermann.pdf", pdf())
            drop(here, "Mustermann.doc", b"no scan")
            (here.hot / "Mustermann").mkdir()
            await here.refused()
            await here.alarm("rejected-not-writable")
            await here.alarm("left-lying")

            told = [(alarm.instance, alarm.detail) for alarm in here.alarms.now()]
            assert "ustermann" not in repr(told)

    caplog.set_level(logging.DEBUG)
    run(work)

    assert "claimed document=" in caplog.text
    assert "ustermann" not in caplog.text


# -- the stage itself -------------------------------------------------------------------------------


def test_a_stop_in_the_middle_of_a_claim_brings_it_to_its_end(tmp_path: Path) -> None:
    """The stop comes when the scan lies in its folder and has no row: it gets its row first."""

    async def work() -> None:
        async with watching(tmp_path, running=False) as here:
            drop(here, "a.pdf", pdf())
            claimed: list[bool] = []
            here.stage.claimed = lambda: claimed.append(True)
            task = asyncio.create_task(here.stage.run())

            def stop_once_moved() -> None:
                if not claimed and list(here.config.documents.rglob("original.pdf")):
                    task.cancel()

            here.stage.beat = stop_once_moved
            with pytest.raises(asyncio.CancelledError):
                await task

            assert claimed == [True]
            assert len(await here.documents()) == 1
            assert here.private() == []

    run(work)


def test_the_page_is_told_what_waits(tmp_path: Path) -> None:
    """How many, how long, when we looked, and whether a writer can be known here."""

    async def work() -> None:
        async with watching(tmp_path, give_up_seconds=60.0) as here:
            before = here.stage.facts()
            drop(here, "half.pdf", pdf()[:-9])
            await until(lambda: _done(here.stage.facts().waiting), lambda n: n == 1)
            await here.looks(3)
            facts = here.stage.facts()

            assert (before.waiting, before.oldest_seconds, before.last_scan_at) == (0, None, None)
            assert (facts.name, facts.writer_known) == ("post", True)
            assert facts.oldest_seconds is not None
            assert facts.oldest_seconds > SETTLE
            assert facts.last_scan_at is not None
            assert facts.last_scan_at <= now()

    run(work)


def test_the_stage_beats_while_there_is_nothing_to_do(tmp_path: Path) -> None:
    """Systemd's watchdog asks whether it gets on, and looking is getting on."""

    async def work() -> None:
        async with watching(tmp_path, running=False) as here:
            beats: list[float] = []
            here.stage.beat = lambda: beats.append(time.monotonic())
            task = asyncio.create_task(here.stage.run())
            await until(lambda: _done(len(beats)), lambda n: n > 3)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run(work)


def _private(here: Here) -> Path:
    folder = here.hot / ".scanseal"
    folder.mkdir(mode=0o700)
    return folder


async def _done(value: object) -> object:
    return value


def _at(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino
