"""What a person asks about the proofs of a document, on the real service."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.system.box import Box


def test_prove_prints_both_proofs_and_waive_does_without_what_is_gone(
    make_box: Callable[..., Box], drawn: dict[str, Path]
) -> None:
    """From what lies there now; exit code 1 while something is gone and nobody has decided."""
    box = make_box().start()
    box.drop(drawn["brief.pdf"])
    box.wait(box.at_rest(1), "filed")
    (document,) = box.documents()

    good = box.command("prove", document.id)
    assert good.returncode == 0, good.stderr
    assert good.stdout.count("nachgewiesen, soeben zurückgelesen") == 2
    assert str(document.sealed) in good.stdout
    assert str(document.digest) in good.stdout

    (box.root / "dms" / document.id / "sealed.pdf").unlink()
    gone = box.command("prove", document.id, "--json")
    assert gone.returncode == 1
    said = {one["target"]: one for one in json.loads(gone.stdout)["targets"]}
    assert (said["dms"]["state"], said["dms"]["parts"]) == ("gone", [])
    assert said["archive"]["state"] == "held"
    box.wait(lambda: "delivery-gone" in box.alarms(), "the alarm")

    assert box.command("waive", document.id, "--target", "dms").returncode == 2
    waived = box.command("waive", document.id, "--target", "dms", "--reason", "gelöscht nach Recht")
    assert waived.returncode == 0, waived.stderr
    box.wait(lambda: "delivery-gone" not in box.alarms(), "no alarm")
    again = box.command("waive", document.id, "--target", "dms", "--reason", "noch einmal")
    assert again.returncode == 1
    assert "not-waivable" in again.stderr
    assert box.command("prove", document.id).returncode == 0
