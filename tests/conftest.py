"""Fixtures of the tests that start the whole service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from contrib.demo import scans
from tests.court import docket

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest_plugins = ["tests.system.fixtures"]
pytest.register_assert_rewrite("tests.system.habits", "tests.system.share")


@pytest.fixture(scope="session")
def big_pdf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PDF of 150 pages: long enough in the page worker to be seen from outside."""
    page = scans.jpeg_page(7, title="Anlage")
    path = tmp_path_factory.mktemp("big") / "big.pdf"
    path.write_bytes(scans.pdf_of([page] * 150))
    return path


@pytest.fixture(scope="session", autouse=True)
def court(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Three validators that are not ours judge every sealed file of this run, at its end."""
    docket.Open.docket = docket.Docket(tmp_path_factory.mktemp("court"))
    yield
    found = docket.Open.docket.judged()
    docket.Open.docket = None
    assert not found, "\n".join(found)
