"""A CA with a time-stamp authority, OCSP responders and CRLs: certomancer as a real process.

    root ── issuing ─┬─ seal        its key is in a SoftHSM token
                     ├─ revoked     the same key, a certificate revoked since REVOKED_AT
                     ├─ tsa         time stamps at `tsa_url`
                     ├─ old-tsa     its certificate has expired; `old_tsa_url`
                     └─ ocsp        answers for `issuing`; `root` has a CRL only

What it issues names the responder (AIA) and the CRLs (CDP) of this very process, so
what runs ahead of a seal finds them as it would in the world. `stop` is the outage.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from contrib.demo import token

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE: Final = 60.0
REVOKED_AT: Final = datetime(2025, 3, 4, 5, 6, 7, tzinfo=UTC)
REVOKED_FOR: Final = "keyCompromise"

CONFIG: Final = """\
external-url-prefix: "http://127.0.0.1:{port}"
keysets:
  t:
    path-prefix: {keys}
    keys:
      root: {{path: root.pem}}
      issuing: {{path: issuing.pem}}
      ocsp: {{path: ocsp.pem}}
      tsa: {{path: tsa.pem}}
      seal: {{path: seal.pub, public-only: true}}
pki-architectures:
  t:
    keyset: t
    entity-defaults: {{country-name: DE, organization-name: Scanseal Test}}
    entities:
      root: {{common-name: Test Root CA}}
      issuing: {{common-name: Test Issuing CA}}
      ocsp: {{common-name: Test OCSP}}
      tsa: {{common-name: Test TSA}}
      seal: {{common-name: Test Seal}}
    certs:
      root:
        subject: root
        issuer: root
        validity: {{valid-from: "2020-01-01T00:00:00+0000", valid-to: "2100-01-01T00:00:00+0000"}}
        profiles:
          - id: simple-ca
            params: {{crl-repo: root}}
      issuing:
        subject: issuing
        issuer: root
        validity: {{valid-from: "2020-01-01T00:00:00+0000", valid-to: "2100-01-01T00:00:00+0000"}}
        profiles:
          - id: simple-ca
            params: {{max-path-len: 0, crl-repo: issuing, ocsp-service: issuing}}
      ocsp:
        subject: ocsp
        issuer: issuing
        validity: {{valid-from: "2020-01-01T00:00:00+0000", valid-to: "2100-01-01T00:00:00+0000"}}
        profiles: [ocsp-responder]
      tsa: &tsa
        subject: tsa
        issuer: issuing
        validity: {{valid-from: "2020-01-01T00:00:00+0000", valid-to: "2100-01-01T00:00:00+0000"}}
        extensions:
          - id: key_usage
            critical: true
            smart-value: {{schema: key-usage, params: [digital_signature]}}
          - id: extended_key_usage
            critical: true
            value: [time_stamping]
      old-tsa:
        <<: *tsa
        subject-key: tsa
        validity: {{valid-from: "2020-01-01T00:00:00+0000", valid-to: "2021-01-01T00:00:00+0000"}}
      loose-tsa:
        subject: tsa
        subject-key: tsa
        issuer: issuing
        validity: {{valid-from: "2020-01-01T00:00:00+0000", valid-to: "2100-01-01T00:00:00+0000"}}
        extensions:
          - id: key_usage
            critical: true
            smart-value: {{schema: key-usage, params: [digital_signature]}}
          - id: extended_key_usage
            value: [time_stamping]
      seal: &seal
        subject: seal
        issuer: issuing
        validity: {{valid-from: "2020-01-01T00:00:00+0000", valid-to: "2100-01-01T00:00:00+0000"}}
        profiles: [digsig-commitment]
      revoked:
        <<: *seal
        subject-key: seal
        revocation: {{revoked-since: "{revoked}", reason: {reason}}}
    services:
      ocsp:
        issuing: {{for-issuer: issuing, responder-cert: ocsp}}
      crl-repo:
        root: {{for-issuer: root, signing-key: root, simulated-update-schedule: "P30D"}}
        issuing: {{for-issuer: issuing, signing-key: issuing, simulated-update-schedule: "P30D"}}
      time-stamping:
        tsa: {{signing-cert: tsa, certs-to-embed: [issuing]}}
        old: {{signing-cert: old-tsa, signing-key: tsa}}
        loose: {{signing-cert: loose-tsa, signing-key: tsa}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedFiles(token.TokenFiles):
    """A token whose certificate this CA has issued."""

    authority: Path
    """The folder with all certificates of the CA."""

    @property
    def revoked(self) -> Path:
        """Another certificate for the same key, revoked since REVOKED_AT."""
        return self.authority / "revoked.pem"


@dataclass
class Authority:
    """The CA, and the process that answers for it."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/t"

    @property
    def tsa_url(self) -> str:
        return f"{self.url}/tsa/tsa"

    @property
    def old_tsa_url(self) -> str:
        """A TSA whose certificate has expired."""
        return f"{self.url}/tsa/old"

    @property
    def loose_tsa_url(self) -> str:
        """A TSA whose extended key usage is not critical (RFC 3161, 2.3)."""
        return f"{self.url}/tsa/loose"

    @property
    def root(self) -> Path:
        return self.folder / "root.pem"

    @property
    def chain(self) -> Path:
        """Issuing CA and root: the chain of seals and time stamps alike."""
        return self.folder / "chain.pem"

    def certificate(self, name: str) -> bytes:
        """Return a certificate by its name above, in DER."""
        found = x509.load_pem_x509_certificate((self.folder / f"{name}.pem").read_bytes())
        return found.public_bytes(serialization.Encoding.DER)

    def start(self) -> None:
        """Start the process, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "--config", self.folder / "cm.yml", "animate", "--port", str(self.port)],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            try:
                urllib.request.urlopen(f"{self.url}/crls/root/latest.crl", timeout=5).close()  # noqa: S310
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
            else:
                return
        raise AssertionError("certomancer does not answer")

    def stop(self) -> None:
        """End the process: nobody answers any more."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE)
            self.process = None


COMMAND: Final = (sys.executable, "-m", "certomancer")


def found(folder: Path, seal_key: bytes) -> Authority:
    """Make the CA in the new *folder*; *seal_key* is the token's public key in PEM."""
    keys = folder / "keys"
    keys.mkdir(parents=True)
    for name in ("root", "issuing", "ocsp", "tsa"):
        (keys / f"{name}.pem").write_bytes(
            ec.generate_private_key(ec.SECP256R1()).private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    (keys / "seal.pub").write_bytes(seal_key)
    port = free_port()
    config = CONFIG.format(
        port=port, keys=keys, revoked=REVOKED_AT.isoformat(), reason="key_compromise"
    )
    (folder / "cm.yml").write_text(config)
    subprocess.run(
        [
            *COMMAND,
            "--config",
            folder / "cm.yml",
            "mass-summon",
            "--flat",
            "--no-pfx",
            "t",
            folder / "made",
        ],
        check=True,
        capture_output=True,
        timeout=PATIENCE,
    )
    for made in (folder / "made").rglob("*.pem"):
        made.replace(folder / made.name.replace(".cert.pem", ".pem"))
    chain = (folder / "issuing.pem").read_bytes() + (folder / "root.pem").read_bytes()
    (folder / "chain.pem").write_bytes(chain)
    return Authority(folder, port)


@contextmanager
def authority(folder: Path, seal_key: bytes) -> Iterator[Authority]:
    """Make the CA and keep its process until the end."""
    made = found(folder, seal_key)
    made.start()
    try:
        yield made
    finally:
        made.stop()


def token_and_authority(
    folder: Path, *, key: token.KeyKind = "rsa3072"
) -> tuple[IssuedFiles, Authority]:
    """Make a SoftHSM token and the CA that has issued its certificate; the CA is not started."""
    made: list[Authority] = []

    def issued(public: token.PublicKey) -> tuple[x509.Certificate, x509.Certificate]:
        pem = public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        made.append(found(folder / "ca", pem))
        load = x509.load_pem_x509_certificate
        root, seal = (
            load((folder / "ca" / f"{name}.pem").read_bytes()) for name in ("root", "seal")
        )
        return root, seal

    files = token.make_token(folder / "token", pin=token.random_pin(), key=key, issued=issued)
    (ca,) = made
    files.chain.write_bytes(ca.chain.read_bytes())
    return IssuedFiles(folder=files.folder, authority=ca.folder), ca


def free_port() -> int:
    """Return a port on loopback that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
