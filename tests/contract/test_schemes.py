"""Each algorithm that a configuration can choose, in files that others' programs validate.

pyHanko and `pdfsig` (NSS) look at the sealed file, `openssl cms` at the manifest with
its detached CMS. NSS knows no brainpool curve, and that is all it may be at odds with.
"""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from asn1crypto import cms as asn1_cms
from asn1crypto import pem, x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from contrib.demo import nss, token
from daemon import durable
from daemon.document import State
from tests.sealing import Sealing, sealing
from tests.unit.pages_samples import drawn as picture
from tests.unit.pages_samples import encoded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from contrib.demo.token import KeyKind, TokenFiles

INPUTS = ("brief.pdf", "fax.tif", "foto.jpg", "antrag.png", "karte.jp2")


@pytest.fixture(scope="session")
def keys(
    tmp_path_factory: pytest.TempPathFactory, seal_token: TokenFiles, p256_token: TokenFiles
) -> Callable[[KeyKind], tuple[TokenFiles, Path]]:
    """Tokens by kind of key, each with an NSS database; each is made once."""
    made: dict[KeyKind, tuple[TokenFiles, Path]] = {}

    def of(kind: KeyKind) -> tuple[TokenFiles, Path]:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            there = {"rsa3072": seal_token, "p256": p256_token}
            files = there.get(kind) or token.make_token(
                folder / "t", pin=token.random_pin(), key=kind
            )
            made[kind] = (files, nss.trust(files.ca, folder / "nss"))
        return made[kind]

    return of


