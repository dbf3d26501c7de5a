"""Starts services, one at a time, without the second that their imports take.

python -m tests.crash.anywhere.preloaded FD

Over the socket FD: a JSON line `{"config": …, "log": …, "watched": …}` in; out, one byte
with the pid and, if watched, the descriptor where the kernel asks; then the exit status.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import struct
import sys

import daemon.service  # noqa: F401 - what the commands import when they run
from daemon.__main__ import main as scanseal
from tests.crash.anywhere.calls import ask_from_now_on

STARTED = struct.Struct("=i")
PARENT_DEATH_SIGNAL = 1


def _serve(connection: socket.socket, config: str, log: str, *, watched: bool) -> None:
    """Be the service; never returns."""
    code = 1
    try:
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
        os.setsid()
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        for target, source in ((0, null), (1, output), (2, output)):
            os.dup2(source, target)
        os.close(output)
        os.close(null)
        listeners = [ask_from_now_on()] if watched else []
        socket.send_fds(connection, [STARTED.pack(os.getpid())], listeners)
        for fd in (*listeners, connection.fileno()):
            os.close(fd)
        code = scanseal(["run", "--config", config])
    except BaseException:  # noqa: BLE001 - as the interpreter would
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


def main(fd: int) -> None:
    """Start what is asked for until nobody asks."""
    with socket.socket(fileno=fd) as connection:
        while request := connection.recv(1 << 16):
            wanted = json.loads(request)
            child = os.fork()
            if child == 0:
                _serve(connection, **wanted)
            os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
            # Nobody else can have its number until it is buried: what it started ends with it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            connection.sendall(STARTED.pack(os.waitstatus_to_exitcode(status)))


if __name__ == "__main__":
    main(int(sys.argv[1]))
