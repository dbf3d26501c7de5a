"""One scan in, one PDF with an empty signature out: a PDF rewritten, or images wrapped."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from daemon.errors import Refused
from daemon.pages import inspect, rewrite
from daemon.pages.packet import fresh
from daemon.pages.placeholder import Gap, settle
from daemon.transfernote import TransferNote, completed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from daemon.pages.picture import Picture
    from daemon.pages.signature import EmptySignature


@dataclass(frozen=True, slots=True)
class Limits:
    """What one document may have."""

    max_pages: int
    max_pixels: int
    """Of one image that has to be decoded or unpacked."""


@dataclass(frozen=True, slots=True)
class Done:
    """What was written."""

    note: TransferNote
    """As it stands in the file."""
    transcoded: bool
    gap: Gap


def written(
    source: str,
    kind: str,
    fd: int,
    empty: EmptySignature,
    note: TransferNote,
    *,
    limits: Limits,
    now: Callable[[], str],
) -> Done:
    """Write the scan at *source* with *empty* and *note* to the empty file behind *fd*."""
    if kind == "pdf":
        note = _rewritten(source, fd, empty, note, limits=limits, now=now)
        transcoded = False
    else:
        note, transcoded = _wrapped(source, kind, fd, empty, note, limits=limits, now=now)
    return Done(note, transcoded, settle(fd, empty))


def _rewritten(
    source: str,
    fd: int,
    empty: EmptySignature,
    note: TransferNote,
    *,
    limits: Limits,
    now: Callable[[], str],
) -> TransferNote:
    with inspect.original(source) as pdf:
        images = inspect.pages_of(pdf, limits.max_pages)
        inspect.unsigned(pdf)
        packet, findings = rewrite.packet_of(pdf)
        note = completed(note, images, findings, now())
        rewrite.add_signature(pdf, empty)
        rewrite.add_note(pdf, note, packet)
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
    now: Callable[[], str],
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
            writer.page(picture)
            findings += picture.findings
            images += 1
        note = completed(note, images, findings, now())
        writer.finish(empty, rewrite.TITLE, fresh(note))
    return note, TRANSCODED in findings


def _pictures(
    source: str, kind: str, file: IO[bytes], size: int, limits: Limits, findings: list[str]
) -> Iterable[Picture]:
    from daemon.pages import frames, jpeg, png, tiff  # noqa: PLC0415 (Pillow)

    if kind == "jpeg":
        picture = jpeg.picture(file, size, limits.max_pixels)
        frames.decodes(source)
        return [picture]
    if kind == "tiff":
        pages, found = tiff.frames_of(file, size, limits.max_pages, limits.max_pixels)
        findings += found
        return tiff.pictures(file, source, pages)
    scan = png.scanned(file, size, limits.max_pixels)
    with frames.opened(source, "png"):
        pass  # what the comparison could not open later is refused now
    if scan.carried:
        return [png.carried(file, scan)]
    if scan.depth == 16:
        raise Refused("image-unsupported", "a PNG of 16 bits, interlaced or transparent")
    image = frames.opened(source, "png")
    dpi = png.resolution(scan)
    return [frames.exactly(image, dpi=dpi, turn=png.turn(scan))]
