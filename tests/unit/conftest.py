"""A spool in a place of its own: what the tests of its parts share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from daemon.spool import Spool
from tests.values import places

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state_dir as the service makes it, without a spool."""
    return places(tmp_path)


@pytest.fixture
def spool(state: Path) -> Iterator[Spool]:
    """A new spool in `state`."""
    found = Spool(state, new=True)
    yield found
    found.close()
