"""Which algorithms are recommended for a seal, and until when. Pure: a table and what follows from it.

The one table for what this box seals with and for what a report says of the seals of others.

The source of every row is BSI TR-02102-1, version 2025-01, whose advice reaches to the end
of 2031 (what of it counts here stands in the project's domain facts, section 3):

    rsa-pss        RSA with a modulus of 3000 bits and more; EMSA-PSS is a recommended padding
    rsa-pkcs1v15   the same keys; listed as legacy, not recommended for new systems
    ecdsa          q of 2^250 and more: P-256, P-384, P-521 and the brainpool curves alike
    ed25519, ed448 nothing is said of them
    digests        SHA-256, SHA-384, SHA-512 and the SHA-3 of the same lengths; we seal with SHA-2

That neither Adobe nor poppler/NSS calls a seal on a brainpool curve valid was tried; it is
said, and is the administrator's to weigh. Nothing here stops a seal: an authority must not
stand still on New Year's Day because a table is old (decision 0014).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from datetime import datetime

HORIZON: Final = date(2031, 12, 31)
"""TR-02102-1 v2025-01 says nothing about later years."""
LEGACY: Final = "padding-legacy"
NOT_VALIDATED: Final = "curve-not-validated"
NOT_RECOMMENDED: Final = "algorithm-not-recommended"
EXPIRING: Final = "algorithm-expiring"
EXPIRED: Final = "algorithm-expired"
Word = Literal["recommended", "legacy", "weak", "unknown"]
"""What a report says: legacy is listed and not recommended, of unknown nothing is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Keys of one family from a size on, with some digests."""

    family: str
    least_bits: int
    digests: frozenset[str]
    recommended_until: date | None
    """None: it is tolerated, not recommended."""
    remark: str = ""
    word: Word = "recommended"


DIGESTS: Final = frozenset({"sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512"})
TABLE: Final = (
    Row(family="rsa-pss", least_bits=3000, digests=DIGESTS, recommended_until=HORIZON),
    Row(
        family="rsa-pkcs1v15",
        least_bits=3000,
        digests=DIGESTS,
        recommended_until=None,
        remark=LEGACY,
        word="legacy",
    ),
    Row(family="ecdsa", least_bits=250, digests=DIGESTS, recommended_until=HORIZON),
    Row(family="ed25519", least_bits=0, digests=DIGESTS, recommended_until=None, word="unknown"),
    Row(
        family="ed448",
        least_bits=0,
        digests=DIGESTS | {"shake256"},  # what it is used with (RFC 8419, 3.1)
        recommended_until=None,
        word="unknown",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What is to be said of one algorithm with one key."""

    recommended_until: date | None
    remarks: tuple[str, ...]
    """Codes of what an administrator should know."""
    word: Word

    def alarm(self, now: datetime) -> str:
        """Return the code of the alarm that is due, or ""."""
        until = self.recommended_until
        if until is None:
            return ""
        if now.date() > until:
            return EXPIRED
        return EXPIRING if now.date() > until.replace(year=until.year - 1) else ""

    def findings(self, now: datetime) -> tuple[str, ...]:
        """Return the codes that stand in the note of what is sealed now."""
        late = self.alarm(now) == EXPIRED
        outdated = late or (self.recommended_until is None and LEGACY not in self.remarks)
        legacy = (LEGACY,) if LEGACY in self.remarks else ()
        return (*legacy, *((NOT_RECOMMENDED,) if outdated else ()))


def advice(scheme: str, bits: int, curve: str = "") -> Advice:
    """Return what the table says of a scheme (`rsa-pss-sha256`) with a key of *bits*.

    *curve* is the curve's name, "" for RSA. What the table does not have is not recommended.
    """
    family, _, digest = scheme.rpartition("-")
    for row in TABLE:
        if row.family == family and bits >= row.least_bits and digest in row.digests:
            remarks = (row.remark,) if row.remark else ()
            if curve.startswith("brainpool"):
                remarks = (*remarks, NOT_VALIDATED)
            return Advice(recommended_until=row.recommended_until, remarks=remarks, word=row.word)
    return Advice(recommended_until=None, remarks=(NOT_RECOMMENDED,), word="weak")
