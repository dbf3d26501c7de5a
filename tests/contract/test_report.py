"""What a report says of certificates, times and claims, and that no file can write in it."""

# ruff: noqa: F811 (fixtures of another module are arguments here)

from __future__ import annotations

import asyncio
import io
import json
import re
import subprocess
import sys
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pikepdf
import pytest
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import x509 as asn1_x509
from asn1crypto.crl import CertificateList
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import signers
from pyhanko.sign.timestamps import DummyTimeStamper
from pyhanko.sign.validation.dss import DocumentSecurityStore

from daemon import certificate, der, judgement, qualified
from daemon.pages.packet import fresh
from daemon.reading import page, paper, render
from daemon.report import Certificate, Note, Report, Seal, as_json
from daemon.reportwords import ENGLISH, GERMAN
from tests.contract import test_verify as samples
from tests.contract.test_stamping import issued, stamping  # noqa: F401 (a fixture)
from tests.contract.test_verify import (  # noqa: F401 (fixtures)
    NOW,
    Judge,
    Stranger,
    Token,
    by_others,
    judge,
    place,
    plain,
    rsa_token,
    runner,
    sealed,
    stranger,
    usage,
)
from tests.unit.pages_samples import NOTE

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from tests.certomancer import Authority, IssuedFiles

OUTSIDE = (Path(__file__).parents[2] / "docs" / "outside.md").read_text("utf-8")
EVIL = '<script>alert(1)</script><img src=x onerror="x">&\x1b[2J\u202e'
COMPLIANCE, DEVICE, TYPE, OTHER_LAW = (f"0.4.0.1862.1.{n}" for n in (1, 4, 6, 7))
SEALS = "0.4.0.1862.1.6.2"


def signed(
    name: str,
    ca: Stranger | None = None,
    *extensions: x509.ExtensionType,
    days: tuple[int, int] = (-1, 3650),
    serial: int = 7,
) -> Stranger:
    """Return a certificate that is valid for so long, signed by *ca* or by itself."""
    key = rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer = subject if ca is None else x509.load_der_x509_certificate(ca.certificate).subject
    builder = x509.CertificateBuilder(
        issuer,
        subject,
        key.public_key(),
        serial,
        NOW + timedelta(days=days[0]),
        NOW + timedelta(days=days[1]),
    )
    for extension in extensions:
        critical = not isinstance(extension, x509.UnrecognizedExtension)
        builder = builder.add_extension(extension, critical=critical)
    made = builder.sign(ca.key if ca else key, hashes.SHA256())
    return Stranger(key, made.public_bytes(serialization.Encoding.DER))


def authority(name: str = "CA") -> Stranger:
    ca = x509.BasicConstraints(ca=True, path_length=None)
    return signed(name, None, ca, usage("key_cert_sign", "crl_sign"))


def tsa_and_stamper(at: datetime = NOW) -> tuple[Stranger, DummyTimeStamper]:
    tsa = signed("TSA", None, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]))
    certificate = asn1_x509.Certificate.load(tsa.certificate)
    return tsa, DummyTimeStamper(certificate, tsa.pkcs8, fixed_dt=at)


@pytest.mark.parametrize("part", ["name", "signature", "structure"])
def test_a_damaged_certificate_beside_the_seal_is_named(
    part: str,
    sealed: bytes,
    rsa_token: Token,
    judge: Judge,
) -> None:
    """A CMS does not sign its certificates: the seal verifies, by the chain that was given."""
    digits = rsa_token.ca.hex().encode()
    assert sealed.count(digits) == 1
    flipped = bytearray(rsa_token.ca)
    flipped[{"name": rsa_token.ca.index(b"Demo"), "signature": -5, "structure": 4}[part]] ^= 1

    found = judge(sealed.replace(digits, flipped.hex().encode()), rsa_token.ca)

    (one,) = found.seals
    if part == "structure":  # then the whole CMS cannot be read
        assert one.problem
        assert not found.good
    else:
        assert len(one.strangers) == 1
        assert [certificate.given for certificate in one.chain] == [False, True]
        assert "damaged or unrelated" in render(found, "en")
        assert "beschädigt oder gehört nicht dazu" in render(found, "de")
    (clean,) = judge(sealed, rsa_token.ca).seals
    assert clean.strangers == ()
    assert "damaged" not in render(judge(sealed, rsa_token.ca), "en")


