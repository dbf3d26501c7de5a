"""The sealing key as a whole: the token, its certificate, and the CMS template made from both.

`usable` answers one question before each turn of sealing, and raises the alarm
that says why not. What is wrong here stops sealing for everybody and is never a
document's fault: intake and delivery go on.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from daemon import certificate as certificates
from daemon.certificate import CertificateFacts, certificate_problems
from daemon.document import Digest
from daemon.errors import PermanentError, TransientError, WorkerDied
from daemon.template import LIMITS, fetch_template
from daemon.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from daemon.alarms import Alarms
    from daemon.cms import Template
    from daemon.config import Config
    from daemon.hsm import KeyFacts, TokenFacts
    from daemon.token import Token


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
        try:
            await self._token.ensure()
            problems = certificate_problems(self._certificate, self._spki, self._clock())
            if not problems and self._template is None:
                await self._make_template()
        except (TransientError, WorkerDied) as exc:
            self._show((exc.code,), str(exc.args[0]))
            return False
        self._show(problems, "")
        return not problems

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
            self._certificate, self._template = found, None

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
        chain = certificates.load_pem(Path(self._config.hsm.chain))
        seal = self._config.seal
        scheme = certificates.scheme_for(
            self._certificate, rsa_padding=seal.padding, digest=seal.digest
        )
        worker = Worker("daemon.template", place=self._place, limits=LIMITS)
        try:
            self._template = await fetch_template(worker, self._certificate, chain, scheme)
        finally:
            await worker.stop()

    def _show(self, codes: tuple[str, ...], detail: str) -> None:
        for code in set(self._raised) - set(codes):
            self._alarms.clear(code, self._config.hsm.token)
        for code in codes:
            self._alarms.raise_(code, self._config.hsm.token, detail)
        self._raised = codes
