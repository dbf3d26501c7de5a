"""How long one seal takes, against the least that anybody could take for it.

    A  our sealer: from the start of preparing to SEALED committed
    B  the floor: only what the seal order cannot do without
    C  pyHanko, in process, with the same key

One after the other, round by round, on the same file and disk: A B C A B C ... What
takes the time in A is seen from where it calls others; nothing of ours is changed.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import sqlite3
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

from bench.bare import Bare
from bench.draw import draw
from bench.table import Row, Section, middle
from daemon import durable, hsm
from daemon.alarms import Alarms
from daemon.config import Config, load
from daemon.document import Arrival, Digest, Document, State, folder_of, new_id
from daemon.key import Key
from daemon.sealer import Sealer
from daemon.service import PAGE_LIMITS, PAGE_WORKERS, Book
from daemon.spool import Spool, SpoolThread, connect, open_spool
from daemon.token import Token
from daemon.workers import Worker, Workers
from tests.system.box import Box

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from contrib.demo.token import TokenFiles
    from daemon.cms import Template

ROUNDS: Final = 300
WARM_UP: Final = 30
LIMIT: Final = 2.5
NOTE_BYTES: Final = 1600
"""About what note.xml has."""

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

    async def call(self, task: str, argument: Mapping[str, Any], *, seconds: float) -> Any:
        """Do as Workers does."""
        self._watch.mark(f"{task} asked")
        answer = await super().call(task, argument, seconds=seconds)
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

    async def sign(self, attributes: bytes) -> bytes:
        """Do as the key does."""
        self._watch.mark("sign asked")
        answer = await self._key.sign(attributes)
        self._watch.mark("sign done")
        return answer


STEPS: Final = (
    ("begin", "commit that the step begins", "begin asked", "begin done"),
    ("link", "link the original for the worker, write the note", "begin done", "prepare asked"),
    ("prepare", "prepare, in the page worker", "prepare asked", "prepare done"),
    ("digest", "digest around the gap, signed attributes", "prepare done", "sign asked"),
    ("sign", "C_Sign, through the HSM process", "sign asked", "sign done"),
    (
        "splice",
        "CMS, note.xml with fsync, splice, fsync, rename, fsync of the folder",
        "sign done",
        "readback asked",
    ),
    ("compare", "compare with the original, in the page worker", "readback asked", "readback done"),
    ("readback", "read back from disk, digest, verify the CMS", "readback done", "seal asked"),
    ("commit", "commit SEALED", "seal asked", "seal done"),
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
        taken["all"] = marks["seal done"] - begun
        taken["from_digest"] = marks["seal done"] - marks["prepare done"]
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
    workers = [
        Worker("daemon.prepare", place=config.work_out, limits=PAGE_LIMITS)
        for _ in range(PAGE_WORKERS)
    ]
    pages = WatchedWorkers(workers, watch)
    try:
        if not await key.usable():
            raise RuntimeError(f"the key cannot be used: {key.problems}")
        sealer = Sealer(
            config,
            await spool(Spool.box_id),
            WatchedSpool(spool, watch),
            pages,
            clock,
        )
        yield Ours(
            config=config,
            spool=spool,
            sealer=sealer,
            key=WatchedKey(key, watch),
            watch=watch,
            source=source,
            digest=Digest.of(source.read_bytes()),
        )
    finally:
        await keeper.close()
        await pages.stop()
        await spool.close()


class Floor:
    """The least: each thing that the seal order demands, done once and by itself."""

    def __init__(self, root: Path, source: Path, bare: Bare) -> None:
        """Make the folder and a database with the settings of the spool's."""
        root.mkdir()
        self._root = root
        self._bare = bare
        self._data = source.read_bytes()
        self._note = os.urandom(NOTE_BYTES)
        (root / "spool.db").touch()
        self._db = connect(root / "spool.db")
        self._db.execute("CREATE TABLE step (id INTEGER PRIMARY KEY, state TEXT)")

    def run(self, number: int) -> dict[str, float]:
        """Do it once in a folder of its own; return what each thing took, and all of them."""
        folder = self._root / f"{number}"
        folder.mkdir()
        durable.sync_folder(self._root)
        prepared, sealed = folder / "prepared", folder / "sealed.pdf"
        taken: dict[str, float] = {}

        def timed(name: str, work: Callable[[], object]) -> None:
            begun = time.perf_counter()
            work()
            taken[name] = time.perf_counter() - begun

        def replaced() -> None:
            prepared.replace(sealed)
            durable.sync_folder(folder)

        timed("commit_begin", self._commit)
        timed("write", lambda: prepared.write_bytes(self._data))
        timed("sha256_first", lambda: hashlib.sha256(self._data).digest())
        taken["c_sign"] = self._bare.sign()
        timed("fsync_sealed", lambda: durable.sync_file(prepared))
        timed("fsync_note", lambda: _written(folder / "note.xml", self._note))
        timed("rename_fsync_folder", replaced)
        durable.forget_pages(sealed)
        timed("read", sealed.read_bytes)
        timed("sha256_second", lambda: hashlib.sha256(self._data).digest())
        timed("commit_sealed", self._commit)
        taken["all"] = sum(taken.values())
        # Not of the floor: what the read would take if it did not have to come from the disk.
        timed("read_cached", sealed.read_bytes)
        return taken

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def _commit(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("INSERT INTO step(state) VALUES ('claimed')")
        self._db.execute("COMMIT")


def _written(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)


def measure(folder: Path, token: TokenFiles) -> Section:
    """Measure the figure group `seal`."""
    source = folder / "scan.pdf"
    draw("one", source)
    with_us, floor, pyhanko = asyncio.run(_rounds(folder, token, source))
    size = source.stat().st_size
    shutil.rmtree(folder)
    return section(with_us, floor, pyhanko, size)


async def _rounds(
    folder: Path, token: TokenFiles, source: Path
) -> tuple[list[dict[str, float]], list[dict[str, float]], list[float]]:
    bare = Bare(token)
    floor = Floor(folder / "floor", source, bare)
    signed = folder / "pyhanko"
    signed.mkdir()
    found: tuple[list[dict[str, float]], list[dict[str, float]], list[float]] = ([], [], [])
    try:
        async with ours(folder / "ours", token, source) as sealer:
            for number in range(-WARM_UP, ROUNDS):
                taken = (
                    await sealer.seal(),
                    floor.run(number),
                    bare.pyhanko(source, signed / f"{number}.pdf"),
                )
                if number >= 0:
                    for those, this in zip(found, taken, strict=True):
                        those.append(this)  # type: ignore[attr-defined]
    finally:
        floor.close()
        bare.close()
    return found


def section(
    with_us: list[dict[str, float]],
    floor: list[dict[str, float]],
    pyhanko: list[float],
    size: int,
) -> Section:
    """Draw the conclusions."""
    ours_ms, floor_ms = ([1000 * one["all"] for one in those] for those in (with_us, floor))
    cached_ms = [1000 * (one["all"] - one["read"] + one["read_cached"]) for one in floor]
    digest_ms = [1000 * one["from_digest"] for one in with_us]
    pyhanko_ms = [1000 * one for one in pyhanko]
    rows = [
        _ratio("seal.ratio", "a seal against the floor", ours_ms, floor_ms, LIMIT),
        _ms("seal.ours", "from the start of preparing to SEALED committed", ours_ms),
        _ms("seal.floor", "the floor", floor_ms, rival=True),
        _ratio(
            "seal.ratio_cached",
            "a seal against a floor that reads from the page cache",
            ours_ms,
            cached_ms,
        ),
        _ms("seal.from_digest", "from the digest to SEALED committed", digest_ms),
        _ratio("seal.ratio_from_digest", "from the digest, against the floor", digest_ms, floor_ms),
        _ms("seal.pyhanko", "pyHanko, one fsync, nothing verified", pyhanko_ms, rival=True),
        _ratio("seal.ratio_pyhanko", "a seal against pyHanko", ours_ms, pyhanko_ms),
    ]
    rows += [
        _ms(f"seal.our_{name}", f"ours: {words}", [1000 * one[name] for one in with_us])
        for name, words, _, _ in STEPS
    ]
    rows += [
        _ms(
            f"seal.floor_{name}", f"floor: {words}", [1000 * one[name] for one in floor], rival=True
        )
        for name, words in FLOOR_WORDS.items()
    ]
    notes = [
        f"One page, a JPEG in a PDF of {size:,} bytes, sealed {len(with_us)} times after"
        f" {WARM_UP} that do not count; the three ways take turns round by round. The ratio is"
        " that of the medians; its spread is that of the rounds' own ratios.",
        NOTES,
    ]
    return Section(name="seal", title="one seal, one page", rows=rows, notes=notes)


FLOOR_WORDS: Final = {
    "commit_begin": "commit 1, that the step begins (I5, the poison rule)",
    "write": "write the file",
    "sha256_first": "SHA-256 of the file, to be signed",
    "c_sign": "C_SignInit and C_Sign, in process, no way to it",
    "fsync_sealed": "fsync 1, the sealed file",
    "fsync_note": "fsync 2, note.xml, with its write",
    "rename_fsync_folder": "fsync 3, the folder, with the rename",
    "read": "read the file from disk (the order drops it from the cache)",
    "sha256_second": "SHA-256 of the file, as read back",
    "commit_sealed": "commit 2, SEALED with its ledger line",
    "read_cached": "not in the floor: the same read from the page cache",
}
NOTES: Final = """\
Ours is `daemon.sealer.Sealer.seal` with the real spool, page workers and HSM process, up to the
moment at which the commit of SEALED has answered. The floor is the sum of one C_Sign (measured
in a process of its own, by itself, without the way to it), two times SHA-256, one write, one read
and what the order demands of the disk: three fsyncs and two commits, each named below; a commit
is one INSERT of one small row, in WAL with synchronous=FULL like the spool. pyHanko makes an
incremental update (PAdES B-B, certified, RSA-PSS) with PyKCS11 in its own process, knows how
large the CMS will be, does one fsync and verifies nothing."""


def _ms(name: str, words: str, values: list[float], *, rival: bool = False) -> Row:
    value, spread = middle(values)
    return Row(name=name, words=words, value=value, unit="ms", spread=spread, more_is_better=rival)


def _ratio(
    name: str, words: str, those: list[float], others: list[float], limit: float | None = None
) -> Row:
    _, spread = middle(a / b for a, b in zip(those, others, strict=True))
    value = middle(those)[0] / middle(others)[0]
    return Row(name=name, words=words, value=value, unit="times", spread=spread, limit=limit)


def _now() -> datetime:
    return datetime.now(UTC)
