"""The seal's CMS: what goes into it, and that nothing else gets past `check`."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from asn1crypto import cms as asn1_cms
from asn1crypto import core
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from contrib.demo.token import issue
from daemon import certificate, cms, der, template
from daemon.errors import DaemonError, PermanentError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
DIGEST = hashlib.sha256(b"all of the file but the gap").digest()
SCHEMES = ("rsa-pss-sha256", "rsa-pkcs1v15-sha256", "ecdsa-sha256")
OTHERS = tuple(name for name in certificate.SCHEMES if name not in SCHEMES)
HASHES = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
CURVES = (
    *(ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()),
    *(ec.BrainpoolP256R1(), ec.BrainpoolP384R1(), ec.BrainpoolP512R1()),
)
DATA = bytes.fromhex("06092a864886f70d010701")
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def encoded(one: x509.Certificate) -> bytes:
    return one.public_bytes(serialization.Encoding.DER)


@dataclass(frozen=True)
class Token:
    """Plays the token: a key with its certificate, and C_Sign."""

    key: Key
    certificate: bytes
    ca: bytes
    template: cms.Template

    def sign(self, data: bytes) -> bytes:
        """Sign as PKCS#11 does: ECDSA gives two numbers side by side."""
        made = HASHES[self.template.digest]
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            numbers = utils.decode_dss_signature(self.key.sign(data, ec.ECDSA(made)))
            half = (self.key.key_size + 7) // 8
            return b"".join(number.to_bytes(half, "big") for number in numbers)
        if self.template.scheme.startswith("rsa-pss"):
            return self.key.sign(data, padding.PSS(padding.MGF1(made), made.digest_size), made)
        return self.key.sign(data, padding.PKCS1v15(), made)

    def seal(self) -> bytes:
        attributes = cms.signed_attributes(self.template, DIGEST)
        return cms.assemble(self.template, attributes, self.sign(attributes))

    def check(self, seal: bytes, *, detached: bool = False) -> None:
        cms.check(seal, DIGEST, self.certificate, (self.ca,), detached=detached)


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 3072)


@cache
def token_for(scheme: str, curve: ec.EllipticCurve | None = None) -> Token:
    key: Key = rsa_key()
    if scheme.startswith("ecdsa"):
        key = ec.generate_private_key(curve or ec.SECP256R1())
    ca, seal = issue(key.public_key(), organisation="Stadt Musterstadt", now=NOW)
    task = {
        "certificate": encoded(seal).hex(),
        "chain": [encoded(ca).hex()],
        "scheme": scheme,
    }
    built = bytes.fromhex(template.template(task)["cms"])
    one = cms.Template(built, scheme, encoded(seal))
    return Token(key, encoded(seal), encoded(ca), one)


@pytest.fixture(params=SCHEMES)
def token(request: pytest.FixtureRequest) -> Token:
    return token_for(request.param)


@pytest.fixture
def pss() -> Token:
    return token_for("rsa-pss-sha256")


def signer_info(seal: bytes) -> Any:
    return asn1_cms.ContentInfo.load(seal)["content"]["signer_infos"][0]


def test_a_finished_seal_passes_its_check(token: Token) -> None:
    """With and without the zeros that fill the gap."""
    seal = token.seal()

    token.check(seal)
    token.check(seal + bytes(5000))


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)
@pytest.mark.parametrize("scheme", ["ecdsa-sha256", "ecdsa-sha384", "ecdsa-sha512"])
def test_a_digest_of_any_length_goes_with_any_curve(curve: ec.EllipticCurve, scheme: str) -> None:
    """Also one that is longer than the curve's order."""
    check_scheme(token_for(scheme, curve))


@pytest.mark.parametrize("scheme", OTHERS)
def test_each_digest_has_schemes_of_its_own(scheme: str) -> None:
    """What `[seal] digest` says is in the CMS: the digest, the mask and the length of the salt."""
    check_scheme(token_for(scheme))


