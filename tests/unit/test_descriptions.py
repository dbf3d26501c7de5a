"""What came with a scan, in the spool: described once, counted once, explained by a person."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon import ledger
from daemon.document import Arrival, Described, Digest, Document, Kin, Part, State, new_id
from daemon.errors import PersonNeeded, StaleWrite
from daemon.records import counters
from daemon.spool import Spool
from tests.frozen import make_state
from tests.watched import NOW

GRACE = 60.0
LATER = NOW + timedelta(hours=1)
SIDECAR = Part(role="sidecar", file="sidecar.json", digest=Digest.of(b"{}"), size=2)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(make_state(tmp_path / "state"), new=True)
    yield made
    made.close()


def claimed(spool: Spool, number: int = 0, kin: Kin | None = None, **changes: Any) -> Document:
    at = NOW + timedelta(seconds=number)
    arrival = Arrival(
        id=new_id(at),
        hotfolder="post",
        profile="post",
        name=b"scan.pdf",
        size=100,
        mtime_ns=0,
        inode=1,
        digest=Digest.of(b"%d" % number),
        kind="pdf",
        claimed_at=at,
        clock="sure",
        awaits="sidecar",
        subfolder=b"Amt \xff",
    )
    arrival = replace(arrival, **changes)
    return spool.claim(arrival, at, kin) if kin else spool.claim(arrival, at)


def described(spool: Spool, document: Document, **said: Any) -> Document:
    refusal = said.pop("refusal", None)
    made = Described(subfolder="a", **said)
    return spool.describe(document, made, None, refusal, GRACE, NOW)


def lines(spool: Spool, document: Document) -> dict[str, dict[str, Any]]:
    found = [json.loads(line) for line in spool.lines(document.id)]
    return {line["event"]: line["detail"] for line in found}


def personal(spool: Spool) -> str:
    return "".join(text for (text,) in spool._db.execute("SELECT content FROM personal"))


# -- waiting --------------------------------------------------------------------------------


def test_a_claim_that_awaits_something_is_never_seen_as_claimed(spool: Spool) -> None:
    """In one transaction: nobody seals it before it is known what it is."""
    document = claimed(spool)

    assert (document.state, document.code) == (State.WAITING, "sidecar")
    assert document.described == Described(subfolder="Amt \\xff", known=False)
    assert spool.in_state(State.CLAIMED, 10) == []
    assert spool.waiting("post") == [document.id]
    assert spool.waiting("bau") == []
    assert spool.waiting_hotfolders() == {"post"}
    assert spool.unsealed_bytes() == 100
    assert list(lines(spool, document)) == ["claim", "wait"]
    assert lines(spool, document)["wait"] == {"code": "sidecar"}


def test_a_claim_that_awaits_nothing_has_its_folder_all_the_same(spool: Spool) -> None:
    """The subfolder is the scan's own word, without any sidecar."""
    document = claimed(spool, awaits="")

    assert (document.state, document.described) == (State.CLAIMED, Described(subfolder="Amt \\xff"))
    assert '"subfolder_hex":"416d7420ff"' in personal(spool)
    assert spool.waiting("post") == []


def test_a_description_is_committed_with_the_digest_and_without_the_names(spool: Spool) -> None:
    """Names go where they can be erased; digest, pages and counter where a rebuild finds them."""
    document = claimed(spool)
    said = Described(
        operator="Erika",
        source="sidecar",
        batch="Stapel",
        number="R-1",
        pages=3,
        counter=42,
        digits=4,
        subfolder="Amt",
        sidecar="ab",
        remarks=("name-unmatched",),
    )
    document = spool.describe(document, said, SIDECAR, None, GRACE, NOW)
    line = lines(spool, document)

    assert (document.state, document.described, document.step) == (State.CLAIMED, said, "")
    assert line["describe"] == {
        "counted": True,
        "counter": 42,
        "digits": 4,
        "due_at": "2026-11-22T12:01:00.000Z",
        "known": True,
        "pages": 3,
        "remarks": ["name-unmatched"],
        "sidecar": {
            "file": "sidecar.json",
            "role": "sidecar",
            "sha256": str(SIDECAR.digest),
            "size": 2,
        },
    }
    assert list(line) == ["claim", "wait", "describe", "resume"]
    for name in ("Erika", "Stapel", "R-1"):
        assert name in personal(spool)
        assert name not in "".join(spool.chain())
    ledger.verify(spool.chain())


