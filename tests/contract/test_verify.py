"""A seal made by our own CMS code, judged by validators that are not ours; and any other file."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pikepdf
import pytest
from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from asn1crypto.crl import CertificateList
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pyhanko.pdf_utils.generic import StreamObject
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import signers
from pyhanko.sign.fields import MDPPerm, SigFieldSpec, SigSeedSubFilter
from pyhanko.sign.timestamps import DummyTimeStamper
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko_certvalidator.registry import SimpleCertificateStore

from contrib.demo import nss
from contrib.demo.token import issue
from daemon import cms, report, template, verify
from daemon.errors import WorkerDied
from daemon.pages.packet import fresh
from daemon.reading import render
from daemon.report import Note, Report, Seal
from daemon.reportwords import ENGLISH, GERMAN
from daemon.sandbox import Sandbox
from daemon.transfernote import as_xmp
from daemon.workers import Worker
from tests.unit.pages_samples import NOTE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NOW = datetime.now(UTC).replace(microsecond=0)
"""The real time: pdfsig and openssl ask no other clock."""
GAP_BYTES = 8192
HOLE = b"[ 0 9999999991 9999999992 9999999993 ]"
XMP = b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:t="urn:scanseal:transfernote:1#" t:box="marktamt-01">
<t:creator>unknown</t:creator><t:organisation>Stadt M\xc3\xbcnster &amp; Land</t:organisation>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>"""

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


@dataclass(frozen=True)
class Token:
    """Plays the token: a key with its certificate, and C_Sign."""

    key: Key
    certificate: bytes
    ca: bytes
    template: cms.Template

    @property
    def ca_pem(self) -> bytes:
        pem = serialization.Encoding.PEM
        return x509.load_der_x509_certificate(self.ca).public_bytes(pem)

    def sign(self, data: bytes) -> bytes:
        """Sign as PKCS#11 does: ECDSA gives two numbers side by side."""
        sha256 = hashes.SHA256()
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            numbers = utils.decode_dss_signature(self.key.sign(data, ec.ECDSA(sha256)))
            return b"".join(number.to_bytes(32, "big") for number in numbers)
        if self.template.scheme == "rsa-pss-sha256":
            return self.key.sign(data, padding.PSS(padding.MGF1(sha256), 32), sha256)
        return self.key.sign(data, padding.PKCS1v15(), sha256)

    def as_pyhanko(self) -> signers.SimpleSigner:
        """Return the same key as another program would use it."""
        assert isinstance(self.key, rsa.RSAPrivateKey)
        return Stranger(self.key, self.certificate).as_pyhanko()


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as one:
        yield one


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


def made(runner: asyncio.Runner, place: Path, key: Key, scheme: str) -> Token:
    """Return a token whose template comes from the real worker."""
    ca, seal = issue(key.public_key(), organisation="Stadt Musterstadt", now=NOW)
    worker = Worker("daemon.template", place=place, limits=template.LIMITS)
    try:
        fetched = runner.run(template.fetch_template(worker, der(seal), [der(ca)], scheme))
    finally:
        runner.run(worker.stop())
    return Token(key, der(seal), der(ca), fetched)


@pytest.fixture(scope="module")
def rsa_token(runner: asyncio.Runner, place: Path) -> Token:
    return made(runner, place, rsa.generate_private_key(65537, 3072), "rsa-pss-sha256")


@pytest.fixture(scope="module", params=["rsa-pss-sha256", "rsa-pkcs1v15-sha256", "ecdsa-sha256"])
def token(
    request: pytest.FixtureRequest, runner: asyncio.Runner, place: Path, rsa_token: Token
) -> Token:
    if request.param == "rsa-pss-sha256":
        return rsa_token
    if request.param == "ecdsa-sha256":
        return made(runner, place, ec.generate_private_key(ec.SECP256R1()), request.param)
    return made(runner, place, rsa_token.key, request.param)


class Judge(Protocol):
    def __call__(self, content: bytes | Path, *trust: bytes, now: datetime = NOW) -> Report: ...


