"""Worker processes: what they may do to us, and what becomes of it. Each is a real process."""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from daemon.errors import DaemonError, PermanentError, Refused, TransientError, WorkerDied
from daemon.workers import ENVIRONMENT, MAX_REPLY, Limits, Worker, Workers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

MODULE = Path(__file__).parents[1] / "workers_under_test.py"
LIMITS = Limits(memory_mb=512, file_mb=8, recycle_mb=160)
SECRET = "ller"
SOON = 30.0


@asynccontextmanager
async def worker(place: Path, limits: Limits = LIMITS) -> AsyncIterator[Worker]:
    """Yield a worker of the test's own module and end it."""
    made = Worker(MODULE, place=place, limits=limits)
    try:
        yield made
    finally:
        await made.stop()


async def until(true: Callable[[], bool]) -> None:
    """Wait until something is true, not longer than SOON."""
    async with asyncio.timeout(SOON):
        while not true():
            await asyncio.sleep(0.005)


async def pid_in(path: Path) -> int:
    """Wait for the process id that a task writes."""
    await until(lambda: path.exists() and bool(path.read_text(encoding="ascii")))
    return int(path.read_text(encoding="ascii"))


def gone(pid: int) -> bool:
    """Return whether a process has ended; whoever inherited it may not have asked for its code."""
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
            == "Z"
        )
    except (FileNotFoundError, ProcessLookupError):
        return True


# -- a task and its reply ------------------------------------------------------------------


def test_a_task_gets_its_argument_and_gives_its_result(tmp_path: Path) -> None:
    """One process for one task after the other."""

    async def main() -> None:
        async with worker(tmp_path) as made:
            assert made.pid is None
            first = await made.call("echo", {"text": "Grüße \u2028 \x00", "n": 1.5}, seconds=SOON)
            second = await made.call("echo", {}, seconds=SOON)
            assert first["text"] == "Grüße \u2028 \x00"
            assert first["n"] == 1.5
            assert first["pid"] == second["pid"] == made.pid
            assert made.replaced == 0

    asyncio.run(main())


@pytest.mark.parametrize(
    ("kind", "cls"),
    [("refused", Refused), ("permanent", PermanentError), ("transient", TransientError)],
)
def test_what_a_task_raises_on_purpose_comes_back_with_its_code(
    tmp_path: Path, kind: str, cls: type[DaemonError]
) -> None:
    """And the process goes on: it was no accident."""

    async def main() -> None:
        async with worker(tmp_path) as made:
            argument = {"kind": kind, "code": "pdf-damaged", "message": "page 3 is missing"}
            pid = (await made.call("echo", {}, seconds=SOON))["pid"]
            with pytest.raises(cls) as caught:
                await made.call("refuse", argument, seconds=SOON)
            assert type(caught.value) is cls
            assert (caught.value.code, caught.value.args[0]) == (
                "pdf-damaged",
                "page 3 is missing",
            )
            assert (await made.call("echo", {}, seconds=SOON))["pid"] == pid

    asyncio.run(main())


def test_a_refusal_with_no_code_of_ours_is_no_refusal(tmp_path: Path) -> None:
    """It would become a ledger line, a topic, a file beside the scan: a lie must not get there."""

    async def main() -> None:
        async with worker(tmp_path) as made:
            for code in ("", "Not A Code", "../../alarm", "a\nb", "x" * 65, "-a", "a-", "\ud800"):
                argument = {"kind": "refused", "code": code, "message": "x"}
                with pytest.raises(WorkerDied):
                    await made.call("refuse", argument, seconds=SOON)
            assert (await made.call("echo", {}, seconds=SOON))["pid"]

    asyncio.run(main())


