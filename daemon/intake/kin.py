"""Is a new scan one that was refused before, dropped again? Then it stands for it.

    the same bytes, or whole, with the name of the copy       it does: `supersedes`
    empty or broken, with the name of the copy                it may: `resembles`, and
    the same name and nothing else                            a person decides

A copy that is dragged back and breaks off on the way has the copy's name, and nothing
else of the paper: the scan it was made of may be the only good one.

Only refused documents of the same hot folder are asked about: whatever is on its way
or sealed is never replaced by anything. A scan that is refused again stands for both,
if it has the bytes or is whole, so that what lies in `rejected` does not pile up.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from daemon.document import STRANGER, Kin, folder_of
from daemon.intake.copies import copied_name, is_copy_of
from daemon.intake.origin import origin_of

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.document import Arrival
    from daemon.spool import Spool

NEWEST: Final = 200
"""So many refused documents are asked for their names."""
PIECE_BYTES: Final = 4096
"""A broken piece of a file that is smaller says nothing about the paper it is of."""


def kin_of(spool: Spool, arrival: Arrival, *, whole: bool) -> Kin:
    """Return what *arrival* has to do with refused documents; run it where it is claimed.

    *whole*: the file is of a kind that we take, and complete.
    """
    named, alike = _by_name(spool, arrival)
    same = _by_bytes(spool, arrival, whole=whole)
    if named and not (whole or spool.document(named).digest == arrival.digest):
        return Kin(supersedes=same, how="digest" if same else "", resembles=named)
    if named:
        return Kin(supersedes=(named, *(old for old in same if old != named)), how="copy-name")
    if same:
        return Kin(supersedes=same, how="digest")
    if alike:
        return Kin(resembles=alike)
    here = (arrival.subfolder, arrival.name)
    for old in spool.refused_ids(arrival.hotfolder, NEWEST):
        if place_of(spool.documents, old) == here:
            return Kin(resembles=old)
    return STRANGER


def _by_bytes(spool: Spool, arrival: Arrival, *, whole: bool) -> tuple[str, ...]:
    """Return the documents of which *arrival* has the very bytes."""
    if not arrival.size:
        return ()
    same = [old.id for old in spool.refused_with(arrival.hotfolder, arrival.digest)]
    if not whole and arrival.size < PIECE_BYTES:
        # Two papers of which only the same few first bytes came are still two papers.
        here = (arrival.subfolder, arrival.name)
        same = [old for old in same if place_of(spool.documents, old) == here]
    return tuple(same)


def _by_name(spool: Spool, arrival: Arrival) -> tuple[str, str]:
    """Return the one document of whose copy *arrival* has the name; else one whose digits it has."""
    found = copied_name(arrival.name)
    if found is None:
        return "", ""
    alike = spool.refused_ending(arrival.hotfolder, found[1], NEWEST)
    named = [
        old
        for old in alike
        if is_copy_of(
            arrival.name,
            place_of(spool.documents, old)[1],
            old,
            [older.id for older in spool.superseded(old)],
        )
    ]
    return named[0] if len(named) == 1 else "", alike[0] if len(alike) == 1 else ""


@lru_cache(maxsize=1024)
def place_of(documents: Path, document_id: str) -> tuple[bytes, bytes]:
    """Return subfolder and name of a document's file; both empty if nobody can read them."""
    origin = origin_of(folder_of(documents, document_id))
    return (origin.subfolder, origin.name) if origin else (b"", b"")
