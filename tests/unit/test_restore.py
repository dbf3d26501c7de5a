"""A box made again from its archive, or from a backup: nothing believed, nothing done twice."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daemon import audit, ledger
from daemon.backup import backup
from daemon.document import Copy, DeliveryState, Digest, Role, State, folder_of, new_id
from daemon.errors import CorruptionError, DaemonError, PersonNeeded
from daemon.records import journal
from daemon.restore import WHOLE, Restored, Sources, restore
from daemon.sandbox import Sandbox
from daemon.spool import RESTORING, Spool
from daemon.workers import Worker
from tests import rebuilt
from tests.exported import DAY, FIRST, Here, run
from tests.unit.test_cms import token_for
from tests.values import arrival, frozen, part, receipts

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from daemon.document import Document

SCHEME = "ecdsa-sha256"
AGAIN = FIRST + 5 * DAY
"""When the box is made again."""


def silent(what: str, done: int, total: int = 0) -> None:
    del what, done, total


def scan(spool: Spool, number: int, now: datetime = FIRST) -> Document:
    """Claim a scan whose original lies in its folder."""
    data = b"original %d" % number
    came = replace(
        arrival(number), size=len(data), digest=Digest.of(data), claimed_at=FIRST, name=b"Erika"
    )
    folder = folder_of(spool.documents, came.id)
    folder.mkdir(parents=True)
    (folder / "original.pdf").write_bytes(data)
    return spool.claim(came, now)


def in_archive(root: Path, document: Document) -> None:
    """Put the parts of a frozen document where the archive has them."""
    folder = root / "archive" / document.id
    folder.mkdir()
    (folder / "original.pdf").write_bytes(b"original 1")
    manifest = {
        "document": document.id,
        "box_id": "",
        "sealed_at": "",
        "ledger": {"hash": ""},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))


def two_days(root: Path, work: Callable[[Spool], None]) -> str:
    """Do *work* on the first of two days that are sealed and archived; return the box id."""
    found: list[str] = []

    async def days(here: Here) -> None:
        def all_of_it(spool: Spool) -> None:
            work(spool)
            spool.export_ledger()
            found.append(spool.box_id())

        await here.spool(all_of_it)
        await here.turn()
        here.now += DAY
        await here.turn()
        await here.note(2, personal=True)
        here.now += DAY
        await here.turn()

    root.mkdir(exist_ok=True)
    run(root, days)
    return found[0]


def nothing(spool: Spool) -> None:
    spool.note("start", {}, {"who": "Erika"}, FIRST)


def again(
    root: Path,
    *,
    source: Path | None = None,
    box: str = "",
    certificate: bytes = b"",
) -> Restored:
    """Make the box again in `root/new`, from its archive or from a backup."""
    new = root / "new"
    new.mkdir(exist_ok=True)
    archive = root / "archive"
    trusted = [certificate or token_for(SCHEME).template.certificate]
    found = Sources(backup=source, archives=[archive], targets=[archive])

    async def make() -> Restored:
        examiner = Worker(
            "daemon.examine",
            place=Path("/"),
            limits=audit.LIMITS,
            sandbox=Sandbox(read=(str(archive),)),
        )
        try:
            return await restore(new, found, box, trusted, ["archive"], examiner, silent, AGAIN)
        finally:
            await examiner.stop()

    return asyncio.run(make())


def days_of(root: Path) -> list[Path]:
    return sorted((root / "archive").glob("ledger-*/segment.jsonl"))


def test_the_archived_ledger_comes_back_without_names(tmp_path: Path) -> None:
    """Names were never archived: they are as if erased, and the chain holds."""
    box = two_days(tmp_path, nothing)

    made = again(tmp_path)

    assert made == replace_lists(made)
    with closing(Spool(tmp_path / "new")) as spool:
        assert spool.box_id() == box
        assert spool.last_segment() is not None
        assert spool.holds(made.head)
        assert [one.day for one in spool.undelivered("archive")] == ["2026-11-24"]
        assert spool.begin_segment("2026-11-24", "archive", AGAIN)  # asked for first
        events = [json.loads(line)["event"] for line in spool.after(made.head.seq)]
        assert not spool._db.execute("SELECT count(*) FROM personal").fetchone()[0]
    assert events == ["day-end", "rebuild", "segment-seal", "segment-send", "restore"]
    rebuilt.again(Spool(tmp_path / "new"), tmp_path / "new").close()
    journal.compare(tmp_path / "new")
    assert not list((tmp_path / "new").glob("restoring*"))
    for archived in days_of(tmp_path):
        day = archived.parent.name[-10:]
        assert (tmp_path / "new/ledger" / f"{day}.jsonl").read_bytes() == archived.read_bytes()


def replace_lists(made: Restored) -> Restored:
    """Return it as it is where nothing is amiss."""
    return Restored(
        head=made.head, until=made.until, documents=made.documents, in_doubt=made.in_doubt
    )


def test_the_end_that_is_not_sealed_yet_is_left_out(tmp_path: Path) -> None:
    """The seal is sent last: without it the day was on its way."""
    two_days(tmp_path, nothing)
    days_of(tmp_path)[-1].with_suffix(".p7s").unlink()

    made = again(tmp_path)

    assert made.head.seq == len(days_of(tmp_path)[0].read_bytes().splitlines())


@pytest.mark.parametrize("how", ["changed", "unsealed", "gap", "untrusted", "boxes", "none"])
def test_what_is_not_proven_makes_no_box(tmp_path: Path, how: str) -> None:
    """And leaves the new one empty, so that it can be tried again."""
    box = two_days(tmp_path, nothing)
    first = days_of(tmp_path)[0]
    first.chmod(0o600)
    certificate = b""
    if how == "changed":
        first.write_bytes(first.read_bytes().replace(b'"start"', b'"stbrt"', 1))
    elif how == "unsealed":
        first.with_suffix(".p7s").unlink()
    elif how == "gap":
        shutil.rmtree(first.parent)
    elif how == "untrusted":
        certificate = token_for("rsa-pss-sha256").template.certificate
    elif how == "boxes":
        other = first.parent.with_name(first.parent.name.replace(box, "f" * 32))
        shutil.copytree(first.parent, other)
    else:
        for day in days_of(tmp_path):
            shutil.rmtree(day.parent)

    with pytest.raises(DaemonError) as caught:
        again(tmp_path, certificate=certificate)

    assert (type(caught.value), caught.value.code) == {
        "changed": (CorruptionError, "ledger-damaged"),
        "unsealed": (PersonNeeded, "restore-not-proven"),
        "gap": (PersonNeeded, "restore-not-proven"),
        "untrusted": (CorruptionError, "ledger-damaged"),
        "boxes": (PersonNeeded, "restore-which-box"),
        "none": (PersonNeeded, "restore-nothing"),
    }[how]
    assert not list((tmp_path / "new").iterdir())
    if how == "boxes":
        assert again(tmp_path, box=box).head.seq > 0


def test_nothing_that_lies_there_is_touched(tmp_path: Path) -> None:
    """It may be the box that everybody is looking for."""
    two_days(tmp_path, nothing)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "spool.db").write_bytes(b"mine")

    with pytest.raises(PersonNeeded) as caught:
        again(tmp_path)

    assert caught.value.code == "restore-not-empty"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["spool.db"]


def test_an_archive_that_is_not_mounted_is_not_guessed_about(tmp_path: Path) -> None:
    """What lies in it would be sent again."""
    two_days(tmp_path, nothing)
    (tmp_path / "archive").rename(tmp_path / "unmounted")

    with pytest.raises(PersonNeeded) as caught:
        again(tmp_path)

    assert caught.value.code == "restore-target-away"


def test_tries_of_the_pin_are_never_given_back(tmp_path: Path) -> None:
    """I6: the last lines are lost, and one may have been a try."""

    def tries(spool: Spool) -> None:
        spool.login_attempted("good", FIRST)
        spool.login_answered("good", "accepted", "", FIRST)
        spool.login_attempted("open", FIRST)
        spool.login_attempted("wrong", FIRST)
        spool.login_answered("wrong", "rejected", "pin-incorrect", FIRST)
        spool.login_attempted("asked", FIRST)
        spool.login_answered("asked", "rejected", "pin-incorrect", FIRST)
        spool.permit_login("asked", "uid 0", FIRST)

    two_days(tmp_path, tries)

    again(tmp_path)

    with closing(Spool(tmp_path / "new")) as spool:
        known = {serial: spool.login_record(serial) for serial in spool.login_serials()}
    assert known["good"].unresolved == known["open"].unresolved == 1
    assert known["wrong"].rejected
    assert not known["wrong"].permitted
    assert known["asked"].rejected
    assert not known["asked"].permitted


def test_documents_come_back_as_far_as_the_archive_has_them(tmp_path: Path) -> None:
    """Digests decide; receipts are written again; who is proven stays so, all else is asked for."""
    made: dict[str, Document] = {}

    def work(spool: Spool) -> None:
        for number, name in enumerate(("proven", "lost", "after", "bad"), 1):
            made[name] = scan(spool, number)
        made["proven"] = frozen(spool, made["proven"], FIRST)
        sending = spool.begin_delivery(spool.delivery(made["proven"].id, "archive"), FIRST)
        spool.acknowledge(sending, receipts(spool, made["proven"].id, "archive"), FIRST)

    two_days(tmp_path, work)
    for name in ("proven", "after", "bad"):
        in_archive(tmp_path, made[name])
    (tmp_path / "archive" / made["after"].id / "original.pdf").write_bytes(b"original 3")

    found = again(tmp_path)

    assert (found.lost, found.missing) == ([made["lost"].id], [made["proven"].id])
    assert set(found.sealed_after) == {made["after"].id, made["bad"].id}
    assert found.in_doubt == 1
    with closing(Spool(tmp_path / "new")) as spool:
        told = {one.id: one for one in spool.newest(10)}
        states = {one.target: one.state for one in spool.deliveries(made["proven"].id)}
        documents = spool.documents
    assert states == {"archive": DeliveryState.DELIVERED, "dms": DeliveryState.SENDING}
    for name, code in (("lost", "original-lost"), ("after", "sealed-after-end")):
        one = told[made[name].id]
        assert (one.state, one.code, one.copy) == (State.REFUSED, code, Copy.NONE)
    here = {name: folder_of(documents, one.id) for name, one in made.items()}
    assert (here["proven"] / "original.pdf").read_bytes() == b"original 1"
    assert (here["after"] / "original.pdf").read_bytes() == b"original 3"
    assert not (here["bad"] / "original.pdf").exists()
    receipt = json.loads((here["proven"] / "receipt-archive.json").read_bytes())
    assert (receipt["document"], receipt["role"]) == (made["proven"].id, Role.ARCHIVE)


def test_what_was_sealed_before_and_sent_after_is_not_sent_again(tmp_path: Path) -> None:
    """A new manifest would be another one: a person looks."""
    made: list[Document] = []

    def work(spool: Spool) -> None:
        one = scan(spool, 1)
        spool.begin(one, "seal", FIRST)
        sealed = part("sealed", "sealed.pdf", one.id)
        note = part("note", "note.xml", one.id)
        facts = {
            "kind": "pdf", "images": 1, "findings": [], "ledger_hash": "",
            "certificate_sha256": "",
        }  # fmt: skip
        made.append(spool.seal(one, sealed, note, facts, FIRST, FIRST, FIRST))

    two_days(tmp_path, work)
    in_archive(tmp_path, made[0])

    found = again(tmp_path)

    with closing(Spool(tmp_path / "new")) as spool:
        told = spool.document(made[0].id)
    assert (told.state, told.code) == (State.HELD, "sealed-after-end")
    assert found.sealed_after == [made[0].id]


def test_later_documents_of_the_box_are_named(tmp_path: Path) -> None:
    """Not those of other boxes, which share the archive, nor what is no manifest."""
    box = two_days(tmp_path, nothing)
    ids = [new_id(FIRST + DAY) for _ in range(3)]
    said = ({"box_id": box, "document": ids[0]}, {"box_id": "f" * 32, "document": ids[1]}, None)
    for name, facts in zip(ids, said, strict=True):
        folder = tmp_path / "archive" / name
        folder.mkdir()
        whole = {"sealed_at": "", "ledger": {"hash": "0" * 64}, **(facts or {})}
        text = json.dumps(whole) if facts else "{"
        (folder / "manifest.json").write_text(text)
    assert again(tmp_path).strangers == [ids[0]]


class Killed(BaseException):
    """Plays kill -9 at one point."""


def test_an_interrupted_run_is_gone_on_with(tmp_path: Path) -> None:
    """What was moved stays, what was made is not made again, and nothing begins beside it."""
    two_days(tmp_path, nothing)
    whole = again(tmp_path)
    new = tmp_path / "new"
    (new / RESTORING).mkdir()
    (new / "spool.db").rename(new / RESTORING / "spool.db")
    (new / RESTORING / WHOLE).write_bytes(whole.written())
    with pytest.raises(CorruptionError) as caught:
        Spool(new, new=True)
    assert caught.value.code == "restore-unfinished"

    assert again(tmp_path) == whole

    Spool(new).close()
    shutil.rmtree(new)
    (new / RESTORING / "ledger").mkdir(parents=True)
    (new / RESTORING / "ledger" / "half").touch()
    assert again(tmp_path) == whole
    journal.compare(new)


def backed_up(root: Path, place: str, now: datetime) -> Path:
    (root / place).mkdir()
    return backup(root / "state", root / place, silent, now).folder


def test_the_longer_ledger_counts(tmp_path: Path) -> None:
    """An old backup and a newer archive: else the chain would have two ends."""
    old: list[Path] = []

    def work(spool: Spool) -> None:
        scan(spool, 1)
        spool.export_ledger()
        old.append(backed_up(tmp_path, "old", FIRST))

    two_days(tmp_path, work)
    newer = backed_up(tmp_path, "newer", FIRST + 3 * DAY)
    last = len(days_of(tmp_path)[0].read_bytes().splitlines())
    last += len(days_of(tmp_path)[1].read_bytes().splitlines())

    made = again(tmp_path, source=old[0])

    assert made.head.seq == last
    with closing(Spool(tmp_path / "new")) as spool:
        (document,) = spool.newest(10)
        known = spool._db.execute("SELECT count(*) FROM personal").fetchone()[0]
    assert document.state is State.CLAIMED
    assert known == 1  # the name, from the backup
    assert (folder_of(tmp_path / "new/documents", document.id) / "original.pdf").is_file()
    shutil.rmtree(tmp_path / "new")
    assert again(tmp_path, source=newer).head.seq > last


def test_another_history_than_the_archives_is_found(tmp_path: Path) -> None:
    """Somebody has restored once before, and gone on: nobody may guess which one is right."""
    old: list[Path] = []

    def work(spool: Spool) -> None:
        scan(spool, 1)
        spool.export_ledger()
        old.append(backed_up(tmp_path, "old", FIRST))

    two_days(tmp_path, work)
    (lines,) = journal.files(old[0] / "ledger")
    head = journal.verify_files(old[0] / "ledger")
    other = ledger.append(
        head, box_id=journal.box_id(old[0] / "ledger"), at="2026-11-23T10:00:00.000Z",
        document="", event="start", detail={},
    )  # fmt: skip
    lines.write_text(lines.read_text() + other.text + "\n")

    with pytest.raises(CorruptionError) as caught:
        again(tmp_path, source=old[0])

    assert caught.value.code == "ledger-damaged"
    assert "than the backup" in str(caught.value)


def test_a_damaged_file_of_a_backup_is_named_and_the_rest_comes_back(tmp_path: Path) -> None:
    """I8; and the archive may have it."""
    made: list[Document] = []

    def work(spool: Spool) -> None:
        made.extend(scan(spool, number) for number in (1, 2))

    two_days(tmp_path, work)
    source = backed_up(tmp_path, "backups", FIRST + 3 * DAY)
    (ledger_day,) = [one for one in journal.files(source / "ledger") if "11-25" in one.name]
    bad = folder_of(Path("documents"), made[0].id) / "original.pdf"
    (source / bad).write_bytes(b"0riginal 1")

    found = again(tmp_path, source=source)

    assert (found.damaged, found.lost) == ([str(bad)], [made[0].id])
    here = folder_of(tmp_path / "new/documents", made[1].id)
    assert (here / "original.pdf").read_bytes() == b"original 2"
    shutil.rmtree(tmp_path / "new")
    ledger_day.write_bytes(ledger_day.read_bytes()[:-2] + b"\n")
    with pytest.raises(CorruptionError):
        again(tmp_path, source=source)


@pytest.mark.parametrize(
    "name",
    [
        "ledger/../../outside",
        "ledger//{root}/outside",
        "documents/2026/11/22/../../../../../outside",
        "documents/outside",
        "documents/2026/11/22/019ab37f-0000-7000-8000-000000000001/a\x1b[2J",
        "/{root}/outside",
    ],
)
def test_no_name_in_a_backup_leads_out_of_it(tmp_path: Path, name: str) -> None:
    """Whoever can write to the backup's disk could else write here, wherever the service may."""
    two_days(tmp_path, nothing)
    source = backed_up(tmp_path, "backups", FIRST + 3 * DAY)
    evil = tmp_path / "backups" / "outside"
    evil.write_bytes(b"evil")
    list_ = source / "SHA256SUMS"
    line = f"{Digest.of(b'evil')}  {name.format(root=tmp_path)}\n"
    heading, rest = list_.read_text().split("\n", 1)
    list_.write_text(f"{heading}\n{line}{rest}")
    for place in ("", "documents", "ledger", "backups"):
        (source / place).mkdir(exist_ok=True)
        (source / place / "outside").write_bytes(b"evil")
    before = {path for path in tmp_path.rglob("*") if "outside" in path.name}

    found = again(tmp_path, source=source)

    assert found.damaged == ["SHA256SUMS:2"]
    assert {path for path in tmp_path.rglob("*") if "outside" in path.name} == before


