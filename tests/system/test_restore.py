"""The drill: a box is lost with its disk, made again on a new one, and goes on."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from daemon.document import DeliveryState, Digest, Document, State, folder_of, new_id
from daemon.records.journal import DAY_END
from daemon.spool import Spool
from tests.values import arrival

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.system.box import Box


def waiting_for_somebody(spool: Spool) -> Document:
    """Have a scan claimed that waits for somebody; its original lies in its folder."""
    now = datetime.now(UTC)
    data = b"%PDF-1.7 waits"
    came = replace(
        arrival(size=len(data)),
        id=new_id(now),
        digest=Digest.of(data),
        claimed_at=now,
        mtime_ns=int(now.timestamp()) * 10**9,
    )
    folder = folder_of(spool.documents, came.id)
    folder.mkdir(parents=True)
    (folder / "original.pdf").write_bytes(data)
    return spool.let_wait(spool.claim(came, now), "operator", now)


def end_day(state: Path) -> None:
    """Close today's file of the ledger, so that it is sealed and archived."""
    with closing(Spool(state)) as spool:
        spool.note(DAY_END, {"day": "today"}, None, datetime.now(UTC))
        spool.export_ledger()


def archived(box: Box) -> Callable[[], bool]:
    """Return a question: has the archive proven the day? It stands in the ledger."""

    def ask() -> bool:
        with closing(box.reader()) as reader:
            lines = [json.loads(line)["event"] for line in reader.chain()]
        return "segment-acknowledge" in lines

    return ask


def half_way(box: Box, number: int) -> Callable[[], bool]:
    """Return a question: has the archive proven so many documents? They are counted."""

    def ask() -> bool:
        with closing(box.reader()) as reader:
            counts = reader.counts().get("delivery:archive", {})
        return counts.get(DeliveryState.DELIVERED, 0) == number

    return ask


def stored(root: Path) -> dict[str, tuple[int, int]]:
    """Return every file of a target, and which inode it is since when."""
    found = {str(path.relative_to(root)): path.stat() for path in root.rglob("*.*")}
    return {name: (facts.st_ino, facts.st_mtime_ns) for name, facts in found.items()}


@pytest.mark.parametrize("source", ["archive", "backup"])
def test_a_lost_box_is_made_again_and_everything_is_filed_once(  # noqa: PLR0915 (one drill)
    make_box: Callable[..., Box], drawn: dict[str, Path], tmp_path: Path, source: str
) -> None:
    """Filed, refused, held, waiting, on its way; and one that came after all that was saved."""
    box = make_box().start()
    box.drop(drawn["brief.pdf"], "filed.pdf")
    (box.root / "hot" / "empty.pdf").write_bytes(b"")
    box.wait(box.at_rest(2), "filed and refused")
    filed, refused = sorted(box.documents(), key=lambda one: one.state)
    dms, away = box.root / "dms", box.root / "away"
    dms.rename(away)
    for name in ("foto.jpg", "fax.tif"):
        box.drop(drawn[name])
    box.wait(half_way(box, 3), "the archive has three")
    assert box.stop() == 0
    sent = [one for one in box.documents() if one.state is State.FROZEN]
    state = box.root / "state"
    with closing(Spool(state)) as spool:
        held = spool.set_aside(sent[0], "own-copy-damaged", "", datetime.now(UTC))
        waiting = waiting_for_somebody(spool)
        box_id = spool.box_id()
    end_day(state)
    box.start()
    box.wait(archived(box), "the day is archived")
    place = tmp_path / "backups"
    place.mkdir()
    if source == "backup":
        done = box.command("backup", place)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Dateisystem" in done.stderr
        (place,) = place.iterdir()
    else:
        place = box.root / "archive"
    box.drop(drawn["brief.pdf"], "later.pdf")
    box.wait(half_way(box, 4), "the archive has a later one")
    (later,) = {one.id for one in box.documents()} - {
        *(filed.id, refused.id, sent[0].id, sent[1].id, waiting.id)
    }
    there = box.command("restore", "--from", place)
    assert (there.returncode, there.stderr.split(":")[0]) == (1, "already-running")
    box.kill()
    there = box.command("restore", "--from", place)
    assert (there.returncode, there.stderr.split(":")[0]) == (1, "restore-not-empty")
    before = stored(box.root / "archive")
    state.rename(tmp_path / "lost")
    away.rename(dms)

    done = box.command("restore", "--from", place)

    assert done.returncode == 1, done.stdout + done.stderr
    assert not done.stderr
    assert later in done.stdout
    assert filed.id not in done.stdout
    assert (waiting.id in done.stdout) == (source == "archive")
    box.start()
    told = {one.id: one for one in box.documents()}
    assert told[held.id].state is State.HELD
    box.wait(lambda: not box.command("release", held.id).returncode, "released")
    box.wait(lambda: sum(one.state is State.FILED for one in box.documents()) == 3, "all are filed")
    told = {one.id: one for one in box.documents()}
    expected = {one.id: State.FILED for one in (filed, *sent)} | {refused.id: State.REFUSED}
    expected[waiting.id] = State.WAITING if source == "backup" else State.REFUSED
    assert {key: one.state for key, one in told.items()} == expected
    assert told[waiting.id].code == ("operator" if source == "backup" else "original-lost")
    assert {path.name for path in dms.iterdir()} == {one.id for one in (filed, *sent)}
    assert "original-unreadable" not in box.alarms()
    after = stored(box.root / "archive")
    assert {name: after[name] for name in before} == before
    assert box.command("verify", "--all").returncode == 0
    with closing(box.reader()) as reader:
        assert reader.box_id() == box_id
    assert box.stop() == 0
    end_day(state)
    box.start()
    box.wait(lambda: len(list((box.root / "archive").glob("ledger-*/*.p7s"))) == 2, "next day")
    assert "ledger-not-archived" not in box.alarms()
    assert box.stop() == 0
    assert box.command("ledger", "verify").returncode == 0
    audit = box.command(
        "ledger", "verify", "--certificate", box.token.certificate, box.root / "archive"
    )
    assert audit.returncode == 0, audit.stdout
