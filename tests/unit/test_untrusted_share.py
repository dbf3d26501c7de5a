"""Whoever may write into a hot folder renames and replaces what is in it in the middle of a claim.

`.scanseal`, subfolders and the scans themselves: a claim then waits or goes on, the
service does not end, and what was committed is nobody's to change.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from daemon.alarms import Alarms
from daemon.config import Config
from daemon.document import State, folder_of
from daemon.intake import NotNow, Reason, claim
from daemon.intake.adoption import adopted
from daemon.intake.claim import Claimed, Desk, commit
from daemon.intake.doorkeeper import Doorkeeper
from daemon.intake.moving import is_ours
from daemon.intake.origin import origin_of, stored
from daemon.intake.recovery import recover
from daemon.intake.settle import Look, open_scan, writer_open
from daemon.intake.sidecar import Tray
from daemon.spool import Spool, open_spool
from tests.intake import SETTLE, config_of, make_places, now, pdf, section_of, watching

SCANNER = 65534
"""Another user than the service's (root, here)."""
SCAN = pdf(b"scan")
FOREIGN = "00000000-0001-7000-8000-000000000001"
"""An id that we have never given."""


def box(root: Path) -> tuple[Config, Path]:
    """Make a box with an empty hot folder; return it and that folder."""
    config = config_of(root, section_of(root, subfolders=True, sidecar="optional"))
    make_places(config)
    return config, root / "hot"


def desk_of(config: Config, tick: Callable[[], None] = lambda: None) -> Desk:
    return Desk(config.hotfolders[0], config.documents, tick)


def take(desk: Desk, place: str) -> Claimed:
    look = Look.of((desk.folder / place).lstat())
    return desk.take(place.encode(), look, now(), "sure")


def once(work: Callable[[], object]) -> Callable[[], None]:
    """Return what does *work* the first time it is called."""
    left = [work]

    def tick() -> None:
        if left:
            left.pop()()

    return tick


def original_of(config: Config, document_id: str) -> Path:
    found = stored(folder_of(config.documents, document_id))
    assert found is not None
    return found


# -- whose file it is --------------------------------------------------------------------


def test_a_scan_of_another_user_cannot_be_changed_after_the_commit(tmp_path: Path) -> None:
    """I2: its owner opens the descriptor that it has once more, for writing, and reaches nothing."""
    config, hot = box(tmp_path)
    path = hot / "a.pdf"
    path.write_bytes(SCAN)
    path.chmod(0o600)  # its owner may give it any mode again
    os.chown(path, SCANNER, SCANNER)
    with path.open("rb") as held, closing(Spool(config.state_dir, new=True)) as spool:
        desk = desk_of(config)
        claimed = take(desk, "a.pdf")
        waiting = desk.private_path(claimed.arrival.id).read_bytes()
        document = commit(spool, claimed, now())
        with Path(f"/proc/self/fd/{held.fileno()}").open("r+b") as again:
            again.write(b"%PDX")
        os.utime(held.fileno(), ns=(0, claimed.arrival.mtime_ns))
        desk.let_go(claimed)
    original = original_of(config, document.id)

    assert claimed.copied
    assert waiting == SCAN
    assert list(desk.private.iterdir()) == []
    assert original.read_bytes() == SCAN
    assert is_ours(original.stat())


