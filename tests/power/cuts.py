"""One recorded run of the whole service, and what a power cut anywhere in it leaves.

`record` runs the service on the forgetting disk. `Replay.cut` puts what a cut
leaves into a plain folder, does there what the next start does (open the spool,
finish claims), and returns what is wrong. It starts no token and no workers: what sealing and
delivery do after a cut is not seen here.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
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

from daemon import config as configs
from daemon.alarms import Alarms
from daemon.document import DeliveryState, State, folder_of
from daemon.errors import CorruptionError
from daemon.intake.recovery import UNEXPLAINED, recover
from daemon.records import journal
from daemon.records.reader import open_reader
from daemon.service import _make_places
from daemon.spool import Spool, open_spool
from tests.power.disk import ROOT as TOP
from tests.power.disk import Image, Loss, Name, Operation, Sync, image_of, survivors
from tests.power.power import REPOSITORY, Power
from tests.system.box import Box

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from contrib.demo.token import TokenFiles

SCANNER = "scanner"


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


def scan(hot: Path, source: Path) -> None:
    """Drop a scan as a careful scanner does: the file and its name are durable."""
    with (hot / source.name).open("wb") as file:
        file.write(source.read_bytes())
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
    begin: int
    dropped: dict[str, int]
    """Digests."""
    config: str
    root: Path

    @property
    def sites(self) -> Counter[str]:
        """Where fsyncs were asked for, and how often."""
        after = self.operations[self.begin :]
        return Counter(o.site for o in after if isinstance(o, Sync) and o.site != SCANNER)


def record(root: Path, token: TokenFiles, scans: Sequence[Path]) -> Recorded:
    """Run the service from its first start until *scans* are filed, and once more."""
    power = Power(root)
    try:
        box = PoweredBox(power.disk, token)
        make_durable(power.disk)
        begin = power.length()
        dropped = {}
        try:
            box.start()
            for number, source in enumerate(scans):
                scan(power.disk / "hot", source)
                dropped[hashlib.sha256(source.read_bytes()).hexdigest()] = power.length()
                if number % 2:
                    box.wait(box.at_rest(number + 1), "filed")
            box.wait(box.at_rest(len(scans)), "all filed")
            box.stop()
        finally:
            if box.process is not None and box.process.poll() is None:
                box.kill()
        found = power.recording()
        return Recorded(
            named(found.operations),
            found.folders,
            found.modes,
            begin,
            dropped,
            box.config.read_text(),
            power.disk,
        )
    finally:
        power.close()


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
        self._recorded = recorded
        self._place = place
        place.mkdir()
        toml = place.parent / "replay.toml"
        toml.write_text(recorded.config.replace(str(recorded.root), str(place)))
        self._config = configs.load(toml)
        logging.disable(logging.CRITICAL)

    def cut(self, seed: int, ignored: Container[str] = ()) -> list[str]:
        """Make the cut of *seed*; return what is wrong then, nothing if all is well."""
        chance = random.Random(seed)  # noqa: S311 (repeatable)
        recorded = self._recorded
        at = chance.randrange(recorded.begin, len(recorded.operations) + 1)
        loss = chance.choice(list(Loss))
        kept = survivors(recorded.operations[:at], chance, loss, ignored)
        shutil.rmtree(self._place)
        self._lay(image_of(kept, recorded.folders), TOP, self._place, {})
        try:
            found = asyncio.run(self._start())
            found += self._look(at)
        except CorruptionError as exc:
            found = [f"the service does not start: {exc}"]
        except Exception as exc:  # noqa: BLE001 (whatever it is, it is a violation)
            found = [f"the start fails: {exc!r}"]
        return [f"seed {seed} at {at} {loss}: {one}" for one in found]

    def _lay(self, image: Image, inode: int, path: Path, laid: dict[int, Path]) -> None:
        path.mkdir(mode=stat.S_IMODE(self._recorded.modes.get(inode, 0o700)) or 0o700)
        for name, below in image.folders.get(inode, {}).items():
            mode = self._recorded.modes[below]
            if stat.S_ISDIR(mode):
                self._lay(image, below, path / name, laid)
            elif stat.S_ISREG(mode) and below in laid:
                os.link(laid[below], path / name)
            elif stat.S_ISREG(mode):
                (path / name).write_bytes(image.files[below])
                (path / name).chmod(stat.S_IMODE(mode))
                laid[below] = path / name

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
        hot = self._place / "hot"
        places = [p for p in hot.iterdir() if p.is_file()]
        places += [p for p in (hot / ".scanseal").glob("*") if p.is_file()]
        places += self._config.documents.glob("*/*/*/*/original.*")
        counted = Counter(_sha256(path) for path in places)
        return [
            f"a scan is there {counted[digest]} times"
            for digest, since in self._recorded.dropped.items()
            if counted[digest] > 1 or (at >= since and not counted[digest])
        ]

    def _documents(self) -> list[str]:
        found = []
        vouched: dict[Path, str] = {}
        reader = open_reader(self._config.state_dir / "spool.db")
        try:
            for document in reader.newest(10_000):
                folder = folder_of(self._config.documents, document.id)
                if [_sha256(p) for p in folder.glob("original.*")] != [document.digest.hex]:
                    found.append(f"the original of a document is not there ({document.state})")
                sealed = document.sealed
                if sealed is not None and _sha256(folder / "sealed.pdf") != sealed.hex:
                    found.append("a committed seal is not there")
                if document.state in {State.REFUSED, State.HELD}:
                    found.append(f"a document is {document.state}: {document.code}")
                for delivery in reader.deliveries(document.id):
                    for part in delivery.parts:
                        stored = self._place / delivery.target / document.id / part.file
                        vouched[stored] = part.digest.hex
                        if _sha256(folder / part.file) != part.digest.hex:
                            found.append(f"{part.file} is frozen and not there")
                        if delivery.state is DeliveryState.DELIVERED and not stored.exists():
                            found.append(f"{part.file} was acknowledged and is not there")
        finally:
            reader.close()
        for target in ("dms", "archive"):
            found += [
                f"{target} holds a {stored.name} that nobody vouches for"
                for stored in (self._place / target).glob("*/[!.]*")
                if vouched.get(stored) != _sha256(stored)
            ]
        return found


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def now() -> datetime:
    return datetime.now(UTC)
