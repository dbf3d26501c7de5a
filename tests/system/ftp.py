"""A real vsftpd with the vsftpd.conf of contrib/, and a client that plays scanners on it."""

from __future__ import annotations

import contextlib
import ftplib
import socket
import struct
from typing import Final

from tests.system.share import PASSWORD, PATIENCE, PROJECT, USER, Server, Share, free_port

CONFIG: Final = PROJECT / "contrib" / "vsftpd" / "vsftpd.conf"
RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER: whoever closes the socket is gone without a word, as one that was switched off."""


class Vsftpd(Server):
    """A vsftpd that shows a share and nothing else."""

    def __init__(self, share: Share) -> None:
        """Start it."""
        empty = share.root / "empty"
        empty.mkdir()
        people = share.root / "vsftpd.scanners"
        people.write_text(f"{USER}\n", encoding="utf-8")
        port = free_port()
        text = CONFIG.read_text(encoding="utf-8")
        for before, after in (
            ("listen_port=21\n", f"listen_port={port}\nlisten_address=127.0.0.1\n"),
            ("local_root=/srv/scans/post\n", f"local_root={share.folder}\n"),
            ("userlist_file=/etc/vsftpd.scanners\n", f"userlist_file={people}\n"),
            ("secure_chroot_dir=/var/run/vsftpd/empty\n", f"secure_chroot_dir={empty}\n"),
        ):
            assert text.count(before) == 1, before
            text = text.replace(before, after)
        config = share.root / "vsftpd.conf"
        config.write_text(text, encoding="utf-8")
        super().__init__(share, ["vsftpd", config], port)


class FtpFile:
    """An upload that goes on."""

    def __init__(self, ftp: ftplib.FTP, data: socket.socket) -> None:
        """Use `FtpClient.open`."""
        self._ftp = ftp
        self._data = data

    def write(self, data: bytes) -> None:
        """Send it; it arrives soon."""
        self._data.sendall(data)

    def close(self) -> None:
        """Say that this is all, and hear that it has arrived."""
        self._data.close()
        self._ftp.voidresp()

    def break_off(self) -> None:
        """Be gone without a word: as a scanner that was switched off."""
        assert self._ftp.sock is not None
        for one in (self._data, self._ftp.sock):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._data.close()
        self._ftp.close()


class FtpClient:
    """A scanner that speaks FTP, with a connection of its own."""

    def __init__(self, port: int) -> None:
        """Log in."""
        self._port = port
        self._ftp = self._connected()

    def open(self, folder: str, name: str, at: int | None = None) -> FtpFile:
        """Begin an upload, or go on with one that has broken off at *at*."""
        if self._ftp.sock is None:
            self._ftp = self._connected()
        self._ftp.voidcmd("TYPE I")
        return FtpFile(self._ftp, self._ftp.transfercmd(f"STOR {folder}/{name}", rest=at))

    def append(self, folder: str, name: str, at: int, data: bytes) -> None:
        """Go on with a file at *at*; then close it."""
        file = self.open(folder, name, at)
        file.write(data)
        file.close()

    def put(self, folder: str, name: str, data: bytes) -> None:
        """Upload a whole file, in the place of what has its name."""
        file = self.open(folder, name)
        file.write(data)
        file.close()

    def put_as_text(self, folder: str, name: str, data: bytes) -> None:
        """Upload a whole file in ASCII mode, each byte as it is."""
        self._ftp.voidcmd("TYPE A")
        file = FtpFile(self._ftp, self._ftp.transfercmd(f"STOR {folder}/{name}"))
        file.write(data)
        file.close()

    def rename(self, folder: str, before: str, after: str) -> None:
        """Give a file its last name."""
        self._ftp.rename(f"{folder}/{before}", f"{folder}/{after}")

    def names(self, folder: str) -> list[str]:
        """Return what a scanner sees in a folder, what is hidden included."""
        self._ftp.cwd(f"/{folder}")
        found = self._ftp.nlst("-a")
        self._ftp.cwd("/")
        return found

    def end(self) -> None:
        """Log out."""
        with contextlib.suppress(OSError, ftplib.Error):
            self._ftp.quit()
        self._ftp.close()

    def _connected(self) -> ftplib.FTP:
        ftp = ftplib.FTP(timeout=PATIENCE)  # noqa: S321 (it is what scanners speak)
        ftp.connect("127.0.0.1", self._port)
        ftp.login(USER, PASSWORD)
        return ftp
