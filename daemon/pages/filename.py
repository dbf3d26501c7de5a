"""What a scan's file name says, by the hot folder's `name_pattern`; in a page worker only.

Not because a name is hard to read: a regular expression can take for ever on a
name that was made for it, and nothing but the end of its process stops it.
"""

from __future__ import annotations

import os
import re
import unicodedata

from daemon.slip import NoSlip, Slip, slip_of


def read(name: bytes, pattern: str) -> Slip | None:
    """Return what *name* says without its extension; None if it does not fit the pattern."""
    text = unicodedata.normalize("NFC", name.decode("utf-8", "surrogateescape"))
    found = re.fullmatch(pattern, os.path.splitext(text)[0])  # noqa: PTH122 (a name, no path)
    if found is None:
        return None
    try:
        return slip_of({key: value or "" for key, value in found.groupdict().items()})
    except NoSlip:  # it fits by its form only, as five digits for the pages of one scan do
        return None
