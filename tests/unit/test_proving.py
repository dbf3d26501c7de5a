"""Targets are asked again: before our own copy goes, when a person asks, and at random."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from daemon import durable
from daemon.delivering import Rules
from daemon.document import DeliveryState, Role, State, folder_of, utc_text
from daemon.errors import PermanentError, PersonNeeded, TargetUnreachable
from daemon.proving import Proving
from daemon.spool import Spool
from daemon.targets import About
from daemon.targets.folder import FolderTarget
from daemon.terms import Terms
from tests.frozen import NOW
from tests.unit.test_forgetting import Bench, run

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from daemon.document import Document, Receipt
    from daemon.targets import Sending


def proving(bench: Bench, found: list[str] | None = None) -> Proving:
    """Return the stage, which says when it has found something gone."""
    noted = found if found is not None else []
    return Proving(
        bench.documents,
        bench.spool,
        bench.targets,
        lambda: bench.now,
        found=lambda: noted.append("gone"),
    )


async def state(bench: Bench, document: Document, target: str) -> DeliveryState:
    """Return where a delivery is."""
    return (await bench.spool(Spool.delivery, document.id, target)).state


def test_both_proofs_come_from_what_lies_there_now(tmp_path: Path) -> None:
    """Not from our records: their time is the time of the question."""

    async def work(bench: Bench) -> None:
        document = await bench.filed()
        receipts = await bench.spool(Spool.receipts, document.id)
        bench.now = bench.now.replace(year=2027)

        said = await proving(bench).prove(document.id)

        assert [(one.target, one.state) for one in said] == [("archive", "held"), ("dms", "held")]
        assert {receipt.proved_at for one in said for receipt in one.receipts} == {bench.now}
        assert await bench.spool(Spool.receipts, document.id) == receipts

    run(tmp_path, work)


@pytest.mark.parametrize(("how", "wanted"), [("unlink", "gone"), ("overwrite", "differs")])
def test_what_is_not_there_any_more_is_committed_and_told(
    tmp_path: Path, how: str, wanted: str
) -> None:
    """A person decides: it may be sent again, or be done without."""

    async def work(bench: Bench) -> None:
        document = await bench.filed()
        path = tmp_path / "dms" / document.id / "sealed.pdf"
        path.unlink()
        if how == "overwrite":
            path.write_bytes(b"%PDF another one")
        found: list[str] = []

        said = {one.target: one for one in await proving(bench, found).prove(document.id)}

        assert said["dms"].state == wanted
        assert said["archive"].state == "held"
        assert found == ["gone"]
        assert await state(bench, document, "dms") is DeliveryState.GONE
        again = {one.target: one.state for one in await proving(bench).prove(document.id)}
        assert again == {"archive": "held", "dms": "gone"}

    run(tmp_path, work)


@pytest.mark.parametrize(
    "trouble",
    [TargetUnreachable("no route"), PermanentError("target-refuses", "said 400: no such field")],
)
def test_a_target_that_says_nothing_about_it_does_not_make_it_gone(
    tmp_path: Path, trouble: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that is set up wrongly and refuses whatever it is asked."""

    async def work(bench: Bench) -> None:
        document = await bench.filed()

        async def away(*_: object) -> None:
            raise trouble

        monkeypatch.setattr(bench.targets["dms"], "prove", away)
        said = {one.target: one for one in await proving(bench).prove(document.id)}

        assert (said["dms"].state, said["dms"].receipts) == ("away", ())
        assert await state(bench, document, "dms") is DeliveryState.DELIVERED

    run(tmp_path, work)


def test_the_sample_comes_to_every_time_of_proof(tmp_path: Path) -> None:
    """The oldest and the newest and what lies between; and it finds what has gone."""

    async def work(bench: Bench) -> None:
        documents = []
        for day in range(1, 4):
            bench.now = bench.now.replace(day=day, month=12)
            documents.append(await bench.filed())
        stage = proving(bench)
        asked: list[str] = []
        target: FolderTarget = bench.targets["dms"]
        real = target.prove

        async def noted(receipt, part):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            asked.append(part.key.partition("/")[0])
            return await real(receipt, part)

        target.prove = noted  # type: ignore[method-assign]
        for place in (0.0, 0.4, 1.0):
            said = await stage.sample("dms", place)
            assert said is not None
            assert said.state == "held"
        assert asked == [document.id for document in documents]

        (tmp_path / "dms" / documents[1].id / "sealed.pdf").unlink()
        said = await stage.sample("dms", 0.4)
        assert said is not None
        assert said.state == "gone"
        assert await stage.sample("nowhere", 0.5) is None

    run(tmp_path, work)


def test_what_was_found_gone_meanwhile_is_not_said_to_be_locked(tmp_path: Path) -> None:
    """Two may ask at once: the one that found it gone counts, and the service goes on."""

    async def work(bench: Bench) -> None:
        document = await bench.filed()
        delivery = await bench.spool(Spool.delivery, document.id, "archive")
        assert await bench.spool(Spool.miss, delivery, "gone-from-target", "x", bench.now)

        assert not await bench.spool(Spool.lengthened, delivery, [], bench.now)
        assert await state(bench, document, "archive") is DeliveryState.GONE

    run(tmp_path, work)


# -- doing without one target --------------------------------------------------------------


