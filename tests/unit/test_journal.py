"""The ledger's files: they follow the database, and whatever else they say is damage."""

from __future__ import annotations

import json
import resource
import shutil
import sqlite3
import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from daemon import ledger
from daemon.errors import CorruptionError
from daemon.records import journal
from daemon.records.journal import compare, files, verify_files
from daemon.spool import Spool
from tests.values import NAME, NOW, arrival

if TYPE_CHECKING:
    from pathlib import Path

TODAY = "2026-11-22"


def opened(state: Path) -> Spool:
    return Spool(state, new=True)


def noted(spool: Spool, number: int, at: datetime = NOW, *, personal: bool = False) -> None:
    spool.note("test", {"n": number}, {"person": f"uid {number}"} if personal else None, at)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def numbers(path: Path) -> list[int]:
    return [line["seq"] for line in lines(path)]


def snapshot(state: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (state / "ledger").iterdir()}


def damage(state: Path) -> str:
    """Open the spool, expect it to be refused with the files untouched, and return the code."""
    before = snapshot(state)
    with pytest.raises(CorruptionError) as caught:
        opened(state)
    assert snapshot(state) == before
    return caught.value.code


def test_what_was_not_written_to_its_end_is_not_appended_again(state: Path) -> None:
    """Half a line is there now: whoever appended behind it would write damage."""
    spool = opened(state)
    for number in range(3):
        noted(spool, number)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            spool.export_ledger()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    (path,) = files(state / "ledger")
    torn = path.read_bytes()

    assert len(torn) == 100
    with pytest.raises(OSError, match="not written to their end"):
        spool.export_ledger()
    assert path.read_bytes() == torn
    spool.close()
    opened(state).close()
    assert numbers(path) == [1, 2, 3]
    compare(state)


