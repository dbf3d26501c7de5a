"""A sidecar: the JSON or XML file that comes beside a scan, read in a page worker only (I10).

    {"version": 1, "operator": "m.muster", "batch": "2026-11-22/3", "counter": "0042"}
    <sidecar version="1"><operator>m.muster</operator><counter>0042</counter></sidecar>

The version has to be there; each of the other keys may be, once; nothing else may.
A key that we do not know is an error and not ignored: it would be one that somebody
counts on. What is wrong is said by its place, never by its value (I9).
docs/intake.md and docs/sidecar.xsd say the same to whoever writes sidecars.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from lxml import etree  # type: ignore[import-untyped]

from daemon.errors import Refused
from daemon.slip import KEYS, NUMBERS, NoSlip, Slip, slip_of

if TYPE_CHECKING:
    from collections.abc import Sequence

DAMAGED: Final = "sidecar-damaged"
VERSION: Final = "1"
ROOT: Final = "sidecar"


def read(content: bytes, kind: str) -> Slip:
    """Return what a sidecar of this *kind* (`json` or `xml`) says; else Refused with the place."""
    said = _json(content) if kind == "json" else _xml(content)
    if said.pop("version", None) != VERSION:
        raise Refused(DAMAGED, f"version: has to be there, and {VERSION}")
    try:
        return slip_of(said)
    except NoSlip as exc:
        raise Refused(DAMAGED, f"{exc.args[0]}: not what this key allows") from None


# -- JSON -------------------------------------------------------------------------------------


def _json(content: bytes) -> dict[str, str]:
    try:
        found = json.loads(
            content.decode("utf-8-sig"), object_pairs_hook=_pairs, parse_constant=_no_number
        )
    except json.JSONDecodeError as exc:
        raise Refused(DAMAGED, f"line {exc.lineno}, column {exc.colno}: no JSON") from None
    except UnicodeDecodeError as exc:
        raise Refused(DAMAGED, f"byte {exc.start}: no UTF-8") from None
    except (ValueError, RecursionError):
        raise Refused(DAMAGED, "a number or a nesting that no sidecar needs") from None
    if not isinstance(found, list):
        raise Refused(DAMAGED, "no JSON object")
    said: dict[str, str] = {}
    for place, pair in enumerate(found, 1):
        key, text = _word(pair, place)
        if key in said:
            raise Refused(DAMAGED, f"{key}: stands there twice")
        said[key] = text
    return said


def _word(pair: Any, place: int) -> tuple[str, str]:
    """Return a key and its value as text; a list at the top has no pairs in it."""
    if not isinstance(pair, tuple) or pair[0] not in {"version", *KEYS}:
        raise Refused(DAMAGED, f"number {place} of its keys: none that is known")
    key, value = pair
    if value is None:
        return key, ""
    is_number = type(value) is int and key in {"version", *NUMBERS}
    # A counter may be a text: 0042 is no number in JSON.
    if not is_number and not (isinstance(value, str) and key not in {"version", "pages"}):
        raise Refused(DAMAGED, f"{key}: of another kind than this key allows")
    return key, str(value)


def _pairs(pairs: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Keep an object as it stands: the second of two equal keys would win otherwise."""
    return list(pairs)


def _no_number(_name: str) -> None:
    raise ValueError


# -- XML --------------------------------------------------------------------------------------


def _xml(content: bytes) -> dict[str, str]:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as exc:
        raise Refused(DAMAGED, f"line {exc.lineno or 0}: no XML") from None
    if root.getroottree().docinfo.doctype:
        raise Refused(DAMAGED, "a document type, which no sidecar needs")
    if root.tag != ROOT or set(root.attrib) - {"version"} or (root.text or "").strip():
        raise Refused(DAMAGED, f"line {root.sourceline}: not <{ROOT} version>")
    said = {"version": str(root.get("version", ""))}
    for element in root:
        where = f"line {element.sourceline}"
        if (element.tail or "").strip():
            raise Refused(DAMAGED, f"{where}: text between the elements")
        if element.tag in {etree.Comment, etree.PI}:
            continue
        if element.tag not in KEYS or element.attrib or len(element):
            raise Refused(DAMAGED, f"{where}: no element that is known")
        key = str(element.tag)
        if key in said:
            raise Refused(DAMAGED, f"{where}: {key} stands there twice")
        said[key] = element.text or ""
    return said
