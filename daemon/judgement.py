"""What certificates prove: chains, revocation, algorithms.

    chain        from a certificate to its root, each signature on the way verified
    Revocations  what CRLs and OCSP responses inside a file say of a certificate, and for which time
    strangers    certificates that lead into none of the chains that were used
    advice       what the table in cryptopolicy.py says of an algorithm

Works on bytes of strangers, so it runs in the worker of `verify`. Nothing is
fetched. A certificate or an answer that cannot be parsed proves nothing, and
raises nothing.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from asn1crypto import keys as asn1_keys
from asn1crypto import ocsp as asn1_ocsp
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from daemon import cryptopolicy, evidence
from daemon.errors import DaemonError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

LONGEST_CHAIN: Final = 10
MOST_ANSWERS: Final = 200
"""So many CRLs and OCSP responses of one file are looked at."""

DIGESTS: Final = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
"""What an OCSP response may be signed with."""
BAD: Final = (
    *(ValueError, TypeError, LookupError, OverflowError),
    *(InvalidSignature, UnsupportedAlgorithm),
)


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
    until: datetime | None = None
    """Until when they wanted that to be used; None: nothing was said."""
    revoked_at: datetime | None = None

    def proves(self, at: datetime, now: datetime, not_after: datetime) -> bool:
        """Return whether it says something of the time *at*.

        Either it was in force then, or it was made later, but not after the certificate had
        expired: from then on nobody has to list it (RFC 5280, 5). What has no end or comes
        from the future proves nothing.
        """
        if self.as_of is None or self.until is None:
            return False
        apart = evidence.MOST_APART
        made_in_time = self.as_of <= now + apart and self.as_of <= min(self.until, not_after)
        return made_in_time and at <= self.until + apart


class Revocations:
    """The CRLs and OCSP responses of one file."""

    def __init__(self, crls: Iterable[bytes], ocsps: Iterable[bytes]) -> None:
        """Parse what can be parsed."""
        self._crls = _parsed(x509.load_der_x509_crl, crls)
        self._ocsps = _parsed(_successful, ocsps)
        self.used: set[bytes] = set()
        """Certificates of responders that answered for one that was asked about."""
        self._found: dict[tuple[bytes, bytes], tuple[Status, ...]] = {}

    def of(self, certificate: bytes, issuer: bytes) -> Status:
        """Return what is proven of *certificate*: a revocation before all, else the newest word."""
        found = self._all_of(certificate, issuer)
        revoked = [one for one in found if one.status == "revoked"]
        return max(revoked or found, key=lambda one: str(one.as_of), default=Status())

    def lacking(self, certificate: bytes, issuer: bytes, at: datetime, now: datetime) -> str:
        """Return why it is not proven that *certificate* was good at the time *at*; "" if it is.

        `missing`, `out-of-time` or `revoked`.
        """
        found, subject = self._all_of(certificate, issuer), load(certificate)
        if any(one.revoked_at is not None and one.revoked_at <= at for one in found):
            return "revoked"
        if subject is None or not found:
            return "missing"
        not_after = subject.not_valid_after_utc
        return "" if any(one.proves(at, now, not_after) for one in found) else "out-of-time"

    def _all_of(self, certificate: bytes, issuer: bytes) -> tuple[Status, ...]:
        if (certificate, issuer) not in self._found:
            self._found[certificate, issuer] = tuple(self._looked_up(certificate, issuer))
        return self._found[certificate, issuer]

    def _looked_up(self, certificate: bytes, issuer: bytes) -> Iterable[Status]:
        subject, authority = load(certificate), load(issuer)
        if subject is None or authority is None:
            return
        for crl in self._crls:
            if one := _by_crl(crl, subject, authority):
                yield one
        for answer in self._ocsps:
            with suppress(*BAD):
                yield from list(self._by_ocsp(answer, subject, authority))

    def _by_ocsp(
        self, answer: asn1_ocsp.OCSPResponse, subject: x509.Certificate, issuer: x509.Certificate
    ) -> Iterable[Status]:
        # Not cryptography: it reads no answer whose times have fractions, and some have.
        basic = answer["response_bytes"]["response"].parsed
        for single in basic["tbs_response_data"]["responses"]:
            begin, end = single["this_update"].native, single["next_update"].native
            if not _concerns(single["cert_id"], subject, issuer):
                continue
            if not self._answered(basic, issuer, begin):
                continue
            until = end or begin + evidence.OCSP_HOLDS
            word = single["cert_status"]
            if word.name == "good":
                yield Status(status="good", as_of=begin, until=until)
            elif word.name == "revoked":
                at = word.chosen["revocation_time"].native
                yield Status(status="revoked", as_of=begin, until=until, revoked_at=at)

    def _answered(
        self, basic: asn1_ocsp.BasicOCSPResponse, issuer: x509.Certificate, at: datetime
    ) -> bool:
        """Return whether the issuer signed it, or somebody who was its responder then."""
        held = (load(one.dump()) for one in islice(basic["certs"], LONGEST_CHAIN))
        for responder in (issuer, *(one for one in held if one is not None)):
            if responder is not issuer and not _may_respond(responder, issuer, at):
                continue
            if _signed(responder.public_key(), basic):
                self.used.add(responder.public_bytes(serialization.Encoding.DER))
                return True
        return False


def _concerns(about: asn1_ocsp.CertId, subject: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Return whether an answer is about *subject* of *issuer* (RFC 6960, 4.1.1)."""
    digest = about["hash_algorithm"]["algorithm"].native
    if digest not in {"sha1", "sha256", "sha384", "sha512"}:
        return False
    key = asn1_keys.PublicKeyInfo.load(
        issuer.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    # Behind the first byte of a BIT STRING, which counts the bits that are not used.
    named = hashlib.new(digest, issuer.subject.public_bytes()).digest()
    keyed = hashlib.new(digest, key["public_key"].contents[1:]).digest()
    return (
        about["serial_number"].native == subject.serial_number
        and subject.issuer == issuer.subject
        and (about["issuer_name_hash"].native, about["issuer_key_hash"].native) == (named, keyed)
    )


def _successful(data: bytes) -> asn1_ocsp.OCSPResponse:
    answer = asn1_ocsp.OCSPResponse.load(data, strict=True)
    if answer["response_status"].native != "successful":
        raise ValueError("the responder could not say")
    return answer


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
        if not _may_sign_lists(issuer):
            return None
        evidence.about(crl, subject)
        entry = crl.get_revoked_certificate_by_serial_number(subject.serial_number)
    except (DaemonError, x509.ExtensionNotFound, x509.DuplicateExtension, *BAD):
        return None
    begin, end = crl.last_update_utc, crl.next_update_utc
    if entry is None:
        return Status(status="good", as_of=begin, until=end)
    return Status(status="revoked", as_of=begin, until=end, revoked_at=entry.revocation_date_utc)


def _may_sign_lists(issuer: x509.Certificate) -> bool:
    """Return whether nothing in *issuer* forbids it (RFC 5280, 6.3.3 f)."""
    try:
        return issuer.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return True


def _may_respond(responder: x509.Certificate, issuer: x509.Certificate, at: datetime) -> bool:
    """Return whether *issuer* had made it a responder (RFC 6960, 4.2.2.2) at that time."""
    try:
        usage = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False
    if not responder.not_valid_before_utc <= at <= responder.not_valid_after_utc:
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in usage and _issued(responder, issuer)


def _signed(key: object, basic: asn1_ocsp.BasicOCSPResponse) -> bool:
    algorithm = DIGESTS.get(basic["signature_algorithm"].hash_algo)
    if algorithm is None:
        return False
    signature, data = basic["signature"].native, basic["tbs_response_data"].dump()
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
