"""The gap of a signature: what is digested around it, put into it, and read back out of it.

    <- digested ->< /Contents <hex> >< digested ->
    0        start                 end        size

A prepared file has an empty gap of fixed size. Nothing here parses a PDF: the
numbers come from a page worker and are checked against the bytes (I10).
"""

from __future__ import annotations

import binascii
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from daemon import durable
from daemon.document import CHUNK, Digest, Part
from daemon.errors import PermanentError

if TYPE_CHECKING:
    from pathlib import Path


MOST: Final = 1 << 20
"""A gap is held in memory, and its numbers are a worker's word: none of ours is this large."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Where the gap is: `start` is the offset of `<`, `end` the one after `>`."""

    start: int
    end: int
    size: int
    """Of the whole file."""

    @property
    def byte_range(self) -> tuple[int, int, int, int]:
        """What the signature dictionary has to say: everything but the gap (ISO 32000-2, 12.8.1)."""
        return (0, self.start, self.end, self.size - self.end)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one pass over a file came to."""

    whole: Digest
    signed: bytes
    """The digest of all but the gap, of the algorithm that was asked for."""
    gap: bytes
    size: int


def look(path: Path, gap: Gap, algorithm: str = "sha256", *, whole: bool = True) -> Seen:
    """Read *path* once, from start to end; with *whole* the SHA-256 of all bytes is made too.

    *algorithm* is the digest of what is signed, as hashlib names it.
    """
    if not (0 < gap.start < gap.end - 1 and gap.end < gap.size and gap.end - gap.start <= MOST):
        raise PermanentError("seal-invalid", "there can be no gap where the worker says")
    signed, held, position = hashlib.new(algorithm), b"", 0
    # Up to the gap both digests are of the same bytes: they are read and hashed once, if they
    # are of the same kind.
    alike = algorithm == "sha256"
    entire = hashlib.sha256() if whole and not alike else None
    with durable.opened(path) as file:
        for until, inside in ((gap.start, False), (gap.end, True), (None, False)):
            while piece := file.read(CHUNK if until is None else min(CHUNK, until - position)):
                position += len(piece)
                if inside:
                    held += piece
                else:
                    signed.update(piece)
                if entire is not None:
                    entire.update(piece)
            if until == gap.start and whole and alike:
                entire = signed.copy()
    if entire is None:
        entire = signed if alike else hashlib.sha256()
    return Seen(Digest(entire.hexdigest()), signed.digest(), held, position)


def look_around(path: Path, gap: Gap, algorithm: str = "sha256") -> Seen:
    """Return what all bytes of a prepared file but the gap come to; the gap has to be empty."""
    seen = look(path, gap, algorithm, whole=False)
    # 128 random bits stand in it, then zeros: it is ours, and nothing was put into it yet.
    if (
        seen.size != gap.size
        or seen.gap[:1] + seen.gap[-1:] != b"<>"
        or seen.gap[33:-1].strip(b"0")
    ):
        raise PermanentError("seal-invalid", "the prepared file is not as the worker said")
    return seen


def filled(gap: Gap, cms: bytes) -> bytes:
    """Return what stands in the gap with *cms* in it, its delimiters included."""
    room = gap.end - gap.start - 2
    digits = cms.hex().encode().ljust(room, b"0")
    if len(digits) != room:
        raise PermanentError("seal-invalid", f"{len(cms)} bytes do not fit into the gap")
    return b"<%b>" % digits


def splice(prepared: Path, gap: Gap, cms: bytes, sealed: Path) -> None:
    """Put *cms* into the gap and let the file become *sealed*, durably."""
    _fill(prepared, gap, cms)
    prepared.replace(sealed)
    durable.sync_folder(sealed.parent)
    durable.forget_pages(sealed)


def _fill(path: Path, gap: Gap, cms: bytes) -> None:
    held = filled(gap, cms)
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        written = os.pwrite(fd, held, gap.start)
        if written != len(held):
            raise OSError(f"{written} of {len(held)} bytes written")
        os.fsync(fd)
    finally:
        os.close(fd)


def restamp(sealed: Path, gap: Gap, cms: bytes, target: Path) -> Seen:
    """Write *sealed* with *cms* in its gap to *target*, durably; return what was read back of it.

    The file itself is not touched. What was at *target* is nobody's, and goes.
    """
    target.unlink(missing_ok=True)
    durable.copy(sealed, target)
    _fill(target, gap, cms)
    durable.sync_folder(target.parent)
    durable.forget_pages(target)
    return look(target, gap)


def read_back(sealed: Path, gap: Gap, byte_range: tuple[int, ...], contents: Digest) -> Seen:
    """Read a sealed file from disk and compare it with what a parser found in it: see `agree`."""
    seen = look(sealed, gap)
    agree(seen, gap, byte_range, contents)
    return seen


def agree(seen: Seen, gap: Gap, byte_range: tuple[int, ...], contents: Digest) -> None:
    """Compare what was read from disk with what a worker read out of the file.

    The *byte_range* has to be everything but the gap, and the *contents* what is in it.
    """
    if byte_range != gap.byte_range or seen.size != gap.size:
        raise PermanentError("seal-invalid", f"the ByteRange {byte_range} is not the whole file")
    if seen.gap[:1] + seen.gap[-1:] != b"<>":
        raise PermanentError("seal-invalid", "the gap is not one hexadecimal string")
    if Digest.of(contents_of(seen)) != contents:
        raise PermanentError("seal-invalid", "a parser finds other contents than the gap holds")


def contents_of(seen: Seen) -> bytes:
    """Return the bytes that the gap's digits stand for, padding included."""
    try:
        return binascii.unhexlify(seen.gap[1:-1])
    except ValueError:
        raise PermanentError("seal-invalid", "the gap holds something that is not hex") from None


def part_of(seen: Seen) -> Part:
    """Return the sealed file as a part."""
    return Part(role="sealed", file="sealed.pdf", digest=seen.whole, size=seen.size)
