"""The configuration: TOML in, a frozen `Config` out, or every problem at once.

The sections and their keys are in sections.py. An unknown key is an error with a "did you
mean": a typo must not become a default. A key whose feature is not built yet
is accepted at its default only (`not-available-yet`): no key is silently
ignored. What each key means to the person who writes it stands in
config/scanseal.toml.
"""

from __future__ import annotations

import difflib
import tomllib
import typing
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.document import GRADES, Role
from daemon.errors import ConfigError
from daemon.sections import (
    STAMPED_LEVELS,
    Box,
    HotFolder,
    HsmSection,
    LimitsSection,
    Mqtt,
    Profile,
    Seal,
    Web,
    is_absolute,
    within,
)
from daemon.targetsections import KINDS, FolderSection, TargetSection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = [
    "Box",
    "Config",
    "FolderSection",
    "HotFolder",
    "HsmSection",
    "LimitsSection",
    "Mqtt",
    "Profile",
    "Seal",
    "TargetSection",
    "Web",
    "load",
]

DEFAULT_PATH = Path("/etc/scanseal/scanseal.toml")


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
    limits: LimitsSection = field(default_factory=LimitsSection)

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
    def revocation(self) -> Path:
        """Where answers about certificates are kept, for days without a network."""
        return self.state_dir / "revocation"

    @property
    def shares(self) -> tuple[FolderSection, ...]:
        """The targets that are folders of this machine."""
        return tuple(target for target in self.targets if isinstance(target, FolderSection))

    def routed(self, profile: str) -> tuple[TargetSection, ...]:
        """Return the targets that documents of *profile* go to."""
        names = self.profiles[profile].targets
        return tuple(target for target in self.targets if not names or target.name in names)

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


LISTS: dict[str, Callable[[object], type[Any]]] = {
    "hotfolder": lambda _: HotFolder,
    "target": lambda raw: _kind(raw.get("kind") if isinstance(raw, dict) else None),
}
TABLES: dict[str, type[Any]] = {"box": Box, "hsm": HsmSection, "seal": Seal}
OPTIONAL: dict[str, type[Any]] = {"mqtt": Mqtt, "web": Web, "limits": LimitsSection}
KNOWN = (*TABLES, *OPTIONAL, *LISTS, "profile")


def load(path: Path) -> Config:
    """Read *path*, or raise ConfigError with every problem in it."""
    try:
        with path.open("rb") as file:
            raw = tomllib.load(file)
    except OSError as exc:
        raise ConfigError((f"cannot be read: {exc.strerror}",)) from exc
    except UnicodeDecodeError as exc:
        # Not the byte itself: it may be one of the PIN.
        line = exc.object.count(b"\n", 0, exc.start) + 1
        raise ConfigError((f"is not TOML: not UTF-8 (at line {line}); save it as UTF-8",)) from None
    except tomllib.TOMLDecodeError as exc:
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
            _section(choose(item), f"[[{name}]] {_called(item, number)}:", item, problems)
            for number, item in enumerate(_list(raw, name, problems), 1)
        ]
        for name, choose in LISTS.items()
    }
    profiles = {
        name: _section(Profile, f"[profile.{name}]", item, problems)
        for name, item in _table(raw, "profile", problems).items()
    }
    problems += _together(single["box"], lists["hotfolder"], lists["target"], tuple(profiles))
    problems += _levels(profiles, single["seal"])
    problems += _routes(profiles, lists["target"])
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
        limits=single.get("limits", LimitsSection()),
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
    yield from _reports(box, folders, receivers)


def _kind(name: object) -> type[TargetSection]:
    """Return the section of that kind of target; of one that is not known what all kinds have."""
    return KINDS.get(name, TargetSection) if isinstance(name, str) else TargetSection


def _shares(receivers: Sequence[TargetSection]) -> list[tuple[str, str]]:
    """Return which folders are targets, and where that is said."""
    shares = [target for target in receivers if isinstance(target, FolderSection)]
    return [(f"[[target]] {share.name}: path", share.path) for share in shares]


def _routes(
    profiles: Mapping[str, Profile | None], targets: Sequence[TargetSection | None]
) -> Iterator[str]:
    """Yield what is wrong with where documents go, in what order, and how well that is proven."""
    if None in targets:
        return  # one that is wrong in itself may be the one that is looked for here
    known = {target.name: target for target in targets if target}
    for target in known.values():
        chain = [target.name]
        while (after := known[chain[-1]].after) in known and after not in chain:
            chain.append(after)
        if after and after not in known:
            hint = _meant(after, tuple(known))
            yield f"[[target]] {target.name}: after: there is no target {after!r}" + (
                f" (did you mean {hint!r}?)" if hint else ""
            )
        elif after == target.name:
            yield f"[[target]] {target.name}: after: would wait for itself"
    for name, profile in profiles.items():
        if profile:
            yield from _route(f"[profile.{name}]", profile, known)


