"""The socket through which commands reach the running service.

One JSON object per line and connection, one JSON object back:

    {"command": "release", "arguments": {"id": "..."}}
    {"ok": true, "result": {...}}   or   {"ok": false, "code": "...", "message": "..."}

The file's mode says who may connect (0660, group scanseal-admin); the kernel
says who did: the caller's uid goes into the ledger as personal detail.
"""

from __future__ import annotations

import asyncio
import contextlib
import grp
import json
import os
import pwd
import socket
import struct
from typing import TYPE_CHECKING, Any, Final

from daemon.errors import CorruptionError, DaemonError, PersonNeeded, StaleWrite

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    Command = Callable[[Mapping[str, Any], str], Awaitable[Any]]

ADMIN_GROUP = "scanseal-admin"
MAX_LINE = 1 << 20
SECONDS = 60.0
"""How long a command may take before the caller is told that it hangs."""
SLOW: Final = frozenset({"prove"})
"""Commands that wait for others, who may read a large document from end to end."""
SLOW_SECONDS: Final = 3600.0


class NotRunning(DaemonError):
    """Nobody answers on the socket."""


class Control:
    """The service's end of the socket."""

    def __init__(self, path: Path, commands: Mapping[str, Command]) -> None:
        """Offer *commands*; each gets its arguments and the person who asks."""
        self._path = path
        self._commands = commands
        self._failed = asyncio.Event()
        self._failure: Exception | None = None

    async def run(self) -> None:
        """Listen until cancelled; raise what a command ran into and nobody foresaw."""
        self._path.unlink(missing_ok=True)  # a dead service's; the state_dir's lock is ours
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(self._path))
            # Before anybody can connect. Not by umask: that is the whole process's.
            self._path.chmod(0o600)
            self._admit_admins()
            server = await asyncio.start_unix_server(self._answer, sock=listener, limit=MAX_LINE)
        except BaseException:
            listener.close()
            raise
        try:
            async with server:
                await self._failed.wait()
        finally:
            with contextlib.suppress(OSError):  # a disk that is read-only now
                self._path.unlink(missing_ok=True)
        assert self._failure is not None
        raise self._failure

    def _admit_admins(self) -> None:
        try:
            group = grp.getgrnam(ADMIN_GROUP).gr_gid
            os.chown(self._path, -1, group)
            # They have to come through the state_dir, and see nothing else of it.
            os.chown(self._path.parent, -1, group)
        except (KeyError, PermissionError):
            return  # no such group here (a demo, a test): the owner alone
        self._path.parent.chmod(0o710)
        self._path.chmod(0o660)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(SECONDS) as limit:
                request = await _request(reader)
                if request["command"] in SLOW:
                    limit.reschedule(asyncio.get_running_loop().time() + SLOW_SECONDS)
                reply = await self._reply(request, _person(writer))
        except (StaleWrite, CorruptionError) as exc:
            # Answered, but not over: these two say that nothing here can be trusted any more.
            self._fail(exc)
            reply = {"ok": False, "code": exc.code, "message": str(exc.args[0])}
        except DaemonError as exc:
            reply = {"ok": False, "code": exc.code, "message": str(exc.args[0])}
        except TimeoutError:
            reply = {
                "ok": False,
                "code": "timeout",
                "message": "the service did not answer in time",
            }
        except ConnectionError:
            writer.close()
            return
        except Exception as exc:  # noqa: BLE001 (handed to `run`, which ends the process)
            self._fail(exc)
            reply = {
                "ok": False,
                "code": "service-failed",
                "message": f"the service ended itself: {type(exc).__name__}",
            }
        try:
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()

    async def _reply(self, request: dict[str, Any], person: str) -> dict[str, Any]:
        command = self._commands.get(request["command"])
        if command is None:
            raise PersonNeeded("unknown-command", "the service does not know this command")
        return {"ok": True, "result": await command(request["arguments"], person)}

    def _fail(self, exc: Exception) -> None:
        self._failure = self._failure or exc
        self._failed.set()


async def _request(reader: asyncio.StreamReader) -> dict[str, Any]:
    """Read one line as a request, or raise PersonNeeded: what comes here is anything at first."""
    bad = PersonNeeded("bad-request", "that is not a request")
    try:
        request = json.loads(await reader.readline())
        # JSON can say half a character (an argument that was no UTF-8); the ledger cannot.
        json.dumps(request, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise bad from None
    if not isinstance(request, dict):
        raise bad
    command, arguments = request.get("command"), request.get("arguments", {})
    if not isinstance(command, str) or not isinstance(arguments, dict):
        raise bad
    return {"command": command, "arguments": arguments}


def ask(path: Path, command: str, arguments: Mapping[str, Any]) -> Any:
    """Send one command to the service and return its result; the caller's side, blocking.

    Raise NotRunning when nobody listens, and what the service refused with its code.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout((SLOW_SECONDS if command in SLOW else SECONDS) + 5)
        try:
            connection.connect(str(path))
            connection.sendall(
                json.dumps({"command": command, "arguments": dict(arguments)}).encode() + b"\n"
            )
            with connection.makefile("rb") as answer:
                line = answer.readline()
        except (FileNotFoundError, ConnectionRefusedError):
            raise NotRunning("not-running", "the service is not running") from None
        except PermissionError:
            raise NotRunning(
                "not-allowed", f"you may not use {path}: ask for the group {ADMIN_GROUP}"
            ) from None
        except OSError as exc:
            raise NotRunning("not-running", f"the service does not answer: {exc}") from None
    try:
        reply = json.loads(line)
        if reply["ok"]:
            return reply["result"]
        refusal = PersonNeeded(str(reply["code"]), str(reply["message"]))
    except (ValueError, TypeError, KeyError):
        raise NotRunning("not-running", "the service hung up in the middle of its answer") from None
    raise refusal


def _person(writer: asyncio.StreamWriter) -> str:
    """Return who is at the other end: the kernel's word (SO_PEERCRED), not the caller's."""
    sock = writer.get_extra_info("socket")
    size = struct.calcsize("iII")
    _, uid, _ = struct.unpack("iII", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    try:
        return f"uid {uid} ({pwd.getpwuid(uid).pw_name})"
    except KeyError:
        return f"uid {uid}"
