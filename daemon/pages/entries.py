"""The entries of a PDF's dictionary, also where its keys are no text.

Names are bytes (ISO 32000-1, 7.3.5), and scanners' software calls an image `/Büro` in Latin-1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pikepdf import Object


def entries_of(dictionary: Object) -> dict[str, Any]:
    """Return what a dictionary holds, without what is null; bytes that are no UTF-8 as surrogates."""
    try:
        return {key: value for key, value in dictionary.items() if value is not None}
    except UnicodeDecodeError:
        return {key: dictionary[key] for key in dictionary.keys()}  # noqa: SIM118 (it is no dict)
