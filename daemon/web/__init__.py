"""The technician's page: server-rendered, read-only, for one box.

    request ─▶ guard (is it our name?) ─▶ pages ─▶ snapshot, or a reader of its own ─▶ template

It only looks: no route changes anything, so there is nothing to post. Without a
log-in nothing here names people: no file name, no operator (I9). All it needs is
in this folder; the browser is told to load nothing from anywhere else.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import web

from daemon.web.guard import add_headers, host_guard
from daemon.web.pages import PageContext, Pages

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["PageContext", "build", "start"]

STATIC: Final = Path(__file__).parent / "static"
SHUTDOWN_SECONDS: Final = 1.0
"""A stop does not wait for a browser that holds its connection open."""
KEEPALIVE_SECONDS: Final = 15.0


def build(context: PageContext) -> web.Application:
    """Return the application; it opens nothing before it is asked."""
    pages = Pages(context)
    app = web.Application(
        middlewares=[host_guard(context.listen), pages.errors], client_max_size=1 << 16
    )
    app.router.add_get("/", pages.overview)
    app.router.add_get("/documents", pages.documents)
    app.router.add_get("/documents/{id}", pages.document)
    app.router.add_get("/api/status", pages.api_status)
    app.router.add_get("/healthz", pages.healthz)
    app.router.add_get("/readyz", pages.readyz)
    app.router.add_get("/metrics", pages.metrics)
    app.router.add_static("/static", STATIC)
    app.on_response_prepare.append(add_headers)

    async def close(_app: web.Application) -> None:
        await pages.close()

    app.on_cleanup.append(close)
    return app


async def start(context: PageContext) -> Callable[[], Awaitable[None]]:
    """Listen; return what has to be awaited to stop. Raise OSError if the address is taken."""
    runner = web.AppRunner(
        build(context),
        access_log=None,  # the journal is no place for who looked at what
        shutdown_timeout=SHUTDOWN_SECONDS,
        keepalive_timeout=KEEPALIVE_SECONDS,
    )
    await runner.setup()
    host, _, port = context.listen.rpartition(":")
    try:
        await web.TCPSite(runner, host.strip("[]"), int(port)).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner.cleanup
