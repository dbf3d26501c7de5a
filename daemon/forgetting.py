"""Forgets what lies here when its time is over: the original and the sealed file, nothing else.

    FILED ── keep_local_days ──▶ receipts read again, targets asked again ──▶ FORGOTTEN ──▶ unlinked
    DISCARDED, WITHDRAWN ── keep_refused_days ─────────────────────────────▶ FORGOTTEN ──▶ unlinked
    REFUSED ── keep_refused_days ──▶ an alarm: a person decides

The proofs count at the moment of forgetting, not those of the day it was filed (I2). A
target that does not answer delays it; one that holds it no longer has its delivery GONE.
FORGOTTEN and its ledger line are on the disk before anything is unlinked; a start goes on
with whatever an earlier process had not unlinked. While the clock is not trusted nothing's
time is over, and where it was set forward no time has gone by.

Quality checking, requests for the paper and holds are not built yet: each will be one
more condition of `lifecycle.may_forget`.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from daemon import durable, lifecycle, receipts
from daemon.document import Delivery, DeliveryState, Role, State, folder_of
from daemon.proving import AWAY, HELD, Proving
from daemon.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from daemon.alarms import Alarms
    from daemon.document import Document
    from daemon.sections import Profile
    from daemon.spool import SpoolThread
    from daemon.targets import Target

log = logging.getLogger("forgetting")

LOCAL: Final = re.compile(r"original\.[a-z0-9]+|sealed\.pdf|stamped\.pdf")
"""What is removed; entry, note, manifest and receipts stay as long as the ledger."""
BATCH: Final = 64
PASS_SECONDS: Final = 600.0
"""So often is looked whose time is over: the shortest time that is configured is a day."""

REFUSED_LONG: Final = "refused-kept-long"
NOT_ASKED: Final = "proof-not-asked"
DAMAGED: Final = "proof-damaged"
UNKNOWN: Final = "keeping-unknown"
STUCK: Final = "not-unlinked"

NOT_NOW: Final = frozenset(
    {errno.EACCES, errno.EPERM, errno.EBUSY, errno.EISDIR, errno.ENOTDIR, errno.ELOOP}
)
"""What unlinking one file may say; anything else is the disk's trouble and ends the process."""


