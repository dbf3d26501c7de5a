"""Measures: `python -m bench` all groups, `python -m bench NAME` one of them.

A group is a function that gets a folder of its own and a token, and returns its
section. Everything is measured on the disk that this folder is on, and removed.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench import flow, machine, memory, seal, table
from contrib.demo import token

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from contrib.demo.token import TokenFiles
    from bench.table import Section

HERE: Final = Path(__file__).parent
FIGURES: Final[Mapping[str, Callable[[Path, TokenFiles], Section]]] = {
    "seal": seal.measure,
    "flow": flow.measure,
    "memory": memory.measure,
}


def main() -> int:
    """Measure, write, print; return 1 if a limit does not hold."""
    names = sys.argv[1:] or list(FIGURES)
    if unknown := [name for name in names if name not in FIGURES]:
        print(f"no such figure: {unknown[0]} (there are {', '.join(FIGURES)})", file=sys.stderr)
        return 2
    # Not in the system's folder for such things: that may be memory, which has no fsync.
    build = HERE.parent / "build"
    build.mkdir(exist_ok=True)
    kind = machine.file_system(build)
    if kind in machine.NOT_ON_DISK:
        print(f"the project lies on {kind}: fsyncs cost nothing there", file=sys.stderr)
        return 2
    holds = True
    root = Path(tempfile.mkdtemp(prefix="bench-", dir=build))
    try:
        for name in names:
            holds &= _measure(name, root)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return 0 if holds else 1


def _measure(name: str, root: Path) -> bool:
    print(f"{name}: measuring ...", flush=True)
    # A token for each: one that has signed much is larger, and slower.
    files = token.make_token(root / f"{name}-token", pin=token.random_pin())
    place = root / name
    place.mkdir()
    where = machine.facts(root)
    section = FIGURES[name](place, files)
    table.write(HERE, [section], where)
    print(table.markdown(section, where))
    return all(row.holds is not False for row in section.rows)


if __name__ == "__main__":
    sys.exit(main())
