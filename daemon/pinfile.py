"""The file that holds the PIN, read in the HSM process and nowhere else.

Everything that can be seen to be wrong with it is refused here, before a login:
an attempt spent on a file that cannot be right is one less until the card locks.
No message here says anything of the content, its length included.
"""

from __future__ import annotations

import os
import stat
import struct

from daemon.errors import PermanentError

MOST_BYTES = 255
ACL_OWNER, ACL_USER, ACL_MASK = 0x01, 0x02, 0x10


def read_pin(path: str) -> bytes:
    """Return the PIN without one trailing newline; raise PermanentError if it cannot be one."""
    try:
        # Not blocking: somebody may have put a pipe there.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as exc:
        raise PermanentError("pin-file-missing", f"{path}: {exc.strerror}") from None
    with os.fdopen(fd, "rb", buffering=0) as file:
        found = os.fstat(fd)
        try:
            acl = os.getxattr(fd, "system.posix_acl_access")
        except OSError:
            acl = None
        if not stat.S_ISREG(found.st_mode):
            raise PermanentError("pin-file-unusable", f"{path}: is no regular file")
        if not closed_to_others(found.st_mode, acl, os.geteuid()):
            mode = stat.S_IMODE(found.st_mode)
            raise PermanentError("pin-file-open", f"{path}: has mode {mode:04o}")
        pin = (file.read(MOST_BYTES + 2) or b"").removesuffix(b"\n")
    # The carriage return of another system's editor would be sent as part of the PIN.
    if not 1 <= len(pin) <= MOST_BYTES or min(pin) < 0x20 or 0x7F in pin:
        raise PermanentError("pin-file-unusable", f"{path}: is not one line with one PIN")
    return pin


def closed_to_others(mode: int, acl: bytes | None, uid: int) -> bool:
    """Return whether nobody but root, its owner and *uid* may do anything with such a file.

    From version 254 on systemd lets a service read its credential by an ACL, and
    an ACL's mask shows as group bits (mode 0440): then the ACL has the answer.
    """
    if not mode & 0o077:
        return True
    if mode & 0o007 or acl is None:
        return False
    return all(
        tag in (ACL_OWNER, ACL_MASK) or (tag == ACL_USER and named == uid) or not permission
        for tag, permission, named in struct.iter_unpack("<HHI", acl[4:])
    )
