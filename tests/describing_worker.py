"""A page worker that only describes: quick to start, and hostile if what it reads asks for it.

Run as a file, as the product's own is run as a module.
"""

from __future__ import annotations

import base64
import os
import time
from pathlib import Path
from typing import Any

from daemon import prepare
from daemon.child import serve
from daemon.errors import PermanentError, TransientError


def describe(argument: dict[str, Any]) -> Any:
    """Do as the real one does, unless the sidecar says what else to do."""
    content = base64.b64decode(argument.get("sidecar", ""))
    word, _, rest = content.partition(b" ")
    if word == b"DIE":
        os._exit(3)
    if word == b"DIE-ONCE":  # the rest is a file that is there the second time
        if not Path(os.fsdecode(rest)).exists():
            Path(os.fsdecode(rest)).touch()
            os._exit(3)
        return {"slip": {"operator": "second"}}
    if word == b"LIE":
        return {"slip": {"operator": "x\x1b[2J", "counter": 5}}
    if word == b"PERMANENT":
        raise PermanentError("file-empty", "not its business")
    if word == b"AWAY":
        while Path(os.fsdecode(rest)).exists():
            raise TransientError("work-failed", "gone")
        return {"slip": {}}
    if word == b"SLEEP":
        time.sleep(float(rest))
        return {"slip": {}}
    return prepare.describe(argument)


if __name__ == "__main__":
    serve({"describe": describe})
