"""Every sealed file of a test run, judged in one go when the run ends.

`tests/sealing.py` and `tests/system/box.py` hand over what they have committed as sealed
when they are taken down, whatever the test was about. Who is not running under pytest
(`make torture`, the bench) has no docket: nothing is kept.
"""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from asn1crypto import cms, pem, x509

from contrib.demo import nss
from daemon import durable
from tests.court import opinions
from tests.court.opinions import Opinion, PdfBox

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.document import Document

AT_ONCE: Final = 2


@dataclass(frozen=True)
class Exhibit:
    """A sealed file of some test."""

    file: Path
    root: Path
    gap: tuple[int, int]
    """Where the CMS stands, as committed."""
    test: str
    manifest: tuple[Path, Path] | None = None
    """The manifest and its CMS, if it has been frozen."""


class Docket:
    """What a test run has sealed."""

    def __init__(self, place: Path) -> None:
        """Keep it in the folder *place*."""
        self._place = place
        self._seen: set[str] = set()
        self._trusted: dict[bytes, bytes] = {}
        self.exhibits: list[Exhibit] = []

    def trust(self, *certificates: bytes) -> None:
        """Trust the roots among *certificates*, which a test has made, besides those handed over."""
        for der in certificates:
            if x509.Certificate.load(der).self_signed != "no":
                self._trusted[der] = pem.armor("CERTIFICATE", der)

    def hand_over(self, documents: Iterable[tuple[Document, Path]], root: Path) -> None:
        """Take the sealed file of each document, by its folder, if it is the one committed.

        A file that a test has exchanged or removed is not what was sealed.
        """
        for document, folder in documents:
            file = folder / "sealed.pdf"
            if document.sealed is None or document.gap is None or not file.is_file():
                continue
            if durable.digest_of(file) != (document.sealed, document.sealed_size):
                continue
            if str(document.sealed) not in self._seen:
                self._seen.add(str(document.sealed))
                self.add(file, document.gap, root)

    def add(self, file: Path, gap: tuple[int, int], root: Path) -> None:
        """Take a sealed file, and the manifest beside it if there is one."""
        place = self._place / f"{len(self.exhibits)}"
        place.mkdir()
        _keep(file, place / "sealed.pdf")
        (place / "root.pem").write_bytes(self._root(_seal_of(file, gap), root))
        frozen = (place / "manifest.json", place / "manifest.p7s")
        for path in frozen:
            if file.with_name(path.name).is_file():
                _keep(file.with_name(path.name), path)
        if frozen[1].exists():
            # It may be another one: the key was changed between the two seals.
            (place / "manifest.pem").write_bytes(self._root(frozen[1].read_bytes(), root))
        self.exhibits.append(
            Exhibit(
                place / "sealed.pdf",
                place / "root.pem",
                gap,
                os.environ.get("PYTEST_CURRENT_TEST", "").split(" ")[0],
                frozen if all(path.exists() for path in frozen) else None,
            )
        )

    def _root(self, made: bytes, root: Path) -> bytes:
        """Return the root for a CMS: one that a test trusts besides, or that of its token."""
        trusted = [self._trusted[one] for one in _certificates(made) if one in self._trusted]
        return trusted[0] if trusted else root.read_bytes()

    def judged(self) -> list[str]:
        """Return what there is to say against all of them, by file and test."""
        if not self.exhibits:
            return []
        databases: dict[bytes, Path] = {}
        for exhibit in self.exhibits:
            if (root := exhibit.root.read_bytes()) not in databases:
                databases[root] = exhibit.file.parent / "nss"
                if not databases[root].exists():
                    nss.trust(exhibit.root, databases[root])
        with PdfBox(self._place) as pdfbox, ThreadPoolExecutor(AT_ONCE) as others:
            poppler = [
                others.submit(_pdfsig, exhibit, databases[exhibit.root.read_bytes()])
                for exhibit in self.exhibits
            ]
            found = []
            for exhibit, asked in zip(self.exhibits, poppler, strict=True):
                said = {
                    "pdfsig": asked.result(),
                    "pyhanko": opinions.pyhanko(exhibit.file, exhibit.root),
                    "pdfbox": pdfbox.opinion(exhibit.file, exhibit.root),
                }
                complaints = disagreement(said, brainpool=_brainpool(exhibit))
                complaints += _openssl(exhibit)
                found += [f"{exhibit.file} of {exhibit.test}: {one}" for one in complaints]
        return found


