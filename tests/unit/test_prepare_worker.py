"""The page worker as it runs: a process of its own, limited, and killed when it hangs (I8, I10)."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from daemon import transfernote
from daemon.errors import Refused, TransientError, WorkerDied
from daemon.prepare import Prepared, ReadBack
from daemon.workers import Limits, Worker, typed
from tests.unit.pages_samples import NOTE, PAGE, handmade, jpeg, pdf, request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

SECONDS = 60.0


def worker_in(folder: Path, **limits: int) -> AbstractAsyncContextManager[Worker]:
    from contextlib import asynccontextmanager  # noqa: PLC0415

    @asynccontextmanager
    async def running() -> AsyncIterator[Worker]:
        worker = Worker(
            "daemon.prepare", place=folder, limits=Limits(**({"memory_mb": 1024} | limits))
        )
        try:
            yield worker
        finally:
            await worker.stop()

    return running()


def placed(folder: Path, scan: bytes) -> dict[str, Any]:
    number = len(list(folder.iterdir()))
    source = folder / f"{number}.original"
    source.write_bytes(scan)
    return request(source, folder / f"{number}.prepared")


def status(pid: int, field: str) -> int:
    """Read one number of kilobytes about a process from the kernel."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise AssertionError(field)


async def sealed_path(worker: Worker, argument: dict[str, Any]) -> tuple[Prepared, ReadBack]:
    prepared = typed(Prepared, await worker.call("prepare", argument, seconds=SECONDS))
    back = {
        "sealed": argument["target"],
        "original": argument["source"],
        "kind": prepared.kind,
        "max_pixels": argument["max_pixels"],
    }
    return prepared, typed(ReadBack, await worker.call("readback", back, seconds=SECONDS))


def test_both_tasks_come_through_the_pipe(tmp_path: Path) -> None:
    """What the main process takes is checked field by field: it has to fit exactly."""

    async def scenario() -> None:
        async with worker_in(tmp_path) as worker:
            for scan, kind in ((pdf(2), "pdf"), (jpeg(), "jpeg")):
                prepared, found = await sealed_path(worker, placed(tmp_path, scan))
                assert (prepared.kind, prepared.findings) == (kind, ())
                assert found.byte_range == (
                    0,
                    prepared.gap_start,
                    prepared.gap_end,
                    prepared.size - prepared.gap_end,
                )
                assert found.images == prepared.images

    asyncio.run(scenario())


def test_a_cover_page_comes_through_the_pipe(tmp_path: Path) -> None:
    """Written and compared by the worker, which sees the note and no original."""
    note = transfernote.as_json(transfernote.enveloped(NOTE, "already-signed"))
    argument = request(tmp_path / "none", tmp_path / "cover")
    argument |= {"note": note, "code": "already-signed"}

    async def scenario() -> None:
        async with worker_in(tmp_path) as worker:
            made = typed(Prepared, await worker.call("cover", argument, seconds=SECONDS))
            assert (made.images, made.pages_digest, made.checked_at) == (1, None, "")
            back = argument | {"sealed": argument["target"], "original": "", "kind": "pdf"}
            found = typed(ReadBack, await worker.call("readback", back, seconds=SECONDS))
            assert (found.images, found.compared) == (1, "pixels")

    asyncio.run(scenario())


def test_i10_a_bomb_is_refused_and_the_worker_goes_on(tmp_path: Path) -> None:
    """A hundred bytes that say 2^60 pixels: the next document must not notice."""
    header = struct.pack(">IIBBBBB", 1 << 30, 1 << 30, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 4096)), (b"IEND", b"")]
    bomb = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )

    async def scenario() -> None:
        async with worker_in(tmp_path) as worker:
            await sealed_path(worker, placed(tmp_path, pdf()))
            before = worker.pid
            with pytest.raises(Refused) as caught:
                await worker.call("prepare", placed(tmp_path, bomb), seconds=SECONDS)
            assert caught.value.code == "too-many-pixels"
            await sealed_path(worker, placed(tmp_path, pdf()))
            assert (worker.pid, worker.replaced) == (before, 0)

    asyncio.run(scenario())


