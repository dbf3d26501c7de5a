"""One request to a server out there: limited in time and size, never led elsewhere.

What comes back is bytes; nothing here looks into them (I10).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from daemon.errors import TransientError

MOST_BYTES: Final = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, and what an answer may be like."""

    url: str
    answers: frozenset[str]
    """The content types that are one; empty: any, for files whose type servers get wrong."""
    body: bytes | None = None
    """Posted with this *content_type*; without a body it is a GET."""
    content_type: str = ""
    most_bytes: int = MOST_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long is waited."""

    connect_seconds: float = 5.0
    total_seconds: float = 20.0


def host(url: str) -> str:
    """Return what may be said about *url* in the journal: it can hold a customer's number."""
    parts = urlsplit(url)
    return parts.hostname or "?"


async def answer(question: Question, patience: Patience, code: str) -> bytes:
    """Return the answer's body, or raise TransientError *code* with the reason."""
    limits = aiohttp.ClientTimeout(total=patience.total_seconds, connect=patience.connect_seconds)
    headers = {"Accept-Encoding": "identity"}
    if question.body is not None:
        headers["Content-Type"] = question.content_type
    try:
        async with (
            # No proxy, cookie or password of the environment; a packed answer stays packed.
            aiohttp.ClientSession(
                timeout=limits, trust_env=False, auto_decompress=False
            ) as session,
            session.request(
                "GET" if question.body is None else "POST",
                question.url,
                data=question.body,
                headers=headers,
                allow_redirects=False,
            ) as reply,
        ):
            if reply.status != 200:
                raise _failed(code, f"status {reply.status}")
            if question.answers and reply.content_type not in question.answers:
                raise _failed(code, "another content type")
            return await _body(reply, question, code)
    except (aiohttp.ClientError, OSError, ValueError) as exc:
        # Not its message: it holds the whole address.
        raise _failed(code, type(exc).__name__) from None


async def _body(reply: aiohttp.ClientResponse, question: Question, code: str) -> bytes:
    body = bytearray()
    async for piece in reply.content.iter_any():
        body += piece
        if len(body) > question.most_bytes:
            raise _failed(code, f"more than {question.most_bytes} bytes")
    return bytes(body)


def _failed(code: str, why: str) -> TransientError:
    return TransientError(code, why)
