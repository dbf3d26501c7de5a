"""Mayan's REST interface (version 4) as its administrator uses it; for setup and tests only."""

from __future__ import annotations

import base64
import json
import secrets
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Rest:
    """One user's way to one server."""

    def __init__(self, url: str, user: str, password: str) -> None:
        """Log in with each request."""
        plain = f"{user}:{password}".encode()
        self._url = url + "/api/v4"
        self._headers = {
            "Accept": "application/json",
            "Authorization": "Basic " + base64.b64encode(plain).decode(),
        }

    def data(self, method: str, path: str, body: Any = None) -> bytes:
        """Ask and return what was said; OSError (HTTPError) unless it was good."""
        data = None if body is None else json.dumps(body).encode()
        return self._asked(method, path, data, "application/json")

    def form(self, path: str, fields: Mapping[str, str], file: str, data: bytes) -> None:
        """Post a form with a file in it."""
        edge = secrets.token_hex(16)
        said = "".join(
            f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
            for name, text in fields.items()
        )
        said += f'--{edge}\r\nContent-Disposition: form-data; name="{file}"; filename="a.pdf"\r\n'
        body = said.encode() + b"Content-Type: application/pdf\r\n\r\n" + data
        body += f"\r\n--{edge}--\r\n".encode()
        self._asked("POST", path, body, f"multipart/form-data; boundary={edge}")

    def _asked(self, method: str, path: str, data: bytes | None, kind: str) -> bytes:
        headers = {**self._headers, "Content-Type": kind}
        asked = urllib.request.Request(self._url + path, data, headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(asked, timeout=120) as answer:  # noqa: S310
                found: bytes = answer.read()
                return found
        except urllib.error.HTTPError as exc:
            exc.msg = f"{method} {path}: {exc.msg} {exc.read()[:300]!r}"
            raise

    def get(self, path: str) -> Any:
        """Return what GET says."""
        return json.loads(self.data("GET", path))

    def results(self, path: str) -> list[Any]:
        """Return the entries of the first page of a list, a hundred at the most."""
        found: list[Any] = self.get(path + ("&" if "?" in path else "?") + "page_size=100")[
            "results"
        ]
        return found

    def post(self, path: str, body: Any) -> Any:
        """Return what POST says."""
        return json.loads(self.data("POST", path, body) or b"null")
