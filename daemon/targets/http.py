"""How targets are reached by HTTP: one connection's trust, limits and errors, for every adapter.

    asked("PUT", url, data=Sent(part), storing=True)
      no answer            target-unreachable; in doubt if something was on its way to be stored
      401 403 407          target-login-refused
      429 503              target-busy, with what Retry-After says
      507                  target-full
      other 5xx            target-fails; in doubt if something was to be stored
      3xx                  target-redirects: never followed, neither files nor logins go elsewhere
      other 4xx            PermanentError target-refuses, unless the adapter expects it

Only outgoing connections (RESISCAN A.AM.IN.H.6). TLS 1.2 or newer (BSI TR-02102-2, 3.2), the
system's authorities or one own CA, certificates pinned on top of that. Logins, CA and client
certificate are looked at before each request and read again when their files have changed;
they never reach a message. A name is resolved for each new connection, and after a request
without an answer none of the old connections is used again.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import ssl
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import aiohttp

from daemon import durable
from daemon.credential import Credential
from daemon.document import CHUNK, Digest
from daemon.errors import PermanentError, TargetUnreachable, TransientError
from daemon.targets.pace import Pace

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping

    from daemon.targets.sent import Sent
    from daemon.targetsections import HttpSection

MOST_TEXT: Final = 1 << 20
"""An answer that is not a file has no more bytes than this."""
EXCERPT: Final = 200
MOST_PAGE: Final = 4000
TAG: Final = re.compile(rb"<[^<>]*>")
GOOD: Final = frozenset(range(200, 300))
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
LOGIN: Final = frozenset({401, 403, 407})
CODES: Final = {507: ("target-full", True), **dict.fromkeys(LOGIN, ("target-login-refused", True))}
"""What a status means for every document, and whether nothing was stored for certain."""
BUSY: Final = frozenset({408, 425, 429, 503})
CONNECTIONS_SECONDS: Final = 300.0
"""No connection is used for longer: an address that has changed is noticed."""
LONGEST_RETRY_AFTER: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the other side said: status and headers are here, the rest is read as wanted."""

    target: str
    status: int
    headers: Mapping[str, str]
    _response: aiohttp.ClientResponse
    _progress: Callable[[], None]

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes, whatever its size."""
        async for piece in self._response.content.iter_chunked(CHUNK):
            self._progress()
            yield piece

    async def data(self, most: int = MOST_TEXT) -> bytes:
        """Return the body; TransientError if it is longer than *most* bytes."""
        found = bytearray()
        async for piece in self.pieces():
            found += piece
            if len(found) > most:
                raise TransientError(
                    "target-answer-unreadable",
                    f"{self.target}: an answer of more than {most} bytes",
                )
        return bytes(found)

    async def json(self, most: int = MOST_TEXT) -> Any:
        """Return the body as JSON; TransientError if it is none. Of what form it is is not checked."""
        data = await self.data(most)
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            raise TransientError(
                "target-answer-unreadable",
                f"{self.target} said {self.status} with {len(data)} bytes that are no JSON",
            ) from None

    async def excerpt(self) -> str:
        """Return the beginning of what was said, in printable letters, of a page without its tags."""
        found = b""
        async for piece in self.pieces():
            found += piece
            if len(found) > MOST_PAGE:
                break
        return printable(TAG.sub(b" ", found[:MOST_PAGE]))


@dataclass(slots=True)
class _Line:
    """Connections that were made with the same trust."""

    session: aiohttp.ClientSession
    trust: tuple[object, ...]
    made_at: float
    asking: int = 0
    retired: bool = False

    async def settle(self) -> None:
        """Close them once nobody uses them any more."""
        if self.retired and not self.asking:
            await self.session.close()


class Http:
    """The way to one target."""

    def __init__(
        self, section: HttpSection, credentials: str | None, *, login: str = "basic"
    ) -> None:
        """Connect to nobody yet; *credentials* is systemd's folder of them.

        *login* is how the password goes with each request: "basic" (RFC 7617), "token" (as
        `Authorization: Token …`), or "" where the adapter does that itself.
        """
        self.name = section.name
        self.url = section.url.rstrip("/")
        self.pace = Pace(section.kb_per_second * 1000)
        self._section = section
        self._login = login
        self._password = Credential(section.password, credentials)
        self._key = Credential(section.client_key, credentials)
        self._line: _Line | None = None

    def secret(self) -> bytes:
        """Return the password as its file has it now; TransientError if it cannot be read."""
        return self._password.read()

    async def reached(self) -> str:
        """Connect as each request does, and ask nothing; return the version of TLS, or ""."""
        place = urlsplit(self.url)
        context = self._context() if place.scheme == "https" else None
        port = place.port or (443 if context else 80)
        try:
            async with asyncio.timeout(self._section.connect_seconds):
                _, writer = await asyncio.open_connection(place.hostname, port, ssl=context)
        except (OSError, TimeoutError) as exc:
            raise TargetUnreachable(f"{self.name}: {_said(exc)}") from exc
        secured = writer.get_extra_info("ssl_object")
        writer.close()
        return (secured.version() or "") if secured else ""

    async def close(self) -> None:
        """Let go of all connections."""
        line, self._line = self._line, None
        if line is not None:
            await line.session.close()

    @asynccontextmanager
    async def asked(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        data: Any = None,
        json_data: Any = None,
        sent: Sent | None = None,
        expect: frozenset[int] = GOOD,
        storing: bool = False,
    ) -> AsyncIterator[Answer]:
        """Ask once, and give the answer if its status is one of *expect*; raise otherwise.

        *url* is whole, or what comes behind the configured one. *sent* is our file as the body, or
        inside of *data* (a form); *storing* says that an answer that is lost leaves us in doubt. What
        goes wrong while the answer is read inside the `with` is translated in the same way.
        """
        body = data if data is not None else sent
        head = {"Accept-Encoding": "identity", **self._authorization(), **(headers or {})}
        line = await self._connected()
        loop = asyncio.get_running_loop()
        begun = False
        line.asking += 1
        stall = self._section.stall_seconds
        try:
            async with asyncio.timeout(self._section.connect_seconds + stall) as limit:

                def progress() -> None:
                    limit.reschedule(loop.time() + stall)

                if sent is not None:
                    sent.progress = progress
                async with line.session.request(
                    method,
                    url if "://" in url else self.url + url,
                    headers=head,
                    params=params,
                    data=body,
                    json=json_data,
                    proxy=self._section.proxy or None,
                    allow_redirects=False,
                ) as response:
                    begun = True
                    progress()
                    answer = Answer(
                        self.name, response.status, response.headers, response, progress
                    )
                    if answer.status not in expect:
                        raise await self._judged(answer, storing=storing)
                    yield answer
        except (aiohttp.ClientError, OSError, TimeoutError) as exc:
            await self._retire()
            if sent is not None and sent.problem is not None:
                raise sent.problem from exc
            doubt = storing and (begun or not isinstance(exc, NOT_CONNECTED))
            raise TargetUnreachable(f"{self.name}: {_said(exc)}", in_doubt=doubt) from exc
        finally:
            line.asking -= 1
            await line.settle()

    # -- what it is made of ----------------------------------------------------------------

    def _authorization(self) -> dict[str, str]:
        if not self._section.password or not self._login:
            return {}
        secret = self.secret()
        if self._login == "token":
            return {"Authorization": "Token " + secret.decode()}
        plain = self._section.user.encode() + b":" + secret
        return {"Authorization": "Basic " + base64.b64encode(plain).decode()}

    async def _connected(self) -> _Line:
        """Return the connections to use: new ones when the trust has changed or they are old."""
        section = self._section
        trust = (self._key.stamp(), *map(durable.stamp, (section.ca, section.client_certificate)))
        line = self._line
        if line and (line.trust != trust or time.monotonic() - line.made_at > CONNECTIONS_SECONDS):
            await self._retire()
        if self._line is None:
            connector = aiohttp.TCPConnector(
                ssl=self._context(),
                use_dns_cache=False,
                limit=0,
                keepalive_timeout=15.0,
            )
            session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                timeout=aiohttp.ClientTimeout(
                    total=section.request_seconds, sock_connect=section.connect_seconds
                ),
            )
            # aiohttp sends a PUT or a GET a second time by itself when the first got no answer:
            # whether something is sent again is decided elsewhere (I3), and never unseen.
            session._retry_connection = False  # noqa: SLF001
            self._line = _Line(session, trust, time.monotonic())
        return self._line

    async def _retire(self) -> None:
        """Begin no request on the connections there are; what is on its way ends by itself."""
        line, self._line = self._line, None
        if line is not None:
            line.retired = True
            await line.settle()

    def _context(self) -> ssl.SSLContext:
        section = self._section
        try:
            context = ssl.create_default_context(cafile=section.ca or None)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if section.client_certificate:
                context.load_cert_chain(section.client_certificate, self._key.path())
        except (OSError, ssl.SSLError) as exc:
            raise TransientError(
                "target-trust-unreadable", f"{self.name}: CA or client certificate: {_said(exc)}"
            ) from exc
        if section.pins:
            context.sslobject_class = _pinned(frozenset(section.pins))
        return context

    async def _judged(self, answer: Answer, *, storing: bool) -> Exception:
        """Return what an answer that nobody expected means."""
        status = answer.status
        if status in REDIRECTS:
            return TransientError("target-redirects", f"{self.name} said {status}: elsewhere")
        what = f"{self.name} said {status}: {await answer.excerpt()}"
        if status in BUSY:
            pause = retry_after(answer.headers.get("Retry-After", ""))
            return TransientError("target-busy", what, retry_after=pause)
        if status in range(400, 500) and status not in LOGIN:
            return PermanentError("target-refuses", what)
        code, certain = CODES.get(status, ("target-fails", False))
        return TransientError(code, what, in_doubt=storing and not certain)


NOT_CONNECTED: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
    aiohttp.InvalidURL,
)
"""Raised before a byte of a request has left."""


def _pinned(pins: frozenset[str]) -> type[ssl.SSLObject]:
    """Return TLS connections that end before the first byte if the certificate is none of *pins*."""

    class Pinned(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            found = self.getpeercert(binary_form=True) or b""
            if sha256(found).hexdigest() not in pins:
                raise ssl.SSLCertVerificationError("the certificate is none of the pinned ones")

    return Pinned


async def measured(pieces: AsyncIterable[bytes]) -> tuple[Digest, int]:
    """Return digest and size of what a target sends back; nothing of it is kept."""
    hashed, size = sha256(), 0
    async for piece in pieces:
        hashed.update(piece)
        size += len(piece)
    return Digest(hashed.hexdigest()), size


def retry_after(text: str) -> float | None:
    """Return what Retry-After says in seconds (RFC 9110, 10.2.3), at most an hour; None if nothing."""
    if text.isascii() and text.isdigit():
        return min(float(text[:10]), LONGEST_RETRY_AFTER)
    try:
        seconds = parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def printable(data: bytes) -> str:
    """Return the beginning of *data* on one line, for a message: nothing of it can do any harm."""
    text = data[:EXCERPT].decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _said(exc: BaseException) -> str:
    """Return what went wrong, without our own header or body."""
    if isinstance(exc, TimeoutError):
        return "no answer in time"
    if isinstance(exc, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorError):
        return f"no connection to {exc.host}:{exc.port}: {_reason(exc)}"
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    return {"ServerDisconnectedError": "the connection was closed"}.get(
        type(exc).__name__, type(exc).__name__
    )


def _reason(exc: Any) -> str:
    inner = getattr(exc, "os_error", None) or getattr(exc, "certificate_error", None) or exc
    return printable(str(getattr(inner, "strerror", "") or inner).encode())
