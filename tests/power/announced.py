"""The service as it is, but each of its fsyncs says first where it stands in the code.

    python -m tests.power.announced run --config FILE

So one recorded run is enough to leave out each fsync by itself. The fsyncs of SQLite
say nothing; they are known by the file's name.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from pathlib import Path

from daemon.__main__ import main

SITE = "user.site"
_one_at_a_time = threading.Lock()
_fsync = os.fsync


def site() -> str:
    """Return the functions of daemon/ from the fsync up to the first outside of durable.py."""
    found = []
    frame = sys._getframe(2)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if "daemon" in path.parts:
            found.append(f"{path.stem}.{frame.f_code.co_name}")
            if path.stem != "durable":
                break
        frame = frame.f_back  # type: ignore[assignment]
    return " < ".join(found)


def announced(fd: int) -> None:
    """Say where, then fsync."""
    with _one_at_a_time:
        with contextlib.suppress(OSError):
            os.setxattr(fd, SITE, site().encode())
        _fsync(fd)


if __name__ == "__main__":
    os.fsync = announced  # type: ignore[assignment]
    sys.exit(main())
