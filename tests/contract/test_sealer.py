"""A seal, from CLAIMED to FROZEN, with real workers and a real token: good ones, and bad days."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pikepdf
import pytest
from asn1crypto import pem, x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from contrib.demo import nss
from daemon import cms, durable, gap, pagetasks
from daemon.document import Digest, Document, State
from daemon.errors import PermanentError, TransientError, WorkerDied
from daemon.prepare import Prepared
from daemon.spool import Spool
from daemon.workplace import Workplace, own_copy
from tests.sealing import Sealing, now, sealing
from tests.unit.pages_samples import NOTE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from contrib.demo.token import TokenFiles

KINDS = ("brief.pdf", "akte.pdf", "fax.tif", "foto.jpg", "antrag.png")


def run(
    root: Path, files: TokenFiles, work: Callable[[Sealing], Awaitable[None]], profile: str = ""
) -> None:
    """Run *work* with a sealer of its own, with *profile* in its profile."""

    async def main() -> None:
        async with sealing(root, files, profile=profile) as here:
            await work(here)

    asyncio.run(main())


def sealed_file(here: Sealing, document: Document) -> Path:
    return here.sealer.folder(document) / "sealed.pdf"


def pyhanko_agrees(file: Path, ca: Path) -> None:
    """Assert that pyHanko calls the one signature valid, trusted and over the whole file."""
    _, _, der = pem.unarmor(ca.read_bytes())
    context = ValidationContext(trust_roots=[x509.Certificate.load(der)], allow_fetching=False)
    with file.open("rb") as stream:
        (signature,) = PdfFileReader(stream).embedded_signatures
        status = validate_pdf_signature(signature, context)
    assert status.bottom_line, status.summary()
    assert status.coverage is not None
    assert status.coverage.name == "ENTIRE_FILE"
    assert status.docmdp_ok


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_sealed_and_two_validators_agree(
    name: str, tmp_path: Path, drawn: dict[str, Path], seal_token: TokenFiles, trusted: Path
) -> None:
    """PAdES B-B, certified, RSA-PSS: poppler/NSS and pyHanko say valid and whole."""

    async def work(here: Sealing) -> None:
        assert await here.key.usable()
        document = await here.sealer.seal(await here.claim(drawn[name]), here.key)

        assert document.state is State.FROZEN
        file = sealed_file(here, document)
        await asyncio.to_thread(pyhanko_agrees, file, seal_token.ca)
        said = nss.pdfsig(file, trusted)
        assert "Signature is Valid." in said, said
        assert "Total document signed" in said, said
        assert "Certificate is Trusted." in said, said
        assert "/GTS_PDFA1" in file.read_bytes().decode("latin-1")
        assert durable.digest_of(file) == (document.sealed, document.sealed_size)
        parts = {p.role for d in await here.spool(Spool.deliveries, document.id) for p in d.parts}
        assert parts == {"original", "sealed", "note", "manifest", "manifest-seal"}

    run(tmp_path, seal_token, work)


def test_p256_is_sealed_and_two_validators_agree(
    tmp_path: Path, drawn: dict[str, Path], p256_token: TokenFiles
) -> None:
    """ECDSA signatures vary in length: twenty of them, each re-encoded and valid."""

    async def work(here: Sealing) -> None:
        assert await here.key.usable()
        trusted = nss.trust(p256_token.ca, tmp_path / "nss")
        for number in range(20):
            document = await here.sealer.seal(await here.claim(drawn["brief.pdf"]), here.key)
            assert document.state is State.FROZEN
            await asyncio.to_thread(pyhanko_agrees, sealed_file(here, document), p256_token.ca)
            if number == 0:
                said = nss.pdfsig(sealed_file(here, document), trusted)
                assert "Signature is Valid." in said, said

    run(tmp_path, p256_token, work)


class CrookedKey:
    """A key whose token gives back something else than a signature, or nothing."""

    def __init__(self, real: Sealing, spoil: Callable[[bytes], bytes]) -> None:
        self._real = real.key
        self._spoil = spoil

    @property
    def template(self) -> cms.Template:
        return self._real.template

    @property
    def environment(self) -> str:
        return self._real.environment

    def qualified(self, certificate: bytes = b"") -> str:
        return self._real.qualified(certificate)

    async def sign(self, attributes: bytes, template: cms.Template) -> bytes:
        return self._spoil(await self._real.sign(attributes, template))


def flipped(signature: bytes) -> bytes:
    return signature[:-1] + bytes([signature[-1] ^ 1])


def test_a_signature_that_does_not_verify_is_never_committed(
    tmp_path: Path, drawn: dict[str, Path], seal_token: TokenFiles
) -> None:
    """A token that returns one wrong bit: no SEALED line, sealing pauses, the scan is safe (I4)."""

    async def work(here: Sealing) -> None:
        assert await here.key.usable()
        document = await here.claim(drawn["brief.pdf"])
        for _ in range(3):  # however often: another one's document would be refused for it (I8)
            with pytest.raises(TransientError) as caught:
                await here.sealer.seal(document, CrookedKey(here, flipped))

            assert caught.value.code == "signature-invalid"
            document = await here.spool(Spool.document, document.id)
            assert (document.state, document.tries, document.sealed) == (State.CLAIMED, 0, None)
            assert not (here.sealer.folder(document) / "sealed.pdf").exists()
        lines = [json.loads(line)["event"] for line in await here.spool(Spool.lines, document.id)]
        assert lines == ["claim"]
        document = await here.sealer.seal(document, here.key)
        assert document.state is State.FROZEN

    run(tmp_path, seal_token, work)


def test_a_token_that_cannot_sign_gives_the_document_back(
    tmp_path: Path, drawn: dict[str, Path], seal_token: TokenFiles
) -> None:
    """The HSM's trouble is never the document's: no try is counted, nothing is left in work."""

    def away(_: bytes) -> bytes:
        raise TransientError("hsm-died", "gone")

    async def work(here: Sealing) -> None:
        assert await here.key.usable()
        document = await here.claim(drawn["brief.pdf"])
        with pytest.raises(TransientError):
            await here.sealer.seal(document, CrookedKey(here, away))

        document = await here.spool(Spool.document, document.id)
        assert (document.state, document.tries, document.step) == (State.CLAIMED, 0, "")
        assert not list(here.config.work_in.iterdir())
        assert not list(here.config.work_out.iterdir())

    run(tmp_path, seal_token, work)


def test_a_page_worker_that_dies_counts_against_its_document(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path], big_pdf: Path
) -> None:
    """Twice killed in the middle, from outside: refused as crashed-here, the next is sealed."""

    async def work(here: Sealing) -> None:
        assert await here.key.usable()
        document = await here.claim(big_pdf)
        await here.sealer.seal(await here.claim(drawn["brief.pdf"]), here.key)
        for tries in (1, 2):
            task = asyncio.create_task(here.sealer.seal(document, here.key))
            while not any(p.name.startswith(document.id) for p in here.config.work_out.iterdir()):
                await asyncio.sleep(0)
            assert here.worker.pid is not None
            os.kill(here.worker.pid, signal.SIGKILL)
            document = await task
            if tries == 1:
                assert (document.state, document.tries) == (State.CLAIMED, 1)

        assert (document.state, document.code) == (State.REFUSED, "crashed-here")
        other = await here.sealer.seal(await here.claim(drawn["brief.pdf"]), here.key)
        assert other.state is State.FROZEN

    run(tmp_path, seal_token, work)


def test_a_document_that_is_larger_than_the_profile_allows_is_refused(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path]
) -> None:
    """It is claimed and kept, and nobody parses it."""

    async def work(here: Sealing) -> None:
        document = await here.claim(drawn["brief.pdf"])
        large = replace(document, size=(1024 << 20) + 1)
        document = await here.sealer.seal(large, here.key)

        assert (document.state, document.code) == (State.REFUSED, "too-large")
        assert here.worker.pid is None

    run(tmp_path, seal_token, work)


@pytest.mark.parametrize("offset", [100, -100])
def test_a_byte_that_changed_on_disk_is_seen_when_reading_back(
    tmp_path: Path, drawn: dict[str, Path], seal_token: TokenFiles, offset: int
) -> None:
    """One flipped bit before or after the gap: the digest is another one than was signed."""

    async def work(here: Sealing) -> None:
        assert await here.key.usable()
        document = await here.sealer.seal(await here.claim(drawn["brief.pdf"]), here.key)
        file = sealed_file(here, document)
        data = bytearray(file.read_bytes())
        start = data.index(b"/Contents <") + len(b"/Contents ")
        hole = gap.Gap(start, data.index(b">", start) + 1, len(data))
        data[offset] ^= 1
        file.write_bytes(data)
        contents = Digest.of(bytes.fromhex(bytes(data[hole.start + 1 : hole.end - 1]).decode()))
        seen = gap.read_back(file, hole, hole.byte_range, contents)

        template = here.key.template
        with pytest.raises(PermanentError, match="seal-invalid"):
            cms.check(gap.contents_of(seen), seen.signed, template.certificate, template.chain)

    run(tmp_path, seal_token, work)


def test_the_note_beside_the_file_says_what_the_note_inside_says(
    tmp_path: Path, drawn: dict[str, Path], seal_token: TokenFiles
) -> None:
    """XMP in the file and XML beside it: the original's digest, the ledger, the finding."""

    async def work(here: Sealing) -> None:
        assert await here.key.usable()
        document = await here.sealer.seal(await here.claim(drawn["foto.jpg"]), here.key)
        xml = (here.sealer.folder(document) / "note.xml").read_text(encoding="utf-8")
        inside = sealed_file(here, document).read_bytes()
        for said in (str(document.digest), document.ledger_hash, "K 17", document.id):
            assert said in xml
            assert said.encode() in inside
        assert b"foto" not in inside
        assert "foto" not in xml
        assert document.checked_at is not None
        assert document.sealed_at is not None
        assert document.claimed_at <= document.checked_at <= now()

    run(tmp_path, seal_token, work)


