"""Asks a page worker what a sidecar or a file name says, and does not believe it at once (I10).

A worker that dies is nobody's fault the first time; the second time what it had in
hand is unreadable. Where no worker can be had, nothing is decided: that goes up.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from daemon import slip as slips
from daemon.errors import PermanentError, WorkerDied
from daemon.intake.sidecar import LARGEST
from daemon.prepare import Said
from daemon.workers import typed

if TYPE_CHECKING:
    from daemon.slip import Slip
    from daemon.workers import Workers

SECONDS: Final = 5.0
"""So long a page worker may take for a sidecar or a name; it needs milliseconds."""
TRIES: Final = 2


class Unreadable(Exception):
    """It could not be read; the argument says why, without any content (I9)."""


class Reading:
    """What page workers read of what comes with scans."""

    def __init__(self, pages: Workers | None) -> None:
        """Use these workers; None only where there is nothing to be read."""
        self._pages = pages

    async def sidecar(self, content: bytes | None, kind: str) -> Slip:
        """Return what a sidecar says; None for its content is one that is too large.

        Raise Unreadable with the place that is wrong, or TransientError.
        """
        if content is None:
            raise Unreadable(f"more than {LARGEST >> 10} KB")
        encoded = base64.b64encode(content).decode("ascii")
        said = await self._ask({"sidecar": encoded, "kind": kind})
        if said is None:
            raise Unreadable("a page worker said nothing")
        return said

    async def name(self, name: bytes, pattern: str) -> Slip | None:
        """Return what a name says; None if it does not fit. Raise as `sidecar` does."""
        return await self._ask({"name": name.hex(), "pattern": pattern})

    async def _ask(self, argument: dict[str, Any]) -> Slip | None:
        assert self._pages is not None, "there is something to be read, and nobody to read it"
        why = ""
        for _ in range(TRIES):
            try:
                reply = await self._pages.call("describe", argument, seconds=SECONDS)
                said = typed(Said, reply).slip
            except WorkerDied as exc:
                why = str(exc.args[0])
            except PermanentError as exc:
                raise Unreadable(str(exc.args[0])) from exc
            else:
                if said is None or slips.fits(said):
                    return said
                why = "what it said cannot have been read"
        raise Unreadable(f"twice a page worker did not survive it; the last time: {why}")
