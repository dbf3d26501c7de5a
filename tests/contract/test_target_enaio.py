"""enaio as a target, against a fake of its DMS service (enaio_fake.py): no real one can be had here."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from daemon.targets.enaio import EnaioTarget
from daemon.targetsections import EnaioSection
from tests.contract.enaio_fake import PARENT, PASSWORD, TYPE, USER, Enaio
from tests.contract.onloop import OnLoop
from tests.contract.targets import TargetContract, facts, put, sending

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from daemon.targets import Target


@pytest.fixture
def enaio() -> Iterator[Enaio]:
    with Enaio() as server:
        yield server


def section(url: str, secret: Path, **changes: Any) -> EnaioSection:
    values = {
        "name": "dms",
        "kind": "enaio",
        "role": "dms",
        "url": url,
        "user": USER,
        "password": f"file:{secret}",
        "object_type": TYPE,
        "parent": PARENT,
        "id_field": "ScanId",
        "index_seconds": 5.0,
        **changes,
    }
    return EnaioSection(**values)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n")
    return path


class TestEnaio(TargetContract):
    @pytest.fixture
    def target(self, enaio: Enaio, secret: Path) -> Iterator[Any]:
        target = OnLoop(EnaioTarget(section(enaio.url, secret), None))
        target.server = enaio
        yield target
        target.end()

    def held(self, target: Any, key: str) -> bytes | None:
        numbers = target.server.holding(key)
        assert len(numbers) <= 1
        return target.server.objects[numbers[0]].content if numbers else None

    def remove(self, target: Any, key: str) -> None:
        target.server.objects[target.server.holding(key)[0]].trashed = True

    def replace(self, target: Any, key: str, data: bytes) -> None:
        target.server.objects[target.server.holding(key)[0]].content = data
