"""SeaweedFS on this machine, as an archive for the demo, the tests and the bench.

A real store with Object Lock, in one process: `weed server` with its parts on free ports of
127.0.0.1. Two access keys: the box's, which may read, write and list, and one that may do all.
"""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import subprocess
import time
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from daemon.targets.sigv4 import EMPTY, Key, encoded, query, signed

if TYPE_CHECKING:
    from collections.abc import Mapping

REGION: Final = "us-east-1"
RIGHTS: Final = (
    *("Read", "Write", "List"),
    *("GetBucketObjectLockConfiguration", "GetObjectRetention", "PutObjectRetention"),
)
START_SECONDS: Final = 120.0
PORTS: Final = range(15_000, 32_000)
PARTS: Final = ("s3", "master", "volume", "filer")


class SeaweedFS:
    """One server; all it keeps lies in its folder, and it can be started again on it."""

    def __init__(self, weed: Path, folder: Path) -> None:
        """Start nothing yet; *weed* is the program."""
        self._weed = weed
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        secret = folder / "secret"
        folder.mkdir(parents=True, exist_ok=True)
        if not secret.exists():
            secret.write_text(secrets.token_hex(20) + "\n")
            secret.chmod(0o600)
        self.secret = secret
        self.box = Key("scanseal-box", secret.read_bytes().strip(), REGION)
        self.admin = Key("admin", self.box.secret + b"-admin", REGION)
        ports = _free_ports(2 * len(PARTS))
        self._ports = dict(zip(PARTS, zip(ports[::2], ports[1::2], strict=True), strict=True))
        self.url = f"http://127.0.0.1:{self._ports['s3'][0]}"

    def start(self) -> None:
        """Start it, and return once it answers; RuntimeError if it never does."""
        identities = [
            _identity(self.box, *RIGHTS),
            _identity(self.admin, "Admin", "Read", "Write", "List"),
        ]
        config = self.folder / "s3.json"
        config.write_text(json.dumps({"identities": identities}))
        (self.folder / "data").mkdir(exist_ok=True)
        command = [
            *(str(self._weed), "server", f"-dir={self.folder / 'data'}", "-s3"),
            *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.config={config}"),
            *("-volume.max=100", "-master.volumeSizeLimitMB=64", "-master.telemetry=false"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false"),
            *(f"-{part}.port={port}" for part, (port, _) in self._ports.items()),
            *(f"-{part}.port.grpc={port}" for part, (_, port) in self._ports.items()),
            *(f"-{part}.localSocket={self.folder / part}.sock" for part in ("s3", "filer")),
        ]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise RuntimeError(f"SeaweedFS does not start: see {self.folder / 'log'}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End it; what it has acknowledged stays."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()  # asked to end, it takes 25 s
            process.wait()

    def make_bucket(self, name: str, *, lock: bool = True) -> None:
        """Make a bucket, unless it is there."""
        headers = {"x-amz-bucket-object-lock-enabled": "true"} if lock else {}
        status, _, body = self.asked("PUT", name, headers=headers)
        if status not in {200, 409}:
            raise RuntimeError(f"SeaweedFS made no bucket: {status} {body!r}")

    def asked(
        self,
        method: str,
        path: str,
        values: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Ask it for something with all rights; return status, headers and body."""
        url = f"{self.url}/{encoded(path, '/')}" + (f"?{query(values)}" if values else "")
        digest = sha256(body).hexdigest() if body else EMPTY
        head = signed(method, url, headers or {}, digest, self.admin, datetime.now(UTC))
        host = self.url.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=30)
        try:
            connection.request(method, url.removeprefix(self.url), body or None, head)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def _answers(self) -> bool:
        """Return whether it serves, and has somewhere to put things."""
        try:
            self.make_bucket("ready", lock=False)
            return self.asked("PUT", "ready/ready", body=b"ready")[0] == 200
        except (OSError, RuntimeError, http.client.HTTPException):
            return False


def _identity(key: Key, *actions: str) -> dict[str, object]:
    credentials = [{"accessKey": key.name, "secretKey": key.secret.decode()}]
    return {"name": key.name, "credentials": credentials, "actions": list(actions)}


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody has now, and that the kernel gives to nobody.

    Its parts open theirs one after the other, for seconds: one from where the kernel takes ports
    for connections (ip(7), ip_local_port_range) could be gone by then, to one of themselves.
    """
    found: list[int] = []
    while len(found) < count:
        port = PORTS.start + secrets.randbelow(len(PORTS))
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found += [port] if port not in found else []
    return found
