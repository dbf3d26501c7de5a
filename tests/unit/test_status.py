"""The snapshot says what is so, and nothing about people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from daemon import status
from daemon.document import DeliveryEvent, DeliveryState, Digest, State
from daemon.ledger import Head, Segment
from daemon.records import moves
from daemon.records.transaction import transaction
from tests.watched import LIVE, NOW, TRACES, Watched, names_nobody


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path)
    yield watched
    watched.close()


def test_an_empty_box_is_well_and_may_be_taken_away(box: Watched) -> None:
    """Nothing was scanned, nothing is wrong: both answers are yes, without a reason against."""
    snapshot = box.now()

    assert snapshot.all_well
    assert snapshot.attention == ()
    assert snapshot.safe_to_unplug
    assert snapshot.stay == ()
    assert snapshot.documents == dict.fromkeys(map(str, State), 0)


def test_documents_are_counted_by_state_and_deliveries_by_target(box: Watched) -> None:
    """A technician counts; what is counted has to be what the spool committed."""
    box.claimed()
    box.refused()
    box.deliver(box.frozen(), "dms")
    box.filed()

    snapshot = box.now()

    assert {state: n for state, n in snapshot.documents.items() if n} == {
        "claimed": 1,
        "refused": 1,
        "frozen": 1,
        "filed": 1,
    }
    dms, archive = snapshot.targets
    assert (dms.deliveries["delivered"], dms.deliveries["pending"]) == (2, 0)
    assert (archive.deliveries["delivered"], archive.deliveries["pending"]) == (1, 1)
    assert snapshot.refused == 1


@pytest.mark.parametrize("place", ["claimed", "refused", "frozen"])
def test_a_document_that_is_only_here_keeps_the_box_here(box: Watched, place: str) -> None:
    """Unplugging loses nothing, but whoever carries the box away takes the document with it."""
    getattr(box, place)()

    snapshot = box.now()

    assert not snapshot.safe_to_unplug
    assert snapshot.unproven == 1
    assert snapshot.stay == (
        {"claimed": "not-sealed", "refused": "documents-refused", "frozen": "not-filed"}[place],
    )


def test_a_document_in_one_target_only_keeps_the_box_here(box: Watched) -> None:
    """The DMS has it, the archive has not: it is not filed."""
    box.deliver(box.frozen(), "dms")

    assert box.now().stay == ("not-filed",)


def test_what_is_filed_lets_the_box_go(box: Watched) -> None:
    """Both targets have proven it: what is here is a second copy."""
    box.filed()

    assert box.now().safe_to_unplug
    assert box.now().all_well


def test_files_in_a_hot_folder_keep_the_box_here(box: Watched) -> None:
    """They were scanned, and nobody has them yet."""
    (folder,) = LIVE.hotfolders
    box.know(hotfolders=(replace(folder, waiting=2, oldest_seconds=3.5),))

    assert box.now().stay == ("files-waiting",)


def test_a_hot_folder_that_nobody_has_looked_into_is_not_called_empty(box: Watched) -> None:
    """Right after the start nothing is known about it."""
    (folder,) = LIVE.hotfolders
    box.know(hotfolders=(replace(folder, last_scan_at=None),))

    assert box.now().stay == ("hotfolder-not-seen",)


def test_a_refused_document_needs_a_person(box: Watched) -> None:
    """It goes nowhere by itself."""
    box.refused()

    assert box.now().attention == ("documents-refused",)
    assert not box.now().all_well


def test_work_in_progress_needs_nobody(box: Watched) -> None:
    """A box in the middle of its work is well, and has to stay."""
    box.claimed()
    box.frozen()

    assert box.now().all_well
    assert not box.now().safe_to_unplug


def test_a_held_document_and_a_refused_delivery_need_a_person(box: Watched) -> None:
    """Nothing of the one is sent, the other is not taken."""
    box.spool.set_aside(box.frozen(), "crashed-here", "twice in step freeze", NOW)
    delivery = box.spool.delivery(box.frozen().id, "dms")
    box.spool.reject(box.spool.begin_delivery(delivery, NOW), "target-disagrees", "other", NOW)

    assert box.now().attention == ("documents-held", "deliveries-refused")


def test_a_delivery_that_is_gone_needs_a_person_and_keeps_the_box_here(box: Watched) -> None:
    """The document is filed, but its only other copy may be on this box."""
    delivery = box.spool.delivery(box.filed().id, "archive")
    with transaction(box.spool._db, "box", NOW) as step:
        moves.move_delivery(step, delivery, DeliveryEvent.MISS, {})

    assert box.now().attention == ("deliveries-gone",)
    assert box.now().stay == ("deliveries-gone",)


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ({"token": status.TokenState(state="starting")}, "token-starting"),
        ({"token": status.TokenState(state="needs-person", code="pin-wrong")}, "token-not-ready"),
        ({"token": status.TokenState(state="unavailable")}, "token-not-ready"),
        ({"clock": "no-source"}, "clock-not-trusted"),
        (
            {"certificate": replace(LIVE.certificate, problems=("certificate-expired",))},  # type: ignore[type-var]
            "certificate-problem",
        ),
    ],
)
def test_what_stops_sealing_is_not_well(
    box: Watched, known: dict[str, object], reason: str
) -> None:
    """Whatever keeps the box from sealing is named."""
    box.know(**known)

    assert box.now().attention == (reason,)


def test_an_alarm_is_not_well_and_is_carried_along(box: Watched) -> None:
    """All is well only without any alarm."""
    box.alarms.raise_("target-unreachable", "dms", "no route")

    snapshot = box.now()

    assert snapshot.attention == ("alarms-raised",)
    assert snapshot.alarms == box.alarms.now()


def test_the_oldest_of_each_kind_is_named(box: Watched) -> None:
    """Counts hide the one document that has been stuck for three days."""
    stuck = box.claimed(NOW - timedelta(days=3))
    box.claimed(NOW - timedelta(hours=1))
    waiting = box.frozen(NOW - timedelta(days=4))
    refused = box.refused(at=NOW - timedelta(days=9))

    snapshot = box.now()

    assert snapshot.oldest_unsealed == status.Oldest(id=stuck.id, since=stuck.claimed_at)
    assert snapshot.oldest_unfiled == status.Oldest(id=waiting.id, since=waiting.claimed_at)
    assert snapshot.oldest_refused == status.Oldest(id=refused.id, since=refused.claimed_at)


def test_what_waits_for_a_time_stamp_is_counted_from_its_seal_on(box: Watched) -> None:
    """A document may have come first and been sealed last."""
    assert (box.now().unstamped, box.now().oldest_unstamped) == (0, None)
    box.unstamped(NOW - timedelta(hours=9), sealed_at=NOW - timedelta(hours=1))
    first = box.unstamped(NOW - timedelta(hours=5), sealed_at=NOW - timedelta(hours=4))
    box.frozen()

    snapshot = box.now()

    assert snapshot.unstamped == 2
    assert snapshot.oldest_unstamped == status.Oldest(id=first.id, since=NOW - timedelta(hours=4))


def test_the_last_success_of_each_target_is_known(box: Watched) -> None:
    """An archive that has been silent for a day shows here first."""
    document = box.frozen()
    box.deliver(document, "dms", NOW - timedelta(hours=1))

    dms, archive = box.now().targets

    assert dms.last_success == NOW - timedelta(hours=1)
    assert archive.last_success is None


def test_the_head_of_the_ledger_goes_along(box: Watched) -> None:
    """Whoever keeps snapshots elsewhere can show later that the chain was not rewritten."""
    box.filed()

    assert box.now().ledger == box.spool.head()
    assert box.now().ledger.seq > 0


def test_the_last_sealed_day_of_the_ledger_goes_along(box: Watched) -> None:
    """The head of a segment: an auditor can ask later for what was published."""
    assert status.as_json(box.now())["ledger_sealed"] is None
    segment = Segment(
        day="2026-11-21",
        first=1,
        head=Head(7, "a" * 64),
        digest=Digest("b" * 64),
        size=100,
        seal=Digest("c" * 64),
        seal_size=10,
    )
    box.spool.seal_segment(segment, Digest("d" * 64), NOW)

    told = {"date": "2026-11-21", "seq": 7, "hash": "a" * 64}
    assert status.as_json(box.now())["ledger_sealed"] == told


def test_records_that_cannot_be_read_are_said_to_be_unreadable(box: Watched) -> None:
    """A damaged database is when the page and MQTT are needed most; zeros would be a lie."""
    box.claimed()
    box.reader.close()  # every question now fails in sqlite3

    snapshot = box.now()

    assert not snapshot.records_readable
    assert snapshot.attention == ("records-unreadable",)
    assert snapshot.stay == ("records-unreadable",)
    assert not snapshot.safe_to_unplug


def test_without_any_records_there_is_a_snapshot_all_the_same() -> None:
    """The service may not even have been able to open them."""
    snapshot = status.make(None, (), LIVE)

    assert not snapshot.records_readable
    assert [target.name for target in snapshot.targets] == ["dms", "archive"]


def test_json_is_snake_case_with_times_in_utc(box: Watched) -> None:
    """Whoever reads it elsewhere relies on the design's norms."""
    box.filed()
    box.alarms.raise_("target-unreachable", "dms", "no route")

    plain = json.loads(json.dumps(status.as_json(box.now())))

    assert plain["at"] == "2026-11-22T12:00:00.000Z"
    assert plain["alarms"][0]["since"] == "2026-11-22T12:00:00.000Z"
    assert plain["targets"][0]["last_success"] == "2026-11-22T12:00:00.000Z"
    assert plain["targets"][0]["role"] == "dms"
    assert plain["ledger"]["seq"] == box.spool.head().seq
    assert plain["oldest_unsealed"] is None
    assert {key for key in _keys(plain) if key != key.lower() or "-" in key} == set()


