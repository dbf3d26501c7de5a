"""What the sealer asks of a page worker, and whether it believes the answer (I10).

A worker that was taken over by a scan can lie. It cannot write texts of its own into
our records: kinds are the one that was claimed, findings are codes and page numbers,
times are times; what only the main process can know, no worker can have found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon import findings, timestamped, transfernote
from daemon.document import utc_time
from daemon.errors import PermanentError, TransientError, WorkerDied
from daemon.pages.dss import NO_STORE
from daemon.prepare import Prepared, ReadBack
from daemon.workers import typed

if TYPE_CHECKING:
    from daemon.config import Config
    from daemon.document import Document
    from daemon.pages.dss import Store
    from daemon.transfernote import TransferNote
    from daemon.workers import Workers
    from daemon.workplace import Workplace

RESERVE = 16384
"""Bytes of CMS that the gap holds: room for a time-stamp token in the same revision."""
LARGE_RESERVE = 32000
"""Where that is too little. A string in PDF/A has at most 32,767 bytes (ISO 19005-2, 6.1.13)."""


def reserve_for(cms_bytes: int, token_bytes: int) -> int:
    """Return how large a gap to make for a CMS of at most *cms_bytes* and its time-stamp token.

    Known before anything is signed: afterwards nothing could be done about it. Raise
    TransientError `template-too-large` if not even the CMS fits: nothing can be sealed then.
    """
    if timestamped.fits(cms_bytes, token_bytes, RESERVE):
        return RESERVE
    if cms_bytes > LARGE_RESERVE:
        message = f"{cms_bytes} bytes; there is room for {LARGE_RESERVE}"
        raise TransientError("template-too-large", message)
    return LARGE_RESERVE


class PageTasks:
    """The page worker's tasks for one document."""

    def __init__(
        self,
        config: Config,
        workers: Workers,
        document: Document,
        place: Workplace,
        store: Store = NO_STORE,
        reserve: int = RESERVE,
    ) -> None:
        """Ask *workers* about *document*, in its *place*.

        *store* is evidence for its file, *reserve* the bytes of CMS that its gap has to hold.
        """
        self._reserve = reserve
        self._store = store
        self._config = config
        self._workers = workers
        self._document = document
        self._place = place
        self._profile = config.profiles[document.profile]
        self._max_pixels = config.limits.max_megapixels * 1_000_000

    async def prepare(self, note: TransferNote) -> Prepared:
        """Have the original made ready for its seal, with *note*; raise Refused if it cannot be."""
        reply = await self._call(
            "prepare",
            {
                **self._file(note),
                "source": str(self._place.source),
                "max_pages": self._profile.max_pages,
                "max_pixels": self._max_pixels,
                "max_nesting": self._config.limits.max_nesting,
                "policies": self._profile.policies,
                "min_dpi": self._profile.min_dpi,
                "colour": self._profile.colour,
                "announced": note.images_expected,
                "pdfa": self._profile.pdfa,
            },
        )
        made = typed(Prepared, reply)
        if not transfernote.plausible_claim(made.pdfa, self._profile.pdfa, made.findings):
            raise WorkerDied("a claim of PDF/A that is none")
        return plausible(made, self._document.kind, note, self._profile.max_pages)

    async def cover(self, note: TransferNote, code: str) -> Prepared:
        """Have a cover page made ready instead: the original was refused with *code*."""
        reply = await self._call("cover", {**self._file(note), "code": code})
        made = typed(Prepared, reply)
        expected = (self._document.kind, 1, note.findings, note.pdfa)
        if (made.kind, made.images, made.findings, made.pdfa) != expected:
            raise WorkerDied("a cover page that is none")
        return made

    async def compare(self, note: TransferNote, code: str) -> ReadBack:
        """Have the sealed file compared with the original; with a *code*, with its cover page."""
        reply = await self._call(
            "readback",
            {
                "sealed": str(self._place.output),
                "original": str(self._place.source),
                "kind": self._document.kind,
                "max_pixels": self._max_pixels,
                "code": code,
                "note": transfernote.as_json(note),
                "stored": bool(self._store),
            },
        )
        found = typed(ReadBack, reply)
        if found.evidence != self._store.digests:
            raise PermanentError("seal-invalid", "the evidence in the file is not what was given")
        return found

    def _file(self, note: TransferNote) -> dict[str, Any]:
        """Return what is said about the file to write."""
        return {
            "target": str(self._place.output),
            "reserve": self._reserve,
            "permissions": self._config.seal.permissions,
            "note": transfernote.as_json(note),
            "dss": self._store.as_argument(),
            "name": self._config.box.organisation,
            "reason": self._profile.procedure,
        }

    async def _call(self, task: str, argument: dict[str, Any]) -> Any:
        limits, more = self._config.limits, more_seconds(self._config, self._document)
        return await self._workers.call(
            task,
            argument,
            seconds=limits.wall_seconds + more,
            cpu_seconds=limits.cpu_seconds + more,
        )


def more_seconds(config: Config, document: Document) -> float:
    """Return what one call may take for *document*, because it is as large as it is."""
    return config.limits.seconds_per_mb * document.size / 1e6


def plausible(prepared: Prepared, kind: str, note: TransferNote, max_pages: int) -> Prepared:
    """Return what a page worker said, if a worker can have said it; its words go into the ledger."""
    try:
        utc_time(prepared.checked_at)
    except ValueError:
        raise WorkerDied("a time that is none") from None
    if prepared.kind != kind:
        raise WorkerDied("an original of another kind")
    if not 0 < prepared.images <= max_pages:
        raise WorkerDied(f"{prepared.images} images")
    if not findings.plausible(prepared.findings, prepared.finding_pages, prepared.images):
        raise WorkerDied("findings that are no codes")
    if set(prepared.findings) - set(note.findings) & findings.NEVER_BY_A_WORKER:
        raise WorkerDied("findings that no worker can have")
    return prepared
