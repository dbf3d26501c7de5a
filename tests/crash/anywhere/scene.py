"""One box, its scans, and what has to be true of them whatever happened.

    dropped ─▶ claimed ─▶ sealed ─▶ frozen ─▶ delivered ─▶ filed
                  └─▶ refused, with a copy in `rejected`

Two scans that are sealed, one of them another user's (a claim by copy), and one that is
refused. The harness plays systemd, which starts a service again that has ended, and the
person who lets a PIN be tried once more and releases what was set aside: both are counted.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import Image

from contrib.demo import scans
from daemon import ledger
from daemon.control import NotRunning, ask
from daemon.document import Copy, DeliveryState, Document, State, folder_of
from daemon.errors import DaemonError
from daemon.records.journal import compare
from daemon.records.reader import open_reader
from tests.crash.anywhere.calls import Call, Calls, Judge
from tests.crash.anywhere.starter import PATIENCE, Preloaded
from tests.system.box import Box

if TYPE_CHECKING:
    from contrib.demo.token import TokenFiles
    from daemon.records.reader import Reader

FOLDERS: Final = ("hot", "state", "dms", "archive")
SCANNER: Final = 65534
"""Another user than the service's, where the service is root."""
STARTS: Final = 6
"""So often systemd starts it again; more is a service that does not get on."""
AT_WORK: Final = b"at=daemon.token token state="
TOLD: Final = re.compile(rb"alarm raised code=(\S+)|(target-fails) ")
UNRESOLVED: Final = "state=needs-person code=pin-attempts-unresolved"
CRASHED: Final = "crashed-here"
"""What a document, or a delivery, may be set aside with: a person releases it."""
ASIDE: Final = frozenset({State.REFUSED, State.HELD})


class Violated(Exception):
    """An invariant does not hold; the text says which."""


def scans_to_drop() -> dict[str, bytes]:
    """Return what the scanner writes, by name."""
    return {
        "Bescheid.pdf": scans.pdf_of([_page(200)]),
        "foto.jpg": _page(120),
        "kaputt.pdf": b"%PDF-1.7\n1 0 obj <</Type /Catalog>> endobj\nxref\n0 1\n"
        b"0000000000 65535 f \ntrailer <</Size 1>>\nstartxref\n44\n%%EOF\n",
    }


def _page(grey: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (248, 351), grey).save(file, "JPEG", dpi=(30, 30))
    return file.getvalue()


@dataclass
class Course:
    """What one run of a scene came to."""

    made: list[Call] = field(default_factory=list)
    killed: list[Call] = field(default_factory=list)
    failed: list[Call] = field(default_factory=list)
    starts: int = 0
    persons: Counter[str] = field(default_factory=Counter)
    told: set[str] = field(default_factory=set)
    """The alarms, and which targets were said to fail."""
    ends: list[int] = field(default_factory=list)
    """How it has ended by itself."""


