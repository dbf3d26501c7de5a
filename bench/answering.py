"""How soon the service answers while documents wait for a slow token.

The page and the status are asked for in turn, one request at a time, each with a
connection of its own, first while nothing waits and then while a queue does. The
MQTT snapshots are heard by a client of the same broker: they are due every second,
and what is late of them the service was late with (or the machine).
"""

from __future__ import annotations

import http.client
import itertools
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from bench.crooked import CrookedBox, filed, states, until
from bench.draw import draw
from bench.table import Row
from daemon.document import State
from tests.certomancer import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from contrib.demo.token import TokenFiles
    from tests.system.box import Box

SLOW_MS: Final = 300
WAITING: Final = 80
"""Two signatures each, so they wait for about 50 s."""
ROUNDS: Final = 300
PAUSE: Final = 0.05
INTERVAL: Final = 1.0
"""Seconds between two snapshots over MQTT."""
LIMIT_MS: Final = 50.0
ASKED: Final = {"page": "/", "status": "/api/status"}
SETTINGS: Final = """\
[web]
listen = "127.0.0.1:{web}"

[mqtt]
host = "127.0.0.1"
port = {mqtt}
interval_seconds = {interval}
"""


@dataclass(slots=True)
class Answers:
    """What was measured in one situation, in seconds."""

    asked: dict[str, list[float]] = field(default_factory=dict)
    late: list[float] = field(default_factory=list)
    """By how much each snapshot came after it was due; 0 if it came before."""


def answering(folder: Path, token: TokenFiles) -> tuple[list[Row], list[str]]:
    """Measure; return the rows and a note."""
    letters = folder / "letters"
    letters.mkdir(parents=True)
    draw("letters", letters, WAITING + 1)
    first, *rest = sorted(letters.iterdir())
    web, mqtt = free_port(), free_port()
    settings = SETTINGS.format(web=web, mqtt=mqtt, interval=INTERVAL)
    box = CrookedBox(folder / "box", token, more=settings)
    box.crooked.does(f"C_Sign slow {SLOW_MS}")
    try:
        with _broker(folder, mqtt), _heard(mqtt) as heard:
            box.start()
            first.rename(box.root / "hot" / first.name)
            filed(box, 1)
            idle = _asked(web, heard)
            for path in rest:
                path.rename(box.root / "hot" / path.name)
            # All are claimed: from here on it is the token that they wait for.
            until(box, lambda: sum(states(box).values()) == WAITING + 1)
            waiting = _asked(web, heard)
            if not states(box).get(State.CLAIMED):
                raise RuntimeError("nothing waited any more when the last answer came")
            _stopped(box)
    finally:
        box.close()
    return _rows(idle, waiting), [NOTE]


def _asked(port: int, heard: list[float]) -> Answers:
    found = Answers({name: [] for name in ASKED})
    before = len(heard)
    for _ in range(ROUNDS):
        for name, path in ASKED.items():
            begun = time.perf_counter()
            line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            line.request("GET", path)
            answer = line.getresponse()
            answer.read()
            line.close()
            found.asked[name].append(time.perf_counter() - begun)
            if answer.status != http.HTTPStatus.OK:
                raise RuntimeError(f"{path}: {answer.status}")
            time.sleep(PAUSE)
    times = heard[before:]
    gaps = (b - a for a, b in itertools.pairwise(times))
    found.late = [max(0.0, gap - INTERVAL) for gap in gaps]
    return found


def _stopped(box: Box) -> None:
    if box.stop() != 0:
        raise RuntimeError("the service did not stop cleanly")


@contextmanager
def _broker(folder: Path, port: int) -> Iterator[None]:
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
    process = subprocess.Popen(
        ["/usr/sbin/mosquitto", "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _heard(port: int) -> Iterator[list[float]]:
    """Note when each snapshot arrives; the client tries again until the broker listens."""
    times: list[float] = []
    there = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2)
    client.reconnect_delay_set(1, 1)
    client.on_connect = lambda one, *_: one.subscribe("scanseal/+/status")
    client.on_subscribe = lambda *_: there.set()
    client.on_message = lambda *_: times.append(time.perf_counter())
    client.connect_async("127.0.0.1", port)
    client.loop_start()
    try:
        if not there.wait(30):
            raise RuntimeError("the broker does not listen")
        yield times
    finally:
        client.disconnect()
        client.loop_stop()


def _rows(idle: Answers, waiting: Answers) -> list[Row]:
    words = {"page": "GET /", "status": "GET /api/status"}
    rows = []
    for name in ASKED:
        for when, answers in (("waiting", waiting), ("idle", idle)):
            taken = [1000 * one for one in answers.asked[name]]
            limit = LIMIT_MS if when == "waiting" else None
            rows += _percentiles(f"{name}_{when}", f"{words[name]}, {WHEN[when]}", taken, limit)
    for when, answers in (("waiting", waiting), ("idle", idle)):
        late = [1000 * one for one in answers.late]
        limit = LIMIT_MS if when == "waiting" else None
        rows += _percentiles(f"mqtt_late_{when}", f"MQTT snapshot late, {WHEN[when]}", late, limit)
    return rows


WHEN: Final = {
    "waiting": f"documents wait for a token with {SLOW_MS} ms for each signature",
    "idle": "nothing waits",
}
NOTE: Final = f"""\
The whole service, with a token that takes {SLOW_MS} ms for each signature (SoftHSM behind the module
of the tests); `/` and `/api/status` are asked for in turn, {ROUNDS} times each with {1000 * PAUSE:.0f} ms
between them, each request with a connection of its own: at first while nothing waits, then, in the
same run, while documents do (of {WAITING} some are left when the last answer comes). The service sends
its snapshot over MQTT at least every {INTERVAL:g} s; late is what a subscriber of the same broker
waits longer than that. So few snapshots come that their p99 is nearly the latest one."""


def _percentiles(name: str, words: str, values: list[float], limit: float | None) -> list[Row]:
    ordered = sorted(values)
    shares = (("p50", 0.5, None), ("p99", 0.99, limit))
    return [
        Row(
            name=f"token.{name}_{share}",
            words=f"{words}, {share}",
            value=ordered[min(len(ordered) - 1, int(part * len(ordered)))],
            unit="ms",
            limit=most,
        )
        for share, part, most in shares
    ]
