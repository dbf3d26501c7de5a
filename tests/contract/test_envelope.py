"""What the profile puts beside a cover page: the file as it is, under a seal that names it."""

from __future__ import annotations

import asyncio
import io
import json
from typing import TYPE_CHECKING, Any

import pikepdf
import pytest

from contrib.demo import nss
from daemon import transfernote
from daemon.document import State
from daemon.errors import Refused
from daemon.spool import Spool
from daemon.workers import Workers
from tests.contract.test_sealer import pyhanko_agrees
from tests.sealing import Sealing, sealing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from contrib.demo.token import TokenFiles


def run(
    root: Path, files: TokenFiles, profile: str, work: Callable[[Sealing], Awaitable[None]]
) -> None:
    """Run *work* with a sealer of its own, whose profile says more."""

    async def main() -> None:
        async with sealing(root, files, profile=profile) as here:
            assert await here.key.usable()
            await work(here)

    asyncio.run(main())


async def signed(here: Sealing, source: Path) -> Path:
    """Return a PDF that bears a seal already: one of our own."""
    document = await here.sealer.seal(await here.claim(source), here.key)
    return here.sealer.folder(document) / "sealed.pdf"


def test_a_signed_pdf_goes_unchanged_beside_a_sealed_cover_page(
    tmp_path: Path, drawn: dict[str, Path], seal_token: TokenFiles, trusted: Path
) -> None:
    """It is never signed over; two validators agree about the page that names its digest."""

    async def work(here: Sealing) -> None:
        source = await signed(here, drawn["akte.pdf"])
        document = await here.sealer.seal(await here.claim(source), here.key)

        assert (document.state, document.images, document.checked_at) == (State.FROZEN, 0, None)
        assert document.findings == ("envelope", "already-signed")
        assert document.enveloped
        folder = here.sealer.folder(document)
        assert (folder / "original.pdf").read_bytes() == source.read_bytes()
        sealed = folder / "sealed.pdf"
        await asyncio.to_thread(pyhanko_agrees, sealed, seal_token.ca)
        said = nss.pdfsig(sealed, trusted)
        assert "Signature is Valid." in said, said
        assert "Total document signed" in said, said
        assert str(document.digest).encode() in sealed.read_bytes()
        with pikepdf.open(sealed) as pdf:
            assert len(pdf.pages) == 1
        xml = (folder / "note.xml").read_text("utf-8")
        assert transfernote.ENVELOPE_EN in xml
        assert transfernote.MATCH_EN not in xml
        manifest = json.loads((folder / "manifest.json").read_bytes())
        assert (manifest["images"], manifest["checked_at"]) == (0, None)
        parts = {
            d.target: [part.file for part in d.parts]
            for d in await here.spool(Spool.deliveries, document.id)
        }
        whole = ["original.pdf", "sealed.pdf", "note.xml", "manifest.json", "manifest.p7s"]
        assert parts == {"dms": ["original.pdf", "sealed.pdf"], "archive": whole}

    run(tmp_path, seal_token, 'signed_input = "envelope"', work)


def encrypted(source: Path) -> bytes:
    out = io.BytesIO()
    with pikepdf.open(source) as pdf:
        pdf.save(out, encryption=pikepdf.Encryption(owner="o", user="u"))
    return out.getvalue()


def damaged(source: Path) -> bytes:
    data = source.read_bytes()
    return data.replace(b"/Type /Pages", b"/Type (Pages", 1).replace(b"/Count", b"/Cuont", 1)


@pytest.mark.parametrize(
    ("key", "code", "spoil"),
    [
        ("password", "pdf-encrypted", encrypted),
        ("damaged_pdf", "pdf-damaged", damaged),
    ],
)
def test_what_cannot_be_read_can_be_filed_beside_a_cover_page(
    tmp_path: Path,
    drawn: dict[str, Path],
    seal_token: TokenFiles,
    key: str,
    code: str,
    spoil: Callable[[Path], bytes],
) -> None:
    """By its own key only; every other key leaves it refused, as does none."""
    file = tmp_path / "scan.pdf"
    file.write_bytes(spoil(drawn["brief.pdf"]))

    async def enveloped(here: Sealing) -> None:
        document = await here.sealer.seal(await here.claim(file), here.key)

        assert (document.state, document.code) == (State.FROZEN, "")
        assert document.findings[-2:] == ("envelope", code)
        assert not list(here.config.work_out.iterdir())

    async def refused(here: Sealing) -> None:
        document = await here.sealer.seal(await here.claim(file), here.key)

        assert (document.state, document.code) == (State.REFUSED, code)

    for name, profile, work in (
        ("own", f'{key} = "envelope"', enveloped),
        ("other", 'signed_input = "envelope"', refused),
        ("none", "", refused),
    ):
        (tmp_path / name).mkdir()
        run(tmp_path / name, seal_token, profile, work)


class Liars(Workers):
    """Page workers that a scan has taken over: they would rather have a cover page sealed."""

    async def call(self, task: str, *args: Any, **named: Any) -> Any:
        """Say of every scan that it is a damaged PDF."""
        if task == "prepare":
            raise Refused("pdf-damaged", "qpdf had to guess")
        return await super().call(task, *args, **named)


def test_i10_an_image_goes_beside_no_cover_page_whatever_a_worker_says(
    tmp_path: Path, drawn: dict[str, Path], seal_token: TokenFiles
) -> None:
    """What the profile puts into an envelope only PDFs can have."""

    async def main() -> None:
        profile = 'damaged_pdf = "envelope"'
        async with sealing(tmp_path, seal_token, staff=Liars, profile=profile) as here:
            assert await here.key.usable()
            document = await here.sealer.seal(await here.claim(drawn["foto.jpg"]), here.key)

            assert (document.state, document.code) == (State.REFUSED, "pdf-damaged")

    asyncio.run(main())


def test_an_envelope_after_a_restart_still_brings_its_original_along(
    tmp_path: Path, drawn: dict[str, Path], seal_token: TokenFiles
) -> None:
    """Sealed, and killed before the manifest: the row alone says that it is a cover page."""

    async def work(here: Sealing) -> None:
        source = await signed(here, drawn["brief.pdf"])
        document = await here.claim(source)

        async def killed(*_: object) -> None:
            raise KeyboardInterrupt

        here.sealer._freeze = killed  # type: ignore[method-assign, assignment]
        with pytest.raises(KeyboardInterrupt):
            await here.sealer.seal(document, here.key)
        del here.sealer._freeze
        document = await here.spool(Spool.document, document.id)
        assert (document.state, document.step) == (State.SEALED, "freeze")
        await here.spool(Spool.started, "another boot", document.claimed_at)
        document = await here.sealer.freeze(await here.spool(Spool.document, document.id), here.key)
        delivery = await here.spool(Spool.delivery, document.id, "dms")
        assert [part.role for part in delivery.parts] == ["original", "sealed"]

    run(tmp_path, seal_token, 'signed_input = "envelope"', work)
