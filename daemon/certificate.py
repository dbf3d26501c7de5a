"""The seal certificate: what it says, whether we may seal with it, and how its key signs.

Only certificates from our own configuration or token come here, never those of
a foreign file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from asn1crypto import algos
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from daemon import cryptopolicy
from daemon.errors import TransientError

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

DIGESTS: Final = {"sha256": 32, "sha384": 48, "sha512": 64}
"""The digests of `[seal] digest` with their length in bytes: of the salt, too, where there is one."""
CURVES: Final = (
    *("secp256r1", "secp384r1", "secp521r1"),
    *("brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1"),
)
"""What speaks against some of them is in cryptopolicy.py: it is said, and no reason to refuse."""
MIN_RSA_BITS: Final = 3072


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """A way to sign, as a CMS names it."""

    name: str
    """Family and digest: `rsa-pss-sha256`."""
    digest: str
    """The digest over the file and over the signed attributes, as hashlib has it."""
    digest_bytes: int
    digest_algorithm: bytes
    """The AlgorithmIdentifier of the digest, in DER."""
    signature_algorithm: bytes
    """The AlgorithmIdentifier of the signature with its parameters, in DER."""


def signature_mechanism(name: str) -> algos.SignedDigestAlgorithm:
    """Return the signature algorithm of a scheme as asn1crypto and pyHanko have it.

    PSS parameters are written out: pyHanko's own choice is the longest salt that
    is possible, which the token's mechanism does not make.
    """
    family, _, digest = name.rpartition("-")
    if family == "rsa-pss":
        parameters = {
            "hash_algorithm": {"algorithm": digest},
            "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": {"algorithm": digest}},
            "salt_length": DIGESTS[digest],
        }
        return algos.SignedDigestAlgorithm({"algorithm": "rsassa_pss", "parameters": parameters})
    kinds = {"rsa-pkcs1v15": "rsa", "ecdsa": "ecdsa"}
    return algos.SignedDigestAlgorithm({"algorithm": f"{digest}_{kinds[family]}"})


SCHEMES: Final = {
    name: Scheme(
        name=name,
        digest=digest,
        digest_bytes=size,
        digest_algorithm=algos.DigestAlgorithm({"algorithm": digest}).dump(),
        signature_algorithm=signature_mechanism(name).dump(),
    )
    for digest, size in DIGESTS.items()
    for name in (f"rsa-pss-{digest}", f"rsa-pkcs1v15-{digest}", f"ecdsa-{digest}")
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """What people want to know about the seal certificate."""

    subject: str
    issuer: str
    serial: str
    """In hexadecimal digits, as `openssl x509` prints it."""
    not_before: datetime
    not_after: datetime
    days_left: int
    """Whole days until it expires; below zero afterwards."""


def describe(certificate: bytes, now: datetime) -> CertificateFacts:
    """Return the facts of a certificate in DER."""
    parsed = load(certificate)
    digits = f"{parsed.serial_number:X}"
    return CertificateFacts(
        subject=parsed.subject.rfc4514_string(),
        issuer=parsed.issuer.rfc4514_string(),
        serial=digits.zfill(len(digits) + len(digits) % 2),
        not_before=parsed.not_valid_before_utc,
        not_after=parsed.not_valid_after_utc,
        days_left=(parsed.not_valid_after_utc - now).days,
    )


def certificate_problems(
    certificate: bytes, public_key_spki: bytes, now: datetime
) -> tuple[str, ...]:
    """Return the codes of everything that speaks against sealing with this certificate.

    *public_key_spki* is the public key of the token, as SubjectPublicKeyInfo.
    """
    parsed = load(certificate)
    problems = []
    if now > parsed.not_valid_after_utc:
        problems.append("certificate-expired")
    if now < parsed.not_valid_before_utc:
        problems.append("certificate-not-yet-valid")
    if not _may_seal(parsed):
        problems.append("certificate-usage")
    if not belongs(certificate, public_key_spki):
        problems.append("certificate-mismatch")
    return tuple(problems)


def belongs(certificate: bytes, public_key_spki: bytes) -> bool:
    """Return whether a certificate (DER) is the one of that key (SubjectPublicKeyInfo)."""
    parsed = load(certificate)
    try:
        return serialization.load_der_public_key(public_key_spki) == parsed.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return False


def _may_seal(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False
    # ETSI EN 319 412-2, 4.3.2: nonRepudiation alone (type A), both (B), or
    # digitalSignature alone (C). Qualified seals are mostly type A.
    return usage.digital_signature or usage.content_commitment


def load_pem(path: Path) -> list[bytes]:
    """Return the certificates of a PEM file in DER, in the file's order, at least one."""
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as exc:
        raise TransientError("certificate-unreadable", f"{path}: {exc.strerror}") from exc
    except ValueError as exc:
        message = f"{path} holds something that is no certificate in PEM form"
        raise TransientError("certificate-unreadable", message) from exc
    return [one.public_bytes(serialization.Encoding.DER) for one in found]


@lru_cache(maxsize=64)
def load(certificate: bytes) -> x509.Certificate:
    """Return a certificate parsed, or raise `certificate-unreadable`."""
    try:
        return x509.load_der_x509_certificate(certificate)
    except ValueError as exc:
        raise TransientError("certificate-unreadable", "this is no certificate in DER") from exc


def scheme_for(certificate: bytes, *, rsa_padding: str = "pss", digest: str = "sha256") -> str:
    """Return the name of the scheme for a certificate's key, or raise `certificate-key`.

    *rsa_padding* is the configuration's `padding`: pss or pkcs1v15.
    """
    is_rsa = isinstance(public_key(certificate), rsa.RSAPublicKey)
    family = f"rsa-{rsa_padding}" if is_rsa else "ecdsa"
    return fitting(f"{family}-{digest}", certificate).name


def fitting(name: str, certificate: bytes) -> Scheme:
    """Return the scheme of that name if the certificate's key can sign so, or `certificate-key`."""
    key = public_key(certificate)
    scheme = SCHEMES.get(name)
    if scheme is None or name.startswith("rsa-") is not isinstance(key, rsa.RSAPublicKey):
        raise TransientError("certificate-key", f"the certificate's key cannot sign with {name!r}")
    return scheme


def advice(certificate: bytes, scheme: str) -> cryptopolicy.Advice:
    """Return what is to be said of sealing by *scheme* with a certificate's key."""
    key = public_key(certificate)
    curve = key.curve.name if isinstance(key, ec.EllipticCurvePublicKey) else ""
    return cryptopolicy.advice(scheme, key.key_size, curve)


def public_key(certificate: bytes) -> PublicKey:
    """Return the key in a certificate, or raise `certificate-key` if we cannot seal with such."""
    try:
        key = load(certificate).public_key()
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise TransientError("certificate-key", "the certificate's key cannot be read") from exc
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in CURVES:
        return key
    name = getattr(getattr(key, "curve", None), "name", type(key).__name__)
    bits = getattr(key, "key_size", "?")
    raise TransientError("certificate-key", f"the certificate's key is {name} with {bits} bits")


def signature_bytes(key: PublicKey) -> int:
    """Return how many bytes a token gives as a signature with this key."""
    octets = (key.key_size + 7) // 8
    return octets if isinstance(key, rsa.RSAPublicKey) else 2 * octets
