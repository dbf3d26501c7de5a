"""Seals claimed documents, and freezes what was sealed.

One document, one seal, in the order that a kill at any point leaves harmless:

    begin    the step is committed: a document that kills us is known by name
    prepare  (page worker) one rewrite with an empty signature, in work/out
    digest   all bytes but the gap; the token signs the signed attributes
    splice   the CMS into the gap; fsync; rename to sealed.pdf; fsync the folder
    read     the file again, from disk: ByteRange, digest and signature from what
             the file itself says; a page worker compares the pages (I4, I11)
    commit   SEALED
    freeze   note.xml and the manifest with its detached CMS; commit; deliveries

What the token, the clock or the certificate cannot do stops sealing for all and
is an alarm; what a document cannot be refuses that one. A page worker's death
counts against its document, the HSM's never does (I8).
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import re
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from daemon import __version__, certificate, cms, durable, gap, ledger, transfernote
from daemon import manifest as manifests
from daemon.document import Digest, Document, Part, Role, folder_of, utc_text, utc_time
from daemon.errors import PermanentError, TransientError, WorkerDied
from daemon.magic import extension
from daemon.prepare import Prepared, ReadBack
from daemon.spool import Spool
from daemon.workers import typed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from daemon.config import Config
    from daemon.spool import SpoolThread
    from daemon.workers import Workers

S = TypeVar("S")
T = TypeVar("T")
RESERVE = 16384
"""Bytes of CMS that the gap holds: room for a time-stamp token in the same revision."""
MAX_PIXELS = 250_000_000
"""Of one image: a sheet of A0 at 300 dpi has 140 million."""
SICK = "seal-invalid"
"""A seal that does not verify after it was written: nothing with this code is ever committed."""
OWN_COPY_DAMAGED = "own-copy-damaged"
OUR_OWN = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EROFS}
)
"""The box has run out of something: no document's fault. It goes up; a full disk is waited out."""
CODE = re.compile(r"[a-z][a-z0-9-]{0,63}")
MOST_FINDINGS = 32
BASE_SECONDS = 60.0
"""What a page worker may take for a small document; a large one gets a second per MB more."""


class SealingKey(Protocol):
    """The token, logged in, with its certificate: everything a seal needs beside the document."""

    @property
    def template(self) -> cms.Template:
        """The CMS that each seal is made from."""

    @property
    def environment(self) -> str:
        """The token in words, for the transfer note."""

    async def sign(self, attributes: bytes) -> bytes:
        """Sign; raise TransientError whenever it cannot be done now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    """Where one attempt works; the names hold id, attempt and a random part."""

    source: Path
    """The original, for the page worker."""
    output: Path
    """What the page worker writes."""
    reading: Path
    """The sealed file, for the page worker that compares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sealed:
    """What one seal came to."""

    prepared: Prepared
    sealed: Part
    note: Part
    findings: tuple[str, ...]
    certificate: Digest


