"""The control socket: real connections, and the kernel's word for who asks."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import socket
import stat
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from daemon.control import MAX_LINE, Control, NotRunning, ask
from daemon.errors import PersonNeeded, TransientError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

ME = f"uid {os.getuid()} ({pwd.getpwuid(os.getuid()).pw_name})"


async def echo(arguments: Mapping[str, Any], person: str) -> dict[str, Any]:
    return {"arguments": dict(arguments), "person": person}


async def refuse(_arguments: Mapping[str, Any], _person: str) -> None:
    raise PersonNeeded("not-refused", "it is filed")


async def later(_arguments: Mapping[str, Any], _person: str) -> None:
    raise TransientError("target-unreachable", "dms")


async def bug(_arguments: Mapping[str, Any], _person: str) -> None:
    raise ValueError("disk I/O error in Müller.pdf")


@asynccontextmanager
async def listening(path: Path) -> AsyncIterator[asyncio.Task[None]]:
    """Run a Control on *path* until the test is over."""
    control = Control(path, {"echo": echo, "refuse": refuse, "later": later, "bug": bug})
    task = asyncio.create_task(control.run())
    async with asyncio.timeout(10):
        while not path.exists() and not task.done():
            await asyncio.sleep(0.001)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def asking(path: Path, command: str, arguments: Mapping[str, Any]) -> Any:
    """Ask as the commands do: blocking, so in a thread."""
    return asyncio.to_thread(ask, path, command, arguments)


async def raw(path: Path, line: bytes) -> dict[str, Any]:
    """Send *line* as it is and return the answer."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(line)
    writer.write_eof()
    async with asyncio.timeout(10):
        answer = await reader.readline()
    writer.close()
    found: dict[str, Any] = json.loads(answer)
    return found


def test_a_command_gets_its_arguments_and_who_asks(tmp_path: Path) -> None:
    """The person is what the kernel says; a caller cannot claim to be somebody else."""

    async def main() -> None:
        path = tmp_path / "control.sock"
        async with listening(path):
            arguments = {"id": "x", "reason": "Grüße", "person": "uid 0 (root)"}
            assert await asking(path, "echo", arguments) == {"arguments": arguments, "person": ME}

    asyncio.run(main())


def test_the_uid_of_another_user_is_seen(tmp_path: Path) -> None:
    """SO_PEERCRED, taken at connect(2): shown with a connection that another uid made."""
    other = os.getuid() or 65534  # without root nobody else can be played

    async def main() -> None:
        path = tmp_path / "control.sock"
        async with listening(path):
            path.chmod(0o666)
            for folder in (tmp_path, *tmp_path.parents[:3]):  # its worker's, and the run's
                folder.chmod(folder.stat().st_mode | 0o011)
            script = (
                "import os, socket, sys\n"
                "os.getuid() == int(sys.argv[2]) or os.setuid(int(sys.argv[2]))\n"
                "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
                's.sendall(b\'{"command": "echo"}\\n\'); print(s.makefile().readline())\n'
            )
            done = await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-I", "-c", script, str(path), str(other)],
                capture_output=True,
                check=True,
                timeout=20,
            )
            assert json.loads(done.stdout)["result"]["person"].split()[:2] == ["uid", str(other)]

    asyncio.run(main())


def test_the_socket_is_for_its_owner_and_the_admins(tmp_path: Path) -> None:
    """0600, or 0660 where the group exists: never for everybody, whatever the umask."""

    async def main() -> None:
        path = tmp_path / "control.sock"
        before = os.umask(0)
        try:
            async with listening(path):
                assert stat.S_IMODE(path.stat().st_mode) in {0o600, 0o660}
                assert os.umask(0) == 0  # and the umask of the process is as it was
        finally:
            os.umask(before)

    asyncio.run(main())


ADMITS = """
import asyncio, json, pathlib, sys
from daemon.control import Control

async def main():
    path = pathlib.Path(sys.argv[1]) / "control.sock"
    task = asyncio.create_task(Control(path, {}).run())
    while not path.exists() or path.stat().st_gid == 0:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    found = [(p.stat().st_gid, p.stat().st_mode & 0o7777) for p in (path.parent, path)]
    print(json.dumps(found))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

asyncio.run(main())
"""


def test_admins_come_through_the_state_dir_to_the_socket_and_see_nothing_else(
    tmp_path: Path,
) -> None:
    """In a namespace whose /etc/group has the group: a socket that nobody reaches helps nobody."""
    groups = tmp_path / "group"
    groups.write_text("root:x:0:\nscanseal-admin:x:64999:\n")
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    inner = f'mount --bind {groups} /etc/group && exec "$0" -I -c "$1" {state}'

    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", inner, sys.executable, ADMITS],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert json.loads(done.stdout) == [[64999, 0o710], [64999, 0o660]]


