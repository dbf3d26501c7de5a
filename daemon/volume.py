"""Whether what is written to a place reaches the disk encrypted: what the kernel tells of it.

    file ──st_dev──▶ /sys/dev/block/<major>:<minor> ──slaves──▶ … ──▶ dm-crypt, or the bare disk

A device is encrypted if it is a dm-crypt mapping, or if everything below it is. What has no
block device below it that can be seen (overlay, tmpfs, a network mount, btrfs) says nothing,
and neither does a loop device. A disk that encrypts itself looks like any other from here.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Final

BLOCK: Final = Path("/sys/dev/block")
SWAPS: Final = Path("/proc/swaps")
CIPHER: Final = re.compile(r"CRYPT-(?!VERITY-|INTEGRITY-|SUBDEV-)")
"""What the mapping's uuid begins with, as cryptsetup names it; these three encrypt nothing."""
DEEPEST: Final = 16
"""LVM on LUKS on RAID on partitions is four."""


def encrypted(device: int, block: Path = BLOCK) -> bool | None:
    """Return whether the block device of that number is encrypted; None if that cannot be told."""
    node = block / f"{os.major(device)}:{os.minor(device)}"
    if os.major(device) == 0 or not node.is_dir():
        return None
    return _encrypted(node.resolve(), DEEPEST)


def _encrypted(node: Path, deep: int) -> bool | None:
    if node.name.startswith("zram"):
        return _zram(node)
    if CIPHER.match(_text(node / "dm" / "uuid")):
        return True
    if deep == 0 or (node / "loop").is_dir():
        return None
    if (node / "partition").exists():
        return _encrypted(node.parent, deep - 1)
    slaves = node / "slaves"
    below = [
        _encrypted(slave.resolve(), deep - 1)
        for slave in (sorted(slaves.iterdir()) if slaves.is_dir() else ())
    ]
    if not below or False in below:
        return False
    return None if None in below else True


def _zram(node: Path) -> bool | None:
    """Return True for memory that never reaches a disk; what lies behind it is not looked at."""
    return True if _text(node / "backing_dev") in {"", "none"} else None


def bare_swaps(swaps: Path = SWAPS, block: Path = BLOCK) -> tuple[list[str], list[str]]:
    """Return the swap in use that is not encrypted, and that of which it cannot be told."""
    bare: list[str] = []
    unknown: list[str] = []
    for line in _text(swaps).splitlines()[1:]:
        name = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), line.split()[0])
        try:
            facts = Path(name).stat()
        except OSError:
            unknown.append(name)
            continue
        device = facts.st_rdev if stat.S_ISBLK(facts.st_mode) else facts.st_dev
        found = encrypted(device, block)
        if not found:
            (unknown if found is None else bare).append(name)
    return bare, unknown


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
