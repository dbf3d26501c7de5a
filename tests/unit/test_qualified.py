"""QcStatements: what a certificate says of itself, and no more than that."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from daemon import der, qualified
from daemon.qualified import Statements, standing, statements
from tests.certificates import QUALIFIED, authority, qc_statements, seal

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
PUBLIC = ec.generate_private_key(ec.SECP256R1()).public_key()
ISSUING = authority("Aussteller", NOW)


def certificate(*more: x509.ExtensionType) -> bytes:
    return seal(PUBLIC, NOW, ISSUING, more=more)


@pytest.mark.parametrize(
    ("kinds", "types", "said"),
    [
        (("1", "4"), ("2",), ("compliance", "device", "seals")),
        (("1",), ("1", "2"), ("compliance", "signatures", "seals")),
        (("1", "4"), ("1",), ("compliance", "device", "signatures")),
        (("1",), (), ("compliance",)),
        ((), ("2",), ("seals",)),
    ],
)
def test_each_statement_is_read(
    kinds: Sequence[str], types: Sequence[str], said: tuple[str, ...]
) -> None:
    """For signatures (QcType 1) or without QcType it is no certificate for seals (4.2.3)."""
    found = statements(certificate(qc_statements(*kinds, types=types)))

    assert found.said == said
    assert found.qualified == ("1" in kinds and "2" in types)


@pytest.mark.parametrize(
    "value",
    [b"", b"\x30\x80\x00\x00", b"\x04\x00", der.tlv(der.SEQUENCE, b"\x05\x00"), b"\xff" * 9],
)
def test_what_cannot_be_read_is_not_qualified(value: bytes) -> None:
    """Also in certificates of others, which can hold anything."""
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(qualified.EXTENSION), value)

    for read in (certificate(extension), b"no certificate"):
        assert statements(read) == Statements(said=("unreadable",))
        assert standing(read, None) == "not-qualified"


def test_qualified_by_the_law_of_another_country_is_not_enough() -> None:
    """QcCClegislation (4.2.4): whoever asks for a qualified seal means the EU's law."""
    found = certificate(qc_statements("1", "4", "7", types=("2",)))

    assert statements(found).said == ("compliance", "device", "other-law", "seals")
    assert standing(found, None) == "not-qualified"


def test_the_word_says_what_was_checked_and_what_was_not() -> None:
    """No list, a list with the issuer, a list without it."""
    one = certificate(QUALIFIED)
    stranger = authority("Aussteller", NOW)

    assert standing(certificate(), None) == "not-qualified"
    assert standing(certificate(), [ISSUING.der]) == "not-qualified"
    assert standing(one, None) == "qualified-not-checked"
    assert standing(one, [stranger.der, ISSUING.der]) == "qualified-listed"
    assert standing(one, [stranger.der]) == "qualified-not-listed"
    assert standing(one, []) == "qualified-not-listed"
