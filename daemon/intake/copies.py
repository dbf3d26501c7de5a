"""The files of a copy in `rejected`: what they are called, placing them, taking them back.

    <name>~<id8>.<ext> and .txt      id8: the last eight digits of the document's id;
                                     more of them where that name is taken

Nothing that lies there is ever overwritten, and nothing is removed that is not ours:
a copy is, as long as its bytes are the document's; a text is, as long as it names the
document. Everything here blocks.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import unicodedata
from functools import partial
from itertools import chain
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from daemon import durable
from daemon.intake import NotNow, Reason
from daemon.magic import extension

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path

    from daemon.document import Document
    from daemon.intake.sharedfolder import SharedFolder

NAME_BYTES: Final = 255
"""The longest name that a file may have on the file systems that shares lie on."""
TEXT_BYTES: Final = 1 << 16
"""No text of ours is longer."""
DIGITS: Final = (8, 12, 32)
"""So many of an id's last digits stand in a name, more where that is taken."""

_TAIL: Final = re.compile(
    rb"(?P<base>.*)~(?P<digits>[0-9a-f]{8}|[0-9a-f]{12}|[0-9a-f]{32})(?P<rest>[^0-9A-Za-z~][^~]*)?",
    re.DOTALL | re.IGNORECASE,
)


class OriginalUnreadable(Exception):
    """Our own original is missing, or is not what was claimed."""


# -- names ----------------------------------------------------------------------------


def stems(name: bytes, document_id: str, stands_for: Collection[str] = ()) -> Iterator[str]:
    """Yield the names, without extension, that the copy of a document may have.

    *name* is the file's own. One that came back under a copy's name, and stands for
    that document now, does not carry the digits of both.
    """
    stem = _stem(name)
    before = copied_name(name)
    if before and any(_digits(old).endswith(before[1]) for old in stands_for):
        stem = before[0]
    yield from _tailed(stem, document_id)


def every_stem(name: bytes, document_id: str) -> Iterator[str]:
    """Yield the names that its copy may have been given, whatever was known then.

    Since the copy was made the document may stand for another, which changes its name,
    or *name* may have become readable.
    """
    yield from _tailed(_stem(name), document_id)
    if before := copied_name(name):
        yield from _tailed(before[0], document_id)
    yield from _tailed(b"", document_id)


def stems_there(rejected: SharedFolder, document_id: str) -> list[str]:
    """Return which names there end as those of its copy do: for a scan whose name is lost."""
    digits = _digits(document_id)
    tails = tuple(f"~{digits[-count:]}" for count in DIGITS)
    found = {PurePath(name).stem for name in rejected.names()}
    return sorted(stem for stem in found if stem.endswith(tails))


def _tailed(stem: bytes, document_id: str) -> Iterator[str]:
    stem = stem or b"scan"
    digits = _digits(document_id)
    for count in DIGITS:
        tail = f"~{digits[-count:]}".encode()
        yield os.fsdecode(_shortened(stem, NAME_BYTES - len(tail) - len(b".jpeg")) + tail)


def copied_name(name: bytes) -> tuple[bytes, str] | None:
    """Return the base and the digits if *name* is what people make of a copy's name.

    Whatever follows the digits, as ` - Kopie` or ` (2)`, was added by a desktop.
    """
    found = _TAIL.fullmatch(_stem(name))
    return (found["base"], found["digits"].decode().lower()) if found else None


def is_copy_of(name: bytes, old_name: bytes, old_id: str, stands_for: Collection[str] = ()) -> bool:
    """Return whether a file called *name* has the name of the copy of a document.

    Compared as people see it: some clients compose umlauts in another way, or change
    the case. A copy that was made before the document stood for others counts, too.
    """
    found = copied_name(name)
    if found is None:
        return False
    asked = _seen(found[0] + f"~{found[1]}".encode())
    names = chain(stems(old_name, old_id, stands_for), stems(old_name, old_id))
    return any(asked == _seen(os.fsencode(stem)) for stem in names)


def _stem(name: bytes) -> bytes:
    return os.fsencode(PurePath(os.fsdecode(name.replace(b"/", b"_"))).stem)


def _digits(document_id: str) -> str:
    return document_id.replace("-", "")


def _seen(name: bytes) -> str:
    return unicodedata.normalize("NFC", name.decode("utf-8", "surrogateescape").casefold())


def _shortened(stem: bytes, limit: int) -> bytes:
    """Cut *stem* to *limit* bytes, not in the middle of a UTF-8 character."""
    if len(stem) <= limit:
        return stem
    while limit and stem[limit] & 0xC0 == 0x80:
        limit -= 1
    return stem[:limit]


# -- placing --------------------------------------------------------------------------


