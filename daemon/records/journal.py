"""The ledger's files: each committed line again, outside of the database.

    ledger/2026-11-22.jsonl            the lines, one per row, fsynced in groups
    ledger/2026-11-22.personal.jsonl   personal details with their salts; 0600, erasable
    ledger/2026-11-22.p7s              the day's seal, once it is over (records/segments.py)

The database commits first; the files follow with the next group. At start they
are caught up. What a power cut left of the last append is ours and is cut off: half a
line, or zeros in place of some, with lines behind them; a file that is ahead of
the database, or says something else, is damage: nothing is touched then. Files
of other names are somebody else's, and no part of the ledger. In the order of their
names is the order of the lines; a file's name is the day of its lines, or a later
one where the clock was once wrong.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sqlite3
from contextlib import closing
from datetime import date, timedelta
from typing import TYPE_CHECKING, BinaryIO

from daemon import durable, ledger
from daemon.errors import CorruptionError
from daemon.records.reader import open_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
LINES = ".jsonl"
PERSONAL = ".personal.jsonl"
DAY_END = "day-end"
"""The event of a line that begins a new file, whatever its time: see `Spool.end_day`."""
GROUP = 1000
"""So many lines are read from the database at once."""


class Journal:
    """The folder `ledger/`, kept up with the table."""

    def __init__(self, folder: Path, db: sqlite3.Connection) -> None:
        """Compare the newest file with the database and catch up."""
        self._folder = folder
        self._db = db
        self._newest, self._seq, self._personal = self._resume()
        self._whole = True
        self.export()

    @property
    def day(self) -> str:
        """The newest day in the files: those before it never change again. "" without any."""
        return self._newest

    @property
    def seq(self) -> int:
        """The newest line's number in the files."""
        return self._seq

    def drop_erased(self) -> None:
        """Take out of the files what was erased from the database; what is left is durable.

        May be cut off anywhere and repeated: each file is wholly the old or the new one.
        """
        known = {seq for (seq,) in self._db.execute("SELECT seq FROM personal")}
        for path in files(self._folder, PERSONAL):
            entries = path.read_bytes().splitlines(keepends=True)
            try:
                kept = [entry for entry in entries if json.loads(entry)["seq"] in known]
            except (ValueError, KeyError, TypeError, RecursionError):
                raise CorruptionError(
                    "ledger-damaged", f"{path.name} holds what is no line"
                ) from None
            if kept != entries:
                durable.write(path, b"".join(kept))

    def export(self) -> int:
        """Append and fsync every committed line that the files do not have; return how many.

        Once that has failed nobody knows where the files end, and only the next start looks:
        a line must not be appended twice.
        """
        if not self._whole:
            raise OSError(errno.EIO, "the ledger's files were not written to their end")
        written = 0
        while rows := self._db.execute(
            "SELECT seq, at, event, line, salt, content FROM ledger LEFT JOIN personal USING (seq)"
            " WHERE seq > ? ORDER BY seq LIMIT ?",
            [self._seq, GROUP],
        ).fetchall():
            days: dict[str, tuple[list[str], list[str]]] = {}
            for seq, at, event, line, salt, content in rows:
                if event == DAY_END:
                    self._newest = next_day(self._newest)
                # A clock that went back over midnight must not reopen yesterday's file.
                self._newest = max(self._newest, at[:10])
                lines, personal = days.setdefault(self._newest, ([], []))
                lines.append(line)
                if content is not None and seq > self._personal:
                    entry = {"seq": seq, "salt": salt.hex(), "personal": content}
                    personal.append(ledger.canonical(entry))
            self._whole = False
            for day, (lines, personal) in days.items():
                # Personal first: a line in the files has its personal detail there too.
                self._append(self._folder / (day + PERSONAL), personal)
                self._append(self._folder / (day + LINES), lines)
            self._whole = True
            self._seq = rows[-1][0]
            written += len(rows)
        return written

    def _append(self, path: Path, lines: list[str]) -> None:
        if not lines:
            return
        new = not path.exists()
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "ab") as file:
            file.write("".join(line + "\n" for line in lines).encode())
            file.flush()
            os.fsync(file.fileno())
        if new:
            durable.sync_folder(self._folder)

    def _resume(self) -> tuple[str, int, int]:
        """Return the newest day and the last numbers in the files of lines and of personal detail."""
        day, seq, personal = "", 0, 0
        torn: list[tuple[Path, int]] = []
        if found := _newest(files(self._folder), torn):
            path, last = found
            seq, line = self._known(path, last)
            if line.encode() != last:
                raise CorruptionError("ledger-damaged", f"{path.name} has another line {seq}")
            day = path.name.removesuffix(LINES)
        if found := _newest(files(self._folder, PERSONAL), torn):
            personal, _ = self._known(*found)
        # Only now: where the files and the database disagree nothing is touched.
        for path, whole in torn:
            with path.open("rb+") as file:
                file.seek(whole)
                for raw in file:
                    if not raw.endswith(b"\n") or b"\0" in raw:
                        continue
                    behind, line = self._known(path, raw[:-1])
                    if not path.name.endswith(PERSONAL) and line.encode() != raw[:-1]:
                        raise CorruptionError(
                            "ledger-damaged", f"{path.name} has another line {behind}"
                        )
                file.truncate(whole)
                os.fsync(file.fileno())
        return day, seq, personal

    def _known(self, path: Path, last: bytes) -> tuple[int, str]:
        """Return the number of a file's last line, and the database's line of that number."""
        try:
            seq = json.loads(last.decode())["seq"]
        except (ValueError, KeyError, TypeError, RecursionError):
            seq = None
        if type(seq) is not int or abs(seq) > ledger.SAFE_INTEGER:
            raise CorruptionError("ledger-damaged", f"{path.name} ends in no line")
        row = self._db.execute("SELECT line FROM ledger WHERE seq = ?", [seq]).fetchone()
        if row is None:
            raise CorruptionError(
                "ledger-ahead", f"{path.name} has line {seq}, the database has not"
            )
        return seq, row[0]


