"""A sealer with everything real around it but the service: spool, page workers, SoftHSM."""

from __future__ import annotations

import os
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from daemon import config, hsm
from daemon.alarms import Alarms
from daemon.book import Book
from daemon.document import Arrival, Digest, Document, folder_of, new_id
from daemon.key import Key
from daemon.magic import extension, identify
from daemon.sealer import Sealer
from daemon.service import page_workers
from daemon.spool import Spool, SpoolThread, open_spool
from daemon.stamping import Stamper
from daemon.token import Token
from daemon.workers import Worker, Workers
from tests.court import docket
from tests.schema_of_notes import problem
from tests.system.box import CONFIG

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from contrib.demo.token import TokenFiles
    from daemon.pages.dss import Store
    from daemon.stamping import Authority


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Sealing:
    """What a test of the sealer holds in its hands."""

    config: config.Config
    spool: SpoolThread
    alarms: Alarms
    token: Token
    key: Key
    worker: Worker
    sealer: Sealer
    stamper: Stamper

    async def claim(self, source: Path) -> Document:
        """Claim a copy of *source*, as the intake would have."""
        document_id = new_id(now())
        folder = folder_of(self.config.documents, document_id)
        folder.mkdir(parents=True)
        data = source.read_bytes()
        kind = identify(data[:1024]) or "bin"
        (folder / f"original.{extension(kind)}").write_bytes(data)
        arrival = Arrival(
            id=document_id,
            hotfolder="post",
            profile="post",
            name=os.fsencode(source.name),
            size=len(data),
            mtime_ns=time.time_ns(),
            inode=1,
            digest=Digest.of(data),
            kind=kind,
            claimed_at=now(),
            clock="sure",
        )
        return await self.spool(Spool.claim, arrival, now())


@asynccontextmanager
async def sealing(
    root: Path,
    files: TokenFiles,
    *,
    staff: Callable[[list[Worker]], Workers] | None = None,
    profile: str = "",
    more: str = "",
    operator: str = "K 17",
    seal: str = "",
    sessions: int = 1,
    timeout_seconds: float = 20.0,
    authority: Authority | None = None,
    proofs: Callable[[], Store | None] = lambda: None,
) -> AsyncIterator[Sealing]:
    """Build one in *root*, and take it down.

    It has one page worker, or as many as the service and as *staff* arranges them. *more*
    is added to its configuration, *profile* to the profile's, and *seal* is how it seals.
    """
    text = (
        CONFIG.format(
            root=root,
            module=files.module,
            label=files.token,
            key=files.key,
            certificate=files.certificate,
            chain=files.chain,
            pin=files.pin,
            max_pages=2000,
            more=more,
        )
        .replace("\n[hsm]\n", f"{profile}\n[hsm]\n")
        .replace('"K 17"', f'"{operator}"')
        .replace("[seal]\n", f"[seal]\n{seal}\n")
        .replace("[hsm]\n", f"[hsm]\nsessions = {sessions}\n")
    )
    (root / "scanseal.toml").write_text(text)
    loaded = config.load(root / "scanseal.toml")
    for place in (loaded.documents, loaded.work_in, loaded.work_out, loaded.state_dir / "ledger"):
        place.mkdir(parents=True)
    spool = await open_spool(loaded.state_dir, new=True)
    environment = {**os.environ, "SOFTHSM2_CONF": str(files.softhsm2_conf)}
    settings = hsm.HsmSettings(
        module=loaded.hsm.module,
        token=loaded.hsm.token,
        serial=loaded.hsm.serial,
        key=loaded.hsm.key,
        pin=files.pin,
        timeout_seconds=timeout_seconds,
    )
    first, *others = (
        hsm.Hsm(hsm.hsm_worker(loaded.work_out, environment), settings)
        for _ in range(loaded.hsm.sessions)
    )
    token = Token(
        first,
        Book(spool),
        others=others,
        padding=loaded.seal.padding,
        digest=loaded.seal.digest,
    )
    alarms = Alarms(now)
    key = Key(loaded, token, loaded.work_out, alarms, now)
    workers = page_workers(loaded)
    worker = workers[0]
    pages = staff(workers) if staff else Workers([worker])
    box_id = await spool(Spool.box_id)
    stamper = Stamper(loaded, spool, authority, alarms, now)
    sealer = Sealer(loaded, box_id, spool, pages, now, stamper, proofs)
    try:
        yield Sealing(loaded, spool, alarms, token, key, worker, sealer, stamper)
        for document in await spool(Spool.newest, 1000):
            file = folder_of(loaded.documents, document.id) / "note.xml"
            # Some tests put something else there.
            if file.is_file() and Digest.of(note := file.read_bytes()) == document.note:
                assert not (why := problem(note)), why
    finally:
        await pages.stop()
        await token.close()
        made = [(one, sealer.folder(one)) for one in await spool(Spool.newest, 10_000)]
        await spool.close()
    docket.hand_over(made, files.ca)
