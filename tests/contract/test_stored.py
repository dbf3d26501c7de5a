"""Reading the store again: each part that is no longer as committed is told, and what follows."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from daemon import notewords, stored
from daemon.document import Digest, State, utc_text
from daemon.errors import PermanentError
from daemon.recheck import DAMAGED, Recheck
from daemon.spool import Spool
from tests.contract.test_stamping import issued, stamping  # noqa: F401 (a fixture)
from tests.sealing import Sealing, now, sealing
from tests.values import receipts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from contrib.demo.token import TokenFiles
    from daemon.document import Document
    from tests.certomancer import Authority, IssuedFiles

NIGHT = datetime(2031, 5, 6, 1, 30, tzinfo=UTC)
"""Half past three in Berlin."""


def run(root: Path, files: TokenFiles, work: Callable[[Sealing], Awaitable[None]]) -> None:
    async def main() -> None:
        async with sealing(root, files) as here:
            assert await here.key.usable()
            await work(here)

    asyncio.run(main())


async def one_sealed(here: Sealing, drawn: dict[str, Path]) -> Document:
    return await here.sealer.seal(await here.claim(drawn["foto.jpg"]), here.key)


async def fault(here: Sealing, document: Document) -> str:
    deliveries = await here.spool(Spool.deliveries, document.id)
    certificate = await here.spool(Spool.sealed_with, document.id)
    assert certificate
    found = stored.fault(here.config.documents, document, deliveries, certificate)
    return str(found) if found else ""


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_each_part_that_is_not_as_committed_is_named(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path]
) -> None:
    """A byte of each, each one away, and each longer than it was."""

    async def work(here: Sealing) -> None:
        document = await one_sealed(here, drawn)
        assert document.state is State.FROZEN
        assert await fault(here, document) == ""
        folder = here.sealer.folder(document)
        for name in ("original.jpg", "sealed.pdf", "note.xml", "manifest.json", "manifest.p7s"):
            path, data = folder / name, (folder / name).read_bytes()
            flip(path, len(data) // 2)
            assert await fault(here, document) == f"{name}: changed"
            path.write_bytes(data + b"\n")
            assert await fault(here, document) == f"{name}: changed"
            path.unlink()
            assert await fault(here, document) == f"{name}: missing"
            path.symlink_to(tmp_path)
            assert await fault(here, document) == f"{name}: unreadable"
            path.unlink()
            path.write_bytes(data)
        assert await fault(here, document) == ""

    run(tmp_path, seal_token, work)


def test_a_seal_is_verified_and_not_only_compared(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path]
) -> None:
    """A row that was changed together with its file: the digest fits, and the seal does not."""

    async def work(here: Sealing) -> None:
        document = await one_sealed(here, drawn)
        path = here.sealer.folder(document) / "sealed.pdf"
        data = path.read_bytes()
        hole = data.rindex(b"/Contents <") + 11
        signature = hole + len(data[hole : data.index(b">", hole)].rstrip(b"0")) - 100

        async def changed(at: int) -> str:
            flip(path, at)
            row = replace(document, sealed=Digest.of(path.read_bytes()))
            certificate = await here.spool(Spool.sealed_with, document.id)
            found = stored.fault(here.config.documents, row, (), certificate)
            path.write_bytes(data)
            return str(found)

        for at in (20, hole - 200, signature, len(data) - 3):
            assert await changed(at) == "sealed.pdf: seal-invalid"
        other = stored.fault(here.config.documents, document, (), "0" * 64)
        assert str(other) == "sealed.pdf: seal-invalid"

    run(tmp_path, seal_token, work)


def test_a_file_that_was_stamped_is_good_before_and_after_its_rename(
    tmp_path: Path,
    issued: tuple[IssuedFiles, Authority],  # noqa: F811
    drawn: dict[str, Path],
) -> None:
    """A token lies in the gap; killed before the rename, its file has another name for a while."""
    files, made = issued

    async def main() -> None:
        async with stamping(tmp_path, files, made) as (here, _):
            document = await here.sealer.seal(await here.claim(drawn["foto.jpg"]), here.key)
            assert document.state is State.SEALED
            assert await fault(here, document) == ""
            folder = here.sealer.folder(document)
            before = (folder / "sealed.pdf").read_bytes()
            document = await here.sealer.stamp(document, here.key)
            assert document.level == "B-T"
            assert await fault(here, document) == ""

            (folder / "sealed.pdf").replace(folder / "stamped.pdf")
            (folder / "sealed.pdf").write_bytes(before)
            assert await fault(here, document) == ""
            flip(folder / "stamped.pdf", 100)
            assert await fault(here, document) == "sealed.pdf: changed"

    asyncio.run(main())


def verify_all(root: Path, *more: str) -> tuple[int, list[str]]:
    config = str(root / "scanseal.toml")
    command = [sys.executable, "-m", "daemon", "verify", "--all", *more, "--config", config]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_the_command_reads_the_store_while_it_is_in_use(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path]
) -> None:
    """Each bad one by id and code, a summary, and an exit code; nothing is written."""

    async def work(here: Sealing) -> None:
        assert await asyncio.to_thread(verify_all, tmp_path) == (
            0,
            ["0 gesiegelte Dokumente nachgeprüft: alle sind wie festgehalten."],
        )
        first, second = await one_sealed(here, drawn), await one_sealed(here, drawn)
        await here.claim(drawn["foto.jpg"])  # not sealed: nothing to look at
        for more in ((), ("--deep",)):
            code, lines = await asyncio.to_thread(verify_all, tmp_path, *more)
            assert (code, lines[-1][:2]) == (0, "2 ")
        path = here.sealer.folder(second) / "note.xml"
        flip(path, 300)
        before = {p: p.stat().st_mtime_ns for p in path.parent.iterdir()}

        code, lines = await asyncio.to_thread(verify_all, tmp_path)

        assert code == 1
        assert lines[0] == f"{second.id} stored-damaged note.xml: changed"
        assert lines[1].startswith("2 gesiegelte Dokumente nachgeprüft, 1 davon")
        assert first.id not in str(lines)
        assert before == {p: p.stat().st_mtime_ns for p in path.parent.iterdir()}
        assert (await here.spool(Spool.document, second.id)).state is State.FROZEN

    run(tmp_path, seal_token, work)


def test_deep_says_what_only_a_full_check_sees(
    tmp_path: Path, seal_token: TokenFiles, p256_token: TokenFiles, drawn: dict[str, Path]
) -> None:
    """The bytes are as committed; the chain of the configuration is another one by now."""

    async def work(here: Sealing) -> None:
        document = await one_sealed(here, drawn)
        settings = (tmp_path / "scanseal.toml").read_text()
        other = settings.replace(str(seal_token.chain), str(p256_token.chain))
        (tmp_path / "scanseal.toml").write_text(other)

        assert (await asyncio.to_thread(verify_all, tmp_path))[0] == 0
        code, lines = await asyncio.to_thread(verify_all, tmp_path, "--deep")
        assert (code, lines[0]) == (1, f"{document.id} seal-not-good")

    run(tmp_path, seal_token, work)


def lines_of(here: Sealing, document: Document) -> Awaitable[list[str]]:
    async def events() -> list[str]:
        lines = await here.spool(Spool.lines, document.id)
        return [json.loads(line)["event"] for line in lines]

    return events()


class Nights:
    """The stage, with a clock that a test sets."""

    def __init__(self, here: Sealing, per_day: int = 100) -> None:
        self.at = NIGHT
        box = replace(here.config.box, recheck_per_day=per_day)
        self.stage = Recheck(
            replace(here.config, box=box), here.spool, here.alarms, lambda: self.at
        )

    async def night(self) -> int:
        """Let it look until it has nothing to do; return at how many it looked."""
        await self.stage.resume()
        looked = 0
        while await self.stage.turn():
            looked += 1
        return looked


def test_a_sample_takes_up_where_the_last_one_ended(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path]
) -> None:
    """Two of three each night: a restart repeats and skips nothing, and each has its turn."""

    async def work(here: Sealing) -> None:
        ids = [(await one_sealed(here, drawn)).id for _ in range(3)]
        nights = Nights(here, per_day=2)
        await nights.stage.resume()
        assert await nights.stage.turn()
        assert (await here.spool(Spool.recheck_progress)).cursor == ids[0]

        again = Nights(here, per_day=2)
        assert await again.night() == 1
        assert (await here.spool(Spool.recheck_progress)).cursor == ids[1]
        assert await again.night() == 0
        again.at += timedelta(days=1)
        assert await again.night() == 2
        assert (await here.spool(Spool.recheck_progress)).cursor == ids[0]
        again.at -= timedelta(days=1)  # the clock goes back: that day has had its sample
        assert await again.night() == 0
        facts = again.stage.facts()
        assert (facts.checked, facts.bad) == (2, 0)
        assert facts.at == NIGHT + timedelta(days=1)

    run(tmp_path, seal_token, work)


def test_a_sample_waits_for_the_night_and_for_the_sealer(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path]
) -> None:
    """Scans come first; and nobody reads disks over a day that has begun a minute ago."""

    async def work(here: Sealing) -> None:
        await one_sealed(here, drawn)
        nights = Nights(here)
        nights.at = datetime(2031, 5, 5, 22, 30, tzinfo=UTC)  # half past midnight
        assert await nights.night() == 0
        nights.at = NIGHT
        nights.stage.busy = lambda: True
        assert await nights.night() == 0
        nights.stage.busy = lambda: False
        assert await Nights(here, per_day=0).night() == 0
        assert await nights.night() == 1  # one document, one look: not a hundred times

    run(tmp_path, seal_token, work)


def test_what_was_forgotten_is_bad_no_longer_and_not_good_either(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path]
) -> None:
    """It was bad, then the proofs of others let it go: nothing of it is here to be looked at."""

    async def work(here: Sealing) -> None:
        document = await one_sealed(here, drawn)
        deliveries = await here.spool(Spool.deliveries, document.id)
        for delivery in deliveries:
            begun = await here.spool(Spool.begin_delivery, delivery, now())
            said = await here.spool(receipts, document.id, delivery.target)
            await here.spool(Spool.acknowledge, begun, said, now())
        flip(here.sealer.folder(document) / "sealed.pdf", 100)
        nights = Nights(here)
        assert await nights.night() == 1
        filed = await here.spool(Spool.document, document.id)
        assert filed.state is State.FILED
        proven = await here.spool(Spool.deliveries, document.id)
        assert await here.spool(Spool.forget, filed, proven, [], now())

        nights.at += timedelta(days=1)
        assert await nights.night() == 1
        assert await nights.night() == 0
        assert here.alarms.now() == ()
        assert (await lines_of(here, document))[-2:] == ["recheck-bad", "forget"]
        assert nights.stage.facts().bad == 0

    run(tmp_path, seal_token, work)


def test_a_damaged_document_is_held_named_and_told(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path]
) -> None:
    """Something of it is still to be sent, and it would be other bytes."""

    async def work(here: Sealing) -> None:
        document, good = await one_sealed(here, drawn), await one_sealed(here, drawn)
        path = here.sealer.folder(document) / "sealed.pdf"
        data = path.read_bytes()
        flip(path, 100)
        nights = Nights(here)

        assert await nights.night() == 2

        held = await here.spool(Spool.document, document.id)
        assert (held.state, held.code) == (State.HELD, "own-copy-damaged")
        assert held.came_from is State.FROZEN
        assert (await here.spool(Spool.document, good.id)).state is State.FROZEN
        (alarm,) = here.alarms.now()
        assert (alarm.code, alarm.instance) == (DAMAGED, document.id)
        assert alarm.detail == "sealed.pdf: changed"
        assert (await lines_of(here, document))[-2:] == ["recheck-bad", "set-aside"]
        assert nights.stage.facts().bad == 1

        # A restart raises it again, looks again, and says nothing twice in the ledger.
        here.alarms.clear(DAMAGED, document.id)
        assert await nights.night() == 1
        assert [one.instance for one in here.alarms.now()] == [document.id]
        assert (await lines_of(here, document)).count("recheck-bad") == 1

        # Mended from the archive's copy: the alarm ends, a person decides about the rest.
        path.write_bytes(data)
        nights.at += timedelta(days=1)
        await nights.night()
        assert here.alarms.now() == ()
        assert (await lines_of(here, document))[-1] == "recheck-good"
        assert (await here.spool(Spool.document, document.id)).state is State.HELD
        assert (await here.spool(Spool.recheck_progress)).bad == ()

    run(tmp_path, seal_token, work)


def test_a_filed_document_is_told_and_stays_filed(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path]
) -> None:
    """DMS and archive have proven theirs: there is nothing to hold."""

    async def work(here: Sealing) -> None:
        document = await one_sealed(here, drawn)
        await here.spool(_file, document)
        (here.sealer.folder(document) / "original.jpg").unlink()

        await Nights(here).night()

        assert (await here.spool(Spool.document, document.id)).state is State.FILED
        assert [alarm.code for alarm in here.alarms.now()] == [DAMAGED]

    run(tmp_path, seal_token, work)


def _file(spool: Spool, document: Document) -> None:
    """Let it be filed; how is not what these tests are about."""
    with spool._step(now()) as step:
        step.db.execute("UPDATE delivery SET state = 'delivered'")
        step.db.execute("UPDATE document SET state = 'filed' WHERE id = ?", [document.id])
        step.count("document", State.FROZEN, State.FILED)


def test_a_note_is_given_only_as_it_was_committed(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path]
) -> None:
    """It is parsed in the main process: so it has to be our own bytes."""

    async def work(here: Sealing) -> None:
        waiting = await here.claim(drawn["foto.jpg"])
        with pytest.raises(PermanentError, match=waiting.id) as refused:
            stored.note(here.config.documents, waiting)
        assert refused.value.code == "no-note"
        document = await here.sealer.seal(waiting, here.key)
        xml = stored.note(here.config.documents, document)
        fields = notewords.from_xml(xml)
        assert fields["document"] == document.id
        assert document.sealed_at is not None
        assert fields["sealed_at"] == utc_text(document.sealed_at)
        path = here.sealer.folder(document) / "note.xml"
        for damage in (xml.replace(b"K 17", b"K 18"), xml + b" ", b"", None):
            path.unlink()
            if damage is not None:
                path.write_bytes(damage)
            with pytest.raises(PermanentError) as damaged:
                stored.note(here.config.documents, document)
            assert damaged.value.code == "own-copy-damaged"
            if damage is None:
                os.mkfifo(path)  # nobody writes to it: it would be waited for
                with pytest.raises(PermanentError):
                    stored.note(here.config.documents, document)

    run(tmp_path, seal_token, work)
