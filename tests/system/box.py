"""A whole box for tests: the real service as a process, SoftHSM, folders as targets.

Nothing in it is a fake but the scanner, which is played by writing files.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.document import Document, State, folder_of
from daemon.errors import CorruptionError
from daemon.records.reader import Reader, open_reader
from tests.court import docket

if TYPE_CHECKING:
    from collections.abc import Callable

    from contrib.demo.token import TokenFiles

SCANSEAL = Path(sys.executable).with_name("scanseal")
PATIENCE = 60.0
"""How long a test waits for something that normally takes a second or two."""

CONFIG = """\
[box]
name = "testbox"
organisation = "Stadt Musterstadt, Marktamt"
state_dir = "{root}/state"
language = "de"
min_free_mb = 1
clock = "host"

[[hotfolder]]
name = "post"
path = "{root}/hot"
rejected = "{root}/hot/rejected"
profile = "post"
settle_seconds = 0.3
give_up_seconds = 1.0
rescan_seconds = 0.3
operator = "K 17"

[profile.post]
procedure = "Scankonzept Test 1.0"
max_pages = {max_pages}

[hsm]
module = "{module}"
token = "{label}"
key = "{key}"
certificate = "{certificate}"
chain = "{chain}"
pin = "file:{pin}"
timeout_seconds = 10

[seal]

[[target]]
name = "dms"
kind = "folder"
role = "dms"
path = "{root}/dms"

[[target]]
name = "archive"
kind = "folder"
role = "archive"
path = "{root}/archive"
{more}
"""


class Box:
    """One box in one folder."""

    def __init__(
        self,
        root: Path,
        token: TokenFiles,
        *,
        pin: Path | None = None,
        label: str = "",
        key: str = "",
        module: str = "",
        max_pages: int = 2000,
        profile: str = "",
        more: str = "",
    ) -> None:
        """Make the folders and write the configuration; nothing is started."""
        self.root = root
        self.token = token
        for name in ("hot", "hot/rejected", "dms", "archive"):
            (root / name).mkdir(parents=True, exist_ok=True)
        self.config = root / "scanseal.toml"
        self.config.write_text(
            CONFIG.format(
                root=root,
                module=module or token.module,
                label=label or token.token,
                key=key or token.key,
                certificate=token.certificate,
                chain=token.chain,
                pin=pin or token.pin,
                max_pages=max_pages,
                more=more,
            ).replace("\n[hsm]\n", f"{profile}\n[hsm]\n")
        )
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What the service is started with."""
        return {**os.environ, "SOFTHSM2_CONF": str(self.token.softhsm2_conf)}

    def start(self) -> Box:
        """Start the service in a session of its own and wait until it answers."""
        self.start_only()
        self.wait(self.answers, "the service answers")
        return self

    def start_only(self) -> None:
        """Start the service and wait for nothing."""
        log = (self.root / "log").open("ab")
        self.process = subprocess.Popen(
            [SCANSEAL, "run", "--config", self.config],
            stdout=log,
            stderr=log,
            env=self.environment,
            start_new_session=True,
        )
        log.close()

    def answers(self) -> bool:
        """Return whether the service answers on its socket."""
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        return self.command("status", "--json").stdout.startswith("{")

    def stop(self) -> int:
        """Stop the service cleanly and return its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """Kill the service and everything it started, as `kill -9` of the control group does."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)

    def close(self) -> None:
        """End whatever still runs, and hand over what was sealed."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        if (self.root / "state" / "spool.db").exists():
            # Of a database that a test has damaged nobody knows what was committed.
            with contextlib.suppress(sqlite3.DatabaseError, CorruptionError):
                made = [(one, self.folder(one)) for one in self.documents()]
                docket.hand_over(made, self.token.ca)

    def command(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a scanseal command on this box."""
        first, *rest = map(str, arguments)
        words = [first, *rest[:1]] if first in {"ledger", "hsm", "clock"} else [first]
        return subprocess.run(
            [SCANSEAL, *words, "--config", self.config, *([first, *rest][len(words) :])],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env=self.environment,
        )

    def status(self) -> dict[str, Any]:
        """Return the snapshot as JSON."""
        found: dict[str, Any] = json.loads(self.command("status", "--json").stdout)
        return found

    def alarms(self) -> set[str]:
        """Return the codes that are raised."""
        return {alarm["code"] for alarm in self.status()["alarms"]}

    def drop(self, source: Path, name: str = "") -> None:
        """Put a copy of *source* into the hot folder, all at once."""
        (self.root / "hot" / (name or source.name)).write_bytes(source.read_bytes())

    def reader(self) -> Reader:
        """Open the spool for looking."""
        return open_reader(self.root / "state" / "spool.db")

    def documents(self) -> list[Document]:
        """Return all documents, the oldest first."""
        return sorted(self.reader().newest(10_000), key=lambda document: document.id)

    def folder(self, document: Document) -> Path:
        """Return a document's folder."""
        return folder_of(self.root / "state" / "documents", document.id)

    def at_rest(self, number: int) -> Callable[[], bool]:
        """Return a question: are *number* documents there, each filed or refused."""

        def ask() -> bool:
            found = [document.state for document in self.documents()]
            return len(found) == number and set(found) <= {State.FILED, State.REFUSED, State.HELD}

        return ask

    def wait(self, question: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
        """Ask again and again until the answer is yes, or fail with the log."""
        until = time.monotonic() + seconds
        while not question():
            if time.monotonic() > until:
                raise AssertionError(f"not in {seconds:g} s: {what}\n{self.log()}")
            time.sleep(0.05)

    def log(self) -> str:
        """Return what the service has written."""
        path = self.root / "log"
        return path.read_text() if path.exists() else ""
