"""What was delivered anchors the ledger: a tail that was cut off is found by it, on any machine."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

from tests.system.box import SCANSEAL, Box

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def audit(box: Box, exported: Path, *more: str | Path) -> tuple[int, str]:
    """Check the exported ledger far from the box: no configuration, no environment of it."""
    done = subprocess.run(
        [SCANSEAL, "ledger", "verify", exported, "--certificate", box.token.ca, *more],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout


def cut(exported: Path, document_id: str) -> int:
    """Cut the ledger off before that document's first line; return how many lines are left."""
    kept = 0
    there = True
    for day in sorted(exported.glob("*.jsonl")):
        lines = [] if ".personal" in day.name else day.read_text("utf-8").splitlines(keepends=True)
        before = []
        for line in lines:
            there = there and json.loads(line)["document"] != document_id
            before += [line] if there else []
        kept += len(before)
        day.unlink()
        if before:
            day.write_text("".join(before), "utf-8")
    return kept


def test_a_tail_that_was_cut_off_is_found_by_every_delivered_note(
    make_box: Callable[..., Box], drawn: dict[str, Path], tmp_path: Path
) -> None:
    """By the sealed PDF from the DMS, by its note and its manifest from the archive, by a head."""
    box = make_box().start()
    box.drop(drawn["brief.pdf"])
    box.wait(box.at_rest(1), "filed")
    head = box.status()["ledger"]
    assert box.stop() == 0
    (document,) = box.documents()
    exported = tmp_path / "exported"
    exported.mkdir()
    for file in (box.root / "state/ledger").glob("*.jsonl"):
        shutil.copy(file, exported)
    notes = [
        box.root / "dms" / document.id / "sealed.pdf",
        box.root / "archive" / document.id / "note.xml",
        box.root / "archive" / document.id / "manifest.json",
    ]
    anchors: list[str | Path] = ["--head", f"{head['seq']}:{head['hash']}"]
    for note in notes:
        anchors += ["--note", note]

    # The day still runs, so it has no seal yet; its lines are there, and all that anchors them.
    code, said = audit(box, exported, *anchors)
    assert code == 1, said
    assert "4 hashes from MQTT, notes and manifests stand in the chain" in said

    kept = cut(exported, document.id)
    assert audit(box, exported)[0] == 1
    for option, anchor in zip(anchors[::2], anchors[1::2], strict=True):
        code, said = audit(box, exported, option, anchor)
        assert code == 74, said
        assert f"The chain ends at line {kept} (" in said

    # A file that is not sealed as it was delivered accuses nobody.
    forged = tmp_path / "forged.pdf"
    forged.write_bytes(notes[0].read_bytes() + b"\n% appended\n")
    code, said = audit(box, exported, "--note", forged)
    assert code == 1, said
    assert "its own seal does not hold" in said
