"""What `scanseal selftest` makes of a target that proves too little, or forgets."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from daemon.document import Role, new_id
from daemon.formats import Formats
from daemon.selftest import Step, _Trial, line
from daemon.targets.folder import FolderTarget
from tests.contract.targets import NOW, sending

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.document import Receipt
    from daemon.targets import Sending


class Weak(FolderTarget):
    """One that only says what it has."""

    async def prove(self, receipt: Receipt, part: Sending) -> Receipt | None:
        held = await super().prove(receipt, part)
        return replace(held, grade="metadata") if held else None


class Forgetful(FolderTarget):
    """One that never shows what was put there."""

    async def find(self, part: Sending) -> Receipt | None:  # noqa: ARG002
        return None


@pytest.mark.parametrize(
    ("kind", "word", "code"),
    [(Weak, "proven", "target-proof-weak"), (Forgetful, "found", "gone-from-target")],
)
def test_a_target_that_proves_too_little_gets_no_tick(
    tmp_path: Path, kind: type[FolderTarget], word: str, code: str
) -> None:
    """It would be refused for the first document, or never be done with it."""
    file = tmp_path / "sealed.pdf"
    file.write_bytes(b"%PDF")
    (tmp_path / "dms").mkdir()
    part = sending(f"{new_id(NOW)}/sealed.pdf", file)

    async def tried() -> list[Step]:
        target = kind("dms", Role.DMS, tmp_path / "dms")
        try:
            return [step async for step in _Trial(target, part, "bytes").steps()]
        finally:
            await target.close()

    steps = asyncio.run(tried())
    (bad,) = [step for step in steps if not step.good]

    assert bad.error is not None
    assert (bad.word, bad.error.code) == (word, code)
    assert steps[-1].word == "removed"
    assert list((tmp_path / "dms").iterdir()) == []
    assert code in line(bad, Formats("de", "Europe/Berlin", NOW))
