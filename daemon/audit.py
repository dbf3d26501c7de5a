"""What `scanseal ledger verify PATH…` does: judge the exported ledger, from its files alone.

    files ──▶ worker (examine.py): each day by itself ──▶ judge: all of them together ──▶ Audit
    notes ──▶ worker (examine.py, or verify.py for a PDF) ──┘

No configuration, no database and no box is needed: an auditor has the segments that
the archive holds, the seal's certificate, and whatever carries a hash of the chain
(heads from MQTT, delivered notes and manifests). `judge` decides and never acts.

The chain shows a line that was changed, deleted, inserted or moved; a seal, who wrote
the day; a hash that was published or delivered, that the end was not cut off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Protocol

from daemon import ledger, verify
from daemon.document import printable
from daemon.errors import WorkerDied
from daemon.examine import HASH, NoteSeen, SegmentSeen
from daemon.workers import Limits, typed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

LIMITS: Final = Limits(memory_mb=256, file_mb=1)
SECONDS: Final = 60.0
SECONDS_PER_MB: Final = 2.0
"""A line of 500 bytes takes 30 microseconds; a Raspberry Pi may take longer."""
PERSONAL: Final = ".personal.jsonl"

OPEN: Final = frozenset(
    {
        "nothing-found",
        "unreadable",
        "several-boxes",
        "begins-late",
        "seal-missing",
        "head-before",
        "note-before",
        "note-unknown",
        "note-unproven",
        "note-other-box",
    }
)
"""Findings that leave something unproven; any other one is damage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, as a code and what stands in its sentence."""

    code: str
    values: Mapping[str, str]

    @property
    def damage(self) -> bool:
        """Whether it shows that the chain is not what it was."""
        return self.code not in OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One file of lines, by the name that people are told, and what the worker saw in it."""

    file: str
    seen: SegmentSeen
    readable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """One note, by its file's name, and what it says."""

    file: str
    seen: NoteSeen
    proven: bool = True
    """False for a PDF whose own seal does not hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """All that was found out."""

    days: tuple[Day, ...]
    findings: tuple[Finding, ...]
    anchors: int
    """So many heads and notes stand in the chain."""

    @property
    def damaged(self) -> bool:
        """Whether anything shows that the chain is not what it was."""
        return any(finding.damage for finding in self.findings)


class Caller(Protocol):
    """A Worker."""

    async def call(self, task: str, argument: Mapping[str, Any], *, seconds: float) -> Any:
        """Run a task; see `Worker.call`."""


# -- reading ---------------------------------------------------------------------------------------


async def audit(
    paths: Sequence[Path],
    trusted: Sequence[bytes],
    heads: Sequence[ledger.Head],
    notes: Sequence[Path],
    *,
    examiner: Caller,
    verifier: Caller,
) -> Audit:
    """Read what was named and judge it.

    *examiner* is a worker of `daemon.examine`, *verifier* one of `daemon.verify`;
    *trusted* are certificates in DER.
    """
    delivered = [await _note(file, trusted, examiner, verifier) for file in notes]
    wanted = {head.hash for head in heads} | {one.seen.hash for one in delivered}
    days = [await _day(lines, sorted(wanted), trusted, examiner) for lines in segments(paths)]
    return judge(days, heads, delivered)


def segments(paths: Iterable[Path]) -> list[Path]:
    """Return the files of lines that *paths* name: files, or folders as a box or an archive has them."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += (file for file in sorted(path.glob("*.jsonl")))
            found += sorted(path.glob(f"ledger-*/{ledger.SEGMENT_LINES}"))
        elif path.suffix != ".p7s":  # `ledger/2026-*` names the seals, too
            found.append(path)
    return list(dict.fromkeys(file for file in found if not file.name.endswith(PERSONAL)))


async def _day(lines: Path, wanted: list[str], trusted: Sequence[bytes], examiner: Caller) -> Day:
    unreadable = Day(file=str(lines), seen=SegmentSeen(), readable=False)
    argument = {
        "lines": _there(lines),
        "seal": _there(lines.with_suffix(".p7s")),
        "trusted": [one.hex() for one in trusted],
        "wanted": wanted,
    }
    if not argument["lines"]:
        return unreadable
    seconds = SECONDS + SECONDS_PER_MB * _size(lines) / 1e6
    try:
        seen = typed(SegmentSeen, await examiner.call("segment", argument, seconds=seconds))
    except WorkerDied:
        return unreadable
    return Day(file=str(lines), seen=seen)


def _size(file: Path) -> int:
    return file.stat().st_size


def _there(file: Path) -> str:
    """Return where a file lies, for a worker whose own folder is another one; "" if there is none."""
    return str(file.absolute()) if file.is_file() else ""


