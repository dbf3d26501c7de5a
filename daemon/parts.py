"""The parts of a running service, and what each knows for the page.

A service whose records are damaged has none of them: then everything here says
so, and nothing is asked of a stage that does not run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from daemon import status
from daemon.document import Role

if TYPE_CHECKING:
    from daemon.clockgate import ClockGate
    from daemon.config import Config
    from daemon.hotfolder import HotFolderStage
    from daemon.key import Key
    from daemon.mqtt import Publisher
    from daemon.proving import Proving
    from daemon.recheck import Recheck
    from daemon.sync import Sync
    from daemon.token import Token
    from daemon.turns import Turns
    from daemon.workers import Workers


@dataclass(slots=True)
class Parts:
    """What the service has built so far."""

    config: Config
    token_keeper: Token | None = None
    key: Key | None = None
    turns: Turns | None = None
    clock_gate: ClockGate | None = None
    sync: Sync | None = None
    proving: Proving | None = None
    intakes: tuple[HotFolderStage, ...] = ()
    pages: Workers | None = None
    publisher: Publisher | None = None
    recheck_stage: Recheck | None = None

    def token(self) -> status.TokenState:
        """Return the state of the token."""
        keeper = self.token_keeper
        label = self.config.hsm.token
        if keeper is None:
            return status.TokenState(state="starting", label=label)
        serial = keeper.facts.serial if keeper.facts else ""
        state = keeper.state
        return status.TokenState(
            state=state.name,
            code=state.code,
            serial=serial,
            label=label,
            opened=keeper.opened,
            latency=keeper.latency.now(),
        )

    def certificate(self) -> status.CertificateState | None:
        """Return the facts of the seal certificate, once it was found."""
        facts = self.key.facts() if self.key else None
        if facts is None or self.key is None:
            return None
        state = status.CertificateState(
            subject=facts.subject,
            not_after=facts.not_after,
            days_left=facts.days_left,
            problems=self.key.problems,
            qualified=self.key.qualified(),
        )
        advice, scheme = self.key.advice, self.key.scheme
        if advice is None:
            return state
        until = advice.recommended_until
        return replace(
            state,
            algorithm=scheme,
            recommended_until=until.isoformat() if until else "",
            remarks=advice.remarks,
        )

    def hotfolders(self) -> tuple[status.HotFolderState, ...]:
        """Return what each hot folder's stage has seen."""
        found = (intake.facts() for intake in self.intakes)
        return tuple(
            status.HotFolderState(
                name=facts.name,
                waiting=facts.waiting,
                oldest_seconds=facts.oldest_seconds,
                writer_known=facts.writer_known,
                last_scan_at=facts.last_scan_at,
            )
            for facts in found
        )

    def targets(self) -> tuple[status.TargetState, ...]:
        """Return each target; without a running sync as the configuration has them."""
        if self.sync is None:
            return tuple(
                status.TargetState(name=target.name, role=Role(target.role))
                for target in self.config.targets
            )
        return tuple(
            status.TargetState(
                name=facts.name,
                role=facts.role,
                unreachable_since=facts.unreachable_since,
                last_code=facts.last_code,
            )
            for facts in self.sync.facts()
        )

    def clock(self) -> str:
        """Return why the clock is not trusted, or ""."""
        return self.clock_gate.problem if self.clock_gate else ""

    def recheck(self) -> status.RecheckState | None:
        """Return what reading the store again came to."""
        if self.recheck_stage is None:
            return None
        facts = self.recheck_stage.facts()
        return status.RecheckState(at=facts.at, checked=facts.checked, bad=facts.bad)

    def mqtt(self) -> bool | None:
        """Return whether the broker is there; None without MQTT."""
        return self.publisher.connected if self.publisher else None

    def replaced(self) -> int:
        """Return how many worker processes were replaced."""
        return self.pages.replaced if self.pages else 0