@pytest.fixture(scope="module")
def judge(
    runner: asyncio.Runner, place: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Judge]:
    """Let the real worker look at a file, behind the walls that `scanseal verify` gives it."""
    walls = Sandbox(read=(str(tmp_path_factory.getbasetemp()),))
    worker = Worker("daemon.verify", place=place, limits=verify.LIMITS, sandbox=walls)

    def judged(content: bytes | Path, *trust: bytes, now: datetime = NOW) -> Report:
        file = content if isinstance(content, Path) else place / "file"
        if isinstance(content, bytes):
            file.write_bytes(content)
        return runner.run(verify.verify(file, worker, trust, now=now))

    yield judged
    runner.run(worker.stop())


def prepared() -> bytes:
    """Return a one-page PDF with an empty signature in it, as a page worker writes it."""
    pdf = pikepdf.new()
    page = pdf.add_blank_page(page_size=(300, 200))
    font = pikepdf.Dictionary(
        Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica
    )
    page.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font))
    page.Contents = pdf.make_stream(b"BT /F1 18 Tf 20 100 Td (Rechnung: 10 Euro) Tj ET")
    rule = pikepdf.Dictionary(Type=pikepdf.Name.TransformParams, P=1, V=pikepdf.Name("/1.2"))
    reference = pikepdf.Dictionary(
        Type=pikepdf.Name.SigRef, TransformMethod=pikepdf.Name.DocMDP, TransformParams=rule
    )
    signature = pdf.make_indirect(
        pikepdf.Dictionary(
            Type=pikepdf.Name.Sig,
            Filter=pikepdf.Name("/Adobe.PPKLite"),
            SubFilter=pikepdf.Name("/ETSI.CAdES.detached"),
            ByteRange=pikepdf.Array([0, 9999999991, 9999999992, 9999999993]),
            Contents=pikepdf.String(bytes(GAP_BYTES)),
            M=f"D:{NOW:%Y%m%d%H%M%S}Z",
            Reference=pikepdf.Array([reference]),
        )
    )
    widget = pdf.make_indirect(
        pikepdf.Dictionary(
            Type=pikepdf.Name.Annot,
            Subtype=pikepdf.Name.Widget,
            FT=pikepdf.Name.Sig,
            T="Seal",
            V=signature,
            Rect=pikepdf.Array([0, 0, 0, 0]),
            F=132,
            P=page.obj,
        )
    )
    page.Annots = pikepdf.Array([widget])
    pdf.Root.AcroForm = pikepdf.Dictionary(Fields=pikepdf.Array([widget]), SigFlags=3)
    pdf.Root.Perms = pikepdf.Dictionary(DocMDP=signature)
    metadata = pdf.make_stream(XMP)
    metadata.Type, metadata.Subtype = pikepdf.Name.Metadata, pikepdf.Name.XML
    pdf.Root.Metadata = metadata
    file = io.BytesIO()
    pdf.save(file, fix_metadata_version=False, compress_streams=False)
    return file.getvalue()


def gap_of(data: bytes) -> tuple[int, int]:
    """Return where the one gap is: the offsets of `<` and after `>`."""
    (found,) = re.finditer(rb"/Contents (<[0-9a-f]{%d}>)" % (2 * GAP_BYTES), data)
    return found.span(1)


def seal(token: Token, data: bytes | None = None) -> bytes:
    """Seal a prepared file in the order of the design."""
    data = data or prepared()
    start, end = gap_of(data)
    assert data.count(HOLE) == 1
    byte_range = b"[ 0 %d %d %d" % (start, end, len(data) - end)
    data = data.replace(HOLE, byte_range.ljust(len(HOLE) - 1) + b"]")
    digest = hashlib.sha256(data[:start] + data[end:]).digest()
    attributes = cms.signed_attributes(token.template, digest)
    done = cms.assemble(token.template, attributes, token.sign(attributes))
    cms.check(done.ljust(GAP_BYTES, b"\0"), digest, token.certificate, token.template.chain)
    return data[: start + 1] + done.ljust(GAP_BYTES, b"\0").hex().encode() + data[end - 1 :]


