"""What `[[target]] kind = "webdav"` may say, and what `immutable` does to a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from daemon.document import Role
from daemon.targets.folder import FolderTarget
from daemon.targets.kinds import _one
from daemon.targets.webdav import WebdavTarget
from daemon.targetsections import FolderSection, WebdavSection
from tests.values import NOW

if TYPE_CHECKING:
    from pathlib import Path

GOOD: dict[str, Any] = {
    "name": "dms",
    "kind": "webdav",
    "role": "dms",
    "url": "https://dms.example/dav/scans",
    "user": "scanseal",
    "password": "credential:dms-password",
}


def test_what_is_right_has_no_problem_and_becomes_a_target() -> None:
    """It is not create-once before the server has shown that it is."""
    section = WebdavSection(**GOOD)
    target = _one(section, None, lambda: NOW)

    assert list(section.problems()) == []
    assert isinstance(target, WebdavTarget)
    assert (target.name, target.role, target.create_once) == ("dms", Role.DMS, False)


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "http://dms.example/dav", "user": "", "password": ""},
        {"url": "http://127.0.0.1:8080/dav"},
        {"url": "http://localhost"},
        {"url": "http://[::1]:80/dav"},
    ],
)
def test_without_tls_it_may_be_here_or_have_no_login(changes: dict[str, Any]) -> None:
    """A proxy on this box that ends TLS; a server that lets in by address."""
    assert list(WebdavSection(**{**GOOD, **changes}).problems()) == []


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"url": "http://dms.example/dav"}, "password: needs an https address"),
        ({"url": "http://127.0.0.1.example/dav"}, "password: needs an https address"),
        ({"url": "http://localhost.example"}, "password: needs an https address"),
        ({"url": "dms.example"}, "url: must be an http or https address"),
        ({"password": "hunter2"}, "password: must be credential:NAME or file:/PATH"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], wanted: str) -> None:
    """By its key; HTTP Basic says the password in the clear."""
    found = list(WebdavSection(**{**GOOD, **changes}).problems())

    assert len(found) == 1
    assert found[0].startswith(wanted)
    assert "hunter2" not in found[0]


@pytest.mark.parametrize("immutable", [False, True])
def test_a_folder_is_made_as_its_section_says(tmp_path: Path, immutable: bool) -> None:
    """Not unless it is asked for: it needs a right of its own."""
    section = FolderSection(
        name="a", kind="folder", role="archive", path=str(tmp_path), immutable=immutable
    )
    target = _one(section, None, lambda: NOW)

    assert isinstance(target, FolderTarget)
    assert target._immutable is immutable