@pytest.mark.parametrize("name", ["brief.pdf", "foto.jpg", "fax.tif"])
def test_the_attached_note_is_the_note_beside_the_file(
    name: str, tmp_path: Path, drawn: dict[str, Path], seal_token: TokenFiles, trusted: Path
) -> None:
    """PDF/A-3b: the same bytes in the file and beside it, and the seal is as valid."""

    async def work(here: Sealing) -> None:
        assert await here.key.usable()
        document = await here.sealer.seal(await here.claim(drawn[name]), here.key)
        file = sealed_file(here, document)
        xml = (here.sealer.folder(document) / "note.xml").read_bytes()

        with pikepdf.open(file) as made:
            assert made.attachments["transfernote.xml"].get_file().read_bytes() == xml
            assert made.Root.AF[0].AFRelationship == "/Data"
        assert b"<pdfa>3b</pdfa>" in xml
        assert "Signature is Valid." in nss.pdfsig(file, trusted)
        await asyncio.to_thread(pyhanko_agrees, file, seal_token.ca)

    run(tmp_path, seal_token, work, profile='pdfa = "3b"')


class RenewedKey(CrookedKey):
    """A key whose certificate is exchanged while it signs: its template has to be made anew."""

    signatures = 0

    @property
    def template(self) -> cms.Template:
        if self.signatures:
            raise TransientError("template-invalid", "there is no CMS template yet")
        return self._real.template

    async def sign(self, attributes: bytes, template: cms.Template) -> bytes:
        self.signatures += 1
        return await self._real.sign(attributes, template)


