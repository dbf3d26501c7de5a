"""What reaches the system journal: one line each, and never a file name (I9)."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

NAME = "Kündigung Müller.pdf"

PROGRAM = """
import asyncio, logging, sys, threading
from daemon import log
log.to_journal()
name = sys.argv[2]

def fail():
    raise FileNotFoundError(2, "No such file or directory", "/srv/scans/post/" + name)

def uncaught():
    fail()

def in_a_thread():
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()

def unraisable():
    class Odd:
        def __del__(self):
            fail()
    Odd()

def in_a_forgotten_task():
    async def lose():
        raise KeyError(name)
    async def main():
        asyncio.get_running_loop().create_task(lose())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    asyncio.run(main())

def logged():
    try:
        fail()
    except OSError:
        logging.getLogger("sealer").exception("stage-failed stage=sealer")

def logged_with_the_wrong_format():
    logging.getLogger("sync").warning("size=%d", name)

def several_lines():
    logging.getLogger("sync").warning("one\\ntwo\\r\\x1b[31mthree\\u2028four")

globals()[sys.argv[1]]()
"""


def journal(what: str) -> tuple[list[str], int]:
    """Return what a program that logs as the service does leaves in the journal."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROGRAM, what, NAME],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={"LANG": "C.UTF-8"},
    )
    assert done.stdout == ""
    return done.stderr.splitlines(), done.returncode


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("uncaught", "FileNotFoundError"),
        ("in_a_thread", "FileNotFoundError"),
        ("unraisable", "FileNotFoundError"),
        ("in_a_forgotten_task", "KeyError"),
        ("logged", "FileNotFoundError"),
    ],
)
def test_an_error_is_told_by_type_and_place_alone(what: str, error: str) -> None:
    """Its message may hold the name of a file, and with it the name of a person."""
    lines, code = journal(what)

    assert len(lines) == 1
    assert lines[0].startswith(("<3>at=", "<2>at="))
    assert f"error={error} where=" in lines[0]
    assert "ller" not in lines[0]
    assert code == (1 if what == "uncaught" else 0)


def test_a_message_is_one_line_whatever_is_in_it() -> None:
    """A line break in it would let a file forge entries of the journal."""
    lines, _ = journal("several_lines")

    assert lines == ["<4>at=sync one two  [31mthree four"]


def test_a_message_that_cannot_be_made_is_not_shown_in_parts() -> None:
    """Python's logging would print what it could not format, and where, in many lines."""
    lines, _ = journal("logged_with_the_wrong_format")

    assert lines == []


def test_an_interrupt_is_no_error() -> None:
    """Ctrl-C before the loop runs: the shell's word for it, and no traceback."""
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            "from daemon import log; log.to_journal(); raise KeyboardInterrupt",
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert "Traceback" not in done.stderr


def test_each_level_has_its_priority() -> None:
    """sd-daemon(3): what journalctl -p filters by."""
    from daemon.log import PRIORITY  # noqa: PLC0415 (the other tests load it in processes)

    assert PRIORITY == {
        logging.DEBUG: 7,
        logging.INFO: 6,
        logging.WARNING: 4,
        logging.ERROR: 3,
        logging.CRITICAL: 2,
    }
