"""A database that is read through after an unclean end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from daemon.errors import CorruptionError
from daemon.soundness import look_through
from tests.values import claimed

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.spool import Spool


def test_a_sound_database_is_sound(spool: Spool, state: Path) -> None:
    """Also while it is written to."""
    claimed(spool)

    asyncio.run(look_through(state / "spool.db"))


def test_an_index_that_lacks_a_row_is_damage(spool: Spool, state: Path) -> None:
    """It would hide a document: no page is unreadable, and yet a scan would never be sealed."""
    claimed(spool)
    spool._db.execute("PRAGMA writable_schema = ON")
    spool._db.execute(
        "UPDATE sqlite_master SET sql = replace(sql, '(digest, id)', '(kind, id)')"
        " WHERE name = 'document_digest'"
    )
    spool.close()

    with pytest.raises(CorruptionError) as caught:
        asyncio.run(look_through(state / "spool.db"))

    assert caught.value.code == "database-damaged"


def test_a_stop_does_not_wait_for_it(spool: Spool, state: Path) -> None:
    """It may take minutes: cancelled, it ends, and says nothing of damage."""
    claimed(spool)

    async def stopped() -> None:
        looking = asyncio.create_task(look_through(state / "spool.db"))
        await asyncio.sleep(0)
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking

    asyncio.run(stopped())