def test_what_leads_nowhere_in_the_dss_is_named(judge: Judge) -> None:
    """Evidence of other files, or of nobody: it proves nothing here, and somebody put it there."""
    ca = authority()
    leaf = signed("Leaf", ca, usage("content_commitment"))
    file = io.BytesIO(by_others(plain(), leaf.as_pyhanko(), "A"))
    lost = asn1_x509.Certificate.load(signed("Lost").certificate)
    issuer = asn1_x509.Certificate.load(ca.certificate)
    DocumentSecurityStore.add_dss(file, None, certs=[lost, issuer])

    found = judge(file.getvalue(), ca.certificate)

    assert found.strangers == ("Common Name: Lost",)
    assert found.good
    assert "Lost" in render(found, "de")


def test_the_chain_is_shown_to_its_root_and_what_was_given_is_said(judge: Judge) -> None:
    """Trusted is only what was given; the root may be another one, and is shown as such."""
    root = authority("Root")
    ca = x509.BasicConstraints(ca=True, path_length=None)
    middle = signed("Middle", root, ca, usage("key_cert_sign", "crl_sign"))
    leaf = signed("Leaf", middle, usage("content_commitment"))
    file = io.BytesIO(by_others(plain(), leaf.as_pyhanko(), "A"))
    held = [asn1_x509.Certificate.load(one.certificate) for one in (root, middle)]
    DocumentSecurityStore.add_dss(file, None, certs=held)

    (one,) = judge(file.getvalue(), middle.certificate).seals

    names = [certificate.subject.rpartition(": ")[2] for certificate in one.chain]
    assert names == ["Leaf", "Middle", "Root"]
    assert [certificate.given for certificate in one.chain] == [False, True, False]
    assert [certificate.root for certificate in one.chain] == [False, False, True]
    assert one.good
    text = render(judge(file.getvalue(), middle.certificate), "en")
    assert "3. root:" in text
    assert text.count("TRUSTED BECAUSE GIVEN") == 1


def crl(
    ca: Stranger,
    *revoked: tuple[int, datetime],
    key: Stranger | None = None,
    hours: tuple[int, int] = (-2, 2),
) -> bytes:
    begin, end = (NOW + timedelta(hours=one) for one in hours)
    subject = x509.load_der_x509_certificate(ca.certificate).subject
    builder = x509.CertificateRevocationListBuilder(subject, begin, end)
    for serial, at in revoked:
        entry = x509.RevokedCertificateBuilder(serial, at).build()
        builder = builder.add_revoked_certificate(entry)
    signed_by = (key or ca).key
    return builder.sign(signed_by, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def test_a_revocation_in_the_file_counts_though_the_certificate_names_no_list(
    judge: Judge,
) -> None:
    """By itself pyHanko asks only where a certificate says that there is somebody to ask."""
    ca = authority()
    leaf = signed("Leaf", ca, usage("content_commitment"))

    def judged(*revoked: tuple[int, datetime], key: Stranger | None = None) -> Report:
        file = io.BytesIO(by_others(plain(), leaf.as_pyhanko(), "A"))
        listed = CertificateList.load(crl(ca, *revoked, key=key))
        DocumentSecurityStore.add_dss(file, None, crls=[listed])
        return judge(file.getvalue(), ca.certificate)

    good, bad = judged(), judged((7, NOW - timedelta(hours=3)))
    forged = judged((7, NOW - timedelta(hours=3)), key=signed("Other"))

    assert (good.seals[0].chain[0].revocation, good.good) == ("good", True)
    assert "older than the seal" in render(good, "en")
    assert bad.seals[0].trust_problem == "revoked-no-poe"
    assert "REVOKED on" in render(bad, "en")
    assert not bad.good
    assert forged.seals[0].chain[0].revocation == "not-checked"


def test_a_time_stamp_from_before_the_revocation_keeps_the_seal(judge: Judge) -> None:
    """That is what it is for: the seal is older than what made the key doubtful."""
    ca = authority()
    leaf = signed("Leaf", ca, usage("content_commitment"))
    tsa, stamper = tsa_and_stamper(NOW - timedelta(hours=5))
    file = io.BytesIO(by_others(plain(), leaf.as_pyhanko(), "A", stamper))
    listed = CertificateList.load(crl(ca, (7, NOW - timedelta(hours=3))))
    DocumentSecurityStore.add_dss(file, None, crls=[listed])

    (one,) = judge(file.getvalue(), ca.certificate, tsa.certificate).seals

    assert (one.chain[0].revocation, one.trust_problem, one.good) == ("revoked", "", True)


def ocsp_answer(leaf: Stranger, ca: Stranger, who: Stranger) -> bytes:
    subject, issuer = (x509.load_der_x509_certificate(one.certificate) for one in (leaf, ca))
    own = x509.load_der_x509_certificate(who.certificate)
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            *(subject, issuer, hashes.SHA1(), ocsp.OCSPCertStatus.GOOD),  # noqa: S303 (as all do)
            *(NOW, NOW + timedelta(hours=1), None, None),
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, own)
        .certificates([own])
    )
    return builder.sign(who.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize("responder", ["ca", "delegated", "former", "nobody"])
def test_ocsp_counts_from_the_issuer_and_from_whom_it_made_responder(responder: str) -> None:
    """RFC 6960, 4.2.2.2: anybody can write "good"."""
    ca = authority()
    leaf = signed("Leaf", ca)
    may = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])
    who = {
        "ca": ca,
        "delegated": signed("Responder", ca, may, serial=8),
        "former": signed("Responder", ca, may, serial=8, days=(-9, -1)),
        "nobody": signed("Responder", None, may, serial=8),
    }[responder]
    answer = ocsp_answer(leaf, ca, who)

    found = judgement.Revocations([], [answer, b"junk"]).of(leaf.certificate, ca.certificate)

    none = responder in {"former", "nobody"}
    assert found.status == ("not-checked" if none else "good")
    assert found.as_of == (None if none else NOW)


