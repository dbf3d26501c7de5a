"""An unruly proxy before a real HTTP server: it does to requests and answers what networks do.

Each request, once its head is there, is given to `rule`, which says what becomes of it. Host and
all headers go on as they came.
"""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HOP = frozenset({"connection", "keep-alive", "transfer-encoding"})
"""Headers that are about one connection only."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trick:
    """What becomes of a request; by default it is passed on, and so is the answer."""

    times: int = 1
    """So often it is passed on; the answer to the last one comes back. 0: never."""
    cut_request: int | None = None
    """So many bytes of its body are passed on, then both connections end."""
    drop: tuple[str, ...] = ()
    """Headers that are not passed on, in small letters."""
    late: threading.Event | None = None
    """Whoever asked is left alone at once; it is passed on when this is set."""
    then: Callable[[], object] = int
    """Called once it was passed on, before anything comes back."""
    status: int = 0
    """The answer is replaced by this one."""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_answer: int | None = None
    """So many bytes of the answer come back, head and all; then the connection is reset."""
    silent: bool = False
    """Nothing comes back, and the connection stays."""
    bytes_per_second: int = 0
    """The answer comes so slowly."""


PASS = Trick()


class Unruly(ThreadingHTTPServer):
    """The proxy before the server at *url*; a context manager."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, url: str, rule: Callable[[Asked], Trick] = lambda _: PASS) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.rule = rule
        self.seen: list[Asked] = []
        self.passed: list[threading.Event] = []
        """One for each request that was passed on late; set when its answer was there."""
        self.over = threading.Event()
        self.behind = url.removeprefix("http://")
        self.url = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.shutdown()
        self.server_close()

    def asked(self, method: str) -> list[str]:
        """Return the paths that were asked for by *method*, in order."""
        return [one.path for one in self.seen if one.method == method]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Unruly

    def log_message(self, *_: Any) -> None:
        pass

    def handle_one_request(self) -> None:
        with suppress(OSError):
            self.raw_requestline = self.rfile.readline(65537)
            if self.raw_requestline and self.parse_request():
                asked = Asked(self.command, self.path, dict(self.headers.items()))
                self.server.seen.append(asked)
                self._play(self.server.rule(asked))
                return
        self.close_connection = True

    def _play(self, trick: Trick) -> None:
        size = int(self.headers.get("Content-Length", "0"))
        if trick.cut_request is not None:
            self._cut(trick, size)
            return
        body = self.rfile.read(size)
        if trick.late is not None:
            self._end()
            passed = threading.Event()
            self.server.passed.append(passed)
            if trick.late.wait(60):
                self._forwarded(body, trick)
            passed.set()
            return
        answer = b""
        for _ in range(trick.times):
            answer = self._forwarded(body, trick)
        trick.then()
        if trick.status:
            head = {"Content-Length": str(len(trick.body)), **trick.headers}
            answer = _head(trick.status, head) + trick.body
        if trick.silent:
            self.server.over.wait()
            self.close_connection = True
        elif trick.cut_answer is not None:
            self.wfile.write(answer[: trick.cut_answer])
            self._end()
        elif trick.bytes_per_second:
            for at in range(0, len(answer), 10):
                self.wfile.write(answer[at : at + 10])
                self.server.over.wait(10 / trick.bytes_per_second)
        else:
            self.wfile.write(answer)

    def _cut(self, trick: Trick, size: int) -> None:
        """Pass on the head and a part of the body, then end both connections."""
        with socket.create_connection(_address(self.server.behind), timeout=60) as there:
            lines = "".join(f"{name}: {text}\r\n" for name, text in self.headers.items())
            there.sendall(f"{self.command} {self.path} HTTP/1.1\r\n{lines}\r\n".encode())
            left = min(size, trick.cut_request or 0)
            while left and (piece := self.rfile.read(min(left, 1 << 16))):
                there.sendall(piece)
                left -= len(piece)
            trick.then()
            with suppress(OSError):
                there.shutdown(socket.SHUT_WR)
                while there.recv(1 << 16):  # until the server has seen the end, and is done with it
                    pass
        self._end()

    def _forwarded(self, body: bytes, trick: Trick) -> bytes:
        connection = http.client.HTTPConnection(self.server.behind, timeout=60)
        try:
            connection.putrequest(
                self.command, self.path, skip_host=True, skip_accept_encoding=True
            )
            for name, text in self.headers.items():
                if name.lower() not in trick.drop:
                    connection.putheader(name, text)
            connection.endheaders(body)
            got = connection.getresponse()
            data = got.read()
            head = {name: text for name, text in got.getheaders() if name.lower() not in HOP}
            if "content-length" not in map(str.lower, head):
                head["Content-Length"] = str(len(data))
            return _head(got.status, head) + data
        finally:
            connection.close()

    def _end(self) -> None:
        """Reset the connection to whoever asked."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.wfile.flush()
        self.connection.close()
        # The files made of it keep the descriptor open.
        for file in (self.rfile, self.wfile):
            with suppress(OSError):
                file.close()


def _address(behind: str) -> tuple[str, int]:
    host, _, port = behind.partition(":")
    return host, int(port)


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
    return f"HTTP/1.1 {status} -\r\n{lines}\r\n".encode()
