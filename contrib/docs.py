"""`make docs`: writes the pages that are made from the code's tables."""

from __future__ import annotations

from pathlib import Path

from daemon.codes import markdown


def main() -> None:
    """Write docs/codes.md."""
    page = Path(__file__).resolve().parents[1] / "docs" / "codes.md"
    page.write_text(markdown(), encoding="utf-8")


if __name__ == "__main__":
    main()