def test_a_certificate_that_is_exchanged_meanwhile_leaves_no_document_in_a_step(
    tmp_path: Path, drawn: dict[str, Path], seal_token: TokenFiles
) -> None:
    """A row that stays in a step is begun by nobody before the next start."""

    async def work(here: Sealing) -> None:
        assert await here.key.usable()
        document = await here.claim(drawn["brief.pdf"])
        key = RenewedKey(here, lambda signature: signature)
        with pytest.raises(TransientError):
            await here.sealer.seal(document, key)

        document = await here.spool(Spool.document, document.id)
        assert (document.state, document.step) == (State.SEALED, "")
        assert await here.spool(Spool.in_state, State.SEALED, 5) == [document]
        with pytest.raises(TransientError):
            await here.sealer.freeze(document, key)
        assert (await here.spool(Spool.document, document.id)).step == ""

    run(tmp_path, seal_token, work)


@pytest.mark.parametrize("how", ["changed", "gone"])
def test_an_original_that_is_not_what_was_claimed_is_not_sealed(
    tmp_path: Path, drawn: dict[str, Path], seal_token: TokenFiles, how: str
) -> None:
    """Bit rot between claim and seal: the note would state the digest of other pages (I4, I12)."""

    async def work(here: Sealing) -> None:
        assert await here.key.usable()
        document = await here.claim(drawn["brief.pdf"])
        original = here.sealer.original(document)
        if how == "changed":
            original.write_bytes(drawn["akte.pdf"].read_bytes())
        else:
            original.unlink()
        document = await here.sealer.seal(document, here.key)

        assert (document.state, document.code) == (State.REFUSED, "own-copy-damaged")
        assert not sealed_file(here, document).exists()

    run(tmp_path, seal_token, work)


