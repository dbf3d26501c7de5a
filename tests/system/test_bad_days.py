"""What bad input and bad days get: a code, a sentence and a remedy, and nothing lost."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pikepdf
import pytest

from daemon.codes import CODES
from daemon.document import State, folder_of, new_id
from daemon.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.system.box import Box


def encrypted(source: Path, target: Path) -> None:
    with pikepdf.open(source) as pdf:
        pdf.save(target, encryption=pikepdf.Encryption(owner="o", user="u"))


def test_bad_files_are_refused_with_a_reason_and_hold_up_nobody(
    make_box: Callable[..., Box], drawn: dict[str, Path], tmp_path: Path
) -> None:
    """Unknown, empty, cut off, encrypted and signed files: each its code, a copy, the original."""
    box = make_box().start()
    box.drop(drawn["brief.pdf"], "first.pdf")
    box.wait(box.at_rest(1), "the first is filed")
    (first,) = box.documents()
    bad = {
        "notes.txt": b"this is no scan",
        "empty.pdf": b"",
        "cut.pdf": drawn["brief.pdf"].read_bytes()[:-2000],
        "signed.pdf": (box.root / "dms" / first.id / "sealed.pdf").read_bytes(),
    }
    encrypted(drawn["brief.pdf"], tmp_path / "locked.pdf")
    bad["locked.pdf"] = (tmp_path / "locked.pdf").read_bytes()
    for name, content in bad.items():
        (box.root / "hot" / name).write_bytes(content)
    box.drop(drawn["foto.jpg"], "last.jpg")

    box.wait(box.at_rest(len(bad) + 2), "all at rest")
    rejected = box.root / "hot" / "rejected"
    box.wait(lambda: len(list(rejected.glob("*.txt"))) >= len(bad), "the way back")

    refused = [d for d in box.documents() if d.state is State.REFUSED]
    assert sorted(d.code for d in refused) == sorted(
        ["format-unknown", "file-empty", "file-incomplete", "already-signed", "pdf-encrypted"]
    )
    assert sum(d.state is State.FILED for d in box.documents()) == 2
    for document in refused:
        (original,) = box.folder(document).glob("original.*")
        id8 = document.id[-8:]
        beside = {path.suffix: path for path in rejected.iterdir() if f"~{id8}" in path.name}
        text = beside.pop(".txt").read_text(encoding="utf-8")
        (copy,) = beside.values()
        assert copy.read_bytes() == original.read_bytes()
        assert document.code in text
        assert CODES[document.code].de.remedy in text
        assert CODES[document.code].en.remedy in text
        assert original.read_bytes() in bad.values()
    status = box.status()
    assert status["refused"] == len(bad)
    page = json.dumps(status)
    assert not any(name in page for name in bad)


def test_a_wrong_pin_is_tried_once_and_only_a_person_asks_again(
    make_box: Callable[..., Box], drawn: dict[str, Path], tmp_path: Path
) -> None:
    """One try, service up, intake on; the right PIN in the file changes nothing by itself (I6)."""
    pin = tmp_path / "pin"
    pin.write_text("000000")
    pin.chmod(0o400)
    box = make_box(pin=pin).start()
    box.wait(lambda: "pin-rejected" in box.alarms(), "the alarm")
    box.drop(drawn["brief.pdf"])
    box.wait(lambda: len(box.documents()) == 1, "intake goes on")
    assert box.stop() == 0
    box.start()
    box.wait(lambda: "pin-rejected" in box.alarms(), "the alarm again, after a restart")

    def attempts() -> int:
        return sum('"event":"login-attempt"' in line for line in box.reader().chain())

    assert attempts() == 1
    assert box.documents()[0].state is State.CLAIMED
    pin.unlink()
    shutil.copy(box.token.pin, pin)
    assert box.command("hsm", "retry-login").returncode == 0
    box.wait(box.at_rest(1), "sealed after a person asked")
    assert attempts() == 2
    assert "pin-rejected" not in box.alarms()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"label": "no-such-token"}, "token-missing"),
        ({"module": "/nonexistent/module.so"}, "hsm-module-missing"),
        ({"key": "no-such-key"}, "key-missing"),
    ],
)
def test_a_missing_token_module_or_key_is_named(
    make_box: Callable[..., Box],
    drawn: dict[str, Path],
    options: dict[str, str],
    code: str,
) -> None:
    """The service is up, the scan is ours and safe, and the alarm says which thing is missing."""
    box = make_box(**options).start()
    box.drop(drawn["brief.pdf"])

    box.wait(lambda: code in box.alarms(), code)
    box.wait(lambda: len(box.documents()) == 1, "intake goes on")
    assert box.documents()[0].state is State.CLAIMED
    assert box.stop() == 0


def test_a_token_with_the_label_but_another_serial_is_not_used(
    make_box: Callable[..., Box], drawn: dict[str, Path]
) -> None:
    """`[hsm] serial` reaches the token's process: of two with one label only that one counts."""
    box = make_box()
    path = box.root / "scanseal.toml"
    path.write_text(path.read_text().replace("[hsm]\n", '[hsm]\nserial = "4711"\n'))
    box.start()
    box.drop(drawn["brief.pdf"])

    box.wait(lambda: "token-missing" in box.alarms(), "token-missing")
    box.wait(lambda: len(box.documents()) == 1, "intake goes on")
    assert box.documents()[0].state is State.CLAIMED
    assert box.stop() == 0