def test_a_description_of_what_waits_no_longer_changes_nothing(spool: Spool) -> None:
    """Two describers, by a bug: the second one ends, and its number is not counted."""
    document = claimed(spool)
    described(spool, document, counter=1, digits=1)
    with pytest.raises(StaleWrite):
        described(spool, document, counter=5, digits=1)

    assert spool.missing_count("post", LATER) == 0
    assert list(lines(spool, document)) == ["claim", "wait", "describe", "resume"]


@pytest.mark.parametrize(
    ("code", "waits"),
    [
        ("sidecar-missing", "sidecar"),
        ("sidecar-damaged", "sidecar"),
        ("name-unreadable", "describing"),
    ],
)
def test_a_release_lets_it_wait_again_for_what_it_lacks(
    code: str, waits: str, spool: Spool
) -> None:
    """The same rules: a person's word is no sidecar."""
    document = described(spool, claimed(spool), known=False, refusal=(code, "why"))

    assert (document.state, document.code) == (State.REFUSED, code)
    spool.release(document.id, "uid 0", NOW)
    document = spool.document(document.id)

    assert (document.state, document.code) == (State.WAITING, waits)
    assert spool.waiting("post") == [document.id]


def test_a_release_of_what_is_known_does_not_wait(spool: Spool) -> None:
    """It was refused for something else."""
    document = described(spool, claimed(spool), refusal=("file-incomplete", "why"))
    spool.release(document.id, "uid 0", NOW)

    assert spool.document(document.id).state is State.CLAIMED


def test_a_document_in_whose_description_the_service_ends_twice_is_refused(spool: Spool) -> None:
    """I8: a sidecar that kills is known by the name of its document."""
    document = claimed(spool)
    spool.started("boot", NOW)
    for _ in range(2):
        spool.begin(spool.document(document.id), "describe", NOW)
        assert spool.started("boot", NOW) == (document.id,)
    document = spool.document(document.id)

    assert (document.state, document.code) == (State.REFUSED, "crashed-here")
    spool.release(document.id, "uid 0", NOW)
    assert spool.document(document.id).state is State.WAITING


def test_several_files_of_one_batch_are_found_together(spool: Spool) -> None:
    """Whatever state they are in; of one hot folder if that is asked."""
    first = described(spool, claimed(spool, 1), batch="7")
    described(spool, claimed(spool, 2), batch="8")
    described(spool, claimed(spool, 3))
    third = described(spool, claimed(spool, 4, hotfolder="bau"), batch="7")
    ids = [document.id for document in spool.of_batch("7")]

    assert ids == [first.id, third.id]
    assert [document.id for document in spool.of_batch("7", "bau")] == [third.id]
    assert spool.of_batch("") == []
    plan = spool._db.execute(
        "EXPLAIN QUERY PLAN SELECT id FROM document WHERE json_extract(described, '$.batch') = ?"
        " AND json_extract(described, '$.batch') IS NOT NULL",
        ["7"],
    ).fetchall()
    assert "document_batch" in plan[0]["detail"]


# -- counters -------------------------------------------------------------------------------


def test_a_gap_is_told_after_its_time_and_closed_by_the_late_one(spool: Spool) -> None:
    """In the transaction that commits the number: the alarm and the page follow from it."""
    for at, number in enumerate((41, 43, 44)):
        described(spool, claimed(spool, at), counter=number, digits=4)

    assert spool.missing(NOW + timedelta(seconds=GRACE - 1)) == []
    (told,) = spool.missing(NOW + timedelta(seconds=GRACE))
    assert (told.hotfolder, told.series, told.text, told.noticed_at) == ("post", "a", "0042", NOW)
    assert spool.missing_counts(LATER) == {"post": 1}
    described(spool, claimed(spool, 9), counter=42, digits=4)

    assert spool.missing(LATER) == []
    assert spool.missing_counts(LATER) == {}


def test_a_counter_survives_a_restart(tmp_path: Path) -> None:
    """Its state is in the spool and nowhere else (I5)."""
    state = make_state(tmp_path / "state")
    spool = Spool(state, new=True)
    described(spool, claimed(spool, 1), counter=41, digits=4)
    spool.close()
    spool = Spool(state)
    described(spool, claimed(spool, 2), counter=43, digits=4)

    assert [one.text for one in spool.missing(LATER)] == ["0042"]
    spool.close()