def test_a_message_is_cut_to_one_line_that_can_be_printed(tmp_path: Path) -> None:
    """It reaches the journal and a text for people."""

    async def main() -> None:
        async with worker(tmp_path) as made:
            argument = {
                "kind": "refused",
                "code": "a-b",
                "message": "1\n2\x1b[31m\ud800" + "x" * 600,
            }
            with pytest.raises(Refused) as caught:
                await made.call("refuse", argument, seconds=SOON)
            assert caught.value.args[0] == "1?2?[31m?" + "x" * 491

    asyncio.run(main())


def test_a_bug_in_a_task_is_told_by_place_and_never_by_message(tmp_path: Path) -> None:
    """A parser's message quotes what it parses (I9); the process ends, nobody knows its state."""

    async def main() -> None:
        async with worker(tmp_path) as made:
            pid = (await made.call("echo", {}, seconds=SOON))["pid"]
            with pytest.raises(WorkerDied) as caught:
                await made.call("bug", {}, seconds=SOON)
            assert SECRET not in str(caught.value)
            assert "ValueError at workers_under_test.py:" in str(caught.value)
            await until(lambda: gone(pid))
            assert (await made.call("echo", {}, seconds=SOON))["pid"] != pid

    asyncio.run(main())


@pytest.mark.parametrize("task", ["not_json", "unknown", "leave"])
def test_a_task_that_has_no_reply_died(tmp_path: Path, task: str) -> None:
    """What JSON cannot write, a task that does not exist, and an end without a word."""

    async def main() -> None:
        async with worker(tmp_path) as made:
            with pytest.raises(WorkerDied):
                await made.call(task, {}, seconds=SOON)
            assert (await made.call("echo", {}, seconds=SOON))["pid"]

    asyncio.run(main())


def test_the_noise_of_a_library_disturbs_nobody(tmp_path: Path) -> None:
    """Libraries like qpdf and libtiff print what they find, on stdout and stderr, from C as well."""

    async def main() -> None:
        async with worker(tmp_path) as made:
            for _ in range(3):
                assert await made.call("noise", {}, seconds=SOON) == "quiet"
            assert made.replaced == 0

    asyncio.run(main())


# -- ends ----------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["sleep", "hang_in_c", "spin"])
def test_a_hanging_task_is_ended_in_time(tmp_path: Path, task: str) -> None:
    """In Python, in C with the GIL held, or busy: SIGKILL asks nobody."""

    async def main() -> None:
        async with worker(tmp_path) as made:
            pid = (await made.call("echo", {}, seconds=SOON))["pid"]
            begun = time.monotonic()
            with pytest.raises(WorkerDied, match=r"was ended after 0\.3 s"):
                await made.call(task, {}, seconds=0.3)
            assert time.monotonic() - begun < 5
            assert gone(pid)
            assert (await made.call("echo", {}, seconds=SOON))["pid"] != pid
            assert made.replaced == 1

    asyncio.run(main())


def test_a_child_that_holds_the_pipes_does_not_hold_us(tmp_path: Path) -> None:
    """In a sandbox there is none; a vendor's library may start a daemon of its own."""

    async def main() -> None:
        async with worker(tmp_path) as made:
            argument = {"here": str(tmp_path / "here")}
            async with asyncio.timeout(SOON):
                with pytest.raises(WorkerDied):
                    await made.call("leave_a_child", argument, seconds=1.0)
            child = await pid_in(tmp_path / "here")
            assert not gone(child)
            assert (await made.call("echo", {}, seconds=SOON))["pid"]
            os.kill(child, signal.SIGKILL)

    asyncio.run(main())


def test_a_worker_that_dies_idle_is_replaced_without_a_word(tmp_path: Path) -> None:
    """The out-of-memory killer took it between two tasks: no document was in it."""

    async def main() -> None:
        async with worker(tmp_path) as made:
            pids = set()
            for _ in range(3):
                pid = (await made.call("echo", {}, seconds=SOON))["pid"]
                pids.add(pid)
                os.kill(pid, signal.SIGKILL)
            assert len(pids) == 3
            assert made.replaced == 2

    asyncio.run(main())


