"""`scanseal rebuild` with the real service: the database is thrown away in the middle of a run."""

from __future__ import annotations

import contextlib
from contextlib import closing
from typing import TYPE_CHECKING

from daemon.document import State
from tests.intake import mounted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.system.box import Box


def test_a_lost_database_is_made_again_and_the_service_goes_on(
    make_box: Callable[..., Box], drawn: dict[str, Path]
) -> None:
    """Killed with scans under way: each is filed, each target has it once, the box is the same."""
    box = make_box().start()
    box.drop(drawn["brief.pdf"], "first.pdf")
    (box.root / "hot" / "empty.pdf").write_bytes(b"")
    box.wait(box.at_rest(2), "the first two are at rest")
    with closing(box.reader()) as reader:
        box_id = reader.box_id()
    refused = box.command("rebuild")
    assert refused.returncode == 1
    assert "already-running" in refused.stderr
    for number in range(4):
        box.drop(drawn["foto.jpg"], f"more-{number}.jpg")
    box.wait(lambda: len(box.documents()) > 3, "some are claimed")
    box.kill()
    before = {d.id: d.state for d in box.documents()}
    state = box.root / "state"
    there = box.command("rebuild")
    assert there.returncode == 1
    assert "database-there" in there.stderr
    for path in state.glob("spool.db*"):
        path.unlink()

    made = box.command("rebuild")
    assert made.returncode == 0, made.stderr
    assert not made.stderr  # progress is for a terminal
    after = {d.id: d.state for d in box.documents()}
    box.start()
    box.wait(box.at_rest(6), "all are at rest")

    assert after.keys() <= before.keys()  # the newest claims may lack their lines
    documents = box.documents()
    assert before.keys() <= {d.id for d in documents}
    assert len(documents) == 6
    filed = {d.id for d in documents if d.state is State.FILED}
    assert len(filed) == 5
    assert {path.name for path in (box.root / "dms").iterdir()} == filed
    with closing(box.reader()) as reader:
        assert reader.box_id() == box_id
    assert box.command("ledger", "verify").returncode == 0
    assert box.command("verify", "--all").returncode == 0


def test_a_full_disk_is_said_in_words_and_the_next_try_finishes(
    make_box: Callable[..., Box], drawn: dict[str, Path], tmp_path: Path
) -> None:
    """At three in the morning nobody reads a traceback."""
    box = make_box().start()
    assert box.stop() == 0
    state = box.root / "state"
    lines = list((state / "ledger").iterdir())
    kept = [(path.name, path.read_bytes()) for path in lines]
    with mounted(tmp_path / "small", "1m") as small:
        state.rename(tmp_path / "old")
        (small / "ledger").mkdir()
        for name, content in kept:
            (small / "ledger" / name).write_bytes(content)
        state.symlink_to(small)
        filler = small / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

        full = box.command("rebuild")

        assert (full.returncode, full.stderr.split(":")[0]) == (1, "disk-refuses")
        assert "Traceback" not in full.stderr
        assert not (small / "spool.db").exists()
        filler.unlink()
        made = box.command("rebuild")
        assert made.returncode == 0, made.stderr
        assert (small / "spool.db").exists()
    assert drawn
