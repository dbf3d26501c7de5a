"""A process that damages samples and judges sealed files, and the proxy of it.

The process that seals parses nothing, here as in the service: its memory is measured.
What the validators do with hostile files may take for ever, or all memory: a court
is limited, and ended when it takes too long.

    one line of JSON in, one line of JSON out; `python -m tests.fuzz.court`
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import sys
import traceback
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

SECONDS: Final = 240.0
MEMORY: Final = 4 << 30
"""Address space of the court, and of each program that it starts."""
LONGEST_LINE: Final = 1 << 20
ROOT: Final = Path(__file__).parents[2]


class CourtLost(Exception):
    """It did not answer in time, ended, or ran into a bug of its own."""


class Court:
    """The proxy; the process is started when it is needed."""

    def __init__(self) -> None:
        """Nothing is started."""
        self._process: asyncio.subprocess.Process | None = None

    async def ask(self, **question: Any) -> Any:
        """Return the answer; raise CourtLost, after which the next question gets a new process."""
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.fuzz.court"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                cwd=ROOT,
                limit=LONGEST_LINE,
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(question).encode() + b"\n")
            async with asyncio.timeout(SECONDS):
                answer = json.loads(await process.stdout.readline())
        except (TimeoutError, ValueError, ConnectionError) as exc:
            await self.stop()
            raise CourtLost(f"{question['task']}: {type(exc).__name__}") from exc
        if "trouble" in answer:
            raise CourtLost(f"{question['task']}: {answer['trouble']}")
        return answer["done"]

    async def stop(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def make(folder: str, seed: int, number: int) -> dict[str, Any]:
    """Write one damaged file; say where it is and how it came to be."""
    from tests.fuzz import samples  # noqa: PLC0415 (pikepdf, Pillow: not in the proxy's process)
    from tests.fuzz.case import case  # noqa: PLC0415

    made = case(seed, number)
    path = Path(folder) / f"{seed}-{number}.{samples.family(made.sample)}"
    path.write_bytes(made.data)
    return {"path": str(path), "sample": made.sample, "steps": made.steps}


def judge(source: str, sealed: str, kind: str, ca: str, database: str) -> dict[str, Any]:
    """Return what there is to say against a sealed file."""
    from tests.fuzz.judge import judged  # noqa: PLC0415 (pyHanko)

    return asdict(judged(Path(source), Path(sealed), kind, Path(ca), Path(database)))


def count() -> dict[str, Any]:
    """Return how many samples there are, and their fingerprint."""
    from tests.fuzz import samples  # noqa: PLC0415

    return {"samples": len(samples.names()), "fingerprint": samples.fingerprint()}


def main() -> None:
    """Answer until the pipe is closed."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for fd in (1, 2):
        os.dup2(nowhere, fd)  # libraries print what they find in the files
    tasks = {"make": make, "judge": judge, "count": count}
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = {"done": tasks[question.pop("task")](**question)}  # type: ignore[operator]
        except Exception:  # noqa: BLE001 (a bug of the fuzzer, told where one can see it)
            answer = {"trouble": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