def test_json_holds_no_file_name_and_no_person(box: Watched) -> None:
    """I9: it goes out over MQTT as it is."""
    box.claimed(NOW - timedelta(days=1))
    refused = box.refused()
    box.spool.release(refused.id, "Sachbearbeiter", NOW)
    box.told(41)
    box.told(43)

    text = json.dumps(status.as_json(box.now()), ensure_ascii=False)

    # The names are there to be found: the ledger's personal rows have them.
    rows = box.spool._db.execute("SELECT content FROM personal").fetchall()
    assert any(trace in str([tuple(row) for row in rows]).lower() for trace in TRACES)
    assert names_nobody(text)


def test_what_never_arrived_is_counted_for_each_hot_folder(box: Watched) -> None:
    """The first numbers of many; what is still in its time of grace is not told yet."""
    for counter in (1, 40, 41):
        box.told(counter)
    (missing,) = box.now().missing
    box.know(now=NOW - timedelta(seconds=1))

    assert (missing.hotfolder, missing.count) == ("post", 38)
    assert missing.numbers == tuple(f"{number:04}" for number in range(2, 22))
    assert box.now().missing == ()


def test_every_state_of_a_delivery_is_in_each_target(box: Watched) -> None:
    """A chart that begins with the first refusal has no zero to compare with."""
    assert set(box.now().targets[0].deliveries) == {state.value for state in DeliveryState}


def _keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from _keys(item)