@pytest.mark.parametrize("cut", [1, 20, 80])
def test_a_list_that_was_cut_off_is_no_backup(tmp_path: Path, cut: int) -> None:
    """What stood behind would be missing here, and nobody would know that it lies there."""
    two_days(tmp_path, nothing)
    source = backed_up(tmp_path, "backups", FIRST + 3 * DAY)
    list_ = source / "SHA256SUMS"
    list_.write_bytes(list_.read_bytes()[:-cut])

    with pytest.raises(PersonNeeded) as caught:
        again(tmp_path, source=source)

    assert caught.value.code == "restore-nothing"
    assert not any((tmp_path / "new").iterdir())


@pytest.mark.parametrize("how", ["link", "fifo", "folder", "in a file"])
def test_what_cannot_be_read_in_a_backup_is_named_and_stops_no_other(
    tmp_path: Path, how: str
) -> None:
    """I8: the disk that has to bring everything back is old, or somebody has been at it."""
    made: list[Document] = []

    def work(spool: Spool) -> None:
        made.extend(scan(spool, number) for number in (1, 2))

    two_days(tmp_path, work)
    source = backed_up(tmp_path, "backups", FIRST + 3 * DAY)
    bad = folder_of(Path("documents"), made[0].id) / "original.pdf"
    spoil(source / bad, how)
    spoil(tmp_path / "archive" / made[0].id / "original.pdf", how)

    found = again(tmp_path, source=source)

    assert found.damaged == [str(bad)]
    assert [*found.lost, *found.sealed_after] == [made[0].id]
    here = tmp_path / "new/documents"
    assert not (folder_of(here, made[0].id) / "original.pdf").exists()
    assert (folder_of(here, made[1].id) / "original.pdf").read_bytes() == b"original 2"


