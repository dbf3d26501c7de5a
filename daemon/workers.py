"""Worker processes: the only place where bytes from outside are parsed, or a token is spoken to.

    main process ── stdin: one JSON request  ──▶  python -I -m daemon.prepare   (page worker)
                 ◀─ stdout: "taken", one reply ─   python -I -m daemon.hsm       (HSM process)

A worker is started when it is first needed, does one task at a time, and is
killed when a task takes too long. With a Sandbox it can reach its own places and
nothing else, and says with its first word which walls hold. What comes back is JSON that is checked field
by field (`typed`): a worker that was taken over by a hostile scan can lie, but
it cannot make this process run anything (I10). That is why this is not a pool
that pickles: see docs/decisions/0003-own-workers.md.

A worker that dies between tasks is replaced without a word; one that cannot be
started is `worker-unavailable`, and nobody's fault. One that dies after it has
said "taken" raises WorkerDied, and that counts against the document.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import re
import signal
import struct
import sys
import time
import types
import typing
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from daemon import ledger
from daemon.document import Digest
from daemon.errors import DaemonError, PermanentError, Refused, TransientError, WorkerDied
from daemon.sandbox import Confinement

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from daemon.sandbox import Sandbox

MAX_REPLY = 16 << 20
"""A reply longer than this is not read: the worker is ended instead."""
HEADER = struct.Struct(">I")
ENVIRONMENT = {"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"}
"""All that a page worker sees of the environment."""
START_SECONDS = 30.0
"""So long a worker may take until it has taken a task: its imports, on a slow disk."""
CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
WHERE = re.compile(r"\w{1,60} at [\w.]{1,60}:\d{1,6}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one worker process may use."""

    memory_mb: int
    """RLIMIT_AS: address space, so an allocation fails inside the worker, not the machine."""
    file_mb: int = 4096
    """RLIMIT_FSIZE: the largest file it may write."""
    recycle_mb: int = 160
    """A worker whose memory has once been larger than this is replaced after the task."""


