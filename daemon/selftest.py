"""Tries a configured target for real, step by step: `scanseal selftest --target NAME`.

    reach ─▶ ask ─▶ put ─▶ find ─▶ prove ─▶ take away

One document that says that it is a test is put there as a scan would be, found, read back and
compared, by the same adapter that delivers; so the first hour at a customer shows whether
address, trust, login, type, fields and rights are right. Neither spool nor ledger is touched.
What cannot be taken away again is named, so that a person can do it.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from daemon.document import FACTS, GRADES, Digest, Role, new_id, utc_text
from daemon.errors import (
    DaemonError,
    PermanentError,
    TargetDisagrees,
    TargetDuplicate,
    TransientError,
)
from daemon.targets import About, Removes, Sending, check
from daemon.targets.http import Http
from daemon.targets.kinds import built
from daemon.targetsections import HttpSection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from daemon.config import Config
    from daemon.document import Receipt
    from daemon.formats import Formats
    from daemon.targets import Target
    from daemon.targetsections import TargetSection

STEP_SECONDS: Final = 120.0
"""So long a step may take: a dead mount never ends by itself."""
TEST: Final = "SELFTEST"
UNSURE: Final = (TransientError, TargetDisagrees, TargetDuplicate)
"""What leaves open whether the target has the test document, or says that it has."""
LOCKED_FOR: Final = timedelta(days=1)
"""An archive that locks what it gets keeps the test document for so long, and no longer."""
LINES: Final = (
    "Scanseal: Selbsttest. Kein Dokument; darf entfernt werden.",
    "Scanseal: self-test. No document; may be removed.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step, as it went."""

    word: str
    """What was tried: a key of the table of words, behind `selftest_`; `left` and `maybe` are no
    steps, but say that the test document is, or may be, at the target."""
    seconds: float = 0.0
    said: str = ""
    """What came of it, for a person who compares it with the other side."""
    error: DaemonError | None = None

    @property
    def good(self) -> bool:
        """Whether nothing speaks against the target; that it lets nobody delete does not."""
        return self.error is None or self.word == "left"


async def steps(
    config: Config, section: TargetSection, credentials: str | None, now: datetime
) -> AsyncIterator[Step]:
    """Try the target of *section*; after a step that goes wrong comes only the cleaning up."""
    if isinstance(section, HttpSection) and not section.proxy:
        yield (step := await _step("reached", lambda: _reached(section, credentials)))
        if not step.good:
            return
    target = built(config, credentials, lambda: datetime.now(UTC))[section.name]
    try:
        with tempfile.TemporaryDirectory(prefix="scanseal-selftest-") as folder:
            part = _document(Path(folder), config, target.role, now)
            trial = _Trial(target, part, section.proof)
            async for step in trial.steps():
                yield step
    finally:
        await target.close()


async def _reached(section: HttpSection, credentials: str | None) -> str:
    http = Http(section, credentials)
    try:
        return f"{section.url} {await http.reached()}".rstrip()
    finally:
        await http.close()


class _Trial:
    """One test document on its way."""

    def __init__(self, target: Target, part: Sending, proof: str) -> None:
        self._target = target
        self._part = part
        self._proof = proof
        self._held: Receipt | None = None

    async def steps(self) -> AsyncIterator[Step]:
        yield (step := await _step("asked", self._asked))
        if not step.good:
            return
        for word, work in (("put", self._put), ("found", self._found), ("proven", self._proven)):
            yield (step := await _step(word, work))
            if not step.good:
                break
        if self._held is not None:
            yield await self._cleaned(self._held)
        elif isinstance(step.error, UNSURE):
            yield Step(word="maybe", said=self._part.key)

    async def _cleaned(self, held: Receipt) -> Step:
        """Take the test document away; if that cannot be done, say where it is."""
        target, left = self._target, f"{held.key} ({held.reference})"
        if not isinstance(target, Removes):
            return Step(word="left", said=left)

        async def removed() -> str:
            await target.remove(held, self._part)
            return ""

        step = await _step("removed", removed)
        return replace(step, word="left", said=left) if step.error else step

    async def _asked(self) -> str:
        if await self._target.find(self._part) is not None:
            raise PermanentError(
                "target-disagrees", f"{self._target.name} has what nobody has put there"
            )
        return ""

    async def _put(self) -> str:
        self._held = await self._target.put(self._part)
        return self._same(self._held).reference

    async def _found(self) -> str:
        return self._same(await self._target.find(self._part)).reference

    async def _proven(self) -> str:
        assert self._held is not None
        grade = self._same(await self._target.prove(self._held, self._part)).grade
        if GRADES.index(grade) < GRADES.index(self._proof):
            raise PermanentError("target-proof-weak", f"{self._target.name} proves by {grade} only")
        return grade

    def _same(self, receipt: Receipt | None) -> Receipt:
        if receipt is None:
            raise PermanentError(
                "gone-from-target", f"{self._target.name} does not show what was put there"
            )
        check(self._target, self._part, receipt)
        return receipt


