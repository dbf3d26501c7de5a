"""The table of algorithms: what is recommended, until when, and who is told before."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from daemon.certificate import MIN_RSA_BITS, SCHEMES
from daemon.cryptopolicy import HORIZON, advice

LONG_BEFORE = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_has_a_row(scheme: str) -> None:
    """One without would be sealed with and nobody be told anything."""
    bits = 256 if scheme.startswith("ecdsa") else MIN_RSA_BITS
    said = advice(scheme, bits)

    legacy = scheme.startswith("rsa-pkcs1v15")
    assert said.recommended_until == (None if legacy else HORIZON)
    assert said.remarks == (("padding-legacy",) if legacy else ())
    assert said.findings(LONG_BEFORE) == said.remarks
    assert said.alarm(LONG_BEFORE) == ""


@pytest.mark.parametrize(
    ("scheme", "bits"), [("rsa-pss-sha256", 2048), ("ecdsa-sha256", 224), ("rsa-pss-sha1", 4096)]
)
def test_what_the_table_does_not_have_is_not_recommended(scheme: str, bits: int) -> None:
    """Short keys and digests that are none of TR-02102-1's."""
    assert advice(scheme, bits).findings(LONG_BEFORE) == ("algorithm-not-recommended",)


def test_brainpool_is_recommended_and_comes_with_a_warning() -> None:
    """The BSI's own curves, and no reader of PDF knows them."""
    said = advice("ecdsa-sha256", 256, "brainpoolP256r1")

    assert (said.recommended_until, said.remarks) == (HORIZON, ("curve-not-validated",))
    assert said.findings(LONG_BEFORE) == ()
    assert advice("ecdsa-sha256", 256, "secp256r1").remarks == ()


@pytest.mark.parametrize(
    ("day", "alarm", "findings"),
    [
        (date(2030, 12, 31), "", ()),
        (date(2031, 1, 1), "algorithm-expiring", ()),
        (date(2031, 12, 31), "algorithm-expiring", ()),
        (date(2032, 1, 1), "algorithm-expired", ("algorithm-not-recommended",)),
    ],
)
def test_somebody_is_told_a_year_before_and_every_note_says_it_after(
    day: date, alarm: str, findings: tuple[str, ...]
) -> None:
    """No authority stands still on New Year's Day, and nobody can say that it did not know."""
    said = advice("ecdsa-sha384", 384, "secp384r1")
    now = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)

    assert said.alarm(now) == alarm
    assert said.findings(now) == findings
