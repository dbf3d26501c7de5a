"""A folder on the share that we put files into, opened once and held.

Whoever may write to the share may rename a folder of ours or put a link in its place.
So no link is followed on the way to it, as far as that lies in the hot folder, and
whatever is done in it is done in the folder that was opened, whatever its name leads
to by then. Everything here blocks; what the share does not let us do is NotNow.
"""

from __future__ import annotations

import contextlib
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from daemon.intake import NotNow, Reason, at_share, sync_names
from daemon.intake.moving import opened_folder
from daemon.intake.settle import open_scan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SHARED_MODE: Final = 0o660
"""For the people of the share, whose group the folder hands down: whatever our umask is."""

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


@contextmanager
def opened(what: str, path: Path, hotfolder: Path) -> Iterator[SharedFolder]:
    """Open the folder at *path* to *what*, and turn what the share does not let us do into NotNow.

    The way to a folder outside the *hotfolder* is the administrator's: only the last
    step of it is never a link.
    """
    with at_share(what, path / "*"), contextlib.ExitStack() as closed_after:
        below = _below(hotfolder, path)
        try:
            if below is None:
                fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
                closed_after.callback(os.close, fd)
            else:
                fd = closed_after.enter_context(opened_folder(hotfolder, os.fsencode(below)))
        except OSError as exc:
            if _has_link(path, hotfolder, below):
                raise NotNow(Reason.NOT_A_FILE, f"{what}: a link lies in its place") from exc
            raise
        yield SharedFolder(path, fd)


@dataclass(frozen=True, slots=True)
class SharedFolder:
    """A folder that is open; names are those of files in it."""

    path: Path
    """Where it was when it was opened: for words only."""
    fd: int

    def open_scan(self, name: str) -> int:
        """Open a regular file to read it; raise NotNow with the reason if that cannot be."""
        return open_scan(self.path / name, dir_fd=self.fd)

    def facts(self, name: str) -> os.stat_result:
        """Return what is known of whatever has the name; of a link, not of where it leads."""
        return os.lstat(name, dir_fd=self.fd)

    def names(self) -> list[str]:
        """Return what lies in it."""
        return os.listdir(self.fd)  # noqa: PTH208 (an open folder has no path)

    def fill(self, temporary: str, pieces: Iterable[bytes]) -> None:
        """Write a temporary file that is ours alone; what a kill left of it is replaced."""
        self.remove(temporary)
        fd = os.open(temporary, _NEW, SHARED_MODE, dir_fd=self.fd)
        try:
            with os.fdopen(fd, "wb") as out:
                for piece in pieces:
                    out.write(piece)
                out.flush()
                with contextlib.suppress(PermissionError):  # some mounts have one mode for all
                    os.fchmod(out.fileno(), SHARED_MODE)
                os.fsync(out.fileno())
        except BaseException:
            with contextlib.suppress(OSError):  # what went wrong first is told
                self.remove(temporary)
            raise

    def name(self, temporary: str, final: str) -> bool:
        """Give *temporary* its name; False if something has it, which is not overwritten.

        An empty file keeps the name until it is replaced: not every mount knows links.
        One that lies there already is what a kill has left of that.
        """
        try:
            os.close(os.open(final, _NEW, 0o600, dir_fd=self.fd))
        except FileExistsError:
            if not _is_empty(self.facts(final)):
                self.remove(temporary)
                return False
        self.replace(temporary, final)
        return True

    def replace(self, temporary: str, final: str) -> None:
        """Give *temporary* the name of a file of ours, which goes."""
        os.replace(temporary, final, src_dir_fd=self.fd, dst_dir_fd=self.fd)

    def remove(self, name: str) -> None:
        """Remove the file of that name, if there is one."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.fd)

    def sync(self) -> None:
        """Make its names durable, where its mount knows how."""
        sync_names(self.fd)


def _is_empty(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_size == 0


def _below(hotfolder: Path, path: Path) -> str | None:
    """Return where in the hot folder *path* lies, "" for itself; None if it lies elsewhere."""
    above, below = (Path(os.path.normpath(place)) for place in (hotfolder, path))
    if above == below:
        return ""
    return str(below.relative_to(above)) if above in below.parents else None


def _has_link(path: Path, hotfolder: Path, below: str | None) -> bool:
    """Return whether a link lies where none is followed."""
    if below is None:
        return path.is_symlink()
    step = hotfolder
    for part in Path(below).parts:
        step /= part
        if step.is_symlink():
            return True
    return False
