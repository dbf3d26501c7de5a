"""The way back: what the person at the scanner finds in `rejected`, and what is never touched there."""

from __future__ import annotations

import asyncio
import os
import zoneinfo
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.document import Copy, Document, State, folder_of
from daemon.intake import NotNow, Reason, copies, sharedfolder, wayback
from daemon.intake.claim import Desk, commit
from daemon.intake.copies import stems
from daemon.intake.explanation import explanation
from daemon.intake.settle import Look, open_scan
from daemon.intake.sharedfolder import opened
from daemon.spool import Spool
from tests.intake import Here, now, pdf, raised, watching

HALF = pdf()[:-12]


def run(root: Path, work: Callable[[Here], Awaitable[None]], **changes: Any) -> None:
    """Run *work* with a hot folder whose stage does not run."""

    async def main() -> None:
        changes.setdefault("running", False)
        async with watching(root, **changes) as here:
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
        assert await here.spool(Spool.copies_due, "post", 10) == [document]
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
        assert await here.spool(Spool.copies_due, "post", 10) == [document]
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
        assert [d.id for d in await here.spool(Spool.copies_due, "post", 10)] == [bad.id, gone.id]
        assert good.code == "file-incomplete"

    run(tmp_path, work)


def test_the_text_is_in_both_languages_the_boxs_first(tmp_path: Path) -> None:
    """With the time of the clock on the wall, the reason, what to do, and the id to ask for."""

    async def work(here: Here) -> None:
        document = await refused(here)
        zone = zoneinfo.ZoneInfo("Europe/Berlin")
        at = document.claimed_at.astimezone(zone)
        until = datetime(2026, 12, 5, 23, 30, tzinfo=UTC)
        english, german = (
            explanation(
                document, name="scan.pdf", copy="C~1.pdf", until=until, language=own, zone=zone
            ).decode("utf-8-sig")
            for own in ("en", "de")
        )

        assert english.startswith("This scan was not accepted.")
        assert german.startswith("Dieser Scan wurde nicht angenommen.")
        for text in (english, german):
            assert at.strftime("%Y-%m-%d %H:%M") in text
            assert at.strftime("%d.%m.%Y %H:%M") in text
            assert "removed on 2026-12-06" in text
            assert "am 06.12.2026" in text
            assert text.count(document.id) == text.count("scan.pdf") == text.count("C~1.pdf") == 2
            assert "\n" not in text.replace("\r\n", "")
        assert at.utcoffset() != datetime.now(UTC).utcoffset()

    run(tmp_path, work)


def test_the_text_names_the_copy_that_lies_beside_it(tmp_path: Path) -> None:
    """Whoever drops a file of that name replaces this scan: so it has to be the right one."""

    async def work(here: Here) -> None:
        document = await refused(here)
        digits = document.id.replace("-", "")
        (here.back / f"scan~{digits[-8:]}.txt").write_bytes(b"somebody's")
        await copied(here)
        text = (here.back / f"scan~{digits[-12:]}.txt").read_text("utf-8-sig")

        assert text.count(f'"scan~{digits[-12:]}.pdf"') == 2

    run(tmp_path, work)


# -- and away again -------------------------------------------------------------------


@contextmanager
def days_later(here: Here, days: float) -> Iterator[None]:
    """Let the way back live so many days later."""
    wayback = here.stage._wayback
    before = wayback._clock
    wayback._clock = lambda: now() + timedelta(days=days)
    try:
        yield
    finally:
        wayback._clock = before


def there(here: Here, document: Document) -> list[str]:
    """Return the ends of the names that lie there for a document."""
    return sorted(path.suffix for path in here.back.glob(f"*~{document.id[-8:]}.*"))


def test_a_copy_is_removed_when_its_text_says_so_and_not_before(tmp_path: Path) -> None:
    """`keep_rejected_days` after it was made; the document stays refused, and the original ours."""

    async def work(here: Here) -> None:
        document = await refused(here)
        await copied(here)
        with days_later(here, 13.9):
            await copied(here)
            assert there(here, document) == [".pdf", ".txt"]
        with days_later(here, 14.1):
            await copied(here)
        found = await here.spool(Spool.document, document.id)

        assert names(here) == []
        assert (found.state, found.copy, found.copy_until) == (State.REFUSED, Copy.NONE, None)
        assert here.original(document) == HALF
        with days_later(here, 15):
            assert await copied(here) == 0
        assert names(here) == []

    run(tmp_path, work)


def test_no_copy_goes_by_a_clock_that_nobody_can_trust(tmp_path: Path) -> None:
    """A box that wakes up in 2070 would take the only notice from people who never saw it."""

    async def work(here: Here) -> None:
        document = await refused(here)
        await copied(here)
        with days_later(here, 20):
            # Something was written later than now: the clock has been set back, or was wrong then.
            await here.spool(Spool.note, "x", {}, None, now() + timedelta(days=30))
            await copied(here)
            assert there(here, document) == [".pdf", ".txt"]
        with days_later(here, 40):
            await copied(here)
        assert names(here) == []

    run(tmp_path, work)


