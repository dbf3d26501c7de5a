"""The sections of the configuration: every key with its default beside its meaning.

Each lists its own problems; what is wrong between them, and how they are read, is
in config.py. A key whose feature is not built yet is declared with `later`.
"""

from __future__ import annotations

import os
import re
import zoneinfo
from dataclasses import MISSING, dataclass, field
from typing import TYPE_CHECKING, Any

from daemon.document import GRADES

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
"""Names become MQTT topics, file names and table keys: lower case, no slash, no wildcard."""

DESCRIBING = frozenset({"operator", "batch", "number", "pages", "counter"})
"""What a file's name can say of a scan, as named groups of `name_pattern`."""

REFUSE_OR_ENVELOPE = ("refuse", "envelope")
REFUSE_OR_MORE = ("refuse", "envelope", "accept")
POLICIES = {
    "damaged_pdf": "pdf-damaged",
    "password": "pdf-encrypted",
    "empty_password": "pdf-encrypted-empty",
    "signed_input": "already-signed",
    "jbig2_symbols": "jbig2-symbols",
    "javascript": "pdf-javascript",
    "launch_actions": "pdf-launch-action",
    "embedded_files": "pdf-embedded-file",
    "external_streams": "pdf-external-stream",
    "xfa": "pdf-xfa",
}
"""Keys of a profile, and the code that each of them decides about."""

