"""The way back: a copy of each refused scan, and a text that says why and what to do.

They lie in the hot folder's `rejected` for `keep_rejected_days`, or until their document
is released, given up or stood for by another; then they are removed. Copies only: the
original stays with us (I2), and whoever has read the text may delete both. Nothing
there is ever overwritten, and nothing removed that is not still ours.

The file's name comes from document.json and goes nowhere but into this folder,
where it came from (I9).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import zoneinfo
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from daemon.clockgate import problem
from daemon.document import Copy, folder_of, printable
from daemon.intake import NotNow, Reason
from daemon.intake.copies import (
    OriginalUnreadable,
    every_stem,
    place,
    stems,
    stems_there,
    take_back,
)
from daemon.intake.explanation import explanation
from daemon.intake.origin import origin_of, stored
from daemon.intake.sharedfolder import opened
from daemon.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from daemon.alarms import Alarms
    from daemon.config import Config, HotFolder
    from daemon.document import Document
    from daemon.spool import SpoolThread

log = logging.getLogger("intake")

NOT_WRITABLE: Final = "rejected-not-writable"
ORIGINAL: Final = "original-unreadable"
GONE: Final = "hotfolder-gone"
BATCH: Final = 64


class WayBack:
    """The copies of one hot folder's refused documents."""

    def __init__(
        self,
        section: HotFolder,
        config: Config,
        spool: SpoolThread,
        alarms: Alarms,
        clock: Callable[[], datetime],
    ) -> None:
        """Nothing is copied yet."""
        self._section = section
        self._config = config
        self._spool = spool
        self._alarms = alarms
        self._clock = clock
        self._rejected = Path(section.rejected)
        self._hotfolder = Path(section.path)
        self._wake = asyncio.Event()
        self._elsewhere: set[str] = set()
        """Hot folders that are not configured and have refused documents, as alarms are raised."""
        self._trouble = ""
        self._damaged = ""

    def wake(self) -> None:
        """Look now: a document was refused, or decided about."""
        self._wake.set()

    async def run(self) -> None:
        """Make copies and remove them as they become due, until cancelled."""
        while True:
            self._wake.clear()
            await self.copy_back()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(60.0, self._section.rescan_seconds)):
                    await self._wake.wait()

    async def copy_back(self) -> int:
        """Make and remove every copy that is due; return how many were made.

        What the folder does not let us do is an alarm, and tried again later; so is an
        original that cannot be read. Neither stops another copy.
        """
        await self._look_elsewhere()
        self._trouble, self._damaged = "", ""
        made = await self._due()
        await self._over()
        for code, detail in ((NOT_WRITABLE, self._trouble), (ORIGINAL, self._damaged)):
            if detail:
                self._alarms.raise_(code, self._section.name, detail)
            else:
                self._alarms.clear(code, self._section.name)
        return made

    async def _due(self) -> int:
        """Make the copies that are due, and remove those whose document was decided about."""
        made, last = 0, ""
        while batch := await self._spool(Spool.copies_due, self._section.name, BATCH, last):
            last = batch[-1].id
            for document in batch:
                try:
                    if document.copy is Copy.DUE:
                        made += await self._make(document)
                    else:
                        await self._remove(document)
                except NotNow as exc:
                    self._trouble = exc.detail
                    if exc.reason is Reason.DISK_FULL:
                        return made
        return made

    async def _over(self) -> None:
        """Remove the copies whose time is over. Never by a clock that nobody can trust."""
        now, last = self._clock(), None
        while batch := await self._spool(Spool.copies_over, self._section.name, now, BATCH, last):
            if last is None and not await self._clock_is_sure():
                return
            last = batch[-1]
            for document in batch:
                try:
                    await self._remove(document)
                except NotNow as exc:
                    self._trouble = exc.detail

    async def _make(self, document: Document) -> bool:
        until = self._clock() + timedelta(days=self._section.keep_rejected_days)
        stands_for = [old.id for old in await self._spool(Spool.superseded, document.id)]
        try:
            await asyncio.to_thread(self._give_back, document, stands_for, until)
        except OriginalUnreadable:
            self._damaged = document.id
            return False
        await self._spool(Spool.copied_back, document, until, self._clock())
        log.info("copied-back document=%s code=%s", document.id, document.code)
        return True

    async def _remove(self, document: Document) -> None:
        removed = await asyncio.to_thread(self._take_back, document)
        await self._spool(Spool.copy_removed, document, self._clock())
        log.info("copy-removed document=%s files=%d", document.id, removed)

    async def _clock_is_sure(self) -> bool:
        return not await problem(self._spool, self._config.box.clock, self._clock())

    async def _look_elsewhere(self) -> None:
        """Say that copies are due where no hot folder is any more: nobody else would.

        They stay due, in case it comes back. What lies in its `rejected` and has to go
        stays there: nobody knows the way to it.
        """
        names = [section.name for section in self._config.hotfolders]
        found = await self._spool(Spool.copies_elsewhere, names)
        for name, count in found.items():
            self._alarms.raise_(GONE, name, str(count))
        for name in self._elsewhere - found.keys():
            self._alarms.clear(GONE, name)
        self._elsewhere = set(found)
        await self._spool(Spool.abandon_copies, names, self._clock())

    # -- blocking -------------------------------------------------------------------

    def _give_back(self, document: Document, stands_for: list[str], until: datetime) -> None:
        folder = folder_of(self._config.documents, document.id)
        original = stored(folder)
        if original is None:
            raise OriginalUnreadable
        name = _name(folder)

        def text(copy: str) -> bytes:
            return explanation(
                document,
                name=printable(name),
                copy=printable(copy.encode("utf-8", "surrogateescape")),
                until=until,
                language=self._config.box.language,
                zone=zoneinfo.ZoneInfo(self._config.box.timezone),
            )

        with opened("write to rejected", self._rejected, self._hotfolder) as rejected:
            place(rejected, document, original, stems(name, document.id, stands_for), text)

    def _take_back(self, document: Document) -> int:
        origin = origin_of(folder_of(self._config.documents, document.id))
        with opened("remove from rejected", self._rejected, self._hotfolder) as rejected:
            if origin is None:
                names = stems_there(rejected, document.id)
            else:
                names = list(every_stem(origin.name, document.id))
            return take_back(rejected, document, names)


def _name(folder: Path) -> bytes:
    origin = origin_of(folder)
    return origin.name if origin else b""
