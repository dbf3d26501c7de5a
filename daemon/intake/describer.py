"""Finds out what came with the scans of one hot folder, and lets them go on.

    WAITING ─▶ sidecar there? ─▶ page worker ─▶ taken along ─┐
                    └─ not in time ─▶ remark, or refusal     ├─▶ Spool.describe
              name ─▶ page worker ───────────────────────────┘

A claim waits for nothing of this: scans are taken in while page workers are busy or
cannot be had. Each document is in a step meanwhile, so that one whose sidecar ends the
daemon is known by name at the next start, which describes it alone (I8). What a worker says is not believed
before it fits (I10), and what it read is what was taken, byte for byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from daemon import slip as slips
from daemon.document import State, folder_of
from daemon.errors import TransientError
from daemon.intake import TROUBLES, NotNow, Reason
from daemon.intake.origin import origin_of
from daemon.intake.pairing import Awaiting, kind_of
from daemon.intake.reading import Reading, Unreadable
from daemon.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from daemon.alarms import Alarms
    from daemon.config import Config, HotFolder
    from daemon.document import Described, Document, Part
    from daemon.intake.doorkeeper import Doorkeeper, Ready
    from daemon.intake.sidecar import Taken
    from daemon.slip import Slip
    from daemon.spool import SpoolThread
    from daemon.workers import Workers

T = TypeVar("T")

log = logging.getLogger("intake")

PAUSED: Final = "describing-paused"
SCANS_MISSING: Final = "scans-missing"
DAMAGED: Final = "sidecar-damaged"
LACKING: Final = "sidecar-missing"
UNMATCHED: Final = "name-unmatched"
UNREADABLE: Final = "name-unreadable"
AT_ONCE: Final = 4
BATCH: Final = 256
LEAST_GRACE_SECONDS: Final = 60.0
RETRY_SECONDS: Final = 5.0


class Patiently(Protocol):
    """Runs something in the stage's own thread, for as long as the share takes."""

    def __call__(self, work: Callable[[], T]) -> Awaitable[T]:
        """Return what *work* returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What became of one document."""

    described: Described
    part: Part | None
    refusal: tuple[str, str] | None