class LongTerm:
    """A root with two authorities below it, one of seals and one of time stamps."""

    def __init__(self) -> None:
        ca = x509.BasicConstraints(ca=True, path_length=None)
        may = usage("key_cert_sign", "crl_sign")
        stamping = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        self.root = authority("Root")
        self.issuing = signed("Issuing", self.root, ca, may, serial=2)
        self.stamps = signed("Stamps", self.root, ca, may, serial=3)
        self.leaf = signed("Leaf", self.issuing, usage("content_commitment"))
        self.tsa = signed("TSA", self.stamps, stamping, serial=9)
        held = asn1_x509.Certificate.load(self.tsa.certificate)
        self.stamper = DummyTimeStamper(held, self.tsa.pkcs8, fixed_dt=NOW)
        self.sealed = by_others(plain(), self.leaf.as_pyhanko(), "A", self.stamper)
        self.lists = {one: crl(getattr(self, one)) for one in ("root", "issuing", "stamps")}

    def file(self, *answers: bytes, **lists: bytes | None) -> bytes:
        """Return the sealed file with a DSS: these OCSP answers; *lists* instead of the good ones."""
        file = io.BytesIO(self.sealed)
        made = [CertificateList.load(one) for one in ({**self.lists, **lists}).values() if one]
        DocumentSecurityStore.add_dss(
            file,
            None,
            certs=[asn1_x509.Certificate.load(c.certificate) for c in (self.issuing, self.stamps)],
            crls=made,
            ocsps=[asn1_ocsp.OCSPResponse.load(one) for one in answers],
        )
        return file.getvalue()


@pytest.fixture(scope="module")
def long_term() -> LongTerm:
    return LongTerm()


def test_evidence_about_both_chains_makes_b_lt(long_term: LongTerm, judge: Judge) -> None:
    """And only with all of it, as the next tests have it."""
    found = judge(long_term.file(), long_term.root.certificate)

    (one,) = found.seals
    assert (one.level, one.level_lacks, one.level_lacks_of) == ("B-LT", "", "")
    assert found.good
    assert "Not B-LT" not in render(found, "en")


