"""The way back and the way forward, on the real service: refused, put right, found again."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from daemon.document import Copy, State
from daemon.intake.report import MARK
from daemon.words import WORDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.system.box import Box

GERMAN = {key: words[0] for key, words in WORDS.items()}


def changed(box: Box, *changes: tuple[str, str]) -> Box:
    """Change the configuration of a box that is not started yet."""
    text = box.config.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    box.config.write_text(text)
    return box


def files(folder: Path) -> list[str]:
    """Return the names of what lies there, without what is being written."""
    return sorted(path.name for path in folder.iterdir() if path.name[0] != ".")


@pytest.mark.parametrize("place", ["hot/rejected", "elsewhere"])
def test_a_corrected_file_replaces_the_refused_one_by_its_name(
    make_box: Callable[..., Box], drawn: dict[str, Path], place: str
) -> None:
    """Taken out of `rejected` under the copy's name, whether that lies in the hot folder or not."""
    box = make_box()
    rejected = box.root / place
    rejected.mkdir(parents=True, exist_ok=True)
    changed(box, (f'"{box.root}/hot/rejected"', f'"{rejected}"')).start()
    box.drop(drawn["brief.pdf"], "first.pdf")
    cut = drawn["brief.pdf"].read_bytes()[:-2000]
    (box.root / "hot" / "Müller.pdf").write_bytes(cut)
    box.wait(box.at_rest(2), "one filed, one refused")
    box.wait(lambda: len(files(rejected)) == 2, "the way back")
    copy, text = files(rejected)
    assert f'"{copy}"' in (rejected / text).read_text("utf-8-sig")

    # The person at the scanner puts the right file into the hot folder, under that name.
    box.drop(drawn["brief.pdf"], copy)
    box.wait(lambda: len(box.documents()) == 3, "claimed")
    box.wait(lambda: box.documents()[-1].state is State.FILED, "filed")
    box.wait(lambda: box.documents()[1].copy is Copy.NONE, "the copy has gone")
    assert files(rejected) == []
    _, old, new = box.documents()
    assert (old.state, old.superseded_by) == (State.DISCARDED, new.id)
    status = box.status()
    assert (status["refused"], status["unproven"]) == (0, 0)
    assert (box.folder(old) / "original.pdf").read_bytes() == cut


def test_a_refused_file_dropped_again_does_not_pile_up(
    make_box: Callable[..., Box], drawn: dict[str, Path]
) -> None:
    """Moved back as it is, three times: one document to decide about, one copy with its text."""
    box = make_box().start()
    hot = box.root / "hot"
    (hot / "scan.pdf").write_bytes(drawn["brief.pdf"].read_bytes()[:-2000])
    for number in range(1, 4):
        box.wait(lambda: len(box.documents()) == number, f"claim {number}")  # noqa: B023
        box.wait(lambda: box.documents()[-1].copy is Copy.THERE, "its copy")
        box.wait(lambda: len(files(hot / "rejected")) == 2, "and no other")
        newest = box.documents()[-1]
        copy, text = files(hot / "rejected")
        assert copy == f"scan~{newest.id[-8:]}.pdf"
        if number < 3:
            shutil.move(hot / "rejected" / copy, hot / copy)
            (hot / "rejected" / text).unlink()

    assert box.status()["refused"] == 1
    assert [d.state for d in box.documents()] == [State.DISCARDED, State.DISCARDED, State.REFUSED]
    assert box.command("ledger", "verify").returncode == 0


