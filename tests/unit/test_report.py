"""The file on the share that answers "did my scan arrive?", and what it says of each scan."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.document import DeliveryState, Document, State, new_id
from daemon.intake.arrivals import Arrivals
from daemon.intake.claim import Desk, commit
from daemon.intake.report import MARK, SCANS
from daemon.intake.settle import Look
from daemon.intake.sharedfolder import SharedFolder
from daemon.records.reader import open_reader
from daemon.spool import Spool
from tests.intake import Here, now, pdf, raised, scanning, until, watching
from tests.values import frozen, receipts, sealed

HALF = pdf()[:-12]


def run(root: Path, work: Callable[[Here, Path], Awaitable[None]], **changes: Any) -> None:
    """Run *work* with a hot folder whose stage does not run, and where its report goes."""

    async def main() -> None:
        path = root / "hot" / "Letzte Scans.txt"
        changes.setdefault("running", False)
        async with watching(root, report=str(path), **changes) as here:
            await work(here, path)

    asyncio.run(main())


async def drop(here: Here, name: bytes = b"scan.pdf", data: bytes = b"") -> Document:
    """Claim a scan."""
    path = here.hot / os.fsdecode(name)
    path.write_bytes(data or pdf())
    desk = Desk(here.section, here.config.documents)
    return await here.spool(commit, desk.take(name, Look.of(path.stat()), now(), "sure"), now())


def renewed(here: Here) -> Awaitable[bool]:
    return here.stage._report.renew()


def lines(path: Path) -> list[str]:
    return path.read_bytes().decode("utf-8-sig").split("\r\n")


def test_it_says_of_each_scan_when_it_came_and_where_it_is(tmp_path: Path) -> None:
    """The newest first, with the digits that commands take; a text for the oldest editors."""

    async def work(here: Here, path: Path) -> None:
        first = await drop(here, b"M\xfcller.pdf")
        second = await drop(here, "Bücher.pdf".encode(), HALF)
        assert await renewed(here)
        found = lines(path)

        assert path.read_bytes().startswith(b"\xef\xbb\xbf" + MARK.encode())
        assert "\n" not in "".join(found)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        newest, oldest = (line for line in found if ".pdf" in line)
        assert "Bücher.pdf" in newest
        assert "abgelehnt: Die Datei bricht vorzeitig ab" in newest
        assert newest.endswith(f"[{second.id[-8:]}]")
        assert "M\\xfcller.pdf" in oldest
        assert oldest.endswith(f"wird gesiegelt  [{first.id[-8:]}]")
        assert not [p for p in here.hot.iterdir() if p.name.startswith(".scanseal-")]

    run(tmp_path, work)


def test_it_is_written_when_something_has_changed_and_every_quarter_of_an_hour(
    tmp_path: Path,
) -> None:
    """Its time tells whether the box works; more often would only wear out the share."""

    async def work(here: Here, path: Path) -> None:
        report = here.stage._report
        document = await drop(here)
        assert await renewed(here)
        assert not await renewed(here)
        await here.spool(Spool.refuse, document, "pdf-damaged", "", now())
        assert await renewed(here)
        assert "beschädigt" in path.read_text("utf-8-sig")
        inode = path.stat().st_ino
        report._clock = lambda: now() + timedelta(minutes=14)
        assert not await renewed(here)
        report._clock = lambda: now() + timedelta(minutes=15, seconds=1)
        assert await renewed(here)
        assert path.stat().st_ino != inode  # as a whole: nobody reads half of one
        path.unlink()
        assert await renewed(here)

    run(tmp_path, work)


@pytest.mark.parametrize("how", ["another's", "link", "folder", "dangling"])
def test_a_file_that_is_not_ours_is_never_touched(how: str, tmp_path: Path) -> None:
    """Somebody has typed the name of another file into the configuration: an alarm, no loss."""

    async def work(here: Here, path: Path) -> None:
        other = tmp_path / "other.txt"
        numbers = f"our telephone numbers\n\ufeff{MARK}"
        match how:
            case "another's":
                path.write_text(numbers, "utf-8-sig")
            case "link":
                other.write_text(f"\ufeff{MARK}\r\n")
                path.symlink_to(other)
            case "dangling":
                path.symlink_to(other)
            case "folder":
                path.mkdir()
        before = other.read_bytes() if other.exists() else None
        await drop(here)
        assert not await renewed(here)
        (alarm,) = await raised(here.alarms, "report-not-writable")

        assert (alarm.instance, alarm.detail) == ("post", "write the report: EEXIST")
        assert (other.read_bytes() if other.exists() else None) == before
        assert how != "another's" or path.read_text("utf-8-sig") == numbers
        assert not [p for p in here.hot.iterdir() if p.name.startswith(".scanseal-")]
        path.rmdir() if how == "folder" else path.unlink()
        assert await renewed(here)
        assert await raised(here.alarms, "report-not-writable") == []

    run(tmp_path, work)


@pytest.mark.parametrize("how", ["too long", "itself", "dangling", "ours", "fifo", "folder"])
def test_whatever_takes_the_place_of_the_report_is_told_and_ends_nothing(
    how: str, tmp_path: Path
) -> None:
    """Nothing has changed since it was written, and still it is seen; and never written through."""

    async def work(here: Here, path: Path) -> None:
        await drop(here)
        assert await renewed(here)
        ours = tmp_path / "ours.txt"
        path.rename(ours)
        before = ours.read_bytes()
        match how:
            case "too long":
                path.symlink_to("x" * 300)
            case "itself":
                path.symlink_to(path.name)
            case "dangling":
                path.symlink_to(tmp_path / "none")
            case "ours":
                path.symlink_to(ours)
            case "fifo":
                os.mkfifo(path)
            case "folder":
                path.mkdir()
        for _ in range(2):
            assert not await renewed(here)
            (alarm,) = await raised(here.alarms, "report-not-writable")
            assert alarm.detail == "write the report: EEXIST"
        assert not (tmp_path / "none").exists()
        assert ours.read_bytes() == before
        path.rmdir() if how == "folder" else path.unlink()
        assert await renewed(here)
        assert here.alarms.now() == ()

    run(tmp_path, work)


@pytest.mark.parametrize("error", [errno.EACCES, errno.EIO, errno.ESTALE, errno.ENAMETOOLONG])
def test_a_share_that_answers_with_an_error_ends_nothing(
    error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report of every few seconds is where a share that went away is met first."""

    async def work(here: Here, _path: Path) -> None:
        assert await renewed(here)

        def failing(_folder: SharedFolder, _name: str) -> os.stat_result:
            raise OSError(error, "no")

        with monkeypatch.context() as patched:
            patched.setattr(SharedFolder, "facts", failing)
            assert not await renewed(here)
        (alarm,) = await raised(here.alarms, "report-not-writable")
        assert alarm.detail
        await renewed(here)
        assert here.alarms.now() == ()

    run(tmp_path, work)


