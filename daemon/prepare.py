"""The page worker: looks at a scan, makes it ready for its seal, and compares afterwards.

    prepare    original ──▶ one PDF with an empty signature, and where its gap is
    readback   sealed file + original ──▶ what the file says of its seal; the pages are the same

Runs as `python -I -m daemon.prepare` and never in the main process, which takes
only the values below from here: the parsers are imported by the tasks. Nothing
here reaches the token, the database or the network.
"""

from __future__ import annotations

import ctypes
import errno
import os
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from daemon import transfernote
from daemon.child import serve
from daemon.document import Digest, utc_text, utc_time
from daemon.errors import Refused, TransientError
from daemon.magic import HEAD, identify

if TYPE_CHECKING:
    from collections.abc import Iterator

M_TRIM_THRESHOLD: Final = -1
M_MMAP_THRESHOLD: Final = -3
KEPT_BYTES: Final = 16 << 20
LARGE_BYTES: Final = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A file that lacks nothing but the CMS in its gap."""

    kind: str
    """pdf, tiff, jpeg or png: what the original is."""
    images: int
    """Pages of the file, which are the images (Abbilder) of the scan."""
    findings: tuple[str, ...]
    """All that the note in the file says, those included that it came with."""
    transcoded: bool
    """Whether a stream of the scan could not be carried over as it was."""
    gap_start: int
    """The offset of `<`; the ByteRange leaves out [gap_start, gap_end)."""
    gap_end: int
    """The offset after `>`."""
    size: int
    checked_at: str
    """When every page had been looked at, as it stands in the note."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """What a sealed file says about itself, with its pages found equal to the original's."""

    byte_range: tuple[int, ...]
    contents: Digest
    """Of the bytes that /Contents stands for, padding included."""
    images: int
    compared: str
    """`streams`, or `pixels` where one at least could not be carried over."""
    permissions: int
    """DocMDP; 0 if the file is not certified."""


def prepare(argument: dict[str, Any]) -> dict[str, Any]:
    """Write the file that is to be sealed to `target`, which must not exist; see Prepared.

    Raise Refused with the reason why the scan at `source` cannot be sealed; then
    there is no target.
    """
    from daemon.pages import wrap  # noqa: PLC0415 (never in the main process)
    from daemon.pages.signature import EmptySignature  # noqa: PLC0415

    note = transfernote.from_json(argument["note"])
    empty = EmptySignature(
        reserve=argument["reserve"],
        permissions=argument["permissions"],
        sealed_at=utc_time(note.sealed_at),
        name=argument["name"],
        reason=argument["reason"],
    )
    source = argument["source"]
    with _place_in_order():
        kind = _kind(source)
        fd = os.open(argument["target"], os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            done = wrap.written(
                source,
                kind,
                fd,
                empty,
                note,
                limits=wrap.Limits(argument["max_pages"], argument["max_pixels"]),
                now=lambda: utc_text(datetime.now(UTC)),
            )
        except BaseException:
            with suppress(OSError):
                Path(argument["target"]).unlink()
            raise
        finally:
            os.close(fd)
    return asdict(
        Prepared(
            kind=kind,
            images=done.note.images,
            findings=done.note.findings,
            transcoded=done.transcoded,
            gap_start=done.gap.start,
            gap_end=done.gap.end,
            size=done.gap.size,
            checked_at=done.note.checked_at,
        )
    )


def readback(argument: dict[str, Any]) -> dict[str, Any]:
    """Compare the file at `sealed` with the `original` of this `kind`; see ReadBack.

    Raise PermanentError: `seal-invalid` if the file says something else of its
    signature than it has to, `pages-differ` if it shows anything else than the original.
    """
    from daemon.pages import graphs, inspect, sealed  # noqa: PLC0415

    path, original, kind = argument["sealed"], argument["original"], argument["kind"]
    with _place_in_order(), sealed.opened(path) as pdf:
        signature = sealed.signature_of(pdf, path)
        if kind == "pdf":
            with inspect.original(original) as source:
                images = graphs.same(source, pdf, signature.field)
            compared = "streams"
        else:
            from daemon.pages import shown  # noqa: PLC0415 (Pillow, which PDFs do not need)

            images, compared = shown.same(
                original, kind, pdf, signature.field, argument["max_pixels"]
            )
    found = ReadBack(
        byte_range=signature.byte_range,
        contents=signature.contents,
        images=images,
        compared=compared,
        permissions=signature.permissions,
    )
    return asdict(found) | {"contents": found.contents.hex}


def _kind(source: str) -> str:
    with Path(source).open("rb", buffering=0) as file:
        head = file.read(HEAD)
    if not head:
        raise Refused("file-empty", "the file has no bytes")
    kind = identify(head)
    if not kind:
        raise Refused("format-unknown", "the file is no PDF, TIFF, JPEG or PNG")
    return kind


@contextmanager
def _place_in_order() -> Iterator[None]:
    """Sort what goes wrong around a document: it may be the disk's fault, or too large for us."""
    try:
        yield
    except MemoryError:
        raise Refused("too-large", "the document needs more memory than a worker may use") from None
    except OSError as exc:
        if exc.errno == errno.EFBIG:
            raise Refused("too-large", "the sealed file is larger than may be written") from None
        code = errno.errorcode.get(exc.errno or 0, "no code")
        raise TransientError("work-failed", f"work/ cannot be used: {code}") from None


def _tune_memory() -> None:
    """Let the allocator keep what a page needs from one document to the next.

    By default glibc gives each large buffer back to the kernel, which then has to
    clear it again: 1.5 of 2 ms of a one-page scan went there.
    """
    with suppress(AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


if __name__ == "__main__":
    _tune_memory()
    import daemon.pages.graphs
    import daemon.pages.wrap  # noqa: F401 (before the first document waits for it)

    serve({"prepare": prepare, "readback": readback})
