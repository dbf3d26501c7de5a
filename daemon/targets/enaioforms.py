"""What enaio's DMS service is asked, and what its answers say: JSON, and no network. Pure.

An answer is a stranger's: whatever is not of the documented form is a TransientError, never a
guess. docs/targets/enaio.md names the vendor's pages that the forms come from.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from daemon.document import utc_text
from daemon.errors import TransientError
from daemon.targets import split

if TYPE_CHECKING:
    from daemon.targets import About, Sending
    from daemon.targetsections import EnaioSection

CID: Final = "file"
"""The name of the part of the form that has the file."""
MOST_HITS: Final = 10
"""More than one is a duplicate already."""
_STATEMENT: Final = "SELECT system:objectId, {field} FROM {type} WHERE {field}=@key"
NUMBER: Final = re.compile(r"[1-9][0-9]{0,18}")
TYPES: Final = {
    "pdf": "application/pdf",
    "tiff": "image/tiff",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "jp2": "image/jp2",
    "xml": "application/xml",
    "json": "application/json",
}


def is_object_id(text: str) -> bool:
    """Return whether *text* is the number of an object, and so can be a part of an address."""
    return bool(NUMBER.fullmatch(text))


def media_type(part: Sending) -> str:
    """Return of what type the file of *part* is."""
    return TYPES.get(part.key.rpartition(".")[2], "application/octet-stream")


def file_name(part: Sending) -> str:
    """Return under which name people see the document: made of facts that name nobody."""
    document_id, file = split(part.key)
    facts = part.about.facts
    stem, _, suffix = file.rpartition(".")
    day = (facts.get("captured_at") or "")[:10]
    words = [facts.get("profile") or "scan", day, document_id[-8:]]
    words += [stem] if stem != "sealed" else []
    return "-".join(re.sub(r"[^A-Za-z0-9._-]", "_", word) for word in words if word) + f".{suffix}"


def inserting(section: EnaioSection, part: Sending) -> dict[str, Any]:
    """Return what tells enaio to insert *part*; the file goes beside it, as CID."""
    properties = {
        "system:objectTypeId": section.object_type,
        "system:parentId": section.parent,
        section.id_field: part.key,
        **_fields(section, part.about),
    }
    stream = {"mimeType": media_type(part), "fileName": file_name(part), "cid": CID}
    return _objects(properties, contentStreams=[stream])


def changing(field: str, text: str) -> dict[str, Any]:
    """Return what tells enaio to write *text* into one index field of an object."""
    return _objects({field: text})


def searching(section: EnaioSection, key: str) -> dict[str, Any]:
    """Return the question which objects have *key* in their field."""
    field = section.id_field
    return {
        "query": {
            "statement": _STATEMENT.format(field=field, type=section.object_type),
            "parameters": {"key": key},
            "skipCount": 0,
            "maxItems": MOST_HITS,
            "handleDeletedDocuments": "DELETED_DOCUMENTS_EXCLUDE",
        }
    }


def hits(section: EnaioSection, key: str, said: Any) -> list[str]:
    """Return the numbers of the objects that a search has found.

    Each has to carry the very key: a server that leaves the condition out must not make us
    take a stranger's document for ours. Upper and lower case are one for enaio, and no two keys
    differ in nothing else.
    """
    found: dict[str, None] = {}
    for properties in _all(section, said):
        if str(_value(section, properties, section.id_field)).lower() != key.lower():
            raise _unreadable(section, f"a search for {key} has found something else")
        found[_number(section, properties)] = None
    return list(found)


def made(section: EnaioSection, said: Any) -> str:
    """Return the number of the one object that an insert has made."""
    listed = _all(section, said)
    if len(listed) != 1:
        raise _unreadable(section, f"an insert was answered with {len(listed)} objects")
    return _number(section, listed[0])


def _objects(properties: dict[str, str], **more: Any) -> dict[str, Any]:
    values = {name: {"value": text} for name, text in properties.items()}
    return {"objects": [{"properties": values, **more}]}


def _fields(section: EnaioSection, about: About) -> dict[str, str]:
    """Return the index fields of the mapping about which something is known."""
    until = about.retain_until
    known = {**about.facts, "retain_until": utc_text(until) if until else ""}
    return {name: known[fact] for name, fact in section.fields.items() if known.get(fact)}


def _all(section: EnaioSection, said: Any) -> list[dict[str, Any]]:
    """Return the properties of all objects in an answer."""
    objects = said.get("objects") if isinstance(said, dict) else None
    if not isinstance(objects, list) or (isinstance(said, dict) and said.get("failed")):
        raise _unreadable(section, "an answer without objects")
    found = [one.get("properties") if isinstance(one, dict) else None for one in objects]
    properties = [one for one in found if isinstance(one, dict)]
    if len(properties) != len(found):
        raise _unreadable(section, "an object without properties")
    return properties


def _value(section: EnaioSection, properties: dict[str, Any], name: str) -> Any:
    entry = properties.get(name)
    if not isinstance(entry, dict):
        raise _unreadable(section, f"an object without {name}")
    return entry.get("value")


def _number(section: EnaioSection, properties: dict[str, Any]) -> str:
    text = str(_value(section, properties, "system:objectId"))
    if not is_object_id(text):
        raise _unreadable(section, "an object without a number")
    return text


def _unreadable(section: EnaioSection, what: str) -> TransientError:
    return TransientError("target-answer-unreadable", f"{section.name}: {what}")
