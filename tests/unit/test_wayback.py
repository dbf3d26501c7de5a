"""The way back: what the person at the scanner finds in `rejected`, and what is never touched there."""

from __future__ import annotations

import asyncio
import os
import zoneinfo
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.document import Document, folder_of
from daemon.intake.claim import Desk, commit
from daemon.intake.settle import Look
from daemon.intake.wayback import explanation
from daemon.spool import Spool
from tests.intake import Here, now, pdf, raised, watching

HALF = pdf()[:-12]


def run(root: Path, work: Callable[[Here], Awaitable[None]]) -> None:
    """Run *work* with a hot folder whose stage does not run."""

    async def main() -> None:
        async with watching(root, running=False) as here:
            await work(here)

    asyncio.run(main())


async def refused(here: Here, name: bytes = b"scan.pdf", data: bytes = HALF) -> Document:
    """Claim a scan that is refused at once."""
    path = here.hot / os.fsdecode(name)
    path.write_bytes(data)
    desk = Desk(here.section, here.config.documents)
    claimed = desk.take(name, Look.of(path.stat()), now(), "sure")
    return await here.spool(commit, claimed, now())


async def copied(here: Here) -> int:
    return await here.stage._wayback.copy_back()


def names(here: Here) -> list[bytes]:
    return sorted(os.fsencode(path.name) for path in here.back.iterdir())


def test_a_copy_is_made_once(tmp_path: Path) -> None:
    """Whoever has read the text may delete both: they do not come again."""

    async def work(here: Here) -> None:
        document = await refused(here)
        id8 = document.id[-8:].encode()

        assert await copied(here) == 1
        assert names(here) == [b"scan~%b.pdf" % id8, b"scan~%b.txt" % id8]
        for path in here.back.iterdir():
            path.unlink()
        assert await copied(here) == 0
        assert names(here) == []

    run(tmp_path, work)


def test_the_bytes_of_a_name_are_kept(tmp_path: Path) -> None:
    """Also where they are no UTF-8: the copy lies beside what its people know it by."""

    async def work(here: Here) -> None:
        document = await refused(here, b"M\xfcller.v2.pdf")
        id8 = document.id[-8:].encode()
        await copied(here)

        assert names(here) == [b"M\xfcller.v2~%b.pdf" % id8, b"M\xfcller.v2~%b.txt" % id8]
        assert b"M\\xfcller.v2.pdf" in (here.back / os.fsdecode(names(here)[1])).read_bytes()

    run(tmp_path, work)


def test_a_long_name_is_cut_between_characters(tmp_path: Path) -> None:
    """A name of 255 bytes leaves no room for the digits of the id."""

    async def work(here: Here) -> None:
        document = await refused(here, "ü".encode() * 125 + b".pdf")
        assert await copied(here) == 1
        copy, _ = names(here)

        assert len(copy) <= 255
        assert copy.decode() == "ü" * 120 + f"~{document.id[-8:]}.pdf"

    run(tmp_path, work)


def test_other_files_of_the_same_name_are_never_overwritten(tmp_path: Path) -> None:
    """Neither instead of the copy nor instead of the text: more digits of the id are taken."""

    async def work(here: Here) -> None:
        document = await refused(here)
        digits = document.id.replace("-", "")
        (here.back / f"scan~{digits[-8:]}.pdf").write_bytes(b"somebody's")
        (here.back / f"scan~{digits[-12:]}.txt").mkdir()
        await copied(here)

        assert (here.back / f"scan~{digits[-8:]}.pdf").read_bytes() == b"somebody's"
        assert (here.back / f"scan~{digits}.pdf").read_bytes() == HALF
        assert document.id.encode() in (here.back / f"scan~{digits}.txt").read_bytes()
        assert len(names(here)) == 4

    run(tmp_path, work)


def test_where_every_name_is_taken_a_person_is_asked(tmp_path: Path) -> None:
    """It stays due, nothing is overwritten."""

    async def work(here: Here) -> None:
        document = await refused(here)
        digits = document.id.replace("-", "")
        for count in (8, 12, 32):
            (here.back / f"scan~{digits[-count:]}.txt").write_bytes(b"somebody's")
        await copied(here)
        (alarm,) = await raised(here.alarms, "rejected-not-writable")

        assert alarm.detail == "write to rejected: EEXIST"
        assert await here.spool(Spool.copies_due, 10) == [document]
        assert {(here.back / os.fsdecode(n)).read_bytes() for n in names(here)} == {b"somebody's"}

    run(tmp_path, work)


