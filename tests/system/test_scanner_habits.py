"""Every habit of a scanner that we know, over a real Samba and a real vsftpd.

The intake is another user than the scanner and has CAP_LEASE, as under systemd. All
habits of a server are played at the same time, each in its own hot folder: what has
to come out is the same however busy the machine is.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import pytest

from tests.intake import open_folder
from tests.system.ftp import FtpClient, Vsftpd
from tests.system.habits import GIVE_UP, HABITS, SETTLE, Scene
from tests.system.share import PATIENCE, Intake, Share
from tests.system.smb import Samba, SmbClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.system.habits import Client
    from tests.system.share import Server

SERVERS: Mapping[str, tuple[Callable[[Share], Server], Callable[[int], Client]]] = {
    "smb": (Samba, SmbClient),
    "ftp": (Vsftpd, FtpClient),
}
CASES = [f"{protocol} {habit}" for protocol in SERVERS for habit in HABITS]


@pytest.fixture(scope="module")
def played() -> Iterator[dict[str, Future[None]]]:
    """Begin to play every habit with both servers; return what will become of each."""
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(len(CASES)))
        found = {}
        for protocol, (start, connect) in SERVERS.items():
            share = Share(stack.enter_context(open_folder()))
            names = list(HABITS)
            for name in names:
                share.hot(name)
            server = start(share)
            stack.callback(server.end)
            intake = Intake(share, *names, settle_seconds=SETTLE, give_up_seconds=GIVE_UP)
            stack.callback(intake.end)
            for name, habit in HABITS.items():
                client = connect(server.port)
                stack.callback(client.end)
                found[f"{protocol} {name}"] = pool.submit(habit, Scene(client, intake, name))
        yield found
        # Whoever runs only some of these tests has begun all of them.
        wait(found.values())


@pytest.mark.parametrize("case", CASES)
def test_no_half_file_nothing_lost_nothing_doubled(
    case: str, played: dict[str, Future[None]]
) -> None:
    """What was sent comes out whole and once; the habit itself says what that is."""
    played[case].result(timeout=4 * PATIENCE)
