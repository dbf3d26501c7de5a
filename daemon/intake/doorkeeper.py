"""Looks, judges and takes: everything of a hot folder's intake that blocks.

One thread of the stage calls it, one call at a time. It knows no database and
raises no alarm: NotNow says why a file stays where it is.
"""

from __future__ import annotations

import errno
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from daemon import durable
from daemon.document import folder_of
from daemon.intake import NotNow, Reason
from daemon.intake.adoption import adopted
from daemon.intake.bell import Bell
from daemon.intake.claim import Desk, has_room
from daemon.intake.origin import Sidecar, stored
from daemon.intake.pairing import Awaiting, Seen, given_up, promised, verdict
from daemon.intake.settle import (
    Content,
    Look,
    Probe,
    Rule,
    examine,
    facts_of,
    flaw,
    leases_here,
    open_scan,
    probe,
    settled,
    writer_open,
)
from daemon.intake.sidecar import Tray
from daemon.intake.survey import Survey, Watched

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from daemon.config import Config, HotFolder
    from daemon.intake.claim import Claimed
    from daemon.intake.sidecar import Taken
    from daemon.intake.survey import Pass

COMPLETE: Final = Content("sidecar", complete=True)
"""What is in a sidecar only a page worker can tell: here it is as good as it looks."""
TURN_SECONDS: Final = 1.0
"""A scan whose name another one has that still waits for its sidecar is looked at so often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A document that waits, and what can be done about it now."""

    id: str
    until: float
    """When its wait is over, by our monotonic clock."""
    action: Literal["take", "go-on", "stored", "end"]
    """Take a sidecar, or go on with one that a kill has left under its private name or in its
    folder; or go on without one."""
    name: bytes = b""
    look: Look | None = None
    promised: bool = False
    """A sidecar lay beside it when it was claimed."""
    failing: str = ""
    """Why one that is its own cannot be taken, and is waited for no longer."""


