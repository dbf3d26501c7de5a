"""Asks a validator that is not ours: `pdfsig` of poppler, with NSS and the demo CA.

It trusts what it is given and nothing else: the database is made for one CA. It
does not judge what pdfsig says; read the text. It does not ask for `-no-ocsp`: with
that poppler 22.12 calls each certificate an "unknown issue". The demo's certificates
name no OCSP server and pdfsig follows no CRL address, so nothing leaves the machine.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def trust(ca_pem: Path, folder: Path) -> Path:
    """Make an NSS database in the new folder *folder* that trusts *ca_pem*; return the folder."""
    folder.mkdir(mode=0o700, parents=True)
    database = f"sql:{folder.absolute()}"
    _run("libnss3-tools", "certutil", "-N", "-d", database, "--empty-password")
    _run(
        "libnss3-tools",
        *("certutil", "-A", "-d", database, "-n", "ca", "-t", "C,C,C"),
        *("-a", "-i", str(ca_pem.absolute())),
    )
    return folder


def pdfsig(file: Path, nss: Path) -> str:
    """Return what pdfsig says about the signatures in *file*; *nss* comes from trust().

    An invalid signature, or none, is an answer like any other; a file that is no PDF
    is an error.
    """
    database = f"sql:{nss.absolute()}"
    command = ("pdfsig", "-nssdir", database, str(file.absolute()))
    return _run("poppler-utils", *command, answers=(0, 2))


def _run(package: str, *command: str, answers: tuple[int, ...] = (0,)) -> str:
    """Run *command* from the Debian *package*; return what it wrote."""
    try:
        done = subprocess.run(
            command,
            env=os.environ | {"LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=120,
            check=False,
        )
    except FileNotFoundError as exc:
        raise RuntimeError(
            f"{command[0]} is missing: install the Debian package {package}"
        ) from exc
    if done.returncode not in answers:
        raise RuntimeError(
            f"{' '.join(command)} ended with {done.returncode}: {done.stdout.strip()}"
        )
    return done.stdout