def test_a_worker_that_has_ended_by_itself_is_no_riddle_in_the_journal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Asked for its exit status twice, the loop complained about a process that it did not know."""

    async def main() -> None:
        async with worker(tmp_path) as made:
            for _ in range(10):
                pid = (await made.call("echo", {}, seconds=SOON))["pid"]
                os.kill(pid, signal.SIGKILL)
                while not gone(pid):  # without giving the loop a chance to hear of it
                    time.sleep(0.001)  # noqa: ASYNC251

    asyncio.run(main())
    gc.collect()  # what nobody asked for is told when it is thrown away

    assert caplog.messages == []


def test_a_worker_is_ended_also_when_no_descriptor_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would live on unknown, with a document of which another one takes care by then."""

    def none_left(pid: int) -> int:
        raise OSError(errno.EMFILE, f"too many open files, at {pid}")

    async def main() -> None:
        made = Worker(MODULE, place=tmp_path, limits=LIMITS)
        pid = (await made.call("echo", {}, seconds=SOON))["pid"]
        monkeypatch.setattr("daemon.workers.os.pidfd_open", none_left)
        await made.stop()
        assert gone(pid)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("number", "name"),
    [(9, "SIGKILL"), (11, "SIGSEGV"), (6, "SIGABRT"), (40, "signal 40")],
)
def test_a_worker_that_dies_in_the_middle_is_said_so(
    tmp_path: Path, number: int, name: str
) -> None:
    """That one counts against the document it had (I8)."""

    async def main() -> None:
        async with worker(tmp_path) as made:
            with pytest.raises(WorkerDied, match=name):
                await made.call("end", {"signal": number}, seconds=SOON)
            assert (await made.call("echo", {}, seconds=SOON))["pid"] == made.pid

    asyncio.run(main())


def test_a_worker_that_cannot_start_is_nobodys_fault(tmp_path: Path) -> None:
    """A broken library, no memory for a process: counted, it would refuse every document."""
    (tmp_path / "broken").write_text("1", encoding="ascii")

    async def main() -> None:
        async with worker(tmp_path) as made:
            with pytest.raises(TransientError) as caught:
                await made.call("echo", {}, seconds=SOON)
            assert not isinstance(caught.value, WorkerDied)
            assert caught.value.code == "worker-unavailable"
            (tmp_path / "broken").unlink()
            assert (await made.call("echo", {}, seconds=SOON))["pid"]

    asyncio.run(main())


def test_a_worker_whose_place_is_gone_is_nobodys_fault(tmp_path: Path) -> None:
    """The kernel refuses to start it: the same thing, told by another error."""

    async def main() -> None:
        async with worker(tmp_path / "missing") as made:
            with pytest.raises(TransientError) as caught:
                await made.call("echo", {}, seconds=SOON)
            assert not isinstance(caught.value, WorkerDied)
            assert caught.value.code == "worker-unavailable"
            assert made.pid is None

    asyncio.run(main())


def test_a_cancelled_caller_ends_the_task_and_the_next_call_is_clean(tmp_path: Path) -> None:
    """A late answer would be taken for the answer to the next request."""

    async def main() -> None:
        async with worker(tmp_path) as made:
            call = asyncio.create_task(
                made.call("sleep", {"here": str(tmp_path / "here")}, seconds=SOON)
            )
            pid = await pid_in(tmp_path / "here")
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert gone(pid)
            assert (await made.call("echo", {"n": 1}, seconds=SOON))["n"] == 1

    asyncio.run(main())


def test_signals_of_a_clean_stop_do_not_reach_into_a_task(tmp_path: Path) -> None:
    """Systemd sends SIGTERM to all, a terminal SIGINT: a login in the middle would be left open."""

    async def main() -> None:
        async with worker(tmp_path) as made:
            assert await made.call("signals_ignored", {"answer": 42}, seconds=SOON) == "42"
            assert made.replaced == 0

    asyncio.run(main())