def test_what_is_gone_can_be_done_without_and_is_never_a_proof(tmp_path: Path) -> None:
    """It stays filed, but is not forgotten: one DMS and one archive have to hold it (I2)."""

    async def work(bench: Bench) -> None:
        document = await bench.filed()
        (tmp_path / "dms" / document.id / "sealed.pdf").unlink()
        await proving(bench).prove(document.id)

        await bench.spool(Spool.waive, document.id, "dms", "uid 7", "deleted by law", bench.now)

        assert await state(bench, document, "dms") is DeliveryState.WAIVED
        await bench.turn(days=400)
        assert await bench.kept(document)
        lines = "".join(await bench.spool(Spool.lines, document.id))
        assert "delivery-accept" in lines
        assert "deleted by law" not in lines  # personal detail lies apart

    run(tmp_path, work)


def test_what_is_proven_or_on_its_way_cannot_be_done_without(tmp_path: Path) -> None:
    """Nobody waives a proof away; and what is on its way right now may be there in a moment."""

    async def work(bench: Bench) -> None:
        document = await bench.filed()
        for target in ("dms", "nowhere"):
            with pytest.raises(PersonNeeded) as caught:
                await bench.spool(Spool.waive, document.id, target, "uid 7", "no", bench.now)
            assert caught.value.code == "not-waivable"

        (tmp_path / "dms" / document.id / "sealed.pdf").unlink()
        await proving(bench).prove(document.id)
        await bench.spool(Spool.release, document.id, "uid 7", bench.now)
        delivery = await bench.spool(Spool.delivery, document.id, "dms")
        await bench.spool(Spool.begin_delivery, delivery, bench.now)
        with pytest.raises(PersonNeeded) as caught:
            await bench.spool(Spool.waive, document.id, "dms", "uid 7", "no", bench.now)
        assert caught.value.code == "delivery-under-way"

    run(tmp_path, work)


# -- locks that begin short ------------------------------------------------------------------


class Locking(FolderTarget):
    """A folder that says of a lock what a store would say, and remembers what was asked."""

    until = "2026-12-01T00:00:00.000Z"

    async def prove(self, receipt: Receipt, part: Sending) -> Receipt | None:
        held = await super().prove(receipt, part)
        return held and replace(held, detail={"retain_until": self.until})

    async def extend(self, receipt: Receipt, until: datetime) -> Receipt:
        self.until = utc_text(until)
        return replace(receipt, detail={"retain_until": self.until})


def test_what_is_filed_is_locked_for_all_of_its_time(tmp_path: Path) -> None:
    """A short first lock can be undone while it is misdirected; a proven one holds for ten years."""

    async def work(bench: Bench) -> None:
        archive = bench.targets["archive"] = Locking(
            "archive", Role.ARCHIVE, tmp_path / "archive", lambda: bench.now
        )
        document = await bench.filed()
        before = await bench.spool(Spool.receipts, document.id)
        until = NOW.replace(year=2036)
        rules = Rules(about=lambda *_: About(retain_until=until))
        stage = Proving(
            *(bench.documents, bench.spool, bench.targets, lambda: bench.now),
            {"archive": Terms(rules=rules)},
        )
        task = asyncio.create_task(stage.run())
        stage.filed(document.id)
        while (after := await bench.spool(Spool.receipts, document.id)) == before:
            assert not task.done()
            await asyncio.sleep(0.01)
        lines = "".join(await bench.spool(Spool.lines, document.id))
        while "2036" not in (path := receipt_of(bench, document)):
            await asyncio.sleep(0.01)
        task.cancel()

        assert after["dms"] == before["dms"]
        assert archive.until == utc_text(until)
        said = json.loads(after["archive"])
        assert {one["detail"]["retain_until"] for one in said} == {utc_text(until)}
        assert "delivery-lengthen" in lines
        assert json.loads(path)["receipts"] == said
        # The receipts say so by now, and the store as well: nothing is asked for again.
        archive.until = "2037-01-01T00:00:00.000Z"
        await stage.prove(document.id)
        assert archive.until == "2037-01-01T00:00:00.000Z"
        await bench.turn(days=30)
        assert (await bench.again(document)).state is State.FORGOTTEN

    run(tmp_path, work)


def receipt_of(bench: Bench, document: Document) -> str:
    """Return the archive's receipt as it lies beside the document."""
    path = folder_of(bench.documents, document.id) / "receipt-archive.json"
    return path.read_text() if path.exists() else ""


def test_two_who_lengthen_at_once_leave_one_receipt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person asks while it was filed just now: row and file are of the same one of them."""

    async def work(bench: Bench) -> None:
        archive = bench.targets["archive"] = Locking(
            "archive", Role.ARCHIVE, tmp_path / "archive", lambda: bench.now
        )
        document = await bench.filed()
        until = NOW.replace(year=2036)
        rules = Rules(about=lambda *_: About(retain_until=until))
        stage = Proving(
            *(bench.documents, bench.spool, bench.targets, lambda: bench.now),
            {"archive": Terms(rules=rules)},
        )
        written, other_done = iter(range(9)), threading.Event()
        real = durable.write_eventually

        def write(path: Path, data: bytes) -> None:
            if next(written):
                real(path, data)
                other_done.set()
            else:
                other_done.wait(0.5)  # the other one overtakes, if it can
                real(path, data)

        monkeypatch.setattr(durable, "write_eventually", write)
        one = asyncio.create_task(stage.prove(document.id))
        await asyncio.sleep(0.05)
        bench.now += timedelta(seconds=1)
        archive.until = "2026-12-01T00:00:00.000Z"
        other = asyncio.create_task(stage.prove(document.id))
        await asyncio.gather(one, other)

        said = json.loads((await bench.spool(Spool.receipts, document.id))["archive"])
        assert json.loads(receipt_of(bench, document))["receipts"] == said
        await bench.turn(days=30)
        assert (await bench.again(document)).state is State.FORGOTTEN

    run(tmp_path, work)
