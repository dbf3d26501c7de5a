"""kill -9 while the ledger's days are sealed and archived: each is there once, and the chain is whole."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from daemon.records.journal import compare
from daemon.records.reader import open_reader
from daemon.spool import Spool
from tests.crash import archive_once
from tests.exported import DAY, FIRST, Here, run
from tests.values import places

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.system.box import Box

PROJECT = Path(__file__).resolve().parents[2]


def objects(root: Path) -> dict[str, int]:
    """Return what lies in the archive under a name that counts, and which inode each is."""
    folder = root / "archive"
    return {
        str(path.relative_to(folder)): path.stat().st_ino
        for path in folder.glob("ledger-*/*")
        if not path.name.startswith(".")
    }


def details(root: Path, event: str) -> list[dict[str, Any]]:
    reader = open_reader(root / "state" / "spool.db")
    try:
        lines = [json.loads(line) for line in reader.chain()]
    finally:
        reader.close()
    return [line["detail"] for line in lines if line["event"] == event]


def assert_exactly_once(root: Path, days: list[str], before: dict[str, int]) -> None:
    """Assert that each day is sealed once and archived once, as committed, and stays what it was."""
    sealed = {detail["day"]: detail for detail in details(root, "segment-seal")}
    assert [detail["day"] for detail in details(root, "segment-seal")] == days
    assert sorted(d["day"] for d in details(root, "segment-acknowledge")) == days
    found = objects(root)
    assert len(found) == 2 * len(days)
    assert {key: found[key] for key in before} == before
    for key in found:
        day = sealed[Path(key).parent.name[-10:]]
        digest = hashlib.sha256((root / "archive" / key).read_bytes()).hexdigest()
        assert digest == day["sha256" if key.endswith(".jsonl") else "seal_sha256"]
    assert not list((root / "archive").glob("ledger-*/.*"))
    compare(root / "state")


async def two_days(here: Here) -> None:
    for number in range(2):
        here.now = FIRST + number * DAY
        await here.note(3)


def killed(root: Path, calls: str, number: int) -> bool:
    """Run until the *number*th of these calls of a thread is begun, and kill it there."""
    log = root / f"strace.{number}.log"
    done = subprocess.run(
        [
            *("strace", "-f", "-qq", "-o", log, "-e", f"trace={calls}"),
            *("-e", f"inject={calls}:signal=KILL:when={number}"),
            *(sys.executable, "-m", "tests.crash.archive_once", root),
        ],
        cwd=PROJECT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        timeout=120,
        check=False,
    )
    assert done.returncode in {0, -signal.SIGKILL}
    return done.returncode != 0


@pytest.mark.parametrize(
    ("calls", "surely", "last"),
    [
        # The commits: the end of the day, seal, intent and proof of each.
        ("fdatasync", 6, 8),
        # Seals and receipts here.
        ("rename", 4, 5),
        # Names at the archive.
        ("linkat", 4, 5),
    ],
)
def test_a_kill_at_any_system_call_is_made_good_by_the_next_start(
    tmp_path: Path, calls: str, surely: int, last: int
) -> None:
    """Wherever the plug is pulled: no day twice, none missing, no seal that nobody committed."""
    for number in range(1, last + 1):
        root = tmp_path / str(number)
        root.mkdir()
        run(root, two_days)
        if not killed(root, calls, number):
            assert number > surely
            break
        before = objects(root)
        archive_once.main(root)
        assert_exactly_once(root, ["2026-11-23", "2026-11-24"], before)


DAYS = 40


def box_with_days(box: Box) -> list[str]:
    """Give a box that never ran a ledger of many days before today."""
    spool = Spool(places(box.root / "state"), new=True)
    found = []
    now = datetime.now(UTC)
    for back in range(DAYS, 0, -1):
        at = now - timedelta(days=back)
        spool.note("start", {"back": back}, {"person": "Erika"}, at)
        found.append(at.strftime("%Y-%m-%d"))
    spool.close()
    return found


def test_a_service_that_is_killed_in_the_middle_goes_on_where_it_was(
    make_box: Callable[..., Box],
) -> None:
    """The whole service, with a real token; killed between seals and between deliveries."""
    box = make_box()
    days = box_with_days(box)
    before: dict[str, int] = {}
    for reached, ending in ((3, ".p7s"), (12, ".p7s"), (20, ".jsonl")):
        box.start()
        until = time.monotonic() + 60
        while sum(key.endswith(ending) for key in objects(box.root)) < reached:
            assert time.monotonic() < until, box.log()
        box.kill()
        assert {key: objects(box.root)[key] for key in before} == before
        before = objects(box.root)
    box.start()
    box.wait(lambda: len(details(box.root, "segment-acknowledge")) == DAYS, "all days are archived")
    status = box.status()
    assert box.stop() == 0

    assert_exactly_once(box.root, days, before)
    assert status["ledger_sealed"]["date"] == days[-1]
    done = box.command(
        "ledger", "verify", "--certificate", box.token.certificate, box.root / "archive"
    )
    assert done.returncode == 0, done.stdout
    assert "40 segments" in done.stdout
    assert f"Last hash {status['ledger_sealed']['hash']}" in done.stdout
    assert not any(b"Erika" in path.read_bytes() for path in (box.root / "archive").glob("*/*"))