def check_scheme(token: Token) -> None:
    """Assert that a seal passes, that it says what it was made with, and that it is believed."""
    digest = hashlib.new(token.template.digest, b"all of the file but the gap").digest()
    attributes = cms.signed_attributes(token.template, digest)
    seal = cms.assemble(token.template, attributes, token.sign(attributes))

    cms.check(seal, digest, token.certificate, (token.ca,))
    info = signer_info(seal)
    assert info["digest_algorithm"]["algorithm"].native == token.template.digest
    if token.template.scheme.startswith("rsa-pss"):
        assert info["signature_algorithm"]["parameters"]["salt_length"].native == len(digest)
    with pytest.raises(PermanentError, match="another digest"):
        cms.check(seal, bytes([digest[0] ^ 1]) + digest[1:], token.certificate, (token.ca,))


def test_a_digest_of_another_length_than_the_cms_says_is_refused() -> None:
    """SHA-256 of the file under a CMS that says SHA-512: a validator would make another one."""
    token = token_for("rsa-pss-sha512")
    longer = hashlib.sha512(b"all of the file but the gap").digest()
    right = cms.signed_attributes(token.template, longer)
    wrong = right.replace(
        der.tlv(der.SET, der.tlv(der.OCTET_STRING, longer)),
        der.tlv(der.SET, der.tlv(der.OCTET_STRING, DIGEST)),
    )
    inner = sorted(one.whole for one in der.values(relabelled(wrong)))
    attributes = der.tlv(der.SET, *inner)
    seal = cms.assemble(token.template, attributes, token.sign(attributes))

    with pytest.raises(PermanentError, match="another digest algorithm"):
        cms.check(seal, DIGEST, token.certificate, (token.ca,))
    with pytest.raises(PermanentError, match="32 bytes is not one of sha512"):
        cms.signed_attributes(token.template, DIGEST)


def relabelled(attributes: bytes) -> bytes:
    """Return the attributes of a SET one of which was shortened, with lengths that fit again."""
    found = b""
    kinds = (
        bytes.fromhex("06092a864886f70d010903"),
        bytes.fromhex("06092a864886f70d010904"),
        bytes.fromhex("060b2a864886f70d010910022f"),
    )
    for kind in kinds:
        start = attributes.index(kind) + len(kind)
        value = der.first(attributes[start:]).whole
        found += der.tlv(der.SEQUENCE, kind, value)
    return found


def test_a_pades_seal_has_three_signed_attributes_and_no_time(token: Token) -> None:
    """ETSI EN 319 142-1 forbids signing-time: the time stands in the PDF's /M."""
    attributes = asn1_cms.CMSAttributes.load(cms.signed_attributes(token.template, DIGEST))

    found = {one["type"].native: one["values"][0] for one in attributes}
    assert found.keys() == {"content_type", "message_digest", "signing_certificate_v2"}
    assert found["content_type"].native == "data"
    assert found["message_digest"].native == DIGEST
    reference = found["signing_certificate_v2"].native["certs"][0]
    assert reference["cert_hash"] == hashlib.sha256(token.certificate).digest()
    assert attributes.dump(force=True) == cms.signed_attributes(token.template, DIGEST)


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        (datetime(2026, 11, 22, 13, 0, 1, tzinfo=timezone(timedelta(hours=1))), "utc_time"),
        (datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), "utc_time"),
        (datetime(2050, 1, 1, tzinfo=UTC), "generalized_time"),
    ],
)
def test_a_detached_seal_says_when_it_was_made(token: Token, moment: datetime, said: str) -> None:
    """CAdES wants the time; RFC 5652 wants it in one form up to 2049 and in another afterwards."""
    attributes = cms.detached_attributes(token.template, DIGEST, moment)
    seal = cms.assemble(token.template, attributes, token.sign(attributes))

    token.check(seal, detached=True)
    with pytest.raises(PermanentError, match="signed attributes"):
        token.check(seal)
    with pytest.raises(PermanentError, match="signed attributes"):
        token.check(token.seal(), detached=True)
    (time,) = (
        one["values"][0]
        for one in asn1_cms.CMSAttributes.load(attributes)
        if one["type"].native == "signing_time"
    )
    assert (time.name, time.native) == (said, moment)


