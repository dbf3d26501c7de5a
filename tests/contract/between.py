"""A proxy between an adapter and a real HTTP server, which can do to a request what networks do.

Each request is given to `trick`, which says what becomes of it. Host and headers go on as they
came, so signatures hold; where one of them is left out, it is signed anew.
"""

from __future__ import annotations

import http.client
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from daemon.targets.sigv4 import signed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from daemon.targets.sigv4 import Key


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    method: str
    path: str
    """With its query."""
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trick:
    """What becomes of a request; by default it is passed on."""

    cut_request: int | None = None
    """So many bytes of its body are passed on, then the connection ends on both sides."""
    cut_answer: int | None = None
    """So many bytes of the answer, status line and all, come back; then the connection ends."""
    damage: bool = False
    """A bit of its body is another one."""
    times: int = 1
    """So often it is passed on; the last answer comes back."""
    drop: tuple[str, ...] = ()
    """Headers that are not passed on."""
    then: Callable[[], object] = int
    """Called when it has been passed on, before anything comes back."""
    status: int = 0
    """The answer is replaced by this one."""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


PASS = Trick()


class Between(ThreadingHTTPServer):
    """The proxy before the server at *url*; a context manager."""

    daemon_threads = True

    def __init__(
        self,
        url: str,
        trick: Callable[[Asked], Trick] = lambda _: PASS,
        key: Key | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.key = key
        self.trick = trick
        self.seen: list[Asked] = []
        self.behind = url.removeprefix("http://")
        self.url = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Between

    def log_message(self, *_: Any) -> None:
        pass

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        asked = Asked(self.command, self.path, dict(self.headers.items()))
        self.server.seen.append(asked)
        try:
            self._pass_on(self.server.trick(asked))
        except OSError:
            self.close_connection = True

    def _pass_on(self, trick: Trick) -> None:
        size = int(self.headers.get("Content-Length", "0"))
        most = size if trick.cut_request is None else min(size, trick.cut_request)
        body = self.rfile.read(most)
        if trick.damage and body:
            body = body[:-1] + bytes([body[-1] ^ 1])
        answer = b""
        for _ in range(trick.times):
            answer = self._forwarded(body, trick)
        trick.then()
        if trick.status:
            head = {"Content-Length": str(len(trick.body)), **trick.headers}
            answer = _head(trick.status, head) + trick.body
        if trick.cut_request is not None or trick.cut_answer is not None:
            answer = answer[: trick.cut_answer or 0]
            self.close_connection = True
        self.wfile.write(answer)

    def _forwarded(self, body: bytes, trick: Trick) -> bytes:
        connection = http.client.HTTPConnection(self.server.behind, timeout=60)
        try:
            connection.putrequest(
                self.command, self.path, skip_host=True, skip_accept_encoding=True
            )
            for name, text in self._headers(trick).items():
                connection.putheader(name, text)
            connection.endheaders(body)
            if trick.cut_request is not None:
                return b""
            got = connection.getresponse()
            data = got.read()
            left_out = {"transfer-encoding", "connection"}
            head = {name: text for name, text in got.getheaders() if name.lower() not in left_out}
            if "content-length" not in map(str.lower, head):
                head["Content-Length"] = str(len(data))
            return _head(got.status, head) + data
        finally:
            connection.close()

    def _headers(self, trick: Trick) -> dict[str, str]:
        kept = {n: text for n, text in self.headers.items() if n.lower() not in trick.drop}
        if len(kept) == len(self.headers) or self.server.key is None:
            return kept
        url = f"http://{self.headers['Host']}{self.path}"
        again = {n: text for n, text in kept.items() if n.lower().startswith("x-amz-")}
        digest = again.pop("x-amz-content-sha256")
        del again["x-amz-date"]
        return {
            **kept,
            **signed(self.command, url, again, digest, self.server.key, datetime.now(UTC)),
        }


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
    return f"HTTP/1.1 {status} -\r\n{lines}\r\n".encode()
