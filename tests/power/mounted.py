"""The forgetting disk as a file system: a process of its own, mounted with FUSE.

    python -m tests.power.mounted MOUNTPOINT CONTROL [apart]

Everything is in memory and every operation is recorded. On the socket CONTROL it
takes one JSON line per connection and answers with the number of operations:

    {"cut": seed, "loss": "some"}   forgets what `disk.survivors` lets go
    {"save": path}                  pickles what was recorded
    {"length": true}                how many operations there are

With `apart` each folder of the root is a file system of its own: no rename or link leads
from one to another, as across mounts.

A cut changes what a mount shows: nobody may have it open, so unmount first. It is
mounted again by itself; `disk.py` has the rule of what stays.
"""

from __future__ import annotations

import errno
import json
import os
import pickle
import random
import socket
import stat
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mfusepy

from tests.power.disk import (
    ROOT,
    Cut,
    Image,
    Loss,
    Name,
    Operation,
    Recording,
    Sync,
    Write,
    image_of,
    survivors,
)

SITE = "user.site"
"""Set on a file just before an fsync: where in the code that stands."""


@dataclass
class Inode:
    """What there is to a file beside its bytes; never forgotten."""

    mode: int
    changed: int = field(default_factory=time.time_ns)


class ForgettingDisk(mfusepy.Operations):  # type: ignore[misc]
    """The live tree and the record of how it came about."""

    use_ns = True

    def __init__(self, *, apart: bool = False) -> None:
        self._apart = apart
        self._guard = threading.RLock()
        self.live = Image()
        self.operations: list[Operation] = []
        self.inodes = {ROOT: Inode(stat.S_IFDIR | 0o755)}
        self.next = ROOT + 1
        self.site: dict[int, str] = {}

    # -- power ------------------------------------------------------------------------

    def cut(self, seed: int, loss: Loss) -> None:
        """Forget; what is left is durable."""
        with self._guard:
            chance = random.Random(seed)  # noqa: S311 (repeatable)
            kept = survivors(self.operations, chance, loss)
            everything = {one for one, facts in self.inodes.items() if stat.S_ISDIR(facts.mode)}
            self.live = image_of(kept, everything)
            self.operations = [*kept, *(Sync(inode) for inode in self.inodes)]

    def recording(self) -> Recording:
        """Return what was done so far."""
        with self._guard:
            modes = {one: facts.mode for one, facts in self.inodes.items()}
            folders = {one for one, mode in modes.items() if stat.S_ISDIR(mode)}
            changed = {one: facts.changed for one, facts in self.inodes.items()}
            return Recording(list(self.operations), folders, modes, changed)

    def _do(self, operation: Operation) -> None:
        self.operations.append(operation)
        self.live.apply(operation)

    # -- names --------------------------------------------------------------------------

    def _at(self, path: str | None, fh: int | None = None) -> int:
        if fh:
            return fh
        assert path is not None
        here = ROOT
        for step in filter(None, path.split("/")):
            names = self.live.folders.get(here)
            if names is None:
                raise mfusepy.FuseOSError(errno.ENOTDIR)
            if step not in names:
                raise mfusepy.FuseOSError(errno.ENOENT)
            here = names[step]
        return here

    def _place(self, path: str) -> tuple[int, str]:
        folder, _, name = path.rpartition("/")
        return self._at(folder), name

    def _on_one(self, old: str, new: str) -> None:
        if self._apart and old.split("/")[1] != new.split("/")[1]:
            raise mfusepy.FuseOSError(errno.EXDEV)

    def _made(self, path: str, mode: int) -> int:
        folder, name = self._place(path)
        inode, self.next = self.next, self.next + 1
        self.inodes[inode] = Inode(mode)
        if stat.S_ISDIR(mode):
            self.live.folders[inode] = {}
        else:
            self.live.files[inode] = bytearray()
        self._do(Name(folder, name, inode))
        self._touch(folder)
        return inode

    def _touch(self, inode: int) -> None:
        self.inodes[inode].changed = time.time_ns()

    def init_with_config(self, conn_info: Any, config_3: Any) -> None:  # noqa: ARG002
        config_3.use_ino = 1
        config_3.hard_remove = 1

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        with self._guard:
            inode = self._at(path, fh)
            facts = self.inodes[inode]
            links = sum(list(n.values()).count(inode) for n in self.live.folders.values())
            return {
                "st_ino": inode,
                "st_mode": facts.mode,
                "st_nlink": 2 if stat.S_ISDIR(facts.mode) else links,
                "st_size": len(self.live.files.get(inode, b"")),
                "st_uid": os.getuid(),
                "st_gid": os.getgid(),
                "st_mtime": facts.changed,
                "st_ctime": facts.changed,
                "st_atime": facts.changed,
            }

    def readdir(self, path: str, fh: int) -> list[tuple[str, dict[str, int], int]]:
        with self._guard:
            here = self._at(path, fh)
            names = {".": here, "..": ROOT, **self.live.folders[here]}
            return [
                (name, {"st_ino": inode, "st_mode": self.inodes[inode].mode}, 0)
                for name, inode in names.items()
            ]

    def opendir(self, path: str) -> int:
        return self._at(path)

    def open(self, path: str, flags: int) -> int:  # noqa: ARG002
        return self._at(path)

    def create(self, path: str, mode: int, fi: Any = None) -> int:  # noqa: ARG002
        with self._guard:
            return self._made(path, stat.S_IFREG | stat.S_IMODE(mode))

    def mknod(self, path: str, mode: int, dev: int) -> int:  # noqa: ARG002
        with self._guard:
            self._made(path, mode)
        return 0

    def mkdir(self, path: str, mode: int) -> int:
        with self._guard:
            self._made(path, stat.S_IFDIR | stat.S_IMODE(mode))
        return 0

    def unlink(self, path: str) -> int:
        with self._guard:
            folder, name = self._place(path)
            self._do(Name(folder, name, 0))
            self._touch(folder)
        return 0

    def rmdir(self, path: str) -> int:
        with self._guard:
            if self.live.folders[self._at(path)]:
                raise mfusepy.FuseOSError(errno.ENOTEMPTY)
            return self.unlink(path)

    def rename(self, old: str, new: str) -> int:
        self._on_one(old, new)
        with self._guard:
            inode, source, (folder, name) = self._at(old), self._place(old), self._place(new)
            if source != (folder, name):
                self._do(Name(folder, name, inode, source))
                self._touch(folder)
                self._touch(source[0])
        return 0

    def link(self, target: str, source: str) -> int:
        self._on_one(source, target)
        with self._guard:
            folder, name = self._place(target)
            if name in self.live.folders[folder]:
                raise mfusepy.FuseOSError(errno.EEXIST)
            self._do(Name(folder, name, self._at(source)))
        return 0

    # -- contents -----------------------------------------------------------------------

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:  # noqa: ARG002
        with self._guard:
            return bytes(self.live.files[fh][offset : offset + size])

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:  # noqa: ARG002
        with self._guard:
            self._do(Write(fh, offset, bytes(data)))
            self._touch(fh)
        return len(data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        with self._guard:
            inode = self._at(path, fh)
            self._do(Cut(inode, length))
            self._touch(inode)
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:  # noqa: ARG002
        with self._guard:
            inode = self._at(path, fh)
            self.operations.append(Sync(inode, self.site.pop(inode, "")))
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        return self.fsync(path, datasync, fh)

    def setxattr(
        self,
        path: str,
        name: str,
        value: bytes,
        options: int,  # noqa: ARG002
        position: int = 0,  # noqa: ARG002
    ) -> int:
        if name != SITE:
            raise mfusepy.FuseOSError(errno.ENOTSUP)
        with self._guard:
            self.site[self._at(path)] = value.decode()
        return 0

    def chmod(self, path: str, mode: int) -> int:
        with self._guard:
            facts = self.inodes[self._at(path)]
            facts.mode = stat.S_IFMT(facts.mode) | stat.S_IMODE(mode)
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:  # noqa: ARG002
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        with self._guard:
            self.inodes[self._at(path)].changed = times[1] if times else time.time_ns()
        return 0

    def statfs(self, path: str) -> dict[str, int]:  # noqa: ARG002
        much = 1 << 20
        return {
            "f_bsize": 4096,
            "f_frsize": 4096,
            "f_blocks": much,
            "f_bfree": much,
            "f_bavail": much,
            "f_files": much,
            "f_ffree": much,
            "f_favail": much,
            "f_namemax": 255,
        }


def _answer(disk: ForgettingDisk, asked: dict[str, Any]) -> Any:
    if "cut" in asked:
        disk.cut(asked["cut"], Loss(asked["loss"]))
    elif "save" in asked:
        Path(asked["save"]).write_bytes(pickle.dumps(disk.recording()))
    return len(disk.operations)


def _listen(disk: ForgettingDisk, control: socket.socket) -> None:
    while True:
        connection, _ = control.accept()
        with connection, connection.makefile("rw") as file:
            asked = json.loads(file.readline())
            if "end" in asked:
                os._exit(0)
            print(json.dumps(_answer(disk, asked)), file=file, flush=True)


def main(mountpoint: str, control: str, *more: str) -> None:
    """Serve until told to end; each time the mount is taken away it comes back."""
    disk = ForgettingDisk(apart="apart" in more)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(control)
        listening.listen()
        threading.Thread(target=_listen, args=(disk, listening), daemon=True).start()
        while True:
            mfusepy.FUSE(disk, mountpoint, foreground=True, nothreads=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