PARENT = """
import asyncio, sys
from pathlib import Path
from daemon.workers import Limits, Worker
async def main():
    place = Path(sys.argv[2])
    made = Worker(Path(sys.argv[1]), place=place, limits=Limits(memory_mb=512))
    task = sys.argv[3]
    if task == "echo":
        reply = await made.call("echo", {}, seconds=600)
        (place / "here").write_text(str(reply["pid"]))
        await asyncio.sleep(600)
    await made.call(task, {"here": str(place / "here")}, seconds=600)
asyncio.run(main())
"""


@pytest.mark.parametrize("task", ["echo", "sleep", "hang_in_c"])
def test_a_worker_ends_with_a_parent_that_was_killed(tmp_path: Path, task: str) -> None:
    """Idle, busy, or hanging in C: else it would go on writing beside the next service's."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(MODULE), str(tmp_path), task])
    try:
        pid = asyncio.run(pid_in(tmp_path / "here"))
        assert not gone(pid)
    finally:
        parent.kill()
        parent.wait(timeout=10)

    asyncio.run(until(lambda: gone(pid)))


# -- limits --------------------------------------------------------------------------------


def test_a_worker_sees_no_more_than_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its environment is exactly ours to give; nothing can be traced, dumped or gained."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/scanseal.service")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    secret = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(secret, True)

    async def main() -> dict[str, Any]:
        async with worker(tmp_path) as made:
            found: dict[str, Any] = await made.call("state", {}, seconds=SOON)
            return found

    try:
        state = asyncio.run(main())
    finally:
        os.close(secret)

    assert sorted(filter(None, state["environment"])) == sorted(
        f"{name}={value}" for name, value in ENVIRONMENT.items()
    )
    assert state["dumpable"] == 0
    assert state["no_new_privs"] == 1
    assert state["core"] == [0, 0]
    assert state["memory"] == [512 << 20] * 2
    assert state["file"] == [8 << 20] * 2
    assert state["files"] == [64, 64]
    assert state["umask"] == 0o077
    assert state["cwd"] == str(tmp_path)
    assert state["flags"] == [1, 1]
    # stdin, stdout, stderr, the replies, its status, and what lists them: none of the parent's.
    assert len(state["descriptors"]) <= 7
    assert secret not in state["descriptors"][:4]


def test_memory_beyond_the_limit_is_refused_in_the_worker(tmp_path: Path) -> None:
    """The machine does not run out of it: the allocation fails, and with it the task."""

    async def main() -> None:
        async with worker(tmp_path) as made:
            with pytest.raises(WorkerDied, match="MemoryError"):
                await made.call("hoard_memory", {"mb": 600}, seconds=SOON)
            assert (await made.call("echo", {}, seconds=SOON))["pid"] == made.pid

    asyncio.run(main())


def test_a_worker_that_has_grown_is_replaced_after_its_task(tmp_path: Path) -> None:
    """Memory that was given to a large scan does not come back by itself."""

    async def main() -> None:
        async with worker(tmp_path) as made:
            small = (await made.call("hoard_memory", {"mb": 10}, seconds=SOON))["pid"]
            grown = (await made.call("hoard_memory", {"mb": 200}, seconds=SOON))["pid"]
            after = (await made.call("echo", {}, seconds=SOON))["pid"]
            assert small == grown != after
            assert made.replaced == 0  # nothing was wrong with it

    asyncio.run(main())


def test_a_file_beyond_the_limit_is_refused_in_the_worker(tmp_path: Path) -> None:
    """A bomb fills its own allowance, not the disk."""

    async def main() -> None:
        async with worker(tmp_path) as made:
            path = str(tmp_path / "out")
            fits = await made.call("write_file", {"path": path, "mb": 7}, seconds=SOON)
            not_any_more = await made.call("write_file", {"path": path, "mb": 8}, seconds=SOON)
            assert (fits["errno"], not_any_more["errno"]) == (0, errno.EFBIG)

    asyncio.run(main())


def test_each_task_has_cpu_time_of_its_own(tmp_path: Path) -> None:
    """RLIMIT_CPU counts from the start of the process: a busy one must not run out of it."""

    async def main() -> None:
        async with worker(tmp_path) as made:
            for seconds in (5.0, 50.0, 5.0):
                left = await made.call("cpu_left", {}, seconds=seconds)
                assert seconds <= left <= seconds + 3

    asyncio.run(main())


def test_a_busy_task_is_ended_by_the_time_it_has_used(tmp_path: Path) -> None:
    """Also where nobody looks at a clock: the kernel counts, and the reason names the limit."""

    async def main() -> None:
        async with worker(tmp_path) as made:
            for _ in range(2):
                with pytest.raises(WorkerDied, match=r"more than 0\.1 s of processor time"):
                    await made.call("spin", {}, seconds=SOON, cpu_seconds=0.1)
            # A task that only waits is not ended by it.
            await made.call("wait", {"seconds": 2.5}, seconds=SOON, cpu_seconds=0.1)
            assert made.replaced == 2

    asyncio.run(main())


def test_a_task_that_writes_for_ever_is_stopped_by_its_allowance(tmp_path: Path) -> None:
    """One file fills what one file may hold, and the disk stays free for the others."""

    async def main() -> None:
        async with worker(tmp_path) as made:
            path = tmp_path / "out"
            found = await made.call("write_for_ever", {"path": str(path)}, seconds=SOON)
            assert found["errno"] == errno.EFBIG
            assert path.stat().st_size == LIMITS.file_mb << 20

    asyncio.run(main())


# -- lies ------------------------------------------------------------------------------------


def framed(body: bytes) -> str:
    """Return *body* as a reply's raw bytes, in hex."""
    return (len(body).to_bytes(4, "big") + body).hex()