def test_a_person_finds_a_scan_and_decides_by_eight_digits(
    make_box: Callable[..., Box], drawn: dict[str, Path]
) -> None:
    """In German, with what the page calls things; the uid of who asked is in the ledger."""
    box = make_box().start()
    box.drop(drawn["brief.pdf"], "Kündigung.pdf")
    box.wait(box.at_rest(1), "filed")
    (box.root / "hot" / "notes.txt").write_bytes(b"this is no scan")
    box.wait(lambda: any(d.copy is Copy.THERE for d in box.documents()), "refused, with its copy")
    filed, refused = box.documents()
    id8 = refused.id[-8:]

    said = box.command("arrived")
    assert said.returncode == 0
    first, second = said.stdout.splitlines()
    assert re.match(r"\d\d\.\d\d\.\d{4} \d\d:\d\d:\d\d  post  " + id8 + r"  notes\.txt ", first)
    assert "abgelehnt: Das ist kein PDF" in first
    assert "Siehe rejected." in first
    assert f"{filed.id[-8:]}  Kündigung.pdf" in second
    assert second.endswith(GERMAN["scan_filed"])
    found = json.loads(box.command("arrived", "--json", "kündig").stdout)
    assert [scan["id"] for scan in found["scans"]] == [filed.id]
    assert box.command("arrived", "4711").returncode == 1
    assert box.command("arrived", "--since", "neulich").returncode == 1
    assert box.command("arrived", "--last", "1").stdout == said.stdout.splitlines(keepends=True)[0]

    # The same paper, scanned again under its old name: only a person can say that.
    box.drop(drawn["brief.pdf"], "notes.txt")
    box.wait(
        lambda: [d.state for d in box.documents()[2:]] == [State.FILED], "the new one is filed"
    )
    new = box.documents()[-1]
    assert f"ersetzt vielleicht {id8}: scanseal supersede {id8} {new.id[-8:]}" in (
        box.command("arrived").stdout
    )
    wrong = box.command("supersede", id8, id8)
    assert wrong.returncode == 1
    assert "not-a-successor" in wrong.stderr
    assert "(zurückgewiesen)" in wrong.stderr
    assert "Dieses Dokument kann das andere nicht ersetzen" in wrong.stderr
    done = box.command("supersede", id8, new.id[-8:])
    assert done.stdout == f"{refused.id} ist ersetzt durch {new.id}\n"
    assert box.command("release", id8).returncode == 1
    assert box.command("discard", "12345678", "--reason", "x").returncode == 1
    box.wait(lambda: files(box.root / "hot" / "rejected") == [], "the copy has gone")
    assert f"ersetzt durch {new.id[-8:]}" in box.command("arrived", "--last", "5").stdout

    status = box.command("status")
    assert status.returncode == 0
    assert "abgelegt 2" in status.stdout
    assert not {"filed", "discarded", "delivered", "ready"} & set(re.findall(r"\w+", status.stdout))
    lines = "".join(box.reader().lines(refused.id) + box.reader().lines(new.id))
    assert "uid " not in lines
    assert "notes" not in lines
    assert "notes" not in box.log()


def test_the_report_on_the_share_says_what_became_of_each_scan(
    make_box: Callable[..., Box], drawn: dict[str, Path]
) -> None:
    """In the hot folder itself, and never taken for a scan; over a restart as well."""
    box = make_box()
    report = box.root / "hot" / "Letzte Scans.txt"
    changed(box, ("[[hotfolder]]\n", f'[[hotfolder]]\nreport = "{report}"\nignore = []\n')).start()

    def says(text: str) -> Callable[[], bool]:
        return lambda: report.exists() and text in report.read_text("utf-8-sig")

    box.wait(says(GERMAN["scans_none"]), "an empty one, at the start")
    box.drop(drawn["brief.pdf"], "Bescheid.pdf")
    box.wait(says(GERMAN["scan_filed"]), "where the scan is")
    (document,) = box.documents()
    (line,) = [x for x in report.read_text("utf-8-sig").splitlines() if "Bescheid.pdf" in x]
    assert line.endswith(f"[{document.id[-8:]}]")
    assert report.read_text("utf-8-sig").startswith(MARK)
    assert box.stop() == 0
    report.unlink()
    box.start()
    box.wait(says("Bescheid.pdf"), "written again")
    assert [d.id for d in box.documents()] == [document.id]
    assert "left-lying" not in box.alarms()
    assert "Bescheid" not in box.log()
    assert "Bescheid" not in json.dumps(box.status())
