"""The walls of a page worker: what its process can reach, whatever runs in it.

    read    files of `work/in`, one by one: the folder cannot be listed
    write   files of `work/out`: make, read, change, remove
    code    interpreter, libraries, our own modules: read, never executed
    else    nothing: no other file, no socket, no signal, no process (syscalls.py)

Landlock for the files, seccomp for the calls, no capability but the one to read scans that
belong to somebody else (where the service runs as root). Each only narrows, for good, and none
needs a privilege. `confine` runs in the worker, after its imports and before its first request.

A kernel without one of them is no error here: what holds is returned, and the service shows
what does not. Written with ctypes: docs/decisions/0006 says why, and what is not covered.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from daemon import syscalls

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

NEWEST: Final = 1 << 16
"""No limit to the version of Landlock that is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """The places of one worker. No secrets: they stand in its command line."""

    read: tuple[str, ...]
    """Folders whose files it may read, or single files."""
    write: tuple[str, ...] = ()
    """Folders in which it may make, change and remove files."""
    apart: tuple[str, ...] = ()
    """What it must not see even where it lies between libraries: state_dir, the PIN, targets."""
    abi: int = NEWEST
    """Use Landlock as a kernel of this version would; for tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """What holds in a worker, or what this kernel offers."""

    landlock: int
    """The version of its rules that is in force; 0 for none."""
    seccomp: bool
    capabilities: bool
    """Whether those it has no use for were dropped."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Return the names of what does not hold."""
        held = (
            ("landlock", self.landlock > 0),
            ("seccomp", self.seccomp),
            ("capabilities", self.capabilities),
        )
        return tuple(name for name, there in held if not there)


# -- where the code lies -------------------------------------------------------------------------

LIBRARIES: Final = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64")
LINKER: Final = "/etc/ld.so.cache"
ZONES: Final = "/usr/share/zoneinfo"
PACKAGE: Final = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 (no pathlib here)


def code() -> tuple[str, ...]:
    """Return where this interpreter's modules, their libraries and our own modules lie.

    Of sys.path only what belongs to the interpreter or its virtual environment: a folder that
    a .pth file adds holds a whole checkout, with whatever else lies in it.
    """
    homes = {sys.prefix, sys.base_prefix}
    belong = {path for path in sys.path for home in homes if _within(path, home)}
    modules = sorted(belong - homes)  # a virtual environment may be made in the checkout itself
    return (*modules, PACKAGE, *LIBRARIES, LINKER, ZONES)


def without(place: str, apart: Sequence[str]) -> Iterator[str]:
    """Yield *place*, or the parts of it in which nothing of *apart* lies; all are real paths.

    A part that is a symbolic link is left out: what it points to is named by its own path.
    """
    inside = [path for path in apart if _within(path, place)]
    if not inside:
        yield place
    elif place not in inside:
        with suppress(PermissionError), os.scandir(place) as entries:
            for entry in entries:
                if not entry.is_symlink():
                    yield from without(entry.path, inside)


