"""The file `receipt-<target>.json`: what a target said it holds, beside the document.

The database and the ledger have the same, durably, so nobody waits for this file's way
to the disk: after a power cut it may be missing, or torn, and is written again. It is
made durable when the document's bytes go, because then it is what stays.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Literal

from daemon import durable
from daemon.records import rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from daemon.document import Delivery

MOST: Final = 1 << 20
"""A file that is longer is no receipt."""


def path_in(folder: Path, target: str) -> Path:
    """Return where the receipt of one target lies."""
    return folder / f"receipt-{target}.json"


def text(delivery: Delivery, receipts: Sequence[dict[str, Any]]) -> bytes:
    """Return what stands in the file; *receipts* as in the ledger (`rows.receipts_json`)."""
    proof = {
        "v": 1,
        "document": delivery.document,
        "target": delivery.target,
        "role": delivery.role,
        "receipts": list(receipts),
    }
    return json.dumps(proof, indent=1, sort_keys=True).encode() + b"\n"


def settle(folder: Path, delivery: Delivery, committed: Sequence[dict[str, Any]]) -> bool:
    """Make the receipt of *delivery* durable; return whether it proves what it has to.

    One that a power cut took is written again. One that says something else than what
    was *committed* is left as it is, and so is one that proves not every part. Also gone
    is what a power cut left of its writing: a temporary name whose rename was lost.
    """
    path = path_in(folder, delivery.target)
    found = _read(path, delivery, committed)
    if found == "other" or not _proves(delivery, committed):
        return False
    for left in folder.iterdir():
        if left.name.startswith(f".{path.name}."):
            left.unlink(missing_ok=True)
    if found == "lost":
        durable.write(path, text(delivery, committed))
    else:
        durable.sync_file(path)
        durable.sync_folder(folder)
    return True


def _read(
    path: Path, delivery: Delivery, committed: Sequence[dict[str, Any]]
) -> Literal["same", "lost", "other"]:
    try:
        with durable.opened(path) as file:
            data = file.read(MOST)
    except FileNotFoundError:
        return "lost"
    except OSError:
        return "other"
    # A power cut leaves the beginning, or zeros: no JSON has one in it.
    if not data.endswith(b"}\n") or b"\0" in data:
        return "lost"
    try:
        stored = json.loads(data)
        told = stored["document"], stored["target"], stored["receipts"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "other"
    same = told == (delivery.document, delivery.target, list(committed))
    return "same" if same else "other"


def _proves(delivery: Delivery, committed: Sequence[dict[str, Any]]) -> bool:
    """Return whether there is a receipt for every part, and for nothing else."""
    try:
        proven = Counter((one["key"], one["sha256"], one["size"]) for one in committed)
    except (KeyError, TypeError):
        return False
    parts = rows.parts_json(delivery.parts)
    wanted = Counter((f"{delivery.document}/{p['file']}", p["sha256"], p["size"]) for p in parts)
    return bool(parts) and proven == wanted
