"""The chain of the seal certificate: followed by signatures, to a root that is there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from daemon.chain import NobodyKnows, chain_of
from tests.certificates import authority, encoded, seal

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
PUBLIC = ec.generate_private_key(ec.SECP256R1()).public_key()
ROOT = authority("Wurzel", NOW)
ISSUING = authority("Aussteller", NOW, ROOT)
SEAL = seal(PUBLIC, NOW, ISSUING)


@pytest.mark.parametrize("others", [[ISSUING.der, ROOT.der], [ROOT.der, SEAL, ISSUING.der]])
def test_a_chain_up_to_the_root_is_complete_in_any_order(others: list[bytes]) -> None:
    """The file may also hold the seal's own certificate."""
    chain = chain_of(SEAL, others, NOW)

    assert chain.complete
    assert [encoded(link) for link in chain.links] == [SEAL, ISSUING.der, ROOT.der]
    assert chain.problems(NOW) == ()
    assert chain.below_the_root == (SEAL, ISSUING.der)
    assert chain.not_after == NOW + timedelta(days=730)


@pytest.mark.parametrize(
    "others",
    [
        [],
        [ISSUING.der],
        [ROOT.der],
        [authority("Aussteller", NOW, ROOT).der, ROOT.der],
    ],
    ids=["nothing", "no root", "no issuer", "same name, other key"],
)
def test_a_chain_that_breaks_off_is_said_so(others: list[bytes]) -> None:
    """Whoever has only the file could not validate it."""
    assert chain_of(SEAL, others, NOW).problems(NOW) == ("chain-incomplete",)


def test_what_is_no_ca_has_issued_nothing() -> None:
    """Every validator refuses such a chain (RFC 5280, 4.2.1.9)."""
    no_ca = authority("Aussteller", NOW, ROOT, ca=False)
    chain = chain_of(seal(PUBLIC, NOW, no_ca), [no_ca.der, ROOT.der], NOW)

    assert chain.problems(NOW) == ("chain-incomplete",)


def test_an_issuer_outside_of_its_time_is_named() -> None:
    """The seal's own times are another code: it is another certificate that has to be ordered."""
    chain = chain_of(SEAL, [ISSUING.der, ROOT.der], NOW)

    assert chain.problems(NOW + timedelta(days=3651)) == ("chain-expired",)
    assert chain.problems(NOW - timedelta(days=2)) == ("chain-expired",)
    assert chain.problems(NOW + timedelta(days=731)) == ()


def test_of_a_renewed_ca_the_one_that_is_valid_is_taken() -> None:
    """Same name, same key, a new certificate: both lie in the file for a while."""
    old = authority("Aussteller", NOW, ROOT, days=(-900, -1), key=ISSUING.key)
    chain = chain_of(SEAL, [old.der, ISSUING.der, ROOT.der], NOW)

    assert encoded(chain.links[1]) == ISSUING.der
    assert chain.problems(NOW) == ()


def test_the_first_that_expires_counts() -> None:
    """From then on no seal is valid, whichever it was."""
    short = authority("Aussteller", NOW, ROOT, days=(-1, 20))
    chain = chain_of(seal(PUBLIC, NOW, short), [short.der, ROOT.der], NOW)

    assert chain.not_after == NOW + timedelta(days=20)


def test_nobody_knows_of_a_revocation_unless_somebody_asks() -> None:
    """Unknown is not revoked: sealing goes on."""
    assert NobodyKnows().status(SEAL).word == "unknown"
