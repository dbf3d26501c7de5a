"""Looks, judges and takes: everything of a hot folder's intake that blocks.

One thread of the stage calls it, one call at a time. It knows no database and
raises no alarm: NotNow says why a file stays where it is.
"""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING

from daemon import durable
from daemon.intake import NotNow, Reason
from daemon.intake.bell import Bell
from daemon.intake.claim import Desk, has_room
from daemon.intake.settle import Look, Rule, facts_of, leases_here, open_scan, probe, settled
from daemon.intake.survey import Survey

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from daemon.config import Config, HotFolder
    from daemon.intake.claim import Claimed
    from daemon.intake.survey import Pass, Watched


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
        self._bell = Bell(self.survey.folder, ring)
        self._leases = True
        self.writer_known = True
        """Whether the newest file that was looked at told if somebody writes it."""

    def heard(self) -> None:
        """Let the next event ring again: call it before looking, not after. Does not block."""
        self._bell.heard()

    def stop(self) -> None:
        """Listen no longer."""
        self._bell.stop()

    def look(self, *, rung: bool) -> tuple[Pass, str]:
        """Survey the folder, and see to it that its events are heard; else say why they are not."""
        found = self.survey.look(rung=rung)
        try:
            if not self._bell.answers():
                self._bell.hang()
                self._leases = leases_here(self.survey.folder)
                found = self.survey.look(rung=True)  # what came before anybody listened
        except OSError as exc:
            return found, errno.errorcode.get(exc.errno or 0, "?")
        return found, ""

    def take(self, name: bytes, unsealed: int, clock: str) -> Claimed:
        """Claim a file of the folder if it has settled and there is room for it."""
        watched = self.survey.files[name]
        self._judge(self.survey.folder / os.fsdecode(name), watched)
        free = durable.free_bytes(self._config.state_dir)
        if not has_room(free, self._config.box.min_free_mb, watched.look.size, unsealed):
            raise NotNow(Reason.DISK_FULL, "state_dir has not the room that a claim has to leave")
        return self._desk.take(name, watched.look, self._clock(), clock)

    def resume(self, document_id: str, clock: str) -> Claimed:
        """Bring a claim to its end that was begun, once its file has settled again."""
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
        now = time.monotonic()
        verdict = settled(
            self._rule,
            size=watched.look.size,
            quiet=watched.quiet(now),
            closed=watched.closed(now),
            probe=seen,
        )
        if verdict.action == "wait" and verdict.reason:
            raise NotNow(verdict.reason, again=verdict.again)
