"""One process for each state_dir: two on one spool would lose documents.

The lock is the kernel's, on `<state_dir>/lock`: whatever ends its holder frees it.

Where a wipe has begun nobody works but who goes on with it: what a service took in
there meanwhile would be wiped unlooked at.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from daemon import durable
from daemon.errors import PersonNeeded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MARKER: Final = "decommissioned"
"""The file by that name: the ledger was exported, and everything here is being wiped."""


@contextmanager
def alone(state_dir: Path, *, wiping: bool = False) -> Iterator[None]:
    """Hold the lock of *state_dir*, which is made if need be; PersonNeeded if another one has it.

    Likewise if it is being wiped, unless that is gone on with: *wiping*.
    """
    missing = [path for path in state_dir.parents if not path.is_dir()]
    if not state_dir.is_dir():
        state_dir.mkdir(mode=0o710, parents=True, exist_ok=True)
    # Else a power cut takes it with all that is in it. It may have been made by a process that
    # was killed before it came to this. A folder that we may not list is not one we made.
    for path in (*reversed(missing), state_dir):
        with suppress(PermissionError):
            durable.sync_folder(path.parent)
    # Not to write: the lock can be held on a disk that is read-only now.
    fd = os.open(state_dir / "lock", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PersonNeeded("already-running", f"another service works on {state_dir}") from None
        if not wiping and (state_dir / MARKER).exists():
            raise PersonNeeded("being-wiped", str(state_dir))
        yield
    finally:
        os.close(fd)
