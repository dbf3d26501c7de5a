"""The document security store: what a validator needs later, in the file's only revision.

ETSI EN 319 142-1, 5.4: certificates, OCSP responses and CRLs, each a stream of DER. There
is no VRI dictionary: it would name the signature by a digest that is not known before.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from daemon.document import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """What stands in it; without anything there is none."""

    certs: tuple[bytes, ...] = field(default=(), repr=False)
    ocsps: tuple[bytes, ...] = field(default=(), repr=False)
    crls: tuple[bytes, ...] = field(default=(), repr=False)
    until: datetime | None = None
    """When the first of the answers in it is in force no longer."""

    def __bool__(self) -> bool:
        """Return whether there is anything in it."""
        return bool(self.certs or self.ocsps or self.crls)

    @property
    def lists(self) -> Iterator[tuple[str, tuple[bytes, ...]]]:
        """Yield the keys of the dictionary in order, with their streams; empty ones are left out."""
        for key, streams in (("CRLs", self.crls), ("Certs", self.certs), ("OCSPs", self.ocsps)):
            if streams:
                yield key, streams

    @property
    def digests(self) -> tuple[str, ...]:
        """Return the SHA-256 of each stream, as `sealed.store_of` finds them in a file."""
        return tuple(Digest.of(one).hex for _, streams in self.lists for one in streams)

    def as_argument(self) -> dict[str, list[str]]:
        """Return it as a worker's argument."""
        return {
            key: [base64.b64encode(one).decode() for one in streams] for key, streams in self.lists
        }


NO_STORE: Final = Store()


def from_argument(argument: dict[str, Any]) -> Store:
    """Return what `as_argument` wrote."""
    found: dict[str, Any] = {
        key.lower(): tuple(base64.b64decode(one) for one in streams)
        for key, streams in argument.items()
    }
    return Store(**found)