@pytest.mark.parametrize("how", ["release", "discard", "supersede"])
def test_a_copy_goes_when_its_document_is_decided_about(how: str, tmp_path: Path) -> None:
    """Its text asks for something that is done."""

    async def work(here: Here) -> None:
        document = await refused(here)
        other = await refused(here, b"other.pdf", pdf())
        await copied(here)
        assert there(here, document) == [".pdf", ".txt"]
        if how == "release":
            await here.spool(Spool.release, document.id, "uid 0", now())
        elif how == "discard":
            await here.spool(Spool.discard, document.id, "uid 0", "test page", now())
        else:
            await here.spool(Spool.supersede, document.id, other.id, "uid 0", now())
        await copied(here)
        found = await here.spool(Spool.document, document.id)

        assert names(here) == []
        assert found.copy is Copy.NONE

    run(tmp_path, work)


def test_what_somebody_has_worked_on_stays(tmp_path: Path) -> None:
    """A copy that was mended in place, a text that is another's, and whatever else lies there."""

    async def work(here: Here) -> None:
        mended = await refused(here, b"a.pdf")
        longer = await refused(here, b"b.pdf")
        noted = await refused(here, b"c.pdf")
        linked = await refused(here, b"d.pdf")
        await copied(here)
        copies = {
            d.id: here.back / f"{n}~{d.id[-8:]}.pdf"
            for n, d in (("a", mended), ("b", longer), ("c", noted), ("d", linked))
        }
        copies[mended.id].write_bytes(b"y" * len(HALF))
        copies[longer.id].write_bytes(HALF + b"more")
        copies[noted.id].with_suffix(".txt").write_text("call me, 4711")
        elsewhere = tmp_path / "elsewhere.pdf"
        elsewhere.write_bytes(HALF)
        copies[linked.id].unlink()
        copies[linked.id].symlink_to(elsewhere)
        (here.back / "mine.pdf").write_bytes(HALF)
        with days_later(here, 15):
            await copied(here)
        left = {path.name for path in here.back.iterdir()}

        assert left == {
            copies[mended.id].name,
            copies[longer.id].name,
            copies[noted.id].with_suffix(".txt").name,
            copies[linked.id].name,
            "mine.pdf",
        }
        assert elsewhere.read_bytes() == HALF
        assert await here.spool(Spool.copies_due, "post", 10) == []

    run(tmp_path, work)


def test_a_file_that_took_the_name_while_it_was_read_stays(tmp_path: Path) -> None:
    """Between the look at the bytes and the removal lies the time that reading takes."""
    copy, mended = tmp_path / "scan~0123abcd.pdf", tmp_path / "mended"
    copy.write_bytes(HALF)
    mended.write_bytes(b"mended")

    def ours_until_just_now(_fd: int, _size: int) -> bool:
        mended.rename(copy)
        return True

    with opened("look", tmp_path, tmp_path) as folder:
        assert not copies._removed(folder, copy.name, ours_until_just_now)
        assert copy.read_bytes() == b"mended"
        assert copies._removed(folder, copy.name, lambda _fd, _size: True)
    assert not copy.exists()


def test_a_folder_that_is_away_is_asked_again(tmp_path: Path) -> None:
    """With its share: what lies on it would otherwise stay there for ever."""

    async def work(here: Here) -> None:
        document = await refused(here)
        await copied(here)
        away = here.back.rename(here.back.with_name("away"))
        await here.spool(Spool.discard, document.id, "uid 0", "test page", now())
        await copied(here)
        (alarm,) = await raised(here.alarms, "rejected-not-writable")

        assert alarm.detail == "remove from rejected: ENOENT"
        assert [d.id for d in await here.spool(Spool.copies_due, "post", 10)] == [document.id]
        away.rename(here.back)
        await copied(here)
        assert names(here) == []
        assert here.alarms.now() == ()

    run(tmp_path, work)


def test_an_empty_scan_has_an_empty_copy_that_goes_as_well(tmp_path: Path) -> None:
    """And so does a name that a kill has left empty."""

    async def work(here: Here) -> None:
        empty = await refused(here, b"empty.pdf", b"")
        cut = await refused(here, b"cut.pdf")
        await copied(here)
        assert there(here, empty) == [".bin", ".txt"]
        (here.back / f"cut~{cut.id[-8:]}.pdf").write_bytes(b"")
        with days_later(here, 15):
            await copied(here)
        assert names(here) == []

    run(tmp_path, work)


