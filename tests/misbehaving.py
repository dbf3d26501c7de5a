"""The PKCS#11 module that misbehaves on command (tests/pkcs11/misbehave.c), in front of SoftHSM."""

from __future__ import annotations

import subprocess
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contrib.demo.token import TokenFiles

SOURCE = Path(__file__).parent / "pkcs11" / "misbehave.c"
CODES = {
    "CKR_HOST_MEMORY": 0x02,
    "CKR_GENERAL_ERROR": 0x05,
    "CKR_FUNCTION_FAILED": 0x06,
    "CKR_DEVICE_ERROR": 0x30,
    "CKR_DEVICE_MEMORY": 0x31,
    "CKR_DEVICE_REMOVED": 0x32,
    "CKR_SESSION_CLOSED": 0xB0,
    "CKR_SESSION_HANDLE_INVALID": 0xB3,
    "CKR_TOKEN_NOT_PRESENT": 0xE0,
    "CKR_TOKEN_NOT_RECOGNIZED": 0xE1,
    "CKR_USER_NOT_LOGGED_IN": 0x101,
    "CKR_CRYPTOKI_NOT_INITIALIZED": 0x190,
    "a vendor's own": 0x80000123,
}
"""What tokens answer on bad days (lessons.md 3.2), and a number that nobody knows."""


def compiled(folder: Path) -> Path:
    """Compile the module into *folder*."""
    module = folder / "misbehave.so"
    flags = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    command = ["gcc", *flags, "-I/usr/include/p11-kit-1", "-o", str(module), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return module


@dataclass(frozen=True)
class Misbehaving:
    """A token behind the module, and the file that tells the module what to do."""

    files: TokenFiles
    control: Path

    @classmethod
    def make(cls, module: Path, files: TokenFiles, folder: Path) -> Misbehaving:
        """Put the module in front of *files*' own; it behaves until it is told otherwise."""
        control = folder / "control"
        control.write_text("")
        return cls(replace(files, module=module), control)

    def environment(self, real: TokenFiles) -> dict[str, str]:
        """What the module has to find in its environment."""
        return {"MISBEHAVE_CONTROL": str(self.control), "MISBEHAVE_MODULE": str(real.module)}

    def does(self, *lines: str) -> None:
        """Let it do this from now on; without any line it behaves."""
        for used in self.control.parent.glob("control.used-*"):
            used.unlink()
        new = self.control.with_name("control.new")
        new.write_text("".join(f"{line}\n" for line in lines))
        new.replace(self.control)

    def calls(self) -> Counter[str]:
        """How often each function was called."""
        log = self.control.with_name("control.log")
        return Counter(log.read_text().split() if log.exists() else [])

    def wrong_pins(self, number: int) -> None:
        """Let the token remember so many wrong PINs, somebody else's."""
        self.control.with_name("control.wrong").write_bytes(b"." * number)
