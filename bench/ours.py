"""Our sealer as the service builds it, watched from where it calls others.

Nothing of ours is changed: the spool, the page workers and the key that the sealer
gets are the real ones, and note when they were asked and when they had answered.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

from daemon import durable, hsm
from daemon.alarms import Alarms
from daemon.book import Book
from daemon.config import Config, load
from daemon.document import Arrival, Document, State, folder_of, new_id
from daemon.key import Key
from daemon.sealer import Sealer
from daemon.service import page_workers
from daemon.spool import Spool, SpoolThread, open_spool
from daemon.stamping import Stamper
from daemon.token import Token
from daemon.workers import Worker, Workers
from tests.system.box import Box

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from contrib.demo.token import TokenFiles
    from daemon.cms import Template
    from daemon.document import Digest

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Watch:
    """When A called others and when they had answered, in one round."""

    marks: dict[str, float] = field(default_factory=dict)

    def mark(self, name: str) -> None:
        """Remember the first time of *name*: what comes after SEALED calls some of them again."""
        self.marks.setdefault(name, time.perf_counter())


class WatchedSpool(SpoolThread):
    """The spool, watched."""

    def __init__(self, spool: SpoolThread, watch: Watch) -> None:
        """Pass everything on to *spool*."""
        self._inner = spool
        self._watch = watch

    async def __call__(
        self, method: Callable[Concatenate[Spool, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do as SpoolThread does."""
        self._watch.mark(f"{method.__name__} asked")
        answer = await self._inner(method, *args, **kwargs)
        self._watch.mark(f"{method.__name__} done")
        return answer


class WatchedWorkers(Workers):
    """The page workers, watched."""

    def __init__(self, workers: list[Worker], watch: Watch) -> None:
        """Be these workers."""
        super().__init__(workers)
        self._watch = watch

    async def call(
        self,
        task: str,
        argument: Mapping[str, Any],
        *,
        seconds: float,
        cpu_seconds: float | None = None,
    ) -> Any:
        """Do as Workers does."""
        self._watch.mark(f"{task} asked")
        answer = await super().call(task, argument, seconds=seconds, cpu_seconds=cpu_seconds)
        self._watch.mark(f"{task} done")
        return answer


class WatchedKey:
    """The sealing key, watched."""

    def __init__(self, key: Key, watch: Watch) -> None:
        """Pass everything on to *key*."""
        self._key = key
        self._watch = watch

    @property
    def template(self) -> Template:
        """The key's."""
        return self._key.template

    @property
    def environment(self) -> str:
        """The key's."""
        return self._key.environment

    def qualified(self, certificate: bytes = b"") -> str:
        """Do as the key does."""
        return self._key.qualified(certificate)

    async def sign(self, attributes: bytes, template: Template) -> bytes:
        """Do as the key does."""
        self._watch.mark("sign asked")
        answer = await self._key.sign(attributes, template)
        self._watch.mark("sign done")
        return answer


STEPS: Final = (
    ("begin", "commit that the step begins", "_begun asked", "_begun done"),
    ("link", "link the original for the worker", "_begun done", "prepare asked"),
    ("prepare", "prepare, in the page worker", "prepare asked", "prepare done"),
    ("digest", "digest around the gap, signed attributes", "prepare done", "sign asked"),
    ("sign", "C_Sign, through the HSM process", "sign asked", "sign done"),
    (
        "compare",
        "beside these two: compare with the original, in the page worker",
        "readback asked",
        "readback done",
    ),
    (
        "splice",
        "CMS, splice, fsync, rename, fsync of the folder, read back from disk, digest, verify",
        "sign done",
        "_committed asked",
    ),
    ("commit", "commit SEALED", "_committed asked", "_committed done"),
)


@dataclass
class Ours:
    """The real sealer with the real spool, workers and token, in this process."""

    config: Config
    spool: SpoolThread
    sealer: Sealer
    key: WatchedKey
    watch: Watch
    source: Path
    digest: Digest

    async def seal(self) -> dict[str, float]:
        """Claim one document and seal it; return what each step took, and all of them."""
        document = await self._claimed()
        self.watch.marks.clear()
        begun = time.perf_counter()
        after = await self.sealer.seal(document, self.key)
        if after.state is not State.FROZEN:
            raise RuntimeError(f"{after.state} {after.code}")
        marks = self.watch.marks
        taken = {name: marks[end] - marks[start] for name, _, start, end in STEPS}
        # What comes before the first step is the sealer's own, and counts.
        taken["all"] = marks["_committed done"] - begun
        taken["from_digest"] = marks["_committed done"] - marks["prepare done"]
        return taken

    async def _claimed(self) -> Document:
        """Put the file where a claim puts it, durably, and commit its row."""
        now = datetime.now(UTC)
        document_id = new_id(now)
        folder = folder_of(self.config.documents, document_id)
        await asyncio.to_thread(durable.make_folders, folder, self.config.documents)
        await asyncio.to_thread(durable.copy, self.source, folder / "original.pdf")
        await asyncio.to_thread(durable.sync_folder, folder)
        found = (folder / "original.pdf").stat()
        arrival = Arrival(
            id=document_id,
            hotfolder="post",
            profile="post",
            name=b"scan.pdf",
            size=found.st_size,
            mtime_ns=found.st_mtime_ns,
            inode=found.st_ino,
            digest=self.digest,
            kind="pdf",
            claimed_at=now,
            clock="sure",
        )
        return await self.spool(Spool.claim, arrival, now)


@asynccontextmanager
async def ours(root: Path, token: TokenFiles, source: Path) -> AsyncIterator[Ours]:
    """Build what the service builds, as far as sealing needs it."""
    config = load(Box(root, token).config)
    for path in (config.documents, config.state_dir / "ledger", config.work_in, config.work_out):
        path.mkdir(parents=True)
    clock = _now
    settings = hsm.HsmSettings(
        module=config.hsm.module,
        token=config.hsm.token,
        key=config.hsm.key,
        pin=config.pin_file(None),
        timeout_seconds=config.hsm.timeout_seconds,
    )
    watch = Watch()
    spool = await open_spool(config.state_dir, new=True)
    environment = {**os.environ, "SOFTHSM2_CONF": str(token.softhsm2_conf)}
    device = hsm.Hsm(hsm.hsm_worker(config.state_dir / "work", environment), settings)
    keeper = Token(device, Book(spool), padding=config.seal.padding, now=clock)
    key = Key(config, keeper, config.work_out, Alarms(clock), clock)
    pages = WatchedWorkers(page_workers(config), watch)
    try:
        if not await key.usable():
            raise RuntimeError(f"the key cannot be used: {key.problems}")
        watched = WatchedSpool(spool, watch)
        stamper = Stamper(config, watched, None, Alarms(clock), clock)
        box_id = await spool(Spool.box_id)
        sealer = Sealer(config, box_id, watched, pages, clock, stamper)
        yield Ours(
            config=config,
            spool=spool,
            sealer=sealer,
            key=WatchedKey(key, watch),
            watch=watch,
            source=source,
            digest=durable.digest_of(source)[0],
        )
    finally:
        await keeper.close()
        await pages.stop()
        await spool.close()


def _now() -> datetime:
    return datetime.now(UTC)
