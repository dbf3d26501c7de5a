"""A database of each released version, as SQL, so that every later program is held to it.

`python -m tests.released` writes the one of the newest version. Do that once, when it is
released; as long as it is not, whenever the newest migration changes. What belongs to a
released version never changes again.
"""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from daemon import schema
from daemon.document import DeliveryState, State
from daemon.spool import Spool
from tests.values import LATER, NOW, claimed, frozen, places, receipts, refused, sealed

FOLDER = Path(__file__).parent / "unit" / "released"


def fixture(version: int) -> Path:
    """Return where the database of a version is."""
    return FOLDER / f"{version}.sql"


def make(spool: Spool) -> None:
    """Put in documents in several states, with deliveries and what else has tables."""
    claimed(spool, 0)
    refused(spool, 1)
    sealed(spool, claimed(spool, 2))
    filed = frozen(spool, claimed(spool, 3))
    for delivery in spool.deliveries(filed.id):
        sending = spool.begin_delivery(delivery, NOW)
        assert sending.state is DeliveryState.SENDING
        spool.acknowledge(sending, receipts(spool, filed.id, delivery.target), LATER)
    assert spool.document(filed.id).state is State.FILED
    spool.begin_shift("post", "K 17", "uid 0", NOW)


def restore(version: int, path: Path) -> None:
    """Make the database of a version at *path*."""
    path.touch(mode=0o600)
    with closing(sqlite3.connect(path)) as db:
        db.executescript(fixture(version).read_text(encoding="utf-8"))


def main() -> None:
    """Write the database of the newest version."""
    with tempfile.TemporaryDirectory() as place:
        spool = Spool(places(Path(place)), new=True)
        make(spool)
        spool.close()
        with closing(sqlite3.connect(Path(place) / "spool.db")) as db:
            lines = [*db.iterdump(), f"PRAGMA user_version = {schema.VERSION};"]
    FOLDER.mkdir(exist_ok=True)
    fixture(schema.VERSION).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
