"""Certificates that a test needs otherwise than the demo makes them, from a small PKI of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from daemon import der

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from contrib.demo.token import PublicKey

PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Authority:
    """A CA: its certificate, and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def der(self) -> bytes:
        """The certificate in DER."""
        return encoded(self.certificate)


def encoded(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def write(path: Path, *certificates: bytes) -> Path:
    """Write certificates in DER as a PEM file."""
    parsed = [x509.load_der_x509_certificate(one) for one in certificates]
    path.write_bytes(b"".join(one.public_bytes(PEM) for one in parsed))
    return path


def authority(
    name: str,
    now: datetime,
    issuer: Authority | None = None,
    *,
    days: tuple[float, float] = (-1, 3650),
    key: ec.EllipticCurvePrivateKey | None = None,
    ca: bool = True,
) -> Authority:
    """Make a CA; a root, where there is no *issuer*. It is valid between *days* from now."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder(
            issuer.certificate.subject if issuer else subject, subject, key.public_key()
        )
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    return Authority(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def seal(
    public: PublicKey,
    now: datetime,
    issuer: Authority,
    *,
    days: tuple[float, float] = (-1, 730),
    usage: str = "content_commitment",
    more: Sequence[x509.ExtensionType] = (),
) -> bytes:
    """Make a seal certificate in DER, with *more* extensions."""
    names = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    bits = x509.KeyUsage(**{name: name == usage for name in names})
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Stadt Musterstadt, Siegel")])
    builder = (
        x509.CertificateBuilder(issuer.certificate.subject, subject, public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(bits, critical=True)
    )
    for extension in more:
        builder = builder.add_extension(extension, critical=False)
    return encoded(builder.sign(issuer.key, hashes.SHA256()))


def qc_statements(*kinds: str, types: Sequence[str] = ()) -> x509.UnrecognizedExtension:
    """Make the QcStatements extension (ETSI EN 319 412-5) with statements and QcType's *types*."""
    statements = [
        der.tlv(der.SEQUENCE, core.ObjectIdentifier(f"0.4.0.1862.1.{kind}").dump())
        for kind in kinds
    ]
    if types:
        named = [core.ObjectIdentifier(f"0.4.0.1862.1.6.{one}").dump() for one in types]
        kind = core.ObjectIdentifier("0.4.0.1862.1.6").dump()
        statements.append(der.tlv(der.SEQUENCE, kind, der.tlv(der.SEQUENCE, *named)))
    return x509.UnrecognizedExtension(
        x509.ObjectIdentifier("1.3.6.1.5.5.7.1.3"), der.tlv(der.SEQUENCE, *statements)
    )


QUALIFIED = qc_statements("1", "4", types=("2",))
"""As a qualified certificate for seals has it, with its key in a qualified device."""
