"""What certificates prove: chains, revocation, algorithms.

    chain        from a certificate to its root, each signature on the way verified
    Revocations  what CRLs and OCSP responses inside a file say of a certificate
    strangers    certificates that lead into none of the chains that were used
    advice       what the table in cryptopolicy.py says of an algorithm

Works on bytes of strangers, so it runs in the worker of `verify`. Nothing is
fetched. A certificate or an answer that cannot be parsed proves nothing, and
raises nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from daemon import cryptopolicy

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

LONGEST_CHAIN: Final = 10
MOST_ANSWERS: Final = 200
"""So many CRLs and OCSP responses of one file are looked at."""

BAD: Final = (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm)


def chain(certificate: bytes, given: Iterable[bytes], found: Iterable[bytes]) -> tuple[bytes, ...]:
    """Return *certificate*, its issuer, and so on as far as it goes, everything in DER.

    Issuers are looked for among the *given* certificates first, then among those
    that were *found*; one that only has the right name is none.
    """
    pool = [(one, loaded) for one in (*given, *found) if (loaded := load(one)) is not None]
    path = [certificate]
    here = load(certificate)
    while here is not None and not _issued(here, here) and len(path) < LONGEST_CHAIN:
        issuers = (pair for pair in pool if pair[0] not in path and _issued(here, pair[1]))
        issuer = next(issuers, None)
        if issuer is None:
            break
        path.append(issuer[0])
        here = issuer[1]
    return tuple(path)


def load(certificate: bytes) -> x509.Certificate | None:
    """Return a certificate parsed, or None."""
    try:
        return x509.load_der_x509_certificate(certificate)
    except BAD:
        return None


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except BAD:
        return False
    return True


def strangers(
    embedded: Iterable[bytes], used: Iterable[bytes], given: Sequence[bytes]
) -> tuple[bytes, ...]:
    """Return those of the *embedded* certificates that do not lead into a chain that was *used*.

    A CMS does not sign its certificates: one that was changed afterwards verifies
    under nobody any more, and cannot be parsed or is found here.
    """
    pool, known = list(embedded), set(used)
    return tuple(one for one in pool if not known & set(chain(one, given, pool)))


def advice(public_key: object, algorithm: str, digest: str) -> cryptopolicy.Word:
    """Return recommended, legacy, weak or unknown; *algorithm* and *digest* as asn1crypto has them."""
    bits = 0
    family = key_in_words(public_key).lower()
    if isinstance(public_key, rsa.RSAPublicKey):
        bits = public_key.key_size
        family = "rsa-pss" if algorithm == "rsassa_pss" else "rsa-pkcs1v15"
    elif isinstance(public_key, ec.EllipticCurvePublicKey):
        bits, family = public_key.curve.key_size, "ecdsa"
    return cryptopolicy.advice(f"{family}-{digest}", bits).word


def key_in_words(public_key: object) -> str:
    """Return which key it is: `RSA 3072`."""
    if isinstance(public_key, rsa.RSAPublicKey):
        return f"RSA {public_key.key_size}"
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return f"EC {public_key.curve.name}"
    return type(public_key).__name__.strip("_").removesuffix("PublicKey")


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Whether a certificate was revoked, as one file proves it."""

    status: str = "not-checked"
    """good, revoked or not-checked."""
    as_of: datetime | None = None
    """When whoever answers for it said so."""
    revoked_at: datetime | None = None