def test_a_target_that_is_away_loses_nothing_and_recovers(
    make_box: Callable[..., Box], drawn: dict[str, Path]
) -> None:
    """The archive's folder is gone for a while: the DMS gets its file, the rest waits."""
    box = make_box()
    (box.root / "archive").rmdir()
    box.start()
    box.drop(drawn["brief.pdf"])
    box.wait(lambda: any((box.root / "dms").glob("*/sealed.pdf")), "the DMS has it")
    (document,) = box.documents()
    assert document.state is State.FROZEN
    assert not (box.root / "archive").exists()

    (box.root / "archive").mkdir()
    box.wait(box.at_rest(1), "filed after all")
    assert (box.root / "archive" / document.id).is_dir()


@pytest.mark.parametrize("damage", ["garbage", "missing"])
def test_a_database_that_cannot_be_read_is_never_replaced(
    make_box: Callable[..., Box], drawn: dict[str, Path], damage: str
) -> None:
    """Nothing is claimed or changed, the service says so, and the files stay as they are."""
    box = make_box().start()
    box.drop(drawn["brief.pdf"])
    box.wait(box.at_rest(1), "filed")
    assert box.stop() == 0
    database = box.root / "state" / "spool.db"
    for extra in ("spool.db-wal", "spool.db-shm"):
        (box.root / "state" / extra).unlink(missing_ok=True)
    if damage == "garbage":
        database.write_bytes(b"garbage" * 1000)
    else:
        database.unlink()
    before = database.read_bytes() if database.exists() else None

    box.start()
    box.drop(drawn["foto.jpg"])
    alarm = "database-damaged" if damage == "garbage" else "database-missing"
    box.wait(lambda: alarm in box.alarms(), "the alarm")
    assert (box.root / "hot" / "foto.jpg").exists()
    assert (database.read_bytes() if database.exists() else None) == before
    assert box.stop() in {0, 74}
    assert (box.root / "hot" / "foto.jpg").exists()
    assert box.command("ledger", "verify").returncode == (74 if damage == "garbage" else 0)


def test_a_second_service_on_the_same_state_is_refused(make_box: Callable[..., Box]) -> None:
    """Two services on one spool would lose documents: the lock says no, with exit code 1."""
    box = make_box().start()

    second = box.command("run")
    assert second.returncode == 1
    assert "already-running" in second.stderr


def test_release_and_discard_are_a_persons_word(make_box: Callable[..., Box]) -> None:
    """A refused document can be tried again or given up; the caller's uid is in the ledger."""
    box = make_box().start()
    (box.root / "hot" / "notes.txt").write_bytes(b"this is no scan")
    box.wait(box.at_rest(1), "refused")
    (document,) = box.documents()

    assert box.command("release", document.id).returncode == 0
    box.wait(
        lambda: sum('"event":"refuse"' in line for line in box.reader().lines(document.id)) == 2,
        "refused again: a release overrides no rule",
    )
    assert box.command("discard", document.id).returncode == 2
    assert box.command("discard", document.id, "--reason", "test page").returncode == 0
    assert box.documents()[0].state is State.DISCARDED
    assert box.command("release", document.id).returncode == 1
    assert box.command("release", "nonsense").returncode == 1
    with sqlite3.connect(box.root / "state" / "spool.db") as db:
        personal = [row[0] for row in db.execute("SELECT content FROM personal")]
    assert any("uid " in text and "test page" in text for text in personal)
    assert (box.folder(document) / "original.bin").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('[[target]]\nname = "archive"', '[[target]]\nname = "other"', "[[target]] archive"),
        ("[profile.post]", "[profile.other]", "[profile.post]"),
    ],
)
def test_a_configuration_that_forgets_what_is_on_its_way_is_refused(
    make_box: Callable[..., Box], drawn: dict[str, Path], old: str, new: str, said: str
) -> None:
    """A target with open deliveries, a profile with unsealed documents: exit code 78, named."""
    box = make_box(key="" if "target" in said else "no-such-key")
    (box.root / "archive").rmdir()
    box.start()
    box.drop(drawn["brief.pdf"])
    state = State.FROZEN if "target" in said else State.CLAIMED
    box.wait(lambda: [d.state for d in box.documents()] == [state], state)
    assert box.stop() == 0
    text = box.config.read_text().replace(old, new)
    box.config.write_text(
        text.replace('profile = "post"', 'profile = "other"') if "other]" in new else text
    )

    refused = box.command("run")
    assert refused.returncode == 78
    assert said in refused.stderr