class Sealer:
    """Carries single documents from CLAIMED to FROZEN."""

    def __init__(
        self,
        config: Config,
        box_id: str,
        spool: SpoolThread,
        pages: Workers,
        clock: Callable[[], datetime],
    ) -> None:
        """Nothing is started; the stage calls `seal` and `freeze`."""
        self._config = config
        self._box_id = box_id
        self._spool = spool
        self._pages = pages
        self._clock = clock

    def seconds(self, document: Document) -> float:
        """Return how long one call of a page worker may take for *document*."""
        return BASE_SECONDS + document.size / 1e6

    async def seal(self, document: Document, key: SealingKey) -> Document:
        """Take a CLAIMED document to FROZEN, or to where it has to go instead.

        Raise TransientError when the token cannot sign now: the document is given
        back untouched. Anything that was not foreseen goes up and ends the process.
        """
        limit_mb = self._config.profiles[document.profile].max_mb
        if document.size > limit_mb << 20:
            reason = f"{document.size} bytes, the profile allows {limit_mb} MB"
            return await self._spool(Spool.refuse, document, "too-large", reason, self._clock())
        head = await self._spool(Spool.begin, document, "seal", self._clock())
        mark = f"{document.id}.{document.tries}.{secrets.token_hex(8)}"
        places = _Places(
            source=self._config.work_in / f"{mark}.original",
            output=self._config.work_out / f"{mark}.prepared",
            reading=self._config.work_in / f"{mark}.sealed",
        )
        sealed_at = self._clock()
        try:
            sealed = await self._seal(document, key, head, places, sealed_at)
        except PermanentError as exc:
            if exc.code == SICK:
                # The token or the disk, most likely; counted, in case it is the document after all.
                await self._spool(Spool.crashed, document, self._clock())
                raise TransientError(exc.code, str(exc.args[0])) from exc
            reason = str(exc.args[0])
            return await self._spool(Spool.refuse, document, exc.code, reason, self._clock())
        except WorkerDied:
            return await self._spool(Spool.crashed, document, self._clock())
        except TransientError:
            await self._spool(Spool.give_back, document, self._clock())
            raise
        finally:
            for path in (places.source, places.output, places.reading):
                path.unlink(missing_ok=True)
        facts = {
            "kind": sealed.prepared.kind,
            "images": sealed.prepared.images,
            "findings": list(sealed.findings),
            "ledger_hash": head.hash,
            "certificate_sha256": str(sealed.certificate),
        }
        document = await self._spool(
            Spool.seal,
            document,
            sealed.sealed,
            sealed.note,
            facts,
            utc_time(sealed.prepared.checked_at),
            sealed_at,
            self._clock(),
        )
        return await self._freeze(document, key)

    async def freeze(self, document: Document, key: SealingKey) -> Document:
        """Take a SEALED document to FROZEN: what an interruption left, or a release."""
        await self._spool(Spool.begin, document, "freeze", self._clock())
        return await self._freeze(document, key)

    def original(self, document: Document) -> Path:
        """Return where the scanner's bytes are."""
        return self.folder(document) / f"original.{extension(document.kind)}"

    def folder(self, document: Document) -> Path:
        """Return the document's folder."""
        return folder_of(self._config.documents, document.id)

    async def _seal(
        self,
        document: Document,
        key: SealingKey,
        head: ledger.Head,
        places: _Places,
        sealed_at: datetime,
    ) -> _Sealed:
        await asyncio.to_thread(self._lend, document, places.source)
        template = key.template
        note = self._note(document, key, head, sealed_at)
        profile = self._config.profiles[document.profile]
        seconds = self.seconds(document)
        prepare = self._pages.call(
            "prepare",
            {
                "source": str(places.source),
                "target": str(places.output),
                "max_pages": profile.max_pages,
                "max_pixels": MAX_PIXELS,
                "reserve": RESERVE,
                "permissions": self._config.seal.permissions,
                "note": transfernote.as_json(note),
                "name": self._config.box.organisation,
                "reason": profile.procedure,
            },
            seconds=seconds,
        )
        # While the worker parses, the original is read here: it has to be what was claimed.
        reply, _ = await _beside(prepare, partial(self._still_as_claimed, document))
        prepared = _plausible(typed(Prepared, reply), profile.max_pages)
        hole = gap.Gap(prepared.gap_start, prepared.gap_end, prepared.size)
        digest = await asyncio.to_thread(_digest_output, places.output, hole)
        attributes = cms.signed_attributes(template, digest)
        seal = cms.assemble(template, attributes, await key.sign(attributes))
        note = transfernote.completed(note, prepared.images, prepared.findings, prepared.checked_at)
        xml = transfernote.as_xml(note)
        await asyncio.to_thread(self._place, document, places, hole, seal, xml)
        readback = self._pages.call(
            "readback",
            {
                "sealed": str(places.reading),
                "original": str(places.source),
                "kind": prepared.kind,
                "max_pixels": MAX_PIXELS,
            },
            seconds=seconds,
        )
        sealed = self.folder(document) / "sealed.pdf"
        reply, seen = await _beside(readback, partial(gap.look, sealed, hole))
        found = typed(ReadBack, reply)
        gap.agree(seen, hole, found.byte_range, found.contents)
        # Both: what is in the file is a good seal, and it is the one that was made.
        cms.check(gap.contents_of(seen), seen.signed, template.certificate, template.chain)
        if seen.signed != digest or found.images != prepared.images:
            raise PermanentError(SICK, "the file on disk is not the one that was signed")
        return _Sealed(
            prepared=prepared,
            sealed=gap.part_of(seen),
            note=manifests.part("note", "note.xml", xml),
            findings=note.findings,
            certificate=Digest.of(template.certificate),
        )

    def _lend(self, document: Document, source: Path) -> None:
        """Let a page worker read the original for as long as its task runs."""
        with _own_copy():
            durable.link_or_copy(self.original(document), source)

    def _still_as_claimed(self, document: Document) -> None:
        """Raise `own-copy-damaged` if the original is not what was claimed (I12)."""
        with _own_copy():
            found = durable.digest_of(self.original(document))
        if found != (document.digest, document.size):
            raise PermanentError(OWN_COPY_DAMAGED, "the original is not what was claimed")

    def _place(
        self, document: Document, places: _Places, hole: gap.Gap, seal: bytes, xml: bytes
    ) -> None:
        sealed = self.folder(document) / "sealed.pdf"
        durable.write_unsynced(sealed.with_name("note.xml"), xml)
        gap.splice(places.output, hole, seal, sealed)
        durable.link_or_copy(sealed, places.reading)

    def _note(
        self, document: Document, key: SealingKey, head: ledger.Head, sealed_at: datetime
    ) -> transfernote.TransferNote:
        profile = self._config.profiles[document.profile]
        facts = certificate.describe(key.template.certificate, sealed_at)
        return transfernote.TransferNote(
            document=document.id,
            box=self._config.box.name,
            box_id=self._box_id,
            organisation=self._config.box.organisation,
            procedure=profile.procedure,
            daemon=f"Scanseal {__version__}",
            device=f"hot folder {document.hotfolder}",
            hsm=key.environment,
            certificate=f"{facts.subject}, serial {facts.serial}",
            captured_at=utc_text(document.captured_at),
            claimed_at=utc_text(document.claimed_at),
            sealed_at=utc_text(sealed_at),
            clock="host" if self._config.box.clock == "host" else document.clock,
            original_sha256=str(document.digest),
            original_size=document.size,
            original_kind=document.kind,
            ledger_hash=head.hash,
        )

    async def _freeze(self, document: Document, key: SealingKey) -> Document:
        folder = self.folder(document)
        head = await self._spool(Spool.head)
        parts = manifests.sealed_parts(document)
        manifest = manifests.manifest(self._config, self._box_id, document, parts, head)
        digest = hashlib.sha256(manifest).digest()
        try:
            template = key.template
            attributes = cms.detached_attributes(template, digest, self._clock())
            seal = cms.assemble(template, attributes, await key.sign(attributes))
            cms.check(seal, digest, template.certificate, template.chain, detached=True)
        except PermanentError as exc:  # a sick token or disk: see `seal`
            await self._spool(Spool.crashed, document, self._clock())
            raise TransientError(exc.code, str(exc.args[0])) from exc
        except TransientError:
            await self._spool(Spool.give_back, document, self._clock())
            raise
        await asyncio.to_thread(manifests.write, folder, manifest, seal)
        archive = (
            *parts,
            manifests.part("manifest", "manifest.json", manifest),
            manifests.part("manifest-seal", "manifest.p7s", seal),
        )
        dms = tuple(part for part in parts if part.role == "sealed")
        deliveries = [
            (target.name, Role(target.role), dms if target.role == Role.DMS else archive)
            for target in self._config.targets
        ]
        return await self._spool(Spool.freeze, document, deliveries, self._clock())


