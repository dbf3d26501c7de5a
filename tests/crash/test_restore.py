"""kill -9 while a box is made again: the service does not begin beside half of it, a second run ends it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.errors import CorruptionError
from daemon.records.journal import compare
from daemon.spool import Spool
from tests.crash import restore_once
from tests.unit.test_cms import token_for
from tests.unit.test_restore import SCHEME, scan, two_days

PROJECT = Path(__file__).resolve().parents[2]


def killed(root: Path, calls: str, number: int) -> bool:
    """Run until the *number*th of these calls is begun, and kill it there."""
    done = subprocess.run(
        [
            *("strace", "-qq", "-o", root / "strace.log", "-e", f"trace={calls}"),
            *("-e", f"inject={calls}:signal=KILL:when={number}"),
            *(sys.executable, "-m", "tests.crash.restore_once", root),
        ],
        cwd=PROJECT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        timeout=120,
        check=False,
    )
    assert done.returncode in {0, -signal.SIGKILL}
    return done.returncode != 0


def claim(spool: Spool) -> None:
    scan(spool, 1)


@pytest.mark.parametrize(("calls", "surely", "last"), [("rename", 6, 20), ("rmdir", 1, 20)])
def test_a_kill_at_any_point_leaves_nothing_that_begins(
    tmp_path: Path, calls: str, surely: int, last: int
) -> None:
    """Whole or refused by name: a new, empty box would seal what the old one had sealed."""
    made = tmp_path / "made"
    two_days(made, claim)
    for number in range(1, last + 1):
        root = tmp_path / str(number)
        root.mkdir()
        shutil.copytree(made / "archive", root / "archive")
        (root / "new").mkdir()
        (root / "seal.der").write_bytes(token_for(SCHEME).template.certificate)
        if not killed(root, calls, number):
            assert number > surely
            break
        state = root / "new"
        if (state / "restoring").exists():
            with pytest.raises(CorruptionError) as caught:
                Spool(state, new=True)
            assert caught.value.code == "restore-unfinished"
            restore_once.main(root)
        Spool(state).close()
        assert compare(state).seq > 3
        assert not (state / "restoring").exists()
    else:
        raise AssertionError("never came to its end")
