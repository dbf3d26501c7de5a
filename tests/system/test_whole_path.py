"""One scan, all the way: the real service, from the hot folder to both targets."""

from __future__ import annotations

import hashlib
import json
import subprocess
from typing import TYPE_CHECKING

from contrib.demo import nss, scanner
from daemon.document import State
from tests.system.box import Box

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from contrib.demo.token import TokenFiles
    from daemon.document import Document

MakeBox = "Callable[..., Box]"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def assert_filed_whole(box: Box, document: Document, source: Path) -> None:
    """Assert everything that "filed" promises of one document."""
    assert document.state is State.FILED
    folder = box.folder(document)
    (original,) = folder.glob("original.*")
    assert original.read_bytes() == source.read_bytes()
    digest = sha256(source)
    archived = box.root / "archive" / document.id
    manifest = json.loads((archived / "manifest.json").read_bytes())
    stated = {part["file"]: part["sha256"] for part in manifest["parts"]}
    assert stated[original.name] == digest
    assert all(sha256(archived / name) == value for name, value in stated.items())
    assert set(stated) | {"manifest.json", "manifest.p7s"} == {p.name for p in archived.iterdir()}
    assert sha256(box.root / "dms" / document.id / "sealed.pdf") == stated["sealed.pdf"]
    assert digest in (folder / "note.xml").read_text()
    assert digest.encode() in (folder / "sealed.pdf").read_bytes()  # the XMP is not compressed
    lines = box.reader().lines(document.id)
    assert json.loads(lines[0])["detail"]["sha256"] == digest
    assert [json.loads(line)["event"] for line in lines].count("seal") == 1


def test_drawn_scans_of_each_kind_are_sealed_filed_and_proven(
    make_box: Callable[..., Box], drawn: dict[str, Path], trusted: Path
) -> None:
    """Every kind of input ends in both targets, and two validators that are not ours agree."""
    box = make_box().start()
    for number, (name, source) in enumerate(drawn.items()):
        scanner.drop(source, box.root / "hot", name, pieces=3, seconds=0.2 * number)

    box.wait(box.at_rest(len(drawn)), "all filed")

    by_digest = {str(document.digest): document for document in box.documents()}
    for source in drawn.values():
        document = by_digest[sha256(source)]
        assert_filed_whole(box, document, source)
        sealed = box.root / "dms" / document.id / "sealed.pdf"
        said = nss.pdfsig(sealed, trusted)
        assert "Signature is Valid." in said, said
        assert "Certificate is Trusted." in said, said
        assert "Total document signed" in said, said
        assert "ETSI.CAdES.detached" in said, said
        verified = box.command("verify", sealed)
        assert verified.returncode == 0, verified.stdout
    assert not [path for path in (box.root / "hot").iterdir() if path.is_file()]
    assert box.status()["all_well"] is True
    assert box.command("ledger", "verify").returncode == 0
    assert box.stop() == 0


def test_the_archives_manifest_is_verified_by_openssl(
    make_box: Callable[..., Box], drawn: dict[str, Path]
) -> None:
    """What stands beside the original in the archive proves itself without our code."""
    box = make_box().start()
    box.drop(drawn["foto.jpg"])
    box.wait(box.at_rest(1), "filed")
    (document,) = box.documents()
    archived = box.root / "archive" / document.id

    command: list[str | Path] = ["openssl", "cms", "-verify", "-binary", "-inform", "DER"]
    command += ["-purpose", "any"]
    command += ["-in", archived / "manifest.p7s", "-content", archived / "manifest.json"]
    command += ["-CAfile", box.token.ca, "-out", "/dev/null"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    modes = {path.stat().st_mode & 0o777 for path in archived.iterdir()}
    assert modes == {0o440}


def test_an_ecdsa_key_seals_as_well(
    make_box: Callable[..., Box],
    drawn: dict[str, Path],
    p256_token: TokenFiles,
    tmp_path: Path,
) -> None:
    """P-256: the signatures vary in length, and poppler and pyHanko still agree."""
    box = make_box(token=p256_token).start()
    box.drop(drawn["brief.pdf"])
    box.wait(box.at_rest(1), "filed")
    (document,) = box.documents()

    assert_filed_whole(box, document, drawn["brief.pdf"])
    sealed = box.root / "dms" / document.id / "sealed.pdf"
    said = nss.pdfsig(sealed, nss.trust(p256_token.ca, tmp_path / "nss"))
    assert "Signature is Valid." in said, said
    assert "Total document signed" in said, said
    assert box.command("verify", sealed).returncode == 0
