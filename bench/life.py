"""The spool's public methods, each called as the service calls it, and timed.

A life is one round: some documents go every way there is. What it calls is timed under
the method's name; what it does not call is named in `NOT_TIMED` with the reason, so
that a new method is not forgotten.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from daemon.clock import Reading
from daemon.document import Described, Digest, Kin, Role, State, new_id
from daemon.ledger import Segment
from daemon.spool import Spool
from tests.values import arrival, part, receipts

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from typing import ParamSpec, TypeVar

    from daemon.document import Document

    P = ParamSpec("P")
    T = TypeVar("T")

NOT_TIMED: Final = {
    "chain": "reads the whole ledger, as `ledger verify` asks",
    "close": "an end, once",
    "days_explained": "once an hour, and a start: it has a figure of its own",
    "end_day": "once a day; it exports and writes one line",
    "erase_personal": "asked for by a person; it rewrites the ledger's files",
    "explained_days": "as `days_explained`",
    "fault": "reads the whole file, in the background, after an unclean end",
    "ids_between": "one day's folders at a start: start-up has a figure of its own",
    "interrupt": "ends `fault`",
    "share_commit": "several of the others",
    "reorder": "a start; it goes through what waits for a target that was waited for",
    "started": "a start: it has a figure of its own",
    "stopped": "an end, once",
}
"""Public methods that a life does not call, and why that is no loss."""

POST: Final = "post"
SOON: Final = timedelta(seconds=1)


class Life:
    """Calls the methods of one spool and keeps how long each took."""

    def __init__(self, spool: Spool, now: datetime) -> None:
        """Live from *now* on, later than everything that is in there."""
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self._spool = spool
        self._now = now
        self._round = 0

    def round(self) -> None:
        """Go every way once."""
        self._round += 1
        self._now += SOON
        self._to_the_end()
        self._refused()
        self._waiting()
        self._held()
        self._stamped()
        self._scanners()
        self._box()
        self._questions()

    def _do(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        begun = time.perf_counter()
        done = method(*args, **kwargs)
        self.seconds[method.__name__].append(time.perf_counter() - begun)
        return done

    # -- ways -----------------------------------------------------------------------

    def _claim(self, awaits: str = "", kin: Kin | None = None, **more: Any) -> Document:
        self._now += timedelta(milliseconds=1)
        one = replace(arrival(), id=new_id(self._now), claimed_at=self._now, awaits=awaits, **more)
        one = replace(one, digest=more.get("digest", Digest.of(one.id.encode())))
        return self._do(self._spool.claim, one, self._now, kin or Kin())

    def _seal(self, document: Document, **facts: Any) -> Document:
        spool, now = self._spool, self._now
        head = self._do(spool.begin, document, "seal", now)
        self._do(spool.same_bytes, document)
        self._do(spool.same_pages, document, document.digest)
        facts = {"images": 1, "findings": [], "ledger_hash": head.hash, **facts}
        sealed, note = (part(role, file, document.id) for role, file in FILES[:2])
        return self._do(spool.seal, document, sealed, note, facts, now, now, now)

    def _freeze(self, document: Document) -> Document:
        parts = tuple(part(role, file, document.id) for role, file in FILES)
        made = [("dms", Role.DMS, parts[:1]), ("archive", Role.ARCHIVE, parts)]
        return self._do(self._spool.freeze, document, made, self._now)

    def _to_the_end(self) -> None:
        spool, now = self._spool, self._now
        document = self._claim()
        self._do(spool.begin, document, "seal", now)
        self._do(spool.give_back, document, now)
        document = self._freeze(self._seal(spool.document(document.id)))
        self._do(spool.manifest_is_ahead, document.id)
        self._do(spool.export_ledger)
        for target in ("dms", "archive"):
            self._do(spool.due, target, self._now, 64)
            self._do(spool.next_due, target)
            delivery = self._do(spool.delivery, document.id, target)
            self._do(spool.sendable, delivery)
            sending = self._do(spool.begin_delivery, delivery, now)
            self._do(spool.postpone, sending, now, "target-unreachable", "away", now)
            self._do(spool.await_predecessor, spool.delivery(document.id, target), now)
            sending = spool.begin_delivery(spool.delivery(document.id, target), now)
            self._do(spool.send_again, sending, now)
            self._do(spool.deliveries_refused, target, "target-duplicate")
            if target == "dms":
                self._do(spool.reject, sending, "target-refused", "no", now)
                self._do(spool.release, document.id, "uid 0", now)
                sending = spool.begin_delivery(spool.delivery(document.id, target), now)
            proven = receipts(spool, document.id, target, now)
            self._do(spool.acknowledge, sending, proven, now)
            self._do(spool.last_success, target)
            self._do(spool.reference, document.id, target)
            self._do(spool.delivered_near, target, 0.5)
            self._do(spool.lengthened, spool.delivery(document.id, target), proven, now)
        other = self._freeze(self._seal(self._claim()))
        self._do(spool.waive, other.id, "dms", "uid 0", "moved", now)
        deliveries = self._do(spool.deliveries, document.id)
        self._do(spool.receipts, document.id)
        self._do(spool.rechecked, document.id, "", now)
        self._do(spool.aged, POST, State.FILED, now - timedelta(days=360), 64)
        self._do(spool.aged_count, POST, State.REFUSED, now - timedelta(days=360))
        self._do(spool.aging_profiles)
        filed = self._do(spool.document, document.id)
        self._do(spool.kept_until, filed, timedelta(days=7))
        self._do(spool.forget, filed, deliveries, ["dms", "archive"], now)
        self._do(spool.leaving, 64)
        self._do(spool.unlinked, [document.id], now)
        self._do(spool.still_here)
        missed = self._claim()
        self._freeze(self._seal(missed))
        sending = spool.begin_delivery(spool.delivery(missed.id, "dms"), now)
        spool.acknowledge(sending, receipts(spool, missed.id, "dms", now), now)
        self._do(spool.miss, spool.delivery(missed.id, "dms"), "gone", "gone", now)

    def _refused(self) -> None:
        spool, now = self._spool, self._now
        one = self._do(spool.refuse, self._claim(), "pdf-damaged", "no page tree", now)
        self._do(spool.copies_due, POST, 64)
        self._do(spool.copied_back, one, now + timedelta(days=30), now)
        self._do(spool.copies_over, POST, now, 64)
        self._do(spool.refused_with, POST, one.digest)
        self._do(spool.refused_ids, POST, 64)
        self._do(spool.refused_ending, POST, one.id[-8:], 2)
        self._do(spool.resembled, one)
        again = self._claim(kin=Kin(resembles=one.id))
        self._do(spool.supersede, one.id, again.id, "uid 0", now)
        self._do(spool.superseded, again.id)
        self._do(spool.copy_removed, spool.document(one.id), now)
        self._do(spool.begin, again, "seal", now)
        self._do(spool.crashed, spool.document(again.id), now)
        two = spool.refuse(self._claim(), "pdf-damaged", "no page tree", now)
        self._do(spool.discard, two.id, "uid 0", "scanned again", now)
        self._do(spool.abandon_copies, ["other"], now)
        self._do(spool.copies_elsewhere, [POST])

    def _waiting(self) -> None:
        spool, now = self._spool, self._now
        one = self._do(spool.let_wait, self._claim(), "seal-quality", now)
        self._do(spool.waiting_count, "operator")
        self._do(spool.waiting_profiles, "operator")
        self._do(spool.waiting_for, "operator")
        self._do(spool.waiting, POST)
        self._do(spool.waiting_hotfolders)
        one = self._do(spool.resume, one, now)
        one = self._do(spool.await_operator, one, now)
        self._do(spool.name_operator, one, "p1", "uid 0", now)
        self._do(spool.unsealed_bytes)
        self._do(spool.in_state, State.CLAIMED, 64)
        self._do(spool.in_step)

    def _held(self) -> None:
        spool, now = self._spool, self._now
        one = self._seal(self._claim())
        self._do(spool.set_aside, one, "own-copy-damaged", "x", now)
        self._do(spool.release, one.id, "uid 0", now)

    def _stamped(self) -> None:
        spool, now = self._spool, self._now
        one = self._seal(self._claim(), stamp="wanted", level="B-B", gap=[1, 2])
        self._do(spool.to_stamp, 64)
        self._do(spool.unstamped)
        self._do(spool.unstamped_since, POST, now - timedelta(days=3), 64)
        self._do(spool.oldest_unstamped)
        self._do(spool.stamp, one, part("sealed", "sealed.pdf", "stamped"), "B-T", now, now)

    def _scanners(self) -> None:
        spool, now = self._spool, self._now
        number = 2 * self._round
        one = self._claim(awaits="describing")
        said = Described(subfolder="a", counter=number, digits=6, batch=f"b{number}")
        self._do(spool.describe, one, said, None, None, 0.0, now)
        self._do(spool.of_batch, f"b{number}")
        if self._round > 1:
            self._do(spool.missing, now)
            self._do(spool.missing_count, POST, now)
            self._do(spool.missing_counts, now)
            self._do(spool.explain, POST, number - 1, "a", "uid 0", "paper jam", now)
        self._do(spool.begin_shift, POST, "p1", "uid 0", now)
        self._do(spool.on_shift, POST, now)

    def _box(self) -> None:
        spool, now = self._spool, self._now
        reading = Reading("boot", float(self._round))
        self._do(spool.clock_record)
        self._do(spool.clock_read, reading, now)
        self._do(spool.clock_jumped, 3600, reading, now)
        self._do(spool.clock_accepted, "person", "uid 0", reading, now)
        self._do(spool.set_forward_since, spool.head().seq - 10)
        self._do(spool.login_attempted, "01", now)
        self._do(spool.login_answered, "01", "accepted", "", now)
        self._do(spool.login_record, "01")
        self._do(spool.login_serials)
        self._do(spool.permit_login, "01", "uid 0", now)
        self._do(spool.imported, "ab", "uid 0", now)
        self._do(spool.requested, "ab", "uid 0", now)
        self._do(spool.key_changed, "ab", "cd", "uid 0", now)
        self._do(spool.note, "box-note", {}, None, now)
        day = f"{2100 + self._round}-01-01"
        digest = Digest.of(b"day")
        head = self._do(spool.head)
        segment = Segment(
            day=day, first=1, head=head, digest=digest, size=3, seal=digest, seal_size=3
        )
        self._do(spool.seal_segment, segment, digest, now)
        self._do(spool.begin_segment, day, "archive", now)
        self._do(spool.acknowledge_segment, day, "archive", (), now)
        self._do(spool.undelivered, "archive")
        self._do(spool.unarchived_since, "archive")
        self._do(spool.last_segment)
        self._do(spool.next_segment)
        self._do(spool.holds, head)
        self._do(spool.day_is_over, now)
        self._do(spool.recheck_begun, day, now)
        self._do(spool.recheck_progress)

    def _questions(self) -> None:
        """What the page, the snapshot and the commands ask; of a document in the middle."""
        spool, now = self._spool, self._now
        one = self._do(spool.newest_of, POST, 1)[0].id
        self._do(spool.counts)
        self._do(spool.newest, 50)
        self._do(spool.newest, 50, before=one, state=State.FILED)
        self._do(spool.oldest, State.CLAIMED)
        self._do(spool.exists, one)
        self._do(spool.known, one)
        self._do(spool.named, one)
        self._do(spool.lines, one)
        self._do(spool.remembered, one)
        self._do(spool.after, spool.head().seq - 10)
        self._do(spool.sealed_with, one)
        self._do(spool.sealed_after, one, 64)
        self._do(spool.sealed_since, now - timedelta(days=30), ("", ""), 64)
        self._do(spool.count_sealed_since, now, Digest.of(b"certificate"))
        self._do(spool.open_profiles)
        self._do(spool.open_targets)
        self._do(spool.meta, "running")
        self._do(spool.box_id)
        self._do(spool.version)


FILES: Final = (
    ("sealed", "sealed.pdf"),
    ("note", "note.xml"),
    ("original", "original.pdf"),
    ("manifest", "manifest.json"),
    ("manifest-seal", "manifest.p7s"),
)