def test_lines_come_into_the_files_of_their_day(state: Path) -> None:
    """One line per row, in order, as it stands in the database; the chain goes on over midnight."""
    spool = opened(state)
    for number in range(3):
        noted(spool, number)
    assert spool.export_ledger() == 3
    noted(spool, 3, NOW + timedelta(days=1))
    assert spool.export_ledger() == 1
    assert spool.export_ledger() == 0

    assert [p.name for p in files(state / "ledger")] == ["2026-11-22.jsonl", "2026-11-23.jsonl"]
    assert numbers(state / "ledger" / "2026-11-22.jsonl") == [1, 2, 3]
    assert numbers(state / "ledger" / "2026-11-23.jsonl") == [4]
    assert verify_files(state / "ledger") == spool.head() == compare(state)
    for path in (state / "ledger").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_more_than_one_group_is_written_at_once(state: Path) -> None:
    """After a long time without the files: nothing holds all lines in memory."""
    spool = opened(state)
    spool._db.execute("BEGIN")
    head = ledger.EMPTY
    for number in range(journal.GROUP * 2 + 5):
        day = NOW + timedelta(days=number // 900)
        at = day.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = ledger.append(head, box_id="b", at=at, document="", event="e", detail={})
        head = ledger.Head(line.seq, line.hash)
        spool._db.execute(
            "INSERT INTO ledger VALUES (?,?,?,?,?,?)", [line.seq, at, "", "e", line.text, line.hash]
        )
    spool._db.execute("COMMIT")

    assert spool.export_ledger() == journal.GROUP * 2 + 5
    assert verify_files(state / "ledger") == head


def test_the_files_are_caught_up_at_start(state: Path) -> None:
    """Killed between the commit and the append: the database was first, so it has the line."""
    spool = opened(state)
    noted(spool, 0)
    spool.export_ledger()
    noted(spool, 1, personal=True)
    noted(spool, 2)
    spool.close()  # as a kill leaves it: committed, and not in the files
    assert numbers(state / "ledger" / f"{TODAY}.jsonl") == [1]

    spool = opened(state)

    assert numbers(state / "ledger" / f"{TODAY}.jsonl") == [1, 2, 3]
    assert numbers(state / "ledger" / f"{TODAY}.personal.jsonl") == [2]
    assert compare(state) == spool.head()


def test_files_that_were_removed_are_written_again(state: Path) -> None:
    """The database has every line; an empty folder is only one that lags behind."""
    spool = opened(state)
    for number in range(3):
        noted(spool, number, personal=True)
    spool.export_ledger()
    spool.close()
    before = snapshot(state)
    for path in (state / "ledger").iterdir():
        path.unlink()

    opened(state)

    assert snapshot(state) == before


@pytest.mark.parametrize("keep", [1, 20, -1])
def test_a_torn_last_line_is_cut_off_and_written_again(state: Path, keep: int) -> None:
    """A power cut in the middle of an append: the line is in the database, whole."""
    spool = opened(state)
    noted(spool, 0)
    noted(spool, 1)
    spool.export_ledger()
    spool.close()
    path = state / "ledger" / f"{TODAY}.jsonl"
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    path.write_bytes(whole[: first + keep] if keep > 0 else whole[:keep])

    opened(state)

    assert path.read_bytes() == whole


@pytest.mark.parametrize(("begin", "end"), [(30, 60), (0, 200), (30, -30), (30, None)])
def test_zeros_in_the_last_append_are_cut_off_and_written_again(
    state: Path, begin: int, end: int | None
) -> None:
    """A disk may have written the end of the append and not its beginning."""
    spool = opened(state)
    for number in range(4):
        noted(spool, number)
    spool.export_ledger()
    spool.close()
    path = state / "ledger" / f"{TODAY}.jsonl"
    whole = path.read_bytes()
    begin += whole.index(b"\n") + 1
    hole = slice(begin, (begin + end if end > 0 else len(whole) + end) if end else len(whole))
    torn = bytearray(whole)
    torn[hole] = bytes(len(torn[hole]))
    path.write_bytes(torn)

    spool = opened(state)

    assert path.read_bytes() == whole
    assert compare(state) == spool.head()


@pytest.mark.parametrize("how", ["ahead", "another"])
def test_behind_zeros_nothing_is_cut_off_that_the_database_has_not(state: Path, how: str) -> None:
    """No power cut does that: it is a person's to explain, and nothing is touched."""
    spool = opened(state)
    for number in range(3):
        noted(spool, number)
    spool.export_ledger()
    spool.close()
    path = state / "ledger" / f"{TODAY}.jsonl"
    first, second, third = path.read_bytes().splitlines(keepends=True)[-3:]
    changed = (b'"seq":', b'"seq":9') if how == "ahead" else (b'"at":"2', b'"at":"1')
    path.write_bytes(first + bytes(len(second)) + b"\n" + third.replace(*changed))
    before = path.read_bytes()

    said = {"ahead": "the database has not", "another": "has another line"}[how]
    with pytest.raises(CorruptionError, match=said):
        opened(state)

    assert path.read_bytes() == before


def test_a_file_that_has_only_a_torn_line_begins_again(state: Path) -> None:
    """The first append of a day was cut: the day before is where the chain stands."""
    spool = opened(state)
    noted(spool, 0)
    noted(spool, 1, NOW + timedelta(days=1))
    spool.export_ledger()
    spool.close()
    path = state / "ledger" / "2026-11-23.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:7])

    spool = opened(state)

    assert path.read_bytes() == whole
    assert compare(state) == spool.head()


@pytest.mark.parametrize("keep", [1, 30, -1])
def test_a_torn_personal_line_is_cut_off_and_written_again(state: Path, keep: int) -> None:
    """It is appended first: a rebuild must not find half a name glued to the next one."""
    spool = opened(state)
    noted(spool, 0, personal=True)
    noted(spool, 1, personal=True)
    spool.export_ledger()
    spool.close()
    personal = state / "ledger" / f"{TODAY}.personal.jsonl"
    path = state / "ledger" / f"{TODAY}.jsonl"
    whole = (path.read_bytes(), personal.read_bytes())
    path.write_bytes(whole[0][: whole[0].index(b"\n") + 1])  # the second line never came
    first = whole[1].index(b"\n") + 1
    personal.write_bytes(whole[1][: first + keep] if keep > 0 else whole[1][:keep])

    opened(state)

    assert (path.read_bytes(), personal.read_bytes()) == whole


def test_a_personal_line_is_not_written_twice(state: Path) -> None:
    """Killed between the two appends: what was erased once must not be there a second time."""
    spool = opened(state)
    noted(spool, 0, personal=True)
    noted(spool, 1, personal=True)
    spool.export_ledger()
    spool.close()
    path = state / "ledger" / f"{TODAY}.jsonl"
    path.write_bytes(path.read_bytes()[: path.read_bytes().index(b"\n") + 1])

    opened(state)

    assert numbers(path) == [1, 2]
    assert numbers(state / "ledger" / f"{TODAY}.personal.jsonl") == [1, 2]


def test_files_ahead_of_the_database_are_damage(state: Path) -> None:
    """The database is an old copy: what it would do next has been done already."""
    spool = opened(state)
    noted(spool, 0, personal=True)
    spool.close()
    shutil.copy(state / "spool.db", state / "copy")
    spool = opened(state)
    noted(spool, 1, personal=True)
    spool.export_ledger()
    spool.close()
    (state / "copy").replace(state / "spool.db")

    assert damage(state) == "ledger-ahead"


def test_a_torn_line_behind_damage_is_left_as_it_is(state: Path) -> None:
    """Where the two disagree nothing is touched: a person may need every byte."""
    spool = opened(state)
    noted(spool, 0)
    spool.close()
    shutil.copy(state / "spool.db", state / "copy")
    spool = opened(state)
    noted(spool, 1)
    spool.export_ledger()
    spool.close()
    (state / "copy").replace(state / "spool.db")
    with (state / "ledger" / f"{TODAY}.jsonl").open("ab") as file:
        file.write(b'{"torn')

    assert damage(state) == "ledger-ahead"


def test_a_personal_file_ahead_of_the_database_is_damage(state: Path) -> None:
    """It is the same evidence as a line."""
    spool = opened(state)
    noted(spool, 0, personal=True)
    spool.export_ledger()
    spool.close()
    with (state / "ledger" / f"{TODAY}.personal.jsonl").open("ab") as file:
        file.write(b'{"personal":"x","salt":"00","seq":2}\n')

    assert damage(state) == "ledger-ahead"


@pytest.mark.parametrize(
    ("tail", "code"),
    [
        (b"not JSON\n", "ledger-damaged"),
        (b"\n", "ledger-damaged"),
        (b"[]\n", "ledger-damaged"),
        (b"{}\n", "ledger-damaged"),
        (b'{"seq":[1]}\n', "ledger-damaged"),
        (b'{"seq":1}\n', "ledger-damaged"),
        (b'{"seq":9999999999999999999999}\n', "ledger-damaged"),
        (b"\xff\xfe\n", "ledger-damaged"),
        (b"[" * 100_000 + b"\n", "ledger-damaged"),
        (b'{"seq":3}\n', "ledger-ahead"),
    ],
)
def test_a_last_line_that_says_something_else_is_damage(
    state: Path, tail: bytes, code: str
) -> None:
    """Also one that is no line at all: it ended in a newline, so it was not torn."""
    spool = opened(state)
    noted(spool, 0)
    noted(spool, 1)
    spool.export_ledger()
    spool.close()
    with (state / "ledger" / f"{TODAY}.jsonl").open("ab") as file:
        file.write(tail)

    assert damage(state) == code


def test_a_changed_last_line_is_damage(state: Path) -> None:
    """One letter of it: the database says otherwise."""
    spool = opened(state)
    noted(spool, 0)
    spool.export_ledger()
    spool.close()
    path = state / "ledger" / f"{TODAY}.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"test"', b'"tset"'))

    assert damage(state) == "ledger-damaged"


@pytest.mark.parametrize("name", ["copy.jsonl", "2026-11-22 (2).jsonl", "zzz.personal.jsonl"])
def test_a_strangers_file_is_none_of_the_ledgers(state: Path, name: str) -> None:
    """A technician's copy beside it must not be taken for the newest day."""
    spool = opened(state)
    noted(spool, 0)
    spool.export_ledger()
    spool.close()
    shutil.copy(state / "ledger" / f"{TODAY}.jsonl", state / "ledger" / name)

    spool = opened(state)
    noted(spool, 1)
    spool.export_ledger()

    assert numbers(state / "ledger" / f"{TODAY}.jsonl") == [1, 2]
    assert numbers(state / "ledger" / name) == [1]
    assert compare(state) == spool.head()


def test_a_clock_that_goes_back_over_midnight_reopens_no_file(state: Path) -> None:
    """A day that is over may be sealed and archived: its file never grows again."""
    spool = opened(state)
    noted(spool, 0, datetime(2026, 11, 23, 0, 0, 1, tzinfo=UTC))
    spool.export_ledger()
    noted(spool, 1, datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC))
    spool.export_ledger()
    spool.close()
    spool = opened(state)
    noted(spool, 2, datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC), personal=True)
    spool.export_ledger()

    assert {p.name for p in (state / "ledger").iterdir()} == {
        "2026-11-23.jsonl",
        "2026-11-23.personal.jsonl",
    }
    assert numbers(state / "ledger" / "2026-11-23.jsonl") == [1, 2, 3]
    assert compare(state) == spool.head()


