"""`make docs`: writes the pages that are made from the code's tables."""

from __future__ import annotations

from pathlib import Path

from contrib import states
from daemon import codes


def main() -> None:
    """Write docs/codes.md and docs/states.md."""
    docs = Path(__file__).resolve().parents[1] / "docs"
    (docs / "codes.md").write_text(codes.markdown(), encoding="utf-8")
    (docs / "states.md").write_text(states.markdown(), encoding="utf-8")


if __name__ == "__main__":
    main()
