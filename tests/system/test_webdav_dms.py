"""The whole box with a WebDAV server as its DMS and immutable files as its archive."""

from __future__ import annotations

import os
import signal
import subprocess
from functools import partial
from typing import TYPE_CHECKING

import pytest

from daemon.document import Digest, State
from tests.contract.davservers import Apache, Wsgidav
from tests.contract.unruly import PASS, Asked, Trick, Unruly

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.contract.davservers import DavServer
    from tests.system.box import Box


def delivered_to(box: Box, url: str) -> None:
    """Configure the server as the DMS of *box*, and its archive as one that cannot be changed."""
    text = box.config.read_text()
    dms = f'kind = "folder"\nrole = "dms"\npath = "{box.root}/dms"\n'
    archive = f'role = "archive"\npath = "{box.root}/archive"\n'
    assert dms in text
    assert archive in text
    text = text.replace(dms, f'kind = "webdav"\nrole = "dms"\nurl = "{url}"\n')
    box.config.write_text(text.replace(archive, archive + "immutable = true\n"))


@pytest.mark.parametrize("kind", [Wsgidav, Apache])
@pytest.mark.parametrize("method", ["PUT", "MOVE"])
def test_a_scan_reaches_the_server_once_though_the_service_is_killed_while_it_is_stored(
    make_box: Callable[..., Box], drawn: dict[str, Path], kind: type[DavServer], method: str
) -> None:
    """Killed when half of it was sent, or when it just got its name: one whole file, nothing beside it."""
    box = make_box()
    kills = [True]

    def rule(asked: Asked) -> Trick:
        if asked.method == method and "/.scanseal-" not in asked.path and kills:
            kills.clear()
            assert box.process is not None
            kill = partial(os.killpg, box.process.pid, signal.SIGKILL)
            return Trick(cut_request=1000, then=kill) if method == "PUT" else Trick(then=kill)
        return PASS

    try:
        with kind() as server, Unruly(server.url, rule) as proxy:
            delivered_to(box, proxy.url)
            box.start()
            box.drop(drawn["brief.pdf"])
            assert box.process is not None
            assert box.process.wait(60) == -signal.SIGKILL
            box.start()
            box.wait(box.at_rest(1), "filed")
            (document,) = box.documents()

            assert document.state is State.FILED, box.log()
            assert server.files() - {one for one in server.files() if "/.davfs.tmp" in one} == {
                f"{document.id}/sealed.pdf"
            }
            held = (server.root / document.id / "sealed.pdf").read_bytes()
            archived = box.root / "archive" / document.id
            assert Digest.of(held) == Digest.of((archived / "sealed.pdf").read_bytes())
            lines = subprocess.run(["lsattr", archived], check=True, capture_output=True, text=True)
            flags = {line.split()[1]: line.split()[0] for line in lines.stdout.splitlines()}
            assert len(flags) == 5
            assert all("i" in one for one in flags.values())
    finally:
        subprocess.run(["chattr", "-R", "-i", box.root / "archive"], check=True)
