"""A ledger of some days, sealed by a key in software and archived in a folder, for tests."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from daemon.alarms import Alarms
from daemon.document import Role
from daemon.errors import TransientError
from daemon.segments import SegmentsStage
from daemon.spool import Spool, SpoolThread, open_spool
from daemon.targets.folder import FolderTarget
from tests.unit.test_cms import token_for
from tests.values import places

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from daemon import cms
    from daemon.document import Receipt
    from daemon.targets import Sending

FIRST = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
"""The first day; the certificate begins to be valid on the one before."""
DAY = timedelta(days=1)


@dataclass
class SoftKey:
    """Plays the token: signs by a key in this process, or is away."""

    scheme: str = "ecdsa-sha256"
    away: bool = False
    signatures: list[bytes] = field(default_factory=list)

    @property
    def template(self) -> cms.Template:
        return token_for(self.scheme).template

    async def sign(self, attributes: bytes, template: cms.Template) -> bytes:
        if self.away:
            raise TransientError("token-missing", "it was unplugged")
        assert template is self.template
        self.signatures.append(attributes)
        return token_for(self.scheme).sign(attributes)


class Archive(FolderTarget):
    """A folder that remembers what was put there."""

    puts: list[str]

    async def put_all(self, parts: Sequence[Sending]) -> list[Receipt]:
        self.puts += [part.key for part in parts]
        return await super().put_all(parts)


@dataclass
class Here:
    """What a test of the stage holds in its hands."""

    root: Path
    spool: SpoolThread
    stage: SegmentsStage
    key: SoftKey
    alarms: Alarms
    archive: Archive
    now: datetime = FIRST
    clock_good: bool = True

    @property
    def ledger(self) -> Path:
        return self.root / "state" / "ledger"

    async def note(self, number: int = 1, *, personal: bool = False) -> None:
        """Write so many lines now, and let the files follow."""
        for n in range(number):
            person = {"person": f"Erika Muster {n}"} if personal else None
            await self.spool(Spool.note, "start", {"n": n}, person, self.now)
        await self.spool(Spool.export_ledger)

    async def may_seal(self) -> bool:
        return self.clock_good

    async def turn(self) -> None:
        """Seal and deliver all that is due, as the running stage does."""
        while await self.stage.seal_next():
            pass
        await self.stage.deliver(self.archive)
        await self.stage.show()


@asynccontextmanager
async def archiving(root: Path, scheme: str = "ecdsa-sha256") -> AsyncIterator[Here]:
    """Open a spool in *root*, with the stage and an archive; again if it was there before."""
    state = places(root / "state")
    (root / "archive").mkdir(exist_ok=True)
    spool = await open_spool(state, new=not (state / "spool.db").exists())
    archive = Archive("archive", Role.ARCHIVE, root / "archive")
    archive.puts = []
    targets = {"archive": archive, "dms": FolderTarget("dms", Role.DMS, root / "dms")}
    alarms = Alarms(lambda: here.now)
    key = SoftKey(scheme)

    async def may_seal() -> bool:
        return await here.may_seal()

    stage = SegmentsStage(state / "ledger", spool, key, targets, alarms, lambda: here.now, may_seal)
    here = Here(root, spool, stage, key, alarms, archive)
    try:
        yield here
    finally:
        await spool.close()


def run(root: Path, work: Callable[[Here], Awaitable[None]], scheme: str = "ecdsa-sha256") -> None:
    """Run *work* with a stage of its own."""
    token_for(scheme)  # runs a loop of its own, once

    async def main() -> None:
        async with archiving(root, scheme) as here:
            await work(here)

    asyncio.run(main())


def export(root: Path, days: int = 3, scheme: str = "ecdsa-sha256") -> Path:
    """Make an archive of so many sealed days, five lines on the first; return its folder."""

    async def work(here: Here) -> None:
        for number in range(days):
            here.now = FIRST + number * DAY
            await here.note(5, personal=True)
            await here.turn()
        here.now += DAY
        await here.turn()

    root.mkdir(exist_ok=True)
    run(root, work, scheme)
    return root / "archive"