def test_the_salt_is_as_long_as_the_digest(pss: Token) -> None:
    """PyHanko's own choice is the longest possible salt: the token makes none like that."""
    algorithm = signer_info(pss.seal())["signature_algorithm"].native

    assert algorithm["algorithm"] == "rsassa_pss"
    assert algorithm["parameters"]["salt_length"] == len(DIGEST)
    assert algorithm["parameters"]["hash_algorithm"]["algorithm"] == "sha256"
    assert algorithm["parameters"]["mask_gen_algorithm"]["parameters"]["algorithm"] == "sha256"


def test_every_changed_byte_is_noticed(token: Token) -> None:
    """Signed or not, in the chain or in a length: no byte of the file is nobody's business."""
    seal = token.seal() + bytes(3)

    passed = []
    for at in range(len(seal)):
        for flip in (1 << at % 8, 0xFF):
            changed = bytearray(seal)
            changed[at] ^= flip
            try:
                token.check(bytes(changed))
            except PermanentError as exc:
                assert exc.code == "seal-invalid"  # noqa: PT017 (the loop goes on)
            else:
                passed.append((at, flip))
    assert passed == []


@given(
    st.sampled_from(SCHEMES),
    st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=6
    ),
)
def test_random_changes_are_noticed(scheme: str, flips: list[tuple[float, int]]) -> None:
    """Several at once, which could make up for each other."""
    token = token_for(scheme)
    seal = token.seal()
    changed = bytearray(seal)
    for place, flip in flips:
        changed[int(place * len(seal))] ^= flip

    if bytes(changed) != seal:
        with pytest.raises(PermanentError):
            token.check(bytes(changed))


@given(st.floats(0, 1), st.floats(0, 1), st.binary(max_size=8))
def test_what_was_cut_out_or_put_in_is_noticed(start: float, end: float, new: bytes) -> None:
    """Lengths are part of what was signed only if somebody looks at them."""
    token = token_for("ecdsa-sha256")
    seal = token.seal()
    first, last = sorted((int(start * len(seal)), int(end * len(seal))))
    changed = seal[:first] + new + seal[last:]

    if changed.rstrip(b"\0") != seal.rstrip(b"\0"):
        with pytest.raises(PermanentError):
            token.check(changed)


@given(st.binary(max_size=200))
def test_nonsense_is_refused_and_nothing_else(nonsense: bytes) -> None:
    """Whatever lies in the gap, the answer is the same error."""
    with pytest.raises(PermanentError, match="seal-invalid"):
        token_for("ecdsa-sha256").check(nonsense)


def resealed(token: Token, change: Callable[[Any], None]) -> bytes:
    """Return a seal with *change* made to its SignedData, signed with the real key afterwards."""
    content = asn1_cms.ContentInfo.load(token.seal())
    change(content["content"])
    info = content["content"]["signer_infos"][0]
    raw = token.sign(info["signed_attrs"].untag().dump(force=True))
    info["signature"] = cms.ecdsa_der(raw) if token.template.scheme == SCHEMES[2] else raw
    return bytes(content.dump())


def attribute(data: Any, kind: str, value: Any) -> None:
    """Put one signed attribute in the place of the one of its type, or beside the others."""
    info = data["signer_infos"][0]
    others = [one for one in info["signed_attrs"] if one["type"].native != kind]
    made = [] if value is None else [asn1_cms.CMSAttribute({"type": kind, "values": [value]})]
    info["signed_attrs"] = asn1_cms.CMSAttributes([*others, *made])


def salt(data: Any) -> None:
    data["signer_infos"][0]["signature_algorithm"]["parameters"]["salt_length"] = 20


def unsigned(data: Any) -> None:
    more = asn1_cms.CMSAttribute({"type": "counter_signature", "values": []})
    data["signer_infos"][0]["unsigned_attrs"] = asn1_cms.CMSAttributes([more])


