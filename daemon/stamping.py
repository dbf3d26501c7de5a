"""Puts time-stamp tokens into sealed files: level B-T, or B-LT where the evidence is in it already.

    sealed.pdf (B-B, with room in its gap)     nothing is sent of it yet
       │  a token for its signature's value, from the first authority that answers
       ▼
    stamped.pdf  the same bytes around the same gap, fsynced, read back
       │  STAMPED is committed, with its digest
       ▼
    sealed.pdf   renamed over it

Killed before the commit, stamped.pdf is nobody's and goes; killed after it, `settle`
finds it under the committed digest and renames it. Nothing is ever appended.

While no authority answers nothing is tried but one document now and then; the rest
wait, and nobody waits for them.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from daemon import durable, gap, timestamped
from daemon.document import Digest, Document, State, folder_of
from daemon.errors import CorruptionError, PermanentError, TransientError
from daemon.findings import LEVEL_NOT_REACHED
from daemon.spool import Spool
from daemon.workplace import OWN_COPY_DAMAGED, own_copy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime
    from pathlib import Path

    from daemon.alarms import Alarms
    from daemon.config import Config, Profile
    from daemon.document import Part
    from daemon.spool import SpoolThread

UNAVAILABLE: Final = "timestamp-unavailable"
OVERDUE: Final = "timestamp-overdue"
GIVEN_UP: Final = "timestamp-given-up"
STAMPED: Final = "stamped.pdf"
TOO_LARGE: Final = "timestamp-too-large"
CODES: Final = frozenset({UNAVAILABLE, TOO_LARGE, GIVEN_UP, OVERDUE})
BATCH: Final = 64
TOKEN_BYTES: Final = 8192
"""Reckoned with before the first token; those with a chain of three have about six thousand."""
FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 300.0


def settle(folder: Path, document: Document) -> None:
    """Bring the files of a SEALED or STAMPED document to what is committed about it."""
    sealed, stamped = folder / "sealed.pdf", folder / STAMPED
    if not stamped.exists():
        return
    if document.state is not State.SEALED and durable.digest_of(stamped)[0] == document.sealed:
        stamped.replace(sealed)
    else:
        stamped.unlink()
    durable.sync_folder(folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A time-stamp token (RFC 3161) that was verified."""

    der: bytes
    at: datetime
    """When, as it says."""
    by: str
    """Who gave it: the subject of its certificate."""
    certificates: frozenset[Digest] = frozenset()
    """Those that it carries, roots aside: what evidence has to be about."""


class Authority(Protocol):
    """Whoever gives time stamps."""

    async def token(self, imprint: bytes) -> Token:
        """Return a token for SHA-256 *imprint*; TransientError if there is none to be had now."""