def test_personal_detail_stands_apart_and_is_tied_by_its_hash(state: Path) -> None:
    """No name in a line; the salt in the other file makes the hash checkable."""
    spool = opened(state)
    spool.claim(arrival(), NOW)
    spool.export_ledger()
    (line,) = lines(state / "ledger" / f"{TODAY}.jsonl")
    (entry,) = lines(state / "ledger" / f"{TODAY}.personal.jsonl")

    assert NAME.hex() in entry["personal"]
    assert line["personal_hash"] == ledger.personal_hash(
        bytes.fromhex(entry["salt"]), entry["personal"]
    )
    assert len(bytes.fromhex(entry["salt"])) == ledger.SALT_BYTES
    assert b"ndigung" not in (state / "ledger" / f"{TODAY}.jsonl").read_bytes()


def test_personal_detail_can_be_erased_and_the_chain_still_verifies(state: Path) -> None:
    """In the database and in the file; nothing of it comes back at the next start."""
    spool = opened(state)
    spool.claim(arrival(1), NOW)
    spool.claim(arrival(2), NOW)
    spool.export_ledger()
    spool._db.execute("DELETE FROM personal WHERE seq = 1")
    spool.close()
    personal = state / "ledger" / f"{TODAY}.personal.jsonl"
    kept = personal.read_bytes().split(b"\n", 1)[1]
    personal.write_bytes(kept)

    spool = opened(state)
    spool.claim(arrival(3), NOW)
    spool.export_ledger()

    assert numbers(personal) == [2, 3]
    assert compare(state) == spool.head()


