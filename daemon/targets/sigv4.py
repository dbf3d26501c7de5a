"""AWS Signature Version 4 for S3: the headers that make a request ours. Pure.

    string to sign = algorithm, time, scope, SHA-256 of the canonical request
    canonical request = method, path, query, headers, their names, SHA-256 of the body

The SHA-256 of the body is signed with each request, so a store that checks signatures takes
no other bytes than the ones meant, with TLS or without. After "Authenticating Requests (AWS
Signature Version 4)" of the Amazon S3 API reference; the path is encoded once, as S3 wants it.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

ALGORITHM: Final = "AWS4-HMAC-SHA256"
EMPTY: Final = sha256(b"").hexdigest()
"""The digest of no body."""


@dataclass(frozen=True, slots=True)
class Key:
    """An access key, and where it is good for."""

    name: str
    secret: bytes = field(repr=False)
    region: str


def encoded(text: str, keep: str = "") -> str:
    """Return *text* percent-encoded: everything but letters, digits, `-._~` and *keep*."""
    return quote(text, safe="-._~" + keep)


def query(values: Mapping[str, str]) -> str:
    """Return *values* as the canonical query, which is also the one to send."""
    return "&".join(
        f"{name}={value}"
        for name, value in sorted((encoded(n), encoded(v)) for n, v in values.items())
    )


def signed(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body_sha256: str,
    key: Key,
    now: datetime,
) -> dict[str, str]:
    """Return *headers* with all that signs a request to *url*, which is encoded already.

    *url* is sent as it stands here, with a query as `query` makes it. Every header given is signed.
    """
    parts = urlsplit(url)
    moment = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    full = {**headers, "x-amz-content-sha256": body_sha256, "x-amz-date": moment}
    # The host is signed but not returned: whoever sends the request writes it from the url.
    canonical = sorted(
        (name.lower(), " ".join(value.split()))
        for name, value in {**full, "host": _host(parts.scheme, parts.netloc)}.items()
    )
    names = ";".join(name for name, _ in canonical)
    request = "\n".join(
        (
            method,
            parts.path or "/",
            parts.query,
            *(f"{name}:{value}" for name, value in canonical),
            "",
            names,
            body_sha256,
        )
    )
    scope = f"{moment[:8]}/{key.region}/s3/aws4_request"
    text = "\n".join((ALGORITHM, moment, scope, sha256(request.encode()).hexdigest()))
    signature = _mac(_signing_key(key, moment[:8]), text).hex()
    full["Authorization"] = (
        f"{ALGORITHM} Credential={key.name}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return full


def _host(scheme: str, netloc: str) -> str:
    """Return the Host header: without the port that goes without saying (RFC 9110, 7.2)."""
    host, _, port = netloc.rpartition(":")
    return host if (scheme, port) in {("https", "443"), ("http", "80")} else netloc


def _signing_key(key: Key, day: str) -> bytes:
    found = b"AWS4" + key.secret
    for step in (day, key.region, "s3", "aws4_request"):
        found = _mac(found, step)
    return found


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
