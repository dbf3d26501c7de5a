"""`scanseal hsm import-cert`: the CA's answer, beside its key on a real token."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from contrib.demo.token import TokenFiles, issue, make_token
from tests.contract.test_hsm import PIN, make_key
from tests.court import docket

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.system.box import Box

P384 = "06052b81040022"
SUBJECT = "CN=Siegel Marktamt,O=Stadt Musterstadt,C=DE"


@pytest.fixture
def own_token(tmp_path: Path) -> TokenFiles:
    """A token with a second key that has no certificate yet."""
    files = make_token(tmp_path / "own", pin=PIN, key="p256")
    make_key(files, "first", number=8, curve=P384)
    return files


def first_box(make_box: Callable[..., Box], files: TokenFiles) -> Box:
    """A box whose key has no certificate."""
    box = make_box(token=files, key="first")
    text = box.config.read_text().replace(str(files.certificate), "")
    box.config.write_text(text)
    return box.start()


def test_from_the_request_to_the_first_seal_without_a_restart(
    make_box: Callable[..., Box], own_token: TokenFiles, drawn: dict[str, Path], tmp_path: Path
) -> None:
    """CSR, the CA's answer, import: then the service seals what has waited."""
    box = first_box(make_box, own_token)
    box.wait(lambda: "certificate-missing" in box.alarms(), "the alarm")
    box.drop(drawn["brief.pdf"])
    asked = x509.load_pem_x509_csr(box.command("hsm", "csr", "--subject", SUBJECT).stdout.encode())
    ca, seal = issue(asked.public_key(), organisation="Stadt", now=datetime.now(UTC))  # type: ignore[arg-type]
    answer = tmp_path / "answer.pem"
    answer.write_bytes(seal.public_bytes(Encoding.PEM))
    strange = box.command("hsm", "import-cert", answer)
    own_token.chain.write_bytes(ca.public_bytes(Encoding.PEM))
    docket.trust(ca.public_bytes(Encoding.DER))
    done = box.command("hsm", "import-cert", answer)
    box.wait(box.at_rest(1), "filed")
    again = box.command("hsm", "import-cert", answer)
    (document,) = box.documents()
    events = [json.loads(line)["event"] for line in box.reader().lines("")]

    assert strange.stderr.startswith("issuer-missing"), strange.stderr
    assert done.returncode == 0, done.stderr
    assert "der Dienst siegelt damit" in done.stdout
    assert again.stderr.startswith("certificate-there"), again.stderr
    sealed = box.root / "dms" / document.id / "sealed.pdf"
    assert box.command("verify", sealed).returncode == 0
    assert events.count("certificate-import") == 1


def test_a_certificate_of_another_key_never_gets_to_the_token(
    make_box: Callable[..., Box], own_token: TokenFiles, tmp_path: Path
) -> None:
    """The CA mixed up two answers; what seals goes on sealing."""
    box = make_box(token=own_token).start()
    box.wait(lambda: box.status()["all_well"], "ready")
    mixed = box.command("hsm", "import-cert", own_token.certificate, "--key", "first")
    (tmp_path / "text").write_text("no certificate")
    none = box.command("hsm", "import-cert", tmp_path / "text")

    assert mixed.stderr.startswith("certificate-mismatch"), mixed.stderr
    assert none.stderr.startswith("certificate-unreadable"), none.stderr
    assert box.status()["all_well"] is True
    listed = json.loads(box.command("hsm", "list", "--json").stdout)["tokens"]
    (ours,) = [token for token in listed if token["configured"]]
    assert len(ours["certificates"]) == 1
