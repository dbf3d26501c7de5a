"""What `scanseal check` looks at beside the configuration's own rules: the places it names.

Everything is tried as the service would do it, by the user who calls; nothing is
left behind. Whether a claim will be a rename or a copy is found out by doing one.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from daemon import certificate, sandbox, volume
from daemon.errors import DaemonError
from daemon.intake import NotNow
from daemon.intake.bell import Bell
from daemon.intake.report import is_ours
from daemon.intake.settle import BLIND_FACTOR, file_system_of, over_network
from daemon.intake.sharedfolder import opened
from daemon.pinfile import closed_to_others
from daemon.targetsections import FolderSection, HttpSection
from daemon.words import LANGUAGES, WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from daemon.config import Config, HotFolder
    from daemon.targetsections import TargetSection


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    good: bool
    word: str
    """A key of the table of words; what stands in it is in `values`."""
    values: Mapping[str, object]
    warns: bool = False
    """Nothing stops the service, but a person should know it."""

    @property
    def text(self) -> str:
        """What was found, in English."""
        return self.said("en")

    def said(self, language: str) -> str:
        """Say what was found, in a language."""
        column = LANGUAGES.index(language)
        values = {
            name: WORDS[value][column] if name == "why" and isinstance(value, str) else value
            for name, value in self.values.items()
        }
        return WORDS[self.word][column].format(**values)


def _found(what: str, good: bool, word: str, **values: object) -> Finding:
    return Finding(what, good, f"check_{word}", values)


def checkup(config: Config, credentials: str | None) -> tuple[Finding, ...]:
    """Look at everything that *config* names; *credentials* is systemd's folder of secrets."""
    findings = [_state_dir(config), _volume(config), _swap()]
    for folder in config.hotfolders:
        findings.extend(_hotfolder(config, folder))
    for target in config.targets:
        findings.extend(_target(f"[[target]] {target.name}", target, credentials))
    findings.append(_readable("[hsm] module", Path(config.hsm.module)))
    findings.extend(
        _certificate(f"[hsm] {key}", Path(name))
        for key in ("chain", "certificate", "trusted_list")
        if (name := getattr(config.hsm, key))
    )
    findings.append(_secret("[hsm] pin", config.hsm.pin, credentials))
    findings.append(_sandbox())
    return tuple(findings)


def _sandbox() -> Finding:
    """Ask this kernel what it has for page workers; under systemd the unit may allow less."""
    found = sandbox.offered()
    if found.missing:
        return _found("sandbox", False, "not_here", missing=", ".join(found.missing))
    return _found("sandbox", True, "sandbox", landlock=found.landlock)


def _state_dir(config: Config) -> Finding:
    where = "[box] state_dir"
    path = config.state_dir
    if not path.exists():
        parent = next(p for p in path.parents if p.exists())
        if os.access(parent, os.W_OK):
            return _found(where, True, "will_be_made", path=path)
        return _found(where, False, "cannot_be_made", path=path, parent=parent)
    return _writable(where, path, "check_why_state")


def _volume(config: Config) -> Finding:
    """Scans lie there for days, and what is unlinked is not overwritten."""
    where = "[box] state_dir volume"
    path = next(p for p in (config.state_dir, *config.state_dir.parents) if p.exists())
    match volume.encrypted(path.stat().st_dev):
        case True:
            return _found(where, True, "encrypted")
        case None:
            return _found(where, True, "volume_unknown", kind=file_system_of(path))
    return replace(_found(where, True, "not_encrypted", path=path), warns=True)


def _swap() -> Finding:
    bare, unknown = volume.bare_swaps()
    if bare:
        return replace(_found("swap", True, "swap_bare", names=", ".join(bare)), warns=True)
    if unknown:
        return _found("swap", True, "swap_unknown", names=", ".join(unknown))
    return _found("swap", True, "swap_good")


def _hotfolder(config: Config, folder: HotFolder) -> Iterator[Finding]:
    where = f"[[hotfolder]] {folder.name}"
    path = Path(folder.path)
    yield (found := _writable(f"{where} path", path, "check_why_hotfolder"))
    if found.good:
        yield _rename(f"{where} claim", path, config.state_dir)
        yield _events(f"{where} events", folder)
    # Not even inside the hot folder is it made: it would hide that a share is not mounted.
    yield _shared(f"{where} rejected", Path(folder.rejected), path, "check_why_rejected")
    if folder.report:
        yield _report(f"{where} report", Path(folder.report), path)


