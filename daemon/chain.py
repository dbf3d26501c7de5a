"""The way from the seal certificate up to its root, as the authority configured it.

    seal certificate ─▶ issuing CA ─▶ … ─▶ self-signed root

The certificates are those of `[hsm] chain`. Each has to have signed the one below it;
a chain that breaks off cannot be validated by anybody who has only the file. Only
certificates from our own configuration come here. Pure: no file, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from daemon.certificate import load

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """What is known of one certificate's revocation."""

    word: Literal["good", "revoked", "unknown"]
    at: datetime | None = None
    """Good: as of when. Revoked: since when. Unknown: since when nobody could say; None: ever."""
    reason: str = ""
    """RFC 5280, 5.3.1, as it names it: keyCompromise."""


class Revocations(Protocol):
    """Whoever knows about revocations, without asking anybody now: it is called before each turn."""

    def status(self, certificate: bytes) -> Revocation:
        """Return what is known of *certificate* (DER)."""


class NobodyKnows:
    """Where no revocation data is at hand."""

    def status(self, _certificate: bytes) -> Revocation:
        """Return that nothing is known."""
        return Revocation(word="unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The certificates from the seal's own upwards, as far as they could be followed."""

    links: tuple[x509.Certificate, ...]
    complete: bool
    """The last of them is a self-signed root."""

    @property
    def not_after(self) -> datetime:
        """When the first of them expires: from then on no seal is valid."""
        return min(link.not_valid_after_utc for link in self.links)

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """All of them in DER, the first one first."""
        return tuple(link.public_bytes(serialization.Encoding.DER) for link in self.links)

    @property
    def below_the_root(self) -> tuple[bytes, ...]:
        """In DER, all that somebody can revoke."""
        below = self.links[:-1] if self.complete and len(self.links) > 1 else self.links
        return tuple(link.public_bytes(serialization.Encoding.DER) for link in below)

    def problems(self, now: datetime) -> tuple[str, ...]:
        """Return the codes of what speaks against sealing; the seal's own times are not judged."""
        found = [] if self.complete else ["chain-incomplete"]
        if any(not _valid(link, now) for link in self.links[1:]):
            found.append("chain-expired")
        return tuple(found)


def chain_of(certificate: bytes, others: Iterable[bytes], now: datetime) -> Chain:
    """Follow the issuers of *certificate* through *others* (DER).

    Where several fit, as after a CA was renewed, one that is valid *now* is taken.
    """
    links = [load(certificate)]
    known = [load(one) for one in others]
    while not issued(links[-1], links[-1]):
        fitting = [
            one
            for one in known
            if one not in links and one.subject == links[-1].issuer and issued(one, links[-1])
        ]
        if not fitting:
            return Chain(links=tuple(links), complete=False)
        links.append(max(fitting, key=lambda one: (_valid(one, now), one.not_valid_after_utc)))
    return Chain(links=tuple(links), complete=True)


def issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Return whether *issuer* signed *certificate*, and may have."""
    try:
        certificate.verify_directly_issued_by(issuer)
        if issuer == certificate:
            return True
        return bool(issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    except (x509.ExtensionNotFound, x509.DuplicateExtension):
        return False


def _valid(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