def spoil(path: Path, how: str) -> None:
    """Put something else in the place of a file."""
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    match how:
        case "link":
            (path.parent / "other").write_bytes(b"original 1")
            path.symlink_to("other")
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "in a file":
            path.parent.rmdir() if not any(path.parent.iterdir()) else shutil.rmtree(path.parent)
            path.parent.write_bytes(b"")


def test_a_day_whose_seal_never_came_gives_up_its_name(tmp_path: Path) -> None:
    """Its lines lie in the archive for ever: under that name the box could never seal others."""
    box = two_days(tmp_path, nothing)
    source = backed_up(tmp_path, "backups", FIRST + 3 * DAY)
    lines = journal.files(source / "ledger")[-1]
    day = lines.name.removesuffix(journal.LINES)
    half = tmp_path / "archive" / ledger.segment_id(box, day)
    half.mkdir()
    (half / "segment.jsonl").write_bytes(lines.read_bytes() + b'{"a line":"of later"}\n')

    made = again(tmp_path, source=source)

    assert not list((tmp_path / "new/ledger").glob(f"{day}*"))
    assert (
        (tmp_path / "new/ledger" / f"{journal.next_day(day)}.jsonl")
        .read_bytes()
        .startswith(lines.read_bytes())
    )
    head = journal.compare(tmp_path / "new")
    assert head.seq > made.head.seq
    with closing(Spool(tmp_path / "new")) as spool:
        assert spool.holds(made.head)
        found = spool.next_segment()
    assert found is None or found[0].name > f"{day}.jsonl"


