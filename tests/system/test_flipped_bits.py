"""One flipped bit under the running service: named by its code, and nothing of it is delivered."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from daemon.document import State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from daemon.document import Document
    from tests.system.box import Box


def waiting_for(box: Box, target: str, scan: Path) -> Document:
    """Have a document sealed whose *target* is away; the service is stopped then."""
    (box.root / target).rename(box.root / "away")
    box.start()
    box.drop(scan)
    box.wait(lambda: [one.state for one in box.documents()] == [State.FROZEN], "sealed")
    assert box.stop() == 0
    (box.root / "away").rename(box.root / target)
    (document,) = box.documents()
    return document


@pytest.mark.parametrize(
    ("file", "target"),
    [("sealed.pdf", "dms"), ("original.jpg", "archive"), ("note.xml", "archive")],
)
def test_a_bit_in_a_file_holds_its_document(
    make_box: Callable[..., Box], drawn: dict[str, Path], file: str, target: str
) -> None:
    """Bytes are compared while they are sent: no target gets others than were sealed."""
    box = make_box()
    document = waiting_for(box, target, drawn["foto.jpg"])
    path = box.folder(document) / file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    box.start()
    box.wait(lambda: box.documents()[0].state is State.HELD, "held")

    assert box.documents()[0].code == "own-copy-damaged"
    assert not (box.root / target / document.id / file).exists()
    named = box.command("verify", "--all")
    assert (named.returncode, named.stdout.splitlines()[0]) == (
        1,
        f"{document.id} stored-damaged {file}: changed",
    )


def test_a_bit_in_a_row_is_found_by_the_ledger_and_delivers_nothing(
    make_box: Callable[..., Box], drawn: dict[str, Path]
) -> None:
    """A digit of a digest: no page is damaged, and the file is the right one."""
    box = make_box()
    document = waiting_for(box, "dms", drawn["foto.jpg"])
    digest = str(document.sealed)
    other = f"{int(digest[0], 16) ^ 1:x}{digest[1:]}"
    with closing(sqlite3.connect(box.root / "state" / "spool.db", isolation_level=None)) as db:
        db.execute("UPDATE delivery SET parts = replace(parts, ?, ?)", [digest, other])

    named = box.command("ledger", "verify")
    box.start()
    box.wait(lambda: box.documents()[0].state is State.HELD, "held")

    assert named.returncode == 74
    assert named.stderr.startswith(f"database-differs: spool.db: delivery {document.id} ")
    assert list((box.root / "dms").iterdir()) == []


def test_a_bit_that_makes_a_value_of_nobody_stops_everything_and_is_shown(
    make_box: Callable[..., Box], drawn: dict[str, Path]
) -> None:
    """The service stays up and says so, rather than to end and start again for ever."""
    box = make_box()
    waiting_for(box, "dms", drawn["foto.jpg"])
    with closing(sqlite3.connect(box.root / "state" / "spool.db", isolation_level=None)) as db:
        db.execute("UPDATE delivery SET state = 'sendinf' WHERE target = 'dms'")
        db.execute("UPDATE document SET state = 'frozeo'")

    box.start()
    box.drop(drawn["foto.jpg"], "later.jpg")
    box.wait(lambda: "raised code=database-damaged" in box.log(), "the alarm", 20)

    assert box.answers()
    with closing(sqlite3.connect(box.root / "state" / "spool.db")) as db:
        assert db.execute("SELECT state FROM document").fetchall() == [("frozeo",)]
    assert list((box.root / "dms").iterdir()) == []
