"""B-LT in one revision: the evidence is in the file before it is signed, the token in its gap."""

# ruff: noqa: F811 (fixtures of another module are arguments here)

from __future__ import annotations

import asyncio
import hashlib
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from asn1crypto import x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko.sign.validation.pdf_embedded import async_validate_pdf_signature
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko_certvalidator import ValidationContext

from contrib.demo import nss
from daemon import certificate, cms, gap, notary, timestamped
from daemon.errors import PermanentError
from daemon.pages.dss import NO_STORE, Store
from daemon.pagetasks import RESERVE, PageTasks
from daemon.revocation import Revocations
from daemon.sandbox import Sandbox
from daemon.timestamp import TimeStamps
from daemon.workers import Worker, Workers
from daemon.workplace import Workplace
from tests import certomancer
from tests.contract.test_verify import Judge, judge, place, runner  # noqa: F401 (fixtures)
from tests.court import docket
from tests.sealing import now, sealing
from tests.unit.pages_samples import NOTE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.certomancer import Authority, IssuedFiles
    from tests.sealing import Sealing


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[IssuedFiles, Authority]]:
    """A token, and the CA of its certificate with all that it answers."""
    files, made = certomancer.token_and_authority(tmp_path_factory.mktemp("pki"))
    made.start()
    yield files, made
    made.stop()


async def written(here: Sealing, source: Path, store: Store) -> tuple[Path, gap.Gap, PageTasks]:
    """Seal *source* with *store* in it, as the sealer does."""
    document = await here.claim(source)
    place = Workplace.of(here.config, document)
    place.lend(here.sealer.original(document))
    tasks = PageTasks(here.config, Workers([here.worker]), document, place, store)
    prepared = await tasks.prepare(NOTE)
    hole = gap.Gap(prepared.gap_start, prepared.gap_end, prepared.size)
    template = here.key.template
    attributes = cms.signed_attributes(template, place.look_at_output(hole).signed)
    seal = cms.assemble(template, attributes, await here.key.sign(attributes, template))
    path = here.sealer.folder(document) / "sealed.pdf"
    gap.splice(place.output, hole, seal, path)
    place.output.hardlink_to(path)
    return path, hole, tasks


async def restamped(made: Authority, worker: Worker, path: Path, hole: gap.Gap) -> Path:
    """The file beside *path* that has a token in its seal."""
    seal = timestamped.unpadded(gap.contents_of(gap.look(path, hole)))
    stamps = TimeStamps((made.tsa_url,), partial(certificate.load_pem, made.chain), worker, now)
    token = await stamps.token(hashlib.sha256(timestamped.signature_value(seal)).digest())
    stamped = path.with_name("stamped.pdf")
    gap.restamp(path, hole, timestamped.with_token(seal, token.der), stamped)
    docket.add(stamped, (hole.start, hole.end), made.root)
    return stamped


def offline(path: Path, root: bytes) -> Any:
    """What pyHanko says from the file alone, where revocation has to be proven."""
    with path.open("rb") as file:
        reader = PdfFileReader(file)
        (seal,) = reader.embedded_signatures
        store = DocumentSecurityStore.read_dss(reader)
        context = store.as_validation_context(
            {
                "trust_roots": [x509.Certificate.load(root)],
                "allow_fetching": False,
                "revocation_mode": "hard-fail",
                "moment": now(),
                "time_tolerance": timedelta(minutes=5),
            }
        )
        usage = KeyUsageConstraints(key_usage={"non_repudiation"})
        return asyncio.run(async_validate_pdf_signature(seal, context, key_usage_settings=usage))


