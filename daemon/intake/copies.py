"""The files of a copy in `rejected`: what they are called, placing them, taking them back.

    <name>~<id8>.<ext> and .txt      id8: the last eight digits of the document's id;
                                     more of them where that name is taken

Nothing that lies there is ever overwritten, and nothing is removed that is not ours:
a copy is, as long as its bytes are the document's; a text is, as long as it names the
document. Everything here blocks; what the share does not let us do is NotNow.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import stat
import unicodedata
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final

from daemon import durable
from daemon.intake import NotNow, Reason, at_share, sync_if_possible
from daemon.intake.settle import open_scan
from daemon.magic import extension

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from daemon.document import Document

NAME_BYTES: Final = 255
"""The longest name that a file may have on the file systems that shares lie on."""
SHARED_MODE: Final = 0o660
"""For the people of the share, whose group the folder hands down: whatever our umask is."""
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
    the case.
    """
    found = copied_name(name)
    if found is None:
        return False
    asked = _seen(found[0] + f"~{found[1]}".encode())
    return any(asked == _seen(os.fsencode(stem)) for stem in stems(old_name, old_id, stands_for))


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
    rejected: Path,
    document: Document,
    original: Path,
    names: Iterable[str],
    text: Callable[[str], bytes],
) -> None:
    """Put a copy of *original* and its text into *rejected*, under the first name that is free.

    *text* is asked for the text that goes with a file of a name. What a kill has left of
    the same is finished. OriginalUnreadable if the bytes are not what was claimed.
    """
    with at_share("write to rejected", rejected / "*"):
        for stem in names:
            copy = rejected / (stem + original.suffix)
            if _placed(document, original, copy, rejected / (stem + ".txt"), text(copy.name)):
                sync_if_possible(rejected)
                return
        raise FileExistsError(errno.EEXIST, "every name is taken")


def _placed(document: Document, original: Path, copy: Path, note: Path, text: bytes) -> bool:
    """Put both in place; False if one of the names has other content than ours."""
    there = _holds(copy, partial(_same_bytes, document))
    noted = _holds(note, partial(_names, document))
    if there is False or noted is False:
        return False
    temporary = _temporary(copy.parent, document)
    if there is None:
        fill(temporary, _verified(original, document.digest.hex))
        if not name(temporary, copy):
            return False
    fill(temporary, [text])
    if noted:
        temporary.replace(note)  # what it was refused for before it was released
        return True
    return name(temporary, note)


def _temporary(rejected: Path, document: Document) -> Path:
    return rejected / f".scanseal-{document.id}"


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


def fill(temporary: Path, pieces: Iterable[bytes]) -> None:
    """Write a temporary file that is ours alone; what a kill left of it is replaced."""
    temporary.unlink(missing_ok=True)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, SHARED_MODE)
    try:
        with os.fdopen(fd, "wb") as out:
            for piece in pieces:
                out.write(piece)
            out.flush()
            with contextlib.suppress(PermissionError):  # some mounts have one mode for all
                os.fchmod(out.fileno(), SHARED_MODE)
            os.fsync(out.fileno())
    except BaseException:
        temporary.unlink()
        raise


def name(temporary: Path, final: Path) -> bool:
    """Give *temporary* its name; False if something has it, which is not overwritten.

    An empty file keeps the name until it is replaced: not every mount knows links.
    One that lies there already is what a kill has left of that.
    """
    try:
        os.close(os.open(final, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        if not _is_empty(final):
            temporary.unlink()
            return False
    temporary.replace(final)
    return True


def _is_empty(path: Path) -> bool:
    found = path.lstat()
    return stat.S_ISREG(found.st_mode) and found.st_size == 0


# -- taking back ----------------------------------------------------------------------


def take_back(rejected: Path, document: Document, names: Iterable[str]) -> int:
    """Remove what is still ours of a copy; return how many files that were.

    Anything else under these names stays: somebody has worked on it.
    """
    with at_share("remove from rejected", rejected / "*"):
        if not stat.S_ISDIR(rejected.stat().st_mode):  # away, with its share
            raise NotADirectoryError(errno.ENOTDIR, "no folder")
        _temporary(rejected, document).unlink(missing_ok=True)
        removed = 0
        for stem in names:
            copy = rejected / f"{stem}.{extension(document.kind)}"
            removed += _removed(copy, partial(_same_bytes, document))
            removed += _removed(rejected / f"{stem}.txt", partial(_names, document))
        if removed:
            sync_if_possible(rejected)
    return removed


def _removed(path: Path, ours: Callable[[int, int], bool]) -> bool:
    """Remove the file at *path* if it is *ours*, or empty: a name that a kill has left."""
    try:
        fd = open_scan(path)
    except NotNow as exc:
        if exc.reason in {Reason.WRITER, Reason.UNREADABLE}:
            raise  # nobody knows what it is: later
        return False
    try:
        seen = os.fstat(fd)
        if seen.st_size and not ours(fd, seen.st_size):
            return False
        found = path.lstat()
        if (found.st_dev, found.st_ino) != (seen.st_dev, seen.st_ino):
            return False  # another file has the name by now
        path.unlink()
    except FileNotFoundError:
        return False  # somebody was faster
    else:
        return True
    finally:
        os.close(fd)


# -- what is ours ---------------------------------------------------------------------


def _holds(path: Path, ours: Callable[[int, int], bool]) -> bool | None:
    """Return whether the file at *path* is *ours*; None if there is none, or an empty one."""
    try:
        fd = open_scan(path)
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
