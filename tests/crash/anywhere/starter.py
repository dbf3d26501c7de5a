"""Starts services without the second that their imports take, and ends them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.crash.anywhere.preloaded import STARTED

if TYPE_CHECKING:
    from contrib.demo.token import TokenFiles

PATIENCE: Final = 120.0
"""How long a run may take that normally takes two seconds."""
LOOK_SECONDS: Final = 0.03


class Preloaded:
    """A process that starts services which have their imports behind them."""

    def __init__(self, token: TokenFiles) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.crash.anywhere.preloaded", str(theirs.fileno())],
                cwd=Path(__file__).resolve().parents[3],
                env={**os.environ, "SOFTHSM2_CONF": str(token.softhsm2_conf)},
                pass_fds=[theirs.fileno()],
            )
        self._pidfd = -1

    def start(self, config: Path, log: Path, *, watched: bool) -> int | None:
        """Start a service; return where the kernel asks about its calls, if *watched*."""
        request = {"config": str(config), "log": str(log), "watched": watched}
        self._ours.sendall(json.dumps(request).encode())
        self._ours.settimeout(PATIENCE)
        message, fds, _, _ = socket.recv_fds(self._ours, STARTED.size, 1)
        (pid,) = STARTED.unpack(message)
        self._pidfd = os.pidfd_open(pid)
        return fds[0] if fds else None

    def ended(self) -> int | None:
        """Return how the service has ended (minus the signal), or None while it runs."""
        self._ours.settimeout(LOOK_SECONDS)
        try:
            (status,) = STARTED.unpack(self._ours.recv(STARTED.size))
        except TimeoutError:
            return None
        os.close(self._pidfd)
        self._pidfd = -1
        return int(status)

    def signal(self, number: int) -> None:
        """Send the service a signal; what it has started ends with it."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)

    def kill(self) -> None:
        """Kill the service, at once."""
        self.signal(signal.SIGKILL)

    def abandon(self) -> None:
        """Kill the service if it runs, and wait until it has ended."""
        if self._pidfd >= 0:
            self.kill()
            while self.ended() is None:
                pass

    def close(self) -> None:
        """End with whatever it still runs."""
        self._ours.close()
        self._process.kill()
        self._process.wait()
