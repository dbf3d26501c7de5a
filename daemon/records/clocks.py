"""What the spool remembers of the time: jumps, who agreed to them, and how it stood to the boot."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from daemon.clock import ClockRecord, Reading
from daemon.document import utc_time
from daemon.records.transaction import together
from daemon.records.writer import Writer

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Literal

    from daemon.records.transaction import Transaction

JUMPED = "clock_jumped"
FLOOR = "clock_floor"
READING = "clock_reading"
JUMPS = "clock_jumps"
"""The fact by that name: the newest jumps, each as the number of its line and its seconds."""
MOST_JUMPS: Final = 100


class Clocks(Writer):
    """The facts that `clock.gate` is asked with."""

    @together
    def clock_record(self) -> ClockRecord:
        """Return what is known.

        The newest time is not the last line's: a start after the clock went back writes
        one too. Lines from before the time was accepted are not asked any more.
        """
        floor = int(self.meta(FLOOR) or 0)
        row = self._db.execute(
            "SELECT at FROM ledger WHERE seq > ? ORDER BY at DESC LIMIT 1", [floor]
        ).fetchone()
        boot, _, offset = self.meta(READING).rpartition(" ")
        return ClockRecord(
            newest=utc_time(row[0]) if row else None,
            jumped=bool(self.meta(JUMPED)),
            reading=Reading(boot, float(offset)) if boot else None,
        )

    def clock_read(self, reading: Reading, now: datetime) -> None:
        """Remember how the time stands: what it is compared with, also by the next start."""
        with self._step(now) as step:
            step.set_meta(READING, f"{reading.boot} {reading.offset!r}")

    def clock_jumped(self, seconds: int, reading: Reading, now: datetime) -> None:
        """Commit that the time was set by so many *seconds*: the gate is closed until it is accepted."""
        with self._step(now) as step:
            step.set_meta(JUMPED, "1")
            step.set_meta(READING, f"{reading.boot} {reading.offset!r}")
            self._keep_jump(step, seconds)
            step.line("", "clock-jumped", {"seconds": seconds})

    def clock_accepted(
        self,
        by: Literal["ntp", "person"],
        person: str,
        reading: Reading,
        now: datetime,
        seconds: int = 0,
    ) -> None:
        """Commit that the time is right as it is now, whatever earlier lines say.

        *seconds* is by how much it was set just before, where no line says so yet.
        """
        with self._step(now) as step:
            before = step.head()
            step.set_meta(FLOOR, str(before.seq))
            step.set_meta(JUMPED, "")
            step.set_meta(READING, f"{reading.boot} {reading.offset!r}")
            # Who logged in at a time that has not come yet: nobody knows when that was, nor
            # whether whoever was there before is still there.
            rows = step.db.execute(
                "DELETE FROM shift WHERE since > ? RETURNING hotfolder", [step.at]
            ).fetchall()
            step.db.executemany(
                "INSERT OR REPLACE INTO shift(hotfolder, since, operator) VALUES (?,?,'')",
                [(hotfolder, step.at) for hotfolder in {row[0] for row in rows}],
            )
            personal = {"person": person} if person else None
            if seconds:
                self._keep_jump(step, seconds)
            detail = {"by": by} | ({"seconds": seconds} if seconds else {})
            step.line("", "clock-accepted", detail, personal)

    def set_forward_since(self, seq: int) -> timedelta:
        """Return by how much the time was set forward since that line, all in all."""
        jumps = json.loads(self.meta(JUMPS) or "[]")
        return timedelta(seconds=max(0, sum(seconds for at, seconds in jumps if at > seq)))

    def _keep_jump(self, step: Transaction, seconds: int) -> None:
        jumps = [*json.loads(self.meta(JUMPS) or "[]"), [step.head().seq + 1, seconds]]
        step.set_meta(JUMPS, json.dumps(jumps[-MOST_JUMPS:]))
