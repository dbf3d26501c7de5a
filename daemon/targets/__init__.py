"""What a place has to promise that documents are delivered to.

A delivery has parts, and each part has a key: `<document id>/<file>`. A key names
the same bytes for ever. Whoever does not know whether a part has arrived asks with
`find` before anything is sent again (I3). A day of the ledger is kept in the same way, under
`ledger-<box id>-<day>/<file>`.

One module here per kind of target; tests/contract/test_targets.py holds each of
them to these promises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from daemon.document import is_id
from daemon.errors import TargetDisagrees
from daemon.ledger import is_segment_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from daemon.document import Digest, Receipt, Role

OWN_COPY_DAMAGED: Final = "own-copy-damaged"
"""The code of a PermanentError that is about the file on this box, not about the target."""

AT_ONCE: Final = 4
"""So many deliveries to one target are in work at the same time."""


class Target(Protocol):
    """A place that each document must reach exactly once.

    Whatever goes wrong over there, or with our own file, is raised as a
    TransientError or a PermanentError, and as nothing else.
    """

    name: str
    role: Role

    async def find(self, key: str, digest: Digest, size: int) -> Receipt | None:
        """Return the receipt if this target holds *key*, or None if it does not hold it.

        A receipt is given only after what is held was compared with *digest* and
        *size*, and is durable; TargetDisagrees if something else is held under *key*.
        """

    async def put(self, key: str, file: Path, digest: Digest, size: int) -> Receipt:
        """Store *file* under *key*; return only once the target has it durably.

        Size and digest in the receipt were read back from what the target stored.
        Repeating it is harmless; what is there is never overwritten: TargetDisagrees
        if that is something else. The file is hashed while it is sent: if it cannot
        be read or is not *digest*, that is damage on our side, PermanentError
        `own-copy-damaged`, and nothing remains at the target.
        """


@dataclass(frozen=True, slots=True)
class Sending:
    """One part on its way: under which key, and which file of ours, as it was committed."""

    key: str
    file: Path
    digest: Digest
    size: int


@runtime_checkable
class TakesAll(Protocol):
    """A target for which several parts of one document are less work than each by itself."""

    async def put_all(self, parts: Sequence[Sending]) -> list[Receipt]:
        """Put each of *parts*, in order: the promises of `put`, for each of them.

        Once the last one is there, so are the others, also after a power cut over there.
        """


async def carry(target: Target, parts: Sequence[Sending], *, in_doubt: bool) -> list[Receipt]:
    """Have *parts* of one document at the target, in order; in doubt it is asked first.

    Return what the target holds.
    """
    if isinstance(target, TakesAll) and not in_doubt:
        receipts = await target.put_all(parts)
    else:
        receipts = [await _carried(target, part, in_doubt=in_doubt) for part in parts]
    for part, receipt in zip(parts, receipts, strict=True):
        if (receipt.key, receipt.digest, receipt.size) != (part.key, part.digest, part.size):
            raise TargetDisagrees(f"{target.name} gave a receipt for other bytes under {part.key}")
    return receipts


async def _carried(target: Target, part: Sending, *, in_doubt: bool) -> Receipt:
    if in_doubt and (receipt := await target.find(part.key, part.digest, part.size)):
        return receipt
    return await target.put(part.key, part.file, part.digest, part.size)


def split(key: str) -> tuple[str, str]:
    """Return id and file name of *key*; a key of another form is a bug of ours."""
    document_id, _, file = key.partition("/")
    known = is_id(document_id) or is_segment_id(document_id)
    if not known or not file or file.startswith(".") or "/" in file or "\0" in file:
        raise ValueError("not a key: <id>/<file>")
    return document_id, file