def test_what_comes_again_or_begins_anew_is_remarked(spool: Spool) -> None:
    """On its own document, where whoever reads the note sees it."""
    remarks = [
        described(
            spool, claimed(spool, at), counter=number, digits=4, remarks=("x",)
        ).described.remarks
        for at, number in enumerate((41, 41, 5000, 1))
    ]

    assert remarks == [
        ("x",),
        ("x", "counter-again"),
        ("x", "counter-jumped"),
        ("x", "counter-anew"),
    ]
    (jump,) = spool.missing(LATER)
    assert (jump.text, jump.jumped_from) == ("0041 > 5000", 41)


def test_a_document_is_counted_once_however_often_it_is_described(spool: Spool) -> None:
    """Released, it says the same number again; so does the scan that stands for it."""
    document = described(
        spool, claimed(spool, 1), counter=41, digits=4, known=False, refusal=("sidecar-missing", "")
    )
    spool.release(document.id, "uid 0", NOW)
    document = described(spool, spool.document(document.id), counter=41, digits=4, known=False,
                         refusal=("sidecar-missing", ""))  # fmt: skip
    kin = Kin(supersedes=(document.id,), how="digest")
    again = described(spool, claimed(spool, 2, kin), counter=41, digits=4)

    assert document.described.remarks == ()
    assert again.described.remarks == ()
    assert not lines(spool, again)["describe"]["counted"]


def test_a_person_explains_what_is_missing(spool: Spool) -> None:
    """With a reason, in the ledger; their name and the folder's where they can be erased."""
    for at, number in enumerate((41, 44)):
        described(spool, claimed(spool, at), counter=number, digits=4)
    closed = spool.explain("post", 42, None, "uid 1000 (eva)", "Papierstau", NOW)
    line = json.loads(spool.after(spool.head().seq - 1)[0])

    assert closed == 1
    assert [one.number for one in spool.missing(LATER)] == [43]
    assert (line["event"], line["detail"]) == (
        "explain",
        {"hotfolder": "post", "number": 42, "run": 1},
    )
    assert "Papierstau" in personal(spool)
    assert "Papierstau" not in "".join(spool.chain())
    with pytest.raises(PersonNeeded, match="not-missing"):
        spool.explain("post", 42, None, "uid 0", "again", NOW)
    with pytest.raises(PersonNeeded, match="not-missing"):
        spool.explain("bau", 43, None, "uid 0", "elsewhere", NOW)


def test_an_explanation_says_which_folder_if_several_lack_the_number(spool: Spool) -> None:
    """Nothing is closed by guessing."""
    for at, (place, number) in enumerate((("a", 1), ("b", 1), ("a", 3), ("b", 3))):
        document = claimed(spool, at)
        made = Described(subfolder=place, counter=number, digits=1)
        spool.describe(document, made, None, None, GRACE, NOW)
    with pytest.raises(PersonNeeded, match="missing-in-several"):
        spool.explain("post", 2, None, "uid 0", "why", NOW)

    assert spool.explain("post", 2, "b", "uid 0", "why", NOW) == 1
    assert [one.series for one in spool.missing(LATER)] == ["a"]


def test_nonsense_as_a_counter_does_not_fill_the_disk(spool: Spool) -> None:
    """A time of day, for example: after so many lines nobody reads more of them."""
    step = spool._step(NOW)
    with step as tx:
        for number in range(0, 30_000, 900):
            counters.count(tx, "post", "", number, 6, "2026-01-01T00:00:00.000Z")

    assert spool.missing_count("post", LATER) == counters.MOST_LINES


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2500), st.integers(1, 4)), max_size=25))
def test_whatever_a_scanner_counts_the_lines_are_those_that_are_missing(
    said: list[tuple[int, int]],
) -> None:
    """No number is a second line, none that has come is one, and the state survives its text."""
    import sqlite3  # noqa: PLC0415 (a database of its own for each example)

    from daemon import schema  # noqa: PLC0415
    from daemon.records.transaction import transaction  # noqa: PLC0415

    db = sqlite3.connect(":memory:", isolation_level=None)
    db.row_factory = sqlite3.Row
    schema.migrate(db)
    for number, digits in said:
        with transaction(db, "box", NOW) as tx:
            found = counters.count(tx, "post", "", number, digits, "x")
        rows = {
            (row["run"], row["number"])
            for row in db.execute("SELECT run, number FROM missing WHERE jumped_from < 0")
        }

        assert (found.run, number) not in rows
        for run in found.series.runs:
            assert {(run.run, absent) for absent in run.missing} <= rows
    db.close()