class Revocations:
    """The CRLs and OCSP responses of one file."""

    def __init__(self, crls: Iterable[bytes], ocsps: Iterable[bytes]) -> None:
        """Parse what can be parsed."""
        self._crls = _parsed(x509.load_der_x509_crl, crls)
        self._ocsps = [
            answer
            for answer in _parsed(ocsp.load_der_ocsp_response, ocsps)
            if answer.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
        ]
        self.used: set[bytes] = set()
        """Certificates of responders that answered for one that was asked about."""

    def of(self, certificate: bytes, issuer: bytes) -> Status:
        """Return what is proven of *certificate*: a revocation before all, else the newest word."""
        subject, authority = load(certificate), load(issuer)
        if subject is None or authority is None:
            return Status()
        found = [one for crl in self._crls if (one := _by_crl(crl, subject, authority))]
        for answer in self._ocsps:
            try:
                found += self._by_ocsp(answer, subject, authority)
            except BAD:
                continue
        revoked = [one for one in found if one.status == "revoked"]
        return max(revoked or found, key=lambda one: str(one.as_of), default=Status())

    def _by_ocsp(
        self, answer: ocsp.OCSPResponse, subject: x509.Certificate, issuer: x509.Certificate
    ) -> Iterable[Status]:
        for single in answer.responses:
            asked = ocsp.OCSPRequestBuilder().add_certificate(
                subject, issuer, single.hash_algorithm
            )
            same = asked.build()
            if (
                single.serial_number != subject.serial_number
                or single.issuer_key_hash != same.issuer_key_hash
                or single.issuer_name_hash != same.issuer_name_hash
                or not self._answered(answer, issuer)
            ):
                continue
            if single.certificate_status is ocsp.OCSPCertStatus.GOOD:
                yield Status(status="good", as_of=single.this_update_utc)
            elif single.certificate_status is ocsp.OCSPCertStatus.REVOKED:
                yield Status(
                    status="revoked",
                    as_of=single.this_update_utc,
                    revoked_at=single.revocation_time_utc,
                )

    def _answered(self, answer: ocsp.OCSPResponse, issuer: x509.Certificate) -> bool:
        """Return whether the issuer signed it, or somebody whom it made its responder."""
        for responder in (issuer, *answer.certificates):
            if responder is not issuer and not _may_respond(responder, issuer):
                continue
            if _signed(responder.public_key(), answer):
                self.used.add(responder.public_bytes(serialization.Encoding.DER))
                return True
        return False


def _parsed(parse: Any, items: Iterable[bytes]) -> list[Any]:
    found = []
    for item, _ in zip(items, range(MOST_ANSWERS), strict=False):
        try:
            found.append(parse(item))
        except BAD:
            continue
    return found


def _by_crl(
    crl: x509.CertificateRevocationList, subject: x509.Certificate, issuer: x509.Certificate
) -> Status | None:
    try:
        if crl.issuer != subject.issuer or not crl.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]
            return None
        if _partial(crl):
            return None
        entry = crl.get_revoked_certificate_by_serial_number(subject.serial_number)
    except BAD:
        return None
    if entry is None:
        return Status(status="good", as_of=crl.last_update_utc)
    return Status(status="revoked", as_of=crl.last_update_utc, revoked_at=entry.revocation_date_utc)


def _partial(crl: x509.CertificateRevocationList) -> bool:
    """Return whether a CRL does not list everything (RFC 5280, 5.2.4 and 5.2.5)."""
    critical = {extension.oid for extension in crl.extensions if extension.critical}
    return bool(critical)


def _may_respond(responder: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Return whether *issuer* made it a responder (RFC 6960, 4.2.2.2)."""
    try:
        usage = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in usage and _issued(responder, issuer)


def _signed(key: object, answer: ocsp.OCSPResponse) -> bool:
    algorithm = answer.signature_hash_algorithm
    if algorithm is None:
        return False
    signature, data = answer.signature, answer.tbs_response_bytes
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _verifies(key, signature, data, ec.ECDSA(algorithm))
    if isinstance(key, rsa.RSAPublicKey):
        pss = padding.PSS(padding.MGF1(algorithm), padding.PSS.AUTO)
        return any(
            _verifies(key, signature, data, how, algorithm) for how in (padding.PKCS1v15(), pss)
        )
    return False


def _verifies(key: Any, *values: object) -> bool:
    try:
        key.verify(*values)
    except BAD:
        return False
    return True