def without_chain(data: Any) -> None:
    data["certificates"] = [data["certificates"][1]]


def one_more(data: Any) -> None:
    stranger = asn1_x509.Certificate.load(token_for("ecdsa-sha256").ca)
    data["certificates"].append(asn1_cms.CertificateChoices("certificate", stranger))


def content(data: Any) -> None:
    data["encap_content_info"]["content"] = core.OctetString(b"x")


def second_signer(data: Any) -> None:
    data["signer_infos"].append(data["signer_infos"][0].copy())


def other_serial(data: Any) -> None:
    data["signer_infos"][0]["sid"].chosen["serial_number"] = 1


def other_reference(data: Any) -> None:
    stranger = asn1_cms.ContentInfo.load(token_for("ecdsa-sha256").seal())
    for one in stranger["content"]["signer_infos"][0]["signed_attrs"]:
        if one["type"].native == "signing_certificate_v2":
            attribute(data, "signing_certificate_v2", one["values"][0])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (salt, "algorithms or their parameters"),
        (unsigned, "structure"),
        (without_chain, "certificates"),
        (one_more, "certificates"),
        (content, "structure"),
        (second_signer, "structure"),
        (other_serial, "another certificate as the signer's"),
        (other_reference, "signing-certificate attribute"),
        (lambda data: attribute(data, "signing_certificate_v2", None), "signed attributes"),
        (lambda data: attribute(data, "message_digest", bytes(32)), "another digest"),
        (lambda data: attribute(data, "content_type", "tst_info"), "not about data"),
        (
            lambda data: attribute(data, "signing_time", asn1_cms.Time("utc_time", NOW)),
            "signed attributes",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_the_real_key_signed_wrongly_is_refused_with_its_reason(
    change: Callable[[Any], None], reason: str, pss: Token
) -> None:
    """A signature that verifies is not enough: each field has to be the one that belongs there."""
    pss.check(resealed(pss, lambda _: None))

    with pytest.raises(PermanentError, match=reason):
        pss.check(resealed(pss, change))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda one, two, three: (two, one, three), "not in order"),
        (lambda one, two, three: (one, one, two, three), "twice"),
        (
            lambda one, two, three: (
                der.tlv(der.SEQUENCE, *_inner(one)[:1], der.tlv(der.SET, DATA, DATA)),
                two,
                three,
            ),
            "exactly one value",
        ),
        (lambda one, two, three: (one, two, b"\xa0" + three[1:]), "signed attribute"),
    ],
    ids=["order", "twice", "values", "tag"],
)
def test_attributes_have_one_order_and_one_value_each(
    change: Callable[[bytes, bytes, bytes], tuple[bytes, ...]], reason: str, token: Token
) -> None:
    """Validators that sort or choose for themselves would see something else than we did."""
    (whole,) = der.values(cms.signed_attributes(token.template, DIGEST))
    one, two, three = (value.whole for value in der.values(whole.content))
    attributes = der.tlv(der.SET, *change(one, two, three))

    with pytest.raises(PermanentError, match=reason):
        token.check(cms.assemble(token.template, attributes, token.sign(attributes)))


def _inner(attribute: bytes) -> list[bytes]:
    return [value.whole for value in der.values(der.first(attribute).content)]


def test_certificates_have_one_order_and_stand_there_once(token: Token) -> None:
    """They are outside of what is signed, so nothing else holds them in place."""
    first, second = sorted((token.certificate, token.ca))
    seal = token.seal()

    with pytest.raises(PermanentError, match="certificates"):
        token.check(seal.replace(first + second, second + first))
    swapped = token.template.cms.replace(first + second, second + first)
    with pytest.raises(TransientError, match="certificates"):
        replace(token.template, cms=swapped)
    once, twice = (der.tlv(der.CONTEXT_0, first, second, *more) for more in ((), (second,)))
    doubled = replace(token.template)
    object.__setattr__(doubled, "before_signer", doubled.before_signer.replace(once, twice))
    with pytest.raises(PermanentError, match="certificates"):
        token.check(replace(token, template=doubled).seal())


