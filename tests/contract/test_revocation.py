"""Revocation from a real responder and real lists, judged by the real worker, kept on disk."""

from __future__ import annotations

import asyncio
import urllib.request
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from daemon import evidence, notary
from daemon.chain import NobodyKnows
from daemon.chain import Revocations as Asked
from daemon.document import Digest, utc_text
from daemon.errors import TransientError
from daemon.revocation import Revocations
from daemon.sandbox import Sandbox
from daemon.workers import Worker
from tests import certomancer
from tests.sealing import now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from tests.certomancer import Authority


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    """A CA whose responder and lists are there; a test that stops it starts it again."""
    _, found = certomancer.token_and_authority(tmp_path_factory.mktemp("pki"), key="p256")
    found.start()
    yield found
    found.stop()


def chains(made: Authority, leaf: str = "seal") -> list[list[bytes]]:
    above = [made.certificate("issuing"), made.certificate("root")]
    return [[made.certificate(leaf), *above], [made.certificate("tsa"), *above]]


@asynccontextmanager
async def clerk(place: Path) -> AsyncIterator[Worker]:
    """The worker that reads answers, behind its walls."""
    worker = Worker("daemon.notary", place=place, limits=notary.LIMITS, sandbox=Sandbox(read=()))
    try:
        yield worker
    finally:
        await worker.stop()


def fetched(made: Authority, kind: evidence.Kind, name: str) -> bytes:
    """What responder or list say about a certificate of the issuing CA."""
    if kind == "crl":
        with urllib.request.urlopen(f"{made.url}/crls/issuing/latest.crl") as reply:  # noqa: S310
            return bytes(reply.read())
    leaf, issuer = (
        x509.load_der_x509_certificate(made.certificate(one)) for one in (name, "issuing")
    )
    asked = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, hashes.SHA1()).build()  # noqa: S303
    request = urllib.request.Request(  # noqa: S310
        f"{made.url}/ocsp/issuing",
        asked.public_bytes(serialization.Encoding.DER),
        {"Content-Type": "application/ocsp-request"},
    )
    with urllib.request.urlopen(request) as reply:  # noqa: S310
        return bytes(reply.read())


def judged(
    place: Path, made: Authority, kind: evidence.Kind, answer: bytes, name: str, at: datetime
) -> evidence.Revocation:
    async def main() -> evidence.Revocation:
        async with clerk(place) as worker:
            leaf, issuer = made.certificate(name), made.certificate("issuing")
            return await evidence.revocation(worker, kind, answer, leaf, issuer, at)

    return asyncio.run(main())


@pytest.mark.parametrize("kind", ["ocsp", "crl"])
def test_a_revocation_is_told_with_its_time_and_reason(
    tmp_path: Path, made: Authority, kind: evidence.Kind
) -> None:
    """By the responder and by the list alike; the certificate beside it is good."""
    gone = judged(tmp_path, made, kind, fetched(made, kind, "revoked"), "revoked", now())
    good = judged(tmp_path, made, kind, fetched(made, kind, "seal"), "seal", now())

    assert (gone.revoked_at, gone.reason) == (certomancer.REVOKED_AT, certomancer.REVOKED_FOR)
    assert (good.revoked_at, good.reason) == (None, "")
    assert good.this_update <= now() < good.next_update


@pytest.mark.parametrize("kind", ["ocsp", "crl"])
@pytest.mark.parametrize(
    ("spoil", "name", "days", "reason"),
    [
        (lambda answer: answer, "seal", 40, "out of date"),
        (lambda answer: answer, "seal", -40, "out of date"),
        (lambda answer: answer[:-1] + bytes([answer[-1] ^ 1]), "seal", 0, "."),
        (lambda answer: answer[:-9], "seal", 0, "."),
        (lambda answer: answer + b"\0", "seal", 0, "."),
        (lambda _: b"<html>", "seal", 0, "."),
    ],
    ids=["stale", "to come", "changed", "short", "long", "page"],
)
def test_an_answer_that_proves_nothing_is_none(
    tmp_path: Path,
    made: Authority,
    kind: evidence.Kind,
    spoil: Callable[[bytes], bytes],
    name: str,
    days: int,
    reason: str,
) -> None:
    """An old one, one that somebody changed on its way, a page that wants a password."""
    answer = spoil(fetched(made, kind, name))

    with pytest.raises(TransientError, match=reason) as caught:
        judged(tmp_path, made, kind, answer, name, now() + timedelta(days=days))

    assert caught.value.code == "revocation-unusable"


