"""A secret that lies in a file: systemd's credential, or a path. Read anew whenever it has changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from daemon import durable
from daemon.errors import TransientError

MOST_BYTES: Final = 16_384


class Credential:
    """`credential:NAME` or `file:PATH`, or "" for none."""

    def __init__(self, text: str, credentials: str | None) -> None:
        """Read nothing yet; *credentials* is $CREDENTIALS_DIRECTORY."""
        kind, _, rest = text.partition(":")
        self._name = rest
        self._path = Path(rest) if kind == "file" else None
        if kind == "credential" and credentials is not None:
            self._path = Path(credentials) / rest
        self._stamp: object = None
        self._value = b""

    def path(self) -> Path:
        """Return where it lies."""
        if self._path is None:
            raise TransientError(
                "credential-unreadable",
                f"{self._name or 'a credential'}: outside of systemd write file:/PATH",
            )
        return self._path

    def stamp(self) -> object:
        """Return what changes when the file does."""
        return durable.stamp(str(self._path or ""))

    def read(self) -> bytes:
        """Return its one line, without the line's end; TransientError if it cannot be read."""
        path = self.path()
        stamp = self.stamp()
        if stamp is None or stamp != self._stamp:
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
                with os.fdopen(fd, "rb", buffering=0) as file:
                    value = (
                        (file.read(MOST_BYTES + 1) or b"").removesuffix(b"\n").removesuffix(b"\r")
                    )
            except OSError as exc:
                raise TransientError("credential-unreadable", f"{path}: {exc.strerror}") from None
            if not 1 <= len(value) <= MOST_BYTES or min(value) < 0x20:
                raise TransientError("credential-unreadable", f"{path}: is not one line")
            self._value, self._stamp = value, stamp
        return self._value
