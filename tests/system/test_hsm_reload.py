"""`scanseal hsm reload`: another key or certificate, while documents are being sealed."""

from __future__ import annotations

import hashlib
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from contrib.demo.token import TokenFiles, issue, make_token
from daemon.certificate import load_pem
from daemon.document import State
from tests.contract.test_hsm import PIN, make_key
from tests.court import docket

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.system.box import Box

P384 = "06052b81040022"
SUBJECT = "CN=Siegel Marktamt,O=Stadt Musterstadt,C=DE"
Certificates = tuple[x509.Certificate, x509.Certificate]


@pytest.fixture
def own_token(tmp_path: Path) -> TokenFiles:
    """A token that seals with P-256, and has another key without a certificate."""
    files = make_token(tmp_path / "own", pin=PIN, key="p256")
    make_key(files, "next", number=7, curve=P384)
    return files


def set_hsm(box: Box, **values: object) -> None:
    """Change keys of [hsm] in the configuration."""
    lines = box.config.read_text().splitlines()
    for key, value in values.items():
        (at,) = [n for n, line in enumerate(lines) if line.startswith(f"{key} = ")]
        lines[at] = f'{key} = "{value}"'
    box.config.write_text("\n".join(lines) + "\n")


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


def issued(box: Box, key: str, *, days: int = 730) -> Certificates:
    """Ask for a certificate through the running service; return the CA's and the answer."""
    asked = box.command("hsm", "csr", "--subject", SUBJECT, "--key", key)
    public = x509.load_pem_x509_csr(asked.stdout.encode()).public_key()
    made = issue(public, organisation="Stadt", now=datetime.now(UTC), days=days)  # type: ignore[arg-type]
    docket.trust(made[0].public_bytes(Encoding.DER))
    return made


def serial(certificate: x509.Certificate) -> int:
    return certificate.serial_number


def sealed_with(box: Box) -> dict[str, int]:
    """Return the serial number of each document's certificate; each seal verifies with it."""
    files = {str(box.root / "dms" / one.id / "sealed.pdf"): one for one in box.documents()}
    done = box.command("verify", "--format", "json", *files)
    assert done.returncode == 0, done.stdout
    found: dict[str, int] = {}
    for path, said in zip(files, json.loads(done.stdout)["files"], strict=True):
        (seal,) = said["seals"]
        assert seal["good"], said
        found[files[path].id] = int(seal["chain"][0]["serial"].replace(":", ""), 16)
    return found


def lines(box: Box, event: str) -> list[dict[str, Any]]:
    """Return the ledger's lines of an event."""
    found = [json.loads(line) for line in box.reader().lines("")]
    return [line for line in found if line["event"] == event]


def sha256(certificate: x509.Certificate) -> str:
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def filed(box: Box) -> int:
    return sum(one.state is State.FILED for one in box.documents())


