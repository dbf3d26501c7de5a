"""One target's lane: what is on the way to it, and how the target is.

Decides and never acts: it asks nobody. A target fails from the
first try that went wrong for the target's reasons until the next one that it
answers. Meanwhile it is probed with one document, after pauses that grow.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Final

from daemon import lifecycle
from daemon.terms import Terms

if TYPE_CHECKING:
    from daemon.document import Delivery, Role
    from daemon.targets import Target

STALLED: Final = "target-stalled"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFacts:
    """How one target is, for the page."""

    name: str
    role: Role
    unreachable_since: datetime | None
    """Since when each try has failed, or has had no answer; None while it answers."""
    last_code: str
    """What the last try ran into; "" after one that was answered."""


@dataclass(slots=True)
class Lane:
    """One target and what is on the way to it."""

    UNREACHABLE_AFTER: ClassVar = timedelta(seconds=60)
    """A target that has failed for longer than this is named in an alarm."""
    LONGEST_PAUSE: ClassVar = timedelta(seconds=30)
    """A target that fails is probed at least this often, while something is due and it asks for
    no longer pause itself."""
    LONG: ClassVar = timedelta(hours=1)
    """One that has failed for longer than this is probed less often: each try has its ledger line."""
    LONGER_PAUSE: ClassVar = timedelta(minutes=5)
    REFUSALS: ClassVar = 3
    """So many documents that it refuses in a row are its own trouble, and not theirs."""

    target: Target
    terms: Terms = field(default_factory=Terms)
    slots: asyncio.Semaphore = field(init=False)
    """Who has one may use the target."""
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    queue: deque[Delivery] = field(default_factory=deque)
    """Due, in order, and not begun yet."""
    flying: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    """Begun, by document."""
    late: dict[str, datetime] = field(default_factory=dict)
    """When each of those should have been answered."""
    alone: bool = False
    """A suspect is on the way."""
    news: bool = True
    """Something may be due that was not when it was asked last."""
    asked_at: float = 0.0
    """When it was asked last, by our monotonic clock."""
    ask_at: float = 0.0
    """Without news, nothing is due before then, by the same clock."""
    failures: int = 0
    refusals: int = 0
    failing_since: datetime | None = None
    resume_at: datetime | None = None
    longest: timedelta = LONGEST_PAUSE
    """The longest that the pause until then can have been."""
    begun_at: float = float("-inf")
    """When one was begun last, by our monotonic clock."""
    last_code: str = ""

    def __post_init__(self) -> None:
        """Make as many slots as the terms allow."""
        self.slots = asyncio.Semaphore(self.terms.concurrency)

    def room(self) -> bool:
        """Return whether one more may be begun.

        A few more than may use the target at once: while some commit, all slots are in use.
        """
        most = 1 if self.failing_since else self.terms.concurrency * 5 // 4 + 1
        return not self.alone and len(self.flying) < most

    def wait(self, monotonic: float) -> float:
        """Return for how many seconds no more may be begun, to keep to so many a second."""
        if not self.terms.per_second:
            return 0.0
        return max(self.begun_at + 1 / self.terms.per_second - monotonic, 0.0)

    def begun(self, delivery: Delivery, task: asyncio.Task[None], now: datetime) -> None:
        """Remember what is on the way, and by when it should have been answered."""
        size = sum(part.size for part in delivery.parts)
        allowed = self.UNREACHABLE_AFTER + timedelta(seconds=size / self.terms.bytes_per_second())
        self.begun_at = time.monotonic()
        self.flying[delivery.document] = task
        self.late[delivery.document] = now + allowed
        self.alone = delivery.tries > 0

    def reap(self) -> None:
        """Let go of what has ended; what was not foreseen goes up and ends the process."""
        for document_id, task in list(self.flying.items()):
            if task.done():
                del self.flying[document_id], self.late[document_id]
                self.alone = False
                task.result()

    def failed(
        self, code: str, now: datetime, jitter: float, retry_after: float | None = None
    ) -> bool:
        """Learn that a try failed because of the target; return whether that is news.

        *retry_after* is for how many seconds the target wants to be left alone.
        """
        news = self.failing_since is None
        self.failing_since = self.failing_since or now
        self.last_code = code
        if not self.pause(now):  # several that were on the way together count as one
            self.failures += 1
            long = now - self.failing_since > self.LONG
            most = self.LONGER_PAUSE if long else self.LONGEST_PAUSE
            pause = min(lifecycle.backoff(self.failures, jitter), most)
            wanted = timedelta(seconds=retry_after or 0)
            self.longest = max(most, wanted)
            self.resume_at = now + max(pause, wanted)
        return news

    def refused(self, code: str, now: datetime, jitter: float) -> bool:
        """Learn that the target refused a document; return whether it counts as failing now.

        One after the other is refused by a target that somebody has set up anew: then it is
        probed with one document now and then, and the others wait.
        """
        self.refusals += 1
        if self.refusals < self.REFUSALS:
            return False
        self.failed(code, now, jitter)
        return True

    def answered(self, *, delivered: bool = True) -> bool:
        """Learn that the target answered, and has *delivered* one; return whether that is news."""
        news = self.failing_since is not None
        self.failures, self.failing_since, self.resume_at, self.last_code = 0, None, None, ""
        if delivered:
            self.refusals = 0
        return news

    def pause(self, now: datetime) -> float:
        """Return for how many seconds the target is to be left alone; 0.0 for none.

        A clock that was set back must not make this longer than it ever is.
        """
        left = self.resume_at - now if self.resume_at else timedelta()
        return left.total_seconds() if timedelta() < left <= self.longest else 0.0

    def stalled_since(self, now: datetime) -> datetime | None:
        """Return since when nothing that is on the way has been answered in its time."""
        if self.late and all(late < now for late in self.late.values()):
            return min(self.late.values())
        return None

    def unreachable(self, now: datetime) -> str:
        """Return the code of what has been wrong for too long, or ""."""
        if self.failing_since and now - self.failing_since > self.UNREACHABLE_AFTER:
            return self.last_code
        return STALLED if self.stalled_since(now) else ""

    def facts(self, now: datetime) -> TargetFacts:
        """Return how the target is."""
        stalled_since = self.stalled_since(now)
        return TargetFacts(
            name=self.target.name,
            role=self.target.role,
            unreachable_since=self.failing_since or stalled_since,
            last_code=self.last_code or (STALLED if stalled_since else ""),
        )
