"""The empty signature: dictionary, field and certification, as PDF source.

PAdES B-B (ETSI EN 319 142-1): SubFilter ETSI.CAdES.detached. Both ways to a
prepared file write the same source, and it begins the same way, because keys
are sorted:

    << /ByteRange [ 0 9999999999 9999999999 9999999999 ] /Contents <mark 000...> /Filter ...

The mark is 128 random bits. It is how the gap is found in the finished file:
nothing that a page holds can name it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

UNSET: Final = 9999999999
"""Stands in the ByteRange until the offsets are known: room for files up to 9 GB."""
WIDGET_FLAGS: Final = 132
"""Print and Locked: PDF/A wants the first (ISO 19005-2, 6.3.2), nobody may move the field."""
EXISTS_AND_APPEND_ONLY: Final = 3
"""SigFlags: there is a signature, and nothing but appending leaves it valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmptySignature:
    """What the signature dictionary says before there is a signature."""

    reserve: int
    """Bytes of CMS that the gap has to hold."""
    permissions: int
    """DocMDP: 1 nothing may change, 2 forms and signatures, 3 annotations too, 0 no certification."""
    sealed_at: datetime
    name: str
    reason: str
    mark: bytes = field(default_factory=lambda: secrets.token_bytes(16))

    @property
    def contents(self) -> bytes:
        """The placeholder's bytes: the mark, then zeros."""
        return self.mark.ljust(self.reserve, b"\0")

    @property
    def start(self) -> bytes:
        """The dictionary's source up to the gap."""
        return b"<< /ByteRange [ 0 %d %d %d ] /Contents " % (UNSET, UNSET, UNSET)

    @property
    def moment(self) -> bytes:
        """The time of the seal as PDF writes it (ISO 32000-1, 7.9.4)."""
        return self.sealed_at.astimezone(UTC).strftime("D:%Y%m%d%H%M%SZ").encode()

    @property
    def rest(self) -> bytes:
        """The dictionary's source after the gap, without its end."""
        certified = b""
        if self.permissions:
            certified = (
                b" /Reference [ << /TransformMethod /DocMDP /TransformParams << /P %d"
                b" /Type /TransformParams /V /1.2 >> /Type /SigRef >> ]" % self.permissions
            )
        return (
            b"/Filter /Adobe.PPKLite /M (%b) /Name %b /Reason %b%b"
            b" /SubFilter /ETSI.CAdES.detached /Type /Sig"
            % (self.moment, text(self.name), text(self.reason), certified)
        )

    @property
    def source(self) -> bytes:
        """The whole dictionary's source."""
        return b"%b<%b> %b >>" % (self.start, self.contents.hex().encode(), self.rest)


def widget(title: str, page: int, signature: int) -> bytes:
    """Return the source of the field that shows nothing, on *page*, with *signature* as value."""
    return (
        b"<< /Type /Annot /Subtype /Widget /FT /Sig /T %b /F %d /Rect [ 0 0 0 0 ] /P %d 0 R"
        b" /V %d 0 R >>" % (text(title), WIDGET_FLAGS, page, signature)
    )


def text(value: str) -> bytes:
    """Return the source of a text string: UTF-16 behind its mark, which holds any text."""
    return b"<FEFF%b>" % value.encode("utf-16-be", "replace").hex().encode()