STAMPED_LEVELS = ("B-T", "B-LT")
"""Levels (PAdES, ETSI EN 319 142-1) with a time stamp."""
LONGEST_TEXT = 200
"""Letters of what goes into transfer notes as it stands."""
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
    recheck_per_day: int = above(-1, 100, most=100_000)

    def problems(self) -> Iterator[str]:
        """Yield what is wrong in this section."""
        if not NAME.fullmatch(self.name):
            yield f"name: must be lower-case letters, digits, '.', '_' or '-' (got {self.name!r})"
        if not self.organisation.strip():
            yield "organisation: must not be empty"
        yield from absolute("state_dir", self.state_dir)
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
    subfolders: bool = False
    name_pattern: str = ""
    sidecar: str = choice("none", "optional", "required")
    sidecar_wait_seconds: float = above(0.0, 60.0)
    keep_rejected_days: int = above(0, 14, most=3650)
    report: str = ""
    scanner: str = ""
    operator: str = ""

    @property
    def awaits(self) -> str:
        """What has to be known of each scan before it is sealed: a code, or "" for nothing."""
        if self.sidecar != "none":
            return "sidecar"
        return "describing" if self.name_pattern else ""

    def problems(self) -> Iterator[str]:
        """Yield what is wrong in this section."""
        if not NAME.fullmatch(self.name):
            yield f"name: must be lower-case letters, digits, '.', '_' or '-' (got {self.name!r})"
        yield from absolute("path", self.path)
        yield from absolute("rejected", self.rejected)
        if os.path.normpath(self.path) == os.path.normpath(self.rejected):
            yield "rejected: must not be the hot folder itself"
        if within(self.rejected, f"{self.path}/.scanseal"):
            yield "rejected: must not lie in .scanseal, where claimed scans are"
        if self.give_up_seconds < self.settle_seconds:
            yield (
                f"give_up_seconds: must not be less than settle_seconds "
                f"(got {self.give_up_seconds:g} and {self.settle_seconds:g})"
            )
        yield from self._pattern_problems()
        for key in ("scanner", "operator"):
            text = getattr(self, key)
            if len(text) > LONGEST_TEXT or not text.isprintable():
                yield f"{key}: must be one line of at most {LONGEST_TEXT} letters"
        if self.report:
            yield from self._report_problems()

    def _report_problems(self) -> Iterator[str]:
        yield from absolute("report", self.report)
        if any(within(place, self.report) for place in (self.path, self.rejected)):
            yield "report: must be a file, not a folder that scans or copies lie in"
        if within(self.report, f"{self.path}/.scanseal"):
            yield "report: must not lie in .scanseal, where claimed scans are"

    def _pattern_problems(self) -> Iterator[str]:
        if not self.name_pattern:
            return
        try:
            groups = re.compile(self.name_pattern).groupindex.keys()
        except re.error as exc:
            yield f"name_pattern: is no regular expression: {exc}"
            return
        for group in sorted(groups - DESCRIBING):
            yield f"name_pattern: group {group!r} is not one of {', '.join(sorted(DESCRIBING))}"
        if not groups:
            yield f"name_pattern: names no group: (?P<name>…) of {', '.join(sorted(DESCRIBING))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A class of documents."""

    procedure: str
    integrity: str = choice("normal", "high", "very-high")
    accept_advanced: str = ""
    level: str = choice("B-B", "B-T", "B-LT")
    on_no_timestamp: str = choice("deliver", "hold")
    timestamp_wait_hours: int = above(0, 72, most=8760)
    seal_after: str = later("claim")
    max_mb: int = above(0, 1024, most=65536)
    max_pages: int = above(0, 2000, most=100_000)
    min_dpi: int = above(-1, 300, most=9600)
    colour: str = choice("any", "wanted")
    operator: str = choice("wait", "refuse")
    pdfa: str = choice("2b", "3b", "none")
    damaged_pdf: str = choice(*REFUSE_OR_ENVELOPE)
    password: str = choice(*REFUSE_OR_ENVELOPE)
    empty_password: str = choice(*REFUSE_OR_MORE)
    signed_input: str = choice(*REFUSE_OR_ENVELOPE)
    jbig2_symbols: str = choice(*REFUSE_OR_ENVELOPE)
    javascript: str = choice(*REFUSE_OR_MORE)
    launch_actions: str = choice(*REFUSE_OR_MORE)
    embedded_files: str = choice(*REFUSE_OR_MORE)
    external_streams: str = choice(*REFUSE_OR_MORE)
    xfa: str = choice(*REFUSE_OR_MORE)
    keep_local_days: int = above(-1, 7, most=36_500)
    keep_refused_days: int = above(-1, 30, most=36_500)
    retain_days: int = above(-1, 3650, most=36_500)
    targets: tuple[str, ...] = ()
    proof: str = choice(*GRADES[::-1])
    paper_days: int = later(30)
    sample_percent: float = later(3.0)

    def problems(self) -> Iterator[str]:
        """Yield what is wrong in this section."""
        if not self.procedure.strip():
            yield "procedure: must name the scan procedure that the transfer note refers to"
        if self.integrity == "very-high":
            yield (
                'integrity: not-available-yet: "very-high" needs level = "B-T" or better,'
                ' on_no_timestamp = "hold" and seal_after = "quality", which is not built yet'
            )
        if self.accept_advanced != self.accept_advanced.strip() or len(self.accept_advanced) > 500:
            yield "accept_advanced: must be a reason in words (at most 500 letters), or empty"

    @property
    def policies(self) -> dict[str, str]:
        """What happens to each kind of content that is refused by default, by its code."""
        return {code: getattr(self, key) for key, code in POLICIES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class HsmSection:
    """Where the key is."""

    module: str
    token: str
    key: str
    chain: str
    pin: str
    certificate: str = ""
    trusted_list: str = ""
    serial: str = ""
    sessions: int = above(0, 1, most=8)
    timeout_seconds: float = above(0.0, 20.0, most=600.0)
    keep_alive_seconds: float = above(0.0, 20.0, most=3600.0)

    def problems(self) -> Iterator[str]:
        """Yield what is wrong in this section."""
        yield from absolute("module", self.module)
        yield from absolute("chain", self.chain)
        if self.certificate:
            yield from absolute("certificate", self.certificate)
        if self.trusted_list:
            yield from absolute("trusted_list", self.trusted_list)
        kind, _, rest = self.pin.partition(":")
        if kind == "file" and is_absolute(rest):
            return
        if kind != "credential" or not re.fullmatch(r"[A-Za-z0-9._-]+", rest):
            # The value itself is not shown: somebody may have written the PIN here.
            yield "pin: must be credential:NAME or file:/PATH, never the PIN itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """How the seal is made."""

    digest: str = choice("sha256", "sha384", "sha512")
    padding: str = choice("pss", "pkcs1v15")
    permissions: int = later(1)
    timestamp_urls: tuple[str, ...] = ()
    timestamp_chain: str = ""

    def problems(self) -> Iterator[str]:
        """Yield what is wrong in this section."""
        for url in self.timestamp_urls:
            if not re.fullmatch(r"https?://[^\s/?#]+[^\s]*", url):
                yield "timestamp_urls: must be a list of http or https addresses"
        if self.timestamp_urls and not self.timestamp_chain:
            yield "timestamp_chain: must name the certificates that time stamps have to lead to"
        if self.timestamp_chain:
            yield from absolute("timestamp_chain", self.timestamp_chain)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsSection:
    """What the parsing of one document may use."""

    memory_mb: int = above(255, 1024, most=65536)
    cpu_seconds: float = above(0.0, 60.0, most=3600.0)
    wall_seconds: float = above(0.0, 60.0, most=3600.0)
    seconds_per_mb: float = above(-0.001, 1.0, most=60.0)
    max_megapixels: int = above(0, 250, most=10_000)
    max_nesting: int = above(9, 200, most=500)
    max_output_mb: int = above(0, 4096, most=131_072)

    def problems(self) -> Iterator[str]:
        """Yield what is wrong in this section."""
        yield from ()


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


def is_absolute(path: str) -> bool:
    """Return whether *path* can be used as it stands, wherever the service is started."""
    return path.startswith("/") and "\0" not in path


def absolute(key: str, path: str) -> Iterator[str]:
    """Yield what is wrong with a path that has to mean the same wherever the service is started."""
    if not is_absolute(path):
        yield f"{key}: must be an absolute path (got {path!r})"


def within(inner: str, outer: str) -> bool:
    """Return whether *path* lies in *folder*, or is it."""
    # Not PurePath: it keeps the second slash of "//srv", which Linux does not.
    first, second = (
        f"/{os.path.normpath(path).strip('/')}/".replace("//", "/") for path in (inner, outer)
    )
    return first.startswith(second)
