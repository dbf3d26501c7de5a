"""A WebDAV server as a target (RFC 4918): one collection, and in it one for each document.

    <url>/<document id>/<file>                    never overwritten
    <url>/<document id>/.<file>.<16 hex>.upload   being sent; gone afterwards

    MKCOL the document's collection      201 made, 405 there already
    PUT beside the name                  whatever is cut off here, nothing lies under the name
    MOVE to the name, Overwrite: F       201 there it is, 412 something was there already
    GET the name                         hashed: that is the receipt

A server may show a half file under the name of a PUT that was cut off, and none says whether it
does (docs/decisions/0022-webdav.md has what was tried). A MOVE is one rename. So until the MOVE
has left there is no doubt: what was sent cannot come to have the name. Whether the server obeys
`Overwrite: F` is tried once in each run, on two files of a byte each; if it does not, the name is
looked at before, and the engine waits out its doubt.

The collection at <url> has to exist and is never made by us. No server says whether what it holds
would outlive a power cut over there.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from daemon.document import Receipt, Role
from daemon.errors import PermanentError, TargetDisagrees, TransientError
from daemon.targets import split
from daemon.targets.http import Http, measured
from daemon.targets.sent import Sent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from daemon.targets import Sending
    from daemon.targets.http import Answer
    from daemon.targetsections import WebdavSection

STORED: Final = frozenset({200, 201, 204})
"""RFC 9110, 9.3.4."""
ABSENT: Final = frozenset({404, 410})
NO_PARENT: Final = frozenset({404, 409})
UNABLE: Final = frozenset({405, 501})
"""The server does not know the method, or not here."""
MOVED: Final = frozenset({201, 204})
NOT_MOVED: Final = frozenset({404, 409, 412})
"""The name is there, or what was sent is gone: looking at the name says what that means."""
ELSEWHERE: Final = frozenset({400, 502})
"""RFC 4918, 9.9.4: it does not take the Destination for one of its own."""
LOCKED: Final = frozenset({423})
MANY: Final = 207
LOCKED_TOO: Final = re.compile(rb"HTTP/1\.[01] 423 ")
"""What mod_dav says of a lock on the collection above."""
ALONE: Final = (
    b'<?xml version="1.0" encoding="utf-8"?>'
    b'<D:propfind xmlns:D="DAV:"><D:prop><D:resourcetype/></D:prop></D:propfind>'
)


class WebdavTarget:
    """One collection, in either role."""

    def __init__(
        self, section: WebdavSection, credentials: str | None, clock: Callable[[], datetime]
    ) -> None:
        """Connect to nobody yet."""
        self.name = section.name
        self.role = Role(section.role)
        self.create_once = False
        """Until the server has shown that it is."""
        self._http = Http(section, credentials)
        self._clock = clock
        self._learning = asyncio.Lock()
        self._learned = False
        self._whole_url = True
        """It takes the whole URL as a Destination, not only its path."""

    async def find(self, part: Sending) -> Receipt | None:
        """See Target.find. Also removes what is left of a PUT, so that no late MOVE can finish it."""
        document_id, file = split(part.key)
        await self._sweep(document_id, file)
        receipt = await self._held(part)
        if receipt is None:
            await self._learn()
        return receipt

    async def put(self, part: Sending) -> Receipt:
        """See Target.put."""
        (receipt,) = await self.put_all([part])
        return receipt

    async def put_all(self, parts: Sequence[Sending]) -> list[Receipt]:
        """See TakesAll.put_all: the collection is made once."""
        names = [split(part.key) for part in parts]
        await self._learn()
        await self._make_collection(names[0][0])
        return [await self._store(part, *name) for part, name in zip(parts, names, strict=True)]

    async def prove(self, receipt: Receipt, part: Sending) -> Receipt | None:  # noqa: ARG002
        """See Target.prove: a name is all that a server has. Changes nothing over there."""
        held = await self._held(part)
        if held is None:
            await self._must_be_there()
        return held

    async def remove(self, receipt: Receipt, part: Sending) -> None:
        """See Removes. The collection stays, empty: to delete one would delete what is in it."""
        if await self.prove(receipt, part):
            place = _place(part.key)
            status = await self._ask("DELETE", place, STORED | ABSENT | UNABLE | LOCKED)
            if status in UNABLE | LOCKED:
                raise self._judged("DELETE", status)

    async def close(self) -> None:
        """See Target.close."""
        await self._http.close()

    # -- one part ------------------------------------------------------------------------------

    async def _store(self, part: Sending, document_id: str, file: str) -> Receipt:
        if not self.create_once and (held := await self._held(part)):
            return held
        temporary = f"/{document_id}/{quote(f'.{file}.{secrets.token_hex(8)}.upload')}"
        try:
            await self._upload(temporary, sent=Sent(part, self._http.pace))
            status = await self._move(temporary, _place(part.key), storing=True)
            if status not in MOVED | NOT_MOVED:
                raise self._judged("MOVE", status)
        except (TransientError, PermanentError) as exc:
            await self._discard_after(exc, temporary)
            raise
        if status in NOT_MOVED:
            await self._discard(temporary)
        return await self._read_back(part, status)

    async def _read_back(self, part: Sending, status: int) -> Receipt:
        """Return the receipt for what lies under the name after a MOVE; whatever it answered."""
        try:
            held = await self._held(part)
        except TransientError as exc:
            exc.in_doubt = True
            raise
        if held is None:
            raise TransientError(
                "target-fails",
                f"{self.name} said {status} to MOVE, and nothing is there",
                in_doubt=status in MOVED,
            )
        return held

    async def _held(self, part: Sending) -> Receipt | None:
        """Return the receipt for what lies under the part's name, or None if nothing does."""
        headers = {"Cache-Control": "no-cache"}
        expect = frozenset({200}) | ABSENT | LOCKED
        async with self._http.asked(
            "GET", _place(part.key), headers=headers, expect=expect
        ) as answer:
            if answer.status in ABSENT:
                return None
            if answer.status in LOCKED:
                raise self._judged("GET", answer.status)
            digest, size = await measured(answer.pieces())
        if (digest, size) != (part.digest, part.size):
            if not _is_a_file(answer):
                raise TransientError(
                    "target-answer-unreadable",
                    f"{self.name} said 200 with a page, or with an end that cannot be told",
                )
            raise TargetDisagrees(
                f"{self.name} holds {size} bytes with {digest} under {part.key},"
                f" we have {part.size} bytes with {part.digest}"
            )
        return Receipt(
            target=self.name,
            key=part.key,
            size=size,
            digest=digest,
            reference=self._http.url + _place(part.key),
            grade="bytes",
            proved_at=self._clock(),
        )

    # -- what is around it -----------------------------------------------------------------------

    async def _make_collection(self, document_id: str) -> None:
        status = await self._status("MKCOL", f"/{document_id}/", frozenset({201, 405, 409}))
        if status in NO_PARENT:
            raise self._judged("MKCOL", status)

    async def _must_be_there(self) -> None:
        """Raise unless our collection is there: below one that is away, nothing can be looked for."""
        status = await self._status(
            "PROPFIND", "/", frozenset({MANY}) | ABSENT, headers={"Depth": "0"}, data=ALONE
        )
        if status != MANY:
            raise self._judged("PROPFIND", 404)

    async def _sweep(self, document_id: str, file: str) -> None:
        """Remove what is left of uploads of *file* whose MOVE we do not know of."""
        expect = frozenset({MANY}) | ABSENT | UNABLE | LOCKED
        async with self._http.asked(
            "PROPFIND", f"/{document_id}/", headers={"Depth": "1"}, data=ALONE, expect=expect
        ) as answer:
            status = answer.status
            listed = await answer.data() if status == MANY else b""
        if status in ABSENT:
            await self._must_be_there()
        elif status != MANY:
            raise self._judged("PROPFIND", status)
        # Nothing is parsed: a name of this form in our own collection is ours, wherever it stands.
        left = re.escape(quote(f".{file}.").encode()) + rb"[0-9a-f]{16}\.upload"
        for name in sorted(set(re.findall(left, listed))):
            await self._discard(f"/{document_id}/{name.decode()}")

    async def _learn(self) -> None:
        """Find out once what the server makes of `Overwrite: F`; raise if it cannot MOVE."""
        async with self._learning:
            if self._learned:
                return
            there, other = (f"/.scanseal-{secrets.token_hex(8)}-{what}" for what in ("a", "b"))
            try:
                for place, data in ((there, b"1"), (other, b"2")):
                    await self._upload(place, data=data)
                self._whole_url = True
                status = await self._move(other, there)
                if status in ELSEWHERE:
                    # A proxy that ends TLS: the server behind it knows itself by another name.
                    self._whole_url = False
                    if await self._move(other, there) == 412:
                        status = 412
                if status != 412 and status not in MOVED:
                    raise self._judged("MOVE", status)
            except (TransientError, PermanentError) as exc:
                await self._discard_after(exc, there, other)
                if isinstance(exc, PermanentError):  # about the server, not about a document
                    raise self._unfit(str(exc.args[0])) from exc
                raise
            await self._discard(there)
            await self._discard(other)
            self.create_once = status == 412
            self._learned = True

    # -- single requests -------------------------------------------------------------------------

    async def _upload(self, place: str, **body: Any) -> None:
        """PUT something where nothing is. It is under no name that counts, so no doubt is left."""
        refused = NO_PARENT | UNABLE | LOCKED | {412}
        status = await self._ask(
            "PUT", place, STORED | refused, headers={"If-None-Match": "*"}, **body
        )
        if status in refused:
            raise self._judged("PUT", status)

    async def _move(self, place: str, to: str, *, storing: bool = False) -> int:
        """Give it its name, if nothing has it; return what was said of that."""
        destination = self._http.url + to
        if not self._whole_url:
            destination = urlsplit(destination).path
        headers = {"Destination": destination, "Overwrite": "F"}
        expect = MOVED | NOT_MOVED | UNABLE | LOCKED
        if not storing:
            expect |= ELSEWHERE
        return await self._ask("MOVE", place, expect, headers=headers, storing=storing)

    async def _discard(self, place: str) -> None:
        """Remove something of ours that nobody needs; where that fails it does no harm."""
        with suppress(TransientError, PermanentError):
            await self._ask("DELETE", place, STORED | ABSENT)

    async def _discard_after(self, error: TransientError | PermanentError, *places: str) -> None:
        """Remove what is left; not where nobody answers: `find` comes first the next time."""
        if error.code != "target-unreachable":
            for place in places:
                await self._discard(place)

    async def _status(self, method: str, place: str, expect: frozenset[int], **more: Any) -> int:
        """Ask about a collection: what is refused there is no document's fault."""
        try:
            status = await self._ask(method, place, expect | UNABLE | LOCKED, **more)
        except PermanentError as exc:
            raise self._unfit(str(exc.args[0])) from exc
        if status not in expect:
            raise self._judged(method, status)
        return status

    async def _ask(
        self,
        method: str,
        place: str,
        expect: frozenset[int],
        *,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> int:
        async with self._http.asked(
            method, place, headers=headers, expect=expect | {MANY}, **more
        ) as answer:
            status = answer.status
            if status in expect:
                return status
            said = await answer.data()
        # RFC 4918, 13: it failed, because of something else than was asked for.
        if LOCKED_TOO.search(said):
            raise self._judged(method, 423)
        raise TransientError(
            "target-fails",
            f"{self.name} said {status} to {method}",
            in_doubt=bool(more.get("storing")),
        )

    def _judged(self, method: str, status: int) -> TransientError:
        """Return what a status means that says nothing about the document."""
        what = f"{self.name} said {status} to {method}"
        if status in LOCKED:
            return TransientError("target-locked", what)
        if status in UNABLE | ELSEWHERE:
            return self._unfit(what)
        if status in NO_PARENT:
            return TransientError("target-folder-missing", what)
        return TransientError("target-fails", what)

    def _unfit(self, what: str) -> TransientError:
        return TransientError("target-not-webdav", what)


def _place(key: str) -> str:
    return "/" + quote(key)


def _is_a_file(answer: Answer) -> bool:
    """Return whether what came can be a stored file as a whole.

    A gateway's page of its own is none; without length or chunks nobody knows where one ends.
    """
    headers = answer.headers
    ends = "Content-Length" in headers or "chunked" in headers.get("Transfer-Encoding", "").lower()
    return ends and not headers.get("Content-Type", "").lower().startswith("text/html")