async def _note(
    file: Path, trusted: Sequence[bytes], examiner: Caller, verifier: Caller
) -> Delivered:
    unknown = Delivered(file=str(file), seen=NoteSeen(kind="unknown"))
    place = _there(file)
    if not place:
        return unknown
    try:
        argument = {"file": place}
        seen = typed(NoteSeen, await examiner.call("note", argument, seconds=SECONDS))
    except WorkerDied:
        return unknown
    if seen.kind != "pdf":
        return replace(unknown, seen=seen)
    report = await verify.verify(file, verifier, trusted)
    said = {note.name: note.value for note in report.notes}
    seen = NoteSeen(
        kind="pdf",
        document=said.get("document", ""),
        box_id=said.get("box_id", ""),
        at=said.get("sealed_at", ""),
        hash=said.get("ledger_hash", ""),
    )
    # Not whether its certificate is still valid today: that is `scanseal verify`'s question.
    proven = any(seal.intact and seal.valid and seal.coverage == "file" for seal in report.seals)
    return Delivered(file=str(file), seen=seen, proven=proven)


# -- judging ---------------------------------------------------------------------------------------


def judge(days: Iterable[Day], heads: Iterable[ledger.Head], notes: Iterable[Delivered]) -> Audit:
    """Put the days in order, and say what is wrong with them and with what they should hold."""
    once = {day.seen.digest or day.file: day for day in days}
    ordered = sorted(once.values(), key=lambda day: (day.seen.first, day.file))
    findings = [finding for day in ordered for finding in _of_day(day)]
    linked = [day for day in ordered if day.seen.first]
    findings += _links(linked)
    lines = {found.hash: found.seq for day in linked for found in day.seen.found}
    anchors = 0
    for told in (
        *(_head(head, linked, lines) for head in heads),
        *(_delivered(note, linked, lines) for note in notes),
    ):
        findings += told
        anchors += not told
    return Audit(days=tuple(linked), findings=tuple(findings), anchors=anchors)


def _of_day(day: Day) -> Iterator[Finding]:
    """Yield what is wrong with one day by itself."""
    seen = day.seen
    if not day.readable:
        yield _finding("unreadable", file=day.file)
        return
    if seen.broken:
        yield _finding("line-broken", file=day.file, seq=seen.last)
    if seen.seal != "good":
        values = {"signer": seen.signer, "at": seen.signed_at, "why": seen.why}
        yield _finding(f"seal-{seen.seal}", file=day.file, **values)


def _links(days: Sequence[Day]) -> Iterator[Finding]:
    """Yield what is wrong between the days, which are in the order of their lines."""
    if not days:
        yield _finding("nothing-found")
        return
    boxes = dict.fromkeys(day.seen.box_id for day in days)
    if len(boxes) > 1:  # each has a chain of its own, and they are not told apart here
        yield _finding("several-boxes", boxes=", ".join(boxes))
        return
    if days[0].seen.first > 1:
        yield _finding("begins-late", seq=days[0].seen.first)
    for before, after in pairwise(days):
        files = {"file": after.file, "before": before.file}
        if after.seen.first <= before.seen.last:
            yield _finding("twice", seq=after.seen.first, **files)
        elif before.seen.broken:
            continue  # that was said, and where its lines end is not known
        elif after.seen.first > before.seen.last + 1:
            between = {"seq": before.seen.last + 1, "to": after.seen.first - 1}
            yield _finding("gap", **between, **files)
        elif after.seen.prev != before.seen.hash:
            yield _finding("not-following", seq=after.seen.first, **files)


def _head(head: ledger.Head, days: Sequence[Day], lines: Mapping[str, int]) -> list[Finding]:
    """Return what is wrong with the chain if that head was published."""
    if lines.get(head.hash) == head.seq:
        return []
    end = days[-1].seen if days else SegmentSeen()
    if head.seq > end.last:
        return [_finding("head-beyond", seq=head.seq, last=end.last, at=end.last_at)]
    early = head.seq < days[0].seen.first
    return [_finding("head-before" if early else "head-differs", seq=head.seq)]


def _delivered(note: Delivered, days: Sequence[Day], lines: Mapping[str, int]) -> list[Finding]:
    """Return what is wrong with the chain, or with the note, if that note was delivered."""
    seen = note.seen
    about = {"file": note.file, "document": seen.document, "at": seen.at}
    if not HASH.fullmatch(seen.hash):
        return [_finding("note-unknown", **about)]
    if not note.proven:
        return [_finding("note-unproven", **about)]
    if seen.hash in lines:
        return []
    begin, end = (days[0].seen, days[-1].seen) if days else (SegmentSeen(), SegmentSeen())
    if days and seen.box_id != begin.box_id:
        return [_finding("note-other-box", **about)]
    if begin.first > 1 and seen.at < begin.first_at:
        return [_finding("note-before", seq=begin.first, **about)]
    return [_finding("note-absent", last=end.last, until=end.last_at, **about)]


def _finding(code: str, **values: object) -> Finding:
    return Finding(code=code, values={name: shown(value) for name, value in values.items()})


def shown(value: object) -> str:
    """Return a text out of a file of others as it may stand on somebody's terminal."""
    return printable(str(value).encode(errors="replace"))