class Worker:
    """One process, one task at a time."""

    def __init__(
        self,
        module: str | Path,
        *,
        place: Path,
        limits: Limits,
        sandbox: Sandbox | None = None,
        environment: Mapping[str, str] = ENVIRONMENT,
    ) -> None:
        """Describe the worker; no process is started before the first call.

        *module* is run as `python -I -m MODULE`, or as a file if it is a path, and has
        to call `child.serve`; *place* is its working folder; with a *sandbox* it can use
        that one's places only.
        """
        self._module = module
        self._place = place
        self._limits = limits
        self._sandbox = sandbox
        self._environment = dict(environment)
        self._process: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()
        self.replaced = 0
        """How often a dead or killed process was replaced, for the page."""
        self.confinement: Confinement | None = None
        """Which walls held in the newest process, by its own word before it saw a document; None
        before the first, and without a sandbox."""
        self._met = False

    @property
    def pid(self) -> int | None:
        """The process id while one runs, else None."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else None

    async def call(
        self,
        task: str,
        argument: Mapping[str, Any],
        *,
        seconds: float,
        cpu_seconds: float | None = None,
    ) -> Any:
        """Run *task* in the worker and return its JSON reply.

        It may take *seconds*, and *cpu_seconds* of processor time (as many, if not said).
        Raise what the worker raised on purpose (Refused, PermanentError,
        TransientError with their codes), or WorkerDied if it ended, answered
        nonsense, or took too long. Where none can be started: TransientError
        `worker-unavailable`.
        """
        cpu_seconds = seconds if cpu_seconds is None else cpu_seconds
        request = {"task": task, "argument": argument, "cpu_seconds": cpu_seconds}
        async with self._lock:
            try:
                reply = await self._exchange(json.dumps(request).encode(), seconds, cpu_seconds)
                result, error = _outcome(reply)
            except BaseException:
                # Whatever happened, also a cancelled caller: an answer that comes
                # later would be taken for the answer to the next request.
                self.replaced += 1
                await self._end()
                raise
            if _number(reply.get("rss_mb")) > self._limits.recycle_mb:
                await self._end()
        if error is not None:
            raise error
        return result

    async def stop(self) -> None:
        """End the process; the next call starts a new one."""
        async with self._lock:
            await self._end()

    async def _exchange(self, request: bytes, seconds: float, cpu_seconds: float) -> dict[str, Any]:
        process = await self._taken(request)
        try:
            async with asyncio.timeout(seconds):
                return await _receive(process)
        except TimeoutError:
            raise WorkerDied(f"{self._module} was ended after {seconds:g} s") from None
        except (ConnectionError, asyncio.IncompleteReadError):
            how = await _ending(process)
            if how == "SIGXCPU":
                how = f"using more than {cpu_seconds:g} s of processor time"
            raise WorkerDied(f"{self._module} ended by {how}") from None

    async def _taken(self, request: bytes) -> asyncio.subprocess.Process:
        """Give *request* to a process that takes it."""
        for again in (True, False):
            try:
                process = await self._running()
                async with asyncio.timeout(START_SECONDS):
                    await _send(process, request)
                    reply = await _receive(process)
                if reply.pop("taken", None) is True:
                    self._meet(reply)
                    return process
            except (OSError, asyncio.IncompleteReadError, TimeoutError, WorkerDied):
                pass
            # It died while idle, answers the task before this one, or does not start:
            # this task was not begun, so there is nothing to count against anybody.
            if again:
                self.replaced += 1
                await self._end()
        raise TransientError("worker-unavailable", f"{self._module} does not take a task")

    def _meet(self, first_word: dict[str, Any]) -> None:
        """Believe what a new process says of its walls; later it may be somebody else's word."""
        if not self._met and self._sandbox is not None:
            self.confinement = typed(Confinement, first_word)
        self._met = True

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._met = False
            settings = {
                "parent": os.getpid(),
                "memory_mb": self._limits.memory_mb,
                "file_mb": self._limits.file_mb,
                "sandbox": self._sandbox and asdict(self._sandbox),
            }
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                *(["-m", self._module] if isinstance(self._module, str) else [self._module]),
                json.dumps(settings),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                # Libraries print what they find in documents: the journal must not see it (I9).
                stderr=asyncio.subprocess.DEVNULL,
                cwd=self._place,
                env=self._environment,
                limit=MAX_REPLY,
            )
        return self._process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        # The loop's own kill() and close() ask for the exit status in passing: that takes it away
        # from whoever waits for it, who then logs a warning about a process it does not know.
        try:
            _kill(process)
        except ProcessLookupError:
            pass  # it has ended, and its status was asked for
        except OSError:
            # No descriptor is left, perhaps: then better a warning than a worker that lives on.
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        # To wait is to wait for the pipes too, and another process may hold them: a child of the
        # worker, where nothing forbids it one, or a daemon that a vendor's library has started.
        transport = process._transport  # type: ignore[attr-defined]  # noqa: SLF001
        for end in (transport.get_pipe_transport(0), transport.get_pipe_transport(1)):
            if not end.is_closing():
                # What was written and never read is not waited for.
                (end.abort if isinstance(end, asyncio.WriteTransport) else end.close)()
        await process.wait()
        # How its pipe broke is said already; unasked, the journal would get it as a riddle, later.
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            await process.stdin.wait_closed()


class Workers:
    """A few workers of one kind: the first is kept, more are started while the others are busy."""

    def __init__(self, workers: list[Worker]) -> None:
        """Take the workers over; none of them may be called from elsewhere."""
        self._all = workers
        self._idle = list(reversed(workers))
        self._free = asyncio.Semaphore(len(workers))
        self._used_at = dict.fromkeys(workers, 0.0)

    @property
    def replaced(self) -> int:
        """How many processes were replaced so far."""
        return sum(worker.replaced for worker in self._all)

    @property
    def missing(self) -> frozenset[str] | None:
        """Which walls were missing in the newest process of each; None before there was one."""
        known = [worker.confinement for worker in self._all if worker.confinement]
        return frozenset(name for one in known for name in one.missing) if known else None

    async def call(
        self,
        task: str,
        argument: Mapping[str, Any],
        *,
        seconds: float,
        cpu_seconds: float | None = None,
    ) -> Any:
        """Run *task* in the first worker that is free; see `Worker.call`."""
        async with self._free:
            worker = self._idle.pop()
            try:
                return await worker.call(task, argument, seconds=seconds, cpu_seconds=cpu_seconds)
            finally:
                self._used_at[worker] = time.monotonic()
                # The same one is taken first again, so the others can be let go.
                self._idle.append(worker)
                self._idle.sort(key=self._all.index, reverse=True)

    async def let_go(self, idle_seconds: float) -> None:
        """End all but the first worker that had nothing to do for so long."""
        now = time.monotonic()
        for worker in self._all[1:]:
            if worker in self._idle and worker.pid and now - self._used_at[worker] > idle_seconds:
                await worker.stop()

    async def stop(self) -> None:
        """End all processes."""
        await asyncio.gather(*(worker.stop() for worker in self._all))


def _kill(process: asyncio.subprocess.Process) -> None:
    """End the process by a descriptor of it, which stands for no other that gets its number."""
    handle = os.pidfd_open(process.pid)
    try:
        if process.returncode is None:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    finally:
        os.close(handle)


