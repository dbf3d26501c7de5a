"""Which system calls a page worker is refused, and the kernel's own program that refuses them.

Pure: tables in, bytes out; sandbox.py gives them to the kernel. A list of what is
refused and not of what is allowed: docs/decisions/0006 says why.

    another machine's calls, x32        the process is killed; EPERM
    in a list below                     EPERM
    allowed with some arguments only    EPERM with the others
    clone3, openat2                     ENOSYS: their arguments cannot be seen from here, and
                                        libraries fall back to calls whose arguments can
    everything else                     allowed

Landlock has no say in who may send a signal, change a mode or an owner, or (before its third
version) cut off a file: what it leaves open is closed here.
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass
from typing import Final

# Numbers for amd64 and arm64; "-" where there is none. From 424 on all machines have the same.
NETWORK: Final = """
socket=41,198 socketpair=53,199 bind=49,200 listen=50,201 accept=43,202 accept4=288,242
connect=42,203 getsockname=51,204 getpeername=52,205 sendto=44,206 recvfrom=45,207
setsockopt=54,208 getsockopt=55,209 shutdown=48,210 sendmsg=46,211 recvmsg=47,212
recvmmsg=299,243 sendmmsg=307,269
"""
"""Also of local sockets: the control socket, the bus, a database server."""
SHARED: Final = """
shmget=29,194 shmctl=31,195 shmat=30,196 shmdt=67,197 msgget=68,186 msgctl=71,187
msgsnd=69,189 msgrcv=70,188 semget=64,190 semctl=66,191 semop=65,193 semtimedop=220,192
mq_open=240,180 mq_unlink=241,181 add_key=248,217 request_key=249,218 keyctl=250,219
"""
"""Memory, messages and keys that other processes of the same user can have."""
PROCESSES: Final = """
fork=57,- vfork=58,- clone=56,220 execve=59,221 execveat=322,281 unshare=272,97 setns=308,268
ptrace=101,117 process_vm_readv=310,270 process_vm_writev=311,271 process_madvise=440,440
process_mrelease=448,448 kcmp=312,272 pidfd_open=434,434 pidfd_send_signal=424,424
pidfd_getfd=438,438 tkill=200,130 rt_sigqueueinfo=129,138 rt_tgsigqueueinfo=297,240
setpriority=141,140 sched_setparam=142,118 sched_setscheduler=144,119
sched_setaffinity=203,122 sched_setattr=314,274 ioprio_set=251,30 migrate_pages=256,238
move_pages=279,239 personality=135,92
"""
"""New ones would outlive the worker; the others' are none of its business. Threads are clones too:
no parser of ours needs one, and a thousand of them would take all that the service may have."""
ATTRIBUTES: Final = """
chmod=90,- fchmod=91,52 fchmodat=268,53 fchmodat2=452,452 chown=92,- fchown=93,55 lchown=94,-
fchownat=260,54 utime=132,- utimes=235,- futimesat=261,- utimensat=280,88 setxattr=188,5
lsetxattr=189,6 fsetxattr=190,7 setxattrat=463,463 removexattr=197,14 lremovexattr=198,15
fremovexattr=199,16 removexattrat=466,466 file_setattr=469,469 truncate=76,45
name_to_handle_at=303,264 open_by_handle_at=304,265
"""
"""Of files that cannot be opened, or only be read: a document in work is one with its original."""
WATCHING: Final = """
inotify_init=253,- inotify_init1=294,26 inotify_add_watch=254,27 fanotify_init=300,262
fanotify_mark=301,263
"""
"""They tell the names of files in folders that cannot be listed."""
MOUNTS: Final = """
mount=165,40 umount2=166,39 pivot_root=155,41 chroot=161,51 open_tree=428,428
open_tree_attr=467,467 move_mount=429,429 fsopen=430,430 fsconfig=431,431 fsmount=432,432
fspick=433,433 mount_setattr=442,442
"""
KERNEL: Final = """
bpf=321,280 perf_event_open=298,241 userfaultfd=323,282 io_uring_setup=425,425
io_uring_enter=426,426 io_uring_register=427,427 io_setup=206,0 io_submit=209,2
memfd_create=319,279 memfd_secret=447,447 splice=275,76 tee=276,77 vmsplice=278,75
seccomp=317,277 modify_ldt=154,- uselib=134,- lookup_dcookie=212,18
"""
"""No parser needs them, and holes in them were ways into the kernel. io_uring makes calls that no
filter sees; a file in memory counts towards no limit."""
MACHINE: Final = """
init_module=175,105 finit_module=313,273 delete_module=176,106 kexec_load=246,104
kexec_file_load=320,294 reboot=169,142 swapon=167,224 swapoff=168,225 acct=163,89
quotactl=179,60 quotactl_fd=443,443 settimeofday=164,170 clock_settime=227,112
adjtimex=159,171 clock_adjtime=305,266 sethostname=170,161 setdomainname=171,162
syslog=103,116 iopl=172,- ioperm=173,-
"""
"""For a service that runs as root; no other could."""
UNSEEN: Final = "clone3=435,435 openat2=437,437"
REFUSED: Final = (NETWORK, SHARED, PROCESSES, ATTRIBUTES, WATCHING, MOUNTS, KERNEL, MACHINE)

SELF: Final = -1
"""Stands for the process id of the worker."""


@dataclass(frozen=True, slots=True)
class Argument:
    """A rule about one argument of one call; only its lower 32 bits are looked at."""

    call: str
    position: int
    values: tuple[int, ...]
    allowed: bool
    """Whether the values are the only ones that are allowed, or those that are refused."""
    mask: int = 0xFFFFFFFF


O_ACCMODE: Final = 0o3
O_TRUNC: Final = 0o1000
CUTTING: Final = (O_TRUNC, 3, 3 | O_TRUNC)
"""Opening for neither reading nor writing needs no right of Landlock's, and reading alone needs
that of reading; both can cut off the file (or lock it) where Landlock does not know of that."""
ARGUMENTS: Final = (
    Argument("open=2,-", 1, CUTTING, allowed=False, mask=O_ACCMODE | O_TRUNC),
    Argument("openat=257,56", 2, CUTTING, allowed=False, mask=O_ACCMODE | O_TRUNC),
    Argument("kill=62,129", 0, (SELF,), allowed=True),
    Argument("tgkill=234,131", 0, (SELF,), allowed=True),
    # Another process's limits: a second of CPU time less, and it is dead.
    Argument("prlimit64=302,261", 0, (0, SELF), allowed=True),
    # PR_SET_PDEATHSIG and PR_SET_DUMPABLE: both were set, and have to stay.
    Argument("prctl=157,167", 0, (1, 4), allowed=False),
    # F_SETOWN, F_SETSIG, F_SETOWN_EX: the kernel sends a signal of one's choice to anybody.
    # F_SETLEASE, F_NOTIFY: others wait for us, or we watch them.
    Argument("fcntl=72,25", 1, (8, 10, 15, 1024, 1026), allowed=False),
    # TCGETS, FIONREAD, FIONCLEX, FIOCLEX: what Python asks of any file it opens.
    Argument("ioctl=16,29", 1, (0x5401, 0x541B, 0x5450, 0x5451), allowed=True),
)


@dataclass(frozen=True, slots=True)
class Machine:
    """What the kernel calls it, and where its numbers stand."""

    audit: int
    column: int
    x32: bool


MACHINES: Final = {
    "x86_64": Machine(0xC000003E, 0, x32=True),
    "aarch64": Machine(0xC00000B7, 1, x32=False),
}
X32: Final = 0x40000000
# struct seccomp_data: the call, the machine, the instruction's address, six arguments of 64 bits.
CALL, ARCH, FIRST_ARGUMENT = 0, 4, 16
LOAD, EQUAL, AT_LEAST, AND, RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
ALLOW: Final = 0x7FFF0000
KILL: Final = 0x80000000
NOT_PERMITTED: Final = 0x00050000 | errno.EPERM
NOT_BUILT_IN: Final = 0x00050000 | errno.ENOSYS


def program(machine: str, pid: int) -> bytes:
    """Return the filter of process *pid* as struct sock_filter[]; b"" for a machine not known.

    *machine* is what uname says, in a process of 64 bits.
    """
    known = MACHINES.get(machine)
    if known is None:
        return b""
    code = [_op(LOAD, ARCH), _op(EQUAL, known.audit, 1, 0), _op(RETURN, KILL), _op(LOAD, CALL)]
    if known.x32:
        code += [_op(AT_LEAST, X32, 0, 1), _op(RETURN, NOT_PERMITTED)]
    for rule in ARGUMENTS:
        for number in numbers(rule.call, known.column).values():
            code += _about(rule, number, pid)
    for table, answer in (*((table, NOT_PERMITTED) for table in REFUSED), (UNSEEN, NOT_BUILT_IN)):
        for number in numbers(table, known.column).values():
            code += [_op(EQUAL, number, 0, 1), _op(RETURN, answer)]
    code.append(_op(RETURN, ALLOW))
    return b"".join(code)


def numbers(table: str, column: int) -> dict[str, int]:
    """Return the calls of *table* that this machine has, by name."""
    split = (word.partition("=") for word in table.split())
    found = ((name, both.split(",")[column]) for name, _, both in split)
    return {name: int(number) for name, number in found if number != "-"}


def _about(rule: Argument, number: int, pid: int) -> list[bytes]:
    """Return what decides about one call; it loads the argument, so it always ends by itself."""
    inside = [_op(LOAD, FIRST_ARGUMENT + 8 * rule.position), _op(AND, rule.mask)]
    listed, others = (ALLOW, NOT_PERMITTED) if rule.allowed else (NOT_PERMITTED, ALLOW)
    for value in rule.values:
        inside += [_op(EQUAL, pid if value == SELF else value, 0, 1), _op(RETURN, listed)]
    inside.append(_op(RETURN, others))
    return [_op(EQUAL, number, 0, len(inside)), *inside]


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