@pytest.mark.parametrize("name", ["brief.pdf", "foto.jpg"])
def test_b_lt_validates_without_a_line_from_what_is_in_the_one_revision(
    tmp_path: Path,
    issued: tuple[IssuedFiles, Authority],
    drawn: dict[str, Path],
    judge: Judge,
    name: str,
) -> None:
    """A PDF rewritten and an image wrapped; nothing is appended, so DocMDP 1 holds."""
    files, made = issued
    above = [made.certificate("issuing"), made.certificate("root")]
    both = [[made.certificate("seal"), *above], [made.certificate("tsa"), *above]]

    async def main() -> Path:
        async with AsyncExitStack() as stack:
            here = await stack.enter_async_context(sealing(tmp_path, files))
            assert await here.key.usable(), here.key.problems
            worker = Worker(
                "daemon.notary", place=tmp_path, limits=notary.LIMITS, sandbox=Sandbox(read=())
            )
            stack.push_async_callback(worker.stop)
            known = Revocations(tmp_path, worker, now)
            await known.refresh(both)
            store = known.store(both)
            assert store is not None
            path, hole, tasks = await written(here, drawn[name], store)

            found = await tasks.compare(NOTE, "")
            assert found.evidence == store.digests
            assert len(found.evidence) == 7

            assert timestamped.fits(here.key.template.max_bytes, 6000, RESERVE)
            return await restamped(made, worker, path, hole)

    stamped = asyncio.run(main())

    (one,) = judge(stamped, made.certificate("root"), now=now()).seals
    assert (one.level, one.level_lacks, one.good) == ("B-LT", "", True)
    status = offline(stamped, made.certificate("root"))
    assert status.bottom_line, status.pretty_print_details()
    assert status.coverage.name == "ENTIRE_FILE"
    assert status.timestamp_validity.trusted
    said = nss.pdfsig(stamped, nss.trust(made.root, tmp_path / "nss"))
    assert "Signature is Valid." in said
    assert "Total document signed" in said


def test_b_b_with_a_token_put_into_its_gap_is_b_t_for_validators_that_are_not_ours(
    tmp_path: Path,
    issued: tuple[IssuedFiles, Authority],
    drawn: dict[str, Path],
    judge: Judge,
) -> None:
    """The token came later; the file has one revision, and the seal covers all of it."""
    files, made = issued

    async def main() -> Path:
        async with AsyncExitStack() as stack:
            here = await stack.enter_async_context(sealing(tmp_path, files))
            assert await here.key.usable(), here.key.problems
            worker = Worker(
                "daemon.notary", place=tmp_path, limits=notary.LIMITS, sandbox=Sandbox(read=())
            )
            stack.push_async_callback(worker.stop)
            path, hole, _ = await written(here, drawn["brief.pdf"], NO_STORE)
            return await restamped(made, worker, path, hole)

    stamped = asyncio.run(main())

    (one,) = judge(stamped, *certificate.load_pem(made.chain), now=now()).seals
    assert (one.level, one.level_lacks, one.good) == ("B-T", "", True)
    with stamped.open("rb") as file:
        reader = PdfFileReader(file)
        assert "/DSS" not in reader.root
        (seal,) = reader.embedded_signatures
        context = ValidationContext(
            trust_roots=[x509.Certificate.load(made.certificate("root"))],
            other_certs=[x509.Certificate.load(made.certificate("issuing"))],
            allow_fetching=False,
        )
        usage = KeyUsageConstraints(key_usage={"non_repudiation"})
        found = async_validate_pdf_signature(seal, context, key_usage_settings=usage)
        status: Any = asyncio.run(found)
    assert status.bottom_line, status.pretty_print_details()
    assert status.coverage.name == "ENTIRE_FILE"
    assert status.timestamp_validity.trusted
    said = nss.pdfsig(stamped, nss.trust(made.root, tmp_path / "nss"))
    assert "Signature is Valid." in said
    assert "Total document signed" in said


@pytest.mark.parametrize("name", ["brief.pdf", "foto.jpg"])
def test_evidence_that_nobody_gave_is_no_part_of_a_good_seal(
    tmp_path: Path, issued: tuple[IssuedFiles, Authority], drawn: dict[str, Path], name: str
) -> None:
    """A worker could put anything there: what is in the file has to be what was handed in."""
    files, made = issued
    given = Store(certs=(made.certificate("root"),))

    async def main() -> None:
        async with sealing(tmp_path, files) as here:
            assert await here.key.usable(), here.key.problems
            _, _, tasks = await written(here, drawn[name], given)
            for other in (NO_STORE, Store(certs=(made.certificate("seal"),))):
                tasks._store = other
                with pytest.raises(PermanentError, match=r"evidence|entry more"):
                    await tasks.compare(NOTE, "")

    asyncio.run(main())
