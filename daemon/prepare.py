"""The page worker: looks at a scan, makes it ready for its seal, and compares afterwards.

    prepare    original ──▶ one PDF with an empty signature, and where its gap is
    cover      what is known of an original ──▶ a page that stands for it, likewise
    readback   sealed file + original ──▶ what the file says of its seal; the pages are the same
    describe   sidecar or file name ──▶ what they say about the scan

Runs as `python -I -m daemon.prepare` and never in the main process, which takes
only the values below from here: the parsers are imported by the tasks. Nothing
here reaches the token, the database or the network.
"""

from __future__ import annotations

import base64
import ctypes
import errno
import os
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from daemon import transfernote
from daemon.child import serve
from daemon.document import Digest, utc_text, utc_time
from daemon.errors import Refused, TransientError
from daemon.magic import HEAD, identify
from daemon.slip import Slip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.pages.signature import EmptySignature

M_TRIM_THRESHOLD: Final = -1
M_MMAP_THRESHOLD: Final = -3
KEPT_BYTES: Final = 16 << 20
LARGE_BYTES: Final = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A file that lacks nothing but the CMS in its gap."""

    kind: str
    """pdf, tiff, jpeg, png or jp2: what the original is."""
    images: int
    """Pages of the file, which are the images (Abbilder) of the scan."""
    findings: tuple[str, ...]
    """All that the note in the file says, those included that it came with."""
    finding_pages: tuple[str, ...]
    """Which pages they are about, as `findings.places` writes it."""
    pdfa: str
    """What it claims of PDF/A, as it stands in the note."""
    pages_digest: Digest | None
    """Of all page images in their order, where pages are images and nothing else."""
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
    pdfa: str
    """What it claims of PDF/A: `2b`, `3b`, or nothing."""
    evidence: tuple[str, ...] = ()
    """The SHA-256 of each stream in the file's DSS: CRLs, certificates, OCSP responses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a sidecar or a name says; None is a name that does not fit its pattern."""

    slip: Slip | None


def prepare(argument: dict[str, Any]) -> dict[str, Any]:
    """Write the file that is to be sealed to `target`, which must not exist; see Prepared.

    `dss` holds the evidence for B-LT (`pages.dss`), each in base64; empty for other levels.
    Raise Refused with the reason why the scan at `source` cannot be sealed; then
    there is no target.
    """
    from daemon.pages import dss, wrap  # noqa: PLC0415 (never in the main process)
    from daemon.pages.remarks import Wanted  # noqa: PLC0415

    note = transfernote.from_json(argument["note"])
    source = argument["source"]
    with _place_in_order():
        kind = _kind(source)
        with _target(argument["target"]) as fd:
            done = wrap.written(
                source,
                kind,
                fd,
                _empty_signature(argument, note),
                note,
                limits=wrap.Limits(
                    argument["max_pages"], argument["max_pixels"], argument["max_nesting"]
                ),
                policies=argument["policies"],
                wanted=Wanted(
                    min_dpi=argument["min_dpi"],
                    colour=argument["colour"] == "wanted",
                    announced=argument["announced"],
                    max_pixels=argument["max_pixels"],
                ),
                claim=argument["pdfa"],
                now=lambda: utc_text(datetime.now(UTC)),
                store=dss.from_argument(argument.get("dss", {})),
            )
    return _as_json(
        Prepared(
            kind=kind,
            images=done.note.images,
            findings=done.note.findings,
            finding_pages=done.note.finding_pages,
            pdfa=done.note.pdfa,
            pages_digest=done.digest,
            transcoded=done.transcoded,
            gap_start=done.gap.start,
            gap_end=done.gap.end,
            size=done.gap.size,
            checked_at=done.note.checked_at,
        )
    )