@pytest.mark.parametrize("whose", ["root", "issuing", "stamps"])
@pytest.mark.parametrize(
    "worth", ["absent", "forged", "over", "to-come", "of-a-responder-who-is-none", "revoked"]
)
def test_one_gap_in_the_evidence_leaves_b_t(
    whose: str, worth: str, long_term: LongTerm, judge: Judge
) -> None:
    """A /DSS is put there by whoever has the file: that it is there says nothing."""
    ca = getattr(long_term, whose)
    subject = {"root": "Issuing", "issuing": "Leaf", "stamps": "TSA"}[whose]
    serial = {"root": 2, "issuing": 7, "stamps": 9}[whose]
    other = authority("Nobody")
    answers: list[bytes] = []
    bad: bytes | None = None
    if worth == "forged":
        bad = crl(ca, key=other)
    elif worth == "over":
        bad = crl(ca, hours=(-9, -5))
    elif worth == "to-come":
        bad = crl(ca, hours=(5, 9))
    elif worth == "revoked":
        bad = crl(ca, (serial, NOW - timedelta(hours=1)))
    elif worth == "of-a-responder-who-is-none":
        held = {"root": "issuing", "issuing": "leaf", "stamps": "tsa"}[whose]
        answers = [ocsp_answer(getattr(long_term, held), ca, other)]

    found = judge(long_term.file(*answers, **{whose: bad}), long_term.root.certificate)

    (one,) = found.seals
    lacks = {"over": "out-of-time", "to-come": "out-of-time", "revoked": "revoked"}
    assert (one.level, one.level_lacks) == ("B-T", lacks.get(worth, "missing"))
    assert one.level_lacks_of == f"Common Name: {subject}"
    for language, begin in (("en", "Not B-LT: "), ("de", "Nicht B-LT: ")):
        text = render(found, language)
        assert begin in text
        assert f"Common Name: {subject}" in text


def test_a_time_stamp_of_nobody_makes_no_b_lt(long_term: LongTerm, judge: Judge) -> None:
    """The evidence may be complete: since when the seal exists is not proven."""
    found = judge(long_term.file(), long_term.issuing.certificate)

    (one,) = found.seals
    assert (one.level, one.level_lacks) == ("B-T", "time-stamp")
    assert "not valid or not trusted (Common Name: TSA)" in render(found, "en")


def test_a_seal_of_nobody_makes_no_b_lt(long_term: LongTerm, judge: Judge) -> None:
    """Its chain ends at an authority that was not given."""
    (one,) = judge(long_term.file(), long_term.stamps.certificate).seals

    assert (one.level, one.level_lacks) == ("B-T", "not-trusted")
    assert (one.trusted, bool(one.proven_at)) == (False, True)


def test_evidence_without_a_time_stamp_in_the_seal_is_no_b_lt(
    long_term: LongTerm, judge: Judge
) -> None:
    """A document time stamp came later; and a DSS alone changes nothing."""
    bare = LongTerm.__new__(LongTerm)
    bare.__dict__ |= vars(long_term)
    bare.sealed = by_others(plain(), long_term.leaf.as_pyhanko(), "A")
    trust = long_term.root.certificate

    (alone,) = judge(bare.file(), trust).seals
    later, stamp = judge(stamped_over(bare.file(), long_term.stamper), trust).seals

    assert (alone.level, alone.level_lacks) == ("B-B", "")
    assert (later.level, later.level_lacks) == ("B-T", "no-time-stamp")
    assert later.proven_at == stamp.proven_at != ""


def test_b_lta_is_b_lt_and_a_document_time_stamp_that_is_good(
    long_term: LongTerm, judge: Judge
) -> None:
    """One of an authority that nobody named keeps nothing fresh."""
    _, stranger = tsa_and_stamper()
    found = []
    for stamper in (long_term.stamper, stranger):
        over = stamped_over(long_term.file(), stamper)
        found.append(judge(over, long_term.root.certificate))

    assert [one.seals[0].level for one in found] == ["B-LTA", "B-LT"]
    assert [one.good for one in found] == [True, False]


def stamped_over(file: bytes, stamper: DummyTimeStamper) -> bytes:
    out = io.BytesIO()
    writer = IncrementalPdfFileWriter(io.BytesIO(file))
    signers.PdfTimeStamper(stamper).timestamp_pdf(writer, "sha256", output=out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("hours", "expires", "proves"),
    [
        ((-2, 2), 99, True),
        ((-9, -2), 99, False),
        ((1, 2), 99, True),
        ((1, 2), 0, False),
        ((9, 12), 99, False),
        ((2, -2), 99, False),
        ((-2, None), 99, False),
    ],
    ids=["in force", "over", "made later", "after it expired", "to come", "backwards", "no end"],
)
def test_which_evidence_fits_a_time(
    hours: tuple[int, int | None], expires: int, proves: bool
) -> None:
    """It was in force then, or made later while the certificate was still listed."""

    def at(hour: int) -> datetime:
        return NOW + timedelta(hours=hour)

    begin, end = hours
    said = judgement.Status(status="good", as_of=at(begin), until=None if end is None else at(end))

    assert said.proves(NOW, at(3), at(expires)) is proves


