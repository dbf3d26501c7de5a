"""Keeps the token usable, and never presents a PIN more often than allowed (I6).

    starting ──ensure──▶ ready ──a failed signature, a failed probe──▶ unavailable
                           ▲                                              │
                           └──────── again, at most every 30 s ───────────┘
    needs-person: looked at again as often, but no PIN is presented unless the
    rule says so; `permit` lets one more try happen.

One login is: commit the attempt, have the ledger files fsynced, C_Login, commit
the answer. Killed in between, the next start finds an attempt without an answer
and counts it: a card locks after three, and nobody knows whether it saw this one.
The record is kept per serial number, outlives restarts, and holds no PIN.

A document has no part in any of this. Whatever goes wrong here leaves as
TransientError, also what only a person can mend: the document waits.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeVar

from daemon.document import Digest
from daemon.errors import PermanentError, PersonNeeded, TransientError
from daemon.latency import Histogram

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from daemon.hsm import KeyFacts, TokenFacts
    from daemon.records.logins import LoginRecord

Outcome = Literal["accepted", "rejected", "failed"]

log = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 30.0
"""So long after the beginning of one try to get ready the next may begin (lessons.md 3.2)."""
MOST_DOUBLINGS: Final = 5
QUIET_SECONDS: Final = 20.0
"""After so long without a signature the token is probed: some end an idle session after 30 s."""
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
STILL_LOGGED_IN: Final = frozenset(
    {"key-missing", "key-ambiguous", "key-unusable", "mechanism-missing", "hsm-refused"}
)
"""Trouble that a new login would not mend, so none is spent on it."""
OF_A_REQUEST: Final = frozenset({"certificate-mismatch", "certificate-there", "token-read-only"})
"""What a person's request can run into, and says nothing of the sealing."""
PERMITTABLE: Final = frozenset(
    {"pin-rejected", "pin-expired", "pin-final-try", "pin-attempts-unresolved"}
)


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


class KeyDevice(Protocol):
    """What `hsm.Hsm` promises, as far as it is used here."""

    async def open(self) -> TokenFacts:
        """Start afresh and find the token, without a login."""

    async def login(self) -> None:
        """Present the PIN once."""

    async def find_key(self) -> KeyFacts:
        """Find the key, logged in."""

    async def probe(self) -> None:
        """Return if the token is there and logged in."""

    async def sign(self, scheme: str, digest: Digest, data: bytes, label: str = "") -> bytes:
        """Sign, with the key of that label."""

    async def certificates(self, label: str) -> tuple[str, ...]:
        """Return what lies beside the key of that label now."""

    def use(self, label: str, serial: str) -> None:
        """Mean that key of that token from now on."""

    async def find_other(self, label: str) -> KeyFacts:
        """Find another key, logged in, and leave the one of `sign` as it is."""

    async def sign_with(self, label: str, scheme: str, digest: Digest, data: bytes) -> bytes:
        """Sign with the key of that label."""

    async def import_certificate(self, label: str, parts: Mapping[str, str]) -> None:
        """Lay a certificate beside the key of that label."""

    async def close(self) -> None:
        """End the process."""


@dataclass(frozen=True, slots=True)
class TokenState:
    """What the page shows."""

    name: Literal["starting", "ready", "needs-person", "unavailable"]
    code: str = ""
    detail: str = ""


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


T = TypeVar("T")