def test_an_answer_about_another_certificate_is_none(tmp_path: Path, made: Authority) -> None:
    """A good answer about the seal says nothing about what was revoked; nor does a foreign list."""
    with pytest.raises(TransientError, match="revocation-unusable"):
        judged(tmp_path, made, "ocsp", fetched(made, "ocsp", "seal"), "revoked", now())
    with urllib.request.urlopen(f"{made.url}/crls/root/latest.crl") as reply:  # noqa: S310
        foreign = bytes(reply.read())
    with pytest.raises(TransientError, match="another issuer"):
        judged(tmp_path, made, "crl", foreign, "revoked", now())


def test_both_chains_are_asked_for_and_make_the_evidence_of_a_seal(
    tmp_path: Path, made: Authority
) -> None:
    """Each certificate but the root: two by OCSP, the issuing CA by the list of the root."""

    async def main() -> None:
        async with clerk(tmp_path) as worker:
            known = Revocations(tmp_path, worker, now)
            assert known.store(chains(made)) is None
            await known.refresh(chains(made))

            assert [one.state for one in known.statuses(chains(made))] == ["good"] * 3
            store = known.store(chains(made))
            assert store is not None
            assert (len(store.certs), len(store.ocsps), len(store.crls)) == (4, 2, 1)

            await known.refresh(chains(made, "revoked"))
            told = known.statuses(chains(made, "revoked"))[0]
            assert (told.state, told.since, told.reason) == (
                "revoked",
                certomancer.REVOKED_AT,
                certomancer.REVOKED_FOR,
            )
            assert known.store(chains(made, "revoked")) is None
            # What the seal's own check asks for, before each turn.
            held: Asked = known
            word = held.status(made.certificate("revoked"))
            assert (word.word, word.at) == ("revoked", certomancer.REVOKED_AT)
            assert word.reason == "keyCompromise"
            assert held.status(made.certificate("seal")).word == "good"
            assert held.status(made.certificate("root")) == NobodyKnows().status(b"")

    asyncio.run(main())


def test_without_a_line_the_last_answers_hold_until_their_end_also_after_a_restart(
    tmp_path: Path, made: Authority
) -> None:
    """Then nothing is known, since when and why; nothing of it is an exception."""
    seal = Digest.of(made.certificate("seal"))

    async def main() -> None:
        async with clerk(tmp_path) as worker:
            await Revocations(tmp_path, worker, now).refresh(chains(made))
            made.stop()
            (tmp_path / f"{Digest.of(made.certificate('tsa')).hex}.json").write_text("{half")

            known = Revocations(tmp_path, worker, now)
            await known.refresh(chains(made))
            first, _, damaged = known.statuses(chains(made))
            assert (first.certificate, first.state) == (seal, "good")
            assert damaged.state == "unknown"
            assert "127.0.0.1: ClientConnectorError" in damaged.reason
            assert damaged.since is not None
            assert damaged.since <= now()

            later = Revocations(tmp_path, worker, lambda: now() + timedelta(minutes=11))
            await later.refresh(chains(made))
            late = later.statuses(chains(made))[0]
            assert (late.state, late.since) == ("unknown", first.next_update)
            # Since when is not forgotten either.
            again = Revocations(tmp_path, worker, now).statuses(chains(made))[2]
            assert again.since is not None
            assert utc_text(again.since) == utc_text(damaged.since)

    try:
        asyncio.run(main())
    finally:
        made.start()
