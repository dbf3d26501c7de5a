"""The ledger's files: each committed line again, outside of the database.

    ledger/2026-11-22.jsonl            the lines, one per row, fsynced in groups
    ledger/2026-11-22.personal.jsonl   personal details with their salts; 0600, erasable

The database commits first; the files follow with the next group. At start they
are caught up. A torn last line is ours and is cut off; a file that is ahead of
the database, or says something else, is damage: nothing is touched then.
"""

from __future__ import annotations

import json
import os
import sqlite3
from typing import TYPE_CHECKING

from daemon import durable, ledger
from daemon.errors import CorruptionError
from daemon.records.reader import open_reader

if TYPE_CHECKING:
    from pathlib import Path

LINES = ".jsonl"
PERSONAL = ".personal.jsonl"
GROUP = 1000
"""So many lines are read from the database at once."""


class Journal:
    """The folder `ledger/`, kept up with the table."""

    def __init__(self, folder: Path, db: sqlite3.Connection) -> None:
        """Compare the newest file with the database and catch up."""
        self._folder = folder
        self._db = db
        self._newest, self._seq = self._resume()
        self.export()

    def export(self) -> int:
        """Append and fsync every committed line that the files do not have; return how many."""
        written = 0
        while rows := self._db.execute(
            "SELECT seq, at, line, salt, content FROM ledger LEFT JOIN personal USING (seq)"
            " WHERE seq > ? ORDER BY seq LIMIT ?",
            [self._seq, GROUP],
        ).fetchall():
            days: dict[str, tuple[list[str], list[str]]] = {}
            for seq, at, line, salt, content in rows:
                # A clock that went back over midnight must not reopen yesterday's file.
                self._newest = max(self._newest, at[:10])
                lines, personal = days.setdefault(self._newest, ([], []))
                lines.append(line)
                if content is not None:
                    entry = {"seq": seq, "salt": salt.hex(), "personal": content}
                    personal.append(ledger.canonical(entry))
            for day, (lines, personal) in days.items():
                # Personal first: a line in the files has its personal detail there too.
                self._append(self._folder / (day + PERSONAL), personal)
                self._append(self._folder / (day + LINES), lines)
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

    def _resume(self) -> tuple[str, int]:
        for path in reversed(files(self._folder)):
            last = _last_line(path)
            if not last:
                continue
            try:
                seq = json.loads(last)["seq"]
                row = self._db.execute("SELECT line FROM ledger WHERE seq = ?", [seq]).fetchone()
            except (ValueError, KeyError, TypeError):
                raise CorruptionError("ledger-damaged", f"{path.name} ends in no line") from None
            if row is None:
                raise CorruptionError(
                    "ledger-ahead", f"{path.name} has line {seq}, the database has not"
                )
            if row[0] != last:
                raise CorruptionError("ledger-damaged", f"{path.name} has another line {seq}")
            return path.name.removesuffix(LINES), seq
        return "", 0


def files(folder: Path) -> list[Path]:
    """Return the files of lines in *folder*, the oldest first."""
    return sorted(p for p in folder.glob("*" + LINES) if not p.name.endswith(PERSONAL))


def verify_files(folder: Path) -> ledger.Head:
    """Follow the chain through all files; return its end or raise CorruptionError."""
    head = ledger.EMPTY
    for path in files(folder):
        with path.open(encoding="utf-8", newline="\n") as file:
            head = ledger.verify((line.rstrip("\n") for line in file), head)
    return head


def _last_line(path: Path) -> str:
    """Return the last whole line; cut off a torn one that a power cut left behind."""
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        tail = b""
        position = end
        while position > 0 and tail.count(b"\n") < 3:
            step = min(1 << 16, position)
            position -= step
            file.seek(position)
            tail = file.read(step) + tail
        whole, newline, torn = tail.rpartition(b"\n")
        if torn:
            file.truncate(end - len(torn))
            file.flush()
            os.fsync(file.fileno())
        if not newline:
            return ""
        return whole.rpartition(b"\n")[2].decode()


def compare(state_dir: Path) -> ledger.Head:
    """Follow the chain through the files, and through the database if it can be read.

    Return the newest head; raise CorruptionError when either chain is broken, or
    when the two say different things. The files may lag behind by a moment.
    """
    folder = state_dir / "ledger"
    if not files(folder):
        raise CorruptionError("ledger-missing", f"{folder} holds no ledger")
    in_files = verify_files(folder)
    database = state_dir / "spool.db"
    if not database.exists():
        return in_files
    head = ledger.EMPTY
    at_files = None
    try:
        for line in open_reader(database).chain():
            head = ledger.follow(head, line)
            if head.seq == in_files.seq:
                at_files = head
    except sqlite3.DatabaseError as exc:
        raise CorruptionError("database-damaged", f"spool.db: {exc}") from exc
    if at_files != in_files:
        raise CorruptionError(
            "ledger-damaged", f"files and database differ at line {in_files.seq} or before"
        )
    return head
