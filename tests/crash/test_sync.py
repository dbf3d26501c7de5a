"""kill -9 of a process that delivers, from outside, at each place where it matters.

After each kill the work goes on as at a new start, and then each part is at each target
exactly once: the object that was there before the kill is the one that is there afterwards.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daemon.document import Delivery, DeliveryState, Document, State, folder_of
from daemon.records.reader import open_reader
from tests.crash import deliver_once
from tests.frozen import TARGETS, make_frozen

if TYPE_CHECKING:
    from collections.abc import Callable

PROJECT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}


class Box:
    """A state_dir with one frozen document, and two folders that it goes to."""

    def __init__(self, root: Path, scan_bytes: int = 2000) -> None:
        self.root = root
        self.state_dir = root / "state"
        for name in TARGETS:
            (root / name).mkdir(parents=True)
        self.document = make_frozen(self.state_dir, scan_bytes=scan_bytes)

    def start(self, *before: str | Path) -> subprocess.Popen[bytes]:
        """Start a process that delivers; *before* is strace and what it does."""
        return subprocess.Popen(
            [*before, sys.executable, "-m", "tests.crash.deliver_once", self.state_dir],
            cwd=PROJECT,
            env=ENVIRONMENT,
        )

    def start_again(self) -> None:
        """Do what a new process would do: all that it knows is on the disk."""
        asyncio.run(deliver_once.main(self.state_dir))

    def delivery(self, target: str) -> Delivery:
        reader = open_reader(self.state_dir / "spool.db")
        try:
            return reader.delivery(self.document.id, target)
        finally:
            reader.close()

    def now(self) -> Document:
        reader = open_reader(self.state_dir / "spool.db")
        try:
            return reader.document(self.document.id)
        finally:
            reader.close()

    def objects(self) -> dict[str, int]:
        """Return what lies at the targets, hidden names too, and which inode each is."""
        return {
            str(path.relative_to(self.root)): path.stat().st_ino
            for name in TARGETS
            for path in (self.root / name).rglob("*")
            if path.is_file()
        }

    def assert_exactly_once(self, before: dict[str, int]) -> None:
        """Assert that all is delivered, and that what was there *before* is still what is there."""
        objects = self.objects()
        parts = {
            f"{name}/{self.document.id}/{part.file}": part.file
            for name in TARGETS
            for part in self.delivery(name).parts
        }
        own = folder_of(self.state_dir / "documents", self.document.id)
        assert set(objects) == set(parts)
        for path, file in parts.items():
            assert (self.root / path).read_bytes() == (own / file).read_bytes()
        kept = {path: inode for path, inode in before.items() if not is_temporary(path)}
        assert {path: objects[path] for path in kept} == kept
        for name in TARGETS:
            assert self.delivery(name).state is DeliveryState.DELIVERED
            proof = json.loads((own / f"receipt-{name}.json").read_bytes())
            assert [r["key"] for r in proof["receipts"]] == [
                f"{self.document.id}/{part.file}" for part in self.delivery(name).parts
            ]
        assert self.now().state is State.FILED


def is_temporary(path: str) -> bool:
    """Return whether *path* was being written."""
    return Path(path).name.startswith(".")


def poll(happened: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until *happened*, as closely as can be, or fail."""
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, "it did not happen"


LARGE = 20_000_000
"""The next part takes so long that a kill from outside comes in time."""


def test_a_kill_after_a_part_was_stored_sends_it_once(tmp_path: Path) -> None:
    """The target has it, we never heard: the next start asks, and does not send again."""
    box = Box(tmp_path, scan_bytes=LARGE)
    stored = tmp_path / "archive" / box.document.id / "original.pdf"
    with box.start() as process:
        poll(stored.exists)
        process.send_signal(signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL
    before = box.objects()

    assert f"archive/{box.document.id}/original.pdf" in before
    assert f"archive/{box.document.id}/manifest.p7s" not in before
    assert box.delivery("archive").state is DeliveryState.SENDING  # we know that we do not know
    box.start_again()
    box.assert_exactly_once(before)


def test_a_kill_in_the_middle_of_a_part_leaves_nothing_behind(tmp_path: Path) -> None:
    """Half a file never has the part's name, and the next start clears it away."""
    box = Box(tmp_path, scan_bytes=LARGE)

    def half_written() -> bool:
        return any(is_temporary(path) for path in box.objects())

    with box.start() as process:
        poll(half_written)
        process.send_signal(signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL
    before = box.objects()

    assert any(is_temporary(path) for path in before)
    box.start_again()
    box.assert_exactly_once(before)


def killed(box: Box, calls: str, number: int) -> bool:
    """Run until the *number*th of these system calls of a thread is begun, and kill it there.

    Return whether that was reached.
    """
    log = box.root / f"strace.{number}.log"
    with box.start(
        *("strace", "-f", "-qq", "-o", log, "-e", f"trace={calls}"),
        *("-e", f"inject={calls}:signal=KILL:when={number}"),
    ) as process:
        # strace ends as its child did.
        code = process.wait(60)
    assert code in {0, -signal.SIGKILL}
    assert (code != 0) == ("killed by SIGKILL" in log.read_text())
    return code != 0


def test_a_kill_between_the_intent_and_the_first_byte_sends_it_once(tmp_path: Path) -> None:
    """SENDING is committed, nothing was sent: the target says so, and gets it."""
    box = Box(tmp_path)

    assert killed(box, "mkdirat", 1)
    assert box.delivery("archive").state is DeliveryState.SENDING
    assert box.objects() == {}
    box.start_again()
    box.assert_exactly_once({})


@pytest.mark.parametrize(
    ("calls", "first", "surely", "last"),
    [
        # Each folder, file and name at the target. Counted per thread, and there are several.
        ("mkdirat,linkat,unlinkat,fsync", 2, 6, 11),
        # The commits: of the start, of the intent, of the receipt, twice.
        ("fdatasync", 2, 5, 6),
        # The receipts beside the document.
        ("rename", 1, 1, 2),
    ],
    ids=["target", "spool", "receipt"],
)
def test_a_kill_at_any_system_call_is_made_good_by_the_next_start(
    tmp_path: Path, calls: str, first: int, surely: int, last: int
) -> None:
    """Idempotence: wherever the plug is pulled, each part is there once and proven."""
    for number in range(first, last + 1):
        box = Box(tmp_path / str(number))
        if not killed(box, calls, number):
            assert number > surely
            break
        before = box.objects()
        box.start_again()
        box.assert_exactly_once(before)