def next_day(day: str) -> str:
    """Return the name of the next day's file, which sorts behind that of *day*."""
    try:
        return (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    except OverflowError:  # the year 9999: nothing sorts behind it
        return day


def files(folder: Path, ending: str = LINES) -> list[Path]:
    """Return the files of lines in *folder*, or those that end otherwise, the oldest first."""
    return sorted(folder.glob(DAY + ending))


def verify_files(folder: Path, told: Callable[[int], None] = lambda _: None) -> ledger.Head:
    """Follow the chain through all files; return its end or raise CorruptionError.

    *told* hears after each file how many lines are done.
    """
    head = ledger.EMPTY
    found = files(folder)
    for path in found:
        with path.open("rb") as file:
            head = ledger.verify(_texts(file, path.name, torn=path == found[-1]), head)
        told(head.seq)
    return head


def entries(folder: Path) -> Iterator[tuple[str, tuple[bytes, str] | None]]:
    """Yield each line of the files, in order, with its personal detail: salt and content."""
    details: dict[int, tuple[bytes, str]] = {}
    found = files(folder)
    for path in found:
        # The details of a day lie beside it: those of all days are more than need be held.
        details |= _details(path.with_name(path.name.removesuffix(LINES) + PERSONAL))
        with path.open("rb") as file:
            for text in _texts(file, path.name, torn=path == found[-1]):
                try:
                    seq = json.loads(text)["seq"]
                except (ValueError, KeyError, TypeError, RecursionError):
                    raise CorruptionError(
                        "ledger-damaged", f"{path.name} holds what is no line"
                    ) from None
                yield text, details.pop(seq, None)


def _details(path: Path) -> dict[int, tuple[bytes, str]]:
    """Return the personal details in one file, by the number of their line."""
    found: dict[int, tuple[bytes, str]] = {}
    if not path.exists():
        return found
    with path.open("rb") as file:
        for text in _texts(file, path.name, torn=True):
            try:
                entry = json.loads(text)
                found[entry["seq"]] = (bytes.fromhex(entry["salt"]), entry["personal"])
            except (ValueError, KeyError, TypeError, RecursionError):
                raise CorruptionError(
                    "ledger-damaged", f"{path.name} holds what is no personal detail"
                ) from None
    return found


def drop_behind(folder: Path, head: ledger.Head) -> None:
    """Take out of the files every personal detail of a line after *head*; may be repeated."""
    for path in files(folder, PERSONAL):
        if max(_details(path), default=0) > head.seq:
            with path.open("rb") as file:
                found = list(_texts(file, path.name, torn=True))
            kept = [text + "\n" for text in found if json.loads(text)["seq"] <= head.seq]
            durable.write(path, "".join(kept).encode())


def verify_personal(folder: Path) -> None:
    """Compare each personal detail that was not erased with the hash in its line."""
    for path in files(folder, PERSONAL):
        # A clock that goes back leaves lines of one day in one file: the details lie beside them.
        told: dict[int, str] = {}
        with (
            contextlib.suppress(FileNotFoundError),
            path.with_name(path.name.removesuffix(PERSONAL) + LINES).open("rb") as file,
        ):
            for text in _texts(file, path.name, torn=True):
                line = json.loads(text)
                told[line["seq"]] = line["personal_hash"]
        with path.open("rb") as file:
            for text in _texts(file, path.name, torn=True):
                try:
                    entry = json.loads(text)
                    seq = entry["seq"]
                    hashed = ledger.personal_hash(bytes.fromhex(entry["salt"]), entry["personal"])
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                    raise CorruptionError(
                        "ledger-damaged", f"{path.name} holds what is no personal detail"
                    ) from None
                # One without its line is ahead by a moment: it is written first.
                if told.get(seq, hashed) != hashed:
                    raise CorruptionError(
                        "ledger-damaged",
                        f"{path.name}: the personal detail of line {seq} was changed",
                    )


def _texts(file: Iterable[bytes], name: str, *, torn: bool) -> Iterator[str]:
    """Yield the lines of a file; with *torn* its last may be half there: it is being written."""
    for raw in file:
        if torn and not raw.endswith(b"\n"):
            return
        try:
            yield raw[: raw.index(b"\n")].decode()
        except ValueError:
            raise CorruptionError("ledger-damaged", f"{name} holds what is no line") from None


def _newest(paths: list[Path], torn: list[tuple[Path, int]]) -> tuple[Path, bytes] | None:
    """Return the newest with a whole line, and that line; add to *torn* what to cut, and where."""
    for path in reversed(paths):
        last, whole = _last_line(path)
        if whole < path.stat().st_size:
            torn.append((path, whole))
        if last is not None:
            return path, last
    return None


def _first_zero(file: BinaryIO) -> int:
    """Return where the first zero byte is, or the file's end: a disk may write later blocks first.

    No line has one in it (RFC 8785 escapes it), so none that was fsynced is behind it.
    """
    position = 0
    while piece := file.read(1 << 16):
        if (zero := piece.find(0)) >= 0:
            return position + zero
        position += len(piece)
    return position


def _last_line(path: Path) -> tuple[bytes | None, int]:
    """Return the last line that is whole with all before it, or None, and where it ends."""
    with path.open("rb") as file:
        end = position = _first_zero(file)
        tail = b""
        while position > 0 and tail.count(b"\n") < 3:
            step = min(1 << 16, position)
            position -= step
            file.seek(position)
            tail = file.read(step) + tail
    whole, newline, torn = tail.rpartition(b"\n")
    return (whole.rpartition(b"\n")[2] if newline else None), end - len(torn)


def compare(state_dir: Path, told: Callable[[int], None] = lambda _: None) -> ledger.Head:
    """Follow the chain through the files, and through the database if it can be read.

    Return the newest head; raise CorruptionError when either chain is broken, or
    when the two say different things. The files may lag behind by a moment. *told* hears
    now and then how many lines are done, of each.
    """
    folder = state_dir / "ledger"
    if not files(folder):
        raise CorruptionError("ledger-missing", f"{folder} holds no ledger")
    in_files = verify_files(folder, told)
    verify_personal(folder)
    database = state_dir / "spool.db"
    if not database.exists():
        return in_files
    head = ledger.EMPTY
    at_files = None
    try:
        with closing(open_reader(database)) as reader:
            for line in reader.chain():
                head = ledger.follow(head, line)
                if head.seq == in_files.seq:
                    at_files = head
                if head.seq % GROUP == 0:
                    told(head.seq)
    except sqlite3.DatabaseError as exc:
        raise CorruptionError("database-damaged", f"spool.db: {exc}") from exc
    if at_files != in_files:
        raise CorruptionError(
            "ledger-damaged", f"files and database differ at line {in_files.seq} or before"
        )
    return head


def box_id(folder: Path) -> str:
    """Return the id of the box from its ledger's files; "" if they do not tell.

    For a service whose database cannot be read: MQTT has to know it as the same box.
    """
    for path in files(folder):
        with (
            contextlib.suppress(OSError, ValueError, KeyError, TypeError),
            path.open(encoding="utf-8") as file,
        ):
            return str(json.loads(file.readline())["box_id"])
    return ""
