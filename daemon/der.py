"""DER: one canonical way to write each value, and nothing else is read.

A reader for structures that we know in advance. It accepts no indefinite
length, no length with leading zeros and no tag above 30, so two different byte
strings never read as the same values.
"""

from __future__ import annotations

from typing import Final, NamedTuple

INTEGER: Final = 0x02
OCTET_STRING: Final = 0x04
OID: Final = 0x06
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18
SEQUENCE: Final = 0x30
SET: Final = 0x31
CONTEXT_0: Final = 0xA0


class NotDer(ValueError):
    """The bytes are not DER, or not of the structure that was asked for."""


class Value(NamedTuple):
    """One value, still as bytes."""

    tag: int
    whole: bytes
    content: bytes


def tlv(tag: int, *contents: bytes) -> bytes:
    """Write a value whose content is *contents*, one after the other."""
    content = b"".join(contents)
    return _header(tag, len(content)) + content


def first(data: bytes) -> Value:
    """Return the value at the beginning of *data*; whatever follows it is not looked at."""
    return _read(data, 0)


def values(data: bytes) -> list[Value]:
    """Return the values that *data* consists of, to its last byte."""
    found = []
    at = 0
    while at < len(data):
        value = _read(data, at)
        found.append(value)
        at += len(value.whole)
    return found


def inside(data: bytes, *tags: int) -> list[Value]:
    """Return the values that *data* consists of; they have to have exactly *tags*."""
    found = values(data)
    if tuple(value.tag for value in found) != tags:
        raise NotDer("other values than expected")
    return found


def _read(data: bytes, at: int) -> Value:
    head = data[at : at + 2]
    if len(head) < 2 or head[0] & 0x1F == 0x1F:
        raise NotDer("no tag and length")
    tag, length = head
    start = at + 2
    if length >= 0x80:
        start += length - 0x80
        length = int.from_bytes(data[at + 2 : start], "big")
    end = start + length
    # Written again, the header has to be the same bytes: that leaves one form of it.
    if end > len(data) or data[at:start] != _header(tag, length):
        raise NotDer("a length that is not canonical, or more than there is")
    return Value(tag, data[at:end], data[start:end])


def _header(tag: int, length: int) -> bytes:
    if length < 0x80:
        return bytes((tag, length))
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets
