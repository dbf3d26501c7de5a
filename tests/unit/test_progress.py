"""One line on a terminal, and nothing anywhere else."""

from __future__ import annotations

import io
import os
import pty
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from daemon.formats import Formats
from daemon.progress import Progress


def formats(language: str) -> Formats:
    return Formats(language, "UTC", datetime.now(UTC))


@pytest.mark.parametrize(
    ("language", "line"),
    [("de", "1.234 von 10.000 Dokumenten"), ("en", "1,234 of 10,000 documents")],
)
def test_one_line_that_is_gone_in_the_end(language: str, line: str) -> None:
    """Whatever is printed next begins where the line did, also after an error."""
    ours, theirs = pty.openpty()
    terminal = os.fdopen(theirs, "w")
    with suppress(OSError), Progress(formats(language), terminal) as progress:
        progress("documents", 1234, 10_000)
        progress("documents", 1235, 10_000)  # at once: not worth another line
        raise OSError
    terminal.close()
    shown = os.read(ours, 1000).decode()
    os.close(ours)

    assert shown == f"\r{line}\x1b[K\r\x1b[K"


def test_quiet_elsewhere() -> None:
    """A mail from cron holds what came of it, not how it went on."""
    stream = io.StringIO()

    with Progress(formats("de"), stream) as progress:
        progress("lines", 10)

    assert stream.getvalue() == ""