def cover(argument: dict[str, Any]) -> dict[str, Any]:
    """Write the page that stands for a scan to `target`, which must not exist; see Prepared.

    What it says comes from the `note` alone, and from the `code` that says why: the
    scan itself is not opened.
    """
    from daemon.pages import cover as page  # noqa: PLC0415 (never in the main process)
    from daemon.pages import dss  # noqa: PLC0415

    note = transfernote.from_json(argument["note"])
    with _place_in_order(), _target(argument["target"]) as fd:
        store = dss.from_argument(argument.get("dss", {}))
        gap = page.written(fd, _empty_signature(argument, note), note, argument["code"], store)
    return _as_json(
        Prepared(
            kind=note.original_kind,
            images=1,
            findings=note.findings,
            finding_pages=(),
            pdfa=note.pdfa,
            pages_digest=None,
            transcoded=False,
            gap_start=gap.start,
            gap_end=gap.end,
            size=gap.size,
            checked_at=note.checked_at,
        )
    )


def readback(argument: dict[str, Any]) -> dict[str, Any]:
    """Compare the file at `sealed` with the `original` of this `kind`; see ReadBack.

    With a `code` it has to be the page that stands for the original, as `note` describes it.
    `stored` says that there has to be evidence in it; what a PDF brought along is none.
    Raise PermanentError: `seal-invalid` if the file says something else of its
    signature than it has to, `pages-differ` if it shows anything else than the original.
    """
    from daemon.pages import claimed, graphs, inspect, sealed  # noqa: PLC0415

    path, original, kind = argument["sealed"], argument["original"], argument["kind"]
    stored = bool(argument.get("stored"))
    with _place_in_order(), sealed.opened(path) as pdf:
        signature = sealed.signature_of(pdf, path)
        ours = stored or kind != "pdf" or bool(argument.get("code"))
        evidence = sealed.store_of(pdf) if ours else ()
        claim = claimed.claim_of(pdf)
        if argument.get("code"):
            from daemon.pages import covered  # noqa: PLC0415 (rare, and Pillow)

            note = transfernote.from_json(argument["note"])
            covered.same(pdf, signature.field, note, argument["code"])
            images, compared = 1, "pixels"
        elif kind == "pdf":
            with inspect.original(original) as source:
                images = graphs.same(source, pdf, signature.field, stored=stored)
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
        pdfa=claim,
        evidence=evidence,
    )
    return _as_json(found)


def describe(argument: dict[str, Any]) -> dict[str, Any]:
    """Read the `sidecar` (base64) of this `kind`, or the `name` (hex) by a `pattern`; see Said.

    Raise Refused `sidecar-damaged` with the place that is wrong.
    """
    from daemon.pages import filename, sidecar  # noqa: PLC0415

    if "sidecar" in argument:
        content = base64.b64decode(argument["sidecar"])
        return asdict(Said(slip=sidecar.read(content, argument["kind"])))
    return asdict(Said(slip=filename.read(bytes.fromhex(argument["name"]), argument["pattern"])))


def _empty_signature(argument: dict[str, Any], note: transfernote.TransferNote) -> EmptySignature:
    from daemon.pages.signature import EmptySignature  # noqa: PLC0415

    return EmptySignature(
        reserve=argument["reserve"],
        permissions=argument["permissions"],
        sealed_at=utc_time(note.sealed_at),
        name=argument["name"],
        reason=argument["reason"],
    )


@contextmanager
def _target(path: str) -> Iterator[int]:
    """Make the file at *path*, which must not exist; if anything goes wrong, there is none."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    except BaseException:
        with suppress(OSError):
            Path(path).unlink()
        raise
    finally:
        os.close(fd)


def _as_json(value: Prepared | ReadBack) -> dict[str, Any]:
    """Return the fields of *value*; a digest by its digits."""
    found = {field.name: getattr(value, field.name) for field in fields(value)}
    return {name: item.hex if isinstance(item, Digest) else item for name, item in found.items()}


def _kind(source: str) -> str:
    with Path(source).open("rb", buffering=0) as file:
        head = file.read(HEAD)
    if not head:
        raise Refused("file-empty", "the file has no bytes")
    kind = identify(head)
    if not kind:
        raise Refused("format-unknown", "the file is no PDF, TIFF, JPEG, PNG or JPEG 2000")
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
    import daemon.pages.claimed
    import daemon.pages.wrap  # noqa: F401 (before the first document waits for it)

    serve({"prepare": prepare, "cover": cover, "readback": readback, "describe": describe})
