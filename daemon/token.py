"""Keeps the token usable: opened, logged in, its key found, and again after trouble.

    starting ──ensure──▶ ready ──a failed signature, a failed probe──▶ unavailable
                           ▲                                              │
                           └──────── again, at most every 30 s ───────────┘
    needs-person: looked at again as often, but no PIN is presented unless the
    rule says so (`pin.py`); `permit` lets one more try happen.

A login belongs to a process, so each session is a process of its own. The first
one decides: only after its login was accepted and its key is the right one do the
others log in. One that cannot is left out; trouble in one is trouble of the token,
and all begin anew.

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
from daemon.pin import PERMITTABLE, Pin, book_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from daemon.hsm import KeyFacts, TokenFacts
    from daemon.pin import LoginBook

Outcome = Literal["accepted", "rejected", "failed"]

log = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 30.0
"""So long after the beginning of one try to get ready the next may begin (lessons.md 3.2)."""
MOST_DOUBLINGS: Final = 5
QUIET_SECONDS: Final = 20.0
"""After so long without a signature the token is probed: some end an idle session after 30 s."""
STILL_LOGGED_IN: Final = frozenset(
    {"key-missing", "key-ambiguous", "key-unusable", "mechanism-missing", "hsm-refused"}
)
"""Trouble that a new login would not mend, so none is spent on it."""
OF_A_REQUEST: Final = frozenset({"certificate-mismatch", "certificate-there", "token-read-only"})
"""What a person's request can run into, and says nothing of the sealing."""


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


@dataclass(slots=True)
class _Session:
    """A process that is logged in."""

    device: KeyDevice
    heard_at: float
    """When it last answered: some end a session that idles."""
    busy: int = 0
    """Requests that it has not answered."""


T = TypeVar("T")


class Token:
    """One token, one key, ready to sign or with a reason why not."""

    def __init__(
        self,
        device: KeyDevice,
        book: LoginBook,
        *,
        others: Sequence[KeyDevice] = (),
        padding: str = "pss",
        digest: str = "sha256",
        quiet_seconds: float = QUIET_SECONDS,
        check: Callable[[TokenFacts, KeyFacts], None] = lambda _token, _key: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take over *device*, and *others* that sign beside it.

        *check* is called each time a key was found, before it is used: it raises
        PermanentError if this is not the key that the certificate belongs to.
        After *quiet_seconds* without a signature the token is probed.
        *clock* is monotonic and measures pauses only; *now* is what gets written down.
        """
        self._device = device
        self._others = tuple(others)
        self._sessions: list[_Session] = []
        self._pin = Pin(book, now)
        self._quiet_seconds = quiet_seconds
        self.latency = Histogram()
        """How long good signatures took, the way to the token's process and back included."""
        self.opened = 0
        """How often the token was opened: once, and again after each trouble."""
        self._padding = padding
        self._digest = digest
        self.check = check
        self._clock = clock
        self.state = TokenState("starting")
        self.facts: TokenFacts | None = None
        self.key: KeyFacts | None = None
        self._logged_in = False
        self._changing = asyncio.Lock()
        self._life = 0
        """Counts the processes that were given up: trouble of an old one is no news."""
        self._tried_at: float | None = None
        """When the last try to get ready began; None if the next may begin at once."""

    @property
    def missing_sessions(self) -> int:
        """How many sessions could not be opened while the first one signs."""
        ready = self.state.name == "ready"
        return 1 + len(self._others) - len(self._sessions) if ready else 0

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
                try:
                    await self._probe()
                except (TransientError, PermanentError) as exc:
                    await self._lost(exc)
                else:
                    return
            await self._recover()

    async def _probe(self) -> None:
        """Ask each session that was quiet whether it is still there."""
        for session in self._sessions:
            if not session.busy and self._clock() - session.heard_at >= self._quiet_seconds:
                await session.device.probe()
                session.heard_at = self._clock()

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
        self._pin.tries = 0
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
                self._tried_at = None
                await self._give_up()

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
            for device in (self._device, *self._others):
                device.use(label, serial)
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
            await self._pin.permit(self.facts, person)
            self._tried_at = None

    async def close(self) -> None:
        """End the processes; waits for answers that were asked for."""
        async with self._changing:
            self.state = TokenState("starting")
            await self._give_up()

    async def _recover(self) -> None:
        doublings = min(max(self._pin.tries - 1, 0), MOST_DOUBLINGS)
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
            await self._join()
        except (TransientError, PermanentError) as exc:
            await self._lost(exc)
            raise TransientError(exc.code, exc.args[0]) from exc
        self._become(TokenState("ready"))

    async def _log_in(self) -> None:
        self.opened += 1
        self.facts = await self._device.open()
        await self._present(self._device.login)
        self._logged_in = True

    async def _join(self) -> None:
        """Let the other sessions log in, with the PIN that was accepted a moment ago.

        What a token does not give (many allow a single session) is done without. What
        only a person can mend goes up: a PIN that is wrong now is tried no more.
        """
        self._sessions = [_Session(self._device, self._clock())]
        tries = self._pin.tries
        for device in self._others:
            try:
                await self._log_in_beside(device)
            except TransientError as exc:
                log.warning("token a further session is missing: %s: %s", exc.code, exc.args[0])
                await device.close()
            else:
                self._sessions.append(_Session(device, self._clock()))
        self._pin.tries = tries  # it was right: no reason for a longer pause

    async def _log_in_beside(self, device: KeyDevice) -> None:
        facts = await device.open()
        if self.facts is None or book_key(facts) != book_key(self.facts):
            raise TransientError("token-missing", "a further session finds another token")
        await self._pin.present(facts, device.login)
        await device.find_key()

    async def _present(self, ask: Callable[[], Awaitable[T]]) -> T:
        assert self.facts is not None
        return await self._pin.present(self.facts, ask)

    async def _sign(self, digest: Digest, data: bytes, by: tuple[str, KeyFacts] | None) -> bytes:
        label, key = by if by is not None else ("", self.key)
        more = (label,) if label else ()

        session = min(self._sessions, key=lambda one: one.busy)

        async def ask() -> bytes:
            return await session.device.sign(self._scheme_of(key), digest, data, *more)

        begun = time.perf_counter()
        session.busy += 1
        try:
            signature = await (self._present(ask) if key and key.always_authenticate else ask())
        finally:
            session.busy -= 1
        session.heard_at = self._clock()
        self.latency.observe(time.perf_counter() - begun)
        return signature

    async def _lost(self, exc: TransientError | PermanentError) -> None:
        """Say what is wrong, and give the processes up unless their login is still good."""
        if exc.code not in STILL_LOGGED_IN:
            await self._give_up()
        name: Literal["needs-person", "unavailable"]
        name = "needs-person" if isinstance(exc, PermanentError) else "unavailable"
        self._become(TokenState(name, exc.code, exc.args[0]))

    async def _give_up(self) -> None:
        self._logged_in = False
        self._life += 1
        self._sessions = []
        await asyncio.gather(*(device.close() for device in (self._device, *self._others)))

    def _become(self, state: TokenState) -> None:
        if (state.name, state.code) != (self.state.name, self.state.code):
            log.info("token state=%s code=%s", state.name, state.code or "-")
        self.state = state
