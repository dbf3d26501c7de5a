"""A certificate that a CA sent, before it is written beside its key on the token.

Looked at first, so that nothing gets there that could not seal: validity, key
usage, the issuer in `[hsm] chain`, and whether it is this key's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

from daemon.certificate import certificate_problems, load, public_key
from daemon.errors import PermanentError, PersonNeeded, TransientError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

MOST_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class NewCertificate:
    """One that may be written to the token if it belongs to the key there."""

    der: bytes

    def belongs(self, public: bytes) -> None:
        """Raise `certificate-mismatch` unless it holds that key (SubjectPublicKeyInfo)."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        if public != public_key(self.der).public_bytes(serialization.Encoding.DER, form):
            raise PermanentError("certificate-mismatch", "it is the certificate of another key")

    def parts(self) -> Mapping[str, str]:
        """Return what a token wants to know of it (PKCS#11, certificate objects), as hex."""
        found = load(self.der)
        number = found.serial_number
        content = number.to_bytes(number.bit_length() // 8 + 1, "big")
        return {
            "value": self.der.hex(),
            "subject": found.subject.public_bytes().hex(),
            "issuer": found.issuer.public_bytes().hex(),
            "serial": (bytes((2, len(content))) + content).hex(),
        }


def checked(file: bytes, chain: Sequence[bytes], now: datetime) -> NewCertificate:
    """Return the certificate of a file (PEM or DER), or raise the first thing against it.

    Of several in one file it is the first: so CAs order them.
    """
    try:
        pem = file.lstrip().startswith(b"-----")
        found = (
            x509.load_pem_x509_certificate(file) if pem else x509.load_der_x509_certificate(file)
        )
    except ValueError:
        raise PersonNeeded("certificate-unreadable", "this is no certificate") from None
    der = found.public_bytes(serialization.Encoding.DER)
    try:
        public_key(der)
    except TransientError as exc:
        raise PersonNeeded(exc.code, str(exc.args[0])) from None
    # Whether the key is the token's is asked later, and of the token.
    for code in certificate_problems(der, b"", now):
        if code != "certificate-mismatch":
            raise PersonNeeded(code, found.subject.rfc4514_string())
    if not any(_issued(found, load(one)) for one in chain):
        raise PersonNeeded("issuer-missing", found.issuer.rfc4514_string())
    return NewCertificate(der)


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