def statements(*oids: str, kinds: tuple[str, ...] = ()) -> x509.UnrecognizedExtension:
    def oid(text: str) -> bytes:
        return bytes(asn1_x509.ObjectIdentifier(text).dump())

    held = [der.tlv(der.SEQUENCE, oid(one)) for one in oids]
    if kinds:
        of = der.tlv(der.SEQUENCE, *map(oid, kinds))
        held.append(der.tlv(der.SEQUENCE, oid(TYPE), of))
    value = der.tlv(der.SEQUENCE, *held)
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(qualified.EXTENSION), value)


@pytest.mark.parametrize(
    ("extension", "found", "german"),
    [
        (None, (), "nicht qualifiziert"),
        (statements(DEVICE), ("device",), "nicht qualifiziert"),
        (
            statements(COMPLIANCE, DEVICE, kinds=(SEALS,)),
            ("compliance", "device", "seals"),
            "qualifiziertes Zertifikat für Siegel, nach Angabe des Zertifikats; Schlüssel in einer",
        ),
        (statements(COMPLIANCE, kinds=(SEALS,)), ("compliance", "seals"), "fortgeschrittenes"),
        (statements(COMPLIANCE, OTHER_LAW), ("compliance", "other-law"), "außerhalb der EU"),
        (statements(COMPLIANCE, kinds=("1.2.3",)), ("compliance",), "für Signaturen"),
        (statements(TYPE), ("unreadable",), "nicht bekannt"),
        (
            x509.UnrecognizedExtension(x509.ObjectIdentifier(qualified.EXTENSION), b"\x30\x05a"),
            ("unreadable",),
            "nicht bekannt",
        ),
    ],
)
def test_what_a_certificate_says_of_being_qualified(
    extension: x509.UnrecognizedExtension | None, found: tuple[str, ...], german: str
) -> None:
    """ETSI EN 319 412-5; it is the certificate's word, and the report says that."""
    made = signed("Leaf", None, *([extension] if extension else []))

    assert qualified.statements(made.certificate).said == found
    text = render(Report(seals=(Seal(field="A", statements=found),)), "de")
    assert german in text
    assert ("Vertrauensliste nicht geprüft" in text) is (
        {"compliance"} <= set(found) and "außer" not in german
    )


@pytest.mark.parametrize(
    ("key", "algorithm", "digest", "wanted"),
    [
        (rsa.generate_private_key(65537, 3072), "rsassa_pss", "sha256", "recommended"),
        (rsa.generate_private_key(65537, 3072), "rsassa_pkcs1v15", "sha256", "legacy"),
        (rsa.generate_private_key(65537, 2048), "rsassa_pss", "sha256", "weak"),
        (rsa.generate_private_key(65537, 3072), "rsassa_pss", "sha1", "weak"),
        (ec.generate_private_key(ec.SECP256R1()), "ecdsa", "sha384", "recommended"),
        (ec.generate_private_key(ec.SECP192R1()), "ecdsa", "sha256", "weak"),
        (rsa.generate_private_key(65537, 3072), "rsassa_pss", "sha3_384", "recommended"),
        (ec.generate_private_key(ec.SECP256R1()), "ecdsa", "sha224", "weak"),
        (ed25519.Ed25519PrivateKey.generate(), "ed25519", "sha512", "unknown"),
        (ed25519.Ed25519PrivateKey.generate(), "ed25519", "sha1", "weak"),
        (ed448.Ed448PrivateKey.generate(), "ed448", "shake256", "unknown"),
        (dsa.generate_private_key(2048), "dsa", "sha256", "weak"),
    ],
)
def test_what_the_bsi_recommends(
    key: PrivateKeyTypes, algorithm: str, digest: str, wanted: str
) -> None:
    """TR-02102-1: RSA from 3000 bits with PSS, ECDSA from 250 bits, SHA-2 from 256 bits."""
    assert judgement.advice(key.public_key(), algorithm, digest) == wanted


