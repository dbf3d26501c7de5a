"""Every transfer note that a test writes has to be as docs/transfernote.xsd says."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from lxml import etree  # type: ignore[import-untyped]

XSD = Path(__file__).parents[1] / "docs" / "transfernote.xsd"


@cache
def schema() -> etree.XMLSchema:
    """Return the schema."""
    return etree.XMLSchema(etree.parse(XSD))


def problem(xml: bytes) -> str:
    """Return why *xml* is no transfer note; "" if it is one."""
    found = schema()
    return "" if found.validate(etree.fromstring(xml)) else str(found.error_log.last_error)