@pytest.mark.parametrize("place", ["hot/sub", "outside"])
def test_a_link_in_the_place_of_its_folder_is_not_followed(place: str, tmp_path: Path) -> None:
    """It could lead to any folder that we may write to."""

    async def work(here: Here, _path: Path) -> None:
        folder, other = tmp_path / place, tmp_path / "other"
        folder.mkdir()
        other.mkdir()
        here.stage._report._path = folder / "last.txt"
        assert await renewed(here)
        folder.rename(tmp_path / "away")
        folder.symlink_to(other)
        assert not await renewed(here)
        (alarm,) = await raised(here.alarms, "report-not-writable")

        assert alarm.detail == "write the report: a link lies in its place"
        assert list(other.iterdir()) == []
        folder.unlink()
        (tmp_path / "away").rename(folder)
        await renewed(here)
        assert here.alarms.now() == ()

    run(tmp_path, work)


def test_trouble_stays_told_until_the_report_is_written_again(tmp_path: Path) -> None:
    """Also if everything is by then as it was in the last one that could be written."""

    async def work(here: Here, path: Path) -> None:
        report = here.stage._report
        assert await renewed(here)
        path.write_text("our telephone numbers")
        report._clock = lambda: now() + timedelta(minutes=16)
        assert not await renewed(here)
        report._clock = now
        assert not await renewed(here)
        assert len(await raised(here.alarms, "report-not-writable")) == 1
        assert path.read_text() == "our telephone numbers"

    run(tmp_path, work)


def test_an_empty_file_is_taken(tmp_path: Path) -> None:
    """An administrator has made it; or a kill, between the name and what belongs there."""

    async def work(here: Here, path: Path) -> None:
        path.touch()
        assert await renewed(here)
        assert lines(path)[0] == MARK

    run(tmp_path, work)


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """The share is not mounted: a folder of ours in its place would hide that."""

    async def work(here: Here, path: Path) -> None:
        elsewhere = tmp_path / "share" / "last.txt"
        here.stage._report._path = elsewhere
        assert not await renewed(here)
        (alarm,) = await raised(here.alarms, "report-not-writable")

        assert alarm.detail == "write the report: ENOENT"
        assert not elsewhere.parent.exists()
        assert not path.exists()
        elsewhere.parent.mkdir()
        assert await renewed(here)
        assert await raised(here.alarms, "report-not-writable") == []

    run(tmp_path, work)


