"""Ends of the daemon: which are counted, against what, and what the second one does (I8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.document import DeliveryState, State
from daemon.records.journal import verify_files
from daemon.spool import Spool
from tests.agreement import check
from tests.values import LATER, NOW, claimed, events, frozen, last, sealed

if TYPE_CHECKING:
    from pathlib import Path

BOOT = "boot one"


def reopened(spool: Spool, state: Path, boot: str | None = BOOT) -> Spool:
    """Kill the service, so to say, and start it again; with a boot id it also says so."""
    spool.close()
    found = Spool(state)
    if boot is not None:
        found.started(boot, LATER)
    return found


def test_the_second_unclean_end_refuses_an_unsealed_document(spool: Spool, state: Path) -> None:
    """Both times the daemon ended while it had it, in one and the same boot (I8)."""
    assert spool.started(BOOT, NOW) == ()
    document, other = claimed(spool, 1), claimed(spool, 2)
    spool.begin(document, "seal", NOW)
    spool.close()
    spool = Spool(state)
    assert spool.started(BOOT, NOW) == (document.id,)
    assert (spool.document(document.id).tries, spool.document(document.id).step) == (1, "")
    assert last(spool)["detail"] == {"unclean": True, "same_boot": True}
    spool.begin(spool.document(document.id), "seal", NOW)

    spool = reopened(spool, state)

    found = spool.document(document.id)
    assert (found.state, found.code, found.step) == (State.REFUSED, "crashed-here", "")
    assert spool.copies_due("post", 5) == [found]
    assert spool.document(other.id) == other
    check(spool)
    spool.close()


def test_the_second_unclean_end_holds_a_sealed_document(spool: Spool, state: Path) -> None:
    """It has its seal and is wanted as it is: a person looks, nothing of it is sent."""
    spool.started(BOOT, NOW)
    document = sealed(spool, claimed(spool))
    assert document.step == "freeze"
    spool = reopened(spool, state)
    again = spool.document(document.id)
    assert (again.state, again.step, again.tries) == (State.SEALED, "", 1)
    spool.begin(again, "freeze", NOW)

    spool = reopened(spool, state)

    found = spool.document(document.id)
    assert (found.state, found.code, found.came_from) == (
        State.HELD,
        "crashed-here",
        State.SEALED,
    )
    check(spool)
    spool.close()


def test_the_second_unclean_end_refuses_a_delivery_and_not_its_document(
    spool: Spool, state: Path
) -> None:
    """What an adapter does to us is no fault of the scan's; the other target goes on."""
    spool.started(BOOT, NOW)
    document = frozen(spool, claimed(spool))
    spool.begin_delivery(spool.delivery(document.id, "dms"), NOW)
    spool = reopened(spool, state)
    delivery = spool.delivery(document.id, "dms")
    assert (delivery.state, delivery.tries, delivery.step) == (DeliveryState.SENDING, 1, "")
    spool.begin_delivery(delivery, NOW)

    spool = reopened(spool, state)

    delivery = spool.delivery(document.id, "dms")
    assert (delivery.state, delivery.code) == (DeliveryState.REFUSED, "crashed-here")
    assert spool.document(document.id).state is State.FROZEN
    assert len(spool.due("archive", LATER, 5)) == 1
    check(spool)
    spool.close()


def test_a_power_cut_is_not_counted(spool: Spool, state: Path) -> None:
    """Another boot id: the plug was pulled, and the document was only there."""
    spool.started(BOOT, NOW)
    document = claimed(spool)
    for boot in ("boot two", "boot three", "boot four"):
        spool.begin(spool.document(document.id), "seal", NOW)
        spool.close()
        spool = Spool(state)
        assert spool.started(boot, NOW) == ()
        assert last(spool)["detail"] == {"unclean": True, "same_boot": False}

    found = spool.document(document.id)
    assert (found.state, found.tries, found.step) == (State.CLAIMED, 0, "")
    check(spool)
    spool.close()


def test_a_clean_stop_is_not_counted(spool: Spool, state: Path) -> None:
    """Systemctl restart in the middle of a seal, as often as anybody likes."""
    document = frozen(spool, claimed(spool, 1))
    other = claimed(spool, 2)
    for _ in range(3):
        spool.started(BOOT, NOW)
        spool.begin(spool.document(other.id), "seal", NOW)
        spool.begin_delivery(spool.delivery(document.id, "dms"), NOW)
        spool.stopped(NOW)
        assert events(spool)[-1] == "stop"
        assert verify_files(state / "ledger") == spool.head()  # nothing is left to catch up
        spool.close()
        spool = Spool(state)

    assert spool.started(BOOT, NOW) == ()
    found, delivery = spool.document(other.id), spool.delivery(document.id, "dms")
    assert (found.step, found.tries, delivery.step, delivery.tries) == ("", 0, "", 0)
    assert last(spool)["detail"] == {"unclean": False, "same_boot": False}
    check(spool)
    spool.close()


def test_one_counted_end_is_forgotten_once_the_step_is_done(spool: Spool, state: Path) -> None:
    """An end long ago, in another step, must not make the next one the second."""
    spool.started(BOOT, NOW)
    document = claimed(spool)
    spool.begin(document, "seal", NOW)
    spool = reopened(spool, state)
    assert spool.document(document.id).tries == 1

    done = frozen(spool, spool.document(document.id))

    assert done.tries == 0
    spool.close()
