"""What a certificate says of itself in its QcStatements (ETSI EN 319 412-5), and what that is worth.

Any CA can write these statements. Whether it was a qualified trust service when it did stands
in the trusted lists (ETSI TS 119 612), which nobody here fetches: an administrator may take
the issuing CAs from a list and name them as a PEM file (`[hsm] trusted_list`). What is found is
told with exactly that reservation. Also for certificates of others, in the worker of `verify`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from asn1crypto import core
from asn1crypto import x509 as asn1_x509
from cryptography import x509

from daemon import der
from daemon.chain import issued

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

EXTENSION: Final = "1.3.6.1.5.5.7.1.3"
"""RFC 3739, 3.2.6."""
TYPE: Final = core.ObjectIdentifier("0.4.0.1862.1.6").dump()
NAMES: Final = {
    core.ObjectIdentifier(f"0.4.0.1862.1.{oid}").dump(): name
    for oid, name in {
        "1": "compliance",
        "4": "device",
        "6.1": "signatures",
        "6.2": "seals",
        "6.3": "websites",
        "7": "other-law",
    }.items()
}
"""QcCompliance (4.2.1), QcSSCD (4.2.2), the values of QcType (4.2.3), QcCClegislation (4.2.4)."""
UNREADABLE: Final = "unreadable"

NOT_QUALIFIED: Final = "not-qualified"
NOT_CHECKED: Final = "qualified-not-checked"
LISTED: Final = "qualified-listed"
NOT_LISTED: Final = "qualified-not-listed"
WORDS: Final = (NOT_QUALIFIED, NOT_CHECKED, LISTED, NOT_LISTED)
ENOUGH: Final = frozenset({NOT_CHECKED, LISTED})
"""With these, a profile that asks for a qualified certificate has one."""
WANTING: Final = "seal-quality"
"""What a document waits for whose profile asks for one in vain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """The statements that matter for a seal."""

    said: tuple[str, ...] = ()
    """Of NAMES, each once and as it comes; or `unreadable` alone."""

    @property
    def qualified(self) -> bool:
        """Whether it calls itself a qualified certificate for electronic seals by EU law."""
        return {"compliance", "seals"} <= set(self.said) and "other-law" not in self.said


@lru_cache(maxsize=64)
def statements(certificate: bytes) -> Statements:
    """Return what a certificate in DER says; whatever it holds, nothing is raised."""
    try:
        # Not cryptography, which reads no extension where one of the others is odd.
        extensions = asn1_x509.Certificate.load(certificate)["tbs_certificate"]["extensions"]
        held = [one["extn_value"].contents for one in extensions if _is_qc(one)]
        if not held:
            return Statements()
        (value,) = held  # twice would be two words (RFC 5280, 4.2)
        (outer,) = der.inside(value, der.SEQUENCE)
        return Statements(said=tuple(dict.fromkeys(_said(outer.content))))
    except (ValueError, TypeError):  # NotDer is one
        return Statements(said=(UNREADABLE,))


def _is_qc(extension: asn1_x509.Extension) -> bool:
    return bool(extension["extn_id"].dotted == EXTENSION)


def _said(content: bytes) -> Iterator[str]:
    for statement in der.values(content):
        kind, *info = der.values(statement.content)
        if kind.whole in NAMES:
            yield NAMES[kind.whole]
        elif kind.whole == TYPE:
            (types,) = info
            named = (one.whole for one in der.values(types.content))
            yield from (NAMES[one] for one in named if one in NAMES)


def standing(certificate: bytes, listed: Iterable[bytes] | None) -> str:
    """Return one of the four words for a certificate; *listed* are CAs in DER, None: no list."""
    if not statements(certificate).qualified:
        return NOT_QUALIFIED
    if listed is None:
        return NOT_CHECKED
    parsed = x509.load_der_x509_certificate(certificate)
    found = any(issued(x509.load_der_x509_certificate(one), parsed) for one in listed)
    return LISTED if found else NOT_LISTED