def test_listening_never_changes_the_umask(tmp_path: Path) -> None:
    """It belongs to the whole process: a folder that a stage makes meanwhile would be 0600."""

    async def main() -> None:
        seen = set()
        control = Control(tmp_path / "control.sock", {})
        task = asyncio.create_task(control.run())
        for _ in range(20):
            before = os.umask(0o077)
            os.umask(before)
            seen.add(before)
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        before = os.umask(0o077)
        os.umask(before)
        assert seen == {before}

    asyncio.run(main())


def test_what_a_command_refuses_comes_back_with_its_code(tmp_path: Path) -> None:
    """The sentence stands in the table of codes: the caller needs the code."""

    async def main() -> None:
        path = tmp_path / "control.sock"
        async with listening(path):
            with pytest.raises(PersonNeeded) as refused:
                await asking(path, "refuse", {})
            with pytest.raises(PersonNeeded) as transient:
                await asking(path, "later", {})
        assert (refused.value.code, refused.value.args[0]) == ("not-refused", "it is filed")
        assert transient.value.code == "target-unreachable"

    asyncio.run(main())


def test_an_unknown_command_is_named_as_such(tmp_path: Path) -> None:
    """A newer command and an older service."""

    async def main() -> None:
        path = tmp_path / "control.sock"
        async with listening(path):
            with pytest.raises(PersonNeeded) as caught:
                await asking(path, "decommission", {})
        assert caught.value.code == "unknown-command"

    asyncio.run(main())


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"",
        b"not JSON\n",
        b"\xff\xfe\n",
        b"[]\n",
        b"null\n",
        b"5\n",
        b'"echo"\n',
        b"{}\n",
        b'{"command": null}\n',
        b'{"command": ["echo"]}\n',
        b'{"command": {"a": 1}}\n',
        b'{"command": "echo", "arguments": []}\n',
        b'{"command": "echo", "arguments": "x"}\n',
        b'{"command": "echo"',
        b'{"command": "echo", "arguments": {"reason": "\\udcff"}}\n',  # argv was no UTF-8
        b"[" * 100_000 + b"\n",
        b"x" * (MAX_LINE + 10) + b"\n",
    ],
)
def test_what_is_no_request_is_answered_and_stops_nobody(tmp_path: Path, line: bytes) -> None:
    """Whatever comes in: one answer at once, and the next caller is served."""

    async def main() -> None:
        path = tmp_path / "control.sock"
        async with listening(path) as task:
            answer = await raw(path, line)
            assert answer["ok"] is False
            assert answer["code"] in {"bad-request", "unknown-command"}
            assert (await asking(path, "echo", {}))["arguments"] == {}
            assert not task.done()

    asyncio.run(main())


def test_a_caller_who_leaves_stops_nobody(tmp_path: Path) -> None:
    """Ctrl-C at `scanseal status`."""

    async def main() -> None:
        path = tmp_path / "control.sock"
        async with listening(path) as task:
            for _ in range(5):
                with socket.socket(socket.AF_UNIX) as gone:
                    gone.connect(str(path))
                    gone.sendall(b'{"command": "echo"}\n')
            assert (await asking(path, "echo", {}))["person"] == ME
            assert not task.done()

    asyncio.run(main())


def test_a_bug_in_a_command_ends_the_service(tmp_path: Path) -> None:
    """An I/O error of the spool reaches us here too: what memory says is unsure from then on."""

    async def main() -> None:
        path = tmp_path / "control.sock"
        async with listening(path) as task:
            with pytest.raises(PersonNeeded) as caught:
                await asking(path, "bug", {})
            async with asyncio.timeout(10):
                with pytest.raises(ValueError, match="disk I/O error"):
                    await task
        assert "ller" not in str(caught.value)  # the caller's terminal gets no content either

    asyncio.run(main())


def test_nobody_listens(tmp_path: Path) -> None:
    """No socket, one that a dead service left behind, and one that is no socket."""
    left = tmp_path / "left.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(left))
    (tmp_path / "file").write_bytes(b"")

    for path in (tmp_path / "missing.sock", left, tmp_path / "file", tmp_path / ("x" * 200)):
        with pytest.raises(NotRunning) as caught:
            ask(path, "status", {})
        assert caught.value.code == "not-running"


def test_a_dead_services_socket_is_taken_over_and_removed_at_the_end(tmp_path: Path) -> None:
    """The lock of the state_dir says that it is ours."""

    async def main() -> None:
        path = tmp_path / "control.sock"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        async with listening(path):
            async with asyncio.timeout(10):
                while True:
                    try:
                        await asking(path, "echo", {})
                    except NotRunning:
                        await asyncio.sleep(0.001)  # the old one is still there
                    else:
                        break
        assert not path.exists()

    asyncio.run(main())


@pytest.mark.parametrize("answer", [b"", b'{"ok": tr', b"[]\n"])
def test_a_service_that_hangs_up_is_not_running(tmp_path: Path, answer: bytes) -> None:
    """Killed in the middle of its answer: a sentence, not a traceback."""

    async def main() -> None:
        path = tmp_path / "control.sock"

        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(answer)
            writer.close()

        async with await asyncio.start_unix_server(serve, path):
            with pytest.raises(NotRunning):
                await asking(path, "status", {})

    asyncio.run(main())