@pytest.fixture(scope="session")
def inputs(drawn: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One scan of each kind."""
    jp2 = tmp_path_factory.mktemp("jp2") / "karte.jp2"
    jp2.write_bytes(encoded(picture("RGB"), "JPEG2000"))
    return {**drawn, "karte.jp2": jp2}


def seal_one(root: Path, files: TokenFiles, scan: Path, seal: str) -> Path:
    """Seal one scan as *seal* of the configuration says; return the document's folder."""
    root.mkdir()
    folder: list[Path] = []

    async def work(here: Sealing) -> None:
        assert await here.key.usable(), here.alarms.now()
        document = await here.sealer.seal(await here.claim(scan), here.key)
        assert document.state is State.FROZEN, document.code
        folder.append(here.sealer.folder(document))
        committed = (document.sealed, document.sealed_size)
        assert durable.digest_of(folder[0] / "sealed.pdf") == committed

    async def main() -> None:
        async with sealing(root, files, seal=seal) as here:
            await work(here)

    asyncio.run(main())
    return folder[0]


def pyhanko_agrees(file: Path, ca: Path) -> Any:
    """Assert that pyHanko calls the file's one seal valid; return how it was made."""
    _, _, der = pem.unarmor(ca.read_bytes())
    context = ValidationContext(trust_roots=[x509.Certificate.load(der)], allow_fetching=False)
    with file.open("rb") as stream:
        (signature,) = PdfFileReader(stream).embedded_signatures
        status = validate_pdf_signature(signature, context)
    assert status.bottom_line, status.summary()
    assert status.coverage is not None
    assert status.coverage.name == "ENTIRE_FILE"
    return signature.signer_info


def openssl_agrees(folder: Path, ca: Path) -> None:
    """Assert that OpenSSL verifies the manifest's detached CMS."""
    done = subprocess.run(
        [
            *("openssl", "cms", "-verify", "-inform", "DER", "-binary", "-purpose", "any"),
            *("-in", folder / "manifest.p7s", "-content", folder / "manifest.json"),
            *("-CAfile", ca, "-out", "/dev/null"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def all_agree(folder: Path, files: TokenFiles, trusted: Path, *, brainpool: bool = False) -> Any:
    """Assert that each of the three says valid, NSS of a brainpool curve that it is not."""
    info = pyhanko_agrees(folder / "sealed.pdf", files.ca)
    openssl_agrees(folder, files.ca)
    said = nss.pdfsig(folder / "sealed.pdf", trusted)
    assert "Total document signed" in said
    if brainpool:
        assert "Signature is Valid." not in said, said
    else:
        assert "Signature is Valid." in said, said
        assert "Certificate is Trusted." in said, said
    return info


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize(
    ("kind", "seal", "algorithm"),
    [
        ("rsa3072", "", "rsassa_pss"),
        ("rsa3072", 'padding = "pkcs1v15"', "sha256_rsa"),
        ("p256", "", "sha256_ecdsa"),
        ("p384", 'digest = "sha384"', "sha384_ecdsa"),
    ],
    ids=["pss", "pkcs1v15", "p256", "p384"],
)
def test_each_kind_of_scan_with_each_common_key(
    tmp_path: Path,
    keys: Callable[[KeyKind], tuple[TokenFiles, Path]],
    inputs: dict[str, Path],
    name: str,
    kind: KeyKind,
    seal: str,
    algorithm: str,
) -> None:
    """PDF, TIFF, JPEG, PNG and JPEG 2000: the seal does not depend on what was scanned."""
    files, trusted = keys(kind)

    info = all_agree(seal_one(tmp_path / "box", files, inputs[name], seal), files, trusted)

    assert info["signature_algorithm"]["algorithm"].native == algorithm


@pytest.mark.parametrize(
    ("kind", "seal"),
    [
        ("rsa3072", 'digest = "sha384"'),
        ("rsa3072", 'digest = "sha512"'),
        ("rsa3072", 'digest = "sha384"\npadding = "pkcs1v15"'),
        ("rsa3072", 'digest = "sha512"\npadding = "pkcs1v15"'),
        ("rsa4096", 'digest = "sha512"'),
        ("p256", 'digest = "sha512"'),
        ("p384", ""),
        ("p521", 'digest = "sha512"'),
    ],
)
def test_each_other_key_and_digest(
    tmp_path: Path,
    keys: Callable[[KeyKind], tuple[TokenFiles, Path]],
    inputs: dict[str, Path],
    kind: KeyKind,
    seal: str,
) -> None:
    """One scan is enough; the digest is the one that the configuration names, in both CMS."""
    files, trusted = keys(kind)

    folder = seal_one(tmp_path / "box", files, inputs["foto.jpg"], seal)

    digest = next((name for name in ("sha384", "sha512") if name in seal), "sha256")
    info = all_agree(folder, files, trusted)
    assert info["digest_algorithm"]["algorithm"].native == digest
    detached = asn1_cms.ContentInfo.load((folder / "manifest.p7s").read_bytes())
    (other,) = detached["content"]["signer_infos"]
    assert other["digest_algorithm"]["algorithm"].native == digest
    if "pkcs1v15" not in seal and kind.startswith("rsa"):
        parameters = info["signature_algorithm"]["parameters"]
        assert parameters["salt_length"].native == {"256": 32, "384": 48, "512": 64}[digest[3:]]
        assert parameters["mask_gen_algorithm"]["parameters"]["algorithm"].native == digest


@pytest.mark.parametrize(
    ("kind", "digest"),
    [("brainpool256", "sha256"), ("brainpool384", "sha384"), ("brainpool512", "sha512")],
)
def test_brainpool_is_sealed_and_two_of_three_agree(
    tmp_path: Path,
    keys: Callable[[KeyKind], tuple[TokenFiles, Path]],
    inputs: dict[str, Path],
    kind: KeyKind,
    digest: str,
) -> None:
    """Both pyHanko and OpenSSL validate it; NSS says invalid, and the administrator was told so."""
    files, trusted = keys(kind)

    folder = seal_one(tmp_path / "box", files, inputs["foto.jpg"], f'digest = "{digest}"')

    all_agree(folder, files, trusted, brainpool=True)


def test_a_token_that_makes_the_digest_itself_makes_the_right_one(
    tmp_path: Path,
    keys: Callable[[KeyKind], tuple[TokenFiles, Path]],
    inputs: dict[str, Path],
) -> None:
    """Some devices have the combined mechanisms only (CKM_SHA384_RSA_PKCS_PSS and the like)."""
    files, trusted = keys("rsa3072")
    before = files.softhsm2_conf.read_text()
    files.softhsm2_conf.write_text(
        f"{before}slots.mechanisms = CKM_SHA384_RSA_PKCS_PSS,CKM_SHA384_RSA_PKCS\n"
    )
    try:
        for number, padding in enumerate(("pss", "pkcs1v15")):
            seal = f'digest = "sha384"\npadding = "{padding}"'
            folder = seal_one(tmp_path / f"box{number}", files, inputs["foto.jpg"], seal)
            all_agree(folder, files, trusted)
    finally:
        files.softhsm2_conf.write_text(before)