def _shared(where: str, path: Path, hotfolder: Path, why: str) -> Finding:
    """Say whether the service could write there: its own way, on which no link is followed."""
    found = _writable(where, path, why)
    if not found.good:
        return found
    try:
        with opened("the folder", path, hotfolder):
            return found
    except NotNow as exc:
        return _found(where, False, "trouble", path=path, error=exc.detail)


def _report(where: str, path: Path, hotfolder: Path) -> Finding:
    found = _shared(where, path.parent, hotfolder, "check_why_report")
    if not found.good:
        return found
    try:
        if is_ours(path) is not False:
            return _found(where, True, "path", path=path)
    except NotNow as exc:
        return _found(where, False, "trouble", path=path, error=exc.detail)
    return _found(where, False, "not_ours", path=path)


def _rename(where: str, path: Path, state_dir: Path) -> Finding:
    """Try one: a rename is cheap and whole, a copy costs time and twice the room."""
    if not state_dir.is_dir():
        return _found(where, True, "claim_unknown")
    private = path / ".scanseal"
    made = not private.exists()
    name = f".check-{secrets.token_hex(8)}"
    try:
        private.mkdir(mode=0o700, exist_ok=True)
        (private / name).touch(mode=0o600, exist_ok=False)
        try:
            (private / name).rename(state_dir / name)
        except OSError:
            return _found(where, True, "copy")
        return _found(where, True, "rename")
    except OSError as exc:
        return _found(where, False, "trouble", path=private, error=exc.strerror)
    finally:
        for left in (private / name, state_dir / name):
            left.unlink(missing_ok=True)
        if made and private.is_dir():
            private.rmdir()


def _events(where: str, folder: HotFolder) -> Finding:
    """Say what is heard of the folder: nothing has to be, for it is looked through all the same."""
    path = Path(folder.path)
    kind = file_system_of(path)
    every = f"{folder.rescan_seconds:g}"
    if over_network(kind):
        quiet = f"{folder.settle_seconds * BLIND_FACTOR:g}"
        return _found(where, True, "no_events_there", kind=kind, every=every, quiet=quiet)
    bell = Bell(path, lambda: None)
    try:
        bell.hang()
    except OSError as exc:
        name = errno.errorcode.get(exc.errno or 0, "?")
        return _found(where, True, "no_events", error=name, every=every)
    finally:
        bell.stop()
    return _found(where, True, "events", kind=kind, every=every)


def _writable(where: str, path: Path, why: str) -> Finding:
    if not path.is_dir():
        return _found(where, False, "no_folder", path=path, why=why)
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        mode = f"{path.stat().st_mode & 0o7777:04o}"
        return _found(where, False, "closed", path=path, uid=os.geteuid(), mode=mode)
    return _found(where, True, "path", path=path)


def _readable(where: str, path: Path) -> Finding:
    if not os.access(path, os.R_OK):
        return _found(where, False, "unreadable", path=path)
    return _found(where, True, "path", path=path)


def _certificate(where: str, path: Path) -> Finding:
    try:
        found = certificate.load_pem(path)
    except DaemonError as exc:
        return _found(where, False, "path", path=exc.args[0])
    word = "certificate" if len(found) == 1 else "certificates"
    return _found(where, True, word, path=path, n=len(found))


def _target(where: str, target: TargetSection, credentials: str | None) -> Iterator[Finding]:
    """Look at what this box needs for a target; nobody is asked over the network."""
    if isinstance(target, FolderSection):
        yield _writable(where, Path(target.path), "check_why_target")
    if isinstance(target, HttpSection):
        for key in ("ca", "client_certificate"):
            if name := getattr(target, key):
                yield _certificate(f"{where} {key}", Path(name))
        for key in ("password", "client_key"):
            if text := getattr(target, key):
                yield _secret(f"{where} {key}", text, credentials)


def _secret(where: str, text: str, credentials: str | None) -> Finding:
    """Say whether a secret can be read by the service, and by nobody else."""
    kind, _, rest = text.partition(":")
    if kind == "credential" and credentials is None:
        return _found(where, True, "credential")
    path = Path(credentials or "", rest) if kind == "credential" else Path(rest)
    # Its content is the HSM process's alone; what can be seen from outside is said here already.
    try:
        found = path.stat()
    except OSError as exc:
        return _found(where, False, "trouble", path=path, error=exc.strerror)
    if not stat.S_ISREG(found.st_mode):
        return _found(where, False, "no_file", path=path)
    try:
        acl = os.getxattr(path, "system.posix_acl_access")
    except OSError:
        acl = None
    if not closed_to_others(found.st_mode, acl, os.geteuid()):
        mode = f"{found.st_mode & 0o7777:04o}"
        return _found(where, False, "open", path=path, mode=mode)
    return _readable(where, path)
