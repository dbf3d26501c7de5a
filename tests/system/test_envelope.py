"""A PDF that is signed already, all the way: the real service, and both targets in the end."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from contrib.demo import nss
from daemon.document import State
from tests.contract.test_sealer import pyhanko_agrees
from tests.system.test_whole_path import sha256

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.system.box import Box


def test_a_signed_pdf_reaches_both_targets_as_it_is_beside_its_cover_page(
    make_box: Callable[..., Box], drawn: dict[str, Path], trusted: Path, tmp_path: Path
) -> None:
    """Byte for byte, and its digest under a seal that two validators call valid (I4)."""
    box = make_box(profile='signed_input = "envelope"').start()
    box.drop(drawn["brief.pdf"])
    box.wait(box.at_rest(1), "the first one filed")
    (first,) = box.documents()
    signed = tmp_path / "signed.pdf"
    signed.write_bytes((box.root / "dms" / first.id / "sealed.pdf").read_bytes())
    box.drop(signed)
    box.wait(box.at_rest(2), "both filed")

    document = box.documents()[1]
    assert (document.state, document.findings[-2:]) == (
        State.FILED,
        ("envelope", "already-signed"),
    )
    dms, archive = box.root / "dms" / document.id, box.root / "archive" / document.id
    assert {path.name for path in dms.iterdir()} == {"original.pdf", "sealed.pdf"}
    for place in (dms, archive):
        assert (place / "original.pdf").read_bytes() == signed.read_bytes()
        cover = place / "sealed.pdf"
        assert sha256(signed).encode() in cover.read_bytes()
        said = nss.pdfsig(cover, trusted)
        assert "Signature is Valid." in said, said
        assert "Certificate is Trusted." in said, said
        assert "Total document signed" in said, said
        asyncio.run(asyncio.to_thread(pyhanko_agrees, cover, box.token.ca))
    stated = {
        part["file"]: part["sha256"]
        for part in json.loads((archive / "manifest.json").read_bytes())["parts"]
    }
    assert stated["original.pdf"] == sha256(signed)
    # The file's own seal is as good as it was.
    assert "Signature is Valid." in nss.pdfsig(dms / "original.pdf", trusted)
    assert box.command("ledger", "verify").returncode == 0
    assert box.stop() == 0


def test_without_the_policy_it_is_refused_and_comes_back(
    make_box: Callable[..., Box], drawn: dict[str, Path], tmp_path: Path
) -> None:
    """The default: nothing that is signed goes past a person unseen."""
    box = make_box().start()
    box.drop(drawn["brief.pdf"])
    box.wait(box.at_rest(1), "the first one filed")
    (first,) = box.documents()
    signed = tmp_path / "signed.pdf"
    signed.write_bytes((box.root / "dms" / first.id / "sealed.pdf").read_bytes())
    box.drop(signed)
    box.wait(box.at_rest(2), "the second one refused")

    document = box.documents()[1]
    assert (document.state, document.code) == (State.REFUSED, "already-signed")
    assert not (box.root / "dms" / document.id).exists()
    assert not (box.folder(document) / "sealed.pdf").exists()
