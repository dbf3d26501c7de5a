"""A fake of enaio's DMS service: there is no enaio that could be had for tests.

Made from the vendor's documented requests and answers (docs/targets/enaio.md says which), it is
strict about all that is documented there: an answer of 200 here says that a request has the
documented form, not that a real enaio would store it. Where the documents are silent it refuses.

A real server on loopback, in a thread. It misbehaves on command; see `Enaio`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from aiohttp import BodyPartReader, web

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Coroutine, Mapping

USER, PASSWORD = "scanseal", "geheim ÄÖ:"
TYPE, TYPE_NUMBER, PARENT = "Posteingang", "262208", "4711"
FIELDS: Final[dict[str, int]] = {
    "ScanId": 80,
    "Betreff": 50,
    "Nummer": 20,
    "Stapel": 20,
    "Erfasst": 24,
    "Pruefsumme": 64,
    "Archiv": 200,
    "ErsetztDurch": 36,
}
"""The index fields of the type, all of them texts, and how long each may be."""
SYSTEM: Final = frozenset({"system:objectTypeId", "system:parentId"})
READABLE: Final = frozenset({"system:objectId", "system:objectTypeId", *FIELDS})
REFUSED_OPTIONS: Final = frozenset(
    {"APPENDFILESTOFRONT", "COPYCREATEHISTORY", "DELETEVARIANTMODE", "CHECKACCESS"}
)
SEEN: Final = {
    False: {"DELETED_DOCUMENTS_EXCLUDE", "DELETED_DOCUMENTS_INCLUDE"},
    True: {"DELETED_DOCUMENTS_ONLY", "DELETED_DOCUMENTS_INCLUDE"},
}
"""Which searches see what is not, and what is, in the recycle bin."""
QUERY: Final[dict[str, type]] = {
    "statement": str,
    "skipCount": int,
    "maxItems": int,
    "handleDeletedDocuments": str,
    "includePermissions": bool,
    "parameters": dict,
}
STATEMENT: Final = re.compile(
    r"SELECT (?P<what>[\w:]+(?:, [\w:]+)*) FROM (?P<type>\w+) WHERE (?P<field>[\w:]+)=@(?P<name>\w+)"
)


class Sent(NamedTuple):
    """A part of a form that has a file."""

    data: bytes
    kind: str
    name: str


@dataclass(slots=True)
class Stored:
    """One object."""

    properties: dict[str, str]
    content: bytes | None
    media_type: str
    file_name: str
    hidden: int = 0
    """So many searches do not show it yet."""
    trashed: bool = False


class Refusal(Exception):
    """What is answered in place of what was wanted."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Cut(Exception):
    """The connection ends here."""


