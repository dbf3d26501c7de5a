"""All methods of the spool in any order, with stops, kills and power cuts between them.

    python -m tests.unit.test_spool_machine --seed 7 --count 2000     as `make torture`

Beside the spool goes a model, plain dictionaries that survive each crash: what was committed is
there afterwards, what was not is not, and nothing moves that nobody has moved.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from daemon.document import STRANGER, Copy, DeliveryState, Document, Kin, Role, State
from daemon.errors import PersonNeeded, StaleWrite
from daemon.lifecycle import IllegalStep
from daemon.records.journal import compare, files, verify_files
from daemon.records.thread import Call
from daemon.records.transaction import Group
from daemon.spool import Spool
from tests.agreement import check
from tests.rebuilt import again
from tests.values import NOW, arrival, frozen, part, places, receipts, sealed

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Life:
    """What the model knows of one document, or of one delivery."""

    state: str
    came_from: str = ""
    step: bool = False
    tries: int = 0
    seals: int = 0
    intended: bool = False
    """That it is sent was committed before anything could be."""

    def go(self, state: str, *, step: bool = False) -> None:
        """Take a step: what was tried before counts no longer."""
        self.came_from = self.state if state in {State.HELD, State.FORGOTTEN} else self.came_from
        self.state, self.step, self.tries = state, step, 0


@dataclass
class Model:
    """What has to be in the database after everything that was done."""

    documents: dict[str, Life] = field(default_factory=dict)
    deliveries: dict[tuple[str, str], Life] = field(default_factory=dict)
    running: str = ""
    """The boot in which the service was running last, if it did not stop."""

    def seal(self, document: Document, *, step: bool) -> None:
        """Its only seal, ever."""
        life = self.documents[document.id]
        life.seals += 1
        life.go(State.SEALED, step=step)

    def freeze(self, document: Document) -> None:
        """Nothing of it is sent yet."""
        self.documents[document.id].go(State.FROZEN)
        for target in ("dms", "archive"):
            self.deliveries[document.id, target] = Life(DeliveryState.PENDING)

    def release(self, document: Document) -> bool:
        """Return whether a person's word sets anything going."""
        life = self.documents[document.id]
        before = replace(life)
        if life.state == State.REFUSED:
            life.go(State.CLAIMED)
        elif life.state == State.HELD:
            life.go(life.came_from)
        released = life != before
        for (document_id, _), delivery in self.deliveries.items():
            if document_id == document.id and delivery.state in {"refused", "gone"}:
                delivery.go(DeliveryState.SENDING)
                released = True
        if released:
            self.file(document.id)
        return released

    def prove(self, document_id: str, target: str) -> None:
        """The last proof files it."""
        self.deliveries[document_id, target].go(DeliveryState.DELIVERED)
        self.file(document_id)

    def file(self, document_id: str) -> None:
        """File it if both have proven."""
        life = self.documents[document_id]
        states = {d.state for (one, _), d in self.deliveries.items() if one == document_id}
        if life.state == State.FROZEN and states == {DeliveryState.DELIVERED}:
            life.go(State.FILED)

    def end_uncleanly(self, life: Life, *, count: bool) -> None:
        """The second counted end sets it aside."""
        life.step = False
        life.tries += count
        if life.tries == 2 and isinstance(life.state, DeliveryState):
            life.go(DeliveryState.REFUSED)
        elif life.tries == 2:
            life.go(State.REFUSED if life.state == State.CLAIMED else State.HELD)

    def start(self, boot: str) -> None:
        """Whatever was in a step is tried again, or not."""
        for life in (*self.documents.values(), *self.deliveries.values()):
            if life.step:
                self.end_uncleanly(life, count=self.running == boot)
        self.running = boot

    def stop(self) -> None:
        """As if nothing had been tried."""
        for life in (*self.documents.values(), *self.deliveries.values()):
            life.step = False
        self.running = ""

    def lose_the_database(self) -> None:
        """No line says what was tried; what may have been sent counts as sent."""
        self.stop()
        for life in (*self.documents.values(), *self.deliveries.values()):
            life.tries = 0
            if life.state == DeliveryState.PENDING:
                life.go(DeliveryState.SENDING)
                life.intended = True


