"""How targets are reached by HTTP, against real servers on loopback: trust, logins, limits, answers."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from daemon.credential import Credential
from daemon.errors import PermanentError, TransientError
from daemon.targets.http import Http, measured, printable, retry_after
from daemon.targets.sent import Sent
from daemon.targetsections import HttpSection
from tests.contract.targets import sending

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from daemon.document import Digest

NOW = datetime.now(UTC)


def section(url: str, **more: Any) -> HttpSection:
    """Return what a configuration has of a target at *url*."""
    return HttpSection(name="there", kind="webdav", role="dms", url=url, **more)


class Server:
    """What was asked of it, and what it answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.bodies: list[bytes] = []
        self.answer: Callable[[web.Request], Awaitable[web.StreamResponse]] = self.fine
        self.url = ""

    async def fine(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.read())
        return web.Response(text="fine")

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path, dict(request.headers)))
        return await self.answer(request)


@asynccontextmanager
async def serving(context: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Run a server on a port of its own."""
    server = Server()
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{rest:.*}", server.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    server.url = f"{'https' if context else 'http'}://127.0.0.1:{port}"
    try:
        yield server
    finally:
        await runner.cleanup()


async def get(http: Http, path: str = "/x", **more: Any) -> str:
    """Ask once and return what was said."""
    async with http.asked("GET", path, **more) as answer:
        return (await answer.data()).decode()


# -- our file as a body ------------------------------------------------------------------


def test_a_file_arrives_whole_and_with_its_length(key: str, sealed: Path) -> None:
    """No chunks: there are servers that cannot take them."""

    async def work() -> None:
        async with serving() as server:
            http = Http(section(server.url), None)
            part = sending(key, sealed)
            async with http.asked("PUT", "/a", sent=Sent(part), storing=True) as answer:
                assert answer.status == 200
            await http.close()
            ((_, _, headers),) = server.asked
            assert headers["Content-Length"] == str(part.size)
            assert server.bodies == [sealed.read_bytes()]

    asyncio.run(work())


@pytest.mark.parametrize("damage", ["flipped", "shorter", "longer", "gone", "folder"])
def test_a_damaged_file_never_leaves_whole(key: str, sealed: Path, damage: str) -> None:
    """What a server takes for a whole file would be delivered under our name."""

    async def work() -> None:
        part = sending(key, sealed)
        data = sealed.read_bytes()
        sealed.unlink()
        if damage == "folder":
            sealed.mkdir()
        elif damage != "gone":
            changed = {
                "flipped": data[:-1] + bytes([data[-1] ^ 1]),
                "shorter": data[:-1],
                "longer": data + b"!",
            }
            sealed.write_bytes(changed[damage])
        async with serving() as server:
            http = Http(section(server.url), None)
            with pytest.raises(PermanentError) as caught:
                async with http.asked("PUT", "/a", sent=Sent(part), storing=True):
                    pass
            assert caught.value.code == "own-copy-damaged"
            await http.close()
            assert server.bodies == []

    asyncio.run(work())


def test_what_is_sent_keeps_to_its_rate(key: str, sealed: Path) -> None:
    """Bandwidth of an authority's line at noon: bytes leave when they may, and nobody stalls."""

    async def work() -> None:
        loop = asyncio.get_running_loop()
        async with serving() as server:
            http = Http(section(server.url, kb_per_second=400, stall_seconds=0.5), None)
            part = sending(key, sealed)  # a little more than 1 MB, in pieces of 0.6 s each
            begun = loop.time()
            async with http.asked("PUT", "/a", sent=Sent(part, http.pace), storing=True):
                pass
            # What was saved while nothing was sent is for one second at the most.
            assert loop.time() - begun >= part.size / 400_000 - 1.1
            await http.close()
            assert len(server.bodies) == 1

    asyncio.run(work())


# -- answers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "kind", "doubt"),
    [
        (301, "target-redirects", TransientError, False),
        (302, "target-redirects", TransientError, False),
        (400, "target-refuses", PermanentError, None),
        (401, "target-login-refused", TransientError, False),
        (403, "target-login-refused", TransientError, False),
        (408, "target-busy", TransientError, False),
        (413, "target-refuses", PermanentError, None),
        (422, "target-refuses", PermanentError, None),
        (429, "target-busy", TransientError, False),
        (500, "target-fails", TransientError, True),
        (502, "target-fails", TransientError, True),
        (503, "target-busy", TransientError, False),
        (504, "target-fails", TransientError, True),
        (507, "target-full", TransientError, False),
    ],
)
@pytest.mark.parametrize("storing", [False, True])
def test_each_status_has_its_meaning(
    status: int, code: str, kind: type[Exception], doubt: bool | None, storing: bool
) -> None:
    """And only what was to be stored can be in doubt."""

    async def work() -> None:
        async with serving() as server:

            async def refuse(_: web.Request) -> web.StreamResponse:
                headers = {"Location": "http://127.0.0.1:1/", "Retry-After": "7"}
                return web.Response(status=status, text="no\x1b[31m such\nfield", headers=headers)

            server.answer = refuse
            http = Http(section(server.url), None)
            with pytest.raises(kind) as caught:
                async with http.asked("POST", "/a", data=b"x", storing=storing):
                    pass
            await http.close()
            error: Any = caught.value
            assert error.code == code
            if code != "target-redirects":
                assert str(error.args[0]) == f"there said {status}: no [31m such field"
            if doubt is not None:
                assert error.in_doubt is (doubt and storing)
                assert error.retry_after == (7.0 if code == "target-busy" else None)
            assert len(server.asked) == 1

    asyncio.run(work())


