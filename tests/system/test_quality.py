"""A profile that asks for a qualified certificate, and what was sealed since: the whole box."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from daemon.codes import CODES
from daemon.document import State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.system.box import Box


def test_a_scan_waits_over_a_restart_and_goes_on_when_somebody_decides(
    make_box: Callable[..., Box], drawn: dict[str, Path]
) -> None:
    """Shown with its reason on status, page and `arrived`; a reason in the profile lets it go on."""
    box = make_box(profile='integrity = "high"').start()
    box.drop(drawn["foto.jpg"])
    box.wait(
        lambda: [(d.state, d.code) for d in box.documents()] == [(State.WAITING, "seal-quality")],
        "it waits",
    )
    box.wait(lambda: "seal-quality" in box.alarms(), "an alarm says so")
    status = box.status()
    (alarm,) = (one for one in status["alarms"] if one["code"] == "seal-quality")
    assert alarm["detail"] == "1"
    assert status["certificate"]["qualified"] == "not-qualified"
    assert status["certificate"]["algorithm"] == "rsa-pss-sha256"
    assert status["certificate"]["recommended_until"] == "2031-12-31"
    assert CODES["seal-quality"].de.sentence in box.command("arrived").stdout
    said = box.command("status").stdout
    assert "nicht qualifiziert laut Zertifikat" in said
    assert "Verfahren rsa-pss-sha256, empfohlen bis 2031-12-31" in said
    assert box.stop() == 0

    box.start()
    box.wait(lambda: "seal-quality" in box.alarms(), "it still waits")
    assert [d.state for d in box.documents()] == [State.WAITING]
    assert box.stop() == 0

    text = box.config.read_text()
    reason = 'integrity = "high"\naccept_advanced = "Beschluss 12/2026"'
    box.config.write_text(text.replace('integrity = "high"', reason))
    box.start()
    box.wait(box.at_rest(1), "it is filed")
    (document,) = box.documents()
    assert document.state is State.FILED
    assert "Beschluss 12/2026" in (box.folder(document) / "note.xml").read_text(encoding="utf-8")
    box.wait(lambda: "seal-quality" not in box.alarms(), "the alarm is cleared")


def test_what_was_sealed_since_is_listed_for_people_and_machines(
    make_box: Callable[..., Box], drawn: dict[str, Path]
) -> None:
    """After a revocation: every document, where it is, and the certificate."""
    box = make_box().start()
    box.drop(drawn["foto.jpg"], "a.jpg")
    box.wait(box.at_rest(1), "the first is filed")
    (first,) = box.documents()
    box.drop(drawn["antrag.png"], "b.png")
    box.wait(box.at_rest(2), "the second is filed")
    second = box.documents()[1]

    every = json.loads(box.command("sealed-since", "2020-01-01", "--json").stdout)
    assert [one["id"] for one in every] == [first.id, second.id]
    assert len({one["certificate"] for one in every}) == 1
    assert {one["state"] for one in every} == {"filed"}
    assert every[0]["targets"] == {"archive": "delivered", "dms": "delivered"}
    since = every[1]["sealed_at"]
    later = json.loads(box.command("sealed-since", since, "--json").stdout)
    assert [one["id"] for one in later] == [second.id]
    said = box.command("sealed-since", since).stdout
    assert said.startswith("Seitdem gesiegelt: 1 (Zertifikate: 1)\n")
    assert f"  {second.id}  abgelegt  " in said
    assert box.command("sealed-since", "01.01.2099").stdout == "Seitdem wurde nichts gesiegelt.\n"
    wrong = box.command("sealed-since", "gestern")
    assert (wrong.returncode, "bad-time" in wrong.stderr) == (1, True)


@pytest.mark.parametrize("padding", ["pss", "pkcs1v15"])
def test_the_page_says_what_is_known_of_the_certificate(
    make_box: Callable[..., Box], padding: str
) -> None:
    """In status, as the page has it: a legacy padding is remarked and no alarm."""
    box = make_box()
    text = box.config.read_text()
    box.config.write_text(text.replace("[seal]\n", f'[seal]\npadding = "{padding}"\n'))
    box.start()
    box.wait(lambda: bool((box.status()["certificate"] or {}).get("algorithm")), "it is known")

    legacy = padding == "pkcs1v15"
    certificate = box.status()["certificate"]
    assert certificate["algorithm"] == f"rsa-{padding}-sha256"
    assert certificate["remarks"] == (["padding-legacy"] if legacy else [])
    assert certificate["recommended_until"] == ("" if legacy else "2031-12-31")
    assert box.alarms() == set()
