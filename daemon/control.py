"""The socket through which commands reach the running service.

One JSON object per line and connection, one JSON object back:

    {"command": "release", "arguments": {"id": "..."}}
    {"ok": true, "result": {...}}   or   {"ok": false, "code": "...", "message": "..."}

The file's mode says who may connect (0660, group scanseal-admin); the kernel
says who did: the caller's uid goes into the ledger as personal detail.
"""

from __future__ import annotations

import asyncio
import grp
import json
import os
import pwd
import socket
import struct
from typing import TYPE_CHECKING, Any

from daemon.errors import DaemonError, PersonNeeded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    Command = Callable[[Mapping[str, Any], str], Awaitable[Any]]

ADMIN_GROUP = "scanseal-admin"
MAX_LINE = 1 << 20
SECONDS = 60.0
"""How long a command may take before the caller is told that it hangs."""


class NotRunning(DaemonError):
    """Nobody answers on the socket."""


class Control:
    """The service's end of the socket."""

    def __init__(self, path: Path, commands: Mapping[str, Command]) -> None:
        """Offer *commands*; each gets its arguments and the person who asks."""
        self._path = path
        self._commands = commands

    async def run(self) -> None:
        """Listen until cancelled."""
        self._path.unlink(missing_ok=True)  # a dead service's; the state_dir's lock is ours
        before = os.umask(0o177)
        try:
            server = await asyncio.start_unix_server(self._answer, self._path, limit=MAX_LINE)
        finally:
            os.umask(before)
        self._admit_admins()
        try:
            async with server:
                await server.serve_forever()
        finally:
            self._path.unlink(missing_ok=True)

    def _admit_admins(self) -> None:
        try:
            group = grp.getgrnam(ADMIN_GROUP).gr_gid
            os.chown(self._path, -1, group)
        except (KeyError, PermissionError):
            return  # no such group here (a demo, a test): the owner alone
        self._path.chmod(0o660)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                reply = await self._reply(await reader.readline(), _person(writer))
        except DaemonError as exc:
            reply = {"ok": False, "code": exc.code, "message": str(exc.args[0])}
        except TimeoutError:
            reply = {
                "ok": False,
                "code": "timeout",
                "message": "the service did not answer in time",
            }
        except (ConnectionError, ValueError):
            reply = {"ok": False, "code": "bad-request", "message": "that is not a request"}
        try:
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()

    async def _reply(self, line: bytes, person: str) -> dict[str, Any]:
        request = json.loads(line)
        command = self._commands.get(request.get("command"))
        if command is None:
            raise PersonNeeded("unknown-command", "the service does not know this command")
        return {"ok": True, "result": await command(request.get("arguments", {}), person)}


def ask(path: Path, command: str, arguments: Mapping[str, Any]) -> Any:
    """Send one command to the service and return its result; the caller's side, blocking.

    Raise NotRunning when nobody listens, and what the service refused with its code.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(SECONDS + 5)
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
    reply = json.loads(line or b'{"ok": false, "code": "not-running", "message": "it hung up"}')
    if not reply["ok"]:
        raise PersonNeeded(reply["code"], reply["message"])
    return reply["result"]


def _person(writer: asyncio.StreamWriter) -> str:
    """Return who is at the other end: the kernel's word (SO_PEERCRED), not the caller's."""
    sock = writer.get_extra_info("socket")
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    try:
        return f"uid {uid} ({pwd.getpwuid(uid).pw_name})"
    except KeyError:
        return f"uid {uid}"
