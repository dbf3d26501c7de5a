"""The way back: a copy of each refused scan, and a text that says why and what to do.

They lie in the hot folder's `rejected`, as <name>~<id8>.<ext> and .txt: id8 are the
last eight digits of the document's id. A copy only: the original stays with us (I2),
and whoever has read the text may delete both. Nothing there is ever overwritten.

The file's name comes from document.json and goes nowhere but into this folder,
where it came from (I9).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import logging
import os
import stat
import zoneinfo
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final

from daemon import durable
from daemon.codes import CODES
from daemon.document import folder_of, printable
from daemon.intake import NotNow, Reason, at_share, sync_if_possible
from daemon.intake.origin import origin_of, stored
from daemon.intake.settle import open_scan
from daemon.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from daemon.alarms import Alarms
    from daemon.config import Config, HotFolder
    from daemon.document import Document
    from daemon.spool import SpoolThread

log = logging.getLogger("intake")

NOT_WRITABLE: Final = "rejected-not-writable"
ORIGINAL: Final = "original-unreadable"
BATCH: Final = 64
NAME_BYTES: Final = 255
"""The longest name that a file may have on the file systems that shares lie on."""
SHARED_MODE: Final = 0o660
"""For the people of the share, whose group the folder hands down: whatever our umask is."""

LABELS: Final = {
    "de": (
        "Dieser Scan wurde nicht angenommen.",
        "Datei",
        "Abgeholt",
        "Grund",
        "Was zu tun ist",
        "Kennung",
        "%d.%m.%Y %H:%M",
    ),
    "en": (
        "This scan was not accepted.",
        "File",
        "Collected",
        "Reason",
        "What to do",
        "Reference",
        "%Y-%m-%d %H:%M",
    ),
}


class OriginalUnreadable(Exception):
    """Our own original is missing, or is not what was claimed."""


class WayBack:
    """The copies of one hot folder's refused documents."""

    def __init__(
        self,
        section: HotFolder,
        config: Config,
        spool: SpoolThread,
        alarms: Alarms,
        clock: Callable[[], datetime],
    ) -> None:
        """Nothing is copied yet."""
        self._section = section
        self._config = config
        self._spool = spool
        self._alarms = alarms
        self._clock = clock
        self._rejected = Path(section.rejected)
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look now: a document was refused."""
        self._wake.set()

    async def run(self) -> None:
        """Make copies as they become due, until cancelled."""
        while True:
            self._wake.clear()
            await self.copy_back()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(60.0, self._section.rescan_seconds)):
                    await self._wake.wait()

    async def copy_back(self) -> int:
        """Make every copy that is due; return how many that were.

        A folder that cannot be written to is an alarm, and tried again later. A
        document whose original cannot be read is another, and stops no other.
        """
        made, damaged, last = 0, "", ""
        while batch := await self._spool(Spool.copies_due, BATCH, last):
            last = batch[-1].id
            for document in batch:
                if document.hotfolder != self._section.name:
                    continue
                try:
                    await asyncio.to_thread(self._give_back, document)
                except NotNow as exc:
                    self._alarms.raise_(NOT_WRITABLE, self._section.name, exc.detail)
                    return made
                except OriginalUnreadable:
                    damaged = document.id
                    continue
                await self._spool(Spool.copied_back, document, self._clock())
                log.info("copied-back document=%s code=%s", document.id, document.code)
                made += 1
        self._alarms.clear(NOT_WRITABLE, self._section.name)
        if damaged:
            self._alarms.raise_(ORIGINAL, self._section.name, damaged)
        else:
            self._alarms.clear(ORIGINAL, self._section.name)
        return made

    # -- blocking -------------------------------------------------------------------

    def _give_back(self, document: Document) -> None:
        folder = folder_of(self._config.documents, document.id)
        original = stored(folder)
        if original is None:
            raise OriginalUnreadable
        origin = origin_of(folder)
        name = origin.name if origin else b""
        text = explanation(
            document,
            printable(name),
            self._config.box.language,
            zoneinfo.ZoneInfo(self._config.box.timezone),
        )
        with at_share("write to rejected", self._rejected / "*"):
            for stem in _stems(name, document.id):
                copy = self._rejected / (stem + original.suffix)
                if self._placed(document, original, copy, self._rejected / (stem + ".txt"), text):
                    sync_if_possible(self._rejected)
                    return
            raise FileExistsError(errno.EEXIST, "every name is taken")

    def _placed(
        self, document: Document, original: Path, copy: Path, note: Path, text: bytes
    ) -> bool:
        """Put both in place; False if one of the names has other content than ours."""
        there = _holds(copy, lambda pieces: _digest(pieces) == document.digest.hex)
        noted = _holds(note, lambda pieces: document.id.encode() in next(iter(pieces), b""))
        if there is False or noted is False:
            return False
        temporary = self._rejected / f".scanseal-{document.id}"
        if there is None:
            _fill(temporary, _verified(original, document.digest.hex))
            if not _name(temporary, copy):
                return False
        _fill(temporary, [text])
        if noted:
            temporary.replace(note)  # what it was refused for before it was released
            return True
        return _name(temporary, note)


def explanation(document: Document, name: str, language: str, zone: zoneinfo.ZoneInfo) -> bytes:
    """Return the text for the person at the scanner: both languages, the box's own first.

    With the mark and the line ends that the oldest editors of Windows need.
    """
    blocks = []
    for own in sorted(LABELS, key=lambda key: key != language):
        title, file, collected, why, remedy, reference, form = LABELS[own]
        code = CODES.get(document.code)
        words = code.text(own) if code else None
        at = document.claimed_at.astimezone(zone).strftime(form)
        blocks.append(
            [
                title,
                "",
                f"{file}: {name}",
                f"{collected}: {at}",
                f"{why}: {words.sentence if words else ''} ({document.code})",
                f"{remedy}: {words.remedy if words else ''}",
                f"{reference}: {document.id}",
            ]
        )
    lines = [*blocks[0], "", "-" * 60, "", *blocks[1], ""]
    return "\r\n".join(lines).encode("utf-8-sig")


def _stems(name: bytes, document_id: str) -> Iterator[str]:
    """Yield names without extension: the id's last 8 digits, more of them if that is taken."""
    stem = os.fsencode(PurePath(os.fsdecode(name.replace(b"/", b"_"))).stem) or b"scan"
    digits = document_id.replace("-", "")
    for count in (8, 12, 32):
        tail = f"~{digits[-count:]}".encode()
        yield os.fsdecode(_shortened(stem, NAME_BYTES - len(tail) - len(b".jpeg")) + tail)


def _shortened(stem: bytes, limit: int) -> bytes:
    """Cut *stem* to *limit* bytes, not in the middle of a UTF-8 character."""
    if len(stem) <= limit:
        return stem
    while limit and stem[limit] & 0xC0 == 0x80:
        limit -= 1
    return stem[:limit]


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


def _holds(path: Path, ours: Callable[[Iterable[bytes]], bool]) -> bool | None:
    """Return whether the file at *path* is *ours*; None if there is none, or an empty one."""
    try:
        fd = open_scan(path)
    except NotNow as exc:
        return None if exc.reason is Reason.GONE else False
    with os.fdopen(fd, "rb", buffering=0) as file:
        return ours(durable.chunks(file)) if os.fstat(fd).st_size else None


def _digest(pieces: Iterable[bytes]) -> str:
    hashed = hashlib.sha256()
    for piece in pieces:
        hashed.update(piece)
    return hashed.hexdigest()


def _fill(temporary: Path, pieces: Iterable[bytes]) -> None:
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


def _name(temporary: Path, final: Path) -> bool:
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