def test_an_answer_that_an_adapter_expects_is_its_own_to_judge() -> None:
    """Not there, there already: what that means depends on what was asked."""

    async def work() -> None:
        async with serving() as server:

            async def missing(_: web.Request) -> web.StreamResponse:
                return web.Response(status=404)

            server.answer = missing
            http = Http(section(server.url), None)
            async with http.asked("HEAD", "/a", expect=frozenset({404})) as answer:
                assert answer.status == 404
            await http.close()

    asyncio.run(work())


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000])
def test_what_is_no_json_is_no_answer(text: str) -> None:
    """A portal's page, half an answer, a riddle: transient, and none of them harms us."""

    async def work() -> None:
        async with serving() as server:

            async def say(_: web.Request) -> web.StreamResponse:
                return web.Response(text=text)

            server.answer = say
            http = Http(section(server.url), None)
            with pytest.raises(TransientError) as caught:
                async with http.asked("GET", "/a") as answer:
                    await answer.json()
            await http.close()
            assert caught.value.code == "target-answer-unreadable"

    asyncio.run(work())


def test_an_answer_without_end_is_cut() -> None:
    """Nothing holds more of it than an answer may have; and a bomb stays packed."""

    async def work() -> None:
        async with serving() as server:

            async def pour(request: web.Request) -> web.StreamResponse:
                response = web.StreamResponse(headers={"Content-Encoding": "gzip"})
                await response.prepare(request)
                for _ in range(100):
                    await response.write(b"x" * 65_536)
                return response

            server.answer = pour
            http = Http(section(server.url), None)
            with pytest.raises(TransientError) as caught:
                await get(http)
            assert caught.value.code == "target-answer-unreadable"
            async with http.asked("GET", "/x") as answer:
                assert await measured(answer.pieces()) == (
                    digest(b"x" * 6_553_600),
                    6_553_600,
                )
            await http.close()

    asyncio.run(work())


def digest(data: bytes) -> Digest:
    from daemon.document import Digest  # noqa: PLC0415

    return Digest.of(data)


# -- no answer ---------------------------------------------------------------------------


