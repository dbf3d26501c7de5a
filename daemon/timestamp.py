"""Time stamps from authorities on the network (RFC 3161), several of them in order.

    query ──HTTP──▶ authority ──▶ bytes ──▶ worker (notary) ──▶ token, when, by whom

Nothing here reads an answer; what the worker says is compared with what was asked.
Connections are made from inside only, to addresses that the configuration names.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from asn1crypto import core, tsp

from daemon import chain as chains
from daemon import der, outward
from daemon.document import Digest, utc_text, utc_time
from daemon.errors import PermanentError, TransientError, WorkerDied
from daemon.stamping import UNAVAILABLE, Token
from daemon.workers import typed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

QUERY_TYPE: Final = "application/timestamp-query"
REPLY_TYPES: Final = frozenset({"application/timestamp-reply"})
WORKER_SECONDS: Final = 30.0
LONGEST_REASON: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the worker found in an answer."""

    token: str
    at: str
    by: str
    certificates: tuple[str, ...]


class Caller(Protocol):
    """A Worker running `daemon.notary`."""

    async def call(self, task: str, argument: Mapping[str, Any], *, seconds: float) -> Any:
        """Run a task; see `Worker.call`."""


def query(imprint: bytes, nonce: int) -> bytes:
    """Return a TimeStampReq for a SHA-256 *imprint*; the certificate is asked for, too."""
    return bytes(
        tsp.TimeStampReq(
            {
                "version": "v1",
                "message_imprint": {
                    "hash_algorithm": {"algorithm": "sha256"},
                    "hashed_message": imprint,
                },
                "nonce": core.Integer(nonce),
                "cert_req": True,
            }
        ).dump()
    )


class TimeStamps:
    """The authorities of one configuration."""

    def __init__(
        self,
        urls: Sequence[str],
        trust: Callable[[], list[bytes]],
        worker: Caller,
        clock: Callable[[], datetime],
        patience: outward.Patience = outward.Patience(),  # noqa: B008 (frozen)
    ) -> None:
        """Ask nobody yet; *trust* reads the certificates that authorities have to lead to."""
        self._urls = urls
        self._trust = trust
        self._worker = worker
        self._clock = clock
        self._patience = patience
        self.chain: tuple[bytes, ...] = ()
        """The certificates of the authority that answered last, from its own up to the root."""

    async def token(self, imprint: bytes) -> Token:
        """Return the first token that one of them gives and that is good, in their order.

        Raise `timestamp-unavailable` with what each of them came to.
        """
        came_to = []
        for url in self._urls:
            try:
                return await self._one(url, imprint)
            except (TransientError, PermanentError) as exc:
                # The host alone: an address may hold a password.
                came_to.append(f"{outward.host(url)}: {exc.args[0]}"[:LONGEST_REASON])
        raise TransientError(UNAVAILABLE, "; ".join(came_to) or "no [seal] timestamp_urls")

    async def _one(self, url: str, imprint: bytes) -> Token:
        nonce = secrets.randbits(64) | 1 << 64
        question = outward.Question(
            url=url, body=query(imprint, nonce), content_type=QUERY_TYPE, answers=REPLY_TYPES
        )
        answer = await outward.answer(question, self._patience, UNAVAILABLE)
        now, trust = self._clock(), self._trust()
        argument = {
            "answer": answer.hex(),
            "imprint": imprint.hex(),
            "nonce": str(nonce),
            "trust": [one.hex() for one in trust],
            "now": utc_text(now),
        }
        judged = typed(Judged, await self._worker.call("token", argument, seconds=WORKER_SECONDS))
        asked = (imprint, core.Integer(nonce).dump())
        token, (signer, *others) = _plausible(judged, answer, asked, now)
        links = chains.chain_of(signer, [*others, *trust], now)
        self.chain = links.certificates
        return replace(token, certificates=frozenset(map(Digest.of, links.below_the_root)))


def _plausible(
    judged: Judged, answer: bytes, asked: tuple[bytes, ...], now: datetime
) -> tuple[Token, tuple[bytes, ...]]:
    """Return what the worker said, with the certificates, if it can be out of *answer* (I10)."""
    try:
        token, at = bytes.fromhex(judged.token), utc_time(judged.at)
        certificates = tuple(map(bytes.fromhex, judged.certificates))
        whole = der.first(token).whole == token
    except ValueError as exc:
        raise WorkerDied("a time-stamp token that is none") from exc
    if not whole or token not in answer or any(one not in token for one in asked):
        raise WorkerDied("a time-stamp token that was not in the answer")
    if abs(at - now) > timedelta(hours=1) or not judged.by.isprintable():
        raise WorkerDied("a time that no authority has given")
    if not certificates or any(one not in token for one in certificates):
        raise WorkerDied("certificates that are not in the token")
    return Token(der=token, at=at, by=judged.by), certificates
