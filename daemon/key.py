"""The sealing key as a whole: the token, its certificate, and the CMS template made from both.

`usable` answers one question before each turn of sealing, and raises the alarm
that says why not. What is wrong here stops sealing for everybody and is never a
document's fault: intake and delivery go on.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from daemon import certificate as certificates
from daemon import chain as chains
from daemon import cryptopolicy, qualified
from daemon.certificate import CertificateFacts, certificate_problems
from daemon.document import Digest, utc_text
from daemon.errors import PermanentError, TransientError, WorkerDied
from daemon.template import LIMITS, fetch_template
from daemon.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from daemon.alarms import Alarms
    from daemon.cms import Template
    from daemon.config import Config
    from daemon.hsm import KeyFacts, TokenFacts
    from daemon.token import Token


EXPIRING: Final = "certificate-expiring"
DAYS: Final = (7, 30, 90)
"""So many days before the certificate, or one above it, expires an alarm is raised, or renewed."""
POLICY: Final = (cryptopolicy.EXPIRING, cryptopolicy.EXPIRED)


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
        self._chain: chains.Chain | None = None
        self._others: list[bytes] = []
        self._listed: list[bytes] | None = None
        self.revocations: chains.Revocations = chains.NobodyKnows()
        """Asked before each turn; the service gives the one who knows."""
        self.count_since: Callable[[bytes, datetime], Awaitable[int]] = _unknown_count
        """Returns how many documents a certificate has sealed since then."""
        self._template: Template | None = None
        self._certificate = b""
        self._spki = b""
        token.check = self._check

    @property
    def template(self) -> Template:
        """The CMS that each seal is made from; only after `usable` has said yes."""
        if self._template is None:
            raise TransientError("template-invalid", "there is no CMS template yet")
        return self._template

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
        return self._chain.certificates if self._chain is not None else ()

    @property
    def scheme(self) -> str:
        """How it signs; "" while that is not known."""
        return self._template.scheme if self._template else ""

    @property
    def advice(self) -> cryptopolicy.Advice | None:
        """What is to be said of the algorithm, once it is known."""
        if self._template is None:
            return None
        return certificates.advice(self._certificate, self._template.scheme)

    def qualified(self, certificate: bytes = b"") -> str:
        """Return a word of qualified.py for *certificate*, or for the present one."""
        return qualified.standing(certificate or self._certificate, self._listed)

    @property
    def problems(self) -> tuple[str, ...]:
        """The codes of what speaks against sealing now."""
        return self._raised

    def facts(self) -> CertificateFacts | None:
        """Return what is known of the certificate, for the page."""
        return (
            certificates.describe(self._certificate, self._clock()) if self._certificate else None
        )

    async def sign(self, attributes: bytes) -> bytes:
        """Return the token's signature over signed attributes; TransientError if it cannot now."""
        return await self._token.sign(Digest.of(attributes), attributes)

    async def usable(self) -> bool:
        """Return whether documents can be sealed now; raise or clear the alarms that say why."""
        now = self._clock()
        try:
            await self._token.ensure()
            chain = self._followed(now)
            problems = await self._problems(chain, now)
            if not problems and self._template is None:
                await self._make_template()
        except (TransientError, WorkerDied) as exc:
            self._show({exc.code: str(exc.args[0])})
            return False
        self._show(problems)
        self._warn(chain, now)
        return not problems

    def _followed(self, now: datetime) -> chains.Chain:
        """Return the certificate's chain: read each time, so that a file that was mended counts."""
        section = self._config.hsm
        others = certificates.load_pem(Path(section.chain))
        if section.trusted_list:
            self._listed = certificates.load_pem(Path(section.trusted_list))
        if others != self._others:
            self._others, self._template, self._chain = others, None, None
        if self._chain is None or self._chain.problems(now):
            # Of two that fit the other may be the valid one by now.
            self._chain = chains.chain_of(self._certificate, others, now)
        return self._chain

    async def _problems(self, chain: chains.Chain, now: datetime) -> dict[str, str]:
        """Return the codes of what speaks against sealing now, each with its detail."""
        found = certificate_problems(self._certificate, self._spki, now)
        problems = dict.fromkeys((*found, *chain.problems(now)), "")
        for certificate in chain.below_the_root:
            status = self.revocations.status(certificate)
            if status.word == "revoked":
                problems["certificate-revoked"] = await self._revoked(status)
        return problems

    async def _revoked(self, status: chains.Revocation) -> str:
        if status.at is None:
            return status.reason
        since = utc_text(status.at)
        affected = await self.count_since(self._certificate, status.at)
        return f"{since} {status.reason}: {affected} (scanseal sealed-since {since})"

    def _warn(self, chain: chains.Chain, now: datetime) -> None:
        """Tell in time what will stop sealing, or will no longer be recommended."""
        instance = self._config.hsm.token
        left = (chain.not_after - now).days
        due = next((days for days in DAYS if left < days), None)
        if due is None or left < 0:
            self._alarms.clear(EXPIRING, instance)
        else:
            # Nothing in it that changes each day: who listens hears of it three times.
            detail = f"< {due} d: {chain.not_after:%Y-%m-%d}"
            self._alarms.raise_(EXPIRING, instance, detail)
        advice = self.advice
        if advice is None or self._template is None:
            return
        code = advice.alarm(now)
        for other in POLICY:
            if other != code:
                self._alarms.clear(other, instance)
        if code:
            self._alarms.raise_(
                code, instance, f"{self._template.scheme} {advice.recommended_until}"
            )

    def _check(self, token: TokenFacts, key: KeyFacts) -> None:
        """Find the certificate and compare it with the key: called for each key that is found.

        The token logs in again by itself, perhaps to another one of the same label:
        then nothing is signed with a key that the certificate does not belong to.
        """
        spki = bytes.fromhex(key.public)
        try:
            found = self._find(token, spki)
        except TransientError as exc:
            raise PermanentError(exc.code, str(exc.args[0])) from exc
        if "certificate-mismatch" in certificate_problems(found, spki, self._clock()):
            raise PermanentError("certificate-mismatch", "the key on the token is another one")
        self._spki = spki
        if found != self._certificate:
            self._certificate, self._template, self._chain = found, None, None

    def _find(self, token: TokenFacts, spki: bytes) -> bytes:
        if self._config.hsm.certificate:
            return certificates.load_pem(Path(self._config.hsm.certificate))[0]
        on_token = [bytes.fromhex(one) for one in token.certificates]
        fitting = [
            one
            for one in on_token
            if "certificate-mismatch" not in certificate_problems(one, spki, self._clock())
        ]
        if len(fitting) != 1:
            raise TransientError(
                "certificate-missing", f"{len(fitting)} of {len(on_token)} belong to the key"
            )
        return fitting[0]

    async def _make_template(self) -> None:
        seal = self._config.seal
        scheme = certificates.scheme_for(
            self._certificate, rsa_padding=seal.padding, digest=seal.digest
        )
        worker = Worker("daemon.template", place=self._place, limits=LIMITS)
        try:
            self._template = await fetch_template(worker, self._certificate, self._others, scheme)
        finally:
            await worker.stop()

    def _show(self, problems: Mapping[str, str]) -> None:
        for code in set(self._raised) - problems.keys():
            self._alarms.clear(code, self._config.hsm.token)
        for code, detail in problems.items():
            self._alarms.raise_(code, self._config.hsm.token, detail)
        self._raised = tuple(problems)


async def _unknown_count(_certificate: bytes, _since: datetime) -> int:
    return 0
