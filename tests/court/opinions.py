"""Three validators that are not ours, and what each says of one sealed file.

    pdfsig    poppler with NSS
    pyhanko   pyHanko with its own reader of PDFs
    pdfbox    PDFBox with Bouncy Castle, in `Validate.java`

Each is asked the same, with one trusted root: is the signature that of these bytes, does
it cover the whole file, does its certificate lead to the root, and who signed with which
digest. An opinion is theirs: nothing is computed here. Beside them `openssl cms` is asked
about the bytes alone, of the file and of the manifest.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from asn1crypto import pem, x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko_certvalidator import ValidationContext

from contrib.demo import nss

if TYPE_CHECKING:
    from types import TracebackType

JARS: Final = ("pdfbox2", "fontbox2", "commons-logging", "bcprov", "bcpkix", "bcutil")
"""Debian's libpdfbox2-java, libbcprov-java, libbcpkix-java and libbcutil-java."""
SEAL_USAGE: Final = KeyUsageConstraints(key_usage={"non_repudiation"})


@dataclass(frozen=True)
class Opinion:
    """What one validator says of a file."""

    intact: bool
    """The signature is that of the bytes it says it covers."""
    whole: bool
    """It covers all of the file but its own place."""
    trusted: bool | None
    """Its certificate leads to the root; None if this one cannot say."""
    digest: str = ""
    signer: str = ""
    permissions: str | None = None
    """What DocMDP allows, "" without a certification; None if this one does not say."""
    stamp: str | None = None
    """The time in the trusted time stamp, "" if there is none; None if this one does not say."""
    complaints: tuple[str, ...] = field(default=(), compare=False)
    """In its own words."""

    @property
    def valid(self) -> bool:
        """Whether there is nothing against the file."""
        return self.intact and self.whole and self.trusted is not False and not self.complaints


def pdfsig(file: Path, database: Path, *, asks_others: bool = False) -> Opinion:
    """Return what poppler and NSS say; *database* trusts the root.

    *asks_others*: its certificate names a server or a list, which pdfsig wants to ask
    before it calls the certificate trusted. They may be gone, and then it cannot say.
    """
    try:
        said = nss.pdfsig(file, database)
    except RuntimeError as exc:
        return Opinion(intact=False, whole=False, trusted=False, complaints=(str(exc),))
    trusted = said.count("Certificate is Trusted.") == 1
    return Opinion(
        intact=said.count("Signature is Valid.") == 1,
        whole=said.count("Total document signed") == 1,
        trusted=None if asks_others and not trusted else trusted,
        digest=_after("Signing Hash Algorithm", said),
        signer=_after("Signer Certificate Common Name", said),
    )


def _after(title: str, said: str) -> str:
    found = re.findall(rf"- {title}: (.*)", said)
    return found[0] if len(found) == 1 else ""


def pyhanko(file: Path, root: Path) -> Opinion:
    """Return what pyHanko says; whatever it raises is its verdict."""
    try:
        return _pyhanko(file, root)
    except Exception as exc:  # noqa: BLE001 (a damaged file may raise anything)
        said = f"{type(exc).__name__}: {exc}"
        return Opinion(intact=False, whole=False, trusted=False, complaints=(said,))


def _pyhanko(file: Path, root: Path) -> Opinion:
    _, _, der = pem.unarmor(root.read_bytes())
    context = ValidationContext(trust_roots=[x509.Certificate.load(der)], allow_fetching=False)
    with file.open("rb") as stream:
        reader = PdfFileReader(stream)
        (signature,) = reader.embedded_signatures
        status = validate_pdf_signature(signature, context, key_usage_settings=SEAL_USAGE)
        certified = "/Perms" in reader.root
        level = signature.docmdp_level
    complaints = [] if status.bottom_line and status.docmdp_ok else [status.summary()]
    stamped = status.timestamp_validity
    stamp = ""
    if stamped is not None:
        good = stamped.valid and stamped.intact and stamped.trusted
        stamp = stamped.timestamp.isoformat(timespec="milliseconds") if good else "not trusted"
    return Opinion(
        intact=status.intact and status.valid,
        whole=status.coverage is not None and status.coverage.name == "ENTIRE_FILE",
        trusted=status.trusted,
        digest=status.md_algorithm.upper().replace("SHA", "SHA-"),
        signer=status.signing_cert.subject.native["common_name"],
        permissions=str(level.value) if certified and level is not None else "",
        stamp=stamp,
        complaints=tuple(complaints),
    )


class PdfBox:
    """PDFBox with Bouncy Castle: one Java process for many files, for it is slow to start."""

    def __init__(self, classes: Path) -> None:
        """Compile into the folder *classes*, and start."""
        path = ":".join(f"/usr/share/java/{name}.jar" for name in JARS)
        source = Path(__file__).with_name("Validate.java")
        subprocess.run(["javac", "-d", classes, "-cp", path, source], check=True)
        self._process = subprocess.Popen(
            ["java", "-Xss16m", "-Djava.awt.headless=true", "-cp", f"{classes}:{path}", "Validate"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # PDFBox tells there what it thinks of fonts
            text=True,
        )

    def __enter__(self) -> Self:
        """It is running already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def opinion(self, file: Path, root: Path) -> Opinion:
        """Return what it says."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{root.absolute()}\t{file.absolute()}\n")
        self._process.stdin.flush()
        said = json.loads(self._process.stdout.readline())
        return Opinion(**said | {"complaints": tuple(said["complaints"])})


def openssl(cms: bytes, content: Path, root: Path, place: Path) -> str:
    """Return what `openssl cms` says against a detached CMS of *content*, "" if nothing."""
    (place / "cms").write_bytes(cms)
    done = subprocess.run(
        [
            *("openssl", "cms", "-verify", "-cades", "-inform", "DER", "-binary"),
            *("-purpose", "any", "-in", place / "cms", "-content", content),
            *("-CAfile", root, "-out", "/dev/null"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stderr
