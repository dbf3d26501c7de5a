"""Mayan EDMS 4 as a target, by its REST interface (version 4, `<url>` ends with `/api/v4`).

    POST documents/upload/          the part's key is its description from the first moment
    POST documents/N/metadata/      the key and what the configuration maps, each in its own type
    POST cabinets/N/documents/add/
    GET  documents/N/files/M/download/   hashed: that is the receipt

Mayan cannot refuse a second document under a key, so a document is looked for before it is sent:
by metadata and by description in the search index, and, as the index lags behind, by description
among the newest documents, which come from the database. One that a crash left without its
metadata is found by its description and completed. What a person wrote over there stays.

A body that breaks off is refused by Mayan as it is today (400). Nothing depends on that: the type,
without which nothing is stored, is sent behind the file. The document is there before its file
is: one without a file is in doubt, until Mayan removes it (a day later).
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiohttp import MultipartWriter

from daemon.document import Receipt, Role
from daemon.errors import PermanentError, TargetDisagrees, TargetDuplicate, TransientError
from daemon.targets import split
from daemon.targets.http import Http, measured
from daemon.targets.sent import Sent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from daemon.targets import Sending
    from daemon.targetsections import MayanSection

THERE: Final = frozenset({200})
MADE: Final = frozenset({200, 201})
OR_ABSENT: Final = frozenset({200, 404})
PAGE: Final = 100
NEWEST: Final = 50
"""So many of the newest documents are looked through for what the search index lacks."""
PAGES: Final = 20
SEEN_SECONDS: Final = 60.0
"""So long after an upload it is asked again for the document, its file and its place in the index."""
PAUSE_SECONDS: Final = 0.5
STUB_SECONDS: Final = 90_000.0
"""After a day (document_stub_expiration_interval) Mayan removes what has no file; and an hour."""
SETUP_SECONDS: Final = 300.0
"""So long the numbers of types and cabinets hold before they are looked up again."""
SEARCH: Final = "/search/advanced/documents.documentsearchresult/"
REFERENCE: Final = re.compile(r"documents/([0-9]{1,18})/files/([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class _Setup:
    """The numbers of what the configuration names."""

    type_id: int
    metadata_types: Mapping[str, int]
    cabinets: tuple[int, ...]
    at: float


@dataclass(frozen=True, slots=True)
class _Document:
    """What Mayan says of a document."""

    id: int
    uuid: str
    description: str


@dataclass(frozen=True, slots=True)
class _File:
    """What Mayan says of one file of a document."""

    id: int
    size: int | None


class MayanTarget:
    """The documents of one type in one Mayan."""

    create_once = False

    def __init__(
        self,
        section: MayanSection,
        credentials: str | None,
        clock: Callable[[], datetime],
        *,
        seen_seconds: float = SEEN_SECONDS,
    ) -> None:
        """Connect to nobody yet."""
        self.name = section.name
        self.role = Role(section.role)
        self._section = section
        self._http = Http(section, credentials, login="basic" if section.user else "token")
        self._clock = clock
        self._seen_seconds = seen_seconds
        self._setup: _Setup | None = None
        self._acknowledged: dict[str, tuple[int, float]] = {}
        """What Mayan gave a number, when, and has not shown whole yet: these are not sent again."""

    async def find(self, part: Sending) -> Receipt | None:
        """See Target.find. What is there without its metadata is completed."""
        split(part.key)
        found = await self._look(part.key)
        if not found:
            return None
        return await self._receipt(part, await self._completed(part, self._only(part, found)))

    async def put(self, part: Sending) -> Receipt:
        """See Target.put."""
        if held := await self.find(part):
            return held
        number = await self._upload(part, (await self._known()).type_id)
        self._acknowledged[part.key] = number, time.monotonic()
        try:
            async with asyncio.timeout(self._seen_seconds):
                return await self._appeared(part, number)
        except TimeoutError:
            raise self._hidden(f"took document {number} and does not show it whole") from None
        except TransientError as exc:
            exc.in_doubt = True
            raise

    async def prove(self, receipt: Receipt, part: Sending) -> Receipt | None:
        """See Target.prove: that very file of that very document; in the trash it is gone."""
        known = REFERENCE.fullmatch(receipt.reference)
        if known is None:
            raise TargetDisagrees(f"{self.name}: {part.key} has a receipt of another kind")
        number, file_id = map(int, known.groups())
        document = await self._document(number)
        if document is None or document.uuid != receipt.detail.get("uuid", document.uuid):
            await self._known(anew=True)  # whoever may see nothing any more must not say: gone
            return None
        if file_id not in {file.id for file in await self._files(number)}:
            return None
        return await self._read_back(part, document, file_id)

    async def close(self) -> None:
        """See Target.close."""
        await self._http.close()

    # -- looking for a part --------------------------------------------------------------------

    async def _look(self, key: str) -> dict[int, _Document]:
        """Return each document that has *key*, by its number."""
        await self._known()
        found = await self._indexed(key)
        entries = await self._page("/documents/created/", {"page_size": str(NEWEST)})
        newest = [_document(self.name, entry) for entry in entries]
        found |= {one.id: one for one in newest if one.description == key}
        if key in self._acknowledged:
            number, at = self._acknowledged[key]
            document = await self._document(number)
            if document is not None:
                found[number] = document
            elif await self._trashed(number) or time.monotonic() - at > STUB_SECONDS:
                del self._acknowledged[key]
            else:  # it was taken: whoever has lost the right to see it must not send it again
                raise self._hidden(f"took document {number} and does not show it")
        return found

    async def _indexed(self, key: str) -> dict[int, _Document]:
        """Return what the search index has under *key*; it finds words, so each hit is looked at."""
        words = f'"{key}"'
        asked = {"metadata__value": words, "description": words, "_match_all": "false"}
        hits: dict[int, _Document] = {}
        for entry in await self._page(SEARCH, asked, whole=True):
            document = _document(self.name, entry)
            if document.description != key:
                held = await self._metadata(document.id)
                if held.get(self._section.key_type, (0, ""))[1] != key:
                    continue
            hits[document.id] = document
        return hits

    def _only(self, part: Sending, found: Mapping[int, _Document]) -> _Document:
        if len(found) > 1:
            numbers = ", ".join(map(str, sorted(found)))
            raise TargetDuplicate(f"{self.name} holds {part.key} as documents {numbers}")
        (document,) = found.values()
        return document

    async def _appeared(self, part: Sending, number: int) -> Receipt:
        """Return the receipt once the document is there with its file, and the index knows it."""
        document = await self._document(number)
        while document is None or not await self._files(number):
            await self._pause()
            document = await self._document(number)
        await self._completed(part, document)
        found = await self._indexed(part.key)
        while number not in found:
            await self._pause()
            found = await self._indexed(part.key)
        return await self._receipt(part, self._only(part, found))

    async def _pause(self) -> None:
        await asyncio.sleep(PAUSE_SECONDS)

    # -- one document --------------------------------------------------------------------------

    async def _upload(self, part: Sending, type_id: int) -> int:
        """Send the file; return the number of the document that Mayan made for it."""
        document_id, file = split(part.key)
        facts = part.about.facts
        sent = Sent(part, self._http.pace, content_type="application/octet-stream")
        label = " ".join(filter(None, (facts.get("batch"), facts.get("number")))) or document_id
        with MultipartWriter("form-data") as form:
            for name, text in (("label", label[:255]), ("description", part.key)):
                form.append(text).set_content_disposition("form-data", name=name)
            sent.set_content_disposition("form-data", name="file", filename=file)
            form.append_payload(sent)
            last = form.append(str(type_id))
            last.set_content_disposition("form-data", name="document_type_id")
        async with self._http.asked(
            "POST", "/documents/upload/", data=form, sent=sent, expect=MADE, storing=True
        ) as answer:
            try:
                return _number(self.name, _mapping(self.name, await answer.json()).get("id"))
            except TransientError as exc:
                exc.in_doubt = True
                raise

    async def _completed(self, part: Sending, document: _Document) -> _Document:
        """Add what the document lacks of metadata and cabinets; what is there stays."""
        setup = await self._known()
        wanted = {self._section.key_type: part.key}
        for name, fact in self._section.metadata.items():
            if text := _fact(part, fact):
                wanted[name] = text
        held = await self._metadata(document.id)
        for name, text in wanted.items():
            own, before = held.get(name, (0, ""))
            place = f"/documents/{document.id}/metadata/"
            if not own:
                body = {"metadata_type_id": setup.metadata_types[name], "value": text}
                await self._change("POST", place, body)
            elif not before:
                await self._change("PATCH", f"{place}{own}/", {"value": text})
        if setup.cabinets:
            entries = await self._page(f"/documents/{document.id}/cabinets/", whole=True)
            inside = {_number(self.name, _mapping(self.name, one).get("id")) for one in entries}
            for cabinet in setup.cabinets:
                if cabinet not in inside:
                    body = {"document": document.id}
                    await self._change("POST", f"/cabinets/{cabinet}/documents/add/", body)
        return document

    async def _receipt(self, part: Sending, document: _Document) -> Receipt:
        """Return the receipt for the document's one file that is ours."""
        files = await self._files(document.id)
        if not files or files[0].size is None:
            raise self._hidden(f"has document {document.id} and does not show its file yet")
        # A file that a person added later is theirs; the first one is ours.
        receipt = await self._read_back(part, document, files[0].id)
        self._acknowledged.pop(part.key, None)
        return receipt

    async def _read_back(self, part: Sending, document: _Document, file_id: int) -> Receipt:
        place = f"documents/{document.id}/files/{file_id}"
        async with self._http.asked("GET", f"/{place}/download/", expect=OR_ABSENT) as answer:
            if answer.status not in THERE:
                raise TransientError(
                    "target-login-refused", f"{self.name} shows a file and does not let us read it"
                )
            digest, size = await measured(answer.pieces())
        if (digest, size) != (part.digest, part.size):
            raise TargetDisagrees(
                f"{self.name} has {size} bytes with {digest} as document {document.id}"
            )
        return Receipt(
            target=self.name,
            key=part.key,
            size=size,
            digest=digest,
            reference=place,
            grade="bytes",
            proved_at=self._clock(),
            detail={"object_id": str(document.id), "uuid": document.uuid},
        )

    # -- what Mayan says -----------------------------------------------------------------------

    async def _known(self, *, anew: bool = False) -> _Setup:
        """Return the numbers of what is configured; TransientError if Mayan shows not all of it."""
        now = time.monotonic()
        if not anew and self._setup and now - self._setup.at < SETUP_SECONDS:
            return self._setup
        section = self._section
        types = dict(self._named(await self._page("/document_types/", whole=True), "label"))
        type_id = self._must("document type", types, section.document_type)
        entries = await self._page(f"/document_types/{type_id}/metadata_types/", whole=True)
        inner = [_mapping(self.name, entry).get("metadata_type") for entry in entries]
        metadata = dict(self._named(inner, "name"))
        cabinets: dict[str, int] = {}
        if section.cabinets:
            cabinets = dict(self._named(await self._page("/cabinets/", whole=True), "full_path"))
        for name in (section.key_type, *section.metadata):
            self._must(f"metadata type of {section.document_type}", metadata, name)
        numbers = tuple(self._must("cabinet", cabinets, name) for name in section.cabinets)
        self._setup = _Setup(type_id, metadata, numbers, now)
        return self._setup

    def _named(self, entries: list[Any], by: str) -> Iterator[tuple[str, int]]:
        for entry in entries:
            said = _mapping(self.name, entry)
            yield _text(self.name, said.get(by)), _number(self.name, said.get("id"))

    def _must(self, what: str, found: Mapping[str, int], name: str) -> int:
        if name not in found:
            raise TransientError("target-lacks", f"{self.name} shows us no {what} {name!r}")
        return found[name]

    async def _document(self, number: int) -> _Document | None:
        async with self._http.asked("GET", f"/documents/{number}/", expect=OR_ABSENT) as answer:
            if answer.status not in THERE:
                return None
            return _document(self.name, await answer.json())

    async def _trashed(self, number: int) -> bool:
        place = f"/trashed_documents/{number}/"
        async with self._http.asked("GET", place, expect=OR_ABSENT) as answer:
            return answer.status in THERE

    async def _files(self, number: int) -> list[_File]:
        """Return the files of a document, the first one first."""
        found = []
        for entry in await self._page(f"/documents/{number}/files/", whole=True):
            said = _mapping(self.name, entry)
            size = said.get("size")
            whole = size if isinstance(size, int) else None
            found.append(_File(_number(self.name, said.get("id")), whole))
        return sorted(found, key=lambda file: file.id)

    async def _metadata(self, number: int) -> dict[str, tuple[int, str]]:
        """Return number and value of each metadata of a document, by the name of its type."""
        found = {}
        for entry in await self._page(f"/documents/{number}/metadata/", whole=True):
            said = _mapping(self.name, entry)
            kind = _mapping(self.name, said.get("metadata_type"))
            own = _number(self.name, said.get("id"))
            found[_text(self.name, kind.get("name"))] = (
                own,
                _text(self.name, said.get("value") or ""),
            )
        return found

    async def _page(
        self, place: str, asked: Mapping[str, str] | None = None, *, whole: bool = False
    ) -> list[Any]:
        """Return the entries of a list: its first page, or all of it."""
        entries: list[Any] = []
        for number in range(1, PAGES + 1):
            params = {"page_size": str(PAGE), **(asked or {}), "page": str(number)}
            async with self._http.asked("GET", place, params=params, expect=THERE) as answer:
                said = _mapping(self.name, await answer.json())
            results = said.get("results")
            if not isinstance(results, list):
                raise _unreadable(self.name)
            entries += results
            if not whole or not said.get("next"):
                return entries
        raise TransientError("target-answer-unreadable", f"{self.name}: a list without an end")

    def _hidden(self, what: str) -> TransientError:
        return TransientError("target-hides", f"{self.name} {what}", in_doubt=True)

    async def _change(self, method: str, place: str, body: Mapping[str, Any]) -> None:
        """Change something of a document that is there already: it is ours, so nothing is lost."""
        try:
            async with self._http.asked(method, place, json_data=body, expect=MADE, storing=True):
                pass
        except PermanentError as exc:
            raise PermanentError("target-refuses", f"{exc.args[0]} ({place})") from exc


def _fact(part: Sending, name: str) -> str:
    return split(part.key)[0] if name == "id" else part.about.facts.get(name, "")


def _document(target: str, entry: Any) -> _Document:
    said = _mapping(target, entry)
    return _Document(
        _number(target, said.get("id")),
        _text(target, said.get("uuid")),
        _text(target, said.get("description")),
    )


def _mapping(target: str, said: Any) -> Mapping[str, Any]:
    if not isinstance(said, dict):
        raise _unreadable(target)
    return said


def _number(target: str, said: Any) -> int:
    if type(said) is not int or not 0 < said < 1 << 53:
        raise _unreadable(target)
    return said


def _text(target: str, said: Any) -> str:
    if not isinstance(said, str):
        raise _unreadable(target)
    return said


def _unreadable(target: str) -> TransientError:
    return TransientError("target-answer-unreadable", f"{target}: an answer of another form")
