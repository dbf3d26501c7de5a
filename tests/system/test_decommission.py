"""A box is taken out of service: the real commands, a real token, and a terminal."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from contrib.demo import token
from daemon.document import State
from daemon.records.journal import verify_files
from tests.system.box import PATIENCE, SCANSEAL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.system.box import Box


def typed(box: Box, text: str, *arguments: str | Path) -> tuple[int, str]:
    """Run a command on a terminal on which somebody types *text*; return its end and its words."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [SCANSEAL, "decommission", "--config", box.config, *arguments],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=box.environment,
    ) as process:
        os.close(theirs)
        os.write(ours, text.encode() + b"\n")
        said, _ = process.communicate(timeout=PATIENCE)
        os.close(ours)
    return process.returncode, said.decode()


def keys(box: Box) -> list[str]:
    """Return the labels of the public keys that the token shows."""
    found = json.loads(box.command("hsm", "list", "--json").stdout)["tokens"]
    (mine,) = [one for one in found if one["configured"]]
    return [key["label"] for key in mine["keys"]]


def serial_of(box: Box) -> str:
    found = json.loads(box.command("hsm", "list", "--json").stdout)["tokens"]
    (mine,) = [one for one in found if one["configured"]]
    return str(mine["serial"])


def test_a_box_is_taken_out_of_service(
    make_box: Callable[..., Box], drawn: dict[str, Path], tmp_path: Path
) -> None:
    """Refused while it runs and while anything is here; then ledger out, key destroyed, all gone."""
    own = token.make_token(tmp_path / "own", pin=token.random_pin())
    box = make_box(token=own).start()
    box.drop(drawn["brief.pdf"])
    box.wait(box.at_rest(1), "filed")
    out = tmp_path / "out"
    running = box.command("decommission", out)
    assert (running.returncode, running.stderr.split(":")[0]) == (1, "already-running")
    assert box.stop() == 0
    kept = box.command("decommission", out)
    assert (kept.returncode, kept.stderr.splitlines()[0]) == (1, "decommission-kept: filed: 1")

    box.config.write_text(
        box.config.read_text().replace("[profile.post]\n", "[profile.post]\nkeep_local_days = 0\n")
    )
    box.start()
    box.wait(lambda: box.documents()[0].state is State.FORGOTTEN, "forgotten")
    assert box.stop() == 0
    (document,) = box.documents()
    scripted = box.command("decommission", out, "--destroy-key", own.key)
    assert (scripted.returncode, scripted.stderr.split(":")[0]) == (1, "no-terminal")
    assert not out.exists()
    code, said = typed(box, "4711", out, "--destroy-key", own.key)
    assert code == 1, said
    assert "serial-wrong" in said
    assert keys(box) == [own.key]
    assert box.documents() == [document]

    end = tmp_path / "end"
    code, said = typed(box, serial_of(box), end, "--destroy-key", own.key)
    assert code == 0, said
    assert keys(box) == []
    assert list((box.root / "state").iterdir()) == []
    lines = [
        json.loads(line)
        for path in sorted(end.glob("*[0-9].jsonl"))
        for line in path.read_text().splitlines()
    ]
    assert verify_files(end).seq == lines[-1]["seq"]
    events = [line["event"] for line in lines]
    assert events[-1] == "key-destroyed"
    assert events.index("decommission") < len(events) - 2  # and the login between them
    assert lines[-1]["detail"]["key"] == own.key
    assert f"{lines[-1]['seq']} " in said
    assert (box.root / "archive" / document.id / "sealed.pdf").exists()


def test_a_wipe_that_was_ended_is_gone_on_with(
    make_box: Callable[..., Box], drawn: dict[str, Path], tmp_path: Path
) -> None:
    """The marker says that the ledger is out: half a spool keeps nobody from finishing."""
    box = make_box().start()
    assert box.stop() == 0
    state = box.root / "state"
    (state / "decommissioned").touch()
    (state / "spool.db").unlink()

    done = box.command("decommission", tmp_path / "out")

    assert done.returncode == 0, done.stderr
    assert list(state.iterdir()) == []
    again = box.command("decommission", tmp_path / "out")
    assert (again.returncode, again.stderr.split(":")[0]) == (1, "decommission-nothing")
    assert drawn


@pytest.mark.parametrize("left", ["documents", "spool.db", "ledger"])
def test_a_kill_in_the_middle_of_the_wipe_keeps_everybody_else_out(
    make_box: Callable[..., Box], drawn: dict[str, Path], tmp_path: Path, left: str
) -> None:
    """Killed where it removes *left*: no service takes in what the next run would wipe unseen."""
    box = make_box().start()
    assert box.stop() == 0
    state = box.root / "state"
    killed = subprocess.run(
        [
            sys.executable,
            "-c",
            KILLED,
            left,
            "decommission",
            "--config",
            box.config,
            tmp_path / "o",
        ],
        env=box.environment,
        check=False,
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (state / "decommissioned").exists()
    box.drop(drawn["brief.pdf"])

    for command in ("run", "rebuild"):
        refused = box.command(command)
        assert (refused.returncode, refused.stderr.split(":")[0]) == (1, "being-wiped")

    done = box.command("decommission", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert list(state.iterdir()) == []
    assert (box.root / "hot" / "brief.pdf").exists()
    box.start()
    box.wait(box.at_rest(1), "a new box")


KILLED = """
import os, signal, sys
from pathlib import Path
from daemon import decommission
from daemon.__main__ import main
left = sys.argv.pop(1)
remove, rmdir = decommission._remove, Path.rmdir
def removing(paths):
    remove(path for path in paths if path.name != left or end())
def removing_folder(path):
    rmdir(path)
    path.name == left and end()
def end():
    os.kill(os.getpid(), signal.SIGKILL)
decommission._remove, Path.rmdir = removing, removing_folder
sys.exit(main())
"""
