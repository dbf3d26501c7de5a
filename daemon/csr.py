"""A certificate request (PKCS#10, RFC 2986) for a key that never leaves its token.

    subject ──▶ to_be_signed(subject, public key) ──▶ the token signs it
            ──▶ request(...) puts both together, and verifies before anybody gets it

Asked for are the uses of a seal: digitalSignature and nonRepudiation.
"""

from __future__ import annotations

import base64
import textwrap
from typing import Final

from asn1crypto import csr
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from daemon.certificate import signature_mechanism
from daemon.errors import PermanentError, PersonNeeded

USES: Final = {"digital_signature", "non_repudiation"}


def subject(text: str) -> bytes:
    """Return the name in DER; *text* is as in RFC 4514, the most particular part first."""
    try:
        name = x509.Name.from_rfc4514_string(text)
    except ValueError as exc:
        raise PersonNeeded("subject-unusable", f"--subject: {exc}") from None
    if not list(name):
        raise PersonNeeded("subject-unusable", "--subject: it is empty")
    return name.public_bytes()


def to_be_signed(name: bytes, public_key: bytes) -> bytes:
    """Return the CertificationRequestInfo in DER for a public key (SubjectPublicKeyInfo)."""
    if not public_key:
        raise PermanentError("key-unusable", "the token does not show the public key")
    usage = {"extn_id": "key_usage", "critical": True, "extn_value": USES}
    asked = {"type": "extension_request", "values": [[usage]]}
    information = {
        "version": "v1",
        "subject": asn1_x509.Name.load(name),
        "subject_pk_info": asn1_x509.PublicKeyInfo.load(public_key),
        "attributes": [asked],
    }
    return bytes(csr.CertificationRequestInfo(information).dump())


def request(signed: bytes, scheme: str, signature: bytes) -> str:
    """Return the request as PEM; raise `csr-invalid` if the token's signature does not verify.

    *scheme* is the token's word for it, *signature* as the token gives it: ECDSA as r||s.
    """
    if scheme.startswith("ecdsa-"):
        half = len(signature) // 2
        numbers = (int.from_bytes(part, "big") for part in (signature[:half], signature[half:]))
        signature = encode_dss_signature(*numbers)
    whole = csr.CertificationRequest(
        {
            "certification_request_info": csr.CertificationRequestInfo.load(signed),
            "signature_algorithm": signature_mechanism(scheme),
            "signature": signature,
        }
    ).dump()
    try:
        good = x509.load_der_x509_csr(whole).is_signature_valid
    except (ValueError, UnsupportedAlgorithm):
        good = False
    if not good:
        raise PermanentError("csr-invalid", "the token's signature is not one of this key")
    lines = "\n".join(textwrap.wrap(base64.b64encode(whole).decode(), 64))
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{lines}\n-----END CERTIFICATE REQUEST-----\n"
