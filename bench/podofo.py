"""What `podofosign` takes for one file: a C++ command line, with a key in a file."""

from __future__ import annotations

import subprocess
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

BITS: Final = 3072
"""As many as the token's key has."""


class Podofo:
    """The command with a key and a certificate that were made for it."""

    def __init__(self, folder: Path) -> None:
        """Make both in the new *folder*; they are worth nothing outside of it."""
        folder.mkdir()
        self._key, self._certificate = folder / "key.pem", folder / "certificate.pem"
        key = rsa.generate_private_key(public_exponent=65537, key_size=BITS)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
        self._key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        self._certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def sign(self, source: Path, target: Path) -> float:
        """Sign *source* into *target*; return the seconds that the process took."""
        key, certificate = str(self._key), str(self._certificate)
        command = ["podofosign", "-in", str(source), "-out", str(target), "-digest", "SHA256"]
        begun = time.perf_counter()
        subprocess.run(
            [*command, "-cert", certificate, "-pkey", key], check=True, capture_output=True
        )
        taken = time.perf_counter() - begun
        if b"/ByteRange" not in target.read_bytes():
            raise RuntimeError("podofosign signed nothing")
        return taken
