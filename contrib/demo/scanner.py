"""Plays a network scanner that saves into a folder.

Scanners write straight to the final name, piece by piece as the pages come in,
with pauses while the next sheet is drawn in. Some keep the file open, some open
it anew for each piece. This does both; it will not write to a temporary name and
rename, sync anything to disk, or replace a file, because scanners do not, either.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path


def drop(
    source: Path,
    folder: Path,
    name: str,
    *,
    pieces: int,
    seconds: float,
    reopen: bool = False,
    sleep: Callable[[float], object] = time.sleep,
) -> Path:
    """Write *source* to *folder*/*name* in *pieces*, over *seconds*; return the new file.

    Between two pieces the file stays open, with *reopen* it is closed. *sleep* is
    called there, and only there, so a test can look at the half-written file.
    """
    data = source.read_bytes()
    if not 1 <= pieces <= max(1, len(data)):
        raise ValueError(f"{source} has {len(data)} bytes and cannot be written in {pieces} pieces")
    place = folder / name
    edges = [len(data) * number // pieces for number in range(pieces + 1)]
    file = place.open("xb")
    try:
        for start, end in pairwise(edges):
            if start:
                if reopen:
                    file.close()
                sleep(seconds / (pieces - 1))
                if reopen:
                    file = place.open("ab")
            file.write(data[start:end])
            file.flush()
    finally:
        file.close()
    return place