def test_what_was_never_reached_is_in_no_doubt(key: str, sealed: Path) -> None:
    """Refused, or a name that is not known: not a byte of it has left."""

    async def work() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
            for url in (f"http://127.0.0.1:{taken.getsockname()[1]}", "http://nobody.invalid"):
                http = Http(section(url), None)
                with pytest.raises(TransientError) as caught:
                    async with http.asked(
                        "PUT", "/a", sent=Sent(sending(key, sealed)), storing=True
                    ):
                        pass
                await http.close()
                assert caught.value.code == "target-unreachable"
                assert not caught.value.in_doubt

    asyncio.run(work())


@pytest.mark.parametrize("when", ["reading", "answering", "body"])
def test_a_connection_that_ends_leaves_doubt(key: str, sealed: Path, when: str) -> None:
    """From the first byte of it on: the server may have stored what it has not acknowledged."""

    async def work() -> None:
        async with serving() as server:

            async def vanish(request: web.Request) -> web.StreamResponse:
                assert request.transport is not None
                if when != "reading":
                    await request.read()
                if when == "body":
                    response = web.StreamResponse(headers={"Content-Length": "100"})
                    await response.prepare(request)
                    await response.write(b"half")
                    await asyncio.sleep(0.05)
                request.transport.abort()
                return web.Response()

            server.answer = vanish
            http = Http(section(server.url), None)
            for storing in (True, False):
                with pytest.raises(TransientError) as caught:
                    async with http.asked(
                        "POST", "/a", sent=Sent(sending(key, sealed)), storing=storing
                    ) as answer:
                        await answer.data()
                assert caught.value.code == "target-unreachable"
                assert caught.value.in_doubt is storing
            await http.close()

    asyncio.run(work())


def test_a_server_that_falls_silent_is_given_up(key: str, sealed: Path) -> None:
    """Neither while it takes the file nor while it answers may it keep us for ever."""

    async def work() -> None:
        stuck = asyncio.Event()
        async with serving() as server:

            async def hang(request: web.Request) -> web.StreamResponse:
                if request.path == "/answer":
                    response = web.StreamResponse()
                    await response.prepare(request)
                    await response.write(b"half")
                await stuck.wait()
                return web.Response()

            server.answer = hang
            http = Http(section(server.url, stall_seconds=0.3, connect_seconds=0.2), None)
            for path in ("/never", "/answer"):
                with pytest.raises(TransientError) as caught:
                    async with http.asked("GET", path) as answer:
                        await answer.data()
                assert "no answer in time" in str(caught.value)
            with pytest.raises(TransientError) as caught:
                async with http.asked("PUT", "/p", sent=Sent(sending(key, sealed)), storing=True):
                    pass
            assert caught.value.in_doubt
            stuck.set()
            await http.close()

    asyncio.run(work())


def test_a_slow_server_that_goes_on_is_waited_for() -> None:
    """The pause counts, not the sum: a large file over a thin line is no stall."""

    async def work() -> None:
        async with serving() as server:

            async def trickle(request: web.Request) -> web.StreamResponse:
                response = web.StreamResponse()
                await response.prepare(request)
                for _ in range(10):
                    await response.write(b"x")
                    await asyncio.sleep(0.2)
                return response

            server.answer = trickle
            http = Http(section(server.url, stall_seconds=1.2, connect_seconds=0.2), None)
            assert await get(http) == "x" * 10
            await http.close()

    asyncio.run(work())


def test_one_that_fails_cuts_no_other_one() -> None:
    """New connections for whoever comes next; what is on its way ends on its own."""

    async def work() -> None:
        inside = asyncio.Event()
        go_on = asyncio.Event()
        async with serving() as server:

            async def either(request: web.Request) -> web.StreamResponse:
                if request.path == "/cut":
                    assert request.transport is not None
                    request.transport.abort()
                else:
                    inside.set()
                    await go_on.wait()
                return web.Response(text="fine")

            server.answer = either
            http = Http(section(server.url), None)
            slow = asyncio.create_task(get(http, "/slow"))
            await inside.wait()
            with pytest.raises(TransientError):
                await get(http, "/cut")
            go_on.set()
            assert await slow == "fine"
            await http.close()

    asyncio.run(work())