@pytest.fixture(scope="module")
def sealed(rsa_token: Token) -> bytes:
    return seal(rsa_token)


def test_pyhanko_calls_our_seal_valid_trusted_and_whole(token: Token, judge: Judge) -> None:
    """The round trip: template, attributes, token, assembly, splice, and a full validation."""
    file = seal(token)

    found = judge(file, token.ca)

    assert found.good
    assert (found.digest, found.size) == (hashlib.sha256(file).hexdigest(), len(file))
    (one,) = found.seals
    assert "Stadt Musterstadt" in one.signer
    assert one == replace(
        one,
        field="Seal",
        claimed_at=f"{NOW:%Y-%m-%dT%H:%M:%S}.000Z",
        intact=True,
        valid=True,
        coverage="file",
        changed="none",
        changes_allowed=True,
        trusted=True,
        certified=True,
        permissions=1,
        level="B-B",
    )


def test_pdfsig_calls_our_seal_valid_trusted_and_whole(token: Token, tmp_path: Path) -> None:
    """A second opinion from another world: poppler with NSS."""
    (tmp_path / "ca.pem").write_bytes(token.ca_pem)
    (tmp_path / "file.pdf").write_bytes(seal(token))

    said = nss.pdfsig(tmp_path / "file.pdf", nss.trust(tmp_path / "ca.pem", tmp_path / "nss"))

    assert "Signature is Valid" in said
    assert "Certificate is Trusted" in said
    assert "Total document signed" in said


def openssl(token: Token, folder: Path, content: bytes, seal: bytes) -> int:
    """Ask openssl for its opinion on a detached CMS; 0 is good."""
    for name, data in (("content", content), ("seal", seal), ("ca.pem", token.ca_pem)):
        (folder / name).write_bytes(data)
    command = "openssl cms -verify -inform DER -in seal -content content -binary -CAfile ca.pem"
    done = subprocess.run(
        [*command.split(), "-purpose", "any"], cwd=folder, capture_output=True, check=False
    )
    return done.returncode


def test_openssl_calls_our_detached_cms_valid(token: Token, tmp_path: Path) -> None:
    """The manifest can be verified in thirty years by whatever speaks CMS."""
    manifest = b'{"v":1}'
    digest = hashlib.sha256(manifest).digest()
    attributes = cms.detached_attributes(token.template, digest, NOW)
    done = cms.assemble(token.template, attributes, token.sign(attributes))

    cms.check(done, digest, token.certificate, token.template.chain, detached=True)
    assert openssl(token, tmp_path, manifest, done) == 0
    assert openssl(token, tmp_path, manifest + b" ", done) != 0


def test_a_changed_byte_is_told(sealed: bytes, rsa_token: Token, judge: Judge) -> None:
    """The simplest forgery there is."""
    found = judge(sealed.replace(b"10 Euro", b"90 Euro"), rsa_token.ca)

    assert not found.good
    assert not found.seals[0].intact
    assert found.seals[0].valid
    assert "CHANGED" in render(found, "en")


def test_bytes_after_the_end_are_told(sealed: bytes, rsa_token: Token, judge: Judge) -> None:
    """Many validators still say valid here: what was signed is still there."""
    found = judge(sealed + b"% more\n", rsa_token.ca)

    assert not found.good
    assert found.seals[0].intact
    assert found.seals[0].coverage != "file"


def appended(file: bytes) -> bytes:
    """Return the file with another content for its page, appended as PDF allows it."""
    writer = IncrementalPdfFileWriter(io.BytesIO(file))
    page = writer.root["/Pages"]["/Kids"][0]
    other = StreamObject(stream_data=b"BT /F1 18 Tf 20 100 Td (Rechnung: 90 Euro) Tj ET")
    page["/Contents"] = writer.add_object(other)
    writer.update_container(page)
    out = io.BytesIO()
    writer.write(out)  # type: ignore[no-untyped-call]
    return out.getvalue()


