"""enaio as a target, through its DMS service: REST behind the gateway.

    search id_field ── none ──▶ insert ──▶ search again ──▶ read the content back ──▶ receipt
          └──── one ──────────────────────────────────────────▲

enaio gives its objects numbers of its own and refuses no second copy, so a key stands in an
index field and is searched for before and after each insert; a lost answer is the engine's
doubt (`create_once` is False). If the field is unique in enaio, a second copy is refused there,
and that refusal is answered by looking.

A search may lag behind the insert: it is repeated for `index_seconds`. Only tried against a
fake so far (tests/contract/enaio_fake.py); `scanseal selftest` tries the real one.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from aiohttp import BytesPayload, MultipartWriter

from daemon.document import Receipt, Role, is_id
from daemon.errors import PermanentError, TargetDisagrees, TargetDuplicate, TransientError
from daemon.targets import OWN_COPY_DAMAGED, split
from daemon.targets import enaioforms as forms
from daemon.targets.http import GOOD, Http, measured
from daemon.targets.sent import Sent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from daemon.document import Digest
    from daemon.targets import Sending
    from daemon.targets.http import Answer
    from daemon.targetsections import EnaioSection

OBJECTS: Final = "/api/dms/objects"
REFUSALS: Final = {
    400: "enaio-fields-refused",
    404: "enaio-parent-missing",
    409: "enaio-conflict",
    413: "target-too-large",
    422: "enaio-fields-refused",
}
"""What a status says about the one object that was to be inserted: it was not."""
UNKNOWN: Final = frozenset({400, 404, 422})
"""What a search is answered with whose type or field is not known there."""
ABSENT: Final = frozenset({204, 404})
LOCKED: Final = frozenset({409, 423})
NO_FILES: Final = frozenset({"application/json", "application/problem+json", "text/html"})
"""What a portal or an error answers in place of a file."""
FIRST_SECONDS: Final = 0.1
LONGEST_SECONDS: Final = 2.0
"""Between two searches for what was inserted."""


def utc_now() -> datetime:
    """Return the time of the box."""
    return datetime.now(UTC)


class EnaioTarget:
    """One object type in one enaio."""

    create_once = False

    def __init__(
        self,
        section: EnaioSection,
        credentials: str | None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Ask nobody yet; *credentials* is systemd's folder of them."""
        self.name = section.name
        self.role = Role(section.role)
        self._section = section
        self._http = Http(section, credentials)
        self._clock = clock

    async def close(self) -> None:
        """See Target.close."""
        await self._http.close()

    async def find(self, part: Sending) -> Receipt | None:
        """See Target.find: what our user may see, and what is not in the recycle bin."""
        split(part.key)
        for waited in self._waits():
            await asyncio.sleep(waited)
            object_id = await self._only(part.key)
            if not object_id:
                return None
            if receipt := await self._read_back(object_id, part):
                return receipt
        raise TargetDisagrees(f"{self.name}: object {object_id} of {part.key} has no content")

    async def put(self, part: Sending) -> Receipt:
        """See Target.put. What it replaces is marked first, so that no crash leaves that out."""
        if (held := await self.find(part)) is not None:
            return held
        await self._mark_replaced(part)
        try:
            object_id, problem = await self._insert(part)
        except PermanentError as exc:
            if exc.code == OWN_COPY_DAMAGED:
                raise
            # A unique field refuses a second copy: then the first one is what was wanted.
            if (held := await self.find(part)) is not None:
                return held
            raise
        with _stored_or_not():
            return await self._shown(object_id, problem, part)

    async def prove(self, receipt: Receipt, part: Sending) -> Receipt | None:
        """See Target.prove."""
        split(part.key)
        number = receipt.reference
        if not forms.is_object_id(number):
            raise TargetDisagrees(f"{self.name}: the receipt of {part.key} names no object")
        if await self._only(part.key) == number:
            return await self._read_back(number, part)
        expect = GOOD | ABSENT
        async with self._http.asked("GET", f"{OBJECTS}/{number}", expect=expect) as answer:
            if answer.status in ABSENT:
                return None
        raise TargetDisagrees(
            f"{self.name}: object {number} is there, but {self._section.id_field} does not say"
            f" {part.key} any more"
        )

    async def remove(self, receipt: Receipt, part: Sending) -> None:
        """See Removes: it goes into enaio's recycle bin."""
        if await self.prove(receipt, part) is not None:
            url = f"{OBJECTS}/{receipt.reference}"
            async with self._http.asked("DELETE", url, expect=GOOD | ABSENT):
                pass

    # -- what it is made of ----------------------------------------------------------------

    async def _only(self, key: str) -> str:
        """Return the number of the one object that has *key*, or ""."""
        found = await self._search(key)
        if len(found) > 1:
            raise TargetDuplicate(f"{self.name} has {key} as objects {', '.join(found)}")
        return found[0] if found else ""

    async def _search(self, key: str) -> list[str]:
        question = forms.searching(self._section, key)
        url, expect = f"{OBJECTS}/search", GOOD | UNKNOWN
        async with self._http.asked("POST", url, json_data=question, expect=expect) as answer:
            if answer.status in UNKNOWN:
                raise await self._refused("enaio-search-refused", answer)
            return forms.hits(self._section, key, await answer.json())

    async def _insert(self, part: Sending) -> tuple[str, TransientError | None]:
        """Return the number of what was made, or "" and what is wrong with the answer."""
        file = Sent(part, self._http.pace, content_type=forms.media_type(part))
        form = _form(self._section, part, file)
        async with self._http.asked(
            "POST", OBJECTS, data=form, sent=file, expect=GOOD | REFUSALS.keys(), storing=True
        ) as answer:
            if answer.status in REFUSALS:
                raise await self._refused(REFUSALS[answer.status], answer)
            try:
                return forms.made(self._section, await answer.json()), None
            except TransientError as exc:
                return "", exc

    async def _shown(
        self, object_id: str, problem: TransientError | None, part: Sending
    ) -> Receipt:
        """Search for what was inserted just now until it is shown; return what was read back."""
        for waited in self._waits():
            await asyncio.sleep(waited)
            found = await self._only(part.key)
            # Another number than the one we were told: ours may yet appear beside it.
            if (
                found
                and object_id in {"", found}
                and (receipt := await self._read_back(found, part))
            ):
                return receipt
        raise problem or TransientError(
            "target-lags", f"{self.name} answered with object {object_id}, but does not show it"
        )

    def _waits(self) -> Iterator[float]:
        """Yield how long to wait before each of our questions, for `index_seconds` in all."""
        until = time.monotonic() + self._section.index_seconds
        yield 0.0
        pause = FIRST_SECONDS
        while time.monotonic() + pause < until:
            yield pause
            pause = min(2 * pause, LONGEST_SECONDS)

    async def _read_back(self, object_id: str, part: Sending) -> Receipt | None:
        """Return the receipt for the content of an object, or None if it has none now."""
        url, expect = f"{OBJECTS}/{object_id}/contents/file", GOOD | ABSENT
        async with self._http.asked("GET", url, expect=expect) as answer:
            if answer.status in ABSENT:
                return None
            digest, size = await measured(_bounded(answer.pieces(), part.size + 1))
            if (digest, size) != (part.digest, part.size):
                raise self._differs(answer, object_id, part, digest, size)
        return Receipt(
            target=self.name,
            key=part.key,
            size=size,
            digest=digest,
            reference=object_id,
            grade="bytes",
            proved_at=self._clock(),
            detail={"object_id": object_id},
        )

    def _differs(
        self, answer: Answer, object_id: str, part: Sending, digest: Digest, size: int
    ) -> Exception:
        """Return what it means that other bytes came back."""
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        framed = "Content-Length" in answer.headers or "Transfer-Encoding" in answer.headers
        if kind in NO_FILES and kind != forms.media_type(part):
            return TransientError(
                "target-answer-unreadable", f"{self.name}: {kind} in place of a file"
            )
        if size < part.size and not framed:  # nobody can say whether that was all
            return TransientError("target-answer-unreadable", f"{self.name}: a file was cut off")
        return TargetDisagrees(
            f"{self.name}: object {object_id} has other bytes (the first {size} of them have"
            f" sha256:{digest}) than {part.key}: {part.size} with sha256:{part.digest}"
        )

    async def _mark_replaced(self, part: Sending) -> None:
        """Write our id into the index field of the document that this one stands for."""
        field, old = self._section.superseded_field, part.about.facts.get("supersedes", "")
        document_id, file = split(part.key)
        if not field or not is_id(old) or file != "sealed.pdf":
            return
        expect = GOOD | UNKNOWN | LOCKED
        change = forms.changing(field, document_id)
        for object_id in await self._search(f"{old}/{file}"):
            url = f"{OBJECTS}/{object_id}"
            async with self._http.asked("PATCH", url, json_data=change, expect=expect) as answer:
                if answer.status in LOCKED:
                    raise TransientError(
                        "enaio-locked", f"{self.name}: object {object_id} cannot be marked"
                    )
                if answer.status in UNKNOWN - ABSENT:
                    raise await self._refused("enaio-fields-refused", answer)

    async def _refused(self, code: str, answer: Answer) -> PermanentError:
        return PermanentError(code, f"{self.name} said {answer.status}: {await answer.excerpt()}")


def _form(section: EnaioSection, part: Sending, file: Sent) -> MultipartWriter:
    """Return the form of an insert: what to make, and our file as it is read."""
    form = MultipartWriter("form-data")
    said = json.dumps(forms.inserting(section, part), ensure_ascii=False).encode()
    data = form.append_payload(BytesPayload(said, content_type="application/json"))
    data.set_content_disposition("form-data", name="data")
    file.headers["Content-ID"] = forms.CID
    form.append_payload(file).set_content_disposition(
        "form-data", name=forms.CID, filename=forms.file_name(part)
    )
    return form


async def _bounded(pieces: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    """Yield no more than *most* bytes: what is longer than ours need not be read to its end."""
    async for piece in pieces:
        yield piece[:most]
        most -= len(piece)
        if most <= 0:
            return


@contextmanager
def _stored_or_not() -> Iterator[None]:
    """Say of all that goes wrong after an insert that the object may be there."""
    try:
        yield
    except TransientError as exc:
        exc.in_doubt = True
        raise
