"""The sealing key as a whole: the token, its certificate, and the CMS template made from both.

`usable` answers one question before each turn of sealing, and raises the alarm
that says why not. What is wrong here stops sealing for everybody and is never a
document's fault: intake and delivery go on.

`reload` changes to another key or certificate while documents are in work. Each of
them keeps the template that it began with, and `sign` signs for a template with the
key that this one belongs to, whichever is the present one by then.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from daemon import certificate as certificates
from daemon import chain as chains
from daemon import cryptopolicy, qualified
from daemon.certificate import CertificateFacts
from daemon.document import Digest
from daemon.errors import PermanentError, TransientError, WorkerDied
from daemon.signer import Signer, certificate_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from daemon.alarms import Alarms
    from daemon.cms import Template
    from daemon.config import Config
    from daemon.hsm import KeyFacts, TokenFacts
    from daemon.sections import HsmSection
    from daemon.token import Token


SESSIONS = "hsm-sessions"
EXPIRING: Final = "certificate-expiring"
DAYS: Final = (7, 30, 90)
"""So many days before the certificate, or one above it, expires an alarm is raised, or renewed."""
ASK_SECONDS: Final = 20.0
"""So long a change waits for what issuers say of the new certificate."""
POLICY: Final = (cryptopolicy.EXPIRING, cryptopolicy.EXPIRED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """What became of a change that a person asked for."""

    changed: Literal["", "chain", "certificate"] = ""
    """Another certificate, with the same key or a new one; or only what is above it."""
    certificate: bytes = b""
    """The one that is used from now on."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """Codes, each with its detail: with one of them nothing was changed."""


class Key:
    """What `sealer.SealingKey` asks for, kept ready."""

    def __init__(
        self,
        config: Config,
        token: Token,
        place: Path,
        alarms: Alarms,
        clock: Callable[[], datetime],
    ) -> None:
        """Nothing is read yet; *place* is the working folder of the template's worker."""
        self._config = config
        self._token = token
        self._place = place
        self._alarms = alarms
        self._clock = clock
        self._raised: tuple[str, ...] = ()
        self._section = config.hsm
        self._signer: Signer | None = None
        self._signers: dict[bytes, Signer] = {}
        """By its certificate each that has sealed: a document in work may still need it."""
        self._reloading = asyncio.Lock()
        self.revocations: chains.Revocations = chains.NobodyKnows()
        """Asked before each turn; the service gives the one who knows."""
        self.count_since: Callable[[bytes, datetime], Awaitable[int]] = _unknown_count
        """Returns how many documents a certificate has sealed since then."""
        self.ask: Callable[[Sequence[Sequence[bytes]]], Awaitable[None]] = _nobody_to_ask
        """Asks the issuers of chains about revocations; of a new one before it takes over."""
        token.check = self._check

    @property
    def template(self) -> Template:
        """The CMS that each seal is made from; only after `usable` has said yes."""
        if self._signer is None or self._signer.template is None:
            raise TransientError("template-invalid", "there is no CMS template yet")
        return self._signer.template

    @property
    def section(self) -> HsmSection:
        """The configuration that is in force: `reload` may have read another one."""
        return self._section

    @property
    def environment(self) -> str:
        """The token in words, for the transfer note."""
        facts = self._token.facts
        if facts is None:
            raise TransientError("not-logged-in", "no token was opened yet")
        words = (facts.manufacturer, facts.model, f"firmware {facts.firmware}")
        return " ".join((*(word for word in words if word), f"serial {facts.serial}"))

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The certificates from its own up to the root, in DER; () while they are not known."""
        chain = self._signer.chain if self._signer is not None else None
        return chain.certificates if chain is not None else ()

    @property
    def scheme(self) -> str:
        """How it signs; "" while that is not known."""
        template = self._signer.template if self._signer is not None else None
        return template.scheme if template is not None else ""

    @property
    def advice(self) -> cryptopolicy.Advice | None:
        """What is to be said of the algorithm, once it is known."""
        if self._signer is None or not self.scheme:
            return None
        return certificates.advice(self._signer.certificate, self.scheme)

    def qualified(self, certificate: bytes = b"") -> str:
        """Return a word of qualified.py for *certificate*, or for the present one."""
        if self._signer is None:
            return qualified.standing(certificate, None)
        return qualified.standing(certificate or self._signer.certificate, self._signer.listed)

    @property
    def problems(self) -> tuple[str, ...]:
        """The codes of what speaks against sealing now."""
        return self._raised

    def facts(self) -> CertificateFacts | None:
        """Return what is known of the certificate, for the page."""
        if self._signer is None:
            return None
        return certificates.describe(self._signer.certificate, self._clock())

    async def sign(self, attributes: bytes, template: Template) -> bytes:
        """Return the signature over signed attributes by the key that *template* belongs to.

        Raise TransientError if the token cannot do it now.
        """
        signer = self._signers.get(template.certificate)
        if signer is None:
            raise TransientError("template-invalid", "no key is known for the CMS template")
        digest = Digest.of(attributes)
        return await self._token.sign(digest, attributes, (signer.section.key, signer.key))

    async def keep_alive(self) -> None:
        """Let the token not idle out while something else stops sealing: some end such a session."""
        with suppress(TransientError):  # `usable` says it when it matters
            await self._token.ensure()

    async def usable(self) -> bool:
        """Return whether documents can be sealed now; raise or clear the alarms that say why."""
        now = self._clock()
        try:
            await self._token.ensure()
            signer = self._signer
            assert signer is not None  # the token is ready, so `_check` took one
            problems = await signer.problems(now, self.revocations, self.count_since)
            if not problems and signer.template is None:
                await self._make_template(signer)
        except (TransientError, WorkerDied) as exc:
            self._show({exc.code: str(exc.args[0])})
            return False
        self._show(problems)
        self._warn(signer, now)
        return not problems

    async def reload(
        self, section: HsmSection, recorded: Callable[[bytes, bytes], Awaitable[None]]
    ) -> Reloaded:
        """Change to the key and the certificate of *section*, if nothing speaks against it.

        All is looked at before anything is switched. *recorded* commits the ledger line
        with both certificates; killed after it, the next start reads the same
        configuration and goes on with the new one.
        """
        async with self._reloading:
            try:
                token, key = await self._token.look(section.key)
                if section.serial not in ("", token.serial):
                    return Reloaded(problems={"restart-needed": "[hsm] serial"})
                new = Signer(section, key, certificate_of(section, token, key))
                chain = new.follow(self._clock())
                with suppress(TimeoutError):  # nobody answers: as always, that stops nothing
                    async with asyncio.timeout(ASK_SECONDS):
                        await self.ask([chain.certificates])
                problems = await new.problems(self._clock(), self.revocations, self.count_since)
                if problems:
                    return Reloaded(problems=problems)
                await self._make_template(new)
            except (TransientError, PermanentError, WorkerDied) as exc:
                return Reloaded(problems={exc.code: str(exc.args[0])})
            switch = asyncio.ensure_future(self._switch(new, token, recorded))
            # Between line and switch nobody's patience counts.
            return await asyncio.shield(switch)

    async def _switch(
        self,
        new: Signer,
        token: TokenFacts,
        recorded: Callable[[bytes, bytes], Awaitable[None]],
    ) -> Reloaded:
        old = self._signer
        before = old.certificate if old is not None else b""
        changed: Literal["", "chain", "certificate"] = ""
        if before != new.certificate:
            changed = "certificate"
            await recorded(before, new.certificate)
        elif old is not None and (old.others, old.listed) != (new.others, new.listed):
            changed = "chain"

        def take_over() -> None:
            self._section = new.section
            self._take(new)

        await self._token.use(new.section.key, new.section.serial, token, new.key, take_over)
        return Reloaded(changed=changed, certificate=new.certificate)

    def _take(self, signer: Signer) -> None:
        self._signer = self._signers[signer.certificate] = signer

    def _warn(self, signer: Signer, now: datetime) -> None:
        """Tell in time what will stop sealing, or will no longer be recommended."""
        instance = self._config.hsm.token
        if missing := self._token.missing_sessions:
            sessions = self._config.hsm.sessions
            self._alarms.raise_(SESSIONS, instance, f"{sessions - missing}/{sessions}")
        else:
            self._alarms.clear(SESSIONS, instance)
        assert signer.chain is not None
        not_after = signer.chain.not_after
        left = (not_after - now).days
        due = next((days for days in DAYS if left < days), None)
        if due is None or left < 0:
            self._alarms.clear(EXPIRING, instance)
        else:
            # Nothing in it that changes each day: who listens hears of it three times.
            detail = f"< {due} d: {not_after:%Y-%m-%d}"
            self._alarms.raise_(EXPIRING, instance, detail)
        if signer.template is None:
            return
        scheme = signer.template.scheme
        advice = certificates.advice(signer.certificate, scheme)
        code = advice.alarm(now)
        for other in POLICY:
            if other != code:
                self._alarms.clear(other, instance)
        if code:
            self._alarms.raise_(code, instance, f"{scheme} {advice.recommended_until}")

    def _check(self, token: TokenFacts, key: KeyFacts) -> None:
        """Find the certificate and compare it with the key: called for each key that is found.

        The token logs in again by itself, perhaps to another one of the same label:
        then nothing is signed with a key that the certificate does not belong to.
        """
        held = self._signer
        if held is not None and certificates.belongs(held.certificate, bytes.fromhex(key.public)):
            held.key = key  # a certificate that was exchanged meanwhile waits for `reload`
            return
        try:
            found = Signer(self._section, key, certificate_of(self._section, token, key))
        except TransientError as exc:
            raise PermanentError(exc.code, str(exc.args[0])) from exc
        if not found.fits:
            raise PermanentError("certificate-mismatch", "the key on the token is another one")
        self._take(found)

    async def _make_template(self, signer: Signer) -> None:
        await signer.make_template(self._config.seal, self._place)

    def _show(self, problems: Mapping[str, str]) -> None:
        for code in set(self._raised) - problems.keys():
            self._alarms.clear(code, self._config.hsm.token)
        for code, detail in problems.items():
            self._alarms.raise_(code, self._config.hsm.token, detail)
        self._raised = tuple(problems)


async def _unknown_count(_certificate: bytes, _since: datetime) -> int:
    return 0


async def _nobody_to_ask(_chains: Sequence[Sequence[bytes]]) -> None:
    return