def test_it_lists_so_many_scans_of_its_own_hot_folder(tmp_path: Path) -> None:
    """The newest fifty; another folder's are for others."""

    async def work(here: Here, path: Path) -> None:
        document = await drop(here, b"first.pdf")
        arrival = here.origin(document).arrival(document.digest, "pdf")
        ours = set()
        for number in range(SCANS):
            own = replace(arrival, id=new_id(now()), name=b"%d.pdf" % number)
            ours.add(own.id[-8:])
            await here.spool(Spool.claim, own, now())
            other = replace(arrival, id=new_id(now()), hotfolder="other")
            await here.spool(Spool.claim, other, now())
        await renewed(here)
        found = [line[-9:-1] for line in lines(path) if line.endswith("]")]

        assert len(found) == SCANS
        assert set(found) == ours

    run(tmp_path, work)


def test_what_still_lies_in_the_folder_stands_there_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scan that nobody has taken yet, because somebody still writes it."""
    # The stage alone writes it: a second writer at the same time takes its temporary file away.
    monkeypatch.setattr("daemon.intake.report.EVERY_SECONDS", 0.05)

    async def work(here: Here, path: Path) -> None:
        with scanning() as scanner:
            scan = here.hot / "wartet.pdf"
            scanner.open(scan)
            scanner.write(scan, pdf())

            async def text() -> str:
                return path.read_text("utf-8-sig") if path.exists() else ""

            await until(text, lambda found: "noch zum Schreiben offen" in found)
            found = lines(path)
            assert "Noch im Scan-Ordner: 1" in found
            (line,) = [one for one in found if "wartet.pdf" in one]
            assert "noch nicht abgeholt: Ein Programm" in line
            scanner.close(scan)
            await until(text, lambda f: "wird gesiegelt" in f and "Noch im Scan-Ordner" not in f)

    run(tmp_path, work, running=True, give_up_seconds=60)


def test_the_report_is_never_taken_for_a_scan(tmp_path: Path) -> None:
    """Neither it nor what a kill has left of one, although nothing is ignored here."""

    async def work(here: Here, path: Path) -> None:
        left = here.hot / ".scanseal-report-post"
        for name in (left.name, ".scanseal-report-of-a-name-before"):
            (here.hot / name).write_bytes(pdf())
        (here.hot / "scan.pdf").write_bytes(pdf())
        await here.claimed()
        await until(lambda: asyncio.to_thread(path.exists), bool)
        await here.looks(4)

        assert [here.origin(d).name for d in await here.documents()] == [b"scan.pdf"]
        assert here.stage.facts().waiting == 0
        assert here.alarms.now() == ()
        # And the next report takes the place of what was left.
        await until(lambda: asyncio.to_thread(left.exists), lambda found: not found)

    run(tmp_path, work, running=True, ignore=(), give_up_seconds=0.3)


def test_without_a_report_nothing_is_written(tmp_path: Path) -> None:
    """The names of scans are nobody's business unless somebody asks for it."""

    async def main() -> None:
        async with watching(tmp_path) as here:
            (here.hot / "scan.pdf").write_bytes(pdf())
            await here.claimed()
            await here.looks(2)
            assert {path.name for path in here.hot.iterdir()} == {".scanseal", "rejected"}

    asyncio.run(main())


# -- the words ------------------------------------------------------------------------


def told(here: Here, document: Document, language: str) -> str:
    """Return where a document is, in words."""
    reader = open_reader(here.config.state_dir / "spool.db")
    try:
        (seen,) = Arrivals(here.config, now(), language).told(
            reader, [reader.document(document.id)]
        )
    finally:
        reader.close()
    return seen.where