class Machine(RuleBasedStateMachine):
    """Whatever is called, and wherever it is cut off: rows, tallies, ledger and files agree."""

    folder: Path

    @initialize()
    def begin(self) -> None:
        self.number = 0
        self.now = NOW
        self.boot = 1
        self.state = places(Path(self.folder) / os.urandom(8).hex())
        self.spool = Spool(self.state, new=True)
        self.spool.started("boot 1", self.now)
        self.model = Model()
        self.model.start("boot 1")

    def teardown(self) -> None:
        if hasattr(self, "spool"):
            self.spool.close()
            shutil.rmtree(self.state)

    def some(self, data: st.DataObject, *states: State, step: bool = False) -> Document | None:
        found = [d for d in self.spool.newest(50) if d.state in states and bool(d.step) == step]
        return data.draw(st.sampled_from(sorted(found, key=lambda d: d.id))) if found else None

    @rule()
    def time_passes(self) -> None:
        self.now += timedelta(hours=7)

    @rule()
    def clock_goes_back(self) -> None:
        self.now -= timedelta(hours=3)

    @rule(size=st.integers(1, 10**9))
    def claim(self, size: int) -> None:
        self.claimed(size=size)

    def claimed(self, kin: Kin = STRANGER, *, size: int = 1000) -> Document:
        self.number += 1
        document = self.spool.claim(arrival(self.number, size=size), self.now, kin)
        self.model.documents[document.id] = Life(State.CLAIMED)
        for old in kin.supersedes:
            self.model.documents[old].go(State.DISCARDED)
        return document

    @rule(data=st.data())
    def begin_seal(self, data: st.DataObject) -> None:
        if document := self.some(data, State.CLAIMED):
            self.spool.begin(document, "seal", self.now)
            self.model.documents[document.id].step = True

    @rule()
    def killed_twice_in_a_step(self) -> None:
        document = self.claimed()
        for _ in range(2):
            self.spool.begin(document, "seal", self.now)
            self.model.documents[document.id].step = True
            self.spool.close()
            self.spool = Spool(self.state)
            self.begin_again()
        assert self.spool.document(document.id).state is State.REFUSED

    @rule(data=st.data(), how=st.sampled_from(["give back", "crash", "refuse"]))
    def end_a_step(self, data: st.DataObject, how: str) -> None:
        if document := self.some(data, State.CLAIMED, State.SEALED, step=True):
            life = self.model.documents[document.id]
            if how == "give back":
                self.spool.give_back(document, self.now)
                life.step = False
            elif how == "crash":
                self.spool.crashed(document, self.now)
                self.model.end_uncleanly(life, count=True)
            elif document.state is State.CLAIMED:
                self.spool.refuse(document, "pdf-damaged", "", self.now)
                life.go(State.REFUSED)

    @rule(data=st.data())
    def let_wait_or_resume(self, data: st.DataObject) -> None:
        if one := self.some(data, State.CLAIMED, State.WAITING):
            if one.state is State.CLAIMED:
                self.spool.let_wait(one, "seal-quality", self.now)
                self.model.documents[one.id].go(State.WAITING)
            else:
                self.spool.resume(one, self.now)
                self.model.documents[one.id].go(State.CLAIMED)

    @rule(data=st.data())
    def seal_and_freeze(self, data: st.DataObject) -> None:
        if document := self.some(data, State.CLAIMED):
            frozen(self.spool, document, self.now)
            self.model.seal(document, step=False)
            self.model.freeze(document)

    @rule(data=st.data(), stamp=st.sampled_from(["", "wanted"]))
    def seal(self, data: st.DataObject, stamp: str) -> None:
        if document := self.some(data, State.CLAIMED):
            sealed(self.spool, document, self.now, stamp=stamp)
            self.model.seal(document, step=not stamp)

    @rule(data=st.data())
    def stamp(self, data: st.DataObject) -> None:
        if not self.spool.to_stamp(1):
            document = sealed(self.spool, self.claimed(), self.now, stamp="wanted")
            self.model.seal(document, step=False)
        if found := self.spool.to_stamp(50):
            document = data.draw(st.sampled_from(found))
            one = part("sealed", "sealed.pdf", f"stamped {document.id}")
            self.spool.stamp(document, one, "B-T", self.now, self.now)
            self.model.documents[document.id].go(State.STAMPED, step=True)

    @rule(data=st.data())
    def freeze(self, data: st.DataObject) -> None:
        if document := self.some(data, State.SEALED, State.STAMPED):
            one = part("sealed", "sealed.pdf", document.id)
            deliveries = [("dms", Role.DMS, (one,)), ("archive", Role.ARCHIVE, (one,))]
            self.spool.freeze(document, deliveries, self.now)
            self.model.freeze(document)

    @rule(data=st.data())
    def set_aside(self, data: st.DataObject) -> None:
        if document := self.some(data, State.SEALED, State.STAMPED, State.FROZEN):
            self.spool.set_aside(document, "own-copy-damaged", "", self.now)
            self.model.documents[document.id].go(State.HELD)

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        if document := self.some(data, *State):
            if self.model.release(document):
                self.spool.release(document.id, "uid 0", self.now)
            else:
                with pytest.raises(PersonNeeded):
                    self.spool.release(document.id, "uid 0", self.now)

    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        if document := self.some(data, State.REFUSED):
            self.spool.discard(document.id, "uid 0", "because", self.now)
            self.model.documents[document.id].go(State.DISCARDED)

    @rule(data=st.data())
    def supersede(self, data: st.DataObject) -> None:
        old, new = self.some(data, State.REFUSED), self.some(data, *State)
        if old and new:
            try:
                self.spool.supersede(old.id, new.id, "uid 0", self.now)
                self.model.documents[old.id].go(State.DISCARDED)
            except PersonNeeded:
                assert old.id == new.id or new.given_up

    @rule(data=st.data())
    def drop_a_refused_one_again(self, data: st.DataObject) -> None:
        if old := self.some(data, State.REFUSED):
            new = self.claimed(Kin(supersedes=(old.id,), how="digest"))
            assert self.spool.document(old.id).superseded_by == new.id

    @rule()
    def claim_what_is_refused_and_copied(self) -> None:
        document = self.claimed()
        self.spool.refuse(document, "file-incomplete", "", self.now)
        self.model.documents[document.id].go(State.REFUSED)
        self.see_to_the_copies()

    @rule()
    def see_to_the_copies(self) -> None:
        for found in self.spool.copies_due("post", 3):
            if found.copy is Copy.DUE:
                self.spool.copied_back(found, self.now + timedelta(hours=5), self.now)
            else:
                self.spool.copy_removed(found, self.now)
        for found in self.spool.copies_over("post", self.now, 3):
            self.spool.copy_removed(found, self.now)

    @rule(
        data=st.data(),
        name=st.sampled_from(["dms", "archive"]),
        how=st.sampled_from(["acknowledge", "acknowledge", "reject", "postpone", "nothing"]),
    )
    def deliver(self, data: st.DataObject, name: str, how: str) -> None:
        due = self.spool.due(name, self.now, 10)
        if not due:
            return
        begun = self.spool.begin_delivery(data.draw(st.sampled_from(due)), self.now)
        assert self.model.documents[begun.document].state in {State.FROZEN, State.FILED}
        life = self.model.deliveries[begun.document, name]
        life.intended, life.step = True, True
        if life.state == DeliveryState.PENDING:
            life.go(DeliveryState.SENDING, step=True)
        if how == "acknowledge":
            proofs = receipts(self.spool, begun.document, name, self.now)
            self.spool.acknowledge(begun, proofs, self.now)
            self.model.prove(begun.document, name)
        elif how == "reject":
            self.spool.reject(begun, "target-refused", "no", self.now)
            life.go(DeliveryState.REFUSED)
        elif how == "postpone":
            self.spool.postpone(begun, self.now + timedelta(hours=1), "x", "y", self.now)
            life.step = False

    @rule()
    def filed(self) -> None:
        self.file_one()

    def file_one(self) -> None:
        document = frozen(self.spool, self.claimed(), self.now)
        self.model.seal(document, step=False)
        self.model.freeze(document)
        for delivery in self.spool.deliveries(document.id):
            begun = self.spool.begin_delivery(delivery, self.now)
            self.model.deliveries[document.id, delivery.target].intended = True
            proofs = receipts(self.spool, document.id, delivery.target, self.now)
            self.spool.acknowledge(begun, proofs, self.now)
            self.model.prove(document.id, delivery.target)

    @rule(data=st.data(), name=st.sampled_from(["dms", "archive"]))
    def miss(self, data: st.DataObject, name: str) -> None:
        self.file_one()
        if document := self.some(data, State.FILED):
            delivery = self.spool.delivery(document.id, name)
            if delivery.state is DeliveryState.DELIVERED:
                assert self.spool.miss(delivery, "gone-from-target", "", self.now)
                self.model.deliveries[document.id, name].go(DeliveryState.GONE)
                document = self.spool.document(document.id)
                deliveries = self.spool.deliveries(document.id)
                assert not self.spool.forget(document, deliveries, [], self.now)

    @rule(data=st.data(), unlinked=st.booleans())
    def forget(self, data: st.DataObject, *, unlinked: bool) -> None:
        at_end = (State.FILED, State.DISCARDED)
        if document := self.some(data, *at_end) or self.some(data, *State):
            deliveries = self.spool.deliveries(document.id)
            held = {one.state for one in deliveries} == {DeliveryState.DELIVERED}
            ended = {State.FILED: held, State.DISCARDED: True, State.WITHDRAWN: True}
            free = document.copy is Copy.NONE and not document.superseded_by
            done = self.spool.forget(document, deliveries, [], self.now)
            assert done is (ended.get(document.state, False) and free)
            if done:
                self.model.documents[document.id].go(State.FORGOTTEN)
            assert (document.id in self.spool.leaving(1000)) >= done
        if unlinked:
            self.spool.unlinked(self.spool.leaving(1000), self.now)
            assert self.spool.leaving(1000) == []

    @rule(data=st.data(), state=st.sampled_from(State))
    def stale_write(self, data: st.DataObject, state: State) -> None:
        document = self.some(data, *State)
        if document is None or document.state is state:
            return
        stale = replace(document, state=state, came_from=State.SEALED)
        for write in (
            lambda: self.spool.refuse(stale, "x", "", self.now),
            lambda: self.spool.set_aside(stale, "x", "", self.now),
            lambda: self.spool.begin(stale, "seal", self.now),
        ):
            with pytest.raises((StaleWrite, IllegalStep)):
                write()

    @rule()
    def export(self) -> None:
        self.spool.export_ledger()
        assert verify_files(self.state / "ledger") == self.spool.head()

    def calls_at_once(self, data: st.DataObject) -> list[tuple[Any, Callable[[], object] | None]]:
        """Calls that wait together: what each does, and what the model has of it; None: it fails."""
        calls: list[tuple[Any, Callable[[], object] | None]] = []
        for _ in range(data.draw(st.integers(1, 3))):
            self.number += 1
            came = arrival(self.number)
            claim = partial(self.spool.claim, came, self.now)
            calls.append(
                (claim, partial(self.model.documents.setdefault, came.id, Life("claimed")))
            )
            self.number += 1
            stranger = Kin(supersedes=(came.id,), how="digest")  # not refused: known late
            calls.append(
                (partial(self.spool.claim, arrival(self.number), self.now, stranger), None)
            )
            if data.draw(st.booleans()):  # its row is there already: what it wrote goes again
                calls.append((claim, None))
        if one := self.some(data, State.CLAIMED):
            begin = partial(self.spool.begin, one, "seal", self.now)
            calls += [(begin, partial(setattr, self.model.documents[one.id], "step", True))]
            calls += [(begin, None)]  # too late
        for target in ("dms", "archive"):
            for delivery in self.spool.due(target, self.now, 1):
                if delivery.state is DeliveryState.PENDING:
                    send = partial(self.spool.begin_delivery, delivery, self.now)
                    life = self.model.deliveries[delivery.document, target]
                    calls += [(send, partial(self.intend, life)), (send, None)]
        return calls

    def intend(self, life: Life) -> None:
        life.go(DeliveryState.SENDING, step=True)
        life.intended = True

    @rule(data=st.data())
    def share_a_commit(self, data: st.DataObject) -> None:
        calls = self.calls_at_once(data)
        nobody: Any = asyncio.Future
        waiting = [Call(work, True, nobody) for work, _ in calls]
        self.spool.share_commit(waiting)
        for call, (_, known) in zip(waiting, calls, strict=True):
            assert (call.error is None) == (known is not None), call.error
            if known:
                known()

    @rule(data=st.data())
    def killed_before_the_shared_commit(self, data: st.DataObject) -> None:
        """Nobody has heard of any of it."""
        self.spool._group = Group(self.spool._db)
        for work, _ in self.calls_at_once(data):
            with suppress(Exception):
                work()
        self.spool.close()
        self.spool = Spool(self.state)
        self.begin_again()

    @rule(how=st.sampled_from(["stop", "kill", "power cut"]))
    def start_again(self, how: str) -> None:
        if how == "stop":
            self.spool.stopped(self.now)
            self.model.stop()
        self.spool.close()
        self.spool = Spool(self.state)
        self.boot += how == "power cut"
        self.begin_again()

    @rule(share=st.floats(0, 1))
    def power_cut_in_the_export(self, share: float) -> None:
        """Of what was appended since the last fsync any beginning may be on the disk."""
        folder = self.state / "ledger"
        before = {path: path.stat().st_size for path in folder.iterdir()}
        self.spool.export_ledger()
        self.spool.close()
        path = files(folder)[-1]
        was, size = before.get(path, 0), path.stat().st_size
        os.truncate(path, was + int((size - was) * share))
        self.spool = Spool(self.state)
        self.boot += 1
        self.begin_again()

    def begin_again(self) -> None:
        boot = f"boot {self.boot}"
        counted = self.spool.started(boot, self.now)
        assert self.model.running == boot or not counted
        self.model.start(boot)
        self.spool.export_ledger()
        assert compare(self.state) == self.spool.head()

    @rule()
    def lose_the_database(self) -> None:
        self.spool = again(self.spool, self.state, self.now)
        self.model.lose_the_database()
        self.begin_again()

    @invariant()
    def everything_agrees(self) -> None:
        if not hasattr(self, "model"):
            return
        check(self.spool)
        lines = [json.loads(line) for line in self.spool.chain()]
        seals = Counter(line["document"] for line in lines if line["event"] == "seal")
        found = self.spool.newest(1000)
        assert {one.id for one in found} == set(self.model.documents)
        for one in found:
            life = self.model.documents[one.id]
            assert (one.state, bool(one.step), one.tries) == (life.state, life.step, life.tries)
            assert seals[one.id] == life.seals <= 1
            assert bool(one.sealed) == bool(life.seals)
            proven = self.spool.receipts(one.id)
            states = set()
            for delivery in self.spool.deliveries(one.id):
                sent = self.model.deliveries[one.id, delivery.target]
                states.add(delivery.state)
                assert (delivery.state, bool(delivery.step), delivery.tries) == (
                    sent.state,
                    sent.step,
                    sent.tries,
                )
                assert sent.intended == (delivery.state is not DeliveryState.PENDING)  # I3
                if delivery.state is DeliveryState.DELIVERED:
                    keys = {entry["key"] for entry in json.loads(proven[delivery.target])}
                    assert keys == {f"{one.id}/{p.file}" for p in delivery.parts}
            if one.state is State.FILED:
                assert states.isdisjoint({DeliveryState.PENDING, DeliveryState.WAIVED})
            if one.state is State.FORGOTTEN and not one.given_up:
                assert states == {DeliveryState.DELIVERED}


def run(folder_: Path, count: int, **how: Any) -> None:
    """Let the machine run *count* times, with its databases in *folder_*."""

    class Here(Machine):
        folder = folder_

    number = how.pop("seed", None)
    run_state_machine_as_test(
        Here if number is None else seed(number)(Here),
        settings=settings(
            max_examples=count,
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            **how,
        ),
    )


def test_whatever_is_called_in_whatever_order_everything_agrees(tmp_path: Path) -> None:
    """Rows, tallies, ledger, files and the model, over stops, kills and power cuts."""
    run(tmp_path, 40, derandomize=True)


def main() -> int:
    """Run it longer; hypothesis prints the calls that led to a violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.unit.test_spool_machine")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=2000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="spool") as name:
        run(Path(name), asked.count, seed=asked.seed)
    print(f"spool: {asked.count} walks, no violation, seed {asked.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
