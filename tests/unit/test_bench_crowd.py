"""The many documents of the bench: each copy has what a real document of its kind has."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

from bench.crowd import KINDS, fill
from daemon.document import folder_of
from daemon.spool import Spool
from tests.values import NOW

if TYPE_CHECKING:
    from pathlib import Path


def test_copies_are_as_the_real_ones_are(tmp_path: Path) -> None:
    """Rows, deliveries, receipts, ledger lines with their own ids, and the tallies."""
    made = fill(tmp_path / "state", 400, NOW)

    with closing(Spool(tmp_path / "state")) as spool:
        db = spool._db
        states = Counter(one.state for one in spool.newest(1000))
        assert dict(states) == {k: n for k, n in spool.counts()["document"].items() if n}
        # The real one of each kind has the digest that all real ones have.
        digests = {one.digest for one in spool.newest(1000)}
        assert len(digests) == sum(states.values()) - len(KINDS) + 1
        for kind, real in zip(KINDS, made, strict=True):
            first = spool.document(real)
            rows = db.execute("SELECT id FROM document WHERE state = ?", [first.state]).fetchall()
            assert len(rows) == max(round(400 * kind.share), 1)
            for (copy,) in rows[-1:]:
                lines = [json.loads(line) for line in spool.lines(copy)]
                real_lines = [json.loads(line) for line in spool.lines(real)]
                assert [one["event"] for one in lines] == [one["event"] for one in real_lines]
                assert {one["document"] for one in lines} == {copy}
                assert all(copy in text for text in spool.receipts(copy).values())
                assert [d.state for d in spool.deliveries(copy)] == [
                    d.state for d in spool.deliveries(real)
                ]
                assert folder_of(spool.documents, copy).exists()
        deliveries = Counter(db.execute("SELECT 'delivery:' || target, state FROM delivery"))
        told = {(k, s): n for k, states in spool.counts().items() for s, n in states.items() if n}
        assert {k: n for k, n in told.items() if k[0].startswith("delivery")} == {
            tuple(key): n for key, n in deliveries.items()
        }
        (personal,) = db.execute("SELECT count(*) FROM personal").fetchone()
        (joined,) = db.execute("SELECT count(*) FROM personal JOIN ledger USING (seq)").fetchone()
        assert personal == joined
