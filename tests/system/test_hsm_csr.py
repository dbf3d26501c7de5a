"""`scanseal hsm csr`: a request that a CA takes, through the service that holds the login."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from contrib.demo.token import TokenFiles, make_token
from daemon.certificate import load_pem
from tests.contract.test_hsm import PIN, make_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.system.box import Box

SUBJECT = "CN=Siegel Marktamt,O=Stadt Musterstadt,C=DE"
P384 = "06052b81040022"


@pytest.fixture
def own_token(tmp_path: Path) -> TokenFiles:
    """A token that the test may put keys on."""
    return make_token(tmp_path / "own", pin=PIN, key="p256")


def openssl(pem: str) -> str:
    """Return what OpenSSL says of a request."""
    command = ["openssl", "req", "-verify", "-noout", "-text"]
    return subprocess.run(
        command, input=pem, text=True, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, check=True
    ).stdout


@pytest.mark.parametrize(
    ("fixture", "algorithm"),
    [("seal_token", "rsassaPss"), ("p256_token", "ecdsa-with-SHA256")],
)
def test_openssl_verifies_the_request_for_the_sealing_key(
    make_box: Callable[..., Box], request: pytest.FixtureRequest, fixture: str, algorithm: str
) -> None:
    """RSA as PSS and P-256; the key is the one of the certificate that is in use."""
    files: TokenFiles = request.getfixturevalue(fixture)
    box = make_box(token=files).start()
    box.wait(lambda: box.status()["all_well"], "ready")
    made = box.command("hsm", "csr", "--subject", SUBJECT)
    said = openssl(made.stdout)
    asked = x509.load_pem_x509_csr(made.stdout.encode())
    (certificate,) = load_pem(files.certificate)
    lines = [json.loads(line) for line in box.reader().lines("")]
    events = [line["event"] for line in lines]

    assert "self-signature verify OK" in said
    assert algorithm in said
    assert "Digital Signature, Non Repudiation" in said
    assert asked.public_key() == x509.load_der_x509_certificate(certificate).public_key()
    assert asked.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "Siegel Marktamt"
    assert asked.subject.rdns[0].rfc4514_string() == "C=DE"
    assert events.count("csr") == 1
    assert "uid" not in json.dumps(lines[events.index("csr")]["detail"])
    # The service was logged in already: nobody presented the PIN for this.
    assert events.count("login-attempt") == 1


def test_another_key_asks_and_the_sealing_key_goes_on_sealing(
    make_box: Callable[..., Box], own_token: TokenFiles, drawn: dict[str, Path]
) -> None:
    """That is how a change to a new key begins: the service seals with the old one meanwhile."""
    make_key(own_token, "next", number=7, curve=P384)
    box = make_box(token=own_token).start()
    box.wait(lambda: box.status()["all_well"], "ready")
    made = box.command("hsm", "csr", "--subject", SUBJECT, "--key", "next")
    box.drop(drawn["brief.pdf"])
    box.wait(box.at_rest(1), "filed")
    (document,) = box.documents()

    assert made.returncode == 0, made.stderr
    assert "NIST CURVE: P-384" in openssl(made.stdout)
    sealed = box.root / "dms" / document.id / "sealed.pdf"
    assert box.command("verify", sealed).returncode == 0


def test_a_key_without_a_certificate_can_ask_for_its_first_one(
    make_box: Callable[..., Box], own_token: TokenFiles
) -> None:
    """Sealing waits for the certificate; what it waits for can be asked for."""
    make_key(own_token, "first", number=8, curve=P384)
    box = make_box(token=own_token, key="first").start()
    box.wait(lambda: "certificate-mismatch" in box.alarms(), "the alarm")
    made = box.command("hsm", "csr", "--subject", SUBJECT)

    assert made.returncode == 0, made.stderr
    assert "self-signature verify OK" in openssl(made.stdout)


def test_what_cannot_be_asked_for_is_said(make_box: Callable[..., Box]) -> None:
    """A name that is none, a key that is not there: and the service goes on as before."""
    box = make_box().start()
    box.wait(lambda: box.status()["all_well"], "ready")
    nameless = box.command("hsm", "csr", "--subject", "Siegel")
    keyless = box.command("hsm", "csr", "--subject", SUBJECT, "--key", "none")

    assert (nameless.returncode, keyless.returncode) == (1, 1)
    assert nameless.stderr.startswith("subject-unusable")
    assert keyless.stderr.startswith("key-missing")
    assert box.status()["all_well"] is True
