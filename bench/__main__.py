"""Measures: `python -m bench` all groups, `python -m bench NAME` one of them.

A group is a function that gets a folder of its own and a token, and returns its
section. Each runs in a process of its own, because what one has imported would be
counted in the memory of the next. Everything is measured on the disk that this
folder is on, and removed.
"""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench import machine, table
from contrib.demo import token

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bench.table import Section
    from contrib.demo.token import TokenFiles

HERE: Final = Path(__file__).parent
FIGURES: Final[Mapping[str, str]] = {
    "seal": "bench.seal",
    "flow": "bench.flow",
    "intake": "bench.intake",
    "memory": "bench.memory",
    "token": "bench.token",
    "spool": "bench.spool",
    "disk": "bench.disk",
    "delivery": "bench.delivery",
    "s3": "bench.s3",
}
"""Where the function `measure` of each group is."""


def main() -> int:
    """Measure, write, print; return 1 if a limit does not hold."""
    names = sys.argv[1:] or list(FIGURES)
    if unknown := [name for name in names if name not in FIGURES]:
        print(f"no such figure: {unknown[0]} (there are {', '.join(FIGURES)})", file=sys.stderr)
        return 2
    if len(names) > 1:
        commands = ([sys.executable, "-m", "bench", name] for name in names)
        ended = [subprocess.run(command, check=False).returncode for command in commands]
        return max(ended)
    # Not in the system's folder for such things: that may be memory, which has no fsync.
    build = HERE.parent / "build"
    build.mkdir(exist_ok=True)
    kind = machine.file_system(build)
    if kind in machine.NOT_ON_DISK:
        print(f"the project lies on {kind}: fsyncs cost nothing there", file=sys.stderr)
        return 2
    root = Path(tempfile.mkdtemp(prefix="bench-", dir=build))
    try:
        return 0 if _measure(names[0], root) else 1
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _measure(name: str, root: Path) -> bool:
    print(f"{name}: measuring ...", flush=True)
    measure: Callable[[Path, TokenFiles], Section] = importlib.import_module(FIGURES[name]).measure
    place = root / name
    place.mkdir()
    where = machine.facts(root)
    section = measure(place, token.make_token(root / "token", pin=token.random_pin()))
    table.write(HERE, [section], where)
    print(table.markdown(section, where))
    return all(row.holds is not False for row in section.rows)


if __name__ == "__main__":
    sys.exit(main())
