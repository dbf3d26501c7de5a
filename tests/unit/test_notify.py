"""systemd at the other end of a real datagram socket."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from daemon.notify import BEAT_SECONDS, Beats, Systemd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as found:
        found.bind(str(tmp_path / "notify"))
        found.settimeout(5)
        yield found


def systemd(listener: socket.socket) -> Systemd:
    return Systemd({"NOTIFY_SOCKET": listener.getsockname(), "WATCHDOG_USEC": "120000000"})


def test_lines_arrive_in_one_message(listener: socket.socket) -> None:
    """sd_notify(3): assignments separated by newlines, in one datagram."""
    systemd(listener).send("READY=1", "STATUS=sealing")

    assert listener.recv(4096) == b"READY=1\nSTATUS=sealing"


def test_an_abstract_socket_is_found() -> None:
    """Systemd writes `@` for the zero byte with which such a name begins."""
    name = f"scanseal-test-{time.monotonic_ns()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as found:
        found.bind("\0" + name)
        found.settimeout(5)

        Systemd({"NOTIFY_SOCKET": "@" + name}).send("WATCHDOG=1")

        assert found.recv(4096) == b"WATCHDOG=1"


def test_without_systemd_nothing_is_sent(tmp_path: Path) -> None:
    """A demo, a test, a container: no socket, or one that nobody listens on any more."""
    Systemd({}).send("READY=1")
    Systemd({"NOTIFY_SOCKET": str(tmp_path / "missing")}).send("READY=1")
    Systemd({"NOTIFY_SOCKET": "x" * 200}).send("READY=1")


def test_a_deaf_systemd_does_not_stop_us(listener: socket.socket) -> None:
    """Nobody reads: its queue is full after some messages, and the event loop must not wait."""
    deaf = systemd(listener)
    begun = time.monotonic()

    for _ in range(2000):
        deaf.send("WATCHDOG=1")

    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("usec", "wanted"),
    [("120000000", 120.0), ("", None), ("soon", None), ("-1", None), ("²", None)],
)
def test_the_watchdog_is_read_as_seconds(usec: str, wanted: float | None) -> None:
    """Nonsense in the environment is no watchdog, and no crash at start."""
    assert Systemd({"WATCHDOG_USEC": usec}).watchdog_seconds == wanted


def test_a_stage_that_does_not_beat_is_named() -> None:
    """Its time runs from when it was registered; a beat starts it again."""
    now = [1000.0]
    beats = Beats(lambda: now[0])
    sealer, _ = beats.of("sealer"), beats.of("sync")

    now[0] += BEAT_SECONDS
    assert beats.silent() == ()
    now[0] += 0.1
    assert beats.silent() == ("sealer", "sync")
    sealer()
    assert beats.silent() == ("sync",)
