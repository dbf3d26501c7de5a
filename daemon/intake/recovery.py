"""At start: what an interruption left half-way through a claim is finished.

    .scanseal/<id>                      the claim goes on at its third step
    a folder with an original, no row   adopted after a second look
    a folder with document.json only    removed, once its hot folder has shown that it
                                        holds nothing under that id
    anything else without a row         left alone; an alarm asks for a person (I12)

A sidecar that was being taken has a document with a row, which waits: the hot
folder's describer goes on with it.

A document that the ledger remembers is never adopted anew, and no folder that holds
a receipt or a sealed file is ever removed: those are other stages' to explain.
`work/` is emptied: nothing true lies there.

A day whose folders all have rows is explained. That is committed with what the file
system says of the day's folder (its ctime above all), and as long as it says the same no
name has come to it: it is not listed again. Rows never go, and a database that was made
anew, or an older one put back, knows of no day, or of the folder as it no longer is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from daemon.document import is_id
from daemon.intake import NotNow, Reason, at_share
from daemon.intake.adoption import adopted
from daemon.intake.claim import Claimed, Desk, commit
from daemon.intake.moving import use_private
from daemon.intake.origin import origin_of, remove_unused, unused
from daemon.intake.settle import leases_here
from daemon.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.alarms import Alarms
    from daemon.config import Config, HotFolder
    from daemon.spool import SpoolThread

log = logging.getLogger("intake")

UNEXPLAINED: Final = "folder-unexplained"
QUIET_SECONDS: Final = 2.0
"""A folder that changed later than this before it was listed may change without showing it."""
PATIENCE_SECONDS: Final = 30.0
"""A share that does not answer for so long is left to its stage, which waits as long as it takes."""


async def recover(
    config: Config, spool: SpoolThread, alarms: Alarms, clock: Callable[[], datetime]
) -> None:
    """Finish what was interrupted. Before any stage runs."""
    await asyncio.to_thread(_empty, config.state_dir / "work")
    private: dict[str, frozenset[str] | None] = {}
    for section in config.hotfolders:
        desk = Desk(section, config.documents)
        try:
            private[section.name] = await _finish_private(desk, spool, clock)
        except NotNow as exc:
            # Not even listed: what lies there is not ours, and ours may be elsewhere.
            private[section.name] = None
            if exc.reason is Reason.PERMISSION:
                alarms.raise_(exc.reason, section.name, exc.detail)
    unexplained = 0
    known = await spool(Spool.explained_days)
    explained = {}
    for day in await asyncio.to_thread(_days, config.documents):
        if day.stamp and known.get(day.name) == day.stamp:
            explained[day.name] = day.stamp
        elif unknown := await _without_row(day, spool):
            unexplained += await _look_at(day, unknown, private, config.hotfolders, spool, clock)
        elif day.stamp:
            explained[day.name] = day.stamp
    if explained != known:
        await spool(Spool.days_explained, explained, clock())
    if unexplained:
        alarms.raise_(UNEXPLAINED, detail=str(unexplained))
        log.warning("folders-unexplained n=%d", unexplained)
    else:
        alarms.clear(UNEXPLAINED)


async def explain(documents: Path, spool: SpoolThread, now: datetime) -> None:
    """Find out which days are explained by now: the next start has less to list. Changes no file."""
    known = await spool(Spool.explained_days)
    explained = dict(known)
    for day in await asyncio.to_thread(_days, documents):
        new = day.stamp and known.get(day.name) != day.stamp
        if new and not await _without_row(day, spool):
            explained[day.name] = day.stamp
    if explained != known:
        await spool(Spool.days_explained, explained, now)


# -- the hot folders --------------------------------------------------------------------


async def _finish_private(
    desk: Desk, spool: SpoolThread, clock: Callable[[], datetime]
) -> frozenset[str] | None:
    """Finish each claim under `.scanseal`; return what is left there, None if nobody knows.

    Raise NotNow if it is not ours.
    """
    listed = await _private_ids(desk)
    if listed:
        with contextlib.suppress(OSError):
            desk.leases = await asyncio.to_thread(leases_here, desk.folder)
    for document_id in sorted(listed or ()):
        try:
            if await spool(Spool.exists, document_id):
                await asyncio.to_thread(desk.sort_out, document_id, clock())
                continue
            claimed = await asyncio.to_thread(desk.resume, document_id, None, clock(), "unsure")
        except NotNow:
            continue  # the stage sees it in its first round, and waits as long as it takes
        await _commit(spool, claimed, clock)
        if claimed.copied:
            with contextlib.suppress(NotNow):
                await asyncio.to_thread(desk.let_go, claimed)
    return await _private_ids(desk)


async def _private_ids(desk: Desk) -> frozenset[str] | None:
    try:
        names = await asyncio.wait_for(asyncio.to_thread(_names, desk.private), PATIENCE_SECONDS)
    except TimeoutError:
        return None
    return frozenset(name for name in names if is_id(name))


def _names(folder: Path) -> list[str]:
    use_private(folder)
    with at_share("list", folder):
        return [path.name for path in folder.iterdir()]


async def _commit(spool: SpoolThread, claimed: Claimed, clock: Callable[[], datetime]) -> None:
    document = await spool(commit, claimed, clock())
    log.info("claim-finished document=%s state=%s", document.id, document.state)


# -- the documents ------------------------------------------------------------------------


class _Day(NamedTuple):
    """A folder YYYY/MM/DD."""

    begin: datetime
    path: Path
    stamp: str
    """What changes whenever a name comes or goes; "" if it may not show that yet."""

    @property
    def name(self) -> str:
        return self.begin.date().isoformat()


def _days(documents: Path) -> list[_Day]:
    """Return the folders of the days, the oldest first."""
    found = []
    for path in sorted(documents.glob("[0-9]*/[0-9]*/[0-9]*")):
        with contextlib.suppress(ValueError):
            year, month, day = (int(part) for part in path.parts[-3:])
            found.append(_Day(datetime(year, month, day, tzinfo=UTC), path, _stamp(path)))
    return found


def _stamp(path: Path) -> str:
    facts = path.stat()
    if not 0 <= facts.st_ctime < time.time() - QUIET_SECONDS:
        return ""
    return f"{facts.st_ino}:{facts.st_ctime_ns}:{facts.st_nlink}:{facts.st_size}"


async def _without_row(day: _Day, spool: SpoolThread) -> list[str]:
    """Return the names in a day's folder that no row has."""
    names = await asyncio.to_thread(os.listdir, day.path)
    begin = _first_id(day.begin), _first_id(day.begin + timedelta(days=1))
    rows = await spool(Spool.ids_between, *begin)
    return sorted(set(names) - rows)