async def _send(process: asyncio.subprocess.Process, body: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(HEADER.pack(len(body)) + body)
    await process.stdin.drain()


async def _receive(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    (length,) = HEADER.unpack(await process.stdout.readexactly(HEADER.size))
    if length > MAX_REPLY:
        raise WorkerDied(f"a reply of {length} bytes is not read")
    try:
        reply = json.loads(await process.stdout.readexactly(length))
    except (ValueError, RecursionError):
        raise WorkerDied("a reply that is not JSON") from None
    if not isinstance(reply, dict):
        raise WorkerDied("a reply that is not an object")
    return reply


def _number(value: object) -> float:
    return value if isinstance(value, int | float) else 0.0


async def _ending(process: asyncio.subprocess.Process) -> str:
    try:
        async with asyncio.timeout(1.0):
            code = await process.wait()
    except TimeoutError:
        return "closing its pipe"
    if code >= 0:
        return f"exit code {code}"
    # Not signal.Signals(-code): it does not know the real-time ones.
    return next((known.name for known in signal.Signals if known == -code), f"signal {-code}")


def _outcome(reply: dict[str, Any]) -> tuple[Any, DaemonError | None]:
    """Return the result, or what the task raised on purpose; anything else is a death."""
    kinds: dict[str, type[DaemonError]] = {
        "refused": Refused,
        "permanent": PermanentError,
        "transient": TransientError,
    }
    if "result" in reply:
        return reply["result"], None
    error = kinds.get(str(reply.get("error")))
    if error is None:
        # It goes into the ledger with a crash: a class and a line of code, no text of its own.
        where = str(reply.get("where"))
        place = where if WHERE.fullmatch(where) else "a place that it does not name"
        raise WorkerDied(f"the worker failed in {place}")
    code = str(reply.get("code"))
    if len(code) > 64 or not CODE.fullmatch(code):
        raise WorkerDied("a refusal with no code of ours")
    return None, error(code, _line(reply.get("message"), 500))


def _line(text: object, most: int) -> str:
    """Return *text* as one line: it goes into the ledger and the journal, and may be a lie."""
    return "".join(char if char.isprintable() else "?" for char in str(text)[:most])


T = TypeVar("T")


def typed(cls: type[T], value: Any) -> T:
    """Return *value*, which came from a worker, as *cls*; raise WorkerDied if it does not fit.

    Knows frozen dataclasses of str, int, float, bool, Digest, None, tuples and
    such dataclasses. Unknown and missing fields do not fit, and neither do texts
    and numbers that could not be written into the ledger.
    """
    try:
        return typing.cast("T", _typed(cls, value))
    except (TypeError, ValueError, OverflowError) as exc:
        text = f"a reply that does not fit {cls.__name__}: {type(exc).__name__}"
        raise WorkerDied(text) from None


def _typed(kind: Any, value: Any) -> Any:
    origin = typing.get_origin(kind)
    if origin in {types.UnionType, typing.Union}:
        (kind,) = (arg for arg in typing.get_args(kind) if arg is not type(None))
        return None if value is None else _typed(kind, value)
    if origin is tuple:
        if not isinstance(value, list):
            raise TypeError
        value = tuple(_typed(typing.get_args(kind)[0], item) for item in value)
    elif kind is Digest:
        value = Digest(_typed(str, value))
    elif is_dataclass(kind):
        value = _record(kind, value)
    elif kind is float and type(value) is int:
        value = float(value)
    elif type(value) is not kind:
        raise TypeError
    _fit(value)
    return value


def _fit(value: Any) -> None:
    if isinstance(value, str):
        value.encode()  # raises for lone surrogates, which JSON can say and UTF-8 cannot
    elif isinstance(value, float | int) and not abs(value) <= ledger.SAFE_INTEGER:
        raise ValueError


def _record(kind: Any, value: Any) -> Any:
    if not isinstance(value, dict):
        raise TypeError
    hints, needed = _fields_of(kind)
    if value.keys() - hints.keys():
        raise TypeError
    found = {name: _typed(hints[name], item) for name, item in value.items()}
    if needed - found.keys():
        raise TypeError
    return kind(**found)


@functools.cache
def _fields_of(kind: Any) -> tuple[dict[str, Any], frozenset[str]]:
    """Return the types of a dataclass's fields, and those that have no default."""
    hints, known = typing.get_type_hints(kind), fields(kind)
    needed = frozenset(field.name for field in known if field.default is MISSING)
    return {field.name: hints[field.name] for field in known}, needed
