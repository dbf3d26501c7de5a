"""The seal's CMS: completed, put together and checked, all in the main process.

pyHanko builds one complete CMS per certificate, with a digest and a signature
of zeros (`daemon/template.py`, a worker). What is left for each seal happens
here in a fraction of a millisecond:

    Template ──▶ signed_attributes(digest) ──▶ the token signs them
             ──▶ assemble(attributes, signature) ──▶ into the gap of the file
    the file ──▶ check(cms, digest, certificate, chain) ──▶ SEALED is committed

`check` is stricter than a validator has to be. It reads canonical DER, knows
only the structure that we write, and compares each byte: with the certificates
that belong in it, with the digest, or by the signature. So no bit of a CMS that
passes can be changed without `check` noticing, and no part of it reaches a
parser before it is known to be ours.

PAdES (ETSI EN 319 142-1) forbids a signing-time attribute; the manifest's
detached CMS (CAdES) has one. There are no unsigned attributes: level B-B.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from asn1crypto import core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from daemon import der
from daemon.certificate import (
    SCHEMES,
    PublicKey,
    Scheme,
    fitting,
    public_key,
    signature_bytes,
)
from daemon.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from datetime import datetime

VERSION_1: Final = core.Integer(1).dump()
SIGNED_DATA: Final = core.ObjectIdentifier("1.2.840.113549.1.7.2").dump()
DATA: Final = core.ObjectIdentifier("1.2.840.113549.1.7.1").dump()
CONTENT_TYPE: Final = core.ObjectIdentifier("1.2.840.113549.1.9.3").dump()
MESSAGE_DIGEST: Final = core.ObjectIdentifier("1.2.840.113549.1.9.4").dump()
SIGNING_TIME: Final = core.ObjectIdentifier("1.2.840.113549.1.9.5").dump()
SIGNING_CERTIFICATE: Final = core.ObjectIdentifier("1.2.840.113549.1.9.16.2.47").dump()
NO_CONTENT: Final = der.tlv(der.SEQUENCE, DATA)
HASHES: Final = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
WRONG: Final = "signature-invalid"
"""What the token gave is no signature of the certificate's key over what it was to sign."""
BY_ALGORITHMS: Final = {(s.digest_algorithm, s.signature_algorithm): s for s in SCHEMES.values()}


@dataclass(frozen=True, slots=True)
class Template:
    """A complete CMS with zeros for digest and signature: what is the same in each seal.

    A template that exists fits its scheme and its certificate: whatever the
    worker built is compared here, part by part, before it is used.
    """

    cms: bytes = field(repr=False)
    scheme: str
    certificate: bytes = field(repr=False)
    chain: tuple[bytes, ...] = field(init=False, repr=False)
    """The other certificates in it: what `check` has to be given."""
    max_bytes: int = field(init=False)
    """No CMS for a PDF that is made from this template is longer."""
    before_signer: bytes = field(init=False, repr=False, compare=False)
    """SignedData up to its signers."""
    before_attributes: bytes = field(init=False, repr=False, compare=False)
    """SignerInfo up to its signed attributes."""
    constant: tuple[bytes, ...] = field(init=False, repr=False, compare=False)
    """The signed attributes but the message digest."""

    def __post_init__(self) -> None:
        """Take the CMS apart once; raise `template-invalid` if it is not what we would write."""
        scheme = fitting(self.scheme, self.certificate)
        try:
            parts = _parts(self.cms)
            _compare(parts, scheme, bytes(scheme.digest_bytes), self.certificate)
        except PermanentError as exc:
            raise TransientError("template-invalid", f"the CMS template: {exc.args[0]}") from exc
        if list(parts.certificates) != sorted({*parts.certificates, self.certificate}):
            raise TransientError("template-invalid", "the CMS template: its certificates")
        found: dict[str, object] = {
            "chain": tuple(one for one in parts.certificates if one != self.certificate),
            "before_signer": VERSION_1
            + der.tlv(der.SET, scheme.digest_algorithm)
            + NO_CONTENT
            + der.tlv(der.CONTEXT_0, *parts.certificates),
            "before_attributes": VERSION_1 + parts.signer + scheme.digest_algorithm,
            "constant": tuple(
                _attribute(kind, value)
                for kind, value in parts.attributes.items()
                if kind != MESSAGE_DIGEST
            ),
        }
        for name, value in found.items():
            object.__setattr__(self, name, value)
        # In DER an ECDSA signature is at most nine bytes longer than its two numbers.
        longest = bytes(signature_bytes(public_key(self.certificate)) + 9)
        attributes = signed_attributes(self, bytes(scheme.digest_bytes))
        object.__setattr__(self, "max_bytes", len(_assembled(self, attributes, longest)))

    @property
    def digest(self) -> str:
        """The digest that is made of the file, as hashlib names it."""
        return SCHEMES[self.scheme].digest


