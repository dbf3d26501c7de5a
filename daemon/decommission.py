"""Takes a box out of service: nothing unproven on it, its ledger kept elsewhere, its spool wiped.

    kept? ──no──▶ ledger exported, verified ──▶ (key destroyed, exported again) ──▶ marker ──▶ wiped
      └─ yes: refused, with counts

The service must not run. What is not FORGOTTEN keeps the box (I2): whoever wants it gone
sooner sets `keep_local_days` and `keep_refused_days`, and lets the service forget it, with
its proofs read again. What was superseded has a successor.

From the marker on there is no way back: a run that was ended there is gone on with by the next.
"""

from __future__ import annotations

import asyncio
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from daemon import durable
from daemon.document import CHUNK, Digest, is_id
from daemon.errors import CorruptionError, PersonNeeded
from daemon.forgetting import LOCAL
from daemon.intake import NotNow
from daemon.intake.survey import Survey
from daemon.lock import MARKER
from daemon.pin import Pin
from daemon.records import journal
from daemon.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from pathlib import Path

    from daemon.config import Config, HotFolder
    from daemon.hsm import Hsm
    from daemon.ledger import Head
    from daemon.pin import LoginBook
    from daemon.spool import SpoolThread

LAST: Final = ("ledger", MARKER, "lock")
"""What goes last, in this order."""
FILES: Final = "files-waiting"
UNSEEN: Final = "hotfolder-not-seen"
UNEXPLAINED: Final = "folder-unexplained"


# -- what is still here -----------------------------------------------------------------


async def kept(config: Config, spool: SpoolThread) -> dict[str, int]:
    """Return what keeps this box: how many, by a document's state or a code. Empty: nothing does.

    Paper, once it has its life here, is one more count.
    """
    found = dict(await spool(Spool.still_here))
    for section in config.hotfolders:
        for code, count in _lying(section).items():
            found[code] = found.get(code, 0) + count
    found[UNEXPLAINED] = await _unexplained(config.documents, spool)
    return {what: count for what, count in found.items() if count}


def _lying(section: HotFolder) -> dict[str, int]:
    """Count the files in a hot folder that nobody has taken; one that cannot be read counts."""
    survey = Survey(section)
    try:
        closed = len(survey.look(rung=False).closed)
    except NotNow:
        return {UNSEEN: 1}
    return {FILES: survey.lying(0)[0] + len(survey.sidecars), UNSEEN: closed}


async def _unexplained(documents: Path, spool: SpoolThread) -> int:
    """Count the folders with a document's bytes in them that no row knows of."""
    names = await asyncio.to_thread(_holding, documents)
    return sum([not is_id(name) or not await spool(Spool.exists, name) for name in names])


def _holding(documents: Path) -> list[str]:
    """Return what lies where documents lie and is no folder, or holds a document's bytes."""
    return [
        path.name
        for path in documents.glob("*/*/*/*")
        if not path.is_dir() or any(LOCAL.fullmatch(name) for name in os.listdir(path))  # noqa: PTH208
    ]


# -- the ledger -------------------------------------------------------------------------


def export(ledger: Path, folder: Path) -> Head:
    """Copy the ledger's files, personal details too, to *folder*; return its end as verified there.

    Returns once they are durable, and were read again from the disk. May be repeated.
    """
    for path in sorted(ledger.iterdir()):
        copy = folder / path.name
        temporary = copy.with_name(f".{path.name}.part")
        temporary.unlink(missing_ok=True)
        durable.copy(path, temporary)
        temporary.replace(copy)
        durable.forget_pages(copy)
    durable.sync_folder(folder)
    head = journal.verify_files(folder)
    journal.verify_personal(folder)
    return head


async def take_out(
    config: Config, spool: SpoolThread, folder: Path, person: str, now: datetime
) -> Head:
    """Refuse, or export the ledger with the line that says what happens; the spool stays as it is."""
    found = await kept(config, spool)
    if found:
        counts = ", ".join(f"{what}: {count}" for what, count in found.items())
        raise PersonNeeded("decommission-kept", counts)
    _make_empty(folder, config.state_dir)
    await spool(Spool.export_ledger)
    journal.compare(config.state_dir)
    await spool(Spool.note, "decommission", {}, {"person": person}, now)
    return await exported(config, spool, folder)


async def exported(config: Config, spool: SpoolThread, folder: Path) -> Head:
    """Export, and compare the end with the database's."""
    await spool(Spool.export_ledger)
    try:
        head = export(config.state_dir / "ledger", folder)
    except OSError as exc:
        raise PersonNeeded("export-unusable", f"{folder}: {exc.strerror}") from exc
    if head != await spool(Spool.head):
        raise CorruptionError("ledger-damaged", f"{folder} is not what the database says")
    return head


def _make_empty(folder: Path, state_dir: Path) -> None:
    """Make *folder* unless it is there; it has to be empty, and somewhere else."""
    if folder.resolve().is_relative_to(state_dir.resolve()):
        raise PersonNeeded("export-unusable", f"{folder} lies in {state_dir}, which is wiped")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if any(True for _ in folder.iterdir()):
            raise PersonNeeded("export-unusable", f"{folder} is not empty")
        durable.sync_folder(folder.parent)
    except OSError as exc:
        raise PersonNeeded("export-unusable", f"{folder}: {exc.strerror}") from exc


# -- the key ----------------------------------------------------------------------------


async def destroy_key(
    hsm: Hsm,
    book: LoginBook,
    spool: SpoolThread,
    label: str,
    serial: str,
    person: str,
    clock: Callable[[], datetime],
) -> None:
    """Destroy the key of that label in the token with the *serial* that a person has typed.

    Nobody logs in before that is the same; the login is accounted as always (I6).
    """
    facts = await hsm.open()
    if not serial or serial != facts.serial:
        raise PersonNeeded("serial-wrong", f"the token is not the one that was typed: {label!r}")
    await Pin(book, clock).present(facts, hsm.login)
    key = await hsm.destroy_key(label)
    public = str(Digest.of(bytes.fromhex(key.public)))
    detail = {"serial": facts.serial, "key": label, "public_key_sha256": public}
    await spool(Spool.note, "key-destroyed", detail, {"person": person}, clock())


# -- the spool --------------------------------------------------------------------------


def mark(state_dir: Path) -> None:
    """Write down, durably, that what follows may be gone on with by anybody."""
    durable.write(state_dir / MARKER, b"The ledger was exported; this folder is being wiped.\n")


def wipe(state_dir: Path) -> None:
    """Overwrite every file in *state_dir* once and remove it. May be repeated.

    On an SSD, and on a file system that copies on write, the old bytes may stay where
    they were: whoever has to be sure encrypts the volume and destroys its key, or the disk.
    """
    names = {path.name for path in state_dir.iterdir()}
    for name in (*sorted(names - set(LAST)), *(name for name in LAST if name in names)):
        path = state_dir / name
        if path.is_dir() and not path.is_symlink():
            for top, folders, files in os.walk(path, topdown=False):
                _remove(state_dir / top / file for file in files)
                for folder in folders:
                    _remove_folder(state_dir / top / folder)
            path.rmdir()
        else:
            _remove([path])
        durable.sync_folder(state_dir)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        if stat.S_ISREG(path.lstat().st_mode):
            with suppress(PermissionError):
                _overwrite(path)
        path.unlink()


def _remove_folder(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    else:
        path.rmdir()


def _overwrite(path: Path) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(fd, "wb", buffering=0) as file:
        left = os.fstat(fd).st_size
        while left > 0:
            left -= file.write(bytes(min(left, CHUNK)))
        os.fsync(fd)
