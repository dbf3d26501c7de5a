"""The certificates and revocation answers that a sealed PDF carries, and what they prove.

Runs in the worker of `verify`: pyHanko takes the file apart, judgement.py judges.
A chain is the one that was actually built from what was given and what the file
holds; whatever the file holds beside it is named.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from asn1crypto import x509 as asn1_x509

from daemon import judgement, qualified
from daemon.document import utc_text
from daemon.report import Certificate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature

LONGEST: Final = 500
"""No name in a certificate is passed on longer than this."""
MOST_STRANGERS: Final = 20
MOST_CERTIFICATES: Final = 300
"""So many of one file are looked at."""


class Embedded:
    """What one file holds beside its pages and its signatures."""

    def __init__(
        self,
        reader: PdfFileReader,
        trust: Sequence[bytes],
        stamps: Sequence[bytes],
        now: datetime,
    ) -> None:
        """Read the DSS, if there is one.

        *trust* are the certificates that were given, *stamps* those for time stamps only.
        """
        self._now = now
        self._trust = tuple(trust)
        self._given = (*trust, *stamps)
        self.has_store = "/DSS" in reader.root
        self._dss, crls, ocsps = _security_store(reader)
        self._answers = judgement.Revocations(crls, ocsps)
        self._used: set[bytes] = set()

    def facts(self, seal: EmbeddedPdfSignature, stamp: Any = None) -> dict[str, Any]:
        """Return what is to be said of a seal's certificates; *stamp*: the time stamp in it."""
        held, unreadable = _certificates(seal.signed_data)
        signer = seal.signer_cert.dump()
        tokens, broken = _tokens(seal)
        pool = [*held, *tokens, *self._dss]
        chain = judgement.chain(signer, self._trust, pool)
        used = {*chain}
        if stamp is not None:
            used |= set(judgement.chain(stamp.signing_cert.dump(), self._given, pool))
        described = tuple(self._described(chain, number) for number in range(len(chain)))
        used |= self._answers.used
        self._used |= used
        odd = judgement.strangers([*held, *tokens], used, self._given)
        loaded = judgement.load(signer)
        key = loaded.public_key() if loaded is not None else None
        algorithm = seal.signer_info["signature_algorithm"]
        return {
            "organisation": _organisation(seal.signer_cert),
            "key": judgement.key_in_words(key),
            "advice": judgement.advice(key, algorithm.signature_algo, seal.md_algorithm),
            "chain": described,
            "statements": qualified.statements(signer).said,
            "strangers": _named(odd, unreadable + broken),
        }

    def lacking(self, seal: EmbeddedPdfSignature, stamp: Any) -> tuple[str, str]:
        """Return why the evidence in the DSS makes no B-LT, and about whose certificate.

        Both "" if for each certificate below the roots, of the seal's chain and of the chain
        of the trusted time *stamp* in it, there is evidence that it was good at that time.
        """
        pool = [*_certificates(seal.signed_data)[0], *_tokens(seal)[0], *self._dss]
        at: datetime = stamp.timestamp
        ways = ((seal.signer_cert, self._trust), (stamp.signing_cert, self._given))
        for certificate, given in ways:
            chain = judgement.chain(certificate.dump(), given, pool)
            if not set(chain) & set(given):
                return "not-trusted", _name(chain[-1])
            for one, issuer in pairwise(chain):
                if why := self._answers.lacking(one, issuer, at, self._now):
                    return why, _name(one)
        return "", ""

    def strangers(self) -> tuple[str, ...]:
        """Return what in the DSS belongs to none of the seals that `facts` was asked about."""
        used = self._used | self._answers.used
        return _named(judgement.strangers(self._dss, used, self._given), 0)

    def _described(self, chain: Sequence[bytes], number: int) -> Certificate:
        certificate = chain[number]
        issuer = chain[number + 1] if number + 1 < len(chain) else None
        status = self._answers.of(certificate, issuer) if issuer else judgement.Status()
        parsed = asn1_x509.Certificate.load(certificate)
        return Certificate(
            subject=_cut(parsed.subject.human_friendly),
            issuer=_cut(parsed.issuer.human_friendly),
            serial=_cut(f"{parsed.serial_number:x}"),
            not_before=_time(parsed.not_valid_before),
            not_after=_time(parsed.not_valid_after),
            root=parsed.subject == parsed.issuer,
            given=certificate in self._trust,
            revocation=status.status,
            revocation_at=_time(status.as_of),
            revoked_at=_time(status.revoked_at),
        )


def _security_store(reader: PdfFileReader) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Return the certificates, CRLs and OCSP responses in the DSS, in DER or whatever they are."""
    found: list[list[bytes]] = []
    try:
        store = reader.root["/DSS"]
    except KeyError:
        return [], [], []
    for name in ("/Certs", "/CRLs", "/OCSPs"):
        items = store.get(name, ())
        found.append([items[n].data for n in range(min(len(items), MOST_CERTIFICATES))])
    certificates, crls, ocsps = found
    return certificates, crls, ocsps


def _certificates(signed_data: Any) -> tuple[list[bytes], int]:
    """Return the certificates in a CMS, and how many other things stand among them."""
    held = signed_data["certificates"]
    found: list[bytes] = []
    others = 0
    for number in range(min(len(held), MOST_CERTIFICATES)):
        if held[number].name == "certificate":
            found.append(held[number].chosen.dump())
        else:
            others += 1
    return found, others


def _tokens(seal: EmbeddedPdfSignature) -> tuple[list[bytes], int]:
    """Return the certificates in the time-stamp tokens of a signature."""
    from pyhanko.sign.validation.generic_cms import (  # noqa: PLC0415 (in the worker only)
        extract_tst_data_iter,
    )

    found: list[bytes] = []
    others = 0
    for signed in (False, True):
        for token in extract_tst_data_iter(seal.signer_info, signed=signed):
            held, odd = _certificates(token)
            found += held
            others += odd
    return found, others


def _named(odd: Iterable[bytes], unreadable: int) -> tuple[str, ...]:
    names = []
    for certificate in odd:
        try:
            names.append(_name(certificate))
        except judgement.BAD:
            names.append("?")
    return tuple([*names, *["?"] * unreadable][:MOST_STRANGERS])


def _name(certificate: bytes) -> str:
    return _cut(asn1_x509.Certificate.load(certificate).subject.human_friendly)


def _organisation(certificate: asn1_x509.Certificate) -> str:
    held = certificate.subject.native.get("organization_name", "")
    return _cut(", ".join(held) if isinstance(held, list) else held)


def _time(moment: datetime | None) -> str:
    return utc_text(moment) if moment else ""


def _cut(text: object) -> str:
    return str(text)[:LONGEST]