class Describer:
    """Describes the documents of one hot folder."""

    def __init__(
        self,
        section: HotFolder,
        config: Config,
        spool: SpoolThread,
        alarms: Alarms,
        clock: Callable[[], datetime],
        *,
        door: Doorkeeper,
        patiently: Patiently,
        pages: Workers | None,
    ) -> None:
        """Nothing runs yet; *pages* is needed where there is a sidecar or a name to be read."""
        self._section = section
        self._config = config
        self._spool = spool
        self._alarms = alarms
        self._clock = clock
        self._door = door
        self._patiently = patiently
        self._reading = Reading(pages)
        self._wake = asyncio.Event()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._paused_until = 0.0
        self.done: Callable[[Document], None] = lambda _: None
        """Called with each document that goes on, or is refused."""

    @property
    def grace_seconds(self) -> float:
        """For how long a number that is missing may still be on its way."""
        section = self._section
        wait = section.settle_seconds + section.rescan_seconds + section.sidecar_wait_seconds
        return max(wait, LEAST_GRACE_SECONDS)

    async def refresh(self) -> None:
        """Learn which documents wait. Before the folder is looked through."""
        waiting = self._door.waiting
        ids = await self._spool(Spool.waiting, self._section.name)
        for document_id in waiting.keys() - ids:
            del waiting[document_id]
        new = [document_id for document_id in ids if document_id not in waiting]
        for start in range(0, len(new), BATCH):
            documents = await self._spool(_rows, new[start : start + BATCH])
            found = await self._patiently(partial(self._awaiting, documents))
            waiting |= {one.id: one for one in found}

    def looked(self) -> None:
        """Go on: the folder was looked through."""
        self._wake.set()

    async def run(self) -> None:
        """Describe until cancelled; what is in work then is begun anew by the next start."""
        try:
            while True:
                self._wake.clear()
                await self._turn()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RETRY_SECONDS):
                        await self._wake.wait()
        finally:
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    # -- a turn -----------------------------------------------------------------------

    async def _turn(self) -> None:
        self._reap()
        self._tell(await self._spool(Spool.missing_count, self._section.name, self._clock()))
        if self._door.survey.private_sidecars:
            with contextlib.suppress(NotNow):
                await self._patiently(self._door.tidy)
        if not self._door.waiting:
            self._alarms.clear(PAUSED, self._section.name)
        if not self._door.waiting or time.monotonic() < self._paused_until:
            return
        found = await self._patiently(self._door.ready)
        for ready in sorted(found, key=self._suspected, reverse=True):
            alone = self._suspected(ready)
            await self._fewer_than(1 if alone else AT_ONCE)
            if ready.id not in self._running and ready.id in self._door.waiting:
                self._running[ready.id] = asyncio.create_task(
                    self._one(ready), name=f"describe {ready.id}"
                )
            if alone:
                await self._fewer_than(1)

    def _suspected(self, ready: Ready) -> bool:
        """Return whether it has to run alone, so that an end is counted against no other (I8)."""
        one = self._door.waiting.get(ready.id)
        return one is not None and one.suspect

    async def _fewer_than(self, most: int) -> None:
        """Wait until fewer than *most* are in work."""
        while len(self._running) >= most:
            await asyncio.wait(self._running.values(), return_when=asyncio.FIRST_COMPLETED)
            self._reap()

    def _reap(self) -> None:
        """Let go of what has ended; what was not foreseen goes up and ends the process."""
        for document_id, task in list(self._running.items()):
            if task.done():
                del self._running[document_id]
                task.result()

    def _tell(self, missing: int) -> None:
        if missing:
            self._alarms.raise_(SCANS_MISSING, self._section.name, str(missing))
        else:
            self._alarms.clear(SCANS_MISSING, self._section.name)

    def _awaiting(self, documents: list[Document]) -> list[Awaiting]:
        return [self._owed(document) for document in documents]

    def _owed(self, document: Document) -> Awaiting:
        origin = origin_of(folder_of(self._config.documents, document.id))
        wait = self._section.sidecar_wait_seconds
        gone = (self._clock() - document.changed_at).total_seconds()
        began = time.monotonic() - min(max(gone, 0.0), wait)
        sidecar = origin.sidecar if origin else None
        return Awaiting(
            id=document.id,
            place=origin.place if origin else document.id.encode(),
            began=began,
            began_ns=int(document.changed_at.timestamp() * 1e9),
            until=began + wait,
            promised=(sidecar.name, sidecar.inode) if sidecar else None,
            left=self._door.where(document.id),
            suspect=document.tries > 0,
        )

    # -- one document -------------------------------------------------------------------

    async def _one(self, ready: Ready) -> None:
        document = await self._spool(Spool.document, ready.id)
        if document.state is not State.WAITING:
            self._door.waiting.pop(ready.id, None)
            return
        await self._spool(Spool.begin, document, "describe", self._clock())
        try:
            outcome = await self._outcome(document, ready)
        except NotNow as exc:
            await self._spool(Spool.give_back, document, self._clock())
            await self._put_off(ready, exc)
            return
        except TransientError as exc:
            await self._spool(Spool.give_back, document, self._clock())
            self._paused_until = time.monotonic() + RETRY_SECONDS
            self._alarms.raise_(PAUSED, self._section.name, exc.code)
            return
        self._alarms.clear(PAUSED, self._section.name)
        document = await self._spool(
            Spool.describe,
            document,
            outcome.described,
            outcome.part,
            outcome.refusal,
            self.grace_seconds,
            self._clock(),
        )
        self._door.waiting.pop(document.id, None)
        log.info("described document=%s state=%s", document.id, document.state)
        self.done(document)
        if outcome.part is not None:
            with contextlib.suppress(NotNow):  # `tidy` finds it
                await self._patiently(partial(self._door.enclosed, document.id))

    async def _put_off(self, ready: Ready, cause: NotNow) -> None:
        """Leave a sidecar where it is for now; trouble with the share is an alarm of its own."""
        await self._patiently(partial(self._door.put_off, ready, cause))
        left = await self._patiently(partial(self._door.where, ready.id))
        if one := self._door.waiting.get(ready.id):
            # In its folder it was found wanting: then another one is waited for.
            left = "" if ready.action == "stored" else left
            self._door.waiting[ready.id] = replace(one, left=left)
        if cause.reason in TROUBLES:
            self._alarms.raise_(cause.reason, self._section.name, cause.detail)

    async def _outcome(self, document: Document, ready: Ready) -> _Outcome:
        """Find out all that is to be known of a document; NotNow if it has to wait on."""
        section = self._section
        remarks: list[str] = []
        taken, beside, refusal = await self._sidecar(document, ready)
        if ready.action == "end" and section.sidecar != "none":
            if ready.failing:
                refusal = (LACKING, f"it lies there and cannot be taken: {ready.failing}")
            elif ready.promised:
                refusal = (LACKING, "it lay beside the scan, and is gone")
            elif section.sidecar == "required":
                refusal = (LACKING, "none came")
            else:
                remarks.append(LACKING)
        named = None
        try:
            named = await self._name(document)
        except Unreadable as exc:
            refusal = refusal or (UNREADABLE, str(exc))
        if named is None and section.name_pattern:
            remarks.append(UNMATCHED)
        known = refusal is None
        if refusal is None and (flaw := await asyncio.to_thread(self._flaw, document)):
            refusal = (flaw.value, f"{document.size} bytes, taken for {document.kind}")
        described = slips.described(document.described.subfolder, beside, named, remarks)
        part = taken.part if taken else None
        digest = str(part.digest) if part else document.described.sidecar
        described = replace(described, sidecar=digest, known=known)
        return _Outcome(described=described, part=part, refusal=refusal)

    def _flaw(self, document: Document) -> Reason | None:
        try:
            return self._door.flaw(document.id)
        except NotNow:  # an original that cannot be read is the sealer's to say
            return None

    async def _sidecar(
        self, document: Document, ready: Ready
    ) -> tuple[Taken | None, Slip | None, tuple[str, str] | None]:
        """Take the sidecar along; return it, what it says, and why its scan is refused."""
        if ready.action == "end":
            return None, None, None
        read: tuple[bytes | None, Slip | Unreadable] | None = None
        if ready.action == "take":
            content = await self._patiently(partial(self._door.peek, ready))
            read = content, await self._read(content, kind_of(ready.name))
            left = ready.until - time.monotonic()
            if isinstance(read[1], Unreadable) and left > 0:
                # Half of one, perhaps: there is time for the rest of it.
                raise NotNow(Reason.INCOMPLETE, again=left)
        taken = await self._patiently(partial(self._door.enclose, ready))
        if read is None or read[0] != taken.content:
            read = taken.content, await self._read(taken.content, taken.kind)
        said = read[1]
        if not isinstance(said, Unreadable):
            return taken, said, None
        if ready.action == "stored" and str(taken.part.digest) == document.described.sidecar:
            raise NotNow(Reason.INCOMPLETE)  # it was refused for that already
        return taken, None, (DAMAGED, str(said))

    async def _read(self, content: bytes | None, kind: str) -> Slip | Unreadable:
        try:
            return await self._reading.sidecar(content, kind)
        except Unreadable as exc:
            return exc

    async def _name(self, document: Document) -> Slip | None:
        """Return what the file's name says; None if it does not fit, or nobody asks."""
        pattern = self._section.name_pattern
        if not pattern:
            return None
        folder = folder_of(self._config.documents, document.id)
        origin = await asyncio.to_thread(origin_of, folder)
        return await self._reading.name(origin.name if origin else b"", pattern)


def _rows(spool: Spool, ids: list[str]) -> list[Document]:
    return [spool.document(document_id) for document_id in ids]
