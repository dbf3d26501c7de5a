"""The pages: each asks for what it shows, once, and renders it.

The snapshot comes from the service. Documents are read from the spool over a
read-only connection of this module's own, in a thread, one question at a time: a
page never waits for a stage, and no stage for a page.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlencode

import jinja2
from aiohttp import web

from daemon import findings, ledger, notewords, qualified, status, stored
from daemon.document import Event, State, is_id, utc_time
from daemon.errors import PermanentError, PersonNeeded
from daemon.formats import Formats
from daemon.records.reader import open_reader
from daemon.web import metrics
from daemon.web.formats import commands, pretty
from daemon.words import LANGUAGES, WORDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.typedefs import Handler

    from daemon.document import Delivery, Document
    from daemon.records.reader import Reader
    from daemon.status import Snapshot

T = TypeVar("T")

ENGLISH: Final = LANGUAGES.index("en")
NEWEST: Final = 15
"""So many documents stand on the overview."""
PER_PAGE: Final = 50
REFRESH_SECONDS: Final = 3
SLOW_REFRESH_SECONDS: Final = 10
"""Without JavaScript the whole page is loaded anew, which takes the reader's place away."""
SAID_BY_ALARMS: Final = frozenset(
    {"alarms-raised", "token-not-ready", "certificate-problem", "clock-not-trusted"}
)
"""What is to be done about these stands at their alarms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageContext:
    """What the page is told by the service."""

    snapshot: Callable[[], Awaitable[Snapshot]]
    database: Path
    language: str
    timezone: str
    listen: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Whole:
    """One document with everything that is shown of it."""

    document: Document
    deliveries: list[Delivery]
    receipts: dict[str, list[dict[str, Any]]]
    lines: list[tuple[dict[str, Any], str]]
    """Each ledger line with its hash."""
    stands_for: list[Document]
    """The refused ones that this one has replaced."""
    resembles: str
    """The id of a refused one that it may replace, as long as nobody has decided."""
    pages: dict[str, str]
    """Which pages a finding is about, by its code."""
    note: dict[str, str]
    """The fields of its transfer note, if it has one."""
    note_code: str
    """Why its note cannot be shown."""
    stamped_by: str
    """Whose time stamp is in its seal; "" if there is none, or nobody wrote that down."""
    quality: str
    """What its seal is: a word of qualified.py, as its note has it; "" where that is not known."""


class _UnreadableError(Exception):
    """The spool does not answer."""


class Pages:
    """The handlers of all routes."""

    def __init__(self, context: PageContext) -> None:
        """Load the templates; the spool is opened by the first page that needs it."""
        self._context = context
        self._reader: Reader | None = None
        self._reading = asyncio.Lock()
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.filters["commands"] = commands
        self._templates.filters["pretty"] = pretty
        self._templates.filters["moment_of"] = utc_time

    async def close(self) -> None:
        """Close the connection."""
        async with self._reading:
            if self._reader is not None:
                await asyncio.to_thread(self._reader.close)
                self._reader = None

    # -- for people ------------------------------------------------------------------

    async def overview(self, request: web.Request) -> web.Response:
        """Return the one page a technician needs."""
        snapshot = await self._context.snapshot()
        newest: list[Document] = []
        if snapshot.records_readable:
            newest = await self._ask(lambda reader: reader.newest(NEWEST))
        return self._page(request, "overview.html", snapshot, newest=newest)

    async def documents(self, request: web.Request) -> web.Response:
        """Return a list of documents, the newest first: `?state=` and `?before=` narrow it."""
        before = request.query.get("before", "")
        before = before if is_id(before) else ""
        asked = request.query.get("state", "")
        state = State(asked) if asked in set(State) else None
        found = await self._ask(lambda reader: reader.newest(PER_PAGE + 1, before, state))
        return self._page(
            request,
            "documents.html",
            await self._context.snapshot(),
            found=found[:PER_PAGE],
            state=state,
            before=before,
            more=len(found) > PER_PAGE,
        )

    async def document(self, request: web.Request) -> web.Response:
        """Return everything about one document that names no people."""
        document_id = request.match_info["id"]
        try:
            documents = self._context.database.parent / "documents"
            whole = await self._ask(lambda reader: _whole(reader, document_id, documents))
        except PersonNeeded:
            raise web.HTTPNotFound from None
        return self._page(
            request,
            "document.html",
            await self._context.snapshot(),
            whole=whole,
            note_code=whole.note_code,
            note=whole.note,
        )

    # -- for machines ----------------------------------------------------------------

    async def api_status(self, _request: web.Request) -> web.Response:
        """Return the snapshot as JSON."""
        return web.json_response(status.as_json(await self._context.snapshot()))

    async def healthz(self, _request: web.Request) -> web.Response:
        """Say that the service's loop turns, and nothing more."""
        return web.Response(text="ok\n")

    async def readyz(self, _request: web.Request) -> web.Response:
        """Say whether scans that come now would be taken over and sealed."""
        snapshot = await self._context.snapshot()
        missing = []
        if not snapshot.records_readable:
            missing.append("records-unreadable")
        if snapshot.token.state != "ready":
            missing.append(snapshot.token.code or f"token-{snapshot.token.state}")
        if snapshot.clock:
            missing.append("clock-not-trusted")
        text = "".join(f"{code}\n" for code in missing) or "ready\n"
        return web.Response(status=503 if missing else 200, text=text)

    async def metrics(self, _request: web.Request) -> web.Response:
        """Return the snapshot for Prometheus."""
        body = metrics.text(await self._context.snapshot()).encode()
        return web.Response(body=body, headers={"Content-Type": metrics.CONTENT_TYPE})

    # -- inside ----------------------------------------------------------------------

    @property
    def errors(self) -> Any:
        """Show what is not there, and a spool that cannot be read, as pages with a way out."""

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                return await handler(request)
            except web.HTTPNotFound:
                return await self._error(request, 404, "")
            except _UnreadableError:
                return await self._error(request, 503, "records-unreadable")

        return middleware

    async def _error(self, request: web.Request, number: int, code: str) -> web.Response:
        snapshot = await self._context.snapshot()
        return self._page(request, "error.html", snapshot, number, number=number, code=code)

    async def _ask(self, question: Callable[[Reader], T]) -> T:
        async with self._reading:
            return await asyncio.to_thread(self._answer, question)

    def _answer(self, question: Callable[[Reader], T]) -> T:
        try:
            if self._reader is None:
                self._reader = open_reader(self._context.database)
            return question(self._reader)
        except (sqlite3.Error, ValueError) as exc:  # ValueError: a state or a time that is none
            # The next question opens it anew: the trouble may have been the connection's.
            self._reader = None
            raise _UnreadableError from exc

    def _page(
        self,
        request: web.Request,
        template: str,
        snapshot: Snapshot,
        status_code: int = 200,
        /,
        **values: Any,
    ) -> web.Response:
        chosen = request.query.get("lang", "")
        language = _language(chosen, request.headers.get("Accept-Language", ""), self._context)
        others = {name: value for name, value in request.query.items() if name != "lang"}
        formats = Formats(language, self._context.timezone, snapshot.at)
        if "note" in values:
            values["note"] = _headed(values["note"], formats)
        text = self._templates.get_template(template).render(
            s=snapshot,
            f=formats,
            language=language,
            # Once chosen, the language goes along with every link: there is no cookie.
            keep={"lang": language} if chosen in LANGUAGES else {},
            switch=_link("", others, {"lang": _other(language)}),
            zone=self._context.timezone,
            refresh=REFRESH_SECONDS,
            slow_refresh=SLOW_REFRESH_SECONDS,
            todo=_todo(snapshot),
            mood=_mood(snapshot),
            link=_link,
            **values,
        )
        response = web.Response(status=status_code, text=text, content_type="text/html")
        response.headers["Content-Language"] = language
        response.headers["Vary"] = "Accept-Language"
        return response


