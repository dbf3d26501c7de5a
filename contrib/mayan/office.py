"""What a Mayan needs before Scanseal can deliver to it: made as its administrator would.

The rights below are all that Scanseal's user has; docs/targets/mayan.md lists them.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from contrib.mayan.rest import Rest

USER: Final = "scanseal"
TYPE: Final = "Posteingang"
CABINET: Final = "Scanseal"
METADATA: Final = {
    "scanseal_key": "Scanseal: Teil",
    "scanseal_id": "Scanseal: Dokument",
    "stapel": "Stapel",
    "nummer": "Nummer",
    "gescannt_von": "Gescannt von",
    "gescannt_am": "Gescannt am",
    "gesiegelt_am": "Gesiegelt am",
    "digest": "SHA-256",
}
RIGHTS: Final = {
    ("documents", "documenttype"): (
        "documents_types.document_type_view",
        "documents.document_create",
        "documents.document_view",
        "documents.document_file_view",
        "document_downloads.document_file_download",
        "metadata.metadata_document_view",
        "metadata.metadata_document_add",
        "metadata.metadata_document_edit",
        "cabinets.cabinet_add_document",
        "cabinets.cabinet_view",
    ),
    ("metadata", "metadatatype"): (
        "metadata_setup.metadata_type_view",
        "metadata.metadata_document_view",
        "metadata.metadata_document_add",
        "metadata.metadata_document_edit",
    ),
    ("cabinets", "cabinet"): (
        "cabinets.cabinet_view",
        "cabinets.cabinet_add_document",
    ),
}
"""Which rights on which kind of object, each on the very objects that Scanseal uses."""


@dataclass(frozen=True, slots=True)
class Office:
    """What was made."""

    password: str
    type_id: int
    cabinet_id: int
    role_id: int


def make(admin: Rest) -> Office:
    """Make document type, metadata types, cabinet, and a user who may only deliver into these."""
    password = secrets.token_urlsafe(16)
    user = admin.post("/users/", {"username": USER, "password": password})["id"]
    group = admin.post("/groups/", {"name": USER})["id"]
    admin.post(f"/groups/{group}/users/add/", {"user": user})
    role = admin.post("/roles/", {"label": USER})["id"]
    admin.post(f"/roles/{role}/groups/add/", {"group": group})
    type_id = admin.post("/document_types/", {"label": TYPE})["id"]
    made = {("documents", "documenttype"): [type_id], ("metadata", "metadatatype"): []}
    for name, label in METADATA.items():
        metadata_id = admin.post("/metadata_types/", {"name": name, "label": label})["id"]
        made["metadata", "metadatatype"].append(metadata_id)
        admin.post(
            f"/document_types/{type_id}/metadata_types/",
            {"metadata_type_id": metadata_id, "required": False},
        )
    cabinet_id = admin.post("/cabinets/", {"label": CABINET, "parent": None})["id"]
    made["cabinets", "cabinet"] = [cabinet_id]
    for (app, model), ids in made.items():
        for one in ids:
            acls = f"/objects/{app}/{model}/{one}/acls/"
            acl = admin.post(acls, {"role_id": role})["id"]
            for right in RIGHTS[app, model]:
                admin.post(f"{acls}{acl}/permissions/add/", {"permission": right})
    return Office(password, type_id, cabinet_id, role)


def token(admin: Rest, user: str, password: str) -> str:
    """Return *user*'s token: Mayan makes one when it is first asked for."""
    asked = json.dumps({"username": user, "password": password})
    found: str = admin.post("/auth/token/obtain/", json.loads(asked))["token"]
    return found
