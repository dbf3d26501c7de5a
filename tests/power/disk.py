"""What a disk holds after a power cut, as a rule over the operations before it.

    operations ──up to the cut──▶ durable: all of these stay
                                  pending: stay, go, or are torn, by seed ──▶ Image

Nothing here touches a disk. An fsync of a file makes its content durable, an fsync
of a folder its names; neither does the other's work (POSIX promises no more). A
rename is one operation, durable with either folder, and the renames of one file stay
in order: so do ext4, XFS and Btrfs. On a `loose` disk a rename from one folder to another
is two, each durable with its own folder only: the old name may come back beside the new
one, and goes by chance only where the new one stays. Anything else that is pending is
independent of file and folder: later operations may stay where earlier ones go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Container, Iterable, Iterator, Sequence

ROOT: Final = 1
SECTOR: Final = 512
"""A disk writes so much at once; a write may end after any of them."""


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes into a file."""

    inode: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """A file's new length."""

    inode: int
    size: int


@dataclass(frozen=True, slots=True)
class Name:
    """A name in a folder now means *inode*; 0: it is gone. *source* is a rename's old name."""

    folder: int
    name: str
    inode: int
    source: tuple[int, str] | None = None
    moved: bool = False
    """The second half of a rename: the name just before it is the first."""


@dataclass(frozen=True, slots=True)
class Sync:
    """An fsync returned; *site* is where in the code it was asked for."""

    inode: int
    site: str = ""


Operation = Write | Cut | Name | Sync


class Loss(StrEnum):
    """What a cut does to pending operations."""

    ALL = "all"
    NONE = "none"
    SOME = "some"
    """Each stays or goes by itself: re-ordered across files and within them."""
    TORN = "torn"
    """As SOME, and writes may stay in part."""


@dataclass(slots=True)
class Image:
    """Names and contents. An inode that is a key of `folders` is a folder."""

    folders: dict[int, dict[str, int]] = field(default_factory=lambda: {ROOT: {}})
    files: dict[int, bytearray] = field(default_factory=dict)

    def apply(self, operation: Operation) -> None:
        """Do one operation."""
        match operation:
            case Write(inode, offset, data):
                content = self.files.setdefault(inode, bytearray())
                content.extend(bytes(max(0, offset - len(content))))
                content[offset : offset + len(data)] = data
            case Cut(inode, size):
                content = self.files.setdefault(inode, bytearray())
                del content[size:]
                content.extend(bytes(size - len(content)))
            case Name(folder, name, inode, source):
                names = self.folders.setdefault(folder, {})
                if inode:
                    names[name] = inode
                else:
                    names.pop(name, None)
                if source is not None:
                    self.folders.setdefault(source[0], {}).pop(source[1], None)


@dataclass
class Recording:
    """Everything that was done to the disk, in order."""

    operations: list[Operation]
    folders: set[int]
    modes: dict[int, int]
    changed: dict[int, int]
    """When each was changed last, in nanoseconds."""


def below(operations: Iterable[Operation], tops: Container[str]) -> set[int]:
    """Return *tops* of the root and everything that ever lay below them."""
    found: set[int] = set()
    for one in operations:
        if isinstance(one, Name) and (
            one.folder in found or (one.folder == ROOT and one.name in tops)
        ):
            found.add(one.inode)
    return found - {0}


def loosened(operations: Iterable[Operation]) -> Iterator[Operation]:
    """Yield *operations* with each rename to another folder as two: a new name, an old one gone."""
    for one in operations:
        if isinstance(one, Name) and one.source is not None and one.source[0] != one.folder:
            yield Name(one.folder, one.name, one.inode)
            yield Name(*one.source, 0, moved=True)
        else:
            yield one


def survivors(  # noqa: C901, PLR0912 (one rule, read from top to bottom)
    operations: Iterable[Operation],
    random: random.Random,
    loss: Loss,
    ignored: Container[str] = (),
    faithful: Container[int] = (),
) -> list[Operation]:
    """Return what stays of *operations*; fsyncs of the sites in *ignored* did not happen.

    What is *faithful* loses nothing: it lies on a disk of its own.
    """
    kept: list[Operation] = []
    pending: dict[int, list[int]] = {}
    renames: dict[int, list[int]] = {}
    durable: set[int] = set()
    for operation in operations:
        at = len(kept)
        match operation:
            case Sync(inode, site):
                if site not in ignored:
                    durable.update(pending.pop(inode, ()))
                continue
            case Write(inode) | Cut(inode):
                pending.setdefault(inode, []).append(at)
            case Name(folder, _, inode, source):
                pending.setdefault(folder, []).append(at)
                if source is not None:
                    pending.setdefault(source[0], []).append(at)
                    renames.setdefault(inode, []).append(at)
        if (operation.folder if isinstance(operation, Name) else operation.inode) in faithful:
            durable.add(at)
        kept.append(operation)
    for moves in renames.values():
        newest = max((at for at in moves if at in durable), default=-1)
        durable.update(at for at in moves if at < newest)
    found = []
    stuck: set[int] = set()
    stays: Operation | None = None
    for at, one in enumerate(kept):
        moved = one.inode if isinstance(one, Name) and one.source is not None else 0
        if at in durable:
            stays = one
        elif moved in stuck or (isinstance(one, Name) and one.moved and stays is None):
            stays = None
        else:
            stays = _what_stays(one, random, loss)
        if stays is not None:
            found.append(stays)
        elif moved:
            stuck.add(moved)
    return found


def _what_stays(operation: Operation, random: random.Random, loss: Loss) -> Operation | None:
    by_chance = loss in {Loss.SOME, Loss.TORN}
    if loss is Loss.ALL or (by_chance and random.random() < 0.5):
        return None
    if loss is Loss.TORN and isinstance(operation, Write) and random.random() < 0.5:
        sectors = random.randrange(len(operation.data) // SECTOR + 1)
        return Write(operation.inode, operation.offset, operation.data[: sectors * SECTOR])
    return operation


def image_of(operations: Sequence[Operation], folders: Container[int]) -> Image:
    """Return what *operations* leave; *folders* are the inodes that are folders.

    A name whose file never got a byte is an empty file.
    """
    image = Image()
    for operation in operations:
        image.apply(operation)
    for names in list(image.folders.values()):
        for inode in names.values():
            if inode in folders:
                image.folders.setdefault(inode, {})
            else:
                image.files.setdefault(inode, bytearray())
    return image
