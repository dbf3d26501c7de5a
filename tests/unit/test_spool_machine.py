"""All methods of the spool in any order, with stops, kills and power cuts between them."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from daemon.document import Copy, DeliveryState, Document, Kin, Role, State
from daemon.errors import PersonNeeded, StaleWrite
from daemon.lifecycle import IllegalStep
from daemon.records.journal import compare, verify_files
from daemon.spool import Spool
from tests.agreement import check
from tests.rebuilt import again
from tests.values import NOW, arrival, frozen, part, places, receipts, sealed


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
        self.number += 1
        self.spool.claim(arrival(self.number, size=size), self.now)

    @rule(data=st.data())
    def begin_seal(self, data: st.DataObject) -> None:
        if document := self.some(data, State.CLAIMED):
            self.spool.begin(document, "seal", self.now)

    @rule(data=st.data(), how=st.sampled_from(["give back", "crash", "refuse"]))
    def end_a_step(self, data: st.DataObject, how: str) -> None:
        if document := self.some(data, State.CLAIMED, State.SEALED, step=True):
            if how == "give back":
                self.spool.give_back(document, self.now)
            elif how == "crash":
                self.spool.crashed(document, self.now)
            elif document.state is State.CLAIMED:
                self.spool.refuse(document, "pdf-damaged", "", self.now)

    @rule(data=st.data())
    def let_wait_or_resume(self, data: st.DataObject) -> None:
        if one := self.some(data, State.CLAIMED, State.WAITING):
            if one.state is State.CLAIMED:
                self.spool.let_wait(one, "seal-quality", self.now)
            else:
                self.spool.resume(one, self.now)

    @rule(data=st.data())
    def seal_and_freeze(self, data: st.DataObject) -> None:
        if document := self.some(data, State.CLAIMED):
            frozen(self.spool, document, self.now)

    @rule(data=st.data())
    def seal(self, data: st.DataObject) -> None:
        if document := self.some(data, State.CLAIMED):
            sealed(self.spool, document, self.now)

    @rule(data=st.data())
    def freeze(self, data: st.DataObject) -> None:
        if document := self.some(data, State.SEALED):
            one = part("sealed", "sealed.pdf", document.id)
            deliveries = [("dms", Role.DMS, (one,)), ("archive", Role.ARCHIVE, (one,))]
            self.spool.freeze(document, deliveries, self.now)

    @rule(data=st.data())
    def set_aside(self, data: st.DataObject) -> None:
        if document := self.some(data, State.SEALED, State.FROZEN):
            self.spool.set_aside(document, "own-copy-damaged", "", self.now)

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        if document := self.some(data, *State):
            try:
                self.spool.release(document.id, "uid 0", self.now)
            except PersonNeeded:
                return

    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        if document := self.some(data, State.REFUSED):
            self.spool.discard(document.id, "uid 0", "because", self.now)

    @rule(data=st.data())
    def supersede(self, data: st.DataObject) -> None:
        old, new = self.some(data, State.REFUSED), self.some(data, *State)
        if old and new:
            try:
                self.spool.supersede(old.id, new.id, "uid 0", self.now)
            except PersonNeeded:
                assert old.id == new.id or new.given_up

    @rule(data=st.data())
    def drop_a_refused_one_again(self, data: st.DataObject) -> None:
        if old := self.some(data, State.REFUSED):
            self.number += 1
            kin = Kin(supersedes=(old.id,), how="digest")
            new = self.spool.claim(arrival(self.number), self.now, kin)
            assert self.spool.document(old.id).superseded_by == new.id

    @rule()
    def claim_what_is_refused_and_copied(self) -> None:
        self.number += 1
        document = self.spool.claim(arrival(self.number), self.now)
        self.spool.refuse(document, "file-incomplete", "", self.now)
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
        if how == "acknowledge":
            proofs = receipts(self.spool, begun.document, name, self.now)
            self.spool.acknowledge(begun, proofs, self.now)
        elif how == "reject":
            self.spool.reject(begun, "target-refused", "no", self.now)
        elif how == "postpone":
            self.spool.postpone(begun, self.now + timedelta(hours=1), "x", "y", self.now)

    @rule()
    def file_one(self) -> None:
        self.number += 1
        document = frozen(self.spool, self.spool.claim(arrival(self.number), self.now), self.now)
        for delivery in self.spool.deliveries(document.id):
            begun = self.spool.begin_delivery(delivery, self.now)
            proofs = receipts(self.spool, document.id, delivery.target, self.now)
            self.spool.acknowledge(begun, proofs, self.now)

    @rule(data=st.data(), name=st.sampled_from(["dms", "archive"]))
    def miss(self, data: st.DataObject, name: str) -> None:
        if document := self.some(data, State.FILED):
            delivery = self.spool.delivery(document.id, name)
            if delivery.state is DeliveryState.DELIVERED:
                assert self.spool.miss(delivery, "gone-from-target", "", self.now)

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

    @rule(how=st.sampled_from(["stop", "kill", "power cut"]))
    def start_again(self, how: str) -> None:
        before = {d.id: d for d in self.spool.newest(1000)}
        if how == "stop":
            self.spool.stopped(self.now)
        self.spool.close()
        self.spool = Spool(self.state)
        if how == "power cut":
            self.boot += 1
        counted = self.spool.started(f"boot {self.boot}", self.now)
        assert how == "kill" or not counted
        for document in self.spool.newest(1000):
            assert not document.step
            if how != "kill":
                assert document.state is before[document.id].state
                assert document.tries == before[document.id].tries
        self.spool.export_ledger()
        assert compare(self.state) == self.spool.head()

    @rule()
    def lose_the_database(self) -> None:
        self.spool = again(self.spool, self.state, self.now)

    @invariant()
    def everything_agrees(self) -> None:
        if hasattr(self, "spool"):
            check(self.spool)
            for document in self.spool.newest(1000):
                assert document.tries < 2
                if document.state is State.FILED:
                    states = {d.state for d in self.spool.deliveries(document.id)}
                    assert states.isdisjoint({DeliveryState.PENDING, DeliveryState.WAIVED})
                if document.state is State.FORGOTTEN and not document.given_up:
                    states = {d.state for d in self.spool.deliveries(document.id)}
                    assert states == {DeliveryState.DELIVERED}


def test_whatever_is_called_in_whatever_order_everything_agrees(tmp_path: Path) -> None:
    """Rows, tallies, ledger and files, over stops, kills and power cuts."""

    class Here(Machine):
        folder = tmp_path

    Here.TestCase.settings = settings(
        max_examples=40,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    Here.TestCase("runTest").runTest()
