"""A disk without hard links and modes, as FAT and some shares are, mounted with FUSE.

    python -m tests.contract.likefat BACKING MOUNTPOINT

The files lie in BACKING. A rename never replaces anything: all that asks here asks for that.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import mfusepy

ASKED_OF_FILES = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid", "st_ino")


class LikeFat(mfusepy.Operations):  # type: ignore[misc]
    """What is in one folder, shown in another."""

    use_ns = True

    def __init__(self, backing: str) -> None:
        self.backing = backing

    def _at(self, path: str) -> Path:
        return Path(self.backing + path)

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:  # noqa: ARG002
        facts = self._at(path).lstat()
        return {name: getattr(facts, name) for name in ASKED_OF_FILES}

    def readdir(self, path: str, fh: int) -> list[str]:  # noqa: ARG002
        return [".", "..", *(one.name for one in self._at(path).iterdir())]

    def mkdir(self, path: str, mode: int) -> int:  # noqa: ARG002
        self._at(path).mkdir(0o755)
        return 0

    def rmdir(self, path: str) -> int:
        self._at(path).rmdir()
        return 0

    def unlink(self, path: str) -> int:
        self._at(path).unlink()
        return 0

    def create(self, path: str, mode: int, fi: Any = None) -> int:  # noqa: ARG002
        return os.open(self._at(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o755)

    def open(self, path: str, flags: int) -> int:
        return os.open(self._at(path), flags & (os.O_RDONLY | os.O_RDWR | os.O_WRONLY))

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:  # noqa: ARG002
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:  # noqa: ARG002
        return os.pwrite(fh, data, offset)

    def fsync(self, path: str, datasync: int, fh: int) -> int:  # noqa: ARG002
        os.fsync(fh)
        return 0

    def release(self, path: str, fh: int) -> int:  # noqa: ARG002
        os.close(fh)
        return 0

    def rename(self, old: str, new: str) -> int:
        self._at(new).hardlink_to(self._at(old))
        self._at(old).unlink()
        return 0

    def link(self, target: str, source: str) -> NoReturn:  # noqa: ARG002
        raise mfusepy.FuseOSError(errno.EPERM)

    def chmod(self, path: str, mode: int) -> NoReturn:  # noqa: ARG002
        raise mfusepy.FuseOSError(errno.EPERM)


if __name__ == "__main__":
    mfusepy.FUSE(LikeFat(sys.argv[1]), sys.argv[2], foreground=True, nothreads=True)