def test_a_seal_of_another_digest_key_or_chain_is_refused(token: Token) -> None:
    """Three ways to get a good seal into the wrong file."""
    seal = token.seal()
    stranger = token_for("ecdsa-sha256" if token.template.scheme[:3] == "rsa" else SCHEMES[0])

    with pytest.raises(PermanentError, match="digest"):
        cms.check(seal, bytes(32), token.certificate, (token.ca,))
    with pytest.raises(PermanentError, match="certificates"):
        cms.check(seal, DIGEST, stranger.certificate, (token.ca,))
    with pytest.raises(PermanentError, match="certificates"):
        cms.check(seal, DIGEST, token.certificate)
    with pytest.raises(PermanentError, match="something other than zeros"):
        token.check(seal + b"\0\0x")


@given(st.integers(1, P256_ORDER - 1), st.integers(1, P256_ORDER - 1))
def test_an_ecdsa_signature_becomes_der(r: int, s: int) -> None:
    """Numbers of every length: a leading zero too many or too few is not DER."""
    raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")

    assert cms.ecdsa_der(raw) == utils.encode_dss_signature(r, s)


@pytest.mark.parametrize("raw", [b"", b"\1\2\3", bytes(64), b"\1" * 32 + bytes(32)])
def test_what_is_no_ecdsa_signature_is_refused(raw: bytes) -> None:
    """Zero is no number in a signature."""
    with pytest.raises(PermanentError, match="seal-invalid"):
        cms.ecdsa_der(raw)


def test_a_signature_of_another_length_is_refused(token: Token) -> None:
    """A token that answers in DER, or with another key, must not end in a file."""
    attributes = cms.signed_attributes(token.template, DIGEST)
    signature = token.sign(attributes)

    for wrong in (b"", signature[:-1], signature + b"\0", cms.ecdsa_der(b"\1" * 64)):
        with pytest.raises(TransientError, match="signature-invalid: the token gave"):
            cms.assemble(token.template, attributes, wrong)
    with pytest.raises(PermanentError, match="digest of 20 bytes"):
        cms.signed_attributes(token.template, bytes(20))


def test_i8_a_wrong_signature_is_the_tokens_fault(token: Token) -> None:
    """Known before anything is written, and no reason to count it against a document."""
    attributes = cms.signed_attributes(token.template, DIGEST)
    signature = token.sign(attributes)

    assert cms.assemble(token.template, attributes, signature)
    flipped = signature[:-1] + bytes([signature[-1] ^ 1])
    for wrong in (flipped, bytes(len(signature))):
        with pytest.raises(TransientError, match="signature-invalid"):
            cms.assemble(token.template, attributes, wrong)


def test_the_longest_seal_fits_what_the_template_promises(token: Token) -> None:
    """The gap is reserved before the signature is known."""
    attributes = cms.signed_attributes(token.template, DIGEST)
    signature = b"\xff" * len(token.sign(attributes))
    if token.template.scheme.startswith("ecdsa-"):
        signature = cms.ecdsa_der(signature)
    longest = cms._assembled(token.template, attributes, signature)

    assert len(longest) <= token.template.max_bytes < len(longest) + 10


def test_a_template_that_was_not_asked_for_is_refused(pss: Token) -> None:
    """The worker is believed as little as a file is."""
    stranger = token_for("ecdsa-sha256")
    built = pss.template.cms

    for lie in (b"", built[:-1], built + b"\0", stranger.template.cms, pss.seal()):
        with pytest.raises(TransientError, match="template-invalid"):
            replace(pss.template, cms=lie)
    with pytest.raises(TransientError, match="template-invalid"):
        replace(pss.template, scheme="rsa-pkcs1v15-sha256")
    for scheme in ("ecdsa-sha256", "rsa-pss-sha1", ""):
        with pytest.raises(TransientError, match="certificate-key"):
            replace(pss.template, scheme=scheme)


