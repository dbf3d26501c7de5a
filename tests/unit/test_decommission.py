"""The end of a box: refused while anything on it is nowhere else; exported, verified, wiped."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from daemon import config, decommission
from daemon.document import folder_of
from daemon.errors import CorruptionError, PersonNeeded
from daemon.records.journal import verify_files
from daemon.spool import Spool, SpoolThread, open_spool
from tests.frozen import frozen, make_state
from tests.intake import mounted
from tests.system.box import CONFIG
from tests.values import NOW, claimed, receipts, refused, sealed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


@pytest.fixture
def box(tmp_path: Path) -> config.Config:
    for name in ("hot/rejected", "dms", "archive"):
        (tmp_path / name).mkdir(parents=True)
    make_state(tmp_path / "state")
    text = CONFIG.format(
        root=tmp_path,
        module="/nonexistent.so",
        label="t",
        key="k",
        certificate=tmp_path / "none.pem",
        chain=tmp_path / "none.pem",
        pin=tmp_path / "pin",
        max_pages=1,
        more="",
    )
    (tmp_path / "c.toml").write_text(text)
    return config.load(tmp_path / "c.toml")


def run(box: config.Config, work: Callable[[SpoolThread], Awaitable[None]]) -> None:
    async def main() -> None:
        spool = await open_spool(box.state_dir, new=not (box.state_dir / "spool.db").exists())
        try:
            await work(spool)
        finally:
            await spool.close()

    asyncio.run(main())


def filed(spool: Spool) -> str:
    document = frozen(spool, spool.documents.parent, now=NOW)
    for delivery in spool.deliveries(document.id):
        sending = spool.begin_delivery(delivery, NOW)
        spool.acknowledge(sending, receipts(spool, document.id, delivery.target), NOW)
    return document.id


def forgotten(spool: Spool) -> str:
    document_id = filed(spool)
    deliveries = spool.deliveries(document_id)
    assert spool.forget(spool.document(document_id), deliveries, [], NOW)
    return document_id


def test_whatever_is_not_forgotten_keeps_the_box_and_is_counted(box: config.Config) -> None:
    """Waiting, refused, on its way, and filed as long as its time here is not over (I2)."""

    async def work(spool: SpoolThread) -> None:
        assert await decommission.kept(box, spool) == {}
        await spool(forgotten)
        assert await decommission.kept(box, spool) == {}
        await spool(filed)
        await spool(claimed, 100)
        await spool(refused, 101)
        document = await spool(claimed, 102)
        await spool(sealed, document)
        assert await decommission.kept(box, spool) == {
            "filed": 1, "claimed": 1, "refused": 1, "sealed": 1,
        }  # fmt: skip

    run(box, work)


def test_what_was_superseded_keeps_nothing_and_what_was_discarded_does(box: config.Config) -> None:
    """The one has a successor, once its copy is gone; the other's time is not over."""

    async def work(spool: SpoolThread) -> None:
        one, two = await spool(refused, 1), await spool(refused, 2)
        new = await spool(forgotten)
        await spool(Spool.supersede, one.id, new, "uid 0", NOW)
        assert await decommission.kept(box, spool) == {"refused": 1, "discarded": 1}

        def copy_gone(spool: Spool) -> None:
            spool.copy_removed(spool.document(one.id), NOW)

        await spool(copy_gone)
        assert await decommission.kept(box, spool) == {"refused": 1}
        await spool(Spool.discard, two.id, "uid 0", "blank", NOW)
        assert await decommission.kept(box, spool) == {"discarded": 1}

    run(box, work)


def test_files_that_nobody_took_keep_the_box(box: config.Config, tmp_path: Path) -> None:
    """In the hot folder, half-way claimed, or where documents lie without a row."""
    hot = tmp_path / "hot"

    async def work(spool: SpoolThread) -> None:
        (hot / "a.pdf").write_bytes(b"x")
        assert await decommission.kept(box, spool) == {"files-waiting": 1}
        (hot / "a.pdf").unlink()
        (hot / ".scanseal").mkdir(mode=0o700)
        stray = "019ab7b0-0000-7000-8000-000000000000"
        (hot / ".scanseal" / stray).write_bytes(b"x")
        assert await decommission.kept(box, spool) == {"files-waiting": 1}
        (hot / ".scanseal" / stray).unlink()
        folder = folder_of(box.documents, stray)
        folder.mkdir(parents=True)
        (folder / "document.json").touch()
        assert await decommission.kept(box, spool) == {}
        (folder / "original.pdf").touch()
        assert await decommission.kept(box, spool) == {"folder-unexplained": 1}
        (folder / "original.pdf").unlink()
        hot.rename(tmp_path / "away")
        assert await decommission.kept(box, spool) == {"hotfolder-not-seen": 1}

    run(box, work)


