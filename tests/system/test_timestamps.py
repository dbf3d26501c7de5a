"""The whole box with a time-stamp authority that comes and goes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from daemon.document import State
from tests import certomancer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.certomancer import Authority, IssuedFiles
    from tests.system.box import Box


@pytest.fixture
def issued(tmp_path: Path) -> Iterator[tuple[IssuedFiles, Authority]]:
    """A token, and the CA of its certificate; its time-stamp authority is not running."""
    files, made = certomancer.token_and_authority(tmp_path / "pki")
    yield files, made
    made.stop()


def states(box: Box) -> list[State]:
    return [document.state for document in box.documents()]


def test_the_authority_is_away_the_box_is_killed_and_everything_is_stamped_in_the_end(
    make_box: Callable[..., Box],
    issued: tuple[IssuedFiles, Authority],
    drawn: dict[str, Path],
) -> None:
    """Sealed at once, nothing delivered; after a kill and with the authority back, each once."""
    files, made = issued
    box = make_box(token=files, profile='level = "B-T"\n')
    text = box.config.read_text()
    box.config.write_text(
        text.replace(
            "[seal]\n",
            f'[seal]\ntimestamp_urls = ["{made.tsa_url}"]\ntimestamp_chain = "{made.chain}"\n',
        )
    )
    box.start()
    for name in ("brief.pdf", "foto.jpg"):
        box.drop(drawn[name])
    box.wait(lambda: states(box) == [State.SEALED] * 2, "both are sealed and wait")
    box.wait(lambda: "timestamp-unavailable" in box.alarms(), "the alarm")
    assert not any((box.root / "dms").iterdir())
    box.kill()
    made.start()
    box.start()

    box.wait(box.at_rest(2), "both are filed", 120)

    assert states(box) == [State.FILED] * 2
    assert {document.level for document in box.documents()} == {"B-T"}
    for document in box.documents():
        for target in ("dms", "archive"):
            delivered = (box.root / target / document.id / "sealed.pdf").read_bytes()
            assert delivered == (box.folder(document) / "sealed.pdf").read_bytes()
    box.wait(lambda: "timestamp-unavailable" not in box.alarms(), "the alarm is gone")
    with contextlib.closing(box.reader()) as reader:
        events = [line for document in box.documents() for line in reader.lines(document.id)]
    assert sum('"event":"stamp"' in line for line in events) == 2
    assert box.command("ledger", "verify").returncode == 0