def test_a_seal_outlives_its_certificate_by_its_time_stamp(
    rsa_token: Token,
    judge: Judge,
) -> None:
    """In court it is years later: valid when a trusted time stamp saw it is what counts."""
    tsa, stamper = tsa_and_stamper()
    later = NOW + timedelta(days=900)
    file = by_others(plain(), rsa_token.as_pyhanko(), "A", stamper)

    (one,) = judge(file, rsa_token.ca, tsa.certificate, now=later).seals
    assert (one.level, one.trust_problem, one.good) == ("B-T", "", True)
    assert one.stamped_by == "Common Name: TSA"

    (one,) = judge(file, rsa_token.ca, now=later).seals
    assert (one.trust_problem, one.proven_at, one.good) == ("expired", "", False)
    assert "proves nothing here" in render(Report(seals=(one,)), "en")


class Seen(HTMLParser):
    """Which elements and attributes a browser would find."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


OURS = {"html", "head", "meta", "title", "style", "body", "article", "p", "h1", "h2", "h3"} | {
    *("ul", "li", "dl", "dt", "dd")
}


def test_no_text_of_a_file_becomes_a_part_of_the_page() -> None:
    """A name in a certificate is whatever its owner wrote; the page is opened by a lawyer."""
    chained = Certificate(subject=EVIL, issuer=EVIL, serial=EVIL, not_before=EVIL, not_after=EVIL)
    texts = {f.name: EVIL for f in fields(Seal) if f.type == "str"}
    texts |= {"coverage": "file", "changed": "none", "advice": "weak", "level": "", "problem": ""}
    evil = Seal(**texts, chain=(chained,), strangers=(EVIL, "?"))  # type: ignore[arg-type]
    broken = Seal(field=EVIL, problem=EVIL)
    notes = tuple(Note(name=name, value=EVIL) for name in ("creator", "findings", EVIL))
    found = Report(seals=(evil, broken), notes=notes, pdfa=EVIL, strangers=(EVIL,), digest=EVIL)

    for language in ("de", "en"):
        html = page([paper(found, language, EVIL)], language, EVIL)
        seen = Seen(html)
        assert seen.tags <= OURS
        assert seen.attributes <= {"lang", "charset", "http-equiv", "content", "name", "class"}
        assert "\x1b" not in html + render(found, language)
        assert "\u202e" not in html + render(found, language)


def test_hostile_names_inside_a_pdf_come_out_as_text(judge: Judge) -> None:
    """The same with a real file: its field, its signer and its metadata."""
    ca = authority("<b>CA</b>")
    leaf = signed("<script>alert(1)</script>", ca, usage("content_commitment"))
    file = io.BytesIO()
    with pikepdf.open(io.BytesIO(plain())) as pdf:
        xmp = fresh(NOTE).replace(b"K 17", b"&lt;script&gt;x")
        pdf.Root.Metadata = pdf.make_stream(xmp)
        pdf.save(file)

    found = judge(by_others(file.getvalue(), leaf.as_pyhanko(), "<i>"), ca.certificate)

    assert found.good
    html = page([paper(found, "en", "<u>.pdf")], "en", "2026-11-22T10:00:00.000Z")
    assert Seen(html).tags <= OURS
    assert "&lt;script&gt;alert(1)" in html
    assert "&lt;script&gt;x" in html


def test_the_page_loads_nothing_and_runs_nothing(
    sealed: bytes, rsa_token: Token, judge: Judge
) -> None:
    """One file, for an archive or for paper: it looks the same in ten years."""
    html = page([paper(judge(sealed, rsa_token.ca), "de", "a.pdf")], "de", "2026-11-22T10:00:00Z")

    assert not re.search(r"<script|<link|<img|src=|href=|url\(|@import|https?://", html)
    assert "default-src 'none'" in html


def test_the_pdfa_claim_is_told_as_a_claim(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes three words into the metadata claims it: nothing is checked here."""
    claim = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
        b'syntax-ns#"><rdf:Description xmlns:p="http://www.aiim.org/pdfa/ns/id/" p:part="2">'
        b"<p:conformance>B</p:conformance></rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    monkeypatch.setattr(samples, "XMP", claim)

    found = judge(samples.prepared().replace(samples.HOLE, b"[ 0 1 2 3 ]".ljust(len(samples.HOLE))))

    assert found.pdfa == "2b"
    assert "PDF/A-2b, by its own account; not checked here" in render(found, "en")


