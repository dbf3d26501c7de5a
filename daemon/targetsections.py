"""The `[[target]]` tables of the configuration: what all kinds have, and what each kind adds.

    TargetSection ── FolderSection            a mounted share
                 └── HttpSection              whatever is reached by HTTP: address, trust, login
                      ├── WebdavSection       a WebDAV server
                      ├── S3Section           a bucket with Object Lock
                      ├── EnaioSection        enaio's DMS service
                      └── MayanSection        Mayan EDMS

KINDS has the class of each kind.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from daemon.document import FACTS, GRADES, Role
from daemon.sections import NAME, above, absolute, choice
from daemon.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS: Final = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")
BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
HERE: Final = re.compile(r"http://(127\.0\.0\.1|\[::1\]|localhost)(:\d+)?(/|$)")
"""An address that no network is between."""
INTERNAL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,126}")
"""Internal names of enaio; they become parts of a statement."""
OURS: Final = frozenset({"system:objectId", "system:objectTypeId", "system:parentId"})
"""Properties that are no index fields."""
TOLD: Final = (*FACTS, "retain_until")
"""What an index field can be filled with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSection:
    """One place that documents are delivered to."""

    name: str
    kind: str
    role: str = field(metadata={"choices": tuple(Role)})
    after: str = ""
    proof: str = choice("bytes", *(grade for grade in GRADES if grade != "bytes"))
    concurrency: int = above(0, 4, most=64)
    per_second: float = above(-0.001, 0.0, most=10_000.0)
    kb_per_second: int = above(-1, 0, most=10_000_000)
    windows: tuple[str, ...] = ()
    in_doubt_seconds: float = above(59.0, 300.0, most=86_400.0)

    def problems(self) -> Iterator[str]:
        """Yield what is wrong in this section."""
        if not NAME.fullmatch(self.name):
            yield f"name: must be lower-case letters, digits, '.', '_' or '-' (got {self.name!r})"
        if self.kind not in KINDS:
            yield f"kind: must be {', '.join(KINDS)} (got {self.kind!r})"
        for text in self.windows:
            try:
                Window.parse(text)
            except ValueError as exc:
                yield f"windows: {exc} (got {text!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSection(TargetSection):
    """A folder: a mounted share of the DMS, or of the archive."""

    path: str
    immutable: bool = False

    def problems(self) -> Iterator[str]:
        """Yield what is wrong in this section."""
        yield from TargetSection.problems(self)
        yield from absolute("path", self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSection(TargetSection):
    """What all targets have that are reached by HTTP."""

    url: str
    user: str = ""
    password: str = ""
    ca: str = ""
    pins: tuple[str, ...] = ()
    client_certificate: str = ""
    client_key: str = ""
    proxy: str = ""
    connect_seconds: float = above(0.0, 10.0, most=600.0)
    stall_seconds: float = above(0.0, 60.0, most=3600.0)
    request_seconds: float = above(0.0, 3600.0, most=86_400.0)

    def problems(self) -> Iterator[str]:
        """Yield what is wrong in this section."""
        yield from TargetSection.problems(self)
        for key, address in (("url", self.url), ("proxy", self.proxy)):
            # A name and a password in the address would reach logs and pages.
            if (address or key == "url") and not ADDRESS.fullmatch(address):
                yield f"{key}: must be an http or https address, without a login in it"
        yield from self._trust()
        for key in ("password", "client_key"):
            if text := getattr(self, key):
                yield from secret(key, text)

    def _trust(self) -> Iterator[str]:
        for key in ("ca", "client_certificate"):
            if text := getattr(self, key):
                yield from absolute(key, text)
        if bool(self.client_certificate) != bool(self.client_key):
            yield "client_certificate: needs client_key, and the other way round"
        if not all(re.fullmatch(r"[0-9a-f]{64}", pin) for pin in self.pins):
            yield "pins: must be SHA-256 digests of certificates, 64 hexadecimal digits each"
        if self.pins and not self.url.startswith("https:"):
            yield "pins: need an https address"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Section(HttpSection):
    """A bucket with Object Lock in a store that speaks S3."""

    bucket: str
    region: str = "us-east-1"
    lock_mode: str = choice("compliance", "governance")
    first_lock_days: int = above(-1, 0, most=3650)
    part_mb: int = above(4, 16, most=1024)

    def problems(self) -> Iterator[str]:
        """Yield what is wrong in this section."""
        yield from HttpSection.problems(self)
        if not BUCKET.fullmatch(self.bucket):
            yield f"bucket: must be the name of a bucket (got {self.bucket!r})"
        if not NAME.fullmatch(self.region):
            yield f"region: must be lower-case letters, digits and '-' (got {self.region!r})"
        if not self.user or not self.password:
            yield "user, password: are needed: the access key's id, and where its secret lies"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebdavSection(HttpSection):
    """A collection on a WebDAV server: `url` is its address."""

    def problems(self) -> Iterator[str]:
        """Yield what is wrong in this section."""
        yield from HttpSection.problems(self)
        yield from in_clear(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnaioSection(HttpSection):
    """An object type of enaio, by its DMS service."""

    object_type: str
    parent: str
    id_field: str
    fields: dict[str, str] = field(default_factory=dict)
    superseded_field: str = ""
    index_seconds: float = above(0.0, 20.0, most=300.0)

    def problems(self) -> Iterator[str]:
        """Yield what is wrong in this section."""
        yield from HttpSection.problems(self)
        yield from in_clear(self)
        if not self.user or not self.password:
            yield "user, password: are needed: the gateway knows us by them"
        if not re.fullmatch(r"[1-9][0-9]{0,18}|system:tray", self.parent):
            yield f"parent: must be an object's number, or system:tray (got {self.parent!r})"
        if not INTERNAL.fullmatch(self.object_type):
            yield f"object_type: must be an internal name (got {self.object_type!r})"
        told = {"id_field": self.id_field, "superseded_field": self.superseded_field}
        named = {key: name for key, name in told.items() if name or key == "id_field"}
        named |= {f"fields.{name}": name for name in self.fields}
        for key, name in named.items():
            if not INTERNAL.fullmatch(name.removeprefix("system:")) or name in OURS:
                yield f"{key}: must be an index field's internal name (got {name!r})"
        for name, fact in self.fields.items():
            if fact not in TOLD:
                yield f"fields.{name}: must be one of {', '.join(TOLD)} (got {fact!r})"
            if name in told.values():
                yield f"fields.{name}: has another use already"


@dataclass(frozen=True, slots=True, kw_only=True)
class MayanSection(HttpSection):
    """Mayan EDMS: documents of one type."""

    document_type: str
    key_type: str = "scanseal_key"
    metadata: dict[str, str] = field(default_factory=dict)
    cabinets: tuple[str, ...] = ()

    def problems(self) -> Iterator[str]:
        """Yield what is wrong in this section."""
        yield from HttpSection.problems(self)
        yield from in_clear(self)
        if not self.password:
            yield "password: must say where the password lies, or without a user the token"
        if not self.document_type:
            yield "document_type: must be the label of a document type"
        if not self.key_type or self.key_type in self.metadata:
            yield "key_type: must be a metadata type of its own, not one of metadata"
        for name, fact in self.metadata.items():
            if fact not in FACTS:
                yield f"metadata: {name}: must be one of {', '.join(FACTS)} (got {fact!r})"


KINDS: Final[dict[str, type[TargetSection]]] = {
    "folder": FolderSection,
    "enaio": EnaioSection,
    "mayan": MayanSection,
    "s3": S3Section,
    "webdav": WebdavSection,
}
"""Each kind by its name in the configuration."""


def in_clear(section: HttpSection) -> Iterator[str]:
    """Yield that a password would leave this machine readable for everybody on the way."""
    if section.password and section.url.startswith("http:") and not HERE.match(section.url):
        yield "password: needs an https address, else everybody on the way can read it"


def secret(key: str, text: str) -> Iterator[str]:
    """Yield what is wrong with where a secret lies; it never stands in the configuration itself."""
    kind, _, rest = text.partition(":")
    good = (kind == "file" and rest.startswith("/")) or (
        kind == "credential" and bool(re.fullmatch(r"[A-Za-z0-9._-]+", rest))
    )
    if not good:
        yield f"{key}: must be credential:NAME or file:/PATH, never the secret itself"
