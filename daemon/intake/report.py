"""The way forward: a text file on the share with the last scans of a hot folder.

It answers "did my scan arrive?" for people who have nothing but the share: when each
scan was taken, where it is now, what still lies in the folder and why, and which
numbers never came. The file is written anew as a whole when something has changed,
and every quarter of an hour, so that its time says whether the box works.

A file that is not ours is never touched: ours begins with MARK. It holds the names of
scans, as the share itself does, and goes nowhere else (I9).
"""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import stat
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from daemon.intake import NotNow, Reason, at_share
from daemon.intake.arrivals import Arrivals
from daemon.intake.explanation import paper
from daemon.intake.settle import open_scan
from daemon.intake.sharedfolder import opened
from daemon.records.reader import open_reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from daemon.alarms import Alarms
    from daemon.config import Config, HotFolder
    from daemon.intake.arrivals import Seen
    from daemon.intake.sharedfolder import SharedFolder
    from daemon.intake.survey import Lying
    from daemon.records.reader import Reader

NOT_WRITABLE: Final = "report-not-writable"
MARK: Final = "Scanseal: letzte Scans / last scans"
"""The first line. A file that begins in another way is somebody else's."""
SCANS: Final = 50
WAITING: Final = 20
"""So many files that still lie in the hot folder are listed."""
MISSING: Final = 20
"""So many numbers that never came are named."""
EVERY_SECONDS: Final = 3.0
STALE: Final = timedelta(minutes=15)
"""The file is never older than this while the service runs."""
NAME_WIDTH: Final = 40


class Report:
    """The file of one hot folder."""

    def __init__(
        self,
        section: HotFolder,
        config: Config,
        alarms: Alarms,
        clock: Callable[[], datetime],
        lying: Callable[[int], tuple[int, list[Lying]]],
    ) -> None:
        """Write nothing yet; *lying* says how much was not taken so far, and the newest of it."""
        self._section = section
        self._config = config
        self._alarms = alarms
        self._clock = clock
        self._lying = lying
        self._path = Path(section.report)
        self._written: tuple[list[str], datetime] | None = None

    async def run(self) -> None:
        """Keep the file as it has to be, until cancelled; end at once where none is wanted."""
        if not self._section.report:
            return
        while True:
            await self.renew()
            await asyncio.sleep(EVERY_SECONDS)

    async def renew(self) -> bool:
        """Write the file if it has to be; return whether that was so.

        What the share does not let us do is an alarm, and tried again.
        """
        try:
            written = await asyncio.to_thread(self._renew, self._clock())
        except NotNow as exc:
            self._alarms.raise_(NOT_WRITABLE, self._section.name, exc.detail)
            return False
        except sqlite3.Error:
            return False  # other stages find out what it is; this one only looks
        self._alarms.clear(NOT_WRITABLE, self._section.name)
        return written

    # -- blocking ---------------------------------------------------------------------

    def _renew(self, now: datetime) -> bool:
        with closing(open_reader(self._config.state_dir / "spool.db")) as reader:
            lying = self._lying(WAITING)
            body = _body(reader, self._section.name, self._config, lying, now)
        text = paper([*_head(self._section.name, self._config, now), *body])
        with opened("write the report", self._path.parent, Path(self._section.path)) as folder:
            if self._written is not None:
                before, at = self._written
                if body == before and at <= now < at + STALE and self._is_there(folder):
                    return False
            self._written = None  # as long as it is not known what lies there
            self._put(folder, text)
        self._written = body, now
        return True

    def _is_there(self, folder: SharedFolder) -> bool:
        """Return whether a file lies where the report does. Not by opening it: people have it open.

        Whose file it is comes out when the report is written, at the latest when it is STALE.
        """
        try:
            return stat.S_ISREG(folder.facts(self._path.name).st_mode)
        except FileNotFoundError:
            return False

    def _put(self, folder: SharedFolder, text: bytes) -> None:
        """Put *text* in the place of the report; NotNow if that cannot be, or is not ours."""
        temporary = f".scanseal-report-{self._section.name}"
        there = is_ours(self._path, folder.fd)
        if there is False:
            raise FileExistsError(errno.EEXIST, "not ours")
        folder.fill(temporary, [text])
        if there:
            folder.replace(temporary, self._path.name)
        elif not folder.name(temporary, self._path.name):
            raise FileExistsError(errno.EEXIST, "not ours")
        folder.sync()


def is_ours(path: Path, dir_fd: int | None = None) -> bool | None:
    """Return whether the file at *path* is a report; None if there is none, or an empty one.

    With *dir_fd* it is the file of that name in the folder that is open there.
    """
    try:
        fd = open_scan(path, dir_fd)
    except NotNow as exc:
        if exc.reason is Reason.GONE:
            return None
        if exc.reason is Reason.NOT_A_FILE:
            return False
        raise  # nobody knows what it is
    try:
        with at_share("read", path):
            begin = os.pread(fd, 256, 0)
    finally:
        os.close(fd)
    return begin.startswith(MARK.encode("utf-8-sig")) if begin else None


def _head(hotfolder: str, config: Config, now: datetime) -> list[str]:
    formats = Arrivals(config, now).formats
    minutes = int(STALE.total_seconds()) // 60
    return [
        MARK,
        "",
        formats.word("report_folder", name=hotfolder),
        formats.word("report_as_of", at=formats.moment(now), n=minutes + 1),
    ]


def _body(
    reader: Reader,
    hotfolder: str,
    config: Config,
    lying: tuple[int, list[Lying]],
    now: datetime,
) -> list[str]:
    """Return everything that changes only when something has happened."""
    arrivals = Arrivals(config, now)
    word = arrivals.formats.word
    lines: list[str] = []
    if missing := reader.missing(now, hotfolder, MISSING):
        numbers = [f"{one.series}/{one.text}" if one.series else one.text for one in missing]
        if reader.missing_count(hotfolder, now) > MISSING:
            numbers.append("…")
        lines += ["", f"{word('scans_missing')}: {', '.join(numbers)}"]
    count, newest = lying
    if waiting := arrivals.lying(hotfolder, newest):
        lines += ["", f"{word('scans_waiting')}: {count}", ""]
        lines += [_line(arrivals, one) for one in waiting]
    scans = arrivals.told(reader, reader.newest_of(hotfolder, SCANS))
    lines += ["", f"{word('report_scans')}:", ""]
    lines += [_line(arrivals, one) for one in scans] or [word("scans_none")]
    return lines


def _line(arrivals: Arrivals, one: Seen) -> str:
    reference = f"  [{one.id[-8:]}]" if one.id else ""
    return f"{arrivals.formats.moment(one.at)}  {one.name:<{NAME_WIDTH}}  {one.where}{reference}"
