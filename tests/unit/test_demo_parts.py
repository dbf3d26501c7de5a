"""The demo's own parts: what they make is what a scanner and a token would give."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pikepdf
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from PIL import Image, ImageChops

from contrib.demo import nss, scanner, scans, token

A4_AT_300_DPI = (2480, 3508)

SIGN = """
import os, sys
import PyKCS11 as p
module, label, key = sys.argv[1:]
pin, digest = sys.stdin.read().split()
lib = p.PyKCS11Lib()
lib.load(module)
slots = lib.getSlotList(tokenPresent=True)
(slot,) = [s for s in slots if lib.getTokenInfo(s).label.strip() == label]
session = lib.openSession(slot)
session.login(pin)
(private,) = session.findObjects([(p.CKA_CLASS, p.CKO_PRIVATE_KEY), (p.CKA_LABEL, key)])
(stored,) = session.findObjects([(p.CKA_CLASS, p.CKO_CERTIFICATE), (p.CKA_LABEL, key)])
wanted = [p.CKA_KEY_TYPE, p.CKA_SENSITIVE, p.CKA_EXTRACTABLE, p.CKA_LOCAL, p.CKA_ID]
kind, sensitive, extractable, local, key_id = session.getAttributeValue(private, wanted)
assert (sensitive, extractable, local) == (True, False, True)
cert_id, der = session.getAttributeValue(stored, [p.CKA_ID, p.CKA_VALUE])
assert key_id == cert_id
pss = p.RSA_PSS_Mechanism(p.CKM_RSA_PKCS_PSS, p.CKM_SHA256, p.CKG_MGF1_SHA256, 32)
mechanism = pss if kind == p.CKK_RSA else p.Mechanism(p.CKM_ECDSA)
print(bytes(session.sign(private, bytes.fromhex(digest), mechanism)).hex(), bytes(der).hex())
"""


def sign(files: token.TokenFiles, digest: bytes) -> tuple[bytes, bytes]:
    """Sign *digest* in a process of its own; return signature and stored certificate."""
    done = subprocess.run(
        [sys.executable, "-c", SIGN, str(files.module), files.token, files.key],
        input=f"{files.pin.read_text()} {digest.hex()}",
        env={"SOFTHSM2_CONF": str(files.softhsm2_conf)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    signature, der = (bytes.fromhex(word) for word in done.stdout.split())
    return signature, der


def someone_writes(path: Path) -> bool:
    """Ask the kernel whether a process has *path* open for writing."""
    reader = os.open(path, os.O_RDONLY)
    try:
        fcntl.fcntl(reader, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(reader, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    finally:
        os.close(reader)
    return False


@pytest.fixture(scope="module")
def p256(tmp_path_factory: pytest.TempPathFactory) -> token.TokenFiles:
    folder = tmp_path_factory.mktemp("demo") / "token"
    return token.make_token(folder, pin="1234", key="p256", organisation="Amt A")


def test_a_page_is_a_colour_a4_scan_that_depends_on_its_seed_alone() -> None:
    """Tests compare bytes: a page that changes by itself would make them worthless."""
    page, again, other = (scans.draw_page(seed, title="Zulassung", dpi=100) for seed in (1, 1, 2))

    assert (page.mode, page.size) == ("RGB", (827, 1169))
    assert ImageChops.difference(page, again).getbbox() is None
    assert ImageChops.difference(page, other).getbbox() is not None
    assert 300_000 < len(scans.jpeg_page(1)) < 1_500_000


def test_a_pdf_holds_one_full_page_jpeg_per_page(tmp_path: Path) -> None:
    """Scanners write DCTDecode images; carrying those over is what the seal is tried on."""
    path = scans.colour_pdf(tmp_path / "a.pdf", pages=2)

    with pikepdf.open(path) as pdf:
        assert len(pdf.pages) == 2
        for page in pdf.pages:
            (image,) = page.Resources.XObject.values()
            assert image["/Filter"] == "/DCTDecode"
            assert (int(image["/Width"]), int(image["/Height"])) == A4_AT_300_DPI
            assert [float(edge) for edge in page.mediabox] == pytest.approx([0, 0, 595.2, 841.92])
    assert path.read_bytes() == scans.colour_pdf(tmp_path / "b.pdf", pages=2).read_bytes()


def test_the_one_page_pdf_holds_the_jpeg_byte_for_byte(tmp_path: Path) -> None:
    """A PDF scan and a JPEG scan of the same sheet differ in nothing but the wrapping."""
    with pikepdf.open(scans.one_page_pdf(tmp_path / "a.pdf", seed=7)) as pdf:
        (image,) = pdf.pages[0].Resources.XObject.values()

        assert image.read_raw_bytes() == scans.jpeg(tmp_path / "a.jpg", seed=7).read_bytes()


def test_the_tiff_is_g4_with_one_strip_per_page(tmp_path: Path) -> None:
    """Only a single strip can be carried into a PDF as it is; white is zero as on a fax."""
    path = scans.g4_tiff(tmp_path / "a.tif", pages=2)

    with Image.open(path) as tiff:
        assert getattr(tiff, "n_frames", 1) == 2
        for frame in range(2):
            tiff.seek(frame)
            assert (tiff.mode, tiff.size) == ("1", A4_AT_300_DPI)
            assert tiff.info["compression"] == "group4"
            assert tiff.info["dpi"] == (300, 300)
            assert len(tiff.tag_v2[273]) == 1  # type: ignore[attr-defined]
            assert tiff.tag_v2[262] == 0  # type: ignore[attr-defined]
            assert tiff.convert("L").histogram()[255] > 0.9 * tiff.width * tiff.height
    assert path.read_bytes() == scans.g4_tiff(tmp_path / "b.tif", pages=2).read_bytes()


def test_jpeg_and_png_say_300_dpi(tmp_path: Path) -> None:
    """Without a resolution a wrapped page would have the wrong size."""
    with Image.open(scans.jpeg(tmp_path / "a.jpg")) as image:
        assert (image.mode, image.size, image.info["dpi"]) == ("RGB", A4_AT_300_DPI, (300, 300))
    with Image.open(scans.png(tmp_path / "a.png")) as image:
        assert (image.mode, image.size) == ("L", A4_AT_300_DPI)
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)


@pytest.mark.parametrize("reopen", [False, True])
def test_a_scanner_writes_in_pieces_under_the_final_name(tmp_path: Path, *, reopen: bool) -> None:
    """The hot folder is tried against this: it must grow, and be open or not as asked."""
    source, seen, written, pauses = tmp_path / "source", tmp_path / "scan.pdf", [], []
    source.write_bytes(bytes(range(256)) * 40)

    def look(seconds: float) -> None:
        pauses.append(seconds)
        written.append((seen.stat().st_size, someone_writes(seen)))

    made = scanner.drop(
        source, tmp_path, "scan.pdf", pieces=5, seconds=2, reopen=reopen, sleep=look
    )

    assert made == seen
    assert made.read_bytes() == source.read_bytes()
    assert written == [(size, not reopen) for size in (2048, 4096, 6144, 8192)]
    assert sum(pauses) == pytest.approx(2)
    assert not someone_writes(made)


def test_a_scanner_replaces_no_file(tmp_path: Path) -> None:
    """A name that is taken is the operator's problem, not a reason to lose the first scan."""
    (tmp_path / "a").write_bytes(b"first")

    with pytest.raises(FileExistsError):
        scanner.drop(tmp_path / "a", tmp_path, "a", pieces=1, seconds=0)
    assert (tmp_path / "a").read_bytes() == b"first"


