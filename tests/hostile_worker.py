"""A worker that was taken over: it tries whatever a page worker must not be able to do.

Run as the product's own workers are, by the tests of the sandbox: once without one, to see that
each try would succeed, and then with one.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import importlib
import mmap
import os
import resource
import signal
import socket
import struct
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon import syscalls
from daemon.child import serve

if TYPE_CHECKING:
    from collections.abc import Callable

MACHINE = os.uname().machine
COLUMN = syscalls.MACHINES[MACHINE].column
NUMBERS = {
    name: number
    for table in (*syscalls.REFUSED, syscalls.UNSEEN, *(rule.call for rule in syscalls.ARGUMENTS))
    for name, number in syscalls.numbers(table, COLUMN).items()
}
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
PTRACE_SEIZE = 0x4206
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000


def raw(number: int, *arguments: Any) -> int:
    """Make a system call past libc, as injected code would."""
    words = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    found: int = LIBC.syscall(ctypes.c_long(number), *words)
    if found < 0:
        raise OSError(ctypes.get_errno(), "system call")
    return found


# -- files ---------------------------------------------------------------------------------------


def read(path: str) -> None:
    os.close(os.open(path, os.O_RDONLY))


def write(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY))


def make(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def cut_by_path(path: str) -> None:
    os.truncate(path, 0)


def cut_while_opening_to_read(path: str) -> None:
    os.close(os.open(path, os.O_RDONLY | os.O_TRUNC))


def cut_while_opening_for_nothing(path: str) -> None:
    os.close(os.open(path, 3 | os.O_TRUNC))


def open_for_nothing(path: str) -> None:
    """Neither to read nor to write: Landlock asks for no right, and there is a descriptor."""
    os.close(os.open(path, 3))


def change_mode(path: str) -> None:
    os.chmod(path, 0o666)  # noqa: PTH101, S103


def change_owner(path: str) -> None:
    os.chown(path, os.getuid(), os.getgid())


def change_time(path: str) -> None:
    os.utime(path, (1, 1))


def change_attribute(path: str) -> None:
    os.setxattr(path, "user.taken", b"over")


def change_mode_of_what_may_be_read(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fchmod(fd, 0o666)
    finally:
        os.close(fd)


def link(source: str, target: str) -> None:
    os.link(source, target)


def rename(source: str, target: str) -> None:
    os.rename(source, target)  # noqa: PTH104


def remove(path: str) -> None:
    os.unlink(path)  # noqa: PTH108


def symbolic_link(source: str, target: str) -> None:
    os.symlink(source, target)  # noqa: PTH211


def make_folder(path: str) -> None:
    os.mkdir(path)  # noqa: PTH102


def list_folder(path: str) -> None:
    os.listdir(path)  # noqa: PTH208


def pipe_with_a_name(path: str) -> None:
    os.mkfifo(path)


def local_socket_with_a_name(path: str) -> None:
    os.mknod(path, 0o140600)


def watch(path: str) -> None:
    fd = raw(NUMBERS["inotify_init1"], 0)
    try:
        raw(NUMBERS["inotify_add_watch"], fd, path.encode(), 0x100)
    finally:
        os.close(fd)


def lease(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    finally:
        os.close(fd)


def ask_file_system(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, 2, bytes(4))  # FIGETBSZ; others of these calls change what is asked about
    finally:
        os.close(fd)


# -- network -------------------------------------------------------------------------------------


def socket_of(family: int, kind: int) -> None:
    socket.socket(family, kind).close()


def pair_of_sockets() -> None:
    for one in socket.socketpair():
        one.close()


def connect_local(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(path)


def connect_abstract(name: str) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.connect("\0" + name)


def connect_network(port: int) -> None:
    with socket.socket() as one:
        one.connect(("127.0.0.1", port))


# -- other processes -----------------------------------------------------------------------------


def signal_to(pid: int, number: int) -> None:
    os.kill(pid, number)


def signal_to_thread_of(pid: int) -> None:
    raw(NUMBERS["tgkill"], pid, pid, 0)


def queue_signal_to(pid: int) -> None:
    raw(NUMBERS["rt_sigqueueinfo"], pid, 0, struct.pack("=iii", 0, 0, -1).ljust(128, b"\0"))


def signal_by_descriptor_to(pid: int) -> None:
    fd = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(fd, 0)
    finally:
        os.close(fd)


def signal_by_way_of_the_kernel_to(pid: int) -> None:
    """Let the kernel send one's favourite signal when a pipe has something to read."""
    ours, theirs = os.pipe()
    try:
        fcntl.fcntl(ours, fcntl.F_SETOWN, pid)
        fcntl.fcntl(ours, 10, 0)  # F_SETSIG; 0 is SIGIO, and no F_SETFL O_ASYNC follows
    finally:
        os.close(ours)
        os.close(theirs)