class Stamper:
    """Stamps single documents, and knows whether it is worth trying."""

    def __init__(
        self,
        config: Config,
        spool: SpoolThread,
        authority: Authority | None,
        alarms: Alarms,
        clock: Callable[[], datetime],
    ) -> None:
        """Ask nobody yet; *authority* is None where no profile wants time stamps."""
        self._config = config
        self._spool = spool
        self._authority = authority
        self._alarms = alarms
        self._clock = clock
        self._pause = 0.0
        self._again_at = 0.0
        self._turn = 0
        self.token_bytes = TOKEN_BYTES
        """The largest token that is reckoned with: the next gap has room for such a one."""

    @property
    def asks(self) -> bool:
        """Whether there is an authority that could answer any moment."""
        return self._authority is not None

    async def due(self, most: int, busy: Collection[str] = ()) -> list[Document]:
        """Return what is to be done now, so that with *busy* at most so many are in work.

        Whose time is over goes on without; of the others, while no authority answers, one is
        tried now and then, each time another one: what is wrong with it may be its own.
        """
        room = most - len(busy)
        if room <= 0:
            return []
        over = await self._over()
        if self._pause:
            room = min(room, 1) if time.monotonic() >= self._again_at and not busy else 0
        found = [document for document in over if document.id not in busy]
        tries = await self._tries(room, {*busy, *(document.id for document in found)})
        if not found and not tries and not busy:
            await self._probe()
        return found + tries

    async def _tries(self, room: int, known: Collection[str]) -> list[Document]:
        """Return at most *room* documents to try, none of them *known*."""
        if not room:
            return []
        waiting = await self._spool(Spool.to_stamp, BATCH)
        free = [document for document in waiting if document.id not in known]
        if self._pause and free and not free[0].tries:
            free = [free[self._turn % len(free)]]
            self._turn += 1
        return free[:room]

    async def _probe(self) -> None:
        """With nothing that waits, ask about nothing whether an authority answers again."""
        if not self._pause or time.monotonic() < self._again_at or self._authority is None:
            return
        if await self._spool(Spool.unstamped):
            return
        try:
            await self._authority.token(secrets.token_bytes(hashlib.sha256().digest_size))
        except TransientError as exc:
            self._failed(exc)
        else:
            self._well()

    def gives_up(self, document: Document) -> bool:
        """Return whether *document* goes on without the token: its time is over, and none answers."""
        profile = self._config.profiles[document.profile]
        return bool(
            self.gives_up_in(profile)
            and document.sealed_at
            and document.sealed_at < self._since(profile)
        )

    def gives_up_in(self, profile: Profile) -> bool:
        """Return whether documents of *profile* go on without a token once their time is over."""
        return bool(self._pause) and profile.on_no_timestamp == "deliver"

    def _since(self, profile: Profile) -> datetime:
        return self._clock() - timedelta(hours=profile.timestamp_wait_hours)

    async def _over(self) -> list[Document]:
        """Return those that go on without a token; say how many wait for longer than they should."""
        found: list[Document] = []
        held = 0
        for name, profile in self._config.profiles.items():
            late = await self._spool(Spool.unstamped_since, name, self._since(profile), BATCH)
            if self.gives_up_in(profile):
                found += late
            else:
                held += len(late)
        if found:
            self._alarms.raise_(GIVEN_UP)
        if held:
            self._alarms.raise_(OVERDUE, detail=str(held) if held < BATCH else f"{BATCH}+")
        else:
            self._alarms.clear(OVERDUE)
        return found

    async def stamp(self, document: Document) -> Document:
        """Return *document* STAMPED.

        Raise TransientError if no authority gives a token now: the document is as it was.
        PermanentError if its own file is not what was committed.
        """
        folder = folder_of(self._config.documents, document.id)
        seal = await asyncio.to_thread(self._seal_of, folder, document)
        token = await self._token(seal, document)
        stamped = timestamped.with_token(seal, token.der)
        part = await asyncio.to_thread(self._restamped, folder, document, stamped)
        document, level = _reached(document, token, self._config.profiles[document.profile].level)
        document = await self._spool(
            Spool.stamp, document, part, level, token.at, self._clock(), token.by
        )
        # A rebuild has only the ledger's files: to it the new file has to be the committed one.
        await self._spool(Spool.export_ledger)
        await asyncio.to_thread(settle, folder, document)
        return document

    async def _token(self, seal: bytes, document: Document) -> Token:
        imprint = hashlib.sha256(timestamped.signature_value(seal)).digest()
        try:
            token = await self._asked(imprint)
            self.token_bytes = max(self.token_bytes, len(token.der))
            _fits(timestamped.with_token(seal, token.der), document)
        except TransientError as exc:
            self._failed(exc)
            raise
        self._well()
        return token

    async def _asked(self, imprint: bytes) -> Token:
        if self._authority is None:
            raise TransientError(UNAVAILABLE, "no [seal] timestamp_urls")
        return await self._authority.token(imprint)

    def _failed(self, exc: TransientError) -> None:
        self._pause = min(max(2 * self._pause, FIRST_PAUSE), LONGEST_PAUSE)
        self._again_at = time.monotonic() + self._pause
        self._alarms.raise_(exc.code, detail=str(exc.args[0]))

    def _well(self) -> None:
        self._pause = 0.0
        self._alarms.clear_all(CODES)

    def _seal_of(self, folder: Path, document: Document) -> bytes:
        """Return the CMS in the sealed file, which has to be the file that was committed."""
        settle(folder, document)
        hole = _hole(document)
        with own_copy():
            seen = gap.look(folder / "sealed.pdf", hole)
        if seen.whole != document.sealed or seen.size != hole.size:
            raise PermanentError(OWN_COPY_DAMAGED, "sealed.pdf is not as it was committed")
        return timestamped.unpadded(gap.contents_of(seen))

    def _restamped(self, folder: Path, document: Document, stamped: bytes) -> Part:
        """Write the file with *stamped* in its gap, beside the sealed one; return it, read back."""
        hole = _hole(document)
        with own_copy():
            before = gap.look(folder / "sealed.pdf", hole)
        seen = gap.restamp(folder / "sealed.pdf", hole, stamped, folder / STAMPED)
        # All but the gap is the same, so pages and signature are what they were; and in the
        # gap is what was verified.
        if seen.signed != before.signed or timestamped.unpadded(gap.contents_of(seen)) != stamped:
            raise PermanentError("seal-invalid", "the stamped file on disk is not the one meant")
        return gap.part_of(seen)


def _reached(document: Document, token: Token, wanted: str) -> tuple[Document, str]:
    """Return the level that *document* has with *token*, and its findings with that.

    Evidence that ended before the time in the token says nothing of that time, as where the
    authority was away for days (the verification judges it alike).
    """
    about = bool(document.evidence) and token.certificates <= document.evidence
    in_force = document.evidence_until is None or token.at <= document.evidence_until
    level = "B-LT" if about and in_force else "B-T"
    if wanted != level and wanted == "B-LT":
        findings = dict.fromkeys((*document.findings, LEVEL_NOT_REACHED))
        document = replace(document, findings=tuple(findings))
    return document, level


def _fits(stamped: bytes, document: Document) -> None:
    """Raise `timestamp-too-large` if the gap does not hold *stamped*."""
    hole = _hole(document)
    if len(stamped) > (room := (hole.end - hole.start - 2) // 2):
        raise TransientError(TOO_LARGE, f"{len(stamped)} bytes; there is room for {room}")


def _hole(document: Document) -> gap.Gap:
    if document.gap is None:
        raise CorruptionError("database-damaged", f"{document.id}: nobody knows where its seal is")
    return gap.Gap(*document.gap, document.sealed_size)