class Drops:
    """Documents that come all the while, three at a time."""

    def __init__(self, box: Box, sources: tuple[Path, ...]) -> None:
        self.box = box
        self.sources = sources
        self.made = 0

    def some(self) -> None:
        """Drop one of each, and wait until the service has taken them in."""
        for source in self.sources:
            self.box.drop(source, f"{self.made}{source.suffix}")
            self.made += 1
        self.box.wait(lambda: len(self.box.documents()) == self.made, "taken in")

    def during(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command, and drop as long as it runs."""
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(self.box.command, *arguments)
            while not running.done():
                self.some()
            return running.result()


def test_a_new_key_takes_over_while_documents_are_sealed(
    make_box: Callable[..., Box], own_token: TokenFiles, drawn: dict[str, Path], tmp_path: Path
) -> None:
    """CSR, import, reload: each seal is whole with one of the two keys, and none waits for it."""
    (der,) = load_pem(own_token.certificate)
    old = x509.load_der_x509_certificate(der)
    box = make_box(token=own_token)
    set_hsm(box, certificate="")
    box.start()
    ca, new = issued(box, "next")
    own_token.chain.write_bytes(own_token.chain.read_bytes() + pem(ca))
    (tmp_path / "new.pem").write_bytes(pem(new))
    imported = box.command("hsm", "import-cert", tmp_path / "new.pem", "--key", "next")
    assert imported.returncode == 0, imported.stderr
    drops = Drops(box, (drawn["brief.pdf"], drawn["akte.pdf"], drawn["foto.jpg"]))
    drops.some()
    box.wait(lambda: filed(box) >= 1, "one is sealed")
    set_hsm(box, key="next")
    changed = drops.during("hsm", "reload")
    drops.some()
    while drops.made < 20:
        drops.some()
    box.wait(box.at_rest(drops.made), "filed")
    again = box.command("hsm", "reload")
    found = sealed_with(box)
    (line,) = lines(box, "key-changed")

    assert changed.returncode == 0, changed.stderr
    assert sha256(new) in changed.stdout
    assert filed(box) == drops.made
    assert set(found.values()) == {serial(old), serial(new)}
    assert {found[one.id] for one in box.documents()[-3:]} == {serial(new)}
    assert line["detail"] == {"certificate_sha256": sha256(new), "before_sha256": sha256(old)}
    (people,) = (box.root / "state" / "ledger").glob("*.personal.jsonl")
    persons = [json.loads(one) for one in people.read_text().splitlines()]
    (person,) = [one["personal"] for one in persons if one["seq"] == line["seq"]]
    assert "uid " in str(person)
    # One process, one login; no signature was ever a wrong one.
    assert len(lines(box, "login-attempt")) == 1
    assert "signature-invalid" not in box.log()
    assert box.status()["all_well"] is True, box.alarms()
    assert (again.returncode, again.stdout.strip()) == (0, "Es hat sich nichts geändert.")

    (tmp_path / "roots.pem").write_bytes(own_token.chain.read_bytes())
    for document in box.documents():
        verify_manifest(box.root / "archive" / document.id, tmp_path / "roots.pem")

    assert box.stop() == 0
    box.start()
    box.drop(drawn["brief.pdf"], "after.pdf")
    box.wait(box.at_rest(drops.made + 1), "filed")
    assert sealed_with(box)[box.documents()[-1].id] == serial(new)
    assert len(lines(box, "key-changed")) == 1


def verify_manifest(folder: Path, roots: Path) -> None:
    """Let OpenSSL verify the detached seal of a manifest."""
    command = ["openssl", "cms", "-verify", "-inform", "DER", "-binary", "-purpose", "any"]
    files = ["-in", folder / "manifest.p7s", "-content", folder / "manifest.json", "-CAfile", roots]
    subprocess.run([*command, *map(str, files)], capture_output=True, check=True)


def test_a_renewed_certificate_of_the_same_key_takes_over(
    make_box: Callable[..., Box], own_token: TokenFiles, drawn: dict[str, Path], tmp_path: Path
) -> None:
    """From a file: a token takes no second one beside a key."""
    box = make_box(token=own_token).start()
    box.wait(lambda: box.status()["all_well"], "ready")
    ca, new = issued(box, own_token.key)
    own_token.chain.write_bytes(own_token.chain.read_bytes() + pem(ca))
    (tmp_path / "renewed.pem").write_bytes(pem(new))
    set_hsm(box, certificate=tmp_path / "renewed.pem")
    changed = box.command("hsm", "reload")
    box.drop(drawn["brief.pdf"])
    box.wait(box.at_rest(1), "filed")

    assert changed.returncode == 0, changed.stderr
    assert list(sealed_with(box).values()) == [serial(new)]
    assert [one["detail"]["certificate_sha256"] for one in lines(box, "key-changed")] == [
        sha256(new)
    ]
    assert len(lines(box, "login-attempt")) == 1


def test_what_could_not_seal_changes_nothing(
    make_box: Callable[..., Box], own_token: TokenFiles, drawn: dict[str, Path], tmp_path: Path
) -> None:
    """Each with its code and sentence, all at once; the old key goes on sealing."""
    box = make_box(token=own_token).start()
    box.wait(lambda: box.status()["all_well"], "ready")
    before = box.config.read_text()
    ca, late = issued(box, "next", days=-1)
    (tmp_path / "late.pem").write_bytes(pem(late))
    (tmp_path / "both.pem").write_bytes(own_token.chain.read_bytes() + pem(ca))
    bad: tuple[tuple[dict[str, object], set[str]], ...] = (
        ({"key": "next"}, {"certificate-mismatch"}),
        (
            {"key": "next", "certificate": tmp_path / "late.pem", "chain": tmp_path / "both.pem"},
            {"certificate-expired"},
        ),
        (
            {"key": "next", "certificate": tmp_path / "late.pem"},
            {"certificate-expired", "chain-incomplete"},
        ),
        ({"key": "next", "certificate": ""}, {"certificate-missing"}),
        ({"key": "none"}, {"key-missing"}),
        ({"certificate": tmp_path / "none.pem"}, {"certificate-unreadable"}),
        ({"pin": f"file:{tmp_path}/pin"}, {"restart-needed"}),
        ({"token": "other"}, {"restart-needed"}),
    )
    for number, (values, codes) in enumerate(bad):
        set_hsm(box, **values)
        done = box.command("hsm", "reload")
        said = {line.partition(":")[0] for line in done.stderr.splitlines()} & KNOWN
        box.config.write_text(before)
        box.drop(drawn["brief.pdf"], f"{number}.pdf")
        box.wait(box.at_rest(number + 1), "filed")
        assert (done.returncode, said) == (1, codes), done.stderr
    (der,) = load_pem(own_token.certificate)
    old = x509.load_der_x509_certificate(der)

    assert set(sealed_with(box).values()) == {serial(old)}
    assert lines(box, "key-changed") == []
    assert len(lines(box, "login-attempt")) == 1
    assert box.status()["all_well"] is True, box.alarms()


KNOWN = {
    *("certificate-mismatch", "certificate-expired", "chain-incomplete", "certificate-missing"),
    *("key-missing", "certificate-unreadable", "restart-needed"),
}


def test_a_configuration_with_problems_is_answered_with_all_of_them(
    make_box: Callable[..., Box], own_token: TokenFiles
) -> None:
    """And the service goes on with the one that it has."""
    box = make_box(token=own_token).start()
    box.wait(lambda: box.status()["all_well"], "ready")
    before = box.config.read_text()
    set_hsm(box, chain="relative.pem", module="softhsm.so")
    done = box.command("hsm", "reload")
    box.config.write_text(before)

    assert done.returncode == 78
    assert "[hsm] chain" in done.stderr
    assert "[hsm] module" in done.stderr
    assert box.status()["all_well"] is True
