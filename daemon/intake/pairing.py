"""Which sidecar belongs to which scan: a pure rule, which never guesses (I12).

    scan.pdf.json   is scan.pdf's, and nobody else's
    scan.json       is scan.pdf's, if no other scan in its folder is called scan

and both only if they came at most `sidecar_wait_seconds` apart: scanners use their names
again, and yesterday's sidecar is not today's scan's. One that nobody can tell whose it
is stays where it is; an alarm says that it lies there.

A document that waits gets the sidecar that lay beside it when it was claimed, or one
that has come since. If a newer scan of its name lies there by then, a sidecar that came
after that is the newer one's, and the wait of the older is over. One that is its own and
cannot be taken is not waited for without end, either: then a person has to say.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

ENDINGS: Final = {b".json": "json", b".xml": "xml"}
"""In lower case; the first counts before the second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaiting:
    """A document whose sidecar is owed."""

    id: str
    place: bytes
    """Where its scan lay: a path relative to the hot folder."""
    began: float
    """When its wait began, by our monotonic clock."""
    began_ns: int
    """The same by the clock on the wall, in nanoseconds since 1970."""
    until: float
    """When the wait is over, by our monotonic clock."""
    promised: tuple[bytes, int] | None = None
    """Name and inode of the sidecar that lay beside it at the claim."""
    left: Literal["folder", "private", ""] = ""
    """Where a kill has left one that was being taken: it needs no other."""
    suspect: bool = False
    """The daemon ended before while it was described: the next time it is described alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A sidecar as the survey sees it."""

    name: bytes
    inode: int
    ctime_ns: int
    since: float
    """When it was first seen as it is now, by our monotonic clock."""
    from_before: bool
    """It lay there like this at our first look: how long, only its own times say."""
    doubtful: bool
    """There was more than one scan that it could have belonged to."""


class Beside:
    """Which sidecar lies beside which scan, by their names alone."""

    def __init__(self, scans: Iterable[bytes], sidecars: Iterable[bytes]) -> None:
        """Take the relative paths of all scans, those that wait included, and of all sidecars."""
        places = set(scans)
        stems = Counter(map(_stem, places))
        self._found: dict[tuple[bytes, str], bytes] = {}
        self.doubtful: set[bytes] = set()
        """Sidecars that several scans could have."""
        for name in sorted(sidecars):
            base, kind = _parted(name)
            self._found.setdefault((base, kind), name)
            if base not in places and stems[base] > 1:
                self.doubtful.add(name)
        self._alone = {stem for stem, count in stems.items() if count == 1} - places

    def of(self, place: bytes) -> bytes | None:
        """Return the sidecar of the scan at *place*, or None."""
        stem = _stem(place)
        for base in (place, *([stem] if stem in self._alone else [])):
            for kind in ENDINGS.values():
                if name := self._found.get((base, kind)):
                    return name
        return None


def kind_of(name: bytes) -> str:
    """Return `json` or `xml` for what is called as a sidecar is; "" for anything else."""
    return ENDINGS.get(name[name.rfind(b".") :].lower(), "") if b"." in name else ""


def promised(scan_ctime_ns: int, sidecar_ctime_ns: int, within: float) -> bool:
    """Return whether two that lie beside each other came together: by one clock, their own."""
    return abs(scan_ctime_ns - sidecar_ctime_ns) <= within * 1e9


def given_up(one: Awaiting, failing: float | None, *, patience: float, now: float) -> bool:
    """Return whether its sidecar, which cannot be taken since *failing*, is waited for no longer.

    Not at once when the wait is over: after a long stop the first try comes that late.
    """
    return failing is not None and now >= max(one.until, failing + patience)


def verdict(
    one: Awaiting, seen: Seen | None, newer: float | None, *, within: float, now: float
) -> Literal["take", "wait", "end"]:
    """Return what becomes of a document that waits.

    *seen* is the sidecar that has the right name, *newer* when a scan that has the
    document's own name was first seen, *now* when the folder was looked through.
    """
    if seen is not None:
        if one.promised == (seen.name, seen.inode):
            return "take"
        if seen.from_before:
            came = seen.ctime_ns >= one.began_ns - within * 1e9
        else:
            came = seen.since >= one.began - within
        if came and not seen.doubtful and (newer is None or seen.since < newer):
            return "take"
    return "end" if newer is not None or now >= one.until else "wait"


def _parted(name: bytes) -> tuple[bytes, str]:
    return name[: name.rfind(b".")], kind_of(name)


def _stem(place: bytes) -> bytes:
    """Return a path without its last extension; a name that only begins with a dot has none."""
    folder, slash, name = place.rpartition(b"/")
    dot = name.rfind(b".")
    return folder + slash + (name[:dot] if dot > 0 else name)