def test_a_document_refused_again_before_its_copy_has_gone_keeps_one(tmp_path: Path) -> None:
    """Released and refused within a moment: the last word counts, and there is one copy."""

    async def work(here: Here) -> None:
        document = await refused(here)
        await copied(here)
        await here.spool(Spool.release, document.id, "uid 0", now())
        leaving = await here.spool(Spool.document, document.id)
        await here.spool(Spool.refuse, leaving, "pdf-damaged", "", now() + timedelta(seconds=1))
        # The removal was begun before and commits after: it may not take back what is due now.
        await here.spool(Spool.copy_removed, leaving, now())
        assert await copied(here) == 1
        assert there(here, document) == [".pdf", ".txt"]

    run(tmp_path, work)


def test_one_name_that_is_taken_stops_no_other_copy(tmp_path: Path) -> None:
    """I8: the next document's copy is made."""

    async def work(here: Here) -> None:
        stuck = await refused(here, b"a.pdf")
        good = await refused(here, b"b.pdf")
        for count in (8, 12, 32):
            (here.back / f"a~{stuck.id.replace('-', '')[-count:]}.txt").write_bytes(b"another's")
        assert await copied(here) == 1
        assert there(here, good) == [".pdf", ".txt"]

    run(tmp_path, work)


def test_a_hot_folder_that_is_configured_no_longer_is_named(tmp_path: Path) -> None:
    """Its documents stay refused and nobody gets a copy: an alarm until they are decided about."""

    async def work(here: Here) -> None:
        lost = await refused(here)
        left = await refused(here, b"b.pdf")
        await copied(here)
        due = await refused(here, b"c.pdf")
        stage = here.stage._wayback
        other = replace(here.section, name="other")
        stage._section, stage._config = other, replace(here.config, hotfolders=(other,))
        await copied(here)
        (alarm,) = await raised(here.alarms, "hotfolder-gone")

        assert (alarm.instance, alarm.detail) == ("post", "1")
        await here.spool(Spool.discard, left.id, "uid 0", "test page", now())
        await here.spool(Spool.discard, due.id, "uid 0", "test page", now())
        await copied(here)
        assert await raised(here.alarms, "hotfolder-gone") == []
        # Nobody knows the way to `rejected` any more: what lies there stays, and that is said.
        assert await here.spool(Spool.copies_due, "post", 10) == []
        lines = await here.spool(Spool.lines, left.id)
        assert '"event":"copy-abandoned"' in lines[-1]
        assert there(here, left) == [".pdf", ".txt"]
        # The third may still lie there for its time, in case the folder comes back.
        assert (await here.spool(Spool.document, lost.id)).copy is Copy.THERE

    run(tmp_path, work)


# -- links, and names that change -----------------------------------------------------


@pytest.mark.parametrize("place", ["hot/rejected", "elsewhere"])
def test_a_link_in_the_place_of_rejected_makes_no_scan_of_a_copy(
    place: str, tmp_path: Path
) -> None:
    """It may lead into the hot folder: each copy would be claimed, refused and copied again."""

    async def work(here: Here) -> None:
        here.back.rename(tmp_path / "away")
        here.back.symlink_to(here.hot)
        (here.hot / "x.pdf").write_bytes(b"no scan at all")
        await here.refused()
        alarm = await here.alarm("rejected-not-writable")
        await here.looks(4)

        assert alarm.detail == "write to rejected: a link lies in its place"
        assert len(await here.documents()) == 1
        assert {path.name for path in here.hot.iterdir()} <= {".scanseal", "rejected"}
        assert list((tmp_path / "away").iterdir()) == []
        here.back.unlink()
        (tmp_path / "away").rename(here.back)
        await here.no_alarm("rejected-not-writable")
        assert len(names(here)) == 2

    run(tmp_path, work, running=True, give_up_seconds=0.2, rejected=str(tmp_path / place))


def test_nothing_is_removed_by_way_of_a_link(tmp_path: Path) -> None:
    """What lies where it leads is not our copy; that one lies in the folder that was renamed."""

    async def work(here: Here) -> None:
        document = await refused(here)
        await copied(here)
        other = here.back.with_name("other")
        here.back.rename(other)
        here.back.symlink_to(other)
        await here.spool(Spool.discard, document.id, "uid 0", "test page", now())
        await copied(here)
        (alarm,) = await raised(here.alarms, "rejected-not-writable")

        assert alarm.detail == "remove from rejected: a link lies in its place"
        assert len(list(other.iterdir())) == 2
        assert [d.id for d in await here.spool(Spool.copies_due, "post", 10)] == [document.id]
        here.back.unlink()
        other.rename(here.back)
        await copied(here)
        assert names(here) == []
        assert here.alarms.now() == ()

    run(tmp_path, work)