class Token:
    """One token, one key, ready to sign or with a reason why not."""

    def __init__(
        self,
        device: KeyDevice,
        book: LoginBook,
        *,
        padding: str = "pss",
        digest: str = "sha256",
        quiet_seconds: float = QUIET_SECONDS,
        check: Callable[[TokenFacts, KeyFacts], None] = lambda _token, _key: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take over *device*.

        *check* is called each time a key was found, before it is used: it raises
        PermanentError if this is not the key that the certificate belongs to.
        After *quiet_seconds* without a signature the token is probed.
        *clock* is monotonic and measures pauses only; *now* is what gets written down.
        """
        self._device = device
        self._book = book
        self._quiet_seconds = quiet_seconds
        self.latency = Histogram()
        """How long good signatures took, the way to the token's process and back included."""
        self.opened = 0
        """How often the token was opened: once, and again after each trouble."""
        self._padding = padding
        self._digest = digest
        self.check = check
        self._now = now
        self._clock = clock
        self.state = TokenState("starting")
        self.facts: TokenFacts | None = None
        self.key: KeyFacts | None = None
        self._logged_in = False
        self._changing = asyncio.Lock()
        self._presenting = asyncio.Lock()
        self._life = 0
        """Counts the processes that were given up: trouble of an old one is no news."""
        self._logins = 0
        """Logins since the last good signature: the more, the longer the pause."""
        self._tried_at: float | None = None
        """When the last try to get ready began; None if the next may begin at once."""
        self._heard_at = clock()

    @property
    def scheme(self) -> str:
        """How the key signs; known once it was found."""
        return self._scheme_of(self.key)

    def _scheme_of(self, key: KeyFacts | None) -> str:
        if key is not None and key.kind == "ec":
            return f"ecdsa-{self._digest}"
        return f"rsa-{self._padding}-{self._digest}"

    async def ensure(self) -> None:
        """Return once the key can be used; raise TransientError with the reason if it cannot.

        Called before each signature, and now and then by the service: while all is
        well that probes a token that had nothing to do.
        """
        async with self._changing:
            if self.state.name == "ready":
                if self._clock() - self._heard_at < self._quiet_seconds:
                    return
                try:
                    await self._device.probe()
                except (TransientError, PermanentError) as exc:
                    await self._lost(exc)
                else:
                    self._heard_at = self._clock()
                    return
            await self._recover()

    async def sign(
        self, digest: Digest, data: bytes, by: tuple[str, KeyFacts] | None = None
    ) -> bytes:
        """Return the key's signature over *data*, whose SHA-256 is *digest*.

        *by* is the label of a key that was found and what it is: a document in work
        may need the one before (`use`).
        """
        for again in (True, False):
            await self.ensure()
            life = self._life
            try:
                signature = await self._sign(digest, data, by)
            except (TransientError, PermanentError) as exc:
                async with self._changing:
                    # The one before may be gone from the token: that stops nothing.
                    before = by is not None and by[1].public != getattr(self.key, "public", "")
                    if life == self._life and not (before and exc.code in STILL_LOGGED_IN):
                        await self._lost(exc)
                # A process that was replaced while it was idle has signed nothing:
                # the document need not wait for its next turn.
                if exc.code == "not-logged-in" and again:
                    continue
                raise TransientError(exc.code, exc.args[0]) from exc
            break
        self._logins = 0
        self._heard_at = self._clock()
        return signature

    async def sign_once(
        self, label: str, made: Callable[[KeyFacts, str], bytes]
    ) -> tuple[bytes, bytes]:
        """Sign what *made* makes of a key's facts and its scheme; return it with the signature.

        For a person's request (a CSR), with any key of this token: also while no
        certificate fits yet, so nothing is compared here, and what seals documents
        stays as it was. A login that it takes is accounted as always (I6).
        """

        async def work() -> tuple[bytes, bytes]:
            key = await self._device.find_other(label)
            scheme = self._scheme_of(key)
            data = made(key, scheme)

            async def ask() -> bytes:
                return await self._device.sign_with(label, scheme, Digest.of(data), data)

            return data, await (self._present(ask) if key.always_authenticate else ask())

        async with self._changing:
            return await self._on_request(work)

    async def import_certificate(
        self, label: str, parts: Mapping[str, str], fits: Callable[[KeyFacts], None]
    ) -> None:
        """Lay a certificate beside a key of this token, once *fits* has not raised."""

        async def work() -> None:
            fits(await self._device.find_other(label))
            await self._device.import_certificate(label, parts)

        async with self._changing:
            await self._on_request(work)
            if self.state.name != "ready":
                # It may be the one that was missing: what is on the token is looked at anew.
                self._logged_in, self._tried_at = False, None
                self._life += 1
                await self._device.close()

    async def _on_request(self, work: Callable[[], Awaitable[T]]) -> T:
        try:
            if not self._logged_in:
                await self._log_in()
            return await work()
        except (TransientError, PermanentError) as exc:
            if exc.code not in STILL_LOGGED_IN | OF_A_REQUEST:
                await self._lost(exc)
            raise

    async def look(self, label: str) -> tuple[TokenFacts, KeyFacts]:
        """Find a key of this token and what lies beside it; what seals stays as it is."""

        async def work() -> tuple[TokenFacts, KeyFacts]:
            key = await self._device.find_other(label)
            beside = await self._device.certificates(label)
            assert self.facts is not None
            return replace(self.facts, certificates=beside), key

        async with self._changing:
            return await self._on_request(work)

    async def use(
        self,
        label: str,
        serial: str,
        facts: TokenFacts,
        key: KeyFacts,
        switch: Callable[[], None],
    ) -> None:
        """Sign with the key of that label from now on; *switch* is called in the same moment."""
        async with self._changing:
            self._device.use(label, serial)
            self.facts, self.key = facts, key
            switch()
            if self.state.name != "ready":
                self._tried_at = None  # this may be what was missing

    async def permit(self, person: str) -> None:
        """Let the next `ensure` try the PIN once more.

        Raise PersonNeeded if that is not what this token waits for: a permission
        that lies about would be used after some later rejection.
        """
        async with self._changing:
            state = self.state
            if state.name != "needs-person" or state.code not in PERMITTABLE or not self.facts:
                raise PersonNeeded(
                    "login-not-waiting", f"the token is {state.name} {state.code}".rstrip()
                )
            await self._book.permit_login(book_key(self.facts), person, self._now())
            self._tried_at = None

    async def close(self) -> None:
        """End the process; waits for an answer that was asked for."""
        async with self._changing:
            self._logged_in = False
            self._life += 1
            self.state = TokenState("starting")
            await self._device.close()

    async def _recover(self) -> None:
        doublings = min(max(self._logins - 1, 0), MOST_DOUBLINGS)
        now, pause = self._clock(), PAUSE_SECONDS * 2**doublings
        if self._tried_at is not None and now < self._tried_at + pause:
            raise TransientError(self.state.code or "not-logged-in", self.state.detail)
        self._tried_at = now
        try:
            if not self._logged_in:
                await self._log_in()
            self.key = await self._device.find_key()
            if self.facts is not None:
                self.check(self.facts, self.key)
        except (TransientError, PermanentError) as exc:
            await self._lost(exc)
            raise TransientError(exc.code, exc.args[0]) from exc
        self._heard_at = self._clock()
        self._become(TokenState("ready"))

    async def _log_in(self) -> None:
        self.opened += 1
        self.facts = await self._device.open()
        await self._present(self._device.login)
        self._logged_in = True

    async def _sign(self, digest: Digest, data: bytes, by: tuple[str, KeyFacts] | None) -> bytes:
        label, key = by if by is not None else ("", self.key)
        more = (label,) if label else ()

        async def ask() -> bytes:
            return await self._device.sign(self._scheme_of(key), digest, data, *more)

        begun = time.perf_counter()
        signature = await (self._present(ask) if key and key.always_authenticate else ask())
        self.latency.observe(time.perf_counter() - begun)
        return signature

    async def _present(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Do what presents the PIN, between the two commits, and to its end.

        Also when cancelled: a stop of the service in the middle would leave an
        attempt without an answer, and the second one needs a person.
        """
        asked = asyncio.ensure_future(self._accounted(ask))
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            await asyncio.wait({asked})
            if not asked.cancelled():
                asked.exception()  # it has been written down; nobody is left to hear it
            raise

    async def _accounted(self, ask: Callable[[], Awaitable[T]]) -> T:
        async with self._presenting:
            assert self.facts is not None
            serial = book_key(self.facts)
            record = await self._book.login_record(serial)
            code = may_login(record, self.facts)
            if code is not None:
                raise PermanentError(code, _why(code, record, self.facts))
            await self._book.login_attempted(serial, self._now())
            await self._book.export_ledger()
            self._logins += 1
            try:
                answer = await ask()
            except (TransientError, PermanentError) as exc:
                outcome = OUTCOMES.get(exc.code)
                if outcome is not None:
                    await self._book.login_answered(serial, outcome, exc.code, self._now())
                raise
            await self._book.login_answered(serial, "accepted", "", self._now())
            return answer

    async def _lost(self, exc: TransientError | PermanentError) -> None:
        """Say what is wrong, and give the process up unless its login is still good."""
        if exc.code not in STILL_LOGGED_IN:
            self._logged_in = False
            self._life += 1
            await self._device.close()
        name: Literal["needs-person", "unavailable"]
        name = "needs-person" if isinstance(exc, PermanentError) else "unavailable"
        self._become(TokenState(name, exc.code, exc.args[0]))

    def _become(self, state: TokenState) -> None:
        if (state.name, state.code) != (self.state.name, self.state.code):
            log.info("token state=%s code=%s", state.name, state.code or "-")
        self.state = state
