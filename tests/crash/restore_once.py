"""A process that makes a box again once, for tests that kill it."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.unit.test_restore import again


def main(root: Path) -> None:
    """Make it again in `root/new`, trusting the certificate in `root/seal.der`."""
    again(root, certificate=(root / "seal.der").read_bytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