LIES = (
    framed(b"not JSON"),
    framed(b"[]"),
    framed(b"null"),
    framed(b"{}"),
    framed(b'{"error": "refused"}'),
    framed(b'{"error": {"a": 1}, "code": [1]}'),
    framed(b'{"error": "bug", "where": {"x": "' + b"y" * 5000 + b'"}}'),
    framed(b"\xff\xfe"),
    framed(b'{"result": ' + b"[" * 1_000_000),
    framed(b'{"result": ' + b"9" * 100_000 + b"}"),
    (MAX_REPLY + 1).to_bytes(4, "big").hex(),
    "ffffffff",
)
HALF = ("", "00", framed(b'{"result": 1}')[:-2])


@pytest.mark.parametrize(("lies", "then"), [(LIES, "hang"), ((*HALF, LIES[0], LIES[3]), "end")])
def test_a_reply_that_is_none_is_a_death(tmp_path: Path, lies: tuple[str, ...], then: str) -> None:
    """Whatever a worker that was taken over writes: WorkerDied, at once, and nothing else."""

    async def main() -> None:
        async with worker(tmp_path) as made:
            for raw in lies:
                begun = time.monotonic()
                with pytest.raises(WorkerDied) as caught:
                    await made.call("lie", {"raw": raw, "then": then}, seconds=SOON)
                assert len(str(caught.value)) < 500
                assert time.monotonic() - begun < SOON / 3
            assert (await made.call("echo", {}, seconds=SOON))["pid"]

    asyncio.run(main())


def test_a_worker_cannot_have_its_own_words_written_down(tmp_path: Path) -> None:
    """Why it died stands in the ledger, which names nobody (I9)."""

    async def main() -> None:
        async with worker(tmp_path) as made:
            for where in ("Müller at home", "Error at x.py:1; Müller", "a b at x.py:1", "x" * 5000):
                raw = framed(json.dumps({"error": "bug", "where": where}).encode())
                with pytest.raises(WorkerDied) as caught:
                    await made.call("lie", {"raw": raw, "then": "hang"}, seconds=SOON)
                assert caught.value.args[0] == "the worker failed in a place that it does not name"

    asyncio.run(main())


