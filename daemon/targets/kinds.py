"""Makes each configured target: the only place that knows all kinds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from daemon.targets.enaio import EnaioTarget
from daemon.targets.folder import FolderTarget
from daemon.targets.mayan import MayanTarget
from daemon.targets.pace import Pace
from daemon.targets.s3 import S3Target
from daemon.targets.webdav import WebdavTarget
from daemon.targetsections import (
    EnaioSection,
    FolderSection,
    MayanSection,
    S3Section,
    WebdavSection,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from daemon.config import Config
    from daemon.targets import Target
    from daemon.targetsections import TargetSection


def built(
    config: Config,
    credentials: str | None,
    clock: Callable[[], datetime],
) -> dict[str, Target]:
    """Return the targets of *config* by name; nobody is asked anything yet."""
    return {section.name: _one(section, credentials, clock) for section in config.targets}


def _one(section: TargetSection, credentials: str | None, clock: Callable[[], datetime]) -> Target:
    if isinstance(section, FolderSection):
        return FolderTarget(
            *(section.name, section.role, Path(section.path), clock),
            immutable=section.immutable,
            concurrency=section.concurrency,
            pace=Pace(section.kb_per_second * 1000),
        )
    if isinstance(section, S3Section):
        return S3Target(section, credentials, clock)
    if isinstance(section, WebdavSection):
        return WebdavTarget(section, credentials, clock)
    if isinstance(section, EnaioSection):
        return EnaioTarget(section, credentials, clock)
    if isinstance(section, MayanSection):
        return MayanTarget(section, credentials, clock)
    raise ValueError(f"no kind of target: {section.kind}")