def test_an_appended_change_is_told(sealed: bytes, rsa_token: Token, judge: Judge) -> None:
    """An incremental update leaves the seal intact and shows another document."""
    found = judge(appended(sealed), rsa_token.ca)

    (one,) = found.seals
    assert (one.intact, one.valid, one.coverage) == (True, True, "revision")
    assert (one.changed, one.changes_allowed) == ("other", False)
    assert not found.good


def literal(data: bytes) -> bytes:
    return b"(" + re.sub(rb"([()\\])", rb"\\\1", data).replace(b"\r", rb"\r") + b")"


def moved_gap(sealed: bytes, frame: bytes) -> bytes:
    """Return a file that shows something else under the same signature.

    The digest is made of two pieces, and their border is not in it. So the gap
    moves to the front; /Contents is a literal string of half the size, and in
    the other half there is room for a document. The old startxref points into it.
    """
    start, end = gap_of(sealed)
    signed = sealed[:start] + sealed[end:]
    held = bytes.fromhex(sealed[start + 1 : end - 1].decode()).rstrip(b"\0")
    xref_at = int(re.findall(rb"startxref\s+(\d+)", sealed)[-1])
    front = signed.index(b"\n") + 1
    held = held.ljust(xref_at + 4000, b"\0")
    after = front + 2 * len(held) + 2
    page = b"BT /F1 18 Tf 20 100 Td (Rechnung: 90000 Euro) Tj ET"
    before = [
        b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [ 5 0 R ] /SigFlags 3 >> >>",
        b"<< /Type /Pages /Kids [ 3 0 R ] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [ 0 0 300 200 ] /Contents 4 0 R /Annots [ 5 0 R ] >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(page), page),
        b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (Seal) /V 6 0 R /Rect [ 0 0 0 0 ] /F 132 >>",
    ]
    gap, offsets = frame[:1], []
    for number, content in enumerate(before, 1):
        offsets.append(front + len(gap))
        gap += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    gap = gap.ljust(xref_at - front)
    trailer = b"trailer\n<< /Size 7 /Root 1 0 R >>\n"
    offsets.append(xref_at + len(b"xref\n0 7\n") + 7 * 20 + len(trailer))
    gap += b"xref\n0 7\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % o for o in offsets)
    gap += trailer
    gap += b"6 0 obj\n<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /ETSI.CAdES.detached "
    gap += b"/ByteRange [ 0 %d %d %d ]" % (front, after, len(signed) - front)
    gap += b" /Contents " + literal(held) + b" >>\nendobj\n"
    return signed[:front] + gap.ljust(after - front - 1) + frame[1:] + signed[front:]


@pytest.mark.parametrize("frame", [b"  ", b"<>"])
def test_a_gap_that_holds_more_than_the_seal_is_told(
    frame: bytes, sealed: bytes, rsa_token: Token, judge: Judge
) -> None:
    """Digest and signature verify, and all lengths add up; pyHanko alone calls it the entire file."""
    found = judge(moved_gap(sealed, frame), rsa_token.ca)

    (one,) = found.seals
    assert (one.intact, one.valid, one.trusted) == (True, True, True)
    assert one.coverage == "unclear"
    assert not found.good


def test_something_behind_the_cms_in_the_gap_is_told(
    sealed: bytes, rsa_token: Token, judge: Judge
) -> None:
    """The gap is filled with zeros: whatever else is there came later and was sealed by nobody."""
    _, end = gap_of(sealed)

    (one,) = judge(sealed[: end - 3] + b"41" + sealed[end - 1 :], rsa_token.ca).seals

    assert (one.intact, one.valid, one.coverage) == (True, True, "unclear")


