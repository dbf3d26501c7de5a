"""Where a document comes from: `document.json`, and the folder it stands in.

It is written and fsynced before anything is moved, so whatever an interruption
leaves behind can be told apart later: this file has the name, the hot folder,
and how the scan looked when it was claimed.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from daemon import durable
from daemon.document import Arrival, folder_of, utc_text, utc_time

if TYPE_CHECKING:
    from datetime import datetime

    from daemon.document import Digest

VERSION: Final = 1
FACTS: Final = "document.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """The sidecar of a scan: promised at the claim, or taken since."""

    name: bytes
    """Where it lay: a path relative to the hot folder. Personal."""
    size: int
    mtime_ns: int
    inode: int

    def facts(self) -> dict[str, Any]:
        """Return what document.json says of it."""
        return {
            "name_hex": self.name.hex(),
            "size": self.size,
            "mtime_ns": self.mtime_ns,
            "inode": self.inode,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What document.json says."""

    id: str
    name: bytes
    """The file's name. Personal, and kept here only."""
    subfolder: bytes = b""
    """Where in the hot folder it lay, as a relative path. Personal as well."""
    hotfolder: str
    profile: str
    size: int
    mtime_ns: int
    inode: int
    claimed_at: datetime
    clock: str
    sidecar: Sidecar | None = None

    @property
    def place(self) -> bytes:
        """Where the scan lay: a path relative to the hot folder."""
        return self.subfolder + b"/" + self.name if self.subfolder else self.name

    def write(self, documents: Path) -> None:
        """Make the folder and the file, durably."""
        folder = folder_of(documents, self.id)
        durable.make_folders(folder, documents)
        facts: dict[str, Any] = {
            "version": VERSION,
            "id": self.id,
            "name_hex": self.name.hex(),
            "hotfolder": self.hotfolder,
            "profile": self.profile,
            "size": self.size,
            "mtime_ns": self.mtime_ns,
            "inode": self.inode,
            "claimed_at": utc_text(self.claimed_at),
            "clock": self.clock,
        }
        if self.subfolder:
            facts["subfolder_hex"] = self.subfolder.hex()
        if self.sidecar:
            facts["sidecar"] = self.sidecar.facts()
        durable.write(folder / FACTS, json.dumps(facts, sort_keys=True).encode() + b"\n")

    def arrival(self, digest: Digest, kind: str, awaits: str = "") -> Arrival:
        """Return what the spool commits; *kind* is "" for what nobody could identify.

        *awaits* is what has to be known of it before it is sealed.
        """
        return Arrival(
            id=self.id,
            hotfolder=self.hotfolder,
            profile=self.profile,
            name=self.name,
            size=self.size,
            mtime_ns=self.mtime_ns,
            inode=self.inode,
            digest=digest,
            kind=kind or "bin",
            claimed_at=self.claimed_at,
            clock=self.clock,
            subfolder=self.subfolder,
            awaits=awaits,
        )


def origin_of(folder: Path) -> Origin | None:
    """Read a document.json; None if there is none that can be read as one."""
    try:
        facts = json.loads((folder / FACTS).read_bytes())
        return Origin(
            id=facts["id"],
            name=bytes.fromhex(facts["name_hex"]),
            subfolder=bytes.fromhex(facts.get("subfolder_hex", "")),
            hotfolder=facts["hotfolder"],
            profile=facts["profile"],
            size=int(facts["size"]),
            mtime_ns=int(facts["mtime_ns"]),
            inode=int(facts["inode"]),
            claimed_at=utc_time(facts["claimed_at"]),
            clock=facts["clock"],
            sidecar=_sidecar(facts["sidecar"]) if "sidecar" in facts else None,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sidecar(facts: dict[str, Any]) -> Sidecar:
    return Sidecar(
        name=bytes.fromhex(facts["name_hex"]),
        size=int(facts["size"]),
        mtime_ns=int(facts["mtime_ns"]),
        inode=int(facts["inode"]),
    )


def stored(folder: Path) -> Path | None:
    """Return the original in a document's folder, if it is there."""
    return next(iter(sorted(folder.glob("original.*"))), None)


def clear_temporaries(folder: Path) -> None:
    """Remove what a kill left of a file that was being written: half a copy of a scan, perhaps."""
    for path in folder.glob(".*"):
        path.unlink(missing_ok=True)


def unused(names: list[str]) -> bool:
    """Return whether a folder with these *names* in it holds nothing but a claim that was begun."""
    return all(name == FACTS or name.startswith(".") for name in names)


def remove_unused(documents: Path, document_id: str) -> bool:
    """Remove the folder of a claim that came to nothing; return whether that was all it held."""
    folder = folder_of(documents, document_id)
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return True
    if not unused(names):
        return False
    for name in names:
        (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # somebody put something there just now: it stays
        folder.rmdir()
    return True
