"""What the service says about the walls of its page workers, on this kernel and on poorer ones."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daemon.document import State
from tests import old_kernel
from tests.system.box import PATIENCE, SCANSEAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.system.box import Box

CODE = "sandbox-missing"


def without(lacks: str) -> list[str]:
    """Return what runs a command as on a kernel that lacks something."""
    return [sys.executable, "-I", old_kernel.__file__, lacks]


def start_without(box: Box, lacks: str) -> None:
    """Start the service on such a kernel."""
    with (box.root / "log").open("ab") as log:
        box.process = subprocess.Popen(
            [*without(lacks), str(SCANSEAL), "run", "--config", str(box.config)],
            stdout=log,
            stderr=log,
            env=box.environment,
            start_new_session=True,
        )
    box.wait(box.answers, "the service answers")


@pytest.mark.parametrize("lacks", ["landlock", "seccomp"])
def test_a_kernel_without_walls_is_an_alarm_and_scans_are_sealed(
    make_box: Callable[..., Box], drawn: dict[str, Path], lacks: str
) -> None:
    """Before the first scan, and after it: not silence, and not a box that stands still."""
    box = make_box()
    start_without(box, lacks)

    box.wait(lambda: CODE in box.alarms(), "the alarm is raised before there was a scan")
    box.drop(drawn["brief.pdf"])
    box.wait(box.at_rest(1), "the scan is filed")

    assert [document.state for document in box.documents()] == [State.FILED]
    (alarm,) = [alarm for alarm in box.status()["alarms"] if alarm["code"] == CODE]
    assert (alarm["instance"], alarm["detail"]) == ("", lacks)
    checked = subprocess.run(
        [*without(lacks), str(SCANSEAL), "check", "--config", str(box.config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert checked.returncode == os.EX_CONFIG
    (line,) = [line for line in checked.stdout.splitlines() if "sandbox" in line]
    assert line.endswith(f": {lacks}")
    assert box.stop() == 0


def test_this_kernel_has_them(make_box: Callable[..., Box], drawn: dict[str, Path]) -> None:
    """No alarm, `scanseal check` says what there is, and the worker that sealed was confined."""
    box = make_box().start()
    box.drop(drawn["foto.jpg"])
    box.wait(box.at_rest(1), "the scan is filed")

    assert CODE not in box.alarms()
    assert "Landlock" in next(
        line for line in box.command("check").stdout.splitlines() if "sandbox" in line
    )
    confined = [
        path.parent.name
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if str(box.root / "state") in (text := path.read_bytes().decode(errors="replace"))
        and "daemon.prepare" in text
    ]
    assert confined
    for pid in confined:
        assert "Seccomp:\t2" in Path(f"/proc/{pid}/status").read_text(encoding="ascii")


def test_verify_confines_what_looks_at_the_file(
    make_box: Callable[..., Box], drawn: dict[str, Path], tmp_path: Path
) -> None:
    """It may come from anywhere, and it is looked at as whoever calls: root, maybe (I10)."""
    box = make_box()
    trace = tmp_path / "trace"
    watched = ["strace", "-f", "-qq", "-o", str(trace), "-e", "trace=landlock_restrict_self,prctl"]
    files = [drawn["brief.pdf"], tmp_path / "missing", tmp_path]

    done = subprocess.run(
        [*watched, str(SCANSEAL), "verify", *map(str, files), "--trust", str(box.token.chain)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )

    said = trace.read_text(encoding="ascii", errors="replace")
    assert said.count("landlock_restrict_self(") == 1
    assert re.search(r"landlock_restrict_self\(.*\) += 0", said)
    assert re.search(r"prctl\(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, .*\) += 0", said)
    assert done.returncode == 1
    assert "brief.pdf:" in done.stdout
    assert done.stdout.count("cannot be read") == 2, done.stdout