def place(
    rejected: SharedFolder,
    document: Document,
    original: Path,
    names: Iterable[str],
    text: Callable[[str], bytes],
) -> None:
    """Put a copy of *original* and its text into *rejected*, under the first name that is free.

    *text* is asked for the text that goes with a file of a name. What a kill has left of
    the same is finished. OriginalUnreadable if the bytes are not what was claimed.
    """
    for stem in names:
        copy = stem + original.suffix
        if _placed(rejected, document, original, copy, f"{stem}.txt", text(copy)):
            rejected.sync()
            return
    raise FileExistsError(errno.EEXIST, "every name is taken")


def _placed(
    rejected: SharedFolder, document: Document, original: Path, copy: str, note: str, text: bytes
) -> bool:
    """Put both in place; False if one of the names has other content than ours."""
    there = _holds(rejected, copy, partial(_same_bytes, document))
    noted = _holds(rejected, note, partial(_names, document))
    if there is False or noted is False:
        return False
    temporary = _temporary(document)
    if there is None:
        rejected.fill(temporary, _verified(original, document.digest.hex))
        if not rejected.name(temporary, copy):
            return False
    rejected.fill(temporary, [text])
    if noted:
        rejected.replace(temporary, note)  # what it was refused for before it was released
        return True
    return rejected.name(temporary, note)


def _temporary(document: Document) -> str:
    return f".scanseal-{document.id}"


def _verified(original: Path, digest: str) -> Iterator[bytes]:
    """Yield the original's bytes; OriginalUnreadable if they are not what was claimed."""
    hashed = hashlib.sha256()
    try:
        with durable.opened(original) as file:
            for piece in durable.chunks(file):
                hashed.update(piece)
                yield piece
    except OSError as exc:
        raise OriginalUnreadable from exc
    if hashed.hexdigest() != digest:
        raise OriginalUnreadable


# -- taking back ----------------------------------------------------------------------


def take_back(rejected: SharedFolder, document: Document, names: Iterable[str]) -> int:
    """Remove what is still ours of a copy; return how many files that were.

    Anything else under these names stays: somebody has worked on it. NotNow if that
    cannot be known of one of them; the others are gone by then.
    """
    rejected.remove(_temporary(document))
    removed, unknown = 0, None
    for stem in names:
        for name, ours in (
            (f"{stem}.{extension(document.kind)}", partial(_same_bytes, document)),
            (f"{stem}.txt", partial(_names, document)),
        ):
            try:
                removed += _removed(rejected, name, ours)
            except NotNow as exc:
                unknown = exc
    if removed:
        rejected.sync()
    if unknown is not None:
        raise unknown
    return removed


def _removed(rejected: SharedFolder, name: str, ours: Callable[[int, int], bool]) -> bool:
    """Remove the file called *name* if it is *ours*, or empty: a name that a kill has left."""
    try:
        fd = rejected.open_scan(name)
    except NotNow as exc:
        if exc.reason in {Reason.GONE, Reason.NOT_A_FILE}:
            return False
        if exc.reason is Reason.PERMISSION and _is_anothers(rejected, name):
            return False
        raise  # nobody knows what it is: later
    try:
        seen = os.fstat(fd)
        if seen.st_size and not ours(fd, seen.st_size):
            return False
        found = rejected.facts(name)
        if (found.st_dev, found.st_ino) != (seen.st_dev, seen.st_ino):
            return False  # another file has the name by now
        rejected.remove(name)
    except FileNotFoundError:
        return False  # somebody was faster
    else:
        return True
    finally:
        os.close(fd)


def _is_anothers(rejected: SharedFolder, name: str) -> bool:
    """Return whether a file that we cannot read is another user's: then it is not our copy."""
    try:
        return rejected.facts(name).st_uid != os.geteuid()
    except FileNotFoundError:
        return True


# -- what is ours ---------------------------------------------------------------------


def _holds(rejected: SharedFolder, name: str, ours: Callable[[int, int], bool]) -> bool | None:
    """Return whether the file called *name* is *ours*; None if there is none, or an empty one."""
    try:
        fd = rejected.open_scan(name)
    except NotNow as exc:
        return None if exc.reason is Reason.GONE else False
    try:
        size = os.fstat(fd).st_size
        return ours(fd, size) if size else None
    finally:
        os.close(fd)


def _same_bytes(document: Document, fd: int, size: int) -> bool:
    if size != document.size:
        return False
    with os.fdopen(os.dup(fd), "rb", buffering=0) as file:
        return durable.digest_and_size(file)[0] == document.digest


def _names(document: Document, fd: int, size: int) -> bool:
    return size <= TEXT_BYTES and document.id.encode() in os.pread(fd, TEXT_BYTES, 0)
