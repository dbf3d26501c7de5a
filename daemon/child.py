"""The inside of a worker process: limits and walls first, then one request after the other.

    python -I -m MODULE '{"parent": …, "memory_mb": …, "file_mb": …, "sandbox": null | {…}}'

Runs in the worker and imports nothing that is not needed there: whatever the
tasks need is imported by the module that calls `serve`, before anything is
forbidden; what they import later has to be among the libraries of sandbox.py.
It writes nothing but replies; stdout of libraries goes nowhere.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import struct
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from daemon import sandbox
from daemon.errors import PermanentError, Refused, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Task = Callable[[dict[str, Any]], Any]

HEADER = struct.Struct(">I")
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38


def serve(tasks: Mapping[str, Task]) -> None:
    """Answer requests until the main process closes the pipe, then end.

    A task gets the request's argument and returns what json can write. What it
    raises on purpose goes back with its code; anything else is reported by type
    and line, never by message (it may hold content), and ends this process.
    """
    settings = json.loads(sys.argv[1])
    # Opened while it can be: in a sandbox there is no /proc.
    status = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
    _limit(settings)
    taken: dict[str, Any] = {"taken": True}
    if settings["sandbox"] is not None:
        taken |= asdict(sandbox.confine(sandbox.from_json(settings["sandbox"])))
    replies = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    requests = sys.stdin.buffer
    while header := requests.read(HEADER.size):
        request = json.loads(requests.read(HEADER.unpack(header)[0]))
        _reply(replies, taken)
        _limit_cpu(request["cpu_seconds"])
        reply, go_on = _answer(tasks[request["task"]], request["argument"])
        reply["rss_mb"] = _most_memory_mb(status)
        _reply(replies, reply)
        if not go_on:
            sys.exit(70)


def _answer(task: Task, argument: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    try:
        return {"result": task(argument)}, True
    except Refused as exc:
        return {"error": "refused", "code": exc.code, "message": exc.args[0]}, True
    except PermanentError as exc:
        return {"error": "permanent", "code": exc.code, "message": exc.args[0]}, True
    except TransientError as exc:
        return {"error": "transient", "code": exc.code, "message": exc.args[0]}, True
    except BaseException as exc:  # noqa: BLE001 (reported, and the process ends)
        frame = exc.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        where = "?"
        if frame is not None:
            where = f"{os.path.basename(frame.tb_frame.f_code.co_filename)}:{frame.tb_lineno}"  # noqa: PTH119
        return {"error": "bug", "where": f"{type(exc).__name__} at {where}"}, False


def _reply(replies: Any, reply: dict[str, Any]) -> None:
    body = json.dumps(reply).encode()
    replies.write(HEADER.pack(len(body)) + body)
    replies.flush()


def _most_memory_mb(status: int) -> int:
    """Return the most memory this process ever had (VmHWM), from its open *status*.

    Not ru_maxrss: that counts the main process's memory too, whose child this was
    before it began.
    """
    for line in os.pread(status, 16384, 0).splitlines():
        if line.startswith(b"VmHWM:"):
            return int(line.split()[1]) // 1024
    return 0


def _limit(settings: Mapping[str, Any]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in (
        # The main process may be killed while we hang inside a library: then we go too.
        (PR_SET_PDEATHSIG, signal.SIGKILL),
        (PR_SET_DUMPABLE, 0),
        (PR_SET_NO_NEW_PRIVS, 1),
    ):
        if libc.prctl(option, value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), f"prctl {option}")
    if os.getppid() != settings["parent"]:  # it was killed before PR_SET_PDEATHSIG could help
        sys.exit(0)
    # A stop is the main process's to order: it closes the pipe. Systemd and terminals send
    # these to everybody, and would end a login, or a document's task, in the middle.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, settings["memory_mb"] << 20),
        (resource.RLIMIT_FSIZE, settings["file_mb"] << 20),
        (resource.RLIMIT_NOFILE, 64),
    ):
        resource.setrlimit(limit, (value, value))


def _limit_cpu(seconds: float) -> None:
    """Allow *seconds* more of CPU time: RLIMIT_CPU counts from the start of the process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = usage.ru_utime + usage.ru_stime
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used + seconds) + 2, hard))
