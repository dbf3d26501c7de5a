"""Seals claimed documents, and freezes what was sealed.

One document, one seal, in the order that a kill at any point leaves harmless:

    begin    the step is committed: a document that kills us is known by name
    prepare  (page worker) one rewrite with an empty signature, in work/out; where the
             profile wants an envelope for what is refused, a cover page instead
    digest   all bytes but the gap; the token signs the signed attributes
    compare  meanwhile a page worker reads the ByteRange and compares the pages with the
             original's (I11), and note.xml and the file are on their way to the disk
    splice   the CMS into the gap; fsync; rename to sealed.pdf; fsync the folder
    read     the file again, from disk: but for the gap it is byte for byte what was
             compared and signed, in the gap is the CMS and nothing else; that verifies
             by what it says itself (I4; docs/decisions/0017)
    commit   SEALED
    stamp    where the profile wants it: a time-stamp token into the gap (stamping.py)
    freeze   note.xml and the manifest with its detached CMS; commit; deliveries

What the token, the clock or the certificate cannot do stops sealing for all and
is an alarm; what a document cannot be refuses that one. A page worker's death
counts against its document, the HSM's never does (I8).
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from daemon import __version__, certificate, cms, durable, gap, ledger, qualified, transfernote
from daemon import manifest as manifests
from daemon.document import Digest, Document, Part, Role, folder_of, utc_text, utc_time
from daemon.errors import PermanentError, Refused, TransientError, WorkerDied
from daemon.findings import DUPLICATE_CONTENT, DUPLICATE_PAGES, LEVEL_NOT_REACHED
from daemon.magic import extension
from daemon.pages import policy
from daemon.pages.dss import NO_STORE
from daemon.pagetasks import PageTasks, more_seconds, reserve_for
from daemon.records.transaction import together
from daemon.sections import STAMPED_LEVELS
from daemon.spool import Spool
from daemon.stamping import settle
from daemon.words import LANGUAGES, WORDS
from daemon.workplace import OWN_COPY_DAMAGED, Workplace, own_copy, remove

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime
    from pathlib import Path

    from daemon.config import Config, HotFolder
    from daemon.pages.dss import Store
    from daemon.prepare import Prepared
    from daemon.spool import SpoolThread
    from daemon.stamping import Stamper
    from daemon.workers import Workers

S = TypeVar("S")
T = TypeVar("T")
ENGLISH = LANGUAGES.index("en")
SICK = "seal-invalid"
"""A seal that does not verify after it was written: nothing with this code is ever committed."""


class SealingKey(Protocol):
    """The token, logged in, with its certificate: everything a seal needs beside the document."""

    @property
    def template(self) -> cms.Template:
        """The CMS that each seal is made from."""

    @property
    def environment(self) -> str:
        """The token in words, for the transfer note."""

    def qualified(self, certificate: bytes = b"") -> str:
        """Return a word of qualified.py for *certificate*, or for the present one."""

    async def sign(self, attributes: bytes, template: cms.Template) -> bytes:
        """Sign with the key of *template*; raise TransientError whenever it cannot be done now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begun:
    """What the spool knows of a document whose step begins."""

    head: ledger.Head
    creator: tuple[str, str]
    twin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """What is to be sealed, and what its note says."""

    prepared: Prepared
    note: transfernote.TransferNote
    twin: str
    """The id of the earlier document that is the same, if there is one."""
    code: str = ""
    """Why it is a cover page; "" if it is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sealed:
    """What one seal came to."""

    ready: _Ready
    sealed: Part
    note: Part
    certificate: Digest
    evidence: tuple[str, ...]
    """The certificates about which there is evidence in the file."""
    evidence_until: datetime | None


class Sealer:
    """Carries single documents from CLAIMED to FROZEN."""

    def __init__(
        self,
        config: Config,
        box_id: str,
        spool: SpoolThread,
        pages: Workers,
        clock: Callable[[], datetime],
        stamper: Stamper,
        proofs: Callable[[], Store | None] = lambda: None,
    ) -> None:
        """Nothing is started; the stage calls `seal`, `stamp`, `give_up` and `freeze`.

        *proofs* returns the evidence for a file of level B-LT, if all of it is at hand.
        """
        self._config = config
        self._box_id = box_id
        self._spool = spool
        self._pages = pages
        self._clock = clock
        self._stamper = stamper
        self._proofs = proofs
        self._in_work: dict[str, Digest] = {}
        """The page images of each document that is being sealed and has no row to find them by."""

    def seconds(self, document: Document) -> float:
        """Return how long one call of a page worker may take for *document*."""
        return self._config.limits.wall_seconds + more_seconds(self._config, document)

    async def seal(self, document: Document, key: SealingKey) -> Document:
        """Take a CLAIMED document to FROZEN, or to where it has to go instead.

        One that wants a time stamp is SEALED then, and at rest.

        Raise TransientError when the token cannot sign now: the document is given
        back untouched. Anything that was not foreseen goes up and ends the process.
        """
        limit_mb = self._config.profiles[document.profile].max_mb
        if document.size > limit_mb << 20:
            reason = f"{document.size} bytes, the profile allows {limit_mb} MB"
            return await self._spool(Spool.refuse, document, "too-large", reason, self._clock())
        if not self._suffices(document.profile, key.qualified()):
            return await self._spool(Spool.let_wait, document, qualified.WANTING, self._clock())
        begun = await self._spool(_begun, document, self._creator, self._clock())
        if begun is None:
            return await self._nobody(document)
        place = Workplace.of(self._config, document)
        sealed_at = self._clock()
        try:
            sealed = await self._seal(document, key, begun, place, sealed_at)
        except PermanentError as exc:
            if exc.code == SICK:
                # The signature was good before it was written (`cms.assemble`): the disk, most
                # likely; counted, in case it is the document after all.
                await self._spool(Spool.crashed, document, self._clock())
                raise TransientError(exc.code, str(exc.args[0])) from exc
            reason = str(exc.args[0])
            return await self._spool(Spool.refuse, document, exc.code, reason, self._clock())
        except WorkerDied as exc:
            why = str(exc.args[0])
            return await self._spool(Spool.crashed, document, self._clock(), why)
        except TransientError:
            await self._spool(Spool.give_back, document, self._clock())
            raise
        else:
            document, head = await self._commit(document, begun.head, sealed, sealed_at)
        finally:
            self._in_work.pop(document.id, None)
            place.clear()
        return document if document.stamp else await self._freeze(document, key, head)

    async def stamp(self, document: Document, key: SealingKey) -> Document:
        """Take a SEALED document that wants a time stamp to FROZEN; as it is if there is none now."""
        await self._spool(Spool.begin, document, "stamp", self._clock())
        try:
            document = await self._stamper.stamp(document)
        except TransientError:  # said by the stamper; no fault of the key's
            await self._spool(Spool.give_back, document, self._clock())
            return document
        except PermanentError as exc:
            reason = str(exc.args[0])
            return await self._spool(Spool.set_aside, document, exc.code, reason, self._clock())
        return await self._freeze(document, key)

    async def give_up(self, document: Document, key: SealingKey) -> Document:
        """Take a SEALED document to FROZEN without the time stamp that it wanted."""
        await self._spool(Spool.begin, document, "freeze", self._clock())
        findings = tuple(dict.fromkeys((*document.findings, LEVEL_NOT_REACHED)))
        return await self._freeze(replace(document, stamp="given-up", findings=findings), key)

    async def freeze(self, document: Document, key: SealingKey) -> Document:
        """Take a SEALED or STAMPED document to FROZEN: what an interruption left, or a release."""
        await asyncio.to_thread(settle, self.folder(document), document)
        await self._spool(Spool.begin, document, "freeze", self._clock())
        return await self._freeze(document, key)

    async def resume(self, key: SealingKey) -> int:
        """Let documents go on that waited for a better seal; return how many still wait."""
        waiting = await self._spool(Spool.waiting_profiles, qualified.WANTING)
        content = {profile for profile in waiting if self._suffices(profile, key.qualified())}
        if content:
            for document_id in await self._spool(Spool.waiting_for, qualified.WANTING):
                document = await self._spool(Spool.document, document_id)
                if document.profile in content:
                    await self._spool(Spool.resume, document, self._clock())
        return sum(n for profile, n in waiting.items() if profile not in content)

    def original(self, document: Document) -> Path:
        """Return where the scanner's bytes are."""
        return self.folder(document) / f"original.{extension(document.kind)}"

    def folder(self, document: Document) -> Path:
        """Return the document's folder."""
        return folder_of(self._config.documents, document.id)

    def _suffices(self, name: str, word: str) -> bool:
        """Return whether a profile is content with such a certificate."""
        profile = self._config.profiles[name]
        accepted = profile.integrity == "normal" or bool(profile.accept_advanced)
        return accepted or word in qualified.ENOUGH

    async def _seal(
        self,
        document: Document,
        key: SealingKey,
        begun: _Begun,
        place: Workplace,
        sealed_at: datetime,
    ) -> _Sealed:
        await asyncio.to_thread(place.lend, self.original(document))
        template = key.template
        wanted = self._config.profiles[document.profile].level
        store = (self._proofs() if wanted == "B-LT" else None) or NO_STORE
        token_bytes = self._stamper.token_bytes if wanted in STAMPED_LEVELS else 0
        reserve = reserve_for(template.max_bytes, token_bytes)
        tasks = PageTasks(self._config, self._pages, document, place, store, reserve)
        twin = begun.twin
        note = self._note(document, key, template, begun.head, sealed_at, begun.creator)
        if twin:
            note = transfernote.found(note, DUPLICATE_CONTENT)
        if wanted == "B-LT" and not store:
            note = replace(transfernote.found(note, LEVEL_NOT_REACHED), level="B-T")
        ready = await self._ready(document, tasks, place, note, twin)
        prepared = ready.prepared
        hole = gap.Gap(prepared.gap_start, prepared.gap_end, prepared.size)
        found, (made, seal, xml) = await _both(
            tasks.compare(ready.note, ready.code),
            self._signed(document, key, template, place, hole, ready.note),
        )
        # What the worker's parser found in the file is what was hashed here, and signed.
        gap.agree(made, hole, found.byte_range, found.contents)
        claims = ready.note.pdfa if ready.note.pdfa in transfernote.CLAIMS else ""
        if (found.images, found.pdfa) != (prepared.images, claims):
            raise PermanentError(SICK, "the file has other pages or claims than were prepared")
        sealed = self.folder(document) / "sealed.pdf"
        seen = await asyncio.to_thread(_placed, place, hole, seal, sealed, template.digest)
        if (seen.signed, seen.size, seen.gap) != (made.signed, made.size, gap.filled(hole, seal)):
            raise PermanentError(SICK, "the file on disk is not the one that was signed")
        cms.check(gap.contents_of(seen), seen.signed, template.certificate, template.chain)
        return _Sealed(
            ready=ready,
            sealed=gap.part_of(seen),
            note=manifests.part("note", "note.xml", xml),
            certificate=Digest.of(template.certificate),
            evidence=tuple(Digest.of(one).hex for one in store.certs),
            evidence_until=store.until,
        )

    async def _signed(
        self,
        document: Document,
        key: SealingKey,
        template: cms.Template,
        place: Workplace,
        hole: gap.Gap,
        words: transfernote.TransferNote,
    ) -> tuple[gap.Seen, bytes, bytes]:
        """Return what was prepared, as it was hashed, its CMS, and its note as XML."""
        hashed = asyncio.to_thread(place.look_at_output, hole, template.digest)
        xml, made = await _both(_written(words), hashed)
        attributes = cms.signed_attributes(template, made.signed)
        note = self.folder(document) / "note.xml"
        signature, _ = await _both(
            key.sign(attributes, template), asyncio.to_thread(_on_its_way, place, note, xml)
        )
        return made, cms.assemble(template, attributes, signature), xml

    async def _ready(
        self,
        document: Document,
        tasks: PageTasks,
        place: Workplace,
        note: transfernote.TransferNote,
        twin: str,
    ) -> _Ready:
        """Have the file made that is to be sealed, with all that its note has to say."""
        check = partial(self._still_as_claimed, document)
        try:
            # While the worker parses, the original is read here: it has to be what was claimed.
            _, prepared = await _both(asyncio.to_thread(check), tasks.prepare(note))
        except Refused as exc:
            policies = self._config.profiles[document.profile].policies
            # The code is the worker's word; what these codes mean only a PDF can have.
            if document.kind != "pdf" or policies.get(exc.code) != policy.ENVELOPE:
                raise
            wanted = self._config.profiles[document.profile].pdfa
            note = transfernote.judged(transfernote.enveloped(note, exc.code), wanted)
            prepared = await tasks.cover(note, exc.code)
            return _Ready(prepared=prepared, note=note, twin=twin, code=exc.code)
        if prepared.pages_digest is not None and not twin:
            twin = await self._same_pages(document, prepared.pages_digest)
            if twin:
                # Known only now, and it has to stand in the file: rare enough to do it again.
                note = transfernote.found(note, DUPLICATE_PAGES)
                remove(place.output)
                prepared = await tasks.prepare(note)
        note = transfernote.completed(
            note,
            prepared.images,
            prepared.findings,
            prepared.checked_at,
            prepared.finding_pages,
            prepared.pdfa,
        )
        return _Ready(prepared=prepared, note=note, twin=twin)

    async def _same_pages(self, document: Document, digest: Digest) -> str:
        """Return the id of another document with the same page images, or ""."""
        # Those in work have it in no row yet: whichever comes second finds the other here.
        for other, its in self._in_work.items():
            if its == digest and other != document.id:
                return other
        self._in_work[document.id] = digest
        return await self._spool(Spool.same_pages, document, digest)

    async def _commit(
        self, document: Document, head: ledger.Head, sealed: _Sealed, sealed_at: datetime
    ) -> tuple[Document, ledger.Head]:
        """Commit the seal, with all that was found out about the document; say where the chain is."""
        ready, note = sealed.ready, sealed.ready.note
        facts = {
            "kind": document.kind,
            "images": note.images,
            "findings": list(note.findings),
            "ledger_hash": head.hash,
            "certificate_sha256": str(sealed.certificate),
            "level": "B-B",
            "gap": [ready.prepared.gap_start, ready.prepared.gap_end],
        }
        if sealed.evidence:
            facts["evidence"] = list(sealed.evidence)
        if sealed.evidence_until is not None:
            facts["evidence_until"] = utc_text(sealed.evidence_until)
        if self._config.profiles[document.profile].level in STAMPED_LEVELS:
            facts["stamp"] = "wanted"
        if note.finding_pages:
            facts["finding_pages"] = list(note.finding_pages)
        if ready.prepared.pages_digest is not None:
            facts["pages_sha256"] = str(ready.prepared.pages_digest)
        if ready.twin:
            facts["duplicate_of"] = ready.twin
        return await self._spool(
            _committed,
            document,
            sealed.sealed,
            sealed.note,
            facts,
            utc_time(note.checked_at) if note.checked_at else None,
            sealed_at,
            self._clock(),
        )

    def _still_as_claimed(self, document: Document) -> None:
        """Raise `own-copy-damaged` if the original is not what was claimed (I12)."""
        with own_copy():
            found = durable.digest_of(self.original(document))
        if found != (document.digest, document.size):
            raise PermanentError(OWN_COPY_DAMAGED, "the original is not what was claimed")

    def _creator(self, document: Document, at_scanner: str) -> tuple[str, str]:
        """Return who scanned, and what says so; ("", "") if nothing names a person.

        *at_scanner* is who had logged in when it was claimed.
        """
        said, organisation = document.described, self._config.box.organisation
        if transfernote.names_a_person(said.operator, organisation):
            return said.operator, said.source
        if transfernote.names_a_person(at_scanner, organisation):
            return at_scanner, "shift"
        section = self._section(document)
        if section is not None and transfernote.names_a_person(section.operator, organisation):
            return section.operator, "hotfolder"
        return "", ""

    async def _nobody(self, document: Document) -> Document:
        """Do with a document that names nobody what its profile says: RESISCAN forbids its note."""
        if self._config.profiles[document.profile].operator == "refuse":
            return await self._spool(Spool.refuse, document, "operator-missing", "", self._clock())
        return await self._spool(Spool.await_operator, document, self._clock())

    def _section(self, document: Document) -> HotFolder | None:
        """Return the hot folder that it came from, if it is still configured."""
        found = (one for one in self._config.hotfolders if one.name == document.hotfolder)
        return next(found, None)

    def _note(
        self,
        document: Document,
        key: SealingKey,
        template: cms.Template,
        head: ledger.Head,
        sealed_at: datetime,
        creator: tuple[str, str],
    ) -> transfernote.TransferNote:
        profile = self._config.profiles[document.profile]
        word = key.qualified(template.certificate)
        if not self._suffices(document.profile, word):  # exchanged since the document was begun
            raise TransientError(qualified.WANTING, "the certificate is another one now")
        advanced = profile.integrity != "normal" and word not in qualified.ENOUGH
        facts = certificate.describe(template.certificate, sealed_at)
        if not facts.not_before <= sealed_at <= facts.not_after:  # over since the turn began
            raise TransientError("certificate-expired", f"valid until {facts.not_after}")
        advice = certificate.advice(template.certificate, template.scheme)
        said, section = document.described, self._section(document)
        return transfernote.TransferNote(
            document=document.id,
            box=self._config.box.name,
            box_id=self._box_id,
            organisation=self._config.box.organisation,
            creator=creator[0],
            creator_source=creator[1],
            batch=said.batch,
            number=said.number,
            images_expected=said.pages,
            findings=(*said.remarks, *advice.findings(sealed_at)),
            procedure=profile.procedure,
            daemon=f"Scanseal {__version__}",
            device=f"hot folder {document.hotfolder}",
            scanner=section.scanner if section else "",
            hsm=key.environment,
            certificate=f"{facts.subject}, serial {facts.serial}; {WORDS[word][ENGLISH]}",
            seal_quality=profile.accept_advanced if advanced else "",
            captured_at=utc_text(document.captured_at),
            claimed_at=utc_text(document.claimed_at),
            sealed_at=utc_text(sealed_at),
            level=profile.level,
            clock="host" if self._config.box.clock == "host" else document.clock,
            original_sha256=str(document.digest),
            original_size=document.size,
            original_kind=document.kind,
            ledger_hash=head.hash,
        )

    async def _freeze(
        self, document: Document, key: SealingKey, head: ledger.Head | None = None
    ) -> Document:
        folder = self.folder(document)
        if head is None:
            head = await self._spool(Spool.head)
        parts = manifests.sealed_parts(document)
        manifest = manifests.manifest(self._config, self._box_id, document, parts, head)
        try:
            template = key.template
            digest = hashlib.new(template.digest, manifest).digest()
            attributes = cms.detached_attributes(template, digest, self._clock())
            seal = cms.assemble(template, attributes, await key.sign(attributes, template))
            cms.check(seal, digest, template.certificate, template.chain, detached=True)
        except PermanentError as exc:  # not the token's signature: see `seal`
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
        dms = manifests.for_dms(document, parts)
        wanted = self._config.routed(document.profile)
        deliveries = [
            (target.name, Role(target.role), dms if target.role == Role.DMS else archive)
            for target in wanted
        ]
        waiting = {target.name for target in wanted if target.after}
        return await self._spool(Spool.freeze, document, deliveries, self._clock(), waiting)


