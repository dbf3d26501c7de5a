"""`scanseal arrived`: did my scan arrive? What the running service answers.

It looks over a connection of its own and in a thread: a question never holds up a
stage. File names are in the answer; who may use the socket may see them.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from daemon.document import utc_text
from daemon.errors import PersonNeeded
from daemon.intake.arrivals import Arrivals
from daemon.records.reader import open_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from daemon.config import Config
    from daemon.document import Document
    from daemon.intake.arrivals import Seen
    from daemon.parts import Parts
    from daemon.records.reader import Reader

LAST: Final = 20
"""So many scans are told of unless another number is asked for."""
MOST: Final = 1000
LOOKED_THROUGH: Final = 10_000
"""So many of the newest documents are looked through for a part of a name."""
SECONDS: Final = 20.0
"""And for no longer than this."""
PAGE: Final = 200
FORMS: Final = (
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y",
)


class Arrived:
    """Answers the question."""

    def __init__(self, config: Config, parts: Parts, clock: Callable[[], datetime]) -> None:
        """Ask *parts* what still lies in the hot folders."""
        self._config = config
        self._parts = parts
        self._clock = clock

    async def answer(self, arguments: Mapping[str, Any], _person: str) -> dict[str, Any]:
        """Return the newest scans that fit `last`, `since`, `batch` and `name`."""
        question = _question(arguments, self._clock(), ZoneInfo(self._config.box.timezone))
        return await asyncio.to_thread(self._look, question)

    def _look(self, question: dict[str, Any]) -> dict[str, Any]:
        now = self._clock()
        arrivals = Arrivals(self._config, now)
        with closing(open_reader(self._config.state_dir / "spool.db")) as reader:
            looked = _Looked()
            found = list(_found(reader, arrivals, question, looked))
            scans = arrivals.told(reader, found)
            missing = [
                {"hotfolder": m.hotfolder, "subfolder": m.series, "number": m.text}
                for m in reader.missing(now, limit=MOST)
            ]
        waiting = [
            seen
            for intake in self._parts.intakes
            for seen in arrivals.lying(intake.name, intake.lying(MOST)[1])
            if not question["batch"] and question["name"].casefold() in seen.name.casefold()
        ]
        return {
            "scans": [_plain(seen) for seen in scans],
            "waiting": [_plain(seen) for seen in waiting[: question["last"]]],
            "missing": missing,
            "searched": looked.documents,
            "complete": looked.all,
        }


class _Looked:
    """How far a search went."""

    documents = 0
    all = True
    """Whether there is nothing that was not looked at."""


def since(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment that a person means, or raise PersonNeeded: 14:30 is today's."""
    text = text.strip().replace("T", " ")
    for form in FORMS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=zone).astimezone(UTC)
        except (ValueError, OverflowError):
            continue
    try:
        at = datetime.strptime(text, "%H:%M").replace(tzinfo=zone).time()
    except ValueError:
        raise PersonNeeded("bad-time", repr(text)) from None
    return datetime.combine(now.astimezone(zone).date(), at, zone).astimezone(UTC)


def _question(arguments: Mapping[str, Any], now: datetime, zone: ZoneInfo) -> dict[str, Any]:
    last, wanted = arguments.get("last"), arguments.get("since")
    if last is not None and (type(last) is not int or not 1 <= last <= MOST):
        raise PersonNeeded("bad-request", f"last: 1 to {MOST}")
    return {
        "last": last or (MOST if wanted else LAST),
        "since": since(str(wanted), now, zone) if wanted else None,
        "batch": str(arguments.get("batch") or ""),
        "name": str(arguments.get("name") or ""),
    }


def _found(
    reader: Reader, arrivals: Arrivals, question: dict[str, Any], looked: _Looked
) -> Iterator[Document]:
    """Yield the documents that fit, the newest first, until there are enough of them."""
    left = question["last"]
    for document in _candidates(reader, question, looked):
        looked.documents += 1
        if _fits(document, arrivals, question["name"]):
            yield document
            left -= 1
            if not left:
                return


def _candidates(reader: Reader, question: dict[str, Any], looked: _Looked) -> Iterator[Document]:
    if question["batch"]:
        yield from reversed(reader.of_batch(question["batch"]))
        return
    until = time.monotonic() + SECONDS
    before, first = "", question["since"]
    while page := reader.newest(PAGE, before):
        for document in page:
            if first is not None and document.claimed_at < first:
                return
            yield document
        before = page[-1].id
        if looked.documents >= LOOKED_THROUGH or time.monotonic() > until:
            looked.all = False
            return


def _fits(document: Document, arrivals: Arrivals, wanted: str) -> bool:
    """Return whether a part of the name, or the last digits of the id, is what was asked for."""
    if not wanted:
        return True
    digits = wanted.lower().lstrip("~")
    return wanted.casefold() in arrivals.name(document.id).casefold() or (
        len(digits) >= 8 and document.id.replace("-", "").endswith(digits.replace("-", ""))
    )


def _plain(seen: Seen) -> dict[str, str]:
    return {
        "id": seen.id,
        "at": utc_text(seen.at),
        "hotfolder": seen.hotfolder,
        "name": seen.name,
        "state": seen.state,
        "code": seen.code,
        "where": seen.where,
        "resembles": seen.resembles,
    }