def test_personal_detail_that_was_erased_before_it_was_written_stays_erased(state: Path) -> None:
    """The newest personal file was removed whole: what is in the lines is not written again."""
    spool = opened(state)
    spool.claim(arrival(1), NOW)
    spool.export_ledger()
    spool.close()
    (state / "ledger" / f"{TODAY}.personal.jsonl").unlink()

    opened(state)

    assert not (state / "ledger" / f"{TODAY}.personal.jsonl").exists()


def test_a_break_in_any_file_is_found_by_verifying(state: Path) -> None:
    """The start looks at the newest line only; `scanseal ledger verify` at all of them."""
    spool = opened(state)
    for number in range(4):
        noted(spool, number, NOW + timedelta(days=number // 2))
    spool.export_ledger()
    path = state / "ledger" / f"{TODAY}.jsonl"
    whole = path.read_bytes()
    first, second, _ = whole.split(b"\n")

    for broken in (
        second + b"\n" + first + b"\n",
        first + b"\n",
        b"",
        whole.replace(b'"n":0', b'"n":9'),
        first + b"\n" + second,  # torn, and not in the newest file
        whole[:-3] + b"\xff\xff\n",
        b"\n" + whole,
    ):
        path.write_bytes(broken)
        with pytest.raises(CorruptionError) as caught:
            compare(state)
        assert caught.value.code == "ledger-damaged"
    path.write_bytes(whole)
    assert compare(state) == spool.head()


def test_verifying_while_a_line_is_being_appended_is_no_damage(state: Path) -> None:
    """The service runs: the newest file may end in half a line for a moment."""
    spool = opened(state)
    noted(spool, 0)
    spool.export_ledger()
    noted(spool, 1)
    with (state / "ledger" / f"{TODAY}.jsonl").open("ab") as file:
        file.write(b'{"at":"2026-11-22T12')

    assert compare(state) == spool.head()


def test_files_and_database_that_differ_are_damage(state: Path) -> None:
    """Both chains hold in themselves: one of them was written anew from some line on."""
    spool = opened(state)
    for number in range(3):
        noted(spool, number)
    spool.export_ledger()
    path = state / "ledger" / f"{TODAY}.jsonl"
    head = ledger.EMPTY
    forged = []
    for line in lines(path):
        made = ledger.append(
            head,
            box_id=line["box_id"],
            at=line["at"],
            document="",
            event="test",
            detail={"n": 7},
        )
        forged.append(made.text)
        head = ledger.Head(made.seq, made.hash)
    path.write_text("".join(text + "\n" for text in forged), encoding="utf-8")

    assert verify_files(state / "ledger") == head
    with pytest.raises(CorruptionError) as caught:
        compare(state)
    assert caught.value.code == "ledger-damaged"


def test_a_ledger_that_is_not_there_is_named(state: Path) -> None:
    """Rather than "verified: 0 lines"."""
    with pytest.raises(CorruptionError) as caught:
        compare(state)

    assert caught.value.code == "ledger-missing"


def test_without_a_database_the_files_verify_alone(state: Path) -> None:
    """What `scanseal ledger verify` can say after the database was lost."""
    spool = opened(state)
    noted(spool, 0)
    spool.export_ledger()
    head = spool.head()
    spool.close()
    (state / "spool.db").unlink()

    assert compare(state) == head
    assert not (state / "spool.db").exists()


def test_a_damaged_database_is_named_when_verifying(state: Path) -> None:
    """Exit code 74, not a traceback."""
    spool = opened(state)
    noted(spool, 0)
    spool.export_ledger()
    spool.close()
    (state / "spool.db").write_bytes(b"no database" * 1000)

    with pytest.raises(CorruptionError) as caught:
        compare(state)

    assert caught.value.code == "database-damaged"


def test_comparing_leaves_no_connection_behind(state: Path) -> None:
    """The service may want to be alone with its database afterwards."""
    spool = opened(state)
    noted(spool, 0)
    spool.export_ledger()
    spool.close()

    compare(state)

    alone = sqlite3.connect(state / "spool.db", isolation_level=None, timeout=0.1)
    assert alone.execute("PRAGMA locking_mode = EXCLUSIVE").fetchone() == ("exclusive",)
    alone.execute("BEGIN EXCLUSIVE")
    alone.close()


def test_a_personal_detail_that_was_changed_is_found_and_an_erased_one_is_fine(
    tmp_path: Path,
) -> None:
    """A forged file name is seen by the hash in its line; erasing leaves the chain valid."""
    folder = tmp_path / "ledger"
    folder.mkdir()
    salt, content = bytes(16), ledger.canonical({"name": "fax.tif"})
    line = ledger.append(
        ledger.EMPTY,
        box_id="b",
        at="2026-11-22T10:00:00.000Z",
        document="",
        event="claim",
        detail={},
        personal_hash=ledger.personal_hash(salt, content),
    )
    (folder / "2026-11-22.jsonl").write_text(line.text + "\n")
    personal = folder / "2026-11-22.personal.jsonl"
    entry = ledger.canonical({"seq": 1, "salt": salt.hex(), "personal": content})
    personal.write_text(entry + "\n")

    journal.verify_personal(folder)
    personal.write_text(entry.replace("fax", "fix") + "\n")
    with pytest.raises(CorruptionError, match="personal detail of line 1 was changed"):
        journal.verify_personal(folder)
    personal.write_text("")
    journal.verify_personal(folder)


def test_personal_details_are_read_with_the_day_they_lie_beside(state: Path) -> None:
    """Those of ten years are more than a small box can hold at once."""
    spool = opened(state)
    for day in range(2):
        noted(spool, day, NOW + timedelta(days=day), personal=True)
    spool.export_ledger()
    spool.close()

    found = journal.entries(state / "ledger")
    text, detail = next(found)

    assert (json.loads(text)["seq"], detail and detail[1]) == (1, '{"person":"uid 0"}')
    (state / "ledger" / "2026-11-23.personal.jsonl").write_text("damaged\n")
    with pytest.raises(CorruptionError, match="no personal detail"):
        next(found)
