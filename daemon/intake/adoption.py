"""An original that lies in its document's folder and has no row: a second look, and it is claimed.

A kill before the commit leaves one, and so does a private name that could not be had
back. Only what nobody else can write to is taken as it is; anything else is a
person's to explain (I12).
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from daemon import durable
from daemon.intake import NotNow, Reason
from daemon.intake.claim import Claimed
from daemon.intake.moving import drop_old_name, is_ours
from daemon.intake.origin import Origin, clear_temporaries, origin_of, stored
from daemon.intake.settle import Look, examine, facts_of, flaw, open_scan, writer_open

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.config import HotFolder


def adopted(folder: Path, documents: Path, sections: Iterable[HotFolder]) -> Claimed:
    """Return the claim of the original in *folder*, durable; NotNow if it cannot be one now.

    It came from one of the hot folders in *sections*, or from one that is configured no longer.
    """
    origin = origin_of(folder)
    original = stored(folder)
    if origin is None or original is None or origin.id != folder.name:
        raise NotNow(Reason.UNREADABLE, "document.json is missing or cannot be read")
    section = next((one for one in sections if one.name == origin.hotfolder), None)
    clear_temporaries(folder)
    if section is not None:
        drop_old_name(Path(section.path), origin, original)
    with os.fdopen(open_scan(original), "rb", buffering=0) as file:
        facts = facts_of(file.fileno())
        if not is_ours(facts):
            raise NotNow(Reason.UNREADABLE, "the original in the document's folder is not ours")
        look = Look.of(facts)
        if writer_open(file.fileno()):
            raise NotNow(Reason.WRITER)
        # A copy has an inode and times of its own: then what was copied counts.
        if look.inode == origin.inode or look.size != origin.size:
            origin = _as_it_is(origin, look, documents)
        content = examine(file.fileno(), look.size)
        digest, _ = durable.digest_and_size(file)
        os.fsync(file.fileno())
        if Look.of(facts_of(file.fileno())) != look:
            raise NotNow(Reason.QUIET)
    durable.sync_folder(folder)
    return Claimed(
        arrival=origin.arrival(digest, content.kind, section.awaits if section else ""),
        flaw=flaw(look.size, content),
        copied=False,
    )


def _as_it_is(origin: Origin, look: Look, documents: Path) -> Origin:
    if look.is_still(origin.size, origin.mtime_ns, origin.inode):
        return origin
    origin = replace(origin, size=look.size, mtime_ns=look.mtime_ns, inode=look.inode)
    origin.write(documents)
    return origin
