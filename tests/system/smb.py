"""A real Samba with the smb.conf of contrib/, and the two clients that play scanners on it.

`smbclient` is Debian's: whole files, and a process that can be killed in the middle.
smbprotocol keeps a file open and writes page after page into it, as scanners do.
"""

from __future__ import annotations

import contextlib
import subprocess
import uuid
from typing import Any, Final

import smbclient
from smbprotocol.connection import Connection

from tests.system.share import PASSWORD, PROJECT, USER, Server, Share, free_port

CONFIG: Final = PROJECT / "contrib" / "samba" / "smb.conf"
AROUND: Final = """\
[global]
    private dir = {folder}/private
    lock directory = {folder}/lock
    state directory = {folder}/state
    cache directory = {folder}/cache
    pid directory = {folder}/pid
    ncalrpc dir = {folder}/ncalrpc
    interfaces = 127.0.0.1/8
    bind interfaces only = yes
    include = {folder}/smb.conf
"""
"""Where a second smbd on this machine has its files; everything else is in the file of contrib/."""


class Samba(Server):
    """An smbd that serves a share under the name `post`."""

    def __init__(self, share: Share) -> None:
        """Start it, with the scanner's password in a database of its own."""
        folder = share.root / "samba"
        for name in ("private", "lock", "state", "cache", "pid", "ncalrpc"):
            (folder / name).mkdir(parents=True)
        port = free_port()
        text = CONFIG.read_text(encoding="utf-8")
        for before, after in (
            ("smb ports = 445\n", f"smb ports = {port}\n"),
            ("path = /srv/scans/post\n", f"path = {share.folder}\n"),
            ("log file = /var/log/samba/", f"log file = {folder}/"),
        ):
            assert text.count(before) == 1, before
            text = text.replace(before, after)
        (folder / "smb.conf").write_text(text, encoding="utf-8")
        around = folder / "around.conf"
        around.write_text(AROUND.format(folder=folder), encoding="utf-8")
        self.config = around
        subprocess.run(
            share.inside("smbpasswd", "-c", around, "-s", "-a", USER),
            input=f"{PASSWORD}\n{PASSWORD}\n",
            text=True,
            check=True,
            capture_output=True,
        )
        super().__init__(share, ["smbd", "--foreground", "--no-process-group", "-s", around], port)


class SmbFile:
    """A file that is open over SMB."""

    def __init__(self, file: Any, client: SmbClient) -> None:
        """Use `SmbClient.open`."""
        self._file = file
        self._client = client

    def write(self, data: bytes) -> None:
        """Write at the end of what was written; return once the server has it."""
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]

    def close(self) -> None:
        """Close it: the server knows that this is all."""
        self._file.close()

    def break_off(self) -> None:
        """Be gone without a word: as a scanner that was switched off."""
        self._client.vanish()
        self._file.fd._connected = False  # else it says that it was never closed

    def write_at(self, place: int, data: bytes) -> None:
        """Write somewhere else, and go on at the end."""
        self._file.seek(place)
        self._file.write(data)
        self._file.seek(0, 2)


class SmbClient:
    """A scanner that speaks SMB, with a connection of its own."""

    def __init__(self, port: int) -> None:
        """Log in with the first thing that is done."""
        self._port = port
        self._cache: dict[str, Any] = {}

    def open(self, folder: str, name: str) -> SmbFile:
        """Make a file, or empty the one that has the name, and keep it open."""
        file = smbclient.open_file(_path(folder, name), mode="wb", buffering=0, **self._session())
        return SmbFile(file, self)

    def append(self, folder: str, name: str, at: int, data: bytes) -> None:
        """Go on with a file at *at*, where it ends; then close it."""
        with smbclient.open_file(
            _path(folder, name), mode="ab", buffering=0, **self._session()
        ) as file:
            assert file.tell() == at
            SmbFile(file, self).write(data)

    def put(self, folder: str, name: str, data: bytes) -> None:
        """Upload a whole file, in the place of what has its name."""
        file = self.open(folder, name)
        file.write(data)
        file.close()

    def rename(self, folder: str, before: str, after: str) -> None:
        """Give a file its last name."""
        smbclient.rename(_path(folder, before), _path(folder, after), **self._session())

    def names(self, folder: str) -> list[str]:
        """Return what a scanner sees in a folder."""
        found: list[str] = smbclient.listdir(_path(folder, ""), **self._session())
        return found

    def vanish(self) -> None:
        """Close the connection and nothing that is open on it."""
        for connection in self._cache.values():
            connection.disconnect(close=False)
        self._cache.clear()

    def end(self) -> None:
        """Log out."""
        with contextlib.suppress(OSError):
            smbclient.reset_connection_cache(connection_cache=self._cache)

    def _session(self) -> dict[str, Any]:
        """Return what each call needs: a connection of a machine of its own, and who we are.

        With one id for all machines smbd would serve them all in one process.
        """
        place = f"127.0.0.1:{self._port}"
        if place not in self._cache:
            connection = Connection(uuid.uuid4(), "127.0.0.1", self._port)
            connection.connect()
            self._cache[place] = connection
        return {
            "port": self._port,
            "username": USER,
            "password": PASSWORD,
            "connection_cache": self._cache,
        }


def tool(port: int, *commands: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start Debian's smbclient with these commands."""
    words = ["smbclient", "//127.0.0.1/post", "-p", str(port), "-U", f"{USER}%{PASSWORD}"]
    return subprocess.Popen([*words, "-m", "SMB2_02", "-c", "; ".join(commands)], **options)


def _path(folder: str, name: str) -> str:
    return rf"\\127.0.0.1\post\{folder}\{name}".rstrip("\\")