@contextmanager
def _own_copy() -> Iterator[None]:
    """Turn an original that cannot be read into a reason to set its document aside."""
    try:
        yield
    except OSError as exc:
        if exc.errno in OUR_OWN:
            raise
        code = errno.errorcode.get(exc.errno or 0, "no code")
        raise PermanentError(OWN_COPY_DAMAGED, f"the original cannot be read: {code}") from exc


async def _beside(call: Awaitable[S], work: Callable[[], T]) -> tuple[S, T]:
    """Do *work* in a thread while *call* runs; what goes wrong in *work* counts first."""
    done = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        reply = await call
    except BaseException:
        await asyncio.wait({done})
        done.result()
        raise
    return reply, await done


def _plausible(prepared: Prepared, max_pages: int) -> Prepared:
    """Return what a page worker said, if a worker can have said it; its words go into the ledger.

    One that was taken over by a scan can lie about it. It cannot write texts of its
    own into our records: findings are codes, times are times.
    """
    try:
        utc_time(prepared.checked_at)
    except ValueError:
        raise WorkerDied("a time that is none") from None
    codes = all(CODE.fullmatch(finding) for finding in prepared.findings)
    if not codes or len(prepared.findings) > MOST_FINDINGS:
        raise WorkerDied("findings that are no codes")
    if not 0 < prepared.images <= max_pages:
        raise WorkerDied(f"{prepared.images} images")
    return prepared


def _digest_output(output: Path, hole: gap.Gap) -> bytes:
    try:
        return gap.digest_around(output, hole)
    except OSError as exc:
        # Nothing there, or something that is no file: the worker's word was wrong.
        if exc.errno in {errno.ENOENT, errno.ELOOP, errno.ENXIO, None}:
            raise WorkerDied("no output where it was said to be") from exc
        raise
