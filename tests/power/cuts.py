"""One recorded run of the whole service, and what a power cut anywhere in it leaves.

`record` runs the service on the forgetting disk. `Replay.cut` puts what a cut
leaves into a plain folder, does there what the next start does (open the spool,
finish claims), and returns what is wrong. It starts no token and no workers: what sealing
and delivery do after a cut is seen in `whole.py`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import math
import os
import random
import shutil
import stat
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from contrib.demo import scans
from daemon import config as configs
from daemon.alarms import Alarms
from daemon.document import Copy, DeliveryState, State, folder_of
from daemon.errors import CorruptionError
from daemon.intake.recovery import UNEXPLAINED, recover
from daemon.records import journal
from daemon.records.reader import open_reader
from daemon.service import _make_places
from daemon.spool import Spool, open_spool
from tests.power.disk import ROOT as TOP
from tests.power.disk import (
    Image,
    Loss,
    Name,
    Operation,
    Sync,
    below,
    image_of,
    loosened,
    survivors,
)
from tests.power.power import REPOSITORY, Power
from tests.system.box import Box

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from contrib.demo.token import TokenFiles
    from daemon.document import Document

SCANNER = "scanner"
BROKEN = (
    b"%PDF-1.7\n1 0 obj <</Type /Catalog>> endobj\nxref\n0 1\n0000000000 65535 f \n"
    b"trailer <</Size 1>>\nstartxref\n44\n%%EOF\n"
)
TARGETS = ("dms", "archive")


class PoweredBox(Box):
    """A box on a disk that forgets. Its log is elsewhere."""

    def start(self) -> PoweredBox:
        with (self.root.parent / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.power.announced", "run", "--config", self.config],
                stdout=log,
                stderr=log,
                env=self.environment,
                cwd=REPOSITORY,
                start_new_session=True,
            )
        self.wait(self.answers, "the service answers")
        return self

    def log(self) -> str:
        return (self.root.parent / "log").read_text()


def make_durable(folder: Path) -> None:
    """Fsync everything below *folder*: what an administrator prepared lies there for long."""
    for path in (folder, *folder.rglob("*")):
        _fsync(path)


def scan(hot: Path, source: Path, *, careful: bool) -> None:
    """Drop a scan; a careful scanner makes the file and its name durable, most do not."""
    with (hot / source.name).open("wb") as file:
        file.write(source.read_bytes())
    if careful:
        _fsync(hot / source.name)
        _fsync(hot)


def _fsync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    os.setxattr(fd, "user.site", SCANNER.encode())
    os.fsync(fd)
    os.close(fd)


@dataclass(frozen=True)
class Recorded:
    """A run: what was done to the disk, and from which operation on a scan has to be there."""

    operations: list[Operation]
    folders: set[int]
    modes: dict[int, int]
    changed: dict[int, int]
    begin: int
    dropped: dict[str, float]
    """By digest; infinity for a scanner that does not care."""
    spoilt: frozenset[str]
    """The digests of those that are refused."""
    config: str
    root: Path

    @property
    def sites(self) -> Counter[str]:
        """Where fsyncs were asked for, and how often."""
        after = self.operations[self.begin :]
        return Counter(o.site for o in after if isinstance(o, Sync) and o.site != SCANNER)


def draw(folder: Path) -> list[Path]:
    """Return three scans to seal, and among them one that is refused."""
    found = []
    for number, name in enumerate(("a", "b", "broken", "c")):
        found.append(folder / f"{name}.pdf")
        page = scans.jpeg_page(number + 1, title="Bescheid", dpi=40)
        found[-1].write_bytes(BROKEN if name == "broken" else scans.pdf_of([page]))
    return found


def record(
    root: Path, token: TokenFiles, sources: Sequence[Path], *, apart: bool = False
) -> Recorded:
    """Run the service from its first start until *sources* are filed, those that are none refused.

    *apart*: hot folder, state_dir and targets are file systems of their own.
    """
    power = Power(root, apart=apart)
    try:
        box = PoweredBox(power.disk, token)
        make_durable(power.disk)
        begin = power.length()
        dropped: dict[str, float] = {}
        try:
            box.start()
            for number, source in enumerate(sources):
                careful = number % 2 == 0
                scan(power.disk / "hot", source, careful=careful)
                dropped[_sha256(source)] = power.length() if careful else math.inf
                if number % 2:
                    box.wait(box.at_rest(number + 1), "filed")
            box.wait(box.at_rest(len(sources)), "all filed")
            box.wait(lambda: not _without_copy(box), "a copy of what was refused")
            spoilt = {one.digest.hex for one in box.documents() if one.state is State.REFUSED}
            box.stop()
        finally:
            if box.process is not None and box.process.poll() is None:
                box.kill()
        found = power.recording()
        return Recorded(
            named(found.operations),
            found.folders,
            found.modes,
            found.changed,
            begin,
            dropped,
            frozenset(spoilt),
            box.config.read_text(),
            power.disk,
        )
    finally:
        power.close()


def _without_copy(box: Box) -> bool:
    return any(d.copy is not Copy.THERE for d in box.documents() if d.state is State.REFUSED)


def named(operations: list[Operation]) -> list[Operation]:
    """Give the fsyncs that said nothing the name of their file: they are SQLite's."""
    names = {o.inode: o.name for o in operations if isinstance(o, Name) and o.inode}
    return [
        replace(o, site=f"SQLite: {names.get(o.inode, '/')}")
        if isinstance(o, Sync) and not o.site
        else o
        for o in operations
    ]


