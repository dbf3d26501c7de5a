"""One scan in, one PDF with an empty signature out: a PDF rewritten, or images wrapped."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from daemon.pages import holdings, inspect, policy, revisions, rewrite, trees
from daemon.pages.dss import NO_STORE
from daemon.pages.packet import fresh
from daemon.pages.placeholder import Gap, settle
from daemon.pages.remarks import Remarks
from daemon.transfernote import CLAIMS, WITH_ATTACHMENT, as_xml, judged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from daemon.document import Digest
    from daemon.pages.dss import Store
    from daemon.pages.picture import Picture
    from daemon.pages.remarks import Wanted
    from daemon.pages.signature import EmptySignature
    from daemon.transfernote import TransferNote


@dataclass(frozen=True, slots=True)
class Limits:
    """What one document may have."""

    max_pages: int
    max_pixels: int
    """Of one image that has to be decoded or unpacked."""
    max_nesting: int
    """How deep objects of a PDF, or nodes of its page tree, may lie in each other."""


@dataclass(frozen=True, slots=True)
class Done:
    """What was written."""

    note: TransferNote
    """As it stands in the file."""
    transcoded: bool
    digest: Digest | None
    """Of all page images; see `Remarks.digest`."""
    gap: Gap


def written(
    source: str,
    kind: str,
    fd: int,
    empty: EmptySignature,
    note: TransferNote,
    *,
    limits: Limits,
    policies: Mapping[str, str],
    wanted: Wanted,
    claim: str,
    now: Callable[[], str],
    store: Store = NO_STORE,
) -> Done:
    """Write the scan at *source* with *empty*, *note* and *store* to the empty file behind *fd*.

    It makes the *claim* (`2b`, `3b`) only if it breaks no rule of PDF/A.
    """
    remarks = Remarks(wanted)
    if kind == "pdf":
        note = _rewritten(
            source,
            fd,
            empty,
            note,
            limits=limits,
            policies=policies,
            remarks=remarks,
            claim=claim,
            now=now,
            store=store,
        )
        transcoded = False
    else:
        note, transcoded = _wrapped(
            source,
            kind,
            fd,
            empty,
            note,
            limits=limits,
            remarks=remarks,
            claim=claim,
            now=now,
            store=store,
        )
    return Done(note, transcoded, remarks.digest, settle(fd, empty))


def _rewritten(
    source: str,
    fd: int,
    empty: EmptySignature,
    note: TransferNote,
    *,
    limits: Limits,
    policies: Mapping[str, str],
    remarks: Remarks,
    claim: str,
    now: Callable[[], str],
    store: Store,
) -> TransferNote:
    with inspect.original(source, limits.max_nesting) as pdf:
        images = inspect.pages_of(pdf, limits.max_pages, limits.max_nesting)
        found = holdings.found_in(pdf, source)
        trees.each_is_one(pdf, limits.max_nesting)
        # Only what can be read for sure is for the profile to decide about.
        findings = revisions.findings(pdf, source) + policy.settled(found, policies)
        packet, replaced = rewrite.packet_of(pdf)
        remarks.read(pdf)
        broken = rewrite.broken_by(pdf, packet, source) if claim in CLAIMS else frozenset()
        note = judged(remarks.completed(note, images, findings + replaced, now()), claim, broken)
        rewrite.add_signature(pdf, empty)
        rewrite.add_note(pdf, note, packet)
        rewrite.add_store(pdf, store)
        if note.pdfa in CLAIMS:
            rewrite.add_intent(pdf)
        if claim == WITH_ATTACHMENT:
            rewrite.attach(pdf, note, empty)
        rewrite.write(pdf, fd)
    return note


def _wrapped(
    source: str,
    kind: str,
    fd: int,
    empty: EmptySignature,
    note: TransferNote,
    *,
    limits: Limits,
    remarks: Remarks,
    claim: str,
    now: Callable[[], str],
    store: Store,
) -> tuple[TransferNote, bool]:
    # Pillow, which most documents do not need, and the writer only with it.
    from daemon.pages.picture import TRANSCODED  # noqa: PLC0415
    from daemon.pages.writer import Writer  # noqa: PLC0415

    with (
        Path(source).open("rb") as file,
        os.fdopen(fd, "w+b", closefd=False) as target,
    ):
        size = os.fstat(file.fileno()).st_size
        writer = Writer(target)
        findings: list[str] = []
        images = 0
        for picture in _pictures(source, kind, file, size, limits, findings):
            with remarks.watching(picture) as watched:
                writer.page(watched)
            images += 1
        note = judged(remarks.completed(note, images, findings, now()), claim, writer.broken)
        writer.finish(
            empty,
            rewrite.TITLE,
            fresh(note),
            claims=note.pdfa in CLAIMS,
            attachment=as_xml(note) if claim == WITH_ATTACHMENT else b"",
            store=store,
        )
    return note, TRANSCODED in note.findings


def _pictures(
    source: str, kind: str, file: IO[bytes], size: int, limits: Limits, findings: list[str]
) -> Iterable[Picture]:
    # What a JPEG does not need is not loaded for it: most scans are one.
    from daemon.pages import frames  # noqa: PLC0415 (Pillow)

    if kind == "tiff":
        from daemon.pages import tiff  # noqa: PLC0415

        pages, found = tiff.frames_of(file, size, limits.max_pages, limits.max_pixels)
        findings += found
        return tiff.pictures(source, size, pages)
    if kind == "png":
        from daemon.pages import png  # noqa: PLC0415

        return [png.picture(file, source, size, limits.max_pixels)]
    if kind == "jp2":
        from daemon.pages import jp2  # noqa: PLC0415

        picture = jp2.picture(file, size, limits.max_pixels)
    else:
        from daemon.pages import jpeg  # noqa: PLC0415

        picture = jpeg.picture(file, size, limits.max_pixels)
    frames.decodes(source, kind, picture.turn)
    return [picture]
