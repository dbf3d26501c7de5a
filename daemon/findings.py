"""What a person should know of a document: codes, and the pages that they are about.

A finding is a code; it never changes anything (I11). Where it is about some of
the pages, a second text says which: `page-blank:2,4-6`. Pages are counted from 1.

Pure. Page workers write these texts, and the main process reads each of them
before it believes one (I10): they stand in the transfer note for ever.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

PAGE_BLANK: Final = "page-blank"
RESOLUTION_LOW: Final = "resolution-low"
BLACK_AND_WHITE: Final = "black-and-white"
PAGES_DIFFER: Final = "pages-differ-from-announced"
DUPLICATE_CONTENT: Final = "duplicate-content"
DUPLICATE_PAGES: Final = "duplicate-pages"
LEVEL_NOT_REACHED: Final = "level-not-reached"
ENVELOPE: Final = "envelope"
"""Not the scan is sealed, but a page that names it; the scan goes with it as it is."""

NEVER_BY_A_WORKER: Final = frozenset(
    {DUPLICATE_CONTENT, DUPLICATE_PAGES, LEVEL_NOT_REACHED, ENVELOPE}
)
"""The main process knows these by itself: a worker that says one of them lies."""

_CODE: Final = r"[a-z][a-z0-9-]{0,63}"
CODE: Final = re.compile(_CODE)
MOST: Final = 32
"""Codes on one document."""
_RUN: Final = r"[1-9][0-9]{0,6}(?:-[1-9][0-9]{0,6})?"
_PLACES: Final = re.compile(rf"({_CODE}):({_RUN}(?:,{_RUN})*)")


def listed(pages: Iterable[int]) -> str:
    """Return page numbers as people write them: `2,4-6`; each once, in order."""
    runs: list[list[int]] = []
    for page in sorted(set(pages)):
        if runs and runs[-1][1] == page - 1:
            runs[-1][1] = page
        else:
            runs.append([page, page])
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs)


def places(found: Mapping[str, Collection[int]]) -> tuple[str, ...]:
    """Return the texts that say which pages each code is about."""
    return tuple(f"{code}:{listed(pages)}" for code, pages in found.items() if pages)


def by_code(texts: Iterable[str]) -> dict[str, str]:
    """Return the pages of each code, as `listed` writes them; raise ValueError for other texts."""
    found: dict[str, str] = {}
    for text in texts:
        match = _PLACES.fullmatch(text)
        if match is None or match[1] in found:
            raise ValueError("not pages of a finding")
        found[match[1]] = match[2]
    return found


def plausible(codes: tuple[str, ...], texts: tuple[str, ...], pages: int) -> bool:
    """Return whether a worker can have found *codes* on *texts*' pages of a document of *pages*."""
    if len(codes) > MOST or not all(CODE.fullmatch(code) for code in codes):
        return False
    try:
        found = by_code(texts)
    except ValueError:
        return False
    return found.keys() <= set(codes) and all(_in_order(runs, pages) for runs in found.values())


def _in_order(runs: str, pages: int) -> bool:
    last = -1
    for run in runs.split(","):
        first, _, end = run.partition("-")
        # Two runs that touch are one: each list of pages has one way to be written.
        if int(first) <= last + 1:
            return False
        last = int(end or first)
        if not int(first) <= last <= pages or end == first:
            return False
    return True
