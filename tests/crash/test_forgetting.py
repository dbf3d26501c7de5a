"""kill -9 of a process that forgets, at each system call that touches the disk (I2, I5).

At each of them the document lies here whole, or it is committed that it does not have to.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.document import State, folder_of
from daemon.ledger import verify
from daemon.records.journal import compare
from daemon.records.reader import open_reader
from tests.crash import deliver_once, forget_once
from tests.frozen import TARGETS, make_frozen

PROJECT = Path(__file__).resolve().parents[2]
LOCAL = {"original.pdf", "sealed.pdf"}


class Box:
    """A state_dir with one filed document, and the two folders that have proven it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state_dir = root / "state"
        for name in TARGETS:
            (root / name).mkdir(parents=True)
        self.id = make_frozen(self.state_dir).id
        asyncio.run(deliver_once.main(self.state_dir))
        self.folder = folder_of(self.state_dir / "documents", self.id)
        self.whole = {path.name: path.read_bytes() for path in self.folder.iterdir()}
        assert self.seen() == (State.FILED, [])

    def seen(self) -> tuple[State, list[str]]:
        """Return the document's state, and the events of its end."""
        reader = open_reader(self.state_dir / "spool.db")
        try:
            events = [json.loads(line)["event"] for line in reader.lines(self.id)]
            verify(reader.chain())
            return reader.document(self.id).state, [one for one in events if one == "forget"]
        finally:
            reader.close()

    def killed(self, calls: str, number: int) -> bool:
        """Run until the *number*th of these calls of a thread begins, and kill it there."""
        log = self.root / f"strace.{number}.log"
        command = ["strace", "-f", "-qq", "-o", str(log), "-e", f"trace={calls}"]
        command += ["-e", f"inject={calls}:signal=KILL:when={number}", sys.executable]
        code = subprocess.run(
            [*command, "-m", "tests.crash.forget_once", str(self.state_dir)],
            cwd=PROJECT,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            timeout=60,
            check=False,
        ).returncode
        assert code in {0, -signal.SIGKILL}
        return code != 0


@pytest.mark.parametrize(
    ("calls", "every", "surely"),
    [
        # The two files, in their order; then the folder, and the ledger's files before it.
        ("unlink", 1, 2),
        ("fsync", 1, 2),
        # The commits: of the start, of FORGOTTEN, of the end, of the stop.
        ("fdatasync", 1, 4),
        # What SQLite writes, page by page; between two commits one place is like another.
        ("pwrite64", 5, 6),
    ],
)
def test_a_kill_at_any_system_call_loses_nothing_that_is_not_forgotten(
    tmp_path: Path, calls: str, every: int, surely: int
) -> None:
    """Idempotence: the next start forgets it, once, or finishes what was begun."""
    reached = 0
    for number in range(1, 60, every):
        box = Box(tmp_path / str(number))
        if not box.killed(calls, number):
            break
        reached = number
        state, forgotten = box.seen()
        here = {path.name: path.read_bytes() for path in box.folder.iterdir()}
        assert forgotten == (["forget"] if state is State.FORGOTTEN else [])
        assert here.keys() >= box.whole.keys() - (LOCAL if forgotten else set())
        assert here.items() <= box.whole.items()

        asyncio.run(forget_once.main(box.state_dir))
        assert box.seen() == (State.FORGOTTEN, ["forget"])
        assert {path.name for path in box.folder.iterdir()} == box.whole.keys() - LOCAL
        compare(box.state_dir)
    assert reached >= surely
