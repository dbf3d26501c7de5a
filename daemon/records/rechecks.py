"""How far the stored documents were looked through again, and what was found bad."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from daemon.document import DeliveryState, Event, State
from daemon.records import moves
from daemon.records.writer import Writer

if TYPE_CHECKING:
    from datetime import datetime

    from daemon.records.transaction import Transaction

META: Final = "recheck"
OWN_COPY_DAMAGED: Final = "own-copy-damaged"
"""Why such a document is held."""
MOST_BAD: Final = 100
"""So many ids are remembered; whoever has more has to look at all of them."""
SET_ASIDE: Final = frozenset({State.SEALED, State.STAMPED, State.FROZEN})
OPEN: Final = frozenset({DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.REFUSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The nightly sample."""

    day: str = ""
    """The box's date on which the newest one began."""
    at: str = ""
    """When its last document was looked at."""
    checked: int = 0
    """So many of it are done."""
    cursor: str = ""
    """The id it got to: every document has its turn, the one longest unseen first."""
    bad: tuple[str, ...] = ()
    """Ids of documents whose stored bytes were bad when last looked at."""


class Rechecks(Writer):
    """What looking through the store again came to."""

    def recheck_progress(self) -> Progress:
        """Return how far it got."""
        held = self.meta(META)
        if not held:
            return Progress()
        found: dict[str, Any] = json.loads(held)
        return Progress(**{**found, "bad": tuple(found["bad"])})

    def recheck_begun(self, day: str, now: datetime) -> Progress:
        """Commit that the sample of *day* begins."""
        begun = replace(self.recheck_progress(), day=day, checked=0)
        with self._step(now) as step:
            self._keep(step, begun)
        return begun

    def rechecked(
        self, document_id: str, fault: str, now: datetime, *, sampled: bool = True
    ) -> Progress:
        """Commit what looking at one document came to; *fault* is "" for nothing wrong.

        A new fault is a ledger line, and holds the document as long as it is not filed.
        One that is not *sampled* was looked at because it was bad before.
        """
        before = self.recheck_progress()
        others = tuple(one for one in before.bad if one != document_id)
        document = self.document(document_id)
        with self._step(now) as step:
            if fault and document_id not in before.bad:
                step.line(document_id, "recheck-bad", {"fault": fault})
            if fault and not document.step and self._may_leave(document_id, document.state):
                detail = {"code": OWN_COPY_DAMAGED, "reason": fault}
                moves.move_document(step, document, Event.SET_ASIDE, detail, code=OWN_COPY_DAMAGED)
            # Of one that was forgotten meanwhile nothing is here that could be good again.
            if not fault and document_id in before.bad and document.state is not State.FORGOTTEN:
                step.line(document_id, "recheck-good", {})
            after = replace(
                before,
                at=step.at,
                bad=((*others, document_id) if fault else others)[-MOST_BAD:],
                checked=before.checked + sampled,
                cursor=document_id if sampled else before.cursor,
            )
            self._keep(step, after)
        return after

    def _may_leave(self, document_id: str, state: State) -> bool:
        """Return whether something of it is still to be sent."""
        if state not in SET_ASIDE:
            return False
        deliveries = self.deliveries(document_id)
        return not deliveries or any(one.state in OPEN for one in deliveries)

    def _keep(self, step: Transaction, progress: Progress) -> None:
        step.set_meta(META, json.dumps(asdict(progress)))
