"""Seals each day of the ledger once it is over, and takes it to every archive.

    ledger/2026-11-22.jsonl ──▶ 2026-11-22.p7s ──▶ <archive>/ledger-<box id>-2026-11-22/
      over: never changes         detached CMS         segment.jsonl, segment.p7s
                                                    ──▶ 2026-11-22.receipt-<archive>.json

Nothing here is urgent: a token or an archive that is away only delays it, and after
three days an alarm says so. Each archive has a lane of its own, and none stops another
or the sealing. A day that cannot be sealed because its lines are not what they were
stops the days after it, and nothing else: the chain goes through it.

Personal details lie in files of their own, and those stay here.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import random
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from daemon import cms, durable, ledger, lifecycle
from daemon.document import Digest, Role, utc_text
from daemon.doubt import Doubt
from daemon.errors import CorruptionError, PermanentError, TransientError
from daemon.records import rows
from daemon.records.segments import measured
from daemon.spool import Spool
from daemon.targets import DOUBT, About, Sending, asked, send

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from daemon.alarms import Alarms
    from daemon.document import Receipt
    from daemon.ledger import Segment
    from daemon.spool import SpoolThread
    from daemon.targets import Target

log = logging.getLogger("segments")

IDLE_SECONDS: Final = 10.0
"""So often the stage looks whether a day is over."""
SETTLE: Final = timedelta(minutes=5)
"""For so long what an archive does not show says nothing (`in_doubt_seconds` of a target)."""
LATE_AFTER: Final = timedelta(days=3)
"""So long after its end a day should be in every archive."""
ALARM: Final = "ledger-not-archived"
DAMAGE: Final = "ledger-damaged"


class SealingKey(Protocol):
    """The token, logged in, with its certificate."""

    @property
    def template(self) -> cms.Template:
        """The CMS that each seal is made from."""

    async def sign(self, attributes: bytes, template: cms.Template) -> bytes:
        """Sign with the key of *template*; raise TransientError whenever it cannot be done now."""


class SegmentsStage:
    """The stage that seals and archives the ledger."""

    def __init__(
        self,
        folder: Path,
        spool: SpoolThread,
        key: SealingKey,
        targets: Mapping[str, Target],
        alarms: Alarms,
        clock: Callable[[], datetime],
        may_seal: Callable[[], Awaitable[bool]],
        keep: timedelta = timedelta(),
    ) -> None:
        """Nothing runs yet; *folder* is `ledger/`, *may_seal* says whether clock and key allow it.

        For so long as *keep* an archive that locks lets nobody change a day.
        """
        self._folder = folder
        self._spool = spool
        self._key = key
        self._archives = [one for one in targets.values() if one.role is Role.ARCHIVE]
        self._alarms = alarms
        self._clock = clock
        self._may_seal = may_seal
        self._keep = keep
        self._started: datetime | None = None
        """When something was about to be delivered for the first time."""
        self._doubts: dict[tuple[str, str], Doubt] = {}
        """By archive and day, where the last try has told more than that this process began."""
        self._sealed = {archive.name: asyncio.Event() for archive in self._archives}
        self._refused: dict[str, str] = {}
        """By archive: the day that it will not take as it is, and why."""
        self._damaged = ""
        self.beat: Callable[[], None] = lambda: None
        """Called after each look."""

    async def run(self) -> None:
        """Seal and deliver until cancelled; what is on the way then is asked for by the next start."""
        tasks = [asyncio.create_task(self._serve(archive)) for archive in self._archives]
        tasks.append(asyncio.create_task(self._watch()))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # -- sealing ------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            while await self.seal_next():
                self.beat()
            await self.show()
            self.beat()
            await asyncio.sleep(IDLE_SECONDS)

    async def seal_next(self) -> bool:
        """Seal the oldest day that is over; return whether one was sealed."""
        if not await self._due() or not await self._may_seal():
            return False
        await self._spool(Spool.end_day, self._clock())
        found = await self._spool(Spool.next_segment)
        if found is None:
            return False
        path, after = found
        try:
            await self._seal(path, after)
        except CorruptionError as exc:
            if exc.code != DAMAGE:  # the database's: that ends the service
                raise
            self._show_damage(path.stem)
            log.warning("damaged day=%s code=%s", path.stem, exc.code)
            return False
        except (TransientError, PermanentError) as exc:  # the token's doing, never the ledger's
            log.warning("not-sealed day=%s code=%s", path.stem, exc.code)
            return False
        self._show_damage("")
        for event in self._sealed.values():
            event.set()
        return True

    async def _due(self) -> bool:
        """Return whether there is a day to seal, by the clock as it is."""
        over = await self._spool(Spool.day_is_over, self._clock())
        return over or await self._spool(Spool.next_segment) is not None

    async def _seal(self, path: Path, after: ledger.Head) -> None:
        head, digest, size = await asyncio.to_thread(measured, path, after)
        if not await self._spool(Spool.holds, head):
            raise CorruptionError(DAMAGE, f"{path.name} is not what the database holds")
        template = self._key.template
        content = await asyncio.to_thread(_hashed, path, template.digest)
        attributes = cms.detached_attributes(template, content, self._clock())
        seal = cms.assemble(template, attributes, await self._key.sign(attributes, template))
        cms.check(seal, content, template.certificate, template.chain, detached=True)
        await asyncio.to_thread(durable.write, path.with_suffix(".p7s"), seal)
        segment = ledger.Segment(
            day=path.stem,
            first=after.seq + 1,
            head=head,
            digest=digest,
            size=size,
            seal=Digest.of(seal),
            seal_size=len(seal),
        )
        certificate = Digest.of(template.certificate)
        await self._spool(Spool.seal_segment, segment, certificate, self._clock())
        log.info("sealed day=%s lines=%d", segment.day, head.seq - after.seq)

    def _show_damage(self, day: str) -> None:
        if self._damaged and self._damaged != day:
            self._alarms.clear(DAMAGE, self._damaged)
        if day:
            self._alarms.raise_("ledger-damaged", day)
        self._damaged = day

    # -- delivering ---------------------------------------------------------------------

    async def _serve(self, archive: Target) -> None:
        failures = 0
        while True:
            self._sealed[archive.name].clear()
            failures = 0 if await self.deliver(archive) else failures + 1
            pause = timedelta(seconds=IDLE_SECONDS)
            if failures:
                pause = lifecycle.backoff(failures, random.random())  # noqa: S311 (no secret)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause.total_seconds()):
                    await self._sealed[archive.name].wait()

    async def deliver(self, archive: Target) -> bool:
        """Take to *archive* what it has not proven; return whether all of it is there now."""
        refused = ""
        for segment in await self._spool(Spool.undelivered, archive.name):
            try:
                await self._deliver(archive, segment)
            except TransientError as exc:
                log.warning("not-archived target=%s code=%s", archive.name, exc.code)
                return False
            except PermanentError as exc:  # a person's; the other days go on
                log.warning("refused target=%s day=%s code=%s", archive.name, segment.day, exc.code)
                refused = refused or f"{segment.day} {exc.code}"
        self._refused[archive.name] = refused
        return not refused

    async def _deliver(self, archive: Target, segment: Segment) -> None:
        in_doubt = await self._spool(Spool.begin_segment, segment.day, archive.name, self._clock())
        # As for a document: what is sent has to be known from the files alone.
        await self._spool(Spool.export_ledger)
        name = ledger.segment_id(await self._spool(Spool.box_id), segment.day)
        # The seal comes last: once it is there, so is what it is about.
        lines = self._folder / f"{segment.day}.jsonl"
        until = _end_of_day(datetime.fromisoformat(f"{segment.day}T00:00:00Z")) + self._keep
        about = About(retain_until=until if self._keep else None, facts={"id": name})
        seal = lines.with_suffix(".p7s")
        parts = (
            Sending(f"{name}/{ledger.SEGMENT_LINES}", lines, segment.digest, segment.size, about),
            Sending(f"{name}/{ledger.SEGMENT_SEAL}", seal, segment.seal, segment.seal_size, about),
        )
        receipts = await self._carried(archive, segment.day, parts, in_doubt=in_doubt)
        proof = self._folder / f"{segment.day}.receipt-{archive.name}.json"
        await asyncio.to_thread(durable.write, proof, _proof(segment, archive, receipts))
        await self._spool(
            Spool.acknowledge_segment, segment.day, archive.name, receipts, self._clock()
        )

    async def _carried(
        self, archive: Target, day: str, parts: Sequence[Sending], *, in_doubt: bool
    ) -> list[Receipt]:
        """Have all parts there; in doubt, where it cannot refuse a second one, by the rule of doubt.

        The doubt is not kept over a start: it begins anew then, which is the longer one.
        """
        self._started = self._started or self._clock()
        found = await asked(archive, parts) if in_doubt else None
        if found is not None and None in found and not archive.create_once:
            now = self._clock()
            doubt = self._doubts.get((archive.name, day), Doubt(self._started, None, SETTLE))
            if not doubt.may_put(now):
                if doubt.counts(now):
                    self._doubts[archive.name, day] = replace(doubt, absent=now)
                raise TransientError(DOUBT, f"{archive.name} does not show {day} yet")
        try:
            return await send(archive, parts, found)
        except TransientError:
            self._doubts[archive.name, day] = Doubt(self._clock(), None, SETTLE)
            raise

    # -- what people are told -------------------------------------------------------------

    async def show(self) -> None:
        """Raise or clear the alarm of each archive."""
        now = self._clock()
        for archive in self._archives:
            why = self._refused.get(archive.name, "")
            oldest = await self._spool(Spool.unarchived_since, archive.name)
            if not why and oldest is not None and now - _end_of_day(oldest) > LATE_AFTER:
                why = utc_text(oldest)[:10]
            if why:
                self._alarms.raise_("ledger-not-archived", archive.name, why)
            else:
                self._alarms.clear(ALARM, archive.name)


def _hashed(path: Path, algorithm: str) -> bytes:
    """Return the digest of a file that `[seal] digest` asks for: the segment's own is SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).digest()


def _end_of_day(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def _proof(segment: Segment, archive: Target, receipts: Sequence[Receipt]) -> bytes:
    proof = {
        "v": 1,
        "segment": segment.day,
        "target": archive.name,
        "role": archive.role,
        "receipts": rows.receipts_json(receipts),
    }
    return json.dumps(proof, indent=1, sort_keys=True).encode() + b"\n"
