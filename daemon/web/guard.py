"""What every request has to pass, and what every answer carries.

The page has no log-in yet, so what protects it is where it listens. A web page
elsewhere could still send a technician's browser here under a name of its own
(DNS rebinding): only names that are really ours are answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "scanseal",
}
EVERYWHERE: Final = frozenset({"0.0.0.0", "[::]"})  # noqa: S104 (these are compared, not bound)
HTTP_PORT: Final = "80"


def allowed_hosts(listen: str) -> frozenset[str]:
    """Return what a Host header may say, for a service that listens on *listen*."""
    host, _, port = listen.lower().rpartition(":")
    names = {host, "localhost", "127.0.0.1", "[::1]"} - EVERYWHERE
    hosts = {f"{name}:{port}" for name in names}
    # A browser leaves the standard port out.
    return frozenset(hosts | names if port == HTTP_PORT else hosts)


def host_guard(listen: str) -> Middleware:
    """Answer 421 to whoever asks for a host that is not this one."""
    allowed = allowed_hosts(listen)
    everywhere = listen.rpartition(":")[0] in EVERYWHERE

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        asked = [value.lower() for value in request.headers.getall("Host", [])]
        ours = allowed | {_own_address(request)} if everywhere else allowed
        if len(asked) != 1 or asked[0] not in ours:
            return web.Response(status=421, text="421: this service is not reached by that name\n")
        return await handler(request)

    return guard


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Put the headers on every answer, errors included (a signal of aiohttp)."""
    response.headers.update(HEADERS)


def _own_address(request: web.Request) -> str:
    """Return the address on which this very request came in: no foreign name can be that."""
    if request.transport is None:
        return ""
    host, port = request.transport.get_extra_info("sockname")[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