@pytest.mark.parametrize("mode", [0o644, 0o666, 0o600])
def test_a_scan_of_our_own_is_closed_to_others_and_renamed(
    mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No copy is made of it; it is shut before the question who writes it."""
    config, hot = box(tmp_path)
    (hot / "a.pdf").write_bytes(SCAN)
    (hot / "a.pdf").chmod(mode)
    inode = (hot / "a.pdf").stat().st_ino
    asked = []

    def ask(fd: int) -> bool | None:
        asked.append(os.fstat(fd).st_mode & 0o777)
        return writer_open(fd)

    monkeypatch.setattr(claim, "writer_open", ask)
    claimed = take(desk_of(config), "a.pdf")
    original = original_of(config, claimed.arrival.id)

    assert asked == [0o600]
    assert not claimed.copied
    assert (original.stat().st_ino, original.stat().st_mode & 0o777) == (inode, 0o600)


def test_a_mount_that_changes_no_mode_has_its_scans_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours by name, and open to everybody: a rename would keep that."""
    config, hot = box(tmp_path)
    (hot / "a.pdf").write_bytes(SCAN)
    inode = (hot / "a.pdf").stat().st_ino

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fchmod", refuse)
    claimed = take(desk_of(config), "a.pdf")
    original = original_of(config, claimed.arrival.id)

    assert claimed.copied
    assert original.stat().st_ino != inode
    assert is_ours(original.stat())


def test_what_changed_after_its_bytes_were_compared_is_not_removed(tmp_path: Path) -> None:
    """A kill left copy and row; the scan's owner writes while the original's are read."""
    config, hot = box(tmp_path)
    (hot / "a.pdf").write_bytes(SCAN)
    os.chown(hot / "a.pdf", SCANNER, SCANNER)
    claimed = take(desk_of(config), "a.pdf")
    private = hot / ".scanseal" / claimed.arrival.id
    ticks = 0

    def append() -> None:
        nonlocal ticks
        ticks += 1
        if ticks == 2:
            os.truncate(private, len(SCAN) + 1)

    changing = desk_of(config, append)
    changing.sort_out(claimed.arrival.id, now())

    assert private.stat().st_size == len(SCAN) + 1
    assert original_of(config, claimed.arrival.id).read_bytes() == SCAN


# -- a subfolder is replaced in the middle -----------------------------------------------------


@pytest.mark.parametrize("instead", ["link", "file", "nothing"])
@pytest.mark.parametrize("owner", [0, SCANNER])
def test_a_subfolder_that_is_replaced_during_a_claim_ends_nothing(
    instead: str, owner: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder that the scan lay in is open still, and that one is synced."""
    config, hot = box(tmp_path)
    (hot / "sub").mkdir()
    (hot / "sub" / "a.pdf").write_bytes(SCAN)
    os.chown(hot / "sub" / "a.pdf", owner, owner)

    def replace() -> None:
        (hot / "sub").rename(hot / "sub2")
        if instead == "link":
            (hot / "sub").symlink_to("sub")
        elif instead == "file":
            (hot / "sub").write_bytes(b"")

    inode = (hot / "sub").stat().st_ino
    synced = set()
    fsync = os.fsync

    def noted(fd: int) -> None:
        synced.add(os.fstat(fd).st_ino)
        fsync(fd)

    monkeypatch.setattr(os, "fsync", noted)
    claimed = take(desk_of(config, once(replace)), "sub/a.pdf")

    assert inode in synced
    assert original_of(config, claimed.arrival.id).read_bytes() == SCAN


def test_a_claim_goes_on_without_the_subfolder_that_it_came_from(tmp_path: Path) -> None:
    """After a start nobody has it open: a way there that is a loop is no way."""
    config, hot = box(tmp_path)
    (hot / "sub").mkdir()
    (hot / "sub" / "a.pdf").write_bytes(SCAN)
    claimed = take(desk_of(config), "sub/a.pdf")
    original_of(config, claimed.arrival.id).rename(hot / ".scanseal" / claimed.arrival.id)
    (hot / "sub").rmdir()
    (hot / "sub").symlink_to("sub")

    again = desk_of(config).resume(claimed.arrival.id, None, now(), "sure")

    assert again == claimed


def test_a_subfolder_replaced_while_its_sidecar_is_taken_ends_nothing(tmp_path: Path) -> None:
    """A sidecar's way is a scan's."""
    config, hot = box(tmp_path)
    (hot / "sub").mkdir()
    (hot / "sub" / "a.pdf").write_bytes(SCAN)
    (hot / "sub" / "a.json").write_bytes(b"{}")
    claimed = take(desk_of(config), "sub/a.pdf")

    def replace() -> None:
        (hot / "sub").rename(hot / "sub2")
        (hot / "sub").symlink_to("sub")

    tray = Tray(hot, config.documents, once(replace))
    look = Look.of((hot / "sub" / "a.json").stat())
    taken = tray.take(claimed.arrival.id, b"sub/a.json", look)

    assert taken.content == b"{}"


# -- `.scanseal` is not ours, or not there ----------------------------------------------------


def strangers_folder(hot: Path) -> Path:
    """Put a `.scanseal` of somebody else there, with a scan under an id of their choice."""
    private = hot / ".scanseal"
    private.mkdir(mode=0o777)
    (private / FOREIGN).write_bytes(SCAN)
    (private / f"{FOREIGN}.json").write_bytes(b"{}")
    os.chown(private, SCANNER, SCANNER)
    return private


def test_a_private_folder_of_somebody_else_is_not_served(tmp_path: Path) -> None:
    """Each way in asks first whose it is; nothing in it is touched."""
    config, hot = box(tmp_path)
    (hot / "a.pdf").write_bytes(SCAN)
    claimed = take(desk_of(config), "a.pdf")
    own = claimed.arrival.id
    (hot / ".scanseal").rmdir()
    private = strangers_folder(hot)
    (private / own).write_bytes(SCAN)
    (hot / "a.json").write_bytes(b"{}")
    desk, tray = desk_of(config), Tray(hot, config.documents, lambda: None)
    look = Look.of((private / FOREIGN).stat())
    sidecar = Look.of((hot / "a.json").stat())
    before = sorted(private.iterdir())
    ways: list[Callable[[], object]] = [
        lambda: desk.resume(FOREIGN, look, now(), "sure"),
        lambda: desk.resume(FOREIGN, None, now(), "sure"),
        lambda: desk.sort_out(own, now()),
        lambda: desk.let_go(claimed),
        lambda: tray.take(own, b"a.json", sidecar),
        lambda: tray.go_on(own, f"{FOREIGN}.json".encode(), look),
        lambda: tray.let_go(own),
    ]
    for way in ways:
        with pytest.raises(NotNow) as caught:
            way()
        assert caught.value.reason is Reason.PERMISSION

    assert tray.where(FOREIGN) == ""
    assert sorted(private.iterdir()) == before
    assert len(list(config.documents.rglob("document.json"))) == 1


def test_a_start_takes_nothing_out_of_a_private_folder_that_is_not_ours(tmp_path: Path) -> None:
    """It is an alarm; ours may be elsewhere, so what was begun keeps its name."""
    config, hot = box(tmp_path)
    Spool(config.state_dir, new=True).close()
    (hot / "a.pdf").write_bytes(SCAN)
    own = take(desk_of(config), "a.pdf").arrival.id
    original_of(config, own).rename(hot / ".scanseal" / own)
    (hot / ".scanseal").rename(hot / "away")
    private = strangers_folder(hot)

    async def main() -> tuple[list[str], int]:
        alarms = Alarms(now)
        spool = await open_spool(config.state_dir)
        await recover(config, spool, alarms, now)
        found = await spool(Spool.newest, 10)
        await spool.close()
        return [alarm.code for alarm in alarms.now()], len(found)

    assert asyncio.run(main()) == (["hotfolder-permission"], 0)
    assert (private / FOREIGN).exists()
    assert origin_of(folder_of(config.documents, own)) is not None


def test_an_id_that_we_did_not_give_is_nobodys(tmp_path: Path) -> None:
    """Without a document.json of ours a private name says nothing: the scan gets an id of ours."""
    config, hot = box(tmp_path)
    (hot / ".scanseal").mkdir(mode=0o700)
    private = hot / ".scanseal" / FOREIGN
    private.write_bytes(SCAN)
    claimed = desk_of(config).resume(FOREIGN, Look.of(private.stat()), now(), "sure")

    assert claimed.arrival.id != FOREIGN
    assert claimed.arrival.name == FOREIGN.encode()
    assert not folder_of(config.documents, FOREIGN).exists()
    assert list((hot / ".scanseal").iterdir()) == []


def test_a_claim_that_goes_on_asks_for_room_as_well(tmp_path: Path) -> None:
    """Whatever lies under a private name is a scan to be copied, perhaps."""
    config, hot = box(tmp_path)
    (hot / ".scanseal").mkdir(mode=0o700)
    (hot / ".scanseal" / FOREIGN).write_bytes(SCAN)
    door = Doorkeeper(config.hotfolders[0], config, now, ring=lambda: None, tick=lambda: None)
    door.look(rung=False)
    with pytest.raises(NotNow) as caught:
        door.resume(FOREIGN, 1 << 60, "sure")
    door.stop()

    assert caught.value.reason is Reason.DISK_FULL


def test_another_file_under_the_private_name_is_not_taken_for_the_scan(tmp_path: Path) -> None:
    """`.scanseal` is replaced between the look at the scan and its move."""
    config, hot = box(tmp_path)
    (hot / "a.pdf").write_bytes(SCAN)
    desk = desk_of(config)
    rename = Path.rename

    def replaced(self: Path, target: Path) -> Path:
        if self.parent == desk.private and "original" in target.name:
            rename(desk.private, hot / "away")
            desk.private.mkdir(mode=0o700)
            (desk.private / self.name).write_bytes(pdf(b"another"))
        return rename(self, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "rename", replaced)
        with pytest.raises(NotNow) as caught:
            take(desk, "a.pdf")
    (back,) = desk.private.iterdir()

    assert caught.value.reason is Reason.QUIET
    assert back.read_bytes() == pdf(b"another")
    assert (hot / "away" / back.name).read_bytes() == SCAN
    assert list(config.documents.rglob("original.*")) == []


def test_a_scan_that_cannot_be_put_back_is_claimed_where_it_lies(tmp_path: Path) -> None:
    """It changed in the move, and `.scanseal` is gone: no start is needed to go on with it."""

    async def work() -> None:
        async with watching(tmp_path, running=False) as here:
            path = here.hot / "a.pdf"
            path.write_bytes(SCAN)
            changed = SCAN.replace(b"scan", b"word")
            door = here.stage._door

            def act() -> None:
                (here.hot / ".scanseal").rename(here.hot / ".x")
                (original,) = here.config.documents.rglob("original.pdf")
                original.write_bytes(changed)

            door._desk._tick = once(act)
            await asyncio.to_thread(door.look, rung=False)
            await asyncio.sleep(SETTLE)
            with pytest.raises(NotNow) as caught:
                await asyncio.to_thread(door.take, b"a.pdf", 0, "sure")
            (original,) = here.config.documents.rglob("original.pdf")
            task = asyncio.create_task(here.stage.run())
            (document,) = await here.claimed()
            assert not task.done()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

            assert caught.value.reason is Reason.QUIET
            assert document.id == original.parent.name
            assert document.state is State.CLAIMED
            assert original.read_bytes() == changed
            assert document.digest.of(changed) == document.digest

    asyncio.run(work())


def test_a_private_name_that_is_taken_by_now_is_not_had_back(tmp_path: Path) -> None:
    """What lies there stays; the scan stays where it is, and is known to lie there."""
    config, hot = box(tmp_path)
    (hot / "a.pdf").write_bytes(SCAN)

    def act() -> None:
        (original,) = config.documents.rglob("original.pdf")
        original.write_bytes(SCAN + b"more")
        (hot / ".scanseal" / original.parent.name).mkdir()

    desk = desk_of(config, once(act))
    with pytest.raises(NotNow):
        take(desk, "a.pdf")
    (own,) = desk.stranded

    assert original_of(config, own).read_bytes() == SCAN + b"more"


def test_a_private_folder_that_is_moved_away_keeps_the_names_of_its_scans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right after the first move: when it is put back, the claim goes on as it began."""
    config, hot = box(tmp_path)
    (hot / "a.pdf").write_bytes(SCAN)
    desk = desk_of(config)

    def away(path: Path) -> int:
        desk.private.rename(hot / "away")
        return open_scan(path)

    with monkeypatch.context() as patch:
        patch.setattr(claim, "open_scan", away)
        with pytest.raises(NotNow):
            take(desk, "a.pdf")
    (hot / "away").rename(desk.private)
    (private,) = desk.private.iterdir()
    claimed = desk.resume(private.name, None, now(), "sure")

    assert (claimed.arrival.id, claimed.arrival.name) == (private.name, b"a.pdf")


@pytest.mark.parametrize("adopt", [False, True])
def test_an_old_name_that_a_power_cut_brought_back_is_no_second_scan(
    tmp_path: Path, *, adopt: bool
) -> None:
    """POSIX lets half of a rename be lost; another file under that name stays (I12)."""
    config, hot = box(tmp_path)
    desk = desk_of(config)
    for name, same in (("a.pdf", True), ("b.pdf", False)):
        (hot / name).write_bytes(SCAN)
        own = take(desk, name).arrival.id
        folder = folder_of(config.documents, own)
        now_at = folder / "original.pdf"
        if not adopt:
            now_at = now_at.rename(desk.private_path(own))
        if same:
            os.link(now_at, hot / name)
        else:
            (hot / name).write_bytes(SCAN)

        if adopt:
            claimed = adopted(folder, config.documents, config.hotfolders)
        else:
            claimed = desk.resume(own, None, now(), "sure")

        assert (claimed.arrival.id, claimed.copied) == (own, False)
        assert (hot / name).exists() is not same


def test_a_copy_whose_taking_a_power_cut_undid_is_no_second_scan(tmp_path: Path) -> None:
    """The copy was durable, the rename before it was not: on two disks that may be."""
    config, hot = box(tmp_path)
    scan = hot / "a.pdf"
    scan.write_bytes(SCAN)
    scan.chmod(0o600)
    os.link(scan, hot / "other.pdf")  # so it is copied
    claimed = take(desk_of(config), "a.pdf")
    desk_of(config).private_path(claimed.arrival.id).rename(scan)

    again = adopted(
        folder_of(config.documents, claimed.arrival.id), config.documents, config.hotfolders
    )

    assert (claimed.copied, again.arrival.digest) == (True, claimed.arrival.digest)
    assert not scan.exists()


def test_what_is_anothers_in_a_folder_of_ours_is_a_persons_to_explain(tmp_path: Path) -> None:
    """A scan or a sidecar without a row that somebody else could change is not taken as it is."""
    config, hot = box(tmp_path)
    (hot / "a.pdf").write_bytes(SCAN)
    own = take(desk_of(config), "a.pdf").arrival.id
    folder = folder_of(config.documents, own)
    whole = adopted(folder, config.documents, ())
    (folder / "sidecar.json").write_bytes(b"{}")
    for name in ("original.pdf", "sidecar.json"):
        os.chown(folder / name, SCANNER, SCANNER)

    assert whole.arrival.id == own
    with pytest.raises(NotNow):
        adopted(folder, config.documents, ())
    with pytest.raises(NotNow):
        Tray(hot, config.documents, lambda: None).stored(own)


# -- a folder under the name of a scan -----------------------------------------------------------


@pytest.mark.parametrize("place", ["a.pdf", "sub/a.pdf"])
@pytest.mark.parametrize("what", ["folder", "link", "fifo"])
def test_what_is_no_file_gets_its_name_back(what: str, place: str, tmp_path: Path) -> None:
    """It was put there between look and rename; others' scans may lie in it."""
    config, hot = box(tmp_path)
    path = hot / place
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(SCAN)
    look = Look.of(path.stat())
    path.unlink()
    if what == "folder":
        path.mkdir()
        (path / "other.pdf").write_bytes(SCAN)
    elif what == "link":
        path.symlink_to("nowhere")
    else:
        os.mkfifo(path)
    with pytest.raises(NotNow) as caught:
        desk_of(config).take(place.encode(), look, now(), "sure")

    assert caught.value.reason is Reason.NOT_A_FILE
    assert os.path.lexists(path)
    assert what != "folder" or (path / "other.pdf").read_bytes() == SCAN
    assert list((hot / ".scanseal").iterdir()) == []
    assert list(config.documents.rglob("document.json")) == []


def test_a_link_does_not_replace_what_has_its_name_by_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scanner has written its next scan: that one stays, and the link waits for a person."""
    config, hot = box(tmp_path)
    path = hot / "a.pdf"
    path.symlink_to("nowhere")
    rename = Path.rename

    def then_written(self: Path, target: Path) -> Path:
        done = rename(self, target)
        if self == path:
            path.write_bytes(SCAN)
        return done

    monkeypatch.setattr(Path, "rename", then_written)
    with pytest.raises(NotNow):
        take(desk_of(config), "a.pdf")

    assert path.read_bytes() == SCAN
    assert [kept.is_symlink() for kept in (hot / ".scanseal").iterdir()] == [True]


def test_a_folder_in_place_of_a_sidecar_gets_its_name_back(tmp_path: Path) -> None:
    """Likewise."""
    config, hot = box(tmp_path)
    (hot / "a.pdf").write_bytes(SCAN)
    own = take(desk_of(config), "a.pdf").arrival.id
    (hot / "a.json").mkdir()
    tray = Tray(hot, config.documents, lambda: None)
    with pytest.raises(NotNow):
        tray.take(own, b"a.json", Look.of((hot / "a.json").stat()))

    assert (hot / "a.json").is_dir()
    assert list((hot / ".scanseal").iterdir()) == []
