"""Signatures of requests to S3: the examples of Amazon's documentation, and botocore as the judge."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from daemon.targets.sigv4 import EMPTY, Key, encoded, query, signed

EXAMPLE = Key("AKIAIOSFODNN7EXAMPLE", b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1")
THEN = datetime(2013, 5, 24, tzinfo=UTC)
BUCKET = "https://examplebucket.s3.amazonaws.com"


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "signature"),
    [
        (
            "GET",
            "/test.txt",
            {"Range": "bytes=0-9"},
            b"",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "PUT",
            "/" + encoded("test$file.text"),
            {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            b"Welcome to Amazon S3.",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            "GET",
            "/?" + query({"lifecycle": ""}),
            {},
            b"",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "GET",
            "/?" + query({"prefix": "J", "max-keys": "2"}),
            {},
            b"",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_the_examples_of_the_documentation(
    method: str, path: str, headers: dict[str, str], body: bytes, signature: str
) -> None:
    """Amazon S3 API reference, "Examples: Signature Calculations in AWS Signature Version 4"."""
    found = signed(method, BUCKET + path, headers, sha256(body).hexdigest(), EXAMPLE, THEN)

    assert found["Authorization"].endswith(f"Signature={signature}")


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12)
VISIBLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)


@given(
    path=TEXT,
    values=st.dictionaries(TEXT, TEXT, max_size=4),
    value=VISIBLE,
    body=st.binary(max_size=8),
    host=st.sampled_from(
        ["https://s3.example:443", "https://s3.example:9000", "http://s3.example:80"]
    ),
)
def test_botocore_signs_the_same(
    path: str, values: dict[str, str], value: str, body: bytes, host: str
) -> None:
    """Amazon's own library is what every store is tried with."""
    url = f"{host}/bucket/{encoded(path, '/')}" + ("?" + query(values) if values else "")
    headers = {"x-amz-meta-one": value, "If-None-Match": "*"}
    found = signed("PUT", url, headers, sha256(body).hexdigest(), EXAMPLE, THEN)

    assert found["Authorization"] == theirs("PUT", url, headers, body)


def theirs(method: str, url: str, headers: dict[str, str], body: bytes) -> str:
    """Return the Authorization of botocore, at the same time."""
    auth = botocore.auth.S3SigV4Auth(
        Credentials(EXAMPLE.name, EXAMPLE.secret.decode()), "s3", EXAMPLE.region
    )
    head = {**headers, "x-amz-content-sha256": sha256(body).hexdigest()}
    request: Any = AWSRequest(method=method, url=url, headers=head, data=body)
    request.context.update(
        {"timestamp": THEN.strftime("%Y%m%dT%H%M%SZ"), "payload_signing_enabled": True}
    )
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    auth._inject_signature_to_request(
        request,
        auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request),
    )
    return str(request.headers["Authorization"])


def test_the_secret_is_nowhere_in_what_is_sent() -> None:
    """Only what is computed from it."""
    found = signed("GET", BUCKET + "/a", {}, EMPTY, EXAMPLE, THEN)

    assert EXAMPLE.secret.decode() not in str(found)
    assert EXAMPLE.secret.decode() not in repr(EXAMPLE)