def test_nobody_is_trusted_who_was_not_named(sealed: bytes, rsa_token: Token, judge: Judge) -> None:
    """Not the system's authorities, not the file's own, and none that only has the right name."""
    namesake, _ = issue(
        ec.generate_private_key(ec.SECP256R1()).public_key(), organisation="X", now=NOW
    )

    assert judge(sealed, rsa_token.ca).seals[0].trusted
    assert judge(sealed).seals[0].trust_problem == "no-certificate-chain-found"
    assert judge(sealed, der(namesake)).seals[0].trust_problem == (
        "certificate-chain-general-failure"
    )


@pytest.mark.parametrize(
    ("days", "problem"), [(-2, "not-yet-valid"), (731, "expired")], ids=["before", "after"]
)
def test_a_certificate_is_judged_at_the_time_given(
    days: int, problem: str, sealed: bytes, rsa_token: Token, judge: Judge
) -> None:
    """Without a time stamp nothing proves that the seal is older than the certificate's end."""
    found = judge(sealed, rsa_token.ca, now=NOW + timedelta(days=days))

    assert found.seals[0].trust_problem == problem
    assert not found.good


def test_the_transfer_note_is_shown(sealed: bytes, rsa_token: Token, judge: Judge) -> None:
    """It is what the file says about where it comes from; proven only under a good seal."""
    found = judge(sealed, rsa_token.ca)

    assert found.notes == (
        Note(name="box", value="marktamt-01"),
        Note(name="creator", value="unknown"),
        Note(name="organisation", value="Stadt Münster & Land"),
    )
    assert re.search(r"Organisation: +Stadt Münster & Land", render(found, "de"))
    assert "NICHT BEWIESEN: Kein Siegel" in render(
        replace(found, problems=("pdf-malformed",)), "de"
    )


def test_the_note_that_is_written_is_the_note_that_is_shown() -> None:
    """Every field of it, under the name it has."""
    shown = {note.name: note.value for note in verify._fields(fresh(NOTE))}

    assert shown == as_xmp(NOTE)


def test_a_note_that_would_grow_is_no_note(sealed: bytes, rsa_token: Token, judge: Judge) -> None:
    """XMP with entities is refused before one of them is expanded."""
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">]><x xmlns="urn:scanseal:transfernote:1#">&a;</x>'

    found = judge(sealed.replace(XMP, bomb.ljust(len(XMP))), rsa_token.ca)

    assert found.notes == ()


def plain() -> bytes:
    file = io.BytesIO()
    pdf = pikepdf.new()
    pdf.add_blank_page()
    pdf.save(file)
    return file.getvalue()


def encrypted(owner: str, user: str) -> bytes:
    file = io.BytesIO()
    with pikepdf.open(io.BytesIO(plain())) as pdf:
        pdf.save(file, encryption=pikepdf.Encryption(owner=owner, user=user))
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        (b"", ("not-a-pdf",)),
        (b"II*\0 a scan", ("not-a-pdf",)),
        (b"%PDF-1.7\n", ("pdf-damaged",)),
        (b"%PDF-1.7\nstartxref\n99999999\n%%EOF\n", ("pdf-damaged",)),
        (plain(), ("not-sealed",)),
        (plain()[:-40], ("pdf-damaged",)),
        (encrypted("o", "u"), ("pdf-encrypted",)),
        (encrypted("o", ""), ("not-sealed",)),
    ],
    ids=["empty", "tiff", "header", "no-xref", "unsealed", "cut", "locked", "owner-locked"],
)
def test_any_other_file_gets_its_sentence(
    content: bytes, problems: tuple[str, ...], judge: Judge
) -> None:
    """Whoever checks a folder of files wants an answer for each, and never a crash."""
    found = judge(content)

    assert found.problems == problems
    assert not found.good
    assert found.digest == hashlib.sha256(content).hexdigest()


def test_what_cannot_be_read_gets_its_sentence(tmp_path: Path, judge: Judge) -> None:
    """A wrong name, a folder, and a pipe that nobody writes to (it would be waited for)."""
    os.mkfifo(tmp_path / "pipe")

    for path in (tmp_path / "none", tmp_path, tmp_path / "pipe"):
        assert judge(path) == Report(problems=("file-unreadable",))


