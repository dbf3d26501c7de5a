"""The end of the local copies, in the spool: whose time is over, and what is still to be unlinked.

    FILED, DISCARDED, WITHDRAWN ──forget──▶ FORGOTTEN, leaving ──unlinked──▶ FORGOTTEN

FORGOTTEN is committed before anything is removed. That the files are gone is committed once
that is durable: until then every start goes on removing them, which may be repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon import lifecycle, schema
from daemon.document import Copy, DeliveryEvent, Event, State, utc_text
from daemon.records import moves
from daemon.records.clocks import Clocks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from daemon.document import Delivery, Document


class Forgetting(Clocks):
    """What has its time behind it, and what became of it."""

    def aging_profiles(self) -> list[str]:
        """Return the profiles of all documents that time goes by for."""
        # From one profile to the next along the index: a million rows have a few profiles.
        statement = (
            "SELECT min(profile) FROM document INDEXED BY document_aging"  # noqa: S608
            f" WHERE {schema.AGING} AND profile > ?"
        )
        found: list[str] = []
        while name := self._db.execute(statement, [found[-1] if found else ""]).fetchone()[0]:
            found.append(name)
        return found

    def aged(
        self, profile: str, state: State, until: datetime, limit: int, after: Document | None = None
    ) -> list[Document]:
        """Return documents that have been in *state* since *until* or longer, the oldest first.

        Behind *after*, one of these: what cannot be forgotten now keeps no other one here.
        None of them was superseded.
        """
        behind = [utc_text(after.changed_at), after.id] if after else ["", ""]
        return self._select(
            f"{schema.AGING} AND profile = ? AND state = ? AND changed_at <= ?"
            " AND (changed_at, id) > (?, ?) ORDER BY changed_at, id LIMIT ?",
            [profile, state, utc_text(until), *behind, limit],
        )

    def aged_count(self, profile: str, state: State, until: datetime) -> int:
        """Return how many documents `aged` has."""
        statement = (
            f"SELECT count(*) FROM document WHERE {schema.AGING}"  # noqa: S608
            " AND profile = ? AND state = ? AND changed_at <= ?"
        )
        return int(self._db.execute(statement, [profile, state, utc_text(until)]).fetchone()[0])

    def kept_until(self, document: Document, keep: timedelta) -> datetime:
        """Return when *document* has been in its state for as long as *keep*.

        The clock may have been set forward meanwhile: no time has gone by because of that.
        """
        events = sorted(lifecycle.leading_to(document.state))
        marks = ",".join("?" * len(events))
        (seq,) = self._db.execute(
            f"SELECT coalesce(max(seq), 0) FROM ledger WHERE document = ? AND event IN ({marks})",  # noqa: S608
            [document.id, *events],
        ).fetchone()
        return document.changed_at + keep + self.set_forward_since(seq)

    def forget(
        self,
        document: Document,
        deliveries: Sequence[Delivery],
        asked: Sequence[str],
        now: datetime,
    ) -> bool:
        """Commit that *document* is to lie here no longer, if nothing about it has changed (I2).

        *deliveries* are those whose proofs were read, *asked* the targets that were asked again.
        """
        known = list(deliveries)
        with self._step(now) as step:
            found = self.document(document.id)
            same = found == document and self.deliveries(document.id) == known
            states = [(one.role, one.state) for one in known]
            if not same or found.step or found.superseded_by or found.copy is not Copy.NONE:
                return False
            if not lifecycle.may_forget(found.state, states):
                return False
            detail = {"came_from": found.state, "asked": sorted(asked)}
            moves.move_document(step, found, Event.FORGET, detail, local="leaving")
        return True

    def still_here(self) -> dict[str, int]:
        """Return how many documents are not forgotten, by state.

        None that was superseded, once no copy of it lies in `rejected` any more.
        """
        superseded = (
            "SELECT count(*) FROM document INDEXED BY document_superseded"  # noqa: S608
            f" WHERE {schema.SUPERSEDED} AND state = 'discarded' AND copy = ''"
        )
        counts = dict(self.counts().get("document", {}))
        counts.pop(State.FORGOTTEN, None)
        if State.DISCARDED in counts:
            counts[State.DISCARDED] -= self._db.execute(superseded).fetchone()[0]
        return {str(state): count for state, count in counts.items() if count}

    def miss(self, delivery: Delivery, code: str, reason: str, now: datetime) -> bool:
        """Commit that a target does not hold what it had proven; False if that is old news."""
        with self._step(now) as step:
            if self.delivery(delivery.document, delivery.target) != delivery:
                return False
            detail: dict[str, Any] = {"code": code, "reason": reason}
            moves.move_delivery(step, delivery, DeliveryEvent.MISS, detail, **detail)
        return True

    def leaving(self, limit: int, after: str = "") -> list[str]:
        """Return the next ids, behind *after*, of which it is not known that the files are gone."""
        statement = (
            f"SELECT id FROM document WHERE {schema.UNLINKING} AND id > ? ORDER BY id LIMIT ?"  # noqa: S608
        )
        return [found for (found,) in self._db.execute(statement, [after, limit])]

    def unlinked(self, ids: Sequence[str], now: datetime) -> None:
        """Commit that the files of these are gone, durably."""
        with self._step(now) as step:
            for document_id in ids:
                step.change("UPDATE document SET local = '' WHERE id = ?", [document_id])
