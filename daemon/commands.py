"""What people may ask of the running service, and what happens then."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from daemon import durable, status
from daemon.document import State, folder_of
from daemon.errors import PersonNeeded, TransientError
from daemon.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from daemon.config import Config
    from daemon.control import Command
    from daemon.lookout import Lookout
    from daemon.parts import Parts
    from daemon.spool import SpoolThread

MAX_REASON = 1000


class Commands:
    """The commands of the control socket."""

    def __init__(
        self,
        config: Config,
        spool: SpoolThread,
        parts: Parts,
        lookout: Lookout,
        clock: Callable[[], datetime],
    ) -> None:
        """Offer them once everything else is built."""
        self._config = config
        self._spool = spool
        self._parts = parts
        self._lookout = lookout
        self._clock = clock

    def table(self) -> dict[str, Command]:
        """Return each command by its name on the socket."""
        return {
            "status": status_of(self._lookout),
            "release": self._release,
            "discard": self._discard,
            "hsm-retry-login": self._retry_login,
        }

    async def _release(self, arguments: Mapping[str, Any], person: str) -> list[str]:
        document = await self._spool(Spool.known, str(arguments.get("id")))
        if document.state is State.HELD:
            folder = folder_of(self._config.documents, document.id)
            try:
                digest, _ = await asyncio.to_thread(durable.digest_of, folder / "sealed.pdf")
            except FileNotFoundError:
                digest = None
            if digest is None or digest != document.sealed:
                raise PersonNeeded(
                    "own-copy-damaged", f"{document.id}: sealed.pdf is not as it was committed"
                )
        released = await self._spool(Spool.release, document.id, person, self._clock())
        if self._parts.turns is not None:
            self._parts.turns.wake()
        if self._parts.sync is not None:
            self._parts.sync.wake()
        return list(released)

    async def _discard(self, arguments: Mapping[str, Any], person: str) -> str:
        reason = str(arguments.get("reason", "")).strip()
        if not reason or len(reason) > MAX_REASON:
            raise PersonNeeded("reason-missing", f"a reason of 1 to {MAX_REASON} letters is needed")
        document_id = str(arguments.get("id"))
        document = await self._spool(Spool.discard, document_id, person, reason, self._clock())
        return document.state

    async def _retry_login(self, _: Mapping[str, Any], person: str) -> dict[str, str]:
        keeper = self._parts.token_keeper
        assert keeper is not None
        await keeper.permit(person)
        with contextlib.suppress(TransientError):  # the state says what it is
            await keeper.ensure()
        if self._parts.turns is not None:
            self._parts.turns.wake()
        return {"state": keeper.state.name, "code": keeper.state.code}


def status_of(lookout: Lookout) -> Command:
    """Return the command that answers with the snapshot."""

    async def answer(_arguments: Mapping[str, Any], _person: str) -> dict[str, Any]:
        return status.as_json(await lookout.snapshot())

    return answer
