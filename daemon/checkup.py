"""What `scanseal check` looks at beside the configuration's own rules: the places it names.

Everything is tried as the service would do it, by the user who calls; nothing is
left behind. Whether a claim will be a rename or a copy is found out by doing one.
"""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from daemon import certificate
from daemon.errors import ConfigError, DaemonError
from daemon.pinfile import closed_to_others

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.config import Config, HotFolder


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    good: bool
    text: str


def checkup(config: Config, credentials: str | None) -> tuple[Finding, ...]:
    """Look at everything that *config* names; *credentials* is systemd's folder of secrets."""
    findings = [_state_dir(config)]
    for folder in config.hotfolders:
        findings.extend(_hotfolder(config, folder))
    for target in config.targets:
        where = f"[[target]] {target.name}"
        findings.append(_writable(where, Path(target.path), "the service never makes it itself"))
    findings.append(_readable("[hsm] module", Path(config.hsm.module)))
    for key, name in (("chain", config.hsm.chain), ("certificate", config.hsm.certificate)):
        if name:
            findings.append(_certificate(f"[hsm] {key}", Path(name)))
    findings.append(_pin(config, credentials))
    return tuple(findings)


def _state_dir(config: Config) -> Finding:
    where = "[box] state_dir"
    path = config.state_dir
    if not path.exists():
        parent = next(p for p in path.parents if p.exists())
        if os.access(parent, os.W_OK):
            return Finding(where, True, f"{path} will be made")
        return Finding(where, False, f"{path} does not exist and {parent} may not be written")
    return _writable(where, path, "the service has to own it")


def _hotfolder(config: Config, folder: HotFolder) -> Iterator[Finding]:
    where = f"[[hotfolder]] {folder.name}"
    path = Path(folder.path)
    yield (found := _writable(f"{where} path", path, "scanners need it, and so does the service"))
    if found.good:
        yield _rename(f"{where} claim", path, config.state_dir)
    rejected = Path(folder.rejected)
    if rejected.parent == path and not rejected.exists():
        yield Finding(f"{where} rejected", True, f"{rejected} will be made")
    else:
        yield _writable(f"{where} rejected", rejected, "copies of refused scans go there")


def _rename(where: str, path: Path, state_dir: Path) -> Finding:
    """Try one: a rename is cheap and whole, a copy costs time and twice the room."""
    if not state_dir.is_dir():
        return Finding(where, True, "rename or copy: known once the state_dir exists")
    private = path / ".scanseal"
    made = not private.exists()
    name = f".check-{secrets.token_hex(8)}"
    try:
        private.mkdir(mode=0o700, exist_ok=True)
        (private / name).touch(mode=0o600, exist_ok=False)
        try:
            (private / name).rename(state_dir / name)
        except OSError:
            return Finding(where, True, "copy (another mount)")
        return Finding(where, True, "rename")
    except OSError as exc:
        return Finding(where, False, f"{private}: {exc.strerror}")
    finally:
        for left in (private / name, state_dir / name):
            left.unlink(missing_ok=True)
        if made and private.is_dir():
            private.rmdir()


def _writable(where: str, path: Path, why: str) -> Finding:
    if not path.is_dir():
        return Finding(where, False, f"{path} is no folder ({why})")
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        mode = f"{path.stat().st_mode & 0o7777:04o}"
        return Finding(
            where, False, f"{path} may not be written by uid {os.geteuid()}, mode {mode}"
        )
    return Finding(where, True, str(path))


def _readable(where: str, path: Path) -> Finding:
    if not os.access(path, os.R_OK):
        return Finding(where, False, f"{path} cannot be read")
    return Finding(where, True, str(path))


def _certificate(where: str, path: Path) -> Finding:
    try:
        found = certificate.load_pem(path)
    except DaemonError as exc:
        return Finding(where, False, str(exc.args[0]))
    return Finding(where, True, f"{path}: {len(found)} certificate{'s'[: len(found) != 1]}")


def _pin(config: Config, credentials: str | None) -> Finding:
    where = "[hsm] pin"
    if config.hsm.pin.startswith("credential:") and credentials is None:
        return Finding(where, True, "comes from systemd when the service starts")
    try:
        path = config.pin_file(credentials)
    except ConfigError as exc:
        return Finding(where, False, exc.problems[0])
    # Its content is the HSM process's alone; what can be seen from outside is said here already.
    try:
        found = path.stat()
    except OSError as exc:
        return Finding(where, False, f"{path}: {exc.strerror}")
    if not stat.S_ISREG(found.st_mode):
        return Finding(where, False, f"{path} is no regular file")
    try:
        acl = os.getxattr(path, "system.posix_acl_access")
    except OSError:
        acl = None
    if not closed_to_others(found.st_mode, acl, os.geteuid()):
        mode = f"{found.st_mode & 0o7777:04o}"
        return Finding(where, False, f"{path} is open to others, mode {mode}: chmod 0400")
    return _readable(where, path)