def test_a_file_name_may_be_any_bytes(
    tmp_path: Path, sealed: bytes, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scanners write Latin-1 and line ends into names; people name files from where they are."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/a\xfc\n.pdf"))
    path.write_bytes(sealed)
    monkeypatch.chdir(tmp_path)

    assert judge(path).seals[0].valid
    assert judge(Path(path.name)).seals[0].valid


class Dying:
    """A worker that a file has ended."""

    async def call(self, task: str, argument: Mapping[str, Any], *, seconds: float) -> Any:
        raise WorkerDied(f"{task} {argument} {seconds}")


def test_a_file_that_ends_the_worker_gets_its_sentence(runner: asyncio.Runner) -> None:
    """Out of memory, out of time, a crash in a library: nothing was found out, and that is said."""
    found = runner.run(verify.verify(Path("x"), Dying(), ()))

    assert found == Report(problems=("not-judged",))
    assert "Nothing is said about its seals" in render(found, "en")


def test_a_signature_that_cannot_be_parsed_is_not_passed_over(
    sealed: bytes, rsa_token: Token, judge: Judge
) -> None:
    """One good seal must not hide one that nobody could judge."""
    start, _ = gap_of(sealed)

    no_cms = judge(sealed[: start + 1] + b"ff" + sealed[start + 3 :], rsa_token.ca)
    unknown = judge(sealed.replace(b"/ETSI.CAdES.detached", b"/ETSI.CAdES.detacheX"), rsa_token.ca)

    for found in (no_cms, unknown):
        assert len(found.seals) == 1
        assert found.seals[0].problem
        assert not found.good


def test_a_pdf_that_only_repairs_can_read_is_no_proof(rsa_token: Token, judge: Judge) -> None:
    """What viewers repair, they repair differently: two people would see two documents."""
    data = prepared()
    broken = re.sub(rb"/Size (\d)", lambda size: b"/Size %d" % (int(size[1]) - 1), data)

    found = judge(seal(rsa_token, broken), rsa_token.ca)

    assert found.seals[0].good
    assert found.problems == ("pdf-malformed",)
    assert not found.good


def by_others(
    file: bytes,
    signer: signers.SimpleSigner,
    name: str,
    stamper: DummyTimeStamper | None = None,
    **settings: Any,
) -> bytes:
    """Return the file with a signature as another program would append it."""
    settings = {"subfilter": SigSeedSubFilter.PADES, **settings}
    out = io.BytesIO()
    signers.sign_pdf(
        IncrementalPdfFileWriter(io.BytesIO(file)),
        signers.PdfSignatureMetadata(field_name=name, md_algorithm="sha256", **settings),
        signer=signer,
        timestamper=stamper,
        new_field_spec=SigFieldSpec(name),
        output=out,
    )
    return out.getvalue()


def test_two_signatures_of_others_are_judged_each(rsa_token: Token, judge: Judge) -> None:
    """A contract with two signatures: the first covers its revision, the last one the file."""
    first = by_others(
        plain(),
        rsa_token.as_pyhanko(),
        "A",
        certify=True,
        docmdp_permissions=MDPPerm.FILL_FORMS,
        subfilter=SigSeedSubFilter.ADOBE_PKCS7_DETACHED,
    )

    found = judge(by_others(first, rsa_token.as_pyhanko(), "B"), rsa_token.ca)

    assert [one.field for one in found.seals] == ["A", "B"]
    assert [one.coverage for one in found.seals] == ["revision", "file"]
    assert [one.changed for one in found.seals] == ["form-filling", "none"]
    assert [one.certified for one in found.seals] == [True, False]
    assert [one.permissions for one in found.seals] == [2, 0]
    assert [one.level for one in found.seals] == ["", "B-B"]
    assert found.good


