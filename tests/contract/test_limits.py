"""The limits of the configuration, each with a document that would eat the machine without it."""

from __future__ import annotations

import asyncio
import json
import re
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from contrib.demo import scans
from daemon.document import State
from daemon.spool import Spool
from daemon.workers import Worker, Workers
from tests.sealing import Sealing, sealing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from contrib.demo.token import TokenFiles
    from daemon.document import Document

MEGA = 1 << 20


class Recorder(Workers):
    """Page workers that remember what they were asked for."""

    def __init__(self, workers: list[Worker]) -> None:
        super().__init__(workers)
        self.calls: list[tuple[str, Mapping[str, Any], float, float | None]] = []

    async def call(
        self,
        task: str,
        argument: Mapping[str, Any],
        *,
        seconds: float,
        cpu_seconds: float | None = None,
    ) -> Any:
        self.calls.append((task, argument, seconds, cpu_seconds))
        return await super().call(task, argument, seconds=seconds, cpu_seconds=cpu_seconds)


def run(
    root: Path,
    files: TokenFiles,
    limits: dict[str, float],
    work: Callable[[Sealing, Recorder], Awaitable[None]],
) -> None:
    """Run *work* with a sealer under *limits*, written into its configuration."""
    made: list[Recorder] = []

    def staff(workers: list[Worker]) -> Workers:
        made.append(Recorder(workers))
        return made[0]

    async def main() -> None:
        lines = "".join(f"{name} = {value}\n" for name, value in limits.items())
        async with sealing(root, files, staff=staff, more=f"[limits]\n{lines}") as here:
            assert await here.key.usable()
            await work(here, made[0])

    asyncio.run(main())


async def reason(here: Sealing, document: Document) -> str:
    """Return the reason in the newest line of the ledger about *document*."""
    lines = [json.loads(line) for line in await here.spool(Spool.lines, document.id)]
    return str(lines[-1]["detail"].get("reason"))


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def packed(row: bytes, rows: int) -> bytes:
    packer = zlib.compressobj(1)
    return b"".join(packer.compress(row) for _ in range(rows)) + packer.flush()


def png(width: int, height: int, pixels: bytes) -> bytes:
    """Return an RGBA image with these packed rows."""
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b""))
    )


def tiff(width: int, height: int, pixels: bytes) -> bytes:
    """Return an RGB image, one strip, deflated."""
    directory = 8 + len(pixels) + len(pixels) % 2
    bits = directory + 2 + 9 * 12 + 4
    entries = (
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 3, bits),
        (259, 3, 1, 8),
        (262, 3, 1, 2),
        (273, 4, 1, 8),
        (277, 3, 1, 3),
        (278, 4, 1, height),
        (279, 4, 1, len(pixels)),
    )
    return b"".join(
        (
            struct.pack("<2sHI", b"II", 42, directory),
            pixels.ljust(directory - 8, b"\0"),
            struct.pack("<H", len(entries)),
            *(struct.pack("<HHII", *entry) for entry in entries),
            struct.pack("<I3H", 0, 8, 8, 8),
        )
    )


def dropped(root: Path, name: str, data: bytes) -> Path:
    path = root / name
    path.write_bytes(data)
    return path


def test_what_is_configured_reaches_the_page_worker(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path]
) -> None:
    """Each key of [limits], as the worker gets it: by its own limits, or with each call."""
    limits = {
        "memory_mb": 700,
        "cpu_seconds": 20.0,
        "wall_seconds": 30.0,
        "seconds_per_mb": 10.0,
        "max_megapixels": 17,
        "max_nesting": 77,
        "max_output_mb": 50,
    }

    async def work(here: Sealing, pages: Recorder) -> None:
        document = await here.sealer.seal(await here.claim(drawn["antrag.png"]), here.key)
        assert document.state is State.FROZEN
        more = 10.0 * document.size / 1e6
        assert [(call[0], call[2:]) for call in pages.calls] == [
            (task, (30.0 + more, 20.0 + more)) for task in ("prepare", "readback")
        ]
        assert [call[1]["max_pixels"] for call in pages.calls] == [17_000_000] * 2
        assert pages.calls[0][1]["max_nesting"] == 77
        (pid,) = [worker.pid for worker in pages._all if worker.pid]
        text = Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
        known = dict(re.findall(r"^Max ([a-z ]+?)  +(\S+)", text, re.MULTILINE))
        assert known["address space"] == str(700 * MEGA)
        assert known["file size"] == str(50 * MEGA)
        assert known["core file size"] == "0"
        # Set anew for each task: what was used, what is allowed, and what rounding adds.
        assert 20 + more <= int(known["cpu time"]) <= 20 + more + 10

    run(tmp_path, seal_token, limits, work)


BOMBS = {
    "png": lambda: png(9000, 6000, packed(bytes(1 + 4 * 9000), 6000)),
    "tiff": lambda: tiff(9000, 8000, packed(bytes(3 * 9000), 8000)),
}
"""Both become 216 MB, and each of them is needed in two forms at least."""