async def twice_named(here: Here) -> tuple[Document, Document]:
    """Have two refused documents, the second dropped under the name of the copy of the first.

    It does not stand for it: the first was on its way again at that time.
    """
    first = await refused(here)
    await copied(here)
    await here.spool(Spool.release, first.id, "uid 0", now())
    copy = os.fsencode(next(stems(b"scan.pdf", first.id)) + ".pdf")
    second = await refused(here, copy, HALF + b"x")
    again = await here.spool(Spool.document, first.id)
    await here.spool(Spool.refuse, again, "pdf-damaged", "", now())
    await copied(here)
    assert len(names(here)) == 4
    return first, second


def test_a_copy_goes_also_if_its_document_stands_for_another_by_now(tmp_path: Path) -> None:
    """Its name would be another one today: it goes by the one that it was given."""

    async def work(here: Here) -> None:
        first, second = await twice_named(here)
        await here.spool(Spool.supersede, first.id, second.id, "uid 0", now())
        await here.spool(Spool.discard, second.id, "uid 0", "given up", now())
        await copied(here)

        assert names(here) == []
        for one in (first, second):
            assert (await here.spool(Spool.document, one.id)).copy is Copy.NONE

    run(tmp_path, work)


def test_a_copy_goes_also_if_the_name_of_its_scan_is_lost(tmp_path: Path) -> None:
    """A document.json that is a bad sector; only what has the document's digits is looked at."""

    async def work(here: Here) -> None:
        first, second = await twice_named(here)
        here.back.joinpath("scan.pdf").write_bytes(HALF)
        (folder_of(here.config.documents, first.id) / "document.json").write_bytes(b"")
        await here.spool(Spool.discard, first.id, "uid 0", "given up", now())
        await copied(here)
        assert there(here, first) == []
        assert len(there(here, second)) == 2
        assert b"scan.pdf" in names(here)

        # And the other way round: it could not be read when the copy was made.
        nameless = await refused(here, b"a.pdf")
        facts = folder_of(here.config.documents, nameless.id) / "document.json"
        kept = facts.read_bytes()
        facts.write_bytes(b"")
        await copied(here)
        facts.write_bytes(kept)
        assert f"scan~{nameless.id[-8:]}.pdf".encode() in names(here)
        await here.spool(Spool.discard, nameless.id, "uid 0", "given up", now())
        await copied(here)
        assert there(here, nameless) == []

    run(tmp_path, work)


@pytest.mark.parametrize("reason", [Reason.PERMISSION, Reason.WRITER, Reason.UNREADABLE])
def test_a_copy_that_cannot_be_looked_at_is_not_said_to_be_gone(
    reason: Reason, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`copy-removed` is a promise; it stops neither its text nor another copy from going."""
    monkeypatch.setattr(wayback, "BATCH", 1)

    async def work(here: Here) -> None:
        stuck = await refused(here, b"a.pdf")
        await copied(here)
        other = await refused(here, b"b.pdf")
        await copied(here)

        def refusing(path: Path, dir_fd: int | None = None) -> int:
            if path.name.startswith("a~") and path.suffix == ".pdf" and path.exists():
                raise NotNow(reason, "read: no")
            return open_scan(path, dir_fd)

        with monkeypatch.context() as patched, days_later(here, 15):
            patched.setattr(sharedfolder, "open_scan", refusing)
            await copied(here)
            (alarm,) = await raised(here.alarms, "rejected-not-writable")
            assert alarm.detail == "read: no"
            assert there(here, stuck) == [".pdf"]
            assert there(here, other) == []
            assert (await here.spool(Spool.document, stuck.id)).copy is Copy.THERE
        with days_later(here, 15):
            await copied(here)
        assert names(here) == []
        assert here.alarms.now() == ()

    run(tmp_path, work)


@pytest.mark.parametrize(
    ("reason", "after"), [(Reason.PERMISSION, Copy.NONE), (Reason.WRITER, Copy.LEAVING)]
)
def test_anothers_file_that_we_may_not_read_is_not_our_copy(
    reason: Reason, after: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mended by a program that makes a new file of its own: no alarm that nobody understands.

    Only if it may not be read: some mounts show every file as another's.
    """

    async def work(here: Here) -> None:
        document = await refused(here)
        await copied(here)
        copy = here.back / f"scan~{document.id[-8:]}.pdf"
        copy.write_bytes(b"mended")

        def refusing(path: Path, dir_fd: int | None = None) -> int:
            if path.name == copy.name:
                raise NotNow(reason, "read: no")
            return open_scan(path, dir_fd)

        monkeypatch.setattr(sharedfolder, "open_scan", refusing)
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        await here.spool(Spool.discard, document.id, "uid 0", "given up", now())
        await copied(here)
        assert there(here, document) == [".pdf"]
        assert bool(here.alarms.now()) == (after is Copy.LEAVING)
        assert (await here.spool(Spool.document, document.id)).copy is after

    run(tmp_path, work)