class Replay:
    """Makes cuts in a recorded run, in the plain folder *place*."""

    def __init__(self, recorded: Recorded, place: Path) -> None:
        self.recorded = recorded
        self._targets = below(recorded.operations, TARGETS)
        self.place = place
        place.mkdir()
        toml = place.parent / "replay.toml"
        toml.write_text(recorded.config.replace(str(recorded.root), str(place)))
        self._config = configs.load(toml)
        logging.disable(logging.CRITICAL)

    def cut(self, seed: int, ignored: Container[str] = ()) -> list[str]:
        """Make the cut of *seed*; return what is wrong then, nothing if all is well."""
        at, story = self.lay(seed, ignored)
        try:
            found = asyncio.run(self._start())
            found += self._look(at)
        except CorruptionError as exc:
            found = [f"the service does not start: {exc}"]
        except Exception as exc:  # noqa: BLE001 (whatever it is, it is a violation)
            found = [f"the start fails: {exc!r}"]
        return [f"{story}: {one}" for one in found]

    def lay(self, seed: int, ignored: Container[str] = ()) -> tuple[int, str]:
        """Put what the cut of *seed* leaves into the folder; return where it was, and in words."""
        chance = random.Random(seed)  # noqa: S311 (repeatable)
        recorded = self.recorded
        at = chance.randrange(recorded.begin, len(recorded.operations) + 1)
        loss = chance.choice(list(Loss))
        loose = chance.random() < 0.5
        faithful = self._targets if chance.random() < 0.25 else ()
        done = recorded.operations[:at]
        kept = survivors(loosened(done) if loose else done, chance, loss, ignored, faithful)
        shutil.rmtree(self.place)
        laid: dict[int, Path] = {}
        self._lay(image_of(kept, recorded.folders), TOP, self.place, laid)
        self._same_files(laid)
        words = ("loose " if loose else "") + ("targets apart " if faithful else "")
        return at, f"seed {seed} at {at} {words}{loss}"

    def _same_files(self, laid: dict[int, Path]) -> None:
        """Let each file be, for document.json, the one it was: inode and time of last change."""
        for inode, path in laid.items():
            if path.name != "document.json":
                os.utime(path, ns=(self.recorded.changed[inode],) * 2)
        for path in self.place.rglob("document.json"):
            try:
                facts = json.loads(path.read_bytes())
            except ValueError:
                continue
            if facts["inode"] in laid:
                facts["inode"] = laid[facts["inode"]].stat().st_ino
                path.write_text(json.dumps(facts, sort_keys=True) + "\n")

    def _lay(self, image: Image, inode: int, path: Path, laid: dict[int, Path]) -> None:
        path.mkdir(mode=stat.S_IMODE(self.recorded.modes.get(inode, 0o700)) or 0o700)
        for name, under in image.folders.get(inode, {}).items():
            mode = self.recorded.modes[under]
            if stat.S_ISDIR(mode):
                self._lay(image, under, path / name, laid)
            elif stat.S_ISREG(mode) and under in laid:
                os.link(laid[under], path / name)
            elif stat.S_ISREG(mode):
                (path / name).write_bytes(image.files[under])
                (path / name).chmod(stat.S_IMODE(mode))
                laid[under] = path / name

    async def _start(self) -> list[str]:
        _make_places(self._config)
        alarms = Alarms(now)
        spool = await open_spool(self._config.state_dir, new=True)
        try:
            await spool(Spool.started, "another boot", now())
            await recover(self._config, spool, alarms, now)
            await spool(Spool.export_ledger)
        finally:
            await spool.close()
        return [f"alarm {one.code}" for one in alarms.now() if one.code == UNEXPLAINED]

    # -- the invariants -----------------------------------------------------------------

    def _look(self, at: int) -> list[str]:
        found = [*self._scans(at), *self._documents()]
        journal.compare(self._config.state_dir)
        return found

    def _scans(self, at: int) -> list[str]:
        hot = self.place / "hot"
        places = [p for p in hot.iterdir() if p.is_file()]
        places += [p for p in (hot / ".scanseal").glob("*") if p.is_file()]
        places += self._config.documents.glob("*/*/*/*/original.*")
        counted = Counter(_sha256(path) for path in places)
        return [
            f"a scan is there {counted[digest]} times"
            for digest, since in self.recorded.dropped.items()
            if counted[digest] > 1 or (at >= since and not counted[digest])
        ]

    def _documents(self) -> list[str]:
        found = []
        vouched: dict[Path, str] = {}
        reader = open_reader(self._config.state_dir / "spool.db")
        try:
            for document in reader.newest(10_000):
                found += self._document(document)
                for delivery in reader.deliveries(document.id):
                    for part in delivery.parts:
                        stored = self.place / delivery.target / document.id / part.file
                        vouched[stored] = part.digest.hex
                        own = folder_of(self._config.documents, document.id) / part.file
                        if _sha256(own) != part.digest.hex:
                            found.append(f"{part.file} is frozen and not there")
                        if delivery.state is DeliveryState.DELIVERED and not stored.exists():
                            found.append(f"{part.file} was acknowledged and is not there")
        finally:
            reader.close()
        for target in TARGETS:
            found += [
                f"{target} holds a {stored.name} that nobody vouches for"
                for stored in (self.place / target).glob("*/[!.]*")
                if vouched.get(stored) != _sha256(stored)
            ]
        return found

    def _document(self, document: Document) -> list[str]:
        found = []
        folder = folder_of(self._config.documents, document.id)
        if [_sha256(p) for p in folder.glob("original.*")] != [document.digest.hex]:
            found.append(f"the original of a document is not there ({document.state})")
        sealed = document.sealed
        if sealed is not None and _sha256(folder / "sealed.pdf") != sealed.hex:
            found.append("a committed seal is not there")
        if document.copy is Copy.THERE:
            copies = self.place.glob(f"hot/rejected/*~{document.id[-8:]}.pdf")
            if [_sha256(p) for p in copies] != [document.digest.hex]:
                found.append("the copy of a refused scan is not there")
        elif document.state in {State.REFUSED, State.HELD} and self._is_good(document):
            found.append(f"a document is {document.state}: {document.code}")
        return found

    def _is_good(self, document: Document) -> bool:
        """Return whether that scan can be sealed: neither spoilt nor torn before we had it."""
        return document.digest.hex in self.recorded.dropped.keys() - self.recorded.spoilt


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def now() -> datetime:
    return datetime.now(UTC)
