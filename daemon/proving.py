"""Asks targets again what they hold: before our own copy goes, when a person asks, and at random.

    held      it holds the very object of its receipt, as it was read back just now
    gone      it is not there any more (a clerk may have deleted it): the delivery is GONE
    differs   something else is there, or it is there twice: GONE, with that code
    away      it could not be asked, or gave no answer that says anything about the document

What is found gone is committed, whoever has asked: a person decides about it
(`release` or `waive`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from daemon import durable
from daemon import receipts as receipt_files
from daemon.document import DeliveryState, State, folder_of, utc_text
from daemon.errors import PermanentError, TargetDisagrees, TargetDuplicate, TransientError
from daemon.outgoing import sendings
from daemon.records import rows
from daemon.spool import Spool
from daemon.targets import NOTHING, Extends, check

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from daemon.document import Delivery, Document, Receipt
    from daemon.spool import SpoolThread
    from daemon.targets import About, Target
    from daemon.terms import Terms

log = logging.getLogger("proving")

GONE: Final = "gone-from-target"
HELD: Final = "held"
AWAY: Final = "away"
ASK_SECONDS: Final = 600.0
"""So long a target may take over one part, and as much longer as reading it from end to end takes."""
SLOWEST: Final = 50_000
"""A line of so many bytes per second is still waited for."""
SAMPLE_SECONDS: Final = 3600.0
"""So often one document of each target is asked for again, at random."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """What one target has said of one document just now."""

    target: str
    state: str
    """held, gone, differs, away, or the state of a delivery that was never proven."""
    receipts: tuple[Receipt, ...] = ()
    """As they were read back just now; empty unless it is held."""
    code: str = ""
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it for a person or a program."""
        return {
            "target": self.target,
            "state": self.state,
            "code": self.code,
            "reason": self.reason,
            "parts": rows.receipts_json(self.receipts),
        }