def spoil_a_page_that_no_start_reads(database: Path) -> None:
    """Overwrite the root page of the deliveries."""
    with sqlite3.connect(database) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'delivery'"
        (root,) = db.execute(query).fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    db.close()
    with database.open("rb+") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)


def test_damage_that_shows_only_later_is_shown_as_well(
    make_box: Callable[..., Box], drawn: dict[str, Path]
) -> None:
    """The start went well, the first delivery finds it: the service stays up and says so."""
    box = make_box().start()
    box.drop(drawn["brief.pdf"], "a.pdf")
    box.wait(box.at_rest(1), "filed")
    assert box.stop() == 0
    spoil_a_page_that_no_start_reads(box.root / "state" / "spool.db")

    box.start()
    box.drop(drawn["foto.jpg"])
    box.wait(lambda: "database-damaged" in box.alarms(), "the alarm")
    box.drop(drawn["brief.pdf"], "later.pdf")
    assert box.stop() == 74
    assert (box.root / "hot" / "later.pdf").exists()


def test_after_a_kill_damage_is_found_before_anybody_needs_the_page(
    make_box: Callable[..., Box], drawn: dict[str, Path]
) -> None:
    """The whole database is read once in the background: nothing has to come for it."""
    box = make_box().start()
    box.drop(drawn["brief.pdf"], "a.pdf")
    box.wait(box.at_rest(1), "filed")
    box.kill()
    spoil_a_page_that_no_start_reads(box.root / "state" / "spool.db")

    box.start()
    box.wait(lambda: "database-damaged" in box.alarms(), "the alarm")
    assert box.stop() == 74


def test_a_document_json_that_cannot_be_read_stops_nobody(
    make_box: Callable[..., Box], drawn: dict[str, Path]
) -> None:
    """A folder without a row whose document.json is a bad sector: an alarm, not an end."""
    box = make_box().start()
    assert box.stop() == 0
    folder = folder_of(box.root / "state" / "documents", new_id(datetime.now(UTC)))
    folder.mkdir(parents=True)
    (folder / "original.pdf").write_bytes(b"x")
    (folder / "document.json").mkdir()

    box.start()
    assert "folder-unexplained" in box.alarms()
    box.drop(drawn["brief.pdf"])
    box.wait(box.at_rest(1), "filed")
    assert (folder / "original.pdf").exists()


@pytest.fixture
def small_box(make_box: Callable[..., Box]) -> Iterator[Box]:
    """A box whose state_dir is a disk of 40 MB."""
    box: Box = make_box()
    state = box.root / "state"
    state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", state], check=True)
    yield box
    box.close()
    subprocess.run(["umount", "-l", state], check=True)


def fill(box: Box) -> Path:
    """Use up the state_dir's disk, and return what has to be removed again."""
    filler = box.root / "state" / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


def test_a_full_disk_is_named_and_all_goes_on_once_there_is_room(
    small_box: Box, drawn: dict[str, Path]
) -> None:
    """The same process says disk-full and waits; no document is counted for it."""
    box = small_box.start()
    box.drop(drawn["foto.jpg"])
    box.wait(box.at_rest(1), "filed")
    for number in range(12):
        box.drop(drawn["foto.jpg"], f"{number}.jpg")
    box.wait(lambda: len(box.documents()) > 5, "some are claimed")
    filler = fill(box)
    box.wait(lambda: "disk-full" in box.alarms(), "the alarm")
    assert box.process is not None
    assert box.process.poll() is None, box.log()

    filler.unlink()
    box.wait(box.at_rest(13), "all filed")
    assert {(d.state, d.tries) for d in box.documents()} == {(State.FILED, 0)}
    assert "disk-full" not in box.alarms()
    assert box.stop() == 0
    assert box.command("ledger", "verify").returncode == 0