class Scene:
    """One box in an empty folder, and its course."""

    def __init__(self, root: Path, token: TokenFiles, starter: Preloaded) -> None:
        root.mkdir(parents=True)
        self.box = Box(root, token)
        self.root = root
        self.course = Course()
        self.dropped = scans_to_drop()
        self._starter = starter
        self._calls: Calls | None = None
        self._told = 0
        self._worked = False
        for name, data in self.dropped.items():
            path = root / "hot" / name
            path.write_bytes(data)
            if name == "foto.jpg" and os.geteuid() == 0:
                os.chown(path, SCANNER, SCANNER)

    # -- the service's ups and downs ------------------------------------------------------

    def run(self, *judges: Judge, meanwhile: Callable[[Scene], None] = lambda _: None) -> None:
        """Start, and start again after each end, until all is at rest; then stop.

        Each start has a judge of its calls of its own, as long as there are some.
        *meanwhile* is called at each look.
        """
        waiting = list(judges)
        until = time.monotonic() + PATIENCE
        while True:
            self._start(waiting.pop(0) if waiting else None)
            while (status := self._starter.ended()) is None:
                self._expect(time.monotonic() < until, f"not at rest in {PATIENCE:g} s")
                meanwhile(self)
                self._be_the_person()
                if self._at_rest() and self.ask("status") is not None:
                    break
            if status is None:
                self._starter.signal(signal.SIGTERM)
                while (status := self._starter.ended()) is None:
                    self._expect(time.monotonic() < until, "it does not stop")
                self._end_of_calls()
                if status == 0:
                    return
            if status > 0:
                self.course.ends.append(status)
            self._end_of_calls()
            self.nothing_is_lost()
            self._expect(
                self.course.starts < STARTS, f"it ended {STARTS} times, last with {status}"
            )

    def _start(self, judge: Judge | None) -> None:
        self.course.starts += 1
        listener = self._starter.start(
            self.box.config, self.root / "log", watched=judge is not None
        )
        if judge is not None:
            assert listener is not None
            self._calls = Calls(listener, self.root, FOLDERS, judge)
            self._calls.start(self._starter.kill)

    def _end_of_calls(self) -> None:
        if self._calls is not None:
            self._calls.end()
            self.course.made += self._calls.made
            self.course.failed += self._calls.failed
            if self._calls.killed is not None:
                self.course.killed.append(self._calls.killed)
            self._calls = None

    def abandon(self) -> None:
        """Kill whatever runs: the scene is over."""
        self._starter.abandon()
        if self._calls is not None:
            self._calls.end()

    def ask(self, command: str, **arguments: str) -> object:
        """Ask the running service; None if it cannot be asked now."""
        try:
            return ask(self.root / "state" / "control.sock", command, arguments)
        except (NotRunning, OSError):
            return None

    def _be_the_person(self) -> None:
        log = self.root / "log"
        if log.stat().st_size > self._told:
            with log.open("rb") as file:
                file.seek(self._told)
                text = file.read()
            self._told += len(text)
            self._worked |= AT_WORK in text
            self.course.told |= {(a or b).decode() for a, b in TOLD.findall(text)}
            if UNRESOLVED.encode() in text:
                with contextlib.suppress(DaemonError):
                    self.ask("hsm-retry-login")
                    self.course.persons["retry-login"] += 1
        for document_id in self._set_aside():
            with contextlib.suppress(DaemonError):
                if self.ask("release", id=document_id) is not None:
                    self.course.persons["release"] += 1

    def _set_aside(self) -> list[str]:
        """Return the documents that wait for a person, or a delivery of theirs: it ended there twice."""
        with self.reader() as reader:
            if reader is None:
                return []
            deliveries = [d for one in self.documents() for d in reader.deliveries(one.id)]
        found = [d.id for d in self.documents() if d.code == CRASHED and d.state in ASIDE]
        refused = [d for d in deliveries if d.state is DeliveryState.REFUSED and d.code == CRASHED]
        return found + [delivery.document for delivery in refused]

    # -- what is there ------------------------------------------------------------------

    @contextlib.contextmanager
    def reader(self) -> Iterator[Reader | None]:
        """Open the spool for looking, once a service has worked with it.

        Earlier a look would take part in the making of it: SQLite's readers write.
        """
        if self._worked:
            with contextlib.closing(open_reader(self.root / "state" / "spool.db")) as reader:
                yield reader
        else:
            yield None

    def documents(self) -> list[Document]:
        """Return all documents, the oldest first; none before a service has worked."""
        with self.reader() as reader:
            if reader is None:
                return []
            return sorted(reader.newest(100), key=lambda document: document.id)

    def folder(self, document: Document) -> Path:
        """Return a document's folder."""
        return folder_of(self.root / "state" / "documents", document.id)

    def _at_rest(self) -> bool:
        found = self.documents()
        if len(found) != len(self.dropped):
            return False
        states = {document.state for document in found}
        copies = all(d.copy is Copy.THERE for d in found if d.state is State.REFUSED)
        return copies and states == {State.FILED, State.REFUSED} and not self._private()

    def _private(self) -> list[Path]:
        folder = self.root / "hot" / ".scanseal"
        return list(folder.iterdir()) if folder.is_dir() else []

    # -- what has to be true ----------------------------------------------------------------

    def _expect(self, held: object, what: str) -> None:
        if not held:
            raise Violated(what)

    def nothing_is_lost(self) -> None:
        """At any moment: each scan lies whole in the hot folder or in the spool (I1, I2, I5)."""
        places = [
            *(path for path in (self.root / "hot").iterdir() if path.is_file()),
            *self._private(),
            *(self.root / "state" / "documents").glob("*/*/*/*/original.*"),
        ]
        digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in places}
        for name, data in self.dropped.items():
            self._expect(hashlib.sha256(data).hexdigest() in digests, f"{name} is nowhere")

    def all_is_well(self) -> None:
        """At rest, after a clean stop: all of the invariants."""
        documents = self.documents()
        self._originals_once(documents)
        filed = [document for document in documents if document.state is State.FILED]
        refused = [document for document in documents if document.state is State.REFUSED]
        self._expect(
            (len(filed), len(refused)) == (2, 1), f"{len(filed)} filed, {len(refused)} refused"
        )
        with self.reader() as reader:
            assert reader is not None
            lines = [json.loads(line) for line in reader.chain()]
            ledger.verify(reader.chain())
            for document in filed:
                self._sealed_once(document, lines)
                for delivery in reader.deliveries(document.id):
                    what = f"{document.id} is {delivery.state} at {delivery.target}"
                    self._expect(delivery.state is DeliveryState.DELIVERED, what)
                    parts = {part.file: str(part.digest) for part in delivery.parts}
                    self._delivered_once(document, delivery.target, parts)
        for target in ("dms", "archive"):
            there = {path.name for path in (self.root / target).iterdir()}
            there = {name for name in there if not name.startswith("ledger-")}
            self._expect(there == {d.id for d in filed}, f"{target} has other documents")
        compare(self.root / "state")
        self._copies(refused)
        left = [path.name for path in self._leftovers()]
        self._expect(not left, f"left behind: {left}")

    def _originals_once(self, documents: list[Document]) -> None:
        hot = self.root / "hot"
        lying = [path.name for path in hot.iterdir() if path.is_file()] + self._private()
        self._expect(not lying, f"still in the hot folder: {lying}")
        originals = sorted(
            hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (self.root / "state" / "documents").glob("*/*/*/*/original.*")
        )
        wanted = sorted(hashlib.sha256(data).hexdigest() for data in self.dropped.values())
        self._expect(originals == wanted, f"{len(originals)} originals")
        self._expect(sorted(str(d.digest) for d in documents) == wanted, "other documents")
        for document in documents:
            found = list(self.folder(document).glob("original.*"))
            right = [hashlib.sha256(path.read_bytes()).hexdigest() for path in found]
            self._expect(right == [str(document.digest)], f"{document.id} has another original")

    def _sealed_once(self, document: Document, lines: list[dict[str, str]]) -> None:
        events = Counter(line["event"] for line in lines if line["document"] == document.id)
        for event in ("claim", "seal", "freeze", "file"):
            self._expect(events[event] == 1, f"{document.id}: {events[event]} x {event}")
        acknowledged = events["delivery-acknowledge"]
        self._expect(acknowledged == 2, f"{document.id}: {acknowledged} proofs")

    def _delivered_once(self, document: Document, target: str, parts: dict[str, str]) -> None:
        folder = self.root / target / document.id
        # A second, hidden name does no harm where the target did not let us take it away.
        kept = any(call.call == "unlinkat" for call in self.course.failed)
        there = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.iterdir()
            if not (kept and path.name.startswith("."))
        }
        self._expect(there == parts, f"{target} has not what was committed of {document.id}")
        own = self.folder(document)
        proof = json.loads((own / f"receipt-{target}.json").read_bytes())
        named = {receipt["key"].rpartition("/")[2] for receipt in proof["receipts"]}
        self._expect(named == set(parts), f"the receipt of {target} names other parts")
        for file, digest in parts.items():
            held = hashlib.sha256((own / file).read_bytes()).hexdigest()
            self._expect(held == digest, f"{file} of {document.id} is not as it was committed")

    def _copies(self, refused: list[Document]) -> None:
        folder = self.root / "hot" / "rejected"
        names = {f"kaputt~{d.id[-8:]}{ending}" for d in refused for ending in (".pdf", ".txt")}
        there = {path.name for path in folder.iterdir()}
        self._expect(there == names, f"in rejected: {sorted(there)}")

    def _leftovers(self) -> list[Path]:
        """Return the temporary files that nobody will ever look at again."""
        found = [path for path in (self.root / "state" / "documents").rglob(".*") if path.is_file()]
        found += (self.root / "state" / "work").glob("*/*")
        return [*found, *(path for path in (self.root / "state").glob(".*") if path.is_file())]