async def _look_at(
    day: _Day,
    unknown: Sequence[str],
    private: dict[str, frozenset[str] | None],
    sections: Sequence[HotFolder],
    spool: SpoolThread,
    clock: Callable[[], datetime],
) -> int:
    """Look at each folder of a day that has no row; return how many nobody can explain."""
    path = day.path
    unexplained = 0
    for name in unknown:
        folder = path / name
        if not is_id(name):
            unexplained += 1
            continue
        inside = await asyncio.to_thread(os.listdir, folder)
        remembered = await spool(Spool.remembered, name)
        match judged(inside, remembered=remembered):
            case "adopt":
                try:
                    claimed = await asyncio.to_thread(adopted, folder, path.parents[2], sections)
                except NotNow:
                    unexplained += 1
                else:
                    await _commit(spool, claimed, clock)
            case "remove":
                if await asyncio.to_thread(_came_to_nothing, folder, private):
                    await asyncio.to_thread(remove_unused, path.parents[2], name)
            case "unexplained":
                unexplained += 1
    return unexplained


def judged(names: list[str], *, remembered: bool) -> str:
    """Return what a folder with these names and without a row is: adopt, remove, leave, unexplained."""
    originals = [name for name in names if name.startswith("original.")]
    others = [name for name in names if name not in originals]
    if not originals:
        if remembered or any(name.startswith("receipt-") for name in names):
            return "leave"  # it was forgotten
        return "remove" if unused(names) else "unexplained"
    return "adopt" if len(originals) == 1 and unused(others) and not remembered else "unexplained"


def _first_id(moment: datetime) -> str:
    digits = f"{int(moment.timestamp() * 1000):012x}"
    return f"{digits[:8]}-{digits[8:]}"


def _came_to_nothing(folder: Path, private: dict[str, frozenset[str] | None]) -> bool:
    """Return whether nothing can lie anywhere under this folder's id."""
    origin = origin_of(folder)
    if any(folder.name in (ids or ()) for ids in private.values()):
        return False
    # A hot folder that did not answer may hold the scan, and this has its name.
    if origin is None:  # which one that is cannot be read
        return None not in private.values()
    return private.get(origin.hotfolder) is not None


# -- work/ --------------------------------------------------------------------------------


def _empty(work: Path) -> None:
    """Remove what page workers left in `work/`; the folders in it stay."""
    if not work.is_dir():
        return
    for place in work.iterdir():
        if place.name in {"in", "out"} and place.is_dir() and not place.is_symlink():
            for path in place.iterdir():
                _remove(path)
        else:
            _remove(place)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