def signed_attributes(template: Template, digest: bytes) -> bytes:
    """Return what the token signs for a PDF: the SET OF signed attributes, in DER.

    *digest* is the template's digest of all bytes of the file but the gap.
    """
    return _attribute_set(template, digest)


def detached_attributes(template: Template, digest: bytes, signing_time: datetime) -> bytes:
    """Return what the token signs for a detached CMS (CAdES), which says when it was made."""
    moment = signing_time.astimezone(UTC)
    # RFC 5652, 11.3: UTCTime, whose years have two digits, is for the years before 2050.
    if moment.year < 2050:
        time = der.tlv(der.UTC_TIME, f"{moment:%y%m%d%H%M%SZ}".encode())
    else:
        time = der.tlv(der.GENERALIZED_TIME, f"{moment:%Y%m%d%H%M%SZ}".encode())
    return _attribute_set(template, digest, _attribute(SIGNING_TIME, time))


def assemble(template: Template, attributes: bytes, signature: bytes) -> bytes:
    """Return the finished CMS; raise `signature-invalid` if the token signed wrongly.

    *signature* is what the token gave: for ECDSA the two numbers side by side
    (PKCS#11), which become an ECDSA-Sig-Value here.

    It is verified before anything is written: what is wrong now is the token's
    fault and leaves as TransientError, so that no document is refused for it (I8).
    """
    key = _identity(template.certificate).public_key
    expected = signature_bytes(key)
    try:
        if len(signature) != expected:
            _invalid(f"the token gave a signature of {len(signature)} bytes, not of {expected}")
        if template.scheme.startswith("ecdsa-"):
            signature = ecdsa_der(signature)
        _verify(SCHEMES[template.scheme], key, signature, attributes)
    except InvalidSignature as exc:
        raise TransientError(WRONG, "the token's signature does not verify") from exc
    except PermanentError as exc:
        raise TransientError(WRONG, str(exc.args[0])) from exc
    return _assembled(template, attributes, signature)