@dataclass(frozen=True)
class Stranger:
    """A certificate that signs itself, made by somebody else."""

    key: rsa.RSAPrivateKey
    certificate: bytes

    @property
    def pkcs8(self) -> asn1_keys.PrivateKeyInfo:
        data = self.key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return asn1_keys.PrivateKeyInfo.load(data)

    def as_pyhanko(self) -> signers.SimpleSigner:
        return signers.SimpleSigner(
            signing_cert=asn1_x509.Certificate.load(self.certificate),
            signing_key=self.pkcs8,
            cert_registry=SimpleCertificateStore(),  # type: ignore[no-untyped-call]
        )


def stranger(*extensions: x509.ExtensionType, ca: Stranger | None = None) -> Stranger:
    """Return a certificate with these extensions, signed by *ca* or by itself."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA" if ca is None else "Leaf")])
    issuer = name if ca is None else x509.load_der_x509_certificate(ca.certificate).subject
    builder = (
        x509.CertificateBuilder(issuer, name, key.public_key(), 7)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return Stranger(key, der(builder.sign(ca.key if ca else key, hashes.SHA256())))


def usage(*names: str) -> x509.KeyUsage:
    known = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{name: name in names for name in known})


def authority() -> Stranger:
    ca = x509.BasicConstraints(ca=True, path_length=None)
    return stranger(ca, usage("key_cert_sign", "crl_sign"))


@pytest.mark.parametrize(
    ("bit", "problem"),
    [
        ("digital_signature", ""),
        ("content_commitment", ""),
        ("key_encipherment", "chain-constraints-failure"),
    ],
)
def test_a_certificate_for_seals_has_one_of_two_usages(
    bit: str, problem: str, judge: Judge
) -> None:
    """ETSI EN 319 412-2 knows all three mixtures of the first two; nothing else is for seals."""
    ca = authority()
    leaf = stranger(usage(bit), ca=ca)

    (one,) = judge(by_others(plain(), leaf.as_pyhanko(), "A"), ca.certificate).seals

    assert one.trust_problem == problem


@pytest.mark.parametrize("revoked", [False, True])
def test_revocation_is_judged_by_what_the_file_carries(revoked: bool, judge: Judge) -> None:
    """Nothing is fetched: the box may be offline, and asking tells others who verifies what."""
    ca = authority()
    # pyHanko looks for evidence only where a certificate says that there is some.
    point = x509.DistributionPoint(
        [x509.UniformResourceIdentifier("http://127.0.0.1:1/crl")], None, None, None
    )
    leaf = stranger(usage("content_commitment"), x509.CRLDistributionPoints([point]), ca=ca)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(x509.load_der_x509_certificate(ca.certificate).subject)
        .last_update(NOW - timedelta(hours=2))
        .next_update(NOW + timedelta(hours=2))
    )
    if revoked:
        entry = x509.RevokedCertificateBuilder(7, NOW - timedelta(hours=3)).build()
        builder = builder.add_revoked_certificate(entry)
    crl = builder.sign(ca.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    file = io.BytesIO(by_others(plain(), leaf.as_pyhanko(), "A"))
    without = judge(file.getvalue(), ca.certificate)
    DocumentSecurityStore.add_dss(file, None, crls=[CertificateList.load(crl)])

    found = judge(file.getvalue(), ca.certificate)

    assert (without.revocation, without.good) == ("not-checked", True)
    assert found.revocation == "embedded"
    assert (found.seals[0].coverage, found.seals[0].changed) == ("revision", "lta-updates")
    assert found.seals[0].trust_problem == ("revoked-no-poe" if revoked else "")
    assert found.good is not revoked


def test_a_file_of_a_hundred_signatures_is_not_looked_through(judge: Judge) -> None:
    """Each is judged against all that came after it: somebody else's file must not take hours."""
    pdf = pikepdf.new()
    pdf.add_blank_page()
    names = pikepdf.Name
    pdf.Root.AcroForm = pikepdf.Dictionary(
        Fields=pikepdf.Array(
            pdf.make_indirect(
                pikepdf.Dictionary(
                    FT=names.Sig, T=f"S{number}", V=pikepdf.Dictionary(Type=names.Sig)
                )
            )
            for number in range(101)
        )
    )
    file = io.BytesIO()
    pdf.save(file)

    assert judge(file.getvalue()).problems == ("not-judged",)