@pytest.mark.parametrize(
    ("kind", "memory_mb"),
    # 400 hold the pixels, not what the decoder needs beside them, and that says so in its own way.
    [("png", 256), ("tiff", 256), ("tiff", 400)],
)
def test_a_bomb_fills_the_workers_memory_and_nobody_elses(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path], kind: str, memory_mb: int
) -> None:
    """A megabyte that becomes hundreds: refused as too large, and the next one is sealed."""
    bomb = dropped(tmp_path, f"bomb.{kind}", BOMBS[kind]())
    assert bomb.stat().st_size < 2 * MEGA

    async def work(here: Sealing, pages: Recorder) -> None:
        document = await here.sealer.seal(await here.claim(bomb), here.key)
        assert (document.state, document.code) == (State.REFUSED, "too-large")
        assert "memory" in await reason(here, document)
        assert pages.replaced == 0
        following = await here.sealer.seal(await here.claim(drawn["brief.pdf"]), here.key)
        assert following.state is State.FROZEN

    run(tmp_path, seal_token, {"memory_mb": memory_mb}, work)


@pytest.mark.parametrize("kind", BOMBS)
def test_where_a_bomb_may_have_the_memory_it_is_a_scan(
    tmp_path: Path, seal_token: TokenFiles, kind: str
) -> None:
    """So it is the limit that refuses it above, and a large sheet can be let through."""
    scan = dropped(tmp_path, f"large.{kind}", BOMBS[kind]())

    async def work(here: Sealing, _: Recorder) -> None:
        document = await here.sealer.seal(await here.claim(scan), here.key)
        assert (document.state, document.code) == (State.FROZEN, "")

    run(tmp_path, seal_token, {"memory_mb": 2048}, work)


@pytest.mark.parametrize("kind", ["png", "tiff", "jpeg"])
def test_a_thousand_million_pixels_are_refused_before_any_is_decoded(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path], kind: str
) -> None:
    """The size stands in the header; under 250 MB none of them could even be begun."""
    nothing = packed(bytes(1000), 10)
    jpeg = bytearray(drawn["foto.jpg"].read_bytes())
    frame = jpeg.index(b"\xff\xc0")  # SOF0: length, precision, then height and width
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 31623, 31623)
    large = {
        "png": png(31623, 31623, nothing),
        "tiff": tiff(31623, 31623, nothing),
        "jpeg": bytes(jpeg),
    }

    async def work(here: Sealing, pages: Recorder) -> None:
        scan = dropped(tmp_path, "large", large[kind])
        document = await here.sealer.seal(await here.claim(scan), here.key)
        assert (document.state, document.code) == (State.REFUSED, "too-many-pixels")
        following = await here.sealer.seal(await here.claim(drawn["brief.pdf"]), here.key)
        assert following.state is State.FROZEN
        assert pages.replaced == 0

    run(tmp_path, seal_token, {"memory_mb": 256}, work)


@pytest.mark.parametrize(("megapixels", "state"), [(8, State.REFUSED), (9, State.FROZEN)])
def test_the_limit_of_pixels_is_the_configured_one(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path], megapixels: int, state: State
) -> None:
    """An A4 page at 300 dpi has 8.7 million."""
    scan = drawn["foto.jpg"]

    async def work(here: Sealing, _: Recorder) -> None:
        document = await here.sealer.seal(await here.claim(scan), here.key)
        assert document.state is state
        assert document.code == ("" if state is State.FROZEN else "too-many-pixels")

    run(tmp_path, seal_token, {"max_megapixels": megapixels}, work)


def test_a_file_that_grows_beyond_the_limit_is_refused(
    tmp_path: Path, seal_token: TokenFiles, drawn: dict[str, Path]
) -> None:
    """What a worker writes is bounded by the kernel; what was begun is removed."""
    scan = dropped(tmp_path, "long.pdf", scans.pdf_of([scans.jpeg_page(7)] * 9))
    assert scan.stat().st_size > MEGA

    async def work(here: Sealing, pages: Recorder) -> None:
        document = await here.sealer.seal(await here.claim(scan), here.key)
        assert (document.state, document.code) == (State.REFUSED, "too-large")
        assert not list(here.config.work_in.iterdir())
        assert not list(here.config.work_out.iterdir())
        assert pages.replaced == 0
        following = await here.sealer.seal(await here.claim(drawn["antrag.png"]), here.key)
        assert following.state is State.FROZEN

    run(tmp_path, seal_token, {"max_output_mb": 1}, work)


def test_the_second_end_by_a_limit_names_it_in_the_ledger(
    tmp_path: Path, seal_token: TokenFiles, big_pdf: Path
) -> None:
    """Whoever looks at a `crashed-here` wants to know which limit to raise."""

    async def work(here: Sealing, pages: Recorder) -> None:
        document = await here.claim(big_pdf)
        for tries in (1, 2):
            document = await here.sealer.seal(document, here.key)
            assert pages.replaced == tries
        assert (document.state, document.code) == (State.REFUSED, "crashed-here")
        found = await reason(here, document)
        assert found.startswith("twice in step seal; the last time: ")
        assert found.endswith("was ended after 0.001 s")

    run(tmp_path, seal_token, {"wall_seconds": 0.001, "seconds_per_mb": 0.0}, work)
