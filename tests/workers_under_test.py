"""Tasks of a worker that the tests of workers.py start: well behaved, broken and hostile ones.

Run as a file, `python -I workers_under_test.py LIMITS`, as the product's own are run as modules.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

from daemon.child import HEADER, serve
from daemon.errors import PermanentError, Refused, TransientError

PR_GET_DUMPABLE = 3
PR_SET_DUMPABLE = 4
PR_GET_NO_NEW_PRIVS = 39
SECRET = "Kündigung Müller"

hoard: list[bytearray] = []


def echo(argument: dict[str, Any]) -> dict[str, Any]:
    return {**argument, "pid": os.getpid()}


def refuse(argument: dict[str, Any]) -> None:
    kinds = {"refused": Refused, "permanent": PermanentError, "transient": TransientError}
    raise kinds[argument["kind"]](argument["code"], argument["message"])


def bug(_: dict[str, Any]) -> None:
    raise ValueError(SECRET)


def not_json(_: dict[str, Any]) -> Any:
    return {1, 2, 3}


def sleep(argument: dict[str, Any]) -> None:
    _here(argument)
    time.sleep(600)


def leave_a_child(argument: dict[str, Any]) -> None:
    """Have a child that holds the pipes; then hang."""
    if (pid := os.fork()) == 0:
        time.sleep(600)
        os._exit(0)
    Path(argument["here"]).write_text(str(pid), encoding="ascii")
    time.sleep(600)


def hang_in_c(argument: dict[str, Any]) -> None:
    """Sleep inside of a library that does not release the GIL: no Python code runs meanwhile."""
    _here(argument)
    ctypes.PyDLL(None).sleep(600)


def spin(_: dict[str, Any]) -> None:
    while True:
        pass


def wait(argument: dict[str, Any]) -> None:
    time.sleep(argument["seconds"])


def write_for_ever(argument: dict[str, Any]) -> dict[str, Any]:
    try:
        with open(argument["path"], "wb", buffering=0) as file:  # noqa: PTH123 (no buffer wanted)
            while True:
                file.write(b"x" * 65536)
    except OSError as exc:
        return {"errno": exc.errno}


def end(argument: dict[str, Any]) -> None:
    os.kill(os.getpid(), argument["signal"])


def leave(_: dict[str, Any]) -> None:
    os._exit(3)


def hoard_memory(argument: dict[str, Any]) -> dict[str, Any]:
    size = argument["mb"] << 20
    hoard.append(bytearray(size))
    hoard[-1][:: resource.getpagesize()] = b"x" * len(hoard[-1][:: resource.getpagesize()])
    return {"pid": os.getpid()}


def write_file(argument: dict[str, Any]) -> dict[str, Any]:
    try:
        with open(argument["path"], "wb", buffering=0) as file:  # noqa: PTH123 (no buffer wanted)
            file.write(b"x" * (argument["mb"] << 20))
            file.write(b"x")
    except OSError as exc:
        return {"errno": exc.errno}
    return {"errno": 0}


def noise(_: dict[str, Any]) -> str:
    print(SECRET, flush=True)
    print(SECRET, file=sys.stderr, flush=True)
    os.write(1, b"\x00\x00\x00\x02{}")
    os.write(2, SECRET.encode())
    ctypes.CDLL(None).puts(SECRET.encode())
    return "quiet"


def signals_ignored(argument: dict[str, Any]) -> str:
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(os.getpid(), number)
    return str(argument["answer"])


def state(_: dict[str, Any]) -> dict[str, Any]:
    libc = ctypes.CDLL(None)
    facts: dict[str, Any] = {
        "dumpable": libc.prctl(PR_GET_DUMPABLE, 0, 0, 0, 0),
        "no_new_privs": libc.prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "memory": resource.getrlimit(resource.RLIMIT_AS),
        "file": resource.getrlimit(resource.RLIMIT_FSIZE),
        "files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "cwd": str(Path.cwd()),
        "flags": [sys.flags.isolated, sys.flags.no_user_site],
        "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd")),  # noqa: PTH208
    }
    before = os.umask(0)
    os.umask(before)
    facts["umask"] = before
    # Not dumpable, so /proc/self is root's: to read the environment it has to be so for a moment.
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
    facts["environment"] = Path("/proc/self/environ").read_bytes().decode().split("\0")
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    return facts


def cpu_left(_: dict[str, Any]) -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return resource.getrlimit(resource.RLIMIT_CPU)[0] - usage.ru_utime - usage.ru_stime


def lie(argument: dict[str, Any]) -> None:
    """Write raw bytes where the reply goes; then hang, or end."""
    for fd in _replies():
        os.write(fd, bytes.fromhex(argument["raw"]))
    if argument["then"] == "hang":
        time.sleep(600)
    os._exit(0)


def answer_twice(argument: dict[str, Any]) -> dict[str, Any]:
    """Answer this task, and once more when nobody has asked."""
    (fd,) = _replies()
    for text in (json.dumps({"result": "mine"}), argument["more"]):
        body = text.encode()
        os.write(fd, HEADER.pack(len(body)) + body)
    time.sleep(600)
    return {}


def large(argument: dict[str, Any]) -> str:
    return str("x" * argument["bytes"])


def deaf(argument: dict[str, Any]) -> None:
    """Close the pipe on which the reply is awaited, and live on."""
    _here(argument)
    for fd in _replies():
        os.close(fd)
    time.sleep(600)


def _replies() -> list[int]:
    """Return the descriptor that replies are written to: the one pipe besides stdin."""
    return [
        fd
        for fd in range(3, 64)
        if Path(f"/proc/self/fd/{fd}").is_symlink()
        and str(Path(f"/proc/self/fd/{fd}").readlink()).startswith("pipe:")
    ]


def _here(argument: dict[str, Any]) -> None:
    """Say that the task is under way, and where."""
    if "here" in argument:
        Path(argument["here"]).write_text(str(os.getpid()), encoding="ascii")


if __name__ == "__main__":
    if (broken := Path("broken")).exists():
        sys.exit(int(broken.read_text(encoding="ascii")))
    serve(
        {
            task.__name__: task
            for task in (
                echo,
                refuse,
                bug,
                not_json,
                sleep,
                leave_a_child,
                hang_in_c,
                spin,
                wait,
                write_for_ever,
                end,
                leave,
                hoard_memory,
                write_file,
                noise,
                signals_ignored,
                state,
                cpu_left,
                lie,
                answer_twice,
                large,
                deaf,
            )
        }
    )
