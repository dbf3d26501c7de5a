"""What the contract of targets is tried with."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from daemon.document import new_id
from tests.contract.targets import LONGER_THAN_A_PIECE, NOW

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def key() -> str:
    """Return a key that no test has used before."""
    return f"{new_id(NOW)}/sealed.pdf"


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """Make a file of ours that takes more than one piece to send."""
    path = tmp_path / "own" / "sealed.pdf"
    path.parent.mkdir()
    path.write_bytes(b"%PDF-1.7\n" + os.urandom(LONGER_THAN_A_PIECE))
    return path
