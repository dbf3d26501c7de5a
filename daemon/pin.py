"""When the PIN may be presented, and the account that is kept of it (I6).

    commit the attempt ──▶ ledger files fsynced ──▶ C_Login ──▶ commit the answer

Killed in between, the next start finds an attempt without an answer and counts it: a
card locks after three, and nobody knows whether it saw this one. The record is kept
per serial number, outlives restarts, and holds no PIN.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeVar

from daemon.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from daemon.hsm import TokenFacts
    from daemon.records.logins import LoginRecord

Outcome = Literal["accepted", "rejected", "failed"]

OUTCOMES: Final[Mapping[str, Outcome]] = {
    "pin-rejected": "rejected",
    "pin-expired": "rejected",
    "pin-locked": "rejected",
    "pin-not-set": "failed",
    "pin-file-missing": "failed",
    "pin-file-open": "failed",
    "pin-file-unusable": "failed",
    "not-logged-in": "failed",
    "mechanism-missing": "failed",
    "hsm-refused": "failed",
    "hsm-error": "failed",
    "token-missing": "failed",
    "worker-unavailable": "failed",
}
"""What is known of an attempt that ended so. All else may have been counted and stays open."""
PERMITTABLE: Final = frozenset(
    {"pin-rejected", "pin-expired", "pin-final-try", "pin-attempts-unresolved"}
)

T = TypeVar("T")


class LoginBook(Protocol):
    """The part of the spool that remembers logins; each method is one transaction."""

    async def login_record(self, serial: str) -> LoginRecord:
        """Return what is known; a serial never seen is a record with nothing in it."""

    async def login_attempted(self, serial: str, now: datetime) -> None:
        """Commit that an attempt begins; it uses up a permission."""

    async def login_answered(self, serial: str, outcome: Outcome, code: str, now: datetime) -> None:
        """Commit what became of the attempt.

        `accepted` and `rejected` close it and all before it: the token has spoken.
        `failed` takes back this one only: it did not reach the PIN, which says
        nothing of an earlier attempt, nor takes an earlier rejection back.
        """

    async def permit_login(self, serial: str, person: str, now: datetime) -> None:
        """Commit that a person asked for one more try."""

    async def export_ledger(self) -> None:
        """Return once every committed ledger line is in the files and fsynced."""


def may_login(record: LoginRecord, facts: TokenFacts) -> str | None:
    """Return None if the PIN may be presented now, else the code that says why not.

    A person's permission covers everything but a locked PIN, which no try can open.

    Flags without a rejection of ours mean that somebody else mistyped, or that our
    records are gone. COUNT_LOW alone: allowed. Ours is most likely the right PIN,
    which clears the flag, and if not, at least one try is left after it: this is not
    the last one. FINAL_TRY: not allowed. If ours is wrong the card is dead, and of
    that a machine in a cupboard does not decide; a person can look at the PIN first.

    One attempt without an answer (a power cut, a hung library) allows one more only
    while the token shows no wrong try at all; else it may have been that one.
    """
    if facts.pin_locked:
        return "pin-locked"
    if record.permitted:
        return None
    if record.rejected:
        return "pin-rejected"
    if facts.pin_final_try:
        return "pin-final-try"
    if record.unresolved > 1 or (record.unresolved and facts.pin_count_low):
        return "pin-attempts-unresolved"
    return None


def book_key(facts: TokenFacts) -> str:
    """Return under which name the record is kept: some tokens tell no serial number."""
    return facts.serial or f"label:{facts.label}"


def _why(code: str, record: LoginRecord, facts: TokenFacts) -> str:
    """Say what a person has to know before asking for another try: what the token shows now."""
    shown = "no wrong PIN since the last good one"
    if facts.pin_locked:
        shown = "that the PIN is locked"
    elif facts.pin_final_try:
        shown = "that the next wrong PIN locks it"
    elif facts.pin_count_low:
        shown = "that a wrong PIN was tried"
    known = f"{record.unresolved} tries without an answer"
    if code == "pin-rejected":
        known = "the PIN was rejected"
    return f"{known}; the token {book_key(facts)} shows {shown}"


class Pin:
    """Whatever presents the PIN goes through here."""

    def __init__(self, book: LoginBook, now: Callable[[], datetime]) -> None:
        """Keep the account in *book*."""
        self._book = book
        self._now = now
        self._presenting = asyncio.Lock()
        self.tries = 0
        """Since the last good signature, which sets it back."""

    async def present(self, facts: TokenFacts, ask: Callable[[], Awaitable[T]]) -> T:
        """Do what presents the PIN, between the two commits, and to its end.

        Also when cancelled: a stop of the service in the middle would leave an
        attempt without an answer, and the second one needs a person.
        """
        asked = asyncio.ensure_future(self._accounted(facts, ask))
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            await asyncio.wait({asked})
            if not asked.cancelled():
                asked.exception()  # it has been written down; nobody is left to hear it
            raise

    async def _accounted(self, facts: TokenFacts, ask: Callable[[], Awaitable[T]]) -> T:
        async with self._presenting:
            serial = book_key(facts)
            record = await self._book.login_record(serial)
            code = may_login(record, facts)
            if code is not None:
                raise PermanentError(code, _why(code, record, facts))
            await self._book.login_attempted(serial, self._now())
            await self._book.export_ledger()
            self.tries += 1
            try:
                answer = await ask()
            except (TransientError, PermanentError) as exc:
                outcome = OUTCOMES.get(exc.code)
                if outcome is not None:
                    await self._book.login_answered(serial, outcome, exc.code, self._now())
                raise
            await self._book.login_answered(serial, "accepted", "", self._now())
            return answer

    async def permit(self, facts: TokenFacts, person: str) -> None:
        """Commit that *person* lets the PIN be presented once more."""
        await self._book.permit_login(book_key(facts), person, self._now())
