"""The whole service started on what a power cut left, until nothing moves any more.

The folders are plain ones; the token is not on the disk that was lost. What has to be
true then is what has to be true after a kill (`tests/crash/anywhere/scene.py`).
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING

from daemon import ledger
from daemon.document import Copy, DeliveryState, State
from daemon.records.journal import compare
from tests.crash.anywhere.scene import Course, Scene, Violated
from tests.system.box import Box

if TYPE_CHECKING:
    from pathlib import Path

    from contrib.demo.token import TokenFiles
    from daemon.document import Document
    from tests.crash.anywhere.starter import Preloaded
    from tests.power.cuts import Replay


class AfterCut(Scene):
    """A box whose folders are what a cut left."""

    def __init__(
        self,
        root: Path,
        token: TokenFiles,
        starter: Preloaded,
        dropped: dict[str, bool],
        spoilt: frozenset[str],
    ) -> None:
        """*dropped* has by digest whether that scan has to be there."""
        self.box = Box(root, token)
        self.root = root
        self.course = Course()
        self._scans = dropped
        self._spoilt = spoilt
        self._starter = starter
        self._calls = None
        self._told = 0
        self._worked = False

    def nothing_is_lost(self) -> None:
        """Each scan that has to be there lies in the hot folder or in the spool (I1, I2, I5)."""
        found = {*self._lying(), *self._originals()}
        for digest, has_to in self._scans.items():
            self._expect(digest in found or not has_to, "a scan is nowhere")

    def all_is_well(self) -> None:
        """At rest, after a clean stop: all of the invariants."""
        self.nothing_is_lost()
        documents = self.documents()
        counted = Counter(document.digest.hex for document in documents)
        self._expect(counted == self._originals(), "originals and documents are not the same")
        for digest in self._scans:
            self._expect(counted[digest] <= 1, f"a scan is there {counted[digest]} times")
        filed = [document for document in documents if document.state is State.FILED]
        good = self._scans.keys() - self._spoilt
        refused = [d.code for d in documents if d.state is State.REFUSED and d.digest.hex in good]
        self._expect(not refused, f"refused: {refused}")
        with self.reader() as reader:
            assert reader is not None
            lines = [json.loads(line) for line in reader.chain()]
            ledger.verify(reader.chain())
            for document in filed:
                self._sealed_once(document, lines)
                for delivery in reader.deliveries(document.id):
                    self._expect(delivery.state is DeliveryState.DELIVERED, str(delivery.state))
                    parts = {part.file: str(part.digest) for part in delivery.parts}
                    self._delivered_once(document, delivery.target, parts)
        for target in ("dms", "archive"):
            there = {path.name for path in (self.root / target).iterdir()}
            there = {name for name in there if not name.startswith("ledger-")}
            self._expect(there == {d.id for d in filed}, f"{target} has other documents")
        compare(self.root / "state")
        # Of a receipt: gone when the document is forgotten (`receipts.settle`).
        names = [path.name for path in self._leftovers()]
        left = [name for name in names if not name.startswith(".receipt-")]
        self._expect(not left, f"left behind: {left}")

    def _delivered_once(self, document: Document, target: str, parts: dict[str, str]) -> None:
        # Receipts may be gone or torn: they are written again before anything depends on them.
        for folder in (self.root / target / document.id, self.folder(document)):
            there = {path.name: _sha256(path) for path in folder.iterdir() if path.name in parts}
            self._expect(there == parts, f"{folder.parent.name} has not what was committed")
        names = {path.name for path in (self.root / target / document.id).iterdir()}
        self._expect(names == set(parts), f"{target} holds more than was committed")

    def _at_rest(self) -> bool:
        found = self.documents()
        states = {document.state for document in found}
        copies = all(d.copy is Copy.THERE for d in found if d.state is State.REFUSED)
        return (
            self._worked and copies and states <= {State.FILED, State.REFUSED} and not self._lying()
        )

    def _lying(self) -> Counter[str]:
        """Return what waits in the hot folder; an empty file is no scan yet, for ever perhaps."""
        paths = [path for path in (self.root / "hot").iterdir() if path.is_file()]
        digests = (_sha256(p) for p in (*paths, *self._private()) if p.stat().st_size)
        return Counter(digests)

    def _originals(self) -> Counter[str]:
        found = (self.root / "state" / "documents").glob("*/*/*/*/original.*")
        return Counter(_sha256(path) for path in found)


def restart(replay: Replay, seed: int, token: TokenFiles, starter: Preloaded) -> list[str]:
    """Make the cut of *seed*, run the service on what is left; return what is wrong then."""
    at, story = replay.lay(seed)
    recorded = replay.recorded
    dropped = {digest: at >= since for digest, since in recorded.dropped.items()}
    scene = AfterCut(replay.place, token, starter, dropped, recorded.spoilt)
    try:
        scene.run()
        scene.all_is_well()
    except Violated as exc:
        return [f"{story}, run on: {exc}"]
    finally:
        scene.abandon()
    return []


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
