"""Our file as the body of a request: hashed while it is sent, and never sent whole if it is damaged."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from hashlib import sha256
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from aiohttp.payload import Payload

from daemon import durable
from daemon.document import CHUNK
from daemon.errors import PermanentError
from daemon.targets import OWN_COPY_DAMAGED
from daemon.targets.pace import Pace

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from aiohttp.abc import AbstractStreamWriter

    from daemon.targets import Sending


SLICE_SECONDS: Final = 0.1
"""So often somebody is told that we hold back on purpose."""


class Sent(Payload):
    """One part as a body of known length.

    Its last piece leaves only after digest and size were found right: a damaged file leaves
    a request that no server takes for whole. With *begin* it is only a section of the file: as
    many bytes from there on, of that digest, as *part* says.
    """

    def __init__(
        self, part: Sending, pace: Pace | None = None, begin: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(part, **kwargs)
        self._part = part
        self._begin = begin
        self._pace = pace or Pace(0)
        self._size = part.size
        self.progress: Callable[[], None] = lambda: None
        """Called whenever something has left, or is held back on purpose."""
        self.problem: PermanentError | None = None
        """Why it was not sent whole, where that was ours."""

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:  # noqa: ARG002
        """Refuse: a document is no text."""
        raise TypeError

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send the file in pieces."""
        try:
            async with aclosing(self._pieces()) as pieces:  # a cancelled one closes the file now
                async for piece in pieces:
                    await self._wait(len(piece))
                    await writer.write(piece)
                    self.progress()
        except PermanentError as exc:
            self.problem = exc
            raise

    async def _wait(self, count: int) -> None:
        left = self._pace.owed(count)
        while left > 0:
            await asyncio.sleep(min(left, SLICE_SECONDS))
            self.progress()  # slow because we want it so
            left -= SLICE_SECONDS

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the file; each piece only once it is known that another one is right behind it."""
        part, hashed, size = self._part, sha256(), 0
        held = b""
        # Of a whole file one byte more is asked for: it may have become longer.
        most = part.size + (self._begin is None)
        try:
            # Not on a thread: an answer that comes before the body ends us, and nobody would close it.
            file = _opened(part, self._begin or 0)
        except OSError as exc:
            raise _unreadable(part, exc) from exc
        with file:
            while True:
                try:
                    piece = await asyncio.to_thread(_read, file, hashed, min(CHUNK, most - size))
                except OSError as exc:
                    raise _unreadable(part, exc) from exc
                size += len(piece)
                if not piece or size > part.size:
                    break
                if held:
                    yield held
                held = piece
        if (size, hashed.hexdigest()) != (part.size, str(part.digest)):
            raise PermanentError(
                OWN_COPY_DAMAGED,
                f"{part.key}: {size} bytes with sha256:{hashed.hexdigest()} lie here,"
                f" {part.size} with sha256:{part.digest} were sealed",
            )
        if held:
            yield held


def _opened(part: Sending, begin: int) -> BinaryIO:
    file = durable.opened(part.file)
    file.seek(begin)
    return file


def _read(file: BinaryIO, hashed: Any, count: int) -> bytes:
    piece = file.read(count)
    hashed.update(piece)
    return piece


def _unreadable(part: Sending, exc: OSError) -> PermanentError:
    why = exc.strerror or "no regular file"
    return PermanentError(OWN_COPY_DAMAGED, f"{part.key} cannot be read: {why}")
