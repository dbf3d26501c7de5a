"""The end of the local copies on the real service, and what everybody says of it afterwards."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from typing import TYPE_CHECKING

from daemon.document import State
from tests.system.box import PATIENCE, SCANSEAL
from tests.system.test_mqtt import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from daemon.document import Document
    from tests.system.box import Box


def page(port: int, document: Document) -> str:
    """Return what the page says of a document, in English."""
    address = f"http://127.0.0.1:{port}/documents/{document.id}?lang=en"
    with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
        return str(answer.read().decode())


def test_what_was_filed_is_forgotten_and_everybody_knows_it(
    make_box: Callable[..., Box], drawn: dict[str, Path]
) -> None:
    """What verify --all says, note, arrived, page, status and ledger, after a restart as well."""
    port = free_port()
    web = f'[web]\nlisten = "127.0.0.1:{port}"\n'
    box = make_box(profile="keep_local_days = 0\n", more=web).start()
    box.drop(drawn["brief.pdf"])
    box.wait(box.at_rest(1), "filed")
    assert box.stop() == 0
    box.start()
    box.wait(lambda: box.documents()[0].state is State.FORGOTTEN, "forgotten")
    (document,) = box.documents()
    box.wait(lambda: not (box.folder(document) / "sealed.pdf").exists(), "unlinked")

    assert {path.name for path in box.folder(document).iterdir()} == {
        "document.json",
        "note.xml",
        "manifest.json",
        "manifest.p7s",
        "receipt-dms.json",
        "receipt-archive.json",
    }
    assert (box.root / "archive" / document.id / "original.pdf").exists()
    for extra in ((), ("--deep",)):
        verified = box.command("verify", "--all", *extra)
        assert verified.returncode == 0, verified.stdout + verified.stderr
        assert verified.stdout.startswith("0 ")
    box.wait(lambda: box.status()["all_well"], "all well")
    status = box.status()
    assert status["unproven"] == 0
    assert (status["documents"]["forgotten"], status["documents"]["filed"]) == (1, 0)
    assert "<transfernote" in box.command("note", document.id, "--xml").stdout.lower()
    (scan,) = json.loads(box.command("arrived", "--json").stdout)["scans"]
    assert scan["where"] == "liegt im DMS und im Archiv"
    shown = page(port, document)
    assert "removed here" in shown
    assert "receipt" in shown or str(document.sealed) in shown
    assert "own-copy-damaged" not in shown
    assert '<section id="note">' in shown
    assert box.command("ledger", "verify").returncode == 0
    assert box.stop() == 0
    box.start()
    box.wait(lambda: box.status()["all_well"], "all well")
    assert box.documents() == [document]


def test_a_second_service_on_the_same_state_dir_is_refused(
    make_box: Callable[..., Box], drawn: dict[str, Path]
) -> None:
    """By the lock, before it touches anything; the first one goes on, and its end frees it."""
    box = make_box().start()
    second = subprocess.run(
        [SCANSEAL, "run", "--config", box.config],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=box.environment,
    )

    assert second.returncode == 1
    assert second.stderr.startswith("already-running: ")
    box.drop(drawn["foto.jpg"])
    box.wait(box.at_rest(1), "filed")
    box.kill()
    box.start()
    box.wait(lambda: box.status()["all_well"], "all well")