@dataclass
class Answering:
    """A worker that gives one answer."""

    answer: Any

    async def call(self, task: str, argument: Mapping[str, Any], *, seconds: float) -> Any:
        assert (task, seconds) == ("template", template.SECONDS)
        assert argument["certificate"]
        return self.answer


def test_the_worker_s_answer_is_checked(pss: Token) -> None:
    """No CMS, no hexadecimal digits, no object, or a chain that was not asked for."""

    def fetch(answer: object, chain: list[bytes]) -> cms.Template:
        worker = Answering(answer)
        return asyncio.run(
            template.fetch_template(worker, pss.certificate, chain, "rsa-pss-sha256")
        )

    right = {"cms": pss.template.cms.hex()}
    assert fetch(right, [pss.ca, pss.certificate, pss.ca]) == pss.template
    for answer in (None, {}, {"cms": 1}, {"cms": "x"}, {"cms": ""}):
        with pytest.raises(TransientError, match="template-invalid"):
            fetch(answer, [pss.ca])
    with pytest.raises(TransientError, match="template-invalid"):
        fetch(right, [])


@given(
    st.integers(0, 255),
    st.sampled_from([b"", b"\x80", b"\x81", b"\x82\0", b"\x82", b"\x84\0\0\0", b"\x85\0\0\0\0"]),
    st.binary(max_size=200),
)
def test_der_is_read_in_one_form_only(tag: int, form: bytes, content: bytes) -> None:
    """Whatever can be read is written again as the same bytes."""
    data = bytes((tag,)) + form + len(content).to_bytes(1, "big") + content
    try:
        found = der.values(data)
    except der.NotDer:
        return

    assert b"".join(der.tlv(value.tag, value.content) for value in found) == data


@pytest.mark.parametrize(
    "data",
    [
        b"\x04",
        b"\x04\x02a",
        b"\x04\x81\x01a",
        b"\x04\x82\x00\x80" + bytes(128),
        b"\x30\x80\x04\x01a\x00\x00",
        b"\x1f\x01a",
        b"\x3f\x81\x01\x00",
    ],
)
def test_what_is_not_canonical_der_is_not_read(data: bytes) -> None:
    """Cut off, lengths in a longer form than needed or without end, tags of several bytes."""
    with pytest.raises(der.NotDer):
        der.values(data)


@pytest.mark.parametrize("length", [0, 1, 127, 128, 255, 256, 65535, 65536])
def test_der_lengths_are_canonical(length: int) -> None:
    """The borders at which the form changes, compared with another encoder."""
    content = bytes(length)

    assert der.tlv(der.OCTET_STRING, content) == core.OctetString(content).dump()
    assert der.first(der.tlv(der.OCTET_STRING, content) + b"x").content == content


def certificate_with(
    key: Key, *, usage: str | None = "digital_signature", start: int = -1, end: int = 1
) -> bytes:
    """Return a certificate with one key usage, valid from day *start* to day *end*."""
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Stadt, Amt")])
    builder = (
        x509.CertificateBuilder(name, name, key.public_key(), 0xABC)
        .not_valid_before(NOW + timedelta(days=start))
        .not_valid_after(NOW + timedelta(days=end))
    )
    if usage is not None:
        names = (
            *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
            *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
        )
        bits = x509.KeyUsage(**{name: name == usage for name in names})
        builder = builder.add_extension(bits, critical=True)
    return encoded(builder.sign(rsa_key(), hashes.SHA256()))


@pytest.mark.parametrize(
    ("made", "problems"),
    [
        ({}, ()),
        ({"usage": "content_commitment"}, ()),
        ({"usage": "key_encipherment"}, ("certificate-usage",)),
        ({"usage": None}, ("certificate-usage",)),
        ({"end": 0}, ()),
        ({"start": -9, "end": -1}, ("certificate-expired",)),
        ({"start": 1, "end": 9}, ("certificate-not-yet-valid",)),
        ({"start": 1, "end": 9, "usage": None}, ("certificate-not-yet-valid", "certificate-usage")),
    ],
)
def test_what_speaks_against_a_certificate_is_named(
    made: dict[str, Any], problems: tuple[str, ...]
) -> None:
    """All of it at once: a certificate is ordered by letter and takes weeks."""
    key = rsa_key()
    spki = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    der_bytes = certificate_with(key, **made)

    assert certificate.certificate_problems(der_bytes, spki, NOW) == problems
    for other in (b"", spki[:-1]):
        found = certificate.certificate_problems(der_bytes, other, NOW)
        assert found == (*problems, "certificate-mismatch")


