"""One key of the token with everything that belongs to it: certificate, chain, CMS template.

A signer never becomes another one: a change to a new key is a new signer, looked at
as a whole before it takes over (`Key.reload`). Only its chain is read anew, before
each turn, so that a file that was mended counts.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from daemon import certificate as certificates
from daemon import chain as chains
from daemon.certificate import certificate_problems
from daemon.document import utc_text
from daemon.errors import TransientError
from daemon.template import LIMITS, fetch_template
from daemon.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from daemon.cms import Template
    from daemon.config import Seal
    from daemon.hsm import KeyFacts, TokenFacts
    from daemon.sections import HsmSection


class Signer:
    """A key that was found, and the certificate that is used with it."""

    def __init__(self, section: HsmSection, key: KeyFacts, certificate: bytes) -> None:
        """Take *certificate* for *key*; whether they belong together is one of the problems."""
        self.section = section
        self.key = key
        self.certificate = certificate
        self.spki = bytes.fromhex(key.public)
        self.template: Template | None = None
        self.chain: chains.Chain | None = None
        self.others: list[bytes] = []
        self.listed: list[bytes] | None = None

    @property
    def fits(self) -> bool:
        """Whether the certificate is the key's."""
        return certificates.belongs(self.certificate, self.spki)

    def follow(self, now: datetime) -> chains.Chain:
        """Return the certificate's chain, and read its files anew."""
        others = certificates.load_pem(Path(self.section.chain))
        if self.section.trusted_list:
            self.listed = certificates.load_pem(Path(self.section.trusted_list))
        if others != self.others:
            self.others, self.chain = others, None
        if self.chain is None or self.chain.problems(now):
            # Of two that fit the other may be the valid one by now.
            found = chains.chain_of(self.certificate, others, now)
            if found != self.chain:
                self.chain, self.template = found, None
        return self.chain

    async def problems(
        self,
        now: datetime,
        revocations: chains.Revocations,
        count_since: Callable[[bytes, datetime], Awaitable[int]],
    ) -> dict[str, str]:
        """Return the codes of what speaks against sealing now, each with its detail."""
        chain = self.follow(now)
        found = certificate_problems(self.certificate, self.spki, now)
        problems = dict.fromkeys((*found, *chain.problems(now)), "")
        for certificate in chain.below_the_root:
            status = revocations.status(certificate)
            if status.word != "revoked":
                continue
            reason = status.reason
            if status.at is not None:
                since = utc_text(status.at)
                affected = await count_since(self.certificate, status.at)
                reason = f"{since} {reason}: {affected} (scanseal sealed-since {since})"
            problems["certificate-revoked"] = reason
        return problems

    async def make_template(self, seal: Seal, place: Path) -> None:
        """Have the CMS template made, by a worker in *place*: with the chain and nothing else."""
        scheme = certificates.scheme_for(
            self.certificate, rsa_padding=seal.padding, digest=seal.digest
        )
        chain = self.chain
        assert chain is not None  # whoever asked for problems has followed it
        worker = Worker("daemon.template", place=place, limits=LIMITS)
        try:
            made = await fetch_template(worker, self.certificate, chain.certificates[1:], scheme)
        finally:
            await worker.stop()
        if chain is self.chain:
            self.template = made


def certificate_of(section: HsmSection, token: TokenFacts, key: KeyFacts) -> bytes:
    """Return the certificate that the configuration means for *key*, from its file or the token."""
    if section.certificate:
        return certificates.load_pem(Path(section.certificate))[0]
    on_token = [bytes.fromhex(one) for one in token.certificates]
    spki = bytes.fromhex(key.public)
    fitting = [one for one in on_token if certificates.belongs(one, spki)]
    if len(fitting) != 1:
        raise TransientError(
            "certificate-missing", f"{len(fitting)} of {len(on_token)} belong to the key"
        )
    return fitting[0]