def ecdsa_der(raw: bytes) -> bytes:
    """Return an ECDSA signature as CMS has it (two INTEGERs) from PKCS#11's r || s."""
    half = len(raw) // 2
    numbers = (int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))
    if len(raw) % 2 or not all(numbers):
        _invalid("the token gave something that is no ECDSA signature")
    # One bit more than the number has, because an INTEGER has a sign.
    octets = (number.to_bytes(number.bit_length() // 8 + 1, "big") for number in numbers)
    return der.tlv(der.SEQUENCE, *(der.tlv(der.INTEGER, number) for number in octets))


def check(
    cms: bytes,
    digest: bytes,
    certificate: bytes,
    chain: tuple[bytes, ...] = (),
    *,
    detached: bool = False,
) -> None:
    """Verify a CMS from what it says itself; raise `seal-invalid` with the reason otherwise.

    *cms* may be padded with zeros, as it stands in the gap. *digest* is what was
    found in the file. The CMS has to hold *certificate*, *chain* and no other
    certificate; algorithm, parameters and signature come out of it.
    """
    try:
        size = len(der.first(cms).whole)
    except der.NotDer:
        _invalid("it is not DER")
    if cms[size:].strip(b"\0"):
        _invalid("something other than zeros follows it")
    parts = _parts(cms[:size])
    scheme = BY_ALGORITHMS.get((parts.digest_algorithm, parts.signature_algorithm))
    if scheme is None:
        _invalid("its algorithms or their parameters are none that we use")
    if list(parts.certificates) != sorted({certificate, *chain}):
        _invalid("its certificates are not the ones of this seal")
    _compare(parts, scheme, digest, certificate, detached=detached)
    key = _identity(certificate).public_key
    try:
        _verify(scheme, key, parts.signature, der.tlv(der.SET, parts.attribute_bytes))
    except InvalidSignature:
        _invalid("its signature does not verify")


def certificates(cms: bytes) -> tuple[bytes, ...]:
    """Return the certificates in a CMS of our structure; nothing in it is believed by that.

    It may be padded with zeros. Raise `seal-invalid` if it has another structure.
    """
    try:
        whole = der.first(cms).whole
    except der.NotDer:
        _invalid("it is not DER")
    return _parts(whole).certificates


def sha256(certificate: bytes) -> str:
    """Return the fingerprint that the ledger and the evidence name a certificate by."""
    return hashlib.sha256(certificate).hexdigest()


def _attribute(kind: bytes, value: bytes) -> bytes:
    return der.tlv(der.SEQUENCE, kind, der.tlv(der.SET, value))


def _attribute_set(template: Template, digest: bytes, *more: bytes) -> bytes:
    if len(digest) != SCHEMES[template.scheme].digest_bytes:
        _invalid(f"a digest of {len(digest)} bytes is not one of {template.digest}")
    about = _attribute(MESSAGE_DIGEST, der.tlv(der.OCTET_STRING, digest))
    return der.tlv(der.SET, *sorted((*template.constant, about, *more)))


def _assembled(template: Template, attributes: bytes, signature: bytes) -> bytes:
    signer_info = der.tlv(
        der.SEQUENCE,
        template.before_attributes,
        # In the CMS the set has an implicit tag; what is signed is the set under its own.
        bytes((der.CONTEXT_0,)),
        attributes[1:],
        SCHEMES[template.scheme].signature_algorithm,
        der.tlv(der.OCTET_STRING, signature),
    )
    signed_data = der.tlv(
        der.SEQUENCE,
        template.before_signer,
        der.tlv(der.SET, signer_info),
    )
    return der.tlv(der.SEQUENCE, SIGNED_DATA, der.tlv(der.CONTEXT_0, signed_data))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """A CMS of our structure, taken apart; nothing in it is believed yet."""

    certificates: tuple[bytes, ...]
    signer: bytes
    digest_algorithm: bytes
    attribute_bytes: bytes
    attributes: dict[bytes, bytes]
    signature_algorithm: bytes
    signature: bytes


def _parts(cms: bytes) -> _Parts:
    try:
        (outer,) = der.inside(cms, der.SEQUENCE)
        kind, wrapped = der.inside(outer.content, der.OID, der.CONTEXT_0)
        (signed_data,) = der.inside(wrapped.content, der.SEQUENCE)
        version, digests, content, certificates, signers = der.inside(
            signed_data.content, der.INTEGER, der.SET, der.SEQUENCE, der.CONTEXT_0, der.SET
        )
        (signer_info,) = der.inside(signers.content, der.SEQUENCE)
        signer_version, signer, digest_algorithm, attributes, algorithm, signature = der.inside(
            signer_info.content,
            *(der.INTEGER, der.SEQUENCE, der.SEQUENCE),
            *(der.CONTEXT_0, der.SEQUENCE, der.OCTET_STRING),
        )
        parts = _Parts(
            certificates=tuple(value.whole for value in der.values(certificates.content)),
            signer=signer.whole,
            digest_algorithm=digest_algorithm.whole,
            attribute_bytes=attributes.content,
            attributes=_attributes(attributes.content),
            signature_algorithm=algorithm.whole,
            signature=signature.content,
        )
    except der.NotDer as exc:
        _invalid(f"its structure is not the one we write ({exc})")
    fixed = (kind.whole, version.whole, signer_version.whole, content.whole, digests.content)
    if fixed != (SIGNED_DATA, VERSION_1, VERSION_1, NO_CONTENT, digest_algorithm.whole):
        _invalid("its structure is not the one we write (versions, content, digest algorithms)")
    return parts


def _attributes(content: bytes) -> dict[bytes, bytes]:
    """Return the value of each signed attribute by its type: each once, each with one value."""
    found = der.values(content)
    if [value.whole for value in found] != sorted(value.whole for value in found):
        raise der.NotDer("signed attributes that are not in order")
    values = {}
    for attribute in found:
        kind, holder = der.inside(attribute.content, der.OID, der.SET)
        held = der.values(holder.content)
        if attribute.tag != der.SEQUENCE or len(held) != 1 or kind.whole in values:
            raise der.NotDer("a signed attribute twice, or without exactly one value")
        values[kind.whole] = held[0].whole
    return values


class _Identity(NamedTuple):
    """How a CMS names the certificate that it was signed with."""

    signer: bytes
    """IssuerAndSerialNumber."""
    reference: bytes
    """The value of signing-certificate-v2 (RFC 5035): SHA-256, issuer, serial number."""
    public_key: PublicKey


@lru_cache(maxsize=16)
def _identity(certificate: bytes) -> _Identity:
    key = public_key(certificate)
    parsed = asn1_x509.Certificate.load(certificate)
    issuer, serial = parsed.issuer, parsed["tbs_certificate"]["serial_number"]
    names = {"issuer": [asn1_x509.GeneralName("directory_name", issuer)], "serial_number": serial}
    # The algorithm of the hash is not written: SHA-256 is the default.
    entry = {"cert_hash": hashlib.sha256(certificate).digest(), "issuer_serial": names}
    reference = tsp.SigningCertificateV2({"certs": [entry]})
    return _Identity(der.tlv(der.SEQUENCE, issuer.dump(), serial.dump()), reference.dump(), key)


def _compare(
    parts: _Parts, scheme: Scheme, digest: bytes, certificate: bytes, *, detached: bool = False
) -> None:
    """Compare all that is neither certificate nor signature with what it has to be."""
    if (parts.digest_algorithm, parts.signature_algorithm) != (
        scheme.digest_algorithm,
        scheme.signature_algorithm,
    ):
        _invalid("its algorithms or their parameters are not those of the scheme")
    identity = _identity(certificate)
    if parts.signer != identity.signer:
        _invalid("it names another certificate as the signer's")
    kinds = {CONTENT_TYPE, MESSAGE_DIGEST, SIGNING_CERTIFICATE}
    if parts.attributes.keys() != (kinds | {SIGNING_TIME} if detached else kinds):
        _invalid("its signed attributes are not the ones we write")
    if parts.attributes[CONTENT_TYPE] != DATA:
        _invalid("it is not about data")
    # Of a length that tells: the three digests that we use differ in it.
    if len(digest) != scheme.digest_bytes:
        _invalid("it was made with another digest algorithm")
    if parts.attributes[MESSAGE_DIGEST] != der.tlv(der.OCTET_STRING, digest):
        _invalid("it was made for another digest")
    if parts.attributes[SIGNING_CERTIFICATE] != identity.reference:
        _invalid("its signing-certificate attribute is about another certificate")


def _verify(scheme: Scheme, key: PublicKey, signature: bytes, data: bytes) -> None:
    algorithm = HASHES[scheme.digest]
    family = scheme.name.removesuffix(f"-{scheme.digest}")
    if isinstance(key, ec.EllipticCurvePublicKey) and family == "ecdsa":
        key.verify(signature, data, ec.ECDSA(algorithm))
    elif isinstance(key, rsa.RSAPublicKey) and family == "rsa-pss":
        salted = padding.PSS(padding.MGF1(algorithm), scheme.digest_bytes)
        key.verify(signature, data, salted, algorithm)
    elif isinstance(key, rsa.RSAPublicKey) and family == "rsa-pkcs1v15":
        key.verify(signature, data, padding.PKCS1v15(), algorithm)
    else:
        _invalid("its algorithm does not belong to the certificate's key")


def _invalid(reason: str) -> NoReturn:
    raise PermanentError("seal-invalid", reason)
