"""Taking scans out of a hot folder: what `hotfolder.py` sheds.

    survey    what lies in the hot folder, and since when it has not changed
    settle    the rule: may this file be taken, has it to wait, or is it given up
    claim     the two moves from the hot folder into the document's folder
    adoption  an original without a row is looked at again, and claimed as it is
    moving    the second of them: by rename, or across mounts by copy
    pairing   the rule: which sidecar belongs to which scan
    sidecar   the two moves of a sidecar, into the folder of its document
    reading   asks page workers what a sidecar or a name says
    describer finds out what came with a scan, and lets it go on
    recovery  at start: what an interruption left half-way is finished
    wayback   the copy and the text for the person at the scanner
    copies    the files of such a copy; explanation has the text
    sharedfolder  a folder on the share that we write into, and no link instead of it
    arrivals  what became of scans, in words; report is a file of them on the share
    kin       is a new scan one that was refused before, dropped again?
    bell      events of the hot folder; they only wake the survey

This module has the words that they share: why a file is not taken now.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import stat
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PRIVATE: Final = ".scanseal"
"""The folder inside a hot folder that holds what is claimed and not yet moved."""


class Reason(StrEnum):
    """Why a file is not taken now. The values are codes; none of them is about one person."""

    QUIET = "still-changing"
    WRITER = "still-open"
    EMPTY = "file-empty"
    UNKNOWN = "format-unknown"
    INCOMPLETE = "file-incomplete"
    NOT_A_FILE = "not-a-file"
    PERMISSION = "hotfolder-permission"
    UNREADABLE = "file-unreadable"
    DISK_FULL = "disk-full"
    COPY = "copy-differs"
    DEEP = "folder-too-deep"
    MOUNT = "subfolder-mount"
    ALONE = "sidecar-alone"
    """A sidecar without a scan."""
    TURN = "in-turn"
    """It has settled, and others come first."""
    GONE = "gone"


TROUBLES: Final = frozenset({Reason.PERMISSION, Reason.DISK_FULL, Reason.COPY, Reason.MOUNT})
"""Reasons that are alarms of their own, at once: no waiting makes them better."""
LASTING: Final = TROUBLES | {Reason.WRITER, Reason.UNREADABLE, Reason.NOT_A_FILE}
"""Reasons that say of a sidecar why it cannot be taken: not that it is not ready yet."""


class NotNow(Exception):
    """This file is not taken now; it stays where it is and is looked at again."""

    def __init__(self, reason: Reason, detail: str = "", again: float | None = None) -> None:
        """*again* is in how many seconds another look can say anything new; None: any time."""
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        """Numbers, users and modes; never a name of a file (I9)."""
        self.again = again


NO_FOLDER_FSYNC: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
"""What some network mounts answer to the fsync of a folder: they have no such thing."""

_REASONS: Final = {
    errno.ENOENT: Reason.GONE,
    errno.EACCES: Reason.PERMISSION,
    errno.EPERM: Reason.PERMISSION,
    errno.EROFS: Reason.PERMISSION,
    # A lease or an oplock of another process, and what SMB servers say to the same.
    errno.EAGAIN: Reason.WRITER,
    errno.EBUSY: Reason.WRITER,
    errno.ETXTBSY: Reason.WRITER,
    errno.ELOOP: Reason.NOT_A_FILE,
    errno.ENXIO: Reason.NOT_A_FILE,
    errno.EISDIR: Reason.NOT_A_FILE,
    errno.ENOSPC: Reason.DISK_FULL,
    errno.EDQUOT: Reason.DISK_FULL,
    errno.EXDEV: Reason.MOUNT,
}


def not_now(exc: OSError, what: str, path: Path) -> NotNow:
    """Say why the hot folder did not let us *what* the file at *path*.

    Permission trouble is named with our user and the modes, so that somebody can do
    something about it: it is never taken for a file that is still being written.
    """
    reason = _REASONS.get(exc.errno or 0, Reason.UNREADABLE)
    if reason is Reason.PERMISSION:
        return NotNow(reason, permissions(what, path))
    if reason is Reason.DISK_FULL:
        return NotNow(reason, f"{what}: the hot folder's own disk has no room left")
    name = errno.errorcode.get(exc.errno or 0, "?")
    return NotNow(reason, f"{what}: {name}")


def permissions(what: str, path: Path) -> str:
    """Return who we are and what the modes of *path* and its folder are, without their names.

    Whose they are is said of root and of us alone: on a share with accounts of their own
    the owner of a scan is the person who scanned it (I9). `ls -l` shows it to whoever may look.
    """
    facts = [f"{_user(os.geteuid())} may not {what}"]
    for label, place in (("it", path), ("its folder", path.parent)):
        try:
            found = place.lstat()
        except OSError as exc:
            facts.append(f"{label}: {errno.errorcode.get(exc.errno or 0, '?')}")
        else:
            mode = stat.filemode(found.st_mode)
            facts.append(f"{label} is {mode} of {_owner(found.st_uid)}, {_group(found.st_gid)}")
    return "; ".join([*facts, "`ls -l` there shows whose"])


def _owner(uid: int) -> str:
    return _user(uid) if uid in {0, os.geteuid()} else "another user"


def _group(gid: int) -> str:
    """Say whether the mode's group is one of ours; many people have one of their own."""
    return "a group of ours" if gid in {os.getegid(), *os.getgroups()} else "a group of others"


def _user(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


@contextlib.contextmanager
def at_share(what: str, path: Path) -> Iterator[None]:
    """Turn what the hot folder's mount does not let us do into NotNow."""
    try:
        yield
    except OSError as exc:
        raise not_now(exc, what, path) from exc


@contextlib.contextmanager
def at_state() -> Iterator[None]:
    """Turn a full disk of ours into NotNow; anything else there goes up and ends the process."""
    try:
        yield
    except OSError as exc:
        if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise NotNow(Reason.DISK_FULL, "state_dir has no room left") from exc
        raise


def sync_if_possible(folder: Path) -> None:
    """Make the names in a folder of the share durable, where its mount knows how."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_names(fd)
    finally:
        os.close(fd)


def sync_names(folder: int) -> None:
    """Do so in a folder that is open."""
    try:
        os.fsync(folder)
    except OSError as exc:
        if exc.errno not in NO_FOLDER_FSYNC:
            raise