def test_a_time_stamp_counts_when_its_authority_is_trusted(rsa_token: Token, judge: Judge) -> None:
    """A time that anybody could have written proves nothing, and makes the seal doubtful."""
    tsa = stranger(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]))
    stamper = DummyTimeStamper(asn1_x509.Certificate.load(tsa.certificate), tsa.pkcs8, fixed_dt=NOW)
    file = by_others(plain(), rsa_token.as_pyhanko(), "A", stamper)

    (one,) = judge(file, rsa_token.ca, tsa.certificate).seals
    assert (one.level, one.proven_at, one.good) == ("B-T", f"{NOW:%Y-%m-%dT%H:%M:%S}.000Z", True)

    (one,) = judge(file, rsa_token.ca).seals
    assert (one.proven_at, one.trust_problem, one.good) == ("", "timestamp-invalid", False)


def test_looking_at_a_file_imports_no_pyhanko_here() -> None:
    """The main process stays small and away from parsers of foreign bytes (I10)."""
    code = (
        "import sys, daemon.cms, daemon.template, daemon.verify\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('pyhanko', 'lxml', 'pikepdf')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    assert done.stdout.strip() == "[]"


ANY = [Report(problems=(code,)) for code in report.PROBLEMS] + [
    Report(
        seals=(
            Seal(
                field="A",
                coverage=coverage,
                changed=changed,
                permissions=permissions,
                certified=True,
                claimed_at="c",
                level="B-B",
                trust_problem=problem,
            ),
        )
    )
    for coverage, changed, permissions, problem in (
        ("file", "none", 0, "expired"),
        ("revision", "lta-updates", 1, "no-certificate-chain-found"),
        ("revision", "form-filling", 2, "revoked-no-poe"),
        ("revision", "other", 3, "never-heard-of"),
        ("unclear", "other", 0, ""),
    )
]


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("found", ANY)
def test_every_report_can_be_read_in_both_languages(found: Report, language: str) -> None:
    """A missing word would be a crash at the one moment when somebody asks."""
    lines = render(found, language).splitlines()

    assert len(lines[0]) > 50  # a verdict with its reason
    assert lines[0].startswith(("NOT GOOD", "NICHT GUT", "NOT CHECKED", "NICHT GEPRÜFT"))
    assert GERMAN.keys() == ENGLISH.keys()


def test_what_a_file_says_cannot_write_on_the_terminal() -> None:
    """A signer's name may hold anything: colours, a new line, a change of writing direction."""
    evil = "A\x1b[2J\nGOOD\u202eB"
    found = Report(seals=(Seal(field=evil, signer=evil),), notes=(Note(name=evil, value=evil),))

    for text in (
        render(found, "en"),
        render(replace(found, seals=(Seal(field=evil, problem=evil),)), "de"),
    ):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\nGOOD" not in text


@pytest.mark.parametrize(
    "bad",
    [
        {"problem": "x"},
        {"intact": False},
        {"valid": False},
        {"trusted": False},
        {"changes_allowed": False},
        {"coverage": "unclear"},
        {"coverage": "revision", "changed": "lta-updates", "permissions": 1},
        {"coverage": "revision", "changed": "form-filling", "permissions": 2},
    ],
    ids=str,
)
def test_one_thing_wrong_is_enough(bad: dict[str, Any]) -> None:
    """`good` is what the exit code says: each part of it counts by itself."""
    good = Seal(
        field="A", intact=True, valid=True, trusted=True, changes_allowed=True, coverage="file"
    )

    assert Report(seals=(good,)).good
    assert not Report(seals=(replace(good, **bad),)).good
    assert not Report(seals=(good,), problems=("pdf-malformed",)).good
    assert not Report().good