def test_each_place_that_a_scan_can_be_in_has_its_words(tmp_path: Path) -> None:
    """In the language of the box, without a word that only we know."""

    async def work(here: Here, _path: Path) -> None:
        spool = here.spool
        document = await drop(here)

        def german() -> str:
            return told(here, document, "de")

        assert (german(), told(here, document, "en")) == ("wird gesiegelt", "is being sealed")
        await spool(frozen, document, now())
        assert german() == "gesiegelt, noch nicht im DMS und im Archiv"
        for target, words in (
            ("dms", "liegt im DMS, noch nicht im Archiv"),
            ("archive", "liegt im DMS und im Archiv"),
        ):
            delivery = await spool(Spool.delivery, document.id, target)
            sending = await spool(Spool.begin_delivery, delivery, now())
            proofs = await spool(receipts, document.id, target, now())
            await spool(Spool.acknowledge, sending, proofs, now())
            assert german() == words
        assert told(here, document, "en") == "is in the DMS and in the archive"

        delivery = await spool(Spool.delivery, document.id, "archive")
        assert await spool(Spool.miss, delivery, "gone-from-target", "", now())
        assert told(here, document, "en") == (
            "is in the DMS, not yet in the archive; archive:"
            " The target does not hold it any more, although it had proven that it did."
        )
        await spool(Spool.release, document.id, "uid 0", now())
        assert german() == "liegt im DMS, noch nicht im Archiv"

    run(tmp_path, work)


def test_what_needs_somebody_says_why(tmp_path: Path) -> None:
    """Refused with its copy, held, refused by a target, given up, and stood for."""

    async def work(here: Here, _path: Path) -> None:
        spool = here.spool
        refused = await drop(here, b"a.pdf", HALF)
        assert told(here, refused, "en") == (
            "not accepted: The file breaks off before its end: the scanner did not finish it."
        )
        await here.stage._wayback.copy_back()
        assert told(here, refused, "de").endswith("nicht zu Ende geschrieben. Siehe rejected.")
        again = await drop(here, b"a.pdf", HALF)
        assert told(here, refused, "de") == f"ersetzt durch {again.id[-8:]}"
        await spool(Spool.discard, again.id, "uid 0", "test page", now())
        assert told(here, again, "de") == "aufgegeben"

        held = await spool(sealed, await drop(here, b"b.pdf"), now())
        assert told(here, held, "en").startswith("sealed, not yet in the DMS")
        await spool(Spool.set_aside, held, "own-copy-damaged", "", now())
        assert told(here, held, "en").startswith("held: A file on this box is missing")

        sent = await spool(frozen, await drop(here, b"c.pdf"), now())
        delivery = await spool(Spool.delivery, sent.id, "dms")
        sending = await spool(Spool.begin_delivery, delivery, now())
        await spool(Spool.reject, sending, "target-disagrees", "", now())
        assert (await spool(Spool.delivery, sent.id, "dms")).state is DeliveryState.REFUSED
        assert "; dms: Das Ziel hat unter der Kennung" in told(here, sent, "de")

    run(tmp_path, work)


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("state", State)
def test_no_state_is_without_words(state: State, language: str, tmp_path: Path) -> None:
    """A new state that nobody has found words for would end the page's and this one's answer."""

    async def work(here: Here, _path: Path) -> None:
        document = await drop(here)
        reader = open_reader(here.config.state_dir / "spool.db")
        try:
            arrivals = Arrivals(here.config, now(), language)
            assert arrivals.where(reader, replace(document, state=state, code="sidecar"))
            assert arrivals.where(reader, replace(document, state=state, code="no-such-code"))
        finally:
            reader.close()

    run(tmp_path, work)


def test_a_suggestion_is_one_as_long_as_the_other_is_refused(tmp_path: Path) -> None:
    """Decided otherwise, it would send people after something that is done."""

    async def work(here: Here, _path: Path) -> None:
        old = await drop(here, b"scan.pdf", HALF)
        new = await drop(here, b"scan.pdf")
        reader = open_reader(here.config.state_dir / "spool.db")

        def resembles() -> str:
            (seen,) = Arrivals(here.config, now()).told(reader, [reader.document(new.id)])
            return seen.resembles

        try:
            assert resembles() == old.id
            await here.spool(Spool.discard, old.id, "uid 0", "test page", now())
            assert resembles() == ""
        finally:
            reader.close()

    run(tmp_path, work)


def test_a_name_that_cannot_be_read_hides_no_scan(tmp_path: Path) -> None:
    """A document.json that is a bad sector: the line is there, and says so."""

    async def work(here: Here, path: Path) -> None:
        document = await drop(here)
        arrival = here.origin(document).arrival(document.digest, "pdf")
        lost = await here.spool(Spool.claim, replace(arrival, id=new_id(now())), now())
        await renewed(here)
        (line,) = [one for one in lines(path) if lost.id[-8:] in one]
        assert "(Name nicht lesbar)" in line

    run(tmp_path, work)
