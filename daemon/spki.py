"""The public half of a key, written the way a certificate has it.

A token tells a modulus and an exponent, or the name of a curve and a point. A
certificate holds a SubjectPublicKeyInfo (RFC 5280, 4.1). To see whether the two
belong together the same form is needed: DER, which has one way to write a thing.

Pure, and written with daemon/der.py: the HSM process loads no other library than PyKCS11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from daemon.der import INTEGER, OCTET_STRING, SEQUENCE, tlv

if TYPE_CHECKING:
    from collections.abc import Mapping

CURVES: Final[Mapping[str, tuple[str, int]]] = {
    "06082a8648ce3d030107": ("1.2.840.10045.3.1.7", 256),
    "06052b81040022": ("1.3.132.0.34", 384),
    "06052b81040023": ("1.3.132.0.35", 521),
    "06092b2403030208010107": ("1.3.36.3.3.2.8.1.1.7", 256),
    "06092b240303020801010b": ("1.3.36.3.3.2.8.1.1.11", 384),
    "06092b240303020801010d": ("1.3.36.3.3.2.8.1.1.13", 512),
}
"""CKA_EC_PARAMS as hex to name and size: the NIST and the brainpool curves of TR-02102."""
RSA: Final = bytes.fromhex("300d06092a864886f70d0101010500")
EC: Final = bytes.fromhex("06072a8648ce3d0201")
BIT_STRING: Final = 0x03
UNCOMPRESSED = b"\x04"


def rsa(modulus: bytes, exponent: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo of an RSA key; b"" if a part is not known."""
    if not modulus or not exponent:
        return b""
    numbers = tlv(SEQUENCE, _integer(modulus), _integer(exponent))
    return tlv(SEQUENCE, RSA, tlv(BIT_STRING, b"\0", numbers))


def ec(parameters: bytes, told: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo of a key on a known curve; b"" if the point is not known.

    The standard puts CKA_EC_POINT into an OCTET STRING, some tokens give it bare.
    """
    _, bits = CURVES[parameters.hex()]
    size = 1 + 2 * ((bits + 7) // 8)
    point = told[-size:]
    if len(point) != size or point[:1] != UNCOMPRESSED:
        return b""
    if told not in (point, tlv(OCTET_STRING, point)):
        return b""
    return tlv(SEQUENCE, tlv(SEQUENCE, EC, parameters), tlv(BIT_STRING, b"\0", point))


def _integer(value: bytes) -> bytes:
    value = value.lstrip(b"\0")
    # Without a zero in front a first bit of one would make it negative.
    return tlv(INTEGER, b"\0" * (value[:1] >= b"\x80") + value)
