"""A mounted forgetting disk and its plug."""

from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.power.disk import Loss, Recording

PATIENCE = 20.0
REPOSITORY = Path(__file__).parents[2]


class Power:
    """The disk at *mountpoint*; `close` ends it."""

    def __init__(self, root: Path, *, apart: bool = False) -> None:
        """Mount a new disk at *root*/disk; *apart*: each folder in it is a file system."""
        self.disk = root / "disk"
        self.disk.mkdir()
        self._control = root / "control"
        self._recording = root / "recording"
        self._log = (root / "disk.log").open("wb")
        more = ["apart"] if apart else []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.power.mounted", self.disk, self._control, *more],
            cwd=REPOSITORY,
            env={**os.environ, "FUSE_LIBRARY_PATH": "libfuse3.so.3"},
            stdout=self._log,
            stderr=self._log,
        )
        self._wait_for_mount()

    def cut(self, seed: int, loss: Loss) -> None:
        """Pull the plug, and mount again what is left. Nobody may have a file open."""
        self._unmount()
        self._ask({"cut": seed, "loss": loss})
        self._wait_for_mount()

    def recording(self) -> Recording:
        """Return everything that was done to the disk."""
        self._ask({"save": str(self._recording)})
        found: Recording = pickle.loads(self._recording.read_bytes())  # noqa: S301 (our own)
        return found

    def length(self) -> int:
        """Return how many operations were done."""
        return int(self._ask({"length": True}))

    def close(self) -> None:
        """Unmount and end the process."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        subprocess.run(["fusermount3", "-u", "-z", self.disk], check=False, capture_output=True)
        self._log.close()

    def _unmount(self) -> None:
        subprocess.run(["fusermount3", "-u", self.disk], check=True, capture_output=True)

    def _wait_for_mount(self) -> None:
        until = time.monotonic() + PATIENCE
        while not (os.path.ismount(self.disk) and self._control.exists()):
            assert self._process.poll() is None, "the disk's process ended"
            assert time.monotonic() < until, "not mounted"
            time.sleep(0.02)

    def _ask(self, question: dict[str, Any]) -> Any:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(str(self._control))
            with connection.makefile("rw") as file:
                print(json.dumps(question), file=file, flush=True)
                return json.loads(file.readline())