def test_refused_with_counts_and_nothing_is_changed(box: config.Config, tmp_path: Path) -> None:
    """No line, no export: the person sees how many of what."""

    async def work(spool: SpoolThread) -> None:
        await spool(filed)
        before = await spool(Spool.head)
        with pytest.raises(PersonNeeded) as caught:
            await decommission.take_out(box, spool, tmp_path / "out", "uid 0", NOW)
        assert (caught.value.code, caught.value.args[0]) == ("decommission-kept", "filed: 1")
        assert await spool(Spool.head) == before
        assert not (tmp_path / "out").exists()

    run(box, work)


def test_the_ledger_is_exported_whole_and_verified_where_it_lies(
    box: config.Config, tmp_path: Path
) -> None:
    """With its personal details, private, and the line that says what happened to the box."""

    async def work(spool: SpoolThread) -> None:
        await spool(forgotten)
        head = await decommission.take_out(box, spool, tmp_path / "out", "uid 7", NOW)
        assert head == await spool(Spool.head) == verify_files(tmp_path / "out")
        names = {path.name for path in (box.state_dir / "ledger").iterdir()}
        assert {path.name for path in (tmp_path / "out").iterdir()} == names
        assert "uid 7" in (tmp_path / "out" / "2026-11-22.personal.jsonl").read_text()
        modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "out").iterdir()}
        assert modes == {0o600}
        await spool(Spool.note, "key-destroyed", {}, None, NOW)
        assert await decommission.exported(box, spool, tmp_path / "out") == await spool(Spool.head)

    run(box, work)


@pytest.mark.parametrize("where", ["state/out", "full", "file", "none/below"])
def test_a_place_that_cannot_hold_the_ledger_is_refused(
    box: config.Config, tmp_path: Path, where: str
) -> None:
    """In what is wiped, not empty, no folder, or in none."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    (tmp_path / "file").touch()

    async def work(spool: SpoolThread) -> None:
        with pytest.raises(PersonNeeded) as caught:
            await decommission.take_out(box, spool, tmp_path / where, "uid 0", NOW)
        assert caught.value.code == "export-unusable"

    run(box, work)


@pytest.mark.parametrize("where", ["file", "database"])
def test_a_ledger_that_does_not_verify_ends_it(
    box: config.Config, tmp_path: Path, where: str
) -> None:
    """Nothing of a box is wiped whose ledger is damaged, in either of its places."""

    def damage(spool: Spool) -> None:
        if where == "database":
            spool._db.execute(
                "UPDATE ledger SET line = replace(line, 'post', 'past') WHERE seq = 1"
            )
            return
        (path,) = (box.state_dir / "ledger").glob("*-22.jsonl")
        path.write_text(path.read_text().replace('"seq":2', '"seq":3', 1))

    async def work(spool: SpoolThread) -> None:
        await spool(forgotten)
        await spool(Spool.export_ledger)
        await spool(damage)
        with pytest.raises(CorruptionError):
            await decommission.take_out(box, spool, tmp_path / "out", "uid 0", NOW)

    run(box, work)


def test_an_export_that_ends_too_early_is_no_export(box: config.Config, tmp_path: Path) -> None:
    """A chain is good at every place where it is cut: its end has to be the database's."""

    async def work(spool: SpoolThread) -> None:
        await spool(forgotten)
        await decommission.take_out(box, spool, tmp_path / "out", "uid 0", NOW)
        (path,) = (box.state_dir / "ledger").glob("*-22.jsonl")
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
        with pytest.raises(CorruptionError, match="not what the database says"):
            await decommission.exported(box, spool, tmp_path / "out")

    run(box, work)


def test_a_full_stick_is_said_and_nothing_is_wiped(box: config.Config, tmp_path: Path) -> None:
    """Also where it only shows while the ledger is copied."""

    async def work(spool: SpoolThread) -> None:
        for _ in range(40):
            await spool(Spool.note, "key-destroyed", {"long": "x" * 10_000}, None, NOW)
        with (
            mounted(tmp_path / "stick", "200k") as stick,
            pytest.raises(PersonNeeded, match="No space left") as caught,
        ):
            await decommission.take_out(box, spool, stick / "out", "uid 0", NOW)
        assert caught.value.code == "export-unusable"
        assert (box.state_dir / "ledger").exists()

    run(box, work)


def test_wiping_overwrites_and_removes_everything(box: config.Config, tmp_path: Path) -> None:
    """A second name of a file shows what became of its bytes; links are not followed."""
    scan = folder_of(box.documents, "019ab7b0-0000-7000-8000-000000000000") / "note.xml"
    scan.parent.mkdir(parents=True)
    scan.write_bytes(b"secret" * 100_000)
    os.link(scan, tmp_path / "witness")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").write_bytes(b"mine")
    (box.state_dir / "work" / "link").symlink_to(outside, target_is_directory=True)
    (box.state_dir / "link").symlink_to(outside / "keep")
    os.mkfifo(box.state_dir / "fifo")
    decommission.mark(box.state_dir)

    decommission.wipe(box.state_dir)

    assert list(box.state_dir.iterdir()) == []
    assert (tmp_path / "witness").read_bytes() == bytes(600_000)
    assert (outside / "keep").read_bytes() == b"mine"
    decommission.wipe(box.state_dir)
