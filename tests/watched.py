"""A box to look at: a real spool with documents in every place, and what its processes know."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ParamSpec

from daemon import status
from daemon.alarms import Alarms
from daemon.document import (
    STRANGER,
    Arrival,
    Delivery,
    Described,
    Digest,
    Document,
    Kin,
    Part,
    Receipt,
    Role,
    folder_of,
    new_id,
)
from daemon.records.reader import open_reader
from daemon.spool import Spool
from tests.frozen import FACTS, make_state

P = ParamSpec("P")

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NAME = b"Kuendigung_Erika_Mustermann_1984.pdf"
"""A file name that must not be seen anywhere."""
TRACES = ("kuendigung", "erika", "mustermann", "1984.pdf", NAME.hex(), "sachbearbeiter")
"""What would be left of that name or of a person, in lower case."""

LIVE = status.Live(
    started_at=NOW - timedelta(hours=5),
    now=NOW,
    version="0.1.0",
    box="marktamt-01",
    token=status.TokenState(state="ready", serial="5ea1b0c0ffee0001", label="scanseal"),
    certificate=status.CertificateState(
        subject="CN=Siegel Marktamt,O=Stadt Musterstadt,C=DE",
        not_after=NOW + timedelta(days=412),
        days_left=412,
    ),
    hotfolders=(
        status.HotFolderState(
            name="post",
            waiting=0,
            oldest_seconds=None,
            writer_known=True,
            last_scan_at=NOW - timedelta(seconds=2),
        ),
    ),
    targets=(
        status.TargetState(name="dms", role=Role.DMS),
        status.TargetState(name="archive", role=Role.ARCHIVE),
    ),
    clock="",
    disk_free_bytes=187_400_000_000,
    mqtt_connected=True,
    workers_replaced=0,
)


class Watched:
    """One spool, its alarms, and the snapshots that are made of them."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = make_state(state_dir)
        self.database = state_dir / "spool.db"
        self.spool = Spool(state_dir, new=True)
        self.reader = open_reader(self.database)
        self.alarms = Alarms(lambda: self.live.now)
        self.live = LIVE

    def close(self) -> None:
        self.reader.close()
        self.spool.close()

    def know(self, **changes: Any) -> None:
        """Change what the processes know."""
        self.live = replace(self.live, **changes)

    def now(self) -> status.Snapshot:
        """Make a snapshot."""
        return status.make(self.reader, self.alarms.now(), self.live)

    async def snapshot(self) -> status.Snapshot:
        """Make a snapshot, as the page and MQTT ask for it."""
        return self.now()

    def claimed(self, at: datetime = NOW, kin: Kin = STRANGER) -> Document:
        """Claim a scan with the name that must not be seen."""
        arrival = Arrival(
            id=new_id(at),
            hotfolder="post",
            profile="post",
            name=NAME,
            size=184_320,
            mtime_ns=int(at.timestamp() * 10**9),
            inode=1,
            digest=Digest.of(str(at).encode()),
            kind="pdf",
            claimed_at=at,
            clock="sure",
        )
        return self.spool.claim(arrival, at, kin)

    def told(self, counter: int, at: datetime = NOW) -> Document:
        """Claim a scan of which everything is said that must not be seen, and its number."""
        arrival = Arrival(
            id=new_id(at),
            hotfolder="post",
            profile="post",
            name=NAME,
            size=184_320,
            mtime_ns=int(at.timestamp() * 10**9),
            inode=1,
            digest=Digest.of(b"%d" % counter),
            kind="pdf",
            claimed_at=at,
            clock="sure",
            subfolder=b"Sachbearbeiter",
            awaits="sidecar",
        )
        said = Described(
            operator="Erika Mustermann",
            source="sidecar",
            batch="Kuendigung 1984.pdf",
            number="Mustermann/7",
            pages=3,
            counter=counter,
            digits=4,
            subfolder="Sachbearbeiter",
            remarks=("sidecar-differs",),
        )
        waiting = self.spool.claim(arrival, at)
        return self.spool.describe(waiting, said, None, None, 0.0, at)

    def refused(self, code: str = "crashed-here", at: datetime = NOW) -> Document:
        """Claim a scan and refuse it."""
        return self.spool.refuse(self.claimed(at), code, "twice in step prepare", at)

    def unstamped(
        self, at: datetime = NOW, sealed_at: datetime | None = None, note: bytes = b""
    ) -> Document:
        """Bring a document to where it waits for its time stamp; only its *note* is there."""
        document = self.claimed(at)
        self.spool.begin(document, "seal", at)
        folder = folder_of(self.state_dir / "documents", document.id)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "note.xml").write_bytes(note)
        sealed, noted = (
            Part(role=role, file=file, digest=Digest.of(content), size=len(content))
            for role, file, content in (
                ("sealed", "sealed.pdf", document.id.encode()),
                ("note", "note.xml", note),
            )
        )
        facts = {**FACTS, "level": "B-B", "stamp": "wanted"}
        return self.spool.seal(document, sealed, noted, facts, at, sealed_at or at, at)

    def frozen(self, at: datetime = NOW) -> Document:
        """Bring a document to where its deliveries are made; there are no files of it."""
        document = self.claimed(at)
        self.spool.begin(document, "seal", at)
        original, sealed, note = (
            Part(
                role=role, file=file, digest=Digest.of(f"{document.id} {role}".encode()), size=size
            )
            for role, file, size in (
                ("original", "original.pdf", 184_320),
                ("sealed", "sealed.pdf", 201_114),
                ("note", "note.xml", 1_872),
            )
        )
        document = self.spool.seal(document, sealed, note, FACTS, at, at, at)
        deliveries = (("dms", Role.DMS, (sealed,)), ("archive", Role.ARCHIVE, (original, sealed)))
        return self.spool.freeze(document, deliveries, at)

    def deliver(self, document: Document, target: str, at: datetime = NOW) -> None:
        """Let a target prove every part of a document."""
        delivery = self.spool.delivery(document.id, target)
        sending = self.spool.begin_delivery(delivery, at)
        self.spool.acknowledge(sending, receipts_for(sending, at), at)

    def filed(self, at: datetime = NOW) -> Document:
        """Bring a document all the way."""
        document = self.frozen(at)
        for target in ("dms", "archive"):
            self.deliver(document, target, at)
        return self.spool.document(document.id)


def receipts_for(delivery: Delivery, at: datetime) -> list[Receipt]:
    """Return what a target says that holds everything."""
    return [
        Receipt(
            target=delivery.target,
            key=f"{delivery.document}/{part.file}",
            size=part.size,
            digest=part.digest,
            reference=f"2026/11/22/{delivery.document}/{part.file}",
            grade="bytes",
            proved_at=at,
        )
        for part in delivery.parts
    ]


def names_nobody(text: str) -> bool:
    """Return whether a text holds no trace of the file name or of a person."""
    return not [trace for trace in TRACES if trace in text.lower()]


def on_a_loop(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Run a test that is a coroutine on a loop of its own."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def whole() -> None:
            await test(*args, **kwargs)

        asyncio.run(whole())

    return run
