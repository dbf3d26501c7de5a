"""The certificate request: verified before anybody gets it."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from daemon import csr
from daemon.errors import PermanentError, PersonNeeded

NAME = csr.subject("CN=Siegel,O=Stadt Musterstadt,2.5.4.97=VATDE-000000000,C=DE")


def public(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.DER, form)


def bare(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """Return r||s, as a token gives it."""
    size = (key.key_size + 7) // 8
    numbers = utils.decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return b"".join(number.to_bytes(size, "big") for number in numbers)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_a_key_on_a_curve_asks_for_the_uses_of_a_seal(curve: ec.EllipticCurve) -> None:
    """The token gives two numbers; a request holds them in DER."""
    key = ec.generate_private_key(curve)
    signed = csr.to_be_signed(NAME, public(key))
    made = x509.load_pem_x509_csr(csr.request(signed, "ecdsa-sha256", bare(key, signed)).encode())
    usage = made.extensions.get_extension_for_class(x509.KeyUsage)

    assert made.is_signature_valid
    assert made.subject.public_bytes() == NAME
    assert usage.critical
    assert usage.value.digital_signature
    assert usage.value.content_commitment
    assert not usage.value.key_cert_sign


@pytest.mark.parametrize("scheme", ["rsa-pss-sha256", "rsa-pkcs1v15-sha256"])
def test_an_rsa_key_asks_as_it_seals(scheme: str) -> None:
    """PSS parameters stand in the request as they stand in a seal."""
    key = rsa.generate_private_key(65537, 2048)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    how = pss if scheme == "rsa-pss-sha256" else padding.PKCS1v15()
    signed = csr.to_be_signed(NAME, public(key))
    signature = key.sign(signed, how, hashes.SHA256())
    made = x509.load_pem_x509_csr(csr.request(signed, scheme, signature).encode())

    assert made.is_signature_valid


def test_a_signature_of_another_key_is_not_given_out() -> None:
    """A public key on the token that is not the private one's would cost a certificate."""
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    signed = csr.to_be_signed(NAME, public(key))

    with pytest.raises(PermanentError) as raised:
        csr.request(signed, "ecdsa-sha256", bare(other, signed))
    assert raised.value.code == "csr-invalid"


@pytest.mark.parametrize("text", ["", "Siegel", "CN=", "C=Deutschland", "XY=1"])
def test_a_name_that_is_none_is_refused(text: str) -> None:
    """A CA would send it back after weeks."""
    with pytest.raises(PersonNeeded) as raised:
        csr.subject(text)
    assert raised.value.code == "subject-unusable"


def test_a_public_key_that_the_token_hides_cannot_be_asked_for() -> None:
    """Nothing can be requested for a key that nobody has seen."""
    with pytest.raises(PermanentError) as raised:
        csr.to_be_signed(NAME, b"")
    assert raised.value.code == "key-unusable"
