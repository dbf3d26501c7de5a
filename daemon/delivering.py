"""One step of one delivery. It can be killed between any two lines.

    PENDING ──send──▶ SENDING ──acknowledge──▶ DELIVERED
                       │  ▲
                       │  └── postponed: a due time and a reason, no state
                    reject──▶ REFUSED

SENDING is committed before the first byte leaves. What is found in SENDING may have
arrived: the target is asked for each part before one is sent again (I3), and where it cannot
refuse a second copy, not before `doubt` allows it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from daemon import durable, lifecycle, receipts
from daemon.document import GRADES, Delivery, DeliveryState, Document, State, folder_of
from daemon.doubt import Doubt
from daemon.errors import PermanentError, TransientError
from daemon.outgoing import sendings
from daemon.records import rows
from daemon.records.transaction import together
from daemon.spool import Spool
from daemon.targets import DOUBT, NOTHING, OWN_COPY_DAMAGED, About, asked, send

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from daemon.document import Receipt
    from daemon.spool import SpoolThread
    from daemon.targets import Sending, Target

DONE: Final = frozenset({DeliveryState.DELIVERED, DeliveryState.WAIVED})
WEAK: Final = "target-proof-weak"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one step of a delivery ended."""

    state: DeliveryState | None
    """DELIVERED, REFUSED, SENDING (postponed), or None: it may not be sent any more, or not yet."""
    code: str = ""
    retry_after: float | None = None
    """For so many seconds the target wants to be left alone."""
    filed: bool = field(default=False, compare=False)
    """With that its document was filed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is configured for one target."""

    settle: timedelta = timedelta(seconds=300)
    """For so long what was not found says nothing, after something was on its way."""
    after: str = ""
    """The target that has to have a document first."""
    followers: tuple[str, ...] = ()
    """The targets that wait for this one."""
    proof: str = "metadata"
    """The weakest grade of a receipt that counts."""
    about: Callable[[Document, dict[str, str]], About] | None = None
    """What the target is told of a document; None: nothing."""
    started: datetime = datetime(1, 1, 1, tzinfo=UTC)
    """When this process began."""


@dataclass(frozen=True, slots=True)
class _Begun:
    """What is known once the step is committed."""

    delivery: Delivery
    missing: str
    """The first of our own files that is not there, or ""."""
    ahead: bool
    """The ledger's files lack the line of its manifest."""
    document: Document | None
    told: dict[str, str] = field(default_factory=dict)


async def deliver(
    spool: SpoolThread,
    documents: Path,
    delivery: Delivery,
    target: Target,
    clock: Callable[[], datetime],
    jitter: float = 1.0,
    rules: Rules | None = None,
    slots: asyncio.Semaphore | None = None,
) -> Outcome:
    """Move one delivery one step; it can be killed between any two lines.

    The target is used while one of *slots* is held, and no longer.

    Nothing is done if it is no longer as *delivery* says, its document may not be
    sent (HELD), or another target has to have it first. What is not foreseen is not caught.
    """
    rules = rules or Rules()
    in_doubt = delivery.state is DeliveryState.SENDING  # a crash, or an answer we never got
    folder = folder_of(documents, delivery.document)
    begun = await spool(_begin, delivery, folder, rules, clock())
    if begun is None:
        return Outcome(None)
    if begun.ahead:
        # A database made again from the files must know what anybody out there may hold.
        await spool(Spool.export_ledger)
    about = rules.about(begun.document, begun.told) if rules.about and begun.document else NOTHING
    step = _Step(spool, begun.delivery, target, clock, jitter, rules, about)
    try:
        async with slots or contextlib.nullcontext():
            parts = sendings(documents, delivery, about)
            proven = await step.proven(parts, begun.missing, in_doubt)
    except TransientError as exc:
        return await step.postponed(exc)
    except PermanentError as exc:
        await spool(_reject, begun.delivery, exc.code, step.unnamed(exc), clock())
        return Outcome(DeliveryState.REFUSED, exc.code)
    path = receipts.path_in(folder, delivery.target)
    proof = receipts.text(begun.delivery, rows.receipts_json(proven))
    await asyncio.to_thread(durable.write_eventually, path, proof)
    after = await spool(Spool.acknowledge, begun.delivery, proven, clock(), rules.followers)
    return Outcome(DeliveryState.DELIVERED, filed=after.state is State.FILED)


