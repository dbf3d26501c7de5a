"""Damaged files through the real thing: the intake's look, the claim, the seal, the judges.

The spool, the sealer, the page workers with their limits and the token are those of
the service; only the stages around them are not there. What the intake would refuse
at sight is refused, released as a person could, and goes on to the page workers.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from daemon.codes import CODES
from daemon.document import Document, State
from daemon.errors import TransientError, WorkerDied
from daemon.intake.settle import examine, flaw
from daemon.spool import Spool
from daemon.workers import Worker, Workers
from tests.fuzz.court import Court, CourtLost
from tests.fuzz.tally import Outcome, Tally
from tests.sealing import Sealing, now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PROFILES: Final = ("post", "open", "cover")
"""Each file goes by one of them, in turn: as the service does by default, and by these."""
MORE: Final = """
[profile.open]
procedure = "Torture"
empty_password = "accept"
javascript = "accept"
launch_actions = "accept"
embedded_files = "accept"
external_streams = "accept"
xfa = "accept"

[profile.cover]
procedure = "Torture"
damaged_pdf = "envelope"
password = "envelope"
empty_password = "envelope"
signed_input = "envelope"
jbig2_symbols = "envelope"
javascript = "envelope"
launch_actions = "envelope"
embedded_files = "envelope"
external_streams = "envelope"
xfa = "envelope"
"""
MOST_TRIES: Final = 4
"""More than a document can have: the second counted death refuses it."""
OURS: Final = "the worker failed in "
"""What a death is called that was neither a limit's nor a signal's, but an exception."""
DIFFER: Final = "pages-differ"
"""Refused by the read-back: what was written is not what came in. Safe, and worth a look."""
_deaths: ContextVar[list[str]] = ContextVar("_deaths")


class Staff(Workers):
    """The page workers, and what each of them died of."""

    def __init__(self, workers: list[Worker]) -> None:
        """Be these workers."""
        super().__init__(workers)
        self.mb = 0.0
        """The most memory that one of them ever had."""

    async def call(self, task: str, argument: Mapping[str, Any], **limits: Any) -> Any:
        """Do as Workers does."""
        try:
            return await super().call(task, argument, **limits)
        except WorkerDied as exc:
            _deaths.get().append(f"{task}: {exc.args[0]}")
            raise
        finally:
            self._look()

    def _look(self) -> None:
        for worker in self._all:
            with suppress(OSError, StopIteration, ValueError):
                status = Path(f"/proc/{worker.pid}/status").read_text(encoding="ascii").splitlines()
                line = next(line for line in status if line.startswith("VmHWM:"))
                self.mb = max(self.mb, int(line.split()[1]) / 1000)


@dataclass
class Course:
    """Everything that a run needs."""

    here: Sealing
    staff: Staff
    folder: Path
    """Where damaged files lie while they are on their way."""
    keep: Path | None
    """Where those stay that violate something, killed a worker, or deserve a look."""
    ca: Path
    database: Path
    seed: int
    tally: Tally
    show: Callable[[Tally], None]
    again: list[Path] = field(default_factory=list)
    """Files that were kept: they go through in place of new ones, and their places are the numbers."""
    courts: list[Court] = field(default_factory=list)

    async def run(self, numbers: Iterator[int], abreast: int) -> None:
        """Send all of *numbers* through, so many abreast."""
        assert await self.here.key.usable(), self.here.key.problems
        self.courts = [Court() for _ in range(abreast)]
        try:
            async with asyncio.TaskGroup() as group:
                for court in self.courts:
                    group.create_task(self._lane(court, numbers))
        finally:
            await asyncio.gather(*(court.stop() for court in self.courts))
        self.tally.workers_mb = self.staff.mb
        self.tally.close(self.staff.replaced)

    async def _lane(self, court: Court, numbers: Iterator[int]) -> None:
        for number in numbers:
            try:
                made = await self._made(court, number)
            except CourtLost as exc:
                name = f"{self.seed}-{number}"
                self.tally.violations.append((f"it could not be made: {exc}", name))
                continue
            path = Path(made["path"])
            profile = PROFILES[made["number"] % len(PROFILES)]
            outcome, document = await self._through(path, made, profile)
            if outcome.sealed and document is not None:
                outcome = await self._judged(court, path, document, outcome)
            if (
                outcome.violations
                or outcome.deaths
                or outcome.incomparable
                or outcome.code == DIFFER
            ):
                self._keep(path, document, outcome)
            path.unlink()
            if document is not None:
                shutil.rmtree(self.here.sealer.folder(document))
            self.tally.add(outcome)
            self.show(self.tally)

    async def _made(self, court: Court, number: int) -> dict[str, Any]:
        """Have a damaged file, or a copy of one that was kept."""
        if not self.again:
            found: dict[str, Any] = await court.ask(
                task="make", folder=str(self.folder), seed=self.seed, number=number
            )
            return found | {"number": number}
        kept = self.again[number]
        copy = self.folder / kept.name
        shutil.copyfile(kept, copy)
        return {"path": copy, "sample": "again", "steps": (), "number": number_of(kept)}

    async def _through(
        self, path: Path, made: dict[str, Any], profile: str
    ) -> tuple[Outcome, Document | None]:
        """Claim a file and seal it, or have it refused."""
        deaths: list[str] = []
        _deaths.set(deaths)
        found = _flaw(path)
        violations: list[str] = []
        document: Document | None = None
        begun = time.monotonic()
        try:
            document = await self.here.claim(path)
            if found:
                document = await self._released(document, found)
            for _ in range(MOST_TRIES):
                document = replace(document, profile=profile)
                document = await self.here.sealer.seal(document, self.here.key)
                if document.state is not State.CLAIMED:
                    break
        except TransientError as exc:
            violations.append(f"everybody waits: {exc}")
        except Exception as exc:  # noqa: BLE001 (in the service it would end the process)
            violations.append(f"the service would end: {type(exc).__name__}: {str(exc)[:200]}")
        if document is None or document.state not in {State.FROZEN, State.REFUSED}:
            violations.append(f"it is {document.state if document else 'not claimed'}")
        elif document.state is State.REFUSED:
            violations += _wrong_code(document, deaths)
        violations += [f"a bug of ours: {death}" for death in set(deaths) if OURS in death]
        outcome = Outcome(
            name=path.stem,
            sample=made["sample"],
            steps=tuple(made["steps"]),
            family=path.suffix[1:],
            seconds=time.monotonic() - begun,
            allowed=self.here.sealer.seconds(document) if document else 0.0,
            sealed=document is not None and document.state is State.FROZEN,
            enveloped=document is not None and document.enveloped,
            code=document.code if document else "",
            flaw=found,
            deaths=tuple(deaths),
            violations=tuple(violations),
        )
        return outcome, document

    async def _released(self, document: Document, code: str) -> Document:
        await self.here.spool(Spool.refuse, document, code, "the intake's word", now())
        await self.here.spool(Spool.release, document.id, "fuzzer", now())
        return await self.here.spool(Spool.document, document.id)

    async def _judged(
        self, court: Court, path: Path, document: Document, outcome: Outcome
    ) -> Outcome:
        sealed = self.here.sealer.folder(document) / "sealed.pdf"
        try:
            said = await court.ask(
                task="judge",
                source=str(path),
                sealed=str(sealed),
                kind="envelope" if document.enveloped else document.kind,
                ca=str(self.ca),
                database=str(self.database),
            )
        except CourtLost as exc:
            said = {"complaints": [f"the judges came to nothing: {exc}"], "incomparable": ""}
        return replace(
            outcome,
            violations=(*outcome.violations, *said["complaints"]),
            incomparable=said["incomparable"],
        )

    def _keep(self, path: Path, document: Document | None, outcome: Outcome) -> None:
        if self.keep is None:
            return
        self.keep.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, self.keep / path.name)
        text = f"{outcome.sample}: {', '.join(outcome.steps)}\n" + "".join(
            f"{line}\n"
            for line in (*outcome.violations, *outcome.deaths, outcome.incomparable, outcome.code)
        )
        (self.keep / path.name).with_suffix(".txt").write_text(text, encoding="utf-8")
        if document is not None:
            sealed = self.here.sealer.folder(document) / "sealed.pdf"
            if sealed.exists():
                shutil.copyfile(sealed, self.keep / f"{path.stem}.sealed.pdf")


def kept_in(folder: Path) -> list[Path]:
    """Return the damaged files that a run has kept in *folder*."""
    found = [path for path in folder.iterdir() if path.suffix != ".txt"]
    return sorted(path for path in found if not path.name.endswith(".sealed.pdf"))


def number_of(kept: Path) -> int:
    """Return the number in the name of a kept file; it says by which profile the file went."""
    digits = kept.stem.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else 0


def _flaw(path: Path) -> str:
    """Return the code by which the intake refuses the file at sight, or ""."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        reason = flaw(size, examine(fd, size))
    finally:
        os.close(fd)
    return reason.value if reason else ""


def _wrong_code(document: Document, deaths: list[str]) -> Iterator[str]:
    entry = CODES.get(document.code)
    if entry is None or entry.kind != "refusal":
        yield f"refused by {document.code!r}, which codes.toml does not have as a refusal"
    if (document.code == "crashed-here") != (len(deaths) == 2):
        yield f"refused by {document.code!r} after {len(deaths)} deaths"
