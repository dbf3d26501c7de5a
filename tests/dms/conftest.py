"""One Mayan for all tests here, with an office that Scanseal may deliver into."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from contrib.mayan import office, server
from tests.dms.desk import Desk

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["tests.contract.conftest", "tests.system.fixtures"]


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A Mayan that runs, and what was made in it."""
    server.install()
    with server.Server() as mayan:
        made = office.make(mayan.admin())
        secret = tmp_path_factory.mktemp("mayan") / "password"
        secret.touch(0o600)
        secret.write_text(made.password)
        yield Desk(mayan, made, secret)


@pytest.fixture
def desk(running: Desk) -> Iterator[Desk]:
    """The same; every target that the test has opened is closed."""
    yield running
    while running.opened:
        running.opened.pop().end()