# -- logins ------------------------------------------------------------------------------


def test_a_login_goes_along_and_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """Whoever changes the password changes a file, and restarts nothing."""
    secret = tmp_path / "password"
    secret.write_bytes("grün\n".encode())

    async def work() -> None:
        async with serving() as server:
            http = Http(section(server.url, user="box", password=f"file:{secret}"), None)
            await get(http)
            secret.write_bytes(b"another one\n")
            os.utime(secret, ns=(1, 1))
            await get(http)
            secret.unlink()
            with pytest.raises(TransientError) as caught:
                await get(http)
            assert caught.value.code == "credential-unreadable"
            await http.close()
            said = [headers["Authorization"] for _, _, headers in server.asked]
            assert said == ["Basic Ym94Omdyw7xu", "Basic Ym94OmFub3RoZXIgb25l"]

    asyncio.run(work())


def test_a_credential_of_systemd_is_found_in_its_folder(tmp_path: Path) -> None:
    """LoadCredential; without systemd the remedy says what to write."""
    (tmp_path / "dms").write_bytes(b"secret\r\n")

    assert Credential("credential:dms", str(tmp_path)).read() == b"secret"
    with pytest.raises(TransientError) as caught:
        Credential("credential:dms", None).read()
    assert caught.value.code == "credential-unreadable"
    for bad in (b"", b"two\nlines\n", b"x" * 20_000):
        (tmp_path / "dms").write_bytes(bad)
        with pytest.raises(TransientError):
            Credential("credential:dms", str(tmp_path)).read()


# -- TLS ---------------------------------------------------------------------------------


class Pki:
    """A CA of a test, and certificates that it has issued."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")])
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(
            self._built(self.name, self.key, (-1, 10), ca=True).public_bytes(
                serialization.Encoding.PEM
            )
        )

    def _built(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, days: tuple[int, int], *, ca: bool
    ) -> x509.Certificate:
        address = x509.IPAddress(ip_address("127.0.0.1"))
        public = key.public_key()
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + timedelta(days=days[0]))
            .not_valid_after(NOW + timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
            .sign(self.key, hashes.SHA256())
        )

    def issue(self, name: str, days: tuple[int, int] = (-1, 10)) -> tuple[Path, Path, str]:
        """Return certificate and key as files, and the certificate's digest."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._built(subject, key, days, ca=False)
        pem, secret = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        der = certificate.public_bytes(serialization.Encoding.DER)
        return pem, secret, sha256(der).hexdigest()

    def server(self, days: tuple[int, int] = (-1, 10), **more: Any) -> tuple[ssl.SSLContext, str]:
        """Return what a server serves TLS with, and its certificate's digest."""
        pem, key, fingerprint = self.issue("server", days)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem, key)
        if more.get("clients"):
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        if most := more.get("most"):
            context.maximum_version = most
        return context, fingerprint


async def over_tls(context: ssl.SSLContext, **more: Any) -> tuple[str, list[Any]]:
    """Return what comes of one request with a login, and what the server saw of it."""
    async with serving(context) as server:
        http = Http(section(server.url, **more), None)
        try:
            said = await get(http)
        except TransientError as exc:
            said = f"{exc.code}: {exc.args[0]}"
        await http.close()
        return said, server.asked


def test_a_server_of_our_own_ca_is_trusted_and_of_no_other(tmp_path: Path) -> None:
    """An authority's servers have certificates of the authority's own CA."""
    pki = Pki(tmp_path)
    context, _ = pki.server()

    said, _ = asyncio.run(over_tls(context, ca=str(pki.ca)))
    assert said == "fine"
    said, seen = asyncio.run(over_tls(context))  # the system's authorities do not know it
    assert said.startswith("target-unreachable: there: no connection to 127.0.0.1:")
    assert "certificate verify failed" in said
    assert seen == []