class Forgetting:
    """The stage that forgets."""

    def __init__(
        self,
        profiles: Mapping[str, Profile],
        documents: Path,
        spool: SpoolThread,
        targets: Mapping[str, Target],
        alarms: Alarms,
        clock: Callable[[], datetime],
        clock_problem: Callable[[], Awaitable[str]],
        proving: Proving | None = None,
    ) -> None:
        """Nothing runs yet; *clock_problem* says why the time is not to be trusted, or ""."""
        self._profiles = profiles
        self._documents = documents
        self._spool = spool
        self._targets = targets
        self._alarms = alarms
        self._clock = clock
        self._clock_problem = clock_problem
        self._proving = proving or Proving(documents, spool, targets, clock)
        self._silent: dict[str, str] = {}
        """By target that could not be asked in this pass: why."""
        self._damaged: list[str] = []
        """Documents of this pass whose receipts are not what was committed."""
        self._shown: set[tuple[str, str]] = set()
        self.batch = BATCH
        """So many documents are read at once."""

    async def run(self) -> None:
        """Forget until cancelled."""
        while True:
            await self.turn()
            await asyncio.sleep(PASS_SECONDS)

    async def turn(self) -> None:
        """Look at everything whose time is over, once."""
        raised: dict[tuple[str, str], str] = {}
        stuck = await self._unlink_all()
        now = self._clock()  # first: a jump that comes after the question is none of this pass
        if not await self._clock_problem():
            self._silent, self._damaged = {}, []
            for name in await self._spool(Spool.aging_profiles):
                raised |= await self._age(name, now)
            raised |= {(NOT_ASKED, target): why for target, why in self._silent.items()}
            if self._damaged:
                raised[DAMAGED, ""] = f"{len(self._damaged)}: {self._damaged[0]}"
            stuck = await self._unlink_all()
        if stuck:
            raised[STUCK, ""] = f"{len(stuck)}: {stuck[0]}"
        for code, instance in self._shown - raised.keys():
            self._alarms.clear(code, instance)
        for (code, instance), detail in raised.items():
            self._alarms.raise_(code, instance, detail)
        self._shown = set(raised)

    # -- whose time is over -----------------------------------------------------------------

    async def _age(self, name: str, now: datetime) -> dict[tuple[str, str], str]:
        """Forget what of one profile is to be forgotten; return the alarms about it."""
        profile = self._profiles.get(name)
        if profile is None:  # nobody says for how long
            return {(UNKNOWN, name): ""}
        kept = timedelta(days=profile.keep_local_days)
        refused = timedelta(days=profile.keep_refused_days)
        await self._forget_aged(name, State.FILED, kept, now)
        await self._forget_aged(name, State.DISCARDED, refused, now)
        await self._forget_aged(name, State.WITHDRAWN, refused, now)
        count = await self._spool(Spool.aged_count, name, State.REFUSED, now - refused)
        return {(REFUSED_LONG, name): str(count)} if count else {}

    async def _forget_aged(
        self, profile: str, state: State, keep: timedelta, now: datetime
    ) -> None:
        after, until = None, now - keep
        while found := await self._spool(Spool.aged, profile, state, until, self.batch, after):
            forgotten = [
                await self._forget(document)
                for document in found
                if await self._spool(Spool.kept_until, document, keep) <= now
            ]
            if any(forgotten):
                await self._unlink_all()
            after = found[-1]

    async def _forget(self, document: Document) -> bool:
        """Commit that one document is forgotten, if all that speaks for it is so now."""
        deliveries = await self._spool(Spool.deliveries, document.id)
        states = [(one.role, one.state) for one in deliveries]
        if not lifecycle.may_forget(document.state, states):
            return False
        asked: list[str] = []
        if document.state is State.FILED:
            proven = await self._asked(document, deliveries)
            if proven is None:
                return False
            asked = proven
        done = await self._spool(Spool.forget, document, deliveries, asked, self._clock())
        if done:
            log.info("forgotten document=%s", document.id)
        return done

    # -- the proofs -------------------------------------------------------------------------

    async def _asked(self, document: Document, deliveries: Sequence[Delivery]) -> list[str] | None:
        """Return the targets that hold it as they were asked just now; None if that is too little.

        A target that is configured no longer cannot be asked: its receipt stands for it, but
        one DMS and one archive have to have answered.
        """
        folder = folder_of(self._documents, document.id)
        said = await self._spool(Spool.receipts, document.id)
        delivered = [one for one in deliveries if one.state is DeliveryState.DELIVERED]
        for delivery in delivered:
            committed = json.loads(said.get(delivery.target, "[]"))
            if not await asyncio.to_thread(receipts.settle, folder, delivery, committed):
                log.error("proof-damaged document=%s target=%s", document.id, delivery.target)
                self._damaged.append(f"{document.id}/receipt-{delivery.target}.json")
                return None
        asked = [one for one in delivered if one.target in self._targets]
        answers = [await self._holds(one) for one in asked]
        if not all(answers):
            return None
        if {one.role for one in asked} != set(Role):
            self._silent |= {one.target: "" for one in delivered if one not in asked}
            return None
        return [one.target for one in asked]

    async def _holds(self, delivery: Delivery) -> bool:
        """Ask a target for every part; commit that it is GONE if it does not hold one."""
        if delivery.target in self._silent:
            return False  # it was away a moment ago: it is asked once in a pass
        said = await self._proving.ask(delivery)
        if said.state == AWAY:
            self._silent[delivery.target] = said.code
        return said.state == HELD

    # -- the files --------------------------------------------------------------------------

    async def _unlink_all(self) -> list[str]:
        """Remove the files of everything that is FORGOTTEN; return the ids where that failed."""
        after, stuck = "", []
        while found := await self._spool(Spool.leaving, self.batch, after):
            # The ledger's files, too, know it before a byte goes: a rebuild reads those.
            await self._spool(Spool.export_ledger)
            failed = await asyncio.to_thread(self._unlink, found)
            stuck += failed
            gone = [one for one in found if one not in failed]
            if gone:
                await self._spool(Spool.unlinked, gone, self._clock())
            after = found[-1]
        return stuck

    def _unlink(self, ids: Sequence[str]) -> list[str]:
        failed = []
        for document_id in ids:
            try:
                unlink_local(folder_of(self._documents, document_id))
            except OSError as exc:
                if exc.errno not in NOT_NOW:
                    raise
                log.error("not-unlinked document=%s errno=%s", document_id, exc.errno)  # noqa: TRY400
                failed.append(document_id)
        return failed


def unlink_local(folder: Path) -> None:
    """Remove a document's own bytes from its folder, durably. May be repeated."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 (names, not paths)
    except FileNotFoundError:
        return
    for name in sorted(names):
        if LOCAL.fullmatch(name):
            (folder / name).unlink(missing_ok=True)
    durable.sync_folder(folder)