def _whole(reader: Reader, document_id: str, documents: Path) -> _Whole:
    document = reader.known(document_id)
    note, note_code = {}, ""
    if document.note is not None:
        try:
            note = notewords.from_xml(stored.note(documents, document))
        except PermanentError as exc:
            note_code = exc.code
    lines = [(json.loads(line), ledger.hash_of(line)) for line in reader.lines(document_id)]
    stamps = [line["detail"] for line, _ in lines if line["event"] == Event.STAMP]
    return _Whole(
        document=document,
        stamped_by=stamps[-1].get("stamped_by", "") if stamps else "",
        quality=_quality(note.get("certificate", "")),
        deliveries=reader.deliveries(document_id),
        receipts={
            target: json.loads(receipts)
            for target, receipts in reader.receipts(document_id).items()
        },
        lines=lines,
        stands_for=reader.superseded(document_id),
        resembles=reader.resembled(document),
        note=note,
        note_code=note_code,
        pages={
            code: runs.replace(",", ", ").replace("-", "–")
            for code, runs in findings.by_code(document.finding_pages).items()
        },
    )


def _quality(certificate: str) -> str:
    """Return the word that a note's line about its certificate ends with."""
    words = (word for word in qualified.WORDS if certificate.endswith(f"; {WORDS[word][ENGLISH]}"))
    return next(words, "")


def _headed(note: dict[str, str], formats: Formats) -> tuple[notewords.Heading, ...]:
    """Return a note in words, without whatever could name people (I9)."""

    def moment(text: str) -> str:
        return formats.moment(utc_time(text), seconds=True)

    return notewords.headed(note, formats.language, moment, anonymous=True) if note else ()


def _todo(snapshot: Snapshot) -> list[str]:
    """Return the codes of what a person has to do beside what the alarms say."""
    said = SAID_BY_ALARMS if snapshot.alarms else frozenset({"alarms-raised"})
    return [code for code in snapshot.attention if code not in said and code != "token-starting"]


def _mood(snapshot: Snapshot) -> str:
    """Return the colour of the first answer: good, busy, warn or bad."""
    if snapshot.all_well:
        return "good"
    if snapshot.alarms or {"records-unreadable", "token-not-ready"} & set(snapshot.attention):
        return "bad"
    return "busy" if set(snapshot.attention) == {"token-starting"} else "warn"


def _link(path: str, *queries: dict[str, str]) -> str:
    """Return a link to one of our own pages; "" is the page itself."""
    query = {name: value for part in queries for name, value in part.items() if value}
    return f"{path}?{urlencode(query)}" if query else path


def _language(chosen: str, accepted: str, context: PageContext) -> str:
    """Return the language of a page: the one chosen, else the browser's first, else the box's."""
    if chosen in LANGUAGES:
        return chosen
    wishes: list[tuple[float, str]] = []
    for wish in accepted.lower().split(","):
        name, _, parameters = wish.strip().partition(";")
        _, _, quality = parameters.strip().partition("q=")
        try:
            wishes.append((float(quality or 1), name.split("-")[0]))
        except ValueError:
            continue
    for weight, wished in sorted(wishes, key=lambda wish: -wish[0]):
        if weight > 0 and wished in LANGUAGES:
            return wished
    return context.language


def _other(language: str) -> str:
    return "en" if language == "de" else "de"
