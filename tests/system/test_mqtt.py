"""MQTT against a real mosquitto, which is killed, stopped and started again on the way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from daemon.config import Mqtt
from daemon.mqtt import KNOWN_ALARMS, Publisher
from tests.watched import Watched, names_nobody, on_a_loop

PATIENCE = 20.0
BASE = "scanseal/marktamt-01"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """A mosquitto on loopback that remembers nothing from one run to the next."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            ["/usr/sbin/mosquitto", "-c", str(self._config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._listens)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE)
            self._process = None

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False


class Central:
    """What central IT has: a subscriber that writes down everything, in order."""

    def __init__(self, port: int) -> None:
        self.retained: dict[str, str] = {}
        """What the broker keeps for whoever comes now."""
        self.heard: list[tuple[str, str]] = []
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._hear
        self._there = threading.Event()
        self._client.on_subscribe = lambda *_: self._there.set()
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._there.wait(PATIENCE)

    def _hear(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        payload = message.payload.decode()
        self.heard.append((message.topic, payload))
        if payload:
            self.retained[message.topic] = payload
        else:
            self.retained.pop(message.topic, None)

    def status(self) -> dict[str, Any]:
        """Return the newest snapshot, {} before the first."""
        found: dict[str, Any] = json.loads(self.retained.get(f"{BASE}/status", "{}"))
        return found

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def wait_until(holds: Callable[[], object]) -> None:
    """Wait for something that comes from another process."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


async def until(holds: Callable[[], object]) -> None:
    """Wait likewise, and let the publisher work meanwhile."""
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.02)


@contextlib.contextmanager
def central(port: int) -> Iterator[Central]:
    subscriber = Central(port)
    try:
        yield subscriber
    finally:
        subscriber.close()


@contextlib.asynccontextmanager
async def published(box: Watched, port: int, interval: float = 3600.0) -> AsyncIterator[Publisher]:
    """Run a publisher; cancel it at the end, as the service does."""
    publisher = make_publisher(box, port, interval)
    box.alarms.changed = publisher.changed
    running = asyncio.create_task(publisher.run())
    try:
        yield publisher
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


def make_publisher(box: Watched, port: int, interval: float) -> Publisher:
    settings = Mqtt(host="127.0.0.1", port=port, interval_seconds=interval)
    return Publisher(settings, box="marktamt-01", box_id="5ea1" * 8, snapshot=box.snapshot)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    started = Broker(tmp_path)
    started.start()
    yield started
    started.stop()


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path / "state")
    yield watched
    watched.close()


@on_a_loop
async def test_birth_snapshot_and_alarms_are_retained(box: Watched, broker: Broker) -> None:
    """Whoever subscribes later is told at once how the box is doing."""
    box.filed()
    box.alarms.raise_("target-unreachable", "dms", "no route")
    box.alarms.raise_("target-unreachable", "archive", "no route")
    async with published(box, broker.port) as publisher:
        with central(broker.port) as first:
            await until(lambda: len(first.retained) == 3)
            assert publisher.connected
        with central(broker.port) as late:
            await until(lambda: len(late.retained) == 3)

            assert late.retained[f"{BASE}/state"] == "online"
            assert late.status()["documents"]["filed"] == 1
            instances = json.loads(late.retained[f"{BASE}/alarm/target-unreachable"])
            assert {found["instance"] for found in instances} == {"dms", "archive"}
            assert instances[0]["detail"] == "no route"


@on_a_loop
async def test_the_birth_comes_first(box: Watched, broker: Broker) -> None:
    """A snapshot of a box that is still called offline would be taken for an old one."""
    with central(broker.port) as it:
        async with published(box, broker.port):
            await until(lambda: len(it.heard) >= 2)

        assert [topic for topic, _ in it.heard[:2]] == [f"{BASE}/state", f"{BASE}/status"]


@on_a_loop
async def test_every_known_alarm_that_is_not_raised_is_cleared(
    box: Watched, broker: Broker
) -> None:
    """An earlier run may have left it with the broker, and nobody else ever takes it away."""
    code = KNOWN_ALARMS[-1]
    with central(broker.port) as it:
        it._client.publish(f"{BASE}/alarm/{code}", '[{"instance": ""}]', 1, retain=True)
        await until(lambda: f"{BASE}/alarm/{code}" in it.retained)
        async with published(box, broker.port):
            await until(lambda: f"{BASE}/alarm/{code}" not in it.retained)
            await until(lambda: len(it.heard) >= 3 + len(KNOWN_ALARMS))

        cleared = {topic for topic, payload in it.heard if not payload}
        assert cleared == {f"{BASE}/alarm/{code}" for code in KNOWN_ALARMS}


@on_a_loop
async def test_a_change_is_published_at_once_and_an_alarm_goes_when_it_is_over(
    box: Watched, broker: Broker
) -> None:
    """The interval here is an hour: what comes, comes because something changed."""
    with central(broker.port) as it:
        async with published(box, broker.port) as publisher:
            await until(it.status)
            box.claimed()
            publisher.changed()
            await until(lambda: it.status()["documents"]["claimed"] == 1)

            box.alarms.raise_("a-code-that-no-table-has", "dms")
            await until(lambda: f"{BASE}/alarm/a-code-that-no-table-has" in it.retained)
            box.alarms.clear("a-code-that-no-table-has", "dms")
            await until(lambda: f"{BASE}/alarm/a-code-that-no-table-has" not in it.retained)


@on_a_loop
async def test_the_snapshot_comes_again_after_each_interval(box: Watched, broker: Broker) -> None:
    """Central IT notices a box that hangs by the age of what it said last."""
    with central(broker.port) as it:
        async with published(box, broker.port, interval=0.2):
            await until(it.status)
            box.claimed()  # nobody says that anything changed
            await until(lambda: it.status()["documents"]["claimed"] == 1)


@on_a_loop
async def test_a_clean_stop_says_offline(box: Watched, broker: Broker) -> None:
    """A stop that was meant looks like one at once, without waiting for the will."""
    with central(broker.port) as it:
        async with published(box, broker.port):
            await until(lambda: it.retained.get(f"{BASE}/state") == "online")
        await until(lambda: it.retained.get(f"{BASE}/state") == "offline")

        assert [p for topic, p in it.heard if topic == f"{BASE}/state"] == ["online", "offline"]


def test_a_killed_process_is_offline(tmp_path: Path, broker: Broker) -> None:
    """The will: the broker says it for whoever no longer can."""
    command = [sys.executable, "-m", "tests.system.test_mqtt", str(tmp_path), str(broker.port)]
    with central(broker.port) as it, subprocess.Popen(command) as child:
        wait_until(lambda: it.retained.get(f"{BASE}/state") == "online" and it.status())
        os.kill(child.pid, signal.SIGKILL)

        wait_until(lambda: it.retained.get(f"{BASE}/state") == "offline")


@on_a_loop
async def test_a_broker_that_comes_back_is_told_everything_again(
    box: Watched, broker: Broker
) -> None:
    """It has forgotten all of it; and what was cleared meanwhile has to be cleared there, too."""
    async with published(box, broker.port) as publisher:
        box.alarms.raise_("target-unreachable", "dms", "no route")
        box.alarms.raise_("clock-unsure", "", "no-source")
        with central(broker.port) as it:
            await until(lambda: len(it.retained) == 4)
        broker.stop()
        await until(lambda: not publisher.connected)

        box.alarms.clear("target-unreachable", "dms")
        box.claimed()
        publisher.changed()
        broker.start()
        topic = f"{BASE}/alarm/target-unreachable"
        with central(broker.port) as it:
            # As a broker with a disk of its own would have kept it.
            it._client.publish(topic, '[{"instance": "dms"}]', 1, retain=True)
            await until(lambda: (topic, "") in it.heard)

            assert it.retained[f"{BASE}/state"] == "online"
            assert it.status()["documents"]["claimed"] == 1
            assert f"{BASE}/alarm/clock-unsure" in it.retained
            assert topic not in it.retained


@on_a_loop
async def test_a_broker_that_was_never_there_holds_nothing_up(box: Watched) -> None:
    """MQTT is a view: without a broker nothing is kept, and a stop does not wait for one."""
    async with published(box, free_port(), interval=0.01) as publisher:
        for _ in range(200):
            box.alarms.raise_("target-unreachable", "dms", str(_))
            await asyncio.sleep(0.001)
        assert not publisher.connected
        started = time.monotonic()
    assert time.monotonic() - started < 2


@on_a_loop
async def test_no_name_is_published(box: Watched, broker: Broker) -> None:
    """I9: file names and people stay in the house."""
    box.claimed()
    refused = box.refused()
    box.spool.release(refused.id, "Sachbearbeiter", refused.claimed_at)
    box.refused()
    box.told(41)
    box.told(43)
    box.filed()
    box.alarms.raise_("target-unreachable", "dms", "no route")
    with central(broker.port) as it:
        async with published(box, broker.port):
            last = f"{BASE}/alarm/{max(KNOWN_ALARMS)}"
            await until(lambda: last in {topic for topic, _ in it.heard})

        assert {f"{BASE}/status", f"{BASE}/alarm/target-unreachable"} <= it.retained.keys()
        assert all(names_nobody(topic + payload) for topic, payload in it.heard)


def child() -> None:
    """Publish until killed: the process of the test of the will."""
    watched = Watched(Path(sys.argv[1]) / "child")
    asyncio.run(make_publisher(watched, int(sys.argv[2]), 3600.0).run())


if __name__ == "__main__":
    child()
