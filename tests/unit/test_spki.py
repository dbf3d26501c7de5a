"""The public half of a key is written as a certificate would have it."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from daemon import spki
from daemon.der import OCTET_STRING, tlv

PARAMETERS = {curve: bytes.fromhex(text) for text, (curve, _) in spki.CURVES.items()}
CURVES = (
    (ec.SECP256R1(), "1.2.840.10045.3.1.7"),
    (ec.SECP384R1(), "1.3.132.0.34"),
    (ec.SECP521R1(), "1.3.132.0.35"),
    (ec.BrainpoolP256R1(), "1.3.36.3.3.2.8.1.1.7"),
    (ec.BrainpoolP384R1(), "1.3.36.3.3.2.8.1.1.11"),
    (ec.BrainpoolP512R1(), "1.3.36.3.3.2.8.1.1.13"),
)


def point_of(key: ec.EllipticCurvePublicKey, form: PublicFormat) -> bytes:
    """Return the point of *key*."""
    return key.public_bytes(Encoding.X962, form)


@pytest.mark.parametrize(("curve", "name"), CURVES, ids=lambda value: str(value)[:22])
@pytest.mark.parametrize("bare", [False, True])
def test_a_point_is_written_as_openssl_writes_it(
    curve: ec.EllipticCurve, name: str, bare: bool
) -> None:
    """In its OCTET STRING, as the standard has it, or bare, as some tokens give it."""
    key = ec.generate_private_key(curve).public_key()
    point = point_of(key, PublicFormat.UncompressedPoint)
    told = point if bare else tlv(OCTET_STRING, point)

    assert spki.ec(PARAMETERS[name], told) == key.public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )


def test_every_curve_of_the_table_is_tried_here() -> None:
    """A curve that is added without a test would be a typo away from a wrong key."""
    assert {name for _, name in CURVES} == PARAMETERS.keys()


@pytest.mark.parametrize("zeros", [0, 1, 2])
@pytest.mark.parametrize("bits", [2048, 3072])
def test_rsa_numbers_are_written_as_openssl_writes_them(bits: int, zeros: int) -> None:
    """Some tokens put a zero in front of the modulus, some do not."""
    key = rsa.generate_private_key(65537, bits).public_key()
    modulus = key.public_numbers().n.to_bytes(bits // 8 + zeros, "big")

    assert spki.rsa(modulus, b"\1\0\1") == key.public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )


def test_what_a_token_does_not_show_is_not_made_up() -> None:
    """Nothing, half a point, a compressed point, a point of another curve: not known."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    point = point_of(key, PublicFormat.UncompressedPoint)
    p256, p384 = PARAMETERS["1.2.840.10045.3.1.7"], PARAMETERS["1.3.132.0.34"]

    assert spki.rsa(b"", b"\1\0\1") == b""
    assert spki.rsa(b"\x80", b"") == b""
    assert spki.ec(p256, b"") == b""
    assert spki.ec(p256, point[:-1]) == b""
    assert spki.ec(p256, point_of(key, PublicFormat.CompressedPoint)) == b""
    assert spki.ec(p256, b"\0" + point) == b""
    assert spki.ec(p256, b"\6" + point[1:]) == b""  # a hybrid one
    assert spki.ec(p384, point) == b""