@dataclass(slots=True)
class _Step:
    """What is known of the step while it goes on."""

    spool: SpoolThread
    delivery: Delivery
    target: Target
    clock: Callable[[], datetime]
    jitter: float
    rules: Rules
    about: About
    putting: bool = False
    """Something may be on its way."""
    doubt: Doubt | None = None
    """It was not found, and may not be put yet."""

    async def proven(
        self, parts: Sequence[Sending], missing: str, in_doubt: bool
    ) -> Sequence[Receipt]:
        """Have all parts at the target, in order; none if one of ours is *missing*."""
        if missing:
            raise PermanentError(OWN_COPY_DAMAGED, f"{missing} is not there any more")
        found = await asked(self.target, parts) if in_doubt else None
        if found is not None and None in found:
            await self._may_put_again()
        self.putting = found is None or None in found
        proven = await send(self.target, parts, found)
        for receipt in proven:
            if GRADES.index(receipt.grade) < GRADES.index(self.rules.proof):
                raise PermanentError(
                    WEAK, f"{self.target.name} proves {receipt.key} by {receipt.grade} only"
                )
        return proven

    async def _may_put_again(self) -> None:
        """Return once what was not found just now may be put; commit that it is on its way."""
        if not self.target.create_once:
            now = self.clock()
            doubt = Doubt.of(self.delivery, self.rules.started, now, self.rules.settle)
            if not self.delivery.sure and not doubt.may_put(now):
                self.doubt = doubt
                raise TransientError(DOUBT, f"{self.target.name} does not show it yet")
            await self.spool(Spool.send_again, self.delivery, now)

    async def postponed(self, error: TransientError) -> Outcome:
        """Commit when to try again."""
        now = self.clock()
        backoff = lifecycle.backoff(self.delivery.attempts + 1, self.jitter)
        due_at = now + max(backoff, timedelta(seconds=error.retry_after or 0))
        changed: dict[str, Any] = {}
        if self.putting:
            changed = {"sent_at": now, "absent_at": "", "sure": not error.in_doubt}
        elif self.doubt is not None:
            due_at = self.doubt.ask_at(now, backoff)
            changed = {"sent_at": self.doubt.since}
            if self.doubt.absent is None:
                changed["absent_at"] = now if self.doubt.counts(now) else ""
        await self.spool(
            Spool.postpone, self.delivery, due_at, error.code, self.unnamed(error), now, changed
        )
        return Outcome(DeliveryState.SENDING, error.code, error.retry_after)

    def unnamed(self, error: TransientError | PermanentError) -> str:
        """Return the error's sentence without what we told the target of people."""
        text = str(error.args[0])
        for name in PERSONAL:
            if said := self.about.facts.get(name):
                text = re.sub(rf"(?<!\w){re.escape(said)}(?!\w)", "…", text)
        return text


PERSONAL: Final = ("operator", "batch", "number")
"""Facts that may name somebody: a target's answer may repeat them, our ledger's must not."""


@together
def _begin(
    spool: Spool, delivery: Delivery, folder: Path, rules: Rules, now: datetime
) -> _Begun | None:
    """On the spool's thread, so nothing comes between: look again, commit the intent."""
    if not spool.sendable(delivery):
        return None
    told: dict[str, str] = {}
    if rules.after:
        first = {one.target: one for one in spool.deliveries(delivery.document)}.get(rules.after)
        if first is not None and first.state not in DONE:
            if delivery.state is DeliveryState.PENDING:
                spool.await_predecessor(delivery, now)
                return None
        elif first is not None:
            told["archive_id"] = spool.reference(delivery.document, rules.after)
    document = None
    if rules.about is not None:
        document = spool.document(delivery.document)
        if not document.described.operator:
            told["operator"] = spool.on_shift(document.hotfolder, document.claimed_at)
        told["supersedes"] = next((one.id for one in spool.superseded(document.id)), "")
    ahead = spool.manifest_is_ahead(delivery.document)
    begun = spool.begin_delivery(delivery, now)
    return _Begun(begun, _missing(delivery, folder), ahead, document, told)


def _reject(spool: Spool, delivery: Delivery, code: str, reason: str, now: datetime) -> None:
    """Give the delivery to a person; hold the whole document if our own copy is damaged."""
    document = spool.document(delivery.document)
    # Held first: after a crash in between, nothing of it is sent until a person has looked.
    if code == OWN_COPY_DAMAGED and document.state is State.FROZEN:
        spool.set_aside(document, code, reason, now)
    spool.reject(delivery, code, reason, now)


def _missing(delivery: Delivery, folder: Path) -> str:
    """Return which of our own files is missing, or ""; put() hashes them while it sends."""
    for part in delivery.parts:
        try:
            there = (folder / part.file).is_file()
        except OSError:
            there = False
        if not there:
            return part.file
    return ""
