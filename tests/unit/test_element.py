"""XML that a target answers with: read in bounds, and nothing of it is believed to be more."""

from __future__ import annotations

import pytest

from daemon.targets.element import DEEPEST, MOST, parsed

BOMB = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>"""
OUTSIDE = b"""<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>"""


def test_elements_are_found_without_their_namespace() -> None:
    """Stores leave it out, or write it with a prefix."""
    root = parsed(
        b'<r xmlns="urn:x"><k>a&amp;&#34;b</k><k> c </k><o xmlns:p="urn:y"><p:i/></o></r>'
    )

    assert root.name == "r"
    assert [one.text for one in root.all("k")] == ['a&"b', " c "]
    assert root.said("k") == 'a&"b'
    assert root.said("nothing") == ""
    assert [one.name for one in next(root.all("o")).children] == ["i"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no xml",
        b"<a>",
        b"<a></b>",
        b"<a/><b/>",
        b"\xff\xfe",
        b"<a>&unknown;</a>",
        b"<!DOCTYPE html><html></html>",
        BOMB,
        OUTSIDE,
        b"<a>" * (DEEPEST + 2) + b"</a>" * (DEEPEST + 2),
        b"<a>" + b"<b/>" * MOST + b"</a>",
    ],
    ids=range(12),
)
def test_anything_else_is_refused(data: bytes) -> None:
    """No entity is ever declared, so none can grow or reach outside; neither depth nor number can."""
    with pytest.raises(ValueError, match=r"no XML|declaration|more elements"):
        parsed(data)