async def _step(word: str, work: Callable[[], Awaitable[str]]) -> Step:
    begun = time.monotonic()
    said, error = "", None
    try:
        async with asyncio.timeout(STEP_SECONDS):
            said = await work()
    except TimeoutError:
        error = _stalled()
    except DaemonError as exc:
        error = exc
    return Step(word=word, seconds=time.monotonic() - begun, said=said, error=error)


def _stalled() -> DaemonError:
    return TransientError("target-stalled", f"no end after {STEP_SECONDS:.0f} s")


def _document(folder: Path, config: Config, role: Role, now: datetime) -> Sending:
    """Make the test document, and what is told about it: every fact, so that each field is tried."""
    document_id = new_id(now)
    lines = (*LINES, f"{config.box.name} {document_id} {utc_text(now)}")
    data = pdf(lines)
    file = folder / "sealed.pdf"
    file.write_bytes(data)
    digest = Digest.of(data)
    facts: Mapping[str, str] = {
        **dict.fromkeys(FACTS, TEST),
        "id": document_id,
        "box": config.box.name,
        "organisation": config.box.organisation,
        **dict.fromkeys(("captured_at", "claimed_at", "sealed_at"), utc_text(now)),
        **dict.fromkeys(("original_sha256", "sealed_sha256"), str(digest)),
        "level": "B-B",
        "supersedes": "",
    }
    until = now + LOCKED_FOR if role is Role.ARCHIVE else None
    about = About(retain_until=until, facts=facts)
    return Sending(f"{document_id}/sealed.pdf", file, digest, len(data), about)


def pdf(lines: tuple[str, ...]) -> bytes:
    """Return a page that says *lines* (ISO 32000-1, 7.5): printable ASCII without brackets."""
    shown = " T* ".join(f"({line}) Tj" for line in lines)
    text = f"BT /F 12 Tf 16 TL 50 780 Td {shown} ET".encode("ascii")
    bodies = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources 5 0 R>>",
        b"<</Length %d>>\nstream\n%s\nendstream" % (len(text), text),
        b"<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>",
    )
    made, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(bodies, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    made += b"xref\n0 6\n0000000000 65535 f \n%strailer\n<</Size 6/Root 1 0 R>>\n" % table
    return bytes(made) + b"startxref\n%d\n%%%%EOF\n" % made.index(b"xref\n0 6")


def line(step: Step, words: Formats) -> str:
    """Return a step in words: a tick, or what went wrong and what to do about it."""
    if step.word in {"left", "maybe"}:
        shown = words.word(f"selftest_{step.word}", what=step.said)
        why = f"         {step.error}\n" if step.error else ""
        return f"  {words.word('check_warn')} {shown}\n{why}"
    mark = words.word("check_bad" if step.error else "check_ok")
    said = words.word(f"grade_{step.said}") if step.word == "proven" and step.said else step.said
    what = ": ".join(filter(None, (words.word(f"selftest_{step.word}"), said)))
    shown = f"  {mark} {what} ({words.seconds(step.seconds)})\n"
    if step.error:
        text = words.code(step.error.code)
        for sentence in filter(None, (str(step.error), text.sentence, text.remedy)):
            shown += f"         {sentence}\n"
    return shown