class SecondCrookedKey(CrookedKey):
    """A key whose second signature is wrong: that of the manifest."""

    signatures = 0

    async def sign(self, attributes: bytes, template: cms.Template) -> bytes:
        self.signatures += 1
        signature = await self._real.sign(attributes, template)
        return flipped(signature) if self.signatures > 1 else signature


def test_a_bad_signature_of_the_manifest_does_not_end_the_process(
    tmp_path: Path, drawn: dict[str, Path], seal_token: TokenFiles
) -> None:
    """Sealed, and its manifest is not: tried again, never counted; the stage goes on."""

    async def work(here: Sealing) -> None:
        assert await here.key.usable()
        document = await here.claim(drawn["brief.pdf"])
        with pytest.raises(TransientError) as caught:
            await here.sealer.seal(document, SecondCrookedKey(here, bytes))

        assert caught.value.code == "signature-invalid"
        document = await here.spool(Spool.document, document.id)
        assert (document.state, document.tries, document.step) == (State.SEALED, 0, "")
        assert (await here.sealer.freeze(document, here.key)).state is State.FROZEN

    run(tmp_path, seal_token, work)


SAID = Prepared(
    kind="pdf",
    images=3,
    findings=("page-blank", "transcoded"),
    finding_pages=("page-blank:1,3", "transcoded:2"),
    pdfa="2b",
    pages_digest=None,
    transcoded=False,
    gap_start=10,
    gap_end=20,
    size=30,
    checked_at="2026-11-22T10:00:00.000Z",
)


@pytest.mark.parametrize(
    "lie",
    [
        {"kind": "Akte von M"},
        {"checked_at": "yesterday"},
        {"findings": ("Müller was here",)},
        {"findings": (*SAID.findings, *("transcoded",) * 31)},
        {"findings": (*SAID.findings, "envelope")},
        {"findings": (*SAID.findings, "duplicate-content")},
        {"findings": (*SAID.findings, "duplicate-pages")},
        {"finding_pages": ("page-blank:Müller",)},
        {"finding_pages": ("page-blank:1 3",)},
        {"finding_pages": ("page-blank:3,1",)},
        {"finding_pages": ("page-blank:4",)},
        {"finding_pages": ("page-blank:0",)},
        {"finding_pages": ("page-blank:1-9999999",)},
        {"finding_pages": ("page-blank:1", "page-blank:2")},
        {"finding_pages": ("resolution-low:1",)},
        {"images": 0},
        {"images": 2001},
    ],
    ids=str,
)
def test_what_a_worker_cannot_have_said_is_not_written_down(lie: dict[str, object]) -> None:
    """A worker that a scan has taken over can lie, but not write texts into our records (I10)."""
    assert pagetasks.plausible(SAID, "pdf", NOTE, 2000) is SAID

    with pytest.raises(WorkerDied):
        pagetasks.plausible(replace(SAID, **lie), "pdf", NOTE, 2000)  # type: ignore[arg-type]


@pytest.mark.parametrize("there", ["nothing", "a link", "a folder", "a pipe"])
def test_an_output_that_is_no_file_is_the_workers_fault(tmp_path: Path, there: str) -> None:
    """It counts against the document, and does not end the service."""
    output = tmp_path / "output"
    place = Workplace(source=tmp_path / "in", output=output)
    if there == "a link":
        output.symlink_to("/etc/passwd")
    elif there == "a folder":
        (output / "deep").mkdir(parents=True)
    elif there == "a pipe":
        os.mkfifo(output)

    with pytest.raises(WorkerDied):
        place.look_at_output(gap.Gap(100, 300, 400))

    place.clear()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE])
def test_trouble_of_the_box_is_not_taken_for_a_damaged_original(code: int) -> None:
    """Another's file is copied into work/: a disk that is full then is no document's fault."""
    with pytest.raises(OSError, match=os.strerror(code)), own_copy():
        raise OSError(code, os.strerror(code))


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOENT, errno.EACCES])
def test_an_original_that_cannot_be_read_sets_its_document_aside(code: int) -> None:
    """It would fail again for ever, and hold up the others as a suspect."""
    with pytest.raises(PermanentError) as caught, own_copy():
        raise OSError(code, os.strerror(code))

    assert caught.value.code == "own-copy-damaged"
