"""A CMS with a time-stamp token in it, and without: taken apart and put together, byte by byte.

The token is the one unsigned attribute that we write (RFC 3161, appendix A; ETSI EN 319
122-1, 5.3). It is outside of what is signed, so a CMS without it is the CMS that was
made: `cms.check` judges that, and a worker has judged the token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from asn1crypto import core

from daemon import der
from daemon.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Callable

TIME_STAMP_TOKEN: Final = core.ObjectIdentifier("1.2.840.113549.1.9.16.2.14").dump()
UNSIGNED: Final = 0xA1
"""[1] IMPLICIT UnsignedAttributes (RFC 5652, 5.3)."""
FIELDS: Final = 6
"""Of a SignerInfo as we write it, up to its signature."""
GROWTH: Final = 10
"""The lengths of the five values around a token need up to two bytes more each."""


def unpadded(held: bytes) -> bytes:
    """Return the CMS at the beginning of what a gap held; the rest has to be zeros."""
    try:
        whole = der.first(held).whole
    except der.NotDer:
        _invalid("it is not DER")
    if held[len(whole) :].strip(b"\0"):
        _invalid("something other than zeros follows it")
    return whole


def signature_value(cms: bytes) -> bytes:
    """Return the signature in *cms*: what a time-stamp token for it is about."""
    found: list[bytes] = []

    def note(fields: list[der.Value]) -> bytes:
        found.append(fields[FIELDS - 1].content)
        return _written(fields)

    _rewritten(cms, note)
    return found[0]


def with_token(cms: bytes, token: bytes) -> bytes:
    """Return *cms* with *token* in it, in the place of whatever token it had."""
    attribute = der.tlv(der.SEQUENCE, TIME_STAMP_TOKEN, der.tlv(der.SET, token))
    return _rewritten(cms, lambda fields: _written(fields[:FIELDS]) + der.tlv(UNSIGNED, attribute))


def fits(cms_bytes: int, token_bytes: int, reserve: int) -> bool:
    """Return whether a CMS of at most *cms_bytes* with a token of *token_bytes* fits *reserve*.

    To be asked before anything is signed: afterwards nothing could be done about it.
    """
    attribute = der.tlv(der.SEQUENCE, TIME_STAMP_TOKEN, der.tlv(der.SET, bytes(token_bytes)))
    return cms_bytes + len(der.tlv(UNSIGNED, attribute)) + GROWTH <= reserve


def split(cms: bytes) -> tuple[bytes, bytes]:
    """Return *cms* without its token, and the token; b"" if it has none.

    Raise `seal-invalid` if it has any other unsigned attribute.
    """
    found = [b""]

    def drop(fields: list[der.Value]) -> bytes:
        if len(fields) > FIELDS:
            (attribute,) = der.inside(fields[FIELDS].content, der.SEQUENCE)
            kind, values = der.inside(attribute.content, der.OID, der.SET)
            (token,) = der.inside(values.content, der.SEQUENCE)
            if kind.whole != TIME_STAMP_TOKEN:
                _invalid("it has an unsigned attribute that is no time stamp")
            found[0] = token.whole
        return _written(fields[:FIELDS])

    return _rewritten(cms, drop), found[0]


def _rewritten(cms: bytes, change: Callable[[list[der.Value]], bytes]) -> bytes:
    """Return *cms* with the fields of its one SignerInfo as *change* writes them."""
    try:
        (outer,) = der.inside(cms, der.SEQUENCE)
        kind, wrapped = der.inside(outer.content, der.OID, der.CONTEXT_0)
        (signed_data,) = der.inside(wrapped.content, der.SEQUENCE)
        *before, signers = der.values(signed_data.content)
        (signer_info,) = der.inside(signers.content, der.SEQUENCE)
        fields = der.values(signer_info.content)
        _is_ours(fields)
        info = der.tlv(der.SEQUENCE, change(fields))
    except (der.NotDer, ValueError) as exc:
        _invalid(f"its structure is not the one we write ({exc})")
    data = der.tlv(der.SEQUENCE, *(one.whole for one in before), der.tlv(signers.tag, info))
    return der.tlv(der.SEQUENCE, kind.whole, der.tlv(der.CONTEXT_0, data))


def _is_ours(fields: list[der.Value]) -> None:
    tags = [field.tag for field in fields]
    if tags[FIELDS - 1 :] not in ([der.OCTET_STRING], [der.OCTET_STRING, UNSIGNED]):
        raise der.NotDer("a SignerInfo that is not ours")


def _written(fields: list[der.Value]) -> bytes:
    return b"".join(field.whole for field in fields)


def _invalid(reason: str) -> NoReturn:
    raise PermanentError("seal-invalid", reason)
