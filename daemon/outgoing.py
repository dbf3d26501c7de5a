"""A delivery as it goes to its target: its files, and what the target may be told about them. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from daemon.document import Role, folder_of, utc_text
from daemon.targets import NOTHING, About, Sending

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from daemon.config import Config
    from daemon.document import Delivery, Document


def sendings(documents: Path, delivery: Delivery, about: About = NOTHING) -> list[Sending]:
    """Return the parts of *delivery* in the order they are sent; *documents* is where ours lie."""
    folder = folder_of(documents, delivery.document)
    return [
        Sending(
            f"{delivery.document}/{part.file}", folder / part.file, part.digest, part.size, about
        )
        for part in delivery.parts
    ]


def about(
    config: Config, document: Document, role: Role, told: Mapping[str, str] | None = None
) -> About:
    """Return what a target of that *role* may be told of *document*; *told* adds to it.

    Who scanned is named as in the transfer note: by the scan itself, by who had logged in (*told*),
    or by the configuration.

    An archive keeps it from the day it was sealed for as long as its profile says; a profile that
    is configured no longer leaves that to the archive.
    """
    profile = config.profiles.get(document.profile)
    until = None
    if role is Role.ARCHIVE and profile and profile.retain_days:
        until = (document.sealed_at or document.claimed_at) + timedelta(days=profile.retain_days)
    said = document.described
    section = next((one for one in config.hotfolders if one.name == document.hotfolder), None)
    facts = {
        "id": document.id,
        "box": config.box.name,
        "organisation": config.box.organisation,
        "profile": document.profile,
        "hotfolder": document.hotfolder,
        "batch": said.batch,
        "number": said.number,
        "operator": said.operator,
        "captured_at": utc_text(document.captured_at),
        "claimed_at": utc_text(document.claimed_at),
        "sealed_at": utc_text(document.sealed_at) if document.sealed_at else "",
        "original_sha256": str(document.digest),
        "sealed_sha256": str(document.sealed or ""),
        "level": document.level,
        **(told or {}),
    }
    if section is not None and not facts["operator"]:
        facts["operator"] = section.operator
    return About(retain_until=until, facts={name: text for name, text in facts.items() if text})
