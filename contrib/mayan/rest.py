"""Mayan's REST interface (version 4) as its administrator uses it; for setup and tests only."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from typing import Any


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
        headers = {**self._headers, "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
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