def test_the_register_names_every_member_of_the_json() -> None:
    """Programs of others read it: what is added has to be written down."""
    chained = Certificate(subject="", issuer="", serial="", not_before="", not_after="")
    report = as_json(Report(seals=(Seal(field="A", chain=(chained,)),)), "a.pdf")
    register = OUTSIDE.partition("`verify --format json` prints")[2].partition("\n\n")[0]
    named = set(re.findall(r"`(\w+)`", register))

    members = {*report, *report["seals"][0], *report["seals"][0]["chain"][0]}
    assert members <= named
    json.dumps(report)


def test_the_command_prints_each_form(tmp_path: Path, sealed: bytes, rsa_token: Token) -> None:
    """As people and programs call it."""
    (tmp_path / "ca.pem").write_bytes(rsa_token.ca_pem)
    (tmp_path / "a <b>.pdf").write_bytes(sealed)
    (tmp_path / "b.pdf").write_bytes(plain())

    def verify(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "daemon", "verify", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        return done.returncode, done.stdout + done.stderr

    trust = ("--trust", "ca.pem")
    code, text = verify(*trust, "--format", "json", "a <b>.pdf", "b.pdf")
    answer = json.loads(text)
    assert (code, answer["v"]) == (1, 1)
    assert [(one["file"], one["good"]) for one in answer["files"]] == [
        ("a <b>.pdf", True),
        ("b.pdf", False),
    ]
    code, text = verify(*trust, "--format", "html", "--language", "de", "a <b>.pdf")
    assert code == 0
    assert "GUT: Die Datei" in text
    assert Seen(text).tags <= OURS
    code, text = verify(*trust, "--language", "de", "b.pdf")
    assert (code, text.splitlines()[1][:10]) == (1, "NICHT GUT:")
    other = x509.load_der_x509_certificate(authority("Other").certificate)
    (tmp_path / "other.pem").write_bytes(other.public_bytes(serialization.Encoding.PEM))
    sealed_file, more = "a <b>.pdf", ("--trust", "other.pem")
    assert verify(*more, sealed_file)[0] == 1
    assert [verify(*both, sealed_file)[0] for both in (more + trust, trust + more)] == [0, 0]
    assert verify(*trust)[0] == 2
    assert verify("--all", "b.pdf")[0] == 2
    assert verify(*trust, "--deep", "b.pdf")[0] == 2


def test_every_word_of_the_report_is_used() -> None:
    """A word that nothing asks for any more would be translated for nobody."""
    code = "".join(
        (Path(judgement.__file__).parent / name).read_text("utf-8")
        for name in ("reading.py", "report.py", "templates/report.html")
    )
    built = (
        "covers-",
        "changed-",
        "trust-",
        "docmdp-",
        "level-",
        "advice-",
        "remark-",
        "qualified-",
    )

    unused = [key for key in ENGLISH if key not in code and not key.startswith(built)]

    assert unused == []
    assert GERMAN.keys() == ENGLISH.keys()


def test_our_own_sealed_and_stamped_file_is_told_in_full(
    tmp_path: Path,
    issued: tuple[IssuedFiles, Authority],
    drawn: dict[str, Path],
    judge: Judge,
) -> None:
    """From the scanner to the report: SoftHSM, an authority that stamps, and the note of the box."""
    files, made = issued
    sealed_file: list[Path] = []

    async def main() -> None:
        async with stamping(tmp_path, files, made) as (here, _):
            document = await here.sealer.seal(await here.claim(drawn["foto.jpg"]), here.key)
            document = await here.sealer.stamp(document, here.key)
            sealed_file.append(here.sealer.folder(document) / "sealed.pdf")

    asyncio.run(main())
    content = sealed_file[0].read_bytes()
    chain = certificate.load_pem(made.chain)

    found = judge(content, *chain, now=datetime.now(UTC))

    (one,) = found.seals
    assert (one.level, one.coverage, one.advice, one.strangers) == (
        "B-T",
        "file",
        "recommended",
        (),
    )
    assert found.good
    assert one.proven_at
    german = render(found, "de")
    assert "wie ein Zeitstempel beweist" in german
    assert "nur behauptet" not in german
    for title in (
        "a) Ersteller",
        "b) Technisches",
        "c) Auff",
        "d) Zeitpunkt",
        "e) Ergebnis",
        "f) V",
    ):
        assert title in german
    assert "FEHLT" not in german
