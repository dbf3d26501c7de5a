"""`scanseal backup`: all that is needed to go on elsewhere, copied while the service runs.

    <place>/scanseal-<box>-<time>/spool.db.backup   the database, as it was at one moment
                                 /ledger/           the ledger's files, up to that moment's last line
                                 /documents/        every document's folder
                                 /SHA256SUMS        all of these: `sha256sum -c SHA256SUMS`

It is made under a name that begins with a dot and gets its own only when it is whole and
durable: what has the name is a backup. Bytes that an earlier backup in the same place
holds are hard links to it there, once they were read again and are the same.

The database has another name than in state_dir: a service that began with it would send
again what was sent since. `scanseal restore` and `scanseal rebuild` ask the targets first.

It holds what the box holds, so file names and people, too; no PIN, key or socket.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import sqlite3
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from daemon import durable, ledger, schema
from daemon.document import Digest, State, born, folder_of, is_id, utc_text
from daemon.errors import CorruptionError, PersonNeeded
from daemon.magic import extension
from daemon.records import journal
from daemon.records.damage import DAMAGE
from daemon.records.reader import open_reader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from daemon.ledger import Head
    from daemon.progress import Step
    from daemon.records.reader import Reader

DATABASE: Final = "spool.db.backup"
SUMS: Final = "SHA256SUMS"
DIGESTS: Final = ".digests"
NAME: Final = re.compile(r"scanseal-[0-9a-f]{8}-[0-9TZ]+")
PART: Final = ".part"
FILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""What we name files; a temporary begins with a dot."""
LISTED: Final = re.compile(
    rf"(?P<hex>[0-9a-f]{{64}})  (?P<path>(?:ledger/|documents/\d{{4}}/\d\d/\d\d/[0-9a-f-]{{36}}/)"
    rf"{FILE.pattern}|{re.escape(DATABASE)})\n",
    re.ASCII,
)
"""A line of SUMS. Sorted by their names, the database is the last."""
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
ROUNDS: Final = 5
"""So often documents are copied again that a stage worked on meanwhile."""
PROVEN: Final = frozenset({State.FILED, State.DISCARDED, State.WITHDRAWN, State.FORGOTTEN})
"""Only these are ever forgotten."""
UNCLAIMED_AFTER: Final = timedelta(days=1)
"""A folder that no row knows is being claimed, unless it is as old as that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backed:
    """What a backup came to."""

    folder: Path
    head: Head
    documents: int
    new_bytes: int
    """The rest lay in an earlier backup already."""
    doubtful: tuple[str, ...]
    """Files that could not be read, and ids of documents that are not as their rows say."""


def backup(state_dir: Path, place: Path, progress: Step, now: datetime) -> Backed:
    """Make a backup in the folder *place*, which has to be there; return once it is durable.

    Raise PersonNeeded if it cannot be made: then nothing there looks like one.
    """
    inside = place.resolve().is_relative_to(state_dir.resolve())
    if inside or not place.is_dir():
        why = "lies in state_dir" if inside else "is no folder"
        raise PersonNeeded("backup-unusable", f"{place} {why}")
    with _translated(place), _alone(state_dir), ExitStack() as undo:
        with closing(open_reader(state_dir / "spool.db")) as reader:
            box = reader.box_id()
        stem = f"scanseal-{box[:8]}-"
        for path in place.glob(f".{stem}*{PART}"):  # what a kill left of ours
            shutil.rmtree(path)
        earlier = [path for path in sorted(place.glob(f"{stem}*")) if is_whole(path)]
        name = stem + re.sub(r"[^0-9TZ]", "", utc_text(now))
        part = place / f".{name}{PART}"
        part.mkdir(mode=0o700)
        undo.callback(shutil.rmtree, part, ignore_errors=True)
        copying = _Copying(state_dir, part, earlier[-1] if earlier else None)
        undo.callback(copying.close)
        found = copying.whole(progress, now)
        copying.finish(f"# scanseal backup 1 {box} {utc_text(now)} {found[0].seq}:{found[0].hash}")
        final = place / name
        part.rename(final)
        undo.pop_all()
        durable.sync_folder(place)
    head, documents, unsteady = found
    return Backed(
        folder=final,
        head=head,
        documents=documents,
        new_bytes=copying.new_bytes,
        doubtful=(*copying.unreadable, *unsteady),
    )


def is_whole(folder: Path) -> bool:
    """Return whether *folder* is a backup that was made to its end."""
    return NAME.fullmatch(folder.name) is not None and (folder / SUMS).is_file()


class _Copying:
    """One backup while it is made."""

    def __init__(self, state_dir: Path, part: Path, earlier: Path | None) -> None:
        self._from = state_dir
        self._part = part
        self._earlier = earlier
        self.new_bytes = 0
        self.unreadable: list[str] = []
        # On the disk: of a million documents memory would not hold them.
        self._digests = sqlite3.connect(part / DIGESTS, isolation_level=None)
        self._digests.execute("PRAGMA journal_mode = OFF")
        self._digests.execute("PRAGMA synchronous = OFF")
        self._digests.execute("CREATE TABLE digest(path TEXT PRIMARY KEY, hex TEXT) WITHOUT ROWID")
        self._digests.execute("BEGIN")

    def close(self) -> None:
        self._digests.close()

    def whole(self, progress: Step, now: datetime) -> tuple[Head, int, tuple[str, ...]]:
        """Copy all; a document that was sealed or stamped meanwhile is copied again."""
        before: frozenset[str] = frozenset()
        again, head = self._round(None, before, progress, now)
        for _ in range(ROUNDS):
            if not again or again == before:  # nobody works on them: they are bad
                break
            before = again
            again, head = self._round(head, again, progress, now)
        with closing(open_reader(self._part / DATABASE)) as reader:
            documents = sum(reader.counts().get("document", {}).values())
        return head, documents, tuple(sorted(again))

    def _round(
        self, before: Head | None, again: frozenset[str], progress: Step, now: datetime
    ) -> tuple[frozenset[str], Head]:
        """Copy the database, and every document or those that changed since *before*."""
        with closing(self._database()) as reader:
            head = reader.head()
            progress("lines", head.seq)
            self._ledger(head)
            total = sum(reader.counts().get("document", {}).values())
            if before is None:
                names = self._folders(reader, now)
            else:
                since = {json.loads(line)["document"] for line in reader.after(before.seq)} - {""}
                names, total = iter(sorted(again | since)), 0
            unsteady = set()
            for done, name in enumerate(names, 1):
                if not self._document(reader, name):
                    unsteady.add(name)
                progress("documents", done, total)
        return frozenset(unsteady), head

    # -- database and ledger ------------------------------------------------------------

    def _database(self) -> Reader:
        """Copy the database as it is now, and open the copy."""
        copy = self._part / DATABASE
        with closing(sqlite3.connect(_uri(self._from / "spool.db"), uri=True)) as db:
            db.isolation_level = None
            schema.copy(db, copy)
        self._note(DATABASE, durable.digest_of(copy)[0])
        return open_reader(copy)

    def _ledger(self, head: Head) -> None:
        """Copy the ledger's files up to *head*; what they lack is added from the copied database."""
        source, folder = self._from / "ledger", self._part / "ledger"
        shutil.rmtree(folder, ignore_errors=True)  # of the round before
        self._digests.execute("DELETE FROM digest WHERE path LIKE 'ledger/%'")
        folder.mkdir(mode=0o700)
        kept = [path.name[:10] for path in journal.files(source) if _first(path) <= head.seq]
        for path in sorted(source.iterdir()):
            day = path.name[:10]
            if day not in kept or not FILE.fullmatch(path.name):
                continue
            if day == kept[-1] and path.suffix == journal.LINES:
                durable.write(folder / path.name, _up_to(path, head.seq))
            else:
                durable.copy(path, folder / path.name)
        with closing(sqlite3.connect(_uri(self._part / DATABASE), uri=True)) as db:
            journal.Journal(folder, db)
        durable.sync_folder(folder)
        if journal.verify_files(folder) != head:
            raise CorruptionError("ledger-damaged", f"{source} is not what the database says")
        journal.verify_personal(folder)
        for path in folder.iterdir():
            self._note(f"ledger/{path.name}", durable.digest_of(path)[0])

    # -- documents ----------------------------------------------------------------------

    def _folders(self, reader: Reader, now: datetime) -> Iterator[str]:
        """Yield the id of every folder to be copied."""
        for day in sorted((self._from / "documents").glob("[0-9]*/[0-9]*/[0-9]*")):
            for name in sorted(os.listdir(day)):  # noqa: PTH208 (names, not paths)
                if is_id(name) and (reader.exists(name) or now - born(name) > UNCLAIMED_AFTER):
                    yield name

    def _document(self, reader: Reader, document_id: str) -> bool:
        """Copy one folder; return whether the files in it are those that the row means.

        One that could not be read is named by itself.
        """
        unreadable = len(self.unreadable)
        folder = folder_of(self._from / "documents", document_id)
        here = str(folder.relative_to(self._from))
        digests = {}
        try:
            names = os.listdir(folder)  # noqa: PTH208 (names, not paths)
        except FileNotFoundError:
            return True  # a claim that came to nothing
        if (self._part / here).exists():  # of the round before
            shutil.rmtree(self._part / here)
            # "0" is what comes after "/": along the table's order, not through all of it.
            self._digests.execute(
                "DELETE FROM digest WHERE path > ? AND path < ?", [f"{here}/", f"{here}0"]
            )
        durable.make_folders(self._part / here, self._part)
        for name in sorted(names):
            if FILE.fullmatch(name):
                digests[name] = self._file_if_readable(f"{here}/{name}")
        durable.sync_folder(self._part / here)
        if len(self.unreadable) > unreadable or not reader.exists(document_id):
            return True
        document = reader.document(document_id)
        original = digests.get(f"original.{extension(document.kind)}")
        sealed = {digests.get("sealed.pdf"), digests.get("stamped.pdf")}
        if document.state in PROVEN and original is None and sealed == {None}:
            return True  # it was forgotten, or is so since: nobody does that too early
        return original == document.digest and (
            document.sealed is None or document.sealed in sealed
        )

    def _file_if_readable(self, name: str) -> Digest | None:
        """Copy one file; one that cannot be read is no reason to do without all others (I8)."""
        try:
            return self._file(name)
        except FileNotFoundError:  # renamed, or forgotten, a moment ago
            return None
        except OSError:
            try:
                durable.digest_of(self._from / name)
            except OSError:
                self.unreadable.append(name)
                return None
            raise

    def _file(self, name: str) -> Digest:
        """Copy one file, or link it to the same bytes of an earlier backup."""
        source, target = self._from / name, self._part / name
        digest = self._linked(source, target, name)
        if digest is None:
            digest, size = durable.copy(source, target)
            durable.forget_pages(target)
            if durable.digest_of(target) != (digest, size):
                raise OSError(errno.EIO, "it does not read as it was written", str(target))
            self.new_bytes += size
        self._note(name, digest)
        return digest

    def _linked(self, source: Path, target: Path, name: str) -> Digest | None:
        if self._earlier is None:
            return None
        old = self._earlier / name
        try:
            if old.stat().st_size != source.stat().st_size:
                return None
            found = durable.digest_of(source)
            if durable.digest_of(old) != found:
                return None
            os.link(old, target, follow_symlinks=False)
        except OSError:  # no such file, or no hard links there
            return None
        return found[0]

    def _note(self, path: str, digest: Digest) -> None:
        self._digests.execute("INSERT OR REPLACE INTO digest VALUES (?,?)", [path, digest.hex])

    def finish(self, heading: str) -> None:
        """Write down what is in it: the last file that is made."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(self._part / SUMS, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(heading + "\n")
            for path, digest in self._digests.execute("SELECT * FROM digest ORDER BY path"):
                file.write(f"{digest}  {path}\n")
            file.flush()
            os.fsync(file.fileno())
        self.close()
        (self._part / DIGESTS).unlink()
        durable.sync_folder(self._part)


def _first(path: Path) -> int:
    """Return the number of a file's first line."""
    with path.open("rb") as file:
        line = file.readline()
        if not line.endswith(b"\n"):  # it is being written: the database's copy has it, or is older
            return ledger.SAFE_INTEGER
        try:
            return int(json.loads(line)["seq"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise CorruptionError("ledger-damaged", f"{path.name} begins with no line") from None


def _up_to(path: Path, last: int) -> bytes:
    """Return a day's lines, or personal details, up to number *last*."""
    whole = path.read_bytes().splitlines(keepends=True)
    try:
        return b"".join(
            line for line in whole if line.endswith(b"\n") and json.loads(line)["seq"] <= last
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CorruptionError("ledger-damaged", f"{path.name} holds what is no line") from None


def _uri(path: Path) -> str:
    return f"{path.absolute().as_uri()}?mode=ro"


@contextmanager
def _alone(state_dir: Path) -> Iterator[None]:
    """Let no second backup of this box run: each removes what the other has begun."""
    fd = os.open(state_dir / "documents", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise PersonNeeded("backup-running", f"another one copies {state_dir}") from None
    finally:
        os.close(fd)


@contextmanager
def _translated(place: Path) -> Iterator[None]:
    """Say what the disk, or the database, has said, as something that a person understands."""
    try:
        yield
    except OSError as exc:
        code = "backup-full" if exc.errno in FULL else "backup-failed"
        raise PersonNeeded(code, f"{exc.filename or place}: {exc.strerror}") from exc
    except sqlite3.Error as exc:
        said = getattr(exc, "sqlite_errorcode", 0)
        if said & 0xFF in DAMAGE:
            raise CorruptionError("database-damaged", f"spool.db: {exc}") from exc
        code = "backup-full" if said == sqlite3.SQLITE_FULL else "backup-failed"
        raise PersonNeeded(code, f"{place}: {exc}") from exc


def sums(folder: Path) -> Iterator[tuple[str, Digest | None]]:
    """Yield each file of a backup and its digest, as they are written down.

    The list lies where others may write: a name that no backup has is never a path. In its
    place stands the number of its line, without a digest. Raise PersonNeeded at the end
    unless that is the list's own: what a cut took would be missed by nobody.
    """
    line = ""
    with (folder / SUMS).open(encoding="ascii", errors="replace", newline="\n") as file:
        for number, line in enumerate(file, 1):
            if line.startswith("#"):
                continue
            if found := LISTED.fullmatch(line):
                yield found["path"], Digest(found["hex"])
            else:
                yield f"{SUMS}:{number}", None
    if not line.endswith(f"  {DATABASE}\n"):
        raise PersonNeeded("restore-nothing", f"{folder / SUMS} was cut off")
