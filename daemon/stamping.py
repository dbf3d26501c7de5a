"""Puts time-stamp tokens into sealed files: level B-T, or B-LT where the evidence is in it already.

    sealed.pdf (B-B, with room in its gap)     nothing is sent of it yet
       │  a token for its signature's value, from the first authority that answers
       ▼
    stamped.pdf  the same bytes around the same gap, fsynced, read back
       │  STAMPED is committed, with its digest
       ▼
    sealed.pdf   renamed over it

Killed before the commit, stamped.pdf is nobody's and goes; killed after it, `settle`
finds it under the committed digest and renames it. Nothing is ever appended.

While no authority answers nothing is tried but one document now and then; the rest
wait, and nobody waits for them.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from daemon import cms, durable, gap
from daemon.document import Digest, Document, State, folder_of
from daemon.errors import PermanentError, TransientError
from daemon.spool import Spool
from daemon.workplace import OWN_COPY_DAMAGED

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from daemon.alarms import Alarms
    from daemon.config import Config
    from daemon.spool import SpoolThread

UNAVAILABLE: Final = "timestamp-unavailable"
OVERDUE: Final = "timestamp-overdue"
GIVEN_UP: Final = "timestamp-given-up"
STAMPED: Final = "stamped.pdf"
FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 300.0


def settle(folder: Path, document: Document) -> None:
    """Bring the files of a SEALED or STAMPED document to what is committed about it.

    Raise PermanentError `own-copy-damaged` if neither file is the committed one.
    """
    sealed, stamped = folder / "sealed.pdf", folder / STAMPED
    if not stamped.exists():
        return
    if document.state is not State.SEALED and durable.digest_of(stamped)[0] == document.sealed:
        stamped.replace(sealed)
    else:
        stamped.unlink()
    durable.sync_folder(folder)