def test_a_start_on_a_full_disk_waits_for_room(small_box: Box, drawn: dict[str, Path]) -> None:
    """It is up, says so, and takes the next scan once there is room."""
    box = small_box.start()
    box.drop(drawn["brief.pdf"])
    box.wait(box.at_rest(1), "filed")
    assert box.stop() == 0
    filler = fill(box)

    box.start()
    assert "disk-full" in box.alarms()
    filler.unlink()
    box.drop(drawn["foto.jpg"])
    box.wait(box.at_rest(2), "filed")
    assert box.stop() == 0


def test_a_start_on_a_disk_that_is_read_only_waits_until_it_can_be_written_to(
    small_box: Box, drawn: dict[str, Path]
) -> None:
    """As the kernel makes it after errors. Nothing can listen there: the log says it, and the page."""
    box = small_box.start()
    assert box.stop() == 0
    remount(box, "ro")

    box.start_only()
    box.wait(lambda: "raised code=disk-read-only" in box.log(), "the alarm")
    remount(box, "rw")
    box.drop(drawn["foto.jpg"])
    box.wait(box.at_rest(1), "filed")
    assert "disk-read-only" not in box.alarms()
    assert box.stop() == 0
    assert box.command("ledger", "verify").returncode == 0


def remount(box: Box, how: str) -> None:
    """Mount the state_dir's disk anew, read-only or not."""
    subprocess.run(["mount", "-o", f"remount,{how}", box.root / "state"], check=True)


def test_a_box_that_was_in_the_future_seals_again_when_a_person_says_so(
    make_box: Callable[..., Box], drawn: dict[str, Path]
) -> None:
    """Its ledger has a line from 2099; no NTP can be reached: intake goes on, marked."""
    box = make_box().start()
    assert box.command("clock", "accept").returncode == 1  # there is nothing to accept
    box.stop()
    spool = Spool(box.root / "state")
    spool.note("start", {}, None, datetime(2099, 1, 1, tzinfo=UTC))
    spool.close()
    box.start()
    box.wait(lambda: "clock-unsure" in box.alarms(), "the alarm")
    box.drop(drawn["brief.pdf"])
    box.wait(lambda: len(box.documents()) == 1, "the claim")
    assert [(d.state, d.clock) for d in box.documents()] == [(State.CLAIMED, "unsure")]

    accepted = box.command("clock", "accept")

    assert accepted.returncode == 0, accepted.stderr
    assert "gilt" in accepted.stdout
    box.wait(box.at_rest(1), "the document is filed")
    assert box.documents()[0].state is State.FILED
    assert "clock-unsure" not in box.alarms()
    assert box.command("ledger", "verify").returncode == 0


def test_nobody_has_logged_in_and_the_documents_wait_for_a_name(
    make_box: Callable[..., Box], drawn: dict[str, Path]
) -> None:
    """The technician is told; one is named by itself, the rest at once, and then people log in."""
    box = make_box()
    box.config.write_text(box.config.read_text().replace('operator = "K 17"', ""))
    box.start()
    for number in range(3):
        box.drop(drawn["foto.jpg"], f"{number}.jpg")
    box.wait(
        lambda: [d.state for d in box.documents()] == [State.WAITING] * 3, "all three are waiting"
    )
    box.wait(lambda: "documents-without-operator" in box.alarms(), "the alarm")
    first, *_ = box.documents()

    assert box.command("operator", "Stadt Musterstadt, Marktamt", first.id).returncode == 1
    assert box.command("operator", "m.muster", first.id).returncode == 0
    box.wait(lambda: box.documents()[0].state is State.FILED, "the first is filed")
    rest = box.command("operator", "k.kluge", "--waiting", "post")
    assert (rest.returncode, rest.stdout) == (0, "benannt (2)\n")
    box.wait(box.at_rest(3), "the others are filed")
    box.wait(lambda: "documents-without-operator" not in box.alarms(), "the alarm is gone")

    assert box.command("shift", "nowhere", "m.muster").returncode == 1
    assert "m.muster" in box.command("shift", "post", "m.muster").stdout
    box.drop(drawn["foto.jpg"], "4.jpg")
    box.wait(box.at_rest(4), "the fourth is filed")
    notes = [(box.folder(d) / "note.xml").read_text() for d in box.documents()]
    for note, name in zip(notes, ("m.muster", "k.kluge", "k.kluge", "m.muster"), strict=True):
        assert f"<creator>{name}</creator>" in note
    assert "muster" not in box.log()
    assert "muster" not in json.dumps(box.status())
    assert box.command("shift", "post", "--end").returncode == 0
