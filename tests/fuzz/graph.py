"""Damage to the objects of a PDF, written by a PDF library: the file is whole, what it says is not.

This is what gets past the look at the file's tables and reaches the code behind it.
"""

from __future__ import annotations

import io
import warnings
from random import Random
from typing import Any, Final

import pikepdf

from tests.fuzz import hostile, objects

TROUBLES: Final = (
    pikepdf.PikepdfError, ValueError, TypeError, KeyError, AttributeError, IndexError, RuntimeError,
    NotImplementedError, OverflowError,
)  # fmt: skip
"""What the library raises over a graph that it does not want to write."""
DAMAGES: Final = objects.CHANGES + hostile.CHANGES


def damaged(source: bytes, rng: Random) -> tuple[bytes, list[str]]:
    """Return *source* with damage to its objects, and what was done; nothing if it cannot be."""
    steps: list[str] = []
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with pikepdf.open(io.BytesIO(source), inherit_page_attributes=False) as pdf:
                for _ in range(rng.choice((1, 1, 1, 1, 2, 3, 6))):
                    damage = rng.choice(DAMAGES)
                    try:
                        damage(pdf, rng)
                    except TROUBLES:
                        continue  # it did not fit to this graph
                    steps.append(damage.__name__)
                pdf.save(out, **_options(rng))
        except TROUBLES:
            return source, []
    return out.getvalue(), steps


def _options(rng: Random) -> dict[str, Any]:
    modes = pikepdf.ObjectStreamMode
    return {
        "static_id": True,
        "preserve_pdfa": False,
        "fix_metadata_version": False,
        "compress_streams": rng.random() < 0.2,
        "stream_decode_level": pikepdf.StreamDecodeLevel.none,
        "object_stream_mode": rng.choice(
            (modes.disable, modes.disable, modes.preserve, modes.generate)
        ),
        "force_version": rng.choice(("", "", "", "1.3", "1.7", "2.0")),
    }
