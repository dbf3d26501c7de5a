"""What a place has to promise that documents are delivered to.

A delivery has parts, and each part has a key: `<document id>/<file>`. A key names
the same bytes for ever. Whoever does not know whether a part has arrived asks with
`find` before anything is sent again (I3). A day of the ledger is kept in the same way, under
`ledger-<box id>-<day>/<file>`.

One module here per kind of target; tests/contract/targets.py holds each of them to
these promises, against the real server and against one that misbehaves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from daemon.document import is_id
from daemon.errors import TargetDisagrees
from daemon.ledger import is_segment_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from daemon.document import Digest, Receipt, Role

OWN_COPY_DAMAGED: Final = "own-copy-damaged"
"""The code of a PermanentError that is about the file on this box, not about the target."""
DOUBT: Final = "delivery-in-doubt"
"""The code while a target that cannot refuse a second copy may have the first one."""

AT_ONCE: Final = 4
"""So many deliveries to one target are in work at the same time, unless it says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a target may be told of the document that a part belongs to."""

    retain_until: datetime | None = None
    """Until then an archive must let nobody change or remove it (UTC)."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Text by the names in FACTS; what is not known is missing or empty. Times as RFC 3339 with Z."""


NOTHING: Final = About()


@dataclass(frozen=True, slots=True)
class Sending:
    """One part on its way: under which key, and which file of ours, as it was committed."""

    key: str
    file: Path
    """Ours; it may be gone when the target is only asked."""
    digest: Digest
    size: int
    about: About = NOTHING


class Target(Protocol):
    """A place that each document must reach exactly once.

    Whatever goes wrong over there, or with our own file, is raised as a
    TransientError or a PermanentError, and as nothing else. A TransientError is
    `in_doubt` whenever the target may hold what it has not acknowledged, or may come
    to hold it later.
    """

    name: str
    role: Role
    create_once: bool
    """It refuses a second object under a key by itself: whoever is in doubt may just put again."""

    async def find(self, part: Sending) -> Receipt | None:
        """Return the receipt if this target holds *part*, or None if it does not hold it.

        A receipt is given only after what is held was compared with the digest and the
        size, and is durable; TargetDisagrees if something else is held under the key,
        TargetDuplicate if it is held more than once.
        """

    async def put(self, part: Sending) -> Receipt:
        """Store *part* under its key; return only once the target has it durably.

        Size and digest in the receipt were read back from what the target stored, after
        the put. Where the target is `create_once`, repeating it is harmless. What is there
        is never overwritten: TargetDisagrees if that is something else. The file is hashed
        while it is sent: if it cannot be read or is not *digest*, that is damage on our side,
        PermanentError `own-copy-damaged`, and nothing remains at the target.
        """

    async def prove(self, receipt: Receipt, part: Sending) -> Receipt | None:
        """Ask again, now, about the very object that *receipt* is for; None if it is gone.

        The promises of `find` hold for what is returned.
        """

    async def close(self) -> None:
        """Let go of connections and threads; nothing is asked of it afterwards."""


@runtime_checkable
class TakesAll(Protocol):
    """A target for which several parts of one document are less work than each by itself."""

    async def put_all(self, parts: Sequence[Sending]) -> list[Receipt]:
        """Put each of *parts*, in order: the promises of `put`, for each of them.

        Once the last one is there, so are the others, also after a power cut over there.
        """


@runtime_checkable
class Extends(Protocol):
    """A target that locks what it holds, and can lock it for longer."""

    async def extend(self, receipt: Receipt, until: datetime) -> Receipt:
        """Lock what *receipt* is for until then; return the receipt with the lock as read back.

        A lock that holds longer stays as it is.
        """


async def asked(target: Target, parts: Sequence[Sending]) -> list[Receipt | None]:
    """Return what the target has of *parts* now; nothing is sent.

    All are asked for before one is sent: what is absent is absent as a whole.
    """
    return [await target.find(part) for part in parts]


async def send(
    target: Target, parts: Sequence[Sending], found: Sequence[Receipt | None] | None
) -> list[Receipt]:
    """Send what was not *found* of *parts*, in order, or all of them; return what the target holds."""
    if found is not None:
        receipts = [
            receipt or await target.put(part) for receipt, part in zip(found, parts, strict=True)
        ]
    elif isinstance(target, TakesAll):
        receipts = await target.put_all(parts)
    else:
        receipts = [await target.put(part) for part in parts]
    for part, receipt in zip(parts, receipts, strict=True):
        check(target, part, receipt)
    return receipts


def check(target: Target, part: Sending, receipt: Receipt) -> None:
    """Raise TargetDisagrees if *receipt* is not for *part*: then the adapter was deceived."""
    said = receipt.target, receipt.key, receipt.digest, receipt.size
    if said != (target.name, part.key, part.digest, part.size):
        raise TargetDisagrees(f"{target.name} gave a receipt for other bytes under {part.key}")


def split(key: str) -> tuple[str, str]:
    """Return id and file name of *key*; a key of another form is a bug of ours."""
    document_id, _, file = key.partition("/")
    known = is_id(document_id) or is_segment_id(document_id)
    if not known or not file or file.startswith(".") or "/" in file or "\0" in file:
        raise ValueError("not a key: <id>/<file>")
    return document_id, file
