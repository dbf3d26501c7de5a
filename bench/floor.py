"""The least that a seal can take: what the seal order demands, each thing done by itself."""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING, Final

from daemon import durable
from daemon.spool import connect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.bare import Bare

NOTE_BYTES: Final = 1600
"""About what note.xml has."""
DEMANDED: Final = {
    "commit_begin": "commit 1, that the step begins (I5, the poison rule)",
    "write": "write the file",
    "sha256_first": "SHA-256 of the file, to be signed",
    "c_sign": "C_SignInit and C_Sign, in process, no way to it",
    "fsync_sealed": "fsync 1, the sealed file",
    "fsync_note": "fsync 2, note.xml, with its write",
    "rename_fsync_folder": "fsync 3, the folder, with the rename",
    "read": "read the file from disk (the order drops it from the cache)",
    "sha256_second": "SHA-256 of the file, as read back",
    "commit_sealed": "commit 2, SEALED with its ledger line",
}
"""Every part of the floor, in the order in which it is done."""


class Floor:
    """The least: each thing that the seal order demands, done once and by itself."""

    def __init__(self, root: Path, source: Path, bare: Bare) -> None:
        """Make the folder and a database with the settings of the spool's."""
        root.mkdir()
        self._root = root
        self._bare = bare
        self._data = source.read_bytes()
        self._note = os.urandom(NOTE_BYTES)
        (root / "spool.db").touch()
        self._db = connect(root / "spool.db")
        self._db.execute("CREATE TABLE step (id INTEGER PRIMARY KEY, state TEXT)")

    def run(self, number: int) -> dict[str, float]:
        """Do it once in a folder of its own; return what each thing took, and all of them."""
        folder = self._root / f"{number}"
        folder.mkdir()
        durable.sync_folder(self._root)
        prepared, sealed = folder / "prepared", folder / "sealed.pdf"
        taken: dict[str, float] = {}

        def timed(name: str, work: Callable[[], object]) -> None:
            begun = time.perf_counter()
            work()
            taken[name] = time.perf_counter() - begun

        def replaced() -> None:
            prepared.replace(sealed)
            durable.sync_folder(folder)

        timed("commit_begin", self._commit)
        timed("write", lambda: prepared.write_bytes(self._data))
        timed("sha256_first", lambda: hashlib.sha256(self._data).digest())
        taken["c_sign"] = self._bare.sign()
        timed("fsync_sealed", lambda: durable.sync_file(prepared))
        timed("fsync_note", lambda: _written(folder / "note.xml", self._note))
        timed("rename_fsync_folder", replaced)
        durable.forget_pages(sealed)
        timed("read", sealed.read_bytes)
        timed("sha256_second", lambda: hashlib.sha256(self._data).digest())
        timed("commit_sealed", self._commit)
        taken["all"] = sum(taken.values())
        # Not of the floor: what the read would take if it did not have to come from the disk.
        timed("read_cached", sealed.read_bytes)
        return taken

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def _commit(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("INSERT INTO step(state) VALUES ('claimed')")
        self._db.execute("COMMIT")


def _written(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