def test_the_token_key_signs_what_the_certificate_verifies(tmp_path: Path) -> None:
    """Token, certificate and file must be one pair, also in a folder with a blank in its name."""
    files = token.make_token(tmp_path / "my token", pin=token.random_pin())
    digest = hashlib.sha256(b"a scan").digest()
    signature, der = sign(files, digest)
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    public = certificate.public_key()

    assert isinstance(public, rsa.RSAPublicKey)
    assert public.key_size == 3072
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    public.verify(signature, digest, pss, utils.Prehashed(hashes.SHA256()))
    assert x509.load_der_x509_certificate(der) == certificate


def test_a_p256_key_does_the_same(p256: token.TokenFiles) -> None:
    """ECDSA signatures vary in length, so the seal is tried with them, too."""
    digest = hashlib.sha256(b"a scan").digest()
    signature, der = sign(p256, digest)
    public = x509.load_der_x509_certificate(der).public_key()

    assert isinstance(public, ec.EllipticCurvePublicKey)
    middle = len(signature) // 2
    r, s = (int.from_bytes(half, "big") for half in (signature[:middle], signature[middle:]))
    ecdsa = ec.ECDSA(utils.Prehashed(hashes.SHA256()))
    public.verify(utils.encode_dss_signature(r, s), digest, ecdsa)


def test_the_certificate_is_one_for_seals(p256: token.TokenFiles) -> None:
    """Validators look at the key usage; people look at the organisation."""
    certificate = x509.load_pem_x509_certificate(p256.certificate.read_bytes())
    ca = x509.load_pem_x509_certificate(p256.ca.read_bytes())
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)

    certificate.verify_directly_issued_by(ca)
    ca.verify_directly_issued_by(ca)
    assert usage.critical
    assert usage.value.digital_signature
    assert usage.value.content_commitment
    assert "O=Amt A" in certificate.subject.rfc4514_string()
    assert p256.chain.read_bytes() == p256.ca.read_bytes()


def test_nobody_else_can_read_a_token(p256: token.TokenFiles) -> None:
    """The files are the token: who can copy them can try PINs for ever."""
    assert p256.pin.read_text() == "1234"
    assert p256.pin.stat().st_mode & 0o777 == 0o400
    for path in (p256.folder, *p256.folder.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_token_is_found_and_never_made_over(p256: token.TokenFiles, tmp_path: Path) -> None:
    """A second run over a token in use would leave seals that nobody can explain."""
    assert token.find_token(p256.folder) == p256
    assert token.find_token(tmp_path) is None
    with pytest.raises(FileExistsError, match="is not empty"):
        token.make_token(p256.folder, pin="1234")


def test_pdfsig_answers_for_a_file_without_a_signature(
    p256: token.TokenFiles, tmp_path: Path
) -> None:
    """No signature is an answer, not a failure of the tool."""
    database = nss.trust(p256.ca, tmp_path / "nss")

    answer = nss.pdfsig(scans.one_page_pdf(tmp_path / "a.pdf"), database)

    assert "does not contain any signatures" in answer