def test_a_day_whose_seal_never_came_is_left_out_if_no_line_is_missing(tmp_path: Path) -> None:
    """The box was made again once, and went on under the next name; now it is lost again."""
    box = two_days(tmp_path, nothing)
    expected = again(tmp_path).head
    shutil.rmtree(tmp_path / "new")
    newest = days_of(tmp_path)[-1].parent
    day = newest.name[-len("2026-11-22") :]
    newest.rename(newest.with_name(ledger.segment_id(box, journal.next_day(day))))
    newest.mkdir()
    (newest / "segment.jsonl").write_bytes(b'{"half":"a day"}\n')

    assert again(tmp_path).head == expected


def test_the_same_day_twice_is_not_proven(tmp_path: Path) -> None:
    """Somebody has copied a folder in the archive."""
    two_days(tmp_path, nothing)
    newest = days_of(tmp_path)[-1].parent
    shutil.copytree(newest, newest.with_name(f"{newest.name[:-2]}30"))

    with pytest.raises(PersonNeeded) as caught:
        again(tmp_path)

    assert caught.value.code == "restore-not-proven"
    assert not any((tmp_path / "new").iterdir())


def test_days_under_each_others_names_make_no_box(tmp_path: Path) -> None:
    """Each seal is good, and the lines are all there."""
    two_days(tmp_path, nothing)
    first, second = (lines.parent for lines in days_of(tmp_path))
    first.rename(tmp_path / "between")
    second.rename(first)
    (tmp_path / "between").rename(second)

    with pytest.raises(CorruptionError) as caught:
        again(tmp_path)

    assert caught.value.code == "ledger-damaged"
    assert not any((tmp_path / "new").iterdir())