class Proving:
    """The stage that asks again."""

    def __init__(
        self,
        documents: Path,
        spool: SpoolThread,
        targets: Mapping[str, Target],
        clock: Callable[[], datetime],
        terms: Mapping[str, Terms] | None = None,
        found: Callable[[], None] = lambda: None,
    ) -> None:
        """Nothing runs yet; *found* is called whenever something was found gone."""
        self._documents = documents
        self._spool = spool
        self._targets = targets
        self._clock = clock
        self._terms = terms or {}
        self._found = found
        self._filed: asyncio.Queue[str] = asyncio.Queue()
        self._lengthening = asyncio.Lock()

    async def run(self) -> None:
        """Ask for one document of each target now and then, until cancelled.

        And for each that was filed, where a target locks it: its first lock may be a short one.
        """
        sampled_at = time.monotonic()
        while True:
            left = sampled_at + SAMPLE_SECONDS - time.monotonic()
            if document_id := await self._next_filed(left):
                await self.prove(document_id)
                continue
            sampled_at = time.monotonic()
            for name in self._targets:
                await self.sample(name, random.random())  # noqa: S311 (which one is no secret)

    async def _next_filed(self, seconds: float) -> str:
        """Return the next document that was filed, or "" if there is none for so long."""
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                return await self._filed.get()
        except TimeoutError:
            return ""

    def filed(self, document_id: str) -> None:
        """Take note that a document was filed just now."""
        if any(isinstance(target, Extends) for target in self._targets.values()):
            self._filed.put_nowait(document_id)

    async def sample(self, target: str, place: float) -> Proven | None:
        """Ask *target* for the delivered document at *place*, 0 to 1, of all times; None without one."""
        delivery = await self._spool(Spool.delivered_near, target, place)
        return await self.ask(delivery) if delivery is not None else None

    async def prove(self, document_id: str) -> list[Proven]:
        """Ask every target of a document, now; in the order of their names."""
        deliveries = await self._spool(Spool.deliveries, document_id)
        return [await self.ask(delivery) for delivery in deliveries]

    async def ask(self, delivery: Delivery) -> Proven:
        """Ask the target of a delivery for every part; commit it if it does not hold one."""
        target = self._targets.get(delivery.target)
        if delivery.state is not DeliveryState.DELIVERED:
            return Proven(target=delivery.target, state=delivery.state, code=delivery.code)
        if target is None:
            return Proven(target=delivery.target, state=AWAY, code="target-not-configured")
        said = await self._spool(Spool.receipts, delivery.document)
        before = rows.receipts_from(json.loads(said.get(delivery.target, "[]")))
        document = await self._spool(Spool.document, delivery.document)
        try:
            receipts = await self._held(target, delivery, document, before)
            if document.state is State.FILED:
                receipts = await self._lengthened(target, delivery, document, receipts)
        except (TargetDisagrees, TargetDuplicate, _Gone) as exc:
            return await self._miss(delivery, exc)
        except (TransientError, PermanentError) as exc:
            # Also what it refuses for good says nothing about what it holds.
            return Proven(target=target.name, state=AWAY, code=exc.code, reason=str(exc.args[0]))
        except TimeoutError:
            return Proven(target=target.name, state=AWAY, code="target-unreachable")
        return Proven(target=target.name, state=HELD, receipts=tuple(receipts))

    async def _lengthened(
        self, target: Target, delivery: Delivery, document: Document, held: list[Receipt]
    ) -> list[Receipt]:
        """Return the receipts with locks for all of their time; commit it if they were shorter.

        The first lock of a target may be a short one: what was misdirected could never be taken
        back else. Once everything is proven it is locked for as long as its profile says.
        """
        until = self._about(target, document).retain_until
        if not isinstance(target, Extends) or until is None:
            return held
        if all(one.detail.get("retain_until", "") >= utc_text(until) for one in held):
            return held
        # One at a time: of two, the row of one and the file of the other could stay.
        async with self._lengthening:
            return await self._extended(target, delivery, held, until)

    async def _extended(
        self, target: Extends, delivery: Delivery, held: list[Receipt], until: datetime
    ) -> list[Receipt]:
        longer = [await target.extend(receipt, until) for receipt in held]
        folder = folder_of(self._documents, delivery.document)
        path = receipt_files.path_in(folder, delivery.target)
        # Gone before the row says otherwise: one that is missing is written again from the row.
        await asyncio.to_thread(_removed, path)
        if not await self._spool(Spool.lengthened, delivery, longer, self._clock()):
            return held
        text = receipt_files.text(delivery, rows.receipts_json(longer))
        await asyncio.to_thread(durable.write_eventually, path, text)
        return longer

    def _about(self, target: Target, document: Document) -> About:
        terms = self._terms.get(target.name)
        return terms.rules.about(document, {}) if terms and terms.rules.about else NOTHING

    async def _held(
        self, target: Target, delivery: Delivery, document: Document, before: Sequence[Receipt]
    ) -> list[Receipt]:
        now = []
        parts = sendings(self._documents, delivery, self._about(target, document))
        for part, receipt in zip(parts, before, strict=True):
            async with asyncio.timeout(ASK_SECONDS + part.size / SLOWEST):
                held = await target.prove(receipt, part)
            if held is None:
                raise _Gone(f"{part.key} is not there any more")
            check(target, part, held)
            now.append(held)
        return now

    async def _miss(self, delivery: Delivery, error: PermanentError) -> Proven:
        log.error(
            "gone document=%s target=%s code=%s", delivery.document, delivery.target, error.code
        )
        reason = str(error.args[0])
        if await self._spool(Spool.miss, delivery, error.code, reason, self._clock()):
            self._found()
        state = "gone" if isinstance(error, _Gone) else "differs"
        return Proven(target=delivery.target, state=state, code=error.code, reason=reason)


def _removed(path: Path) -> None:
    path.unlink(missing_ok=True)
    durable.sync_folder(path.parent)


class _Gone(PermanentError):
    def __init__(self, message: str) -> None:
        super().__init__(GONE, message)
