"""What one large document costs on its way into a bucket: memory, bytes on the wire, time.

To SeaweedFS on this machine, through a relay that counts; once with the bytes read back, once
proven by the store's checksum. S3_MB=100 takes a smaller document.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.table import Row, Section
from contrib.demo.seaweed import SeaweedFS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contrib.demo.token import TokenFiles

MEGABYTES: Final = int(os.environ.get("S3_MB", "1000"))
MEMORY_LIMIT: Final = 32.0
WIRE_LIMIT: Final = 1.02
PIECE: Final = 1 << 20
SMALL: Final = 100_000
BUCKET: Final = "archive"


@dataclass(slots=True)
class Wire:
    """What went over a relay, in bytes."""

    url: str
    out: int = 0
    back: int = 0


def measure(folder: Path, token: TokenFiles) -> Section:  # noqa: ARG001 (every group gets one)
    """Measure the figure group `s3`."""
    first, large = folder / "first.pdf", folder / "large.pdf"
    size = MEGABYTES * 1_000_000
    first.write_bytes(os.urandom(SMALL))
    with large.open("wb") as file:
        for begin in range(0, size, PIECE):
            file.write(os.urandom(min(PIECE, size - begin)))
    os.sync()
    store = SeaweedFS(Path(sys.executable).with_name("weed"), folder / "store")
    store.start()
    try:
        store.make_bucket(BUCKET)
        runs = {proof: _uploaded(store, first, large, proof) for proof in ("bytes", "checksum")}
    finally:
        store.stop()
    return section(runs, size)


def section(runs: dict[str, tuple[dict[str, Any], Wire]], size: int) -> Section:
    """Draw the conclusions."""
    (read, read_wire), (told, told_wire) = runs["bytes"], runs["checksum"]
    for proof, (result, _) in runs.items():
        if (result["grade"], result["lock"]) != (proof, "compliance"):
            raise RuntimeError(f"proven by {result['grade']}, locked by {result['lock']}")
    both = SMALL + size
    most = max((one["most"] - one["before"]) / 1e6 for one in (read, told))
    rows = [
        Row(
            name="s3.memory",
            words="the process's memory above what it was before",
            value=most,
            unit="MB",
            limit=MEMORY_LIMIT,
        ),
        Row(
            name="s3.wire",
            words="bytes on the wire in both directions by those of the file, proven by checksum",
            value=(told_wire.out + told_wire.back) / both,
            unit="times",
            limit=WIRE_LIMIT,
        ),
        Row(
            name="s3.sent",
            words="bytes sent by those of the file, proven by reading back",
            value=read_wire.out / both,
            unit="times",
            limit=WIRE_LIMIT,
        ),
        Row(
            name="s3.checksum_seconds",
            words="until it was proven by checksum",
            value=told["seconds"],
            unit="s",
        ),
        Row(
            name="s3.bytes_seconds",
            words="until it was read back",
            value=read["seconds"],
            unit="s",
        ),
    ]
    notes = [
        (
            f"One document of {size:,} bytes into a bucket of SeaweedFS with Object Lock on this"
            " machine, in parts of 16 MiB, from a process with nothing but the target in it that"
            f" had put one of {SMALL:,} bytes before; the lesser one counts on the wire, too, as"
            " does trying the bucket's lock. Memory is the peak of the resident set above what it"
            " was after that first document, the larger one of both runs; the other run reads back"
            f" every byte, {read_wire.back / both:.2f} times the file."
        )
    ]
    return Section(name="s3", title="a large document into a bucket", rows=rows, notes=notes)


def _uploaded(
    store: SeaweedFS, first: Path, large: Path, proof: str
) -> tuple[dict[str, Any], Wire]:
    with relayed(store.url) as wire:
        configured = {
            "name": "archive",
            "kind": "s3",
            "role": "archive",
            "url": wire.url,
            "user": store.box.name,
            "password": f"file:{store.secret}",
            "bucket": BUCKET,
            "proof": proof,
        }
        values = {"section": configured, "first": str(first), "large": str(large)}
        command = [sys.executable, "-m", "bench.upload", json.dumps(values)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout), wire


@contextlib.contextmanager
def relayed(url: str) -> Iterator[Wire]:
    """Pass connections on to *url*, and count what goes over them."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    listening = socket.create_server(("127.0.0.1", 0))
    wire = Wire(f"http://127.0.0.1:{listening.getsockname()[1]}")
    pumps: list[threading.Thread] = []

    def pump(source: socket.socket, sink: socket.socket, direction: str) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE):
                setattr(wire, direction, getattr(wire, direction) + len(piece))
                sink.sendall(piece)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listening.accept()
                far = socket.create_connection((host, int(port)))
                for source, sink, direction in ((near, far, "out"), (far, near, "back")):
                    pumps.append(threading.Thread(target=pump, args=(source, sink, direction)))
                    pumps[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield wire
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        accepting.join()
        for one in pumps:
            one.join()
        listening.close()
