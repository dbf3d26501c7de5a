"""Where one attempt to seal a document works, and what may have become of it there.

    work/in/<attempt>.original    the scanner's bytes, lent to a page worker
    work/out/<attempt>.prepared   what it writes, and another call compares with the original

The names hold id, tries and a random part. A page worker may leave anything at all
in its place, or nothing: that is its own death, never the service's.
"""

from __future__ import annotations

import errno
import secrets
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon import durable, gap
from daemon.errors import PermanentError, WorkerDied

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from daemon.config import Config
    from daemon.document import Document

OWN_COPY_DAMAGED = "own-copy-damaged"
OUR_OWN = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EROFS}
)
"""The box has run out of something: no document's fault. It goes up; a full disk is waited out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """The places of one attempt."""

    source: Path
    output: Path

    @classmethod
    def of(cls, config: Config, document: Document) -> Workplace:
        """Return places that nobody has worked in before."""
        mark = f"{document.id}.{document.tries}.{secrets.token_hex(8)}"
        return cls(
            source=config.work_in / f"{mark}.original",
            output=config.work_out / f"{mark}.prepared",
        )

    def lend(self, original: Path) -> None:
        """Let a page worker read the *original* for as long as its task runs."""
        with own_copy():
            durable.link_or_copy(original, self.source)

    def look_at_output(self, hole: gap.Gap, algorithm: str = "sha256") -> gap.Seen:
        """Return what was written around the *hole*, which has to be empty."""
        try:
            return gap.look_around(self.output, hole, algorithm)
        except OSError as exc:
            # Nothing there, or something that is no file: the worker's word was wrong.
            if exc.errno in {errno.ENOENT, errno.ELOOP, errno.ENXIO, None}:
                raise WorkerDied("no output where it was said to be") from exc
            raise

    def clear(self) -> None:
        """Leave nothing behind."""
        for path in (self.source, self.output):
            remove(path)


def remove(path: Path) -> None:
    """Remove what a page worker may have left there, also if it is no file."""
    try:
        path.unlink(missing_ok=True)
    except IsADirectoryError:
        shutil.rmtree(path)


@contextmanager
def own_copy() -> Iterator[None]:
    """Turn an original that cannot be read into a reason to set its document aside."""
    try:
        yield
    except OSError as exc:
        if exc.errno in OUR_OWN:
            raise
        code = errno.errorcode.get(exc.errno or 0, "no code")
        raise PermanentError(OWN_COPY_DAMAGED, f"the original cannot be read: {code}") from exc
