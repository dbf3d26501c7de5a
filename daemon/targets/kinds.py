"""Makes each configured target: the only place that knows all kinds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from daemon.targets.folder import FolderTarget
from daemon.targetsections import FolderSection

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from daemon.config import Config
    from daemon.targets import Target
    from daemon.targetsections import TargetSection


def built(
    config: Config,
    credentials: str | None,  # noqa: ARG001 (for those that log in)
    clock: Callable[[], datetime],
) -> dict[str, Target]:
    """Return the targets of *config* by name; nobody is asked anything yet."""
    return {section.name: _one(section, clock) for section in config.targets}


def _one(section: TargetSection, clock: Callable[[], datetime]) -> Target:
    if isinstance(section, FolderSection):
        return FolderTarget(section.name, section.role, Path(section.path), clock)
    raise ValueError(f"no kind of target: {section.kind}")