def trace(pid: int) -> None:
    raw(NUMBERS["ptrace"], PTRACE_SEIZE, pid, 0, 0)


def read_memory_of(pid: int) -> None:
    there = ctypes.create_string_buffer(8)
    vector = struct.pack("@PN", ctypes.addressof(there), 8)
    # The same address there: whether it is mapped does not matter, EFAULT comes after permission.
    try:
        raw(NUMBERS["process_vm_readv"], pid, vector, 1, vector, 1, 0)
    except OSError as exc:
        if exc.errno != errno.EFAULT:
            raise


def limit(pid: int) -> None:
    before = resource.prlimit(pid, resource.RLIMIT_CORE)
    resource.prlimit(pid, resource.RLIMIT_CORE, before)


def slow_down(pid: int) -> None:
    os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, pid))


def fork() -> None:
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def run_program() -> None:
    subprocess.run(["/bin/true"], check=True)


def become_program() -> None:
    os.execv("/bin/true", ["true"])  # noqa: S606


def become_program_in_memory() -> None:
    fd = os.memfd_create("x")
    os.write(fd, Path("/bin/true").read_bytes())
    empty = struct.pack("@P", 0)
    raw(NUMBERS["execveat"], fd, b"", empty, empty, 0x1000)


def become_program_by_descriptor() -> None:
    empty = struct.pack("@P", 0)
    raw(NUMBERS["execveat"], os.open(".", os.O_PATH), b"", empty, empty, 0x1000)


def start_thread() -> None:
    one = threading.Thread(target=lambda: None)
    one.start()
    one.join()


def outlive() -> None:
    raw(NUMBERS["prctl"], 1, 0, 0, 0, 0)


def be_dumpable() -> None:
    raw(NUMBERS["prctl"], 4, 1, 0, 0, 0)
    raw(NUMBERS["prctl"], 4, 0, 0, 0, 0)


# -- the kernel ----------------------------------------------------------------------------------


def call(name: str, *arguments: int) -> None:
    raw(NUMBERS[name], *arguments)


def clone3(flags: int) -> None:
    arguments = struct.pack("=11Q", flags, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, 0)
    if (pid := raw(NUMBERS["clone3"], arguments, len(arguments))) == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def ring() -> None:
    os.close(raw(NUMBERS["io_uring_setup"], 1, b"\0" * 120))


def file_in_memory() -> None:
    os.close(os.memfd_create("x"))


def x32() -> None:
    raw(0x40000000 | 39)


def attempt(argument: dict[str, Any]) -> dict[str, Any]:
    """Try one of the functions above and say what the kernel answered: 0 is a success."""
    tried: Callable[..., object] = globals()[argument["what"]]
    try:
        tried(*argument["arguments"])
    except OSError as exc:
        return {"errno": exc.errno}
    except RuntimeError as exc:  # "can't start new thread": Python keeps the number to itself
        return {"errno": errno.EAGAIN if "start new thread" in str(exc) else 0}
    return {"errno": 0}


def answers(_: dict[str, Any]) -> dict[str, Any]:
    """Make every call of the lists with arguments that mean nothing, and return the answers."""
    found = {}
    for name in argument_free():
        try:
            raw(NUMBERS[name], -1, -1, -1, -1, -1, -1)
        except OSError as exc:
            found[name] = exc.errno
        else:
            found[name] = 0
    return found


def argument_free() -> list[str]:
    return [
        name
        for table in (*syscalls.REFUSED, syscalls.UNSEEN)
        for name in syscalls.numbers(table, COLUMN)
    ]


def imports(argument: dict[str, Any]) -> dict[str, str]:
    """Import modules that nobody has imported before, and return what goes wrong."""
    found = {}
    for name in argument["names"]:
        try:
            importlib.import_module(name)
        except (ImportError, OSError) as exc:
            found[name] = repr(exc)
    return found


def other_machine(_: dict[str, Any]) -> int:
    """Make a call as a 32-bit program: another machine, with other numbers."""
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # mov eax, getpid; int 0x80; ret
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return int(ctypes.CFUNCTYPE(ctypes.c_int)(address)())


def own_work(argument: dict[str, Any]) -> dict[str, Any]:
    """Do what a page worker has to be able to do, and return what it came to."""
    data = Path(argument["source"]).read_bytes()
    target = Path(argument["target"])
    fd = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "r+b") as file:
        file.write(data * 2)
        file.truncate(len(data))
        file.seek(0)
        same = file.read() == data
    again = target.read_bytes() == data
    target.write_bytes(b"shorter")  # O_TRUNC
    kept = target.stat().st_size
    target.unlink()
    os.kill(os.getpid(), 0)
    Path(os.devnull).write_bytes(b"x")
    return {"same": same, "again": again, "kept": kept, "random": len(os.urandom(8))}


if __name__ == "__main__":
    if Path("threaded").exists():
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    serve({task.__name__: task for task in (attempt, answers, imports, other_machine, own_work)})
