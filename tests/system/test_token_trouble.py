"""A token on its bad days, and the whole service around it: it goes on by itself, and nothing is lost.

Each trouble has a box of its own, and all go through it at the same time: a token is
opened again after 30 s at the earliest, and so they wait for that once, together.
A PIN that is rejected is in test_bad_days.py.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pytest

from daemon.document import State
from tests.misbehaving import Misbehaving, compiled
from tests.system.test_hsm_reload import lines, sealed_with

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from contrib.demo.token import TokenFiles
    from tests.system.box import Box

TROUBLES = {
    "unplugged": ("token gone", "token-missing"),
    "hangs": ("C_Sign hang", "hsm-died"),
    "crashes": ("C_Sign crash", "hsm-died"),
    "wrong bit": ("C_Sign flip", "signature-invalid"),
}
"""What the token does, and the alarm that says so."""
LOGINS = {"unplugged": 2, "hangs": 2, "crashes": 2, "wrong bit": 1}
"""At least: one more where the process was given up."""


@dataclass
class Troubled:
    """A box whose token can be told what to do."""

    box: Box
    token: Misbehaving
    fault: str
    code: str

    def at_work(self, scans: list[Path]) -> None:
        """Let some be filed, and some wait while others are with the token: it is slow."""
        self.token.does("C_Sign slow 150")
        for source in scans:
            self.box.drop(source)
        self.box.wait(lambda: State.FILED in self.states(), "one is filed")
        for source in scans:
            self.box.drop(source, f"again-{source.name}")
        self.box.wait(lambda: len(self.box.documents()) > len(scans), "more is taken in")
        signatures = self.token.calls()["C_Sign"]
        self.box.wait(lambda: self.token.calls()["C_Sign"] > signatures, "one is being signed")
        assert State.CLAIMED in self.states()

    def taken_in(self, number: int) -> bool:
        return len(self.box.documents()) == number

    def alarmed(self) -> bool:
        return self.code in self.box.alarms()

    def calm(self) -> bool:
        return not self.box.alarms()

    def states(self) -> set[State]:
        return {one.state for one in self.box.documents()}

    def filed_once(self) -> None:
        """Each document is in both targets with one seal, which verifies, and was made one time."""
        ids = {one.id for one in self.box.documents()}
        for target in ("dms", "archive"):
            assert {path.name for path in (self.box.root / target).iterdir()} == ids
        assert sealed_with(self.box).keys() == ids
        ledger = [json.loads(line) for line in self.box.reader().chain()]
        for event in ("seal", "freeze", "file"):
            told = Counter(line["document"] for line in ledger if line["event"] == event)
            assert told == dict.fromkeys(ids, 1), event


@pytest.fixture
def troubled(
    make_box: Callable[..., Box],
    seal_token: TokenFiles,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Troubled]:
    """One running box for each trouble, which has not come yet."""
    module = compiled(tmp_path)
    made = {}
    for name, (fault, code) in TROUBLES.items():
        folder = tmp_path / name
        folder.mkdir()
        token = Misbehaving.make(module, seal_token, folder)
        for variable, value in token.environment(seal_token).items():
            monkeypatch.setenv(variable, value)
        box = make_box(token=token.files)
        text = box.config.read_text()
        box.config.write_text(text.replace("timeout_seconds = 10", "timeout_seconds = 2"))
        made[name] = Troubled(box.start(), token, fault, code)
    return made


def test_it_goes_on_by_itself_and_every_document_is_filed_once(
    troubled: dict[str, Troubled], drawn: dict[str, Path]
) -> None:
    """Unplugged, hung, crashed, wrong: an alarm while it lasts, intake goes on, no document pays."""
    scans = [drawn["brief.pdf"], drawn["foto.jpg"], drawn["akte.pdf"]]
    number = 2 * len(scans) + 1
    for name, one in troubled.items():
        one.at_work(scans)
        one.token.does(one.fault)
        one.box.wait(one.alarmed, f"{name}: {one.code}")
        one.box.drop(drawn["foto.jpg"], "meanwhile.jpg")
        one.box.wait(partial(one.taken_in, number), f"{name}: intake")
        waiting = [it for it in one.box.documents() if it.state is State.CLAIMED]
        assert waiting, name
        assert {(it.tries, it.code) for it in waiting} == {(0, "")}, name
        one.token.does()
    for name, one in troubled.items():
        one.box.wait(one.box.at_rest(number), f"{name}: filed")
        one.box.wait(one.calm, f"{name}: no alarm any more")
        assert {it.tries for it in one.box.documents()} == {0}, name
        logins = one.token.calls()["C_Login"]
        assert logins >= LOGINS[name], name
        assert logins == len(lines(one.box, "login-accepted")), name
        one.filed_once()
