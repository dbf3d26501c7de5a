"""Run a command as on a kernel that lacks Landlock, seccomp, or both.

    python -I old_kernel.py landlock,seccomp COMMAND…

A filter answers the calls as such a kernel would; what the command starts has it as well.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

from daemon import syscalls
from daemon.syscalls import AND, EQUAL, LOAD, RETURN

MACHINE = syscalls.MACHINES[os.uname().machine]
CREATE_RULESET = 444
ANSWER = 0x00050000


def op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def lacking(names: list[str]) -> bytes:
    """Return the filter."""
    code = [op(LOAD, 0)]
    if "landlock" in names:
        code += [op(EQUAL, CREATE_RULESET, 0, 1), op(RETURN, ANSWER | errno.ENOSYS)]
    if "seccomp" in names:
        (prctl,) = syscalls.numbers("prctl=157,167", MACHINE.column).values()
        code += [
            op(EQUAL, prctl, 0, 4),
            op(LOAD, syscalls.FIRST_ARGUMENT),
            op(AND, 0xFFFFFFFF),
            op(EQUAL, 22, 0, 1),
            op(RETURN, ANSWER | errno.EINVAL),
        ]
    return b"".join([*code, op(RETURN, syscalls.ALLOW)])


if __name__ == "__main__":
    libc = ctypes.CDLL(None, use_errno=True)
    body = lacking(sys.argv[1].split(","))
    held = ctypes.create_string_buffer(body, len(body))
    filters = struct.pack("@HP", len(body) // 8, ctypes.addressof(held))
    for arguments in ((38, 1, 0, 0, 0), (22, 2, filters, 0, 0)):
        if libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606