@together
def _begun(
    spool: Spool,
    document: Document,
    creator: Callable[[Document, str], tuple[str, str]],
    now: datetime,
) -> _Begun | None:
    """Commit that the step begins, on the spool's thread; None, and nothing, if nobody scanned it."""
    who = creator(document, spool.on_shift(document.hotfolder, document.claimed_at))
    if not who[0]:
        return None
    head = spool.begin(document, "seal", now)
    return _Begun(head=head, creator=who, twin=spool.same_bytes(document))


@together
def _committed(spool: Spool, *facts: Any) -> tuple[Document, ledger.Head]:
    """Commit the seal, on the spool's thread, and return the chain's head with it."""
    return spool.seal(*facts), spool.head()


async def _written(words: transfernote.TransferNote) -> bytes:
    """Return the note as XML; here, while a thread hashes, and not before it could."""
    return transfernote.as_xml(words)


def _on_its_way(place: Workplace, note: Path, xml: bytes) -> None:
    """Put what is known already on its way to the disk; the folder is fsynced with the seal."""
    durable.start_writing(place.output)
    durable.write_unsynced(note, xml)


def _placed(place: Workplace, hole: gap.Gap, seal: bytes, sealed: Path, algorithm: str) -> gap.Seen:
    """Put *seal* into the file, let it become *sealed*, durably; return what the disk has of it."""
    gap.splice(place.output, hole, seal, sealed)
    return gap.look(sealed, hole, algorithm)


async def _both(first: Awaitable[S], second: Awaitable[T]) -> tuple[S, T]:
    """Return what both come to, at once and to their ends; what goes wrong in *first* counts first."""
    # The second one begins first: where one of them keeps this thread busy, that is the first.
    other, one = asyncio.ensure_future(second), asyncio.ensure_future(first)
    try:
        await asyncio.wait({one, other})
    except asyncio.CancelledError:
        one.cancel()
        other.cancel()
        await asyncio.gather(one, other, return_exceptions=True)
        raise
    if one.exception() is not None:
        other.exception()  # said or not, it is heard
    return one.result(), other.result()
