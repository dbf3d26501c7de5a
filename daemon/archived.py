"""What a folder archive holds of a box: the ledger's days, checked, and documents.

    <root>/ledger-<box id>-<date>/segment.jsonl, segment.p7s
    <root>/<document id>/<file>

The days are judged as `scanseal ledger verify` does it, in a worker (I10): every seal,
and the chain from line 1. Of documents nothing is believed: bytes count if they have
the digest that the ledger says.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from daemon import audit, durable, ledger
from daemon.document import Digest, born, is_id
from daemon.errors import CorruptionError, PersonNeeded, WorkerDied
from daemon.examine import NoteSeen, SegmentSeen
from daemon.workers import typed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from daemon.document import Part

NOTE_SECONDS: Final = 60.0
BOX_DIGITS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedDay:
    """One day of the ledger, as an archive has it."""

    lines: Path
    segment: ledger.Segment
    certificate: Digest
    """Which certificate its seal was made with."""


def boxes(root: Path) -> list[str]:
    """Return the ids of the boxes whose ledger lies in *root*."""
    return sorted({name[len("ledger-") :][:BOX_DIGITS] for name in _segments(root)})


async def days(
    root: Path, box: str, trusted: Sequence[bytes], examiner: audit.Caller
) -> list[SealedDay]:
    """Return the sealed days of *box*, the oldest first, each checked; none if there are none.

    A newest day without its seal is left out: it was on its way. So is one before a day
    that has its seal: a box that was made again went on under the next name, and that no
    line is missing without it the chain shows. Raise PersonNeeded where something is not
    proven, CorruptionError where something shows damage.
    """
    prefix = ledger.segment_id(box, "")
    found = sorted(name for name in _segments(root) if name.startswith(prefix))
    sealed = {name for name in found if (root / name / ledger.SEGMENT_SEAL).is_file()}
    if found and found[-1] not in sealed:
        found.pop()
    found = [name for name in found if name in sealed or name == found[-1]]
    if not found:
        return []
    paths = [root / name / ledger.SEGMENT_LINES for name in found]
    judged = await audit.audit(paths, trusted, [], [], examiner=examiner, verifier=examiner)
    if judged.findings:
        said = "; ".join(
            " ".join((one.code, *(f"{key}={value}" for key, value in one.values.items() if value)))
            for one in judged.findings
        )
        if judged.damaged:
            raise CorruptionError("ledger-damaged", said)
        raise PersonNeeded("restore-not-proven", said)
    of_file = {day.file: day.seen for day in judged.days}
    if missing := [path for path in paths if str(path) not in of_file]:
        raise PersonNeeded("restore-not-proven", f"twice: {missing[0]} has another day's lines")
    return [_day(path, of_file[str(path)]) for path in paths]


def is_taken(root: Path, box: str, day: str, lines: Path) -> bool:
    """Return whether *root* holds other lines under a day's name, whose seal never came."""
    folder = root / ledger.segment_id(box, day)
    held = folder / ledger.SEGMENT_LINES
    if (folder / ledger.SEGMENT_SEAL).exists() or not held.exists():
        return False
    return not is_readable(held) or durable.digest_of(held) != durable.digest_of(lines)


def _day(lines: Path, seen: SegmentSeen) -> SealedDay:
    seal = lines.with_suffix(".p7s")
    segment = ledger.Segment(
        day=lines.parent.name[-len("2026-11-22") :],
        first=seen.first,
        head=ledger.Head(seen.last, seen.hash),
        digest=Digest(seen.digest),
        size=lines.stat().st_size,
        seal=Digest(seen.seal_digest),
        seal_size=seal.stat().st_size,
    )
    return SealedDay(lines=lines, segment=segment, certificate=Digest(seen.certificate))


def bring(day: SealedDay, folder: Path) -> None:
    """Copy a day and its seal into *folder*, durably but for their names: the bytes that were checked."""
    parts = (
        (day.lines, ".jsonl", (day.segment.digest, day.segment.size)),
        (day.lines.with_suffix(".p7s"), ".p7s", (day.segment.seal, day.segment.seal_size)),
    )
    for source, ending, checked in parts:
        if durable.copy(source, folder / (day.segment.day + ending)) != checked:
            raise CorruptionError("ledger-damaged", f"{source} has changed while it was read")


async def strangers(
    root: Path,
    box: str,
    since: datetime,
    known: Callable[[str], bool],
    examiner: audit.Caller,
) -> list[str]:
    """Return documents of *box* that were begun *since* and that nobody here *known* of."""
    found = []
    for name in sorted(_ids(root)):
        manifest = root / name / "manifest.json"
        if born(name) < since or known(name) or not manifest.is_file():
            continue
        try:
            answer = await examiner.call(
                "note", {"file": str(manifest.absolute())}, seconds=NOTE_SECONDS
            )
        except WorkerDied:
            continue
        seen = typed(NoteSeen, answer)
        if (seen.kind, seen.box_id, seen.document) == ("manifest", box, name):
            found.append(name)
    return found


def fetch(root: Path, document_id: str, part: Part, folder: Path) -> bool:
    """Bring one part into *folder*, durably but for its name; return whether it was there, and right."""
    target = folder / part.file
    temporary = folder / f".{part.file}.part"
    try:
        source = root / document_id / part.file
        if source.stat().st_size != part.size:
            return False
        held = durable.copy(source, temporary)
    except OSError:
        if is_readable(source):
            raise  # it is our own disk
        return False
    if held != (part.digest, part.size):
        temporary.unlink()
        return False
    temporary.replace(target)
    return True


def is_readable(path: Path) -> bool:
    """Return whether a file can be read to its end: a link, or a bad sector, is one file's trouble."""
    try:
        durable.digest_of(path)
    except OSError:
        return False
    return True


def _segments(root: Path) -> Iterator[str]:
    for name in os.listdir(root):  # noqa: PTH208 (names, not paths)
        if ledger.is_segment_id(name) and (root / name / ledger.SEGMENT_LINES).is_file():
            yield name


def _ids(root: Path) -> Iterator[str]:
    for name in os.listdir(root):  # noqa: PTH208 (names, not paths)
        if is_id(name):
            yield name