def test_a_huge_reply_is_not_read(tmp_path: Path) -> None:
    """Its length is known before its bytes: the worker is ended instead."""

    async def main() -> None:
        async with worker(tmp_path) as made:
            fits = await made.call("large", {"bytes": MAX_REPLY - 100}, seconds=SOON)
            assert len(fits) == MAX_REPLY - 100
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            with pytest.raises(WorkerDied, match="is not read"):
                await made.call("large", {"bytes": 4 * MAX_REPLY}, seconds=SOON)
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            assert grown * 1024 < 3 * MAX_REPLY

    asyncio.run(main())


def test_an_answer_to_the_task_before_is_nobodys_death(tmp_path: Path) -> None:
    """What one document's worker says too much must not be counted against the next document."""

    async def main() -> None:
        async with worker(tmp_path) as made:
            for more in ('{"result": "late"}', "not JSON"):
                said = await made.call("answer_twice", {"more": more}, seconds=SOON)
                assert said == "mine"
            assert (await made.call("echo", {"n": 2}, seconds=SOON))["n"] == 2

    asyncio.run(main())


def test_a_worker_that_closes_its_pipe_and_lives_on_is_ended(tmp_path: Path) -> None:
    """Its exit code is not waited for: it never comes."""

    async def main() -> None:
        async with worker(tmp_path) as made:
            call = made.call("deaf", {"here": str(tmp_path / "here")}, seconds=SOON)
            with pytest.raises(WorkerDied):
                async with asyncio.timeout(SOON):
                    await call
            assert gone(int((tmp_path / "here").read_text(encoding="ascii")))
            assert (await made.call("echo", {}, seconds=SOON))["pid"]

    asyncio.run(main())


# -- several at once -----------------------------------------------------------------------


def test_two_tasks_at_once_run_in_two_processes(tmp_path: Path) -> None:
    """The first worker is used again and again; the second only while it is busy."""

    async def main() -> None:
        made = [Worker(MODULE, place=tmp_path, limits=LIMITS) for _ in range(2)]
        pool = Workers(made)
        try:
            alone = [(await pool.call("echo", {}, seconds=SOON))["pid"] for _ in range(3)]
            assert len(set(alone)) == 1
            assert made[1].pid is None
            hanging = asyncio.create_task(
                pool.call("sleep", {"here": str(tmp_path / "here")}, seconds=SOON)
            )
            assert await pid_in(tmp_path / "here") == alone[0]
            other = (await pool.call("echo", {}, seconds=SOON))["pid"]
            assert other != alone[0]
            await pool.let_go(600)
            assert made[1].pid == other
            await pool.let_go(0)
            assert made[1].pid is None
            hanging.cancel()
            await asyncio.gather(hanging, return_exceptions=True)
            assert pool.replaced == 1
            assert (await pool.call("echo", {}, seconds=SOON))["pid"] not in {other, alone[0]}
        finally:
            await pool.stop()
        assert all(one.pid is None for one in made)

    asyncio.run(main())


def test_more_tasks_than_workers_wait_for_their_turn(tmp_path: Path) -> None:
    """And every one gets its own answer."""

    async def main() -> None:
        pool = Workers([Worker(MODULE, place=tmp_path, limits=LIMITS) for _ in range(2)])
        try:
            found = await asyncio.gather(
                *(pool.call("echo", {"n": number}, seconds=SOON) for number in range(20))
            )
            assert [reply["n"] for reply in found] == list(range(20))
            assert len({reply["pid"] for reply in found}) == 2
        finally:
            await pool.stop()

    asyncio.run(main())
