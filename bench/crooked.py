"""A box whose token is the misbehaving one: slow, or away."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from daemon.document import State
from tests.misbehaving import Misbehaving, compiled
from tests.system.box import Box

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from contrib.demo.token import TokenFiles

PATIENCE = 300.0


class CrookedBox(Box):
    """A whole service behind `tests/pkcs11/misbehave.c`."""

    def __init__(self, root: Path, token: TokenFiles, *, more: str = "") -> None:
        """Compile the module and write the configuration; nothing is started."""
        folder = root / "crooked"
        folder.mkdir(parents=True)
        self.crooked = Misbehaving.make(compiled(folder), token, folder)
        self._real = token
        super().__init__(root, token, module=str(self.crooked.files.module), more=more)

    @property
    def environment(self) -> dict[str, str]:
        """What the service is started with."""
        return {**super().environment, **self.crooked.environment(self._real)}


def states(box: Box) -> dict[str, int]:
    """Return how many documents there are, by state."""
    reader = box.reader()
    try:
        return reader.counts().get("document", {})
    finally:
        reader.close()


def filed(box: Box, number: int) -> None:
    """Return once *number* documents are filed."""
    until(box, lambda: states(box).get(State.FILED, 0) >= number)


def until(box: Box, holds: Callable[[], bool], pause: float = 0.02) -> None:
    """Return once it holds; raise with the log if it never does."""
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise RuntimeError(f"not in time: {states(box)}\n{box.log()}")
        time.sleep(pause)
