"""Commands that take long: one line that is rewritten on a terminal, and nothing elsewhere."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import threading
from typing import TYPE_CHECKING

from tests.system.box import PATIENCE, SCANSEAL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.system.box import Box


def on_a_terminal(box: Box, *arguments: str | Path) -> tuple[int, str, str]:
    """Run a command whose stderr is a terminal; return its end, its stdout and what was shown."""
    ours, theirs = pty.openpty()
    shown = bytearray()

    def read() -> None:
        while True:
            try:
                shown.extend(os.read(ours, 4096))
            except OSError:  # EIO: nobody has the other end any more
                return

    with subprocess.Popen(
        [SCANSEAL, *map(str, arguments), "--config", box.config],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=box.environment,
    ) as process:
        os.close(theirs)
        reading = threading.Thread(target=read)
        reading.start()
        said, _ = process.communicate(timeout=PATIENCE)
        reading.join(PATIENCE)
    os.close(ours)
    return process.returncode, said.decode(), shown.decode()


def test_long_commands_show_how_far_they_are_on_a_terminal_only(
    make_box: Callable[..., Box], drawn: dict[str, Path], tmp_path: Path
) -> None:
    """The line is gone in the end, and what came of it stands in its place."""
    box = make_box().start()
    box.drop(drawn["brief.pdf"])
    box.wait(box.at_rest(1), "filed")
    assert box.stop() == 0
    place = tmp_path / "backups"
    place.mkdir()
    state = box.root / "state"
    line: dict[tuple[str | Path, ...], str] = {
        ("ledger", "verify"): r"\d+ von \d+ Zeilen|\d+ Zeilen",
        ("verify", "--all"): r"1 Dokumente",
        ("backup", place): r"\d+ Zeilen",
    }
    for arguments, pattern in line.items():
        code, said, shown = on_a_terminal(box, *arguments)
        assert code == 0
        assert said
        assert re.search(rf"\r({pattern})\x1b\[K", shown), (arguments, shown)
        assert "\r\x1b[K" in shown
        assert box.command(*arguments).stderr.count("\r") == 0
    first, *_ = sorted(place.iterdir())

    for path in state.glob("spool.db*"):
        path.unlink()
    code, _, shown = on_a_terminal(box, "rebuild")
    assert code == 0
    assert re.search(r"\r\d+ Zeilen\x1b\[K\r\x1b\[K$", shown), shown

    state.rename(tmp_path / "lost")
    code, said, shown = on_a_terminal(box, "restore", "--from", first)
    assert code == 0, said
    assert re.search(r"\r\d+ (Zeilen|Dateien)\x1b\[K", shown), shown
    assert shown.endswith("\r\x1b[K")
