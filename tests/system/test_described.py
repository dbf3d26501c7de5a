"""A scan with what came with it, through the whole service: sidecar, name, subfolder, counter."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from daemon.document import State
from tests.system.box import PATIENCE, SCANSEAL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.system.box import Box

SECOND = """
[[hotfolder]]
name = "amt"
path = "{root}/amt"
rejected = "{root}/amt/rejected"
profile = "post"
settle_seconds = 0.3
give_up_seconds = 1.0
rescan_seconds = 0.3
subfolders = true
name_pattern = "scan_(?P<counter>[0-9]+)"
sidecar = "required"
sidecar_wait_seconds = 600
"""


def second(box: Box) -> Path:
    """Give a box another hot folder, with all that can come with a scan."""
    folder = box.root / "amt"
    (folder / "rejected").mkdir(parents=True)
    with box.config.open("a") as file:
        file.write(SECOND.format(root=box.root))
    return folder


def test_what_came_with_a_scan_goes_all_the_way(
    make_box: Callable[..., Box], drawn: dict[str, Path]
) -> None:
    """Who scanned it stands in its note; what is missing between two numbers is explained."""
    box = make_box()
    folder = second(box)
    box.start()
    place = folder / "Sozialamt"
    place.mkdir()
    for number in (41, 43):
        (place / f"scan_{number:04}.pdf").write_bytes(drawn["brief.pdf"].read_bytes())
    box.wait(lambda: len(box.documents()) == 2, "both are claimed")
    waiting = {document.state for document in box.documents()}
    for number in (41, 43):
        said = {"version": 1, "operator": "m.muster", "batch": "Stapel 7"}
        (place / f"scan_{number:04}.json").write_text(json.dumps(said))
    box.drop(drawn["foto.jpg"])
    box.wait(box.at_rest(3), "all at rest")
    described = [d for d in box.documents() if d.hotfolder == "amt"]
    explained = box.command("explain", "amt", "0042", "--reason", "Papierstau")
    again = box.command("explain", "amt", "42", "--reason", "Papierstau")

    assert waiting == {State.WAITING}
    assert {d.state for d in box.documents()} == {State.FILED}
    assert {d.described.counter for d in described} == {41, 43}
    assert [d.id for d in box.reader().of_batch("Stapel 7")] == [d.id for d in described]
    for document in described:
        assert document.described.operator == "m.muster"
        assert document.described.subfolder == "Sozialamt"
        assert "m.muster" in (box.folder(document) / "note.xml").read_text()
        assert (box.folder(document) / "sidecar.json").exists()
    assert list(place.iterdir()) == []
    assert (explained.returncode, explained.stdout) == (0, "erklärt (1)\n")
    assert again.returncode == 1
    assert again.stderr.startswith("not-missing: ")
    for digits, reason, code in (("4x", "why", "not-missing"), ("42", " ", "reason-missing")):
        wrong = box.command("explain", "amt", digits, "--reason", reason)
        assert wrong.returncode == 1
        assert wrong.stderr.startswith(f"{code}: ")
    assert "muster" not in box.log().lower()
    assert "Sozialamt" not in box.log()
    assert box.stop() == 0


def test_a_hot_folder_whose_documents_wait_may_not_leave_the_configuration(
    make_box: Callable[..., Box], drawn: dict[str, Path]
) -> None:
    """Nobody else knows what they wait for: exit code 78, and the name of the folder."""
    box = make_box()
    folder = second(box)
    before = box.config.read_text()
    box.start()
    (folder / "scan_1.pdf").write_bytes(drawn["brief.pdf"].read_bytes())
    box.wait(lambda: len(box.documents()) == 1, "it is claimed")
    assert box.stop() == 0
    box.config.write_text(before.replace(SECOND.format(root=box.root), ""))
    refused = subprocess.run(
        [SCANSEAL, "run", "--config", box.config],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=box.environment,
    )

    assert refused.returncode == 78
    assert "[[hotfolder]] amt: documents wait for what it knows" in refused.stderr
    box.config.write_text(before)
    box.start()
    (folder / "scan_1.json").write_text('{"version": 1, "operator": "K 17"}')
    box.wait(box.at_rest(1), "it is filed")
    assert box.documents()[0].state is State.FILED
