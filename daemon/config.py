"""The configuration: TOML in, a frozen `Config` out, or every problem at once.

One dataclass per section; the default stands beside its meaning, and each
section lists its own problems. An unknown key is an error with a "did you
mean": a typo must not become a default. A key whose feature is not built yet
is accepted at its default only (`not-available-yet`): no key is silently
ignored. What each key means to the person who writes it stands in
config/scanseal.toml.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
import typing
import zoneinfo
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.document import Role
from daemon.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DEFAULT_PATH = Path("/etc/scanseal/scanseal.toml")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
"""Names become MQTT topics, file names and table keys: lower case, no slash, no wildcard."""

LONGEST_STATE_DIR = 107 - len("/control.sock")
"""unix(7): a socket's path has at most 107 bytes."""


def later(default: Any) -> Any:
    """Declare a key whose feature is not built yet: only its default is accepted."""
    return field(default=default, metadata={"later": True})


def choice(default: str, *others: str) -> Any:
    """Declare a key that takes one of a few words."""
    return field(default=default, metadata={"choices": (default, *others)})


def above(minimum: float, default: Any = MISSING, *, most: float = 1e9) -> Any:
    """Declare a number that has to be greater than *minimum* and at most *most*."""
    return field(default=default, metadata={"above": minimum, "most": most})


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """The box itself."""

    name: str
    organisation: str
    state_dir: str = "/var/lib/scanseal"
    language: str = choice("de", "en")
    timezone: str = "Europe/Berlin"
    min_free_mb: int = above(-1, 2048)
    clock: str = choice("ntp-or-rtc", "host")

    def problems(self) -> Iterator[str]:
        """Yield what is wrong in this section."""
        if not NAME.fullmatch(self.name):
            yield f"name: must be lower-case letters, digits, '.', '_' or '-' (got {self.name!r})"
        if not self.organisation.strip():
            yield "organisation: must not be empty"
        yield from _absolute("state_dir", self.state_dir)
        if len(os.fsencode(self.state_dir)) > LONGEST_STATE_DIR:
            yield f"state_dir: is too long for the control socket (at most {LONGEST_STATE_DIR} bytes)"
        if self.timezone not in zoneinfo.available_timezones():
            yield f"timezone: is not known here (got {self.timezone!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class HotFolder:
    """One folder that scanners drop files into."""

    name: str
    path: str
    rejected: str
    profile: str
    settle_seconds: float = above(0.0, 10.0)
    give_up_seconds: float = above(0.0, 600.0)
    rescan_seconds: float = above(0.0, 5.0)
    ignore: tuple[str, ...] = (".*", "~*", "*.tmp", "*.part", "Thumbs.db")

    def problems(self) -> Iterator[str]:
        """Yield what is wrong in this section."""
        if not NAME.fullmatch(self.name):
            yield f"name: must be lower-case letters, digits, '.', '_' or '-' (got {self.name!r})"
        yield from _absolute("path", self.path)
        yield from _absolute("rejected", self.rejected)
        if os.path.normpath(self.path) == os.path.normpath(self.rejected):
            yield "rejected: must not be the hot folder itself"
        if _within(self.rejected, f"{self.path}/.scanseal"):
            yield "rejected: must not lie in .scanseal, where claimed scans are"
        if self.give_up_seconds < self.settle_seconds:
            yield (
                f"give_up_seconds: must not be less than settle_seconds "
                f"(got {self.give_up_seconds:g} and {self.settle_seconds:g})"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A class of documents."""

    procedure: str
    integrity: str = later("normal")
    level: str = later("B-B")
    on_no_timestamp: str = later("deliver")
    timestamp_wait_hours: int = later(72)
    seal_after: str = later("claim")
    max_mb: int = above(0, 1024, most=65536)
    max_pages: int = above(0, 2000, most=100_000)
    min_dpi: int = later(300)
    keep_local_days: int = later(7)
    keep_refused_days: int = later(30)
    retain_days: int = later(3650)
    paper_days: int = later(30)
    sample_percent: float = later(3.0)

    def problems(self) -> Iterator[str]:
        """Yield what is wrong in this section."""
        if not self.procedure.strip():
            yield "procedure: must name the scan procedure that the transfer note refers to"


@dataclass(frozen=True, slots=True, kw_only=True)
class HsmSection:
    """Where the key is."""

    module: str
    token: str
    key: str
    chain: str
    pin: str
    certificate: str = ""
    sessions: int = later(1)
    timeout_seconds: float = above(0.0, 20.0, most=600.0)

    def problems(self) -> Iterator[str]:
        """Yield what is wrong in this section."""
        yield from _absolute("module", self.module)
        yield from _absolute("chain", self.chain)
        if self.certificate:
            yield from _absolute("certificate", self.certificate)
        kind, _, rest = self.pin.partition(":")
        if kind == "file" and _is_absolute(rest):
            return
        if kind != "credential" or not re.fullmatch(r"[A-Za-z0-9._-]+", rest):
            # The value itself is not shown: somebody may have written the PIN here.
            yield "pin: must be credential:NAME or file:/PATH, never the PIN itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """How the seal is made."""

    digest: str = later("sha256")
    padding: str = later("pss")
    permissions: int = later(1)
    timestamp_urls: tuple[str, ...] = later(())

    def problems(self) -> Iterator[str]:
        """Yield what is wrong in this section."""
        yield from ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSection:
    """One place that documents are delivered to."""

    name: str
    kind: str
    role: str = field(metadata={"choices": tuple(Role)})
    path: str = ""

    def problems(self) -> Iterator[str]:
        """Yield what is wrong in this section."""
        if not NAME.fullmatch(self.name):
            yield f"name: must be lower-case letters, digits, '.', '_' or '-' (got {self.name!r})"
        if self.kind in {"enaio", "mayan", "s3", "webdav"}:
            yield f"kind: not-available-yet: only 'folder' is built so far (got {self.kind!r})"
        elif self.kind != "folder":
            yield f"kind: must be folder, enaio, mayan, s3 or webdav (got {self.kind!r})"
        else:
            yield from _absolute("path", self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mqtt:
    """Where central IT listens."""

    host: str
    port: int = above(0, 1883, most=65535)
    topic: str = "scanseal"
    interval_seconds: float = above(0.0, 60.0, most=86400.0)

    def problems(self) -> Iterator[str]:
        """Yield what is wrong in this section."""
        if not self.host:
            yield "host: must not be empty"
        if not self.topic or set(self.topic) & set("+#\0") or "//" in f"/{self.topic}/":
            yield f"topic: must be a topic without wildcards and empty levels (got {self.topic!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """Where the technician's page is served."""

    listen: str = "127.0.0.1:8480"

    def problems(self) -> Iterator[str]:
        """Yield what is wrong in this section."""
        form = r"(\[[0-9a-f:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}"
        if not re.fullmatch(form, self.listen) or self.port > 65535:
            yield f"listen: must be ADDRESS:PORT (got {self.listen!r})"

    @property
    def host(self) -> str:
        """The address to listen on."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port to listen on."""
        return int(self.listen.rpartition(":")[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All of it."""

    path: Path
    box: Box
    hotfolders: tuple[HotFolder, ...]
    profiles: dict[str, Profile]
    hsm: HsmSection
    seal: Seal
    targets: tuple[TargetSection, ...]
    mqtt: Mqtt | None
    web: Web | None

    @property
    def state_dir(self) -> Path:
        """Where everything is kept."""
        return Path(self.box.state_dir)

    @property
    def documents(self) -> Path:
        """Where each document has its folder."""
        return self.state_dir / "documents"

    @property
    def work_in(self) -> Path:
        """What page workers may read, for as long as their task runs."""
        return self.state_dir / "work" / "in"

    @property
    def work_out(self) -> Path:
        """What page workers may write."""
        return self.state_dir / "work" / "out"

    @property
    def socket(self) -> Path:
        """Where commands reach the running service."""
        return self.state_dir / "control.sock"

    def pin_file(self, credentials: str | None) -> Path:
        """Return where the PIN is read from; *credentials* is systemd's $CREDENTIALS_DIRECTORY."""
        kind, _, rest = self.hsm.pin.partition(":")
        if kind == "file":
            return Path(rest)
        if credentials is None:
            problem = (
                f"[hsm] pin: credential:{rest} needs systemd's LoadCredential; "
                "outside of systemd write file:/PATH"
            )
            raise ConfigError((problem,))
        return Path(credentials) / rest


LISTS: dict[str, type[Any]] = {"hotfolder": HotFolder, "target": TargetSection}
TABLES: dict[str, type[Any]] = {"box": Box, "hsm": HsmSection, "seal": Seal}
OPTIONAL: dict[str, type[Any]] = {"mqtt": Mqtt, "web": Web}
KNOWN = (*TABLES, *OPTIONAL, *LISTS, "profile")


def load(path: Path) -> Config:
    """Read *path*, or raise ConfigError with every problem in it."""
    try:
        with path.open("rb") as file:
            raw = tomllib.load(file)
    except OSError as exc:
        raise ConfigError((f"cannot be read: {exc.strerror}",)) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError((f"is not TOML: {exc}",)) from exc
    problems: list[str] = []
    for name in sorted(raw.keys() - set(KNOWN)):
        hint = _meant(name, KNOWN)
        problems.append(f"[{name}] unknown section{f' (did you mean [{hint}]?)' if hint else ''}")
    single = {
        name: _section(cls, f"[{name}]", raw.get(name, {}), problems)
        for name, cls in {**TABLES, **OPTIONAL}.items()
        if name in raw or name in TABLES
    }
    lists = {
        name: [
            _section(cls, f"[[{name}]] {_called(item, number)}:", item, problems)
            for number, item in enumerate(_list(raw, name, problems), 1)
        ]
        for name, cls in LISTS.items()
    }
    profiles = {
        name: _section(Profile, f"[profile.{name}]", item, problems)
        for name, item in _table(raw, "profile", problems).items()
    }
    problems += _together(single["box"], lists["hotfolder"], lists["target"], tuple(profiles))
    if problems:
        raise ConfigError(tuple(problems))
    return Config(
        path=path,
        box=single["box"],
        hotfolders=tuple(lists["hotfolder"]),
        profiles=profiles,
        hsm=single["hsm"],
        seal=single["seal"],
        targets=tuple(lists["target"]),
        mqtt=single.get("mqtt"),
        web=single.get("web"),
    )


def _together(
    box: Box | None,
    hotfolders: Sequence[HotFolder | None],
    targets: Sequence[TargetSection | None],
    profiles: tuple[str, ...],
) -> Iterator[str]:
    """Yield what is wrong between the sections; None stands for one that cannot be made."""
    if not hotfolders:
        yield "[[hotfolder]] there is none: nothing would ever be scanned"
    folders = [folder for folder in hotfolders if folder]
    receivers = [target for target in targets if target]
    for kind, names in (
        ("hotfolder", [folder.name for folder in folders]),
        ("target", [target.name for target in receivers]),
    ):
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"[[{kind}]] {name}: the name is used twice"
    for folder in folders:
        if folder.profile not in profiles:
            hint = _meant(folder.profile, profiles)
            yield (
                f"[[hotfolder]] {folder.name}: profile: [profile.{folder.profile}] does not exist"
                + (f" (did you mean {hint!r}?)" if hint else "")
            )
    roles = {target.role if target else "" for target in targets}
    for role in Role:
        # One that is wrong in itself may be the one that is looked for here.
        if role not in roles and roles <= set(Role):
            yield f"[[target]] none has role = '{role}': a document needs a DMS and an archive"
    yield from _places(box, folders, receivers)


def _places(
    box: Box | None, folders: list[HotFolder], receivers: list[TargetSection]
) -> Iterator[str]:
    """Yield which places lie in each other."""
    places = [("[box] state_dir", box.state_dir)] if box else []
    places += [(f"[[hotfolder]] {h.name}: path", h.path) for h in folders]
    places += [(f"[[target]] {t.name}: path", t.path) for t in receivers]
    places = [(where, place) for where, place in places if _is_absolute(place)]
    for number, (where, place) in enumerate(places):
        for other, path in places[number + 1 :]:
            if _overlap(place, path):
                yield f"{other}: must not overlap with {where} ({path!r} and {place!r})"
    for folder in folders:
        for where, place in places:
            # Inside its own hot folder it is not scanned; in another's it would be, for ever.
            own = place == folder.path and not _within(place, folder.rejected)
            if not own and _overlap(place, folder.rejected):
                yield (
                    f"[[hotfolder]] {folder.name}: rejected: must not overlap with {where}"
                    f" ({folder.rejected!r} and {place!r})"
                )


def _overlap(one: str, other: str) -> bool:
    return _within(one, other) or _within(other, one)


def _within(inner: str, outer: str) -> bool:
    # Not PurePath: it keeps the second slash of "//srv", which Linux does not.
    first, second = (
        f"/{os.path.normpath(path).strip('/')}/".replace("//", "/") for path in (inner, outer)
    )
    return first.startswith(second)


def _section(cls: type[Any], where: str, raw: object, problems: list[str]) -> Any:
    if not isinstance(raw, dict):
        problems.append(f"{where} must be a table")
        return None
    hints = typing.get_type_hints(cls)
    known = {item.name: item for item in fields(cls)}
    for key in sorted(raw.keys() - known.keys()):
        hint = _meant(key, tuple(known))
        problems.append(f"{where} {key}: unknown key{f' (did you mean {hint!r}?)' if hint else ''}")
    values = {}
    for name, item in known.items():
        if name not in raw:
            if item.default is MISSING:
                problems.append(f"{where} {name}: is missing")
            continue
        try:
            values[name] = _value(hints[name], raw[name])
        except TypeError as exc:
            # Somebody may have written the PIN itself there: its value is never shown.
            text = "must be credential:NAME or file:/PATH" if name == "pin" else str(exc)
            problems.append(f"{where} {name}: {text}")
            continue
        problems.extend(f"{where} {name}: {text}" for text in _field(item, values[name]))
    if any(item.default is MISSING and name not in values for name, item in known.items()):
        return None
    # Also when something else is wrong with it: everything is said at once.
    made = cls(**values)
    problems.extend(f"{where} {text}" for text in made.problems())
    return made


def _field(item: Field[Any], value: object) -> Iterator[str]:
    facts = item.metadata
    if facts.get("later") and value != item.default:
        yield f"not-available-yet: only {item.default!r} so far (got {value!r})"
    choices = facts.get("choices")
    if choices and value not in choices:
        yield f"must be {' or '.join(map(str, choices))} (got {value!r})"
    if "above" in facts and isinstance(value, int | float):
        if not value > facts["above"]:
            yield f"must be greater than {facts['above']:g} (got {value:g})"
        if not value <= facts["most"]:
            yield f"must be at most {facts['most']:g} (got {value:g})"


WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def _value(kind: Any, value: object) -> Any:
    """Return *value* as *kind*, or raise TypeError with a sentence."""
    if typing.get_origin(kind) is tuple:
        if isinstance(value, list) and all(type(item) is str for item in value):
            return tuple(value)
        raise TypeError(f"must be a list of texts (got {value!r})")
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise TypeError(f"must be {WORDS[kind]} (got {value!r})")
    return value


def _list(raw: dict[str, Any], name: str, problems: list[str]) -> list[Any]:
    found = raw.get(name, [])
    if not isinstance(found, list):
        problems.append(f"[{name}] is a list of tables: write [[{name}]]")
        return []
    return found


def _table(raw: dict[str, Any], name: str, problems: list[str]) -> dict[str, Any]:
    found = raw.get(name, {})
    if not isinstance(found, dict):
        problems.append(f"[[{name}]] is not a list: write [{name}.NAME]")
        return {}
    return found


def _called(item: object, number: int) -> str:
    name = item.get("name") if isinstance(item, dict) else None
    return name if isinstance(name, str) and name else f"(number {number})"


def _meant(word: str, known: tuple[str, ...]) -> str:
    return (difflib.get_close_matches(word, known, 1, 0.6) or [""])[0]


def _is_absolute(path: str) -> bool:
    return path.startswith("/") and "\0" not in path


def _absolute(key: str, path: str) -> Iterator[str]:
    if not _is_absolute(path):
        yield f"{key}: must be an absolute path (got {path!r})"