def test_a_certificate_of_another_key_is_named() -> None:
    """Sealed with it, every file would be invalid."""
    stranger = x509.load_der_x509_certificate(token_for("ecdsa-sha256").certificate).public_key()
    spki = stranger.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    found = certificate.certificate_problems(certificate_with(rsa_key()), spki, NOW)

    assert found == ("certificate-mismatch",)


def test_the_facts_of_a_certificate_are_those_that_people_compare() -> None:
    """Serial as openssl prints it, days left rounded down: never one too many."""
    facts = certificate.describe(certificate_with(rsa_key(), end=30), NOW + timedelta(hours=1))

    assert facts.subject == facts.issuer == r"O=Stadt\, Amt"
    assert facts.serial == "0ABC"
    assert (facts.not_before, facts.not_after) == (
        NOW - timedelta(days=1),
        NOW + timedelta(days=30),
    )
    assert facts.days_left == 29
    assert (
        certificate.describe(certificate_with(rsa_key(), end=0), NOW + timedelta(1)).days_left == -1
    )


def test_the_scheme_follows_from_the_key_and_the_padding() -> None:
    """RSA is PSS unless the configuration says otherwise; a curve has no padding."""
    on_curve = certificate_with(ec.generate_private_key(ec.SECP384R1()))

    assert certificate.scheme_for(certificate_with(rsa_key())) == "rsa-pss-sha256"
    pkcs1 = certificate.scheme_for(certificate_with(rsa_key()), rsa_padding="pkcs1v15")
    assert pkcs1 == "rsa-pkcs1v15-sha256"
    assert certificate.scheme_for(on_curve, digest="sha512") == "ecdsa-sha512"
    assert certificate.scheme_for(on_curve, rsa_padding="pkcs1v15") == "ecdsa-sha256"


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (lambda: rsa.generate_private_key(65537, 2048), "2048 bits"),
        (lambda: ec.generate_private_key(ec.SECP256K1()), "secp256k1"),
        (ed25519.Ed25519PrivateKey.generate, "Ed25519"),
    ],
    ids=["short", "curve", "ed25519"],
)
def test_a_key_that_the_policy_does_not_have_is_refused(key: Callable[[], Key], said: str) -> None:
    """RSA under 3072 bits is below what BSI TR-02102-1 recommends; the others are not in it."""
    with pytest.raises(TransientError, match=f"certificate-key.*{said}"):
        certificate.scheme_for(certificate_with(key()))


def test_certificates_are_read_from_pem_in_their_order(tmp_path: Path) -> None:
    """The chain's order is the administrator's; whatever is no certificate is named with its file."""
    token = token_for("ecdsa-sha256")
    both = [x509.load_der_x509_certificate(one) for one in (token.certificate, token.ca)]
    pem = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in both)
    (tmp_path / "chain.pem").write_bytes(b"a comment\n" + pem)
    (tmp_path / "bad.pem").write_bytes(pem.replace(b"MII", b"AAA"))
    (tmp_path / "empty.pem").write_bytes(b"")

    assert certificate.load_pem(tmp_path / "chain.pem") == [token.certificate, token.ca]
    for name in ("bad.pem", "empty.pem", "none.pem"):
        with pytest.raises(DaemonError, match=f"certificate-unreadable: .*{name}"):
            certificate.load_pem(tmp_path / name)
    with pytest.raises(TransientError, match="certificate-unreadable"):
        certificate.load(b"\x30\x03no")
