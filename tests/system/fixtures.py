"""What the tests of the whole box share: one token, one set of drawn scans, and boxes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from contrib.demo import nss, scans, token
from contrib.demo.seaweed import SeaweedFS
from tests.system.box import Box

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BUCKET = "archive"


@pytest.fixture(scope="session")
def seal_token(tmp_path_factory: pytest.TempPathFactory) -> token.TokenFiles:
    """A SoftHSM token with an RSA-3072 key and its demo CA."""
    return token.make_token(tmp_path_factory.mktemp("token") / "t", pin=token.random_pin())


@pytest.fixture(scope="session")
def p256_token(tmp_path_factory: pytest.TempPathFactory) -> token.TokenFiles:
    """The same with an ECDSA key."""
    folder = tmp_path_factory.mktemp("p256") / "t"
    return token.make_token(folder, pin=token.random_pin(), key="p256")


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The drawn scans, by kind."""
    found = scans.draw_all(tmp_path_factory.mktemp("scans"))
    return {path.name: path for path in found}


@pytest.fixture(scope="session")
def trusted(seal_token: token.TokenFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An NSS database that trusts the demo CA, for pdfsig."""
    return nss.trust(seal_token.ca, tmp_path_factory.mktemp("nss") / "db")


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """SeaweedFS, with a bucket that locks and one that does not."""
    weed = Path(sys.executable).with_name("weed")
    store = SeaweedFS(weed, tmp_path_factory.mktemp("seaweed"))
    store.start()
    try:
        store.make_bucket(BUCKET)
        store.make_bucket("unlocked", lock=False)
        yield store
    finally:
        store.stop()


@pytest.fixture
def make_box(tmp_path: Path, seal_token: token.TokenFiles) -> Iterator[Callable[..., Box]]:
    """Make boxes; whatever still runs at the end is killed."""
    boxes: list[Box] = []

    def make(**options: object) -> Box:
        found = options.pop("token", seal_token)
        assert isinstance(found, token.TokenFiles)
        box = Box(tmp_path / f"box{len(boxes)}", found, **options)  # type: ignore[arg-type]
        boxes.append(box)
        return box

    yield make
    for box in boxes:
        box.close()
