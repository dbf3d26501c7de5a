"""Time-stamp authorities as they may be, asked by the real client, judged by the real worker."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web
from asn1crypto import tsp

from daemon import certificate, notary, timestamped
from daemon.errors import TransientError
from daemon.outward import Patience
from daemon.sandbox import Sandbox
from daemon.timestamp import TimeStamps, query
from daemon.workers import Worker
from tests import answers, certomancer
from tests.sealing import now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from contrib.demo.token import TokenFiles
    from daemon.stamping import Token

IMPRINT = hashlib.sha256(b"the value of a signature").digest()
REPLY = "application/timestamp-reply"
SOON = Patience(connect_seconds=2.0, total_seconds=2.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[certomancer.Authority]:
    """A CA whose time-stamp authority runs."""
    _, found = certomancer.token_and_authority(tmp_path_factory.mktemp("pki"), key="p256")
    found.start()
    yield found
    found.stop()


@asynccontextmanager
async def asking(
    place: Path,
    trust: Path,
    *urls: str,
    patience: Patience = Patience(),  # noqa: B008
) -> AsyncIterator[TimeStamps]:
    """The client with its worker, behind its walls."""
    worker = Worker("daemon.notary", place=place, limits=notary.LIMITS, sandbox=Sandbox(read=()))
    try:
        yield TimeStamps(urls, partial(certificate.load_pem, trust), worker, now, patience)
    finally:
        await worker.stop()


async def relayed(made: certomancer.Authority, body: bytes) -> bytes:
    """What the real authority answers to *body*."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            made.tsa_url, data=body, headers={"Content-Type": "application/timestamp-query"}
        ) as reply,
    ):
        return await reply.read()


def why(place: Path, trust: Path, url: str) -> str:
    """Why nothing comes of *url*, as it stands in the alarm."""

    async def main() -> str:
        async with asking(place, trust, url, patience=SOON) as stamps:
            with pytest.raises(TransientError) as caught:
                await stamps.token(IMPRINT)
            assert caught.value.code == "timestamp-unavailable"
            return str(caught.value.args[0])

    return asyncio.run(main())


def test_the_first_good_answer_counts_whatever_comes_before_it(
    tmp_path: Path, made: certomancer.Authority
) -> None:
    """Dead, hanging, led elsewhere, garbage, too much, in another dress: each is passed over."""
    asked: list[str] = []

    async def odd(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        if request.path == "/hangs":
            await asyncio.sleep(3600)
        if request.path == "/elsewhere":
            raise web.HTTPFound(made.tsa_url)
        if request.path == "/broken":
            raise web.HTTPInternalServerError
        if request.path == "/page":
            return web.Response(text="please log in", content_type="text/html")
        size = 1 << 17 if request.path == "/much" else 100
        return web.Response(body=b"0" * size, content_type=REPLY)

    paths = ["/hangs", "/elsewhere", "/broken", "/page", "/much", "/garbage"]

    async def main() -> tuple[Token, str]:
        async with AsyncExitStack() as stack:
            url = await stack.enter_async_context(answers.server(odd))
            bad = [f"http://127.0.0.1:{certomancer.free_port()}/", *(url + path for path in paths)]
            good = await stack.enter_async_context(
                asking(tmp_path, made.chain, *bad, made.tsa_url, patience=SOON)
            )
            token = await good.token(IMPRINT)
            assert asked == paths
            nobody = await stack.enter_async_context(
                asking(tmp_path, made.chain, *bad, patience=SOON)
            )
            with pytest.raises(TransientError) as caught:
                await nobody.token(IMPRINT)
            return token, str(caught.value.args[0])

    token, reasons = asyncio.run(main())

    assert token.by == "Common Name: Test TSA, Organization: Scanseal Test, Country: DE"
    said = [one.removeprefix("127.0.0.1: ") for one in reasons.split("; ")]
    assert said[0] == "ClientConnectorError"
    assert said[1] in {"TimeoutError", "SocketTimeoutError", "ConnectionTimeoutError"}
    assert said[2:6] == [
        "status 302",
        "status 500",
        "another content type",
        "more than 65536 bytes",
    ]
    assert said[6].startswith("it cannot be read")


@pytest.mark.parametrize(
    ("other", "reason"),
    [("nonce", "another query (nonce)"), ("imprint", "something else (messageImprint)")],
)
def test_an_answer_to_another_query_is_none(
    tmp_path: Path, made: certomancer.Authority, other: str, reason: str
) -> None:
    """A good token of the right authority, for what was not asked: replayed, or mixed up."""

    async def replay(request: web.Request) -> web.StreamResponse:
        asked = tsp.TimeStampReq.load(await request.read())
        nonce = asked["nonce"].native
        body = query(bytes(32), nonce) if other == "imprint" else query(IMPRINT, nonce + 1)
        return web.Response(body=await relayed(made, body), content_type=REPLY)

    async def main() -> str:
        async with (
            answers.server(replay) as url,
            asking(tmp_path, made.chain, url, patience=SOON) as stamps,
        ):
            with pytest.raises(TransientError) as caught:
                await stamps.token(IMPRINT)
            return str(caught.value.args[0])

    assert reason in asyncio.run(main())


def test_a_changed_token_is_none(tmp_path: Path, made: certomancer.Authority) -> None:
    """The last byte is of the signature."""

    async def spoilt(request: web.Request) -> web.StreamResponse:
        body = bytearray(await relayed(made, await request.read()))
        body[-1] ^= 1
        return web.Response(body=bytes(body), content_type=REPLY)

    async def main() -> str:
        async with (
            answers.server(spoilt) as url,
            asking(tmp_path, made.chain, url, patience=SOON) as stamps,
        ):
            with pytest.raises(TransientError) as caught:
                await stamps.token(IMPRINT)
            return str(caught.value.args[0])

    assert "signature does not verify" in asyncio.run(main())


def test_who_may_not_give_time_stamps_gives_none(
    tmp_path: Path, made: certomancer.Authority, seal_token: TokenFiles
) -> None:
    """An expired certificate, one without the critical purpose (RFC 3161, 2.3), a stranger's."""
    assert "does not lead to" in why(tmp_path, made.chain, made.old_tsa_url)
    assert "for other uses" in why(tmp_path, made.chain, made.loose_tsa_url)
    assert "does not lead to" in why(tmp_path, seal_token.ca, made.tsa_url)


def test_whether_a_token_fits_is_known_before_anything_is_signed() -> None:
    """Exact to the few bytes that lengths may grow; what is said to fit does fit."""
    assert timestamped.fits(5000, 6000, 16384)
    room = next(n for n in range(16384, 0, -1) if timestamped.fits(5000, n, 16384))

    assert 16384 - 5000 - room < 64
    assert not timestamped.fits(5000, room + 1, 16384)
