"""The machine that measures, and the processes of one service on it."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import sqlite3
import statistics
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
BLOCK: Final = 4096
NOT_ON_DISK: Final = frozenset({"tmpfs", "ramfs", "overlay"})
ROLES: Final = {
    "daemon.prepare": "page worker",
    "daemon.hsm": "HSM process",
    "daemon.template": "template worker",
    "daemon.verify": "verify worker",
}
TICKS: Final = os.sysconf("SC_CLK_TCK")


def facts(folder: Path) -> list[tuple[str, str]]:
    """Return what has to be known of this machine to compare its figures with another's."""
    packages = ("pikepdf", "Pillow", "PyKCS11", "pyHanko", "cryptography", "aiohttp")
    fsyncs, median = fsyncs_per_second(folder)
    return [
        ("when", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load {os.getloadavg()[0]:.2f}"),
        ("processor", f"{_processor()}, {os.cpu_count()} cores, {platform.machine()}"),
        ("memory", f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.1f} GB"),
        ("kernel", f"{platform.system()} {platform.release()}"),
        ("disk", f"{file_system(folder)}; {fsyncs:.0f} fsyncs/s, median {1000 * median:.2f} ms"),
        ("Python", f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}"),
        ("packages", ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)),
        ("token", f"SoftHSM {_softhsm()}, RSA-3072, RSA-PSS with SHA-256"),
        ("Scanseal", importlib.metadata.version("scanseal")),
    ]


def fsyncs_per_second(folder: Path, seconds: float = 1.0) -> tuple[float, float]:
    """Return how many 4 KiB blocks per second the disk takes durably, and the median of one.

    The same block again and again, with fdatasync: the least that a durable write costs.
    """
    path = folder / "fsyncs"
    taken = []
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.pwrite(fd, os.urandom(BLOCK), 0)
        os.fsync(fd)
        until = time.perf_counter() + seconds
        while (begun := time.perf_counter()) < until:
            os.pwrite(fd, os.urandom(BLOCK), 0)
            os.fdatasync(fd)
            taken.append(time.perf_counter() - begun)
    finally:
        os.close(fd)
        path.unlink()
    return len(taken) / sum(taken), statistics.median(taken)


def file_system(folder: Path) -> str:
    """Return the kind of file system that *folder* is on."""
    device = folder.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in (PROC / "self/mountinfo").read_text(encoding="utf-8").splitlines():
        before, _, after = line.partition(" - ")
        if before.split()[2] == number:
            return after.split()[0]
    return "unknown"


@dataclass(frozen=True, slots=True)
class Process:
    """One process of a group."""

    pid: int
    role: str

    def memory(self) -> dict[str, int]:
        """Return the kilobytes of smaps_rollup; nothing if it has ended meanwhile."""
        try:
            text = (PROC / str(self.pid) / "smaps_rollup").read_text(encoding="ascii")
        except (FileNotFoundError, ProcessLookupError):
            return {}
        lines = (line.split() for line in text.splitlines()[1:])
        return {words[0].rstrip(":"): int(words[1]) for words in lines}

    def cpu_seconds(self) -> float:
        """Return the processor time it has taken so far."""
        fields = _stat(self.pid)
        return (int(fields[11]) + int(fields[12])) / TICKS if fields else 0.0


def group(leader: int) -> list[Process]:
    """Return all processes in the process group of *leader*."""
    return [
        Process(int(entry.name), _role(entry))
        for entry in PROC.iterdir()
        if entry.name.isdigit() and _stat(int(entry.name))[2:3] == [str(leader)]
    ]


def sharers(leader: int) -> list[Process]:
    """Return the processes of others, this one included, that run the interpreter of a group."""
    mine = (PROC / str(leader) / "exe").readlink()
    found = []
    for entry in PROC.iterdir():
        if not entry.name.isdigit() or _stat(int(entry.name))[2:3] in ([], [str(leader)]):
            continue
        with contextlib.suppress(OSError):
            if (entry / "exe").readlink() == mine:
                found.append(Process(int(entry.name), "others"))
    return found


def high_water(pid: int) -> float:
    """Return the most memory (RSS) that a process has had since it was started, in MB."""
    for line in (PROC / str(pid) / "status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def _role(entry: Path) -> str:
    try:
        words = (entry / "cmdline").read_bytes().decode().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return "ended"
    return next((ROLES[word] for word in words if word in ROLES), "main process")


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on."""
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(") ")[2].split()


def _processor() -> str:
    for line in (PROC / "cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


def _softhsm() -> str:
    said = subprocess.run(
        ["softhsm2-util", "--version"], capture_output=True, text=True, check=False
    )
    return said.stdout.strip() or "of unknown version"