class Doorkeeper:
    """Stands at one hot folder."""

    def __init__(
        self,
        section: HotFolder,
        config: Config,
        clock: Callable[[], datetime],
        *,
        ring: Callable[[], None],
        tick: Callable[[], None],
    ) -> None:
        """Touch nothing yet; *ring* is called on events, *tick* as the bytes of a file go by."""
        self._section = section
        self._config = config
        self._clock = clock
        self._rule = Rule.of(section)
        self.survey = Survey(section)
        self._desk = Desk(section, config.documents, tick)
        self._tray = Tray(self.survey.folder, config.documents, tick)
        self._bell = Bell(self.survey.folder, ring)
        self._leases = True
        self.writer_known = True
        """Whether the newest file that was looked at told if somebody writes it."""
        self.waiting: dict[str, Awaiting] = {}
        """By id: the documents that wait to be described. The describer keeps it."""
        self._places: set[bytes] = set()
        """Where their scans lay, as of the newest look."""
        self._looked = 0.0
        self._stranded: dict[str, Watched] = {}
        """By id: what lies in its document's folder and has no row."""

    def heard(self) -> None:
        """Let the next event ring again: call it before looking, not after. Does not block."""
        self._bell.heard()

    def stop(self) -> None:
        """Listen no longer."""
        self._bell.stop()

    def look(self, *, rung: bool) -> tuple[Pass, str]:
        """Survey the folder, and see to it that its events are heard; else say why they are not."""
        found, deaf = self._survey(rung=rung), ""
        folder = self.survey.folder
        try:
            new = not self._bell.answers()
            if new:
                # Before the bell, which may find no watch left: both have to be known.
                self._leases = self.writer_known = leases_here(folder)
                self._desk.leases = self._tray.leases = self._leases
                self._bell.hang()
            new |= self._bell.follow(folder / os.fsdecode(name) for name in self.survey.folders)
            if new:
                found = self._survey(rung=True)  # what came before anybody listened
        except OSError as exc:
            deaf = errno.errorcode.get(exc.errno or 0, "?")
        self._looked = found.at
        self._watch_stranded(found)
        over = [one.until for one in list(self.waiting.values()) if one.until > found.at]
        found.next_due = min([found.next_due, *over])
        return found, deaf

    def _survey(self, *, rung: bool) -> Pass:
        self._places = {one.place for one in list(self.waiting.values())}
        return self.survey.look(rung=rung, waiting=self._places)

    def take(self, name: bytes, unsealed: int, clock: str) -> Claimed:
        """Claim a file of the folder if it has settled and there is room for it."""
        watched = self.survey.files[name]
        if name in self._places:
            raise NotNow(Reason.TURN, again=TURN_SECONDS)
        self._judge(self.survey.folder / os.fsdecode(name), watched)
        self._require_room(watched.look.size, unsealed)
        sidecar = self._beside(name, watched)
        return self._desk.take(name, watched.look, self._clock(), clock, sidecar)

    def resume(self, document_id: str, unsealed: int, clock: str) -> Claimed:
        """Bring a claim to its end that was begun, once its file has settled again."""
        if document_id in self._stranded:
            return self._adopt(document_id)
        self._require_room(self.survey.private[document_id].look.size, unsealed)
        try:
            return self._desk.resume(document_id, None, self._clock(), clock)
        except NotNow as exc:
            if exc.reason is not Reason.QUIET:
                raise
        # It has changed since it was claimed: it settles under its private name.
        watched = self.survey.private[document_id]
        self._judge(self._desk.private_path(document_id), watched)
        return self._desk.resume(document_id, watched.look, self._clock(), clock)

    def sort_out(self, document_id: str) -> None:
        """See Desk.sort_out."""
        self._desk.sort_out(document_id, self._clock())

    def let_go(self, claimed: Claimed) -> None:
        """See Desk.let_go."""
        self._desk.let_go(claimed)

    # -- what comes with scans -----------------------------------------------------------

    def ready(self) -> list[Ready]:
        """Return the documents that wait and can be described by now; the newest look counts."""
        found = []
        for one in list(self.waiting.values()):
            if one.left == "private":
                name, watched = self.survey.private_sidecars.get(one.id, (b"", None))
                if watched is not None and self._hopeless(one, watched):
                    found.append(self._ready(one, "end", failing=watched.reason))
                elif watched is not None and watched.due <= self._looked:
                    found.append(self._ready(one, "go-on", name, watched.look))
            elif one.left == "folder":
                found.append(self._ready(one, "stored"))
            else:
                found += self._decided(one)
        return found

    def where(self, document_id: str) -> Literal["folder", "private", ""]:
        """See Tray.where."""
        return self._tray.where(document_id)

    def peek(self, ready: Ready) -> bytes | None:
        """Return the bytes of a sidecar that has settled; None if it is too large for one."""
        watched = self._sidecar_of(ready)
        fd = open_scan(self.survey.folder / os.fsdecode(ready.name))
        try:
            writer = writer_open(fd) if self._leases else None
        finally:
            os.close(fd)
        self._wait_or_take(watched, max(watched.look.size, 1), Probe(writer, COMPLETE))
        return self._tray.peek(ready.name, watched.look)

    def enclose(self, ready: Ready) -> Taken:
        """Take a sidecar along with its document, as far as the commit."""
        if ready.action == "stored":
            taken = self._tray.stored(ready.id)
            if taken is None:
                raise NotNow(Reason.GONE)
            return taken
        if ready.action == "go-on":
            _, watched = self.survey.private_sidecars.get(ready.id, (b"", None))
            if watched is None:
                raise NotNow(Reason.GONE)
            return self._tray.go_on(ready.id, ready.name, watched.look)
        return self._tray.take(ready.id, ready.name, self._sidecar_of(ready).look)

    def put_off(self, ready: Ready, cause: NotNow) -> None:
        """Note why a sidecar was not taken, and when to look again."""
        if ready.action == "go-on":
            _, watched = self.survey.private_sidecars.get(ready.id, (b"", None))
        else:
            watched = self.survey.sidecars.get(ready.name)
        if watched is not None:
            watched.put_off(cause, time.monotonic(), self._section.rescan_seconds)

    def enclosed(self, document_id: str) -> None:
        """Remove the private name of a sidecar that was copied and committed, if there is one."""
        self._tray.let_go(document_id)

    def tidy(self) -> None:
        """Remove what a kill has left of sidecars that were copied and committed."""
        for document_id in self.survey.private_sidecars.keys() - self.waiting.keys():
            self._tray.let_go(document_id)

    def flaw(self, document_id: str) -> Reason | None:
        """Return why a claimed file cannot be sealed, as far as bytes at fixed places can tell."""
        original = stored(folder_of(self._config.documents, document_id))
        if original is None:
            return None
        fd = open_scan(original)
        try:
            size = facts_of(fd).st_size
            return flaw(size, examine(fd, size))
        finally:
            os.close(fd)

    def _beside(self, name: bytes, watched: Watched) -> Sidecar | None:
        """Return the sidecar that lies beside a scan that is claimed now."""
        place = self.survey.beside.of(name)
        found = self.survey.sidecars.get(place) if place else None
        if place is None or found is None or found.doubtful:
            return None
        look, within = found.look, self._section.sidecar_wait_seconds
        if not promised(watched.look.ctime_ns, look.ctime_ns, within):
            return None
        return Sidecar(name=place, size=look.size, mtime_ns=look.mtime_ns, inode=look.inode)

    def _decided(self, one: Awaiting) -> list[Ready]:
        if self._section.sidecar == "none":
            return [self._ready(one, "end")]
        name = self.survey.beside.of(one.place)
        watched = self.survey.sidecars.get(name) if name else None
        newer = self.survey.files.get(one.place)
        match verdict(
            one,
            _seen(name, watched) if name and watched else None,
            newer.first if newer else None,
            within=self._section.sidecar_wait_seconds,
            now=self._looked,
        ):
            case "end":
                return [self._ready(one, "end")]
            case "take" if watched and self._hopeless(one, watched):
                return [self._ready(one, "end", failing=watched.reason)]
            case "take" if name and watched and watched.due <= time.monotonic():
                return [self._ready(one, "take", name, watched.look)]
            case _:
                return []

    def _hopeless(self, one: Awaiting, watched: Watched) -> bool:
        """Return whether a sidecar is given up; never because our own disk is full."""
        if watched.reason is Reason.DISK_FULL:
            return False
        patience = self._section.give_up_seconds
        return given_up(one, watched.failing, patience=patience, now=self._looked)

    @staticmethod
    def _ready(
        one: Awaiting,
        action: Literal["take", "go-on", "stored", "end"],
        name: bytes = b"",
        look: Look | None = None,
        failing: str = "",
    ) -> Ready:
        return Ready(
            id=one.id,
            until=one.until,
            action=action,
            name=name,
            look=look,
            promised=one.promised is not None,
            failing=failing,
        )

    def _sidecar_of(self, ready: Ready) -> Watched:
        """Return what is known of a sidecar that is to be taken, if it is still what it was."""
        watched = self.survey.sidecars.get(ready.name)
        if watched is None or watched.look != ready.look:
            raise NotNow(Reason.QUIET)
        return watched

    def _require_room(self, size: int, unsealed: int) -> None:
        free = durable.free_bytes(self._config.state_dir)
        if not has_room(free, self._config.box.min_free_mb, size, unsealed):
            raise NotNow(Reason.DISK_FULL, "state_dir has not the room that a claim has to leave")

    def _watch_stranded(self, found: Pass) -> None:
        """Let what lies in its document's folder without a row settle like a private name."""
        for document_id in self._desk.stranded:
            original = stored(folder_of(self._config.documents, document_id))
            if original is None:
                continue
            look = Look.of(original.lstat())
            watched = self._stranded.get(document_id)
            if watched is None or watched.look != look:
                due = found.at + self._section.settle_seconds
                watched = Watched(look=look, first=found.at, since=found.at, due=due)
                self._stranded[document_id] = watched
            self.survey.private[document_id] = watched
            if watched.due <= found.at:
                found.claimed.append(document_id)
            else:
                found.next_due = min(found.next_due, watched.due)

    def _adopt(self, document_id: str) -> Claimed:
        documents = self._config.documents
        claimed = adopted(folder_of(documents, document_id), documents, (self._section,))
        self._desk.stranded.discard(document_id)
        del self._stranded[document_id]
        return claimed

    def _judge(self, path: Path, watched: Watched) -> None:
        """Return if the file may be taken or is given up; raise NotNow if it has to wait."""
        fd = open_scan(path)
        try:
            if Look.of(facts_of(fd)) != watched.look:
                raise NotNow(Reason.QUIET, again=self._section.settle_seconds)
            seen = probe(fd, watched.look.size, leases=self._leases)
        finally:
            os.close(fd)
        self.writer_known = seen.writer is not None
        self._wait_or_take(watched, watched.look.size, seen)

    def _wait_or_take(self, watched: Watched, size: int, seen: Probe) -> None:
        now = time.monotonic()
        found = settled(
            self._rule,
            size=size,
            quiet=watched.quiet(now),
            closed=watched.closed(now),
            probe=seen,
        )
        if found.action == "wait" and found.reason:
            raise NotNow(found.reason, again=found.again)


def _seen(name: bytes, watched: Watched) -> Seen:
    return Seen(
        name=name,
        inode=watched.look.inode,
        ctime_ns=watched.look.ctime_ns,
        since=watched.since,
        from_before=watched.from_before,
        doubtful=watched.doubtful,
    )