@pytest.mark.parametrize("left", ["copy", "both", "placeholder", "temporary"])
def test_what_a_kill_left_is_finished_and_not_doubled(left: str, tmp_path: Path) -> None:
    """Between the copy and its commit it is made again: the same two names, the same bytes."""

    async def work(here: Here) -> None:
        document = await refused(here)
        copy = here.back / f"scan~{document.id[-8:]}.pdf"
        if left in {"copy", "both"}:
            copy.write_bytes(HALF)
        if left == "both":
            copy.with_suffix(".txt").write_text(f"of {document.id}")
        if left == "placeholder":
            copy.touch()
        if left == "temporary":
            (here.back / f".scanseal-{document.id}").write_bytes(b"half a co")
        assert await copied(here) == 1
        found = names(here)

        assert found == [os.fsencode(copy.name), os.fsencode(copy.with_suffix(".txt").name)]
        assert copy.read_bytes() == HALF
        assert b"file-incomplete" in copy.with_suffix(".txt").read_bytes()

    run(tmp_path, work)


def test_a_second_refusal_brings_the_new_reason(tmp_path: Path) -> None:
    """Released and refused again for another reason: the old text would be a lie."""

    async def work(here: Here) -> None:
        document = await refused(here)
        await copied(here)
        await here.spool(Spool.release, document.id, "uid 0", now())
        again = await here.spool(Spool.document, document.id)
        await here.spool(Spool.refuse, again, "pdf-damaged", "", now())
        assert await copied(here) == 1
        _, text = names(here)

        assert len(names(here)) == 2
        assert b"pdf-damaged" in (here.back / os.fsdecode(text)).read_bytes()

    run(tmp_path, work)


def test_a_folder_that_cannot_be_written_to_is_tried_again(tmp_path: Path) -> None:
    """Missing, for instance because its share is not mounted: it is never made by us."""

    async def work(here: Here) -> None:
        document = await refused(here)
        here.back.rmdir()
        assert await copied(here) == 0
        (alarm,) = await raised(here.alarms, "rejected-not-writable")

        assert (alarm.instance, alarm.detail) == ("post", "write to rejected: ENOENT")
        assert await here.spool(Spool.copies_due, 10) == [document]
        assert not here.back.exists()
        here.back.mkdir()
        assert await copied(here) == 1
        assert here.alarms.now() == ()

    run(tmp_path, work)


def test_a_damaged_original_stops_no_other_copy(tmp_path: Path) -> None:
    """I8: bytes that are not what was claimed go to nobody; the next copy is made."""

    async def work(here: Here) -> None:
        bad = await refused(here, b"bad.pdf")
        gone = await refused(here, b"gone.pdf")
        good = await refused(here, b"good.pdf")
        folder = folder_of(here.config.documents, bad.id)
        (folder / "original.pdf").write_bytes(b"damaged")
        (folder_of(here.config.documents, gone.id) / "original.pdf").unlink()
        assert await copied(here) == 1
        (alarm,) = await raised(here.alarms, "original-unreadable")

        assert alarm.detail in {bad.id, gone.id}
        assert [name[:5] for name in names(here)] == [b"good~", b"good~"]
        assert [d.id for d in await here.spool(Spool.copies_due, 10)] == [bad.id, gone.id]
        assert good.code == "file-incomplete"

    run(tmp_path, work)


def test_the_text_is_in_both_languages_the_boxs_first(tmp_path: Path) -> None:
    """With the time of the clock on the wall, the reason, what to do, and the id to ask for."""

    async def work(here: Here) -> None:
        document = await refused(here)
        zone = zoneinfo.ZoneInfo("Europe/Berlin")
        at = document.claimed_at.astimezone(zone)
        english = explanation(document, "scan.pdf", "en", zone).decode("utf-8-sig")
        german = explanation(document, "scan.pdf", "de", zone).decode("utf-8-sig")

        assert english.startswith("This scan was not accepted.\r\n")
        assert german.startswith("Dieser Scan wurde nicht angenommen.\r\n")
        for text in (english, german):
            assert at.strftime("%Y-%m-%d %H:%M") in text
            assert at.strftime("%d.%m.%Y %H:%M") in text
            assert text.count(document.id) == text.count("scan.pdf") == 2
            assert "\n" not in text.replace("\r\n", "")
        assert at.utcoffset() != datetime.now(UTC).utcoffset()

    run(tmp_path, work)