def _route(where: str, profile: Profile, known: Mapping[str, TargetSection]) -> Iterator[str]:
    for name in profile.targets:
        if name not in known:
            hint = _meant(name, tuple(known))
            yield f"{where} targets: there is no target {name!r}" + (
                f" (did you mean {hint!r}?)" if hint else ""
            )
    used = [known[name] for name in profile.targets or known if name in known]
    for role in Role:
        if profile.targets and role not in {target.role for target in used}:
            yield f"{where} targets: none has role = '{role}': a document needs a DMS and an archive"
    for target in used:
        if target.after and target.after in known and known[target.after] not in used:
            yield f"{where} targets: {target.name} waits for {target.after}, which is none of them"
        if GRADES.index(target.proof) < GRADES.index(profile.proof):
            yield (
                f"{where} proof: [[target]] {target.name} proves by {target.proof!r},"
                f" this profile accepts nothing weaker than {profile.proof!r}"
            )


def _levels(profiles: Mapping[str, Profile | None], seal: Seal | None) -> Iterator[str]:
    """Yield which profiles want time stamps that nobody gives."""
    for name, profile in profiles.items():
        if profile and seal and profile.level in STAMPED_LEVELS and not seal.timestamp_urls:
            yield f"[profile.{name}] level: {profile.level} needs [seal] timestamp_urls"


def _places(
    box: Box | None, folders: list[HotFolder], receivers: list[TargetSection]
) -> Iterator[str]:
    """Yield which places lie in each other."""
    places = [("[box] state_dir", box.state_dir)] if box else []
    places += [(f"[[hotfolder]] {h.name}: path", h.path) for h in folders]
    places += _shares(receivers)
    places = [(where, place) for where, place in places if is_absolute(place)]
    for number, (where, place) in enumerate(places):
        for other, path in places[number + 1 :]:
            if _overlap(place, path):
                yield f"{other}: must not overlap with {where} ({path!r} and {place!r})"
    for folder in folders:
        for where, place in places:
            # Inside its own hot folder it is not scanned; in another's it would be, for ever.
            own = place == folder.path and not within(place, folder.rejected)
            if not own and _overlap(place, folder.rejected):
                yield (
                    f"[[hotfolder]] {folder.name}: rejected: must not overlap with {where}"
                    f" ({folder.rejected!r} and {place!r})"
                )


def _reports(
    box: Box | None, folders: list[HotFolder], receivers: list[TargetSection]
) -> Iterator[str]:
    """Yield which reports lie where they must not: each may be in its own hot folder only."""
    places = [("[box] state_dir", box.state_dir, "")] if box else []
    places += [(where, place, "") for where, place in _shares(receivers)]
    for folder in folders:
        where = f"[[hotfolder]] {folder.name}:"
        places += [(f"{where} path", folder.path, folder.name)]
        places += [(f"{where} rejected", folder.rejected, folder.name)]
        places += [(f"{where} report", folder.report, folder.name)] if folder.report else []
    for folder in folders:
        for where, place, owner in places:
            if folder.report and owner != folder.name and _overlap(folder.report, place):
                yield (
                    f"[[hotfolder]] {folder.name}: report: must not overlap with {where}"
                    f" ({folder.report!r} and {place!r})"
                )


def _overlap(one: str, other: str) -> bool:
    return within(one, other) or within(other, one)


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
            if _is_needed(item):
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
    lacking = [n for n, item in known.items() if _is_needed(item) and n not in values]
    # Also when something is missing or wrong: everything is said at once.
    made = cls(**values, **dict.fromkeys(lacking, ""))
    problems.extend(
        f"{where} {text}" for text in made.problems() if text.partition(":")[0] not in lacking
    )
    return None if lacking else made


def _is_needed(item: Field[Any]) -> bool:
    return item.default is MISSING and item.default_factory is MISSING


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
    if typing.get_origin(kind) is dict:
        if isinstance(value, dict) and all(type(item) is str for item in value.values()):
            return value
        raise TypeError(f"must be a table of texts (got {value!r})")
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