def granted(sandbox: Sandbox, libraries: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Yield each place with the rights of Landlock that the worker has in it."""
    apart = [os.path.realpath(path) for path in sandbox.apart]
    for place in sorted({os.path.realpath(path) for path in libraries}):
        yield from ((part, READ_FILE | READ_DIR) for part in without(place, apart))
    yield "/dev/null", READ_FILE | WRITE_FILE
    yield "/dev/urandom", READ_FILE
    yield from ((os.path.realpath(path), READ_FILE) for path in sandbox.read)
    yield from ((os.path.realpath(path), WRITER) for path in sandbox.write)


def _within(path: str, place: str) -> bool:
    return path == place or path.startswith(f"{place.rstrip('/')}/")


# -- Landlock ------------------------------------------------------------------------------------

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << n for n in range(6))
MAKE_REG: Final = 1 << 8
TRUNCATE: Final = 1 << 14
OF_FILES: Final = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE
"""What may be said of a single file."""
WRITER: Final = READ_FILE | WRITE_FILE | TRUNCATE | MAKE_REG | REMOVE_FILE
FILE_RIGHTS: Final = {1: 13, 2: 14, 3: 15, 5: 16}
"""From this version on, so many rights about files are known; all of them are refused by default."""
NETWORK_RIGHTS: Final = 0b11
"""Bind and connect, from version 4 on."""
SCOPES: Final = 0b11
"""Abstract sockets and signals of processes outside, from version 6 on."""
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
ASK_VERSION: Final = 1
PATH_BENEATH: Final = 1


def landlock_version() -> int:
    """Return the version of Landlock that this kernel offers to this process, or 0."""
    try:
        return _call(CREATE_RULESET, None, 0, ASK_VERSION)
    except OSError:  # not built in, switched off at boot, or filtered by whoever started us
        return 0


def attributes(abi: int) -> bytes:
    """Return struct landlock_ruleset_attr, as long as a kernel of version *abi* knows it."""
    rights = max(count for version, count in FILE_RIGHTS.items() if version <= abi)
    whole = struct.pack("=QQQ", (1 << rights) - 1, NETWORK_RIGHTS, SCOPES)
    return whole[: 8 if abi < 4 else 16 if abi < 6 else 24]


def _landlock(places: Iterable[tuple[str, int]], most: int) -> int:
    """Restrict this process to *places* and return the version whose rules hold, or 0."""
    abi = min(landlock_version(), most)
    if abi < 1:
        return 0
    handled = attributes(abi)
    ruleset = _call(CREATE_RULESET, handled, len(handled), 0)
    try:
        (known,) = struct.unpack_from("=Q", handled)
        for place, rights in places:
            with suppress(FileNotFoundError):  # a folder of libraries that this system lacks
                _allow(ruleset, place, rights & known)
        _call(RESTRICT_SELF, ruleset, 0)
    except OSError:  # too many domains in each other, or filtered
        return 0
    finally:
        os.close(ruleset)
    return abi


def _allow(ruleset: int, place: str, rights: int) -> None:
    fd = os.open(place, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= OF_FILES
        _call(ADD_RULE, ruleset, PATH_BENEATH, struct.pack("=Qi", rights, fd), 0)
    finally:
        os.close(fd)


# -- capabilities and seccomp --------------------------------------------------------------------

CAPABILITY_VERSION: Final = 0x20080522
DAC_OVERRIDE: Final = 1 << 1
"""A service that runs as root reads scans of other users by it; files are Landlock's matter."""
ALL: Final = (1 << 64) - 1
PR_SET_SECCOMP: Final = 22
FILTER: Final = 2
EFAULT: Final = 14


def _capabilities(*, keep: int) -> bool:
    """Give up every capability that is not in *keep*; return whether that could be done."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("=Ii", CAPABILITY_VERSION, 0)
    # Effective, permitted, inheritable: of the first 32, then of the others.
    held = ctypes.create_string_buffer(24)
    if libc.capget(header, held) != 0:
        return False
    words = struct.unpack("=6I", held.raw)
    kept = [word & (keep >> (0 if number < 3 else 32)) for number, word in enumerate(words)]
    return bool(libc.capset(header, struct.pack("=6I", *kept)) == 0)


def _seccomp() -> bool:
    """Refuse this process and its threads what syscalls.py says; return whether that holds."""
    code = syscalls.program(_machine(), os.getpid())
    if not code:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    held = ctypes.create_string_buffer(code, len(code))
    filters = struct.pack("@HP", len(code) // 8, ctypes.addressof(held))
    return bool(libc.prctl(PR_SET_SECCOMP, FILTER, filters, 0, 0) == 0)


def _seccomp_offered() -> bool:
    """Return whether filters can be set: the kernel looks for one where there is none."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_SECCOMP, FILTER, None, 0, 0)
    return ctypes.get_errno() == EFAULT and bool(syscalls.program(_machine(), 1))


def _machine() -> str:
    """Return the machine whose calls this process makes; a 32-bit one on it is none we know."""
    return os.uname().machine if sys.maxsize > 1 << 32 else ""


def _call(number: int, *arguments: Any) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    libc.syscall.restype = ctypes.c_long
    found: int = libc.syscall(ctypes.c_long(number), *words)
    if found < 0:
        raise OSError(ctypes.get_errno(), f"system call {number}")
    return found


# -- both ----------------------------------------------------------------------------------------


def confine(sandbox: Sandbox) -> Confinement:
    """Confine this process for good; PR_SET_NO_NEW_PRIVS has to be set. See the module.

    Raise OSError if a place of *sandbox* does not exist: then nothing could be done in it.
    """
    for place in (*sandbox.read, *sandbox.write):
        os.stat(place)  # noqa: PTH116 (no pathlib here)
    # The kernel confines one thread; another, which a library has started, would be free.
    alone = len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208 (no pathlib here)
    landlock = _landlock(granted(sandbox, code()), sandbox.abi)
    capabilities = _capabilities(keep=DAC_OVERRIDE)
    seccomp = _seccomp()  # last: it forbids what the others need
    if not alone:
        return Confinement(landlock=0, seccomp=False, capabilities=False)
    return Confinement(landlock=landlock, seccomp=seccomp, capabilities=capabilities)


def offered() -> Confinement:
    """Return what a worker started by this process could have; changes nothing."""
    return Confinement(
        landlock=landlock_version(),
        capabilities=_capabilities(keep=ALL),
        seccomp=_seccomp_offered(),
    )


def from_json(value: Mapping[str, Any]) -> Sandbox:
    """Return the Sandbox that `dataclasses.asdict` took apart."""
    lists = {name: tuple(value[name]) for name in ("read", "write", "apart")}
    return Sandbox(**lists, abi=value["abi"])