def test_i10_metadata_that_unpacks_to_gigabytes_takes_no_memory(tmp_path: Path) -> None:
    """Kilobytes of zeros, a gigabyte unpacked: it is replaced, with a finding."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(b" " * (1 << 20)) for _ in range(1024)) + packer.flush()
    objects = {
        **PAGE,
        1: b"<< /Type /Catalog /Pages 2 0 R /Metadata 4 0 R >>",
        4: b"<< /Type /Metadata /Filter /FlateDecode /Length %d >>\nstream\n%b\nendstream"
        % (len(packed), packed),
    }

    async def scenario() -> None:
        async with worker_in(tmp_path) as worker:
            prepared, _ = await sealed_path(worker, placed(tmp_path, handmade(objects)))
            assert "metadata-replaced" in prepared.findings
            assert worker.pid is not None
            assert status(worker.pid, "VmHWM") < 90 << 10

    asyncio.run(scenario())


def test_no_document_is_ever_held_whole(tmp_path: Path) -> None:
    """A hundred megabytes go through a worker that stays under ninety, twice."""
    noise = random.Random(3).randbytes(1 << 20)  # noqa: S311
    pages, images = {}, {}
    for number in range(100):
        page, image = 3 + 2 * number, 4 + 2 * number
        pages[page] = (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [ 0 0 9 9 ]"
            b" /Resources << /XObject << /Im %d 0 R >> >> >>" % image
        )
        images[image] = b"<< /N %d /Length %d >>\nstream\n%b\nendstream" % (
            number,
            len(noise),
            noise,
        )
    kids = b" ".join(b"%d 0 R" % page for page in pages)
    scan = handmade(
        {1: PAGE[1], 2: b"<< /Type /Pages /Count 100 /Kids [ %b ] >>" % kids, **pages, **images}
    )

    async def scenario() -> None:
        async with worker_in(tmp_path) as worker:
            argument = placed(tmp_path, scan) | {"max_pages": 100}
            prepared, found = await sealed_path(worker, argument)
            assert prepared.size > 100 << 20
            assert (found.images, found.compared) == (100, "streams")
            assert worker.pid is not None
            assert status(worker.pid, "VmHWM") < 90 << 10

    asyncio.run(scenario())


def test_i8_a_worker_that_hangs_is_killed_and_replaced(tmp_path: Path) -> None:
    """It opens a pipe that nobody writes to, which is how a hanging parser looks from outside."""

    async def scenario() -> None:
        async with worker_in(tmp_path) as worker:
            await sealed_path(worker, placed(tmp_path, pdf()))
            hanging = placed(tmp_path, pdf())
            Path(hanging["source"]).unlink()
            os.mkfifo(hanging["source"])
            before = worker.pid
            with pytest.raises(WorkerDied):
                await worker.call("prepare", hanging, seconds=0.5)
            await sealed_path(worker, placed(tmp_path, pdf()))
            assert worker.pid != before
            assert worker.replaced == 1

    asyncio.run(scenario())


def test_i8_a_worker_that_dies_over_a_document_costs_only_that_one(tmp_path: Path) -> None:
    """Killed from outside in the middle of a task, as the kernel does when memory is short."""

    async def scenario() -> None:
        async with worker_in(tmp_path) as worker:
            await sealed_path(worker, placed(tmp_path, pdf()))
            fatal = placed(tmp_path, pdf())
            Path(fatal["source"]).unlink()
            os.mkfifo(fatal["source"])
            call = asyncio.create_task(worker.call("prepare", fatal, seconds=SECONDS))
            deadline = time.monotonic() + SECONDS
            writer = None
            # Opening our end succeeds only once the worker has opened its own: it is in the task.
            while writer is None and time.monotonic() < deadline:
                try:
                    writer = os.open(fatal["source"], os.O_WRONLY | os.O_NONBLOCK)
                except OSError:
                    await asyncio.sleep(0.01)
            assert writer is not None
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)
            with pytest.raises(WorkerDied, match="SIGKILL"):
                await call
            os.close(writer)
            await sealed_path(worker, placed(tmp_path, pdf()))

    asyncio.run(scenario())


def test_a_file_larger_than_may_be_written_is_refused(tmp_path: Path) -> None:
    """The limit is the process's own; what was begun is removed."""
    noise = random.Random(4).randbytes(2 << 20)  # noqa: S311
    objects = {
        **PAGE,
        3: PAGE[3].replace(b"<< >>", b"<< /X 4 0 R >>"),
        4: b"<< /Length %d >>\nstream\n%b\nendstream" % (len(noise), noise),
    }

    async def scenario() -> None:
        async with worker_in(tmp_path, file_mb=1) as worker:
            argument = placed(tmp_path, handmade(objects))
            with pytest.raises(Refused) as caught:
                await worker.call("prepare", argument, seconds=SECONDS)
            assert caught.value.code == "too-large"
            assert not Path(argument["target"]).exists()

    asyncio.run(scenario())


def test_a_place_that_cannot_be_used_is_no_fault_of_the_document(tmp_path: Path) -> None:
    """A full or missing disk passes: the document is tried again, not refused."""

    async def scenario() -> None:
        async with worker_in(tmp_path) as worker:
            argument = placed(tmp_path, pdf()) | {"target": str(tmp_path / "gone" / "x")}
            with pytest.raises(TransientError) as caught:
                await worker.call("prepare", argument, seconds=SECONDS)
            assert caught.value.code == "work-failed"
            assert worker.replaced == 0

    asyncio.run(scenario())


def test_i10_the_main_process_takes_the_values_without_the_parsers() -> None:
    """It imports daemon.prepare for its dataclasses, and must not get pikepdf with them."""
    code = (
        "import sys, daemon.prepare, daemon.transfernote, daemon.magic;"
        "print(*sorted({'pikepdf', 'PIL', 'img2pdf', 'lxml'} & set(sys.modules)))"
    )

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.split() == []