@dataclass
class Enaio:
    """The server; a context manager. The names below are how it is told to misbehave."""

    lag: int = 0
    """So many searches do not show what was inserted before them."""
    broken: frozenset[str] = frozenset()
    """Inserts whose key is one of these are answered with 500."""
    down: bool = False
    busy: str = ""
    """429, with this as Retry-After."""
    locked_out_after: int = -1
    """So many requests, then the password is wrong."""
    unique: bool = False
    """The field of the key is unique: a second object is refused."""
    undeletable: bool = False
    """Our user may delete nothing."""
    unframed: bool = False
    """Files come without a length, until the connection ends; and only the first half of them."""
    mandatory: frozenset[str] = frozenset()
    largest: int = 1 << 30
    locked: set[str] = field(default_factory=set)
    """Objects that somebody has checked out."""
    insert: Callable[[Stored], Awaitable[web.StreamResponse]] | None = None
    """What becomes of an insert that is as it should be, in place of storing and answering."""
    answer: Callable[[web.Request], web.StreamResponse | None] = lambda _: None
    """What is answered in place of the truth, if anything."""

    context: ssl.SSLContext | None = None
    """With it only TLS is spoken."""

    objects: dict[str, Stored] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    inserted: list[dict[str, Any]] = field(default_factory=list)
    """The `data` of each insert."""
    url: str = ""
    _numbers: int = 2562
    _cut: str = ""
    _late: list[Stored] = field(default_factory=list)

    # -- what tests ask and do behind our back ------------------------------------------

    def holding(self, key: str) -> list[str]:
        """Return the numbers of the objects that have *key*."""
        return [
            number
            for number, one in self.objects.items()
            if one.properties.get("ScanId") == key and not one.trashed
        ]

    def store(self, one: Stored) -> str:
        """Store it, and return its number."""
        self._numbers += 1
        one.hidden = self.lag
        self.objects[str(self._numbers)] = one
        return str(self._numbers)

    def posts(self) -> int:
        """Return how many inserts there were."""
        return sum(path == "/api/dms/objects" for _, path in self.asked)

    def show(self) -> None:
        """Let the index catch up."""
        self.lag = 0
        for one in self.objects.values():
            one.hidden = 0

    # -- ways to misbehave --------------------------------------------------------------

    async def stored_and_cut(self, one: Stored) -> web.StreamResponse:
        """Store it; the answer is lost."""
        self.store(one)
        raise Cut

    async def stored_late(self, one: Stored) -> web.StreamResponse:
        """Store it once it is let go: long after the client gave up."""
        self._late.append(one)
        await self._over.wait()
        raise Cut

    def let_go(self) -> None:
        """Let what came late be stored."""
        while self._late:
            self.store(self._late.pop())

    async def stored_twice(self, one: Stored) -> web.StreamResponse:
        """Store it, and once more, as after a retry inside of the server."""
        self.store(one)
        return made(self.store(replace(one)), one)

    async def stored_as_another(self, one: Stored) -> web.StreamResponse:
        """Store it under another number than the one that is answered."""
        return made(str(int(self.store(one)) + 1), one)

    def stored_with(self, content: bytes) -> Callable[[Stored], Awaitable[web.StreamResponse]]:
        """Store other bytes than came."""

        async def insert(one: Stored) -> web.StreamResponse:
            one.content = content
            return made(self.store(one), one)

        return insert

    def answered(
        self, body: Any, *, store: bool
    ) -> Callable[[Stored], Awaitable[web.StreamResponse]]:
        """Answer 200 with *body*, having stored it or not."""

        async def insert(one: Stored) -> web.StreamResponse:
            if store:
                self.store(one)
            return web.json_response(body)

        return insert

    def says(self, path: str, body: bytes, kind: str) -> None:
        """Answer 200 with *body* wherever the path ends like that."""

        def answer(request: web.Request) -> web.Response | None:
            ends = request.path.endswith(path)
            return web.Response(body=body, content_type=kind) if ends else None

        self.answer = answer

    def cut(self, path: str) -> None:
        """Cut answers in their middle wherever the path ends like that; "": nowhere."""
        self._cut = path

    # -- a server in a thread --------------------------------------------------------------

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._on_loop(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._on_loop(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _on_loop(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _start(self) -> None:
        self._over = asyncio.Event()
        app = web.Application(client_max_size=1 << 30)
        app.router.add_post("/api/dms/objects", self._guarded(self._post))
        app.router.add_post("/api/dms/objects/search", self._guarded(self._search))
        app.router.add_get("/api/dms/objects/{id}", self._guarded(self._get))
        app.router.add_patch("/api/dms/objects/{id}", self._guarded(self._patch))
        app.router.add_delete("/api/dms/objects/{id}", self._guarded(self._delete))
        app.router.add_get("/api/dms/objects/{id}/contents/file", self._guarded(self._content))
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self.context).start()
        self.url = f"http{'s' if self.context else ''}://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _stop(self) -> None:
        self._over.set()
        await self._runner.cleanup()

    def _guarded(
        self, work: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            self.asked.append((request.method, request.path))
            try:
                self._admit(request)
                if (instead := self.answer(request)) is not None:
                    await request.read()
                    return instead
                said = await work(request)
            except Refusal as exc:
                return _failed(exc.status, exc.code, exc.message)
            except Cut:
                return _ended(request)
            if self._cut and request.path.endswith(self._cut):
                return await _half(request, said)
            return said

        return answer

    def _admit(self, request: web.Request) -> None:
        """Refuse who may not, and what cannot be answered now."""
        if self.down:
            raise web.HTTPServiceUnavailable
        if self.busy:
            raise web.HTTPTooManyRequests(headers={"Retry-After": self.busy})
        known = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        login = request.headers.get("Authorization") == f"Basic {known}"
        if not login or 0 <= self.locked_out_after < len(self.asked):
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Basic realm="enaio"'})
        if request.query:
            raise Refusal(400, 1002, "unknown query parameter")

    # -- POST /api/dms/objects ---------------------------------------------------------------

    async def _post(self, request: web.Request) -> web.StreamResponse:
        if request.content_type != "multipart/form-data":
            raise Refusal(415, 1002, "not multipart/form-data")
        if (request.content_length or 0) > self.largest:
            await request.read()
            raise web.HTTPRequestEntityTooLarge(self.largest, request.content_length or 0)
        said, files = await self._parts(request)
        one = self._checked(said, files)
        key = one.properties.get("ScanId", "")
        if key in self.broken:
            raise Refusal(500, 3003, "Internal Server error")
        if self.unique and self.holding(key):
            raise Refusal(409, 1100, f"ScanId is unique, and {key} is there")
        self.inserted.append(said)
        if self.insert is not None:
            return await self.insert(one)
        return made(self.store(one), one)

    async def _parts(self, request: web.Request) -> tuple[Any, dict[str, Sent]]:
        said: Any = None
        files: dict[str, Sent] = {}
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or not part.name:
                raise Refusal(400, 1002, "a part without a name")
            data = bytes(await part.read())
            kind = part.headers.get("Content-Type", "")
            if part.name == "data":
                if not kind.startswith("application/json"):
                    raise Refusal(400, 1002, "data is not application/json")
                said = _json(data)
            else:
                files[part.name] = Sent(data, kind, part.filename or "")
        if said is None:
            raise Refusal(400, 1002, "no part named data")
        return said, files

    def _checked(self, said: Any, files: Mapping[str, Sent]) -> Stored:
        one = _the_object(said, {"properties", "contentStreams", "options"})
        properties = _values(one.get("properties"))
        if unknown := properties.keys() - FIELDS.keys() - SYSTEM:
            raise Refusal(422, 1003, f"unknown property {sorted(unknown)}")
        if properties.get("system:objectTypeId") not in {TYPE, TYPE_NUMBER}:
            raise Refusal(422, 1004, "unknown object type")
        if properties.get("system:parentId") != PARENT:
            raise Refusal(404, 1001, "Object not found.")
        self._fields({name: text for name, text in properties.items() if name in FIELDS})
        if lacking := self.mandatory - properties.keys():
            raise Refusal(422, 1005, f"mandatory field {sorted(lacking)}")
        _options(one.get("options", {}))
        stream = _stream(one.get("contentStreams"))
        if files.keys() != {stream["cid"]}:
            raise Refusal(400, 1002, "cid and the parts of the form do not agree")
        file = files[stream["cid"]]
        if (file.kind, file.name) != (stream["mimeType"], stream["fileName"]):
            raise Refusal(400, 1002, "the part has another type or name than its content stream")
        return Stored(properties, file.data, file.kind, file.name)

    def _fields(self, texts: Mapping[str, str]) -> None:
        for name, text in texts.items():
            if name not in FIELDS:
                raise Refusal(422, 1003, f"unknown property {name}")
            if len(text) > FIELDS[name]:
                raise Refusal(422, 1007, f"{name} is longer than {FIELDS[name]} letters: {text}")

    # -- the others --------------------------------------------------------------------------

    async def _search(self, request: web.Request) -> web.StreamResponse:
        if request.content_type != "application/json":
            raise Refusal(415, 1002, "not application/json")
        said = _json(await request.read())
        if type(said) is not dict or said.keys() != {"query"} or type(said["query"]) is not dict:
            raise Refusal(400, 1002, "query")
        query = said["query"]
        for name, value in query.items():
            if name not in QUERY or type(value) is not QUERY[name]:
                raise Refusal(400, 1002, f"query: {name}")
        if (
            query.get("handleDeletedDocuments", "DELETED_DOCUMENTS_EXCLUDE")
            not in SEEN[False] | SEEN[True]
        ):
            raise Refusal(400, 1002, "handleDeletedDocuments")
        parsed = STATEMENT.fullmatch(query.get("statement", ""))
        if parsed is None:
            raise Refusal(400, 1010, "statement")
        what = parsed["what"].split(", ")
        if parsed["type"] != TYPE or {*what, parsed["field"]} - READABLE:
            raise Refusal(400, 1011, "object type or field is not known")
        if parsed["name"] not in query.get("parameters", {}):
            raise Refusal(400, 1012, "parameter is missing")
        return self._found(query, what, parsed["field"], query["parameters"][parsed["name"]])

    def _found(
        self, query: Mapping[str, Any], what: list[str], name: str, wanted: str
    ) -> web.StreamResponse:
        found = []
        for number, one in self.objects.items():
            hidden, one.hidden = one.hidden, max(one.hidden - 1, 0)
            known = {**one.properties, "system:objectId": number}
            # enaio compares without regard to upper and lower case.
            deleted = query.get("handleDeletedDocuments", "DELETED_DOCUMENTS_EXCLUDE")
            seen = not hidden and deleted in SEEN[one.trashed]
            if seen and known.get(name, "").lower() == wanted.lower():
                found.append({"properties": {col: {"value": known.get(col)} for col in what}})
        first = query.get("skipCount", 0)
        shown = found[first : first + query.get("maxItems", 50)]
        return web.json_response(
            {
                "objects": shown,
                "numItems": len(shown),
                "hasMoreItems": first + len(shown) < len(found),
                "totalNumItems": len(found),
            }
        )

    def _one(self, request: web.Request) -> Stored:
        one = self.objects.get(request.match_info["id"])
        if one is None or one.trashed:
            raise Refusal(404, 1001, "Object not found.")
        return one

    async def _get(self, request: web.Request) -> web.StreamResponse:
        one = self._one(request)
        return made(request.match_info["id"], one)

    async def _patch(self, request: web.Request) -> web.StreamResponse:
        one, number = self._one(request), request.match_info["id"]
        if request.content_type != "application/json":
            raise Refusal(415, 1002, "not application/json")
        properties = _values(
            _the_object(_json(await request.read()), {"properties", "options"}).get("properties")
        )
        if number in self.locked:
            raise Refusal(409, 1101, "checked out")
        self._fields(properties)
        one.properties.update(properties)
        return made(number, one)

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        one = self._one(request)
        if self.undeletable:
            raise Refusal(400, 1100, "You are not allowed to delete the object.")
        one.trashed = True
        return web.Response(status=204)

    async def _content(self, request: web.Request) -> web.StreamResponse:
        one = self._one(request)
        if one.content is None:
            raise Refusal(404, 1001, "No content.")
        if self.unframed:
            return _until_closed(request, one)
        return web.Response(body=one.content, content_type=one.media_type)


def made(number: str, one: Stored) -> web.Response:
    """Answer with an object as the DMS service does."""
    properties = {name: {"value": text} for name, text in one.properties.items()}
    properties["system:objectId"] = {"value": number}
    stream = {"mimeType": one.media_type, "fileName": one.file_name}
    return web.json_response({"objects": [{"properties": properties, "contentStreams": [stream]}]})


def _failed(status: int, code: int, message: str) -> web.Response:
    failed = {"message": message, "code": code, "innerError": {"message": message}}
    return web.json_response({"objects": [], "failed": [failed]}, status=status)


def _options(options: Any) -> None:
    if type(options) is not dict or REFUSED_OPTIONS & options.keys():
        raise Refusal(400, 1006, "option not allowed")
    if any(type(value) is not int or value not in {0, 1} for value in options.values()):
        raise Refusal(400, 1006, "options are 0 or 1")


def _stream(streams: Any) -> dict[str, str]:
    """Return the only content stream of an object."""
    if type(streams) is not list or len(streams) != 1 or type(streams[0]) is not dict:
        raise Refusal(400, 1002, "one content stream is needed here")
    stream: dict[str, str] = streams[0]
    if stream.keys() != {"mimeType", "fileName", "cid"}:
        raise Refusal(400, 1002, "a content stream has mimeType, fileName and cid")
    if any(type(value) is not str or not value for value in stream.values()):
        raise Refusal(400, 1002, "what a content stream has are texts")
    if re.search(r"[/\\\0]", stream["fileName"]) or stream["fileName"].startswith("."):
        raise Refusal(400, 1002, "a file name, no path")
    return stream


def _ended(request: web.Request) -> web.Response:
    """End the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def _until_closed(request: web.Request, one: Stored) -> web.Response:
    """Send the first half of a file so that nobody can tell (RFC 9112, 6.3)."""
    assert request.transport is not None
    assert one.content is not None
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {one.media_type}\r\nConnection: close\r\n\r\n"
    request.transport.write(head.encode() + one.content[: len(one.content) // 2])
    request.transport.close()
    return web.Response()


async def _half(request: web.Request, said: web.StreamResponse) -> web.StreamResponse:
    """Send the head of an answer and the first half of its body."""
    assert isinstance(said, web.Response)
    assert isinstance(said.body, bytes)
    half = web.StreamResponse(status=said.status)
    half.content_length, half.content_type = len(said.body), said.content_type
    await half.prepare(request)
    await half.write(said.body[: len(said.body) // 2])
    return _ended(request)


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        raise Refusal(400, 1002, "no JSON") from None


def _the_object(said: Any, known: set[str]) -> dict[str, Any]:
    """Return the only object of `{"objects": […]}`."""
    objects = said.get("objects") if type(said) is dict and said.keys() == {"objects"} else None
    if type(objects) is not list or len(objects) != 1 or type(objects[0]) is not dict:
        raise Refusal(400, 1002, "objects")
    if objects[0].keys() - known:
        raise Refusal(400, 1002, "an object has properties, contentStreams and options")
    return dict(objects[0])


def _values(properties: Any) -> dict[str, str]:
    """Return the texts of `{"Name": {"value": "text"}, …}`."""
    if type(properties) is not dict or not properties:
        raise Refusal(400, 1002, "properties")
    for entry in properties.values():
        if type(entry) is not dict or entry.keys() != {"value"} or type(entry["value"]) is not str:
            raise Refusal(400, 1002, "a property is an object with a text as its value")
    return {name: entry["value"] for name, entry in properties.items()}