def disagreement(said: dict[str, Opinion], *, brainpool: bool = False) -> list[str]:
    """Return what is wrong with the opinions: each has to call it valid, and the same.

    *brainpool*: NSS knows no such curve; only what else it sees is asked of it.
    """
    found = [
        f"{who}: {opinion}"
        for who, opinion in said.items()
        if not (opinion.valid or (brainpool and who == "pdfsig" and opinion.whole))
    ]
    for what in ("digest", "signer", "permissions", "stamp"):
        values = {getattr(one, what) for one in said.values() if one.valid} - {None}
        if len(values) > 1:
            found.append(f"they disagree on its {what}: {sorted(values)}")
    return found


def _keep(file: Path, target: Path) -> None:
    # A link, for some are large, and nobody writes to a sealed file.
    try:
        target.hardlink_to(file)
    except OSError:
        shutil.copyfile(file, target)


def _pdfsig(exhibit: Exhibit, database: Path) -> Opinion:
    certificate = _certificate(exhibit)
    asks = bool(certificate.ocsp_urls or certificate.crl_distribution_points)
    return opinions.pdfsig(exhibit.file, database, asks_others=asks)


def _openssl(exhibit: Exhibit) -> list[str]:
    place = exhibit.file.parent
    before, seal, behind = _split(exhibit)
    (place / "covered").write_bytes(before + behind)
    asked = {"the file's CMS": (seal, place / "covered", exhibit.root)}
    if exhibit.manifest:
        manifest, detached = exhibit.manifest
        root = place / "manifest.pem"
        asked["the manifest's CMS"] = (detached.read_bytes(), manifest, root)
    found = []
    for what, (made, content, root) in asked.items():
        if said := opinions.openssl(made, content, root, place):
            found.append(f"openssl on {what}: {said}")
    (place / "covered").unlink()
    return found


def _split(exhibit: Exhibit) -> tuple[bytes, bytes, bytes]:
    """Return what stands before the gap, the CMS without its padding, and what stands behind."""
    data = exhibit.file.read_bytes()
    start, end = exhibit.gap
    gap = bytes.fromhex(data[start + 1 : end - 1].decode())
    return data[:start], cms.ContentInfo.load(gap).dump(), data[end:]


def _seal_of(file: Path, gap: tuple[int, int]) -> bytes:
    with file.open("rb") as stream:
        stream.seek(gap[0] + 1)
        return bytes.fromhex(stream.read(gap[1] - gap[0] - 2).decode())


def _certificates(made: bytes) -> list[bytes]:
    seal = cms.ContentInfo.load(made)
    return [one.chosen.dump() for one in seal["content"]["certificates"]]


def _certificate(exhibit: Exhibit) -> x509.Certificate:
    signed = cms.ContentInfo.load(_split(exhibit)[1])["content"]
    (signer,) = signed["signer_infos"]
    serial = signer["sid"].chosen["serial_number"].native
    (found,) = [one.chosen for one in signed["certificates"] if one.chosen.serial_number == serial]
    return found


def _brainpool(exhibit: Exhibit) -> bool:
    key = _certificate(exhibit).public_key
    return key.algorithm == "ec" and "brainpool" in str(key.curve[1])


class Open:
    """The docket of this run; None where nobody judges."""

    docket: Docket | None = None


def hand_over(documents: Iterable[tuple[Document, Path]], root: Path) -> None:
    """Hand what was sealed to the docket of this run, if there is one."""
    if Open.docket is not None:
        Open.docket.hand_over(documents, root)


def add(file: Path, gap: tuple[int, int], root: Path) -> None:
    """Hand over a sealed file that no spool knows."""
    if Open.docket is not None:
        Open.docket.add(file, gap, root)


def trust(*certificates: bytes) -> None:
    """Trust the roots among what a test has made, in this run."""
    if Open.docket is not None:
        Open.docket.trust(*certificates)
