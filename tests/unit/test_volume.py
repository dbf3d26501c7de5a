"""What the kernel tells of a disk: trees in /sys as it makes them, made by hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daemon.volume import bare_swaps, encrypted

if TYPE_CHECKING:
    from collections.abc import Iterable

LUKS = "CRYPT-LUKS2-0123456789abcdef0123456789abcdef-state"
LVM = "LVM-abcdefABCDEF"


class Sys:
    """A small /sys: devices, and the links by their numbers."""

    def __init__(self, root: Path) -> None:
        self.devices = root / "devices"
        self.block = root / "dev" / "block"
        self.block.mkdir(parents=True)
        self.minor = 0

    def device(self, name: str, uuid: str = "", slaves: Iterable[str] = (), of: str = "") -> int:
        """Make one; return its number. A partition lies in the folder of its disk."""
        here = self.devices / of / name
        (here / "slaves").mkdir(parents=True)
        for slave in slaves:
            (target,) = (p for p in self.devices.rglob(slave) if p.parent.name != "slaves")
            (here / "slaves" / slave).symlink_to(target)
        if uuid:
            (here / "dm").mkdir()
            (here / "dm" / "uuid").write_text(uuid + "\n")
        if of:
            (here / "partition").write_text("1\n")
        self.minor += 1
        (self.block / f"253:{self.minor}").symlink_to(here)
        return os.makedev(253, self.minor)

    def encrypted(self, device: int) -> bool | None:
        return encrypted(device, self.block)


@pytest.fixture
def sys_(tmp_path: Path) -> Sys:
    return Sys(tmp_path / "sys")


def test_a_bare_disk_and_its_partition_are_not_encrypted(sys_: Sys) -> None:
    """As Debian installs it unless it is told otherwise."""
    disk = sys_.device("sda")
    part = sys_.device("sda1", of="sda")

    assert sys_.encrypted(disk) is False
    assert sys_.encrypted(part) is False


def test_luks_on_a_partition_and_lvm_on_that_are_encrypted(sys_: Sys) -> None:
    """As Debian's guided set-up makes it: the volume's own uuid is LVM's, the one below counts."""
    sys_.device("sda")
    part = sys_.device("sda5", of="sda")
    luks = sys_.device("dm-0", LUKS, ["sda5"])
    volume = sys_.device("dm-1", LVM, ["dm-0"])

    assert sys_.encrypted(luks) is True
    assert sys_.encrypted(volume) is True
    assert sys_.encrypted(part) is False


def test_everything_below_has_to_be_encrypted(sys_: Sys) -> None:
    """A volume over two disks of which one is bare writes half of it in clear."""
    for name in ("sda", "sdb"):
        sys_.device(name)
    sys_.device("dm-0", LUKS, ["sda"])
    half = sys_.device("dm-1", LVM, ["dm-0", "sdb"])
    sys_.device("md0", "", ["sda", "sdb"])
    partition = sys_.device("md0p1", of="md0")
    whole = sys_.device("dm-2", LUKS.replace("state", "raid"), ["md0"])

    assert sys_.encrypted(half) is False
    assert sys_.encrypted(partition) is False
    assert sys_.encrypted(whole) is True


@pytest.mark.parametrize("kind", ["VERITY", "INTEGRITY", "SUBDEV"])
def test_a_mapping_that_only_checks_encrypts_nothing(sys_: Sys, kind: str) -> None:
    """Made by cryptsetup, too, with the same beginning."""
    sys_.device("sda")
    assert sys_.encrypted(sys_.device("dm-0", f"CRYPT-{kind}-01234-x", ["sda"])) is False


def test_what_cannot_be_seen_is_not_guessed(sys_: Sys) -> None:
    """Overlay and tmpfs have numbers without a device; a loop lies on some other file system."""
    loop = sys_.device("loop0")
    (sys_.devices / "loop0" / "loop").mkdir()
    sys_.device("sda")
    sys_.device("dm-0", LUKS, ["sda"])

    assert sys_.encrypted(os.makedev(0, 45)) is None
    assert sys_.encrypted(os.makedev(8, 1)) is None
    assert sys_.encrypted(loop) is None
    assert sys_.encrypted(sys_.device("dm-1", LVM, ["dm-0", "loop0"])) is None
    ring = sys_.device("dm-2", LVM)
    (sys_.devices / "dm-2" / "slaves" / "dm-2").symlink_to(sys_.devices / "dm-2")
    assert sys_.encrypted(ring) is None


def test_zram_never_reaches_a_disk_unless_one_is_behind_it(sys_: Sys) -> None:
    """Compressed memory as swap is no leak."""
    zram = sys_.device("zram0")
    assert sys_.encrypted(zram) is True
    (sys_.devices / "zram0" / "backing_dev").write_text("/dev/sda2\n")
    assert sys_.encrypted(zram) is None


def test_swap_that_is_not_encrypted_is_named(sys_: Sys, tmp_path: Path) -> None:
    """A file lies on the device of its file system; one with a space in its name is written otherwise."""
    swaps = tmp_path / "swaps"
    head = "Filename\tType\tSize\tUsed\tPriority\n"
    swaps.write_text(head)
    assert bare_swaps(swaps, sys_.block) == ([], [])
    assert bare_swaps(tmp_path / "none", sys_.block) == ([], [])

    file = tmp_path / "swap file"
    file.touch()
    name = str(file).replace(" ", "\\040")
    swaps.write_text(f"{head}{name} file 1024 0 -2\n/nonexistent/dm-7 partition 1 0 -3\n")
    device = file.stat().st_dev
    link = sys_.block / f"{os.major(device)}:{os.minor(device)}"
    if os.major(device) == 0:
        assert bare_swaps(swaps, sys_.block) == ([], [str(file), "/nonexistent/dm-7"])
        return
    sys_.device("sda")
    link.symlink_to(sys_.devices / "sda")
    assert bare_swaps(swaps, sys_.block) == ([str(file)], ["/nonexistent/dm-7"])
    sys_.device("dm-0", LUKS, ["sda"])
    link.unlink()
    link.symlink_to(sys_.devices / "dm-0")
    assert bare_swaps(swaps, sys_.block) == ([], ["/nonexistent/dm-7"])