def test_a_certificate_that_has_expired_is_named(tmp_path: Path) -> None:
    """The one at 3 a.m. reads what it is, not that something is unreachable."""
    pki = Pki(tmp_path)
    context, _ = pki.server((-9, -1))

    said, seen = asyncio.run(over_tls(context, ca=str(pki.ca)))

    assert "certificate has expired" in said
    assert seen == []


def test_a_pin_is_asked_before_the_first_byte(tmp_path: Path) -> None:
    """The CA may be right and the server another one: no login goes there."""
    pki = Pki(tmp_path)
    context, fingerprint = pki.server()

    said, _ = asyncio.run(over_tls(context, ca=str(pki.ca), pins=("00" * 32, fingerprint)))
    assert said == "fine"
    said, seen = asyncio.run(over_tls(context, ca=str(pki.ca), pins=("00" * 32,)))
    assert "pinned" in said
    assert seen == []


def test_tls_1_1_is_not_spoken(tmp_path: Path) -> None:
    """TR-02102-2, 3.2: TLS 1.2 or newer."""
    pki = Pki(tmp_path)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context, _ = pki.server(most=ssl.TLSVersion.TLSv1_1)

    said, seen = asyncio.run(over_tls(context, ca=str(pki.ca)))

    assert said.startswith("target-unreachable")
    assert seen == []


def test_a_client_certificate_is_shown_and_read_again(tmp_path: Path) -> None:
    """Renewed by whoever renews certificates, without a restart."""
    pki = Pki(tmp_path)
    context, _ = pki.server(clients=True)
    pem, key, _ = pki.issue("client")

    async def work() -> None:
        async with serving(context) as server:
            ours = section(
                server.url,
                ca=str(pki.ca),
                client_certificate=str(pem),
                client_key=f"file:{key}",
            )
            without = Http(replace(ours, client_certificate="", client_key=""), None)
            with pytest.raises(TransientError):
                await get(without)
            await without.close()
            http = Http(ours, None)
            assert await get(http) == "fine"
            key.write_bytes(b"half of a key")
            with pytest.raises(TransientError) as caught:
                await get(http)
            assert caught.value.code == "target-trust-unreadable"
            pki.issue("client")
            assert await get(http) == "fine"
            await http.close()

    asyncio.run(work())


# -- small rules -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("999999999999999999999", 3600.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600.0),
        ("१२", None),
    ],
)
def test_retry_after_is_read_in_both_forms(text: str, wanted: float | None) -> None:
    """RFC 9110, 10.2.3; and never for longer than an hour."""
    assert retry_after(text) == wanted


def test_of_a_page_that_a_server_says_the_words_are_shown() -> None:
    """The first 200 letters of a page are its tags alone: nobody can read what went wrong."""
    page = (
        '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd">'
        '<html><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8">'
        "<title>500 Internal Server Error</title></head>\n<body><h1>No space left</h1></body></html>"
    )

    async def work() -> None:
        async with serving() as server:

            async def fail(_: web.Request) -> web.StreamResponse:
                return web.Response(status=500, text=page, content_type="text/html")

            server.answer = fail
            http = Http(section(server.url), None)
            with pytest.raises(TransientError) as caught:
                await get(http)
            await http.close()
            said = "there said 500: 500 Internal Server Error No space left"
            assert caught.value.args[0] == said

    asyncio.run(work())


def test_what_a_server_says_is_shown_on_one_harmless_line() -> None:
    """It reaches journals, pages and terminals."""
    said = "Fehler\r\n\x1b[2Jim\tFeld \u202e\0".encode() + b"\xff" + b"x" * 500

    shown = printable(said)

    assert shown.isprintable()
    assert shown.startswith("Fehler [2Jim Feld")
    assert len(shown) <= 200
