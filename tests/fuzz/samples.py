"""The undamaged files by their names: drawn by code, and from a folder of one's own on top.

Names of drawn ones begin with what they are: pdf-, tiff-, jpeg-, png-, jp2-. The folder
is named by SCANSEAL_SAMPLES; its files take part under their own names, and with
them every number stands for another file than without.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Final

from tests.fuzz.images import IMAGES
from tests.fuzz.pdfs import PDFS

DRAWN: Final = PDFS | IMAGES
VARIABLE: Final = "SCANSEAL_SAMPLES"
ENDINGS: Final = {
    ".pdf": "pdf", ".tif": "tiff", ".tiff": "tiff", ".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png",
    ".jp2": "jp2", ".j2k": "jp2", ".jpx": "jp2",
}  # fmt: skip


@cache
def _own() -> dict[str, Path]:
    folder = os.environ.get(VARIABLE)
    if not folder:
        return {}
    return {
        path.name: path for path in sorted(Path(folder).iterdir()) if path.suffix.lower() in ENDINGS
    }


@cache
def names() -> tuple[str, ...]:
    """Return all names, in an order that only new samples change."""
    return (*sorted(DRAWN), *_own())


def family(name: str) -> str:
    """Return what the sample of this name is: pdf, tiff, jpeg, png or jp2."""
    own = _own().get(name)
    return ENDINGS[own.suffix.lower()] if own else name.partition("-")[0]


@cache
def sample(name: str) -> bytes:
    """Return the undamaged file."""
    own = _own().get(name)
    return own.read_bytes() if own else DRAWN[name]()


def fingerprint() -> str:
    """Return a word that is the same where the same number stands for the same file."""
    whole = hashlib.sha256()
    for name in names():
        whole.update(name.encode() + b"\0" + hashlib.sha256(sample(name)).digest())
    return whole.hexdigest()[:12]
