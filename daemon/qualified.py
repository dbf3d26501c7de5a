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
from cryptography import x509

from daemon import der
from daemon.chain import issued

if TYPE_CHECKING:
    from collections.abc import Iterable

EXTENSION: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.3")
"""RFC 3739, 3.2.6."""
COMPLIANCE: Final = core.ObjectIdentifier("0.4.0.1862.1.1").dump()
DEVICE: Final = core.ObjectIdentifier("0.4.0.1862.1.4").dump()
TYPE: Final = core.ObjectIdentifier("0.4.0.1862.1.6").dump()
SEAL: Final = core.ObjectIdentifier("0.4.0.1862.1.6.2").dump()

NOT_QUALIFIED: Final = "not-qualified"
NOT_CHECKED: Final = "qualified-not-checked"
LISTED: Final = "qualified-listed"
NOT_LISTED: Final = "qualified-not-listed"
ENOUGH: Final = frozenset({NOT_CHECKED, LISTED})
"""With these, a profile that asks for a qualified certificate has one."""
WANTING: Final = "seal-quality"
"""What a document waits for whose profile asks for one in vain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """The statements that matter for a seal."""

    compliance: bool = False
    """QcCompliance (4.2.1): issued as a qualified certificate."""
    device: bool = False
    """QcSSCD (4.2.2): the key is in a qualified device."""
    seal: bool = False
    """QcType (4.2.3) names electronic seals."""

    @property
    def qualified(self) -> bool:
        """Whether it calls itself a qualified certificate for electronic seals."""
        return self.compliance and self.seal


@lru_cache(maxsize=64)
def statements(certificate: bytes) -> Statements:
    """Return what a certificate in DER says; what cannot be read says nothing."""
    try:
        extensions = x509.load_der_x509_certificate(certificate).extensions
        value = extensions.get_extension_for_oid(EXTENSION).value
        assert isinstance(value, x509.UnrecognizedExtension)
        (outer,) = der.inside(value.value, der.SEQUENCE)
        found = {}
        for statement in der.values(outer.content):
            kind, *info = der.values(statement.content)
            found[kind.whole] = info
        types = found.get(TYPE, [])
        named = {one.whole for held in types for one in der.values(held.content)}
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):  # NotDer is one
        return Statements()
    return Statements(compliance=COMPLIANCE in found, device=DEVICE in found, seal=SEAL in named)


def standing(certificate: bytes, listed: Iterable[bytes] | None) -> str:
    """Return one of the four words for a certificate; *listed* are CAs in DER, None: no list."""
    if not statements(certificate).qualified:
        return NOT_QUALIFIED
    if listed is None:
        return NOT_CHECKED
    parsed = x509.load_der_x509_certificate(certificate)
    found = any(issued(x509.load_der_x509_certificate(one), parsed) for one in listed)
    return LISTED if found else NOT_LISTED
