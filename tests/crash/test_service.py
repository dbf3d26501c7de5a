"""kill -9 of the service, of its workers, at moments seen from outside. No hook in our code."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daemon.document import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.system.box import Box


def exactly_once(box: Box, sources: list[Path]) -> None:
    """Assert that every source was filed, in both targets, exactly once."""
    documents = box.documents()
    assert [d.state for d in documents] == [State.FILED] * len(sources)
    wanted = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in sources)
    assert sorted(str(d.digest) for d in documents) == wanted
    ids = {d.id for d in documents}
    for target in ("dms", "archive"):
        # Over midnight a day of the ledger comes into the archive, too.
        there = {path.name for path in (box.root / target).iterdir()}
        assert {name for name in there if not name.startswith("ledger-")} == ids
    for document in documents:
        events = [line for line in box.reader().lines(document.id) if '"event":"seal"' in line]
        assert len(events) == 1
        sealed = box.root / "dms" / document.id / "sealed.pdf"
        assert hashlib.sha256(sealed.read_bytes()).hexdigest() == str(document.sealed)
    assert box.command("ledger", "verify").returncode == 0


def further(box: Box, reached: int) -> bool:
    """Return whether the ledger has that many lines."""
    return box.reader().head().seq >= reached


@pytest.mark.parametrize("kills", [1, 4])
def test_kills_in_the_middle_file_every_document_exactly_once(
    make_box: Callable[..., Box], drawn: dict[str, Path], kills: int
) -> None:
    """The service is killed while documents are on their way, and started again."""
    box = make_box().start()
    sources = list(drawn.values())
    for source in sources:
        box.drop(source)
    for number in range(kills):
        reached = (number + 1) * 3
        box.wait(partial(further, box, reached), "some lines further")
        box.kill()
        box.start()
    box.wait(box.at_rest(len(sources)), "all filed")

    exactly_once(box, sources)


def _output_of(box: Box, document_id: str) -> bool:
    """Return whether a page worker is writing for that document: seen in work/out."""
    return any(
        path.name.startswith(document_id) for path in (box.root / "state/work/out").iterdir()
    )


def _page_worker(box: Box, document_id: str) -> int | None:
    """Return the pid of the process that has the document's output open."""
    assert box.process is not None
    found = subprocess.run(
        ["pgrep", "-P", str(box.process.pid), "-f", "daemon.prepare"],
        capture_output=True,
        text=True,
        check=False,
    )
    for pid in found.stdout.split():
        try:
            links = [str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue
        if any(document_id in link for link in links):
            return int(pid)
    return None


def _gone(pid: int) -> bool:
    """Return whether there is no such process any more."""
    return not Path(f"/proc/{pid}").exists()


def _hunt(box: Box, digest: str, *, daemon: bool) -> None:
    """Kill the worker, or the daemon, each time the document's output appears: twice."""
    until = time.monotonic() + 60
    kills = 0
    while kills < 2:
        assert time.monotonic() < until, box.log()
        for document in box.documents():
            if str(document.digest) != digest or document.state is not State.CLAIMED:
                continue
            if not _output_of(box, document.id):
                continue
            if daemon:
                box.kill()
                kills += 1
                if kills == 2:
                    box.start()
                    return
                box.start()
            elif (pid := _page_worker(box, document.id)) is not None:
                os.kill(pid, signal.SIGKILL)
                kills += 1
                # Not the same one twice: it is still there for a moment.
                box.wait(partial(_gone, pid), "the worker is gone")
            break


@pytest.mark.parametrize("daemon", [False, True], ids=["worker", "daemon"])
def test_a_document_that_kills_twice_is_refused_and_the_others_are_filed(
    make_box: Callable[..., Box], drawn: dict[str, Path], big_pdf: Path, *, daemon: bool
) -> None:
    """The poison rule: whoever has the poison document is killed from outside, twice."""
    box = make_box().start()
    others = [drawn["brief.pdf"], drawn["foto.jpg"], drawn["fax.tif"]]
    box.drop(big_pdf, "poison.pdf")
    for source in others:
        box.drop(source)
    digest = hashlib.sha256(big_pdf.read_bytes()).hexdigest()

    _hunt(box, digest, daemon=daemon)
    box.wait(box.at_rest(len(others) + 1), "all at rest")

    by_digest = {str(d.digest): d for d in box.documents()}
    poison = by_digest.pop(digest)
    assert (poison.state, poison.code) == (State.REFUSED, "crashed-here")
    assert {d.state for d in by_digest.values()} == {State.FILED}
    (original,) = box.folder(poison).glob("original.*")
    assert original.read_bytes() == big_pdf.read_bytes()
