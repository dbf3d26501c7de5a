"""What a target may be told of a document."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from daemon import config
from daemon.document import FACTS, Described, Role
from daemon.outgoing import about
from tests.frozen import NOW, make_frozen
from tests.system.box import CONFIG

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.config import Config
    from daemon.document import Document


@pytest.fixture
def loaded(tmp_path: Path) -> Config:
    """Return the configuration of a box."""
    text = CONFIG.format(
        root=tmp_path,
        module="/nonexistent.so",
        label="t",
        key="k",
        certificate=tmp_path / "none.pem",
        chain=tmp_path / "none.pem",
        pin=tmp_path / "pin",
        max_pages=1,
        more="",
    )
    (tmp_path / "c.toml").write_text(text)
    return config.load(tmp_path / "c.toml")


@pytest.fixture
def document(tmp_path: Path) -> Document:
    """Return a document that was sealed."""
    return make_frozen(tmp_path / "state", now=NOW)


def test_only_an_archive_is_told_how_long_to_keep_it(loaded: Config, document: Document) -> None:
    """From its seal on; a profile that is gone leaves it to the archive."""
    assert document.sealed_at is not None
    until = about(loaded, document, Role.ARCHIVE).retain_until
    assert until == document.sealed_at + timedelta(days=loaded.profiles["post"].retain_days)
    assert about(loaded, document, Role.DMS).retain_until is None
    gone = replace(document, profile="gone")
    assert about(loaded, gone, Role.ARCHIVE).retain_until is None


def test_facts_are_texts_that_are_known(loaded: Config, document: Document) -> None:
    """By the names of the register; what is not known is not said."""
    said = about(loaded, document, Role.DMS, {"archive_id": "s3://a/b", "supersedes": ""}).facts

    assert said.keys() <= set(FACTS)
    assert all(said.values())
    assert said["archive_id"] == "s3://a/b"
    assert "supersedes" not in said
    assert said["sealed_sha256"] == str(document.sealed)


def test_who_scanned_is_named_as_in_the_note(loaded: Config, document: Document) -> None:
    """By the scan itself, else by who had logged in, else by the configuration."""
    configured = loaded.hotfolders[0].operator
    assert configured
    by_scan = replace(document, described=Described(operator="K 17"))

    assert about(loaded, by_scan, Role.DMS).facts["operator"] == "K 17"
    assert about(loaded, document, Role.DMS, {"operator": "K 3"}).facts["operator"] == "K 3"
    assert about(loaded, document, Role.DMS, {"operator": ""}).facts["operator"] == configured
