"""Who scanned, in the spool: shifts, and names for documents that wait for one."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from daemon.clock import Reading
from daemon.document import State
from daemon.errors import PersonNeeded
from tests.agreement import check
from tests.values import NOW, claimed, last

if TYPE_CHECKING:
    from daemon.spool import Spool

LATER = NOW + timedelta(hours=4)


def personal(spool: Spool) -> dict[str, Any]:
    """The personal detail of the newest line."""
    row = spool._db.execute("SELECT content FROM personal ORDER BY seq DESC LIMIT 1").fetchone()
    found: dict[str, Any] = json.loads(row[0])
    return found


def test_a_shift_holds_from_its_beginning_until_the_next(spool: Spool) -> None:
    """Who claims were made under is asked later: at the sealing, or after a restart."""
    spool.begin_shift("post", "m.muster", "uid 7", NOW)
    spool.begin_shift("post", "k.kluge", "uid 7", LATER)
    spool.begin_shift("post", "", "uid 7", LATER + timedelta(hours=4))

    assert spool.on_shift("post", NOW - timedelta(milliseconds=1)) == ""
    assert spool.on_shift("post", NOW) == "m.muster"
    assert spool.on_shift("post", LATER - timedelta(milliseconds=1)) == "m.muster"
    assert spool.on_shift("post", LATER) == "k.kluge"
    assert spool.on_shift("post", LATER + timedelta(hours=9)) == ""
    assert spool.on_shift("other", LATER) == ""
    check(spool)


def test_the_ledger_says_that_somebody_logged_in_and_not_who(spool: Spool) -> None:
    """The name is personal detail, which can be erased (I9)."""
    spool.begin_shift("post", "m.muster", "uid 7", NOW)

    assert last(spool)["detail"] == {"hotfolder": "post", "named": True}
    assert personal(spool) == {"operator": "m.muster", "person": "uid 7"}


def test_a_document_waits_until_it_is_named_and_then_goes_on(spool: Spool) -> None:
    """WAITING, with its reason; then CLAIMED again, with who said so."""
    document = spool.await_operator(claimed(spool), NOW)
    assert (document.state, document.code) == (State.WAITING, "operator")
    assert spool.waiting_for("operator") == [document.id] == spool.waiting_for("operator", "post")
    assert spool.waiting_count("operator") == 1
    assert spool.waiting_for("operator", "other") == []
    check(spool)

    named = spool.name_operator(document, "m.muster", "uid 7", LATER)

    assert (named.state, named.code) == (State.CLAIMED, "")
    assert (named.described.operator, named.described.source) == ("m.muster", "person")
    assert "m.muster" not in json.dumps(last(spool))
    assert personal(spool) == {"operator": "m.muster", "source": "person", "person": "uid 7"}
    assert spool.waiting_count("operator") == 0
    check(spool)


def test_a_document_that_was_refused_for_it_is_released_with_the_name(spool: Spool) -> None:
    """The copy at the scanner goes with that."""
    document = spool.refuse(claimed(spool), "operator-missing", "", NOW)

    named = spool.name_operator(document, "m.muster", "uid 7", LATER)

    assert (named.state, named.described.operator) == (State.CLAIMED, "m.muster")
    check(spool)


def test_what_does_not_wait_for_a_name_gets_none(spool: Spool) -> None:
    """Least of all a sealed document: its note stays as it is."""
    for document in (claimed(spool), spool.refuse(claimed(spool), "pdf-damaged", "", NOW)):
        with pytest.raises(PersonNeeded) as caught:
            spool.name_operator(document, "m.muster", "uid 7", LATER)
        assert caught.value.code == "operator-not-asked"
    check(spool)


def test_two_people_who_name_the_same_document_end_nothing(spool: Spool) -> None:
    """The second is told that it waits no longer, from what the row says now."""
    document = spool.await_operator(claimed(spool), NOW)
    spool.name_operator(document, "m.muster", "uid 7", LATER)

    with pytest.raises(PersonNeeded) as caught:
        spool.name_operator(document, "k.kluge", "uid 8", LATER)

    assert caught.value.code == "operator-not-asked"
    assert spool.document(document.id).described.operator == "m.muster"


def test_a_log_in_at_a_time_that_never_came_names_nobody(spool: Spool) -> None:
    """The clock was years ahead: after it was put right, the last one before that is not asked."""
    spool.begin_shift("post", "anna", "uid 7", NOW)
    spool.begin_shift("post", "berta", "uid 7", NOW + timedelta(days=3000))

    spool.clock_accepted("person", "uid 7", Reading("boot", 0.0), LATER)

    assert spool.on_shift("post", LATER + timedelta(days=4000)) == ""
    check(spool)
